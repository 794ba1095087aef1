//! From the tap to the page: what the home screen says while a page is open, and what an order that is slow, cut off or
//! shut down looks like.

use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{App, Error, PayBy, TopUpState};
use tokio::sync::Notify;

use crate::fake::{Fake, Oddity};
use crate::support::{canteen, euros, phone};

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
    assert_eq!(view.state, TopUpState::Queued);
    assert_eq!(app.start_top_up(canteen(), euros("20"), PayBy::Online).await, Err(Error::Closed), "nothing begun");
    drop(app);
    let app = phone.open().await;
    app.resume().await.unwrap();
    assert_eq!(fake.state().top_ups.keys().collect::<Vec<_>>(), [&view.id.to_string()]);
}
