//! What the app core's tasks share, and the work that the public calls and the live stream are made of.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsellino_domain::id::{BillId, TopUpId, WalletId};
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use prost::Message;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use zeroize::Zeroizing;

use crate::access::RECOVERY_ITEM;
use crate::accounts::Accounts;
use crate::app::Resumed;
use crate::bills::PayBillView;
use crate::cache::{Cache, Heard, Rows, Snapshot, StoredIntentRow, remove_aside};
use crate::clock::Clock;
use crate::config::{Step, Steps};
use crate::error::{Error, Invalid, Reason, Result};
use crate::guard::Wanted;
use crate::intents::{self, Held, Intent, KEEP_FINISHED, Known, News, Progress};
use crate::models::{CreditorInfo, Event, HomeView, MovementsView, QueuedWhy, Shown, TopUpView, safe_url};
use crate::push::Pushes;
use crate::remote::{Method, Pace, Remote, method};
use crate::seal::KEY_LEN;
use crate::session::{AccountKey, Session, Vault, item};
use crate::sync::{self, Backoff, Taken};
use crate::together::{self, Cart};

/// How often a top-up whose answer is lost is sent again at once, before it waits for the network.
const SENDS: u32 = 3;

/// How often the home screen is asked for again when changes overtake it.
const REFRESHES: u32 = 3;

/// The secure store's item that holds the cache's key.
pub(crate) const KEY_ITEM: &str = "borsellino-cache-key";

/// A new key for the cache.
pub(crate) fn fresh_key(clock: &dyn Clock) -> Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    clock.fill(key.as_mut())?;
    Ok(key)
}

/// A piece of work whose kind nobody asks after.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The sessions in use.
pub(crate) type Sessions = Arc<Mutex<HashMap<AccountKey, Arc<Session>>>>;

/// What was asked for under a session that has ended meanwhile must not be kept.
fn is_current(sessions: &Sessions, account: &AccountKey, session: &Arc<Session>) -> bool {
    lock(sessions).get(account).is_some_and(|now| Arc::ptr_eq(now, session))
}

/// Shared by all tasks of one app core.
pub(crate) struct Inner {
    pub(crate) remote: Remote,
    pub(crate) cache: Arc<Cache>,
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Steps,
    pub(crate) pace: Pace,
    /// Where the cache lies.
    pub(crate) folder: PathBuf,
    pub(crate) language: Language,
    pub(crate) device_name: String,
    /// Wakes whoever waits to connect again.
    pub(crate) nudge: Notify,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) accounts: Mutex<Accounts>,
    pub(crate) sessions: Sessions,
    /// Held while a session begins or ends.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Wakes whoever sends again what waits, because there is something new to wait for.
    pub(crate) work: Notify,
    /// What is wanted of pushes, and which came.
    pub(crate) pushes: Pushes,
    /// Accounts whose table of fees was asked for since the app core was opened.
    pub(crate) fees_asked: Mutex<HashSet<AccountKey>>,
    /// Queues being sent, and top-ups being asked again, right now: one sender each.
    pub(crate) in_flight: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) listeners: Mutex<Vec<(AccountKey, mpsc::UnboundedSender<Event>)>>,
    /// `None` once shut down.
    pub(crate) tasks: Mutex<Option<JoinSet<()>>>,
}

/// Whether what was asked for may still be kept: the session it was asked under goes on.
pub(crate) struct Keep {
    sessions: Sessions,
    session: Arc<Session>,
}

impl Keep {
    pub(crate) fn is_current(&self, account: &AccountKey) -> bool {
        is_current(&self.sessions, account, &self.session)
    }
}

/// What became of a queue that was sent.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) resumed: Resumed,
    /// The top-up that was asked about.
    own: Option<Intent>,
}

/// A row of the queue.
enum Work {
    TopUp(Box<Intent>),
    Together(Cart),
}

impl Work {
    /// `None` for a kind that this version does not know: it stays.
    fn of(row: StoredIntentRow) -> Option<Self> {
        match row.kind.as_str() {
            intents::KIND => Intent::from_row(row).map(Box::new).map(Self::TopUp),
            together::KIND => Cart::from_row(row).map(Self::Together),
            _ => None,
        }
    }

    fn is_unsent(&self) -> bool {
        match self {
            Self::TopUp(intent) => intent.is_unsent(),
            Self::Together(cart) => cart.is_unsent(),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is changed in single steps: a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Runs a task that [`crate::App::shutdown`] ends and joins.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<AbortHandle> {
        let mut tasks = lock(&self.tasks);
        let tasks = tasks.as_mut().ok_or(Error::Closed)?;
        while tasks.try_join_next().is_some() {}
        // One kind of task for tokio, whatever it does: its machinery is compiled once, which a phone's app notices in size.
        let work: Boxed<()> = Box::pin(work);
        Ok(tasks.spawn_on(work, &self.runtime))
    }

    /// Runs `work` to its end even when the caller is dropped.
    pub(crate) fn detached<T, Fut>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> Fut) -> Boxed<Result<T>>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        Arc::clone(self).detached_boxed(Box::pin(work(Arc::clone(self))))
    }

    /// Compiled once for each kind of answer, not for each body.
    fn detached_boxed<T: Send + 'static>(self: Arc<Self>, work: Boxed<Result<T>>) -> Boxed<Result<T>> {
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            self.spawn(async move {
                // Nobody may be waiting any more.
                let _ = sender.send(work.await);
            })?;
            answer.await.map_err(|_| Error::Closed)?
        })
    }

    /// Forgets all that this phone holds of an account, its orders too.
    pub(crate) async fn forget(&self, account: &AccountKey) -> Result<()> {
        self.cache.forget(account.as_str(), true).await
    }

    pub(crate) fn active(&self) -> Result<AccountKey> {
        lock(&self.accounts).active().map(crate::accounts::Account::key).ok_or(Error::SignedOut)
    }

    pub(crate) fn creditor(&self, account: &AccountKey) -> CreditorInfo {
        lock(&self.accounts).get(account).map(crate::accounts::Account::creditor_info).unwrap_or_default()
    }

    pub(crate) async fn store_accounts(&self) -> Result<()> {
        let accounts = lock(&self.accounts).clone();
        accounts.store(&self.vault).await
    }

    fn session(&self, account: &AccountKey) -> Arc<Session> {
        let mut sessions = lock(&self.sessions);
        let make = || Session::new(account.clone(), self.vault.clone(), Arc::clone(&self.clock), self.steps.clone());
        Arc::clone(sessions.entry(account.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// Makes a call with an access token, and once more with a new one where the server does not take it.
    pub(crate) async fn with_token<T, Fut>(&self, account: &AccountKey, call: impl Fn(String) -> Fut) -> Result<T>
    where
        Fut: Future<Output = Result<T>>,
    {
        let session = self.session(account);
        let answer = async {
            let token = session.token(&self.remote).await?;
            match call(token.clone()).await {
                Err(Error::Refused(no)) if no.reason == Reason::TokenInvalid => {
                    call(session.renew(&token, &self.remote).await?).await
                }
                answer => answer,
            }
        };
        match answer.await {
            Err(Error::Refused(no)) if no.reason == Reason::SessionEnded => {
                Err(self.over(account, &session, false).await)
            }
            Err(Error::Refused(no)) if no.reason == Reason::SessionWiped => {
                Err(self.over(account, &session, true).await)
            }
            Err(Error::Wiped) => Err(self.over(account, &session, true).await),
            Err(Error::SignedOut) => Err(self.over(account, &session, false).await),
            answer => answer,
        }
    }

    /// Asks with an access token. What does not depend on the messages is compiled once.
    pub(crate) async fn ask<Q: Message, A: Message + Default>(
        &self,
        account: &AccountKey,
        method: &Method<Q, A>,
        message: &Q,
    ) -> Result<A> {
        method.read(&self.ask_bare(account, method.path(), message.encode_to_vec()).await?)
    }

    pub(crate) fn ask_bare<'a>(
        &'a self,
        account: &'a AccountKey,
        path: &'static str,
        message: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send + 'a>> {
        let call = move |token: String| {
            let message = message.clone();
            async move { self.remote.bare(path, Some(&token), message).await }
        };
        Box::pin(self.with_token(account, call))
    }

    /// The session has ended. Boxed: whoever makes a call holds a pointer to this, which hardly ever happens.
    fn over<'a>(
        &'a self,
        account: &'a AccountKey,
        session: &'a Arc<Session>,
        wiped: bool,
    ) -> Pin<Box<dyn Future<Output = Error> + Send + 'a>> {
        Box::pin(async move {
            let done = if wiped { self.wiped(account, session).await } else { self.ended(account, session).await };
            done.err().unwrap_or(if wiped { Error::Wiped } else { Error::SignedOut })
        })
    }

    /// The office can end a guardian's access at once: then what was seen must not stay on the phone. Intents stay,
    /// and are finished if the same guardian signs in again.
    async fn ended(&self, account: &AccountKey, session: &Arc<Session>) -> Result<()> {
        // One at a time, and not while somebody signs in: the tokens thrown away must be those that ended.
        let _turn = self.turn.lock().await;
        if is_current(&self.sessions, account, session) {
            self.vault.remove(item(account)).await?;
            // Pushes for it are not shown any more; at worst the next sign-in says so.
            let _ = self.forget_push(account).await;
            // First this, so that an answer still on its way is not written after the rest was forgotten.
            lock(&self.sessions).remove(account);
            self.cache.forget(account.as_str(), false).await?;
        }
        Ok(())
    }

    /// The phone was said to be lost: nothing of the account stays, its orders neither, and not the key that opens what SQLite
    /// may have left somewhere.
    async fn wiped(&self, account: &AccountKey, session: &Arc<Session>) -> Result<()> {
        let _turn = self.turn.lock().await;
        if !is_current(&self.sessions, account, session) {
            return Ok(());
        }
        let last = {
            let mut accounts = lock(&self.accounts);
            accounts.remove(account);
            lock(&self.sessions).remove(account);
            accounts.all().next().is_none()
        };
        // No failure keeps the rest from going.
        let forgotten = self.forget(account).await;
        let folder = self.folder.clone();
        let aside = tokio::task::spawn_blocking(move || remove_aside(&folder)).await;
        let tokens = self.vault.remove(item(account)).await;
        let pushes = self.forget_push(account).await;
        let recovery = self.vault.remove(RECOVERY_ITEM).await;
        let stored = self.store_accounts().await;
        let emptied = if last { self.new_key().await } else { Ok(()) };
        self.emit(account, Event::HomeChanged);
        let secrets = tokens.and(pushes).and(recovery);
        secrets.and(stored).and(forgotten).and(emptied).and(aside.map_err(|_| Error::Closed).flatten())
    }

    /// Empties the cache and gives it another key: what the old one sealed opens for nobody any more.
    pub(crate) async fn new_key(&self) -> Result<()> {
        let key = fresh_key(self.clock.as_ref())?;
        self.vault.set(KEY_ITEM, key.to_vec()).await?;
        let cache = Arc::clone(&self.cache);
        tokio::task::spawn_blocking(move || cache.begin_anew(&key)).await.map_err(|_| Error::Closed)?
    }

    /// For an answer that is about to be asked for.
    pub(crate) fn keep(&self, account: &AccountKey) -> Keep {
        Keep { sessions: Arc::clone(&self.sessions), session: self.session(account) }
    }

    /// Now, by the phone's clock and by the one that nobody sets.
    pub(crate) fn moment(&self) -> (Millis, Heard) {
        (self.clock.now(), Heard::now(self.clock.as_ref()))
    }

    /// Ten bytes for an id.
    pub(crate) fn random(&self) -> Result<[u8; 10]> {
        let mut random = [0; 10];
        self.clock.fill(&mut random)?;
        Ok(random)
    }

    /// When something is asked for now: the last instant the server signed, and how long ago it came.
    pub(crate) fn asked(&self, snapshot: &Snapshot) -> Option<v1::Asked> {
        let server = snapshot.home.time.clone()?;
        Some(v1::Asked { server: Some(server), since_ms: snapshot.heard.ago(self.clock.as_ref()) })
    }

    /// Sends what waits and brings up to date, account by account. What is the matter with another account than the active one
    /// is no answer for the parent.
    pub(crate) async fn sync_all(self: &Arc<Self>) -> Result<bool> {
        let active = self.active().ok();
        let keys: Vec<AccountKey> = lock(&self.accounts).all().map(crate::accounts::Account::key).collect();
        let mut changed = false;
        let mut failed = None;
        for account in keys {
            let done = async {
                self.finish(&account).await?;
                let changed = sync::sync(self, &account).await?;
                self.settle(&account).await?;
                Ok(changed)
            };
            match done.await {
                Ok(news) => changed |= news,
                Err(error) if active.as_ref() == Some(&account) => failed = Some(error),
                Err(error @ Error::Cache(_)) => failed = Some(error),
                Err(_) => {}
            }
        }
        // Also what else waits for the network.
        self.work.notify_one();
        failed.map_or(Ok(changed), Err)
    }

    /// Asks what changed.
    pub(crate) async fn ask_sync(
        &self,
        account: &AccountKey,
        request: v1::SyncRequest,
    ) -> Result<(v1::SyncResponse, Keep)> {
        let keep = self.keep(account);
        Ok((self.ask(account, &method::SYNC, &request).await?, keep))
    }

    /// Tells everyone who watches `account`.
    pub(crate) fn emit(&self, account: &AccountKey, event: Event) {
        let tell = |(of, listener): &(AccountKey, mpsc::UnboundedSender<Event>)| {
            if of == account { listener.send(event.clone()).is_ok() } else { !listener.is_closed() }
        };
        lock(&self.listeners).retain(tell);
    }

    pub(crate) async fn snapshot(&self, account: &AccountKey) -> Result<Option<Snapshot>> {
        let key = account.clone();
        self.cache.read_later(move |rows| rows.snapshot(key.as_str())).await
    }

    /// What there is to show before anything is known.
    pub(crate) fn empty_snapshot(&self) -> Snapshot {
        let (stored_at, heard) = (self.clock.now(), Heard::default());
        let home = v1::HomeResponse { as_of_ms: stored_at.get(), ..Default::default() };
        Snapshot { home, feed_seq: 0, stored_at, heard, home_at: Millis::default() }
    }

    pub(crate) fn shown<'a>(&self, creditor: &'a CreditorInfo, snapshot: &'a Snapshot) -> Shown<'a> {
        Shown::new(self.language, creditor, snapshot, self.clock.as_ref())
    }

    /// Blocking, but short: three reads.
    pub(crate) fn cached_home(&self) -> Result<Option<HomeView>> {
        let Ok(account) = self.active() else { return Ok(None) };
        let key = account.as_str();
        let read = |rows: &Rows<'_>| Ok((rows.snapshot(key)?, intents::all(rows, key)?, together::all(rows, key)?));
        let (snapshot, intents, carts) = self.cache.read(read)?;
        let creditor = self.creditor(&account);
        Ok(snapshot.map(|snapshot| self.shown(&creditor, &snapshot).home(&intents, &carts)))
    }

    /// Asks for the home screen and keeps it. With `from_scratch` it replaces a cache that claims to know more.
    pub(crate) async fn refresh(&self, account: &AccountKey, from_scratch: bool) -> Result<()> {
        let mut went_back = 0_u32;
        for _ in 0..REFRESHES {
            let (sessions, session) = (Arc::clone(&self.sessions), self.session(account));
            let before = self.snapshot(account).await?.map_or(0, |snapshot| snapshot.feed_seq);
            let asked = self.ask(account, &method::HOME, &v1::HomeRequest {}).await;
            let home = asked.map_err(Error::of_a_read)?;
            // What was read after we asked can't be older than what we knew then, unless the server lost its memory.
            if home.feed_seq < before {
                went_back = went_back.saturating_add(1);
            }
            let from_scratch = from_scratch || went_back == REFRESHES;
            let (key, moment) = (account.clone(), self.moment());
            let take = move |rows: &Rows<'_>| {
                if !is_current(&sessions, &key, &session) {
                    return Ok(Taken::Old);
                }
                let taken = sync::take_home(rows, key.as_str(), home, moment.clone(), from_scratch)?;
                rows.prune_intents(key.as_str(), KEEP_FINISHED)?;
                Ok(taken)
            };
            if let Taken::New(old) = self.cache.write_later(take).await? {
                self.tell_news(account, old).await?;
                // A top-up that was paid just before this was read is not listed here, and the change that tells of it
                // comes too late to be taken. What can't be asked now is asked with the next refresh.
                let _ = self.settle(account).await;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Tells the listeners how the snapshot differs from `old`.
    pub(crate) async fn tell_news(&self, account: &AccountKey, old: Option<Box<v1::HomeResponse>>) -> Result<()> {
        if let Some(old) = old {
            let key = account.clone();
            let read = self
                .cache
                .read_later(move |rows| Ok((rows.snapshot(key.as_str())?, intents::all(rows, key.as_str())?)));
            let (snapshot, intents) = read.await?;
            let creditor = self.creditor(account);
            if let Some(snapshot) = snapshot {
                for event in self.shown(&creditor, &snapshot).news_since(&old, &intents) {
                    self.emit(account, event);
                }
            }
        }
        self.emit(account, Event::HomeChanged);
        Ok(())
    }

    pub(crate) async fn movements(&self, wallet: Option<WalletId>, page: Option<String>) -> Result<MovementsView> {
        let account = self.active()?;
        let wallet = wallet.map(|id| id.to_string()).unwrap_or_default();
        let first = page.is_none();
        let request =
            v1::ListMovementsRequest { wallet_id: wallet.clone(), page_size: 0, page_token: page.unwrap_or_default() };
        let (key, sessions, session) = (account.clone(), Arc::clone(&self.sessions), self.session(&account));
        let asked = self.ask(&account, &method::LIST_MOVEMENTS, &request).await;
        let (answer, kept_at) = match asked.map_err(Error::of_a_read) {
            Ok(answer) => {
                if first {
                    let kept = answer.clone();
                    let clock = Arc::clone(&self.clock);
                    let keep = move |rows: &Rows<'_>| {
                        if !is_current(&sessions, &key, &session) {
                            return Ok(());
                        }
                        let at = rows.snapshot(key.as_str())?.and_then(|snapshot| snapshot.server_now(clock.as_ref()));
                        rows.put_movements(key.as_str(), &wallet, &kept, at.unwrap_or_default())
                    };
                    self.cache.write_later(keep).await?;
                }
                (answer, None)
            }
            Err(error @ (Error::Offline | Error::NotOurServer | Error::CertificateTime)) if first => {
                let kept = self.cache.read_later(move |rows| rows.movements(key.as_str(), &wallet)).await?;
                let (kept, at) = kept.ok_or(error)?;
                (kept, Some(at))
            }
            Err(error) => return Err(error),
        };
        let snapshot = self.snapshot(&account).await?.unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(&account);
        let shown = self.shown(&creditor, &snapshot);
        let from_cache = kept_at.is_some();
        let as_of = kept_at.map_or(shown.now, |at| Some(at).filter(|at| at.get() > 0));
        Ok(MovementsView {
            as_of,
            as_of_text: as_of.map(|at| shown.words.as_of(at)).unwrap_or_default(),
            movements: answer.movements.iter().map(|movement| shown.movement(movement)).collect(),
            // The pages behind a kept one belong to another moment.
            next: Some(answer.next_page_token).filter(|token| !token.is_empty() && !from_cache),
            from_cache,
        })
    }

    /// Works news into an intent on the disk and tells of it.
    async fn learn(&self, account: &AccountKey, id: &str, news: News) -> Result<Option<Intent>> {
        let (owner, key) = (account.clone(), id.to_owned());
        let intent = self.cache.write_later(move |rows| sync::take_news(rows, owner.as_str(), &key, news)).await?;
        if let Some(intent) = &intent
            && !intent.is_unsent()
        {
            if let Some(view) = self.show_intent(account, intent).await {
                self.emit(account, Event::TopUpChanged(Box::new(view)));
            }
            self.emit(account, Event::HomeChanged);
        }
        Ok(intent)
    }

    /// Saves a top-up, sends it, and waits a little for its answer: what is saved by then is not lost, and sending goes
    /// on when the parent has waited long enough.
    pub(crate) async fn begin(self: &Arc<Self>, account: &AccountKey, intent: Intent) -> Result<Intent> {
        let saved = intent.clone();
        self.cache.write_later(move |rows| intents::add(rows, &saved)).await?;
        self.steps.reached(Step::IntentSaved);
        // From here on nothing fails any more: whatever comes of it now, it is on the disk.
        let (sender, answer) = oneshot::channel();
        let (inner, owner, id) = (Arc::clone(self), account.clone(), intent.order.id.clone());
        let sending = self.spawn(async move {
            let passed = inner.pass(&owner, Some(&id)).await;
            // Nobody may be waiting any more.
            let _ = sender.send(passed.ok().and_then(|passed| passed.own));
        });
        if sending.is_ok()
            && let Ok(Ok(Some(answered))) = tokio::time::timeout(self.pace.patience, answer).await
        {
            self.work.notify_one();
            return Ok(answered);
        }
        let id = intent.order.id.clone();
        let kept = self.cache.read_later(move |rows| intents::find(rows, &id)).await;
        self.work.notify_one();
        Ok(kept.ok().flatten().unwrap_or(intent))
    }

    /// Sends the queue up to `id`, and waits no longer than a parent does.
    pub(crate) async fn pass_patiently(self: &Arc<Self>, account: &AccountKey, id: &str) {
        let (sender, done) = oneshot::channel::<()>();
        let (inner, owner, id) = (Arc::clone(self), account.clone(), id.to_owned());
        let sending = self.spawn(async move {
            // Whatever becomes of it is on the disk.
            let _ = inner.pass(&owner, Some(&id)).await;
            drop(sender);
        });
        if sending.is_ok() {
            let _ = tokio::time::timeout(self.pace.patience, done).await;
        }
        self.work.notify_one();
    }

    /// Asks for a page for a bill; the home screen says at once that it is being paid.
    pub(crate) async fn pay_bill(&self, account: &AccountKey, bill: BillId) -> Result<PayBillView> {
        self.guard(account, &Wanted::Bill(bill.to_string())).await?;
        let request = v1::PayBillRequest { bill_id: bill.to_string() };
        let (key, sessions, session) = (account.clone(), Arc::clone(&self.sessions), self.session(account));
        let answer = self.ask(account, &method::PAY_BILL, &request).await?;
        let bill = answer.bill.ok_or(Error::NotOurServer)?;
        let kept = bill.clone();
        let keep = move |rows: &Rows<'_>| {
            if is_current(&sessions, &key, &session) { sync::take_bill(rows, key.as_str(), kept) } else { Ok(()) }
        };
        // A page is open: that it could not be written down is no reason to keep it from the parent.
        if self.cache.write_later(keep).await.is_ok() {
            self.emit(account, Event::HomeChanged);
        }
        let snapshot = self.snapshot(account).await.ok().flatten().unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(account);
        let page = safe_url(&answer.checkout_url);
        self.work.notify_one();
        Ok(PayBillView {
            bill: self.shown(&creditor, &snapshot).bill(&bill, page.is_some()).ok_or(Error::NotOurServer)?,
            checkout_url: page,
            checkout_unavailable: answer.checkout_unavailable,
        })
    }

    /// Sends a top-up until it has its answer, or hands it back as it is, with the reason. Its queue is held.
    async fn submit(&self, account: &AccountKey, mut intent: Intent) -> (Intent, Option<Error>) {
        let id = intent.order.id.clone();
        match self.learn(account, &id, News::Sending).await {
            Ok(Some(marked)) => intent = marked,
            Ok(None) => return (intent, None),
            Err(error) => return (intent, Some(error)),
        }
        if !intent.is_unsent() {
            return (intent, None);
        }
        self.steps.reached(Step::BeforeSend);
        let order = &intent.order;
        let mut backoff = Backoff::new(self.pace);
        let mut sends = 0_u32;
        let news = loop {
            sends = sends.saturating_add(1);
            match self.ask(account, &method::START_TOP_UP, order).await {
                Ok(v1::StartTopUpResponse { payment: Some(payment), checkout_unavailable, .. }) => {
                    break News::Answered(Known { payment, checkout_unavailable });
                }
                Ok(_) => return self.hold(account, intent, Error::NotOurServer).await,
                Err(Error::Refused(no)) if no.is_final => break News::Refused(no),
                // The same id again: the server answers with the same top-up if it did it.
                Err(Error::OutcomeUnknown) if sends < SENDS => {
                    tokio::time::sleep(backoff.wait(self.clock.as_ref())).await;
                }
                Err(error) => return self.hold(account, intent, error).await,
            }
        };
        self.steps.reached(Step::AfterSend);
        match self.learn(account, &id, news).await {
            Ok(Some(answered)) => intent = answered,
            Ok(None) => {}
            Err(error) => return (intent, Some(error)),
        }
        self.steps.reached(Step::AfterAnswer);
        (intent, None)
    }

    pub(crate) async fn flight(&self, id: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let gate = {
            let mut gates = lock(&self.in_flight);
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(id.to_owned()).or_default())
        };
        gate.lock_owned().await
    }

    /// Writes down why it still waits, so that the screen can say so, and has it sent again later.
    async fn hold(&self, account: &AccountKey, intent: Intent, error: Error) -> (Intent, Option<Error>) {
        let held = Held::from(&error);
        let known = intent.held == held;
        // If not even this can be written, it is sent again all the same.
        let written = self.learn(account, &intent.order.id, News::Held(held)).await;
        let intent = written.ok().flatten().unwrap_or(Intent { held, ..intent });
        if !known {
            self.emit(account, Event::HomeChanged);
        }
        self.work.notify_one();
        (intent, Some(error))
    }

    /// Sends the order of a top-up that the server has once more, to get a page again, or its newest state.
    pub(crate) async fn retry(self: &Arc<Self>, account: &AccountKey, id: TopUpId) -> Result<TopUpView> {
        let (owner, key, now) = (account.clone(), id.to_string(), self.clock.now());
        let adopt = move |rows: &Rows<'_>| sync::adopt(rows, owner.as_str(), &key, now);
        let intent = self.cache.write_later(adopt).await?.ok_or(Error::Invalid(Invalid::TopUp))?;
        let intent = match intent.progress {
            Progress::Queued | Progress::Sent => {
                self.pass(account, Some(&intent.order.id)).await?.own.ok_or(Error::Invalid(Invalid::TopUp))?
            }
            Progress::Accepted(_) => self.ask_again(account, intent).await?,
            Progress::Done(_) | Progress::Refused(_) => intent,
        };
        self.show_intent(account, &intent).await.ok_or(Error::Invalid(Invalid::TopUp))
    }

    async fn ask_again(&self, account: &AccountKey, intent: Intent) -> Result<Intent> {
        let _flight = self.flight(&intent.order.id).await;
        let answer = self.ask(account, &method::START_TOP_UP, &intent.order).await?;
        let payment = answer.payment.ok_or(Error::NotOurServer)?;
        let known = Known { payment, checkout_unavailable: answer.checkout_unavailable };
        // A page is open: that it could not be written down is no reason to keep it from the parent.
        let told = self.learn(account, &intent.order.id, News::Answered(known.clone())).await;
        Ok(told.ok().flatten().unwrap_or_else(|| intent.learn(News::Answered(known))))
    }

    /// Sends what was not sent, or sent without an answer.
    pub(crate) async fn finish(self: &Arc<Self>, account: &AccountKey) -> Result<Resumed> {
        Ok(self.pass(account, None).await?.resumed)
    }

    /// Sends an account's queue in its order, one sender at a time, as far as `until` where that is named. What the network
    /// or a busy server does to one row it would do to the next: these wait. A fault over one row says nothing about the next.
    async fn pass(self: &Arc<Self>, account: &AccountKey, until: Option<&str>) -> Result<Passed> {
        // Whoever sends it already is waited for.
        let _line = self.flight(account.as_str()).await;
        let key = account.clone();
        let rows = self.cache.read_later(move |rows| rows.intents(key.as_str())).await?;
        let mut passed = Passed::default();
        let mut stopped: Option<Error> = None;
        for row in rows {
            let is_last = until == Some(row.id.as_str());
            let Some(work) = Work::of(row) else { continue };
            if work.is_unsent() {
                passed.resumed.waiting = passed.resumed.waiting.saturating_add(1);
                let (done, error) = self.send(account, work, stopped.as_ref()).await;
                if !done.is_unsent() {
                    passed.resumed.finished = passed.resumed.finished.saturating_add(1);
                    passed.resumed.waiting = passed.resumed.waiting.saturating_sub(1);
                }
                if let (true, Work::TopUp(intent)) = (is_last, done) {
                    passed.own = Some(*intent);
                }
                match error {
                    None => {}
                    Some(Error::Refused(no)) if no.reason == Reason::Internal => {}
                    Some(error @ (Error::Cache(_) | Error::Closed)) if until.is_none() => return Err(error),
                    Some(why) => stopped = stopped.or(Some(why)),
                }
            } else if let (true, Work::TopUp(intent)) = (is_last, work) {
                passed.own = Some(*intent);
            }
            if is_last {
                break;
            }
        }
        Ok(passed)
    }

    /// Sends one row, or has it wait for what stopped an earlier one.
    async fn send(
        self: &Arc<Self>,
        account: &AccountKey,
        work: Work,
        stopped: Option<&Error>,
    ) -> (Work, Option<Error>) {
        match (work, stopped) {
            (Work::TopUp(intent), Some(why)) => {
                let (intent, _) = self.hold(account, *intent, why.clone()).await;
                (Work::TopUp(Box::new(intent)), None)
            }
            (Work::TopUp(intent), None) => {
                let (intent, error) = self.submit(account, *intent).await;
                (Work::TopUp(Box::new(intent)), error)
            }
            (Work::Together(cart), Some(_)) => (Work::Together(cart), None),
            (Work::Together(cart), None) => {
                let (cart, error) = self.submit_cart(account, cart).await;
                (Work::Together(cart), error)
            }
        }
    }

    /// For how long the server asked for patience; `None` where nothing waits but for a sign-in.
    pub(crate) async fn waits(&self, account: &AccountKey) -> Result<Option<u64>> {
        let key = account.clone();
        let rows = self.cache.read_later(move |rows| rows.intents(key.as_str())).await?;
        let held = rows.into_iter().filter_map(Work::of).filter(Work::is_unsent).map(|work| match work {
            Work::TopUp(intent) => intent.held,
            Work::Together(cart) => cart.held(),
        });
        Ok(held.filter(|held| held.why != QueuedWhy::SignedOut).map(|held| held.retry_after_ms).max())
    }

    /// Asks how those stand that the server took and its home screen no longer lists.
    pub(crate) async fn settle(&self, account: &AccountKey) -> Result<()> {
        let key = account.clone();
        let all = self.cache.read_later(move |rows| intents::all(rows, key.as_str())).await?;
        let listed = self.snapshot(account).await?.map(|snapshot| snapshot.home.payments).unwrap_or_default();
        for intent in all {
            let id = &intent.order.id;
            if !matches!(intent.progress, Progress::Accepted(_)) || listed.iter().any(|payment| payment.id == *id) {
                continue;
            }
            let request = v1::GetTopUpRequest { id: id.clone() };
            match self.ask(account, &method::GET_TOP_UP, &request).await.map_err(Error::of_a_read) {
                Ok(v1::GetTopUpResponse { payment: Some(payment) }) => {
                    // Asked for just now: nothing is newer.
                    self.learn(account, id, News::Told(payment, Millis::new(i64::MAX))).await?;
                }
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn finish_in_background(self: &Arc<Self>, account: &AccountKey) {
        let (inner, account) = (Arc::clone(self), account.clone());
        // Shut down, or failed: the next resume does it.
        let _ = self.spawn(async move {
            if inner.finish(&account).await.is_ok() {
                let _ = inner.settle(&account).await;
            }
            inner.tell_wish().await;
        });
    }

    /// `None` only for an intent that no version of this app wrote. What can't be read of the cache is left out.
    pub(crate) async fn show_intent(&self, account: &AccountKey, intent: &Intent) -> Option<TopUpView> {
        let snapshot = self.snapshot(account).await.ok().flatten().unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(account);
        self.shown(&creditor, &snapshot).intent(intent)
    }
}
