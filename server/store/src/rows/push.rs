//! Devices, their push tokens, and what is to be sent to them.

use borsellino_domain::id::SessionId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A session's push token to be kept.
#[derive(Clone)]
pub struct NewPushToken {
    /// Whose.
    pub session: SessionId,
    /// `android` or `ios`.
    pub platform: &'static str,
    /// `it`, `en` or `de`.
    pub language: &'static str,
    /// The token's keyed digest.
    pub digest: Hash,
    /// Which secret it is sealed with.
    pub key_id: String,
    /// The token, sealed.
    pub sealed: Vec<u8>,
    /// Now.
    pub registered_at: Millis,
}

/// A signed-in device.
#[derive(Clone, Debug, FromRow)]
pub struct DeviceRow {
    /// Its session.
    #[sqlx(try_from = "Uuid")]
    pub id: SessionId,
    /// What the parent calls it.
    pub device_name: String,
    /// When they signed in.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// When it last renewed its tokens.
    #[sqlx(try_from = "i64")]
    pub last_used_at_ms: Millis,
    /// 1 where it has a push token.
    pub has_push: i64,
}

/// A row of the outbox that somebody is to be told.
#[derive(Clone, Debug, FromRow)]
pub struct ToTellRow {
    /// Its id.
    pub id: Uuid,
    /// The notice it is about.
    pub notice: String,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
}

/// A device that is to be told.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct AudienceRow {
    /// Its session.
    #[sqlx(try_from = "Uuid")]
    pub session: SessionId,
    /// The number of the guardian's feed that tells the same.
    pub feed_seq: i64,
    /// 1 for whoever asked for the top-up, or whom the bill was issued to.
    pub payer: i64,
}

/// A message to one device, to be sent.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: Uuid,
    /// To which device.
    pub session: SessionId,
    /// `payment_done` or `changed`.
    pub message: &'static str,
    /// The number of the guardian's feed that tells the same.
    pub feed_seq: i64,
    /// When it happened.
    pub created_at: Millis,
    /// When it may be sent.
    pub due_at: Millis,
}

/// A message to one device, taken to be sent.
#[derive(Clone, Debug, FromRow)]
pub struct ClaimedRow {
    /// Its id.
    pub id: Uuid,
    /// To which device.
    #[sqlx(try_from = "Uuid")]
    pub session: SessionId,
    /// `payment_done` or `changed`.
    pub message: String,
    /// The number of the guardian's feed that tells the same.
    pub feed_seq: i64,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// How often it was taken, this time included.
    pub attempts: i64,
}

/// A session's push token.
#[derive(Clone, FromRow)]
pub struct PushTargetRow {
    /// Whose.
    #[sqlx(try_from = "Uuid")]
    pub session: SessionId,
    /// `android` or `ios`.
    pub platform: String,
    /// `it`, `en` or `de`.
    pub language: String,
    /// The token's keyed digest.
    #[sqlx(try_from = "Vec<u8>")]
    pub digest: Hash,
    /// Which secret it is sealed with.
    pub key_id: String,
    /// The token, sealed.
    pub sealed: Vec<u8>,
}
