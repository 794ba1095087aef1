//! Rows of what a family sees of itself as a whole.

use borsellino_domain::id::{ChildId, GuardianId, WalletId};
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use sqlx::FromRow;
use uuid::Uuid;

/// A child with one of its wallets.
#[derive(Clone, Debug, FromRow)]
pub struct ConsumerRow {
    /// The child.
    #[sqlx(try_from = "Uuid")]
    pub child: ChildId,
    /// What the kitchen is told, as the office wrote it.
    pub diet: Option<String>,
    /// The wallet.
    pub wallet: Option<Uuid>,
    /// What came into it last, in cents.
    pub amount_cents: Option<i64>,
    /// When.
    pub settled_at_ms: Option<i64>,
}

impl ConsumerRow {
    /// What came in last, and when.
    pub fn last(&self) -> Option<(WalletId, Amount, Millis)> {
        let amount = Amount::from_cents(self.amount_cents?).ok()?;
        Some((self.wallet?.into(), amount, Millis::new(self.settled_at_ms?)))
    }
}

/// A notice of the family, with one of the things it is for.
#[derive(Clone, Debug, FromRow)]
pub struct PositionRow {
    /// The notice.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What it was made for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// How it stands.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// When it stops being payable.
    pub expires_at_ms: Option<i64>,
    /// When it was settled.
    pub settled_at_ms: Option<i64>,
    /// ISO date.
    pub due_date: String,
    /// When a second payment of it was put aside.
    pub paid_twice_at_ms: Option<i64>,
    /// When its last page was opened.
    pub page_opened_at_ms: Option<i64>,
    /// The top-up it is for.
    pub top_up: Option<Uuid>,
    /// Whose top-up; `None` for one that was asked for at a PSP.
    pub guardian: Option<Uuid>,
    /// The bill it is for.
    pub bill: Option<Uuid>,
    /// The bill's number.
    pub bill_number: Option<String>,
    /// The bill's period.
    pub period: Option<String>,
    /// First name.
    pub child: String,
    /// The service.
    pub service: String,
}

impl PositionRow {
    /// Whether it is a top-up of this guardian.
    pub fn is_of(&self, guardian: GuardianId) -> bool {
        self.guardian == Some(guardian.uuid())
    }
}
