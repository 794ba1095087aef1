//! Faults from outside: the calls of the control API, and the page.

// The error of these functions is the answer to give instead: it is on its way out, not passed around.
#![allow(clippy::result_large_err)]

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Answer, bad, body, reply};
use super::carts::problem;
use super::faults::{Fault, Faults, KINDS, Strike, Target, Waiting, Wish};
use super::pages::{Typed, grouped, hour, page, page_with, unreadable};
use super::receipts::let_go;
use super::{Platform, Shared};

/// Lines of what went wrong on the page; the API has them all.
const SHOWN: usize = 20;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/faults", get(list).post(arm).delete(remove_all))
        .route("/api/faults/{id}", axum::routing::delete(remove))
        .route("/faults", get(show).post(submit))
        .route("/faults/{id}/remove", post(take_away))
}

fn strike_json(strike: &Strike) -> Value {
    json!({
        "at": strike.at.to_string(), "id": strike.struck.id, "fault": strike.struck.kind.key(),
        "operation": strike.target, "creditor": strike.creditor, "message": strike.struck.words(),
    })
}

async fn list(State(platform): State<Shared>) -> Response {
    let state = platform.state();
    let armed: Vec<Value> = state.faults.armed().iter().map(Fault::json).collect();
    let struck: Vec<Value> = state.faults.strikes().map(strike_json).collect();
    reply(Ok(json!({ "armed": armed, "struck": struck })))
}

async fn arm(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_arm(&platform, &bytes))
}

fn try_arm(platform: &Platform, bytes: &Bytes) -> Answer {
    let wish: Wish = body(bytes)?;
    platform.state().faults.arm(wish).map(Fault::json).map_err(|wrong| bad(wrong.english))
}

/// Removes a fault and lets go what it held.
fn disarm(platform: &Platform, id: u64) -> Option<Value> {
    let (fault, held): (Fault, Vec<Waiting>) = platform.state().faults.remove(id)?;
    if !held.is_empty() {
        platform.spawn(let_go(held));
    }
    Some(fault.json())
}

async fn remove(State(platform): State<Shared>, Path(id): Path<u64>) -> Response {
    reply(disarm(&platform, id).ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such fault")))
}

async fn remove_all(State(platform): State<Shared>) -> Response {
    let ids: Vec<u64> = platform.state().faults.armed().iter().map(|fault| fault.id).collect();
    reply(Ok(ids.into_iter().filter_map(|id| disarm(&platform, id)).collect()))
}

// --- The page -----------------------------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "sandbox/faults.html")]
struct FaultsPage {
    wrong: &'static str,
    typed: FaultForm,
    creditors: Vec<(String, String)>,
    kinds: [(&'static str, &'static str, &'static str); 11],
    targets: Vec<(&'static str, &'static str)>,
    armed: Vec<ArmedLine>,
    struck: Vec<StruckLine>,
}

/// A fault that is armed, in words.
pub(super) struct ArmedLine {
    pub(super) id: u64,
    pub(super) what: String,
    pub(super) target: &'static str,
    pub(super) creditor: String,
    pub(super) notice: String,
    pub(super) left: String,
    pub(super) strikes: u32,
    pub(super) held: usize,
}

/// What went wrong once, in words.
pub(super) struct StruckLine {
    pub(super) at: String,
    pub(super) words: String,
    pub(super) target: &'static str,
    pub(super) creditor: String,
}

/// What is armed, and what went wrong last, newest first.
pub(super) fn lines(faults: &Faults) -> (Vec<ArmedLine>, Vec<StruckLine>) {
    let armed = faults.armed().iter().map(|fault| ArmedLine {
        id: fault.id,
        what: fault.kind.words(),
        target: fault.target.words(),
        creditor: fault.creditor.clone().unwrap_or_default(),
        notice: fault.notice.as_deref().map(grouped).unwrap_or_default(),
        left: match fault.left {
            None => "finché non si toglie".to_owned(),
            Some(1) => "ancora una volta".to_owned(),
            Some(left) => format!("ancora {left} volte"),
        },
        strikes: fault.strikes,
        held: fault.holding(),
    });
    let struck = faults.strikes().rev().take(SHOWN).map(|strike| StruckLine {
        at: hour(strike.at),
        words: strike.struck.words(),
        target: strike.target.words(),
        creditor: strike.creditor.clone(),
    });
    (armed.collect(), struck.collect())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FaultForm {
    fault: String,
    operation: String,
    creditor: String,
    notice: String,
    calls: String,
    number: String,
}

impl FaultForm {
    /// The wish behind the form. A number that is none becomes zero, which no fault takes.
    fn wish(&self) -> Wish {
        let blank = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let some = |text: &str| Some(blank(text)).filter(|text| !text.is_empty());
        let counts = KINDS.iter().find(|(key, _, _)| *key == self.fault).map(|(_, _, counts)| *counts);
        let number = |what| {
            let meant = counts == Some(what) || (counts == Some("") && what == "millisecondi");
            some(&self.number).filter(|_| meant).map(|text| text.parse::<u64>().unwrap_or(0))
        };
        let count = |what| number(what).map(|number| u32::try_from(number).unwrap_or(0));
        Wish {
            fault: self.fault.clone(),
            operation: self.operation.clone(),
            creditor: some(&self.creditor),
            notice_number: some(&self.notice),
            calls: some(&self.calls).map(|text| text.parse().unwrap_or(0)),
            millis: number("millisecondi"),
            receipts: count("ricevute"),
            hours: count("ore"),
        }
    }
}

fn faults_page(platform: &Platform, wrong: &'static str, typed: FaultForm) -> FaultsPage {
    let (armed, struck) = lines(&platform.state().faults);
    FaultsPage {
        wrong,
        typed,
        creditors: platform.creditors(),
        kinds: KINDS,
        targets: Target::ALL.into_iter().map(|target| (target.key(), target.words())).collect(),
        armed,
        struck,
    }
}

async fn show(State(platform): State<Shared>) -> Response {
    let typed = FaultForm {
        fault: "lost_answer".to_owned(),
        operation: "receipt".to_owned(),
        calls: "1".to_owned(),
        ..FaultForm::default()
    };
    page(&faults_page(&platform, "", typed))
}

async fn submit(State(platform): State<Shared>, form: Typed<FaultForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let armed = platform.state().faults.arm(form.wish()).map(|_| ());
    match armed {
        Ok(()) => Redirect::to("/faults").into_response(),
        Err(wrong) => page_with(StatusCode::UNPROCESSABLE_ENTITY, &faults_page(&platform, wrong.italian, form)),
    }
}

/// Gone already is as good as gone now.
async fn take_away(State(platform): State<Shared>, Path(id): Path<u64>) -> Response {
    let _ = disarm(&platform, id);
    Redirect::to("/faults").into_response()
}
