//! What can go wrong, for the app to switch on, and back into the core's terms for its sentence.

use borsellino_core as core;
use core::{InProgress, Millis, Refusal};
use thiserror::Error;

use crate::secure_store::SecureStoreError;

/// Why something could not be done. `errorSentence` tells the parent; carries no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Error, uniffi::Error)]
pub enum BorsellinoError {
    /// The server was not reached: nothing was sent, or nothing that matters.
    #[error("the server is not reachable")]
    Offline,
    /// Sent, but no answer came. Doing it again is safe.
    #[error("no answer: the outcome is unknown")]
    OutcomeUnknown,
    /// Something answered that is not a Borsellino server: a captive portal, a proxy, another program.
    #[error("what answered is not a Borsellino server")]
    NotOurServer,
    /// The server's certificate is not valid at this moment: often the phone's date is wrong.
    #[error("the server's certificate is not valid now; is the phone's date right?")]
    CertificateTime,
    /// The server does not know this call yet.
    #[error("the server is older than this app")]
    OlderServer,
    /// The server understood and said no; or it would, which was found before asking.
    #[error("refused: {refusal}")]
    Refused {
        /// Why, and the sentence for the parent.
        refusal: Refusal,
    },
    /// Nobody is signed in, or the session ended: sign in again.
    #[error("signed out")]
    SignedOut,
    /// What was typed or passed is not of its form; nothing was sent.
    #[error("invalid {what}")]
    Invalid {
        /// Which input.
        what: InvalidInput,
    },
    /// The phone's Keychain or Keystore.
    #[error("secure store: {why}")]
    SecureStore {
        /// What it answered.
        why: SecureStoreError,
    },
    /// The phone's cache.
    #[error("cache: {why}")]
    Cache {
        /// What its file did.
        why: CacheProblem,
    },
    /// The system gave no random bytes.
    #[error("no secure randomness")]
    NoRandomness,
    /// The session was ended from afar, because the phone was said to be lost: nothing of the account is left on it.
    #[error("signed out from afar, and emptied")]
    Wiped,
    /// A payment of the same is under way: paying now may be paying twice.
    #[error("already being paid")]
    BeingPaid {
        /// Until when, and the page that is open for it.
        warning: InProgress,
    },
    /// The app core was shut down.
    #[error("shut down")]
    Closed,
}

/// What is being paid already. Asking again helps once `until` is over, by the server's clock, not the phone's.
#[uniffi::remote(Record)]
pub struct InProgress {
    /// Until when not to pay again; nothing where the server did not say.
    pub until: Option<Millis>,
    /// The page that is open for it: whoever has not paid yet goes on there.
    pub checkout_url: Option<String>,
    /// For the parent, in the app's language.
    pub sentence: String,
}

/// Which input is not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, uniffi::Enum)]
pub enum InvalidInput {
    /// Not `https://host[:port]` (`http` is for the loopback only: tokens travel on it).
    #[error("server address")]
    ServerUrl,
    /// Not ten digits.
    #[error("activation code")]
    ActivationCode,
    /// Not an 11-digit code of a creditor.
    #[error("creditor code")]
    Creditor,
    /// No account of this phone.
    #[error("account")]
    Account,
    /// No top-up that this phone knows of.
    #[error("top-up")]
    TopUp,
    /// No bill or instalment that this phone knows of with something to pay under a notice.
    #[error("bill")]
    Bill,
    /// Nothing to pay, or one thing twice.
    #[error("items")]
    Items,
    /// Not a codice fiscale.
    #[error("fiscal code")]
    FiscalCode,
    /// Not the eight digits of an e-mail.
    #[error("e-mail code")]
    EmailCode,
    /// Not the two digits that another device shows.
    #[error("number")]
    Number,
    /// Not a registration token of Firebase's.
    #[error("push token")]
    PushToken,
    /// Not an id that the app core handed out.
    #[error("id")]
    Id,
    /// No amount that pagoPA can carry: 0.01 to 999999.99 euro.
    #[error("amount")]
    Amount,
}

/// What the cache's file did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, uniffi::Enum)]
pub enum CacheProblem {
    /// The phone is full.
    #[error("the storage is full")]
    Full,
    /// The file is damaged; it is rebuilt when the app core is opened again.
    #[error("the file is damaged")]
    Corrupt,
    /// A row does not open with this key.
    #[error("a row does not open with this key")]
    Sealed,
    /// The folder or file can't be read or written.
    #[error("the file can't be used")]
    Io,
    /// Any other answer of SQLite.
    #[error("SQLite code {code}")]
    Sqlite {
        /// Its extended result code.
        code: i32,
    },
}

impl From<core::Error> for BorsellinoError {
    fn from(error: core::Error) -> Self {
        match error {
            core::Error::Offline => Self::Offline,
            core::Error::OutcomeUnknown => Self::OutcomeUnknown,
            core::Error::NotOurServer => Self::NotOurServer,
            core::Error::CertificateTime => Self::CertificateTime,
            core::Error::OlderServer => Self::OlderServer,
            core::Error::Refused(refusal) => Self::Refused { refusal },
            core::Error::SignedOut => Self::SignedOut,
            core::Error::Invalid(what) => Self::Invalid { what: what.into() },
            core::Error::SecureStore(why) => Self::SecureStore { why: why.into() },
            core::Error::Cache(why) => Self::Cache { why: why.into() },
            core::Error::NoRandomness => Self::NoRandomness,
            core::Error::Wiped => Self::Wiped,
            core::Error::InProgress(warning) => Self::BeingPaid { warning: *warning },
            core::Error::Closed => Self::Closed,
        }
    }
}

impl From<BorsellinoError> for core::Error {
    fn from(error: BorsellinoError) -> Self {
        match error {
            BorsellinoError::Offline => Self::Offline,
            BorsellinoError::OutcomeUnknown => Self::OutcomeUnknown,
            BorsellinoError::NotOurServer => Self::NotOurServer,
            BorsellinoError::CertificateTime => Self::CertificateTime,
            BorsellinoError::OlderServer => Self::OlderServer,
            BorsellinoError::Refused { refusal } => Self::Refused(refusal),
            BorsellinoError::SignedOut => Self::SignedOut,
            BorsellinoError::Invalid { what } => Self::Invalid(what.into()),
            BorsellinoError::SecureStore { why } => Self::SecureStore(why.into()),
            BorsellinoError::Cache { why } => Self::Cache(why.into()),
            BorsellinoError::NoRandomness => Self::NoRandomness,
            BorsellinoError::Wiped => Self::Wiped,
            BorsellinoError::BeingPaid { warning } => Self::InProgress(Box::new(warning)),
            BorsellinoError::Closed => Self::Closed,
        }
    }
}

impl From<core::Invalid> for InvalidInput {
    fn from(what: core::Invalid) -> Self {
        match what {
            core::Invalid::ServerUrl => Self::ServerUrl,
            core::Invalid::ActivationCode => Self::ActivationCode,
            core::Invalid::Creditor => Self::Creditor,
            core::Invalid::Account => Self::Account,
            core::Invalid::TopUp => Self::TopUp,
            core::Invalid::Bill => Self::Bill,
            core::Invalid::Items => Self::Items,
            core::Invalid::FiscalCode => Self::FiscalCode,
            core::Invalid::EmailCode => Self::EmailCode,
            core::Invalid::Number => Self::Number,
            core::Invalid::PushToken => Self::PushToken,
        }
    }
}

impl From<InvalidInput> for core::Invalid {
    fn from(what: InvalidInput) -> Self {
        match what {
            InvalidInput::ServerUrl => Self::ServerUrl,
            InvalidInput::ActivationCode => Self::ActivationCode,
            InvalidInput::Creditor => Self::Creditor,
            InvalidInput::Account => Self::Account,
            InvalidInput::Bill => Self::Bill,
            InvalidInput::Items => Self::Items,
            InvalidInput::FiscalCode => Self::FiscalCode,
            InvalidInput::EmailCode => Self::EmailCode,
            InvalidInput::Number => Self::Number,
            InvalidInput::PushToken => Self::PushToken,
            // The core takes these parsed and has no word of its own for them; its sentence is the same for all three.
            InvalidInput::TopUp | InvalidInput::Id | InvalidInput::Amount => Self::TopUp,
        }
    }
}

impl From<core::CacheError> for CacheProblem {
    fn from(why: core::CacheError) -> Self {
        match why {
            core::CacheError::Full => Self::Full,
            core::CacheError::Corrupt => Self::Corrupt,
            core::CacheError::Sealed => Self::Sealed,
            core::CacheError::Io => Self::Io,
            core::CacheError::Sqlite(code) => Self::Sqlite { code },
        }
    }
}

impl From<CacheProblem> for core::CacheError {
    fn from(why: CacheProblem) -> Self {
        match why {
            CacheProblem::Full => Self::Full,
            CacheProblem::Corrupt => Self::Corrupt,
            CacheProblem::Sealed => Self::Sealed,
            CacheProblem::Io => Self::Io,
            CacheProblem::Sqlite { code } => Self::Sqlite(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_comes_through_and_back() {
        let refusal = Refusal {
            reason: core::Reason::BelowMinimum,
            sentence: "Almeno 5,00 \u{20ac}.".to_owned(),
            limit_cents: Some(500),
            retry_after_ms: Some(1),
            is_final: true,
            rule: Some(core::PasswordRule::Short),
        };
        let warning = InProgress {
            until: Some(core::Millis::new(1)),
            checkout_url: Some("https://page".to_owned()),
            sentence: "In corso.".to_owned(),
        };
        let mut errors = vec![
            core::Error::Offline,
            core::Error::OutcomeUnknown,
            core::Error::NotOurServer,
            core::Error::CertificateTime,
            core::Error::OlderServer,
            core::Error::Refused(refusal),
            core::Error::SignedOut,
            core::Error::NoRandomness,
            core::Error::Wiped,
            core::Error::InProgress(Box::new(warning)),
            core::Error::Closed,
        ];
        let invalid = [
            core::Invalid::ServerUrl,
            core::Invalid::ActivationCode,
            core::Invalid::Creditor,
            core::Invalid::Account,
            core::Invalid::TopUp,
            core::Invalid::Bill,
            core::Invalid::Items,
            core::Invalid::FiscalCode,
            core::Invalid::EmailCode,
            core::Invalid::Number,
            core::Invalid::PushToken,
        ];
        errors.extend(invalid.map(core::Error::Invalid));
        let stores = [core::SecureStoreError::Locked, core::SecureStoreError::Denied, core::SecureStoreError::Failed];
        errors.extend(stores.map(core::Error::SecureStore));
        let caches = [
            core::CacheError::Full,
            core::CacheError::Corrupt,
            core::CacheError::Sealed,
            core::CacheError::Io,
            core::CacheError::Sqlite(2_067),
        ];
        errors.extend(caches.map(core::Error::Cache));
        for error in errors {
            let there = BorsellinoError::from(error.clone());
            assert_eq!(there.to_string(), error.to_string());
            assert_eq!(core::Error::from(there), error);
        }
    }
}
