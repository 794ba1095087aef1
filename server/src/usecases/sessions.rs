//! Signing in, staying signed in, signing out.
//!
//! A failed sign-in makes the next one wait, longer each time, per account and - later, since phones share
//! addresses - per network address. An unknown user costs as much time as a known one and gets the same answer.

use std::net::IpAddr;

use borsellino_domain::account::NewPassword;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{AccountHolderRow, FailureRow, NewSession, SessionRow};
use borsellino_store::{StoreError, Tx};

use super::post::{Event, lay_event};
use super::views::CreditorView;
use super::{App, Fault, Stop};
use crate::auth::password::PasswordError;
use crate::auth::token::{
    ACCESS_MILLIS, Identity, REFRESH_MILLIS, RefreshToken, TokenError, issue_access, read_access,
};
use crate::clock::random;

/// Tries that cost no delay: per account, and per address (a school's whole network may share one).
const FREE_TRIES: (i64, i64) = (3, 50);

/// The longest delay for an account, in milliseconds.
const MAX_DELAY_MILLIS: i64 = 15 * 60 * 1_000;

/// The longest delay for an address, in milliseconds: a whole school may stand behind it.
const MAX_ADDRESS_DELAY_MILLIS: i64 = 20 * 1_000;

/// Tries for a notice that cost no delay: from one network, and from all together.
const FREE_NOTICE_TRIES: (i64, i64) = (3, 10);

/// The longest delays for a notice, in milliseconds: from one network, and from all together. Who guesses from elsewhere keeps its
/// holder waiting no longer than that.
const MAX_NOTICE_DELAY_MILLIS: (i64, i64) = (2 * 60 * 1_000, 30 * 1_000);

/// Without a failure for this long, in milliseconds, the count begins anew.
const FORGET_MILLIS: i64 = 60 * 60 * 1_000;

/// Why a sign-in is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefusal {
    /// User name or password wrong, no such user or creditor, an address that several have, or access ended by the office.
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
    /// Ended from afar, because the phone was lost: nothing of the account may stay on it.
    Wiped,
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
    /// The user name, or an e-mail address that no other account has; as typed, case does not matter.
    pub username: String,
    /// As typed.
    pub password: String,
    /// What the parent calls the device.
    pub device_name: String,
    /// Where the call comes from, as far as it can be believed.
    pub address: Option<IpAddr>,
    /// What their phone speaks.
    pub language: Language,
}

/// Signs in.
///
/// # Errors
/// [`SignInRefusal`], or a [`Fault`].
pub async fn sign_in(app: &App, credentials: Credentials) -> Result<SignedIn, Stop<SignInRefusal>> {
    let wrong = || Stop::Refused(SignInRefusal::WrongCredentials);
    let listing = app.directory.listing();
    let username = credentials.username.trim().to_lowercase();
    // What can't be an account costs nothing to refuse and tells nothing: creditors' codes are public.
    let creditor = listing.creditor(credentials.creditor.trim()).ok_or_else(wrong)?;
    let possible = (1..=254).contains(&username.len()) && !username.contains(char::is_control);
    if !possible || !(1..=1_024).contains(&credentials.password.len()) {
        return Err(wrong());
    }
    let code = creditor.fiscal_code;
    let account = account_key(&username);
    let address = credentials.address.map(address_key);
    let now = app.now();

    // Counted before the password is looked at, one try after the other, so that many at once count as many; by what was typed, for
    // a count that user name and address share would tell whose address it is.
    let (name, tries) = (username, Tries::new(account, address));
    let counted = app.store.write("count a sign-in", move |tx| {
        let (name, tries) = (name.clone(), tries.clone());
        Box::pin(async move {
            if let Some(wait) = tries.count(tx, &code, now).await? {
                return Ok(Err(SignInRefusal::TryLater(wait)));
            }
            Ok(Ok(called(tx, &code, &name).await?))
        })
    });
    let guardian = counted.await?.map_err(Stop::Refused)?;

    let stored = guardian.as_ref().and_then(|guardian| guardian.password_hash.as_ref());
    let right = check(app, (&credentials.password, stored), SignInRefusal::TryLater).await?;
    let guardian = guardian.filter(|guardian| right && guardian.disabled_at_ms.is_none()).ok_or_else(wrong)?;

    let opening = Opening::new(app, (code, guardian.id), (&credentials.device_name, Some(credentials.language)))?;
    let (opened, checked) = (opening.clone(), guardian.password_hash.unwrap_or_default());
    let opened = app.store.write("open a session", move |tx| {
        let (opening, checked) = (opened.clone(), checked.clone());
        Box::pin(async move {
            // Looking at a password takes a while: it may have been changed, or the access ended, meanwhile.
            if !tx.hold_account(&code, opening.guardian(), &checked).await? {
                return Ok(Err(SignInRefusal::WrongCredentials));
            }
            opening.write(tx).await?;
            lay_event(tx, &code, (opening.guardian(), Event::NewDevice, opening.session().uuid()), now).await?;
            tx.clear_sign_ins(&code, account).await?;
            if let Some(address) = address {
                tx.uncount_sign_in(&code, address).await?;
            }
            Ok(Ok(()))
        })
    });
    opened.await?.map_err(Stop::Refused)?;
    Ok(opening.signed_in(app, guardian.full_name, creditor.into()))
}

/// The account behind a user name or, where nobody is called so, behind an e-mail address that is one account's alone; both in small
/// letters. Which statements that takes is decided by what was typed, never by who exists.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn called(
    tx: &mut Tx,
    creditor: &CreditorCode,
    name: &str,
) -> Result<Option<AccountHolderRow>, StoreError> {
    let named = tx.holder_by_username(creditor, name).await?;
    if !name.contains('@') {
        return Ok(named);
    }
    let mut reached = tx.holders_by_email(creditor, name).await?;
    let alone = if reached.len() == 1 { reached.pop() } else { None };
    Ok(named.or(alone))
}

/// Under which key the tries for an account are counted.
pub(super) fn account_key(username: &str) -> Hash {
    Hash::of(format!("account|{username}").as_bytes())
}

/// Under which key the tries from an address are counted.
pub(super) fn address_key(address: IpAddr) -> Hash {
    Hash::of(format!("address|{}", network(address)).as_bytes())
}

/// What a try counts for.
#[derive(Clone)]
pub(super) struct Tries(Vec<(Hash, i64, i64)>);

impl Tries {
    /// For an account (or whatever stands in its place), and for an address, where one is known.
    pub(super) fn new(account: Hash, address: Option<Hash>) -> Self {
        let mut tries = vec![(account, FREE_TRIES.0, MAX_DELAY_MILLIS)];
        tries.extend(address.map(|address| (address, FREE_TRIES.1, MAX_ADDRESS_DELAY_MILLIS)));
        Self(tries)
    }

    /// From an address alone; nothing is counted where none is known.
    pub(super) fn from_address(address: Option<Hash>) -> Self {
        Self(address.into_iter().map(|address| (address, FREE_TRIES.1, MAX_ADDRESS_DELAY_MILLIS)).collect())
    }

    /// For a notice that somebody says they hold. First from their network: who has to wait there counts for nobody else.
    pub(super) fn of_notice(number: &str, address: Option<IpAddr>) -> Self {
        let here = address.map(|address| {
            let pair = Hash::of(format!("notice|{number}|{}", network(address)).as_bytes());
            (pair, FREE_NOTICE_TRIES.0, MAX_NOTICE_DELAY_MILLIS.0)
        });
        let mut tries: Vec<_> = here.into_iter().collect();
        tries.extend(Self::from_address(address.map(address_key)).0);
        let everywhere = Hash::of(format!("notice|{number}").as_bytes());
        tries.push((everywhere, FREE_NOTICE_TRIES.1, MAX_NOTICE_DELAY_MILLIS.1));
        Self(tries)
    }

    /// Takes back what was counted for a try that was right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn uncount(&self, tx: &mut Tx, creditor: &CreditorCode) -> Result<(), StoreError> {
        for (who, _, _) in &self.0 {
            tx.uncount_sign_in(creditor, *who).await?;
        }
        Ok(())
    }

    /// Counts; answers how many milliseconds are to be waited, where it is too early.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn count(
        &self,
        tx: &mut Tx,
        creditor: &CreditorCode,
        now: Millis,
    ) -> Result<Option<i64>, StoreError> {
        for (who, free, longest) in &self.0 {
            let row = tx.count_sign_in(creditor, *who, (now, now.plus(-FORGET_MILLIS))).await?;
            let wait = delay(row, *free, *longest, now);
            if wait > 0 {
                return Ok(Some(wait));
            }
            tx.touch_sign_in(creditor, *who, now).await?;
        }
        Ok(None)
    }
}

/// Forgets the counts of tries that are too old to count. Who guesses names leaves a row for each.
///
/// # Errors
/// A [`Fault`].
pub async fn sweep(app: &App, creditor: CreditorCode) -> Result<(), Fault> {
    let since = app.now().plus(-FORGET_MILLIS);
    let swept = app.store.write::<u64, (), _>("sweep sign-ins", move |tx| {
        Box::pin(async move { Ok(Ok(tx.sweep_sign_ins(&creditor, since).await?)) })
    });
    let _committed = swept.await?;
    Ok(())
}

/// A session that is about to be opened.
#[derive(Clone)]
pub(super) struct Opening {
    row: NewSession,
    identity: Identity,
    refresh: RefreshToken,
    language: Option<Language>,
}

impl Opening {
    /// For a guardian of a creditor, on a device that the parent calls so, and that speaks this language.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn new(
        app: &App,
        (creditor, guardian): (CreditorCode, GuardianId),
        (device_name, language): (&str, Option<Language>),
    ) -> Result<Self, Fault> {
        let session: SessionId = app.new_id()?;
        let refresh = RefreshToken::first(creditor, session, random()?);
        let row = NewSession {
            id: session,
            guardian,
            device_name: device_name_of(device_name),
            created_at: app.now(),
            refresh_digest: refresh.digest(),
        };
        Ok(Self { row, identity: Identity { creditor, guardian, session }, refresh, language })
    }

    /// Opens it; run again after a lost commit, it may be there already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let creditor = &self.identity.creditor;
        if tx.session(creditor, self.row.id).await?.is_none() {
            tx.insert_session(creditor, &self.row).await?;
            if let Some(language) = self.language {
                tx.set_language(creditor, self.row.guardian, language.tag()).await?;
            }
        }
        Ok(())
    }

    /// Its id.
    pub(super) fn session(&self) -> SessionId {
        self.row.id
    }

    /// Whose it is.
    pub(super) fn guardian(&self) -> GuardianId {
        self.row.guardian
    }

    /// What the phone gets.
    pub(super) fn signed_in(&self, app: &App, guardian_name: String, creditor: CreditorView) -> SignedIn {
        SignedIn {
            tokens: tokens(app, &self.identity, &self.refresh, self.row.created_at),
            guardian: self.identity.guardian,
            guardian_name,
            creditor,
        }
    }
}

/// What a parent calls a device, as far as it is kept.
pub(super) fn device_name_of(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The hash of a new password.
pub(super) async fn hash<R: std::fmt::Debug>(
    app: &App,
    password: &NewPassword,
    busy: impl FnOnce(i64) -> R,
) -> Result<String, Stop<R>> {
    hash_text(app, password.as_str(), busy).await
}

/// The hash of another secret of theirs.
pub(super) async fn hash_text<R: std::fmt::Debug>(
    app: &App,
    secret: &str,
    busy: impl FnOnce(i64) -> R,
) -> Result<String, Stop<R>> {
    match app.passwords.hash(secret.to_owned(), random()?).await {
        Ok(hash) => Ok(hash),
        Err(PasswordError::Busy) => Err(Stop::Refused(busy(1_000))),
        Err(PasswordError::Unusable) => Err(Fault::BadData("a password hash").into()),
    }
}

/// Whether `password` is the one behind `stored`.
pub(super) async fn check<R: std::fmt::Debug>(
    app: &App,
    (password, stored): (&str, Option<&String>),
    busy: impl FnOnce(i64) -> R,
) -> Result<bool, Stop<R>> {
    match app.passwords.check(password.to_owned(), stored.cloned()).await {
        Ok(right) => Ok(right),
        Err(PasswordError::Busy) => Err(Stop::Refused(busy(1_000))),
        Err(PasswordError::Unusable) => Err(Fault::BadData("a password hash").into()),
    }
}

fn tokens(app: &App, identity: &Identity, refresh: &RefreshToken, now: Millis) -> Tokens {
    let access_expires = now.plus(ACCESS_MILLIS);
    Tokens { access: issue_access(&app.keys, identity, access_expires), access_expires, refresh: refresh.encode() }
}

/// What counts as one address: all of IPv4's, the first 64 bits of IPv6's (the rest is the caller's to choose).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

/// How many milliseconds this try has to wait, given the row that counts it and those before: 1 s after the last free
/// one, twice as long each further time.
fn delay(row: FailureRow, free: i64, longest: i64, now: Millis) -> i64 {
    let since = now.get().saturating_sub(row.last_at_ms);
    let over = row.failures.saturating_sub(1).saturating_sub(free);
    if over < 0 {
        return 0;
    }
    let full = 1_000i64.checked_shl(u32::try_from(over.min(20)).unwrap_or(20)).unwrap_or(longest);
    full.min(longest).saturating_sub(since.max(0)).max(0)
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
                if let Err(refusal) = standing(Some(&session), now) {
                    return Ok(Err(refusal));
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
                tx.forget_push(&code, id).await?;
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

/// Whether a session may be used at `now`, and if not, what its phone is told.
///
/// # Errors
/// [`SessionRefusal`].
pub fn standing(session: Option<&SessionRow>, now: Millis) -> Result<(), SessionRefusal> {
    match session {
        Some(session) if goes_on(session, now) => Ok(()),
        Some(session) if session.wipe == 1 => Err(SessionRefusal::Wiped),
        _ => Err(SessionRefusal::Ended),
    }
}

fn goes_on(session: &SessionRow, now: Millis) -> bool {
    let unused = now.get().saturating_sub(session.last_used_at_ms);
    session.ended_at_ms.is_none() && session.disabled_at_ms.is_none() && unused < REFRESH_MILLIS
}

/// Goes on with a browser's visit: says that it is used, so that it stands among the devices as what it is.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn go_on(app: &App, who: Identity) -> Result<(), Stop<SessionRefusal>> {
    let now = app.now();
    let used = app.store.write("go on with a visit", move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(tx.use_session(&who.creditor, who.session, now).await?))
        })
    });
    used.await?.map_err(Stop::Refused)
}

/// Ends the session of `who`, and its pushes.
///
/// # Errors
/// [`Fault`].
pub async fn sign_out(app: &App, who: Identity) -> Result<(), Fault> {
    let now = app.now();
    let ended = app.store.write::<(), (), _>("end a session", move |tx| {
        Box::pin(async move {
            tx.end_session(&who.creditor, who.session, now).await?;
            Ok(Ok(tx.forget_push(&who.creditor, who.session).await?))
        })
    });
    let _committed = ended.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows() {
        let wait = |earlier, now| {
            let row = FailureRow { failures: earlier + 1, last_at_ms: 0 };
            delay(row, 3, MAX_DELAY_MILLIS, Millis::new(now))
        };
        assert_eq!(wait(0, 0), 0);
        assert_eq!(wait(2, 0), 0);
        assert_eq!(wait(3, 0), 1_000);
        assert_eq!(wait(5, 1_500), 2_500);
        assert_eq!(wait(5, 4_000), 0);
        assert_eq!(wait(i64::MAX - 1, 0), MAX_DELAY_MILLIS);
        assert_eq!(wait(5, -1), 4_000, "a clock set back does not lock anybody out longer");
    }

    #[test]
    fn an_address_is_a_network() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    }
}
