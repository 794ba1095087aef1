//! The pages of Checkout, step by step; server-rendered, no scripts.

// The error of these functions is the page to show instead: it is on its way out, not passed around.
#![allow(clippy::result_large_err)]

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;

use super::cards::{self, Complaints};
use super::node::{self, Outcome};
use super::psps::{self, Method, Psp};
use super::schema::is_email;
use super::state::{Cart, CartStatus};
use super::{Platform, Shared, api, wire};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/sandbox.css", get(css))
        .route("/c/{id}", get(summary))
        .route("/c/{id}/cancel", post(cancel))
        .route("/c/{id}/email", get(email).post(set_email))
        .route("/c/{id}/method", get(method).post(set_method))
        .route("/c/{id}/card", get(card).post(set_card))
        .route("/c/{id}/psp", get(psp_list).post(set_psp))
        .route("/c/{id}/confirm", get(confirm))
        .route("/c/{id}/pay", post(pay))
        .fallback(nowhere)
}

async fn css() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../templates/sandbox/sandbox.css"))
}

/// `1.234,56 €`
pub(super) fn money(cents: i64) -> String {
    let digits = (cents.unsigned_abs() / 100).to_string();
    let mut grouped = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(c);
    }
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{grouped},{:02}\u{a0}€", cents.unsigned_abs() % 100)
}

/// The notice number in groups of four, as it is printed.
pub(super) fn grouped(notice: &str) -> String {
    let chars: Vec<char> = notice.chars().collect();
    chars.chunks(4).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

pub(super) fn hour(at: Timestamp) -> String {
    wire::local(at).strftime("%d/%m/%Y %H:%M:%S").to_string()
}

pub(super) fn page(template: &impl Template) -> Response {
    page_with(StatusCode::OK, template)
}

pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "La pagina non si è potuta comporre.").into_response(),
    }
}

#[derive(Template)]
#[template(path = "sandbox/message.html")]
struct Message {
    title: String,
    text: String,
    /// For whoever looks into it; empty for none.
    code: String,
    /// Address and words of the way on.
    link: Option<(String, &'static str)>,
}

pub(super) fn message(status: StatusCode, title: &str, text: &str, link: Option<(String, &'static str)>) -> Response {
    page_with(status, &Message { title: title.to_owned(), text: text.to_owned(), code: String::new(), link })
}

async fn nowhere() -> Response {
    message(
        StatusCode::NOT_FOUND,
        "Pagina inesistente",
        "Qui non c'è niente.",
        Some(("/".to_owned(), "Vai al pannello")),
    )
}

pub(super) fn unreadable() -> Response {
    message(StatusCode::BAD_REQUEST, "Modulo non valido", "Torna indietro e riprova.", None)
}

pub(super) fn going_down() -> Response {
    message(StatusCode::SERVICE_UNAVAILABLE, "Il simulatore si sta spegnendo", "Riavvialo e riprova.", None)
}

pub(super) type Typed<T> = Result<Form<T>, FormRejection>;

/// What every step shows about the cart.
struct Summary {
    id: String,
    rows: Vec<Row>,
    total: String,
    fee: String,
    grand_total: String,
    psp: String,
    method: String,
    email: String,
}

struct Row {
    company: String,
    creditor: String,
    description: String,
    notice: String,
    amount: String,
}

impl Summary {
    fn of(cart: &Cart) -> Self {
        let fee = cart.psp.map_or(0, |p| p.fee_cents);
        Self {
            id: cart.id.clone(),
            rows: cart
                .notices
                .iter()
                .map(|n| Row {
                    company: n.company.clone(),
                    creditor: n.creditor.clone(),
                    description: n.description.clone(),
                    notice: grouped(&n.notice),
                    amount: money(n.amount),
                })
                .collect(),
            total: money(cart.total()),
            fee: money(fee),
            grand_total: money(cart.total().saturating_add(fee)),
            psp: cart.psp.map(|p| p.name.to_owned()).unwrap_or_default(),
            method: cart.method.map(|m| m.label().to_owned()).unwrap_or_default(),
            email: cart.email.clone().unwrap_or_default(),
        }
    }
}

/// A cart that can still be paid, or the page that says why not.
fn payable(platform: &Platform, id: &str) -> Result<Cart, Response> {
    let cart = platform.state().carts.get(id).cloned().ok_or_else(|| {
        message(
            StatusCode::NOT_FOUND,
            "Carrello inesistente",
            "Questo carrello non c'è, o non c'è più. Torna al sito dell'ente e ricomincia.",
            None,
        )
    })?;
    let back = |url: &str| Some((url.to_owned(), "Torna al sito dell'ente"));
    match cart.status_at(platform.now()) {
        CartStatus::Open => Ok(cart),
        CartStatus::Paid => {
            Err(message(StatusCode::OK, "Hai già pagato", "Questo carrello è già stato pagato.", back(&cart.urls.ok)))
        }
        CartStatus::Unknown => {
            let text = "Non sappiamo ancora se il pagamento è riuscito. Non pagare di nuovo.";
            Err(message(StatusCode::OK, "In attesa dell'esito", text, back(&cart.urls.waiting)))
        }
        CartStatus::Expired => {
            let text = "Il tempo per pagare questo carrello è finito. Torna al sito dell'ente e ricomincia.";
            Err(message(StatusCode::GONE, "Carrello scaduto", text, back(&cart.urls.error)))
        }
    }
}

/// Changes an open cart.
fn change(platform: &Platform, id: &str, by: impl FnOnce(&mut Cart)) {
    if let Some(cart) = platform.state().carts.get_mut(id) {
        by(cart);
    }
}

fn go(id: &str, step: &str) -> Response {
    Redirect::to(&format!("/c/{id}/{step}")).into_response()
}

#[derive(Template)]
#[template(path = "sandbox/cart.html")]
struct CartPage {
    cart: Summary,
}

async fn summary(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match payable(&platform, &id) {
        Ok(cart) => page(&CartPage { cart: Summary::of(&cart) }),
        Err(other) => other,
    }
}

async fn cancel(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match payable(&platform, &id) {
        Ok(cart) => Redirect::to(&cart.urls.cancel).into_response(),
        Err(other) => other,
    }
}

#[derive(Template)]
#[template(path = "sandbox/email.html")]
struct EmailPage {
    cart: Summary,
    typed: String,
    wrong: bool,
}

async fn email(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match payable(&platform, &id) {
        Ok(cart) => {
            page(&EmailPage { typed: cart.email.clone().unwrap_or_default(), wrong: false, cart: Summary::of(&cart) })
        }
        Err(other) => other,
    }
}

#[derive(Deserialize)]
struct EmailForm {
    #[serde(default)]
    email: String,
}

async fn set_email(State(platform): State<Shared>, Path(id): Path<String>, form: Typed<EmailForm>) -> Response {
    let cart = match payable(&platform, &id) {
        Ok(cart) => cart,
        Err(other) => return other,
    };
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let typed = form.email.trim().to_owned();
    if !typed.is_empty() && !is_email(&typed) {
        let page = EmailPage { cart: Summary::of(&cart), typed, wrong: true };
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    change(&platform, &id, |cart| cart.email = (!typed.is_empty()).then_some(typed));
    go(&id, "method")
}

#[derive(Template)]
#[template(path = "sandbox/method.html")]
struct MethodPage {
    cart: Summary,
    methods: Vec<(&'static str, &'static str, &'static str)>,
}

async fn method(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    let about = |m| match m {
        Method::Card => "Tutti i circuiti: Visa, Mastercard, Maestro, American Express",
        Method::Account => "Dal conto, con la tua banca",
        Method::Other | Method::Counter => "App e portafogli elettronici",
    };
    match payable(&platform, &id) {
        Ok(cart) => page(&MethodPage {
            cart: Summary::of(&cart),
            methods: Method::CHECKOUT.into_iter().map(|m| (m.key(), m.label(), about(m))).collect(),
        }),
        Err(other) => other,
    }
}

#[derive(Deserialize)]
struct MethodForm {
    method: String,
}

async fn set_method(State(platform): State<Shared>, Path(id): Path<String>, form: Typed<MethodForm>) -> Response {
    if let Err(other) = payable(&platform, &id) {
        return other;
    }
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let Some(method) = Method::parse(&form.method).filter(|m| Method::CHECKOUT.contains(m)) else {
        return unreadable();
    };
    change(&platform, &id, |cart| {
        cart.method = Some(method);
        cart.psp = None;
        cart.card_given = false;
    });
    go(&id, if method == Method::Card { "card" } else { "psp" })
}

#[derive(Template)]
#[template(path = "sandbox/card.html")]
struct CardPage {
    cart: Summary,
    wrong: Complaints,
    any_wrong: bool,
}

async fn card(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match payable(&platform, &id) {
        Ok(cart) if cart.method != Some(Method::Card) => go(&id, "method"),
        Ok(cart) => page(&CardPage { cart: Summary::of(&cart), wrong: Complaints::default(), any_wrong: false }),
        Err(other) => other,
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CardForm {
    holder: String,
    number: String,
    expiry: String,
    cvc: String,
}

async fn set_card(State(platform): State<Shared>, Path(id): Path<String>, form: Typed<CardForm>) -> Response {
    let cart = match payable(&platform, &id) {
        Ok(cart) => cart,
        Err(other) => return other,
    };
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let today = wire::local(platform.now()).date();
    match cards::check(&form.holder, &form.number, &form.expiry, &form.cvc, today) {
        Ok(()) => {
            change(&platform, &id, |cart| {
                cart.method = Some(Method::Card);
                cart.card_given = true;
            });
            go(&id, "psp")
        }
        Err(wrong) => {
            let page = CardPage { cart: Summary::of(&cart), wrong, any_wrong: true };
            page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

pub(super) struct PspRow {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fee: String,
}

impl PspRow {
    pub(super) fn of(p: &'static Psp) -> Self {
        Self { id: p.id, name: p.name, about: p.about, fee: money(p.fee_cents) }
    }
}

#[derive(Template)]
#[template(path = "sandbox/psps.html")]
struct PspPage {
    cart: Summary,
    psps: Vec<PspRow>,
}

/// The way of paying, once everything it needs was given.
fn chosen(cart: &Cart) -> Result<Method, Response> {
    match cart.method {
        None => Err(go(&cart.id, "method")),
        Some(Method::Card) if !cart.card_given => Err(go(&cart.id, "card")),
        Some(method) => Ok(method),
    }
}

async fn psp_list(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match payable(&platform, &id).and_then(|cart| chosen(&cart).map(|method| (cart, method))) {
        Ok((cart, method)) => {
            let mut psps: Vec<&Psp> = psps::offering(method).collect();
            psps.sort_by_key(|p| p.fee_cents);
            page(&PspPage { cart: Summary::of(&cart), psps: psps.into_iter().map(PspRow::of).collect() })
        }
        Err(other) => other,
    }
}

#[derive(Deserialize)]
struct PspForm {
    psp: String,
}

async fn set_psp(State(platform): State<Shared>, Path(id): Path<String>, form: Typed<PspForm>) -> Response {
    let method = match payable(&platform, &id).and_then(|cart| chosen(&cart)) {
        Ok(method) => method,
        Err(other) => return other,
    };
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let Some(psp) = psps::choose(method, Some(&form.psp)) else {
        return unreadable();
    };
    change(&platform, &id, |cart| cart.psp = Some(psp));
    go(&id, "confirm")
}

#[derive(Template)]
#[template(path = "sandbox/confirm.html")]
struct ConfirmPage {
    cart: Summary,
}

/// The cart with its PSP, or the step that is missing.
fn ready(platform: &Platform, id: &str) -> Result<(Cart, &'static Psp), Response> {
    let cart = payable(platform, id)?;
    chosen(&cart)?;
    match cart.psp {
        Some(psp) => Ok((cart, psp)),
        None => Err(go(id, "psp")),
    }
}

async fn confirm(State(platform): State<Shared>, Path(id): Path<String>) -> Response {
    match ready(&platform, &id) {
        Ok((cart, _)) => page(&ConfirmPage { cart: Summary::of(&cart) }),
        Err(other) => other,
    }
}

#[derive(Deserialize)]
pub(super) struct PayForm {
    pub(super) outcome: String,
}

async fn pay(State(platform): State<Shared>, Path(id): Path<String>, form: Typed<PayForm>) -> Response {
    let (cart, psp) = match ready(&platform, &id) {
        Ok(ready) => ready,
        Err(other) => return other,
    };
    let Ok(Form(form)) = form else {
        return unreadable();
    };
    let (outcome, url) = match form.outcome.as_str() {
        "ok" | "ok_close" => (Outcome::Ok, &cart.urls.ok),
        "refused" => (Outcome::Refused, &cart.urls.error),
        "unknown" => (Outcome::Unknown, &cart.urls.waiting),
        _ => return unreadable(),
    };
    match api::pay_checkout(&platform, &cart, psp, outcome).await {
        None => going_down(),
        // The browser does not wait for the receipt: like on the real platform, it may arrive before or after.
        Some(Ok(_)) if form.outcome == "ok_close" => {
            let text = "Il pagamento è riuscito, ma il browser non torna al sito dell'ente: è come se avessi chiuso la finestra. L'ente lo saprà dalla ricevuta.";
            message(StatusCode::OK, "Finestra chiusa", text, None)
        }
        Some(Ok(_)) => Redirect::to(url).into_response(),
        Some(Err(not)) => {
            // Mended by a second look: another amount, or this same cart being paid by a double click.
            let again = not.amount.is_some() || not.fault.code == node::IN_PROGRESS;
            let link = if again {
                (format!("/c/{id}"), "Rivedi il carrello")
            } else {
                (cart.urls.error.clone(), "Torna al sito dell'ente")
            };
            let page = Message {
                title: "Pagamento non eseguito".to_owned(),
                text: not.fault.words().to_owned(),
                code: not.fault.original_code.unwrap_or_else(|| not.fault.code.to_owned()),
                link: Some(link),
            };
            page_with(StatusCode::CONFLICT, &page)
        }
    }
}
