//! From the tap to the page: what the home screen says while a page is open, and what an order that is slow, cut off or
//! shut down looks like.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use borsellino_core::{App, Error, Event, Invalid, PayBy, QueuedWhy, TopUpState};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;
use tokio::sync::Notify;

use crate::fake::{AS_OF, CREDITOR, Fake, Oddity, PAGE_UNTIL};
use crate::support::{Ears, Phone, canteen, euros, phone};

/// The home screen asked for now and answered when the gate opens.
async fn slow_home(fake: &Fake, app: &Arc<App>) -> (Arc<Notify>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (gate, asked, app) = (Arc::new(Notify::new()), fake.calls("home"), Arc::clone(app));
    fake.odd("home", Oddity::Hold(Arc::clone(&gate)));
    let home = tokio::spawn(async move { app.refresh_home().await.map(|_| ()) });
    until(|| fake.calls("home") > asked).await;
    (gate, home)
}

async fn until(done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), wait).await.is_ok(), "it never came");
}

#[tokio::test]
async fn home_says_that_a_page_is_open_and_an_older_home_does_not_take_it_away() {
    let (fake, phone) = phone().await;
    let app = Arc::new(phone.signed_in().await);
    let bill = app.cached_home().unwrap().unwrap().bills[0].id;
    let (gate, home) = slow_home(&fake, &app).await;
    app.pay_bill(bill).await.unwrap();
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    let shows_pages = || {
        let home = app.cached_home().unwrap().unwrap();
        assert!(matches!(home.bills[0].payment, TopUpState::InProgress { until: Some(_) }), "{:?}", home.bills[0]);
        assert_eq!(home.top_ups, std::slice::from_ref(&view));
        assert!(view.checkout_url.is_some() && matches!(view.state, TopUpState::InProgress { until: Some(_) }));
    };
    shows_pages();
    gate.notify_one();
    home.await.unwrap().unwrap();
    shows_pages();
    // In the file, not only in memory.
    drop(app);
    let app = phone.open().await;
    assert!(matches!(app.cached_home().unwrap().unwrap().bills[0].payment, TopUpState::InProgress { .. }));
}

#[tokio::test]
async fn shut_down_while_it_was_sent_an_order_is_queued_and_finished_once() {
    let (fake, phone) = phone().await;
    let app = Arc::new(phone.signed_in().await);
    fake.odd("start_top_up", Oddity::Hold(Arc::default()));
    let tapped = Arc::clone(&app);
    let tap = tokio::spawn(async move { tapped.start_top_up(canteen(), euros("20"), PayBy::Online).await });
    until(|| !fake.state().orders.is_empty()).await;
    app.shutdown().await;
    let view = tap.await.unwrap().unwrap();
    assert!(matches!(view.state, TopUpState::Queued { .. }), "{view:?}");
    assert_eq!(app.start_top_up(canteen(), euros("20"), PayBy::Online).await, Err(Error::Closed), "nothing begun");
    drop(app);
    let app = phone.open().await;
    app.resume().await.unwrap();
    assert_eq!(fake.state().top_ups.keys().collect::<Vec<_>>(), [&view.id.to_string()]);
}

#[tokio::test]
async fn a_page_ends_on_the_screen_by_itself_and_the_server_is_asked() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let bill = app.cached_home().unwrap().unwrap().bills[0].id;
    // The home screen was read at AS_OF by the server's clock: the page has 50 ms left.
    let read_at = phone.clock.0.load(Ordering::SeqCst);
    phone.clock.0.store(read_at + PAGE_UNTIL - AS_OF - 50, Ordering::SeqCst);
    let paying = app.pay_bill(bill).await.unwrap();
    assert!(paying.bill.advice.unwrap().starts_with("Se non hai ancora pagato"));
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert!(view.advice.unwrap().starts_with("Se non hai ancora pagato, continua qui"));
    // Nobody tells the phone that it is over.
    phone.clock.0.fetch_add(100, Ordering::SeqCst);
    let home = app.cached_home().unwrap().unwrap();
    let late = "la conferma può arrivare più tardi, fino al 22 novembre alle 8:42.";
    assert!(home.top_ups[0].advice.as_ref().unwrap().ends_with(late), "{:?}", home.top_ups);
    assert!(home.top_ups[0].checkout_url.is_none() && home.bills[0].advice.as_ref().unwrap().ends_with(late));
    assert_eq!(home.bills[0].sentence, "Pagamento non concluso: puoi riprovare");
    let asked = fake.calls("sync");
    until(|| fake.calls("sync") > asked).await;
}

#[tokio::test]
async fn what_was_not_completed_is_asked_for_again_under_the_same_id_from_any_phone() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    let id = view.id.to_string();
    fake.page_is_over(&id);
    app.refresh_home().await.unwrap();
    let other = Phone::new(&fake.url);
    let mut app = app;
    for phone in [&phone, &other] {
        // The fake knows one session: the phone that signs in next ends the one before.
        app = phone.signed_in().await;
        let home = app.cached_home().unwrap().unwrap();
        assert!(matches!(home.top_ups[0].state, TopUpState::NotCompleted { .. }), "{:?}", home.top_ups);
        assert!(home.top_ups[0].checkout_url.is_none() && home.top_ups[0].advice.is_some());
        let again = app.retry_top_up(view.id).await.unwrap();
        assert_eq!((again.id, again.amount.cents), (view.id, 2_000));
        assert!(again.checkout_url.is_some() && matches!(again.state, TopUpState::InProgress { .. }));
        assert_eq!(app.cached_home().unwrap().unwrap().top_ups, [again]);
        fake.page_is_over(&id);
    }
    {
        let state = fake.state();
        assert_eq!((state.orders.len(), state.top_ups.len()), (3, 1));
        let order = |order: &v1::StartTopUpRequest| v1::StartTopUpRequest { asked: None, ..order.clone() };
        assert!(state.orders.iter().all(|again| order(again) == order(&state.orders[0])));
    }
    fake.reachable(false);
    assert!(matches!(app.retry_top_up(view.id).await, Err(Error::Offline | Error::OutcomeUnknown)));
    let strange = "01900000-0000-7000-8000-0000000000ff".parse().unwrap();
    assert_eq!(app.retry_top_up(strange).await, Err(Error::Invalid(Invalid::TopUp)));
}

#[tokio::test]
async fn what_waits_says_why_and_is_sent_again_by_itself() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let begun = Instant::now();
    let busy = Refused { retry_after_ms: Some(400), ..Refused::new(v1::Reason::Unavailable, "Riprova.") };
    fake.odd("start_top_up", Oddity::Refuse(busy));
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert_eq!(view.state, TopUpState::Queued { why: QueuedWhy::Busy });
    assert_eq!(view.sentence, "In coda: il servizio è occupato, riproviamo noi tra poco");
    until(|| !fake.state().top_ups.is_empty()).await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "the server's wish counts");
    assert_eq!(fake.state().orders.len(), 2);

    fake.reachable(false);
    let view = app.start_top_up(canteen(), euros("10"), PayBy::Online).await.unwrap();
    assert!(view.sentence.starts_with("In coda: ") && view.state != TopUpState::Queued { why: QueuedWhy::Busy });
    fake.reachable(true);
    until(|| fake.state().top_ups.len() == 2).await;

    fake.state().ended = true;
    let view = app.start_top_up(canteen(), euros("5"), PayBy::Online).await.unwrap();
    assert_eq!(view.sentence, "In coda: accedi di nuovo e parte subito");
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    until(|| fake.state().top_ups.len() == 3).await;
}

#[tokio::test]
async fn a_parent_waits_only_so_long_and_sending_goes_on() {
    let (fake, mut phone) = phone().await;
    phone.patience = Duration::from_millis(200);
    let app = phone.signed_in().await;
    let gate = Arc::new(Notify::new());
    fake.odd("start_top_up", Oddity::Hold(Arc::clone(&gate)));
    let begun = Instant::now();
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert_eq!(view.state, TopUpState::Queued { why: QueuedWhy::Sending });
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    gate.notify_one();
    let done = || app.cached_home().unwrap().unwrap().top_ups.iter().all(|it| it.checkout_url.is_some());
    until(done).await;
    assert_eq!(fake.state().orders.len(), 1, "one sender");
    fake.odd("pay_bill", Oddity::Hold(gate));
    let bill = app.cached_home().unwrap().unwrap().bills[0].id;
    assert_eq!(app.pay_bill(bill).await, Err(Error::OutcomeUnknown));
}

#[tokio::test]
async fn a_debt_says_what_it_means_on_both_sides_and_a_paid_bill_asks_for_nothing() {
    let (fake, phone) = phone().await;
    fake.state().home.children[0].wallets[0].balance_cents = -100;
    let app = phone.signed_in().await;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    fake.balance(1_900, 11);
    ears.until(|_| ears.sentences() == ["Saldo mensa di Giulia: devi 1,00 € -> 19,00 €"]).await;

    let mut bill = fake.state().home.bills[0].clone();
    (bill.paid_cents, bill.residual_cents) = (bill.total_cents, 0);
    bill.set_state(v1::BillState::Paid);
    bill.set_payment_state(v1::PaymentState::Paid);
    fake.change(v1::Change { bill: Some(bill), ..Default::default() });
    let paid = |event: &Event| matches!(event, Event::BillChanged(bill) if bill.due_text == "pagato");
    ears.until(|heard| heard.iter().any(paid)).await;
}
