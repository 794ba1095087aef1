//! Receipts credited through SOAP, 64 in flight, by the product as it ships; held against pgbench with the same
//! statements and with TPC-B, and on SQLite against one transaction each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use borsellino_server::clock::Clock;
use borsellino_server::config::parse_secret;
use borsellino_server::{Listeners, Parts};
use borsellino_store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::load::{Lap, deliver};
use crate::pgbench::Pgbench;
use crate::product::{Awake, Running, SECRET, Serving};
use crate::report::{Limit, heading, judge, median, note, quantile, ratios};
use crate::{Sizes, durable, town};

const IN_FLIGHT: usize = 64;

/// Delivered before anything is measured: opens the pool and prepares its statements.
const WARM_UP: u64 = 2_048;

/// On PostgreSQL.
pub(crate) async fn postgres(sizes: Sizes) -> anyhow::Result<()> {
    heading("Receipts through SOAP, 64 in flight, PostgreSQL");
    let server = durable()?;
    let lap = sizes.receipts;
    let notices = WARM_UP + (sizes.rounds + 1) * lap;
    let build = async |url: String| {
        let store = Store::connect_postgres(&url, 2).await?;
        town::build(&store, notices).await?;
        store.close().await;
        Ok(())
    };
    let template = server.template("receipts", build).await;
    let script = Pgbench::learn(&template.database("sample").await, server.directory()).await?;
    let (ours, peer) = (template.database("ours").await, template.database("peer").await);
    let tpcb = server.database("tpcb").await;
    println!("  (filling pgbench -s {})", sizes.scale);
    let tpcb = Pgbench::tpcb(&tpcb, sizes.scale)?;
    let serving = Serving::start(&ours)?;
    deliver(serving.node, 0..WARM_UP, IN_FLIGHT).await?;
    script.run(&peer, 0..WARM_UP)?;
    // Not before: where the tables are known to be empty, foreign keys are checked by reading them whole, and go on so.
    for url in [&ours, &peer] {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
        sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    }
    // What was filled in must not be written to the disk while something else is measured.
    rustix::fs::sync();
    let awake = Awake::start();
    tpcb.warm_up()?;
    let (mut laps, mut scripted, mut banked) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..sizes.rounds {
        let range = WARM_UP + round * lap..WARM_UP + (round + 1) * lap;
        settle(&ours).await?;
        laps.push(deliver(serving.node, range.clone(), IN_FLIGHT).await?);
        settle(&ours).await?;
        scripted.push(script.run(&peer, range)?);
        settle(&ours).await?;
        banked.push(tpcb.run(sizes.seconds)?);
    }
    drop((awake, serving));
    let rates = tell(&laps);
    note("pgbench, the same statements, receipts/s", format!("{:.0}", median(&scripted)));
    note("pgbench, TPC-B, transactions/s", format!("{:.0}", median(&banked)));
    note("statements of a batch", script.statements());
    judge("receipts / the same statements in pgbench", &ratios(&rates, &scripted), "x", Limit::AtLeast(0.6));
    judge("receipts / TPC-B", &ratios(&rates, &banked), "x", Limit::AtLeast(1.0));
    let expected = WARM_UP + sizes.rounds * lap;
    credited_once(&ours, expected).await
}

/// What one of them leaves to be written must not be written while another is measured.
async fn settle(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    rustix::fs::sync();
    Ok(connection.close().await?)
}

/// Holds the database against what was sent: every receipt credited, each once.
async fn credited_once(url: &str, expected: u64) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let credited = format!(
        "SELECT (SELECT COUNT(*) FROM receipt WHERE outcome = 'wallet') = {expected}
            AND (SELECT CAST(SUM(balance_cents) AS BIGINT) FROM account) = {expected} * {}",
        town::CENTS
    );
    let right: bool = sqlx::query_scalar(AssertSqlSafe(credited)).fetch_one(&mut connection).await?;
    ensure!(right, "not every receipt was credited once");
    Ok(())
}

/// Prints what the laps took; answers their rates.
fn tell(laps: &[Lap]) -> Vec<f64> {
    let rates: Vec<f64> = laps.iter().map(|lap| lap.rate).collect();
    note("receipts/s", format!("{:.0}", median(&rates)));
    let at = |at: f64| laps.iter().map(|lap| quantile(&lap.millis, at)).collect::<Vec<_>>();
    let (middle, late) = (at(0.5), at(0.99));
    note("p50, ms", format!("{:.1}", median(&middle)));
    note("p99, ms", format!("{:.1}", median(&late)));
    let again: u64 = laps.iter().map(|lap| lap.again).sum();
    if again > 0 {
        note("answered with a Fault and delivered again", again);
    }
    judge("p99 / p50", &ratios(&late, &middle), "x", Limit::AtMost(4.0));
    rates
}

/// On SQLite.
pub(crate) async fn sqlite(sizes: Sizes) -> anyhow::Result<()> {
    heading("Receipts through SOAP, 64 in flight, SQLite");
    let directory = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
    let file = directory.path().join("town.sqlite");
    let lap = sizes.receipts;
    let store = Store::open_sqlite(&file).await?;
    town::build(&store, 2 * (sizes.rounds * lap + WARM_UP)).await?;
    store.close().await;

    rustix::fs::sync();
    // The same file serves both, in turn: only one program may write to it at a time.
    let awake = Awake::start();
    let (mut laps, mut each, mut next) = (Vec::new(), Vec::new(), 0);
    let mut take = |count: u64| {
        next += count;
        next - count..next
    };
    for round in 0..sizes.rounds {
        let warm_up = if round == 0 { WARM_UP } else { 256 };
        rustix::fs::sync();
        let serving = Serving::start(&format!("sqlite:{}", file.display()))?;
        deliver(serving.node, take(warm_up), IN_FLIGHT).await?;
        laps.push(deliver(serving.node, take(lap), IN_FLIGHT).await?);
        drop(serving);
        rustix::fs::sync();
        let peer = OneEach::start(&file)?;
        deliver(peer.node, take(256), IN_FLIGHT).await?;
        each.push(deliver(peer.node, take(lap / 2), IN_FLIGHT).await?.rate);
    }
    drop(awake);
    let rates = tell(&laps);
    note("one transaction each, same file, receipts/s", format!("{:.0}", median(&each)));
    judge("receipts / one transaction each", &ratios(&rates, &each), "x", Limit::AtLeast(2.0));
    Ok(())
}

/// The peer on SQLite: this same program, serving as the product does, but with a commit for each receipt (and no log).
#[derive(Debug)]
struct OneEach {
    node: SocketAddr,
    _process: Running,
}

impl OneEach {
    fn start(file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(crate::ONE_EACH).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("no output")?;
        let process = Running(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self { node: line.trim().parse()?, _process: process })
    }
}

/// The peer's process: serves until its input ends or it is stopped.
pub(crate) async fn serve_one_each(file: &Path) -> anyhow::Result<()> {
    let store = Store::open_sqlite_batching(file, NonZeroUsize::MIN).await?;
    let listen = async || TcpListener::bind(("127.0.0.1", 0)).await;
    let (public, node) = (listen().await?, listen().await?);
    let address = node.local_addr()?;
    let secret = parse_secret(SECRET)?;
    let parts = Parts { store, clock: Clock::system(), secret, checkout: None, public_url: String::new() };
    let (app, stop) = borsellino_server::open(parts).await?;
    println!("{address}");
    std::io::stdout().flush()?;
    let (gone, parent_gone) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        drop(gone);
    });
    let terminated = async move {
        let kind = tokio::signal::unix::SignalKind::terminate();
        match tokio::signal::unix::signal(kind) {
            Ok(mut signal) => tokio::select! { _ = signal.recv() => {}, _ = parent_gone => {} },
            Err(_) => drop(parent_gone.await),
        }
    };
    borsellino_server::run(app, stop, Listeners::in_clear(public, node), terminated).await
}
