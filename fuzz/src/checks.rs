//! What the fuzz targets hold, whatever they are given. libFuzzer runs these functions (`tests/fuzz`), and the ordinary
//! tests run them on seeded mutations (`tests/tests/all/chance.rs`), which read this very file.
//!
//! A function that finds something wrong panics.

#![allow(clippy::panic, clippy::expect_used, unreachable_pub, reason = "that is how a fuzz target says so")]

use std::sync::LazyLock;

use borsellino_domain::activation::ActivationCode;
use borsellino_domain::notice::{AnyNotice, Iuv, NoticeNumber, PostalAccount, QrText, SegregationCode};
use borsellino_domain::time::Millis;
use borsellino_pagopa::node::{
    MAX_CENTS, Malformed, Operation, PositiveCents, Refusal, Request, SpontaneousTopUp, amount_text, decode, guard,
    parse_amount,
};
use borsellino_server::auth::keys::Keys;
use borsellino_server::auth::token::{Identity, RefreshToken, TokenError, issue_access, read_access};
use borsellino_server::usecases::proof_file::{LARGEST, check};

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::derive(&[7; 32]).expect("keys"));
static OTHERS: LazyLock<Keys> = LazyLock::new(|| Keys::derive(&[8; 32]).expect("keys"));

/// Whatever the bytes, the Node's call is decoded or refused, within bounds, and the same way each time.
///
/// # Panics
/// Where it is not so.
pub fn soap(bytes: &[u8]) {
    let bounded = guard(bytes);
    let decoded = decode(bytes, None);
    // What people who read the log see must not panic either.
    match &decoded {
        Ok(request) => drop(format!("{request:?}")),
        Err(refusal) => drop(format!("{refusal} {refusal:?}")),
    }
    match bounded {
        Err(malformed) => {
            assert_eq!(decoded, Err(Refusal::Malformed(malformed)), "what the gate refuses stays refused")
        }
        Ok(_) => assert_ne!(decoded, Err(Refusal::Malformed(Malformed::Doctype)), "the gate lets no DOCTYPE pass"),
    }
    // The header changes what is refused, never what is read.
    for action in Operation::ALL {
        match (&decoded, decode(bytes, Some(action.name()))) {
            (Ok(request), Ok(again)) => assert_eq!((request, action), (&again, request.operation())),
            (Ok(request), Err(refusal)) => {
                assert_ne!(request.operation(), action);
                assert_eq!(refusal, Refusal::ActionMismatch { operation: request.operation() });
            }
            (Err(_), Ok(_)) => panic!("a header made a call of {bytes:?}"),
            (Err(_), Err(_)) => {}
        }
    }
    match decoded {
        Ok(Request::Activate(request)) => amount(request.amount_cents),
        Ok(Request::Receipt(request)) => {
            let receipt = &request.receipt;
            assert!((1..=5).contains(&receipt.transfers.len()) && receipt.metadata.len() <= 15);
            amount(Some(receipt.payment_amount_cents));
            amount(receipt.fee_cents);
            for transfer in &receipt.transfers {
                assert!(transfer.amount_cents > 0 && transfer.metadata.len() <= 15);
                amount(Some(transfer.amount_cents));
            }
        }
        Ok(Request::Demand(request)) => {
            assert!(!request.service_data.is_empty());
            drop(SpontaneousTopUp::read(&request.service_data));
        }
        Ok(Request::Verify(_)) | Err(_) => {}
    }
}

/// An amount is within the contract, and what we write of it reads back.
fn amount(cents: Option<i64>) {
    let Some(cents) = cents else { return };
    assert!((0..=MAX_CENTS).contains(&cents));
    if let Some(positive) = PositiveCents::new(cents) {
        assert_eq!(parse_amount(&amount_text(positive)), Some(cents));
    }
}

/// What somebody typed at a PSP is read or refused, and what is read reads the same when written plainly.
///
/// # Panics
/// Where it is not so.
pub fn top_up(bytes: &[u8]) {
    let Some(read) = SpontaneousTopUp::read(bytes) else { return };
    let SpontaneousTopUp { child_code, amount_cents } = &read;
    assert!((1..=35).contains(&child_code.chars().count()));
    assert!((1..=MAX_CENTS).contains(amount_cents));
    assert!(format!("{read:?}").contains("amount_cents"));
    let Some(amount) = PositiveCents::new(*amount_cents) else { panic!("an amount of {amount_cents}") };
    let child = child_code.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
    let plain =
        format!("<r><codiceFiscaleAlunno>{child}</codiceFiscaleAlunno><importo>{}</importo></r>", amount_text(amount));
    assert_eq!(SpontaneousTopUp::read(plain.as_bytes()), Some(read.clone()));
}

/// The codes that people type and scan. What is read is written the same way, and reads back.
///
/// # Panics
/// Where it is not so.
pub fn notice(text: &str) {
    if let Ok(notice) = AnyNotice::parse(text) {
        assert!(notice.as_str().len() == 18 && notice.aux() <= 3);
        assert_eq!(AnyNotice::parse(notice.as_str()), Ok(notice));
        assert_eq!(AnyNotice::parse(&notice.grouped()), Ok(notice));
        assert_eq!(Iuv::parse(notice.iuv().as_str()), Ok(notice.iuv()));
    }
    if let Ok(notice) = NoticeNumber::parse(text) {
        assert_eq!(NoticeNumber::parse(&notice.grouped()), Ok(notice));
        assert_eq!(SegregationCode::parse(notice.segregation().as_str()), Ok(notice.segregation()));
        assert_eq!(AnyNotice::parse(text).map(|any| any.iuv()), Ok(notice.iuv()));
    }
    if let Ok(qr) = QrText::parse(text) {
        let written = qr.to_string();
        assert!(written.len() <= 53, "a symbol of version 4-M holds it");
        assert_eq!(QrText::parse(&written), Ok(qr));
    }
    if let Ok(code) = ActivationCode::parse(text) {
        assert_eq!(ActivationCode::parse(code.as_str()), Ok(code));
        assert_eq!(ActivationCode::parse(&code.grouped()), Ok(code));
        assert!(!format!("{code:?}").contains(code.as_str()));
    }
    if let Ok(iuv) = Iuv::parse(text) {
        assert_eq!(Iuv::parse(iuv.as_str()), Ok(iuv));
    }
    if let Ok(account) = PostalAccount::parse(text) {
        assert_eq!(PostalAccount::parse(account.as_str()), Ok(account));
    }
    let _ = SegregationCode::parse(text);
}

/// Tokens. Nobody makes one without the key, and a refresh token has one spelling.
///
/// # Panics
/// Where it is not so.
pub fn token(token: &str) {
    let expires = Millis::new(1_000);
    // The seeds hold a token of this key; any other is a forgery.
    if let Ok(who) = read_access(&KEYS, token, Millis::new(0)) {
        assert_eq!(issue_access(&KEYS, &who, expires), token, "only what we issued");
    }
    assert_eq!(read_access(&OTHERS, token, Millis::new(0)), Err(TokenError::Invalid));
    if let Ok(refresh) = RefreshToken::decode(token) {
        assert_eq!(refresh.encode(), token);
        assert_eq!(refresh.next(&KEYS), refresh.next(&KEYS));
        assert_eq!(RefreshToken::decode(&refresh.next(&KEYS).encode()), Ok(refresh.next(&KEYS)));
        assert!(read_access(&KEYS, token, Millis::new(0)).is_err(), "a refresh token gives no access");
        // Whatever session and creditor it names, an access token for them reads back.
        let who =
            Identity { creditor: refresh.creditor, guardian: refresh.session.uuid().into(), session: refresh.session };
        let access = issue_access(&KEYS, &who, expires);
        assert_eq!(read_access(&KEYS, &access, Millis::new(999)), Ok(who));
        assert_eq!(read_access(&KEYS, &access, expires), Err(TokenError::Expired));
    }
}

/// The file of a proof. Whatever the bytes, it is checked or refused; what holds is no longer than a file
/// may be, and holds each time.
///
/// # Panics
/// Where it is not so.
pub fn proof(bytes: &[u8]) {
    match check(bytes) {
        Ok(checked) => {
            assert!(bytes.len() <= LARGEST);
            assert_eq!(check(bytes).ok().as_ref(), Some(&checked));
            assert!(checked.signed_by(checked.public_key).is_ok());
            assert_eq!(checked.proof.check(), Ok(()));
            assert_eq!(checked.proof.seal.hash(), checked.hash);
        }
        Err(refusal) => drop(format!("{refusal} {refusal:?}")),
    }
}
