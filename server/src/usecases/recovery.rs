//! A forgotten password: asked for, proved in two different ways, set anew.
//!
//! ```text
//! start --> prove (the office's code | the code in a letter) --> finish
//!       \-> a device that is signed in confirms, or denies --/
//! ```
//!
//! One proof is never enough: a letter can be read by others of the house, a code be found on a desk, a phone lie about. And no
//! answer tells whether there is such an account: for a name that nobody has a recovery is opened as well, which no proof fits.

use std::net::IpAddr;

use borsellino_domain::account::{MOST_TRIES, NewPassword, OfficeCode, PasswordRule, SecretAnswer, SecretQuestion};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{AccountHolderRow, NewDelivery, NewRecovery, ProofKind, RecoveryRow, SecretQuestionRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::accounts::{code_digest, is_good, own};
use super::post::{Event, lay_event};
use super::push::message_id;
use super::sessions::{
    Opening, SessionRefusal, SignedIn, Tries, account_key, address_key, called, check, device_name_of, hash, standing,
};
use super::{App, Stop};
use crate::auth::token::{Identity, REFRESH_MILLIS, RecoveryToken};
use crate::clock::random;
use crate::notify::Kind;

/// How long a recovery can be finished, in milliseconds: long enough to go to the office.
const LASTS_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// How many recoveries of one account may be under way; another one ends the oldest.
const MOST_OPEN: usize = 5;

/// How many are read at once: more than there can be.
const MOST_LISTED: i64 = 10;

/// How many different proofs are wanted.
pub const PROOFS: usize = 2;

/// After how many days a recovery is forgotten altogether.
const FORGOTTEN_DAYS: i64 = 30;

/// Why a recovery does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryRefusal {
    /// The caller's own session.
    Session(SessionRefusal),
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
    /// A wrong proof.
    Wrong,
    /// Expired, denied, tried too often, or none at all.
    Ended,
    /// Another proof, of another kind, is wanted.
    Incomplete,
    /// The new password breaks a rule.
    Password(PasswordRule),
    /// The answer to the secret question is wanted too, which is asked on the portal.
    Question,
    /// It is wrong.
    WrongAnswer,
}

/// A recovery that was opened.
#[derive(Clone, Debug)]
pub struct Started {
    /// For the other steps.
    pub token: String,
    /// Until when it can be finished.
    pub expires: Millis,
    /// Two digits for the device that confirms.
    pub number: String,
}

/// Who says they forgot their password.
#[derive(Clone)]
pub struct Forgetful {
    /// 11 digits.
    pub creditor: String,
    /// User name, codice fiscale, or an e-mail address that no other account has.
    pub who: String,
    /// What they call the device.
    pub device_name: String,
    /// In which language the letter is written.
    pub language: Language,
    /// Where the call comes from, as far as it can be believed.
    pub address: Option<IpAddr>,
}

/// What somebody brings to prove that an account is theirs.
#[derive(Clone, Copy)]
pub enum Proving {
    /// A code of the office.
    Office(OfficeCode),
    /// The digest of what they typed as the code in the letter.
    Email(Hash),
}

/// What the database knows of the code in a letter.
pub(super) fn letter_digest(id: Uuid, code: &str) -> Hash {
    Hash::of(&[b"borsellino.letter-code.v1".as_slice(), id.as_bytes(), code.as_bytes()].concat())
}

impl Proving {
    /// The code in a letter, as typed: blanks and hyphens do not matter.
    ///
    /// # Errors
    /// [`RecoveryRefusal::Ended`] where the token is none.
    pub fn email(token: &str, typed: &str) -> Result<Self, RecoveryRefusal> {
        let token = RecoveryToken::decode(token).map_err(|_| RecoveryRefusal::Ended)?;
        let code: String = typed.chars().filter(char::is_ascii_digit).collect();
        Ok(Self::Email(letter_digest(token.id, &code)))
    }
}

/// Opens a recovery: for the account of that name, or for none.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn start(app: &App, asks: Forgetful) -> Result<Started, Stop<RecoveryRefusal>> {
    let listing = app.directory.listing();
    // Creditors' codes are public: there is nothing to hide.
    let creditor = listing.creditor(asks.creditor.trim()).ok_or(Stop::Refused(RecoveryRefusal::Ended))?.fiscal_code;
    let username = asks.who.trim().to_lowercase();
    let possible = (1..=254).contains(&username.len()) && !username.contains(char::is_control);
    let fiscal_code = PersonalCode::parse(asks.who.trim()).ok();
    let now = app.now();
    let token = RecoveryToken::new(creditor, app.new_id()?, random()?);
    let number = format!("{:02}", two_digits()?);
    let row = NewRecovery {
        id: token.id,
        guardian: None,
        digest: token.digest(),
        device_name: device_name_of(&asks.device_name),
        number: number.clone(),
        language: asks.language.tag(),
        asked_at: now,
        expires_at: now.plus(LASTS_MILLIS),
        letter: false,
    };
    // Beside the sign-ins from there, which it is not to slow down.
    let address = asks.address.map(|address| Hash::of(format!("recover|{}", address_key(address)).as_bytes()));
    let expires = row.expires_at;
    let started = app.store.write("open a recovery", move |tx| {
        let (mut row, username) = (row.clone(), username.clone());
        let fiscal_code = fiscal_code.clone();
        Box::pin(async move {
            let holder = match possible {
                true => find(tx, &creditor, (&username, fiscal_code.as_ref())).await?,
                false => None,
            };
            // One count, by whichever name somebody is called.
            let who = holder.as_ref().map_or(username, |holder| holder.id.to_string());
            let tries = Tries::new(Hash::of(format!("recover|{who}").as_bytes()), address);
            if let Some(wait) = tries.count(tx, &creditor, now).await? {
                return Ok(Err(RecoveryRefusal::TryLater(wait)));
            }
            if let Some(holder) = &holder {
                row.letter = holder.email.is_some();
                row.guardian = Some(holder.id);
                let open = tx.recoveries(&creditor, holder.id, (now, MOST_LISTED, MOST_TRIES)).await?;
                for oldest in open.iter().skip(MOST_OPEN.saturating_sub(1)) {
                    tx.end_recovery(&creditor, oldest.id, now).await?;
                }
            }
            tx.insert_recovery(&creditor, &row).await?;
            if let Some(holder) = &holder {
                tell(tx, &creditor, (holder.id, row.id), now).await?;
            }
            tx.sweep_recoveries(&creditor, uuid_v7(now.plus_days(-FORGOTTEN_DAYS), [0; 10])).await?;
            Ok(Ok(()))
        })
    });
    started.await?.map_err(Stop::Refused)?;
    Ok(Started { token: token.encode(), expires, number })
}

fn two_digits() -> Result<u32, crate::clock::NoRandomness> {
    Ok(u32::from_be_bytes(random()?) % 100)
}

/// The account that is meant, if it can be recovered.
async fn find(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (username, fiscal_code): (&str, Option<&PersonalCode>),
) -> Result<Option<AccountHolderRow>, StoreError> {
    // A codice fiscale is nothing else, whatever somebody may be called.
    let holder = match fiscal_code {
        Some(code) => tx.holder_by_code(creditor, code.as_str()).await?,
        None => called(tx, creditor, username).await?,
    };
    Ok(holder.filter(|holder| holder.password_hash.is_some() && holder.disabled_at_ms.is_none()))
}

/// Lays a push ready for each of their devices: whoever did not ask denies it there.
async fn tell(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (guardian, recovery): (GuardianId, Uuid),
    now: Millis,
) -> Result<(), StoreError> {
    for device in tx.told_devices(creditor, guardian, now.plus(-REFRESH_MILLIS)).await? {
        let delivery = NewDelivery {
            id: message_id(recovery, device.session, now),
            session: device.session,
            message: Kind::Account.code(),
            feed_seq: device.feed_seq,
            created_at: now,
            due_at: now,
        };
        tx.insert_delivery(creditor, &delivery).await?;
    }
    Ok(())
}

/// Whether it can still be spoken of. One that was denied answers as one of no account does: that it was denied would tell
/// that there is somebody who could.
fn open(row: &RecoveryRow, now: Millis) -> bool {
    row.finished_at_ms.is_none() && row.expires_at_ms > now
}

/// What was proved by now.
fn proofs(row: &RecoveryRow) -> Vec<ProofKind> {
    if row.ended_at_ms.is_some() {
        return Vec::new();
    }
    let proved = [
        (ProofKind::Office, row.office_at_ms),
        (ProofKind::Email, row.email_at_ms),
        (ProofKind::Device, row.device_at_ms),
    ];
    proved.into_iter().filter(|(_, at)| at.is_some()).map(|(kind, _)| kind).collect()
}

fn decode(token: &str) -> Result<RecoveryToken, Stop<RecoveryRefusal>> {
    RecoveryToken::decode(token).map_err(|_| Stop::Refused(RecoveryRefusal::Ended))
}

/// Brings a proof, or asks only; answers what was proved by now.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn prove(app: &App, token: &str, proof: Option<Proving>) -> Result<Vec<ProofKind>, Stop<RecoveryRefusal>> {
    let (token, now) = (decode(token)?, app.now());
    let (creditor, digest) = (token.creditor, token.digest());
    let proved = app.store.write::<_, (), _>("prove a recovery", move |tx| {
        Box::pin(async move {
            let Some(proof) = proof else {
                let row = tx.recovery(&creditor, token.id).await?.filter(|row| row.digest == digest && open(row, now));
                let alive = row.filter(|row| row.tries < MOST_TRIES);
                return Ok(Ok(alive.as_ref().map(proofs).ok_or(RecoveryRefusal::Ended)));
            };
            // Whose token it is comes first: else anybody who knows the id could use up the tries.
            if tx.recovery(&creditor, token.id).await?.is_none_or(|row| row.digest != digest) {
                return Ok(Ok(Err(RecoveryRefusal::Ended)));
            }
            let tried = tx.try_recovery(&creditor, token.id).await?;
            let Some(mut row) = tried.filter(|row| open(row, now) && row.tries <= MOST_TRIES) else {
                return Ok(Ok(Err(RecoveryRefusal::Ended)));
            };
            let kind = match proof {
                _ if row.ended_at_ms.is_some() => None,
                Proving::Office(code) => by_office(tx, &creditor, (&row, code), now).await?,
                Proving::Email(digest) => {
                    (row.email_digest.as_deref() == Some(&digest.0[..])).then_some(ProofKind::Email)
                }
            };
            // Kept whatever comes of it: the try was counted.
            let Some(kind) = kind else { return Ok(Ok(Err(RecoveryRefusal::Wrong))) };
            tx.prove_recovery(&creditor, (token.id, kind), now).await?;
            let at = match kind {
                ProofKind::Office => &mut row.office_at_ms,
                ProofKind::Email => &mut row.email_at_ms,
                ProofKind::Device => &mut row.device_at_ms,
            };
            at.get_or_insert(now.get());
            Ok(Ok(Ok(proofs(&row))))
        })
    });
    proved.await?.unwrap_or(Err(RecoveryRefusal::Ended)).map_err(Stop::Refused)
}

async fn by_office(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (row, code): (&RecoveryRow, OfficeCode),
    now: Millis,
) -> Result<Option<ProofKind>, StoreError> {
    let Some(guardian) = row.guardian.map(GuardianId::from) else { return Ok(None) };
    let digest = code_digest(creditor, guardian, &code);
    let stored = tx.office_code(creditor, guardian).await?;
    let again = row.office_at_ms.is_some() && stored.as_ref().is_some_and(|stored| stored.digest == digest);
    if again || tx.use_office_code(creditor, (guardian, digest), (now, MOST_TRIES)).await? {
        return Ok(Some(ProofKind::Office));
    }
    if stored.is_some_and(|stored| !is_good(&stored, digest, now)) {
        tx.count_office_code(creditor, guardian).await?;
    }
    Ok(None)
}

/// The secret question that is to be answered, too: only once both proofs are there, else it would tell that there is such an account.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn question(app: &App, token: &str) -> Result<Option<SecretQuestion>, Stop<RecoveryRefusal>> {
    let (token, now) = (decode(token)?, app.now());
    let creditor = token.creditor;
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let row = tx.recovery(&creditor, token.id).await?;
            let row = row.filter(|row| row.digest == token.digest() && open(row, now));
            let Some(row) = row.filter(|row| proofs(row).len() >= PROOFS) else { return Ok(None) };
            asked(tx, &creditor, row.guardian).await
        })
    });
    Ok(read.await?.map(|row| row.question))
}

/// What a guardian is asked, if their creditor has it asked and they have chosen one.
async fn asked(
    tx: &mut Tx,
    creditor: &CreditorCode,
    guardian: Option<Uuid>,
) -> Result<Option<SecretQuestionRow>, StoreError> {
    let Some(guardian) = guardian else { return Ok(None) };
    if !tx.asks_question(creditor).await? {
        return Ok(None);
    }
    tx.secret_question(creditor, guardian.into()).await
}

/// Holds an answer against what is asked. A wrong one counts as a wrong proof does, before it is looked at.
async fn answered(
    app: &App,
    (token, guardian): (&RecoveryToken, GuardianId),
    (asked, answer): (&SecretQuestionRow, Option<&SecretAnswer>),
) -> Result<(), Stop<RecoveryRefusal>> {
    let Some(answer) = answer else { return Err(Stop::Refused(RecoveryRefusal::Question)) };
    let (creditor, id, now, tries) = (token.creditor, token.id, app.now(), answers(guardian));
    let counted = app.store.write("count an answer", move |tx| {
        let tries = tries.clone();
        Box::pin(async move {
            if let Some(wait) = tries.count(tx, &creditor, now).await? {
                return Ok(Err(RecoveryRefusal::TryLater(wait)));
            }
            let tried = tx.try_recovery(&creditor, id).await?;
            Ok(if tried.is_none_or(|row| row.tries > MOST_TRIES) { Err(RecoveryRefusal::Ended) } else { Ok(()) })
        })
    });
    counted.await?.map_err(Stop::Refused)?;
    match check(app, (answer.as_str(), Some(&asked.answer_hash)), RecoveryRefusal::TryLater).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stop::Refused(RecoveryRefusal::WrongAnswer)),
        Err(stop) => {
            // Nobody looked at it: it was no try.
            let given_back = app.store.write::<_, (), _>("give a try back", move |tx| {
                Box::pin(async move { tx.untry_recovery(&creditor, id).await.map(Ok) })
            });
            let _committed = given_back.await?;
            Err(stop)
        }
    }
}

/// Wrong answers of one account, whichever recovery they belong to: a new one brings no new guesses at once.
fn answers(guardian: GuardianId) -> Tries {
    Tries::new(answers_key(guardian), None)
}

fn answers_key(guardian: GuardianId) -> Hash {
    Hash::of(format!("answer|{guardian}").as_bytes())
}

/// In the app nothing can be answered: the recovery ends, and the office's code that was used for it is good again, for the portal.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn leave_to_the_portal(app: &App, token: &str) -> Result<(), Stop<RecoveryRefusal>> {
    let (token, now) = (decode(token)?, app.now());
    let (creditor, id, digest) = (token.creditor, token.id, token.digest());
    let left = app.store.write::<_, (), _>("leave a recovery to the portal", move |tx| {
        Box::pin(async move {
            let row = tx.recovery(&creditor, id).await?;
            let row = row.filter(|row| row.digest == digest && open(row, now) && row.ended_at_ms.is_none());
            if let Some(row) = row {
                tx.end_recovery(&creditor, id, now).await?;
                if let (Some(guardian), Some(used)) = (row.guardian, row.office_at_ms) {
                    tx.give_back_office_code(&creditor, guardian.into(), Millis::new(used)).await?;
                }
            }
            Ok(Ok(()))
        })
    });
    let _committed = left.await?;
    Ok(())
}

/// Sets the new password, ends every session, and signs in. The same again, because the answer was lost, signs in again.
/// Answers the user name, too.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn finish(
    app: &App,
    token: &str,
    (new, answer): (String, Option<SecretAnswer>),
) -> Result<(SignedIn, String), Stop<RecoveryRefusal>> {
    // Once more, where the same came twice at once and the other one wrote first.
    for _ in 0..2 {
        if let Some(finished) = finish_once(app, token, (&new, answer.as_ref())).await? {
            return Ok(finished);
        }
    }
    Err(Stop::Refused(RecoveryRefusal::Ended))
}

async fn finish_once(
    app: &App,
    token: &str,
    (new, answer): (&str, Option<&SecretAnswer>),
) -> Result<Option<(SignedIn, String)>, Stop<RecoveryRefusal>> {
    let refused = |refusal| Stop::Refused(refusal);
    let (token, now) = (decode(token)?, app.now());
    let (creditor, id, digest) = (token.creditor, token.id, token.digest());
    // Whatever can be said without knowing whose account it is.
    let password = NewPassword::parse(new, &[]).map_err(|rule| refused(RecoveryRefusal::Password(rule)))?;
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let row = tx.recovery(&creditor, id).await?.filter(|row| row.digest == digest);
            let Some(row) = row else { return Ok(None) };
            // Before it is proved whose account it is, nobody's is looked at: that would take its time.
            let Some(guardian) = row.guardian.filter(|_| proofs(&row).len() >= PROOFS) else {
                return Ok(Some((row, None, None)));
            };
            let holder = tx.holder(&creditor, guardian.into()).await?;
            let asked = asked(tx, &creditor, Some(guardian)).await?;
            Ok(Some((row, holder, asked)))
        })
    });
    let (row, holder, asked) = read.await?.ok_or(refused(RecoveryRefusal::Ended))?;
    let repeated = row.finished_at_ms.is_some();
    let over = row.expires_at_ms <= now || row.tries >= MOST_TRIES || (repeated && row.ended_at_ms.is_some());
    if over {
        return Err(refused(RecoveryRefusal::Ended));
    }
    if proofs(&row).len() < PROOFS {
        return Err(refused(RecoveryRefusal::Incomplete));
    }
    let holder = holder.filter(|holder| holder.disabled_at_ms.is_none()).ok_or(refused(RecoveryRefusal::Ended))?;
    NewPassword::parse(new, &own(&holder)).map_err(|rule| refused(RecoveryRefusal::Password(rule)))?;
    let view = app.directory.listing().creditor(creditor.as_str()).map(Into::into);
    let view = view.ok_or(refused(RecoveryRefusal::Ended))?;
    if let Some(asked) = asked.as_ref().filter(|_| !repeated) {
        answered(app, (&token, holder.id), (asked, answer)).await?;
    }
    let counted = asked.is_some();
    let opening = Opening::new(app, (creditor, holder.id), (&row.device_name, None))?;
    let stored = holder.password_hash.clone().unwrap_or_default();
    if repeated {
        // No place to guess passwords at: counted before it is looked at.
        let counted = app.store.write::<_, (), _>("count a repeated recovery", move |tx| {
            Box::pin(async move { tx.try_recovery(&creditor, token.id).await.map(Ok) })
        });
        let tried = counted.await?.unwrap_or_default();
        let late = tried.is_none_or(|row| row.tries > MOST_TRIES);
        if late || !check(app, (new, Some(&stored)), RecoveryRefusal::TryLater).await? {
            return Err(refused(RecoveryRefusal::Ended));
        }
    }
    let hash = match repeated {
        true => None,
        false => Some(hash(app, &password, RecoveryRefusal::TryLater).await?),
    };
    let (opened, account) = (opening.clone(), account_key(&holder.username));
    let finished = app.store.write("finish a recovery", move |tx| {
        let (opening, hash, stored) = (opened.clone(), hash.clone(), stored.clone());
        Box::pin(async move {
            if tx.session(&creditor, opening.session()).await?.is_some() {
                // A run whose commit was lost.
                return Ok(Ok(true));
            }
            let guardian = opening.guardian();
            match &hash {
                Some(hash) => {
                    if !tx.finish_recovery(&creditor, token.id, now).await? {
                        return Ok(Ok(false));
                    }
                    if !tx.set_password(&creditor, guardian, hash).await? {
                        return Ok(Err(RecoveryRefusal::Ended));
                    }
                    tx.end_sessions_but(&creditor, (guardian, opening.session()), now).await?;
                    tx.forget_push_but(&creditor, (guardian, opening.session())).await?;
                    tx.end_recoveries(&creditor, (guardian, token.id), now).await?;
                    tx.clear_sign_ins(&creditor, account).await?;
                    if counted {
                        tx.untry_recovery(&creditor, token.id).await?;
                        tx.clear_sign_ins(&creditor, answers_key(guardian)).await?;
                    }
                    lay_event(tx, &creditor, (guardian, Event::PasswordRecovered, token.id), now).await?;
                }
                None => {
                    if !tx.hold_account(&creditor, guardian, &stored).await? {
                        return Ok(Err(RecoveryRefusal::Ended));
                    }
                    tx.untry_recovery(&creditor, token.id).await?;
                }
            }
            opening.write(tx).await?;
            Ok(Ok(true))
        })
    });
    if !finished.await?.map_err(Stop::Refused)? {
        return Ok(None);
    }
    app.live.wake(creditor, &[holder.id.uuid()]);
    Ok(Some((opening.signed_in(app, holder.full_name, view), holder.username)))
}

/// A recovery of one's own account that is under way.
#[derive(Clone, Debug)]
pub struct RecoveryView {
    /// Its id.
    pub id: Uuid,
    /// What whoever asks calls their device.
    pub device_name: String,
    /// When it was asked for.
    pub asked: Millis,
    /// Until when it can be finished.
    pub expires: Millis,
    /// A device has confirmed it: it can still be denied.
    pub confirmed: bool,
}

/// The recoveries of the account of `who` that are under way, the newest first.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn list(app: &App, who: Identity) -> Result<Vec<RecoveryView>, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(tx.recoveries(&who.creditor, who.guardian, (now, MOST_LISTED, MOST_TRIES)).await?))
        })
    });
    let rows = read.await?.map_err(Stop::Refused)?;
    let view = |row: RecoveryRow| RecoveryView {
        id: row.id,
        device_name: row.device_name,
        asked: row.asked_at_ms,
        expires: row.expires_at_ms,
        confirmed: row.device_at_ms.is_some(),
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Whether somebody asked for a recovery of this account, and it is not over.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn under_way(tx: &mut Tx, who: Identity, now: Millis) -> Result<bool, StoreError> {
    Ok(!tx.recoveries(&who.creditor, who.guardian, (now, 1, MOST_TRIES)).await?.is_empty())
}

/// Confirms a recovery with the two digits that the other device shows, or denies it with none.
///
/// # Errors
/// [`RecoveryRefusal`], or a [`super::Fault`].
pub async fn answer(app: &App, who: Identity, (id, number): (Uuid, String)) -> Result<(), Stop<RecoveryRefusal>> {
    let now = app.now();
    let answered = app.store.write("answer a recovery", move |tx| {
        let number = number.clone();
        Box::pin(async move {
            let creditor = who.creditor;
            let session = tx.session(&creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(RecoveryRefusal::Session(refusal)));
            }
            let own = tx.recovery(&creditor, id).await?.filter(|row| row.guardian == Some(who.guardian.uuid()));
            let Some(own) = own else { return Ok(Err(RecoveryRefusal::Ended)) };
            if number.is_empty() {
                // Denied twice is denied.
                tx.end_recovery(&creditor, id, now).await?;
                return Ok(Ok(Ok(())));
            }
            let tried = tx.try_recovery(&creditor, id).await?;
            if tried.is_none_or(|row| !open(&row, now) || row.ended_at_ms.is_some() || row.tries > MOST_TRIES) {
                return Ok(Err(RecoveryRefusal::Ended));
            }
            if own.number != number {
                // Kept: the try was counted.
                return Ok(Ok(Err(RecoveryRefusal::Wrong)));
            }
            tx.prove_recovery(&creditor, (id, ProofKind::Device), now).await?;
            Ok(Ok(Ok(())))
        })
    });
    answered.await?.map_err(Stop::Refused)?.map_err(Stop::Refused)
}
