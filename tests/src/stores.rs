//! A fresh, migrated store on either engine for a test, a back door to spoil its rows, and a town to fill it with.

use std::fmt::Display;
use std::path::PathBuf;

use borsellino_domain::creditor::{CreditorCode, StationId};
use borsellino_domain::iban::Iban;
use borsellino_domain::notice::SegregationCode;
use borsellino_store::rows::{CreditorRow, StationRow};
use borsellino_store::{Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::postgres::server;

/// How many connections a PostgreSQL store of a test may open.
const CONNECTIONS: u32 = 8;

/// A store that nobody else uses, and where it lies.
#[derive(Debug)]
pub struct Fresh {
    /// The store.
    pub store: Store,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Removed when dropped.
    Sqlite(TempDir),
    /// Its URL.
    Postgres(String),
}

impl Fresh {
    /// On SQLite, in a file of its own.
    ///
    /// # Errors
    /// Where no file can be made.
    pub async fn sqlite() -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("borsellino-store-")?;
        let place = Place::Sqlite(directory);
        Ok(Self { store: place.open().await?, place })
    }

    /// On PostgreSQL, in a database of its own; `hint` becomes part of its name.
    ///
    /// # Errors
    /// Where it can't be opened.
    ///
    /// # Panics
    /// Where no PostgreSQL can be had.
    pub async fn postgres(hint: &str) -> anyhow::Result<Self> {
        let migrate = async |url: String| {
            Store::connect_postgres(&url, 1).await?.close().await;
            Ok(())
        };
        let place = Place::Postgres(server().template("store", migrate).await.database(hint).await);
        Ok(Self { store: place.open().await?, place })
    }

    /// Closes the store and opens it again.
    ///
    /// # Errors
    /// Where it can't be opened.
    pub async fn reopen(&mut self) -> anyhow::Result<()> {
        self.store.close().await;
        self.store = self.place.open().await?;
        Ok(())
    }

    /// The file, on SQLite.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Sqlite(directory) => Some(file(directory)),
            Place::Postgres(_) => None,
        }
    }

    /// The URL, on PostgreSQL.
    pub fn url(&self) -> Option<&str> {
        match &self.place {
            Place::Sqlite(_) => None,
            Place::Postgres(url) => Some(url),
        }
    }

    /// Whether this is SQLite.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.place, Place::Sqlite(_))
    }

    /// Runs statements past the store, on a connection of its own that minds no foreign keys on SQLite.
    ///
    /// # Errors
    /// What the database says.
    pub async fn raw_execute(&self, sql: &str) -> anyhow::Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.place {
            Place::Sqlite(directory) => {
                let options = SqliteConnectOptions::new().filename(file(directory)).foreign_keys(false);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                sql.execute(&mut connection).await?;
                Ok(connection.close().await?)
            }
            Place::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await?;
                sql.execute(&mut connection).await?;
                Ok(connection.close().await?)
            }
        }
    }

    /// The one number that `sql` asks for, past the store.
    ///
    /// # Errors
    /// What the database says.
    pub async fn raw_number(&self, sql: &str) -> anyhow::Result<i64> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.store.raw() {
            borsellino_store::RawPool::Lite(pool) => Ok(sqlx::query_scalar(sql).fetch_one(pool).await?),
            borsellino_store::RawPool::Pg(pool) => Ok(sqlx::query_scalar(sql).fetch_one(pool).await?),
        }
    }

    /// An id as this engine's SQL writes it.
    pub fn id(&self, id: Uuid) -> String {
        if self.is_sqlite() { format!("X'{}'", id.simple()) } else { format!("'{id}'::uuid") }
    }

    /// Bytes, given in hexadecimal, as this engine's SQL writes them.
    pub fn bytes(&self, hex: impl Display) -> String {
        if self.is_sqlite() { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") }
    }
}

impl Place {
    async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Sqlite(directory) => Store::open_sqlite(&file(directory)).await,
            Self::Postgres(url) => Store::connect_postgres(url, CONNECTIONS).await,
        }
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("borsellino.db")
}

/// Adds creditors with these codes, one station for all.
///
/// # Errors
/// Where a code has not eleven digits, or the store refuses.
pub async fn add_creditors(store: &Store, codes: &[&str]) -> anyhow::Result<Vec<CreditorCode>> {
    let station = StationId::parse("99900010010_01")?;
    let row = StationRow { broker: station.broker(), id: station, duplicate_is_ko: 0 };
    let codes = codes.iter().map(|code| CreditorCode::from_digits(code)).collect::<Result<Vec<_>, _>>()?;
    let iban = Iban::parse("IT60X0542811101000000123456")?;
    let creditor = |(code, segregation): (&CreditorCode, usize)| {
        Ok(CreditorRow {
            fiscal_code: *code,
            name: format!("Comune {code}"),
            office_name: "Ufficio scuola".to_owned(),
            station: row.id,
            broker: row.broker,
            duplicate_is_ko: 0,
            segregation_code: SegregationCode::parse(&format!("{segregation:02}"))?,
            cbill: String::new(),
            iban: iban.clone(),
            postal_iban: None,
            help_phone: String::new(),
            top_up_days: 30,
            colour: None,
            logo_mark: None,
        })
    };
    let rows = codes.iter().zip(1..).map(creditor).collect::<anyhow::Result<Vec<_>>>()?;
    let added = store.write::<_, (), _>("add creditors", move |tx| {
        let (station, rows) = (row.clone(), rows.clone());
        Box::pin(async move {
            tx.insert_station(&station).await?;
            for row in &rows {
                tx.insert_creditor(row).await?;
            }
            Ok(Ok(()))
        })
    });
    // Nothing refuses here.
    added.await?.ok();
    Ok(codes)
}

/// Each named `async fn(Fresh)` of the module becomes a test per engine: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        mod $name {
            use $crate::stores::Fresh;

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Fresh::sqlite().await.expect("a store on SQLite")).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Fresh::postgres(stringify!($name)).await.expect("a store on PostgreSQL")).await;
            }
        }
    )*};
}
