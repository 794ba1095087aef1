//! The words that parents read, in the app and in the browser alike: Italian first, then English and German. Amounts, days, balances
//! and the states of a payment are said here and nowhere else.

use crate::language::Language;
use crate::ledger::EntryKind;
use crate::money::Cents;
use crate::service::ServiceKind;
use crate::time::{Millis, day_text};

/// The words for one screen: in which language, and which instant is "now" by the server's clock (`None` where the
/// phone's clock jumped and nobody knows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// In which language.
    pub language: Language,
    /// What "today" means.
    pub server_now: Option<Millis>,
}

impl Words {
    /// The text in this language.
    pub fn of<'a>(&self, texts: [&'a str; 3]) -> &'a str {
        self.language.choose(texts)
    }

    /// `1.234,56 €`
    pub fn money(&self, cents: i64) -> String {
        Cents::new(cents).text(self.language)
    }

    /// `12 novembre`, with the year where it is not this one or nobody knows which one this is.
    pub fn day(&self, at: Millis) -> String {
        let today = self.server_now.unwrap_or_default();
        match (at.day_in_italy(), today.day_in_italy()) {
            (Some(day), Some(today)) => day_text(day, today, self.language),
            _ => "?".to_owned(),
        }
    }

    /// An ISO date as people say it; as it is where it is none.
    pub fn iso_day(&self, text: &str) -> String {
        let today = self.server_now.unwrap_or_default().day_in_italy();
        match (text.parse(), today) {
            (Ok(day), Some(today)) => day_text(day, today, self.language),
            _ => text.to_owned(),
        }
    }

    /// `8:12`
    pub fn hour(&self, at: Millis) -> String {
        let text = at.clock_in_italy().unwrap_or_default();
        text.strip_prefix('0').map(str::to_owned).unwrap_or(text)
    }

    /// `12 novembre alle 8:12`
    pub fn day_and_hour(&self, at: Millis) -> String {
        format!("{} {} {}", self.day(at), self.of(["alle", "at", "um"]), self.hour(at))
    }

    /// Italian elides its articles before 8 and 11: `l'8 novembre`, `dell'11 marzo`.
    pub fn elided(&self, text: String) -> String {
        if self.language != Language::Italian {
            return text;
        }
        [("il ", "l'"), ("del ", "dell'"), ("al ", "all'")].iter().fold(text, |text, (whole, short)| {
            ["8 ", "11 "]
                .iter()
                .fold(text, |text, day| text.replace(&format!(" {whole}{day}"), &format!(" {short}{day}")))
        })
    }

    /// `aggiornato oggi alle 8:12`
    pub fn as_of(&self, at: Millis) -> String {
        let updated = self.of(["aggiornato", "updated", "Stand"]);
        let today = self.server_now.and_then(Millis::day_in_italy);
        let yesterday = self.server_now.and_then(|now| now.plus_days(-1).day_in_italy());
        let at_hour = format!("{} {}", self.of(["alle", "at", "um"]), self.hour(at));
        match at.day_in_italy() {
            day if day.is_some() && day == today => {
                format!("{updated} {} {at_hour}", self.of(["oggi", "today", "heute"]))
            }
            day if day.is_some() && day == yesterday => {
                format!("{updated} {} {at_hour}", self.of(["ieri", "yesterday", "gestern"]))
            }
            _ => self.elided(format!("{updated} {}{} {at_hour}", self.of(["il ", "on ", ""]), self.day(at))),
        }
    }

    /// `Saldo mensa di Giulia`
    pub fn balance_of(&self, service: &str, child: &str) -> String {
        match self.language {
            Language::Italian => format!("Saldo {service} di {child}"),
            Language::English => format!("{child}'s {service} balance"),
            Language::German => format!("Guthaben {service} von {child}"),
        }
    }

    /// What a balance says: a negative one is a debt.
    pub fn balance(&self, cents: i64) -> String {
        if cents >= 0 {
            return self.money(cents);
        }
        let owed = self.money(cents.checked_neg().unwrap_or(i64::MAX));
        format!("{} {owed}", self.of(["devi", "you owe", "Sie schulden"]))
    }

    /// `12 euro e 40 centesimi`, for a screen reader.
    pub fn spoken(&self, cents: i64) -> String {
        let (euros, rest) = (cents.unsigned_abs().div_euclid(100), cents.unsigned_abs().rem_euclid(100));
        let owes = if cents < 0 { self.of(["devi ", "you owe ", "Sie schulden "]) } else { "" };
        let euro = match self.language {
            Language::English if euros != 1 => "euros",
            Language::German => "Euro",
            _ => "euro",
        };
        let whole = format!("{owes}{euros} {euro}");
        match (self.language, rest) {
            (_, 0) => whole,
            (Language::Italian, 1) => format!("{whole} e 1 centesimo"),
            (Language::Italian, _) => format!("{whole} e {rest} centesimi"),
            (Language::English, 1) => format!("{whole} and 1 cent"),
            (Language::English, _) => format!("{whole} and {rest} cents"),
            (Language::German, _) => format!("{whole} und {rest} Cent"),
        }
    }

    /// What a service is called in the middle of a sentence.
    pub fn service(&self, kind: ServiceKind) -> &'static str {
        self.of(match kind {
            ServiceKind::Canteen => ["mensa", "canteen", "Mensa"],
            ServiceKind::Transport => ["trasporto", "transport", "Schulbus"],
            ServiceKind::BeforeSchool => ["pre-scuola", "before-school", "Frühbetreuung"],
            ServiceKind::AfterSchool => ["post-scuola", "after-school", "Nachmittagsbetreuung"],
            ServiceKind::Nursery => ["nido", "nursery", "Kinderkrippe"],
        })
    }

    /// `basta per 6 pasti`; `None` for a service that this program does not know.
    pub fn covers(&self, kind: Option<ServiceKind>, units: u64) -> String {
        let one = units == 1;
        let thing = match (kind, one) {
            (Some(ServiceKind::Canteen), true) => self.of(["pasto", "meal", "Mahlzeit"]),
            (Some(ServiceKind::Canteen), false) => self.of(["pasti", "meals", "Mahlzeiten"]),
            (Some(ServiceKind::Transport), true) => self.of(["corsa", "ride", "Fahrt"]),
            (Some(ServiceKind::Transport), false) => self.of(["corse", "rides", "Fahrten"]),
            (_, true) => self.of(["giorno", "day", "Tag"]),
            (_, false) => self.of(["giorni", "days", "Tage"]),
        };
        match (units, self.language) {
            (0, Language::Italian) => "non basta per la prossima volta".to_owned(),
            (0, Language::English) => "not enough for the next time".to_owned(),
            (0, Language::German) => "reicht nicht für das nächste Mal".to_owned(),
            (_, Language::Italian) => format!("basta per {units} {thing}"),
            (_, Language::English) => format!("enough for {units} {thing}"),
            (_, Language::German) => format!("reicht für {units} {thing}"),
        }
    }

    /// Below a service's low mark.
    pub fn low(&self) -> &'static str {
        self.of(["sta per finire", "running low", "fast aufgebraucht"])
    }

    /// `da pagare 57,33 € entro il 20 febbraio`
    pub fn to_pay(&self, residual: i64, due: &str) -> String {
        let money = self.money(residual);
        match (self.language, due.is_empty()) {
            (Language::Italian, true) => format!("da pagare {money}"),
            (Language::Italian, false) => self.elided(format!("da pagare {money} entro il {due}")),
            (Language::English, true) => format!("{money} to pay"),
            (Language::English, false) => format!("{money} to pay by {due}"),
            (Language::German, true) => format!("{money} zu zahlen"),
            (Language::German, false) => format!("{money} zu zahlen bis {due}"),
        }
    }

    /// A bill that more was paid for than it asked.
    pub fn overpaid(&self) -> &'static str {
        self.of([
            "pagato più del dovuto: il Comune ti rimborserà",
            "paid more than asked: you will be refunded",
            "mehr als gefordert bezahlt: Sie erhalten den Rest zurück",
        ])
    }

    /// A bill of which nothing is asked any more.
    pub fn withdrawn(&self) -> &'static str {
        self.of(["annullato dal Comune: nulla da pagare", "withdrawn: nothing to pay", "storniert: nichts zu zahlen"])
    }

    /// A payment that nobody has begun; until when, where its notice ends.
    pub fn payable(&self, until: Option<Millis>) -> String {
        match (until.map(|at| self.day(at)), self.language) {
            (None, _) => self.of(["Da pagare", "To pay", "Zu zahlen"]).to_owned(),
            (Some(day), Language::Italian) => self.elided(format!("Da pagare (entro il {day})")),
            (Some(day), Language::English) => format!("To pay (by {day})"),
            (Some(day), Language::German) => format!("Zu zahlen (bis {day})"),
        }
    }

    /// A pagoPA page was opened.
    pub fn in_progress(&self) -> &'static str {
        self.of([
            "In corso: in attesa di conferma",
            "In progress: waiting for confirmation",
            "In Bearbeitung: Bestätigung ausständig",
        ])
    }

    /// Its time is over, and no receipt came.
    pub fn not_completed(&self) -> &'static str {
        self.of([
            "Pagamento non concluso: puoi riprovare",
            "Not completed: you can try again",
            "Nicht abgeschlossen: Sie können es noch einmal versuchen",
        ])
    }

    /// `Operazione conclusa: pagato il 12 novembre`
    pub fn paid(&self, at: Option<Millis>) -> String {
        match (at.map(|at| self.day(at)), self.language) {
            (None, _) => self.of(["Operazione conclusa: pagato", "Done: paid", "Abgeschlossen: bezahlt"]).to_owned(),
            (Some(day), Language::Italian) => self.elided(format!("Operazione conclusa: pagato il {day}")),
            (Some(day), Language::English) => format!("Done: paid on {day}"),
            (Some(day), Language::German) => format!("Abgeschlossen: bezahlt am {day}"),
        }
    }

    /// A second payment was put aside.
    pub fn paid_twice(&self) -> &'static str {
        self.of([
            "Pagato due volte: il Comune ti rimborserà",
            "Paid twice: you will be refunded",
            "Doppelt bezahlt: Sie erhalten den Betrag zurück",
        ])
    }

    /// The notice of a top-up has ended.
    pub fn expired(&self) -> &'static str {
        self.of([
            "Scaduto: crea una nuova ricarica",
            "Expired: start a new top-up",
            "Abgelaufen: Starten Sie eine neue Aufladung",
        ])
    }

    /// The creditor withdrew it.
    pub fn cancelled(&self) -> &'static str {
        self.of(["Annullato dal Comune", "Cancelled by the municipality", "Von der Gemeinde storniert"])
    }

    /// `Pasto del 12 novembre, tariffa fascia 2, 4,25 €`: why a movement happened. `kind` and `service` are `None` where this
    /// program does not know them; `day` is ISO, empty where only the instant is known.
    pub fn movement(
        &self,
        kind: Option<EntryKind>,
        service: Option<ServiceKind>,
        (cents, at): (i64, Millis),
        (day, tariff): (&str, &str),
    ) -> String {
        let money = self.money(cents.checked_abs().unwrap_or(i64::MAX));
        let what = self.of(match (kind, service) {
            (Some(EntryKind::Opening), _) => ["Saldo iniziale", "Opening balance", "Anfangsguthaben"],
            (Some(EntryKind::TopUp), _) => ["Ricarica", "Top-up", "Aufladung"],
            (Some(EntryKind::Correction), _) => ["Rettifica", "Correction", "Berichtigung"],
            (Some(EntryKind::Refund), _) => ["Rimborso", "Refund", "Rückerstattung"],
            (Some(EntryKind::Charge), Some(ServiceKind::Canteen)) => ["Pasto", "Meal", "Mahlzeit"],
            (Some(EntryKind::Charge), Some(ServiceKind::Transport)) => ["Corsa", "Ride", "Fahrt"],
            (Some(EntryKind::Charge), _) => ["Addebito", "Charge", "Abbuchung"],
            _ => ["Movimento", "Movement", "Buchung"],
        });
        let day = if day.is_empty() { self.day(at) } else { self.iso_day(day) };
        let tariff = match tariff {
            "" => String::new(),
            name => format!(", {} {name}", self.of(["tariffa", "tariff", "Tarif"])),
        };
        self.elided(format!("{what} {} {day}{tariff}, {money}", self.of(["del", "of", "vom"])))
    }

    /// While a page is open.
    pub fn go_on_here(&self) -> &'static str {
        self.of([
            "Se non hai ancora pagato, continua qui: la pagina è aperta. Se hai già pagato, aspetta: la conferma arriva di solito in pochi secondi.",
            "If you have not paid yet, go on here: the page is open. If you have paid, wait: the confirmation usually comes within seconds.",
            "Falls Sie noch nicht bezahlt haben, fahren Sie hier fort: Die Seite ist offen. Falls Sie schon bezahlt haben, warten Sie bitte: Die Bestätigung kommt meist in wenigen Sekunden.",
        ])
    }

    /// A page was opened and nothing came of it: until when a parent who was charged waits.
    pub fn not_completed_advice(&self, until: Option<Millis>) -> String {
        let Some(until) = until else {
            return self
                .of([
                    "Se hai ricevuto un addebito non pagare di nuovo: la conferma può arrivare più tardi.",
                    "If you were charged, do not pay again: the confirmation can come later.",
                    "Falls Ihnen etwas abgebucht wurde, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen.",
                ])
                .to_owned();
        };
        let when = self.day_and_hour(until);
        match self.language {
            Language::Italian => self.elided(format!(
                "Se hai ricevuto un addebito non pagare di nuovo: la conferma può arrivare più tardi, fino al {when}."
            )),
            Language::English => {
                format!("If you were charged, do not pay again: the confirmation can come later, until {when}.")
            }
            Language::German => format!(
                "Falls Ihnen etwas abgebucht wurde, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen, bis {when}."
            ),
        }
    }

    /// While nothing is known and no page is open any more.
    pub fn in_progress_advice(&self, until: Option<Millis>) -> String {
        let wait = self.of([
            "Stiamo aspettando la conferma di pagoPA. Di solito arriva in pochi secondi. Puoi chiudere: ti avvisiamo noi.",
            "We are waiting for pagoPA's confirmation. It usually comes within seconds. You can close: we'll tell you.",
            "Wir warten auf die Bestätigung von pagoPA, meist nur Sekunden. Sie können die App schließen: Wir melden uns.",
        ]);
        let Some(until) = until else { return wait.to_owned() };
        let when = self.day_and_hour(until);
        match self.language {
            Language::Italian => self.elided(format!("{wait} Non pagare di nuovo fino al {when}.")),
            Language::English => format!("{wait} Do not pay again until {when}."),
            Language::German => format!("{wait} Zahlen Sie bis {when} nicht noch einmal."),
        }
    }
}
