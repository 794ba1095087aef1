//! The words on the screen, Italian first, then English and German.

use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use borsellino_domain::time::{Millis, day_text};
use borsellino_proto::v1;

use crate::bills::BillState;
use crate::models::{MovementKind, QueuedWhy, ServiceKind, TopUpState};

/// One text in three languages.
pub(crate) fn pick(language: Language, texts: [&str; 3]) -> &str {
    language.choose(texts)
}

/// The words for one screen: in which language, and which instant is "now" by the server's clock (`None` where the
/// phone's clock jumped and nobody knows).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) language: Language,
    pub(crate) server_now: Option<Millis>,
}

impl Words {
    pub(crate) fn of<'a>(&self, texts: [&'a str; 3]) -> &'a str {
        pick(self.language, texts)
    }

    pub(crate) fn money(&self, cents: i64) -> String {
        Cents::new(cents).text(self.language)
    }

    /// `12 novembre`, with the year where it is not this one or nobody knows which one this is.
    pub(crate) fn day(&self, at: Millis) -> String {
        let today = self.server_now.unwrap_or_default();
        match (at.day_in_italy(), today.day_in_italy()) {
            (Some(day), Some(today)) => day_text(day, today, self.language),
            _ => "?".to_owned(),
        }
    }

    /// An ISO date as people say it; as it is where it is none.
    pub(crate) fn iso_day(&self, text: &str) -> String {
        let today = self.server_now.unwrap_or_default().day_in_italy();
        match (text.parse(), today) {
            (Ok(day), Some(today)) => day_text(day, today, self.language),
            _ => text.to_owned(),
        }
    }

    /// `8:12`
    pub(crate) fn hour(&self, at: Millis) -> String {
        let text = at.clock_in_italy().unwrap_or_default();
        text.strip_prefix('0').map(str::to_owned).unwrap_or(text)
    }

    /// `12 novembre alle 8:12`
    pub(crate) fn day_and_hour(&self, at: Millis) -> String {
        format!("{} {} {}", self.day(at), self.of(["alle", "at", "um"]), self.hour(at))
    }

    /// Italian elides its articles before 8 and 11: `l'8 novembre`, `dell'11 marzo`.
    pub(crate) fn elided(&self, text: String) -> String {
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
    pub(crate) fn as_of(&self, at: Millis) -> String {
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

    /// What a service is called in the middle of a sentence.
    pub(crate) fn service<'a>(&self, kind: ServiceKind, name: &'a str) -> &'a str {
        match kind {
            ServiceKind::Canteen => self.of(["mensa", "canteen", "Mensa"]),
            ServiceKind::Transport => self.of(["trasporto", "transport", "Schulbus"]),
            ServiceKind::BeforeSchool => self.of(["pre-scuola", "before-school", "Frühbetreuung"]),
            ServiceKind::AfterSchool => self.of(["post-scuola", "after-school", "Nachmittagsbetreuung"]),
            ServiceKind::Nursery => self.of(["nido", "nursery", "Kinderkrippe"]),
            ServiceKind::Other => name,
        }
    }

    /// `Saldo mensa di Giulia`
    pub(crate) fn balance_of(&self, service: &str, child: &str) -> String {
        match self.language {
            Language::Italian => format!("Saldo {service} di {child}"),
            Language::English => format!("{child}'s {service} balance"),
            Language::German => format!("Guthaben {service} von {child}"),
        }
    }

    /// What a balance says: a negative one is a debt.
    pub(crate) fn balance(&self, cents: i64) -> String {
        if cents >= 0 {
            return self.money(cents);
        }
        let owed = self.money(cents.checked_neg().unwrap_or(i64::MAX));
        format!("{} {owed}", self.of(["devi", "you owe", "Sie schulden"]))
    }

    /// `12 euro e 40 centesimi`, for a screen reader.
    pub(crate) fn spoken(&self, cents: i64) -> String {
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

    /// `basta per 6 pasti`
    pub(crate) fn covers(&self, kind: ServiceKind, units: u32) -> String {
        let one = units == 1;
        let thing = match (kind, one) {
            (ServiceKind::Canteen, true) => self.of(["pasto", "meal", "Mahlzeit"]),
            (ServiceKind::Canteen, false) => self.of(["pasti", "meals", "Mahlzeiten"]),
            (ServiceKind::Transport, true) => self.of(["corsa", "ride", "Fahrt"]),
            (ServiceKind::Transport, false) => self.of(["corse", "rides", "Fahrten"]),
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

    pub(crate) fn low(&self) -> String {
        self.of(["sta per finire", "running low", "fast aufgebraucht"]).to_owned()
    }

    /// `da pagare 57,33 € entro il 20 febbraio`; a bill with nothing left to pay never asks for `0,00 €`.
    pub(crate) fn bill_due(&self, state: BillState, residual: i64, due: &str) -> String {
        if state == BillState::Overpaid {
            return self
                .of([
                    "pagato più del dovuto: il Comune ti rimborserà",
                    "paid more than asked: you will be refunded",
                    "mehr als gefordert bezahlt: Sie erhalten den Rest zurück",
                ])
                .to_owned();
        }
        if state == BillState::Withdrawn {
            return self
                .of([
                    "annullato dal Comune: nulla da pagare",
                    "withdrawn: nothing to pay",
                    "storniert: nichts zu zahlen",
                ])
                .to_owned();
        }
        if state == BillState::Paid || residual <= 0 {
            return self.of(["pagato", "paid", "bezahlt"]).to_owned();
        }
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

    /// The state of a payment, after the table of the screens.
    pub(crate) fn state(&self, state: &TopUpState) -> String {
        let until = |at: &Option<Millis>| at.map(|at| self.day(at));
        match state {
            TopUpState::Queued { why } => self.queued(*why),
            TopUpState::Payable { until: at } => {
                return match (until(at), self.language) {
                    (None, _) => self.of(["Da pagare", "To pay", "Zu zahlen"]).to_owned(),
                    (Some(day), Language::Italian) => self.elided(format!("Da pagare (entro il {day})")),
                    (Some(day), Language::English) => format!("To pay (by {day})"),
                    (Some(day), Language::German) => format!("Zu zahlen (bis {day})"),
                };
            }
            TopUpState::InProgress { .. } => self.of([
                "In corso: in attesa di conferma",
                "In progress: waiting for confirmation",
                "In Bearbeitung: Bestätigung ausständig",
            ]),
            TopUpState::NotCompleted { .. } => self.of([
                "Pagamento non concluso: puoi riprovare",
                "Not completed: you can try again",
                "Nicht abgeschlossen: Sie können es noch einmal versuchen",
            ]),
            TopUpState::Paid { at } => {
                return match (at.map(|at| self.day(at)), self.language) {
                    (None, _) => {
                        self.of(["Operazione conclusa: pagato", "Done: paid", "Abgeschlossen: bezahlt"]).to_owned()
                    }
                    (Some(day), Language::Italian) => self.elided(format!("Operazione conclusa: pagato il {day}")),
                    (Some(day), Language::English) => format!("Done: paid on {day}"),
                    (Some(day), Language::German) => format!("Abgeschlossen: bezahlt am {day}"),
                };
            }
            TopUpState::PaidTwice { .. } => self.of([
                "Pagato due volte: il Comune ti rimborserà",
                "Paid twice: you will be refunded",
                "Doppelt bezahlt: Sie erhalten den Betrag zurück",
            ]),
            TopUpState::Expired => self.of([
                "Scaduto: crea una nuova ricarica",
                "Expired: start a new top-up",
                "Abgelaufen: Starten Sie eine neue Aufladung",
            ]),
            TopUpState::Cancelled => {
                self.of(["Annullato dal Comune", "Cancelled by the municipality", "Von der Gemeinde storniert"])
            }
            TopUpState::Refused(refusal) => {
                let no = self.of(["Non accettato", "Refused", "Nicht angenommen"]);
                return format!("{no}: {}", refusal.sentence);
            }
            TopUpState::Unknown => self.of([
                "Aggiorna l'app per vedere lo stato",
                "Update the app to see how this stands",
                "Aktualisieren Sie die App, um den Stand zu sehen",
            ]),
        }
        .to_owned()
    }

    /// What a queued order waits for, and what the parent can do about it.
    fn queued(&self, why: QueuedWhy) -> &'static str {
        let texts: [&'static str; 3] = match why {
            QueuedWhy::Sending => {
                ["In coda: la stiamo inviando", "Queued: being sent", "In der Warteschlange: wird gerade gesendet"]
            }
            QueuedWhy::Offline => [
                "In coda: parte appena torna la rete",
                "Queued: sent when you are back online",
                "In der Warteschlange: wird gesendet, sobald Sie wieder Netz haben",
            ],
            QueuedWhy::NoAnswer => [
                "In coda: il Comune non ha ancora risposto, riproviamo noi",
                "Queued: no answer yet, we keep trying",
                "In der Warteschlange: noch keine Antwort der Gemeinde, wir versuchen es weiter",
            ],
            QueuedWhy::Busy => [
                "In coda: il servizio è occupato, riproviamo noi tra poco",
                "Queued: the service is busy, we try again shortly",
                "In der Warteschlange: Der Dienst ist ausgelastet, wir versuchen es gleich wieder",
            ],
            QueuedWhy::SignedOut => [
                "In coda: accedi di nuovo e parte subito",
                "Queued: sign in again and it is sent at once",
                "In der Warteschlange: Melden Sie sich wieder an, dann wird gesendet",
            ],
            QueuedWhy::Network => [
                "In coda: la rete chiede un accesso, apri il browser",
                "Queued: this network asks you to sign in, open your browser",
                "In der Warteschlange: Das Netz verlangt eine Anmeldung, öffnen Sie den Browser",
            ],
            QueuedWhy::PhoneClock => [
                "In coda: controlla data e ora del telefono",
                "Queued: check your phone's date and time",
                "In der Warteschlange: Prüfen Sie Datum und Uhrzeit des Telefons",
            ],
            QueuedWhy::Other => {
                ["In coda: riproviamo noi", "Queued: we keep trying", "In der Warteschlange: wir versuchen es weiter"]
            }
        };
        pick(self.language, texts)
    }

    /// Why a movement happened: `Pasto del 12 novembre, tariffa fascia 2, 4,25 €`.
    pub(crate) fn movement(&self, kind: MovementKind, service: ServiceKind, movement: &v1::Movement) -> String {
        let money = self.money(movement.cents.checked_abs().unwrap_or(i64::MAX));
        let what = match (kind, service) {
            (MovementKind::Opening, _) => self.of(["Saldo iniziale", "Opening balance", "Anfangsguthaben"]),
            (MovementKind::TopUp, _) => self.of(["Ricarica", "Top-up", "Aufladung"]),
            (MovementKind::Correction, _) => self.of(["Rettifica", "Correction", "Berichtigung"]),
            (MovementKind::Refund, _) => self.of(["Rimborso", "Refund", "Rückerstattung"]),
            (MovementKind::Charge, ServiceKind::Canteen) => self.of(["Pasto", "Meal", "Mahlzeit"]),
            (MovementKind::Charge, ServiceKind::Transport) => self.of(["Corsa", "Ride", "Fahrt"]),
            (MovementKind::Charge, _) => self.of(["Addebito", "Charge", "Abbuchung"]),
            (MovementKind::Other, _) => self.of(["Movimento", "Movement", "Buchung"]),
        };
        let day =
            if movement.day.is_empty() { self.day(Millis::new(movement.at_ms)) } else { self.iso_day(&movement.day) };
        let tariff = match movement.tariff.as_str() {
            "" => String::new(),
            name => format!(", {} {name}", self.of(["tariffa", "tariff", "Tarif"])),
        };
        self.elided(format!("{what} {} {day}{tariff}, {money}", self.of(["del", "of", "vom"])))
    }

    /// What a parent does about a payment; `page`: one is shown with it.
    pub(crate) fn advice(&self, state: &TopUpState, page: bool) -> Option<String> {
        match state {
            TopUpState::InProgress { .. } | TopUpState::Payable { .. } if page => Some(
                self.of([
                    "Se non hai ancora pagato, continua qui: la pagina è aperta. Se hai già pagato, aspetta: la conferma \
                     arriva di solito in pochi secondi.",
                    "If you have not paid yet, go on here: the page is open. If you have paid, wait: the confirmation \
                     usually comes within seconds.",
                    "Falls Sie noch nicht bezahlt haben, fahren Sie hier fort: Die Seite ist offen. Falls Sie schon \
                     bezahlt haben, warten Sie bitte: Die Bestätigung kommt meist in wenigen Sekunden.",
                ])
                .to_owned(),
            ),
            TopUpState::InProgress { until } => Some(self.in_progress_advice(*until)),
            TopUpState::NotCompleted { wait_until } => Some(self.not_completed_advice(*wait_until)),
            _ => None,
        }
    }

    fn not_completed_advice(&self, until: Option<Millis>) -> String {
        let Some(until) = until else {
            return self
                .of([
                    "Se hai ricevuto un addebito non pagare di nuovo: la conferma può arrivare più tardi.",
                    "If you were charged, do not pay again: the confirmation can come later.",
                    "Falls Ihnen etwas abgebucht wurde, zahlen Sie nicht noch einmal: Die Bestätigung kann später \
                     kommen.",
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
                "Falls Ihnen etwas abgebucht wurde, zahlen Sie nicht noch einmal: Die Bestätigung kann später kommen, \
                 bis {when}."
            ),
        }
    }

    /// While nothing is known and no page is open any more.
    fn in_progress_advice(&self, until: Option<Millis>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = Millis::new(1_795_172_400_000); // 2026-11-20T11:00:00Z, 12:00 in Italy

    fn words(language: Language) -> Words {
        Words { language, server_now: Some(NOON) }
    }

    #[test]
    fn freshness_never_says_today_without_knowing() {
        let it = words(Language::Italian);
        assert_eq!(it.as_of(NOON.plus(-13_680_000)), "aggiornato oggi alle 8:12");
        assert_eq!(it.as_of(NOON.plus_days(-1)), "aggiornato ieri alle 12:00");
        assert_eq!(it.as_of(NOON.plus_days(-8)), "aggiornato il 12 novembre alle 12:00");
        assert_eq!(Words { server_now: None, ..it }.as_of(NOON), "aggiornato il 20 novembre 2026 alle 12:00");
        assert_eq!(it.as_of(NOON.plus_days(-9)), "aggiornato l'11 novembre alle 12:00");
        assert_eq!(words(Language::English).as_of(NOON), "updated today at 12:00");
        assert_eq!(words(Language::German).as_of(NOON.plus_days(-8)), "Stand 12. November um 12:00");
        assert_eq!(it.as_of(Millis::new(i64::MAX)), "aggiornato il ? alle ");
    }

    #[test]
    fn nobody_is_told_not_to_pay_above_the_link_to_pay() {
        let (open, over) =
            (TopUpState::InProgress { until: Some(NOON) }, TopUpState::NotCompleted { wait_until: Some(NOON) });
        let it = words(Language::Italian);
        let offline = TopUpState::Queued { why: QueuedWhy::Offline };
        assert_eq!(it.state(&offline), "In coda: parte appena torna la rete");
        assert!(it.advice(&open, true).unwrap().starts_with("Se non hai ancora pagato, continua qui"));
        assert!(it.advice(&open, false).unwrap().ends_with("Non pagare di nuovo fino al 20 novembre alle 12:00."));
        assert_eq!(
            it.advice(&over, false).unwrap(),
            "Se hai ricevuto un addebito non pagare di nuovo: la conferma può arrivare più tardi, fino al 20 novembre \
             alle 12:00."
        );
        let unknown = TopUpState::NotCompleted { wait_until: None };
        assert!(it.advice(&unknown, false).unwrap().ends_with("la conferma può arrivare più tardi."));
        assert_eq!(words(Language::German).state(&open), "In Bearbeitung: Bestätigung ausständig");
        assert_eq!(it.advice(&TopUpState::Expired, true), None);
    }

    #[test]
    fn a_balance_says_what_it_means() {
        let it = words(Language::Italian);
        assert_eq!(it.balance(-1_240), "devi 12,40 €");
        assert_eq!(it.balance(i64::MIN), format!("devi {}", it.money(i64::MAX)));
        assert_eq!(it.spoken(1_240), "12 euro e 40 centesimi");
        assert_eq!(words(Language::English).spoken(-100), "you owe 1 euro");
        assert_eq!(it.covers(ServiceKind::Canteen, 6), "basta per 6 pasti");
        assert_eq!(it.covers(ServiceKind::Canteen, 1), "basta per 1 pasto");
        assert_eq!(it.balance_of("mensa", "Giulia"), "Saldo mensa di Giulia");
        let due = it.iso_day("2027-02-20");
        assert_eq!(it.bill_due(BillState::Open, 5_733, &due), "da pagare 57,33 € entro il 20 febbraio 2027");
        assert_eq!(it.bill_due(BillState::Paid, 0, &due), "pagato");
        for state in [BillState::Open, BillState::PartPaid, BillState::Paid, BillState::Overpaid, BillState::Unknown] {
            assert!(!it.bill_due(state, 0, &due).contains("da pagare"), "{state:?}");
        }
        assert_eq!(it.iso_day("domani"), "domani");
    }
}
