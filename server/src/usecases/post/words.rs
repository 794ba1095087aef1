//! What letters say, in Italian, English and German. What others typed is passed through [`named`] before it comes here.

use borsellino_domain::language::Language;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::service::covers;
use borsellino_domain::time::{Millis, day_text};
use jiff::civil::Date;
use uuid::Uuid;

use super::Event;
use crate::mail::{Content, named};

/// Who writes, to whom and when.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) language: Language,
    /// The creditor's name.
    pub(super) town: String,
    /// Whom to call; may be empty.
    pub(super) phone: String,
    /// The day in Italy.
    pub(super) today: Option<Date>,
    /// The address that it goes to.
    pub(super) to: String,
    /// Where the creditor's portal lies.
    pub(super) portal: String,
}

impl Frame {
    fn day(&self, at: Millis) -> String {
        let day = at.day_in_italy();
        day.zip(self.today).map_or_else(|| at.iso(), |(day, today)| day_text(day, today, self.language))
    }

    fn due(&self, iso: &str) -> String {
        let day: Option<Date> = iso.parse().ok();
        day.zip(self.today).map_or_else(|| named(iso), |(day, today)| day_text(day, today, self.language))
    }

    fn money(&self, cents: Cents) -> String {
        cents.text(self.language)
    }

    fn content(&self, title: String, lines: Vec<String>) -> Content {
        Content {
            language: self.language,
            title,
            lines,
            facts: Vec::new(),
            button: None,
            after: Vec::new(),
            signature: self.town.clone(),
            footer: self.footer(),
            unsubscribe: None,
        }
    }

    fn footer(&self) -> Vec<String> {
        let town = &self.town;
        let mut footer = vec![self.language.choose([
            format!("Questa e-mail arriva da Borsellino, i pagamenti scolastici di {town}. Non chiediamo mai password o codici per e-mail."),
            format!("This e-mail comes from Borsellino, the school payments of {town}. We never ask for passwords or codes by e-mail."),
            format!("Diese E-Mail kommt von Borsellino, den Schulzahlungen von {town}. Wir fragen nie per E-Mail nach Passwörtern oder Codes."),
        ])];
        if !self.phone.is_empty() {
            let phone = &self.phone;
            footer.push(self.language.choose([
                format!("Domande? Telefono: {phone}"),
                format!("Questions? Phone: {phone}"),
                format!("Fragen? Telefon: {phone}"),
            ]));
        }
        footer
    }
}

/// What became of a payment.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    /// What arrived.
    pub(super) amount: Cents,
    /// When.
    pub(super) at: Millis,
    /// First names; empty where the reader does not see the child any more.
    pub(super) children: Vec<String>,
    pub(super) services: Vec<String>,
    /// The bill's number and period.
    pub(super) bill: Option<(String, String)>,
    pub(super) iuv: String,
    pub(super) came: Came,
}

/// Where it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Into the wallet, which holds this now; `None` where the reader does not see it any more.
    Wallet(Option<Cents>),
    /// To the bill, of which this is left.
    Bill(Option<Cents>),
    /// A second payment of the same.
    Twice,
    /// To the office, which has to find its place.
    Office,
}

pub(super) fn paid(frame: &Frame, paid: &Paid) -> Content {
    let say = |words: [&'static str; 3]| frame.language.choose(words);
    let (amount, day) = (frame.money(paid.amount), frame.day(paid.at));
    let (title, mut lines) = match paid.came {
        Came::Twice => (
            say([
                "Pagato due volte: il Comune ti rimborserà",
                "Paid twice: you will be refunded",
                "Doppelt bezahlt: Sie erhalten das Geld zurück",
            ])
            .to_owned(),
            vec![frame.language.choose([
                format!("Lo stesso avviso è stato pagato due volte. Il secondo pagamento, di {amount}, è arrivato il {day}. Non devi fare nulla: ti contatta l'ufficio."),
                format!("The same notice was paid twice. The second payment of {amount} arrived on {day}. You need not do anything: the office will contact you."),
                format!("Dieselbe Zahlungsaufforderung wurde zweimal bezahlt. Die zweite Zahlung von {amount} ist am {day} eingegangen. Sie müssen nichts tun: Das Amt meldet sich bei Ihnen."),
            ])],
        ),
        _ => (
            frame.language.choose([
                format!("Operazione conclusa: {amount}"),
                format!("Payment done: {amount}"),
                format!("Zahlung abgeschlossen: {amount}"),
            ]),
            vec![frame.language.choose([
                format!("Il pagamento di {amount} è arrivato il {day}."),
                format!("The payment of {amount} arrived on {day}."),
                format!("Die Zahlung von {amount} ist am {day} eingegangen."),
            ])],
        ),
    };
    if paid.came == Came::Office {
        lines.push(
            say([
                "L'ufficio deve ancora registrarlo al posto giusto. Non pagare di nuovo.",
                "The office still has to book it where it belongs. Do not pay again.",
                "Das Amt muss sie noch richtig verbuchen. Zahlen Sie nicht noch einmal.",
            ])
            .to_owned(),
        );
    }
    let mut content = frame.content(title, lines);
    let facts = &mut content.facts;
    facts.push((say(["Importo", "Amount", "Betrag"]), amount));
    if !paid.services.is_empty() {
        facts.push((say(["Servizio", "Service", "Dienst"]), paid.services.join(", ")));
    }
    if !paid.children.is_empty() {
        facts.push((say(["Per", "For", "Für"]), paid.children.join(", ")));
    }
    if let Some((number, period)) = &paid.bill {
        facts.push((say(["Bollettino", "Bill", "Rechnung"]), format!("{number}, {period}")));
    }
    match paid.came {
        Came::Wallet(Some(balance)) => {
            facts.push((say(["Nuovo saldo", "New balance", "Neues Guthaben"]), self::balance(frame, balance)));
        }
        Came::Bill(Some(Cents::ZERO)) => facts.push((
            say(["Resta da pagare", "Left to pay", "Noch zu zahlen"]),
            say(["niente: tutto pagato", "nothing: all paid", "nichts: alles bezahlt"]).to_owned(),
        )),
        Came::Bill(Some(left)) => {
            facts.push((say(["Resta da pagare", "Left to pay", "Noch zu zahlen"]), frame.money(left)));
        }
        _ => {}
    }
    facts.push(("IUV", paid.iuv.clone()));
    content
}

/// What a balance means.
fn balance(frame: &Frame, balance: Cents) -> String {
    match balance.negated() {
        Ok(owed) if balance < Cents::ZERO => {
            let owed = frame.money(owed);
            frame.language.choose([format!("devi {owed}"), format!("you owe {owed}"), format!("Sie schulden {owed}")])
        }
        _ => frame.money(balance),
    }
}

/// A notice to be paid.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) amount: Amount,
    /// ISO date.
    pub(super) due_date: String,
    /// Names no child.
    pub(super) reason: String,
    /// In groups of four.
    pub(super) code: String,
    /// The creditor's, 11 digits.
    pub(super) creditor: String,
    /// May be empty.
    pub(super) cbill: String,
}

/// What one does with a notice.
#[derive(Clone, Debug)]
pub(super) enum Handed {
    /// To whoever asked for it; with the address of the document, where there is one.
    Own(Option<String>),
    /// To somebody else, who pays under this address.
    Elsewhere(String),
}

pub(super) fn notice(frame: &Frame, asked: &Asked, handed: Handed) -> Content {
    let say = |words: [&'static str; 3]| frame.language.choose(words);
    let (amount, town) = (frame.money(asked.amount.as_cents()), &frame.town);
    let (title, line) = match handed {
        Handed::Own(_) => (
            frame.language.choose([
                format!("Avviso di pagamento: {amount}"),
                format!("Payment notice: {amount}"),
                format!("Zahlungsaufforderung: {amount}"),
            ]),
            say([
                "Ecco l'avviso che hai chiesto. Si paga in banca, in posta, in tabaccheria o con l'app della banca; online, dall'app o dal portale.",
                "Here is the notice that you asked for. It can be paid at a bank, the post office, a tobacconist's or in your bank's app; online, in the app or on the portal.",
                "Hier ist die Zahlungsaufforderung, um die Sie gebeten haben. Bezahlt wird bei der Bank, der Post, im Tabakladen oder in der App Ihrer Bank; online in der App oder im Portal.",
            ])
            .to_owned(),
        ),
        Handed::Elsewhere(_) => (
            frame.language.choose([
                format!("Un avviso da pagare: {amount}"),
                format!("A notice to pay: {amount}"),
                format!("Eine Zahlungsaufforderung: {amount}"),
            ]),
            frame.language.choose([
                format!("Un genitore ti ha mandato questo avviso di pagamento di {town}. Se non te lo aspetti, non pagare e cancella questa e-mail."),
                format!("A parent sent you this payment notice of {town}. If you do not expect it, do not pay and delete this e-mail."),
                format!("Ein Elternteil hat Ihnen diese Zahlungsaufforderung von {town} geschickt. Wenn Sie sie nicht erwarten, zahlen Sie nicht und löschen Sie diese E-Mail."),
            ]),
        ),
    };
    let mut content = frame.content(title, vec![line]);
    content.facts = vec![
        (say(["Ente creditore", "Creditor", "Gläubiger"]), town.clone()),
        (say(["Causale", "Reason", "Grund"]), asked.reason.clone()),
        (say(["Importo", "Amount", "Betrag"]), amount),
        (say(["Entro il", "By", "Bis"]), frame.due(&asked.due_date)),
        (say(["Codice avviso", "Notice code", "Code"]), asked.code.clone()),
        (say(["Codice fiscale ente", "Creditor's tax code", "Steuernummer"]), asked.creditor.clone()),
    ];
    if !asked.cbill.is_empty() {
        content.facts.push(("CBILL", asked.cbill.clone()));
    }
    match handed {
        Handed::Own(None) => {}
        Handed::Own(Some(address)) => {
            content.button = Some((say(["Scarica l'avviso", "Download the notice", "Herunterladen"]), address));
        }
        Handed::Elsewhere(address) => {
            content.button =
                Some((say(["Guarda e paga online", "See it and pay online", "Ansehen und online zahlen"]), address));
            content.after.push(
                say([
                    "Chi ha questo link può vedere l'avviso e pagarlo: non inoltrarlo a chi non conosci. Il tuo indirizzo non resta leggibile da noi.",
                    "Whoever has this link can see the notice and pay it: do not forward it to people you do not know. We keep your address in no readable form.",
                    "Wer diesen Link hat, kann die Zahlungsaufforderung sehen und bezahlen: Leiten Sie ihn nicht an Unbekannte weiter. Ihre Adresse bleibt bei uns nicht lesbar.",
                ])
                .to_owned(),
            );
        }
    }
    content
}

/// A wallet that runs low.
#[derive(Clone, Debug)]
pub(super) struct Low {
    pub(super) wallet: Uuid,
    pub(super) child: String,
    pub(super) service: String,
    pub(super) balance: Cents,
    pub(super) unit_price: Option<Amount>,
}

pub(super) fn low(frame: &Frame, low: &Low, unsubscribe: String) -> Content {
    let say = |words: [&'static str; 3]| frame.language.choose(words);
    let (child, service, left) = (&low.child, &low.service, frame.money(low.balance));
    let title = frame.language.choose([
        format!("Saldo basso: {service}"),
        format!("Low balance: {service}"),
        format!("Wenig Guthaben: {service}"),
    ]);
    let line = if low.balance < Cents::ZERO {
        let owed = balance(frame, low.balance);
        frame.language.choose([
            format!("Il saldo di {child} per {service} è sotto zero: {owed}."),
            format!("{child}'s balance for {service} is below zero: {owed}."),
            format!("Das Guthaben von {child} für {service} ist unter null: {owed}."),
        ])
    } else if low.balance == Cents::ZERO {
        frame.language.choose([
            format!("Il saldo di {child} per {service} è a zero."),
            format!("{child}'s balance for {service} is at zero."),
            format!("Das Guthaben von {child} für {service} ist auf null."),
        ])
    } else {
        frame.language.choose([
            format!("Il saldo di {child} per {service} sta per finire: restano {left}."),
            format!("{child}'s balance for {service} is running low: {left} left."),
            format!("Das Guthaben von {child} für {service} geht zur Neige: Es bleiben {left}."),
        ])
    };
    let mut lines = vec![line];
    if let Some(price) = low.unit_price.filter(|_| low.balance > Cents::ZERO) {
        lines.push(match covers(low.balance, price) {
            0 => say([
                "Non basta per un'altra volta.",
                "It does not cover one more time.",
                "Das reicht für kein weiteres Mal.",
            ])
            .to_owned(),
            1 => say(["Basta ancora per una volta.", "It covers one more time.", "Das reicht noch für ein Mal."])
                .to_owned(),
            times => frame.language.choose([
                format!("Basta ancora per {times} volte."),
                format!("It covers {times} more times."),
                format!("Das reicht noch für {times} Mal."),
            ]),
        });
    }
    lines.push(
        say([
            "Ricarichi nell'app o sul portale.",
            "Top it up in the app or on the portal.",
            "Aufladen können Sie in der App oder im Portal.",
        ])
        .to_owned(),
    );
    let mut content = frame.content(title, lines);
    content.button =
        Some((say(["Ricarica", "Top up", "Aufladen"]), format!("{}/ricarica?saldo={}", frame.portal, low.wallet)));
    content.unsubscribe = Some((
        say([
            "Non voglio più e-mail sul saldo basso",
            "No more e-mails about low balances",
            "Keine E-Mails mehr über wenig Guthaben",
        ]),
        unsubscribe,
    ));
    content
}

/// The office answered a message: that it did, and where to read it.
pub(super) fn answered(frame: &Frame) -> Content {
    let town = &frame.town;
    let say = |words: [&'static str; 3]| frame.language.choose(words);
    let title =
        say(["Il Comune ti ha risposto", "The municipality answered you", "Die Gemeinde hat Ihnen geantwortet"]);
    let line = frame.language.choose([
        format!("L'ufficio di {town} ha risposto a un tuo messaggio. La risposta si legge solo sul portale, dopo l'accesso."),
        format!("The office of {town} answered a message of yours. The answer can be read on the portal only, after signing in."),
        format!("Das Amt von {town} hat auf eine Nachricht von Ihnen geantwortet. Die Antwort steht nur im Portal, nach der Anmeldung."),
    ]);
    let mut content = frame.content(title.to_owned(), vec![line]);
    content.button =
        Some((say(["Leggi la risposta", "Read the answer", "Antwort lesen"]), format!("{}/messaggi", frame.portal)));
    content
}

pub(super) fn event(frame: &Frame, event: Event, at: Millis) -> Content {
    let town = &frame.town;
    let when = format!("{} {}", frame.day(at), at.clock_in_italy().unwrap_or_default());
    let (titles, lines) = match event {
        Event::Registered => (
            ["Benvenuto in Borsellino", "Welcome to Borsellino", "Willkommen bei Borsellino"],
            [
                format!("Il tuo accesso ai pagamenti scolastici di {town} è attivo dal {when}."),
                format!("Your account for the school payments of {town} is active since {when}."),
                format!("Ihr Zugang zu den Schulzahlungen von {town} ist seit {when} aktiv."),
            ],
        ),
        Event::PasswordChanged => (
            ["La tua password è cambiata", "Your password was changed", "Ihr Passwort wurde geändert"],
            [
                format!(
                    "La password del tuo accesso ai pagamenti scolastici di {town} è cambiata: {when}. Sugli altri dispositivi devi accedere di nuovo."
                ),
                format!(
                    "The password of your account for the school payments of {town} was changed: {when}. On other devices you have to sign in again."
                ),
                format!(
                    "Das Passwort Ihres Zugangs zu den Schulzahlungen von {town} wurde geändert: {when}. Auf anderen Geräten müssen Sie sich neu anmelden."
                ),
            ],
        ),
        Event::PasswordRecovered => (
            ["Hai una password nuova", "You have a new password", "Sie haben ein neues Passwort"],
            [
                format!(
                    "La password dimenticata dei pagamenti scolastici di {town} è stata sostituita: {when}. Su tutti gli altri dispositivi l'accesso è finito."
                ),
                format!(
                    "The forgotten password for the school payments of {town} was replaced: {when}. All other devices were signed out."
                ),
                format!(
                    "Das vergessene Passwort für die Schulzahlungen von {town} wurde ersetzt: {when}. Alle anderen Geräte sind abgemeldet."
                ),
            ],
        ),
        Event::AccessEnded => (
            ["Il tuo accesso è finito", "Your access has ended", "Ihr Zugang ist beendet"],
            [
                format!("L'ufficio di {town} ha chiuso il tuo accesso ai pagamenti scolastici: {when}."),
                format!("The office of {town} has ended your access to the school payments: {when}."),
                format!("Das Amt von {town} hat Ihren Zugang zu den Schulzahlungen beendet: {when}."),
            ],
        ),
        Event::EmailHere => (
            ["Le e-mail arrivano qui", "E-mails come here", "E-Mails kommen hierher"],
            [
                format!("Da ora le e-mail dei pagamenti scolastici di {town} arrivano a questo indirizzo: {when}."),
                format!("From now on the e-mails of the school payments of {town} come to this address: {when}."),
                format!("Ab jetzt kommen die E-Mails der Schulzahlungen von {town} an diese Adresse: {when}."),
            ],
        ),
        Event::EmailLeft => (
            ["Le e-mail non arrivano più qui", "E-mails no longer come here", "E-Mails kommen nicht mehr hierher"],
            [
                format!("Le e-mail dei pagamenti scolastici di {town} non arrivano più a questo indirizzo: {when}."),
                format!("The e-mails of the school payments of {town} no longer come to this address: {when}."),
                format!("Die E-Mails der Schulzahlungen von {town} kommen nicht mehr an diese Adresse: {when}."),
            ],
        ),
        Event::NewDevice => (
            ["Accesso da un dispositivo", "A device signed in", "Ein Gerät hat sich angemeldet"],
            [
                format!(
                    "Qualcuno ha fatto l'accesso a tuo nome ai pagamenti scolastici di {town}: {when}. Nell'app e sul portale vedi tutti i dispositivi e puoi disconnetterli."
                ),
                format!(
                    "Somebody signed in to your account for the school payments of {town}: {when}. In the app and on the portal you see all devices and can sign them out."
                ),
                format!(
                    "Jemand hat sich in Ihrem Namen bei den Schulzahlungen von {town} angemeldet: {when}. In der App und im Portal sehen Sie alle Geräte und können sie abmelden."
                ),
            ],
        ),
    };
    let mut content = frame.content(frame.language.choose(titles).to_owned(), vec![frame.language.choose(lines)]);
    content.after.push(
        frame
            .language
            .choose([
                "Non sei stato tu, o non te lo aspettavi? Chiama subito l'ufficio.",
                "It was not you, or you did not expect it? Call the office at once.",
                "Das waren nicht Sie, oder Sie haben es nicht erwartet? Rufen Sie sofort das Amt an.",
            ])
            .to_owned(),
    );
    content
}
