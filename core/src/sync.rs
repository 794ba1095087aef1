//! Keeping the cache in step with the server: whole snapshots from Home, single changes from the feed, and the live
//! stream that brings them.

use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use borsellino_proto::v1::watch_response;

use crate::cache::{Heard, Rows, Snapshot};
use crate::clock::Clock;
use crate::config::Step;
use crate::error::{Error, Result};
use crate::inner::Inner;
use crate::intents::{self, Intent, News, Progress};
use crate::models::{Connection, Event};
use crate::remote::Pace;
use crate::session::AccountKey;

/// What became of something the server told.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The cache knows as much or more already.
    Old,
    /// There is no snapshot to work it into.
    NoSnapshot,
    /// It is in the cache; this was there before.
    New(Option<Box<v1::HomeResponse>>),
}

/// Puts a home screen in the place of the one before, cursor and all, unless the feed has been read further than it.
/// With `from_scratch` it is believed over everything: the server said that the feed begins anew.
pub(crate) fn take_home(
    rows: &Rows<'_>,
    account: &str,
    mut home: v1::HomeResponse,
    (now, heard): (Millis, Heard),
    from_scratch: bool,
) -> Result<Taken> {
    let old = rows.snapshot(account)?;
    if from_scratch {
        rows.forget_wallet_seqs(account)?;
    } else if old.as_ref().is_some_and(|old| old.feed_seq > home.feed_seq) {
        return Ok(Taken::Old);
    }
    let mut behind = Vec::new();
    for wallet in home.children.iter().flat_map(|child| &child.wallets) {
        if wallet.seq < rows.wallet_seq(account, &wallet.id)? {
            behind.push(wallet.id.clone());
        } else {
            rows.raise_wallet_seq(account, &wallet.id, wallet.seq)?;
        }
    }
    // A change told since this was read: its balance is the newer one.
    for wallet in behind {
        let known = old.as_ref().and_then(|old| wallet_of(&old.home, &wallet)).map(|wallet| wallet.balance_cents);
        if let (Some(balance), Some(wallet)) = (known, wallet_mut(&mut home, &wallet)) {
            set_balance(wallet, balance);
        }
    }
    let read_at = Millis::new(home.as_of_ms);
    for payment in &mut home.payments {
        learn(rows, payment, read_at)?;
    }
    for bill in &mut home.bills {
        if let Some(known) = old.as_ref().and_then(|old| old.home.bills.iter().find(|known| known.id == bill.id)) {
            keep_page(known, bill, read_at);
        }
    }
    let feed_seq = home.feed_seq;
    let snapshot = Snapshot { home, feed_seq, stored_at: now, heard, home_at: read_at };
    rows.put_snapshot(account, &snapshot)?;
    Ok(Taken::New(old.map(|old| Box::new(old.home))))
}

/// Works one change of the feed into the snapshot and moves the cursor, in the same row.
pub(crate) fn take_change(rows: &Rows<'_>, account: &str, change: v1::Change) -> Result<Taken> {
    let Some(mut snapshot) = rows.snapshot(account)? else { return Ok(Taken::NoSnapshot) };
    if change.seq <= snapshot.feed_seq {
        return Ok(Taken::Old);
    }
    let old = snapshot.home.clone();
    snapshot.feed_seq = change.seq;
    let read_at = Millis::new(change.at_ms);
    work_in(rows, account, &mut snapshot.home, change, read_at)?;
    rows.put_snapshot(account, &snapshot)?;
    Ok(Taken::New(Some(Box::new(old))))
}

/// Works one change, which the server read at `read_at` or later, into a home screen.
fn work_in(
    rows: &Rows<'_>,
    account: &str,
    home: &mut v1::HomeResponse,
    change: v1::Change,
    read_at: Millis,
) -> Result<()> {
    // A newer server may tell of other things too: the next refresh shows what they did.
    if let Some(news) = change.wallet {
        take_balance(rows, account, home, &news)?;
    }
    if let Some(mut payment) = change.payment {
        learn(rows, &mut payment, read_at)?;
        put_payment(home, payment);
    }
    if let Some(mut bill) = change.bill {
        if let Some(known) = home.bills.iter().find(|known| known.id == bill.id) {
            keep_page(known, &mut bill, read_at);
        }
        put_bill(home, bill);
    }
    Ok(())
}

/// Works an answer of Sync into the snapshot. What was over before it, and told of, is taken off the screen; what this
/// answer ends stays until the next one.
pub(crate) fn take_sync(
    rows: &Rows<'_>,
    account: &str,
    answer: v1::SyncResponse,
    (now, heard): (Millis, Heard),
) -> Result<Taken> {
    let Some(mut snapshot) = rows.snapshot(account)? else { return Ok(Taken::NoSnapshot) };
    let known = snapshot.feed_seq;
    let old = snapshot.home.clone();
    let home = &mut snapshot.home;
    home.payments.retain(|payment| !intents::is_over(payment));
    home.bills.retain(is_asked_for);
    let read_at = Millis::new(answer.time.as_ref().map_or(0, |time| time.at_ms));
    for change in answer.changes.into_iter().filter(|change| change.seq > known) {
        work_in(rows, account, home, change, read_at)?;
    }
    if let Some(summary) = answer.summary.filter(|_| answer.feed_seq >= known) {
        for wallet in summary.wallets {
            let newest = rows.wallet_seq(account, &wallet.id)?;
            match wallet_mut(home, &wallet.id) {
                Some(place) if wallet.seq >= newest => {
                    rows.raise_wallet_seq(account, &wallet.id, wallet.seq)?;
                    *place = wallet;
                }
                Some(_) => {}
                // The family has grown: only Home says how.
                None => return Ok(Taken::NoSnapshot),
            }
        }
        home.movements = summary.movements;
        home.total_due_cents = summary.total_due_cents;
    }
    home.bills.sort_by(|one, other| bill_order(one).cmp(&bill_order(other)));
    home.payments.sort_by(|one, other| (other.created_at_ms, &other.id).cmp(&(one.created_at_ms, &one.id)));
    if let Some(time) = answer.time.filter(|time| !answer.more && time.at_ms >= home.as_of_ms) {
        // It is as it was, or as it now says: either way it is so at this instant.
        home.as_of_ms = time.at_ms;
        home.time = Some(time);
        (snapshot.stored_at, snapshot.heard) = (now, heard);
    }
    snapshot.feed_seq = known.max(answer.feed_seq);
    let changed = old.children != snapshot.home.children
        || old.payments != snapshot.home.payments
        || old.bills != snapshot.home.bills
        || old.movements != snapshot.home.movements;
    rows.put_snapshot(account, &snapshot)?;
    Ok(if changed { Taken::New(Some(Box::new(old))) } else { Taken::Old })
}

/// As Home lists them.
fn bill_order(bill: &v1::Bill) -> (&str, &str) {
    (&bill.due_date, bill.notice.as_ref().map_or("", |notice| &notice.number))
}

/// Whether Home would list it: something is left to pay.
fn is_asked_for(bill: &v1::Bill) -> bool {
    bill.residual_cents > 0
        && !matches!(bill.state(), v1::BillState::Paid | v1::BillState::Overpaid | v1::BillState::Withdrawn)
}

/// How many answers in a row one look takes at most: a server that always has more is not believed.
const LOOKS: u32 = 100;

/// Brings the cache up to date: by what changed, or by Home where there is nothing yet, the server says so, or is too old to
/// tell changes. Answers whether anything is new.
pub(crate) async fn sync(inner: &Inner, account: &AccountKey) -> Result<bool> {
    let mut anything = false;
    for _ in 0..LOOKS {
        let Some(snapshot) = inner.snapshot(account).await? else {
            inner.refresh(account, false).await?;
            return Ok(true);
        };
        let asked = v1::SyncRequest { after_seq: snapshot.feed_seq, home_as_of_ms: snapshot.home_at.get() };
        let (answer, keep) = match inner.ask_sync(account, asked).await {
            Ok(answer) => answer,
            Err(Error::OlderServer) => {
                inner.refresh(account, false).await?;
                return Ok(true);
            }
            Err(error) => return Err(error.of_a_read()),
        };
        if answer.resync {
            // A number that is smaller than ours is of another life of the server's.
            inner.refresh(account, answer.feed_seq < asked.after_seq).await?;
            return Ok(true);
        }
        if !answer.changes.is_empty() {
            inner.steps.reached(Step::BeforeCursor);
        }
        let (key, moment, more) = (account.clone(), inner.moment(), answer.more);
        let take = move |rows: &Rows<'_>| {
            if keep.is_current(&key) { take_sync(rows, key.as_str(), answer, moment) } else { Ok(Taken::Old) }
        };
        match inner.cache.write_later(take).await? {
            Taken::New(old) => {
                anything = true;
                inner.steps.reached(Step::CursorWritten);
                inner.tell_news(account, old).await?;
            }
            Taken::NoSnapshot => {
                inner.refresh(account, false).await?;
                return Ok(true);
            }
            Taken::Old => {}
        }
        if !more {
            return Ok(anything);
        }
    }
    inner.refresh(account, true).await?;
    Ok(true)
}

/// A smaller number never replaces a larger one; an equal one is the same state told again.
fn take_balance(rows: &Rows<'_>, account: &str, home: &mut v1::HomeResponse, news: &v1::WalletBalance) -> Result<()> {
    if news.seq < rows.wallet_seq(account, &news.wallet_id)? {
        return Ok(());
    }
    rows.raise_wallet_seq(account, &news.wallet_id, news.seq)?;
    if let Some(wallet) = wallet_mut(home, &news.wallet_id) {
        set_balance(wallet, news.balance_cents);
    }
    Ok(())
}

/// Works what was told of a payment into its intent, if this phone has one; what the intent knows better stays.
fn learn(rows: &Rows<'_>, payment: &mut v1::Payment, read_at: Millis) -> Result<()> {
    let intent = intents::learn(rows, &payment.id, News::Told(payment.clone(), read_at))?;
    if let Some(Progress::Accepted(known) | Progress::Done(known)) = intent.map(|intent| intent.progress) {
        *payment = known.payment;
    }
    Ok(())
}

/// The same for a bill, which has no intent: what the phone knows of it is in the snapshot.
fn keep_page(known: &v1::Bill, told: &mut v1::Bill, read_at: Millis) {
    let standing = |bill: &v1::Bill| (bill.payment_state(), bill.in_progress_until_ms);
    let same_debt = known.residual_cents == told.residual_cents;
    if same_debt && intents::is_overtaken(standing(known), standing(told), read_at) {
        (told.payment_state, told.in_progress_until_ms) = (known.payment_state, known.in_progress_until_ms);
    } else if told.payment_state() == v1::PaymentState::NotCompleted && told.in_progress_until_ms == 0 {
        told.in_progress_until_ms = known.in_progress_until_ms;
    }
}

fn put_payment(home: &mut v1::HomeResponse, payment: v1::Payment) {
    match home.payments.iter_mut().find(|known| known.id == payment.id) {
        Some(known) => *known = payment,
        None => home.payments.insert(0, payment),
    }
}

fn put_bill(home: &mut v1::HomeResponse, bill: v1::Bill) {
    match home.bills.iter_mut().find(|known| known.id == bill.id) {
        Some(known) => *known = bill,
        None => home.bills.push(bill),
    }
}

/// Works news into the intent `id` and into the snapshot, so that the home screen never says less than the parent was
/// just told. Answers how the intent stands, or `None` where this phone has no such intent.
pub(crate) fn take_news(rows: &Rows<'_>, account: &str, id: &str, news: News) -> Result<Option<Intent>> {
    let intent = intents::learn(rows, id, news)?;
    if let Some(Progress::Accepted(known) | Progress::Done(known)) = intent.as_ref().map(|intent| &intent.progress)
        && let Some(mut snapshot) = rows.snapshot(account)?
    {
        let listed = snapshot.home.payments.iter().any(|payment| payment.id == id);
        // What is over and no longer listed is history.
        let is_over = matches!(intent.as_ref().map(|intent| &intent.progress), Some(Progress::Done(_)));
        if listed || !is_over {
            put_payment(&mut snapshot.home, known.payment.clone());
            rows.put_snapshot(account, &snapshot)?;
        }
    }
    Ok(intent)
}

/// The intent to send again for the top-up `id`: this phone's own, or one made of what the home screen says of a top-up
/// begun on another phone of the same guardian. `None` where neither knows it.
pub(crate) fn adopt(rows: &Rows<'_>, account: &str, id: &str, now: Millis) -> Result<Option<Intent>> {
    if let Some(intent) = intents::find(rows, id)? {
        return Ok((intent.account == account).then_some(intent));
    }
    let home = rows.snapshot(account)?.map(|snapshot| snapshot.home);
    let payment = home.and_then(|home| home.payments.into_iter().find(|payment| payment.id == id));
    let Some(intent) = payment.map(|payment| Intent::of_payment(account, payment, now)) else { return Ok(None) };
    intents::add(rows, &intent)?;
    Ok(Some(intent))
}

/// Puts the answer for a bill into the snapshot, if there is one.
pub(crate) fn take_bill(rows: &Rows<'_>, account: &str, bill: v1::Bill) -> Result<()> {
    let Some(mut snapshot) = rows.snapshot(account)? else { return Ok(()) };
    put_bill(&mut snapshot.home, bill);
    rows.put_snapshot(account, &snapshot)
}

fn wallet_of<'a>(home: &'a v1::HomeResponse, id: &str) -> Option<&'a v1::Wallet> {
    home.children.iter().flat_map(|child| &child.wallets).find(|wallet| wallet.id == id)
}

fn wallet_mut<'a>(home: &'a mut v1::HomeResponse, id: &str) -> Option<&'a mut v1::Wallet> {
    home.children.iter_mut().flat_map(|child| &mut child.wallets).find(|wallet| wallet.id == id)
}

/// What the old balance covered and whether it was low is no longer known; the phone does not reckon it.
fn set_balance(wallet: &mut v1::Wallet, cents: i64) {
    if wallet.balance_cents != cents {
        wallet.balance_cents = cents;
        wallet.unit_price_cents = 0;
        wallet.covers_units = 0;
        wallet.low = false;
    }
}

/// The waits between two tries: each twice the one before, with jitter so that phones don't come back in step.
pub(crate) struct Backoff {
    pace: Pace,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, next: pace.first_wait }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.pace.first_wait;
    }

    /// Between half of the wait due and all of it.
    pub(crate) fn wait(&mut self, clock: &dyn Clock) -> Duration {
        let due = self.next.min(self.pace.longest_wait);
        self.next = due.saturating_mul(2).min(self.pace.longest_wait);
        let mut chance = [0_u8; 2];
        // Without chance the phone merely waits the whole time.
        let share = clock.fill(&mut chance).map_or(u16::MAX, |()| u16::from_le_bytes(chance));
        let half = due.checked_div(2).unwrap_or_default();
        let extra = half.saturating_mul(u32::from(share)).checked_div(u32::from(u16::MAX)).unwrap_or_default();
        half.saturating_add(extra)
    }
}

/// Follows the feed of one account until the session or the app core ends.
pub(crate) async fn follow(inner: Arc<Inner>, account: AccountKey) {
    let mut backoff = Backoff::new(inner.pace);
    let mut told = false;
    loop {
        let lost = match follow_once(&inner, &account, &mut backoff, &mut told).await {
            // Begin again from the new number; waiting a little, lest a confused server has us run in circles.
            Ok(Resynced) => None,
            Err(Error::SignedOut | Error::Wiped) => {
                inner.emit(&account, Event::Connection(Connection::SignedOut));
                return;
            }
            Err(Error::Closed) => return,
            Err(error) => Some(error),
        };
        if let (Some(lost), false) = (lost, told) {
            inner.emit(&account, Event::Connection(Connection::Lost(lost)));
            told = true;
        }
        let wait = backoff.wait(inner.clock.as_ref());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // The app came to the front, or the network came back: no need to wait longer.
            () = inner.nudge.notified() => backoff.reset(),
        }
    }
}

/// The server said that the feed begins anew, and the home screen was asked for.
struct Resynced;

async fn follow_once(
    inner: &Arc<Inner>,
    account: &AccountKey,
    backoff: &mut Backoff,
    told: &mut bool,
) -> Result<Resynced> {
    // Also what no change of the stream tells, what a balance covers for one, is brought up to date after an absence.
    sync(inner, account).await?;
    let after = inner.snapshot(account).await?.map_or(0, |snapshot| snapshot.feed_seq);
    let remote = &inner.remote;
    let mut stream = inner.with_token(account, |token| async move { remote.watch(&token, after).await }).await?;
    inner.emit(account, Event::Connection(Connection::Live));
    *told = false;
    inner.finish_in_background(account);
    let mut dirty = false;
    loop {
        let patience = if dirty { inner.pace.gather } else { inner.pace.silence };
        let message = match tokio::time::timeout(patience, stream.message()).await {
            Ok(message) => message.map_err(|status| inner.remote.failure(&status).of_a_read())?,
            Err(_) if dirty => {
                inner.refresh(account, false).await?;
                dirty = false;
                continue;
            }
            Err(_) => return Err(Error::Offline),
        };
        let event = message.ok_or(Error::Offline)?.event;
        match event {
            Some(watch_response::Event::Change(change)) => dirty |= take(inner, account, change).await?,
            Some(watch_response::Event::Resync(_)) => {
                inner.refresh(account, true).await?;
                return Ok(Resynced);
            }
            // A sign of life, or a newer server's kind of event.
            Some(watch_response::Event::Heartbeat(_)) | None => {}
        }
        backoff.reset();
    }
}

/// Works in one change and tells of it; answers whether the home screen should be asked for again.
async fn take(inner: &Arc<Inner>, account: &AccountKey, change: v1::Change) -> Result<bool> {
    inner.steps.reached(Step::BeforeCursor);
    let key = account.clone();
    let taken = inner.cache.write_later(move |rows| take_change(rows, key.as_str(), change)).await?;
    match taken {
        Taken::Old => Ok(false),
        Taken::NoSnapshot => Ok(true),
        Taken::New(old) => {
            inner.steps.reached(Step::CursorWritten);
            inner.tell_news(account, old).await?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let pace = Pace::default();
        let mut backoff = Backoff::new(pace);
        let mut due = Duration::from_millis(250);
        for _ in 0..12 {
            let wait = backoff.wait(&SystemClock);
            assert!(wait >= due / 2 && wait <= due, "{wait:?} of {due:?}");
            due = (due * 2).min(pace.longest_wait);
        }
        backoff.reset();
        assert!(backoff.wait(&SystemClock) <= pace.first_wait);
    }
}
