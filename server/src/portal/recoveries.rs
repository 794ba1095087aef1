//! Recoveries of one's own account that are under way somewhere: confirmed with the two digits that the other device shows, or denied.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_proto::reason::Reason;
use uuid::Uuid;

use super::forms::Posted;
use super::frame::{Frame, ended, fault, go, refused, refused_for, show, stopped};
use super::visit::{Parent, renew};
use crate::sentences;
use crate::usecases::Stop;
use crate::usecases::recovery::{self, RecoveryRefusal};

#[derive(Template)]
#[template(path = "portal/recoveries.html")]
struct Recoveries {
    f: Frame,
    asked: Vec<Asked>,
    problem: Option<String>,
}

struct Asked {
    id: String,
    device: String,
    at: String,
    until: String,
    confirmed: bool,
    /// What is wrong with its number; empty where nothing is.
    wrong: String,
}

pub(super) async fn page(parent: Parent) -> Response {
    let mut response = list(&parent, StatusCode::OK, None).await;
    renew(&parent, &mut response).await;
    response
}

/// All there are; `wrong` names one, and says what is wrong with its number.
async fn list(parent: &Parent, status: StatusCode, wrong: Option<(Uuid, String)>) -> Response {
    let visit = &parent.visit;
    let views = match recovery::list(&visit.app, parent.who).await {
        Ok(views) => views,
        Err(stop) => return stopped(visit, stop),
    };
    let w = visit.words;
    let asked = views.into_iter().map(|view| Asked {
        id: view.id.to_string(),
        device: view.device_name,
        at: w.day_and_hour(view.asked),
        until: w.day_and_hour(view.expires),
        confirmed: view.confirmed,
        wrong: wrong.as_ref().filter(|(id, _)| *id == view.id).map(|(_, text)| text.clone()).unwrap_or_default(),
    });
    let title =
        w.of(["Richieste di password nuova", "Requests for a new password", "Anfragen nach einem neuen Passwort"]);
    let (f, asked) = (visit.frame(title, "-"), asked.collect());
    show(status, &Recoveries { f, asked, problem: wrong.map(|(_, text)| text) })
}

pub(super) async fn answer(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let Ok(id) = fields.get("richiesta").parse::<Uuid>() else {
        return refused_for(visit, Reason::RecoveryEnded);
    };
    let number = match fields.get("risposta") {
        // The use case reads an empty number as no: only who says no sends it.
        "rifiuta" => String::new(),
        _ => {
            let digits: String = fields.get("numero").chars().filter(|c| !c.is_whitespace()).collect();
            if digits.len() != 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let sentence = visit.words.of([
                    "Scrivi le due cifre che mostra l'altro dispositivo.",
                    "Type the two digits that the other device shows.",
                    "Geben Sie die zwei Ziffern ein, die das andere Gerät zeigt.",
                ]);
                return list(&parent, StatusCode::UNPROCESSABLE_ENTITY, Some((id, sentence.to_owned()))).await;
            }
            digits
        }
    };
    let refusal = match recovery::answer(&visit.app, parent.who, (id, number)).await {
        Ok(()) => return go(&format!("{}/recuperi", visit.base())),
        Err(Stop::Refused(refusal)) => refusal,
        Err(Stop::Fault(error)) => return fault(visit, &error),
    };
    match refusal {
        RecoveryRefusal::Session(refusal) => ended(visit, refusal),
        RecoveryRefusal::TryLater(millis) => {
            refused(visit, StatusCode::TOO_MANY_REQUESTS, &sentences::try_later(millis, visit.language).sentence)
        }
        RecoveryRefusal::Wrong => {
            let sentence = sentences::of(Reason::ProofRefused, visit.language).to_owned();
            list(&parent, StatusCode::UNPROCESSABLE_ENTITY, Some((id, sentence))).await
        }
        RecoveryRefusal::Ended
        | RecoveryRefusal::Incomplete
        | RecoveryRefusal::Password(_)
        | RecoveryRefusal::Question
        | RecoveryRefusal::WrongAnswer => refused_for(visit, Reason::RecoveryEnded),
    }
}
