//! What is around every page: the creditor's name, the menu, the language, the footer; and the pages that only say something.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use borsellino_domain::language::Language;
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;

use super::forms::{TOKEN, draft};
use super::visit::{Visit, accepted, base, dismiss};
use super::{assets, looks, offline};
use crate::auth::token::Identity;
use crate::sentences;
use crate::usecases::appearance::{self, Colour};
use crate::usecases::sessions::SessionRefusal;
use crate::usecases::{App, Fault, Stop};

/// The pages of the menu: their path below the portal's, and what they are called.
const MENU: [(&str, [&str; 3]); 9] = [
    ("", ["I miei figli", "My children", "Meine Kinder"]),
    ("/paga", ["Paga", "Pay", "Bezahlen"]),
    ("/ricarica", ["Ricarica", "Top up", "Aufladen"]),
    ("/consumatori", ["Elenco Consumatori", "List of children", "Liste der Kinder"]),
    ("/movimenti", ["Movimenti", "Movements", "Buchungen"]),
    ("/bollettini", ["Bollettini", "Bills", "Rechnungen"]),
    ("/archivio", ["Archivio", "Archive", "Archiv"]),
    ("/cerca", ["Cerca", "Search", "Suchen"]),
    ("/messaggi", ["Messaggi", "Messages", "Mitteilungen"]),
];

/// The group `Informazioni`, for everybody.
const ABOUT: [(&str, [&str; 3]); 6] = [
    ("/novita", ["Novità", "News", "Neuigkeiten"]),
    ("/calendario", ["Calendario eventi", "Calendar of events", "Veranstaltungskalender"]),
    ("/documenti", ["Documenti disponibili", "Documents", "Dokumente"]),
    ("/domande", ["Domande frequenti", "Frequent questions", "Häufige Fragen"]),
    ("/informazioni", ["Richiesta informazioni", "Ask for information", "Auskunft"]),
    ("/aiuto", ["Help online", "Help", "Hilfe"]),
];

/// What every template has around it, and the words it is written in.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) w: Words,
    pub(super) tag: &'static str,
    pub(super) title: String,
    pub(super) town: String,
    pub(super) phone: String,
    /// `/comune/99900010010`
    pub(super) base: String,
    /// The path that was asked for, for the change of language.
    pub(super) asked: String,
    /// Somebody is signed in.
    pub(super) inside: bool,
    /// The menu: path, words, whether it is this page.
    pub(super) menu: Vec<(String, &'static str, bool)>,
    pub(super) token_name: &'static str,
    pub(super) token: String,
    pub(super) css: String,
    pub(super) js: String,
    pub(super) icons: String,
    /// The creditor's colour: its styles, and for the browser's own frame.
    pub(super) colours: Option<String>,
    pub(super) theme: String,
    pub(super) logo: Option<String>,
    pub(super) manifest: String,
    pub(super) icon: [String; 2],
    /// The service worker, where the device is the parent's own.
    pub(super) worker: Option<String>,
}

impl Frame {
    pub(super) fn new(visit: &Visit, title: &str, active: &'static str) -> Self {
        let base = visit.base();
        let inside = visit.pass().is_some();
        let menu = MENU.map(|(path, words)| (format!("{base}{path}"), visit.language.choose(words), path == active));
        Self {
            w: visit.words,
            tag: visit.language.tag(),
            title: title.to_owned(),
            town: visit.creditor.name.clone(),
            phone: visit.creditor.help_phone.clone(),
            base,
            asked: visit.asked.clone(),
            inside,
            menu: if inside { menu.into() } else { Vec::new() },
            token_name: TOKEN,
            token: visit.form_token(),
            css: assets::path("portal.css"),
            js: assets::path("portal.js"),
            icons: assets::path("icons.svg"),
            colours: looks::colours_path(visit),
            theme: appearance::colour(&visit.creditor).unwrap_or(Colour::OWN).to_string(),
            logo: looks::logo_path(visit),
            manifest: format!("{}{}", visit.base(), offline::MANIFEST_PATH),
            icon: ["icon.svg", "icon-180.png"].map(assets::path),
            worker: visit.stays().then(|| format!("{}{}", visit.base(), offline::WORKER_PATH)),
        }
    }

    /// One text in the three languages.
    pub(super) fn t<'a>(&self, it: &'a str, en: &'a str, de: &'a str) -> &'a str {
        self.w.of([it, en, de])
    }

    /// The pages that everybody reads: path and words.
    pub(super) fn about(&self) -> [(String, &'static str); 6] {
        ABOUT.map(|(path, words)| (format!("{}{path}", self.base), self.w.language.choose(words)))
    }

    /// The languages that a parent may change to.
    pub(super) fn others(&self) -> Vec<(&'static str, &'static str)> {
        let all = [("it", "Italiano"), ("en", "English"), ("de", "Deutsch")];
        all.into_iter().filter(|(tag, _)| *tag != self.tag).collect()
    }
}

/// A page, or the fault of a template.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// To another page; by a name of ours, with nothing of a form left in the browser's history.
pub(super) fn go(path: &str) -> Response {
    let Ok(place) = HeaderValue::try_from(path) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

#[derive(Template)]
#[template(path = "portal/message.html")]
struct Message {
    f: Frame,
    /// `wait`, `ok`, `stop` or `info`: chooses colour and symbol, which only repeat what the words say.
    mood: &'static str,
    lines: Vec<String>,
    /// Where to go on: path and words.
    next: Option<(String, String)>,
}

/// A page that says something, and where to go on.
pub(super) fn say(
    visit: &Visit,
    (status, mood): (StatusCode, &'static str),
    title: &str,
    lines: &[&str],
    next: Option<(String, &str)>,
) -> Response {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let next = next.map(|(path, words)| (path, words.to_owned()));
    show(status, &Message { f: visit.frame(title, "-"), mood, lines, next })
}

fn home(visit: &Visit) -> Option<(String, &'static str)> {
    if visit.pass().is_none() {
        let words = visit.words.of(["Torna all'inizio", "Back to the start", "Zurück zum Anfang"]);
        return Some((format!("{}/accesso", visit.base()), words));
    }
    let words = visit.words.of(["Torna ai miei figli", "Back to my children", "Zurück zu meinen Kindern"]);
    Some((visit.base(), words))
}

/// The sentence of a refusal, as the app says it too, with its title.
pub(super) fn refused(visit: &Visit, status: StatusCode, sentence: &str) -> Response {
    let title = visit.words.of(["Non si può fare", "This cannot be done", "Das geht nicht"]);
    say(visit, (status, "stop"), title, &[sentence], home(visit))
}

/// The target of the log's lines about what somebody asked for and may not have (docs/operators.md).
const AUDIT: &str = "borsellino::audit";

/// A refusal that names no number. Whoever is signed in and asks for what is none of theirs stands in the log, by ids alone: an old
/// address in a browser does so, and so does somebody who tries other families' numbers.
pub(super) fn refused_for(visit: &Visit, reason: Reason) -> Response {
    let status = match reason {
        Reason::UnknownWallet
        | Reason::UnknownBill
        | Reason::UnknownTopUp
        | Reason::UnknownNotice
        | Reason::UnknownChild
        | Reason::UnknownDevice => {
            if let Some(Identity { creditor, guardian, session }) = visit.pass().map(|pass| pass.identity) {
                tracing::warn!(target: AUDIT, %creditor, %guardian, %session, ?reason, "asked for what is none of theirs");
            }
            StatusCode::NOT_FOUND
        }
        Reason::Unavailable | Reason::PrinterBusy => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    refused(visit, status, sentences::of(reason, visit.language))
}

/// A fault of ours.
pub(super) fn fault(visit: &Visit, error: &Fault) -> Response {
    tracing::error!(%error, "a page could not be made");
    refused_for(visit, if error.is_passing() { Reason::Unavailable } else { Reason::Internal })
}

/// The session has ended: whoever comes back signs in again. What was lost with a phone leaves nothing in this browser but a form that
/// was just sent, sealed for whoever sent it.
pub(super) fn ended(visit: &Visit, _: SessionRefusal) -> Response {
    let mut response = sign_in_again(visit);
    dismiss(visit, &mut response);
    response
}

/// Why a page of somebody who is signed in does not come.
pub(super) fn stopped(visit: &Visit, stop: Stop<SessionRefusal>) -> Response {
    match stop {
        Stop::Refused(refusal) => ended(visit, refusal),
        Stop::Fault(error) => fault(visit, &error),
    }
}

/// To the sign-in page, and from there to what was asked for.
pub(super) fn sign_in_first(visit: &Visit) -> Response {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("poi", &visit.asked).finish();
    let path = format!("{}/accesso?{query}", visit.base());
    match HeaderValue::try_from(&path) {
        // A script that asked for a part of a page would show nothing: the whole page goes there.
        Ok(place) if visit.scripted => (StatusCode::OK, [("hx-redirect", place)]).into_response(),
        _ => go(&path),
    }
}

/// Asked for by a way that is only for posting: after a change of language or a sign-in.
pub(super) async fn instead(visit: Visit) -> Response {
    let path = visit.asked.split('?').next().unwrap_or_default();
    let notice = path.strip_suffix("/email").or_else(|| path.strip_suffix("/link"));
    go(&notice.map_or_else(|| visit.base(), str::to_owned))
}

/// To sign in again, where the session has ended while a page was open: the sign-in page keeps a form that was filled in.
pub(super) fn sign_in_again(visit: &Visit) -> Response {
    match visit.posted().filter(|_| visit.keeps()).map(|fields| draft(visit, fields)) {
        // One that is nobody's waits for nobody, and nobody is told that it does.
        Some(draft) if !draft.is_empty() => sign_in_and_go_on(visit, draft),
        _ => sign_in_first(visit),
    }
}

/// The sign-in page, which keeps a form.
pub(super) fn sign_in_and_go_on(visit: &Visit, draft: String) -> Response {
    let outside = visit.clone().outside();
    super::access::form(&outside, StatusCode::OK, super::access::Going { draft, ..Default::default() })
}

/// A form that another site sent.
pub(super) fn foreign_form(visit: &Visit) -> Response {
    let line = visit.words.of([
        "Questa richiesta non arriva da una pagina del portale: apri il portale e riprova da lì.",
        "This request does not come from a page of the portal: open the portal and try again there.",
        "Diese Anfrage kommt nicht von einer Seite des Portals: Öffnen Sie das Portal und versuchen Sie es dort.",
    ]);
    refused(visit, StatusCode::FORBIDDEN, line)
}

/// A form that somebody else filled in on this computer.
pub(super) fn anothers_form(visit: &Visit) -> Response {
    let line = visit.words.of([
        "Questa pagina era di un'altra persona, che ha usato il portale prima di te su questo computer: non è stato inviato niente.",
        "This page was another person's, who used the portal on this computer before you: nothing was sent.",
        "Diese Seite gehörte einer anderen Person, die das Portal vor Ihnen auf diesem Computer benutzt hat: Es wurde nichts gesendet.",
    ]);
    refused(visit, StatusCode::CONFLICT, line)
}

/// A form longer than any of ours.
pub(super) fn too_long(visit: &Visit) -> Response {
    let line = visit.words.of([
        "Il testo è troppo lungo: accorcialo e riprova.",
        "The text is too long: shorten it and try again.",
        "Der Text ist zu lang: Kürzen Sie ihn und versuchen Sie es noch einmal.",
    ]);
    refused(visit, StatusCode::PAYLOAD_TOO_LARGE, line)
}

/// No page of a portal.
pub(super) async fn missing(visit: Result<Visit, Response>) -> Response {
    match visit {
        Ok(visit) => missing_here(&visit),
        Err(response) => response,
    }
}

/// No page of this portal.
pub(super) fn missing_here(visit: &Visit) -> Response {
    let title = visit.words.of(["Questa pagina non esiste", "This page does not exist", "Diese Seite gibt es nicht"]);
    let line = visit.words.of(["Controlla l'indirizzo.", "Check the address.", "Prüfen Sie die Adresse."]);
    say(visit, (StatusCode::NOT_FOUND, "stop"), title, &[line], home(visit))
}

#[derive(Template)]
#[template(path = "portal/entrance.html")]
struct Entrance {
    w: Words,
    tag: &'static str,
    css: String,
    /// Path and name of each portal.
    towns: Vec<(String, String)>,
    known: bool,
}

impl Entrance {
    fn t<'a>(&self, it: &'a str, en: &'a str, de: &'a str) -> &'a str {
        self.w.of([it, en, de])
    }
}

/// No such creditor.
pub(super) fn nowhere(language: Language) -> Response {
    let w = Words { language, server_now: None };
    let page = Entrance { w, tag: language.tag(), css: assets::path("portal.css"), towns: Vec::new(), known: false };
    show(StatusCode::NOT_FOUND, &page)
}

/// The front page of the server: which creditor's portal? With one creditor there is nothing to ask.
pub(super) async fn entrance(State(app): State<App>, headers: HeaderMap) -> Response {
    let listing = app.directory.listing();
    if let [only] = listing.creditors() {
        return go(&base(only));
    }
    let language = accepted(&headers);
    let mut towns: Vec<_> = listing.creditors().iter().map(|row| (base(row), row.name.clone())).collect();
    towns.sort_by(|a, b| a.1.cmp(&b.1));
    let w = Words { language, server_now: None };
    show(StatusCode::OK, &Entrance { w, tag: language.tag(), css: assets::path("portal.css"), towns, known: true })
}
