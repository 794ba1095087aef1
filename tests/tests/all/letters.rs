//! The letter of a recovery, against a strict fake of an SMTP server.

use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::Proof;
use borsellino_server::jobs;
use borsellino_server::usecases::guardians::{change_email, give_code};
use borsellino_server::usecases::office::Act;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, PASSWORD, TOWN, reason};
use borsellino_tests::smtp::{At, Fault, Smtp, Taken};
use tokio::task::JoinHandle;

borsellino_tests::in_both_houses! {
    a_letter_and_a_code_recover_an_account;
    a_letter_in_each_language;
    a_letter_that_is_not_taken_comes_later;
    two_nodes_send_one_letter;
    who_has_no_address_gets_none;
    a_new_address_ends_what_the_old_one_knew;
    whoever_asks_often_leaves_room_for_the_next;
    a_letter_that_is_too_late_is_not_sent;
}

const ADDRESS: &str = "maria.bianchi@famiglia.example";
const SENTENCE: &str = "la nonna prende il treno";

/// The sender of a node.
struct Sender(JoinHandle<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn sender(house: &House, smtp: &Smtp) -> Sender {
    let mut app = house.app.clone();
    app.mailer = Some(Arc::new(smtp.mailer(app.clock.clone())));
    app.mail_every = Duration::from_millis(5);
    Sender(tokio::spawn(jobs::mail::run(app)))
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

async fn writes_to(house: &House, who: &str, address: Option<&str>) {
    let address = address.map_or_else(|| "NULL".to_owned(), |address| format!("'{address}'"));
    // The letters of this page are those of recoveries alone.
    let told = "INSERT INTO low_told SELECT creditor, id, 0 FROM wallet WHERE true ON CONFLICT DO NOTHING";
    house.execute(told).await;
    house.execute(&format!("UPDATE guardian SET email = {address} WHERE username = '{who}'")).await;
}

/// The letter as text, with nothing of its encoding but what it needs for other letters than ours.
fn text(letter: &Taken) -> String {
    String::from_utf8(letter.raw.clone()).expect("ASCII").replace("=\r\n", "")
}

/// The eight digits.
fn code(letter: &Taken) -> String {
    let text = text(letter);
    let digits = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let line = text.lines().find_map(|line| {
        let (_, code) = line.split_once(": ")?;
        let (first, last) = code.split_once(' ')?;
        (digits(first) && digits(last)).then(|| code.to_owned())
    });
    line.expect("a code")
}

/// Until nothing is to be sent any more.
async fn settled(house: &House) {
    let waits = async {
        while house.number("SELECT COUNT(*) FROM recovery WHERE mail_due_at_ms IS NOT NULL").await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(borsellino_tests::house::SOON, waits).await.expect("settled in time");
}

async fn a_letter_and_a_code_recover_an_account(house: &House) {
    let smtp = Smtp::start().await;
    let (door, _sender) = (house.door(), sender(house, &smtp));
    writes_to(house, MARIA, Some(ADDRESS)).await;
    let asked = door.recover(MARIA).await.expect("started");
    smtp.until(|smtp| smtp.taken().len() == 1).await;
    let letter = smtp.taken().remove(0);
    assert_eq!(letter.to, [ADDRESS]);
    assert!(!text(&letter).contains("Giulia"), "no child is named");
    let (token, typed) = (&asked.recovery_token, code(&letter));
    let proved = door.prove_email(token, &typed).await.expect("proved");
    assert_eq!(proved, [Proof::Email]);
    assert_eq!(door.prove_email(token, &typed.replace(' ', "-")).await.expect("again"), [Proof::Email]);
    assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryIncomplete, "a letter is not enough");
    let office = give_code(&house.app.store, act(house), MARIA.to_owned()).await.expect("a code").code.grouped();
    assert_eq!(door.prove_office(token, &office).await.expect("proved"), [Proof::Office, Proof::Email]);
    let (phone, username) = door.finish(token, SENTENCE).await.expect("finished");
    assert_eq!((phone.home().await.is_ok(), username.as_str()), (true, MARIA));
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    // A code is one recovery's.
    let next = door.recover(MARIA).await.expect("started");
    assert_eq!(reason(door.prove_email(&next.recovery_token, &typed).await), Reason::ProofRefused);
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

async fn a_letter_in_each_language(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    writes_to(house, MARIA, Some(ADDRESS)).await;
    for (count, (language, word)) in (1..).zip([("it", "dispositivo"), ("en", "device"), ("de", "Gemeinde")]) {
        house.door().speaking(language).recover(MARIA).await.expect("started");
        smtp.until(|smtp| smtp.taken().len() == count).await;
        let letter = smtp.taken().pop().expect("a letter");
        assert!(text(&letter).contains(word), "{}", text(&letter));
        assert!(text(&letter).contains(&format!("Content-Language: {language}\r\n")));
        assert_eq!(code(&letter).len(), 9);
    }
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

async fn a_letter_that_is_not_taken_comes_later(house: &House) {
    let smtp = Smtp::start().await;
    writes_to(house, MARIA, Some(ADDRESS)).await;
    smtp.order([(At::Rcpt, Fault::says("451 4.3.0 later")), (At::Rcpt, Fault::says("451 4.3.0 later"))]);
    let (door, _sender) = (house.door(), sender(house, &smtp));
    let asked = door.recover(MARIA).await.expect("started");
    let waiting = |after: i64| format!("SELECT COUNT(*) FROM recovery WHERE mail_due_at_ms = {}", house.now() + after);
    let due = async |sql: String| {
        while house.number(&sql).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let soon = borsellino_tests::house::SOON;
    tokio::time::timeout(soon, due(waiting(15_000))).await.expect("15 seconds later");
    house.advance(Duration::from_secs(15));
    tokio::time::timeout(soon, due(waiting(30_000))).await.expect("30 seconds later");
    assert_eq!((smtp.taken().len(), smtp.left()), (0, 0));
    house.advance(Duration::from_secs(30));
    smtp.until(|smtp| smtp.taken().len() == 1).await;
    assert!(door.prove_email(&asked.recovery_token, &code(&smtp.taken()[0])).await.is_ok());
    settled(house).await;

    // Refused for good, it is not tried again; who asked goes on without a letter.
    smtp.order([(At::Rcpt, Fault::says("550 5.1.1 nobody"))]);
    let asked = door.recover(MARIA).await.expect("started");
    settled(house).await;
    let logged = "SELECT COUNT(*) FROM recovery WHERE mail_code = 'rcpt 550 5.1.1'";
    assert_eq!(house.number(logged).await, 1, "and why is known, without an address");
    assert_eq!(door.proofs(&asked.recovery_token).await.expect("under way"), []);
    assert_eq!(smtp.taken().len(), 1);
}

async fn two_nodes_send_one_letter(house: &House) {
    let smtp = Smtp::start().await;
    let _senders = [sender(house, &smtp), sender(house, &smtp), sender(house, &smtp)];
    for who in [MARIA, PAOLO, AMINA] {
        writes_to(house, who, Some(ADDRESS)).await;
    }
    let mut tokens = Vec::new();
    for who in [MARIA, PAOLO, AMINA] {
        tokens.push(house.door().recover(who).await.expect("started").recovery_token);
    }
    smtp.until(|smtp| smtp.taken().len() >= 3).await;
    settled(house).await;
    let letters = smtp.taken();
    assert_eq!(letters.len(), 3);
    for token in &tokens {
        let mut fits = 0;
        for letter in &letters {
            fits += usize::from(house.door().prove_email(token, &code(letter)).await.is_ok());
        }
        assert_eq!(fits, 1);
    }
}

async fn who_has_no_address_gets_none(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    for who in [MARIA, "nobody.at.all"] {
        house.door().recover(who).await.expect("started");
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE mail_due_at_ms IS NOT NULL").await, 0);
    // One that an earlier version let in: it is refused here, and nothing waits for ever.
    house.execute(&format!("UPDATE guardian SET email = 'a b@example' WHERE username = '{PAOLO}'")).await;
    house.door().recover(PAOLO).await.expect("started");
    settled(house).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE mail_code = 'no address'").await, 1);
    assert_eq!((smtp.taken().len(), smtp.connections()), (0, 0));
}

async fn a_new_address_ends_what_the_old_one_knew(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    writes_to(house, MARIA, Some("old@famiglia.example")).await;
    let asked = house.door().recover(MARIA).await.expect("started");
    smtp.until(|smtp| smtp.taken().len() == 1).await;
    let typed = code(&smtp.taken()[0]);
    let other = (MARIA.to_owned(), Some(ADDRESS.to_owned()));
    change_email(&house.app.store, &house.app.keys, act(house), other).await.expect("changed");
    assert_eq!(reason(house.door().prove_email(&asked.recovery_token, &typed).await), Reason::ProofRefused);
}

/// A stranger who asks again and again keeps nobody from their own letter, and no more than five are under way.
async fn whoever_asks_often_leaves_room_for_the_next(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    writes_to(house, MARIA, Some(ADDRESS)).await;
    let mut token = String::new();
    for count in 1..=9 {
        token = house.door().recover(MARIA).await.expect("started").recovery_token;
        smtp.until(|smtp| smtp.taken().len() == count).await;
        // Past the delays.
        house.advance(Duration::from_secs(3_601));
    }
    // Before the phone signs in: a letter tells Maria of that, and may come first.
    let last = smtp.taken().pop().expect("a letter");
    assert_eq!(house.phone(MARIA).await.recoveries().await.expect("recoveries").len(), 5);
    assert!(house.door().prove_email(&token, &code(&last)).await.is_ok());
}

async fn a_letter_that_is_too_late_is_not_sent(house: &House) {
    let smtp = Smtp::start().await;
    writes_to(house, MARIA, Some(ADDRESS)).await;
    house.door().recover(MARIA).await.expect("started");
    // Days later the operator sets up a mail server.
    house.advance(Duration::from_secs(2 * 86_400));
    let _sender = sender(house, &smtp);
    house.door().recover(MARIA).await.expect("started");
    smtp.until(|smtp| smtp.taken().len() == 1).await;
    let left = "SELECT COUNT(*) FROM recovery WHERE mail_due_at_ms IS NOT NULL AND mail_attempts = 0";
    assert_eq!(house.number(left).await, 1, "the old one was not even taken");
    assert_eq!(smtp.taken().len(), 1);
}
