//! `borsellino fees`: what paying costs, which parents are told before they pay; beside a running server, on its database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::fees::{FeeBand, FeeTable};
use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use clap::Subcommand;
use serde_json::json;

use super::Place;
use super::output::say;
use crate::clock::Clock;
use crate::usecases::fees::{import as import_table, show as show_table};

#[derive(Debug, Subcommand)]
pub(super) enum FeesCommand {
    /// Replace a creditor's fees with those of a CSV file: channel;from;to;fee, amounts in euros.
    Import {
        /// The file (docs/operators.md shows one).
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
    },
    /// Show a creditor's fees.
    Show {
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: FeesCommand) -> anyhow::Result<ExitCode> {
    match command {
        FeesCommand::Import { file, place, creditor } => import(&place, &file, &creditor).await,
        FeesCommand::Show { place, creditor, json } => show(&place, &creditor, json).await,
    }
}

async fn import(place: &Place, file: &Path, creditor: &str) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let table = FeeTable::parse_csv(&text).with_context(|| file.display().to_string())?;
    let store = super::queue::open(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let version = import_table(&store, row.fiscal_code, &table, Clock::system().now()).await;
    store.close().await;
    println!("{}: version {}, {} bands", row.name, version?, table.bands().len());
    Ok(ExitCode::SUCCESS)
}

async fn show(place: &Place, creditor: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let fees = show_table(&store, row.fiscal_code).await;
    store.close().await;
    let fees = fees?;
    if as_json {
        let bands = |fees: &FeeTable| fees.bands().iter().map(told).collect::<Vec<_>>();
        say(json!({
            "creditor": row.fiscal_code.as_str(),
            "version": fees.as_ref().map(|fees| &fees.version),
            "imported_at_ms": fees.as_ref().map(|fees| fees.imported_at.get()),
            "bands": fees.as_ref().map_or_else(Vec::new, |fees| bands(&fees.table)),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(fees) = fees else {
        say(format_args!("{}: no fees; parents are told that nobody knows", row.name))?;
        return Ok(ExitCode::SUCCESS);
    };
    say(format_args!("{}: version {}", row.name, fees.version))?;
    let euro = |cents: i64| Cents::new(cents).text(Language::Italian);
    for band in fees.table.bands() {
        let (from, to, fee) = (euro(band.from()), euro(band.to()), euro(band.fee()));
        say(format_args!("  {:<12} {from:>12} to {to:>14}  {fee:>8}", band.channel()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(band: &FeeBand) -> serde_json::Value {
    json!({ "channel": band.channel(), "from_cents": band.from(), "to_cents": band.to(), "fee_cents": band.fee() })
}
