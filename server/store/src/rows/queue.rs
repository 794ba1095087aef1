//! What waits for the office, and what it decided.

use borsellino_domain::ledger::Hash;
use borsellino_domain::money::Cents;
use borsellino_domain::queue::{Action, Queue};
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A message to be kept for the office.
#[derive(Clone)]
pub struct KeptMessage {
    /// `quarantine` or `anomaly`.
    pub queue: &'static str,
    /// Of its bytes.
    pub message_digest: Hash,
    /// Why, naming elements and keys, never their content.
    pub why: String,
    /// Now.
    pub received_at: Millis,
    /// The key it is sealed with.
    pub key_id: String,
    /// The message, sealed.
    pub sealed: Vec<u8>,
}

/// A receipt that waits for the office, or did.
#[derive(Clone, Debug, FromRow)]
pub struct QueuedReceiptRow {
    /// `receipt/fiscalCode`.
    pub issuer: String,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// 18 digits.
    pub notice_number: String,
    /// When it was received.
    pub received_at_ms: i64,
    /// What of it is the creditor's.
    #[sqlx(try_from = "i64")]
    pub ours_cents: Cents,
    /// Why it waits.
    pub outcome: String,
    /// Of its bytes.
    #[sqlx(try_from = "Vec<u8>")]
    pub message_digest: Hash,
}

/// A message that waits for the office, or did.
#[derive(Clone, Debug, FromRow)]
pub struct QueuedMessageRow {
    /// Where.
    #[sqlx(try_from = "String")]
    pub queue: Queue,
    /// Of its bytes.
    #[sqlx(try_from = "Vec<u8>")]
    pub message_digest: Hash,
    /// Why.
    pub why: String,
    /// When it was received.
    pub received_at_ms: i64,
}

/// What the office decided about an item of a queue.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ResolutionRow {
    /// The item's name.
    pub item: String,
    /// What is done.
    #[sqlx(try_from = "String")]
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub operator: String,
    /// When.
    pub at_ms: i64,
    /// What books it.
    pub entry: Option<Uuid>,
}

/// A message as it came, sealed.
#[derive(Clone, FromRow)]
pub struct SealedMessageRow {
    /// The key it is sealed with.
    pub key_id: String,
    /// The message.
    pub sealed: Vec<u8>,
}
