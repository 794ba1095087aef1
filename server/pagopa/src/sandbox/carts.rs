//! `POST /checkout/ec/v2/carts`: the cart call of Checkout, held to its contract.
//!
//! Sources: pagopa-api `openapi/checkout_v2.json`; pagopa-ecommerce-payment-requests-service for the 422 cases.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::sleep;

use super::faults::{Kind, Target};
use super::line::Switch;
use super::schema::{breach, is_email};
use super::state::{Cart, CartNotice, CartStatus, ReturnUrls};
use super::{Shared, token};

/// Notices in one cart (the contract's `maxItems`).
const MAX_NOTICES: usize = 5;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/checkout/ec/v2/carts", post(create))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    #[serde(default, deserialize_with = "present")]
    email_notice: Option<String>,
    payment_notices: Vec<Notice>,
    return_urls: Urls,
    #[serde(default, deserialize_with = "present")]
    id_cart: Option<String>,
    #[serde(default, rename = "allCCP", deserialize_with = "present")]
    all_ccp: Option<bool>,
}

/// An optional member may be left out, but `null` is not a value of the contract.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Notice {
    notice_number: String,
    fiscal_code: String,
    amount: i64,
    company_name: String,
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Urls {
    return_ok_url: String,
    return_cancel_url: String,
    return_error_url: String,
    return_waiting_url: String,
}

/// An error in the shape of the contract (`ProblemJson`).
pub(super) fn problem(status: StatusCode, detail: impl Into<String>) -> Response {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail.into(),
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

/// The call, with whatever fault is due for the creditor of its first notice.
async fn create(
    State(platform): State<Shared>,
    ConnectInfo(line): ConnectInfo<Switch>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let cart: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let creditor = cart.pointer("/paymentNotices/0/fiscalCode").and_then(serde_json::Value::as_str).unwrap_or_default();
    let struck = platform.state().faults.strike(Target::Cart, creditor, None, platform.now());
    let kind = struck.map(|struck| struck.kind);
    match kind {
        Some(Kind::LostRequest) => {
            line.cut_after(0);
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Some(Kind::Slow(millis)) => sleep(Duration::from_millis(millis)).await,
        _ => {}
    }
    let answer = open(&platform, query, &headers, &body).await;
    match kind {
        Some(Kind::LostAnswer) => line.cut_after(0),
        // Somewhere in the first line.
        Some(Kind::Cut) => line.cut_after(10),
        Some(Kind::SlowAnswer(millis)) => sleep(Duration::from_millis(millis)).await,
        // Until the creditor hangs up.
        Some(Kind::TimeOut) => std::future::pending().await,
        _ => {}
    }
    answer
}

async fn open(platform: &Shared, query: Option<String>, headers: &HeaderMap, body: &Bytes) -> Response {
    if !authorised(&platform.config.subscription_key, headers, query.as_deref()) {
        return problem(StatusCode::UNAUTHORIZED, "missing or wrong subscription key");
    }
    let json = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !json.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return problem(StatusCode::BAD_REQUEST, "the content type is not application/json");
    }
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) => request,
        // The position and the member's name, never the value: an e-mail address may be among them.
        Err(e) => return problem(StatusCode::BAD_REQUEST, shape(&e)),
    };
    if let Err(detail) = formal(&request) {
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    let notices = &request.payment_notices;
    if notices.len() > MAX_NOTICES {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "more than 5 payment notices");
    }
    let repeated = |i: usize, n: &Notice| {
        notices.iter().take(i).any(|o| o.notice_number == n.notice_number && o.fiscal_code == n.fiscal_code)
    };
    if notices.iter().enumerate().any(|(i, n)| repeated(i, n)) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "the same payment notice twice");
    }
    let mut shown = Vec::with_capacity(notices.len());
    for notice in notices {
        match position(platform, notice).await {
            Ok(found) => shown.push(found),
            Err(detail) => return problem(StatusCode::UNPROCESSABLE_ENTITY, detail),
        }
    }
    let Ok(id) = token() else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "no cart id");
    };
    let location = format!("{}/c/{id}", platform.public_url);
    let Ok(location) = HeaderValue::from_str(&location) else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "no usable public address");
    };
    let now = platform.now();
    let lifetime = SignedDuration::try_from(platform.config.cart_lifetime).unwrap_or(SignedDuration::MAX);
    let urls = request.return_urls;
    // One flag of the contract changes nothing here: no transfer type depends on it in the simulated Node.
    let _ = request.all_ccp;
    platform.state().add_cart(Cart {
        id,
        notices: shown,
        urls: ReturnUrls {
            ok: urls.return_ok_url,
            cancel: urls.return_cancel_url,
            error: urls.return_error_url,
            waiting: urls.return_waiting_url,
        },
        note: request.id_cart,
        email: request.email_notice,
        expires: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
        created: now,
        method: None,
        psp: None,
        card_given: false,
        status: CartStatus::Open,
        tokens: Vec::new(),
    });
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// Header `Ocp-Apim-Subscription-Key` or query `subscription-key` (checkout_v2.json, securitySchemes).
fn authorised(key: &str, headers: &HeaderMap, query: Option<&str>) -> bool {
    let in_header = headers.get("ocp-apim-subscription-key").is_some_and(|v| v.as_bytes() == key.as_bytes());
    let pairs = || query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    in_header || pairs().any(|(name, value)| name == "subscription-key" && value == key)
}

fn shape(e: &serde_json::Error) -> String {
    let what = match e.classify() {
        serde_json::error::Category::Data => "a member is missing, unknown or of the wrong type",
        _ => "not JSON",
    };
    format!("{what} (line {}, column {})", e.line(), e.column())
}

/// The contract's own limits, where types alone do not say them.
fn formal(request: &Request) -> Result<(), String> {
    if request.payment_notices.is_empty() {
        return Err("paymentNotices: at least 1".to_owned());
    }
    for (i, n) in request.payment_notices.iter().enumerate() {
        let digits = |s: &str, len| s.len() == len && s.bytes().all(|b| b.is_ascii_digit());
        let short = |s: &str| (1..=140).contains(&s.chars().count()) && s.chars().all(super::xml::is_xml_char);
        let wrong = if !digits(&n.notice_number, 18) {
            "noticeNumber: 18 digits"
        } else if !digits(&n.fiscal_code, 11) {
            "fiscalCode: 11 digits"
        } else if !(1..=99_999_999_999).contains(&n.amount) {
            "amount: cents, at least 1"
        } else if !short(&n.company_name) {
            "companyName: 1 to 140 characters"
        } else if !short(&n.description) {
            "description: 1 to 140 characters"
        } else {
            continue;
        };
        return Err(format!("paymentNotices[{i}].{wrong}"));
    }
    if request.email_notice.as_deref().is_some_and(|e| !is_email(e)) {
        return Err("emailNotice: not an e-mail address".to_owned());
    }
    // It travels as paymentNote, a text of 1 to 210 characters.
    let is_note = |n: &str| (1..=210).contains(&n.chars().count()) && n.chars().all(super::xml::is_xml_char);
    if request.id_cart.as_deref().is_some_and(|n| !is_note(n)) {
        return Err("idCart: 1 to 210 characters".to_owned());
    }
    let urls = &request.return_urls;
    let all = [
        ("returnOkUrl", &urls.return_ok_url),
        ("returnCancelUrl", &urls.return_cancel_url),
        ("returnErrorUrl", &urls.return_error_url),
        ("returnWaitingUrl", &urls.return_waiting_url),
    ];
    for (name, url) in all {
        let usable = reqwest::Url::parse(url).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        // The address goes into a header as it is.
        if !usable || HeaderValue::from_str(url).is_err() {
            return Err(format!("returnUrls.{name}: not an absolute http(s) address"));
        }
    }
    Ok(())
}

/// Asks the creditor about one notice. The payer is shown what the creditor says, not what the cart says.
async fn position(platform: &Shared, n: &Notice) -> Result<CartNotice, String> {
    let found = platform.verify(&n.fiscal_code, &n.notice_number).await.map_err(|fault| {
        let original = fault.original_code.map(|code| format!(" ({code})")).unwrap_or_default();
        format!("payment notice not payable: {}{original}", fault.code)
    })?;
    if found.amount != n.amount {
        let mut breaches = Vec::new();
        let words = "L'importo nel carrello è diverso da quello che l'ente dà alla verifica.";
        breach(&mut breaches, "cart-amount", "paymentNotices/amount", words);
        platform.state().violated(platform.now(), &n.fiscal_code, "carts", breaches);
    }
    Ok(CartNotice {
        creditor: n.fiscal_code.clone(),
        notice: n.notice_number.clone(),
        amount: found.amount,
        company: found.company,
        description: found.description,
        all_ccp: found.all_ccp,
    })
}
