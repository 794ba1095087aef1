//! The harness's PostgreSQL keeps its promises: fresh databases, one migration per template, no server left behind.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use borsellino_tests::postgres::{Options, Server, server};
use sqlx::{Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the URL that the harness answered")
}

async fn with_a_coin(url: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql("CREATE TABLE coin (cents BIGINT PRIMARY KEY); INSERT INTO coin VALUES (5)")
        .execute(&mut connection)
        .await?;
    // Left open on purpose, as a careless migration would: a template must not mind.
    std::mem::forget(connection);
    Ok(())
}

async fn count(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM coin").fetch_one(connection).await.expect("the template's table")
}

#[tokio::test]
async fn copies_of_a_template_are_migrated_and_do_not_see_each_other() {
    let template = server().template("coins", with_a_coin).await;
    let (one, other) = tokio::join!(template.database("One: àèì"), template.database("other"));
    let (mut one, mut other) = (connect(&one).await, connect(&other).await);
    sqlx::query("INSERT INTO coin VALUES (10)").execute(&mut one).await.expect("an insert");
    assert_eq!((count(&mut one).await, count(&mut other).await), (2, 1));
}

#[tokio::test]
async fn a_template_is_migrated_once() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let migrate = async |url| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        with_a_coin(url).await
    };
    let use_it = async || server().template("once", migrate).await.database("once").await;
    let urls: [String; 4] = tokio::join!(use_it(), use_it(), use_it(), use_it()).into();
    for url in &urls {
        assert_eq!(count(&mut connect(url).await).await, 1, "{url}");
    }
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_database_is_empty_and_speaks_utf_8() {
    let mut connection = connect(&server().database("empty").await).await;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await.expect("a setting");
    assert_eq!((tables, encoding.as_str()), (0, "UTF8"));
}

#[tokio::test]
async fn a_durable_server_syncs_and_leaves_nothing_when_dropped() {
    let durable = Server::start(Options { durable: true }).expect("a second server");
    let directory = durable.directory().to_owned();
    let process = postmaster(&directory);
    let mut connection = connect(&durable.database("bench").await).await;
    for setting in ["SHOW fsync", "SHOW full_page_writes", "SHOW synchronous_commit"] {
        let value: String = sqlx::query_scalar(setting).fetch_one(&mut connection).await.expect("a setting");
        assert_eq!(value, "on", "{setting}");
    }
    drop(durable);
    assert!(!process.exists(), "the server still runs");
    assert!(!directory.exists(), "{} is still there", directory.display());
}

/// Runs itself again in a process that starts a server and aborts: no destructor, no exit handler.
#[test]
fn a_server_dies_with_its_process_and_the_next_start_sweeps() {
    const ME: &str = "all::postgres::a_server_dies_with_its_process_and_the_next_start_sweeps";
    const CHILD: &str = "BORSELLINO_TEST_ABORTS";
    const MARK: &str = "directory of the doomed: ";
    if std::env::var_os(CHILD).is_some() {
        println!("{MARK}{}", server().directory().display());
        std::process::abort();
    }
    let exe = std::env::current_exe().expect("this test program");
    let output = Command::new(exe).args(["--exact", ME, "--nocapture"]).env(CHILD, "1").output().expect("a second run");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let directory = output.lines().find_map(|line| line.split_once(MARK)).map(|(_, directory)| Path::new(directory));
    let directory = directory.unwrap_or_else(|| panic!("the second run started no server: {output}"));

    // A clean end removes postmaster.pid; the process may be gone before we look.
    let deadline = Instant::now() + Duration::from_secs(30);
    while directory.join("data/postmaster.pid").exists() {
        assert!(Instant::now() < deadline, "the server outlives its process: {}", directory.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(Server::start(Options::default()).expect("a server"));
    assert!(!directory.exists(), "{} was not swept", directory.display());
}

/// The server's entry in `/proc`.
fn postmaster(directory: &Path) -> std::path::PathBuf {
    let file = std::fs::read_to_string(directory.join("data/postmaster.pid")).expect("a running server's file");
    Path::new("/proc").join(file.lines().next().expect("its first line"))
}
