//! `borsellino message`: what parents wrote, and the office's answers; beside a running server, on its database. They name parents and
//! children: for the office's eyes alone.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::message::MessageState;
use borsellino_store::Store;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::office::Desk;
use super::output::say;
use super::{Place, SignedArgs};
use crate::auth::keys::Keys;
use crate::usecases::Stop;
use crate::usecases::messages::{AnswerRefusal, MessageView, answer as answer_one, everybodys, show as show_one};

/// The longest answer that is read at all, in bytes.
const LONGEST: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum MessageCommand {
    /// List messages, oldest first: from whom, what about, how far they have come.
    List {
        #[command(flatten)]
        place: Place,
        /// Whose office (11 digits).
        #[arg(long)]
        creditor: String,
        /// Only those that wait for the office.
        #[arg(long)]
        open: bool,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Show a message; from then on the parent sees that the office has read it.
    Show {
        /// Its id, as `message list` names it.
        id: Uuid,
        #[command(flatten)]
        place: Place,
        /// Whose office (11 digits).
        #[arg(long)]
        creditor: String,
    },
    /// Answer a message, or move it on without an answer. A parent with an address hears that there is an answer.
    Answer {
        /// Its id, as `message list` names it.
        id: Uuid,
        /// How far it has come.
        #[arg(long)]
        state: State,
        /// The answer; `-` reads it from standard input.
        #[arg(long)]
        text_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Write every message with its answers, a JSON object to a line, oldest first.
    Export {
        #[command(flatten)]
        place: Place,
        /// Whose office (11 digits).
        #[arg(long)]
        creditor: String,
    },
}

/// How far the office has come.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum State {
    /// Somebody is at it.
    InProgress,
    /// Answered.
    Answered,
    /// Nothing more comes.
    Closed,
}

impl From<State> for MessageState {
    fn from(state: State) -> Self {
        match state {
            State::InProgress => Self::InProgress,
            State::Answered => Self::Answered,
            State::Closed => Self::Closed,
        }
    }
}

pub(super) async fn run(command: MessageCommand) -> anyhow::Result<ExitCode> {
    match command {
        MessageCommand::List { place, creditor, open, json } => list(&place, &creditor, (open, json)).await,
        MessageCommand::Show { id, place, creditor } => show(&place, &creditor, id).await,
        MessageCommand::Answer { id, state, text_file, place, signed } => {
            answer(&place, signed, (id, state.into(), text_file.as_deref())).await
        }
        MessageCommand::Export { place, creditor } => export(&place, &creditor).await,
    }
}

fn keys(place: &Place) -> anyhow::Result<Keys> {
    Ok(Keys::derive(&*place.secret()?)?)
}

async fn open(place: &Place, creditor: &str) -> anyhow::Result<(Store, CreditorCode)> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    Ok((store, row.fiscal_code))
}

async fn read(place: &Place, creditor: &str, open_only: bool) -> anyhow::Result<Vec<MessageView>> {
    let keys = keys(place)?;
    let (store, code) = open(place, creditor).await?;
    let views = everybodys(&store, &keys, code, open_only).await;
    store.close().await;
    Ok(views?)
}

async fn list(place: &Place, creditor: &str, (open, as_json): (bool, bool)) -> anyhow::Result<ExitCode> {
    let views = read(place, creditor, open).await?;
    if as_json {
        say(json!({ "messages": views.iter().map(brief).collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if views.is_empty() {
        say(if open { "nothing waits" } else { "nobody has written" })?;
    }
    for view in &views {
        let kind = view.message.as_ref().map_or("(sealed with another secret)", |said| said.kind.code());
        let child = format!("{} {}", view.child.0, view.child.1);
        let about = if child.trim().is_empty() { String::new() } else { format!(", about {child}") };
        say(format_args!("{}  {:<11}  {kind:<20}  {}{about}", view.sent.iso(), view.state.code(), view.full_name))?;
        say(format_args!("    {}", view.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Without what it says.
fn brief(view: &MessageView) -> Value {
    json!({
        "id": view.id.to_string(), "guardian": view.guardian.to_string(), "name": view.full_name,
        "kind": view.message.as_ref().map(|said| said.kind.code()), "state": view.state.code(),
        "child": format!("{} {}", view.child.0, view.child.1).trim(), "sent_at_ms": view.sent.get(),
        "answers": view.answers.len(),
    })
}

/// With everything.
fn whole(view: &MessageView) -> Value {
    let mut all = brief(view);
    let said = view.message.as_ref().map(|said| {
        json!({
            "service": said.service, "from": said.from.map(|day| day.to_string()), "until": said.until.map(|day| day.to_string()),
            "stars": said.stars, "phone": said.phone, "email": said.email, "address": said.address, "text": said.text,
        })
    });
    let answers = view.answers.iter().map(|(at, text)| json!({ "at_ms": at.get(), "text": text }));
    if let Some(fields) = all.as_object_mut() {
        fields.insert("said".to_owned(), json!(said));
        fields.insert("answers".to_owned(), answers.collect());
    }
    all
}

async fn export(place: &Place, creditor: &str) -> anyhow::Result<ExitCode> {
    for view in read(place, creditor, false).await? {
        say(whole(&view))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(stop: Stop<AnswerRefusal>) -> anyhow::Error {
    match stop {
        Stop::Refused(refusal) => refusal.into(),
        Stop::Fault(fault) => fault.into(),
    }
}

/// A text for a terminal: what somebody else typed moves no cursor.
fn terminal(text: &str) -> String {
    text.lines()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n    ")
}

async fn show(place: &Place, creditor: &str, id: Uuid) -> anyhow::Result<ExitCode> {
    let keys = keys(place)?;
    let store = super::queue::open(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let shown = show_one(&store, &keys, row.fiscal_code, id).await;
    store.close().await;
    let view = shown.map_err(told)?;
    say(format_args!("{}  {}  {}", view.sent.iso(), view.state.code(), view.full_name))?;
    let said = view.message.as_ref().context("this message was sealed with another secret")?;
    say(format_args!("  {}", said.kind.code()))?;
    let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
    for (name, value) in [
        ("child", format!("{} {}", view.child.0, view.child.1).trim().to_owned()),
        ("service", said.service.clone()),
        ("from", day(said.from)),
        ("until", day(said.until)),
        ("stars", said.stars.map(|stars| stars.to_string()).unwrap_or_default()),
        ("phone", said.phone.clone()),
        ("email", said.email.clone()),
        ("address", said.address.clone()),
    ] {
        if !value.is_empty() {
            say(format_args!("  {name}: {}", terminal(&value)))?;
        }
    }
    if !said.text.is_empty() {
        say(format_args!("\n    {}", terminal(&said.text)))?;
    }
    for (at, text) in &view.answers {
        say(format_args!("\n  answered {}:\n    {}", at.iso(), terminal(text)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
    };
    read.with_context(|| path.display().to_string())?;
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

async fn answer(
    place: &Place,
    signed: SignedArgs,
    (id, state, path): (Uuid, MessageState, Option<&Path>),
) -> anyhow::Result<ExitCode> {
    let text = path.map(text_of).transpose()?;
    let keys = keys(place)?;
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let outcome = answer_one(&desk.store, &keys, desk.act()?, (id, state, text)).await;
    desk.store.close().await;
    outcome.map_err(told)?;
    println!("{id}: {}", state.code());
    Ok(ExitCode::SUCCESS)
}
