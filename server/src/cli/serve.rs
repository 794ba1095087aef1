//! `borsellino serve`: the server of a municipality, or one node of many.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{asked_to_stop, log_to_stderr};
use crate::clock::Clock;
use crate::config::{Config, database_kind};
use crate::listener::{Callers, Certificates, Limits, Listener, Reload, Settings};
use crate::press::Press;
use crate::{Listeners, Parts, open, open_store, run};

pub(super) async fn serve(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::read(path)?;
    log_to_stderr(&config.log);
    let (asked, clock) = (asked_to_stop(), Clock::system());
    let reload = Reload { asked: asked_to_reload(), ..Reload::default() };
    let secret = config.secret()?;
    let checkout = config.checkout_client()?;
    let push = config.push(clock.now())?;
    let mailer = config.mailer(clock.clone())?;
    let identities = config.identities()?;
    let templates = config.templates()?;
    let public_certificates = certificates(config.public_tls(), &clock).await?;
    let node_certificates = certificates(config.node_tls(), &clock).await?;
    let public = listen(config.public.listen, "public.listen").await?;
    let node = listen(config.node.listen, "node.listen").await?;
    let public_url = match &config.public.url {
        Some(url) => url.clone(),
        None => format!("http://{}", public.local_addr()?),
    };
    let database = database_kind(&config.database.url)?;
    let store = open_store(&database, config.database.connections).await.context("the database")?;
    let parts = Parts { store, clock, secret, checkout, public_url };
    let (mut app, stop) = open(parts).await?;
    app.behind_proxy = config.public.tls_at_proxy;
    app.press = Press::new(templates);
    app.push = push.map(Arc::new);
    app.mailer = mailer.map(Arc::new);
    app.identities = identities.into();
    app.mail_keep_days = config.mail.as_ref().map_or(app.mail_keep_days, |mail| mail.keep_log_days.get());
    tracing::info!(
        public = %public.local_addr()?,
        node = %node.local_addr()?,
        database = app.store.engine_name(),
        creditors = app.directory.listing().creditors().len(),
        "serving"
    );
    let public = Listener {
        certificates: public_certificates,
        limits: Limits::new(config.public.max_connections.get()),
        ..Listener::in_clear("public", public, Callers::Anybody)
    };
    let node = Listener {
        certificates: node_certificates,
        limits: Limits::new(config.node.max_connections.get()),
        ..Listener::in_clear("node", node, config.node_callers())
    };
    let listeners = Listeners { public, node, reload, drain: Duration::from_secs(config.drain_seconds) };
    run(app, stop, listeners, asked).await?;
    Ok(ExitCode::SUCCESS)
}

async fn certificates(settings: Option<Settings>, clock: &Clock) -> anyhow::Result<Option<Certificates>> {
    Ok(match settings {
        Some(settings) => Some(Certificates::load(settings, clock.clone()).await?),
        None => None,
    })
}

/// Hears of every SIGHUP: certificates are to be read again at once. Without TLS it does nothing, and ends nothing.
fn asked_to_reload() -> watch::Receiver<()> {
    let (asked, heard) = watch::channel(());
    // Without it the files are still looked at.
    if let Ok(mut hangup) = signal(SignalKind::hangup()) {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                asked.send_replace(());
            }
        });
    }
    heard
}

async fn listen(address: std::net::SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("{setting} = {address} can't be listened on: choose another port or stop what uses it")
    })
}
