//! Home, `I miei figli`: is there enough, and is anything due? One card for each child, each balance with its remedy in the same row.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::bill::BillState;
use borsellino_domain::service::ServiceKind;
use borsellino_domain::top_up::PaymentState;
use borsellino_domain::words::Words;

use super::frame::{Frame, show, stopped};
use super::movements::{Line, lines};
use super::offline::keep_up;
use super::visit::{Parent, renew};
use crate::usecases::content::Board;
use crate::usecases::home::{FrontView, front};
use crate::usecases::views::{BillView, ChildView, HomeView, PaymentView, WalletView};

#[derive(Template)]
#[template(path = "portal/home.html")]
struct Home {
    f: Frame,
    greeting: String,
    as_of: String,
    /// A recovery of this account is under way somewhere.
    asked_for: bool,
    strip: Vec<Due>,
    /// What all open bills ask for together, where there are several.
    all_due: Option<String>,
    children: Vec<Card>,
    movements: Vec<Line>,
    /// What the office tells.
    board: Board,
}

/// Something under way, or due.
pub(super) struct Due {
    /// The page that says more.
    pub(super) link: String,
    pub(super) title: String,
    pub(super) amount: String,
    /// How it stands, in words.
    pub(super) state: String,
    /// `wait`, `ok`, `stop`, `info`.
    pub(super) mood: &'static str,
    /// It can be paid there.
    pub(super) payable: bool,
}

pub(super) struct Card {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) services: Vec<Service>,
}

pub(super) struct Service {
    pub(super) icon: &'static str,
    pub(super) name: String,
    pub(super) balance: String,
    pub(super) spoken: String,
    pub(super) covers: String,
    pub(super) low: bool,
    /// Where it is filled; empty where it takes no money.
    pub(super) top_up: String,
    pub(super) movements: String,
}

pub(super) async fn page(parent: Parent) -> Response {
    let visit = &parent.visit;
    let FrontView { home: view, board, recovering } = match front(&visit.app, parent.who, visit.language).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let base = visit.base();
    let w = visit.words;
    let frame = visit.frame(w.of(["I miei figli", "My children", "Meine Kinder"]), "");
    let several = view.bills.iter().filter(|bill| bill.notice.is_some()).count() > 1;
    let greeting = view.guardian_name.split(' ').next().unwrap_or_default().to_owned();
    let page = Home {
        board,
        greeting,
        as_of: w.as_of(view.as_of),
        asked_for: recovering,
        strip: strip(&view, &base, &w),
        all_due: several.then(|| w.money(view.total_due.get())),
        movements: lines(&view.movements, &view, &base, &w),
        children: cards(&view, &base, &w),
        f: frame,
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    keep_up(visit, &mut response);
    response
}

/// The children, each with the balances of their services.
pub(super) fn cards(view: &HomeView, base: &str, w: &Words) -> Vec<Card> {
    let card = |child: &ChildView| {
        let place = [child.class_name.as_str(), child.school.as_str()];
        let place = place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let services = child.wallets.iter().map(|wallet| service(wallet, &child.given_name, base, w));
        Card { name: child.given_name.clone(), place, services: services.collect() }
    };
    view.children.iter().map(card).collect()
}

fn service(wallet: &WalletView, child: &str, base: &str, w: &Words) -> Service {
    let covers = wallet.covers.map(|units| w.covers(Some(wallet.kind), units));
    let covers = match (wallet.low, covers) {
        (true, Some(covers)) => format!("{}, {covers}", w.low()),
        (true, None) => w.low().to_owned(),
        (false, covers) => covers.unwrap_or_default(),
    };
    let cents = wallet.balance.get();
    Service {
        icon: icon(wallet.kind),
        name: wallet.service_name.clone(),
        balance: w.balance(cents),
        spoken: format!("{}: {}", w.balance_of(w.service(wallet.kind), child), w.spoken(cents)),
        covers,
        low: wallet.low,
        top_up: if wallet.open { format!("{base}/ricarica?saldo={}", wallet.id) } else { String::new() },
        movements: format!("{base}/movimenti?saldo={}", wallet.id),
    }
}

fn icon(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Canteen => "canteen",
        ServiceKind::Transport => "transport",
        ServiceKind::BeforeSchool => "before",
        ServiceKind::AfterSchool => "after",
        ServiceKind::Nursery => "nursery",
    }
}

/// What is under way or due soon: bills first, then top-ups that are not settled.
pub(super) fn strip(view: &HomeView, base: &str, w: &Words) -> Vec<Due> {
    let bills = view.bills.iter().map(|bill| of_bill(bill, base, w));
    let payments = view.payments.iter().map(|payment| of_payment(payment, view, base, w));
    bills.chain(payments).collect()
}

/// A bill, as it stands.
pub(super) fn of_bill(bill: &BillView, base: &str, w: &Words) -> Due {
    let residual = bill.state.residual().map_or(0, borsellino_domain::money::Amount::cents);
    // Once nothing is left, what it was for.
    let whole = bill.total.cents().saturating_sub(bill.withdrawn.get());
    let left = if residual > 0 { residual } else { whole };
    let asked = bill.notice.as_ref().map_or(left, |notice| notice.amount.cents());
    let due = w.iso_day(&bill.due_date);
    let (state, mood, payable) = match (bill.state, bill.payment) {
        (BillState::Overpaid { .. }, _) => (w.overpaid().to_owned(), "info", false),
        (BillState::Withdrawn { .. }, _) => (w.withdrawn().to_owned(), "info", false),
        (BillState::Paid, _) => (w.paid(None), "ok", false),
        (_, PaymentState::InProgress { .. }) => (w.in_progress().to_owned(), "wait", false),
        _ => (w.to_pay(asked, &due), "info", bill.notice.is_some()),
    };
    let bill_word = w.of(["Bollettino", "Bill", "Rechnung"]);
    Due {
        link: format!("{base}/esito/bollettino/{}", bill.id),
        title: format!("{bill_word} {}: {}", bill.number, bill.period),
        amount: w.money(asked),
        state: if bill.paid_twice { w.paid_twice().to_owned() } else { state },
        mood,
        payable,
    }
}

/// A top-up, as it stands.
pub(super) fn of_payment(payment: &PaymentView, view: &HomeView, base: &str, w: &Words) -> Due {
    let (state, mood) = match payment.state {
        _ if payment.paid_twice => (w.paid_twice().to_owned(), "info"),
        PaymentState::Payable => (w.payable(payment.notice.expires_at), "info"),
        PaymentState::InProgress { .. } => (w.in_progress().to_owned(), "wait"),
        PaymentState::NotCompleted => (w.not_completed().to_owned(), "stop"),
        PaymentState::Paid => (w.paid(payment.paid_at), "ok"),
        PaymentState::Expired => (w.expired().to_owned(), "stop"),
        PaymentState::Cancelled => (w.cancelled().to_owned(), "stop"),
    };
    let place = view.children.iter().find_map(|child| {
        let wallet = child.wallets.iter().find(|wallet| wallet.id == payment.wallet)?;
        Some(format!("{} {}", wallet.service_name, child.given_name))
    });
    let top_up = w.of(["Ricarica", "Top-up", "Aufladung"]);
    Due {
        link: format!("{base}/esito/ricarica/{}", payment.id),
        title: place.map_or_else(|| top_up.to_owned(), |place| format!("{top_up} {place}")),
        amount: w.money(payment.amount.cents()),
        state,
        mood,
        payable: payment.can_be_paid(),
    }
}
