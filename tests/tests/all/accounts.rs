//! Getting an account, changing and recovering its password, and losing it: who has no right learns nothing and gets nowhere.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::{Platform, Proof};
use borsellino_server::clock::random;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::guardians::{Change, NewAdult, add, change, give_code, unregistered};
use borsellino_server::usecases::office::{Act, OfficeRefusal};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, PASSWORD, SOON, TOWN, form, reason, refused};
use futures_util::future::join_all;
use tonic::Status;

borsellino_tests::in_both_houses! {
    an_adult_registers_with_their_code;
    a_code_is_one_persons;
    five_wrong_tries_are_the_end_of_a_code;
    what_is_mistyped_costs_no_try;
    eight_register_with_one_code;
    the_same_at_once_signs_in;
    what_is_checked_still_holds_when_it_is_written;
    nobody_is_called_by_anothers_code;
    early_tries_do_not_lengthen_the_wait;
    a_letter_for_whoever_has_none_that_is_good;
    a_password_is_changed;
    two_proofs_recover_an_account;
    one_proof_is_not_enough;
    a_device_confirms_only_what_it_was_asked;
    nobody_learns_who_has_an_account;
    a_recovery_has_its_end;
    guesses_at_once_count_as_many;
    the_office_ends_an_access_at_once;
    an_access_is_reset;
    the_office_is_told_what_is_wrong;
}

const GRANDMOTHER: &str = "RSSNNA55A41F205";
const SENTENCE: &str = "la nonna prende il treno";
const OTHER: &str = "il gatto dorme sul tetto";
const DAY: Duration = Duration::from_secs(86_400);

/// The last character of a codice fiscale follows from the others.
fn whole(fifteen: &str) -> PersonalCode {
    let codes = ('A'..='Z').map(|check| format!("{fifteen}{check}"));
    codes.filter_map(|code| PersonalCode::parse(&code).ok()).next().expect("a check character")
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

/// Somebody whom the office knows and who has no account yet: a grandmother of Maria's children.
async fn known(house: &House) -> PersonalCode {
    known_as(house, GRANDMOTHER, "Anna Rossi", None).await
}

async fn known_as(house: &House, code: &str, name: &str, email: Option<&str>) -> PersonalCode {
    let fiscal_code = whole(code);
    let adult = NewAdult {
        id: GuardianId::from(uuid_v7(house.app.now(), random().expect("randomness"))),
        full_name: name.to_owned(),
        fiscal_code: fiscal_code.clone(),
        email: email.map(str::to_owned),
        children: vec![whole("RSSGLI17C48F205")],
    };
    add(&house.app.store, act(house), adult).await.expect("added");
    fiscal_code
}

async fn code_for(house: &House, who: &str) -> String {
    give_code(&house.app.store, act(house), who.to_owned()).await.expect("a code").code.grouped()
}

async fn changed(house: &House, who: &str, what: Change) {
    change(&house.app.store, act(house), (who.to_owned(), what)).await.expect("changed");
}

/// All that an answer says.
fn said<T: std::fmt::Debug>(answer: Result<T, Status>) -> (tonic::Code, String, Vec<u8>) {
    let status = answer.expect_err("refused");
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

async fn an_adult_registers_with_their_code(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let wish = form(&fiscal_code.as_str().to_lowercase(), &code.to_lowercase(), " Nonna.Anna ", SENTENCE);
    let (phone, username) = door.register(wish.clone()).await.expect("registered");
    assert_eq!(username, "nonna.anna");
    assert_eq!(phone.guardian.display_name, "Anna Rossi");
    let home = phone.home().await.expect("home");
    assert_eq!(home.children.iter().map(|child| child.given_name.as_str()).collect::<Vec<_>>(), ["Giulia"]);
    assert!(house.try_sign_in(TOWN, "nonna.anna", SENTENCE).await.is_ok());

    // The answer was lost, and the app asks again: signed in once more, and nothing else.
    let (again, _) = door.register(wish.clone()).await.expect("signed in");
    assert_eq!(again.guardian.id, phone.guardian.id);
    assert!(again.home().await.is_ok() && phone.home().await.is_ok());
    // Whoever finds the letter later gets nothing out of it.
    for (username, password) in [("somebody", SENTENCE), ("nonna.anna", OTHER)] {
        let later = form(fiscal_code.as_str(), &code, username, password);
        assert_eq!(reason(door.register(later).await), Reason::OfficeCodeRefused);
    }
    assert!(house.try_sign_in(TOWN, "nonna.anna", SENTENCE).await.is_ok(), "nothing was changed");

    // Who has an account is told so, if they hold a good code.
    let code = code_for(house, "nonna.anna").await;
    let anew = form(fiscal_code.as_str(), &code, "another.name", OTHER);
    assert_eq!(reason(door.register(anew).await), Reason::AlreadyRegistered);

    let clear = format!("%{}%", code.replace('-', ""));
    let held = format!("SELECT COUNT(*) FROM office_code WHERE CAST(digest AS TEXT) LIKE '{clear}'");
    if house.fresh.is_sqlite() {
        assert_eq!(house.number(&held).await, 0, "no code stands in the database");
    }
    let acts = "SELECT COUNT(*) FROM office_action WHERE action IN ('guardian_added', 'code_issued')";
    assert_eq!(house.number(acts).await, 3);
}

async fn a_code_is_one_persons(house: &House) {
    let door = house.door();
    let anna = known(house).await;
    let carlo = known_as(house, "RSSCRL50A01F205", "Carlo Rossi", None).await;
    let annas = code_for(house, anna.as_str()).await;
    let with = |fiscal_code: &str, code: &str| form(fiscal_code, code, "somebody", SENTENCE);

    let mut answers = Vec::new();
    for (what, fiscal_code, code) in [
        ("somebody who has no code", carlo.as_str(), annas.as_str()),
        ("somebody whom nobody knows", whole("VRDLCU80A01F205").as_str(), &annas),
        ("a code of no one's", anna.as_str(), "00000-00000-000Z0"),
    ] {
        let wrong = if code.starts_with("00000") { other_code(&annas) } else { code.to_owned() };
        answers.push((what, said(door.register(with(fiscal_code, &wrong)).await)));
    }
    let expired = code_for(house, carlo.as_str()).await;
    house.advance(30 * DAY);
    answers.push(("a code of a month ago", said(door.register(with(carlo.as_str(), &expired)).await)));
    changed(house, carlo.as_str(), Change::End).await;
    answers.push(("somebody whose access ended", said(door.register(with(carlo.as_str(), &expired)).await)));
    for (what, answer) in &answers {
        assert_eq!(*answer, answers[0].1, "{what}");
    }
    assert_eq!(reason(door.register(with(anna.as_str(), &annas)).await), Reason::OfficeCodeRefused, "it is old, too");
    let first = code_for(house, anna.as_str()).await;
    let second = code_for(house, anna.as_str()).await;
    assert_eq!(reason(door.register(with(anna.as_str(), &first)).await), Reason::OfficeCodeRefused, "replaced");
    assert!(door.register(with(anna.as_str(), &second)).await.is_ok());
}

/// A code that is well formed and not this one.
fn other_code(code: &str) -> String {
    let random = code.bytes().filter(|byte| *byte != b'-').take(13).map(|byte| byte ^ 1).collect::<Vec<_>>();
    let random: [u8; 13] = random.try_into().expect("thirteen");
    borsellino_domain::account::OfficeCode::issue(random).grouped()
}

async fn five_wrong_tries_are_the_end_of_a_code(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let with = |code: &str| form(fiscal_code.as_str(), code, "nonna.anna", SENTENCE);
    for _ in 0..5 {
        assert_eq!(reason(door.register(with(&other_code(&code))).await), Reason::OfficeCodeRefused);
        house.advance(Duration::from_secs(3_600));
    }
    assert_eq!(reason(door.register(with(&code)).await), Reason::OfficeCodeRefused, "now the right one is none");
    let code = code_for(house, fiscal_code.as_str()).await;
    house.advance(Duration::from_secs(3_600));
    for _ in 0..4 {
        assert_eq!(reason(door.register(with(&other_code(&code))).await), Reason::OfficeCodeRefused);
        house.advance(Duration::from_secs(3_600));
    }
    assert!(door.register(with(&code)).await.is_ok(), "four were not the end");

    // Without pauses they are slowed down.
    let carlo = known_as(house, "RSSCRL50A01F205", "Carlo Rossi", None).await;
    let code = code_for(house, carlo.as_str()).await;
    let tries = (0..6).map(|_| form(carlo.as_str(), &other_code(&code), "carlo.rossi", SENTENCE));
    let mut last = Reason::Unspecified;
    for wish in tries {
        last = reason(door.register(wish).await);
    }
    assert_eq!(last, Reason::TryLater);
}

async fn what_is_mistyped_costs_no_try(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let good = form(fiscal_code.as_str(), &code, "nonna.anna", SENTENCE);
    let german = door.speaking("de");
    for _ in 0..10 {
        let mut wish = good.clone();
        wish.office_code.replace_range(..1, if code.starts_with('A') { "B" } else { "A" });
        assert_eq!(reason(door.register(wish).await), Reason::OfficeCodeMistyped);
        let wish = v1_form(&good, |wish| wish.username = "due parole".to_owned());
        assert_eq!(reason(door.register(wish).await), Reason::UsernameInvalid);
        let wish = v1_form(&good, |wish| wish.fiscal_code = "RSSNNA55A41F205A".to_owned());
        assert_eq!(refused(door.register(wish).await).field.as_deref(), Some("fiscal_code"));
        for (password, rule) in [
            ("corta", "short"),
            (&"x1y2 ".repeat(30), "long"),
            ("123456789012", "simple"),
            ("Password2026!", "common"),
            ("nonna.anna.1955", "personal"),
        ] {
            let wish = v1_form(&good, |wish| wish.password = password.to_owned());
            let refused = refused(german.register(wish).await);
            assert_eq!((refused.reason, refused.rule.as_deref()), (Reason::PasswordRefused, Some(rule)));
            assert!(refused.sentence.contains("Passwort"), "{}", refused.sentence);
        }
    }
    let wish = v1_form(&good, |wish| wish.username = MARIA.to_owned());
    assert_eq!(reason(door.register(wish).await), Reason::UsernameTaken);
    // Known only to the office until the code is right.
    let wish = v1_form(&good, |wish| wish.password = "AnnaRossi.1955".to_owned());
    let rule = refused(door.register(v1_form(&wish, |wish| wish.username = "la.nonna".to_owned())).await).rule;
    assert_eq!(rule.as_deref(), Some("personal"));
    assert!(door.register(good).await.is_ok(), "the code is as good as before");
}

fn v1_form(
    form: &borsellino_proto::v1::RegisterRequest,
    adjust: impl FnOnce(&mut borsellino_proto::v1::RegisterRequest),
) -> borsellino_proto::v1::RegisterRequest {
    let mut form = form.clone();
    adjust(&mut form);
    form
}

async fn eight_register_with_one_code(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let names: Vec<String> = (0..8).map(|n| format!("nonna{n}")).collect();
    let all = names.iter().map(|name| door.register(form(fiscal_code.as_str(), &code, name, SENTENCE)));
    let answers = join_all(all).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 1, "{answers:?}");
    let mut open = 0;
    for name in &names {
        open += usize::from(house.try_sign_in(TOWN, name, SENTENCE).await.is_ok());
    }
    assert_eq!(open, 1);
}

/// The phone changes its network after it has asked, and the parent taps again.
async fn the_same_at_once_signs_in(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let wish = form(fiscal_code.as_str(), &code, "nonna.anna", SENTENCE);
    let (one, other) = tokio::join!(door.register(wish.clone()), door.register(wish.clone()));
    for phone in [one, other] {
        assert!(phone.expect("signed in").0.home().await.is_ok());
    }
    let tablet = house.try_sign_in(TOWN, "nonna.anna", SENTENCE).await.expect("signed in");
    let asked = door.recover("nonna.anna").await.expect("started");
    let id = tablet.recoveries().await.expect("recoveries")[0].id.clone();
    tablet.answer_recovery(&id, &asked.number).await.expect("confirmed");
    door.prove_office(&asked.recovery_token, &code_for(house, "nonna.anna").await).await.expect("proved");
    let token = &asked.recovery_token;
    let (one, other) = tokio::join!(door.finish(token, OTHER), door.finish(token, OTHER));
    for phone in [one, other] {
        assert!(phone.expect("signed in").0.home().await.is_ok());
    }
    // What is finished is no place to guess passwords at.
    for _ in 0..8 {
        assert_eq!(reason(door.finish(token, "un'altra frase lunga").await), Reason::RecoveryEnded);
    }
    assert_eq!(reason(door.finish(token, OTHER).await), Reason::RecoveryEnded);
}

/// While argon2 is at work, somebody else changes what it is about: sessions with the old password do not outlive it.
async fn what_is_checked_still_holds_when_it_is_written(house: &House) {
    for round in 0..4 {
        let (old, new) = if round % 2 == 0 { (PASSWORD, SENTENCE) } else { (SENTENCE, PASSWORD) };
        let phone = house.try_sign_in(TOWN, PAOLO, old).await.expect("signed in");
        // No more than cost no delay.
        let ins = (0..2).map(|_| house.try_sign_in(TOWN, PAOLO, old));
        let (changed, ins) = tokio::join!(phone.change_password(old, new), join_all(ins));
        changed.expect("changed");
        for phone in ins.into_iter().flatten() {
            assert_eq!(reason(phone.home().await), Reason::SessionEnded, "round {round}");
        }
        assert!(phone.home().await.is_ok());
        house.advance(Duration::from_secs(3_601));
    }
}

async fn nobody_is_called_by_anothers_code(house: &House) {
    let (door, anna) = (house.door(), known(house).await);
    let carlo = known_as(house, "RSSCRL50A01F205", "Carlo Rossi", None).await;
    let code = code_for(house, carlo.as_str()).await;
    let wish = form(carlo.as_str(), &code, anna.as_str(), SENTENCE);
    assert_eq!(reason(door.register(wish).await), Reason::UsernameInvalid);
    // One that an earlier version let in: by the code its owner is meant all the same.
    let name = anna.as_str().to_lowercase();
    house.execute(&format!("UPDATE guardian SET username = '{name}' WHERE username = '{PAOLO}'")).await;
    let whose = give_code(&house.app.store, act(house), anna.as_str().to_owned()).await.expect("a code");
    assert_eq!(whose.full_name, "Anna Rossi");
}

async fn early_tries_do_not_lengthen_the_wait(house: &House) {
    let (door, fiscal_code) = (house.door(), known(house).await);
    let code = code_for(house, fiscal_code.as_str()).await;
    let wish = |code: &str| form(fiscal_code.as_str(), code, "nonna.anna", SENTENCE);
    for _ in 0..20 {
        let answer = door.register(wish(&other_code(&code))).await;
        assert!([Reason::OfficeCodeRefused, Reason::TryLater].contains(&reason(answer)));
    }
    let wait = refused(door.register(wish(&code)).await).retry_after_ms;
    assert_eq!(wait, Some(1_000));
}

async fn a_letter_for_whoever_has_none_that_is_good(house: &House) {
    let (anna, creditor) = (known(house).await, CreditorCode::parse(TOWN).expect("eleven digits"));
    let whom = async || unregistered(&house.app.store, creditor, house.app.now()).await.expect("adults");
    assert_eq!(whom().await, [anna.as_str().to_owned()]);
    code_for(house, anna.as_str()).await;
    assert_eq!(whom().await, Vec::<String>::new(), "a letter is under way");
    house.advance(30 * DAY);
    assert_eq!(whom().await, [anna.as_str().to_owned()], "it has expired");
    changed(house, anna.as_str(), Change::End).await;
    assert_eq!(whom().await, Vec::<String>::new());
}

async fn a_password_is_changed(house: &House) {
    let (phone, tablet) = (house.phone(MARIA).await, house.phone(MARIA).await);
    let mut stream = tablet.watch(tablet.home().await.expect("home").feed_seq).await.expect("a stream");
    assert!(stream.message().await.expect("a beat").is_some());
    assert_eq!(reason(phone.change_password("sbagliata", SENTENCE).await), Reason::WrongCredentials);
    assert_eq!(refused(phone.change_password(PASSWORD, "maria.bianchi.85").await).rule.as_deref(), Some("personal"));
    phone.change_password(PASSWORD, SENTENCE).await.expect("changed");
    phone.change_password(PASSWORD, SENTENCE).await.expect("the same again, because the answer was lost");
    assert!(phone.home().await.is_ok(), "the one at hand stays signed in");
    assert_eq!(reason(tablet.home().await), Reason::SessionEnded);
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        }
    };
    let end = tokio::time::timeout(SOON, end).await.expect("the stream ends by itself");
    assert_eq!(reason(end), Reason::SessionEnded);
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    assert!(house.try_sign_in(TOWN, MARIA, SENTENCE).await.is_ok());
    assert!(house.try_sign_in(TOWN, PAOLO, PASSWORD).await.is_ok(), "nobody else's");
    // A phone left lying about is no place to guess.
    let mut last = Reason::Unspecified;
    for _ in 0..6 {
        last = reason(phone.change_password("sbagliata", OTHER).await);
    }
    assert_eq!(last, Reason::TryLater);
}

async fn two_proofs_recover_an_account(house: &House) {
    let (door, tablet) = (house.door(), house.phone(MARIA).await);
    let code = code_for(house, MARIA).await;
    let asked = door.recover(" Maria.Bianchi ").await.expect("started");
    let token = &asked.recovery_token;
    assert_eq!(asked.expires_at_ms, house.now() + 86_400_000);
    assert_eq!(door.proofs(token).await.expect("none yet"), []);
    assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryIncomplete);
    assert_eq!(door.prove_office(token, &code).await.expect("proved"), [Proof::Office]);
    assert_eq!(door.prove_office(token, &code).await.expect("the same again"), [Proof::Office]);
    assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryIncomplete);

    let listed = tablet.recoveries().await.expect("recoveries");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].device_name.as_str(), listed[0].asked_at_ms), ("a new phone", house.now()));
    let wrong = if asked.number == "07" { "08" } else { "07" };
    assert_eq!(reason(tablet.answer_recovery(&listed[0].id, wrong).await), Reason::ProofRefused);
    tablet.answer_recovery(&listed[0].id, &asked.number).await.expect("confirmed");
    tablet.answer_recovery(&listed[0].id, &asked.number).await.expect("the same again");
    let listed = tablet.recoveries().await.expect("recoveries");
    assert!(listed.len() == 1 && listed[0].confirmed, "it can still be denied");
    assert_eq!(door.proofs(token).await.expect("both"), [Proof::Office, Proof::Device]);

    assert_eq!(refused(door.finish(token, "Bianchi.Maria.85").await).rule.as_deref(), Some("personal"));
    let (phone, username) = door.finish(token, SENTENCE).await.expect("finished");
    assert_eq!(username, MARIA);
    assert!(phone.home().await.is_ok());
    assert_eq!(reason(tablet.home().await), Reason::SessionEnded, "whoever was signed in is so no more");
    let (again, _) = door.finish(token, SENTENCE).await.expect("the same again, because the answer was lost");
    assert!(again.home().await.is_ok() && phone.home().await.is_ok());
    assert_eq!(reason(door.finish(token, OTHER).await), Reason::RecoveryEnded, "once");
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    assert!(house.try_sign_in(TOWN, MARIA, SENTENCE).await.is_ok());
    // The code was used.
    let next = door.recover(MARIA).await.expect("started");
    assert_eq!(reason(door.prove_office(&next.recovery_token, &code).await), Reason::ProofRefused);
}

async fn one_proof_is_not_enough(house: &House) {
    let door = house.door();
    let asked = door.recover(whole("BNCMRA85D52F205").as_str()).await.expect("started");
    let token = &asked.recovery_token;
    door.prove_office(token, &code_for(house, MARIA).await).await.expect("proved");
    // A second one of the same kind is no other proof.
    let twice = door.prove_office(token, &code_for(house, MARIA).await).await.expect("proved");
    assert_eq!(twice, [Proof::Office]);
    assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryIncomplete);
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    // Nor is one of somebody else's.
    let theirs = code_for(house, AMINA).await;
    let other = door.recover(PAOLO).await.expect("started");
    assert_eq!(reason(door.prove_office(&other.recovery_token, &theirs).await), Reason::ProofRefused);
    assert_eq!(reason(door.prove_email(&other.recovery_token, "00000000").await), Reason::ProofRefused);
}

async fn a_device_confirms_only_what_it_was_asked(house: &House) {
    let (door, maria, paolo) = (house.door(), house.phone(MARIA).await, house.phone(PAOLO).await);
    let session = maria.register_push("marias", Platform::Android).await.expect("registered");
    paolo.register_push("paolos", Platform::Ios).await.expect("registered");
    let asked = door.recover(MARIA).await.expect("started");
    let id = maria.recoveries().await.expect("recoveries")[0].id.clone();
    let told = "SELECT COUNT(*) FROM delivery WHERE message = 'account'";
    assert_eq!(house.number(told).await, 1, "her devices are told");
    let hers = session.replace('-', "");
    let hers = match house.fresh.is_sqlite() {
        true => format!("{told} AND LOWER(HEX(session)) = '{hers}'"),
        false => format!("{told} AND session = '{session}'"),
    };
    assert_eq!(house.number(&hers).await, 1, "and nobody else's");
    assert_eq!(paolo.recoveries().await.expect("recoveries"), [], "not the other guardian's business");
    assert_eq!(reason(paolo.answer_recovery(&id, &asked.number).await), Reason::RecoveryEnded);
    assert_eq!(reason(paolo.answer_recovery(&id, "").await), Reason::RecoveryEnded);
    assert_eq!(refused(maria.answer_recovery("x", "").await).field.as_deref(), Some("id"));
    maria.answer_recovery(&id, "").await.expect("denied");
    maria.answer_recovery(&id, "").await.expect("twice is denied");
    // Whoever asked hears what they would hear of an account that there is not.
    assert_eq!(door.proofs(&asked.recovery_token).await.expect("proofs"), []);
    let code = code_for(house, MARIA).await;
    assert_eq!(reason(door.prove_office(&asked.recovery_token, &code).await), Reason::ProofRefused);
    assert_eq!(reason(door.finish(&asked.recovery_token, SENTENCE).await), Reason::RecoveryIncomplete);
    assert_eq!(reason(maria.answer_recovery(&id, &asked.number).await), Reason::RecoveryEnded);
    assert_eq!(maria.recoveries().await.expect("recoveries"), []);
    // Confirmed and thought better of.
    let asked = door.recover(MARIA).await.expect("started");
    let id = maria.recoveries().await.expect("recoveries")[0].id.clone();
    maria.answer_recovery(&id, &asked.number).await.expect("confirmed");
    door.prove_office(&asked.recovery_token, &code).await.expect("the code was not used up");
    maria.answer_recovery(&id, "").await.expect("denied after all");
    assert_eq!(door.proofs(&asked.recovery_token).await.expect("proofs"), []);
    assert_eq!(reason(door.finish(&asked.recovery_token, SENTENCE).await), Reason::RecoveryIncomplete);
    // Confirmed on a phone that was stolen.
    let stolen = house.phone(MARIA).await;
    let asked = door.recover(MARIA).await.expect("started");
    let id = stolen.recoveries().await.expect("recoveries")[0].id.clone();
    stolen.answer_recovery(&id, &asked.number).await.expect("confirmed");
    let devices = maria.devices().await.expect("devices");
    let device = devices.iter().find(|device| !device.current).expect("the stolen one");
    maria.revoke_device(&device.session_id).await.expect("revoked");
    assert_eq!(door.proofs(&asked.recovery_token).await.expect("proofs"), [], "it is confirmed no more");
    // A password changed by whoever is signed in ends what others ask for.
    house.advance(Duration::from_secs(2));
    let asked = door.recover(MARIA).await.expect("started");
    maria.change_password(PASSWORD, SENTENCE).await.expect("changed");
    assert_eq!(reason(maria.answer_recovery(&id, &asked.number).await), Reason::RecoveryEnded);
    assert_eq!(maria.recoveries().await.expect("recoveries"), []);
}

async fn nobody_learns_who_has_an_account(house: &House) {
    let door = house.door();
    let nobody = known(house).await;
    changed(house, AMINA, Change::End).await;
    let code = code_for(house, MARIA).await;
    let mut answers = Vec::new();
    for who in [PAOLO, "nobody.at.all", nobody.as_str(), AMINA, whole("VRDLCU80A01F205").as_str(), ""] {
        let asked = door.recover(who).await.expect("started");
        let token = &asked.recovery_token;
        assert_eq!((asked.number.len(), token.len()), (2, 80), "{who}");
        let mut heard = Vec::new();
        assert_eq!(door.proofs(token).await.expect("proofs"), [], "{who}");
        heard.push(said(door.finish(token, SENTENCE).await));
        heard.push(said(door.prove_office(token, "mistyped").await));
        for _ in 0..5 {
            heard.push(said(door.prove_email(token, "12345678").await));
        }
        heard.push(said(door.prove_office(token, &code).await));
        heard.push(said(door.proofs(token).await));
        heard.push(said(door.finish(token, SENTENCE).await));
        answers.push((who.to_owned(), heard));
    }
    for (who, heard) in &answers {
        assert_eq!(*heard, answers[0].1, "{who}");
    }
}

async fn a_recovery_has_its_end(house: &House) {
    let (door, tablet) = (house.door(), house.phone(MARIA).await);
    let asked = door.recover(MARIA).await.expect("started");
    let (token, id) = (&asked.recovery_token, tablet.recoveries().await.expect("recoveries")[0].id.clone());
    door.prove_office(token, &code_for(house, MARIA).await).await.expect("proved");
    tablet.answer_recovery(&id, &asked.number).await.expect("confirmed");
    house.advance(DAY);
    assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryEnded);
    assert_eq!(reason(door.proofs(token).await), Reason::RecoveryEnded);
    for token in ["", "x", &"A".repeat(500), &tablet.tokens.refresh_token, &format!("{token}A")] {
        assert_eq!(reason(door.proofs(token).await), Reason::RecoveryEnded);
        assert_eq!(reason(door.finish(token, SENTENCE).await), Reason::RecoveryEnded);
        assert_eq!(reason(door.prove_email(token, "12345678").await), Reason::RecoveryEnded);
    }
    // Asking again and again is slowed down, by whichever name.
    let mut last = Reason::Unspecified;
    for n in 0..8 {
        let code = whole("RSSPLA82H14F205");
        last = door
            .recover(if n % 2 == 0 { PAOLO } else { code.as_str() })
            .await
            .map_or_else(|status| reason::<()>(Err(status)), |_| Reason::Unspecified);
    }
    assert_eq!(last, Reason::TryLater);
    house.advance(31 * DAY);
    door.recover(PAOLO).await.expect("started");
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery").await, 1, "the old ones are forgotten");
}

async fn guesses_at_once_count_as_many(house: &House) {
    let door = house.door();
    let asked = door.recover(MARIA).await.expect("started");
    let guesses: Vec<String> = (0..40).map(|n| format!("{n:08}")).collect();
    let answers = join_all(guesses.iter().map(|guess| door.prove_email(&asked.recovery_token, guess))).await;
    let wrong = answers.into_iter().filter(|answer| {
        let status = answer.as_ref().expect_err("a guess");
        reason::<()>(Err(status.clone())) == Reason::ProofRefused
    });
    assert_eq!(wrong.count(), 5, "the others were not even looked at");
}

async fn the_office_ends_an_access_at_once(house: &House) {
    let (door, phone) = (house.door(), house.phone(MARIA).await);
    let code = code_for(house, MARIA).await;
    let asked = door.recover(MARIA).await.expect("started");
    let mut stream = phone.watch(phone.home().await.expect("home").feed_seq).await.expect("a stream");
    assert!(stream.message().await.expect("a beat").is_some());
    changed(house, MARIA, Change::End).await;
    assert_eq!(reason(phone.home().await), Reason::SessionEnded);
    assert_eq!(reason(phone.refresh(&phone.tokens.refresh_token).await), Reason::SessionEnded);
    assert_eq!(reason(phone.change_password(PASSWORD, SENTENCE).await), Reason::SessionEnded);
    assert_eq!(reason(phone.recoveries().await), Reason::SessionEnded);
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        }
    };
    let end = tokio::time::timeout(SOON, end).await.expect("the stream ends by itself");
    assert_eq!(reason(end), Reason::SessionEnded);
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    assert_eq!(reason(door.prove_office(&asked.recovery_token, &code).await), Reason::ProofRefused);
    assert!(house.try_sign_in(TOWN, PAOLO, PASSWORD).await.is_ok(), "the other guardian goes on");
    let refused = give_code(&house.app.store, act(house), MARIA.to_owned()).await;
    assert!(matches!(refused, Err(Stop::Refused(OfficeRefusal::AccessEnded))));

    changed(house, MARIA, Change::Restore).await;
    assert_eq!(reason(phone.home().await), Reason::SessionEnded, "what was ended stays so");
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    let acts = "SELECT COUNT(*) FROM office_action WHERE action IN ('access_ended', 'access_restored')";
    assert_eq!(house.number(acts).await, 2);
}

async fn an_access_is_reset(house: &House) {
    let (door, phone) = (house.door(), house.phone(MARIA).await);
    let fiscal_code = whole("BNCMRA85D52F205");
    changed(house, fiscal_code.as_str(), Change::Reset).await;
    assert_eq!(reason(phone.home().await), Reason::SessionEnded);
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    let nameless = format!("({})", phone.guardian.id);
    assert_eq!(reason(house.try_sign_in(TOWN, &nameless, PASSWORD).await), Reason::WrongCredentials);
    assert_eq!(reason(house.try_sign_in(TOWN, &nameless, "").await), Reason::WrongCredentials);
    let code = code_for(house, fiscal_code.as_str()).await;
    let (anew, _) = door.register(form(fiscal_code.as_str(), &code, MARIA, SENTENCE)).await.expect("registered anew");
    assert_eq!(anew.guardian.id, phone.guardian.id);
    assert_eq!(anew.home().await.expect("home").children.len(), 2, "everything is as it was");
}

async fn the_office_is_told_what_is_wrong(house: &House) {
    let store = &house.app.store;
    let stopped = |answer: Result<(), Stop<OfficeRefusal>>| match answer {
        Err(Stop::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    let unknown = change(store, act(house), ("nobody".to_owned(), Change::End)).await.map(drop);
    assert_eq!(stopped(unknown), OfficeRefusal::NoAdult);
    let unknown = give_code(store, act(house), "nobody".to_owned()).await.map(drop);
    assert_eq!(stopped(unknown), OfficeRefusal::NoAdult);
    let adult = |code: &str, child: &str| NewAdult {
        id: GuardianId::from(uuid_v7(house.app.now(), random().expect("randomness"))),
        full_name: "Anna Rossi".to_owned(),
        fiscal_code: whole(code),
        email: None,
        children: vec![whole("RSSGLI17C48F205"), whole(child)],
    };
    let strange = add(store, act(house), adult(GRANDMOTHER, "RSSGLI17C48F206")).await;
    assert_eq!(stopped(strange), OfficeRefusal::NoChildOf(2));
    let twice = add(store, act(house), adult("BNCMRA85D52F205", "RSSGLI17C48F205")).await;
    assert_eq!(stopped(twice), OfficeRefusal::Known);
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    let unsigned = Act::new(creditor, house.app.now(), (" ".to_owned(), "a clerk".to_owned())).expect("an act");
    let unsigned = change(store, unsigned, (MARIA.to_owned(), Change::End)).await.map(drop);
    assert_eq!(stopped(unsigned), OfficeRefusal::Unsigned);
    assert_eq!(house.number("SELECT COUNT(*) FROM office_action").await, 0, "nothing was done");
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
}
