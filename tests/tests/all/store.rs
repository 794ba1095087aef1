//! The one behaviour suite of the store, on both engines: what is kept, what is undone, who waits for whom.

mod disk;
mod plans;
mod privileges;
mod tenants;
mod together;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EntryId, GuardianId, ServiceId, WalletId};
use borsellino_domain::ledger::{Account, Entry, EntryKind, Hash, Head, Memo};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_store::rows::{NewChild, NewGuardian, NewReceipt, NewService};
use borsellino_store::{Store, StoreError, Tx};
use borsellino_tests::stores::{Fresh, add_creditors};
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Barrier, Notify};
use tokio::time::timeout;
use uuid::Uuid;

borsellino_tests::on_both_engines! {
    every_statement_prepares;
    a_refusal_leaves_nothing;
    a_failure_leaves_nothing;
    a_panic_leaves_nothing_and_writing_goes_on;
    a_taken_row_hurts_nobody_else;
    sixty_four_writers_share_a_wallet;
    one_of_sixty_four_equal_receipts_is_new;
    a_caller_that_leaves_takes_nothing_with_it;
    the_feed_has_no_gaps_and_keeps_the_order_of_commits;
    what_was_answered_survives_closing;
}

const OURS: &str = "99900010010";
const NOW: Millis = Millis::new(1_000_000);

/// Longer than anything here takes, shorter than anyone's patience.
const LONG: Duration = Duration::from_secs(30);

fn ours() -> CreditorCode {
    CreditorCode::from_digits(OURS).expect("eleven digits")
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn wallet(n: u128) -> WalletId {
    WalletId::from(uuid(n))
}

fn cents(value: i64) -> Amount {
    Amount::from_cents(value).expect("an amount")
}

/// Runs a body that refuses nothing.
async fn write<F>(store: &Store, body: F) -> Result<(), StoreError>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>> + Send + Sync + 'static,
{
    let outcome = store.write::<_, (), _>("a test's write", move |tx| {
        let body = body(tx);
        Box::pin(async move { body.await.map(Ok) })
    });
    outcome.await.map(|answer| answer.expect("a body that refuses nothing"))
}

/// Adds an activation code: the smallest row there is, and taken the second time.
async fn add_code(store: &Store, code: impl Into<String>) -> Result<(), StoreError> {
    let code = code.into();
    write(store, move |tx| {
        let code = code.clone();
        Box::pin(async move { tx.insert_activation_code(&ours(), &code).await })
    })
    .await
}

async fn has_code(store: &Store, code: &'static str) -> bool {
    let found = store.read(move |tx| Box::pin(tx.creditor_of_activation(code))).await.expect("a readable database");
    found.is_some()
}

/// A creditor with two guardians of one child, who has a wallet (1 and 2) in each of two services.
async fn family(store: &Store) {
    add_creditors(store, &[OURS]).await.expect("a creditor");
    write(store, |tx| Box::pin(add_family(tx, ours(), "Rossi"))).await.expect("a family");
}

async fn add_family(tx: &mut Tx, creditor: CreditorCode, name: &'static str) -> Result<(), StoreError> {
    let child = NewChild {
        id: uuid(20),
        given_name: "Ada".to_owned(),
        family_name: name.to_owned(),
        fiscal_code: "RSSDAA16A41H501X".to_owned(),
        school: "Primaria".to_owned(),
        class_name: "3B".to_owned(),
    };
    tx.insert_child(&creditor, &child).await?;
    for n in [10, 11] {
        let guardian = NewGuardian {
            id: GuardianId::from(uuid(n)),
            username: format!("guardian {n}"),
            full_name: format!("{n} {name}"),
            fiscal_code: "RSSMRA80A01H501U".to_owned(),
            email: None,
            password_hash: String::new(),
        };
        tx.insert_guardian(&creditor, &guardian).await?;
        tx.link_child(&creditor, guardian.id, child.id).await?;
    }
    for (n, kind) in [(1, ServiceKind::Canteen), (2, ServiceKind::Transport)] {
        let service = NewService {
            id: ServiceId::from(uuid(30 + n)),
            kind,
            name: format!("{} {name}", kind.code()),
            taxonomy: kind.municipal_taxonomy().to_owned(),
            presets: vec![cents(1_000)],
            rules: TopUpRules { min: cents(100), max: cents(10_000), wallet_max: cents(50_000), max_open: 3 },
            low_mark: Cents::new(500),
        };
        tx.insert_service(&creditor, &service).await?;
        tx.insert_wallet(&creditor, wallet(n), child.id, service.id).await?;
        let account = Account::wallet(wallet(n));
        tx.open_account(&creditor, account, &Head::genesis(&creditor, account)).await?;
    }
    Ok(())
}

fn top_up(creditor: CreditorCode, n: u128, to: WalletId, amount: i64) -> Entry {
    let sides = (Account::wallet(to), Account::CLEARING, Cents::new(amount));
    let entry = Entry::transfer(creditor, EntryId::from(uuid(n)), EntryKind::TopUp, NOW, None, sides);
    entry.expect("a balanced entry")
}

fn receipt(id: &str, entry: Option<Uuid>) -> NewReceipt {
    NewReceipt {
        issuer: OURS.to_owned(),
        receipt_id: id.to_owned(),
        notice_number: "302000000000000001".to_owned(),
        received_at: NOW,
        total: Cents::new(100),
        ours: Cents::new(100),
        outcome: "wallet",
        entry,
        content_digest: Hash::of(id.as_bytes()),
        message_digest: Hash::of(id.as_bytes()),
        key_id: "k".to_owned(),
        sealed: vec![1],
    }
}

async fn every_statement_prepares(fresh: Fresh) {
    match fresh.store.prepare_all().await {
        Ok(count) => assert!(count > 50, "only {count} statements were found"),
        Err((name, error)) => panic!("{name}: {error}"),
    }
}

async fn a_refusal_leaves_nothing(fresh: Fresh) {
    family(&fresh.store).await;
    let refused = fresh.store.write::<(), &'static str, _>("refuse", |tx| {
        Box::pin(async move {
            tx.insert_activation_code(&ours(), "refused").await?;
            tx.book(&top_up(ours(), 1, wallet(1), 100)).await?;
            Ok(Err("no"))
        })
    });
    assert_eq!(refused.await.expect("no failure"), Err("no"));
    assert!(!has_code(&fresh.store, "refused").await);
    let balance = fresh.store.read(|tx| Box::pin(async { tx.wallet_balance(&ours(), uuid(1)).await }));
    let balance = balance.await.expect("a readable database").expect("the wallet");
    assert_eq!((balance.seq, balance.balance_cents), (0, Cents::ZERO));
}

async fn a_failure_leaves_nothing(fresh: Fresh) {
    add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
    let failed = write(&fresh.store, |tx| {
        Box::pin(async move {
            tx.insert_activation_code(&ours(), "before").await?;
            // No such wallet: the entry has nowhere to go.
            tx.book(&top_up(ours(), 1, wallet(1), 100)).await.map(drop)
        })
    });
    assert!(matches!(failed.await, Err(StoreError::Corrupt(_))));
    assert!(!has_code(&fresh.store, "before").await);
}

async fn a_panic_leaves_nothing_and_writing_goes_on(fresh: Fresh) {
    add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
    let panics = |code: &'static str| {
        write(&fresh.store, move |tx| {
            Box::pin(async move {
                tx.insert_activation_code(&ours(), code).await?;
                assert!(code.is_empty(), "on purpose");
                Ok(())
            })
        })
    };
    // Among others, so that on SQLite they share its transaction.
    let (panicked, one, two) =
        tokio::join!(panics("doomed"), add_code(&fresh.store, "one"), add_code(&fresh.store, "two"));
    assert!(matches!(panicked, Err(StoreError::Panicked)), "{panicked:?}");
    one.and(two).expect("the neighbours' writes");
    // More often than there are connections: none may be lost.
    for _ in 0..20 {
        assert!(matches!(panics("doomed").await, Err(StoreError::Panicked)));
    }
    let read = fresh.store.read::<(), _>(|_| Box::pin(async { panic!("on purpose") })).await;
    assert!(matches!(read, Err(StoreError::Panicked)));
    add_code(&fresh.store, "after").await.expect("a write after the panics");
    assert!(!has_code(&fresh.store, "doomed").await);
    for kept in ["one", "two", "after"] {
        assert!(has_code(&fresh.store, kept).await, "{kept}");
    }
    assert_no_open_transaction(&fresh).await;
}

async fn a_taken_row_hurts_nobody_else(fresh: Fresh) {
    add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
    add_code(&fresh.store, "taken").await.expect("the first");
    let codes = (0..40).map(|n| if n % 4 == 1 { "taken".to_owned() } else { format!("code {n}") });
    let outcomes = join_all(codes.map(|code| add_code(&fresh.store, code))).await;
    for (n, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(()) => assert_ne!(n % 4, 1, "a code was given twice"),
            Err(error) => assert!(n % 4 == 1 && error.is_taken(), "write {n}: {error}"),
        }
    }
    let count = fresh.raw_number("SELECT COUNT(*) FROM activation_code").await.expect("a count");
    assert_eq!(count, 31);
}

async fn sixty_four_writers_share_a_wallet(fresh: Fresh) {
    family(&fresh.store).await;
    let writes = (1..=64).map(|n| {
        write(&fresh.store, move |tx| {
            Box::pin(async move {
                // Half of them believe that they are the first: one at most can be right.
                let seen = (n % 2 == 0).then(|| Head::genesis(&ours(), Account::wallet(wallet(1))));
                tx.book_after(&top_up(ours(), n, wallet(1), n as i64), seen).await.map(drop)
            })
        })
    });
    for outcome in timeout(LONG, join_all(writes)).await.expect("an end") {
        outcome.expect("a booking");
    }
    let account = Account::wallet(wallet(1));
    let (chain, balance) = fresh
        .store
        .read(move |tx| {
            Box::pin(async move {
                Ok((tx.chain(&ours(), account, 0, 100).await?, tx.wallet_balance(&ours(), uuid(1)).await?))
            })
        })
        .await
        .expect("a readable database");
    assert!(chain.iter().map(|row| row.seq).eq(1..=64));
    let entries: BTreeSet<Uuid> = chain.iter().map(|row| row.entry).collect();
    assert_eq!(entries, (1..=64).map(uuid).collect());
    let balance = balance.expect("the wallet");
    assert_eq!((balance.seq, balance.balance_cents), (64, Cents::new(64 * 65 / 2)));
}

async fn one_of_sixty_four_equal_receipts_is_new(fresh: Fresh) {
    family(&fresh.store).await;
    let deliveries = (1..=64).map(|n| {
        fresh.store.write::<_, (), _>("receive", move |tx| {
            Box::pin(async move {
                let new = tx.insert_receipt(&ours(), &receipt("R", Some(uuid(n)))).await?;
                if new {
                    tx.book(&top_up(ours(), n, wallet(1), 100)).await?;
                }
                Ok(Ok(new))
            })
        })
    });
    let answers = timeout(LONG, join_all(deliveries)).await.expect("an end");
    let new = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(true)))).count();
    let known = fresh.raw_number("SELECT COUNT(*) FROM receipt").await.expect("a count");
    // A bare SUM is a NUMERIC on PostgreSQL.
    let sum = "SELECT CAST(SUM(cents) AS BIGINT) FROM posting WHERE account_kind = 'wallet'";
    assert_eq!((new, known, fresh.raw_number(sum).await.expect("a sum")), (1, 1, 100));
}

/// On PostgreSQL; SQLite's writer is one connection that the other tests show alive.
async fn assert_no_open_transaction(fresh: &Fresh) {
    if fresh.is_sqlite() {
        return;
    }
    let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    let gone = async {
        // A dropped transaction is rolled back by its connection a moment later.
        while fresh.raw_number(open).await.expect("a count") > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.expect("a transaction was left open");
}

async fn a_caller_that_leaves_takes_nothing_with_it(fresh: Fresh) {
    add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let caller = write(&fresh.store, move |tx| {
        let (begins, goes_on) = (Arc::clone(&begins), Arc::clone(&goes_on));
        Box::pin(async move {
            tx.insert_activation_code(&ours(), "first half").await?;
            begins.notify_one();
            goes_on.notified().await;
            tx.insert_activation_code(&ours(), "second half").await
        })
    });
    tokio::select! {
        _ = caller => panic!("the body waits"),
        () = begun.notified() => {}
    }
    // The caller is gone; the transaction is not.
    go_on.notify_one();
    let committed = async {
        while !has_code(&fresh.store, "second half").await {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, committed).await.expect("the commit");
    assert!(has_code(&fresh.store, "first half").await);

    // Callers that leave at any moment of a write or a read: no connection comes back inside a transaction.
    for n in 0..60 {
        let store = fresh.store.clone();
        let write = tokio::spawn(async move { add_code(&store, format!("left {n}")).await });
        let store = fresh.store.clone();
        let read = tokio::spawn(async move { has_code(&store, "first half").await });
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        write.abort();
        read.abort();
    }
    assert_no_open_transaction(&fresh).await;
    let after = (0..20).map(|n| add_code(&fresh.store, format!("after {n}")));
    for outcome in timeout(LONG, join_all(after)).await.expect("a usable pool") {
        outcome.expect("a write");
    }
    assert_no_open_transaction(&fresh).await;
}

/// Readers beside the writers: a number that is seen has all its predecessors.
async fn the_feed_has_no_gaps_and_keeps_the_order_of_commits(fresh: Fresh) {
    const EACH: i64 = 30;
    family(&fresh.store).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = |guardian: u128| {
        let (store, done) = (fresh.store.clone(), Arc::clone(&done));
        let guardian = GuardianId::from(uuid(guardian));
        tokio::spawn(async move {
            let mut last = 0;
            loop {
                // Before the reading: one more comes after the last write.
                let over = done.load(Ordering::Acquire);
                let rows =
                    store.read(move |tx| Box::pin(async move { tx.feed_after(&ours(), guardian, last, 1_000).await }));
                for row in rows.await.expect("a readable database") {
                    assert_eq!(row.seq, last + 1, "a number was seen before its predecessor");
                    last = row.seq;
                }
                if over {
                    return last;
                }
            }
        })
    };
    let readers = [reader(10), reader(11)];
    let writer = |task: u128| {
        let store = fresh.store.clone();
        async move {
            for _ in 0..EACH {
                // Two wallets: one lock of an account is not what keeps the order.
                let wallet = uuid(1 + task % 2);
                let done = write(&store, move |tx| {
                    Box::pin(async move {
                        let guardians = tx.number_wallet_change(&ours(), wallet).await?;
                        assert_eq!(guardians.into_iter().collect::<BTreeSet<_>>(), [uuid(10), uuid(11)].into());
                        tx.feed_wallet_change(&ours(), wallet, NOW, "302000000000000001").await
                    })
                });
                done.await.expect("a change");
            }
        }
    };
    timeout(LONG, join_all((0..4).map(writer))).await.expect("an end");
    done.store(true, Ordering::Release);
    for reader in readers {
        assert_eq!(reader.await.expect("a reader"), 4 * EACH);
    }
}

async fn what_was_answered_survives_closing(mut fresh: Fresh) {
    family(&fresh.store).await;
    let booked = write(&fresh.store, |tx| {
        Box::pin(async move {
            tx.book(
                &top_up(ours(), 1, wallet(1), 100).with_memo(Memo { day: Some("2026-11-20".to_owned()), tariff: None }),
            )
            .await
            .map(drop)
        })
    });
    booked.await.expect("a booking");
    let old = fresh.store.clone();
    fresh.reopen().await.expect("the same store");
    assert!(add_code(&old, "late").await.is_err(), "a closed store takes writes");
    let rows = fresh.store.read(|tx| Box::pin(async { tx.wallet_movements(&ours(), uuid(1), i64::MAX, 9).await }));
    let rows = rows.await.expect("a readable database");
    let seen: Vec<_> = rows.iter().map(|row| (row.seq, row.cents, row.entry, row.day.as_deref())).collect();
    assert_eq!(seen, [(1, Cents::new(100), uuid(1), Some("2026-11-20"))]);
    add_code(&fresh.store, "more").await.expect("a write after reopening");
}

/// Two bodies lock two accounts in opposite order, which `book` never does: PostgreSQL ends one of them, and it is run
/// again. (SQLite runs them one after the other.)
#[tokio::test]
async fn a_conflict_is_run_again() {
    let fresh = Fresh::postgres("conflict").await.expect("a store");
    family(&fresh.store).await;
    let (both_hold_one, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU64::new(0)));
    let body = |first: u128, second: u128| {
        let (both_hold_one, runs) = (Arc::clone(&both_hold_one), Arc::clone(&runs));
        let again = Arc::new(AtomicBool::new(false));
        write(&fresh.store, move |tx| {
            let (both_hold_one, runs, again) = (Arc::clone(&both_hold_one), Arc::clone(&runs), Arc::clone(&again));
            Box::pin(async move {
                runs.fetch_add(1, Ordering::Relaxed);
                tx.lock_account(&ours(), Account::wallet(wallet(first))).await?;
                if !again.swap(true, Ordering::Relaxed) {
                    both_hold_one.wait().await;
                }
                tx.lock_account(&ours(), Account::wallet(wallet(second))).await.map(drop)
            })
        })
    };
    let (one, other) = timeout(LONG, async { tokio::join!(body(1, 2), body(2, 1)) }).await.expect("an end");
    one.and(other).expect("both, in the end");
    assert!(runs.load(Ordering::Relaxed) >= 3, "nothing conflicted: the test tests nothing");
    assert_eq!(fresh.raw_number("SELECT CAST(SUM(seq) AS BIGINT) FROM account").await.expect("a sum"), 4);
}

#[tokio::test]
async fn a_conflict_without_end_is_told_after_five_runs() {
    let fresh = Fresh::postgres("conflicts").await.expect("a store");
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let outcome = write(&fresh.store, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(StoreError::Conflict) })
    });
    assert!(matches!(outcome.await, Err(StoreError::Conflict)));
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}
