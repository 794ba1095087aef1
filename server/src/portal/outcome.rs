//! `Esito`: how a payment stands, and nothing else proves it than the receipt. The page follows the receipt live and may be closed at any
//! moment; asked with `?vai` it leads on to pagoPA.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use borsellino_domain::bill::BillState;
use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::top_up::{PAYMENT_TOKEN_MILLIS, PaymentState};
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use futures_util::stream;
use uuid::Uuid;

use super::frame::{Frame, ended, fault, refused_for, show, stopped};
use super::home::{Due, of_bill, of_payment};
use super::offline::keep_up;
use super::visit::{Parent, Visit, paying, renew};
use crate::live::Listening;
use crate::usecases::carts::{MAX_NOTICES, notices_on_page};
use crate::usecases::feed::{After, after};
use crate::usecases::home::home;
use crate::usecases::pay::{PayRefusal, bill, top_up};
use crate::usecases::views::{BillView, HomeView, PaymentView};
use crate::usecases::{App, Stop};

/// How often a quiet page is told that the line lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Template)]
#[template(path = "portal/outcome.html")]
struct Outcome {
    f: Frame,
    items: Vec<Item>,
    /// Every one of them is settled: nothing is waited for.
    settled: bool,
    /// Where the live stream is.
    live: String,
    htmx: String,
}

struct Item {
    due: Due,
    advice: String,
    /// The pagoPA page asks for more than this.
    together: String,
    /// The pagoPA page, while one is live.
    page: Option<String>,
    /// Its notice, where one may still pay with it.
    notice: Option<String>,
    number: Option<String>,
    /// The new balance, once paid.
    balance: Option<(String, String)>,
    receipt: Option<String>,
    /// A line for each notice of a bill in instalments.
    parts: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "portal/leaving.html")]
struct Leaving {
    f: Frame,
    page: String,
    amount: String,
    /// It is for several notices.
    together: String,
    outcome: String,
}

/// What is looked at: top-ups and bills, by their ids.
enum Looked {
    TopUp(PaymentView),
    Bill(BillView),
}

fn ids(kind: &str, text: &str) -> Option<Vec<(bool, Uuid)>> {
    let mut all = Vec::new();
    for part in text.split('.') {
        let (is_bill, id) = match kind {
            "bollettino" => (true, part),
            "ricarica" => (false, part),
            "insieme" => match part.split_once('-')? {
                ("b", id) => (true, id),
                ("r", id) => (false, id),
                _ => return None,
            },
            _ => return None,
        };
        all.push((is_bill, id.parse().ok()?));
    }
    (1..=MAX_NOTICES).contains(&all.len()).then_some(all)
}

async fn look(parent: &Parent, (kind, text): (&str, &str)) -> Result<Vec<Looked>, Response> {
    let visit = &parent.visit;
    let ids = ids(kind, text).ok_or_else(|| refused_for(visit, Reason::UnknownTopUp))?;
    let mut looked = Vec::with_capacity(ids.len());
    for (is_bill, id) in ids {
        let one = if is_bill {
            bill(&visit.app, parent.who, id.into()).await.map(Looked::Bill)
        } else {
            top_up(&visit.app, parent.who, id.into()).await.map(Looked::TopUp)
        };
        looked.push(one.map_err(|stop| match stop {
            Stop::Refused(PayRefusal::Session(refusal)) => ended(visit, refusal),
            Stop::Refused(PayRefusal::UnknownBill | PayRefusal::BillSettled) => refused_for(visit, Reason::UnknownBill),
            Stop::Refused(PayRefusal::UnknownTopUp | PayRefusal::TopUp(_)) => refused_for(visit, Reason::UnknownTopUp),
            Stop::Fault(error) => fault(visit, &error),
        })?);
    }
    Ok(looked)
}

pub(super) async fn page(
    parent: Parent,
    Path((_, kind, text)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = &parent.visit;
    let looked = match look(&parent, (&kind, &text)).await {
        Ok(looked) => looked,
        Err(response) => return response,
    };
    let outcome = format!("{}/esito/{kind}/{text}", visit.base());
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let mut items: Vec<Item> = looked.iter().map(|one| item(visit, &view, one)).collect();
    for (item, one) in items.iter_mut().zip(&looked) {
        let (Some(page), Some(number)) = (page_of(one), number_of(one)) else { continue };
        let here = looked.iter().filter(|other| page_of(other) == Some(page)).count();
        match notices_on_page(&visit.app, parent.who, number).await {
            Ok(Some(all)) if all > here => item.together = together(&visit.words, all, whole(&view, page, all)),
            Ok(_) => {}
            Err(stop) => return stopped(visit, stop),
        }
    }
    // One page that all of them are on, and nothing else is: else the sum would not be what it asks for.
    if query.as_deref() == Some("vai")
        && let Some(page) = looked.first().and_then(page_of)
        && looked.iter().all(|one| page_of(one) == Some(page))
        && items.iter().all(|item| item.together.is_empty())
    {
        return leave(visit, &looked, page, &outcome);
    }
    let settled = items.iter().all(|item| item.due.mood != "wait" && !(item.due.payable && item.page.is_some()));
    let title = if items.iter().all(|item| item.due.payable) {
        visit.words.of(["Da pagare", "To pay", "Zu bezahlen"])
    } else {
        visit.words.of(["Esito del pagamento", "How the payment stands", "Stand der Zahlung"])
    };
    let page = Outcome {
        f: visit.frame(title, "/paga"),
        items,
        settled,
        live: format!("{outcome}/vivo?dopo={}", view.feed_seq),
        htmx: super::assets::path("htmx.js"),
    };
    let mut response = show(StatusCode::OK, &page);
    renew(&parent, &mut response).await;
    keep_up(visit, &mut response);
    response
}

fn page_of(one: &Looked) -> Option<&str> {
    match one {
        Looked::TopUp(payment) => payment.page_url.as_deref(),
        Looked::Bill(bill) => bill.page_url.as_deref(),
    }
}

fn number_of(one: &Looked) -> Option<NoticeNumber> {
    match one {
        Looked::TopUp(payment) => Some(payment.notice.number),
        Looked::Bill(bill) => bill.notice.as_ref().map(|notice| notice.number),
    }
}

/// What a page asks for, where this family sees all the notices that are on it.
fn whole(view: &HomeView, page: &str, notices: usize) -> Option<i64> {
    let on = |url: &Option<String>| url.as_deref() == Some(page);
    let bills = view.bills.iter().filter(|bill| on(&bill.page_url)).filter_map(|bill| bill.notice.as_ref());
    let top_ups = view.payments.iter().filter(|payment| on(&payment.page_url)).map(|payment| &payment.notice);
    let seen: Vec<i64> = bills.chain(top_ups).map(|notice| notice.amount.cents()).collect();
    (seen.len() == notices).then(|| seen.into_iter().fold(0, i64::saturating_add))
}

/// That a page is for several notices, and how much it asks for.
fn together(w: &Words, notices: usize, cents: Option<i64>) -> String {
    let begins = match w.language {
        Language::Italian => format!("Su pagoPA si pagano insieme {notices} avvisi"),
        Language::English => format!("At pagoPA {notices} notices are paid together"),
        Language::German => format!("Bei pagoPA werden {notices} Mitteilungen zusammen bezahlt"),
    };
    let whole = cents.map(|cents| format!(": {} {}", w.of(["in tutto", "in all", "insgesamt"]), w.money(cents)));
    format!("{begins}{}.", whole.unwrap_or_default())
}

/// To pagoPA. By a page of ours in between, as a form of ours may lead to ours only.
fn leave(visit: &Visit, looked: &[Looked], page: &str, outcome: &str) -> Response {
    let cents = looked.iter().map(|one| match one {
        Looked::TopUp(payment) => payment.amount.cents(),
        Looked::Bill(bill) => bill.notice.as_ref().map_or(0, |notice| notice.amount.cents()),
    });
    to_pagopa(visit, (cents.fold(0, i64::saturating_add), looked.len()), page, outcome)
}

/// The page in between: how much and for how many notices, where to, and where one sees afterwards how it stands.
pub(super) fn to_pagopa(visit: &Visit, (cents, notices): (i64, usize), page: &str, outcome: &str) -> Response {
    let title = visit.words.of(["Ti portiamo su pagoPA", "On to pagoPA", "Weiter zu pagoPA"]);
    let shown = Leaving {
        f: visit.frame(title, "/paga"),
        page: page.to_owned(),
        amount: visit.words.money(cents),
        together: if notices > 1 { together(&visit.words, notices, None) } else { String::new() },
        outcome: outcome.to_owned(),
    };
    let mut response = show(StatusCode::OK, &shown);
    if let Ok(refresh) = HeaderValue::try_from(format!("0; url={page}")) {
        response.headers_mut().insert("refresh", refresh);
    }
    paying(visit, outcome, &mut response);
    response
}

fn item(visit: &Visit, view: &HomeView, one: &Looked) -> Item {
    let (w, base) = (visit.words, visit.base());
    let wait_until = |at| w.not_completed_advice(Some(at));
    match one {
        Looked::TopUp(payment) => {
            let due = of_payment(payment, view, &base, &w);
            let advice = match payment.state {
                PaymentState::InProgress { .. } if payment.page_url.is_some() => w.go_on_here().to_owned(),
                PaymentState::InProgress { until } => w.in_progress_advice(Some(until)),
                PaymentState::NotCompleted => wait_until(payment.created_at.plus(PAYMENT_TOKEN_MILLIS)),
                _ => String::new(),
            };
            let paid = payment.state == PaymentState::Paid;
            let open = matches!(
                payment.state,
                PaymentState::Payable | PaymentState::NotCompleted | PaymentState::InProgress { .. }
            );
            let wallet = view.children.iter().flat_map(|child| child.wallets.iter().map(move |wallet| (child, wallet)));
            let wallet = wallet.into_iter().find(|(_, wallet)| wallet.id == payment.wallet);
            let balance = wallet.filter(|_| paid).map(|(child, wallet)| {
                (w.balance_of(w.service(wallet.kind), &child.given_name), w.balance(wallet.balance.get()))
            });
            let number = payment.notice.number.to_string();
            Item {
                advice,
                together: String::new(),
                page: payment.page_url.clone(),
                notice: open.then(|| format!("{base}/avviso/{number}")),
                number: (due.payable || (open && payment.page_url.is_none())).then_some(number),
                balance,
                receipt: paid.then(|| format!("{base}/ricevuta/ricarica/{}", payment.id)),
                parts: Vec::new(),
                due,
            }
        }
        Looked::Bill(bill) => {
            let due = of_bill(bill, &base, &w);
            let advice = match bill.payment {
                PaymentState::InProgress { .. } if bill.page_url.is_some() => w.go_on_here().to_owned(),
                PaymentState::InProgress { until } => w.in_progress_advice(Some(until)),
                PaymentState::NotCompleted => w.not_completed_advice(None),
                _ => String::new(),
            };
            let paid = matches!(bill.state, BillState::Paid | BillState::Overpaid { .. });
            let some = paid || matches!(bill.state, BillState::PartPaid { .. });
            let number = bill.notice.as_ref().map(|notice| notice.number.to_string());
            let parts = bill.instalments.iter().map(|part| {
                let name = format!("{} {}", w.of(["Rata", "Instalment", "Rate"]), part.number);
                let state = match part.payment {
                    PaymentState::Paid => w.of(["pagata", "paid", "bezahlt"]).to_owned(),
                    _ => w.to_pay(part.amount.cents(), &w.iso_day(&part.due_date)),
                };
                (name, w.money(part.amount.cents()), state)
            });
            Item {
                advice,
                together: String::new(),
                page: bill.page_url.clone(),
                notice: number.as_ref().map(|number| format!("{base}/avviso/{number}")),
                number: number.filter(|_| due.payable || bill.page_url.is_none()),
                balance: None,
                receipt: some.then(|| format!("{base}/ricevuta/bollettino/{}", bill.id)),
                parts: parts.collect(),
                due,
            }
        }
    }
}

/// Says when there is something new: the page asks for itself again then.
pub(super) async fn live(parent: Parent, RawQuery(query): RawQuery) -> Response {
    let visit = &parent.visit;
    let from = query.as_deref().and_then(|query| query.strip_prefix("dopo=")).and_then(|seq| seq.parse().ok());
    let (app, who) = (visit.app.clone(), parent.who);
    let Some(listening) = app.live.listen(who.creditor, who.guardian.uuid(), who.session) else {
        return (StatusCode::TOO_MANY_REQUESTS, "").into_response();
    };
    let watch = Watch { app, who, listening, seq: from.unwrap_or(0), over: false };
    let events =
        stream::unfold(watch, async |mut watch| watch.news().await.map(|event| (Ok::<_, Infallible>(event), watch)));
    let keep = KeepAlive::new().interval(HEARTBEAT);
    Sse::new(Box::pin(events)).keep_alive(keep).into_response()
}

struct Watch {
    app: App,
    who: crate::auth::token::Identity,
    listening: Listening,
    seq: i64,
    over: bool,
}

impl Watch {
    /// The next event; `None` once the page has to come by itself.
    async fn news(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let mut stopping = self.app.stopping.clone();
        loop {
            match after(&self.app, self.who, self.seq).await {
                Ok(After::Changes(page)) if page.last > self.seq => {
                    self.seq = page.last;
                    self.listening.read(self.seq);
                    return Some(Event::default().event("novita").data(self.seq.to_string()));
                }
                Ok(After::Changes(_)) => self.listening.read(self.seq),
                // The browser asks again in a while.
                Err(Stop::Fault(error)) => {
                    tracing::warn!(%error, "a live page could not be told");
                    return None;
                }
                // The page is from another life of the database, or its session has ended: it asks and sees.
                Ok(After::Resync(_)) | Err(Stop::Refused(_)) => {
                    self.over = true;
                    return Some(Event::default().event("novita").data("0"));
                }
            }
            tokio::select! {
                () = self.listening.news() => {}
                // The browser comes back, to this node or another.
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }
}
