//! Tokens. An access token is short-lived and checked without the database; a refresh token is long-lived, known to
//! the database by its digest only, and rotates.
//!
//! The next refresh token is derived from the one presented, so that asking again with the same token (the answer was
//! lost) gives the same next one: rotation is idempotent.

use std::fmt;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use uuid::Uuid;

use super::keys::Keys;

/// How long an access token lives, in milliseconds.
pub const ACCESS_MILLIS: i64 = 15 * 60 * 1_000;

/// How long a refresh token lives from its last use, in milliseconds.
pub const REFRESH_MILLIS: i64 = 60 * 24 * 60 * 60 * 1_000;

const ACCESS: u8 = 1;
const REFRESH: u8 = 2;
const RECOVERY: u8 = 3;
const PASS: u8 = 4;

/// How long a browser's pass lives without being used, in milliseconds: on a computer that others use too.
pub const IDLE_MILLIS: i64 = 30 * 60 * 1_000;

/// How long it lives at most there, in milliseconds.
pub const LONGEST_VISIT_MILLIS: i64 = 12 * 60 * 60 * 1_000;

/// Who is calling, as an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The creditor they signed in to.
    pub creditor: CreditorCode,
    /// Who.
    pub guardian: GuardianId,
    /// On which device.
    pub session: SessionId,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not one of ours, or altered.
    #[error("not a token of this server")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// An access token for `identity`, valid until `expires`.
pub fn issue_access(keys: &Keys, identity: &Identity, expires: Millis) -> String {
    let mut body = vec![ACCESS];
    body.extend_from_slice(identity.creditor.as_str().as_bytes());
    body.extend_from_slice(identity.guardian.uuid().as_bytes());
    body.extend_from_slice(identity.session.uuid().as_bytes());
    body.extend_from_slice(&expires.get().to_be_bytes());
    let tag = keys.tag(&body);
    body.extend_from_slice(&tag);
    BASE64URL_NOPAD.encode(&body)
}

/// Reads an access token.
///
/// # Errors
/// [`TokenError`].
pub fn read_access(keys: &Keys, token: &str, now: Millis) -> Result<Identity, TokenError> {
    let bytes = decode(token)?;
    let (body, tag) = bytes.split_last_chunk::<32>().ok_or(TokenError::Invalid)?;
    if !keys.holds(body, tag) {
        return Err(TokenError::Invalid);
    }
    let mut reader = Reader(body);
    let [kind] = reader.take::<1>()?;
    let creditor = reader.creditor()?;
    let guardian = Uuid::from_bytes(reader.take()?).into();
    let session = Uuid::from_bytes(reader.take()?).into();
    let expires = Millis::new(i64::from_be_bytes(reader.take()?));
    if kind != ACCESS || !reader.0.is_empty() {
        return Err(TokenError::Invalid);
    }
    if now >= expires {
        return Err(TokenError::Expired);
    }
    Ok(Identity { creditor, guardian, session })
}

/// A refresh token: names its session and proves it with 32 secret bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The creditor.
    pub creditor: CreditorCode,
    /// The session.
    pub session: SessionId,
    secret: [u8; 32],
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({:?})", self.session)
    }
}

impl RefreshToken {
    /// The first one of a session, from 32 secure random bytes.
    pub fn first(creditor: CreditorCode, session: SessionId, secret: [u8; 32]) -> Self {
        Self { creditor, session, secret }
    }

    /// The one that follows it: always the same for the same server secret.
    pub fn next(&self, keys: &Keys) -> Self {
        let message = [b"borsellino.refresh.v1".as_slice(), self.session.uuid().as_bytes(), &self.secret].concat();
        Self { secret: keys.tag(&message), ..*self }
    }

    /// What the database knows of it.
    pub fn digest(&self) -> Hash {
        Hash::of(&self.secret)
    }

    /// As the phone keeps it.
    pub fn encode(&self) -> String {
        let mut body = vec![REFRESH];
        body.extend_from_slice(self.creditor.as_str().as_bytes());
        body.extend_from_slice(self.session.uuid().as_bytes());
        body.extend_from_slice(&self.secret);
        BASE64URL_NOPAD.encode(&body)
    }

    /// Reads what the phone sends.
    ///
    /// # Errors
    /// [`TokenError::Invalid`].
    pub fn decode(token: &str) -> Result<Self, TokenError> {
        let bytes = decode(token)?;
        let mut reader = Reader(&bytes);
        let [kind] = reader.take::<1>()?;
        let creditor = reader.creditor()?;
        let session = Uuid::from_bytes(reader.take()?).into();
        let secret = reader.take()?;
        if kind != REFRESH || !reader.0.is_empty() {
            return Err(TokenError::Invalid);
        }
        Ok(Self { creditor, session, secret })
    }
}

/// Names a recovery and proves, with 32 secret bytes, that it is the caller's.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryToken {
    /// The creditor.
    pub creditor: CreditorCode,
    /// The recovery.
    pub id: Uuid,
    secret: [u8; 32],
}

impl fmt::Debug for RecoveryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryToken({})", self.id)
    }
}

impl RecoveryToken {
    /// From 32 secure random bytes.
    pub fn new(creditor: CreditorCode, id: Uuid, secret: [u8; 32]) -> Self {
        Self { creditor, id, secret }
    }

    /// What the database knows of it.
    pub fn digest(&self) -> Hash {
        Hash::of(&self.secret)
    }

    /// As the phone holds it.
    pub fn encode(&self) -> String {
        let code = self.creditor.as_str().as_bytes();
        BASE64URL_NOPAD.encode(&[&[RECOVERY], code, self.id.as_bytes(), &self.secret[..]].concat())
    }

    /// Reads what the phone sends.
    ///
    /// # Errors
    /// [`TokenError::Invalid`].
    pub fn decode(token: &str) -> Result<Self, TokenError> {
        let bytes = decode(token)?;
        let mut reader = Reader(&bytes);
        let [kind] = reader.take::<1>()?;
        let read = Self { creditor: reader.creditor()?, id: Uuid::from_bytes(reader.take()?), secret: reader.take()? };
        if kind != RECOVERY || !reader.0.is_empty() {
            return Err(TokenError::Invalid);
        }
        Ok(read)
    }
}

/// What a browser holds: who is visiting, and since when. Short-lived unless the parent said that the device is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Who.
    pub identity: Identity,
    /// On a device of their own: lives as long as a phone's session.
    pub stays: bool,
    /// When they signed in.
    pub began: Millis,
    /// When it was written.
    pub renewed: Millis,
}

impl Pass {
    /// As the browser holds it.
    pub fn encode(&self, keys: &Keys) -> String {
        let mut body = vec![PASS];
        body.extend_from_slice(self.identity.creditor.as_str().as_bytes());
        body.extend_from_slice(self.identity.guardian.uuid().as_bytes());
        body.extend_from_slice(self.identity.session.uuid().as_bytes());
        body.push(u8::from(self.stays));
        body.extend_from_slice(&self.began.get().to_be_bytes());
        body.extend_from_slice(&self.renewed.get().to_be_bytes());
        let tag = keys.tag(&body);
        body.extend_from_slice(&tag);
        BASE64URL_NOPAD.encode(&body)
    }

    /// Reads what a browser sends.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(keys: &Keys, token: &str, now: Millis) -> Result<Self, TokenError> {
        let pass = Self::read_any(keys, token)?;
        let over = if pass.stays {
            now >= pass.renewed.plus(REFRESH_MILLIS)
        } else {
            now >= pass.renewed.plus(IDLE_MILLIS) || now >= pass.began.plus(LONGEST_VISIT_MILLIS)
        };
        if over { Err(TokenError::Expired) } else { Ok(pass) }
    }

    /// Whose pass this is, or was: lets nobody in.
    pub fn whose(keys: &Keys, token: &str) -> Option<Identity> {
        Self::read_any(keys, token).ok().map(|pass| pass.identity)
    }

    fn read_any(keys: &Keys, token: &str) -> Result<Self, TokenError> {
        let bytes = decode(token)?;
        let (body, tag) = bytes.split_last_chunk::<32>().ok_or(TokenError::Invalid)?;
        if !keys.holds(body, tag) {
            return Err(TokenError::Invalid);
        }
        let mut reader = Reader(body);
        let [kind] = reader.take::<1>()?;
        let creditor = reader.creditor()?;
        let guardian = Uuid::from_bytes(reader.take()?).into();
        let session = Uuid::from_bytes(reader.take()?).into();
        let [stays] = reader.take::<1>()?;
        let began = Millis::new(i64::from_be_bytes(reader.take()?));
        let renewed = Millis::new(i64::from_be_bytes(reader.take()?));
        if kind != PASS || !reader.0.is_empty() {
            return Err(TokenError::Invalid);
        }
        Ok(Self { identity: Identity { creditor, guardian, session }, stays: stays != 0, began, renewed })
    }
}

fn decode(token: &str) -> Result<Vec<u8>, TokenError> {
    if token.len() > 256 {
        return Err(TokenError::Invalid);
    }
    BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| TokenError::Invalid)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(TokenError::Invalid)?;
        self.0 = tail;
        Ok(*head)
    }

    fn creditor(&mut self) -> Result<CreditorCode, TokenError> {
        let digits = self.take::<11>()?;
        let text = std::str::from_utf8(&digits).map_err(|_| TokenError::Invalid)?;
        CreditorCode::from_digits(text).map_err(|_| TokenError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::derive(&[7; 32]).unwrap()
    }

    fn identity() -> Identity {
        let creditor = CreditorCode::parse("99900010010").unwrap();
        Identity { creditor, guardian: Uuid::from_u128(1).into(), session: Uuid::from_u128(2).into() }
    }

    #[test]
    fn an_access_token_says_who_until_it_expires() {
        let token = issue_access(&keys(), &identity(), Millis::new(100));
        assert_eq!(read_access(&keys(), &token, Millis::new(99)), Ok(identity()));
        assert_eq!(read_access(&keys(), &token, Millis::new(100)), Err(TokenError::Expired));
        let other = Keys::derive(&[8; 32]).unwrap();
        assert_eq!(read_access(&other, &token, Millis::new(99)), Err(TokenError::Invalid));
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(read_access(&keys(), &altered, Millis::new(99)).is_err(), "byte {at}");
        }
        assert_eq!(read_access(&keys(), "", Millis::new(0)), Err(TokenError::Invalid));
        assert_eq!(read_access(&keys(), &"A".repeat(10_000), Millis::new(0)), Err(TokenError::Invalid));
    }

    #[test]
    fn rotation_is_idempotent() {
        let first = RefreshToken::first(identity().creditor, identity().session, [3; 32]);
        assert_eq!(RefreshToken::decode(&first.encode()), Ok(first.clone()));
        assert_eq!(first.next(&keys()), first.next(&keys()));
        assert_ne!(first.next(&keys()).digest(), first.digest());
        let access = issue_access(&keys(), &identity(), Millis::new(100));
        assert_eq!(RefreshToken::decode(&access), Err(TokenError::Invalid));
    }

    #[test]
    fn a_recovery_is_no_session() {
        let recovery = RecoveryToken::new(identity().creditor, Uuid::from_u128(2), [3; 32]);
        assert_eq!(RecoveryToken::decode(&recovery.encode()), Ok(recovery.clone()));
        assert_eq!(RefreshToken::decode(&recovery.encode()), Err(TokenError::Invalid));
        let refresh = RefreshToken::first(identity().creditor, identity().session, [3; 32]);
        assert_eq!(RecoveryToken::decode(&refresh.encode()), Err(TokenError::Invalid));
        assert!(!format!("{recovery:?}").contains("3, 3"));
    }
}
