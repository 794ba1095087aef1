//! Every example message, played as it stands: the answer is the one that its README promises, and nothing moves that
//! should not.

use std::path::PathBuf;

use borsellino_domain::ledger::Hash;
use borsellino_tests::house::{House, TOWN, UNION};

borsellino_tests::in_both_houses! {
    questions_about_unknown_notices;
    receipts_for_unknown_notices;
    broken_questions_change_nothing;
    broken_receipts_are_quarantined;
    wrong_answers_are_no_requests;
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pagopa"))
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.xml"))).expect("an example")
}

const SCHEMA: &str = "PAA_SINTASSI_EXTRAXSD";
const UNKNOWN: &str = "PAA_PAGAMENTO_SCONOSCIUTO";

const QUESTIONS: [(&str, &str, &str); 10] = [
    ("paVerifyPaymentNotice-req", "paVerifyPaymentNotice", UNKNOWN),
    ("paVerifyPaymentNotice-req-altprefix", "paVerifyPaymentNotice", UNKNOWN),
    ("paVerifyPaymentNotice-req-standin-probe", "paVerifyPaymentNotice", UNKNOWN),
    ("paGetPayment-req", "paGetPayment", UNKNOWN),
    ("paGetPayment-req-postal", "paGetPayment", UNKNOWN),
    ("paGetPaymentV2-req", "paGetPaymentV2", UNKNOWN),
    ("paGetPaymentV2-req-postal", "paGetPaymentV2", UNKNOWN),
    ("paGetPaymentV2-req-checkout", "paGetPaymentV2", UNKNOWN),
    // The service is in the catalogue, the child is nobody of the demo's.
    ("paDemandPaymentNotice-req", "paDemandPaymentNotice", UNKNOWN),
    ("bad-wrapper-name-from-docs", "paDemandPaymentNotice", ""),
];

const RECEIPTS: [(&str, &str, &str, i64); 4] = [
    ("paSendRT-req", "paSendRT", TOWN, 4_500),
    ("paSendRTV2-req", "paSendRTV2", TOWN, 15_000),
    ("paSendRTV2-req-broadcast-secondary", "paSendRTV2", UNION, 3_000),
    ("paSendRTV2-req-minimal-standin", "paSendRTV2", TOWN, 21_050),
];

/// The broken questions; with an empty code the answer is a SOAP Fault, because nobody can say which operation it was.
const BROKEN_QUESTIONS: [(&str, &str, &str); 11] = [
    ("bad-not-well-formed", "paVerifyPaymentNotice", SCHEMA),
    ("bad-doctype-xxe", "paVerifyPaymentNotice", SCHEMA),
    ("bad-empty-body", "paVerifyPaymentNotice", SCHEMA),
    ("bad-qualified-children", "paVerifyPaymentNotice", SCHEMA),
    ("bad-element-order", "paGetPaymentV2", SCHEMA),
    ("bad-missing-station", "paVerifyPaymentNotice", SCHEMA),
    ("bad-fiscalcode-16-chars", "paVerifyPaymentNotice", SCHEMA),
    ("bad-notice-number-17-digits", "paVerifyPaymentNotice", SCHEMA),
    ("bad-amount-comma", "paGetPaymentV2", SCHEMA),
    ("bad-amount-one-decimal", "paGetPaymentV2", SCHEMA),
    ("bad-transfer-type", "paGetPaymentV2", SCHEMA),
];

const BROKEN_RECEIPTS: [&str; 4] =
    ["bad-outcome-value", "bad-missing-transfer-category", "bad-six-transfers", "bad-standin-lowercase"];

const WRONG_ANSWERS: [&str; 2] = ["bad-response-amount-zero", "bad-response-no-company"];

#[test]
fn every_request_of_the_folder_is_played() {
    let played = QUESTIONS.iter().map(|(name, _, _)| *name);
    let played = played.chain(RECEIPTS.iter().map(|(name, ..)| *name));
    let played = played.chain(BROKEN_QUESTIONS.iter().map(|(name, _, _)| *name));
    let played: Vec<&str> = played.chain(BROKEN_RECEIPTS).chain(WRONG_ANSWERS).collect();
    for file in std::fs::read_dir(folder()).expect("the examples") {
        let name = file.expect("a file").file_name().into_string().expect("a name");
        let Some(name) = name.strip_suffix(".xml") else { continue };
        let sent_to_us = name.contains("-req") || name.starts_with("bad-");
        assert!(!sent_to_us || played.contains(&name), "{name} is played by no test");
    }
}

async fn questions_about_unknown_notices(house: &House) {
    let before = house.rows().await;
    for (name, action, expected) in QUESTIONS {
        let answer = house.soap(Some(action), example(name)).await;
        match expected {
            "" => assert!(answer.is_fault(), "{name}: {answer:?}"),
            code => assert_eq!(answer.ko(), Some(code), "{name}: {answer:?}"),
        }
        // The same without a SOAPAction: the body says enough.
        let again = house.soap(None, example(name)).await;
        assert_eq!((again.status, &again.text), (answer.status, &answer.text), "{name}");
    }
    assert_eq!(house.rows().await, before);
}

async fn receipts_for_unknown_notices(house: &House) {
    let (town, union) = (house.suspense(TOWN).await, house.suspense(UNION).await);
    for (name, action, _, _) in RECEIPTS {
        // Twice: the second delivery finds the first.
        for _ in 0..2 {
            let answer = house.soap(Some(action), example(name)).await;
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }
    let total = |creditor| RECEIPTS.iter().filter(|its| its.2 == creditor).map(|its| its.3).sum::<i64>();
    assert_eq!(house.suspense(TOWN).await - town, total(TOWN));
    assert_eq!(house.suspense(UNION).await - union, total(UNION));
    assert_eq!(house.outcomes(UNION, "302202600000012372").await, ["shared_payment"]);
    assert_eq!(house.outcomes(TOWN, "302202600000012372").await, ["unknown_notice"]);
}

async fn broken_questions_change_nothing(house: &House) {
    let before = house.rows().await;
    for (name, action, code) in BROKEN_QUESTIONS {
        let answer = house.soap(Some(action), example(name)).await;
        assert_eq!(answer.ko(), Some(code), "{name}: {answer:?}");
        assert!(!answer.text.contains("nonexistent"), "{name} was resolved");
    }
    assert_eq!(house.rows().await, before);
    assert_eq!(house.kept("quarantine").await, 0);
}

async fn broken_receipts_are_quarantined(house: &House) {
    let before = house.rows().await;
    for (done, name) in (1..).zip(BROKEN_RECEIPTS) {
        let message = example(name);
        for _ in 0..2 {
            let answer = house.soap(Some("paSendRTV2"), message.clone()).await;
            assert_eq!(answer.ko(), Some(SCHEMA), "{name}: {answer:?}");
        }
        assert_eq!(house.kept("quarantine").await, done, "{name} is kept, once");
        // Sealed: it opens with the server's key, to the very bytes, and reads as nothing without it.
        let sealed = kept(house, Hash::of(&message)).await;
        assert_eq!(house.app.keys.open("quarantine", &sealed).expect("it opens"), message, "{name}");
        assert!(!sealed.windows(8).any(|part| part == b"fullName"), "{name} lies in clear");
    }
    assert_eq!(house.rows().await, before);
}

async fn kept(house: &House, digest: Hash) -> Vec<u8> {
    let sql = "SELECT sealed FROM kept_message WHERE creditor = $1 AND message_digest = $2";
    let digest = digest.0.to_vec();
    match house.fresh.store.raw() {
        borsellino_store::RawPool::Lite(pool) => {
            sqlx::query_scalar(sql).bind(TOWN).bind(digest).fetch_one(pool).await.expect("a kept message")
        }
        borsellino_store::RawPool::Pg(pool) => {
            sqlx::query_scalar(sql).bind(TOWN).bind(digest).fetch_one(pool).await.expect("a kept message")
        }
    }
}

async fn wrong_answers_are_no_requests(house: &House) {
    let before = house.rows().await;
    for name in WRONG_ANSWERS {
        for action in [None, Some("paGetPaymentV2")] {
            let answer = house.soap(action, example(name)).await;
            assert!(answer.is_fault(), "{name}: {answer:?}");
        }
    }
    assert_eq!(house.rows().await, before);
}
