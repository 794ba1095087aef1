//! What the terminal phone prints.

use std::io::IsTerminal;
use std::path::Path;

use borsellino_core::{
    BillView, Connection, DocumentFile, Error, Event, HomeView, Language, MovementsView, NoticeView, PayBillView,
    ReceiptsView, TopUpState, TopUpView,
};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode, Version};

use crate::{flush, json};

/// Words for a person, or one JSON object per line for a program.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    language: Language,
    json: bool,
    tty: bool,
}

impl Screen {
    pub(crate) fn new(language: Language, json: bool) -> Self {
        Self { language, json, tty: std::io::stdout().is_terminal() }
    }

    pub(crate) fn pick(&self, [it, en, de]: [&'static str; 3]) -> &'static str {
        match self.language {
            Language::Italian => it,
            Language::English => en,
            Language::German => de,
        }
    }

    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    pub(crate) fn prompt(&self, text: &str) {
        if !self.json {
            flush(&format!("{text} > "));
        }
    }

    fn bold(&self, text: &str) -> String {
        if self.tty { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            println!("{}", json::error(error, self.language));
        } else {
            println!("! {}", error.sentence(self.language));
        }
    }

    pub(crate) fn home(&self, home: &HomeView) {
        if self.json {
            println!("{}", json::home(home));
            return;
        }
        println!();
        println!("{} - {} ({})", self.bold(&home.creditor.name), home.guardian_name, home.as_of_text);
        let mut number = 0_usize;
        for child in &home.children {
            println!();
            println!("{} {}, {}", self.bold(&child.name), child.class_name, child.school);
            for wallet in &child.wallets {
                number = number.saturating_add(1);
                let mut notes: Vec<&str> = wallet.covers.iter().map(String::as_str).collect();
                notes.extend(wallet.low.as_deref());
                let closed = self.pick(["chiuso", "closed", "geschlossen"]);
                notes.extend((!wallet.open).then_some(closed));
                let balance = self.bold(&format!("{:>12}", wallet.balance_text));
                println!("  {number}. {:<24}{balance}   {}", wallet.service_name, notes.join(", "));
            }
        }
        if !home.bills.is_empty() {
            println!();
            println!("{} ({})", self.bold(self.pick(["Bollettini", "Bills", "Rechnungen"])), home.total_due.text);
            for (index, bill) in home.bills.iter().enumerate() {
                println!("  {}. {}", index.saturating_add(1), bill_summary(bill));
            }
        }
        if !home.top_ups.is_empty() {
            println!();
            println!("{}", self.bold(self.pick(["Ricariche in corso", "Top-ups under way", "Laufende Aufladungen"])));
            for (index, view) in home.top_ups.iter().enumerate() {
                println!("  {}. {}", index.saturating_add(1), summary(view));
                if let Some(advice) = &view.advice {
                    println!("     {advice}");
                }
                if let Some(url) = &view.checkout_url {
                    println!("     {url}");
                }
            }
        }
        if !home.movements.is_empty() {
            println!();
            println!("{}", self.bold(self.pick(["Ultimi movimenti", "Last movements", "Letzte Buchungen"])));
            for movement in &home.movements {
                println!("  {:>12}  {} ({})", movement.amount.text, movement.sentence, movement.child_name);
            }
        }
        println!();
    }

    pub(crate) fn movements(&self, page: &MovementsView) {
        if self.json {
            println!("{}", json::movements(page));
            return;
        }
        if page.from_cache {
            println!(
                "{}",
                self.pick([
                    "(senza rete: gli ultimi visti)",
                    "(offline: as last seen)",
                    "(ohne Netz: zuletzt gesehen)"
                ])
            );
        }
        for movement in &page.movements {
            let (amount, after) = (&movement.amount.text, &movement.balance_after_text);
            println!("  {amount:>12} -> {after:>12}  {} ({})", movement.sentence, movement.child_name);
        }
    }

    pub(crate) fn archive(&self, page: &ReceiptsView) {
        if self.json {
            println!("{}", json::archive(page));
            return;
        }
        for (index, item) in page.items.iter().enumerate() {
            println!("  {}. {}", index.saturating_add(1), item.sentence);
        }
    }

    pub(crate) fn saved(&self, path: &Path, file: &DocumentFile) {
        if self.json {
            println!("{}", json::saved(path, file));
        } else if file.from_cache {
            println!("{} ({})", path.display(), file.as_of_text);
        } else {
            println!("{}", path.display());
        }
    }

    pub(crate) fn top_up(&self, view: &TopUpView) {
        if self.json {
            println!("{}", json::top_up(view));
            return;
        }
        println!("{}", summary(view));
        if let Some(advice) = &view.advice {
            println!("  {advice}");
        }
        if view.checkout_unavailable {
            println!(
                "  {}",
                self.pick([
                    "La pagina pagoPA non risponde: paga con l'avviso, o riprova più tardi.",
                    "The pagoPA page does not answer: pay with the notice, or try again later.",
                    "Die pagoPA-Seite antwortet nicht: Zahlen Sie mit der Zahlungsaufforderung, oder versuchen Sie es \
                     später noch einmal.",
                ])
            );
        }
    }

    pub(crate) fn bill(&self, paid: &PayBillView) {
        if self.json {
            println!("{}", json::pay_bill(paid));
        } else {
            println!("{}", bill_summary(&paid.bill));
            if let Some(advice) = &paid.bill.advice {
                println!("  {advice}");
            }
        }
    }

    pub(crate) fn url(&self, url: &str) {
        self.line(&format!("{}: {url}", self.pick(["Paga qui", "Pay here", "Hier zahlen"])));
    }

    pub(crate) fn notice(&self, notice: &NoticeView) {
        if self.json {
            return;
        }
        let label = |name: &str, value: &str| println!("  {name:<18}{value}");
        println!();
        println!("{}", self.bold(self.pick(["Avviso di pagamento", "Payment notice", "Zahlungsaufforderung"])));
        label(self.pick(["Codice avviso", "Notice code", "Zahlungscode"]), &self.bold(&notice.grouped));
        label(self.pick(["Importo", "Amount", "Betrag"]), &self.bold(&notice.amount.text));
        label(self.pick(["Ente creditore", "Creditor", "Gläubiger"]), &notice.creditor_name);
        label(self.pick(["Codice fiscale", "Tax code", "Steuernummer"]), &notice.creditor_fiscal_code);
        if !notice.cbill.is_empty() {
            label("CBILL", &notice.cbill);
        }
        if let Some(until) = &notice.until {
            label(self.pick(["Entro il", "By", "Bis"]), until);
        }
        println!("{}", self.qr(&notice.qr_text));
    }

    /// Version 4, level M holds every pagoPA text; half blocks make it small enough for a terminal.
    fn qr(&self, text: &str) -> String {
        let code = QrCode::with_version(text, Version::Normal(4), EcLevel::M).or_else(|_| QrCode::new(text));
        let Ok(code) = code else { return text.to_owned() };
        let drawn = code.render::<Dense1x2>().quiet_zone(true).build();
        if !self.tty {
            return drawn;
        }
        // Dark on light whatever the terminal's colours: scanners want it so.
        drawn.lines().map(|line| format!("\x1b[30;107m{line}\x1b[0m\n")).collect()
    }

    /// Answers whether something was printed.
    pub(crate) fn event(&self, event: &Event) -> bool {
        if self.json {
            println!("{}", json::event(event, self.language));
            return true;
        }
        let text = match event {
            Event::Connection(Connection::Live) | Event::HomeChanged => return false,
            Event::Connection(Connection::Lost(error)) => format!("! {}", error.sentence(self.language)),
            Event::Connection(Connection::SignedOut) => format!("! {}", Error::SignedOut.sentence(self.language)),
            Event::BalanceChanged(change) => self.bold(&change.sentence),
            Event::TopUpChanged(view) => summary(view),
            Event::BillChanged(bill) => bill_summary(bill),
        };
        println!("\n{text}");
        true
    }
}

/// `2026/118 ottobre 2026: da pagare 57,33 € entro il 20 dicembre`, and how its payment stands where that says more.
fn bill_summary(bill: &BillView) -> String {
    let what = format!("{} {}: {}", bill.number, bill.period, bill.due_text);
    match bill.payment {
        TopUpState::InProgress { .. } | TopUpState::NotCompleted { .. } => format!("{what}. {}", bill.sentence),
        _ => what,
    }
}

/// `20,00 € Mensa scolastica, Giulia: Da pagare (entro il 20 dicembre)`
fn summary(view: &TopUpView) -> String {
    format!("{} {}, {}: {}", view.amount.text, view.service_name, view.child_name, view.sentence)
}
