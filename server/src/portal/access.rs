//! In and out: signing in, signing out, and the language of the pages.

use askama::Template;
use axum::extract::{ConnectInfo, FromRequest, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use borsellino_domain::language::Language;
use borsellino_proto::reason::Reason;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

use super::forms::{Sent, open_draft};
use super::frame::{Frame, fault, go, refused_for, show};
use super::identities::offered;
use super::visit::{Visit, admit, dismiss, speak};
use super::waiting::confirm;
use crate::auth::token::Pass;
use crate::sentences;
use crate::usecases::sessions::{self, Credentials, SignInRefusal, SignedIn, identify};
use crate::usecases::{App, Stop};
use crate::web::address;

/// Where to go on after signing in, and what to say above the form.
#[derive(Clone, Debug, Default)]
pub(super) struct Going {
    /// A path of this portal.
    pub(super) then: String,
    /// A form that waits.
    pub(super) draft: String,
    /// As it was typed.
    pub(super) username: String,
    /// Why it did not work.
    pub(super) problem: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/access.html")]
struct Access {
    f: Frame,
    going: Going,
    /// Identity providers: id and label.
    others: Vec<(String, String)>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    poi: String,
}

pub(super) async fn page(visit: Visit, Query(asked): Query<Asked>) -> Response {
    let then = own_path(&visit, &asked.poi);
    if visit.pass().is_some() {
        return go(&then);
    }
    form(&visit, StatusCode::OK, Going { then, ..Going::default() })
}

/// The form.
pub(super) fn form(visit: &Visit, status: StatusCode, going: Going) -> Response {
    let title = visit.words.of(["Accedi", "Sign in", "Anmelden"]);
    show(status, &Access { f: visit.frame(title, "-"), going, others: offered(visit) })
}

/// A path of this portal; else its home: nobody is led elsewhere by an address that was sent to them.
pub(super) fn own_path(visit: &Visit, path: &str) -> String {
    let base = visit.base();
    let own = path == base || path.strip_prefix(&base).is_some_and(|rest| rest.starts_with(['/', '?']));
    let plain = path.len() <= 512 && !path.contains(['\\', '\r', '\n']) && !path.contains("//") && !path.contains("..");
    if own && plain { path.to_owned() } else { base }
}

/// What the browser calls itself, as far as a parent would recognise it in a list.
pub(super) fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (one, other) => one.or(other).unwrap_or("Browser").to_owned(),
    }
}

/// A form of somebody who is not signed in, with what the use cases want to know of where it comes from.
pub(super) struct Knock {
    pub(super) sent: Sent,
    pub(super) from: Option<IpAddr>,
    pub(super) device_name: String,
}

impl FromRequest<App> for Knock {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let (from, device_name) = (address(request.headers(), peer, app.behind_proxy), device(request.headers()));
        Ok(Self { sent: Sent::from_request(request, app).await?, from, device_name })
    }
}

/// The pass of whoever just signed in; `stays` where they said that the device is theirs.
pub(super) fn pass_of(visit: &Visit, signed_in: &SignedIn, stays: bool) -> Option<Pass> {
    let identity = identify(&visit.app, &signed_in.tokens.access).ok()?;
    Some(Pass { identity, stays, began: visit.now, renewed: visit.now })
}

pub(super) async fn enter(
    State(app): State<App>,
    Knock { sent: Sent { visit, fields }, from, device_name }: Knock,
) -> Response {
    let then = own_path(&visit, fields.get("poi"));
    let (username, draft) = (fields.get("utente").to_owned(), fields.get("bozza").to_owned());
    let going = |problem: String| Going {
        then: then.clone(),
        draft: draft.clone(),
        username: username.clone(),
        problem: Some(problem),
    };
    let credentials = Credentials {
        creditor: visit.creditor.fiscal_code.to_string(),
        username: username.clone(),
        password: fields.raw("password").to_owned(),
        device_name,
        address: from,
        language: visit.language,
    };
    let signed_in = match sessions::sign_in(&app, credentials).await {
        Ok(signed_in) => signed_in,
        Err(Stop::Refused(SignInRefusal::WrongCredentials)) => {
            let words = sentences::of(Reason::WrongCredentials, visit.language).to_owned();
            return form(&visit, StatusCode::UNPROCESSABLE_ENTITY, going(words));
        }
        Err(Stop::Refused(SignInRefusal::TryLater(millis))) => {
            let words = sentences::try_later(millis, visit.language).sentence;
            return form(&visit, StatusCode::TOO_MANY_REQUESTS, going(words));
        }
        Err(Stop::Fault(error)) => return fault(&visit, &error),
    };
    let Some(pass) = pass_of(&visit, &signed_in, fields.get("resta") == "si") else {
        return refused_for(&visit, Reason::Internal);
    };
    let waiting = open_draft(&visit.clone().of(pass), &draft);
    let mut response = match waiting {
        // The form of the new visit: with its token, and shown before it is sent.
        Some((path, fields)) => confirm(&visit.clone().of(pass), &path, &fields).await,
        None => go(&then),
    };
    admit(&visit, &pass, &mut response);
    response
}

/// Out, whichever page of ours the button stood on: it may be older than the visit.
pub(super) async fn leave(Sent { visit, .. }: Sent) -> Response {
    if let Some(pass) = visit.pass()
        && let Err(error) = sessions::sign_out(&visit.app, pass.identity).await
    {
        return fault(&visit, &error);
    }
    let mut response = go(&format!("{}/accesso", visit.base()));
    dismiss(&visit, &mut response);
    response
}

pub(super) async fn language(Sent { visit, fields }: Sent) -> Response {
    let mut response = go(&own_path(&visit, fields.get("poi")));
    speak(&visit, Language::from_tag(fields.get("lingua")), &mut response);
    response
}
