//! Receipts that arrive at the same time share a transaction, because a commit and its round trips cost more than what
//! one receipt writes.
//!
//! ```text
//! receive --slip--> prepare: whatever waits is read at once --ordinary--> book: whatever is ready, one commit
//!                   \-> anything else, and all where something failed: each by itself
//! ```
//!
//! Ordinary is a receipt that fills the wallet or settles the bill its notice was made for, as nearly all do. Second
//! payments, unknown notices, redeliveries, part payments and the like take `Plan::run`, which knows every case; so
//! does a whole batch as soon as anything in it crosses with somebody else's work. A receipt is therefore never kept from
//! the ledger by its neighbours, and each is still booked in one transaction with all that it does.
//!
//! The two steps overlap: while one batch is written, the next is read, and those of the last are answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::Account;
use borsellino_domain::receipt::Booking;
use borsellino_store::together::Ordinary;
use borsellino_store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::Fault;
use super::receipts::{OUTBOX_KIND, Plan, Received};

/// How many receipts may wait; more wait at the door.
const QUEUE: usize = 1_024;

/// How long a batch may hold up the next one: a connection that hangs must not close the till.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of how many accounts the till remembers where it left them.
const REMEMBERED: usize = 4_096;

/// What became of a receipt, and whom to wake.
pub(super) type Done = (Received, Vec<Uuid>);

/// The way in. Cheap to clone; the till closes when the last one is gone.
#[derive(Clone, Debug)]
pub struct Till {
    slips: mpsc::Sender<Slip>,
    alone: Alone,
}

struct Slip {
    plan: Arc<Plan>,
    done: oneshot::Sender<Result<Done, Fault>>,
}

/// A slip that may be booked with others.
struct Ready {
    slip: Slip,
    booking: Booking,
    ordinary: Ordinary,
}

impl Till {
    /// Opens the till of a store.
    pub fn open(store: &Store) -> Self {
        let (slips, arriving) = mpsc::channel(QUEUE);
        let (ready, prepared) = mpsc::channel(store.max_together().get());
        let places = Arc::new(Semaphore::new(store.max_alone().get()));
        let alone = Alone { store: store.clone(), handle: Handle::current(), places };
        store.spawn_beside(prepare(store.clone(), alone.clone(), arriving, ready));
        store.spawn_beside(book(store.clone(), alone.clone(), prepared));
        Self { slips, alone }
    }

    /// Keeps and books a receipt; goes on to its end when the caller stops waiting.
    pub(super) async fn receive(&self, plan: Plan) -> Result<Done, Fault> {
        let (done, answer) = oneshot::channel();
        let slip = Slip { plan: Arc::new(plan), done };
        if let Err(SendError(slip)) = self.slips.send(slip).await {
            // The till is shut only by a mistake of ours (it panicked): money goes on coming in all the same.
            tracing::error!("the till is shut, receipts go on one by one");
            self.alone.run(slip);
        }
        answer.await.map_err(|_| StoreError::NotWritable)?
    }
}

/// Reads what receipts are for, and hands on the ordinary ones.
async fn prepare(store: Store, alone: Alone, mut arriving: mpsc::Receiver<Slip>, ready: mpsc::Sender<Ready>) {
    let most = store.max_together().get();
    let mut slips = Vec::with_capacity(most);
    while arriving.recv_many(&mut slips, most).await > 0 {
        let keys = slips.iter().map(|slip| slip.plan.notice_key()).collect();
        let notices = match tokio::time::timeout(PATIENCE, store.notices_together(keys)).await {
            Ok(Ok(notices)) => notices,
            trouble => {
                alone.instead(slips.drain(..), trouble.ok().and_then(Result::err));
                continue;
            }
        };
        for (slip, notice) in slips.drain(..).zip(notices) {
            match notice.and_then(|notice| slip.plan.ordinary(&notice)) {
                Some((booking, ordinary)) => {
                    if ready.send(Ready { slip, booking, ordinary }).await.is_err() {
                        return;
                    }
                }
                None => alone.run(slip),
            }
        }
    }
}

/// Books what is ready.
async fn book(store: Store, alone: Alone, mut ready: mpsc::Receiver<Ready>) {
    let most = store.max_together().get();
    let mut left = Left::default();
    let mut batch = Vec::with_capacity(most);
    while ready.recv_many(&mut batch, most).await > 0 {
        // Everybody takes keys in the same order, so that two batches never wait for each other in a circle.
        batch.sort_by(|a, b| a.slip.plan.key().cmp(&b.slip.plan.key()));
        let (together, late): (Vec<_>, Vec<_>) = batch.drain(..).partition(|one| left.follows(&one.ordinary));
        let late = late.into_iter().map(|one| one.slip);
        if !together.is_empty() {
            book_together(&store, &alone, together).await;
        }
        late.for_each(|slip| alone.run(slip));
    }
}

async fn book_together(store: &Store, alone: &Alone, batch: Vec<Ready>) {
    let (mut slips, mut ordinaries) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for Ready { slip, booking, ordinary } in batch {
        slips.push((slip, booking, Vec::new()));
        ordinaries.push(ordinary);
    }
    let outcome = tokio::time::timeout(PATIENCE, store.receive_together(OUTBOX_KIND, ordinaries.into())).await;
    let trouble = match outcome {
        Ok(Ok(Some(told))) => {
            for row in told {
                if let Some((_, _, guardians)) = slips.get_mut(row.index) {
                    guardians.push(row.guardian);
                }
            }
            for (slip, booking, guardians) in slips {
                // Whoever stopped waiting needs no answer.
                let _ = slip.done.send(Ok((Received::Booked(booking), guardians)));
            }
            return;
        }
        Ok(Ok(None)) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => {
            // The transaction goes on; a receipt that runs alone meanwhile finds what it did.
            tracing::warn!(receipts = slips.len(), "a batch takes long, its receipts go on one by one");
            None
        }
    };
    alone.instead(slips.into_iter().map(|(slip, ..)| slip), trouble);
}

/// Where the till left the accounts it moved: what was read before that and is to be booked after it is late.
#[derive(Default)]
struct Left(HashMap<(CreditorCode, Account), i64>);

impl Left {
    /// Whether a receipt begins where the last one for its account ended, as far as the till knows.
    fn follows(&mut self, one: &Ordinary) -> bool {
        // What is forgotten too early is noticed by the database.
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let (key, seq) = ((*one.entry().creditor(), one.credited().account), one.head().seq);
        let before = self.0.get(&key).copied();
        let follows = before.is_none_or(|before| before < seq);
        // One that is late will move the account by one, too.
        self.0.insert(key, if follows { seq } else { before.map_or(seq, |before| before.saturating_add(1)) });
        follows
    }
}

/// Runs receipts in transactions of their own, beside the till. Not too many at once: where a whole batch has to, a
/// database that is slow already must keep connections for everybody else.
#[derive(Clone, Debug)]
struct Alone {
    store: Store,
    handle: Handle,
    places: Arc<Semaphore>,
}

impl Alone {
    fn run(&self, Slip { plan, done }: Slip) {
        let (store, places) = (self.store.clone(), Arc::clone(&self.places));
        drop(self.handle.spawn(async move {
            // Never closed.
            let _place = places.acquire_owned().await;
            // What has come again is known without a lock.
            let answer = match plan.is_repeated(&store).await {
                Ok(true) => Ok((Received::Repeated, Vec::new())),
                Ok(false) => write(&store, plan).await,
                Err(error) => Err(error.into()),
            };
            let _ = done.send(answer);
        }));
    }

    /// After something that concerned all of them: unless the whole database is out of reach, each goes on by itself.
    fn instead(&self, slips: impl Iterator<Item = Slip>, trouble: Option<StoreError>) {
        if let Some(error) = &trouble {
            tracing::warn!(%error, "receipts could not be booked together");
        }
        for slip in slips {
            match &trouble {
                Some(error) if error.is_outage() => drop(slip.done.send(Err(error.again().into()))),
                _ => self.run(slip),
            }
        }
    }
}

/// In a transaction of its own.
async fn write(store: &Store, plan: Arc<Plan>) -> Result<Done, Fault> {
    let outcome = store.write::<_, (), _>("receive a receipt", move |tx| {
        let plan = Arc::clone(&plan);
        Box::pin(async move { plan.run(tx).await.map(Ok) })
    });
    match outcome.await? {
        Ok(booked) => Ok(booked),
        Err(()) => Err(Fault::BadData("a receipt was refused")),
    }
}
