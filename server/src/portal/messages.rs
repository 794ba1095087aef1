//! Messages to the municipality: what was sent, how far it has come, what the office answered; and the form of each kind.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::message::{DraftMessage, Field, Has, MOST_IN_A_DAY, MessageKind, MessageState, Why};
use borsellino_domain::time::Millis;
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use serde::Deserialize;
use uuid::Uuid;

use super::forms::{Fields, Posted, Wrong};
use super::frame::{self, Frame, ended, fault, go, missing_here, refused_for, show, stopped};
use super::movements::lines;
use super::prose::{Block, Span, blocks};
use super::visit::{Parent, Visit, renew};
use crate::usecases::home::{MovementsRefusal, home, movement};
use crate::usecases::messages::{self, Choices, MessageRefusal, MessageView, PAGE};
use crate::usecases::views::ChildView;
use crate::usecases::{Fault, Stop};

/// What a kind is called in an address.
fn slug(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::General => "generica",
        MessageKind::ContactChange => "recapito",
        MessageKind::CanteenSuspension => "refezione",
        MessageKind::TransportSuspension => "trasporto",
        MessageKind::WhiteDiet => "dieta-bianca",
        MessageKind::Rating => "valutazione",
        MessageKind::Information => "informazioni",
    }
}

fn of_slug(text: &str) -> Option<MessageKind> {
    MessageKind::ALL.into_iter().find(|kind| slug(*kind) == text)
}

fn name(kind: MessageKind, w: &Words) -> &'static str {
    w.of(match kind {
        MessageKind::General => ["Comunicazione generica", "General message", "Allgemeine Mitteilung"],
        MessageKind::ContactChange => ["Variazione recapito", "Change of contact details", "Neue Kontaktdaten"],
        MessageKind::CanteenSuspension => ["Sospensione refezione", "No meals for some days", "Essen abmelden"],
        MessageKind::TransportSuspension => ["Sospensione trasporto", "No bus for some days", "Schulbus abmelden"],
        MessageKind::WhiteDiet => ["Dieta bianca", "Plain diet", "Schonkost"],
        MessageKind::Rating => ["Valuta il servizio", "Rate a service", "Dienst bewerten"],
        MessageKind::Information => ["Richiesta informazioni", "Ask for information", "Auskunft"],
    })
}

/// What a kind is for.
fn about(kind: MessageKind, w: &Words) -> &'static str {
    w.of(match kind {
        MessageKind::General => ["Su qualsiasi argomento", "About anything", "Zu jedem Thema"],
        MessageKind::ContactChange => [
            "Telefono, e-mail o indirizzo nuovi: l'ufficio controlla e li cambia",
            "A new phone number, e-mail or address: the office checks and changes it",
            "Neue Telefonnummer, E-Mail oder Adresse: Das Amt prüft und ändert sie",
        ],
        MessageKind::CanteenSuspension => [
            "Tuo figlio non mangia a mensa per qualche giorno",
            "Your child does not eat at the canteen for some days",
            "Ihr Kind isst einige Tage nicht in der Mensa",
        ],
        MessageKind::TransportSuspension => [
            "Tuo figlio non prende lo scuolabus per qualche giorno",
            "Your child does not take the school bus for some days",
            "Ihr Kind fährt einige Tage nicht mit dem Schulbus",
        ],
        MessageKind::WhiteDiet => {
            ["Pasti leggeri per qualche giorno", "Light meals for some days", "Leichte Kost für einige Tage"]
        }
        MessageKind::Rating => {
            ["Da una a cinque stelle, e perché", "One to five stars, and why", "Ein bis fünf Sterne, und warum"]
        }
        MessageKind::Information => ["Una domanda all'ufficio", "A question to the office", "Eine Frage an das Amt"],
    })
}

/// How a message stands: words, and the mood that repeats them.
fn state(state: MessageState, w: &Words) -> (&'static str, &'static str) {
    let (words, mood) = match state {
        MessageState::Sent => (["inviato", "sent", "gesendet"], "wait"),
        MessageState::Read => (["letto dall'ufficio", "read by the office", "vom Amt gelesen"], "wait"),
        MessageState::InProgress => (["in lavorazione", "in progress", "in Bearbeitung"], "wait"),
        MessageState::Answered => (["risposto", "answered", "beantwortet"], "ok"),
        MessageState::Closed => (["chiuso", "closed", "abgeschlossen"], "info"),
    };
    (w.of(words), mood)
}

#[derive(Template)]
#[template(path = "portal/messages.html")]
struct Messages {
    f: Frame,
    sent: bool,
    kinds: Vec<Offer>,
    messages: Vec<Line>,
    older: Option<String>,
}

struct Offer {
    address: String,
    name: &'static str,
    about: &'static str,
}

struct Line {
    title: &'static str,
    day: String,
    state: &'static str,
    mood: &'static str,
    unseen: bool,
    /// Name and value of what was filled in.
    facts: Vec<(&'static str, String)>,
    said: Vec<Block>,
    /// When, and what the office said.
    answers: Vec<(String, Vec<Block>)>,
    /// It can't be read any more.
    lost: bool,
}

fn line(view: MessageView, w: &Words) -> Line {
    let (words, mood) = state(view.state, w);
    let (child, _) = &view.child;
    let mut facts: Vec<(&'static str, String)> = Vec::new();
    let mut fact = |words: [&'static str; 3], value: String| {
        if !value.is_empty() {
            facts.push((w.of(words), value));
        }
    };
    fact(["Per", "For", "Für"], child.clone());
    let mut said = Vec::new();
    let mut title = w.of(["Messaggio", "Message", "Mitteilung"]);
    let lost = view.message.is_none();
    if let Some(message) = view.message {
        title = name(message.kind, w);
        let day = |day: Option<jiff::civil::Date>| day.map(|day| w.iso_day(&day.to_string())).unwrap_or_default();
        fact(["Servizio", "Service", "Dienst"], message.service);
        fact(["Dal", "From", "Von"], day(message.from));
        fact(["Al", "To", "Bis"], day(message.until));
        let stars = message.stars.map(|stars| format!("{stars} {} 5", w.of(["su", "of", "von"])));
        fact(["Voto", "Rating", "Bewertung"], stars.unwrap_or_default());
        fact(["Telefono", "Phone", "Telefon"], message.phone);
        fact(["E-mail", "E-mail", "E-Mail"], message.email);
        fact(["Indirizzo", "Address", "Adresse"], message.address);
        said = blocks(&message.text);
    }
    let answers = view.answers.iter().map(|(at, text)| (w.day_and_hour(*at), blocks(text)));
    Line {
        title,
        day: w.day_and_hour(view.sent),
        state: words,
        mood,
        unseen: view.unseen,
        answers: answers.collect(),
        facts,
        said,
        lost,
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    prima: String,
    #[serde(default)]
    inviato: String,
}

pub(super) async fn page(parent: Parent, Query(asked): Query<Asked>) -> Response {
    let visit = &parent.visit;
    let before = asked
        .prima
        .split_once('.')
        .and_then(|(at, id)| Some((Millis::new(at.parse().ok()?), id.parse::<Uuid>().ok()?)));
    let views = match messages::list(&visit.app, parent.who, before).await {
        Ok(views) => views,
        Err(stop) => return stopped(visit, stop),
    };
    let w = visit.words;
    let full = i64::try_from(views.len()).is_ok_and(|count| count == PAGE);
    let last = views.last().filter(|_| full);
    let older = last.map(|last| format!("{}/messaggi?prima={}.{}", visit.base(), last.sent.get(), last.id));
    let page = Messages {
        f: visit.frame(
            w.of(["Messaggi al Comune", "Messages to the municipality", "Mitteilungen an die Gemeinde"]),
            "/messaggi",
        ),
        sent: asked.inviato == "si",
        kinds: MessageKind::ALL
            .map(|kind| Offer {
                address: format!("{}/messaggi/nuovo?tipo={}", visit.base(), slug(kind)),
                name: name(kind, &w),
                about: about(kind, &w),
            })
            .into(),
        messages: views.into_iter().map(|view| line(view, &w)).collect(),
        older,
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

/// What was filled into the form of a message, in words, but for the text itself.
pub(super) fn told(choices: &Choices, fields: &Fields, w: &Words) -> Vec<(String, String)> {
    let kind = of_slug(fields.get("tipo")).map(|kind| name(kind, w).to_owned());
    let child = choices.children.iter().find(|(id, _)| id.to_string() == fields.get("figlio"));
    let service = choices.services.iter().find(|(id, _)| id.to_string() == fields.get("servizio"));
    let day = |name| Some(fields.get(name)).filter(|day| !day.is_empty()).map(|day| w.iso_day(day));
    let plain = |name| Some(fields.get(name).to_owned());
    let facts = [
        (["Tipo", "Kind", "Art"], kind),
        (["Figlio", "Child", "Kind"], child.map(|(_, name)| name.clone())),
        (["Servizio", "Service", "Dienst"], service.map(|(_, name)| name.clone())),
        (["Dal", "From", "Von"], day("dal")),
        (["Al", "To", "Bis"], day("al")),
        (["Voto", "Rating", "Bewertung"], plain("voto")),
        (["Telefono", "Phone", "Telefon"], plain("telefono")),
        (["E-mail", "E-mail", "E-Mail"], plain("email")),
        (["Indirizzo", "Address", "Adresse"], plain("indirizzo")),
    ];
    let facts = facts.into_iter().filter_map(|(words, value)| Some((w.of(words).to_owned(), value?)));
    facts.filter(|(_, value)| !value.is_empty()).collect()
}

#[derive(Template)]
#[template(path = "portal/message_new.html")]
struct New {
    f: Frame,
    id: String,
    kind: &'static str,
    about: &'static str,
    fields: FormFields,
    children: Vec<(String, String, bool)>,
    services: Vec<(String, String, bool)>,
    stars: [(&'static str, &'static str); 5],
    typed: Fields,
    wrong: Wrong,
    problem: Option<String>,
    today: String,
}

/// Which fields a form has, and which of them must be filled in.
struct FormFields(MessageKind);

impl FormFields {
    fn field(name: &str) -> Option<Field> {
        FIELDS.iter().find(|(its, _)| *its == name).map(|(_, field)| *field)
    }

    fn has(&self, name: &str) -> bool {
        Self::field(name).is_some_and(|field| self.0.has(field) != Has::No)
    }

    fn must(&self, name: &str) -> bool {
        Self::field(name).is_some_and(|field| self.0.has(field) == Has::Required)
    }
}

/// What a rating says.
const STARS: [(&str, [&str; 3]); 5] = [
    ("1", ["pessimo", "very bad", "sehr schlecht"]),
    ("2", ["scarso", "bad", "schlecht"]),
    ("3", ["così così", "so so", "geht so"]),
    ("4", ["buono", "good", "gut"]),
    ("5", ["ottimo", "very good", "sehr gut"]),
];

/// The fields of a form by their names.
const FIELDS: [(&str, Field); 9] = [
    ("figlio", Field::Child),
    ("servizio", Field::Service),
    ("dal", Field::From),
    ("al", Field::Until),
    ("voto", Field::Stars),
    ("telefono", Field::Phone),
    ("email", Field::Email),
    ("indirizzo", Field::Address),
    ("testo", Field::Text),
];

fn field_name(field: Field) -> &'static str {
    FIELDS.iter().find(|(_, its)| *its == field).map_or("testo", |(name, _)| name)
}

#[derive(Deserialize)]
pub(super) struct Kind {
    #[serde(default)]
    tipo: String,
    /// A movement that the parent asks about: its wallet, and its number there.
    #[serde(default)]
    saldo: String,
    #[serde(default)]
    movimento: String,
}

/// What a form about a movement says to begin with: what it is, so that the office need not search. Nothing of it stands in the address.
async fn about_movement(parent: &Parent, asked: &Kind) -> Result<Fields, Response> {
    let visit = &parent.visit;
    if asked.movimento.is_empty() {
        return Ok(Fields::default());
    }
    let (Ok(wallet), Ok(seq)) = (asked.saldo.parse::<Uuid>(), asked.movimento.parse::<i64>()) else {
        return Err(refused_for(visit, Reason::UnknownWallet));
    };
    let (view, found) = match home(&visit.app, parent.who).await {
        Ok(view) => (view, movement(&visit.app, parent.who, wallet.into(), seq).await),
        Err(stop) => return Err(stopped(visit, stop)),
    };
    let found = found.map_err(|stop| match stop {
        Stop::Refused(MovementsRefusal::Session(refusal)) => ended(visit, refusal),
        Stop::Refused(MovementsRefusal::UnknownWallet) => refused_for(visit, Reason::UnknownWallet),
        Stop::Fault(error) => fault(visit, &error),
    })?;
    let Some(found) = found else { return Err(missing_here(visit)) };
    let its = |child: &&ChildView| child.wallets.iter().any(|wallet| wallet.id == found.wallet);
    let child = view.children.iter().find(its).map(|child| child.id.to_string());
    let w = visit.words;
    let line = lines(std::slice::from_ref(&found), &view, &visit.base(), &w).pop();
    let text = line.map(|line| {
        let begins = w.of([
            "Non mi torna questo movimento:",
            "Something is wrong with this movement:",
            "Mit dieser Buchung stimmt etwas nicht:",
        ]);
        let after = w.of(["saldo dopo", "balance after", "Guthaben danach"]);
        let whose = if line.whose.is_empty() { String::new() } else { format!("{}\n", line.whose) };
        format!("{begins}\n{}\n{whose}{}, {after}: {}\n\n", line.why, line.amount, line.after)
    });
    let fields = [("figlio", child), ("testo", text)];
    Ok(Fields::of(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))))
}

pub(super) async fn new(parent: Parent, Query(asked): Query<Kind>) -> Response {
    let visit = &parent.visit;
    let Some(kind) = of_slug(&asked.tipo) else { return go(&format!("{}/messaggi", visit.base())) };
    let id = match fresh(visit) {
        Ok(id) => id,
        Err(error) => return fault(visit, &error),
    };
    let typed = match about_movement(&parent, &asked).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    match messages::choices(&visit.app, parent.who).await {
        Ok(choices) => {
            let form = Filled { id, kind, typed, wrong: Wrong::default(), problem: None };
            let mut response = form.show(visit, &choices, StatusCode::OK);
            renew(&parent, &mut response).await;
            response
        }
        Err(stop) => stopped(visit, stop),
    }
}

/// The id of a message that is not written yet.
fn fresh(visit: &Visit) -> Result<Uuid, Fault> {
    Ok(visit.app.new_id()?)
}

/// A form as it stands.
struct Filled {
    id: Uuid,
    kind: MessageKind,
    typed: Fields,
    wrong: Wrong,
    problem: Option<String>,
}

impl Filled {
    fn show(self, visit: &Visit, choices: &Choices, status: StatusCode) -> Response {
        let chosen = |field: &str, id: &str| self.typed.get(field) == id;
        let children = choices.children.iter().map(|(id, name)| {
            let id = id.to_string();
            let only = choices.children.len() == 1 && self.kind.has(Field::Child) == Has::Required;
            (id.clone(), name.clone(), only || chosen("figlio", &id))
        });
        let services = choices.services.iter().map(|(id, name)| {
            let id = id.to_string();
            (id.clone(), name.clone(), chosen("servizio", &id))
        });
        let (children, services) = (children.collect(), services.collect());
        let page = New {
            f: visit.frame(name(self.kind, &visit.words), "/messaggi"),
            id: self.id.to_string(),
            kind: slug(self.kind),
            about: about(self.kind, &visit.words),
            fields: FormFields(self.kind),
            children,
            services,
            stars: STARS.map(|(value, words)| (value, visit.words.language.choose(words))),
            typed: self.typed,
            wrong: self.wrong,
            problem: self.problem,
            today: visit.now.day_in_italy().map(|day| day.to_string()).unwrap_or_default(),
        };
        show(status, &page)
    }
}

fn sentence(field: Field, why: Why, w: &Words) -> String {
    let words = match (field, why) {
        (Field::Phone, Why::Missing) => [
            "Scrivi almeno uno tra telefono, e-mail e indirizzo.",
            "Fill in at least one of phone, e-mail and address.",
            "Geben Sie mindestens eines an: Telefon, E-Mail oder Adresse.",
        ],
        (Field::Child, _) => ["Scegli il figlio.", "Choose the child.", "Wählen Sie das Kind."],
        (Field::Service, _) => ["Scegli il servizio.", "Choose the service.", "Wählen Sie den Dienst."],
        (Field::Stars, _) => ["Scegli un voto da 1 a 5.", "Choose 1 to 5.", "Wählen Sie 1 bis 5."],
        (Field::From, Why::Missing) => {
            ["Scrivi il primo giorno.", "Fill in the first day.", "Geben Sie den ersten Tag an."]
        }
        (Field::Until, Why::Missing) => {
            ["Scrivi l'ultimo giorno.", "Fill in the last day.", "Geben Sie den letzten Tag an."]
        }
        (_, Why::Missing) => ["Scrivi il messaggio.", "Write the message.", "Schreiben Sie die Mitteilung."],
        (_, Why::TooLong(most)) => {
            return w
                .of([
                    "Il testo è troppo lungo: al massimo {} caratteri.",
                    "The text is too long: at most {} characters.",
                    "Der Text ist zu lang: höchstens {} Zeichen.",
                ])
                .replace("{}", &most.to_string());
        }
        (_, Why::Unprintable) => [
            "C'è un carattere che non si può inviare: riscrivi il testo.",
            "It has a character that cannot be sent: type the text again.",
            "Ein Zeichen lässt sich nicht senden: Geben Sie den Text neu ein.",
        ],
        (_, Why::Past) => ["Questo giorno è passato.", "This day is over.", "Dieser Tag ist vorbei."],
        (_, Why::TooFar) => [
            "Questo giorno è troppo lontano.",
            "This day is too far ahead.",
            "Dieser Tag liegt zu weit in der Zukunft.",
        ],
        (_, Why::Backwards) => [
            "L'ultimo giorno viene prima del primo.",
            "The last day comes before the first.",
            "Der letzte Tag liegt vor dem ersten.",
        ],
        (_, Why::Day | Why::Stars) => [
            "Scrivi il giorno così: 2026-11-20.",
            "Write the day like this: 2026-11-20.",
            "Schreiben Sie den Tag so: 2026-11-20.",
        ],
    };
    w.of(words).to_owned()
}

pub(super) async fn send(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let w = visit.words;
    let (Some(kind), Ok(mut id)) = (of_slug(fields.get("tipo")), fields.get("id").parse::<Uuid>()) else {
        return frame::foreign_form(visit);
    };
    let choices = match messages::choices(&visit.app, parent.who).await {
        Ok(choices) => choices,
        Err(stop) => return stopped(visit, stop),
    };
    let child = match fields.get("figlio") {
        "" => None,
        text => match text.parse::<Uuid>() {
            Ok(child) => Some(child.into()),
            Err(_) => return foreign(&parent),
        },
    };
    let draft = DraftMessage {
        child,
        service: fields.get("servizio").parse::<Uuid>().ok().map(Into::into),
        from: fields.get("dal").to_owned(),
        until: fields.get("al").to_owned(),
        stars: fields.get("voto").to_owned(),
        phone: fields.get("telefono").to_owned(),
        email: fields.get("email").to_owned(),
        address: fields.get("indirizzo").to_owned(),
        text: fields.get("testo").to_owned(),
    };
    let (status, wrong, problem) = match messages::send(&visit.app, parent.who, id, (kind, draft)).await {
        Ok(()) => return go(&format!("{}/messaggi?inviato=si", visit.base())),
        Err(Stop::Fault(error)) => return fault(visit, &error),
        Err(Stop::Refused(MessageRefusal::Session(refusal))) => return ended(visit, refusal),
        Err(Stop::Refused(MessageRefusal::UnknownChild)) => return foreign(&parent),
        Err(Stop::Refused(MessageRefusal::Wrong(list))) => {
            let mut wrong = Wrong::default();
            for (field, why) in list {
                wrong.note(field_name(field), sentence(field, why, &w));
            }
            let summary = wrong.summary();
            (StatusCode::UNPROCESSABLE_ENTITY, wrong, summary)
        }
        Err(Stop::Refused(MessageRefusal::UnknownService)) => {
            let told = sentence(Field::Service, Why::Missing, &w);
            (StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("servizio", told.clone()), told)
        }
        Err(Stop::Refused(MessageRefusal::Used)) => {
            let told = w.of([
                "Questo modulo è già stato inviato con un altro testo. Per inviare anche questo, premi di nuovo.",
                "This form was sent already, with another text. To send this one too, press again.",
                "Dieses Formular wurde schon mit einem anderen Text gesendet. Um auch diesen zu senden, drücken Sie noch einmal.",
            ]);
            id = match fresh(visit) {
                Ok(id) => id,
                Err(error) => return fault(visit, &error),
            };
            (StatusCode::CONFLICT, Wrong::default(), told.to_owned())
        }
        Err(Stop::Refused(MessageRefusal::TooMany)) => {
            let told = w.of([
                "Oggi hai già inviato {} messaggi: scrivi domani, o chiama l'ufficio.",
                "You have sent {} messages today: write tomorrow, or call the office.",
                "Sie haben heute schon {} Mitteilungen gesendet: Schreiben Sie morgen, oder rufen Sie das Amt an.",
            ]);
            (StatusCode::TOO_MANY_REQUESTS, Wrong::default(), told.replace("{}", &MOST_IN_A_DAY.to_string()))
        }
    };
    Filled { id, kind, typed: fields, wrong, problem: Some(problem) }.show(visit, &choices, status)
}

/// A child that is none of theirs stands in no form of ours: somebody changed it.
fn foreign(parent: &Parent) -> Response {
    refused_for(&parent.visit, Reason::UnknownChild)
}
