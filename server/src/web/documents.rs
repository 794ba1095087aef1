//! Documents in a browser: one that a short-lived address leads to (`/documenti/...`), and the page on which whoever holds a fiscal
//! certificate has it confirmed (`/verifica/CREDITOR`). The page says what stands on the paper, and nothing more.

use askama::Template;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use jiff::civil::Date;
use serde::Deserialize;

use super::{Words, language, missing, page};
use crate::usecases::documents::{Confirmed, DocumentRefusal, File, LinkError, confirm, of_link};
use crate::usecases::{App, Stop};

/// The longest post, in bytes: a code.
const MAX_BODY: usize = 1_024;

const RULES: &str = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/documenti/{token}", get(document))
        .route("/verifica/{creditor}", get(ask).post(answer))
        .route("/verifica.js", get(script))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

async fn document(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    match of_link(&app, &token).await {
        Ok(Ok(file)) => download(file),
        Ok(Err(Stop::Refused(DocumentRefusal::Busy))) => page(StatusCode::SERVICE_UNAVAILABLE, &headers, "wait", busy),
        Ok(Err(Stop::Refused(DocumentRefusal::NotPayable))) => page(StatusCode::GONE, &headers, "stop", settled),
        Ok(Err(Stop::Fault(error))) => {
            tracing::error!(%error, "a document could not be made");
            page(StatusCode::SERVICE_UNAVAILABLE, &headers, "stop", trouble)
        }
        // Whatever else it is: whoever has the address learns no more than that.
        Ok(Err(Stop::Refused(_))) | Err(LinkError::Invalid | LinkError::Expired) => {
            page(StatusCode::GONE, &headers, "stop", gone)
        }
    }
}

fn download(file: File) -> Response {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{}\"", file.name));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let mut response = file.bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    response
}

fn gone(language: Language) -> Words {
    match language {
        Language::Italian => (
            "Questo indirizzo non porta più a un documento",
            vec!["Gli indirizzi dei documenti valgono per poco tempo. Chiedi il documento di nuovo nell'app."],
        ),
        Language::English => (
            "This address leads to no document any more",
            vec!["Addresses of documents are good for a short time. Ask for the document again in the app."],
        ),
        Language::German => (
            "Diese Adresse führt zu keinem Dokument mehr",
            vec!["Adressen von Dokumenten gelten nur kurze Zeit. Rufen Sie das Dokument in der App noch einmal ab."],
        ),
    }
}

fn settled(language: Language) -> Words {
    match language {
        Language::Italian => (
            "Questo avviso non si può più pagare",
            vec!["È stato pagato, annullato o è scaduto. Nell'app vedi com'è andata."],
        ),
        Language::English => (
            "This notice can no longer be paid",
            vec!["It was paid, cancelled, or has expired. The app shows what became of it."],
        ),
        Language::German => (
            "Diese Zahlungsmitteilung kann nicht mehr bezahlt werden",
            vec!["Sie wurde bezahlt, storniert oder ist abgelaufen. Die App zeigt, was daraus geworden ist."],
        ),
    }
}

fn busy(language: Language) -> Words {
    match language {
        Language::Italian => {
            ("Si stampano molti documenti", vec!["Riprova tra qualche secondo: ricarica questa pagina."])
        }
        Language::English => ("Many documents are being made", vec!["Try again in a few seconds: reload this page."]),
        Language::German => (
            "Gerade werden viele Dokumente erstellt",
            vec!["Versuchen Sie es in einigen Sekunden erneut: Laden Sie diese Seite neu."],
        ),
    }
}

fn trouble(language: Language) -> Words {
    match language {
        Language::Italian => (
            "Il documento non è disponibile in questo momento",
            vec!["Qualcosa non ha funzionato da parte nostra. Riprova più tardi, o chiama l'ufficio scuola."],
        ),
        Language::English => (
            "The document is not available at the moment",
            vec!["Something went wrong on our side. Try again later, or call the school office."],
        ),
        Language::German => (
            "Das Dokument ist derzeit nicht verfügbar",
            vec!["Bei uns ist etwas schiefgegangen. Versuchen Sie es später erneut, oder rufen Sie die Gemeinde an."],
        ),
    }
}

async fn script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("../../templates/verify.js"))
}

#[derive(Template)]
#[template(path = "verify.html")]
struct Page {
    language: &'static str,
    mood: &'static str,
    title: &'static str,
    town: String,
    line: &'static str,
    label: &'static str,
    button: &'static str,
    /// Name and value, as they stand on the paper.
    facts: Vec<(&'static str, String)>,
    /// Service and amount.
    lines: Vec<(String, String)>,
    /// What to know besides.
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
}

async fn ask(State(app): State<App>, Path(creditor): Path<String>, headers: HeaderMap) -> Response {
    let listing = app.directory.listing();
    let Some(row) = listing.creditor(&creditor) else { return missing(headers).await };
    let language = language(&headers);
    let line = language.choose([
        "Scrivi il codice di verifica che trovi sulla certificazione.",
        "Type the verification code that stands on the certificate.",
        "Geben Sie den Prüfcode ein, der auf der Bescheinigung steht.",
    ]);
    write(StatusCode::OK, blank(language, row.name.clone(), ("info", line)))
}

async fn answer(
    State(app): State<App>,
    Path(creditor): Path<String>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Response {
    let listing = app.directory.listing();
    let Some(row) = listing.creditor(&creditor) else { return missing(headers).await };
    let language = language(&headers);
    match confirm(&app.printer(), row, &typed.code).await {
        Ok(Some(confirmed)) => write(StatusCode::OK, shown(language, row.name.clone(), &confirmed)),
        Ok(None) => {
            let line = language.choose([
                "Nessuna certificazione di questo Comune ha questo codice: controlla che sia scritto come sul foglio.",
                "No certificate of this municipality has this code: check that it is written as on the paper.",
                "Keine Bescheinigung dieser Gemeinde hat diesen Code: Prüfen Sie, ob er wie auf dem Papier geschrieben ist.",
            ]);
            write(StatusCode::NOT_FOUND, blank(language, row.name.clone(), ("stop", line)))
        }
        Err(error) => {
            tracing::error!(%error, "a certificate could not be looked up");
            page(StatusCode::SERVICE_UNAVAILABLE, &headers, "stop", trouble)
        }
    }
}

fn blank(language: Language, town: String, (mood, line): (&'static str, &'static str)) -> Page {
    Page {
        language: language.tag(),
        mood,
        title: language.choose([
            "Verifica di una certificazione",
            "Check of a certificate",
            "Prüfung einer Bescheinigung",
        ]),
        town,
        line,
        label: language.choose(["Codice di verifica", "Verification code", "Prüfcode"]),
        button: language.choose(["Verifica", "Check", "Prüfen"]),
        facts: Vec::new(),
        lines: Vec::new(),
        notes: Vec::new(),
    }
}

fn shown(language: Language, town: String, confirmed: &Confirmed) -> Page {
    let say = |words: [&'static str; 3]| language.choose(words);
    let money = |cents: i64| Cents::new(cents).text(language);
    let day = |text: &str| {
        let day: Option<Date> = text.parse().ok();
        day.map(|day| format!("{:02}/{:02}/{:04}", day.day(), day.month(), day.year())).unwrap_or_default()
    };
    let (replaced, mood) = match &confirmed.replaced {
        Some(_) => (true, "wait"),
        None => (false, "ok"),
    };
    let line = match replaced {
        false => say([
            "La certificazione è autentica: questo è ciò che vi sta scritto.",
            "The certificate is authentic: this is what stands on it.",
            "Die Bescheinigung ist echt: Das steht darauf.",
        ]),
        true => say([
            "La certificazione è autentica, ma ne è stata rilasciata una più recente che dice altro.",
            "The certificate is authentic, but a newer one that says something else was issued.",
            "Die Bescheinigung ist echt, aber es wurde eine neuere mit anderem Inhalt ausgestellt.",
        ]),
    };
    let mut facts = vec![
        (say(["Anno", "Year", "Jahr"]), confirmed.year.to_string()),
        (say(["Ha pagato", "Paid by", "Bezahlt von"]), format!("{} ({})", confirmed.payer.0, confirmed.payer.1)),
        (say(["Per", "For", "Für"]), format!("{} ({})", confirmed.child.0, confirmed.child.1)),
        (say(["Rilasciata il", "Issued on", "Ausgestellt am"]), day(&confirmed.issued)),
    ];
    if let Some(since) = &confirmed.replaced {
        facts.push((say(["La più recente è del", "The newer one is of", "Die neuere ist vom"]), day(since)));
    }
    let (untraceable, earlier, since) = confirmed.apart;
    let mut notes = Vec::new();
    for (cents, words) in [
        (untraceable, ["Pagati in modo non tracciabile", "Paid by untraceable means", "Nicht rückverfolgbar bezahlt"]),
        (earlier, ["Rimborsi di anni precedenti", "Refunds of earlier years", "Rückerstattungen früherer Jahre"]),
        (
            since,
            ["Rimborsati dopo la fine dell'anno", "Refunded since the year's end", "Nach Jahresende rückerstattet"],
        ),
    ] {
        if cents != 0 {
            notes.push(format!("{}: {}", say(words), money(cents)));
        }
    }
    let lines = confirmed.lines.iter().map(|(service, _, _, net)| (service.clone(), money(*net))).collect();
    Page { facts, lines, notes, ..blank(language, town, (mood, line)) }
}

fn write(status: StatusCode, page: Page) -> Response {
    match page.render() {
        Ok(html) => (status, [(header::CONTENT_SECURITY_POLICY, RULES)], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
