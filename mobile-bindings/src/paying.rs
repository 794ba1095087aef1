//! What the app shows around a payment, as the core hands it out: several things at once, fees, receipts, the QR code.

use borsellino_core::{
    Amount, BillId, CartAdvice, CartId, CartPageView, FeeAdvice, FeeRange, Millis, Money, NoticeView, PayItem,
    QrMatrix, QueuedWhy, ReceiptView, ReceiptsView, Refusal, TogetherState, TogetherView, TopUpId, TopUpState,
    WalletId,
};

/// What to pay together with others.
#[uniffi::remote(Enum)]
pub enum PayItem {
    /// A new top-up.
    TopUp {
        /// Into which wallet.
        wallet: WalletId,
        /// How much.
        amount: Amount,
    },
    /// What a bill asks for next.
    Bill(BillId),
    /// One instalment of a bill.
    Instalment {
        /// Of which bill.
        bill: BillId,
        /// Which, from 1.
        number: u32,
    },
}

/// How a payment of several things stands.
#[uniffi::remote(Enum)]
pub enum TogetherState {
    /// Saved on the phone; sent, or sent again, by itself.
    Queued {
        /// What it waits for.
        why: QueuedWhy,
    },
    /// Its pages were opened, or could not be: see each.
    Opened,
    /// Nothing of it can be paid.
    Refused(Refusal),
}

/// A payment of several things at once.
#[uniffi::remote(Record)]
pub struct TogetherView {
    /// Names it.
    pub id: CartId,
    /// How it stands.
    pub state: TogetherState,
    /// The same in words.
    pub sentence: String,
    /// The top-ups in it: each is also among the others on the home screen.
    pub top_ups: Vec<TopUpId>,
    /// The visits to make, one after the other; empty while it is queued.
    pub pages: Vec<CartPageView>,
}

/// One visit to pagoPA: up to five notices, one fee.
#[uniffi::remote(Record)]
pub struct CartPageView {
    /// Of how many notices.
    pub notices: u32,
    /// How much in all, without the fee.
    pub total: Money,
    /// The fee to expect; nothing where nobody knows.
    pub fee: Option<FeeRange>,
    /// How it stands.
    pub state: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is in progress, or when nothing came of it.
    pub advice: Option<String>,
    /// The page to open; nothing where none could be had, or its time is over: each notice can be paid by itself.
    pub checkout_url: Option<String>,
}

/// A fee, from the cheapest way of paying to the dearest.
#[uniffi::remote(Record)]
pub struct FeeRange {
    /// Through the cheapest channel.
    pub low: Money,
    /// Through the dearest.
    pub high: Money,
}

/// One of the visits that cost the least.
#[uniffi::remote(Record)]
pub struct CartAdvice {
    /// Which of the amounts it pays, by their places.
    pub places: Vec<u32>,
    /// What it pays in all, without the fee.
    pub total: Money,
    /// The fee to expect; nothing where nobody knows.
    pub fee: Option<FeeRange>,
    /// `Commissione prevista: tra 0,50 € e 2,00 €`
    pub sentence: String,
}

/// What paying will cost, before anything is begun.
#[uniffi::remote(Record)]
pub struct FeeAdvice {
    /// The visits that cost the least.
    pub carts: Vec<CartAdvice>,
    /// All fees together; nothing where nobody knows.
    pub fee: Option<FeeRange>,
    /// The same in words.
    pub sentence: String,
    /// What is saved: `Una ricarica da 40,00 € costa una commissione, quattro da 10,00 € ne costano quattro`
    pub saving: Option<String>,
}

/// Something that was paid.
#[uniffi::remote(Record)]
pub struct ReceiptView {
    /// How much.
    pub amount: Money,
    /// When.
    pub paid_at: Option<Millis>,
    /// For what.
    pub services: Vec<String>,
    /// For whom: first names.
    pub children: Vec<String>,
    /// A top-up of this parent.
    pub top_up: Option<TopUpId>,
    /// A bill of the family.
    pub bill: Option<BillId>,
    /// The creditor's number of the bill; empty for a top-up.
    pub bill_number: String,
    /// The bill's period; empty for a top-up.
    pub period: String,
    /// A top-up of another adult: who paid, and under what, is theirs.
    pub of_co_guardian: bool,
    /// Paid once more; the creditor gives that back.
    pub paid_twice: bool,
    /// `Mensa scolastica, Giulia: 20,00 € pagati il 12 novembre`
    pub sentence: String,
}

/// A page of what was paid, newest first.
#[uniffi::remote(Record)]
pub struct ReceiptsView {
    /// What was paid.
    pub items: Vec<ReceiptView>,
    /// What to ask the next page with; nothing on the last one.
    pub next: Option<String>,
    /// The server could not be reached: these are from the cache.
    pub from_cache: bool,
    /// When the server read them.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`
    pub as_of_text: String,
}

/// A QR code, to be drawn square by square.
#[uniffi::remote(Record)]
pub struct QrMatrix {
    /// How many squares a side has: 33.
    pub width: u32,
    /// Row by row from the top left; true is dark.
    pub dark: Vec<bool>,
    /// How many squares of light to leave around it on every side: 4, or scanners do not find it.
    pub quiet_zone: u32,
}

/// The QR code of a notice, to be shown at a counter; nothing where its text does not fit the code pagoPA asks for.
#[uniffi::export]
pub fn notice_qr(notice: NoticeView) -> Option<QrMatrix> {
    notice.qr()
}
