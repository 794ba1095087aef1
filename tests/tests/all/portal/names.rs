//! By which name somebody is known at the door: the user name, or the e-mail address where it is theirs alone.

use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_tests::house::{AMINA, Browser, House, MARIA, PAOLO, PASSWORD, TOWN, UNION, reason, refused};

borsellino_tests::in_both_houses! {
    an_address_that_is_one_accounts_alone_signs_in;
    a_shared_address_is_refused_like_a_wrong_password;
    a_user_name_comes_before_an_address;
    a_recovery_begins_by_address;
    a_shared_address_recovers_nobody;
}

const MINE: &str = "Maria.Bianchi@Famiglia.example";

async fn address(house: &House, username: &str, email: &str) {
    let set = format!("UPDATE guardian SET email = '{email}' WHERE username = '{username}'");
    house.execute(&set).await;
}

async fn an_address_that_is_one_accounts_alone_signs_in(house: &House) {
    address(house, MARIA, MINE).await;
    for typed in [MINE, "maria.bianchi@famiglia.example", "  MARIA.BIANCHI@FAMIGLIA.EXAMPLE "] {
        let entered = house.browser().enter(TOWN, typed, PASSWORD).await;
        assert_eq!((entered.status, entered.location()), (303, &*format!("/comune/{TOWN}")), "{typed}");
    }
    let phone = house.try_sign_in(TOWN, MINE, PASSWORD).await.expect("the app too");
    assert_eq!(phone.home().await.expect("home").guardian.expect("a guardian").display_name, "Maria Bianchi");
    for (typed, password) in [(MINE, "sbagliata"), ("maria@famiglia.example", PASSWORD), ("@", PASSWORD)] {
        assert_eq!(reason(house.try_sign_in(TOWN, typed, password).await), Reason::WrongCredentials, "{typed}");
    }
    assert_eq!(reason(house.try_sign_in(UNION, MINE, PASSWORD).await), Reason::WrongCredentials, "of one creditor");
    // Who has not registered has no account, and their address is nobody's.
    house.execute(&format!("UPDATE guardian SET password_hash = '' WHERE username = '{MARIA}'")).await;
    assert_eq!(reason(house.try_sign_in(TOWN, MINE, "").await), Reason::WrongCredentials);
    assert_eq!(reason(house.try_sign_in(TOWN, MINE, PASSWORD).await), Reason::WrongCredentials);
}

async fn a_shared_address_is_refused_like_a_wrong_password(house: &House) {
    address(house, MARIA, MINE).await;
    address(house, PAOLO, &MINE.to_lowercase()).await;
    let page = async |browser: &Browser, username: &str, password: &str| {
        let page = browser.enter(TOWN, username, password).await;
        (page.status, page.text().replace(username, ""))
    };
    let browser = house.browser();
    let shared = page(&browser, MINE, PASSWORD).await;
    assert_eq!(shared.0, 422);
    assert!(shared.1.contains("se lo usate in due, serve il nome utente"), "{}", shared.1);
    assert_eq!(shared, page(&browser, "nessuno@famiglia.example", PASSWORD).await, "as if nobody had it");
    assert_eq!(shared, page(&browser, AMINA, "sbagliata").await, "as a wrong password");
    // It is waited for alike, and who signs in by their user name does not wait.
    for _ in 0..2 {
        assert_eq!(reason(house.try_sign_in(TOWN, MINE, PASSWORD).await), Reason::WrongCredentials);
    }
    assert_eq!(refused(house.try_sign_in(TOWN, MINE, PASSWORD).await).retry_after_ms, Some(1_000));
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    assert!(house.try_sign_in(TOWN, PAOLO, PASSWORD).await.is_ok());
    // Alone again, once the other access has ended.
    house.advance(Duration::from_secs(3_600));
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{PAOLO}'")).await;
    assert!(house.try_sign_in(TOWN, MINE, PASSWORD).await.is_ok());
}

async fn a_user_name_comes_before_an_address(house: &House) {
    let name = MINE.to_lowercase();
    address(house, MARIA, MINE).await;
    house.execute(&format!("UPDATE guardian SET username = '{name}' WHERE username = '{PAOLO}'")).await;
    let phone = house.try_sign_in(TOWN, MINE, PASSWORD).await.expect("a sign-in");
    assert_eq!(phone.home().await.expect("home").guardian.expect("a guardian").display_name, "Paolo Rossi");
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
}

/// Begins a recovery in a browser of its own.
async fn recover(house: &House, who: &str) -> (u16, String) {
    let browser = house.browser();
    let path = format!("/comune/{TOWN}/problemi-accesso");
    let form = browser.get(&path).await.form(&path).with("chi", who);
    let begun = browser.send(&form).await;
    assert_eq!(begun.location(), path);
    // The marks and numbers are every recovery's own.
    let text = browser.get(&path).await.text();
    let lines = text.lines().filter(|line| !line.contains("name=\"recupero\"") && !line.contains("id=\"numero\""));
    (begun.status, lines.collect::<Vec<_>>().join("\n"))
}

async fn a_recovery_begins_by_address(house: &House) {
    address(house, MARIA, MINE).await;
    let nobodys = recover(house, "nessuno@famiglia.example").await;
    assert_eq!(recover(house, &MINE.to_uppercase()).await, nobodys, "nobody learns whose it is");
    let whose = format!(
        "SELECT COUNT(*) FROM recovery r JOIN guardian g ON g.creditor = r.creditor AND g.id = r.guardian
            WHERE g.username = '{MARIA}' AND r.mail_due_at_ms IS NOT NULL"
    );
    assert_eq!(house.number(&whose).await, 1, "a letter is to be sent");
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery").await, 2);
}

async fn a_shared_address_recovers_nobody(house: &House) {
    let nobodys = recover(house, "nessuno@famiglia.example").await;
    for username in [MARIA, PAOLO] {
        address(house, username, MINE).await;
    }
    assert_eq!(recover(house, MINE).await, nobodys, "no hint");
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE guardian IS NOT NULL").await, 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE mail_due_at_ms IS NOT NULL").await, 0);
    assert_eq!(recover(house, MARIA).await, nobodys);
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE guardian IS NOT NULL").await, 1);
}
