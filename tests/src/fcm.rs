//! A fake of Firebase Cloud Messaging and of Google's token endpoint, written from their documentation and sharing no code with
//! the server. It is strict: an assertion that is not signed as RFC 7523 wants it gets no token, and a message with a field
//! too many, too few or of another form is refused and noted. What goes wrong on the way is ordered from it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test without its ground fails, loudly and at once")]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use borsellino_server::clock::Clock;
use borsellino_server::notify::account::ServiceAccount;
use borsellino_server::notify::fcm;
use borsellino_server::notify::{Push, Settings};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The project whose phones it reaches.
pub const PROJECT: &str = "borsellino-tests";

const KEY_ID: &str = "5d1f0c";
const EMAIL: &str = "push@borsellino-tests.iam.example";
const KEY: &str = include_str!("../fixtures/fcm/key.pem");
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(30);

/// How many may be answered at a time, unless all are held: more than ever are under way.
const GATE: u32 = 1 << 20;

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, `Retry-After` and error name.
    Says(u16, Option<String>, &'static str),
    /// The message is taken, and the answer never comes: the connection is reset.
    Lost,
}

/// A message that was sent, whatever was answered.
#[derive(Clone, Debug)]
pub struct Message {
    /// To whom.
    pub token: String,
    /// `message` of the body.
    pub message: Value,
    /// What was answered.
    pub status: u16,
}

impl Message {
    /// A text of its data.
    pub fn data(&self, name: &str) -> &str {
        self.message["data"][name].as_str().unwrap_or_default()
    }
}

#[derive(Default)]
struct Inner {
    grants: u32,
    access: BTreeSet<String>,
    life: i64,
    grant_faults: VecDeque<Fault>,
    faults: VecDeque<Fault>,
    dead: HashMap<String, (u16, &'static str)>,
    messages: Vec<Message>,
    bodies: Vec<String>,
    violations: Vec<String>,
    under_way: usize,
    most_under_way: usize,
}

struct Shared {
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
    gate: Semaphore,
    clock: Clock,
    key: RsaKeyPair,
    url: String,
    keeps: bool,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the lock")
    }
}

/// A running fake.
pub struct Fcm {
    shared: Arc<Shared>,
    served: JoinHandle<()>,
}

impl fmt::Debug for Fcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fcm({})", self.shared.url)
    }
}

impl Drop for Fcm {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Fcm {
    /// Starts it; assertions are to be of `clock`'s time.
    ///
    /// # Panics
    /// Where there is no port for it.
    pub async fn start(clock: Clock) -> Self {
        Self::start_as(clock, true).await
    }

    /// One that checks every message and keeps none of them, to be measured against.
    ///
    /// # Panics
    /// Where there is no port for it.
    pub async fn start_forgetful(clock: Clock) -> Self {
        Self::start_as(clock, false).await
    }

    async fn start_as(clock: Clock, keeps: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("a key in PEM");
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key");
        let inner = Mutex::new(Inner { life: 3_600, ..Inner::default() });
        let gate = Semaphore::new(usize::try_from(GATE).unwrap_or(usize::MAX));
        let shared = Arc::new(Shared { inner, count: watch::Sender::new(0), gate, clock, key, url, keeps });
        let router = Router::new()
            .route("/token", post(grant))
            .route(&format!("/v1/projects/{PROJECT}/messages:send"), post(send))
            .fallback(elsewhere)
            .with_state(Arc::clone(&shared));
        let served = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self { shared, served }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The service account's file.
    pub fn account(&self) -> Value {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": KEY_ID, "private_key": KEY,
            "client_email": EMAIL, "client_id": "1", "token_uri": format!("{}/token", self.shared.url),
        })
    }

    /// The same in a file.
    ///
    /// # Panics
    /// Where it can't be written.
    pub fn account_file(&self, folder: &std::path::Path) -> PathBuf {
        let path = folder.join("firebase.json");
        std::fs::write(&path, self.account().to_string()).expect("a file");
        path
    }

    /// A sender to it.
    ///
    /// # Panics
    /// Where it can't be made.
    pub fn sender(&self, settings: Settings) -> Arc<Push> {
        let account = ServiceAccount::parse(&self.account().to_string()).expect("a service account");
        let fcm = fcm::Fcm::new(account, self.url(), settings.in_flight).expect("a sender");
        Arc::new(Push::new(fcm, settings, self.shared.clock.now()))
    }

    /// The next calls that send a message meet these.
    pub fn order(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.inner().faults.extend(faults);
    }

    /// The next calls for an access token meet these.
    pub fn order_at_token(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.inner().grant_faults.extend(faults);
    }

    /// The access tokens it gave out are not taken any more.
    pub fn revoke_access(&self) {
        self.shared.inner().access.clear();
    }

    /// For how many seconds the next access tokens are good.
    pub fn set_life(&self, seconds: i64) {
        self.shared.inner().life = seconds;
    }

    /// From now on messages to this token are answered so.
    pub fn bury(&self, token: &str, status: u16, error: &'static str) {
        self.shared.inner().dead.insert(token.to_owned(), (status, error));
    }

    /// Answers nobody until the guard is dropped; messages are taken all the same.
    ///
    /// # Panics
    /// Where it is held already.
    pub fn hold(&self) -> Held {
        self.shared.gate.try_acquire_many(GATE).expect("an open gate").forget();
        Held(Arc::clone(&self.shared))
    }

    /// What was sent, in the order in which it came.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.inner().messages.clone()
    }

    /// What was taken.
    pub fn taken(&self) -> Vec<Message> {
        self.messages().into_iter().filter(|message| message.status == 200).collect()
    }

    /// How often it was asked for an access token.
    pub fn grants(&self) -> u32 {
        self.shared.inner().grants
    }

    /// How many messages were under way at a time, at most.
    pub fn most_under_way(&self) -> usize {
        self.shared.inner().most_under_way
    }

    /// Every body it got, as text.
    pub fn bodies(&self) -> Vec<String> {
        self.shared.inner().bodies.clone()
    }

    /// What it objects to.
    pub fn violations(&self) -> Vec<String> {
        self.shared.inner().violations.clone()
    }

    /// How many messages it got.
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Waits until it has got this many messages.
    ///
    /// # Panics
    /// Where they do not come in time.
    pub async fn until(&self, count: usize) {
        let mut counted = self.shared.count.subscribe();
        let come = tokio::time::timeout(SOON, counted.wait_for(|have| *have >= count)).await;
        drop(come.unwrap_or_else(|_| panic!("{} of {count} messages came", self.count())).expect("a running fake"));
    }
}

/// Nobody is answered while it is there.
#[derive(Debug)]
pub struct Held(Arc<Shared>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.gate.add_permits(usize::try_from(GATE).unwrap_or(usize::MAX));
    }
}

async fn elsewhere(State(shared): State<Arc<Shared>>, uri: Uri) -> StatusCode {
    shared.inner().violations.push(format!("nothing is at {}", uri.path()));
    StatusCode::NOT_FOUND
}

fn answer(status: u16, retry_after: Option<&str>, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert("content-type", "application/json; charset=UTF-8".parse().expect("a header"));
    if let Some(text) = retry_after {
        response.headers_mut().insert("retry-after", text.parse().expect("a header"));
    }
    response
}

fn error(status: u16, retry_after: Option<&str>, name: &str) -> Response {
    let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    let details = json!([{ "@type": kind, "errorCode": name }]);
    let body = json!({ "error": { "code": status, "message": "no", "status": "FAILED", "details": details } });
    answer(status, retry_after, &body)
}

/// An answer that breaks off, as when the connection is lost.
fn lost() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
    let mut response = Response::new(axum::body::Body::from_stream(broken));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

async fn grant(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let now = shared.clock.now().get() / 1_000;
    let checked = check_grant(&shared, &headers, &body, now);
    let mut inner = shared.inner();
    inner.grants += 1;
    if let Err(why) = checked {
        inner.violations.push(format!("assertion: {why}"));
        return answer(400, None, &json!({ "error": "invalid_grant" }));
    }
    match inner.grant_faults.pop_front() {
        Some(Fault::Says(status, retry_after, name)) => {
            return answer(status, retry_after.as_deref(), &json!({ "error": name }));
        }
        Some(Fault::Lost) => return lost(),
        None => {}
    }
    let access = format!("ya29.access-{}", inner.grants);
    inner.access.insert(access.clone());
    answer(200, None, &json!({ "access_token": access, "expires_in": inner.life, "token_type": "Bearer" }))
}

fn check_grant(shared: &Shared, headers: &HeaderMap, body: &str, now: i64) -> Result<(), String> {
    if headers.get("content-type").is_none_or(|kind| kind != "application/x-www-form-urlencoded") {
        return Err("not a form".to_owned());
    }
    let pairs: HashMap<&str, &str> = body.split('&').filter_map(|pair| pair.split_once('=')).collect();
    if pairs.len() != 2 || pairs.get("grant_type").map(|text| text.replace("%3A", ":")).as_deref() != Some(GRANT) {
        return Err("another grant".to_owned());
    }
    let assertion = pairs.get("assertion").copied().unwrap_or_default();
    let (signed, signature) = assertion.rsplit_once('.').ok_or("no signature")?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| "a signature that is no base64")?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, shared.key.public_key().as_ref());
    key.verify(signed.as_bytes(), &signature).map_err(|_| "the signature does not hold")?;
    let (header, claims) = signed.split_once('.').ok_or("no claims")?;
    let part = |text: &str| {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "a part that is no base64")?;
        serde_json::from_slice::<Value>(&bytes).map_err(|_| "a part that is no JSON")
    };
    if part(header)? != json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }) {
        return Err(format!("header {}", part(header)?));
    }
    let scope = "https://www.googleapis.com/auth/firebase.messaging";
    let expected = json!({
        "iss": EMAIL, "scope": scope, "aud": format!("{}/token", shared.url), "iat": now, "exp": now + 3_600,
    });
    let claims = part(claims)?;
    // A clock that goes on may have gone on since.
    let mut held = claims.clone();
    let issued = claims["iat"].as_i64().unwrap_or_default();
    if (now - 5..=now).contains(&issued) && claims["exp"] == issued + 3_600 {
        held["iat"] = now.into();
        held["exp"] = (now + 3_600).into();
    }
    if held == expected { Ok(()) } else { Err(format!("claims {claims}")) }
}

async fn send(State(shared): State<Arc<Shared>>, version: Version, headers: HeaderMap, body: String) -> Response {
    let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
    let token = parsed["message"]["token"].as_str().unwrap_or_default().to_owned();
    let checked = check_message(version, &headers, &parsed);
    let response = {
        let mut inner = shared.inner();
        inner.under_way += 1;
        inner.most_under_way = inner.most_under_way.max(inner.under_way);
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        let known =
            given.and_then(|given| given.strip_prefix("Bearer ")).is_some_and(|token| inner.access.contains(token));
        let (status, response) = if let Err(why) = checked {
            inner.violations.push(format!("message: {why}"));
            (400, error(400, None, "INVALID_ARGUMENT"))
        } else if !known {
            (401, error(401, None, "UNAUTHENTICATED"))
        } else if let Some(fault) = inner.faults.pop_front() {
            match fault {
                Fault::Says(status, retry_after, name) => (status, error(status, retry_after.as_deref(), name)),
                Fault::Lost => (502, lost()),
            }
        } else if let Some((status, name)) = inner.dead.get(&token).copied() {
            (status, error(status, None, name))
        } else {
            let name = format!("projects/{PROJECT}/messages/{}", inner.messages.len());
            (200, answer(200, None, &json!({ "name": name })))
        };
        if shared.keeps {
            inner.messages.push(Message { token, message: parsed["message"].clone(), status });
            inner.bodies.push(body);
        }
        response
    };
    shared.count.send_modify(|count| *count += 1);
    // Held, it has been taken and is not answered.
    drop(shared.gate.acquire().await);
    shared.inner().under_way -= 1;
    response
}

fn check_message(version: Version, headers: &HeaderMap, body: &Value) -> Result<(), String> {
    if version != Version::HTTP_2 {
        return Err(format!("{version:?}"));
    }
    if headers.get("content-type").is_none_or(|kind| kind != "application/json") {
        return Err("not JSON".to_owned());
    }
    let message = &body["message"];
    exactly(body, &["message"])?;
    let text = |value: &Value, what: &str| value.as_str().map(str::to_owned).ok_or(format!("{what} is no text"));
    let token = text(&message["token"], "token")?;
    let data = &message["data"];
    // FCM reserves these, and takes nothing but texts.
    let reserved =
        |key: &String| key.starts_with("google") || key.starts_with("gcm") || key == "from" || key == "message_type";
    let map = data.as_object().ok_or("no data")?;
    if map.iter().any(|(key, value)| reserved(key) || !value.is_string()) {
        return Err(format!("data {data}"));
    }
    let uuid = |value: &Value, what: &str| -> Result<(), String> {
        let id = text(value, what)?;
        id.parse::<Uuid>().map(drop).map_err(|_| format!("{what} is no id: {id}"))
    };
    uuid(&data["id"], "data.id")?;
    uuid(&data["session"], "data.session")?;
    if data["v"] != "1" || text(&data["seq"], "data.seq")?.parse::<u64>().is_err() {
        return Err(format!("data {data}"));
    }
    let kind = text(&data["kind"], "data.kind")?;
    if !["payment_done", "changed", "account"].contains(&kind.as_str()) {
        return Err(format!("kind {kind}"));
    }
    let keys = [format!("push_{kind}_title"), format!("push_{kind}_body")];
    let whole = body.to_string().len();
    if whole > 4_096 {
        return Err(format!("{whole} bytes"));
    }
    if token.starts_with("android") {
        exactly(message, &["token", "data", "android"])?;
        exactly(data, &["v", "id", "session", "seq", "kind", "title_key", "body_key", "title", "body"])?;
        exactly(&message["android"], &["priority", "ttl", "collapse_key"])?;
        let ttl = text(&message["android"]["ttl"], "ttl")?;
        let seconds = ttl.strip_suffix('s').and_then(|digits| digits.parse::<u32>().ok());
        if message["android"]["priority"] != "HIGH" || seconds.is_none_or(|seconds| seconds > 2_419_200) {
            return Err(format!("android {}", message["android"]));
        }
        // One that asks something must not be replaced by news.
        let session = text(&data["session"], "session")?;
        let own = if kind == "account" { format!("account-{session}") } else { session.to_owned() };
        if message["android"]["collapse_key"] != own {
            return Err("a collapse key of no account".to_owned());
        }
        if data["title_key"] != keys[0] || data["body_key"] != keys[1] {
            return Err(format!("keys {data}"));
        }
        return Ok(());
    }
    exactly(message, &["token", "data", "apns"])?;
    exactly(data, &["v", "id", "session", "seq", "kind"])?;
    let apns = &message["apns"];
    exactly(apns, &["headers", "payload"])?;
    exactly(&apns["headers"], &["apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"])?;
    if apns["headers"]["apns-push-type"] != "alert" || apns["headers"]["apns-priority"] != "10" {
        return Err(format!("headers {}", apns["headers"]));
    }
    if text(&apns["headers"]["apns-expiration"], "apns-expiration")?.parse::<u64>().is_err() {
        return Err("an expiration that is no time".to_owned());
    }
    // Apple takes 64 bytes.
    if apns["headers"]["apns-collapse-id"] != data["id"] {
        return Err("a collapse id that is not the message's".to_owned());
    }
    exactly(&apns["payload"], &["aps"])?;
    let aps = &apns["payload"]["aps"];
    exactly(aps, &["alert", "mutable-content", "sound"])?;
    exactly(&aps["alert"], &["title", "body", "title-loc-key", "loc-key"])?;
    if aps["mutable-content"] != 1 || aps["sound"] != "default" {
        return Err(format!("aps {aps}"));
    }
    if aps["alert"]["title-loc-key"] != keys[0] || aps["alert"]["loc-key"] != keys[1] {
        return Err(format!("alert {}", aps["alert"]));
    }
    Ok(())
}

/// Exactly these fields.
fn exactly(value: &Value, fields: &[&str]) -> Result<(), String> {
    let have: BTreeSet<&str> = value.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let want: BTreeSet<&str> = fields.iter().copied().collect();
    if have == want { Ok(()) } else { Err(format!("fields {have:?} instead of {want:?}")) }
}
