//! What an operator sets: a TOML file, and the environment for secrets. Unsafe settings are refused with a sentence
//! that says what to set.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use borsellino_pagopa::checkout::{CheckoutClient, SetupError, Timeouts, Url};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// The environment variable that holds the server's secret, 64 hexadecimal digits.
pub const SECRET_VARIABLE: &str = "BORSELLINO_SECRET";

/// The environment variable that holds the subscription key of Checkout.
pub const CHECKOUT_KEY_VARIABLE: &str = "BORSELLINO_CHECKOUT_KEY";

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
    /// A file with the server's secret; the environment wins.
    pub secret_file: Option<PathBuf>,
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
    /// TLS ends at a proxy in front; without this only loopback addresses are listened on.
    #[serde(default)]
    pub tls_at_proxy: bool,
}

/// The pagoPA Node's listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The proxies that verify the Node's certificate and are the only ones who may connect.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
}

/// pagoPA Checkout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// `https://api.platform.pagopa.it/checkout/ec/v2`.
    pub url: String,
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
        127.0.0.1, or name the proxies that verify the Node's certificate in node.trusted_proxies"
    )]
    OpenNode(SocketAddr),
    /// A public port in clear.
    #[error(
        "public.listen = {0} would send passwords in clear: listen on 127.0.0.1, or set public.tls_at_proxy = true \
        where a proxy in front ends TLS"
    )]
    OpenPublic(SocketAddr),
    /// Checkout without a key.
    #[error("checkout.url is set without its key: put the subscription key into BORSELLINO_CHECKOUT_KEY")]
    NoCheckoutKey,
    /// Checkout's settings.
    #[error("checkout: {0}")]
    Checkout(#[from] SetupError),
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
        if !self.node.listen.ip().is_loopback() && self.node.trusted_proxies.is_empty() {
            return Err(ConfigError::OpenNode(self.node.listen));
        }
        if !self.public.listen.ip().is_loopback() && !self.public.tls_at_proxy {
            return Err(ConfigError::OpenPublic(self.public.listen));
        }
        let parsed = self.public.url.as_deref().map(Url::parse);
        let reachable = match parsed {
            Some(Ok(url)) => matches!(url.scheme(), "http" | "https") && url.has_host(),
            Some(Err(_)) => false,
            // What is listened on is the address, unless it is a proxy that is reached.
            None => !self.public.tls_at_proxy,
        };
        if !reachable {
            return Err(ConfigError::PublicUrl);
        }
        Ok(())
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

    #[test]
    fn what_is_unsafe_is_refused_with_its_remedy() {
        let safe = "[database]\nurl = 'sqlite:/tmp/x'\n[public]\nlisten = '127.0.0.1:1'\n[node]\nlisten = '[::1]:2'";
        assert!(config(safe).is_ok());
        let open = config(&safe.replace("[::1]", "0.0.0.0")).unwrap_err();
        assert!(open.to_string().contains("node.trusted_proxies"), "{open}");
        let proxied = safe.replace("[::1]", "0.0.0.0") + "\ntrusted_proxies = ['10.0.0.1']";
        assert!(config(&proxied).is_ok());
        let open = config(&safe.replace("127.0.0.1", "192.0.2.1")).unwrap_err();
        assert!(open.to_string().contains("public.tls_at_proxy"), "{open}");
        let behind = |url: &str| config(&safe.replace("[node]", &format!("tls_at_proxy = true\n{url}\n[node]")));
        assert!(behind("url = 'https://borsellino.comune.example'").is_ok());
        for wrong in ["", "url = 'borsellino.comune.example'", "url = 'ftp://x'"] {
            assert!(matches!(behind(wrong), Err(ConfigError::PublicUrl)), "{wrong}");
        }
        assert!(matches!(config(&safe.replace("sqlite:", "mysql:")), Err(ConfigError::DatabaseUrl)));
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
