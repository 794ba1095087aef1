//! The taxonomy of collection services: the code (`transferCategory`) that tells pagoPA what a transfer pays for, and
//! the codes of school services.
//!
//! Format: SANP 3.12.0, *taxonomy of collection services*. Codes: taxonomy version 33 (October 2023); no new ones are
//! being added, but a service's code stays configurable.

use std::borrow::Cow;

use thiserror::Error;

use crate::fiscal_code::{code_traits, digits};

/// Longest `transferCategory`, in characters (`stText140`).
const MAX_LENGTH: usize = 140;

/// Why a text is not a taxonomy code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TaxonomyError {
    /// Not `9/`, `8/`, `7/` or `6/` first; samples without it are incomplete.
    #[error("a taxonomy code starts with 9/, 8/, 7/ or 6/")]
    Prefix,
    /// Not seven digits, two letters and a slash after the prefix.
    #[error("after its prefix a taxonomy code has 7 digits, 2 letters and a slash")]
    Shape,
    /// The two letters are not a legal reason.
    #[error("the legal reason of a taxonomy code is IM, TS, SP, SA or AP")]
    Reason,
    /// The text after the last slash is too long or holds control characters.
    #[error("the free text of a taxonomy code is too long or not printable")]
    Text,
}

/// The legal reason of a payment, the two letters of a taxonomy code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LegalReason {
    /// `IM`, *imposta*.
    Tax,
    /// `TS`, *tassa*.
    Fee,
    /// `SP`, *servizio pubblico*.
    PublicService,
    /// `SA`, *sanzione*.
    Penalty,
    /// `AP`, *altro*.
    Other,
}

impl LegalReason {
    fn parse(letters: &str) -> Option<Self> {
        Some(match letters {
            "IM" => Self::Tax,
            "TS" => Self::Fee,
            "SP" => Self::PublicService,
            "SA" => Self::Penalty,
            "AP" => Self::Other,
            _ => return None,
        })
    }
}

/// A taxonomy code, e.g. `9/0107101TS/` for a municipality's canteen, with an optional free text after the last slash.
///
/// Codes that differ in prefix or text differ; compare [`service`](Self::service) to ask what is paid for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaxonomyCode(Cow<'static, str>);
code_traits!(shown TaxonomyCode, TaxonomyError);

impl TaxonomyCode {
    /// School fees of a municipality.
    pub const SCHOOL_FEES: Self = Self(Cow::Borrowed("9/0107100TS/"));
    /// Canteen of a municipality: a fee (`TS`), not a public service.
    pub const CANTEEN: Self = Self(Cow::Borrowed("9/0107101TS/"));
    /// School bus of a municipality.
    pub const SCHOOL_BUS: Self = Self(Cow::Borrowed("9/0107102SP/"));
    /// Care before school of a municipality.
    pub const BEFORE_SCHOOL: Self = Self(Cow::Borrowed("9/0107103SP/"));
    /// Care in the lunch break (*interscuola*) of a municipality.
    pub const LUNCH_BREAK: Self = Self(Cow::Borrowed("9/0107104SP/"));
    /// Care after school of a municipality.
    pub const AFTER_SCHOOL: Self = Self(Cow::Borrowed("9/0107105SP/"));
    /// Nursery (0 to 3 years) of a municipality.
    pub const NURSERY: Self = Self(Cow::Borrowed("9/0107106SP/"));
    /// Duplicate of a bus card of a municipality.
    pub const BUS_CARD_DUPLICATE: Self = Self(Cow::Borrowed("9/0107107AP/"));
    /// Summer camps of a municipality.
    pub const SUMMER_CAMPS: Self = Self(Cow::Borrowed("9/0108103TS/"));

    /// Reads a code; surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`TaxonomyError`].
    pub fn parse(text: &str) -> Result<Self, TaxonomyError> {
        let text = text.trim();
        let (prefix, rest) = text.split_once('/').ok_or(TaxonomyError::Prefix)?;
        if !matches!(prefix, "6" | "7" | "8" | "9") {
            return Err(TaxonomyError::Prefix);
        }
        let (service, free) = rest.split_once('/').ok_or(TaxonomyError::Shape)?;
        let (number, letters) = service.split_at_checked(7).ok_or(TaxonomyError::Shape)?;
        if digits::<7>(number).is_none() || letters.len() != 2 {
            return Err(TaxonomyError::Shape);
        }
        LegalReason::parse(letters).ok_or(TaxonomyError::Reason)?;
        if text.chars().count() > MAX_LENGTH || free.chars().any(char::is_control) {
            return Err(TaxonomyError::Text);
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// The whole code, as `transferCategory` wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is paid for, without prefix and free text: `0107101TS`.
    pub fn service(&self) -> &str {
        self.0.get(2..11).unwrap_or_default()
    }

    /// The legal reason.
    pub fn reason(&self) -> LegalReason {
        // `parse` and the constants admit known reasons only; the fallback is the one the law keeps for the rest.
        self.0.get(9..11).and_then(LegalReason::parse).unwrap_or(LegalReason::Other)
    }

    /// The free text after the last slash of the code, often empty.
    pub fn text(&self) -> &str {
        self.0.get(12..).unwrap_or_default()
    }

    /// Whether a position with one such transfer is shut out of SEPA Request-to-Pay: prefix 6 (reduced penalty or
    /// notification pending), 7 (digital delivery given to another operator) or 8 (both) (SANP 3.12.0, in force since
    /// 1 March 2026).
    pub fn switches_off_request_to_pay(&self) -> bool {
        !self.0.starts_with('9')
    }
}

/// A school service pagoPA's taxonomy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchoolService {
    /// School fees; in state schools the attendance fee.
    Fees,
    /// Canteen.
    Canteen,
    /// School bus.
    Bus,
    /// Care before school.
    BeforeSchool,
    /// Care in the lunch break (*interscuola*).
    LunchBreak,
    /// Care after school.
    AfterSchool,
    /// Nursery, 0 to 3 years.
    Nursery,
    /// Duplicate of a bus card.
    BusCardDuplicate,
    /// Summer camps.
    SummerCamps,
    /// School trips.
    Trips,
    /// Pupils' insurance.
    Insurance,
    /// Fees for optional services.
    OptionalServices,
}

impl SchoolService {
    /// Every service, in the order of the variants.
    pub const ALL: [Self; 12] = [
        Self::Fees,
        Self::Canteen,
        Self::Bus,
        Self::BeforeSchool,
        Self::LunchBreak,
        Self::AfterSchool,
        Self::Nursery,
        Self::BusCardDuplicate,
        Self::SummerCamps,
        Self::Trips,
        Self::Insurance,
        Self::OptionalServices,
    ];

    /// The code when a municipality (creditor type 01) is owed, `None` where there is none.
    pub const fn municipality(self) -> Option<TaxonomyCode> {
        Some(match self {
            Self::Fees => TaxonomyCode::SCHOOL_FEES,
            Self::Canteen => TaxonomyCode::CANTEEN,
            Self::Bus => TaxonomyCode::SCHOOL_BUS,
            Self::BeforeSchool => TaxonomyCode::BEFORE_SCHOOL,
            Self::LunchBreak => TaxonomyCode::LUNCH_BREAK,
            Self::AfterSchool => TaxonomyCode::AFTER_SCHOOL,
            Self::Nursery => TaxonomyCode::NURSERY,
            Self::BusCardDuplicate => TaxonomyCode::BUS_CARD_DUPLICATE,
            Self::SummerCamps => TaxonomyCode::SUMMER_CAMPS,
            Self::Trips | Self::Insurance | Self::OptionalServices => return None,
        })
    }

    /// The code when a state school (creditor type 06) is owed, `None` where there is none.
    pub const fn state_school(self) -> Option<TaxonomyCode> {
        let code = match self {
            Self::Fees => "9/0601101TS/",
            Self::Canteen => "9/0601104TS/",
            Self::Bus => "9/0601105SP/",
            Self::BeforeSchool => "9/0601106SP/",
            Self::LunchBreak => "9/0601107SP/",
            Self::AfterSchool => "9/0601108SP/",
            Self::Trips => "9/0601125AP/",
            Self::Insurance => "9/0601124SP/",
            Self::OptionalServices => "9/0601132AP/",
            Self::Nursery | Self::BusCardDuplicate | Self::SummerCamps => return None,
        };
        Some(TaxonomyCode(Cow::Borrowed(code)))
    }
}
