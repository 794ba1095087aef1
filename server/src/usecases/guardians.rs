//! What the office does about adults: add one, give them a code, end their access and give it back. Each act carries a reason
//! and a name, and is kept for good.

use borsellino_domain::account::{MOST_TRIES, OFFICE_CODE_MILLIS, OfficeCode};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{AccountHolderRow, NewGuardian};
use borsellino_store::{Store, StoreError, Tx};
use uuid::Uuid;

use super::Stop;
use super::accounts::code_digest;
use super::office::{Act, OfficeRefusal, check};
use super::post::{Event, Kind, lay_event, lay_farewell, seal};
use crate::auth::keys::Keys;
use crate::clock::random;
use crate::mail::Address;

/// An adult to be added.
#[derive(Clone)]
pub struct NewAdult {
    /// Their id.
    pub id: GuardianId,
    /// Their name.
    pub full_name: String,
    /// Their codice fiscale.
    pub fiscal_code: PersonalCode,
    /// Where letters go, if known.
    pub email: Option<String>,
    /// Of the children they see.
    pub children: Vec<PersonalCode>,
}

/// A code as it was given: it is shown once, and known to nobody afterwards.
#[derive(Clone)]
pub struct Given {
    /// To whom.
    pub full_name: String,
    /// The code.
    pub code: OfficeCode,
    /// Until when it is good.
    pub expires: Millis,
}

/// The user name of one who has not registered: nothing that can be typed as one, and nobody else's.
fn nameless(guardian: GuardianId) -> String {
    format!("({guardian})")
}

/// A guardian by user name or codice fiscale.
async fn find(tx: &mut Tx, creditor: &CreditorCode, who: &str) -> Result<Option<AccountHolderRow>, StoreError> {
    // A codice fiscale is nothing else, whatever somebody may be called.
    if let Ok(code) = PersonalCode::parse(who.trim()) {
        return tx.holder_by_code(creditor, code.as_str()).await;
    }
    match tx.guardian_by_username(creditor, &who.trim().to_lowercase()).await? {
        Some(guardian) => tx.holder(creditor, guardian.id).await,
        None => Ok(None),
    }
}

/// Adds an adult, who may register as soon as they have a code.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn add(store: &Store, by: Act, adult: NewAdult) -> Result<(), Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("add an adult", move |tx| {
        let (by, adult) = (by.clone(), adult.clone());
        Box::pin(async move {
            let code = by.creditor();
            if let Some(known) = tx.holder_by_code(&code, adult.fiscal_code.as_str()).await? {
                // A run whose commit was lost.
                return Ok(if known.id == adult.id { Ok(()) } else { Err(OfficeRefusal::Known) });
            }
            let row = NewGuardian {
                id: adult.id,
                username: nameless(adult.id),
                full_name: adult.full_name,
                fiscal_code: adult.fiscal_code.as_str().to_owned(),
                email: adult.email,
                password_hash: String::new(),
            };
            tx.insert_guardian(&code, &row).await?;
            for (place, child) in (1..).zip(&adult.children) {
                let Some(child) = tx.child_by_code(&code, child.as_str()).await? else {
                    return Ok(Err(OfficeRefusal::NoChildOf(place)));
                };
                tx.link_child(&code, adult.id, child.id.uuid()).await?;
            }
            by.keep(tx, (OfficeAction::GuardianAdded, &adult.id.to_string()), None).await?;
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Gives an adult a code, in place of the one before: for thirty days, once, and for nobody else.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn give_code(store: &Store, by: Act, who: String) -> Result<Given, Stop<OfficeRefusal>> {
    check(&by)?;
    let code = OfficeCode::issue(random()?);
    let expires = by.at().plus(OFFICE_CODE_MILLIS);
    let written = store.write("give a code", move |tx| {
        let (by, who) = (by.clone(), who.clone());
        Box::pin(async move {
            let creditor = by.creditor();
            let Some(holder) = find(tx, &creditor, &who).await? else { return Ok(Err(OfficeRefusal::NoAdult)) };
            if holder.disabled_at_ms.is_some() {
                return Ok(Err(OfficeRefusal::AccessEnded));
            }
            let digest = code_digest(&creditor, holder.id, &code);
            tx.put_office_code(&creditor, (holder.id, digest), (by.at(), expires)).await?;
            by.keep(tx, (OfficeAction::CodeIssued, &holder.id.to_string()), None).await?;
            Ok(Ok(holder.full_name))
        })
    });
    let full_name = written.await?.map_err(Stop::Refused)?;
    Ok(Given { full_name, code, expires })
}

/// The codici fiscali of adults who have neither an account nor a code that is good at `now`.
///
/// # Errors
/// A [`super::Fault`].
pub async fn unregistered(store: &Store, creditor: CreditorCode, now: Millis) -> Result<Vec<String>, super::Fault> {
    let read = store.read(move |tx| Box::pin(async move { tx.unregistered(&creditor, (now, MOST_TRIES)).await }));
    Ok(read.await?.into_iter().map(|row| row.fiscal_code).collect())
}

/// What the office changes about somebody's access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// They see and do nothing more, from this moment on.
    End,
    /// What was ended is as it was, and they sign in anew.
    Restore,
    /// User name and password are taken away: they register anew, with a new code.
    Reset,
    /// Their secret question is taken away: they forgot the answer.
    ForgetQuestion,
}

/// Changes somebody's access. What ends it ends every session, code and recovery with it.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn change(store: &Store, by: Act, (who, change): (String, Change)) -> Result<String, Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("change an access", move |tx| {
        let (by, who, change) = (by.clone(), who.clone(), change.clone());
        Box::pin(async move {
            let creditor = by.creditor();
            let Some(holder) = find(tx, &creditor, &who).await? else { return Ok(Err(OfficeRefusal::NoAdult)) };
            let action = match &change {
                Change::End => {
                    tx.disable_guardian(&creditor, holder.id, by.at()).await?;
                    lay_event(tx, &creditor, (holder.id, Event::AccessEnded, by.id()), by.at()).await?;
                    close(tx, &creditor, holder.id, by.at()).await?;
                    OfficeAction::AccessEnded
                }
                Change::Restore => {
                    tx.enable_guardian(&creditor, holder.id).await?;
                    OfficeAction::AccessRestored
                }
                Change::Reset => {
                    tx.reset_credentials(&creditor, holder.id, &nameless(holder.id)).await?;
                    tx.put_secret_question(&creditor, holder.id, None).await?;
                    close(tx, &creditor, holder.id, by.at()).await?;
                    OfficeAction::AccessReset
                }
                Change::ForgetQuestion => {
                    tx.put_secret_question(&creditor, holder.id, None).await?;
                    OfficeAction::QuestionForgotten
                }
            };
            by.keep(tx, (action, &holder.id.to_string()), None).await?;
            Ok(Ok(holder.full_name))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Has letters go to another address, or with `None` nowhere. Both the old and the new address are told; a mark that nobody is
/// there goes with the old one.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn change_email(
    store: &Store,
    keys: &Keys,
    by: Act,
    (who, email): (String, Option<String>),
) -> Result<String, Stop<OfficeRefusal>> {
    check(&by)?;
    let creditor = by.creditor();
    // What is sealed is made outside: what is read now must still be so when it is written.
    for _ in 0..2 {
        let name = who.clone();
        let read = store.read(move |tx| Box::pin(async move { find(tx, &creditor, &name).await }));
        let Some(holder) = read.await? else { return Err(Stop::Refused(OfficeRefusal::NoAdult)) };
        let old = holder.email.clone().filter(|old| Some(old) != email.as_ref());
        let old = match old.as_deref().map(Address::parse) {
            Some(Ok(old)) => Some(seal(keys, &old)?),
            _ => None,
        };
        let (by, email, was) = (by.clone(), email.clone(), holder.email.clone());
        let written = store.write::<_, (), _>("change an address", move |tx| {
            let (by, email, was, old) = (by.clone(), email.clone(), was.clone(), old.clone());
            Box::pin(async move {
                tx.hold_guardian(&creditor, holder.id).await?;
                let now = tx.holder(&creditor, holder.id).await?;
                let again = tx.action(&creditor, by.id()).await?.is_some();
                if !again && now.is_none_or(|now| now.email != was) {
                    return Ok(Ok(false));
                }
                let bounced = tx.mail_target(&creditor, holder.id, Kind::Account.code()).await?;
                let bounced = bounced.is_none_or(|row| row.email_bounced_at_ms.is_some());
                tx.set_email(&creditor, holder.id, (email.as_deref(), by.at())).await?;
                // A letter that is under way to the old address must not open anything.
                tx.end_recoveries(&creditor, (holder.id, Uuid::nil()), by.at()).await?;
                if let Some(old) = old.filter(|_| !bounced) {
                    lay_farewell(tx, &creditor, (holder.id, by.id()), old, by.at()).await?;
                }
                if email.is_some() && email != was {
                    lay_event(tx, &creditor, (holder.id, Event::EmailHere, by.id()), by.at()).await?;
                }
                by.keep(tx, (OfficeAction::EmailChanged, &holder.id.to_string()), None).await?;
                Ok(Ok(true))
            })
        });
        if written.await?.unwrap_or_default() {
            return Ok(holder.full_name);
        }
    }
    Err(Stop::Fault(super::Fault::Store(StoreError::Conflict)))
}

/// Ends whatever is open for a guardian.
async fn close(tx: &mut Tx, creditor: &CreditorCode, guardian: GuardianId, at: Millis) -> Result<(), StoreError> {
    let none = SessionId::from(Uuid::nil());
    tx.end_sessions_but(creditor, (guardian, none), at).await?;
    tx.forget_push_but(creditor, (guardian, none)).await?;
    tx.drop_office_code(creditor, guardian).await?;
    tx.end_recoveries(creditor, (guardian, Uuid::nil()), at).await
}

/// Changes where an adult lives, as printed on their notices; `None` takes it away. Answers their name.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn change_address(
    store: &Store,
    by: Act,
    (who, address): (String, Option<String>),
) -> Result<String, Stop<OfficeRefusal>> {
    check(&by)?;
    let creditor = by.creditor();
    let written = store.write("change where an adult lives", move |tx| {
        let (by, who, address) = (by.clone(), who.clone(), address.clone());
        Box::pin(async move {
            let Some(holder) = find(tx, &creditor, &who).await? else { return Ok(Err(OfficeRefusal::NoAdult)) };
            if by.keep(tx, (OfficeAction::AddressChanged, &holder.id.to_string()), None).await? {
                tx.set_address(&creditor, holder.id, address.as_deref()).await?;
            }
            Ok(Ok(holder.full_name))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Changes what the kitchen is told of a child, which its parents see; `None` takes it away. Answers the child's first name.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn change_diet(
    store: &Store,
    by: Act,
    (code, diet): (String, Option<String>),
) -> Result<String, Stop<OfficeRefusal>> {
    check(&by)?;
    let creditor = by.creditor();
    let written = store.write("change what the kitchen is told", move |tx| {
        let (by, code, diet) = (by.clone(), code.clone(), diet.clone());
        Box::pin(async move {
            let Some(child) = tx.child_by_code(&creditor, &code).await? else {
                return Ok(Err(OfficeRefusal::NoSuchChild));
            };
            if by.keep(tx, (OfficeAction::DietChanged, &child.id.to_string()), None).await? {
                tx.set_diet(&creditor, child.id, diet.as_deref()).await?;
            }
            Ok(Ok(child.given_name))
        })
    });
    written.await?.map_err(Stop::Refused)
}
