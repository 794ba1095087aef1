//! The cache's file: opening it, bringing it to the newest shape, rebuilding it when it is damaged. All SQL of the
//! phone is in this folder; what it means is decided elsewhere.

mod documents;
mod rows;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub(crate) use rows::{Heard, Rows, Snapshot, StoredIntentRow};

use crate::clock::Clock;
use crate::error::{CacheError, Error, Result};
use crate::seal::{KEY_LEN, Place, Sealer};

/// Every shape of the file, oldest first; `user_version` counts those applied.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/app-cache/0001_cache.sql"),
    include_str!("../../../migrations/app-cache/0002_phone.sql"),
    include_str!("../../../migrations/app-cache/0003_documents.sql"),
];

const FILE: &str = "cache.sqlite";
const ASIDE: &str = "cache.damaged.sqlite";
/// A new file that is still being filled: worth nothing.
const BUILDING: &str = "cache.building.sqlite";
/// A new file that is complete: it only has to take its place.
const REBUILT: &str = "cache.rebuilt.sqlite";
/// SQLite's companions of a file.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];
const CHECK: Place<'static> = Place { table: "key_check", account: "", key: "1" };
const CHECK_TEXT: &[u8] = b"borsellino";

/// What opening the cache found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStart {
    /// No file: the first start, or the data were cleared.
    Fresh,
    /// The file of before.
    Kept,
    /// The file could not be used: it lies aside, and a new one was begun. The next refresh fills it.
    Rebuilt {
        /// Why.
        why: RebuildReason,
        /// How many top-ups under way were carried over.
        intents_kept: usize,
    },
}

/// Why a cache was rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// The file is damaged.
    Damaged,
    /// It was sealed with another key: restored from a backup, or the secure store was cleared.
    WrongKey,
    /// A newer version of the app made it.
    Newer,
}

/// The open cache. One connection writes, another reads, so that the first paint never waits for a write.
pub(crate) struct Cache {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    sealer: RwLock<Arc<Sealer>>,
    clock: Arc<dyn Clock>,
}

impl Cache {
    /// Opens or makes the cache in `folder`, which must be private to the app and left out of backups.
    ///
    /// # Errors
    /// [`Error::Cache`] where the file can be neither used nor replaced.
    pub(crate) fn open(
        folder: &Path,
        key: &[u8; KEY_LEN],
        max_pages: Option<u32>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, CacheStart)> {
        std::fs::create_dir_all(folder).map_err(|_| CacheError::Io)?;
        let file = folder.join(FILE);
        // A rebuild that was killed before its last step.
        if folder.join(REBUILT).exists() {
            swap(folder)?;
        }
        let existed = file.exists();
        let sealer = Sealer::new(key).ok_or(CacheError::Sealed)?;
        let (writer, start) = match prepare(&file, &sealer, max_pages, clock.as_ref())? {
            Ok(writer) => (writer, if existed { CacheStart::Kept } else { CacheStart::Fresh }),
            Err(why) => {
                let intents_kept = rebuild(folder, &sealer, clock.as_ref())?;
                swap(folder)?;
                let Ok(writer) = prepare(&file, &sealer, max_pages, clock.as_ref())? else {
                    return Err(CacheError::Corrupt.into());
                };
                (writer, CacheStart::Rebuilt { why, intents_kept })
            }
        };
        let reader = Connection::open(&file).map_err(failed)?;
        reader.busy_timeout(Duration::from_millis(500)).map_err(failed)?;
        reader.pragma_update(None, "query_only", true).map_err(failed)?;
        Ok((
            Self {
                writer: Mutex::new(writer),
                reader: Mutex::new(reader),
                sealer: RwLock::new(Arc::new(sealer)),
                clock,
            },
            start,
        ))
    }

    /// Reads on the reading connection. Short: the screen waits for it.
    pub(crate) fn read<T>(&self, body: impl FnOnce(&Rows<'_>) -> Result<T>) -> Result<T> {
        let sql = lock(&self.reader);
        // One transaction, so that what is read belongs together.
        let tx = sql.unchecked_transaction().map_err(failed)?;
        body(&Rows { sql: &tx, sealer: &self.sealer(), clock: self.clock.as_ref() })
    }

    /// Writes in one transaction, which is on the disk (not merely handed to it) when this returns `Ok`; after an
    /// error nothing of it remains. Blocking: call it through [`Cache::write_later`] from async code.
    pub(crate) fn write<T>(&self, body: impl FnOnce(&Rows<'_>) -> Result<T>) -> Result<T> {
        let mut sql = lock(&self.writer);
        let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let value = body(&Rows { sql: &tx, sealer: &self.sealer(), clock: self.clock.as_ref() })?;
        tx.commit().map_err(failed)?;
        Ok(value)
    }

    fn sealer(&self) -> Arc<Sealer> {
        Arc::clone(&self.sealer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Empties every table and goes on with another key; also the file and its log hold nothing of before.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub(crate) fn begin_anew(&self, key: &[u8; KEY_LEN]) -> Result<()> {
        let sealer = Arc::new(Sealer::new(key).ok_or(CacheError::Sealed)?);
        let mut sql = lock(&self.writer);
        let mut current = self.sealer.write().unwrap_or_else(PoisonError::into_inner);
        let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let rows = Rows { sql: &tx, sealer: &sealer, clock: self.clock.as_ref() };
        rows.forget_everything()?;
        rows.put_key_check(&sealer.seal(CHECK, CHECK_TEXT, self.clock.as_ref())?)?;
        tx.commit().map_err(failed)?;
        *current = sealer;
        // What is in the log goes into the file, and the log is cut: a reader may hold it up, and then the next write does it.
        let _ = sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        drop((sql, current));
        self.shrink();
        Ok(())
    }

    /// [`Cache::write`] on a thread that may block. Runs to its end even when the caller is dropped.
    pub(crate) async fn write_later<T: Send + 'static>(
        self: &Arc<Self>,
        body: impl FnOnce(&Rows<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let cache = Arc::clone(self);
        on_thread(Box::new(move || cache.write(body))).await
    }

    /// [`Cache::read`] on a thread that may block.
    pub(crate) async fn read_later<T: Send + 'static>(
        self: &Arc<Self>,
        body: impl FnOnce(&Rows<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let cache = Arc::clone(self);
        on_thread(Box::new(move || cache.read(body))).await
    }
}

/// Boxed, so that tokio's part is compiled once for each kind of answer, not for each body.
async fn on_thread<T: Send + 'static>(work: Box<dyn FnOnce() -> Result<T> + Send>) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic elsewhere leaves at most an unfinished transaction, which SQLite rolled back when it was dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The typed reason behind an answer of SQLite.
fn failed(error: rusqlite::Error) -> Error {
    Error::Cache(match error {
        rusqlite::Error::SqliteFailure(error, _) => match error.code {
            ErrorCode::DiskFull => CacheError::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => CacheError::Corrupt,
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
                CacheError::Io
            }
            _ => CacheError::Sqlite(error.extended_code),
        },
        // A column of another type than the migrations made.
        _ => CacheError::Corrupt,
    })
}

/// Opens `file` for writing in its newest shape; the inner error says that the file must be replaced.
fn prepare(
    file: &Path,
    sealer: &Sealer,
    max_pages: Option<u32>,
    clock: &dyn Clock,
) -> Result<std::result::Result<Connection, RebuildReason>> {
    match try_prepare(file, sealer, max_pages, clock) {
        Ok(opened) => Ok(opened),
        Err(Error::Cache(CacheError::Corrupt)) => Ok(Err(RebuildReason::Damaged)),
        Err(error) => Err(error),
    }
}

fn try_prepare(
    file: &Path,
    sealer: &Sealer,
    max_pages: Option<u32>,
    clock: &dyn Clock,
) -> Result<std::result::Result<Connection, RebuildReason>> {
    let mut sql = Connection::open(file).map_err(failed)?;
    sql.busy_timeout(Duration::from_secs(2)).map_err(failed)?;
    sql.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    // An intent must survive a power cut, and writes are rare: every commit reaches the disk.
    sql.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    // What is deleted must not linger in free pages.
    sql.pragma_update(None, "secure_delete", true).map_err(failed)?;
    let verdict: String = sql.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Ok(Err(RebuildReason::Damaged));
    }
    let version: u32 = sql.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Ok(Err(RebuildReason::Newer));
    }
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for migration in MIGRATIONS.iter().skip(version) {
        tx.execute_batch(migration).map_err(failed)?;
    }
    // An ordinary start writes nothing: it would wait for the disk, and the first paint for it.
    if version < MIGRATIONS.len() {
        let newest = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        tx.pragma_update(None, "user_version", newest).map_err(failed)?;
    }
    let rows = Rows { sql: &tx, sealer, clock };
    match rows.key_check()? {
        Some(sealed) if sealer.open(CHECK, &sealed).is_err() => return Ok(Err(RebuildReason::WrongKey)),
        Some(_) => {}
        None => rows.put_key_check(&sealer.seal(CHECK, CHECK_TEXT, clock)?)?,
    }
    tx.commit().map_err(failed)?;
    if let Some(pages) = max_pages {
        sql.pragma_update(None, "max_page_count", pages).map_err(failed)?;
    }
    Ok(Ok(sql))
}

/// Fills a new file with what can be saved of the damaged one, which stays where it is until the new one is complete:
/// killed anywhere in between, the next start does it again. Answers how many intents were saved.
fn rebuild(folder: &Path, sealer: &Sealer, clock: &dyn Clock) -> Result<usize> {
    remove(folder, BUILDING)?;
    remove(folder, ASIDE)?;
    let building = folder.join(BUILDING);
    let Ok(mut sql) = prepare(&building, sealer, None, clock)? else { return Err(CacheError::Corrupt.into()) };
    let old = Connection::open(folder.join(FILE)).ok();
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let kept = old.map_or(0, |old| Rows { sql: &tx, sealer, clock }.salvage(&old));
    tx.commit().map_err(failed)?;
    // One file, without a log beside it, so that one rename completes it.
    sql.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    drop(sql);
    std::fs::rename(&building, folder.join(REBUILT)).map_err(|_| CacheError::Io)?;
    Ok(kept)
}

/// Moves the damaged file and its log aside and puts the complete new one in its place. Can be done again from any
/// point it was killed at.
fn swap(folder: &Path) -> Result<()> {
    for suffix in SUFFIXES {
        let moved = std::fs::rename(folder.join(format!("{FILE}{suffix}")), folder.join(format!("{ASIDE}{suffix}")));
        absent_is_fine(moved)?;
    }
    std::fs::rename(folder.join(REBUILT), folder.join(FILE)).map_err(|_| CacheError::Io.into())
}

/// Removes a damaged file that was kept aside: it may hold what a parent wants gone.
pub(crate) fn remove_aside(folder: &Path) -> Result<()> {
    remove(folder, ASIDE)
}

fn remove(folder: &Path, name: &str) -> Result<()> {
    SUFFIXES.iter().try_for_each(|suffix| absent_is_fine(std::fs::remove_file(folder.join(format!("{name}{suffix}")))))
}

fn absent_is_fine(done: std::io::Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CacheError::Io.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use borsellino_domain::time::Millis;

    const KEY: [u8; KEY_LEN] = [7; KEY_LEN];

    fn open(folder: &Path) -> (Cache, CacheStart) {
        Cache::open(folder, &KEY, None, Arc::new(SystemClock)).unwrap()
    }

    fn intents(cache: &Cache) -> usize {
        cache.read(|rows| rows.intents("a")).unwrap().len()
    }

    /// A folder whose file is damaged but for one intent.
    fn damaged() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = open(folder.path());
        let row =
            StoredIntentRow { id: "i".into(), account: "a".into(), kind: "top_up".into(), stage: 1, payload: vec![1] };
        cache.write(|rows| rows.add_intent(&row)).unwrap();
        // A shape of the file that only a newer app knows: it is replaced like a damaged one, and can be read.
        lock(&cache.writer).pragma_update(None, "user_version", 99).unwrap();
        folder
    }

    #[test]
    fn a_rebuild_survives_a_kill_at_each_of_its_steps() {
        let sealer = Sealer::new(&KEY).unwrap();
        for killed_at in 0..4 {
            let folder = damaged();
            let path = folder.path();
            // What lies there after each step; a new file half filled comes first.
            std::fs::write(path.join(BUILDING), b"half").unwrap();
            std::fs::write(path.join(format!("{BUILDING}-wal")), b"half").unwrap();
            if killed_at >= 1 {
                assert_eq!(rebuild(path, &sealer, &SystemClock).unwrap(), 1);
            }
            if killed_at >= 2 {
                std::fs::rename(path.join(FILE), path.join(ASIDE)).unwrap();
                std::fs::write(path.join(format!("{FILE}-wal")), b"of the damaged one").unwrap();
            }
            if killed_at >= 3 {
                swap(path).unwrap();
            }
            let (cache, start) = open(path);
            assert_eq!(intents(&cache), 1, "killed at {killed_at}: {start:?}");
            assert!(path.join(ASIDE).exists() && !path.join(REBUILT).exists() && !path.join(BUILDING).exists());
            drop(cache);
            assert_eq!(open(path).1, CacheStart::Kept);
        }
    }

    #[test]
    fn rows_of_accounts_that_are_gone_go_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = open(folder.path());
        for account in ["a", "b"] {
            let row = StoredIntentRow {
                id: account.into(),
                account: account.into(),
                kind: "top_up".into(),
                stage: 0,
                payload: vec![1],
            };
            let page = borsellino_proto::v1::ListMovementsResponse::default();
            cache
                .write(|rows| {
                    rows.add_intent(&row).and_then(|()| rows.put_movements(account, "", &page, Millis::default()))
                })
                .unwrap();
        }
        cache.write(|rows| rows.forget_all_but(&["a".to_owned()])).unwrap();
        assert_eq!(intents(&cache), 1);
        let of = |account: &str| cache.read(|rows| rows.movements(account, "")).unwrap().is_some();
        assert!(of("a") && !of("b") && cache.read(|rows| rows.intents("b")).unwrap().is_empty());
    }
}
