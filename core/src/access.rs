//! A session's beginning and end: signing in, registering with a code from the office, the password, and getting back in after
//! it was forgotten. What can be checked on the phone is checked here, before anything is sent.

use std::fmt;
use std::sync::Arc;

use borsellino_domain::account::{NewPassword, OfficeCode, Username};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use prost::Message;

use crate::accounts::Account;
use crate::app::App;
use crate::cache::remove_aside;
use crate::error::{Error, Invalid, Reason, Refusal, Result};
use crate::inner::{Inner, lock};
use crate::models::{AccountView, Event};
use crate::remote::method;
use crate::session::{AccountKey, StoredSession, item};
use crate::words::Words;

/// The secure store's item that holds the recovery under way. Its token is as good as a password while it lasts.
pub(crate) const RECOVERY_ITEM: &str = "borsellino-recovery";

/// How many proofs, each of another kind, a recovery wants (proto file).
const ENOUGH: usize = 2;

/// The recovery that this phone has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryView {
    /// At which creditor: 11 digits.
    pub creditor: String,
    /// Two digits to show: they are typed on the device that confirms.
    pub number: String,
    /// Until when it can be finished, by the server's clock.
    pub expires_at: Millis,
}

/// A way of proving who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A code from the office.
    Office,
    /// A code from an e-mail.
    Email,
    /// Confirmed on another device.
    Device,
    /// One that this app does not know yet.
    Other,
}

/// What was proved so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofs {
    /// Each once.
    pub given: Vec<Proof>,
    /// The new password can be set.
    pub enough: bool,
}

/// What a recovery ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Signed in.
    pub account: AccountView,
    /// In case it was forgotten, too.
    pub username: String,
}

/// A recovery of an own account that is under way on some device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRequest {
    /// Names it, for [`App::answer_recovery`].
    pub id: String,
    /// What whoever asks calls their device.
    pub device_name: String,
    /// Since when.
    pub asked_at: Millis,
    /// Until when it can be answered.
    pub expires_at: Millis,
    /// A device has confirmed it: it can still be denied.
    pub confirmed: bool,
    /// `Richiesta di una nuova password da «Pixel», 20 novembre alle 8:12. Se non sei tu, rifiuta.`
    pub sentence: String,
}

/// A recovery as it lies in the secure store.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StoredRecovery {
    #[prost(string, tag = "1")]
    token: String,
    #[prost(string, tag = "2")]
    number: String,
    #[prost(int64, tag = "3")]
    expires_at_ms: i64,
    #[prost(string, tag = "4")]
    creditor: String,
    /// User name or codice fiscale, as typed: no password is made of it.
    #[prost(string, tag = "5")]
    who: String,
}

impl fmt::Debug for StoredRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredRecovery(…)")
    }
}

impl StoredRecovery {
    fn view(&self) -> RecoveryView {
        RecoveryView {
            creditor: self.creditor.clone(),
            number: self.number.clone(),
            expires_at: Millis::new(self.expires_at_ms),
        }
    }
}

fn proofs(wire: &[i32]) -> Proofs {
    let proof = |wire: &i32| match v1::Proof::try_from(*wire) {
        Ok(v1::Proof::Office) => Proof::Office,
        Ok(v1::Proof::Email) => Proof::Email,
        Ok(v1::Proof::Device) => Proof::Device,
        Ok(v1::Proof::Unspecified) | Err(_) => Proof::Other,
    };
    Proofs { given: wire.iter().map(proof).collect(), enough: wire.len() >= ENOUGH }
}

/// `length` digits, blanks aside.
fn digits(text: &str, length: usize, what: Invalid) -> Result<String> {
    let typed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let fits = typed.len() == length && typed.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(typed) } else { Err(Error::Invalid(what)) }
}

fn creditor_code(text: &str) -> Result<String> {
    Ok(CreditorCode::parse(text).map_err(|_| Error::Invalid(Invalid::Creditor))?.as_str().to_owned())
}

impl Inner {
    /// What the server would say no to, said at once.
    pub(crate) fn refused(&self, reason: Reason) -> Error {
        Error::Refused(Refusal::here(self.language, reason, None))
    }

    fn new_password(&self, text: &str, own: &[&str]) -> Result<String> {
        let refused = |rule| Error::Refused(Refusal::here(self.language, Reason::PasswordRefused, Some(rule)));
        Ok(NewPassword::parse(text, own).map_err(refused)?.as_str().to_owned())
    }

    fn office_code(&self, text: &str) -> Result<String> {
        let code = OfficeCode::parse(text).map_err(|_| self.refused(Reason::OfficeCodeMistyped))?;
        Ok(code.as_str().to_owned())
    }

    /// An account of this phone.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is none.
    pub(crate) fn account(&self, key: &AccountKey) -> Result<Account> {
        lock(&self.accounts).get(key).cloned().ok_or(Error::Invalid(Invalid::Account))
    }

    /// Keeps a session that begins; its account becomes the active one, and what waited for it is sent.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        tokens: Option<v1::Tokens>,
        guardian: Option<v1::Guardian>,
        creditor: Option<v1::Creditor>,
    ) -> Result<AccountView> {
        let account = Account { creditor, guardian };
        let session = StoredSession::new(tokens, self.clock.now());
        let session =
            session.filter(|_| account.creditor.is_some() && account.guardian.is_some()).ok_or(Error::NotOurServer)?;
        let key = account.key();
        let _turn = self.turn.lock().await;
        // A new session has no pushes yet, whatever the one before had.
        self.forget_push(&key).await?;
        self.vault.set(item(&key), session.encode_to_vec()).await?;
        // A session object of before still holds the old tokens.
        lock(&self.sessions).remove(&key);
        lock(&self.accounts).put(account);
        self.store_accounts().await?;
        // What waited for this.
        self.finish_in_background(&key);
        self.work.notify_one();
        let views = lock(&self.accounts).views();
        views.into_iter().find(|view| view.key == key).ok_or(Error::Closed)
    }

    /// Signs an account out and removes everything of it from this phone, also without the network.
    pub(crate) async fn leave(&self, account: &AccountKey) -> Result<()> {
        // Best effort: the tokens are thrown away here in any case.
        let _ = self.ask(account, &method::SIGN_OUT, &v1::SignOutRequest {}).await;
        let _turn = self.turn.lock().await;
        // From here on no answer of this session is kept.
        lock(&self.accounts).remove(account);
        lock(&self.sessions).remove(account);
        // What was seen goes first: killed before the account is gone, the parent sees that it is not done;
        // killed after it, the next start forgets what came in between. No failure keeps the rest from going.
        let forgotten = self.forget(account).await;
        let folder = self.folder.clone();
        let aside = tokio::task::spawn_blocking(move || remove_aside(&folder)).await;
        let tokens = self.vault.remove(item(account)).await;
        lock(&self.sessions).remove(account);
        let accounts = self.store_accounts().await;
        let pushes = self.forget_push(account).await;
        self.emit(account, Event::HomeChanged);
        let again = self.forget(account).await;
        let aside = aside.map_err(|_| Error::Closed).flatten();
        tokens.and(accounts).and(again.or(forgotten)).and(aside).and(pushes)
    }

    async fn kept_recovery(&self) -> Result<Option<StoredRecovery>> {
        let bytes = self.vault.get(RECOVERY_ITEM).await?;
        // A value that no version of this app wrote is none.
        Ok(bytes.and_then(|bytes| StoredRecovery::decode(bytes.as_slice()).ok()))
    }

    async fn recovery_under_way(&self) -> Result<StoredRecovery> {
        self.kept_recovery().await?.ok_or_else(|| self.refused(Reason::RecoveryEnded))
    }

    /// One that has ended is of no use any more.
    async fn without_ended<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(Error::Refused(no)) = &answer
            && no.reason == Reason::RecoveryEnded
        {
            self.vault.remove(RECOVERY_ITEM).await?;
        }
        answer
    }

    async fn prove(&self, proof: Option<v1::prove_recovery_request::Proof>) -> Result<Proofs> {
        let recovery_token = self.recovery_under_way().await?.token;
        let request = v1::ProveRecoveryRequest { recovery_token, proof };
        let answer = self.remote.call(&method::PROVE_RECOVERY, None, &request).await;
        Ok(proofs(&self.without_ended(answer).await?.proofs))
    }
}

impl App {
    /// Signs in to a creditor; the account becomes the active one.
    ///
    /// # Errors
    /// [`Error::Refused`] with `WrongCredentials` or `TryLater`, [`Error::Offline`] and kin, [`Error::SecureStore`].
    pub async fn sign_in(&self, creditor: &str, username: &str, password: &str) -> Result<AccountView> {
        let request = v1::SignInRequest {
            creditor_fiscal_code: creditor_code(creditor)?,
            username: username.to_owned(),
            password: password.to_owned(),
            device_name: self.inner.device_name.clone(),
        };
        self.inner
            .detached(move |inner| async move {
                let answer = inner.remote.call(&method::SIGN_IN, None, &request).await.map_err(Error::of_a_read)?;
                inner.enter(answer.tokens, answer.guardian, answer.creditor).await
            })
            .await
    }

    /// Gives an adult whom the office knows a user name and a password, and signs in: afterwards all is as after
    /// [`App::sign_in`]. Where the answer was lost, or the secure store failed, the same call again signs in. Waits at most
    /// [`crate::Pace::patience`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a codice fiscale that is none; [`Error::Refused`] with `OfficeCodeMistyped`, `UsernameInvalid` or
    /// `PasswordRefused`, which are found before anything is sent, with `OfficeCodeRefused`, `AlreadyRegistered`,
    /// `UsernameTaken` or `TryLater`; [`Error::OlderServer`], [`Error::Offline`], [`Error::OutcomeUnknown`] and kin,
    /// [`Error::SecureStore`].
    pub async fn register(
        &self,
        creditor: &str,
        fiscal_code: &str,
        office_code: &str,
        username: &str,
        password: &str,
    ) -> Result<AccountView> {
        let inner = &self.inner;
        let creditor_fiscal_code = creditor_code(creditor)?;
        let fiscal_code = PersonalCode::parse(fiscal_code).map_err(|_| Error::Invalid(Invalid::FiscalCode))?;
        let office_code = inner.office_code(office_code)?;
        let username = Username::parse(username).map_err(|_| inner.refused(Reason::UsernameInvalid))?;
        let request = v1::RegisterRequest {
            creditor_fiscal_code,
            password: inner.new_password(password, &[username.as_str(), fiscal_code.as_str()])?,
            fiscal_code: fiscal_code.as_str().to_owned(),
            office_code,
            username: username.as_str().to_owned(),
            device_name: inner.device_name.clone(),
        };
        let registering = inner.detached(move |inner| async move {
            let answer = inner.remote.call(&method::REGISTER, None, &request).await?;
            inner.enter(answer.tokens, answer.guardian, answer.creditor).await
        });
        self.patiently(registering).await
    }

    /// Changes an account's password. This phone stays signed in, every other device is signed out. Doing it again is safe. Waits
    /// at most [`crate::Pace::patience`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that this phone does not have; [`Error::Refused`] with `PasswordRefused` (some of it
    /// found before anything is sent), `WrongCredentials` for the old password, or `TryLater`; [`Error::SignedOut`],
    /// [`Error::OlderServer`], [`Error::Offline`], [`Error::OutcomeUnknown`] and kin.
    pub async fn change_password(&self, account: AccountKey, old: &str, new: &str) -> Result<()> {
        let name = self.inner.account(&account)?.guardian.unwrap_or_default().display_name;
        let new_password = self.inner.new_password(new, &[&name])?;
        let request = v1::ChangePasswordRequest { old_password: old.to_owned(), new_password };
        let changing = self.inner.detached(move |inner| async move {
            inner.ask(&account, &method::CHANGE_PASSWORD, &request).await.map(|_| ())
        });
        self.patiently(changing).await
    }

    /// Begins to recover a forgotten password; `who` is the user name or the codice fiscale. Show the number of the answer. Nobody
    /// is told whether there is such an account: without one the recovery comes to no end.
    ///
    /// What is under way lies in the secure store, because the parent goes to the e-mail meanwhile: an app that was killed
    /// goes on with it ([`App::recovery`]). There is one at a time; beginning again forgets the one before.
    ///
    /// # Errors
    /// [`Error::Refused`] with `UsernameInvalid` for nothing at all, or `TryLater`; [`Error::OlderServer`], [`Error::Offline`],
    /// [`Error::OutcomeUnknown`] and kin, [`Error::SecureStore`].
    pub async fn start_recovery(&self, creditor: &str, who: &str) -> Result<RecoveryView> {
        let creditor = creditor_code(creditor)?;
        let who = who.trim().to_owned();
        if who.is_empty() {
            return Err(self.inner.refused(Reason::UsernameInvalid));
        }
        let request = v1::StartRecoveryRequest {
            creditor_fiscal_code: creditor.clone(),
            who: who.clone(),
            device_name: self.inner.device_name.clone(),
        };
        let starting = self.inner.detached(move |inner| async move {
            let answer = inner.remote.call(&method::START_RECOVERY, None, &request).await?;
            let v1::StartRecoveryResponse { recovery_token: token, expires_at_ms, number } = answer;
            if token.is_empty() {
                return Err(Error::NotOurServer);
            }
            let kept = StoredRecovery { token, number, expires_at_ms, creditor, who };
            inner.vault.set(RECOVERY_ITEM, kept.encode_to_vec()).await?;
            Ok(kept.view())
        });
        self.patiently(starting).await
    }

    /// The recovery that this phone has begun and not finished; also after a restart of the app. It may have expired meanwhile:
    /// the server says so with the next step.
    ///
    /// # Errors
    /// [`Error::SecureStore`].
    pub async fn recovery(&self) -> Result<Option<RecoveryView>> {
        self.inner
            .detached(|inner| async move { Ok(inner.kept_recovery().await?.as_ref().map(StoredRecovery::view)) })
            .await
    }

    /// Gives the recovery up on this phone. At the server it expires.
    ///
    /// # Errors
    /// [`Error::SecureStore`].
    pub async fn forget_recovery(&self) -> Result<()> {
        self.inner.detached(|inner| async move { inner.vault.remove(RECOVERY_ITEM).await }).await
    }

    /// Proves with a code from the office who recovers. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] with `OfficeCodeMistyped`, which is found before anything is sent and costs no try, `ProofRefused`,
    /// `RecoveryEnded` (start again) or `TryLater`; [`Error::Offline`], [`Error::OutcomeUnknown`] and kin, [`Error::SecureStore`].
    pub async fn prove_office(&self, code: &str) -> Result<Proofs> {
        let code = self.inner.office_code(code)?;
        self.prove(Some(v1::prove_recovery_request::Proof::OfficeCode(code))).await
    }

    /// Proves it with the code from the e-mail: eight digits. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other than eight digits; otherwise as [`App::prove_office`].
    pub async fn prove_email(&self, code: &str) -> Result<Proofs> {
        let code = digits(code, 8, Invalid::EmailCode)?;
        self.prove(Some(v1::prove_recovery_request::Proof::EmailCode(code))).await
    }

    /// Asks the server what was proved so far: another device may have confirmed.
    ///
    /// # Errors
    /// [`Error::Refused`] with `RecoveryEnded`, [`Error::Offline`] and kin, [`Error::SecureStore`].
    pub async fn proofs(&self) -> Result<Proofs> {
        self.prove(None).await.map_err(Error::of_a_read)
    }

    async fn prove(&self, proof: Option<v1::prove_recovery_request::Proof>) -> Result<Proofs> {
        self.patiently(self.inner.detached(move |inner| async move { inner.prove(proof).await })).await
    }

    /// Sets the new password, once there are two proofs, and signs in: afterwards all is as after [`App::sign_in`]. Every other
    /// device is signed out. Where the answer was lost, or the secure store failed, the same call again signs in.
    ///
    /// # Errors
    /// [`Error::Refused`] with `PasswordRefused` (some of it found before anything is sent), `RecoveryIncomplete` or
    /// `RecoveryEnded`; [`Error::Offline`], [`Error::OutcomeUnknown`] and kin, [`Error::SecureStore`].
    pub async fn finish_recovery(&self, new_password: &str) -> Result<Recovered> {
        let new_password = new_password.to_owned();
        let finishing = self.inner.detached(move |inner| async move {
            let StoredRecovery { token, who, .. } = inner.recovery_under_way().await?;
            let new_password = inner.new_password(&new_password, &[&who])?;
            let request = v1::FinishRecoveryRequest { recovery_token: token, new_password };
            let answer = inner.remote.call(&method::FINISH_RECOVERY, None, &request).await;
            let answer = inner.without_ended(answer).await?;
            let account = inner.enter(answer.tokens, answer.guardian, answer.creditor).await?;
            // The parent is in. What stays behind here is worth nothing once it expires, and the next recovery replaces it.
            let _ = inner.vault.remove(RECOVERY_ITEM).await;
            Ok(Recovered { account, username: answer.username })
        });
        self.patiently(finishing).await
    }

    /// Recoveries of an account of this phone that are under way somewhere, the newest first. Whoever did not ask denies.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that this phone does not have, [`Error::SignedOut`], [`Error::OlderServer`],
    /// [`Error::Offline`] and kin.
    pub async fn recoveries(&self, account: AccountKey) -> Result<Vec<RecoveryRequest>> {
        self.inner.account(&account)?;
        self.inner
            .detached(move |inner| async move {
                let asked = inner.ask(&account, &method::LIST_RECOVERIES, &v1::ListRecoveriesRequest {}).await;
                let recoveries = asked.map_err(Error::of_a_read)?.recoveries;
                let words = inner.words(&account).await;
                Ok(recoveries.into_iter().map(|wire| words.recovery_request(wire)).collect())
            })
            .await
    }

    /// Confirms a recovery with the two digits that the other device shows, or denies it without them: then it ends at once.
    /// Doing it again is safe.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other than two digits, or an account that this phone does not have; [`Error::Refused`] with
    /// `ProofRefused` or `RecoveryEnded`, [`Error::SignedOut`], [`Error::Offline`], [`Error::OutcomeUnknown`] and kin.
    pub async fn answer_recovery(&self, account: AccountKey, id: &str, number: Option<&str>) -> Result<()> {
        self.inner.account(&account)?;
        let number = number.map(|number| digits(number, 2, Invalid::Number)).transpose()?.unwrap_or_default();
        let request = v1::AnswerRecoveryRequest { id: id.to_owned(), number };
        let answering = self.inner.detached(move |inner| async move {
            inner.ask(&account, &method::ANSWER_RECOVERY, &request).await.map(|_| ())
        });
        self.patiently(answering).await
    }

    /// Signs the active account out and removes everything of it from this phone, also without the network. A top-up
    /// that was never sent is gone; one that was sent is at the server.
    ///
    /// # Errors
    /// [`Error::SignedOut`] where nobody is signed in, [`Error::SecureStore`], [`Error::Cache`].
    pub async fn sign_out(&self) -> Result<()> {
        self.inner.detached(move |inner| async move { inner.leave(&inner.active()?).await }).await
    }
}

impl Words {
    fn recovery_request(&self, wire: v1::Recovery) -> RecoveryRequest {
        let (asked_at, expires_at) = (Millis::new(wire.asked_at_ms), Millis::new(wire.expires_at_ms));
        let asks = self.of([
            "Richiesta di una nuova password da",
            "A new password was asked for on",
            "Neues Passwort angefordert auf",
        ]);
        let deny = self.of([
            "Se non sei tu, rifiuta.",
            "If it was not you, deny it.",
            "Wenn Sie das nicht waren, lehnen Sie ab.",
        ]);
        let sentence = format!("{asks} «{}», {}. {deny}", wire.device_name, self.day_and_hour(asked_at));
        let (id, device_name, confirmed) = (wire.id, wire.device_name, wire.confirmed);
        RecoveryRequest { id, device_name, asked_at, expires_at, confirmed, sentence }
    }
}
