//! `Paga`: everything that is due in one table; what is ticked is paid in one visit to pagoPA, or with its notices.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::money::Cents;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::top_up::PaymentState;
use borsellino_proto::reason::Reason;
use serde::Deserialize;

use super::forms::{Fields, Posted};
use super::frame::{Frame, ended, fault, go, refused_for, show, stopped};
use super::home::{of_bill, of_payment};
use super::top_up::fee;
use super::visit::{Parent, renew};
use crate::usecases::Stop;
use crate::usecases::carts::{CartRefusal, MAX_NOTICES, open_cart};
use crate::usecases::fees;
use crate::usecases::home::home;
use crate::usecases::views::{HomeView, NoticeView};

#[derive(Template)]
#[template(path = "portal/pay.html")]
struct Pay {
    f: Frame,
    problem: Option<String>,
    /// Where several services ask for money: each, and whether only it is shown.
    categories: Vec<(String, bool)>,
    rows: Vec<Row>,
    /// What the creditor asks for.
    owed: String,
    owed_cents: i64,
    chosen: String,
    left: String,
    fee: String,
}

/// A line of the table.
struct Row {
    number: String,
    services: Vec<String>,
    period: String,
    due: String,
    children: String,
    state: String,
    mood: &'static str,
    amount: String,
    cents: i64,
    /// The creditor asks for it; a top-up is the parent's own wish.
    owed: bool,
    reason: String,
    link: String,
    payable: bool,
    ticked: bool,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    /// `Categoria di pagamento`: a service's name, empty for all.
    #[serde(default)]
    categoria: String,
}

pub(super) async fn page(parent: Parent, Query(asked): Query<Asked>) -> Response {
    let visit = &parent.visit;
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let mut response = table(&parent, &view, StatusCode::OK, (None, &asked.categoria), None).await;
    renew(&parent, &mut response).await;
    response
}

async fn table(
    parent: &Parent,
    view: &HomeView,
    status: StatusCode,
    (problem, category): (Option<String>, &str),
    fields: Option<&Fields>,
) -> Response {
    let visit = &parent.visit;
    let w = visit.words;
    let fees = match fees::of_caller(&visit.app, parent.who).await {
        Ok(fees) => fees,
        Err(stop) => return stopped(visit, stop),
    };
    let all = rows(view, &visit.base(), &w, fields);
    let mut names: Vec<String> = all.iter().flat_map(|row| row.services.clone()).collect();
    names.sort();
    names.dedup();
    // A category that asks for nothing any more hides nothing.
    let category = Some(category).filter(|category| names.iter().any(|name| name == category));
    let shown = |row: &Row| category.is_none_or(|category| row.services.iter().any(|name| name == category));
    let rows: Vec<Row> = all.into_iter().filter(shown).collect();
    let sum = |rows: &mut dyn Iterator<Item = &Row>| {
        rows.fold(Cents::ZERO, |sum, row| sum.plus(Cents::new(row.cents)).unwrap_or(sum)).get()
    };
    let owed = sum(&mut rows.iter().filter(|row| row.owed));
    let chosen = sum(&mut rows.iter().filter(|row| row.ticked));
    let settled = sum(&mut rows.iter().filter(|row| row.ticked && row.owed));
    let range = fees.and_then(|fees| fees.table.range(if chosen > 0 { chosen } else { owed }));
    let page = Pay {
        f: visit.frame(w.of(["Paga", "Pay", "Bezahlen"]), "/paga"),
        problem,
        categories: match names.len() {
            0 | 1 => Vec::new(),
            _ => names.into_iter().map(|name| (name.clone(), category == Some(name.as_str()))).collect(),
        },
        owed: w.money(owed.saturating_neg()),
        chosen: w.money(chosen),
        left: w.money(settled.saturating_sub(owed)),
        owed_cents: owed,
        fee: range.map(|range| fee(range, &w)).unwrap_or_default(),
        rows,
    };
    show(status, &page)
}

fn rows(view: &HomeView, base: &str, w: &borsellino_domain::words::Words, fields: Option<&Fields>) -> Vec<Row> {
    let child = |id| view.children.iter().find(|child| child.id == id).map(|child| child.given_name.clone());
    let unique = |names: Vec<String>| {
        let mut seen: Vec<String> = Vec::new();
        for name in names {
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
        seen
    };
    // What is due is ticked; what a parent unticked stays so.
    let ticked = |number: &str| fields.is_none_or(|fields| fields.all("avviso").any(|one| one == number));
    let bills = view.bills.iter().filter_map(|bill| {
        let notice = bill.notice.as_ref()?;
        let due = of_bill(bill, base, w);
        Some(Row {
            services: unique(bill.lines.iter().map(|line| line.service_name.clone()).collect()),
            period: bill.period.clone(),
            due: w.iso_day(&bill.due_date),
            children: unique(bill.lines.iter().filter_map(|line| child(line.child)).collect()).join(", "),
            amount: due.amount,
            state: match bill.payment {
                PaymentState::InProgress { .. } => due.state,
                _ => w.of(["Da pagare", "To pay", "Zu zahlen"]).to_owned(),
            },
            mood: due.mood,
            cents: notice.amount.cents(),
            owed: true,
            reason: notice.reason.clone(),
            link: due.link,
            payable: due.payable,
            ticked: due.payable && ticked(notice.number.as_str()),
            number: notice.number.to_string(),
        })
    });
    let top_ups = view.payments.iter().filter_map(|payment| {
        let due = of_payment(payment, view, base, w);
        let open = matches!(
            payment.state,
            PaymentState::Payable | PaymentState::NotCompleted | PaymentState::InProgress { .. }
        );
        let (whose, wallet) = view.children.iter().find_map(|child| {
            let wallet = child.wallets.iter().find(|wallet| wallet.id == payment.wallet)?;
            Some((child.given_name.clone(), wallet.service_name.clone()))
        })?;
        open.then(|| Row {
            number: payment.notice.number.to_string(),
            services: vec![wallet],
            period: w.of(["Ricarica", "Top-up", "Aufladung"]).to_owned(),
            due: payment.notice.expires_at.map(|at| w.day(at)).unwrap_or_default(),
            children: whose,
            state: due.state,
            mood: due.mood,
            amount: due.amount,
            cents: payment.notice.amount.cents(),
            owed: false,
            reason: payment.notice.reason.clone(),
            link: due.link,
            payable: due.payable,
            // A top-up that waits is the parent's to choose; nobody owes it.
            ticked: due.payable
                && fields.is_some_and(|fields| fields.all("avviso").any(|one| one == payment.notice.number.as_str())),
        })
    });
    bills.chain(top_ups).collect()
}

impl Row {
    fn service(&self) -> String {
        self.services.join(", ")
    }
}

/// Where the outcome of a notice is shown.
pub(super) fn outcome(view: &HomeView, number: &NoticeNumber) -> Option<(&'static str, String)> {
    let bill = view.bills.iter().find(|bill| {
        let own = |notice: &Option<NoticeView>| notice.as_ref().is_some_and(|notice| notice.number == *number);
        own(&bill.notice) || bill.instalments.iter().any(|part| own(&part.notice))
    });
    if let Some(bill) = bill {
        return Some(("bollettino", bill.id.to_string()));
    }
    let payment = view.payments.iter().find(|payment| payment.notice.number == *number)?;
    Some(("ricarica", payment.id.to_string()))
}

pub(super) async fn start(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let again = async |words: [&'static str; 3]| {
        let problem = Some(visit.words.of(words).to_owned());
        table(&parent, &view, StatusCode::UNPROCESSABLE_ENTITY, (problem, ""), Some(&fields)).await
    };
    let mut numbers: Vec<NoticeNumber> = Vec::new();
    for text in fields.all("avviso") {
        let Ok(number) = text.parse::<NoticeNumber>() else { return refused_for(visit, Reason::UnknownNotice) };
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    if numbers.is_empty() {
        return again([
            "Per procedere con il pagamento seleziona almeno un bollettino.",
            "To pay, tick at least one bill.",
            "Um zu bezahlen, wählen Sie mindestens eine Rechnung aus.",
        ])
        .await;
    }
    if numbers.len() > MAX_NOTICES {
        return again([
            "Con un solo pagamento se ne possono pagare al massimo cinque: togline qualcuno, lo paghi dopo.",
            "One payment can hold at most five: untick some and pay them afterwards.",
            "In einer Zahlung gehen höchstens fünf: Wählen Sie einige ab und bezahlen Sie sie danach.",
        ])
        .await;
    }
    let places: Option<Vec<_>> = numbers.iter().map(|number| outcome(&view, number)).collect();
    let Some(places) = places else {
        return refused_for(visit, Reason::UnknownNotice);
    };
    if fields.get("come") == "avviso" {
        return match numbers.as_slice() {
            [one] => go(&format!("{}/avviso/{one}", visit.base())),
            _ => go(&outcome_path(&visit.base(), &places)),
        };
    }
    match open_cart(&visit.app, parent.who, numbers).await {
        Ok(_) => go(&format!("{}?vai", outcome_path(&visit.base(), &places))),
        Err(Stop::Refused(CartRefusal::Session(refusal))) => ended(visit, refusal),
        Err(Stop::Refused(CartRefusal::InProgress { until })) => {
            let until = visit.words.hour(until);
            let words = match visit.language {
                borsellino_domain::language::Language::Italian => format!(
                    "Uno di questi è già in pagamento, insieme ad altro: concludilo, oppure riprova dopo le {until}."
                ),
                borsellino_domain::language::Language::English => {
                    format!(
                        "One of these is being paid already, together with others: finish that, or try again after {until}."
                    )
                }
                borsellino_domain::language::Language::German => format!(
                    "Eine davon wird schon bezahlt, zusammen mit anderen: Schließen Sie das ab, oder versuchen Sie es nach {until} wieder."
                ),
            };
            table(&parent, &view, StatusCode::CONFLICT, (Some(words), ""), Some(&fields)).await
        }
        Err(Stop::Refused(CartRefusal::NotPayable)) => refused_for(visit, Reason::NoticeNotPayable),
        Err(Stop::Refused(CartRefusal::UnknownNotice | CartRefusal::Size)) => refused_for(visit, Reason::UnknownNotice),
        Err(Stop::Fault(error)) => fault(visit, &error),
    }
}

/// `/comune/.../esito/ricarica/ID.ID`; of both kinds: `/esito/insieme/b-ID.r-ID`.
fn outcome_path(base: &str, places: &[(&'static str, String)]) -> String {
    let mut kinds: Vec<&str> = places.iter().map(|(kind, _)| *kind).collect();
    kinds.dedup();
    match kinds.as_slice() {
        [kind] => {
            format!("{base}/esito/{kind}/{}", places.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>().join("."))
        }
        _ => {
            let ids = places.iter().map(|(kind, id)| format!("{}-{id}", kind.get(..1).unwrap_or_default()));
            format!("{base}/esito/insieme/{}", ids.collect::<Vec<_>>().join("."))
        }
    }
}
