//! `borsellino creditor`: what a creditor asks of its guardians; beside a running server, on its database.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::office::Desk;
use super::output::say;
use super::{Place, SignedArgs};
use crate::usecases::privacy::{Notice, Reading, accepted, current, set};
use crate::usecases::{Stop, questions};

/// The longest text that is read at all, in bytes.
const LONGEST: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum CreditorCommand {
    /// The privacy notice that guardians accept in the portal, once per version.
    Privacy {
        #[command(subcommand)]
        command: PrivacyCommand,
    },
    /// Whether somebody who forgot their password is asked the secret question that they chose, beside the two proofs.
    SecretQuestion {
        #[command(subcommand)]
        command: QuestionCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum QuestionCommand {
    /// It is asked from now on, of whoever has chosen one on their profile page.
    On {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// It is not asked; what was chosen stays.
    Off {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Say whether it is asked.
    Show {
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PrivacyCommand {
    /// Set the notice: whoever has not accepted its version is asked on their next page.
    Set {
        /// What it is called, e.g. 2026-09. Another text needs another version.
        #[arg(long)]
        version: String,
        #[command(flatten)]
        reading: ReadingArgs,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Ask nothing any more; who accepted what stays.
    Clear {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Show the notice, and who accepted what and when. Names people: for the office's eyes.
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

/// Where it is read.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ReadingArgs {
    /// An address where it is read.
    #[arg(long)]
    link: Option<String>,
    /// A file with its text (UTF-8, empty lines between paragraphs); `-` reads standard input.
    #[arg(long)]
    text: Option<PathBuf>,
}

impl ReadingArgs {
    fn reading(self) -> anyhow::Result<Reading> {
        if let Some(link) = self.link {
            return Ok(Reading::At(link));
        }
        let path = self.text.context("--link or --text")?;
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().take(LONGEST).read_to_string(&mut text).context("standard input")?;
        } else {
            let file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
            file.take(LONGEST).read_to_string(&mut text).with_context(|| path.display().to_string())?;
        }
        Ok(Reading::Text(text))
    }
}

pub(super) async fn run(command: CreditorCommand) -> anyhow::Result<ExitCode> {
    let command = match command {
        CreditorCommand::Privacy { command } => command,
        CreditorCommand::SecretQuestion { command } => return question(command).await,
    };
    match command {
        PrivacyCommand::Set { version, reading, place, signed } => {
            let wanted = Some((version, reading.reading()?));
            put(&place, signed, wanted, "the privacy notice is set").await
        }
        PrivacyCommand::Clear { place, signed } => put(&place, signed, None, "no privacy notice is asked for").await,
        PrivacyCommand::Show { place, creditor, json } => show(&place, &creditor, json).await,
    }
}

async fn question(command: QuestionCommand) -> anyhow::Result<ExitCode> {
    let words = |asked| if asked { "is asked, of whoever has chosen one" } else { "is not asked" };
    let (place, signed, asked) = match command {
        QuestionCommand::On { place, signed } => (place, signed, true),
        QuestionCommand::Off { place, signed } => (place, signed, false),
        QuestionCommand::Show { place, creditor } => {
            let store = super::ledger::open_for_reading(&place.database()?).await?;
            let row = super::ledger::chosen(&store, Some(&creditor)).await?.into_iter().next().context("--creditor")?;
            let asked = questions::asks(&store, row.fiscal_code).await;
            store.close().await;
            println!("{}: the secret question {}", row.name, words(asked?));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let (act, town) = (desk.act()?, desk.creditor.name.clone());
    let outcome = questions::set_asks(&desk.store, act, asked).await;
    desk.close(outcome).await?;
    println!("{town}: from now on the secret question {}", words(asked));
    Ok(ExitCode::SUCCESS)
}

async fn put(
    place: &Place,
    signed: SignedArgs,
    wanted: Option<(String, Reading)>,
    done: &str,
) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let (act, town) = (desk.act()?, desk.creditor.name.clone());
    let outcome = set(&desk.store, act, wanted).await;
    desk.store.close().await;
    outcome.map_err(|stop| match stop {
        Stop::Refused(refusal) => anyhow::Error::from(refusal),
        Stop::Fault(fault) => fault.into(),
    })?;
    println!("{town}: {done} from now on");
    Ok(ExitCode::SUCCESS)
}

async fn show(place: &Place, creditor: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let read = async {
        Ok::<_, anyhow::Error>((current(&store, row.fiscal_code).await?, accepted(&store, row.fiscal_code).await?))
    };
    let read = read.await;
    store.close().await;
    let (notice, accepted) = read?;
    if as_json {
        let told = |notice: &Notice| {
            let (link, text) = match &notice.reading {
                Reading::At(link) => (Some(link), None),
                Reading::Text(text) => (None, Some(text)),
            };
            json!({ "version": notice.version, "link": link, "text": text, "set_at_ms": notice.at.get() })
        };
        let list = accepted.iter().map(|row| {
            json!({
                "version": row.version, "at_ms": row.at_ms.get(), "name": row.full_name, "fiscal_code": row.fiscal_code,
            })
        });
        let all = json!({ "notice": notice.as_ref().map(told), "accepted": list.collect::<Vec<_>>() });
        say(all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = Vec::new();
    match &notice {
        None => lines.push(format!("{}: no privacy notice is asked for", row.name)),
        Some(notice) => {
            lines.push(format!("{}: version {} since {}", row.name, notice.version, notice.at.iso()));
            lines.push(match &notice.reading {
                Reading::At(link) => format!("  read at {link}"),
                Reading::Text(text) => format!("  a text of {} characters", text.chars().count()),
            });
        }
    }
    for row in &accepted {
        lines.push(format!("  {} {} ({}) accepted {}", row.at_ms.iso(), row.full_name, row.fiscal_code, row.version));
    }
    say(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}
