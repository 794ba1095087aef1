//! Where somebody says that they do not want a kind of letters, or want it again (`/lettere?t=...`). To look changes nothing: mail
//! filters open every link. A mail reader's own button posts `List-Unsubscribe=One-Click` (RFC 8058), the page's posts a choice.

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{language, missing};
use crate::usecases::post::choice::{Choice, choose};
use crate::usecases::{App, Stop};

/// The longest post, in bytes: one field, in whatever form.
const MAX_BODY: usize = 4_096;

const RULES: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn router(app: App) -> Router {
    let routes = Router::new().route("/lettere", get(look).post(post));
    routes.layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    t: String,
}

#[derive(Template)]
#[template(path = "choice.html")]
struct Page {
    language: &'static str,
    title: &'static str,
    town: String,
    line: &'static str,
    choice: &'static str,
    button: &'static str,
}

async fn look(State(app): State<App>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    answer(choose(&app, &asked.t, None).await, headers).await
}

async fn post(State(app): State<App>, Query(asked): Query<Asked>, headers: HeaderMap, body: String) -> Response {
    let Some(off) = wish(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    answer(choose(&app, &asked.t, Some(off)).await, headers).await
}

/// What a post wants: letters off or on. A mail reader may send its field as a form of either type.
fn wish(body: &str) -> Option<bool> {
    let one_click = body.contains("List-Unsubscribe=One-Click")
        || (body.contains("name=\"List-Unsubscribe\"") && body.contains("One-Click"));
    let chosen = body.split('&').find_map(|field| field.strip_prefix("scelta="));
    match chosen {
        Some("on") => Some(false),
        Some("off") => Some(true),
        _ => one_click.then_some(true),
    }
}

async fn answer<R: std::fmt::Debug>(choice: Result<Choice, Stop<R>>, headers: HeaderMap) -> Response {
    let Choice { town, off } = match choice {
        Ok(choice) => choice,
        Err(Stop::Refused(_)) => return missing(headers).await,
        Err(Stop::Fault(error)) => {
            tracing::error!(%error, "a choice of letters could not be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let language = language(&headers);
    let say = |words: [&'static str; 3]| language.choose(words);
    let page = Page {
        language: language.tag(),
        title: say(["E-mail sul saldo basso", "E-mails about low balances", "E-Mails über wenig Guthaben"]),
        town,
        line: match off {
            true => say([
                "Non ricevi più e-mail quando un saldo sta per finire. Le altre, sui pagamenti e sul tuo accesso, restano.",
                "You get no more e-mails when a balance runs low. The others, about payments and your account, stay.",
                "Sie erhalten keine E-Mails mehr, wenn ein Guthaben zur Neige geht. Die anderen, über Zahlungen und Ihren Zugang, bleiben.",
            ]),
            false => say([
                "Ricevi un'e-mail quando un saldo sta per finire.",
                "You get an e-mail when a balance runs low.",
                "Sie erhalten eine E-Mail, wenn ein Guthaben zur Neige geht.",
            ]),
        },
        choice: if off { "on" } else { "off" },
        button: match off {
            true => say(["Voglio riceverle di nuovo", "I want them again", "Ich möchte sie wieder"]),
            false => say(["Non voglio più riceverle", "I do not want them any more", "Ich möchte keine mehr"]),
        },
    };
    match page.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, RULES)], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_in_either_form() {
        assert_eq!(wish("List-Unsubscribe=One-Click"), Some(true));
        let parts = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        assert_eq!(wish(parts), Some(true));
        assert_eq!(
            (wish("scelta=off"), wish("scelta=on"), wish(""), wish("x=y")),
            (Some(true), Some(false), None, None)
        );
    }
}
