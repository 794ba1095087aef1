//! Stand-in: the Node answers PSPs for a station that is not there, from what the archive of debt positions knows, and
//! probes the station meanwhile.
//!
//! Source: SANP 3.12.0, "Stand-in": probes with notice 000000000000000000, of which PAA_PAGAMENTO_SCONOSCIUTO is the
//! good answer; receipts with `standIn` true, for amounts that may have changed since.

// The error of these functions is the answer to give instead: it is on its way out, not passed around.
#![allow(clippy::result_large_err)]

use std::collections::VecDeque;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Answer, any_psp, bad, body, gone, paid_json, reply};
use super::carts::problem;
use super::node::{self, Call, Fault, Outcome};
use super::pages::{Typed, going_down, hour, money, page, page_with, unreadable};
use super::psps::Psp;
use super::receipts::{First, send_receipts, wait};
use super::rules::Asked;
use super::schema::{Operation, breach, cents, euro};
use super::state::{Payment, PaymentState};
use super::xml::{self, Element};
use super::{Creditor, Platform, Shared, token, wire};

/// What the Node asks for to see whether a station is back.
const PROBE: &str = "000000000000000000";
/// The good answer to it.
const GOOD: &str = "PAA_PAGAMENTO_SCONOSCIUTO";
/// Older probes make room for newer ones.
const MAX_PROBES: usize = 50;
/// Taxonomy of what is paid where the caller names none: school canteen of a municipality.
const CATEGORY: &str = "9/0107101TS/";
/// Largest `stAmount`, in cents.
const MAX_CENTS: i64 = 99_999_999_999;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/stand_in", get(list).post(switch))
        .route("/api/stand_in/pay", post(pay))
        .route("/stand-in", get(show).post(submit))
        .route("/stand-in/pay", post(submit_pay))
}

/// A station that the Node stands in for.
#[derive(Debug, Default)]
pub(super) struct StandIn {
    on: bool,
    /// Told apart from an earlier time it was on.
    turn: u64,
    /// When, and what was answered: `true` for the good answer. Oldest first.
    probes: VecDeque<(Timestamp, bool, String)>,
}

impl StandIn {
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }
}

impl Platform {
    fn stands_in(&self, creditor: &str) -> bool {
        self.state().stand_in.get(creditor).is_some_and(|its| its.on)
    }

    /// Probes a station once and keeps what it said.
    async fn probe(&self, creditor: &Creditor) {
        let call = Call {
            creditor,
            operation: Operation::Verify,
            asked: Asked::about(PROBE),
            request: wire::verify(creditor, PROBE),
            limit: self.config.timeouts.verify,
        };
        let answer = self.ask(&call).await;
        let (good, said, understood) = match answer {
            Ok(node::Answer::Ko(code)) => (code == GOOD, format!("KO {code}"), true),
            Ok(node::Answer::Ok(_)) => (false, "OK".to_owned(), true),
            Err(code) => (false, code.to_owned(), false),
        };
        let now = self.now();
        let mut state = self.state();
        if understood && !good {
            let mut breaches = Vec::new();
            breach(&mut breaches, "stand-in-probe", "", format!("Alla sonda di stand-in si risponde KO {GOOD}."));
            state.violated(now, &creditor.fiscal_code, Operation::Verify.name(), breaches);
        }
        let probes = &mut state.stand_in.entry(creditor.fiscal_code.clone()).or_default().probes;
        if probes.len() >= MAX_PROBES {
            probes.pop_front();
        }
        probes.push_back((now, good, said));
    }
}

/// Turns stand-in on, after a first probe, or off. `None` when shutting down.
async fn turn(platform: &Shared, creditor: &Creditor, on: bool) -> Option<()> {
    let turn = {
        let mut state = platform.state();
        let its = state.stand_in.entry(creditor.fiscal_code.clone()).or_default();
        if its.on == on {
            return Some(());
        }
        its.on = on;
        its.turn = its.turn.saturating_add(1);
        its.turn
    };
    if !on {
        return Some(());
    }
    let (shared, its) = (Shared::clone(platform), creditor.clone());
    platform.run(async move { shared.probe(&its).await }).await?;
    let (shared, its) = (Shared::clone(platform), creditor.clone());
    platform.spawn(async move {
        loop {
            tokio::time::sleep(shared.config.probe).await;
            let current = shared.state().stand_in.get(&its.fiscal_code).is_some_and(|now| now.on && now.turn == turn);
            if !current {
                return;
            }
            shared.probe(&its).await;
        }
    });
    Some(())
}

/// What is paid in the creditor's place.
struct Known {
    creditor: Creditor,
    notice: String,
    /// Euro cents, as the archive has it.
    amount: i64,
    description: String,
    category: String,
    psp: &'static Psp,
}

impl Known {
    /// The receipt's own parts, as an activation would have given them. The archive says nothing of the debtor here.
    fn data(&self) -> Element {
        let amount = euro(self.amount);
        let nobody = vec![
            Element::leaf("entityUniqueIdentifierType", "F"),
            Element::leaf("entityUniqueIdentifierValue", "ANONIMO"),
        ];
        let transfer = vec![
            Element::leaf("idTransfer", "1"),
            Element::leaf("transferAmount", &amount),
            Element::leaf("fiscalCodePA", &self.creditor.fiscal_code),
            Element::leaf("IBAN", self.creditor.ibans.first().cloned().unwrap_or_default()),
            Element::leaf("remittanceInformation", &self.description),
            Element::leaf("transferCategory", &self.category),
        ];
        let data = vec![
            Element::leaf("creditorReferenceId", self.notice.get(1..).unwrap_or_default()),
            Element::leaf("paymentAmount", &amount),
            Element::leaf("description", &self.description),
            Element::leaf("companyName", &self.creditor.name),
            Element::node(
                "debtor",
                vec![Element::node("uniqueIdentifier", nobody), Element::leaf("fullName", "ANONIMO")],
            ),
            Element::node("transferList", vec![Element::node("transfer", transfer)]),
        ];
        Element::node("data", data)
    }
}

/// Takes the money for a notice without asking the creditor, and starts the receipt. Answers the token.
///
/// # Errors
/// The fault a PSP would be shown.
fn pay_known(platform: &Shared, known: Known) -> Result<(String, First), Fault> {
    if let Some(fault) = platform.blocked(&known.creditor.fiscal_code, &known.notice, platform.now()) {
        return Err(fault);
    }
    let token = token().map_err(|_| "PPT_SYSTEM_ERROR")?;
    let now = platform.now();
    let data = known.data();
    let payment = Payment {
        token: token.clone(),
        creditor: known.creditor.fiscal_code,
        notice: known.notice,
        amount: known.amount,
        description: known.description,
        company: known.creditor.name,
        note: None,
        data,
        at: now,
        expires: now,
        state: PaymentState::Activated,
        psp: known.psp,
        fee: known.psp.fee_cents,
        paid_at: None,
        deliveries: Vec::new(),
        stand_in: true,
        also_v1: false,
    };
    platform.state().add_payment(payment);
    let first = send_receipts(platform, &token).ok_or("PPT_SYSTEM_ERROR")?;
    Ok((token, first))
}

fn stand_in_json(platform: &Platform, creditor: &str) -> Value {
    let state = platform.state();
    let its = state.stand_in.get(creditor);
    let probes = its.into_iter().flat_map(|its| &its.probes);
    let probes: Vec<Value> =
        probes.map(|(at, good, said)| json!({ "at": at.to_string(), "good": good, "result": said })).collect();
    json!({ "creditor": creditor, "on": its.is_some_and(|its| its.on), "probes": probes })
}

async fn list(State(platform): State<Shared>) -> Response {
    let creditors = platform.config.creditors.iter();
    reply(Ok(creditors.map(|creditor| stand_in_json(&platform, &creditor.fiscal_code)).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    creditor: String,
    on: bool,
}

async fn switch(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_switch(&platform, &bytes).await)
}

async fn try_switch(platform: &Shared, bytes: &Bytes) -> Answer {
    let wish: Switch = body(bytes)?;
    let creditor = platform.creditor(&wish.creditor).ok_or_else(no_creditor)?;
    turn(platform, creditor, wish.on).await.ok_or_else(gone)?;
    Ok(stand_in_json(platform, &wish.creditor))
}

fn no_creditor() -> Response {
    problem(StatusCode::NOT_FOUND, "no such creditor")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    creditor: String,
    notice_number: String,
    amount_cents: i64,
    description: Option<String>,
    category: Option<String>,
    psp: Option<String>,
}

async fn pay(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_pay(&platform, &bytes).await)
}

async fn try_pay(platform: &Shared, bytes: &Bytes) -> Answer {
    let wish: Pay = body(bytes)?;
    let creditor = platform.creditor(&wish.creditor).cloned().ok_or_else(no_creditor)?;
    if !platform.stands_in(&wish.creditor) {
        return Err(problem(StatusCode::CONFLICT, "stand-in is off for this creditor"));
    }
    if !is_notice(&wish.notice_number) {
        return Err(bad("notice_number: 18 digits"));
    }
    if !(1..=MAX_CENTS).contains(&wish.amount_cents) {
        return Err(bad("amount_cents: 1 to 99999999999"));
    }
    let text = |text: Option<String>, other: &str| {
        let text = text.unwrap_or_else(|| other.to_owned());
        let fits = (1..=140).contains(&text.chars().count()) && text.chars().all(xml::is_xml_char);
        Some(text).filter(|_| fits).ok_or_else(|| bad("description and category: 1 to 140 characters"))
    };
    let known = Known {
        creditor,
        notice: wish.notice_number,
        amount: wish.amount_cents,
        description: text(wish.description, DESCRIPTION)?,
        category: text(wish.category, CATEGORY)?,
        psp: any_psp(wish.psp.as_deref())?,
    };
    let paid = match pay_known(platform, known) {
        Ok((token, first)) => {
            wait(first).await;
            Ok(token)
        }
        Err(fault) => Err(fault),
    };
    Ok(paid_json(platform, paid, Outcome::Ok))
}

/// What the payer reads where the caller says nothing else.
const DESCRIPTION: &str = "Pagamento in stand-in";

fn is_notice(text: &str) -> bool {
    text.len() == 18 && text.bytes().all(|b| b.is_ascii_digit())
}

// --- The page -----------------------------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "sandbox/stand_in.html")]
struct StandInPage {
    wrong: String,
    done: String,
    creditors: Vec<StandInLine>,
    /// Whether anybody is in stand-in.
    any: bool,
    typed: PayForm,
}

struct StandInLine {
    name: String,
    code: String,
    on: bool,
    good: usize,
    probes: usize,
    last: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PayForm {
    creditor: String,
    notice: String,
    amount: String,
}

fn stand_in_page(platform: &Platform, wrong: &str, done: String, typed: PayForm) -> StandInPage {
    let state = platform.state();
    let creditors: Vec<StandInLine> = platform
        .config
        .creditors
        .iter()
        .map(|creditor| {
            let its = state.stand_in.get(&creditor.fiscal_code);
            let probes = its.map(|its| &its.probes);
            let last = probes.and_then(|probes| probes.back());
            StandInLine {
                name: creditor.name.clone(),
                code: creditor.fiscal_code.clone(),
                on: its.is_some_and(|its| its.on),
                good: probes.into_iter().flatten().filter(|(_, good, _)| *good).count(),
                probes: probes.map_or(0, VecDeque::len),
                last: last.map(|(at, _, said)| format!("{said}, {}", hour(*at))).unwrap_or_default(),
            }
        })
        .collect();
    let any = creditors.iter().any(|creditor| creditor.on);
    StandInPage { wrong: wrong.to_owned(), done, creditors, any, typed }
}

async fn show(State(platform): State<Shared>) -> Response {
    page(&stand_in_page(&platform, "", String::new(), PayForm::default()))
}

#[derive(Deserialize)]
struct SwitchForm {
    creditor: String,
    on: String,
}

async fn submit(State(platform): State<Shared>, form: Typed<SwitchForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let Some(creditor) = platform.creditor(&form.creditor) else {
        return unreadable();
    };
    match turn(&platform, creditor, form.on == "true").await {
        Some(()) => Redirect::to("/stand-in").into_response(),
        None => going_down(),
    }
}

async fn submit_pay(State(platform): State<Shared>, form: Typed<PayForm>) -> Response {
    let Ok(Form(typed)) = form else {
        return unreadable();
    };
    let again = |wrong: &str, typed| {
        page_with(StatusCode::UNPROCESSABLE_ENTITY, &stand_in_page(&platform, wrong, String::new(), typed))
    };
    let Some(creditor) = platform.creditor(&typed.creditor).filter(|_| platform.stands_in(&typed.creditor)).cloned()
    else {
        return again("Questo ente non è in stand-in.", typed);
    };
    let notice: String = typed.notice.chars().filter(|c| !c.is_whitespace()).collect();
    if !is_notice(&notice) {
        return again("Il codice avviso ha 18 cifre.", typed);
    }
    let Some(amount) = cents(&typed.amount.trim().replace(',', ".")).filter(|amount| *amount > 0) else {
        return again("Scrivi l'importo in euro con due decimali, per esempio 20,00.", typed);
    };
    let psp = match any_psp(None) {
        Ok(psp) => psp,
        Err(response) => return response,
    };
    let (description, category) = (DESCRIPTION.to_owned(), CATEGORY.to_owned());
    match pay_known(&platform, Known { creditor, notice, amount, description, category, psp }) {
        Ok((_, first)) => {
            wait(first).await;
            let done = format!("Pagati {} senza chiedere all'ente.", money(amount));
            page(&stand_in_page(&platform, "", done, PayForm::default()))
        }
        Err(fault) => again(fault.words(), typed),
    }
}
