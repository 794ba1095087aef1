//! Money that arrived. The receipt is kept as it came, booked exactly once by what was paid to us, and announced after
//! the commit; whatever cannot be booked is kept for the office (ARCHITECTURE.md, rules of money, 1 to 5 and 12).

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EntryId, OutboxId};
use borsellino_domain::ledger::{Account, Entry, Hash, Head, ReceiptProof};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::receipt::{Booking, NoticeFacts, NoticePurpose, ReceiptFacts, SuspenseReason, decide};
use borsellino_domain::time::Millis;
use borsellino_store::rows::{KeptMessage, NewReceipt, NoticeRow, ReceiptRow};
use borsellino_store::together::Ordinary;
use borsellino_store::{Store, StoreError, Tx};
use uuid::Uuid;

use super::{App, Fault};
use crate::clock::random;

/// A receipt as the Node sent it.
#[derive(Clone)]
pub struct Incoming {
    /// What counts for booking.
    pub facts: ReceiptFacts,
    /// `receiptId`.
    pub receipt_id: String,
    /// 18 digits.
    pub notice_number: String,
    /// What the payer paid in all.
    pub total: Cents,
    /// Of the fields that make the receipt what it is: the same for the same receipt in either version of the message.
    pub content_digest: Hash,
    /// The message, byte for byte.
    pub message: Vec<u8>,
}

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// New: kept and booked as said.
    Booked(Booking),
    /// New, and kept by an attempt of ours whose answer was lost or late.
    Found,
    /// Delivered before: nothing changed.
    Repeated,
    /// Another receipt stands under the same key: kept as an anomaly, credited nowhere.
    Anomaly,
}

/// Keeps and books a receipt. Goes on to its end when the caller stops waiting; the same receipt again finds it done.
///
/// # Errors
/// A [`Fault`]: nothing was kept, the Node must deliver it again.
pub async fn receive(app: &App, incoming: Incoming) -> Result<Received, Fault> {
    let creditor = incoming.facts.addressed_to;
    let plan = Plan {
        now: app.now(),
        entry: app.new_id()?,
        outbox: app.new_id()?,
        key_id: app.keys.id().to_owned(),
        sealed: app.keys.seal("receipt", &incoming.message, random()?)?,
        message_digest: Hash::of(&incoming.message),
        incoming,
    };
    let (received, guardians) = app.till.receive(plan).await?;
    app.live.wake(creditor, &guardians);
    Ok(received)
}

/// Keeps a message that is addressed to a creditor of ours and cannot be read as a receipt.
///
/// # Errors
/// A [`Fault`]: it was not kept.
pub async fn quarantine(app: &App, creditor: CreditorCode, why: String, message: &[u8]) -> Result<(), Fault> {
    let row = KeptMessage {
        queue: "quarantine",
        message_digest: Hash::of(message),
        why,
        received_at: app.now(),
        key_id: app.keys.id().to_owned(),
        sealed: app.keys.seal("quarantine", message, random()?)?,
    };
    let kept = app.store.write::<(), (), _>("quarantine a message", move |tx| {
        let row = row.clone();
        Box::pin(async move { Ok(Ok(tx.keep_message(&creditor, &row).await?)) })
    });
    let _committed = kept.await?;
    Ok(())
}

/// What the sender of the outbox is told to do.
pub(super) const OUTBOX_KIND: &str = "payment_done";

/// One receipt with everything made for it, so that it can be run again.
pub(crate) struct Plan {
    pub(crate) incoming: Incoming,
    pub(crate) now: Millis,
    pub(crate) entry: EntryId,
    pub(crate) outbox: OutboxId,
    pub(crate) key_id: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) message_digest: Hash,
}

impl Plan {
    /// What tells it from every other: creditor, issuer, `receiptId`.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        let facts = &self.incoming.facts;
        (facts.addressed_to.as_str(), facts.issuer.as_str(), &self.incoming.receipt_id)
    }

    /// The key of its notice, which may be another creditor's.
    pub(super) fn notice_key(&self) -> (CreditorCode, String) {
        (self.incoming.facts.addressed_to, self.incoming.notice_number.clone())
    }

    /// What it writes, where it fills the wallet or settles the bill that its notice, as just read, was made for;
    /// `None` where anything about it is special.
    pub(super) fn ordinary(&self, notice: &NoticeRow) -> Option<(Booking, Ordinary)> {
        let facts = &self.incoming.facts;
        // Whether an instalment settles its notice depends on others, which must not be settled at the same time.
        if facts.issuer != facts.addressed_to || notice.instalment.is_some() {
            return None;
        }
        let booking = decide(facts, Some(&notice_facts(notice, self.now).ok()?));
        let (Booking::Wallet { .. } | Booking::Bill { .. }) = booking else { return None };
        let (receipt, entry) = (self.row(booking).ok()?, self.entry(booking).ok()??);
        let ordinary = Ordinary::new(receipt, entry, notice.head()?, self.outbox)?;
        booking.settles_notice(ordinary.head().balance).then_some((booking, ordinary))
    }

    /// Whether the same receipt is kept already. What was committed never changes, so this needs no transaction.
    pub(super) async fn is_repeated(&self, store: &Store) -> Result<bool, StoreError> {
        let (creditor, issuer) = (self.incoming.facts.addressed_to, self.incoming.facts.issuer);
        let id = self.incoming.receipt_id.clone();
        let kept = store.read(move |tx| Box::pin(async move { tx.receipt(&creditor, issuer.as_str(), &id).await }));
        let is_same = |kept: ReceiptRow| {
            kept.content_digest == self.incoming.content_digest && kept.entry != Some(self.entry.uuid())
        };
        Ok(kept.await?.is_some_and(is_same))
    }

    /// Runs it in the transaction at hand; answers what became of it and whom to wake.
    pub(crate) async fn run(&self, tx: &mut Tx) -> Result<(Received, Vec<Uuid>), StoreError> {
        let incoming = &self.incoming;
        let creditor = incoming.facts.addressed_to;
        let number = incoming.notice_number.as_str();
        let own = incoming.facts.issuer == creditor;
        let notice = if own { tx.notice(&creditor, number).await? } else { None };
        let facts = notice.as_ref().map(|row| notice_facts(row, self.now)).transpose()?;
        let booking = decide(&incoming.facts, facts.as_ref());

        // The key first: of many deliveries at once, one inserts, the others wait here and find it.
        if !tx.insert_receipt(&creditor, &self.row(booking)?).await? {
            return self.known(tx).await;
        }
        let balance = self.book(tx, booking, notice.as_ref()).await?;
        let settled = match booking {
            Booking::Suspense { reason, amount } if reason.holds_notice() => {
                self.hold(tx, reason, amount, notice.as_ref()).await?
            }
            _ => {
                let booking = self.beside_others(tx, booking).await?;
                !booking.settles_notice(balance) || tx.settle_notice(&creditor, number, self.now).await?
            }
        };
        if let Booking::Suspense { reason: SuspenseReason::DoublePayment, .. } = booking {
            tx.paid_twice(&creditor, number, Some(self.now)).await?;
        }
        if !settled {
            // Another receipt for the same notice was faster: decide again, knowing that.
            return Err(StoreError::Conflict);
        }
        let guardians = self.announce(tx, booking, notice.as_ref()).await?;
        Ok((Received::Booked(booking), guardians))
    }

    /// The booking of a bill, with what is known of its other notices now that its account is held.
    async fn beside_others(&self, tx: &mut Tx, booking: Booking) -> Result<Booking, StoreError> {
        let Booking::Bill { bill, amount, .. } = booking else { return Ok(booking) };
        let row = tx.notice(&self.incoming.facts.addressed_to, &self.incoming.notice_number).await?;
        let row = row.ok_or(StoreError::Corrupt("a notice that was just there"))?;
        let (others_open, held) = (row.others_open > Some(0), Cents::new(row.held_cents));
        Ok(Booking::Bill { bill, amount, others_open, held })
    }

    /// Nobody is asked again for what lies in suspense. A bill's notice stays payable for what that leaves of the bill,
    /// where no other does. `false` where another receipt settled it meanwhile.
    async fn hold(
        &self,
        tx: &mut Tx,
        reason: SuspenseReason,
        amount: Amount,
        notice: Option<&NoticeRow>,
    ) -> Result<bool, StoreError> {
        let (creditor, number) = (&self.incoming.facts.addressed_to, self.incoming.notice_number.as_str());
        let mut settles = true;
        if let Some(bill) = notice.and_then(|row| row.bill).filter(|_| reason != SuspenseReason::BillCancelled) {
            tx.hold_bill(creditor, bill).await?;
            let row = tx.notice(creditor, number).await?;
            let row = row.ok_or(StoreError::Corrupt("a notice that was just there"))?;
            let overflow = |_| StoreError::Corrupt("what is held for a bill");
            let held = Cents::new(row.held_cents).plus(amount.as_cents()).map_err(overflow)?;
            let balance = Cents::new(row.bill_balance_cents.unwrap_or_default()).plus(held).map_err(overflow)?;
            settles = row.others_open > Some(0) || balance >= Cents::ZERO;
        }
        tx.hold_notice(creditor, number, (self.now, amount.cents(), settles)).await
    }

    fn row(&self, booking: Booking) -> Result<NewReceipt, StoreError> {
        let incoming = &self.incoming;
        // Sums that fit no ledger are kept as the largest number, with their own outcome: a person must look.
        let ours = incoming.facts.ours().unwrap_or(Cents::new(i64::MAX));
        Ok(NewReceipt {
            issuer: incoming.facts.issuer.as_str().to_owned(),
            receipt_id: incoming.receipt_id.clone(),
            notice_number: incoming.notice_number.clone(),
            received_at: self.now,
            total: incoming.total,
            ours,
            outcome: booking.code(),
            entry: booking.entry().map(|_| self.entry.uuid()),
            content_digest: incoming.content_digest,
            message_digest: self.message_digest,
            key_id: self.key_id.clone(),
            sealed: self.sealed.clone(),
        })
    }

    async fn known(&self, tx: &mut Tx) -> Result<(Received, Vec<Uuid>), StoreError> {
        let incoming = &self.incoming;
        let creditor = incoming.facts.addressed_to;
        let issuer = incoming.facts.issuer;
        let stored = tx.receipt(&creditor, issuer.as_str(), &incoming.receipt_id).await?;
        // Gone between the two statements means that its transaction was undone: try again.
        let stored = stored.ok_or(StoreError::Conflict)?;
        if stored.entry == Some(self.entry.uuid()) {
            // Our own: this runs again because the answer to its commit was lost, or late.
            return Ok((Received::Found, Vec::new()));
        }
        if stored.content_digest == incoming.content_digest {
            return Ok((Received::Repeated, Vec::new()));
        }
        let row = KeptMessage {
            queue: "anomaly",
            message_digest: self.message_digest,
            why: format!("another receipt stands under {issuer} {}", incoming.receipt_id),
            received_at: self.now,
            key_id: self.key_id.clone(),
            sealed: self.sealed.clone(),
        };
        tx.keep_message(&creditor, &row).await?;
        Ok((Received::Anomaly, Vec::new()))
    }

    /// The entry that books it.
    fn entry(&self, booking: Booking) -> Result<Option<Entry>, StoreError> {
        let Some((account, kind, amount)) = booking.entry() else { return Ok(None) };
        let proof = ReceiptProof {
            issuer: self.incoming.facts.issuer,
            receipt_id: self.incoming.receipt_id.clone(),
            digest: self.message_digest,
        };
        let sides = (account, Account::CLEARING, Amount::as_cents(amount));
        Entry::transfer(self.incoming.facts.addressed_to, self.entry, kind, self.now, Some(proof), sides)
            .map(Some)
            .map_err(|_| StoreError::Corrupt("an entry that does not balance"))
    }

    /// Answers what the account that got the money holds after it.
    async fn book(&self, tx: &mut Tx, booking: Booking, notice: Option<&NoticeRow>) -> Result<Cents, StoreError> {
        let Some(entry) = self.entry(booking)? else { return Ok(Cents::ZERO) };
        if matches!(booking, Booking::Suspense { .. }) {
            let (creditor, account) = (self.incoming.facts.addressed_to, Account::SUSPENSE);
            tx.open_account(&creditor, account, &Head::genesis(&creditor, account)).await?;
        }
        // The notice was read with the account of its own wallet or bill; suspense stands elsewhere.
        let own = matches!(booking, Booking::Wallet { .. } | Booking::Bill { .. });
        let seen = notice.filter(|_| own).and_then(NoticeRow::head);
        let heads = tx.book_after(&entry, seen).await?;
        let head = heads.first().copied().flatten();
        let moved = seen.zip(head).is_some_and(|(seen, head)| head.seq != seen.seq.saturating_add(1));
        if moved && matches!(booking, Booking::Bill { .. }) {
            // Paid or withdrawn since the notice was read: decide again, knowing that.
            return Err(StoreError::Conflict);
        }
        head.map(|head| head.balance).ok_or(StoreError::Corrupt("an account without a running balance"))
    }

    async fn announce(
        &self,
        tx: &mut Tx,
        booking: Booking,
        notice: Option<&NoticeRow>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let creditor = self.incoming.facts.addressed_to;
        let number = self.incoming.notice_number.as_str();
        // Money in suspense for a notice of ours is told too: the parent sees that it was paid, the office what to do.
        let guardians = match (booking, notice.map(|row| (row.wallet, row.bill))) {
            (Booking::Nothing(_), _) | (_, None | Some((None, None))) => return Ok(Vec::new()),
            (_, Some((Some(wallet), _))) => {
                let guardians = tx.number_wallet_change(&creditor, wallet).await?;
                tx.feed_wallet_change(&creditor, wallet, self.now, number).await?;
                guardians
            }
            (_, Some((None, Some(bill)))) => {
                let guardians = tx.number_bill_change(&creditor, bill).await?;
                tx.feed_bill_change(&creditor, bill, self.now, number).await?;
                guardians
            }
        };
        tx.insert_outbox(&creditor, self.outbox, (OUTBOX_KIND, number), self.now).await?;
        Ok(guardians)
    }
}

fn notice_facts(row: &NoticeRow, now: Millis) -> Result<NoticeFacts, StoreError> {
    let purpose = match (row.wallet, row.bill) {
        (Some(wallet), None) => {
            NoticePurpose::TopUp { wallet: wallet.into(), wallet_open: row.wallet_closed_at_ms.is_none() }
        }
        (None, Some(bill)) => {
            let (others_open, held) = (row.others_open > Some(0), Cents::new(row.held_cents));
            NoticePurpose::Bill { bill: bill.into(), others_open, held }
        }
        _ => return Err(StoreError::Corrupt("a notice for nothing, or for two things")),
    };
    let state = row.state.at(row.expires_at_ms.map(Millis::new), now);
    let balance = Cents::new(row.account_balance_cents.unwrap_or_default());
    Ok(NoticeFacts { state, amount: row.amount_cents, purpose, balance })
}
