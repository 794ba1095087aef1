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
pub mod live;
pub mod soap;
pub mod usecases;
pub mod web;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use borsellino_pagopa::checkout::CheckoutClient;
use borsellino_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::auth::keys::Keys;
use crate::auth::password::Passwords;
use crate::clock::{Clock, random};
use crate::config::DatabaseKind;
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
        stopping,
    };
    app.directory.reload(&app.store).await?;
    Ok((app, stop))
}

/// The two ports.
#[derive(Debug)]
pub struct Listeners {
    /// Apps and browsers.
    pub public: TcpListener,
    /// The pagoPA Node.
    pub node: TcpListener,
    /// Who may connect to the Node's port besides this machine itself.
    pub node_proxies: Vec<IpAddr>,
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
    let public = web::router(app.clone()).merge(grpc::router(app.clone()).await?);
    let allowed = Arc::new(listeners.node_proxies);
    let node = soap::router(app.clone()).layer(axum::middleware::from_fn(move |peer, request, next| {
        only_from(Arc::clone(&allowed), peer, request, next)
    }));
    let directory = tokio::spawn(keep_directory(app.clone()));
    let looking = tokio::spawn(app.live.clone().look_around(app.store.clone()));
    let seals = tokio::spawn(jobs::seal::run(app.clone()));
    let public = tokio::spawn(serve(listeners.public, public, app.stopping.clone()));
    let node = tokio::spawn(serve(listeners.node, node, app.stopping.clone()));

    shutdown.await;
    tracing::info!("stopping");
    // Streams end, probes say "not ready", listeners take no more calls.
    let _ = stop.send(true);
    let finished = async { (public.await, node.await, seals.await) };
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

async fn serve(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for more; a failure costs only time.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            // An error means that nobody can say "stop" any more, which says it too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        })
        .await
}

/// Whoever reaches the Node's port can post a receipt, so only this machine and the named proxies do.
async fn only_from(
    allowed: Arc<Vec<IpAddr>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    // On a dual-stack listener an IPv4 peer arrives as an IPv6 one.
    let peer = peer.ip().to_canonical();
    if peer.is_loopback() || allowed.contains(&peer) {
        return next.run(request).await;
    }
    tracing::warn!("a stranger called the Node's port");
    StatusCode::FORBIDDEN.into_response()
}

async fn keep_directory(app: App) {
    loop {
        tokio::time::sleep(DIRECTORY_EVERY).await;
        if let Err(error) = app.directory.reload(&app.store).await {
            tracing::warn!(%error, "the directory could not be read");
        }
    }
}
