//! Connections that can be lost on purpose: those of whoever calls the sandbox, and one of the Node's own.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections can be cut from inside, by the [`Switch`] that the handlers get.
#[derive(Debug)]
pub(super) struct Lines(pub(super) TcpListener);

/// How many bytes a connection may still answer; without a limit at first.
#[derive(Clone, Debug)]
pub(super) struct Switch(Arc<AtomicUsize>);

impl Switch {
    /// Lets so many bytes more through, then the connection breaks.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.0.store(bytes, Ordering::SeqCst);
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    switch: Switch,
}

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Line { stream, switch: Switch(Arc::new(AtomicUsize::new(usize::MAX))) }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().switch.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.switch.0.load(Ordering::SeqCst);
        if left == usize::MAX {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let some = bytes.get(..left).unwrap_or(bytes);
        let written = Pin::new(&mut self.stream).poll_write(cx, some);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.switch.cut_after(left.saturating_sub(*bytes));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Sends the head of a SOAP call and half of its body, then nothing more, and waits until the other side has hung up:
/// it has seen the cut by then.
///
/// # Errors
/// The connection's own.
pub(super) async fn half_a_call(endpoint: &str, action: &str, body: &str) -> io::Result<()> {
    let unusable = || io::Error::from(io::ErrorKind::InvalidInput);
    let url = reqwest::Url::parse(endpoint).map_err(|_| unusable())?;
    let host = url.host_str().ok_or_else(unusable)?;
    let port = url.port_or_known_default().ok_or_else(unusable)?;
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: text/xml; charset=UTF-8\r\nsoapaction: \"{action}\"\r\ncontent-length: {}\r\n\r\n",
        url.path(),
        body.len()
    );
    let half = body.as_bytes().get(..body.len() / 2).unwrap_or_default();
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(half).await?;
    stream.shutdown().await?;
    // What it may have to say about half a message is nobody's business; a reset is as good an end as any.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}
