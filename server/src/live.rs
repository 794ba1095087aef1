//! Wakes the live streams of a guardian after a commit. Only a hint: the feed is the truth, and streams also look by
//! themselves, so a lost hint costs a second, never an event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use borsellino_domain::creditor::CreditorCode;
use tokio::sync::watch;
use uuid::Uuid;

type Key = (CreditorCode, Uuid);

/// Who listens for whom on this node.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<HashMap<Key, watch::Sender<()>>>>);

impl Live {
    /// Hears of every change of this guardian's feed from now on.
    pub fn listen(&self, creditor: CreditorCode, guardian: Uuid) -> watch::Receiver<()> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has gone since is forgotten here, so that the map is as small as the audience.
        if listeners.len() % 64 == 63 {
            listeners.retain(|_, sender| sender.receiver_count() > 0);
        }
        listeners.entry((creditor, guardian)).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// Wakes the streams of these guardians.
    pub fn wake(&self, creditor: CreditorCode, guardians: &[Uuid]) {
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for guardian in guardians {
            if let Some(sender) = listeners.get(&(creditor, *guardian)) {
                // No listener is no error.
                let _ = sender.send(());
            }
        }
    }
}
