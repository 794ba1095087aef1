//! Bad input, as a phone may send it: each with its reason, its code, a sentence in three languages, and nothing changed.

use std::collections::HashSet;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use borsellino_proto::reason::{Reason, Refused};
use borsellino_proto::v1::{PayBy, StartTopUpRequest};
use borsellino_server::auth::keys::Keys;
use borsellino_server::auth::token::{Identity, issue_access, read_access};
use borsellino_tests::house::{
    AMINA, ELENA, House, MARIA, PAOLO, PASSWORD, Phone, TOWN, UNION, new_id, order, refused, wallet,
};
use tonic::Status;

borsellino_tests::in_both_houses! {
    amounts;
    what_a_wallet_can_hold;
    wallets_of_others;
    too_many_at_once;
    ids_that_were_used;
    fields_of_no_form;
    bills_and_top_ups_of_others;
    tokens_that_open_nothing;
    codes_that_nobody_gave_out;
}

/// Makes the call in three languages and holds the refusals against `expected`; nothing may have changed.
async fn says_no<T: std::fmt::Debug>(
    house: &House,
    phone: &Phone,
    call: impl AsyncFn(Phone) -> Result<T, Status>,
    expected: Reason,
) -> Refused {
    let before = house.rows().await;
    let mut sentences = HashSet::new();
    let mut last = None;
    for language in ["it", "en", "de"] {
        let refused = refused(call(phone.speaking(language)).await);
        assert_eq!(refused.reason, expected, "{refused:?}");
        sentences.insert(refused.sentence.clone());
        last = Some(refused);
    }
    assert_eq!(sentences.len(), 3, "three languages, three sentences: {sentences:?}");
    assert_eq!(house.rows().await, before, "{expected:?} changed something");
    last.expect("a refusal")
}

async fn start(house: &House, phone: &Phone, order: StartTopUpRequest, expected: Reason) -> Refused {
    says_no(house, phone, async |phone: Phone| phone.start(order.clone()).await, expected).await
}

/// Maria, and the id of Giulia's canteen wallet.
async fn maria(house: &House) -> (Phone, String) {
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    (phone, canteen)
}

async fn amounts(house: &House) {
    let (phone, canteen) = maria(house).await;
    for (cents, reason, limit) in [
        (0, Reason::AmountInvalid, None),
        (-1, Reason::AmountInvalid, None),
        (-2_000, Reason::AmountInvalid, None),
        (i64::MIN, Reason::AmountInvalid, None),
        (i64::MAX, Reason::AmountInvalid, None),
        // One cent more than pagoPA can carry.
        (100_000_000_000, Reason::AmountInvalid, None),
        (1, Reason::BelowMinimum, Some(500)),
        (499, Reason::BelowMinimum, Some(500)),
        (20_001, Reason::AboveMaximum, Some(20_000)),
        (99_999_999_999, Reason::AboveMaximum, Some(20_000)),
    ] {
        for pay_by in [PayBy::Online, PayBy::Notice] {
            let refused = start(house, &phone, order(&canteen, cents, pay_by), reason).await;
            assert_eq!(refused.limit_cents, limit, "{cents}");
            if let Some(limit) = limit {
                let euro = (limit / 100).to_string();
                assert!(refused.sentence.contains(&euro), "the sentence names the limit: {}", refused.sentence);
            }
        }
    }
    assert!(phone.top_up(&canteen, 500, PayBy::Notice).await.is_ok(), "the smallest");
    assert!(phone.top_up(&canteen, 20_000, PayBy::Notice).await.is_ok(), "the largest");
}

async fn what_a_wallet_can_hold(house: &House) {
    let (phone, canteen) = maria(house).await;
    house.execute("UPDATE service SET wallet_max_cents = 10000").await;
    // It holds 12,15 €, and 20,00 € wait to be paid.
    let refused = start(house, &phone, order(&canteen, 6_786, PayBy::Online), Reason::AboveWalletMaximum).await;
    assert_eq!(refused.limit_cents, Some(6_785));
    assert!(refused.sentence.contains("67,85"), "{}", refused.sentence);
    let home = phone.home().await.expect("home");
    let choices = wallet(&home, "Giulia", "Mensa scolastica").choices.clone().expect("choices");
    assert_eq!((choices.max_cents, choices.presets_cents.last()), (6_785, Some(&6_000)), "home knows it before");
    assert!(phone.top_up(&canteen, 6_785, PayBy::Notice).await.is_ok());
    let refused = start(house, &phone, order(&canteen, 500, PayBy::Online), Reason::AboveWalletMaximum).await;
    assert_eq!(refused.limit_cents, Some(0), "what waits counts");
    let home = phone.home().await.expect("home");
    assert_eq!(wallet(&home, "Giulia", "Mensa scolastica").choices.as_ref().map(|its| its.max_cents), Some(0));

    let id = house.fresh.id(canteen.parse().expect("an id"));
    house.execute(&format!("UPDATE wallet SET closed_at_ms = 1 WHERE id = {id}")).await;
    start(house, &phone, order(&canteen, 1_000, PayBy::Notice), Reason::WalletClosed).await;
}

/// A wallet of another guardian's.
async fn wallet_of(house: &House, username: &str) -> String {
    let home = house.phone(username).await.home().await.expect("home");
    home.children[0].wallets[0].id.clone()
}

async fn wallets_of_others(house: &House) {
    let (phone, _) = maria(house).await;
    for other in [wallet_of(house, AMINA).await, wallet_of(house, ELENA).await, new_id(), phone.guardian.id.clone()] {
        for pay_by in [PayBy::Online, PayBy::Notice] {
            start(house, &phone, order(&other, 1_000, pay_by), Reason::UnknownWallet).await;
            // A bad amount does not tell whether it exists.
            start(house, &phone, order(&other, 1, pay_by), Reason::UnknownWallet).await;
        }
        let look = async |phone: Phone| phone.movements(&other, 5, "").await;
        says_no(house, &phone, look, Reason::UnknownWallet).await;
    }
}

async fn too_many_at_once(house: &House) {
    let (phone, canteen) = maria(house).await;
    for _ in 0..2 {
        phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("one waits already, three may");
    }
    start(house, &phone, order(&canteen, 1_000, PayBy::Notice), Reason::TooManyOpen).await;
    start(house, &phone, order(&canteen, 1_000, PayBy::Online), Reason::TooManyOpen).await;
    let paolo = house.phone(PAOLO).await;
    start(house, &paolo, order(&canteen, 1_000, PayBy::Notice), Reason::TooManyOpen).await;
    // The one from yesterday expires first, at the end of its last day, and makes room.
    house.advance(Duration::from_secs(29 * 86_400 + 13 * 3_600));
    let (phone, canteen) = maria(house).await;
    phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("room for one");
    start(house, &phone, order(&canteen, 1_000, PayBy::Notice), Reason::TooManyOpen).await;

    // Ten at once for the two places of another wallet.
    house.advance(Duration::from_secs(60 * 86_400));
    house.execute("UPDATE service SET max_open = 2").await;
    let (phone, canteen) = maria(house).await;
    let orders = (0..10).map(|_| phone.top_up(&canteen, 1_000, PayBy::Notice));
    let answers = futures_util::future::join_all(orders).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    for refusal in answers.into_iter().filter(Result::is_err) {
        assert_eq!(refused(refusal).reason, Reason::TooManyOpen);
    }
}

async fn ids_that_were_used(house: &House) {
    let (phone, canteen) = maria(house).await;
    let home = phone.home().await.expect("home");
    let first = order(&canteen, 1_000, PayBy::Notice);
    phone.start(first.clone()).await.expect("a top-up");
    let bus = wallet(&home, "Giulia", "Trasporto scolastico").id.clone();
    for other in [
        StartTopUpRequest { amount_cents: 1_001, ..first.clone() },
        StartTopUpRequest { wallet_id: bus, ..first.clone() },
        StartTopUpRequest { pay_by: PayBy::Online.into(), ..first.clone() },
    ] {
        start(house, &phone, other, Reason::IdReused).await;
    }
    start(house, &house.phone(PAOLO).await, first.clone(), Reason::IdReused).await;
    let wallet_id = wallet_of(house, AMINA).await;
    let hers = StartTopUpRequest { wallet_id, ..first.clone() };
    start(house, &house.phone(AMINA).await, hers, Reason::IdReused).await;
    // Ids are each creditor's own.
    let elsewhere = StartTopUpRequest { wallet_id: wallet_of(house, ELENA).await, ..first.clone() };
    assert!(!house.phone(ELENA).await.start(elsewhere).await.expect("a top-up").replayed);
    assert!(phone.start(first).await.expect("the same top-up").replayed);
}

async fn fields_of_no_form(house: &House) {
    let (phone, canteen) = maria(house).await;
    let good = order(&canteen, 1_000, PayBy::Notice);
    let text = |text: &str| text.to_owned();
    for (field, bad) in [
        ("id", StartTopUpRequest { id: text(""), ..good.clone() }),
        ("id", StartTopUpRequest { id: text("not an id"), ..good.clone() }),
        ("id", StartTopUpRequest { id: good.id.repeat(1_000), ..good.clone() }),
        ("wallet_id", StartTopUpRequest { wallet_id: text(""), ..good.clone() }),
        ("wallet_id", StartTopUpRequest { wallet_id: text("' OR 1=1 --"), ..good.clone() }),
        ("pay_by", StartTopUpRequest { pay_by: 0, ..good.clone() }),
        ("pay_by", StartTopUpRequest { pay_by: 99, ..good.clone() }),
    ] {
        let refused = start(house, &phone, bad, Reason::Malformed).await;
        assert_eq!(refused.field.as_deref(), Some(field));
    }
    for token in ["x", "AAAA", "%%%", &"A".repeat(42), &"A".repeat(44), &"A".repeat(10_000)] {
        let look = async |phone: Phone| phone.movements("", 5, token).await;
        let refused = says_no(house, &phone, look, Reason::Malformed).await;
        assert_eq!(refused.field.as_deref(), Some("page_token"), "{token}");
    }
    let refused =
        says_no(house, &phone, async |phone: Phone| phone.movements("x", 5, "").await, Reason::Malformed).await;
    assert_eq!(refused.field.as_deref(), Some("wallet_id"));
    let refused = says_no(house, &phone, async |phone: Phone| phone.payment("x").await, Reason::Malformed).await;
    assert_eq!(refused.field.as_deref(), Some("id"));
    let refused = says_no(house, &phone, async |phone: Phone| phone.pay_bill("x").await, Reason::Malformed).await;
    assert_eq!(refused.field.as_deref(), Some("bill_id"));
    let refused = says_no(house, &phone, async |phone: Phone| phone.refresh("").await, Reason::Malformed).await;
    assert_eq!(refused.field.as_deref(), Some("refresh_token"));
}

async fn bills_and_top_ups_of_others(house: &House) {
    let (phone, _) = maria(house).await;
    let home = phone.home().await.expect("home");
    let theirs = house.phone(ELENA).await.home().await.expect("home").bills[0].id.clone();
    for bill in [theirs, new_id()] {
        says_no(house, &phone, async |phone: Phone| phone.pay_bill(&bill).await, Reason::UnknownBill).await;
    }
    let stranger = house.phone(AMINA).await;
    let bill = &home.bills[0].id;
    says_no(house, &stranger, async |phone: Phone| phone.pay_bill(bill).await, Reason::UnknownBill).await;
    let top_up = &home.payments[0].id;
    for (whose, id) in [(&stranger, top_up), (&house.phone(PAOLO).await, top_up), (&phone, &new_id())] {
        says_no(house, whose, async |phone: Phone| phone.payment(id).await, Reason::UnknownTopUp).await;
    }
    house.execute("UPDATE notice SET state = 'cancelled' WHERE bill IS NOT NULL").await;
    says_no(house, &phone, async |phone: Phone| phone.pay_bill(bill).await, Reason::BillSettled).await;
}

/// Every call that wants a token.
async fn opens_nothing(house: &House, phone: &Phone, expected: Reason) {
    let canteen = new_id();
    says_no(house, phone, async |phone: Phone| phone.home().await, expected).await;
    says_no(house, phone, async |phone: Phone| phone.movements("", 5, "").await, expected).await;
    start(house, phone, order(&canteen, 1_000, PayBy::Notice), expected).await;
    says_no(house, phone, async |phone: Phone| phone.payment(&canteen).await, expected).await;
    says_no(house, phone, async |phone: Phone| phone.pay_bill(&canteen).await, expected).await;
    if expected == Reason::TokenInvalid {
        says_no(house, phone, async |phone: Phone| phone.sign_out().await, expected).await;
        says_no(house, phone, async |phone: Phone| phone.watch(0).await.map(drop), expected).await;
    }
}

async fn tokens_that_open_nothing(house: &House) {
    let (phone, _) = maria(house).await;
    let token = phone.tokens.access_token.clone();
    let identity = read_access(&house.app.keys, &token, house.app.now()).expect("a token of ours");
    let later = Millis::new(house.now() + 60_000);
    assert!(phone.with_token(&issue_access(&house.app.keys, &identity, later)).home().await.is_ok());

    let mut altered = token.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).expect("text");
    let other_server = Keys::derive(&[8; 32]).expect("keys");
    for bad in [
        "",
        "x",
        "....",
        &altered,
        &token[..token.len() - 1],
        &(token.clone() + "A"),
        &phone.tokens.refresh_token,
        &issue_access(&other_server, &identity, later),
    ] {
        opens_nothing(house, &phone.with_token(bad), Reason::TokenInvalid).await;
    }
    // Signed by us, for a creditor where this guardian is nobody.
    let union = CreditorCode::parse(UNION).expect("a code");
    let elsewhere = issue_access(&house.app.keys, &Identity { creditor: union, ..identity }, later);
    opens_nothing(house, &phone.with_token(&elsewhere), Reason::SessionEnded).await;
    // Another creditor's token opens that creditor only.
    let elena = house.phone(ELENA).await;
    let (_, canteen) = maria(house).await;
    start(house, &elena, order(&canteen, 1_000, PayBy::Notice), Reason::UnknownWallet).await;

    house.advance(Duration::from_secs(15 * 60));
    opens_nothing(house, &phone, Reason::TokenInvalid).await;
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
}

async fn codes_that_nobody_gave_out(house: &House) {
    let phone = house.phone(MARIA).await.with_token("");
    for code in ["5645312011", "0000000000", "", "564531201", "56453120100", "564531201O", "' OR 1=1", "٥٦٤٥٣١٢٠١٠"]
    {
        let ask = async |phone: Phone| phone.resolve(code).await;
        says_no(house, &phone, ask, Reason::UnknownActivationCode).await;
    }
}
