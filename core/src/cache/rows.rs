//! Rows in and out, inside a transaction. Payloads are sealed on the way in and opened on the way out; a row that no
//! longer opens is treated as absent, because everything but an intent can be asked for again.

use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::failed;
use crate::clock::Clock;
use crate::error::Result;
use crate::seal::{Place, Sealer};

/// Rows of one transaction.
pub(crate) struct Rows<'a> {
    pub(super) sql: &'a Connection,
    pub(super) sealer: &'a Sealer,
    pub(super) clock: &'a dyn Clock,
}

/// The home screen of one account as it lies in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// As the server told it, with later changes worked in.
    pub(crate) home: v1::HomeResponse,
    /// Everything up to this number of the feed is in it.
    pub(crate) feed_seq: u64,
    /// When `home` was asked for, by this phone's clock.
    pub(crate) stored_at: Millis,
    /// When `home.time` came.
    pub(crate) heard: Heard,
    /// When the server read the last whole home screen.
    pub(crate) home_at: Millis,
}

/// A moment by the clock that nobody sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its reading.
    pub(crate) monotonic_ms: u64,
    /// In which start of the phone; empty for none.
    pub(crate) boot: String,
}

impl Heard {
    /// This moment.
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { monotonic_ms: clock.monotonic_ms(), boot: clock.boot() }
    }

    /// How long ago it was, in milliseconds; `None` where the phone was started again since.
    pub(crate) fn ago(&self, clock: &dyn Clock) -> Option<i64> {
        if self.boot.is_empty() || self.boot != clock.boot() {
            return None;
        }
        i64::try_from(clock.monotonic_ms().checked_sub(self.monotonic_ms)?).ok()
    }
}

impl Snapshot {
    /// Now by the server's clock, without the phone's; `None` where the phone was started again since it heard from it.
    pub(crate) fn server_now(&self, clock: &dyn Clock) -> Option<Millis> {
        Some(Millis::new(self.home.as_of_ms).plus(self.heard.ago(clock)?))
    }
}

/// An intent as it lies in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredIntentRow {
    pub(crate) id: String,
    pub(crate) account: String,
    /// What `payload` is.
    pub(crate) kind: String,
    /// 0 to 4, see the migration.
    pub(crate) stage: u8,
    /// What `intents` made of it.
    pub(crate) payload: Vec<u8>,
}

/// The feed's numbers are counted by a server from 1; what does not fit SQLite's integers is held at their end.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Rows<'_> {
    pub(super) fn run(&self, statement: &str, values: impl Params) -> Result<usize> {
        self.sql.prepare_cached(statement).and_then(|mut prepared| prepared.execute(values)).map_err(failed)
    }

    pub(super) fn open<M: Message + Default>(&self, place: Place<'_>, sealed: &[u8]) -> Option<M> {
        let plain = self.sealer.open(place, sealed).ok()?;
        M::decode(plain.as_slice()).ok()
    }

    pub(super) fn key_check(&self) -> Result<Option<Vec<u8>>> {
        self.sql.query_row("SELECT sealed FROM key_check WHERE id = 1", [], |row| row.get(0)).optional().map_err(failed)
    }

    pub(super) fn put_key_check(&self, sealed: &[u8]) -> Result<()> {
        self.run("INSERT INTO key_check (id, sealed) VALUES (1, ?1)", params![sealed]).map(|_| ())
    }

    pub(crate) fn snapshot(&self, account: &str) -> Result<Option<Snapshot>> {
        let row = self
            .sql
            .prepare_cached(
                "SELECT feed_seq, stored_at_ms, sealed, heard_ms, boot, home_at_ms FROM snapshot WHERE account = ?1",
            )
            .and_then(|mut prepared| {
                let read = |row: &rusqlite::Row<'_>| {
                    let numbers: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(3)?, row.get(5)?];
                    Ok((numbers, row.get::<_, Vec<u8>>(2)?, row.get::<_, String>(4)?))
                };
                prepared.query_row([account], read).optional()
            })
            .map_err(failed)?;
        Ok(row.and_then(|([feed_seq, stored_at, heard, home_at], sealed, boot)| {
            let home = self.open(Place { table: "snapshot", account, key: "" }, &sealed)?;
            let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
            Some(Snapshot {
                home,
                feed_seq: unsigned(feed_seq),
                stored_at: Millis::new(stored_at),
                heard: Heard { monotonic_ms: unsigned(heard), boot },
                home_at: Millis::new(home_at),
            })
        }))
    }

    /// Data and cursor in one row.
    pub(crate) fn put_snapshot(&self, account: &str, snapshot: &Snapshot) -> Result<()> {
        let place = Place { table: "snapshot", account, key: "" };
        let sealed = self.sealer.seal(place, &snapshot.home.encode_to_vec(), self.clock)?;
        let text = "INSERT INTO snapshot (account, feed_seq, stored_at_ms, sealed, heard_ms, boot, home_at_ms) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (account) DO UPDATE SET feed_seq = ?2, stored_at_ms = ?3, \
            sealed = ?4, heard_ms = ?5, boot = ?6, home_at_ms = ?7";
        let (seq, stored_at, home_at) = (to_sql(snapshot.feed_seq), snapshot.stored_at.get(), snapshot.home_at.get());
        let heard = (to_sql(snapshot.heard.monotonic_ms), &snapshot.heard.boot);
        self.run(text, params![account, seq, stored_at, sealed, heard.0, heard.1, home_at]).map(|_| ())
    }

    /// The newest movement seen of a wallet; 0 where none was.
    pub(crate) fn wallet_seq(&self, account: &str, wallet: &str) -> Result<i64> {
        let text = "SELECT seq FROM wallet_seq WHERE account = ?1 AND wallet = ?2";
        let seq = self.sql.query_row(text, [account, wallet], |row| row.get(0)).optional().map_err(failed)?;
        Ok(seq.unwrap_or(0))
    }

    /// Raises the newest movement seen; a smaller number changes nothing.
    pub(crate) fn raise_wallet_seq(&self, account: &str, wallet: &str, seq: i64) -> Result<()> {
        let text = "INSERT INTO wallet_seq (account, wallet, seq) VALUES (?1, ?2, ?3) \
            ON CONFLICT (account, wallet) DO UPDATE SET seq = ?3 WHERE seq < ?3";
        self.run(text, params![account, wallet, seq]).map(|_| ())
    }

    /// Forgets them: the server said to begin again.
    pub(crate) fn forget_wallet_seqs(&self, account: &str) -> Result<()> {
        self.run("DELETE FROM wallet_seq WHERE account = ?1", [account]).map(|_| ())
    }

    /// The first page of movements kept for a wallet (`""`: all of them), and when the server read it (0: not known).
    pub(crate) fn movements(&self, account: &str, wallet: &str) -> Result<Option<(v1::ListMovementsResponse, Millis)>> {
        let text = "SELECT stored_at_ms, sealed FROM movement_page WHERE account = ?1 AND wallet = ?2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let row = self.sql.query_row(text, [account, wallet], read).optional().map_err(failed)?;
        Ok(row.and_then(|(stored_at, sealed)| {
            let page = self.open(Place { table: "movement_page", account, key: wallet }, &sealed)?;
            Some((page, Millis::new(stored_at)))
        }))
    }

    pub(crate) fn put_movements(
        &self,
        account: &str,
        wallet: &str,
        page: &v1::ListMovementsResponse,
        at: Millis,
    ) -> Result<()> {
        let place = Place { table: "movement_page", account, key: wallet };
        let sealed = self.sealer.seal(place, &page.encode_to_vec(), self.clock)?;
        let text = "INSERT INTO movement_page (account, wallet, stored_at_ms, sealed) VALUES (?1, ?2, ?3, ?4) \
            ON CONFLICT (account, wallet) DO UPDATE SET stored_at_ms = ?3, sealed = ?4";
        self.run(text, params![account, wallet, at.get(), sealed]).map(|_| ())
    }

    /// A single answer kept under a name.
    pub(crate) fn kept<M: Message + Default>(&self, account: &str, what: &str) -> Result<Option<M>> {
        let text = "SELECT sealed FROM kept WHERE account = ?1 AND what = ?2";
        let sealed: Option<Vec<u8>> =
            self.sql.query_row(text, [account, what], |row| row.get(0)).optional().map_err(failed)?;
        Ok(sealed.and_then(|sealed| self.open(Place { table: "kept", account, key: what }, &sealed)))
    }

    /// Keeps a single answer under a name.
    pub(crate) fn keep<M: Message>(&self, account: &str, what: &str, answer: &M) -> Result<()> {
        let place = Place { table: "kept", account, key: what };
        let sealed = self.sealer.seal(place, &answer.encode_to_vec(), self.clock)?;
        let text = "INSERT INTO kept (account, what, sealed) VALUES (?1, ?2, ?3) \
            ON CONFLICT (account, what) DO UPDATE SET sealed = ?3";
        self.run(text, params![account, what, sealed]).map(|_| ())
    }

    pub(crate) fn creditor(&self, fiscal_code: &str) -> Result<Option<v1::Creditor>> {
        let text = "SELECT sealed FROM creditor WHERE fiscal_code = ?1";
        let sealed: Option<Vec<u8>> =
            self.sql.query_row(text, [fiscal_code], |row| row.get(0)).optional().map_err(failed)?;
        let place = Place { table: "creditor", account: "", key: fiscal_code };
        Ok(sealed.and_then(|sealed| self.open(place, &sealed)))
    }

    pub(crate) fn put_creditor(&self, creditor: &v1::Creditor) -> Result<()> {
        let place = Place { table: "creditor", account: "", key: &creditor.fiscal_code };
        let sealed = self.sealer.seal(place, &creditor.encode_to_vec(), self.clock)?;
        let text = "INSERT INTO creditor (fiscal_code, sealed) VALUES (?1, ?2) \
            ON CONFLICT (fiscal_code) DO UPDATE SET sealed = ?2";
        self.run(text, params![creditor.fiscal_code, sealed]).map(|_| ())
    }

    /// The queue of an account, in its order.
    pub(crate) fn intents(&self, account: &str) -> Result<Vec<StoredIntentRow>> {
        self.intents_where(self.sql, "WHERE account = ?1 ORDER BY seq", [account])
    }

    pub(crate) fn intent(&self, id: &str) -> Result<Option<StoredIntentRow>> {
        Ok(self.intents_where(self.sql, "WHERE id = ?1", [id])?.pop())
    }

    fn intents_where(&self, sql: &Connection, clause: &str, values: impl Params) -> Result<Vec<StoredIntentRow>> {
        let text = format!("SELECT id, account, stage, sealed, kind FROM intent {clause}");
        let mut prepared = sql.prepare_cached(&text).map_err(failed)?;
        let mut rows = prepared.query(values).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            found.extend(self.intent_of(row).map_err(failed)?);
        }
        Ok(found)
    }

    fn intent_of(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<StoredIntentRow>> {
        let (id, account): (String, String) = (row.get(0)?, row.get(1)?);
        let (stage, sealed): (u8, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let kind = row.get(4)?;
        let plain = self.sealer.open(Place { table: "intent", account: &account, key: &id }, &sealed);
        Ok(plain.ok().map(|plain| StoredIntentRow { id, account, kind, stage, payload: plain.to_vec() }))
    }

    pub(crate) fn add_intent(&self, intent: &StoredIntentRow) -> Result<()> {
        let place = Place { table: "intent", account: &intent.account, key: &intent.id };
        let sealed = self.sealer.seal(place, &intent.payload, self.clock)?;
        let text = "INSERT INTO intent (id, account, stage, sealed, kind, seq) VALUES (?1, ?2, ?3, ?4, ?5, \
            (SELECT COALESCE(MAX(seq), 0) + 1 FROM intent)) ON CONFLICT (id) DO NOTHING";
        self.run(text, params![intent.id, intent.account, intent.stage, sealed, intent.kind]).map(|_| ())
    }

    /// Writes a later stage of an intent; a row that is further already stays as it is.
    pub(crate) fn put_intent(&self, intent: &StoredIntentRow) -> Result<()> {
        let place = Place { table: "intent", account: &intent.account, key: &intent.id };
        let sealed = self.sealer.seal(place, &intent.payload, self.clock)?;
        let text = "UPDATE intent SET stage = ?2, sealed = ?3 WHERE id = ?1 AND stage <= ?2";
        self.run(text, params![intent.id, intent.stage, sealed]).map(|_| ())
    }

    pub(crate) fn remove_intent(&self, id: &str) -> Result<()> {
        self.run("DELETE FROM intent WHERE id = ?1", [id]).map(|_| ())
    }

    /// Keeps the newest `keep` finished intents of an account (stages 3 and 4).
    pub(crate) fn prune_intents(&self, account: &str, keep: u32) -> Result<()> {
        let text = "DELETE FROM intent WHERE account = ?1 AND stage >= 3 AND id NOT IN \
            (SELECT id FROM intent WHERE account = ?1 AND stage >= 3 ORDER BY seq DESC LIMIT ?2)";
        self.run(text, params![account, keep]).map(|_| ())
    }

    /// Forgets what was seen of an account; its intents only where `intents` says so.
    pub(crate) fn forget(&self, account: &str, intents: bool) -> Result<()> {
        self.run("DELETE FROM snapshot WHERE account = ?1", [account])?;
        self.run("DELETE FROM wallet_seq WHERE account = ?1", [account])?;
        self.run("DELETE FROM movement_page WHERE account = ?1", [account])?;
        self.run("DELETE FROM kept WHERE account = ?1", [account])?;
        self.run("DELETE FROM document WHERE account = ?1", [account])?;
        if intents {
            self.run("DELETE FROM intent WHERE account = ?1", [account])?;
        }
        Ok(())
    }

    /// Forgets everything, creditors and the key's own row too.
    pub(super) fn forget_everything(&self) -> Result<()> {
        let tables = ["snapshot", "wallet_seq", "movement_page", "kept", "document", "intent", "creditor", "key_check"];
        tables.iter().try_for_each(|table| self.run(&format!("DELETE FROM {table}"), []).map(|_| ()))
    }

    /// Forgets every account that this phone does not have: a sign-out that was killed half-way.
    pub(crate) fn forget_all_but(&self, accounts: &[String]) -> Result<()> {
        let text = "SELECT account FROM snapshot UNION SELECT account FROM wallet_seq \
            UNION SELECT account FROM movement_page UNION SELECT account FROM kept UNION SELECT account FROM document \
            UNION SELECT account FROM intent";
        let mut prepared = self.sql.prepare(text).map_err(failed)?;
        let found = prepared.query_map([], |row| row.get(0)).map_err(failed)?;
        let found: Vec<String> = found.collect::<rusqlite::Result<_>>().map_err(failed)?;
        found.iter().filter(|account| !accounts.contains(account)).try_for_each(|account| self.forget(account, true))
    }

    /// Carries over from a damaged file every intent that can still be read and opened; answers how many.
    pub(super) fn salvage(&self, old: &Connection) -> usize {
        let mut found = Vec::new();
        // Row by row and without the index: what comes before the damage is worth having.
        let text = "SELECT id, account, stage, sealed, kind, seq FROM intent NOT INDEXED";
        // Damaged before rows had a kind and an order: these are top-ups, ordered by their ids.
        let first = "SELECT id, account, stage, sealed, 'top_up', 0 FROM intent NOT INDEXED";
        let Ok(mut prepared) = old.prepare(text).or_else(|_| old.prepare(first)) else { return 0 };
        let Ok(mut rows) = prepared.query([]) else { return 0 };
        while let Ok(Some(row)) = rows.next() {
            if let (Ok(Some(intent)), Ok(seq)) = (self.intent_of(row), row.get::<_, i64>(5)) {
                found.push((seq, intent));
            }
        }
        found.sort_by(|(seq, one), (other_seq, other)| (seq, &one.id).cmp(&(other_seq, &other.id)));
        found.iter().filter(|(_, intent)| self.add_intent(intent).is_ok()).count()
    }
}
