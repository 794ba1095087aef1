//! Passwords: argon2id, and a bounded queue in front of it, because each check costs memory and time by design.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

/// How many checks run at once.
const RUNNING: usize = 2;

/// How many may wait for their turn before the answer is "busy".
const WAITING: usize = 32;

/// OWASP's recommendation for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;

/// The door in front of argon2.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Checked for users that don't exist, so that they cost the same.
    decoy: String,
}

/// Why a password was not checked or hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too many are being checked: try again in a moment.
    #[error("too many sign-ins at once")]
    Busy,
    /// The stored hash, or the hasher, is broken.
    #[error("the password could not be processed")]
    Unusable,
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, 2, 1, None).map_err(|_| PasswordError::Unusable)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The PHC text of `password` with 16 random bytes of salt. Slow by design: call it off the runtime's threads.
///
/// # Errors
/// [`PasswordError::Unusable`].
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String, PasswordError> {
    let hash = hasher()?.hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| PasswordError::Unusable)?;
    Ok(hash.to_string())
}

impl Passwords {
    /// A door whose decoy is made from these random bytes.
    ///
    /// # Errors
    /// [`PasswordError::Unusable`].
    pub fn new(decoy_salt: [u8; 16]) -> Result<Self, PasswordError> {
        let decoy = hash("no user has this password", decoy_salt)?;
        let places = |count| Arc::new(Semaphore::new(count));
        Ok(Self { running: places(RUNNING), waiting: places(WAITING), decoy })
    }

    /// The PHC text of a new password with 16 random bytes of salt.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] where too many wait already.
    pub async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String, PasswordError> {
        self.work(move || hash(&password, salt)).await
    }

    /// Whether `password` is the one behind `stored`; with no stored hash it takes as long and is false.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] where too many wait already.
    pub async fn check(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let matches = self.work(move || {
            let hash = PasswordHash::new(&stored).map_err(|_| PasswordError::Unusable)?;
            Ok(hasher()?.verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(matches.await? && known)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that hangs up frees neither the place nor the turn.
            let _held = (place, turn);
            work()
        });
        task.await.map_err(|_| PasswordError::Unusable)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let door = Passwords::new([1; 16]).unwrap();
        let stored = hash("corretto cavallo", [2; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(door.check("corretto cavallo".into(), Some(stored.clone())).await, Ok(true));
        assert_eq!(door.check("sbagliato".into(), Some(stored)).await, Ok(false));
        assert_eq!(door.check("no user has this password".into(), None).await, Ok(false));
        assert_eq!(door.check("x".into(), Some("garbage".into())).await, Err(PasswordError::Unusable));
    }

    #[test]
    fn whoever_hangs_up_frees_no_place() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let door = Arc::new(Passwords::new([1; 16]).unwrap());
            // The only thread for such work is busy until it is told to end.
            let (release, busy) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || busy.recv());
            let calling = Arc::clone(&door);
            let call = tokio::spawn(async move { calling.check("x".into(), None).await });
            while door.running.available_permits() == RUNNING {
                tokio::task::yield_now().await;
            }
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            assert_eq!(door.running.available_permits(), RUNNING - 1, "the work is still to be done");
            assert_eq!(door.waiting.available_permits(), WAITING - 1);
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            while door.running.available_permits() < RUNNING {
                tokio::task::yield_now().await;
            }
        });
    }
}
