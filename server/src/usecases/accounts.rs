//! How an adult whom the office knows gets an account, and changes its password.
//!
//! Only somebody who holds the code that the office gave to exactly this adult gets in: nobody sees a child because they know
//! a codice fiscale. Who has no code, a wrong one, or somebody else's gets one and the same answer.

use std::fmt;
use std::net::IpAddr;

use borsellino_domain::account::{MOST_TRIES, NewPassword, OfficeCode, PasswordRule, Username};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{AccountHolderRow, OfficeCodeRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::post::{Event, lay_event};
use super::sessions::{Opening, SessionRefusal, SignedIn, Tries, account_key, address_key, check, hash, standing};
use super::{App, Stop};
use crate::auth::token::Identity;

/// Why no account is had, or no password changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusal {
    /// The caller's own session.
    Session(SessionRefusal),
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
    /// Unknown, expired, used, tried too often, or not for this codice fiscale.
    CodeRefused,
    /// There is a password already.
    AlreadyRegistered,
    /// Somebody else's.
    UsernameTaken,
    /// The new password breaks a rule.
    Password(PasswordRule),
    /// The old password is wrong.
    WrongPassword,
}

impl From<PasswordRule> for AccountRefusal {
    fn from(rule: PasswordRule) -> Self {
        Self::Password(rule)
    }
}

/// What somebody who registers brings.
#[derive(Clone)]
pub struct Registration {
    /// 11 digits.
    pub creditor: String,
    /// Their codice fiscale.
    pub fiscal_code: PersonalCode,
    /// From the office.
    pub office_code: OfficeCode,
    /// Of their choice.
    pub username: Username,
    /// Of their choice, as typed.
    pub password: String,
    /// What they call the device.
    pub device_name: String,
    /// Where the call comes from, as far as it can be believed.
    pub address: Option<IpAddr>,
    /// What their phone speaks.
    pub language: Language,
}

/// What it holds is secret or personal.
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}

/// What the database knows of a code of the office: whoever reads it there can't use it, nor for another guardian.
pub(super) fn code_digest(creditor: &CreditorCode, guardian: GuardianId, code: &OfficeCode) -> Hash {
    let whose = [creditor.as_str().as_bytes(), guardian.uuid().as_bytes()].concat();
    Hash::of(&[b"borsellino.office-code.v1".as_slice(), &whose, code.as_str().as_bytes()].concat())
}

/// Whether a code may still be used at `now`.
pub(super) fn is_good(code: &OfficeCodeRow, digest: Hash, now: Millis) -> bool {
    code.digest == digest && code.used_at_ms.is_none() && code.expires_at_ms > now && code.tries < MOST_TRIES
}

/// The words that are somebody's own and make no password.
pub(super) fn own(holder: &AccountHolderRow) -> [&str; 3] {
    [&holder.username, &holder.full_name, &holder.fiscal_code]
}

/// What became of a code.
enum Presented {
    Refused,
    /// It is good, and there is no account yet.
    Good(AccountHolderRow),
    /// It is good, and there is one.
    Registered,
    /// It was used for the account that there is.
    Used(AccountHolderRow),
}

async fn present(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (fiscal_code, code): (&PersonalCode, &OfficeCode),
    now: Millis,
) -> Result<Presented, StoreError> {
    let Some(holder) = tx.holder_by_code(creditor, fiscal_code.as_str()).await? else { return Ok(Presented::Refused) };
    let stored = tx.office_code(creditor, holder.id).await?;
    let digest = code_digest(creditor, holder.id, code);
    match stored {
        _ if holder.disabled_at_ms.is_some() => Ok(Presented::Refused),
        Some(stored) if is_good(&stored, digest, now) => Ok(match holder.password_hash {
            None => Presented::Good(holder),
            Some(_) => Presented::Registered,
        }),
        Some(stored) if stored.digest == digest && stored.used_at_ms.is_some() => Ok(Presented::Used(holder)),
        _ => {
            tx.count_office_code(creditor, holder.id).await?;
            Ok(Presented::Refused)
        }
    }
}

/// What a parent is shown of their account. The rest is the office's.
#[derive(Clone, PartialEq, Eq)]
pub struct ProfileView {
    /// Their name.
    pub full_name: String,
    /// What they sign in with; empty for one who has not registered and came with a digital identity.
    pub username: String,
    /// The first letter of their e-mail address, and its host, if the office knows one.
    pub email: Option<String>,
}

/// What it holds is personal.
impl fmt::Debug for ProfileView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileView")
    }
}

/// The first letter of an address, and where it leads: enough to recognise one's own, too little to write to.
fn masked(address: &str) -> String {
    let (name, host) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = name.chars().take(1).collect();
    if host.is_empty() { format!("{first}…") } else { format!("{first}…@{host}") }
}

/// What `who` is shown of their account.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn profile(app: &App, who: Identity) -> Result<ProfileView, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let holder = tx.holder(&who.creditor, who.guardian).await?;
            Ok(Ok(holder.ok_or(StoreError::Corrupt("a session's guardian"))?))
        })
    });
    let holder = read.await?.map_err(Stop::Refused)?;
    let email = holder.email.as_deref().map(masked);
    let username = holder.password_hash.map(|_| holder.username).unwrap_or_default();
    Ok(ProfileView { full_name: holder.full_name, username, email })
}

/// What came of writing an account.
enum Written {
    Done,
    /// The same was asked twice at once, and the other one was first: look again.
    Overtaken,
}

/// Opens an account and signs in. The same again, because the answer was lost, signs in again. Answers the user name, too.
///
/// # Errors
/// [`AccountRefusal`], or a [`super::Fault`].
pub async fn register(app: &App, wish: Registration) -> Result<(SignedIn, String), Stop<AccountRefusal>> {
    let refused = |refusal| Stop::Refused(refusal);
    // Before the code is looked at: a password that won't do costs no try.
    let words = [wish.username.as_str(), wish.fiscal_code.as_str()];
    let password = NewPassword::parse(&wish.password, &words).map_err(|rule| refused(rule.into()))?;
    // Once more, where the same came twice at once and the other one wrote first.
    for _ in 0..2 {
        if let Some(registered) = register_once(app, &wish, &password).await? {
            return Ok(registered);
        }
    }
    Err(refused(AccountRefusal::CodeRefused))
}

async fn register_once(
    app: &App,
    wish: &Registration,
    password: &NewPassword,
) -> Result<Option<(SignedIn, String)>, Stop<AccountRefusal>> {
    let refused = |refusal| Stop::Refused(refusal);
    let listing = app.directory.listing();
    let creditor = listing.creditor(wish.creditor.trim()).ok_or(refused(AccountRefusal::CodeRefused))?;
    let code = creditor.fiscal_code;
    let who = Hash::of(format!("register|{}", wish.fiscal_code.as_str()).as_bytes());
    let address = wish.address.map(address_key);
    let tries = Tries::new(who, address);
    let now = app.now();

    let presenting = wish.clone();
    let presented = app.store.write("present a code", move |tx| {
        let (wish, tries) = (presenting.clone(), tries.clone());
        Box::pin(async move {
            if let Some(wait) = tries.count(tx, &code, now).await? {
                return Ok(Err(AccountRefusal::TryLater(wait)));
            }
            // Kept whatever comes of it: a wrong code is counted.
            present(tx, &code, (&wish.fiscal_code, &wish.office_code), now).await.map(Ok)
        })
    });
    match presented.await?.map_err(Stop::Refused)? {
        Presented::Refused => Err(refused(AccountRefusal::CodeRefused)),
        Presented::Registered => Err(refused(AccountRefusal::AlreadyRegistered)),
        Presented::Used(holder) => {
            let same = holder.username == wish.username.as_str();
            let stored = holder.password_hash.clone().unwrap_or_default();
            let right = check(app, (&wish.password, holder.password_hash.as_ref()), AccountRefusal::TryLater).await?;
            if !(same && right) {
                return Err(refused(AccountRefusal::CodeRefused));
            }
            let opening = Opening::new(app, (code, holder.id), (&wish.device_name, Some(wish.language)))?;
            let opened = opening.clone();
            let written = app.store.write("open a session", move |tx| {
                let (opening, stored) = (opened.clone(), stored.clone());
                Box::pin(async move {
                    if !tx.hold_account(&code, opening.guardian(), &stored).await? {
                        return Ok(Err(AccountRefusal::CodeRefused));
                    }
                    opening.write(tx).await?;
                    forgive(tx, &code, (who, address)).await.map(Ok)
                })
            });
            written.await?.map_err(Stop::Refused)?;
            Ok(Some((opening.signed_in(app, holder.full_name, creditor.into()), holder.username)))
        }
        Presented::Good(holder) => {
            let words = [wish.username.as_str(), &holder.full_name, &holder.fiscal_code];
            NewPassword::parse(&wish.password, &words).map_err(|rule| refused(rule.into()))?;
            let hash = hash(app, password, AccountRefusal::TryLater).await?;
            let opening = Opening::new(app, (code, holder.id), (&wish.device_name, Some(wish.language)))?;
            let username = wish.username.as_str().to_owned();
            let digest = code_digest(&code, holder.id, &wish.office_code);
            let (opened, name) = (opening.clone(), username.clone());
            let registered = app.store.write("register a guardian", move |tx| {
                let (opening, name, hash) = (opened.clone(), name.clone(), hash.clone());
                Box::pin(async move {
                    let written = open(tx, &code, (&opening, digest), (&name, &hash), now).await?;
                    if matches!(written, Ok(Written::Done)) {
                        forgive(tx, &code, (who, address)).await?;
                    }
                    Ok(written)
                })
            });
            match registered.await?.map_err(Stop::Refused)? {
                Written::Done => Ok(Some((opening.signed_in(app, holder.full_name, creditor.into()), username))),
                Written::Overtaken => Ok(None),
            }
        }
    }
}

/// Uses the code up and writes the account and its first session.
async fn open(
    tx: &mut Tx,
    code: &CreditorCode,
    (opening, digest): (&Opening, Hash),
    (name, hash): (&str, &str),
    now: Millis,
) -> Result<Result<Written, AccountRefusal>, StoreError> {
    if tx.session(code, opening.session()).await?.is_some() {
        // A run whose commit was lost.
        return Ok(Ok(Written::Done));
    }
    let guardian = opening.guardian();
    match tx.guardian_by_username(code, name).await? {
        Some(named) if named.id == guardian => return Ok(Ok(Written::Overtaken)),
        Some(_) => return Ok(Err(AccountRefusal::UsernameTaken)),
        None => {}
    }
    // Somebody else's address as a name would keep them from signing in with it.
    if name.contains('@') && !tx.holders_by_email(code, name).await?.iter().all(|holder| holder.id == guardian) {
        return Ok(Err(AccountRefusal::UsernameTaken));
    }
    if !tx.use_office_code(code, (guardian, digest), (now, MOST_TRIES)).await? {
        return Ok(Ok(Written::Overtaken));
    }
    match tx.set_credentials(code, guardian, (name, hash)).await {
        Ok(true) => {}
        Ok(false) => return Ok(Err(AccountRefusal::AlreadyRegistered)),
        // Somebody else took the name at the same moment: decide again, knowing that.
        Err(error) if error.is_taken() => return Err(StoreError::Conflict),
        Err(error) => return Err(error),
    }
    opening.write(tx).await?;
    lay_event(tx, code, (guardian, Event::Registered, opening.session().uuid()), now).await?;
    Ok(Ok(Written::Done))
}

/// What was tried before does not count any more.
async fn forgive(tx: &mut Tx, creditor: &CreditorCode, (who, address): (Hash, Option<Hash>)) -> Result<(), StoreError> {
    tx.clear_sign_ins(creditor, who).await?;
    match address {
        Some(address) => tx.uncount_sign_in(creditor, address).await,
        None => Ok(()),
    }
}

/// Changes the password of `who` and ends their other sessions.
///
/// # Errors
/// [`AccountRefusal`], or a [`super::Fault`].
pub async fn change_password(
    app: &App,
    who: Identity,
    (old, new): (String, String),
) -> Result<(), Stop<AccountRefusal>> {
    let (now, code) = (app.now(), who.creditor);
    let wished = new.clone();
    let read = app.store.write("count a change of password", move |tx| {
        let wished = wished.clone();
        Box::pin(async move {
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(AccountRefusal::Session(refusal)));
            }
            let holder = tx.holder(&code, who.guardian).await?.ok_or(StoreError::Corrupt("a session's guardian"))?;
            // A new password that won't do costs no try.
            let password = match NewPassword::parse(&wished, &own(&holder)) {
                Ok(password) => password,
                Err(rule) => return Ok(Err(rule.into())),
            };
            // Guesses on a phone that was left lying about count with those at the door.
            match Tries::new(account_key(&holder.username), None).count(tx, &code, now).await? {
                Some(wait) => Ok(Err(AccountRefusal::TryLater(wait))),
                None => Ok(Ok((holder, password))),
            }
        })
    });
    let (holder, password) = read.await?.map_err(Stop::Refused)?;
    let stored = holder.password_hash.as_ref();
    let right = check(app, (&old, stored), AccountRefusal::TryLater).await?;
    // The same again, because the answer was lost: done already, but for what it was counted.
    let again = !right && check(app, (&new, stored), AccountRefusal::TryLater).await?;
    if !right && !again {
        return Err(Stop::Refused(AccountRefusal::WrongPassword));
    }
    let hash = if again { None } else { Some(hash(app, &password, AccountRefusal::TryLater).await?) };
    let (account, checked) = (account_key(&holder.username), holder.password_hash.unwrap_or_default());
    let changed = app.store.write("change a password", move |tx| {
        let (hash, checked) = (hash.clone(), checked.clone());
        Box::pin(async move {
            // Looking at passwords takes a while: the session may have ended, the password be another, meanwhile.
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(AccountRefusal::Session(refusal)));
            }
            if let Some(hash) = hash {
                if !tx.hold_account(&code, who.guardian, &checked).await? {
                    return Ok(Err(AccountRefusal::WrongPassword));
                }
                tx.set_password(&code, who.guardian, &hash).await?;
                tx.end_sessions_but(&code, (who.guardian, who.session), now).await?;
                tx.forget_push_but(&code, (who.guardian, who.session)).await?;
                tx.end_recoveries(&code, (who.guardian, Uuid::nil()), now).await?;
                lay_event(tx, &code, (who.guardian, Event::PasswordChanged, who.session.uuid()), now).await?;
            }
            Ok(Ok(tx.clear_sign_ins(&code, account).await?))
        })
    });
    changed.await?.map_err(Stop::Refused)?;
    // The streams of the others end now, not at the next look around.
    app.live.wake(code, &[who.guardian.uuid()]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_first_letter_and_its_host() {
        for (address, shown) in [
            ("maria@famiglia.example", "m…@famiglia.example"),
            ("\"a@b\"@famiglia.example", "\"…@famiglia.example"),
            ("èva@famiglia.example", "è…@famiglia.example"),
            ("no address", "n…"),
            ("@", "…"),
            ("", "…"),
        ] {
            assert_eq!(masked(address), shown);
        }
    }
}
