//! The page of a pay link (`/paga`): an empty page and a small script, which asks what stands behind the `#`. The link never
//! stands in a request line; the page names nobody.

use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use borsellino_domain::language::Language;
use borsellino_domain::time::{Millis, day_text};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{address, language};
use crate::usecases::post::pay_link::{self, LinkRefusal, LinkState, LinkView};
use crate::usecases::{App, Stop};

/// The longest question, in bytes.
const MAX_BODY: usize = 1_024;

/// For the page alone: its own script and style, and calls to this server.
const RULES: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/paga", get(page))
        .route("/paga.js", get(script))
        .route("/paga/avviso", post(seen))
        .route("/paga/pagina", post(opened))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

#[derive(Template)]
#[template(path = "pay.html")]
struct Page {
    language: &'static str,
    words: Words,
}

struct Words {
    title: &'static str,
    no_script: &'static str,
    pay: &'static str,
    elsewhere: &'static str,
    phone: &'static str,
    /// What is shown, and what it is called.
    facts: [(&'static str, &'static str); 7],
    /// How it may stand: the state, the page's mood, its heading, and what it says.
    states: Vec<(&'static str, &'static str, &'static str, &'static str)>,
}

fn words(language: Language) -> Words {
    let say = |words: [&'static str; 3]| language.choose(words);
    Words {
        title: say(["Avviso di pagamento", "Payment notice", "Zahlungsaufforderung"]),
        no_script: say([
            "Per vedere l'avviso questa pagina ha bisogno di JavaScript. Attivalo, oppure paga con il codice avviso che trovi nell'e-mail: in banca, in posta, in tabaccheria o con l'app della banca.",
            "To show the notice this page needs JavaScript. Switch it on, or pay with the notice code in the e-mail: at a bank, the post office, a tobacconist's or in your bank's app.",
            "Um die Zahlungsaufforderung zu zeigen, braucht diese Seite JavaScript. Schalten Sie es ein, oder bezahlen Sie mit dem Code aus der E-Mail: bei der Bank, der Post, im Tabakladen oder in der App Ihrer Bank.",
        ]),
        pay: say(["Paga online", "Pay online", "Online bezahlen"]),
        elsewhere: say([
            "Oppure paga in banca, in posta, in tabaccheria o con l'app della banca, con il codice avviso.",
            "Or pay at a bank, the post office, a tobacconist's or in your bank's app, with the notice code.",
            "Oder bezahlen Sie mit dem Code bei der Bank, der Post, im Tabakladen oder in der App Ihrer Bank.",
        ]),
        phone: say(["Domande? Telefono:", "Questions? Phone:", "Fragen? Telefon:"]),
        facts: [
            ("amount", say(["Importo", "Amount", "Betrag"])),
            ("reason", say(["Causale", "Reason", "Grund"])),
            ("due", say(["Entro il", "By", "Bis"])),
            ("town", say(["Ente creditore", "Creditor", "Gläubiger"])),
            ("code", say(["Codice avviso", "Notice code", "Code"])),
            ("creditor", say(["Codice fiscale ente", "Creditor's tax code", "Steuernummer"])),
            ("cbill", "CBILL"),
        ],
        states: states(say),
    }
}

type Three = [&'static str; 3];

fn states(say: impl Fn(Three) -> &'static str) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let texts: [(&str, &str, Three, Three); 11] = [
        ("loading", "wait", ["Un momento…", "One moment…", "Einen Augenblick…"], ["", "", ""]),
        (
            "open",
            "info",
            ["Da pagare", "To pay", "Zu bezahlen"],
            [
                "Ti hanno mandato questo avviso.",
                "This notice was sent to you.",
                "Diese Zahlungsaufforderung wurde Ihnen geschickt.",
            ],
        ),
        (
            "busy",
            "wait",
            [
                "In corso: in attesa di conferma",
                "In progress: waiting for confirmation",
                "In Bearbeitung: Bestätigung ausständig",
            ],
            [
                "Una pagina di pagamento è già aperta fino alle {until}. Se hai già pagato non pagare di nuovo: la conferma può arrivare più tardi.",
                "A payment page is already open until {until}. If you have paid, do not pay again: the confirmation can arrive later.",
                "Eine Zahlungsseite ist bereits bis {until} offen. Falls Sie bezahlt haben, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen.",
            ],
        ),
        (
            "inprogress",
            "wait",
            [
                "In corso: in attesa di conferma",
                "In progress: waiting for confirmation",
                "In Bearbeitung: Bestätigung ausständig",
            ],
            [
                "Qualcuno lo sta pagando insieme ad altro, fino alle {until}. Riprova dopo.",
                "Somebody is paying it together with other things, until {until}. Try again afterwards.",
                "Jemand bezahlt es gerade zusammen mit anderem, bis {until}. Versuchen Sie es danach noch einmal.",
            ],
        ),
        (
            "paid",
            "ok",
            ["Operazione conclusa: pagato", "Done: paid", "Abgeschlossen: bezahlt"],
            [
                "Questo avviso è pagato. Non devi fare nulla.",
                "This notice is paid. There is nothing to do.",
                "Diese Zahlungsaufforderung ist bezahlt. Es ist nichts zu tun.",
            ],
        ),
        (
            "cancelled",
            "stop",
            ["Annullato dal Comune", "Cancelled by the municipality", "Von der Gemeinde annulliert"],
            [
                "Questo avviso non va più pagato.",
                "This notice is no longer to be paid.",
                "Diese Zahlungsaufforderung ist nicht mehr zu bezahlen.",
            ],
        ),
        (
            "expired",
            "stop",
            ["Scaduto", "Expired", "Abgelaufen"],
            [
                "Il tempo per pagarlo è finito. Chiedi un avviso nuovo a chi te l'ha mandato.",
                "The time to pay it is over. Ask whoever sent it to you for a new one.",
                "Die Zeit zum Bezahlen ist um. Bitten Sie die Person, die sie geschickt hat, um eine neue.",
            ],
        ),
        (
            "unknown",
            "stop",
            ["Questo link non vale", "This link is not valid", "Dieser Link gilt nicht"],
            [
                "Forse è incompleto, o non è più valido. Aprilo dall'e-mail, o chiedine uno nuovo a chi te l'ha mandato.",
                "It may be incomplete, or valid no more. Open it from the e-mail, or ask whoever sent it for a new one.",
                "Vielleicht ist er unvollständig oder nicht mehr gültig. Öffnen Sie ihn aus der E-Mail, oder bitten Sie um einen neuen.",
            ],
        ),
        (
            "later",
            "stop",
            ["Troppi tentativi", "Too many tries", "Zu viele Versuche"],
            [
                "Aspetta un minuto e riapri il link.",
                "Wait a minute and open the link again.",
                "Warten Sie eine Minute und öffnen Sie den Link noch einmal.",
            ],
        ),
        (
            "nopage",
            "stop",
            ["Il pagamento online non risponde", "Paying online does not answer", "Die Online-Zahlung antwortet nicht"],
            [
                "Riprova tra qualche minuto.",
                "Try again in a few minutes.",
                "Versuchen Sie es in einigen Minuten noch einmal.",
            ],
        ),
        (
            "error",
            "stop",
            [
                "Non riusciamo a leggere l'avviso",
                "We cannot read the notice",
                "Wir können die Zahlungsaufforderung nicht lesen",
            ],
            [
                "Controlla la connessione e ricarica la pagina.",
                "Check the connection and reload the page.",
                "Prüfen Sie die Verbindung und laden Sie die Seite neu.",
            ],
        ),
    ];
    texts.into_iter().map(|(state, mood, heading, told)| (state, mood, say(heading), say(told))).collect()
}

async fn page(headers: HeaderMap) -> Response {
    let language = language(&headers);
    let page = Page { language: language.tag(), words: words(language) };
    match page.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, RULES)], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("../../templates/pay.js"))
}

/// What the script asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
}

/// A question in JSON, and of no other type: no page elsewhere can have a browser ask it.
async fn question(app: &App, request: Request) -> Option<(Question, Option<IpAddr>, Language)> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let (address, language) = (address(request.headers(), peer, app.behind_proxy), language(request.headers()));
    let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return None;
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.ok()?;
    Some((serde_json::from_slice(&body).ok()?, address, language))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

fn refused(stop: &Stop<LinkRefusal>) -> Response {
    match stop {
        Stop::Refused(LinkRefusal::Unknown) => answer(StatusCode::NOT_FOUND, &json!({ "state": "unknown" })),
        Stop::Refused(LinkRefusal::NotPayable) => answer(StatusCode::CONFLICT, &json!({ "state": "notpayable" })),
        Stop::Refused(LinkRefusal::InProgress { until }) => {
            let until = until.clock_in_italy();
            answer(StatusCode::CONFLICT, &json!({ "state": "inprogress", "until": until }))
        }
        Stop::Refused(LinkRefusal::TryLater(millis)) => {
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &json!({ "state": "later" }));
            let seconds = millis.saturating_add(999).div_euclid(1_000);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Stop::Fault(error) => {
            tracing::error!(%error, "a pay link could not be followed");
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "state": "error" }))
        }
    }
}

async fn seen(State(app): State<App>, request: Request) -> Response {
    let Some((question, address, language)) = question(&app, request).await else {
        return answer(StatusCode::BAD_REQUEST, &json!({ "state": "error" }));
    };
    match pay_link::look(&app, &question.token, address).await {
        Ok(view) => answer(StatusCode::OK, &shown(&view, language, app.now())),
        Err(stop) => refused(&stop),
    }
}

fn shown(view: &LinkView, language: Language, now: Millis) -> Value {
    let (state, amount, until) = match view.state {
        LinkState::Open { amount } => ("open", Some(amount), None),
        LinkState::InProgress { amount, until } => ("busy", Some(amount), until.clock_in_italy()),
        LinkState::Paid => ("paid", None, None),
        LinkState::Cancelled => ("cancelled", None, None),
        LinkState::Expired => ("expired", None, None),
    };
    let due = view.due_date.parse().ok().zip(now.day_in_italy());
    let due = due.map_or_else(|| view.due_date.clone(), |(due, today)| day_text(due, today, language));
    json!({
        "state": state,
        "town": view.town,
        "reason": view.reason,
        "amount": amount.map(|amount| amount.as_cents().text(language)),
        "due": if amount.is_some() { due } else { String::new() },
        "code": view.number.grouped(),
        "creditor": view.creditor.as_str(),
        "cbill": view.cbill,
        "phone": view.help_phone,
        "until": until,
    })
}

async fn opened(State(app): State<App>, request: Request) -> Response {
    let Some((question, address, _)) = question(&app, request).await else {
        return answer(StatusCode::BAD_REQUEST, &json!({ "state": "error" }));
    };
    match pay_link::open(&app, &question.token, address).await {
        Ok(Some(url)) => answer(StatusCode::OK, &json!({ "state": "page", "url": url })),
        Ok(None) => answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "state": "nopage" })),
        Err(stop) => refused(&stop),
    }
}
