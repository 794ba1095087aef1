//! Pushes: every server hears under which token this phone is reached, and what arrives is shown once.

use std::collections::HashMap;
use std::sync::Arc;

use borsellino_core::{Connection, Error, Event, Invalid, PayBy, Platform, PushNews};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;

use crate::fake::{CREDITOR, Fake, Oddity};
use crate::fake_accounts::SESSION;
use crate::support::{Ears, canteen, euros, phone};

fn android(token: &str) -> (String, i32, String) {
    (token.to_owned(), v1::Platform::Android.into(), "it".to_owned())
}

/// Waits until the servers have heard this, in this order.
async fn heard(fake: &Fake, expected: &[(String, i32, String)]) {
    let wait = async {
        while fake.state().account.pushes != expected {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await;
    assert!(done.is_ok(), "heard {:?}", fake.state().account.pushes);
}

fn push(id: &str, session: &str, seq: u64) -> HashMap<String, String> {
    let pairs = [("v", "1"), ("id", id), ("session", session), ("seq", &seq.to_string()), ("kind", "changed")];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_token_of_before_the_sign_in_is_told_after_it_and_whenever_it_changes() {
    let (fake, phone) = phone().await;
    let app = phone.open().await;
    for wrong in ["", " ", "a b", "è", &"x".repeat(4_097)] {
        assert_eq!(app.register_push(wrong, Platform::Android).await, Err(Error::Invalid(Invalid::PushToken)));
    }
    app.register_push("first", Platform::Android).await.unwrap();
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    heard(&fake, &[android("first")]).await;
    app.register_push("second", Platform::Android).await.unwrap();
    heard(&fake, &[android("first"), android("second")]).await;
    // A new session has none.
    app.sign_out().await.unwrap();
    drop(app);
    let app = phone.open().await;
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    heard(&fake, &[android("first"), android("second"), android("second")]).await;
    app.remove_push().await.unwrap();
    heard(&fake, &[android("first"), android("second"), android("second"), Default::default()]).await;
    // Nothing is wanted any more, not by the next session either.
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    app.resume().await.unwrap();
    assert_eq!(fake.calls("register_push") + fake.calls("remove_push"), 4);
}

#[tokio::test]
async fn what_the_network_swallows_is_told_again() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    app.register_push("token", Platform::Ios).await.unwrap();
    let _ = app.resume().await;
    drop(app);
    // The phone was switched off meanwhile: the wish was kept.
    fake.odd("register_push", Oddity::LoseAnswer);
    fake.odd("register_push", Oddity::Refuse(Refused::new(v1::Reason::Unavailable, "Riprova.")));
    fake.reachable(true);
    let app = phone.open().await;
    app.resume().await.unwrap();
    let ios = ("token".to_owned(), v1::Platform::Ios.into(), "it".to_owned());
    heard(&fake, &[ios.clone(), ios.clone(), ios.clone()]).await;
    let news = async || app.push_received(push("a", SESSION, 1)).await.unwrap().account;
    let told = async {
        while news().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), told).await.unwrap();
    app.resume().await.unwrap();
    assert_eq!(fake.calls("register_push"), 3, "once it is heard it is not told again");
}

#[tokio::test]
async fn a_server_that_knows_no_pushes_is_not_asked_again_and_again() {
    for oddity in [Oddity::Unimplemented, Oddity::Refuse(Refused::new(v1::Reason::Malformed, "No."))] {
        let (fake, phone) = phone().await;
        let app = phone.signed_in().await;
        fake.odd("register_push", oddity.clone());
        app.register_push("token", Platform::Android).await.unwrap();
        heard(&fake, &[android("token")]).await;
        for _ in 0..3 {
            app.resume().await.unwrap();
            app.sync().await.unwrap();
        }
        assert_eq!(fake.calls("register_push"), 1);
        // The next start of the app says it again.
        app.register_push("token", Platform::Android).await.unwrap();
        heard(&fake, &[android("token"), android("token")]).await;
    }
}

/// A phone whose pushes are told, and what waits for that.
async fn reached() -> (Fake, crate::support::Phone, borsellino_core::App) {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    app.register_push("token", Platform::Android).await.unwrap();
    let told = async {
        // With number 0 it says nothing that is not known: only whose it is.
        while app.push_received(push("", SESSION, 0)).await.unwrap().account.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), told).await.unwrap();
    (fake, phone, app)
}

#[tokio::test]
async fn a_push_is_put_into_words_and_shown_once() {
    let (fake, phone, app) = reached().await;
    let tapped = app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    fake.receipt(&tapped.id.to_string());
    // The process is another one: it was closed, and the push has it opened.
    drop(app);
    let app = phone.open().await;
    let news = app.push_received(push("a", SESSION, 1)).await.unwrap();
    assert!(news.show && news.account.as_ref() == Some(&app.accounts()[0].key));
    let text = news.text.unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "20,00 € Mensa scolastica: Operazione conclusa: pagato il 20 novembre",
        "Saldo mensa di Giulia: 12,40 € -> 32,40 €",
    ];
    assert_eq!(lines, expected);
    // The same again, the same number under another id, and one of a session that is not here.
    assert!(!app.push_received(push("a", SESSION, 1)).await.unwrap().show);
    assert!(!app.push_received(push("b", SESSION, 1)).await.unwrap().show);
    let strange = app.push_received(push("c", "01900000-0000-7000-8000-0000000000ff", 9)).await.unwrap();
    assert_eq!(strange, PushNews::default());
    assert_eq!(app.push_received(HashMap::new()).await.unwrap(), PushNews::default());
}

#[tokio::test]
async fn who_asks_for_a_new_password_is_told_of_whatever_the_feed_says() {
    let (_fake, _phone, app) = reached().await;
    let mut asked = push("a", SESSION, 0);
    assert!(!app.push_received(asked.clone()).await.unwrap().show, "the feed has told this number");
    asked.extend([("kind".to_owned(), "account".to_owned()), ("id".to_owned(), "b".to_owned())]);
    let news = app.push_received(asked.clone()).await.unwrap();
    assert!(news.show && news.text.is_none() && news.account.is_some());
    assert!(!app.push_received(asked).await.unwrap().show, "once");
}

#[tokio::test]
async fn without_the_network_the_generic_words_are_shown_once() {
    let (fake, _phone, app) = reached().await;
    fake.reachable(false);
    fake.balance(3_000, 20);
    let news = app.push_received(push("a", SESSION, 1)).await.unwrap();
    assert!(news.show && news.text.is_none());
    assert!(!app.push_received(push("a", SESSION, 1)).await.unwrap().show, "it came twice");
}

#[tokio::test]
async fn what_the_open_screen_has_shown_is_not_shown_again() {
    let (fake, _phone, app) = reached().await;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    ears.until(|events| events.contains(&Event::Connection(Connection::Live))).await;
    fake.balance(3_000, 20);
    // Whichever is quicker, the stream or the push.
    assert!(!app.push_received(push("a", SESSION, 1)).await.unwrap().show);
    ears.until(|_| ears.sentences() == ["Saldo mensa di Giulia: 12,40 € -> 30,00 €"]).await;
    assert!(!app.push_received(push("b", SESSION, 1)).await.unwrap().show);
}

#[tokio::test]
async fn after_the_end_of_a_session_or_of_the_wish_nothing_is_shown() {
    let (fake, _phone, app) = reached().await;
    fake.balance(3_000, 20);
    fake.reachable(false);
    app.remove_push().await.unwrap();
    assert!(!app.push_received(push("a", SESSION, 1)).await.unwrap().show, "at once, also without the network");
    fake.reachable(true);
    app.sign_out().await.unwrap();
    assert_eq!(app.push_received(push("b", SESSION, 1)).await.unwrap(), PushNews::default());

    let (fake, _phone, app) = reached().await;
    fake.state().ended = true;
    assert!(!app.push_received(push("a", SESSION, 1)).await.unwrap().show);
    assert_eq!(app.push_received(push("b", SESSION, 1)).await.unwrap(), PushNews::default());
}
