//! What is done without anybody asking: orders that wait are sent again, so is what the servers have to hear of pushes, and the home screen is asked for when a pagoPA
//! page's time is over, so that an open app does not say "in progress" for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use borsellino_proto::v1;

use crate::accounts::Account;
use crate::error::Result;
use crate::inner::{Inner, lock};
use crate::models::Event;
use crate::session::AccountKey;
use crate::sync::{self, Backoff};

/// A server that asks for more patience than this is asked again all the same.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A little later than a page ends, so that the server agrees that it is over.
const AFTER_PAGE_MS: i64 = 1_000;

/// Works until the app core ends. Begins with the first call that needs the network: opening the app core uses none.
pub(crate) async fn tend(inner: Arc<Inner>) {
    let mut backoff = Backoff::new(inner.pace);
    inner.work.notified().await;
    loop {
        let told = !inner.pushes.waiting.load(Ordering::SeqCst);
        let retry = match unsent(&inner).await {
            Ok(Some(least)) => Some(backoff.wait(inner.clock.as_ref()).max(least)),
            _ if !told => Some(backoff.wait(inner.clock.as_ref())),
            _ => {
                backoff.reset();
                None
            }
        };
        let page = next_page_end(&inner).await.ok().flatten();
        tokio::select! {
            () = inner.work.notified() => {}
            // The app came to the front, or the network came back.
            () = inner.nudge.notified() => backoff.reset(),
            () = after(retry) => {
                for account in accounts(&inner) {
                    // What fails is tried again.
                    let _ = inner.finish(&account).await;
                }
                if inner.pushes.waiting.load(Ordering::SeqCst) {
                    inner.tell_wish().await;
                }
            }
            () = after(page) => {
                for account in accounts(&inner) {
                    let _ = sync::sync(&inner, &account).await;
                    // Also without the network: what is shown of a page depends on the time.
                    inner.emit(&account, Event::HomeChanged);
                }
            }
        }
    }
}

/// Never, for `None`.
async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn accounts(inner: &Inner) -> Vec<AccountKey> {
    lock(&inner.accounts).all().map(Account::key).collect()
}

/// `None` where nothing waits but for a sign-in; otherwise for how long the server asked for patience.
async fn unsent(inner: &Arc<Inner>) -> Result<Option<Duration>> {
    let mut least = None;
    for account in accounts(inner) {
        least = least.max(inner.waits(&account).await?.map(Duration::from_millis));
    }
    Ok(least.map(|least| least.min(LONGEST_PATIENCE)))
}

/// How long until the first page that is live now is over.
async fn next_page_end(inner: &Arc<Inner>) -> Result<Option<Duration>> {
    let mut next: Option<Duration> = None;
    for account in accounts(inner) {
        let Some(snapshot) = inner.snapshot(&account).await? else { continue };
        let in_progress = v1::PaymentState::InProgress;
        let payments = snapshot.home.payments.iter().filter(|it| it.state() == in_progress);
        let bills = snapshot.home.bills.iter().filter(|it| it.payment_state() == in_progress);
        let ends = payments.map(|it| it.in_progress_until_ms).chain(bills.map(|it| it.in_progress_until_ms));
        let Some(server_now) = snapshot.server_now(inner.clock.as_ref()) else { continue };
        let server_now = server_now.get();
        let left = |end: i64| u64::try_from(end.saturating_add(AFTER_PAGE_MS).saturating_sub(server_now)).ok();
        let wait = ends.filter_map(left).filter(|left| *left > 0).min().map(Duration::from_millis);
        next = [next, wait].into_iter().flatten().min();
    }
    Ok(next)
}
