//! Pages of outcomes that are open at once, each following its payment: what they take of the server's memory, and how soon a receipt
//! reaches the page that waits for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use borsellino_domain::money::Amount;
use borsellino_domain::top_up::{PayBy, TopUpOrder};
use borsellino_server::Parts;
use borsellino_server::auth::keys::Keys;
use borsellino_server::auth::token::{Identity, Pass};
use borsellino_server::clock::Clock;
use borsellino_server::config::parse_secret;
use borsellino_server::usecases::App;
use borsellino_server::usecases::pay::start_top_up;
use borsellino_store::Store;
use borsellino_store::rows::NewCart;
use futures_util::future::try_join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::{Line, get};
use crate::load::{read_answer, receipt_of};
use crate::product::{Awake, SECRET, Serving};
use crate::report::{Limit, heading, judge, median, millis, note, quantile};
use crate::start::resident_mib;
use crate::{Sizes, town};

/// Each guardian has a page for each of their four wallets at most.
pub(crate) const MOST_PAGES: u64 = 4 * town::GUARDIANS;

/// What they may take together, in MiB.
const MOST_MEMORY: f64 = 100.0;

/// How many pages come at once while they are opened.
const TOGETHER: usize = 50;

/// So long they are looked at: longer than a quiet page is told that its line lives.
const WATCHED: u32 = 20;

/// Payments whose way to their page is timed.
const PAID: usize = 50;

/// How long news may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// A top-up that waits for its receipt on a pagoPA page, and whoever looks at its outcome.
#[derive(Clone, Debug)]
struct Waiting {
    cookie: String,
    creditor: String,
    path: String,
    number: String,
}

/// What a page heard, and when.
type News = (usize, Instant);

pub(crate) async fn run(sizes: Sizes) -> anyhow::Result<()> {
    heading("Outcome pages open live, SQLite");
    let pages = usize::try_from(sizes.pages)?;
    more_files(4 * sizes.pages + 1_000)?;
    let folder = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
    let file = folder.path().join("town.sqlite");
    let waiting = prepare(&Store::open_sqlite(&file).await?, sizes.pages).await?;
    let serving = Serving::start(&format!("sqlite:{}", file.display()))?;
    let awake = Awake::start();

    // Warm: some pages that nobody follows.
    for one in waiting.iter().take(TOGETHER) {
        page(&mut Line::open(serving.public).await?, one).await?;
    }
    sleep(Duration::from_secs(1)).await;
    let before = resident_mib(serving.id())?;
    let (tell, mut news) = unbounded_channel();
    let begun = Instant::now();
    for (group, some) in waiting.chunks(TOGETHER).enumerate() {
        let first = group * TOGETHER;
        let opening = some.iter().zip(first..).map(|(one, index)| open(serving.public, one, index, tell.clone()));
        try_join_all(opening).await?;
    }
    note("pages open, each of which heard something", pages);
    note("seconds until they were", format!("{:.1}", begun.elapsed().as_secs_f64()));
    let mut most = 0.0_f64;
    for _ in 0..WATCHED {
        sleep(Duration::from_secs(1)).await;
        most = most.max(resident_mib(serving.id())?);
    }
    note("resident memory before, MiB", format!("{before:.1}"));
    note("at most while they are open, MiB", format!("{most:.1}"));
    judge(&format!("{pages} open pages take"), &[most - before], " MiB", Limit::AtMost(MOST_MEMORY));

    let told = pay(&serving, &waiting, &mut news).await?;
    note("from a receipt's OK to its page, median, ms", format!("{:.1}", median(&told)));
    note("the slowest, ms", format!("{:.1}", quantile(&told, 1.0)));
    ensure!(!tell.is_closed(), "nobody listens");
    drop((awake, serving));
    Ok(())
}

/// A file for each connection, here and in the server, which is started with the same bounds.
fn more_files(wanted: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).context("too few files may be open")?;
    }
    Ok(())
}

/// A town in which each page's top-up is being paid.
async fn prepare(store: &Store, pages: u64) -> anyhow::Result<Vec<Waiting>> {
    town::build(store, 0).await?;
    let everybody = town::sign_everybody_in(store).await?;
    let parts = Parts {
        store: store.clone(),
        clock: Clock::system(),
        secret: parse_secret(SECRET)?,
        checkout: None,
        public_url: String::new(),
    };
    let (app, _) = borsellino_server::open(parts).await?;
    let mut waiting = Vec::new();
    for (k, who) in (0..pages).zip(everybody.iter().cycle()) {
        waiting.push(begin(&app, *who, town::family_wallet(k % town::GUARDIANS, k / town::GUARDIANS)?).await?);
    }
    store.close().await;
    rustix::fs::sync();
    Ok(waiting)
}

/// A top-up, and the page of Checkout that it is being paid on.
async fn begin(app: &App, who: Identity, wallet: uuid::Uuid) -> anyhow::Result<Waiting> {
    let amount = Amount::from_cents(town::CENTS)?;
    let order = TopUpOrder { id: app.new_id()?, wallet: wallet.into(), amount, pay_by: PayBy::Online };
    let started = start_top_up(app, who, order, None).await.map_err(|stop| anyhow::anyhow!("{stop:?}"))?;
    let number = started.payment.notice.number.to_string();
    let now = app.now();
    let cart =
        NewCart { id: app.new_id()?, url: "https://checkout.example/c/bench".to_owned(), opened_at: now, notices: 1 };
    let kept = number.clone();
    let written = app.store.write::<(), (), _>("keep a page", move |tx| {
        let (cart, number) = (cart.clone(), kept.clone());
        Box::pin(async move {
            tx.insert_cart(&who.creditor, &cart).await?;
            tx.set_cart(&who.creditor, &number, cart.id.uuid()).await?;
            Ok(Ok(()))
        })
    });
    ensure!(written.await?.is_ok(), "no page");
    let keys = Keys::derive(&*parse_secret(SECRET)?)?;
    let pass = Pass { identity: who, stays: false, began: now, renewed: now };
    Ok(Waiting {
        cookie: pass.encode(&keys),
        path: format!("/comune/{}/esito/ricarica/{}", who.creditor, started.payment.id),
        creditor: who.creditor.to_string(),
        number,
    })
}

/// Loads an outcome's page; answers where its live stream is, from the last news on.
async fn page(line: &mut Line, one: &Waiting) -> anyhow::Result<(String, i64)> {
    let answer = line.ask(&get(&one.path, &one.cookie)).await?;
    let text = line.text(answer);
    ensure!(
        answer.status == 200 && text.contains("In corso: in attesa di conferma"),
        "no outcome that is awaited: {text}"
    );
    let live = text.split("sse-connect=\"").nth(1).and_then(|rest| rest.split('"').next()).context("no stream")?;
    let (path, seq) = live.split_once("?dopo=").context("no number")?;
    Ok((path.to_owned(), seq.parse()?))
}

/// Opens a page and follows it, as a browser does, from one change before its last: there is something to hear at once.
async fn open(public: SocketAddr, one: &Waiting, index: usize, tell: UnboundedSender<News>) -> anyhow::Result<()> {
    let mut line = Line::open(public).await?;
    let (path, seq) = page(&mut line, one).await?;
    let (mut stream, mut heard) = line.follow(&get(&format!("{path}?dopo={}", seq - 1), &one.cookie)).await?;
    timeout(PATIENCE, hear(&mut stream, &mut heard)).await.context("a page hears nothing")??;
    tokio::spawn(async move {
        while hear(&mut stream, &mut heard).await.is_ok() && tell.send((index, Instant::now())).is_ok() {}
    });
    Ok(())
}

/// Waits for the next news on a stream; what keeps the line alive is none.
async fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> anyhow::Result<()> {
    loop {
        while let Some(end) = heard.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = heard.drain(..end + 2).collect();
            if String::from_utf8_lossy(&event).contains("event: novita") {
                return Ok(());
            }
        }
        if stream.read_buf(heard).await? == 0 {
            bail!("a stream ended");
        }
    }
}

/// Pays some of them, one after the other; answers how many milliseconds after its OK each receipt was heard of on its page.
async fn pay(serving: &Serving, waiting: &[Waiting], news: &mut UnboundedReceiver<News>) -> anyhow::Result<Vec<f64>> {
    let mut node = TcpStream::connect(serving.node).await?;
    node.set_nodelay(true)?;
    let (mut answer, mut told) = (Vec::new(), Vec::new());
    let some = waiting.iter().enumerate().take(PAID.min(usize::try_from(town::GUARDIANS)?));
    for (index, one) in some {
        let receipt = Arc::new(receipt_of(&one.creditor, &one.number, &format!("bench-{index}")));
        tokio::io::AsyncWriteExt::write_all(&mut node, &receipt).await?;
        let body = read_answer(&mut node, &mut answer).await?;
        let text = String::from_utf8_lossy(answer.get(body..).unwrap_or_default());
        ensure!(text.contains("<outcome>OK</outcome>"), "a receipt was answered: {text}");
        let booked = Instant::now();
        let heard = loop {
            let (page, at) =
                timeout(PATIENCE, news.recv()).await.context("no page is told")?.context("all pages are gone")?;
            if page == index {
                break at;
            }
        };
        told.push(millis(heard.saturating_duration_since(booked)));
        let mut line = Line::open(serving.public).await?;
        let answer = line.ask(&get(&one.path, &one.cookie)).await?;
        ensure!(line.text(answer).contains("Operazione conclusa: pagato"), "told, and not paid");
    }
    Ok(told)
}
