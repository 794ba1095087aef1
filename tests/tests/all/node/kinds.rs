//! Receipts of every kind: what is paid late, twice, in part, under a contradiction or near the limits of numbers ends in
//! the ledger once, or in a queue of the office with a name.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::EntryId;
use borsellino_domain::ledger::{Account, Entry, EntryKind};
use borsellino_domain::money::Cents;
use borsellino_domain::queue::Queue;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::{PayBy, PaymentState};
use borsellino_server::usecases::queues::{Waiting, list};
use borsellino_tests::house::node::{self, Receipt};
use borsellino_tests::house::{House, MARIA, PAOLO, TOWN, new_id, reason, wallet};
use futures_util::future::join;

use super::{balance, number, payable};

borsellino_tests::in_both_houses! {
    a_stranger_amount_goes_where_the_notice_says;
    transfers_that_do_not_sum_wait_for_the_office;
    a_reference_of_another_notice_waits_for_the_office;
    nothing_was_paid;
    new_fields_and_metadata_are_skipped;
    a_receipt_of_the_stand_in;
    the_probe_of_the_stand_in;
    version_one_from_end_to_end;
    a_child_who_moved;
    sums_near_the_limits;
    a_wallet_that_can_hold_no_more;
    two_top_ups_race_for_the_last_room;
    both_of_two_top_ups_are_paid;
}

async fn waiting(house: &House, notice: &str) -> Vec<(Queue, String, Option<i64>)> {
    let town = CreditorCode::parse(TOWN).expect("a creditor");
    let all = list(&house.fresh.store, town).await.expect("a readable database");
    let of_notice = all.into_iter().filter(|one| one.notice.as_deref() == Some(notice));
    of_notice.map(|Waiting { queue, why, amount, .. }| (queue, why, amount.map(Cents::get))).collect()
}

/// What was paid counts, not what was asked for.
async fn a_stranger_amount_goes_where_the_notice_says(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let notice = number(top_up.notice.as_ref());
    assert!(house.deliver(&Receipt::new(notice, 1_950)).await.is_ok());
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 1_950);
    assert_eq!(waiting(house, notice).await, []);
    let paid = house.phone(MARIA).await.payment(&top_up.id).await.expect("the payment");
    assert_eq!(paid.state(), PaymentState::Paid);
}

/// Held for the office: `receipt` for Maria's waiting top-up, of which 20,00 € are ours, for the reason `why`.
async fn held(house: &House, receipt: impl Fn(&str) -> Receipt, why: &str) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref()).to_owned();
    let (before, suspense) = (balance(house, &top_up.wallet_id).await, house.suspense(TOWN).await);
    let receipt = receipt(&notice);
    for _ in 0..2 {
        let answer = house.deliver(&receipt).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(balance(house, &top_up.wallet_id).await, before);
    assert_eq!(house.suspense(TOWN).await, suspense + 2_000);
    assert_eq!(waiting(house, &notice).await, [(Queue::Suspense, why.to_owned(), Some(2_000))]);
    assert_eq!(house.verify(TOWN, &notice).await.ko(), Some("PAA_PAGAMENTO_DUPLICATO"), "nobody is asked to pay again");
    let home = house.phone(MARIA).await.home().await.expect("home");
    assert!(home.payments.is_empty(), "nor does the app ask");
}

async fn transfers_that_do_not_sum_wait_for_the_office(house: &House) {
    held(house, |notice| Receipt { total: Some(2_500), ..Receipt::new(notice, 2_000) }, "transfers_differ").await;
}

async fn a_reference_of_another_notice_waits_for_the_office(house: &House) {
    let other = Some("01999999999999999".to_owned());
    held(house, |notice| Receipt { reference: other.clone(), ..Receipt::new(notice, 2_000) }, "reference_differs")
        .await;
}

/// A total of zero contradicts its transfers; a transfer of zero is outside the schema.
async fn nothing_was_paid(house: &House) {
    let (bill, _, _) = payable(house).await;
    let of_bill = number(bill.notice.as_ref());
    let entries = house.number("SELECT COUNT(*) FROM journal_entry").await;
    let nothing = Receipt::new(of_bill, 0);
    assert_eq!(house.deliver(&nothing).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"));
    assert_eq!(house.kept("quarantine").await, 1);
    assert_eq!(house.number("SELECT COUNT(*) FROM journal_entry").await, entries);
    assert!(house.verify(TOWN, of_bill).await.is_ok(), "still to be paid");
    held(house, |notice| Receipt { total: Some(0), ..Receipt::new(notice, 2_000) }, "transfers_differ").await;
}

async fn new_fields_and_metadata_are_skipped(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let entry = |number: u32| format!("<mapEntry><key>chiave{number}</key><value>valore</value></mapEntry>");
    let entries: String = (0..15).map(entry).collect();
    let tail = format!(
        "<novita2027><dentro>1</dentro></novita2027><metadata>{entries}</metadata><standIn>false</standIn>\
        <piuNuova attr=\"x\"/>"
    );
    let receipt = Receipt { tail, ..Receipt::new(number(top_up.notice.as_ref()), 2_000) };
    let answer = house.deliver(&receipt).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);
    assert_eq!(house.kept("quarantine").await, 0);
}

/// Paid from the platform's archive: nobody asked us before, and the amount may be an old one (SANP 3.12.0, stand-in).
async fn a_receipt_of_the_stand_in(house: &House) {
    let (bill, _, _) = payable(house).await;
    let notice = number(bill.notice.as_ref());
    let tail = "<standIn>true</standIn>".to_owned();
    assert!(house.deliver(&Receipt { tail, ..Receipt::new(notice, 20_000) }).await.is_ok());
    let (left, _, _) = payable(house).await;
    assert_eq!((left.paid_cents, left.residual_cents), (20_000, 3_733));
    assert_eq!(house.outcomes(TOWN, notice).await, ["bill"]);
}

async fn the_probe_of_the_stand_in(house: &House) {
    let before = house.rows().await;
    for _ in 0..3 {
        let answer = house.verify(TOWN, "000000000000000000").await;
        assert_eq!(answer.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "{answer:?}");
    }
    // Any aux digit, and check digits of another notice: unknown, never a breach of the schema.
    for notice in ["000000000000000001", "123456789012345678", "301123456789012300", "399999999999999999"] {
        assert_eq!(house.verify(TOWN, notice).await.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "{notice}");
        assert_eq!(house.activate(TOWN, notice, None).await.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "{notice}");
    }
    assert_eq!(house.rows().await, before);
}

/// A station on version 1: its activation, and the receipt in either version, or both.
async fn version_one_from_end_to_end(house: &House) {
    let (bill, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    let notice = number(top_up.notice.as_ref());
    let to = node::Addressee::new(TOWN);
    let activated = house.soap(Some("paGetPayment"), node::activate_v1(&to, TOWN, notice, None)).await;
    assert!(activated.is_ok(), "{activated:?}");
    assert_eq!(activated.element("paymentAmount"), Some("20.00"));
    assert_eq!(activated.element("creditorReferenceId"), Some(&notice[1..]));
    let postal = house.soap(Some("paGetPayment"), node::activate_v1(&to, TOWN, notice, Some("POSTAL"))).await;
    assert_eq!(postal.element("IBAN"), Some("IT45R0760103200000000001016"), "{postal:?}");
    assert!(house.deliver(&Receipt::new(notice, 2_000)).await.is_ok(), "a V2 receipt after a v1 activation");
    assert_eq!(balance(house, &top_up.wallet_id).await, before + 2_000);

    let notice = number(bill.notice.as_ref());
    let receipt = Receipt { v1: true, ..Receipt::new(notice, bill.total_cents) };
    assert!(house.deliver(&receipt).await.is_ok());
    assert!(house.deliver(&Receipt { v1: false, ..receipt }).await.is_ok(), "both receipts of one payment");
    assert_eq!(house.outcomes(TOWN, notice).await, ["bill"]);
    assert_eq!(house.kept("anomaly").await, 0);
}

/// The child is another family's now: the wallet is sure all the same, and who paid still sees their payment.
async fn a_child_who_moved(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let before = balance(house, &top_up.wallet_id).await;
    house
        .execute(
            "DELETE FROM guardian_child WHERE guardian = (SELECT id FROM guardian WHERE username = 'maria.bianchi')",
        )
        .await;
    assert!(house.deliver(&Receipt::new(number(top_up.notice.as_ref()), 2_000)).await.is_ok());
    let maria = house.phone(MARIA).await;
    assert!(maria.home().await.expect("home").children.is_empty(), "no longer hers to see");
    assert_eq!(maria.payment(&top_up.id).await.expect("her payment").state(), PaymentState::Paid);
    let home = house.phone(PAOLO).await.home().await.expect("home");
    let mut wallets = home.children.iter().flat_map(|child| &child.wallets);
    let now = wallets.find(|its| its.id == top_up.wallet_id).expect("the wallet");
    assert_eq!(now.balance_cents, before + 2_000);
}

/// The largest amounts that the contract can carry, five times in one receipt.
async fn sums_near_the_limits(house: &House) {
    const LARGEST: i64 = 99_999_999_999;
    let (_, _, top_up) = payable(house).await;
    let (notice, before) = (number(top_up.notice.as_ref()), balance(house, &top_up.wallet_id).await);
    assert!(house.deliver(&Receipt::new(notice, LARGEST)).await.is_ok());
    assert_eq!(balance(house, &top_up.wallet_id).await, before + LARGEST);

    let suspense = house.suspense(TOWN).await;
    let unknown = "301123456789012345";
    let transfers = vec![(TOWN.to_owned(), LARGEST); 5];
    let five = Receipt { transfers, total: Some(LARGEST), ..Receipt::new(unknown, 0) };
    assert!(house.deliver(&five).await.is_ok());
    assert_eq!(house.suspense(TOWN).await, suspense, "more than any payment can be");
    assert_eq!(waiting(house, unknown).await, [(Queue::Anomaly, "overflow".to_owned(), None)]);
    assert!(house.deliver(&Receipt::new(unknown, LARGEST)).await.is_ok());
    assert_eq!(house.suspense(TOWN).await, suspense + LARGEST);

    let beyond = Receipt::new(unknown, LARGEST + 1);
    assert_eq!(house.deliver(&beyond).await.ko(), Some("PAA_SINTASSI_EXTRAXSD"), "no such amount in the contract");
    assert_eq!(house.kept("quarantine").await, 1);
}

async fn a_wallet_that_can_hold_no_more(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let (notice, before) = (number(top_up.notice.as_ref()), balance(house, &top_up.wallet_id).await);
    let room = i64::MAX - 1_999 - before;
    correct(house, &top_up.wallet_id, room).await;
    let suspense = house.suspense(TOWN).await;
    assert!(house.deliver(&Receipt::new(notice, 2_000)).await.is_ok());
    assert_eq!(house.suspense(TOWN).await, suspense + 2_000);
    assert_eq!(waiting(house, notice).await, [(Queue::Suspense, "account_full".to_owned(), Some(2_000))]);
    // Taken out again: all wallets together would not fit a number.
    correct(house, &top_up.wallet_id, -room).await;
}

async fn correct(house: &House, wallet: &str, cents: i64) {
    let account = Account::wallet(wallet.parse::<uuid::Uuid>().expect("an id").into());
    let town = CreditorCode::parse(TOWN).expect("a creditor");
    let id: EntryId = new_id().parse::<uuid::Uuid>().expect("an id").into();
    let sides = (account, Account::REVENUE, Cents::new(cents));
    let entry = Entry::transfer(town, id, EntryKind::Correction, house.app.now(), None, sides).expect("an entry");
    let written = house.fresh.store.write::<(), (), _>("correct a wallet", move |tx| {
        let entry = entry.clone();
        Box::pin(async move { tx.book(&entry).await.map(|_| Ok(())) })
    });
    written.await.expect("a database").expect("a booking");
}

/// Each fits, both do not: of two at once one is told what still fits.
async fn two_top_ups_race_for_the_last_room(house: &House) {
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    // The waiting top-up takes 20,00 € of it.
    let maximum = canteen.balance_cents + 2_000 + 3_000;
    house.execute(&format!("UPDATE service SET wallet_max_cents = {maximum}, max_open = 9")).await;
    let other = house.phone(PAOLO).await;
    let (first, second) =
        join(phone.top_up(&canteen.id, 2_000, PayBy::Notice), other.top_up(&canteen.id, 2_000, PayBy::Notice)).await;
    let refused = match (first, second) {
        (Ok(_), refused) | (refused, Ok(_)) => refused,
        neither => panic!("one of them fits: {neither:?}"),
    };
    assert_eq!(reason(refused), Reason::AboveWalletMaximum);
}

/// One expired while it was being paid, so that room was given to another: the money is there, and nobody loses it.
async fn both_of_two_top_ups_are_paid(house: &House) {
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let maximum = canteen.balance_cents + 4_500;
    house.execute(&format!("UPDATE service SET wallet_max_cents = {maximum}, max_open = 9")).await;
    let first = phone.top_up(&canteen.id, 2_000, PayBy::Notice).await.expect("a top-up");
    house.advance(std::time::Duration::from_secs(32 * 86_400));
    let phone = house.phone(MARIA).await;
    let second = phone.top_up(&canteen.id, 4_000, PayBy::Notice).await.expect("its room is free again");
    for (payment, cents) in [(&second, 4_000), (&first, 2_000)] {
        assert!(house.deliver(&Receipt::new(number(payment.notice.as_ref()), cents)).await.is_ok());
    }
    assert_eq!(balance(house, &canteen.id).await, canteen.balance_cents + 6_000, "over the maximum, and true");
    let refused = phone.top_up(&canteen.id, 500, PayBy::Notice).await;
    assert_eq!(reason(refused), Reason::AboveWalletMaximum);
}
