//! What the app core's tasks share, and the work that the public calls and the live stream are made of.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsellino_domain::id::{BillId, TopUpId, WalletId};
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::accounts::Accounts;
use crate::app::Resumed;
use crate::cache::{Cache, Rows, Snapshot};
use crate::clock::Clock;
use crate::config::{Step, Steps};
use crate::error::{Error, Invalid, Reason, Result};
use crate::intents::{self, Held, Intent, KEEP_FINISHED, Known, News, Progress};
use crate::models::{CreditorInfo, Event, HomeView, MovementsView, PayBillView, Shown, TopUpView, safe_url};
use crate::remote::{Pace, Remote};
use crate::session::{AccountKey, Session, Vault, item};
use crate::sync::{self, Backoff, Taken};

/// How often a top-up whose answer is lost is sent again at once, before it waits for the network.
const SENDS: u32 = 3;

/// How often the home screen is asked for again when changes overtake it.
const REFRESHES: u32 = 3;

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
    /// Top-ups being sent right now: one sender each.
    pub(crate) in_flight: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) listeners: Mutex<Vec<(AccountKey, mpsc::UnboundedSender<Event>)>>,
    /// `None` once shut down.
    pub(crate) tasks: Mutex<Option<JoinSet<()>>>,
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
        let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
        Ok(tasks.spawn_on(work, &self.runtime))
    }

    /// Runs `work` to its end even when the caller is dropped.
    pub(crate) async fn detached<T, Fut>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> Fut) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let work = work(Arc::clone(self));
        self.spawn(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(work.await);
        })?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Forgets all that this phone holds of an account, its orders too.
    pub(crate) async fn forget(&self, account: &AccountKey) -> Result<()> {
        let key = account.clone();
        self.cache.write_later(move |rows| rows.forget(key.as_str(), true)).await
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
            Err(Error::Refused(no)) if no.reason == Reason::SessionEnded => self.ended(account, &session).await,
            Err(Error::SignedOut) => self.ended(account, &session).await,
            answer => answer,
        }
    }

    /// The office can end a guardian's access at once: then what was seen must not stay on the phone. Intents stay,
    /// and are finished if the same guardian signs in again.
    async fn ended<T>(&self, account: &AccountKey, session: &Arc<Session>) -> Result<T> {
        // One at a time, and not while somebody signs in: the tokens thrown away must be those that ended.
        let _turn = self.turn.lock().await;
        if is_current(&self.sessions, account, session) {
            self.vault.remove(item(account)).await?;
            // First this, so that an answer still on its way is not written after the rest was forgotten.
            lock(&self.sessions).remove(account);
            let key = account.clone();
            self.cache.write_later(move |rows| rows.forget(key.as_str(), false)).await?;
        }
        Err(Error::SignedOut)
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
        let stored_at = self.clock.now();
        let home = v1::HomeResponse { as_of_ms: stored_at.get(), ..Default::default() };
        Snapshot { home, feed_seq: 0, stored_at }
    }

    pub(crate) fn shown<'a>(&self, creditor: &'a CreditorInfo, snapshot: &'a Snapshot) -> Shown<'a> {
        Shown::new(self.language, creditor, snapshot, self.clock.now())
    }

    /// Blocking, but short: two reads.
    pub(crate) fn cached_home(&self) -> Result<Option<HomeView>> {
        let Ok(account) = self.active() else { return Ok(None) };
        let key = account.as_str();
        let (snapshot, intents) = self.cache.read(|rows| Ok((rows.snapshot(key)?, intents::all(rows, key)?)))?;
        let creditor = self.creditor(&account);
        Ok(snapshot.map(|snapshot| self.shown(&creditor, &snapshot).home(&intents)))
    }

    /// Asks for the home screen and keeps it. With `from_scratch` it replaces a cache that claims to know more.
    pub(crate) async fn refresh(&self, account: &AccountKey, from_scratch: bool) -> Result<()> {
        let remote = &self.remote;
        let mut went_back = 0_u32;
        for _ in 0..REFRESHES {
            let (sessions, session) = (Arc::clone(&self.sessions), self.session(account));
            let before = self.snapshot(account).await?.map_or(0, |snapshot| snapshot.feed_seq);
            let ask = |token: String| async move { remote.home(Some(&token), v1::HomeRequest {}).await };
            let home = self.with_token(account, ask).await.map_err(Error::of_a_read)?;
            // What was read after we asked can't be older than what we knew then, unless the server lost its memory.
            if home.feed_seq < before {
                went_back = went_back.saturating_add(1);
            }
            let from_scratch = from_scratch || went_back == REFRESHES;
            let (key, now) = (account.clone(), self.clock.now());
            let take = move |rows: &Rows<'_>| {
                if !is_current(&sessions, &key, &session) {
                    return Ok(Taken::Old);
                }
                let taken = sync::take_home(rows, key.as_str(), home, now, from_scratch)?;
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
        let remote = &self.remote;
        let ask = |token: String| {
            let request = request.clone();
            async move { remote.list_movements(Some(&token), request).await }
        };
        let (key, sessions, session) = (account.clone(), Arc::clone(&self.sessions), self.session(&account));
        let (answer, from_cache) = match self.with_token(&account, ask).await.map_err(Error::of_a_read) {
            Ok(answer) => {
                if first {
                    let kept = answer.clone();
                    let keep = move |rows: &Rows<'_>| {
                        let current = is_current(&sessions, &key, &session);
                        if current { rows.put_movements(key.as_str(), &wallet, &kept) } else { Ok(()) }
                    };
                    self.cache.write_later(keep).await?;
                }
                (answer, false)
            }
            Err(error @ (Error::Offline | Error::NotOurServer | Error::CertificateTime)) if first => {
                let kept = self.cache.read_later(move |rows| rows.movements(key.as_str(), &wallet)).await?;
                (kept.ok_or(error)?.0, true)
            }
            Err(error) => return Err(error),
        };
        let snapshot = self.snapshot(&account).await?.unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(&account);
        let shown = self.shown(&creditor, &snapshot);
        Ok(MovementsView {
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
        let (inner, owner, order) = (Arc::clone(self), account.clone(), intent.clone());
        let sending = self.spawn(async move {
            let (intent, _) = inner.submit(&owner, order).await;
            // Nobody may be waiting any more.
            let _ = sender.send(intent);
        });
        if sending.is_ok()
            && let Ok(Ok(answered)) = tokio::time::timeout(self.pace.patience, answer).await
        {
            self.work.notify_one();
            return Ok(answered);
        }
        let id = intent.order.id.clone();
        let kept = self.cache.read_later(move |rows| intents::find(rows, &id)).await;
        self.work.notify_one();
        Ok(kept.ok().flatten().unwrap_or(intent))
    }

    /// Asks for a page for a bill; the home screen says at once that it is being paid.
    pub(crate) async fn pay_bill(&self, account: &AccountKey, bill: BillId) -> Result<PayBillView> {
        let request = v1::PayBillRequest { bill_id: bill.to_string() };
        let remote = &self.remote;
        let call = |token: String| {
            let request = request.clone();
            async move { remote.pay_bill(Some(&token), request).await }
        };
        let (key, sessions, session) = (account.clone(), Arc::clone(&self.sessions), self.session(account));
        let answer = self.with_token(account, call).await?;
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

    /// Sends a top-up until it has its answer, or hands it back as it is, with the reason.
    pub(crate) async fn submit(&self, account: &AccountKey, mut intent: Intent) -> (Intent, Option<Error>) {
        let id = intent.order.id.clone();
        // Whoever sends it already is waited for.
        let _flight = self.flight(&id).await;
        match self.learn(account, &id, News::Sending).await {
            Ok(Some(marked)) => intent = marked,
            Ok(None) => return (intent, None),
            Err(error) => return (intent, Some(error)),
        }
        if !intent.is_unsent() {
            return (intent, None);
        }
        self.steps.reached(Step::BeforeSend);
        let remote = &self.remote;
        let order = &intent.order;
        let mut backoff = Backoff::new(self.pace);
        let mut sends = 0_u32;
        let news = loop {
            sends = sends.saturating_add(1);
            let send = |token: String| async move { remote.start_top_up(Some(&token), order.clone()).await };
            match self.with_token(account, send).await {
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

    async fn flight(&self, id: &str) -> tokio::sync::OwnedMutexGuard<()> {
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
    pub(crate) async fn retry(&self, account: &AccountKey, id: TopUpId) -> Result<TopUpView> {
        let (owner, key, now) = (account.clone(), id.to_string(), self.clock.now());
        let adopt = move |rows: &Rows<'_>| sync::adopt(rows, owner.as_str(), &key, now);
        let intent = self.cache.write_later(adopt).await?.ok_or(Error::Invalid(Invalid::TopUp))?;
        let intent = match intent.progress {
            Progress::Queued | Progress::Sent => self.submit(account, intent).await.0,
            Progress::Accepted(_) => self.ask_again(account, intent).await?,
            Progress::Done(_) | Progress::Refused(_) => intent,
        };
        self.show_intent(account, &intent).await.ok_or(Error::Invalid(Invalid::TopUp))
    }

    async fn ask_again(&self, account: &AccountKey, intent: Intent) -> Result<Intent> {
        let _flight = self.flight(&intent.order.id).await;
        let (remote, order) = (&self.remote, &intent.order);
        let send = |token: String| async move { remote.start_top_up(Some(&token), order.clone()).await };
        let answer = self.with_token(account, send).await?;
        let payment = answer.payment.ok_or(Error::NotOurServer)?;
        let known = Known { payment, checkout_unavailable: answer.checkout_unavailable };
        // A page is open: that it could not be written down is no reason to keep it from the parent.
        let told = self.learn(account, &intent.order.id, News::Answered(known.clone())).await;
        Ok(told.ok().flatten().unwrap_or_else(|| intent.learn(News::Answered(known))))
    }

    /// Sends what was not sent, or sent without an answer.
    pub(crate) async fn finish(&self, account: &AccountKey) -> Result<Resumed> {
        let key = account.clone();
        let all = self.cache.read_later(move |rows| intents::all(rows, key.as_str())).await?;
        let unsent: Vec<Intent> = all.into_iter().filter(Intent::is_unsent).collect();
        let mut resumed = Resumed { finished: 0, waiting: unsent.len() };
        let mut stopped: Option<Error> = None;
        for intent in unsent {
            if let Some(why) = stopped.clone() {
                // It would meet the same.
                self.hold(account, intent, why).await;
                continue;
            }
            let (intent, error) = self.submit(account, intent).await;
            if !intent.is_unsent() {
                resumed.finished = resumed.finished.saturating_add(1);
                resumed.waiting = resumed.waiting.saturating_sub(1);
            }
            match error {
                // The server's own trouble with one top-up says nothing about the next.
                None | Some(Error::Refused(_)) => {}
                Some(error @ (Error::Cache(_) | Error::Closed)) => return Err(error),
                Some(why) => stopped = Some(why),
            }
        }
        Ok(resumed)
    }

    /// Asks how those stand that the server took and its home screen no longer lists.
    pub(crate) async fn settle(&self, account: &AccountKey) -> Result<()> {
        let key = account.clone();
        let all = self.cache.read_later(move |rows| intents::all(rows, key.as_str())).await?;
        let listed = self.snapshot(account).await?.map(|snapshot| snapshot.home.payments).unwrap_or_default();
        let remote = &self.remote;
        for intent in all {
            let id = &intent.order.id;
            if !matches!(intent.progress, Progress::Accepted(_)) || listed.iter().any(|payment| payment.id == *id) {
                continue;
            }
            let ask = |token: String| async move {
                remote.get_top_up(Some(&token), v1::GetTopUpRequest { id: id.clone() }).await
            };
            match self.with_token(account, ask).await.map_err(Error::of_a_read) {
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
        });
    }

    /// `None` only for an intent that no version of this app wrote. What can't be read of the cache is left out.
    pub(crate) async fn show_intent(&self, account: &AccountKey, intent: &Intent) -> Option<TopUpView> {
        let snapshot = self.snapshot(account).await.ok().flatten().unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(account);
        self.shown(&creditor, &snapshot).intent(intent)
    }
}
