//! Programs that read PDF and codes, started on files of one test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use borsellino_documents::{Renderer, Templates};

/// One for all tests, as in a server.
pub(crate) static RENDERER: LazyLock<Renderer> = LazyLock::new(|| Renderer::new(&Templates::default()).unwrap());

/// A PDF in a folder that goes with it.
pub(crate) struct Pdf {
    folder: tempfile::TempDir,
}

/// What a program says on its standard output; it has to succeed.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (tests/install brings it): {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {} {said} {complaint}", output.status);
    said
}

impl Pdf {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.pdf"), bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("x.pdf")
    }

    /// Each page as a PNG, in order.
    pub(crate) fn pages(&self, dpi: u32) -> Vec<PathBuf> {
        let stem = self.folder.path().join(format!("page-{dpi}"));
        run("pdftoppm", ["-r", &dpi.to_string(), "-gray", "-png", text(&self.path()), text(&stem)]);
        let mut pages: Vec<PathBuf> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        pages.retain(|path| path.extension() == Some(OsStr::new("png")));
        pages.sort();
        pages
    }

    /// The text as a person selects it.
    pub(crate) fn text(&self) -> String {
        run("pdftotext", ["-layout", "-enc", "UTF-8", text(&self.path()), "-"])
    }

    /// The tags with their text: what a screen reader gets, in its order.
    pub(crate) fn structure(&self) -> String {
        run("pdfinfo", ["-enc", "UTF-8", "-struct-text", text(&self.path())])
    }

    /// What every QR code on the pages says.
    pub(crate) fn qr_codes(&self) -> Vec<String> {
        self.each_page("zbarimg", &["-q", "--raw", "-Sdisable", "-Sqrcode.enable"])
    }

    /// What every Data Matrix on the pages says.
    pub(crate) fn matrices(&self) -> Vec<String> {
        self.each_page("dmtxread", &["-n", "-m", "20000"])
    }

    /// What a reader of codes finds. To one, a page without any is a failure, so that its verdict is not asked for.
    fn each_page(&self, program: &str, options: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for page in self.pages(150) {
            let output = Command::new(program).args(options).arg(&page).output();
            let output = output.unwrap_or_else(|error| panic!("{program} (tests/install brings it): {error}"));
            found.extend(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned));
        }
        found
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
