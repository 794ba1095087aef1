//! What became of a payment, told to whoever paid.

use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::v1::PayBy;
use borsellino_server::jobs;
use borsellino_server::usecases::proof_file::check;
use borsellino_server::usecases::tell::tell;
use borsellino_tests::fcm::Fcm;
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, SOON, TOWN, wallet};
use borsellino_tests::smtp::{At, Fault, Smtp};

use super::{HERS, HIS, Sender, app_that_seals, lives_at, outcomes, says, says_not, sender, settled, subject, until};

borsellino_tests::in_both_houses! {
    the_payer_is_told_and_nobody_else;
    a_receipt_waits_for_its_proof_and_not_for_ever;
    a_bill_says_what_is_left;
    what_was_paid_twice;
    who_only_sends_pushes_lays_letters_too;
    three_nodes_send_each_once;
    not_now_is_tried_later_and_not_for_ever;
    nobody_there_is_marked;
    what_others_typed_stays_words;
}

async fn the_payer_is_told_and_nobody_else(house: &House) {
    let smtp = Smtp::start().await;
    let phone = house.phone(MARIA).await;
    for (who, address) in [(MARIA, HERS), (PAOLO, HIS), (AMINA, "amina@famiglia.example")] {
        lives_at(house, who, address).await;
    }
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let payment = phone.top_up(&canteen.id, 2_000, PayBy::Online).await.expect("a top-up");
    let after = canteen.balance_cents + 2_000;
    house.pay_page(&payment.checkout_url).await;
    let _sender = sender(house, &smtp);
    let letters = until(&smtp, 1).await;
    settled(house).await;
    let letter = &letters[0];
    assert_eq!(letter["to"], serde_json::json!([HERS]));
    assert_eq!(subject(letter), "Operazione conclusa: 20,00\u{a0}€".replace('\u{a0}', " "));
    let number = payment.notice.as_ref().expect("a notice").number.clone();
    for what in ["20,00 €", "Giulia", "Mensa", "20 novembre", &number[1..], &euro(after)] {
        says(letter, what);
    }
    says_not(letter, "Rossi");
    says_not(letter, "Bianchi");
    assert_eq!(letter["headers"]["list-unsubscribe"], serde_json::Value::Null, "who pays is told");
    assert_eq!(letter["type"], "multipart/mixed");
    assert_eq!(letter["enclosed"][0][0], format!("ricevuta-{}.pdf", &number[1..]));
    assert!(borsellino_tests::house::pdf_text(&paper(letter)).contains("20,00"));
    assert_eq!((smtp.taken().len(), outcomes(house, "sent").await), (1, 1));
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE sealed IS NOT NULL").await, 0);
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

/// The one paper of a letter.
fn paper(letter: &serde_json::Value) -> Vec<u8> {
    let [enclosed] = letter["enclosed"].as_array().expect("a list").as_slice() else { panic!("one paper: {letter}") };
    data_encoding::BASE64.decode(enclosed[2].as_str().expect("text").as_bytes()).expect("bytes")
}

async fn a_receipt_waits_for_its_proof_and_not_for_ever(house: &House) {
    const WAITING: &str = "SELECT COUNT(*) FROM letter WHERE last_code = 'not_yet' AND outcome IS NULL";
    let smtp = Smtp::start().await;
    let _sender = Sender(tokio::spawn(jobs::mail::run(app_that_seals(house, &smtp))));
    let notice = house.phone(MARIA).await.home().await.expect("home").payments.remove(0).notice.expect("a notice");
    lives_at(house, MARIA, HERS).await;
    let paid = Receipt::new(&notice.number, 2_000);
    assert!(house.deliver(&paid).await.is_ok());
    let waits = async |many: i64| {
        let waiting = async {
            while house.number(WAITING).await < many {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("it waits");
    };
    waits(1).await;
    assert_eq!(smtp.taken().len(), 0, "the ledger is not sealed yet");
    house.seal().await;
    house.advance(jobs::seal::EVERY + Duration::from_secs(5));
    let letters = until(&smtp, 1).await;
    let proof = borsellino_documents::proof_in(&paper(&letters[0])).expect("a proof in it");
    let checked = check(&proof).expect("a proof that holds");
    assert_eq!(checked.proof.entry.receipt().map(|its| its.receipt_id.clone()), Some(paid.id));

    // Where nobody seals, it goes without.
    assert!(house.deliver(&Receipt::new(&notice.number, 2_000)).await.is_ok());
    waits(1).await;
    house.advance(jobs::seal::EVERY + Duration::from_secs(5));
    let twice = "SELECT COUNT(*) FROM letter WHERE last_code = 'not_yet' AND outcome IS NULL AND attempts = 2";
    let again = async {
        while house.number(twice).await < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, again).await.expect("it looks again");
    assert_eq!(smtp.taken().len(), 1);
    house.advance(jobs::seal::EVERY);
    let letters = until(&smtp, 2).await;
    assert!(borsellino_documents::proof_in(&paper(&letters[1])).is_none());
    settled(house).await;
    assert_eq!(outcomes(house, "sent").await, 2);
}

fn euro(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{},{:02} €", cents.abs() / 100, cents.abs() % 100)
}

async fn a_bill_says_what_is_left(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    let phone = house.phone(MARIA).await;
    let bill = phone.home().await.expect("home").bills.into_iter().find(|bill| bill.number == "2026/204");
    let bill = bill.expect("a bill");
    lives_at(house, MARIA, HERS).await;
    lives_at(house, PAOLO, HIS).await;
    let number = bill.notice.as_ref().expect("a notice").number.clone();
    assert!(house.deliver(&Receipt::new(&number, 1_600)).await.is_ok());
    let letters = until(&smtp, 1).await;
    assert_eq!(letters[0]["to"], serde_json::json!([HERS]), "to whom it was issued");
    for what in ["16,00 €", "20,00 €", "2026/204", "novembre 2026", "Giulia", "Trasporto"] {
        says(&letters[0], what);
    }
    house.execute("UPDATE guardian SET language = 'en'").await;
    assert!(house.deliver(&Receipt::new(&number, 2_000)).await.is_ok());
    let letters = until(&smtp, 2).await;
    says(&letters[1], "nothing: all paid");
    assert_eq!(letters[1]["headers"]["content-language"], "en");
    settled(house).await;
}

async fn what_was_paid_twice(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    let phone = house.phone(MARIA).await;
    lives_at(house, MARIA, HERS).await;
    let waiting = phone.home().await.expect("home").payments.remove(0);
    let notice = waiting.notice.expect("a notice").number;
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    until(&smtp, 1).await;
    house.advance(Duration::from_secs(60));
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    let letters = until(&smtp, 2).await;
    assert_eq!(subject(&letters[1]), "Pagato due volte: il Comune ti rimborserà");
    assert!(subject(&letters[0]).starts_with("Operazione conclusa"));
    says_not(&letters[1], "Nuovo saldo");
    settled(house).await;
}

/// A node that has `[push]` alone lays the letters as well, in the same transaction; another that has `[mail]` sends them.
async fn who_only_sends_pushes_lays_letters_too(house: &House) {
    let phone = house.phone(MARIA).await;
    phone.register_push("android-1", borsellino_proto::v1::Platform::Android).await.expect("registered");
    lives_at(house, MARIA, HERS).await;
    let notice = phone.home().await.expect("home").payments.remove(0).notice.expect("a notice").number;
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    let fcm = Fcm::start(house.app.clock.clone()).await;
    let mut app = house.app.clone();
    let settings = borsellino_server::notify::Settings { every: Duration::from_millis(5), ..Default::default() };
    app.push = Some(Arc::clone(&fcm.sender(settings)));
    let pushes = tokio::spawn(jobs::push::run(app));
    fcm.until(1).await;
    pushes.abort();
    let laid = "SELECT COUNT(*) FROM letter WHERE outcome IS NULL AND kind = 'payment_done'";
    assert_eq!(house.number(laid).await, 1);
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    until(&smtp, 1).await;
    // And the other way round: who sends letters alone leaves the push to be sent.
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    until(&smtp, 2).await;
    settled(house).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM delivery WHERE outcome IS NULL").await, 1);
}

async fn three_nodes_send_each_once(house: &House) {
    let smtp = Smtp::start().await;
    let phone = house.phone(MARIA).await;
    lives_at(house, MARIA, HERS).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let notice = home.payments[0].notice.as_ref().expect("a notice").number.clone();
    let _senders = [sender(house, &smtp), sender(house, &smtp), sender(house, &smtp)];
    // Each is real money: the first fills the wallet, the others wait for the office.
    for _ in 0..12 {
        assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    }
    let more = phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("a top-up").notice.expect("a notice").number;
    assert!(house.deliver(&Receipt::new(&more, 1_000)).await.is_ok());
    smtp.until(|smtp| smtp.taken().len() >= 13).await;
    settled(house).await;
    let letters = super::read(&smtp.taken());
    let mut ids: Vec<&str> = letters.iter().map(|letter| letter["headers"]["message-id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((letters.len(), ids.len(), outcomes(house, "sent").await), (13, 13, 13));
    // What was told is told no more.
    assert_eq!(tell(&house.app, CreditorCode::parse(TOWN).expect("a code")).await.expect("told"), 0);
}

async fn paid_once(house: &House) {
    let phone = house.phone(MARIA).await;
    lives_at(house, MARIA, HERS).await;
    let notice = phone.home().await.expect("home").payments.remove(0).notice.expect("a notice").number;
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
}

async fn not_now_is_tried_later_and_not_for_ever(house: &House) {
    let smtp = Smtp::start().await;
    smtp.order([(At::Rcpt, Fault::says("451 4.3.0 later")), (At::Letter, Fault::says("452 4.3.1 full"))]);
    paid_once(house).await;
    let sending = sender(house, &smtp);
    let waiting = |after: i64| format!("SELECT COUNT(*) FROM letter WHERE due_at_ms = {}", house.now() + after);
    let due = async |sql: String| {
        while house.number(&sql).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, due(waiting(60_000))).await.expect("a minute later");
    house.advance(Duration::from_secs(60));
    tokio::time::timeout(SOON, due(waiting(120_000))).await.expect("two minutes later");
    drop(sending);
    // The mail server is away for longer than a letter is of use.
    house.advance(Duration::from_secs(4 * 86_400));
    let _sender = sender(house, &smtp);
    settled(house).await;
    assert_eq!((outcomes(house, "expired").await, smtp.taken().len(), smtp.left()), (1, 0, 0));
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE last_code = 'letter 452 4.3.1'").await, 1);
}

async fn nobody_there_is_marked(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    // A refusal that is about us marks nobody.
    smtp.order([(At::Rcpt, Fault::says("554 5.7.1 relay denied"))]);
    paid_once(house).await;
    settled(house).await;
    let marked = "SELECT COUNT(*) FROM guardian WHERE email_bounced_at_ms IS NOT NULL";
    assert_eq!((outcomes(house, "refused").await, house.number(marked).await), (1, 0));
    let phone = house.phone(MARIA).await;
    until(&smtp, 1).await;
    let canteen = wallet(&phone.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    let pay = async || {
        let notice = phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("a top-up").notice.expect("a notice");
        assert!(house.deliver(&Receipt::new(&notice.number, 1_000)).await.is_ok());
        settled(house).await;
    };
    smtp.order([(At::Rcpt, Fault::says("550 5.1.1 no such user"))]);
    pay().await;
    assert_eq!((outcomes(house, "refused").await, house.number(marked).await), (2, 1));
    let letters = house.number("SELECT COUNT(*) FROM letter").await;
    pay().await;
    assert_eq!(house.number("SELECT COUNT(*) FROM letter").await, letters, "nobody is written to who is not there");
    super::moves_to(house, MARIA, Some("maria@altra.example")).await;
    assert_eq!(house.number(marked).await, 0);
    pay().await;
    let taken = smtp.taken();
    assert_eq!(taken.last().expect("a letter").to, ["maria@altra.example"]);
    assert!(taken[1..].iter().all(|letter| letter.to == ["maria@altra.example"]), "the old address is not written to");
}

async fn what_others_typed_stays_words(house: &House) {
    let smtp = Smtp::start().await;
    paid_once(house).await;
    let typed =
        "<a href=\"https://evil.example\">x</a>\r\nBcc: y@evil.example\r\n\r\n=?utf-8?q?Bcc?= \u{202e}www.evil.example";
    let typed = typed.replace('\'', "''");
    house.execute(&format!("UPDATE service SET name = '{typed}'")).await;
    house.execute(&format!("UPDATE child SET given_name = '{}{typed}'", "n".repeat(40))).await;
    house.execute(&format!("UPDATE creditor SET name = '{typed}{}'", "z".repeat(1_000))).await;
    house.app.directory.reload(&house.app.store).await.expect("read again");
    let _sender = sender(house, &smtp);
    let letters = until(&smtp, 1).await;
    let (letter, taken) = (&letters[0], smtp.taken());
    assert_eq!(taken[0].to, [HERS], "nobody else gets one");
    assert_eq!(letter["headers"]["bcc"], serde_json::Value::Null);
    assert_eq!(letter["count"], 9, "no header more");
    let html = super::said(letter, "html");
    assert_eq!((html.matches("<a ").count(), html.matches("<script").count()), (0, 0), "{html}");
    for never in ["https://evil", "www.evil", "\u{202e}"] {
        says_not(letter, never);
    }
    assert!(super::said(letter, "text").contains("<a href="), "it is there, as words");
    assert_eq!(smtp.violations(), Vec::<String>::new());
    house.execute("UPDATE service SET name = 'Mensa'").await;
}
