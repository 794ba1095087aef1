//! `Pagamento Spontaneo`: money for a child's balance, by codice fiscale, from whoever wants to give it; for the services that allow it.

use askama::Template;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use borsellino_domain::money::Amount;
use std::net::SocketAddr;

use super::forms::{Fields, Sent, Wrong};
use super::frame::{Frame, fault, show};
use super::open::summary;
use super::visit::Visit;
use crate::sentences;
use crate::usecases::spontaneous::{Offer, SpontaneousRefusal, begin, offers};
use crate::usecases::{App, Stop};
use crate::web::address;

#[derive(Template)]
#[template(path = "portal/spontaneous.html")]
struct Question {
    f: Frame,
    offers: Vec<Choice>,
    amount: String,
    wrong: Wrong,
    /// What is wrong with all of it.
    problem: Option<String>,
}

struct Choice {
    id: String,
    words: String,
    chosen: bool,
}

async fn ask(
    visit: &Visit,
    status: StatusCode,
    fields: &Fields,
    (wrong, problem): (Wrong, Option<String>),
) -> Response {
    let offers = match offers(&visit.app, &visit.creditor).await {
        Ok(offers) => offers,
        Err(error) => return fault(visit, &error),
    };
    let w = visit.words;
    let choice = |offer: Offer| Choice {
        words: format!("{}, {} - {}", offer.name, w.money(offer.min.cents()), w.money(offer.max.cents())),
        chosen: fields.get("servizio") == offer.id,
        id: offer.id,
    };
    let problem = problem.or_else(|| Some(wrong.summary()).filter(|summary| !summary.is_empty()));
    let page = Question {
        f: visit.frame(w.of(["Pagamento Spontaneo", "Pay without a notice", "Zahlen ohne Mitteilung"]), "-"),
        offers: offers.into_iter().map(choice).collect(),
        amount: fields.get("importo").chars().take(20).collect(),
        wrong,
        problem,
    };
    show(status, &page)
}

pub(super) async fn page(visit: Visit) -> Response {
    ask(&visit, StatusCode::OK, &Fields::default(), (Wrong::default(), None)).await
}

pub(super) async fn start(State(app): State<App>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let from = address(request.headers(), peer, app.behind_proxy);
    let Sent { visit, fields } = match Sent::from_request(request, &app).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let w = visit.words;
    let mut wrong = Wrong::default();
    let amount = Amount::parse(fields.get("importo"));
    if fields.get("servizio").is_empty() {
        wrong.note("servizio", w.of(["Scegli il servizio.", "Choose the service.", "Wählen Sie den Dienst."]));
    }
    let Ok(amount) = amount else {
        let words = [
            "L'importo si scrive così: 20,00.",
            "The amount is written like this: 20.00.",
            "Der Betrag wird so geschrieben: 20,00.",
        ];
        wrong.note("importo", w.of(words));
        return ask(&visit, StatusCode::UNPROCESSABLE_ENTITY, &fields, (wrong, None)).await;
    };
    if !wrong.is_empty() {
        return ask(&visit, StatusCode::UNPROCESSABLE_ENTITY, &fields, (wrong, None)).await;
    }
    let wish = (fields.get("servizio"), fields.get("fiscale"), amount);
    let refusal = match begin(&app, &visit.creditor, wish, from).await {
        Ok((notice, ticket)) => return summary(&visit, StatusCode::OK, notice, ticket, None),
        Err(Stop::Fault(error)) => return fault(&visit, &error),
        Err(Stop::Refused(refusal)) => refusal,
    };
    let said = |field, words: [&'static str; 3]| (Wrong::at(field, w.of(words)), None);
    let (wrong, problem) = match refusal {
        SpontaneousRefusal::UnknownService => {
            said("servizio", ["Scegli il servizio.", "Choose the service.", "Wählen Sie den Dienst."])
        }
        SpontaneousRefusal::Code => said(
            "fiscale",
            [
                "Il codice fiscale ha 16 lettere e cifre: ricontrollalo.",
                "A codice fiscale has 16 letters and digits: check it.",
                "Die Steuernummer hat 16 Buchstaben und Ziffern: Prüfen Sie sie.",
            ],
        ),
        SpontaneousRefusal::UnknownChild => said(
            "fiscale",
            [
                "Per questo servizio non c'è un saldo con questo codice fiscale: ricontrolla tutti e due, o chiama l'ufficio.",
                "There is no balance for this service with this codice fiscale: check both, or call the office.",
                "Für diesen Dienst gibt es kein Guthaben mit dieser Steuernummer: Prüfen Sie beides, oder rufen Sie das Amt an.",
            ],
        ),
        SpontaneousRefusal::Bounds { min, max } => {
            let words =
                w.of(["L'importo deve essere tra", "The amount must be between", "Der Betrag muss liegen zwischen"]);
            let and = w.of(["e", "and", "und"]);
            (Wrong::at("importo", format!("{words} {} {and} {}.", w.money(min.cents()), w.money(max.cents()))), None)
        }
        SpontaneousRefusal::NotNow => said(
            "importo",
            [
                "Adesso non si può versare questo importo: prova con uno più piccolo, o più tardi.",
                "This amount can't be paid in now: try a smaller one, or later.",
                "Dieser Betrag kann jetzt nicht eingezahlt werden: Versuchen Sie einen kleineren, oder später.",
            ],
        ),
        SpontaneousRefusal::TryLater(millis) => {
            let words = sentences::try_later(millis, visit.language).sentence;
            let mut response =
                ask(&visit, StatusCode::TOO_MANY_REQUESTS, &fields, (Wrong::default(), Some(words))).await;
            let seconds = millis.saturating_add(999).div_euclid(1_000);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            return response;
        }
    };
    ask(&visit, StatusCode::UNPROCESSABLE_ENTITY, &fields, (wrong, problem)).await
}
