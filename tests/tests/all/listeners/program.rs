//! `borsellino serve` with mutual TLS, as an operator runs it: started, refused, reloaded, and out of file descriptors.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use borsellino_server::cli::demo::{self, Ports};
use borsellino_server::clock::Clock;
use borsellino_server::config::parse_secret;
use borsellino_store::Store;
use borsellino_tests::certificates::{Authority, Client, Files, HOST, NODE, Pair, Subject, https};
use borsellino_tests::house::node::{self, Addressee, Receipt};
use borsellino_tests::house::{SOON, Soap, TOWN};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::{endpoint, get};
use crate::all::demo::{Running, SECRET, config, program, run, serve, text};

/// A folder with a database, both ports' certificates, and a configuration that names them.
struct Place {
    folder: TempDir,
    ours: Authority,
    node: Pair,
    files: Files,
}

impl Place {
    fn new() -> Self {
        let (ours, theirs) = (Authority::root("our authority"), Authority::root("their authority"));
        let folder = TempDir::new().expect("a folder");
        let files = Files::write(folder.path(), "port", &ours.certify(&Subject::server()), &theirs.certificate);
        let node = theirs.certify(&Subject::client(NODE));
        Self { folder, ours, node, files }
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("b.sqlite")
    }

    fn config(&self) -> String {
        let database = format!("sqlite:{}", self.database().display());
        let plain = config(&database, "127.0.0.1:0", "127.0.0.1:0");
        let Files { certificate, key, client_ca } = &self.files;
        let pair = format!("certificate = '{}'\nkey = '{}'\n", certificate.display(), key.display());
        let ca = client_ca.display();
        plain.replace("[node]", &format!("url = 'https://{HOST}'\n[public.tls]\n{pair}[node]"))
            + &format!("[node.tls]\n{pair}client_ca = '{ca}'\nclient_names = ['{NODE}']\n")
    }

    fn serve(&self) -> Command {
        let mut command = serve(self.folder.path(), &self.config());
        command.env("BORSELLINO_SECRET", SECRET);
        command
    }
}

/// The next line of the log with this message.
fn logged(running: &Running, message: &str) -> Value {
    loop {
        let line = running.err.recv_timeout(SOON).unwrap_or_else(|_| panic!("no line says: {message}"));
        let line: Value = serde_json::from_str(&line).expect("structured logs");
        if line.pointer("/fields/message").is_some_and(|said| said == message) {
            return line;
        }
    }
}

/// Both ports, once it serves.
fn ports(running: &Running) -> (SocketAddr, SocketAddr) {
    let line = logged(running, "serving");
    let port = |name: &str| text(&line, &format!("/fields/{name}")).parse().expect("an address");
    (port("public"), port("node"))
}

async fn fill(database: &Path) {
    let store = Store::open_sqlite(database).await.expect("a store");
    let port = async || TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let ports = Ports { public: port().await, node: port().await, sandbox: port().await };
    let secret = parse_secret(SECRET).expect("a secret");
    drop(demo::open_house(store.clone(), Clock::system(), secret, ports).await.expect("a full store"));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_the_node_and_takes_new_certificates() {
    let place = Place::new();
    fill(&place.database()).await;
    let mut running = Running::start(&mut place.serve());
    let (public, node_port) = ports(&running);
    let browser = https(&place.ours.certificate, None, public);
    let page = browser.get(format!("https://{HOST}:{}/readyz", public.port())).send().await.expect("an answer");
    assert_eq!(page.status(), 200);
    let pagopa = https(&place.ours.certificate, Some(&place.node), node_port);
    let question = node::verify(&Addressee::new(TOWN), TOWN, "301123456789012345");
    let verified = Soap::call(&pagopa, &endpoint(node_port), Some("paVerifyPaymentNotice"), question).await;
    assert_eq!(verified.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "{verified:?}");
    let receipt = Receipt::new("301123456789012345", 1_234);
    let delivered = Soap::call(&pagopa, &endpoint(node_port), Some(receipt.action()), receipt.xml()).await;
    assert!(delivered.is_ok(), "kept, in suspense: {delivered:?}");
    let stranger = Client::new(&place.ours.certificate, None);
    let tried = async { get(&mut stranger.connect(node_port).await?, "/").await };
    assert!(tried.await.is_err());
    let refused = logged(&running, "a caller was refused by TLS");
    assert_eq!(text(&refused, "/fields/listener"), "node");

    // What does not fit is told, and changes nothing.
    let pagopa = Client::new(&place.ours.certificate, Some(&place.node));
    let other = place.ours.certify(&Subject::server());
    std::fs::write(&place.files.key, &other.key).expect("a file");
    running.signal(Signal::HUP);
    for _ in 0..2 {
        let said = logged(&running, "new certificates can't be used, the old ones stay");
        let why = text(&said, "/fields/error").to_owned();
        assert!(why.contains(&*place.files.key.to_string_lossy()) && why.contains("made together"), "{why}");
    }
    let mut open = pagopa.connect(node_port).await.expect("the Node");
    assert_eq!(get(&mut open, "/").await.expect("an answer"), 404);

    // What fits is taken by both ports.
    let ours = Authority::root("our next authority");
    place.files.put(&ours.certify(&Subject::server()));
    running.signal(Signal::HUP);
    let sections = [(); 2].map(|()| logged(&running, "new connections use the new certificates"));
    let mut sections = sections.map(|line| text(&line, "/fields/section").to_owned());
    sections.sort();
    assert_eq!(sections, ["node.tls", "public.tls"]);
    assert!(pagopa.connect(node_port).await.is_err(), "it is another's certificate now");
    let pagopa = Client::new(&ours.certificate, Some(&place.node));
    let mut line = pagopa.connect(node_port).await.expect("the Node");
    assert_eq!(get(&mut line, "/").await.expect("an answer"), 404);
    assert_eq!(get(&mut open, "/").await.expect("an answer"), 404, "what is open goes on");
    assert!(Client::new(&ours.certificate, None).connect(public).await.is_ok());
    running.stop();
}

#[test]
fn what_contradicts_itself_is_refused_with_its_remedy() {
    let place = Place::new();
    let good = place.config();
    let anywhere = good.replace("[node]\nlisten = '127.0.0.1:0'", "[node]\nlisten = '0.0.0.0:0'");
    let other = Authority::root("another").certify(&Subject::server());
    let other = Files::write(place.folder.path(), "other", &other, "");
    let key = place.files.key.display().to_string();
    for (what, text, remedy) in [
        (
            "nobody could connect",
            good.replace(&format!("['{NODE}']"), "[]"),
            "name the subject of the Node's certificate",
        ),
        ("a wildcard", good.replace(NODE, "*.pagopa.example"), "names are compared whole"),
        ("half of it", good.replace("client_names", "#"), "client_names"),
        (
            "TLS twice",
            good.replace("url = 'https", "tls_at_proxy = true\nurl = 'https"),
            "leave out public.tls_at_proxy",
        ),
        ("an address without TLS", good.replace("https://", "http://"), "write https:// in front"),
        ("no address", good.replace("url = 'https", "# '"), "public.url"),
        ("another host", good.replace(HOST, "other.example"), "correct public.url"),
        ("another key", good.replace(&key, &other.key.display().to_string()), "made together"),
        ("no file", good.replace(&key, "/nonexistent/key.pem"), "may read"),
        ("no mutual TLS", anywhere.split("[node.tls]").next().expect("a part").to_owned(), "set node.tls"),
    ] {
        let output = run(serve(place.folder.path(), &text).env("BORSELLINO_SECRET", SECRET));
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(remedy), "{what}: {said}");
        assert!(!place.database().exists(), "{what}: nothing was opened");
    }
}

#[test]
fn what_will_be_trouble_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let week = Clock::system().now().plus_days(7).day_in_italy().expect("a day").to_string();
    let [year, month, day] = week.split('-').collect::<Vec<_>>().try_into().expect("three parts");
    let number = |text: &str| text.parse::<u8>().expect("a number");
    let last = (year.parse().expect("a year"), number(month), number(day));
    place.files.put(&place.ours.certify(&Subject::server().until(last)));
    std::fs::set_permissions(&place.files.key, std::fs::Permissions::from_mode(0o644)).expect("a file of ours");
    let mut running = Running::start(&mut place.serve());
    let said = logged(&running, "everybody on this machine can read the key: chmod o-r");
    assert!(text(&said, "/fields/key").contains("tls.key = "), "{said}");
    ports(&running);
    let said = logged(&running, "the certificate ends within two weeks");
    assert!(text(&said, "/fields/at").starts_with(&week), "{said}");
    running.stop();
}

/// More connections than the process has file descriptors for: they wait, and it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_it_waits_for_some() {
    let folder = TempDir::new().expect("a folder");
    let database = format!("sqlite:{}", folder.path().join("b.sqlite").display());
    // Writes the file; the program itself starts under a shell that narrows it.
    drop(serve(folder.path(), &config(&database, "127.0.0.1:0", "127.0.0.1:0")));
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 96; exec \"$0\" serve --config \"$1\""]).arg(program());
    shell.arg(folder.path().join("borsellino.toml")).env("BORSELLINO_SECRET", SECRET);
    shell.env_remove("BORSELLINO_DATABASE_URL");
    let mut running = Running::start(&mut shell);
    let (public, _) = ports(&running);
    let mut lines = Vec::new();
    for _ in 0..128 {
        lines.push(TcpStream::connect(public).await.expect("the system's queue has room"));
    }
    let said = logged(&running, "no connection could be accepted");
    assert!(text(&said, "/fields/error").contains("Too many open files"), "{said}");
    drop(lines);
    let mut line = TcpStream::connect(public).await.expect("a connection");
    assert_eq!(get(&mut line, "/readyz").await.expect("an answer"), 200);
    running.stop();
}
