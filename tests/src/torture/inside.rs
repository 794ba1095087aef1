//! The server within this process, where a disaster needs its clock or its store.

use borsellino_server::clock::Clock;
use borsellino_server::config::parse_secret;
use borsellino_server::{Listeners, Parts, open, run};
use borsellino_store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::program::SECRET;

/// A running server.
#[derive(Debug)]
pub(super) struct Inside {
    address: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Inside {
    /// Serves a store by a clock.
    ///
    /// # Errors
    /// Where it can't.
    pub(super) async fn start(store: Store, clock: Clock) -> anyhow::Result<Self> {
        let public = TcpListener::bind(("127.0.0.1", 0)).await?;
        let node = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = node.local_addr()?.to_string();
        let public_url = format!("http://{}", public.local_addr()?);
        let secret = parse_secret(SECRET)?;
        let (app, stopping) = open(Parts { store, clock, secret, checkout: None, public_url }).await?;
        let (stop, asked) = oneshot::channel::<()>();
        let served = tokio::spawn(run(app, stopping, Listeners::in_clear(public, node), async move {
            drop(asked.await);
        }));
        Ok(Self { address, stop, served })
    }

    /// Where the Node calls it.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// Where it does not end well.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.served.await?
    }
}
