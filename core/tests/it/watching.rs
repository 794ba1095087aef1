//! The live stream: what a parent is told, and what happens when the line breaks.

use std::sync::Arc;

use borsellino_core::{Connection, Error, Event, PayBy, TopUpState};
use borsellino_proto::v1;

use crate::fake::{CANTEEN, Oddity};
use crate::support::{Ears, canteen, euros, phone};

fn live(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Connection(Connection::Live))).count()
}

#[tokio::test]
async fn a_receipt_shows_within_the_stream_and_home_follows() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let ears = Arc::new(Ears::default());
    let watch = app.watch(ears.clone()).unwrap();
    ears.until(|heard| live(heard) == 1).await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    fake.receipt(&view.id.to_string());
    let paid = |event: &Event| matches!(event, Event::TopUpChanged(it) if matches!(it.state, TopUpState::Paid { .. }));
    let moved = |event: &Event| matches!(event, Event::BalanceChanged(_));
    ears.until(|heard| heard.iter().any(paid) && heard.iter().any(moved)).await;
    assert_eq!(ears.sentences(), ["Saldo mensa di Giulia: 12,40 € -> 32,40 €"]);
    // What it covers comes from the server, a moment later.
    let covered = || app.cached_home().unwrap().unwrap().children[0].wallets[0].covers.clone();
    let homes = |heard: &[Event]| heard.iter().filter(|event| **event == Event::HomeChanged).count();
    while covered().is_none() {
        let so_far = homes(&ears.heard.lock().unwrap());
        ears.until(|heard| homes(heard) > so_far || covered().is_some()).await;
    }
    assert_eq!(covered().unwrap(), "basta per 7 pasti");
    watch.stop().await;
    let heard = ears.heard.lock().unwrap().len();
    fake.balance(1, 99);
    app.refresh_home().await.unwrap();
    assert_eq!(ears.heard.lock().unwrap().len(), heard, "a stopped watch is silent");
}

#[tokio::test]
async fn a_broken_stream_resumes_from_its_number_and_tells_nothing_twice() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    ears.until(|heard| live(heard) == 1).await;
    fake.balance(1_500, 11);
    ears.until(|_| ears.sentences().len() == 1).await;
    fake.reachable(false);
    ears.until(|heard| heard.iter().any(|event| matches!(event, Event::Connection(Connection::Lost(_))))).await;
    fake.balance(1_700, 12);
    fake.balance(2_000, 13);
    fake.reachable(true);
    ears.until(|_| ears.sentences().last().is_some_and(|it| it.ends_with("20,00 €"))).await;
    // The stream may be overtaken by a refresh, which then skips a step; nothing is ever told twice or backwards.
    let sentences = ears.sentences();
    let mut once = sentences.clone();
    once.dedup();
    assert_eq!(sentences, once);
    assert!(fake.state().watched_from.iter().skip(1).all(|seq| *seq >= 1), "{:?}", fake.state().watched_from);
}

#[tokio::test]
async fn silence_is_death_and_a_smaller_movement_replaces_nothing() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.state().mute = true;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    let lost = |event: &Event| *event == Event::Connection(Connection::Lost(Error::Offline));
    ears.until(|heard| heard.iter().any(lost)).await;
    fake.state().mute = false;
    ears.until(|heard| live(heard) >= 2).await;
    // Movement 7 is known from Home. The lie is in the feed only, not in Home.
    let honest = fake.state().home.children.clone();
    fake.balance(9_900, 3);
    fake.state().home.children = honest;
    let bill = v1::Bill { id: "01900000-0000-7000-8000-00000000000f".into(), ..Default::default() };
    fake.change(v1::Change { bill: Some(bill), ..Default::default() });
    ears.until(|heard| heard.iter().any(|event| matches!(event, Event::BillChanged(_)))).await;
    assert!(ears.sentences().is_empty(), "{:?}", ears.sentences());
    assert_eq!(app.cached_home().unwrap().unwrap().children[0].wallets[0].balance.cents, 1_240);
}

#[tokio::test]
async fn a_feed_that_begins_anew_is_followed_from_its_new_number() {
    let (fake, phone) = phone().await;
    fake.state().home.feed_seq = 50;
    let app = phone.signed_in().await;
    // The server was restored from yesterday's backup.
    {
        let mut state = fake.state();
        state.home.feed_seq = 3;
        state.home.children[0].wallets[0].balance_cents = 900;
        state.home.children[0].wallets[0].seq = 5;
    }
    let ears = Arc::new(Ears::default());
    let watch = app.watch(ears.clone()).unwrap();
    ears.until(|_| !ears.sentences().is_empty()).await;
    fake.balance(800, 6);
    ears.until(|_| ears.sentences().len() == 2).await;
    assert_eq!(ears.sentences()[1], "Saldo mensa di Giulia: 9,00 € -> 8,00 €");
    watch.stop().await;
    // The same without a stream.
    fake.state().home.feed_seq = 1;
    fake.state().home.children[0].wallets[0].balance_cents = 700;
    assert_eq!(app.refresh_home().await.unwrap().children[0].wallets[0].balance.cents, 700);
}

#[tokio::test]
async fn a_newer_servers_values_break_nothing() {
    let (fake, phone) = phone().await;
    {
        let mut state = fake.state();
        let wallet = &mut state.home.children[0].wallets[0];
        wallet.kind = 99;
        state.home.bills[0].state = 99;
        state.home.bills[0].payment_state = 99;
        state.home.movements[0].kind = 99;
        let strange =
            v1::Payment { id: CANTEEN.into(), wallet_id: CANTEEN.into(), state: 99, pay_by: 99, ..Default::default() };
        state.home.payments.push(strange);
    }
    let app = phone.signed_in().await;
    let home = app.cached_home().unwrap().unwrap();
    assert_eq!((home.top_ups[0].state.clone(), home.top_ups[0].pay_by), (TopUpState::Unknown, None));
    assert_eq!(home.movements[0].sentence, "Movimento del 12 novembre, tariffa fascia 2, 4,25 €");
    // A change of a kind nobody knows yet moves the cursor and nothing else.
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    ears.until(|heard| live(heard) == 1).await;
    {
        let mut state = fake.state();
        state.home.feed_seq = 1;
        state.feed.push(v1::Change { seq: 1, ..Default::default() });
    }
    fake.balance(5_000, 20);
    ears.until(|_| ears.sentences() == ["Saldo Mensa scolastica di Giulia: 12,40 € -> 50,00 €"]).await;
}

#[tokio::test]
async fn an_older_server_is_named_so() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.odd("pay_bill", Oddity::Unimplemented);
    let bill = app.cached_home().unwrap().unwrap().bills[0].id;
    assert_eq!(app.pay_bill(bill).await, Err(Error::OlderServer));
    let paid = app.pay_bill(bill).await.unwrap();
    assert_eq!(paid.checkout_url.as_deref(), Some("https://checkout.example/bill"));
}
