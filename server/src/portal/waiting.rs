//! A form that waited for a sign-in, shown before it is sent: which one it is, and in the parent's words what it says. Ids are read as the
//! names that the parent knows; what is none of theirs is not shown, and passwords never are.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::words::Words;

use super::forms::Fields;
use super::frame::{Frame, go, show, sign_in_first, stopped};
use super::prose::{Block, Span, blocks};
use super::visit::Visit;
use super::{messages, notices, privacy, top_up};
use crate::auth::token::Identity;
use crate::usecases::home::home;
use crate::usecases::messages::choices;
use crate::usecases::sessions::SessionRefusal;
use crate::usecases::{Stop, devices};

#[derive(Template)]
#[template(path = "portal/confirm.html")]
struct Confirm {
    f: Frame,
    said: Said,
    to: String,
    fields: Vec<(String, String)>,
}

/// A name and a value.
pub(super) type Fact = (String, String);

/// What a form is about to do.
#[derive(Default)]
struct Said {
    what: String,
    facts: Vec<Fact>,
    /// In the parent's own words.
    text: Vec<Block>,
}

/// The page that shows a form that waited: sent when the parent says so. `to` is the address that it was sent to.
pub(super) async fn confirm(visit: &Visit, to: &str, fields: &Fields) -> Response {
    let visit = &visit.clone().at(to).keeping(fields);
    let Some(pass) = visit.pass() else { return sign_in_first(visit) };
    if !visit.keeps() {
        return go(to);
    }
    if let Some(first) = privacy::before(visit, Some(fields)).await {
        return first;
    }
    let said = match say(visit, pass.identity, fields).await {
        Ok(said) => said,
        Err(stop) => return stopped(visit, stop),
    };
    let title = visit.words.of(["Riprendi da dove eri", "Go on where you were", "Dort weitermachen, wo Sie waren"]);
    let fields = fields.pairs().cloned().collect();
    show(StatusCode::OK, &Confirm { f: visit.frame(title, "-"), said, to: to.to_owned(), fields })
}

async fn say(visit: &Visit, who: Identity, fields: &Fields) -> Result<Said, Stop<SessionRefusal>> {
    let (app, w) = (&visit.app, &visit.words);
    let told =
        |what: [&'static str; 3], facts: Vec<Fact>| Said { what: w.of(what).to_owned(), facts, text: Vec::new() };
    let path: Vec<&str> = visit.below().split('/').skip(1).collect();
    Ok(match path.as_slice() {
        ["ricarica"] => {
            let mut facts = top_up::told(&home(app, who).await?, fields, w);
            facts.extend(way(fields, w));
            told(["Ricarica", "Top-up", "Aufladung"], facts)
        }
        ["paga"] => {
            let view = home(app, who).await?;
            let numbers = fields.all("avviso").filter_map(|number| number.parse().ok());
            let mut facts: Vec<Fact> = numbers.filter_map(|number| notices::told(&view, &number, w)).collect();
            facts.extend(way(fields, w));
            told(["Pagamento", "Payment", "Zahlung"], facts)
        }
        ["avviso", number, form @ ("email" | "link")] => {
            let view = home(app, who).await?;
            let number = number.parse::<NoticeNumber>().ok();
            let mut facts: Vec<Fact> = number.and_then(|number| notices::told(&view, &number, w)).into_iter().collect();
            match *form {
                "email" => {
                    facts.push((w.of(["A", "To", "An"]).to_owned(), notices::address(fields, w)));
                    told(["Avviso per e-mail", "Notice by e-mail", "Mitteilung per E-Mail"], facts)
                }
                _ if fields.get("revoca").is_empty() => {
                    told(["Nuovo link per pagare", "New link to pay", "Neuer Link zum Bezahlen"], facts)
                }
                _ => told(["Revoca di un link per pagare", "A link to pay taken back", "Widerruf eines Links"], facts),
            }
        }
        ["messaggi", "nuovo"] => {
            let facts = messages::told(&choices(app, who).await?, fields, w);
            let what = ["Messaggio al Comune", "Message to the municipality", "Mitteilung an die Gemeinde"];
            Said { text: blocks(fields.get("testo")), ..told(what, facts) }
        }
        ["cerca"] => {
            let sought = (w.of(["Parole", "Words", "Wörter"]).to_owned(), fields.get("cerca").to_owned());
            told(["Ricerca", "Search", "Suche"], vec![sought])
        }
        ["dispositivi"] => {
            let all = devices::list(app, who).await?;
            let device = all.into_iter().find(|device| device.session.to_string() == fields.get("dispositivo"));
            let name = device.map(|device| (w.of(["Dispositivo", "Device", "Gerät"]).to_owned(), device.name));
            told(["Scollegare un dispositivo", "Signing a device out", "Gerät abmelden"], name.into_iter().collect())
        }
        ["recuperi"] => {
            let answer = match fields.get("risposta") {
                "rifiuta" => w.of(["rifiuta", "refuse", "ablehnen"]),
                _ => w.of(["conferma", "confirm", "bestätigen"]),
            };
            let answer = (w.of(["Risposta", "Answer", "Antwort"]).to_owned(), answer.to_owned());
            told(
                ["Richiesta di una password nuova", "Request for a new password", "Anfrage nach einem neuen Passwort"],
                vec![answer],
            )
        }
        _ => Said::default(),
    })
}

/// How it is to be paid.
fn way(fields: &Fields, w: &Words) -> Option<Fact> {
    let how = match fields.get("come") {
        "online" => w.of(["online, su pagoPA", "online, at pagoPA", "online, bei pagoPA"]),
        "avviso" => w.of(["con l'avviso", "with the notice", "mit der Mitteilung"]),
        _ => return None,
    };
    Some((w.of(["Come", "How", "Wie"]).to_owned(), how.to_owned()))
}
