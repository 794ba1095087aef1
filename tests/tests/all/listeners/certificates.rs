//! Certificates as an operator handles them: refused with a sentence where they can't be used, and exchanged while the
//! server serves.

use std::fs::{remove_file, write};

use borsellino_domain::time::Millis;
use borsellino_server::clock::Clock;
use borsellino_server::listener::{Certificates, Settings};
use borsellino_tests::certificates::{Authority, Client, Files, NODE, Subject};
use borsellino_tests::house::{OPENING, SOON};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Doors, Town, get};

/// What an operator is told.
async fn refused(settings: Settings) -> String {
    let clock = Clock::of(|| Millis::new(OPENING));
    let said = Certificates::load(settings, clock).await.expect_err("a refusal").to_string();
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    said
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_remedy() {
    let (ours, folder) = (Authority::root("our authority"), TempDir::new().expect("a folder"));
    let good = ours.certify(&Subject::server());
    let files = || Files::write(folder.path(), "port", &good, &ours.certificate);
    let clock = Clock::of(|| Millis::new(OPENING));
    assert!(Certificates::load(files().for_the_node(&[NODE]), clock.clone()).await.is_ok());
    assert!(Certificates::load(files().for_the_public(), clock).await.is_ok());

    let other = ours.certify(&Subject::server());
    let expired = ours.certify(&Subject::server().between(2020, 2026));
    let early = ours.certify(&Subject::server().between(2027, 2030));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let locked = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (what, field, content, remedies) in [
        ("no certificate", "certificate", "", ["holds no certificate", "name a PEM file"]),
        ("a key as certificate", "certificate", &good.key, ["holds no certificate", "name a PEM file"]),
        ("a broken certificate", "certificate", garbage, ["no certificate of today", "put the PEM file"]),
        ("an expired one", "certificate", &expired.certificate, ["ended at 2026-01-01", "put one there"]),
        ("one of tomorrow", "certificate", &early.certificate, ["begins at 2027-01-01", "put one there"]),
        ("a certificate as key", "key", &good.certificate, ["holds no key", "no password"]),
        ("a key with a password", "key", &locked, ["holds no key", "no password"]),
        ("a broken key", "key", no_key, ["can't be used", "use RSA"]),
        ("another key", "key", &other.key, ["is not the key of", "made together"]),
        ("no authority", "client_ca", "", ["holds no certificate", "name a PEM file"]),
        ("a broken authority", "client_ca", garbage, ["no certificate of today", "put the PEM file"]),
    ] {
        let files = files();
        let path = match field {
            "certificate" => &files.certificate,
            "key" => &files.key,
            _ => &files.client_ca,
        };
        let named = format!("node.tls.{field} = {}", path.display());
        write(path, content).expect("a file");
        let said = refused(files.for_the_node(&[NODE])).await;
        let place = if said.contains("ended") || said.contains("begins") { path.display().to_string() } else { named };
        assert!(said.contains(&place) && remedies.iter().all(|its| said.contains(its)), "{what}: {said}");
        remove_file(path).expect("a file");
        let said = refused(files.for_the_node(&[NODE])).await;
        assert!(said.contains(&place) && said.contains("may read"), "{what}: {said}");
        assert!(!said.contains("BEGIN"), "{what}: the file is told");
    }
    let other_host = Settings { host: Some("other.example".to_owned()), ..files().for_the_public() };
    let said = refused(other_host).await;
    assert!(said.contains("public.tls.certificate") && said.contains("not for other.example"), "{said}");
}

/// Connects anew until it works, which it has to before long.
async fn connects(client: &Client, doors: &Doors) {
    let begun = Instant::now();
    loop {
        let tried = async { get(&mut client.connect(doors.node).await?, "/pagopa/node").await };
        match tried.await {
            Ok(status) => return assert_eq!(status, 405),
            Err(error) => assert!(begun.elapsed() < SOON, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_ones_are_taken_and_nobody_is_cut_off() {
    let town = Town::new();
    let doors = Doors::on_sqlite(town.rules()).await;
    let before = town.client(Some(&town.node));
    let mut open = before.connect(doors.node).await.expect("the Node");
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405);

    // Another authority of ours, with a new key.
    let ours = Authority::root("our next authority");
    town.files.put(&ours.certify(&Subject::server()));
    let mid = Client::new(&ours.certificate, Some(&town.node));
    connects(&mid, &doors).await;
    assert!(before.connect(doors.node).await.is_err(), "what is shown now is another's");
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405, "what is open goes on");

    // Another authority of theirs.
    let theirs = Authority::root("their next authority");
    let node = theirs.certify(&Subject::client(NODE));
    write(&town.files.client_ca, &theirs.certificate).expect("a file");
    connects(&Client::new(&ours.certificate, Some(&node)), &doors).await;
    let tried = async { get(&mut mid.connect(doors.node).await?, "/pagopa/node").await };
    assert!(tried.await.is_err(), "of an authority that counts no more");
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405);

    // Back to what they were: that is news too.
    write(&town.files.client_ca, &town.theirs.certificate).expect("a file");
    doors.reload.send_replace(());
    connects(&mid, &doors).await;
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405);
    doors.close().await;
}
