//! `borsellino content`: news, events, documents, questions and help, as a folder that is imported and exported; beside a running
//! server, on its database.

mod folder;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::content::ContentId;
use clap::Subcommand;
use serde_json::json;

use super::office::Desk;
use super::output::say;
use super::{Place, SignedArgs};
use crate::usecases::Stop;
use crate::usecases::content::{RemoveRefusal, document, everything, publish, remove};

#[derive(Debug, Subcommand)]
pub(super) enum ContentCommand {
    /// Put out what a folder holds: `content.toml`, and the documents that it names. All of it, or nothing.
    ///
    /// The same id takes the place of what had it; what says the same already stays as it is; what is not in the folder stays too.
    Import {
        /// The folder (docs/operators.md shows one).
        folder: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Write everything to a folder, as import reads it.
    Export {
        /// A new folder, or an empty one.
        folder: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
    },
    /// List what is there.
    List {
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Take an entry away.
    Remove {
        /// Its id.
        id: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
}

pub(super) async fn run(command: ContentCommand) -> anyhow::Result<ExitCode> {
    match command {
        ContentCommand::Import { folder, place, signed } => import(&folder, &place, signed).await,
        ContentCommand::Export { folder, place, creditor } => export(&folder, &place, &creditor).await,
        ContentCommand::List { place, creditor, json } => list(&place, &creditor, json).await,
        ContentCommand::Remove { id, place, signed } => take_away(&id, &place, signed).await,
    }
}

async fn import(folder: &Path, place: &Place, signed: SignedArgs) -> anyhow::Result<ExitCode> {
    let entries = match folder::read(folder)? {
        Ok(entries) => entries,
        Err(mistakes) => {
            for mistake in &mistakes {
                eprintln!("{mistake}");
            }
            eprintln!("{} to put right; nothing was imported", mistakes.len());
            return Ok(ExitCode::FAILURE);
        }
    };
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let mut acts = Vec::with_capacity(entries.len());
    for entry in entries {
        acts.push((desk.act()?, entry));
    }
    let outcome = publish(&desk.store, acts).await;
    let published = desk.close(outcome).await?;
    println!("{} new, {} replaced, {} unchanged", published.new, published.replaced, published.unchanged);
    Ok(ExitCode::SUCCESS)
}

async fn export(to: &Path, place: &Place, creditor: &str) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let written = async {
        let rows = everything(&store, row.fiscal_code).await?;
        let mut folder = folder::Writer::new(to)?;
        for row_of in rows.chunk_by(|a, b| a.id == b.id) {
            let first = row_of.first().context("an entry")?;
            let file = match &first.name {
                None => None,
                Some(_) => document(&store, row.fiscal_code, ContentId::parse(&first.id)?).await?,
            };
            folder.entry(row_of, file.map(|(name, _, bytes)| (name, bytes)))?;
        }
        folder.finish()
    };
    let written = written.await;
    store.close().await;
    println!("{}: {} entries", row.name, written?);
    Ok(ExitCode::SUCCESS)
}

async fn list(place: &Place, creditor: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let rows = everything(&store, row.fiscal_code).await;
    store.close().await;
    let rows = rows?;
    let entries = rows.chunk_by(|a, b| a.id == b.id).filter_map(|of| Some((of.first()?, of)));
    if as_json {
        let list = entries.map(|(first, of)| {
            json!({
                "id": first.id, "kind": first.kind.code(), "day": first.day, "until": first.until_day, "hour": first.hour,
                "school_year": first.school_year, "title": first.title, "file": first.name, "bytes": first.size,
                "languages": of.iter().map(|row| row.language.as_str()).collect::<Vec<_>>(),
                "changed_at_ms": first.changed_at_ms.get(),
            })
        });
        say(json!({ "content": list.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say(format_args!("{}: nothing yet", row.name))?;
    }
    for (first, of) in entries {
        let when = first.day.clone().or_else(|| first.school_year.map(|year| year.to_string())).unwrap_or_default();
        let tongues = of.iter().map(|row| row.language.as_str()).collect::<Vec<_>>().join(",");
        say(format_args!("{:<8}  {:<24}  {when:<10}  {tongues:<8}  {}", first.kind.code(), first.id, first.title))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn take_away(id: &str, place: &Place, signed: SignedArgs) -> anyhow::Result<ExitCode> {
    let id = ContentId::parse(id).map_err(|why| anyhow::anyhow!("{id}: {why}"))?;
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let outcome = remove(&desk.store, desk.act()?, id.clone()).await;
    desk.store.close().await;
    match outcome {
        Ok(()) => {
            println!("{id}: taken away");
            Ok(ExitCode::SUCCESS)
        }
        Err(Stop::Refused(RemoveRefusal::Office(refusal))) => Err(refusal.into()),
        Err(Stop::Refused(refusal)) => Err(refusal.into()),
        Err(Stop::Fault(fault)) => Err(fault.into()),
    }
}
