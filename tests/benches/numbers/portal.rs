//! The portal's numbers: its home page beside Home over gRPC, what a look-up without signing in tells by its time, what live pages
//! take of memory, and how soon a slow phone shows something.

mod home;
mod live;
mod lookup;
mod phone;

use std::net::IpAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) use self::live::MOST_PAGES;
use crate::Sizes;
use crate::load::read_answer;

/// Runs the one of this name.
pub(crate) async fn run(name: &str, sizes: Sizes) -> anyhow::Result<()> {
    match name {
        "portal-home" => {
            home::sqlite(sizes).await?;
            home::postgres(sizes).await
        }
        "portal-lookup" => {
            lookup::sqlite(sizes).await?;
            lookup::postgres(sizes).await
        }
        "portal-live" => live::run(sizes).await,
        _ => phone::run(sizes).await,
    }
}

/// A browser's connection, kept open. By hand, so that it costs the machine which it shares with the server little.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// Where things are in a [`Line`]'s last answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: u16,
    body: usize,
}

impl Line {
    async fn open(address: impl tokio::net::ToSocketAddrs) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(32 << 10) })
    }

    /// Sends a request and reads its answer whole.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        let body = read_answer(&mut self.stream, &mut self.answer).await?;
        Ok(Answer { status: status(&self.answer)?, body })
    }

    /// Sends a request whose answer has no end; answers what came with its head.
    async fn follow(mut self, request: &[u8]) -> anyhow::Result<(TcpStream, Vec<u8>)> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let body = loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the server hung up");
            if let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(self.answer.get(..body).unwrap_or_default()).into_owned();
        let stream = status(&self.answer)? == 200 && head.contains("text/event-stream");
        ensure!(stream, "no stream: {head}");
        let rest = self.answer.split_off(body);
        Ok((self.stream, rest))
    }

    /// The last answer's body.
    fn text(&self, answer: Answer) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.answer.get(answer.body..).unwrap_or_default())
    }

    /// The last answer's head.
    fn head(&self, answer: Answer) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.answer.get(..answer.body).unwrap_or_default())
    }
}

fn status(answer: &[u8]) -> anyhow::Result<u16> {
    let digits = answer.get(9..12).context("no status")?;
    Ok(std::str::from_utf8(digits)?.parse()?)
}

/// A request for a page, by whoever this cookie lets in.
fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: portal\r\nAccept-Language: it\r\nCookie: borsellino={cookie}\r\n\r\n")
        .into_bytes()
}

/// A form as a page of ours sends it, from an address.
fn post(path: &str, fields: &[(&str, &str)], from: Option<IpAddr>) -> Vec<u8> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let from = from.map(|from| format!("X-Forwarded-For: {from}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: portal\r\nAccept-Language: it\r\nSec-Fetch-Site: same-origin\r\n{from}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
