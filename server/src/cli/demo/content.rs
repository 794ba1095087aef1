//! What the invented municipalities tell everybody: news, events, documents, questions.

use borsellino_domain::content::{ContentKind, DraftEntry, DraftWords, Entry};
use borsellino_domain::time::SchoolYear;
use borsellino_store::StoreError;
use jiff::ToSpan;
use jiff::civil::Date;

/// Words in Italian, and what they are in English and German; `None` where nobody translated them.
type Words = [Option<[&'static str; 3]>; 3];

const NEWS: [(&str, i32, Words); 3] = [
    (
        "menu-invernale",
        0,
        [
            Some([
                "Da lunedì il menù invernale",
                "Zuppe, legumi e frutta di stagione: il menù nuovo vale per tutte le mense.\n\nIl menù completo sta tra i documenti disponibili.",
                "",
            ]),
            Some([
                "The winter menu starts on Monday",
                "Soups, pulses and fruit in season: the new menu is for all canteens.\n\nThe whole menu is among the documents.",
                "",
            ]),
            Some([
                "Ab Montag gilt der Winterspeiseplan",
                "Suppen, Hülsenfrüchte und Obst der Saison: Der neue Speiseplan gilt für alle Mensen.\n\nDer ganze Speiseplan steht bei den Dokumenten.",
                "",
            ]),
        ],
    ),
    (
        "ufficio-ponte",
        -4,
        [
            Some([
                "Ufficio scuola chiuso per il ponte",
                "L'ufficio chiude per il ponte e riapre il lunedì. Nel frattempo:\n- le ricariche online funzionano come sempre\n- le richieste si inviano dal portale, sotto Messaggi",
                "",
            ]),
            None,
            None,
        ],
    ),
    (
        "pagopa-informazioni",
        -20,
        [
            Some([
                "Come si paga con pagoPA",
                "Che cosa è pagoPA, e dove si paga un avviso: https://www.pagopa.gov.it/it/cittadini/",
                "",
            ]),
            Some([
                "How to pay with pagoPA",
                "What pagoPA is, and where a notice can be paid (in Italian): https://www.pagopa.gov.it/it/cittadini/",
                "",
            ]),
            None,
        ],
    ),
];

const EVENTS: [(&str, i32, &str, Words); 3] = [
    (
        "commissione-mensa",
        4,
        "17:30",
        [
            Some([
                "Commissione mensa",
                "Aperta a tutti i genitori: si parla del menù invernale.",
                "Scuola primaria G. Rodari, sala riunioni",
            ]),
            Some([
                "Canteen committee",
                "Open to all parents: the winter menu is discussed.",
                "Scuola primaria G. Rodari, sala riunioni",
            ]),
            None,
        ],
    ),
    ("sciopero-trasporti", 7, "", [Some(["Sciopero dei trasporti: scuolabus non garantito", "", ""]), None, None]),
    (
        "festa-inverno",
        26,
        "16:00",
        [
            Some([
                "Festa d'inverno delle scuole",
                "Canti, tè caldo e mercatino dei lavori dei bambini.",
                "Piazza del Municipio",
            ]),
            None,
            None,
        ],
    ),
];

const QUESTIONS: [(&str, Words); 4] = [
    (
        "ricarica-tempi",
        [
            Some([
                "Dopo quanto tempo vedo la ricarica?",
                "Di solito in pochi secondi: il saldo cambia quando arriva la ricevuta di pagoPA. In un punto fisico può volerci qualche minuto.",
                "Pagamenti",
            ]),
            Some([
                "How soon do I see a top-up?",
                "Usually within seconds: the balance changes when pagoPA's receipt arrives. At a pay point it may take some minutes.",
                "Payments",
            ]),
            None,
        ],
    ),
    (
        "contanti",
        [
            Some([
                "Posso pagare in contanti?",
                "Sì: scegli l'avviso di pagamento e portalo in tabaccheria, in banca o alla posta.",
                "Pagamenti",
            ]),
            None,
            None,
        ],
    ),
    (
        "assenza",
        [
            Some([
                "Mio figlio è assente: pago il pasto?",
                "No, se lo segnali entro le 9:00 a scuola.\nPer più giorni usa Sospensione refezione, sotto Messaggi.",
                "Mensa",
            ]),
            None,
            None,
        ],
    ),
    (
        "diete",
        [
            Some([
                "Come chiedo una dieta speciale?",
                "Per una dieta in bianco di pochi giorni basta un messaggio. Per allergie serve il certificato: il modulo sta tra i documenti.",
                "Mensa",
            ]),
            None,
            None,
        ],
    ),
];

const FILES: [(&str, &str, &str, Words); 2] = [
    (
        "menu-mensa",
        "menu-invernale.txt",
        "MENÙ INVERNALE (inventato)\n\nLunedì: pasta e fagioli, mela\nMartedì: risotto, merluzzo, carote\nMercoledì: minestrone, formaggio, pera\nGiovedì: pasta al pomodoro, tacchino, insalata\nVenerdì: polenta, lenticchie, arancia\n",
        [
            Some(["Menù invernale della mensa", "Vale per tutte le scuole fino a marzo.", ""]),
            Some(["Winter menu of the canteen", "For all schools until March (in Italian).", ""]),
            None,
        ],
    ),
    (
        "modulo-dieta",
        "modulo-dieta.txt",
        "RICHIESTA DI DIETA SPECIALE (modulo inventato)\n\nAlunno: ____________  Classe: ______\nMotivo: [ ] allergia  [ ] intolleranza  [ ] altro\nSi allega certificato medico.\n\nFirma: ____________\n",
        [
            Some(["Modulo per la dieta speciale", "Da consegnare all'ufficio con il certificato del medico.", ""]),
            None,
            None,
        ],
    ),
];

fn words(words: Words) -> [Option<DraftWords>; 3] {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    words.map(|own| {
        own.map(|[title, body, extra]| DraftWords { title: text(title), text: text(body), extra: text(extra) })
    })
}

/// Everything, as seen from a day.
pub(super) fn entries(today: Date) -> Result<Vec<Entry>, StoreError> {
    let day = |days: i32| today.saturating_add(days.days()).to_string();
    let mut drafts = Vec::new();
    for (id, days, said) in NEWS {
        drafts.push((
            ContentKind::News,
            id,
            DraftEntry { day: Some(day(days)), words: words(said), ..DraftEntry::default() },
        ));
    }
    for (id, days, hour, said) in EVENTS {
        let hour = Some(hour.to_owned()).filter(|hour| !hour.is_empty());
        let draft = DraftEntry { day: Some(day(days)), hour, words: words(said), ..DraftEntry::default() };
        drafts.push((ContentKind::Event, id, draft));
    }
    for (order, (id, said)) in (1..).zip(QUESTIONS) {
        let draft = DraftEntry { order: Some(order), words: words(said), ..DraftEntry::default() };
        drafts.push((ContentKind::Question, id, draft));
    }
    for (order, (id, name, text, said)) in (1..).zip(FILES) {
        // The form is for every year.
        let school_year = (order == 1).then(|| SchoolYear::of(today).text());
        let file = Some((name.to_owned(), text.as_bytes().to_vec()));
        let draft = DraftEntry { order: Some(order), school_year, file, words: words(said), ..DraftEntry::default() };
        drafts.push((ContentKind::File, id, draft));
    }
    let read = drafts.into_iter().map(|(kind, id, draft)| {
        Entry::parse(kind, DraftEntry { id: Some(id.to_owned()), ..draft })
            .map_err(|_| StoreError::Corrupt("the demo's content"))
    });
    read.collect()
}
