//! Durable state on SQLite (the default) or PostgreSQL: SQL and row types, no rules.
//!
//! One SQL text and one function body serve both engines: the files in `ops/` are compiled twice, once inside
//! [`lite`] and once inside [`pg`], against that engine's `Db`. Only batches of receipts ([`together`]) have texts per
//! engine. Use cases see neither: they call [`Store::write`] or [`Store::read`] with a body against [`Tx`], whose methods
//! forward to the engine at hand.
//!
//! ```text
//! usecases --write(name, body)--> SQLite: one writer task, group commit, a savepoint for each that shares one
//!                             \-> PostgreSQL: a task of its own, BEGIN .. COMMIT, again on conflict
//!          --read(body)--------> a pooled connection, in a task of its own
//! ```
//!
//! Bodies can be run again (ids and times are made outside), so a commit whose outcome is unknown is simply repeated.

mod error;
mod lane;
pub mod lite;
pub mod pg;
pub mod rows;
pub mod together;
mod tx;
mod writer;

use std::future::Future;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, PgPool, SqlitePool};

pub use crate::error::StoreError;
use crate::lane::Lane;
pub use crate::tx::Tx;
use crate::writer::Writer;

/// How often a body is run again after a conflict before the caller hears of it.
const MAX_ATTEMPTS: u32 = 5;

/// Nothing waits for ever on PostgreSQL: a lock that somebody else holds, a statement, or a transaction whose client is
/// gone ends in time for the Node to have its answer. In milliseconds.
const PG_LIMITS: [(&str, &str); 3] =
    [("statement_timeout", "4000"), ("lock_timeout", "3000"), ("idle_in_transaction_session_timeout", "10000")];

/// A connection that lay idle this long is asked whether it still stands before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// How many operations may share a commit on SQLite.
const MAX_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// How many receipts should share a transaction.
const MAX_TOGETHER: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// One connection reads for the next batch while the other writes this one.
const TOGETHER_CONNECTIONS: u32 = 2;

/// They are free, or something is wrong with them: then nobody waits for them.
const TOGETHER_ACQUIRE: Duration = Duration::from_secs(1);

/// What several callers share must not wait for a lock that only one of them needs: a quarter of a second, and each
/// goes on by itself. In milliseconds.
const TOGETHER_LIMITS: [(&str, &str); 1] = [("lock_timeout", "250")];

/// How long a caller waits for a connection, in milliseconds: below the five seconds in which the Node wants an answer.
const ACQUIRE_MILLIS: u64 = 4_000;

/// A database of either kind. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    statements: Arc<AtomicU64>,
    max_together: NonZeroUsize,
}

#[derive(Clone, Debug)]
enum Engine {
    Lite { readers: SqlitePool, together: Option<SqlitePool>, writer: Writer },
    Pg { pool: PgPool, together: Option<Together> },
}

/// Where [`Store::receive_together`] runs on PostgreSQL: its own thread with its own connections.
#[derive(Clone, Debug)]
struct Together {
    lane: Lane,
    pool: PgPool,
}

impl Store {
    /// Opens (and creates) the SQLite file at `path`, migrates it, and starts its writer.
    ///
    /// # Errors
    /// [`StoreError`] where the file can't be opened or migrated.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        Self::open_sqlite_batching(path, MAX_BATCH).await
    }

    /// The same with at most `max_batch` operations to a commit: with one, the peer that group commit is measured
    /// against.
    ///
    /// # Errors
    /// As there.
    pub async fn open_sqlite_batching(path: &Path, max_batch: NonZeroUsize) -> Result<Self, StoreError> {
        Self::open_lite(lite::options(path), max_batch).await
    }

    /// Opens (and creates) a SQLite database in this process's memory, for tests: everybody who opens `name` shares it,
    /// and it is gone with its last connection. (SQLite's `memdb`, file `/name`.)
    ///
    /// # Errors
    /// [`StoreError`] where it can't be migrated.
    pub async fn open_sqlite_in_memory(name: &str) -> Result<Self, StoreError> {
        Self::open_lite(lite::in_memory(name), MAX_BATCH).await
    }

    async fn open_lite(options: SqliteConnectOptions, max_batch: NonZeroUsize) -> Result<Self, StoreError> {
        let statements = Arc::new(AtomicU64::new(0));
        let writer = Writer::start(options.clone(), Arc::clone(&statements), max_batch.get()).await?;
        let pool = |connections, patience| {
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(patience).test_before_acquire(false)
        };
        let reader = lite::reader(options);
        let readers = pool(8, Duration::from_millis(ACQUIRE_MILLIS)).min_connections(1);
        let readers = readers.connect_with(reader.clone()).await?;
        let together = Some(pool(1, TOGETHER_ACQUIRE).connect_lazy_with(reader));
        let max_together = max_batch.min(MAX_TOGETHER);
        Ok(Self { engine: Engine::Lite { readers, together, writer }, statements, max_together })
    }

    /// Connects to the PostgreSQL database at `url` with at most `connections` connections, and two more for
    /// [`Store::receive_together`], and migrates it.
    ///
    /// # Errors
    /// [`StoreError`] where it can't be reached or migrated.
    pub async fn connect_postgres(url: &str, connections: u32) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        pg::migrate(&options).await?;
        let options = options.options(PG_LIMITS);
        let many = pg_pool(connections).connect_with(options.clone()).await?;
        let lane = Lane::open("postgres-together").map_err(sqlx::Error::Io)?;
        let options = options.options(TOGETHER_LIMITS);
        let pool = pg_pool(TOGETHER_CONNECTIONS).acquire_timeout(TOGETHER_ACQUIRE);
        // In the thread, which so drives what the connections read and write.
        let open = lane.spawn(async move { pool.connect_with(options).await });
        let together = Together { pool: open.await.map_err(|_| StoreError::Panicked)??, lane };
        let engine = Engine::Pg { pool: many, together: Some(together) };
        Ok(Self { engine, statements: Arc::default(), max_together: MAX_TOGETHER })
    }

    /// Opens an existing SQLite file for reading only, for `ledger verify` beside a running server.
    ///
    /// # Errors
    /// [`StoreError`] where there is none or it can't be read.
    pub async fn open_sqlite_for_reading(path: &Path) -> Result<Self, StoreError> {
        let statements = Arc::new(AtomicU64::new(0));
        let options = lite::reader(lite::options(path).create_if_missing(false));
        let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let engine = Engine::Lite { readers, together: None, writer: Writer::none() };
        Ok(Self { engine, statements, max_together: MAX_TOGETHER })
    }

    /// Runs `body` in one transaction and commits it before answering: `Ok(Ok(_))` is committed, `Ok(Err(_))` is a
    /// refusal whose effects are undone, `Err(_)` is a failure of the database with nothing kept - except that after a
    /// lost commit the body has been run again and found its own effect. The transaction goes on when the caller stops
    /// waiting.
    ///
    /// # Errors
    /// [`StoreError`], on PostgreSQL after up to five attempts where it was a conflict. (On SQLite nobody else writes: a
    /// conflict there means that another process held the file for longer than the writer waits.)
    pub async fn write<T, R, F>(&self, name: &'static str, body: F) -> Result<Result<T, R>, StoreError>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Result<T, R>, StoreError>> + Send + Sync + 'static,
    {
        match &self.engine {
            Engine::Lite { writer, .. } => writer.submit(name, body).await,
            Engine::Pg { pool, .. } => {
                let (pool, statements) = (pool.clone(), Arc::clone(&self.statements));
                tokio::spawn(async move { pg_write(name, &pool, statements, body).await })
                    .await
                    .map_err(|_| StoreError::Panicked)?
            }
        }
    }

    /// Runs a task on the thread that [`Store::receive_together`] uses (or, where there is none, beside the caller), so
    /// that one batch follows the other without waiting for a turn among the server's other tasks.
    pub fn spawn_beside<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let lane = match &self.engine {
            Engine::Lite { writer, .. } => writer.lane(),
            Engine::Pg { together, .. } => together.as_ref().map(|together| &together.lane),
        };
        match lane {
            Some(lane) => drop(lane.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    /// How many effects of one kind should be written at once by themselves: others need connections, too.
    pub fn max_alone(&self) -> NonZeroUsize {
        match &self.engine {
            Engine::Lite { .. } => MAX_TOGETHER,
            Engine::Pg { pool, .. } => {
                let half = usize::try_from(pool.options().get_max_connections() / 2).unwrap_or(1);
                NonZeroUsize::new(half).unwrap_or(NonZeroUsize::MIN)
            }
        }
    }

    /// How many receipts to give [`Store::receive_together`] at most.
    pub fn max_together(&self) -> NonZeroUsize {
        self.max_together
    }

    /// Runs `body` on a connection of its own, outside any transaction: each statement sees what is committed. In a
    /// task of its own, so that nothing is cut off in the middle when the caller stops waiting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read<T, F>(&self, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let (engine, statements) = (self.engine.clone(), Arc::clone(&self.statements));
        let task = tokio::spawn(async move {
            let mut tx = match &engine {
                Engine::Lite { readers, .. } => Tx::lite_reader(readers.acquire().await?, statements),
                Engine::Pg { pool, .. } => Tx::pg_reader(pool.acquire().await?, statements),
            };
            body(&mut tx).await
        });
        task.await.map_err(|_| StoreError::Panicked)?
    }

    /// Connects to the PostgreSQL database at `url` for reading only, and migrates nothing.
    ///
    /// # Errors
    /// [`StoreError`] where it can't be reached.
    pub async fn connect_postgres_for_reading(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.options([("default_transaction_read_only", "on")]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        let engine = Engine::Pg { pool, together: None };
        Ok(Self { engine, statements: Arc::default(), max_together: MAX_TOGETHER })
    }

    /// How many statements this store has run, a batch of receipts counted as one, `BEGIN`, `COMMIT` and savepoints not
    /// counted. For tests and benches.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// `sqlite` or `postgres`.
    pub fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Lite { .. } => "sqlite",
            Engine::Pg { .. } => "postgres",
        }
    }

    /// Prepares every statement on this engine, and names the first that the engine does not take.
    ///
    /// # Errors
    /// [`StoreError`] of the first statement refused, with its name.
    pub async fn prepare_all(&self) -> Result<usize, (&'static str, StoreError)> {
        match &self.engine {
            Engine::Lite { readers, .. } => lite::prepare_all(readers).await,
            Engine::Pg { pool, .. } => pg::prepare_all(pool).await,
        }
    }

    /// The names and texts of every statement on this engine, for benches that run some of them bare.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let texts: Vec<_> = match &self.engine {
            Engine::Lite { .. } => lite::texts().collect(),
            Engine::Pg { .. } => pg::texts().collect(),
        };
        texts.into_iter()
    }

    /// Waits for what is under way and closes every connection.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Lite { readers, together, writer } => {
                writer.stop().await;
                if let Some(together) = together {
                    together.close().await;
                }
                readers.close().await;
            }
            Engine::Pg { pool, together } => {
                if let Some(together) = together {
                    together.pool.close().await;
                }
                pool.close().await;
            }
        }
    }

    /// For tests: on SQLite, as if the disk had room for `pages` of the file and no more; with its present size or less,
    /// as if it were full. Nothing on PostgreSQL.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) {
        if let Engine::Lite { writer, .. } = &self.engine {
            writer.limit(pages).await;
        }
    }

    /// For tests that look at, or spoil, the rows themselves.
    pub fn raw(&self) -> RawPool<'_> {
        match &self.engine {
            Engine::Lite { readers, .. } => RawPool::Lite(readers),
            Engine::Pg { pool, .. } => RawPool::Pg(pool),
        }
    }
}

/// The bare pool behind a store, for tests.
#[derive(Debug)]
pub enum RawPool<'a> {
    /// SQLite's readers: they cannot write.
    Lite(&'a SqlitePool),
    /// PostgreSQL.
    Pg(&'a PgPool),
}

fn pg_pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_millis(ACQUIRE_MILLIS))
        // Asking "are you there?" before each use costs a round trip; only one that has rested may be gone.
        .test_before_acquire(false)
        .before_acquire(|connection, rest| {
            Box::pin(async move {
                if rest.idle_for >= RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

async fn pg_write<T, R, F>(
    name: &'static str,
    pool: &PgPool,
    statements: Arc<AtomicU64>,
    body: F,
) -> Result<Result<T, R>, StoreError>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Result<T, R>, StoreError>>,
{
    let mut attempt = 1;
    loop {
        let outcome = match pool.begin().await {
            Ok(transaction) => pg_finish(Tx::pg_writer(transaction, Arc::clone(&statements)), &body).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Err(error) if error.may_be_repeated() && attempt < MAX_ATTEMPTS => {
                tracing::debug!(name, attempt, %error, "running the transaction again");
                // A short, growing pause lets the other side of the conflict finish.
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 3)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Runs a body in the transaction just begun, and ends it.
async fn pg_finish<T, R, F>(mut tx: Tx, body: &F) -> Result<Result<T, R>, StoreError>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<Result<T, R>, StoreError>>,
{
    let verdict = body(&mut tx).await?;
    match &verdict {
        Ok(_) => tx.commit().await.map_err(StoreError::from_commit)?,
        Err(_) => tx.rollback().await?,
    }
    Ok(verdict)
}
