//! Who signed a seal of the ledger: Ed25519 keys and signatures as anybody can check them, without a secret.

use std::fmt;
use std::str::FromStr;

use borsellino_domain::ledger::Hash;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

/// A public key that a creditor publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// What stands under a seal's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// A text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a public key is 64 hexadecimal digits, as `borsellino proof key` prints it")]
pub struct NoKey;

impl PublicKey {
    /// Its short name, to be read aloud: the beginning of its digest, 16 hexadecimal digits.
    pub fn id(&self) -> String {
        let mut id = Hash::of(&[b"borsellino.proof-key.v1", &self.0[..]].concat()).to_string();
        id.truncate(16);
        id
    }

    /// Whether `signature` is this key's over `hash`.
    pub fn signed(&self, hash: &Hash, signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&hash.0, &signature.0).is_ok()
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// 128 hexadecimal digits.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| NoKey)?;
        bytes.try_into().map(Self).map_err(|_| NoKey)
    }
}
