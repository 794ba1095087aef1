//! Pushes, against a strict fake of Firebase: what they say and to whom, and that none is lost, whatever FCM, the database or
//! the server do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::v1::{PayBy, Payment, Platform};
use borsellino_server::config::Config;
use borsellino_server::jobs;
use borsellino_server::notify::{Push, Settings};
use borsellino_server::usecases::App;
use borsellino_store::Store;
use borsellino_tests::fcm::{Fault, Fcm, Message};
use borsellino_tests::house::node::{self, Addressee, Receipt, euro};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, Phone, SOON, TOWN, new_id, next_change, reason, wallet};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

borsellino_tests::in_both_houses! {
    every_field_of_both_shapes;
    who_is_told_what;
    a_bill_and_a_stranger_at_the_counter;
    retry_after_holds_everybody_up;
    a_refusal_without_a_time_is_a_minute;
    an_access_token_is_renewed;
    what_fails_is_tried_again;
    a_dead_token_is_forgotten_and_a_new_one_is_not;
    what_is_no_fault_of_a_phone_forgets_none;
    a_killed_sender_loses_nothing;
    two_nodes_send_each_once;
    a_storm_of_429_loses_none;
    nothing_in_a_push_says_who_or_how_much;
    who_leaves_is_told_nothing_more;
    what_is_too_old_is_dropped;
    a_database_that_is_away_loses_nothing;
    without_a_sender_rows_wait;
    the_log_is_kept_for_so_many_days;
    the_stream_and_the_push_say_the_same_number;
    no_faster_than_allowed;
    another_secret_cannot_read_the_tokens;
    a_stopping_server_settles_what_it_sent;
    what_an_operator_sets;
}

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

async fn every_field_of_both_shapes(house: &House) {
    let (fcm, _node) = start(house).await;
    let phone = house.phone(MARIA).await;
    let session = phone.speaking("de").register_push("android-1", Platform::Android).await.expect("registered");
    let iphone = house.phone(MARIA).await.speaking("en");
    let other = iphone.register_push("ios-1", Platform::Ios).await.expect("registered");
    let payment = top_up(&phone, 1_000).await;
    house.advance(Duration::from_millis(1_500));
    let paid_at = house.now();
    pay(house, &payment).await;
    fcm.until(2).await;
    all_settled(house).await;
    let seq = phone.home().await.expect("home").feed_seq;

    let mut messages: BTreeMap<String, Message> =
        fcm.messages().into_iter().map(|message| (message.token.clone(), message)).collect();
    let (android, ios) = (messages.remove("android-1").expect("one"), messages.remove("ios-1").expect("one"));
    let (id, ios_id) = (android.data("id").to_owned(), ios.data("id").to_owned());
    assert_ne!(id, ios_id, "a message has an id of its own");
    let expected = json!({
        "token": "android-1",
        "data": {
            "v": "1", "id": id, "session": session, "seq": seq.to_string(), "kind": "payment_done",
            "title_key": "push_payment_done_title", "body_key": "push_payment_done_body",
            "title": "Zahlung abgeschlossen",
            "body": "Eine Zahlung wurde abgeschlossen: Details finden Sie in der App.",
        },
        "android": { "priority": "HIGH", "ttl": "86400s", "collapse_key": session },
    });
    assert_eq!(android.message, expected);
    let until = paid_at + 86_400_000;
    let expected = json!({
        "token": "ios-1",
        "data": { "v": "1", "id": ios_id, "session": other, "seq": seq.to_string(), "kind": "payment_done" },
        "apns": {
            "headers": {
                "apns-push-type": "alert", "apns-priority": "10",
                "apns-expiration": (until / 1_000).to_string(), "apns-collapse-id": ios_id,
            },
            "payload": { "aps": {
                "alert": {
                    "title": "Payment completed", "body": "A payment was completed: open the app for the details.",
                    "title-loc-key": "push_payment_done_title", "loc-key": "push_payment_done_body",
                },
                "mutable-content": 1,
                "sound": "default",
            } },
        },
    });
    assert_eq!(ios.message, expected);
    assert_eq!(fcm.grants(), 1, "one access token for both");
    assert_eq!(house.number(&with("sent")).await, 2);
    sound(&fcm);
}

async fn who_is_told_what(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    registered(house, MARIA, "ios-maria").await;
    registered(house, PAOLO, "android-paolo").await;
    registered(house, AMINA, "android-amina").await;
    house.phone(PAOLO).await;
    paid(house, &maria).await;
    all_settled(house).await;
    let told: BTreeMap<String, String> =
        fcm.taken().into_iter().map(|one| (one.token.clone(), one.data("kind").to_owned())).collect();
    let expected = [("android-maria", "payment_done"), ("ios-maria", "payment_done"), ("android-paolo", "changed")];
    let expected = expected.map(|(token, kind)| (token.to_owned(), kind.to_owned()));
    assert_eq!(told, BTreeMap::from(expected), "another family hears nothing");
    assert_eq!(fcm.count(), 3, "each device once");

    // The same receipt again, and again in the other version, tells nobody anything.
    let payment = top_up(&maria, 700).await;
    let receipt = Receipt::new(notice(&payment), 700);
    for v1 in [false, false, true] {
        house.deliver(&Receipt { v1, ..receipt.clone() }).await;
    }
    all_settled(house).await;
    assert_eq!(fcm.count(), 6);
    let ids: BTreeSet<String> = fcm.taken().iter().map(|one| one.data("id").to_owned()).collect();
    assert_eq!(ids.len(), 6, "each message has its own id");
    sound(&fcm);
}

async fn a_bill_and_a_stranger_at_the_counter(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    registered(house, PAOLO, "ios-paolo").await;
    let told = |fcm: &Fcm, from: usize| -> BTreeSet<(String, String)> {
        let news = fcm.taken().split_off(from);
        news.into_iter().map(|one| (one.token.clone(), one.data("kind").to_owned())).collect()
    };
    let pair = |token: &str, kind: &str| (token.to_owned(), kind.to_owned());

    let bills = maria.home().await.expect("home").bills;
    let bill = bills.iter().max_by_key(|bill| bill.lines.len()).expect("a bill of both children");
    let number = &bill.notice.as_ref().expect("a notice").number;
    assert!(house.deliver(&Receipt::new(number, bill.residual_cents)).await.is_ok());
    all_settled(house).await;
    let done = BTreeSet::from([pair("android-maria", "payment_done"), pair("ios-paolo", "changed")]);
    assert_eq!(told(&fcm, 0), done, "it was issued to Maria");
    assert_eq!(fcm.count(), 2, "once, though it is for several children");

    // Somebody pays at a PSP, knowing the child's code only: nobody asked for it, all are told that something changed.
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    let code = codes.into_iter().find(|code| borsellino_domain::fiscal_code::PersonalCode::parse(code).is_ok());
    let data = format!(
        "<ricarica xmlns=\"urn:borsellino:ricarica:1\"><codiceFiscaleAlunno>{}</codiceFiscaleAlunno>\
        <importo>{}</importo></ricarica>",
        code.expect("one of them fits"),
        euro(1_500)
    );
    let demand = node::demand(&Addressee::new(TOWN), ("00009", "00035"), &data);
    let answer = house.soap(Some("paDemandPaymentNotice"), demand).await;
    let number = answer.element("noticeNumber").expect("a notice").to_owned();
    assert!(house.deliver(&Receipt::new(&number, 1_500)).await.is_ok());
    all_settled(house).await;
    assert_eq!(told(&fcm, 2), BTreeSet::from([pair("android-maria", "changed"), pair("ios-paolo", "changed")]));
    sound(&fcm);
}

async fn retry_after_holds_everybody_up(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    let date = |millis: i64| {
        let at = jiff::Timestamp::from_millisecond(millis).expect("a time");
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
    };
    let mut count = 0;
    for (status, form) in [(429, "120".to_owned()), (503, date(house.now() + 120_000)), (500, "120".to_owned())] {
        let form = if status == 503 { date(house.now() + 120_000) } else { form };
        fcm.order([says(status, Some(&form))]);
        paid(house, &maria).await;
        count += 1;
        fcm.until(count).await;
        let last = format!("SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND last_code LIKE '{status}%'");
        until(house, &last, 1).await;
        // Another one, which FCM has said nothing about, waits as well.
        paid(house, &maria).await;
        until(house, OPEN, 2).await;
        house.advance(Duration::from_millis(119_000));
        for _ in 0..20 {
            sleep(EVERY).await;
            assert_eq!(fcm.count(), count, "{status} {form}: too early");
        }
        house.advance(Duration::from_millis(1_000));
        count += 2;
        fcm.until(count).await;
        all_settled(house).await;
    }
    assert_eq!((fcm.count(), fcm.taken().len()), (9, 6));
    sound(&fcm);
}

async fn a_refusal_without_a_time_is_a_minute(house: &House) {
    let (fcm, node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "ios-maria").await;
    fcm.order([says(429, None)]);
    paid(house, &maria).await;
    fcm.until(1).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code = '429 UNAVAILABLE'", 1).await;
    house.advance(Duration::from_millis(59_999));
    assert!(node.push.pace().is_paused(house.app.now()));
    house.advance(Duration::from_secs(61));
    all_settled(house).await;
    assert_eq!(fcm.taken().len(), 1);
    sound(&fcm);
}

async fn an_access_token_is_renewed(house: &House) {
    let (fcm, node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    paid(house, &maria).await;
    fcm.until(1).await;
    paid(house, &maria).await;
    fcm.until(2).await;
    assert_eq!(fcm.grants(), 1, "kept for its time");
    // Taken back by Google: refreshed once, and the same message goes out again.
    fcm.revoke_access();
    paid(house, &maria).await;
    fcm.until(4).await;
    all_settled(house).await;
    assert_eq!((fcm.grants(), fcm.taken().len()), (2, 3));
    let messages = fcm.messages();
    assert_eq!((messages[2].status, messages[3].status), (401, 200));
    assert_eq!(messages[2].message, messages[3].message);
    // Renewed before it ends.
    house.advance(Duration::from_secs(3_600 - 299));
    maria.refresh(&maria.tokens.refresh_token).await.expect("tokens");
    let maria = house.phone(MARIA).await;
    paid(house, &maria).await;
    fcm.until(5).await;
    assert_eq!((fcm.grants(), fcm.messages()[4].status), (3, 200));
    all_settled(house).await;

    // Google gives none: everybody waits, and nobody asks meanwhile.
    fcm.revoke_access();
    fcm.order_at_token([says(503, Some("30"))]);
    paid(house, &maria).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code = 'token: 503'", 1).await;
    assert!(node.push.pace().is_paused(house.app.now()));
    house.advance(Duration::from_secs(30));
    all_settled(house).await;
    assert_eq!((fcm.grants(), fcm.taken().len()), (5, 5));

    // A fresh token is not taken either: once refreshed, then a pause, and no token of a phone is forgotten.
    fcm.order([says(401, None), says(401, None)]);
    paid(house, &maria).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code = '401'", 1).await;
    assert_eq!(fcm.grants(), 6);
    house.advance(Duration::from_secs(3_600));
    all_settled(house).await;
    assert_eq!((fcm.taken().len(), house.number(TOKENS).await), (6, 1));
    sound(&fcm);
}

async fn what_fails_is_tried_again(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "ios-maria").await;
    registered(house, PAOLO, "android-paolo").await;
    // Three times in three ways; the other device must not be told again for it.
    fcm.bury("ios-maria", 500, "INTERNAL");
    paid(house, &maria).await;
    fcm.until(2).await;
    let waits = |attempts: u32| {
        format!(
            "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND attempts = {attempts} AND last_code IS NOT NULL AND due_at_ms < {}",
            house.now() + 60_000
        )
    };
    let spread = "SELECT MIN(due_at_ms) FROM delivery WHERE outcome IS NULL";
    for attempts in 1..=5 {
        fcm.until(1 + attempts).await;
        let attempts = u32::try_from(attempts).expect("small");
        until(house, &waits(attempts), 1).await;
        let wait = house.number(spread).await - house.now();
        let longest = 1_000 * 2i64.pow(attempts - 1);
        assert!((longest / 2..=longest).contains(&wait), "attempt {attempts}: {wait} ms");
        house.advance(Duration::from_millis(wait.unsigned_abs()));
    }
    fcm.until(7).await;
    until(house, &waits(6), 1).await;
    fcm.bury("ios-maria", 200, "");
    house.advance(Duration::from_secs(60));
    all_settled(house).await;
    let messages = fcm.messages();
    let tries: Vec<&Message> = messages.iter().filter(|one| one.token == "ios-maria").collect();
    assert_eq!(tries.len(), 7);
    assert!(tries.iter().all(|one| one.message == tries[0].message), "the same message, with the same id");
    assert_eq!(messages.len(), 8, "Paolo's device heard of it once");
    assert_eq!(house.number("SELECT MAX(attempts) FROM delivery WHERE outcome = 'sent'").await, 7);

    // An answer that is lost on its way: it was taken, and comes again under its id.
    fcm.order([Fault::Lost]);
    paid(house, &maria).await;
    fcm.until(10).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND attempts = 1 AND last_code IS NOT NULL", 1)
        .await;
    house.advance(Duration::from_secs(2));
    all_settled(house).await;
    assert_eq!(fcm.count(), 11);
    sound(&fcm);
}

async fn a_dead_token_is_forgotten_and_a_new_one_is_not(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, session) = registered(house, MARIA, "android-gone").await;
    let (tablet, _) = registered(house, MARIA, "ios-wrong").await;
    fcm.bury("android-gone", 404, "UNREGISTERED");
    fcm.bury("ios-wrong", 400, "INVALID_ARGUMENT");
    paid(house, &maria).await;
    until(house, &with("unregistered"), 2).await;
    assert_eq!(house.number(TOKENS).await, 0);
    assert!(maria.devices().await.expect("devices").iter().all(|device| !device.has_push));
    paid(house, &maria).await;
    all_settled(house).await;
    assert_eq!(fcm.count(), 2, "nobody is left to be told");

    // The phone gets another token while the old one is being tried.
    registered(house, PAOLO, "android-paolo").await;
    maria.register_push("android-gone", Platform::Android).await.expect("registered");
    let held = fcm.hold();
    paid(house, &tablet).await;
    fcm.until(4).await;
    assert_eq!(maria.register_push("android-new", Platform::Android).await.expect("registered"), session);
    drop(held);
    all_settled(house).await;
    let last = fcm.messages().pop().expect("a message");
    assert_eq!((last.token.as_str(), last.status), ("android-new", 200), "told under the new one");
    assert_eq!((fcm.count(), house.number(TOKENS).await), (5, 2), "which is kept");
    sound(&fcm);
}

async fn what_is_no_fault_of_a_phone_forgets_none(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    // Another project's service account would make FCM say this of every phone.
    fcm.order([Fault::Says(403, None, "SENDER_ID_MISMATCH")]);
    paid(house, &maria).await;
    until(house, &with("refused"), 1).await;
    // Apple does not take Firebase's credentials; a wrong address is not found: both are put right one day.
    for (status, name) in [(401, "THIRD_PARTY_AUTH_ERROR"), (404, "NOT_FOUND")] {
        fcm.order([Fault::Says(status, None, name)]);
        let before = fcm.count();
        paid(house, &maria).await;
        fcm.until(before + 1).await;
        until(house, &format!("SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND last_code LIKE '{status}%'"), 1)
            .await;
        house.advance(Duration::from_secs(2));
        all_settled(house).await;
        assert_eq!(fcm.count(), before + 2);
    }
    assert_eq!((house.number(TOKENS).await, fcm.grants()), (1, 1));
    sound(&fcm);
}

async fn a_killed_sender_loses_nothing(house: &House) {
    let (fcm, node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    registered(house, PAOLO, "ios-paolo").await;
    let held = fcm.hold();
    many_paid(house, &maria, 3).await;
    fcm.until(6).await;
    // FCM has them, and the server dies before it hears so.
    node.kill();
    drop(held);
    assert_eq!(house.number(OPEN).await, 6);
    many_paid(house, &maria, 2).await;

    let other = Node::start(house, &fcm).await;
    fcm.until(10).await;
    until(house, DONE, 4).await;
    assert_eq!((house.number(OPEN).await, fcm.count()), (6, 10), "what the dead one has is its own, for a minute");
    house.advance(Duration::from_secs(60));
    all_settled(house).await;
    assert_eq!(fcm.count(), 16);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for message in fcm.taken() {
        *times.entry(message.data("id").to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), 10, "every one came");
    assert_eq!(times.values().filter(|count| **count == 2).count(), 6, "what was not settled came again, under its id");
    drop(other);
    sound(&fcm);
}

async fn two_nodes_send_each_once(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    registered(house, MARIA, "ios-maria").await;
    registered(house, PAOLO, "ios-paolo").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    let payment = top_up(&maria, 500).await;
    pay(house, &payment).await;
    tell_again(house, &payment, 39).await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start_as(house, &fcm, Settings { in_flight: 16, ..settings() }).await);
    }
    tell_again(house, &payment, 40).await;
    all_settled(house).await;
    let mut ids: Vec<String> = fcm.taken().iter().map(|one| one.data("id").to_owned()).collect();
    ids.sort();
    assert_eq!(ids.len(), 240);
    ids.dedup();
    assert_eq!(ids.len(), 240, "none twice while leases hold");
    assert_eq!(house.number("SELECT COUNT(*) FROM delivery WHERE outcome = 'sent' AND attempts = 1").await, 240);
    assert!(fcm.most_under_way() <= 48, "{} at a time", fcm.most_under_way());
    sound(&fcm);
}

async fn a_storm_of_429_loses_none(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    registered(house, PAOLO, "ios-paolo").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    let payment = top_up(&maria, 500).await;
    pay(house, &payment).await;
    tell_again(house, &payment, 99).await;
    // Everything that is sent in the first rounds is refused, and a third of what follows.
    fcm.order((0..300).map(|_| says(429, Some("2"))));
    fcm.order((0..100).map(|n| if n % 3 == 0 { says(503, Some("1")) } else { Fault::Says(500, None, "INTERNAL") }));
    let _node = Node::start_as(house, &fcm, Settings { in_flight: 32, ..settings() }).await;
    until(house, TO_TELL, 0).await;
    let calm = async {
        while house.number(OPEN).await > 0 {
            sleep(EVERY).await;
            house.advance(Duration::from_secs(1));
        }
    };
    timeout(3 * SOON, calm).await.expect("calm after the storm");
    let mut ids: Vec<String> = fcm.taken().iter().map(|one| one.data("id").to_owned()).collect();
    ids.sort();
    assert_eq!(ids.len(), 200, "{} were taken", ids.len());
    ids.dedup();
    assert_eq!((ids.len(), house.number(&with("sent")).await), (200, 200), "none lost, none twice");
    assert_eq!(fcm.count(), 600, "200 taken and 400 refused");
    sound(&fcm);
}

async fn nothing_in_a_push_says_who_or_how_much(house: &House) {
    let (fcm, _node) = start(house).await;
    for (n, language) in ["it", "en", "de"].into_iter().enumerate() {
        for platform in [Platform::Android, Platform::Ios] {
            let phone = house.phone(MARIA).await.speaking(language);
            let token = format!("{}-{n}", if platform == Platform::Android { "android" } else { "ios" });
            phone.register_push(&token, platform).await.expect("registered");
        }
    }
    registered(house, PAOLO, "android-paolo").await;
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    let payment = top_up(&maria, 1_234).await;
    pay(house, &payment).await;
    all_settled(house).await;
    let bill = home.bills.first().expect("a bill").clone();
    let bill_notice = bill.notice.as_ref().expect("a notice").number.clone();
    assert!(house.deliver(&Receipt::new(&bill_notice, bill.residual_cents)).await.is_ok());
    all_settled(house).await;

    let mut secret: Vec<String> = [
        TOWN, MARIA, PAOLO, "Giulia", "Luca", "Maria", "Bianchi", "Paolo", "Rossi", "Valdorso", "Comune", "Mensa",
        "mensa", "Rodari", "Scuola", "scuola", "school", "Schule", "3A", "1234", "12,34", "12.34", "RSSGLI17C48F205",
        "VRDGLI85M52F205X",
    ]
    .map(str::to_owned)
    .to_vec();
    secret.extend([notice(&payment).to_owned(), bill_notice, payment.id, payment.wallet_id, bill.id, bill.number]);
    secret.push(bill.residual_cents.to_string());
    secret.push(maria.guardian.id.clone());
    secret.extend(home.children.iter().map(|child| child.id.clone()));
    let bodies = fcm.bodies();
    assert_eq!(bodies.len(), 14);
    for body in &bodies {
        // Ids are random digits, in which an amount may stand by chance.
        let mut words: Value = serde_json::from_str(body).expect("JSON");
        let text = |value: &Value| value.to_string();
        let ids = ["id", "session", "seq"].map(|name| words["message"]["data"][name].take());
        let apns = words["message"]["apns"]["headers"].take();
        if words["message"]["android"].is_object() {
            words["message"]["android"]["collapse_key"].take();
        }
        for part in &secret {
            assert!(!text(&words).contains(part.as_str()), "{part} in {body}");
            let long = part.len() > 5;
            assert!(!long || !ids.iter().chain([&apns]).any(|id| text(id).contains(part.as_str())), "{part} in {body}");
        }
    }
    sound(&fcm);
}

async fn who_leaves_is_told_nothing_more(house: &House) {
    let (fcm, _node) = start(house).await;
    let (stays, _) = registered(house, MARIA, "android-stays").await;
    let (leaves, _) = registered(house, MARIA, "android-leaves").await;
    let (_, lost) = registered(house, MARIA, "ios-lost").await;
    let (quiet, _) = registered(house, MARIA, "ios-quiet").await;
    registered(house, PAOLO, "android-paolo").await;
    // Held up by FCM, so that all of it is laid ready before anybody leaves.
    fcm.order([says(429, Some("60"))]);
    paid(house, &stays).await;
    until(house, TO_TELL, 0).await;
    until(house, OPEN, 5 - house.number(&with("sent")).await).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code LIKE '429%'", 1).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND attempts > 0 AND last_code IS NULL", 0).await;
    let sent = fcm.count();
    leaves.sign_out().await.expect("signed out");
    stays.revoke_device(&lost).await.expect("revoked");
    quiet.remove_push().await.expect("removed");
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{PAOLO}'")).await;
    house.advance(Duration::from_secs(60));
    all_settled(house).await;
    let after: Vec<String> = fcm.messages().split_off(sent).into_iter().map(|one| one.token).collect();
    assert!(after.iter().all(|token| token == "android-stays"), "{after:?}");
    assert_eq!(house.number(&with("sent")).await + house.number(&with("no_device")).await, 5);

    let before = fcm.count();
    paid(house, &stays).await;
    all_settled(house).await;
    assert_eq!(fcm.count(), before + 1);
    assert_eq!(fcm.messages().pop().expect("a message").token, "android-stays");
    assert_eq!(reason(leaves.home().await), borsellino_proto::reason::Reason::SessionEnded);
    // The token of a guardian whose access ended is swept within the hour.
    assert_eq!(house.number(TOKENS).await, 2);
    house.advance(Duration::from_secs(3_600));
    until(house, TOKENS, 1).await;
    // A phone that was not used for sixty days is told nothing, either.
    house.advance(Duration::from_secs(60 * 86_400));
    let again = house.phone(MARIA).await;
    paid(house, &again).await;
    all_settled(house).await;
    assert_eq!(fcm.count(), before + 1);
    sound(&fcm);
}

async fn what_is_too_old_is_dropped(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    fcm.bury("android-maria", 500, "INTERNAL");
    paid(house, &maria).await;
    fcm.until(1).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code = '500 INTERNAL'", 1).await;
    fcm.bury("android-maria", 502, "AGAIN");
    house.advance(Duration::from_secs(86_400 - 10));
    fcm.until(2).await;
    assert_eq!(fcm.messages()[1].message["android"]["ttl"], "10s", "only as long as it is of use");
    until(house, "SELECT COUNT(*) FROM delivery WHERE last_code = '502 AGAIN'", 1).await;
    house.advance(Duration::from_secs(10));
    until(house, &with("expired"), 1).await;
    assert_eq!(fcm.count(), 2, "it is not sent");
    sound(&fcm);
}

async fn a_database_that_is_away_loses_nothing(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    let held = fcm.hold();
    many_paid(house, &maria, 3).await;
    fcm.until(3).await;
    let name = house.fresh.url().map(|url| {
        let path = url.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    });
    away(house, name.as_deref(), true).await;
    drop(held);
    // It has its answers and nowhere to write them.
    sleep(40 * EVERY).await;
    away(house, name.as_deref(), false).await;
    all_settled(house).await;
    assert_eq!((fcm.count(), house.number(&with("sent")).await), (3, 3), "settled late, and not sent again");
    let again = async {
        // The server finds out which of its connections are gone.
        while maria.home().await.is_err() {
            sleep(EVERY).await;
        }
        let payment = top_up(&maria, 500).await;
        let receipt = Receipt::new(notice(&payment), 500);
        while !house.deliver(&receipt).await.is_ok() {
            sleep(EVERY).await;
        }
    };
    timeout(SOON, again).await.expect("a server that is back");
    all_settled(house).await;
    assert_eq!(fcm.count(), 4, "it goes on");
    sound(&fcm);
}

/// Takes the database away, or gives it back: on SQLite the disk is full, on PostgreSQL every connection is cut and none is
/// taken.
async fn away(house: &House, name: Option<&str>, is_away: bool) {
    let Some(name) = name else {
        house.app.store.limit_pages(if is_away { 1 } else { u32::MAX - 1 }).await;
        return;
    };
    let url = house.fresh.url().expect("PostgreSQL").replacen(&format!("/{name}"), "/postgres", 1);
    let mut admin = PgConnection::connect(&url).await.expect("the server");
    let mut sql = vec![format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {}", !is_away)];
    if is_away {
        sql.push(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    }
    for sql in sql {
        raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.expect("a statement");
    }
}

async fn without_a_sender_rows_wait(house: &House) {
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    many_paid(house, &maria, 2).await;
    // As every server without [push] does.
    jobs::push::run(house.app.clone()).await;
    assert_eq!((house.number(TO_TELL).await, house.number(OPEN).await), (2, 0));
    let others = "SELECT COUNT(*) FROM outbox WHERE kind = 'aca_position'";
    let waiting = house.number(others).await;
    assert!(waiting > 0, "the demo has notices");
    let (fcm, _node) = start(house).await;
    all_settled(house).await;
    assert_eq!(fcm.taken().len(), 2, "once there is one, they are told");
    assert_eq!(house.number(others).await, waiting, "what is of another kind is left alone");
    assert_eq!(house.number("SELECT CAST(SUM(attempts) AS BIGINT) FROM outbox").await, 0);
    sound(&fcm);
}

async fn the_log_is_kept_for_so_many_days(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-in-clear").await;
    paid(house, &maria).await;
    all_settled(house).await;
    let log = "SELECT COUNT(*) FROM delivery WHERE outcome = 'sent' AND last_code = '200' AND attempts = 1
        AND channel = 'push' AND message = 'payment_done' AND done_at_ms >= created_at_ms";
    assert_eq!(house.number(log).await, 1);
    house.advance(Duration::from_secs(29 * 86_400));
    let maria = house.phone(MARIA).await;
    maria.register_push("android-new", Platform::Android).await.expect("registered");
    paid(house, &maria).await;
    all_settled(house).await;
    house.advance(Duration::from_secs(86_400 + 1));
    // What was sent a day ago stays.
    until(house, DONE, 2).await;
    assert_eq!(house.number(&with("sent")).await, 2, "both devices, of the second payment");
    sound(&fcm);
}

async fn the_stream_and_the_push_say_the_same_number(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    let (paolo, _) = registered(house, PAOLO, "ios-paolo").await;
    let payment = top_up(&maria, 900).await;
    let mut streams = Vec::new();
    for phone in [&maria, &paolo] {
        let from = phone.home().await.expect("home").feed_seq;
        streams.push(phone.watch(from).await.expect("a stream"));
    }
    let held = fcm.hold();
    pay(house, &payment).await;
    let mut seen = Vec::new();
    for stream in &mut streams {
        seen.push(next_change(stream).await.seq);
    }
    fcm.until(2).await;
    // By which a phone that has shown the change knows that the push is about it.
    let said: BTreeMap<String, u64> =
        fcm.messages().iter().map(|one| (one.token.clone(), one.data("seq").parse().expect("a number"))).collect();
    let expected = [("android-maria".to_owned(), seen[0]), ("ios-paolo".to_owned(), seen[1])];
    assert_eq!(said, BTreeMap::from(expected));
    drop(held);

    // Told late, it still names its own number and not the last one.
    house.execute("UPDATE outbox SET due_at_ms = due_at_ms WHERE kind = 'payment_done'").await;
    all_settled(house).await;
    sound(&fcm);
}

async fn no_faster_than_allowed(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let _node = Node::start_as(house, &fcm, Settings { per_minute: 120, ..settings() }).await;
    until(house, TO_TELL, 0).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    many_paid(house, &maria, 5).await;
    fcm.until(2).await;
    for _ in 0..20 {
        sleep(EVERY).await;
        assert_eq!(fcm.count(), 2, "two a second, and the clock stands");
    }
    for count in [3, 4, 5] {
        house.advance(Duration::from_millis(500));
        fcm.until(count).await;
    }
    all_settled(house).await;
    assert_eq!(fcm.count(), 5);
    sound(&fcm);
}

async fn another_secret_cannot_read_the_tokens(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    paid(house, &maria).await;
    let (runtime, mut app) = (Runtime::new().expect("a runtime"), house.app.clone());
    app.keys = Arc::new(borsellino_server::auth::keys::Keys::derive(&[8; 32]).expect("keys"));
    let _node = Node::start_on(runtime, app, &fcm, settings());
    until(house, &with("unreadable"), 1).await;
    // Forgotten: the app registers anew at its next start.
    assert_eq!((fcm.count(), house.number(TOKENS).await), (0, 0));
}

async fn a_stopping_server_settles_what_it_sent(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let app = App { push: Some(fcm.sender(settings())), stopping, ..house.app.clone() };
    let running = tokio::spawn(jobs::push::run(app));
    let held = fcm.hold();
    many_paid(house, &maria, 3).await;
    fcm.until(3).await;
    stop.send(true).expect("a running sender");
    sleep(4 * EVERY).await;
    assert!(!running.is_finished(), "messages are on their way");
    drop(held);
    timeout(SOON, running).await.expect("an end in time").expect("no panic");
    assert_eq!((house.number(&with("sent")).await, house.number(OPEN).await), (3, 0));
    let town = CreditorCode::from_digits(TOWN).expect("eleven digits");
    assert!(house.app.directory.listing().creditor(town.as_str()).is_some());
    sound(&fcm);
}

async fn what_an_operator_sets(house: &House) {
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = fcm.account_file(folder.path());
    let config = |more: &str| {
        let base = "[database]\nurl = 'sqlite:/x'\n[public]\nlisten = '127.0.0.1:1'\n[node]\nlisten = '[::1]:2'\n";
        let push = format!("[push]\nservice_account = '{}'\nurl = '{}'\n{more}", file.display(), fcm.url());
        toml::from_str::<Config>(&format!("{base}{push}")).expect("a configuration")
    };
    let push = config("messages_per_minute = 7\nin_flight = 3\nkeep_log_days = 2").push(house.app.now());
    let push = push.expect("a sender").expect("it is configured");
    assert_eq!((push.settings.per_minute, push.settings.in_flight, push.settings.keep_days), (7, 3, 2));
    let push = config("").push(house.app.now()).expect("a sender").expect("it is configured");
    assert_eq!((push.settings.per_minute, push.settings.in_flight, push.settings.keep_days), (600_000, 256, 30));

    // As `serve` does it.
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    house.execute("DELETE FROM outbox WHERE kind = 'payment_done'").await;
    paid(house, &maria).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let app = App { push: Some(Arc::new(push)), stopping, ..house.app.clone() };
    let running = tokio::spawn(jobs::push::run(app));
    fcm.until(1).await;
    stop.send(true).expect("a running sender");
    timeout(SOON, running).await.expect("an end in time").expect("no panic");
    all_settled(house).await;

    let error = |config: Config| config.push(house.app.now()).expect_err("a refusal").to_string();
    let mut open = config("");
    open.push.as_mut().expect("a section").url = "http://fcm.example".to_owned();
    assert!(error(open).contains("https://"));
    let mut account = fcm.account();
    account["token_uri"] = "http://192.0.2.1/token".into();
    std::fs::write(&file, account.to_string()).expect("a file");
    let told = error(config(""));
    assert!(told.contains("token_uri") && told.contains("firebase.json"), "{told}");
    std::fs::write(&file, "{}").expect("a file");
    assert!(error(config("")).contains("Firebase console"));
    std::fs::remove_file(&file).expect("gone");
    assert!(error(config("")).contains("can't be read"));
    sound(&fcm);
}
