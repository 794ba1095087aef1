//! `borsellino mail`: what became of letters, what came back, and how documents go out; beside a running server, on its database.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::office::Desk;
use super::output::say;
use super::{Place, SignedArgs};
use crate::clock::Clock;
use crate::mail::returned::{MAX_BYTES, Notification, read};
use crate::usecases::post::Documents;
use crate::usecases::post::log::{Returned, came_back, choose, documents, letters};

/// What `bounce` ends with where the message is none of ours.
const NOT_OURS: u8 = 3;

#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// Read a delivery status notification (RFC 3464) from standard input, and mark the letter and the address it is about.
    ///
    /// For a mail server that pipes here what comes back. Ends with 0 where it was ours, also where there was nothing to mark,
    /// with 3 where it was not, with 1 where the database could not be reached: try again.
    Bounce {
        #[command(flatten)]
        place: Place,
    },
    /// List letters, the newest first: what they were, what became of them. No address stands there.
    List {
        #[command(flatten)]
        place: Place,
        /// Whose (11 digits).
        #[arg(long)]
        creditor: String,
        /// How many.
        #[arg(long, default_value_t = 50)]
        count: u32,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Choose how documents go out from now on: in the letter, or as a link to the server.
    Choose {
        /// How.
        #[arg(long)]
        documents: How,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
}

/// How documents go out.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum How {
    /// In the letter.
    Attachment,
    /// As a link.
    Link,
}

pub(super) async fn run(command: MailCommand) -> anyhow::Result<ExitCode> {
    match command {
        MailCommand::Bounce { place } => bounce(&place).await,
        MailCommand::List { place, creditor, count, json } => list(&place, &creditor, (count, json)).await,
        MailCommand::Choose { documents, place, signed } => {
            let documents = match documents {
                How::Attachment => Documents::Attachment,
                How::Link => Documents::Link,
            };
            let desk = Desk::open(&place.database()?, signed.into()).await?;
            let (act, town) = (desk.act()?, desk.creditor.name.clone());
            let outcome = choose(&desk.store, act, documents).await;
            desk.close(outcome).await?;
            println!("{town}: documents go out as {} from now on", documents.code());
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn bounce(place: &Place) -> anyhow::Result<ExitCode> {
    let mut message = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    std::io::stdin().take(limit).read_to_end(&mut message).context("standard input")?;
    let (letter, gone) = match read(&message) {
        Notification::None => {
            println!("no delivery status notification of a letter of this server");
            return Ok(ExitCode::from(NOT_OURS));
        }
        Notification::Passing(letter) => {
            println!("{letter}: not for good, nothing is marked");
            return Ok(ExitCode::SUCCESS);
        }
        Notification::Failed(letter, gone) => (letter, gone),
    };
    let store = super::queue::open(&place.database()?).await?;
    let returned = came_back(&store, (letter, gone), Clock::system().now()).await;
    store.close().await;
    match returned? {
        Returned::NotOurs => {
            println!("{letter}: no letter of this server, or one that is no longer in the log");
            Ok(ExitCode::from(NOT_OURS))
        }
        Returned::Marked => {
            println!("{letter}: marked; nothing more goes to that address until it is changed");
            Ok(ExitCode::SUCCESS)
        }
        Returned::LetterOnly => {
            println!(
                "{letter}: the letter is marked; the address is not (the refusal is not about the mailbox), is another one by now, or was marked before"
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(place: &Place, creditor: &str, (count, as_json): (u32, bool)) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let read = async {
        Ok::<_, anyhow::Error>((
            letters(&store, row.fiscal_code, count).await?,
            documents(&store, row.fiscal_code).await?,
        ))
    };
    let read = read.await;
    store.close().await;
    let (letters, documents) = read?;
    if as_json {
        let list = letters.iter().map(|letter| {
            json!({
                "id": letter.id.to_string(), "guardian": letter.guardian.to_string(), "kind": letter.kind,
                "about": letter.about, "elsewhere": letter.elsewhere != 0, "laid_at_ms": letter.created_at_ms.get(),
                "attempts": letter.attempts, "last_code": letter.last_code, "outcome": letter.outcome,
                "done_at_ms": letter.done_at_ms, "bounced_at_ms": letter.bounced_at_ms,
            })
        });
        say(json!({ "documents": documents.code(), "letters": list.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("{}: documents go out as {}", row.name, documents.code()))?;
    for letter in &letters {
        let outcome = match (&letter.outcome, letter.bounced_at_ms) {
            (_, Some(_)) => "came back",
            (Some(outcome), None) => outcome,
            (None, None) => "waits",
        };
        let to = if letter.elsewhere != 0 { "elsewhere" } else { "on file" };
        let code = letter.last_code.as_deref().unwrap_or_default();
        let (at, kind, about) = (letter.created_at_ms.iso(), &letter.kind, &letter.about);
        say(format_args!("{at}  {kind:<12}  {to:<9}  {outcome:<10}  {}x  {about}  {code}", letter.attempts))?;
    }
    Ok(ExitCode::SUCCESS)
}
