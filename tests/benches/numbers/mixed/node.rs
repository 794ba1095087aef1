//! The Node's side: calls that are due at fixed instants, over connections that stay open.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use borsellino_server::soap::PATH;
use borsellino_tests::certificates::Client;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::client::TlsStream;

use super::tally::{Answer, Outcome, Tally, Told};
use crate::load::{read_answer, receipt};
use crate::report::millis;
use crate::town::{STRIDE, WALLETS, creditor, number};

const VERIFY: &str = include_str!("../../../fixtures/pagopa/paVerifyPaymentNotice-req.xml");
const ACTIVATE: &str = include_str!("../../../fixtures/pagopa/paGetPaymentV2-req.xml");

/// Questions are about notices this far ahead of those that are being paid.
pub(crate) const AHEAD: u64 = 2_000;

/// A call that has had no answer for this long is given up, and its connection with it.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often what is due is handed out.
const TICK: Duration = Duration::from_millis(1);

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Verify,
    Activate,
    Receipt,
    /// A receipt that was answered OK before.
    Again,
}

use Operation::{Activate, Again, Receipt, Verify};

/// The mix, over and over: six verifies, five activations, seven receipts, two of them again.
const MIX: [Operation; 20] = [
    Verify, Receipt, Activate, Verify, Receipt, Activate, Verify, Receipt, Again, Verify, Receipt, Activate, Verify,
    Receipt, Activate, Receipt, Verify, Activate, Receipt, Again,
];

/// How many of so many calls are receipts, rounded up.
pub(crate) fn receipts(calls: u64) -> u64 {
    calls * 7 / 20 + 7
}

impl Operation {
    pub(crate) const ALL: [Self; 4] = [Verify, Activate, Receipt, Again];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Verify => "verify",
            Activate => "activate",
            Receipt => "receipt",
            Again => "receipt, again",
        }
    }
}

/// How much, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rate: u64,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// A call that is due.
#[derive(Clone, Copy, Debug)]
struct Call {
    operation: Operation,
    /// The notice it is about; of a receipt that comes again, chosen when it is sent.
    notice: u64,
    due: Instant,
    /// Whether it is part of what is measured.
    counts: bool,
}

/// What the connections share.
struct Shared {
    queue: Mutex<VecDeque<Call>>,
    /// A permit for each call in the queue.
    waiting: Semaphore,
    /// The last receipts that were answered OK.
    accepted: Mutex<VecDeque<u64>>,
    told: Arc<Told>,
    client: Client,
    node: SocketAddr,
}

/// The open connections, and the next notice to be paid.
pub(crate) struct Port {
    shared: Arc<Shared>,
    answers: mpsc::UnboundedReceiver<Option<Answer>>,
    next: u64,
    notices: u64,
}

impl Port {
    /// Opens `connections` of them to a port with mutual TLS.
    pub(crate) async fn open(
        client: Client,
        node: SocketAddr,
        connections: u64,
        notices: u64,
        told: &Arc<Told>,
    ) -> anyhow::Result<Self> {
        let (sender, answers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            waiting: Semaphore::new(0),
            accepted: Mutex::default(),
            told: Arc::clone(told),
            client,
            node,
        });
        for _ in 0..connections {
            let stream = shared.connect().await.context("no connection over TLS")?;
            tokio::spawn(work(Arc::clone(&shared), stream, sender.clone()));
        }
        Ok(Self { shared, answers, next: 0, notices })
    }

    pub(crate) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.shared.told)
    }

    /// As [`Port::send`], or nothing where too few notices are left.
    pub(crate) async fn try_send(&mut self, plan: Plan) -> anyhow::Result<Option<Tally>> {
        let calls = plan.rate * (plan.warm_up + plan.window).as_secs();
        if self.next + receipts(calls) + AHEAD > self.notices {
            println!("  (no notices are left for {} calls a second)", plan.rate);
            return Ok(None);
        }
        self.send(plan).await.map(Some)
    }

    /// Sends what is due when it is due, whatever the answers; waits for the last of them.
    pub(crate) async fn send(&mut self, plan: Plan) -> anyhow::Result<Tally> {
        let start = Instant::now();
        let from = start + plan.warm_up;
        let to = from + plan.window;
        let calls = plan.rate * (plan.warm_up + plan.window).as_secs();
        let gap = |index: u64| Duration::from_nanos(index * 1_000_000_000 / plan.rate);
        let (mut sent, mut seen) = (0, 0);
        let (mut lag, mut answers) = (Vec::new(), Vec::new());
        let mut tick = tokio::time::interval(TICK);
        while seen < calls {
            tokio::select! {
                _ = tick.tick(), if sent < calls => {
                    let now = Instant::now();
                    while sent < calls && start + gap(sent) <= now {
                        let due = start + gap(sent);
                        let counts = due >= from;
                        let operation = MIX[usize::try_from(sent % 20)?];
                        let notice = match operation {
                            Receipt => {
                                self.next += 1;
                                self.next - 1
                            }
                            Verify | Activate => (self.next + AHEAD / 2 + sent % (AHEAD / 2)).min(self.notices - 1),
                            Again => 0,
                        };
                        self.shared.push(Call { operation, notice, due, counts });
                        if counts {
                            lag.push(millis(now.duration_since(due)));
                        }
                        sent += 1;
                    }
                }
                Some(answer) = self.answers.recv() => {
                    seen += 1;
                    answers.extend(answer);
                }
            }
        }
        Ok(Tally { rate: plan.rate, from, to, answers, lag })
    }
}

impl Shared {
    fn push(&self, call: Call) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(call);
        self.waiting.add_permits(1);
    }

    /// The call that has waited longest.
    async fn pop(&self) -> Option<Call> {
        self.waiting.acquire().await.ok()?.forget();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.client.connect(self.node).await?;
        stream.get_ref().0.set_nodelay(true)?;
        Ok(stream)
    }

    fn accept(&self, notice: u64) {
        self.told.accepted(STRIDE * notice % WALLETS);
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.push_back(notice);
        if accepted.len() > 1_000 {
            accepted.pop_front();
        }
    }

    /// A receipt that was accepted a while ago.
    fn accepted_before(&self) -> Option<u64> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
    }
}

/// One connection: takes what is due, sends it, reads the answer; a broken one is replaced.
async fn work(
    shared: Arc<Shared>,
    stream: TlsStream<TcpStream>,
    answers: mpsc::UnboundedSender<Option<Answer>>,
) -> Option<()> {
    let mut stream = Some(stream);
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        let mut call = shared.pop().await?;
        if call.operation == Again {
            match shared.accepted_before() {
                Some(notice) => call.notice = notice,
                // Nothing was accepted yet: ask instead.
                None => call.operation = Verify,
            }
        }
        let message = message(&call);
        let asked = tokio::time::timeout(PATIENCE, async {
            if stream.is_none() {
                stream = Some(shared.connect().await?);
            }
            let open = stream.as_mut().context("a connection")?;
            open.write_all(&message).await?;
            open.flush().await?;
            let body = read_answer(open, &mut buffer).await?;
            anyhow::Ok(outcome(buffer.get(body..).unwrap_or_default()))
        });
        let outcome = match asked.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => {
                stream = None;
                Outcome::Nothing
            }
        };
        if outcome == Outcome::Ok && call.operation == Receipt {
            shared.accept(call.notice);
        }
        let answer = Answer { operation: call.operation, took: call.due.elapsed(), outcome };
        answers.send(call.counts.then_some(answer)).ok()?;
    }
}

fn outcome(body: &[u8]) -> Outcome {
    let has = |text: &[u8]| body.windows(text.len()).any(|part| part == text);
    if has(b"<outcome>OK</outcome>") {
        Outcome::Ok
    } else if has(b"<outcome>KO</outcome>") {
        Outcome::Ko
    } else {
        Outcome::Fault
    }
}

/// A call as it goes over the wire.
fn message(call: &Call) -> Vec<u8> {
    let (template, action) = match call.operation {
        Receipt | Again => return receipt(call.notice),
        Verify => (VERIFY, "paVerifyPaymentNotice"),
        Activate => (ACTIVATE, "paGetPaymentV2"),
    };
    let body = template
        .replace("99900010010", &creditor(call.notice))
        .replace("99900020019", crate::load::BROKER)
        .replace("301000000000004285", &number(call.notice))
        .replace("45.00", "180.00");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: node\r\nContent-Type: text/xml\r\nSOAPAction: \"{action}\"\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}
