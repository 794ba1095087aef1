//! Bytes that are no message, doors that are not ours, and a database that has gone: every call is answered in time, and
//! a receipt is never lost to a fault of ours.

use std::time::Duration;

use borsellino_tests::house::node::{self, Receipt};
use borsellino_tests::house::{House, Soap, TOWN};
use sqlx::{Acquire, Connection, Executor};
use tokio::time::Instant;

use super::{balance, number, payable};

borsellino_tests::in_both_houses! {
    bytes_that_are_no_message;
    a_soap_action_that_differs;
    doors_that_are_not_ours;
    a_store_that_is_closed;
    a_pool_that_is_empty;
    a_database_that_is_locked;
}

/// The Node waits 7 s for a question; the server promises 5, and a busy machine may take a moment more.
const IN_TIME: Duration = Duration::from_millis(6_500);

async fn bytes_that_are_no_message(house: &House) {
    let before = house.rows().await;
    let attributes: String = (0..100_000).map(|i| format!(" a{i}=''")).collect();
    let doctype = "<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;&b;'>]><a>&d;</a>".to_owned();
    for (what, body, too_large) in [
        ("not XML", "no message at all".to_owned(), false),
        ("nothing", String::new(), false),
        ("a doctype", doctype, false),
        ("10 MB", format!("<a>{}</a>", " ".repeat(10 << 20)), true),
        ("100,000 attributes", format!("<a{attributes}/>"), true),
        ("many attributes within the size", format!("<a{}/>", &attributes[..500_000]), false),
        ("depth 10,000", "<a>".repeat(10_000) + &"</a>".repeat(10_000), false),
    ] {
        let begun = Instant::now();
        let receipt = house.soap(Some("paSendRTV2"), body.clone()).await;
        assert!(receipt.is_fault(), "{what}: a receipt may have been cut off, so it gets no KO: {receipt:?}");
        assert_eq!(receipt.status, if too_large { 413 } else { 500 }, "{what}");
        let nothing = house.soap(None, body.clone()).await;
        assert!(nothing.is_fault(), "{what}: {nothing:?}");
        let question = house.soap(Some("paVerifyPaymentNotice"), body).await;
        if too_large {
            assert!(question.is_fault(), "{what}: {question:?}");
        } else {
            assert_eq!(question.ko(), Some("PAA_SINTASSI_EXTRAXSD"), "{what}");
        }
        assert!(begun.elapsed() < IN_TIME, "{what} took {:?}", begun.elapsed());
    }
    assert_eq!(house.rows().await, before);
    assert_eq!(house.kept("quarantine").await, 0);
}

async fn a_soap_action_that_differs(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let before = house.rows().await;
    let verify = node::verify(&node::Addressee::new(TOWN), TOWN, notice);
    assert_eq!(house.soap(Some("paGetPaymentV2"), verify.clone()).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"));
    assert_eq!(house.soap(Some("paSomethingElse"), verify.clone()).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"));
    let receipt = Receipt::new(notice, 2_000);
    assert!(house.soap(Some("paVerifyPaymentNotice"), receipt.xml()).await.is_fault(), "it has to come again");
    assert_eq!(house.rows().await, before);
    // Quotes are optional, and so is the header.
    for action in ["paVerifyPaymentNotice", "\"paVerifyPaymentNotice\"", "\"\""] {
        let call = house.http.post(&house.at.node).header("soapaction", action).body(verify.clone());
        let answer = call.send().await.expect("an answer");
        let answer = Soap { status: answer.status().as_u16(), text: answer.text().await.expect("a text") };
        assert!(answer.is_ok(), "{action}: {answer:?}");
    }
    assert!(house.soap(None, receipt.xml()).await.is_ok());
}

async fn doors_that_are_not_ours(house: &House) {
    let base = house.at.node.strip_suffix("/pagopa/node").expect("the path");
    let get = house.http.get(&house.at.node).send().await.expect("an answer");
    assert_eq!(get.status(), 405);
    for path in ["/", "/pagopa", "/pagopa/node/", "/healthz", "/borsellino.v1.Family/Home"] {
        let answer = house.http.post(format!("{base}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
    }
    // And the Node's door is not on the public port.
    let public = house.http.post(format!("{}/pagopa/node", house.at.web)).send().await.expect("an answer");
    assert_eq!(public.status(), 404);
}

/// Asks everything at once and holds the answers against the two promises.
async fn answers_in_time(house: &House, notice: &str, receipt: &Receipt) {
    let begun = Instant::now();
    let (verified, activated, delivered) =
        tokio::join!(house.verify(TOWN, notice), house.activate(TOWN, notice, None), house.deliver(receipt));
    assert!(begun.elapsed() < IN_TIME, "it took {:?}", begun.elapsed());
    assert_eq!(verified.ko(), Some("PAA_SYSTEM_ERROR"), "{verified:?}");
    assert_eq!(activated.ko(), Some("PAA_SYSTEM_ERROR"), "{activated:?}");
    assert_eq!(delivered.status, 500);
    assert!(delivered.is_fault(), "{delivered:?}");
}

async fn a_store_that_is_closed(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    house.app.store.close().await;
    answers_in_time(house, notice, &Receipt::new(notice, 2_000)).await;
    let broken = house.soap(Some("paSendRTV2"), Receipt::new("12", 2_000).xml()).await;
    assert!(broken.is_fault(), "what can't be quarantined has to come again: {broken:?}");
    house.stop().await;
}

async fn a_pool_that_is_empty(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let receipt = Receipt::new(notice, 2_000);
    let (mut on_sqlite, mut on_postgres) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        match house.fresh.store.raw() {
            borsellino_store::RawPool::Lite(pool) => on_sqlite.push(pool.acquire().await.expect("a connection")),
            borsellino_store::RawPool::Pg(pool) => on_postgres.push(pool.acquire().await.expect("a connection")),
        }
    }
    // Receipts have a connection of their own: they go on while nobody can read.
    let begun = Instant::now();
    let (verified, delivered) = tokio::join!(house.verify(TOWN, notice), house.deliver(&receipt));
    assert!(begun.elapsed() < IN_TIME, "it took {:?}", begun.elapsed());
    assert_eq!(verified.ko(), Some("PAA_SYSTEM_ERROR"), "{verified:?}");
    assert!(delivered.is_ok(), "{delivered:?}");
    drop((on_sqlite, on_postgres));
    assert!(house.deliver(&receipt).await.is_ok(), "delivered again, it is kept");
    assert_eq!(house.outcomes(TOWN, notice).await, ["wallet"]);
}

/// Somebody else holds the receipts' table for longer than the Node waits.
async fn a_database_that_is_locked(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    let late = async {
        let begun = Instant::now();
        let answer = house.deliver(&receipt).await;
        assert!(answer.is_fault() && answer.status == 500, "{answer:?}");
        assert!(begun.elapsed() < IN_TIME, "it took {:?}", begun.elapsed());
    };
    match house.fresh.file() {
        Some(file) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let mut other = sqlx::SqliteConnection::connect_with(&options).await.expect("a connection");
            other.execute("BEGIN IMMEDIATE").await.expect("the lock");
            late.await;
            other.execute("ROLLBACK").await.expect("no lock");
            other.close().await.expect("closed");
        }
        None => {
            let borsellino_store::RawPool::Pg(pool) = house.fresh.store.raw() else { panic!("PostgreSQL") };
            let mut other = pool.acquire().await.expect("a connection");
            let mut lock = other.begin().await.expect("a transaction");
            lock.execute("LOCK TABLE receipt IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
            late.await;
            lock.rollback().await.expect("no lock");
        }
    }
    // The work behind the late answer may still finish; either way it is credited once.
    assert!(house.deliver(&receipt).await.is_ok());
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    assert_eq!(house.outcomes(TOWN, &receipt.notice).await, ["wallet"]);
}
