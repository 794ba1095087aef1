//! Receipts that arrive at the same time share a transaction, because a commit and its round trips cost more than what
//! one receipt writes.
//!
//! ```text
//! receive --slip--> queue --whatever waits--> the till: the ordinary ones together, one commit
//!                                             \-> anything else, and all where the commit failed: each by itself
//! ```
//!
//! Ordinary is a receipt that fills the wallet or settles the bill its notice was made for, as nearly all do. Second
//! payments, unknown notices, redeliveries, part payments and the like take `Plan::run`, which knows every case; so
//! does a whole batch as soon as anything in it crosses with somebody else's work. A receipt is therefore never kept from
//! the ledger by its neighbours, and each is still booked in one transaction with all that it does.
//!
//! There is one till to a server. Two were slower: each finds half as much waiting, and pays for its own commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use borsellino_store::{Store, StoreError, Tx};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::Fault;
use super::receipts::{OUTBOX_KIND, Plan, Received};

/// How many receipts may wait; more wait at the door.
const QUEUE: usize = 1_024;

/// How long a batch may hold up the next one: a connection that hangs must not close the till.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of a receipt, and whom to wake.
pub(super) type Done = (Received, Vec<Uuid>);

/// The way in. Cheap to clone; the till closes when the last one is gone.
#[derive(Clone, Debug)]
pub struct Till(mpsc::Sender<Slip>);

struct Slip {
    plan: Arc<Plan>,
    done: oneshot::Sender<Result<Done, Fault>>,
}

impl Till {
    /// Opens the till of a store.
    pub fn open(store: &Store) -> Self {
        let (slips, waiting) = mpsc::channel(QUEUE);
        store.spawn_beside(serve(store.clone(), Handle::current(), waiting));
        Self(slips)
    }

    /// Keeps and books a receipt; goes on to its end when the caller stops waiting.
    pub(super) async fn receive(&self, plan: Plan) -> Result<Done, Fault> {
        let (done, answer) = oneshot::channel();
        let slip = Slip { plan: Arc::new(plan), done };
        self.0.send(slip).await.map_err(|_| StoreError::NotWritable)?;
        answer.await.map_err(|_| StoreError::NotWritable)?
    }
}

async fn serve(store: Store, others: Handle, mut waiting: mpsc::Receiver<Slip>) {
    let most = store.max_together().get();
    loop {
        let mut batch = Vec::with_capacity(most);
        if waiting.recv_many(&mut batch, most).await == 0 {
            return;
        }
        serve_batch(&store, &others, batch).await;
    }
}

async fn serve_batch(store: &Store, others: &Handle, mut batch: Vec<Slip>) {
    // Everybody takes keys in the same order, so that two batches never wait for each other in a circle.
    batch.sort_by(|a, b| a.plan.key().cmp(&b.plan.key()));
    let plans: Arc<[Arc<Plan>]> = batch.iter().map(|slip| Arc::clone(&slip.plan)).collect();
    let outcome = store.write_together("receive receipts", move |tx| {
        let plans = Arc::clone(&plans);
        Box::pin(async move { book(tx, &plans).await })
    });
    // The transaction goes on; a receipt that runs alone meanwhile finds what it did.
    let Ok(outcome) = tokio::time::timeout(PATIENCE, outcome).await else {
        tracing::warn!(receipts = batch.len(), "a batch takes long, its receipts go on one by one");
        for slip in batch {
            others.spawn(alone(store.clone(), slip));
        }
        return;
    };
    let mut answers = match outcome {
        Ok(Ok(answers)) => answers,
        Ok(Err(Crossed)) => HashMap::new(),
        Err(error) if error.is_outage() => {
            for slip in batch {
                // Whoever stopped waiting needs no answer.
                let _ = slip.done.send(Err(error.again().into()));
            }
            return;
        }
        Err(error) => {
            tracing::debug!(%error, "receipts could not be booked together");
            HashMap::new()
        }
    };
    for (index, slip) in batch.into_iter().enumerate() {
        match answers.remove(&index) {
            Some(done) => drop(slip.done.send(Ok(done))),
            None => drop(others.spawn(alone(store.clone(), slip))),
        }
    }
}

/// Runs a receipt in a transaction of its own.
async fn alone(store: Store, slip: Slip) {
    let plan = slip.plan;
    let outcome = store.write::<_, (), _>("receive a receipt", move |tx| {
        let plan = Arc::clone(&plan);
        Box::pin(async move { plan.run(tx).await.map(Ok) })
    });
    let answer = match outcome.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(())) => Err(Fault::BadData("a receipt was refused")),
        Err(error) => Err(error.into()),
    };
    let _ = slip.done.send(answer);
}

/// Something in the batch was done by somebody else meanwhile: nothing of it may stay.
#[derive(Debug)]
struct Crossed;

/// Books what is ordinary in a batch; answers what became of which (by place). The others are untouched.
async fn book(tx: &mut Tx, plans: &[Arc<Plan>]) -> Result<Result<HashMap<usize, Done>, Crossed>, StoreError> {
    let keys: Vec<_> = plans.iter().map(|plan| plan.notice_key()).collect();
    let notices = tx.notices(&keys).await?;
    let (mut batch, mut done) = (Vec::new(), Vec::new());
    let mut accounts = HashSet::new();
    for ((index, plan), notice) in plans.iter().enumerate().zip(&notices) {
        let Some((booking, ordinary)) = notice.as_ref().and_then(|notice| plan.ordinary(notice)) else { continue };
        // A second receipt for the same account begins where the first one ends, which only the first one knows.
        if accounts.insert((*ordinary.entry().creditor(), ordinary.credited().account)) {
            done.push((index, (Received::Booked(booking), Vec::new())));
            batch.push(ordinary);
        }
    }
    if batch.is_empty() {
        return Ok(Ok(HashMap::new()));
    }
    let Some(told) = tx.receive_together(OUTBOX_KIND, &batch).await? else { return Ok(Err(Crossed)) };
    for row in told {
        if let Some((_, (_, guardians))) = done.get_mut(row.index) {
            guardians.push(row.guardian);
        }
    }
    Ok(Ok(done.into_iter().collect()))
}
