//! What documents say beyond what payments need.

use std::fmt;

use borsellino_domain::id::{BillId, ChildId, WalletId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::Cents;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::service::ServiceKind;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// What is printed on a creditor's documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct LetterheadRow {
    /// Its name in German.
    pub name_german: Option<String>,
    /// The office in charge.
    pub sector: String,
    /// Where it is reached.
    pub contacts: String,
    /// Where else one can pay.
    pub own_counter: Option<String>,
    /// In whose name its postal account stands.
    pub postal_holder: Option<String>,
    /// Poste's authorisation to print.
    pub postal_authorisation: Option<String>,
    /// `it`, `it-de`, `de`, `en`.
    pub wording: String,
    /// A picture.
    pub logo: Option<Vec<u8>>,
    /// The colour of its pages, `#rrggbb`.
    pub colour: Option<String>,
    /// Which logo its pages show; `None` where they show none.
    pub logo_mark: Option<String>,
}

/// Whose a notice is.
#[derive(Clone, FromRow)]
pub struct NoticeOwnerRow {
    /// Who asked for the top-up, or to whom the bill is addressed; `None` for what was asked for at a PSP.
    pub owner: Option<Uuid>,
    /// Where they live.
    pub address: Option<String>,
    /// The bill it pays.
    pub bill: Option<Uuid>,
}

/// What it holds is personal.
impl fmt::Debug for NoticeOwnerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoticeOwnerRow({:?})", self.owner)
    }
}

/// A notice of a bill.
#[derive(Clone, Debug, FromRow)]
pub struct BillPartRow {
    /// Its number.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// Which instalment.
    pub instalment: Option<i64>,
}

/// A bill of a billing run.
#[derive(Clone, Debug, FromRow)]
pub struct RunBillRow {
    /// Which.
    #[sqlx(try_from = "Uuid")]
    pub id: BillId,
    /// The creditor's number.
    pub number: String,
}

/// A receipt with the message it came in.
#[derive(Clone, FromRow)]
pub struct KeptReceiptRow {
    /// The notice it names, 18 digits.
    pub notice_number: String,
    /// When it came.
    #[sqlx(try_from = "i64")]
    pub received_at_ms: Millis,
    /// The entry that booked it.
    pub entry: Option<Uuid>,
    /// The entry that the office booked it with later.
    pub decided: Option<Uuid>,
    /// Who issued the notice's debt, where the notice is ours: codice fiscale.
    pub debtor_code: Option<String>,
    /// The message.
    pub sealed: Vec<u8>,
}

/// A receipt of a notice.
#[derive(Clone, FromRow)]
pub struct ReceiptOfNoticeRow {
    /// When it came.
    #[sqlx(try_from = "i64")]
    pub received_at_ms: Millis,
    /// The message.
    pub sealed: Vec<u8>,
}

/// What it holds is personal.
impl fmt::Debug for ReceiptOfNoticeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptOfNoticeRow({})", self.received_at_ms.get())
    }
}

/// Money that came into a wallet or onto a bill.
#[derive(Clone, FromRow)]
pub struct PaymentInRow {
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
    /// When it was booked.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// Who issued the notice, and the receipt's id; `None` for what the office took at its counter.
    pub issuer: Option<String>,
    /// See `issuer`.
    pub receipt_id: Option<String>,
    /// When the receipt came.
    pub received_at_ms: Option<i64>,
    /// The receipt's message.
    pub sealed: Option<Vec<u8>>,
    /// Who owed: codice fiscale.
    pub debtor_code: Option<String>,
    /// The notice.
    pub notice: Option<String>,
}

/// A refund.
#[derive(Clone, Debug, FromRow)]
pub struct RefundRow {
    /// When.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
}

/// A child, as a certificate names it.
#[derive(Clone, FromRow)]
pub struct CertifiedChildRow {
    /// Which.
    #[sqlx(try_from = "Uuid")]
    pub id: ChildId,
    /// First name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Codice fiscale.
    pub fiscal_code: String,
    /// Where it goes to school.
    pub school: String,
}

/// A wallet of a child, with its service.
#[derive(Clone, Debug, FromRow)]
pub struct ChildWalletRow {
    /// Which.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// Its service.
    pub service: Uuid,
    /// What it is.
    #[sqlx(try_from = "String")]
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub name: String,
}

/// A line of a bill, with its service.
#[derive(Clone, FromRow)]
pub struct FullLineRow {
    /// For whom.
    #[sqlx(try_from = "Uuid")]
    pub child: ChildId,
    /// First name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Its service.
    pub service: Uuid,
    /// What it is.
    #[sqlx(try_from = "String")]
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub name: String,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
    /// The bill's number.
    pub number: String,
    /// Its period.
    pub period: String,
}

/// Whose a wallet is and for what.
#[derive(Clone, FromRow)]
pub struct WalletTitleRow {
    /// First name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// What the creditor calls the service.
    pub service: String,
}

/// A movement of a wallet, as a statement shows it.
#[derive(Clone, Debug, FromRow)]
pub struct StatementRow {
    /// Its number.
    pub seq: i64,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
    /// What was there after it.
    #[sqlx(try_from = "i64")]
    pub balance_after_cents: Cents,
    /// Why.
    pub kind: String,
    /// When it was booked.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// The day of the meal or ride.
    pub day: Option<String>,
    /// The tariff that applied.
    pub tariff: Option<String>,
}

/// A certificate to be kept.
#[derive(Clone)]
pub struct NewCertificate {
    /// Of its code.
    pub digest: Hash,
    /// Keyed, of payer, child and year.
    pub subject: Hash,
    /// When.
    pub issued_at: Millis,
    /// Of the key below.
    pub key_id: String,
    /// What stands on it.
    pub sealed: Vec<u8>,
}

/// A certificate that was issued.
#[derive(Clone, FromRow)]
pub struct CertificateRow {
    /// Of its code.
    #[sqlx(try_from = "Vec<u8>")]
    pub digest: Hash,
    /// Keyed, of payer, child and year.
    #[sqlx(try_from = "Vec<u8>")]
    pub subject: Hash,
    /// When.
    #[sqlx(try_from = "i64")]
    pub issued_at_ms: Millis,
    /// What stands on it.
    pub sealed: Vec<u8>,
}
