//! The pages beside Checkout: the counter of a PSP, and the dashboard.

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::node::{self, Outcome, Verified};
use super::pages::{PayForm, PspRow, Typed, going_down, grouped, hour, message, money, page, unreadable};
use super::psps::{self, Method, Psp};
use super::state::{CartStatus, PaymentState};
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
struct CounterPage {
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
    match api::pay_at_counter(&platform, creditor, notice, psp, Outcome::Ok, None).await {
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
    deliveries: Vec<(String, &'static str, usize, String)>,
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
            deliveries: p
                .deliveries
                .iter()
                .map(|d| {
                    let last = d.attempts.last().map(|a| format!("{} il {}", a.result, hour(a.at)));
                    (d.creditor.clone(), d.status.words(), d.attempts.len(), last.unwrap_or_default())
                })
                .collect(),
        }
    });
    let violations = state
        .violations
        .iter()
        .rev()
        .take(SHOWN)
        .map(|v| (hour(v.at), v.creditor.clone(), v.operation, v.rule, v.path.clone(), v.words.clone()));
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
    };
    drop(state);
    page(&shown)
}

async fn conclude(State(platform): State<Shared>, Path(receipt_id): Path<String>, form: Typed<PayForm>) -> Response {
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let outcome = match form.outcome.as_str() {
        "ok" => Outcome::Ok,
        "refused" => Outcome::Refused,
        _ => return unreadable(),
    };
    match node::conclude(&platform, &receipt_id, outcome, false) {
        Ok(first) => {
            api::wait(first).await;
            Redirect::to("/").into_response()
        }
        Err(code) => {
            let text = format!("Questo pagamento non aspetta più un esito (codice {code}).");
            message(StatusCode::CONFLICT, "Non si può concludere", &text, Some(("/".to_owned(), "Torna al pannello")))
        }
    }
}
