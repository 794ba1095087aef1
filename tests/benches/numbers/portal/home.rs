//! The home page of the portal, held against the same guardian's Home over gRPC.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::{Line, get, post};
use crate::home::{Demo, IN_FLIGHT, Phone, hammer};
use crate::product::Awake;
use crate::report::{Limit, heading, judge, median, note, ratios};
use crate::{Sizes, durable};

/// On SQLite.
pub(crate) async fn sqlite(sizes: Sizes) -> anyhow::Result<()> {
    heading("The portal's home page, SQLite");
    compare(Demo::start(None).await?, sizes).await
}

/// On PostgreSQL.
pub(crate) async fn postgres(sizes: Sizes) -> anyhow::Result<()> {
    heading("The portal's home page, PostgreSQL");
    let server = durable()?;
    let url = server.database("portal").await;
    compare(Demo::start(Some(&url)).await?, sizes).await
}

/// A browser that is signed in, on a connection of its own.
#[derive(Clone, Debug)]
struct Browser {
    line: Arc<Mutex<Line>>,
    request: Arc<Vec<u8>>,
}

impl Browser {
    async fn home(&self) -> anyhow::Result<()> {
        let answer = self.line.lock().await.ask(&self.request).await?;
        ensure!(answer.status == 200, "the home page was answered with {}", answer.status);
        Ok(())
    }
}

/// The demo's portal: address, path, and the cookie of whoever signed in.
struct Portal {
    address: String,
    path: String,
    cookie: String,
    child: String,
}

impl Portal {
    async fn enter(demo: &Demo) -> anyhow::Result<Self> {
        let ready = &demo.ready;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("not in the demo's line");
        let address = text(&ready["web"])?.trim_start_matches("http://").to_owned();
        let path = format!("/comune/{}", text(&ready["creditor"]["fiscal_code"])?);
        let (username, password) = (text(&ready["guardian"]["username"])?, text(&ready["guardian"]["password"])?);
        let mut line = Line::open(&address).await?;
        let form = [("utente", &*username), ("password", &*password)];
        let answer = line.ask(&post(&format!("{path}/accesso"), &form, None)).await?;
        let head = line.head(answer);
        ensure!(answer.status == 303, "nobody is let in: {head}");
        let cookie = head.split("borsellino=").nth(1).and_then(|rest| rest.split(';').next()).context("no cookie")?;
        let child = text(&ready["wallets"][0]["child"])?;
        Ok(Self { cookie: cookie.to_owned(), address, path, child })
    }

    /// Once it is also read: somebody with children is at home.
    async fn browser(&self) -> anyhow::Result<Browser> {
        let mut line = Line::open(&self.address).await?;
        let request = get(&format!("{}/", self.path), &self.cookie);
        let answer = line.ask(&request).await?;
        let page = line.text(answer);
        let whole = page.contains("portal-child") && page.contains(&self.child) && page.trim_end().ends_with("</html>");
        ensure!(answer.status == 200 && whole, "nobody is at home: {page}");
        Ok(Browser { line: Arc::new(Mutex::new(line)), request: Arc::new(request) })
    }
}

async fn compare(demo: Demo, sizes: Sizes) -> anyhow::Result<()> {
    let portal = Portal::enter(&demo).await?;
    let awake = Awake::start();
    let (own, window) = (Handle::current(), Duration::from_secs(sizes.home_seconds));
    for in_flight in IN_FLIGHT {
        let (mut phones, mut browsers) = (Vec::new(), Vec::new());
        for _ in 0..in_flight {
            phones.push(demo.phone().await?);
            browsers.push(portal.browser().await?);
        }
        // Warm: connections, prepared statements.
        let brief = Duration::from_millis(500);
        hammer(&own, asking(&phones), brief).await?;
        hammer(&own, loading(&browsers), brief).await?;
        let (mut pages, mut homes) = (Vec::new(), Vec::new());
        for _ in 0..sizes.rounds {
            pages.push(hammer(&own, loading(&browsers), window).await?);
            homes.push(hammer(&own, asking(&phones), window).await?);
        }
        note(&format!("{in_flight} in flight: home pages/s"), format!("{:.0}", median(&pages)));
        note(&format!("{in_flight} in flight: Home over gRPC/s"), format!("{:.0}", median(&homes)));
        let what = format!("{in_flight} in flight: home page / Home over gRPC");
        judge(&what, &ratios(&pages, &homes), "x", Limit::AtLeast(0.5));
    }
    drop(awake);
    demo.stop().await
}

fn asking(
    phones: &[Phone],
) -> Vec<impl Fn() -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> + Send + 'static> {
    let ask = |phone: Phone| {
        move || -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
            let phone = phone.clone();
            Box::pin(async move { phone.home().await.map(drop) })
        }
    };
    phones.iter().cloned().map(ask).collect()
}

fn loading(
    browsers: &[Browser],
) -> Vec<impl Fn() -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> + Send + 'static> {
    let ask = |browser: Browser| {
        move || -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
            let browser = browser.clone();
            Box::pin(async move { browser.home().await })
        }
    };
    browsers.iter().cloned().map(ask).collect()
}
