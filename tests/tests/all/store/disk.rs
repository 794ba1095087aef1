//! A disk that is full, on SQLite: nothing of a lost batch is answered as done, and writing goes on when there is room.

use std::process::Command;

use borsellino_store::rows::KeptMessage;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinHandle;

use super::*;

/// Runs itself again in a process whose files may not grow past two megabytes. The kernel then refuses writes as a full
/// disk does, for this process alone, and lifts the limit when asked. (SQLite calls it an I/O error: what follows is
/// the same.)
#[test]
fn a_full_disk_loses_the_batch_and_nothing_else() {
    const ME: &str = "all::store::disk::a_full_disk_loses_the_batch_and_nothing_else";
    const CHILD: &str = "BORSELLINO_TEST_FULL_DISK";
    const DONE: &str = "the full disk was survived";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(fill());
        println!("{DONE}");
        return;
    }
    // Blocks of 512 bytes. Growing past the limit raises a signal that ends the process unless it is ignored.
    let script = "trap '' XFSZ; ulimit -S -f 4096; exec \"$0\" \"$@\"";
    let exe = std::env::current_exe().expect("this test program");
    let arguments = ["--exact", ME, "--nocapture"];
    let output = Command::new("sh").args(["-c", script]).arg(exe).args(arguments).env(CHILD, "1").output();
    let output = output.expect("a second run");
    let (said, cried) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(DONE), "{said}{cried}");
}

/// Keeps a message of that many bytes.
async fn keep(store: &Store, bytes: usize) -> Result<(), StoreError> {
    let message = KeptMessage {
        queue: "quarantine",
        message_digest: Hash::of(&bytes.to_be_bytes()),
        why: "a test".to_owned(),
        received_at: NOW,
        key_id: "k".to_owned(),
        sealed: vec![7; bytes],
    };
    write(store, move |tx| {
        let message = message.clone();
        Box::pin(async move { tx.keep_message(&ours(), &message).await })
    })
    .await
}

/// Occupies the writer until told to go on, so that what is sent meanwhile becomes one batch.
async fn hold(store: &Store) -> (Arc<Notify>, JoinHandle<Result<(), StoreError>>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on, store) = (Arc::clone(&begun), Arc::clone(&go_on), store.clone());
    let held = tokio::spawn(async move {
        let body = write(&store, move |_| {
            let (begins, goes_on) = (Arc::clone(&begins), Arc::clone(&goes_on));
            Box::pin(async move {
                begins.notify_one();
                goes_on.notified().await;
                Ok(())
            })
        });
        body.await
    });
    begun.notified().await;
    (go_on, held)
}

async fn fill() {
    let mut fresh = Fresh::sqlite().await.expect("a store");
    add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
    add_code(&fresh.store, "before").await.expect("a write that fits");
    let store = &fresh.store;

    // One operation too large for the cache fails where it stands; its neighbours are lost with it.
    let (go_on, held) = hold(store).await;
    let (one, huge, two, ()) = tokio::join!(
        biased;
        add_code(store, "one"),
        keep(store, 40_000_000),
        add_code(store, "two"),
        async { go_on.notify_one() },
    );
    held.await.expect("no panic").expect("the batch before");
    for outcome in [one, huge, two] {
        assert!(outcome.is_err(), "answered as done: {outcome:?}");
    }

    // Many that fit the cache and not the disk fail together, at the commit.
    let (go_on, held) = hold(store).await;
    let many = join_all((1..=40).map(|n| keep(store, 100_000 + n)));
    let (many, ()) = tokio::join!(biased; many, async { go_on.notify_one() });
    held.await.expect("no panic").expect("the batch before");
    assert!(many.iter().all(Result::is_err), "{many:?}");

    add_code(store, "small").await.expect("a write that still fits");
    let limit = Rlimit { current: None, ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).expect("the soft limit lifted");
    keep(store, 40_000_000).await.expect("a large write, with room");

    fresh.reopen().await.expect("the same store");
    for (code, kept) in [("before", true), ("one", false), ("two", false), ("small", true)] {
        assert_eq!(has_code(&fresh.store, code).await, kept, "{code}");
    }
    assert_eq!(fresh.raw_number("SELECT COUNT(*) FROM kept_message").await.expect("a count"), 1);
    let checked = fresh.raw_number("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'").await;
    assert_eq!(checked.expect("a check"), 0);
}
