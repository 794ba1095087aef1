//! The words on the screen, Italian first, then English and German: those that only the phone says. The others are the domain's,
//! which the browser's pages say too.

use std::ops::Deref;

use borsellino_domain::language::Language;
use borsellino_domain::ledger::EntryKind;
use borsellino_domain::time::Millis;
use borsellino_domain::{service, words};
use borsellino_proto::v1;

use crate::bills::BillState;
use crate::models::{MovementKind, QueuedWhy, ServiceKind, TopUpState};

/// One text in three languages.
pub(crate) fn pick(language: Language, texts: [&str; 3]) -> &str {
    language.choose(texts)
}

/// The words for one screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(words::Words);

impl Deref for Words {
    type Target = words::Words;

    fn deref(&self) -> &words::Words {
        &self.0
    }
}

fn known(kind: ServiceKind) -> Option<service::ServiceKind> {
    Some(match kind {
        ServiceKind::Canteen => service::ServiceKind::Canteen,
        ServiceKind::Transport => service::ServiceKind::Transport,
        ServiceKind::BeforeSchool => service::ServiceKind::BeforeSchool,
        ServiceKind::AfterSchool => service::ServiceKind::AfterSchool,
        ServiceKind::Nursery => service::ServiceKind::Nursery,
        ServiceKind::Other => return None,
    })
}

impl Words {
    /// In a language; what is "now" by the server's clock, where that is known.
    pub(crate) fn new(language: Language, server_now: Option<Millis>) -> Self {
        Self(words::Words { language, server_now })
    }

    /// What a service is called in the middle of a sentence.
    pub(crate) fn service<'a>(&self, kind: ServiceKind, name: &'a str) -> &'a str {
        known(kind).map_or(name, |kind| self.0.service(kind))
    }

    /// `basta per 6 pasti`
    pub(crate) fn covers(&self, kind: ServiceKind, units: u32) -> String {
        self.0.covers(known(kind), u64::from(units))
    }

    pub(crate) fn low(&self) -> String {
        self.0.low().to_owned()
    }

    /// `da pagare 57,33 € entro il 20 febbraio`; a bill with nothing left to pay never asks for `0,00 €`.
    pub(crate) fn bill_due(&self, state: BillState, residual: i64, due: &str) -> String {
        match state {
            BillState::Overpaid => self.overpaid().to_owned(),
            BillState::Withdrawn => self.withdrawn().to_owned(),
            state if state == BillState::Paid || residual <= 0 => self.of(["pagato", "paid", "bezahlt"]).to_owned(),
            _ => self.to_pay(residual, due),
        }
    }

    /// The state of a payment, after the table of the screens.
    pub(crate) fn state(&self, state: &TopUpState) -> String {
        match state {
            TopUpState::Payable { until } => return self.payable(*until),
            TopUpState::Paid { at } => return self.paid(*at),
            TopUpState::Refused(refusal) => {
                let no = self.of(["Non accettato", "Refused", "Nicht angenommen"]);
                return format!("{no}: {}", refusal.sentence);
            }
            TopUpState::Queued { why } => self.queued(*why),
            TopUpState::InProgress { .. } => self.in_progress(),
            TopUpState::NotCompleted { .. } => self.not_completed(),
            TopUpState::PaidTwice { .. } => self.paid_twice(),
            TopUpState::Expired => self.expired(),
            TopUpState::Cancelled => self.cancelled(),
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
        let kind = match kind {
            MovementKind::Opening => Some(EntryKind::Opening),
            MovementKind::TopUp => Some(EntryKind::TopUp),
            MovementKind::Charge => Some(EntryKind::Charge),
            MovementKind::Correction => Some(EntryKind::Correction),
            MovementKind::Refund => Some(EntryKind::Refund),
            MovementKind::Other => None,
        };
        let when = (movement.cents, Millis::new(movement.at_ms));
        self.0.movement(kind, known(service), when, (&movement.day, &movement.tariff))
    }

    /// What a parent does about a payment; `page`: one is shown with it.
    pub(crate) fn advice(&self, state: &TopUpState, page: bool) -> Option<String> {
        match state {
            TopUpState::InProgress { .. } | TopUpState::Payable { .. } if page => Some(self.go_on_here().to_owned()),
            TopUpState::InProgress { until } => Some(self.in_progress_advice(*until)),
            TopUpState::NotCompleted { wait_until } => Some(self.not_completed_advice(*wait_until)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = Millis::new(1_795_172_400_000); // 2026-11-20T11:00:00Z, 12:00 in Italy

    fn words(language: Language) -> Words {
        Words::new(language, Some(NOON))
    }

    #[test]
    fn freshness_never_says_today_without_knowing() {
        let it = words(Language::Italian);
        assert_eq!(it.as_of(NOON.plus(-13_680_000)), "aggiornato oggi alle 8:12");
        assert_eq!(it.as_of(NOON.plus_days(-1)), "aggiornato ieri alle 12:00");
        assert_eq!(it.as_of(NOON.plus_days(-8)), "aggiornato il 12 novembre alle 12:00");
        assert_eq!(Words::new(Language::Italian, None).as_of(NOON), "aggiornato il 20 novembre 2026 alle 12:00");
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
