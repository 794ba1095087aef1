//! How a creditor's pages look: its colour and its logo. Kept with its letterhead (`documents::put_letterhead`), known to every page by
//! the directory.

use borsellino_documents::Logo;
use borsellino_domain::ledger::Hash;
use borsellino_store::rows::CreditorRow;
use thiserror::Error;

use super::{App, Fault};

/// The heaviest logo that a page shows, in bytes: a first page weighs at most 150 KiB.
pub const HEAVIEST_LOGO: usize = 64 << 10;

/// The lightest ground that letters in the creditor's colour stand on: the foot of each page.
const LIGHTEST_GROUND: Colour = Colour([0xe3, 0xed, 0xf7]);

/// The least contrast of letters with their ground, to one (WCAG 2.1, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;

/// The colour of a creditor's pages: dark enough for white letters on it, and for itself as letters on light grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// Why a text is no colour of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ColourError {
    /// Not `#` and six hexadecimal digits.
    #[error("--colour is # and six hexadecimal digits, e.g. #7a1f2b")]
    Shape,
    /// Letters in it, or white letters on it, could not be read.
    #[error("--colour is too light: letters need a contrast of 4.5 to 1 (WCAG 2.1); choose a darker one")]
    TooLight,
}

impl Colour {
    /// The portal's own.
    pub const OWN: Self = Self([0x00, 0x59, 0xb3]);

    /// Reads `#rrggbb`.
    ///
    /// # Errors
    /// [`ColourError`].
    pub fn parse(text: &str) -> Result<Self, ColourError> {
        let digits = text.trim().strip_prefix('#').ok_or(ColourError::Shape)?;
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(ColourError::Shape);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| ColourError::Shape)?;
        let [_, red, green, blue] = number.to_be_bytes();
        let colour = Self([red, green, blue]);
        if colour.contrast_on(LIGHTEST_GROUND) < LEAST_CONTRAST {
            return Err(ColourError::TooLight);
        }
        Ok(colour)
    }

    /// The same, darker: so many hundredths of its light.
    #[must_use]
    pub fn dimmed(self, hundredths: u16) -> Self {
        let part = |value: u8| u16::from(value).saturating_mul(hundredths).div_euclid(100);
        Self(self.0.map(|value| u8::try_from(part(value)).unwrap_or(value)))
    }

    /// How far its light is from that of a lighter ground (WCAG 2.1, contrast ratio).
    #[allow(clippy::float_arithmetic, reason = "light, never money")]
    fn contrast_on(self, ground: Self) -> f64 {
        (ground.light() + 0.05) / (self.light() + 0.05)
    }

    /// WCAG 2.1, relative luminance.
    #[allow(clippy::float_arithmetic, reason = "light, never money")]
    fn light(self) -> f64 {
        let [red, green, blue] = self.0.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The creditor's colour, if it has one of its own.
pub fn colour(creditor: &CreditorRow) -> Option<Colour> {
    creditor.colour.as_deref().and_then(|text| Colour::parse(text).ok())
}

/// By which mark browsers know a logo again; `None` where it is too heavy for a page.
pub(crate) fn mark(logo: &[u8]) -> Option<String> {
    (logo.len() <= HEAVIEST_LOGO).then(|| Hash::of(logo).to_string().chars().take(12).collect())
}

/// The logo that a creditor's pages show under this mark: media type and bytes.
///
/// # Errors
/// A [`Fault`].
pub async fn logo(app: &App, creditor: &CreditorRow, mark: &str) -> Result<Option<(&'static str, Vec<u8>)>, Fault> {
    let code = creditor.fiscal_code;
    let row = app.store.read(move |tx| Box::pin(async move { tx.letterhead(&code).await })).await?;
    let shown = row.filter(|row| row.logo_mark.as_deref() == Some(mark)).and_then(|row| row.logo);
    Ok(shown.map(|bytes| (Logo::media_type(&bytes), bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_dark_enough_to_be_read() {
        for (text, read) in [
            ("#0059b3", Ok("#0059b3")),
            (" #7A1F2B ", Ok("#7a1f2b")),
            ("#000000", Ok("#000000")),
            // 4.57 to 1 on the foot of a page, and 4.498.
            ("#6a6a6a", Ok("#6a6a6a")),
            ("#6b6b6b", Err(ColourError::TooLight)),
            ("#ffcc00", Err(ColourError::TooLight)),
            ("#e3edf7", Err(ColourError::TooLight)),
            ("0059b3", Err(ColourError::Shape)),
            ("#0059b", Err(ColourError::Shape)),
            ("#0059bg", Err(ColourError::Shape)),
            ("#+059b3", Err(ColourError::Shape)),
            ("red", Err(ColourError::Shape)),
            ("#0059b3;}", Err(ColourError::Shape)),
        ] {
            assert_eq!(Colour::parse(text).map(|colour| colour.to_string()), read.map(str::to_owned), "{text}");
        }
        assert_eq!(Colour::OWN.dimmed(80).to_string(), "#00478f");
    }

    #[test]
    fn contrast_is_as_wcag_counts_it() {
        let grey = |value| Colour([value; 3]);
        // The pairs that WCAG's own techniques name: 21 to 1, and the greys around 4.5 to 1 on white.
        let on_white = |value| grey(value).contrast_on(grey(255));
        assert!((on_white(0) - 21.0).abs() < 1e-9);
        assert!(on_white(0x76) > 4.5 && on_white(0x77) < 4.5);
    }
}
