//! pgbench: TPC-B, and a script of the statements that the product really sends for one receipt, learnt from
//! PostgreSQL's own log so that it cannot fall behind the code.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::load::{deliver, receipt_id};
use crate::product::Serving;
use crate::town::{CENTS, CREDITORS, FIRST_CREDITOR, STRIDE, WALLETS, creditor, number, wallet};

const CLIENTS: u64 = 64;

/// A pgbench script on the town.
#[derive(Debug)]
pub(crate) struct Pgbench {
    directory: TempDir,
    constants: Vec<String>,
    statements: usize,
}

/// A statement as the log shows it, with the text of its parameters (`None`: NULL).
type Logged = (String, Vec<Option<String>>);

impl Pgbench {
    /// Lets the product credit receipts on the fresh town at `url` with every statement logged, and writes the script.
    pub(crate) async fn learn(url: &str, server: &Path) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let set = format!("ALTER DATABASE {} SET log_statement = 'all'", database(url)?);
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection).await?;
        connection.close().await?;
        // Two receipts for one wallet: what differs between them is what a third one's parameters are made of.
        let ks = [0, WALLETS];
        let serving = Serving::start(url)?;
        for k in ks {
            deliver(serving.node, k..k + 1, 1).await?;
        }
        drop(serving);
        let log = std::fs::read_to_string(server.join("log"))?;
        let logged = logged(&log);
        // Those that name its notice: the till's statements take arrays, here of one.
        let find = |k: u64| {
            let number = format!("{{{}}}", number(k));
            let names = |(_, values): &&Logged| values.iter().flatten().any(|value| *value == number);
            let found: Vec<Logged> = logged.iter().filter(names).cloned().collect();
            ensure!(found.len() > 1, "the receipt is not in the log");
            Ok(found)
        };
        Self::write(&find(ks[0])?, &find(ks[1])?, ks[1])
    }

    fn write(first: &[Logged], second: &[Logged], k: u64) -> anyhow::Result<Self> {
        ensure!(first.len() == second.len(), "two receipts took different statements");
        let mut script = format!(
            "\\set k :from + :client_id + {CLIENTS} * :lap\n\\set lap :lap + 1\n\
             \\set c :k % {CREDITORS}\n\
             \\set sum 27 + :c / 10 + (:c % 10) * 2 - CASE WHEN :c % 10 > 4 THEN 9 ELSE 0 END\n\
             \\set creditor ({FIRST_CREDITOR} + :c) * 10 + (10 - :sum % 10) % 10\n\
             \\set body 3010000000000000 + (:c) * 10000000000000 + :k\n\
             \\set number :body * 100 + :body % 93\n\\set receipt 1000000000000 + :k\n\
             \\set wallet :k * {STRIDE} % {WALLETS} + 1\n\\set made 5000000000000 + :k * 10\n"
        );
        let mut names = Names { k, constants: Vec::new(), made: Vec::new() };
        for ((text, before), (_, after)) in first.iter().zip(second) {
            let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            // From the back, so that $1 does not hit $10.
            for (index, (before, after)) in before.iter().zip(after).enumerate().rev() {
                let named = names.name(before.as_deref(), after.as_deref())?;
                text = text.replace(&format!("${}", index + 1), &named);
            }
            script.push_str(&text);
            // Where the account stands is read here and counted on by what follows, as the product does.
            if text.contains("account_seq") {
                script.push_str("\n\\gset read_\n\\set next_seq :read_account_seq + 1\n");
                writeln!(script, "\\set next_balance :read_account_balance_cents + {CENTS}")?;
            } else {
                script.push_str(";\n");
            }
        }
        let directory = TempDir::with_prefix("borsellino-bench-")?;
        std::fs::write(directory.path().join("receipt.sql"), &script)?;
        if std::env::var_os("BORSELLINO_BENCH_SCRIPT").is_some() {
            println!("{script}");
        }
        Ok(Self { directory, constants: names.constants, statements: first.len() })
    }

    /// How many statements a receipt takes.
    pub(crate) fn statements(&self) -> usize {
        self.statements
    }

    /// Credits the receipts of `range` at `url`; answers receipts a second.
    pub(crate) fn run(&self, url: &str, range: Range<u64>) -> anyhow::Result<f64> {
        let each = (range.end - range.start) / CLIENTS;
        let mut command = pgbench(url)?;
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &CLIENTS.to_string(), "-t", &each.to_string()]);
        command.args(["-D", "lap=0", "-D", &format!("from={}", range.start)]);
        for constant in &self.constants {
            command.args(["-D", constant]);
        }
        rate(command.arg("-f").arg(self.directory.path().join("receipt.sql")).arg(database(url)?))
    }

    /// Fills the database at `url` for TPC-B.
    pub(crate) fn tpcb(url: &str, scale: u64) -> anyhow::Result<Tpcb> {
        let mut command = pgbench(url)?;
        let done = command.args(["-i", "-q", "-s", &scale.to_string(), database(url)?]).output()?;
        ensure!(done.status.success(), "pgbench -i: {}", String::from_utf8_lossy(&done.stderr));
        Ok(Tpcb(url.to_owned()))
    }
}

/// A database filled for TPC-B.
#[derive(Debug)]
pub(crate) struct Tpcb(String);

impl Tpcb {
    pub(crate) fn warm_up(&self) -> anyhow::Result<()> {
        self.run(5).map(drop)
    }

    /// Transactions a second.
    pub(crate) fn run(&self, seconds: u64) -> anyhow::Result<f64> {
        let mut command = pgbench(&self.0)?;
        command.args(["-M", "prepared", "-j", "2", "-c", &CLIENTS.to_string(), "-T", &seconds.to_string()]);
        rate(command.arg(database(&self.0)?))
    }
}

/// Gives each parameter of a receipt its name in the script.
struct Names {
    k: u64,
    constants: Vec<String>,
    /// The ids that the product makes for each receipt, in the order of their appearance.
    made: Vec<String>,
}

impl Names {
    /// `before` and `after` are the parameter's values in two receipts for one wallet; what did not change, or is a time
    /// or a digest (whose value costs the database nothing), stays as it is.
    fn name(&mut self, before: Option<&str>, after: Option<&str>) -> anyhow::Result<String> {
        let Some(after) = after else { return Ok("NULL".to_owned()) };
        let before = before.unwrap_or_default();
        if let (Some(before), Some(after)) = (elements(before), elements(after)) {
            let mut named = Vec::new();
            for (before, after) in before.iter().zip(&after) {
                named.push(self.name(before.as_deref(), after.as_deref())?);
            }
            return Ok(format!("ARRAY[{}]", named.join(", ")));
        }
        let id = |number: &str| format!("lpad({number}::text, 32, '0')::uuid");
        if after == creditor(self.k) {
            return Ok(":creditor::text".to_owned());
        } else if after == number(self.k) {
            return Ok(":number::text".to_owned());
        } else if after == receipt_id(self.k) {
            return Ok(":receipt::text".to_owned());
        } else if after == wallet(self.k)?.to_string() {
            return Ok(id(":wallet"));
        }
        if before != after && Uuid::parse_str(after).is_ok() {
            let known = self.made.iter().position(|made| made == after);
            let index = known.unwrap_or_else(|| {
                self.made.push(after.to_owned());
                self.made.len() - 1
            });
            return Ok(id(&format!("(:made::bigint + {index})")));
        }
        let kind = match after {
            _ if after.starts_with("\\x") => "bytea",
            _ if Uuid::parse_str(after).is_ok() => "uuid",
            _ if after.parse::<i64>().is_ok() => "bigint",
            _ => "text",
        };
        if before != after && kind == "bigint" {
            let cents: i64 = after.parse()?;
            match cents {
                1 => return Ok(":read_account_seq::bigint".to_owned()),
                2 => return Ok(":next_seq::bigint".to_owned()),
                cents if cents == 2 * CENTS => return Ok(":next_balance::bigint".to_owned()),
                time if time > 1_000_000_000_000 => {}
                other => bail!("a receipt's parameter that is not understood: {other}"),
            }
        }
        let constant = self.constants.len();
        self.constants.push(format!("c{constant}={after}"));
        Ok(format!(":c{constant}::{kind}"))
    }
}

/// The elements of an array as PostgreSQL shows it, `{one,"t\\wo",NULL}`; `None` where it is none.
fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    // None of our values holds a comma or a quote; a backslash is doubled.
    let element = |text: &str| {
        let plain = text.trim_matches('"').replace("\\\\", "\\");
        (text != "NULL").then_some(plain)
    };
    Some(inside.split(',').map(element).collect())
}

/// The prepared statements that a log says were run.
fn logged(log: &str) -> Vec<Logged> {
    let mut records: Vec<(String, String)> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), records.last_mut()) {
            (Some(more), Some((_, text))) => {
                text.push('\n');
                text.push_str(more);
            }
            _ => {
                let process = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                let (process, rest) = process.unwrap_or_default();
                records.push((process.to_owned(), rest.trim_start().to_owned()));
            }
        }
    }
    let mut statements: Vec<Logged> = Vec::new();
    // Of each process, which of them waits for its parameters.
    let mut open: HashMap<String, usize> = HashMap::new();
    for (process, text) in records {
        if let Some((_, sql)) = text.strip_prefix("LOG:  execute ").and_then(|rest| rest.split_once(": ")) {
            open.insert(process, statements.len());
            statements.push((sql.to_owned(), Vec::new()));
        } else if let Some(values) = text.strip_prefix("DETAIL:  parameters: ")
            && let Some((_, parameters)) = open.remove(&process).and_then(|index| statements.get_mut(index))
        {
            *parameters = parse(values);
        }
    }
    statements
}

/// Reads `$1 = 'it''s', $2 = NULL`.
fn parse(mut text: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    while let Some((_, rest)) = text.split_once(" = ") {
        let Some(quoted) = rest.strip_prefix('\'') else {
            values.push(None);
            text = rest;
            continue;
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices().peekable();
        let mut end = quoted.len();
        while let Some((at, c)) = chars.next() {
            // A doubled quote is one of the text, a single one its end.
            if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
                end = at + 1;
                break;
            }
            value.push(c);
        }
        values.push(Some(value));
        text = quoted.get(end..).unwrap_or_default();
    }
    values
}

/// Runs pgbench and reads its rate, the time to connect not counted.
fn rate(command: &mut Command) -> anyhow::Result<f64> {
    let done = command.output().context("pgbench")?;
    let (out, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "pgbench: {}", error.lines().next().unwrap_or_default());
    let tps = out.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(tps.with_context(|| format!("pgbench said: {out}"))?.parse()?)
}

/// The pgbench beside the server that runs at `url`.
fn pgbench(url: &str) -> anyhow::Result<Command> {
    let host = url.split_once("host=").and_then(|(_, rest)| rest.split('&').next()).context("no host")?;
    let running = std::fs::read_to_string(Path::new(host).join("data/postmaster.pid"))?;
    let process = running.lines().next().context("no process")?;
    let postgres = std::fs::read_link(Path::new("/proc").join(process).join("exe"))?;
    let mut command = Command::new(postgres.with_file_name("pgbench"));
    command.args(["-h", host, "-p", "5432", "-U", "postgres"]);
    Ok(command)
}

fn database(url: &str) -> anyhow::Result<&str> {
    let name = url.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next());
    name.context("not a URL of the harness")
}
