//! Signing in, staying signed in, signing out.
//!
//! A failed sign-in makes the next one wait, longer each time, per account and - later, since phones share
//! addresses - per network address. An unknown user costs as much time as a known one and gets the same answer.

use std::net::IpAddr;

use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::StoreError;
use borsellino_store::rows::{FailureRow, NewSession, SessionRow};

use super::views::CreditorView;
use super::{App, Fault, Stop};
use crate::auth::password::PasswordError;
use crate::auth::token::{
    ACCESS_MILLIS, Identity, REFRESH_MILLIS, RefreshToken, TokenError, issue_access, read_access,
};
use crate::clock::random;

/// Tries that cost no delay: per account, and per address (a school's whole network may share one).
const FREE_TRIES: (i64, i64) = (3, 50);

/// The longest delay, in milliseconds.
const MAX_DELAY_MILLIS: i64 = 15 * 60 * 1_000;

/// Without a failure for this long, in milliseconds, the count begins anew.
const FORGET_MILLIS: i64 = 60 * 60 * 1_000;

/// Why a sign-in is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefusal {
    /// User name or password wrong, no such user or creditor, or access ended by the office.
    WrongCredentials,
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
}

/// Why a session does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRefusal {
    /// No token, a wrong one, or an expired one.
    TokenInvalid,
    /// Signed out, ended by the office, unused for too long, or its token was used twice.
    Ended,
}

/// A pair of tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For calls.
    pub access: String,
    /// Until when.
    pub access_expires: Millis,
    /// For the next pair.
    pub refresh: String,
}

/// Somebody who just signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Their tokens.
    pub tokens: Tokens,
    /// Who.
    pub guardian: GuardianId,
    /// Their name.
    pub guardian_name: String,
    /// Where.
    pub creditor: CreditorView,
}

/// What a sign-in brings.
#[derive(Clone)]
pub struct Credentials {
    /// 11 digits.
    pub creditor: String,
    /// As typed; case does not matter.
    pub username: String,
    /// As typed.
    pub password: String,
    /// What the parent calls the device.
    pub device_name: String,
    /// Where the call comes from, as far as it can be believed.
    pub address: Option<IpAddr>,
}

/// Signs in.
///
/// # Errors
/// [`SignInRefusal`], or a [`Fault`].
pub async fn sign_in(app: &App, credentials: Credentials) -> Result<SignedIn, Stop<SignInRefusal>> {
    let listing = app.directory.listing();
    let username = credentials.username.trim().to_lowercase();
    let creditor = listing.creditor(credentials.creditor.trim());
    let (Some(creditor), 1..=254, 1..=1_024) = (creditor, username.len(), credentials.password.len()) else {
        // As slow as a wrong password.
        check(app, credentials.password, None).await?;
        return Err(Stop::Refused(SignInRefusal::WrongCredentials));
    };
    let code = creditor.fiscal_code;
    let account = Hash::of(format!("account|{username}").as_bytes());
    let address = credentials.address.map(|address| Hash::of(format!("address|{address}").as_bytes()));
    let now = app.now();

    let name = username.clone();
    let (guardian, account_failures, address_failures) = app
        .store
        .read(move |tx| {
            Box::pin(async move {
                let by_account = tx.sign_in_failures(&code, account).await?;
                let by_address = match address {
                    Some(address) => tx.sign_in_failures(&code, address).await?,
                    None => None,
                };
                Ok((tx.guardian_by_username(&code, &name).await?, by_account, by_address))
            })
        })
        .await?;
    let wait = delay(account_failures, FREE_TRIES.0, now).max(delay(address_failures, FREE_TRIES.1, now));
    if wait > 0 {
        return Err(Stop::Refused(SignInRefusal::TryLater(wait)));
    }

    let stored = guardian.as_ref().map(|guardian| guardian.password_hash.clone());
    let right = check(app, credentials.password, stored).await?;
    let Some(guardian) = guardian.filter(|guardian| right && guardian.disabled_at_ms.is_none()) else {
        let whom = [Some(account), address];
        let noted = app.store.write::<(), (), _>("note a failed sign-in", move |tx| {
            Box::pin(async move {
                for who in whom.into_iter().flatten() {
                    tx.add_sign_in_failure(&code, who, (now, now.plus(-FORGET_MILLIS))).await?;
                }
                Ok(Ok(()))
            })
        });
        let _committed = noted.await?;
        return Err(Stop::Refused(SignInRefusal::WrongCredentials));
    };

    let session: SessionId = app.new_id()?;
    let refresh = RefreshToken::first(code, session, random()?);
    let identity = Identity { creditor: code, guardian: guardian.id, session };
    let device_name: String = credentials.device_name.chars().filter(|c| !c.is_control()).take(80).collect();
    let row = NewSession {
        id: session,
        guardian: guardian.id,
        device_name,
        created_at: now,
        refresh_digest: refresh.digest(),
    };
    let opened = app.store.write::<(), (), _>("open a session", move |tx| {
        let row = row.clone();
        Box::pin(async move {
            // Run again after a lost commit, the session may be there already.
            if tx.session(&code, row.id).await?.is_none() {
                tx.insert_session(&code, &row).await?;
            }
            tx.clear_sign_in_failures(&code, account).await?;
            Ok(Ok(()))
        })
    });
    let _committed = opened.await?;
    Ok(SignedIn {
        tokens: tokens(app, &identity, &refresh, now),
        guardian: guardian.id,
        guardian_name: guardian.full_name,
        creditor: creditor.into(),
    })
}

async fn check(app: &App, password: String, stored: Option<String>) -> Result<bool, Stop<SignInRefusal>> {
    match app.passwords.check(password, stored).await {
        Ok(right) => Ok(right),
        Err(PasswordError::Busy) => Err(Stop::Refused(SignInRefusal::TryLater(1_000))),
        Err(PasswordError::Unusable) => Err(Fault::BadData("a password hash").into()),
    }
}

fn tokens(app: &App, identity: &Identity, refresh: &RefreshToken, now: Millis) -> Tokens {
    let access_expires = now.plus(ACCESS_MILLIS);
    Tokens { access: issue_access(&app.keys, identity, access_expires), access_expires, refresh: refresh.encode() }
}

/// How many milliseconds to wait after these failures: 1 s after the last free try, twice as long each further time.
fn delay(failures: Option<FailureRow>, free: i64, now: Millis) -> i64 {
    let Some(FailureRow { failures, last_at_ms }) = failures else { return 0 };
    let since = now.get().saturating_sub(last_at_ms);
    let over = failures.saturating_sub(free);
    if over < 0 || since > FORGET_MILLIS {
        return 0;
    }
    let full = 1_000i64.checked_shl(u32::try_from(over.min(20)).unwrap_or(20)).unwrap_or(MAX_DELAY_MILLIS);
    full.min(MAX_DELAY_MILLIS).saturating_sub(since.max(0)).max(0)
}

/// Who is calling, by access token alone; whether the session goes on is for the first statement of the use case.
///
/// # Errors
/// [`TokenError`].
pub fn identify(app: &App, token: &str) -> Result<Identity, TokenError> {
    read_access(&app.keys, token, app.now())
}

/// Exchanges a refresh token for the next pair.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn refresh(app: &App, token: &str) -> Result<Tokens, Stop<SessionRefusal>> {
    let Ok(presented) = RefreshToken::decode(token) else {
        return Err(Stop::Refused(SessionRefusal::TokenInvalid));
    };
    let next = presented.next(&app.keys);
    let now = app.now();
    let (code, id) = (presented.creditor, presented.session);
    let (old, new) = (presented.digest(), next.digest());
    let outcome = app
        .store
        .write("rotate a session's token", move |tx| {
            Box::pin(async move {
                let Some(session) = tx.session(&code, id).await? else {
                    return Ok(Err(SessionRefusal::TokenInvalid));
                };
                if !goes_on(&session, now) {
                    return Ok(Err(SessionRefusal::Ended));
                }
                // The newest, or the one before it whose answer was lost: either way `new` is what follows it.
                let previous = session.previous_digest.as_deref() == Some(&old.0[..]);
                if session.refresh_digest == old || (previous && session.refresh_digest == new) {
                    if !tx.rotate_session(&code, id, (old, new), now).await? {
                        // Moved on between the two statements: decide again, knowing that.
                        return Err(StoreError::Conflict);
                    }
                    return Ok(Ok(Some(session.guardian)));
                }
                // A token used twice was stolen, or is being: nobody goes on with it.
                tx.end_session(&code, id, now).await?;
                Ok(Ok(None))
            })
        })
        .await?;
    match outcome {
        Ok(Some(guardian)) => {
            let identity = Identity { creditor: code, guardian, session: id };
            Ok(tokens(app, &identity, &next, now))
        }
        Ok(None) => Err(Stop::Refused(SessionRefusal::Ended)),
        Err(refusal) => Err(Stop::Refused(refusal)),
    }
}

/// Whether a session may be used at `now`.
pub fn goes_on(session: &SessionRow, now: Millis) -> bool {
    let unused = now.get().saturating_sub(session.last_used_at_ms);
    session.ended_at_ms.is_none() && session.disabled_at_ms.is_none() && unused < REFRESH_MILLIS
}

/// Ends the session of `who`.
///
/// # Errors
/// [`Fault`].
pub async fn sign_out(app: &App, who: Identity) -> Result<(), Fault> {
    let now = app.now();
    let ended = app.store.write::<(), (), _>("end a session", move |tx| {
        Box::pin(async move { Ok(Ok(tx.end_session(&who.creditor, who.session, now).await?)) })
    });
    let _committed = ended.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_is_forgotten() {
        let failed = |failures| Some(FailureRow { failures, last_at_ms: 0 });
        assert_eq!(delay(None, 3, Millis::new(0)), 0);
        assert_eq!(delay(failed(2), 3, Millis::new(0)), 0);
        assert_eq!(delay(failed(3), 3, Millis::new(0)), 1_000);
        assert_eq!(delay(failed(5), 3, Millis::new(1_500)), 2_500);
        assert_eq!(delay(failed(5), 3, Millis::new(4_000)), 0);
        assert_eq!(delay(failed(i64::MAX), 3, Millis::new(0)), MAX_DELAY_MILLIS);
        assert_eq!(delay(failed(9), 3, Millis::new(FORGET_MILLIS + 1)), 0);
        assert_eq!(delay(failed(5), 3, Millis::new(-1)), 4_000, "a clock set back does not lock anybody out longer");
    }
}
