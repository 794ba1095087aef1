//! What the office does by hand, and top-ups asked for at a PSP without a notice.

use borsellino_domain::id::{BillId, ChildId, EntryId, GuardianId, ServiceId, WalletId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use sqlx::FromRow;
use uuid::Uuid;

use super::WalletFactsRow;

/// A wallet that somebody at a PSP means, by the service's number in the catalogue and the child's codice fiscale.
#[derive(Clone, Debug, FromRow)]
pub struct SpontaneousRow {
    /// The wallet.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// How it stands; nobody is named as the debtor.
    #[sqlx(flatten)]
    pub facts: WalletFactsRow,
}

/// A demand with the notice that was made for it.
#[derive(Clone, Debug)]
pub struct NewDemand {
    /// Of service, child and amount.
    pub digest: Hash,
    /// Its notice.
    pub notice: NoticeNumber,
    /// Now.
    pub at: Millis,
}

/// The last notice made for a demand.
#[derive(Clone, Debug, FromRow)]
pub struct DemandRow {
    /// The notice.
    #[sqlx(try_from = "String")]
    pub notice: NoticeNumber,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// As stored; expiry follows from its own date.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
}

/// A child, as a file of the office names it.
#[derive(Clone, FromRow)]
pub struct ChildRow {
    /// Its id.
    #[sqlx(try_from = "Uuid")]
    pub id: ChildId,
    /// First name.
    pub given_name: String,
    /// Surname.
    pub family_name: String,
}

/// A service, as a file of the office names it.
#[derive(Clone, Debug, FromRow)]
pub struct ServiceRow {
    /// Its id.
    #[sqlx(try_from = "Uuid")]
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// Under which its money is collected.
    pub taxonomy: String,
}

/// Who owes a bill.
#[derive(Clone, FromRow)]
pub struct DebtorRow {
    /// Their id.
    #[sqlx(try_from = "Uuid")]
    pub id: GuardianId,
    /// Their tax code.
    pub fiscal_code: String,
    /// Their name.
    pub full_name: String,
}

/// A bill and how far it is paid.
#[derive(Clone, Debug, FromRow)]
pub struct BillRow {
    /// Its id.
    #[sqlx(try_from = "Uuid")]
    pub id: BillId,
    /// Who owes.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// What it was issued for.
    #[sqlx(try_from = "i64")]
    pub total_cents: Amount,
    /// Its account: minus what is owed.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// Of the order it was issued from.
    pub order_digest: Option<Vec<u8>>,
}

/// A bill for which more was paid than it asks for.
#[derive(Clone, Debug, FromRow)]
pub struct SurplusRow {
    /// Its id.
    #[sqlx(try_from = "Uuid")]
    pub id: BillId,
    /// The creditor's number.
    pub number: String,
    /// What is too much.
    #[sqlx(try_from = "i64")]
    pub surplus_cents: Cents,
}

/// A notice of a bill.
#[derive(Clone, Debug, FromRow)]
pub struct BillNoticeRow {
    /// 18 digits.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// As stored.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// What was paid under it and lies in suspense.
    pub held_cents: i64,
    /// When the last page was opened for it.
    pub page_opened_at_ms: Option<i64>,
}

/// Something the office did by hand.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OfficeActionRow {
    /// Made for the occasion.
    pub id: Uuid,
    /// What.
    #[sqlx(try_from = "String")]
    pub action: OfficeAction,
    /// The notice's number or the bill's id.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub operator: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// What was taken, or is no longer owed.
    pub cents: Option<i64>,
    /// What books it, where it moves money.
    pub entry: Option<Uuid>,
}

impl OfficeActionRow {
    /// What books it, where it moves money.
    pub fn entry(&self) -> Option<EntryId> {
        self.entry.map(EntryId::from)
    }
}

/// A service that can be paid without a notice.
#[derive(Clone, Debug, FromRow)]
pub struct OfferRow {
    /// `idServizio`.
    pub catalogue_service: String,
    /// `idSoggettoServizio`.
    pub catalogue_subject: String,
    /// Its name.
    pub name: String,
    /// The smallest amount.
    #[sqlx(try_from = "i64")]
    pub min_cents: Amount,
    /// The largest.
    #[sqlx(try_from = "i64")]
    pub max_cents: Amount,
}
