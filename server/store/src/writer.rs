//! SQLite's single writer: operations queue up, are run one after the other inside one transaction, each in a
//! savepoint of its own (one that comes alone has none), and are answered together after one commit (one fsync for many).
//! It has a thread of its own.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::error::StoreError;
use crate::lane::Lane;
use crate::lite;
use crate::tx::Tx;

/// How many operations may wait; more wait at the door.
const QUEUE: usize = 1_024;

/// A handle to the writer task.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Option<(mpsc::Sender<Order>, Lane)>);

enum Order {
    Write(Operation),
    /// Open the file anew, which may not grow beyond this many pages.
    Limit(u32),
    /// Finish what is queued and end.
    Stop(oneshot::Sender<()>),
}

struct Operation {
    name: &'static str,
    run: Run,
    /// Told once the commit is done, or why there was none.
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// A body whose answer is kept aside, so that the writer needs not know its type.
type Run = Box<dyn for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Verdict, StoreError>> + Send + Sync>;

/// What a body wants done with its effects.
enum Verdict {
    Keep,
    Undo,
}

impl Writer {
    /// Opens and migrates the file and starts the task.
    pub(crate) async fn start(
        options: SqliteConnectOptions,
        statements: Arc<AtomicU64>,
        max_batch: usize,
    ) -> Result<Self, StoreError> {
        let connection = lite::connect_and_migrate(&options).await?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let lane = Lane::open("sqlite-writer").map_err(sqlx::Error::Io)?;
        lane.spawn(work(options, connection, statements, receiver, max_batch));
        Ok(Self(Some((sender, lane))))
    }

    /// The writer's thread.
    pub(crate) fn lane(&self) -> Option<&Lane> {
        self.0.as_ref().map(|(_, lane)| lane)
    }

    /// A writer that takes nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) async fn submit<T, R, F>(&self, name: &'static str, body: F) -> Result<Result<T, R>, StoreError>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Result<T, R>, StoreError>> + Send + Sync + 'static,
    {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let body = Arc::new(body);
        let run: Run = Box::new(move |tx| {
            let (slot, body) = (Arc::clone(&slot), Arc::clone(&body));
            Box::pin(keep_answer(slot, body, tx))
        });
        let (done, committed) = oneshot::channel();
        let (sender, _) = self.0.as_ref().ok_or(StoreError::NotWritable)?;
        let operation = Operation { name, run, done };
        sender.send(Order::Write(operation)).await.map_err(|_| StoreError::NotWritable)?;
        committed.await.map_err(|_| StoreError::NotWritable)??;
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.ok_or(StoreError::Panicked)
    }

    /// Lets the file grow to `pages` at most, from the next transaction on.
    pub(crate) async fn limit(&self, pages: u32) {
        if let Some((sender, _)) = &self.0 {
            // An error means that the task is gone, and writes nothing any more.
            let _ = sender.send(Order::Limit(pages)).await;
        }
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if let Some((sender, _)) = &self.0
            && sender.send(Order::Stop(done)).await.is_ok()
        {
            // An error means that the task is gone, which is what was asked for.
            let _ = stopped.await;
        }
    }
}

async fn keep_answer<T, R, F>(
    slot: Arc<Mutex<Option<Result<T, R>>>>,
    body: Arc<F>,
    tx: &mut Tx,
) -> Result<Verdict, StoreError>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Result<T, R>, StoreError>>,
{
    let answer = body(tx).await?;
    let verdict = if answer.is_ok() { Verdict::Keep } else { Verdict::Undo };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    Ok(verdict)
}

async fn work(
    mut options: SqliteConnectOptions,
    connection: SqliteConnection,
    statements: Arc<AtomicU64>,
    mut orders: mpsc::Receiver<Order>,
    max_batch: usize,
) {
    let mut connection = Some(connection);
    let mut batch = Vec::with_capacity(max_batch);
    while orders.recv_many(&mut batch, max_batch).await > 0 {
        let mut stop = None;
        let mut operations = Vec::with_capacity(batch.len());
        for order in batch.drain(..) {
            match order {
                Order::Write(operation) => operations.push(operation),
                Order::Limit(pages) => {
                    options = options.pragma("max_page_count", pages.to_string());
                    connection = None;
                }
                Order::Stop(done) => stop = Some(done),
            }
        }
        if !operations.is_empty() {
            let opened = match connection.take() {
                Some(connection) => Ok(connection),
                None => SqliteConnection::connect_with(&options).await.map_err(StoreError::from),
            };
            match opened {
                Ok(open) => connection = run_batch(open, &statements, operations).await,
                Err(error) => answer_all(operations, &error),
            }
        }
        if let Some(done) = stop {
            orders.close();
            if let Some(connection) = connection.take() {
                // Closing checkpoints the WAL; a failure costs only time at the next start.
                let _ = connection.close().await;
            }
            let _ = done.send(());
            return;
        }
    }
}

/// Runs a batch; gives the connection back unless it has to be opened anew.
async fn run_batch(
    connection: SqliteConnection,
    statements: &Arc<AtomicU64>,
    operations: Vec<Operation>,
) -> Option<SqliteConnection> {
    let mut tx = Tx::lite_writer(connection, Arc::clone(statements));
    if let Err(error) = tx.control("BEGIN IMMEDIATE").await {
        answer_all(operations, &error.into());
        return None;
    }
    if let [_] = *operations {
        return run_single(tx, operations).await;
    }
    let mut outcomes = Vec::new();
    let mut operations = operations.into_iter();
    for operation in operations.by_ref() {
        let outcome = run_one(&mut tx, &operation).await;
        if let Err((error, true)) = outcome {
            // The whole transaction is gone with this one: nothing of the batch may be answered as done.
            let before = outcomes.into_iter().map(|(done, _)| done);
            for done in before.chain([operation.done]).chain(operations.map(|operation| operation.done)) {
                let _ = done.send(Err(error.again()));
            }
            return None;
        }
        outcomes.push((operation.done, outcome.map_err(|(error, _)| error)));
    }
    let committed = tx.control("COMMIT").await;
    match committed {
        Ok(()) => {
            for (done, outcome) in outcomes {
                let _ = done.send(outcome);
            }
            tx.into_lite_connection()
        }
        Err(error) => {
            let error = StoreError::from_commit(error);
            for (done, _) in outcomes {
                let _ = done.send(Err(error.again()));
            }
            None
        }
    }
}

/// Runs an operation that nobody shares the transaction with: it needs no savepoint, for which every page that it
/// changes would be copied.
async fn run_single(mut tx: Tx, operations: Vec<Operation>) -> Option<SqliteConnection> {
    let operation = operations.into_iter().next()?;
    let outcome = run_body(&mut tx, &operation).await;
    let kept = matches!(outcome, Ok(Verdict::Keep));
    let lost = outcome.as_ref().is_err_and(StoreError::ends_transaction);
    let ended = match (kept, lost) {
        (true, _) => tx.control("COMMIT").await.map_err(StoreError::from_commit),
        (false, false) => tx.control("ROLLBACK").await.map_err(StoreError::from),
        (false, true) => Ok(()),
    };
    let stands = !lost && ended.is_ok();
    let _ = operation.done.send(match (outcome, kept) {
        (Ok(_), true) => ended,
        (Ok(_), false) => Ok(()),
        (Err(error), _) => {
            tracing::warn!(name = operation.name, %error, "a store operation failed");
            Err(error)
        }
    });
    if stands { tx.into_lite_connection() } else { None }
}

async fn run_body(tx: &mut Tx, operation: &Operation) -> Result<Verdict, StoreError> {
    match AssertUnwindSafe((operation.run)(tx)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(name = operation.name, "a store operation panicked");
            Err(StoreError::Panicked)
        }
    }
}

/// Runs one operation in its savepoint. The flag of an error says whether the whole transaction is lost.
async fn run_one(tx: &mut Tx, operation: &Operation) -> Result<(), (StoreError, bool)> {
    tx.control("SAVEPOINT operation").await.map_err(|error| (error.into(), true))?;
    let outcome = run_body(tx, operation).await;
    if let Ok(Verdict::Keep) = outcome {
        return tx.control("RELEASE operation").await.map_err(|error| (error.into(), true));
    }
    let lost = outcome.as_ref().is_err_and(StoreError::ends_transaction);
    if !lost {
        let undone = tx.control("ROLLBACK TO operation").await;
        let released = tx.control("RELEASE operation").await;
        if let Err(error) = undone.and(released) {
            return Err((error.into(), true));
        }
    }
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(name = operation.name, %error, "a store operation failed");
            Err((error, lost))
        }
    }
}

fn answer_all(operations: Vec<Operation>, error: &StoreError) {
    for operation in operations {
        let _ = operation.done.send(Err(error.again()));
    }
}
