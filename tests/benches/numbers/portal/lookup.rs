//! What the time of a look-up without signing in tells: of a notice that does not exist, of one under another codice fiscale, and of one
//! that is held. Each try is a notice of its own, from an address of its own, so that none has to wait for those before it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::ensure;
use borsellino_store::Store;
use tempfile::TempDir;

use super::{Line, post};
use crate::product::{Awake, Serving};
use crate::report::{Limit, heading, judge, median, millis, note, quantile};
use crate::{Sizes, durable, town};

/// What the medians may differ by, in milliseconds.
const MOST_APART: f64 = 5.0;

/// Tries of each case before any counts.
const WARM_UP: u64 = 100;

/// Whom the town's notices name, and somebody else.
const DEBTOR: &str = "RSSMRA80A41H501X";
const SOMEBODY: &str = "VRDLGI75B12F205Z";

/// Where the numbers begin of which there is no notice.
const NONE: u64 = 5_000_000;

/// What somebody may have typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// There is no such notice.
    Unknown,
    /// It names somebody else.
    Wrong,
    /// They hold it.
    Right,
}

const CASES: [Case; 3] = [Case::Unknown, Case::Wrong, Case::Right];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such notice",
            Self::Wrong => "another codice fiscale",
            Self::Right => "both right",
        })
    }
}

impl Case {
    /// What is posted for try `k`: the path, the number, the code.
    fn form(self, k: u64) -> (String, String, &'static str) {
        // Of those that exist each case has its own.
        let (k, code) = match self {
            Self::Unknown => (NONE + k, DEBTOR),
            Self::Wrong => (2 * k, SOMEBODY),
            Self::Right => (2 * k + 1, DEBTOR),
        };
        (format!("/comune/{}/avvisi", town::creditor(k)), town::number(k), code)
    }

    fn is_answered_by(self, status: u16, page: &str) -> bool {
        match self {
            Self::Unknown | Self::Wrong => {
                status == 422 && page.contains("non corrispondono a nessun avviso di questo ente")
            }
            Self::Right => status == 200 && page.contains("M*** R***") && page.contains("180,00"),
        }
    }
}

/// On SQLite.
pub(crate) async fn sqlite(sizes: Sizes) -> anyhow::Result<()> {
    heading("A notice looked up without signing in, SQLite");
    let folder = TempDir::with_prefix_in("borsellino-bench-", "/var/tmp")?;
    let file = folder.path().join("town.sqlite");
    let store = Store::open_sqlite(&file).await?;
    fill(&store, sizes).await?;
    measure(&format!("sqlite:{}", file.display()), sizes).await
}

/// On PostgreSQL.
pub(crate) async fn postgres(sizes: Sizes) -> anyhow::Result<()> {
    heading("A notice looked up without signing in, PostgreSQL");
    let server = durable()?;
    let url = server.database("lookup").await;
    let store = Store::connect_postgres(&url, 2).await?;
    fill(&store, sizes).await?;
    measure(&url, sizes).await
}

async fn fill(store: &Store, sizes: Sizes) -> anyhow::Result<()> {
    town::build(store, 2 * (WARM_UP + sizes.rounds * sizes.tries)).await?;
    store.close().await;
    rustix::fs::sync();
    Ok(())
}

async fn measure(url: &str, sizes: Sizes) -> anyhow::Result<()> {
    let serving = Serving::behind_proxy(url)?;
    let awake = Awake::start();
    note("the seed of their order", sizes.seed);
    let mut chance = fastrand::Rng::with_seed(sizes.seed);
    let mut line = Line::open(serving.public).await?;
    let (mut next, mut address) = (0, 0);
    let mut lap = async |count: u64| {
        let mut tries: Vec<(Case, u64)> =
            CASES.into_iter().flat_map(|case| (0..count).map(move |k| (case, k))).collect();
        chance.shuffle(&mut tries);
        let mut times: [Vec<f64>; 3] = Default::default();
        for (case, k) in tries {
            address += 1;
            let from = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + address));
            let (path, number, code) = case.form(next + k);
            let request = post(&path, &[("codice", &number), ("fiscale", code)], Some(from));
            let begun = Instant::now();
            let answer = line.ask(&request).await?;
            let took = millis(begun.elapsed());
            let page = line.text(answer);
            ensure!(case.is_answered_by(answer.status, &page), "{case}: {} {page}", answer.status);
            for (_, its) in CASES.into_iter().zip(&mut times).filter(|(other, _)| *other == case) {
                its.push(took);
            }
        }
        next += count;
        anyhow::Ok(times)
    };
    lap(WARM_UP).await?;
    let (mut apart, mut right) = (Vec::new(), Vec::new());
    let mut all: [Vec<f64>; 3] = Default::default();
    for _ in 0..sizes.rounds {
        let times = lap(sizes.tries).await?;
        let [unknown, wrong, held] = times.each_ref().map(|its| median(its));
        apart.push((wrong - unknown).abs());
        right.push((held - unknown).abs());
        for (all, its) in all.iter_mut().zip(times) {
            all.extend(its);
        }
    }
    for (case, times) in CASES.into_iter().zip(&all) {
        let (low, middle, high) = (quantile(times, 0.25), median(times), quantile(times, 0.75));
        note(&format!("{case}: median, ms (quartiles)"), format!("{middle:.2} ({low:.2}..{high:.2})"));
    }
    let what = format!("medians of {} unknown and {} wrong, apart", sizes.tries, sizes.tries);
    judge(&what, &apart, " ms", Limit::AtMost(MOST_APART));
    note("medians of unknown and right, apart, ms", format!("{:.2}", median(&right)));
    drop((awake, serving));
    Ok(())
}
