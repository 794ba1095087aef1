//! `Servizi senza autenticazione`: a notice paid or printed by whoever holds it, and the receipt that names nobody. What is personal
//! comes in the body of a post, and goes on as a sealed ticket.

use askama::Template;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use borsellino_proto::reason::Reason;
use std::net::{IpAddr, SocketAddr};

use super::archive::{file, no_document};
use super::forms::Sent;
use super::frame::{Frame, fault, go, refused_for, say, show};
use super::outcome::to_pagopa;
use super::visit::{Visit, held, holding};
use crate::sentences;
use crate::usecases::documents::Form;
use crate::usecases::open_notices::{self as open, OpenNotice, OpenRefusal, Ticket, Typed, TypedError};
use crate::usecases::post::pay_link::LinkState;
use crate::usecases::{App, Stop};
use crate::web::address;

/// The longest text that is shown again as it was typed, in characters.
const SHOWN: usize = 40;

#[derive(Template)]
#[template(path = "portal/open.html")]
struct Question {
    f: Frame,
    /// Where it goes.
    action: String,
    /// What is asked for is a receipt.
    receipt: bool,
    /// One can have it sent.
    mail: bool,
    /// The notice's number as it was typed. The codice fiscale is never shown again.
    code: String,
    problem: Option<String>,
}

/// How a notice stands, in words.
struct Stands {
    mood: &'static str,
    state: &'static str,
    advice: String,
    payable: bool,
    paid: bool,
    /// It may be different soon.
    waits: bool,
}

#[derive(Template)]
#[template(path = "portal/open_notice.html")]
struct Summary {
    f: Frame,
    iuv: String,
    reason: String,
    debtor: String,
    amount: String,
    due: String,
    stands: Stands,
    ticket: String,
    fee: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/open_outcome.html")]
struct Outcome {
    f: Frame,
    iuv: String,
    amount: String,
    stands: Stands,
    page: Option<String>,
    htmx: String,
}

fn base(visit: &Visit) -> String {
    format!("{}/avvisi", visit.base())
}

fn title(visit: &Visit) -> &'static str {
    visit.words.of(["Pagamento con Avviso", "Pay a notice", "Mitteilung bezahlen"])
}

/// What is typed for a notice.
fn ask(visit: &Visit, status: StatusCode, code: &str, problem: Option<String>) -> Response {
    let code = code.chars().take(SHOWN).collect();
    let f = visit.frame(title(visit), "-");
    show(status, &Question { f, action: base(visit), receipt: false, mail: false, code, problem })
}

/// What is typed for a receipt.
fn ask_for_receipt(visit: &Visit, status: StatusCode, code: &str, problem: Option<String>) -> Response {
    let words = ["Recupera Ricevuta Telematica", "Get a payment receipt", "Zahlungsquittung abrufen"];
    let action = format!("{}/ricevuta-telematica", visit.base());
    let (f, code) = (visit.frame(visit.words.of(words), "-"), code.chars().take(SHOWN).collect());
    show(status, &Question { f, action, receipt: true, mail: visit.app.mailer.is_some(), code, problem })
}

pub(super) async fn page(visit: Visit) -> Response {
    ask(&visit, StatusCode::OK, "", None)
}

pub(super) async fn receipt_page(visit: Visit) -> Response {
    ask_for_receipt(&visit, StatusCode::OK, "", None)
}

/// What is printed and paid is asked for anew by whoever comes by address, as after a change of language.
pub(super) async fn begin(visit: Visit) -> Response {
    go(&base(&visit))
}

/// A form, and where it comes from.
async fn sent(app: &App, request: Request) -> Result<(Sent, Option<IpAddr>), Response> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let from = address(request.headers(), peer, app.behind_proxy);
    Ok((Sent::from_request(request, app).await?, from))
}

fn typed(visit: &Visit, code: &str, fiscal: &str) -> Result<Typed, String> {
    Typed::parse(code, fiscal).map_err(|error| {
        let words = match error {
            TypedError::Number => [
                "Il codice avviso ha 18 cifre, e queste non vanno insieme: ricontrollale sull'avviso.",
                "A notice code has 18 digits, and these do not belong together: check them on the notice.",
                "Der Code der Mitteilung hat 18 Ziffern, und diese passen nicht zusammen: Prüfen Sie sie.",
            ],
            TypedError::Code => [
                "Il codice fiscale ha 16 lettere e cifre, o 11 cifre: ricontrollalo.",
                "A codice fiscale has 16 letters and digits, or 11 digits: check it.",
                "Die Steuernummer hat 16 Buchstaben und Ziffern oder 11 Ziffern: Prüfen Sie sie.",
            ],
        };
        visit.words.of(words).to_owned()
    })
}

/// The answer to a number and a code that do not fit, and to tries that come too fast; any other refusal is given back.
fn turned_away(
    visit: &Visit,
    stop: Stop<OpenRefusal>,
    again: impl FnOnce(StatusCode, String) -> Response,
) -> Result<Response, Stop<OpenRefusal>> {
    match stop {
        Stop::Refused(OpenRefusal::NotTogether) => {
            let words = visit.words.of([
                "Codice avviso e codice fiscale non corrispondono a nessun avviso di questo ente. Ricontrollali: il codice fiscale è quello indicato sull'avviso.",
                "Notice code and codice fiscale fit no notice of this creditor. Check both: the codice fiscale is the one on the notice.",
                "Code und Steuernummer passen zu keiner Mitteilung dieser Körperschaft. Prüfen Sie beide: Gemeint ist die Steuernummer auf der Mitteilung.",
            ]);
            Ok(again(StatusCode::UNPROCESSABLE_ENTITY, words.to_owned()))
        }
        Stop::Refused(OpenRefusal::TryLater(millis)) => {
            let words = sentences::try_later(millis, visit.language).sentence;
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, words);
            let seconds = millis.saturating_add(999).div_euclid(1_000);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        other => Err(other),
    }
}

/// What a ticket that is over, or a document that can't be had, is answered.
fn refused(visit: &Visit, stop: Stop<OpenRefusal>) -> Response {
    match stop {
        Stop::Fault(error) => fault(visit, &error),
        Stop::Refused(OpenRefusal::Document(refusal)) => {
            no_document(visit, Stop::Refused(refusal), Reason::UnknownNotice)
        }
        Stop::Refused(OpenRefusal::NotPayable) => refused_for(visit, Reason::NoticeNotPayable),
        Stop::Refused(OpenRefusal::NotPaid) => refused_for(visit, Reason::NotPaid),
        Stop::Refused(OpenRefusal::NotConfigured) => refused_for(visit, Reason::NoMail),
        Stop::Refused(
            OpenRefusal::Ticket | OpenRefusal::NotTogether | OpenRefusal::TryLater(_) | OpenRefusal::InProgress { .. },
        ) => {
            let w = visit.words;
            let title = w.of(["Questa pagina è scaduta", "This page has expired", "Diese Seite ist abgelaufen"]);
            let line = w.of([
                "Per riservatezza vale poco tempo. Scrivi di nuovo codice avviso e codice fiscale.",
                "For privacy it is good for a short time only. Type notice code and codice fiscale again.",
                "Aus Gründen des Datenschutzes gilt sie nur kurz. Geben Sie Code und Steuernummer noch einmal ein.",
            ]);
            let next = Some((base(visit), w.of(["Ricomincia", "Start again", "Neu beginnen"])));
            say(visit, (StatusCode::GONE, "stop"), title, &[line], next)
        }
    }
}

pub(super) async fn find(State(app): State<App>, request: Request) -> Response {
    let (Sent { visit, fields }, from) = match sent(&app, request).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let ticket = fields.get("biglietto");
    if !ticket.is_empty() {
        return match open::read(&app, &visit.creditor, (Ticket::Holder, ticket)).await {
            Ok(notice) => summary(&visit, StatusCode::OK, notice, ticket.to_owned(), None),
            Err(stop) => refused(&visit, stop),
        };
    }
    let code = fields.get("codice");
    let typed = match typed(&visit, code, fields.get("fiscale")) {
        Ok(typed) => typed,
        Err(problem) => return ask(&visit, StatusCode::UNPROCESSABLE_ENTITY, code, Some(problem)),
    };
    match open::find(&app, &visit.creditor, &typed, from).await {
        Ok((notice, ticket)) => summary(&visit, StatusCode::OK, notice, ticket, None),
        Err(stop) => {
            let again = |status, words| ask(&visit, status, &typed.number().grouped(), Some(words));
            turned_away(&visit, stop, again).unwrap_or_else(|stop| refused(&visit, stop))
        }
    }
}

pub(super) fn summary(
    visit: &Visit,
    status: StatusCode,
    notice: OpenNotice,
    ticket: String,
    problem: Option<String>,
) -> Response {
    let (w, stands) = (visit.words, stands(visit, notice.state));
    let page = Summary {
        f: visit.frame(title(visit), "-"),
        iuv: notice.number.iuv().to_string(),
        reason: notice.reason,
        debtor: notice.debtor,
        amount: w.money(notice.amount.cents()),
        due: if stands.payable { w.iso_day(&notice.due_date) } else { String::new() },
        fee: w
            .of([
                "Il PSP che scegli può chiedere una commissione: la vedi prima di pagare.",
                "The PSP you choose may ask a fee: you see it before you pay.",
                "Der gewählte PSP kann eine Gebühr verlangen: Sie sehen sie vor der Zahlung.",
            ])
            .to_owned(),
        stands,
        ticket,
        problem,
    };
    show(status, &page)
}

fn stands(visit: &Visit, state: LinkState) -> Stands {
    let w = visit.words;
    let told = |(mood, state), advice: String| Stands {
        mood,
        state: w.of(state),
        advice,
        payable: false,
        paid: false,
        waits: false,
    };
    match state {
        LinkState::Open { .. } => {
            let advice = w.of([
                "Puoi pagarlo adesso online, o stamparlo e pagarlo in banca, in posta, in tabaccheria o con l'app della banca.",
                "You can pay it online now, or print it and pay at a bank, post office, tobacconist's or in your bank's app.",
                "Sie können jetzt online bezahlen oder die Mitteilung drucken und bei Bank, Post, im Tabakladen oder in der App der Bank bezahlen.",
            ]);
            Stands { payable: true, ..told(("info", ["Da pagare", "To pay", "Zu bezahlen"]), advice.to_owned()) }
        }
        LinkState::InProgress { until, .. } => {
            let words = [
                "In corso: in attesa di conferma",
                "In progress: waiting for confirmation",
                "In Bearbeitung: Bestätigung ausständig",
            ];
            let [open, then] = [
                [
                    "Una pagina di pagamento è aperta fino alle",
                    "A payment page is open until",
                    "Eine Zahlungsseite ist offen bis",
                ],
                [
                    "Se hai già pagato non pagare di nuovo: la conferma può arrivare più tardi.",
                    "If you have paid, do not pay again: the confirmation can arrive later.",
                    "Falls Sie bezahlt haben, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen.",
                ],
            ]
            .map(|words| w.of(words));
            let advice = format!("{open} {}. {then}", w.hour(until));
            Stands { payable: true, waits: true, ..told(("wait", words), advice) }
        }
        LinkState::Paid => {
            let advice = w.of([
                "Questo avviso è pagato. Non devi fare nulla.",
                "This notice is paid. There is nothing to do.",
                "Diese Mitteilung ist bezahlt. Es ist nichts zu tun.",
            ]);
            let words = ["Operazione conclusa: pagato", "Done: paid", "Abgeschlossen: bezahlt"];
            Stands { paid: true, ..told(("ok", words), advice.to_owned()) }
        }
        LinkState::Cancelled => {
            let advice = w.of([
                "Questo avviso non va più pagato.",
                "This notice is no longer to be paid.",
                "Diese Mitteilung ist nicht mehr zu bezahlen.",
            ]);
            let words = ["Annullato dal Comune", "Cancelled by the municipality", "Von der Gemeinde annulliert"];
            told(("stop", words), advice.to_owned())
        }
        LinkState::Expired => {
            let advice = w.of([
                "Il tempo per pagarlo è finito. Chi ha l'accesso può farne uno nuovo dall'area riservata.",
                "The time to pay it is over. Whoever has access can make a new one in the reserved area.",
                "Die Zeit zum Bezahlen ist um. Wer Zugang hat, kann im geschützten Bereich eine neue erstellen.",
            ]);
            told(("stop", ["Scaduto", "Expired", "Abgelaufen"]), advice.to_owned())
        }
    }
}

pub(super) async fn print(State(app): State<App>, Sent { visit, fields }: Sent) -> Response {
    match open::print(&app, &visit.creditor, fields.get("biglietto")).await {
        Ok(document) => file(document),
        Err(stop) => refused(&visit, stop),
    }
}

pub(super) async fn pay(State(app): State<App>, Sent { visit, fields }: Sent) -> Response {
    let ticket = fields.get("biglietto");
    let notice = match open::read(&app, &visit.creditor, (Ticket::Holder, ticket)).await {
        Ok(notice) => notice,
        Err(stop) => return refused(&visit, stop),
    };
    let w = visit.words;
    let (status, problem) = match open::pay(&app, &visit.creditor, ticket).await {
        Ok((Some(page), afterwards)) => {
            let outcome = format!("{}/esito", base(&visit));
            let mut response = to_pagopa(&visit, (notice.amount.cents(), 1), &page, &outcome);
            holding(&visit, &afterwards, &outcome, &mut response);
            return response;
        }
        Ok((None, _)) => {
            let words = w.of([
                "Il pagamento online non risponde: riprova tra qualche minuto, o stampa l'avviso e pagalo altrove.",
                "Paying online does not answer: try again in a few minutes, or print the notice and pay elsewhere.",
                "Die Online-Zahlung antwortet nicht: Versuchen Sie es in einigen Minuten, oder drucken Sie die Mitteilung.",
            ]);
            (StatusCode::SERVICE_UNAVAILABLE, words.to_owned())
        }
        Err(Stop::Refused(OpenRefusal::InProgress { until })) => {
            let words = w.of([
                "Qualcuno lo sta pagando insieme ad altro. Riprova dopo le",
                "Somebody is paying it together with other things. Try again after",
                "Jemand bezahlt es gerade zusammen mit anderem. Versuchen Sie es wieder nach",
            ]);
            (StatusCode::CONFLICT, format!("{words} {}.", w.hour(until)))
        }
        Err(Stop::Refused(OpenRefusal::NotPayable)) => {
            let words = w.of([
                "Adesso non c'è nulla da pagare con questo avviso.",
                "There is nothing to pay with this notice now.",
                "Mit dieser Mitteilung ist jetzt nichts zu bezahlen.",
            ]);
            (StatusCode::CONFLICT, words.to_owned())
        }
        Err(stop) => return refused(&visit, stop),
    };
    summary(&visit, status, notice, ticket.to_owned(), Some(problem))
}

/// How the notice stands that this browser went to pay; whom it names is not said any more.
pub(super) async fn outcome(visit: Visit, headers: HeaderMap) -> Response {
    let notice = match open::read(&visit.app, &visit.creditor, (Ticket::Outcome, held(&headers))).await {
        Ok(notice) => notice,
        Err(stop) => return refused(&visit, stop),
    };
    let w = visit.words;
    let words = ["Esito del pagamento", "How the payment stands", "Stand der Zahlung"];
    let page = Outcome {
        f: visit.frame(w.of(words), "-"),
        iuv: notice.number.iuv().to_string(),
        amount: w.money(notice.amount.cents()),
        stands: stands(&visit, notice.state),
        page: notice.page,
        htmx: super::assets::path("htmx.js"),
    };
    show(StatusCode::OK, &page)
}

pub(super) async fn receipt(State(app): State<App>, request: Request) -> Response {
    let (Sent { visit, fields }, from) = match sent(&app, request).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let (w, code) = (visit.words, fields.get("codice"));
    let typed = match typed(&visit, code, fields.get("fiscale")) {
        Ok(typed) => typed,
        Err(problem) => return ask_for_receipt(&visit, StatusCode::UNPROCESSABLE_ENTITY, code, Some(problem)),
    };
    let form = match fields.get("formato") {
        "xml" => Form::Xml,
        "email" => {
            return match open::send_receipt(&app, &visit.creditor, &typed, from).await {
                Ok(()) => on_its_way(&visit),
                Err(stop) => no_receipt(&visit, &typed, stop),
            };
        }
        "" | "pdf" => Form::Pdf,
        _ => {
            let words = w.of(["Scegli il formato.", "Choose the format.", "Wählen Sie das Format."]);
            let words = Some(words.to_owned());
            return ask_for_receipt(&visit, StatusCode::UNPROCESSABLE_ENTITY, code, words);
        }
    };
    match open::receipt(&app, &visit.creditor, (&typed, from), (form, visit.language)).await {
        Ok(document) => file(document),
        Err(stop) => no_receipt(&visit, &typed, stop),
    }
}

fn on_its_way(visit: &Visit) -> Response {
    let w = visit.words;
    let title = w.of(["Richiesta ricevuta", "Request received", "Anfrage erhalten"]);
    let line = w.of([
        "Se il Comune ha un indirizzo e-mail di chi doveva pagare, la ricevuta completa parte ora: una volta al giorno.",
        "If the municipality has an e-mail address of who owed it, the whole receipt is on its way now: once a day.",
        "Falls die Gemeinde eine E-Mail-Adresse der schuldenden Person hat, geht die ganze Quittung jetzt ab: einmal am Tag.",
    ]);
    let next = Some((visit.base(), w.of(["Torna all'inizio", "Back to the start", "Zurück zum Anfang"])));
    say(visit, (StatusCode::OK, "ok"), title, &[line], next)
}

fn no_receipt(visit: &Visit, typed: &Typed, stop: Stop<OpenRefusal>) -> Response {
    let again = |status, words| ask_for_receipt(visit, status, &typed.number().grouped(), Some(words));
    let stop = match stop {
        Stop::Refused(OpenRefusal::NotPaid) => {
            let w = visit.words;
            let title = w.of(["Nessuna ricevuta", "No receipt", "Keine Quittung"]);
            let line = w.of([
                "pagoPA non ha mandato nessuna ricevuta per questo avviso. Se hai appena pagato, riprova tra poco; se hai pagato allo sportello del Comune, la ricevuta te l'ha data lo sportello.",
                "pagoPA has sent no receipt for this notice. If you have just paid, try again soon; if you paid at the municipality's counter, the counter gave you the receipt.",
                "pagoPA hat für diese Mitteilung keine Quittung geschickt. Falls Sie eben bezahlt haben, versuchen Sie es bald wieder; falls Sie am Schalter der Gemeinde bezahlt haben, gab Ihnen der Schalter die Quittung.",
            ]);
            let next = Some((base(visit), w.of(["Guarda l'avviso", "See the notice", "Mitteilung ansehen"])));
            return say(visit, (StatusCode::CONFLICT, "info"), title, &[line], next);
        }
        stop => stop,
    };
    turned_away(visit, stop, again).unwrap_or_else(|stop| refused(visit, stop))
}
