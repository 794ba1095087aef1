//! The browser's edge: where pagoPA sends a parent back to, a front page, and what a load balancer asks.
//!
//! A browser's return proves nothing: these pages say so in a parent's words and point back to the app, where the
//! receipt shows.

mod documents;
mod letters;
mod pay;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use borsellino_domain::language::Language;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::usecases::App;

/// How long an answer of the database to a probe counts: strangers may ask as often as they like.
const FRESH: Duration = Duration::from_secs(1);

/// How long the database may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// The routes for browsers and probes.
pub fn router(app: App) -> Router {
    let pages = Router::new()
        .route("/pagamento/{outcome}", get(returned))
        .route("/style.css", get(style))
        .merge(pay::router(app.clone()))
        .merge(letters::router(app.clone()))
        .merge(documents::router(app.clone()))
        .fallback(missing)
        .layer(axum::middleware::map_response(guarded));
    let probe = Probe { app, asked: Arc::default() };
    let probes = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready));
    probes.with_state(probe).merge(pages)
}

#[derive(Clone)]
struct Probe {
    app: App,
    /// When the database was asked last, and whether it answered.
    asked: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Probe {
    /// Whoever comes while the database is being asked waits for that same answer.
    async fn database_answers(&self) -> bool {
        let mut asked = self.asked.lock().await;
        if let Some((at, answered)) = *asked
            && at.elapsed() < FRESH
        {
            return answered;
        }
        let reading = tokio::time::timeout(PATIENCE, self.app.directory.reload(&self.app.store)).await;
        let answered = matches!(reading, Ok(Ok(())));
        *asked = Some((Instant::now(), answered));
        answered
    }
}

/// Ready when the database answers.
async fn ready(State(probe): State<Probe>) -> Response {
    let leaving = probe.app.draining.load(Ordering::Relaxed) || *probe.app.stopping.borrow();
    if !leaving && probe.database_answers().await {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}

/// No scripts, no frames, no referrer, nothing kept on a shared computer. A page that needs more than this has its own rules.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let rules = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, rules),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("../templates/style.css"))
}

/// Where a call comes from: the peer, or, behind a proxy of ours, what that proxy appended last.
pub(crate) fn address(headers: &HeaderMap, peer: Option<SocketAddr>, behind_proxy: bool) -> Option<IpAddr> {
    if behind_proxy {
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        let address: IpAddr = forwarded.rsplit(',').next()?.trim().parse().ok()?;
        return Some(address.to_canonical());
    }
    peer.map(|peer| peer.ip().to_canonical())
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    language: &'static str,
    /// `wait`, `ok`, `stop` or `info`: chooses colour and symbol, which only repeat what the words say.
    mood: &'static str,
    title: &'static str,
    lines: Vec<&'static str>,
}

fn language(headers: &HeaderMap) -> Language {
    let tags = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Language::from_tag(tags.split([',', ';']).next().unwrap_or_default().trim())
}

fn page(status: StatusCode, headers: &HeaderMap, mood: &'static str, words: fn(Language) -> Words) -> Response {
    let language = language(headers);
    let (title, lines) = words(language);
    let message = Message { language: language.tag(), mood, title, lines };
    match message.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

type Words = (&'static str, Vec<&'static str>);

async fn returned(headers: HeaderMap, Path(outcome): Path<String>) -> Response {
    // Who paid in the portal goes on there, whatever the platform says: how it stands is the receipt's to say.
    if matches!(outcome.as_str(), "ok" | "attesa" | "annullato" | "errore")
        && let Some(path) = crate::portal::returning(&headers).and_then(|path| HeaderValue::try_from(path).ok())
    {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response();
    }
    match outcome.as_str() {
        "ok" | "attesa" => page(StatusCode::OK, &headers, "wait", waiting),
        "annullato" => page(StatusCode::OK, &headers, "stop", walked_away),
        "errore" => page(StatusCode::OK, &headers, "stop", failed),
        _ => missing(headers).await,
    }
}

fn waiting(language: Language) -> Words {
    match language {
        Language::Italian => (
            "In corso: in attesa di conferma",
            vec![
                "Stiamo aspettando la conferma di pagoPA. Di solito arriva in pochi secondi.",
                "Puoi chiudere questa pagina: il nuovo saldo compare nell'app.",
            ],
        ),
        Language::English => (
            "In progress: waiting for confirmation",
            vec![
                "We are waiting for pagoPA's confirmation. It usually takes a few seconds.",
                "You can close this page: the new balance shows in the app.",
            ],
        ),
        Language::German => (
            "In Bearbeitung: Bestätigung ausständig",
            vec![
                "Wir warten auf die Bestätigung von pagoPA. Das dauert meist nur wenige Sekunden.",
                "Sie können diese Seite schließen: Das neue Guthaben erscheint in der App.",
            ],
        ),
    }
}

fn walked_away(language: Language) -> Words {
    match language {
        Language::Italian => (
            "Pagamento non concluso: puoi riprovare",
            vec!["Hai lasciato la pagina di pagoPA prima di pagare. Torna all'app per riprovare quando vuoi."],
        ),
        Language::English => (
            "Not completed: you can try again",
            vec!["You left the pagoPA page before paying. Go back to the app to try again whenever you like."],
        ),
        Language::German => (
            "Nicht abgeschlossen: Sie können es erneut versuchen",
            vec![
                "Sie haben die pagoPA-Seite vor der Zahlung verlassen. In der App können Sie es jederzeit erneut versuchen.",
            ],
        ),
    }
}

fn failed(language: Language) -> Words {
    match language {
        Language::Italian => (
            "Il pagamento non risulta concluso",
            vec![
                "Se hai ricevuto un addebito non pagare di nuovo: la conferma può arrivare più tardi.",
                "Altrimenti torna all'app e riprova, anche con un altro metodo di pagamento.",
            ],
        ),
        Language::English => (
            "The payment does not appear to be completed",
            vec![
                "If you were charged, do not pay again: the confirmation can arrive later.",
                "Otherwise go back to the app and try again, perhaps with another way to pay.",
            ],
        ),
        Language::German => (
            "Die Zahlung scheint nicht abgeschlossen zu sein",
            vec![
                "Falls Ihr Konto belastet wurde, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen.",
                "Sonst kehren Sie zur App zurück und versuchen Sie es erneut, auch mit einer anderen Zahlungsart.",
            ],
        ),
    }
}

async fn missing(headers: HeaderMap) -> Response {
    page(StatusCode::NOT_FOUND, &headers, "stop", |language| match language {
        Language::Italian => ("Questa pagina non esiste", vec!["Controlla l'indirizzo, oppure apri l'app."]),
        Language::English => ("This page does not exist", vec!["Check the address, or open the app."]),
        Language::German => ("Diese Seite gibt es nicht", vec!["Prüfen Sie die Adresse oder öffnen Sie die App."]),
    })
}
