//! One connection: TLS where it is asked for, then HTTP, watched by a clock that ends what hyper lets go on for ever.
//!
//! hyper bounds the headers of HTTP/1 by the same time as the pause between two requests, and neither the wait for a
//! first byte nor an HTTP/2 connection on which nothing happens. So the [`Pulse`] of each connection is felt here: a
//! request that begins, a piece of an answer that goes out, the first byte of a head.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{Limits, Seldom, stopped};

/// What one HTTP/2 request may send before it is read.
const STREAM_WINDOW: u32 = 64 << 10;

/// What all requests of an HTTP/2 connection together may send before they are read.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Everything that a connection needs before anybody has connected.
#[derive(Clone)]
pub(super) struct Connection {
    name: &'static str,
    limits: Limits,
    http: Arc<Builder<TokioExecutor>>,
    router: Router,
    stopping: watch::Receiver<bool>,
    peer: SocketAddr,
    told: Arc<Mutex<Seldom>>,
}

impl Connection {
    pub(super) fn prepare(name: &'static str, limits: Limits, router: Router, stopping: watch::Receiver<bool>) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            // The pulse sees to it; hyper's would also end a quiet connection of the Node after it.
            .header_read_timeout(None)
            .max_buf_size(limits.header_bytes as usize);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(limits.ping_every)
            .keep_alive_timeout(limits.ping_answer);
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { name, limits, http: Arc::new(http), router, stopping, peer: nobody, told: Arc::default() }
    }

    /// For somebody who has connected.
    pub(super) fn on(&self, peer: SocketAddr) -> Self {
        Self { peer, ..self.clone() }
    }

    /// Lives as long as the connection does.
    pub(super) async fn attend(mut self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let Some(tls) = tls else { return self.speak(stream).await };
        let handshake = timeout(self.limits.handshake, TlsAcceptor::from(tls).accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = stopped(&mut self.stopping) => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => {
                if self.told.lock().unwrap_or_else(PoisonError::into_inner).is_due(Instant::now()) {
                    tracing::info!(listener = self.name, %error, "a caller was refused by TLS");
                }
            }
            Err(_) => tracing::debug!(listener = self.name, "a TLS handshake took too long"),
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { name, limits, http, router, mut stopping, peer, .. } = self;
        let pulse = Arc::new(Pulse::new(Instant::now()));
        let io = TokioIo::new(Felt { stream, pulse: Arc::clone(&pulse) });
        let felt = Arc::clone(&pulse);
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = Busy::begin(Arc::clone(&felt), request.version());
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answer.await?.map(|body| Moving { body, busy })) }
        });
        let mut http = pin!(http.serve_connection(io, service));
        let mut clock = pin!(sleep(limits.header));
        let (mut stopped_once, mut lingering) = (false, false);
        loop {
            tokio::select! {
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(listener = name, %error, "a connection broke");
                    }
                    return;
                }
                () = stopped(&mut stopping), if !stopped_once => {
                    stopped_once = true;
                    http.as_mut().graceful_shutdown();
                    clock.as_mut().reset(Instant::now() + limits.linger);
                }
                () = clock.as_mut() => {
                    let now = Instant::now();
                    match pulse.at(now, &limits) {
                        // Half a head is nothing that a stopping server has to wait for.
                        _ if stopped_once && pulse.rests() => return,
                        State::Alive(until) => {
                            lingering = false;
                            // Soon enough to see a head that begins in between.
                            let look = if stopped_once { limits.linger } else { limits.header };
                            clock.as_mut().reset(until.min(now + look));
                        }
                        State::Quiet if !lingering => {
                            lingering = true;
                            http.as_mut().graceful_shutdown();
                            clock.as_mut().reset(now + limits.linger);
                        }
                        State::Quiet => return,
                        State::Stuck => {
                            tracing::debug!(listener = name, "a request did not come in time");
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// What is known of a connection's life. Times are milliseconds since it began.
#[derive(Debug)]
struct Pulse {
    begun: Instant,
    /// When a request began or ended last, or a piece of an answer went out.
    moved: AtomicU64,
    /// When the first byte after the last answer came, plus one; 0 for none. Means something on HTTP/1 only, where it is
    /// the first byte of the next request's head.
    head: AtomicU64,
    under_way: AtomicU32,
    requested: AtomicBool,
    http2: AtomicBool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Until then, if nothing happens.
    Alive(Instant),
    /// Nothing has moved for too long.
    Quiet,
    /// A request has begun and does not arrive, or none has come at all.
    Stuck,
}

impl Pulse {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            moved: AtomicU64::new(0),
            head: AtomicU64::new(0),
            under_way: AtomicU32::new(0),
            requested: AtomicBool::new(false),
            http2: AtomicBool::new(false),
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, now: Instant, limits: &Limits) -> State {
        let head = self.head.load(Relaxed);
        let (until, overdue) = if !self.rests() {
            (self.after(self.moved.load(Relaxed), limits.idle), State::Quiet)
        } else if !self.requested.load(Relaxed) {
            (self.after(0, limits.header), State::Stuck)
        } else if head > 0 && !self.http2.load(Relaxed) {
            (self.after(head.saturating_sub(1), limits.header), State::Stuck)
        } else {
            (self.after(self.moved.load(Relaxed), limits.idle), State::Quiet)
        };
        if until > now { State::Alive(until) } else { overdue }
    }

    fn after(&self, millis: u64, limit: Duration) -> Instant {
        self.begun + Duration::from_millis(millis) + limit
    }

    /// Whether no request is under way.
    fn rests(&self) -> bool {
        self.under_way.load(Relaxed) == 0
    }

    fn begins(&self, version: Version, now: Instant) {
        self.under_way.fetch_add(1, Relaxed);
        self.http2.store(version == Version::HTTP_2, Relaxed);
        self.requested.store(true, Relaxed);
        self.head.store(0, Relaxed);
        self.moves(now);
    }

    fn moves(&self, now: Instant) {
        self.moved.store(self.millis(now), Relaxed);
    }

    fn ends(&self, now: Instant) {
        self.moves(now);
        self.under_way.fetch_sub(1, Relaxed);
    }

    fn reads(&self, now: Instant) {
        if self.rests() && self.head.load(Relaxed) == 0 {
            self.head.store(self.millis(now).saturating_add(1), Relaxed);
        }
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
struct Busy(Arc<Pulse>);

impl Busy {
    fn begin(pulse: Arc<Pulse>, version: Version) -> Self {
        pulse.begins(version, Instant::now());
        Self(pulse)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ends(Instant::now());
    }
}

/// The body of an answer, felt as it goes out: hyper asks for a piece only when the peer takes it.
struct Moving {
    body: Body,
    busy: Busy,
}

impl HttpBody for Moving {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.busy.0.moves(Instant::now());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The bytes of a connection, felt as they arrive.
struct Felt<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Felt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pulse.reads(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Felt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header 10 s, idle 120 s; what happens is told with its second.
    #[test]
    fn a_connection_is_judged_by_what_moves_on_it() {
        let limits = Limits::new(1);
        let begun = Instant::now();
        let second = |seconds| begun + Duration::from_secs(seconds);
        let pulse = Pulse::new(begun);
        let alive_until = |now, until| assert_eq!(pulse.at(second(now), &limits), State::Alive(second(until)), "{now}");

        alive_until(9, 10);
        pulse.reads(second(9));
        alive_until(9, 10);
        assert_eq!(pulse.at(second(10), &limits), State::Stuck, "a first byte is no request");

        pulse.begins(Version::HTTP_11, second(9));
        alive_until(128, 129);
        assert_eq!(pulse.at(second(129), &limits), State::Quiet, "nobody takes the answer");
        pulse.moves(second(128));
        pulse.reads(second(130));
        pulse.ends(second(131));
        alive_until(250, 251);
        assert_eq!(pulse.at(second(251), &limits), State::Quiet, "and a body's bytes were no head");
        pulse.reads(second(240));
        pulse.reads(second(249));
        alive_until(249, 250);
        assert_eq!(pulse.at(second(250), &limits), State::Stuck, "a head that does not end");

        pulse.begins(Version::HTTP_2, second(250));
        pulse.ends(second(251));
        pulse.reads(second(252));
        alive_until(370, 371);
        assert_eq!(pulse.at(second(371), &limits), State::Quiet, "on HTTP/2 bytes may be pings");
    }
}
