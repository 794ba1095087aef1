//! Accounts of guardians: codes from the office, forgotten passwords.

use std::fmt;

use borsellino_domain::id::GuardianId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A guardian as the office knows them.
#[derive(Clone, FromRow)]
pub struct AccountHolderRow {
    /// Who.
    #[sqlx(try_from = "Uuid")]
    pub id: GuardianId,
    /// What they sign in with; nothing that can be typed before they have registered.
    pub username: String,
    /// Their name.
    pub full_name: String,
    /// Their tax code.
    pub fiscal_code: String,
    /// Their address, if known.
    pub email: Option<String>,
    /// argon2id in PHC form; `None` before they have registered.
    pub password_hash: Option<String>,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
    /// The number of the last row of their feed.
    pub feed_seq: i64,
}

/// What it holds is personal.
impl fmt::Debug for AccountHolderRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountHolderRow({:?})", self.id)
    }
}

/// The code that the office gave to a guardian last.
#[derive(Clone, Debug, FromRow)]
pub struct OfficeCodeRow {
    /// Its digest.
    #[sqlx(try_from = "Vec<u8>")]
    pub digest: Hash,
    /// Until when it is good.
    #[sqlx(try_from = "i64")]
    pub expires_at_ms: Millis,
    /// How often a wrong one was tried.
    pub tries: i64,
    /// When it was used.
    pub used_at_ms: Option<i64>,
}

/// A recovery to be opened.
#[derive(Clone)]
pub struct NewRecovery {
    /// Its id.
    pub id: Uuid,
    /// Whose; `None` where there is no such account.
    pub guardian: Option<GuardianId>,
    /// Of its token.
    pub digest: Hash,
    /// What whoever asks calls their device.
    pub device_name: String,
    /// The two digits that it shows.
    pub number: String,
    /// `it`, `en`, `de`.
    pub language: &'static str,
    /// When it was asked for.
    pub asked_at: Millis,
    /// Until when it can be finished.
    pub expires_at: Millis,
    /// Whether a letter is to be sent.
    pub letter: bool,
}

/// A recovery.
#[derive(Clone, Debug, FromRow)]
pub struct RecoveryRow {
    /// Its id.
    pub id: Uuid,
    /// Whose; `None` where there is no such account.
    pub guardian: Option<Uuid>,
    /// Of its token.
    #[sqlx(try_from = "Vec<u8>")]
    pub digest: Hash,
    /// What whoever asks calls their device.
    pub device_name: String,
    /// The two digits that it shows.
    pub number: String,
    /// When it was asked for.
    #[sqlx(try_from = "i64")]
    pub asked_at_ms: Millis,
    /// Until when it can be finished.
    #[sqlx(try_from = "i64")]
    pub expires_at_ms: Millis,
    /// Wrong proofs.
    pub tries: i64,
    /// When a code of the office proved it.
    pub office_at_ms: Option<i64>,
    /// When the code in a letter proved it.
    pub email_at_ms: Option<i64>,
    /// When a device confirmed it.
    pub device_at_ms: Option<i64>,
    /// When it was denied or overtaken.
    pub ended_at_ms: Option<i64>,
    /// When the new password was set.
    pub finished_at_ms: Option<i64>,
    /// Of the code in the letter that was sent last.
    pub email_digest: Option<Vec<u8>>,
}

/// Which proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// A code of the office.
    Office,
    /// The code in a letter.
    Email,
    /// A device that is signed in.
    Device,
}

/// A letter that was taken to be sent.
#[derive(Clone, FromRow)]
pub struct RecoveryLetterRow {
    /// Of which recovery.
    pub id: Uuid,
    /// Whose.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// `it`, `en`, `de`.
    pub language: String,
    /// Until when the recovery can be finished.
    #[sqlx(try_from = "i64")]
    pub expires_at_ms: Millis,
    /// How often it was taken, this time included.
    pub mail_attempts: i64,
}
