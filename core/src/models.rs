//! What the app shows, ready to show: every amount with its text, every state as a value to switch on and as a
//! sentence. The phone computes no balance here: it says what the server said, and how old that is.

use std::collections::HashMap;

use borsellino_domain::id::{ChildId, TopUpId, WalletId};
use borsellino_domain::language::Language;
use borsellino_domain::notice::AnyNotice;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::PayBy;
use borsellino_proto::{convert, v1};

use crate::bills::BillView;
use crate::cache::Snapshot;
use crate::clock::Clock;
use crate::error::{Error, Refusal};
use crate::intents::{Intent, Progress};
use crate::session::AccountKey;
use crate::together::{Cart, TogetherView};
use crate::words::Words;

/// An amount or a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Integer euro cents.
    pub cents: i64,
    /// `1.234,56 €`, in the app's language.
    pub text: String,
}

/// The public body that is owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq)]
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
    /// Payments of several things at once that wait, or whose pages are open; the newest first.
    pub together: Vec<TogetherView>,
    /// Top-ups: those still on the phone first, then the server's, newest first.
    pub top_ups: Vec<TopUpView>,
    /// The last five.
    pub movements: Vec<MovementView>,
    /// What all open bills ask for.
    pub total_due: Money,
}

/// A child's card.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// How a payment stands. The words are in [`TopUpView::sentence`].
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuedWhy {
    /// It is being sent.
    #[default]
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

impl From<&Error> for QueuedWhy {
    fn from(error: &Error) -> Self {
        match error {
            Error::Offline => Self::Offline,
            Error::OutcomeUnknown => Self::NoAnswer,
            Error::Refused(_) => Self::Busy,
            Error::SignedOut => Self::SignedOut,
            Error::NotOurServer => Self::Network,
            Error::CertificateTime => Self::PhoneClock,
            _ => Self::Other,
        }
    }
}

/// Money on its way into a wallet.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovementsView {
    /// The movements.
    pub movements: Vec<MovementView>,
    /// What to ask the next page with; `None` on the last one.
    pub next: Option<String>,
    /// The server could not be reached: these are from the cache.
    pub from_cache: bool,
    /// When the server read them; `None` where that is not known.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`; empty where that is not known.
    pub as_of_text: String,
}

/// A balance that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What a listener is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The live stream began, broke, or ended.
    Connection(Connection),
    /// A balance changed.
    BalanceChanged(BalanceChange),
    /// A top-up got somewhere.
    TopUpChanged(Box<TopUpView>),
    /// A bill changed.
    BillChanged(Box<BillView>),
    /// The cached home screen is newer: read it again.
    HomeChanged,
}

/// How the live stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Changes arrive as they happen.
    Live,
    /// They don't, for this reason; the app core goes on trying.
    Lost(Error),
    /// The session ended: sign in again. The watch is over.
    SignedOut,
}

/// Told of what happens, in order, from a thread of the app core: hop to the screen's own. Must be quick, and must not
/// call back into the app core before it returns.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: Event);
}

/// Turns what is known into what is shown.
pub(crate) struct Shown<'a> {
    pub(crate) words: Words,
    creditor: &'a CreditorInfo,
    pub(crate) home: &'a v1::HomeResponse,
    /// Now by the server's clock, without the phone's: what states of payments are judged by.
    pub(crate) now: Option<Millis>,
    /// Wallet id to (child's name, service).
    wallets: HashMap<&'a str, (&'a str, &'a v1::Wallet)>,
}

/// Longer than this ago, or in the future, a phone's clock is not believed.
const BELIEVED_AGE_MS: i64 = 400 * 86_400_000;

impl From<v1::Creditor> for CreditorInfo {
    fn from(wire: v1::Creditor) -> Self {
        Self { fiscal_code: wire.fiscal_code, name: wire.name, cbill: wire.cbill, help_phone: wire.help_phone }
    }
}

/// An instant of the wire; 0 is none.
pub(crate) fn instant(millis: i64) -> Option<Millis> {
    (millis > 0).then_some(Millis::new(millis))
}

fn service_kind(wire: i32) -> ServiceKind {
    match v1::ServiceKind::try_from(wire) {
        Ok(v1::ServiceKind::Canteen) => ServiceKind::Canteen,
        Ok(v1::ServiceKind::Transport) => ServiceKind::Transport,
        Ok(v1::ServiceKind::BeforeSchool) => ServiceKind::BeforeSchool,
        Ok(v1::ServiceKind::AfterSchool) => ServiceKind::AfterSchool,
        Ok(v1::ServiceKind::Nursery) => ServiceKind::Nursery,
        Ok(v1::ServiceKind::Unspecified) | Err(_) => ServiceKind::Other,
    }
}

/// pagoPA sends a receipt that was not taken again, 48 times, once an hour (pagoPA's documentation of the synchronous
/// integration): that long after its page a payment may still be confirmed. In milliseconds.
const LATE_RECEIPT_MS: i64 = 48 * 3_600_000;

pub(crate) fn not_completed(until_ms: i64) -> TopUpState {
    TopUpState::NotCompleted { wait_until: instant(until_ms).map(|until| until.plus(LATE_RECEIPT_MS)) }
}

/// `now` by the server's clock: a page's time runs out without anybody telling.
pub(crate) fn payment_state(
    wire: i32,
    notice: Option<&v1::Notice>,
    until_ms: i64,
    paid_ms: i64,
    now: Option<Millis>,
) -> TopUpState {
    match v1::PaymentState::try_from(wire) {
        Ok(v1::PaymentState::Payable) => {
            TopUpState::Payable { until: notice.and_then(|notice| instant(notice.expires_at_ms)) }
        }
        Ok(v1::PaymentState::InProgress) if now.is_some_and(|now| (1..=now.get()).contains(&until_ms)) => {
            not_completed(until_ms)
        }
        Ok(v1::PaymentState::InProgress) => TopUpState::InProgress { until: instant(until_ms) },
        Ok(v1::PaymentState::NotCompleted) => not_completed(until_ms),
        Ok(v1::PaymentState::Paid) => TopUpState::Paid { at: instant(paid_ms) },
        Ok(v1::PaymentState::Expired) => TopUpState::Expired,
        Ok(v1::PaymentState::Cancelled) => TopUpState::Cancelled,
        Ok(v1::PaymentState::Unspecified) | Err(_) => TopUpState::Unknown,
    }
}

impl<'a> Shown<'a> {
    /// Where the phone was started again since it heard from the server, "today" in words is guessed from its own clock; nothing
    /// else is.
    pub(crate) fn new(
        language: Language,
        creditor: &'a CreditorInfo,
        snapshot: &'a Snapshot,
        clock: &dyn Clock,
    ) -> Self {
        let now = snapshot.server_now(clock);
        let age = clock.now().get().saturating_sub(snapshot.stored_at.get());
        let believed = (0..=BELIEVED_AGE_MS).contains(&age);
        let server_now = now.or_else(|| believed.then(|| Millis::new(snapshot.home.as_of_ms).plus(age)));
        let home = &snapshot.home;
        let of_child = |child: &'a v1::Child| {
            child.wallets.iter().map(|wallet| (wallet.id.as_str(), (child.given_name.as_str(), wallet)))
        };
        let wallets = home.children.iter().flat_map(of_child).collect();
        Self { words: Words::new(language, server_now), creditor, home, now, wallets }
    }

    pub(crate) fn money(&self, cents: i64) -> Money {
        Money { cents, text: self.words.money(cents) }
    }

    /// The whole screen; `intents` are those of this phone, oldest first.
    pub(crate) fn home(&self, intents: &[Intent], carts: &[Cart]) -> HomeView {
        let as_of = Millis::new(self.home.as_of_ms);
        let known = |id: &str| self.home.payments.iter().any(|payment| payment.id == id);
        // Finished here and gone from the server's list: it is history, except for a refusal nobody has read yet.
        let pending = |intent: &&Intent| !matches!(intent.progress, Progress::Done(_)) && !known(&intent.order.id);
        let own = intents.iter().rev().filter(pending).filter_map(|intent| self.intent(intent));
        let theirs = self.home.payments.iter().filter_map(|payment| {
            let mine = intents.iter().find(|intent| intent.order.id == payment.id);
            self.payment(payment, mine)
        });
        HomeView {
            guardian_name: self.home.guardian.as_ref().map(|it| it.display_name.clone()).unwrap_or_default(),
            creditor: self.creditor.clone(),
            as_of,
            as_of_text: self.words.as_of(as_of),
            children: self.home.children.iter().filter_map(|child| self.child(child)).collect(),
            bills: self.home.bills.iter().filter_map(|bill| self.bill(bill, false)).collect(),
            together: carts.iter().rev().filter_map(|cart| self.together(cart, intents)).collect(),
            top_ups: own.chain(theirs).collect(),
            movements: self.home.movements.iter().map(|movement| self.movement(movement)).collect(),
            total_due: self.money(self.home.total_due_cents),
        }
    }

    fn child(&self, child: &v1::Child) -> Option<ChildView> {
        let wallets = child.wallets.iter().filter_map(|wallet| self.wallet(&child.given_name, wallet)).collect();
        Some(ChildView {
            id: child.id.parse().ok()?,
            name: child.given_name.clone(),
            class_name: child.class_name.clone(),
            school: child.school.clone(),
            wallets,
        })
    }

    fn wallet(&self, child: &str, wallet: &v1::Wallet) -> Option<WalletView> {
        let kind = service_kind(wallet.kind);
        let covers = (wallet.unit_price_cents > 0).then(|| self.words.covers(kind, wallet.covers_units));
        let low = wallet.low.then(|| self.words.low());
        let title = self.words.balance_of(self.words.service(kind, &wallet.service_name), child);
        let mut spoken = format!("{title}: {}", self.words.spoken(wallet.balance_cents));
        for part in covers.iter().chain(&low) {
            spoken.push_str(", ");
            spoken.push_str(part);
        }
        let choices = wallet.choices.clone().unwrap_or_default();
        let suggested = choices.presets_cents.contains(&choices.suggested_cents);
        Some(WalletView {
            id: wallet.id.parse().ok()?,
            kind,
            service_name: wallet.service_name.clone(),
            balance: self.money(wallet.balance_cents),
            balance_text: self.words.balance(wallet.balance_cents),
            covers,
            low,
            spoken,
            open: wallet.open,
            presets: choices.presets_cents.iter().map(|cents| self.money(*cents)).collect(),
            suggested: suggested.then(|| self.money(choices.suggested_cents)),
            min: self.money(choices.min_cents),
            max: self.money(choices.max_cents),
        })
    }

    pub(crate) fn child_name(&self, id: &str) -> String {
        let child = self.home.children.iter().find(|child| child.id == id);
        child.map(|child| child.given_name.clone()).unwrap_or_default()
    }

    /// (child's name, service's name) of a wallet.
    fn names(&self, wallet: &str) -> (String, String) {
        let found = self.wallets.get(wallet);
        found.map(|(child, wallet)| ((*child).to_owned(), wallet.service_name.clone())).unwrap_or_default()
    }

    /// A top-up of this phone.
    pub(crate) fn intent(&self, intent: &Intent) -> Option<TopUpView> {
        let order = &intent.order;
        Some(self.own(order.id.parse().ok()?, order.wallet_id.parse().ok()?, intent))
    }

    /// The same, from nothing but the intent if need be: what was saved can always be shown.
    pub(crate) fn own(&self, id: TopUpId, wallet: WalletId, intent: &Intent) -> TopUpView {
        let state = match &intent.progress {
            Progress::Queued | Progress::Sent => TopUpState::Queued { why: intent.held.why },
            Progress::Accepted(known) | Progress::Done(known) => match self.payment(&known.payment, Some(intent)) {
                Some(view) => return view,
                None => TopUpState::Unknown,
            },
            Progress::Refused(refusal) => TopUpState::Refused(refusal.clone()),
        };
        let order = &intent.order;
        let (child_name, service_name) = self.names(&order.wallet_id);
        TopUpView {
            id,
            wallet,
            child_name,
            service_name,
            amount: self.money(order.amount_cents),
            pay_by: convert::pay_by(order.pay_by),
            sentence: self.words.state(&state),
            state,
            advice: None,
            notice: None,
            checkout_url: None,
            checkout_unavailable: false,
            from_this_phone: true,
        }
    }

    /// A top-up as the server tells it; `mine` where this phone asked for it.
    pub(crate) fn payment(&self, payment: &v1::Payment, mine: Option<&Intent>) -> Option<TopUpView> {
        let notice = payment.notice.as_ref();
        let state = payment_state(payment.state, notice, payment.in_progress_until_ms, payment.paid_at_ms, self.now);
        let state = if payment.paid_twice { TopUpState::PaidTwice { at: instant(payment.paid_at_ms) } } else { state };
        // A page ends with its time.
        let is_live = matches!(state, TopUpState::InProgress { .. } | TopUpState::Payable { .. });
        let checkout_url = safe_url(&payment.checkout_url).filter(|_| is_live);
        let advice = self.words.advice(&state, checkout_url.is_some());
        let unavailable = match mine.map(|intent| &intent.progress) {
            Some(Progress::Accepted(known)) => known.checkout_unavailable && payment.checkout_url.is_empty(),
            _ => false,
        };
        let (child_name, service_name) = self.names(&payment.wallet_id);
        Some(TopUpView {
            id: payment.id.parse().ok()?,
            wallet: payment.wallet_id.parse().ok()?,
            child_name,
            service_name,
            amount: self.money(payment.amount_cents),
            pay_by: convert::pay_by(payment.pay_by),
            sentence: self.words.state(&state),
            state,
            advice,
            notice: payment.notice.as_ref().map(|notice| self.notice(notice)),
            checkout_url,
            checkout_unavailable: unavailable,
            from_this_phone: mine.is_some(),
        })
    }

    pub(crate) fn notice(&self, notice: &v1::Notice) -> NoticeView {
        // A number we can't parse is shown as it came: the parent may still be able to pay with it.
        let grouped = AnyNotice::parse(&notice.number).map(|number| number.grouped());
        NoticeView {
            number: notice.number.clone(),
            grouped: grouped.unwrap_or_else(|_| notice.number.clone()),
            amount: self.money(notice.amount_cents),
            creditor_fiscal_code: self.creditor.fiscal_code.clone(),
            creditor_name: self.creditor.name.clone(),
            cbill: self.creditor.cbill.clone(),
            qr_text: notice.qr_text.clone(),
            reason: notice.reason.clone(),
            until: instant(notice.expires_at_ms).map(|at| self.words.day(at)),
        }
    }

    pub(crate) fn movement(&self, movement: &v1::Movement) -> MovementView {
        let (child_name, service_name) = self.names(&movement.wallet_id);
        let service = self.wallets.get(movement.wallet_id.as_str()).map(|(_, wallet)| service_kind(wallet.kind));
        let kind = match v1::MovementKind::try_from(movement.kind) {
            Ok(v1::MovementKind::Opening) => MovementKind::Opening,
            Ok(v1::MovementKind::TopUp) => MovementKind::TopUp,
            Ok(v1::MovementKind::Charge) => MovementKind::Charge,
            Ok(v1::MovementKind::Correction) => MovementKind::Correction,
            Ok(v1::MovementKind::Refund) => MovementKind::Refund,
            Ok(v1::MovementKind::Unspecified) | Err(_) => MovementKind::Other,
        };
        MovementView {
            wallet: movement.wallet_id.parse().ok(),
            seq: movement.seq,
            child_name,
            service_name,
            kind,
            amount: self.money(movement.cents),
            balance_after: self.money(movement.balance_after_cents),
            balance_after_text: self.words.balance(movement.balance_after_cents),
            at: Millis::new(movement.at_ms),
            sentence: self.words.movement(kind, service.unwrap_or(ServiceKind::Other), movement),
        }
    }

    /// What a parent would want to be told of, `old` having become this.
    pub(crate) fn news_since(&self, old: &v1::HomeResponse, intents: &[Intent]) -> Vec<Event> {
        let mut news: Vec<Event> = self.balance_changes(old).into_iter().map(Event::BalanceChanged).collect();
        for payment in self.home.payments.iter().filter(|payment| !old.payments.contains(payment)) {
            let mine = intents.iter().find(|intent| intent.order.id == payment.id);
            let listed_before = old.payments.iter().any(|known| known.id == payment.id);
            // The answer to our own order was told when it came.
            if listed_before || mine.is_none() || payment.state() != v1::PaymentState::Payable {
                news.extend(self.payment(payment, mine).map(Box::new).map(Event::TopUpChanged));
            }
        }
        let bills = self.home.bills.iter().filter(|bill| !old.bills.contains(bill));
        news.extend(bills.filter_map(|bill| self.bill(bill, false)).map(Box::new).map(Event::BillChanged));
        news
    }

    fn balance_changes(&self, old: &v1::HomeResponse) -> Vec<BalanceChange> {
        let old_wallets = old.children.iter().flat_map(|child| &child.wallets);
        let changed = old_wallets.filter_map(|was| {
            let (child, now) = *self.wallets.get(was.id.as_str())?;
            if now.balance_cents == was.balance_cents {
                return None;
            }
            let (before, after) = (self.money(was.balance_cents), self.money(now.balance_cents));
            let id = now.id.parse().ok()?;
            let service = self.words.service(service_kind(now.kind), &now.service_name);
            let title = self.words.balance_of(service, child);
            let (was, is) = (self.words.balance(was.balance_cents), self.words.balance(now.balance_cents));
            let sentence = format!("{title}: {was} -> {is}");
            Some(BalanceChange { wallet: id, child_name: child.to_owned(), before, after, sentence })
        });
        changed.collect()
    }
}

/// Only a web page may be opened: a server, or whoever speaks for it, must not make the phone start anything else.
pub(crate) fn safe_url(text: &str) -> Option<String> {
    let is_web =
        text.starts_with("https://") || text.starts_with("http://127.0.0.1:") || text.starts_with("http://localhost:");
    (is_web && !text.contains(char::is_whitespace)).then(|| text.to_owned())
}
