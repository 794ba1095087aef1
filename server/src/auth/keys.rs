//! The server's secret: one 32-byte key from outside the database, from which the keys for sealing messages, for finding
//! sealed tokens again, and for signing tokens and the ledger's seals are derived. Whoever has only the database can neither read what the Node sent,
//! nor make a token or a seal.

use std::fmt;

use borsellino_domain::ledger::Hash;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{hkdf, hmac};
use thiserror::Error;

use super::signature::{PublicKey, Signature};

/// The server's derived keys.
pub struct Keys {
    /// Names the secret, so that it can be changed: kept beside everything sealed with it.
    id: String,
    seal: LessSafeKey,
    sign: hmac::Key,
    find: hmac::Key,
    time: hmac::Key,
    proof: Ed25519KeyPair,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

/// A key could not be derived, or a message not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The library refused; it does so only for lengths that cannot occur.
    #[error("the key cannot be used")]
    Unusable,
    /// The message was sealed with another key, for another purpose, or was altered.
    #[error("the sealed message does not open")]
    DoesNotOpen,
}

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

impl Keys {
    /// Derives the keys from `secret`; its id is the beginning of its digest.
    ///
    /// # Errors
    /// [`KeyError::Unusable`].
    pub fn derive(secret: &[u8; 32]) -> Result<Self, KeyError> {
        let mut id = Hash::of(&[b"borsellino.key-id.v1", &secret[..]].concat()).to_string();
        id.truncate(16);
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"borsellino.v1").extract(secret);
        let derive = |purpose: &[u8]| -> Result<[u8; 32], KeyError> {
            let mut key = [0; 32];
            let info = [purpose];
            let okm = root.expand(&info, KeyLength).map_err(|_| KeyError::Unusable)?;
            okm.fill(&mut key).map_err(|_| KeyError::Unusable)?;
            Ok(key)
        };
        let seal = UnboundKey::new(&CHACHA20_POLY1305, &derive(b"seal")?).map_err(|_| KeyError::Unusable)?;
        let sign = hmac::Key::new(hmac::HMAC_SHA256, &derive(b"sign")?);
        let find = hmac::Key::new(hmac::HMAC_SHA256, &derive(b"find")?);
        let time = hmac::Key::new(hmac::HMAC_SHA256, &derive(b"time")?);
        let proof = Ed25519KeyPair::from_seed_unchecked(&derive(b"proof")?).map_err(|_| KeyError::Unusable)?;
        Ok(Self { id, seal: LessSafeKey::new(seal), sign, find, time, proof })
    }

    /// Names the secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `message` for `purpose` (which must be given again to open it); `nonce` is 12 fresh random bytes and stands
    /// in front of the result.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] for a message of many gigabytes.
    pub fn seal(&self, purpose: &str, message: &[u8], nonce: [u8; 12]) -> Result<Vec<u8>, KeyError> {
        let mut sealed = message.to_vec();
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut sealed)
            .map_err(|_| KeyError::Unusable)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what [`Keys::seal`] made.
    ///
    /// # Errors
    /// [`KeyError::DoesNotOpen`].
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or(KeyError::DoesNotOpen)?;
        let mut buffer = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.seal.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut buffer);
        opened.map(|message| message.to_vec()).map_err(|_| KeyError::DoesNotOpen)
    }

    /// The name under which something sealed is found again: the same for the same `secret` and purpose, and nothing that
    /// whoever has only the database could compare a guess with.
    pub fn digest(&self, purpose: &str, secret: &[u8]) -> Hash {
        let message = [purpose.as_bytes(), &[0], secret].concat();
        let tag = hmac::sign(&self.find, &message);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        Hash(digest)
    }

    /// The key that anybody checks the seals of the ledger with.
    ///
    /// # Errors
    /// [`KeyError::Unusable`], which an Ed25519 key never is.
    pub fn proof_key(&self) -> Result<PublicKey, KeyError> {
        self.proof.public_key().as_ref().try_into().map(PublicKey).map_err(|_| KeyError::Unusable)
    }

    /// Signs the hash of a seal.
    ///
    /// # Errors
    /// [`KeyError::Unusable`], which an Ed25519 key never is.
    pub fn sign_seal(&self, hash: &Hash) -> Result<Signature, KeyError> {
        self.proof.sign(&hash.0).as_ref().try_into().map(Signature).map_err(|_| KeyError::Unusable)
    }

    /// A tag over `message` that only this server can make.
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.sign, message);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// A tag over `message`, which names an instant, that only this server can make. Half of an HMAC: it is carried by every
    /// answer and proves nothing but when the server spoke.
    pub fn stamp(&self, message: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.time, message);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, tag)| *byte = *tag);
        bytes
    }

    /// Whether `stamp` is [`Keys::stamp`] of `message`, in constant time.
    pub fn stamped(&self, message: &[u8], stamp: &[u8]) -> bool {
        let mut difference = u8::from(stamp.len() != 16);
        for (ours, theirs) in self.stamp(message).iter().zip(stamp) {
            difference |= ours ^ theirs;
        }
        difference == 0
    }

    /// Whether `tag` is [`Keys::tag`] of `message`, in constant time.
    pub fn holds(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.sign, message, tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_opens_only_with_its_key_and_purpose() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        let sealed = keys.seal("receipt", b"secret", [1; 12]).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(keys.open("receipt", &sealed).unwrap(), b"secret");
        assert_eq!(keys.open("quarantine", &sealed), Err(KeyError::DoesNotOpen));
        assert_eq!(Keys::derive(&[8; 32]).unwrap().open("receipt", &sealed), Err(KeyError::DoesNotOpen));
        assert_eq!(keys.open("receipt", &sealed[..5]), Err(KeyError::DoesNotOpen));
        let mut altered = sealed;
        altered[15] ^= 1;
        assert_eq!(keys.open("receipt", &altered), Err(KeyError::DoesNotOpen));
    }

    #[test]
    fn a_signature_is_one_secrets_over_one_hash() {
        let (keys, others) = (Keys::derive(&[7; 32]).unwrap(), Keys::derive(&[8; 32]).unwrap());
        let (key, hash) = (keys.proof_key().unwrap(), Hash::of(b"a seal"));
        let signature = keys.sign_seal(&hash).unwrap();
        assert!(key.signed(&hash, &signature));
        assert!(!key.signed(&Hash::of(b"another"), &signature));
        assert!(!key.signed(&hash, &others.sign_seal(&hash).unwrap()));
        assert!(!others.proof_key().unwrap().signed(&hash, &signature));
        assert_eq!(key.to_string().parse(), Ok(key));
    }
}
