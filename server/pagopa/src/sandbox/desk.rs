//! The pages beside Checkout: the counter of a PSP, and the dashboard.

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::faults_desk::{self, ArmedLine, StruckLine};
use super::node::{Outcome, Verified};
use super::pages::{PayForm, PspRow, Typed, going_down, grouped, hour, message, money, page, unreadable};
use super::psps::{self, Method, Psp};
use super::receipts::{self, wait};
use super::state::{CartStatus, Delivery, Payment, PaymentState};
use super::{Shared, api};

/// Rows of each kind on the dashboard; the API has them all.
const SHOWN: usize = 50;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(dashboard))
        .route("/psp", get(counter))
        .route("/psp/verify", post(counter_verify))
        .route("/psp/pay", post(counter_pay))
        .route("/payments/{receipt_id}", post(conclude))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CounterForm {
    creditor: String,
    notice: String,
    qr: String,
    psp: String,
}

#[derive(Template, Default)]
#[template(path = "sandbox/counter.html")]
pub(super) struct CounterPage {
    psps: Vec<PspRow>,
    creditor: String,
    notice: String,
    notice_grouped: String,
    psp: String,
    wrong: String,
    found: Option<Found>,
    paid: Option<Found>,
    delivery: &'static str,
}

struct Found {
    amount: String,
    fee: String,
    total: String,
    description: String,
    company: String,
    due: String,
}

impl CounterPage {
    fn new(form: &CounterForm) -> Self {
        let blank = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let mut creditor = blank(&form.creditor);
        let mut notice = blank(&form.notice);
        let mut wrong = String::new();
        if !form.qr.trim().is_empty() {
            match api::read_qr(&form.qr) {
                Some(found) => (creditor, notice) = found,
                None => wrong = "Il testo del codice QR non è nella forma PAGOPA|002|…".to_owned(),
            }
        }
        Self {
            psps: psps::offering(Method::Counter).map(PspRow::of).collect(),
            psp: counter_psp(&form.psp).map(|p| p.id.to_owned()).unwrap_or_default(),
            notice_grouped: grouped(&notice),
            creditor,
            notice,
            wrong,
            ..Self::default()
        }
    }

    /// The counter with a notice that the creditor has just made.
    pub(super) fn made(creditor: &str, notice: &str, what: &Verified, psp: &Psp) -> Self {
        let form = CounterForm { creditor: creditor.to_owned(), notice: notice.to_owned(), ..CounterForm::default() };
        Self { found: Some(found(what, psp)), ..Self::new(&form) }
    }
}

/// The counter with this id, the first one for none.
fn counter_psp(id: &str) -> Option<&'static Psp> {
    psps::choose(Method::Counter, (!id.is_empty()).then_some(id))
}

fn found(v: &Verified, psp: &Psp) -> Found {
    let due = v.due.as_deref().and_then(|d| d.get(..10)?.parse::<jiff::civil::Date>().ok());
    Found {
        amount: money(v.amount),
        fee: money(psp.fee_cents),
        total: money(v.amount.saturating_add(psp.fee_cents)),
        description: v.description.clone(),
        company: v.company.clone(),
        due: due.map(|d| d.strftime("%d/%m/%Y").to_string()).unwrap_or_default(),
    }
}

async fn counter() -> Response {
    page(&CounterPage::new(&CounterForm::default()))
}

async fn counter_verify(State(platform): State<Shared>, form: Typed<CounterForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let Some(psp) = counter_psp(&form.psp) else {
        return unreadable();
    };
    let mut shown = CounterPage::new(&form);
    if shown.wrong.is_empty() {
        match platform.verify(&shown.creditor, &shown.notice).await {
            Ok(verified) => shown.found = Some(found(&verified, psp)),
            Err(fault) => shown.wrong = fault.words().to_owned(),
        }
    }
    page(&shown)
}

async fn counter_pay(State(platform): State<Shared>, form: Typed<CounterForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let Some(psp) = counter_psp(&form.psp) else {
        return unreadable();
    };
    let mut shown = CounterPage::new(&form);
    let (creditor, notice) = (shown.creditor.clone(), shown.notice.clone());
    let wish = api::Wish { psp, outcome: Outcome::Ok, transfer_type: None, also_v1: false };
    match api::pay_at_counter(&platform, creditor, notice, wish).await {
        None => return going_down(),
        Some(Err(fault)) => shown.wrong = fault.words().to_owned(),
        Some(Ok(token)) => {
            let state = platform.state();
            if let Some(p) = state.payments.get(&token) {
                let verified = Verified {
                    amount: p.amount,
                    description: p.description.clone(),
                    company: p.company.clone(),
                    due: None,
                    all_ccp: false,
                };
                shown.paid = Some(found(&verified, psp));
                shown.delivery = p.deliveries.first().map_or("", |d| d.status.words());
            }
        }
    }
    page(&shown)
}

// --- The dashboard ------------------------------------------------------------------------------------------------

#[derive(Template)]
#[template(path = "sandbox/dashboard.html")]
struct Dashboard {
    creditors: Vec<(String, String, String)>,
    carts: Vec<CartLine>,
    payments: Vec<PaymentLine>,
    violations: Vec<(String, String, &'static str, &'static str, String, String)>,
    armed: Vec<ArmedLine>,
    struck: Vec<StruckLine>,
    stand_in: Vec<String>,
}

struct CartLine {
    id: String,
    at: String,
    status: &'static str,
    tone: &'static str,
    total: String,
    notices: usize,
    what: String,
}

struct PaymentLine {
    receipt_id: String,
    at: String,
    status: &'static str,
    tone: &'static str,
    amount: String,
    company: String,
    description: String,
    notice: String,
    psp: &'static str,
    waiting: bool,
    paid: bool,
    stand_in: bool,
    deliveries: Vec<DeliveryLine>,
}

struct DeliveryLine {
    creditor: String,
    operation: &'static str,
    status: &'static str,
    held: String,
    /// When, what came of it, and the fault that struck it.
    attempts: Vec<(String, String, String)>,
    /// Older ones, not shown.
    more: usize,
}

/// Tries of a receipt on the dashboard; the API has them all.
const TRIES: usize = 6;

impl DeliveryLine {
    fn of(d: &Delivery) -> Self {
        let more = d.attempts.len().saturating_sub(TRIES);
        let fault = |struck: Option<super::faults::Struck>| struck.map(|its| its.words()).unwrap_or_default();
        Self {
            creditor: d.creditor.clone(),
            operation: if d.v1 { "paSendRT" } else { "paSendRTV2" },
            status: d.status.words(),
            held: fault(d.held_by),
            attempts: d.attempts.iter().skip(more).map(|a| (hour(a.at), a.result.clone(), fault(a.struck))).collect(),
            more,
        }
    }
}

async fn dashboard(State(platform): State<Shared>) -> Response {
    let now = platform.now();
    let state = platform.state();
    let carts = state.cart_order.iter().rev().take(SHOWN).filter_map(|id| state.carts.get(id)).map(|cart| {
        let (status, tone) = match cart.status_at(now) {
            CartStatus::Open => ("aperto", "info"),
            CartStatus::Paid => ("pagato", "good"),
            CartStatus::Unknown => ("esito sconosciuto", "warn"),
            CartStatus::Expired => ("scaduto", "calm"),
        };
        CartLine {
            id: cart.id.clone(),
            at: hour(cart.created),
            status,
            tone,
            total: money(cart.total()),
            notices: cart.notices.len(),
            what: cart.notices.first().map(|n| format!("{}: {}", n.company, n.description)).unwrap_or_default(),
        }
    });
    let payments = state.payment_order.iter().rev().take(SHOWN).filter_map(|t| state.payments.get(t)).map(|p| {
        let (status, tone) = match p.state {
            PaymentState::Activated if now < p.expires => ("in corso: l'avviso è bloccato", "warn"),
            PaymentState::Activated => ("mai concluso: l'avviso è di nuovo libero", "calm"),
            PaymentState::Paid => ("pagato", "good"),
            PaymentState::Refused => ("rifiutato dalla banca", "bad"),
        };
        PaymentLine {
            receipt_id: p.token.clone(),
            at: hour(p.at),
            status,
            tone,
            amount: money(p.amount),
            company: p.company.clone(),
            description: p.description.clone(),
            notice: grouped(&p.notice),
            psp: p.psp.name,
            waiting: p.state == PaymentState::Activated && now < p.expires,
            paid: p.state == PaymentState::Paid,
            stand_in: p.stand_in,
            deliveries: p.deliveries.iter().map(DeliveryLine::of).collect(),
        }
    });
    let violations = state
        .violations
        .iter()
        .rev()
        .take(SHOWN)
        .map(|v| (hour(v.at), v.creditor.clone(), v.operation, v.rule, v.path.clone(), v.words.clone()));
    let (armed, struck) = faults_desk::lines(&state.faults);
    let shown = Dashboard {
        creditors: platform
            .config
            .creditors
            .iter()
            .map(|c| (c.name.clone(), c.fiscal_code.clone(), c.endpoint.clone()))
            .collect(),
        carts: carts.collect(),
        payments: payments.collect(),
        violations: violations.collect(),
        armed,
        struck,
        stand_in: state.standing_in(),
    };
    drop(state);
    page(&shown)
}

/// What the buttons of a payment do: settle it, send its receipts again, or pay its notice a second time.
async fn conclude(State(platform): State<Shared>, Path(receipt_id): Path<String>, form: Typed<PayForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let done = match form.outcome.as_str() {
        "ok" => receipts::conclude(&platform, &receipt_id, Outcome::Ok, false),
        "refused" => receipts::conclude(&platform, &receipt_id, Outcome::Refused, false),
        "redeliver" => {
            return match api::send_again(&platform, receipt_id).await {
                Some(_) => Redirect::to("/").into_response(),
                None => going_down(),
            };
        }
        "again" => {
            let of = |p: &Payment| (p.creditor.clone(), p.notice.clone());
            let notice = platform.state().payments.get(&receipt_id).map(of).unwrap_or_default();
            receipts::pay_again(&platform, &notice.0, &notice.1, |_| {}).map(|(_, first)| first)
        }
        _ => return unreadable(),
    };
    match done {
        Ok(first) => {
            wait(first).await;
            Redirect::to("/").into_response()
        }
        Err(code) => {
            let text = format!("Questo pagamento non aspetta più un esito (codice {code}).");
            message(StatusCode::CONFLICT, "Non si può concludere", &text, Some(("/".to_owned(), "Torna al pannello")))
        }
    }
}
