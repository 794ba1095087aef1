//! Certificates of invented authorities, made for one test, and clients that show and check them.

#![allow(clippy::expect_used, reason = "a test without its ground fails, loudly and at once")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use borsellino_server::listener::{Clients, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The host that every server's certificate here is for, and `127.0.0.1`.
pub const HOST: &str = "borsellino.comune.example";

/// The Node's name in its certificate.
pub const NODE: &str = "node.pagopa.example";

/// Somebody who certifies others.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, in PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
    /// Those between it and the root, its own first; nothing for a root.
    between: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate, then those between it and its root.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// What is written into a certificate.
#[derive(Clone, Debug)]
pub struct Subject {
    names: Vec<String>,
    common_name: Option<String>,
    organisation: Option<String>,
    /// First and last day: year, month, day.
    days: [(i32, u8, u8); 2],
    usage: ExtendedKeyUsagePurpose,
}

impl Subject {
    /// A client with a common name.
    pub fn client(common_name: &str) -> Self {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let (names, organisation) = (Vec::new(), Some("PagoPA S.p.A.".to_owned()));
        Self {
            names,
            common_name: Some(common_name.to_owned()),
            organisation,
            days: [(2020, 1, 1), (2050, 1, 1)],
            usage,
        }
    }

    /// A client with DNS names and no common name.
    pub fn client_of(names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, common_name: None, ..Self::client("") }
    }

    /// A server for [`HOST`] and `127.0.0.1`.
    pub fn server() -> Self {
        let names = vec![HOST.to_owned(), "127.0.0.1".to_owned()];
        Self { names, usage: ExtendedKeyUsagePurpose::ServerAuth, ..Self::client(HOST) }
    }

    /// From one 1 January to another.
    #[must_use]
    pub fn between(self, first: i32, last: i32) -> Self {
        Self { days: [(first, 1, 1), (last, 1, 1)], ..self }
    }

    /// Until the beginning of a day: year, month, day.
    #[must_use]
    pub fn until(self, last: (i32, u8, u8)) -> Self {
        Self { days: [self.days[0], last], ..self }
    }

    /// Of another organisation.
    #[must_use]
    pub fn of(self, organisation: &str) -> Self {
        Self { organisation: Some(organisation.to_owned()), ..self }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).expect("names");
        params.distinguished_name = DistinguishedName::new();
        let organisation = self.organisation.as_deref().map(|text| (DnType::OrganizationName, text));
        let common_name = self.common_name.as_deref().map(|text| (DnType::CommonName, text));
        for (kind, text) in organisation.into_iter().chain(common_name) {
            params.distinguished_name.push(kind, text);
        }
        [params.not_before, params.not_after] = self.days.map(|(year, month, day)| date_time_ymd(year, month, day));
        params.extended_key_usages = vec![self.usage.clone()];
        params
    }

    /// Signed by its own key.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn self_signed(&self) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = self.params().self_signed(&key).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Authority {
    /// A root.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn root(name: &str) -> Self {
        let (params, key) = authority(name);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(params, key), between: String::new() }
    }

    /// An authority between this one and whom it certifies.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        let between = format!("{certificate}{}", self.between);
        Self { certificate, issuer: Issuer::new(params, key), between }
    }

    /// Certifies somebody.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn certify(&self, subject: &Subject) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = subject.params().signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { certificate: format!("{certificate}{}", self.between), key: key.serialize_pem() }
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = Subject::client(name).params();
    params.extended_key_usages.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().expect("a key"))
}

/// The files of a port's certificates in a folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// `certificate`.
    pub certificate: PathBuf,
    /// `key`.
    pub key: PathBuf,
    /// `client_ca`.
    pub client_ca: PathBuf,
}

impl Files {
    /// Writes them; the key is for its owner only.
    ///
    /// # Panics
    /// Where they can't be written.
    pub fn write(folder: &Path, name: &str, pair: &Pair, client_ca: &str) -> Self {
        let path = |what: &str| folder.join(format!("{name}-{what}.pem"));
        let files = Self { certificate: path("certificate"), key: path("key"), client_ca: path("client-ca") };
        files.put(pair);
        std::fs::write(&files.client_ca, client_ca).expect("a file");
        files
    }

    /// Writes another certificate and key over them.
    ///
    /// # Panics
    /// Where they can't be written.
    pub fn put(&self, pair: &Pair) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&self.certificate, &pair.certificate).expect("a file");
        std::fs::write(&self.key, &pair.key).expect("a file");
        std::fs::set_permissions(&self.key, std::fs::Permissions::from_mode(0o600)).expect("a file of ours");
    }

    /// Mutual TLS on the Node's port, for these names.
    pub fn for_the_node(&self, names: &[&str]) -> Settings {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let clients = Some(Clients { authority: self.client_ca.clone(), names });
        Settings { section: "node.tls", host: None, clients, ..self.for_the_public() }
    }

    /// TLS on the public port, for [`HOST`].
    pub fn for_the_public(&self) -> Settings {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        Settings { section: "public.tls", certificate, key, host: Some(HOST.to_owned()), clients: None }
    }
}

/// A client of TLS that trusts this authority, and shows this certificate where it is asked for one.
#[derive(Clone, Debug)]
pub struct Client(ClientConfig);

impl Client {
    /// Of any version of TLS.
    ///
    /// # Panics
    /// Where the certificates are none.
    pub fn new(trusts: &str, shows: Option<&Pair>) -> Self {
        Self::of(trusts, shows, rustls::ALL_VERSIONS)
    }

    /// Of these versions of TLS.
    ///
    /// # Panics
    /// Where the certificates are none.
    pub fn of(trusts: &str, shows: Option<&Pair>, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusts.as_bytes()).expect("a certificate")).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("versions").with_root_certificates(roots);
        Self(match shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain.expect("certificates"), key).expect("a pair")
            }
        })
    }

    /// Says which protocols it speaks above TLS.
    #[must_use]
    pub fn speaking(mut self, protocols: &[&str]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Connects to [`HOST`] at this address.
    ///
    /// # Errors
    /// Where no connection or no handshake comes about.
    ///
    /// # Panics
    /// Never: [`HOST`] is a name.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let host = ServerName::try_from(HOST).expect("a name");
        TlsConnector::from(Arc::new(self.0.clone())).connect(host, stream).await
    }
}

/// A client of HTTPS that shows this certificate, for `https://` and [`HOST`] at this address.
///
/// # Panics
/// Where the certificates are none.
pub fn https(trusts: &str, shows: Option<&Pair>, address: SocketAddr) -> reqwest::Client {
    // It chooses the source of cryptography.
    crate::house::http();
    let trusted = reqwest::Certificate::from_pem(trusts.as_bytes()).expect("a certificate");
    let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).resolve(HOST, address);
    if let Some(pair) = shows {
        let pem = format!("{}{}", pair.key, pair.certificate);
        builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("a certificate and its key"));
    }
    builder.build().expect("a client")
}
