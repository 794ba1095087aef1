//! What the office does by hand while money is on its way: bills in instalments, bills withdrawn, notices cancelled or
//! settled at the counter - and several of them in one cart.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::draft::{DraftError, DraftPart};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::ledger::AccountKind;
use borsellino_domain::money::Amount;
use borsellino_domain::queue::Queue;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::{Bill, BillState, PayBy, PaymentState};
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::office::{
    Act, BillOrder, Issued, OfficeRefusal, cancel_notice, issue_bill, settle_notice, withdraw_bill,
};
use borsellino_server::usecases::queues::{Decision, Order, QueueRefusal, list, resolve};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, TOWN, new_id, next_change, reason, wallet};
use futures_util::future::join_all;

use super::{balance, number, payable};

borsellino_tests::in_both_houses! {
    a_bill_in_three_instalments;
    instalments_that_are_paid_short_or_long;
    instalments_paid_all_at_once;
    a_bill_stands_once;
    what_makes_no_bill;
    a_bill_withdrawn_while_it_is_being_paid;
    what_was_paid_of_a_withdrawn_bill_stays_paid;
    a_notice_settled_at_the_counter;
    a_bill_settled_at_the_counter;
    a_notice_cancelled_while_it_is_being_paid;
    acts_are_signed_and_kept;
    counter_and_receipt_at_once;
    a_cart_of_bills_and_top_ups;
    what_makes_no_cart;
    nobody_is_asked_twice_for_what_waits_in_suspense;
    what_a_contradiction_leaves_can_still_be_paid;
    all_open_notices_ask_for_what_is_left;
    a_bill_takes_no_more_than_it_owes;
    a_withdrawn_bill_is_not_paid;
    the_same_decision_for_a_bill_again_finds_itself_done;
}

fn town() -> CreditorCode {
    CreditorCode::parse(TOWN).expect("a creditor")
}

fn act(house: &House) -> Act {
    Act::new(town(), house.app.now(), ("checked with the family".to_owned(), "A. Verdi".to_owned())).expect("an act")
}

fn giulia() -> String {
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    codes.into_iter().find(|code| PersonalCode::parse(code).is_ok()).expect("one of them fits")
}

fn cents(value: i64) -> Amount {
    Amount::from_cents(value).expect("an amount")
}

/// A bill of Maria's for Giulia's canteen, paid in these parts, a month between them.
fn order(name: &str, parts: &[i64]) -> BillOrder {
    let total = parts.iter().sum();
    let part = |(month, amount): (i8, &i64)| DraftPart {
        due: format!("2026-{month:02}-15").parse().expect("a day"),
        amount: cents(*amount),
    };
    BillOrder {
        guardian: MARIA.to_owned(),
        words: (name.to_owned(), "settembre - dicembre 2026".to_owned(), "Mensa scolastica, quota annuale".to_owned()),
        lines: vec![(giulia(), "Mensa scolastica".to_owned(), cents(total))],
        parts: (9i8..).zip(parts).map(part).collect(),
    }
}

async fn issue(house: &House, order: BillOrder) -> Result<Issued, OfficeRefusal> {
    let listing = house.app.directory.listing();
    let creditor = listing.creditor(TOWN).expect("the town");
    match issue_bill(&house.fresh.store, creditor, act(house), order).await {
        Ok(issued) => Ok(issued),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Fault(fault)) => panic!("{fault}"),
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Stop<OfficeRefusal>>) -> OfficeRefusal {
    match outcome {
        Err(Stop::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn bill(house: &House, issued: &Issued) -> Option<Bill> {
    let home = house.phone(MARIA).await.home().await.expect("home");
    home.bills.into_iter().find(|bill| bill.id == issued.bill.to_string())
}

async fn amount(house: &House, notice: &str) -> Option<String> {
    house.verify(TOWN, notice).await.element("amount").map(str::to_owned)
}

async fn pay(house: &House, notice: &str, cents: i64) {
    let answer = house.deliver(&Receipt::new(notice, cents)).await;
    assert!(answer.is_ok(), "{answer:?}");
}

async fn a_bill_in_three_instalments(house: &House) {
    let feed = house.phone(MARIA).await.home().await.expect("home").feed_seq;
    let issued = issue(house, order("2026/300", &[4_000, 3_000, 3_000])).await.expect("a bill");
    let [first, second, third] = [0, 1, 2].map(|place| issued.notices[place].to_string());
    let seen = bill(house, &issued).await.expect("the bill");
    assert!(house.phone(MARIA).await.home().await.expect("home").feed_seq > feed, "the family is told");
    assert_eq!((seen.total_cents, seen.residual_cents, seen.state()), (10_000, 10_000, BillState::Open));
    assert_eq!(seen.lines.len(), 1, "a line is a line, whatever the number of notices");
    let asked: Vec<_> = seen.instalments.iter().map(|one| (one.number, one.amount_cents, one.state())).collect();
    let open = PaymentState::Payable;
    assert_eq!(asked, [(1, 4_000, open), (2, 3_000, open), (3, 3_000, open)]);
    assert_eq!(number(seen.notice.as_ref()), first, "the first one due is the next to pay");
    assert_eq!(seen.due_date, "2026-09-15");
    assert_eq!(amount(house, &second).await.as_deref(), Some("30.00"));

    pay(house, &second, 3_000).await;
    assert_eq!(house.verify(TOWN, &second).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));
    let seen = bill(house, &issued).await.expect("the bill");
    assert_eq!((seen.paid_cents, seen.residual_cents, seen.state()), (3_000, 7_000, BillState::PartPaid));
    let states: Vec<_> = seen.instalments.iter().map(|one| one.state()).collect();
    assert_eq!(states, [open, PaymentState::Paid, open]);
    assert!(seen.instalments[1].notice.is_none());
    pay(house, &first, 4_000).await;
    pay(house, &third, 3_000).await;
    assert!(bill(house, &issued).await.is_none(), "nothing is left");
    assert_eq!(house.outcomes(TOWN, &third).await, ["bill"]);
    pay(house, &first, 4_000).await;
    assert!(house.outcomes(TOWN, &first).await.contains(&"double_payment".to_owned()));
}

async fn instalments_that_are_paid_short_or_long(house: &House) {
    let issued = issue(house, order("2026/301", &[4_000, 3_000, 3_000])).await.expect("a bill");
    let [first, second, third] = [0, 1, 2].map(|place| issued.notices[place].to_string());
    // Short: done all the same, the last one open asks for all that is left.
    pay(house, &first, 1_000).await;
    assert_eq!(house.verify(TOWN, &first).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));
    assert_eq!(amount(house, &second).await.as_deref(), Some("30.00"));
    pay(house, &second, 2_999).await;
    assert_eq!(amount(house, &third).await.as_deref(), Some("60.01"));
    assert_eq!(house.activate(TOWN, &third, None).await.element("paymentAmount"), Some("60.01"));
    let seen = bill(house, &issued).await.expect("the bill");
    assert_eq!(seen.notice.as_ref().map(|notice| notice.amount_cents), Some(6_001));
    pay(house, &third, 6_000).await;
    assert_eq!(amount(house, &third).await.as_deref(), Some("0.01"), "the last stays payable to the cent");
    pay(house, &third, 1).await;
    assert_eq!(house.verify(TOWN, &third).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));

    // Long: what is open asks for no more than is left.
    let issued = issue(house, order("2026/302", &[4_000, 3_000, 3_000])).await.expect("a bill");
    let [first, second, third] = [0, 1, 2].map(|place| issued.notices[place].to_string());
    pay(house, &first, 9_000).await;
    assert_eq!(amount(house, &second).await.as_deref(), Some("10.00"));
    pay(house, &third, 1_000).await;
    assert_eq!(house.verify(TOWN, &second).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"), "nothing is left to ask for");
    assert!(bill(house, &issued).await.is_none());
}

/// Each of them short: exactly one stays open, for the rest.
async fn instalments_paid_all_at_once(house: &House) {
    let issued = issue(house, order("2026/303", &[2_000, 2_000, 2_000, 2_000])).await.expect("a bill");
    let receipts: Vec<_> = issued.notices.iter().map(|notice| Receipt::new(notice.as_str(), 1_000)).collect();
    let answers = join_all(receipts.iter().map(|receipt| house.deliver(receipt))).await;
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
    let mut open = Vec::new();
    for notice in &issued.notices {
        open.extend(amount(house, notice.as_str()).await);
    }
    assert_eq!(open, ["40.00"]);
    let seen = bill(house, &issued).await.expect("the bill");
    assert_eq!((seen.paid_cents, seen.residual_cents), (4_000, 4_000));
}

async fn a_bill_stands_once(house: &House) {
    let issued = issue(house, order("2026/304", &[5_000])).await.expect("a bill");
    let after = house.rows().await;
    let again = issue(house, order("2026/304", &[5_000])).await.expect("the same bill");
    assert_eq!((again.bill, again.stood, &again.notices), (issued.bill, true, &issued.notices));
    let mut later = order("2026/304", &[5_000]);
    later.parts[0].due = "2026-12-24".parse().expect("a day");
    assert_eq!(issue(house, later).await, Err(OfficeRefusal::NumberUsed("2026/304".to_owned())));
    let other = issue(house, order("2026/304", &[5_001])).await;
    assert_eq!(other, Err(OfficeRefusal::NumberUsed("2026/304".to_owned())));
    assert_eq!(house.rows().await, after);
    let seen = bill(house, &issued).await.expect("the bill");
    assert!(seen.instalments.is_empty(), "one notice for the whole");
    let at_once = join_all((0..8).map(|_| issue(house, order("2026/305", &[5_000])))).await;
    let ids: Vec<_> = at_once.into_iter().map(|issued| issued.expect("a bill").bill).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

async fn what_makes_no_bill(house: &House) {
    let before = house.rows().await;
    let good = || order("2026/306", &[5_000]);
    let with = |change: &dyn Fn(&mut BillOrder)| {
        let mut order = good();
        change(&mut order);
        order
    };
    let nobody = "nobody".to_owned();
    for (order, refusal) in [
        (with(&|order| order.guardian = nobody.clone()), OfficeRefusal::NoGuardian(nobody.clone())),
        (with(&|order| order.lines[0].0 = "BNCLRA14P55H501E".to_owned()), OfficeRefusal::NoChild(1)),
        (
            with(&|order| order.lines[0].1 = "Piscina".to_owned()),
            OfficeRefusal::NoService { line: 1, service: "Piscina".to_owned() },
        ),
        (with(&|order| order.words.2 = "Mensa di Giulia".to_owned()), OfficeRefusal::ChildNamed),
        (with(&|order| order.words.2 = "MENSA ROSSI".to_owned()), OfficeRefusal::ChildNamed),
        (with(&|order| order.words.2 = "Mensa di Anna-Giulia".to_owned()), OfficeRefusal::ChildNamed),
        (with(&|order| order.words.2 = format!("Mensa {}", giulia())), OfficeRefusal::ChildNamed),
        (with(&|order| order.guardian = AMINA.to_owned()), OfficeRefusal::NotTheirs(AMINA.to_owned())),
        (with(&|order| order.parts.clear()), OfficeRefusal::Draft(DraftError::Parts)),
        (with(&|order| order.lines.clear()), OfficeRefusal::Draft(DraftError::Lines)),
    ] {
        assert_eq!(issue(house, order).await, Err(refusal));
    }
    assert_eq!(house.rows().await, before);
}

async fn a_bill_withdrawn_while_it_is_being_paid(house: &House) {
    let phone = house.phone(MARIA).await;
    let issued = issue(house, order("2026/307", &[5_000])).await.expect("a bill");
    let notice = issued.notices[0].to_string();
    let page = phone.pay_bill(&issued.bill.to_string()).await.expect("a page");
    assert!(!page.checkout_url.is_empty());
    let withdrawn = withdraw_bill(&house.fresh.store, act(house), issued.bill).await.expect("it was open");
    assert_eq!(withdrawn.residual, cents(5_000));
    assert!(withdrawn.page_until.is_some(), "the office is told that somebody may be paying");
    assert!(bill(house, &issued).await.is_none());
    assert_eq!(house.verify(TOWN, &notice).await.ko(), Some("PAA_PAGAMENTO_ANNULLATO"));

    let suspense = house.suspense(TOWN).await;
    pay(house, &notice, 5_000).await;
    assert_eq!(house.outcomes(TOWN, &notice).await, ["bill_cancelled"]);
    assert_eq!(house.suspense(TOWN).await, suspense + 5_000);
    let waiting = list(&house.fresh.store, town()).await.expect("a readable database");
    assert!(waiting.iter().any(|one| one.queue == Queue::Suspense && one.notice.as_deref() == Some(&notice)));
    let again = refused(withdraw_bill(&house.fresh.store, act(house), issued.bill).await);
    assert_eq!(again, OfficeRefusal::Settled);
}

async fn what_was_paid_of_a_withdrawn_bill_stays_paid(house: &House) {
    let issued = issue(house, order("2026/308", &[3_000, 3_000])).await.expect("a bill");
    pay(house, issued.notices[0].as_str(), 3_000).await;
    let withdrawn = withdraw_bill(&house.fresh.store, act(house), issued.bill).await.expect("half of it is open");
    assert_eq!((withdrawn.residual, withdrawn.page_until), (cents(3_000), None));
    assert_eq!(house.verify(TOWN, issued.notices[0].as_str()).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));
    assert_eq!(house.verify(TOWN, issued.notices[1].as_str()).await.ko(), Some("PAA_PAGAMENTO_ANNULLATO"));
    let nobody = uuid::Uuid::from_u128(7).into();
    assert_eq!(refused(withdraw_bill(&house.fresh.store, act(house), nobody).await), OfficeRefusal::NoBill);
}

async fn a_notice_settled_at_the_counter(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref()).to_owned();
    let before = balance(house, &top_up.wallet_id).await;
    let taken = settle_notice(&house.fresh.store, act(house), notice.clone()).await.expect("it was open");
    assert_eq!(taken, cents(2_000));
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    let phone = house.phone(MARIA).await;
    assert_eq!(phone.payment(&top_up.id).await.expect("the payment").state(), PaymentState::Paid);
    assert_eq!(house.verify(TOWN, &notice).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"));
    let report = verify(&house.fresh.store, &town(), |_| {}).await.expect("a readable ledger");
    assert_eq!(report.counter_total.get(), -2_000, "{}", AccountKind::Counter.code());

    // Somebody paid it through pagoPA all the same: a second payment.
    let suspense = house.suspense(TOWN).await;
    pay(house, &notice, 2_000).await;
    assert_eq!(house.outcomes(TOWN, &notice).await, ["double_payment"]);
    assert_eq!(house.suspense(TOWN).await, suspense + 2_000);
    let again = refused(settle_notice(&house.fresh.store, act(house), notice).await);
    assert_eq!(again, OfficeRefusal::Paid);
}

async fn a_bill_settled_at_the_counter(house: &House) {
    let issued = issue(house, order("2026/309", &[3_000, 2_000])).await.expect("a bill");
    let notice = |place: usize| issued.notices[place].to_string();
    assert_eq!(settle_notice(&house.fresh.store, act(house), notice(0)).await.expect("open"), cents(3_000));
    assert_eq!(settle_notice(&house.fresh.store, act(house), notice(1)).await.expect("open"), cents(2_000));
    assert!(bill(house, &issued).await.is_none());
    let unknown = settle_notice(&house.fresh.store, act(house), "301123456789012345".to_owned()).await;
    assert_eq!(refused(unknown), OfficeRefusal::NoNotice);
}

async fn a_notice_cancelled_while_it_is_being_paid(house: &House) {
    let (bill, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref()).to_owned();
    cancel_notice(&house.fresh.store, act(house), notice.clone()).await.expect("it was open");
    let phone = house.phone(MARIA).await;
    assert_eq!(phone.payment(&top_up.id).await.expect("the payment").state(), PaymentState::Cancelled);
    assert_eq!(house.verify(TOWN, &notice).await.ko(), Some("PAA_PAGAMENTO_ANNULLATO"));
    let again = cancel_notice(&house.fresh.store, act(house), notice.clone()).await;
    assert_eq!(refused(again), OfficeRefusal::Cancelled);
    let settled = settle_notice(&house.fresh.store, act(house), notice.clone()).await;
    assert_eq!(refused(settled), OfficeRefusal::Cancelled);
    let before = balance(house, &top_up.wallet_id).await;
    pay(house, &notice, 2_000).await;
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000, "the wallet is sure");
    let of_bill = cancel_notice(&house.fresh.store, act(house), number(bill.notice.as_ref()).to_owned()).await;
    assert_eq!(refused(of_bill), OfficeRefusal::OfBill);
}

async fn acts_are_signed_and_kept(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref()).to_owned();
    for (reason, operator) in [("", "A. Verdi"), ("asked", "  "), (&*"x".repeat(201), "A. Verdi")] {
        let unsigned = Act::new(town(), house.app.now(), (reason.to_owned(), operator.to_owned())).expect("an act");
        let outcome = cancel_notice(&house.fresh.store, unsigned, notice.clone()).await;
        assert_eq!(refused(outcome), OfficeRefusal::Unsigned);
    }
    let once = act(house);
    for _ in 0..2 {
        // The same act again, because an answer was lost, finds itself done.
        let taken = settle_notice(&house.fresh.store, once.clone(), notice.clone()).await.expect("done once");
        assert_eq!(taken, cents(2_000));
    }
    let acts = house.fresh.store.read(move |tx| Box::pin(async move { tx.actions(&town()).await }));
    let [kept] = &acts.await.expect("a readable database")[..] else { panic!("one act") };
    assert_eq!((kept.subject.as_str(), kept.operator.as_str()), (notice.as_str(), "A. Verdi"));
    assert!(kept.entry().is_some());
}

async fn counter_and_receipt_at_once(house: &House) {
    let issued = issue(house, order("2026/310", &[5_000])).await.expect("a bill");
    let notice = issued.notices[0].to_string();
    let suspense = house.suspense(TOWN).await;
    let receipt = Receipt::new(&notice, 5_000);
    let counter = settle_notice(&house.fresh.store, act(house), notice.clone());
    let (counter, answer) = futures_util::future::join(counter, house.deliver(&receipt)).await;
    assert!(answer.is_ok(), "{answer:?}");
    match counter {
        Ok(_) => assert_eq!(house.suspense(TOWN).await, suspense + 5_000, "the receipt came second"),
        Err(Stop::Refused(refusal)) => assert_eq!(refusal, OfficeRefusal::Paid, "the receipt came first"),
        Err(Stop::Fault(fault)) => panic!("{fault}"),
    }
    assert!(bill(house, &issued).await.is_none());
}

async fn a_cart_of_bills_and_top_ups(house: &House) {
    let (first, second, top_up) = payable(house).await;
    let issued = issue(house, order("2026/311", &[4_000, 3_000])).await.expect("a bill");
    let phone = house.phone(MARIA).await;
    let instalment = issued.notices[0].to_string();
    let notices = [first.notice.as_ref(), second.notice.as_ref(), top_up.notice.as_ref()].map(|one| number(one));
    let notices = [notices[0], notices[1], notices[2], &instalment];
    let page = phone.open_cart(&notices).await.expect("a page");
    assert!(!page.checkout_unavailable && page.in_progress_until_ms > house.now());
    let again = phone.open_cart(&notices).await.expect("the same page");
    assert_eq!(again.checkout_url, page.checkout_url);
    let home = phone.home().await.expect("home");
    assert!(home.bills.iter().all(|bill| bill.payment_state() == PaymentState::InProgress), "{:?}", home.bills);
    assert_eq!(home.payments[0].state(), PaymentState::InProgress);
    let fewer = phone.open_cart(&notices[..2]).await;
    assert_eq!(reason(fewer), Reason::PaymentInProgress);

    let before = balance(house, &top_up.wallet_id).await;
    house.pay_page(&page.checkout_url).await;
    let home = phone.home().await.expect("home");
    let [left] = &home.bills[..] else { panic!("one instalment is left: {:?}", home.bills) };
    assert_eq!((left.residual_cents, left.payment_state()), (3_000, PaymentState::Payable));
    assert!(home.payments.is_empty());
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    assert_eq!(reason(phone.open_cart(&notices[..1]).await), Reason::NoticeNotPayable);
}

async fn what_makes_no_cart(house: &House) {
    let (first, _, top_up) = payable(house).await;
    let (of_bill, of_top_up) = (number(first.notice.as_ref()), number(top_up.notice.as_ref()));
    let phone = house.phone(MARIA).await;
    let pages = house.number("SELECT COUNT(*) FROM cart").await;
    assert_eq!(reason(phone.open_cart(&[]).await), Reason::Malformed);
    assert_eq!(reason(phone.open_cart(&[of_bill, of_bill]).await), Reason::Malformed);
    assert_eq!(reason(phone.open_cart(&[of_bill, "123"]).await), Reason::Malformed);
    assert_eq!(reason(phone.open_cart(&[of_bill; 6]).await), Reason::Malformed);
    // Nobody's, and another family's, are answered alike; a co-guardian's top-up is theirs to pay.
    let amina = house.phone(AMINA).await;
    assert_eq!(reason(amina.open_cart(&[of_bill]).await), Reason::UnknownNotice);
    let paolo = house.phone(PAOLO).await;
    assert_eq!(reason(paolo.open_cart(&[of_bill, of_top_up]).await), Reason::UnknownNotice);
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let gone = phone.top_up(&canteen.id, 1_000, PayBy::Notice).await.expect("a top-up");
    house.advance(std::time::Duration::from_secs(32 * 86_400));
    let phone = house.phone(MARIA).await;
    assert_eq!(reason(phone.open_cart(&[of_bill, number(gone.notice.as_ref())]).await), Reason::NoticeNotPayable);
    assert_eq!(house.number("SELECT COUNT(*) FROM cart").await, pages);
}

/// Decides about the only open item for this notice.
async fn decide(house: &House, notice: &str, decision: Decision) -> Result<(), QueueRefusal> {
    let waiting = list(&house.fresh.store, town()).await.expect("a readable database").into_iter();
    let mut open = waiting.filter(|one| one.notice.as_deref() == Some(notice) && one.resolution.is_none());
    let item = open.next().expect("something waits").item;
    assert!(open.next().is_none(), "only one thing waits");
    let order = Order {
        creditor: town(),
        item,
        decision,
        reason: "checked with the family".to_owned(),
        operator: "A. Verdi".to_owned(),
        at: house.app.now(),
        entry: new_id().parse::<uuid::Uuid>().expect("an id").into(),
    };
    match resolve(&house.fresh.store, order).await {
        Ok(_) => Ok(()),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Fault(fault)) => panic!("{fault}"),
    }
}

async fn asks(house: &House, notices: &[String]) -> Vec<Option<String>> {
    let mut asks = Vec::new();
    for notice in notices {
        asks.push(amount(house, notice).await);
    }
    asks
}

fn says(amounts: &[&str]) -> Vec<Option<String>> {
    amounts.iter().map(|amount| Some(*amount).filter(|amount| !amount.is_empty()).map(str::to_owned)).collect()
}

/// One of two instalments was paid by a receipt that contradicts itself: the other asks for itself alone.
async fn nobody_is_asked_twice_for_what_waits_in_suspense(house: &House) {
    let issued = issue(house, order("2026/320", &[3_000, 3_000])).await.expect("a bill");
    let notices: Vec<String> = issued.notices.iter().map(ToString::to_string).collect();
    let odd = Receipt { total: Some(4_000), ..Receipt::new(&notices[1], 3_000) };
    assert!(house.deliver(&odd).await.is_ok());
    assert_eq!(asks(house, &notices).await, says(&["30.00", ""]));
    let seen = bill(house, &issued).await.expect("the bill");
    assert_eq!(seen.notice.as_ref().map(|notice| notice.amount_cents), Some(3_000));
    pay(house, &notices[0], 3_000).await;
    assert_eq!(asks(house, &notices).await, says(&["", ""]));
    assert!(bill(house, &issued).await.is_none(), "what is left waits for the office");
    decide(house, &notices[1], Decision::ToBill(issued.bill)).await.expect("it belongs there");
    let stands = house.fresh.store.read(move |tx| Box::pin(async move { tx.bill(&town(), issued.bill).await }));
    assert_eq!(stands.await.expect("a database").expect("the bill").balance_cents.get(), 0, "paid to the cent");
}

async fn what_a_contradiction_leaves_can_still_be_paid(house: &House) {
    // Short: the rest stays payable at once.
    let issued = issue(house, order("2026/321", &[5_733])).await.expect("a bill");
    let notice = vec![issued.notices[0].to_string()];
    let odd = |cents| Receipt { total: Some(cents + 1), ..Receipt::new(&notice[0], cents) };
    assert!(house.deliver(&odd(1_000)).await.is_ok());
    assert_eq!(asks(house, &notice).await, says(&["47.33"]));
    // Given back: all of it is owed again.
    decide(house, &notice[0], Decision::Refund).await.expect("it is paid back");
    assert_eq!(asks(house, &notice).await, says(&["57.33"]));
    // Held in full: nothing is asked, until the office says that it was somebody else's.
    assert!(house.deliver(&odd(5_733)).await.is_ok());
    assert_eq!(asks(house, &notice).await, says(&[""]));
    decide(house, &notice[0], Decision::Refund).await.expect("it is paid back");
    assert_eq!(asks(house, &notice).await, says(&["57.33"]), "and can be paid again");
    assert_eq!(bill(house, &issued).await.expect("the bill").residual_cents, 5_733);
    pay(house, &notice[0], 5_733).await;
    assert!(bill(house, &issued).await.is_none());

    // Both of two at once, each contradicting itself and short: the rest can be paid, under one of them.
    let issued = issue(house, order("2026/322", &[3_000, 3_000])).await.expect("a bill");
    let notices: Vec<String> = issued.notices.iter().map(ToString::to_string).collect();
    let receipts: Vec<_> =
        notices.iter().map(|notice| Receipt { total: Some(9), ..Receipt::new(notice, 2_000) }).collect();
    let answers = join_all(receipts.iter().map(|receipt| house.deliver(receipt))).await;
    assert!(answers.iter().all(|answer| answer.is_ok()));
    let asked: Vec<_> = asks(house, &notices).await.into_iter().flatten().collect();
    assert_eq!(asked, ["20.00"]);
}

async fn all_open_notices_ask_for_what_is_left(house: &House) {
    let issued = issue(house, order("2026/323", &[4_000, 3_000, 3_000])).await.expect("a bill");
    let notices: Vec<String> = issued.notices.iter().map(ToString::to_string).collect();
    assert_eq!(asks(house, &notices).await, says(&["40.00", "30.00", "30.00"]));
    pay(house, &notices[0], 6_000).await;
    assert_eq!(asks(house, &notices).await, says(&["", "30.00", "10.00"]));
    let phone = house.phone(MARIA).await;
    let page = phone.open_cart(&[&notices[1], &notices[2]]).await.expect("a page");
    house.pay_page(&page.checkout_url).await;
    assert!(bill(house, &issued).await.is_none());
    let stands = house.fresh.store.read(move |tx| Box::pin(async move { tx.bill(&town(), issued.bill).await }));
    assert_eq!(stands.await.expect("a database").expect("the bill").balance_cents.get(), 0, "paid to the cent");
}

async fn a_bill_takes_no_more_than_it_owes(house: &House) {
    let issued = issue(house, order("2026/324", &[2_000])).await.expect("a bill");
    let stranger = "301123456789012345";
    pay(house, stranger, 2_500).await;
    let refused = decide(house, stranger, Decision::ToBill(issued.bill)).await;
    assert_eq!(refused, Err(QueueRefusal::BillTakesLess(cents(2_000).as_cents())));
    // Overpaid by its own notice: in the ledger, and on the office's list.
    pay(house, issued.notices[0].as_str(), 2_300).await;
    let surplus = house.fresh.store.read(move |tx| Box::pin(async move { tx.surplus(&town()).await }));
    let surplus = surplus.await.expect("a readable database");
    let listed: Vec<_> = surplus.iter().map(|row| (row.id, row.surplus_cents.get())).collect();
    assert_eq!(listed, [(issued.bill, 300)]);
    pay(house, issued.notices[0].as_str(), 2_000).await;
    assert!(house.outcomes(TOWN, issued.notices[0].as_str()).await.contains(&"double_payment".to_owned()));
}

/// Every phone is told that it was withdrawn, and nobody that it was paid.
async fn a_withdrawn_bill_is_not_paid(house: &House) {
    let issued = issue(house, order("2026/325", &[3_000, 2_000])).await.expect("a bill");
    pay(house, issued.notices[0].as_str(), 3_000).await;
    let phone = house.phone(MARIA).await;
    let mut stream = phone.watch(phone.home().await.expect("home").feed_seq).await.expect("a stream");
    withdraw_bill(&house.fresh.store, act(house), issued.bill).await.expect("part of it is open");
    let told = next_change(&mut stream).await.bill.expect("the bill");
    assert_eq!((told.state(), told.payment_state()), (BillState::Withdrawn, PaymentState::Cancelled));
    assert_eq!((told.total_cents, told.paid_cents, told.residual_cents), (5_000, 3_000, 0));
    assert!(told.notice.is_none());
}

/// Because an answer was lost: though the bill, settled by the first run, would take nothing more.
async fn the_same_decision_for_a_bill_again_finds_itself_done(house: &House) {
    let issued = issue(house, order("2026/326", &[2_000])).await.expect("a bill");
    pay(house, "301123456789012345", 2_000).await;
    let waiting = list(&house.fresh.store, town()).await.expect("a readable database").into_iter();
    let item = waiting.last().expect("something waits").item;
    let order = Order {
        creditor: town(),
        item,
        decision: Decision::ToBill(issued.bill),
        reason: "checked with the family".to_owned(),
        operator: "A. Verdi".to_owned(),
        at: house.app.now(),
        entry: new_id().parse::<uuid::Uuid>().expect("an id").into(),
    };
    for _ in 0..2 {
        resolve(&house.fresh.store, order.clone()).await.expect("done once");
    }
    let other = Order { operator: "B. Neri".to_owned(), ..order };
    let refused = resolve(&house.fresh.store, other).await;
    assert!(matches!(refused, Err(Stop::Refused(QueueRefusal::Decided(_)))), "{refused:?}");
    assert!(bill(house, &issued).await.is_none());
}
