//! Without network, with bad network, with a bad disk: nothing is lost, nothing is doubled, everything is typed.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use borsellino_core::{
    CacheError, CacheStart, Error, MemoryStore, PayBy, QueuedWhy, Reason, RebuildReason, SecureStore, SecureStoreError,
    TopUpState,
};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;

use crate::fake::{CREDITOR, Oddity};
use crate::support::{Phone, canteen, euros, phone};

#[tokio::test]
async fn the_first_paint_needs_no_network() {
    let (fake, phone) = phone().await;
    let fresh = phone.signed_in().await.cached_home().unwrap();
    fake.reachable(false);
    let app = phone.open().await;
    assert_eq!(app.cache_start(), CacheStart::Kept);
    let begin = Instant::now();
    let painted = app.cached_home().unwrap();
    assert!(begin.elapsed().as_millis() < 50, "{:?}", begin.elapsed());
    assert_eq!(painted, fresh);
    assert_eq!(app.refresh_home().await, Err(Error::Offline));
    // Movements seen before are there too.
    assert_eq!(app.movements(None, None).await, Err(Error::Offline));
    fake.reachable(true);
    let seen = app.movements(None, None).await.unwrap();
    assert!(!seen.from_cache && seen.next.is_some());
    fake.reachable(false);
    let kept = app.movements(None, None).await.unwrap();
    assert!(kept.from_cache && kept.next.is_none());
    assert_eq!(kept.movements, seen.movements);
}

#[tokio::test]
async fn a_top_up_made_offline_waits_and_is_sent_once() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    let queued = app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    // The line was cut, or nobody took the connection.
    let waits = matches!(queued.state, TopUpState::Queued { why: QueuedWhy::Offline | QueuedWhy::NoAnswer });
    assert!(waits && queued.sentence.starts_with("In coda: "), "{queued:?}");
    assert!(app.resume().await.is_err());
    // Another process later.
    drop(app);
    let app = phone.open().await;
    assert_eq!(app.cached_home().unwrap().unwrap().top_ups, std::slice::from_ref(&queued));
    fake.reachable(true);
    let resumed = app.resume().await.unwrap();
    assert_eq!((resumed.finished, resumed.waiting), (1, 0));
    assert_eq!(app.resume().await.unwrap().finished, 0);
    let state = fake.state();
    assert_eq!(state.orders.len(), 1);
    assert_eq!(state.orders[0].id, queued.id.to_string());
    drop(state);
    let shown = app.cached_home().unwrap().unwrap().top_ups;
    assert_eq!(shown.len(), 1);
    let notice = shown[0].notice.as_ref().unwrap();
    assert_eq!((notice.grouped.as_str(), notice.cbill.as_str()), ("3010 0000 0000 0042 85", "AB12C"));
    assert!(shown[0].checkout_url.is_none() && shown[0].from_this_phone);
}

#[tokio::test]
async fn an_answer_lost_is_asked_for_again_under_the_same_id() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.odd("start_top_up", Oddity::LoseAnswer);
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert!(matches!(view.state, TopUpState::InProgress { .. }));
    assert!(view.checkout_url.is_some());
    let state = fake.state();
    assert_eq!((state.orders.len(), state.top_ups.len()), (2, 1));
    assert_eq!(state.orders[0], state.orders[1]);
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_nothing() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    {
        let call = app.start_top_up(canteen(), euros("20"), PayBy::Online);
        tokio::pin!(call);
        // Polled once, then dropped: the work goes on.
        assert!(tokio::time::timeout(std::time::Duration::ZERO, &mut call).await.is_err());
    }
    while fake.state().top_ups.is_empty() {
        tokio::task::yield_now().await;
    }
    app.shutdown().await;
    assert_eq!(app.refresh_home().await, Err(Error::Closed));
    assert!(app.cached_home().unwrap().is_some(), "what is known can still be shown");
}

#[tokio::test]
async fn a_refusal_is_kept_and_shown_until_dismissed() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let no = Refused { limit_cents: Some(20_000), ..Refused::new(v1::Reason::AboveMaximum, "Al massimo 200,00 €.") };
    fake.odd("start_top_up", Oddity::Refuse(no));
    let view = app.start_top_up(canteen(), euros("500"), PayBy::Online).await.unwrap();
    assert_eq!(view.sentence, "Non accettato: Al massimo 200,00 €.");
    let app = phone.open().await;
    app.resume().await.unwrap();
    let shown = app.cached_home().unwrap().unwrap().top_ups;
    let [refused] = shown.as_slice() else { panic!("{shown:?}") };
    let TopUpState::Refused(why) = &refused.state else { panic!("{refused:?}") };
    assert_eq!((why.reason, why.limit_cents), (Reason::AboveMaximum, Some(20_000)));
    assert_eq!(fake.state().orders.len(), 1, "a refusal is not sent again");
    app.dismiss(refused.id).await.unwrap();
    assert!(app.cached_home().unwrap().unwrap().top_ups.is_empty());
}

#[tokio::test]
async fn a_busy_server_refuses_nothing_for_good() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.odd("start_top_up", Oddity::Refuse(Refused::new(v1::Reason::Unavailable, "Riprova.")));
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert_eq!(view.state, TopUpState::Queued { why: QueuedWhy::Busy });
    assert_eq!(app.resume().await.unwrap().waiting, 0);
    assert_eq!(fake.state().top_ups.len(), 1);
}

#[tokio::test]
async fn what_the_server_no_longer_lists_is_asked_for() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    fake.receipt(&view.id.to_string());
    fake.state().home.payments.clear();
    // So long ago that Home is asked for.
    fake.state().resync = true;
    app.resume().await.unwrap();
    assert_eq!(fake.calls("get_top_up"), 1);
    app.resume().await.unwrap();
    assert_eq!(fake.calls("get_top_up"), 1, "it is known to be paid");
    assert!(app.cached_home().unwrap().unwrap().top_ups.is_empty());
}

#[tokio::test]
async fn a_home_screen_read_after_the_receipt_leaves_nothing_in_progress() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let view = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    // Home is read between the receipt and the change that tells of it: paid, it is not listed any more.
    fake.receipt(&view.id.to_string());
    fake.state().home.payments.clear();
    let home = app.refresh_home().await.unwrap();
    assert!(home.top_ups.is_empty(), "{:?}", home.top_ups);
}

#[tokio::test]
async fn nothing_readable_lies_in_the_folder() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    app.activate("5645312010").await.unwrap();
    app.movements(None, None).await.unwrap();
    app.start_top_up(canteen(), euros("33,33"), PayBy::Notice).await.unwrap();
    let bytes = phone.bytes();
    assert!(bytes.len() > 4_096);
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(has(CREDITOR.as_bytes()), "the search finds what is there");
    let secrets = [
        "Giulia", "Marta", "Rossi", "Bugliano", "Rodari", "fascia 2", "2026/118", "PAGOPA", "3333", "access-",
        "refresh-",
    ];
    for secret in secrets {
        assert!(!has(secret.as_bytes()), "{secret}");
    }
    // Protobuf would hold the amount as a varint behind its tag.
    assert!(!has(&[0x18, 0x85, 0x1a]));
    drop(app);
    drop(fake);
}

#[tokio::test]
async fn a_damaged_file_is_rebuilt_and_keeps_the_intents_it_can() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    let queued = app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    app.shutdown().await;
    drop(app);
    // Opening and closing folds the log into the file, page by page of 4096 bytes.
    drop(phone.open().await);
    let file = phone.folder.path().join("cache.sqlite");
    // Work that was under way may hold the file a little longer: the log goes with the last who closes it.
    let folded = async {
        while phone.folder.path().join("cache.sqlite-wal").exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), folded).await.unwrap();
    let whole = std::fs::read(&file).unwrap();

    let mut rebuilt = 0;
    let mut kept = 0;
    for page in 0..whole.len() / 4_096 {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        damaged[page * 4_096..(page + 1) * 4_096].fill(0xA5);
        std::fs::write(folder.path().join("cache.sqlite"), damaged).unwrap();
        let again = Phone {
            folder,
            store: Arc::clone(&phone.store),
            clock: Arc::clone(&phone.clock),
            ..Phone::new(&phone.url)
        };
        let app = again.open().await;
        assert_eq!(app.accounts().len(), 1, "accounts are not in the cache");
        match app.cache_start() {
            CacheStart::Rebuilt { why: RebuildReason::Damaged, intents_kept } => {
                rebuilt += 1;
                kept += intents_kept;
                assert!(again.folder.path().join("cache.damaged.sqlite").exists());
            }
            // A page that held nothing any more.
            start => assert_eq!(start, CacheStart::Kept),
        }
        // Usable at once, and whatever was kept is the same top-up.
        fake.reachable(true);
        app.resume().await.unwrap();
        assert!(app.cached_home().unwrap().is_some());
        fake.reachable(false);
        app.shutdown().await;
    }
    assert!(rebuilt >= 5 && kept >= 3, "{rebuilt} rebuilt, {kept} kept");
    let state = fake.state();
    assert!(state.orders.iter().all(|order| order.id == queued.id.to_string()));
    assert_eq!(state.top_ups.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_moved_aside() {
    let (_fake, phone) = phone().await;
    std::fs::write(phone.folder.path().join("cache.sqlite"), b"hello, this is no database at all, not at all").unwrap();
    let app = phone.open().await;
    assert_eq!(app.cache_start(), CacheStart::Rebuilt { why: RebuildReason::Damaged, intents_kept: 0 });
    assert_eq!(phone.open().await.cache_start(), CacheStart::Kept);
}

#[tokio::test]
async fn another_key_begins_a_new_cache() {
    let (fake, mut phone) = phone().await;
    drop(phone.signed_in().await);
    phone.store = Arc::new(MemoryStore::default());
    let app = phone.open().await;
    assert_eq!(app.cache_start(), CacheStart::Rebuilt { why: RebuildReason::WrongKey, intents_kept: 0 });
    assert!(app.accounts().is_empty() && app.cached_home().unwrap().is_none());
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    app.refresh_home().await.unwrap();
    drop(fake);
}

/// A keychain before the first unlock.
struct Locked;

impl SecureStore for Locked {
    fn get(&self, _: &str) -> Result<Option<Vec<u8>>, SecureStoreError> {
        Err(SecureStoreError::Locked)
    }

    fn set(&self, _: &str, _: &[u8]) -> Result<(), SecureStoreError> {
        Err(SecureStoreError::Locked)
    }

    fn remove(&self, _: &str) -> Result<(), SecureStoreError> {
        Err(SecureStoreError::Locked)
    }
}

#[tokio::test]
async fn a_locked_keychain_is_no_reason_to_throw_the_cache_away() {
    let (_fake, mut phone) = phone().await;
    drop(phone.signed_in().await);
    let unlocked = std::mem::replace(&mut phone.store, Arc::new(Locked));
    assert_eq!(phone.try_open().await.err(), Some(Error::SecureStore(SecureStoreError::Locked)));
    phone.store = unlocked;
    let app = phone.open().await;
    assert_eq!(app.cache_start(), CacheStart::Kept);
    assert!(app.cached_home().unwrap().is_some());
}

#[tokio::test]
async fn on_a_full_phone_nothing_is_sent_that_could_not_be_saved() {
    let (fake, mut phone) = phone().await;
    phone.pages = Some(1);
    let app = phone.open().await;
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    // Fill what room there is.
    let mut sent = 0;
    let full = loop {
        match app.start_top_up(canteen(), euros("20"), PayBy::Online).await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 200, "the limit holds nothing back");
    };
    assert_eq!(full, Error::Cache(CacheError::Full));
    assert_eq!(fake.state().top_ups.len(), sent, "an error means that nothing was begun");
    // With room again, it goes on.
    phone.pages = None;
    drop(app);
    let app = phone.open().await;
    app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    assert_eq!(fake.state().top_ups.len(), sent + 1);
}

#[tokio::test]
async fn a_captive_portal_is_not_our_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut sink = [0; 1_024];
            let _ = stream.read(&mut sink);
            let page = "<html><body>Accetta le condizioni</body></html>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
            // Until the other side has had enough.
            while matches!(stream.read(&mut sink), Ok(1..)) {}
        }
    });
    let app = Phone::new(&url).open().await;
    let error = app.activate("5645312010").await.unwrap_err();
    assert_eq!(error, Error::NotOurServer);
    assert!(error.sentence(borsellino_core::Language::Italian).contains("browser"));
}
