//! Getting an account, changing its password, and getting back in after it was forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use borsellino_core::{
    AccountKey, App, Error, Invalid, Language, MemoryStore, PasswordRule, Proof, Reason, SecureStore, SecureStoreError,
};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;

use crate::fake::{AS_OF, CREDITOR, Fake, Oddity};
use crate::fake_accounts::office_code;
use crate::support::phone;

const FISCAL_CODE: &str = "RSSMRT85C41H501A";
const GOOD: &str = "il gatto mangia alle sette";

fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> (Reason, Option<PasswordRule>) {
    match answer {
        Err(Error::Refused(no)) => {
            assert!(no.is_final && no.sentence.ends_with('.'), "{no:?}");
            (no.reason, no.rule)
        }
        other => panic!("no refusal, but {other:?}"),
    }
}

fn key(app: &App) -> AccountKey {
    app.accounts()[0].key.clone()
}

async fn register(app: &App) -> Result<(), Error> {
    app.register(CREDITOR, FISCAL_CODE, &office_code().to_lowercase(), " Marta.Rossi ", GOOD).await.map(|_| ())
}

/// A server that knows Marta, who has no password yet.
async fn newcomer() -> (Fake, crate::support::Phone) {
    let (fake, phone) = phone().await;
    fake.state().account.username = None;
    (fake, phone)
}

#[tokio::test]
async fn a_code_from_the_office_makes_an_account_that_is_as_after_a_sign_in() {
    let (fake, phone) = newcomer().await;
    let app = phone.open().await;
    register(&app).await.unwrap();
    assert_eq!(fake.state().account.username.as_deref(), Some("marta.rossi"));
    let account = app.accounts().remove(0);
    assert!(account.active && account.guardian_name == "Marta Rossi");
    app.refresh_home().await.unwrap();
    drop(app);
    let app = phone.open().await;
    assert!(app.cached_home().unwrap().is_some(), "kept");
    fake.expire_access();
    app.refresh_home().await.unwrap();
    // Somebody who has a password already does not get here.
    assert_eq!(
        reason(app.register(CREDITOR, FISCAL_CODE, &office_code(), "marta.2", GOOD).await).0,
        Reason::AlreadyRegistered
    );
}

#[tokio::test]
async fn what_is_mistyped_is_said_at_once_and_costs_no_try() {
    let (fake, phone) = newcomer().await;
    let app = phone.open().await;
    let mut slip = office_code();
    slip.replace_range(0..1, if slip.starts_with('A') { "B" } else { "A" });
    let with = async |code: &str, username: &str, password: &str| {
        reason(app.register(CREDITOR, FISCAL_CODE, code, username, password).await)
    };
    let code = office_code();
    assert_eq!(with(&slip, "marta", GOOD).await, (Reason::OfficeCodeMistyped, None));
    assert_eq!(with("", "marta", GOOD).await, (Reason::OfficeCodeMistyped, None));
    assert_eq!(with(&code, "mà", GOOD).await, (Reason::UsernameInvalid, None));
    for (password, rule) in [
        ("corta", PasswordRule::Short),
        (&"lunga parola ".repeat(10), PasswordRule::Long),
        ("123456789012", PasswordRule::Simple),
        ("Password2026!", PasswordRule::Common),
        ("marta.2026.marta", PasswordRule::Personal),
        ("rssmrt85c41h501a", PasswordRule::Personal),
    ] {
        assert_eq!(with(&code, "marta", password).await, (Reason::PasswordRefused, Some(rule)), "{password}");
    }
    let none = app.register(CREDITOR, "RSSMRT", &code, "marta", GOOD).await;
    assert_eq!(none, Err(Error::Invalid(Invalid::FiscalCode)));
    let nowhere = app.register("1", FISCAL_CODE, &code, "marta", GOOD).await;
    assert_eq!(nowhere, Err(Error::Invalid(Invalid::Creditor)));
    assert_eq!(fake.calls("register"), 0);
    let other = borsellino_domain::account::OfficeCode::issue([1; 13]).grouped();
    assert_eq!(with(&other, "marta", GOOD).await, (Reason::OfficeCodeRefused, None));
    assert_eq!(fake.calls("register"), 1);
}

#[tokio::test]
async fn a_registration_whose_answer_is_lost_is_made_again() {
    let (fake, phone) = newcomer().await;
    let app = phone.open().await;
    fake.reachable(false);
    assert!(matches!(register(&app).await, Err(Error::Offline | Error::OutcomeUnknown)));
    fake.reachable(true);
    fake.odd("register", Oddity::LoseAnswer);
    assert_eq!(register(&app).await, Err(Error::OutcomeUnknown));
    assert!(app.accounts().is_empty());
    register(&app).await.unwrap();
    app.refresh_home().await.unwrap();
}

/// Keeps nothing while it sulks.
struct Sulking {
    store: MemoryStore,
    sulks: AtomicBool,
}

impl SecureStore for Sulking {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SecureStoreError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), SecureStoreError> {
        if self.sulks.load(Ordering::SeqCst) { Err(SecureStoreError::Locked) } else { self.store.set(key, value) }
    }

    fn remove(&self, key: &str) -> Result<(), SecureStoreError> {
        self.store.remove(key)
    }
}

#[tokio::test]
async fn a_store_that_fails_is_named_and_nothing_is_lost() {
    let (fake, mut phone) = newcomer().await;
    let store = Arc::new(Sulking { store: MemoryStore::default(), sulks: AtomicBool::new(false) });
    phone.store = Arc::clone(&store) as Arc<dyn SecureStore>;
    let app = phone.open().await;
    let locked = Error::SecureStore(SecureStoreError::Locked);
    store.sulks.store(true, Ordering::SeqCst);
    assert_eq!(register(&app).await, Err(locked.clone()));
    assert_eq!(app.start_recovery(CREDITOR, "marta").await, Err(locked.clone()));
    store.sulks.store(false, Ordering::SeqCst);
    register(&app).await.unwrap();

    app.start_recovery(CREDITOR, "marta.rossi").await.unwrap();
    fake.state().account.proofs = Some(vec![v1::Proof::Email, v1::Proof::Device]);
    store.sulks.store(true, Ordering::SeqCst);
    let new = "corretto cavallo batteria";
    assert_eq!(app.finish_recovery(new).await, Err(locked));
    store.sulks.store(false, Ordering::SeqCst);
    assert_eq!(app.finish_recovery(new).await.unwrap().username, "marta.rossi");
}

#[tokio::test]
async fn a_changed_password_leaves_this_phone_signed_in() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = key(&app);
    assert_eq!(
        reason(app.change_password(account.clone(), "segreta", "Rossi Marta 2026").await),
        (Reason::PasswordRefused, Some(PasswordRule::Personal))
    );
    let stranger = AccountKey::from("99900010010.x".to_owned());
    assert_eq!(app.change_password(stranger, "segreta", GOOD).await, Err(Error::Invalid(Invalid::Account)));
    assert_eq!(fake.calls("change_password"), 0);
    assert_eq!(reason(app.change_password(account.clone(), "sbagliata", GOOD).await).0, Reason::WrongCredentials);
    fake.odd("change_password", Oddity::LoseAnswer);
    assert_eq!(app.change_password(account.clone(), "segreta", GOOD).await, Err(Error::OutcomeUnknown));
    app.change_password(account, "segreta", GOOD).await.unwrap();
    assert_eq!(fake.state().account.password, GOOD);
    app.refresh_home().await.unwrap();
}

#[tokio::test]
async fn a_forgotten_password_is_recovered_though_the_app_is_killed_meanwhile() {
    let (fake, phone) = phone().await;
    let app = phone.open().await;
    assert_eq!(app.recovery().await, Ok(None));
    assert_eq!(reason(app.proofs().await).0, Reason::RecoveryEnded);
    assert_eq!(reason(app.start_recovery(CREDITOR, "  ").await).0, Reason::UsernameInvalid);
    fake.odd("start_recovery", Oddity::LoseAnswer);
    assert_eq!(app.start_recovery(CREDITOR, "marta").await, Err(Error::OutcomeUnknown));
    let begun = app.start_recovery(CREDITOR, " marta ").await.unwrap();
    assert_eq!((begun.number.as_str(), begun.expires_at.get()), ("07", AS_OF + 1_800_000));
    assert!(!format!("{begun:?}").contains("nobody-sees"));
    drop(app);

    // The parent looks for the e-mail; the system needs the memory.
    let app = phone.open().await;
    assert_eq!(app.recovery().await, Ok(Some(begun)));
    assert_eq!(app.proofs().await.unwrap().given, []);
    assert_eq!(reason(app.prove_office("ABCDE").await).0, Reason::OfficeCodeMistyped);
    assert_eq!(app.prove_email("1234").await, Err(Error::Invalid(Invalid::EmailCode)));
    let asked = fake.calls("prove_recovery");
    assert_eq!(reason(app.prove_email("87654321").await).0, Reason::ProofRefused);
    assert_eq!(reason(app.finish_recovery(GOOD).await).0, Reason::RecoveryIncomplete);
    let one = app.prove_email("1234 5678").await.unwrap();
    assert_eq!((one.given.as_slice(), one.enough), ([Proof::Email].as_slice(), false));
    fake.odd("prove_recovery", Oddity::LoseAnswer);
    assert_eq!(app.prove_office(&office_code()).await, Err(Error::OutcomeUnknown));
    let two = app.prove_office(&office_code()).await.unwrap();
    assert_eq!((two.given.as_slice(), two.enough), ([Proof::Email, Proof::Office].as_slice(), true));
    assert_eq!(fake.calls("prove_recovery"), asked + 4);

    assert_eq!(
        reason(app.finish_recovery("marta marta marta").await),
        (Reason::PasswordRefused, Some(PasswordRule::Personal))
    );
    fake.odd("finish_recovery", Oddity::LoseAnswer);
    assert_eq!(app.finish_recovery(GOOD).await, Err(Error::OutcomeUnknown));
    assert!(app.accounts().is_empty());
    let done = app.finish_recovery(GOOD).await.unwrap();
    assert_eq!((done.username.as_str(), done.account.active), ("marta", true));
    assert_eq!(app.recovery().await, Ok(None));
    app.refresh_home().await.unwrap();
    app.sign_in(CREDITOR, "marta", GOOD).await.unwrap();
}

#[tokio::test]
async fn a_recovery_that_has_ended_is_forgotten() {
    let (fake, phone) = phone().await;
    let app = phone.open().await;
    app.start_recovery(CREDITOR, "marta").await.unwrap();
    fake.reachable(false);
    assert_eq!(app.proofs().await, Err(Error::Offline));
    assert!(app.recovery().await.unwrap().is_some(), "without the network nothing is given up");
    fake.reachable(true);
    fake.state().account.proofs = None;
    assert_eq!(reason(app.proofs().await).0, Reason::RecoveryEnded);
    assert_eq!(app.recovery().await, Ok(None));
    app.start_recovery(CREDITOR, "marta").await.unwrap();
    app.forget_recovery().await.unwrap();
    assert_eq!(app.recovery().await, Ok(None));
}

#[tokio::test]
async fn a_recovery_is_answered_on_a_device_that_is_signed_in() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = key(&app);
    app.start_recovery(CREDITOR, "marta").await.unwrap();
    let asked = app.recoveries(account.clone()).await.unwrap();
    assert_eq!(
        asked[0].sentence,
        "Richiesta di una nuova password da «Pixel», 20 novembre alle 8:12. Se non sei tu, rifiuta."
    );
    let answer = async |number| app.answer_recovery(account.clone(), &asked[0].id, number).await;
    assert_eq!(answer(Some("7")).await, Err(Error::Invalid(Invalid::Number)));
    assert_eq!(answer(Some("")).await, Err(Error::Invalid(Invalid::Number)), "an empty field is no denial");
    assert_eq!(reason(answer(Some("08")).await).0, Reason::ProofRefused);
    answer(Some("07")).await.unwrap();
    answer(None).await.unwrap();
    assert_eq!(fake.state().account.answers, ["08", "07", ""]);
    assert_eq!(app.proofs().await.unwrap().given, [Proof::Device]);
}

#[tokio::test]
async fn an_older_server_says_so_and_a_newer_ones_words_are_shown() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = key(&app);
    let calls = ["register", "change_password", "start_recovery", "list_recoveries", "answer_recovery"];
    calls.iter().for_each(|call| fake.odd(call, Oddity::Unimplemented));
    assert_eq!(app.change_password(account.clone(), "segreta", GOOD).await, Err(Error::OlderServer));
    assert_eq!(app.start_recovery(CREDITOR, "marta").await, Err(Error::OlderServer));
    assert_eq!(app.recoveries(account.clone()).await, Err(Error::OlderServer));
    assert_eq!(app.answer_recovery(account.clone(), "x", None).await, Err(Error::OlderServer));
    let said = Error::OlderServer.sentence(Language::Italian);
    assert!(said.contains("rivolgiti all'ufficio scuola"), "{said}");

    // A rule that this app does not know, and proofs of another kind.
    let newer =
        Refused { rule: Some("leaked".into()), ..Refused::new(v1::Reason::PasswordRefused, "È in un elenco.") };
    fake.odd("change_password", Oddity::Refuse(newer));
    let Err(Error::Refused(no)) = app.change_password(account, "segreta", GOOD).await else { panic!("no refusal") };
    assert_eq!((no.reason, no.rule, no.sentence.as_str()), (Reason::PasswordRefused, None, "È in un elenco."));

    fake.state().account.username = None;
    let elsewhere = crate::support::Phone::new(&fake.url);
    assert_eq!(register(&elsewhere.open().await).await, Err(Error::OlderServer));
}
