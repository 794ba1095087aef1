//! Top-ups asked for on this phone. An intent is on the disk before anything is sent, moves only forward, and is sent
//! again under the same id until the server has said yes or no: never lost, never doubled.

use borsellino_domain::id::{TopUpId, WalletId};
use borsellino_domain::money::Amount;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::PayBy;
use borsellino_proto::v1;
use prost::Message;

use crate::cache::{Rows, StoredIntentRow};
use crate::error::{Error, Reason, Refusal, Result};
use crate::models::QueuedWhy;

/// What a top-up is called in the queue.
pub(crate) const KIND: &str = "top_up";

/// How many finished intents of an account are kept.
pub(crate) const KEEP_FINISHED: u32 = 50;

/// One top-up asked for on this phone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Intent {
    pub(crate) account: String,
    /// By this phone's clock.
    pub(crate) created_at: Millis,
    /// What is sent, the same each time; its `id` is the idempotency key.
    pub(crate) order: v1::StartTopUpRequest,
    pub(crate) progress: Progress,
    /// Why it is still unsent, or without an answer.
    pub(crate) held: Held,
}

/// What became of it when it was last sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) why: QueuedWhy,
    /// Not to be sent again sooner than this after, in milliseconds.
    pub(crate) retry_after_ms: u64,
}

impl From<&Error> for Held {
    fn from(error: &Error) -> Self {
        let retry_after_ms = match error {
            Error::Refused(no) => no.retry_after_ms.unwrap_or(0),
            _ => 0,
        };
        Self { why: error.into(), retry_after_ms }
    }
}

/// How far it got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// Saved; nothing left the phone.
    Queued,
    /// May have left the phone; what became of it is unknown.
    Sent,
    /// The server has it.
    Accepted(Known),
    /// Paid, expired or cancelled.
    Done(Known),
    /// The server said no, for good.
    Refused(Refusal),
}

/// What the server said of it last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) payment: v1::Payment,
    pub(crate) checkout_unavailable: bool,
}

/// What can happen to an intent.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// It is about to be sent.
    Sending,
    /// It could not be sent, or no answer came.
    Held(Held),
    /// The server answered the order itself.
    Answered(Known),
    /// The server told of it elsewhere, as it stood at the instant given (by the server's clock).
    Told(v1::Payment, Millis),
    /// The server refused it, for good.
    Refused(Refusal),
}

impl Intent {
    pub(crate) fn new(
        account: &str,
        id: TopUpId,
        wallet: WalletId,
        amount: Amount,
        pay_by: PayBy,
        created_at: Millis,
        asked: Option<v1::Asked>,
    ) -> Self {
        let order = v1::StartTopUpRequest {
            id: id.to_string(),
            wallet_id: wallet.to_string(),
            amount_cents: amount.cents(),
            pay_by: v1::PayBy::from(pay_by).into(),
            asked,
        };
        Self { account: account.to_owned(), created_at, order, progress: Progress::Queued, held: Held::default() }
    }

    /// One begun on another phone: the same order, as the server has it.
    pub(crate) fn of_payment(account: &str, payment: v1::Payment, now: Millis) -> Self {
        let order = v1::StartTopUpRequest {
            id: payment.id.clone(),
            wallet_id: payment.wallet_id.clone(),
            amount_cents: payment.amount_cents,
            pay_by: payment.pay_by,
            asked: None,
        };
        let progress = settled(Known { payment, checkout_unavailable: false });
        Self { account: account.to_owned(), created_at: now, order, progress, held: Held::default() }
    }

    /// Still to be sent, or sent with unknown outcome.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self.progress, Progress::Queued | Progress::Sent)
    }

    /// The next state, or the same one where the news is old or none of its business.
    pub(crate) fn learn(self, news: News) -> Self {
        use Progress::{Accepted, Done, Queued, Refused, Sent};
        if let (News::Held(held), true) = (&news, self.is_unsent()) {
            return Self { held: *held, ..self };
        }
        let progress = match (self.progress, news) {
            (Queued, News::Sending) => Sent,
            (Queued | Sent, News::Refused(refusal)) => Refused(refusal),
            (before @ (Queued | Sent | Accepted(_)), News::Answered(known)) if known.payment.id == self.order.id => {
                let old = match before {
                    Accepted(old) => Some(old.payment),
                    _ => None,
                };
                settled(Known { payment: with_deadline(old.as_ref(), known.payment), ..known })
            }
            (Accepted(old), News::Told(payment, read_at)) if payment.id == self.order.id => {
                let payment = if is_overtaken(standing(&old.payment), standing(&payment), read_at) {
                    old.payment
                } else {
                    with_deadline(Some(&old.payment), payment)
                };
                // Only the answer to the order itself says that no page could be had.
                settled(Known { payment, ..old })
            }
            (Queued | Sent, News::Told(payment, _)) if payment.id == self.order.id => {
                settled(Known { payment, checkout_unavailable: false })
            }
            // A payment can arrive after its notice expired; nothing comes after paid but a second payment.
            (Done(old), News::Answered(Known { payment, .. }) | News::Told(payment, _))
                if payment.id == self.order.id && is_over(&payment) && is_more(&old.payment, &payment) =>
            {
                Done(Known { payment, ..old })
            }
            (progress, _) => progress,
        };
        Self { progress, ..self }
    }

    /// The rank in the cache: it never falls.
    pub(crate) fn stage(&self) -> u8 {
        match self.progress {
            Progress::Queued => 0,
            Progress::Sent => 1,
            Progress::Accepted(_) => 2,
            Progress::Done(_) => 3,
            Progress::Refused(_) => 4,
        }
    }

    fn to_row(&self) -> StoredIntentRow {
        let (known, refusal) = match &self.progress {
            Progress::Queued | Progress::Sent => (None, None),
            Progress::Accepted(known) | Progress::Done(known) => (Some(known), None),
            Progress::Refused(refusal) => (None, Some(refusal)),
        };
        let payload = Payload {
            order: Some(self.order.clone()),
            created_at_ms: self.created_at.get(),
            payment: known.map(|known| known.payment.clone()),
            checkout_unavailable: known.is_some_and(|known| known.checkout_unavailable),
            refusal: refusal.map(StoredRefusal::from),
            held: why_number(self.held.why),
            retry_after_ms: self.held.retry_after_ms,
        };
        StoredIntentRow {
            id: self.order.id.clone(),
            account: self.account.clone(),
            kind: KIND.to_owned(),
            stage: self.stage(),
            payload: payload.encode_to_vec(),
        }
    }

    /// `None` for a row of another kind, or that no version of this app wrote.
    pub(crate) fn from_row(row: StoredIntentRow) -> Option<Self> {
        if row.kind != KIND {
            return None;
        }
        let payload = Payload::decode(row.payload.as_slice()).ok()?;
        let order = payload.order.filter(|order| order.id == row.id)?;
        let checkout_unavailable = payload.checkout_unavailable;
        let known = payload.payment.map(|payment| Known { payment, checkout_unavailable });
        let progress = match row.stage {
            0 => Progress::Queued,
            1 => Progress::Sent,
            2 => Progress::Accepted(known?),
            3 => Progress::Done(known?),
            _ => Progress::Refused(payload.refusal?.into()),
        };
        let held = Held { why: why_of(payload.held), retry_after_ms: payload.retry_after_ms };
        Some(Self { account: row.account, created_at: Millis::new(payload.created_at_ms), order, progress, held })
    }
}

fn settled(known: Known) -> Progress {
    if is_over(&known.payment) { Progress::Done(known) } else { Progress::Accepted(known) }
}

/// How a payment stands, and until when it is in progress (milliseconds of the server's clock; 0 where it is not).
type Standing = (v1::PaymentState, i64);

fn standing(payment: &v1::Payment) -> Standing {
    (payment.state(), payment.in_progress_until_ms)
}

/// The same page as its answer and as Home tell it ends a moment apart.
const SAME_PAGE_MS: i64 = 60_000;

/// Whether `told`, which the server read at `read_at`, is older than what is known: a page was opened since, and it is
/// still live. What was asked for before a tap and answered after it must not take the page away.
pub(crate) fn is_overtaken(known: Standing, told: Standing, read_at: Millis) -> bool {
    use v1::PaymentState::{InProgress, NotCompleted, Payable};
    let (known_state, until) = known;
    known_state == InProgress
        && read_at.get() < until
        && match told.0 {
            Payable | NotCompleted => true,
            InProgress => told.1.saturating_add(SAME_PAGE_MS) < until,
            _ => false,
        }
}

/// A payment whose page is over keeps the page's deadline: how long to wait for a late receipt counts from it.
fn with_deadline(old: Option<&v1::Payment>, mut told: v1::Payment) -> v1::Payment {
    if let Some(old) = old
        && told.state() == v1::PaymentState::NotCompleted
        && told.in_progress_until_ms == 0
    {
        told.in_progress_until_ms = old.in_progress_until_ms;
    }
    told
}

/// Whether what is told says more than what was the last word.
fn is_more(known: &v1::Payment, told: &v1::Payment) -> bool {
    let paid = v1::PaymentState::Paid;
    known.state() != paid || (told.state() == paid && told.paid_twice != known.paid_twice)
}

/// Nothing more will come of it, but a late receipt.
pub(crate) fn is_over(payment: &v1::Payment) -> bool {
    matches!(payment.state(), v1::PaymentState::Paid | v1::PaymentState::Expired | v1::PaymentState::Cancelled)
}

/// What is sealed into an intent's row.
#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(message, optional, tag = "1")]
    order: Option<v1::StartTopUpRequest>,
    #[prost(int64, tag = "2")]
    created_at_ms: i64,
    #[prost(message, optional, tag = "3")]
    payment: Option<v1::Payment>,
    #[prost(bool, tag = "4")]
    checkout_unavailable: bool,
    #[prost(message, optional, tag = "5")]
    refusal: Option<StoredRefusal>,
    #[prost(uint32, tag = "6")]
    held: u32,
    #[prost(uint64, tag = "7")]
    retry_after_ms: u64,
}

/// The order of these is what lies on phones: append only.
const WHYS: [QueuedWhy; 8] = [
    QueuedWhy::Sending,
    QueuedWhy::Offline,
    QueuedWhy::NoAnswer,
    QueuedWhy::Busy,
    QueuedWhy::SignedOut,
    QueuedWhy::Network,
    QueuedWhy::PhoneClock,
    QueuedWhy::Other,
];

pub(crate) fn why_number(why: QueuedWhy) -> u32 {
    WHYS.iter().position(|known| *known == why).and_then(|at| u32::try_from(at).ok()).unwrap_or(0)
}

pub(crate) fn why_of(number: u32) -> QueuedWhy {
    usize::try_from(number).ok().and_then(|at| WHYS.get(at)).copied().unwrap_or_default()
}

/// A refusal as it is sealed into a row.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoredRefusal {
    #[prost(int32, tag = "1")]
    reason: i32,
    #[prost(string, tag = "2")]
    sentence: String,
    #[prost(int64, optional, tag = "3")]
    limit_cents: Option<i64>,
}

impl From<&Refusal> for StoredRefusal {
    fn from(refusal: &Refusal) -> Self {
        let reason = v1::Reason::from(refusal.reason).into();
        Self { reason, sentence: refusal.sentence.clone(), limit_cents: refusal.limit_cents }
    }
}

impl From<StoredRefusal> for Refusal {
    fn from(stored: StoredRefusal) -> Self {
        Self {
            reason: v1::Reason::try_from(stored.reason).map_or(Reason::Other, Reason::from),
            sentence: stored.sentence,
            limit_cents: stored.limit_cents,
            retry_after_ms: None,
            is_final: true,
            rule: None,
        }
    }
}

/// Every intent of an account, oldest first.
pub(crate) fn all(rows: &Rows<'_>, account: &str) -> Result<Vec<Intent>> {
    Ok(rows.intents(account)?.into_iter().filter_map(Intent::from_row).collect())
}

/// One of them.
pub(crate) fn find(rows: &Rows<'_>, id: &str) -> Result<Option<Intent>> {
    Ok(rows.intent(id)?.and_then(Intent::from_row))
}

/// Saves a new one.
pub(crate) fn add(rows: &Rows<'_>, intent: &Intent) -> Result<()> {
    rows.add_intent(&intent.to_row())
}

/// Works `news` into the intent `id`; answers how it stands, or `None` where this phone has no such intent.
pub(crate) fn learn(rows: &Rows<'_>, id: &str, news: News) -> Result<Option<Intent>> {
    let Some(intent) = find(rows, id)? else { return Ok(None) };
    let next = intent.clone().learn(news);
    if next != intent {
        rows.put_intent(&next.to_row())?;
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> Intent {
        let (id, wallet) = (TopUpId::new(Millis::new(5), [1; 10]), WalletId::new(Millis::new(5), [2; 10]));
        Intent::new("a", id, wallet, Amount::from_cents(2_000).unwrap(), PayBy::Online, Millis::new(9), None)
    }

    fn news() -> impl Strategy<Value = News> {
        let payment = (0..9_i32, 0..3_i64, prop::bool::weighted(0.9)).prop_map(|(state, until, mine)| {
            let id = if mine { fresh().order.id } else { "another".to_owned() };
            v1::Payment { id, state, in_progress_until_ms: until * 1_000_000, ..Default::default() }
        });
        let answered = (payment.clone(), any::<bool>())
            .prop_map(|(payment, checkout_unavailable)| News::Answered(Known { payment, checkout_unavailable }));
        let told = (payment, 0..3_000_000_i64).prop_map(|(payment, at)| News::Told(payment, Millis::new(at)));
        let refusal = Refusal {
            reason: Reason::AboveMaximum,
            sentence: "Al massimo 200,00 €.".into(),
            limit_cents: Some(20_000),
            retry_after_ms: None,
            is_final: true,
            rule: None,
        };
        let held = (0..9_u32, any::<u64>())
            .prop_map(|(why, retry_after_ms)| News::Held(Held { why: why_of(why), retry_after_ms }));
        prop_oneof![Just(News::Sending), held, answered, told, Just(News::Refused(refusal))]
    }

    proptest! {
        #[test]
        fn an_intent_only_moves_forward_and_forgets_nothing(history in prop::collection::vec(news(), 0..40)) {
            let mut intent = fresh();
            for event in history {
                let before = intent.clone();
                intent = intent.learn(event);
                prop_assert!(intent.stage() >= before.stage());
                prop_assert_eq!(&intent.order, &before.order);
                // What the server once took is never shown as refused, and a refusal is final.
                match (&before.progress, &intent.progress) {
                    (Progress::Accepted(_) | Progress::Done(_), after) =>
                        prop_assert!(matches!(after, Progress::Accepted(_) | Progress::Done(_))),
                    (Progress::Refused(old), after) => prop_assert_eq!(&Progress::Refused(old.clone()), after),
                    _ => {}
                }
                if let Progress::Done(old) = &before.progress && old.payment.state() == v1::PaymentState::Paid {
                    prop_assert_eq!(&intent, &before);
                }
                if let Progress::Accepted(known) | Progress::Done(known) = &intent.progress {
                    prop_assert_eq!(&known.payment.id, &intent.order.id);
                }
                // What lies on the disk is what is in the hand.
                prop_assert_eq!(Intent::from_row(intent.to_row()), Some(intent.clone()));
            }
        }

        #[test]
        fn old_news_never_takes_a_live_page_away(state in 0..9_i32, until in 0..2_000_000_i64, at in 0..3_000_000_i64) {
            let page = v1::Payment {
                id: fresh().order.id,
                state: v1::PaymentState::InProgress.into(),
                in_progress_until_ms: 1_000_000,
                checkout_url: "https://page".into(),
                ..Default::default()
            };
            let known = Known { payment: page.clone(), checkout_unavailable: false };
            let told = v1::Payment { state, in_progress_until_ms: until, checkout_url: String::new(), ..page };
            let after = fresh().learn(News::Answered(known)).learn(News::Told(told.clone(), Millis::new(at)));
            if at < 1_000_000 && matches!(told.state(), v1::PaymentState::Payable | v1::PaymentState::NotCompleted) {
                let Progress::Accepted(known) = &after.progress else { panic!("{after:?}") };
                prop_assert_eq!(&known.payment.checkout_url, "https://page");
            }
            if told.state() == v1::PaymentState::Paid {
                prop_assert_eq!(after.stage(), 3);
            }
            if at >= 1_000_000 && told.state() == v1::PaymentState::Payable {
                let Progress::Accepted(known) = &after.progress else { panic!("{after:?}") };
                prop_assert_eq!(known.payment.state(), v1::PaymentState::Payable);
            }
        }

        #[test]
        fn any_bytes_in_a_row_are_an_intent_or_none(stage in 0..9_u8, payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Intent::from_row(StoredIntentRow { id: "i".into(), account: "a".into(), kind: KIND.into(), stage, payload });
        }
    }
}
