//! Receipts: credited exactly once by what was paid to us, whatever is delivered, how often, and in which order.

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::v1::PayBy;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, TOWN, UNION, wallet};
use futures_util::future::join_all;

use super::{balance, number, payable};

borsellino_tests::in_both_houses! {
    a_receipt_fills_the_wallet_once;
    a_receipt_settles_the_bill;
    a_bill_is_paid_in_two_parts;
    more_than_the_bill_is_shown_as_such;
    a_station_may_want_to_hear_of_duplicates;
    the_same_key_with_other_content_is_an_anomaly;
    a_second_payment_waits_for_the_office;
    what_we_do_not_know_waits_for_the_office;
    a_closed_wallet_takes_nothing;
    a_cancelled_notice_still_gets_its_money;
    a_receipt_that_says_ko_moves_nothing;
    a_shared_payment_reaches_both_creditors;
    both_versions_are_one_receipt;
    sixty_four_deliveries_at_once;
    sixteen_receipts_for_one_wallet_at_once;
    a_crowd_of_every_kind;
}

async fn a_receipt_fills_the_wallet_once(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    for _ in 0..3 {
        let answer = house.deliver(&receipt).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    let phone = house.phone(MARIA).await;
    let paid = phone.payment(&top_up.id).await.expect("the payment");
    assert_eq!((paid.state(), paid.paid_at_ms), (borsellino_proto::v1::PaymentState::Paid, house.now()));
    let home = phone.home().await.expect("home");
    assert!(home.payments.is_empty(), "nothing waits any more");
    let last = &home.movements[0];
    assert_eq!((last.cents, last.balance_after_cents), (2_000, before + 2_000));
    assert_eq!(last.kind(), borsellino_proto::v1::MovementKind::TopUp);
}

async fn a_receipt_settles_the_bill(house: &House) {
    let (bill, other, _) = payable(house).await;
    let suspense = house.suspense(TOWN).await;
    assert!(house.deliver(&Receipt::new(number(bill.notice.as_ref()), bill.total_cents)).await.is_ok());
    let home = house.phone(MARIA).await.home().await.expect("home");
    assert_eq!(home.bills, std::slice::from_ref(&other), "only the other bill is left");
    assert_eq!(home.total_due_cents, other.residual_cents);
    assert_eq!(house.suspense(TOWN).await, suspense);
}

async fn a_bill_is_paid_in_two_parts(house: &House) {
    let (bill, _, _) = payable(house).await;
    let notice = number(bill.notice.as_ref());
    assert!(house.deliver(&Receipt::new(notice, 20_000)).await.is_ok());
    let (left, _, _) = payable(house).await;
    assert_eq!((left.total_cents, left.paid_cents, left.residual_cents), (23_733, 20_000, 3_733));
    assert_eq!(left.state(), borsellino_proto::v1::BillState::PartPaid);
    assert_eq!(left.notice.as_ref().map(|notice| notice.amount_cents), Some(3_733));
    assert_eq!(house.verify(TOWN, notice).await.element("amount"), Some("37.33"));
    assert_eq!(house.activate(TOWN, notice, None).await.element("paymentAmount"), Some("37.33"));

    assert!(house.deliver(&Receipt::new(notice, 3_733)).await.is_ok());
    assert_eq!(house.verify(TOWN, notice).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));
    assert_eq!(house.outcomes(TOWN, notice).await, ["bill", "bill"]);
    assert_eq!(house.phone(MARIA).await.home().await.expect("home").bills.len(), 1);
}

async fn more_than_the_bill_is_shown_as_such(house: &House) {
    let (_, bill, _) = payable(house).await;
    let phone = house.phone(MARIA).await;
    let from = phone.home().await.expect("home").feed_seq;
    assert!(house.deliver(&Receipt::new(number(bill.notice.as_ref()), 4_000)).await.is_ok());
    let mut stream = phone.watch(from).await.expect("a stream");
    let told = loop {
        let event = stream.message().await.expect("no end").expect("an event").event;
        if let Some(borsellino_proto::v1::watch_response::Event::Change(change)) = event {
            break change.bill.expect("a bill");
        }
    };
    assert_eq!((told.paid_cents, told.residual_cents), (4_000, 0));
    assert_eq!(told.state(), borsellino_proto::v1::BillState::Overpaid);
    assert_eq!(told.notice, None, "nothing is left to pay");
}

async fn a_station_may_want_to_hear_of_duplicates(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    assert!(house.deliver(&receipt).await.is_ok());
    let after = house.rows().await;
    assert!(house.deliver(&receipt).await.is_ok(), "as the station is set, the stored OK");
    house.execute("UPDATE station SET duplicate_is_ko = 1").await;
    house.app.directory.reload(&house.app.store).await.expect("the directory");
    for _ in 0..2 {
        assert_eq!(house.deliver(&receipt).await.ko(), Some("PAA_RECEIPT_DUPLICATA"));
    }
    assert_eq!(house.rows().await, after);
    assert_eq!(house.kept("anomaly").await, 0, "a repetition is no anomaly");
}

async fn the_same_key_with_other_content_is_an_anomaly(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    assert!(house.deliver(&receipt).await.is_ok());
    let after = house.rows().await;
    let other = Receipt { transfers: vec![(TOWN.to_owned(), 9_000)], ..receipt.clone() };
    for _ in 0..2 {
        assert!(!house.deliver(&other).await.is_fault(), "it must not come 48 times more");
    }
    assert_eq!(house.kept("anomaly").await, 1, "kept, once");
    assert_eq!(house.rows().await, after, "credited nowhere");
    assert!(house.deliver(&receipt).await.is_ok(), "the true one is still known");
}

async fn a_second_payment_waits_for_the_office(house: &House) {
    let (bill, _, top_up) = payable(house).await;
    for (notice, cents) in [(number(top_up.notice.as_ref()), 2_000), (number(bill.notice.as_ref()), 23_733)] {
        let suspense = house.suspense(TOWN).await;
        let first = Receipt::new(notice, cents);
        assert!(house.deliver(&first).await.is_ok());
        let wallet = balance(house, &top_up.wallet_id).await;
        assert!(house.deliver(&Receipt::new(notice, cents)).await.is_ok(), "real money is never refused");
        assert_eq!(house.suspense(TOWN).await, suspense + cents);
        assert_eq!(balance(house, &top_up.wallet_id).await, wallet);
        assert_eq!(house.outcomes(TOWN, notice).await[1..], ["double_payment"]);
        assert!(house.deliver(&first).await.is_ok(), "the first delivery is known all the same");
    }
}

async fn what_we_do_not_know_waits_for_the_office(house: &House) {
    let suspense = house.suspense(TOWN).await;
    for notice in ["301123456789012345", "000000000000000000"] {
        assert!(house.deliver(&Receipt::new(notice, 1_234)).await.is_ok());
        assert_eq!(house.outcomes(TOWN, notice).await, ["unknown_notice"]);
    }
    assert_eq!(house.suspense(TOWN).await, suspense + 2 * 1_234);
}

async fn a_closed_wallet_takes_nothing(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let id = house.fresh.id(top_up.wallet_id.parse().expect("an id"));
    house.execute(&format!("UPDATE wallet SET closed_at_ms = 1 WHERE id = {id}")).await;
    let (before, suspense) = (balance(house, &top_up.wallet_id).await, house.suspense(TOWN).await);
    assert!(house.deliver(&Receipt::new(notice, 2_000)).await.is_ok());
    assert_eq!(balance(house, &top_up.wallet_id).await, before);
    assert_eq!(house.suspense(TOWN).await, suspense + 2_000);
    assert_eq!(house.outcomes(TOWN, notice).await, ["wallet_closed"]);
    assert_eq!(house.verify(TOWN, notice).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"), "it is paid");
}

async fn a_cancelled_notice_still_gets_its_money(house: &House) {
    let (bill, _, top_up) = payable(house).await;
    house.execute("UPDATE notice SET state = 'cancelled' WHERE state = 'open'").await;
    let (before, suspense) = (balance(house, &top_up.wallet_id).await, house.suspense(TOWN).await);
    let (for_wallet, for_bill) = (number(top_up.notice.as_ref()), number(bill.notice.as_ref()));
    assert!(house.deliver(&Receipt::new(for_wallet, 2_000)).await.is_ok());
    assert!(house.deliver(&Receipt::new(for_bill, 23_733)).await.is_ok());
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000, "the wallet is sure");
    assert_eq!(house.suspense(TOWN).await, suspense + 23_733, "the bill was withdrawn");
    assert_eq!(house.outcomes(TOWN, for_bill).await, ["bill_cancelled"]);
    let home = house.phone(MARIA).await.home().await.expect("home");
    assert_eq!((home.bills, home.total_due_cents), (Vec::new(), 0), "what was withdrawn is owed no more");
}

async fn a_receipt_that_says_ko_moves_nothing(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let entries = house.number("SELECT COUNT(*) FROM journal_entry").await;
    assert!(house.deliver(&Receipt { outcome: "KO", ..Receipt::new(notice, 2_000) }).await.is_ok());
    assert_eq!(house.outcomes(TOWN, notice).await, ["outcome_ko"]);
    assert_eq!(house.number("SELECT COUNT(*) FROM journal_entry").await, entries);
    assert!(house.verify(TOWN, notice).await.is_ok(), "still to be paid");
}

async fn a_shared_payment_reaches_both_creditors(house: &House) {
    let (bill, other, _) = payable(house).await;
    for (bill, second_first) in [(bill, false), (other, true)] {
        let notice = number(bill.notice.as_ref());
        let (town, union) = (house.suspense(TOWN).await, house.suspense(UNION).await);
        let transfers = vec![(TOWN.to_owned(), bill.total_cents), (UNION.to_owned(), 300)];
        let first = Receipt { transfers, ..Receipt::new(notice, 0) };
        let second = first.copy_for(UNION);
        let order = if second_first { [&second, &first] } else { [&first, &second] };
        for receipt in order.into_iter().chain(order) {
            let answer = house.deliver(receipt).await;
            assert!(answer.is_ok(), "{answer:?}");
        }
        assert_eq!(house.suspense(UNION).await, union + 300, "its own transfer, no more");
        assert_eq!(house.suspense(TOWN).await, town, "all of ours went to the bill");
        assert_eq!(house.outcomes(TOWN, notice).await, ["bill"]);
        assert_eq!(house.outcomes(UNION, notice).await, ["shared_payment"]);
    }
    assert!(house.phone(MARIA).await.home().await.expect("home").bills.is_empty());
}

async fn both_versions_are_one_receipt(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    assert!(house.deliver(&Receipt { v1: true, ..receipt.clone() }).await.is_ok());
    let after = house.rows().await;
    assert!(house.deliver(&receipt).await.is_ok());
    assert_eq!(house.rows().await, after);
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    assert_eq!(house.kept("anomaly").await, 0);
}

async fn sixty_four_deliveries_at_once(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let receipt = Receipt::new(number(top_up.notice.as_ref()), 2_000);
    let answers = join_all((0..64).map(|_| house.deliver(&receipt))).await;
    for answer in &answers {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    assert_eq!(house.outcomes(TOWN, &receipt.notice).await, ["wallet"]);
}

async fn sixteen_receipts_for_one_wallet_at_once(house: &House) {
    house.execute("UPDATE service SET max_open = 32").await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let started = join_all((0..16).map(|extra| phone.top_up(&canteen.id, 500 + extra, PayBy::Notice))).await;
    let receipts: Vec<Receipt> = started
        .into_iter()
        .map(|payment| {
            let payment = payment.expect("a top-up");
            Receipt::new(number(payment.notice.as_ref()), payment.amount_cents)
        })
        .collect();
    // Each one twice, all at once.
    let answers = join_all(receipts.iter().chain(&receipts).map(|receipt| house.deliver(receipt))).await;
    for answer in &answers {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let total: i64 = (0..16).map(|extra| 500 + extra).sum();
    assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + total);
}

/// What is ordinary shares a transaction, what is not goes on alone: nobody waits for, loses or doubles anything.
async fn a_crowd_of_every_kind(house: &House) {
    house.execute("UPDATE service SET max_open = 32").await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let wallets: Vec<_> = home.children.iter().flat_map(|child| &child.wallets).filter(|wallet| wallet.open).collect();
    let room = wallets.iter().filter(|wallet| wallet.choices.as_ref().is_some_and(|its| its.max_cents >= 2_000));
    let room: Vec<_> = room.collect();
    assert!(room.len() > 1, "{wallets:?}");
    let (settled, parted, _) = payable(house).await;
    let mut receipts = Vec::new();
    for wallet in &room {
        let payment = phone.top_up(&wallet.id, 2_000, PayBy::Notice).await.expect("a top-up");
        receipts.push(Receipt::new(number(payment.notice.as_ref()), 2_000));
    }
    receipts.push(Receipt::new(number(settled.notice.as_ref()), settled.total_cents));
    receipts.push(Receipt::new(number(parted.notice.as_ref()), 100));
    receipts.extend(["301123456789012345", "302987654321098765"].map(|unknown| Receipt::new(unknown, 1_234)));
    let (suspense, before) = (house.suspense(TOWN).await, house.number("SELECT COUNT(*) FROM receipt").await);

    // Each one twice, all at once.
    for answer in join_all(receipts.iter().chain(&receipts).map(|receipt| house.deliver(receipt))).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
    for wallet in &room {
        assert_eq!(balance(house, &wallet.id).await, wallet.balance_cents + 2_000, "{}", wallet.service_name);
    }
    let bills = phone.home().await.expect("home").bills;
    assert_eq!(bills.len(), 1, "{bills:?}");
    assert_eq!(bills[0].paid_cents, parted.paid_cents + 100);
    assert_eq!(house.suspense(TOWN).await, suspense + 2 * 1_234);
    let kept = house.number("SELECT COUNT(*) FROM receipt").await - before;
    assert_eq!(kept, i64::try_from(receipts.len()).expect("a few"));
    // Every number of every guardian's feed was dealt once.
    let numbered = house.number("SELECT CAST(SUM(feed_seq) AS BIGINT) FROM guardian").await;
    assert_eq!(house.number("SELECT COUNT(*) FROM feed").await, numbered);
    let creditor = CreditorCode::parse(TOWN).expect("a creditor");
    let report = verify(&house.fresh.store, &creditor, |_| ()).await.expect("a readable database");
    assert_eq!(report.broken, None);
}
