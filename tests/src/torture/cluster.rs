//! A PostgreSQL of its own that can be killed, frozen and left without room, and always comes back on the same files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::sync::oneshot;

use crate::postgres::{Options, initialise, launch, shut_down, torture_directory, url};

/// How long a crash recovery may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a small file system holds: a cluster (about 40 MB), its log (about 64 MB, see `max_wal_size`), and the data of a
/// hundred floods.
const SMALL: &str = "size=640m,mode=0700";

/// All that is killed must lose nothing that it acknowledged.
const DURABLE: Options = Options { durable: true };

/// A server and its files; both gone when dropped.
#[derive(Debug)]
pub(super) struct Cluster {
    home: PathBuf,
    orders: Option<mpsc::Sender<Order>>,
    keeper: Option<JoinHandle<()>>,
    mounted: bool,
}

/// What its keeper is told to do, and whom to answer. The kernel stops a server when the thread that started it ends, so
/// one thread does it all.
#[derive(Debug)]
enum Order {
    /// Start it unless it runs.
    Up(oneshot::Sender<anyhow::Result<()>>),
    /// Kill it with everything it started.
    Kill(oneshot::Sender<anyhow::Result<()>>),
}

impl Cluster {
    /// Starts one; `small`: on a file system of its own with little room, where this process may mount one.
    ///
    /// # Errors
    /// Where it can't be started.
    pub(super) async fn start(small: bool) -> anyhow::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let home = torture_directory(DURABLE, STARTED.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let mounted =
            small && mount("borsellino", &home, "tmpfs", MountFlags::empty(), Some(&*small_options())).is_ok();
        let (orders, received) = mpsc::channel();
        let directory = home.clone();
        let keeper = thread::Builder::new().name("cluster".to_owned()).spawn(move || keep(&directory, &received))?;
        let cluster = Self { home, orders: Some(orders), keeper: Some(keeper), mounted };
        cluster.up().await?;
        Ok(cluster)
    }

    /// Its one database, through the socket.
    pub(super) fn url(&self) -> String {
        url(&self.home, "postgres")
    }

    /// Starts it again unless it runs.
    ///
    /// # Errors
    /// Where it does not come up.
    pub(super) async fn up(&self) -> anyhow::Result<()> {
        self.order(Order::Up).await
    }

    /// Kills the server and everything it started, at once, and waits until all are gone.
    ///
    /// # Errors
    /// Where they stay.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        self.order(Order::Kill).await
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<anyhow::Result<()>>) -> Order) -> anyhow::Result<()> {
        let (done, answer) = oneshot::channel();
        let orders = self.orders.as_ref().context("a cluster that has not ended")?;
        orders.send(order(done)).ok().context("the cluster's keeper has ended")?;
        answer.await.context("the cluster's keeper has ended")?
    }

    /// The server and everything it started, itself first.
    fn processes(&self) -> Vec<Pid> {
        let text = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap_or_default();
        let server = text.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        server.map(family).unwrap_or_default()
    }

    /// Stops every process of it in the middle of whatever it does.
    pub(super) fn freeze(&self) {
        // The server is the first of them; at the second look it starts no more children.
        for process in (0..2).flat_map(|_| self.processes()) {
            // One that has ended meanwhile stands still, too.
            let _ = kill_process(process, Signal::STOP);
        }
    }

    /// Lets all of them go on.
    pub(super) fn thaw(&self) {
        for process in self.processes().into_iter().rev() {
            let _ = kill_process(process, Signal::CONT);
        }
    }

    /// Whether it lies on a small file system of its own, which [`Cluster::fill`] can fill.
    pub(super) fn is_small(&self) -> bool {
        self.mounted
    }

    /// Takes all the room that is left on its small file system.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let filler = rustix::fs::open(self.home.join("filler"), OFlags::CREATE | OFlags::WRONLY, Mode::RUSR)?;
        // In ever smaller pieces, to the last page.
        let (mut size, mut at) = (64 << 20, 0);
        while size >= 4_096 {
            match rustix::fs::fallocate(&filler, FallocateFlags::empty(), at, size) {
                Ok(()) => at += size,
                Err(_) => size /= 2,
            }
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn make_room(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.home.join("filler"))?)
    }

    /// The same without a file system: no file of it may be written beyond so many bytes; none: as before. The kernel then
    /// refuses writes as a full disk does, with another word for it.
    pub(super) fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: getrlimit(Resource::Fsize).maximum };
        // Twice, for who was started by the server before it had its own.
        for process in (0..2).flat_map(|_| self.processes()) {
            // One that has ended meanwhile needs none.
            let _ = prlimit(Some(process), Resource::Fsize, limit);
        }
    }
}

fn small_options() -> std::ffi::CString {
    std::ffi::CString::new(SMALL).unwrap_or_default()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.thaw();
        self.limit_files(None);
        drop(self.orders.take());
        if let Some(keeper) = self.keeper.take() {
            // A keeper that panicked has nothing left to stop.
            keeper.join().ok();
        }
        if self.mounted {
            unmount(&self.home, UnmountFlags::DETACH).ok();
        }
        fs::remove_dir_all(&self.home).ok();
    }
}

/// The life of a cluster, on its keeper's thread.
fn keep(home: &Path, orders: &mpsc::Receiver<Order>) {
    let mut child = None;
    while let Ok(order) = orders.recv() {
        // Whoever gave the order may have given up.
        let _ = match order {
            Order::Up(done) => done.send(up(home, &mut child)),
            Order::Kill(done) => done.send(child.take().map_or(Ok(()), |child| kill(home, child))),
        };
    }
    if let Some(mut child) = child {
        shut_down(&mut child);
    }
}

fn up(home: &Path, child: &mut Option<Child>) -> anyhow::Result<()> {
    if let Some(running) = child {
        if running.try_wait()?.is_none() {
            return Ok(());
        }
        *child = None;
    }
    if !home.join("data").exists() {
        initialise(DURABLE, home)?;
        let mut settings = File::options().append(true).open(home.join("data/postgresql.conf"))?;
        settings.write_all(b"min_wal_size = 32MB\nmax_wal_size = 64MB\n")?;
    }
    let begun = Instant::now();
    loop {
        match launch(DURABLE, home) {
            Ok((launched, _)) => {
                *child = Some(launched);
                return Ok(());
            }
            // What its predecessor left behind may still be on its way out.
            Err(error) if begun.elapsed() > PATIENCE => {
                let log = fs::read_to_string(home.join("log")).unwrap_or_default();
                let tail = log.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
                return Err(error.context(tail.join("\n")));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn kill(home: &Path, mut child: Child) -> anyhow::Result<()> {
    let processes = family(Pid::from_child(&child));
    for process in &processes {
        // Children end by themselves, too, when they see that the server is gone.
        let _ = kill_process(*process, Signal::KILL);
    }
    child.wait()?;
    let begun = Instant::now();
    while processes.iter().any(|process| stat(*process).is_some_and(|(_, state)| state != "Z")) {
        if begun.elapsed() > PATIENCE {
            bail!("PostgreSQL in {} can't be killed", home.display());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A process and its children.
fn family(server: Pid) -> Vec<Pid> {
    let mut processes = vec![server];
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    processes.extend(numbers.filter(|process| stat(*process).is_some_and(|(parent, _)| parent == server)));
    processes
}

/// The parent and the state of a process.
fn stat(process: Pid) -> Option<(Pid, String)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // Its name, in parentheses, may hold anything.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.to_owned();
    Some((Pid::from_raw(fields.next()?.parse().ok()?)?, state))
}

/// Whether no transaction is left open by anybody in a database, once all is quiet.
///
/// # Errors
/// Where PostgreSQL can't be asked, or one stays open.
pub(super) async fn no_transaction_is_open(url: &str) -> anyhow::Result<()> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let begun = Instant::now();
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND xact_start IS NOT NULL AND (state LIKE 'idle in transaction%' OR xact_start < now() - interval '5 seconds')";
    loop {
        let open: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
        if open == 0 {
            break;
        }
        // One that is just between two statements is gone at the next look; a leaked one stays for ten seconds.
        ensure!(begun.elapsed() < Duration::from_secs(3), "{open} transactions stay open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(connection.close().await?)
}
