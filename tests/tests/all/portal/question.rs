//! The secret question: a brake before a forgotten password is set anew. It opens nothing, and nobody learns by it who has an account.

use borsellino_domain::creditor::CreditorCode;
use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1::Proof;
use borsellino_server::usecases::guardians::{Change, change, give_code};
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::questions::set_asks;
use borsellino_tests::house::{Browser, Form, House, MARIA, PAOLO, PASSWORD, Page, TOWN, reason, refused};

borsellino_tests::in_both_houses! {
    a_question_is_chosen_with_the_password;
    a_recovery_asks_what_was_chosen;
    nobody_is_asked_who_need_not_be;
    wrong_answers_come_to_an_end;
    the_app_says_where_it_is_asked;
}

const BASE: &str = "/comune/99900010010";
const SENTENCE: &str = "la nonna prende il treno";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::from_digits(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("decided by the council".to_owned(), "A. Verdi".to_owned())).expect("an act")
}

async fn ask(house: &House, asked: bool) {
    set_asks(&house.app.store, act(house), asked).await.expect("changed");
}

/// Chooses the name of the pet.
async fn choose(maria: &Browser, answer: &str, password: &str) -> Page {
    let form = maria.get(&at("/domanda-segreta")).await.form(&at("/domanda-segreta"));
    maria.send(&form.with("domanda", "pet").with("risposta", answer).with("password", password)).await
}

/// A step of the recovery that `page` shows.
fn step(page: &Page, name: &str, fields: &[(&str, &str)]) -> Form {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"recupero\" value=\"").expect("a mark");
    let mark = rest.split_once('"').expect("its end").0;
    let own = [("passo", name), ("recupero", mark)];
    let all = own.iter().chain(fields).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Form { action: at("/problemi-accesso"), fields: all.collect() }
}

fn new_password(answer: &str) -> [(&'static str, &str); 3] {
    [("password", SENTENCE), ("password-ripetuta", SENTENCE), ("risposta", answer)]
}

/// A browser in which a recovery has its two proofs: the office's code, and the confirmation of a phone.
async fn proved(house: &House, who: &str) -> (Browser, Page) {
    let (browser, phone) = (house.browser(), house.phone(who).await);
    let begin = [("passo", "inizio"), ("chi", who)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let page = browser.sent(&Form { action: at("/problemi-accesso"), fields: begin.into() }).await;
    assert!(!page.says("name=\"risposta\""), "nothing is asked of whoever has proved nothing");
    let code = give_code(&house.app.store, act(house), who.to_owned()).await.expect("a code").code.grouped();
    let page = browser.sent(&step(&page, "ufficio", &[("codice", &code)])).await;
    assert!(!page.says("name=\"risposta\""), "nor of whoever has one proof");
    let text = page.text();
    let number = text.split_once("id=\"numero\">").and_then(|(_, rest)| rest.split_once('<')).expect("a number").0;
    let listed = phone.recoveries().await.expect("recoveries");
    phone.answer_recovery(&listed[0].id, number).await.expect("confirmed");
    let page = browser.get(&at("/problemi-accesso")).await;
    assert!(page.says("autocomplete=\"new-password\""), "{}", page.text());
    (browser, page)
}

async fn a_question_is_chosen_with_the_password(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    // Nothing of it is there before the creditor wants it.
    assert_eq!(maria.get(&at("/domanda-segreta")).await.status, 404);
    assert!(!maria.get(&at("/profilo")).await.says("domanda-segreta"));
    ask(house, true).await;
    assert!(maria.get(&at("/profilo")).await.says(&at("/domanda-segreta")));
    assert!(maria.get(&at("/domanda-segreta")).await.says("Non ne hai scelta nessuna"));
    for (question, answer, password, field) in [
        ("", "Fido", PASSWORD, "domanda"),
        ("colour", "Fido", PASSWORD, "domanda"),
        ("pet", "", PASSWORD, "risposta"),
        ("pet", "- -", PASSWORD, "risposta"),
        ("pet", "Fido", "una password sbagliata", "password"),
    ] {
        let form = maria.get(&at("/domanda-segreta")).await.form(&at("/domanda-segreta"));
        let form = form.with("domanda", question).with("risposta", answer).with("password", password);
        let again = maria.send(&form).await;
        assert!(again.status == 422 && again.says(&format!("id=\"errore-{field}\"")), "{field}: {}", again.text());
        assert!(!again.says("value=\"Fido\""), "an answer is not shown again");
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM secret_question").await, 0);
    let done = choose(&maria, "Fido", PASSWORD).await;
    assert!(done.status == 200 && done.says("La domanda è salvata"), "{}", done.text());
    let page = maria.get(&at("/domanda-segreta")).await;
    assert!(page.says("Qual è il nome del tuo animale domestico?</strong>") && !page.says("Fido"), "{}", page.text());
    let plain = "SELECT COUNT(*) FROM secret_question WHERE LOWER(answer_hash) LIKE '%fido%' OR answer_hash NOT LIKE '$argon2id$%'";
    assert_eq!(house.number(plain).await, 0);
    // Taken back.
    let form = page.form(&at("/domanda-segreta")).with("togli", "si").with("password", PASSWORD);
    assert!(maria.send(&form).await.says("La domanda è tolta"));
    assert!(maria.get(&at("/domanda-segreta")).await.says("Non ne hai scelta nessuna"));
}

async fn a_recovery_asks_what_was_chosen(house: &House) {
    ask(house, true).await;
    choose(&house.visitor(TOWN, MARIA).await, "Fido il cane", PASSWORD).await;
    let (browser, page) = proved(house, MARIA).await;
    assert!(
        page.says("Qual è il nome del tuo animale domestico?") && page.says("name=\"risposta\""),
        "{}",
        page.text()
    );
    // The two proofs are not enough, and the answer is none of them.
    let without = browser.send(&step(&page, "password", &new_password(""))).await;
    assert!(without.status == 422 && without.says("id=\"errore-risposta\""), "{}", without.text());
    let wrong = browser.send(&step(&page, "password", &new_password("Rex"))).await;
    assert!(wrong.status == 422 && wrong.says("non è quella che avevi dato"), "{}", wrong.text());
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    // However it is written.
    let done = browser.send(&step(&page, "password", &new_password("FIDO, il cane!"))).await;
    assert!(done.status == 200 && done.says("Password nuova impostata"), "{}", done.text());
    assert!(house.try_sign_in(TOWN, MARIA, SENTENCE).await.is_ok());
    // Whoever forgot the answer, too, goes to the office.
    choose(&house.visitor(TOWN, PAOLO).await, "Fido", PASSWORD).await;
    let (other, page) = proved(house, PAOLO).await;
    assert!(page.says("name=\"risposta\""));
    change(&house.app.store, act(house), (PAOLO.to_owned(), Change::ForgetQuestion)).await.expect("forgotten");
    let done = other.send(&step(&page, "password", &new_password(""))).await;
    assert!(done.status == 200 && done.says("Password nuova impostata"), "{}", done.text());
}

async fn nobody_is_asked_who_need_not_be(house: &House) {
    // Chosen, but not wanted any more.
    ask(house, true).await;
    choose(&house.visitor(TOWN, MARIA).await, "Fido", PASSWORD).await;
    ask(house, false).await;
    let (browser, page) = proved(house, MARIA).await;
    assert!(!page.says("name=\"risposta\""), "{}", page.text());
    assert_eq!(browser.send(&step(&page, "password", &new_password(""))).await.status, 200);
    // Wanted, but not chosen.
    ask(house, true).await;
    let (browser, page) = proved(house, PAOLO).await;
    assert!(!page.says("name=\"risposta\""), "{}", page.text());
    assert_eq!(browser.send(&step(&page, "password", &new_password(""))).await.status, 200);
}

async fn wrong_answers_come_to_an_end(house: &House) {
    ask(house, true).await;
    choose(&house.visitor(TOWN, MARIA).await, "Fido", PASSWORD).await;
    let (browser, page) = proved(house, MARIA).await;
    for _ in 0..4 {
        assert!(browser.send(&step(&page, "password", &new_password("Rex"))).await.says("non è quella che avevi dato"));
        house.advance(Duration::from_secs(3_600));
    }
    browser.send(&step(&page, "password", &new_password("Rex"))).await;
    house.advance(Duration::from_secs(3_600));
    let late = browser.send(&step(&page, "password", &new_password("Fido"))).await;
    assert!(!late.says("Password nuova impostata"), "{}", late.text());
    // Another recovery brings no five guesses at once.
    let (browser, page) = proved(house, MARIA).await;
    let mut last = browser.send(&step(&page, "password", &new_password("Rex"))).await;
    for _ in 0..3 {
        last = browser.send(&step(&page, "password", &new_password("Rex"))).await;
    }
    assert!(last.status == 429 && last.says("Troppi tentativi"), "{}", last.text());
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    // Whoever waits and knows it gets in.
    house.advance(Duration::from_secs(3_600));
    let done = browser.send(&step(&page, "password", &new_password("Fido"))).await;
    assert!(done.says("Password nuova impostata"), "{}", done.text());
}

async fn the_app_says_where_it_is_asked(house: &House) {
    ask(house, true).await;
    choose(&house.visitor(TOWN, MARIA).await, "Fido", PASSWORD).await;
    let (door, phone) = (house.door(), house.phone(MARIA).await);
    let asked = door.recover(MARIA).await.expect("started");
    let code = give_code(&house.app.store, act(house), MARIA.to_owned()).await.expect("a code").code.grouped();
    door.prove_office(&asked.recovery_token, &code).await.expect("proved");
    let listed = phone.recoveries().await.expect("recoveries");
    phone.answer_recovery(&listed[0].id, &asked.number).await.expect("confirmed");
    let refusal = refused(door.finish(&asked.recovery_token, SENTENCE).await);
    assert_eq!(refusal.reason, Reason::RecoveryIncomplete);
    assert!(
        refusal.sentence.contains("domanda segreta") && refusal.sentence.contains("portale"),
        "{}",
        refusal.sentence
    );
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    // The office's code was not used up for nothing, and what was begun in the app is over.
    assert_eq!(reason(door.finish(&asked.recovery_token, SENTENCE).await), Reason::RecoveryIncomplete);
    let next = door.recover(MARIA).await.expect("started");
    assert_eq!(door.prove_office(&next.recovery_token, &code).await.expect("still good"), [Proof::Office]);
}
