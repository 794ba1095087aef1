//! A gate on the way to another server: closed, it is as if that server were down; opened, as if it were back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A gate, open at first. Dropping it closes it for good.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    snaps: Arc<AtomicBool>,
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
        let snaps = Arc::new(AtomicBool::new(false));
        let line = Arc::clone(&snaps);
        let keeper = tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                tokio::spawn(pass(visitor, target.clone(), state.clone(), Arc::clone(&line)));
            }
        });
        Self { address, open, snaps, keeper }
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

    /// The line of whoever says something next breaks at that, as one does that died unnoticed. Once.
    pub fn snap(&self) {
        self.snaps.store(true, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn pass(mut visitor: TcpStream, target: String, mut open: watch::Receiver<bool>, snaps: Arc<AtomicBool>) {
    if !*open.borrow_and_update() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        // Either side hanging up ends it; there is nobody to tell.
        let passed = tokio::select! {
            read = visitor.read(&mut said) => match read {
                Ok(count) if count > 0 && !snaps.swap(false, Ordering::SeqCst) => server.write_all(&said[..count]).await,
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(count) if count > 0 => visitor.write_all(&answered[..count]).await,
                _ => return,
            },
            () = async { drop(open.wait_for(|open| !open).await) } => return,
        };
        if passed.is_err() {
            return;
        }
    }
}
