//! `borsellino guardian` and `child`: what the office does by hand about adults and their children until it has pages of its own; beside a running server, on
//! its database.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::office::{Desk, Signed};
use super::output::say;
use super::{Place, SignedArgs};
use crate::auth::keys::Keys;
use crate::clock::{Clock, random};
use crate::usecases::Stop;
use crate::usecases::guardians::{
    Change, Given, NewAdult, add, change, change_address, change_diet, change_email, give_code, unregistered,
};
use crate::usecases::post::log::bounced as list_bounced;

/// The longest address on a notice, in characters (guide 3.3, "Destinatario").
const LONGEST_ADDRESS: usize = 140;

/// The longest text about a diet, in characters.
const LONGEST_DIET: usize = 80;

#[derive(Debug, Subcommand)]
pub(super) enum GuardianCommand {
    /// Add the adults of a file, who may register as soon as they have a code.
    Add {
        /// A JSON list of adults (docs/operators.md shows one).
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Give an adult a code, to register with or as one proof that an account is theirs; or all who have no account yet.
    ///
    /// It is good for thirty days, once, and for nobody else. Look at a document first: whoever holds it gets in.
    Code {
        #[command(flatten)]
        who: WhoOrAll,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List the adults whose address letters come back from: call them, and change it.
    Bounced {
        #[command(flatten)]
        place: Place,
        /// Whose office (11 digits).
        #[arg(long)]
        creditor: String,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// End an adult's access at once: on every device they see and do nothing more.
    End(ChangeArgs),
    /// Give back the access that was ended.
    Restore(ChangeArgs),
    /// Take user name and password away, so that somebody who has neither e-mail nor device left registers anew, with a code.
    Reset(ChangeArgs),
    /// Take away the secret question of somebody who forgot the answer; two proofs are still wanted for a new password.
    ForgetQuestion(ChangeArgs),
    /// Change the address that letters go to; with an empty one, there is none.
    Email {
        /// The address.
        #[arg(long)]
        email: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Change where an adult lives, as printed on their notices; with an empty text, nothing is printed.
    Address {
        /// In one line, e.g. "Via Roma 1, 39100 Bolzano (BZ)"; `-` reads it from standard input.
        #[arg(long)]
        address: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ChildCommand {
    /// Change what the kitchen is told of a child, which its parents see too; with an empty text, nothing is stated.
    Diet {
        /// The child's codice fiscale; `-` reads it from standard input, so that it stays in no history.
        child: String,
        /// In a few words, e.g. "senza glutine"; `-` reads it from standard input.
        #[arg(long)]
        diet: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
}

pub(super) async fn run_child(command: ChildCommand) -> anyhow::Result<ExitCode> {
    let ChildCommand::Diet { child, diet, place, signed } = command;
    ensure!(diet != "-" || child != "-", "standard input can hold the diet or the codice fiscale, not both");
    let line = if diet.is_empty() { diet } else { told(diet)? };
    let line = Some(line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty());
    let most = line.as_ref().map_or(0, |line| line.chars().count());
    ensure!(most <= LONGEST_DIET, "a diet has room for {LONGEST_DIET} characters");
    ensure!(!line.as_ref().is_some_and(|line| line.chars().any(char::is_control)), "the diet holds control characters");
    let child = told(child)?.to_ascii_uppercase();
    let desk = Desk::open(&place.database()?, signed.into()).await?;
    let outcome = change_diet(&desk.store, desk.act()?, (child, line)).await;
    println!("{}: its parents see it from now on", desk.close(outcome).await?);
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhoOrAll {
    /// User name or codice fiscale; `-` reads it from standard input, so that it stays in no history.
    who: Option<String>,
    /// Everybody who has neither an account nor a code that is still good: a letter each.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// User name or codice fiscale; `-` reads it from standard input, so that it stays in no history.
    who: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: SignedArgs,
}

pub(super) async fn run(command: GuardianCommand) -> anyhow::Result<ExitCode> {
    match command {
        GuardianCommand::Add { file, place, signed } => add_all(&place, signed.into(), &file).await,
        GuardianCommand::Code { who, place, signed, json } => codes(&place, signed.into(), (who, json)).await,
        GuardianCommand::Bounced { place, creditor, json } => bounced(&place, &creditor, json).await,
        GuardianCommand::End(args) => {
            let name = changed(args, Change::End).await?;
            println!("{name}: access ended, on every device");
            Ok(ExitCode::SUCCESS)
        }
        GuardianCommand::Restore(args) => {
            let name = changed(args, Change::Restore).await?;
            println!("{name}: access given back; they sign in anew");
            Ok(ExitCode::SUCCESS)
        }
        GuardianCommand::Reset(args) => {
            let name = changed(args, Change::Reset).await?;
            println!("{name}: user name and password taken away; they register anew, with `borsellino guardian code`");
            Ok(ExitCode::SUCCESS)
        }
        GuardianCommand::ForgetQuestion(args) => {
            let name = changed(args, Change::ForgetQuestion).await?;
            println!("{name}: no secret question is asked until they choose another");
            Ok(ExitCode::SUCCESS)
        }
        GuardianCommand::Address { address, change } => {
            ensure!(address != "-" || change.who != "-", "standard input can hold the address or the name, not both");
            let line = told(address)?;
            let line = Some(line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty());
            let most = line.as_ref().map_or(0, |line| line.chars().count());
            ensure!(most <= LONGEST_ADDRESS, "a notice has room for {LONGEST_ADDRESS} characters (guide 3.3)");
            let who = told(change.who)?;
            let desk = Desk::open(&change.place.database()?, change.signed.into()).await?;
            let outcome = change_address(&desk.store, desk.act()?, (who, line)).await;
            println!("{}: notices say so from now on", desk.close(outcome).await?);
            Ok(ExitCode::SUCCESS)
        }
        GuardianCommand::Email { email, change } => {
            let email = email.trim();
            let known = if email.is_empty() { None } else { Some(address(email)?) };
            let keys = Keys::derive(&*change.place.secret()?)?;
            let who = told(change.who)?;
            let desk = Desk::open(&change.place.database()?, change.signed.into()).await?;
            let outcome = change_email(&desk.store, &keys, desk.act()?, (who, known)).await;
            let name = desk.close(outcome).await?;
            println!("{name}: letters go {}", if email.is_empty() { "nowhere" } else { "there from now on" });
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn bounced(place: &Place, creditor: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let store = super::ledger::open_for_reading(&place.database()?).await?;
    let row = super::ledger::chosen(&store, Some(creditor)).await?.into_iter().next().context("--creditor")?;
    let found = list_bounced(&store, row.fiscal_code).await;
    store.close().await;
    let found = found?;
    if as_json {
        let list = found.iter().map(|row| json!({ "name": row.full_name, "since_ms": row.email_bounced_at_ms.get() }));
        say(json!({ "bounced": list.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        say("no letter came back from an address on file")?;
    }
    for row in &found {
        let since = row.email_bounced_at_ms.day_in_italy().map_or_else(String::new, |day| day.to_string());
        say(format_args!("{since}  {}", row.full_name))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An address as the office types it.
fn address(text: &str) -> anyhow::Result<String> {
    crate::mail::Address::parse(text).map(|address| address.as_str().to_owned()).context("email")
}

/// What somebody is called, from the command line or, with `-`, from standard input.
fn told(who: String) -> anyhow::Result<String> {
    if who != "-" {
        return Ok(who);
    }
    let mut text = String::new();
    std::io::stdin().take(1_024).read_to_string(&mut text).context("standard input")?;
    let who = text.trim().to_owned();
    if who.is_empty() {
        bail!("nothing was read from standard input: a user name or a codice fiscale is wanted");
    }
    Ok(who)
}

async fn changed(args: ChangeArgs, what: Change) -> anyhow::Result<String> {
    let who = told(args.who)?;
    let desk = Desk::open(&args.place.database()?, args.signed.into()).await?;
    let outcome = change(&desk.store, desk.act()?, (who, what)).await;
    desk.close(outcome).await
}

async fn codes(place: &Place, signed: Signed, (who, as_json): (WhoOrAll, bool)) -> anyhow::Result<ExitCode> {
    let one = who.who.map(told).transpose()?;
    let desk = Desk::open(&place.database()?, signed).await?;
    let whom = match one {
        Some(who) => vec![who],
        None => unregistered(&desk.store, desk.creditor.fiscal_code, Clock::system().now()).await?,
    };
    let mut given: Vec<(String, Given)> = Vec::with_capacity(whom.len());
    let mut outcome = Ok(());
    for who in whom {
        match give_code(&desk.store, desk.act()?, who.clone()).await {
            Ok(code) => given.push((who, code)),
            Err(stop) => {
                outcome = Err(stop);
                break;
            }
        }
    }
    // Also where it came to no end: what was given took the place of older codes, and is shown only now.
    if outcome.is_ok() || !given.is_empty() {
        print(&given, as_json)?;
    }
    desk.close(outcome).await?;
    Ok(ExitCode::SUCCESS)
}

fn print(given: &[(String, Given)], as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        let list = given.iter().map(|(who, given)| {
            json!({ "name": given.full_name, "who": who, "code": given.code.grouped(), "expires_at_ms": given.expires.get() })
        });
        writeln!(out, "{}", json!({ "codes": list.collect::<Vec<_>>() }))?;
        return Ok(());
    }
    if given.is_empty() {
        writeln!(out, "no code was given: everybody else has an account, or a code that is still good")?;
        return Ok(());
    }
    for (_, given) in given {
        let until = given.expires.day_in_italy().map_or_else(String::new, |day| day.to_string());
        writeln!(out, "{}  {}  until {until}", given.code.grouped(), given.full_name)?;
    }
    writeln!(out, "shown once: nobody can read a code again, a new one takes its place")?;
    Ok(())
}

/// An adult as a file says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdultFile {
    name: String,
    fiscal_code: String,
    email: Option<String>,
    children: Vec<String>,
}

impl AdultFile {
    fn adult(self, id: GuardianId) -> anyhow::Result<NewAdult> {
        let full_name = self.name.trim().to_owned();
        if full_name.is_empty() || full_name.chars().count() > 200 || full_name.contains(char::is_control) {
            bail!("name: 1 to 200 characters");
        }
        let mut children = Vec::with_capacity(self.children.len());
        for (place, child) in (1..).zip(&self.children) {
            let child = PersonalCode::parse(child).with_context(|| format!("child {place}"))?;
            if children.contains(&child) {
                bail!("child {place} stands there twice");
            }
            children.push(child);
        }
        if children.is_empty() {
            bail!("children: at least one, else there is nothing to see");
        }
        Ok(NewAdult {
            id,
            full_name,
            fiscal_code: PersonalCode::parse(&self.fiscal_code).context("fiscal_code")?,
            email: self.email.as_deref().map(address).transpose()?,
            children,
        })
    }
}

async fn add_all(place: &Place, signed: Signed, path: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    let adults: Vec<AdultFile> = serde_json::from_str(&text)
        .with_context(|| format!("{} is no list of adults (docs/operators.md shows one)", path.display()))?;
    let mut read = Vec::with_capacity(adults.len());
    for (place, adult) in (1..).zip(adults) {
        let id = GuardianId::from(uuid_v7(Clock::system().now(), random()?));
        read.push((place, adult.adult(id).with_context(|| format!("adult {place}"))?));
    }
    let desk = Desk::open(&place.database()?, signed).await?;
    let (mut added, mut refused) = (0usize, 0usize);
    // By their place: a name in a terminal is in its history.
    for (place, adult) in read {
        let _: usize = place;
        match add(&desk.store, desk.act()?, adult).await {
            Ok(()) => added += 1,
            Err(Stop::Refused(refusal)) => {
                refused += 1;
                eprintln!("adult {place}: not added: {refusal}");
            }
            Err(stop) => return desk.close(Err(stop)).await,
        }
    }
    desk.close(Ok(())).await?;
    println!("{added} added, {refused} refused; the same file again adds only who is missing");
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
