//! The app core's public face, and what its tasks share.
//!
//! Every async method does its work in a task of its own, so that a caller that is dropped half-way (a screen that
//! closes) leaves nothing half done; [`App::shutdown`] ends and joins them all.

use std::future::Future;
use std::sync::{Arc, Mutex};

use borsellino_domain::activation::ActivationCode;
use borsellino_domain::id::{BillId, CartId, TopUpId, WalletId};
use borsellino_domain::money::Amount;
use borsellino_domain::top_up::PayBy;
use borsellino_proto::v1;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use zeroize::Zeroizing;

use crate::accounts::{Account, Accounts};
use crate::bills::PayBillView;
use crate::cache::{Cache, CacheStart, Rows};
use crate::clock::Clock;
use crate::config::{Config, Steps};
use crate::error::{Error, Invalid, Result};
use crate::fees::FeeAdvice;
use crate::guard::Wanted;
use crate::inner::{Inner, KEY_ITEM, fresh_key, lock};
use crate::intents::{self, Intent};
use crate::models::{AccountView, CreditorInfo, HomeView, Listener, MovementsView, TopUpView};
use crate::push::Pushes;
use crate::receipts::ReceiptsView;
use crate::remote::{Remote, method};
use crate::seal::KEY_LEN;
use crate::secure_store::SecureStore;
use crate::session::{AccountKey, Vault};
use crate::together::{PayItem, TogetherView};
use crate::{sync, tend};

/// The app core.
pub struct App {
    pub(crate) inner: Arc<Inner>,
    start: CacheStart,
}

/// What [`App::resume`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Top-ups that got their answer now.
    pub finished: usize,
    /// Top-ups that still wait for the network.
    pub waiting: usize,
}

/// Keeps a watch going; dropping it ends the watch.
#[derive(Debug)]
pub struct WatchHandle {
    tasks: [AbortHandle; 2],
    ended: Option<oneshot::Receiver<()>>,
}

impl WatchHandle {
    /// Ends the watch; once this returns the listener is not called any more.
    pub async fn stop(mut self) {
        self.abort();
        if let Some(ended) = self.ended.take() {
            // The sender is dropped with the task that calls the listener.
            let _ = ended.await;
        }
    }

    fn abort(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.abort();
    }
}

impl App {
    /// Opens the app core, on tokio. Reads the cache and the secure store; does not touch the network.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the server's address, [`Error::SecureStore`] (try again once the phone is unlocked),
    /// [`Error::Cache`] where no cache can be made, [`Error::Closed`] outside of tokio.
    pub async fn open(config: Config, store: Arc<dyn SecureStore>, clock: Arc<dyn Clock>) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::Closed)?;
        let remote = Remote::new(&config.server_url, config.language, config.pace)?;
        let vault = Vault::new(store);
        let key = cache_key(&vault, clock.as_ref()).await?;
        let accounts = Accounts::load(&vault).await?;
        let (folder, pages, cache_clock) = (config.data_dir.clone(), config.max_cache_pages, Arc::clone(&clock));
        let listed: Vec<String> = accounts.all().map(|account| account.key().as_str().to_owned()).collect();
        let open = move || {
            let (cache, start) = Cache::open(&folder, &key, pages, cache_clock)?;
            // A sign-out that was killed half-way. Where it can't be finished now, the next start does it.
            let _ = cache.write(|rows| rows.forget_all_but(&listed));
            Ok::<_, Error>((cache, start))
        };
        let (cache, start) = tokio::task::spawn_blocking(open).await.map_err(|_| Error::Closed)??;
        let inner = Arc::new(Inner {
            remote,
            cache: Arc::new(cache),
            clock,
            steps: Steps(config.on_step),
            pace: config.pace,
            folder: config.data_dir,
            nudge: Notify::new(),
            language: config.language,
            device_name: config.device_name,
            vault,
            runtime,
            accounts: Mutex::new(accounts),
            sessions: Arc::default(),
            turn: tokio::sync::Mutex::default(),
            work: Notify::new(),
            pushes: Pushes::default(),
            fees_asked: Mutex::default(),
            in_flight: Mutex::default(),
            listeners: Mutex::default(),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        inner.spawn(tend::tend(Arc::clone(&inner)))?;
        Ok(Self { inner, start })
    }

    /// What opening the cache found.
    pub fn cache_start(&self) -> CacheStart {
        self.start
    }

    /// The accounts of this phone. Synchronous: from memory.
    pub fn accounts(&self) -> Vec<AccountView> {
        lock(&self.inner.accounts).views()
    }

    /// Makes `account` the one that the other calls mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] where this phone has no such account.
    pub async fn use_account(&self, account: AccountKey) -> Result<()> {
        self.inner
            .detached(move |inner| async move {
                if !lock(&inner.accounts).activate(&account) {
                    return Err(Error::Invalid(Invalid::Account));
                }
                inner.store_accounts().await
            })
            .await
    }

    /// Finds the creditor of an activation code, as typed, and remembers it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a code that is none, [`Error::Refused`] for an unknown one, [`Error::Offline`] and kin.
    pub async fn activate(&self, code: &str) -> Result<CreditorInfo> {
        let code = ActivationCode::parse(code).map_err(|_| Error::Invalid(Invalid::ActivationCode))?;
        self.inner
            .detached(move |inner| async move {
                let request = v1::ResolveActivationCodeRequest { code: code.as_str().to_owned() };
                let answer = inner
                    .remote
                    .call(&method::RESOLVE_ACTIVATION_CODE, None, &request)
                    .await
                    .map_err(Error::of_a_read)?;
                let creditor = answer.creditor.ok_or(Error::NotOurServer)?;
                let kept = creditor.clone();
                inner.cache.write_later(move |rows| rows.put_creditor(&kept)).await?;
                Ok(creditor.into())
            })
            .await
    }

    /// A creditor found before by [`App::activate`]. Synchronous: from the cache.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn remembered_creditor(&self, fiscal_code: &str) -> Result<Option<CreditorInfo>> {
        self.inner.cache.read(|rows| Ok(rows.creditor(fiscal_code)?.map(CreditorInfo::from)))
    }

    /// The active account's home screen as last known. Synchronous and quick: the first paint. `None` before the first
    /// refresh, or with nobody signed in.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn cached_home(&self) -> Result<Option<HomeView>> {
        self.inner.cached_home()
    }

    /// Asks the server for the home screen, keeps and returns it.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Offline`] and kin, [`Error::Cache`].
    pub async fn refresh_home(&self) -> Result<HomeView> {
        self.inner
            .detached(move |inner| async move {
                let account = inner.active()?;
                inner.refresh(&account, false).await?;
                let shown = Arc::clone(&inner);
                let read = tokio::task::spawn_blocking(move || shown.cached_home()).await.map_err(|_| Error::Closed)?;
                read?.ok_or(Error::SignedOut)
            })
            .await
    }

    /// Movements, newest first: of one wallet or of all, from the beginning or from `page` ([`MovementsView::next`]).
    /// Without the network the first page comes from the cache.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Refused`], [`Error::Offline`] and kin, [`Error::Cache`].
    pub async fn movements(&self, wallet: Option<WalletId>, page: Option<String>) -> Result<MovementsView> {
        self.inner.detached(move |inner| async move { inner.movements(wallet, page).await }).await
    }

    /// Starts a top-up. It is saved before it is sent: an error means that nothing was begun, `Ok` that it will be
    /// finished. Waits for the answer as long as [`crate::Pace::patience`]; a top-up without one is queued, and sending
    /// goes on. Look at the state: it may also be refused. [`App::shutdown`] meanwhile leaves the outcome unknown: the
    /// order is kept, shown as queued, and sent again at the next start.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Cache`] (say, a full phone), [`Error::NoRandomness`], [`Error::Closed`] where the
    /// app core was shut down before; [`Error::InProgress`] while a top-up of the same wallet and amount is being paid.
    pub async fn start_top_up(&self, wallet: WalletId, amount: Amount, pay_by: PayBy) -> Result<TopUpView> {
        let inner = &self.inner;
        let account = inner.active()?;
        // What is about to be saved; by then its id is known to nobody else.
        let begun: Arc<Mutex<Option<(TopUpId, Intent)>>> = Arc::default();
        let (mark, owner) = (Arc::clone(&begun), account.clone());
        let begin = inner.detached(move |inner| async move {
            inner.guard(&owner, &Wanted::Wallet(wallet.to_string(), amount.cents())).await?;
            let asked = inner.snapshot(&owner).await?.and_then(|snapshot| inner.asked(&snapshot));
            let now = inner.clock.now();
            let id = TopUpId::new(now, inner.random()?);
            let order = Intent::new(owner.as_str(), id, wallet, amount, pay_by, now, asked);
            *lock(&mark) = Some((id, order.clone()));
            Ok((id, inner.begin(&owner, order).await?))
        });
        let (id, intent) = match begin.await {
            Err(Error::Closed) => {
                let Some((id, intent)) = lock(&begun).take() else { return Err(Error::Closed) };
                // Shut down under way, perhaps before it was on the disk: now it is, once, and is not called lost.
                let saved = intent.clone();
                inner.cache.write_later(move |rows| intents::add(rows, &saved)).await?;
                (id, intent)
            }
            begun => begun?,
        };
        let snapshot = inner.snapshot(&account).await.ok().flatten().unwrap_or_else(|| inner.empty_snapshot());
        let creditor = inner.creditor(&account);
        Ok(inner.shown(&creditor, &snapshot).own(id, wallet, &intent))
    }

    /// Asks for a page again for a top-up that is to pay or was not completed, by sending the same order again: same id,
    /// wallet, amount and way of paying. Also for one begun on another phone of the same guardian, if the home screen
    /// lists it. For any other top-up answers how it stands. Doing it again is safe.
    ///
    /// # Errors
    /// [`Error::Invalid`] where this phone knows no such top-up, [`Error::SignedOut`], [`Error::Refused`],
    /// [`Error::Offline`], [`Error::OutcomeUnknown`] (also after [`crate::Pace::patience`]) and kin.
    pub async fn retry_top_up(&self, top_up: TopUpId) -> Result<TopUpView> {
        let asking = self.inner.detached(move |inner| async move {
            let account = inner.active()?;
            inner.retry(&account, top_up).await
        });
        self.patiently(asking).await
    }

    /// Takes a refused top-up off the screen.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub async fn dismiss(&self, top_up: TopUpId) -> Result<()> {
        self.dismiss_row(top_up.to_string()).await
    }

    /// Takes a payment of several things that was refused off the screen.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub async fn dismiss_together(&self, payment: CartId) -> Result<()> {
        self.dismiss_row(payment.to_string()).await
    }

    async fn dismiss_row(&self, id: String) -> Result<()> {
        self.inner
            .detached(move |inner| async move {
                let remove = move |rows: &Rows<'_>| {
                    let refused = rows.intent(&id)?.is_some_and(|row| row.stage == 4);
                    if refused { rows.remove_intent(&id) } else { Ok(()) }
                };
                inner.cache.write_later(remove).await
            })
            .await
    }

    /// Pays several things, of several children and services, in as few fees as can be: new top-ups, bills, instalments. Everything
    /// is saved before anything is sent: an error means that nothing was begun, `Ok` that it will be finished, with one order
    /// for each top-up and one page for each group. Waits at most [`crate::Pace::patience`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for nothing, one thing twice, or a bill that asks for nothing; [`Error::InProgress`] while one of them
    /// is being paid; [`Error::SignedOut`], [`Error::Cache`], [`Error::NoRandomness`].
    pub async fn pay_together(&self, items: Vec<PayItem>) -> Result<TogetherView> {
        self.inner.detached(move |inner| async move { inner.pay_together(items).await }).await
    }

    /// What paying these amounts costs, and how to pay them for the fewest fees. From the cache but for the first time; without the
    /// network, or where the creditor has no table, it says that nobody knows.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Cache`].
    pub async fn fee_advice(&self, amounts: Vec<Amount>) -> Result<FeeAdvice> {
        self.inner.detached(move |inner| async move { inner.fee_advice(amounts).await }).await
    }

    /// What was paid, newest first: from the beginning or from `page` ([`ReceiptsView::next`]). Without the network the first
    /// page comes from the cache.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Refused`], [`Error::Offline`] and kin, [`Error::OlderServer`], [`Error::Cache`].
    pub async fn receipts(&self, page: Option<String>) -> Result<ReceiptsView> {
        self.inner.detached(move |inner| async move { inner.receipts(page).await }).await
    }

    /// Brings every account up to date, after sending what waits: for a fetch in the background, or a push. A few bytes where
    /// nothing changed. Answers whether anything did.
    ///
    /// # Errors
    /// [`Error::Offline`] and kin, [`Error::SignedOut`] or [`Error::Wiped`] where that is the active account's, [`Error::Cache`].
    pub async fn sync(&self) -> Result<bool> {
        self.inner.detached(|inner| async move { inner.sync_all().await }).await
    }

    /// The parent is back from the pagoPA page, or followed a link into the app. That is a reason to look, and proves nothing:
    /// `url` changes no state, whatever it says.
    ///
    /// # Errors
    /// As [`App::sync`].
    pub async fn returned_from_browser(&self, url: &str) -> Result<bool> {
        // Only the server knows what happened there.
        let _ = url;
        self.inner.nudge.notify_waiters();
        self.sync().await
    }

    /// Opens a pagoPA page for a bill, or tells with which notice to pay it. Waits at most [`crate::Pace::patience`].
    ///
    /// # Errors
    /// [`Error::InProgress`] while it is being paid, [`Error::SignedOut`], [`Error::Refused`], [`Error::Offline`], [`Error::OutcomeUnknown`] and kin.
    pub async fn pay_bill(&self, bill: BillId) -> Result<PayBillView> {
        let paying = self.inner.detached(move |inner| async move {
            let account = inner.active()?;
            inner.pay_bill(&account, bill).await
        });
        self.patiently(paying).await
    }

    /// What the parent waits for has one deadline over everything, a renewal of the session included.
    pub(crate) async fn patiently<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(self.inner.pace.patience, work).await.unwrap_or(Err(Error::OutcomeUnknown))
    }

    /// Finishes every top-up that is not finished, of every account, then refreshes the active one. Call it when the
    /// app starts, comes to the front, or the network comes back.
    ///
    /// # Errors
    /// [`Error::Offline`] and kin: what is unfinished stays so; [`Error::Cache`].
    pub async fn resume(&self) -> Result<Resumed> {
        self.inner
            .detached(move |inner| async move {
                inner.nudge.notify_waiters();
                inner.work.notify_one();
                let mut resumed = Resumed::default();
                let keys: Vec<AccountKey> = lock(&inner.accounts).all().map(Account::key).collect();
                for account in keys {
                    let of_one = inner.finish(&account).await?;
                    resumed.finished = resumed.finished.saturating_add(of_one.finished);
                    resumed.waiting = resumed.waiting.saturating_add(of_one.waiting);
                }
                if let Ok(account) = inner.active() {
                    sync::sync(&inner, &account).await?;
                    inner.settle(&account).await?;
                }
                Ok(resumed)
            })
            .await
    }

    /// Follows the active account's feed and tells `listener`, until the handle is dropped or the session ends.
    ///
    /// # Errors
    /// [`Error::SignedOut`], [`Error::Closed`].
    pub fn watch(&self, listener: Arc<dyn Listener>) -> Result<WatchHandle> {
        let inner = &self.inner;
        let account = inner.active()?;
        let (sender, mut events) = mpsc::unbounded_channel();
        let (ending, ended) = oneshot::channel::<()>();
        lock(&inner.listeners).push((account.clone(), sender));
        // One task calls the listener, so that events keep their order.
        let telling = inner.spawn(async move {
            let _ending = ending;
            while let Some(event) = events.recv().await {
                listener.on_event(event);
            }
        })?;
        inner.work.notify_one();
        let following = inner.spawn(sync::follow(Arc::clone(inner), account))?;
        Ok(WatchHandle { tasks: [following, telling], ended: Some(ended) })
    }

    /// Ends and joins every task. Afterwards every call answers [`Error::Closed`], and neither the listener nor the
    /// secure store is called any more. Hosts must call it before they are torn down.
    pub async fn shutdown(&self) {
        let tasks = lock(&self.inner.tasks).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        self.inner.vault.close(&self.inner.runtime).await;
        lock(&self.inner.listeners).clear();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Tasks hold the shared part: without this they would outlive the app.
        if let Some(tasks) = lock(&self.inner.tasks).as_mut() {
            tasks.abort_all();
        }
    }
}

/// The cache's key, made on the first start.
async fn cache_key(vault: &Vault, clock: &dyn Clock) -> Result<Zeroizing<[u8; KEY_LEN]>> {
    let kept = Zeroizing::new(vault.get(KEY_ITEM).await?.unwrap_or_default());
    if let Ok(key) = <[u8; KEY_LEN]>::try_from(kept.as_slice()) {
        return Ok(Zeroizing::new(key));
    }
    let key = fresh_key(clock)?;
    vault.set(KEY_ITEM, key.to_vec()).await?;
    Ok(key)
}
