//! A receipt once more, asked for by whoever holds the notice and has not signed in: it goes to the payer's own address or nowhere,
//! and whoever asks is not told which.

use std::time::Duration;

use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use borsellino_domain::creditor::CreditorCode;
use borsellino_server::portal;
use borsellino_server::usecases::post::letters::sweep;
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, TOWN, pdf_text};
use borsellino_tests::smtp::Smtp;
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;

use super::{HERS, app, lives_at, says, sender, settled, until};

borsellino_tests::in_both_houses! {
    the_whole_receipt_goes_to_the_address_on_file;
}

/// The pages of a server that sends e-mail.
async fn pages(house: &House, smtp: &Smtp) -> (String, super::Sender) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let at = format!("http://{}/comune/{TOWN}/ricevuta-telematica", listener.local_addr().expect("an address"));
    let pages: IntoMakeServiceWithConnectInfo<_, SocketAddr> =
        portal::router(app(house, smtp)).into_make_service_with_connect_info();
    let served = tokio::spawn(async move { axum::serve(listener, pages).await.expect("a server") });
    (at, super::Sender(served))
}

async fn ask(house: &House, at: &str, (number, code): (&str, &str)) -> (u16, String) {
    let call = house.http.post(at).header("sec-fetch-site", "same-origin");
    let call = call.header("content-type", "application/x-www-form-urlencoded");
    let answer = call.body(format!("codice={number}&fiscale={code}&formato=email")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

async fn the_whole_receipt_goes_to_the_address_on_file(house: &House) {
    let smtp = Smtp::start().await;
    let (at, _pages) = pages(house, &smtp).await;
    let payment = house.phone(MARIA).await.home().await.expect("home").payments.remove(0);
    let number = payment.notice.expect("a notice").number;
    let town = CreditorCode::parse(TOWN).expect("eleven digits");
    let debtor = house.app.store.read(move |tx| Box::pin(async move { tx.debtor(&town, MARIA).await })).await;
    let code = debtor.expect("a readable database").expect("Maria").fiscal_code;
    let letters = "SELECT COUNT(*) FROM letter WHERE kind = 'payment_done'";

    let page = house.http.get(&at).send().await.expect("a page").text().await.expect("a text");
    assert!(page.contains("value=\"email\""), "{page}");
    assert_eq!(ask(house, &at, (&number, &code)).await.0, 409, "not paid yet");
    assert!(house.deliver(&Receipt::new(&number, 2_000)).await.is_ok());
    // What the payment itself says is no matter here.
    house.execute("DELETE FROM outbox").await;
    let nowhere = ask(house, &at, (&number, &code)).await;
    assert_eq!((nowhere.0, house.number(letters).await), (200, 0), "no address, no letter");
    lives_at(house, MARIA, HERS).await;
    assert_eq!(ask(house, &at, (&number, "RSSMRA80A01H501U")).await.0, 422);
    assert_eq!(house.number(letters).await, 0, "for whoever does not hold it");
    for _ in 0..2 {
        assert_eq!(ask(house, &at, (&number, &code)).await, nowhere, "the same answer");
        assert_eq!(house.number(letters).await, 1, "once a day");
    }
    assert!(!nowhere.1.contains(HERS) && !nowhere.1.contains(&number), "{}", nowhere.1);

    let _sender = sender(house, &smtp);
    let letters_sent = until(&smtp, 1).await;
    settled(house).await;
    let letter = &letters_sent[0];
    assert_eq!(letter["to"], json!([HERS]));
    says(letter, "20,00 €");
    let [enclosed] = letter["enclosed"].as_array().expect("a list").as_slice() else { panic!("one receipt: {letter}") };
    let pdf = data_encoding::BASE64.decode(enclosed[2].as_str().expect("text").as_bytes()).expect("bytes");
    assert!(pdf_text(&pdf).contains("Giulia Verdi"), "the whole receipt says who owed");
    house.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(ask(house, &at, (&number, &code)).await, nowhere);
    assert_eq!(house.number(letters).await, 2, "another day");
    until(&smtp, 2).await;
    settled(house).await;

    // A receipt of last month: neither is its letter given up as an old one, nor sent twice a day once the log is swept.
    house.advance(Duration::from_secs(30 * 24 * 3_600));
    for _ in 0..2 {
        assert_eq!(ask(house, &at, (&number, &code)).await, nowhere);
        sweep(&house.app, town, 7).await.expect("swept");
        assert_eq!(house.number(letters).await, 1, "one of today");
    }
    until(&smtp, 3).await;
    settled(house).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE outcome = 'sent'").await, 1);
}
