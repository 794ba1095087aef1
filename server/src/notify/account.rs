//! As whom messages are sent: a service account of Google's, which signs for itself (RFC 7523, RS256) and gets an access
//! token for an hour. The file is the one that the Firebase console gives out.

use std::fmt;
use std::net::IpAddr;

use borsellino_domain::time::Millis;
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use zeroize::Zeroizing;

/// What the token may be used for: sending, nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long an assertion is valid, in seconds: the longest that Google takes.
const LIFE: i64 = 3_600;

/// Why a service account can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Not the JSON file that the Firebase console gives out.
    #[error("it is not a service account's JSON file (Firebase console, project settings, service accounts)")]
    Form,
    /// `project_id` can't stand in an address.
    #[error("its project_id is not one of Google's")]
    Project,
    /// `private_key` is no RSA key of 2048 to 8192 bits in PKCS#8.
    #[error("its private_key is not an RSA key in PKCS#8 PEM")]
    Key,
    /// `token_uri` would send a signed assertion in clear, or nowhere.
    #[error("its token_uri is neither https:// nor http:// to this machine itself")]
    TokenUri,
}

#[derive(Deserialize)]
struct File {
    project_id: String,
    private_key_id: String,
    private_key: String,
    client_email: String,
    token_uri: String,
}

/// A service account.
pub struct ServiceAccount {
    project: String,
    key_id: String,
    email: String,
    token_uri: Url,
    key: RsaKeyPair,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({})", self.project)
    }
}

impl ServiceAccount {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`AccountError`], which never repeats what stands there.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let file: File = serde_json::from_str(text).map_err(|_| AccountError::Form)?;
        let pem = Zeroizing::new(file.private_key);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | ':' | '.');
        if !(1..=128).contains(&file.project_id.len()) || !file.project_id.chars().all(plain) {
            return Err(AccountError::Project);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| AccountError::Key)?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| AccountError::Key)?;
        let token_uri = trusted(&file.token_uri).ok_or(AccountError::TokenUri)?;
        Ok(Self { project: file.project_id, key_id: file.private_key_id, email: file.client_email, token_uri, key })
    }

    /// The project whose phones it reaches.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Where it gets its tokens.
    pub fn token_uri(&self) -> &Url {
        &self.token_uri
    }

    /// The form that asks for an access token, signed at `now`.
    ///
    /// # Errors
    /// [`AccountError::Key`] where the key can't sign.
    pub fn grant(&self, now: Millis) -> Result<Zeroizing<String>, AccountError> {
        let issued = now.get().div_euclid(1_000);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri.as_str(),
            "iat": issued, "exp": issued.saturating_add(LIFE),
        });
        let part = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| AccountError::Key)?;
        // Nothing in it needs escaping but the colons of the grant's name.
        Ok(Zeroizing::new(format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={signed}.{}",
            BASE64URL_NOPAD.encode(&signature)
        )))
    }
}

/// An address that a secret may be sent to: over TLS, or to this machine itself. `None` for any other.
pub fn trusted(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let safe = url.scheme() == "https" || (url.scheme() == "http" && own);
    (safe && bare && url.fragment().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_tls_or_nowhere() {
        for good in
            ["https://oauth2.googleapis.com/token", "http://127.0.0.1:9/t", "http://[::1]/", "http://localhost:1"]
        {
            assert!(trusted(good).is_some(), "{good}");
        }
        for bad in [
            "http://oauth2.googleapis.com/token",
            "http://192.0.2.1/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "https://user@host/",
            "https://host/?a=b",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(trusted(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_account_is_told_without_repeating_it() {
        let file = |project: &str, uri: &str| {
            json!({ "project_id": project, "private_key_id": "k", "private_key": "secret", "client_email": "e",
                "token_uri": uri })
            .to_string()
        };
        let error = |text: &str| ServiceAccount::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(error("{}"), AccountError::Form);
        assert_eq!(error(&file("../x", "https://x")), AccountError::Project);
        assert_eq!(error(&file("good", "https://x")), AccountError::Key);
        assert!(!error(&file("good", "https://x")).to_string().contains("secret"));
    }
}
