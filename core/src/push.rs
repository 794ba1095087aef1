//! Pushes: under which token this phone is reached is kept in the secure store until every account's server has heard it; and
//! what a push that arrives has to say, if anything.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use borsellino_proto::v1;
use prost::Message;
use tokio::sync::mpsc;

use crate::accounts::Account;
use crate::app::App;
use crate::error::{Error, Invalid, Result};
use crate::inner::{Inner, lock};
use crate::models::{Event, TopUpState};
use crate::remote::method;
use crate::session::AccountKey;
use crate::sync;

/// The secure store's item that holds what is wanted and who has heard it.
const ITEM: &str = "borsellino-push";

/// Longer than any token of Firebase's, in bytes (proto file).
const LONGEST_TOKEN: usize = 4_096;

/// How many of the last pushes are known again when they come twice.
const REMEMBERED: usize = 32;

/// What kind of phone it is: it decides the shape of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Android.
    Android,
    /// iOS and iPadOS.
    Ios,
}

/// What to do with a push that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushNews {
    /// Show it. Not where it was shown before, here or on the open screen, nor where it is none of this phone's business.
    pub show: bool,
    /// Which account it is about.
    pub account: Option<AccountKey>,
    /// What happened, line by line; `None` where that could not be found out: then show the push's own generic words.
    pub text: Option<String>,
}

/// What is shared of it in one app core.
pub(crate) struct Pushes {
    /// Held while what is kept is changed.
    turn: tokio::sync::Mutex<()>,
    /// Somebody has not heard yet, or nobody knows.
    pub(crate) waiting: AtomicBool,
    /// The ids of the last pushes, the newest last.
    seen: Mutex<VecDeque<String>>,
}

impl Default for Pushes {
    fn default() -> Self {
        Self { turn: tokio::sync::Mutex::default(), waiting: AtomicBool::new(true), seen: Mutex::default() }
    }
}

/// What the parent wants of pushes.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Wish {
    /// Empty: no pushes.
    #[prost(string, tag = "1")]
    token: String,
    #[prost(enumeration = "v1::Platform", tag = "2")]
    platform: i32,
    /// Counts the wishes: what was told of an earlier one has to be told anew.
    #[prost(uint32, tag = "3")]
    turn: u32,
    #[prost(message, repeated, tag = "4")]
    told: Vec<Told>,
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wish(turn {})", self.turn)
    }
}

/// An account whose server has heard a wish.
#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(string, tag = "1")]
    account: String,
    /// Under which name pushes speak of it; empty where there are none.
    #[prost(string, tag = "2")]
    session: String,
    #[prost(uint32, tag = "3")]
    turn: u32,
}

impl Inner {
    async fn wish(&self) -> Result<Wish> {
        let bytes = self.vault.get(ITEM).await?.unwrap_or_default();
        // A value that no version of this app wrote is none.
        Ok(Wish::decode(bytes.as_slice()).unwrap_or_default())
    }

    /// Changes what is kept; read anew each time, because a notification extension is another process over the same store.
    async fn alter_wish(&self, change: Box<dyn FnOnce(&mut Wish) + Send + '_>) -> Result<()> {
        let _turn = self.pushes.turn.lock().await;
        let before = self.wish().await?;
        let mut after = before.clone();
        change(&mut after);
        match after {
            after if after == before => Ok(()),
            after if after == Wish::default() => self.vault.remove(ITEM).await,
            after => self.vault.set(ITEM, after.encode_to_vec()).await,
        }
    }

    /// The session of an account has begun or ended: what was told of another one does not count.
    pub(crate) async fn forget_push(&self, account: &AccountKey) -> Result<()> {
        self.alter_wish(Box::new(|wish| wish.told.retain(|told| told.account != account.as_str()))).await
    }

    /// Keeps a wish, and has it told as soon as the network allows.
    async fn want(self: &Arc<Self>, token: String, platform: v1::Platform) -> Result<()> {
        let want = move |wish: &mut Wish| {
            (wish.token, wish.turn) = (token, wish.turn.wrapping_add(1));
            wish.set_platform(platform);
        };
        self.alter_wish(Box::new(want)).await?;
        self.pushes.waiting.store(true, Ordering::SeqCst);
        let inner = Arc::clone(self);
        self.spawn(async move { inner.tell_wish().await })?;
        self.work.notify_one();
        Ok(())
    }

    /// Tells every account's server that has not heard it. What fails is tried again by whoever tends.
    pub(crate) async fn tell_wish(&self) {
        let _line = self.flight(ITEM).await;
        self.pushes.waiting.store(false, Ordering::SeqCst);
        // A phone that is locked says later what is wanted.
        if self.try_tell_wish().await.is_err() {
            self.pushes.waiting.store(true, Ordering::SeqCst);
        }
    }

    async fn try_tell_wish(&self) -> Result<()> {
        let wish = self.wish().await?;
        if wish == Wish::default() {
            return Ok(());
        }
        let turn = wish.turn;
        let accounts: Vec<AccountKey> = lock(&self.accounts).all().map(Account::key).collect();
        let mut failed = None;
        for account in accounts {
            if wish.told.iter().any(|told| told.turn == turn && told.account == account.as_str()) {
                continue;
            }
            let keep = self.keep(&account);
            let session = match self.tell_one(&account, &wish).await {
                Ok(session) => session,
                // Asking again unchanged can't help; a newer app, or the next start, asks anew.
                Err(Error::OlderServer) => String::new(),
                Err(Error::Refused(no)) if no.is_final => String::new(),
                // The next sign-in tells it.
                Err(Error::SignedOut | Error::Wiped) => continue,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            if keep.is_current(&account) {
                let heard = Told { account: account.as_str().to_owned(), session, turn };
                let note = move |wish: &mut Wish| {
                    wish.told.retain(|told| told.account != heard.account);
                    wish.told.push(heard);
                };
                self.alter_wish(Box::new(note)).await?;
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if wish.token.is_empty() {
            // Everybody knows that nothing is wanted: nothing is left to keep, unless something is wanted meanwhile.
            let clear = |wish: &mut Wish| {
                if wish.turn == turn {
                    *wish = Wish::default();
                }
            };
            self.alter_wish(Box::new(clear)).await?;
        }
        Ok(())
    }

    async fn tell_one(&self, account: &AccountKey, wish: &Wish) -> Result<String> {
        if wish.token.is_empty() {
            self.ask(account, &method::REMOVE_PUSH, &v1::RemovePushRequest {}).await?;
            return Ok(String::new());
        }
        let (token, language) = (wish.token.clone(), self.language.tag().to_owned());
        let request = v1::RegisterPushRequest { token, platform: wish.platform, language };
        Ok(self.ask(account, &method::REGISTER_PUSH, &request).await?.session_id)
    }

    async fn push_received(self: &Arc<Self>, data: HashMap<String, String>) -> Result<PushNews> {
        let text = |name: &str| data.get(name).map(String::as_str).unwrap_or_default();
        let wish = self.wish().await?;
        let session = text("session");
        let told = wish.told.into_iter().find(|told| !session.is_empty() && told.session == session);
        let account = told.map(|told| AccountKey::from(told.account));
        let Some(account) = account.filter(|account| lock(&self.accounts).get(account).is_some()) else {
            return Ok(PushNews::default());
        };
        let hidden = PushNews { account: Some(account.clone()), ..PushNews::default() };
        if wish.token.is_empty() || !self.is_first(text("id")) {
            return Ok(hidden);
        }
        // Somebody asks for a new password: no number of the feed tells that, and the push's own words say it.
        if text("kind") == "account" {
            return Ok(PushNews { show: true, ..hidden });
        }
        // Without a number it says nothing that could be known already.
        let seq: u64 = text("seq").parse().unwrap_or(u64::MAX);
        let stored =
            || async { Ok::<_, Error>(self.snapshot(&account).await?.map_or(0, |snapshot| snapshot.feed_seq)) };
        if stored().await? >= seq {
            // A notification extension may have stored it: then the open screen has not heard of it.
            self.emit(&account, Event::HomeChanged);
            return Ok(hidden);
        }
        let watches = |(of, ear): &(AccountKey, mpsc::UnboundedSender<Event>)| *of == account && !ear.is_closed();
        let watched = lock(&self.listeners).iter().any(watches);
        // Hears what is new for as long as this takes.
        let (sender, mut heard) = mpsc::unbounded_channel();
        lock(&self.listeners).push((account.clone(), sender));
        let looked = tokio::time::timeout(self.pace.patience, sync::sync(self, &account)).await;
        match looked {
            Ok(Err(Error::SignedOut | Error::Wiped)) => return Ok(hidden),
            Ok(Err(error @ (Error::SecureStore(_) | Error::Closed))) => return Err(error),
            // Offline, slow: the generic words.
            _ => {}
        }
        let mut lines: Vec<String> = Vec::new();
        while let Ok(event) = heard.try_recv() {
            lines.extend(line(&event).filter(|line| !lines.contains(line)));
        }
        // The screen that is open has shown it.
        let show = !(watched && stored().await? >= seq);
        Ok(PushNews { show, text: Some(lines.join("\n")).filter(|text| !text.is_empty()), ..hidden })
    }

    /// Whether a push with this id has not come before; one without is always new.
    fn is_first(&self, id: &str) -> bool {
        let mut seen = lock(&self.pushes.seen);
        if id.is_empty() {
            return true;
        }
        if seen.iter().any(|known| known == id) {
            return false;
        }
        seen.push_back(id.to_owned());
        if seen.len() > REMEMBERED {
            seen.pop_front();
        }
        true
    }
}

/// What a parent wants to hear of.
fn line(event: &Event) -> Option<String> {
    match event {
        Event::BalanceChanged(change) => Some(change.sentence.clone()),
        Event::TopUpChanged(view) if matches!(view.state, TopUpState::Paid { .. } | TopUpState::PaidTwice { .. }) => {
            Some(format!("{} {}: {}", view.amount.text, view.service_name, view.sentence))
        }
        Event::BillChanged(bill) => Some(format!("{} {}: {}", bill.number, bill.period, bill.due_text)),
        _ => None,
    }
}

impl App {
    /// Says under which token of Firebase's this phone is reached, for all accounts, those that sign in later too. Call it
    /// whenever Firebase gives a token, and at each start of the app. It is kept once this returns; the servers are told in
    /// the background, again and again until they have heard it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token that is none; [`Error::SecureStore`], [`Error::Closed`].
    pub async fn register_push(&self, token: &str, platform: Platform) -> Result<()> {
        let fits = (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(Error::Invalid(Invalid::PushToken));
        }
        let token = token.to_owned();
        let platform = match platform {
            Platform::Android => v1::Platform::Android,
            Platform::Ios => v1::Platform::Ios,
        };
        self.inner.detached(move |inner| async move { inner.want(token, platform).await }).await
    }

    /// No more pushes for this phone, until [`App::register_push`]. Holds at once for [`App::push_received`]; the servers are told
    /// in the background, again and again until they have heard it.
    ///
    /// # Errors
    /// [`Error::SecureStore`], [`Error::Closed`].
    pub async fn remove_push(&self) -> Result<()> {
        let none = v1::Platform::Unspecified;
        self.inner.detached(move |inner| async move { inner.want(String::new(), none).await }).await
    }

    /// A push arrived, with this data. Fetches what happened, waiting at most [`crate::Pace::patience`], and says whether and with
    /// which words to show it. Without the network it is shown, with its own generic words.
    ///
    /// # Errors
    /// [`Error::SecureStore`] (say, locked: show the generic words), [`Error::Cache`], [`Error::Closed`].
    pub async fn push_received(&self, data: HashMap<String, String>) -> Result<PushNews> {
        self.inner.detached(move |inner| async move { inner.push_received(data).await }).await
    }
}
