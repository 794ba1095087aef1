//! FCM's door: one message at a time to `messages:send` over HTTP/2, with an access token of the service account, and what
//! each answer means for the message, for its device and for everybody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use borsellino_domain::time::Millis;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;

use super::account::{ServiceAccount, trusted};
use super::message::PushMessage;
use super::pace::retry_after;

/// Where FCM is.
pub const URL: &str = "https://fcm.googleapis.com";

/// How long to wait for a connection, and for one answer.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));

/// How often a quiet connection is asked whether it stands, and how long it has to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// How long one message may take in all, a new access token and a second try included: well below its lease.
const ATTEMPT: Duration = Duration::from_secs(30);

/// An access token is renewed when it has less than this left, in milliseconds.
const EARLY: i64 = 5 * 60_000;

/// How many bytes of an answer are read.
const MAX_ANSWER: usize = 64 << 10;

/// How many messages share a connection: FCM lets at least a hundred requests wait on one.
const PER_CONNECTION: u32 = 64;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// FCM took it.
    Sent,
    /// The token is nobody's any more: forget it.
    Dead(String),
    /// FCM will never take this message.
    Refused(String),
    /// Not now; everybody is to wait, for so many milliseconds where it was said.
    Wait(Option<i64>, String),
    /// Not now: this one is to be tried again later.
    Again(String),
}

/// Why a sender can't be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// Tokens of phones would go out in clear, or nowhere.
    #[error("push.url is neither https:// nor http:// to this machine itself")]
    Url,
    /// No root certificates, for example.
    #[error("TLS cannot be set up")]
    Tls,
}

/// A sender to one project's phones.
#[derive(Debug)]
pub struct Fcm {
    clients: Vec<Client>,
    next: AtomicUsize,
    url: Url,
    account: ServiceAccount,
    access: Mutex<Access>,
    fetches: AtomicUsize,
}

/// The access token at hand.
#[derive(Default)]
struct Access {
    bearer: Option<HeaderValue>,
    until: Option<Millis>,
    /// The last refusal to give one, for those who waited for the same.
    refusal: Option<Answer>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access(until {:?})", self.until)
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
}

/// What an answer of `messages:send` says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Final(Answer),
    /// The access token is not taken (any more).
    Unauthorized,
}

impl Fcm {
    /// A sender as `account` to FCM at `url`, [`URL`] but in tests, with connections for `in_flight` messages.
    ///
    /// Follows no redirect and obeys no proxy from the environment. Installs rustls' ring provider for the process where
    /// none is installed yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(account: ServiceAccount, url: &str, in_flight: u32) -> Result<Self, SetupError> {
        let base = trusted(url).ok_or(SetupError::Url)?;
        let send = format!("{}/v1/projects/{}/messages:send", base.as_str().trim_end_matches('/'), account.project());
        let url = Url::parse(&send).map_err(|_| SetupError::Url)?;
        // An error only says that another provider was installed first, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            let builder = Client::builder().redirect(Policy::none()).no_proxy();
            let builder = builder.connect_timeout(TIMEOUTS.0).timeout(TIMEOUTS.1);
            // A connection whose other end is gone would swallow message after message.
            let builder = builder.http2_keep_alive_interval(KEEP_ALIVE.0).http2_keep_alive_timeout(KEEP_ALIVE.1);
            let builder = if url.scheme() == "http" {
                // Only on this machine. There is nobody to agree with about HTTP/2, and perhaps no root certificates.
                builder.tls_certs_only([]).http2_prior_knowledge()
            } else {
                builder.https_only(true)
            };
            builder.build().map_err(|_| SetupError::Tls)
        };
        let clients = (0..in_flight.div_ceil(PER_CONNECTION).max(1)).map(|_| client()).collect::<Result<_, _>>()?;
        let (next, fetches) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Self { clients, next, url, account, access: Mutex::default(), fetches })
    }

    /// The project whose phones it reaches.
    pub fn project(&self) -> &str {
        self.account.project()
    }

    /// Sends a message, once or, where the access token had to be renewed, twice.
    pub async fn send(&self, message: &PushMessage, now: Millis) -> Answer {
        match tokio::time::timeout(ATTEMPT, self.try_send(message, now)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Again("no answer in time".to_owned()),
        }
    }

    async fn try_send(&self, message: &PushMessage, now: Millis) -> Answer {
        let body = message.body(now);
        for _ in 0..2 {
            let bearer = match self.bearer(now).await {
                Ok(bearer) => bearer,
                Err(refusal) => return refusal,
            };
            match self.post(bearer.clone(), body.clone(), now).await {
                Verdict::Final(answer) => return answer,
                Verdict::Unauthorized => self.distrust(&bearer).await,
            }
        }
        // A fresh token is not taken either: the account has lost its right, or a clock is wrong.
        Answer::Wait(None, "401".to_owned())
    }

    fn client(&self) -> Option<&Client> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.clients.get(next.checked_rem(self.clients.len()).unwrap_or(0))
    }

    async fn post(&self, bearer: HeaderValue, body: String, now: Millis) -> Verdict {
        let Some(client) = self.client() else { return Verdict::Final(Answer::Again("no client".to_owned())) };
        let request = client.post(self.url.clone()).header(AUTHORIZATION, bearer);
        match request.header(CONTENT_TYPE, "application/json").body(body).send().await {
            Ok(response) => {
                let (status, asked) = (response.status().as_u16(), asked(&response, now));
                // Of what went well nothing more is wanted.
                let answer = if status == 200 { Vec::new() } else { read(response).await };
                judge(status, asked, &answer)
            }
            Err(error) => Verdict::Final(Answer::Again(fault(&error))),
        }
    }

    /// The access token, a new one where the one at hand is about to end. Many who need one wait for one answer.
    async fn bearer(&self, now: Millis) -> Result<HeaderValue, Answer> {
        let fetches = self.fetches.load(Ordering::Acquire);
        let mut access = self.access.lock().await;
        if let (Some(bearer), Some(until)) = (&access.bearer, access.until)
            && now.plus(EARLY) < until
        {
            return Ok(bearer.clone());
        }
        if let Some(refusal) = &access.refusal
            && fetches != self.fetches.load(Ordering::Acquire)
        {
            return Err(refusal.clone());
        }
        let fetched = self.fetch(now).await;
        self.fetches.fetch_add(1, Ordering::Release);
        match fetched {
            Ok((bearer, until)) => {
                *access = Access { bearer: Some(bearer.clone()), until: Some(until), refusal: None };
                Ok(bearer)
            }
            Err(refusal) => {
                *access = Access { refusal: Some(refusal.clone()), ..Access::default() };
                Err(refusal)
            }
        }
    }

    /// Forgets the access token, if it is still this one.
    async fn distrust(&self, bearer: &HeaderValue) {
        let mut access = self.access.lock().await;
        if access.bearer.as_ref() == Some(bearer) {
            *access = Access::default();
        }
    }

    async fn fetch(&self, now: Millis) -> Result<(HeaderValue, Millis), Answer> {
        let failed = |asked, why: &str| {
            tracing::warn!(why, "no access token for pushes");
            Answer::Wait(asked, format!("token: {why}"))
        };
        let grant = self.account.grant(now).map_err(|_| failed(None, "the key does not sign"))?;
        let client = self.client().ok_or_else(|| failed(None, "no client"))?;
        let request = client.post(self.account.token_uri().clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(grant.to_string());
        let response = request.send().await.map_err(|error| failed(None, &fault(&error)))?;
        let (status, asked) = (response.status().as_u16(), asked(&response, now));
        if status != 200 {
            return Err(failed(asked, &status.to_string()));
        }
        let granted: Granted = serde_json::from_slice(&read(response).await)
            .map_err(|_| failed(None, "an answer outside its contract"))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", granted.access_token));
        let mut bearer = bearer.map_err(|_| failed(None, "a token that is no header"))?;
        bearer.set_sensitive(true);
        Ok((bearer, now.plus(granted.expires_in.clamp(0, 86_400).saturating_mul(1_000))))
    }
}

/// Why there was no answer: never with an address in it.
fn fault(error: &reqwest::Error) -> String {
    let why = match error {
        e if e.is_timeout() => "no answer in time",
        e if e.is_connect() => "no connection",
        _ => "the connection broke",
    };
    why.to_owned()
}

fn asked(response: &Response, now: Millis) -> Option<i64> {
    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| retry_after(text, now))
}

/// The beginning of an answer.
async fn read(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// What an answer means (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).
fn judge(status: u16, asked: Option<i64>, body: &[u8]) -> Verdict {
    let error = serde_json::from_slice::<Value>(body).unwrap_or_default()["error"].take();
    let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_type = |end: &'static str| {
        let is = move |detail: &&Value| detail["@type"].as_str().is_some_and(|kind| kind.ends_with(end));
        details.iter().find(is)
    };
    let name = of_type(".FcmError").and_then(|detail| detail["errorCode"].as_str());
    let name = name.or_else(|| error["status"].as_str()).unwrap_or_default();
    // Short and of the alphabet of such names: it goes to the log.
    let word: String = name.chars().filter(|c| c.is_ascii_uppercase() || *c == '_').take(40).collect();
    let code = if word.is_empty() { status.to_string() } else { format!("{status} {word}") };
    let answer = match (status, word.as_str()) {
        (200, _) => Answer::Sent,
        // About Firebase's own credentials at Apple, not about ours at Firebase.
        (401, "THIRD_PARTY_AUTH_ERROR") => Answer::Again(code),
        (401, _) => return Verdict::Unauthorized,
        // Any other 404 is about the project or the address, and says nothing about the phone.
        (404, "UNREGISTERED") => Answer::Dead(code),
        (400, "INVALID_ARGUMENT") if of_type(".FcmError").is_some() || names_token(of_type(".BadRequest")) => {
            if names_other(of_type(".BadRequest")) {
                Answer::Refused(code)
            } else {
                Answer::Dead(code)
            }
        }
        // The token is another project's, says FCM; a wrong service account makes it say so of all, so none is forgotten.
        (400, _) | (403, "SENDER_ID_MISMATCH") => Answer::Refused(code),
        // Sending is not allowed at all, or too fast.
        (403 | 429, _) => Answer::Wait(asked, code),
        (500..=599, _) if asked.is_some() => Answer::Wait(asked, code),
        _ => Answer::Again(code),
    };
    Verdict::Final(answer)
}

fn fields(violations: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = violations.and_then(|detail| detail["fieldViolations"].as_array()).map(Vec::as_slice);
    list.unwrap_or_default().iter().filter_map(|violation| violation["field"].as_str())
}

fn names_token(violations: Option<&Value>) -> bool {
    fields(violations).any(|field| field == "message.token")
}

fn names_other(violations: Option<&Value>) -> bool {
    fields(violations).any(|field| field != "message.token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(status: u16, name: &str, details: Value) -> Verdict {
        let body = json!({ "error": { "code": status, "message": "no", "status": name, "details": details } });
        judge(status, None, body.to_string().as_bytes())
    }

    fn fcm(code: &str) -> Value {
        json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code })
    }

    fn bad(field: &str) -> Value {
        json!({ "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": "no" }] })
    }

    #[test]
    fn only_what_is_said_of_a_token_ends_it() {
        let dead = |code: &str| Verdict::Final(Answer::Dead(code.to_owned()));
        let refused = |code: &str| Verdict::Final(Answer::Refused(code.to_owned()));
        let again = |code: &str| Verdict::Final(Answer::Again(code.to_owned()));
        assert_eq!(error(404, "NOT_FOUND", json!([fcm("UNREGISTERED")])), dead("404 UNREGISTERED"));
        assert_eq!(error(400, "INVALID_ARGUMENT", json!([fcm("INVALID_ARGUMENT")])), dead("400 INVALID_ARGUMENT"));
        assert_eq!(error(400, "INVALID_ARGUMENT", json!([bad("message.token")])), dead("400 INVALID_ARGUMENT"));
        let both = json!([fcm("INVALID_ARGUMENT"), bad("message.token")]);
        assert_eq!(error(400, "INVALID_ARGUMENT", both), dead("400 INVALID_ARGUMENT"));
        let other = json!([fcm("INVALID_ARGUMENT"), bad("message.data[0].value")]);
        assert_eq!(error(400, "INVALID_ARGUMENT", other), refused("400 INVALID_ARGUMENT"));
        assert_eq!(
            error(400, "INVALID_ARGUMENT", json!([bad("message.android.ttl")])),
            refused("400 INVALID_ARGUMENT")
        );
        assert_eq!(
            error(403, "PERMISSION_DENIED", json!([fcm("SENDER_ID_MISMATCH")])),
            refused("403 SENDER_ID_MISMATCH")
        );
        assert_eq!(error(404, "NOT_FOUND", json!([])), again("404 NOT_FOUND"), "a wrong project is no dead phone");
        assert_eq!(judge(404, None, b"<html>"), again("404"), "nor is a proxy's page");
        assert_eq!(judge(400, None, b""), refused("400"));
    }

    #[test]
    fn who_has_to_wait() {
        let wait = |asked, code: &str| Verdict::Final(Answer::Wait(asked, code.to_owned()));
        assert_eq!(error(429, "RESOURCE_EXHAUSTED", json!([fcm("QUOTA_EXCEEDED")])), wait(None, "429 QUOTA_EXCEEDED"));
        assert_eq!(judge(429, Some(7), b""), wait(Some(7), "429"));
        assert_eq!(judge(503, Some(7), b""), wait(Some(7), "503"));
        assert_eq!(error(403, "PERMISSION_DENIED", json!([])), wait(None, "403 PERMISSION_DENIED"));
        for status in [500, 502, 503, 302, 418] {
            assert_eq!(judge(status, None, b""), Verdict::Final(Answer::Again(status.to_string())));
        }
        assert_eq!(judge(200, None, b""), Verdict::Final(Answer::Sent));
    }

    #[test]
    fn whose_credentials_are_refused() {
        assert_eq!(error(401, "UNAUTHENTICATED", json!([])), Verdict::Unauthorized);
        let apple = error(401, "UNAUTHENTICATED", json!([fcm("THIRD_PARTY_AUTH_ERROR")]));
        assert_eq!(apple, Verdict::Final(Answer::Again("401 THIRD_PARTY_AUTH_ERROR".to_owned())));
    }

    #[test]
    fn an_answer_cannot_write_the_log() {
        let Verdict::Final(Answer::Again(code)) = error(500, "X\nAN ATTACK! é", json!([])) else { panic!("again") };
        assert_eq!(code, "500 XANATTACK");
    }
}
