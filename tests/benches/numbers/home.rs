//! Home over gRPC, each phone on a connection of its own, held against the same statements run bare.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_domain::time::SchoolYear;
use borsellino_domain::top_up::PAYMENT_TOKEN_MILLIS;
use borsellino_proto::v1::accounts_client::AccountsClient;
use borsellino_proto::v1::{HomeResponse, SignInRequest};
use borsellino_server::clock::Clock;
use borsellino_store::Store;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Request};
use prost::Message;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Postgres, Sqlite};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::product::{Awake, Running, binary};
use crate::report::{Limit, heading, judge, median, note, rate, ratios};
use crate::{Sizes, durable};

/// As many phones at once.
pub(crate) const IN_FLIGHT: [usize; 2] = [16, 64];

/// Home's statements, by name.
const STATEMENTS: [&str; 3] = ["HOME", "OPEN_TOP_UPS", "LAST_MOVEMENTS"];

/// What Home's statements are asked with.
#[derive(Clone, Debug)]
struct Question {
    texts: [&'static str; 3],
    creditor: String,
    guardian: Uuid,
    session: Uuid,
    now: i64,
    school_year: i64,
}

/// A demo and somebody who is signed in to it.
pub(crate) struct Demo {
    url: String,
    bearer: HeaderValue,
    data: TempDir,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    _process: Running,
}

/// The same on either engine; the files of the store are compiled twice for the same reason.
macro_rules! bare {
    ($name:ident, $db:ty) => {
        async fn $name(pool: sqlx::Pool<$db>, question: Question) -> anyhow::Result<()> {
            let Question { texts: [home, dues, movements], creditor, guardian, session, now, school_year } = question;
            let mut connection = pool.acquire().await?;
            let (c, g) = (creditor.as_str(), guardian);
            let rows = sqlx::query(home).bind(c).bind(g).bind(session).bind(now).bind(school_year);
            ensure!(!rows.fetch_all(&mut *connection).await?.is_empty(), "nobody is at home");
            let held = now - PAYMENT_TOKEN_MILLIS;
            sqlx::query(dues).bind(c).bind(g).bind(held).fetch_all(&mut *connection).await?;
            sqlx::query(movements).bind(c).bind(g).bind(5_i64).fetch_all(&mut *connection).await?;
            Ok(())
        }
    };
}
bare!(bare_sqlite, Sqlite);
bare!(bare_postgres, Postgres);

/// On SQLite.
pub(crate) async fn sqlite(sizes: Sizes) -> anyhow::Result<()> {
    heading("Home over gRPC, SQLite");
    let demo = Demo::start(None).await?;
    let file = demo.data.path().join("borsellino.sqlite");
    let options = SqliteConnectOptions::new().filename(&file).pragma("query_only", "1").pragma("cache_size", "-2048");
    let workers = workers()?;
    let pool = SqlitePoolOptions::new().max_connections(8).test_before_acquire(false);
    let pool = workers.spawn(async move { pool.connect_with(options).await }).await??;
    let store = Store::open_sqlite_for_reading(&file).await?;
    let session = sqlx::query_as(SIGNED_IN).fetch_one(&pool).await?;
    let question = question(&store, session)?;
    compare(&demo, sizes, workers.handle(), move || bare_sqlite(pool.clone(), question.clone())).await?;
    workers.shutdown_background();
    demo.stop().await
}

/// On PostgreSQL.
pub(crate) async fn postgres(sizes: Sizes) -> anyhow::Result<()> {
    heading("Home over gRPC, PostgreSQL");
    let server = durable()?;
    let url = server.database("home").await;
    let demo = Demo::start(Some(&url)).await?;
    let options: PgConnectOptions = url.parse()?;
    let workers = workers()?;
    let pool = PgPoolOptions::new().max_connections(16).test_before_acquire(false);
    let pool = workers.spawn(async move { pool.connect_with(options).await }).await??;
    let store = Store::connect_postgres(&url, 1).await?;
    let session = sqlx::query_as(SIGNED_IN).fetch_one(&pool).await?;
    let question = question(&store, session)?;
    compare(&demo, sizes, workers.handle(), move || bare_postgres(pool.clone(), question.clone())).await?;
    workers.shutdown_background();
    demo.stop().await
}

/// The one session of a fresh demo.
const SIGNED_IN: &str = "SELECT creditor, guardian, id FROM session";

fn question(store: &Store, (creditor, guardian, session): (String, Uuid, Uuid)) -> anyhow::Result<Question> {
    let now = Clock::system().now();
    let school_year = SchoolYear::of(now.day_in_italy().context("the calendar")?).begins().into();
    let find = |name| store.texts().find(|(its, _)| *its == name).map(|(_, text)| text).context(name);
    let texts = [find(STATEMENTS[0])?, find(STATEMENTS[1])?, find(STATEMENTS[2])?];
    Ok(Question { texts, creditor, guardian, session, now: now.get(), school_year })
}

/// Where the statements run bare: as many threads as the server has.
fn workers() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

async fn compare<F, Fut>(demo: &Demo, sizes: Sizes, workers: &Handle, bare: F) -> anyhow::Result<()>
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let awake = Awake::start();
    let window = Duration::from_secs(sizes.home_seconds);
    for in_flight in IN_FLIGHT {
        let mut phones = Vec::new();
        for _ in 0..in_flight {
            phones.push(demo.phone().await?);
        }
        let ask = |phones: &[Phone]| {
            let asked = phones.iter().cloned().map(|phone| {
                move || {
                    let phone = phone.clone();
                    async move { phone.home().await.map(drop) }
                }
            });
            asked.collect::<Vec<_>>()
        };
        let bare_of = || (0..in_flight).map(|_| bare.clone()).collect::<Vec<_>>();
        // Warm: connections, prepared statements.
        let (brief, own) = (Duration::from_millis(500), Handle::current());
        hammer(&own, ask(&phones), brief).await?;
        hammer(workers, bare_of(), brief).await?;
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..sizes.rounds {
            ours.push(hammer(&own, ask(&phones), window).await?);
            peer.push(hammer(workers, bare_of(), window).await?);
        }
        note(&format!("{in_flight} in flight: Home/s"), format!("{:.0}", median(&ours)));
        note(&format!("{in_flight} in flight: its statements bare, times/s"), format!("{:.0}", median(&peer)));
        let what = format!("{in_flight} in flight: Home / its statements bare");
        judge(&what, &ratios(&ours, &peer), "x", Limit::AtLeast(0.6));
    }
    drop(awake);
    Ok(())
}

/// Runs each of `works` over and over, all at once, for `window`; answers how many a second.
pub(crate) async fn hammer<W, Fut>(runtime: &Handle, works: Vec<W>, window: Duration) -> anyhow::Result<f64>
where
    W: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = works
        .into_iter()
        .map(|work| {
            runtime.spawn(async move {
                let mut count = 0_u64;
                while start.elapsed() < window {
                    work().await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    Ok(rate(count, start.elapsed()))
}

impl Demo {
    pub(crate) async fn start(database: Option<&str>) -> anyhow::Result<Self> {
        let data = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
        let mut command = Command::new(binary()?);
        command.args(["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0", "--data"]);
        command.arg(data.path());
        if let Some(database) = database {
            command.args(["--database", database]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("no output")?;
        let process = Running(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the demo did not start")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not in the demo's line");
        let url = text(&ready["grpc"])?;
        let mut accounts = AccountsClient::new(Endpoint::from_shared(url.clone())?.connect().await?);
        let request = SignInRequest {
            creditor_fiscal_code: text(&ready["creditor"]["fiscal_code"])?,
            username: text(&ready["guardian"]["username"])?,
            password: text(&ready["guardian"]["password"])?,
            device_name: "bench".to_owned(),
        };
        let tokens = accounts.sign_in(request).await?.into_inner().tokens.context("no tokens")?;
        let bearer = format!("Bearer {}", tokens.access_token).parse()?;
        Ok(Self { url, bearer, data, ready, _process: process })
    }

    /// Waits for its end beside the runtime, on which the phones still have to hang up.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }

    pub(crate) async fn phone(&self) -> anyhow::Result<Phone> {
        let url: http::Uri = format!("{}/borsellino.v1.Family/Home", self.url).parse()?;
        let address = url.authority().context("no address")?.as_str();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = h2::client::handshake(stream).await?;
        tokio::spawn(driver);
        let request = Request::post(url)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", self.bearer.clone())
            .body(())?;
        let phone = Phone { connection, request };
        // Once it is also read: somebody with children is at home.
        let answer = phone.home().await?;
        let home = HomeResponse::decode(answer.get(PREFIX..).context("no message")?)?;
        ensure!(!home.children.is_empty(), "nobody is at home");
        Ok(phone)
    }
}

/// What stands before a message of gRPC: a flag and its length.
const PREFIX: usize = 5;

/// A phone on a connection of its own. By hand, so that it costs the machine which it shares with the server little: a
/// real phone reads the answer on a processor of its own.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    connection: SendRequest<Bytes>,
    request: Request<()>,
}

impl Phone {
    /// The answer, a message with its prefix; an error unless its status is OK.
    pub(crate) async fn home(&self) -> anyhow::Result<Vec<u8>> {
        let mut connection = self.connection.clone().ready().await?;
        let (answer, mut question) = connection.send_request(self.request.clone(), false)?;
        question.send_data(Bytes::from_static(&[0; PREFIX]), true)?;
        let mut answer = answer.await?.into_body();
        let mut body = Vec::new();
        while let Some(chunk) = answer.data().await {
            let chunk = chunk?;
            answer.flow_control().release_capacity(chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        let trailers = answer.trailers().await?.context("no trailers")?;
        ensure!(trailers.get("grpc-status").is_some_and(|status| status == "0"), "Home was answered: {trailers:?}");
        Ok(body)
    }
}
