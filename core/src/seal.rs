//! Seals what the cache holds: ChaCha20-Poly1305 with a key from the secure store. A sealed value opens only in the
//! place it was sealed for.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::error::{CacheError, Error, Result};

/// The length of the key, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// The first byte of a sealed value: how it was made.
const VERSION: u8 = 1;

/// Where a sealed value lives; it is authenticated with it. None of the parts holds a NUL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) account: &'a str,
    pub(crate) key: &'a str,
}

impl Place<'_> {
    fn aad(&self) -> Aad<Vec<u8>> {
        Aad::from(format!("{}\0{}\0{}", self.table, self.account, self.key).into_bytes())
    }
}

/// Seals and opens with one key.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// `None` where `key` is not [`KEY_LEN`] bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// `version | nonce | ciphertext | tag`. Nonces are random: a phone seals far fewer than 2^32 values.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8], clock: &dyn Clock) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        clock.fill(&mut nonce)?;
        let mut body = plain.to_vec();
        let nonce_of = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce_of, place.aad(), &mut body).map_err(|_| CacheError::Sealed)?;
        let mut sealed = Vec::with_capacity(body.len().saturating_add(NONCE_LEN + 1));
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// The plain bytes, wiped when dropped.
    ///
    /// # Errors
    /// [`CacheError::Sealed`] for another key, another place, or a damaged value.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let broken = || Error::Cache(CacheError::Sealed);
        let (version, rest) = sealed.split_first().ok_or_else(broken)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        if *version != VERSION {
            return Err(broken());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self.0.open_in_place(nonce, place.aad(), &mut body).map_err(|_| broken())?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    const HERE: Place<'static> = Place { table: "intent", account: "a", key: "k" };

    #[test]
    fn opens_only_in_its_place_with_its_key_undamaged() {
        let sealer = Sealer::new(&[7; KEY_LEN]).unwrap();
        let sealed = sealer.seal(HERE, b"Giulia 12,40", &SystemClock).unwrap();
        assert_eq!(&**sealer.open(HERE, &sealed).unwrap(), b"Giulia 12,40");
        assert!(!sealed.windows(6).any(|window| window == b"Giulia"));
        assert_ne!(sealed, sealer.seal(HERE, b"Giulia 12,40", &SystemClock).unwrap());

        for there in [Place { table: "snapshot", ..HERE }, Place { account: "b", ..HERE }, Place { key: "l", ..HERE }] {
            assert_eq!(sealer.open(there, &sealed).unwrap_err(), Error::Cache(CacheError::Sealed));
        }
        assert!(Sealer::new(&[8; KEY_LEN]).unwrap().open(HERE, &sealed).is_err());
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(sealer.open(HERE, &damaged).is_err(), "byte {index}");
            assert!(sealer.open(HERE, &sealed[..index]).is_err(), "cut at {index}");
        }
        assert!(Sealer::new(b"short").is_none());
    }
}
