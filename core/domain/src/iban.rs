//! Bank accounts: the IBAN where a transfer lands, and whether it is a postal account.

use thiserror::Error;

use crate::fiscal_code::{code_traits, in_groups};

/// Why a text is not an IBAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IbanError {
    /// Too short or too long: 27 characters for Italy, 15 to 34 elsewhere.
    #[error("the IBAN has the wrong length (27 characters in Italy)")]
    Length,
    /// A character that cannot stand where it stands.
    #[error("the IBAN holds a character that is not allowed there")]
    Shape,
    /// The two check digits do not follow from the rest.
    #[error("the check digits of the IBAN do not match the rest")]
    Check,
}

/// An account by its IBAN (ISO 13616). Italian ones are checked for their national shape too, save the CIN letter.
///
/// `Debug` shows nothing, as a guardian may be refunded on one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iban(Box<str>);
code_traits!(redacted Iban, IbanError);

impl Iban {
    /// Reads an IBAN; blanks anywhere and lower case are forgiven.
    ///
    /// # Errors
    /// See [`IbanError`].
    pub fn parse(text: &str) -> Result<Self, IbanError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
        let [c1, c2, k1, k2, account @ ..] = text.as_bytes() else {
            return Err(IbanError::Length);
        };
        let country = [*c1, *c2];
        if !country.iter().all(u8::is_ascii_uppercase)
            || ![k1, k2].iter().all(|c| c.is_ascii_digit())
            || !account.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        {
            return Err(IbanError::Shape);
        }
        match (&country, text.len()) {
            (b"IT", 27) => {
                // CIN letter, then ABI and CAB in digits, then twelve characters.
                let well_formed = account.first().is_some_and(u8::is_ascii_uppercase)
                    && account.iter().skip(1).take(10).all(u8::is_ascii_digit);
                if !well_formed {
                    return Err(IbanError::Shape);
                }
            }
            (b"IT", _) => return Err(IbanError::Length),
            (_, 15..=34) => {}
            _ => return Err(IbanError::Length),
        }
        // ISO 13616 makes check digits 02..98; the three others would satisfy the remainder as well.
        let check = [*k1, *k2];
        if matches!(&check, b"00" | b"01" | b"99") || remainder(account, country, check) != 1 {
            return Err(IbanError::Check);
        }
        Ok(Self(text.into()))
    }

    /// The IBAN without blanks, upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// ABI, the five digits of the bank. `None` outside Italy.
    pub fn abi(&self) -> Option<&str> {
        self.0.strip_prefix("IT")?.get(3..8)
    }

    /// Whether it is an account of Poste Italiane (ABI 07601), which pagoPA calls a postal IBAN.
    pub fn is_postal(&self) -> bool {
        self.abi() == Some("07601")
    }

    /// In groups of four, as people read it.
    pub fn grouped(&self) -> String {
        in_groups(&self.0, 4)
    }
}

/// Remainder by 97 with the first four characters moved to the end and letters written as 10..=35.
fn remainder(account: &[u8], country: [u8; 2], check: [u8; 2]) -> u32 {
    account.iter().chain(&country).chain(&check).fold(0u32, |sum, c| {
        let (shift, value) = match c {
            b'0'..=b'9' => (10, c.wrapping_sub(b'0')),
            _ => (100, c.wrapping_sub(b'A').wrapping_add(10)),
        };
        sum.wrapping_mul(shift).wrapping_add(u32::from(value)) % 97
    })
}
