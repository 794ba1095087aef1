//! The app core as an object of the host: every method hands its arguments on and its answer back.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use borsellino_core as core;
use core::{
    AccountKey, AccountView, Amount, BillId, CartId, CreditorInfo, DeviceView, FeeAdvice, HomeView, Language,
    MovementsView, PayBillView, PayBy, PayItem, Platform, Proofs, PushNews, ReceiptsView, Recovered, RecoveryRequest,
    RecoveryView, SessionId, SystemClock, TogetherView, TopUpId, TopUpView, WalletId,
};

use crate::config::{CacheStart, Config};
use crate::engine::{Boxed, Engine};
use crate::errors::{BorsellinoError, InvalidInput};
use crate::events::{HostListener, Listener};
use crate::secure_store::{HostStore, SecureStore};

pub(crate) type Result<T> = std::result::Result<T, BorsellinoError>;

/// The app core. Open it once per process, paint from `cachedHome`, then call `resume` and `watch`; call `shutdown`
/// before the process or its data folder goes away.
#[derive(uniffi::Object)]
pub struct Borsellino {
    core: Arc<core::App>,
    engine: Engine,
}

/// What `resume` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Resumed {
    /// Top-ups that got their answer now.
    pub finished: u64,
    /// Top-ups that still wait for the network.
    pub waiting: u64,
}

/// Keeps a watch going; letting go of it ends the watch.
#[derive(uniffi::Object)]
pub struct Watch(Mutex<Option<core::WatchHandle>>);

impl Borsellino {
    /// Runs a call of the core on its own thread, to its end even when the host gives it up.
    pub(crate) fn run<T, Fut>(&self, call: impl FnOnce(Arc<core::App>) -> Fut) -> Boxed<Result<T>>
    where
        T: Send + 'static,
        Fut: Future<Output = core::Result<T>> + Send + 'static,
    {
        self.engine.run(Box::pin(call(Arc::clone(&self.core))))
    }
}

#[uniffi::export]
impl Borsellino {
    /// Opens the app core. Reads the cache and the secure store; does not touch the network. The one call not to give up (in
    /// Kotlin: call it in `NonCancellable`): given up at the instant of its answer, an app core stays open that nobody has.
    ///
    /// Throws `Invalid` for the server's address, `SecureStore` (try again once the phone is unlocked), `Cache` where no
    /// cache can be made.
    #[uniffi::constructor]
    pub async fn open(config: Config, store: Arc<dyn SecureStore>) -> Result<Arc<Self>> {
        let engine = Engine::start()?;
        let store = Arc::new(HostStore(store));
        let opening = async move { core::App::open(config.into(), store, Arc::new(SystemClock)).await };
        let core = engine.run(Box::pin(opening)).await?;
        Ok(Arc::new(Self { core: Arc::new(core), engine }))
    }

    /// What opening the cache found.
    pub fn cache_start(&self) -> CacheStart {
        self.core.cache_start().into()
    }

    /// The accounts of this phone, from memory.
    pub fn accounts(&self) -> Vec<AccountView> {
        self.core.accounts()
    }

    /// Makes `account` (the `key` of one of `accounts`) the one that the other calls mean.
    ///
    /// Throws `Invalid` where this phone has no such account.
    pub async fn use_account(&self, account: AccountKey) -> Result<()> {
        self.run(|core| async move { core.use_account(account).await }).await
    }

    /// Finds the creditor of an activation code, as typed, and remembers it.
    ///
    /// Throws `Invalid` for a code that is none, `Refused` for an unknown one, `Offline` and kin.
    pub async fn activate(&self, code: String) -> Result<CreditorInfo> {
        self.run(|core| async move { core.activate(&code).await }).await
    }

    /// A creditor found before by `activate`, from the cache.
    ///
    /// Throws `Cache`.
    pub fn remembered_creditor(&self, fiscal_code: String) -> Result<Option<CreditorInfo>> {
        Ok(self.core.remembered_creditor(&fiscal_code)?)
    }

    /// Signs in to a creditor; the account becomes the active one.
    ///
    /// Throws `Refused` with `WrongCredentials` or `TryLater`, `Offline` and kin, `SecureStore`.
    pub async fn sign_in(&self, creditor: String, username: String, password: String) -> Result<AccountView> {
        self.run(|core| async move { core.sign_in(&creditor, &username, &password).await }).await
    }

    /// Gives an adult whom the office knows a user name and a password, and signs in: afterwards all is as after `signIn`. Where
    /// the answer was lost, or the secure store failed, the same call again signs in.
    ///
    /// Throws `Invalid` for a codice fiscale that is none; `Refused` with `OfficeCodeMistyped`, `UsernameInvalid` or
    /// `PasswordRefused` (found before anything is sent), `OfficeCodeRefused`, `AlreadyRegistered`, `UsernameTaken` or
    /// `TryLater`; `OlderServer`, `Offline`, `OutcomeUnknown` and kin, `SecureStore`.
    pub async fn register(
        &self,
        creditor: String,
        fiscal_code: String,
        office_code: String,
        username: String,
        password: String,
    ) -> Result<AccountView> {
        let call = |core: Arc<core::App>| async move {
            core.register(&creditor, &fiscal_code, &office_code, &username, &password).await
        };
        self.run(call).await
    }

    /// Changes an account's password. This phone stays signed in, every other device is signed out. Doing it again is safe.
    ///
    /// Throws `Refused` with `PasswordRefused`, `WrongCredentials` for the old password, or `TryLater`; `Invalid`, `SignedOut`,
    /// `OlderServer`, `Offline`, `OutcomeUnknown` and kin.
    pub async fn change_password(&self, account: AccountKey, old: String, new: String) -> Result<()> {
        self.run(|core| async move { core.change_password(account, &old, &new).await }).await
    }

    /// Begins to recover a forgotten password; `who` is the user name or the codice fiscale. Show the number of the answer. Nobody
    /// is told whether there is such an account. What is under way lies in the secure store: an app that was killed goes on
    /// with it. There is one at a time; beginning again forgets the one before.
    ///
    /// Throws `Refused` with `UsernameInvalid` or `TryLater`; `OlderServer`, `Offline`, `OutcomeUnknown` and kin, `SecureStore`.
    pub async fn start_recovery(&self, creditor: String, who: String) -> Result<RecoveryView> {
        self.run(|core| async move { core.start_recovery(&creditor, &who).await }).await
    }

    /// The recovery that this phone has begun and not finished, also after a restart of the app. It may have expired: the server
    /// says so with the next step.
    ///
    /// Throws `SecureStore`.
    pub async fn recovery(&self) -> Result<Option<RecoveryView>> {
        self.run(|core| async move { core.recovery().await }).await
    }

    /// Gives the recovery up on this phone. At the server it expires.
    ///
    /// Throws `SecureStore`.
    pub async fn forget_recovery(&self) -> Result<()> {
        self.run(|core| async move { core.forget_recovery().await }).await
    }

    /// Proves with a code from the office who recovers. The same again changes nothing.
    ///
    /// Throws `Refused` with `OfficeCodeMistyped` (found before anything is sent: it costs no try), `ProofRefused`, `RecoveryEnded`
    /// (start again) or `TryLater`; `Offline`, `OutcomeUnknown` and kin, `SecureStore`.
    pub async fn prove_office(&self, code: String) -> Result<Proofs> {
        self.run(|core| async move { core.prove_office(&code).await }).await
    }

    /// Proves it with the code from the e-mail: eight digits. The same again changes nothing.
    ///
    /// Throws `Invalid` for other than eight digits; otherwise as `proveOffice`.
    pub async fn prove_email(&self, code: String) -> Result<Proofs> {
        self.run(|core| async move { core.prove_email(&code).await }).await
    }

    /// Asks the server what was proved so far: another device may have confirmed.
    ///
    /// Throws `Refused` with `RecoveryEnded`, `Offline` and kin, `SecureStore`.
    pub async fn proofs(&self) -> Result<Proofs> {
        self.run(|core| async move { core.proofs().await }).await
    }

    /// Sets the new password, once there are two proofs, and signs in: afterwards all is as after `signIn`. Every other device is
    /// signed out. Where the answer was lost, or the secure store failed, the same call again signs in.
    ///
    /// Throws `Refused` with `PasswordRefused`, `RecoveryIncomplete` or `RecoveryEnded`; `Offline`, `OutcomeUnknown` and kin,
    /// `SecureStore`.
    pub async fn finish_recovery(&self, new_password: String) -> Result<Recovered> {
        self.run(|core| async move { core.finish_recovery(&new_password).await }).await
    }

    /// Recoveries of an account of this phone that are under way somewhere, the newest first. Whoever did not ask denies.
    ///
    /// Throws `Invalid`, `SignedOut`, `OlderServer`, `Offline` and kin.
    pub async fn recoveries(&self, account: AccountKey) -> Result<Vec<RecoveryRequest>> {
        self.run(|core| async move { core.recoveries(account).await }).await
    }

    /// Confirms a recovery with the two digits that the other device shows, or denies it without them: then it ends at once.
    /// Doing it again is safe.
    ///
    /// Throws `Invalid` for other than two digits; `Refused` with `ProofRefused` or `RecoveryEnded`; `SignedOut`, `Offline`,
    /// `OutcomeUnknown` and kin.
    #[uniffi::method(default(number = None))]
    pub async fn answer_recovery(&self, account: AccountKey, id: String, number: Option<String>) -> Result<()> {
        self.run(|core| async move { core.answer_recovery(account, &id, number.as_deref()).await }).await
    }

    /// Where the guardian of an account of this phone is signed in, the last used first.
    ///
    /// Throws `Invalid`, `SignedOut`, `OlderServer`, `Offline` and kin.
    pub async fn devices(&self, account: AccountKey) -> Result<Vec<DeviceView>> {
        self.run(|core| async move { core.devices(account).await }).await
    }

    /// Ends a session, and its pushes. This phone's own: that is signing out, everything of the account goes from here. One that
    /// has ended already is no error.
    ///
    /// Throws `Invalid`, `Refused` with `UnknownDevice`, `SignedOut`, `OlderServer`, `Offline`, `OutcomeUnknown` and kin; for this
    /// phone's own also what `signOut` throws.
    pub async fn revoke_device(&self, account: AccountKey, session: SessionId) -> Result<()> {
        self.run(|core| async move { core.revoke_device(account, session).await }).await
    }

    /// Says under which token of Firebase's this phone is reached, for all accounts, those that sign in later too. Call it
    /// whenever Firebase gives a token, and at each start of the app. It is kept once this returns; the servers are told in
    /// the background, again and again until they have heard it.
    ///
    /// Throws `Invalid` for a token that is none; `SecureStore`.
    pub async fn register_push(&self, token: String, platform: Platform) -> Result<()> {
        self.run(|core| async move { core.register_push(&token, platform).await }).await
    }

    /// No more pushes for this phone, until `registerPush`. Holds at once for `pushReceived`; the servers are told in the
    /// background, again and again until they have heard it.
    ///
    /// Throws `SecureStore`.
    pub async fn remove_push(&self) -> Result<()> {
        self.run(|core| async move { core.remove_push().await }).await
    }

    /// A push arrived, with this data. Fetches what happened, waiting about ten seconds at most, and says whether and with which
    /// words to show it. Without the network it is shown, with its own generic words.
    ///
    /// Throws `SecureStore` (say, locked: show the generic words), `Cache`.
    pub async fn push_received(&self, data: HashMap<String, String>) -> Result<PushNews> {
        self.run(|core| async move { core.push_received(data).await }).await
    }

    /// The active account's home screen as last known, from the cache: the first paint, on the screen's own thread.
    /// Nothing before the first refresh, or with nobody signed in.
    ///
    /// Throws `Cache`.
    pub fn cached_home(&self) -> Result<Option<HomeView>> {
        Ok(self.core.cached_home()?)
    }

    /// Asks the server for the home screen, keeps and returns it.
    ///
    /// Throws `SignedOut`, `Offline` and kin, `Cache`.
    pub async fn refresh_home(&self) -> Result<HomeView> {
        self.run(|core| async move { core.refresh_home().await }).await
    }

    /// Movements, newest first: of one wallet or of all, from the beginning or from `page` (the `next` of the page
    /// before). Without the network the first page comes from the cache.
    ///
    /// Throws `SignedOut`, `Refused`, `Offline` and kin, `Cache`.
    #[uniffi::method(default(wallet = None, page = None))]
    pub async fn movements(&self, wallet: Option<WalletId>, page: Option<String>) -> Result<MovementsView> {
        self.run(|core| async move { core.movements(wallet, page).await }).await
    }

    /// Starts a top-up. It is saved before it is sent: an error means that nothing was begun, an answer that it will be
    /// finished. Waits about ten seconds for the server's answer; a top-up without one is queued, and sending goes on.
    /// Look at the state: it may also be refused. Giving this call up, or `shutdown` meanwhile, loses nothing.
    ///
    /// Throws `SignedOut`, `Invalid`, `Cache` (say, a full phone), `NoRandomness`, `Closed`.
    pub async fn start_top_up(&self, wallet: WalletId, amount: Amount, pay_by: PayBy) -> Result<TopUpView> {
        self.run(|core| async move { core.start_top_up(wallet, amount, pay_by).await }).await
    }

    /// Asks for a page again for a top-up that is to pay or was not completed, also for one begun on another phone of the
    /// same guardian. For any other top-up answers how it stands. Doing it again is safe.
    ///
    /// Throws `Invalid` where this phone knows no such top-up, `SignedOut`, `Refused`, `Offline`, `OutcomeUnknown`.
    pub async fn retry_top_up(&self, top_up: TopUpId) -> Result<TopUpView> {
        self.run(|core| async move { core.retry_top_up(top_up).await }).await
    }

    /// Takes a refused top-up off the screen.
    ///
    /// Throws `Cache`.
    pub async fn dismiss(&self, top_up: TopUpId) -> Result<()> {
        self.run(|core| async move { core.dismiss(top_up).await }).await
    }

    /// Opens a pagoPA page for a bill, or tells with which notice to pay it. Doing it again is safe.
    ///
    /// Throws `SignedOut`, `Refused`, `Offline`, `OutcomeUnknown`.
    pub async fn pay_bill(&self, bill: BillId) -> Result<PayBillView> {
        self.run(|core| async move { core.pay_bill(bill).await }).await
    }

    /// Pays several things at once: new top-ups, bills, instalments, in as few visits to pagoPA as cost the least. Saved
    /// before it is sent: an error means that nothing was begun, an answer that it will be finished.
    ///
    /// Throws `SignedOut`, `Invalid`, `BeingPaid` where one of them is being paid already, `Cache`, `NoRandomness`.
    pub async fn pay_together(&self, items: Vec<PayItem>) -> Result<TogetherView> {
        self.run(|core| async move { core.pay_together(items).await }).await
    }

    /// Takes a payment of several things that was refused off the screen.
    ///
    /// Throws `Cache`.
    pub async fn dismiss_together(&self, payment: CartId) -> Result<()> {
        self.run(|core| async move { core.dismiss_together(payment).await }).await
    }

    /// What paying these amounts will cost in fees, and how to pay fewer.
    ///
    /// Throws `SignedOut`, `Cache`.
    pub async fn fee_advice(&self, amounts: Vec<Amount>) -> Result<FeeAdvice> {
        self.run(|core| async move { core.fee_advice(amounts).await }).await
    }

    /// What was paid, newest first, from the beginning or from `page` (the `next` of the page before). Without the
    /// network the first page comes from the cache.
    ///
    /// Throws `SignedOut`, `Refused`, `Offline` and kin, `Cache`.
    #[uniffi::method(default(page = None))]
    pub async fn receipts(&self, page: Option<String>) -> Result<ReceiptsView> {
        self.run(|core| async move { core.receipts(page).await }).await
    }

    /// Asks the server for what changed: in the background, or after a push. True where something did.
    ///
    /// Throws `SignedOut`, `Wiped`, `Offline` and kin, `Cache`.
    pub async fn sync(&self) -> Result<bool> {
        self.run(|core| async move { core.sync().await }).await
    }

    /// The parent is back from the pagoPA page, or followed a link into the app. That is a reason to look, and proves
    /// nothing: the address changes no state. True where something did change.
    ///
    /// Throws as `sync`.
    pub async fn returned_from_browser(&self, url: String) -> Result<bool> {
        self.run(|core| async move { core.returned_from_browser(&url).await }).await
    }

    /// Finishes every top-up that is not finished, of every account, then refreshes the active one. Call it when the app
    /// starts, comes to the front, or the network comes back.
    ///
    /// Throws `Offline` and kin: what is unfinished stays so; `Cache`.
    pub async fn resume(&self) -> Result<Resumed> {
        let resumed = self.run(|core| async move { core.resume().await }).await?;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Resumed { finished: count(resumed.finished), waiting: count(resumed.waiting) })
    }

    /// Follows the active account's feed and tells `listener`, until the handle is let go of or the session ends.
    ///
    /// Throws `SignedOut`, `Closed`.
    pub fn watch(&self, listener: Arc<dyn Listener>) -> Result<Arc<Watch>> {
        let handle = self.core.watch(Arc::new(HostListener(listener)))?;
        Ok(Arc::new(Watch(Mutex::new(Some(handle)))))
    }

    /// Signs the active account out and removes everything of it from this phone, also without the network. A top-up
    /// that was never sent is gone; one that was sent is at the server.
    ///
    /// Throws `SignedOut` where nobody is signed in, `SecureStore`, `Cache`.
    pub async fn sign_out(&self) -> Result<()> {
        self.run(|core| async move { core.sign_out().await }).await
    }

    /// Ends and joins everything. Afterwards every call that needs the app core's thread throws `Closed`, and neither the
    /// listener nor the secure store is called any more. Call it before the process, or the app's data, goes away.
    pub async fn shutdown(&self) {
        let core = Arc::clone(&self.core);
        // Shut down before: there is nothing to end.
        let ending = async move {
            core.shutdown().await;
            Ok(())
        };
        let _ = self.engine.run(Box::pin(ending)).await;
        self.engine.stop().await;
    }
}

#[uniffi::export]
impl Watch {
    /// Ends the watch; once this returns the listener is not called any more.
    pub async fn stop(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.stop().await;
        }
    }
}

/// What to tell the parent: what happened, and what to do.
#[uniffi::export]
pub fn error_sentence(error: BorsellinoError, language: Language) -> String {
    core::Error::from(error).sentence(language)
}

/// Reads an amount that a parent typed, as `20`, `20,50` or `20.50`, into cents.
///
/// Throws `Invalid`.
#[uniffi::export]
pub fn parse_amount(text: String) -> Result<Amount> {
    Amount::parse(&text).map_err(|_| BorsellinoError::Invalid { what: InvalidInput::Amount })
}
