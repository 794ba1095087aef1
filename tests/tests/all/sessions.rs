//! Signing in, staying signed in, signing out: nobody learns who has an account, lost answers lose nobody a session, and
//! a stolen token ends it.

use std::time::Duration;

use borsellino_domain::ledger::Hash;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::PayBy;
use borsellino_server::auth::token::RefreshToken;
use borsellino_tests::house::{
    AMINA, ELENA, House, MARIA, PAOLO, PASSWORD, SOON, TOWN, UNION, new_id, order, reason, refused,
};
use futures_util::future::join_all;

borsellino_tests::in_both_houses! {
    no_answer_tells_who_exists;
    the_delay_grows_and_ends;
    an_address_is_slowed_down_too;
    a_lost_answer_loses_nothing;
    a_token_used_twice_ends_the_session;
    a_rotation_never_goes_back;
    signing_out_ends_one_session;
    tokens_have_their_time;
    the_office_ends_it_at_once;
    sixteen_refreshes_at_once;
    old_tries_are_swept;
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

async fn no_answer_tells_who_exists(house: &House) {
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{AMINA}'")).await;
    let mut answers = Vec::new();
    for (what, creditor, username, password) in [
        ("a wrong password", TOWN, MARIA, "sbagliata"),
        ("no password", TOWN, PAOLO, ""),
        ("a password too long", TOWN, PAOLO, &"x".repeat(2_000)),
        ("an unknown user", TOWN, "nessuno", PASSWORD),
        ("no user", TOWN, "", PASSWORD),
        ("a user of another creditor", TOWN, ELENA, PASSWORD),
        ("a user whose access was ended", TOWN, AMINA, PASSWORD),
        ("an unknown creditor", "99900030014", MARIA, PASSWORD),
        ("no creditor", "", MARIA, PASSWORD),
        ("a creditor of no form", "Valdorso", MARIA, PASSWORD),
    ] {
        let status = house.try_sign_in(creditor, username, password).await.expect_err(what);
        answers.push((what, status.code(), status.message().to_owned(), status.details().to_vec()));
        assert_eq!(reason::<()>(Err(status)), Reason::WrongCredentials, "{what}");
    }
    for (what, code, message, details) in &answers {
        let (_, first_code, first_message, first_details) = &answers[0];
        assert_eq!((code, message, details), (first_code, first_message, first_details), "{what}");
    }
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
}

async fn the_delay_grows_and_ends(house: &House) {
    let wait = async |username: &str, password: &str| {
        let refused = refused(house.try_sign_in(TOWN, username, password).await);
        match refused.reason {
            Reason::WrongCredentials => 0,
            Reason::TryLater => refused.retry_after_ms.expect("how long"),
            other => panic!("{other:?}"),
        }
    };
    // The same for somebody who exists and for somebody who does not.
    for username in [MARIA, "nessuno"] {
        for _ in 0..3 {
            assert_eq!(wait(username, "sbagliata").await, 0, "three tries are free");
        }
        for seconds in [1, 2, 4, 8, 16] {
            assert_eq!(wait(username, "sbagliata").await, seconds * 1_000);
            // The right password does not help, nor does writing the name otherwise.
            assert_eq!(wait(&username.to_uppercase(), PASSWORD).await, seconds * 1_000);
            house.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
            assert_eq!(wait(username, PASSWORD).await, 1);
            house.advance(Duration::from_millis(1));
            assert_eq!(wait(username, "sbagliata").await, 0, "after {seconds} s the next try counts");
        }
    }
    assert!(house.try_sign_in(TOWN, PAOLO, PASSWORD).await.is_ok(), "nobody else waits");
    house.advance(32 * SECOND);
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    assert_eq!(wait(MARIA, "sbagliata").await, 0);
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok(), "a success clears the count");

    // It grows to a quarter of an hour and no further.
    let account = "UPDATE sign_in_failure SET failures = 100000";
    assert_eq!(wait("nessuno", "sbagliata").await, 0);
    house.execute(account).await;
    assert_eq!(wait("nessuno", "sbagliata").await, 15 * 60_000);
    house.advance(DAY);
    house.advance(SECOND);
    assert_eq!(wait("nessuno", "sbagliata").await, 0, "a day later it is forgotten");
}

async fn an_address_is_slowed_down_too(house: &House) {
    for user in 0..50 {
        let refused = reason(house.try_sign_in(TOWN, &format!("nessuno{user}"), "sbagliata").await);
        assert_eq!(refused, Reason::WrongCredentials, "{user}");
    }
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::TryLater);
    assert!(house.try_sign_in(UNION, ELENA, PASSWORD).await.is_ok(), "each creditor counts for itself");
    house.advance(SECOND);
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
}

async fn a_lost_answer_loses_nothing(house: &House) {
    let phone = house.phone(MARIA).await;
    let first = phone.tokens.refresh_token.clone();
    let lost = phone.refresh(&first).await.expect("tokens");
    // The answer never came: the phone asks again with what it has, as often as it takes.
    let again = phone.refresh(&first).await.expect("tokens");
    assert_eq!(again.refresh_token, lost.refresh_token);
    assert!(phone.with_token(&again.access_token).home().await.is_ok());
    assert!(phone.with_token(&lost.access_token).home().await.is_ok());
    let mut next = again;
    for _ in 0..3 {
        let after = phone.refresh(&next.refresh_token).await.expect("tokens");
        assert_ne!(after.refresh_token, next.refresh_token);
        next = after;
    }
    assert!(phone.with_token(&next.access_token).home().await.is_ok());
}

async fn a_token_used_twice_ends_the_session(house: &House) {
    let (phone, other) = (house.phone(MARIA).await, house.phone(MARIA).await);
    let first = phone.tokens.refresh_token.clone();
    let second = phone.refresh(&first).await.expect("tokens");
    let third = phone.refresh(&second.refresh_token).await.expect("tokens");
    assert_eq!(reason(phone.refresh(&first).await), Reason::SessionEnded, "somebody else has it too");
    for token in [first, second.refresh_token, third.refresh_token] {
        assert_eq!(reason(phone.refresh(&token).await), Reason::SessionEnded);
    }
    assert_eq!(reason(phone.with_token(&third.access_token).home().await), Reason::SessionEnded);
    assert!(other.home().await.is_ok(), "the other device goes on");
    for garbage in ["x", "AAAA", &phone.tokens.access_token] {
        assert_eq!(reason(phone.refresh(garbage).await), Reason::TokenInvalid);
    }
}

/// A slow call that read the session before a faster one moved it on must not write over it.
async fn a_rotation_never_goes_back(house: &House) {
    let phone = house.phone(MARIA).await;
    let first = RefreshToken::decode(&phone.tokens.refresh_token).expect("a token");
    let second = first.next(&house.app.keys);
    phone.refresh(&first.encode()).await.expect("tokens");
    let third = phone.refresh(&second.encode()).await.expect("tokens");
    let (creditor, session, now) = (first.creditor, first.session, house.app.now());
    let digests: (Hash, Hash) = (first.digest(), second.digest());
    let slow = house.app.store.write::<bool, (), _>("rotate late", move |tx| {
        Box::pin(async move { Ok(Ok(tx.rotate_session(&creditor, session, digests, now).await?)) })
    });
    assert_eq!(slow.await.expect("a write"), Ok(false), "it finds the session moved on");
    assert!(phone.refresh(&third.refresh_token).await.is_ok());
}

async fn signing_out_ends_one_session(house: &House) {
    let (phone, tablet) = (house.phone(MARIA).await, house.phone(MARIA).await);
    phone.sign_out().await.expect("signed out");
    assert_eq!(reason(phone.home().await), Reason::SessionEnded);
    assert_eq!(reason(phone.refresh(&phone.tokens.refresh_token).await), Reason::SessionEnded);
    phone.sign_out().await.expect("twice is no fault");
    assert!(tablet.home().await.is_ok());
    assert!(tablet.refresh(&tablet.tokens.refresh_token).await.is_ok());
}

async fn tokens_have_their_time(house: &House) {
    let phone = house.phone(MARIA).await;
    house.advance(Duration::from_secs(15 * 60) - Duration::from_millis(1));
    assert!(phone.home().await.is_ok());
    house.advance(Duration::from_millis(1));
    assert_eq!(reason(phone.home().await), Reason::TokenInvalid);
    let mut tokens = phone.refresh(&phone.tokens.refresh_token).await.expect("tokens");
    assert_eq!(tokens.access_expires_at_ms, house.now() + 15 * 60_000);
    assert!(phone.with_token(&tokens.access_token).home().await.is_ok());
    // Sixty days from the last use.
    for _ in 0..3 {
        house.advance(60 * DAY - Duration::from_millis(1));
        tokens = phone.refresh(&tokens.refresh_token).await.expect("tokens");
    }
    house.advance(60 * DAY);
    assert_eq!(reason(phone.refresh(&tokens.refresh_token).await), Reason::SessionEnded);
}

async fn the_office_ends_it_at_once(house: &House) {
    let (phone, other) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let seq = phone.home().await.expect("home").feed_seq;
    let mut stream = phone.watch(seq).await.expect("a stream");
    assert!(stream.message().await.expect("a beat").is_some());
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{MARIA}'")).await;

    assert_eq!(reason(phone.home().await), Reason::SessionEnded);
    assert_eq!(reason(phone.movements("", 5, "").await), Reason::SessionEnded);
    assert_eq!(reason(phone.start(order(&new_id(), 1_000, PayBy::Notice)).await), Reason::SessionEnded);
    assert_eq!(reason(phone.payment(&new_id()).await), Reason::SessionEnded);
    assert_eq!(reason(phone.pay_bill(&new_id()).await), Reason::SessionEnded);
    assert_eq!(reason(phone.refresh(&phone.tokens.refresh_token).await), Reason::SessionEnded);
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
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
    assert!(other.home().await.is_ok(), "the other guardian goes on");
}

async fn sixteen_refreshes_at_once(house: &House) {
    let phone = house.phone(MARIA).await;
    let first = phone.tokens.refresh_token.clone();
    let answers = join_all((0..16).map(|_| phone.refresh(&first))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("tokens")).collect();
    assert!(answers.iter().all(|tokens| tokens.refresh_token == answers[0].refresh_token));
    let next = phone.refresh(&answers[0].refresh_token).await.expect("tokens");
    assert!(phone.with_token(&next.access_token).home().await.is_ok());
}

/// The count itself begins anew by itself (`the_delay_grows_and_ends`); this is about the rows that guessed names leave.
async fn old_tries_are_swept(house: &House) {
    let left = "SELECT COUNT(*) FROM sign_in_failure";
    let gone = async |rows: i64| {
        while house.number(left).await > rows {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for user in 0..9 {
        let _refused = house.try_sign_in(TOWN, &format!("nessuno{user}"), "sbagliata").await;
        let _refused = house.try_sign_in(UNION, &format!("nessuno{user}"), "sbagliata").await;
    }
    // A row for each name at each creditor, and one for the address at each.
    assert_eq!(house.number(left).await, 20);
    house.advance(Duration::from_secs(40 * 60));
    let _refused = house.try_sign_in(TOWN, "nessuno0", "sbagliata").await;
    // What was tried again within the hour counts on.
    house.advance(Duration::from_secs(30 * 60));
    tokio::time::timeout(SOON, gone(2)).await.expect("swept in time");
    assert_eq!(house.number(left).await, 2);
    house.advance(Duration::from_secs(2 * 3_600));
    tokio::time::timeout(SOON, gone(0)).await.expect("swept in time");
}
