//! A billing run of 10,000 notices, printed by the product as it ships beside the server: what it takes of memory, and how many
//! receipts the server still credits meanwhile.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_store::Store;
use serde_json::json;
use tempfile::TempDir;

use crate::load::deliver;
use crate::product::{Awake, Running, SECRET, Serving, binary};
use crate::report::{Limit, heading, judge, note, ratios};
use crate::{Sizes, town};

const IN_FLIGHT: usize = 64;

/// Delivered before anything is measured.
const WARM_UP: u64 = 2_048;

/// How many notices the billing run has.
const NOTICES: u64 = 10_000;

/// Its name.
const PERIOD: &str = "ottobre 2026";

/// What the batch may take, in MiB.
const MOST_MEMORY: f64 = 256.0;

pub(crate) async fn run(sizes: Sizes) -> anyhow::Result<()> {
    heading("A batch of 10,000 notices beside the server, SQLite");
    let directory = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
    let file = directory.path().join("town.sqlite");
    let store = Store::open_sqlite(&file).await?;
    town::build(&store, WARM_UP + 2 * sizes.rounds * sizes.receipts).await?;
    store.close().await;
    let config = directory.path().join("borsellino.toml");
    let any = "listen = '127.0.0.1:0'";
    let settings = format!("[database]\nurl = 'sqlite:{}'\n[public]\n{any}\n[node]\n{any}\n", file.display());
    std::fs::write(&config, settings)?;
    issue(directory.path(), &config)?;
    rustix::fs::sync();

    let awake = Awake::start();
    let serving = Serving::start(&format!("sqlite:{}", file.display()))?;
    let mut next = 0;
    let mut take = |count: u64| {
        next += count;
        next - count..next
    };
    deliver(serving.node, take(WARM_UP), IN_FLIGHT).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..sizes.rounds {
        rustix::fs::sync();
        alone.push(deliver(serving.node, take(sizes.receipts), IN_FLIGHT).await?.rate);
        let folder = directory.path().join(format!("cut-short-{round}"));
        let mut batch = Running(batch(&config, &folder)?);
        await_block(&folder, &mut batch.0)?;
        beside.push(deliver(serving.node, take(sizes.receipts), IN_FLIGHT).await?.rate);
        ensure!(batch.0.try_wait()?.is_none(), "the batch was over before the receipts were");
        drop(batch);
        std::fs::remove_dir_all(&folder)?;
    }
    drop((serving, awake));
    note("receipts/s alone", format!("{:.0}", crate::report::median(&alone)));
    note("receipts/s beside a batch", format!("{:.0}", crate::report::median(&beside)));
    judge("receipts beside a batch / alone", &ratios(&beside, &alone), "x", Limit::AtLeast(0.7));

    for only in [Some("zip"), None] {
        let folder = directory.path().join(only.unwrap_or("both"));
        let began = Instant::now();
        let mut child = batch_of(&config, &folder, only)?;
        let mut peak = 0.0_f64;
        let status = loop {
            // Gone before it is asked: what was read before counts.
            peak = peak.max(peak_mib(child.id()).unwrap_or_default());
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "the batch ended with {status}");
        let what = if only.is_some() { "ZIP alone" } else { "ZIP and volumes" };
        note(&format!("{what}, seconds"), format!("{:.1}", began.elapsed().as_secs_f64()));
        judge(&format!("{what}, most memory"), &[peak], " MiB", Limit::AtMost(MOST_MEMORY));
    }
    Ok(())
}

/// Issues the bills with the product's own command.
fn issue(directory: &Path, config: &Path) -> anyhow::Result<()> {
    let bills: Vec<_> = (0..NOTICES)
        .map(|k| {
            let cents = 5_000 + k;
            json!({
                "guardian": "guardian-0", "number": format!("2026/{k:05}"), "period": PERIOD, "reason": "Mensa scolastica",
                "lines": [{ "child": town::CHILD, "service": "Canteen", "amount_cents": cents }],
                "due": [{ "date": "2031-01-31", "amount_cents": cents }],
            })
        })
        .collect();
    let list = directory.join("bills.json");
    File::create(&list)?.write_all(&serde_json::to_vec(&bills)?)?;
    let status = command(config)?
        .args(["bill", "issue", "--creditor", &town::creditor(0), "--reason", "bench", "--operator", "bench"])
        .arg("--config")
        .arg(config)
        .arg(&list)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "the bills were not issued");
    Ok(())
}

fn command(config: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    command.env("BORSELLINO_SECRET", SECRET).current_dir(config.parent().context("a folder")?);
    Ok(command)
}

fn batch(config: &Path, folder: &Path) -> anyhow::Result<Child> {
    batch_of(config, folder, None)
}

fn batch_of(config: &Path, folder: &Path, only: Option<&str>) -> anyhow::Result<Child> {
    let mut command = command(config)?;
    command.args(["document", "batch", "--json", "--period", PERIOD, "--creditor", &town::creditor(0)]);
    command.arg("--config").arg(config).arg("--folder").arg(folder);
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Waits until its first block is done, so that it is at full speed.
fn await_block(folder: &PathBuf, batch: &mut Child) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        ensure!(batch.try_wait()?.is_none() && Instant::now() < deadline, "the batch does not begin");
        let volumes = std::fs::read_dir(folder).into_iter().flatten().flatten();
        if volumes.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("volume-")) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The most memory that a process has had, in MiB.
fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1_024.0)
}
