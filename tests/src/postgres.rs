//! A private PostgreSQL for tests and benches: one per process, reachable only through a Unix socket in a directory of
//! its own, started on first use and gone when the process ends, however it ends.
//!
//! ```no_run
//! # async fn example() {
//! let template = borsellino_tests::postgres::server()
//!     .template("store", async |url| {
//!         println!("run the migrations on {url}");
//!         Ok(())
//!     })
//!     .await;
//! let url = template.database("credits_once").await; // a fresh copy, about 15 ms
//! # }
//! ```

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, getuid, kill_process, set_parent_process_death_signal};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Directories are `<prefix><process id>-<number>`, so that a later run can tell the ones whose process is gone.
const PREFIX: &str = "borsellino-pg-";

/// The kernel keeps a socket's path in 108 bytes, some kernels in fewer.
const LONGEST_SOCKET_PATH: usize = 100;

/// How long `initdb` and the first accepted connection may take together on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Below this a `/dev/shm` (64 MB in a default container) can't hold a cluster and a suite's databases.
const ROOM_IN_MEMORY: u64 = 1 << 30;

/// What kind of server to start; [`server`] starts the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `true`: on disk, with every safety of a production server (fsync, full page writes): for benches.
    /// `false`: in memory where there is room, with none of them: for tests.
    pub durable: bool,
}

/// A running PostgreSQL. Dropping it stops the server and removes its directory; the one behind [`server`] is never
/// dropped, it dies with the process and the next run removes its directory.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    /// PostgreSQL 15 and later copy a template's files instead of logging every page, when asked.
    copies_files: bool,
    names: AtomicU32,
    templates: tokio::sync::Mutex<HashMap<String, String>>,
    keeper: Option<Keeper>,
}

/// The thread that spawned the server. It must outlive it: the kernel's parent-death signal is sent when the spawning
/// *thread* ends, and a test's own thread ends with the test.
#[derive(Debug)]
struct Keeper {
    thread: JoinHandle<()>,
    /// Never carries a message: its end is the wish to stop.
    running: mpsc::Sender<Infallible>,
}

/// A migrated database that is only ever copied.
#[derive(Debug)]
pub struct Template<'a> {
    server: &'a Server,
    name: String,
}

/// This process's server for tests, started on the first call.
///
/// # Panics
/// When no server can be had, with what to do about it.
#[track_caller]
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(|| Server::start(Options::default()).map_err(|error| format!("{error:#}"))) {
        Ok(server) => server,
        Err(reason) => give_up("no PostgreSQL for the tests", reason),
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a test without its ground fails, loudly and at once")]
fn give_up(what: &str, reason: impl std::fmt::Display) -> ! {
    panic!("{what}: {reason}")
}

impl Server {
    /// Starts a server of its own, next to the shared one. Blocks for about half a second.
    ///
    /// # Errors
    /// No binaries (`tests/run` installs them), no account to run them under, no directory with a path short enough
    /// for a socket, or a server that ends or stays silent: then with the end of its log.
    pub fn start(options: Options) -> anyhow::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let base = base_directory(options);
        sweep(&base);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = base.join(format!("{PREFIX}{}-{number}", std::process::id()));

        let (ready, answer) = mpsc::channel();
        let (running, stop) = mpsc::channel();
        let home = directory.clone();
        let thread =
            thread::Builder::new().name("postgres".into()).spawn(move || keep(options, &home, &ready, &stop))?;
        let version = answer.recv().context("the thread that starts PostgreSQL ended")??;
        Ok(Self {
            directory,
            copies_files: version >= 150_000,
            names: AtomicU32::new(0),
            templates: tokio::sync::Mutex::default(),
            keeper: Some(Keeper { thread, running }),
        })
    }

    /// A fresh, empty database; answers its URL for sqlx. `hint` becomes part of its name, for whoever reads the log.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub async fn database(&self, hint: &str) -> String {
        // Nobody can be connected to template0, so simultaneous copies don't disturb each other.
        self.copy("template0", hint).await.unwrap_or_else(|error| give_up("no fresh database", format!("{error:#}")))
    }

    /// The template called `key`: on its first use in this process `migrate` is given the URL of an empty database
    /// and fills it, later calls answer the same template at once. A failed migration is not remembered.
    ///
    /// # Panics
    /// When `migrate` fails or PostgreSQL refuses.
    pub async fn template(&self, key: &str, migrate: impl AsyncFnOnce(String) -> anyhow::Result<()>) -> Template<'_> {
        let mut known = self.templates.lock().await;
        if let Some(name) = known.get(key) {
            return Template { server: self, name: name.clone() };
        }
        match self.make_template(key, migrate).await {
            Ok(name) => {
                known.insert(key.to_owned(), name.clone());
                Template { server: self, name }
            }
            Err(error) => give_up(&format!("no template {key}"), format!("{error:#}")),
        }
    }

    async fn make_template(
        &self,
        key: &str,
        migrate: impl AsyncFnOnce(String) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let name = self.fresh_name(&format!("template_{key}"));
        self.admin(format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        migrate(self.url(&name)).await.context("its migration failed")?;
        // A pool that `migrate` dropped may still be closing, and a database in use can't be copied.
        self.admin(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await?;
        self.admin(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await?;
        Ok(name)
    }

    async fn copy(&self, template: &str, hint: &str) -> anyhow::Result<String> {
        let name = self.fresh_name(hint);
        let strategy = if self.copies_files { " STRATEGY file_copy" } else { "" };
        self.admin(format!("CREATE DATABASE {name} TEMPLATE {template}{strategy}")).await?;
        Ok(self.url(&name))
    }

    /// One connection per statement: a connection belongs to the runtime that opened it, and every test has its own.
    async fn admin(&self, statement: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    fn fresh_name(&self, hint: &str) -> String {
        let hint = hint.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        format!("t_{}_{}", hint.collect::<String>(), self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn url(&self, database: &str) -> String {
        url(&self.directory, database)
    }

    /// Where this server lives: its socket, its `log` and its `data`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(Keeper { thread, running }) = self.keeper.take() {
            drop(running);
            // A keeper that panicked has nothing left to stop.
            thread.join().ok();
        }
    }
}

impl Template<'_> {
    /// A fresh copy of the template; answers its URL for sqlx. `hint` becomes part of its name.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub async fn database(&self, hint: &str) -> String {
        let url = self.server.copy(&self.name, hint).await;
        url.unwrap_or_else(|error| give_up("no copy of a template", format!("{error:#}")))
    }
}

/// Everything is named, so that no PGPORT, PGUSER or PGSSLMODE of the caller leaks in.
pub(crate) fn url(directory: &Path, database: &str) -> String {
    format!("postgres:///{database}?host={}&port=5432&user=postgres&sslmode=disable", directory.display())
}

/// The whole life of one server, on the keeper's thread.
fn keep(
    options: Options,
    directory: &Path,
    ready: &mpsc::Sender<anyhow::Result<u32>>,
    stop: &mpsc::Receiver<Infallible>,
) {
    match start_process(options, directory) {
        Ok((mut child, version)) => {
            // Fails only when the caller is gone; then so is the sender of `stop`.
            ready.send(Ok(version)).ok();
            stop.recv().ok();
            shut_down(&mut child);
        }
        Err(error) => {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(5).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            ready.send(Err(if tail.is_empty() { error } else { error.context(tail) })).ok();
        }
    }
    fs::remove_dir_all(directory).ok();
}

fn start_process(options: Options, directory: &Path) -> anyhow::Result<(Child, u32)> {
    // `create_dir` refuses a directory that someone else laid out for us.
    fs::create_dir(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    initialise(options, directory)?;
    launch(options, directory)
}

/// Makes the files of a new server in an empty `directory`, which becomes the property of the account it runs under.
///
/// # Errors
/// What is missing, or what `initdb` ends with.
pub(crate) fn initialise(options: Options, directory: &Path) -> anyhow::Result<()> {
    let socket_path = directory.as_os_str().len() + "/.s.PGSQL.5432".len();
    ensure!(socket_path < LONGEST_SOCKET_PATH, "{} is too long for a socket: set TMPDIR", directory.display());
    let binaries = Binaries::find()?;
    let account = Account::to_run_as()?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    if let Some(Account { user, group }) = account {
        chown(directory, Some(user), Some(group))?;
    }
    let mut initdb = command(&binaries.initdb, directory, account)?;
    initdb.arg("-D").arg(directory.join("data")).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
    if !options.durable {
        initdb.arg("--no-sync");
    }
    let done = initdb.status().with_context(|| format!("cannot run {}", binaries.initdb.display()))?;
    ensure!(done.success(), "initdb failed: {done}");
    Ok(())
}

/// Starts a server on the files in `directory` and waits until it answers; with its version (150018 for 15.18). The
/// kernel stops it when the calling thread ends.
///
/// # Errors
/// Where it ends or stays silent.
pub(crate) fn launch(options: Options, directory: &Path) -> anyhow::Result<(Child, u32)> {
    let binaries = Binaries::find()?;
    let mut postgres = command(&binaries.postgres, directory, Account::to_run_as()?)?;
    postgres.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
    let mut settings = vec!["listen_addresses=", "port=5432", "max_connections=300", "timezone=UTC"];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]);
        settings.extend(["min_wal_size=32MB", "max_wal_size=128MB", "jit=off"]);
    }
    for setting in settings {
        postgres.args(["-c", setting]);
    }
    let mut child = postgres.spawn().with_context(|| format!("cannot run {}", binaries.postgres.display()))?;
    match wait_until_ready(&mut child, directory) {
        Ok(version) => Ok((child, version)),
        Err(error) => {
            shut_down(&mut child);
            Err(error)
        }
    }
}

/// A command of PostgreSQL: none of our environment (PGHOST, PGDATA, a locale), output into the log, dead when we are.
fn command(program: &Path, directory: &Path, account: Option<Account>) -> anyhow::Result<Command> {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log"))?;
    let mut command = Command::new(program);
    command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")]);
    command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    die_with_parent(&mut command);
    Ok(command)
}

/// Lets the kernel stop `command` when the thread that spawns it ends, which a killed process's threads all do.
#[allow(unsafe_code, reason = "the standard library offers no safe way to run code between fork and exec")]
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs in the forked child, where only async-signal-safe work is allowed: it makes one system
    // call (prctl) and neither allocates nor locks. It runs after the change of user, which would clear the setting.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::INT))?));
    }
}

/// Answers the server's version (150018 for 15.18) once it has answered a query.
fn wait_until_ready(child: &mut Child, directory: &Path) -> anyhow::Result<u32> {
    let deadline = Instant::now() + START_WITHIN;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loop {
        let refusal = match runtime.block_on(version(directory)) {
            Ok(version) => return Ok(version),
            Err(refusal) => refusal,
        };
        if let Some(status) = child.try_wait()? {
            bail!("postgres ended while starting: {status}");
        }
        if Instant::now() > deadline {
            return Err(refusal).context("postgres does not answer");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

async fn version(directory: &Path) -> anyhow::Result<u32> {
    let mut connection = PgConnection::connect(&url(directory, "postgres")).await?;
    let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version.parse()?)
}

/// Fast shutdown: SIGINT disconnects the clients and ends in order.
pub(crate) fn shut_down(child: &mut Child) {
    // The child has not been waited for, so its id can't belong to another process yet.
    kill_process(Pid::from_child(child), Signal::INT).ok();
    child.wait().ok();
}

/// The two programs, as absolute paths without symbolic links: `initdb` looks for `postgres` beside itself.
struct Binaries {
    initdb: PathBuf,
    postgres: PathBuf,
}

impl Binaries {
    /// `PG_BIN` if set, else Debian's directories (newest version first), else `PATH`.
    fn find() -> anyhow::Result<Self> {
        if let Some(chosen) = std::env::var_os("PG_BIN") {
            let found = Self::in_directory(Path::new(&chosen));
            return found.with_context(|| format!("PG_BIN={} holds no initdb and postgres", chosen.display()));
        }
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
            })
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let path = std::env::var_os("PATH").unwrap_or_default();
        versions
            .into_iter()
            .map(|(_, directory)| directory)
            .chain(std::env::split_paths(&path))
            .find_map(|directory| Self::in_directory(&directory))
            .context("initdb and postgres are neither in PG_BIN, /usr/lib/postgresql/*/bin nor PATH; `tests/run` installs them (or: apt-get install postgresql)")
    }

    fn in_directory(directory: &Path) -> Option<Self> {
        let program = |name| fs::canonicalize(directory.join(name)).ok().filter(|path| path.is_file());
        Some(Self { initdb: program("initdb")?, postgres: program("postgres")? })
    }
}

/// Ids of the account PostgreSQL runs under.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// `None` for ourselves. PostgreSQL refuses to run as root: there it is `postgres`, or `nobody` without that.
    fn to_run_as() -> anyhow::Result<Option<Self>> {
        if !getuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("cannot look up the account postgres")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::parse(&passwd, name));
        found.map(Some).context("neither an account postgres nor nobody to run PostgreSQL under")
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (user, group) =
                (fields.next()? == name).then_some(()).and_then(|()| Some((fields.nth(1)?, fields.next()?)))?;
            Some(Self { user: user.parse().ok()?, group: group.parse().ok()? })
        })
    }
}

/// Where one of this process's servers beside the shared one may lie; [`sweep`] knows it.
pub(crate) fn torture_directory(options: Options, number: u32) -> PathBuf {
    let base = base_directory(options);
    sweep(&base);
    base.join(format!("{PREFIX}{}-t{number}", std::process::id()))
}

fn base_directory(options: Options) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let has_room =
        |path| rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) > ROOM_IN_MEMORY);
    let disk = Path::new("/var/tmp");
    match options.durable {
        false if has_room(memory) => memory.to_owned(),
        true if disk.is_dir() => disk.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// Removes what processes that are gone have left behind. Best effort: what belongs to others stays.
fn sweep(base: &Path) {
    let alive = |process: &str| Path::new("/proc").join(process).exists();
    if !alive("self") {
        return;
    }
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|rest| rest.split_once('-'));
        // Its server may still be shutting down.
        let server = fs::read_to_string(entry.path().join("data/postmaster.pid")).unwrap_or_default();
        let server = server.lines().next().is_some_and(alive);
        if owner.is_some_and(|(process, _)| !process.is_empty() && !alive(process)) && !server {
            // One may be a file system of its own.
            rustix::mount::unmount(entry.path(), rustix::mount::UnmountFlags::DETACH).ok();
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("{} stays: {error}", entry.path().display());
                }
                _ => {}
            }
        }
    }
}
