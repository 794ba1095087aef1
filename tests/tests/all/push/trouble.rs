//! What goes wrong with pushes, and that none is lost for it, whatever FCM, the database or the server do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_proto::v1::Platform;
use borsellino_server::jobs;
use borsellino_server::notify::Settings;
use borsellino_server::usecases::App;
use borsellino_tests::fcm::{Fault, Fcm, Message};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, PAOLO, SOON};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::{
    DONE, EVERY, Node, OPEN, TO_TELL, TOKENS, all_settled, many_paid, notice, paid, pay, registered, says, settings,
    sound, start, tell_again, top_up, until, with,
};

borsellino_tests::in_both_houses! {
    retry_after_holds_everybody_up;
    a_refusal_without_a_time_is_a_minute;
    an_access_token_is_renewed;
    what_fails_is_tried_again;
    a_dead_token_is_forgotten_and_a_new_one_is_not;
    what_is_no_fault_of_a_phone_forgets_none;
    a_killed_sender_loses_nothing;
    two_nodes_send_each_once;
    a_storm_of_429_loses_none;
    what_is_too_old_is_dropped;
    a_database_that_is_away_loses_nothing;
    without_a_sender_rows_wait;
    no_faster_than_allowed;
    another_secret_cannot_read_the_tokens;
    a_stopping_server_settles_what_it_sent;
}

async fn retry_after_holds_everybody_up(house: &House) {
    let (fcm, _node) = start(house).await;
    let (maria, _) = registered(house, MARIA, "android-maria").await;
    let date = |millis: i64| {
        let at = jiff::Timestamp::from_millisecond(millis).expect("a time");
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
    };
    let mut count = 0;
    for (status, is_date) in [(429, false), (503, true), (500, false)] {
        let form = if is_date { date(house.now() + 120_000) } else { "120".to_owned() };
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
            // What is on its way has a lease of a minute, which must not end for the machine's slowness; nobody waits so long.
            let under_way = format!("{OPEN} AND due_at_ms > {}", house.now() + 40_000);
            if house.number(&under_way).await == 0 {
                house.advance(Duration::from_secs(1));
            }
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
