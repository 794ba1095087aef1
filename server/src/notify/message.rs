//! What a push says: that something happened, in generic words, and under which number of the feed. No name, no amount, no
//! school, no municipality: it passes through Google and Apple, and lies on locked screens.
//!
//! An Android phone gets data only, so that the app is asked before anything is shown; an iPhone gets an alert that the app
//! may rewrite (`mutable-content`). docs/app-developers.md has both shapes.

use std::fmt;

use borsellino_domain::id::SessionId;
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long after the event a push is worth sending, in milliseconds: a day.
pub const USEFUL_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Longer than any token of Firebase's, in bytes.
const LONGEST_TOKEN: usize = 4_096;

/// What kind of phone it is: it decides the shape of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Android.
    Android,
    /// iOS and iPadOS.
    Ios,
}

impl Platform {
    /// As it is stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
        }
    }

    /// Reads [`Platform::code`].
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Android, Self::Ios].into_iter().find(|platform| platform.code() == code)
    }
}

/// A registration token of Firebase's, as a phone got it: 1 to 4096 visible ASCII characters.
#[derive(Clone)]
pub struct PushToken(Zeroizing<String>);

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToken")
    }
}

impl PushToken {
    /// Reads it; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What happened, as far as a push says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A payment that this guardian asked for was completed.
    PaymentDone,
    /// Something that this guardian sees has changed.
    Changed,
    /// Somebody asks for a new password of this guardian's account.
    Account,
}

impl Kind {
    /// As it is stored and sent.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PaymentDone => "payment_done",
            Self::Changed => "changed",
            Self::Account => "account",
        }
    }

    /// Reads [`Kind::code`].
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::PaymentDone, Self::Changed, Self::Account].into_iter().find(|kind| kind.code() == code)
    }

    /// The names of its title and its text among the app's localized ones.
    pub const fn keys(self) -> [&'static str; 2] {
        match self {
            Self::PaymentDone => ["push_payment_done_title", "push_payment_done_body"],
            Self::Changed => ["push_changed_title", "push_changed_body"],
            Self::Account => ["push_account_title", "push_account_body"],
        }
    }

    /// Title and text for an app that does not know the names.
    pub const fn words(self, language: Language) -> [&'static str; 2] {
        match (self, language) {
            (Self::PaymentDone, Language::Italian) => {
                ["Pagamento completato", "Un pagamento è stato completato: apri l'app per i dettagli."]
            }
            (Self::PaymentDone, Language::English) => {
                ["Payment completed", "A payment was completed: open the app for the details."]
            }
            (Self::PaymentDone, Language::German) => {
                ["Zahlung abgeschlossen", "Eine Zahlung wurde abgeschlossen: Details finden Sie in der App."]
            }
            (Self::Changed, Language::Italian) => ["Novità", "Qualcosa è cambiato: apri l'app per vedere cosa."],
            (Self::Changed, Language::English) => ["News", "Something has changed: open the app to see what."],
            (Self::Account, Language::Italian) => {
                ["Il tuo accesso", "Qualcuno chiede una password nuova: apri l'app e di' se sei tu."]
            }
            (Self::Account, Language::English) => {
                ["Your account", "Somebody asks for a new password: open the app and say whether it is you."]
            }
            (Self::Account, Language::German) => {
                ["Ihr Zugang", "Jemand verlangt ein neues Passwort: Bitte in der App angeben, ob Sie es sind."]
            }
            (Self::Changed, Language::German) => ["Neuigkeiten", "Etwas hat sich geändert: Näheres in der App."],
        }
    }
}

/// One message to one device.
#[derive(Clone, Debug)]
pub struct PushMessage {
    /// To whom.
    pub token: PushToken,
    /// What kind of phone it is.
    pub platform: Platform,
    /// What language its app speaks.
    pub language: Language,
    /// What happened.
    pub kind: Kind,
    /// Its own id, the same whenever it is sent again.
    pub id: Uuid,
    /// Which account of the phone it is about.
    pub session: SessionId,
    /// The number of that account's feed that tells what happened.
    pub feed_seq: i64,
    /// When it happened.
    pub at: Millis,
}

impl PushMessage {
    /// The body of `messages:send`, sent at `now`.
    pub fn body(&self, now: Millis) -> String {
        let [title_key, body_key] = self.kind.keys();
        let [title, body] = self.kind.words(self.language);
        let mut data = json!({
            "v": "1",
            "id": self.id.to_string(),
            "session": self.session.to_string(),
            "seq": self.feed_seq.to_string(),
            "kind": self.kind.code(),
        });
        let until = self.at.plus(USEFUL_MILLIS);
        let message = match self.platform {
            Platform::Android => {
                for (name, text) in [("title_key", title_key), ("body_key", body_key), ("title", title), ("body", body)]
                {
                    data[name] = text.into();
                }
                let seconds = until.get().saturating_sub(now.get()).div_euclid(1_000).max(0);
                // FCM keeps at most four collapse keys a device, so it is one for each account: of the messages that a
                // phone missed it needs the last, for the app reads everything after the number that it has. One that asks
                // something is in no feed, and has a key that no news replaces.
                let key = match self.kind {
                    Kind::Account => format!("account-{}", self.session),
                    Kind::PaymentDone | Kind::Changed => self.session.to_string(),
                };
                let android = json!({ "priority": "HIGH", "ttl": format!("{seconds}s"), "collapse_key": key });
                json!({ "token": self.token.as_str(), "data": data, "android": android })
            }
            Platform::Ios => {
                let apns = json!({
                    "headers": {
                        "apns-push-type": "alert",
                        "apns-priority": "10",
                        "apns-expiration": until.get().div_euclid(1_000).to_string(),
                        // A message that comes twice takes its own place on the screen.
                        "apns-collapse-id": self.id.to_string(),
                    },
                    "payload": { "aps": {
                        "alert": { "title": title, "body": body, "title-loc-key": title_key, "loc-key": body_key },
                        "mutable-content": 1,
                        "sound": "default",
                    } },
                });
                json!({ "token": self.token.as_str(), "data": data, "apns": apns })
            }
        };
        json!({ "message": message }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_and_is_not_shown() {
        assert_eq!(format!("{:?}", PushToken::parse("fQ3:APA91b-_x").unwrap()), "PushToken");
        assert!(PushToken::parse(&"x".repeat(4_096)).is_some());
        for wrong in ["", " ", "a b", "a\n", "è", &"x".repeat(4_097)] {
            assert!(PushToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn codes_are_read_back() {
        for kind in [Kind::PaymentDone, Kind::Changed, Kind::Account] {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        for platform in [Platform::Android, Platform::Ios] {
            assert_eq!(Platform::from_code(platform.code()), Some(platform));
        }
        assert_eq!((Kind::from_code("x"), Platform::from_code("x")), (None, None));
    }

    #[test]
    fn a_message_is_small_and_ends_with_its_use() {
        let message = PushMessage {
            token: PushToken::parse("t").unwrap(),
            platform: Platform::Android,
            language: Language::German,
            kind: Kind::Changed,
            id: Uuid::from_u128(1),
            session: Uuid::from_u128(2).into(),
            feed_seq: i64::MAX,
            at: Millis::new(0),
        };
        let ttl = |now| {
            let body: serde_json::Value = serde_json::from_str(&message.body(Millis::new(now))).unwrap();
            body["message"]["android"]["ttl"].as_str().unwrap().to_owned()
        };
        assert_eq!((ttl(0), ttl(USEFUL_MILLIS - 1), ttl(i64::MAX)), ("86400s".into(), "0s".into(), "0s".into()));
        // FCM takes 4096 bytes of payload.
        assert!(message.body(Millis::new(0)).len() < 1_024);
    }
}
