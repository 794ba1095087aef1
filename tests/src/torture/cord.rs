//! A cord between the server and its PostgreSQL: TCP on one end, the Unix socket on the other; and it can be cut, with
//! everybody's bytes in the middle.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A cord; dropped, it lies on the floor.
#[derive(Debug)]
pub(super) struct Cord {
    address: SocketAddr,
    cuts: watch::Sender<u64>,
    keeper: JoinHandle<()>,
}

impl Cord {
    /// A cord to the server whose socket lies in `directory`.
    ///
    /// # Errors
    /// Where there is no port for it.
    pub(super) async fn to(directory: &Path) -> anyhow::Result<Self> {
        let socket = directory.join(".s.PGSQL.5432");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (cuts, cut) = watch::channel(0);
        let keeper = tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                tokio::spawn(pass(visitor, socket.clone(), cut.clone()));
            }
        });
        Ok(Self { address, cuts, keeper })
    }

    /// The database called `name` at its other end.
    pub(super) fn url(&self, name: &str) -> String {
        format!("postgres://postgres@{}/{name}?sslmode=disable", self.address)
    }

    /// Cuts every connection; new ones are let through at once.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Cord {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn pass(mut visitor: TcpStream, socket: PathBuf, mut cuts: watch::Receiver<u64>) {
    cuts.borrow_and_update();
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    tokio::select! {
        // Either side hanging up ends it; there is nobody to tell.
        _ = copy_bidirectional(&mut visitor, &mut server) => {}
        _ = cuts.changed() => {}
    }
}
