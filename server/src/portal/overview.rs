//! The family in tables: `Elenco Consumatori`, `Elenco Saldo per Servizio`, the bills of a school year with what is paid and what is
//! left, each bill in detail; and `Cerca` over everything that was paid or may be.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::bill::BillState;
use borsellino_domain::money::Cents;
use borsellino_domain::time::SchoolYear;
use borsellino_domain::top_up::PaymentState;
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use serde::Deserialize;
use uuid::Uuid;

use super::forms::Posted;
use super::frame::{Frame, ended, fault, refused_for, show, stopped};
use super::home::of_bill;
use super::visit::{Parent, Visit, renew};
use crate::usecases::Stop;
use crate::usecases::documents::{DocumentRefusal, receipts_of};
use crate::usecases::home::home;
use crate::usecases::overview::{
    ConsumerView, FamilyView, MOST_SEARCHED, PositionView, bills_of_year, family, holds, paid_of, positions,
};
use crate::usecases::pay::{PayRefusal, bill as read_bill};
use crate::usecases::proof::Payment;
use crate::usecases::views::BillView;

/// How many school years one can look back to.
const YEARS_BACK: i16 = 5;

/// How many of what a search finds are shown.
const MOST_FOUND: usize = 100;

/// The longest that may be searched for, in characters.
const LONGEST_SEARCH: usize = 80;

#[derive(Template)]
#[template(path = "portal/consumers.html")]
struct Consumers {
    f: Frame,
    as_of: String,
    rows: Vec<Consumer>,
    services: Vec<Balance>,
}

struct Consumer {
    name: String,
    place: String,
    balance: String,
    spoken: String,
    last_top_up: String,
    bills: String,
    owes: bool,
    last_bill: String,
    bill_link: String,
    services: String,
    diet: String,
}

/// One balance: a service of a child.
struct Balance {
    service: String,
    child: String,
    balance: String,
    covers: String,
    low: bool,
    top_up: String,
    movements: String,
}

pub(super) async fn consumers(parent: Parent) -> Response {
    let visit = &parent.visit;
    let view = match family(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let (w, base) = (visit.words, visit.base());
    let page = Consumers {
        f: visit.frame(w.of(["Elenco Consumatori", "List of children", "Liste der Kinder"]), "/consumatori"),
        as_of: w.as_of(view.as_of),
        rows: view.children.iter().map(|child| consumer(child, &base, &w)).collect(),
        services: balances(&view, &base, &w),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

fn consumer(view: &ConsumerView, base: &str, w: &Words) -> Consumer {
    let child = &view.child;
    let place = [child.class_name.as_str(), child.school.as_str()];
    let mut services: Vec<&str> = Vec::new();
    for wallet in &child.wallets {
        if !services.contains(&wallet.service_name.as_str()) {
            services.push(&wallet.service_name);
        }
    }
    Consumer {
        name: child.given_name.clone(),
        place: place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
        balance: w.money(view.balance.get()),
        spoken: w.spoken(view.balance.get()),
        last_top_up: match view.last_top_up {
            Some((amount, at)) => format!("{}, {}", w.money(amount.cents()), w.day(at)),
            None => String::new(),
        },
        bills: w.money(view.owed.get()),
        owes: view.owed < Cents::ZERO,
        last_bill: match &view.last_bill {
            Some((_, share, due)) => format!("{}, {}", w.money(share.get()), w.iso_day(due)),
            None => String::new(),
        },
        bill_link: view.last_bill.as_ref().map(|(id, ..)| format!("{base}/bollettini/{id}")).unwrap_or_default(),
        services: services.join(", "),
        diet: view.diet.clone(),
    }
}

/// By service, so that what is left for the canteen of all children stands together.
fn balances(view: &FamilyView, base: &str, w: &Words) -> Vec<Balance> {
    let mut rows: Vec<Balance> = Vec::new();
    for consumer in &view.children {
        for wallet in &consumer.child.wallets {
            rows.push(Balance {
                service: wallet.service_name.clone(),
                child: consumer.child.given_name.clone(),
                balance: w.balance(wallet.balance.get()),
                covers: wallet.covers.map(|units| w.covers(Some(wallet.kind), units)).unwrap_or_default(),
                low: wallet.low,
                top_up: if wallet.open { format!("{base}/ricarica?saldo={}", wallet.id) } else { String::new() },
                movements: format!("{base}/movimenti?saldo={}", wallet.id),
            });
        }
    }
    rows.sort_by(|a, b| (&a.service, &a.child).cmp(&(&b.service, &b.child)));
    rows
}

#[derive(Deserialize)]
pub(super) struct Year {
    #[serde(default)]
    anno: String,
}

#[derive(Template)]
#[template(path = "portal/bills.html")]
struct Bills {
    f: Frame,
    /// Each with its first calendar year and whether it is this one.
    years: Vec<(i16, String, bool)>,
    rows: Vec<Row>,
    total: String,
    paid: String,
    left: String,
}

struct Row {
    link: String,
    number: String,
    period: String,
    year: String,
    due: String,
    total: String,
    paid: String,
    left: String,
    state: String,
    mood: &'static str,
}

fn row(bill: &BillView, year: &str, base: &str, w: &Words) -> Row {
    let due = of_bill(bill, base, w);
    let left = bill.state.residual().map_or(0, borsellino_domain::money::Amount::cents);
    Row {
        link: format!("{base}/bollettini/{}", bill.id),
        number: bill.number.clone(),
        period: bill.period.clone(),
        year: year.to_owned(),
        due: w.iso_day(&bill.due_date),
        total: w.money(bill.total.cents()),
        paid: w.money(paid_of(bill).get()),
        left: w.money(left),
        state: match bill.state {
            BillState::PartPaid { .. } if !matches!(bill.payment, PaymentState::InProgress { .. }) => {
                w.of(["Pagato in parte", "Partly paid", "Teilweise bezahlt"]).to_owned()
            }
            _ => due.state,
        },
        mood: due.mood,
    }
}

fn sum(bills: &[BillView], of: impl Fn(&BillView) -> Cents) -> i64 {
    bills.iter().fold(Cents::ZERO, |sum, bill| sum.plus(of(bill)).unwrap_or(sum)).get()
}

pub(super) async fn bills(parent: Parent, Query(asked): Query<Year>) -> Response {
    let visit = &parent.visit;
    let this = visit.now.day_in_italy().map_or(0, |day| SchoolYear::of(day).begins());
    let years = this.saturating_sub(YEARS_BACK)..=this.saturating_add(1);
    let year = match asked.anno.as_str() {
        "" => this,
        text => match text.parse() {
            Ok(year) if years.contains(&year) => year,
            _ => return refused_for(visit, Reason::YearInvalid),
        },
    };
    let bills = match bills_of_year(&visit.app, parent.who, year).await {
        Ok(bills) => bills,
        Err(stop) => return stopped(visit, stop),
    };
    let (w, base) = (visit.words, visit.base());
    let text = |year: i16| format!("{year}/{}", year.saturating_add(1));
    let page = Bills {
        f: visit.frame(w.of(["Bollettini", "Bills", "Rechnungen"]), "/bollettini"),
        years: years.rev().map(|one| (one, text(one), one == year)).collect(),
        rows: bills.iter().map(|bill| row(bill, &text(year), &base, &w)).collect(),
        total: w.money(sum(&bills, |bill| bill.total.as_cents().minus(bill.withdrawn).unwrap_or(Cents::ZERO))),
        paid: w.money(sum(&bills, paid_of)),
        left: w.money(sum(&bills, |bill| bill.state.residual().map_or(Cents::ZERO, |left| left.as_cents()))),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

#[derive(Template)]
#[template(path = "portal/bill.html")]
struct Bill {
    f: Frame,
    row: Row,
    withdrawn: Option<String>,
    /// Child, service, amount.
    lines: Vec<(String, String, String)>,
    /// Number, day, amount, state.
    parts: Vec<(i64, String, String, String)>,
    /// Where the next of it is paid.
    notice: Option<String>,
    pay: bool,
    /// Where its receipts are.
    receipts: Option<String>,
    /// There are some, and they are another adult's.
    withheld: bool,
}

pub(super) async fn bill(parent: Parent, Path((_, id)): Path<(String, String)>) -> Response {
    let visit = &parent.visit;
    let Ok(id) = id.parse::<Uuid>() else { return refused_for(visit, Reason::UnknownBill) };
    let bill = match read_bill(&visit.app, parent.who, id.into()).await {
        Ok(bill) => bill,
        Err(Stop::Refused(PayRefusal::Session(refusal))) => return ended(visit, refusal),
        Err(Stop::Refused(_)) => return refused_for(visit, Reason::UnknownBill),
        Err(Stop::Fault(error)) => return fault(visit, &error),
    };
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let (w, base) = (visit.words, visit.base());
    let name = |id| view.children.iter().find(|child| child.id == id).map(|child| child.given_name.clone());
    let year = bill.first_due.parse().map(|day| SchoolYear::of(day).text()).unwrap_or_default();
    let state = |payment: PaymentState| match payment {
        PaymentState::Payable | PaymentState::NotCompleted => w.of(["Da pagare", "To pay", "Zu zahlen"]),
        PaymentState::InProgress { .. } => w.in_progress(),
        PaymentState::Paid => w.of(["Pagata", "Paid", "Bezahlt"]),
        PaymentState::Expired => w.of(["Scaduta", "Expired", "Abgelaufen"]),
        PaymentState::Cancelled => w.cancelled(),
    };
    let title = format!("{} {}", w.of(["Bollettino", "Bill", "Rechnung"]), bill.number);
    let paid = paid_of(&bill) > Cents::ZERO;
    // Whoever sees the bill need not be whoever paid it.
    let own = match paid {
        true => match receipts_of(&visit.app, parent.who, Payment::Bill(id.into()), false).await {
            Ok(_) => true,
            Err(Stop::Refused(DocumentRefusal::Session(refusal))) => return ended(visit, refusal),
            Err(Stop::Refused(_)) => false,
            Err(Stop::Fault(error)) => return fault(visit, &error),
        },
        false => false,
    };
    let page = Bill {
        f: visit.frame(&title, "/bollettini"),
        row: row(&bill, &year, &base, &w),
        withdrawn: (bill.withdrawn > Cents::ZERO).then(|| w.money(bill.withdrawn.get())),
        lines: bill
            .lines
            .iter()
            .map(|line| (name(line.child).unwrap_or_default(), line.service_name.clone(), w.money(line.cents.get())))
            .collect(),
        parts: bill
            .instalments
            .iter()
            .map(|part| {
                let amount = w.money(part.amount.cents());
                (part.number, w.iso_day(&part.due_date), amount, state(part.payment).to_owned())
            })
            .collect(),
        pay: bill.notice.is_some() && !matches!(bill.payment, PaymentState::InProgress { .. }),
        notice: bill.notice.as_ref().map(|notice| format!("{base}/avviso/{}", notice.number)),
        receipts: own.then(|| format!("{base}/ricevuta/bollettino/{id}/pdf")),
        withheld: paid && !own,
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

#[derive(Template)]
#[template(path = "portal/search.html")]
struct Search {
    f: Frame,
    sought: String,
    problem: String,
    /// Something was looked for.
    asked: bool,
    found: Vec<Found>,
    /// There is more than is shown, or more than was looked through.
    more: bool,
}

struct Found {
    what: String,
    whose: String,
    amount: String,
    state: String,
    mood: &'static str,
    link: String,
}

pub(super) async fn search_page(parent: Parent) -> Response {
    let visit = &parent.visit;
    let mut response = show(StatusCode::OK, &searched(visit));
    renew(&parent, &mut response).await;
    response
}

fn searched(visit: &Visit) -> Search {
    let frame = visit.frame(visit.words.of(["Cerca", "Search", "Suchen"]), "/cerca");
    Search { f: frame, sought: String::new(), problem: String::new(), asked: false, found: Vec::new(), more: false }
}

/// What is looked for is posted: a name of a child has no place in an address.
pub(super) async fn search(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let w = visit.words;
    let sought = fields.get("cerca").to_owned();
    if sought.is_empty() || sought.chars().count() > LONGEST_SEARCH {
        let problem = if sought.is_empty() {
            w.of(["Scrivi che cosa cerchi.", "Type what you are looking for.", "Schreiben Sie, was Sie suchen."])
        } else {
            w.of([
                "Al massimo 80 caratteri: scrivi solo una parola o un numero.",
                "80 characters at most: type just a word or a number.",
                "Höchstens 80 Zeichen: Schreiben Sie nur ein Wort oder eine Nummer.",
            ])
        };
        let page = Search { problem: problem.to_owned(), sought, ..searched(visit) };
        return show(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let all = match positions(&visit.app, parent.who).await {
        Ok(all) => all,
        Err(stop) => return stopped(visit, stop),
    };
    let base = visit.base();
    let bounded = i64::try_from(all.len()).unwrap_or(i64::MAX) >= MOST_SEARCHED;
    let mut found: Vec<Found> = all
        .iter()
        .map(|one| (one, position(one, &base, &w)))
        .filter(|(one, shown)| holds(&text(one, shown, &w), &sought))
        .map(|(_, shown)| shown)
        .collect();
    let more = bounded || found.len() > MOST_FOUND;
    found.truncate(MOST_FOUND);
    let page = Search { sought, asked: true, found, more, ..searched(visit) };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

fn position(one: &PositionView, base: &str, w: &Words) -> Found {
    let (what, link) = match (&one.bill, one.top_up) {
        (Some((id, number, period)), _) => (
            format!("{} {number}: {period}", w.of(["Bollettino", "Bill", "Rechnung"])),
            format!("{base}/bollettini/{id}"),
        ),
        (None, top_up) => (
            format!("{} {}", w.of(["Ricarica", "Top-up", "Aufladung"]), one.services.join(", ")),
            top_up.map(|id| format!("{base}/esito/ricarica/{id}")).unwrap_or_default(),
        ),
    };
    let (state, mood) = match one.state {
        _ if one.paid_twice => (w.paid_twice().to_owned(), "info"),
        PaymentState::Payable if one.bill.is_some() => (
            format!("{} {}", w.of(["Da pagare entro il", "To pay by", "Zu zahlen bis"]), w.iso_day(&one.due_date)),
            "info",
        ),
        PaymentState::Payable => (w.payable(one.expires_at), "info"),
        PaymentState::InProgress { .. } => (w.in_progress().to_owned(), "wait"),
        PaymentState::NotCompleted => (w.not_completed().to_owned(), "stop"),
        PaymentState::Paid => (w.paid(one.settled_at), "ok"),
        PaymentState::Expired => (w.expired().to_owned(), "stop"),
        PaymentState::Cancelled => (w.cancelled().to_owned(), "stop"),
    };
    Found { what, whose: one.children.join(", "), amount: w.money(one.amount.cents()), state, mood, link }
}

/// Everything that may be typed to find it: what is shown, its codes, and its days in figures.
fn text(one: &PositionView, shown: &Found, w: &Words) -> String {
    let figures = |day: jiff::civil::Date| format!("{:02}/{:02}/{}", day.day(), day.month(), day.year());
    let days = [Some(one.created_at), one.settled_at].into_iter().flatten();
    let days: Vec<String> = days
        .flat_map(|at| [at.day_in_italy().map(figures).unwrap_or_default(), w.day(at)])
        .chain(one.due_date.parse().map(figures))
        .chain([w.iso_day(&one.due_date)])
        .collect();
    let cents = format!("{},{:02}", one.amount.cents() / 100, one.amount.cents() % 100);
    let Found { what, whose, amount, state, .. } = shown;
    // The reference is the number without its first digit, so it is found too.
    format!("{what} {whose} {} {amount} {cents} {state} {} {}", one.services.join(" "), days.join(" "), one.number)
}
