//! Who is signed in, and what changed for whom.

use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A session with its guardian's standing.
#[derive(Clone, FromRow)]
pub struct SessionRow {
    /// Whose.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// Their name.
    pub full_name: String,
    /// When it was last used.
    pub last_used_at_ms: i64,
    /// The newest refresh token's digest.
    #[sqlx(try_from = "Vec<u8>")]
    pub refresh_digest: Hash,
    /// The one before it, until the newest is used.
    pub previous_digest: Option<Vec<u8>>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// When the office ended the guardian's access.
    pub disabled_at_ms: Option<i64>,
    /// The last number of the guardian's feed.
    pub feed_seq: i64,
    /// 1: the phone must keep nothing.
    pub wipe: i64,
}

/// A session to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub guardian: GuardianId,
    /// What the parent calls the device.
    pub device_name: String,
    /// Now.
    pub created_at: Millis,
    /// The refresh token's digest.
    pub refresh_digest: Hash,
}

/// How often a sign-in failed.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct FailureRow {
    /// How often since the last success.
    pub failures: i64,
    /// The last time.
    pub last_at_ms: i64,
}

/// A row of a guardian's feed.
#[derive(Clone, Debug, FromRow)]
pub struct FeedRow {
    /// Its number.
    pub seq: i64,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// The wallet that changed.
    pub wallet: Option<Uuid>,
    /// The bill that changed.
    pub bill: Option<Uuid>,
    /// The notice that did it.
    pub notice: Option<String>,
}

/// How many sessions are looked at together.
pub const TOGETHER: usize = 64;

/// Where a session and its guardian stand.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct StandingRow {
    /// Which.
    #[sqlx(try_from = "Uuid")]
    pub session: SessionId,
    /// The last number of the guardian's feed.
    pub feed_seq: i64,
    /// 1 where the session ended, or the guardian's access did.
    pub over: i64,
}
