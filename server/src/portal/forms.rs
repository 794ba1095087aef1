//! What a browser posts: fields by their names. A form comes from a page of ours, and from the visit that it was made for; one whose
//! visit has ended meanwhile is kept, so that nothing typed is lost.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use borsellino_domain::time::Millis;
use data_encoding::BASE64URL_NOPAD;

use super::frame;
use super::privacy;
use super::visit::{Parent, Visit};
use super::waiting::confirm;
use crate::auth::token::LONGEST_VISIT_MILLIS;
use crate::clock::random;
use crate::usecases::App;

/// What a form kept over a sign-in is sealed for.
const DRAFT: &str = "portal draft";

/// The field of a visit's token.
pub(super) const TOKEN: &str = "modulo";

/// A form's fields, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// As it stands in a body, or under a seal of ours.
    pub(super) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// What a form begins with.
    pub(super) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// What was typed into a field, without blanks around it; empty where it was not.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same as it was typed: a password.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The same without a field.
    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(its, _)| its != name).cloned().collect())
    }

    /// Every value of a field that may stand there several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// Everything but the token and passwords, which are typed again.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter().filter(|(name, _)| name != TOKEN && !name.starts_with("password"))
    }
}

/// What is to be put right in a form: the field, and the sentence that stands at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrong(Vec<(&'static str, String)>);

impl Wrong {
    /// One field.
    pub(super) fn at(field: &'static str, sentence: impl Into<String>) -> Self {
        Self(vec![(field, sentence.into())])
    }

    /// One more.
    pub(super) fn note(&mut self, field: &'static str, sentence: impl Into<String>) {
        self.0.push((field, sentence.into()));
    }

    /// Nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands at a field; empty where it is right.
    pub(super) fn of(&self, field: &str) -> &str {
        self.0.iter().find(|(its, _)| *its == field).map(|(_, sentence)| sentence.as_str()).unwrap_or_default()
    }

    /// What stands above the form: each sentence once.
    pub(super) fn summary(&self) -> String {
        let mut sentences: Vec<&str> = self.0.iter().map(|(_, sentence)| sentence.as_str()).collect();
        sentences.dedup();
        sentences.join(" ")
    }
}

/// A form of somebody who is signed in.
pub(super) struct Posted {
    pub(super) parent: Parent,
    pub(super) fields: Fields,
}

/// A form of anybody.
pub(super) struct Sent {
    pub(super) visit: Visit,
    pub(super) fields: Fields,
}

/// Whether a form was sent by a page of ours: browsers say where a post comes from.
fn is_ours(headers: &HeaderMap, app: &App) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text("origin") else { return false };
    let host = origin.split_once("://").map(|(_, host)| host);
    origin == &*app.public_url
        || (host.is_some() && host == headers.get(header::HOST).and_then(|host| host.to_str().ok()))
}

impl FromRequest<App> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        if !is_ours(&parts.headers, app) {
            return Err(frame::foreign_form(&visit));
        }
        let body = Bytes::from_request(Request::from_parts(parts, body), app).await;
        let Ok(body) = body else { return Err(frame::too_long(&visit)) };
        Ok(Self { visit, fields: Fields::read(&body) })
    }
}

impl FromRequest<App> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let Sent { visit, fields } = Sent::from_request(request, app).await?;
        let visit = visit.keeping(&fields);
        let Some(who) = visit.pass().map(|pass| pass.identity) else { return Err(frame::sign_in_again(&visit)) };
        if fields.get(TOKEN) != visit.form_token() {
            // Another person's on this computer is nobody's business. One of an earlier visit of theirs is shown, and not done.
            return Err(match visit.sender() == Some(who.guardian) {
                true => confirm(&visit, &visit.asked, &fields).await,
                false => frame::anothers_form(&visit),
            });
        }
        if let Some(first) = privacy::before(&visit, Some(&fields)).await {
            return Err(first);
        }
        Ok(Self { parent: Parent { visit, who }, fields })
    }
}

/// A form that waits for a sign-in: only this server reads it.
pub(super) fn draft(visit: &Visit, fields: &Fields) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    let Some(whose) = visit.sender().map(|guardian| guardian.to_string()) else { return String::new() };
    text.append_pair("", &visit.asked).append_pair("", &whose).append_pair("", &visit.now.get().to_string());
    for (name, value) in fields.pairs() {
        text.append_pair(name, value);
    }
    let Ok(nonce) = random() else { return String::new() };
    let sealed = visit.app.keys.seal(DRAFT, text.finish().as_bytes(), nonce);
    sealed.map(|sealed| BASE64URL_NOPAD.encode(&sealed)).unwrap_or_default()
}

/// Where a form that waited goes, and what it says.
pub(super) fn open_draft(visit: &Visit, sealed: &str) -> Option<(String, Fields)> {
    let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
    let text = visit.app.keys.open(DRAFT, &sealed).ok()?;
    let mut fields = Fields::read(&text);
    let mut about = fields.0.extract_if(.., |(name, _)| name.is_empty()).map(|(_, value)| value);
    let (path, whose, at) = (about.next()?, about.next()?, about.next()?);
    drop(about);
    // Of nobody else, and not of last week.
    let theirs = visit.whose().is_some_and(|who| who.guardian.to_string() == whose);
    let kept = Millis::new(at.parse().ok()?).plus(LONGEST_VISIT_MILLIS);
    if !theirs || visit.now >= kept {
        return None;
    }
    path.starts_with(&visit.base()).then_some((path, fields))
}
