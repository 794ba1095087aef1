//! The phone's Keychain or Keystore, as a trait the app implements; and two stores for tests and the terminal phone,
//! which are not secure.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

/// Why the secure store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecureStoreError {
    /// Not before the phone is unlocked: try again later.
    #[error("locked")]
    Locked,
    /// The parent or a policy forbids it.
    #[error("denied")]
    Denied,
    /// Anything else, also an exception of the host.
    #[error("failed")]
    Failed,
}

/// Holds tokens and the cache's key. Blocking: called only from threads that may block, never from the screen's.
///
/// Values are at most a few kilobytes. An item must be gone after `remove` and must not be carried to another phone by
/// a backup.
pub trait SecureStore: Send + Sync {
    /// The value under `key`; `None` where there is none. Never `None` for a store that is merely locked: the cache
    /// would be thrown away.
    ///
    /// # Errors
    /// [`SecureStoreError`].
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SecureStoreError>;

    /// Keeps `value` under `key`, durably once this returns.
    ///
    /// # Errors
    /// [`SecureStoreError`].
    fn set(&self, key: &str, value: &[u8]) -> Result<(), SecureStoreError>;

    /// Removes what is under `key`, if anything.
    ///
    /// # Errors
    /// [`SecureStoreError`].
    fn remove(&self, key: &str) -> Result<(), SecureStoreError>;
}

/// For tests: forgets everything with the process.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<HashMap<String, Vec<u8>>>);

impl SecureStore for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SecureStoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), SecureStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<(), SecureStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }
}

/// For tests and the terminal phone: files readable by whoever can read the folder. Never for a real app.
#[derive(Debug)]
pub struct InsecureFileStore(PathBuf);

impl InsecureFileStore {
    /// Keeps items in `folder`, which is made with the first one.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn path(&self, key: &str) -> PathBuf {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
        self.0.join(key.chars().map(safe).collect::<String>())
    }
}

impl SecureStore for InsecureFileStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SecureStoreError> {
        match std::fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(_) => Err(SecureStoreError::Failed),
        }
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), SecureStoreError> {
        let path = self.path(key);
        let fresh = self.path(&format!("{key}.new"));
        // Written aside and renamed, so that a kill in between leaves the old value whole.
        std::fs::create_dir_all(&self.0)
            .and_then(|()| std::fs::write(&fresh, value))
            .and_then(|()| std::fs::File::open(&fresh)?.sync_all())
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|_| SecureStoreError::Failed)
    }

    fn remove(&self, key: &str) -> Result<(), SecureStoreError> {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SecureStoreError::Failed),
            _ => Ok(()),
        }
    }
}
