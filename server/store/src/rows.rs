//! What the statements take and answer. Columns that the rules constrain come out as the domain's types: a row that
//! breaks them is an error, never a wrong value.

use borsellino_domain::creditor::{BrokerCode, CreditorCode, StationId};
use borsellino_domain::iban::Iban;
use borsellino_domain::id::{BillId, CartId, GuardianId, ServiceId, SessionId, TopUpId, WalletId};
use borsellino_domain::ledger::{AccountKind, EntryKind, Hash, Head};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, SegregationCode};
use borsellino_domain::queue::{Action, Queue};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PayBy};
use sqlx::FromRow;
use uuid::Uuid;

/// A creditor with its station.
#[derive(Clone, Debug, FromRow)]
pub struct CreditorRow {
    /// The tenant's key.
    #[sqlx(try_from = "String")]
    pub fiscal_code: CreditorCode,
    /// As printed on notices.
    pub name: String,
    /// The office that answers.
    pub office_name: String,
    /// The station its notices are served by.
    #[sqlx(try_from = "String")]
    pub station: StationId,
    /// The station's broker.
    #[sqlx(try_from = "String")]
    pub broker: BrokerCode,
    /// 1: a receipt delivered again is answered KO PAA_RECEIPT_DUPLICATA.
    pub duplicate_is_ko: i64,
    /// The two digits after the aux digit of its notices.
    #[sqlx(try_from = "String")]
    pub segregation_code: SegregationCode,
    /// The interbank code, may be empty.
    pub cbill: String,
    /// Where money is to go.
    #[sqlx(try_from = "String")]
    pub iban: Iban,
    /// Its postal account, if it has one.
    pub postal_iban: Option<String>,
    /// Whom parents call, may be empty.
    pub help_phone: String,
    /// How many days an unpaid top-up's notice stays payable.
    pub top_up_days: i64,
}

/// A station of ours.
#[derive(Clone, Debug, FromRow)]
pub struct StationRow {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: StationId,
    /// Its broker.
    #[sqlx(try_from = "String")]
    pub broker: BrokerCode,
    /// 1: a receipt delivered again is answered KO PAA_RECEIPT_DUPLICATA.
    pub duplicate_is_ko: i64,
}

/// A guardian, as signing in needs them.
#[derive(Clone, FromRow)]
pub struct GuardianRow {
    /// Their id.
    #[sqlx(try_from = "Uuid")]
    pub id: GuardianId,
    /// Their name.
    pub full_name: String,
    /// argon2id in PHC form.
    pub password_hash: String,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
}

/// A guardian to be added.
#[derive(Clone)]
pub struct NewGuardian {
    /// Their id.
    pub id: GuardianId,
    /// Lower case.
    pub username: String,
    /// Their name.
    pub full_name: String,
    /// Their tax code.
    pub fiscal_code: String,
    /// Their address, if known.
    pub email: Option<String>,
    /// argon2id in PHC form.
    pub password_hash: String,
}

/// A child to be added.
#[derive(Clone)]
pub struct NewChild {
    /// Its id.
    pub id: Uuid,
    /// First name.
    pub given_name: String,
    /// Surname.
    pub family_name: String,
    /// Its tax code.
    pub fiscal_code: String,
    /// School.
    pub school: String,
    /// Class.
    pub class_name: String,
}

/// A service to be added.
#[derive(Clone, Debug)]
pub struct NewService {
    /// Its id.
    pub id: ServiceId,
    /// What it is.
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub name: String,
    /// Under which it is collected.
    pub taxonomy: String,
    /// Preset top-ups, ascending.
    pub presets: Vec<Amount>,
    /// What may be put into its wallets.
    pub rules: TopUpRules,
    /// A balance below it is said to run out.
    pub low_mark: Cents,
}

/// What a top-up needs to know about a wallet that the guardian may see.
#[derive(Clone, Debug, FromRow)]
pub struct WalletFactsRow {
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
    /// What it holds.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// The service's smallest top-up.
    #[sqlx(try_from = "i64")]
    pub min_cents: Amount,
    /// The service's largest top-up.
    #[sqlx(try_from = "i64")]
    pub max_cents: Amount,
    /// The most a wallet may hold.
    #[sqlx(try_from = "i64")]
    pub wallet_max_cents: Amount,
    /// How many unpaid top-ups it may have.
    pub max_open: i64,
    /// Unpaid, unexpired top-ups.
    pub open_count: i64,
    /// What they are worth together.
    #[sqlx(try_from = "i64")]
    pub open_cents: Cents,
    /// The service's name.
    pub service_name: String,
    /// Under which its money is collected.
    pub taxonomy: String,
    /// The guardian's tax code: the debtor of the notice.
    pub debtor_code: String,
    /// The guardian's name.
    pub debtor_name: String,
}

/// One wallet of the home screen, or a child or guardian without one (then the later fields are absent).
#[derive(Clone, FromRow)]
pub struct HomeRow {
    /// The guardian's name.
    pub full_name: String,
    /// The last number of their feed.
    pub feed_seq: i64,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
    /// When the session was ended.
    pub ended_at_ms: Option<i64>,
    /// The child.
    pub child: Option<Uuid>,
    /// Its first name.
    pub given_name: Option<String>,
    /// Its class.
    pub class_name: Option<String>,
    /// Its school.
    pub school: Option<String>,
    /// The wallet.
    pub wallet: Option<Uuid>,
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
    /// What it holds.
    pub balance_cents: Option<i64>,
    /// How many movements it has.
    pub seq: Option<i64>,
    /// The service's kind.
    pub kind: Option<String>,
    /// The service's name.
    pub service_name: Option<String>,
    /// Its preset top-ups, in cents, comma-separated.
    pub presets: Option<String>,
    /// Its smallest top-up.
    pub min_cents: Option<i64>,
    /// Its largest top-up.
    pub max_cents: Option<i64>,
    /// The most a wallet may hold.
    pub wallet_max_cents: Option<i64>,
    /// A balance below it is said to run out.
    pub low_mark_cents: Option<i64>,
    /// Of one unit for this child; 0 for none.
    pub unit_price_cents: Option<i64>,
    /// Unpaid, unexpired top-ups.
    pub open_cents: i64,
}

/// Something to pay on the home screen: a top-up, or one line of a bill.
#[derive(Clone, Debug, FromRow)]
pub struct DueRow {
    /// The notice.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What the notice asks for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// What it says it is for.
    pub reason: String,
    /// As stored; expiry follows from `expires_at_ms`.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it stops being payable.
    pub expires_at_ms: Option<i64>,
    /// When a receipt settled it.
    pub settled_at_ms: Option<i64>,
    /// The last page opened for it.
    pub page_url: Option<String>,
    /// When.
    pub page_opened_at_ms: Option<i64>,
    /// The top-up, unless it is a bill's.
    pub top_up: Option<Uuid>,
    /// Its wallet.
    pub wallet: Option<Uuid>,
    /// How the parent meant to pay it.
    pub pay_by: Option<String>,
    /// The bill, unless it is a top-up's.
    pub bill: Option<Uuid>,
    /// Its number.
    pub bill_number: Option<String>,
    /// Its period.
    pub period: Option<String>,
    /// ISO date.
    pub due_date: String,
    /// What it was issued for.
    pub total_cents: Option<i64>,
    /// Its account's balance: minus what is owed.
    pub bill_balance_cents: Option<i64>,
    /// A line's child.
    pub line_child: Option<Uuid>,
    /// A line's service.
    pub line_service: Option<String>,
    /// A line's amount.
    pub line_cents: Option<i64>,
}

/// One movement of a wallet.
#[derive(Clone, Debug, FromRow)]
pub struct MovementRow {
    /// The wallet.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// Counts its movements.
    pub seq: i64,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
    /// What it held then.
    #[sqlx(try_from = "i64")]
    pub balance_after_cents: Cents,
    /// Why.
    #[sqlx(try_from = "String")]
    pub kind: EntryKind,
    /// When it was booked.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// The day of a charge.
    pub day: Option<String>,
    /// The tariff of a charge.
    pub tariff: Option<String>,
    /// The entry, to page on.
    pub entry: Uuid,
}

/// A notice as the Node's questions need it.
#[derive(Clone, FromRow)]
pub struct NoticeRow {
    /// What it asks for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// Names no child.
    pub reason: String,
    /// Under which it is collected.
    pub taxonomy: String,
    /// Who owes.
    pub debtor_code: String,
    /// Their name.
    pub debtor_name: String,
    /// ISO date.
    pub due_date: String,
    /// As stored; expiry follows from `expires_at_ms`.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// When it stops being payable.
    pub expires_at_ms: Option<i64>,
    /// The wallet it fills.
    pub wallet: Option<Uuid>,
    /// When that wallet was closed.
    pub wallet_closed_at_ms: Option<i64>,
    /// The bill it pays.
    pub bill: Option<Uuid>,
    /// That bill's account: minus what is owed.
    pub bill_balance_cents: Option<i64>,
    /// The number of the last posting of the wallet's or the bill's account.
    pub account_seq: Option<i64>,
    /// That account's balance.
    pub account_balance_cents: Option<i64>,
    /// The hash of its last posting.
    pub account_head: Option<Vec<u8>>,
}

impl NoticeRow {
    /// Where the account of its wallet or bill stood when this was read.
    pub fn head(&self) -> Option<Head> {
        let hash = Hash::try_from(self.account_head.clone()?).ok()?;
        Some(Head { seq: self.account_seq?, balance: Cents::new(self.account_balance_cents?), hash })
    }
}

/// A notice to be made.
#[derive(Clone)]
pub struct NewNotice {
    /// Drawn at random.
    pub number: NoticeNumber,
    /// The wallet it fills, or
    pub wallet: Option<WalletId>,
    /// the bill it pays.
    pub bill: Option<BillId>,
    /// How much.
    pub amount: Amount,
    /// Names no child.
    pub reason: String,
    /// Under which it is collected.
    pub taxonomy: String,
    /// Who owes.
    pub debtor_code: String,
    /// Their name.
    pub debtor_name: String,
    /// ISO date.
    pub due_date: String,
    /// Now.
    pub created_at: Millis,
    /// When it stops being payable.
    pub expires_at: Option<Millis>,
}

/// A top-up to be kept.
#[derive(Clone, Debug)]
pub struct NewTopUp {
    /// Made by the phone.
    pub id: TopUpId,
    /// Whose.
    pub guardian: GuardianId,
    /// Where to.
    pub wallet: WalletId,
    /// How much.
    pub amount: Amount,
    /// How.
    pub pay_by: PayBy,
    /// Tells a replay from another order.
    pub fingerprint: Hash,
    /// Its notice.
    pub notice: NoticeNumber,
    /// Now.
    pub created_at: Millis,
}

/// A top-up with its notice and last page.
#[derive(Clone, Debug, FromRow)]
pub struct TopUpRow {
    /// Its id.
    #[sqlx(try_from = "Uuid")]
    pub id: TopUpId,
    /// Whose.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// Where to.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// How.
    #[sqlx(try_from = "String")]
    pub pay_by: PayBy,
    /// Tells a replay from another order.
    #[sqlx(try_from = "Vec<u8>")]
    pub fingerprint: Hash,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at_ms: Millis,
    /// Its notice.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What the notice says it is for.
    pub reason: String,
    /// As stored; expiry follows from `expires_at_ms`.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// When it stops being payable.
    pub expires_at_ms: Option<i64>,
    /// When a receipt settled it.
    pub settled_at_ms: Option<i64>,
    /// The last page opened for it.
    pub page_url: Option<String>,
    /// When.
    pub page_opened_at_ms: Option<i64>,
}

/// A page that was opened at Checkout.
#[derive(Clone, Debug)]
pub struct NewCart {
    /// Made before it was asked for.
    pub id: CartId,
    /// Where the browser goes.
    pub url: String,
    /// When.
    pub opened_at: Millis,
}

/// A bill to be issued.
#[derive(Clone, Debug)]
pub struct NewBill {
    /// Its id.
    pub id: BillId,
    /// Who owes.
    pub guardian: GuardianId,
    /// The creditor's number.
    pub number: String,
    /// e.g. "ottobre 2026".
    pub period: String,
    /// ISO date.
    pub due_date: String,
    /// Now.
    pub issued_at: Millis,
    /// The sum of its lines.
    pub total: Amount,
}

/// What is stored of a receipt to tell a redelivery.
#[derive(Clone, Debug, FromRow)]
pub struct ReceiptRow {
    /// Of its fields.
    #[sqlx(try_from = "Vec<u8>")]
    pub content_digest: Hash,
    /// Where its money went.
    pub outcome: String,
    /// The entry that booked it.
    pub entry: Option<Uuid>,
}

/// A receipt to be kept.
#[derive(Clone)]
pub struct NewReceipt {
    /// `receipt/fiscalCode`.
    pub issuer: String,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// 18 digits, as the Node says.
    pub notice_number: String,
    /// Now.
    pub received_at: Millis,
    /// What the payer paid.
    pub total: Cents,
    /// What of it is this creditor's.
    pub ours: Cents,
    /// Where its money goes.
    pub outcome: &'static str,
    /// The entry that books it.
    pub entry: Option<Uuid>,
    /// Of its fields.
    pub content_digest: Hash,
    /// Of its bytes.
    pub message_digest: Hash,
    /// The key it is sealed with.
    pub key_id: String,
    /// The message, sealed.
    pub sealed: Vec<u8>,
}

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

/// What a wallet holds.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct WalletBalanceRow {
    /// What it holds.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// How many movements it has.
    pub seq: i64,
}

/// Where an account stands.
#[derive(Clone, Debug, FromRow)]
pub struct AccountRow {
    /// What it stands for.
    #[sqlx(try_from = "String")]
    pub kind: AccountKind,
    /// Whose it is.
    pub id: Uuid,
    /// The number of its last posting.
    pub seq: i64,
    /// Its balance.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// The hash of its last posting.
    #[sqlx(try_from = "Vec<u8>")]
    pub head: Hash,
}

/// One side of a stored entry, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct EntrySideRow {
    /// The entry.
    pub id: Uuid,
    /// Why; kept as text, since the row may be spoilt.
    pub kind: String,
    /// When.
    pub at_ms: i64,
    /// The receipt it rests on.
    pub receipt_issuer: Option<String>,
    /// Its id.
    pub receipt_id: Option<String>,
    /// Its digest.
    pub receipt_digest: Option<Vec<u8>>,
    /// What it is for.
    pub day: Option<String>,
    /// Under which tariff.
    pub tariff: Option<String>,
    /// As stored.
    pub digest: Vec<u8>,
    /// The side's place; absent for an entry whose postings are gone.
    pub line: Option<i64>,
    /// The account's kind.
    pub account_kind: Option<String>,
    /// The account.
    pub account_id: Option<Uuid>,
    /// How much.
    pub cents: Option<i64>,
}

/// Where an account stands, for `ledger verify`; kept as stored, since the row may be spoilt.
#[derive(Clone, Debug, FromRow)]
pub struct StoredAccountRow {
    /// What it stands for.
    pub kind: String,
    /// Whose it is.
    pub id: Uuid,
    /// The number of its last posting.
    pub seq: i64,
    /// Its balance.
    pub balance_cents: i64,
    /// The hash of its last posting.
    pub head: Vec<u8>,
}

/// One posting of a chain with its entry's digest, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct ChainRow {
    /// The entry.
    pub entry: Uuid,
    /// Its number.
    pub seq: i64,
    /// How much.
    pub cents: i64,
    /// The balance after it.
    pub balance_after_cents: Option<i64>,
    /// Its hash.
    pub hash: Option<Vec<u8>>,
    /// The entry's digest, as stored; absent where the entry is gone.
    pub digest: Option<Vec<u8>>,
}

/// What the accounts of one kind hold, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct TotalsRow {
    /// The kind.
    pub kind: String,
    /// What their postings sum to.
    pub moved_cents: i64,
    /// What their rows say; zero for the kinds that have none.
    pub balance_cents: i64,
}

/// A posting that belongs to nothing, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct StrayPostingRow {
    /// The account's kind.
    pub account_kind: String,
    /// The account.
    pub account_id: Uuid,
    /// Its number.
    pub seq: Option<i64>,
    /// Its entry.
    pub entry: Uuid,
}

/// A receipt without its entry, or the reverse, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct StrayReceiptRow {
    /// `receipt/fiscalCode`.
    pub issuer: Option<String>,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// The entry, where there is one.
    pub entry: Option<Uuid>,
}

/// A wallet by the names people know it by.
#[derive(Clone, FromRow)]
pub struct WalletNameRow {
    /// The wallet.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// The child's first name.
    pub child: String,
    /// The service's name.
    pub service: String,
    /// What it holds.
    pub balance_cents: i64,
}

/// A payable notice.
#[derive(Clone, FromRow)]
pub struct PayableRow {
    /// 18 digits.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What it was issued for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// Names no child.
    pub reason: String,
    /// The bill it pays, if it is no top-up's.
    pub bill: Option<Uuid>,
    /// Who owes.
    pub debtor_code: String,
}
