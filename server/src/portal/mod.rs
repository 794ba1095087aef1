//! Portale Genitori: the parents' pages in any browser, on the use cases that the app has too. Decodes a form, calls a use case, writes
//! a page; no rule lives here.
//!
//! One creditor's portal lies under `/comune/CODE/`. Every page works without a script; a script only saves the parent waiting. Who is
//! visiting stands in a cookie (`visit`); every form of theirs carries a token of that visit, and comes from a page of ours.

mod access;
mod archive;
mod assets;
mod content;
mod devices;
mod forms;
mod frame;
mod home;
mod identities;
mod looks;
mod messages;
mod movements;
mod notices;
mod offline;
mod open;
mod outcome;
mod overview;
mod pay;
mod privacy;
mod profile;
mod prose;
mod question;
mod recoveries;
mod recovery;
mod register;
mod spontaneous;
mod top_up;
mod visit;
mod waiting;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;

pub(crate) use self::visit::returning;
use crate::usecases::App;

/// The longest form, in bytes.
const MAX_FORM: usize = 64 << 10;

/// The pages of all creditors.
pub fn router(app: App) -> Router {
    let at = |path: &str| format!("/comune/{{creditor}}{path}");
    let pages = Router::new()
        .route("/", get(frame::entrance))
        .route(&at(""), get(home::page))
        .route(&at("/"), get(home::page))
        .route(&at("/accesso"), get(access::page).post(access::enter))
        .route(&at("/accesso/{identity}"), get(frame::instead).post(identities::start))
        .route(&at("/accesso/{identity}/ritorno"), get(identities::back))
        .route(&at(privacy::PATH), get(privacy::page).post(privacy::answer))
        .route(&at("/registrati"), get(register::page).post(register::enter))
        .route(&at(recovery::PATH), get(recovery::page).post(recovery::step))
        .route(&at("/recuperi"), get(recoveries::page).post(recoveries::answer))
        .route(&at("/profilo"), get(profile::page))
        .route(&at(offline::MANIFEST_PATH), get(offline::manifest))
        .route(&at(offline::WORKER_PATH), get(offline::worker))
        .route(&at(offline::PATH), get(offline::page))
        .route(&at(offline::EMPTY_PATH), get(offline::empty))
        .route(&at("/colori/{file}"), get(looks::colours))
        .route(&at("/logo/{mark}"), get(looks::logo))
        .route(&at("/esci"), get(frame::instead).post(access::leave))
        .route(&at("/lingua"), get(frame::instead).post(access::language))
        .route(&at("/ricarica"), get(top_up::page).post(top_up::start))
        .route(&at("/paga"), get(pay::page).post(pay::start))
        .route(&at("/avviso/{number}"), get(notices::page))
        .route(&at("/avviso/{number}/pdf"), get(notices::pdf))
        .route(&at("/avviso/{number}/email"), get(frame::instead).post(notices::send))
        .route(&at("/avviso/{number}/link"), get(frame::instead).post(notices::link))
        .route(&at("/esito/{kind}/{id}"), get(outcome::page))
        .route(&at("/esito/{kind}/{id}/vivo"), get(outcome::live))
        .route(&at("/consumatori"), get(overview::consumers))
        .route(&at("/bollettini"), get(overview::bills))
        .route(&at("/bollettini/{id}"), get(overview::bill))
        .route(&at("/cerca"), get(overview::search_page).post(overview::search))
        .route(&at("/movimenti"), get(movements::page))
        .route(&at("/estratto/{wallet}"), get(movements::statement))
        .route(&at("/archivio"), get(archive::page))
        .route(&at("/ricevuta/{kind}/{id}/{format}"), get(archive::receipt))
        .route(&at("/certificazione"), get(archive::certificate))
        .route(&at("/dispositivi"), get(devices::page).post(devices::revoke))
        .route(&at("/password"), get(devices::password).post(devices::change_password))
        .route(&at(question::PATH), get(question::page).post(question::send))
        .route(&at("/novita"), get(content::news))
        .route(&at("/novita/feed"), get(content::feed))
        .route(&at("/novita/{id}"), get(content::news_item))
        .route(&at("/calendario"), get(content::events))
        .route(&at("/documenti"), get(content::files))
        .route(&at("/documenti/{id}"), get(content::file))
        .route(&at("/domande"), get(content::questions))
        .route(&at("/informazioni"), get(content::inquiry))
        .route(&at("/aiuto"), get(content::help))
        .route(&at("/messaggi"), get(messages::page))
        .route(&at("/messaggi/nuovo"), get(messages::new).post(messages::send))
        .route(&at("/avvisi"), get(open::page).post(open::find))
        .route(&at("/avvisi/stampa"), get(open::begin).post(open::print))
        .route(&at("/avvisi/paga"), get(open::begin).post(open::pay))
        .route(&at("/avvisi/esito"), get(open::outcome))
        .route(&at("/spontaneo"), get(spontaneous::page).post(spontaneous::start))
        .route(&at("/ricevuta-telematica"), get(open::receipt_page).post(open::receipt))
        .route(&at("/{*rest}"), get(frame::missing))
        .method_not_allowed_fallback(frame::missing)
        .layer(axum::middleware::map_response(guarded))
        .layer(axum::middleware::from_fn_with_state(app.clone(), offline::say_whose))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(app);
    Router::new().route("/assets/{file}", get(assets::file)).merge(pages)
}

/// Own scripts and styles only, no frame, nothing kept on a shared computer. The address of a page says nothing to other sites, and to
/// ours where a form came from.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let rules = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
        manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, rules),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
