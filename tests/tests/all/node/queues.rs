//! The office's queues: what could not find its place by itself is there, and a decision about it stands.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::uuid_v7;
use borsellino_domain::queue::{Action, Queue};
use borsellino_domain::time::Millis;
use borsellino_server::auth::keys::Keys;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::queues::{Decision, NotShown, Order, QueueRefusal, Waiting, list, resolve, show};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, TOWN, UNION};
use futures_util::future::join_all;

use super::{balance, number, payable};

borsellino_tests::in_both_houses! {
    each_kind_waits_in_its_queue;
    a_second_payment_is_booked_to_another_wallet;
    a_second_payment_is_booked_to_a_bill;
    money_is_marked_for_refund_or_booked_and_never_dismissed;
    what_holds_no_money_is_dismissed;
    of_many_decisions_one_stands;
    the_office_sees_what_came;
}

fn town() -> CreditorCode {
    CreditorCode::parse(TOWN).expect("a creditor")
}

async fn open(house: &House) -> Vec<Waiting> {
    let mut waiting = list(&house.fresh.store, town()).await.expect("a readable database");
    waiting.retain(|one| one.resolution.is_none());
    waiting
}

/// The only item that waits.
async fn only(house: &House) -> Waiting {
    let [one] = open(house).await.try_into().expect("one item");
    one
}

fn order(house: &House, item: &str, decision: Decision) -> Order {
    let at = Millis::new(house.now());
    Order {
        creditor: town(),
        item: item.to_owned(),
        decision,
        reason: "checked with the family".to_owned(),
        operator: "A. Verdi".to_owned(),
        at,
        entry: uuid_v7(at, borsellino_server::clock::random().expect("randomness")).into(),
    }
}

async fn decide(house: &House, order: Order) -> Result<Action, QueueRefusal> {
    match resolve(&house.fresh.store, order).await {
        Ok(row) => Ok(row.action),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Fault(fault)) => panic!("{fault}"),
    }
}

async fn sound(house: &House) {
    let report = verify(&house.fresh.store, &town(), |_| ()).await.expect("a readable database");
    assert_eq!(report.broken, None);
}

/// Pays Maria's waiting top-up twice; answers the notice and the wallet.
async fn paid_twice(house: &House) -> (String, String) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref()).to_owned();
    for _ in 0..2 {
        assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    }
    (notice, top_up.wallet_id)
}

async fn each_kind_waits_in_its_queue(house: &House) {
    assert!(open(house).await.is_empty());
    let (notice, _) = paid_twice(house).await;
    assert!(house.deliver(&Receipt::new("301123456789012345", 1_234)).await.is_ok());
    assert!(house.deliver(&Receipt { outcome: "KO", ..Receipt::new("302987654321098765", 500) }).await.is_ok());
    let known = Receipt::new("303123456789012345", 700);
    assert!(house.deliver(&known).await.is_ok());
    let other = Receipt { transfers: vec![(TOWN.to_owned(), 9_000)], ..known };
    assert!(!house.deliver(&other).await.is_ok());
    let unreadable = Receipt::new("304123456789012345", 100).xml().replace("<noticeNumber>", "<noticeNumber>x");
    assert_eq!(house.soap(Some("paSendRTV2"), unreadable).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"));

    let waiting = open(house).await;
    let mut found: Vec<_> =
        waiting.iter().map(|one| (one.queue.code(), one.why.as_str(), one.amount.map(|amount| amount.get()))).collect();
    found.sort_unstable();
    let [anomaly, ko, double, quarantine, first, second] = found[..] else { panic!("{found:?}") };
    assert!(anomaly.0 == "anomaly" && anomaly.1.starts_with("another receipt stands under"), "{anomaly:?}");
    assert_eq!(ko, ("anomaly", "outcome_ko", None));
    assert_eq!(double, ("double", "double_payment", Some(2_000)));
    assert!(quarantine.0 == "quarantine" && quarantine.2.is_none(), "{quarantine:?}");
    assert_eq!(first, ("suspense", "unknown_notice", Some(700)));
    assert_eq!(second, ("suspense", "unknown_notice", Some(1_234)));
    let double = waiting.iter().find(|one| one.queue == Queue::Double).expect("the second payment");
    assert_eq!(double.notice.as_deref(), Some(notice.as_str()));
    let theirs = list(&house.fresh.store, CreditorCode::parse(UNION).expect("a creditor")).await;
    assert!(theirs.expect("a readable database").is_empty(), "another creditor's queues");
}

async fn a_second_payment_is_booked_to_another_wallet(house: &House) {
    let (_, paid) = paid_twice(house).await;
    let home = house.phone(MARIA).await.home().await.expect("home");
    let mut wallets = home.children.iter().flat_map(|child| &child.wallets);
    let other = wallets.find(|wallet| wallet.open && wallet.id != paid).expect("another wallet");
    let (suspense, changes) = (house.suspense(TOWN).await, house.number("SELECT COUNT(*) FROM feed").await);
    let item = only(house).await.item;

    let to_wallet = Decision::ToWallet(other.id.parse::<uuid::Uuid>().expect("an id").into());
    let order_once = order(house, &item, to_wallet);
    for _ in 0..2 {
        // The same order again finds itself done.
        assert_eq!(decide(house, order_once.clone()).await, Ok(Action::BookedToWallet));
    }
    assert_eq!(balance(house, &other.id).await, other.balance_cents + 2_000);
    assert_eq!(house.suspense(TOWN).await, suspense - 2_000);
    assert!(house.number("SELECT COUNT(*) FROM feed").await > changes, "the family is told");
    assert!(open(house).await.is_empty());
    let Err(QueueRefusal::Decided(stands)) = decide(house, order(house, &item, Decision::Refund)).await else {
        panic!("a decision stands")
    };
    assert_eq!((stands.action, stands.operator.as_str()), (Action::BookedToWallet, "A. Verdi"));
    sound(house).await;
}

async fn a_second_payment_is_booked_to_a_bill(house: &House) {
    let (_, second, _) = payable(house).await;
    paid_twice(house).await;
    let item = only(house).await.item;
    let to_bill = Decision::ToBill(second.id.parse::<uuid::Uuid>().expect("an id").into());
    assert_eq!(decide(house, order(house, &item, to_bill)).await, Ok(Action::BookedToBill));
    let home = house.phone(MARIA).await.home().await.expect("home");
    let bill = home.bills.iter().find(|bill| bill.id == second.id).expect("it is still open");
    assert_eq!((bill.paid_cents, bill.residual_cents), (2_000, second.residual_cents - 2_000));
    sound(house).await;
}

async fn money_is_marked_for_refund_or_booked_and_never_dismissed(house: &House) {
    paid_twice(house).await;
    let (item, suspense) = (only(house).await.item, house.suspense(TOWN).await);
    let nowhere = uuid::Uuid::from_u128(1);
    let unsigned = |reason: &str, operator: &str| Order {
        reason: reason.to_owned(),
        operator: operator.to_owned(),
        ..order(house, &item, Decision::Refund)
    };
    for (order, refusal) in [
        (order(house, &item, Decision::Dismiss), QueueRefusal::Money),
        (order(house, &item, Decision::ToWallet(nowhere.into())), QueueRefusal::NoWallet),
        (order(house, &item, Decision::ToBill(nowhere.into())), QueueRefusal::NoBill),
        (order(house, "r-99900010010-none", Decision::Refund), QueueRefusal::Unknown),
        (unsigned(" ", "A. Verdi"), QueueRefusal::Unsigned),
        (unsigned("checked", ""), QueueRefusal::Unsigned),
        (unsigned(&"x".repeat(201), "A. Verdi"), QueueRefusal::Unsigned),
    ] {
        assert_eq!(decide(house, order).await, Err(refusal));
    }
    assert_eq!(only(house).await.item, item, "nothing was decided");
    assert_eq!(decide(house, order(house, &item, Decision::Refund)).await, Ok(Action::Refund));
    assert_eq!(house.suspense(TOWN).await, suspense, "the money is there until it is paid back");
    let all = list(&house.fresh.store, town()).await.expect("a readable database");
    let kept = all.first().and_then(|one| one.resolution.as_ref()).expect("nothing is deleted");
    assert_eq!((kept.action, kept.reason.as_str(), kept.entry), (Action::Refund, "checked with the family", None));
    sound(house).await;
}

async fn what_holds_no_money_is_dismissed(house: &House) {
    let unreadable = Receipt::new("304123456789012345", 100).xml().replace("<noticeNumber>", "<noticeNumber>x");
    assert_eq!(house.soap(Some("paSendRTV2"), unreadable).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"));
    let item = only(house).await.item;
    assert_eq!(decide(house, order(house, &item, Decision::Refund)).await, Err(QueueRefusal::NoMoney));
    assert_eq!(decide(house, order(house, &item, Decision::Dismiss)).await, Ok(Action::Dismissed));
    assert!(open(house).await.is_empty());
    assert_eq!(house.kept("quarantine").await, 1, "nothing is deleted");
}

async fn of_many_decisions_one_stands(house: &House) {
    let (_, paid) = paid_twice(house).await;
    let item = only(house).await.item;
    let (before, suspense) = (balance(house, &paid).await, house.suspense(TOWN).await);
    let to_wallet = Decision::ToWallet(paid.parse::<uuid::Uuid>().expect("an id").into());
    let outcomes = join_all((0..8).map(|_| decide(house, order(house, &item, to_wallet)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(balance(house, &paid).await, before + 2_000);
    assert_eq!(house.suspense(TOWN).await, suspense - 2_000);
    sound(house).await;
}

async fn the_office_sees_what_came(house: &House) {
    let unreadable = Receipt::new("304123456789012345", 100).xml().replace("<noticeNumber>", "<noticeNumber>x");
    assert!(house.soap(Some("paSendRTV2"), unreadable.clone()).await.ko().is_some());
    let known = Receipt::new("303123456789012345", 700);
    let other = Receipt { transfers: vec![(TOWN.to_owned(), 9_000)], ..known.clone() };
    assert!(house.deliver(&known).await.is_ok());
    assert!(!house.deliver(&other).await.is_ok());
    let store = &house.fresh.store;
    let mut seen = Vec::new();
    for one in open(house).await {
        let message = show(store, &house.app.keys, town(), &one.item).await.expect("what came");
        seen.push(String::from_utf8(message).expect("text"));
    }
    for message in [unreadable, known.xml(), other.xml()] {
        assert!(seen.contains(&message), "{message}");
    }
    let (item, union) = (only_quarantined(house).await, CreditorCode::parse(UNION).expect("a creditor"));
    assert!(matches!(show(store, &house.app.keys, union, &item).await, Err(Stop::Refused(NotShown::Unknown))));
    let others = Keys::derive(&[8; 32]).expect("other keys");
    let sealed = show(store, &others, town(), &item).await;
    assert!(matches!(sealed, Err(Stop::Refused(NotShown::OtherKey(id))) if id == house.app.keys.id()));
}

async fn only_quarantined(house: &House) -> String {
    let mut waiting = open(house).await.into_iter();
    waiting.find(|one| one.queue == Queue::Quarantine).expect("a message nobody could read").item
}
