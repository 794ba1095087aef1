//! Phones that watch: streams of the feed, each of another guardian, many on a connection. By hand, like the other
//! clients here, so that they cost the machine little.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_proto::v1::{WatchResponse, watch_response::Event};
use bytes::{Buf, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use prost::Message;
use tokio::net::TcpStream;

use super::tally::Told;
use crate::town::wallet_number;

/// Streams on one connection; the server allows 200.
const TOGETHER: usize = 125;

/// How long the last events may take after the last call.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands before a message of gRPC: a flag and its length.
const PREFIX: usize = 5;

#[derive(Debug, Default)]
struct Count {
    open: AtomicU64,
    ended: AtomicU64,
}

/// All phones.
#[derive(Debug)]
pub(crate) struct Phones(Arc<Count>);

impl Phones {
    /// Opens a stream for each of the first `streams` guardians and waits until all have said something.
    pub(crate) async fn open(
        public: SocketAddr,
        streams: u64,
        bearers: &[String],
        told: &Arc<Told>,
    ) -> anyhow::Result<Self> {
        let count = Arc::new(Count::default());
        let bearers = bearers.get(..usize::try_from(streams)?).context("more streams than guardians")?;
        for together in bearers.chunks(TOGETHER) {
            let stream = TcpStream::connect(public).await?;
            stream.set_nodelay(true)?;
            let (connection, driver) = h2::client::handshake(stream).await?;
            tokio::spawn(driver);
            for bearer in together {
                let watching = watch(connection.clone(), public, bearer.clone(), Arc::clone(told), Arc::clone(&count));
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    if let Err(error) = watching.await {
                        println!("  (a stream ended: {error:#})");
                    }
                    count.ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        }
        let begun = Instant::now();
        while count.open.load(Ordering::Relaxed) < streams {
            ensure!(begun.elapsed() < Duration::from_secs(60), "not all streams open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self(count))
    }

    pub(crate) fn open_now(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed) - self.ended()
    }

    pub(crate) fn ended(&self) -> u64 {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Waits until the phones know of every receipt that was accepted.
    pub(crate) async fn settle(&self, told: &Told) {
        let begun = Instant::now();
        while told.awaited() > 0 && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn watch(
    connection: SendRequest<Bytes>,
    public: SocketAddr,
    bearer: String,
    told: Arc<Told>,
    count: Arc<Count>,
) -> anyhow::Result<()> {
    let request = Request::post(format!("http://{public}/borsellino.v1.Feed/Watch"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", bearer)
        .body(())?;
    let mut connection = connection.ready().await?;
    let (answer, mut question) = connection.send_request(request, false)?;
    // An empty message: from the feed's beginning.
    question.send_data(Bytes::from_static(&[0; PREFIX]), true)?;
    let mut body = answer.await?.into_body();
    let mut buffer = BytesMut::new();
    let mut first = true;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        buffer.extend_from_slice(&chunk);
        while let Some(length) = buffer.get(1..PREFIX) {
            let length = usize::try_from(u32::from_be_bytes(length.try_into()?))?;
            if buffer.len() < PREFIX + length {
                break;
            }
            buffer.advance(PREFIX);
            let message = WatchResponse::decode(buffer.split_to(length))?;
            if first {
                first = false;
                count.open.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(Event::Change(change)) = message.event
                && let Some(wallet) = change.wallet
            {
                told.told(wallet_number(&wallet.wallet_id).context("a wallet of another town")?, wallet.seq);
            }
        }
    }
    anyhow::bail!("{:?}", body.trailers().await?)
}
