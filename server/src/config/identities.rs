//! `[[oidc]]`: identity providers that parents may sign in with.

use std::path::PathBuf;

use borsellino_domain::creditor::CreditorCode;
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Config, ConfigError, read, warn_of_readers};
use crate::auth::oidc::{Provider, Settings, SetupError};

/// The claims that OpenID Connect Core names itself (5.1, and those of the ID token): none of them is a codice fiscale.
const STANDARD: [&str; 26] = [
    "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "name", "given_name", "family_name",
    "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "email", "gender", "birthdate",
    "phone_number", "address", "locale", "updated_at",
];

/// The longest label, in characters: it stands on a button.
const LONGEST_LABEL: usize = 40;

/// An identity provider: a SPID or CIE gateway that speaks OpenID Connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSection {
    /// Names it in addresses, e.g. `spid`: small letters, digits, hyphens.
    pub id: String,
    /// What parents call it, e.g. `SPID`.
    pub label: String,
    /// The issuer, as the provider writes it: `https://...`.
    pub issuer: String,
    /// As whom the provider knows this server.
    pub client_id: String,
    /// A file with the client's secret; the environment (`BORSELLINO_OIDC_SPID_SECRET`) wins.
    pub secret_file: Option<PathBuf>,
    /// What is asked for, beside `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The claim that holds the codice fiscale.
    #[serde(default = "fiscal_number")]
    pub claim: String,
    /// Which levels of assurance will do (`acr_values`), the preferred one first; without, the provider decides.
    #[serde(default)]
    pub levels: Vec<String>,
    /// The creditors it is for (11 digits each); without, all.
    #[serde(default)]
    pub creditors: Vec<String>,
}

fn fiscal_number() -> String {
    "fiscal_number".to_owned()
}

/// Why an identity provider can't be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OidcError {
    /// Its name in addresses.
    #[error("oidc.id = '{0}' stands in addresses: write 1 to 32 small letters, digits and hyphens, e.g. spid")]
    Id(String),
    /// The same twice.
    #[error("oidc.id = '{0}' stands there twice: each provider has its own")]
    Twice(String),
    /// What parents read.
    #[error("oidc.label of '{0}' stands on a button: write 1 to 40 characters, e.g. SPID")]
    Label(String),
    /// The provider's address.
    #[error("oidc.issuer of '{0}': write the provider's issuer as it writes it itself, with https:// in front")]
    Issuer(String),
    /// As whom it knows us.
    #[error("oidc.client_id of '{0}' is empty: the provider gives it out when this server is registered there")]
    ClientId(String),
    /// What is asked for.
    #[error("oidc.scopes, oidc.levels or oidc.claim of '{0}' holds an empty name, or one with a space")]
    Name(String),
    /// A claim that means something else.
    #[error(
        "oidc.claim of '{id}' is '{claim}', which OpenID Connect keeps for something else and this server does not read: have the \
         provider send the codice fiscale under a name of its own, e.g. fiscal_number"
    )]
    Standard {
        /// The provider.
        id: String,
        /// As written.
        claim: String,
    },
    /// For whom.
    #[error("oidc.creditors of '{id}' holds '{code}', which is no creditor's code: write 11 digits")]
    Creditor {
        /// The provider.
        id: String,
        /// As written.
        code: String,
    },
    /// No secret.
    #[error("oidc.secret_file of '{0}' is missing: put the client's secret into {1} or into the file named by it")]
    NoSecret(String, String),
    /// TLS.
    #[error("oidc.issuer of '{0}': TLS cannot be set up")]
    Tls(String),
}

impl OidcSection {
    /// The environment variable that holds the client's secret.
    fn variable(&self) -> String {
        format!("BORSELLINO_OIDC_{}_SECRET", self.id.to_ascii_uppercase().replace('-', "_"))
    }

    /// What is set, without the secret.
    fn settings(&self) -> Result<Settings, OidcError> {
        let id = || self.id.clone();
        let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&self.id.len()) || !self.id.chars().all(small) {
            return Err(OidcError::Id(id()));
        }
        let label = self.label.trim();
        if !(1..=LONGEST_LABEL).contains(&label.chars().count()) || label.chars().any(char::is_control) {
            return Err(OidcError::Label(id()));
        }
        if self.client_id.trim().is_empty() {
            return Err(OidcError::ClientId(id()));
        }
        let nameless = |name: &String| name.is_empty() || name.contains(char::is_whitespace);
        if self.scopes.iter().chain(&self.levels).chain([&self.claim]).any(nameless) {
            return Err(OidcError::Name(id()));
        }
        if STANDARD.contains(&self.claim.as_str()) {
            return Err(OidcError::Standard { id: id(), claim: self.claim.clone() });
        }
        let creditors = self.creditors.iter().map(|code| {
            CreditorCode::from_digits(code).map_err(|_| OidcError::Creditor { id: id(), code: code.clone() })
        });
        Ok(Settings {
            id: id(),
            label: label.to_owned(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.trim().to_owned(),
            secret: Zeroizing::default(),
            scopes: self.scopes.clone(),
            claim: self.claim.clone(),
            levels: self.levels.clone(),
            creditors: creditors.collect::<Result<_, _>>()?,
        })
    }

    fn made(&self, settings: Settings) -> Result<Provider, OidcError> {
        Provider::new(settings).map_err(|error| match error {
            SetupError::Issuer => OidcError::Issuer(self.id.clone()),
            SetupError::Tls => OidcError::Tls(self.id.clone()),
        })
    }

    /// The provider, with its secret.
    pub(super) fn provider(&self) -> Result<Provider, ConfigError> {
        let variable = self.variable();
        let text = match (std::env::var(&variable), &self.secret_file) {
            (Ok(text), _) => Zeroizing::new(text),
            (Err(_), Some(path)) => {
                let text = Zeroizing::new(read(path)?);
                warn_of_readers(path, "an identity provider's secret");
                text
            }
            (Err(_), None) => return Err(OidcError::NoSecret(self.id.clone(), variable).into()),
        };
        // What an editor leaves at the end is no part of it.
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(OidcError::NoSecret(self.id.clone(), variable).into());
        }
        let settings = Settings { secret: Zeroizing::new(secret.to_owned()), ..self.settings()? };
        Ok(self.made(settings)?)
    }
}

impl Config {
    /// The identity providers, with their secrets.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn identities(&self) -> Result<Vec<Provider>, ConfigError> {
        self.oidc.iter().map(OidcSection::provider).collect()
    }
}

/// Refuses what can't work.
pub(super) fn check(sections: &[OidcSection]) -> Result<(), OidcError> {
    for (place, section) in sections.iter().enumerate() {
        section.made(section.settings()?)?;
        if sections.iter().take(place).any(|other| other.id == section.id) {
            return Err(OidcError::Twice(section.id.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: &str =
        "[database]\nurl = 'sqlite:/tmp/x'\n[public]\nlisten = '127.0.0.1:1'\n[node]\nlisten = '[::1]:2'";

    const SPID: &str = "[[oidc]]\nid = 'spid'\nlabel = 'SPID'\nissuer = 'https://login.regione.example'\n\
        client_id = 'borsellino'\nscopes = ['profile']\ncreditors = ['99900010010']";

    fn config(text: &str) -> Config {
        toml::from_str(&format!("{SAFE}\n{text}")).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(config(SPID).check().is_ok());
        assert!(config(&format!("{SPID}\n{}", SPID.replace("'spid'", "'cie'"))).check().is_ok());
        for (right, wrong, named) in [
            ("'spid'", "'SPID'", "oidc.id"),
            ("'spid'", "'spid/x'", "oidc.id"),
            ("'SPID'", "' '", "oidc.label"),
            ("'https://login.regione.example'", "'http://login.regione.example'", "oidc.issuer"),
            ("'https://login.regione.example'", "'login'", "oidc.issuer"),
            ("'borsellino'", "''", "oidc.client_id"),
            ("['profile']", "['a b']", "oidc.scopes"),
            ("['profile']", "['profile']\nclaim = 'preferred_username'", "oidc.claim"),
            ("['99900010010']", "['999']", "oidc.creditors"),
        ] {
            let refused = config(&SPID.replacen(right, wrong, 1)).check().unwrap_err().to_string();
            assert!(refused.starts_with(named), "{wrong}: {refused}");
        }
        let twice = config(&format!("{SPID}\n{SPID}")).check().unwrap_err();
        assert!(matches!(twice, ConfigError::Oidc(OidcError::Twice(_))));
        assert!(toml::from_str::<Config>(&format!("{SAFE}\n{SPID}\nsecret = 'x'")).is_err());
    }

    #[test]
    fn its_secret_is_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let with = config(&format!("{SPID}\nsecret_file = '{}'", path.display()));
        assert!(matches!(with.identities(), Err(ConfigError::Unreadable { .. })));
        let none = config(SPID).identities().unwrap_err().to_string();
        assert!(none.contains("BORSELLINO_OIDC_SPID_SECRET") && none.contains("oidc.secret_file"), "{none}");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(with.identities(), Err(ConfigError::Oidc(OidcError::NoSecret(..)))));
        std::fs::write(&path, "segreto\n").unwrap();
        let made = with.identities().unwrap();
        assert_eq!(made.iter().map(Provider::id).collect::<Vec<_>>(), ["spid"]);
        assert!(!format!("{made:?}").contains("segreto"));
    }
}
