//! `borsellino ledger as-of` and `ledger export`: what was, and all there is. Beside a running server, reading only.

use std::path::PathBuf;
use std::process::ExitCode;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, WalletId};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Account;
use borsellino_domain::money::Cents;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Place;
use super::ledger::{chosen, open_for_reading};
use super::output::{Output, say};
use crate::usecases::ledger_export::hledger;
use crate::usecases::ledger_history::{AsOf, account_held, held};

#[derive(Debug, Args)]
pub(super) struct AsOfArgs {
    /// A day in Italy (2026-11-20: at its end) or an instant (2026-11-20T11:00:00+01:00).
    instant: AsOf,
    #[command(flatten)]
    place: Place,
    /// Only this creditor (11 digits).
    #[arg(long)]
    creditor: Option<String>,
    /// Only this wallet (its id).
    #[arg(long, conflicts_with = "bill")]
    wallet: Option<uuid::Uuid>,
    /// Only this bill (its id).
    #[arg(long)]
    bill: Option<uuid::Uuid>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A journal for hledger (1.25 or later).
    Hledger,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: Place,
    /// In which form.
    #[arg(long)]
    format: Format,
    /// Only this creditor (11 digits); without it every account's name begins with its creditor's code.
    #[arg(long)]
    creditor: Option<String>,
    /// Write to this file, which appears once it is whole, instead of the standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn euro(cents: Cents) -> String {
    cents.text(Language::Italian)
}

pub(super) async fn as_of(args: AsOfArgs) -> anyhow::Result<ExitCode> {
    let store = open_for_reading(&args.place.database()?).await?;
    let account = match (args.wallet, args.bill) {
        (Some(id), _) => Some(Account::wallet(WalletId::from(id))),
        (_, Some(id)) => Some(Account::bill(BillId::from(id))),
        (None, None) => None,
    };
    let (mut ledgers, mut found) = (Vec::new(), None);
    for row in chosen(&store, args.creditor.as_deref()).await? {
        if let Some(account) = account {
            let held = account_held(&store, row.fiscal_code, account, args.instant).await?;
            found = found.or(held.map(|held| (row.fiscal_code, row.name, held)));
            continue;
        }
        let held = held(&store, row.fiscal_code, args.instant).await?;
        if !args.json {
            let (wallets, bills) = (euro(held.wallets), euro(held.bills));
            let (suspense, clearing) = (euro(held.suspense), euro(held.clearing));
            let (counter, revenue) = (euro(held.counter), euro(held.revenue));
            say(format_args!(
                "{}\n  {} postings by then\n  wallets {wallets}, bills {bills}\n  suspense {suspense}, clearing {clearing}, \
                 counter {counter}, revenue {revenue}",
                row.name, held.postings
            ))?;
        }
        ledgers.push(json!({
            "creditor": row.fiscal_code.as_str(),
            "postings": held.postings,
            "wallets_cents": held.wallets.get(),
            "bills_cents": held.bills.get(),
            "suspense_cents": held.suspense.get(),
            "clearing_cents": held.clearing.get(),
            "counter_cents": held.counter.get(),
            "revenue_cents": held.revenue.get(),
        }));
    }
    store.close().await;
    let before_ms = args.instant.before.get();
    match (account, found) {
        (None, _) if args.json => say(json!({ "before_ms": before_ms, "ledgers": ledgers }))?,
        (None, _) => {}
        (Some(account), None) => anyhow::bail!("there is no {account} here"),
        (Some(account), Some((creditor, _, held))) if args.json => say(told(before_ms, creditor, account, held))?,
        (Some(account), Some((_, name, (cents, postings)))) => {
            say(format_args!("{name}\n  {account}\n  {} after {postings} postings", euro(cents)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(before_ms: i64, creditor: CreditorCode, account: Account, held: (Cents, u64)) -> serde_json::Value {
    json!({
        "before_ms": before_ms,
        "creditor": creditor.as_str(),
        "account": { "kind": account.kind.code(), "id": account.id.to_string() },
        "cents": held.0.get(),
        "postings": held.1,
    })
}

pub(super) async fn export(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let store = open_for_reading(&args.place.database()?).await?;
    let creditors: Vec<CreditorCode> =
        chosen(&store, args.creditor.as_deref()).await?.into_iter().map(|row| row.fiscal_code).collect();
    let mut out = Output::open(args.output.as_deref())?;
    let written = match args.format {
        Format::Hledger => hledger(&store, &creditors, args.creditor.is_none(), &mut out).await?,
    };
    out.finish()?;
    store.close().await;
    if args.output.is_some() {
        say(format_args!("{written} entries"))?;
    }
    Ok(ExitCode::SUCCESS)
}
