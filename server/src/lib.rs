//! The Borsellino server: use cases, and every edge that decodes a call, runs one and encodes its answer.
//!
//! [`open`] makes an [`App`] from a database and a secret, [`run`] serves it on two listeners until it is told to stop:
//! one for apps and browsers, one for the pagoPA Node.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod grpc;
pub mod jobs;
pub mod listener;
pub mod live;
pub mod mail;
pub mod notify;
pub mod portal;
pub mod press;
mod sentences;
pub mod soap;
pub mod usecases;
pub mod web;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use borsellino_pagopa::checkout::CheckoutClient;
use borsellino_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::auth::keys::Keys;
use crate::auth::password::Passwords;
use crate::clock::{Clock, random};
use crate::config::DatabaseKind;
use crate::listener::{Callers, Listener, Reload};
use crate::usecases::till::Till;
use crate::usecases::{App, Directory};

/// How often the directory of creditors is read again.
const DIRECTORY_EVERY: Duration = Duration::from_secs(10);

/// How long a stopping server waits for calls under way.
const GRACE: Duration = Duration::from_secs(10);

/// Opens (and migrates) the database that an address names.
///
/// # Errors
/// [`borsellino_store::StoreError`].
pub async fn open_store(kind: &DatabaseKind, connections: u32) -> Result<Store, borsellino_store::StoreError> {
    match kind {
        DatabaseKind::Sqlite(path) => Store::open_sqlite(path).await,
        DatabaseKind::Postgres(url) => Store::connect_postgres(url, connections).await,
    }
}

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Durable state.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// 32 bytes from outside the database.
    pub secret: zeroize::Zeroizing<[u8; 32]>,
    /// pagoPA Checkout, if any.
    pub checkout: Option<CheckoutClient>,
    /// Where browsers come back to.
    pub public_url: String,
}

/// Puts a server together. The sender is for [`run`], which says through it that the server is stopping.
///
/// # Errors
/// Where a key can't be derived, or the directory not be read.
pub async fn open(parts: Parts) -> anyhow::Result<(App, watch::Sender<bool>)> {
    let (stop, stopping) = watch::channel(false);
    let salt = random()?;
    let passwords = tokio::task::spawn_blocking(move || Passwords::new(salt)).await??;
    let app = App {
        keys: Arc::new(Keys::derive(&parts.secret)?),
        passwords: Arc::new(passwords),
        till: Till::open(&parts.store),
        store: parts.store,
        clock: parts.clock,
        live: live::Live::default(),
        directory: Directory::default(),
        checkout: parts.checkout.map(Arc::new),
        public_url: parts.public_url.trim_end_matches('/').into(),
        behind_proxy: false,
        seal_every: jobs::seal::EVERY,
        press: press::Press::new(borsellino_documents::Templates::default()),
        push: None,
        mailer: None,
        identities: Arc::new([]),
        mail_every: jobs::mail::EVERY,
        mail_keep_days: jobs::mail::KEEP_DAYS,
        stopping,
        draining: Arc::default(),
    };
    app.directory.reload(&app.store).await?;
    Ok((app, stop))
}

/// The two ports.
#[derive(Debug)]
pub struct Listeners {
    /// Apps and browsers.
    pub public: Listener,
    /// The pagoPA Node.
    pub node: Listener,
    /// When their certificates are read again.
    pub reload: Reload,
    /// How long a server that was asked to stop goes on, saying that it is not ready, so that what spreads the load has
    /// time to look elsewhere.
    pub drain: Duration,
}

impl Listeners {
    /// Both in clear, for one machine: the Node's port is reached from nowhere else.
    pub fn in_clear(public: TcpListener, node: TcpListener) -> Self {
        Self {
            public: Listener::in_clear("public", public, Callers::Anybody),
            node: Listener::in_clear("node", node, Callers::These(Vec::new())),
            reload: Reload::default(),
            drain: Duration::ZERO,
        }
    }
}

/// Serves until `shutdown` resolves, then lets what is under way finish (ten seconds at most) and closes the database.
///
/// # Errors
/// Where a listener fails.
pub async fn run(
    app: App,
    stop: watch::Sender<bool>,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let draining = Arc::clone(&app.draining);
    let public = web::router(app.clone()).merge(portal::router(app.clone())).merge(grpc::router(app.clone()).await?);
    let node = soap::router(app.clone());
    let directory = tokio::spawn(keep_directory(app.clone()));
    let looking = tokio::spawn(app.live.clone().look_around(app.store.clone()));
    let seals = tokio::spawn(jobs::seal::run(app.clone()));
    let pushes = tokio::spawn(jobs::push::run(app.clone()));
    let letters = tokio::spawn(jobs::mail::run(app.clone()));
    let sweeping = tokio::spawn(jobs::sweep::run(app.clone()));
    let Listeners { public: public_port, node: node_port, reload, drain } = listeners;
    let public = tokio::spawn(public_port.serve(public, reload.clone(), app.stopping.clone()));
    let node = tokio::spawn(node_port.serve(node, reload, app.stopping.clone()));

    shutdown.await;
    if !drain.is_zero() {
        tracing::info!(seconds = drain.as_secs(), "not ready any more, still answering");
        draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(drain).await;
    }
    tracing::info!("stopping");
    // Streams end, probes say "not ready", listeners take no more calls.
    let _ = stop.send(true);
    let finished = async { (public.await, node.await, seals.await, pushes.await, letters.await, sweeping.await) };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!("some calls did not finish in time");
    }
    directory.abort();
    looking.abort();
    if tokio::time::timeout(GRACE, app.store.close()).await.is_err() {
        tracing::warn!("the database did not let go in time");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn keep_directory(app: App) {
    loop {
        tokio::time::sleep(DIRECTORY_EVERY).await;
        if let Err(error) = app.directory.reload(&app.store).await {
            tracing::warn!(%error, "the directory could not be read");
        }
    }
}
