//! `borsellino queue`: what waits for the office, and its decisions; beside a running server, on its database.

use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::uuid_v7;
use borsellino_domain::language::Language;
use borsellino_domain::queue::Queue;
use borsellino_domain::time::Millis;
use borsellino_store::Store;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::output::say;
use crate::auth::keys::Keys;
use crate::clock::{Clock, random};
use crate::config::DatabaseKind;
use crate::usecases::Stop;
use crate::usecases::queues::{Decision, Order, Waiting, list as list_one, resolve as resolve_one, show as show_one};

/// For writing.
pub(super) async fn open(place: &DatabaseKind) -> anyhow::Result<Store> {
    if let DatabaseKind::Sqlite(path) = place {
        // Writing to a file that is not there would make one.
        anyhow::ensure!(path.exists(), "no ledger at {}: is the folder right?", path.display());
    }
    crate::open_store(place, 2).await.context("the database")
}

pub(super) async fn list(
    place: &DatabaseKind,
    creditor: Option<&str>,
    queue: Option<Queue>,
    all: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(place).await?;
    let (mut items, mut surplus) = (Vec::new(), Vec::new());
    for row in super::ledger::chosen(&store, creditor).await? {
        let mut waiting = list_one(&store, row.fiscal_code).await?;
        waiting.retain(|one| (all || one.resolution.is_none()) && queue.is_none_or(|queue| one.queue == queue));
        if !as_json {
            println!("{} ({})", row.name, row.fiscal_code);
            if waiting.is_empty() {
                println!("  nothing waits");
            }
            waiting.iter().for_each(print);
        }
        let code = row.fiscal_code;
        let overpaid = store.read(move |tx| Box::pin(async move { tx.surplus(&code).await })).await?;
        if !as_json && queue.is_none() {
            for bill in &overpaid {
                let amount = bill.surplus_cents.text(Language::Italian);
                say(format_args!("  overpaid    bill {}  {amount} too much\n    {}", bill.number, bill.id))?;
            }
        }
        surplus.extend(overpaid.iter().map(|bill| {
            json!({
                "creditor": code.as_str(),
                "bill": bill.id.to_string(),
                "number": bill.number,
                "surplus_cents": bill.surplus_cents.get(),
            })
        }));
        items.extend(waiting.iter().map(|one| told(row.fiscal_code.as_str(), one)));
    }
    store.close().await;
    if as_json {
        say(json!({ "items": items, "overpaid": surplus }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The message as it came, on the standard output.
pub(super) async fn show(
    place: &DatabaseKind,
    secret: &Zeroizing<[u8; 32]>,
    creditor: &str,
    item: &str,
) -> anyhow::Result<ExitCode> {
    let creditor = CreditorCode::parse(creditor).context("--creditor")?;
    let keys = Keys::derive(secret)?;
    let store = super::ledger::open_for_reading(place).await?;
    let outcome = show_one(&store, &keys, creditor, item).await;
    store.close().await;
    match outcome {
        Ok(message) => {
            say(String::from_utf8_lossy(&message))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Stop::Refused(refusal)) => Err(refusal.into()),
        Err(Stop::Fault(fault)) => Err(fault.into()),
    }
}

fn told(creditor: &str, one: &Waiting) -> Value {
    json!({
        "creditor": creditor,
        "item": one.item,
        "queue": one.queue.code(),
        "why": one.why,
        "received_at_ms": one.received_at.get(),
        "notice": one.notice,
        "amount_cents": one.amount.map(|amount| amount.get()),
        "resolution": one.resolution.as_ref().map(|row| json!({
            "action": row.action.code(),
            "reason": row.reason,
            "operator": row.operator,
            "at_ms": row.at_ms,
            "entry": row.entry.map(|entry| entry.to_string()),
        })),
    })
}

fn day(at: Millis) -> String {
    at.day_in_italy().map_or_else(|| at.get().to_string(), |day| day.to_string())
}

fn print(one: &Waiting) {
    let amount = one.amount.map_or_else(|| "-".to_owned(), |amount| amount.text(Language::Italian));
    println!("  {:<10}  {}  {amount:>12}  {}", one.queue.code(), day(one.received_at), one.why);
    if let Some(notice) = &one.notice {
        println!("    notice {notice}");
    }
    println!("    {}", one.item);
    if let Some(row) = &one.resolution {
        let (action, at) = (row.action.code(), day(Millis::new(row.at_ms)));
        println!("    {action} on {at} by {}: {}", row.operator, row.reason);
    }
}

pub(super) async fn resolve(
    place: &DatabaseKind,
    creditor: &str,
    item: String,
    decision: Decision,
    (reason, operator): (String, String),
) -> anyhow::Result<ExitCode> {
    let creditor = CreditorCode::parse(creditor).context("--creditor")?;
    let store = open(place).await?;
    let at = Clock::system().now();
    let entry = uuid_v7(at, random()?).into();
    let outcome = resolve_one(&store, Order { creditor, item, decision, reason, operator, at, entry }).await;
    store.close().await;
    match outcome {
        Ok(row) => {
            println!("{}: {}", row.item, row.action.code());
            Ok(ExitCode::SUCCESS)
        }
        Err(Stop::Refused(refusal)) => Err(refusal.into()),
        Err(Stop::Fault(fault)) => Err(fault.into()),
    }
}
