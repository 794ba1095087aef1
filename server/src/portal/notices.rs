//! `Avviso`: what a parent shows or types at a PSP. QR, code, amount, the creditor's codes, where one can pay; as PDF and by e-mail.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use qrcode::{EcLevel, QrCode, Version};

use super::archive::{file, no_document};
use super::forms::{Fields, Posted};
use super::frame::{Frame, ended, fault, go, refused_for, say, show, stopped};
use super::pay::outcome;
use super::visit::{Parent, Visit, renew};
use crate::sentences;
use crate::usecases::Stop;
use crate::usecases::documents::{Wanted, of_caller};
use crate::usecases::home::home;
use crate::usecases::post::pay_link::{self, OwnLinkRefusal};
use crate::usecases::post::send_notice;
use crate::usecases::views::{HomeView, NoticeView};

#[derive(Template)]
#[template(path = "portal/notice.html")]
struct Notice {
    f: Frame,
    number: String,
    grouped: String,
    amount: String,
    reason: String,
    due: String,
    creditor: String,
    cbill: String,
    /// The squares of the QR code, as an SVG path, and how many there are in a row.
    qr: String,
    side: usize,
    mail: bool,
    outcome: Option<String>,
    /// It can be paid.
    payable: bool,
    links: Vec<Link>,
}

/// A link under which somebody else pays it.
struct Link {
    id: String,
    since: String,
    /// Empty where only whoever got the letter has it.
    address: String,
}

/// Where a notice of this family stands on the home screen, and until when it is to be paid.
fn find<'a>(view: &'a HomeView, number: &NoticeNumber) -> Option<(&'a NoticeView, Option<String>)> {
    let bills = view.bills.iter().flat_map(|bill| {
        let whole = bill.notice.iter().map(|notice| (notice, Some(bill.due_date.clone())));
        whole.chain(
            bill.instalments.iter().filter_map(|part| Some((part.notice.as_ref()?, Some(part.due_date.clone())))),
        )
    });
    let top_ups = view.payments.iter().map(|payment| (&payment.notice, None));
    bills.chain(top_ups).find(|(notice, _)| notice.number == *number)
}

/// What a notice of this family is for, and how much it asks for.
pub(super) fn told(view: &HomeView, number: &NoticeNumber, w: &Words) -> Option<(String, String)> {
    let (notice, _) = find(view, number)?;
    Some((notice.reason.clone(), w.money(notice.amount.cents())))
}

/// Where a notice is to be sent by e-mail.
pub(super) fn address(fields: &Fields, w: &Words) -> String {
    let own = w.of([
        "l'indirizzo e-mail che il Comune ha di te",
        "the address that the municipality has of you",
        "die Adresse, die die Gemeinde von Ihnen hat",
    ]);
    Some(fields.get("indirizzo")).filter(|typed| !typed.is_empty()).unwrap_or(own).to_owned()
}

/// The squares of a QR code, version 4, level M, as pagoPA's guide asks (guide 3.3).
pub(super) fn squares(text: &str) -> (String, usize) {
    let code = QrCode::with_version(text.as_bytes(), Version::Normal(4), EcLevel::M);
    let Ok(code) = code.or_else(|_| QrCode::with_error_correction_level(text.as_bytes(), EcLevel::M)) else {
        return (String::new(), 0);
    };
    let side = code.width();
    let mut path = String::new();
    for (index, colour) in code.to_colors().into_iter().enumerate() {
        if colour == qrcode::Color::Dark {
            // Four light squares are around it.
            let (x, y) = (index.rem_euclid(side).saturating_add(4), index.div_euclid(side).saturating_add(4));
            path.push_str(&format!("M{x} {y}h1v1h-1z"));
        }
    }
    (path, side.saturating_add(8))
}

pub(super) async fn page(parent: Parent, Path((_, number)): Path<(String, String)>) -> Response {
    let visit = &parent.visit;
    let Ok(number) = number.parse::<NoticeNumber>() else { return refused_for(visit, Reason::UnknownNotice) };
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let Some((notice, due)) = find(&view, &number) else { return refused_for(visit, Reason::UnknownNotice) };
    let w = visit.words;
    let links = match pay_link::links(&visit.app, parent.who, number).await {
        Ok(links) => links,
        Err(stop) => return no_link(visit, stop),
    };
    let (qr, side) = squares(&notice.qr_text);
    let due = due.map(|due| w.iso_day(&due)).or_else(|| notice.expires_at.map(|at| w.day(at)));
    let page = Notice {
        f: visit.frame(w.of(["Avviso di pagamento", "Payment notice", "Zahlungsmitteilung"]), "/paga"),
        number: number.to_string(),
        grouped: number.grouped(),
        amount: w.money(notice.amount.cents()),
        reason: notice.reason.clone(),
        due: due.unwrap_or_default(),
        creditor: visit.creditor.fiscal_code.to_string(),
        cbill: visit.creditor.cbill.clone(),
        qr,
        side,
        mail: visit.app.mailer.is_some(),
        outcome: outcome(&view, &number).map(|(kind, id)| format!("{}/esito/{kind}/{id}", visit.base())),
        payable: notice.expires_at.is_none_or(|at| visit.now < at),
        links: links
            .into_iter()
            .map(|link| Link {
                id: link.id.to_string(),
                since: w.day_and_hour(link.created_at),
                address: link.address.unwrap_or_default(),
            })
            .collect(),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

pub(super) async fn pdf(parent: Parent, Path((_, number)): Path<(String, String)>) -> Response {
    let visit = &parent.visit;
    let Ok(number) = number.parse::<NoticeNumber>() else { return refused_for(visit, Reason::UnknownNotice) };
    match of_caller(&visit.app, parent.who, &Wanted::Notice(number), visit.language).await {
        Ok(document) => file(document),
        Err(stop) => no_document(visit, stop, Reason::UnknownNotice),
    }
}

fn no_link(visit: &Visit, stop: Stop<OwnLinkRefusal>) -> Response {
    match stop {
        Stop::Fault(error) => fault(visit, &error),
        Stop::Refused(OwnLinkRefusal::Session(refusal)) => ended(visit, refusal),
        Stop::Refused(OwnLinkRefusal::UnknownNotice) => refused_for(visit, Reason::UnknownNotice),
        Stop::Refused(OwnLinkRefusal::NotPayable) => refused_for(visit, Reason::NoticeNotPayable),
    }
}

/// Makes a link under which somebody else pays the notice, or takes one back.
pub(super) async fn link(Path((_, number)): Path<(String, String)>, Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let Ok(number) = number.parse::<NoticeNumber>() else { return refused_for(visit, Reason::UnknownNotice) };
    let done = match fields.get("revoca") {
        "" => pay_link::make(&visit.app, parent.who, number).await,
        text => match text.parse() {
            Ok(id) => pay_link::take_back(&visit.app, parent.who, (number, id)).await,
            Err(_) => return refused_for(visit, Reason::UnknownNotice),
        },
    };
    match done {
        Ok(()) => go(&format!("{}/avviso/{number}#link", visit.base())),
        Err(stop) => no_link(visit, stop),
    }
}

pub(super) async fn send(Path((_, number)): Path<(String, String)>, Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let Ok(number) = number.parse::<NoticeNumber>() else { return refused_for(visit, Reason::UnknownNotice) };
    let address = Some(fields.get("indirizzo").to_owned()).filter(|typed| !typed.is_empty());
    let sent = send_notice(&visit.app, parent.who, number, address, visit.language).await;
    match sent {
        Ok(sent) => {
            let title = visit.words.of(["E-mail in partenza", "E-mail on its way", "E-Mail unterwegs"]);
            let line = if sent.own {
                visit.words.of([
                    "L'avviso parte ora verso l'indirizzo e-mail che il Comune ha di te.",
                    "The notice is on its way to the address that the municipality has of you.",
                    "Die Mitteilung geht jetzt an die Adresse, die die Gemeinde von Ihnen hat.",
                ])
            } else {
                visit.words.of([
                    "A questo indirizzo parte un link per pagare: non contiene nomi, e non serve accedere.",
                    "A link to pay is on its way to this address: it names nobody, and needs no sign-in.",
                    "An diese Adresse geht ein Link zum Bezahlen: ohne Namen und ohne Anmeldung.",
                ])
            };
            let back = visit.words.of(["Torna all'avviso", "Back to the notice", "Zurück zur Mitteilung"]);
            let next = Some((format!("{}/avviso/{number}", visit.base()), back));
            say(visit, (StatusCode::OK, "ok"), title, &[line], next)
        }
        Err(Stop::Fault(error)) => fault(visit, &error),
        Err(Stop::Refused(refusal)) => match sentences::unsent(refusal) {
            Ok(reason) => refused_for(visit, reason),
            Err(refusal) => ended(visit, refusal),
        },
    }
}
