//! The server as a program of its own, which can be killed and started again on the same database and the same ports.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::postgres::die_with_parent;

/// The server's secret.
pub(super) const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// How long a start or an orderly end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// How many connections to PostgreSQL it has.
const CONNECTIONS: u32 = 8;

/// A server; killed when dropped.
#[derive(Debug)]
pub(super) struct Program {
    program: PathBuf,
    folder: TempDir,
    public: u16,
    node: u16,
    child: Child,
}

impl Program {
    /// Starts `program` on a database, and waits until it serves.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) async fn start(program: PathBuf, database: &str) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("borsellino-torture-")?;
        let (public, node) = (free_port()?, free_port()?);
        let config = format!(
            "[database]\nurl = '{database}'\nconnections = {CONNECTIONS}\n[public]\nlisten = '127.0.0.1:{public}'\n\
            [node]\nlisten = '127.0.0.1:{node}'\n[log]\nfilter = 'warn'\n"
        );
        fs::write(folder.path().join("borsellino.toml"), config)?;
        let child = spawn(&program, &folder)?;
        let mut running = Self { program, folder, public, node, child };
        running.until_ready().await?;
        Ok(running)
    }

    /// Where the Node calls it.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.node)
    }

    /// Kills it with SIGKILL: nothing of it has a last word.
    ///
    /// # Errors
    /// Where it had ended before.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server had ended by itself: {status}\n{}", self.log());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    /// Where it does not serve again.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.program, &self.folder)?;
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let (http, begun) = (crate::house::http(), Instant::now());
        let url = format!("http://127.0.0.1:{}/readyz", self.public);
        loop {
            let answer = http.get(&url).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the server does not serve:\n{}", self.log());
            if self.child.try_wait()?.is_some() {
                // Its database may not be back, or its port be taken for a moment.
                self.child = spawn(&self.program, &self.folder)?;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many files and connections it has open.
    pub(super) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// Asks it to stop, and waits for its orderly end.
    ///
    /// # Errors
    /// Where it has ended before, or does not end well.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server had ended by itself: {status}\n{}", self.log());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "the server does not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended badly: {status}\n{}", self.log());
        Ok(())
    }

    /// The end of what it logged.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &PathBuf, folder: &TempDir) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.path().join("log"))?;
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(folder.path().join("borsellino.toml")).stdin(Stdio::null());
    command.env("BORSELLINO_SECRET", SECRET);
    for name in ["BORSELLINO_CHECKOUT_KEY", "BORSELLINO_DATABASE_URL"] {
        command.env_remove(name);
    }
    die_with_parent(command.stdout(log.try_clone()?).stderr(log));
    command.spawn().with_context(|| format!("cannot run {}", program.display()))
}

/// A port that nobody listens on, below those that the system gives to whoever connects: while the server is dead, no
/// caller must get its port.
fn free_port() -> anyhow::Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let below = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    ensure!(below > 12_000, "the system gives all ports to whoever connects");
    for _ in 0..1_000 {
        let port = fastrand::u16(10_000..below);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}
