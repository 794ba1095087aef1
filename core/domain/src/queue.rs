//! What waits for the office: money whose place is not sure, and messages nobody could read. An item is decided once,
//! with a reason, and never deleted.

use std::fmt;

use crate::ledger::{Hash, coded};
use crate::receipt::{NothingReason, SuspenseReason};

coded! {
    /// Where an item waits.
    Queue, "queue" {
        /// A second real payment of a notice that was settled: its money is in suspense.
        Double = "double",
        /// Other money in suspense.
        Suspense = "suspense",
        /// A message that could not be read as a receipt.
        Quarantine = "quarantine",
        /// A receipt that contradicts another one, says that no money of ours moved, or fits no ledger.
        Anomaly = "anomaly",
    }
}

impl Queue {
    /// Where a receipt with this outcome waits; `None` where its money has found its place.
    pub fn of_outcome(outcome: &str) -> Option<Self> {
        if let Ok(reason) = SuspenseReason::try_from(outcome.to_owned()) {
            let double = reason == SuspenseReason::DoublePayment;
            return Some(if double { Self::Double } else { Self::Suspense });
        }
        NothingReason::try_from(outcome.to_owned()).is_ok().then_some(Self::Anomaly)
    }
}

coded! {
    /// What the office decided.
    Action, "action" {
        /// The money belongs to a wallet.
        BookedToWallet = "booked_to_wallet",
        /// The money belongs to a bill.
        BookedToBill = "booked_to_bill",
        /// The money has to be paid back; it stays in suspense until then.
        Refund = "refund",
        /// Nothing is to be done.
        Dismissed = "dismissed",
    }
}

/// The name of an item, for people to copy: `r-ISSUER-RECEIPTID` is a receipt, `m-QUEUE-DIGEST` a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A receipt of the creditor's.
    Receipt {
        /// `receipt/fiscalCode`.
        issuer: String,
        /// `receipt/receiptId`.
        receipt_id: String,
    },
    /// A kept message.
    Message {
        /// Where.
        queue: Queue,
        /// Of its bytes.
        digest: Hash,
    },
}

impl Item {
    /// Reads a name; `None` for what is none.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((issuer, receipt_id)) = name.strip_prefix("r-").and_then(|rest| rest.split_once('-')) {
            return Some(Self::Receipt { issuer: issuer.to_owned(), receipt_id: receipt_id.to_owned() });
        }
        let (queue, digits) = name.strip_prefix("m-")?.split_once('-')?;
        let queue = Queue::try_from(queue.to_owned()).ok()?;
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self::Message { queue, digest: Hash(digest) })
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receipt { issuer, receipt_id } => write!(f, "r-{issuer}-{receipt_id}"),
            Self::Message { queue, digest } => {
                write!(f, "m-{}-", queue.code())?;
                digest.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_waits_where_the_office_looks_for_it() {
        for (outcome, queue) in [
            ("wallet", None),
            ("bill", None),
            ("double_payment", Some(Queue::Double)),
            ("unknown_notice", Some(Queue::Suspense)),
            ("shared_payment", Some(Queue::Suspense)),
            ("wallet_closed", Some(Queue::Suspense)),
            ("bill_cancelled", Some(Queue::Suspense)),
            ("transfers_differ", Some(Queue::Suspense)),
            ("reference_differs", Some(Queue::Suspense)),
            ("account_full", Some(Queue::Suspense)),
            ("outcome_ko", Some(Queue::Anomaly)),
            ("nothing_ours", Some(Queue::Anomaly)),
            ("overflow", Some(Queue::Anomaly)),
        ] {
            assert_eq!(Queue::of_outcome(outcome), queue, "{outcome}");
        }
    }

    #[test]
    fn items_have_names_to_copy() {
        let receipt = Item::Receipt { issuer: "99900010010".to_owned(), receipt_id: "ab-12".to_owned() };
        assert_eq!(receipt.to_string(), "r-99900010010-ab-12");
        assert_eq!(Item::parse("r-99900010010-ab-12"), Some(receipt));
        let message = Item::Message { queue: Queue::Quarantine, digest: Hash([0xab; 32]) };
        assert_eq!(message.to_string(), format!("m-quarantine-{}", "ab".repeat(32)));
        assert_eq!(Item::parse(&message.to_string()), Some(message));
        for wrong in
            ["", "r-1", "x-1-2", "m-quarantine-ab", "m-nowhere-00", &format!("m-anomaly-{}", "\u{e8}".repeat(32))]
        {
            assert_eq!(Item::parse(wrong), None, "{wrong}");
        }
    }
}
