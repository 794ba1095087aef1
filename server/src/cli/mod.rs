//! The operator's edge: `borsellino serve`, `demo`, `migrate`, `ledger`, `proof`, `queue`, `bill`, `notice`, `document`, `refund`, `fees`,
//! `guardian`, `child`, `mail`, `content`, `message`, `creditor`, `office`.

mod content;
mod creditor;
pub mod demo;
mod document;
mod fees;
mod guardian;
mod ledger;
mod ledger_history;
mod mail;
mod message;
mod office;
mod output;
mod proof;
mod queue;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use borsellino_domain::queue::Queue;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use crate::config::{Config, DatabaseKind, Log, SECRET_VARIABLE, database_kind, parse_secret};
use crate::usecases::queues::Decision;

/// Prepaid school services, topped up through pagoPA.
#[derive(Debug, Parser)]
#[command(name = "borsellino", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server from a configuration file.
    Serve {
        /// The configuration (docs/operators.md explains it).
        #[arg(long)]
        config: PathBuf,
    },
    /// Try everything on this machine: invented families, and a sandbox instead of pagoPA.
    Demo(demo::Options),
    /// Bring a database up to date and stop.
    Migrate {
        #[command(flatten)]
        place: Place,
    },
    /// The ledger.
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// The proof of a payment.
    Proof {
        #[command(subcommand)]
        command: proof::ProofCommand,
    },
    /// What waits for the office.
    Queue {
        #[command(subcommand)]
        command: QueueCommand,
    },
    /// Bills.
    Bill {
        #[command(subcommand)]
        command: BillCommand,
    },
    /// Payment notices.
    Notice {
        #[command(subcommand)]
        command: NoticeCommand,
    },
    /// What the office prints: notices, receipts, certificates, statements, and what stands on all of them.
    Document {
        #[command(subcommand)]
        command: document::DocumentCommand,
    },
    /// Give money back to whoever paid it.
    Refund(document::RefundArgs),
    /// What paying costs, which parents are told before they pay.
    Fees {
        #[command(subcommand)]
        command: fees::FeesCommand,
    },
    /// Adults: who may register, and whose access ends.
    Guardian {
        #[command(subcommand)]
        command: guardian::GuardianCommand,
    },
    /// Children: what is known of them beside their services.
    Child {
        #[command(subcommand)]
        command: guardian::ChildCommand,
    },
    /// Letters by e-mail: what became of them, what came back, how documents go out.
    Mail {
        #[command(subcommand)]
        command: mail::MailCommand,
    },
    /// What the portal tells everybody: news, events, documents, questions, help.
    Content {
        #[command(subcommand)]
        command: content::ContentCommand,
    },
    /// What parents wrote to the office, and its answers.
    Message {
        #[command(subcommand)]
        command: message::MessageCommand,
    },
    /// What a creditor asks of its guardians.
    Creditor {
        #[command(subcommand)]
        command: creditor::CreditorCommand,
    },
    /// What the office did by hand.
    Office {
        #[command(subcommand)]
        command: OfficeCommand,
    },
}

#[derive(Debug, Subcommand)]
enum BillCommand {
    /// Issue the bills of a file, each with a notice, or with one per instalment.
    Issue {
        /// A JSON list of bills (docs/operators.md shows one).
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Withdraw what is left of a bill: nobody owes it any more, nobody can pay it any more.
    Withdraw {
        /// The bill's id, as `bill issue` named it.
        bill: uuid::Uuid,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
}

#[derive(Debug, Subcommand)]
enum NoticeCommand {
    /// Cancel the notice of a top-up.
    Cancel {
        /// 18 digits.
        number: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// Say that a notice was paid at the office's own counter: its wallet is filled, or its bill paid.
    Settle {
        /// 18 digits.
        number: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
}

#[derive(Debug, Subcommand)]
enum OfficeCommand {
    /// A guardian's phone was lost: sign all phones of theirs out, and have them forget the account.
    WipePhones {
        /// What they sign in with.
        #[arg(long)]
        username: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: SignedArgs,
    },
    /// List what was done by hand, why and by whom.
    Log {
        #[command(flatten)]
        place: Place,
        /// Whose office (11 digits).
        #[arg(long)]
        creditor: String,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Whose, why and who.
#[derive(Debug, Args)]
struct SignedArgs {
    /// Whose (11 digits).
    #[arg(long)]
    creditor: String,
    /// Why. Kept for good: name no person.
    #[arg(long)]
    reason: String,
    /// Who does it.
    #[arg(long)]
    operator: String,
}

impl From<SignedArgs> for office::Signed {
    fn from(args: SignedArgs) -> Self {
        Self { creditor: args.creditor, reason: args.reason, operator: args.operator }
    }
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Show what waits: second payments, money in suspense, messages nobody could read, contradictions.
    List {
        #[command(flatten)]
        place: Place,
        /// Only this creditor (11 digits).
        #[arg(long)]
        creditor: Option<String>,
        /// Only this queue: double, suspense, quarantine or anomaly.
        #[arg(long, value_parser = queue_named)]
        queue: Option<Queue>,
        /// Also what has been decided.
        #[arg(long)]
        all: bool,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Show what pagoPA sent, as it came. It names payer and debtor: for the office's eyes only.
    Show {
        /// The item, as `queue list` names it.
        item: String,
        #[command(flatten)]
        place: Place,
        /// Whose item (11 digits).
        #[arg(long)]
        creditor: String,
    },
    /// Decide about one item, once. Nothing is deleted.
    Resolve {
        /// The item, as `queue list` names it.
        item: String,
        #[command(flatten)]
        place: Place,
        /// Whose item (11 digits).
        #[arg(long)]
        creditor: String,
        #[command(flatten)]
        decision: DecisionArgs,
        /// Why. Kept for good: name no person.
        #[arg(long)]
        reason: String,
        /// Who decides.
        #[arg(long)]
        operator: String,
    },
}

/// What to do with an item.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct DecisionArgs {
    /// Book its money to this wallet (its id).
    #[arg(long)]
    wallet: Option<uuid::Uuid>,
    /// Book its money to this bill (its id).
    #[arg(long)]
    bill: Option<uuid::Uuid>,
    /// Mark its money for refund; it stays in suspense.
    #[arg(long)]
    refund: bool,
    /// Nothing is to be done.
    #[arg(long)]
    dismiss: bool,
}

impl DecisionArgs {
    fn decision(&self) -> Decision {
        match (self.wallet, self.bill, self.refund) {
            (Some(wallet), _, _) => Decision::ToWallet(wallet.into()),
            (_, Some(bill), _) => Decision::ToBill(bill.into()),
            (_, _, true) => Decision::Refund,
            _ => Decision::Dismiss,
        }
    }
}

fn queue_named(name: &str) -> Result<Queue, String> {
    Queue::try_from(name.to_owned()).map_err(|_| "one of double, suspense, quarantine, anomaly".to_owned())
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check every entry, chain, balance and seal; name the first row that is broken. Exits with 1 where one is.
    Verify {
        #[command(flatten)]
        place: Place,
        /// Only this creditor (11 digits).
        #[arg(long)]
        creditor: Option<String>,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// What the accounts held at any instant, from the postings.
    AsOf(ledger_history::AsOfArgs),
    /// Write the whole ledger for another program to read.
    Export(ledger_history::ExportArgs),
}

/// Which database a command works on.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The folder of a demo.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The server's configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// sqlite:PATH or postgres://...
    #[arg(long)]
    database: Option<String>,
}

impl Place {
    fn database(&self) -> anyhow::Result<DatabaseKind> {
        match (&self.data, &self.config, &self.database) {
            (Some(data), _, _) => Ok(demo::database_in(data)),
            (_, Some(config), _) => Ok(database_kind(&Config::read(config)?.database.url)?),
            (_, _, Some(url)) => Ok(database_kind(url)?),
            (None, None, None) => anyhow::bail!("name a database with --data, --config or --database"),
        }
    }

    /// The server's secret: the demo's, the configuration's, or the environment's.
    fn secret(&self) -> anyhow::Result<Zeroizing<[u8; 32]>> {
        secret(self.data.as_deref(), self.config.as_deref())
    }
}

/// The secret of the demo in `data`, of the configuration `config`, or of the environment.
fn secret(data: Option<&Path>, config: Option<&Path>) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    match (data, config) {
        (Some(data), _) => demo::secret_of(data),
        (None, Some(config)) => Ok(Config::read(config)?.secret()?),
        (None, None) => {
            let text = std::env::var(SECRET_VARIABLE);
            let text = text.with_context(|| format!("give --config, or put the secret into {SECRET_VARIABLE}"))?;
            Ok(parse_secret(&Zeroizing::new(text))?)
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(cli.command));
            // Whatever still runs belongs to calls that were given up on.
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("borsellino: {}", told_once(&error));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { config } => serve::serve(&config).await,
        Command::Demo(options) => demo::demo(options).await,
        Command::Migrate { place } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            let store = crate::open_store(&place.database()?, 1).await?;
            store.close().await;
            println!("The database is up to date.");
            Ok(ExitCode::SUCCESS)
        }
        Command::Ledger { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            match command {
                LedgerCommand::Verify { place, creditor, json } => {
                    ledger::verify(&place.database()?, creditor.as_deref(), json).await
                }
                LedgerCommand::AsOf(args) => ledger_history::as_of(args).await,
                LedgerCommand::Export(args) => ledger_history::export(args).await,
            }
        }
        Command::Proof { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            proof::run(command).await
        }
        Command::Queue { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            match command {
                QueueCommand::List { place, creditor, queue, all, json } => {
                    queue::list(&place.database()?, creditor.as_deref(), queue, all, json).await
                }
                QueueCommand::Show { item, place, creditor } => {
                    queue::show(&place.database()?, &place.secret()?, &creditor, &item).await
                }
                QueueCommand::Resolve { item, place, creditor, decision, reason, operator } => {
                    let place = place.database()?;
                    queue::resolve(&place, &creditor, item, decision.decision(), (reason, operator)).await
                }
            }
        }
        Command::Bill { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            match command {
                BillCommand::Issue { file, place, signed } => {
                    office::issue(&place.database()?, signed.into(), &file).await
                }
                BillCommand::Withdraw { bill, place, signed } => {
                    office::withdraw(&place.database()?, signed.into(), bill).await
                }
            }
        }
        Command::Notice { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            match command {
                NoticeCommand::Cancel { number, place, signed } => {
                    office::cancel(&place.database()?, signed.into(), number).await
                }
                NoticeCommand::Settle { number, place, signed } => {
                    office::settle(&place.database()?, signed.into(), number).await
                }
            }
        }
        Command::Document { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            document::run(command).await
        }
        Command::Refund(args) => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            document::refund(args).await
        }
        Command::Fees { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            fees::run(command).await
        }
        Command::Guardian { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            guardian::run(command).await
        }
        Command::Child { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            guardian::run_child(command).await
        }
        Command::Creditor { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            creditor::run(command).await
        }
        Command::Mail { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            mail::run(command).await
        }
        Command::Content { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            content::run(command).await
        }
        Command::Message { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            message::run(command).await
        }
        Command::Office { command } => {
            log_to_stderr(&Log { filter: "warn".to_owned(), json: false });
            match command {
                OfficeCommand::Log { place, creditor, json } => office::log(&place.database()?, &creditor, json).await,
                OfficeCommand::WipePhones { username, place, signed } => {
                    office::wipe(&place.database()?, signed.into(), username).await
                }
            }
        }
    }
}

/// An error and its causes; a cause that the error before it has said already is left out.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Structured logs on the standard error, so that the standard output stays for answers.
fn log_to_stderr(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second initialisation (in tests) keeps the first.
    let _ = if log.json { builder.json().try_init() } else { builder.compact().try_init() };
}

/// Resolves when the process is asked to stop (Ctrl-C, or SIGTERM from a supervisor). Listens from the call on, not only
/// from the first poll: whoever was told "ready" may say "stop" at once.
fn asked_to_stop() -> impl Future<Output = ()> + Send {
    let listen = |kind| tokio::signal::unix::signal(kind);
    let interrupt = listen(tokio::signal::unix::SignalKind::interrupt());
    let terminate = listen(tokio::signal::unix::SignalKind::terminate());
    async move {
        tokio::select! {
            () = heard(interrupt) => {}
            () = heard(terminate) => {}
        }
    }
}

async fn heard(signal: std::io::Result<tokio::signal::unix::Signal>) {
    match signal {
        Ok(mut signal) => drop(signal.recv().await),
        // Without a listener the signal still ends the process, only less gently.
        Err(_) => std::future::pending().await,
    }
}
