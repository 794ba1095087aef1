//! The only source of time and chance on the phone. Everything else takes a [`Clock`], so that tests bring their own.

use borsellino_domain::time::Millis;

use crate::error::{Error, Result};

/// Time and secure random bytes.
pub trait Clock: Send + Sync {
    /// Now, by the phone's clock. It may be years off: the app core compares it only with itself.
    fn now(&self) -> Millis;

    /// Fills `bytes` from a source fit for keys and ids.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] where the system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The phone's own clock and random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis::new(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|_| Error::NoRandomness)
    }
}
