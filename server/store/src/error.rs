//! What can go wrong with a database, told apart by code and never by the name of a constraint.

use thiserror::Error;

/// A failure of the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another transaction was faster; the same body again will find its work.
    #[error("conflict with another transaction")]
    Conflict,
    /// The commit was sent and its answer lost: it may or may not have happened.
    #[error("the outcome of a commit is unknown: {0}")]
    CommitUnknown(#[source] sqlx::Error),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A body panicked; its effects are undone.
    #[error("an operation panicked")]
    Panicked,
    /// The store is shutting down, or was opened for reading only.
    #[error("the store takes no writes")]
    NotWritable,
    /// A row that the rules forbid: somebody else wrote into the database.
    #[error("the database holds what it must not: {0}")]
    Corrupt(&'static str),
    /// The migrations could not be run.
    #[error("migration failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Anything else the engine says.
    #[error(transparent)]
    Database(sqlx::Error),
}

/// PostgreSQL serialization failure and deadlock; SQLite busy, locked and busy snapshot.
const CONFLICTS: [&str; 5] = ["40001", "40P01", "5", "6", "517"];

/// SQLite full; PostgreSQL disk full.
const FULL: [&str; 2] = ["13", "53100"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        match code.as_deref() {
            Some(code) if CONFLICTS.contains(&code) => Self::Conflict,
            Some(code) if FULL.contains(&code) => Self::Full,
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// An error of COMMIT: unless the server answered, nobody knows whether it happened.
    pub(crate) fn from_commit(error: sqlx::Error) -> Self {
        Self::from(error).of_commit()
    }

    /// The same for an error of a statement that is a transaction by itself.
    pub(crate) fn of_commit(self) -> Self {
        match self {
            Self::Database(error) if error.as_database_error().is_none() => Self::CommitUnknown(error),
            other => other,
        }
    }

    /// Whether running the same body again is right.
    pub(crate) fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Conflict | Self::CommitUnknown(_))
    }

    /// Whether it is about the database as a whole, so that no other operation would fare better now.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NotWritable => true,
            Self::Database(error) => {
                !matches!(
                    error,
                    sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::PoolTimedOut
                ) && error.as_database_error().is_none()
            }
            _ => false,
        }
    }

    /// Whether a row that had to be new was there already (primary key or unique constraint).
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Database(error) => error.as_database_error().is_some_and(|error| error.is_unique_violation()),
            _ => false,
        }
    }

    /// Whether, after it, nothing of SQLite's transaction is left (full, I/O, no memory, corrupt, interrupted, or no
    /// answer at all). A panic is ours, not the file's.
    pub(crate) fn ends_transaction(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Database(error) => match error.as_database_error().and_then(|error| error.code()) {
                // Extended codes keep the primary one in the low byte.
                Some(code) => {
                    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
                    matches!(primary, 7 | 9 | 10 | 11 | 13 | 26)
                }
                None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. }),
            },
            _ => false,
        }
    }
}

impl StoreError {
    /// The same failure for another operation of the same batch.
    pub fn again(&self) -> Self {
        match self {
            Self::Conflict => Self::Conflict,
            Self::Full => Self::Full,
            Self::Panicked => Self::Panicked,
            Self::NotWritable => Self::NotWritable,
            Self::Corrupt(what) => Self::Corrupt(what),
            Self::CommitUnknown(error) | Self::Database(error) => {
                Self::Database(sqlx::Error::Protocol(format!("the shared transaction failed: {error}")))
            }
            Self::Migration(error) => {
                Self::Database(sqlx::Error::Protocol(format!("the shared transaction failed: {error}")))
            }
        }
    }
}
