//! Seals the ledger of every creditor: through the whole journal at the start and once a day, else through the last days.

use std::time::Duration;

use borsellino_domain::time::Millis;

use crate::usecases::App;
use crate::usecases::seals::{Bounds, Sweep, seal};

/// How long an entry waits for its seal, unless [`App::seal_every`] says otherwise.
pub const EVERY: Duration = Duration::from_secs(60);

/// Seals until the server stops.
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    let mut whole_due: Option<Millis> = None;
    while !*stopping.borrow_and_update() {
        // Creditors that came since, and what they are called and look like now.
        if let Err(error) = app.directory.reload(&app.store).await {
            tracing::warn!(%error, "the directory could not be read");
        }
        let now = app.now();
        let sweep = if whole_due.is_none_or(|due| now >= due) { Sweep::Whole } else { Sweep::Recent };
        if seal_all(&app, sweep).await && sweep == Sweep::Whole {
            whole_due = Some(now.plus_days(1));
        }
        tokio::select! {
            // An error means that nobody can say "stop" any more, which says it too.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(app.seal_every) => {}
        }
    }
}

/// Whether nothing failed.
async fn seal_all(app: &App, sweep: Sweep) -> bool {
    let mut well = true;
    for creditor in app.directory.listing().creditors() {
        let code = creditor.fiscal_code;
        if let Err(error) = seal(&app.store, &app.keys, code, app.now(), sweep, Bounds::default()).await {
            tracing::warn!(%error, creditor = %code, "the ledger could not be sealed");
            well = false;
        }
        if *app.stopping.borrow() {
            return false;
        }
    }
    well
}
