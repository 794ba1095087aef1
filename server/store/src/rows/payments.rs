//! Notices, top-ups, pages, bills and receipts.

use borsellino_domain::asked::Asked;
use borsellino_domain::bill::Share;
use borsellino_domain::id::{BillId, CartId, GuardianId, TopUpId, WalletId};
use borsellino_domain::ledger::{Hash, Head};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PayBy};
use sqlx::FromRow;
use uuid::Uuid;

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
    /// Which instalment of its bill it asks for; `None` where it asks for all that is left.
    pub instalment: Option<i64>,
    /// For an instalment: how many others of its bill are open.
    pub others_open: Option<i64>,
    /// For an instalment: how many later ones are open.
    pub others_after: Option<i64>,
    /// For an instalment: what the open ones before it were made for.
    pub before_cents: Option<i64>,
    /// What was paid under it (for an instalment: under any of its bill) and lies in suspense.
    pub held_cents: i64,
}

impl NoticeRow {
    /// What decides how much of its bill it asks for.
    pub fn share(&self) -> Share {
        Share {
            own: self.instalment.map(|_| self.amount_cents),
            before: Cents::new(self.before_cents.unwrap_or_default()),
            others_after: self.others_after > Some(0),
            held: Cents::new(self.held_cents),
        }
    }

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
    /// Which instalment of the bill, from 1; `None` for all that is left.
    pub instalment: Option<i64>,
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
    /// When the parent asked for it, as far as that is known.
    pub asked: Option<Asked>,
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
    /// When a second payment of it was put aside.
    pub paid_twice_at_ms: Option<i64>,
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
    /// How many notices it is for.
    pub notices: i64,
}

/// The last page opened for a notice.
#[derive(Clone, Debug, FromRow)]
pub struct CartRow {
    /// Where the browser goes.
    pub url: String,
    /// When it was opened.
    #[sqlx(try_from = "i64")]
    pub opened_at_ms: Millis,
    /// How many notices it is for.
    pub notices: i64,
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
    /// Of the order it was issued from.
    pub order_digest: Option<Hash>,
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
