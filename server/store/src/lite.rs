//! SQLite: its options, and `ops/` compiled against it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor, SqlSafeStr, SqliteConnection, SqlitePool};

use crate::error::StoreError;

/// The engine that the files of `ops/` are compiled against here.
pub(crate) type Db = sqlx::Sqlite;

/// Nobody else writes, so no row is held by another.
macro_rules! skip_locked {
    () => {
        ""
    };
}

#[path = "ops/accounts.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod accounts;
#[path = "ops/content.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod content;
#[path = "ops/documents.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod documents;
#[path = "ops/families.rs"]
pub(crate) mod families;
#[path = "ops/feed.rs"]
pub(crate) mod feed;
#[path = "ops/identities.rs"]
pub(crate) mod identities;
#[path = "ops/ledger.rs"]
pub(crate) mod ledger;
#[path = "ops/office.rs"]
pub(crate) mod office;
#[path = "ops/overview.rs"]
pub(crate) mod overview;
#[path = "ops/payments.rs"]
pub(crate) mod payments;
#[path = "ops/phone.rs"]
pub(crate) mod phone;
#[path = "ops/post.rs"]
pub(crate) mod post;
#[path = "ops/push.rs"]
pub(crate) mod push;
#[path = "ops/queue.rs"]
pub(crate) mod queue;
#[path = "ops/seal.rs"]
pub(crate) mod seal;
#[path = "ops/sessions.rs"]
pub(crate) mod sessions;
pub(crate) mod together;

/// WAL with full durability: what was answered survives a power cut.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-16384")
        .pragma("mmap_size", "0")
        // What a refused operation would need to be undone: never more than a batch.
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", "10000")
}

/// The same in memory. `memdb` locks as a file does, where SQLite's shared cache would refuse whoever reads a table that is
/// being written; a write-ahead log it has none.
pub(crate) fn in_memory(name: &str) -> SqliteConnectOptions {
    options(Path::new(&format!("/{name}"))).vfs("memdb").journal_mode(SqliteJournalMode::Memory)
}

/// The same file for a connection that can't write. (Not SQLite's read-only mode: WAL needs its shared memory.)
pub(crate) fn reader(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("query_only", "1").pragma("cache_size", "-2048")
}

/// Opens the writer's connection and brings the file up to date.
pub(crate) async fn connect_and_migrate(options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    let mut connection = SqliteConnection::connect_with(options).await?;
    sqlx::migrate!("../../migrations/sqlite").run_direct(None, &mut connection, false).await?;
    Ok(connection)
}

/// Every statement and its name.
pub(crate) fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = [
        accounts::ALL,
        content::ALL,
        documents::ALL,
        families::ALL,
        identities::ALL,
        ledger::ALL,
        overview::ALL,
        payments::ALL,
        phone::ALL,
        sessions::ALL,
        feed::ALL,
        queue::ALL,
        office::ALL,
        seal::ALL,
        push::ALL,
        post::ALL,
    ];
    files.into_iter().flatten().copied().chain(together::texts())
}

pub(crate) async fn prepare_all(pool: &SqlitePool) -> Result<usize, (&'static str, StoreError)> {
    let mut connection = pool.acquire().await.map_err(|error| ("connect", error.into()))?;
    for (name, text) in texts() {
        connection.prepare(text.into_sql_str()).await.map_err(|error| (name, error.into()))?;
    }
    Ok(texts().count())
}
