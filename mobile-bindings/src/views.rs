//! What the app shows, as the core hands it out: records and enums declared once more, field by field, so that they and
//! their words arrive in Kotlin and Swift. A field that the core gains is one line more here; a missing one does not compile.

use borsellino_core::{
    AccountKey, AccountView, Amount, BalanceChange, BillId, BillLineView, BillState, BillView, CartId, ChildId,
    ChildView, CreditorInfo, HomeView, InstalmentView, Language, Millis, Money, MovementKind, MovementView,
    MovementsView, NoticeView, PasswordRule, PayBillView, PayBy, QueuedWhy, Reason, RebuildReason, Refusal,
    ServiceKind, SessionId, TogetherView, TopUpId, TopUpState, TopUpView, WalletId, WalletView,
};

use crate::errors::{BorsellinoError, InvalidInput};

uniffi::custom_type!(ChildId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(WalletId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(BillId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(CartId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(TopUpId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(SessionId, String, { remote, try_lift: |text| Ok(parsed(&text)?), lower: |id| id.to_string() });
uniffi::custom_type!(AccountKey, String, {
    remote,
    try_lift: |text| Ok(AccountKey::from(text)),
    lower: |key| key.as_str().to_owned(),
});
uniffi::custom_type!(Millis, i64, { remote, try_lift: |millis| Ok(Millis::new(millis)), lower: |it| it.get() });
uniffi::custom_type!(Amount, i64, {
    remote,
    try_lift: |cents| Ok(Amount::from_cents(cents).map_err(|_| BorsellinoError::Invalid { what: InvalidInput::Amount })?),
    lower: |amount| amount.cents(),
});

/// An id, or an error that the call then answers with.
fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, BorsellinoError> {
    text.parse().map_err(|_| BorsellinoError::Invalid { what: InvalidInput::Id })
}

/// A language that sentences are written in.
#[uniffi::remote(Enum)]
pub enum Language {
    /// Italian, the default.
    Italian,
    /// English.
    English,
    /// German.
    German,
}

/// Where a top-up is paid.
#[uniffi::remote(Enum)]
pub enum PayBy {
    /// On the pagoPA page, at once.
    Online,
    /// Elsewhere, with the notice.
    Notice,
}

/// Why a cache was rebuilt.
#[uniffi::remote(Enum)]
pub enum RebuildReason {
    /// The file is damaged.
    Damaged,
    /// It was sealed with another key: restored from a backup, or the secure store was cleared.
    WrongKey,
    /// A newer version of the app made it.
    Newer,
}

/// An amount or a balance.
#[uniffi::remote(Record)]
pub struct Money {
    /// Integer euro cents.
    pub cents: i64,
    /// `1.234,56 €`, in the app's language.
    pub text: String,
}

/// The public body that is owed.
#[uniffi::remote(Record)]
pub struct CreditorInfo {
    /// 11 digits.
    pub fiscal_code: String,
    /// `Comune di …`
    pub name: String,
    /// What to type into a bank's form; empty where there is none.
    pub cbill: String,
    /// Whom to call; empty where none is named.
    pub help_phone: String,
}

/// One account of this phone.
#[uniffi::remote(Record)]
pub struct AccountView {
    /// Names it.
    pub key: AccountKey,
    /// Whose it is.
    pub guardian_name: String,
    /// At which creditor.
    pub creditor: CreditorInfo,
    /// The one that calls without an account mean.
    pub active: bool,
}

/// What a service is; decides its icon.
#[uniffi::remote(Enum)]
pub enum ServiceKind {
    /// School meals.
    Canteen,
    /// The school bus.
    Transport,
    /// Care before lessons.
    BeforeSchool,
    /// Care after lessons.
    AfterSchool,
    /// Nursery.
    Nursery,
    /// One that this app does not know yet: show its name.
    Other,
}

/// The home screen.
#[uniffi::remote(Record)]
pub struct HomeView {
    /// Whose it is.
    pub guardian_name: String,
    /// At which creditor.
    pub creditor: CreditorInfo,
    /// When the server read it, by the server's clock.
    pub as_of: Millis,
    /// `aggiornato oggi alle 8:12`
    pub as_of_text: String,
    /// One card each.
    pub children: Vec<ChildView>,
    /// Bills with something left to pay, soonest first.
    pub bills: Vec<BillView>,
    /// Top-ups: those still on the phone first, then the server's, newest first.
    pub top_ups: Vec<TopUpView>,
    /// The last five.
    pub movements: Vec<MovementView>,
    /// What all open bills ask for.
    pub total_due: Money,
    /// Payments of several things at once that are under way, newest first.
    pub together: Vec<TogetherView>,
}

/// A child's card.
#[uniffi::remote(Record)]
pub struct ChildView {
    /// Names it.
    pub id: ChildId,
    /// Given name only.
    pub name: String,
    /// e.g. `3 B`
    pub class_name: String,
    /// Which school.
    pub school: String,
    /// One row each.
    pub wallets: Vec<WalletView>,
}

/// A prepaid balance.
#[uniffi::remote(Record)]
pub struct WalletView {
    /// Names it.
    pub id: WalletId,
    /// Its icon.
    pub kind: ServiceKind,
    /// What the creditor calls the service.
    pub service_name: String,
    /// What is left; negative where the family owes.
    pub balance: Money,
    /// The same as a sentence: `12,40 €` or `devi 12,40 €`.
    pub balance_text: String,
    /// `basta per 6 pasti`; `None` where there is no unit price or it is being asked for again.
    pub covers: Option<String>,
    /// Below the service's low mark: `sta per finire`.
    pub low: Option<String>,
    /// For a screen reader: `Saldo mensa di Giulia: 12 euro e 40 centesimi, basta per 2 pasti`.
    pub spoken: String,
    /// Takes money.
    pub open: bool,
    /// Amounts for large buttons.
    pub presets: Vec<Money>,
    /// Which of them to mark.
    pub suggested: Option<Money>,
    /// The smallest top-up.
    pub min: Money,
    /// The largest top-up that fits now.
    pub max: Money,
}

/// How a bill stands.
#[uniffi::remote(Enum)]
pub enum BillState {
    /// Nothing paid.
    Open,
    /// Something paid, something left.
    PartPaid,
    /// Paid.
    Paid,
    /// More paid than asked.
    Overpaid,
    /// Withdrawn by the creditor: nothing more is to pay.
    Withdrawn,
    /// A state this app does not know yet.
    Unknown,
}

/// An amount issued for a period.
#[uniffi::remote(Record)]
pub struct BillView {
    /// Names it.
    pub id: BillId,
    /// The creditor's number.
    pub number: String,
    /// `ottobre 2026`
    pub period: String,
    /// ISO date.
    pub due_date: String,
    /// `da pagare 57,33 € entro il 20 febbraio`, or `pagato`
    pub due_text: String,
    /// What it asks for.
    pub total: Money,
    /// What was paid.
    pub paid: Money,
    /// What is left.
    pub residual: Money,
    /// How it stands.
    pub state: BillState,
    /// How its payment stands.
    pub payment: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is being paid, or when nothing came of it.
    pub advice: Option<String>,
    /// What it is for.
    pub lines: Vec<BillLineView>,
    /// Under which it is paid.
    pub notice: Option<NoticeView>,
    /// The parts it is paid in, the first due first; empty where it is paid at once.
    pub instalments: Vec<InstalmentView>,
    /// The pagoPA page that is open for it.
    pub checkout_url: Option<String>,
}

/// One of the parts a bill is paid in.
#[uniffi::remote(Record)]
pub struct InstalmentView {
    /// From 1.
    pub number: u32,
    /// ISO date.
    pub due_date: String,
    /// `da pagare 28,67 € entro il 20 febbraio`, or `pagato`
    pub due_text: String,
    /// What it asks for now.
    pub amount: Money,
    /// How its payment stands.
    pub payment: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is being paid, or when nothing came of it.
    pub advice: Option<String>,
    /// Under which it is paid; nothing where nothing is left to pay under it.
    pub notice: Option<NoticeView>,
}

/// A part of a bill.
#[uniffi::remote(Record)]
pub struct BillLineView {
    /// The child's given name; empty where it is not in the family any more.
    pub child_name: String,
    /// The service.
    pub service_name: String,
    /// Its part.
    pub amount: Money,
}

/// How a payment stands. The words are in the top-up's `sentence`.
#[uniffi::remote(Enum)]
pub enum TopUpState {
    /// Saved on the phone; sent, or sent again, by itself.
    Queued {
        /// What it waits for.
        why: QueuedWhy,
    },
    /// To pay, at the latest then.
    Payable {
        /// When its notice expires.
        until: Option<Millis>,
    },
    /// A pagoPA page was opened: wait for the confirmation.
    InProgress {
        /// Until when not to pay again.
        until: Option<Millis>,
    },
    /// A page was opened, nothing came of it.
    NotCompleted {
        /// Until when a parent who was charged waits for a late confirmation, where that is known.
        wait_until: Option<Millis>,
    },
    /// Paid.
    Paid {
        /// When.
        at: Option<Millis>,
    },
    /// Paid, and paid once more: the creditor gives the second payment back.
    PaidTwice {
        /// When it was paid first.
        at: Option<Millis>,
    },
    /// Its time ran out.
    Expired,
    /// The creditor withdrew it.
    Cancelled,
    /// The server said no.
    Refused(Refusal),
    /// A state this app does not know yet.
    Unknown,
}

/// What a queued top-up waits for, after what happened when it was last sent.
#[uniffi::remote(Enum)]
pub enum QueuedWhy {
    /// It is being sent.
    Sending,
    /// The server is not reached.
    Offline,
    /// It was sent and no answer came.
    NoAnswer,
    /// The server asks for patience.
    Busy,
    /// The parent has to sign in again.
    SignedOut,
    /// The network wants something first, or is in the way.
    Network,
    /// The phone's date is wrong, it seems.
    PhoneClock,
    /// Something on the phone, or a server older than the app.
    Other,
}

/// Money on its way into a wallet.
#[uniffi::remote(Record)]
pub struct TopUpView {
    /// Names it; also the key under which it was sent.
    pub id: TopUpId,
    /// Into which wallet.
    pub wallet: WalletId,
    /// Of which child; empty where it is not in the family any more.
    pub child_name: String,
    /// For which service.
    pub service_name: String,
    /// How much.
    pub amount: Money,
    /// Where it is paid; `None` for a way this app does not know.
    pub pay_by: Option<PayBy>,
    /// How it stands.
    pub state: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is in progress, or when nothing came of it.
    pub advice: Option<String>,
    /// With what it is paid elsewhere.
    pub notice: Option<NoticeView>,
    /// The pagoPA page to open now.
    pub checkout_url: Option<String>,
    /// It was to be paid online and no page could be had: offer the notice, or ask again later.
    pub checkout_unavailable: bool,
    /// Asked for on this phone.
    pub from_this_phone: bool,
}

/// What to show at a tobacconist, a bank, or the post office.
#[uniffi::remote(Record)]
pub struct NoticeView {
    /// 18 digits.
    pub number: String,
    /// In groups of four, as printed.
    pub grouped: String,
    /// How much.
    pub amount: Money,
    /// The creditor's fiscal code: 11 digits.
    pub creditor_fiscal_code: String,
    /// Who is owed.
    pub creditor_name: String,
    /// For home banking; empty where there is none.
    pub cbill: String,
    /// The text of the QR code (version 4, level M holds it).
    pub qr_text: String,
    /// What the parent reads on it.
    pub reason: String,
    /// The last day to pay.
    pub until: Option<String>,
}

/// What a movement is.
#[uniffi::remote(Enum)]
pub enum MovementKind {
    /// The balance carried over.
    Opening,
    /// Money in.
    TopUp,
    /// A meal, a ride, a month.
    Charge,
    /// Put right by the office.
    Correction,
    /// Given back by the office.
    Refund,
    /// One that this app does not know yet.
    Other,
}

/// A movement of a wallet.
#[uniffi::remote(Record)]
pub struct MovementView {
    /// Of which wallet.
    pub wallet: Option<WalletId>,
    /// Counts the wallet's movements.
    pub seq: i64,
    /// Of which child.
    pub child_name: String,
    /// For which service.
    pub service_name: String,
    /// What it is.
    pub kind: MovementKind,
    /// Money in, or (negative) out.
    pub amount: Money,
    /// The balance after it.
    pub balance_after: Money,
    /// The same as a sentence: `12,40 €` or `devi 12,40 €`.
    pub balance_after_text: String,
    /// When it was booked.
    pub at: Millis,
    /// Why: `Pasto del 12 novembre, tariffa fascia 2, 4,25 €`.
    pub sentence: String,
}

/// A page of movements, newest first.
#[uniffi::remote(Record)]
pub struct MovementsView {
    /// The movements.
    pub movements: Vec<MovementView>,
    /// What to ask the next page with; `None` on the last one.
    pub next: Option<String>,
    /// The server could not be reached: these are from the cache.
    pub from_cache: bool,
    /// When the server read them; nothing where that is not known.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`; empty where that is not known.
    pub as_of_text: String,
}

/// What to open or show for a bill.
#[uniffi::remote(Record)]
pub struct PayBillView {
    /// How the bill stands now.
    pub bill: BillView,
    /// The pagoPA page to open.
    pub checkout_url: Option<String>,
    /// No page could be had: pay with the bill's notice, or ask again later.
    pub checkout_unavailable: bool,
}

/// A balance that changed.
#[uniffi::remote(Record)]
pub struct BalanceChange {
    /// Of which wallet.
    pub wallet: WalletId,
    /// Of which child.
    pub child_name: String,
    /// Before.
    pub before: Money,
    /// After.
    pub after: Money,
    /// `Saldo mensa di Giulia: 12,40 € -> 32,40 €`
    pub sentence: String,
}

/// A refusal of the server.
#[uniffi::remote(Record)]
pub struct Refusal {
    /// Why: for switching on.
    pub reason: Reason,
    /// For the parent, in the app's language. Never empty.
    pub sentence: String,
    /// The limit that was passed, in cents, where the reason names one.
    pub limit_cents: Option<i64>,
    /// How long to wait before trying again, in milliseconds, where the reason names it.
    pub retry_after_ms: Option<u64>,
    /// Asking again unchanged can't help.
    pub is_final: bool,
    /// Which rule a password breaks, where that is the reason; nothing also for a rule this app does not know yet.
    pub rule: Option<PasswordRule>,
}

/// Which rule a password that somebody chooses breaks.
#[uniffi::remote(Enum)]
pub enum PasswordRule {
    /// Less than twelve characters.
    Short,
    /// More than 128.
    Long,
    /// Of one character again and again, or of characters in a row.
    Simple,
    /// Among those that are tried first.
    Common,
    /// Little more than the user name, the own name or code.
    Personal,
}

/// Why the server refused. Names are those of the wire (`Reason` in the proto file).
#[uniffi::remote(Enum)]
pub enum Reason {
    /// A field is not of its form.
    Malformed,
    /// No creditor has this code.
    UnknownActivationCode,
    /// User name or password wrong.
    WrongCredentials,
    /// Too many tries: wait.
    TryLater,
    /// The access token is not valid (handled here).
    TokenInvalid,
    /// The session ended (reported as signed out).
    SessionEnded,
    /// The session was ended from afar (reported as wiped).
    SessionWiped,
    /// No such wallet of this family.
    UnknownWallet,
    /// The wallet takes no money.
    WalletClosed,
    /// The id was used for another top-up.
    IdReused,
    /// The amount can't be paid through pagoPA.
    AmountInvalid,
    /// Below the smallest top-up.
    BelowMinimum,
    /// Above the largest top-up.
    AboveMaximum,
    /// More than still fits into the wallet.
    AboveWalletMaximum,
    /// Too many unpaid top-ups wait.
    TooManyOpen,
    /// No such bill of this family.
    UnknownBill,
    /// Nothing left to pay.
    BillSettled,
    /// No such top-up of this guardian.
    UnknownTopUp,
    /// No such notice of this family.
    UnknownNotice,
    /// No such device of this guardian.
    UnknownDevice,
    /// The notice is paid, expired or withdrawn.
    NoticeNotPayable,
    /// A page is open for the notice.
    PaymentInProgress,
    /// The server is busy.
    Unavailable,
    /// A fault of the server.
    Internal,
    /// Nothing was booked for it, so there is nothing to prove.
    NotPaid,
    /// Booked, and not sealed yet: ask again in a minute.
    NotSealedYet,
    /// Not a code that an office gives: a typing error, which costs no try.
    OfficeCodeMistyped,
    /// Unknown, expired, used, tried too often, or not for this codice fiscale.
    OfficeCodeRefused,
    /// There is a password already: sign in, or recover it.
    AlreadyRegistered,
    /// No user name can look like this.
    UsernameInvalid,
    /// Somebody else's.
    UsernameTaken,
    /// The password breaks a rule: see the refusal's `rule`.
    PasswordRefused,
    /// A wrong proof.
    ProofRefused,
    /// The recovery expired, was denied or tried too often, or there is none: start again.
    RecoveryEnded,
    /// Another proof, of another kind, is wanted.
    RecoveryIncomplete,
    /// No such child of this family.
    UnknownChild,
    /// The original names somebody else who paid.
    ReceiptWithheld,
    /// No certificate of that year.
    YearInvalid,
    /// No period, or one that is too long.
    PeriodInvalid,
    /// This guardian paid nothing for the child in that year.
    NothingPaid,
    /// Too many documents are being printed: ask again in a moment.
    PrinterBusy,
    /// Something that the creditor says of itself can't be printed.
    Unprintable,
    /// No address is on file.
    NoAddress,
    /// Not an e-mail address.
    AddressInvalid,
    /// Letters to the address on file come back.
    AddressBounced,
    /// Five a day were sent.
    MailLimit,
    /// The server sends no e-mail.
    NoMail,
    /// A reason this app does not know yet: show the sentence.
    Other,
}
