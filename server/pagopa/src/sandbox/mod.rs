//! The sandbox platform: what pagoPA does, on one machine, with invented money.
//!
//! It plays Checkout (carts and pages), the PSPs (a counter page) and the Node (verify, activate, receipt) against the
//! creditors of its [`Config`]. It is the independent other side of the server's pagoPA edge and shares no parser,
//! writer or type with it. It exists for `borsellino demo` and for tests: everything is in memory, nothing is
//! authenticated but the cart call, and it belongs on a loopback address only.
//!
//! # Pages
//! `/` what happened, with every violation in words; `/psp` the counter, `/spontaneous` a payment without a notice,
//! `/faults` what shall go wrong, `/stand-in` payments without the creditor; `/c/{id}` a cart.
//!
//! # Checkout
//! `POST /checkout/ec/v2/carts` as in pagopa-api `openapi/checkout_v2.json`. Strict: 401 without the subscription key,
//! 400 for anything outside the contract (unknown members included), 422 for more than five, repeated, unknown or
//! unpayable notices, 302 with the cart's page in `Location`.
//!
//! # Control API
//! JSON in and out, amounts in integer euro cents. Errors of the caller are problem+json: 400 (malformed), 404, 409.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `GET /api/carts`, `GET /api/carts/{id}` | | the carts; `status` is `open`, `paid`, `unknown` or `expired` |
//! | `POST /api/carts/{id}/pay` | `method` (`card`, `account`, `other`), `psp`, `outcome` | `outcome`, `payments`, `fault`, `return_url` |
//! | `POST /api/carts/{id}/cancel` | | `return_url` |
//! | `POST /api/notices/verify` | `creditor`, `notice_number`, or `qr` | `outcome` (`payable`, `not_payable`), `amount_cents`, `description`, `company_name`, `due_date`, `fault` |
//! | `POST /api/notices/pay` | the same, and `psp`, `outcome`, `transfer_type` (`POSTAL`, `PAGOPA`), `again`, `also_v1` | `outcome`, `receipt_id`, `amount_cents`, `delivery`, `fault` |
//! | `POST /api/spontaneous` | `creditor`, `service`, `subject` (5 characters each), `data` (the service's XML) | as verify, and `creditor`, `notice_number`, `qr` |
//! | `GET /api/payments`, `GET /api/payments/{receipt_id}` | | `state` (`activated`, `paid`, `refused`), `delivery`, `deliveries` with their attempts |
//! | `POST /api/payments/{receipt_id}/outcome` | `outcome` (`ok`, `refused`), `late` | settles an activation left `unknown`; 409 once its token has expired, unless `late` |
//! | `POST /api/payments/{receipt_id}/redeliver` | | the same receipt again now, whatever was answered before: `results` |
//! | `GET /api/faults` | | `armed`: what shall go wrong; `struck`: what went wrong |
//! | `POST /api/faults` | below | the armed fault, with its `id` |
//! | `DELETE /api/faults`, `DELETE /api/faults/{id}` | | what is armed no more; receipts it held go out |
//! | `GET /api/stand_in` | | per creditor: `on`, and the `probes` |
//! | `POST /api/stand_in` | `creditor`, `on` | the same, after a first probe |
//! | `POST /api/stand_in/pay` | `creditor`, `notice_number`, `amount_cents`, `description`, `category`, `psp` | as `notices/pay`; 409 unless stand-in is on |
//! | `GET /api/psps`, `GET /api/violations` | | the PSPs and their fees; the rules that creditors' answers broke |
//!
//! In requests `outcome` is `ok` (the default), `refused` (the bank says no: no receipt, the notice is free again) or
//! `unknown` (activated, then silence: the token blocks the notice until it expires). In answers it is `paid`,
//! `refused`, `unknown` or `not_payable`, the last with a `fault`: `code` is the Node's (`PPT_...`), `original_code`
//! the creditor's (`PAA_...`). `delivery` is `acknowledged`, `pending` (will be sent again), `held` (a fault keeps it
//! back), `refused` (a well-formed KO) or `exhausted`; the answer to `pay` waits for the first delivery, for as long as
//! the Node waits for a receipt.
//!
//! `again: true` pays a paid notice a second time, with a token of its own and without asking the creditor: both are
//! real payments. `also_v1: true` sends the owner of the notice a paSendRT after its paSendRTV2.
//!
//! # Faults
//! `operation` says what is hit: `verify`, `activate`, `receipt`, `demand`, or `cart` (the creditor's own call of
//! Checkout); `creditor` and `notice_number` narrow it; `calls` says how often, until removed where left out. Each try
//! of a receipt counts. `fault` says what happens:
//!
//! | `fault` | what happens |
//! | --- | --- |
//! | `slow`, `millis` | the request leaves later; the Node's time runs already |
//! | `slow_answer`, `millis` | the answer is read later; the Node's time runs |
//! | `lost_request` | nothing is sent; the Node sees no connection |
//! | `lost_answer` | sent and handled: the connection ends when the answer begins to arrive |
//! | `twice` | sent twice at once |
//! | `again` | sent again after an OK |
//! | `out_of_order`, `receipts` | held until so many more receipts are due, then all of them in reverse, one by one; counts once per group |
//! | `late`, `hours` | a receipt is held for so many of the platform's hours |
//! | `never` | a receipt is never sent, but `redeliver` still sends it |
//! | `time_out` | sent, and the Node stops waiting when its time is over, whatever was answered |
//! | `cut` | the connection ends in the middle of the request's body |
//!
//! Each attempt of a delivery says its `result` and, in Italian, the `fault` that struck it; a delivery that was kept back
//! says why in `held`. `calls_left` of an armed fault is `null` until it is removed, `struck` counts what it has hit.
//!
//! For `cart` they are meant from the creditor's side: a lost request is not handled, a lost answer is, a cut one ends
//! in the middle of its first line, and after a time-out nothing is answered until the creditor hangs up.
//!
//! # Stand-in
//! While it is on for a creditor, the Node probes its station with the notice 000000000000000000 and expects
//! PAA_PAGAMENTO_SCONOSCIUTO; and a notice can be paid for the amount that the caller knows from the archive of debt
//! positions, without asking the creditor. Its receipt says so. pagoPA ends stand-in by itself once half of the probes
//! are answered well; here it ends when it is told to.
//!
//! # Time
//! Dates, token and cart lifetimes follow the caller's clock; network time-outs and the pause between redeliveries
//! follow tokio's.

mod api;
mod cards;
mod carts;
mod desk;
mod faults;
mod faults_desk;
mod line;
mod node;
mod pages;
mod psps;
mod receipts;
mod rules;
mod schema;
mod spontaneous;
mod stand_in;
mod state;
mod wire;
mod xml;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Where the sandbox takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A creditor that the sandbox may call.
#[derive(Clone, Debug)]
pub struct Creditor {
    /// 11 digits: `idPA` in the calls.
    pub fiscal_code: String,
    /// Name shown where the creditor's own answers give none.
    pub name: String,
    /// `idBrokerPA`, up to 35 characters.
    pub broker: String,
    /// `idStation`, up to 35 characters.
    pub station: String,
    /// Address of its paForNode service; `http` only, as everything is on one machine.
    pub endpoint: String,
    /// IBANs registered for this creditor: the Node refuses transfers to any other (SANP, synchronous integration).
    pub ibans: Vec<String>,
    /// The station's primitives: `true` for paGetPayment and paSendRT, `false` for their V2.
    pub v1: bool,
}

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address that browsers use, without trailing slash; `None` for that of the listener.
    pub public_url: Option<String>,
    /// The key that the cart call must carry.
    pub subscription_key: String,
    /// The creditors; an unknown one is answered with a fault of the Node.
    pub creditors: Vec<Creditor>,
    /// Pause between two deliveries of a receipt. The Node's is one hour; tests scale it.
    pub hour: Duration,
    /// How long an activation blocks its notice. The Node's default is 30 minutes.
    pub token_lifetime: Duration,
    /// How long a cart can be paid.
    pub cart_lifetime: Duration,
    /// How long the Node waits for a creditor.
    pub timeouts: Timeouts,
    /// Pause between two probes of a station in stand-in; pagoPA's own is not published.
    pub probe: Duration,
}

impl Config {
    /// The platform's own times, for these creditors.
    pub fn new(subscription_key: impl Into<String>, creditors: Vec<Creditor>) -> Self {
        Self { subscription_key: subscription_key.into(), creditors, ..Self::default() }
    }

    /// # Errors
    /// In words, for what would make every later call fail.
    fn check(&self) -> Result<(), String> {
        for (i, c) in self.creditors.iter().enumerate() {
            let who = &c.fiscal_code;
            if who.len() != 11 || !who.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("creditor {who}: the fiscal code needs 11 digits"));
            }
            if self.creditors.iter().take(i).any(|other| other.fiscal_code == *who) {
                return Err(format!("creditor {who}: configured twice"));
            }
            match reqwest::Url::parse(&c.endpoint) {
                Ok(url) if url.scheme() == "http" && url.has_host() => {}
                _ => {
                    return Err(format!("creditor {who}: the endpoint is not an http address"));
                }
            }
            if [&c.broker, &c.station].iter().any(|id| !(1..=35).contains(&id.chars().count())) {
                return Err(format!("creditor {who}: broker and station need 1 to 35 characters"));
            }
            if let Some(bad) = c.ibans.iter().find(|i| !schema::is_iban(i)) {
                return Err(format!("creditor {who}: {bad} is not an IBAN"));
            }
        }
        if self.subscription_key.is_empty() {
            return Err("the subscription key is empty".to_owned());
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            public_url: None,
            subscription_key: "sandbox".to_owned(),
            creditors: Vec::new(),
            hour: 60 * MINUTE,
            token_lifetime: 30 * MINUTE,
            cart_lifetime: 30 * MINUTE,
            timeouts: NODE_TIMEOUTS,
            probe: MINUTE,
        }
    }
}

/// How long the Node waits for a creditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Verify, activate, demand.
    pub verify: Duration,
    /// Receipts.
    pub receipt: Duration,
}

/// The Node's own (SANP 3.12.0, creditor entity service levels): 7 s for questions, 15 s for receipts.
pub const NODE_TIMEOUTS: Timeouts = Timeouts { verify: Duration::from_secs(7), receipt: Duration::from_secs(15) };

/// What may still run after the shutdown was asked for, before it is cut off.
const GRACE: Duration = Duration::from_secs(2);

/// Bodies beyond this are refused: the largest legal cart is a few kilobytes.
const MAX_BODY: usize = 64 * 1024;

type Job = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything the handlers share.
struct Platform {
    config: Config,
    public_url: String,
    clock: Clock,
    http: reqwest::Client,
    jobs: mpsc::UnboundedSender<Job>,
    state: Mutex<state::State>,
}

type Shared = Arc<Platform>;

impl Platform {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The state; never held across an await. A panic elsewhere leaves it usable: each change is made in one go.
    fn state(&self) -> MutexGuard<'_, state::State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn creditor(&self, fiscal_code: &str) -> Option<&Creditor> {
        self.config.creditors.iter().find(|c| c.fiscal_code == fiscal_code)
    }

    /// Code and name of every creditor, for the choices of a page.
    fn creditors(&self) -> Vec<(String, String)> {
        self.config.creditors.iter().map(|c| (c.fiscal_code.clone(), c.name.clone())).collect()
    }

    /// Runs work in a task owned by [`serve`], so that a browser hanging up does not stop a payment half-way.
    /// `None` when the sandbox is shutting down.
    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            // Nobody listening any more is the very case this function is for.
            let _ = tell.send(work.await);
        });
        told.await.ok()
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Fails only after `serve` has returned, when nothing should start any more.
        let _ = self.jobs.send(Box::pin(work));
    }
}

/// Runs the sandbox on this listener until `shutdown` resolves.
///
/// # Errors
/// An unusable [`Config`] ([`io::ErrorKind::InvalidInput`], in words), or the listener's own.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    config.check().map_err(|words| io::Error::new(io::ErrorKind::InvalidInput, words))?;
    let public_url = match &config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    };
    // reqwest asks for a default provider even for clients that only speak http; another may be installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // A repeated receipt must be one that the engine decided to repeat.
        .retry(reqwest::retry::never())
        .tls_certs_only([])
        .build()
        .map_err(io::Error::other)?;
    let (jobs, inbox) = mpsc::unbounded_channel();
    let platform = Arc::new(Platform { config, public_url, clock, http, jobs, state: Mutex::default() });

    let (stop, mut stopped) = watch::channel(false);
    let graceful = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    let overdue = async move {
        // An error means that the sender is gone, with the same meaning.
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    let service = router(platform).into_make_service_with_connect_info::<line::Switch>();
    tokio::select! {
        served = axum::serve(line::Lines(listener), service).with_graceful_shutdown(graceful) => served,
        () = work(inbox) => Ok(()),
        () = overdue => Ok(()),
    }
}

/// Runs the jobs; dropping this future ends them all.
async fn work(mut inbox: mpsc::UnboundedReceiver<Job>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = inbox.recv() => match job {
                Some(job) => { running.spawn(job); }
                None => return,
            },
            Some(_) = running.join_next() => {}
        }
    }
}

fn router(platform: Shared) -> Router {
    Router::new()
        .merge(carts::router())
        .merge(pages::router())
        .merge(desk::router())
        .merge(faults_desk::router())
        .merge(spontaneous::router())
        .merge(stand_in::router())
        .merge(api::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(guard))
        .with_state(platform)
}

/// Headers of every answer: no scripts, no frames, no referrer that would carry a cart's address to another site.
async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        // No `form-action`: browsers apply it to the redirect towards the creditor's return address too.
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// 32 hexadecimal digits from the system's source of chance: payment tokens and cart ids.
///
/// # Errors
/// The system's source failing, in words.
#[allow(clippy::disallowed_methods, reason = "the sandbox is its own system: this is its only source of chance")]
fn token() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
