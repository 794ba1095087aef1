//! The parent's stories in a real browser (`tests/portal/stories.mjs`), what everybody reads (`content.mjs`), a phone without a network
//! (`offline.mjs`) and states that no story comes by (`states.mjs`): Chromium of the size of a phone and of a desk, with scripts and
//! without. Pictures of every page lie in `target/portal` afterwards, for a person to look at.

use std::path::Path;
use std::process::Command;

use borsellino_domain::creditor::CreditorCode;
use borsellino_server::usecases::guardians::give_code;
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::questions::set_asks;
use borsellino_tests::house::{AMINA, House, MARIA, PASSWORD, TOWN};
use borsellino_tests::stores::Fresh;
use serde_json::json;
use tokio::sync::Mutex;

/// One browser at a time: each takes as much of the machine as a dozen of the other tests.
pub(super) static ONE: Mutex<()> = Mutex::const_new(());

async fn play(house: &House, script: &str, device: &str, scripts: &str) {
    let _alone = ONE.lock().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let engine = if house.fresh.file().is_some() { "sqlite" } else { "postgres" };
    let shots = root.join(format!("../target/portal/{script}-{engine}-{device}-scripts-{scripts}"));
    // A bill that nobody else of these stories pays.
    let home = house.phone(MARIA).await.home().await.expect("home");
    let notice = home.bills.last().and_then(|bill| bill.notice.clone()).expect("a bill");
    let mut code = String::new();
    if script == "states" {
        let act = || {
            let creditor = CreditorCode::from_digits(TOWN).expect("eleven digits");
            Act::new(creditor, house.app.now(), ("a story".to_owned(), "a test".to_owned())).expect("an act")
        };
        set_asks(&house.app.store, act(), true).await.expect("asked");
        code = give_code(&house.app.store, act(), MARIA.to_owned()).await.expect("a code").code.grouped();
    }
    let about = json!({
        "code": code,
        "notice": notice.number, "debtor": "BNCMRA85D52F205Y",
        "web": house.at.web, "sandbox": house.at.sandbox, "creditor": TOWN, "username": MARIA, "password": PASSWORD, "other": AMINA,
    });
    let mut node = Command::new("node");
    node.arg(root.join(format!("portal/{script}.mjs"))).env("PORTAL", about.to_string()).env("SHOTS", &shots);
    node.env("DEVICE", device).env("SCRIPTS", scripts);
    let output = tokio::task::spawn_blocking(move || node.output())
        .await
        .expect("a thread")
        .expect("Node.js, which tests/run installs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}, {device}, scripts {scripts}:\n{said}");
}

macro_rules! stories {
    ($($name:ident: $fresh:expr, $script:literal, $device:literal, $scripts:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let house = House::open($fresh.await.expect("a store")).await;
            play(&house, $script, $device, $scripts).await;
            house.close().await;
        }
    )*};
}

stories! {
    on_a_phone: Fresh::sqlite(), "stories", "phone", "yes";
    on_a_phone_without_scripts: Fresh::sqlite(), "stories", "phone", "no";
    at_a_desk: Fresh::sqlite(), "stories", "desktop", "yes";
    at_a_desk_without_scripts: Fresh::sqlite(), "stories", "desktop", "no";
    what_everybody_reads_on_a_phone: Fresh::sqlite(), "content", "phone", "yes";
    what_everybody_reads_on_a_phone_without_scripts: Fresh::sqlite(), "content", "phone", "no";
    what_everybody_reads_at_a_desk_without_scripts: Fresh::sqlite(), "content", "desktop", "no";
    states_on_a_phone: Fresh::sqlite(), "states", "phone", "yes";
    states_at_a_desk_without_scripts: Fresh::sqlite(), "states", "desktop", "no";
    on_a_phone_without_a_network: Fresh::sqlite(), "offline", "phone", "yes";
    what_everybody_reads_at_a_desk: Fresh::sqlite(), "content", "desktop", "yes";
    on_a_phone_with_postgresql: Fresh::postgres("portal"), "stories", "phone", "yes";
}
