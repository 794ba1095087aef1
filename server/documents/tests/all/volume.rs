//! Files bound into a volume for a printer.

use std::io;

use borsellino_documents::{BindError, Renderer, Templates, Volume, sample};

use crate::readers::{Pdf, run};

fn bind(files: &[Vec<u8>]) -> Result<Vec<u8>, BindError> {
    let mut volume = Volume::new(Vec::new())?;
    for file in files {
        volume.add(file)?;
    }
    volume.finish()
}

#[test]
fn a_volume_has_the_pages_of_each_file_in_their_order() {
    let renderer = Renderer::new(&Templates::default()).unwrap();
    let files: Vec<Vec<u8>> = [(0, true), (12, false), (0, false)]
        .map(|(parts, postal)| renderer.notice(&sample::notice(parts, postal)).unwrap())
        .into();
    let alone: Vec<Pdf> = files.iter().map(|bytes| Pdf::new(bytes)).collect();
    let bytes = bind(&files).unwrap();
    assert_eq!(bytes, bind(&files).unwrap(), "the same files make the same volume");
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
fn what_files_have_in_common_is_in_it_once() {
    let renderer = Renderer::new(&Templates::default()).unwrap();
    let file = renderer.notice(&sample::notice(0, false)).unwrap();
    let (one, ten) = (bind(std::slice::from_ref(&file)).unwrap(), bind(&vec![file; 10]).unwrap());
    let pages = ten.len() - one.len();
    assert!(pages < one.len() / 4, "{pages} bytes for nine more pages of {}", one.len());
    assert_eq!(Pdf::new(&ten).text(), Pdf::new(&one).text().repeat(10));
}

#[test]
fn what_is_no_file_is_not_bound() {
    let whole = Renderer::new(&Templates::default()).unwrap().notice(&sample::notice(0, false)).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    for files in [vec![], vec![b"no PDF".to_vec()], vec![whole.clone(), Vec::new()], vec![half]] {
        assert!(matches!(bind(&files), Err(BindError::NoPages)));
    }
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(Volume::new(Full), Err(BindError::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
}
