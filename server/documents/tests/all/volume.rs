//! Files bound into a volume for a printer.

use borsellino_documents::{RenderError, Renderer, Templates, bind, sample};

use crate::readers::{Pdf, run};

#[test]
fn a_volume_has_the_pages_of_each_file_in_their_order() {
    let renderer = Renderer::new(&Templates::default()).unwrap();
    let files: Vec<Vec<u8>> = [(0, true), (12, false), (0, false)]
        .map(|(parts, postal)| renderer.notice(&sample::notice(parts, postal)).unwrap())
        .into();
    let alone: Vec<Pdf> = files.iter().map(|bytes| Pdf::new(bytes)).collect();
    let bytes = bind(files.clone()).unwrap();
    assert_eq!(bytes, bind(files.clone()).unwrap(), "the same files make the same volume");
    let volume = Pdf::new(&bytes);
    assert!(
        run("qpdf", ["--check".as_ref(), volume.path().as_os_str()]).contains("No syntax or stream encoding errors")
    );
    let texts: String = alone.iter().map(Pdf::text).collect();
    assert_eq!(volume.text(), texts, "every page, in the order of the files");
    let codes: Vec<String> = alone.iter().flat_map(Pdf::qr_codes).collect();
    assert_eq!(volume.qr_codes(), codes);
    assert!(bytes.len() < files.iter().map(Vec::len).sum::<usize>(), "what only tags pointed to is gone");
}

#[test]
fn what_is_no_file_is_not_bound() {
    let whole = Renderer::new(&Templates::default()).unwrap().notice(&sample::notice(0, false)).unwrap();
    let no_pages = RenderError::Field { field: "files", why: "one is no PDF with pages" };
    for files in [vec![], vec![b"no PDF".to_vec()], vec![whole, Vec::new()]] {
        assert_eq!(bind(files), Err(no_pages.clone()));
    }
}
