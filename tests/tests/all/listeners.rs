//! The two ports as strangers meet them: TLS with its certificates, and bounds on everything that the other side decides.

mod bounds;
mod certificates;
mod channel;
mod program;
mod public;
mod who;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use borsellino_domain::time::Millis;
use borsellino_server::cli::demo::{self, Ports};
use borsellino_server::clock::Clock;
use borsellino_server::listener::{Callers, Certificates, Limits, Listener, Reload, Settings};
use borsellino_server::soap::PATH;
use borsellino_server::usecases::App;
use borsellino_server::{Listeners, Parts};
use borsellino_tests::certificates::{Authority, Client, Files, HOST, NODE, Pair, Subject};
use borsellino_tests::house::{OPENING, SOON, Soap, TOWN};
use borsellino_tests::stores::Fresh;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A server of the demo's families on ports that a test chooses the rules of.
struct Doors {
    fresh: Fresh,
    app: App,
    public: SocketAddr,
    node: SocketAddr,
    moved: Arc<AtomicI64>,
    reload: watch::Sender<()>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

/// What a test chooses.
struct Rules {
    public_tls: Option<Settings>,
    node_tls: Option<Settings>,
    limits: Limits,
    every: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { public_tls: None, node_tls: None, limits: Limits::new(64), every: Duration::from_millis(20) }
    }
}

impl Rules {
    /// In clear, with these bounds.
    fn bounds(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}

impl Doors {
    async fn open(fresh: Fresh, rules: Rules) -> Self {
        let moved = Arc::new(AtomicI64::new(0));
        let ticks = Arc::clone(&moved);
        let clock = Clock::of(move || Millis::new(OPENING).plus(ticks.load(Ordering::SeqCst)));
        let port = async || TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        // The demo fills the store; the server on it is another.
        let ports = Ports { public: port().await, node: port().await, sandbox: port().await };
        let secret = Zeroizing::new([7; 32]);
        drop(demo::open_house(fresh.store.clone(), clock.clone(), secret.clone(), ports).await.expect("a full store"));
        let store = fresh.store.clone();
        let parts = Parts { store, clock: clock.clone(), secret, checkout: None, public_url: String::new() };
        let (app, stop_server) = borsellino_server::open(parts).await.expect("a server");

        let load = async |settings: Option<Settings>| match settings {
            Some(settings) => Some(Certificates::load(settings, clock.clone()).await.expect("certificates")),
            None => None,
        };
        let (public, node) = (port().await, port().await);
        let (public_at, node_at) = (public.local_addr().expect("a port"), node.local_addr().expect("a port"));
        let (reload, asked) = watch::channel(());
        let limits = rules.limits;
        let in_clear = Listeners::in_clear(public, node);
        let node_callers = if rules.node_tls.is_some() { Callers::Anybody } else { in_clear.node.callers };
        let listeners = Listeners {
            public: Listener { certificates: load(rules.public_tls).await, limits, ..in_clear.public },
            node: Listener { certificates: load(rules.node_tls).await, limits, callers: node_callers, ..in_clear.node },
            reload: Reload { every: rules.every, asked },
            drain: Duration::ZERO,
        };
        let inside = app.clone();
        let (stop, asked) = oneshot::channel::<()>();
        let until = async move { drop(asked.await) };
        let served = tokio::spawn(borsellino_server::run(app, stop_server, listeners, until));
        Self { fresh, app: inside, public: public_at, node: node_at, moved, reload, stop, served }
    }

    async fn on_sqlite(rules: Rules) -> Self {
        Self::open(Fresh::sqlite().await.expect("a store on SQLite"), rules).await
    }

    fn advance(&self, days: i64) {
        self.moved.fetch_add(days * 86_400_000, Ordering::SeqCst);
    }

    /// The number that `sql` asks for, past every door.
    async fn number(&self, sql: &str) -> i64 {
        self.fresh.raw_number(sql).await.expect("a number")
    }

    /// A notice of the first creditor that can be paid, and its cents.
    async fn payable(&self) -> (String, i64) {
        let open = format!("state = 'open' AND creditor = '{TOWN}' AND bill IS NULL AND expires_at_ms > {OPENING}");
        let number = format!("SELECT CAST(MIN(number) AS BIGINT) FROM notice WHERE {open}");
        let number = self.number(&number).await.to_string();
        let cents = format!("SELECT CAST(MIN(amount_cents) AS BIGINT) FROM notice WHERE number = '{number}'");
        (number, self.number(&cents).await)
    }

    /// Stops the server; answers how long that took.
    async fn close(self) -> Duration {
        let begun = Instant::now();
        self.stop.send(()).expect("a server that listens");
        self.served.await.expect("no panic").expect("an orderly end");
        begun.elapsed()
    }
}

/// Authorities and files of a port with mutual TLS.
struct Town {
    _folder: TempDir,
    /// Of our own certificate.
    ours: Authority,
    /// Of the Node's.
    theirs: Authority,
    files: Files,
    /// The Node's own certificate.
    node: Pair,
}

impl Town {
    fn new() -> Self {
        let (ours, theirs) = (Authority::root("our authority"), Authority::root("their authority"));
        let folder = TempDir::new().expect("a folder");
        let files = Files::write(folder.path(), "node", &ours.certify(&Subject::server()), &theirs.certificate);
        let node = theirs.certify(&Subject::client(NODE));
        Self { _folder: folder, ours, theirs, files, node }
    }

    fn rules(&self) -> Rules {
        Rules { node_tls: Some(self.files.for_the_node(&[NODE])), ..Rules::default() }
    }

    /// A client that shows this certificate.
    fn client(&self, shows: Option<&Pair>) -> Client {
        Client::new(&self.ours.certificate, shows)
    }

    /// The Node's calls, over mutual TLS.
    async fn call(&self, at: SocketAddr, action: &str, body: String) -> Soap {
        let client = borsellino_tests::certificates::https(&self.ours.certificate, Some(&self.node), at);
        Soap::call(&client, &endpoint(at), Some(action), body).await
    }
}

fn endpoint(at: SocketAddr) -> String {
    format!("https://{HOST}:{}{PATH}", at.port())
}

/// A line that can be read and written.
trait Line: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Line for T {}

/// Asks for a path by hand on an open line; the status that is answered.
async fn get(line: &mut impl Line, path: &str) -> std::io::Result<u16> {
    line.write_all(format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await?;
    let text = answer(line).await?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Ok(status.unwrap_or_else(|| panic!("an answer in HTTP: {text:?}")))
}

/// One whole answer.
async fn answer(line: &mut impl Line) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or_default() {
                return Ok(text.into_owned());
            }
        }
        let read = tokio::time::timeout(SOON, line.read(&mut chunk)).await.expect("something in time")?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// Waits until the other side hangs up; what came before, and how long it took.
async fn hung_up(line: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    // A reset is a way to hang up too.
    let _ = tokio::time::timeout(SOON, line.read_to_end(&mut bytes)).await.expect("it hangs up in time");
    (bytes, begun.elapsed())
}
