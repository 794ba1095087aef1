//! Everything that the other side decides has an end: how many come, how long they take, how much they send. Each test
//! shortens the one limit it is about.

use std::time::Duration;

use borsellino_server::listener::Limits;
use borsellino_server::soap::DEADLINE;
use borsellino_tests::certificates::{Authority, Client, Files, Subject};
use borsellino_tests::house::SOON;
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use http::Request;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::{Doors, Rules, answer, get, hung_up};

const SHORT: Duration = Duration::from_millis(200);

/// What starts an HTTP/2 connection: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn usual() -> Limits {
    Limits::new(64)
}

async fn line(doors: &Doors) -> TcpStream {
    TcpStream::connect(doors.public).await.expect("a connection")
}

async fn healthy(line: &mut TcpStream) {
    assert_eq!(get(line, "/healthz").await.expect("an answer"), 200);
}

async fn http2(doors: &Doors) -> (SendRequest<Bytes>, Connection<TcpStream>) {
    h2::client::handshake(line(doors).await).await.expect("a handshake")
}

fn request(path: &str) -> Request<()> {
    Request::post(format!("http://x{path}")).header("content-type", "application/grpc").body(()).expect("a request")
}

/// Sends a byte now and again until the other side hangs up.
async fn dribble(line: &mut TcpStream, byte: u8) {
    let hangs_up = async {
        loop {
            let mut nothing = [0];
            tokio::select! {
                read = line.read(&mut nothing) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = sleep(SHORT / 10) => {}
            }
            if line.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    timeout(SOON, hangs_up).await.expect("it hangs up in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handshake_ends() {
    let (ours, folder) = (Authority::root("our authority"), TempDir::new().expect("a folder"));
    let files = Files::write(folder.path(), "public", &ours.certify(&Subject::server()), "");
    let limits = Limits { handshake: SHORT, ..usual() };
    let doors = Doors::on_sqlite(Rules { public_tls: Some(files.for_the_public()), ..Rules::bounds(limits) }).await;
    // The first bytes of a ClientHello that never ends.
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let begun = Instant::now();
        let mut line = line(&doors).await;
        line.write_all(said).await.expect("sent");
        let (heard, _) = hung_up(&mut line).await;
        assert!(heard.is_empty() && begun.elapsed() >= SHORT, "{heard:?} after {:?}", begun.elapsed());
    }
    let mut slow = line(&doors).await;
    slow.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.expect("sent");
    dribble(&mut slow, 7).await;
    // Nobody else is held up.
    let client = Client::new(&ours.certificate, None);
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(line(&doors).await);
    }
    let tries = async {
        loop {
            // On a busy machine an honest handshake may be too slow for this limit.
            if let Ok(mut line) = client.connect(doors.public).await {
                return get(&mut line, "/healthz").await.expect("an answer");
            }
        }
    };
    assert_eq!(timeout(SOON, tries).await.expect("an answer in time"), 200);
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_head_ends() {
    let doors = Doors::on_sqlite(Rules::bounds(Limits { header: SHORT, ..usual() })).await;
    for (what, said) in [
        ("silence", &b""[..]),
        ("half a line", b"GET /hea"),
        ("half a head", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"),
        ("half a preface", &PREFACE[..20]),
        ("HTTP/2 without a request", PREFACE),
    ] {
        let begun = Instant::now();
        let mut line = line(&doors).await;
        line.write_all(said).await.expect("sent");
        let (heard, _) = hung_up(&mut line).await;
        assert!(!heard.starts_with(b"HTTP/1.1 200"), "{what}: {heard:?}");
        assert!(begun.elapsed() >= SHORT, "{what}: {:?}", begun.elapsed());
    }
    let mut slow = line(&doors).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.expect("sent");
    dribble(&mut slow, b'x').await;

    // Between two requests one may take longer than over the head of one.
    let mut kept = line(&doors).await;
    healthy(&mut kept).await;
    sleep(SHORT * 3).await;
    healthy(&mut kept).await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.expect("sent");
    let begun = Instant::now();
    dribble(&mut kept, b'x').await;
    assert!(begun.elapsed() < usual().idle / 4, "not only when it has been idle too long");
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_happens_ends() {
    let limits = Limits { idle: SHORT, linger: SHORT, ..usual() };
    let doors = Doors::on_sqlite(Rules::bounds(limits)).await;
    let begun = Instant::now();
    let mut kept = line(&doors).await;
    healthy(&mut kept).await;
    assert!(hung_up(&mut kept).await.0.is_empty());
    assert!(begun.elapsed() >= SHORT);

    // On HTTP/2 it is told to go.
    let (mut send, connection) = http2(&doors).await;
    let driven = tokio::spawn(connection);
    let (answer, _) =
        send.send_request(Request::get("http://x/healthz").body(()).expect("a request"), true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    timeout(SOON, driven).await.expect("an end in time").expect("no panic").expect("an orderly end");
    doors.close().await;
}

/// A reader who asks and asks and takes no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_end() {
    let limits = Limits { idle: SHORT, linger: SHORT, ..usual() };
    let doors = Doors::on_sqlite(Rules::bounds(limits)).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut line = socket.connect(doors.public).await.expect("a connection");
    let asking = async { while line.write_all(b"GET /style.css HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok() {} };
    timeout(SOON, asking).await.expect("it hangs up in time");
    doors.close().await;
}

/// A phone that is gone without a word: its stream ends, and its place is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_vanished_is_missed() {
    let limits = Limits { connections: 1, ping_every: SHORT, ping_answer: SHORT, ..usual() };
    let doors = Doors::on_sqlite(Rules::bounds(limits)).await;
    let (mut send, mut connection) = http2(&doors).await;
    let opened = async {
        let (answer, mut body) = send.send_request(request("/grpc.health.v1.Health/Watch"), false).expect("sent");
        body.send_data(Bytes::from_static(&[0; 5]), true).expect("sent");
        let mut body = answer.await.expect("an answer").into_body();
        body.data().await.expect("a state").expect("a state");
        body
    };
    // The connection moves only as long as this waits for it; after that it answers no ping.
    let stream = tokio::select! {
        stream = opened => stream,
        ended = &mut connection => panic!("{ended:?}"),
    };
    let mut next = line(&doors).await;
    healthy(&mut next).await;
    drop((stream, connection));
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_beyond_the_places_wait_for_one() {
    let doors = Doors::on_sqlite(Rules::bounds(Limits { connections: 2, ..usual() })).await;
    let (mut one, mut two) = (line(&doors).await, line(&doors).await);
    healthy(&mut one).await;
    healthy(&mut two).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut line = line(&doors).await;
        line.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
        waiting.push(line);
    }
    assert!(timeout(SHORT, answer(&mut waiting[0])).await.is_err(), "it waits");
    healthy(&mut two).await;
    drop(one);
    for line in &mut waiting {
        assert!(answer(line).await.expect("an answer").starts_with("HTTP/1.1 200"));
    }
    healthy(&mut two).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_are_held_by_silence_are_freed() {
    let limits = Limits { connections: 2, header: SHORT, ..usual() };
    let doors = Doors::on_sqlite(Rules::bounds(limits)).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(line(&doors).await);
    }
    healthy(&mut line(&doors).await).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_has_so_many_streams_and_no_more() {
    let doors = Doors::on_sqlite(Rules::bounds(Limits { streams: 3, ..usual() })).await;
    let (send, connection) = http2(&doors).await;
    let driven = tokio::spawn(connection);
    let mut send = send.ready().await.expect("a connection");
    // Once an answer has come, so have the settings.
    let (answer, _) =
        send.send_request(Request::get("http://x/healthz").body(()).expect("a request"), true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    assert_eq!(send.current_max_send_streams(), 3);
    let mut open = Vec::new();
    for _ in 0..3 {
        send = send.ready().await.expect("a place");
        open.push(send.send_request(request("/borsellino.v1.Family/Home"), false).expect("sent"));
    }
    // The third has its place; else the client would refuse to keep another one back.
    send = send.ready().await.expect("a place");
    let (fourth, _) = send.send_request(request("/borsellino.v1.Family/Home"), true).expect("kept back");
    let mut fourth = Box::pin(fourth);
    assert!(timeout(SHORT, &mut fourth).await.is_err(), "it waits for one of the others");
    drop(open.pop());
    let answer = timeout(SOON, fourth).await.expect("in time").expect("an answer");
    assert_eq!(answer.status(), 200, "a gRPC answer");
    drop((send, open));
    driven.abort();
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_have_a_size() {
    let doors = Doors::on_sqlite(Rules::default()).await;
    let fits = "x".repeat(16 << 10);
    let mut line = line(&doors).await;
    line.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\na: {fits}\r\n\r\n").as_bytes()).await.expect("sent");
    assert!(answer(&mut line).await.expect("an answer").starts_with("HTTP/1.1 200"));
    line.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", fits.repeat(3)).as_bytes()).await.ok();
    let (heard, _) = hung_up(&mut line).await;
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&heard));

    let (send, connection) = http2(&doors).await;
    let driven = tokio::spawn(connection);
    let ask = async |size: usize| {
        let request = Request::get("http://x/healthz").header("a", fits.repeat(size)).body(()).expect("a request");
        let (answer, _) = send.clone().ready().await?.send_request(request, true)?;
        answer.await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(ask(1).await.expect("an answer"), 200);
    assert!(!matches!(ask(3).await, Ok(200)), "too large");
    driven.abort();
    doors.close().await;
}

/// A body that does not come holds a place of the Node's for as long as any call may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_answered() {
    let doors = Doors::on_sqlite(Rules::default()).await;
    let mut line = TcpStream::connect(doors.node).await.expect("a connection");
    let head = "POST /pagopa/node HTTP/1.1\r\nhost: x\r\nsoapaction: paSendRTV2\r\ncontent-length: 1000\r\n\r\n<soap";
    let begun = Instant::now();
    line.write_all(head.as_bytes()).await.expect("sent");
    let said = answer(&mut line).await.expect("an answer");
    assert!(said.starts_with("HTTP/1.1 500") && said.contains(":Fault>"), "a receipt has to come again: {said}");
    assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < DEADLINE + Duration::from_millis(1_500));
    hung_up(&mut line).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_keeps_a_server_from_stopping() {
    let (ours, folder) = (Authority::root("our authority"), TempDir::new().expect("a folder"));
    let files = Files::write(folder.path(), "node", &ours.certify(&Subject::server()), &ours.certificate);
    let limits = Limits { linger: SHORT, ..usual() };
    let rules = Rules { node_tls: Some(files.for_the_node(&["nobody"])), ..Rules::bounds(limits) };
    let doors = Doors::on_sqlite(rules).await;
    let mut lines = vec![TcpStream::connect(doors.node).await.expect("a connection")];
    for said in [&b""[..], b"GET /healthz HT", PREFACE] {
        let mut line = line(&doors).await;
        line.write_all(said).await.expect("sent");
        lines.push(line);
    }
    let mut kept = line(&doors).await;
    healthy(&mut kept).await;
    kept.write_all(b"GET /heal").await.expect("sent");
    // All of them have been accepted once this one, which came last, is answered.
    healthy(&mut line(&doors).await).await;
    let took = doors.close().await;
    assert!(took < Duration::from_secs(5), "less than they would be waited for: {took:?}");
    drop((lines, kept));
}
