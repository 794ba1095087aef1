//! TLS on the public port: apps and browsers without a proxy, over HTTP/2 and HTTP/1.1.

use std::sync::Arc;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1::{self, PayBy};
use borsellino_tests::certificates::{Authority, Client, Files, HOST, Subject, https};
use borsellino_tests::house::{MARIA, PASSWORD, Phone, SOON, TOWN, next_change, reason, wallet};
use rustls::HandshakeKind;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::{Doors, Rules, get, hung_up};

struct Town {
    _folder: TempDir,
    ours: Authority,
    rules: Rules,
}

fn town() -> Town {
    let (ours, folder) = (Authority::root("our authority"), TempDir::new().expect("a folder"));
    // A chain, as authorities give out: the phone knows the root alone.
    let pair = ours.intermediate("between").certify(&Subject::server());
    let files = Files::write(folder.path(), "public", &pair, "");
    let rules = Rules { public_tls: Some(files.for_the_public()), ..Rules::default() };
    Town { _folder: folder, ours, rules }
}

async fn channel(ours: &Authority, doors: &Doors) -> Channel {
    let trusts = Certificate::from_pem(&ours.certificate);
    let tls = ClientTlsConfig::new().ca_certificate(trusts).domain_name(HOST);
    let endpoint = Endpoint::new(format!("https://{}", doors.public)).expect("an address").tls_config(tls);
    endpoint.expect("TLS").connect().await.expect("a connection")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_signs_in_and_watches() {
    let Town { _folder, ours, rules } = town();
    let doors = Doors::on_sqlite(rules).await;
    let line = channel(&ours, &doors).await;
    let wrong = Phone::sign_in(line.clone(), TOWN, MARIA, "wrong").await;
    assert_eq!(reason(wrong.map(drop)), Reason::WrongCredentials);
    let counted = doors.number("SELECT COUNT(*) FROM sign_in_failure").await;
    assert_eq!(counted, 2, "the account, and the address that the connection came from");

    let phone = Phone::sign_in(line, TOWN, MARIA, PASSWORD).await.expect("a sign-in");
    let home = phone.home().await.expect("home");
    let mut stream = phone.watch(home.feed_seq).await.expect("a stream");
    let canteen = &wallet(&home, "Giulia", "Mensa scolastica").id;
    phone.top_up(canteen, 1_000, PayBy::Notice).await.expect("a top-up");
    let change: v1::Change = next_change(&mut stream).await;
    assert!(change.payment.is_some());
    let too_long = Phone::sign_in(channel(&ours, &doors).await, TOWN, MARIA, &"x".repeat(70_000)).await;
    assert_eq!(too_long.map(drop).expect_err("a refusal").code(), tonic::Code::OutOfRange, "64 KiB are enough");
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_gets_its_pages_and_nobody_speaks_in_clear() {
    let Town { _folder, ours, rules } = town();
    let doors = Doors::on_sqlite(rules).await;
    let browser = https(&ours.certificate, None, doors.public);
    for (path, status) in [("/", 200), ("/healthz", 200), ("/readyz", 200), ("/pagopa/node", 404)] {
        let answer = browser.get(format!("https://{HOST}:{}{path}", doors.public.port())).send().await;
        assert_eq!(answer.expect("an answer").status(), status, "{path}");
    }
    let client = Client::new(&ours.certificate, None);
    for (speaks, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let line = client.clone().speaking(speaks).connect(doors.public).await.expect("TLS");
        assert_eq!(line.get_ref().1.alpn_protocol(), Some(agreed.as_bytes()));
    }
    assert!(client.clone().speaking(&["smtp"]).connect(doors.public).await.is_err(), "nothing in common");
    // Phones come and go: their sessions are resumed, without anything being kept here.
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut line = client.connect(doors.public).await.expect("TLS");
        assert_eq!(get(&mut line, "/healthz").await.expect("an answer"), 200);
        assert_eq!(line.get_ref().1.handshake_kind(), Some(kind));
    }
    let mut line = TcpStream::connect(doors.public).await.expect("a connection");
    line.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    assert!(!hung_up(&mut line).await.0.starts_with(b"HTTP"));
    doors.close().await;
}

/// Strangers may ask as often as they like: the database is asked about once a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_asked_of_the_database_once_a_second() {
    let doors = Doors::on_sqlite(Rules::default()).await;
    let begun = Instant::now();
    let mut line = TcpStream::connect(doors.public).await.expect("a connection");
    let mut readings = vec![doors.app.directory.listing()];
    for _ in 0..200 {
        assert_eq!(get(&mut line, "/readyz").await.expect("an answer"), 200);
        // Whoever asks the database leaves another listing behind.
        let listing = doors.app.directory.listing();
        if !readings.iter().any(|known| Arc::ptr_eq(known, &listing)) {
            readings.push(listing);
        }
    }
    let asked = u64::try_from(readings.len() - 1).expect("a number");
    assert!(asked > 0, "it is asked at all");
    assert!(asked <= begun.elapsed().as_secs() + 2, "{asked} times in {:?}", begun.elapsed());
    doors.app.store.close().await;
    let notices = async {
        while get(&mut line, "/readyz").await.expect("an answer") == 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, notices).await.expect("a database that is gone shows");
    doors.close().await;
}
