//! PostgreSQL: `ops/` compiled against it.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool, SqlSafeStr};

use crate::error::StoreError;

/// The engine that the files of `ops/` are compiled against here.
pub(crate) type Db = sqlx::Postgres;

/// Rows that another node holds are left to it.
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
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
#[allow(clippy::duplicate_mod)]
pub(crate) mod families;
#[path = "ops/feed.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod feed;
#[path = "ops/identities.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod identities;
#[path = "ops/ledger.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod ledger;
#[path = "ops/office.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod office;
#[path = "ops/overview.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod overview;
#[path = "ops/payments.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod payments;
#[path = "ops/phone.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod phone;
#[path = "ops/post.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod post;
#[path = "ops/push.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod push;
#[path = "ops/queue.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod queue;
#[path = "ops/seal.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod seal;
#[path = "ops/sessions.rs"]
#[allow(clippy::duplicate_mod)]
pub(crate) mod sessions;
pub(crate) mod together;

/// On a connection of its own, which has no limits of time.
pub(crate) async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::migrate!("../../migrations/postgres").run_direct(None, &mut connection, false).await?;
    Ok(connection.close().await?)
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
        together::ALL,
    ];
    files.into_iter().flatten().copied()
}

pub(crate) async fn prepare_all(pool: &PgPool) -> Result<usize, (&'static str, StoreError)> {
    let mut connection = pool.acquire().await.map_err(|error| ("connect", error.into()))?;
    for (name, text) in texts() {
        connection.prepare(text.into_sql_str()).await.map_err(|error| (name, error.into()))?;
    }
    Ok(texts().count())
}
