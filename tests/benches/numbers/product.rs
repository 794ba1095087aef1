//! The product as it ships: the release build of `borsellino`, started as a process of its own; and what keeps the
//! machine awake meanwhile.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The secret of every server here.
pub(crate) const SECRET: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// Names another build of the product, to be measured in place of this one.
const ANOTHER: &str = "BORSELLINO_BENCH_BINARY";

/// Builds the release binary (a moment where it is fresh) and answers where it is.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    if let Some(another) = std::env::var_os(ANOTHER) {
        return Ok(another.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--release", "--quiet", "-p", "borsellino-server", "--bin", "borsellino"];
    ensure!(Command::new(cargo).args(build).status()?.success(), "the server does not build");
    // This bench lies in target/release/deps.
    let own = std::env::current_exe()?;
    let release = own.parent().and_then(|deps| deps.parent()).context("no target directory")?;
    Ok(release.join("borsellino"))
}

/// A process that is asked to stop, and waited for, when it is dropped.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has not been waited for, so its id can't belong to another process yet.
        kill_process(Pid::from_child(&self.0), Signal::TERM).ok();
        self.0.wait().ok();
    }
}

/// `borsellino serve` with its ordinary log.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) node: SocketAddr,
    pub(crate) public: SocketAddr,
    process: Running,
    _settings: TempDir,
}

impl Serving {
    /// Starts it on the database at `url`.
    pub(crate) fn start(url: &str) -> anyhow::Result<Self> {
        Self::start_with(url, "")
    }

    /// Starts it with more settings at the end of its configuration, where `[node]` stands.
    pub(crate) fn start_with(url: &str, more: &str) -> anyhow::Result<Self> {
        Self::configured(url, "", more)
    }

    /// Starts it behind a proxy, which says where each call comes from.
    pub(crate) fn behind_proxy(url: &str) -> anyhow::Result<Self> {
        Self::configured(url, "url = 'https://portal.example'\ntls_at_proxy = true\n", "")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// With settings for its public port, and more at the end.
    fn configured(url: &str, public: &str, more: &str) -> anyhow::Result<Self> {
        let settings = TempDir::with_prefix("borsellino-bench-")?;
        let config = settings.path().join("borsellino.toml");
        let any = "listen = '127.0.0.1:0'";
        let log = "[log]\njson = true";
        let text = format!("[database]\nurl = '{url}'\n[public]\n{any}\n{public}{log}\n[node]\n{any}\n{more}");
        std::fs::write(&config, text)?;
        let mut command = Command::new(binary()?);
        command.arg("serve").arg("--config").arg(&config).env("BORSELLINO_SECRET", SECRET);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().context("no log")?;
        let process = Running(child);
        let mut log = BufReader::new(log);
        let mut line = String::new();
        let (public, node) = loop {
            line.clear();
            ensure!(log.read_line(&mut line)? > 0, "the server ended while starting");
            let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            let port = |name: &str| event["fields"][name].as_str().and_then(|text| text.parse().ok());
            if event["fields"]["message"] == "serving" {
                break (port("public").context("no address")?, port("node").context("no address")?);
            }
        };
        // Somebody has to read the log, or the server would wait for them.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { node, public, process, _settings: settings })
    }
}

/// Keeps the processors from sleeping with the lowest priority there is: a virtual machine's disk is otherwise noticed
/// to have finished only at the next tick of the clock, which would be what we measure.
#[derive(Debug)]
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    pub(crate) fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spinner = |own: &Path| Command::new("chrt").args(["-i", "0"]).arg(own).arg(crate::AWAKE).spawn();
        let own = std::env::current_exe();
        let spinners: Vec<Child> =
            (0..cores).filter_map(|_| own.as_deref().ok().and_then(|own| spinner(own).ok())).collect();
        if spinners.len() < cores {
            println!("(chrt is missing: the processors may sleep, and fsync seem slower than it is)");
        }
        Self(spinners)
    }
}

/// What keeps a processor awake, until the bench is gone. It calls the kernel all the time: a kernel that does not
/// preempt would otherwise give the processor to those who want it only at the next tick, too.
pub(crate) fn stay_awake() {
    let bench = rustix::process::getppid();
    while rustix::process::getppid() == bench {
        std::thread::yield_now();
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
