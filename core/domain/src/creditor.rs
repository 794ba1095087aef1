//! The codes by which pagoPA and the banks know a creditor: its tax code, broker, station, CBILL.

use thiserror::Error;

use crate::fiscal_code::{ascii, code_traits, digits, luhn_holds};

/// Why a text is not the code of a creditor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CreditorCodeError {
    /// Not exactly eleven digits.
    #[error("a creditor's tax code has exactly 11 digits")]
    Shape,
    /// The last digit does not follow from the others.
    #[error("the last digit of the creditor's tax code does not match the others")]
    Check,
    /// Eleven zeros: their check digit holds, but they name nobody.
    #[error("eleven zeros are not a tax code")]
    Zero,
}

/// The 11-digit tax code of a creditor (*ente creditore*): the tenant, and pagoPA's `idPA`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CreditorCode([u8; 11]);
code_traits!(shown CreditorCode, CreditorCodeError);

impl CreditorCode {
    /// Reads what a person configures: eleven digits whose check digit holds. Surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`CreditorCodeError`].
    pub fn parse(text: &str) -> Result<Self, CreditorCodeError> {
        let code = Self::from_digits(text)?;
        if !luhn_holds(&code.0) {
            return Err(CreditorCodeError::Check);
        }
        if code.0.iter().all(|c| *c == b'0') {
            return Err(CreditorCodeError::Zero);
        }
        Ok(code)
    }

    /// Reads any eleven digits, as storage and the Node's messages need: `stFiscalCodePA` asks for no check digit, and
    /// pagoPA's test environment uses 77777777777, whose check digit is wrong.
    ///
    /// # Errors
    /// [`CreditorCodeError::Shape`] only.
    pub fn from_digits(text: &str) -> Result<Self, CreditorCodeError> {
        digits(text.trim()).map(Self).ok_or(CreditorCodeError::Shape)
    }

    /// The eleven digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// Why a text is not a broker's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BrokerCodeError {
    /// Not exactly eleven digits.
    #[error("a broker's tax code has exactly 11 digits")]
    Shape,
}

/// Tax code of the broker (*intermediario*) that connects creditors to pagoPA: `idBrokerPA`.
///
/// Any eleven digits: pagoPA's test environment uses codes whose check digit is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerCode([u8; 11]);
code_traits!(shown BrokerCode, BrokerCodeError);

impl BrokerCode {
    /// Reads eleven digits; surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`BrokerCodeError`].
    pub fn parse(text: &str) -> Result<Self, BrokerCodeError> {
        digits(text.trim()).map(Self).ok_or(BrokerCodeError::Shape)
    }

    /// The eleven digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// Why a text is not a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StationIdError {
    /// Not broker, underscore, progressive number.
    #[error("a station is the broker's 11 digits, an underscore and two digits")]
    Shape,
}

/// A station (*stazione*) of a broker, e.g. `99900010010_01`: pagoPA's `idStation`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StationId([u8; 14]);
code_traits!(shown StationId, StationIdError);

impl StationId {
    /// Reads a station; surrounding blanks are forgiven, as pagoPA's own test requests pad it.
    ///
    /// # Errors
    /// See [`StationIdError`].
    pub fn parse(text: &str) -> Result<Self, StationIdError> {
        let station: [u8; 14] = text.trim().as_bytes().try_into().map_err(|_| StationIdError::Shape)?;
        let [broker @ .., separator, tens, units] = &station;
        let all_digits = broker.iter().chain([tens, units]).all(u8::is_ascii_digit);
        (*separator == b'_' && all_digits).then_some(Self(station)).ok_or(StationIdError::Shape)
    }

    /// The station as pagoPA writes it.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The broker the station belongs to.
    pub fn broker(&self) -> BrokerCode {
        let [broker @ .., _, _, _] = self.0;
        BrokerCode(broker)
    }
}

/// Why a text is not a CBILL code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CbillError {
    /// Not five capital letters or digits.
    #[error("a CBILL code has exactly 5 letters or digits")]
    Shape,
}

/// The creditor's interbank code (CBILL, once SIA), e.g. `A0EDT`: printed on the notice for home banking
/// (payment-notice guide 3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cbill([u8; 5]);
code_traits!(shown Cbill, CbillError);

impl Cbill {
    /// Reads a CBILL code; surrounding blanks and lower case are forgiven.
    ///
    /// # Errors
    /// See [`CbillError`].
    pub fn parse(text: &str) -> Result<Self, CbillError> {
        let code: [u8; 5] = text.trim().as_bytes().try_into().map_err(|_| CbillError::Shape)?;
        if !code.iter().all(u8::is_ascii_alphanumeric) {
            return Err(CbillError::Shape);
        }
        Ok(Self(code.map(|c| c.to_ascii_uppercase())))
    }

    /// The five characters, upper case.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}
