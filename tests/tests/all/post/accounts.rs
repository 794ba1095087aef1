//! What happens to an account is told; low balances, and who does not want to hear of them; what came back.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::v1::PayBy;
use borsellino_server::usecases::guardians::{Change, change, give_code};
use borsellino_server::usecases::post::log::{Returned, came_back};
use borsellino_server::usecases::post::low;
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, PAOLO, PASSWORD, TOWN, wallet};
use borsellino_tests::smtp::{At, Fault, Smtp};
use serde_json::{Value, json};

use super::{HERS, HIS, OUTSIDE, act, app, lives_at, moves_to, said, says, says_not, sender, settled, subject, until};

borsellino_tests::in_both_houses! {
    what_happens_to_an_account_is_told;
    a_new_address_is_told_to_both;
    a_low_balance_is_told_once;
    who_does_not_want_them_says_so;
    what_comes_back_is_marked;
    a_letter_in_each_language;
}

const SENTENCE: &str = "la nonna prende il treno";

async fn what_happens_to_an_account_is_told(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    lives_at(house, MARIA, HERS).await;
    let phone = house.phone(MARIA).await;
    let letters = until(&smtp, 1).await;
    assert_eq!(subject(&letters[0]), "Accesso da un dispositivo");
    says(&letters[0], "20 novembre 11:00");
    assert_eq!(letters[0]["headers"]["list-unsubscribe"], Value::Null, "nobody can be kept from hearing of it");
    let number = phone.home().await.expect("home").payments.remove(0).notice.expect("a notice").number;
    phone.change_password(PASSWORD, SENTENCE).await.expect("changed");
    assert_eq!(subject(&until(&smtp, 2).await[1]), "La tua password è cambiata");
    // Recovered with two proofs: the code of the letter, and the office's.
    let door = house.door();
    let asked = door.recover(MARIA).await.expect("started");
    let letters = until(&smtp, 3).await;
    let text = said(&letters[2], "text").to_owned();
    let code: String = text.split_once("codice è: ").expect("a code").1.chars().take(9).collect();
    door.prove_email(&asked.recovery_token, &code).await.expect("proved");
    let office = give_code(&house.app.store, act(house), MARIA.to_owned()).await.expect("a code").code.grouped();
    door.prove_office(&asked.recovery_token, &office).await.expect("proved");
    door.finish(&asked.recovery_token, "il treno porta la nonna").await.expect("finished");
    assert_eq!(subject(&until(&smtp, 4).await[3]), "Hai una password nuova");
    change(&house.app.store, act(house), (MARIA.to_owned(), Change::End)).await.expect("ended");
    let letters = until(&smtp, 5).await;
    assert_eq!(subject(&letters[4]), "Il tuo accesso è finito");
    for letter in &letters {
        says_not(letter, "Giulia");
        says_not(letter, "Bianchi");
        assert_eq!(letter["to"], json!([HERS]));
    }
    // From then on nothing more.
    settled(house).await;
    let notice = "SELECT COUNT(*) FROM letter";
    let before = house.number(notice).await;
    assert!(house.deliver(&Receipt::new(&number, 100)).await.is_ok());
    settled(house).await;
    assert_eq!(house.number(notice).await, before);
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

async fn a_new_address_is_told_to_both(house: &House) {
    let smtp = Smtp::start().await;
    lives_at(house, MARIA, HERS).await;
    moves_to(house, MARIA, Some("maria@nuova.example")).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE sealed IS NOT NULL").await, 1);
    let _sender = sender(house, &smtp);
    let mut letters = until(&smtp, 2).await;
    letters.sort_by_key(|letter| letter["to"].to_string());
    assert_eq!((&letters[0]["to"], subject(&letters[0])), (&json!([HERS]), "Le e-mail non arrivano più qui"));
    assert_eq!((&letters[1]["to"], subject(&letters[1])), (&json!(["maria@nuova.example"]), "Le e-mail arrivano qui"));
    says_not(&letters[0], "nuova.example");
    says_not(&letters[1], "famiglia.example");
    settled(house).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE sealed IS NOT NULL").await, 0);
    // The same again is no news, and none at all is told to the last one.
    moves_to(house, MARIA, Some("maria@nuova.example")).await;
    moves_to(house, MARIA, None).await;
    let letters = until(&smtp, 3).await;
    assert_eq!(letters[2]["to"], json!(["maria@nuova.example"]));
    settled(house).await;
}

/// Has the balance of a wallet be this, past every door: the ledger is put right before it is looked at.
async fn holds(house: &House, wallet: &str, cents: i64) -> i64 {
    let whose = format!("kind = 'wallet' AND {}", is(house, "id", wallet));
    let before = house.number(&format!("SELECT balance_cents FROM account WHERE {whose}")).await;
    house.execute(&format!("UPDATE account SET balance_cents = {cents} WHERE {whose}")).await;
    before
}

async fn a_low_balance_is_told_once(house: &House) {
    let smtp = Smtp::start().await;
    lives_at(house, MARIA, HERS).await;
    lives_at(house, PAOLO, HIS).await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    house.execute("DELETE FROM letter").await;
    let before = holds(house, &canteen, 899).await;
    house.execute(&format!("DELETE FROM low_told WHERE {}", is(house, "wallet", &canteen))).await;
    let _sender = sender(house, &smtp);
    let mut letters = until(&smtp, 2).await;
    letters.sort_by_key(|letter| letter["to"].to_string());
    assert_eq!((&letters[0]["to"], &letters[1]["to"]), (&json!([HERS]), &json!([HIS])), "both see it");
    for letter in &letters {
        assert_eq!(subject(letter), "Saldo basso: Mensa scolastica");
        says(letter, "8,99 €");
        says(letter, "Basta ancora per");
        assert_eq!(letter["headers"]["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
        let there = letter["headers"]["list-unsubscribe"].as_str().expect("an address");
        assert!(there.starts_with(&format!("<{OUTSIDE}/lettere?t=")), "{there}");
        assert!(said(letter, "html").contains("/lettere?t="));
        let remedy = format!("{OUTSIDE}/comune/{TOWN}/ricarica?saldo={canteen}");
        assert!(said(letter, "html").contains(&remedy) && said(letter, "text").contains(&remedy), "{remedy}");
    }
    // Not again while it stays so, also an hour later; again after it was above the mark.
    for cents in [899, 0, 5_000, -1_240] {
        holds(house, &canteen, cents).await;
        house.advance(Duration::from_secs(3_601));
        look(house, &smtp).await;
        settled(house).await;
    }
    smtp.until(|smtp| smtp.taken().len() >= 4).await;
    let letters = super::read(&smtp.taken());
    assert_eq!(letters.len(), 4);
    says(&letters[3], "sotto zero: devi 12,40 €");
    says_not(&letters[3], "sta per finire");
    holds(house, &canteen, before).await;
}

fn is(house: &House, column: &str, id: &str) -> String {
    format!("{column} = {}", house.fresh.id(id.parse().expect("an id")))
}

/// Looks for low balances, as the sender does every hour.
async fn look(house: &House, smtp: &Smtp) {
    low::look(&app(house, smtp), CreditorCode::parse(TOWN).expect("a code")).await.expect("looked");
}

fn way_out(letter: &Value) -> String {
    let text = said(letter, "text");
    let (_, rest) = text.split_once(&format!("{OUTSIDE}/lettere")).expect("an address");
    format!("/lettere{}", rest.split_whitespace().next().unwrap_or_default())
}

async fn who_does_not_want_them_says_so(house: &House) {
    let smtp = Smtp::start().await;
    lives_at(house, MARIA, HERS).await;
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&phone.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    house.execute("DELETE FROM letter").await;
    let before = holds(house, &canteen, 100).await;
    house.execute(&format!("DELETE FROM low_told WHERE {}", is(house, "wallet", &canteen))).await;
    let _sender = sender(house, &smtp);
    let path = way_out(&until(&smtp, 1).await[0]);
    let there = format!("{}{path}", house.at.web);
    for personal in ["maria", "bianchi", "99900010010", &phone.guardian.id.replace('-', "")] {
        assert!(!path.to_lowercase().contains(personal), "{path}");
    }
    let off = "SELECT COUNT(*) FROM mail_choice WHERE off = 1";
    // To look changes nothing.
    let page = house.http.get(&there).send().await.expect("a page").text().await.expect("text");
    assert!(page.contains("Non voglio più riceverle") && page.contains("Comune di Valdorso"), "{page}");
    assert_eq!(house.number(off).await, 0);
    let post = async |body: &'static str| {
        let form = house.http.post(&there).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = form.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    for _ in 0..2 {
        let (status, page) = post("List-Unsubscribe=One-Click").await;
        assert_eq!((status, house.number(off).await), (200, 1));
        assert!(page.contains("Voglio riceverle di nuovo"), "{page}");
    }
    house.execute("DELETE FROM low_told").await;
    look(house, &smtp).await;
    settled(house).await;
    assert_eq!(smtp.taken().len(), 1, "nothing more of this kind");
    // What can't be refused still comes.
    house.phone(MARIA).await;
    until(&smtp, 2).await;
    assert_eq!(post("scelta=on").await.0, 200);
    assert_eq!((house.number(off).await, post("x=y").await.0), (0, 400));
    let altered = format!("{there}A");
    assert_eq!(house.http.get(altered).send().await.expect("an answer").status().as_u16(), 404);
    let altered = format!("{}/lettere", house.at.web);
    assert_eq!(house.http.post(altered).body("List-Unsubscribe=One-Click").send().await.expect("one").status(), 404);
    holds(house, &canteen, before).await;
}

async fn what_comes_back_is_marked(house: &House) {
    let smtp = Smtp::start().await;
    let sending = sender(house, &smtp);
    lives_at(house, MARIA, HERS).await;
    house.phone(MARIA).await;
    let letters = until(&smtp, 1).await;
    let id = letters[0]["headers"]["message-id"].as_str().expect("an id").trim_start_matches('<');
    let id = id.split('@').next().expect("an id").parse().expect("an id");
    settled(house).await;
    let (store, now) = (&house.app.store, house.app.now());
    assert_eq!(came_back(store, (uuid::Uuid::from_u128(7), true), now).await.expect("read"), Returned::NotOurs);
    let full = came_back(store, (id, false), now).await.expect("read");
    assert_eq!(full, Returned::LetterOnly, "a full mailbox is still one");
    assert_eq!(came_back(store, (id, true), now).await.expect("read"), Returned::Marked);
    assert_eq!(came_back(store, (id, true), now).await.expect("read"), Returned::LetterOnly);
    let marked = "SELECT COUNT(*) FROM guardian WHERE email_bounced_at_ms IS NOT NULL";
    assert_eq!(house.number(marked).await, 1);
    // Late news of an address that is no longer on file.
    house.advance(Duration::from_secs(60));
    moves_to(house, MARIA, Some("maria@nuova.example")).await;
    assert_eq!(house.number(marked).await, 0);
    assert_eq!(came_back(store, (id, true), now).await.expect("read"), Returned::LetterOnly);
    assert_eq!(house.number(marked).await, 0);
    // A recovery's letter finds out, too.
    smtp.order([(At::Rcpt, Fault::says("550 5.1.1 nobody"))]);
    drop(sending);
    house.execute("DELETE FROM letter").await;
    let _sender = sender(house, &smtp);
    house.door().recover(MARIA).await.expect("started");
    while house.number(marked).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_letter_in_each_language(house: &House) {
    let smtp = Smtp::start().await;
    let _sender = sender(house, &smtp);
    lives_at(house, MARIA, HERS).await;
    let phone = house.phone(MARIA).await;
    until(&smtp, 1).await;
    let canteen = wallet(&phone.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    for (count, (language, words)) in
        (2..).zip([("it", "Nuovo saldo"), ("en", "New balance"), ("de", "Neues Guthaben")])
    {
        house.execute(&format!("UPDATE guardian SET language = '{language}'")).await;
        let notice = phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("a top-up").notice.expect("a notice");
        assert!(house.deliver(&Receipt::new(&notice.number, 1_000)).await.is_ok());
        let letter = until(&smtp, count).await.pop().expect("a letter");
        says(&letter, words);
        assert_eq!(letter["headers"]["content-language"], language);
        assert!(said(&letter, "html").contains(&format!("<html lang=\"{language}\"")));
    }
}
