//! Why a call was refused, on the wire: a gRPC status that carries `google.rpc.ErrorInfo` and a localized sentence.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use crate::v1::Reason;

/// The domain of every `ErrorInfo` of ours.
pub const ERROR_DOMAIN: &str = "borsellino";

/// A refusal as both sides see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why: the app switches on it.
    pub reason: Reason,
    /// The limit that was passed, in cents, where the reason names one.
    pub limit_cents: Option<i64>,
    /// How long to wait before trying again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Which field is malformed.
    pub field: Option<String>,
    /// Which rule for passwords is broken, as it travels.
    pub rule: Option<String>,
    /// A sentence for the parent, in the language asked for.
    pub sentence: String,
}

impl Refused {
    /// A refusal with nothing but its reason and sentence.
    pub fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self { reason, limit_cents: None, retry_after_ms: None, field: None, rule: None, sentence: sentence.into() }
    }

    /// The status that carries it; `language` is the sentence's tag.
    pub fn to_status(&self, language: &str) -> Status {
        let mut metadata = HashMap::new();
        if let Some(cents) = self.limit_cents {
            metadata.insert("limit_cents".to_owned(), cents.to_string());
        }
        if let Some(millis) = self.retry_after_ms {
            metadata.insert("retry_after_ms".to_owned(), millis.to_string());
        }
        if let Some(field) = &self.field {
            metadata.insert("field".to_owned(), field.clone());
        }
        if let Some(rule) = &self.rule {
            metadata.insert("rule".to_owned(), rule.clone());
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(name(self.reason), ERROR_DOMAIN, metadata);
        details.set_localized_message(language, &self.sentence);
        if let Some(millis) = self.retry_after_ms {
            details.set_retry_info(Some(Duration::from_millis(millis)));
        }
        Status::with_error_details(code(self.reason), name(self.reason), details)
    }

    /// Reads a status of ours; `None` where it carries none of our reasons (a proxy, a time-out, another server).
    pub fn from_status(status: &Status) -> Option<Self> {
        // One by one: reading every kind of detail there is would be compiled into each phone.
        let info = status.get_details_error_info()?;
        if info.domain != ERROR_DOMAIN {
            return None;
        }
        let reason = Reason::from_str_name(&format!("REASON_{}", info.reason)).unwrap_or(Reason::Unspecified);
        Some(Self {
            reason,
            limit_cents: info.metadata.get("limit_cents").and_then(|text| text.parse().ok()),
            retry_after_ms: info.metadata.get("retry_after_ms").and_then(|text| text.parse().ok()),
            field: info.metadata.get("field").cloned(),
            rule: info.metadata.get("rule").cloned(),
            sentence: status.get_details_localized_message().map(|text| text.message).unwrap_or_default(),
        })
    }
}

/// `ABOVE_MAXIMUM`.
fn name(reason: Reason) -> &'static str {
    let full = reason.as_str_name();
    full.strip_prefix("REASON_").unwrap_or(full)
}

/// The status code of each reason, as the proto file promises.
pub const fn code(reason: Reason) -> Code {
    match reason {
        Reason::Malformed
        | Reason::AmountInvalid
        | Reason::OfficeCodeMistyped
        | Reason::UsernameInvalid
        | Reason::AddressInvalid
        | Reason::PasswordRefused => Code::InvalidArgument,
        Reason::UnknownActivationCode
        | Reason::UnknownWallet
        | Reason::UnknownBill
        | Reason::UnknownTopUp
        | Reason::UnknownNotice
        | Reason::UnknownChild
        | Reason::UnknownDevice => Code::NotFound,
        Reason::WrongCredentials | Reason::TokenInvalid | Reason::SessionEnded | Reason::SessionWiped => {
            Code::Unauthenticated
        }
        Reason::TryLater | Reason::TooManyOpen | Reason::PrinterBusy | Reason::MailLimit => Code::ResourceExhausted,
        Reason::WalletClosed
        | Reason::BillSettled
        | Reason::NoticeNotPayable
        | Reason::PaymentInProgress
        | Reason::NotPaid
        | Reason::NotSealedYet
        | Reason::AlreadyRegistered
        | Reason::NothingPaid
        | Reason::Unprintable
        | Reason::NoAddress
        | Reason::AddressBounced
        | Reason::NoMail
        | Reason::RecoveryEnded
        | Reason::RecoveryIncomplete => Code::FailedPrecondition,
        Reason::OfficeCodeRefused | Reason::ProofRefused | Reason::ReceiptWithheld => Code::PermissionDenied,
        Reason::IdReused | Reason::UsernameTaken => Code::AlreadyExists,
        Reason::BelowMinimum
        | Reason::AboveMaximum
        | Reason::AboveWalletMaximum
        | Reason::YearInvalid
        | Reason::PeriodInvalid => Code::OutOfRange,
        Reason::Unavailable => Code::Unavailable,
        Reason::Internal => Code::Internal,
        Reason::Unspecified => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_wire() {
        let refused = Refused {
            limit_cents: Some(20_000),
            retry_after_ms: Some(1_500),
            field: Some("amount_cents".into()),
            ..Refused::new(Reason::AboveMaximum, "Al massimo 200,00 € per volta.")
        };
        let status = refused.to_status("it");
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(Refused::from_status(&status), Some(refused));
        assert_eq!(Refused::from_status(&Status::cancelled("Timeout expired")), None);
    }
}
