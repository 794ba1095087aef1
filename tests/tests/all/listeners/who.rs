//! Mutual TLS on the Node's port: who gets in, and that nobody else ever gets to HTTP.

use borsellino_tests::certificates::{Authority, Client, NODE, Pair, Subject};
use borsellino_tests::house::TOWN;
use borsellino_tests::house::node::{self, Addressee, Receipt};
use borsellino_tests::stores::Fresh;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Doors, Rules, Town, get, hung_up};

borsellino_tests::on_both_engines! {
    a_receipt_over_mutual_tls_is_booked;
}

async fn a_receipt_over_mutual_tls_is_booked(fresh: Fresh) {
    let town = Town::new();
    let doors = Doors::open(fresh, town.rules()).await;
    let (notice, cents) = doors.payable().await;
    let to = Addressee::new(TOWN);
    let verified = town.call(doors.node, "paVerifyPaymentNotice", node::verify(&to, TOWN, &notice)).await;
    assert_eq!(verified.element("amount"), Some(node::euro(cents).as_str()), "{verified:?}");
    let activated = town.call(doors.node, "paGetPaymentV2", node::activate(&to, TOWN, &notice, None)).await;
    assert!(activated.is_ok(), "{activated:?}");
    let receipt = Receipt::new(&notice, cents);
    for _ in 0..2 {
        let delivered = town.call(doors.node, receipt.action(), receipt.xml()).await;
        assert!(delivered.is_ok(), "{delivered:?}");
    }
    let booked = format!("SELECT COUNT(*) FROM receipt WHERE notice_number = '{notice}' AND outcome = 'wallet'");
    assert_eq!(doors.number(&booked).await, 1, "once");
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_named_get_in() {
    let town = Town::new();
    let mut rules = town.rules();
    rules.node_tls = Some(town.files.for_the_node(&["another.example", "Node.PagoPA.example", "Nodo dei pagamenti"]));
    let doors = Doors::on_sqlite(rules).await;
    let between = town.theirs.intermediate("between").intermediate("further between");
    for (what, pair) in [
        ("by the common name", town.theirs.certify(&Subject::client(NODE))),
        ("by a common name that is no host", town.theirs.certify(&Subject::client("Nodo dei pagamenti"))),
        ("by a DNS name", town.theirs.certify(&Subject::client_of(&["first.example", NODE]))),
        ("in another case", town.theirs.certify(&Subject::client("NODE.pagopa.EXAMPLE"))),
        ("through other authorities", between.certify(&Subject::client(NODE))),
    ] {
        for version in [&TLS12, &TLS13] {
            for protocols in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
                let client = Client::of(&town.ours.certificate, Some(&pair), &[version]).speaking(protocols);
                let mut line = client.connect(doors.node).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                let agreed = line.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                assert_eq!(agreed.as_deref(), protocols.first().copied(), "ours in the client's order");
                if agreed.as_deref() != Some("h2") {
                    assert_eq!(get(&mut line, "/pagopa/node").await.expect("an answer"), 405, "{what}");
                }
            }
        }
    }
    doors.close().await;
}

/// Tries to get an answer in HTTP; what came back before the other side hung up.
async fn tries(client: &Client, doors: &Doors) -> Vec<u8> {
    // In TLS 1.3 a client believes that it is in before the server has looked at its certificate.
    let Ok(mut line) = client.connect(doors.node).await else { return Vec::new() };
    let _ = line.write_all(b"GET /pagopa/node HTTP/1.1\r\nhost: x\r\n\r\n").await;
    hung_up(&mut line).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_never_get_to_http() {
    let town = Town::new();
    let doors = Doors::on_sqlite(town.rules()).await;
    let mine = Authority::root("their authority");
    let mixed = Pair {
        certificate: town.node.certificate.clone() + &mine.certify(&Subject::client("x")).certificate,
        key: town.node.key.clone(),
    };
    let cases: Vec<(&str, Option<Pair>)> = vec![
        ("no certificate", None),
        ("of an authority with the same name", Some(mine.certify(&Subject::client(NODE)))),
        ("of the authority of our own certificate", Some(town.ours.certify(&Subject::client(NODE)))),
        ("certified by itself", Some(Subject::client(NODE).self_signed())),
        ("another common name", Some(town.theirs.certify(&Subject::client("other.pagopa.example")))),
        ("a longer common name", Some(town.theirs.certify(&Subject::client(&format!("{NODE}.it"))))),
        ("another DNS name", Some(town.theirs.certify(&Subject::client_of(&["other.pagopa.example"])))),
        ("a wildcard", Some(town.theirs.certify(&Subject::client_of(&["*.pagopa.example"])))),
        ("the name as an organisation", Some(town.theirs.certify(&Subject::client("x").of(NODE)))),
        ("no name at all", Some(town.theirs.certify(&Subject::client_of(&[])))),
        ("expired", Some(town.theirs.certify(&Subject::client(NODE).between(2020, 2026)))),
        ("not yet valid", Some(town.theirs.certify(&Subject::client(NODE).between(2027, 2050)))),
        ("for a server only", Some(town.theirs.certify(&Subject::server()))),
    ];
    for (what, pair) in &cases {
        for version in [&TLS12, &TLS13] {
            let client = Client::of(&town.ours.certificate, pair.as_ref(), &[version]);
            assert_eq!(tries(&client, &doors).await, b"", "{what}");
        }
    }
    // Somebody who does not speak TLS at all.
    let mut line = TcpStream::connect(doors.node).await.expect("a connection");
    line.write_all(b"GET /pagopa/node HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let (said, _) = hung_up(&mut line).await;
    assert!(!said.starts_with(b"HTTP"), "an alert at most: {said:?}");
    // Their trying keeps nobody else out, and more than is needed does no harm.
    for pair in [&town.node, &mixed] {
        let mut line = town.client(Some(pair)).connect(doors.node).await.expect("the Node");
        assert_eq!(get(&mut line, "/pagopa/node").await.expect("an answer"), 405);
    }
    doors.close().await;
}

/// No session is resumed, so that an old certificate does not stay good for as long as its sessions do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_shows_its_certificate() {
    let town = Town::new();
    let doors = Doors::on_sqlite(town.rules()).await;
    let for_a_while = town.theirs.certify(&Subject::client(NODE).between(2020, 2027));
    for version in [&TLS12, &TLS13] {
        let client = Client::of(&town.ours.certificate, Some(&for_a_while), &[version]);
        for _ in 0..2 {
            let mut line = client.connect(doors.node).await.expect("the Node");
            assert_eq!(get(&mut line, "/pagopa/node").await.expect("an answer"), 405);
            assert_eq!(line.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
    let client = town.client(Some(&for_a_while));
    let mut open = client.connect(doors.node).await.expect("the Node");
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405);
    doors.advance(60);
    assert_eq!(tries(&client, &doors).await, b"", "it has expired since, by the server's clock");
    assert_eq!(get(&mut open, "/pagopa/node").await.expect("an answer"), 405, "what is open goes on");
    doors.close().await;
}

/// Addresses narrow what the certificate allows, and this machine is always one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_this_machine_alone_gets_in() {
    let doors = Doors::on_sqlite(Rules::default()).await;
    let mut line = TcpStream::connect(doors.node).await.expect("a connection");
    assert_eq!(get(&mut line, "/pagopa/node").await.expect("an answer"), 405);
    doors.close().await;
}
