//! A phone in a terminal: the same app core that runs on a real one, with lines instead of a screen.
//!
//! ```text
//! cargo run -p borsellino-core --example phone -- --server http://127.0.0.1:8080 [--data DIR] [--lang it|en|de]
//! ```
//!
//! For scripts: `--code`, `--username`, `--password` (or BORSELLINO_PASSWORD), `--json` for one event per line, and
//! `--script "topup 1 20 online; wait paid; quit"`. BORSELLINO_CRASH_AT=intent-saved (and the other steps) aborts the
//! process there. Secrets lie in plain files under DIR: this is no phone to carry around.

mod documents;
mod json;
mod screen;

use std::io::{BufRead, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{
    Amount, App, Config, Connection, Error, Event, HomeView, InsecureFileStore, Language, Listener, PayBy, Step,
    SystemClock, TopUpId, TopUpState, TopUpView, WalletView,
};
use screen::Screen;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What was said on the command line.
struct Options {
    server: String,
    data: std::path::PathBuf,
    language: Language,
    json: bool,
    open: bool,
    code: Option<String>,
    username: Option<String>,
    password: Option<String>,
    script: Option<String>,
    patience: Duration,
}

const USAGE: &str = "phone --server URL [--data DIR] [--lang it|en|de] [--open] [--json] [--code CODE] \
    [--username NAME] [--password WORD] [--script 'COMMAND; COMMAND'] [--wait-seconds N]
commands: topup WALLET# AMOUNT online|notice, retry TOP-UP#, bill BILL#, movements [WALLET#], home, refresh, resume,
          archive, document notice topup|bill # FOLDER, document receipt|original ARCHIVE# FOLDER,
          document certificate CHILD# YEAR FOLDER, document statement WALLET# FROM-DAY TO-DAY FOLDER,
          wait paid|live|balance, signout, quit";

fn options() -> Result<Options, String> {
    let mut options = Options {
        server: String::new(),
        data: std::env::temp_dir().join("borsellino-phone"),
        language: Language::Italian,
        json: false,
        open: false,
        code: None,
        username: None,
        password: std::env::var("BORSELLINO_PASSWORD").ok(),
        script: None,
        patience: Duration::from_secs(60),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--open" => options.open = true,
            _ => {
                let value = words.next().ok_or_else(|| USAGE.to_owned())?;
                match word.as_str() {
                    "--server" => options.server = value,
                    "--data" => options.data = value.into(),
                    "--lang" => options.language = Language::from_tag(&value),
                    "--code" => options.code = Some(value),
                    "--username" => options.username = Some(value),
                    "--password" => options.password = Some(value),
                    "--script" => options.script = Some(value),
                    "--wait-seconds" => {
                        options.patience = Duration::from_secs(value.parse().map_err(|_| USAGE.to_owned())?);
                    }
                    _ => return Err(USAGE.to_owned()),
                }
            }
        }
    }
    if options.server.is_empty() { Err(USAGE.to_owned()) } else { Ok(options) }
}

/// Carries the app core's events to the loop that prints.
struct Ears(UnboundedSender<Event>);

impl Listener for Ears {
    fn on_event(&self, event: Event) {
        // The loop is gone: nobody listens any more.
        let _ = self.0.send(event);
    }
}

/// Why the phone stops.
enum Stop {
    /// Asked to.
    Quit,
    /// Something can't be done.
    Failed(Error),
    /// A script asked for something that can't be or never came.
    Script(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Done<T = ()> = Result<T, Stop>;

struct Phone {
    app: App,
    options: Options,
    screen: Screen,
    lines: UnboundedReceiver<String>,
    events: UnboundedReceiver<Event>,
    ears: Arc<Ears>,
    live: bool,
    balance_moved: bool,
    last: Option<TopUpId>,
    /// The top-up printed last, and what was said of it.
    printed: Option<(TopUpId, String)>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let screen = Screen::new(options.language, options.json);
    match run(options, screen).await {
        Ok(()) | Err(Stop::Quit) => ExitCode::SUCCESS,
        Err(Stop::Failed(error)) => {
            screen.error(&error);
            ExitCode::FAILURE
        }
        Err(Stop::Script(why)) => {
            eprintln!("{why}");
            ExitCode::from(3)
        }
    }
}

async fn run(options: Options, screen: Screen) -> Done {
    let mut config = Config::new(options.data.join("cache"), options.server.as_str(), options.language);
    config.device_name = "terminal".to_owned();
    if let Ok(name) = std::env::var("BORSELLINO_CRASH_AT") {
        let at = Step::ALL.iter().copied().find(|step| step.name() == name);
        let at = at.ok_or_else(|| Stop::Script(format!("BORSELLINO_CRASH_AT: no step {name}")))?;
        config.on_step = Some(Arc::new(move |step| {
            if step == at {
                std::process::abort();
            }
        }));
    }
    let store = Arc::new(InsecureFileStore::new(options.data.join("secrets")));
    let app = App::open(config, store, Arc::new(SystemClock)).await?;
    let (sender, lines) = unbounded_channel();
    if options.script.is_none() {
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    let (sender, events) = unbounded_channel();
    let ears = Arc::new(Ears(sender));
    let (live, balance_moved, last) = (false, false, None);
    let mut phone = Phone { app, options, screen, lines, events, ears, live, balance_moved, last, printed: None };
    let outcome = phone.live().await;
    phone.app.shutdown().await;
    outcome
}

impl Phone {
    async fn live(&mut self) -> Done {
        if self.app.accounts().is_empty() {
            self.sign_in().await?;
        }
        loop {
            match self.signed_in().await {
                // Ended by the office, unused for too long, or another server with the same address (a new demo).
                Err(Stop::Failed(Error::SignedOut)) if self.options.script.is_none() => {
                    self.screen.error(&Error::SignedOut);
                    self.sign_in().await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn signed_in(&mut self) -> Done {
        // The first paint is what was known; then the network.
        if let Some(home) = self.app.cached_home()? {
            self.screen.home(&home);
        }
        let watch = self.app.watch(Arc::clone(&self.ears) as Arc<dyn Listener>)?;
        match self.app.resume().await {
            Ok(_) => self.show_home()?,
            Err(error @ Error::SignedOut) => return Err(error.into()),
            Err(error) => self.screen.error(&error),
        }
        let outcome = match self.options.script.clone() {
            Some(script) => self.play(&script).await,
            None => self.menu().await,
        };
        watch.stop().await;
        outcome
    }

    async fn sign_in(&mut self) -> Done {
        let words = self.screen;
        let creditor = loop {
            let given = self.options.code.take();
            let typed = given.is_none();
            let code = match given {
                Some(code) => code,
                None => self.ask(words.pick(["Codice di attivazione", "Activation code", "Aktivierungscode"])).await?,
            };
            match self.app.activate(&code).await {
                Ok(creditor) => break creditor,
                Err(error) if typed => self.screen.error(&error),
                Err(error) => return Err(error.into()),
            }
        };
        words.line(&creditor.name);
        loop {
            let typed = self.options.username.is_none() || self.options.password.is_none();
            let username = match self.options.username.clone() {
                Some(username) => username,
                None => self.ask(words.pick(["Nome utente", "User name", "Benutzername"])).await?,
            };
            let password = match self.options.password.clone() {
                Some(password) => password,
                None => self.ask_secretly(words.pick(["Password", "Password", "Passwort"])).await?,
            };
            match self.app.sign_in(&creditor.fiscal_code, &username, &password).await {
                Ok(_) => return Ok(()),
                Err(error) if typed => self.screen.error(&error),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Prints what happens until a line is typed.
    async fn ask(&mut self, prompt: &str) -> Done<String> {
        self.screen.prompt(prompt);
        loop {
            tokio::select! {
                line = self.lines.recv() => return line.map(|line| line.trim().to_owned()).ok_or(Stop::Quit),
                Some(event) = self.events.recv() => {
                    if self.hear(event)? {
                        self.screen.prompt(prompt);
                    }
                }
            }
        }
    }

    async fn ask_secretly(&mut self, prompt: &str) -> Done<String> {
        let hide = std::io::stdin().is_terminal();
        let echo = |on: &str| {
            // Without `stty` the password is merely seen while typed.
            let _ = Command::new("stty").arg(on).stdin(Stdio::inherit()).status();
        };
        if hide {
            echo("-echo");
        }
        let answer = self.ask(prompt).await;
        if hide {
            echo("echo");
            println!();
        }
        answer
    }

    /// Takes in an event; answers whether something was printed.
    fn hear(&mut self, event: Event) -> Done<bool> {
        match &event {
            Event::Connection(connection) => {
                self.live = *connection == Connection::Live;
                if *connection == Connection::SignedOut {
                    return Err(Error::SignedOut.into());
                }
            }
            Event::BalanceChanged(_) => self.balance_moved = true,
            // Just printed, as the answer to what was typed.
            Event::TopUpChanged(view)
                if !self.options.json
                    && self.printed.as_ref().is_some_and(|(id, words)| *id == view.id && *words == view.sentence) =>
            {
                return Ok(false);
            }
            _ => {}
        }
        Ok(self.screen.event(&event))
    }

    fn known(&self) -> Done<HomeView> {
        self.app.cached_home()?.ok_or(Stop::Failed(Error::Offline))
    }

    fn show_home(&self) -> Done {
        self.screen.home(&self.known()?);
        Ok(())
    }

    async fn menu(&mut self) -> Done {
        let menu = self.screen.pick([
            "1 Ricarica  2 Paga un bollettino  3 Movimenti  4 Aggiorna  5 Esci dall'account  6 Riprova una ricarica  7 Salva un documento  0 Chiudi",
            "1 Top up  2 Pay a bill  3 Movements  4 Refresh  5 Sign out  6 Retry a top-up  7 Save a document  0 Quit",
            "1 Aufladen  2 Rechnung zahlen  3 Buchungen  4 Aktualisieren  5 Abmelden  6 Aufladung erneut versuchen  7 Dokument speichern  0 Beenden",
        ]);
        loop {
            let done = match self.ask(menu).await?.as_str() {
                "1" => self.choose_top_up().await,
                "2" => {
                    let number =
                        self.ask(self.screen.pick(["Quale bollettino?", "Which bill?", "Welche Rechnung?"])).await?;
                    self.pay_bill(&number).await
                }
                "3" => self.movements(None).await,
                "4" => match self.app.refresh_home().await {
                    Ok(home) => {
                        self.screen.home(&home);
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                },
                "5" => {
                    self.app.sign_out().await?;
                    return Ok(());
                }
                "6" => {
                    let which = ["Quale ricarica? (numero)", "Which top-up? (number)", "Welche Aufladung? (Nummer)"];
                    let number = self.ask(self.screen.pick(which)).await?;
                    self.retry(&number).await
                }
                "7" => {
                    self.archive().await?;
                    let which = "notice topup|bill #, receipt|original #, certificate # YEAR, statement # FROM TO, each with FOLDER";
                    let typed = self.ask(which).await?;
                    self.save(&typed.split_whitespace().collect::<Vec<_>>()).await
                }
                "0" | "q" => return Ok(()),
                _ => Ok(()),
            };
            match done {
                // Whatever it was, the phone goes on, unless nobody is signed in any more.
                Err(Stop::Failed(error)) if error != Error::SignedOut => self.screen.error(&error),
                Err(Stop::Script(why)) => self.screen.line(&why),
                done => done?,
            }
        }
    }

    /// The wallet with this number on the screen.
    fn wallet(&self, number: &str) -> Done<WalletView> {
        let home = self.known()?;
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let mut wallets = home.children.into_iter().flat_map(|child| child.wallets);
        index.and_then(|index| wallets.nth(index)).ok_or_else(|| Stop::Script(format!("{number}?")))
    }

    async fn choose_top_up(&mut self) -> Done {
        let words = self.screen;
        let number = self
            .ask(words.pick(["Quale saldo? (numero)", "Which balance? (number)", "Welches Guthaben? (Nummer)"]))
            .await?;
        let wallet = self.wallet(&number)?;
        let preset = |(index, money): (usize, &borsellino_core::Money)| {
            let star = if wallet.suggested.as_ref() == Some(money) { "*" } else { "" };
            format!("{}) {}{star}", char::from(b'a'.saturating_add(u8::try_from(index).unwrap_or(25))), money.text)
        };
        let presets: Vec<String> = wallet.presets.iter().enumerate().map(preset).collect();
        let other = words.pick(["o altro importo", "or another amount", "oder ein anderer Betrag"]);
        let typed =
            self.ask(&format!("{} {other} ({} - {})", presets.join("  "), wallet.min.text, wallet.max.text)).await?;
        let letter = match typed.as_bytes() {
            [letter] => wallet.presets.get(usize::from(letter.wrapping_sub(b'a'))).map(|money| money.cents),
            _ => None,
        };
        let amount = letter.map_or_else(|| Amount::parse(&typed), Amount::from_cents);
        let amount = amount.map_err(|_| Stop::Script(format!("{typed}?")))?;
        let how = words.pick([
            "o) online  a) avviso da pagare",
            "o) online  n) notice",
            "o) online  z) Zahlungsaufforderung",
        ]);
        let pay_by = if self.ask(how).await?.starts_with('o') { PayBy::Online } else { PayBy::Notice };
        self.top_up(&wallet, amount, pay_by).await
    }

    async fn top_up(&mut self, wallet: &WalletView, amount: Amount, pay_by: PayBy) -> Done {
        self.balance_moved = false;
        let view = self.app.start_top_up(wallet.id, amount, pay_by).await?;
        self.show_top_up(&view);
        Ok(())
    }

    /// Asks for a page again for the top-up with this number on the screen.
    async fn retry(&mut self, number: &str) -> Done {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let home = self.known()?;
        let view = index.and_then(|index| home.top_ups.get(index)).ok_or_else(|| Stop::Script(format!("{number}?")))?;
        self.balance_moved = false;
        let view = self.app.retry_top_up(view.id).await?;
        self.show_top_up(&view);
        Ok(())
    }

    fn show_top_up(&mut self, view: &TopUpView) {
        self.last = Some(view.id);
        self.printed = Some((view.id, view.sentence.clone()));
        self.screen.top_up(view);
        match &view.checkout_url {
            Some(url) => self.visit(url),
            None => {
                if let Some(notice) = &view.notice {
                    self.screen.notice(notice);
                }
            }
        }
    }

    async fn pay_bill(&mut self, number: &str) -> Done {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let home = self.known()?;
        let bill = index.and_then(|index| home.bills.get(index)).ok_or_else(|| Stop::Script(format!("{number}?")))?;
        let paid = self.app.pay_bill(bill.id).await?;
        self.screen.bill(&paid);
        match &paid.checkout_url {
            Some(url) => self.visit(url),
            None => {
                if let Some(notice) = &paid.bill.notice {
                    self.screen.notice(notice);
                }
            }
        }
        Ok(())
    }

    /// "Opens" the pagoPA page.
    fn visit(&self, url: &str) {
        self.screen.url(url);
        if self.options.open {
            // A terminal without a desktop: the address is on the screen.
            let _ = Command::new("xdg-open").arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        }
    }

    async fn movements(&mut self, wallet: Option<WalletView>) -> Done {
        let page = self.app.movements(wallet.map(|wallet| wallet.id), None).await?;
        self.screen.movements(&page);
        Ok(())
    }

    async fn play(&mut self, script: &str) -> Done {
        for command in script.split(';').map(str::trim).filter(|command| !command.is_empty()) {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words.as_slice() {
                ["topup", wallet, amount, how] => {
                    let wallet = self.wallet(wallet)?;
                    let amount = Amount::parse(amount).map_err(|error| Stop::Script(error.to_string()))?;
                    let pay_by = if *how == "online" { PayBy::Online } else { PayBy::Notice };
                    self.top_up(&wallet, amount, pay_by).await?;
                }
                ["retry", number] => self.retry(number).await?,
                ["bill", number] => self.pay_bill(number).await?,
                ["movements"] => self.movements(None).await?,
                ["movements", wallet] => {
                    let wallet = self.wallet(wallet)?;
                    self.movements(Some(wallet)).await?;
                }
                ["archive"] => self.archive().await?,
                ["document", wanted @ ..] => self.save(wanted).await?,
                ["home"] => self.show_home()?,
                ["refresh"] => {
                    let home = self.app.refresh_home().await?;
                    self.screen.home(&home);
                }
                ["resume"] => {
                    self.app.resume().await?;
                }
                ["wait", what] => {
                    self.wait(what, self.options.patience).await?;
                    if *what == "paid" && !self.balance_moved {
                        // It comes with the receipt; where it does not, the script may wait for it by name.
                        let _ = self.wait("balance", Duration::from_secs(2)).await;
                    }
                }
                ["signout"] => self.app.sign_out().await?,
                ["quit"] => return Ok(()),
                _ => return Err(Stop::Script(format!("{command}?\n{USAGE}"))),
            }
        }
        Ok(())
    }

    /// Prints what happens until it has come.
    async fn wait(&mut self, what: &str, patience: Duration) -> Done {
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            let come = match what {
                "live" => self.live,
                "balance" => std::mem::take(&mut self.balance_moved),
                "paid" => self.last_is_paid()?,
                _ => return Err(Stop::Script(format!("wait {what}?"))),
            };
            if come {
                return Ok(());
            }
            tokio::select! {
                () = &mut patience => return Err(Stop::Script(format!("wait {what}: never came"))),
                Some(event) = self.events.recv() => {
                    if let Event::TopUpChanged(view) = &event {
                        self.note(view);
                    }
                    self.hear(event)?;
                }
            }
        }
    }

    /// A paid top-up may be gone from the home screen before it is looked for.
    fn note(&mut self, view: &TopUpView) {
        if Some(view.id) == self.last && matches!(view.state, TopUpState::Paid { .. }) {
            self.last = None;
        }
    }

    fn last_is_paid(&self) -> Done<bool> {
        let Some(last) = self.last else { return Ok(true) };
        let listed = self.known()?.top_ups.into_iter().find(|view| view.id == last);
        match listed.map(|view| (view.state, view.sentence)) {
            Some((TopUpState::Paid { .. }, _)) => Ok(true),
            Some((TopUpState::Refused(_) | TopUpState::Expired | TopUpState::Cancelled, why)) => Err(Stop::Script(why)),
            _ => Ok(false),
        }
    }
}

/// Prints without a line's end, at once.
fn flush(text: &str) {
    print!("{text}");
    // A closed pipe ends the phone with the next line anyway.
    let _ = std::io::stdout().flush();
}
