//! Payment notices: the 18-digit notice number (NAV), the IUV inside it, and the texts of the two codes printed on
//! paper, the QR code and the Data Matrix of the postal bill.
//!
//! Structure and check digits: SACI 3.2.1 and, for the retired forms, SACI 1.4.0. QR: payment-notice guide 3.3.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::creditor::CreditorCode;
use crate::fiscal_code::{PersonalCode, ascii, code_traits, digits, in_groups, number, scale, write_number};
use crate::money::{Amount, AmountError};

/// Why a text is not a notice number (or a part of one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoticeError {
    /// Not exactly 18 digits.
    #[error("a notice number has exactly 18 digits")]
    Shape,
    /// The first digit is one we never issue, or one that was never defined.
    #[error("a notice number starting with {0} cannot be used here")]
    AuxDigit(u8),
    /// The segregation code is beyond those given to creditors.
    #[error("segregation code {0:02} is not one of a creditor (00 to 45)")]
    Segregation(u8),
    /// The last two digits do not follow from the others.
    #[error("the check digits of the notice number do not match the others")]
    Check,
}

/// The check digits of a notice: the 16 digits before them, read as one number, modulo 93 (0..=92), to be written
/// with two digits (SACI 3.2.1).
pub const fn check_digits(before: u64) -> u8 {
    // Below 93, so the narrowing loses nothing.
    (before % 93) as u8
}

/// Why a text is not a segregation code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SegregationError {
    /// Not exactly two digits.
    #[error("a segregation code has exactly 2 digits")]
    Shape,
    /// 46 or above: reserved to pagoPA's central services (47, 81, 85, 96..99) or not assigned.
    #[error("segregation codes of creditors go from 00 to 45")]
    Range,
}

/// The segregation code (*codice di segregazione*), 00..=45: pagoPA assigns one to each point of a creditor that
/// generates notices (SACI 3.2.1), so that they cannot collide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegregationCode([u8; 2]);
code_traits!(shown SegregationCode, SegregationError);

impl SegregationCode {
    /// Reads two digits, 00..=45; surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`SegregationError`].
    pub fn parse(text: &str) -> Result<Self, SegregationError> {
        let code = digits(text.trim()).ok_or(SegregationError::Shape)?;
        Self::from_bytes(code).ok_or(SegregationError::Range)
    }

    fn from_bytes(code: [u8; 2]) -> Option<Self> {
        (code <= *b"45").then_some(Self(code))
    }

    /// The two digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// Why a text is not an IUV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IuvError {
    /// Neither 17 nor, for aux digit 0, 15 digits.
    #[error("an IUV has 17 digits, or 15 in old notices")]
    Shape,
}

/// The IUV (*identificativo univoco di versamento*, `creditorReferenceId`): 17 digits, or 15 under aux digit 0.
///
/// Alone it tells neither the aux digit nor, for that reason, whether its last digits are check digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iuv(Box<str>);
code_traits!(shown Iuv, IuvError);

impl Iuv {
    /// Reads 17 or 15 digits; surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`IuvError`].
    pub fn parse(text: &str) -> Result<Self, IuvError> {
        let text = text.trim();
        if digits::<17>(text).is_none() && digits::<15>(text).is_none() {
            return Err(IuvError::Shape);
        }
        Ok(Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Any number that was ever right for a pagoPA notice: aux digit 0, 1 or 2 (no longer issued since March 2023) and 3
/// with any segregation code. For reading what others print; ours are [`NoticeNumber`]s.
///
/// What the Node asks for is wider still (any 18 digits) and is no matter of this type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnyNotice([u8; 18]);
code_traits!(shown AnyNotice, NoticeError);

impl AnyNotice {
    /// Reads 18 digits and verifies the check digits where the aux digit has them (all but 1). Blanks are forgiven
    /// anywhere, as notices are printed in groups.
    ///
    /// # Errors
    /// [`NoticeError::Shape`], [`NoticeError::AuxDigit`] for 4..=9, [`NoticeError::Check`].
    pub fn parse(text: &str) -> Result<Self, NoticeError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let notice: [u8; 18] = digits(&text).ok_or(NoticeError::Shape)?;
        let [aux, ..] = notice;
        let [before @ .., _, _] = &notice;
        let [.., tens, units] = &notice;
        match aux {
            b'1' => {}
            b'0' | b'2' | b'3' => {
                if number(&[*tens, *units]) != u64::from(check_digits(number(before))) {
                    return Err(NoticeError::Check);
                }
            }
            _ => return Err(NoticeError::AuxDigit(aux.wrapping_sub(b'0'))),
        }
        Ok(Self(notice))
    }

    /// The 18 digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The aux digit, 0..=3.
    pub fn aux(&self) -> u8 {
        let [aux, ..] = self.0;
        aux.wrapping_sub(b'0')
    }

    /// The IUV: the last 15 digits under aux digit 0, else the last 17.
    pub fn iuv(&self) -> Iuv {
        let [aux, iuv @ ..] = &self.0;
        let [_, _, short @ ..] = iuv;
        Iuv(ascii(if *aux == b'0' { short } else { iuv }).into())
    }

    /// As printed on the notice: `3010 0000 0000 0042 85`.
    pub fn grouped(&self) -> String {
        in_groups(self.as_str(), 4)
    }
}

impl From<NoticeNumber> for AnyNotice {
    fn from(notice: NoticeNumber) -> Self {
        Self(notice.0)
    }
}

impl TryFrom<AnyNotice> for NoticeNumber {
    type Error = NoticeError;

    /// Takes the numbers we could have issued ourselves: aux digit 3 and a segregation code of creditors.
    fn try_from(notice: AnyNotice) -> Result<Self, NoticeError> {
        let [aux, s1, s2, ..] = notice.0;
        if aux != b'3' {
            return Err(NoticeError::AuxDigit(aux.wrapping_sub(b'0')));
        }
        let code = number(&[s1, s2]);
        SegregationCode::from_bytes([s1, s2]).ok_or(NoticeError::Segregation(u8::try_from(code).unwrap_or(u8::MAX)))?;
        Ok(Self(notice.0))
    }
}

/// A notice number we issue (*numero avviso*, NAV): aux digit 3, segregation code, 13 digits, two check digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeNumber([u8; 18]);
code_traits!(shown NoticeNumber, NoticeError);

impl NoticeNumber {
    /// Reads 18 digits and verifies them; blanks are forgiven anywhere, as notices are printed in groups.
    ///
    /// # Errors
    /// See [`NoticeError`].
    pub fn parse(text: &str) -> Result<Self, NoticeError> {
        AnyNotice::parse(text)?.try_into()
    }

    /// Reads also what is no longer issued; short for [`AnyNotice::parse`].
    ///
    /// # Errors
    /// As there.
    pub fn parse_any(text: &str) -> Result<AnyNotice, NoticeError> {
        AnyNotice::parse(text)
    }

    /// Makes a number out of eight bytes of a secure random source, so that it tells nothing and cannot be guessed.
    ///
    /// Bytes are mapped onto the 10^13 bases by a widening multiplication: some bases are likelier than others by less
    /// than one part in a million. Uniqueness is the store's business: draw again on conflict.
    pub fn issue(segregation: SegregationCode, random: [u8; 8]) -> Self {
        let mut notice = [b'3'; 18];
        let [_, s1, s2, base @ .., _, _] = &mut notice;
        [*s1, *s2] = segregation.0;
        write_number(scale(random, 10_000_000_000_000), base);
        let [before @ .., tens, units] = &mut notice;
        let mut check = [b'0'; 2];
        write_number(u64::from(check_digits(number(before))), &mut check);
        [*tens, *units] = check;
        Self(notice)
    }

    /// The 18 digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The segregation code inside.
    pub fn segregation(&self) -> SegregationCode {
        let [_, s1, s2, ..] = self.0;
        SegregationCode([s1, s2])
    }

    /// The IUV: all but the aux digit.
    pub fn iuv(&self) -> Iuv {
        AnyNotice::from(*self).iuv()
    }

    /// As printed on the notice: `3010 0000 0000 0042 85`.
    pub fn grouped(&self) -> String {
        in_groups(self.as_str(), 4)
    }
}

/// Why a text is not that of a notice's QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QrError {
    /// Not `PAGOPA|002|` and three more fields.
    #[error("this is not the QR code of a pagoPA notice")]
    Format,
    /// The notice number is wrong.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// The creditor's code is not eleven digits.
    #[error("the creditor in the QR code is not an 11-digit code")]
    Creditor,
    /// The amount is not 2 to 11 digits.
    #[error("the amount in the QR code is not 2 to 11 digits")]
    AmountShape,
    /// The amount is not payable.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// The content of a notice's QR code, `PAGOPA|002|<notice>|<creditor>|<cents>` (payment-notice guide 3.3). `Display`
/// writes it: at most 53 bytes, which a version 4-M symbol holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QrText {
    /// The notice to pay.
    pub notice: AnyNotice,
    /// The creditor it is owed to; any eleven digits, as in pagoPA's test environment.
    pub creditor: CreditorCode,
    /// What was due when the notice was printed.
    pub amount: Amount,
}

impl QrText {
    /// The content for one notice.
    pub fn new(notice: impl Into<AnyNotice>, creditor: CreditorCode, amount: Amount) -> Self {
        Self { notice: notice.into(), creditor, amount }
    }

    /// Reads what a scanner gives; surrounding blanks are forgiven and the amount may be zero padded, as the guide's
    /// data model shows it.
    ///
    /// # Errors
    /// See [`QrError`].
    pub fn parse(text: &str) -> Result<Self, QrError> {
        let mut fields = text.trim().split('|');
        let mut next = || fields.next().ok_or(QrError::Format);
        let (identifier, version) = (next()?, next()?);
        let (notice, creditor, amount) = (next()?, next()?, next()?);
        if identifier != "PAGOPA" || version != "002" || fields.next().is_some() {
            return Err(QrError::Format);
        }
        if !(2..=11).contains(&amount.len()) || !amount.bytes().all(|c| c.is_ascii_digit()) {
            return Err(QrError::AmountShape);
        }
        let cents = i64::try_from(number(amount.as_bytes())).map_err(|_| QrError::AmountShape)?;
        Ok(Self {
            notice: AnyNotice::parse(notice)?,
            creditor: CreditorCode::from_digits(creditor).map_err(|_| QrError::Creditor)?,
            amount: Amount::from_cents(cents)?,
        })
    }
}

impl fmt::Display for QrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { notice, creditor, amount } = self;
        write!(f, "PAGOPA|002|{notice}|{creditor}|{:02}", amount.cents())
    }
}

impl FromStr for QrText {
    type Err = QrError;

    fn from_str(text: &str) -> Result<Self, QrError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for QrText {
    type Error = QrError;

    fn try_from(text: String) -> Result<Self, QrError> {
        Self::parse(&text)
    }
}

/// Why a text is not a postal account number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PostalAccountError {
    /// Not 1 to 12 digits.
    #[error("a postal account number has 1 to 12 digits")]
    Shape,
}

/// A postal account number (*conto corrente postale*): 1 to 12 digits, kept as written.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostalAccount(Box<str>);
code_traits!(shown PostalAccount, PostalAccountError);

impl PostalAccount {
    /// Reads an account number; surrounding blanks are forgiven.
    ///
    /// # Errors
    /// See [`PostalAccountError`].
    pub fn parse(text: &str) -> Result<Self, PostalAccountError> {
        let text = text.trim();
        if !(1..=12).contains(&text.len()) || !text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(PostalAccountError::Shape);
        }
        Ok(Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The largest amount a postal bill can carry, in cents: its field has ten digits.
pub const MAX_POSTAL_CENTS: i64 = 9_999_999_999;

/// Why a postal bill cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DataMatrixError {
    /// Above [`MAX_POSTAL_CENTS`].
    #[error("a postal bill carries at most 99999999.99 euro")]
    AmountTooLarge,
}

/// What the Data Matrix of a postal bill (*bollettino PA*, document type 896) says.
#[derive(Clone, Copy)]
pub struct PostalBill<'a> {
    /// The notice to pay.
    pub notice: &'a NoticeNumber,
    /// The creditor's postal account.
    pub account: &'a PostalAccount,
    /// What is due; at most [`MAX_POSTAL_CENTS`].
    pub amount: Amount,
    /// The creditor.
    pub creditor: &'a CreditorCode,
    /// The debtor's tax code, when known.
    pub debtor_code: Option<&'a PersonalCode>,
    /// The debtor's name; the first 40 characters count.
    pub debtor_name: &'a str,
    /// The payment's subject; the first 110 characters count.
    pub subject: &'a str,
}

/// The 256 characters of the Data Matrix of a postal bill.
///
/// The layout agrees across pagoPA's generator, the decoder of the IO app and a second open generator; Poste's own
/// manual was not available. Name and subject are upper-cased and written in plain ASCII (`è` becomes `E`); what has no
/// plain form becomes a blank, and what is too long is cut.
///
/// # Errors
/// [`DataMatrixError::AmountTooLarge`], and nothing else.
pub fn data_matrix(bill: &PostalBill<'_>) -> Result<String, DataMatrixError> {
    let cents = bill.amount.cents();
    if cents > MAX_POSTAL_CENTS {
        return Err(DataMatrixError::AmountTooLarge);
    }
    Ok(format!(
        "codfase=NBPA;18{notice}12{account:0>12}10{cents:010}38961P1{creditor}{code:16}{name:40}{subject:110}{:12}A",
        "",
        notice = bill.notice,
        account = bill.account,
        creditor = bill.creditor,
        code = bill.debtor_code.map_or("", PersonalCode::as_str),
        name = plain(bill.debtor_name, 40),
        subject = plain(bill.subject, 110),
    ))
}

/// At most `length` characters of `text` in the set every payment system prints: capitals, digits, blank and
/// `' ( ) + , - . / : ?`.
fn plain(text: &str, length: usize) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(|c| plain_char(c).chars()).take(length).collect()
}

/// The plain form of one upper-case character; German umlauts as in South Tyrol's registers.
fn plain_char(c: char) -> &'static str {
    const KEPT: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 '()+,-./:?";
    if let Some(at) = KEPT.find(c) {
        return KEPT.get(at..=at).unwrap_or(" ");
    }
    match c {
        'Ä' | 'Æ' => "AE",
        'Ö' | 'Œ' => "OE",
        'Ü' => "UE",
        'ẞ' => "SS",
        'Þ' => "TH",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'Ď' | 'Đ' | 'Ð' => "D",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' | 'Ə' => "E",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'Ĥ' | 'Ħ' => "H",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I",
        'Ĵ' => "J",
        'Ķ' => "K",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S",
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => "T",
        'Ù' | 'Ú' | 'Û' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U",
        'Ŵ' => "W",
        'Ý' | 'Ŷ' | 'Ÿ' => "Y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        '‘' | '’' | 'ʼ' | '´' | '`' => "'",
        '‐'..='―' => "-",
        '€' => "EUR",
        // Combining marks: their letter has been written already.
        '\u{300}'..='\u{36f}' => "",
        _ => " ",
    }
}
