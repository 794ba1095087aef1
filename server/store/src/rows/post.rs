//! Letters by e-mail, the links in them, and who wants what.

use borsellino_domain::id::GuardianId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A letter to be sent.
#[derive(Clone)]
pub struct NewLetter {
    /// Its id.
    pub id: Uuid,
    /// To whom, or on whose order.
    pub guardian: GuardianId,
    /// `notice`, `payment_done`, `low_balance` or `account`.
    pub kind: &'static str,
    /// The notice's number, the wallet's id, or what happened to the account.
    pub about: String,
    /// `it`, `en`, `de`; `None` for the guardian's own.
    pub language: Option<&'static str>,
    /// When that happened.
    pub at: Millis,
    /// The name of the key and the sealed address, where it is not the one on file.
    pub elsewhere: Option<(String, Vec<u8>)>,
    /// Now.
    pub created_at: Millis,
}

/// A letter that was taken to be sent.
#[derive(Clone, FromRow)]
pub struct ClaimedLetterRow {
    /// Its id.
    pub id: Uuid,
    /// To whom, or on whose order.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// `notice`, `payment_done`, `low_balance` or `account`.
    pub kind: String,
    /// The notice's number, the wallet's id, or what happened to the account.
    pub about: String,
    /// `it`, `en`, `de`.
    pub language: String,
    /// When that happened.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// 1: to another address than the one on file.
    pub elsewhere: i64,
    /// That address, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When it was laid.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// How often it was taken, this time included.
    pub attempts: i64,
}

/// A letter in the log.
#[derive(Clone, Debug, FromRow)]
pub struct LetterRow {
    /// Its id.
    pub id: Uuid,
    /// To whom, or on whose order.
    pub guardian: Uuid,
    /// `notice`, `payment_done`, `low_balance` or `account`.
    pub kind: String,
    /// The notice's number, the wallet's id, or what happened to the account.
    pub about: String,
    /// 1: to another address than the one on file.
    pub elsewhere: i64,
    /// When it was laid.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// How often it was taken.
    pub attempts: i64,
    /// What was answered last.
    pub last_code: Option<String>,
    /// What became of it; `None` while it is to be sent.
    pub outcome: Option<String>,
    /// When.
    pub done_at_ms: Option<i64>,
    /// When it came back.
    pub bounced_at_ms: Option<i64>,
}

/// Where somebody's letters go, and whether they may.
#[derive(Clone, FromRow)]
pub struct MailTargetRow {
    /// The address on file.
    pub email: Option<String>,
    /// Since when nobody is there.
    pub email_bounced_at_ms: Option<i64>,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
    /// 1: they do not want letters of this kind.
    pub off: i64,
}

/// A letter that came back.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct BouncedRow {
    /// To whom, or on whose order.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// 1: it went to another address than the one on file.
    pub elsewhere: i64,
    /// When it was laid.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
}

/// A guardian whose address nobody is at.
#[derive(Clone, FromRow)]
pub struct BouncedGuardianRow {
    /// Their name.
    pub full_name: String,
    /// Since when it is known.
    #[sqlx(try_from = "i64")]
    pub email_bounced_at_ms: Millis,
}

/// A link to pay.
#[derive(Clone, Debug, FromRow)]
pub struct PayLinkRow {
    /// The notice.
    pub notice: String,
    /// Until when it is good.
    pub expires_at_ms: Option<i64>,
    /// When it was taken back.
    pub revoked_at_ms: Option<i64>,
}

/// A notice that somebody had sent, as it is kept.
#[derive(Clone, Debug)]
pub struct NewMailedNotice {
    /// The letter's id.
    pub id: Uuid,
    /// On whose order.
    pub guardian: GuardianId,
    /// Which.
    pub notice: String,
    /// Now.
    pub at: Millis,
    /// The keyed digest of the address, where it is not the one on file.
    pub address_digest: Option<Hash>,
}

/// A link to pay, to be kept.
#[derive(Clone, Debug)]
pub struct NewPayLink {
    /// Of its token.
    pub digest: Hash,
    /// The notice.
    pub notice: String,
    /// Now.
    pub created_at: Millis,
    /// Until when it is good.
    pub expires_at: Option<Millis>,
    /// What its token is made of.
    pub id: Uuid,
    /// Who made it.
    pub guardian: GuardianId,
    /// `letter` or `page`.
    pub made_by: &'static str,
}

/// A pay link that is good, as whoever made it sees it.
#[derive(Clone, Debug, FromRow)]
pub struct OwnPayLinkRow {
    /// What its token is made of.
    pub id: Uuid,
    /// `letter` or `page`.
    pub made_by: String,
    /// Since when.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
}

/// A wallet that runs low.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct LowWalletRow {
    /// Which.
    pub wallet: Uuid,
    /// How many movements it has.
    pub seq: i64,
}

/// A wallet as a letter speaks of it.
#[derive(Clone, FromRow)]
pub struct LetterWalletRow {
    /// The child's first name.
    pub child: String,
    /// The service's name.
    pub service: String,
    /// What it holds.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// A balance below it is said to run out.
    #[sqlx(try_from = "i64")]
    pub low_mark_cents: Cents,
    /// Of one unit for this child; 0 for none.
    pub unit_price_cents: Option<i64>,
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
}

/// The receipt that a letter is about.
#[derive(Clone, Debug, FromRow)]
pub struct LetterReceiptRow {
    /// Who issued the notice.
    pub issuer: String,
    /// pagoPA's id of the payment.
    pub receipt_id: String,
    /// What was paid to this creditor.
    #[sqlx(try_from = "i64")]
    pub ours_cents: Cents,
    /// Where the money went.
    pub outcome: String,
    /// The entry that booked it.
    pub entry: Option<Uuid>,
}

/// How documents go out.
#[derive(Clone, Debug)]
pub struct NewDocumentChoice {
    /// Its id.
    pub id: Uuid,
    /// `attachment` or `link`.
    pub documents: &'static str,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub operator: String,
    /// When.
    pub at: Millis,
}
