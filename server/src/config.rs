//! What an operator sets: a TOML file, and the environment for secrets. Unsafe settings are refused with a sentence
//! that says what to set.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use borsellino_documents::{Renderer, TemplateError, Templates};
use borsellino_domain::time::Millis;
use borsellino_pagopa::checkout::{CheckoutClient, SetupError, Timeouts, Url};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::listener::{Callers, Clients, DEFAULT_CONNECTIONS, Settings};
use crate::mail::{self, Address, AddressError, Credentials, Mailer, Security, Sender};
use crate::notify::account::{AccountError, ServiceAccount};
use crate::notify::fcm::{self, Fcm};
use crate::notify::{self, Push};

mod identities;

pub use self::identities::{OidcError, OidcSection};

/// The environment variable that holds the server's secret, 64 hexadecimal digits.
pub const SECRET_VARIABLE: &str = "BORSELLINO_SECRET";

/// The environment variable that holds the subscription key of Checkout.
pub const CHECKOUT_KEY_VARIABLE: &str = "BORSELLINO_CHECKOUT_KEY";

/// The environment variable that holds the password of the mail server.
pub const MAIL_PASSWORD_VARIABLE: &str = "BORSELLINO_MAIL_PASSWORD";

/// The environment variable that replaces `database.url`, where it holds a password.
pub const DATABASE_VARIABLE: &str = "BORSELLINO_DATABASE_URL";

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the data is.
    pub database: Database,
    /// The port of the apps and browsers.
    pub public: Public,
    /// The pagoPA Node's listener.
    pub node: Node,
    /// pagoPA Checkout; without it parents pay by notice only.
    pub checkout: Option<Checkout>,
    /// Firebase Cloud Messaging; without it phones are told nothing while the app is closed.
    pub push: Option<PushSection>,
    /// The server that letters are handed to; without it no e-mail is sent.
    pub mail: Option<MailSection>,
    /// Identity providers that parents may sign in with.
    #[serde(default)]
    pub oidc: Vec<OidcSection>,
    /// What documents look like.
    #[serde(default)]
    pub documents: DocumentsSection,
    /// A file with the server's secret; the environment wins.
    pub secret_file: Option<PathBuf>,
    /// For how many seconds a node that was asked to stop goes on answering while it says that it is not ready.
    #[serde(default)]
    pub drain_seconds: u64,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// Where the data is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:/var/lib/borsellino/borsellino.sqlite` or `postgres://...`.
    pub url: String,
    /// How many connections to PostgreSQL; about eight per core of its machine.
    #[serde(default = "sixteen")]
    pub connections: u32,
}

fn sixteen() -> u32 {
    16
}

/// The port of the apps and browsers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How the outside reaches it, e.g. `https://borsellino.comune.example`; by default the address itself.
    pub url: Option<String>,
    /// TLS ends here; without this or a proxy only loopback addresses are listened on.
    pub tls: Option<PublicTls>,
    /// TLS ends at a proxy in front.
    #[serde(default)]
    pub tls_at_proxy: bool,
    /// How many connections there are at a time; further ones wait.
    #[serde(default = "connections")]
    pub max_connections: NonZeroU32,
}

fn connections() -> NonZeroU32 {
    DEFAULT_CONNECTIONS
}

/// TLS on the public port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTls {
    /// A PEM file: the port's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// A PEM file: its key.
    pub key: PathBuf,
}

/// The pagoPA Node's listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Mutual TLS ends here; without this or a proxy only loopback addresses are listened on.
    pub tls: Option<NodeTls>,
    /// The only addresses, besides this machine's own, from which anybody may connect. Without `tls`: the proxies that
    /// verify the Node's certificate.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
    /// How many connections there are at a time; further ones wait.
    #[serde(default = "connections")]
    pub max_connections: NonZeroU32,
}

/// Mutual TLS on the Node's port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTls {
    /// A PEM file: the port's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// A PEM file: its key.
    pub key: PathBuf,
    /// A PEM file: the authorities of the clients' certificates.
    pub client_ca: PathBuf,
    /// Whose certificates they must be: a DNS name or the common name.
    pub client_names: Vec<String>,
}

/// pagoPA Checkout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// `https://api.platform.pagopa.it/checkout/ec/v2`.
    pub url: String,
}

/// Firebase Cloud Messaging.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushSection {
    /// The service account's JSON file, as the Firebase console gives it out.
    pub service_account: PathBuf,
    /// Where FCM is; another address is for tests.
    #[serde(default = "fcm_url")]
    pub url: String,
    /// How many messages a minute this node sends at most: its part of the project's quota.
    #[serde(default = "per_minute")]
    pub messages_per_minute: NonZeroU32,
    /// How many messages are on their way at a time.
    #[serde(default = "in_flight")]
    pub in_flight: NonZeroU32,
    /// For how many days what became of each message is kept.
    #[serde(default = "keep_days")]
    pub keep_log_days: NonZeroU32,
}

fn fcm_url() -> String {
    fcm::URL.to_owned()
}

fn per_minute() -> NonZeroU32 {
    NonZeroU32::new(notify::Settings::default().per_minute).unwrap_or(NonZeroU32::MIN)
}

fn in_flight() -> NonZeroU32 {
    NonZeroU32::new(notify::Settings::default().in_flight).unwrap_or(NonZeroU32::MIN)
}

fn keep_days() -> NonZeroU32 {
    NonZeroU32::new(notify::Settings::default().keep_days).unwrap_or(NonZeroU32::MIN)
}

/// The server that letters are handed to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSection {
    /// Its name or IP address.
    pub host: String,
    /// Its port; by default the usual one of `security`.
    pub port: Option<NonZeroU16>,
    /// How the way there is secured.
    pub security: Security,
    /// As whom to sign in, if at all.
    pub username: Option<String>,
    /// A file with the password; the environment wins.
    pub password_file: Option<PathBuf>,
    /// As whom letters are sent.
    pub from: MailSender,
    /// Where answers go, if not to `from`.
    pub reply_to: Option<String>,
    /// How long one letter may take in all.
    #[serde(default = "mail_timeout")]
    pub timeout_seconds: NonZeroU16,
    /// A PEM file: the authorities of the server's certificate, in place of the machine's.
    pub ca: Option<PathBuf>,
    /// For how many days what became of each letter is kept.
    #[serde(default = "mail_keep_days")]
    pub keep_log_days: NonZeroU32,
}

/// What documents look like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsSection {
    /// A folder with templates (`*.typ`) that stand in place of the program's.
    pub templates: Option<PathBuf>,
}

/// As whom letters are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSender {
    /// What a reader sees.
    pub name: String,
    /// The address.
    pub address: String,
}

fn mail_keep_days() -> NonZeroU32 {
    NonZeroU32::new(crate::jobs::mail::KEEP_DAYS).unwrap_or(NonZeroU32::MIN)
}

fn mail_timeout() -> NonZeroU16 {
    NonZeroU16::new(60).unwrap_or(NonZeroU16::MIN)
}

impl MailSection {
    /// What is set, without what stands in files and in the environment.
    fn settings(&self) -> Result<mail::Settings, ConfigError> {
        let address =
            |field, text: &str| Address::parse(text).map_err(|source| ConfigError::MailAddress { field, source });
        let from = Sender { name: self.from.name.clone(), address: address("mail.from.address", &self.from.address)? };
        let reply_to = self.reply_to.as_deref().map(|text| address("mail.reply_to", text)).transpose()?;
        if self.password_file.is_some() && self.username.is_none() {
            return Err(ConfigError::NoMailUser);
        }
        let settings = mail::Settings {
            host: self.host.clone(),
            port: self.port.map_or(self.security.port(), NonZeroU16::get),
            security: self.security,
            credentials: None,
            from,
            reply_to,
            timeout: Duration::from_secs(self.timeout_seconds.get().into()),
            idle_for: mail::IDLE_FOR,
            authorities: None,
        };
        settings.check()?;
        Ok(settings)
    }

    fn password(&self) -> Result<Zeroizing<String>, ConfigError> {
        let text = match (std::env::var(MAIL_PASSWORD_VARIABLE), &self.password_file) {
            (Ok(text), _) => Zeroizing::new(text),
            (Err(_), Some(path)) => {
                let text = Zeroizing::new(read(path)?);
                warn_of_readers(path, "the mail server's password");
                text
            }
            (Err(_), None) => return Err(ConfigError::NoMailPassword),
        };
        // What an editor leaves at the end is no part of it.
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() { Err(ConfigError::NoMailPassword) } else { Ok(Zeroizing::new(password.to_owned())) }
    }
}

/// What is logged: never personal data, at any level.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,borsellino_store=debug`.
    #[serde(default = "info")]
    pub filter: String,
    /// One JSON object a line instead of text.
    #[serde(default)]
    pub json: bool,
}

fn info() -> String {
    "info".to_owned()
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: info(), json: false }
    }
}

/// Why a configuration can't be used, and what to do.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A template of a document.
    #[error("documents.templates: {0}")]
    Template(#[from] TemplateError),
    /// Its form.
    #[error("{path} is not a valid configuration: {source}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// No secret.
    #[error(
        "no secret: put 64 hexadecimal digits into BORSELLINO_SECRET or into the file named by secret_file \
        (make them with: openssl rand -hex 32)"
    )]
    NoSecret,
    /// A secret of the wrong form.
    #[error("the secret is not 64 hexadecimal digits (make one with: openssl rand -hex 32)")]
    BadSecret,
    /// An open Node listener.
    #[error(
        "node.listen = {0} can be reached from outside, and whoever reaches it can post a receipt: listen on \
        127.0.0.1, or set node.tls to verify the Node's certificate here, or name the proxies that verify it in \
        node.trusted_proxies"
    )]
    OpenNode(SocketAddr),
    /// Mutual TLS that lets nobody in.
    #[error(
        "node.tls.client_names is empty, so nobody could connect: name the subject of the Node's certificate, a DNS \
        name or the common name"
    )]
    NoClientName,
    /// A name that no certificate has.
    #[error(
        "node.tls.client_names holds '{0}', but names are compared whole: write the DNS name or the common name as it \
        stands in the Node's certificate, without wildcards or spaces around"
    )]
    BadClientName(String),
    /// A public port in clear.
    #[error(
        "public.listen = {0} would send passwords in clear: listen on 127.0.0.1, or set public.tls to end TLS here, or \
        public.tls_at_proxy = true where a proxy in front ends it"
    )]
    OpenPublic(SocketAddr),
    /// TLS in two places.
    #[error(
        "public.tls and public.tls_at_proxy are both set, but TLS ends in one place: leave out public.tls_at_proxy, or \
        public.tls where a proxy in front ends it"
    )]
    TwoTls,
    /// TLS, and an address without it.
    #[error("public.url = {0} sends browsers past TLS: write https:// in front")]
    PlainUrl(String),
    /// Checkout without a key.
    #[error("checkout.url is set without its key: put the subscription key into BORSELLINO_CHECKOUT_KEY")]
    NoCheckoutKey,
    /// Checkout's settings.
    #[error("checkout: {0}")]
    Checkout(#[from] SetupError),
    /// The service account for pushes.
    #[error("push.service_account = {path} can't be used: {source}")]
    Account {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: AccountError,
    },
    /// The sender of pushes.
    #[error("{0}")]
    Push(#[from] fcm::SetupError),
    /// An address in `[mail]`.
    #[error("{field} can't be used: {source}")]
    MailAddress {
        /// Which.
        field: &'static str,
        /// Why.
        source: AddressError,
    },
    /// A password of nobody.
    #[error(
        "mail.password_file is set without mail.username: set it, or leave out both where the server asks for neither"
    )]
    NoMailUser,
    /// A user without a password.
    #[error(
        "mail.username is set without its password: put it into BORSELLINO_MAIL_PASSWORD or into the file named by \
        mail.password_file"
    )]
    NoMailPassword,
    /// The rest of `[mail]`.
    #[error("{0}")]
    Mail(#[from] mail::SetupError),
    /// An identity provider.
    #[error("{0}")]
    Oidc(#[from] OidcError),
    /// The public address.
    #[error(
        "public.url must be an address that browsers reach, with https:// in front: pagoPA sends parents back there"
    )]
    PublicUrl,
    /// The database's address.
    #[error("database.url must begin with sqlite: or postgres:")]
    DatabaseUrl,
}

/// Which database, as its address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(String),
}

/// Reads a database's address.
///
/// # Errors
/// [`ConfigError::DatabaseUrl`].
pub fn database_kind(url: &str) -> Result<DatabaseKind, ConfigError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(DatabaseKind::Postgres(url.to_owned()));
    }
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    path.filter(|path| !path.is_empty()).map(|path| DatabaseKind::Sqlite(path.into())).ok_or(ConfigError::DatabaseUrl)
}

impl Config {
    /// Reads `path`, lets the environment have its say, and refuses what is unsafe.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        if let Ok(url) = std::env::var(DATABASE_VARIABLE) {
            config.database.url = url;
        }
        config.check()?;
        Ok(config)
    }

    /// Refuses what is unsafe (docs/operators.md, listeners).
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        database_kind(&self.database.url)?;
        if let Some(mail) = &self.mail {
            mail.settings()?;
        }
        identities::check(&self.oidc)?;
        let (public, node) = (&self.public, &self.node);
        if !node.listen.ip().is_loopback() && node.tls.is_none() && node.trusted_proxies.is_empty() {
            return Err(ConfigError::OpenNode(node.listen));
        }
        if let Some(tls) = &node.tls {
            if tls.client_names.is_empty() {
                return Err(ConfigError::NoClientName);
            }
            let none = |name: &&String| name.is_empty() || name.trim() != name.as_str() || name.contains('*');
            if let Some(name) = tls.client_names.iter().find(none) {
                return Err(ConfigError::BadClientName(name.clone()));
            }
        }
        if public.tls.is_some() && public.tls_at_proxy {
            return Err(ConfigError::TwoTls);
        }
        let tls = public.tls.is_some() || public.tls_at_proxy;
        if !public.listen.ip().is_loopback() && !tls {
            return Err(ConfigError::OpenPublic(public.listen));
        }
        let Some(url) = &public.url else {
            // What is listened on is the address, unless it is a proxy that is reached, or a certificate's host.
            return if tls { Err(ConfigError::PublicUrl) } else { Ok(()) };
        };
        let parsed = Url::parse(url).map_err(|_| ConfigError::PublicUrl)?;
        match parsed.scheme() {
            "http" | "https" if !parsed.has_host() => Err(ConfigError::PublicUrl),
            "http" if tls => Err(ConfigError::PlainUrl(url.clone())),
            "http" | "https" => Ok(()),
            _ => Err(ConfigError::PublicUrl),
        }
    }

    /// Where the public port's certificates are, if it ends TLS.
    pub fn public_tls(&self) -> Option<Settings> {
        let tls = self.public.tls.as_ref()?;
        let url = self.public.url.as_deref().and_then(|url| Url::parse(url).ok());
        Some(Settings {
            section: "public.tls",
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            host: url.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())),
            clients: None,
        })
    }

    /// Where the Node's port's certificates are, if it ends TLS, and who may connect.
    pub fn node_tls(&self) -> Option<Settings> {
        let tls = self.node.tls.as_ref()?;
        Some(Settings {
            section: "node.tls",
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            // Under which name the Node reaches us is agreed with pagoPA and stands nowhere here.
            host: None,
            clients: Some(Clients { authority: tls.client_ca.clone(), names: tls.client_names.clone() }),
        })
    }

    /// From where the Node's port may be reached. With TLS the certificate decides, and addresses only where some are
    /// named; without it the addresses are all there is.
    pub fn node_callers(&self) -> Callers {
        if self.node.tls.is_some() && self.node.trusted_proxies.is_empty() {
            return Callers::Anybody;
        }
        Callers::These(self.node.trusted_proxies.clone())
    }

    /// The server's secret.
    ///
    /// # Errors
    /// [`ConfigError`] where there is none.
    pub fn secret(&self) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
        let text = match (std::env::var(SECRET_VARIABLE), &self.secret_file) {
            (Ok(text), _) => Zeroizing::new(text),
            (Err(_), Some(path)) => {
                let read = std::fs::read_to_string(path);
                Zeroizing::new(read.map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?)
            }
            (Err(_), None) => return Err(ConfigError::NoSecret),
        };
        parse_secret(&text)
    }

    /// The sender of pushes, where one is configured, that begins at `now`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn push(&self, now: Millis) -> Result<Option<Push>, ConfigError> {
        let Some(section) = &self.push else { return Ok(None) };
        let path = &section.service_account;
        let text = Zeroizing::new(read(path)?);
        warn_of_readers(path, "the service account");
        let account = ServiceAccount::parse(&text);
        let account = account.map_err(|source| ConfigError::Account { path: path.clone(), source })?;
        let settings = notify::Settings {
            per_minute: section.messages_per_minute.get(),
            in_flight: section.in_flight.get(),
            keep_days: section.keep_log_days.get(),
            ..notify::Settings::default()
        };
        Ok(Some(Push::new(Fcm::new(account, &section.url, settings.in_flight)?, settings, now)))
    }

    /// The mailer, where one is configured, that dates letters by `clock`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn mailer(&self, clock: Clock) -> Result<Option<Mailer>, ConfigError> {
        let Some(section) = &self.mail else { return Ok(None) };
        let mut settings = section.settings()?;
        if let Some(username) = &section.username {
            settings.credentials = Some(Credentials { username: username.clone(), password: section.password()? });
        }
        settings.authorities = section.ca.as_deref().map(read).transpose()?;
        Ok(Some(Mailer::new(settings, clock)?))
    }

    /// The templates of documents that stand in place of the program's, tried out.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn templates(&self) -> Result<Templates, ConfigError> {
        let mut own = Templates::default();
        let Some(folder) = &self.documents.templates else { return Ok(own) };
        let unreadable = |source| ConfigError::Unreadable { path: folder.clone(), source };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|end| end == "typ") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                own.0.push((name, read(&path)?));
            }
        }
        own.0.sort();
        Renderer::new(&own)?;
        Ok(own)
    }

    /// The client of Checkout, where one is configured.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn checkout_client(&self) -> Result<Option<CheckoutClient>, ConfigError> {
        let Some(checkout) = &self.checkout else { return Ok(None) };
        let key = std::env::var(CHECKOUT_KEY_VARIABLE).map_err(|_| ConfigError::NoCheckoutKey)?;
        Ok(Some(checkout_client(&checkout.url, &key)?))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

fn warn_of_readers(path: &Path, what: &str) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
        tracing::warn!(path = %path.display(), "everybody on this machine can read {what}: chmod o-r");
    }
}

/// 64 hexadecimal digits.
///
/// # Errors
/// [`ConfigError::BadSecret`].
pub fn parse_secret(text: &str) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| ConfigError::BadSecret)?;
    let bytes = Zeroizing::new(bytes);
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| ConfigError::BadSecret)
}

/// A client that gives up well before the phone does.
///
/// # Errors
/// [`SetupError`].
pub fn checkout_client(url: &str, key: &str) -> Result<CheckoutClient, SetupError> {
    CheckoutClient::new(url, key, Timeouts { connect: Duration::from_secs(2), total: Duration::from_secs(6) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<(), ConfigError> {
        toml::from_str::<Config>(text).unwrap().check()
    }

    const SAFE: &str =
        "[database]\nurl = 'sqlite:/tmp/x'\n[public]\nlisten = '127.0.0.1:1'\n[node]\nlisten = '[::1]:2'";

    #[test]
    fn what_is_unsafe_is_refused_with_its_remedy() {
        assert!(config(SAFE).is_ok());
        let open = config(&SAFE.replace("[::1]", "0.0.0.0")).unwrap_err();
        assert!(open.to_string().contains("node.tls") && open.to_string().contains("node.trusted_proxies"), "{open}");
        let proxied = SAFE.replace("[::1]", "0.0.0.0") + "\ntrusted_proxies = ['10.0.0.1']";
        assert!(config(&proxied).is_ok());
        let open = config(&SAFE.replace("127.0.0.1", "192.0.2.1")).unwrap_err();
        assert!(open.to_string().contains("public.tls ") && open.to_string().contains("public.tls_at_proxy"), "{open}");
        let behind = |url: &str| config(&SAFE.replace("[node]", &format!("tls_at_proxy = true\n{url}\n[node]")));
        assert!(behind("url = 'https://borsellino.comune.example'").is_ok());
        for wrong in ["", "url = 'borsellino.comune.example'", "url = 'ftp://x'"] {
            assert!(matches!(behind(wrong), Err(ConfigError::PublicUrl)), "{wrong}");
        }
        assert!(matches!(behind("url = 'http://borsellino.comune.example'"), Err(ConfigError::PlainUrl(_))));
        assert!(matches!(config(&SAFE.replace("sqlite:", "mysql:")), Err(ConfigError::DatabaseUrl)));
        let none = SAFE.replace("[node]", "max_connections = 0\n[node]");
        assert!(toml::from_str::<Config>(&none).unwrap_err().to_string().contains("max_connections"));
    }

    #[test]
    fn tls_of_the_public_port_ends_in_one_place_and_under_https() {
        let with = |more: &str| {
            let tls = "[public.tls]\ncertificate = 'c'\nkey = 'k'";
            SAFE.replace("127.0.0.1", "0.0.0.0").replace("[node]", &format!("{more}\n{tls}\n[node]"))
        };
        let good = with("url = 'https://borsellino.comune.example'");
        assert!(config(&good).is_ok());
        let settings = toml::from_str::<Config>(&good).unwrap().public_tls().unwrap();
        assert_eq!(settings.host.as_deref(), Some("borsellino.comune.example"));
        assert!(settings.clients.is_none());
        assert!(matches!(config(&with("")), Err(ConfigError::PublicUrl)));
        assert!(matches!(config(&with("url = 'http://x.example'")), Err(ConfigError::PlainUrl(_))));
        let twice = config(&with("url = 'https://x.example'\ntls_at_proxy = true")).unwrap_err();
        assert!(twice.to_string().contains("leave out"), "{twice}");
    }

    #[test]
    fn tls_of_the_nodes_port_needs_a_name() {
        let with = |names: &str, more: &str| {
            let tls = "[node.tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\nclient_names";
            format!("{}\n{more}\n{tls} = {names}", SAFE.replace("[::1]", "0.0.0.0"))
        };
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        let good = with("['node.pagopa.example']", "");
        assert!(config(&good).is_ok());
        assert_eq!(read(&good).node_callers(), Callers::Anybody, "the certificate decides");
        let clients = read(&good).node_tls().unwrap().clients.unwrap();
        assert_eq!(clients.names, ["node.pagopa.example"]);
        let both = with("['node.pagopa.example']", "trusted_proxies = ['192.0.2.7']");
        assert!(config(&both).is_ok());
        assert_eq!(read(&both).node_callers(), Callers::These(vec![[192, 0, 2, 7].into()]), "both have to fit");
        assert_eq!(read(SAFE).node_callers(), Callers::These(Vec::new()), "this machine alone");
        assert!(matches!(config(&with("[]", "")), Err(ConfigError::NoClientName)));
        for wrong in ["''", "' node'", "'*.pagopa.example'"] {
            let names = format!("['node.pagopa.example', {wrong}]");
            assert!(matches!(config(&with(&names, "")), Err(ConfigError::BadClientName(_))), "{wrong}");
        }
    }

    const MAIL: &str = "[mail]\nhost = 'smtp.comune.example'\nsecurity = 'starttls'\n\
        from = { name = 'Comune di Valdorso', address = 'borsellino@comune.example' }";

    #[test]
    fn letters_go_over_tls_and_from_an_address() {
        let with = |mail: &str| format!("{SAFE}\n{mail}");
        assert!(config(&with(MAIL)).is_ok());
        let read = |mail: &str| toml::from_str::<Config>(&with(mail)).unwrap().mail.unwrap().settings().unwrap();
        assert_eq!((read(MAIL).port, read(MAIL).timeout), (587, Duration::from_secs(60)));
        let tls = MAIL.replace("'starttls'", "'tls'\ntimeout_seconds = 5\nreply_to = 'scuola@comune.example'");
        assert_eq!((read(&tls).port, read(&tls).timeout), (465, Duration::from_secs(5)));
        assert_eq!(read(&tls).reply_to.unwrap().as_str(), "scuola@comune.example");
        let clear = MAIL.replace("starttls", "none");
        let refused = config(&with(&clear)).unwrap_err().to_string();
        assert!(refused.contains("mail.security") && refused.contains("\"starttls\""), "{refused}");
        assert!(config(&with(&clear.replace("smtp.comune.example", "127.0.0.1"))).is_ok());
        let refused = config(&with(&MAIL.replace("borsellino@", "borsellino"))).unwrap_err().to_string();
        assert!(refused.contains("mail.from.address") && !refused.contains("borsellinocomune"), "{refused}");
        let refused = config(&with(&format!("{MAIL}\nreply_to = 'a b'"))).unwrap_err().to_string();
        assert!(refused.contains("mail.reply_to"), "{refused}");
        let refused = config(&with(&format!("{MAIL}\npassword_file = '/x'"))).unwrap_err();
        assert!(matches!(refused, ConfigError::NoMailUser));
        for wrong in ["tls = true", "timeout_seconds = 0", "port = 0", "password = 'x'"] {
            let name = wrong.split(' ').next().unwrap();
            let refused = toml::from_str::<Config>(&with(&format!("{MAIL}\n{wrong}"))).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
        for wrong in [MAIL.replace("starttls", "opportunistic"), MAIL.replace("name =", "nome =")] {
            assert!(toml::from_str::<Config>(&with(&wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_password_of_mail_is_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let user = format!("username = 'borsellino'\npassword_file = '{}'", path.display());
        let read = |more: &str| toml::from_str::<Config>(&format!("{SAFE}\n{MAIL}\n{more}")).unwrap();
        let mailer = |more: &str| read(more).mailer(Clock::system()).map(drop);
        assert!(matches!(mailer(&user), Err(ConfigError::Unreadable { .. })));
        assert!(matches!(mailer("username = 'borsellino'"), Err(ConfigError::NoMailPassword)));
        for (text, password) in [("Segreto 1 \n", Some("Segreto 1 ")), ("x\r\n", Some("x")), ("\n", None)] {
            std::fs::write(&path, text).unwrap();
            let got = read(&user).mail.unwrap().password();
            assert_eq!(got.ok().as_deref().map(String::as_str), password);
        }
        std::fs::write(&path, "a\nb").unwrap();
        let refused = mailer(&user).unwrap_err().to_string();
        assert!(refused.contains("control characters") && !refused.contains("a\nb"), "{refused}");
        let ca = format!("ca = '{}'", path.display());
        assert!(matches!(mailer(&ca), Err(ConfigError::Mail(mail::SetupError::Authorities))));
        assert!(toml::from_str::<Config>(SAFE).unwrap().mailer(Clock::system()).unwrap().is_none());
    }

    #[test]
    fn addresses_of_databases() {
        let lite = |path: &str| DatabaseKind::Sqlite(path.into());
        assert_eq!(database_kind("sqlite:///var/x.sqlite").unwrap(), lite("/var/x.sqlite"));
        assert_eq!(database_kind("sqlite:x.sqlite").unwrap(), lite("x.sqlite"));
        assert!(matches!(database_kind("postgres://h/d").unwrap(), DatabaseKind::Postgres(_)));
        assert!(database_kind("sqlite:").is_err());
    }

    #[test]
    fn a_secret_is_64_hexadecimal_digits() {
        assert_eq!(*parse_secret(&format!(" {}\n", "0A".repeat(32))).unwrap(), [10; 32]);
        assert!(parse_secret("0a").is_err());
        assert!(parse_secret(&"zz".repeat(32)).is_err());
    }
}
