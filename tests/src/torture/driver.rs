//! Plays the Node as pagoPA does: delivers each receipt until it is acknowledged, again after a SOAP Fault, a time-out or
//! a connection cut, never after a well-formed KO; asks questions in between; and holds every answer against the deadline.
//! It remembers what was acknowledged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::line::{Lines, request};
use super::tally::Tally;
use super::town::{Deed, Paper, STRICT_STATION, Source};
use crate::house::Soap;

/// The server promises an answer within 5 s; a busy machine may take a moment more to hand it over.
const IN_TIME: Duration = Duration::from_millis(6_500);

/// How long the Node waits for the answer to a receipt (SANP 3.12.0).
const NODE_WAITS: Duration = Duration::from_secs(15);

/// After the last disaster everything has to be acknowledged within this.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many complaints are kept: the first tell most.
const COMPLAINTS: usize = 20;

/// How many things the Node does at once.
pub(super) const IN_FLIGHT: usize = 24;

/// What came back.
enum Answer {
    Acknowledged,
    NotNow,
    Cut,
    /// Final, and wrong: why.
    Wrong(String),
}

/// The Node. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Driver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Lines,
    address: String,
    source: Source,
    seed: u64,
    stopping: AtomicBool,
    calls: AtomicU64,
    not_now: AtomicU64,
    cut: AtomicU64,
    redelivered: AtomicU64,
    late: AtomicU64,
    longest_micros: AtomicU64,
    /// Everything ever sent; true once acknowledged.
    sent: Mutex<Vec<(Paper, bool)>>,
    complaints: Mutex<Vec<String>>,
}

/// A running crowd of calls.
#[derive(Debug)]
pub(super) struct Crowd(Vec<JoinHandle<()>>);

impl Driver {
    /// Speaks to the Node's port at `address` (`127.0.0.1:1234`) of a town with as many notices.
    pub(super) fn new(address: String, notices: u64, seed: u64) -> Self {
        Self(Arc::new(Inner {
            lines: Lines::default(),
            address,
            source: Source::new(notices),
            seed,
            stopping: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            not_now: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            late: AtomicU64::new(0),
            longest_micros: AtomicU64::new(0),
            sent: Mutex::default(),
            complaints: Mutex::default(),
        }))
    }

    /// Begins to send, [`IN_FLIGHT`] at a time.
    pub(super) fn begin(&self) -> Crowd {
        let worker = |number| {
            let (driver, mut rng) = (self.clone(), self.rng(number));
            tokio::spawn(async move {
                while !driver.0.stopping.load(Ordering::Relaxed) {
                    driver.act(&mut rng).await;
                    tokio::time::sleep(Duration::from_millis(rng.u64(0..40))).await;
                }
            })
        };
        Crowd((0..IN_FLIGHT as u64).map(worker).collect())
    }

    /// Sends nothing new, and waits until all that was sent is acknowledged.
    ///
    /// # Errors
    /// Where a part of the crowd panicked.
    pub(super) async fn end(&self, crowd: Crowd) -> anyhow::Result<()> {
        self.0.stopping.store(true, Ordering::Relaxed);
        for worker in crowd.0 {
            worker.await?;
        }
        self.0.stopping.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Chance, seeded: another stream of it for each number.
    pub(super) fn rng(&self, number: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.0.seed.wrapping_mul(1_000_003).wrapping_add(number))
    }

    /// How many answers said "not now", or did not come whole.
    pub(super) fn hurt(&self) -> u64 {
        self.0.not_now.load(Ordering::Relaxed) + self.0.cut.load(Ordering::Relaxed)
    }

    /// What comes next, to its end.
    pub(super) async fn act(&self, rng: &mut fastrand::Rng) {
        match self.0.source.next(rng) {
            Deed::Deliver(papers, clients) => self.deliver(papers, clients, rng).await,
            Deed::Ask(action, message) => {
                if let Answer::Wrong(why) = self.ask(action, &message).await {
                    self.complain(why);
                }
            }
        }
    }

    /// Delivers papers at the same time, each from so many clients, until each client has it acknowledged.
    pub(super) async fn deliver(&self, papers: Vec<Paper>, clients: usize, rng: &mut fastrand::Rng) {
        let mut places = Vec::new();
        {
            let mut sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
            for paper in &papers {
                places.push(sent.len());
                sent.push((paper.clone(), false));
            }
        }
        let all = papers.iter().zip(&places).flat_map(|(paper, place)| (0..clients).map(move |_| (paper, *place)));
        let all: Vec<_> = all.map(|(paper, place)| self.until_acknowledged(paper, place, rng.fork())).collect();
        join_all(all).await;
    }

    async fn until_acknowledged(&self, paper: &Paper, place: usize, mut rng: fastrand::Rng) {
        let mut receipt = paper.receipt.clone();
        let mut stopped = None;
        loop {
            match self.send(&receipt.to.station, receipt.action(), &receipt.xml()).await {
                Answer::Acknowledged => {
                    self.0.sent.lock().unwrap_or_else(PoisonError::into_inner)[place].1 = true;
                    return;
                }
                Answer::Wrong(why) => return self.complain(format!("receipt {}: {why}", receipt.id)),
                Answer::NotNow | Answer::Cut => {}
            }
            // It is redelivered even where the crowd has been told to stop; only not for ever.
            if self.0.stopping.load(Ordering::Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                return self.complain(format!("receipt {} is not acknowledged", receipt.id));
            }
            self.0.redelivered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(rng.u64(10..120))).await;
            // The same receipt may come again in the other generation of the message.
            if rng.u8(0..10) == 0 {
                receipt.v1 = !receipt.v1;
            }
        }
    }

    /// A question: any answer of the contract will do, or none where the connection breaks.
    async fn ask(&self, action: &str, message: &str) -> Answer {
        let Some(soap) = self.call(action, message).await else { return Answer::Cut };
        match soap.ko() {
            _ if soap.is_ok() => Answer::Acknowledged,
            Some("PAA_SYSTEM_ERROR") => {
                self.0.not_now.fetch_add(1, Ordering::Relaxed);
                Answer::NotNow
            }
            Some("PAA_PAGAMENTO_SCONOSCIUTO" | "PAA_PAGAMENTO_DUPLICATO") => Answer::Acknowledged,
            _ => Answer::Wrong(format!("{action} was answered {soap:?}")),
        }
    }

    async fn send(&self, station: &str, action: &str, message: &str) -> Answer {
        let Some(soap) = self.call(action, message).await else { return Answer::Cut };
        if soap.is_ok() || (station == STRICT_STATION && soap.ko() == Some("PAA_RECEIPT_DUPLICATA")) {
            return Answer::Acknowledged;
        }
        if soap.is_fault() {
            self.0.not_now.fetch_add(1, Ordering::Relaxed);
            return Answer::NotNow;
        }
        Answer::Wrong(format!("it was answered {soap:?}"))
    }

    /// One message and its answer, held against the deadline; `None` where the connection breaks.
    async fn call(&self, action: &str, message: &str) -> Option<Soap> {
        let inner = &self.0;
        inner.calls.fetch_add(1, Ordering::Relaxed);
        let message = request(&inner.address, action, message);
        let begun = Instant::now();
        let answer = timeout(NODE_WAITS, inner.lines.call(&inner.address, &message)).await;
        let took = begun.elapsed();
        match answer {
            Ok(Err(_)) => {
                inner.cut.fetch_add(1, Ordering::Relaxed);
                None
            }
            Ok(Ok(soap)) => {
                self.measure(took, action);
                Some(soap)
            }
            Err(_) => {
                self.measure(took, action);
                inner.cut.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn measure(&self, took: Duration, action: &str) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.longest_micros.fetch_max(micros, Ordering::Relaxed);
        if took > IN_TIME {
            self.0.late.fetch_add(1, Ordering::Relaxed);
            self.complain(format!("{action} was answered after {took:?}"));
        }
    }

    /// Sends a part of a message, or all of it, and hangs up: at any byte of what is sent or of what comes back.
    pub(super) async fn hang_up(&self, paper: &Paper, rng: &mut fastrand::Rng) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.0.cut.fetch_add(1, Ordering::Relaxed);
        let (action, body) = (paper.receipt.action(), paper.receipt.xml());
        let message = request(&self.0.address, action, &body);
        let bytes = message.as_bytes();
        // Half of them while they speak, half while they listen; the answer has about 400 bytes.
        let (spoken, heard) =
            if rng.bool() { (rng.usize(0..=bytes.len()), 0) } else { (bytes.len(), rng.usize(0..600)) };
        let visit = async {
            let mut line = TcpStream::connect(&self.0.address).await?;
            line.write_all(&bytes[..spoken]).await?;
            let mut answer = vec![0; heard];
            let mut got = 0;
            while got < heard {
                match line.read(&mut answer[got..]).await? {
                    0 => break,
                    more => got += more,
                }
                // The end of an answer: a kept connection sends nothing after it.
                if answer[..got].ends_with(b"Envelope>") {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        match timeout(IN_TIME, visit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.complain(format!("a caller who was about to hang up was hung up on: {error}")),
            Err(_) => {
                self.0.late.fetch_add(1, Ordering::Relaxed);
                self.complain("a caller who was about to hang up was not answered".to_owned());
            }
        }
    }

    /// A receipt to hang up on.
    pub(super) fn paper(&self, rng: &mut fastrand::Rng) -> Vec<Paper> {
        loop {
            if let Deed::Deliver(papers, _) = self.0.source.next(rng) {
                return papers;
            }
        }
    }

    /// The same receipt from so many clients at once, once.
    pub(super) async fn deliver_at_once(&self, clients: usize, rng: &mut fastrand::Rng) {
        let paper = self.0.source.top_up(usize::from(rng.bool()), rng);
        self.deliver(vec![paper], clients, rng).await;
    }

    /// Waits until the server is whole again: 64 questions at once, more than it has connections to its database, are all
    /// answered, and so is every receipt at its first delivery.
    ///
    /// # Errors
    /// Where it does not recover.
    pub(super) async fn all_is_well(&self, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let ask = async |n: usize| {
                let (action, message) = Source::sure_question(n % 2);
                matches!(self.ask(action, &message).await, Answer::Acknowledged)
            };
            let well = join_all((0..64).map(ask)).await.into_iter().all(|well| well);
            let before = self.0.redelivered.load(Ordering::Relaxed);
            let papers = (0..16).map(|n| self.0.source.top_up(n % 2, rng)).collect();
            self.deliver(papers, 1, rng).await;
            if well && self.0.redelivered.load(Ordering::Relaxed) == before {
                return Ok(());
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "the server does not recover");
        }
    }

    /// Keeps a sentence about what is wrong.
    pub(super) fn complain(&self, what: String) {
        let mut complaints = self.0.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < COMPLAINTS {
            complaints.push(what);
        }
    }

    /// Everything ever sent, and whether it was acknowledged.
    pub(super) fn sent(&self) -> Vec<(Paper, bool)> {
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> Tally {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        Tally {
            calls: count(&self.0.calls),
            acknowledged: sent.iter().filter(|(_, acknowledged)| *acknowledged).count() as u64,
            not_now: count(&self.0.not_now),
            cut: count(&self.0.cut),
            redelivered: count(&self.0.redelivered),
            late: count(&self.0.late),
            longest: Duration::from_micros(count(&self.0.longest_micros)),
            complaints: self.0.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ..Tally::default()
        }
    }
}
