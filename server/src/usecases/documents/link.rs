//! A short-lived address of a document: whoever has it gets that one document, until its time is over. It names nobody: it is
//! sealed, so that a log or a history shows nothing.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::Wanted;
use crate::auth::keys::Keys;

/// How long an address that the app asks for is good, in milliseconds.
pub const LINK_MILLIS: i64 = 10 * 60_000;

/// What it is sealed for.
const PURPOSE: &str = "document link";

/// The longest one.
const LONGEST: usize = 1_024;

/// Why an address leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Not one of ours, or altered.
    #[error("not an address of this server")]
    Invalid,
    /// Its time is over.
    #[error("the address has expired")]
    Expired,
}

/// What an address says.
#[derive(Serialize, Deserialize)]
struct Ticket {
    c: String,
    g: u128,
    e: i64,
    l: String,
    w: Ticked,
    /// Of the address that the letter with it went to.
    m: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum Ticked {
    N(String),
    R(String, String),
    X(String, String),
    T(String),
    C(u128, i16),
    S(u128, String, String),
}

/// Who may have what, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose.
    pub creditor: CreditorCode,
    /// For whom.
    pub guardian: GuardianId,
    /// What.
    pub wanted: Wanted,
    /// In which words.
    pub language: Language,
    letter: Option<String>,
}

impl Held {
    /// Whether it may be opened while letters go to this address: one that stands in a letter ends with the address.
    pub fn is_for(&self, email: Option<&str>) -> bool {
        self.letter.is_none() || self.letter == email.map(mark)
    }
}

/// Tells an address from another.
fn mark(email: &str) -> String {
    Hash::of(email.to_ascii_lowercase().as_bytes()).to_string().chars().take(16).collect()
}

/// An address for a guardian, good until an instant; one that goes with a letter, no longer than the letter's own address.
pub fn link(
    keys: &Keys,
    public_url: &str,
    (creditor, guardian): (CreditorCode, GuardianId),
    wanted: &Wanted,
    (language, until, letter): (Language, Millis, Option<&str>),
) -> String {
    let w = match wanted {
        Wanted::Notice(number) => Ticked::N(number.as_str().to_owned()),
        Wanted::Receipt { issuer, receipt_id } => Ticked::R(issuer.as_str().to_owned(), receipt_id.clone()),
        Wanted::Original { issuer, receipt_id } => Ticked::X(issuer.as_str().to_owned(), receipt_id.clone()),
        Wanted::Counter(number) => Ticked::T(number.as_str().to_owned()),
        Wanted::Certificate { child, year } => Ticked::C(child.uuid().as_u128(), *year),
        Wanted::Statement { wallet, from, to } => Ticked::S(wallet.uuid().as_u128(), from.to_string(), to.to_string()),
    };
    let (c, l) = (creditor.as_str().to_owned(), language.tag().to_owned());
    let ticket = Ticket { c, g: guardian.uuid().as_u128(), e: until.get(), l, w, m: letter.map(mark) };
    let body = serde_json::to_vec(&ticket).unwrap_or_default();
    // The nonce is drawn from what is sealed: the same order gives the same address, another one another nonce.
    let tag = keys.tag(&[b"borsellino.link.v1".as_slice(), &body].concat());
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    let sealed = keys.seal(PURPOSE, &body, nonce).unwrap_or_default();
    format!("{public_url}/documenti/{}", BASE64URL_NOPAD.encode(&sealed))
}

/// Reads the last part of an address.
///
/// # Errors
/// [`LinkError`].
pub fn read_link(keys: &Keys, token: &str, now: Millis) -> Result<Held, LinkError> {
    if token.len() > LONGEST {
        return Err(LinkError::Invalid);
    }
    let sealed = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| LinkError::Invalid)?;
    let body = keys.open(PURPOSE, &sealed).map_err(|_| LinkError::Invalid)?;
    let ticket: Ticket = serde_json::from_slice(&body).map_err(|_| LinkError::Invalid)?;
    if now >= Millis::new(ticket.e) {
        return Err(LinkError::Expired);
    }
    let code = |text: &str| CreditorCode::from_digits(text).map_err(|_| LinkError::Invalid);
    let day = |text: &str| text.parse().map_err(|_| LinkError::Invalid);
    let wanted = match ticket.w {
        Ticked::N(number) => Wanted::Notice(NoticeNumber::parse(&number).map_err(|_| LinkError::Invalid)?),
        Ticked::R(issuer, receipt_id) => Wanted::Receipt { issuer: code(&issuer)?, receipt_id },
        Ticked::X(issuer, receipt_id) => Wanted::Original { issuer: code(&issuer)?, receipt_id },
        Ticked::T(number) => Wanted::Counter(NoticeNumber::parse(&number).map_err(|_| LinkError::Invalid)?),
        Ticked::C(child, year) => Wanted::Certificate { child: Uuid::from_u128(child).into(), year },
        Ticked::S(wallet, from, to) => {
            Wanted::Statement { wallet: Uuid::from_u128(wallet).into(), from: day(&from)?, to: day(&to)? }
        }
    };
    let language = Language::from_tag(&ticket.l);
    let (creditor, guardian) = (code(&ticket.c)?, Uuid::from_u128(ticket.g).into());
    Ok(Held { creditor, guardian, wanted, language, letter: ticket.m })
}
