//! What the app shows around an account, as the core hands it out: recoveries, devices, pushes.

use borsellino_core::{
    AccountKey, AccountView, DeviceView, Millis, Platform, Proof, Proofs, PushNews, Recovered, RecoveryRequest,
    RecoveryView, SessionId,
};

/// The recovery that this phone has begun.
#[uniffi::remote(Record)]
pub struct RecoveryView {
    /// At which creditor: 11 digits.
    pub creditor: String,
    /// Two digits to show: they are typed on the device that confirms.
    pub number: String,
    /// Until when it can be finished, by the server's clock.
    pub expires_at: Millis,
}

/// A way of proving who one is.
#[uniffi::remote(Enum)]
pub enum Proof {
    /// A code from the office.
    Office,
    /// A code from an e-mail.
    Email,
    /// Confirmed on another device.
    Device,
    /// One that this app does not know yet.
    Other,
}

/// What was proved so far.
#[uniffi::remote(Record)]
pub struct Proofs {
    /// Each once.
    pub given: Vec<Proof>,
    /// The new password can be set.
    pub enough: bool,
}

/// What a recovery ended with.
#[uniffi::remote(Record)]
pub struct Recovered {
    /// Signed in.
    pub account: AccountView,
    /// In case it was forgotten, too.
    pub username: String,
}

/// A recovery of an own account that is under way on some device.
#[uniffi::remote(Record)]
pub struct RecoveryRequest {
    /// Names it, for `answerRecovery`.
    pub id: String,
    /// What whoever asks calls their device.
    pub device_name: String,
    /// Since when.
    pub asked_at: Millis,
    /// Until when it can be answered.
    pub expires_at: Millis,
    /// A device has confirmed it: it can still be denied.
    pub confirmed: bool,
    /// `Richiesta di una nuova password da «Pixel», 20 novembre alle 8:12. Se non sei tu, rifiuta.`
    pub sentence: String,
}

/// A device on which a guardian is signed in.
#[uniffi::remote(Record)]
pub struct DeviceView {
    /// Names its session, for `revokeDevice`.
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

/// What kind of phone it is: it decides the shape of a push.
#[uniffi::remote(Enum)]
pub enum Platform {
    /// Android.
    Android,
    /// iOS and iPadOS.
    Ios,
}

/// What to do with a push that arrived.
#[uniffi::remote(Record)]
pub struct PushNews {
    /// Show it. Not where it was shown before, here or on the open screen, nor where it is none of this phone's business.
    pub show: bool,
    /// Which account it is about.
    pub account: Option<AccountKey>,
    /// What happened, line by line; nothing where that could not be found out: then show the push's own generic words.
    pub text: Option<String>,
}
