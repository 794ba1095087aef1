//! `borsellino ledger verify`: beside a running server, on its database, reading only.

use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::language::Language;
use borsellino_store::Store;
use borsellino_store::rows::CreditorRow;
use serde_json::json;

use crate::config::DatabaseKind;
use crate::usecases::ledger_verify::{Report, verify as verify_one};
use crate::usecases::seal_verify::{SealReport, verify_seals};

/// The database, to be read and left as it is.
pub(super) async fn open_for_reading(place: &DatabaseKind) -> anyhow::Result<Store> {
    match place {
        DatabaseKind::Sqlite(path) => Store::open_sqlite_for_reading(path)
            .await
            .with_context(|| format!("no ledger at {}: is the folder right?", path.display())),
        DatabaseKind::Postgres(url) => Store::connect_postgres_for_reading(url).await.context("the database"),
    }
}

/// The creditor that was asked for with `--creditor`, or all of them.
pub(super) async fn chosen(store: &Store, creditor: Option<&str>) -> anyhow::Result<Vec<CreditorRow>> {
    let wanted = creditor.map(CreditorCode::parse).transpose().context("--creditor")?;
    let mut chosen = store.read(|tx| Box::pin(async move { tx.creditors().await })).await?;
    chosen.retain(|row| wanted.is_none_or(|code| row.fiscal_code == code));
    match (wanted, chosen.is_empty()) {
        (Some(code), true) => anyhow::bail!("{code} is no creditor of this database"),
        _ => Ok(chosen),
    }
}

pub(super) async fn verify(place: &DatabaseKind, creditor: Option<&str>, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = open_for_reading(place).await?;
    let mut sound = true;
    let mut reports = Vec::new();
    for row in chosen(&store, creditor).await? {
        let report = verify_one(&store, &row.fiscal_code, |_| {}).await?;
        let seals = verify_seals(&store, row.fiscal_code).await?;
        sound &= report.broken.is_none() && seals.broken.is_none();
        if !as_json {
            print_report(&row.name, &report, &seals);
        }
        reports.push(json!({
            "creditor": row.fiscal_code.as_str(),
            "entries": report.entries,
            "postings": report.postings,
            "accounts": report.accounts,
            "wallets_cents": report.wallets_total.get(),
            "bills_cents": report.bills_total.get(),
            "suspense_cents": report.suspense_total.get(),
            "clearing_cents": report.clearing_total.get(),
            "revenue_cents": report.revenue_total.get(),
            "counter_cents": report.counter_total.get(),
            "broken": report.broken.as_ref().map(ToString::to_string),
            "seals": {
                "count": seals.seals,
                "sealed_entries": seals.sealed,
                "unsealed_entries": seals.unsealed,
                "last": seals.last.map(|last| json!({
                    "number": last.number,
                    "at_ms": last.at.get(),
                    "hash": last.hash.to_string(),
                })),
                "public_keys": seals.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "broken": seals.broken.as_ref().map(ToString::to_string),
            },
        }));
    }
    store.close().await;
    if as_json {
        println!("{}", json!({ "sound": sound, "ledgers": reports }));
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_report(name: &str, report: &Report, seals: &SealReport) {
    let euro = |cents: borsellino_domain::money::Cents| cents.text(Language::Italian);
    println!("{name}");
    println!("  {} entries, {} postings, {} accounts", report.entries, report.postings, report.accounts);
    println!("  wallets {}, bills {}", euro(report.wallets_total), euro(report.bills_total));
    println!(
        "  suspense {}, clearing {}, counter {}, revenue {}",
        euro(report.suspense_total),
        euro(report.clearing_total),
        euro(report.counter_total),
        euro(report.revenue_total)
    );
    let yet = if seals.unsealed == 0 { String::new() } else { format!(", {} in none yet", seals.unsealed) };
    println!("  seals: {}, over {} entries{yet}", seals.seals, seals.sealed);
    if let Some(last) = &seals.last {
        println!("  last seal {} of {}, {}", last.number, last.at.iso(), last.hash);
    }
    for key in &seals.keys {
        println!("  signed with key {} ({key})", key.id());
    }
    if let Some(broken) = &report.broken {
        println!("  BROKEN, first at: {broken}");
    }
    if let Some(broken) = &seals.broken {
        println!("  BROKEN, in the seals: {broken}");
    }
    if report.broken.is_none() && seals.broken.is_none() {
        println!("  sound: every entry balances, every chain, balance and seal holds");
    }
}
