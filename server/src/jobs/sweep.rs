//! Forgets once an hour what nobody asks for any more and nobody else sweeps: counts of failed sign-ins.

use std::time::Duration;

use borsellino_domain::time::Millis;

use crate::usecases::App;
use crate::usecases::sessions::sweep;

/// How often is looked whether an hour is over.
const LOOK: Duration = Duration::from_secs(1);

/// How often is swept, in milliseconds.
const EVERY_MILLIS: i64 = 60 * 60_000;

/// Sweeps until the server stops.
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    let mut swept: Option<Millis> = None;
    while !*stopping.borrow_and_update() {
        let now = app.now();
        if swept.is_none_or(|at| now >= at.plus(EVERY_MILLIS)) {
            for creditor in app.directory.listing().creditors() {
                if let Err(error) = sweep(&app, creditor.fiscal_code).await {
                    tracing::warn!(%error, creditor = %creditor.fiscal_code, "old counts of sign-ins could not be forgotten");
                }
            }
            swept = Some(now);
        }
        tokio::select! {
            // An error means that nobody can say "stop" any more, which says it too.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
