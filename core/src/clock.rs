//! The only source of time and chance on the phone. Everything else takes a [`Clock`], so that tests bring their own.

use std::sync::OnceLock;

use borsellino_domain::time::Millis;

use crate::error::{Error, Result};

/// Time and secure random bytes.
pub trait Clock: Send + Sync {
    /// Now, by the phone's clock. It may be years off: the app core compares it only with itself.
    fn now(&self) -> Millis;

    /// Milliseconds of a clock that nobody sets and that runs while the phone sleeps, since some moment of this start of the
    /// phone.
    fn monotonic_ms(&self) -> u64;

    /// Names this start of the phone (Android's boot count, iOS's `kern.bootsessionuuid`): while it stays the same,
    /// [`Clock::monotonic_ms`] counts on. Never empty; when in doubt another one each time the app starts.
    fn boot(&self) -> String;

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

    fn monotonic_ms(&self) -> u64 {
        // The standard library's clock stands still while the phone sleeps.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const AWAKE_OR_ASLEEP: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const AWAKE_OR_ASLEEP: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(AWAKE_OR_ASLEEP);
        let millis = time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec.div_euclid(1_000_000));
        u64::try_from(millis).unwrap_or(0)
    }

    fn boot(&self) -> String {
        static BOOT: OnceLock<String> = OnceLock::new();
        let named = || {
            let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            if !text.trim().is_empty() {
                return text.trim().to_owned();
            }
            // This run of the program at least is in one start of the phone.
            let mut random = [0_u8; 16];
            let _ = self.fill(&mut random);
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        };
        BOOT.get_or_init(named).clone()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|_| Error::NoRandomness)
    }
}
