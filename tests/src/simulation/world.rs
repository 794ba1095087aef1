//! The real side of a simulation: the server's use cases and its Node's door, whole but for the sockets, on a SQLite
//! database in memory, with a clock that the simulation sets and a Checkout that says what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use borsellino_domain::time::Millis;
use borsellino_server::clock::Clock;
use borsellino_server::config::checkout_client;
use borsellino_server::usecases::till::Till;
use borsellino_server::usecases::{App, Directory};
use borsellino_server::{Parts, soap};
use borsellino_store::Store;
use futures_util::FutureExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::house::Soap;

/// Where the database can be made to fail: these tables, by undoing the statement or the whole transaction.
const FAILURES: ([&str; 5], [&str; 2]) =
    (["receipt", "journal_entry", "posting", "feed", "outbox"], ["ABORT", "ROLLBACK"]);

/// A server on a database in memory.
pub(super) struct World {
    pub(super) app: App,
    door: Router,
    name: String,
    now: Arc<AtomicI64>,
    /// Keeps the database while no server has it open, and sees and changes its rows past every door.
    keeper: SqliteConnection,
    checkout: Arc<Checkout>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// A Checkout that opens pages, or is down.
#[derive(Debug, Default)]
struct Checkout {
    down: AtomicBool,
    pages: AtomicU64,
}

impl World {
    pub(super) async fn open(now: i64, clock_off: i64) -> anyhow::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("simulation-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let store = Store::open_sqlite_in_memory(&name).await?;
        let options = SqliteConnectOptions::new().filename(format!("/{name}")).vfs("memdb").foreign_keys(false);
        let mut keeper = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql(AssertSqlSafe(failures())).execute(&mut keeper).await?;

        let checkout = Arc::new(Checkout::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let client = checkout_client(&format!("http://{}", listener.local_addr()?), "simulation")?;
        let carts = Router::new().route("/carts", post(open_cart)).with_state(Arc::clone(&checkout));
        let serving = tokio::spawn(async move { axum::serve(listener, carts).await });

        let now = Arc::new(AtomicI64::new(now));
        let ticks = Arc::clone(&now);
        let clock = Clock::of(move || Millis::new(ticks.load(Ordering::SeqCst)).plus(clock_off));
        let parts = Parts {
            store,
            clock,
            secret: Zeroizing::new([7; 32]),
            checkout: Some(client),
            public_url: "http://borsellino.invalid".to_owned(),
        };
        let (app, _) = borsellino_server::open(parts).await?;
        Ok(Self { door: soap::router(app.clone()), app, name, now, keeper, checkout, serving })
    }

    /// Stops the server and starts another one on the same database.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.app.store.close().await;
        let store = Store::open_sqlite_in_memory(&self.name).await?;
        let directory = Directory::default();
        directory.reload(&store).await?;
        self.app = App { till: Till::open(&store), store, directory, ..self.app.clone() };
        self.door = soap::router(self.app.clone());
        Ok(())
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.serving.abort();
        self.app.store.close().await;
        Ok(self.keeper.close().await?)
    }

    /// Sets the server's clock.
    pub(super) fn set_clock(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
    }

    pub(super) fn checkout_is_down(&self, down: bool) {
        self.checkout.down.store(down, Ordering::SeqCst);
    }

    /// A call of the Node.
    pub(super) async fn call(&self, action: &str, body: String) -> anyhow::Result<Soap> {
        let response = self.door.clone().oneshot(request(action, body)?).await?;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await?;
        Ok(Soap { status, text: String::from_utf8(bytes.to_vec())? })
    }

    /// A call of the Node that hangs up before it is answered.
    pub(super) async fn hang_up(&self, action: &str, body: String) -> anyhow::Result<()> {
        // What it has begun goes on without it.
        drop(self.door.clone().oneshot(request(action, body)?).now_or_never());
        Ok(())
    }

    /// Makes the database fail when a row comes into `table`, until [`World::nothing_fails`].
    pub(super) async fn fails(&mut self, table: &str, way: &str) -> anyhow::Result<()> {
        self.execute(&format!("INSERT INTO failing VALUES ('{table} {way}')")).await
    }

    pub(super) async fn nothing_fails(&mut self) -> anyhow::Result<()> {
        self.execute("DELETE FROM failing").await
    }

    /// Runs statements past every door.
    pub(super) async fn execute(&mut self, sql: &str) -> anyhow::Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(&mut self.keeper).await.map(drop).context("past every door")
    }

    /// Reads rows past every door.
    pub(super) async fn rows(&mut self, sql: &'static str, creditor: &str) -> anyhow::Result<Vec<SqliteRow>> {
        sqlx::query(sql).bind(creditor.to_owned()).fetch_all(&mut self.keeper).await.context("past every door")
    }
}

/// A switch for each failure: making and dropping a trigger instead would have every statement prepared anew.
fn failures() -> String {
    let (tables, ways) = FAILURES;
    let trigger = |table: &str, way: &str| {
        format!(
            "CREATE TRIGGER {table}_{way} BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM failing
                WHERE what = '{table} {way}') BEGIN SELECT RAISE({way}, 'it fails'); END;"
        )
    };
    let triggers = tables.iter().flat_map(|table| ways.iter().map(move |way| trigger(table, way)));
    "CREATE TABLE failing (what TEXT NOT NULL PRIMARY KEY) STRICT;".to_owned() + &triggers.collect::<String>()
}

fn request(action: &str, body: String) -> anyhow::Result<Request<Body>> {
    let request = Request::post(soap::PATH).header("soapaction", format!("\"{action}\""));
    Ok(request.header(header::CONTENT_TYPE, "text/xml; charset=UTF-8").body(Body::from(body))?)
}

async fn open_cart(State(checkout): State<Arc<Checkout>>) -> impl IntoResponse {
    if checkout.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let page = checkout.pages.fetch_add(1, Ordering::SeqCst);
    (StatusCode::FOUND, [(header::LOCATION, format!("http://checkout.invalid/c/{page}"))]).into_response()
}
