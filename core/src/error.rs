//! What can go wrong, as few things as an app can tell apart, each with a sentence for the parent.

use borsellino_domain::account::{OfficeCodeError, PasswordRule, UsernameError, recovery_ended};
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use thiserror::Error;

use crate::secure_store::SecureStoreError;
use crate::words::pick;

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be done. Carries no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The server was not reached: nothing was sent, or nothing that matters.
    #[error("the server is not reachable")]
    Offline,
    /// Sent, but no answer came. Doing it again with the same id is safe.
    #[error("no answer: the outcome is unknown")]
    OutcomeUnknown,
    /// Something answered that is not a Borsellino server: a captive portal, a proxy, another program.
    #[error("what answered is not a Borsellino server")]
    NotOurServer,
    /// The server's certificate is not valid at this moment: often the phone's date is wrong.
    #[error("the server's certificate is not valid now; is the phone's date right?")]
    CertificateTime,
    /// The server does not know this call yet.
    #[error("the server is older than this app")]
    OlderServer,
    /// The server understood and said no; or it would, which was found before asking.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Nobody is signed in, or the session ended: sign in again.
    #[error("signed out")]
    SignedOut,
    /// What was typed or passed is not of its form; nothing was sent.
    #[error("invalid {0}")]
    Invalid(Invalid),
    /// The phone's keychain.
    #[error("secure store: {0}")]
    SecureStore(#[from] SecureStoreError),
    /// The phone's cache.
    #[error("cache: {0}")]
    Cache(#[from] CacheError),
    /// The system gave no random bytes.
    #[error("no secure randomness")]
    NoRandomness,
    /// The session was ended from afar, because the phone was said to be lost: nothing of the account is left on it.
    #[error("signed out from afar, and emptied")]
    Wiped,
    /// A payment of the same is under way: paying now may be paying twice.
    #[error("already being paid")]
    InProgress(Box<InProgress>),
    /// The app core was shut down.
    #[error("shut down")]
    Closed,
}

/// What is being paid already. Asking again helps once `until` is over, by the server's clock, not the phone's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProgress {
    /// Until when not to pay again; `None` where the server did not say.
    pub until: Option<Millis>,
    /// The page that is open for it: whoever has not paid yet goes on there.
    pub checkout_url: Option<String>,
    /// For the parent, in the app's language.
    pub sentence: String,
}

/// Which input is not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Not `https://host[:port]` (`http` is for the loopback only: tokens travel on it).
    #[error("server address")]
    ServerUrl,
    /// Not ten digits.
    #[error("activation code")]
    ActivationCode,
    /// Not an 11-digit code of a creditor.
    #[error("creditor code")]
    Creditor,
    /// No account of this phone.
    #[error("account")]
    Account,
    /// No top-up that this phone knows of.
    #[error("top-up")]
    TopUp,
    /// No bill or instalment that this phone knows of with something to pay under a notice.
    #[error("bill")]
    Bill,
    /// Nothing to pay, or one thing twice.
    #[error("items")]
    Items,
    /// Not a codice fiscale.
    #[error("fiscal code")]
    FiscalCode,
    /// Not the eight digits of an e-mail.
    #[error("e-mail code")]
    EmailCode,
    /// Not the two digits that another device shows.
    #[error("number")]
    Number,
    /// Not a registration token: 1 to 4096 visible ASCII characters.
    #[error("push token")]
    PushToken,
}

/// What the cache's file did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CacheError {
    /// The phone is full.
    #[error("the storage is full")]
    Full,
    /// The file is damaged; it is rebuilt when the app core is opened again.
    #[error("the file is damaged")]
    Corrupt,
    /// A row does not open with this key.
    #[error("a row does not open with this key")]
    Sealed,
    /// The folder or file can't be read or written.
    #[error("the file can't be used")]
    Io,
    /// Any other answer of SQLite, by its extended result code.
    #[error("SQLite code {0}")]
    Sqlite(i32),
}

/// A refusal of the server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason:?}")]
pub struct Refusal {
    /// Why: for switching on.
    pub reason: Reason,
    /// For the parent, in the app's language. Never empty.
    pub sentence: String,
    /// The limit that was passed, in cents, where the reason names one.
    pub limit_cents: Option<i64>,
    /// How long to wait before trying again, in milliseconds, where the reason names it.
    pub retry_after_ms: Option<u64>,
    /// Asking again unchanged can't help.
    pub is_final: bool,
    /// Which rule a password breaks, with [`Reason::PasswordRefused`]; `None` also for a rule this app does not know yet.
    pub rule: Option<PasswordRule>,
}

impl Refusal {
    /// What the server would refuse, refused before anything is sent, so that the parent hears at once and it costs no try.
    pub(crate) fn here(language: Language, reason: Reason, rule: Option<PasswordRule>) -> Self {
        let sentence = own_words(language, reason, rule);
        Self { reason, sentence, limit_cents: None, retry_after_ms: None, is_final: true, rule }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why the server refused. Names are those of the wire (`Reason` in the proto file).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// A reason this app does not know yet: show the sentence.
            Other,
        }

        impl From<v1::Reason> for Reason {
            fn from(wire: v1::Reason) -> Self {
                match wire {
                    $(v1::Reason::$name => Self::$name,)*
                    v1::Reason::Unspecified => Self::Other,
                }
            }
        }

        impl From<Reason> for v1::Reason {
            fn from(reason: Reason) -> Self {
                match reason {
                    $(Reason::$name => Self::$name,)*
                    Reason::Other => Self::Unspecified,
                }
            }
        }
    };
}

reasons! {
    /// A field is not of its form.
    Malformed,
    /// No creditor has this code.
    UnknownActivationCode,
    /// User name or password wrong.
    WrongCredentials,
    /// Too many tries: wait.
    TryLater,
    /// The access token is not valid (handled here).
    TokenInvalid,
    /// The session ended (reported as [`Error::SignedOut`]).
    SessionEnded,
    /// The session was ended from afar (reported as [`Error::Wiped`]).
    SessionWiped,
    /// No such wallet of this family.
    UnknownWallet,
    /// The wallet takes no money.
    WalletClosed,
    /// The id was used for another top-up.
    IdReused,
    /// The amount can't be paid through pagoPA.
    AmountInvalid,
    /// Below the smallest top-up.
    BelowMinimum,
    /// Above the largest top-up.
    AboveMaximum,
    /// More than still fits into the wallet.
    AboveWalletMaximum,
    /// Too many unpaid top-ups wait.
    TooManyOpen,
    /// No such bill of this family.
    UnknownBill,
    /// Nothing left to pay.
    BillSettled,
    /// No such top-up of this guardian.
    UnknownTopUp,
    /// No such notice of this family.
    UnknownNotice,
    /// The notice is paid, expired or withdrawn (also found here).
    NoticeNotPayable,
    /// A page is open for the notice.
    PaymentInProgress,
    /// The server is busy.
    Unavailable,
    /// A fault of the server.
    Internal,
    /// Nothing was booked for it, so there is nothing to prove.
    NotPaid,
    /// Booked, and not sealed yet: ask again in a minute.
    NotSealedYet,
    /// No such session, or another guardian's.
    UnknownDevice,
    /// Not a code that an office gives: a typing error, which costs no try (also found here).
    OfficeCodeMistyped,
    /// Unknown, expired, used, tried too often, or not for this codice fiscale.
    OfficeCodeRefused,
    /// There is a password already: sign in, or recover it.
    AlreadyRegistered,
    /// No user name can look like this (also found here).
    UsernameInvalid,
    /// Somebody else's.
    UsernameTaken,
    /// The password breaks the rule that [`Refusal::rule`] names (also found here).
    PasswordRefused,
    /// A wrong proof.
    ProofRefused,
    /// The recovery expired, was denied or tried too often, or there is none: start again (also found here).
    RecoveryEnded,
    /// Another proof, of another kind, is wanted.
    RecoveryIncomplete,
    /// No such child of this family.
    UnknownChild,
    /// The original names somebody else who paid.
    ReceiptWithheld,
    /// No certificate of that year.
    YearInvalid,
    /// No period, or one that is too long (also found here).
    PeriodInvalid,
    /// This guardian paid nothing for the child in that year.
    NothingPaid,
    /// Too many documents are being printed: ask again in a moment.
    PrinterBusy,
    /// Something that the creditor says of itself can't be printed.
    Unprintable,
    /// No address is on file.
    NoAddress,
    /// Not an e-mail address (also found here).
    AddressInvalid,
    /// Letters to the address on file come back.
    AddressBounced,
    /// Five a day were sent.
    MailLimit,
    /// The server sends no e-mail.
    NoMail,
}

impl Error {
    /// For a call that only reads, an unknown outcome is no news: the server was not reached.
    pub(crate) fn of_a_read(self) -> Self {
        if self == Self::OutcomeUnknown { Self::Offline } else { self }
    }

    /// What to tell the parent: what happened, and what to do.
    pub fn sentence(&self, language: Language) -> String {
        let [it, en, de] = match self {
            Self::Refused(refusal) => return refusal.sentence.clone(),
            Self::InProgress(warning) => return warning.sentence.clone(),
            Self::Offline => [
                "Non riusciamo a collegarci. Controlla la connessione e riprova.",
                "We can't connect. Check your connection and try again.",
                "Keine Verbindung. Prüfen Sie das Netz und versuchen Sie es noch einmal.",
            ],
            Self::OutcomeUnknown => [
                "Non abbiamo ricevuto risposta. Riprova: non rischi di farlo due volte.",
                "No answer came. Try again: it can't happen twice.",
                "Keine Antwort erhalten. Versuchen Sie es noch einmal: Es kann nicht doppelt geschehen.",
            ],
            Self::NotOurServer => [
                "La rete chiede un accesso o non lascia passare l'app. Apri il browser, accedi alla rete e riprova.",
                "This network asks you to sign in or blocks the app. Open your browser, join the network, try again.",
                "Dieses Netz verlangt eine Anmeldung oder sperrt die App. Öffnen Sie den Browser, melden Sie sich im Netz an und \
                 versuchen Sie es noch einmal.",
            ],
            Self::CertificateTime => [
                "Controlla data e ora del telefono, poi riprova.",
                "Check your phone's date and time, then try again.",
                "Prüfen Sie Datum und Uhrzeit des Telefons und versuchen Sie es noch einmal.",
            ],
            Self::OlderServer => [
                "Il Comune non offre ancora questa funzione nell'app: rivolgiti all'ufficio scuola.",
                "The municipality does not offer this in the app yet: please ask the school office.",
                "Die Gemeinde bietet dies in der App noch nicht an: Bitte wenden Sie sich an das Schulamt der Gemeinde.",
            ],
            Self::Wiped => [
                "L'accesso da questo telefono è stato chiuso a distanza e i dati sono stati cancellati. Se il telefono è ancora \
                 tuo, accedi di nuovo.",
                "This phone was signed out from afar and its data removed. If the phone is still yours, sign in again.",
                "Dieses Telefon wurde aus der Ferne abgemeldet, die Daten sind gelöscht. Ist es noch Ihres, melden Sie sich \
                 wieder an.",
            ],
            Self::SignedOut => ["Accedi di nuovo.", "Please sign in again.", "Bitte melden Sie sich wieder an."],
            Self::Invalid(Invalid::ActivationCode) => [
                "Il codice di attivazione ha 10 cifre: controllalo sulla lettera del Comune.",
                "The activation code has 10 digits: check the municipality's letter.",
                "Der Aktivierungscode hat 10 Ziffern: Sehen Sie im Brief der Gemeinde nach.",
            ],
            Self::Invalid(Invalid::FiscalCode) => [
                "Il codice fiscale ha 16 caratteri: controllalo sulla tessera sanitaria.",
                "The codice fiscale has 16 characters: check it on your health card.",
                "Die Steuernummer hat 16 Zeichen: Sehen Sie auf der Gesundheitskarte nach.",
            ],
            Self::Invalid(Invalid::EmailCode) => [
                "Il codice dell'e-mail ha 8 cifre: controllalo nel messaggio.",
                "The e-mail's code has 8 digits: check it in the message.",
                "Der Code aus der E-Mail hat 8 Ziffern: Sehen Sie in der Nachricht nach.",
            ],
            Self::Invalid(Invalid::Number) => [
                "Scrivi le due cifre che vedi sull'altro dispositivo.",
                "Type the two digits that the other device shows.",
                "Geben Sie die zwei Ziffern ein, die das andere Gerät zeigt.",
            ],
            Self::Invalid(_) => {
                ["Dato non valido: controlla.", "Not valid: please check.", "Ungültige Angabe: Bitte prüfen Sie sie."]
            }
            Self::Cache(CacheError::Full) => [
                "Il telefono è pieno: libera spazio e riprova.",
                "Your phone is full: free some space and try again.",
                "Der Speicher ist voll: Schaffen Sie Platz und versuchen Sie es noch einmal.",
            ],
            Self::SecureStore(SecureStoreError::Locked) => [
                "Sblocca il telefono e riprova.",
                "Unlock your phone and try again.",
                "Entsperren Sie das Telefon und versuchen Sie es noch einmal.",
            ],
            Self::SecureStore(_) | Self::Cache(_) | Self::NoRandomness | Self::Closed => [
                "Qualcosa non va nel telefono: chiudi e riapri l'app.",
                "Something is wrong on the phone: close the app and open it again.",
                "Auf dem Telefon stimmt etwas nicht: Schließen Sie die App und öffnen Sie sie wieder.",
            ],
        };
        pick(language, [it, en, de]).to_owned()
    }
}

/// What a refusal says where the server was not asked. Where it was, its own sentence is shown; a server that says nothing gets
/// the general one for what only it can know.
pub(crate) fn own_words(language: Language, reason: Reason, rule: Option<PasswordRule>) -> String {
    let texts = match (reason, rule) {
        (Reason::OfficeCodeMistyped, _) => return OfficeCodeError::Check.sentence(language).to_owned(),
        (Reason::UsernameInvalid, _) => return UsernameError::Character.sentence(language).to_owned(),
        (Reason::RecoveryEnded, _) => return recovery_ended(language).to_owned(),
        (Reason::PasswordRefused, Some(rule)) => return rule.sentence(language).to_owned(),
        (Reason::PasswordRefused, None) => [
            "Questa password non va bene: scegline un'altra, per esempio una frase.",
            "This password will not do: choose another one, a sentence for example.",
            "Dieses Passwort eignet sich nicht: Bitte ein anderes wählen, zum Beispiel einen Satz.",
        ],
        (Reason::NoticeNotPayable, _) => [
            "Per questo pagamento non c'è un avviso da pagare: è già pagato, scaduto o ritirato. Aggiorna e guarda come sta.",
            "There is no notice to pay for this: it is paid, expired or withdrawn. Refresh to see how it stands.",
            "Dafür gibt es keine Zahlungsaufforderung mehr: bezahlt, abgelaufen oder zurückgezogen. Bitte aktualisieren.",
        ],
        (Reason::PeriodInvalid, _) => [
            "Controlla le date: dal primo all'ultimo giorno, al massimo due anni.",
            "Check the dates: from the first day to the last, two years at most.",
            "Bitte prüfen Sie die Daten: vom ersten bis zum letzten Tag, höchstens zwei Jahre.",
        ],
        (Reason::AddressInvalid, _) => [
            "Questo non è un indirizzo e-mail: controllalo.",
            "This is not an e-mail address: please check it.",
            "Das ist keine E-Mail-Adresse: Bitte prüfen Sie sie.",
        ],
        _ => [
            "Il Comune non ha accettato la richiesta. Riprova o chiama l'ufficio scuola.",
            "The municipality did not accept this. Try again or call the school office.",
            "Die Gemeinde hat das nicht angenommen. Versuchen Sie es noch einmal oder rufen Sie das Schulamt der Gemeinde an.",
        ],
    };
    language.choose(texts).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_here_says_what_to_do() {
        let reasons = [
            Reason::OfficeCodeMistyped,
            Reason::UsernameInvalid,
            Reason::PasswordRefused,
            Reason::RecoveryEnded,
            Reason::NoticeNotPayable,
            Reason::PeriodInvalid,
            Reason::AddressInvalid,
        ];
        let rules = ["short", "long", "simple", "common", "personal"].map(PasswordRule::from_code);
        let said = |language| {
            let of_reasons = reasons.iter().map(|reason| own_words(language, *reason, None));
            let of_rules = rules.iter().map(|rule| own_words(language, Reason::PasswordRefused, *rule));
            let mut said: Vec<String> =
                of_reasons.chain(of_rules).chain([own_words(language, Reason::Other, None)]).collect();
            assert!(said.iter().all(|text| text.ends_with('.')), "{said:?}");
            said.sort();
            said.dedup();
            said
        };
        let all: Vec<String> =
            [Language::Italian, Language::English, Language::German].into_iter().flat_map(said).collect();
        assert_eq!(all.len(), 3 * (reasons.len() + rules.len() + 1), "{all:#?}");
    }
}
