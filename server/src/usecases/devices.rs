//! The devices on which a guardian is signed in, and the tokens under which they are told by push.
//!
//! A device is a session. Its token is sealed and found again by a keyed digest, so that whoever has only the database
//! can push to nobody; it is forgotten with the session, and where another session brings it: then it is the same phone.

use borsellino_domain::id::SessionId;
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_store::StoreError;
use borsellino_store::rows::{DeviceRow, NewPushToken};
use uuid::Uuid;

use super::sessions::{SessionRefusal, standing};
use super::{App, Stop};
use crate::auth::token::{Identity, REFRESH_MILLIS};
use crate::clock::random;
pub use crate::notify::{Platform, PushToken};

/// How many devices of a guardian are told by push: those registered last.
const MOST_TOLD: i64 = 20;

/// How many devices are listed: those used last.
const MOST_LISTED: i64 = 100;

/// What a push token is sealed and digested for.
pub(super) const PURPOSE: &str = "push token";

/// How a device wants to be told.
#[derive(Clone)]
pub struct Registration {
    /// Under which token.
    pub token: PushToken,
    /// What kind of phone it is.
    pub platform: Platform,
    /// What language the app speaks.
    pub language: Language,
}

/// Why a call about devices is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRefusal {
    /// The caller's own session.
    Session(SessionRefusal),
    /// No such session, or another guardian's.
    Unknown,
}

/// A signed-in device.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// Its session.
    pub session: SessionId,
    /// What the parent calls it.
    pub name: String,
    /// When they signed in.
    pub signed_in: Millis,
    /// When it last renewed its tokens.
    pub last_used: Millis,
    /// The one that asks.
    pub current: bool,
    /// It is told by push.
    pub has_push: bool,
}

/// Registers the device of `who`.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn register(app: &App, who: Identity, wish: Registration) -> Result<(), Stop<SessionRefusal>> {
    let now = app.now();
    let token = wish.token.as_str().as_bytes();
    let row = NewPushToken {
        session: who.session,
        platform: wish.platform.code(),
        language: wish.language.tag(),
        digest: app.keys.digest(PURPOSE, token),
        key_id: app.keys.id().to_owned(),
        sealed: app.keys.seal(PURPOSE, token, random()?)?,
        registered_at: now,
    };
    let registered = app.store.write("register a device", move |tx| {
        let row = row.clone();
        Box::pin(async move {
            let code = who.creditor;
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            tx.forget_push_before(&code, who.session, row.digest).await?;
            match tx.put_push_token(&code, &row).await {
                // The same session brought two tokens at the same moment: one after the other.
                Err(error) if error.is_taken() => return Err(StoreError::Conflict),
                other => other?,
            }
            Ok(Ok(tx.forget_push_over(&code, who.guardian, MOST_TOLD).await?))
        })
    });
    registered.await?.map_err(Stop::Refused)
}

/// No more pushes for the device of `who`.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn remove(app: &App, who: Identity) -> Result<(), Stop<SessionRefusal>> {
    let now = app.now();
    let removed = app.store.write("forget a device's push", move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(tx.forget_push(&who.creditor, who.session).await?))
        })
    });
    removed.await?.map_err(Stop::Refused)
}

/// The devices of `who`, the last used first.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn list(app: &App, who: Identity) -> Result<Vec<DeviceView>, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let unused = now.plus(-REFRESH_MILLIS);
            Ok(Ok(tx.devices(&who.creditor, who.guardian, (unused, MOST_LISTED)).await?))
        })
    });
    let view = |row: DeviceRow| DeviceView {
        session: row.id,
        name: row.device_name,
        signed_in: row.created_at_ms,
        last_used: row.last_used_at_ms,
        current: row.id == who.session,
        has_push: row.has_push != 0,
    };
    Ok(read.await?.map_err(Stop::Refused)?.into_iter().map(view).collect())
}

/// Ends a session of the guardian `who`, and its pushes. One that has ended already is left as it is.
///
/// # Errors
/// [`DeviceRefusal`], or a [`super::Fault`].
pub async fn revoke(app: &App, who: Identity, device: SessionId) -> Result<(), Stop<DeviceRefusal>> {
    let now = app.now();
    let revoked = app.store.write("revoke a device", move |tx| {
        Box::pin(async move {
            let code = who.creditor;
            let own = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(own.as_ref(), now) {
                return Ok(Err(DeviceRefusal::Session(refusal)));
            }
            let session = tx.session(&code, device).await?;
            if session.is_none_or(|session| session.guardian != who.guardian) {
                return Ok(Err(DeviceRefusal::Unknown));
            }
            tx.end_session(&code, device, now).await?;
            // What was confirmed on it is confirmed no more.
            tx.end_recoveries(&code, (who.guardian, Uuid::nil()), now).await?;
            Ok(Ok(tx.forget_push(&code, device).await?))
        })
    });
    revoked.await?.map_err(Stop::Refused)?;
    // Its streams end now, not at the next look around.
    app.live.wake(who.creditor, &[who.guardian.uuid()]);
    Ok(())
}
