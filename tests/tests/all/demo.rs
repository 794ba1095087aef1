//! The program itself, as an operator runs it: `demo`, `serve`, `ledger verify`, signals, and what it says when it can't.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_tests::house::node::{self, Addressee, Receipt};
use borsellino_tests::house::{MARIA, PASSWORD, Phone, SOON, Soap, TOWN, http};
use borsellino_tests::postgres::server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::Endpoint;

/// The program, built once.
pub(super) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let exe = std::env::current_exe().expect("this test program");
        let profile = exe.parent().and_then(Path::parent).expect("the profile's folder");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "-p", "borsellino-server"]);
        build.arg("--target-dir").arg(profile.parent().expect("the target folder"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "the program could not be built");
        profile.join("borsellino")
    })
}

/// The program with none of our environment's settings for it.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    for name in ["BORSELLINO_SECRET", "BORSELLINO_CHECKOUT_KEY", "BORSELLINO_DATABASE_URL"] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("a run")
}

/// A running program; killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: mpsc::Receiver<String>,
    pub(super) err: mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    /// A demo in `data`, and the line that it prints.
    pub(crate) fn demo(data: Option<&Path>) -> (Self, Value) {
        let mut command = command(&["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0"]);
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        Self::ready(&mut command)
    }

    fn ready(command: &mut Command) -> (Self, Value) {
        let running = Self::start(command);
        let line = running.out.recv_timeout(SOON).expect("a line once ready");
        (running, serde_json::from_str(&line).expect("one line of JSON"))
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < SOON, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to stop; it must end in order.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.end().code(), Some(0), "an orderly end");
    }
}

pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} in {value}"))
}

/// `ledger verify` of a folder, as JSON.
fn verify(data: &Path) -> Value {
    let output = run(command(&["ledger", "verify", "--json", "--data"]).arg(data));
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["sound"], true, "{report}");
    assert_eq!(report["ledgers"].as_array().map(Vec::len), Some(2), "{report}");
    report
}

fn entries(report: &Value) -> i64 {
    report["ledgers"].as_array().expect("ledgers").iter().filter_map(|its| its["entries"].as_i64()).sum()
}

async fn phone(line: &Value) -> Phone {
    let channel = Endpoint::new(text(line, "/grpc").to_owned()).expect("an address").connect().await.expect("a line");
    let (username, password) = (text(line, "/guardian/username"), text(line, "/guardian/password"));
    Phone::sign_in(channel, text(line, "/creditor/fiscal_code"), username, password).await.expect("a sign-in")
}

/// Plays the Node for one of the notices: verify, activate, receipt.
pub(crate) async fn pay(line: &Value, notice: &Value) {
    let (http, endpoint) = (http(), text(line, "/node"));
    let to = Addressee {
        id_pa: text(line, "/creditor/fiscal_code").to_owned(),
        broker: text(line, "/creditor/broker").to_owned(),
        station: text(line, "/creditor/station").to_owned(),
    };
    let (number, cents) = (text(notice, "/number"), notice["amount_cents"].as_i64().expect("cents"));
    let question = node::verify(&to, &to.id_pa, number);
    let verified = Soap::call(&http, endpoint, Some("paVerifyPaymentNotice"), question).await;
    assert_eq!(verified.element("amount"), Some(node::euro(cents).as_str()), "{verified:?}");
    let question = node::activate(&to, &to.id_pa, number, None);
    let activated = Soap::call(&http, endpoint, Some("paGetPaymentV2"), question).await;
    assert!(activated.is_ok(), "{activated:?}");
    let debtor = text(notice, "/debtor_fiscal_code");
    assert_eq!(activated.element("entityUniqueIdentifierValue"), Some(debtor), "{activated:?}");
    let receipt = Receipt { to, ..Receipt::new(number, cents) };
    let delivered = Soap::call(&http, endpoint, Some(receipt.action()), receipt.xml()).await;
    assert!(delivered.is_ok(), "{delivered:?}");
}

pub(crate) fn notice<'a>(line: &'a Value, kind: &str) -> &'a Value {
    let notices = line["notices"].as_array().expect("notices");
    notices.iter().find(|notice| notice["kind"] == kind).unwrap_or_else(|| panic!("a {kind} in {line}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_line_says_everything_that_an_outside_program_needs() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    assert_eq!(text(&line, "/creditor/fiscal_code"), TOWN);
    assert_eq!(text(&line, "/creditor/broker"), node::BROKER);
    assert_eq!(text(&line, "/creditor/station"), node::STATION);
    assert!(!text(&line, "/creditor/cbill").is_empty());
    assert_eq!((text(&line, "/guardian/username"), text(&line, "/guardian/password")), (MARIA, PASSWORD));
    for url in ["/web", "/grpc", "/sandbox"] {
        let answer = http().get(text(&line, url)).send().await.expect("an answer");
        assert!(answer.status().as_u16() < 500, "{url}");
    }
    let wallets = line["wallets"].as_array().expect("wallets");
    assert_eq!(wallets.len(), 4);
    let phone = phone(&line).await;
    assert_eq!(phone.resolve(text(&line, "/activation_code")).await.expect("a creditor").fiscal_code, TOWN);
    let home = phone.home().await.expect("home");
    for child in &home.children {
        for its in &child.wallets {
            let said = wallets.iter().find(|said| said["id"] == its.id.as_str()).expect("every wallet is named");
            assert_eq!((text(said, "/child"), text(said, "/service")), (&*child.given_name, &*its.service_name));
            assert_eq!(said["balance_cents"], its.balance_cents);
        }
    }
    // What it promises can be paid by whoever reads it, and the ledger is checked meanwhile.
    let before = entries(&verify(data.path()));
    for kind in ["top_up", "bill"] {
        pay(&line, notice(&line, kind)).await;
    }
    assert_eq!(entries(&verify(data.path())), before + 2, "beside the running demo");
    drop(phone);
    demo.stop();
    assert_eq!(demo.out.try_recv().ok(), None, "one line, no more");
    assert_eq!(entries(&verify(data.path())), before + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again_it_has_lost_nothing() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    let top_up = notice(&line, "top_up").clone();
    let phone_before = phone(&line).await;
    let home = phone_before.home().await.expect("home");
    let paid = home.payments.iter().find(|its| its.notice.as_ref().is_some_and(|n| top_up["number"] == *n.number));
    let wallet = paid.expect("the waiting top-up").wallet_id.clone();
    pay(&line, &top_up).await;
    demo.signal(Signal::KILL);
    assert_eq!(demo.end().code(), None, "killed");
    let after_kill = entries(&verify(data.path()));

    let (mut demo, again) = Running::demo(Some(data.path()));
    for same in ["/activation_code", "/guardian", "/creditor"] {
        assert_eq!(line.pointer(same), again.pointer(same));
    }
    let balance = |line: &Value| {
        let wallets = line["wallets"].as_array().expect("wallets");
        let found = wallets.iter().find(|its| its["id"] == wallet.as_str()).expect("the same wallet");
        found["balance_cents"].as_i64().expect("cents")
    };
    assert_eq!(balance(&again), balance(&line) + top_up["amount_cents"].as_i64().expect("cents"));
    let notices = again["notices"].as_array().expect("notices");
    assert!(notices.iter().all(|notice| notice["number"] != top_up["number"]), "it is paid");
    // The session from before the kill goes on: same secret, same sessions.
    let channel = Endpoint::new(text(&again, "/grpc").to_owned()).expect("an address").connect().await.expect("a line");
    let home = phone_before.on(channel).home().await.expect("still signed in");
    assert!(home.payments.is_empty());
    pay(&again, notice(&again, "bill")).await;
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code(), Some(0), "Ctrl-C is an orderly end too");
    assert_eq!(entries(&verify(data.path())), after_kill + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_without_a_folder_leaves_none() {
    let place = TempDir::new().expect("a folder");
    let mut command = command(&["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0"]);
    let (mut demo, line) = Running::ready(command.env("TMPDIR", place.path()));
    assert!(place.path().read_dir().expect("a folder").next().is_some(), "it works there");
    // A phone that hangs on the stream must not keep it from stopping.
    let phone = phone(&line).await;
    let mut stream = phone.watch(0).await.expect("a stream");
    assert!(stream.message().await.expect("an event").is_some());
    demo.stop();
    let left: Vec<_> = place.path().read_dir().expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_runs_on_postgresql_and_logs_no_names() {
    let url = server().database("demo").await;
    let data = TempDir::new().expect("a folder");
    let mut command = command(&["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0"]);
    let (mut demo, line) = Running::ready(command.arg("--data").arg(data.path()).args(["--database", &url]));
    pay(&line, notice(&line, "top_up")).await;
    let refused = Soap::call(&http(), text(&line, "/node"), None, "<Bianchi/>").await;
    assert!(refused.is_fault());
    demo.stop();
    let logged: Vec<String> = demo.err.iter().collect();
    for name in ["Bianchi", "bianchi", "Giulia", "Rossi"] {
        assert!(logged.iter().all(|line| !line.contains(name)), "{name} in {logged:?}");
    }
    let output = run(command_verify(&url).arg("--json"));
    assert!(output.status.success(), "{output:?}");
}

fn command_verify(database: &str) -> Command {
    command(&["ledger", "verify", "--database", database])
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for flag in ["--port", "--node-port", "--sandbox-port"] {
        let mut arguments = vec!["demo", "--json"];
        for other in ["--port", "--node-port", "--sandbox-port"] {
            arguments.extend([other, if other == flag { port.as_str() } else { "0" }]);
        }
        let output = run(&mut command(&arguments));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(&port) && said.contains(&format!("choose another with {flag}")), "{said}");
        assert!(output.stdout.is_empty(), "nothing is ready");
    }
}

/// The office decides beside the running server, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_office_lists_and_decides_while_the_demo_runs() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    let receipt = Receipt::new("301123456789012345", 1_234);
    let kept = Soap::call(&http(), text(&line, "/node"), Some(receipt.action()), receipt.xml()).await;
    assert!(kept.is_ok(), "{kept:?}");
    let list = |more: &[&str]| {
        let output = run(command(&["queue", "list", "--json", "--data"]).arg(data.path()).args(more));
        assert!(output.status.success(), "{output:?}");
        let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        listed["items"].as_array().expect("items").clone()
    };
    let [waiting] = list(&[]).try_into().expect("one item");
    assert_eq!((text(&waiting, "/queue"), text(&waiting, "/why")), ("suspense", "unknown_notice"));
    assert_eq!((waiting["amount_cents"].as_i64(), text(&waiting, "/notice")), (Some(1_234), "301123456789012345"));
    assert!(list(&["--queue", "double"]).is_empty());
    let resolve = || {
        let mut command = command(&["queue", "resolve", text(&waiting, "/item"), "--creditor", TOWN, "--refund"]);
        run(command.args(["--reason", "no such notice", "--operator", "A. Verdi", "--data"]).arg(data.path()))
    };
    let decided = resolve();
    assert!(decided.status.success(), "{decided:?}");
    assert!(list(&[]).is_empty());
    let [kept] = list(&["--all"]).try_into().expect("one item");
    assert_eq!(text(&kept, "/resolution/action"), "refund");
    let again = resolve();
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let said = String::from_utf8(again.stderr).expect("text");
    assert!(said.contains("A. Verdi decided this already (refund)"), "{said}");
    verify(data.path());
    demo.stop();
}

/// Bills and notices by hand, on the command line, while the demo runs: each act signed, each refusal said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_office_works_by_hand_while_the_demo_runs() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    let signed = ["--creditor", TOWN, "--reason", "asked by the family", "--operator", "A. Verdi", "--data"];
    let office = |arguments: &[&str]| {
        let output = run(command(arguments).args(signed).arg(data.path()));
        let told = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).expect("text");
        (output.status.code(), told)
    };
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    let child = codes.into_iter().find(|code| PersonalCode::parse(code).is_ok()).expect("one of them fits");
    let bill = |number: &str, child: &str| {
        json!({
            "guardian": "maria.bianchi", "number": number, "period": "dicembre 2026", "reason": "Mensa, quota annuale",
            "lines": [{ "child": child, "service": "Mensa scolastica", "amount_cents": 9_000 }],
            "due": [{ "date": "2027-01-15", "amount_cents": 4_000 }, { "date": "2027-02-15", "amount_cents": 5_000 }],
        })
    };
    let file = data.path().join("bills.json");
    let path = file.to_str().expect("a path").to_owned();
    let write = |bills: Value| std::fs::write(&file, bills.to_string()).expect("a file");
    write(json!([bill("2026/900", &child.to_lowercase()), bill("2026/901", "BNCLRA14P55H501E")]));
    let (code, told) = office(&["bill", "issue", &path]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("2026/900: issued") && told.contains("2026/901: not issued: line 1: this creditor has no child")
    );
    write(json!([bill("2026/900", &child)]));
    let (code, told) = office(&["bill", "issue", &path]);
    assert_eq!(code, Some(0), "{told}");
    let id =
        told.split_once("stands already (").and_then(|(_, rest)| rest.split_once(')')).expect("its id").0.to_owned();
    for broken in ["", "{}", r#"[{"guardian":"x"}]"#] {
        std::fs::write(&file, broken).expect("a file");
        let (code, told) = office(&["bill", "issue", &path]);
        assert!(code == Some(1) && told.contains("is no list of bills"), "{told}");
    }

    let waiting = line["notices"].as_array().expect("notices").iter().find(|notice| notice["kind"] == "top_up");
    let notice = text(waiting.expect("a top-up"), "/number").to_owned();
    let (code, told) = office(&["notice", "settle", &notice]);
    assert!(code == Some(0) && told.contains("20,00 € taken at the counter"), "{told}");
    let (code, told) = office(&["notice", "cancel", &notice]);
    assert!(code == Some(1) && told.contains("the notice is paid"), "{told}");
    let (code, told) = office(&["bill", "withdraw", &id]);
    assert!(code == Some(0) && told.contains("90,00 € no longer owed"), "{told}");
    let (code, told) = office(&["bill", "withdraw", &id]);
    assert!(code == Some(1) && told.contains("nothing is left of the bill"), "{told}");

    let log = run(command(&["office", "log", "--json", "--creditor", TOWN, "--data"]).arg(data.path()));
    let log: Value = serde_json::from_slice(&log.stdout).expect("JSON");
    let acts: Vec<_> = log["acts"].as_array().expect("acts").iter().map(|act| text(act, "/action")).collect();
    assert_eq!(acts, ["bill_issued", "notice_settled", "bill_withdrawn"]);
    verify(data.path());
    demo.stop();
}

#[test]
fn a_folder_without_a_ledger_is_no_sound_ledger() {
    let empty = TempDir::new().expect("a folder");
    let output = run(command(&["ledger", "verify", "--data"]).arg(empty.path()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("is the folder right?"), "{said}");
    assert!(empty.path().read_dir().expect("a folder").next().is_none(), "looking leaves nothing behind");
}

/// A configuration file with these lines, and a `serve` of it.
pub(super) fn serve(folder: &Path, config: &str) -> Command {
    let path = folder.join("borsellino.toml");
    std::fs::write(&path, config).expect("a file");
    let mut command = command(&["serve", "--config"]);
    command.arg(path);
    command
}

pub(super) const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn config(database: &str, public: &str, node: &str) -> String {
    format!(
        "[database]\nurl = '{database}'\n[public]\nlisten = '{public}'\n[node]\nlisten = '{node}'\n[log]\njson = true\n"
    )
}

#[test]
fn serve_refuses_what_is_unsafe_and_says_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("b.sqlite").display());
    let (here, anywhere) = ("127.0.0.1:0", "0.0.0.0:0");
    let good = config(&sqlite, here, here);
    let short = &SECRET[1..];
    for (what, text, secret, remedy) in [
        ("an open Node", config(&sqlite, here, anywhere), Some(SECRET), "node.trusted_proxies"),
        ("an open Node on IPv6", config(&sqlite, here, "[::]:0"), Some(SECRET), "node.trusted_proxies"),
        ("passwords in clear", config(&sqlite, anywhere, here), Some(SECRET), "public.tls_at_proxy"),
        ("another database", config("mysql://x", here, here), Some(SECRET), "sqlite: or postgres:"),
        ("no secret", good.clone(), None, "BORSELLINO_SECRET"),
        ("a short secret", good.clone(), Some(short), "openssl rand -hex 32"),
        ("no key", format!("{good}[checkout]\nurl = 'https://x.example'\n"), Some(SECRET), "BORSELLINO_CHECKOUT_KEY"),
        ("a misspelt setting", good.replace("listen", "lisen"), Some(SECRET), "lisen"),
        ("no TOML", "[database".to_owned(), Some(SECRET), "borsellino.toml"),
    ] {
        let mut command = serve(folder.path(), &text);
        if let Some(secret) = secret {
            command.env("BORSELLINO_SECRET", secret);
        }
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(remedy), "{what}: {said}");
        assert!(!said.contains(short), "{what}: the secret is told");
        assert!(!folder.path().join("b.sqlite").exists(), "{what}: nothing was opened");
    }
    let output = run(command(&["serve", "--config"]).arg(folder.path().join("none.toml")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none.toml"), "{output:?}");
}

/// Serves `database` until it is told to stop, and asks the probes meanwhile.
async fn serves(database: &str) {
    let folder = TempDir::new().expect("a folder");
    // The environment wins over the file, so that the file needs no password.
    let text = config("sqlite:/nonexistent/b.sqlite", "127.0.0.1:0", "127.0.0.1:0");
    let mut command = serve(folder.path(), &text);
    command.env("BORSELLINO_SECRET", SECRET).env("BORSELLINO_DATABASE_URL", database);
    let mut running = Running::start(&mut command);
    let public = loop {
        let line = running.err.recv_timeout(SOON).expect("a line of the log");
        let line: Value = serde_json::from_str(&line).expect("structured logs");
        if line.pointer("/fields/message").is_some_and(|message| message == "serving") {
            break text_of(&line, "/fields/public");
        }
    };
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/", 200), ("/pagopa/node", 404)] {
        let answer = http().get(format!("http://{public}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
    }
    running.stop();
    let output = run(&mut command_verify(database));
    assert!(output.status.success(), "{output:?}");
}

fn text_of(line: &Value, path: &str) -> String {
    text(line, path).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_runs_on_sqlite() {
    let folder = TempDir::new().expect("a folder");
    serves(&format!("sqlite:{}", folder.path().join("b.sqlite").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_runs_on_postgresql() {
    serves(&server().database("serve").await).await;
}
