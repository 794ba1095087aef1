//! Tokens: kept only in the secure store, renewed one at a time, and a new one is stored before it is used, so that a
//! kill or a lost answer in between leaves the old one valid.

use std::sync::{Arc, PoisonError};

use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use prost::Message;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::config::{Step, Steps};
use crate::error::{Error, Reason, Result};
use crate::remote::{Remote, method};
use crate::secure_store::{SecureStore, SecureStoreError};

/// An access token lives 15 minutes (proto file); it is renewed a little earlier. Measured on the phone's own clock
/// from when it came, because the phone's date and the server's may be years apart.
const RENEW_AFTER_MS: i64 = 13 * 60 * 1_000;

/// How often a renewal whose answer is lost is tried before giving up for now.
const TRIES: u32 = 3;

/// One account of this phone: creditor and guardian.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountKey(Arc<str>);

impl AccountKey {
    pub(crate) fn new(creditor: &str, guardian: &str) -> Self {
        Self(format!("{creditor}.{guardian}").into())
    }

    /// The text it is stored under: the creditor's fiscal code, a dot, the guardian's id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// From its text: hosts keep keys as texts. One that names no account of this phone is refused where it is used.
impl From<String> for AccountKey {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// What the secure store holds for one session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoredSession {
    #[prost(string, tag = "1")]
    pub(crate) access: String,
    /// By this phone's clock.
    #[prost(int64, tag = "2")]
    pub(crate) received_at_ms: i64,
    #[prost(string, tag = "3")]
    pub(crate) refresh: String,
}

impl StoredSession {
    /// `None` where the server forgot the tokens.
    pub(crate) fn new(tokens: Option<v1::Tokens>, now: Millis) -> Option<Self> {
        let tokens = tokens.filter(|tokens| !tokens.access_token.is_empty() && !tokens.refresh_token.is_empty())?;
        Some(Self { access: tokens.access_token, received_at_ms: now.get(), refresh: tokens.refresh_token })
    }

    /// Due for renewal. A clock that went backwards says nothing: then the server will tell.
    fn is_old(&self, now: Millis) -> bool {
        now.get().saturating_sub(self.received_at_ms) >= RENEW_AFTER_MS
    }
}

/// Reads and writes the secure store from async code, one call at a time, and none once it is closed: a host that is
/// being torn down must not be called.
#[derive(Clone)]
pub(crate) struct Vault {
    store: Arc<dyn SecureStore>,
    closed: Arc<std::sync::Mutex<bool>>,
}

impl Vault {
    pub(crate) fn new(store: Arc<dyn SecureStore>) -> Self {
        Self { store, closed: Arc::default() }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        body: impl FnOnce(&dyn SecureStore) -> std::result::Result<T, SecureStoreError> + Send + 'static,
    ) -> Result<T> {
        let vault = self.clone();
        let work = move || {
            let closed = vault.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if *closed { Err(Error::Closed) } else { body(vault.store.as_ref()).map_err(Error::SecureStore) }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
    }

    pub(crate) async fn get(&self, key: impl Into<String>) -> Result<Option<Vec<u8>>> {
        let key = key.into();
        self.on_thread(move |store| store.get(&key)).await
    }

    pub(crate) async fn set(&self, key: impl Into<String>, value: Vec<u8>) -> Result<()> {
        let key = key.into();
        self.on_thread(move |store| store.set(&key, &value)).await
    }

    pub(crate) async fn remove(&self, key: impl Into<String>) -> Result<()> {
        let key = key.into();
        self.on_thread(move |store| store.remove(&key)).await
    }

    /// Waits for a call under way; later ones are answered with [`Error::Closed`].
    pub(crate) async fn close(&self, runtime: &tokio::runtime::Handle) {
        let closed = Arc::clone(&self.closed);
        let close = move || *closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        // It fails only when the runtime itself is going away.
        let _ = runtime.spawn_blocking(close).await;
    }
}

/// The secure store's item that holds an account's tokens.
pub(crate) fn item(account: &AccountKey) -> String {
    format!("borsellino-session-{}", account.as_str())
}

/// The session of one account.
pub(crate) struct Session {
    account: AccountKey,
    vault: Vault,
    clock: Arc<dyn Clock>,
    steps: Steps,
    /// Held through a renewal: one at a time.
    tokens: Mutex<Option<StoredSession>>,
}

impl Session {
    pub(crate) fn new(account: AccountKey, vault: Vault, clock: Arc<dyn Clock>, steps: Steps) -> Self {
        Self { account, vault, clock, steps, tokens: Mutex::new(None) }
    }

    /// An access token fit for use.
    ///
    /// # Errors
    /// [`Error::SignedOut`] where there is none, or the server ended the session.
    pub(crate) async fn token(&self, remote: &Remote) -> Result<String> {
        let mut held = self.tokens.lock().await;
        let current = self.load(&mut held).await?;
        if current.is_old(self.clock.now()) {
            match self.exchange(&mut held, &current, remote).await {
                Ok(fresh) => return Ok(fresh),
                Err(error @ (Error::SignedOut | Error::Wiped | Error::SecureStore(_))) => return Err(error),
                // It may still do; if not, the call itself will say so.
                Err(_) => {}
            }
        }
        Ok(current.access)
    }

    /// A newer access token than `rejected`, which the server did not take.
    pub(crate) async fn renew(&self, rejected: &str, remote: &Remote) -> Result<String> {
        let mut held = self.tokens.lock().await;
        let current = self.load(&mut held).await?;
        if current.access != rejected {
            return Ok(current.access);
        }
        self.exchange(&mut held, &current, remote).await
    }

    async fn load(&self, held: &mut Option<StoredSession>) -> Result<StoredSession> {
        if let Some(tokens) = held {
            return Ok(tokens.clone());
        }
        let bytes = self.vault.get(item(&self.account)).await?.ok_or(Error::SignedOut)?;
        let tokens = StoredSession::decode(bytes.as_slice()).map_err(|_| Error::SignedOut)?;
        *held = Some(tokens.clone());
        Ok(tokens)
    }

    async fn exchange(
        &self,
        held: &mut Option<StoredSession>,
        current: &StoredSession,
        remote: &Remote,
    ) -> Result<String> {
        // Another process of the same app (a notification extension) may have renewed them meanwhile. Theirs are the newer
        // ones, and a second use of ours would end the session.
        let kept = self.vault.get(item(&self.account)).await?;
        let kept = kept.and_then(|bytes| StoredSession::decode(bytes.as_slice()).ok());
        let current = &match kept {
            Some(kept) if kept.refresh != current.refresh => {
                *held = Some(kept.clone());
                if !kept.is_old(self.clock.now()) {
                    return Ok(kept.access);
                }
                kept
            }
            _ => current.clone(),
        };
        let mut tries = 0_u32;
        let answer = loop {
            tries = tries.saturating_add(1);
            let request = v1::RefreshRequest { refresh_token: current.refresh.clone() };
            match remote.call(&method::REFRESH, None, &request).await {
                // The old token stays valid until the new one is used: asking again is safe.
                Err(Error::OutcomeUnknown) if tries < TRIES => {}
                Err(Error::Refused(no)) if matches!(no.reason, Reason::SessionEnded | Reason::TokenInvalid) => {
                    return Err(Error::SignedOut);
                }
                Err(Error::Refused(no)) if no.reason == Reason::SessionWiped => return Err(Error::Wiped),
                answer => break answer.map_err(Error::of_a_read)?,
            }
        };
        self.steps.reached(Step::TokensReceived);
        let fresh = StoredSession::new(answer.tokens, self.clock.now()).ok_or(Error::NotOurServer)?;
        self.vault.set(item(&self.account), fresh.encode_to_vec()).await?;
        self.steps.reached(Step::TokensStored);
        let access = fresh.access.clone();
        *held = Some(fresh);
        Ok(access)
    }
}
