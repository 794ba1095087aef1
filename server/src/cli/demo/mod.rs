//! `borsellino demo`: the whole house on one machine. An empty database is migrated and filled with invented families,
//! the server and a sandbox in pagoPA's place start, and the newcomer is told where to go.

mod content;
mod families;
mod seed;

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::language::Language;
use borsellino_pagopa::sandbox;
use borsellino_store::Store;
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{asked_to_stop, log_to_stderr};
use crate::clock::{Clock, random};
use crate::config::{DatabaseKind, Log, checkout_client, database_kind, parse_secret};
use crate::usecases::App;
use crate::{Listeners, Parts, open, open_store, run, soap};
use families::{ACTIVATION_CODES, CREDITORS, PASSWORD, USERNAME};

/// The key between the demo's server and its sandbox: both live in this process, on loopback.
const SANDBOX_KEY: &str = "sandbox";

/// What an hour of pagoPA's redeliveries takes here.
const SANDBOX_HOUR: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Keep the data in this folder between runs (by default a temporary one, gone at the end).
    #[arg(long)]
    data: Option<PathBuf>,
    /// Use this database instead of a file in the folder: postgres://...
    #[arg(long)]
    database: Option<String>,
    /// The port of apps and browsers; 0 for any.
    #[arg(long, default_value_t = 8480)]
    port: u16,
    /// The port the pagoPA Node calls; 0 for any.
    #[arg(long, default_value_t = 8481)]
    node_port: u16,
    /// The port of the sandbox; 0 for any.
    #[arg(long, default_value_t = 8482)]
    sandbox_port: u16,
    /// Say where everything is in one line of JSON once ready.
    #[arg(long)]
    json: bool,
}

/// The database of a demo's folder.
pub(super) fn database_in(data: &Path) -> DatabaseKind {
    DatabaseKind::Sqlite(data.join("borsellino.sqlite"))
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Apps and browsers.
    pub web: String,
    /// The whole SOAP endpoint that the Node calls.
    pub node: String,
    /// The sandbox.
    pub sandbox: String,
}

/// A demo's three ports.
#[derive(Debug)]
pub struct Ports {
    /// Apps and browsers.
    pub public: TcpListener,
    /// The pagoPA Node.
    pub node: TcpListener,
    /// The sandbox.
    pub sandbox: TcpListener,
}

/// A server and its sandbox, filled with the invented families and ready to serve.
#[derive(Debug)]
pub struct House {
    /// The server.
    pub app: App,
    /// Where everything is.
    pub addresses: Addresses,
    /// How the sandbox will behave; tests scale its times.
    pub sandbox: sandbox::Config,
    stop: watch::Sender<bool>,
    ports: Ports,
}

/// Opens the house on a migrated database; an empty one is filled. Tests bring their own clock.
///
/// # Errors
/// Where a port has no address, or the database fails.
pub async fn open_house(
    store: Store,
    clock: Clock,
    secret: Zeroizing<[u8; 32]>,
    ports: Ports,
) -> anyhow::Result<House> {
    let addresses = Addresses {
        web: format!("http://{}", ports.public.local_addr()?),
        node: format!("http://{}{}", ports.node.local_addr()?, soap::PATH),
        sandbox: format!("http://{}", ports.sandbox.local_addr()?),
    };
    let checkout = checkout_client(&format!("{}/checkout/ec/v2", addresses.sandbox), SANDBOX_KEY)?;
    let parts = Parts { store, clock, secret, checkout: Some(checkout), public_url: addresses.web.clone() };
    let (app, stop) = open(parts).await?;
    if app.directory.listing().creditors().is_empty() {
        seed::fill(&app).await.context("the invented families could not be written")?;
        app.directory.reload(&app.store).await?;
    }
    let sandbox = sandbox_config(&app, &addresses);
    Ok(House { app, addresses, sandbox, stop, ports })
}

impl House {
    /// Serves until `shutdown` resolves; the sandbox goes last.
    ///
    /// # Errors
    /// Where a listener fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let (stop_sandbox, sandbox_stopped) = tokio::sync::oneshot::channel::<()>();
        let until = async move { drop(sandbox_stopped.await) };
        let clock = sandbox_clock(self.app.clock.clone());
        let platform = tokio::spawn(sandbox::serve(self.ports.sandbox, self.sandbox, clock, until));
        let listeners = Listeners::in_clear(self.ports.public, self.ports.node);
        let served = run(self.app, self.stop, listeners, shutdown).await;
        drop(stop_sandbox);
        platform.await??;
        served
    }
}

pub(super) async fn demo(options: Options) -> anyhow::Result<ExitCode> {
    log_to_stderr(&Log {
        filter: if options.json { "warn" } else { "warn,borsellino_server=info" }.into(),
        json: false,
    });
    let temporary = if options.data.is_none() { Some(tempfile::tempdir()?) } else { None };
    let data = match (&options.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => anyhow::bail!("no folder for the data"),
    };
    std::fs::create_dir_all(&data).with_context(|| format!("the folder {} can't be made", data.display()))?;

    let ports = Ports {
        public: listen(options.port, "--port").await?,
        node: listen(options.node_port, "--node-port").await?,
        sandbox: listen(options.sandbox_port, "--sandbox-port").await?,
    };
    let database = match &options.database {
        Some(url) => database_kind(url)?,
        None => database_in(&data),
    };
    let store = open_store(&database, 16).await.with_context(|| format!("the database in {}", data.display()))?;
    let house = open_house(store, Clock::system(), secret_in(&data)?, ports).await?;
    let asked = asked_to_stop();
    announce(&house.app, &house.addresses, options.json, options.data.as_deref()).await?;
    house.serve(asked).await?;
    Ok(ExitCode::SUCCESS)
}

async fn listen(port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(("127.0.0.1", port)).await;
    bound.with_context(|| format!("port {port} is taken: choose another with {flag}, or {flag} 0 for any"))
}

/// The demo's secret lies beside its database, which no real server would do.
fn secret_in(data: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("secret");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(parse_secret(&text)?);
    }
    let secret = Zeroizing::new(random::<32>()?);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", HEXLOWER.encode(&*secret))?;
    Ok(secret)
}

/// The secret of a demo that has run in this folder.
pub(super) fn secret_of(data: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let path = data.join("secret");
    let text = std::fs::read_to_string(&path);
    let text = Zeroizing::new(text.with_context(|| format!("{} can't be read", path.display()))?);
    Ok(parse_secret(&text)?)
}

fn sandbox_config(app: &App, addresses: &Addresses) -> sandbox::Config {
    let listing = app.directory.listing();
    let creditors = listing.creditors().iter().map(|row| sandbox::Creditor {
        fiscal_code: row.fiscal_code.to_string(),
        name: row.name.clone(),
        broker: row.broker.to_string(),
        station: row.station.to_string(),
        endpoint: addresses.node.clone(),
        ibans: std::iter::once(row.iban.as_str().to_owned()).chain(row.postal_iban.clone()).collect(),
        v1: false,
    });
    let public_url = Some(addresses.sandbox.clone());
    sandbox::Config { public_url, hour: SANDBOX_HOUR, ..sandbox::Config::new(SANDBOX_KEY, creditors.collect()) }
}

fn sandbox_clock(clock: Clock) -> sandbox::Clock {
    Arc::new(move || jiff::Timestamp::from_millisecond(clock.now().get()).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// Tells the newcomer, or the program that started this, where to go.
async fn announce(app: &App, addresses: &Addresses, as_json: bool, data: Option<&Path>) -> anyhow::Result<()> {
    let listing = app.directory.listing();
    let (code, activation) = (CREDITORS[0].fiscal_code, ACTIVATION_CODES[0]);
    let creditor = listing.creditor(code).context("the data in this folder is not a demo's")?;
    let (key, now): (CreditorCode, _) = (creditor.fiscal_code, app.now());
    let (guardian, wallets, notices) = app
        .store
        .read(move |tx| {
            Box::pin(async move {
                let guardian = tx.guardian_by_username(&key, USERNAME).await?;
                let wallets = match &guardian {
                    Some(guardian) => tx.wallets_of_guardian(&key, guardian.id).await?,
                    None => Vec::new(),
                };
                Ok((guardian, wallets, tx.payable(&key, now, 20).await?))
            })
        })
        .await?;
    guardian.context("the data in this folder is not a demo's")?;
    let portal = format!("{}/comune/{}", addresses.web, creditor.fiscal_code);
    let mut out = std::io::stdout().lock();
    if as_json {
        let wallets = wallets.iter().map(|row| {
            json!({ "id": row.wallet.to_string(), "child": row.child, "service": row.service, "balance_cents": row.balance_cents })
        });
        let notices = notices.iter().map(|row| {
            json!({
                "number": row.number.as_str(),
                "debtor_fiscal_code": row.debtor_code,
                "amount_cents": row.amount_cents.cents(),
                "kind": if row.bill.is_some() { "bill" } else { "top_up" },
            })
        });
        let line = json!({
            "web": addresses.web,
            "portal": portal,
            "grpc": addresses.web,
            "node": addresses.node,
            "sandbox": addresses.sandbox,
            "activation_code": activation,
            "guardian": { "username": USERNAME, "password": PASSWORD },
            "creditor": {
                "fiscal_code": creditor.fiscal_code.as_str(),
                "broker": creditor.broker.as_str(),
                "station": creditor.station.as_str(),
                "cbill": creditor.cbill,
            },
            "wallets": wallets.collect::<Vec<_>>(),
            "notices": notices.collect::<Vec<_>>(),
        });
        writeln!(out, "{line}")?;
        out.flush()?;
        return Ok(());
    }
    writeln!(out, "\nBorsellino demo - {} (invented people, invented money)\n", creditor.name)?;
    writeln!(out, "  1. The parents' portal in a browser:  {portal}\n")?;
    writeln!(out, "     Or a phone in a second terminal:\n")?;
    writeln!(out, "       cargo run -p borsellino-core --example phone -- --server {}\n", addresses.web)?;
    writeln!(out, "     activation code  {activation}")?;
    writeln!(out, "     user name        {USERNAME}")?;
    writeln!(out, "     password         {PASSWORD}\n")?;
    for row in &wallets {
        let balance = borsellino_domain::money::Cents::new(row.balance_cents).text(Language::Italian);
        writeln!(out, "       {:<8} {:<20} {balance:>10}", row.child, row.service)?;
    }
    writeln!(
        out,
        "\n  2. Tap a top-up there; pay it on the pagoPA page of the sandbox (a browser); watch the phone.\n"
    )?;
    writeln!(out, "  3. Or pay a notice as at a tobacconist's: {}/psp\n", addresses.sandbox)?;
    for row in &notices {
        let what = if row.bill.is_some() { "bill" } else { "top-up" };
        let amount = row.amount_cents.as_cents().text(Language::Italian);
        writeln!(out, "       {}  {amount:>10}  {what}: {}", row.number.grouped(), row.reason)?;
    }
    writeln!(
        out,
        "\n     web      {}\n     sandbox  {}\n     node     {}",
        addresses.web, addresses.sandbox, addresses.node
    )?;
    if let Some(data) = data {
        writeln!(out, "     check the ledger:  borsellino ledger verify --data {}", data.display())?;
    }
    writeln!(out, "\n  Ctrl-C ends the demo.\n")?;
    Ok(())
}
