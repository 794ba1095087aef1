//! The live stream: nothing missed, nothing twice, everybody told, nobody held up.

use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1::watch_response::Event;
use borsellino_proto::v1::{self, PayBy};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, Phone, SOON, next_change, reason, wallet};
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use tonic::transport::Endpoint;

borsellino_tests::in_both_houses! {
    what_was_missed_is_delivered_in_order;
    a_number_from_another_life_is_answered_with_resync;
    a_quiet_stream_beats;
    everybody_concerned_is_told;
    a_stopping_server_says_so;
    a_slow_reader_holds_up_nobody;
    a_session_has_a_few_streams;
}

/// Tops Giulia's canteen up by notice; answers the payment.
async fn top_up(phone: &Phone, cents: i64) -> v1::Payment {
    let home = phone.home().await.expect("home");
    let canteen = &wallet(&home, "Giulia", "Mensa scolastica").id;
    phone.top_up(canteen, cents, PayBy::Notice).await.expect("a top-up")
}

async fn pay(house: &House, payment: &v1::Payment) {
    let notice = payment.notice.as_ref().expect("a notice");
    assert!(house.deliver(&Receipt::new(&notice.number, payment.amount_cents)).await.is_ok());
}

/// Takes changes until the one with this number.
async fn until(stream: &mut Streaming<v1::WatchResponse>, seq: u64) -> Vec<v1::Change> {
    let mut changes = Vec::new();
    loop {
        changes.push(next_change(stream).await);
        if changes.last().is_some_and(|change| change.seq >= seq) {
            return changes;
        }
    }
}

/// Every number once and rising, nothing in it at or before `after`.
fn in_order(changes: &[v1::Change], after: u64) {
    assert!(changes.iter().all(|change| change.seq > after));
    assert!(changes.is_sorted_by(|one, next| one.seq < next.seq), "{changes:?}");
    for change in changes {
        assert!(change.wallet.is_some() || change.payment.is_some() || change.bill.is_some(), "an empty change");
    }
}

async fn what_was_missed_is_delivered_in_order(house: &House) {
    let phone = house.phone(MARIA).await;
    let from = phone.home().await.expect("home").feed_seq;
    let (one, two) = (top_up(&phone, 1_000).await, top_up(&phone, 2_000).await);
    pay(house, &one).await;
    let bill = phone.home().await.expect("home").bills[0].clone();
    let notice = bill.notice.as_ref().expect("a notice").number.clone();
    assert!(house.deliver(&Receipt::new(&notice, bill.total_cents)).await.is_ok());
    let newest = phone.home().await.expect("home").feed_seq;
    assert_eq!(newest, from + 4);

    let mut stream = phone.watch(from).await.expect("a stream");
    let missed = until(&mut stream, newest).await;
    in_order(&missed, from);
    let payments: Vec<_> = missed.iter().filter_map(|change| change.payment.as_ref()).collect();
    let paid = phone.payment(&one.id).await.expect("the payment");
    assert_eq!(payments.len(), 2);
    assert!(payments.contains(&&paid) && payments.contains(&&two), "each as it stands now: {payments:?}");
    let settled = missed.iter().filter_map(|change| change.bill.as_ref()).collect::<Vec<_>>();
    assert_eq!((settled.len(), settled[0].id.as_str(), settled[0].residual_cents), (1, bill.id.as_str(), 0));

    // Live from there on, without a break and without a repetition.
    pay(house, &two).await;
    let live = until(&mut stream, newest + 1).await;
    in_order(&live, newest);
    assert_eq!(live.len(), 1);
    drop(stream);
    let three = top_up(&phone, 3_000).await;
    let mut stream = phone.watch(newest + 1).await.expect("a stream");
    let resumed = until(&mut stream, newest + 2).await;
    in_order(&resumed, newest + 1);
    assert_eq!(resumed[0].payment.as_ref(), Some(&three));

    // From the very beginning: the last change of everything, still in order.
    let mut stream = phone.watch(0).await.expect("a stream");
    let whole = until(&mut stream, newest + 2).await;
    in_order(&whole, 0);
    let mut wallets: Vec<_> = whole.iter().filter_map(|change| Some(&change.wallet.as_ref()?.wallet_id)).collect();
    wallets.sort_unstable();
    wallets.dedup();
    assert!(wallets.len() >= 3, "three wallets were ever topped up");
}

async fn a_number_from_another_life_is_answered_with_resync(house: &House) {
    let phone = house.phone(MARIA).await;
    let newest = phone.home().await.expect("home").feed_seq;
    for from in [newest + 1, 1 << 40, u64::MAX] {
        let mut stream = phone.watch(from).await.expect("a stream");
        let resync = loop {
            match stream.message().await.expect("no end").expect("an event").event {
                Some(Event::Resync(resync)) => break resync,
                Some(Event::Heartbeat(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(resync.feed_seq, newest);
        if from == u64::MAX {
            top_up(&phone, 1_000).await;
            assert_eq!(next_change(&mut stream).await.seq, newest + 1, "and goes on from there");
        }
    }
}

async fn a_quiet_stream_beats(house: &House) {
    let phone = house.phone(MARIA).await;
    let newest = phone.home().await.expect("home").feed_seq;
    let mut stream = phone.watch(newest).await.expect("a stream");
    let mut beat = async || match stream.message().await.expect("no end").expect("an event").event {
        Some(Event::Heartbeat(beat)) => (beat.at_ms, beat.feed_seq),
        other => panic!("{other:?}"),
    };
    assert_eq!(beat().await, (house.now(), newest), "at once");
    let begun = Instant::now();
    house.advance(Duration::from_secs(7));
    assert_eq!(timeout(SOON, beat()).await.expect("a second beat"), (house.now(), newest));
    assert!(begun.elapsed() > Duration::from_secs(12), "about every 15 seconds");
}

async fn everybody_concerned_is_told(house: &House) {
    let (phone, tablet, paolo) = (house.phone(MARIA).await, house.phone(MARIA).await, house.phone(PAOLO).await);
    let amina = house.phone(AMINA).await;
    let payment = top_up(&phone, 1_000).await;
    let mut streams = Vec::new();
    for (who, device) in [("phone", &phone), ("tablet", &tablet), ("co-guardian", &paolo)] {
        let from = device.home().await.expect("home").feed_seq;
        streams.push((who, device.watch(from).await.expect("a stream")));
    }
    let hers = amina.home().await.expect("home");
    let mut strange = amina.watch(hers.feed_seq).await.expect("a stream");

    let before = wallet(&phone.home().await.expect("home"), "Giulia", "Mensa scolastica").balance_cents;
    pay(house, &payment).await;
    for (who, stream) in &mut streams {
        let change = next_change(stream).await;
        let told = change.wallet.unwrap_or_else(|| panic!("{who} hears of the wallet"));
        assert_eq!(told.balance_cents, before + 1_000, "{who}");
        let own = *who != "co-guardian";
        assert_eq!(change.payment.map(|its| its.id), own.then(|| payment.id.clone()), "{who}");
    }
    // The next thing another family hears of is its own.
    let own = amina.top_up(&hers.children[0].wallets[0].id, 1_000, PayBy::Notice).await.expect("a top-up");
    let change = next_change(&mut strange).await;
    assert_eq!((change.seq, change.payment), (hers.feed_seq + 1, Some(own)));
}

async fn a_stopping_server_says_so(house: &House) {
    let phone = house.phone(MARIA).await;
    let newest = phone.home().await.expect("home").feed_seq;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = phone.on(house.line().await).watch(newest).await.expect("a stream");
        assert!(stream.message().await.expect("a beat").is_some());
        streams.push(stream);
    }
    // One that nobody reads must not keep the server from stopping.
    let (stopped, ends) = tokio::join!(house.stop(), async {
        let mut ends = Vec::new();
        for stream in streams.iter_mut().take(4) {
            ends.push(timeout(SOON, stream.message()).await.expect("an end"));
        }
        ends
    });
    for end in ends {
        assert_eq!(reason(end), Reason::Unavailable);
    }
    assert!(stopped < Duration::from_secs(10), "it took {stopped:?}");
    assert!(phone.home().await.is_err(), "nobody answers any more");
}

async fn a_slow_reader_holds_up_nobody(house: &House) {
    house.execute("UPDATE service SET max_open = 100").await;
    let phone = house.phone(MARIA).await;
    let from = phone.home().await.expect("home").feed_seq;
    // A window that a single message fills: from the second on, the server has to wait for the reader.
    let narrow = Endpoint::new(house.at.web.clone()).expect("an address").initial_stream_window_size(64);
    let narrow = narrow.connect().await.expect("a connection");
    let mut slow = phone.on(narrow).watch(from).await.expect("a stream");
    let mut quick = phone.watch(from).await.expect("a stream");
    for _ in 0..40 {
        let payment = top_up(&phone, 500).await;
        assert_eq!(next_change(&mut quick).await.payment.map(|its| its.id), Some(payment.id));
    }
    let late = until(&mut slow, from + 40).await;
    in_order(&late, from);
    let heard = late.iter().filter(|change| change.payment.is_some()).count();
    assert_eq!(heard, 40, "slow, and complete");
}

async fn a_session_has_a_few_streams(house: &House) {
    let phone = house.phone(MARIA).await;
    let from = phone.home().await.expect("home").feed_seq;
    let mut streams = Vec::new();
    let refused = loop {
        match phone.watch(from).await {
            Ok(stream) => streams.push(stream),
            Err(status) => break status,
        }
        assert!(streams.len() < 100, "streams without end");
    };
    assert_eq!(reason(Err::<(), _>(refused)), Reason::TryLater);
    let other = house.phone(MARIA).await;
    let mut stream = other.watch(from).await.expect("another session has its own");
    streams.clear();
    top_up(&phone, 1_000).await;
    assert_eq!(next_change(&mut stream).await.seq, from + 1);
    // Given up places are free again, once the server has noticed.
    let begun = Instant::now();
    while phone.watch(from).await.is_err() {
        assert!(begun.elapsed() < SOON, "the places stay taken");
        tokio::task::yield_now().await;
    }
}
