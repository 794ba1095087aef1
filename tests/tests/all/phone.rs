//! The phone as a real process against the whole house: killed at each step of a tap and started again, it finishes
//! what it began, once. The phone is the example that the README starts.

mod access;
mod airplane;
mod archive;
mod documents;
mod sync;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use borsellino_tests::house::{House, MARIA, PASSWORD, SOON, TOWN};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

borsellino_tests::in_both_houses! {
    the_readmes_story;
    a_tap_cut_off_at_any_step_is_finished_once;
    news_cut_off_at_any_step_are_told_after_all;
}

/// The steps at which a tap may be cut off before its answer is worked in.
const OF_THE_TAP: [&str; 4] = ["intent-saved", "before-send", "after-send", "after-answer"];

/// The steps at which the news of its payment may be.
const OF_THE_NEWS: [&str; 2] = ["before-cursor", "cursor-written"];

/// The example, built once for this run.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = Command::new(cargo).args(["build", "-q", "-p", "borsellino-core", "--example", "phone"]).status();
        assert!(build.expect("cargo").success(), "the phone can't be built");
        let test = std::env::current_exe().expect("this program");
        let folder = test.parent().and_then(Path::parent).expect("target/debug");
        folder.join("examples/phone")
    })
}

struct Pocket {
    data: TempDir,
    server: String,
}

impl Pocket {
    fn new(house: &House) -> Self {
        Self { data: TempDir::with_prefix("borsellino-phone-").expect("a folder"), server: house.at.web.clone() }
    }

    /// A phone that plays `script`; killed at `crash` where one is named.
    fn phone(&self, script: &str, crash: Option<&str>) -> Command {
        let mut phone = Command::new(program());
        phone.args(["--server", &self.server, "--json", "--wait-seconds", "20", "--script", script]);
        phone.args(["--code", "5645312010", "--username", MARIA]).env("BORSELLINO_PASSWORD", PASSWORD);
        phone.arg("--data").arg(self.data.path()).stdin(Stdio::null());
        match crash {
            Some(step) => phone.env("BORSELLINO_CRASH_AT", step),
            None => phone.env_remove("BORSELLINO_CRASH_AT"),
        };
        phone
    }

    async fn play(&self, script: &str, crash: Option<&str>) -> Output {
        // It ends by itself: its script does, or its patience.
        let mut phone = self.phone(script, crash);
        tokio::task::spawn_blocking(move || phone.output()).await.expect("no panic").expect("a phone that starts")
    }

    /// A phone that is listened to while it runs.
    fn listen(&self, script: &str, crash: Option<&str>) -> Running {
        let mut phone = self.phone(script, crash).stdout(Stdio::piped()).spawn().expect("a phone that starts");
        let words = BufReader::new(phone.stdout.take().expect("its words"));
        let (sender, events) = unbounded_channel();
        std::thread::spawn(move || {
            let lines = words.lines().map_while(Result::ok);
            for event in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Running { phone, events }
    }
}

struct Running {
    phone: Child,
    events: UnboundedReceiver<Value>,
}

impl Running {
    /// What it says next; `None` once it has ended.
    async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(SOON, self.events.recv()).await.expect("in time")
    }

    async fn end(mut self) -> ExitStatus {
        tokio::task::spawn_blocking(move || self.phone.wait()).await.expect("no panic").expect("an end")
    }
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn last<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().rfind(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name} in {events:#?}"))
}

/// What the server has of the phone's top-ups: how many at 11,00 €, an amount that nothing else of the demo uses.
async fn taps(house: &House) -> i64 {
    house.number("SELECT COUNT(*) FROM top_up WHERE amount_cents = 1100").await
}

async fn a_tap_cut_off_at_any_step_is_finished_once(house: &House) {
    for (before, step) in (0..).zip(OF_THE_TAP) {
        let pocket = Pocket::new(house);
        let killed = pocket.play("topup 1 11 online; quit", Some(step)).await;
        assert!(killed.status.code().is_none(), "{step}: not killed: {killed:?}");

        // Started again, it resumes by itself.
        let again = pocket.play("home; quit", None).await;
        assert!(again.status.success(), "{step}: {again:?}");
        assert_eq!(taps(house).await, before + 1, "{step}: exactly one more");
        let events = events(&again);
        let home = last(&events, "home");
        let mine: Vec<&Value> =
            home["top_ups"].as_array().expect("a list").iter().filter(|top_up| top_up["cents"] == 1_100).collect();
        assert_eq!(mine.len(), 1, "{step}: {home}");

        // And a third time there is nothing left to do.
        let once_more = pocket.play("resume; quit", None).await;
        assert!(once_more.status.success(), "{step}: {once_more:?}");
        assert_eq!(taps(house).await, before + 1, "{step}: still one");
        // The next phone's tap must find a free place.
        house.execute("UPDATE notice SET state = 'cancelled' WHERE amount_cents = 1100 AND state = 'open'").await;
    }
}

async fn news_cut_off_at_any_step_are_told_after_all(house: &House) {
    for step in OF_THE_NEWS {
        let pocket = Pocket::new(house);
        let mut phone = pocket.listen("topup 1 11 online; wait paid; quit", Some(step));
        let mut page = None;
        // The news that the tap was made may already have hit the step.
        while let (None, Some(event)) = (&page, phone.next().await) {
            page = event["checkout_url"].as_str().map(str::to_owned);
        }
        if page.is_none() {
            let resumed = pocket.play("home; quit", None).await;
            assert!(resumed.status.success(), "{step}: {resumed:?}");
        }
        let number = open_notice(house).await;
        let before = balance(house).await;
        assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");
        let ended = phone.end().await;
        assert!(ended.code().is_none(), "{step}: not killed: {ended:?}");

        let again = pocket.play("refresh; quit", None).await;
        assert!(again.status.success(), "{step}: {again:?}");
        let events = events(&again);
        let home = last(&events, "home");
        assert_eq!(home["wallets"][0]["cents"], before + 1_100, "{step}: {home}");
        assert!(
            home["top_ups"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|top_up| top_up["cents"] != 1_100 || top_up["state"] == "paid"),
            "{step}: {home}"
        );
    }
    assert_eq!(taps(house).await, 2, "one tap a phone");
}

async fn open_notice(house: &House) -> String {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let mine = home.payments.iter().find(|payment| payment.amount_cents == 1_100).expect("the tap");
    mine.notice.as_ref().expect("its notice").number.clone()
}

async fn balance(house: &House) -> i64 {
    let home = house.phone(MARIA).await.home().await.expect("home");
    home.children[0].wallets[0].balance_cents
}

async fn the_readmes_story(house: &House) {
    let pocket = Pocket::new(house);
    let mut phone = pocket.listen("topup 1 20 online; wait paid; quit", None);
    let mut told = Vec::new();
    while let Some(event) = phone.next().await {
        if event["event"] == "top_up"
            && let Some(url) = event["checkout_url"].as_str()
        {
            house.pay_page(url).await;
        }
        told.push(event);
    }
    assert!(phone.end().await.success());
    let moved = last(&told, "balance");
    assert_eq!((moved["before_cents"].as_i64(), moved["after_cents"].as_i64()), (Some(1_215), Some(3_215)));
    assert_eq!(moved["sentence"], "Saldo mensa di Giulia: 12,15 € -> 32,15 €");
}
