//! Sends the letters that are due, a few at a time; what was not taken is tried again later. Lays what the outbox is to be told by
//! e-mail, and looks now and then for balances that run low.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::mail::{Mailer, Trouble};
use crate::usecases::letters::{self as recoveries, due};
use crate::usecases::post::{letters as post, low};
use crate::usecases::tell::tell;
use crate::usecases::{App, Fault};

/// How often letters are looked for, unless it is set otherwise.
pub const EVERY: Duration = Duration::from_secs(1);

/// For how many days what became of letters is kept, unless it is set otherwise.
pub const KEEP_DAYS: u32 = 90;

/// How often low balances are looked for and the log is swept, in milliseconds.
const NOW_AND_THEN_MILLIS: i64 = 60 * 60_000;

/// Sends until the server stops. Where no mail server is configured, says so; what was laid all the same is swept in time.
pub async fn run(app: App) {
    if app.mailer.is_none() {
        tracing::info!(
            "no section [mail]: no letter is sent; a forgotten password needs the office and another device"
        );
    }
    let mut stopping = app.stopping.clone();
    let mut looked: Option<Millis> = None;
    while !*stopping.borrow_and_update() {
        let now = app.now();
        if looked.is_none_or(|at| now >= at.plus(NOW_AND_THEN_MILLIS)) {
            now_and_then(&app).await;
            looked = Some(now);
        }
        if let Some(mailer) = &app.mailer {
            match send_once(&app, mailer).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "letters could not be taken"),
            }
        }
        tokio::select! {
            // An error means that nobody can say "stop" any more, which says it too.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sleep(app.mail_every) => {}
        }
    }
}

async fn now_and_then(app: &App) {
    let creditors: Vec<_> = app.directory.listing().creditors().iter().map(|row| row.fiscal_code).collect();
    for creditor in creditors {
        let looked = async {
            post::sweep(app, creditor, app.mail_keep_days).await?;
            if app.mailer.is_some() {
                low::look(app, creditor).await?;
            }
            Ok::<_, Fault>(())
        };
        if let Err(error) = looked.await {
            tracing::warn!(%error, %creditor, "low balances could not be looked for");
        }
    }
}

/// Whether there was anything to send.
async fn send_once(app: &App, mailer: &Mailer) -> Result<bool, Fault> {
    let sending = i64::try_from(mailer.timeout().as_millis()).unwrap_or(i64::MAX);
    let mut any = false;
    for creditor in due(app).await? {
        match send_of(app, mailer, (creditor, sending)).await {
            Ok(sent) => any |= sent,
            // One creditor's trouble is no other's.
            Err(error) => tracing::warn!(%creditor, %error, "letters could not be taken"),
        }
    }
    Ok(any)
}

async fn send_of(app: &App, mailer: &Mailer, (creditor, sending): (CreditorCode, i64)) -> Result<bool, Fault> {
    let mut any = tell(app, creditor).await? > 0;
    let taken = recoveries::claim(app, creditor, sending).await?;
    any |= !taken.is_empty();
    for outcome in join_all(taken.iter().map(|taken| recover(app, mailer, taken))).await {
        outcome?;
    }
    let taken = post::claim(app, creditor, sending).await?;
    any |= !taken.is_empty();
    for outcome in join_all(taken.iter().map(|taken| send(app, mailer, taken))).await {
        outcome?;
    }
    Ok(any)
}

async fn recover(app: &App, mailer: &Mailer, taken: &recoveries::Taken) -> Result<(), Fault> {
    let outcome = match &taken.letter {
        Some(letter) => mailer.send(letter).await,
        None => Err(Trouble::Refused("no address".to_owned())),
    };
    if let Err(trouble) = &outcome {
        tracing::warn!(%trouble, "a letter was not sent");
    }
    recoveries::settle(app, taken, outcome).await
}

async fn send(app: &App, mailer: &Mailer, taken: &post::Taken) -> Result<(), Fault> {
    let outcome = match &taken.letter {
        Ok(letter) => mailer.send(letter).await,
        // Nothing goes out; why is the letter's own outcome.
        Err(_) => Ok(String::new()),
    };
    if let Err(trouble) = &outcome {
        tracing::warn!(%trouble, "a letter was not sent");
    }
    post::settle(app, taken, outcome).await
}
