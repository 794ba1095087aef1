//! Identity providers that speak OpenID Connect (Core 1.0; authorization code, PKCE): a SPID or CIE gateway, a region's. Where a browser
//! is sent, and what the provider then says of whoever came back: one codice fiscale.
//!
//! Nothing that a provider answers is logged, and no error repeats it: it may name somebody.

use std::ops::AddAssign;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::time::Millis;
use data_encoding::BASE64URL_NOPAD;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AdditionalProviderMetadata, AsyncHttpClient, AuthType, AuthenticationContextClass,
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenClaims,
    IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata,
    RedirectUrl, RequestTokenError, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims,
    UserInfoError, http,
};
use reqwest::redirect::Policy;
use reqwest::{Client as Http, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How long a connection, and a whole answer, may take: a parent is waiting.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(6));

/// The longest answer that is read, in bytes: keys of a large gateway are some ten thousand.
const MAX_ANSWER: usize = 256 << 10;

/// How many parents may be between a provider's page and ours at a time; the others are told to try again.
const PLACES: usize = 32;

/// For how long what a provider says of itself is believed, in milliseconds.
const KNOWN_MILLIS: i64 = 60 * 60 * 1_000;

/// Keys this new are not asked for again because a signature does not hold, in milliseconds.
const NEW_KEYS_MILLIS: i64 = 10 * 1_000;

/// How far a provider's clock may be ahead of ours, in milliseconds.
const SKEW_MILLIS: i64 = 5 * 60 * 1_000;

/// What stands in front of an Italian codice fiscale in SPID and CIE (ETSI EN 319 412-1: tax number, Italy).
const ITALIAN: &str = "TINIT-";

/// What an operator sets for one provider.
#[derive(Clone)]
pub struct Settings {
    /// Names it in addresses, e.g. `spid`.
    pub id: String,
    /// What parents call it, e.g. `SPID`.
    pub label: String,
    /// As the provider writes itself, to the letter.
    pub issuer: String,
    /// As whom the provider knows us.
    pub client_id: String,
    /// What proves it.
    pub secret: Zeroizing<String>,
    /// What is asked for, beside `openid`.
    pub scopes: Vec<String>,
    /// What holds the codice fiscale.
    pub claim: String,
    /// Which levels of assurance will do (`acr`), the preferred one first; with none the provider decides.
    pub levels: Vec<String>,
    /// Whose parents it is for; with none everybody's.
    pub creditors: Vec<CreditorCode>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oidc::Settings({}, {})", self.id, self.issuer)
    }
}

/// Why a provider can't be used as it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// Its address.
    #[error("issuer is neither https:// nor http:// to this machine itself")]
    Issuer,
    /// No root certificates, for example.
    #[error("TLS cannot be set up")]
    Tls,
}

/// Why nobody was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Too many at once.
    #[error("too many at once")]
    Busy,
    /// No answer, or none that could be read.
    #[error("no usable answer: {0}")]
    Unavailable(&'static str),
    /// The answer is not to be believed.
    #[error("not to be believed: {0}")]
    Untrusted(&'static str),
    /// The answer is to be believed, and has no codice fiscale.
    #[error("no codice fiscale")]
    NoCode,
    /// What it has is no codice fiscale.
    #[error("a malformed codice fiscale")]
    BadCode,
}

/// Every claim that has no place of its own in the library.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Further {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Further {}

/// RFC 9207.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Saying {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Saying {}

type Metadata = ProviderMetadata<
    Saying,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Fields = IdTokenFields<
    Further,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Answer = StandardTokenResponse<Fields, CoreTokenType>;

type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What a provider says of itself, and since when we know.
#[derive(Clone, Debug)]
struct Known {
    metadata: Metadata,
    at: Millis,
}

/// A provider of identities.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    issuer: IssuerUrl,
    http: Caller,
    known: Mutex<Option<Known>>,
    places: Semaphore,
}

/// What a browser keeps, sealed, while its parent is with the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Says that the answer is to our question.
    pub state: String,
    /// Says that the identity was made for it.
    pub nonce: String,
    /// Says that whoever asked is who fetches the answer.
    pub verifier: String,
}

impl Secrets {
    /// Out of secure random bytes.
    pub fn new(random: [[u8; 32]; 3]) -> Self {
        let [state, nonce, verifier] = random.map(|bytes| BASE64URL_NOPAD.encode(&bytes));
        Self { state, nonce, verifier }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

#[derive(Debug, Error)]
enum CallError {
    #[error("no answer")]
    None,
    #[error("an answer too long")]
    TooLong,
}

/// Whether nobody on the way reads along: TLS, or this machine itself.
fn is_safe(url: &Url) -> bool {
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

/// An instant as the library counts them.
fn at<T: Default + AddAssign<Duration>>(now: Millis) -> T {
    let mut at = T::default();
    at += Duration::from_millis(u64::try_from(now.get()).unwrap_or_default());
    at
}

/// Asks a provider, within bounds.
#[derive(Debug)]
struct Caller(Http);

impl Caller {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let request = reqwest::Request::try_from(request).map_err(|_| CallError::None)?;
        if !is_safe(request.url()) {
            return Err(CallError::None);
        }
        let mut answer = self.0.execute(request).await.map_err(|_| CallError::None)?;
        let mut response = http::Response::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        while let Some(chunk) = answer.chunk().await.map_err(|_| CallError::None)? {
            if response.body().len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(CallError::TooLong);
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Caller {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

impl Provider {
    /// A provider as set up; nothing is asked of it yet.
    ///
    /// Follows no redirect and obeys no proxy from the environment. Installs rustls' ring provider for the process where none is
    /// installed yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let url = Url::parse(&settings.issuer).map_err(|_| SetupError::Issuer)?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !is_safe(&url) || !plain {
            return Err(SetupError::Issuer);
        }
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| SetupError::Issuer)?;
        // An error only says that another provider was installed first, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Http::builder().redirect(Policy::none()).no_proxy();
        let builder = builder.connect_timeout(TIMEOUTS.0).timeout(TIMEOUTS.1);
        let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder.https_only(true) };
        let http = Caller(builder.build().map_err(|_| SetupError::Tls)?);
        Ok(Self { settings, issuer, http, known: Mutex::default(), places: Semaphore::new(PLACES) })
    }

    /// Names it in addresses.
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    /// What parents call it.
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    /// Whether it is for the parents of a creditor.
    pub fn serves(&self, creditor: &CreditorCode) -> bool {
        self.settings.creditors.is_empty() || self.settings.creditors.contains(creditor)
    }

    /// What the provider says of itself, asked again where it was known before `since`.
    async fn known(&self, now: Millis, since: Millis) -> Result<Metadata, IdentityError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known
            && known.at > since
            && known.at <= now
        {
            return Ok(known.metadata);
        }
        let metadata =
            Metadata::discover_async(self.issuer.clone(), &self.http).await.map_err(|error| match error {
                DiscoveryError::Request(_) => IdentityError::Unavailable("discovery: no answer"),
                DiscoveryError::Response(..) => IdentityError::Unavailable("discovery: refused"),
                DiscoveryError::Validation(_) => IdentityError::Untrusted("discovery: another issuer"),
                _ => IdentityError::Unavailable("discovery: unreadable"),
            })?;
        let kept = Known { metadata: metadata.clone(), at: now };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(metadata)
    }

    fn client(&self, metadata: &Metadata, redirect: &str) -> Result<Client, IdentityError> {
        let redirect = RedirectUrl::new(redirect.to_owned());
        let redirect = redirect.map_err(|_| IdentityError::Unavailable("our own address"))?;
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = ClientSecret::new(self.settings.secret.to_string());
        let client = Client::from_provider_metadata(metadata.clone(), id, Some(secret)).set_redirect_uri(redirect);
        // Basic is what a provider that says nothing wants (Discovery 1.0, 3).
        let ways = metadata.token_endpoint_auth_methods_supported();
        let basic = ways.is_none_or(|ways| ways.contains(&CoreClientAuthMethod::ClientSecretBasic));
        Ok(client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
    }

    /// Where a browser is sent that comes back to `redirect`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn depart(&self, secrets: &Secrets, redirect: &str, now: Millis) -> Result<String, IdentityError> {
        let _place = self.places.try_acquire().map_err(|_| IdentityError::Busy)?;
        let metadata = self.known(now, now.plus(-KNOWN_MILLIS)).await?;
        let client = self.client(&metadata, redirect)?;
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let (state, nonce) = (CsrfToken::new(secrets.state.clone()), Nonce::new(secrets.nonce.clone()));
        let code = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client.authorize_url(code, move || state, move || nonce);
        request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        request = request.add_scopes(self.settings.scopes.iter().cloned().map(Scope::new));
        for level in &self.settings.levels {
            request = request.add_auth_context_value(AuthenticationContextClass::new(level.clone()));
        }
        let (url, ..) = request.url();
        if is_safe(&url) { Ok(url.into()) } else { Err(IdentityError::Untrusted("its page is not under TLS")) }
    }

    /// Whether an answer that says it is from `issuer` (RFC 9207) can be this provider's. What it says of itself is known, or asked.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn answered(&self, issuer: Option<&str>, now: Millis) -> Result<(), IdentityError> {
        let _place = self.places.try_acquire().map_err(|_| IdentityError::Busy)?;
        let metadata = self.known(now, now.plus(-KNOWN_MILLIS)).await?;
        let wanted = metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match issuer {
            Some(issuer) if issuer == self.settings.issuer => Ok(()),
            None if !wanted => Ok(()),
            _ => Err(IdentityError::Untrusted("another issuer's answer")),
        }
    }

    /// Exchanges the code that a browser came back with for the codice fiscale of whoever signed in.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn identify(
        &self,
        (secrets, code): (&Secrets, &str),
        redirect: &str,
        now: Millis,
    ) -> Result<PersonalCode, IdentityError> {
        let _place = self.places.try_acquire().map_err(|_| IdentityError::Busy)?;
        let metadata = self.known(now, now.plus(-KNOWN_MILLIS)).await?;
        let client = self.client(&metadata, redirect)?;
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|_| IdentityError::Unavailable("it names no place for codes"))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()));
        let answer: Answer = request.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => match said.error() {
                CoreErrorResponseType::InvalidGrant => IdentityError::Untrusted("the code is not good"),
                CoreErrorResponseType::InvalidClient => IdentityError::Unavailable("it does not know us"),
                _ => IdentityError::Unavailable("the code was refused"),
            },
            RequestTokenError::Request(_) => IdentityError::Unavailable("the code: no answer"),
            _ => IdentityError::Unavailable("the code: an unreadable answer"),
        })?;
        let claims = match self.claims(&metadata, &client, &answer, (secrets, now)) {
            // Its keys may be new.
            Err(None) => {
                let metadata = self.known(now, now.plus(-NEW_KEYS_MILLIS)).await?;
                let client = self.client(&metadata, redirect)?;
                let again = self.claims(&metadata, &client, &answer, (secrets, now));
                again.map_err(|error| error.unwrap_or(IdentityError::Untrusted("the signature")))?
            }
            other => other.map_err(|error| error.unwrap_or(IdentityError::Untrusted("the signature")))?,
        };
        let name = self.settings.claim.as_str();
        if let Some(said) = claims.additional_claims().all.get(name) {
            return code_in(said);
        }
        let request = client.user_info(answer.access_token().clone(), Some(claims.subject().clone()));
        let Ok(request) = request else { return Err(IdentityError::NoCode) };
        let info: UserInfoClaims<Further, CoreGenderClaim> =
            request.request_async(&self.http).await.map_err(|error| match error {
                UserInfoError::ClaimsVerification(_) => IdentityError::Untrusted("facts about somebody else"),
                UserInfoError::Request(_) => IdentityError::Unavailable("facts: no answer"),
                _ => IdentityError::Unavailable("facts: an unreadable answer"),
            })?;
        info.additional_claims().all.get(name).map_or(Err(IdentityError::NoCode), code_in)
    }

    /// What the identity says, if it is to be believed; `Err(None)` where its signature does not hold.
    fn claims(
        &self,
        metadata: &Metadata,
        client: &Client,
        answer: &Answer,
        (secrets, now): (&Secrets, Millis),
    ) -> Result<IdTokenClaims<Further, CoreGenderClaim>, Option<IdentityError>> {
        use CoreJwsSigningAlgorithm as A;
        let untrusted = |why| Some(IdentityError::Untrusted(why));
        let token = answer.id_token().ok_or(Some(IdentityError::Unavailable("an answer without an identity")))?;
        // Keys that only the provider has: our secret signs nobody's identity.
        let own = [
            A::RsaSsaPkcs1V15Sha256,
            A::RsaSsaPkcs1V15Sha384,
            A::RsaSsaPkcs1V15Sha512,
            A::RsaSsaPssSha256,
            A::RsaSsaPssSha384,
            A::RsaSsaPssSha512,
            A::EcdsaP256Sha256,
            A::EcdsaP384Sha384,
        ];
        let offered = metadata.id_token_signing_alg_values_supported();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(own.into_iter().filter(|algorithm| offered.contains(algorithm)))
            .set_time_fn(move || at(now))
            .set_auth_context_verifier_fn(|level| {
                let level = level.map(|level| level.as_str());
                let known = |level| self.settings.levels.iter().any(|wanted| wanted == level);
                let enough = self.settings.levels.is_empty() || level.is_some_and(known);
                if enough { Ok(()) } else { Err("the level of assurance".to_owned()) }
            });
        let nonce = Nonce::new(secrets.nonce.clone());
        let claims = token.claims(&verifier, &nonce).map_err(|error| match error {
            ClaimsVerificationError::SignatureVerification(_) => None,
            ClaimsVerificationError::InvalidNonce(_) => untrusted("made for another question"),
            ClaimsVerificationError::InvalidIssuer(_) => untrusted("another issuer's identity"),
            ClaimsVerificationError::InvalidAudience(_) => untrusted("made for somebody else"),
            ClaimsVerificationError::Expired(_) => untrusted("expired"),
            ClaimsVerificationError::InvalidAuthContext(_) => untrusted("the level of assurance"),
            _ => untrusted("no identity"),
        })?;
        if claims.authorized_party().is_some_and(|party| party.as_str() != self.settings.client_id) {
            return Err(untrusted("made for somebody else"));
        }
        if claims.issue_time().timestamp_millis() > now.plus(SKEW_MILLIS).get() {
            return Err(untrusted("made in the future"));
        }
        Ok(claims.clone())
    }
}

/// The codice fiscale that a claim holds.
fn code_in(said: &Value) -> Result<PersonalCode, IdentityError> {
    let text = said.as_str().ok_or(IdentityError::BadCode)?.trim();
    PersonalCode::parse(text.strip_prefix(ITALIAN).unwrap_or(text)).map_err(|_| IdentityError::BadCode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_codice_fiscale_is_one() {
        let code = PersonalCode::parse("BNCMRA85D52F205Y").unwrap();
        for said in ["TINIT-BNCMRA85D52F205Y", "BNCMRA85D52F205Y", " tinit-".trim(), "bncmra85d52f205y"] {
            let read = code_in(&Value::from(said));
            assert_eq!(read.ok(), (said != "tinit-").then_some(code.clone()), "{said}");
        }
        for wrong in [
            Value::Null,
            Value::from(7),
            Value::from(""),
            Value::from("TINIT-"),
            Value::from("TINDE-BNCMRA85D52F205Y"),
            Value::from("TINIT-TINIT-BNCMRA85D52F205Y"),
            Value::from("BNCMRA85D52F205X"),
        ] {
            assert_eq!(code_in(&wrong), Err(IdentityError::BadCode), "{wrong}");
        }
    }

    #[test]
    fn an_issuer_is_reached_by_nobody_else() {
        let settings = |issuer: &str| Settings {
            id: "spid".to_owned(),
            label: "SPID".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "x".to_owned(),
            secret: Zeroizing::new("x".to_owned()),
            scopes: Vec::new(),
            claim: "fiscal_number".to_owned(),
            levels: Vec::new(),
            creditors: Vec::new(),
        };
        for good in ["https://login.example/realms/x", "http://127.0.0.1:1/", "http://[::1]:1", "http://localhost"] {
            assert!(Provider::new(settings(good)).is_ok(), "{good}");
        }
        for wrong in [
            "http://login.example",
            "login.example",
            "https://a@login.example",
            "https://x/?a=b",
            "ftp://127.0.0.1",
            "",
        ] {
            assert_eq!(Provider::new(settings(wrong)).err(), Some(SetupError::Issuer), "{wrong}");
        }
    }
}
