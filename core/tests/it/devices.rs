//! Where a guardian is signed in, and ending a session from here.

use borsellino_core::{AccountKey, Error, Invalid, Reason};

use crate::fake::Oddity;
use crate::fake_accounts::{OTHER_SESSION, SESSION};
use crate::support::{canteen, euros, phone};

#[tokio::test]
async fn devices_are_listed_and_ended() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = app.accounts()[0].key.clone();
    let devices = app.devices(account.clone()).await.unwrap();
    assert_eq!(devices.len(), 2, "what can't be named is left out");
    assert_eq!(devices[0].sentence, "Questo dispositivo");
    assert_eq!(devices[1].sentence, "usato l'ultima volta il 20 novembre alle 8:12");
    assert!(devices[0].current && devices[0].has_push && !devices[1].current);
    let other = OTHER_SESSION.parse().unwrap();
    fake.odd("revoke_device", Oddity::LoseAnswer);
    assert_eq!(app.revoke_device(account.clone(), other).await, Err(Error::OutcomeUnknown));
    app.revoke_device(account.clone(), other).await.unwrap();
    assert_eq!(fake.state().account.revoked, [OTHER_SESSION, OTHER_SESSION]);
    let unknown = "01900000-0000-7000-8000-0000000000cc".parse().unwrap();
    let refused = app.revoke_device(account.clone(), unknown).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(no) if no.reason == Reason::UnknownDevice));
    let stranger = AccountKey::from("nobody".to_owned());
    assert_eq!(app.devices(stranger).await, Err(Error::Invalid(Invalid::Account)));
    fake.odd("list_devices", Oddity::Unimplemented);
    assert_eq!(app.devices(account.clone()).await, Err(Error::OlderServer));
    fake.reachable(false);
    assert_eq!(app.devices(account.clone()).await, Err(Error::Offline));
    assert_eq!(app.revoke_device(account, other).await, Err(Error::Offline));
    assert_eq!(app.accounts().len(), 1);
}

#[tokio::test]
async fn the_own_session_ended_is_a_sign_out() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = app.accounts()[0].key.clone();
    app.start_top_up(canteen(), euros("20"), borsellino_core::PayBy::Notice).await.unwrap();
    app.revoke_device(account, SESSION.parse().unwrap()).await.unwrap();
    assert!(app.accounts().is_empty() && app.cached_home().unwrap().is_none());
    assert!(fake.state().ended);
    app.sign_in(crate::fake::CREDITOR, "marta", "segreta").await.unwrap();
    let home = app.refresh_home().await.unwrap();
    assert!(home.top_ups.iter().all(|view| !view.from_this_phone), "its orders went too");
}
