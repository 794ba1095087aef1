//! The portal as an app on a phone's home screen, and what of it is read without a network: the last balances, and the open notices with
//! their QR codes. All of it is one page, `/senza-rete`, which the service worker keeps where the parent said that the device is theirs,
//! and forgets with the sign-out; the worker itself is `assets/offline.js`.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use borsellino_domain::id::SessionId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::top_up::PaymentState;
use borsellino_domain::words::Words;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use super::assets;
use super::frame::{Frame, show, stopped};
use super::home::{Card, cards};
use super::looks;
use super::notices::squares;
use super::visit::{PASS, Parent, Visit, cookie, renew};
use crate::auth::token::{Pass, REFRESH_MILLIS};
use crate::usecases::App;
use crate::usecases::appearance::{self, Colour};
use crate::usecases::home::home;
use crate::usecases::views::{HomeView, NoticeView};

/// Below a portal's own path: the page that is kept.
pub(super) const PATH: &str = "/senza-rete";

/// What is shown where nothing is kept.
pub(super) const EMPTY_PATH: &str = "/senza-rete/vuoto";

/// The worker.
pub(super) const WORKER_PATH: &str = "/lavoro.js";

/// The manifest.
pub(super) const MANIFEST_PATH: &str = "/app.webmanifest";

/// Tells the worker with every page what to do with what it keeps of a family: `keep MARK`, `mine MARK`, `forget`; MARK is the visit's.
const ORDER: HeaderName = HeaderName::from_static("portal-offline");

/// What the worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Balances may have changed: keep the page anew, of this visit.
    Keep(SessionId),
    /// What is kept stays, if it is of this visit.
    Mine(SessionId),
    /// Nothing of a family stays on this device.
    Forget,
}

fn tell(order: Order, app: &App, response: &mut Response) {
    let text = match order {
        Order::Keep(session) => format!("keep {}", mark(app, session)),
        Order::Mine(session) => format!("mine {}", mark(app, session)),
        Order::Forget => "forget".to_owned(),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(ORDER, value);
    }
}

/// By what a worker knows one visit from another.
fn mark(app: &App, session: SessionId) -> String {
    let stamp = app.keys.stamp(&[b"borsellino.offline.v1".as_slice(), session.uuid().as_bytes()].concat());
    BASE64URL_NOPAD.encode(&stamp)
}

/// After a page that shows how things stand: where the device is theirs, the kept page is to say the same.
pub(super) fn keep_up(visit: &Visit, response: &mut Response) {
    if let Some(pass) = visit.pass().filter(|pass| pass.stays) {
        tell(Order::Keep(pass.identity.session), &visit.app, response);
    }
}

/// Nothing of a family stays.
pub(super) fn forget(visit: &Visit, response: &mut Response) {
    tell(Order::Forget, &visit.app, response);
}

/// On every page: whose visit it is, where the device is theirs; else nothing stays.
pub(super) async fn say_whose(State(app): State<App>, request: Request, next: Next) -> Response {
    let now = app.now();
    let pass = cookie(request.headers(), PASS).and_then(|token| Pass::read(&app.keys, token, now).ok());
    let mut response = next.run(request).await;
    if !response.headers().contains_key(&ORDER) {
        let own = pass.filter(|pass| pass.stays);
        tell(own.map_or(Order::Forget, |pass| Order::Mine(pass.identity.session)), &app, &mut response);
    }
    response
}

/// What the portal is called and looks like on a home screen.
pub(super) async fn manifest(visit: Visit) -> Response {
    let (w, base, town) = (visit.words, visit.base(), &visit.creditor.name);
    let colour = appearance::colour(&visit.creditor).unwrap_or(Colour::OWN).to_string();
    let icon = |name: &str, sizes: &str, purpose: &str| json!({ "src": assets::path(name), "sizes": sizes, "type": "image/png", "purpose": purpose });
    let body = json!({
        "id": base,
        "name": format!("{}, {town}", w.of(["Portale Genitori", "Parents' portal", "Elternportal"])),
        "short_name": "Borsellino",
        "lang": visit.language.tag(),
        "start_url": base,
        "scope": base,
        "display": "standalone",
        "theme_color": colour,
        "background_color": "#f2f7fc",
        "icons": [
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any"),
            icon("icon-512.png", "512x512", "maskable"),
        ],
        "shortcuts": [
            { "name": w.of(["Paga", "Pay", "Bezahlen"]), "url": format!("{base}/paga") },
            { "name": w.of(["Ricarica", "Top up", "Aufladen"]), "url": format!("{base}/ricarica") },
        ],
    });
    let headers =
        [(header::CONTENT_TYPE, "application/manifest+json"), (header::CACHE_CONTROL, "private, max-age=3600")];
    (headers, body.to_string()).into_response()
}

/// The worker of this portal: asked for anew each time, so that a new release takes the place of the old one.
pub(super) async fn worker(visit: Visit) -> Response {
    let base = visit.base();
    let mut files: Vec<String> = ["portal.css", "portal.js", "icons.svg"].map(assets::path).into();
    files.extend(["titillium-400.woff2", "titillium-600.woff2", "titillium-700.woff2", "icon.svg"].map(assets::path));
    files.extend(looks::colours_path(&visit));
    files.extend(looks::logo_path(&visit));
    let page = format!("{base}{EMPTY_PATH}");
    // With what the page says: another phone number makes another worker.
    let text = nothing(&visit).render().unwrap_or_default();
    let mark = Hash::of(format!("{files:?}{text}{WORKER}").as_bytes()).to_string();
    let portal = json!({
        "base": base, "page": format!("{base}{PATH}"), "empty": page, "leave": format!("{base}/esci"), "files": files, "mark": mark,
        "longest": REFRESH_MILLIS,
    });
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("service-worker-allowed"), base.as_str()),
    ];
    (headers, format!("const portal = {portal};\n{WORKER}")).into_response()
}

const WORKER: &str = include_str!("../../assets/offline.js");

#[derive(Template)]
#[template(path = "portal/offline.html")]
struct Offline {
    f: Frame,
    as_of: String,
    children: Vec<Card>,
    notices: Vec<Open>,
    /// Somebody is signed in and has children or notices here.
    kept: bool,
    /// The page of a device that keeps it.
    stays: bool,
}

/// A notice that can be paid.
struct Open {
    number: String,
    grouped: String,
    title: String,
    amount: String,
    due: String,
    creditor: String,
    cbill: String,
    qr: String,
    side: usize,
}

/// The page that is kept; with a network it can be read too.
pub(super) async fn page(parent: Parent) -> Response {
    let visit = &parent.visit;
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    // It is read later: `today` would be another day.
    let w = Words { server_now: None, ..visit.words };
    let base = visit.base();
    let mut frame = visit.frame(title(visit.language), "-");
    frame.asked = format!("{base}{PATH}");
    let page = Offline {
        f: frame,
        as_of: w.as_of(view.as_of),
        children: cards(&view, &base, &w),
        notices: open(visit, &view, &w),
        kept: true,
        stays: visit.stays(),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    keep_up(visit, &mut response);
    response
}

/// What is shown where nothing is kept.
pub(super) async fn empty(visit: Visit) -> Response {
    show(StatusCode::OK, &nothing(&visit))
}

fn nothing(visit: &Visit) -> Offline {
    let mut f = visit.frame(title(visit.language), "-");
    (f.inside, f.menu, f.token, f.asked, f.worker) = (false, Vec::new(), String::new(), visit.base(), None);
    Offline { f, as_of: String::new(), children: Vec::new(), notices: Vec::new(), kept: false, stays: false }
}

fn title(language: Language) -> &'static str {
    language.choose(["Senza rete", "Without a network", "Ohne Netz"])
}

/// The notices that can be paid, each once, bills first.
fn open(visit: &Visit, view: &HomeView, w: &Words) -> Vec<Open> {
    let mut notices: Vec<(&NoticeView, String)> = Vec::new();
    // Not what is being paid: who shows it in a bar meanwhile pays it twice.
    let waits = |payment: PaymentState| matches!(payment, PaymentState::Payable | PaymentState::NotCompleted);
    for bill in &view.bills {
        let whole = bill.notice.iter().filter(|_| waits(bill.payment));
        let whole = whole.map(|notice| (notice, w.iso_day(&bill.due_date)));
        let parts = bill.instalments.iter().filter(|part| waits(part.payment));
        let parts = parts.filter_map(|part| Some((part.notice.as_ref()?, w.iso_day(&part.due_date))));
        notices.extend(parts.chain(whole));
    }
    let payable = view.payments.iter().filter(|payment| payment.can_be_paid());
    notices.extend(payable.map(|payment| {
        let notice = &payment.notice;
        (notice, notice.expires_at.map(|at| w.day(at)).unwrap_or_default())
    }));
    let mut shown: Vec<Open> = Vec::with_capacity(notices.len());
    for (notice, due) in notices {
        let number = notice.number.to_string();
        if shown.iter().any(|other| other.number == number) {
            continue;
        }
        let (qr, side) = squares(&notice.qr_text);
        shown.push(Open {
            number,
            grouped: notice.number.grouped(),
            title: notice.reason.clone(),
            amount: w.money(notice.amount.cents()),
            due,
            creditor: visit.creditor.fiscal_code.to_string(),
            cbill: visit.creditor.cbill.clone(),
            qr,
            side,
        });
    }
    shown
}
