//! Sends the letters that are due, a few at a time; what was not taken is tried again later.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::mail::{Mailer, Trouble};
use crate::usecases::letters::{Taken, claim, due, settle};
use crate::usecases::{App, Fault};

/// How often letters are looked for, unless it is set otherwise.
pub const EVERY: Duration = Duration::from_secs(1);

/// Sends until the server stops; where no mail server is configured, says so and ends.
pub async fn run(app: App) {
    let Some(mailer) = app.mailer.clone() else {
        tracing::info!(
            "no section [mail]: no letter is sent; a forgotten password needs the office and another device"
        );
        return;
    };
    let mut stopping = app.stopping.clone();
    while !*stopping.borrow_and_update() {
        match send_once(&app, &mailer).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "letters could not be taken"),
        }
        tokio::select! {
            // An error means that nobody can say "stop" any more, which says it too.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sleep(app.mail_every) => {}
        }
    }
}

/// Whether there was anything to send.
async fn send_once(app: &App, mailer: &Mailer) -> Result<bool, Fault> {
    let sending = i64::try_from(mailer.timeout().as_millis()).unwrap_or(i64::MAX);
    let mut any = false;
    for creditor in due(app).await? {
        let taken = claim(app, creditor, sending).await?;
        any |= !taken.is_empty();
        for outcome in join_all(taken.iter().map(|taken| send(app, mailer, taken))).await {
            outcome?;
        }
    }
    Ok(any)
}

async fn send(app: &App, mailer: &Mailer, taken: &Taken) -> Result<(), Fault> {
    let outcome = match &taken.letter {
        Some(letter) => mailer.send(letter).await,
        None => Err(Trouble::Refused("no address".to_owned())),
    };
    if let Err(trouble) = &outcome {
        tracing::warn!(%trouble, "a letter was not sent");
    }
    settle(app, taken, outcome).await
}
