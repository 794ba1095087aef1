//! `Archivio`: what was paid, by this system or at the counter, with its receipts; and the certificate of a tax year.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use serde::Deserialize;
use uuid::Uuid;

use super::frame::{Frame, ended, fault, refused_for, show, stopped};
use super::visit::{Parent, Visit, renew};
use crate::sentences;
use crate::usecases::Stop;
use crate::usecases::archive::{PaidEnd, PaidView, paid};
use crate::usecases::documents::{DocumentRefusal, File, Wanted, of_caller, receipts_of};
use crate::usecases::home::home;
use crate::usecases::proof::Payment;

/// How many stand on a page.
const PAGE: u32 = 25;

/// The first tax year that one can ask for.
const FIRST_YEAR: i16 = 2015;

#[derive(Template)]
#[template(path = "portal/archive.html")]
struct Archive {
    f: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    as_of: String,
    children: Vec<(String, String)>,
    years: Vec<i16>,
}

struct Row {
    day: String,
    what: String,
    whose: String,
    amount: String,
    note: String,
    pdf: String,
    original: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    dopo: String,
}

pub(super) async fn page(parent: Parent, Query(asked): Query<Asked>) -> Response {
    let visit = &parent.visit;
    let after = asked
        .dopo
        .split_once('.')
        .and_then(|(at, number)| Some(PaidEnd { at: Millis::new(at.parse().ok()?), number: number.parse().ok()? }));
    let read = match paid(&visit.app, parent.who, after, PAGE).await {
        Ok(read) => read,
        Err(stop) => return stopped(visit, stop),
    };
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let (w, base) = (visit.words, visit.base());
    let this_year = visit.now.day_in_italy().map_or(FIRST_YEAR, |day| day.year());
    let page = Archive {
        f: visit.frame(w.of(["Archivio", "Archive", "Archiv"]), "/archivio"),
        rows: read.items.iter().map(|item| row(visit, &base, item)).collect(),
        next: read.next.map(|end| format!("{base}/archivio?dopo={}.{}", end.at.get(), end.number)),
        as_of: w.as_of(read.as_of),
        children: view.children.iter().map(|child| (child.id.to_string(), child.given_name.clone())).collect(),
        years: (FIRST_YEAR.max(this_year.saturating_sub(5))..=this_year).rev().collect(),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

fn row(visit: &Visit, base: &str, item: &PaidView) -> Row {
    let w = visit.words;
    let what = if item.bill.is_some() {
        format!("{} {}: {}", w.of(["Bollettino", "Bill", "Rechnung"]), item.bill_number, item.period)
    } else {
        format!("{} {}", w.of(["Ricarica", "Top-up", "Aufladung"]), item.services.join(", "))
    };
    let receipt = match (item.top_up, item.bill) {
        (Some(id), _) => format!("{base}/ricevuta/ricarica/{id}"),
        (None, Some(id)) => format!("{base}/ricevuta/bollettino/{id}"),
        (None, None) => String::new(),
    };
    let note = if item.paid_twice {
        w.paid_twice()
    } else if item.of_co_guardian {
        w.of([
            "pagata da un altro adulto: la ricevuta è sua",
            "paid by another adult: the receipt is theirs",
            "von einem anderen Erwachsenen bezahlt: Die Quittung gehört ihm",
        ])
    } else if item.at_counter {
        w.of(["pagato allo sportello", "paid at the counter", "am Schalter bezahlt"])
    } else {
        ""
    };
    let with = |ending: &str| if receipt.is_empty() { String::new() } else { format!("{receipt}/{ending}") };
    Row {
        day: w.day(item.at),
        what,
        whose: item.children.join(", "),
        amount: w.money(item.amount.cents()),
        note: note.to_owned(),
        pdf: with("pdf"),
        // pagoPA knows nothing of what was paid at the counter.
        original: if item.at_counter { String::new() } else { with("xml") },
    }
}

/// A document, to be kept: shared computers forget it.
pub(super) fn file(document: File) -> Response {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{}\"", document.name));
    let mut response = document.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.media_type));
    headers.insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

/// Why there is no document, in the words that the app says too.
pub(super) fn no_document(visit: &Visit, stop: Stop<DocumentRefusal>, unknown: Reason) -> Response {
    match stop {
        Stop::Fault(error) => fault(visit, &error),
        Stop::Refused(refusal) => match sentences::document(refusal, unknown) {
            Ok(reason) => refused_for(visit, reason),
            Err(refusal) => ended(visit, refusal),
        },
    }
}

#[derive(Template)]
#[template(path = "portal/receipts.html")]
struct Receipts {
    f: Frame,
    /// Where each is, and how much it says.
    receipts: Vec<(String, String)>,
}

#[derive(Deserialize)]
pub(super) struct Which {
    numero: Option<usize>,
}

/// A receipt of a payment, as `pdf` or as pagoPA's own `xml`. A bill may have several: then which?
pub(super) async fn receipt(
    parent: Parent,
    Path((_, kind, id, format)): Path<(String, String, String, String)>,
    Query(which): Query<Which>,
) -> Response {
    let visit = &parent.visit;
    let unknown = if kind == "bollettino" { Reason::UnknownBill } else { Reason::UnknownTopUp };
    let payment = match (kind.as_str(), id.parse::<Uuid>()) {
        ("bollettino", Ok(id)) => Payment::Bill(id.into()),
        ("ricarica", Ok(id)) => Payment::TopUp(id.into()),
        _ => return refused_for(visit, unknown),
    };
    let originals = format == "xml";
    let all = match receipts_of(&visit.app, parent.who, payment, originals).await {
        Ok(all) => all,
        Err(stop) => return no_document(visit, stop, unknown),
    };
    let one = match (all.as_slice(), which.numero) {
        ([only], None) => only,
        (several, None) => {
            let path = visit.asked.split('?').next().unwrap_or_default();
            let receipts = several.iter().enumerate();
            let receipts =
                receipts.map(|(index, one)| (format!("{path}?numero={index}"), visit.words.money(one.cents.get())));
            let title = visit.words.of(["Ricevute", "Receipts", "Quittungen"]);
            let page = Receipts { f: visit.frame(title, "/archivio"), receipts: receipts.collect() };
            return show(StatusCode::OK, &page);
        }
        (several, Some(index)) => match several.get(index) {
            Some(one) => one,
            None => return refused_for(visit, unknown),
        },
    };
    match of_caller(&visit.app, parent.who, &one.wanted, visit.language).await {
        Ok(document) => file(document),
        Err(stop) => no_document(visit, stop, unknown),
    }
}

#[derive(Deserialize)]
pub(super) struct Year {
    #[serde(default)]
    figlio: String,
    #[serde(default)]
    anno: String,
}

pub(super) async fn certificate(parent: Parent, Query(asked): Query<Year>) -> Response {
    let visit = &parent.visit;
    let Ok(child) = asked.figlio.parse::<Uuid>() else { return refused_for(visit, Reason::UnknownChild) };
    let Ok(year) = asked.anno.parse() else { return refused_for(visit, Reason::YearInvalid) };
    let wanted = Wanted::Certificate { child: child.into(), year };
    match of_caller(&visit.app, parent.who, &wanted, visit.language).await {
        Ok(document) => file(document),
        Err(stop) => no_document(visit, stop, Reason::UnknownChild),
    }
}
