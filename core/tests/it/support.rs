//! A phone for tests: a folder, a secure store that outlives the app, a clock that can be set, and ears.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use borsellino_core::{
    Amount, App, Clock, Config, Error, Event, Language, Listener, MemoryStore, Millis, Pace, SecureStore, SystemClock,
    WalletId,
};
use tokio::sync::Notify;

use crate::fake::{AS_OF, CANTEEN, CREDITOR, Fake};

/// Starts a little after the server's `AS_OF`.
pub(crate) struct SetClock(pub(crate) AtomicI64, pub(crate) SetUptime);

/// The clock that nobody sets: it follows the other one as far as tests move that on, less what they set it wrong.
#[derive(Default)]
pub(crate) struct SetUptime {
    /// How much of the other clock's reading is wrong.
    pub(crate) wrong: AtomicI64,
    /// How often the phone was started.
    pub(crate) boots: AtomicI64,
}

impl SetClock {
    /// Sets the clock, and only the clock, forward or back.
    pub(crate) fn set_wrong(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
        self.1.wrong.fetch_add(by, Ordering::SeqCst);
    }

    /// Time goes by, on both clocks.
    pub(crate) fn go_by(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// The phone is switched off and on.
    pub(crate) fn restart(&self) {
        self.1.boots.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Millis {
        Millis::new(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::SeqCst) - self.1.wrong.load(Ordering::SeqCst)).unwrap()
    }

    fn boot(&self) -> String {
        format!("start {}", self.1.boots.load(Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SystemClock.fill(bytes)
    }
}

pub(crate) struct Phone {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<dyn SecureStore>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) url: String,
    pub(crate) pages: Option<u32>,
    pub(crate) patience: Duration,
}

/// Quick enough for tests.
pub(crate) fn pace() -> Pace {
    Pace {
        connect: Duration::from_secs(2),
        call: Duration::from_millis(1_500),
        patience: Duration::from_secs(5),
        silence: Duration::from_millis(600),
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(100),
        gather: Duration::from_millis(30),
    }
}

impl Phone {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: Arc::new(MemoryStore::default()),
            clock: Arc::new(SetClock(AtomicI64::new(AS_OF + 60_000), SetUptime::default())),
            url: url.to_owned(),
            pages: None,
            patience: pace().patience,
        }
    }

    pub(crate) async fn try_open(&self) -> Result<App, Error> {
        let mut config = Config::new(self.folder.path(), &self.url, Language::Italian);
        config.pace = Pace { patience: self.patience, ..pace() };
        config.max_cache_pages = self.pages;
        App::open(config, Arc::clone(&self.store), Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    pub(crate) async fn open(&self) -> App {
        self.try_open().await.unwrap()
    }

    /// Opened, signed in and refreshed.
    pub(crate) async fn signed_in(&self) -> App {
        let app = self.open().await;
        app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
        app.refresh_home().await.unwrap();
        app
    }

    /// Every file of the cache, one after the other.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

pub(crate) async fn phone() -> (Fake, Phone) {
    let fake = Fake::start().await;
    let phone = Phone::new(&fake.url);
    (fake, phone)
}

pub(crate) fn canteen() -> WalletId {
    CANTEEN.parse().unwrap()
}

pub(crate) fn euros(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// Hears everything.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) heard: Mutex<Vec<Event>>,
    news: Notify,
}

impl Listener for Ears {
    fn on_event(&self, event: Event) {
        self.heard.lock().unwrap().push(event);
        self.news.notify_one();
    }
}

impl Ears {
    /// Waits until what was heard satisfies `enough`.
    pub(crate) async fn until(&self, enough: impl Fn(&[Event]) -> bool) {
        let wait = async {
            loop {
                // Not under the lock: what is enough may listen too.
                let heard = self.heard.lock().unwrap().clone();
                if enough(&heard) {
                    break;
                }
                self.news.notified().await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(done.is_ok(), "heard only {:#?}", self.heard.lock().unwrap());
    }

    pub(crate) fn sentences(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let sentence = |event: &Event| match event {
            Event::BalanceChanged(change) => Some(change.sentence.clone()),
            _ => None,
        };
        heard.iter().filter_map(sentence).collect()
    }
}
