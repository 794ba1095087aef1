//! Where a guardian is signed in, and ending a session from here.

use borsellino_domain::id::SessionId;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;

use crate::app::App;
use crate::error::{Error, Result};
use crate::inner::Inner;
use crate::remote::method;
use crate::session::AccountKey;
use crate::words::Words;

/// A device on which a guardian is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Names its session, for [`App::revoke_device`].
    pub session: SessionId,
    /// What the parent called it at the sign-in.
    pub name: String,
    /// Since when.
    pub signed_in_at: Millis,
    /// When it was last heard of: at most a quarter of an hour before its last call.
    pub last_used_at: Millis,
    /// `Questo dispositivo`, or `usato l'ultima volta il 20 novembre alle 8:12`
    pub sentence: String,
    /// This one.
    pub current: bool,
    /// It is told by push.
    pub has_push: bool,
}

impl Inner {
    /// The words for what an account shows.
    pub(crate) async fn words(&self, account: &AccountKey) -> Words {
        let snapshot = self.snapshot(account).await.ok().flatten();
        let server_now = snapshot.and_then(|snapshot| snapshot.server_now(self.clock.as_ref()));
        Words::new(self.language, server_now)
    }

    async fn devices(&self, account: &AccountKey) -> Result<Vec<v1::Device>> {
        self.account(account)?;
        let asked = self.ask(account, &method::LIST_DEVICES, &v1::ListDevicesRequest {}).await;
        Ok(asked.map_err(Error::of_a_read)?.devices)
    }
}

impl App {
    /// Where the guardian of an account of this phone is signed in, the last used first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that this phone does not have, [`Error::SignedOut`], [`Error::OlderServer`],
    /// [`Error::Offline`] and kin.
    pub async fn devices(&self, account: AccountKey) -> Result<Vec<DeviceView>> {
        self.inner
            .detached(move |inner| async move {
                let devices = inner.devices(&account).await?;
                let words = inner.words(&account).await;
                // One without an id of ours can be neither named nor ended.
                Ok(devices.into_iter().filter_map(|wire| words.device(wire)).collect())
            })
            .await
    }

    /// Ends a session, and its pushes. This phone's own: that is signing out, everything of the account goes from here. One that
    /// has ended already is no error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an account that this phone does not have, [`Error::Refused`] with `UnknownDevice`,
    /// [`Error::SignedOut`], [`Error::OlderServer`], [`Error::Offline`], [`Error::OutcomeUnknown`] and kin; for this phone's own
    /// also those of [`App::sign_out`].
    pub async fn revoke_device(&self, account: AccountKey, session: SessionId) -> Result<()> {
        self.inner
            .detached(move |inner| async move {
                let session_id = session.to_string();
                let devices = inner.devices(&account).await?;
                if devices.iter().any(|device| device.current && device.session_id == session_id) {
                    return inner.leave(&account).await;
                }
                let request = v1::RevokeDeviceRequest { session_id };
                inner.ask(&account, &method::REVOKE_DEVICE, &request).await.map(|_| ())
            })
            .await
    }
}

impl Words {
    fn device(&self, wire: v1::Device) -> Option<DeviceView> {
        let last_used_at = Millis::new(wire.last_used_at_ms);
        let sentence = if wire.current {
            self.of(["Questo dispositivo", "This device", "Dieses Gerät"]).to_owned()
        } else {
            let used = self.of(["usato l'ultima volta il", "last used on", "zuletzt verwendet am"]);
            self.elided(format!("{used} {}", self.day_and_hour(last_used_at)))
        };
        Some(DeviceView {
            session: wire.session_id.parse().ok()?,
            name: wire.name,
            signed_in_at: Millis::new(wire.signed_in_at_ms),
            last_used_at,
            sentence,
            current: wire.current,
            has_push: wire.has_push,
        })
    }
}
