//! The phone: how soon the first home screen is painted, and what coming back costs on the wire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_core::{App, Config, Language, MemoryStore, SecureStore, SystemClock};
use borsellino_tests::house::{House, MARIA, PASSWORD, TOWN};
use borsellino_tests::stores::Fresh;
use prost::Message;

/// Until the first home screen is painted, from opening the app core on; in milliseconds.
const LIMIT_MS: f64 = 5.0;

/// How often each is done.
const TIMES: usize = 41;

/// The largest answer where nothing is new, in bytes.
const LIMIT_BYTES: usize = 100;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1_000.0
}

/// Measures.
pub(crate) async fn run() -> anyhow::Result<()> {
    println!("\nphone: the app core on the demo's first family");
    let house = House::open(Fresh::sqlite().await?).await;
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn SecureStore> = Arc::new(MemoryStore::default());
    let open = || {
        let config = Config::new(folder.path(), &house.at.web, Language::Italian);
        App::open(config, Arc::clone(&store), Arc::new(SystemClock))
    };
    let app = open().await?;
    app.sign_in(TOWN, MARIA, PASSWORD).await?;
    app.refresh_home().await?;
    let (mut homes, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        app.refresh_home().await?;
        homes.push(begun.elapsed());
        let begun = Instant::now();
        app.sync().await?;
        syncs.push(begun.elapsed());
    }
    app.shutdown().await;
    drop(app);
    let mut paints = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        let app = open().await?;
        let home = app.cached_home()?.context("a home screen")?;
        paints.push(begun.elapsed());
        ensure!(home.children.len() == 2, "the family is there");
        app.shutdown().await;
    }
    let phone = house.phone(MARIA).await;
    let home = phone.home().await?;
    let unchanged = phone.sync(home.feed_seq, home.as_of_ms).await?.encoded_len();
    let paint = median(paints);
    println!("  open and first cached home   {paint:.2} ms (limit {LIMIT_MS} ms), median of {TIMES}");
    println!("  Home, one round trip         {:.2} ms, {} bytes", median(homes), home.encoded_len());
    println!("  Sync, nothing new            {:.2} ms, {unchanged} bytes (limit {LIMIT_BYTES})", median(syncs));
    ensure!(paint <= LIMIT_MS, "the first paint takes too long");
    ensure!(unchanged <= LIMIT_BYTES, "an answer that says nothing is too large");
    house.close().await;
    Ok(())
}
