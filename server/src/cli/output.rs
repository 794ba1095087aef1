//! Where a command writes what it makes: the standard output, or a file that appears only once it is whole.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::{BufWriter, ErrorKind, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// Prints an answer on the standard output. Whoever has stopped listening (`| head`) has had enough.
pub(super) fn say(answer: impl Display) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{answer}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A place to write to.
pub(super) enum Output {
    /// For a pipe or a terminal.
    Standard(BufWriter<Stdout>),
    /// A temporary file beside the one to be.
    File(BufWriter<NamedTempFile>, PathBuf),
}

impl Output {
    /// Opens it: `path`, or the standard output.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Standard(BufWriter::new(std::io::stdout()))) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any new file: what others may do, the umask says.
        let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        let file = file.with_context(|| format!("{} can't be written", path.display()))?;
        Ok(Self::File(BufWriter::new(file), path.to_owned()))
    }

    /// Writes what is left and puts the file into its place. Without this call no file appears.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Standard(mut out) => Ok(out.flush()?),
            Self::File(out, path) => {
                let file = out.into_inner().map_err(|error| error.into_error())?;
                file.as_file().sync_all()?;
                file.persist(&path).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(bytes),
            Self::File(out, _) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::File(out, _) => out.flush(),
        }
    }
}
