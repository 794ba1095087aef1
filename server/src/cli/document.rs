//! `borsellino document`: the documents that the office prints, and what is printed on all of them; beside a running server, on
//! its database. They name parents and children: for the office's eyes, and for whom they are about.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use borsellino_documents::Templates;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::WalletId;
use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_store::rows::CreditorRow;
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use serde_json::json;

use super::office::{Desk, Signed};
use super::output::{Output, say};
use super::{Place, SignedArgs};
use crate::auth::keys::Keys;
use crate::clock::Clock;
use crate::config::Config;
use crate::press::Press;
use crate::usecases::Stop;
use crate::usecases::appearance::HEAVIEST_LOGO;
use crate::usecases::documents::{
    Batch, DocumentRefusal, File, Letterhead, LetterheadError, Printer, Reader, Requested, Run, Selected, Wanted,
    certificate_of, letterhead, make, put_letterhead,
};
use crate::usecases::proof::{Sought, named};

/// The longest logo that is read at all, in bytes.
const LONGEST_LOGO: u64 = 4 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum DocumentCommand {
    /// A payment notice.
    Notice {
        /// 18 digits.
        number: String,
        #[command(flatten)]
        to: To,
    },
    /// The receipt of a payment.
    Receipt {
        #[command(flatten)]
        which: Which,
        /// pagoPA's own message instead of the page.
        #[arg(long)]
        xml: bool,
        #[command(flatten)]
        to: To,
    },
    /// What somebody paid for a child in a tax year, for their tax return.
    Certificate {
        /// The payer's codice fiscale; `-` reads it from standard input, so that it stays in no history.
        #[arg(long)]
        payer: String,
        /// The child's codice fiscale; `-` reads it from standard input (after the payer's, a line each).
        #[arg(long)]
        child: String,
        /// The year.
        #[arg(long)]
        year: i16,
        #[command(flatten)]
        to: To,
    },
    /// The movements of a wallet.
    Statement {
        /// Its id.
        wallet: uuid::Uuid,
        /// The first day, e.g. 2026-09-01.
        #[arg(long)]
        from: Date,
        /// The last day.
        #[arg(long)]
        to_day: Date,
        #[command(flatten)]
        to: To,
    },
    /// All the notices of a billing run: one ZIP, and volumes of 500 for the printer. Cut short, the same order goes on.
    Batch(BatchArgs),
    /// What is printed about the creditor on every document; without an option, show it.
    Letterhead(Box<LetterheadArgs>),
}

/// Where it goes.
#[derive(Debug, Args)]
pub(super) struct To {
    #[command(flatten)]
    place: Place,
    /// Whose (11 digits).
    #[arg(long)]
    creditor: String,
    /// The language of what is not official: it, en, de.
    #[arg(long, default_value = "it")]
    language: String,
    /// Where the server is reached from outside, where no configuration says it.
    #[arg(long)]
    url: Option<String>,
    /// Write to this file, which appears once it is whole, instead of the standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Which receipt.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The notice that was paid (18 digits).
    #[arg(long, required_unless_present = "receipt", conflicts_with = "receipt")]
    notice: Option<String>,
    /// The receipt's id.
    #[arg(long)]
    receipt: Option<String>,
    /// Who issued the notice (11 digits), where that is not the creditor.
    #[arg(long, requires = "receipt")]
    issuer: Option<String>,
}

/// What a batch leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// A ZIP with a file for each notice.
    Zip,
    /// Volumes for the printer.
    Volumes,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct BatchArgs {
    #[command(flatten)]
    place: Place,
    /// Whose (11 digits).
    #[arg(long)]
    creditor: String,
    /// The period that the bills name, e.g. "ottobre 2026".
    #[arg(long)]
    period: String,
    /// Where: a new folder, or the one of a run that was cut short.
    #[arg(long)]
    folder: PathBuf,
    /// Make one of the two and not the other.
    #[arg(long)]
    only: Option<Only>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct LetterheadArgs {
    #[command(flatten)]
    place: Place,
    /// Whose (11 digits).
    #[arg(long)]
    creditor: String,
    /// The name in German.
    #[arg(long)]
    name_german: Option<String>,
    /// The office in charge.
    #[arg(long)]
    sector: Option<String>,
    /// Where it is reached, e.g. "Tel. 0471 000000 · scuola@comune.example".
    #[arg(long)]
    contacts: Option<String>,
    /// Where else than through pagoPA one can pay.
    #[arg(long)]
    own_counter: Option<String>,
    /// In whose name the postal account stands.
    #[arg(long)]
    postal_holder: Option<String>,
    /// Poste's authorisation to print its bill.
    #[arg(long)]
    postal_authorisation: Option<String>,
    /// The words of payment notices: it, it-de, de, en.
    #[arg(long)]
    wording: Option<String>,
    /// The coat of arms: a PNG, JPEG or SVG of at most 1 MiB; an empty file takes it away.
    #[arg(long)]
    logo: Option<PathBuf>,
    /// The colour of the portal's head, links and buttons: # and six hexadecimal digits, dark enough for white letters.
    #[arg(long)]
    colour: Option<String>,
    /// Why, for a change. Kept for good: name no person.
    #[arg(long)]
    reason: Option<String>,
    /// Who changes it.
    #[arg(long)]
    operator: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: DocumentCommand) -> anyhow::Result<ExitCode> {
    match command {
        DocumentCommand::Notice { number, to } => {
            let number = NoticeNumber::parse(&number).context("the notice's number")?;
            wanted(&to, Wanted::Notice(number)).await
        }
        DocumentCommand::Statement { wallet, from, to_day, to } => {
            wanted(&to, Wanted::Statement { wallet: WalletId::from(wallet), from, to: to_day }).await
        }
        DocumentCommand::Receipt { which, xml, to } => receipt(which, xml, &to).await,
        DocumentCommand::Certificate { payer, child, year, to } => {
            let (payer, child) = codes(payer, child)?;
            let (printer, creditor) = open(&to.place, &to.creditor, to.url.as_deref()).await?;
            let requested = Requested { payer, child, year };
            let made = certificate_of(&printer, &creditor, requested, Language::from_tag(&to.language)).await;
            written(printer, made, &to).await
        }
        DocumentCommand::Batch(args) => batch(args).await,
        DocumentCommand::Letterhead(args) => head(*args).await,
    }
}

/// What both codes are, wherever they come from.
fn codes(payer: String, child: String) -> anyhow::Result<(String, String)> {
    let mut typed = String::new();
    if payer == "-" || child == "-" {
        std::io::stdin().take(1_000).read_to_string(&mut typed).context("standard input")?;
    }
    let mut lines = typed.lines().map(str::to_owned);
    let mut one = |given: String| match given.as_str() {
        "-" => lines.next().context("standard input is too short: a codice fiscale a line"),
        _ => Ok(given),
    };
    let (payer, child) = (one(payer)?, one(child)?);
    Ok((payer.trim().to_uppercase(), child.trim().to_uppercase()))
}

/// What documents are made with, and whose they are.
async fn open(place: &Place, creditor: &str, url: Option<&str>) -> anyhow::Result<(Printer, CreditorRow)> {
    let (mut templates, mut public_url) = (Templates::default(), url.unwrap_or_default().to_owned());
    if let Some(path) = &place.config {
        let config = Config::read(path)?;
        templates = config.templates()?;
        if url.is_none() {
            public_url = config.public.url.unwrap_or_default();
        }
    }
    let keys = Arc::new(Keys::derive(&*place.secret()?)?);
    let store = super::queue::open(&place.database()?).await?;
    let found = super::ledger::chosen(&store, Some(creditor)).await?;
    let creditor = found.into_iter().next().context("--creditor")?;
    let public_url = public_url.trim_end_matches('/').into();
    let press = Press::new(templates);
    Ok((Printer { store, keys, press, clock: Clock::system(), public_url }.patient(), creditor))
}

async fn wanted(to: &To, wanted: Wanted) -> anyhow::Result<ExitCode> {
    let (printer, creditor) = open(&to.place, &to.creditor, to.url.as_deref()).await?;
    let made = make(&printer, &creditor, Reader::Office, &wanted, Language::from_tag(&to.language)).await;
    written(printer, made, to).await
}

async fn receipt(which: Which, xml: bool, to: &To) -> anyhow::Result<ExitCode> {
    let (printer, creditor) = open(&to.place, &to.creditor, to.url.as_deref()).await?;
    let issuer = which.issuer.as_deref().map(CreditorCode::from_digits).transpose().context("--issuer")?;
    let sought = match (which.notice, which.receipt) {
        (Some(notice), _) => Sought::Notice(notice),
        (None, id) => {
            Sought::Receipt { issuer: issuer.unwrap_or(creditor.fiscal_code), receipt_id: id.unwrap_or_default() }
        }
    };
    let (issuer, receipt_id) = match named(&printer.store, creditor.fiscal_code, sought).await {
        Ok(found) => found,
        Err(stop) => {
            printer.store.close().await;
            return Err(told(stop));
        }
    };
    let wanted = if xml { Wanted::Original { issuer, receipt_id } } else { Wanted::Receipt { issuer, receipt_id } };
    let made = make(&printer, &creditor, Reader::Office, &wanted, Language::from_tag(&to.language)).await;
    written(printer, made, to).await
}

fn told<R: std::fmt::Debug + std::error::Error + Send + Sync + 'static>(stop: Stop<R>) -> anyhow::Error {
    match stop {
        Stop::Refused(refusal) => refusal.into(),
        Stop::Fault(fault) => fault.into(),
    }
}

async fn written(printer: Printer, made: Result<File, Stop<DocumentRefusal>>, to: &To) -> anyhow::Result<ExitCode> {
    printer.store.close().await;
    let file = made.map_err(told)?;
    if to.output.is_none() {
        ensure!(
            !std::io::stdout().is_terminal(),
            "that would fill the terminal: name a file with --output, e.g. {}",
            file.name
        );
    }
    let mut out = Output::open(to.output.as_deref())?;
    out.write_all(&file.bytes)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

async fn batch(args: BatchArgs) -> anyhow::Result<ExitCode> {
    let (printer, creditor) = open(&args.place, &args.creditor, None).await?;
    let shown = std::io::stderr().is_terminal();
    let batch = Batch {
        printer: &printer,
        creditor: &creditor,
        selected: Selected::Period(args.period),
        folder: args.folder.clone(),
        zip: args.only != Some(Only::Volumes),
        volumes: args.only != Some(Only::Zip),
    };
    let ran = batch
        .run(|done, all| {
            if shown {
                let _ = write!(std::io::stderr(), "\r{done} of {all}");
            }
        })
        .await;
    if shown {
        eprintln!();
    }
    printer.store.close().await;
    let Run { printed, settled, failed } = ran?;
    if args.json {
        say(json!({ "printed": printed, "settled": settled, "failed": failed }))?;
    } else {
        say(format_args!("{printed} notices in {}", args.folder.display()))?;
        if !settled.is_empty() {
            say(format_args!("{} bills with nothing left to pay: {}", settled.len(), settled.join(", ")))?;
        }
        for (bill, why) in &failed {
            say(format_args!("bill {bill} could not be printed: {why}"))?;
        }
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn head(args: LetterheadArgs) -> anyhow::Result<ExitCode> {
    let logo = match &args.logo {
        None => None,
        Some(path) => {
            let mut bytes = Vec::new();
            let file = std::fs::File::open(path).and_then(|file| file.take(LONGEST_LOGO).read_to_end(&mut bytes));
            file.with_context(|| format!("{} can't be read", path.display()))?;
            Some(bytes)
        }
    };
    let change = Letterhead {
        name_german: args.name_german,
        sector: args.sector,
        contacts: args.contacts,
        own_counter: args.own_counter,
        postal_holder: args.postal_holder,
        postal_authorisation: args.postal_authorisation,
        wording: args.wording,
        logo,
        colour: args.colour,
    };
    let signed = Signed {
        creditor: args.creditor,
        reason: args.reason.unwrap_or_default(),
        operator: args.operator.unwrap_or_default(),
    };
    let desk = Desk::open(&args.place.database()?, signed).await?;
    let changed = if change == Letterhead::default() {
        Ok(())
    } else {
        put_letterhead(&desk.store, &desk.creditor, desk.act()?, change).await
    };
    let row = letterhead(&desk.store, &desk.creditor).await;
    desk.store.close().await;
    changed.map_err(told::<LetterheadError>)?;
    let row = row?;
    let logo = row.logo.as_ref().map_or(0, Vec::len);
    let shown = row.logo_mark.is_some();
    if args.json {
        say(json!({
            "name_german": row.name_german, "sector": row.sector, "contacts": row.contacts,
            "own_counter": row.own_counter, "postal_holder": row.postal_holder,
            "postal_authorisation": row.postal_authorisation, "wording": row.wording, "logo_bytes": logo,
            "logo_in_portal": shown, "colour": row.colour,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    say(format_args!("name in German         {}", text(&row.name_german)))?;
    say(format_args!("sector                 {}", row.sector))?;
    say(format_args!("contacts               {}", row.contacts))?;
    say(format_args!("own counter            {}", text(&row.own_counter)))?;
    say(format_args!("postal account of      {}", text(&row.postal_holder)))?;
    say(format_args!("Poste's authorisation  {}", text(&row.postal_authorisation)))?;
    say(format_args!("wording of notices     {}", row.wording))?;
    let told = match (logo, shown) {
        (0, _) => "-".to_owned(),
        (_, true) => format!("{logo} bytes"),
        (_, false) => format!("{logo} bytes; not in the portal, whose pages show at most {HEAVIEST_LOGO}"),
    };
    say(format_args!("logo                   {told}"))?;
    say(format_args!("colour of the portal   {}", text(&row.colour)))?;
    Ok(ExitCode::SUCCESS)
}

/// Money that the office gives back.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct RefundArgs {
    #[command(flatten)]
    which: Which,
    /// How much, in cents; without it, all that can be given back.
    #[arg(long)]
    cents: Option<i64>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: SignedArgs,
}

pub(super) async fn refund(args: RefundArgs) -> anyhow::Result<ExitCode> {
    use borsellino_domain::money::Amount;

    use crate::usecases::refunds;

    let amount = args.cents.map(Amount::from_cents).transpose().context("--cents")?;
    let desk = Desk::open(&args.place.database()?, args.signed.into()).await?;
    let own = desk.creditor.fiscal_code;
    let issuer = args.which.issuer.as_deref().map(CreditorCode::from_digits).transpose().context("--issuer")?;
    let sought = match (args.which.notice, args.which.receipt) {
        (Some(notice), _) => Sought::Notice(notice),
        (None, id) => Sought::Receipt { issuer: issuer.unwrap_or(own), receipt_id: id.unwrap_or_default() },
    };
    let done = match named(&desk.store, own, sought).await {
        Err(stop) => Err(told(stop)),
        Ok((issuer, receipt_id)) => {
            let order = refunds::Order { issuer, receipt_id, amount };
            refunds::refund(&desk.store, desk.act()?, order).await.map_err(told)
        }
    };
    desk.store.close().await;
    say(format_args!("{} given back", done?.as_cents().text(Language::Italian)))?;
    Ok(ExitCode::SUCCESS)
}
