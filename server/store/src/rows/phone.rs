//! What was paid, and what paying costs.

use borsellino_domain::id::GuardianId;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A notice that was paid.
#[derive(Clone, Debug, FromRow)]
pub struct PaidItemRow {
    /// The notice.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What it asked for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// When it was settled.
    #[sqlx(try_from = "i64")]
    pub settled_at_ms: Millis,
    /// When a second payment of it was put aside.
    pub paid_twice_at_ms: Option<i64>,
    /// The top-up it was for.
    pub top_up: Option<Uuid>,
    /// Whose top-up; `None` for one that was asked for at a PSP.
    pub guardian: Option<Uuid>,
    /// The bill it was for.
    pub bill: Option<Uuid>,
    /// The bill's number.
    pub bill_number: Option<String>,
    /// The bill's period.
    pub period: Option<String>,
    /// The child of a top-up.
    pub child: Option<String>,
    /// The service of a top-up.
    pub service: Option<String>,
    /// How often it was settled at the office's counter: once, or not.
    pub counter: i64,
}

impl PaidItemRow {
    /// Whether it is a top-up of this guardian.
    pub fn is_of(&self, guardian: GuardianId) -> bool {
        self.guardian == Some(guardian.uuid())
    }
}

/// A line of a bill that was paid.
#[derive(Clone, Debug, FromRow)]
pub struct PaidLineRow {
    /// The child's first name.
    pub child: String,
    /// The service.
    pub service: String,
}

/// A creditor's fees.
#[derive(Clone, Debug, FromRow)]
pub struct FeeTableRow {
    /// Names what it says.
    pub version: String,
    /// When the operator imported it.
    #[sqlx(try_from = "i64")]
    pub imported_at_ms: Millis,
    /// As the domain writes it.
    pub bands: String,
}
