//! The creditor's own colours and logo, as its pages load them. Named by what they hold, so that a browser keeps them for good.

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::frame::fault;
use super::visit::Visit;
use crate::usecases::appearance::{self, Colour};

/// Kept for good; a logo is a picture and nothing else, wherever it is opened.
fn kept(media_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Where the creditor's colour is asked for: a path of its portal.
pub(super) fn colours_path(visit: &Visit) -> Option<String> {
    let colour = appearance::colour(&visit.creditor)?.to_string();
    Some(format!("{}/colori/{}.css", visit.base(), colour.trim_start_matches('#')))
}

/// Where its logo is.
pub(super) fn logo_path(visit: &Visit) -> Option<String> {
    let mark = visit.creditor.logo_mark.as_ref()?;
    Some(format!("{}/logo/{mark}", visit.base()))
}

/// The colour of the head, links and buttons, and two darker ones for the menu.
pub(super) async fn colours(visit: Visit, Path((_, file)): Path<(String, String)>) -> Response {
    let asked = file.strip_suffix(".css").and_then(|digits| Colour::parse(&format!("#{digits}")).ok());
    let own = appearance::colour(&visit.creditor);
    let Some(colour) = asked.filter(|asked| Some(*asked) == own) else { return StatusCode::NOT_FOUND.into_response() };
    let (nav, here) = (colour.dimmed(80), colour.dimmed(65));
    kept("text/css", format!(":root{{--portal-blue:{colour};--portal-nav:{nav};--portal-here:{here}}}"))
}

pub(super) async fn logo(visit: Visit, Path((_, mark)): Path<(String, String)>) -> Response {
    // Asked of the database only where the directory knows it.
    if visit.creditor.logo_mark.as_deref() != Some(mark.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match appearance::logo(&visit.app, &visit.creditor, &mark).await {
        Ok(Some((media_type, bytes))) => kept(media_type, bytes),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => fault(&visit, &error),
    }
}
