//! An account's life as two phones and a real server see it: registered with the office's code, recovered, its devices listed and
//! ended, its pushes told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{
    AccountKey, App, Config, Error, Language, MemoryStore, Pace, PasswordRule, PayBy, Platform, Proof, Reason,
    SystemClock,
};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_server::clock::random;
use borsellino_server::usecases::guardians::{NewAdult, add, give_code};
use borsellino_server::usecases::office::Act;
use borsellino_tests::house::{ELENA, House, MARIA, PASSWORD, SOON, TOWN, UNION};
use tempfile::TempDir;

borsellino_tests::in_both_houses! {
    registered_changed_and_ended_from_the_phone;
    a_password_recovered_on_one_phone_and_confirmed_on_another;
    pushes_are_told_and_put_into_words;
}

const SENTENCE: &str = "la nonna prende il treno";
const OTHER: &str = "il gatto dorme sul tetto";

struct Pocket {
    _data: TempDir,
    app: App,
}

async fn pocket(house: &House, name: &str) -> Pocket {
    let data = TempDir::with_prefix("borsellino-access-").expect("a folder");
    let mut config = Config::new(data.path(), &house.at.web, Language::Italian);
    config.device_name = name.to_owned();
    config.pace = Pace { first_wait: Duration::from_millis(2), ..Pace::default() };
    let app = App::open(config, Arc::new(MemoryStore::default()), Arc::new(SystemClock)).await.expect("an open app");
    Pocket { _data: data, app }
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

/// The last character of a codice fiscale follows from the others.
fn whole(fifteen: &str) -> PersonalCode {
    let codes = ('A'..='Z').map(|check| format!("{fifteen}{check}"));
    codes.filter_map(|code| PersonalCode::parse(&code).ok()).next().expect("a check character")
}

async fn code_for(house: &House, who: &str) -> String {
    give_code(&house.app.store, act(house), who.to_owned()).await.expect("a code").code.grouped()
}

fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> (Reason, Option<PasswordRule>) {
    match answer {
        Err(Error::Refused(no)) => (no.reason, no.rule),
        other => panic!("no refusal, but {other:?}"),
    }
}

async fn registered_changed_and_ended_from_the_phone(house: &House) {
    let fiscal_code = whole("RSSNNA55A41F205");
    let adult = NewAdult {
        id: GuardianId::from(uuid_v7(house.app.now(), random().expect("randomness"))),
        full_name: "Anna Rossi".to_owned(),
        fiscal_code: fiscal_code.clone(),
        email: None,
        children: vec![whole("RSSGLI17C48F205")],
    };
    add(&house.app.store, act(house), adult).await.expect("added");
    let code = code_for(house, fiscal_code.as_str()).await;
    let phone = pocket(house, "Nonna").await;
    let register = |username: &'static str, password: &'static str| {
        phone.app.register(TOWN, fiscal_code.as_str(), &code, username, password)
    };
    assert_eq!(reason(register("maria.bianchi", SENTENCE).await).0, Reason::UsernameTaken);
    assert_eq!(register(" Nonna.Anna ", SENTENCE).await.expect("an account").guardian_name, "Anna Rossi");
    assert_eq!(phone.app.refresh_home().await.expect("home").children[0].name, "Giulia");
    // As if the answer had been lost.
    let account = register("nonna.anna", SENTENCE).await.expect("the same again").key;
    let other_code = borsellino_domain::account::OfficeCode::issue([3; 13]).grouped();
    let wrong = phone.app.register(TOWN, fiscal_code.as_str(), &other_code, "nonna.anna", SENTENCE).await;
    assert_eq!(reason(wrong).0, Reason::OfficeCodeRefused);

    let tablet = pocket(house, "Tablet").await;
    tablet.app.sign_in(TOWN, "nonna.anna", SENTENCE).await.expect("a sign-in");
    let wrong = phone.app.change_password(account.clone(), "another one", OTHER).await;
    assert_eq!(reason(wrong).0, Reason::WrongCredentials);
    for _ in 0..2 {
        phone.app.change_password(account.clone(), SENTENCE, OTHER).await.expect("changed, and the same again");
    }
    phone.app.refresh_home().await.expect("still in");
    assert_eq!(tablet.app.refresh_home().await, Err(Error::SignedOut));
    tablet.app.sign_in(TOWN, "nonna.anna", OTHER).await.expect("a sign-in");

    let devices = phone.app.devices(account.clone()).await.expect("devices");
    let named = |name: &str, current| devices.iter().find(|it| it.name == name && it.current == current);
    let (other, own) = (named("Tablet", false).expect("the tablet"), named("Nonna", true).expect("this one"));
    assert_eq!(own.sentence, "Questo dispositivo");
    phone.app.revoke_device(account.clone(), other.session).await.expect("ended");
    assert_eq!(tablet.app.refresh_home().await, Err(Error::SignedOut));
    phone.app.revoke_device(account, own.session).await.expect("ended");
    assert!(phone.app.accounts().is_empty() && phone.app.cached_home().expect("a cache").is_none());
}

async fn a_password_recovered_on_one_phone_and_confirmed_on_another(house: &House) {
    let (old, new) = (pocket(house, "Old phone").await, pocket(house, "New phone").await);
    let account = old.app.sign_in(TOWN, MARIA, PASSWORD).await.expect("a sign-in").key;
    let begun = new.app.start_recovery(TOWN, " Maria.Bianchi ").await.expect("a recovery");
    assert!(begun.number.len() == 2 && new.app.proofs().await.expect("none").given.is_empty());
    let asked = old.app.recoveries(account.clone()).await.expect("recoveries");
    assert!(asked[0].sentence.contains("«New phone»"), "{}", asked[0].sentence);
    let number = Some(begun.number.as_str());
    old.app.answer_recovery(account.clone(), &asked[0].id, number).await.expect("confirmed");
    assert_eq!(new.app.proofs().await.expect("one").given, [Proof::Device]);
    assert_eq!(reason(new.app.finish_recovery(SENTENCE).await).0, Reason::RecoveryIncomplete);
    let strange = borsellino_domain::account::OfficeCode::issue([4; 13]).grouped();
    assert_eq!(reason(new.app.prove_office(&strange).await).0, Reason::ProofRefused);
    let proofs = new.app.prove_office(&code_for(house, MARIA).await).await.expect("two");
    assert!(proofs.enough && proofs.given.len() == 2, "{proofs:?}");
    // What only the server knows: her codice fiscale is hers too, and she typed her user name.
    let personal = (Reason::PasswordRefused, Some(PasswordRule::Personal));
    assert_eq!(reason(new.app.finish_recovery("maria.bianchi!!").await), personal);
    let done = new.app.finish_recovery(SENTENCE).await.expect("in");
    assert_eq!((done.username.as_str(), done.account.key), (MARIA, account));
    new.app.refresh_home().await.expect("home");
    assert_eq!(old.app.refresh_home().await, Err(Error::SignedOut));

    // Denied, it goes on like one of an account that there is not.
    let account = new.app.accounts()[0].key.clone();
    old.app.start_recovery(TOWN, MARIA).await.expect("a recovery");
    let asked = new.app.recoveries(account.clone()).await.expect("recoveries");
    new.app.answer_recovery(account, &asked[0].id, None).await.expect("denied");
    let office = code_for(house, MARIA).await;
    assert!(old.app.proofs().await.expect("none").given.is_empty());
    assert_eq!(reason(old.app.prove_office(&office).await).0, Reason::ProofRefused);
}

async fn pushes_are_told_and_put_into_words(house: &House) {
    let phone = pocket(house, "Phone").await;
    phone.app.register_push("a-token", Platform::Android).await.expect("kept");
    let account = phone.app.sign_in(TOWN, MARIA, PASSWORD).await.expect("a sign-in").key;
    let home = phone.app.refresh_home().await.expect("home");
    let devices = async |account: &AccountKey| phone.app.devices(account.clone()).await.expect("devices");
    let own = async |account: &AccountKey| {
        devices(account).await.into_iter().find(|device| device.current).expect("this one")
    };
    let until = async |account: &AccountKey, told: bool| {
        let wait = async {
            while own(account).await.has_push != told {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("told soon");
    };
    until(&account, true).await;
    let wallet = home.children[0].wallets[0].id;
    let amount = borsellino_core::Amount::parse("20").expect("an amount");
    let tapped = phone.app.start_top_up(wallet, amount, PayBy::Notice).await.expect("a top-up");
    house.counter(TOWN, &tapped.notice.expect("a notice").number).await;
    // The other municipality's server hears it too; and what is told of the first account is fetched though the second is on
    // the screen.
    let second = phone.app.sign_in(UNION, ELENA, PASSWORD).await.expect("a sign-in").key;
    until(&second, true).await;
    let seq = house.number("SELECT feed_seq FROM guardian WHERE username = 'maria.bianchi'").await.to_string();
    let session = own(&account).await.session.to_string();
    let data = |id: &str| {
        let pairs = [("v", "1"), ("id", id), ("session", &session), ("seq", &seq), ("kind", "payment_done")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<HashMap<_, _>>()
    };
    let news = async {
        loop {
            // The phone may hear what it was told of the token a little after the server keeps it.
            let news = phone.app.push_received(data("")).await.expect("an answer");
            if news.account.is_some() {
                return news;
            }
            tokio::task::yield_now().await;
        }
    };
    let news = tokio::time::timeout(SOON, news).await.expect("known soon");
    assert_eq!(news.account.as_ref(), Some(&account));
    assert!(news.show && news.text.as_ref().is_some_and(|text| text.contains("Saldo mensa di Giulia")), "{news:?}");
    assert!(!phone.app.push_received(data("b")).await.expect("an answer").show, "once");
    phone.app.remove_push().await.expect("kept");
    until(&account, false).await;
    until(&second, false).await;
}
