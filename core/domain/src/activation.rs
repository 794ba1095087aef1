//! The code on the school's letter by which a guardian's first access is opened.

use thiserror::Error;

use crate::fiscal_code::{ascii, code_traits, digits, in_groups, scale};

/// Why a text is not an activation code. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ActivationCodeError {
    /// Something other than digits, blanks and hyphens.
    #[error("an activation code is made of digits only")]
    Digits,
    /// Not ten digits.
    #[error("an activation code has exactly 10 digits")]
    Length,
}

/// Ten decimal digits handed to a guardian, e.g. `5645312010`. There is no check digit: a wrong code is simply unknown.
///
/// Whoever holds it can ask for access, so `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActivationCode([u8; 10]);
code_traits!(redacted ActivationCode, ActivationCodeError);

impl ActivationCode {
    /// Reads a code as people type it: blanks and hyphens (also the typographic ones) are ignored.
    ///
    /// # Errors
    /// See [`ActivationCodeError`].
    pub fn parse(text: &str) -> Result<Self, ActivationCodeError> {
        let ignored = |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
        let text: String = text.chars().filter(|c| !ignored(c)).collect();
        if !text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ActivationCodeError::Digits);
        }
        digits(&text).map(Self).ok_or(ActivationCodeError::Length)
    }

    /// Makes a code out of eight secure random bytes, every code being as likely as any other (see the note on bias at
    /// [`NoticeNumber::issue`](crate::notice::NoticeNumber::issue)). Uniqueness is the store's business.
    pub fn issue(random: [u8; 8]) -> Self {
        let mut code = [b'0'; 10];
        crate::fiscal_code::write_number(scale(random, 10_000_000_000), &mut code);
        Self(code)
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// In two groups of five, as printed in the letter: `56453 12010`.
    pub fn grouped(&self) -> String {
        in_groups(self.as_str(), 5)
    }
}
