//! A top-up at a PSP without a notice: `paDemandPaymentNotice`, and then like any other payment.

use std::time::Duration;

use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_tests::house::node::{self, Addressee, Receipt, euro};
use borsellino_tests::house::{House, MARIA, Soap, TOWN, wallet};
use futures_util::future::join_all;
use serde_json::json;

use super::balance;

borsellino_tests::in_both_houses! {
    a_grandparent_tops_up_at_the_counter;
    the_same_demand_again_is_the_same_notice;
    many_at_once_are_one;
    what_is_refused;
    limits_hold_here_too;
    through_the_platform_from_end_to_end;
}

const CANTEEN: (&str, &str) = ("00009", "00035");

/// Giulia's codice fiscale.
fn giulia() -> String {
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    codes.into_iter().find(|code| PersonalCode::parse(code).is_ok()).expect("one of them fits")
}

fn data(child: &str, cents: i64) -> String {
    format!(
        "<ricarica xmlns=\"urn:borsellino:ricarica:1\"><codiceFiscaleAlunno>{child}</codiceFiscaleAlunno>\
        <importo>{}</importo></ricarica>",
        euro(cents)
    )
}

async fn ask(house: &House, service: (&str, &str), data: &str) -> Soap {
    house.soap(Some("paDemandPaymentNotice"), node::demand(&Addressee::new(TOWN), service, data)).await
}

async fn a_grandparent_tops_up_at_the_counter(house: &House) {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").clone();
    let answer = ask(house, CANTEEN, &data(&giulia(), 1_500)).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(answer.element("amount"), Some("15.00"));
    assert_eq!(answer.element("options"), Some("EQ"));
    assert_eq!(answer.element("paymentDescription"), Some("Ricarica Mensa scolastica"));
    assert_eq!(answer.element("fiscalCodePA"), Some(TOWN));
    let notice = answer.element("noticeNumber").expect("a notice").to_owned();
    assert!(!answer.text.contains("Rossi") && !answer.text.contains("Giulia"), "nobody is named");

    let activated = house.activate(TOWN, &notice, None).await;
    assert_eq!(activated.element("paymentAmount"), Some("15.00"));
    assert_eq!(activated.element("entityUniqueIdentifierValue"), Some("ANONIMO"), "{activated:?}");
    assert_eq!(activated.element("fullName"), Some("ANONIMO"));
    let seen = house.phone(MARIA).await.home().await.expect("home");
    let feed = seen.feed_seq;
    assert_eq!(seen.payments.len(), home.payments.len(), "it is no top-up of Maria's");
    assert!(house.deliver(&Receipt::new(&notice, 1_500)).await.is_ok());
    assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + 1_500);
    let seen = house.phone(MARIA).await.home().await.expect("home");
    assert!(seen.feed_seq > feed, "the family is told");
}

async fn the_same_demand_again_is_the_same_notice(house: &House) {
    house.execute("UPDATE service SET max_open = 9").await;
    let notice = async |cents| {
        let answer = ask(house, CANTEEN, &data(&giulia(), cents)).await;
        answer.element("noticeNumber").expect("a notice").to_owned()
    };
    let first = notice(1_500).await;
    assert_eq!(notice(1_500).await, first, "asked again");
    let lower = ask(house, CANTEEN, &data(&giulia().to_lowercase(), 1_500)).await;
    assert_eq!(lower.element("noticeNumber"), Some(first.as_str()), "the same child");
    let other = notice(1_600).await;
    assert_ne!(other, first, "another amount");
    house.advance(Duration::from_secs(30 * 60));
    let later = notice(1_500).await;
    assert_ne!(later, first, "half an hour later it is another payment");
    assert!(house.deliver(&Receipt::new(&later, 1_500)).await.is_ok());
    assert_ne!(notice(1_500).await, later, "paid: the next one is another payment");
}

async fn many_at_once_are_one(house: &House) {
    let wanted = data(&giulia(), 1_500);
    let answers = join_all((0..16).map(|_| ask(house, CANTEEN, &wanted))).await;
    let mut numbers: Vec<_> = answers.iter().map(|answer| answer.element("noticeNumber").expect("a notice")).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
}

async fn what_is_refused(house: &House) {
    let before = house.rows().await;
    for (service, subject) in [("00008", "00035"), ("00009", "00036")] {
        let answer = ask(house, (service, subject), &data(&giulia(), 1_500)).await;
        assert_eq!(answer.ko(), Some("PAA_SEMANTICA"), "{answer:?}");
    }
    // Nobody, a child of another creditor or service, no codice fiscale at all: the answer is the same.
    for child in ["BNCLRA14P55H501E", "CNTMTT17M20F205A", "nobody"] {
        let answer = ask(house, CANTEEN, &data(child, 1_500)).await;
        assert_eq!(answer.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "{child}: {answer:?}");
    }
    for broken in ["", "<r/>", "testo", "<ricarica><importo>1.00</importo></ricarica>", &data(&giulia(), 0)] {
        let answer = ask(house, CANTEEN, broken).await;
        let code = if broken.is_empty() { "PAA_SINTASSI_EXTRAXSD" } else { "PAA_SINTASSI_XSD" };
        assert_eq!(answer.ko(), Some(code), "{broken}: {answer:?}");
    }
    house.execute("UPDATE wallet SET closed_at_ms = 1").await;
    let answer = ask(house, CANTEEN, &data(&giulia(), 1_500)).await;
    assert_eq!(answer.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"));
    assert_eq!(house.rows().await, before);
}

async fn limits_hold_here_too(house: &House) {
    for cents in [499, 20_001] {
        let answer = ask(house, CANTEEN, &data(&giulia(), cents)).await;
        assert_eq!(answer.ko(), Some("PAA_SEMANTICA"), "{cents}: {answer:?}");
    }
    // One waits already: the service allows three.
    let answers = join_all((0..4).map(|extra| async move {
        let answer = ask(house, CANTEEN, &data(&giulia(), 1_500 + extra)).await;
        answer.is_ok()
    }));
    assert_eq!(answers.await.into_iter().filter(|ok| *ok).count(), 2);
}

/// The sandbox asks as the Node would, holds our answers against the contract, pays at the counter, delivers the receipt.
async fn through_the_platform_from_end_to_end(house: &House) {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").clone();
    let wish = json!({ "creditor": TOWN, "service": "00009", "subject": "00035", "data": data(&giulia(), 1_500) });
    let made = house.order("spontaneous", wish).await;
    assert_eq!(made["amount_cents"], 1_500, "{made}");
    let paid = house.counter(TOWN, made["notice_number"].as_str().expect("a notice")).await;
    assert_eq!((&paid["outcome"], &paid["delivery"]), (&json!("paid"), &json!("acknowledged")), "{paid}");
    assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + 1_500);
    let wish = json!({ "creditor": TOWN, "service": "00009", "subject": "00035", "data": data("nobody", 1_500) });
    let refused = house.order("spontaneous", wish).await;
    assert_eq!(refused["fault"]["original_code"], "PAA_PAGAMENTO_SCONOSCIUTO", "{refused}");
}
