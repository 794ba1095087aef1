//! `Modifica il tuo profilo`: what is known of a parent, what they change themselves, and what only the office can.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::{Frame, show, stopped};
use super::visit::{Parent, renew};
use crate::usecases::accounts::{ProfileView, profile};
use crate::usecases::questions::settings;

#[derive(Template)]
#[template(path = "portal/profile.html")]
struct Profile {
    f: Frame,
    view: ProfileView,
    /// A secret question can be chosen.
    question: bool,
}

pub(super) async fn page(parent: Parent) -> Response {
    let visit = &parent.visit;
    let view = match profile(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let question = match settings(&visit.app, parent.who).await {
        Ok(settings) => settings.asked && settings.password,
        Err(stop) => return stopped(visit, stop),
    };
    let f = visit.frame(visit.words.of(["Modifica il tuo profilo", "Your details", "Ihre Angaben"]), "-");
    let mut response = show(StatusCode::OK, &Profile { f, view, question });
    renew(&parent, &mut response).await;
    response
}
