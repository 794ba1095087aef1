//! Where a guardian is signed in: they see it, end it from elsewhere, and a session that ends is forgotten with its token.

use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1::{Device, Platform};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, SOON, new_id, reason, refused};
use futures_util::future::join_all;

borsellino_tests::in_both_houses! {
    a_guardian_sees_their_devices;
    a_device_is_revoked_from_another;
    a_token_is_one_phones;
    a_token_is_kept_sealed;
    what_ends_a_session_forgets_its_token;
    a_guardian_is_told_on_twenty_devices;
    one_token_for_eight_sessions_at_once;
    what_is_no_registration;
}

const TOKENS: &str = "SELECT COUNT(*) FROM push_token";

fn named<'a>(devices: &'a [Device], id: &str) -> &'a Device {
    devices.iter().find(|device| device.session_id == id).expect("a device of this session")
}

async fn a_guardian_sees_their_devices(house: &House) {
    let phone = house.phone(MARIA).await;
    house.advance(Duration::from_secs(60));
    let tablet = house.phone(MARIA).await;
    house.phone(PAOLO).await;
    let id = phone.register_push("token-of-the-phone", Platform::Android).await.expect("registered");

    let devices = phone.devices().await.expect("devices");
    assert_eq!(devices.len(), 2, "{devices:?}");
    assert_eq!(devices[1].session_id, id, "the last used first");
    assert!(devices[1].current && devices[1].has_push && !devices[0].current && !devices[0].has_push);
    assert!(devices.iter().all(|device| device.name == "a test"));
    assert_eq!(devices[0].signed_in_at_ms - devices[1].signed_in_at_ms, 60_000);
    let seen = tablet.devices().await.expect("devices");
    assert!(seen[0].current && !seen[1].current, "each says which one it is");

    house.advance(Duration::from_secs(60));
    phone.refresh(&phone.tokens.refresh_token).await.expect("tokens");
    let devices = tablet.devices().await.expect("devices");
    assert_eq!((&devices[0].session_id, devices[0].last_used_at_ms), (&id, house.now()), "used again");
    // Nobody signs out of a phone that is lost; after sixty days it is none any more.
    house.advance(Duration::from_secs(60 * 86_400));
    let again = house.phone(MARIA).await;
    assert_eq!(again.devices().await.expect("devices").len(), 1);
}

async fn a_device_is_revoked_from_another(house: &House) {
    let (phone, lost) = (house.phone(MARIA).await, house.phone(MARIA).await);
    let id = lost.register_push("token-of-the-lost-one", Platform::Ios).await.expect("registered");
    let mut stream = lost.watch(lost.home().await.expect("home").feed_seq).await.expect("a stream");
    assert!(stream.message().await.expect("a beat").is_some());

    for who in [PAOLO, AMINA] {
        let stranger = house.phone(who).await;
        let refused = refused(stranger.speaking("de").revoke_device(&id).await);
        assert_eq!(refused.reason, Reason::UnknownDevice, "{who}");
        assert!(refused.sentence.contains("Gerät"), "{}", refused.sentence);
    }
    assert_eq!(reason(phone.revoke_device(&new_id()).await), Reason::UnknownDevice);
    assert_eq!(refused(phone.revoke_device("x").await).field.as_deref(), Some("session_id"));
    assert!(lost.home().await.is_ok(), "nobody else ended it");

    phone.revoke_device(&id).await.expect("revoked");
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
    assert_eq!(reason(lost.home().await), Reason::SessionEnded);
    assert_eq!(reason(lost.devices().await), Reason::SessionEnded);
    assert_eq!(reason(lost.refresh(&lost.tokens.refresh_token).await), Reason::SessionEnded);
    assert_eq!(reason(lost.register_push("again", Platform::Ios).await), Reason::SessionEnded);
    assert_eq!(reason(lost.remove_push().await), Reason::SessionEnded);
    assert_eq!(house.number(TOKENS).await, 0, "its token is forgotten");
    phone.revoke_device(&id).await.expect("twice is no fault");
    let devices = phone.devices().await.expect("devices");
    assert_eq!(devices.len(), 1, "{devices:?}");

    // The one at hand can be ended as well; then it is signed out.
    phone.revoke_device(&devices[0].session_id).await.expect("revoked");
    assert_eq!(reason(phone.revoke_device(&devices[0].session_id).await), Reason::SessionEnded);
}

async fn a_token_is_one_phones(house: &House) {
    let (phone, tablet) = (house.phone(MARIA).await, house.phone(MARIA).await);
    let id = phone.register_push("one", Platform::Android).await.expect("registered");
    let digest = "SELECT COUNT(DISTINCT digest) FROM push_token";
    assert_eq!(phone.register_push("one", Platform::Android).await.expect("again"), id);
    assert_eq!((house.number(TOKENS).await, house.number(digest).await), (1, 1), "the same again");
    phone.register_push("two", Platform::Android).await.expect("rotated");
    assert_eq!(house.number(TOKENS).await, 1, "the new one in place of the old");
    tablet.register_push("one", Platform::Android).await.expect("free again");
    assert_eq!((house.number(TOKENS).await, house.number(digest).await), (2, 2));

    // Signed in anew on the same phone, whose earlier session nobody ended.
    let again = house.phone(PAOLO).await;
    let moved = again.register_push("two", Platform::Android).await.expect("moved");
    assert_eq!(house.number(TOKENS).await, 2);
    assert!(!named(&phone.devices().await.expect("devices"), &id).has_push, "it is not that session's any more");
    assert!(named(&again.devices().await.expect("devices"), &moved).has_push);
    again.remove_push().await.expect("removed");
    again.remove_push().await.expect("twice is no fault");
    assert!(!named(&again.devices().await.expect("devices"), &moved).has_push);
    assert_eq!(house.number(TOKENS).await, 1);
}

async fn a_token_is_kept_sealed(house: &House) {
    let phone = house.phone(MARIA).await;
    phone.register_push("fcm-token-in-clear", Platform::Android).await.expect("registered");
    let hex = data_encoding::HEXUPPER.encode(b"fcm-token");
    let clear = if house.fresh.is_sqlite() {
        format!("SELECT COUNT(*) FROM push_token WHERE instr(hex(sealed), '{hex}') > 0")
    } else {
        format!("SELECT COUNT(*) FROM push_token WHERE position('{hex}' in upper(encode(sealed, 'hex'))) > 0")
    };
    assert_eq!(house.number(&clear).await, 0, "it is sealed");
    let digest = borsellino_domain::ledger::Hash::of(b"fcm-token-in-clear").to_string();
    let found = format!("SELECT COUNT(*) FROM push_token WHERE digest = {}", house.fresh.bytes(digest));
    assert_eq!(house.number(&found).await, 0, "and nobody can compare a guess with its digest");
    let named = format!("SELECT COUNT(*) FROM push_token WHERE key_id = '{}'", house.app.keys.id());
    assert_eq!(house.number(&named).await, 1, "the row names its key");
}

async fn what_ends_a_session_forgets_its_token(house: &House) {
    let phone = house.phone(MARIA).await;
    phone.register_push("signs-out", Platform::Android).await.expect("registered");
    phone.sign_out().await.expect("signed out");
    assert_eq!(house.number(TOKENS).await, 0);

    let stolen = house.phone(MARIA).await;
    stolen.register_push("stolen", Platform::Android).await.expect("registered");
    let first = stolen.tokens.refresh_token.clone();
    let second = stolen.refresh(&first).await.expect("tokens");
    stolen.refresh(&second.refresh_token).await.expect("tokens");
    assert_eq!(reason(stolen.refresh(&first).await), Reason::SessionEnded, "a token used twice");
    assert_eq!(house.number(TOKENS).await, 0);
}

async fn a_guardian_is_told_on_twenty_devices(house: &House) {
    let other = house.phone(PAOLO).await;
    other.register_push("of-another-guardian", Platform::Ios).await.expect("registered");
    for n in 0..22 {
        house.advance(Duration::from_secs(1));
        let phone = house.phone(MARIA).await;
        phone.register_push(&format!("token-{n}"), Platform::Ios).await.expect("registered");
    }
    assert_eq!(house.number(TOKENS).await, 21);
    let oldest = "SELECT MIN(registered_at_ms) FROM push_token WHERE language = 'it'";
    assert_eq!(house.number(oldest).await, house.now() - 22_000, "another guardian's stays");
    let devices = house.phone(MARIA).await.devices().await.expect("devices");
    assert_eq!(devices.iter().filter(|device| device.has_push).count(), 20);
    assert!(devices.iter().rev().take(2).all(|device| !device.has_push), "those registered first are not told");
}

async fn one_token_for_eight_sessions_at_once(house: &House) {
    let mut phones = Vec::new();
    for _ in 0..4 {
        phones.push(house.phone(MARIA).await);
        phones.push(house.phone(PAOLO).await);
    }
    // Again and again: eight that run each other over fail once in a few rounds, and not in each.
    for round in 0..20 {
        let token = format!("shared-{round}");
        let registered = join_all(phones.iter().map(|phone| phone.register_push(&token, Platform::Android))).await;
        assert!(registered.iter().all(Result::is_ok), "{registered:?}");
        assert_eq!(house.number(TOKENS).await, 1, "one of them has it");
    }
}

async fn what_is_no_registration(house: &House) {
    let phone = house.phone(MARIA).await;
    for (token, platform, field) in [
        ("", Platform::Android, "token"),
        ("two words", Platform::Android, "token"),
        ("gettone però", Platform::Android, "token"),
        (&*"x".repeat(4_097), Platform::Android, "token"),
        ("good", Platform::Unspecified, "platform"),
    ] {
        let refused = refused(phone.register_push(token, platform).await);
        assert_eq!((refused.reason, refused.field.as_deref()), (Reason::Malformed, Some(field)), "{token}");
    }
    let nobody = phone.with_token("x");
    assert_eq!(reason(nobody.register_push("good", Platform::Ios).await), Reason::TokenInvalid);
    assert_eq!(reason(nobody.devices().await), Reason::TokenInvalid);
    assert_eq!(reason(nobody.remove_push().await), Reason::TokenInvalid);
    assert_eq!(reason(nobody.revoke_device(&new_id()).await), Reason::TokenInvalid);
    assert_eq!(house.number(TOKENS).await, 0);
}
