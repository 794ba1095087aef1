//! A payment without a notice: the PSP asks the creditor to make one (paDemandPaymentNotice), which is then paid like
//! any other.
//!
//! Source: SANP 3.12.0, "Spontaneous payment at a PSP"; paForNode.xsd.

// The error of these functions is the answer to give instead: it is on its way out, not passed around.
#![allow(clippy::result_large_err)]

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::api::{self, Answer, bad, body, gone, reply};
use super::desk::CounterPage;
use super::node::{self, BAD_ANSWER, Call, Fault, Verified};
use super::pages::{Typed, going_down, page, page_with, unreadable};
use super::rules::Asked;
use super::schema::Operation;
use super::{Platform, Shared, wire, xml};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/api/spontaneous", post(demand)).route("/spontaneous", get(show).post(submit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    creditor: String,
    service: String,
    subject: String,
    data: String,
}

/// What the creditor made.
struct Made {
    notice: String,
    what: Verified,
}

/// Whether a text may stand in `idServizio` or `idSoggettoServizio`: exactly five characters.
fn is_code(text: &str) -> bool {
    text.chars().count() == 5 && text.chars().all(xml::is_xml_char)
}

impl Platform {
    /// Asks a creditor for a notice.
    ///
    /// # Errors
    /// The fault a PSP would be shown.
    async fn demand(&self, wish: &Wish) -> Result<Made, Fault> {
        let creditor = self.creditor(&wish.creditor).ok_or("PPT_DOMINIO_SCONOSCIUTO")?;
        let call = Call {
            creditor,
            operation: Operation::Demand,
            asked: Asked::about(""),
            request: wire::demand(creditor, &wish.service, &wish.subject, &wish.data),
            limit: self.config.timeouts.verify,
        };
        match self.ask(&call).await? {
            node::Answer::Ok(answer) => {
                let notice = answer.text_at(&["qrCode", "noticeNumber"]).ok_or(BAD_ANSWER)?.trim().to_owned();
                Ok(Made { notice, what: Verified::of(&answer, creditor).ok_or(BAD_ANSWER)? })
            }
            node::Answer::Ko(code) => Err(node::refused(code)),
        }
    }
}

async fn demand(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_demand(platform, &bytes).await)
}

async fn try_demand(platform: Shared, bytes: &Bytes) -> Answer {
    let wish: Wish = body(bytes)?;
    if !is_code(&wish.service) || !is_code(&wish.subject) {
        return Err(bad("service and subject: exactly 5 characters"));
    }
    let (shared, creditor) = (Shared::clone(&platform), wish.creditor.clone());
    let made = platform.run(async move { shared.demand(&wish).await }).await.ok_or_else(gone)?;
    Ok(match made {
        Ok(Made { notice, what }) => json!({
            "outcome": "payable", "creditor": creditor, "notice_number": notice,
            "qr": format!("PAGOPA|002|{notice}|{creditor}|{:02}", what.amount), "amount_cents": what.amount,
            "description": what.description, "company_name": what.company, "due_date": what.due, "fault": null,
        }),
        Err(fault) => json!({ "outcome": "not_payable", "fault": fault }),
    })
}

// --- The page -----------------------------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "sandbox/spontaneous.html")]
struct SpontaneousPage {
    wrong: String,
    typed: SpontaneousForm,
    creditors: Vec<(String, String)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpontaneousForm {
    creditor: String,
    service: String,
    subject: String,
    data: String,
}

async fn show(State(platform): State<Shared>) -> Response {
    let creditors = platform.creditors();
    page(&SpontaneousPage { wrong: String::new(), typed: SpontaneousForm::default(), creditors })
}

async fn submit(State(platform): State<Shared>, form: Typed<SpontaneousForm>) -> Response {
    let Ok(Form(typed)) = form else {
        return unreadable();
    };
    let again = |wrong: String, typed| {
        let shown = SpontaneousPage { wrong, typed, creditors: platform.creditors() };
        page_with(StatusCode::UNPROCESSABLE_ENTITY, &shown)
    };
    let (service, subject) = (typed.service.trim().to_owned(), typed.subject.trim().to_owned());
    if !is_code(&service) || !is_code(&subject) {
        return again("I codici del servizio e del soggetto hanno 5 caratteri.".to_owned(), typed);
    }
    let wish = Wish { creditor: typed.creditor.clone(), service, subject, data: typed.data.clone() };
    let shared = Shared::clone(&platform);
    let Some(made) = platform.run(async move { shared.demand(&wish).await }).await else {
        return going_down();
    };
    match (made, api::any_psp(None)) {
        (Ok(Made { notice, what }), Ok(psp)) => page(&CounterPage::made(&typed.creditor, &notice, &what, psp)),
        (Err(fault), _) => {
            let code = fault.original_code.as_deref().unwrap_or(fault.code);
            again(format!("{} ({code})", fault.words()), typed)
        }
        (_, Err(response)) => response,
    }
}
