//! What a port shows and asks for in TLS, from PEM files that may change while it serves.
//!
//! New files are taken when they fit each other; ones that do not are told about and the old ones stay. A connection
//! keeps what it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::time::Millis;
use ring::digest::{Context, SHA256};
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::sync::watch;
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use super::Reload;
use super::client::KnownClients;
use crate::clock::Clock;

/// So many days before a certificate ends the log says so, every day.
const ENDS_SOON: i64 = 14;

/// Where a port's certificates are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section of the configuration, for sentences: `node.tls`.
    pub section: &'static str,
    /// The port's certificate and those between it and its authority, its own first.
    pub certificate: PathBuf,
    /// The key of its own.
    pub key: PathBuf,
    /// The host that the certificate must be for, where it is known.
    pub host: Option<String>,
    /// Who may connect; everybody without.
    pub clients: Option<Clients>,
}

/// Who may connect.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The authorities of their certificates.
    pub authority: PathBuf,
    /// Their subjects: a DNS name or the common name.
    pub names: Vec<String>,
}

/// A file, as the configuration names it: `node.tls.key = /etc/...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    setting: String,
    path: PathBuf,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.setting, self.path.display())
    }
}

/// Why certificates can't be used, and what to do.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file.
    #[error("{0} can't be read ({1}): name a PEM file that the server may read")]
    Unreadable(Named, String),
    /// A file without a certificate.
    #[error("{0} holds no certificate: name a PEM file with one")]
    NoCertificate(Named),
    /// A certificate that is none.
    #[error("{0} holds something that is no certificate of today ({1}): put the PEM file of the authority there")]
    BadCertificate(Named, String),
    /// A file without a key.
    #[error("{0} holds no key: name a PEM file with one private key that no password protects")]
    NoKey(Named),
    /// A key of no use.
    #[error("{0} holds a key that can't be used ({1}): use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519")]
    BadKey(Named, String),
    /// The key of another certificate.
    #[error("{0} is not the key of the certificate in {1}: name the two files that were made together")]
    OtherKey(Named, Named),
    /// A certificate before or after its time.
    #[error("the certificate in {0} {1}: put one there that is valid now")]
    NotNow(Named, Untimely),
    /// A certificate for another host.
    #[error(
        "the certificate in {0} is not for {1}, which public.url names: put one for {1} there, or correct public.url"
    )]
    OtherHost(Named, String),
    /// An authority of no use.
    #[error(
        "{0} holds no certificate of an authority ({1}): name the PEM file of whoever issued the clients' certificates"
    )]
    BadAuthority(Named, String),
    /// Neither of the files is to blame.
    #[error("TLS can't be set up for {0}: {1}")]
    Setup(&'static str, String),
}

/// A port's certificates: loaded once, and looked after while it serves.
#[derive(Debug)]
pub struct Certificates {
    settings: Settings,
    clock: Clock,
    offered: watch::Sender<Arc<ServerConfig>>,
    leaf: CertificateDer<'static>,
    /// The digest of the files that were looked at last.
    seen: [u8; 32],
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], a sentence for the operator.
    pub async fn load(settings: Settings, clock: Clock) -> Result<Self, TlsError> {
        let files = Files::read(&settings).await;
        let made = make(&settings, &files, &clock)?;
        settings.warn_of_an_open_key().await;
        let seen = files.digest();
        Ok(Self { settings, clock, offered: watch::channel(made.config).0, leaf: made.leaf, seen })
    }

    /// What is offered to whoever connects now.
    pub(super) fn offered(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.offered.subscribe()
    }

    /// Looks at the files now and again, for ever.
    pub(super) async fn keep(mut self, mut reload: Reload) {
        let mut doubtful = None;
        let mut next_warning = self.clock.now();
        loop {
            if self.clock.now() >= next_warning {
                next_warning = self.clock.now().plus_days(1);
                self.warn_of_its_end();
            }
            let asked = tokio::select! {
                () = tokio::time::sleep(reload.every) => false,
                () = asked(&mut reload.asked) => true,
            };
            let files = Files::read(&self.settings).await;
            let digest = files.digest();
            if digest == self.seen {
                continue;
            }
            let section = self.settings.section;
            match make(&self.settings, &files, &self.clock) {
                Ok(made) => {
                    (self.seen, self.leaf, doubtful) = (digest, made.leaf, None);
                    self.offered.send_replace(made.config);
                    next_warning = self.clock.now();
                    self.settings.warn_of_an_open_key().await;
                    tracing::info!(section, "new connections use the new certificates");
                }
                // Somebody may be between writing the one file and the other: it is told when it stays so.
                Err(_) if !asked && doubtful != Some(digest) => doubtful = Some(digest),
                Err(error) => {
                    (self.seen, doubtful) = (digest, None);
                    tracing::error!(section, %error, "new certificates can't be used, the old ones stay");
                }
            }
        }
    }

    fn warn_of_its_end(&self) {
        let (section, now) = (self.settings.section, self.clock.now());
        if let Err(why) = valid_at(&self.leaf, now) {
            tracing::error!(section, %why, "the certificate can't be used at this time");
        } else if let Err(Untimely::Ended(at)) = valid_at(&self.leaf, now.plus_days(ENDS_SOON)) {
            tracing::warn!(section, at = date(&at), "the certificate ends within two weeks");
        }
    }
}

async fn asked(asked: &mut watch::Receiver<()>) {
    if asked.changed().await.is_err() {
        // Nobody is left who could ask.
        std::future::pending().await
    }
}

impl Settings {
    fn named(&self, field: &str, path: &Path) -> Named {
        Named { setting: format!("{}.{field}", self.section), path: path.to_owned() }
    }

    async fn warn_of_an_open_key(&self) {
        use std::os::unix::fs::PermissionsExt;
        let metadata = tokio::fs::metadata(&self.key).await;
        if metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            let key = self.named("key", &self.key);
            tracing::warn!(%key, "everybody on this machine can read the key: chmod o-r");
        }
    }
}

/// What stands in the files, or why one can't be read.
struct Files {
    certificate: Content,
    key: Content,
    authority: Option<Content>,
}

type Content = Result<Zeroizing<Vec<u8>>, String>;

impl Files {
    async fn read(settings: &Settings) -> Self {
        let read = async |path| {
            let content = tokio::fs::read(path).await;
            content.map(Zeroizing::new).map_err(|error| error.to_string())
        };
        let authority = settings.clients.as_ref().map(|clients| &clients.authority);
        Self {
            certificate: read(&settings.certificate).await,
            key: read(&settings.key).await,
            authority: match authority {
                Some(path) => Some(read(path).await),
                None => None,
            },
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut all = Context::new(&SHA256);
        for content in [Some(&self.certificate), Some(&self.key), self.authority.as_ref()].into_iter().flatten() {
            let (kind, bytes) = match content {
                Ok(bytes) => (b'+', bytes.as_slice()),
                Err(why) => (b'-', why.as_bytes()),
            };
            all.update(&[kind]);
            all.update(&bytes.len().to_be_bytes());
            all.update(bytes);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(all.finish().as_ref());
        digest
    }
}

struct Made {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

/// Holds the files against each other, the clock and the host.
fn make(settings: &Settings, files: &Files, clock: &Clock) -> Result<Made, TlsError> {
    let certificate = settings.named("certificate", &settings.certificate);
    let chain = certificates(&certificate, &files.certificate)?;
    let Some(leaf) = chain.first().cloned() else { return Err(TlsError::NoCertificate(certificate)) };
    valid_at(&leaf, clock.now()).map_err(|why| TlsError::NotNow(certificate.clone(), why))?;
    if let Some(host) = &settings.host
        && !is_for(&leaf, host)
    {
        return Err(TlsError::OtherHost(certificate, host.clone()));
    }
    let key = key(&settings.named("key", &settings.key), &files.key)?;

    let setup = |error: String| TlsError::Setup(settings.section, error);
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Time(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(error.to_string()))?;
    let builder = match (&settings.clients, &files.authority) {
        (Some(clients), Some(content)) => {
            let authority = settings.named("client_ca", &clients.authority);
            let roots = Arc::new(authorities(&authority, content)?);
            let chain = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let chain = chain.map_err(|error| TlsError::BadAuthority(authority, error.to_string()))?;
            builder.with_client_cert_verifier(Arc::new(KnownClients::new(chain, clients.names.clone())))
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let key = settings.named("key", &settings.key);
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey(key, certificate.clone()),
            error => TlsError::BadKey(key, error.to_string()),
        }
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if settings.clients.is_some() {
        // A resumed session would not show its certificate again: each connection has to.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = Ticketer::new().map_err(|error| setup(error.to_string()))?;
    }
    Ok(Made { config: Arc::new(config), leaf })
}

fn certificates(named: &Named, content: &Content) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = content.as_ref().map_err(|why| TlsError::Unreadable(named.clone(), why.clone()))?;
    let bad = |why: String| TlsError::BadCertificate(named.clone(), why);
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = read.map_err(|error| bad(error.to_string()))?;
    for certificate in &chain {
        EndEntityCert::try_from(certificate).map_err(|error| bad(error.to_string()))?;
    }
    Ok(chain)
}

fn key(named: &Named, content: &Content) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = content.as_ref().map_err(|why| TlsError::Unreadable(named.clone(), why.clone()))?;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(named.clone()),
        error => TlsError::BadKey(named.clone(), error.to_string()),
    })
}

fn authorities(named: &Named, content: &Content) -> Result<RootCertStore, TlsError> {
    let found = certificates(named, content)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(named.clone()));
    }
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots.add(certificate).map_err(|error| TlsError::BadAuthority(named.clone(), error.to_string()))?;
    }
    Ok(roots)
}

fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let (parsed, name) = (EndEntityCert::try_from(certificate), ServerName::try_from(host));
    matches!((parsed, name), (Ok(parsed), Ok(name)) if parsed.verify_is_valid_for_subject_name(&name).is_ok())
}

/// A certificate before or after its time, or out of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Untimely {
    /// It ended then.
    #[error("ended at {}", date(.0))]
    Ended(UnixTime),
    /// It begins then.
    #[error("begins at {}", date(.0))]
    Begins(UnixTime),
}

/// Whether a certificate is valid at a time. webpki looks at the time first and at the chain after it, so without any
/// authority the answer to a certificate in its time is another one.
fn valid_at(certificate: &CertificateDer<'_>, at: Millis) -> Result<(), Untimely> {
    let Ok(parsed) = EndEntityCert::try_from(certificate) else { return Ok(()) };
    let found = parsed.verify_for_usage(&[], &[], &[], unix_time(at), KeyUsage::server_auth(), None, None);
    match found.map(drop) {
        Err(webpki::Error::CertExpired { not_after, .. }) => Err(Untimely::Ended(not_after)),
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => Err(Untimely::Begins(not_before)),
        _ => Ok(()),
    }
}

fn date(time: &UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}

fn unix_time(at: Millis) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.get()).unwrap_or_default()))
}

/// The house's clock, for rustls.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}
