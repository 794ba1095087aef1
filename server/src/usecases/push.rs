//! Who is told of a payment by push, and what becomes of each message.
//!
//! Three transactions, with the sending between the last two and outside all:
//!
//! 1. [`super::tell::tell`] takes rows out of the outbox and lays a delivery for each device in their place: both or nothing, so
//!    that nothing is lost or laid twice, whoever is at it at the same time.
//! 2. [`claim`] takes deliveries for as long as a lease lasts. Whoever dies with them leaves them to others.
//! 3. [`settle`] writes what became of them. A message that was sent and not settled is sent again: at least once, with
//!    the same id, by which the phone knows it.
//!
//! Whoever asked for a top-up, or whom a bill was issued to, reads that a payment was completed; the other guardians of the
//! child only that something has changed: they see the balance too, and might pay twice if nobody told them, but who paid
//! and how is the payer's (ARCHITECTURE.md, decisions, pushes).

use std::collections::HashMap;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{SessionId, uuid_v7};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{ClaimedRow, NewDelivery, PushTargetRow, TOGETHER, ToTellRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::devices::{PURPOSE, Platform, PushToken};
use super::{App, Fault};
use crate::auth::token::REFRESH_MILLIS;
use crate::notify::message::USEFUL_MILLIS;
use crate::notify::{Kind, PushMessage};

/// How long a message that was taken is nobody else's, in milliseconds: longer than an attempt and the writing of its
/// outcome take.
pub const LEASE_MILLIS: i64 = 60_000;

/// How many are taken at once.
pub const BATCH: usize = TOGETHER;

/// A message that was taken to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Which.
    pub slip: Slip,
    /// What is sent.
    pub message: PushMessage,
}

/// What names a message that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Slip {
    /// Whose.
    pub creditor: CreditorCode,
    /// Which.
    pub id: Uuid,
    /// To which device.
    pub session: SessionId,
    /// Under which token, by its digest; `None` where there was none.
    pub digest: Option<Hash>,
    /// How often it was taken, this time included.
    pub attempts: i64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken by the service, which answered this.
    Sent(String),
    /// Its token is nobody's any more, as the service answered with this.
    Dead(String),
    /// The service will never take it, and answered this.
    Refused(String),
    /// It may be tried again at this time; this was answered.
    Later(Millis, String),
    /// Nobody is told on this device any more.
    NoDevice,
    /// Its token was sealed with another secret.
    Unreadable,
    /// It is too old to be of use.
    Expired,
}

/// The creditors that have something to be told or sent.
///
/// # Errors
/// A [`Fault`].
pub async fn due(app: &App) -> Result<Vec<CreditorCode>, Fault> {
    let now = app.now();
    let codes = app.store.read(move |tx| Box::pin(async move { tx.due_for_push(now).await })).await?;
    let read = |code: String| CreditorCode::from_digits(&code).map_err(|_| Fault::BadData("a creditor's code"));
    codes.into_iter().map(read).collect()
}

/// Lays a delivery for each device that is to be told of a row of the outbox.
pub(super) async fn lay_pushes(
    tx: &mut Tx,
    creditor: CreditorCode,
    row: &ToTellRow,
    now: Millis,
) -> Result<(), StoreError> {
    let unused = now.plus(-REFRESH_MILLIS);
    for device in tx.audience(&creditor, (&row.notice, row.created_at_ms), unused).await? {
        let kind = if device.payer != 0 { Kind::PaymentDone } else { Kind::Changed };
        let delivery = NewDelivery {
            id: message_id(row.id, device.session, row.created_at_ms),
            session: device.session,
            message: kind.code(),
            feed_seq: device.feed_seq,
            created_at: row.created_at_ms,
            due_at: now,
        };
        tx.insert_delivery(&creditor, &delivery).await?;
    }
    Ok(())
}

/// The id of a message to a device: always the same for what it is about. Sorts by time, tells nothing.
pub(super) fn message_id(about: Uuid, session: SessionId, at: Millis) -> Uuid {
    let digest = Hash::of(&[b"borsellino.push.v1", about.as_bytes().as_slice(), session.uuid().as_bytes()].concat());
    let mut random = [0; 10];
    random.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    uuid_v7(at, random)
}

/// Takes up to `wanted` messages, at most [`BATCH`]: those to be sent, and what became of those that are not.
///
/// # Errors
/// A [`Fault`]. Where it was the answer to a commit that was lost, what was taken waits for its lease to end.
pub async fn claim(
    app: &App,
    creditor: CreditorCode,
    wanted: usize,
) -> Result<(Vec<Parcel>, Vec<(Slip, Fate)>), Fault> {
    let now = app.now();
    let wanted = count(wanted.min(BATCH));
    let claimed = app.store.write::<_, (), _>("take pushes", move |tx| {
        Box::pin(async move {
            let rows = tx.claim_pushes(&creditor, (now, now.plus(LEASE_MILLIS)), wanted).await?;
            if rows.is_empty() {
                return Ok(Ok((rows, Vec::new())));
            }
            let sessions: Vec<SessionId> = rows.iter().map(|row| row.session).collect();
            let targets = tx.push_targets(&creditor, &sessions, now.plus(-REFRESH_MILLIS)).await?;
            Ok(Ok((rows, targets)))
        })
    });
    let (rows, targets) = claimed.await?.unwrap_or_default();
    let targets: HashMap<SessionId, PushTargetRow> = targets.into_iter().map(|row| (row.session, row)).collect();
    let (mut parcels, mut over) = (Vec::new(), Vec::new());
    for row in rows {
        let target = targets.get(&row.session);
        let digest = target.map(|target| target.digest);
        let slip = Slip { creditor, id: row.id, session: row.session, digest, attempts: row.attempts };
        match parcel(app, &row, target, now) {
            Ok(message) => parcels.push(Parcel { slip, message }),
            Err(fate) => over.push((slip, fate)),
        }
    }
    Ok((parcels, over))
}

fn parcel(app: &App, row: &ClaimedRow, target: Option<&PushTargetRow>, now: Millis) -> Result<PushMessage, Fate> {
    if now >= row.created_at_ms.plus(USEFUL_MILLIS) {
        return Err(Fate::Expired);
    }
    let target = target.ok_or(Fate::NoDevice)?;
    let token = app.keys.open(PURPOSE, &target.sealed).map_err(|_| Fate::Unreadable)?;
    let token = std::str::from_utf8(&token).ok().and_then(PushToken::parse).ok_or(Fate::Unreadable)?;
    Ok(PushMessage {
        token,
        platform: Platform::from_code(&target.platform).ok_or(Fate::Unreadable)?,
        language: Language::from_tag(&target.language),
        kind: Kind::from_code(&row.message).ok_or(Fate::Unreadable)?,
        id: row.id,
        session: row.session,
        feed_seq: row.feed_seq,
        at: row.created_at_ms,
    })
}

/// Writes what became of messages of one creditor.
///
/// # Errors
/// A [`Fault`]: nothing was written, it may be tried again.
pub async fn settle(app: &App, creditor: CreditorCode, fates: &[(Slip, Fate)]) -> Result<(), Fault> {
    let now = app.now();
    let fates = fates.to_vec();
    let settled = app.store.write::<(), (), _>("settle pushes", move |tx| {
        let fates = fates.clone();
        Box::pin(async move {
            let mut done: HashMap<(&str, Option<&str>), Vec<Uuid>> = HashMap::new();
            for (slip, fate) in &fates {
                let (outcome, code) = match fate {
                    Fate::Sent(code) => ("sent", Some(code.as_str())),
                    Fate::Refused(code) => ("refused", Some(code.as_str())),
                    Fate::NoDevice => ("no_device", None),
                    Fate::Expired => ("expired", None),
                    Fate::Dead(code) => {
                        if !forget(tx, slip).await? {
                            // The phone has another token by now: the next try goes there, or finds that there is none.
                            tx.postpone_delivery(&creditor, (slip.id, slip.attempts), (now, code)).await?;
                            continue;
                        }
                        ("unregistered", Some(code.as_str()))
                    }
                    Fate::Unreadable => {
                        forget(tx, slip).await?;
                        ("unreadable", None)
                    }
                    Fate::Later(due, code) => {
                        tx.postpone_delivery(&creditor, (slip.id, slip.attempts), (*due, code)).await?;
                        continue;
                    }
                };
                done.entry((outcome, code)).or_default().push(slip.id);
            }
            for ((outcome, code), ids) in done {
                tx.finish_deliveries(&creditor, (outcome, code, now), &ids).await?;
            }
            Ok(Ok(()))
        })
    });
    let _committed = settled.await?;
    Ok(())
}

async fn forget(tx: &mut Tx, slip: &Slip) -> Result<bool, StoreError> {
    match slip.digest {
        Some(digest) => tx.forget_push_token(&slip.creditor, slip.session, digest).await,
        None => Ok(false),
    }
}

/// Forgets what became of messages more than `days` ago, and the tokens of sessions that are over.
///
/// # Errors
/// A [`Fault`].
pub async fn sweep(app: &App, creditor: CreditorCode, days: u32) -> Result<(), Fault> {
    let now = app.now();
    let before = uuid_v7(now.plus_days(-i64::from(days)), [0; 10]);
    let swept = app.store.write::<(), (), _>("sweep pushes", move |tx| {
        Box::pin(async move {
            tx.prune_deliveries(&creditor, before).await?;
            tx.sweep_push_tokens(&creditor, now.plus(-REFRESH_MILLIS)).await?;
            Ok(Ok(()))
        })
    });
    let _committed = swept.await?;
    Ok(())
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_and_one_device_are_one_message() {
        let id =
            |about, session| message_id(Uuid::from_u128(about), Uuid::from_u128(session).into(), Millis::new(5_000));
        assert_eq!(id(1, 2), id(1, 2));
        assert_ne!(id(1, 2), id(1, 3));
        assert_ne!(id(1, 2), id(2, 2));
        let id = id(1, 2);
        assert!(uuid_v7(Millis::new(5_000), [0; 10]) <= id && id < uuid_v7(Millis::new(5_001), [0; 10]));
    }
}
