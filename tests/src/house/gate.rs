//! A gate on the way to another server: closed, it is as if that server were down; opened, as if it were back.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A gate, open at first. Dropping it closes it for good.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl Gate {
    /// A gate before the server at `url` (`http://host:port`).
    ///
    /// # Panics
    /// Where there is no port for it.
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, state) = watch::channel(true);
        let keeper = tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                tokio::spawn(pass(visitor, target.clone(), state.clone()));
            }
        });
        Self { address, open, keeper }
    }

    /// Where it stands.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets nobody through any more; whoever is inside is thrown out.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets visitors through again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn pass(mut visitor: TcpStream, target: String, mut open: watch::Receiver<bool>) {
    if !*open.borrow_and_update() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        // Either side hanging up ends it; there is nobody to tell.
        _ = copy_bidirectional(&mut visitor, &mut server) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
