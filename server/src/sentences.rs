//! What a parent reads when a call is refused: why, and what to do next, in Italian, English and German.

use borsellino_domain::account::{OfficeCodeError, PasswordRule, UsernameError, recovery_ended};
use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use borsellino_domain::service::LimitRefusal;
use borsellino_domain::top_up::TopUpRefusal;
use borsellino_proto::reason::{Reason, Refused};

use crate::usecases::documents::DocumentRefusal;
use crate::usecases::post::PostRefusal;
use crate::usecases::sessions::SessionRefusal;

/// The sentence of a reason that names no number.
pub(crate) fn of(reason: Reason, language: Language) -> &'static str {
    let texts = match reason {
        Reason::Malformed => [
            "La richiesta non è valida: aggiorna l'app e riprova.",
            "The request is not valid: update the app and try again.",
            "Die Anfrage ist ungültig: Bitte die App aktualisieren und erneut versuchen.",
        ],
        Reason::UnknownActivationCode => [
            "Questo codice di attivazione non esiste: controllalo sulla lettera del Comune.",
            "This activation code does not exist: check it on the municipality's letter.",
            "Diesen Aktivierungscode gibt es nicht: Bitte auf dem Schreiben der Gemeinde nachsehen.",
        ],
        Reason::WrongCredentials => [
            "Nome utente o password non corretti.",
            "User name or password is wrong.",
            "Benutzername oder Passwort ist falsch.",
        ],
        Reason::TryLater => [
            "Troppi tentativi: aspetta un momento e riprova.",
            "Too many tries: wait a moment and try again.",
            "Zu viele Versuche: Bitte einen Moment warten und erneut versuchen.",
        ],
        Reason::TokenInvalid | Reason::SessionEnded | Reason::SessionWiped => [
            "La sessione è terminata: accedi di nuovo.",
            "Your session has ended: please sign in again.",
            "Die Sitzung ist beendet: Bitte erneut anmelden.",
        ],
        Reason::UnknownWallet => [
            "Questo saldo non esiste o non è tuo: aggiorna la pagina.",
            "This balance does not exist or is not yours: refresh the page.",
            "Dieses Guthaben gibt es nicht oder es gehört nicht Ihnen: Bitte aktualisieren Sie die Seite.",
        ],
        Reason::WalletClosed => [
            "Questo servizio non accetta più ricariche: chiedi all'ufficio scuola.",
            "This service no longer takes top-ups: ask the school office.",
            "Dieser Dienst nimmt keine Aufladungen mehr an: Bitte fragen Sie bei der Gemeinde nach.",
        ],
        Reason::IdReused => [
            "Questa ricarica esiste già con altri dati: creane una nuova.",
            "This top-up exists already with other data: start a new one.",
            "Diese Aufladung gibt es schon mit anderen Daten: Bitte eine neue beginnen.",
        ],
        Reason::AmountInvalid => [
            "L'importo deve essere maggiore di zero, al massimo 999.999.999,99 €, con non più di due decimali.",
            "The amount must be more than zero, at most €999,999,999.99, with no more than two decimals.",
            "Der Betrag muss größer als null sein, höchstens 999.999.999,99 €, mit höchstens zwei Nachkommastellen.",
        ],
        Reason::TooManyOpen => [
            "Hai già delle ricariche da pagare per questo servizio: pagane una o aspetta che scada.",
            "You already have unpaid top-ups for this service: pay one or let it expire.",
            "Für diesen Dienst gibt es schon offene Aufladungen: Bitte eine bezahlen oder verfallen lassen.",
        ],
        Reason::UnknownBill => [
            "Questo bollettino non esiste o non è tuo: aggiorna la pagina.",
            "This bill does not exist or is not yours: refresh the page.",
            "Diese Rechnung gibt es nicht oder sie gehört nicht Ihnen: Bitte aktualisieren Sie die Seite.",
        ],
        Reason::BillSettled => [
            "Per questo bollettino non resta nulla da pagare.",
            "Nothing is left to pay on this bill.",
            "Bei dieser Rechnung ist nichts mehr zu bezahlen.",
        ],
        Reason::UnknownTopUp => [
            "Questa ricarica non esiste o non è tua: aggiorna la pagina.",
            "This top-up does not exist or is not yours: refresh the page.",
            "Diese Aufladung gibt es nicht oder sie gehört nicht Ihnen: Bitte aktualisieren Sie die Seite.",
        ],
        Reason::UnknownNotice => [
            "Questo avviso non esiste o non è tuo: aggiorna la pagina.",
            "This notice does not exist or is not yours: refresh the page.",
            "Diese Zahlungsmitteilung gibt es nicht oder sie gehört nicht Ihnen: Bitte aktualisieren Sie die Seite.",
        ],
        Reason::NoticeNotPayable => [
            "Uno degli avvisi non si può più pagare: aggiorna la pagina e scegli di nuovo.",
            "One of the notices can no longer be paid: refresh the page and choose again.",
            "Eine der Zahlungsmitteilungen kann nicht mehr bezahlt werden: Bitte aktualisieren und neu wählen.",
        ],
        Reason::PaymentInProgress => [
            "Per uno degli avvisi c'è già un pagamento in corso: concludilo, oppure riprova tra mezz'ora.",
            "A payment is already in progress for one of the notices: finish it, or try again in half an hour.",
            "Für eine der Zahlungsmitteilungen läuft schon eine Zahlung: Bitte abschließen oder in einer halben Stunde \
            erneut versuchen.",
        ],
        Reason::NotPaid => [
            "Per questo pagamento non è ancora arrivata una ricevuta.",
            "No receipt has arrived for this payment yet.",
            "Für diese Zahlung ist noch keine Quittung eingegangen.",
        ],
        Reason::NotSealedYet => [
            "Il pagamento è registrato; la prova sarà pronta entro un minuto.",
            "The payment is booked; its proof will be ready within a minute.",
            "Die Zahlung ist verbucht; der Nachweis ist in einer Minute bereit.",
        ],
        Reason::UnknownDevice => [
            "Questo dispositivo non risulta tra i tuoi: aggiorna l'elenco.",
            "This device is not among yours: refresh the list.",
            "Dieses Gerät ist nicht unter Ihren Geräten: Bitte die Liste aktualisieren.",
        ],
        Reason::OfficeCodeMistyped => return OfficeCodeError::Check.sentence(language),
        Reason::OfficeCodeRefused => [
            "Codice fiscale e codice dell'ufficio non vanno insieme, oppure il codice è scaduto o già usato: controlla entrambi, o \
            chiedi un codice nuovo all'ufficio scuola.",
            "Codice fiscale and office code do not belong together, or the code has expired or was used: check both, or ask the \
            school office for a new one.",
            "Steuernummer und Code der Gemeinde gehören nicht zusammen, oder der Code ist abgelaufen oder verbraucht: Bitte beide \
            prüfen oder bei der Gemeinde einen neuen holen.",
        ],
        Reason::AlreadyRegistered => [
            "Hai già un accesso: entra con nome utente e password, oppure recuperali.",
            "You already have an account: sign in, or recover your user name and password.",
            "Sie haben schon einen Zugang: Bitte anmelden oder die Zugangsdaten wiederherstellen.",
        ],
        Reason::UsernameInvalid => return UsernameError::Character.sentence(language),
        Reason::UsernameTaken => [
            "Questo nome utente è già di un'altra persona: scegline un altro.",
            "This user name belongs to somebody else: choose another one.",
            "Dieser Benutzername ist schon vergeben: Bitte einen anderen wählen.",
        ],
        Reason::ProofRefused => [
            "Questo codice non va bene: controllalo. Dopo cinque errori si ricomincia.",
            "This code is not right: check it. After five errors you start again.",
            "Dieser Code stimmt nicht: Bitte prüfen. Nach fünf Fehlern beginnt man von vorn.",
        ],
        Reason::RecoveryEnded => return recovery_ended(language),
        Reason::RecoveryIncomplete => [
            "Serve ancora una prova di tipo diverso: il codice dell'ufficio, quello dell'e-mail, o la conferma da un altro dispositivo.",
            "One more proof of another kind is needed: the office's code, the e-mail's, or another device's confirmation.",
            "Es fehlt noch ein Nachweis anderer Art: der Code der Gemeinde, der aus der E-Mail oder die Bestätigung auf einem anderen \
            Gerät.",
        ],
        Reason::UnknownChild => [
            "Questo figlio non risulta tra i tuoi: aggiorna la pagina.",
            "This child is not among yours: refresh the page.",
            "Dieses Kind ist nicht unter Ihren Kindern: Bitte aktualisieren Sie die Seite.",
        ],
        Reason::ReceiptWithheld => [
            "L'originale riporta i dati di un'altra persona che ha pagato: può averlo lei, o l'ufficio scuola. La ricevuta in PDF invece è \
            disponibile.",
            "The original names another person who paid: they can have it, or the school office. The PDF receipt is available.",
            "Das Original nennt eine andere Person, die bezahlt hat: Sie kann es bekommen, oder die Gemeinde. Die Quittung als PDF ist \
            verfügbar.",
        ],
        Reason::YearInvalid => [
            "Per quest'anno non c'è una certificazione: scegli un anno dal 2015 a oggi.",
            "There is no certificate for this year: choose one from 2015 to now.",
            "Für dieses Jahr gibt es keine Bescheinigung: Bitte ein Jahr von 2015 bis heute wählen.",
        ],
        Reason::PeriodInvalid => [
            "Il periodo non è valido: la prima data viene prima dell'ultima, per due anni al massimo.",
            "The period is not valid: the first day comes before the last, two years at most.",
            "Der Zeitraum ist ungültig: Der erste Tag liegt vor dem letzten, höchstens zwei Jahre.",
        ],
        Reason::NothingPaid => [
            "In quest'anno non risultano pagamenti tuoi per questo figlio. Se ha pagato un'altra persona, la certificazione è sua.",
            "No payments of yours for this child are known in this year. If somebody else paid, the certificate is theirs.",
            "In diesem Jahr sind keine Zahlungen von Ihnen für dieses Kind bekannt. Hat jemand anderes bezahlt, gehört die Bescheinigung \
            dieser Person.",
        ],
        Reason::PrinterBusy => [
            "In questo momento si stampano molti documenti: riprova tra qualche secondo.",
            "Many documents are being made just now: try again in a few seconds.",
            "Gerade werden viele Dokumente erstellt: Bitte in einigen Sekunden erneut versuchen.",
        ],
        Reason::Unprintable => [
            "Il documento non si può preparare: i dati del Comune non sono completi. Chiama l'ufficio scuola.",
            "The document cannot be made: the municipality's data are not complete. Call the school office.",
            "Das Dokument kann nicht erstellt werden: Die Daten der Gemeinde sind nicht vollständig. Bitte die Gemeinde anrufen.",
        ],
        Reason::NoAddress => [
            "Non c'è un tuo indirizzo e-mail: scrivine uno, oppure chiedi all'ufficio scuola di aggiungerlo.",
            "There is no e-mail address of yours: type one, or ask the school office to add it.",
            "Es ist keine E-Mail-Adresse von Ihnen bekannt: Bitte eine eingeben oder bei der Gemeinde eintragen lassen.",
        ],
        Reason::AddressInvalid => [
            "Questo non è un indirizzo e-mail: controllalo.",
            "This is not an e-mail address: check it.",
            "Das ist keine E-Mail-Adresse: Bitte prüfen.",
        ],
        Reason::AddressBounced => [
            "I messaggi al tuo indirizzo tornano indietro: chiedi all'ufficio scuola di correggerlo.",
            "Messages to your address come back: ask the school office to correct it.",
            "Nachrichten an Ihre Adresse kommen zurück: Bitte bei der Gemeinde berichtigen lassen.",
        ],
        Reason::MailLimit => [
            "Oggi hai già inviato cinque avvisi: riprova domani, oppure scarica il PDF.",
            "You have sent five notices today: try again tomorrow, or download the PDF.",
            "Heute wurden schon fünf Mitteilungen gesendet: Bitte morgen erneut versuchen oder das PDF herunterladen.",
        ],
        Reason::NoMail => [
            "Il Comune non invia e-mail: scarica il PDF e invialo tu.",
            "The municipality sends no e-mail: download the PDF and send it yourself.",
            "Die Gemeinde versendet keine E-Mails: Bitte das PDF herunterladen und selbst senden.",
        ],
        Reason::Unavailable => [
            "Il servizio non risponde: riprova tra poco. Nulla è andato perso.",
            "The service does not answer: try again shortly. Nothing was lost.",
            "Der Dienst antwortet nicht: Bitte gleich noch einmal versuchen. Nichts ging verloren.",
        ],
        // The reasons with numbers are in `limit`, the rules for passwords in `password`; an unknown one reads like a fault of ours.
        Reason::BelowMinimum
        | Reason::AboveMaximum
        | Reason::AboveWalletMaximum
        | Reason::PasswordRefused
        | Reason::Internal
        | Reason::Unspecified => [
            "Qualcosa non ha funzionato da parte nostra: riprova più tardi o chiama l'ufficio scuola.",
            "Something went wrong on our side: try again later or call the school office.",
            "Bei uns ist etwas schiefgegangen: Bitte später erneut versuchen oder die Gemeinde anrufen.",
        ],
    };
    language.choose(texts)
}

/// The refusal of a top-up.
pub(crate) fn top_up(refusal: TopUpRefusal, language: Language) -> Refused {
    let plain = |reason| Refused::new(reason, of(reason, language));
    match refusal {
        TopUpRefusal::UnknownWallet => plain(Reason::UnknownWallet),
        TopUpRefusal::WalletClosed => plain(Reason::WalletClosed),
        TopUpRefusal::IdReused => plain(Reason::IdReused),
        TopUpRefusal::Limit(LimitRefusal::TooManyOpen(_)) => plain(Reason::TooManyOpen),
        TopUpRefusal::Limit(LimitRefusal::BelowMinimum(min)) => limit(Reason::BelowMinimum, min.as_cents(), language),
        TopUpRefusal::Limit(LimitRefusal::AboveMaximum(max)) => limit(Reason::AboveMaximum, max.as_cents(), language),
        TopUpRefusal::Limit(LimitRefusal::AboveWalletMaximum { room }) => {
            limit(Reason::AboveWalletMaximum, room, language)
        }
    }
}

/// Why there is no document; `unknown` is what there is none of. Ended sessions are told by each edge in its own way.
pub(crate) fn document(refusal: DocumentRefusal, unknown: Reason) -> Result<Reason, SessionRefusal> {
    Ok(match refusal {
        DocumentRefusal::Session(refusal) => return Err(refusal),
        DocumentRefusal::Busy => Reason::PrinterBusy,
        DocumentRefusal::Unprintable(field, why) => {
            tracing::error!(field, why, "a document can't be printed: see `borsellino creditor`");
            Reason::Unprintable
        }
        DocumentRefusal::Unknown => unknown,
        DocumentRefusal::NotPayable => Reason::NoticeNotPayable,
        DocumentRefusal::NotPaid => Reason::NotPaid,
        DocumentRefusal::Withheld => Reason::ReceiptWithheld,
        DocumentRefusal::Year => Reason::YearInvalid,
        DocumentRefusal::Period => Reason::PeriodInvalid,
        DocumentRefusal::NothingPaid => Reason::NothingPaid,
    })
}

/// Why a notice was not sent by e-mail. Ended sessions are told by each edge in its own way.
pub(crate) fn unsent(refusal: PostRefusal) -> Result<Reason, SessionRefusal> {
    Ok(match refusal {
        PostRefusal::Session(refusal) => return Err(refusal),
        PostRefusal::NotConfigured => Reason::NoMail,
        PostRefusal::UnknownNotice => Reason::UnknownNotice,
        PostRefusal::NotPayable => Reason::NoticeNotPayable,
        PostRefusal::NoAddress => Reason::NoAddress,
        PostRefusal::AddressInvalid(_) => Reason::AddressInvalid,
        PostRefusal::AddressBounced => Reason::AddressBounced,
        PostRefusal::Limit { .. } => Reason::MailLimit,
    })
}

/// The refusal of a sign-in that has to wait `millis`.
pub(crate) fn try_later(millis: i64, language: Language) -> Refused {
    let minutes = millis.saturating_add(59_999).div_euclid(60_000);
    let sentence = match language {
        _ if millis <= 10_000 => of(Reason::TryLater, language).to_owned(),
        Language::Italian if minutes == 1 => "Troppi tentativi: riprova tra un minuto.".to_owned(),
        Language::English if minutes == 1 => "Too many tries: try again in a minute.".to_owned(),
        Language::German if minutes == 1 => "Zu viele Versuche: Bitte in einer Minute erneut versuchen.".to_owned(),
        Language::Italian => format!("Troppi tentativi: riprova tra {minutes} minuti."),
        Language::English => format!("Too many tries: try again in {minutes} minutes."),
        Language::German => format!("Zu viele Versuche: Bitte in {minutes} Minuten erneut versuchen."),
    };
    Refused { retry_after_ms: u64::try_from(millis).ok(), ..Refused::new(Reason::TryLater, sentence) }
}

/// The refusal of a recovery for which a secret question is to be answered: the portal asks it.
pub(crate) fn question_in_the_portal(language: Language) -> Refused {
    let sentence = language.choose([
        "Per questo accesso serve anche la risposta alla tua domanda segreta: ricomincia dal portale del Comune, in Problemi con accesso. Il codice dell'ufficio vale ancora.",
        "For this account the answer to your secret question is needed, too: start again on the municipality's portal, under Trouble signing in. The office's code is still good.",
        "Für diesen Zugang braucht es auch die Antwort auf Ihre Geheimfrage: Beginnen Sie im Portal der Gemeinde neu, unter Probleme bei der Anmeldung. Der Code der Gemeinde gilt noch.",
    ]);
    Refused::new(Reason::RecoveryIncomplete, sentence)
}

/// The refusal of a password that somebody chose.
pub(crate) fn password(rule: PasswordRule, language: Language) -> Refused {
    let sentence = rule.sentence(language);
    Refused { rule: Some(rule.code().to_owned()), ..Refused::new(Reason::PasswordRefused, sentence) }
}

fn limit(reason: Reason, limit: Cents, language: Language) -> Refused {
    let amount = limit.text(language);
    let sentence = match (reason, language) {
        (Reason::AboveWalletMaximum, Language::Italian) if limit == Cents::ZERO => {
            "Il saldo è già al massimo, contando le ricariche in attesa: per ora non serve ricaricare.".to_owned()
        }
        (Reason::AboveWalletMaximum, Language::English) if limit == Cents::ZERO => {
            "The balance is already full, counting waiting top-ups: no need to top up for now.".to_owned()
        }
        (Reason::AboveWalletMaximum, Language::German) if limit == Cents::ZERO => {
            "Das Guthaben ist schon voll, wartende Aufladungen mitgezählt: Es muss vorerst nicht aufgeladen werden."
                .to_owned()
        }
        (Reason::BelowMinimum, Language::Italian) => format!("La ricarica minima è di {amount}."),
        (Reason::BelowMinimum, Language::English) => format!("The smallest top-up is {amount}."),
        (Reason::BelowMinimum, Language::German) => format!("Die kleinste Aufladung beträgt {amount}."),
        (Reason::AboveMaximum, Language::Italian) => format!("La ricarica massima è di {amount} per volta."),
        (Reason::AboveMaximum, Language::English) => format!("The largest top-up is {amount} at a time."),
        (Reason::AboveMaximum, Language::German) => format!("Die größte Aufladung beträgt {amount} auf einmal."),
        (_, Language::Italian) => {
            format!("Il saldo può ricevere ancora {amount}, contando le ricariche in attesa: scegli un importo minore.")
        }
        (_, Language::English) => {
            format!("The balance can take {amount} more, counting waiting top-ups: choose a smaller amount.")
        }
        (_, Language::German) => {
            format!("Das Guthaben kann noch {amount} aufnehmen, wartende Aufladungen mitgezählt: Bitte weniger wählen.")
        }
    };
    Refused { limit_cents: Some(limit.get()), ..Refused::new(reason, sentence) }
}
