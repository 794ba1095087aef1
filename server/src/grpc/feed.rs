//! Feed: the live stream. It reads the feed from the number asked for, then whenever this node hears of a change
//! (`live.rs`), its own or another node's.

use std::time::Duration;

use borsellino_domain::language::Language;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::accounts::session_ended;
use super::{Service, caller, encode, fault, language, plain, refuse, sentences};
use crate::auth::token::Identity;
use crate::live::Listening;
use crate::usecases::feed::{After, after};
use crate::usecases::{App, Stop};

/// How often a quiet stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When a session with too many streams may try again, in milliseconds.
const RETRY: i64 = 5_000;

/// How many messages may wait for a slow phone before the stream waits for it.
const WAITING: usize = 16;

#[tonic::async_trait]
impl v1::feed_server::Feed for Service {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let from = i64::try_from(request.get_ref().after_seq).unwrap_or(i64::MAX);
        let live = self.0.live.listen(who.creditor, who.guardian.uuid(), who.session);
        let live = live.ok_or_else(|| refuse(&sentences::try_later(RETRY, language), language))?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let stream = Stream { app: self.0.clone(), who, language, live, sender };
        tokio::spawn(stream.run(from));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Stream {
    app: App,
    who: Identity,
    language: Language,
    live: Listening,
    sender: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

/// The listener has gone; there is nothing left to do.
struct Gone;

impl Stream {
    async fn run(self, from: i64) {
        // An error means that the phone has hung up.
        let _ = self.follow(from).await;
    }

    async fn follow(&self, mut seq: i64) -> Result<(), Gone> {
        // Listening began before the backlog is read, so that nothing falls between.
        let mut stopping = self.app.stopping.clone();
        self.send(self.heartbeat(seq)).await?;
        let mut next_heartbeat = Instant::now() + HEARTBEAT;
        loop {
            match after(&self.app, self.who, seq).await {
                Ok(After::Changes(page)) => {
                    if page.last > seq {
                        next_heartbeat = Instant::now() + HEARTBEAT;
                    }
                    seq = page.last;
                    for change in page.changes {
                        self.send(v1::watch_response::Event::Change(encode::change(change))).await?;
                    }
                    // Else whatever comes after it wakes this stream, also when it came meanwhile.
                    if page.more {
                        continue;
                    }
                }
                Ok(After::Resync(newest)) => {
                    seq = newest;
                    let resync = v1::Resync { feed_seq: encode::seq(newest) };
                    self.send(v1::watch_response::Event::Resync(resync)).await?;
                }
                Err(Stop::Refused(refusal)) => return self.end(session_ended(refusal, self.language)).await,
                Err(Stop::Fault(error)) => return self.end(fault(&error, self.language)).await,
            }
            self.live.read(seq);
            tokio::select! {
                () = self.live.news() => {}
                () = sleep_until(next_heartbeat) => {}
                () = stopped(&mut stopping) => {
                    // The phone comes back, to this node or another, and resumes.
                    return self.end(plain(Reason::Unavailable, self.language)).await;
                }
                () = self.sender.closed() => return Err(Gone),
            }
            if Instant::now() >= next_heartbeat {
                self.send(self.heartbeat(seq)).await?;
                next_heartbeat = Instant::now() + HEARTBEAT;
            }
        }
    }

    fn heartbeat(&self, seq: i64) -> v1::watch_response::Event {
        let (at_ms, feed_seq) = (self.app.now().get(), encode::seq(seq));
        v1::watch_response::Event::Heartbeat(v1::Heartbeat { at_ms, feed_seq })
    }

    async fn send(&self, event: v1::watch_response::Event) -> Result<(), Gone> {
        self.sender.send(Ok(v1::WatchResponse { event: Some(event) })).await.map_err(|_| Gone)
    }

    async fn end(&self, status: Status) -> Result<(), Gone> {
        self.sender.send(Err(status)).await.map_err(|_| Gone)
    }
}

async fn stopped(stopping: &mut tokio::sync::watch::Receiver<bool>) {
    // An error means that whoever would say so is gone, which says it too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
