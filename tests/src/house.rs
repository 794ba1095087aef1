//! The whole house in one process, for one test: server and sandbox on ports of their own, the demo's families on a
//! store of either engine, and a clock that moves only when it is told to.
//!
//! A test speaks to it through public doors: gRPC as a [`Phone`], SOAP as the Node ([`House::soap`], [`node`]), JSON to
//! the sandbox. When it ends, the ledger must be sound and the sandbox must have seen no violation.

#![allow(clippy::expect_used, clippy::panic, reason = "a test without its ground fails, loudly and at once")]

mod browser;
mod door;
mod gate;
pub mod node;
mod papers;
mod phone;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use borsellino_pagopa::sandbox;
use borsellino_proto::reason::{Reason, Refused, code};
use borsellino_proto::v1;
use borsellino_server::cli::demo::{self, Addresses, Ports};
use borsellino_server::clock::Clock;
use borsellino_server::config::checkout_client;
use borsellino_server::usecases::App;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::seal_verify::verify_seals;
use borsellino_server::usecases::seals::{Bounds, Sweep, seal};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

pub use self::browser::{Browser, Form, Page};
pub use self::door::{Door, form};
pub use self::gate::Gate;
pub use self::papers::pdf_text;
pub use self::phone::{Phone, order};
use crate::stores::Fresh;

/// The first creditor of the demo, and of the examples.
pub const TOWN: &str = "99900010010";

/// The second creditor.
pub const UNION: &str = "99900040017";

/// What everybody in the demo signs in with.
pub const PASSWORD: &str = "borsellino-demo";

/// Two children, four wallets, two bills, one waiting top-up.
pub const MARIA: &str = "maria.bianchi";

/// The other guardian of Maria's children.
pub const PAOLO: &str = "paolo.rossi";

/// Another family of the same creditor.
pub const AMINA: &str = "amina.diallo";

/// A family of the second creditor.
pub const ELENA: &str = "elena.gallo";

/// When every house opens: Friday 20 November 2026, 11:00 in Italy.
pub const OPENING: i64 = 1_795_168_800_000;

/// How long a test waits for what should come at once.
pub const SOON: Duration = Duration::from_secs(20);

/// A running house.
#[derive(Debug)]
pub struct House {
    /// Where its data is.
    pub fresh: Fresh,
    /// The server's inside, for what no public door shows.
    pub app: App,
    /// Where everything is.
    pub at: Addresses,
    /// For plain HTTP.
    pub http: reqwest::Client,
    /// Between the server and Checkout.
    pub checkout: Gate,
    channel: Channel,
    moved: Arc<AtomicI64>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

/// What an answer of the Node's listener said.
#[derive(Clone, Debug)]
pub struct Soap {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Soap {
    /// Sends bytes to a Node's listener.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn call(http: &reqwest::Client, endpoint: &str, action: Option<&str>, body: impl Into<Vec<u8>>) -> Self {
        let mut request = http.post(endpoint).header("content-type", "text/xml; charset=UTF-8");
        if let Some(action) = action {
            request = request.header("soapaction", format!("\"{action}\""));
        }
        let answer = request.body(body.into()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        Self { status, text: answer.text().await.expect("a text") }
    }

    /// The text of the first element called `name`.
    pub fn element(&self, name: &str) -> Option<&str> {
        let (_, after) = self.text.split_once(&format!("<{name}>"))?;
        Some(after.split_once(&format!("</{name}>"))?.0)
    }

    /// Whether it is an answer with outcome OK.
    pub fn is_ok(&self) -> bool {
        self.status == 200 && self.element("outcome") == Some("OK")
    }

    /// The code of a KO.
    pub fn ko(&self) -> Option<&str> {
        if self.status == 200 && self.element("outcome") == Some("KO") { self.element("faultCode") } else { None }
    }

    /// Whether it is a SOAP Fault, after which the Node sends a receipt again.
    pub fn is_fault(&self) -> bool {
        self.status >= 400 && self.text.contains(":Fault>") && self.element("outcome").is_none()
    }
}

/// Everything that a refused call must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    counts: Vec<(&'static str, i64)>,
}

const COUNTED: [(&str, &str); 11] = [
    ("entries", "SELECT COUNT(*) FROM journal_entry"),
    ("postings", "SELECT COUNT(*) FROM posting"),
    ("balances", "SELECT CAST(COALESCE(SUM(balance_cents), 0) AS BIGINT) FROM account"),
    ("places", "SELECT CAST(COALESCE(SUM(seq), 0) AS BIGINT) FROM account"),
    ("notices", "SELECT COUNT(*) FROM notice"),
    ("settled", "SELECT COUNT(*) FROM notice WHERE state = 'paid'"),
    ("top-ups", "SELECT COUNT(*) FROM top_up"),
    ("pages", "SELECT COUNT(*) FROM cart"),
    ("receipts", "SELECT COUNT(*) FROM receipt"),
    ("feed", "SELECT CAST(COALESCE(SUM(feed_seq), 0) AS BIGINT) FROM guardian"),
    ("outbox", "SELECT COUNT(*) FROM outbox"),
];

impl House {
    /// Opens a house on `fresh`.
    ///
    /// # Panics
    /// Where it can't be opened.
    pub async fn open(fresh: Fresh) -> Self {
        Self::open_with(fresh, |_| {}).await
    }

    /// Opens a house that seals its ledger `every` so often.
    ///
    /// # Panics
    /// Where it can't be opened.
    pub async fn open_sealing(fresh: Fresh, every: Duration) -> Self {
        Self::open_as(fresh, every, |_| {}).await
    }

    /// Opens a house on `fresh`, with a sandbox of one's own wishes: a shorter hour, a Node that waits less.
    ///
    /// # Panics
    /// Where it can't be opened.
    pub async fn open_with(fresh: Fresh, adjust: impl FnOnce(&mut sandbox::Config)) -> Self {
        Self::open_as(fresh, borsellino_server::jobs::seal::EVERY, adjust).await
    }

    async fn open_as(fresh: Fresh, every: Duration, adjust: impl FnOnce(&mut sandbox::Config)) -> Self {
        let moved = Arc::new(AtomicI64::new(0));
        let ticks = Arc::clone(&moved);
        let clock = Clock::of(move || Millis::new(OPENING).plus(ticks.load(Ordering::SeqCst)));
        let port = async || TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let ports = Ports { public: port().await, node: port().await, sandbox: port().await };
        let secret = Zeroizing::new([7; 32]);
        let mut house = demo::open_house(fresh.store.clone(), clock, secret, ports).await.expect("an open house");
        adjust(&mut house.sandbox);
        let checkout = Gate::before(&house.addresses.sandbox).await;
        let client = checkout_client(&format!("{}/checkout/ec/v2", checkout.url()), "sandbox");
        house.app.checkout = Some(Arc::new(client.expect("a client of Checkout")));
        house.app.seal_every = every;
        let (app, at) = (house.app.clone(), house.addresses.clone());
        let (stop, asked) = oneshot::channel::<()>();
        let served = tokio::spawn(house.serve(async move { drop(asked.await) }));
        let channel = Endpoint::new(at.web.clone()).expect("an address").connect_lazy();
        let http = http();
        let running = Mutex::new(Some(Running { stop, served }));
        Self { fresh, app, at, http, checkout, channel, moved, running }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a sensible time");
        self.moved.fetch_add(millis, Ordering::SeqCst);
    }

    /// Now, in milliseconds.
    pub fn now(&self) -> i64 {
        self.app.now().get()
    }

    /// Stops server and sandbox, and answers how long that took.
    ///
    /// # Panics
    /// Where they fail, or were stopped before.
    pub async fn stop(&self) -> Duration {
        let running = self.running.lock().expect("the lock").take().expect("a running house");
        let begun = tokio::time::Instant::now();
        running.stop.send(()).expect("a server that listens");
        running.served.await.expect("no panic").expect("an orderly end");
        begun.elapsed()
    }

    /// Ends the house and holds its books against the rules.
    ///
    /// # Panics
    /// Where the sandbox saw a violation, or the ledger is not sound.
    pub async fn close(mut self) {
        if self.running.lock().expect("the lock").is_some() {
            assert_eq!(self.sandbox("violations").await, json!([]), "the sandbox objects");
            self.stop().await;
        }
        // On a store opened anew: what counts is what is on the disk.
        self.fresh.reopen().await.expect("the store again");
        for creditor in [TOWN, UNION] {
            let creditor = CreditorCode::from_digits(creditor).expect("eleven digits");
            let report = verify(&self.fresh.store, &creditor, |_| {}).await.expect("a readable ledger");
            assert!(report.broken.is_none(), "{creditor}: {}", report.broken.expect("what is broken"));
            assert!(report.entries > 0, "{creditor} has a ledger");
            // A test's days pass faster than the minute in which a server seals.
            let (store, now) = (&self.fresh.store, self.app.now());
            let sealed = seal(store, &self.app.keys, creditor, now, Sweep::Whole, Bounds::default());
            sealed.await.expect("seals");
            let seals = verify_seals(store, creditor).await.expect("readable seals");
            assert!(seals.broken.is_none(), "{creditor}: {}", seals.broken.expect("what is broken"));
            assert_eq!((seals.sealed, seals.unsealed), (report.entries, 0), "{creditor} is sealed whole");
        }
        self.fresh.store.close().await;
    }

    /// A channel of its own, not shared with anybody.
    pub async fn line(&self) -> Channel {
        Endpoint::new(self.at.web.clone()).expect("an address").connect().await.expect("a connection")
    }

    /// The channel that every phone shares.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Signs in.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn try_sign_in(&self, creditor: &str, username: &str, password: &str) -> Result<Phone, Status> {
        Phone::sign_in(self.channel(), creditor, username, password).await
    }

    /// Signs somebody of the demo in.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn phone(&self, username: &str) -> Phone {
        let creditor = if username == ELENA { UNION } else { TOWN };
        self.try_sign_in(creditor, username, PASSWORD).await.expect("a sign-in")
    }

    /// Sends bytes to the Node's listener.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn soap(&self, action: Option<&str>, body: impl Into<Vec<u8>>) -> Soap {
        Soap::call(&self.http, &self.at.node, action, body).await
    }

    /// `paVerifyPaymentNotice` for a notice of `creditor`.
    pub async fn verify(&self, creditor: &str, notice: &str) -> Soap {
        self.soap(Some("paVerifyPaymentNotice"), node::verify(&node::Addressee::new(creditor), creditor, notice)).await
    }

    /// `paGetPaymentV2` for a notice of `creditor`.
    pub async fn activate(&self, creditor: &str, notice: &str, transfer_type: Option<&str>) -> Soap {
        let message = node::activate(&node::Addressee::new(creditor), creditor, notice, transfer_type);
        self.soap(Some("paGetPaymentV2"), message).await
    }

    /// Delivers a receipt.
    pub async fn deliver(&self, receipt: &node::Receipt) -> Soap {
        self.soap(Some(receipt.action()), receipt.xml()).await
    }

    /// `GET /api/...` of the sandbox.
    ///
    /// # Panics
    /// Where it does not answer in JSON.
    pub async fn sandbox(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}/api/{path}", self.at.sandbox)).send().await.expect("the sandbox");
        answer.json().await.expect("JSON")
    }

    /// `POST /api/...` of the sandbox.
    ///
    /// # Panics
    /// Where it does not answer in JSON.
    pub async fn order(&self, path: &str, body: Value) -> Value {
        let order = self.http.post(format!("{}/api/{path}", self.at.sandbox)).json(&body);
        order.send().await.expect("the sandbox").json().await.expect("JSON")
    }

    /// Pays the notices of a Checkout page by card.
    ///
    /// # Panics
    /// Where they are not paid.
    pub async fn pay_page(&self, url: &str) -> Value {
        let (_, id) = url.rsplit_once('/').expect("a page's address");
        let paid = self.order(&format!("carts/{id}/pay"), json!({})).await;
        assert_eq!(paid["outcome"], "paid", "{paid}");
        paid
    }

    /// Takes a notice to the counter; answers what the sandbox says.
    pub async fn counter(&self, creditor: &str, number: &str) -> Value {
        self.order("notices/pay", json!({ "creditor": creditor, "notice_number": number })).await
    }

    /// The number that `sql` asks for, past every door.
    ///
    /// # Panics
    /// Where the database refuses.
    pub async fn number(&self, sql: &str) -> i64 {
        self.fresh.raw_number(sql).await.expect("a number")
    }

    /// What there is now.
    pub async fn rows(&self) -> Rows {
        let mut counts = Vec::new();
        for (name, sql) in COUNTED {
            counts.push((name, self.number(sql).await));
        }
        Rows { counts }
    }

    /// How many messages wait in one of the office's queues.
    pub async fn kept(&self, queue: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM kept_message WHERE queue = '{queue}'")).await
    }

    /// What became of the receipts for a notice, in the order of their ids.
    ///
    /// # Panics
    /// Where the database refuses.
    pub async fn outcomes(&self, creditor: &str, notice: &str) -> Vec<String> {
        let sql = "SELECT outcome FROM receipt WHERE creditor = $1 AND notice_number = $2 ORDER BY receipt_id";
        match self.fresh.store.raw() {
            borsellino_store::RawPool::Lite(pool) => {
                sqlx::query_scalar(sql).bind(creditor).bind(notice).fetch_all(pool).await
            }
            borsellino_store::RawPool::Pg(pool) => {
                sqlx::query_scalar(sql).bind(creditor).bind(notice).fetch_all(pool).await
            }
        }
        .expect("outcomes")
    }

    /// What waits in suspense for the office of `creditor`, in cents.
    pub async fn suspense(&self, creditor: &str) -> i64 {
        let sql = "SELECT balance_cents FROM account WHERE kind = 'suspense' AND creditor =";
        self.number(&format!("{sql} '{creditor}'")).await
    }

    /// Waits until the server has sealed every entry there is.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn all_sealed(&self) {
        let unsealed = "SELECT (SELECT COUNT(*) FROM journal_entry) - (SELECT COUNT(*) FROM sealed_entry)";
        let sealed = async {
            while self.number(unsealed).await > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, sealed).await.expect("seals in time");
    }

    /// Seals what is in no seal yet, as the server would do within a minute.
    ///
    /// # Panics
    /// Where it can't.
    pub async fn seal(&self) {
        for creditor in self.app.directory.listing().creditors() {
            let (code, now) = (creditor.fiscal_code, self.app.now());
            let sealed = seal(&self.app.store, &self.app.keys, code, now, Sweep::Whole, Bounds::default());
            sealed.await.expect("seals");
        }
    }

    /// Changes rows past every door.
    ///
    /// # Panics
    /// Where the database refuses.
    pub async fn execute(&self, sql: &str) {
        self.fresh.raw_execute(sql).await.expect("a change");
    }
}

/// A client for plain HTTP to this machine.
///
/// # Panics
/// Where it can't be made.
pub fn http() -> reqwest::Client {
    // The client of Checkout chooses the source of cryptography, without which not even plain HTTP gets a client.
    checkout_client("http://127.0.0.1:1", "none").expect("a client of Checkout");
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client")
}

/// A name that no other call of this process gets: 32 hexadecimal digits, like a payment token.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An id as an app makes it.
pub fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    borsellino_domain::id::uuid_v7(Millis::new(OPENING), random).to_string()
}

/// The reason behind a status, after checking that the status fits it.
///
/// # Panics
/// Where the status is none of ours.
#[track_caller]
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> Reason {
    refused(answer).reason
}

/// The refusal behind a status, after checking that the status fits it.
///
/// # Panics
/// Where the call succeeded, or the status is none of ours.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refused {
    let status = answer.expect_err("a refusal");
    let refused = Refused::from_status(&status).unwrap_or_else(|| panic!("not a refusal of ours: {status:?}"));
    assert_eq!(status.code(), code(refused.reason), "{refused:?}");
    assert!(!refused.sentence.is_empty(), "{refused:?}");
    refused
}

/// A wallet of a home screen by the names a parent sees.
///
/// # Panics
/// Where there is none.
#[track_caller]
pub fn wallet<'a>(home: &'a v1::HomeResponse, child: &str, service: &str) -> &'a v1::Wallet {
    let child = home.children.iter().find(|its| its.given_name == child).expect("a child of this name");
    child.wallets.iter().find(|its| its.service_name == service).expect("a wallet of this service")
}

/// Waits for the next change of a stream, past its heartbeats.
///
/// # Panics
/// Where the stream ends, says something else, or stays silent.
pub async fn next_change(stream: &mut Streaming<v1::WatchResponse>) -> v1::Change {
    let changed = async {
        loop {
            match stream.message().await.expect("a stream that goes on").expect("an event").event {
                Some(v1::watch_response::Event::Change(change)) => break change,
                Some(v1::watch_response::Event::Heartbeat(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(SOON, changed).await.expect("a change in time")
}

/// Each named `async fn(&House)` of the module becomes a test per engine: `name::sqlite` and `name::postgres`. Where it
/// begins with `with adjust;`, that `fn(&mut sandbox::Config)` of the module adjusts the sandbox.
#[macro_export]
macro_rules! in_both_houses {
    (with $adjust:ident; $($rest:tt)*) => { $crate::in_both_houses!(@ (super::$adjust) $($rest)*); };
    (@ $adjust:tt $($(#[$meta:meta])* $name:ident;)*) => {$(
        mod $name {
            use $crate::house::House;
            use $crate::stores::Fresh;

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let fresh = Fresh::sqlite().await.expect("a store on SQLite");
                let house = House::open_with(fresh, $adjust).await;
                super::$name(&house).await;
                house.close().await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let fresh = Fresh::postgres(stringify!($name)).await.expect("a store on PostgreSQL");
                let house = House::open_with(fresh, $adjust).await;
                super::$name(&house).await;
                house.close().await;
            }
        }
    )*};
    ($($tests:tt)*) => { $crate::in_both_houses!(@ (|_| {}) $($tests)*); };
}
