//! Everything at once: questions, receipts and receipts that come again, on a schedule that does not wait for answers,
//! over mutual TLS, while every family has a phone that watches.
//!
//! A call's time runs from the instant at which it was due, not from when a connection was free for it: a server that
//! stops is seen by all the calls that would have come meanwhile.

mod node;
mod phones;
mod tally;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use borsellino_server::auth::keys::Keys;
use borsellino_server::auth::token::{ACCESS_MILLIS, issue_access};
use borsellino_server::clock::Clock;
use borsellino_server::config::parse_secret;
use borsellino_store::Store;
use borsellino_tests::certificates::{Authority, Client, Files, NODE, Subject};
use borsellino_tests::postgres::Server;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use self::node::{Plan, Port};
use self::phones::Phones;
use self::tally::{Tally, Told};
use crate::product::{Awake, SECRET, Serving};
use crate::report::{heading, note};
use crate::{durable, town};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Calls a second; where the highest is sought, the first that is tried.
    pub(crate) rate: Option<u64>,
    /// How long; where the highest is sought, each that is tried.
    pub(crate) seconds: Option<u64>,
    /// Phones that watch, each of another family.
    pub(crate) streams: u64,
    /// Of the Node, kept open.
    pub(crate) connections: u64,
    /// Seek the highest rate.
    pub(crate) find: bool,
    /// On SQLite, not PostgreSQL.
    pub(crate) sqlite: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: None, seconds: None, streams: town::GUARDIANS, connections: 256, find: false, sqlite: false }
    }
}

/// Sent before anything counts.
const WARM_UP: Duration = Duration::from_secs(5);

/// Sent before that, so that the tables are not analysed while they are empty (`receipts` says why): calls a second, and
/// for how long.
const FIRST_RECEIPTS: Plan = Plan { rate: 500, warm_up: Duration::from_secs(10), window: Duration::ZERO };

/// Within this a call has to be answered, from when it was due.
const IN_TIME: Duration = Duration::from_secs(2);

/// The part of the calls that has to be answered in time, for a rate to count as sustained.
const MOST: f64 = 0.99;

/// From one rate that is tried to the next.
const STEP: f64 = 1.25;

/// Where the search begins, and how many notices it may use up.
const FIRST_RATE: u64 = 200;
const NOTICES_TO_FIND: u64 = 150_000;

/// Runs it.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let engine = if options.sqlite { "SQLite" } else { "PostgreSQL" };
    heading(&format!("Mixed calls of the Node over mutual TLS, {} streams open, {engine}", options.streams));
    let seconds = options.seconds.unwrap_or(if options.find { 15 } else { 300 });
    let rate = options.rate.unwrap_or(if options.find { FIRST_RATE } else { 1_600 });
    let notices = if options.find {
        NOTICES_TO_FIND
    } else {
        node::receipts(rate * (seconds + WARM_UP.as_secs())) + node::AHEAD + 1_000
    };
    let notices = notices + node::receipts(FIRST_RECEIPTS.rate * FIRST_RECEIPTS.warm_up.as_secs());
    println!("  (filling the town with {notices} notices)");
    let place = Place::prepare(options.sqlite, notices).await?;
    let serving = Serving::start_with(&place.url, &place.settings())?;
    let awake = Awake::start();

    let told = Arc::new(Told::new());
    let phones = Phones::open(serving.public, options.streams, &place.bearers, &told).await?;
    let client = Client::new(&place.ours.certificate, Some(&place.pagopa)).speaking(&["http/1.1"]);
    let mut port = Port::open(client, serving.node, options.connections, notices, &told).await?;
    note("streams open", phones.open_now());
    note("connections of the Node", options.connections);

    port.send(FIRST_RECEIPTS).await?;
    phones.settle(&told).await;
    place.settle().await?;

    if options.find {
        find(&mut port, &phones, rate, Duration::from_secs(seconds)).await?;
    } else {
        let tally = port.send(Plan { rate, warm_up: WARM_UP, window: Duration::from_secs(seconds) }).await?;
        phones.settle(&told).await;
        tally.print(&told);
    }
    note("streams that ended", phones.ended());
    ensure!(phones.ended() == 0, "a stream was cut");
    drop((awake, serving));
    Ok(())
}

/// Raises the rate until too many calls are late, then halves the last step twice.
async fn find(port: &mut Port, phones: &Phones, first: u64, window: Duration) -> anyhow::Result<()> {
    let (mut best, mut failed): (Option<(u64, Tally)>, Option<u64>) = (None, None);
    let (mut rate, mut halvings) = (first, 0);
    let told = port.told();
    while let Some(tally) = port.try_send(Plan { rate, warm_up: Duration::from_secs(3), window }).await? {
        phones.settle(&told).await;
        let share = tally.share_in_time();
        let kept = share >= MOST;
        println!(
            "  {rate:>6} calls/s: {:.3} % in time, {}",
            share * 100.0,
            if kept { "sustained" } else { "not sustained" }
        );
        if kept {
            best = Some((rate, tally));
        } else {
            failed = Some(rate);
        }
        let low = best.as_ref().map_or(0, |(rate, _)| *rate);
        rate = match failed {
            None => scaled(low, STEP),
            Some(_) if halvings == 2 => break,
            Some(high) => {
                halvings += 1;
                u64::midpoint(low, high)
            }
        };
    }
    if let Some((rate, tally)) = best {
        note("the highest rate that was sustained, calls/s", rate);
        tally.print(&told);
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rate")]
fn scaled(rate: u64, by: f64) -> u64 {
    (rate as f64 * by).ceil() as u64
}

/// A filled database, the certificates of the port, and the phones' tokens.
struct Place {
    url: String,
    ours: Authority,
    pagopa: borsellino_tests::certificates::Pair,
    files: Files,
    bearers: Vec<String>,
    _folder: TempDir,
    server: Option<Server>,
}

impl Place {
    async fn prepare(sqlite: bool, notices: u64) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
        let (url, server, bearers) = if sqlite {
            let file = folder.path().join("town.sqlite");
            let store = Store::open_sqlite(&file).await?;
            let bearers = fill(&store, notices).await?;
            (format!("sqlite:{}", file.display()), None, bearers)
        } else {
            let server = durable()?;
            let url = server.database("load").await;
            let store = Store::connect_postgres(&url, 2).await?;
            let bearers = fill(&store, notices).await?;
            (url, Some(server), bearers)
        };
        let (ours, theirs) = (Authority::root("our authority"), Authority::root("their authority"));
        let files = Files::write(folder.path(), "node", &ours.certify(&Subject::server()), &theirs.certificate);
        let pagopa = theirs.certify(&Subject::client(NODE));
        Ok(Self { url, ours, pagopa, files, bearers, _folder: folder, server })
    }

    /// What was filled in is counted, and written to the disk.
    async fn settle(&self) -> anyhow::Result<()> {
        if self.server.is_some() {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
            sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
        }
        rustix::fs::sync();
        Ok(())
    }

    /// Mutual TLS on the Node's port.
    fn settings(&self) -> String {
        let path = |path: &Path| path.display().to_string();
        let Files { certificate, key, client_ca } = &self.files;
        format!(
            "[node.tls]\ncertificate = '{}'\nkey = '{}'\nclient_ca = '{}'\nclient_names = ['{NODE}']\n",
            path(certificate),
            path(key),
            path(client_ca)
        )
    }
}

/// Writes the town and a session for every guardian; answers their tokens.
async fn fill(store: &Store, notices: u64) -> anyhow::Result<Vec<String>> {
    town::build(store, notices).await?;
    let keys = Keys::derive(&*parse_secret(SECRET)?)?;
    let now = Clock::system().now();
    // Long enough for any run; the server asks only whether it has expired.
    let expires = now.plus(96 * ACCESS_MILLIS);
    let everybody = town::sign_everybody_in(store).await?;
    let bearers = everybody.iter().map(|who| format!("Bearer {}", issue_access(&keys, who, expires))).collect();
    store.clone().close().await;
    Ok(bearers)
}
