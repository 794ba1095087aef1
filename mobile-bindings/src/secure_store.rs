//! The host's Keychain or Keystore. Whatever it throws becomes one of three answers.

use std::sync::Arc;

use borsellino_core as core;
use thiserror::Error;
use uniffi::UnexpectedUniFFICallbackError;

/// Why the secure store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, uniffi::Error)]
pub enum SecureStoreError {
    /// Not before the phone is unlocked: try again later.
    #[error("locked")]
    Locked,
    /// The parent or a policy forbids it.
    #[error("denied")]
    Denied,
    /// Anything else, also an exception that the host did not mean to throw.
    #[error("failed")]
    Failed,
}

impl From<UnexpectedUniFFICallbackError> for SecureStoreError {
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        // Its text may hold anything: it is not kept.
        Self::Failed
    }
}

/// Holds tokens and the cache's key; the app implements it. Called one call at a time, never on the screen's thread: it
/// may block. Values are at most a few kilobytes and must not be carried to another phone by a backup.
#[uniffi::export(foreign)]
pub trait SecureStore: Send + Sync {
    /// The value under `key`; nothing where there is none. A store that is merely locked throws `Locked`: with nothing,
    /// the cache would be thrown away.
    fn get(&self, key: String) -> Result<Option<Vec<u8>>, SecureStoreError>;

    /// Keeps `value` under `key`, durably once this returns.
    fn set(&self, key: String, value: Vec<u8>) -> Result<(), SecureStoreError>;

    /// Removes what is under `key`, if anything.
    fn remove(&self, key: String) -> Result<(), SecureStoreError>;
}

/// The host's store, as the core wants it.
pub(crate) struct HostStore(pub(crate) Arc<dyn SecureStore>);

impl core::SecureStore for HostStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, core::SecureStoreError> {
        Ok(self.0.get(key.to_owned())?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), core::SecureStoreError> {
        Ok(self.0.set(key.to_owned(), value.to_owned())?)
    }

    fn remove(&self, key: &str) -> Result<(), core::SecureStoreError> {
        Ok(self.0.remove(key.to_owned())?)
    }
}

impl From<SecureStoreError> for core::SecureStoreError {
    fn from(error: SecureStoreError) -> Self {
        match error {
            SecureStoreError::Locked => Self::Locked,
            SecureStoreError::Denied => Self::Denied,
            SecureStoreError::Failed => Self::Failed,
        }
    }
}

impl From<core::SecureStoreError> for SecureStoreError {
    fn from(error: core::SecureStoreError) -> Self {
        match error {
            core::SecureStoreError::Locked => Self::Locked,
            core::SecureStoreError::Denied => Self::Denied,
            core::SecureStoreError::Failed => Self::Failed,
        }
    }
}
