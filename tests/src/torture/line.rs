//! The Node's end of the wire: HTTP/1.1 over kept connections, written by hand, so that what a call waits for is the
//! server and never a client's own pool.

use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::Soap;

/// An answer is a few hundred bytes; one of this size is none.
const LONGEST: usize = 64 * 1024;

/// Connections to one address that are open and idle.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Vec<TcpStream>>);

impl Lines {
    /// Sends a message and reads its answer, on an idle connection where there is one.
    ///
    /// # Errors
    /// Where the connection breaks before the answer is whole, or the answer is no HTTP.
    pub(super) async fn call(&self, address: &str, message: &str) -> anyhow::Result<Soap> {
        let mut line = match self.idle() {
            Some(line) => line,
            None => TcpStream::connect(address).await?,
        };
        line.set_nodelay(true)?;
        line.write_all(message.as_bytes()).await?;
        let (soap, kept) = read_answer(&mut line).await?;
        if kept {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
        Ok(soap)
    }

    /// One that the server has not closed, as far as is known.
    fn idle(&self) -> Option<TcpStream> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(line) = lines.pop() {
            if line.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                return Some(line);
            }
        }
        None
    }
}

/// The message as it goes over the wire.
pub(super) fn request(address: &str, action: &str, body: &str) -> String {
    format!(
        "POST /pagopa/node HTTP/1.1\r\nhost: {address}\r\ncontent-type: text/xml; charset=UTF-8\r\nsoapaction: \
        \"{action}\"\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The answer, and whether the connection may be used again.
async fn read_answer(line: &mut TcpStream) -> anyhow::Result<(Soap, bool)> {
    let mut bytes = Vec::with_capacity(1_024);
    let (mut head_ends, mut whole) = (0, usize::MAX);
    while bytes.len() < whole {
        ensure!(bytes.len() < LONGEST, "an answer without end");
        ensure!(line.read_buf(&mut bytes).await? > 0, "the server hung up");
        if head_ends == 0
            && let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
        {
            head_ends = at + 4;
            let head = std::str::from_utf8(&bytes[..at])?.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no length")?;
            whole = head_ends + length.trim().parse::<usize>()?;
        }
    }
    ensure!(bytes.len() == whole, "more than an answer");
    let head = std::str::from_utf8(&bytes[..head_ends])?;
    let Some(status) = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) else { bail!("no HTTP: {head}") };
    let kept = !head.to_ascii_lowercase().contains("\r\nconnection: close");
    let text = String::from_utf8(bytes[head_ends..].to_vec())?;
    Ok((Soap { status: status.parse()?, text }, kept))
}
