//! How soon a newcomer's demo is ready, and what it takes while nobody uses it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::Sizes;
use crate::product::{Running, binary};
use crate::report::{Limit, heading, judge, millis};

/// How long it is left alone.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn start(sizes: Sizes) -> anyhow::Result<()> {
    heading("`borsellino demo`, release build, empty folder");
    let program = binary()?;
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..sizes.starts {
        let data = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
        let mut command = Command::new(&program);
        command.args(["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0", "--data"]);
        command.arg(data.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("no output")?;
        let process = Running(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ready.push(millis(begun.elapsed()));
        ensure!(line.starts_with('{'), "the demo did not start");
        std::thread::sleep(IDLE);
        resident.push(resident_mib(process.0.id())?);
    }
    judge("from process start to its line of JSON", &ready, " ms", Limit::AtMost(1_000.0));
    judge("resident memory after 5 s idle", &resident, " MiB", Limit::AtMost(60.0));
    Ok(())
}

/// What a process has in memory, in MiB.
pub(crate) fn resident_mib(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}
