//! Wakes live streams when there is something new for them: at once after a commit of this node, and within
//! [`EVERY`] after one of another node or of a command beside the server. Both are hints: the feed is the truth, and a
//! stream reads it from the number it has.
//!
//! One look for all: what each session's guardian has in the feed is asked for [`TOGETHER`] sessions at a time, so
//! that a thousand quiet streams cost sixteen short statements a look, not a thousand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::SessionId;
use borsellino_store::rows::TOGETHER;
use borsellino_store::{Store, StoreError};
use tokio::sync::Notify;
use uuid::Uuid;

/// How often what other nodes did is looked for.
pub const EVERY: Duration = Duration::from_millis(500);

/// A guardian of a creditor.
type Key = (CreditorCode, Uuid);

/// Who listens for whom on this node.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Audience>);

#[derive(Debug, Default)]
struct Audience {
    next: AtomicU64,
    ears: Mutex<HashMap<Key, HashMap<u64, Arc<Ear>>>>,
}

/// One stream.
#[derive(Debug)]
struct Ear {
    session: SessionId,
    /// The number of the feed that the stream has read.
    read: AtomicI64,
    news: Notify,
}

/// A stream's place in the audience, given up when it is dropped.
#[derive(Debug)]
pub struct Listening {
    live: Live,
    key: Key,
    number: u64,
    ear: Arc<Ear>,
}

impl Listening {
    /// Waits until there may be something new.
    pub async fn news(&self) {
        self.ear.news.notified().await;
    }

    /// Says how far the stream has read.
    pub fn read(&self, seq: i64) {
        self.ear.read.store(seq, Ordering::Relaxed);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut ears = self.live.0.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = ears.get_mut(&self.key) {
            own.remove(&self.number);
            if own.is_empty() {
                ears.remove(&self.key);
            }
        }
    }
}

impl Live {
    /// Hears of every change of this guardian's feed from now on, and of the session's end.
    pub fn listen(&self, creditor: CreditorCode, guardian: Uuid, session: SessionId) -> Listening {
        let ear = Arc::new(Ear { session, read: AtomicI64::new(i64::MAX), news: Notify::new() });
        let (key, number) = ((creditor, guardian), self.0.next.fetch_add(1, Ordering::Relaxed));
        let mut ears = self.0.ears.lock().unwrap_or_else(PoisonError::into_inner);
        ears.entry(key).or_default().insert(number, Arc::clone(&ear));
        Listening { live: self.clone(), key, number, ear }
    }

    /// Wakes the streams of these guardians.
    pub fn wake(&self, creditor: CreditorCode, guardians: &[Uuid]) {
        let ears = self.0.ears.lock().unwrap_or_else(PoisonError::into_inner);
        for guardian in guardians {
            for ear in ears.get(&(creditor, *guardian)).into_iter().flat_map(HashMap::values) {
                ear.news.notify_one();
            }
        }
    }

    /// Looks, again and again, for what this node was not told.
    pub(crate) async fn look_around(self, store: Store) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.look(&store).await {
                tracing::warn!(%error, "nobody can say what other nodes did");
            }
        }
    }

    async fn look(&self, store: &Store) -> Result<(), StoreError> {
        for (creditor, ears) in self.audience() {
            for some in ears.chunks(TOGETHER) {
                let sessions: Vec<SessionId> = some.iter().map(|ear| ear.session).collect();
                let read = store.read(move |tx| Box::pin(async move { tx.standings(&creditor, &sessions).await }));
                let standings: HashMap<SessionId, (i64, bool)> =
                    read.await?.into_iter().map(|row| (row.session, (row.feed_seq, row.over != 0))).collect();
                for ear in some {
                    // A session that is gone is over.
                    let (seq, over) = standings.get(&ear.session).copied().unwrap_or((0, true));
                    if over || seq > ear.read.load(Ordering::Relaxed) {
                        ear.news.notify_one();
                    }
                }
            }
        }
        Ok(())
    }

    fn audience(&self) -> HashMap<CreditorCode, Vec<Arc<Ear>>> {
        let ears = self.0.ears.lock().unwrap_or_else(PoisonError::into_inner);
        let mut audience: HashMap<CreditorCode, Vec<Arc<Ear>>> = HashMap::new();
        for ((creditor, _), own) in ears.iter() {
            audience.entry(*creditor).or_default().extend(own.values().cloned());
        }
        audience
    }
}
