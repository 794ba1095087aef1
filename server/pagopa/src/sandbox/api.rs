//! The JSON control API, for tests and for programs outside; the calls are listed at the top of the module.

// The error of these functions is the answer to give instead: it is on its way out, not passed around.
#![allow(clippy::result_large_err)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::carts::problem;
use super::faults::Struck;
use super::node::{Due, Fault, NotPayable, Order, Outcome};
use super::psps::{self, Method, PSPS, Psp};
use super::receipts::{self, First, wait};
use super::state::{Cart, CartStatus, DeliveryStatus, Payment};
use super::{Platform, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/carts", get(carts))
        .route("/api/carts/{id}", get(cart))
        .route("/api/carts/{id}/pay", post(pay_cart))
        .route("/api/carts/{id}/cancel", post(cancel_cart))
        .route("/api/notices/verify", post(verify))
        .route("/api/notices/pay", post(pay_notice))
        .route("/api/payments", get(payments))
        .route("/api/payments/{receipt_id}", get(payment))
        .route("/api/payments/{receipt_id}/outcome", post(outcome))
        .route("/api/payments/{receipt_id}/redeliver", post(redeliver))
        .route("/api/psps", get(all_psps))
        .route("/api/violations", get(violations))
}

pub(super) type Answer = Result<Value, Response>;

pub(super) fn reply(answer: Answer) -> Response {
    match answer {
        Ok(value) => axum::Json(value).into_response(),
        Err(response) => response,
    }
}

pub(super) fn bad(words: impl Into<String>) -> Response {
    problem(StatusCode::BAD_REQUEST, words)
}

pub(super) fn gone() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "shutting down")
}

/// An empty body is an empty object, so that calls without arguments need none.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Response> {
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))
}

impl Outcome {
    fn parse(text: Option<&str>) -> Result<Self, Response> {
        match text {
            None | Some("ok") => Ok(Self::Ok),
            Some("refused") => Ok(Self::Refused),
            Some("unknown") => Ok(Self::Unknown),
            Some(_) => Err(bad("outcome: ok, refused or unknown")),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "paid",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

fn cart_json(cart: &Cart, platform: &Platform) -> Value {
    let notices: Vec<Value> = cart
        .notices
        .iter()
        .map(|n| {
            json!({
                "creditor": n.creditor, "notice_number": n.notice, "amount_cents": n.amount,
                "company_name": n.company, "description": n.description,
            })
        })
        .collect();
    json!({
        "id": cart.id, "url": format!("{}/c/{}", platform.public_url, cart.id), "id_cart": cart.note,
        "status": cart.status_at(platform.now()), "total_cents": cart.total(), "notices": notices,
        "created_at": cart.created.to_string(), "expires_at": cart.expires.to_string(),
    })
}

async fn carts(State(platform): State<Shared>) -> Response {
    let state = platform.state();
    let all: Vec<Value> =
        state.cart_order.iter().filter_map(|id| state.carts.get(id)).map(|cart| cart_json(cart, &platform)).collect();
    reply(Ok(Value::Array(all)))
}

fn find_cart(platform: &Platform, id: &str) -> Result<Cart, Response> {
    platform.state().carts.get(id).cloned().ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such cart"))
}

async fn cart(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    reply(find_cart(&platform, &id).map(|cart| cart_json(&cart, &platform)))
}

async fn cancel_cart(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    reply(find_cart(&platform, &id).map(|cart| json!({ "return_url": cart.urls.cancel })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayCart {
    method: Option<String>,
    psp: Option<String>,
    outcome: Option<String>,
}

async fn pay_cart(State(platform): State<Shared>, Path(id): Path<String>, bytes: Bytes) -> Response {
    reply(try_pay_cart(platform, &id, &bytes).await)
}

async fn try_pay_cart(platform: Shared, id: &str, bytes: &Bytes) -> Answer {
    let wish: PayCart = body(bytes)?;
    let cart = find_cart(&platform, id)?;
    if cart.status_at(platform.now()) == CartStatus::Expired {
        return Err(problem(StatusCode::CONFLICT, "the cart has expired"));
    }
    let method = Method::parse(wish.method.as_deref().unwrap_or("card"))
        .filter(|m| Method::CHECKOUT.contains(m))
        .ok_or_else(|| bad("method: card, account or other"))?;
    let psp = psps::choose(method, wish.psp.as_deref()).ok_or_else(|| bad("psp: not one that offers this method"))?;
    let outcome = Outcome::parse(wish.outcome.as_deref())?;
    let paid = pay_checkout(&platform, &cart, psp, outcome).await.ok_or_else(gone)?;
    match paid {
        Ok((tokens, first)) => {
            wait(first).await;
            let state = platform.state();
            let payments: Vec<Value> = tokens.iter().filter_map(|t| state.payments.get(t)).map(payment_json).collect();
            let url = match outcome {
                Outcome::Ok => &cart.urls.ok,
                Outcome::Refused => &cart.urls.error,
                Outcome::Unknown => &cart.urls.waiting,
            };
            Ok(json!({ "outcome": outcome.word(), "payments": payments, "fault": null, "return_url": url }))
        }
        Err(not) => Ok(json!({
            "outcome": "not_payable", "payments": [], "fault": not.fault, "notice_number": not.notice,
            "return_url": cart.urls.error,
        })),
    }
}

type Paid = Result<(Vec<String>, First), NotPayable>;

/// Pays a cart and moves it to its new status. `None` when shutting down.
pub(super) async fn pay_checkout(platform: &Shared, cart: &Cart, psp: &'static Psp, outcome: Outcome) -> Option<Paid> {
    let dues = cart
        .notices
        .iter()
        .map(|n| Due {
            creditor: n.creditor.clone(),
            notice: n.notice.clone(),
            shown: Some(n.amount),
            all_ccp: n.all_ccp,
        })
        .collect();
    let transfer_type = Some("PAGOPA");
    let order = Order { dues, psp, outcome, note: cart.note.clone(), transfer_type, also_v1: false };
    let (shared, id) = (Shared::clone(platform), cart.id.clone());
    let work = async move {
        let paid = receipts::pay(Shared::clone(&shared), order).await;
        let mut state = shared.state();
        if let Some(cart) = state.carts.get_mut(&id) {
            match &paid {
                Ok(_) if outcome == Outcome::Ok => cart.status = CartStatus::Paid,
                Ok((tokens, _)) if outcome == Outcome::Unknown => {
                    cart.status = CartStatus::Unknown;
                    cart.tokens.clone_from(tokens);
                }
                Ok(_) => {}
                Err(not) => {
                    let changed =
                        cart.notices.iter_mut().find(|n| n.notice == not.notice && n.creditor == not.creditor);
                    if let Some((notice, amount)) = changed.zip(not.amount) {
                        notice.amount = amount;
                    }
                }
            }
        }
        drop(state);
        paid
    };
    platform.run(work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeCall {
    creditor: Option<String>,
    notice_number: Option<String>,
    qr: Option<String>,
    psp: Option<String>,
    outcome: Option<String>,
    transfer_type: Option<String>,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    also_v1: bool,
}

impl NoticeCall {
    fn notice(&self) -> Result<(String, String), Response> {
        match (&self.creditor, &self.notice_number, &self.qr) {
            (Some(creditor), Some(notice), None) => Ok((creditor.clone(), notice.clone())),
            (None, None, Some(qr)) => read_qr(qr).ok_or_else(|| bad("qr: PAGOPA|002|notice|creditor|cents")),
            _ => Err(bad("either creditor and notice_number, or qr")),
        }
    }
}

/// Creditor and notice of a QR text `PAGOPA|002|<18 digits>|<11 digits>|<2 to 11 digits of cents>` (payment notice
/// guide 3.3). Its amount is not used: the creditor says what is due today.
pub(super) fn read_qr(text: &str) -> Option<(String, String)> {
    let digits =
        |s: &str, len: std::ops::RangeInclusive<usize>| len.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.trim().split('|').collect();
    match parts.as_slice() {
        ["PAGOPA", "002", notice, creditor, cents]
            if digits(notice, 18..=18) && digits(creditor, 11..=11) && digits(cents, 2..=11) =>
        {
            Some(((*creditor).to_owned(), (*notice).to_owned()))
        }
        _ => None,
    }
}

async fn verify(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_verify(platform, &bytes).await)
}

async fn try_verify(platform: Shared, bytes: &Bytes) -> Answer {
    let call: NoticeCall = body(bytes)?;
    let (creditor, notice) = call.notice()?;
    Ok(match platform.verify(&creditor, &notice).await {
        Ok(found) => json!({
            "outcome": "payable", "amount_cents": found.amount, "description": found.description,
            "company_name": found.company, "due_date": found.due, "fault": null,
        }),
        Err(fault) => json!({ "outcome": "not_payable", "fault": fault }),
    })
}

async fn pay_notice(State(platform): State<Shared>, bytes: Bytes) -> Response {
    reply(try_pay_notice(platform, &bytes).await)
}

async fn try_pay_notice(platform: Shared, bytes: &Bytes) -> Answer {
    let call: NoticeCall = body(bytes)?;
    let (creditor, notice) = call.notice()?;
    let outcome = Outcome::parse(call.outcome.as_deref())?;
    let transfer_type = match call.transfer_type.as_deref() {
        None => None,
        Some("POSTAL") => Some("POSTAL"),
        Some("PAGOPA") => Some("PAGOPA"),
        Some(_) => return Err(bad("transfer_type: POSTAL or PAGOPA")),
    };
    let psp = any_psp(call.psp.as_deref())?;
    if call.also_v1 && platform.creditor(&creditor).is_some_and(|its| its.v1) {
        return Err(bad("also_v1: this creditor's receipts are version 1 already"));
    }
    let wish = Wish { psp, outcome, transfer_type, also_v1: call.also_v1 };
    let paid = if call.again {
        if outcome != Outcome::Ok {
            return Err(bad("again: only with the outcome ok"));
        }
        let change = |payment: &mut Payment| {
            (payment.psp, payment.fee, payment.also_v1) = (wish.psp, wish.psp.fee_cents, wish.also_v1);
        };
        let (token, first) = receipts::pay_again(&platform, &creditor, &notice, change)
            .map_err(|words| problem(StatusCode::CONFLICT, words))?;
        wait(first).await;
        Ok(token)
    } else {
        pay_at_counter(&platform, creditor, notice, wish).await.ok_or_else(gone)?
    };
    Ok(paid_json(&platform, paid, outcome))
}

/// The PSP with this id, whatever it offers; a counter for none.
pub(super) fn any_psp(id: Option<&str>) -> Result<&'static Psp, Response> {
    let psp = match id {
        None => psps::choose(Method::Counter, None),
        Some(id) => PSPS.iter().find(|p| p.id == id),
    };
    psp.ok_or_else(|| bad("psp: unknown"))
}

/// The answer to a payment of one notice.
pub(super) fn paid_json(platform: &Platform, paid: Result<String, Fault>, outcome: Outcome) -> Value {
    match paid {
        Ok(token) => {
            let state = platform.state();
            let mut answer = state.payments.get(&token).map(payment_json).unwrap_or_default();
            if let Some(fields) = answer.as_object_mut() {
                fields.insert("outcome".to_owned(), outcome.word().into());
                fields.insert("fault".to_owned(), Value::Null);
            }
            answer
        }
        Err(fault) => json!({
            "outcome": "not_payable", "receipt_id": null, "amount_cents": null, "delivery": null, "fault": fault,
        }),
    }
}

/// How a notice shall be paid at a counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) psp: &'static Psp,
    pub(super) outcome: Outcome,
    pub(super) transfer_type: Option<&'static str>,
    pub(super) also_v1: bool,
}

/// Verify, activate, pay, and wait for the first delivery: what a PSP's counter does. `None` when shutting down.
pub(super) async fn pay_at_counter(
    platform: &Shared,
    creditor: String,
    notice: String,
    wish: Wish,
) -> Option<Result<String, Fault>> {
    let shared = Shared::clone(platform);
    let work = async move {
        let found = shared.verify(&creditor, &notice).await?;
        let due = Due { creditor, notice, shown: Some(found.amount), all_ccp: found.all_ccp };
        let Wish { psp, outcome, transfer_type, also_v1 } = wish;
        let order = Order { dues: vec![due], psp, outcome, note: None, transfer_type, also_v1 };
        receipts::pay(shared, order).await.map_err(|not| not.fault)
    };
    let (tokens, first) = match platform.run(work).await? {
        Ok(paid) => paid,
        Err(fault) => return Some(Err(fault)),
    };
    wait(first).await;
    tokens.into_iter().next().map(Ok)
}

/// The delivery as a whole: that of the creditor who owns the notice.
fn delivery(payment: &Payment) -> Option<DeliveryStatus> {
    payment.deliveries.first().map(|d| d.status)
}

pub(super) fn payment_json(p: &Payment) -> Value {
    let deliveries: Vec<Value> = p
        .deliveries
        .iter()
        .map(|d| {
            json!({
                "creditor": d.creditor, "operation": if d.v1 { "paSendRT" } else { "paSendRTV2" },
                "status": d.status, "held": d.held_by.map(Struck::words), "attempts": attempts(&d.attempts),
            })
        })
        .collect();
    json!({
        "receipt_id": p.token, "creditor": p.creditor, "notice_number": p.notice, "amount_cents": p.amount,
        "fee_cents": p.fee, "psp": p.psp.id, "id_cart": p.note, "state": p.state, "delivery": delivery(p),
        "deliveries": deliveries, "activated_at": p.at.to_string(), "expires_at": p.expires.to_string(),
        "paid_at": p.paid_at.map(|at| at.to_string()), "stand_in": p.stand_in,
    })
}

fn attempts(all: &[super::state::Attempt]) -> Vec<Value> {
    all.iter()
        .map(|a| json!({ "at": a.at.to_string(), "result": a.result, "fault": a.struck.map(Struck::words) }))
        .collect()
}

async fn payments(State(platform): State<Shared>) -> Response {
    let state = platform.state();
    let all = state.payment_order.iter().filter_map(|t| state.payments.get(t)).map(payment_json).collect();
    reply(Ok(Value::Array(all)))
}

fn find_payment(platform: &Platform, receipt_id: &str) -> Answer {
    let state = platform.state();
    state.payments.get(receipt_id).map(payment_json).ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such payment"))
}

async fn payment(State(platform): State<Shared>, Path(receipt_id): Path<String>) -> Response {
    reply(find_payment(&platform, &receipt_id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conclude {
    outcome: Option<String>,
    #[serde(default)]
    late: bool,
}

async fn outcome(State(platform): State<Shared>, Path(receipt_id): Path<String>, bytes: Bytes) -> Response {
    reply(try_outcome(platform, &receipt_id, &bytes).await)
}

async fn try_outcome(platform: Shared, receipt_id: &str, bytes: &Bytes) -> Answer {
    let wish: Conclude = body(bytes)?;
    find_payment(&platform, receipt_id)?;
    let outcome = Outcome::parse(wish.outcome.as_deref())?;
    let first = receipts::conclude(&platform, receipt_id, outcome, wish.late)
        .map_err(|code| problem(StatusCode::CONFLICT, code))?;
    wait(first).await;
    find_payment(&platform, receipt_id)
}

async fn redeliver(State(platform): State<Shared>, Path(receipt_id): Path<String>) -> Response {
    reply(try_redeliver(platform, receipt_id).await)
}

async fn try_redeliver(platform: Shared, receipt_id: String) -> Answer {
    find_payment(&platform, &receipt_id)?;
    let results = send_again(&platform, receipt_id).await.ok_or_else(gone)?;
    if results.is_empty() {
        return Err(problem(StatusCode::CONFLICT, "not paid: there is no receipt"));
    }
    Ok(json!({ "results": results }))
}

/// Sends every receipt of a payment once more, whatever was answered before. `None` when shutting down.
pub(super) async fn send_again(platform: &Shared, receipt_id: String) -> Option<Vec<Value>> {
    let recipients: Vec<String> = {
        let state = platform.state();
        let deliveries = state.payments.get(&receipt_id).map(|payment| &payment.deliveries);
        deliveries.into_iter().flatten().map(|d| d.creditor.clone()).collect()
    };
    let shared = Shared::clone(platform);
    let work = async move {
        let mut results = Vec::new();
        for (index, creditor) in recipients.into_iter().enumerate() {
            if let Some((status, fault)) = shared.deliver(&receipt_id, index).await {
                results.push(json!({ "creditor": creditor, "outcome": status, "fault": fault }));
            }
        }
        results
    };
    platform.run(work).await
}

async fn all_psps() -> Response {
    let all = PSPS
        .iter()
        .map(|p| json!({ "id": p.id, "name": p.name, "method": p.method.key(), "fee_cents": p.fee_cents }))
        .collect();
    reply(Ok(Value::Array(all)))
}

async fn violations(State(platform): State<Shared>) -> Response {
    let all = platform
        .state()
        .violations
        .iter()
        .map(|v| {
            json!({
                "at": v.at.to_string(), "creditor": v.creditor, "operation": v.operation, "rule": v.rule,
                "path": v.path, "message": v.words,
            })
        })
        .collect();
    reply(Ok(Value::Array(all)))
}
