//! Handing one letter to an SMTP server. What is sent, to whom and when is decided elsewhere; here is how.
//!
//! A [`Mailer`] takes a [`Letter`] and tells what became of it: the server took it, or there is [`Trouble`]. A letter may be
//! sent twice (an answer that was lost), always under the same `Message-ID`, which is made of its id. Nothing that this module
//! says of a letter, in answers, errors or `Debug`, holds an address or a word of it. The message is made in `message`, the
//! dialogue is in `smtp`.

mod address;
mod message;
mod page;
pub mod returned;
mod smtp;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use borsellino_domain::language::Language;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use self::address::{Address, AddressError};
pub use self::page::{Content, named};
use self::smtp::{Opening, Reply, Talk, Tls, Wire};
use crate::clock::Clock;

/// How many connections wait for a next letter at a time.
const IDLE: usize = 4;

/// How long they do, unless it is set otherwise.
pub const IDLE_FOR: Duration = Duration::from_secs(10);

/// How long a server has to take leave.
const LEAVE: Duration = Duration::from_secs(2);

/// How much of a server's answer is told, in characters.
const MAX_ANSWER: usize = 200;

/// How the way to the server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte (RFC 8314), usually on port 465.
    Tls,
    /// TLS after a few words in clear, usually on port 587. Without it nothing is sent.
    Starttls,
    /// In clear; only to this machine itself.
    None,
}

impl Security {
    /// The port where such servers listen.
    pub fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::Starttls => 587,
            Self::None => 25,
        }
    }
}

/// Who signs in to the server.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// As whom letters are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What a reader sees, e.g. `Comune di Valdorso`; may be empty.
    pub name: String,
    /// The address; its domain is also the second half of each `Message-ID`, and what the server is greeted with.
    pub address: Address,
}

/// What a mailer is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server: a name or an IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is secured.
    pub security: Security,
    /// As whom to sign in, if at all.
    pub credentials: Option<Credentials>,
    /// As whom letters are sent.
    pub from: Sender,
    /// Where answers go, if not to `from`.
    pub reply_to: Option<Address>,
    /// How long one letter may take in all: connection, TLS and every answer.
    pub timeout: Duration,
    /// How long a connection waits for a next letter.
    pub idle_for: Duration,
    /// In PEM, the authorities of the server's certificate; the machine's own where there are none.
    pub authorities: Option<String>,
}

/// Why a mailer can't be set up, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// Letters in clear over a network.
    #[error(
        "mail.security = \"none\" would send letters and the password in clear to {0}: set mail.security to \"tls\" or \
        \"starttls\", or mail.host to 127.0.0.1 where a mail server runs on this machine"
    )]
    Clear(String),
    /// No name that a certificate could be for.
    #[error(
        "mail.host is neither a name nor an IP address: write it without scheme and port, e.g. smtp.comune.example"
    )]
    Host,
    /// A name that can't be said in SMTP or in a header.
    #[error("{0} holds line breaks or other control characters: take them out")]
    Control(&'static str),
    /// Nothing can be answered in no time.
    #[error("mail.timeout_seconds is 0: letters could never be sent")]
    Timeout,
    /// No certificates in `mail.ca`.
    #[error("mail.ca holds no certificate in PEM: write there the authorities of the mail server's certificate")]
    Authorities,
    /// None on this machine.
    #[error("this machine has no root certificates: install ca-certificates, or set mail.ca")]
    NoRoots,
}

/// A letter to one person.
#[derive(Clone)]
pub struct Letter {
    /// Its id: the same id is the same letter, and has the same `Message-ID`.
    pub id: Uuid,
    /// To whom.
    pub to: Address,
    /// The language that it is written in.
    pub language: Language,
    /// What it is about, in one line.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
    /// The same as a page, for those who prefer it: one without anything that is loaded from elsewhere.
    pub html: Option<String>,
    /// What is enclosed.
    pub attachments: Vec<Attachment>,
    /// Where whoever does not want more of this kind says so with one click (RFC 8058): an `https` address, which tells no name.
    /// Any other is left out of the headers.
    pub unsubscribe: Option<String>,
}

impl Letter {
    /// A letter of text alone.
    pub fn plain(id: Uuid, to: Address, language: Language, (subject, text): (String, String)) -> Self {
        Self { id, to, language, subject, text, html: None, attachments: Vec::new(), unsubscribe: None }
    }
}

/// Something enclosed in a letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called, with its ending; in any script. What no file name may hold is taken out.
    pub name: String,
    /// What it is, e.g. `application/pdf`: ASCII, without parameters.
    pub media_type: &'static str,
    /// Itself.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.id)
    }
}

/// Why a letter was not taken. The code is short, ASCII, and holds no address and no word of the letter: where in the dialogue
/// (`connect`, `tls`, `greeting`, `ehlo`, `starttls`, `auth`, `mail`, `rcpt`, `data`, `letter`: after its end), and what the
/// server answered (`550 5.1.1`) or what happened (`timeout`, `cut`, `certificate`, ...).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// To be tried again: the network, TLS, no answer, a refusal for now, or one that is about us and not about the letter.
    /// Where the code begins with `letter` and ends with `cut` or `timeout`, the server may have taken it all the same.
    #[error("not now: {0}")]
    Later(String),
    /// The server will never take it: the recipient or the letter itself is refused.
    #[error("refused: {0}")]
    Refused(String),
}

impl Trouble {
    /// What happened, in short.
    pub fn code(&self) -> &str {
        match self {
            Self::Later(code) | Self::Refused(code) => code,
        }
    }
}

/// Sends letters through one server. It may be asked for several at a time: each has a connection of its own, and a few wait
/// for the next letters.
pub struct Mailer {
    settings: Settings,
    tls: Option<Tls>,
    clock: Clock,
    idle: Arc<Mutex<Idle>>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Connections that wait, and since when.
#[derive(Default)]
struct Idle {
    talks: Vec<(Talk<Box<dyn Wire>>, Instant)>,
    /// Somebody looks after them.
    looked_after: bool,
}

impl Settings {
    /// What can be told without network and files.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn check(&self) -> Result<(), SetupError> {
        let name = server_name(&self.host).ok_or(SetupError::Host)?;
        if self.security == Security::None && !is_loopback(&name) {
            return Err(SetupError::Clear(self.host.clone()));
        }
        let control = |text: &str| text.chars().any(char::is_control);
        if control(&self.from.name) {
            return Err(SetupError::Control("mail.from.name"));
        }
        if let Some(credentials) = &self.credentials {
            if control(&credentials.username) {
                return Err(SetupError::Control("mail.username"));
            }
            if control(&credentials.password) {
                return Err(SetupError::Control("the mail server's password"));
            }
        }
        if self.timeout.is_zero() { Err(SetupError::Timeout) } else { Ok(()) }
    }

    fn tls(&self) -> Result<Option<Tls>, SetupError> {
        if self.security == Security::None {
            return Ok(None);
        }
        let name = server_name(&self.host).ok_or(SetupError::Host)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|_| SetupError::NoRoots)?;
        let builder = match &self.authorities {
            None => builder.with_platform_verifier().map_err(|_| SetupError::NoRoots)?,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.map_err(|_| SetupError::Authorities)?;
                    roots.add(certificate).map_err(|_| SetupError::Authorities)?;
                }
                if roots.is_empty() {
                    return Err(SetupError::Authorities);
                }
                builder.with_root_certificates(roots)
            }
        };
        Ok(Some(Tls { connector: TlsConnector::from(Arc::new(builder.with_no_client_auth())), name }))
    }
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()
}

fn is_loopback(name: &ServerName<'_>) -> bool {
    match name {
        ServerName::DnsName(name) => name.as_ref().eq_ignore_ascii_case("localhost"),
        ServerName::IpAddress(address) => IpAddr::from(*address).is_loopback(),
        _ => false,
    }
}

impl Mailer {
    /// A mailer that dates letters by `clock`. It does not connect yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        settings.check()?;
        let tls = settings.tls()?;
        Ok(Self { settings, tls, clock, idle: Arc::default() })
    }

    /// How long one letter may take at most, a little more than which it is to be leased.
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Hands a letter over, and tells what the server answered: at most 200 characters, without addresses. It is the server's
    /// then, which does not mean that it arrived.
    ///
    /// Given up half-way (the future is dropped), the letter may have been taken or not.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn send(&self, letter: &Letter) -> Result<String, Trouble> {
        let started = Instant::now();
        let deadline = started + self.settings.timeout;
        let message = message::write(&self.settings, letter, self.clock.now());
        let message = message.ok_or_else(|| Trouble::Refused("letter form".to_owned()))?;
        let mut talk = match self.standing(started).await {
            Some(talk) => talk,
            None => self.opening().open(deadline).await.map_err(|failure| failure.trouble())?,
        };
        talk.until(deadline);
        let answer = talk.deliver(&self.settings.from.address, &letter.to, &message).await;
        if answer.as_ref().map_or_else(|failure| failure.leaves_a_connection(), |_| true) {
            self.keep(talk);
        }
        answer.map(|reply| told(&reply, &letter.to)).map_err(|failure| failure.trouble())
    }

    fn opening(&self) -> Opening<'_> {
        Opening {
            host: self.settings.host.trim_matches(['[', ']']),
            port: self.settings.port,
            tls: self.tls.as_ref(),
            starttls: self.settings.security == Security::Starttls,
            hello: self.settings.from.address.domain(),
            credentials: self.settings.credentials.as_ref(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that waited and still stands. To be told so takes a quarter of the time at most, so that enough is left
    /// for a new one.
    async fn standing(&self, now: Instant) -> Option<Talk<Box<dyn Wire>>> {
        let until = now + self.settings.timeout / 4;
        loop {
            let (mut talk, _) = self.idle().talks.pop()?;
            talk.until(until);
            if talk.reset().await.is_ok() {
                return Some(talk);
            }
        }
    }

    /// Keeps a connection for the next letter.
    fn keep(&self, talk: Talk<Box<dyn Wire>>) {
        let mut idle = self.idle();
        if idle.talks.len() >= IDLE {
            drop(idle);
            tokio::spawn(leave(talk));
            return;
        }
        idle.talks.push((talk, Instant::now()));
        if !std::mem::replace(&mut idle.looked_after, true) {
            tokio::spawn(look_after(Arc::clone(&self.idle), self.settings.idle_for));
        }
    }
}

async fn leave(mut talk: Talk<Box<dyn Wire>>) {
    talk.until(Instant::now() + LEAVE);
    talk.quit().await;
}

/// Takes leave of servers for whom nothing came, until no connection is left.
async fn look_after(idle: Arc<Mutex<Idle>>, idle_for: Duration) {
    let mut left = true;
    while left {
        sleep(idle_for).await;
        let old: Vec<_> = {
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            let old = idle.talks.extract_if(.., |(_, since)| since.elapsed() >= idle_for).collect();
            left = !idle.talks.is_empty();
            idle.looked_after = left;
            old
        };
        futures_util::future::join_all(old.into_iter().map(|(talk, _)| leave(talk))).await;
    }
}

/// What of an answer may be told: no word that could be an address.
fn told(reply: &Reply, to: &Address) -> String {
    let own = to.local().to_ascii_lowercase();
    let tells = |word: &str| word.contains('@') || (own.len() > 2 && word.to_ascii_lowercase().contains(&own));
    let words = reply.lines.iter().flat_map(|line| line.split_ascii_whitespace());
    let words: Vec<&str> = words.map(|word| if tells(word) { "..." } else { word }).collect();
    format!("{} {}", reply.code, words.join(" ")).chars().take(MAX_ANSWER).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, security: Security) -> Settings {
        Settings {
            host: host.to_owned(),
            port: security.port(),
            security,
            credentials: None,
            from: Sender {
                name: "Comune di Valdorso".to_owned(),
                address: Address::parse("borsellino@comune.example").unwrap(),
            },
            reply_to: None,
            timeout: Duration::from_secs(1),
            idle_for: IDLE_FOR,
            authorities: None,
        }
    }

    #[test]
    fn in_clear_only_to_this_machine() {
        for own in ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert_eq!(settings(own, Security::None).check(), Ok(()), "{own}");
        }
        for other in ["192.0.2.1", "smtp.comune.example", "localhost.example", "127.0.0.1.example", "0.0.0.0"] {
            let error = settings(other, Security::None).check().unwrap_err();
            assert_eq!(error, SetupError::Clear(other.to_owned()));
            assert!(error.to_string().contains("\"starttls\"") && error.to_string().contains(other), "{error}");
            assert_eq!(settings(other, Security::Starttls).check(), Ok(()), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_set() {
        for host in ["", "smtp://x", "smtp.example:25", "a b", "smtp.example\r\n"] {
            assert_eq!(settings(host, Security::Tls).check(), Err(SetupError::Host), "{host:?}");
        }
        let good = || settings("smtp.comune.example", Security::Tls);
        let name = Settings { from: Sender { name: "Comune\r\nBcc: x@y.it".to_owned(), ..good().from }, ..good() };
        assert_eq!(name.check(), Err(SetupError::Control("mail.from.name")));
        for (username, password, what) in
            [("a\r\nb", "p", "mail.username"), ("a", "p\0q", "the mail server's password")]
        {
            let credentials =
                Credentials { username: username.to_owned(), password: Zeroizing::new(password.to_owned()) };
            let with = Settings { credentials: Some(credentials), ..good() };
            assert_eq!(with.check(), Err(SetupError::Control(what)));
        }
        assert_eq!(Settings { timeout: Duration::ZERO, ..good() }.check(), Err(SetupError::Timeout));
        for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let with = Settings { authorities: Some(pem.to_owned()), ..good() };
            let error = Mailer::new(with, Clock::system()).map(drop).unwrap_err();
            assert_eq!(error, SetupError::Authorities, "{pem:?}");
        }
    }

    #[test]
    fn an_answer_is_told_without_addresses() {
        let to = Address::parse("Maria.Bianchi@comune.example").unwrap();
        let answer = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            told(&Reply { code: 250, lines }, &to)
        };
        assert_eq!(answer(&["2.0.0 Ok: queued as 4ZxQ1"]), "250 2.0.0 Ok: queued as 4ZxQ1");
        assert_eq!(answer(&["Ok <x@y.it>", "user=maria.bianchi done"]), "250 Ok ... ... done");
        assert_eq!(answer(&[""]), "250");
        assert_eq!(answer(&["x".repeat(300).as_str()]).len(), MAX_ANSWER);
    }
}
