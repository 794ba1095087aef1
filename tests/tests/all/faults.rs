//! What goes wrong between pagoPA and us, played by the sandbox through the whole house: whatever is slow, lost,
//! doubled, out of order, late or cut, each cent is credited once, and what was never answered comes again.

use std::time::Duration;

use borsellino_pagopa::sandbox::{Config, Timeouts};
use borsellino_proto::v1::{self, PayBy, PaymentState};
use borsellino_tests::house::{House, MARIA, SOON, TOWN, order, wallet};
use serde_json::{Value, json};

borsellino_tests::in_both_houses! {
    with hurried;
    a_lost_answer_comes_again_and_is_credited_once;
    a_lost_request_comes_again;
    a_cut_request_comes_again;
    a_node_that_waits_no_longer_comes_again;
    twice_at_once_is_credited_once;
    again_after_the_answer_is_credited_once;
    receipts_out_of_order_find_their_places;
    a_late_receipt_is_credited_when_it_comes;
    what_is_never_sent_can_be_pulled;
    a_slow_question_changes_nothing;
    a_question_whose_answer_is_lost_changes_nothing;
    a_lost_page_is_opened_anew;
    everything_at_once;
    both_versions_of_a_receipt_are_one;
    a_second_real_payment_waits_for_the_office;
    in_stand_in_the_money_is_booked;
    postal_wishes_are_kept;
}

/// The Node's time, scaled: an hour is half a second, and it waits three seconds for a question, six for a receipt. That is
/// longer than the server takes on a busy machine.
fn hurried(config: &mut Config) {
    config.hour = Duration::from_millis(500);
    config.timeouts = Timeouts { verify: Duration::from_secs(3), receipt: Duration::from_secs(6) };
}

/// Longer than the Node waits for anything here.
const TOO_SLOW: u64 = 20_000;

async fn home(house: &House) -> v1::HomeResponse {
    house.phone(MARIA).await.home().await.expect("home")
}

async fn balance(house: &House, id: &str) -> i64 {
    let home = home(house).await;
    let mut wallets = home.children.iter().flat_map(|child| &child.wallets);
    wallets.find(|its| its.id == id).expect("the wallet").balance_cents
}

/// Maria's waiting top-up of 20,00 €, with its notice and the balance of its wallet.
async fn top_up(house: &House) -> (v1::Payment, String, i64) {
    let [payment] = home(house).await.payments.try_into().expect("one top-up");
    let number = payment.notice.as_ref().expect("a notice").number.clone();
    let before = balance(house, &payment.wallet_id).await;
    (payment, number, before)
}

async fn arm(house: &House, fault: Value) {
    let armed = house.order("faults", fault).await;
    assert!(armed["id"].is_u64(), "{armed}");
}

/// Pays at the counter; answers the receipt's id and how its delivery stands.
async fn pay(house: &House, number: &str) -> (String, String) {
    let paid = house.counter(TOWN, number).await;
    assert_eq!(paid["outcome"], "paid", "{paid}");
    let text = |name: &str| paid[name].as_str().expect("a text").to_owned();
    (text("receipt_id"), text("delivery"))
}

/// Waits until all receipts of a payment were acknowledged; answers the payment.
async fn acknowledged(house: &House, receipt_id: &str) -> Value {
    let waiting = async {
        loop {
            let payment = house.sandbox(&format!("payments/{receipt_id}")).await;
            let deliveries = payment["deliveries"].as_array().expect("deliveries");
            if deliveries.iter().all(|delivery| delivery["status"] == "acknowledged") {
                return payment;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("an acknowledgement")
}

/// What came of each attempt of the first delivery.
fn results(payment: &Value) -> Vec<&str> {
    let attempts = payment["deliveries"][0]["attempts"].as_array().expect("attempts");
    attempts.iter().map(|attempt| attempt["result"].as_str().expect("a text")).collect()
}

const GONE: &str = "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE";
const SLOW: &str = "PPT_STAZIONE_INT_PA_TIMEOUT";

/// The waiting top-up is paid while one receipt is struck: the wallet has the money after the last of these attempts,
/// once, and one receipt is kept.
async fn struck_once(house: &House, fault: &str, credited_at_first: bool, expected: &[&str]) {
    let (payment, number, before) = top_up(house).await;
    arm(house, json!({ "fault": fault, "operation": "receipt", "calls": 1, "notice_number": number })).await;
    let (id, _) = pay(house, &number).await;
    if credited_at_first {
        assert_eq!(balance(house, &payment.wallet_id).await, before + 2_000, "handled, whatever the Node heard");
    }
    let paid = acknowledged(house, &id).await;
    let mut results = results(&paid);
    results.sort_unstable();
    assert_eq!(results, expected, "{paid}");
    let all = house.sandbox("faults").await;
    assert_eq!(all["struck"].as_array().expect("a list").len(), 1, "{all}");
    credited_once(house, &payment, &number, before).await;
}

async fn credited_once(house: &House, payment: &v1::Payment, number: &str, before: i64) {
    assert_eq!(balance(house, &payment.wallet_id).await, before + 2_000);
    assert_eq!(house.outcomes(TOWN, number).await, ["wallet"]);
    assert_eq!(house.suspense(TOWN).await, 0);
    assert_eq!((house.kept("anomaly").await, house.kept("quarantine").await), (0, 0));
    let paid = house.phone(MARIA).await.payment(&payment.id).await.expect("the payment");
    assert_eq!(paid.state(), PaymentState::Paid);
}

async fn a_lost_answer_comes_again_and_is_credited_once(house: &House) {
    struck_once(house, "lost_answer", true, &["OK", GONE]).await;
}

async fn a_lost_request_comes_again(house: &House) {
    struck_once(house, "lost_request", false, &["OK", GONE]).await;
}

async fn a_cut_request_comes_again(house: &House) {
    struck_once(house, "cut", false, &["OK", GONE]).await;
}

async fn a_node_that_waits_no_longer_comes_again(house: &House) {
    struck_once(house, "time_out", true, &["OK", SLOW]).await;
}

async fn twice_at_once_is_credited_once(house: &House) {
    struck_once(house, "twice", true, &["OK", "OK"]).await;
}

async fn again_after_the_answer_is_credited_once(house: &House) {
    struck_once(house, "again", true, &["OK", "OK"]).await;
}

async fn receipts_out_of_order_find_their_places(house: &House) {
    let (payment, number, before) = top_up(house).await;
    let bills = home(house).await.bills;
    let numbers =
        [number.clone()].into_iter().chain(bills.iter().map(|b| b.notice.as_ref().expect("one").number.clone()));
    arm(house, json!({ "fault": "out_of_order", "operation": "receipt", "receipts": 2, "calls": 1 })).await;
    let kept = house.number("SELECT COUNT(*) FROM receipt").await;
    let mut ids = Vec::new();
    for number in numbers {
        assert_eq!(house.number("SELECT COUNT(*) FROM receipt").await, kept, "none before the last is due");
        ids.push(pay(house, &number).await.0);
    }
    for id in &ids {
        acknowledged(house, id).await;
    }
    credited_once(house, &payment, &number, before).await;
    assert!(home(house).await.bills.is_empty(), "both are settled");
}

async fn a_late_receipt_is_credited_when_it_comes(house: &House) {
    let (payment, number, before) = top_up(house).await;
    arm(house, json!({ "fault": "late", "operation": "receipt", "hours": 4, "calls": 1 })).await;
    let begun = tokio::time::Instant::now();
    let (id, delivery) = pay(house, &number).await;
    assert_eq!(delivery, "held");
    let meanwhile = balance(house, &payment.wallet_id).await;
    if house.sandbox(&format!("payments/{id}")).await["delivery"] == "held" {
        assert_eq!(meanwhile, before, "nothing but the receipt is a proof");
    }
    acknowledged(house, &id).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "four hours of the platform");
    credited_once(house, &payment, &number, before).await;
}

async fn what_is_never_sent_can_be_pulled(house: &House) {
    let (payment, number, before) = top_up(house).await;
    arm(house, json!({ "fault": "never", "operation": "receipt", "notice_number": number })).await;
    let (id, delivery) = pay(house, &number).await;
    assert_eq!(delivery, "held");
    assert_eq!(balance(house, &payment.wallet_id).await, before);
    assert!(house.outcomes(TOWN, &number).await.is_empty());
    let pulled = house.order(&format!("payments/{id}/redeliver"), json!({})).await;
    assert_eq!(pulled["results"][0]["outcome"], "acknowledged", "{pulled}");
    credited_once(house, &payment, &number, before).await;
    house.order(&format!("payments/{id}/redeliver"), json!({})).await;
    credited_once(house, &payment, &number, before).await;
}

/// Both questions, slower than the Node waits: before the request leaves, and before the answer is read.
async fn a_slow_question_changes_nothing(house: &House) {
    let (payment, number, before) = top_up(house).await;
    let rows = house.rows().await;
    for (operation, fault) in [("verify", "slow"), ("activate", "slow_answer")] {
        arm(house, json!({ "fault": fault, "operation": operation, "calls": 1, "millis": TOO_SLOW })).await;
        let refused = house.counter(TOWN, &number).await;
        assert_eq!(refused["outcome"], "not_payable", "{refused}");
        assert_eq!(refused["fault"]["code"], SLOW, "{operation} {fault}");
    }
    assert_eq!(house.rows().await, rows);
    let (id, _) = pay(house, &number).await;
    acknowledged(house, &id).await;
    credited_once(house, &payment, &number, before).await;
}

async fn a_question_whose_answer_is_lost_changes_nothing(house: &House) {
    let (payment, number, before) = top_up(house).await;
    let rows = house.rows().await;
    for operation in ["verify", "activate"] {
        for fault in ["lost_request", "lost_answer", "cut"] {
            arm(house, json!({ "fault": fault, "operation": operation, "calls": 1 })).await;
            assert_eq!(house.counter(TOWN, &number).await["fault"]["code"], GONE, "{operation} {fault}");
        }
        for fault in ["twice", "again"] {
            arm(house, json!({ "fault": fault, "operation": operation, "calls": 1 })).await;
        }
    }
    assert_eq!(house.rows().await, rows);
    let verified = house.order("notices/verify", json!({ "creditor": TOWN, "notice_number": number })).await;
    assert_eq!(verified["outcome"], "payable");
    let (id, _) = pay(house, &number).await;
    acknowledged(house, &id).await;
    credited_once(house, &payment, &number, before).await;
}

/// Checkout opened a page and we never heard of it, or it never heard of us: the top-up stands, and asked again it gets a
/// page, with which it is paid once.
async fn a_lost_page_is_opened_anew(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(house).await, "Giulia", "Mensa scolastica").clone();
    for (paid, fault) in (1..).zip(["lost_request", "lost_answer", "cut"]) {
        arm(house, json!({ "fault": fault, "operation": "cart", "calls": 1, "creditor": TOWN })).await;
        let wish = order(&canteen.id, 500, PayBy::Online);
        let first = phone.start(wish.clone()).await.expect("the top-up succeeds");
        assert!(first.checkout_unavailable && !first.replayed, "{fault}");
        let again = phone.start(wish).await.expect("the same top-up");
        assert!(!again.checkout_unavailable && again.replayed, "{fault}");
        house.pay_page(&again.payment.expect("a payment").checkout_url).await;
        assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + 500 * paid);
    }
}

/// Nine top-ups of one wallet, each with a fault of its own, paid at the same time.
async fn everything_at_once(house: &House) {
    house.execute("UPDATE service SET max_open = 32").await;
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(house).await, "Giulia", "Mensa scolastica").clone();
    let faults = [
        json!({ "fault": "slow", "millis": 700 }),
        json!({ "fault": "slow_answer", "millis": 700 }),
        json!({ "fault": "lost_request" }),
        json!({ "fault": "lost_answer" }),
        json!({ "fault": "twice" }),
        json!({ "fault": "again" }),
        json!({ "fault": "late", "hours": 2 }),
        json!({ "fault": "time_out" }),
        json!({ "fault": "cut" }),
    ];
    let kept = house.number("SELECT COUNT(*) FROM receipt").await;
    let mut numbers = Vec::new();
    for (extra, mut fault) in (0..).zip(faults) {
        let payment = phone.top_up(&canteen.id, 500 + extra, PayBy::Notice).await.expect("a top-up");
        let number = payment.notice.expect("a notice").number;
        let more = json!({ "operation": "receipt", "calls": 1, "creditor": TOWN, "notice_number": number });
        fault.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        arm(house, fault).await;
        numbers.push(number);
    }
    let paid = futures_util::future::join_all(numbers.iter().map(|number| pay(house, number))).await;
    for (id, _) in &paid {
        acknowledged(house, id).await;
    }
    let total: i64 = (0..9).map(|extra| 500 + extra).sum();
    assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + total);
    assert_eq!(house.number("SELECT COUNT(*) FROM receipt").await, kept + 9);
    for number in &numbers {
        assert_eq!(house.outcomes(TOWN, number).await, ["wallet"]);
    }
    assert_eq!((house.suspense(TOWN).await, house.kept("anomaly").await), (0, 0));
}

async fn both_versions_of_a_receipt_are_one(house: &House) {
    let (payment, number, before) = top_up(house).await;
    let wish = json!({ "creditor": TOWN, "notice_number": number, "also_v1": true });
    let paid = house.order("notices/pay", wish).await;
    let deliveries = paid["deliveries"].as_array().expect("deliveries");
    let sent: Vec<_> = deliveries.iter().map(|d| (d["operation"].as_str(), d["status"].as_str())).collect();
    assert_eq!(sent, [(Some("paSendRTV2"), Some("acknowledged")), (Some("paSendRT"), Some("acknowledged"))]);
    credited_once(house, &payment, &number, before).await;
}

async fn a_second_real_payment_waits_for_the_office(house: &House) {
    let (payment, number, before) = top_up(house).await;
    pay(house, &number).await;
    assert_eq!(house.counter(TOWN, &number).await["outcome"], "not_payable");
    let again = house.order("notices/pay", json!({ "creditor": TOWN, "notice_number": number, "again": true })).await;
    assert_eq!((&again["outcome"], &again["delivery"]), (&json!("paid"), &json!("acknowledged")), "{again}");
    assert_eq!(balance(house, &payment.wallet_id).await, before + 2_000);
    assert_eq!(house.suspense(TOWN).await, 2_000);
    let mut outcomes = house.outcomes(TOWN, &number).await;
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["double_payment", "wallet"]);
}

/// Paid for what the archive knew, which may be another amount: the wallet gets what was paid.
async fn in_stand_in_the_money_is_booked(house: &House) {
    let (payment, number, before) = top_up(house).await;
    let on = house.order("stand_in", json!({ "creditor": TOWN, "on": true })).await;
    assert_eq!(on["probes"][0]["good"], true, "{on}");
    let wish = json!({ "creditor": TOWN, "notice_number": number, "amount_cents": 1_500 });
    let paid = house.order("stand_in/pay", wish).await;
    assert_eq!((&paid["outcome"], &paid["delivery"]), (&json!("paid"), &json!("acknowledged")), "{paid}");
    assert_eq!(balance(house, &payment.wallet_id).await, before + 1_500);
    // And for a notice that nobody here knows.
    let wish = json!({ "creditor": TOWN, "notice_number": "301123456789012345", "amount_cents": 700 });
    assert_eq!(house.order("stand_in/pay", wish).await["delivery"], "acknowledged");
    assert_eq!(house.suspense(TOWN).await, 700);
    house.order("stand_in", json!({ "creditor": TOWN, "on": false })).await;
}

/// The town has a postal account and says so; `House::close` finds no violation.
async fn postal_wishes_are_kept(house: &House) {
    let bills = home(house).await.bills;
    for (bill, transfer_type) in bills.iter().zip(["POSTAL", "PAGOPA"]) {
        let number = &bill.notice.as_ref().expect("a notice").number;
        let wish = json!({ "creditor": TOWN, "notice_number": number, "transfer_type": transfer_type });
        assert_eq!(house.order("notices/pay", wish).await["delivery"], "acknowledged", "{transfer_type}");
    }
    assert!(home(house).await.bills.is_empty());
}
