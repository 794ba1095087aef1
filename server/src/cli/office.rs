//! `borsellino bill`, `borsellino notice`, `borsellino office`: what the office does by hand until it has pages of its own;
//! beside a running server, on its database.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::draft::DraftPart;
use borsellino_domain::id::BillId;
use borsellino_domain::language::Language;
use borsellino_domain::money::Amount;
use borsellino_store::Store;
use borsellino_store::rows::CreditorRow;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::json;

use crate::clock::Clock;
use crate::config::DatabaseKind;
use crate::usecases::Stop;
use crate::usecases::office::{
    Act, BillOrder, OfficeRefusal, cancel_notice, issue_bill, settle_notice, wipe_phones, withdraw_bill,
};

/// Whose, and who signs.
pub(super) struct Signed {
    pub(super) creditor: String,
    pub(super) reason: String,
    pub(super) operator: String,
}

/// The office's desk: an open database, whose it is, and who sits there.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) creditor: CreditorRow,
    signed: (String, String),
}

impl Desk {
    pub(super) async fn open(place: &DatabaseKind, signed: Signed) -> anyhow::Result<Self> {
        let store = super::queue::open(place).await?;
        let creditor = super::ledger::chosen(&store, Some(&signed.creditor)).await?;
        let creditor = creditor.into_iter().next().context("--creditor")?;
        Ok(Self { store, creditor, signed: (signed.reason, signed.operator) })
    }

    pub(super) fn act(&self) -> anyhow::Result<Act> {
        Ok(Act::new(self.creditor.fiscal_code, Clock::system().now(), self.signed.clone())?)
    }

    pub(super) async fn close<T>(self, outcome: Result<T, Stop<OfficeRefusal>>) -> anyhow::Result<T> {
        self.store.close().await;
        outcome.map_err(|stop| match stop {
            Stop::Refused(refusal) => refusal.into(),
            Stop::Fault(fault) => fault.into(),
        })
    }
}

fn euro(amount: Amount) -> String {
    amount.as_cents().text(Language::Italian)
}

pub(super) async fn cancel(place: &DatabaseKind, signed: Signed, number: String) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(place, signed).await?;
    let outcome = cancel_notice(&desk.store, desk.act()?, number.clone()).await;
    desk.close(outcome).await?;
    println!("{number}: cancelled; a payment under way still finds its wallet");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn wipe(place: &DatabaseKind, signed: Signed, username: String) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(place, signed).await?;
    let outcome = wipe_phones(&desk.store, desk.act()?, username).await;
    let sessions = desk.close(outcome).await?;
    println!("{sessions} sessions ended; their phones forget the account when they next reach the server");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn settle(place: &DatabaseKind, signed: Signed, number: String) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(place, signed).await?;
    let outcome = settle_notice(&desk.store, desk.act()?, number.clone()).await;
    let taken = desk.close(outcome).await?;
    println!("{number}: {} taken at the counter", euro(taken));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn withdraw(place: &DatabaseKind, signed: Signed, bill: uuid::Uuid) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(place, signed).await?;
    let outcome = withdraw_bill(&desk.store, desk.act()?, BillId::from(bill)).await;
    let withdrawn = desk.close(outcome).await?;
    println!("{bill}: {} no longer owed", euro(withdrawn.residual));
    if withdrawn.page_until.is_some() {
        println!("  a parent may be paying it just now: that money would wait in `borsellino queue list`");
    }
    Ok(ExitCode::SUCCESS)
}

/// A bill as a file says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BillFile {
    guardian: String,
    number: String,
    period: String,
    reason: String,
    lines: Vec<LineFile>,
    due: Vec<PartFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineFile {
    child: String,
    service: String,
    amount_cents: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartFile {
    date: String,
    amount_cents: i64,
}

impl BillFile {
    fn order(self) -> anyhow::Result<BillOrder> {
        let amount = |cents: i64| Amount::from_cents(cents).with_context(|| format!("amount_cents {cents}"));
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            lines.push((line.child.trim().to_uppercase(), line.service, amount(line.amount_cents)?));
        }
        let mut parts = Vec::with_capacity(self.due.len());
        for part in self.due {
            let due: Date = part.date.parse().with_context(|| format!("date {}: write 2026-12-31", part.date))?;
            parts.push(DraftPart { due, amount: amount(part.amount_cents)? });
        }
        Ok(BillOrder { guardian: self.guardian, words: (self.number, self.period, self.reason), lines, parts })
    }
}

pub(super) async fn issue(place: &DatabaseKind, signed: Signed, path: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    let bills: Vec<BillFile> = serde_json::from_str(&text)
        .with_context(|| format!("{} is no list of bills (docs/operators.md shows one)", path.display()))?;
    let mut orders = Vec::with_capacity(bills.len());
    for bill in bills {
        let number = bill.number.clone();
        orders.push((number.clone(), bill.order().with_context(|| format!("bill {number}"))?));
    }
    let desk = Desk::open(place, signed).await?;
    let (mut issued, mut refused) = (0usize, 0usize);
    for (number, order) in orders {
        match issue_bill(&desk.store, &desk.creditor, desk.act()?, order).await {
            Ok(stands) if stands.stood => println!("{number}: stands already ({})", stands.bill),
            Ok(stands) => {
                issued += 1;
                println!("{number}: issued ({})", stands.bill);
                stands.notices.iter().for_each(|notice| println!("  notice {notice}"));
            }
            Err(Stop::Refused(refusal)) => {
                refused += 1;
                eprintln!("{number}: not issued: {refusal}");
            }
            Err(Stop::Fault(fault)) => return desk.close(Err(Stop::Fault(fault))).await,
        }
    }
    desk.store.close().await;
    println!("{issued} issued, {refused} refused; the same file again issues only what is missing");
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the office did, oldest first.
pub(super) async fn log(place: &DatabaseKind, creditor: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let code = CreditorCode::parse(creditor).context("--creditor")?;
    let store = super::ledger::open_for_reading(place).await?;
    let acts = store.read(move |tx| Box::pin(async move { tx.actions(&code).await })).await?;
    store.close().await;
    if as_json {
        let acts = acts.iter().map(|row| {
            json!({
                "action": row.action.code(),
                "subject": row.subject,
                "reason": row.reason,
                "operator": row.operator,
                "at_ms": row.at_ms.get(),
                "entry": row.entry.map(|entry| entry.to_string()),
            })
        });
        println!("{}", json!({ "acts": acts.collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    if acts.is_empty() {
        println!("nothing was done by hand");
    }
    for row in acts {
        let day = row.at_ms.day_in_italy().map_or_else(String::new, |day| day.to_string());
        println!("{day}  {:<16}  {}", row.action.code(), row.subject);
        println!("    by {}: {}", row.operator, row.reason);
    }
    Ok(ExitCode::SUCCESS)
}
