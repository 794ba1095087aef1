//! Top-ups asked for on this phone. An intent is on the disk before anything is sent, moves only forward, and is sent
//! again under the same id until the server has said yes or no: never lost, never doubled.

use borsellino_domain::id::{TopUpId, WalletId};
use borsellino_domain::money::Amount;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::PayBy;
use borsellino_proto::v1;
use prost::Message;

use crate::cache::{Rows, StoredIntentRow};
use crate::error::{Reason, Refusal, Result};

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
    /// The server answered it, or told of it elsewhere.
    Told(Known),
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
    ) -> Self {
        let order = v1::StartTopUpRequest {
            id: id.to_string(),
            wallet_id: wallet.to_string(),
            amount_cents: amount.cents(),
            pay_by: v1::PayBy::from(pay_by).into(),
        };
        Self { account: account.to_owned(), created_at, order, progress: Progress::Queued }
    }

    /// Still to be sent, or sent with unknown outcome.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self.progress, Progress::Queued | Progress::Sent)
    }

    /// The next state, or the same one where the news is old or none of its business.
    pub(crate) fn learn(self, news: News) -> Self {
        use Progress::{Accepted, Done, Queued, Refused, Sent};
        let progress = match (self.progress, news) {
            (Queued, News::Sending) => Sent,
            (Queued | Sent, News::Refused(refusal)) => Refused(refusal),
            (before @ (Queued | Sent | Accepted(_)), News::Told(mut known)) if known.payment.id == self.order.id => {
                // Only the answer to the order itself says that no page could be had.
                known.checkout_unavailable |= matches!(before, Accepted(old) if old.checkout_unavailable);
                if is_over(&known.payment) { Done(known) } else { Accepted(known) }
            }
            // A payment can arrive after its notice expired; nothing comes after paid.
            (Done(old), News::Told(known))
                if known.payment.id == self.order.id
                    && is_over(&known.payment)
                    && old.payment.state() != v1::PaymentState::Paid =>
            {
                Done(known)
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
            refusal: refusal.map(|refusal| StoredRefusal {
                reason: v1::Reason::from(refusal.reason).into(),
                sentence: refusal.sentence.clone(),
                limit_cents: refusal.limit_cents,
            }),
        };
        StoredIntentRow {
            id: self.order.id.clone(),
            account: self.account.clone(),
            stage: self.stage(),
            payload: payload.encode_to_vec(),
        }
    }

    /// `None` for a row that no version of this app wrote.
    fn from_row(row: StoredIntentRow) -> Option<Self> {
        let payload = Payload::decode(row.payload.as_slice()).ok()?;
        let order = payload.order.filter(|order| order.id == row.id)?;
        let checkout_unavailable = payload.checkout_unavailable;
        let known = payload.payment.map(|payment| Known { payment, checkout_unavailable });
        let progress = match row.stage {
            0 => Progress::Queued,
            1 => Progress::Sent,
            2 => Progress::Accepted(known?),
            3 => Progress::Done(known?),
            _ => {
                let refusal = payload.refusal?;
                Progress::Refused(Refusal {
                    reason: v1::Reason::try_from(refusal.reason).map_or(Reason::Other, Reason::from),
                    sentence: refusal.sentence,
                    limit_cents: refusal.limit_cents,
                    retry_after_ms: None,
                    is_final: true,
                })
            }
        };
        Some(Self { account: row.account, created_at: Millis::new(payload.created_at_ms), order, progress })
    }
}

/// Nothing more will come of it, but a late receipt.
fn is_over(payment: &v1::Payment) -> bool {
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
}

#[derive(Clone, PartialEq, Message)]
struct StoredRefusal {
    #[prost(int32, tag = "1")]
    reason: i32,
    #[prost(string, tag = "2")]
    sentence: String,
    #[prost(int64, optional, tag = "3")]
    limit_cents: Option<i64>,
}

/// Every intent of an account, oldest first.
pub(crate) fn all(rows: &Rows<'_>, account: &str) -> Result<Vec<Intent>> {
    Ok(rows.intents(account)?.into_iter().filter_map(Intent::from_row).collect())
}

/// Saves a new one.
pub(crate) fn add(rows: &Rows<'_>, intent: &Intent) -> Result<()> {
    rows.add_intent(&intent.to_row())
}

/// Works `news` into the intent `id`; answers how it stands, or `None` where this phone has no such intent.
pub(crate) fn learn(rows: &Rows<'_>, id: &str, news: News) -> Result<Option<Intent>> {
    let Some(intent) = rows.intent(id)?.and_then(Intent::from_row) else { return Ok(None) };
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
        Intent::new("a", id, wallet, Amount::from_cents(2_000).unwrap(), PayBy::Online, Millis::new(9))
    }

    fn news() -> impl Strategy<Value = News> {
        let told = (0..9_i32, any::<bool>(), prop::bool::weighted(0.9)).prop_map(|(state, unavailable, mine)| {
            let id = if mine { fresh().order.id } else { "another".to_owned() };
            let payment = v1::Payment { id, state, ..Default::default() };
            News::Told(Known { payment, checkout_unavailable: unavailable })
        });
        let refusal = Refusal {
            reason: Reason::AboveMaximum,
            sentence: "Al massimo 200,00 €.".into(),
            limit_cents: Some(20_000),
            retry_after_ms: None,
            is_final: true,
        };
        prop_oneof![Just(News::Sending), told, Just(News::Refused(refusal))]
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
        fn any_bytes_in_a_row_are_an_intent_or_none(stage in 0..9_u8, payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Intent::from_row(StoredIntentRow { id: "i".into(), account: "a".into(), stage, payload });
        }
    }
}
