//! Sends what is to be told by push: looks for it, takes as much as may be on its way, sends, and writes what became of it.
//!
//! Three loops that don't wait for each other: one lays messages ready, one sends them, one settles whatever is settled at
//! that moment in one transaction. Between nodes nothing is agreed: each takes rows that no other holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use crate::clock::random;
use crate::notify::fcm::Answer;
use crate::notify::pace::wait;
use crate::notify::{Push, Settings};
use crate::usecases::push::{BATCH, Fate, LEASE_MILLIS, Parcel, Slip, claim, due, settle, sweep};
use crate::usecases::tell::tell;
use crate::usecases::{App, Fault};

/// How often what is no longer needed is swept, in milliseconds.
const SWEEP_MILLIS: i64 = 60 * 60_000;

/// How many outcomes are settled at once.
const SETTLED: usize = 4 * BATCH;

/// How many batches of one creditor go before another's turn.
const TURN: usize = 4;

/// How long to wait for the next message of the quota.
const QUOTA: Duration = Duration::from_millis(5);

/// Sends until the server stops; where no push is configured, says so and ends.
pub async fn run(app: App) {
    let Some(push) = app.push.clone() else {
        tracing::info!(
            "no section [push]: phones are told nothing while the app is closed, and what is to be told waits"
        );
        return;
    };
    let Settings { in_flight, per_minute, .. } = push.settings;
    tracing::info!(project = push.fcm.project(), in_flight, per_minute, "sending pushes");
    let (results, settled) = mpsc::channel(SETTLED);
    let permits = Arc::new(Semaphore::new(usize::try_from(in_flight.max(1)).unwrap_or(1)));
    let worker = Worker { app, push, laid: Arc::new(Notify::new()), permits, results };
    let settler = tokio::spawn(worker.clone().settle_all(settled));
    let teller = tokio::spawn(worker.clone().tell_all());
    worker.send_all().await;
    // What is on its way is still settled: its channel closes with the last message.
    let _ = (teller.await, settler.await);
}

#[derive(Clone)]
struct Worker {
    app: App,
    push: Arc<Push>,
    /// There is something new to send.
    laid: Arc<Notify>,
    permits: Arc<Semaphore>,
    results: mpsc::Sender<(Slip, Fate)>,
}

impl Worker {
    fn stopping(&self) -> bool {
        *self.app.stopping.borrow()
    }

    /// Waits a while, or less where there is news; `true` where the server stops.
    async fn rest(&self) -> bool {
        let mut stopping = self.app.stopping.clone();
        tokio::select! {
            // An error means that nobody can say "stop" any more, which says it too.
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = self.laid.notified() => false,
            () = sleep(self.push.settings.every) => false,
        }
    }

    async fn tell_all(self) {
        let mut stopping = self.app.stopping.clone();
        let mut swept: Option<Millis> = None;
        let Self { app, push, laid, .. } = self;
        while !*stopping.borrow_and_update() {
            let now = app.now();
            if swept.is_none_or(|at| now >= at.plus(SWEEP_MILLIS)) {
                sweep_all(&app, push.settings.keep_days).await;
                swept = Some(now);
            }
            match tell_once(&app, &laid).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "what is to be told could not be read"),
            }
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = sleep(push.settings.every) => {}
            }
        }
    }

    async fn send_all(self) {
        while !self.stopping() {
            match self.send_once().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "pushes could not be taken"),
            }
            if self.rest().await {
                return;
            }
        }
    }

    /// Takes and sends what is due now; answers how many messages it took.
    async fn send_once(&self) -> Result<usize, Fault> {
        if self.push.pace().is_paused(self.app.now()) {
            return Ok(0);
        }
        let mut taken = 0;
        for creditor in due(&self.app).await? {
            for _ in 0..TURN {
                let (some, more) = self.take(creditor).await?;
                taken += some;
                if !more || self.stopping() {
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// Takes a batch of a creditor's messages and sends each on its own; answers how many, and whether there may be more.
    async fn take(&self, creditor: CreditorCode) -> Result<(usize, bool), Fault> {
        let Ok(first) = Arc::clone(&self.permits).acquire_owned().await else { return Ok((0, false)) };
        let mut permits = vec![first];
        while permits.len() < BATCH
            && let Ok(another) = Arc::clone(&self.permits).try_acquire_owned()
        {
            permits.push(another);
        }
        let wanted = u32::try_from(permits.len()).unwrap_or(u32::MAX);
        let allowed = self.push.pace().take(wanted, self.app.now());
        if allowed == 0 {
            // A pause, or the quota: a second's worth comes back in a second.
            drop(permits);
            sleep(QUOTA).await;
            return Ok((0, false));
        }
        let claimed = claim(&self.app, creditor, usize::try_from(allowed).unwrap_or(usize::MAX)).await;
        let sent = claimed.as_ref().map_or(0, |(parcels, _)| parcels.len());
        self.push.pace().give_back(allowed.saturating_sub(u32::try_from(sent).unwrap_or(u32::MAX)));
        let (parcels, over) = claimed?;
        let taken = parcels.len().saturating_add(over.len());
        for parcel in parcels {
            tokio::spawn(self.clone().send(parcel, permits.pop()));
        }
        for fate in over {
            // The settler goes on for as long as this does.
            let _ = self.results.send(fate).await;
        }
        Ok((taken, taken >= usize::try_from(allowed).unwrap_or(usize::MAX)))
    }

    /// Sends one; its place is free again once its outcome waits to be settled.
    async fn send(self, parcel: Parcel, place: Option<OwnedSemaphorePermit>) {
        let answer = self.push.fcm.send(&parcel.message, self.app.now()).await;
        let fate = self.judge(answer, parcel.slip.attempts);
        let _ = self.results.send((parcel.slip, fate)).await;
        drop(place);
    }

    fn judge(&self, answer: Answer, attempts: i64) -> Fate {
        // Without chance waits are not spread, which is no reason not to wait.
        let chance = random().map_or(0, u32::from_be_bytes);
        let now = self.app.now();
        match answer {
            Answer::Sent => {
                self.push.pace().went_through();
                Fate::Sent("200".to_owned())
            }
            Answer::Dead(code) => Fate::Dead(code),
            Answer::Refused(code) => {
                tracing::warn!(code, "a push was refused for good");
                Fate::Refused(code)
            }
            Answer::Wait(asked, code) => {
                let (was, until) = {
                    let mut pace = self.push.pace();
                    (pace.is_paused(now), pace.refused(asked, now, chance))
                };
                if !was {
                    let seconds = until.get().saturating_sub(now.get()).div_euclid(1_000);
                    tracing::warn!(code, seconds, "pushes wait, as they were told to");
                }
                Fate::Later(until, code)
            }
            Answer::Again(code) => Fate::Later(now.plus(wait(attempts, chance)), code),
        }
    }

    async fn settle_all(self, mut settled: mpsc::Receiver<(Slip, Fate)>) {
        // With its own sender it would wait for itself.
        let Self { app, push, results, laid, permits } = self;
        drop((results, laid, permits));
        let mut fates = Vec::new();
        while settled.recv_many(&mut fates, SETTLED).await > 0 {
            let mut by_creditor: HashMap<CreditorCode, Vec<(Slip, Fate)>> = HashMap::new();
            for (slip, fate) in fates.drain(..) {
                by_creditor.entry(slip.creditor).or_default().push((slip, fate));
            }
            for (creditor, fates) in by_creditor {
                let given_up = tokio::time::Instant::now() + Duration::from_millis(LEASE_MILLIS.unsigned_abs());
                while let Err(error) = settle(&app, creditor, &fates).await {
                    tracing::warn!(%error, "what became of pushes could not be written");
                    if tokio::time::Instant::now() >= given_up || *app.stopping.borrow() {
                        // Their lease is over: others send them again.
                        break;
                    }
                    sleep(push.settings.every).await;
                }
            }
        }
    }
}

async fn sweep_all(app: &App, keep_days: u32) {
    for creditor in app.directory.listing().creditors() {
        if let Err(error) = sweep(app, creditor.fiscal_code, keep_days).await {
            tracing::warn!(%error, creditor = %creditor.fiscal_code, "pushes could not be swept");
        }
    }
}

/// Whether there was a whole batch, and so there may be more.
async fn tell_once(app: &App, laid: &Notify) -> Result<bool, Fault> {
    let mut more = false;
    for creditor in due(app).await? {
        let told = tell(app, creditor).await?;
        if told > 0 {
            laid.notify_one();
        }
        more |= told >= BATCH;
    }
    Ok(more)
}
