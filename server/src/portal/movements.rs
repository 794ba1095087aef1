//! Movements, each of which says why it happened; and the account statement of a balance.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::id::WalletId;
use borsellino_domain::time::{Millis, month_text};
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use jiff::civil::Date;
use serde::Deserialize;
use uuid::Uuid;

use super::archive::{file, no_document};
use super::frame::{Frame, ended, fault, refused_for, show, stopped};
use super::visit::{Parent, renew};
use crate::usecases::Stop;
use crate::usecases::documents::{Wanted, of_caller};
use crate::usecases::home::{MovementsRefusal, PageEnd, home, movements};
use crate::usecases::views::{HomeView, MovementView};

/// How many stand on a page.
const PAGE: u32 = 30;

/// A movement, in words.
pub(super) struct Line {
    pub(super) month: String,
    pub(super) why: String,
    pub(super) whose: String,
    pub(super) amount: String,
    pub(super) after: String,
    pub(super) incoming: bool,
    /// Where one asks about it.
    pub(super) ask: String,
}

/// Movements in words; those of wallets that are not on the home screen any more without a name.
pub(super) fn lines(movements: &[MovementView], view: &HomeView, base: &str, w: &Words) -> Vec<Line> {
    let place = |id: WalletId| {
        view.children.iter().find_map(|child| {
            let wallet = child.wallets.iter().find(|wallet| wallet.id == id)?;
            Some((wallet.kind, format!("{}, {}", child.given_name, wallet.service_name)))
        })
    };
    let line = |movement: &MovementView| {
        let place = place(movement.wallet);
        let cents = movement.cents.get();
        let (day, tariff) =
            (movement.day.as_deref().unwrap_or_default(), movement.tariff.as_deref().unwrap_or_default());
        let sign = if cents > 0 { "+" } else { "" };
        Line {
            month: movement.at.day_in_italy().map(|day| month_text(day, w.language)).unwrap_or_default(),
            why: w.movement(
                Some(movement.kind),
                place.as_ref().map(|(kind, _)| *kind),
                (cents, movement.at),
                (day, tariff),
            ),
            whose: place.map(|(_, name)| name).unwrap_or_default(),
            amount: format!("{sign}{}", w.money(cents)),
            after: w.balance(movement.balance_after.get()),
            incoming: cents > 0,
            ask: format!("{base}/messaggi/nuovo?tipo=generica&saldo={}&movimento={}", movement.wallet, movement.seq),
        }
    };
    movements.iter().map(line).collect()
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    saldo: String,
    /// Where the page before ended.
    #[serde(default)]
    dopo: String,
}

struct Choice {
    link: String,
    name: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "portal/movements.html")]
struct Movements {
    f: Frame,
    choices: Vec<Choice>,
    /// By month.
    months: Vec<(String, Vec<Line>)>,
    next: Option<String>,
    statement: Option<String>,
    from: String,
    to: String,
}

pub(super) async fn page(parent: Parent, Query(asked): Query<Asked>) -> Response {
    let visit = &parent.visit;
    let wallet = match asked.saldo.as_str() {
        "" => None,
        text => match text.parse::<Uuid>() {
            Ok(id) => Some(WalletId::from(id)),
            Err(_) => return refused_for(visit, Reason::UnknownWallet),
        },
    };
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let read = match movements(&visit.app, parent.who, wallet, end(&asked.dopo), PAGE).await {
        Ok(read) => read,
        Err(Stop::Refused(MovementsRefusal::Session(refusal))) => return ended(visit, refusal),
        Err(Stop::Refused(MovementsRefusal::UnknownWallet)) => return refused_for(visit, Reason::UnknownWallet),
        Err(Stop::Fault(error)) => return fault(visit, &error),
    };
    let (base, w) = (visit.base(), visit.words);
    let all = Choice {
        link: format!("{base}/movimenti"),
        name: w.of(["Tutti", "All", "Alle"]).to_owned(),
        chosen: wallet.is_none(),
    };
    let each = view.children.iter().flat_map(|child| child.wallets.iter().map(move |wallet| (child, wallet)));
    let each = each.map(|(child, its)| Choice {
        link: format!("{base}/movimenti?saldo={}", its.id),
        name: format!("{}, {}", child.given_name, its.service_name),
        chosen: wallet == Some(its.id),
    });
    let next = read.next.map(|end| {
        let place = format!("{}.{}.{}", end.at.get(), end.seq, end.entry);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("saldo", &asked.saldo)
            .append_pair("dopo", &place)
            .finish();
        format!("{base}/movimenti?{query}")
    });
    let today = visit.now.day_in_italy();
    let begins = today.and_then(|today| Date::new(today.year(), 1, 1).ok());
    let page = Movements {
        f: visit.frame(w.of(["Movimenti", "Movements", "Buchungen"]), "/movimenti"),
        choices: std::iter::once(all).chain(each).collect(),
        months: by_month(lines(&read.movements, &view, &base, &w)),
        next,
        statement: wallet.map(|wallet| format!("{base}/estratto/{wallet}")),
        from: begins.map(|day| day.to_string()).unwrap_or_default(),
        to: today.map(|day| day.to_string()).unwrap_or_default(),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    response
}

fn by_month(lines: Vec<Line>) -> Vec<(String, Vec<Line>)> {
    let mut months: Vec<(String, Vec<Line>)> = Vec::new();
    for line in lines {
        match months.last_mut() {
            Some((month, its)) if *month == line.month => its.push(line),
            _ => months.push((line.month.clone(), vec![line])),
        }
    }
    months
}

/// Where a page ended; from the beginning where that makes no sense.
fn end(text: &str) -> Option<PageEnd> {
    let mut parts = text.splitn(3, '.');
    let at = Millis::new(parts.next()?.parse().ok()?);
    let seq = parts.next()?.parse().ok()?;
    Some(PageEnd { at, seq, entry: parts.next()?.parse().ok()? })
}

#[derive(Deserialize)]
pub(super) struct Period {
    #[serde(default)]
    dal: String,
    #[serde(default)]
    al: String,
}

pub(super) async fn statement(
    parent: Parent,
    Path((_, wallet)): Path<(String, String)>,
    Query(period): Query<Period>,
) -> Response {
    let visit = &parent.visit;
    let Ok(wallet) = wallet.parse::<Uuid>() else { return refused_for(visit, Reason::UnknownWallet) };
    let (Ok(from), Ok(to)) = (period.dal.parse(), period.al.parse()) else {
        return refused_for(visit, Reason::PeriodInvalid);
    };
    let wanted = Wanted::Statement { wallet: wallet.into(), from, to };
    match of_caller(&visit.app, parent.who, &wanted, visit.language).await {
        Ok(document) => file(document),
        Err(stop) => no_document(visit, stop, Reason::UnknownWallet),
    }
}
