//! The privacy notice, which a parent accepts once per version before they go on. Whatever they came for waits, a form too.

use askama::Template;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::access::own_path;
use super::forms::{Fields, Sent, TOKEN, draft, open_draft};
use super::frame::{Frame, fault, go, show, sign_in_again, sign_in_first, stopped};
use super::visit::Visit;
use super::waiting::confirm;
use crate::usecases::Stop;
use crate::usecases::privacy::{Notice, Reading, accept, due};

/// Below a portal's own path.
pub(super) const PATH: &str = "/privacy";

/// What goes on before it is accepted, beside what keeps an account safe: papers that are theirs already, and how a payment that has begun stands.
const THEIRS: [&str; 3] = ["/ricevuta/", "/certificazione", "/estratto/"];

#[derive(Template)]
#[template(path = "portal/privacy.html")]
struct Privacy {
    f: Frame,
    version: String,
    since: String,
    link: Option<String>,
    paragraphs: Vec<String>,
    then: String,
    draft: String,
    problem: Option<String>,
}

fn page_of(
    visit: &Visit,
    status: StatusCode,
    notice: Notice,
    (then, draft): (String, String),
    problem: bool,
) -> Response {
    let w = visit.words;
    let (link, paragraphs) = match notice.reading {
        Reading::At(link) => (Some(link), Vec::new()),
        Reading::Text(text) => (None, text.split("\n\n").map(|part| part.trim().to_owned()).collect()),
    };
    let problem = problem.then(|| {
        w.of(["Per continuare serve la spunta.", "To go on, tick the box.", "Um fortzufahren, setzen Sie das Häkchen."])
            .to_owned()
    });
    let f = visit.frame(w.of(["Informativa sulla privacy", "Privacy notice", "Datenschutzhinweise"]), "-");
    let since = w.day_and_hour(notice.at);
    show(status, &Privacy { f, version: notice.version, since, link, paragraphs, then, draft, problem })
}

/// Whether a path of the portal is open to whoever has still to accept.
fn is_open(visit: &Visit) -> bool {
    let below = visit.below();
    let paper = THEIRS.iter().any(|start| below.starts_with(start));
    let notice = below.starts_with("/avviso/") && below.ends_with("/pdf");
    // Nobody has to accept anything first to shut a stranger out.
    let safety = ["/recuperi", "/dispositivi", "/password", "/domanda-segreta", "/esci"].contains(&below);
    paper || notice || safety || (below.starts_with("/esito/") && below.ends_with("/vivo"))
}

/// The page to be shown in place of what was asked for, where the notice has still to be accepted.
pub(super) async fn before(visit: &Visit, form: Option<&Fields>) -> Option<Response> {
    let who = visit.pass()?.identity;
    if is_open(visit) {
        return None;
    }
    match due(&visit.app, who).await {
        // A session that does not go on says so by itself.
        Ok(None) | Err(Stop::Refused(_)) => None,
        Err(Stop::Fault(error)) => Some(fault(visit, &error)),
        Ok(Some(notice)) => match form {
            Some(fields) => {
                let waiting = (visit.base(), draft(visit, fields));
                Some(page_of(visit, StatusCode::OK, notice, waiting, false))
            }
            None => {
                let query = form_urlencoded::Serializer::new(String::new()).append_pair("poi", &visit.asked).finish();
                let mut response = go(&format!("{}{PATH}?{query}", visit.base()));
                if visit.scripted {
                    // A script that asked for a part of a page would show nothing: the whole page goes there.
                    if let Some(place) = response.headers_mut().remove(header::LOCATION) {
                        response.headers_mut().insert("hx-redirect", place);
                    }
                    *response.status_mut() = StatusCode::OK;
                }
                Some(response)
            }
        },
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    poi: String,
}

pub(super) async fn page(visit: Visit, Query(asked): Query<Asked>) -> Response {
    let Some(pass) = visit.pass() else { return sign_in_first(&visit) };
    let then = own_path(&visit, &asked.poi);
    match due(&visit.app, pass.identity).await {
        Ok(Some(notice)) => page_of(&visit, StatusCode::OK, notice, (then, String::new()), false),
        Ok(None) => go(&then),
        Err(stop) => stopped(&visit, stop),
    }
}

pub(super) async fn answer(Sent { visit, fields }: Sent) -> Response {
    let (then, draft) = (own_path(&visit, fields.get("poi")), fields.get("bozza").to_owned());
    let waiting = open_draft(&visit, &draft);
    // The form that waits goes on waiting where the visit has ended meanwhile.
    let sent = match &waiting {
        Some((path, waiting)) => visit.clone().at(path).keeping(waiting),
        None => visit.clone(),
    };
    let Some(pass) = visit.pass() else { return sign_in_again(&sent) };
    let ticked = fields.get("accetto") == "si" && fields.get(TOKEN) == visit.form_token();
    let left = match ticked {
        true => accept(&visit.app, pass.identity, fields.get("versione").to_owned()).await,
        false => due(&visit.app, pass.identity).await,
    };
    match left {
        Ok(Some(notice)) => page_of(&visit, StatusCode::UNPROCESSABLE_ENTITY, notice, (then, draft), !ticked),
        Ok(None) => match waiting {
            Some((path, fields)) => confirm(&visit, &path, &fields).await,
            None => go(&then),
        },
        Err(stop) => stopped(&sent, stop),
    }
}
