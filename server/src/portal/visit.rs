//! Who is visiting. A cookie holds a signed pass ([`Pass`]): short-lived, unless the parent says that the device is theirs. Whether the
//! session behind it goes on is asked by the first statement of each use case, so that the office can end it at once.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use borsellino_domain::id::GuardianId;
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_domain::words::Words;
use borsellino_store::rows::CreditorRow;
use data_encoding::BASE64URL_NOPAD;
use std::collections::HashMap;
use uuid::Uuid;

use super::forms::Fields;
use super::forms::TOKEN;
use super::frame::{self, Frame};
use super::{offline, privacy, question};
use crate::auth::token::{IDLE_MILLIS, Identity, Pass, REFRESH_MILLIS};
use crate::usecases::App;
use crate::usecases::open_notices::OUTCOME_MILLIS;
use crate::usecases::sessions::go_on;

/// The cookie of the pass.
pub(super) const PASS: &str = "borsellino";

/// The cookie of the language, which a parent chose.
const LANGUAGE: &str = "lingua";

/// The cookie of what is being paid: where the browser goes when it comes back from pagoPA.
const PAYING: &str = "borsellino-esito";

/// The cookie of the notice that is being paid without signing in: a ticket to see how it stands.
const HELD: &str = "borsellino-avviso";

/// Where it comes back to.
const RETURN_PATH: &str = "/pagamento";

/// A visit to a creditor's portal, signed in or not.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) app: App,
    pub(super) creditor: CreditorRow,
    pub(super) language: Language,
    pub(super) words: Words,
    pub(super) now: Millis,
    /// The path and query that was asked for.
    pub(super) asked: String,
    /// A script of ours asks, for a part of a page.
    pub(super) scripted: bool,
    pass: Option<Pass>,
    /// Whose pass has run out.
    was: Option<Identity>,
    /// The form that is being sent.
    posted: Option<Fields>,
}

/// A visit of somebody who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) visit: Visit,
    pub(super) who: Identity,
}

impl Visit {
    /// `/comune/99900010010`
    pub(super) fn base(&self) -> String {
        base(&self.creditor)
    }

    /// Who is visiting, as far as the cookie says.
    pub(super) fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    /// The device is theirs: they said so when they signed in.
    pub(super) fn stays(&self) -> bool {
        self.pass.is_some_and(|pass| pass.stays)
    }

    /// Who is visiting, or was until the pass ran out.
    pub(super) fn whose(&self) -> Option<Identity> {
        self.pass.map(|pass| pass.identity).or(self.was)
    }

    /// The same visit, of whoever just signed in.
    pub(super) fn of(self, pass: Pass) -> Self {
        Self { pass: Some(pass), ..self }
    }

    /// The same visit, of whoever is not signed in any more.
    pub(super) fn outside(self) -> Self {
        Self { pass: None, ..self }
    }

    /// The same visit, at another address of this portal.
    pub(super) fn at(self, asked: &str) -> Self {
        Self { asked: asked.to_owned(), ..self }
    }

    /// The same visit, which sends a form.
    pub(super) fn keeping(self, fields: &Fields) -> Self {
        Self { posted: Some(fields.clone()), ..self }
    }

    /// The form that is being sent by somebody who is, or was, signed in.
    pub(super) fn posted(&self) -> Option<&Fields> {
        self.posted.as_ref()
    }

    /// The path that was asked for, below the portal's own.
    pub(super) fn below(&self) -> &str {
        let path = self.asked.split('?').next().unwrap_or_default();
        path.strip_prefix(&self.base()).unwrap_or_default()
    }

    /// Whether a form that is sent here is kept: secrets are typed again.
    pub(super) fn keeps(&self) -> bool {
        !["/password", question::PATH].contains(&self.below())
    }

    /// What every page of this visit has around it.
    pub(super) fn frame(&self, title: &str, active: &'static str) -> Frame {
        Frame::new(self, title, active)
    }

    /// What a form of this visit has to carry: nobody else's page knows it. It says whose form it is, also when the visit is long over.
    pub(super) fn form_token(&self) -> String {
        self.pass.as_ref().map_or_else(String::new, |pass| {
            let Identity { guardian, session, .. } = pass.identity;
            let whose = [*guardian.uuid().as_bytes(), *session.uuid().as_bytes()].concat();
            BASE64URL_NOPAD.encode(&[whose.as_slice(), &self.app.keys.stamp(&self.form_of(&whose))].concat())
        })
    }

    fn form_of(&self, whose: &[u8]) -> Vec<u8> {
        [b"borsellino.form.v2".as_slice(), self.creditor.fiscal_code.as_str().as_bytes(), whose].concat()
    }

    /// Whose form carries this token; `None` where it is none of this portal's.
    fn owner(&self, token: &str) -> Option<GuardianId> {
        let token = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (whose, stamp) = token.split_at_checked(32)?;
        let theirs = self.app.keys.stamped(&self.form_of(whose), stamp);
        theirs.then(|| Uuid::from_slice(whose.get(..16)?).ok()).flatten().map(GuardianId::from)
    }

    /// Whose the form is that is being sent: as it says itself, or else as the visit does.
    pub(super) fn sender(&self) -> Option<GuardianId> {
        let says = self.posted.as_ref().and_then(|fields| self.owner(fields.get(TOKEN)));
        says.or_else(|| self.whose().map(|who| who.guardian))
    }
}

/// Where a creditor's portal lies.
pub(super) fn base(creditor: &CreditorRow) -> String {
    format!("/comune/{}", creditor.fiscal_code)
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let chosen = cookie(&parts.headers, LANGUAGE).map(Language::from_tag);
        let language = chosen.unwrap_or_else(|| accepted(&parts.headers));
        let Ok(Path(path)) = Path::<HashMap<String, String>>::from_request_parts(parts, app).await else {
            return Err(frame::nowhere(language));
        };
        let listing = app.directory.listing();
        let code = path.get("creditor").map(String::as_str).unwrap_or_default();
        let creditor = listing.creditor(code).cloned().ok_or_else(|| frame::nowhere(language))?;
        let now = app.now();
        let pass = cookie(&parts.headers, PASS).and_then(|token| Pass::read(&app.keys, token, now).ok());
        let pass = pass.filter(|pass| pass.identity.creditor == creditor.fiscal_code);
        let was = cookie(&parts.headers, PASS).and_then(|token| Pass::whose(&app.keys, token));
        let scripted = parts.headers.contains_key("hx-request");
        let asked = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let words = Words { language, server_now: Some(now) };
        Ok(Self { app: app.clone(), creditor, language, words, now, asked, scripted, pass, was, posted: None })
    }
}

impl FromRequestParts<App> for Parent {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, app).await?;
        let Some(who) = visit.pass().map(|pass| pass.identity) else { return Err(frame::sign_in_first(&visit)) };
        match privacy::before(&visit, None).await {
            Some(first) => Err(first),
            None => Ok(Self { visit, who }),
        }
    }
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(its, _)| *its == name).map(|(_, value)| value)
}

/// The first language that a browser asks for and we speak.
pub(super) fn accepted(headers: &HeaderMap) -> Language {
    let tags = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Language::from_tag(tags.split([',', ';']).next().unwrap_or_default().trim())
}

/// A cookie for scripts to keep their hands off; over TLS wherever the portal is.
pub(super) fn set(app: &App, name: &str, value: &str, path: &str, seconds: Option<i64>) -> HeaderValue {
    let secure = if app.public_url.starts_with("https://") { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let line = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("borsellino=; Max-Age=0"))
}

/// Lets a browser in.
pub(super) fn admit(visit: &Visit, pass: &Pass, response: &mut Response) {
    let age = pass.stays.then_some(REFRESH_MILLIS / 1_000);
    let line = set(&visit.app, PASS, &pass.encode(&visit.app.keys), &visit.base(), age);
    response.headers_mut().append(header::SET_COOKIE, line);
    // Whatever was kept here was of another visit, unless this one says otherwise.
    if visit.whose().is_none_or(|who| who.session != pass.identity.session) {
        offline::forget(visit, response);
    }
}

/// Shows a browser out: its pass goes, and what it has kept of these pages.
pub(super) fn dismiss(visit: &Visit, response: &mut Response) {
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, set(&visit.app, PASS, "", &visit.base(), Some(0)));
    headers.append(header::SET_COOKIE, set(&visit.app, PAYING, "", RETURN_PATH, Some(0)));
    headers.insert("clear-site-data", HeaderValue::from_static("\"cache\", \"storage\""));
    offline::forget(visit, response);
}

/// Keeps the language that a parent chose.
pub(super) fn speak(visit: &Visit, language: Language, response: &mut Response) {
    let line = set(&visit.app, LANGUAGE, language.tag(), "/", Some(REFRESH_MILLIS / 1_000));
    response.headers_mut().append(header::SET_COOKIE, line);
}

/// Remembers where to go when the browser comes back from pagoPA.
pub(super) fn paying(visit: &Visit, outcome: &str, response: &mut Response) {
    let line = set(&visit.app, PAYING, outcome, RETURN_PATH, Some(60 * 60));
    response.headers_mut().append(header::SET_COOKIE, line);
}

/// Remembers which notice somebody who has not signed in went to pay, for the page that says how it stands.
pub(super) fn holding(visit: &Visit, ticket: &str, outcome: &str, response: &mut Response) {
    let line = set(&visit.app, HELD, ticket, outcome, Some(OUTCOME_MILLIS / 1_000));
    response.headers_mut().append(header::SET_COOKIE, line);
}

/// The ticket of the notice that was being paid.
pub(super) fn held(headers: &HeaderMap) -> &str {
    cookie(headers, HELD).unwrap_or_default()
}

/// Where a browser that comes back from pagoPA was paying: a path of the portal.
pub(crate) fn returning(headers: &HeaderMap) -> Option<String> {
    let path = cookie(headers, PAYING)?;
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/-.".contains(c));
    let harmless = path.starts_with("/comune/") && !path.contains("//") && !path.contains("..");
    (plain && harmless).then(|| path.to_owned())
}

/// Renews the pass of a visit that goes on, so that it does not end under somebody's hands.
pub(super) async fn renew(parent: &Parent, response: &mut Response) {
    let Some(pass) = parent.visit.pass() else { return };
    let old = if pass.stays { REFRESH_MILLIS / 60 } else { IDLE_MILLIS / 6 };
    let now = parent.visit.now;
    if now < pass.renewed.plus(old) {
        return;
    }
    // Where it does not go on the page that was just written says so by itself the next time.
    if go_on(&parent.visit.app, parent.who).await.is_ok() {
        admit(&parent.visit, &Pass { renewed: now, ..*pass }, response);
    }
}
