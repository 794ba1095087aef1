//! Coming back: little is asked where nothing changed; what a parent did without the network is dated without the phone's clock;
//! and a clock that is a year off changes nothing.

use borsellino_core::{Error, PayBy, Reason, TopUpState};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;

use crate::fake::{AS_OF, CANTEEN, CREDITOR, Oddity, PAGE_UNTIL, signed};
use crate::support::{canteen, euros, phone};

const YEAR: i64 = 365 * 86_400_000;

#[tokio::test]
async fn home_is_asked_for_once_and_changes_after_that() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    assert!(!app.sync().await.unwrap());
    app.resume().await.unwrap();
    fake.balance(3_240, 8);
    fake.state().home.total_due_cents = 100;
    assert!(app.sync().await.unwrap());
    let home = app.cached_home().unwrap().unwrap();
    assert_eq!((home.children[0].wallets[0].balance.cents, home.total_due.cents), (3_240, 100));
    assert_eq!(home.children[0].wallets[0].covers.as_deref(), Some("basta per 7 pasti"), "the summary tells it");
    assert_eq!(fake.calls("home"), 1);
    // Fresh as of the last look, although nothing changed.
    fake.state().home.as_of_ms = AS_OF + 3_600_000;
    assert!(!app.sync().await.unwrap());
    assert_eq!(app.cached_home().unwrap().unwrap().as_of_text, "aggiornato oggi alle 9:12");

    fake.state().resync = true;
    assert!(app.sync().await.unwrap());
    assert_eq!(fake.calls("home"), 2);
    fake.state().resync = false;
    // A server of before Sync.
    fake.odd("sync", Oddity::Unimplemented);
    assert!(app.sync().await.unwrap());
    assert_eq!(fake.calls("home"), 3);
}

#[tokio::test]
async fn what_is_over_stays_until_the_next_look() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    fake.receipt(&view.id.to_string());
    app.sync().await.unwrap();
    let home = app.cached_home().unwrap().unwrap();
    assert_eq!(home.top_ups[0].sentence, "Operazione conclusa: pagato il 20 novembre");
    app.sync().await.unwrap();
    assert!(app.cached_home().unwrap().unwrap().top_ups.is_empty());
}

#[tokio::test]
async fn the_way_back_from_the_browser_proves_nothing() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    let looked = fake.calls("sync");
    assert!(!app.returned_from_browser("borsellino://pagamento/ok?state=paid").await.unwrap());
    assert_eq!(fake.calls("sync"), looked + 1);
    let shown = app.cached_home().unwrap().unwrap().top_ups;
    assert_eq!(shown, [view]);
    fake.reachable(false);
    assert!(app.returned_from_browser("https://example/pagamento/ok").await.is_err());
    assert_eq!(app.cached_home().unwrap().unwrap().top_ups, shown);
}

#[tokio::test]
async fn a_tap_without_the_network_says_when_whatever_the_clock_says() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    phone.clock.go_by(600_000);
    phone.clock.set_wrong(YEAR);
    app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    phone.clock.set_wrong(-2 * YEAR);
    app.start_top_up(canteen(), euros("10"), PayBy::Notice).await.unwrap();
    // Switched off and on: how long that took nobody knows.
    phone.clock.restart();
    drop(app);
    let app = phone.open().await;
    app.start_top_up(canteen(), euros("5"), PayBy::Notice).await.unwrap();
    fake.reachable(true);
    app.resume().await.unwrap();
    let state = fake.state();
    let sent: Vec<(i64, Option<v1::Asked>)> =
        state.orders.iter().map(|order| (order.amount_cents, order.asked.clone())).collect();
    let asked = |since_ms| Some(v1::Asked { server: Some(signed(AS_OF)), since_ms });
    let expected = [(2_000, asked(Some(600_000))), (1_000, asked(Some(600_000))), (500, asked(None))];
    assert_eq!(sent, expected, "once each, in order though the clock went back two years");
}

#[tokio::test]
async fn the_order_of_the_queue_is_kept_and_a_refusal_does_not_hold_it_up() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    for amount in ["20", "10", "5"] {
        app.start_top_up(canteen(), euros(amount), PayBy::Notice).await.unwrap();
        phone.clock.set_wrong(-YEAR / 12);
    }
    fake.odd("start_top_up", Oddity::Refuse(Refused::new(v1::Reason::AboveMaximum, "Al massimo 15,00 €.")));
    fake.reachable(true);
    app.sync().await.unwrap();
    let amounts: Vec<i64> = fake.state().orders.iter().map(|order| order.amount_cents).collect();
    assert_eq!(amounts, [2_000, 1_000, 500]);
    let home = app.cached_home().unwrap().unwrap();
    let refused: Vec<&str> = home
        .top_ups
        .iter()
        .filter(|view| matches!(view.state, TopUpState::Refused(_)))
        .map(|view| view.sentence.as_str())
        .collect();
    assert_eq!(refused, ["Non accettato: Al massimo 15,00 €."]);
}

#[tokio::test]
async fn a_clock_a_year_off_opens_no_second_page_and_closes_none() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    let bill = app.cached_home().unwrap().unwrap().bills[0].id;
    app.pay_bill(bill).await.unwrap();
    for wrong in [YEAR, -2 * YEAR, YEAR] {
        phone.clock.set_wrong(wrong);
        let home = app.cached_home().unwrap().unwrap();
        assert_eq!(home.top_ups, std::slice::from_ref(&view));
        let Err(Error::InProgress(warning)) = app.start_top_up(canteen(), euros("20"), PayBy::Online).await else {
            panic!("a second payment of the same was begun")
        };
        assert_eq!(warning.until.unwrap().get(), PAGE_UNTIL);
        assert_eq!(warning.checkout_url, view.checkout_url, "whoever has not paid goes on there");
        assert_eq!(
            warning.sentence,
            "C'è già un pagamento in corso: non pagare di nuovo fino al 20 novembre alle 8:42. Se non hai ancora pagato, \
             continua sulla pagina aperta."
        );
        assert!(matches!(app.pay_bill(bill).await, Err(Error::InProgress(_))));
        app.sync().await.unwrap();
    }
    assert_eq!(fake.state().top_ups.len(), 1);
    assert_eq!(fake.calls("pay_bill"), 1);
    // Switched off and on without the network: nobody knows what time it is, so the warning stands.
    phone.clock.restart();
    fake.reachable(false);
    assert!(matches!(app.start_top_up(canteen(), euros("20"), PayBy::Online).await, Err(Error::InProgress(_))));
    // A server that says what time it is.
    fake.reachable(true);
    fake.state().home.as_of_ms = PAGE_UNTIL + 1;
    app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    app.pay_bill(bill).await.unwrap();
    assert_eq!(fake.state().top_ups.len(), 2);
    assert_eq!(fake.calls("pay_bill"), 2);
}

#[tokio::test]
async fn after_the_deadline_one_may_try_again_and_another_amount_is_another_payment() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    app.start_top_up(canteen(), euros("10"), PayBy::Online).await.unwrap();
    assert!(matches!(app.start_top_up(canteen(), euros("10"), PayBy::Online).await, Err(Error::InProgress(_))));
    phone.clock.go_by(PAGE_UNTIL - AS_OF);
    app.start_top_up(canteen(), euros("10"), PayBy::Online).await.unwrap();
    assert_eq!(fake.state().top_ups.len(), 3);
}

#[tokio::test]
async fn each_state_is_said_as_the_table_says_it() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    let id = view.id.to_string();
    assert_eq!(view.sentence, "In corso: in attesa di conferma");
    let say = async |change: &dyn Fn(&mut v1::Payment)| {
        let mut payment = fake.state().top_ups[&id].clone();
        change(&mut payment);
        fake.change(v1::Change { payment: Some(payment), ..Default::default() });
        app.sync().await.unwrap();
        let shown = app.cached_home().unwrap().unwrap().top_ups;
        shown.first().map(|view| (view.sentence.clone(), view.advice.is_some()))
    };
    let over = say(&|payment| payment.in_progress_until_ms = 0).await;
    assert_eq!(over, Some(("In corso: in attesa di conferma".into(), true)));
    phone.clock.go_by(PAGE_UNTIL - AS_OF);
    fake.state().home.as_of_ms = PAGE_UNTIL + 1;
    let state = |state: v1::PaymentState| {
        move |payment: &mut v1::Payment| {
            payment.set_state(state);
            payment.checkout_url.clear();
        }
    };
    let said = say(&state(v1::PaymentState::NotCompleted)).await;
    assert_eq!(said, Some(("Pagamento non concluso: puoi riprovare".into(), true)));
    let said = say(&state(v1::PaymentState::Payable)).await;
    assert_eq!(said, Some(("Da pagare (entro il 20 dicembre)".into(), false)));
    let said = say(&state(v1::PaymentState::Expired)).await;
    assert_eq!(said, Some(("Scaduto: crea una nuova ricarica".into(), false)));
    let paid = |payment: &mut v1::Payment| {
        payment.set_state(v1::PaymentState::Paid);
        payment.paid_at_ms = AS_OF;
    };
    assert_eq!(say(&paid).await, Some(("Operazione conclusa: pagato il 20 novembre".into(), false)));
    let twice = |payment: &mut v1::Payment| {
        paid(payment);
        payment.paid_twice = true;
    };
    assert_eq!(say(&twice).await, Some(("Pagato due volte: il Comune ti rimborserà".into(), false)));
}

#[tokio::test]
async fn a_lost_phone_keeps_nothing() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    app.activate("5645312010").await.unwrap();
    app.movements(None, None).await.unwrap();
    app.receipts(None).await.unwrap();
    app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    let key = phone.store.get("borsellino-cache-key").unwrap();
    assert!(key.is_some());
    fake.odd("sync", Oddity::Refuse(Refused::new(v1::Reason::SessionWiped, "Accedi di nuovo.")));
    let wiped = app.sync().await.unwrap_err();
    assert_eq!(wiped, Error::Wiped);
    assert!(wiped.sentence(borsellino_core::Language::German).starts_with("Dieses Telefon wurde aus der Ferne"));
    assert!(app.accounts().is_empty() && app.cached_home().unwrap().is_none());
    assert_eq!(app.remembered_creditor(CREDITOR).unwrap(), None);
    assert_eq!(app.sync().await, Ok(false), "nobody is signed in: nothing to do");
    // The key that sealed it opens nothing any more, and no token is left.
    assert_ne!(phone.store.get("borsellino-cache-key").unwrap(), key);
    let session = format!("borsellino-session-{CREDITOR}.{}", crate::fake::GUARDIAN);
    assert_eq!(phone.store.get(&session).unwrap(), None);
    app.shutdown().await;
    drop(app);
    // Every table names whose its rows are.
    assert!(
        !phone.bytes().windows(CREDITOR.len()).any(|window| window == CREDITOR.as_bytes()),
        "not even whose it was"
    );
    // Found again, it serves as ever, also after the next start.
    let app = phone.signed_in().await;
    drop(app);
    let app = phone.open().await;
    assert_eq!(app.cache_start(), borsellino_core::CacheStart::Kept);
    assert!(app.cached_home().unwrap().is_some());
    let reason = Reason::from(v1::Reason::SessionWiped);
    assert_eq!(reason, Reason::SessionWiped);
}

#[tokio::test]
async fn an_app_that_knows_less_than_its_server_goes_on() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let mut home = fake.state().home.clone();
    home.children[0].wallets[0].kind = 77;
    home.movements[0].kind = 77;
    home.bills[0].state = 77;
    home.bills[0].payment_state = 77;
    fake.state().home = home;
    // Another change than any this app knows: it only moves the number.
    fake.change(v1::Change::default());
    assert!(app.sync().await.unwrap());
    let home = app.refresh_home().await.unwrap();
    assert_eq!(home.bills[0].payment, TopUpState::Unknown);
    let no = Refused::new(v1::Reason::Unspecified, "Qualcosa di nuovo.");
    fake.odd("start_top_up", Oddity::Refuse(no));
    let view = app.start_top_up(CANTEEN.parse().unwrap(), euros("20"), PayBy::Notice).await.unwrap();
    assert!(matches!(view.state, TopUpState::Queued { .. }), "a refusal that nobody understands is not final");
    // A server that does not know the newest calls.
    fake.odd("receipts", Oddity::Unimplemented);
    assert_eq!(app.receipts(None).await, Err(Error::OlderServer));
    fake.odd("get_fees", Oddity::Unimplemented);
    assert!(app.fee_advice(vec![euros("20")]).await.unwrap().fee.is_none());
}
