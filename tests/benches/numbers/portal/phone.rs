//! The portal on a slow phone and a slow line, in Chromium (`tests/portal/speed.mjs`): when something is painted, whether it moves
//! afterwards, and what comes over the line.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::Sizes;
use crate::home::Demo;
use crate::report::{Limit, heading, judge};

/// Within this something is painted, in milliseconds.
const FIRST_PAINT: f64 = 1_000.0;

/// What the first page may weigh with all that it loads, and what one may after it, in KiB.
const MOST_KIB: (f64, f64) = (150.0, 40.0);

/// A browser takes longer now and then: fewer rounds say little.
const FEWEST_ROUNDS: u64 = 5;

pub(crate) async fn run(sizes: Sizes) -> anyhow::Result<()> {
    heading("The portal on a slow phone (360x740, CPU / 4) and a slow line (1.6 Mbit/s, 150 ms)");
    let demo = Demo::start(None).await?;
    let ready = &demo.ready;
    let notices = ready["notices"].as_array().context("no notices")?;
    let bill = notices.iter().rfind(|notice| notice["kind"] == "bill").context("no bill")?;
    let about = json!({
        "web": ready["web"], "sandbox": ready["sandbox"], "creditor": ready["creditor"]["fiscal_code"],
        "username": ready["guardian"]["username"], "password": ready["guardian"]["password"], "notice": bill["number"],
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("portal/speed.mjs");
    let rounds = sizes.rounds.max(FEWEST_ROUNDS).to_string();
    let output = Command::new("node")
        .arg(script)
        .env("PORTAL", about.to_string())
        .env("ROUNDS", rounds)
        .output()
        .context("Node.js, which tests/run installs")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    for (index, page) in seen["pages"].as_array().context("no pages")?.iter().enumerate() {
        let name = page["name"].as_str().context("no name")?;
        let rounds = page["rounds"].as_array().context("no rounds")?;
        let of = |what: &str| -> anyhow::Result<Vec<f64>> {
            rounds.iter().map(|round| round[what].as_f64().context("a number is missing")).collect()
        };
        judge(&format!("{name}: first paint"), &of("paint")?, " ms", Limit::AtMost(FIRST_PAINT));
        let shifts = of("shift")?;
        let worst = shifts.iter().copied().fold(0.0, f64::max);
        judge(&format!("{name}: what moves afterwards, at worst"), &[worst], "", Limit::AtMost(0.0));
        for moved in rounds.iter().filter_map(|round| round["moved"].as_array()).flatten() {
            println!("  (moved: {moved})");
        }
        let kib: Vec<f64> = of("bytes")?.into_iter().map(|bytes| bytes / 1_024.0).collect();
        let most = if index == 0 { MOST_KIB.0 } else { MOST_KIB.1 };
        judge(&format!("{name}: over the line"), &kib, " KiB", Limit::AtMost(most));
    }
    demo.stop().await
}
