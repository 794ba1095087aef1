//! Documents kept for when there is no network: as many as fit, those used last.

use std::sync::Arc;

use prost::Message;
use rusqlite::{OptionalExtension, params};

use super::{Cache, Rows, failed, lock, on_thread};
use crate::error::Result;
use crate::seal::Place;

/// The most that all of them take on a phone, in bytes. Opening the cache reads the whole file, to see whether it is damaged: this is
/// also what the first paint waits for.
const MOST_BYTES: i64 = 16 * 1_024 * 1_024;

/// How large SQLite's pages are, in bytes.
const PAGE_BYTES: i64 = 4_096;

/// From how many free pages on it is worth while to make the file smaller: a megabyte.
const WORTH_PAGES: i64 = 256;

impl Cache {
    /// Forgets what was seen of an account, its orders only where `intents` says so, and gives the phone its room back.
    pub(crate) async fn forget(self: &Arc<Self>, account: &str, intents: bool) -> Result<()> {
        let account = account.to_owned();
        self.write_later(move |rows| rows.forget(&account, intents)).await?;
        let cache = Arc::clone(self);
        let shrink = move || {
            cache.shrink();
            Ok(())
        };
        on_thread(Box::new(shrink)).await
    }

    /// What can't be given back now (somebody reads, the phone is full) stays for the next rows.
    pub(super) fn shrink(&self) {
        let sql = lock(&self.writer);
        let free: i64 = sql.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap_or(0);
        if free >= WORTH_PAGES {
            // First what was deleted is overwritten where it lies. A phone may have no place for temporary files.
            let text =
                "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA temp_store = MEMORY; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";
            let _ = sql.execute_batch(text);
        }
    }
}

impl Rows<'_> {
    /// A document kept as `what`; one that no longer opens is none.
    pub(crate) fn document<M: Message + Default>(&self, account: &str, what: &str) -> Result<Option<M>> {
        let text = "SELECT sealed FROM document WHERE account = ?1 AND what = ?2";
        let sealed: Option<Vec<u8>> =
            self.sql.query_row(text, [account, what], |row| row.get(0)).optional().map_err(failed)?;
        Ok(sealed.and_then(|sealed| self.open(Place { table: "document", account, key: what }, &sealed)))
    }

    /// Notes that it was used.
    pub(crate) fn use_document(&self, account: &str, what: &str) -> Result<()> {
        let text = "UPDATE document SET used = (SELECT MAX(used) + 1 FROM document) WHERE account = ?1 AND what = ?2";
        self.run(text, [account, what]).map(|_| ())
    }

    /// Keeps one in place of what was kept as `what`. Others go for it, those used least recently first; one that takes more than
    /// there is for all is not kept.
    pub(crate) fn keep_document<M: Message>(&self, account: &str, what: &str, document: &M) -> Result<()> {
        self.forget_document(account, what)?;
        let place = Place { table: "document", account, key: what };
        let sealed = self.sealer.seal(place, &document.encode_to_vec(), self.clock)?;
        let bytes = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
        let Some(left) = self.room()?.checked_sub(bytes).filter(|left| *left >= 0) else { return Ok(()) };
        let evict = "DELETE FROM document WHERE used <= (SELECT MAX(used) FROM \
            (SELECT used, SUM(bytes) OVER (ORDER BY used DESC) AS total FROM document) WHERE total > ?1)";
        self.run(evict, [left])?;
        let text = "INSERT INTO document (account, what, used, bytes, sealed) VALUES (?1, ?2, \
            (SELECT COALESCE(MAX(used), 0) + 1 FROM document), ?3, ?4)";
        self.run(text, params![account, what, bytes, sealed]).map(|_| ())
    }

    /// There is no such document any more.
    pub(crate) fn forget_document(&self, account: &str, what: &str) -> Result<()> {
        self.run("DELETE FROM document WHERE account = ?1 AND what = ?2", [account, what]).map(|_| ())
    }

    /// How much they may take: where the host bounds the cache, half of it. Orders must find a place, whatever was looked at.
    fn room(&self) -> Result<i64> {
        let pages: i64 = self.sql.query_row("PRAGMA max_page_count", [], |row| row.get(0)).map_err(failed)?;
        Ok(MOST_BYTES.min(pages.saturating_mul(PAGE_BYTES / 2)))
    }
}
