//! `Domanda segreta`: chosen here, asked in `Problemi con accesso` beside the two proofs, where the creditor wants it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::account::{SecretAnswer, SecretQuestion};

use super::forms::{Posted, Wrong};
use super::frame::{Frame, ended, fault, missing_here, say, show, stopped};
use super::visit::{Parent, Visit, renew};
use crate::sentences;
use crate::usecases::Stop;
use crate::usecases::questions::{QuestionRefusal, Settings, choose, settings};

/// Below a portal's own path.
pub(super) const PATH: &str = "/domanda-segreta";

#[derive(Template)]
#[template(path = "portal/question.html")]
struct Question {
    f: Frame,
    /// The one that was chosen.
    chosen: Option<&'static str>,
    /// Code and words of each, and whether it is ticked.
    questions: Vec<(&'static str, &'static str, bool)>,
    wrong: Wrong,
    problem: Option<String>,
}

fn form(visit: &Visit, status: StatusCode, (settings, ticked): (Settings, &str), wrong: Wrong) -> Response {
    let title = visit.words.of(["Domanda segreta", "Secret question", "Geheimfrage"]);
    let all = SecretQuestion::ALL.into_iter();
    let page = Question {
        f: visit.frame(title, "-"),
        chosen: settings.chosen.map(|chosen| chosen.sentence(visit.language)),
        questions: all.map(|one| (one.code(), one.sentence(visit.language), one.code() == ticked)).collect(),
        problem: (!wrong.is_empty()).then(|| wrong.summary()),
        wrong,
    };
    show(status, &page)
}

/// How it stands; `Err` the page that says why there is nothing to choose.
async fn standing(parent: &Parent) -> Result<Settings, Response> {
    let visit = &parent.visit;
    match settings(&visit.app, parent.who).await {
        // Nothing of it is shown where it is not asked, or where there is no password to forget.
        Ok(settings) if !settings.asked || !settings.password => Err(missing_here(visit)),
        Ok(settings) => Ok(settings),
        Err(stop) => Err(stopped(visit, stop)),
    }
}

pub(super) async fn page(parent: Parent) -> Response {
    let settings = match standing(&parent).await {
        Ok(settings) => settings,
        Err(response) => return response,
    };
    let ticked = settings.chosen.map_or("", SecretQuestion::code);
    let mut response = form(&parent.visit, StatusCode::OK, (settings, ticked), Wrong::default());
    renew(&parent, &mut response).await;
    response
}

pub(super) async fn send(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let settings = match standing(&parent).await {
        Ok(settings) => settings,
        Err(response) => return response,
    };
    let w = visit.words;
    let again = |status, wrong| form(visit, status, (settings, fields.get("domanda")), wrong);
    let chosen = match (fields.get("togli"), SecretQuestion::try_from(fields.get("domanda").to_owned())) {
        ("si", _) => None,
        (_, Err(_)) => {
            let told = w.of(["Scegli una domanda.", "Choose a question.", "Wählen Sie eine Frage."]);
            return again(StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("domanda", told));
        }
        (_, Ok(question)) => match SecretAnswer::parse(fields.get("risposta")) {
            Ok(answer) => Some((question, answer)),
            Err(error) => {
                let told = error.sentence(visit.language);
                return again(StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("risposta", told));
            }
        },
    };
    let kept = chosen.is_some();
    match choose(&visit.app, parent.who, (fields.raw("password").to_owned(), chosen)).await {
        Ok(()) => {
            let title = w.of(["Fatto", "Done", "Erledigt"]);
            let line = if kept {
                w.of([
                    "La domanda è salvata. Se un giorno dimentichi la password te la chiediamo, oltre alle due prove.",
                    "The question is kept. Should you forget your password we ask it, beside the two proofs.",
                    "Die Frage ist gespeichert. Vergessen Sie einmal das Passwort, stellen wir sie, neben den zwei Nachweisen.",
                ])
            } else {
                w.of([
                    "La domanda è tolta: per una password nuova bastano le due prove.",
                    "The question is taken away: for a new password the two proofs are enough.",
                    "Die Frage ist entfernt: Für ein neues Passwort genügen die zwei Nachweise.",
                ])
            };
            let back = w.of(["Torna al tuo profilo", "Back to your details", "Zurück zu Ihren Angaben"]);
            say(visit, (StatusCode::OK, "ok"), title, &[line], Some((format!("{}/profilo", visit.base()), back)))
        }
        Err(Stop::Fault(error)) => fault(visit, &error),
        Err(Stop::Refused(QuestionRefusal::Session(refusal))) => ended(visit, refusal),
        Err(Stop::Refused(QuestionRefusal::NotAsked)) => missing_here(visit),
        Err(Stop::Refused(QuestionRefusal::TryLater(millis))) => {
            let told = sentences::try_later(millis, visit.language).sentence;
            again(StatusCode::TOO_MANY_REQUESTS, Wrong::at("password", told))
        }
        Err(Stop::Refused(QuestionRefusal::WrongPassword)) => {
            let told = w.of([
                "La password di adesso non è giusta.",
                "The present password is wrong.",
                "Das jetzige Passwort stimmt nicht.",
            ]);
            again(StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("password", told))
        }
    }
}
