//! Batches of receipts: everything a batch writes is there, once and in the right numbers, or nothing of it is.

use std::collections::BTreeSet;

use borsellino_domain::id::{BillId, OutboxId};
use borsellino_domain::ledger::ReceiptProof;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_store::rows::{NewBill, NewNotice};
use borsellino_store::together::Ordinary;

use super::*;

borsellino_tests::on_both_engines! {
    a_batch_of_any_length;
    a_batch_with_something_known_moved_or_settled;
    a_bill_seen_through_two_children;
    two_nodes_at_the_same_wallets;
}

const THEIRS: &str = "99900040017";
const CREDITORS: [&str; 2] = [OURS, THEIRS];
const KIND: &str = "payment_done";

/// How many wallets each creditor has in all, of one child with two guardians.
const WALLETS: u128 = 33;

fn code(digits: &str) -> CreditorCode {
    CreditorCode::from_digits(digits).expect("eleven digits")
}

/// The wallet of a notice: one creditor after the other, one wallet after the other.
fn place(n: u128) -> (CreditorCode, WalletId) {
    let creditor = usize::try_from(n % 2).ok().and_then(|index| CREDITORS.get(index));
    (code(creditor.expect("two creditors")), wallet(100 + n / 2 % WALLETS))
}

fn number(n: u128) -> NoticeNumber {
    let body = 3_020_000_000_000_000 + n;
    format!("{body}{:02}", body % 93).parse().expect("a notice number")
}

async fn town(store: &Store) {
    add_creditors(store, &CREDITORS).await.expect("creditors");
    for creditor in CREDITORS {
        write(store, move |tx| {
            Box::pin(async move {
                let creditor = code(creditor);
                add_family(tx, creditor, "Rossi").await?;
                for n in 100..100 + WALLETS {
                    let kind = ServiceKind::Canteen;
                    let service = NewService {
                        id: ServiceId::from(uuid(1_000 + n)),
                        kind,
                        name: format!("{n}"),
                        taxonomy: kind.municipal_taxonomy().to_owned(),
                        presets: vec![cents(1_000)],
                        rules: TopUpRules {
                            min: cents(100),
                            max: cents(10_000),
                            wallet_max: cents(50_000),
                            max_open: 3,
                        },
                        low_mark: Cents::new(500),
                    };
                    tx.insert_service(&creditor, &service).await?;
                    tx.insert_wallet(&creditor, wallet(n), uuid(20), service.id).await?;
                    let account = Account::wallet(wallet(n));
                    tx.open_account(&creditor, account, &Head::genesis(&creditor, account)).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("a family");
    }
}

fn notice(number: NoticeNumber, wallet: Option<WalletId>, bill: Option<BillId>, amount: Amount) -> NewNotice {
    NewNotice {
        number,
        wallet,
        bill,
        instalment: None,
        amount,
        reason: "Ricarica".to_owned(),
        taxonomy: "9/0107101TS/".to_owned(),
        debtor_code: "RSSMRA80A01H501U".to_owned(),
        debtor_name: "Maria Rossi".to_owned(),
        due_date: "2026-12-31".to_owned(),
        created_at: NOW,
        expires_at: Some(NOW.plus_days(30)),
    }
}

async fn add_notices(store: &Store, range: std::ops::Range<u128>) {
    let added = write(store, move |tx| {
        let range = range.clone();
        Box::pin(async move {
            for n in range {
                let (creditor, wallet) = place(n);
                assert!(tx.insert_notice(&creditor, &notice(number(n), Some(wallet), None, cents(100))).await?);
            }
            Ok(())
        })
    });
    added.await.expect("notices");
}

/// The receipt for notice `number`, with its entry, as the till makes it ready from the notice as it now stands.
async fn ready(
    store: &Store,
    keys: &[(CreditorCode, NoticeNumber)],
    entries: u128,
    kind: EntryKind,
    account: impl Fn(usize) -> Account,
) -> Vec<Ordinary> {
    let asked = keys.iter().map(|(creditor, number)| (*creditor, number.to_string())).collect();
    let rows = store.notices_together(asked).await.expect("a readable database");
    let ready = |(index, ((creditor, number), row)): (usize, (&(CreditorCode, NoticeNumber), _))| {
        let row: Option<borsellino_store::rows::NoticeRow> = row;
        let id = uuid(entries + u128::try_from(index).expect("a few"));
        let mut receipt = super::receipt(&format!("r{id}"), Some(id));
        receipt.issuer = creditor.as_str().to_owned();
        receipt.notice_number = number.to_string();
        let issuer = *creditor;
        let proof = ReceiptProof { issuer, receipt_id: receipt.receipt_id.clone(), digest: receipt.message_digest };
        let sides = (account(index), Account::CLEARING, Cents::new(100));
        let entry = Entry::transfer(issuer, EntryId::from(id), kind, NOW, Some(proof), sides).expect("balanced");
        let head = row.and_then(|row| row.head()).expect("a notice with its account");
        Ordinary::new(receipt, entry, head, OutboxId::from(id)).expect("an ordinary receipt")
    };
    let mut batch: Vec<_> = keys.iter().zip(rows).enumerate().map(ready).collect();
    batch.sort_by_key(|one| (*one.entry().creditor(), one.receipt().receipt_id.clone()));
    batch
}

async fn top_ups(store: &Store, range: std::ops::Range<u128>, entries: u128) -> Vec<Ordinary> {
    let keys: Vec<_> = range.clone().map(|n| (place(n).0, number(n))).collect();
    let account = move |index| {
        let n = range.start + u128::try_from(index).expect("a few");
        Account::wallet(place(n).1)
    };
    ready(store, &keys, entries, EntryKind::TopUp, account).await
}

/// How many rows there are of all that a receipt writes, and what the accounts hold.
async fn state(fresh: &Fresh) -> Vec<i64> {
    let mut state = Vec::new();
    for sql in [
        "SELECT COUNT(*) FROM receipt",
        "SELECT COUNT(*) FROM journal_entry",
        "SELECT COUNT(*) FROM posting",
        "SELECT COUNT(*) FROM outbox",
        "SELECT COUNT(*) FROM notice WHERE state = 'paid'",
        "SELECT CAST(SUM(balance_cents) AS BIGINT) FROM account WHERE kind = 'wallet'",
        "SELECT CAST(SUM(feed_seq) AS BIGINT) FROM guardian",
        "SELECT COUNT(*) FROM feed",
    ] {
        state.push(fresh.raw_number(sql).await.expect("a number"));
    }
    state
}

async fn sound(store: &Store) {
    for creditor in CREDITORS {
        let report = verify(store, &code(creditor), |_| ()).await.expect("a readable database");
        assert_eq!(report.broken, None);
    }
}

async fn a_batch_of_any_length(fresh: Fresh) {
    let store = &fresh.store;
    town(store).await;
    let (mut first, mut before) = (0, state(&fresh).await);
    for length in [1, 2, 8, 9, 64, 65] {
        add_notices(store, first..first + length).await;
        let batch = top_ups(store, first..first + length, 10_000 + first).await;
        let keys: Vec<_> = batch.iter().map(|one| one.receipt().receipt_id.clone()).collect();
        let told = store.receive_together(KIND, batch.into()).await.expect("a commit").expect("nothing crossed");
        // Both guardians of the one child, for each receipt.
        let both = |index| [(index, uuid(10)), (index, uuid(11))];
        let expected: BTreeSet<_> = (0..keys.len()).flat_map(both).collect();
        assert_eq!(told.len(), expected.len());
        assert_eq!(told.iter().map(|row| (row.index, row.guardian)).collect::<BTreeSet<_>>(), expected);
        let after = state(&fresh).await;
        let n = i64::try_from(length).expect("a few");
        let grown: Vec<_> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert_eq!(grown, [n, n, 2 * n, n, n, 100 * n, 2 * n, 2 * n], "a batch of {length}");
        (first, before) = (first + length, after);
    }
    // Each guardian's numbers were dealt once, without a gap.
    let gaps = "SELECT COUNT(*) FROM (SELECT creditor, guardian FROM feed GROUP BY creditor, guardian
        HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)) g";
    assert_eq!(fresh.raw_number(gaps).await.expect("a number"), 0);
    sound(store).await;
}

async fn a_batch_with_something_known_moved_or_settled(fresh: Fresh) {
    let store = &fresh.store;
    town(store).await;
    add_notices(store, 0..12).await;
    // Wallet and notice 11 stand elsewhere than a batch made ready now will find them.
    let stale = top_ups(store, 0..12, 20_000).await;
    let one = top_ups(store, 11..12, 30_000).await;
    let known = one.first().expect("one").receipt().receipt_id.clone();
    assert!(store.receive_together(KIND, one.into()).await.expect("a commit").is_some());
    let before = state(&fresh).await;
    let crossed = async |batch: Vec<Ordinary>, what: &str| {
        assert!(store.receive_together(KIND, batch.into()).await.expect("no failure").is_none(), "{what}");
        assert_eq!(state(&fresh).await, before, "{what}");
    };
    crossed(stale, "an account that moved").await;
    // The account as it is now, the notice paid.
    crossed(top_ups(store, 0..12, 40_000).await, "a notice that was settled").await;
    // A receipt that is known, for another notice.
    add_notices(store, 12..13).await;
    let fresh_notice = top_ups(store, 12..13, 30_000).await;
    let fresh_notice: Vec<_> = fresh_notice.into_iter().chain(top_ups(store, 0..11, 50_000).await).collect();
    assert_eq!(fresh_notice.first().map(|one| one.receipt().receipt_id.as_str()), Some(known.as_str()));
    // Notice 12 is the first creditor's, the known receipt the second's: under its own key it is a new one.
    let told = store.receive_together(KIND, fresh_notice.into()).await.expect("a commit");
    assert!(told.is_some(), "another creditor's receipt of the same name is no obstacle");
    add_notices(store, 13..15).await;
    let known = top_ups(store, 13..14, 30_000).await.into_iter().chain(top_ups(store, 14..15, 60_000).await).collect();
    let before = state(&fresh).await;
    let none = store.receive_together(KIND, Vec::into(known)).await.expect("no failure");
    assert!(none.is_none(), "a receipt that is known");
    assert_eq!(state(&fresh).await, before);
    sound(store).await;
}

async fn a_bill_seen_through_two_children(fresh: Fresh) {
    let store = &fresh.store;
    town(store).await;
    let bill = BillId::from(uuid(70));
    let issued = write(store, move |tx| {
        Box::pin(async move {
            let child = NewChild {
                id: uuid(21),
                given_name: "Ugo".to_owned(),
                family_name: "Rossi".to_owned(),
                fiscal_code: "RSSGUO18A41H501X".to_owned(),
                school: "Primaria".to_owned(),
                class_name: "1A".to_owned(),
            };
            tx.insert_child(&ours(), &child).await?;
            tx.link_child(&ours(), GuardianId::from(uuid(10)), child.id).await?;
            let guardian = GuardianId::from(uuid(10));
            let (number, period) = ("1".to_owned(), "ottobre 2026".to_owned());
            let due_date = "2026-12-31".to_owned();
            let row = NewBill {
                id: bill,
                guardian,
                number,
                period,
                due_date,
                issued_at: NOW,
                total: cents(100),
                order_digest: None,
            };
            tx.insert_bill(&ours(), &row).await?;
            for (line, child) in [(0, 20), (1, 21), (2, 21)] {
                tx.insert_bill_line(&ours(), (bill, line), (uuid(child), uuid(1_100), 33)).await?;
            }
            let account = Account::bill(bill);
            tx.open_account(&ours(), account, &Head::genesis(&ours(), account)).await?;
            let sides = (account, Account::REVENUE, Cents::new(-100));
            let entry = Entry::transfer(ours(), EntryId::from(uuid(71)), EntryKind::BillIssued, NOW, None, sides);
            tx.book(&entry.expect("balanced")).await?;
            assert!(
                tx.insert_notice(&ours(), &notice(super::together::number(0), None, Some(bill), cents(100))).await?
            );
            Ok(())
        })
    });
    issued.await.expect("a bill");
    // Two wallets of the same guardians in the same batch: their numbers follow each other.
    add_notices(store, 2..5).await;
    let paid = ready(store, &[(ours(), number(0))], 72, EntryKind::BillPayment, |_| Account::bill(bill)).await;
    let batch: Vec<_> = paid.into_iter().chain(top_ups(store, 2..5, 80).await).collect();
    let told = store.receive_together(KIND, batch.into()).await.expect("a commit").expect("nothing crossed");
    let of_bill: Vec<_> = told.iter().filter(|row| row.index == 0).map(|row| row.guardian).collect();
    assert_eq!(of_bill.len(), 2, "once each, however many lines they see");
    assert_eq!(of_bill.into_iter().collect::<BTreeSet<_>>(), [uuid(10), uuid(11)].into());
    let seen = "SELECT COUNT(*) FROM feed WHERE bill IS NOT NULL AND wallet IS NULL";
    assert_eq!(fresh.raw_number(seen).await.expect("a number"), 2);
    sound(store).await;
}

/// Two servers (on SQLite one, twice) book batches that share wallets and guardians: each batch as a whole or not at all.
async fn two_nodes_at_the_same_wallets(fresh: Fresh) {
    const BATCHES: u128 = 12;
    const LENGTH: u128 = 10;
    town(&fresh.store).await;
    let other = match fresh.url() {
        Some(url) => Store::connect_postgres(url, 2).await.expect("a second node"),
        None => fresh.store.clone(),
    };
    // Notices 66 apart are for the same wallet: what one node books makes the other one's batch stale.
    add_notices(&fresh.store, 0..2 * 66).await;
    let node = async |store: &Store, offset: u128| {
        let mut booked = 0;
        for batch in 0..BATCHES {
            let first = offset + batch * 5;
            let entries = 100_000 * (1 + offset) + batch * LENGTH;
            let batch = top_ups(store, first..first + LENGTH, entries).await;
            match store.receive_together(KIND, batch.into()).await {
                Ok(Some(_)) => booked += 1,
                Ok(None) => {}
                // Waiting for each other's locks ends in time.
                Err(error) => assert!(error.to_string().contains("lock"), "{error}"),
            }
        }
        booked
    };
    let both = async { tokio::join!(node(&fresh.store, 0), node(&other, 66)) };
    let (here, there) = timeout(LONG, both).await.expect("an end");
    // Of overlapping batches of one node, every second finds its notices settled.
    assert!(here > 0 && there > 0, "{here} and {there}");
    let booked = i64::try_from(LENGTH).expect("a few") * (here + there);
    let [receipts, _, _, _, paid, credited, numbers, fed] = state(&fresh).await[..] else { panic!("eight numbers") };
    assert_eq!((receipts, paid, credited), (booked, booked, 100 * booked));
    assert_eq!(numbers, fed);
    sound(&fresh.store).await;
    if fresh.url().is_some() {
        other.close().await;
    }
}
