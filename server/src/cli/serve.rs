//! `borsellino serve`: the server of a municipality, or one node of many.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

use super::{asked_to_stop, log_to_stderr};
use crate::clock::Clock;
use crate::config::{Config, database_kind};
use crate::{Listeners, Parts, open, open_store, run};

pub(super) async fn serve(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::read(path)?;
    log_to_stderr(&config.log);
    let asked = asked_to_stop();
    let secret = config.secret()?;
    let checkout = config.checkout_client()?;
    let public = listen(config.public.listen, "public.listen").await?;
    let node = listen(config.node.listen, "node.listen").await?;
    let public_url = match &config.public.url {
        Some(url) => url.clone(),
        None => format!("http://{}", public.local_addr()?),
    };
    let database = database_kind(&config.database.url)?;
    let store = open_store(&database, config.database.connections).await.context("the database")?;
    let parts = Parts { store, clock: Clock::system(), secret, checkout, public_url };
    let (mut app, stop) = open(parts).await?;
    app.behind_proxy = config.public.tls_at_proxy;
    tracing::info!(
        public = %public.local_addr()?,
        node = %node.local_addr()?,
        database = app.store.engine_name(),
        creditors = app.directory.listing().creditors().len(),
        "serving"
    );
    let listeners = Listeners { public, node, node_proxies: config.node.trusted_proxies };
    run(app, stop, listeners, asked).await?;
    Ok(ExitCode::SUCCESS)
}

async fn listen(address: std::net::SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("{setting} = {address} can't be listened on: choose another port or stop what uses it")
    })
}
