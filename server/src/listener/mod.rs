//! A port that stands up to strangers: who may connect is settled before anything is read as HTTP, and everything that
//! somebody else decides about (how many connections, how long, how large, how many at once) has an end.
//!
//! `axum::serve` accepts without bounds and has no TLS, so the loop is our own; HTTP itself is hyper's.

mod certificates;
mod client;
mod connection;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

pub use self::certificates::{Certificates, Clients, Settings, TlsError, Untimely};
use self::connection::Connection;

/// How often the files of certificates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long nothing is accepted after the system refused to (no file descriptor left, mostly): trying again at once
/// would only burn the processor.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the same trouble is logged.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many connections a port has where nobody says otherwise. (Unwrapped while compiling: a zero would not build.)
pub const DEFAULT_CONNECTIONS: NonZeroU32 = NonZeroU32::new(4_096).unwrap();

/// What a stranger can have of a port at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the system's queue until one goes.
    pub connections: u32,
    /// From a connection to the end of its TLS handshake.
    pub handshake: Duration,
    /// From a connection to its first request, and from a request's first byte to the end of its headers.
    pub header: Duration,
    /// A connection on which no request begins and no answer moves for so long is closed.
    pub idle: Duration,
    /// How long a connection that was asked to end may take.
    pub linger: Duration,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// An HTTP/2 peer is asked this often whether it is still there,
    pub ping_every: Duration,
    /// and has this long to answer.
    pub ping_answer: Duration,
    /// All headers of a request together; hyper asks for 8 KiB at least.
    pub header_bytes: u32,
}

impl Limits {
    /// What ports have, with this many connections.
    pub const fn new(connections: u32) -> Self {
        Self {
            connections,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            linger: Duration::from_secs(5),
            streams: 200,
            ping_every: Duration::from_secs(20),
            ping_answer: Duration::from_secs(20),
            header_bytes: 32 << 10,
        }
    }
}

/// From where a port may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// From anywhere.
    Anybody,
    /// From this machine and these addresses.
    These(Vec<IpAddr>),
}

impl Callers {
    fn admits(&self, peer: SocketAddr) -> bool {
        match self {
            Self::Anybody => true,
            Self::These(others) => {
                // On a dual-stack listener an IPv4 peer arrives as an IPv6 one.
                let peer = peer.ip().to_canonical();
                peer.is_loopback() || others.iter().any(|other| other.to_canonical() == peer)
            }
        }
    }
}

/// When certificates are read again.
#[derive(Clone, Debug)]
pub struct Reload {
    /// So often their files are looked at.
    pub every: Duration,
    /// And whenever this says so.
    pub asked: watch::Receiver<()>,
}

impl Default for Reload {
    fn default() -> Self {
        Self { every: LOOK_EVERY, asked: watch::channel(()).1 }
    }
}

/// A port.
#[derive(Debug)]
pub struct Listener {
    /// What logs call it.
    pub name: &'static str,
    /// Where it listens.
    pub socket: TcpListener,
    /// From where it may be reached.
    pub callers: Callers,
    /// Its side of TLS; in clear without.
    pub certificates: Option<Certificates>,
    /// Its bounds.
    pub limits: Limits,
}

impl Listener {
    /// Without TLS, with the usual bounds.
    pub fn in_clear(name: &'static str, socket: TcpListener, callers: Callers) -> Self {
        Self { name, socket, callers, certificates: None, limits: Limits::new(DEFAULT_CONNECTIONS.get()) }
    }

    /// Serves `router` until `stopping` says true, then lets what is under way finish. Calls get the peer's address as
    /// [`axum::extract::ConnectInfo`].
    pub(crate) async fn serve(self, router: Router, reload: Reload, mut stopping: watch::Receiver<bool>) {
        let Self { name, socket, callers, certificates, limits } = self;
        let offered = certificates.as_ref().map(Certificates::offered);
        let keeper = certificates.map(|certificates| tokio::spawn(certificates.keep(reload)));
        let places = Arc::new(Semaphore::new(limits.connections as usize));
        let mut full = Seldom::default();
        let mut refused = Seldom::default();
        let mut stranger = Seldom::default();
        let ready = Connection::prepare(name, limits, router, stopping.clone());
        loop {
            if places.available_permits() == 0 && full.is_due(Instant::now()) {
                tracing::warn!(listener = name, limits.connections, "no place for another connection, it has to wait");
            }
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stopped(&mut stopping) => break,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stopped(&mut stopping) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_the_peers(&error) => continue,
                Err(error) => {
                    if refused.is_due(Instant::now()) {
                        tracing::error!(listener = name, %error, "no connection could be accepted");
                    }
                    tokio::select! {
                        () = sleep(PAUSE) => continue,
                        () = stopped(&mut stopping) => break,
                    }
                }
            };
            if !callers.admits(peer) {
                if stranger.is_due(Instant::now()) {
                    tracing::warn!(listener = name, "a stranger called the Node's port");
                }
                continue;
            }
            no_delay(&stream);
            // What is offered now is what this connection keeps, whatever is loaded later.
            let tls = offered.as_ref().map(|offered| Arc::clone(&offered.borrow()));
            let connection = ready.on(peer);
            tokio::spawn(async move {
                connection.attend(stream, tls).await;
                drop(place);
            });
        }
        drop(socket);
        if let Some(keeper) = keeper {
            keeper.abort();
        }
        // When every place is free, every connection has ended.
        let _ = places.acquire_many(limits.connections).await;
    }
}

/// Small answers must not wait for more; a failure costs only time.
fn no_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// Errors of the one connection that was about to be accepted, not of the port.
fn is_the_peers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody can say "stop" any more, which says it too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Lets the same thing be told once a while: strangers must not fill the log.
#[derive(Debug, Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.duration_since(last) >= TELL_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_the_named_addresses_are_admitted() {
        let here = Callers::These(vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]);
        let admits = |from: &Callers, peer: &str| from.admits(SocketAddr::new(peer.parse().unwrap(), 9));
        for known in
            ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"]
        {
            assert!(admits(&here, known), "{known}");
        }
        for stranger in ["192.0.2.8", "10.0.0.1", "::ffff:192.0.2.8", "2001:db8::8", "0.0.0.0"] {
            assert!(!admits(&here, stranger), "{stranger}");
            assert!(admits(&Callers::Anybody, stranger), "{stranger}");
        }
    }

    #[test]
    fn the_same_trouble_is_told_once_a_minute() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        assert!(seldom.is_due(now));
        assert!(!seldom.is_due(now + TELL_EVERY / 2));
        assert!(seldom.is_due(now + TELL_EVERY));
        assert!(!seldom.is_due(now + TELL_EVERY));
    }
}
