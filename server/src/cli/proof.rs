//! `borsellino proof`: the proof of a payment, made by the office, checked by anybody.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use borsellino_documents::proof_in;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Place;
use super::ledger::open_for_reading;
use super::output::{Output, say};
use crate::auth::keys::Keys;
use crate::auth::signature::PublicKey;
use crate::config::DatabaseKind;
use crate::usecases::Stop;
use crate::usecases::proof::{Sought, look_up, of_receipt};
use crate::usecases::proof_file::{Checked, LARGEST, check as check_file};

/// The largest receipt that is looked into, in bytes.
const LARGEST_PDF: usize = 4 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum ProofCommand {
    /// Write the proof of a payment, for the parent to keep.
    Make(MakeArgs),
    /// Check a proof; needs no database and no network. Exits with 1 where it does not hold.
    Check(CheckArgs),
    /// Print the public key that proofs are checked with, to be published.
    Key(KeyArgs),
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct MakeArgs {
    #[command(flatten)]
    place: Place,
    /// Whose ledger (11 digits).
    #[arg(long)]
    creditor: String,
    /// The notice that was paid (18 digits).
    #[arg(long, required_unless_present = "receipt", conflicts_with = "receipt")]
    notice: Option<String>,
    /// The receipt's id.
    #[arg(long)]
    receipt: Option<String>,
    /// Who issued the notice (11 digits), where that is not the creditor.
    #[arg(long, requires = "receipt")]
    issuer: Option<String>,
    /// Write to this file, which appears once it is whole, instead of the standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct CheckArgs {
    /// The proof, or the receipt (PDF) that carries it; - for the standard input.
    file: PathBuf,
    /// The creditor's published key (64 hexadecimal digits).
    #[arg(long)]
    key: Option<PublicKey>,
    /// Look it up in the ledger of this demo, too.
    #[arg(long, conflicts_with_all = ["config", "database"])]
    data: Option<PathBuf>,
    /// Look it up in this server's ledger, too.
    #[arg(long, conflicts_with = "database")]
    config: Option<PathBuf>,
    /// Look it up in this database, too: sqlite:PATH or postgres://...
    #[arg(long)]
    database: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct KeyArgs {
    /// The server's configuration file; without it the secret is taken from the environment.
    #[arg(long, conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The folder of a demo.
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: ProofCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProofCommand::Make(args) => make(args).await,
        ProofCommand::Check(args) => check(args).await,
        ProofCommand::Key(args) => key(&args),
    }
}

async fn make(args: MakeArgs) -> anyhow::Result<ExitCode> {
    let creditor = CreditorCode::parse(&args.creditor).context("--creditor")?;
    let sought = match (args.notice, args.receipt) {
        (Some(notice), _) => Sought::Notice(notice),
        (None, receipt_id) => {
            let issuer = args.issuer.as_deref().map(CreditorCode::from_digits).transpose().context("--issuer")?;
            Sought::Receipt { issuer: issuer.unwrap_or(creditor), receipt_id: receipt_id.unwrap_or_default() }
        }
    };
    let store = open_for_reading(&args.place.database()?).await?;
    let made = of_receipt(&store, creditor, sought).await;
    store.close().await;
    let file = match made {
        Ok(file) => file,
        Err(Stop::Refused(refusal)) => return Err(refusal.into()),
        Err(Stop::Fault(fault)) => return Err(fault.into()),
    };
    let mut out = Output::open(args.output.as_deref())?;
    out.write_all(&file)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let outcome = hold(&args).await;
    if args.json {
        let told = match &outcome {
            Ok((checked, in_ledger)) => told(checked, args.key.is_some(), *in_ledger),
            Err(error) => json!({ "holds": false, "error": super::told_once(error) }),
        };
        say(told)?;
        return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let (checked, in_ledger) = outcome?;
    say(in_words(&checked, args.key.is_some(), in_ledger))?;
    Ok(ExitCode::SUCCESS)
}

/// The proof that holds, and whether it was looked up.
async fn hold(args: &CheckArgs) -> anyhow::Result<(Checked, bool)> {
    let file = read(&args.file)?;
    // A receipt carries its proof.
    let proof = if file.starts_with(b"%PDF-") { proof_in(&file).context("this PDF carries no proof")? } else { file };
    let checked = check_file(&proof)?;
    if let Some(key) = args.key {
        checked.signed_by(key)?;
    }
    let (data, config, database) = (args.data.clone(), args.config.clone(), args.database.clone());
    if data.is_none() && config.is_none() && database.is_none() {
        return Ok((checked, false));
    }
    let place: DatabaseKind = Place { data, config, database }.database()?;
    let store = open_for_reading(&place).await?;
    let found = look_up(&store, &checked).await;
    store.close().await;
    match found {
        Ok(()) => Ok((checked, true)),
        Err(Stop::Refused(refusal)) => Err(refusal.into()),
        Err(Stop::Fault(fault)) => Err(fault.into()),
    }
}

/// The file, or as much of it as shows that it is too large.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let most = u64::try_from(LARGEST.max(LARGEST_PDF))?.saturating_add(1);
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{} can't be read", path.display()))?;
    Ok(bytes)
}

fn told(checked: &Checked, compared: bool, in_ledger: bool) -> serde_json::Value {
    let (entry, seal) = (&checked.proof.entry, &checked.proof.seal);
    let sides = entry.sides().iter().map(|side| {
        json!({ "account": side.account.kind.code(), "id": side.account.id.to_string(), "cents": side.cents.get() })
    });
    json!({
        "holds": true,
        "creditor": entry.creditor().as_str(),
        "entry": entry.id().to_string(),
        "kind": entry.kind().code(),
        "at_ms": entry.at().get(),
        "receipt": entry.receipt().map(|receipt| json!({
            "issuer": receipt.issuer.as_str(),
            "id": receipt.receipt_id,
        })),
        "sides": sides.collect::<Vec<_>>(),
        "seal": { "number": seal.number, "at_ms": seal.at.get(), "hash": checked.hash.to_string() },
        "public_key": checked.public_key.to_string(),
        "key_id": checked.public_key.id(),
        "key_compared": compared,
        "in_ledger": in_ledger,
    })
}

fn in_words(checked: &Checked, compared: bool, in_ledger: bool) -> String {
    let (entry, seal, key) = (&checked.proof.entry, &checked.proof.seal, checked.public_key);
    let day = entry.at().day_in_italy().map(|day| day.to_string()).unwrap_or_default();
    let clock = entry.at().clock_in_italy().unwrap_or_default();
    let mut lines =
        vec![format!("{} booked by {} on {day} at {clock} in Italy", entry.kind().code(), entry.creditor())];
    for side in entry.sides().iter().filter(|side| side.cents > Cents::ZERO) {
        lines.push(format!("  {} to {}", side.cents.text(Language::Italian), side.account));
    }
    lines.push(format!("  entry {}", entry.id()));
    if let Some(receipt) = entry.receipt() {
        // From a file of anybody's: nothing in it may steer the terminal.
        lines.push(format!("  receipt {} of {}", receipt.receipt_id.escape_debug(), receipt.issuer));
    }
    let place = checked.proof.position.saturating_add(1);
    lines.push(format!("  place {place} of {} in seal {} of {}", seal.count, seal.number, seal.at.iso()));
    if in_ledger {
        lines.push(format!("  the ledger has it: the same entry, and seal {} with the same hash", seal.number));
    }
    if compared {
        lines.push("  holds: it is in the seal, and the seal is signed with the key that was given".to_owned());
        return lines.join("\n");
    }
    lines.push(format!(
        "  holds, if the key is right: it is in the seal, and the seal claims to be signed with key {}\n    {key}\n  \
         Compare this key with the one that the creditor publishes, or give that one with --key: anybody can sign\n  \
         with a key of their own.",
        key.id()
    ));
    lines.join("\n")
}

fn key(args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let secret = super::secret(args.data.as_deref(), args.config.as_deref())?;
    let key = Keys::derive(&secret)?.proof_key()?;
    if args.json {
        say(json!({ "public_key": key.to_string(), "key_id": key.id() }))?;
    } else {
        say(format_args!("{key}\nkey id {}", key.id()))?;
    }
    Ok(ExitCode::SUCCESS)
}
