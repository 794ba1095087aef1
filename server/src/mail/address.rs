//! E-mail addresses, as an office types them: one plain address, and nothing that could mean another one to a server.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
const MAX: usize = 254;

/// The longest part before the `@`, in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// Why a text is no address that we write to. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nothing was typed.
    #[error("there is no e-mail address")]
    Empty,
    /// Over 254 bytes, or over 64 before the `@`.
    #[error("the e-mail address is too long")]
    TooLong,
    /// Letters beyond ASCII: few servers take them, and they look like others.
    #[error("the e-mail address has letters beyond a-z: write the domain as xn--..., or use another address")]
    Foreign,
    /// Spaces, line breaks, brackets, several addresses, a name in front, a domain without a dot.
    #[error("it is not one e-mail address of the form name@domain, without spaces and without a name in front")]
    Form,
}

/// One e-mail address: `name@domain`, ASCII, of the dot-atom form. What it says is personal: `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    text: lettre::Address,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

impl Address {
    /// Reads an address; spaces are not taken off.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX {
            return Err(AddressError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::Form);
        }
        if !text.is_ascii() {
            return Err(AddressError::Foreign);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressError::Form)?;
        if local.len() > MAX_LOCAL {
            return Err(AddressError::TooLong);
        }
        if !dot_atom(local) || !is_domain(domain) {
            return Err(AddressError::Form);
        }
        lettre::Address::from_str(text).map(|text| Self { text }).map_err(|_| AddressError::Form)
    }

    /// The address, as it was typed.
    pub fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.text.user()
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.text.domain()
    }

    /// For the message's headers.
    pub(super) fn mailbox(&self) -> lettre::message::Mailbox {
        lettre::message::Mailbox::new(None, self.text.clone())
    }
}

/// Atoms between dots (RFC 5322, 3.2.3).
fn dot_atom(text: &str) -> bool {
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// At least two labels, the last of which is no number (RFC 1123, 2.1).
fn is_domain(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.contains('.') && text.split('.').all(label) && !last.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address() {
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(63));
        for good in [
            "maria.bianchi@comune.example",
            "o'neil+mensa@a-b.scuola.example",
            "1@x.it",
            "a=b@xn--bcher-kva.example",
            &long,
        ] {
            let address = Address::parse(good).unwrap();
            assert_eq!(address.as_str(), good);
            assert_eq!(format!("{}@{}", address.local(), address.domain()), good);
        }
    }

    #[test]
    fn what_is_none() {
        let (local, domain) = ("a".repeat(65), format!("a@{}.example", "b".repeat(64)));
        let whole = format!("{}@{}example", "a".repeat(60), "bb.".repeat(63));
        for (bad, why) in [
            ("", AddressError::Empty),
            (" maria@comune.example", AddressError::Form),
            ("maria@comune.example ", AddressError::Form),
            ("maria bianchi@comune.example", AddressError::Form),
            ("maria@comune.example\r\nRCPT TO:<x@y.example>", AddressError::Form),
            ("maria@comune.example\n", AddressError::Form),
            ("maria@comune.example\0", AddressError::Form),
            ("maria@comune.example\u{85}", AddressError::Form),
            ("maria@comune.example,luca@comune.example", AddressError::Form),
            ("maria@comune.example;luca@comune.example", AddressError::Form),
            ("Maria <maria@comune.example>", AddressError::Form),
            ("<maria@comune.example>", AddressError::Form),
            ("maria@comune.example>", AddressError::Form),
            ("\"maria bianchi\"@comune.example", AddressError::Form),
            ("maria(mamma)@comune.example", AddressError::Form),
            ("maria@luca@comune.example", AddressError::Form),
            ("maria", AddressError::Form),
            ("@comune.example", AddressError::Form),
            ("maria@", AddressError::Form),
            ("maria@localhost", AddressError::Form),
            ("maria@comune..example", AddressError::Form),
            ("maria@.example", AddressError::Form),
            ("maria@comune.example.", AddressError::Form),
            ("maria@-comune.example", AddressError::Form),
            ("maria@comune_a.example", AddressError::Form),
            ("maria@192.0.2.1", AddressError::Form),
            ("maria@[192.0.2.1]", AddressError::Form),
            (".maria@comune.example", AddressError::Form),
            ("maria.@comune.example", AddressError::Form),
            ("ma..ria@comune.example", AddressError::Form),
            ("maría@comune.example", AddressError::Foreign),
            ("maria@citt\u{e0}.example", AddressError::Foreign),
            ("maria\u{ff20}comune.example", AddressError::Foreign),
            (&format!("{local}@comune.example"), AddressError::TooLong),
            (&domain, AddressError::Form),
            (&whole, AddressError::TooLong),
        ] {
            assert_eq!(Address::parse(bad).unwrap_err(), why, "{bad:?}");
        }
    }

    #[test]
    fn it_tells_nobody_what_it_is() {
        let address = Address::parse("maria@comune.example").unwrap();
        assert_eq!(format!("{address:?} {:?}", Some(&address)), "Address(..) Some(Address(..))");
        for error in [AddressError::Empty, AddressError::TooLong, AddressError::Foreign, AddressError::Form] {
            assert!(!format!("{error} {error:?}").contains("maria"));
        }
    }
}
