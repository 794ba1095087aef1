//! The portal as an app on a phone's home screen, and what of it is read without a network: the last balances, and the open notices with
//! their QR codes. All of it is one page, `/senza-rete`, which the service worker keeps where the parent said that the device is theirs,
//! and forgets with the sign-out; the worker itself is `assets/offline.js`.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::words::Words;
use serde_json::json;

use super::assets;
use super::frame::{Frame, show, stopped};
use super::home::{Card, cards};
use super::looks;
use super::notices::squares;
use super::visit::{Parent, Visit, renew};
use crate::auth::token::REFRESH_MILLIS;
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

/// Tells the worker what to do with what it keeps of the family.
const ORDER: HeaderName = HeaderName::from_static("portal-offline");

/// What the worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Balances may have changed: keep the page anew.
    Keep,
    /// Nothing of a family stays on this device.
    Forget,
}

/// Tells the worker, if there is one.
pub(super) fn tell(order: Order, response: &mut Response) {
    let text = match order {
        Order::Keep => "keep",
        Order::Forget => "forget",
    };
    response.headers_mut().insert(ORDER, HeaderValue::from_static(text));
}

/// After a page that shows how things stand: where the device is theirs, the kept page is to say the same.
pub(super) fn keep_up(visit: &Visit, response: &mut Response) {
    if visit.stays() {
        tell(Order::Keep, response);
    }
}

/// What a page of the portal that is kept is shown as in an app.
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
    let mark = Hash::of(format!("{files:?}{page}{WORKER}").as_bytes()).to_string();
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
    let mut f = visit.frame(title(visit.language), "-");
    (f.inside, f.menu, f.token, f.asked) = (false, Vec::new(), String::new(), visit.base());
    show(
        StatusCode::OK,
        &Offline { f, as_of: String::new(), children: Vec::new(), notices: Vec::new(), kept: false, stays: false },
    )
}

fn title(language: Language) -> &'static str {
    language.choose(["Senza rete", "Without a network", "Ohne Netz"])
}

/// The notices that can be paid, each once, bills first.
fn open(visit: &Visit, view: &HomeView, w: &Words) -> Vec<Open> {
    let mut notices: Vec<(&NoticeView, String)> = Vec::new();
    for bill in &view.bills {
        let whole = bill.notice.iter().map(|notice| (notice, w.iso_day(&bill.due_date)));
        let parts = bill.instalments.iter().filter_map(|part| Some((part.notice.as_ref()?, w.iso_day(&part.due_date))));
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
