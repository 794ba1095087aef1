//! Pushes, against a strict fake of Firebase.

mod said;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use borsellino_proto::v1::{PayBy, Payment, Platform};
use borsellino_server::jobs;
use borsellino_server::notify::{Push, Settings};
use borsellino_server::usecases::App;
use borsellino_store::Store;
use borsellino_tests::fcm::{Fault, Fcm};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, Phone, SOON, TOWN, new_id, wallet};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

/// How often a test's sender looks for work.
const EVERY: Duration = Duration::from_millis(5);

fn settings() -> Settings {
    Settings { every: EVERY, ..Settings::default() }
}

/// A node that sends, in a runtime of its own, so that it can be killed as a process is.
struct Node {
    runtime: Option<Runtime>,
    push: Arc<Push>,
}

impl Node {
    async fn start(house: &House, fcm: &Fcm) -> Self {
        Self::start_as(house, fcm, settings()).await
    }

    /// On PostgreSQL with connections of its own, which die with it.
    async fn start_as(house: &House, fcm: &Fcm, settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut app = house.app.clone();
        if let Some(url) = house.fresh.url().map(str::to_owned) {
            let opened = runtime.spawn(async move { Store::connect_postgres(&url, 4).await });
            app.store = opened.await.expect("no panic").expect("the database");
        }
        Self::start_on(runtime, app, fcm, settings)
    }

    fn start_on(runtime: Runtime, mut app: App, fcm: &Fcm, settings: Settings) -> Self {
        let push = fcm.sender(settings);
        app.push = Some(Arc::clone(&push));
        runtime.spawn(jobs::push::run(app));
        Self { runtime: Some(runtime), push }
    }

    /// At once, in the middle of whatever it does.
    fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A sender whose fake has the house's time, once what the demo's past left in the outbox has been told to nobody.
async fn start(house: &House) -> (Fcm, Node) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let node = Node::start(house, &fcm).await;
    until(house, TO_TELL, 0).await;
    (fcm, node)
}

const TO_TELL: &str = "SELECT COUNT(*) FROM outbox WHERE kind = 'payment_done'";
const OPEN: &str = "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL";
const DONE: &str = "SELECT COUNT(*) FROM delivery WHERE outcome IS NOT NULL";
const TOKENS: &str = "SELECT COUNT(*) FROM push_token";

fn with(outcome: &str) -> String {
    format!("SELECT COUNT(*) FROM delivery WHERE outcome = '{outcome}'")
}

/// Waits until a question has this answer.
async fn until(house: &House, sql: &str, expected: i64) {
    let asked = async {
        while house.fresh.raw_number(sql).await.ok() != Some(expected) {
            sleep(EVERY).await;
        }
    };
    let reached = timeout(SOON, asked).await;
    if reached.is_err() {
        panic!("{sql}: {:?} and not {expected}", house.fresh.raw_number(sql).await);
    }
}

/// Waits until everything that happened has been told and settled.
async fn all_settled(house: &House) {
    until(house, TO_TELL, 0).await;
    until(house, OPEN, 0).await;
}

async fn top_up(phone: &Phone, cents: i64) -> Payment {
    let home = phone.home().await.expect("home");
    let canteen = &wallet(&home, "Giulia", "Mensa scolastica").id;
    phone.top_up(canteen, cents, PayBy::Notice).await.expect("a top-up")
}

fn notice(payment: &Payment) -> &str {
    &payment.notice.as_ref().expect("a notice").number
}

async fn pay(house: &House, payment: &Payment) {
    assert!(house.deliver(&Receipt::new(notice(payment), payment.amount_cents)).await.is_ok());
}

/// A top-up that is paid.
async fn paid(house: &House, phone: &Phone) {
    pay(house, &top_up(phone, 500).await).await;
}

/// Many payments, past every limit of open top-ups.
async fn many_paid(house: &House, phone: &Phone, count: usize) {
    for _ in 0..count {
        paid(house, phone).await;
    }
}

/// As if a payment had happened so many times more: what it left in the outbox, again.
async fn tell_again(house: &House, payment: &Payment, count: usize) {
    let rows: Vec<String> = (0..count)
        .map(|_| {
            let (id, now) = (house.fresh.id(new_id().parse().expect("an id")), house.now());
            format!("('{TOWN}', {id}, 'payment_done', '{}', {now}, 0, {now})", notice(payment))
        })
        .collect();
    let columns = "creditor, id, kind, notice, due_at_ms, attempts, created_at_ms";
    house.execute(&format!("INSERT INTO outbox ({columns}) VALUES {}", rows.join(", "))).await;
}

fn says(status: u16, retry_after: Option<&str>) -> Fault {
    Fault::Says(status, retry_after.map(str::to_owned), "UNAVAILABLE")
}

#[track_caller]
fn sound(fcm: &Fcm) {
    assert_eq!(fcm.violations(), Vec::<String>::new(), "the fake objects");
}

async fn registered(house: &House, who: &str, token: &str) -> (Phone, String) {
    let phone = house.phone(who).await;
    let platform = if token.starts_with("android") { Platform::Android } else { Platform::Ios };
    let session = phone.register_push(token, platform).await.expect("registered");
    (phone, session)
}
