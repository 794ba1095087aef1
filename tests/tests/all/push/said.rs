//! What a push says, to whom, and what is kept of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use borsellino_proto::v1::Platform;
use borsellino_server::config::Config;
use borsellino_server::jobs;
use borsellino_server::usecases::App;
use borsellino_tests::fcm::{Fcm, Message};
use borsellino_tests::house::node::{self, Addressee, Receipt, euro};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, SOON, TOWN, next_change, reason};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{DONE, TOKENS, all_settled, notice, paid, pay, registered, says, sound, start, top_up, until, with};

borsellino_tests::in_both_houses! {
    every_field_of_both_shapes;
    who_is_told_what;
    a_bill_and_a_stranger_at_the_counter;
    nothing_in_a_push_says_who_or_how_much;
    who_leaves_is_told_nothing_more;
    the_log_is_kept_for_so_many_days;
    the_stream_and_the_push_say_the_same_number;
    what_an_operator_sets;
    who_is_asked_about_a_new_password;
}

async fn who_is_asked_about_a_new_password(house: &House) {
    let (fcm, _node) = start(house).await;
    let phone = house.phone(MARIA).await;
    let session = phone.speaking("de").register_push("android-1", Platform::Android).await.expect("registered");
    phone.register_push("android-1", Platform::Android).await.expect("in Italian");
    let other = house.phone(MARIA).await.register_push("ios-1", Platform::Ios).await.expect("registered");
    house.phone(PAOLO).await.register_push("ios-2", Platform::Ios).await.expect("registered");
    house.door().recover(MARIA).await.expect("started");
    house.door().recover("nobody.at.all").await.expect("started");
    fcm.until(2).await;
    all_settled(house).await;
    let messages = fcm.messages();
    let mut told: Vec<&str> = messages.iter().map(|message| message.data("session")).collect();
    told.sort_unstable();
    let mut hers = [session.as_str(), other.as_str()];
    hers.sort_unstable();
    assert_eq!(told, hers, "every device of hers, and nobody else's");
    for message in &messages {
        assert_eq!(message.data("kind"), "account");
        assert!(message.message.to_string().contains("password nuova"), "{}", message.message);
    }
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
    fcm.order((0..5).map(|_| says(429, Some("60"))));
    paid(house, &stays).await;
    until(house, "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND last_code LIKE '429%'", 5).await;
    let sent = fcm.count();
    leaves.sign_out().await.expect("signed out");
    stays.revoke_device(&lost).await.expect("revoked");
    quiet.remove_push().await.expect("removed");
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{PAOLO}'")).await;
    house.advance(Duration::from_secs(60));
    all_settled(house).await;
    let after: Vec<String> = fcm.messages().split_off(sent).into_iter().map(|one| one.token).collect();
    assert_eq!((sent, after), (5, vec!["android-stays".to_owned()]));
    assert_eq!((house.number(&with("sent")).await, house.number(&with("no_device")).await), (1, 4));

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
    all_settled(house).await;
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
