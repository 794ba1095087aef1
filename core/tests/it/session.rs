//! Signing in, renewing tokens whose answers get lost, and being shut out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use borsellino_core::{Error, MemoryStore, PayBy, Reason, SecureStore, SecureStoreError, TopUpState};

use crate::fake::{AS_OF, CREDITOR, Oddity};
use crate::support::{Ears, canteen, euros, phone};

#[tokio::test]
async fn activate_sign_in_refuse_and_sign_out() {
    let (fake, phone) = phone().await;
    let app = phone.open().await;
    assert!(app.accounts().is_empty() && app.cached_home().unwrap().is_none());
    assert_eq!(app.refresh_home().await, Err(Error::SignedOut));
    assert!(matches!(app.activate("12").await, Err(Error::Invalid(_))));
    let unknown = app.activate("0000000000").await.unwrap_err();
    assert!(matches!(unknown, Error::Refused(no) if no.reason == Reason::UnknownActivationCode));
    let creditor = app.activate("56453-12010").await.unwrap();
    assert_eq!(app.remembered_creditor(CREDITOR).unwrap().as_ref(), Some(&creditor));
    let wrong = app.sign_in(&creditor.fiscal_code, "marta", "sbagliata").await.unwrap_err();
    assert!(matches!(wrong, Error::Refused(no) if no.reason == Reason::WrongCredentials && no.sentence == "No."));

    let account = app.sign_in(&creditor.fiscal_code, "marta", "segreta").await.unwrap();
    assert!(account.active && account.guardian_name == "Marta Rossi" && account.creditor == creditor);
    let home = app.refresh_home().await.unwrap();
    let wallet = &home.children[0].wallets[0];
    assert_eq!(wallet.balance.text, "12,40 €");
    assert_eq!(wallet.spoken, "Saldo mensa di Giulia: 12 euro e 40 centesimi, basta per 2 pasti, sta per finire");
    assert_eq!(home.as_of_text, "aggiornato oggi alle 8:12");
    assert_eq!(home.bills[0].due_text, "da pagare 57,33 € entro il 20 dicembre");
    assert_eq!(home.movements[0].sentence, "Pasto del 12 novembre, tariffa fascia 2, 4,25 €");

    let aside = phone.folder.path().join("cache.damaged.sqlite");
    std::fs::write(&aside, b"what a damaged cache held").unwrap();
    app.sign_out().await.unwrap();
    assert!(!aside.exists());
    assert!(app.accounts().is_empty() && app.cached_home().unwrap().is_none());
    assert!(fake.state().ended);
    assert_eq!(app.refresh_home().await, Err(Error::SignedOut));
}

#[tokio::test]
async fn many_calls_with_an_expired_token_renew_it_once() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.expire_access();
    let (a, b, c) = tokio::join!(app.refresh_home(), app.movements(None, None), app.refresh_home());
    a.unwrap();
    b.unwrap();
    c.unwrap();
    assert_eq!(fake.calls("refresh"), 1);
}

#[tokio::test]
async fn two_processes_of_one_app_renew_one_session() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    // A notification extension: another process over the same folder and Keychain.
    for _ in 0..3 {
        fake.expire_access();
        let extension = phone.open().await;
        extension.refresh_home().await.unwrap();
        extension.shutdown().await;
    }
    // What this one still holds was exchanged long ago: using it would end the session.
    app.refresh_home().await.unwrap();
    assert!(!fake.state().ended);
    assert_eq!(fake.calls("refresh"), 3);
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_does_not_end_the_session() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.expire_access();
    fake.odd("refresh", Oddity::LoseAnswer);
    app.refresh_home().await.unwrap();
    assert_eq!(fake.calls("refresh"), 2);
    // The old one is dead by now: what is stored must be the new one.
    let app = phone.open().await;
    fake.expire_access();
    app.refresh_home().await.unwrap();
    assert!(!fake.state().ended);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_by_the_phones_own_clock() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    phone.clock.0.fetch_add(14 * 60_000, Ordering::SeqCst);
    app.refresh_home().await.unwrap();
    assert_eq!(fake.calls("refresh"), 1);
    // Backwards by years: the phone simply goes on, and the server has the last word.
    phone.clock.0.store(0, Ordering::SeqCst);
    app.refresh_home().await.unwrap();
    assert_eq!(fake.calls("refresh"), 1);
}

#[tokio::test]
async fn clocks_years_off_change_no_outcome() {
    for off in [-30 * 365 * 86_400_000_i64, 40 * 365 * 86_400_000] {
        let (fake, phone) = phone().await;
        phone.clock.0.store(AS_OF + off, Ordering::SeqCst);
        let app = phone.signed_in().await;
        // Right after the answer the phone knows the server's day; after a jump it claims nothing.
        assert_eq!(app.cached_home().unwrap().unwrap().as_of_text, "aggiornato oggi alle 8:12");
        let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
        assert!(matches!(view.state, TopUpState::InProgress { .. }));
        phone.clock.0.store(AS_OF, Ordering::SeqCst);
        let text = app.cached_home().unwrap().unwrap().as_of_text;
        assert!(!text.contains("oggi"), "{text}");
        assert_eq!(text, "aggiornato il 20 novembre 2026 alle 8:12");
        app.refresh_home().await.unwrap();
        assert_eq!(fake.state().top_ups.len(), 1);
    }
}

#[tokio::test]
async fn the_office_ends_an_access_and_the_phone_forgets_what_it_saw() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    fake.state().ended = true;
    assert_eq!(app.refresh_home().await, Err(Error::SignedOut));
    assert!(app.cached_home().unwrap().is_none());
    assert_eq!(app.accounts().len(), 1, "the name to sign in with stays");
    // The same guardian signs in again.
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    app.refresh_home().await.unwrap();
}

/// Fails once when the list of accounts is to be written: as if the phone had been killed there.
struct Dying {
    store: MemoryStore,
    dies: AtomicBool,
}

impl SecureStore for Dying {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SecureStoreError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), SecureStoreError> {
        if key == "borsellino-accounts" && self.dies.load(Ordering::SeqCst) {
            return Err(SecureStoreError::Failed);
        }
        self.store.set(key, value)
    }

    fn remove(&self, key: &str) -> Result<(), SecureStoreError> {
        if self.dies.load(Ordering::SeqCst) { Err(SecureStoreError::Failed) } else { self.store.remove(key) }
    }
}

#[tokio::test]
async fn a_sign_out_that_gets_stuck_leaves_nothing_of_the_family_behind() {
    let (_fake, mut phone) = phone().await;
    let store = Arc::new(Dying { store: MemoryStore::default(), dies: AtomicBool::new(false) });
    phone.store = Arc::clone(&store) as Arc<dyn SecureStore>;
    let app = phone.signed_in().await;
    store.dies.store(true, Ordering::SeqCst);
    assert!(matches!(app.sign_out().await, Err(Error::SecureStore(_))));
    drop(app);
    let app = phone.open().await;
    assert!(app.cached_home().unwrap().is_none(), "the home screen went before the account");
}
