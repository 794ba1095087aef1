//! The load: the Node's receipts over keep-alive connections, each sent when the one before it on its connection has
//! been answered. Written by hand so that the client costs the machine it shares with the server little.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_server::soap::PATH;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::report::{millis, rate};
use crate::town::{creditor, number};

/// The receipt as pagoPA sends it.
const RECEIPT: &str = include_str!("../../fixtures/pagopa/paSendRTV2-req.xml");

/// The broker and station of every creditor of the town.
pub(crate) const BROKER: &str = "99900010010";

/// How many Faults a connection takes before the bench gives up.
const MOST_FAULTS: u64 = 20;

/// What a lap of receipts took.
#[derive(Debug, Default)]
pub(crate) struct Lap {
    /// Receipts a second.
    pub(crate) rate: f64,
    /// How long each took, in milliseconds.
    pub(crate) millis: Vec<f64>,
    /// How often a receipt was answered with a SOAP Fault and delivered again, as the Node does.
    pub(crate) again: u64,
}

/// The receipt for notice `k`, whole, as it goes over the wire.
pub(crate) fn receipt(k: u64) -> Vec<u8> {
    receipt_of(&creditor(k), &number(k), &receipt_id(k))
}

/// The receipt for any notice that asks for as much.
pub(crate) fn receipt_of(creditor: &str, number: &str, id: &str) -> Vec<u8> {
    let body = RECEIPT
        .replace("99900010010", creditor)
        .replace("99900040017", creditor)
        .replace("99900020019", BROKER)
        .replace("302202600000012372", number)
        // The reference is the number without its first digit; a receipt with another's would wait in suspense.
        .replace("02202600000012372", number.get(1..).unwrap_or_default())
        .replace("0a4be1c7d5934b6f8f6c2d1b9e7a3055", id);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: node\r\nContent-Type: text/xml\r\nSOAPAction: \"paSendRTV2\"\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// The receipt's id, in decimal digits.
pub(crate) fn receipt_id(k: u64) -> String {
    (1_000_000_000_000 + k).to_string()
}

/// Sends the receipts of `range`, `in_flight` at a time; each has to be answered with OK.
pub(crate) async fn deliver(node: SocketAddr, range: Range<u64>, in_flight: usize) -> anyhow::Result<Lap> {
    let count = range.end - range.start;
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(range.map(receipt).collect());
    let mut streams = Vec::new();
    for _ in 0..in_flight {
        let stream = TcpStream::connect(node).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(work(stream, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let mut latencies = Vec::new();
    let mut again = 0;
    for task in tasks {
        let (its, faults) = task.await??;
        latencies.extend(its);
        again += faults;
    }
    let rate = rate(count, start.elapsed());
    Ok(Lap { rate, millis: latencies.into_iter().map(millis).collect(), again })
}

async fn work(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicU64>,
) -> anyhow::Result<(Vec<Duration>, u64)> {
    let (mut latencies, mut again) = (Vec::new(), 0);
    let mut answer = Vec::with_capacity(4_096);
    loop {
        let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed))?;
        let Some(request) = requests.get(index) else { return Ok((latencies, again)) };
        let sent = Instant::now();
        loop {
            stream.write_all(request).await?;
            let body = read_answer(&mut stream, &mut answer).await?;
            let text = String::from_utf8_lossy(answer.get(body..).unwrap_or_default());
            if text.contains("<outcome>OK</outcome>") {
                break;
            }
            ensure!(text.contains(":Server</faultcode>") && again < MOST_FAULTS, "a receipt was answered: {text}");
            again += 1;
        }
        latencies.push(sent.elapsed());
    }
}

/// Reads one answer into `buffer`; answers where its body begins.
pub(crate) async fn read_answer(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> anyhow::Result<usize> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server hung up");
        let Some(body) = buffer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else { continue };
        let head = std::str::from_utf8(buffer.get(..body).unwrap_or_default())?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
        if buffer.len() >= body + length.trim().parse::<usize>()? {
            return Ok(body);
        }
    }
}
