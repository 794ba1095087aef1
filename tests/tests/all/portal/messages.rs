//! Messages to the municipality: sent from the portal, read and answered by the office at the command line.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_tests::house::{AMINA, Browser, Form, House, MARIA, PAOLO, TOWN, new_id};
use serde_json::Value;
use tempfile::TempDir;

use super::content::{office, ok, refused, signed};

borsellino_tests::in_both_houses! {
    every_kind_arrives_at_the_office;
    a_form_is_one_message;
    what_is_wrong_is_said_and_nothing_typed_is_lost;
    a_child_of_others_is_refused;
    ten_a_day;
    an_answer_is_seen_and_counted;
    what_is_written_is_sealed;
}

/// Fields with what is typed into them.
type Typed<'a> = &'a [(&'a str, &'a str)];

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

const FORM: &str = "/comune/99900010010/messaggi/nuovo";

async fn form(browser: &Browser, kind: &str) -> Form {
    browser.get(&at(&format!("/messaggi/nuovo?tipo={kind}"))).await.form(FORM)
}

/// The value of the option that reads like this.
fn option(page: &str, words: &str) -> String {
    let (before, _) = page.split_once(&format!(">{words}</option>")).expect("an option");
    let (_, value) = before.rsplit_once("value=\"").expect("a value");
    value.split('"').next().expect("an end").to_owned()
}

fn exported(house: &House) -> Vec<Value> {
    let lines = ok(office(house, &["message", "export"]));
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn count(house: &House) -> i64 {
    house.number("SELECT COUNT(*) FROM message").await
}

async fn every_kind_arrives_at_the_office(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    assert!(maria.get(&at("/messaggi")).await.says("Qui compaiono i messaggi che invii"));
    let child = option(&maria.get(&at("/messaggi/nuovo?tipo=refezione")).await.text(), "Giulia");
    let service = option(&maria.get(&at("/messaggi/nuovo?tipo=valutazione")).await.text(), "Mensa scolastica");
    let kinds: [(&str, &str, Typed<'_>); 7] = [
        ("generica", "general", &[("testo", "Buongiorno, una domanda.\n\nGrazie")]),
        ("recapito", "contact_change", &[("telefono", "333 0000000"), ("email", "nuova@famiglia.example")]),
        ("refezione", "canteen_suspension", &[("figlio", &child), ("dal", "2026-11-23"), ("al", "2026-11-27")]),
        ("trasporto", "transport_suspension", &[("figlio", &child), ("dal", "2026-11-23"), ("al", "2026-11-23")]),
        ("dieta-bianca", "white_diet", &[("figlio", &child), ("dal", "2026-11-20"), ("al", "2026-11-21")]),
        ("valutazione", "rating", &[("servizio", &service), ("voto", "4"), ("testo", "Buona la <b>zuppa</b>")]),
        ("informazioni", "information", &[("testo", "Quando riapre l'ufficio?")]),
    ];
    for (slug, _, fields) in &kinds {
        let filled = fields.iter().fold(form(&maria, slug).await, |form, (name, value)| form.with(name, value));
        let page = maria.sent(&filled).await;
        assert!(page.says("Messaggio inviato") && page.says("inviato"), "{slug}: {}", page.text());
        house.advance(Duration::from_secs(1));
    }
    let page = maria.get(&at("/messaggi")).await;
    for text in ["Dieta bianca", "Per</dt><dd>Giulia", "4 su 5", "Mensa scolastica", "333 0000000", "<dd>27 novembre"] {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    assert!(page.says("Buona la &#60;b&#62;zuppa") && !page.says("<b>zuppa"), "{}", page.text());
    assert!(page.text().find("Quando riapre") < page.text().find("Buongiorno"), "the newest first");
    let all = exported(house);
    assert_eq!(all.len(), 7);
    for (line, (_, kind, _)) in all.iter().zip(&kinds) {
        assert_eq!(
            (&line["kind"], &line["state"], &line["name"]),
            (&(*kind).into(), &"sent".into(), &"Maria Bianchi".into())
        );
    }
    assert_eq!(all[0]["said"]["text"], "Buongiorno, una domanda.\n\nGrazie");
    assert_eq!((&all[2]["child"], &all[2]["said"]["until"]), (&"Giulia Rossi".into(), &"2026-11-27".into()));
    assert_eq!((&all[5]["said"]["stars"], &all[5]["said"]["service"]), (&4.into(), &"Mensa scolastica".into()));
    // Nobody else's, also not the other parent's.
    let paolo = house.visitor(TOWN, PAOLO).await;
    assert!(!paolo.get(&at("/messaggi")).await.says("Buongiorno"));
    // What is no kind leads to the list; who is not signed in signs in first.
    assert_eq!(maria.get(&at("/messaggi/nuovo?tipo=x")).await.location(), at("/messaggi"));
    for path in ["/messaggi", "/messaggi/nuovo?tipo=generica"] {
        let page = house.browser().get(&at(path)).await;
        assert!(page.status == 303 && page.location().starts_with(&at("/accesso")), "{path}");
    }
}

async fn a_form_is_one_message(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let filled = form(&maria, "generica").await.with("testo", "Una volta sola.");
    let (first, second) = tokio::join!(maria.send(&filled), maria.send(&filled));
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(maria.send(&filled).await.status, 303, "a reload");
    assert_eq!(count(house).await, 1);
    // The browser's back button, and another text: said, and sent as another message only when it is sent again.
    let other = maria.send(&filled.clone().with("testo", "Un'altra cosa.")).await;
    assert!(other.status == 409 && other.says("già stato inviato"), "{}", other.text());
    assert_eq!(count(house).await, 1);
    let again = other.form(FORM).with("testo", "Un'altra cosa.");
    assert_ne!(again.get("id"), filled.get("id"));
    assert_eq!(maria.send(&again).await.status, 303);
    assert_eq!(count(house).await, 2);
    // An id of somebody else's message tells nothing of it.
    let amina = house.visitor(TOWN, AMINA).await;
    let hers =
        form(&amina, "generica").await.with("testo", "Una volta sola.").with("id", filled.get("id").expect("an id"));
    let page = amina.send(&hers).await;
    assert_eq!(page.status, 409);
    assert_eq!(count(house).await, 2);
    let list = amina.get(&at("/messaggi")).await;
    assert!(!list.says("Una volta sola"), "{}", list.text());
    // No id, and no kind.
    for (name, value) in [("id", "x"), ("tipo", "x")] {
        assert_eq!(maria.send(&form(&maria, "generica").await.with("testo", "x").with(name, value)).await.status, 403);
    }
    let cross = maria.saying("sec-fetch-site", "cross-site");
    assert_eq!(cross.send(&again.with("id", &new_id())).await.status, 403);
    assert_eq!(count(house).await, 2);
}

async fn what_is_wrong_is_said_and_nothing_typed_is_lost(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let cases: [(&str, Typed<'_>, &str); 8] = [
        ("generica", &[("testo", "  ")], "Scrivi il messaggio."),
        ("recapito", &[("testo", "Ho cambiato casa")], "almeno uno tra telefono"),
        ("refezione", &[("dal", "2026-11-23"), ("al", "2026-11-24")], "Scegli il figlio."),
        ("trasporto", &[("dal", "2026-11-19"), ("al", "2026-11-24")], "Questo giorno è passato."),
        ("dieta-bianca", &[("dal", "2026-11-24"), ("al", "2026-11-23")], "L&#39;ultimo giorno viene prima del primo."),
        ("dieta-bianca", &[("dal", "domani"), ("al", "2026-11-23")], "Scrivi il giorno così"),
        ("valutazione", &[("voto", "6"), ("testo", "Troppo buono")], "Scegli un voto da 1 a 5."),
        ("valutazione", &[("voto", "3"), ("servizio", "01a153d1-0000-7000-8000-000000000000")], "Scegli il servizio."),
    ];
    for (slug, fields, told) in cases {
        let filled = fields.iter().fold(form(&maria, slug).await, |form, (name, value)| form.with(name, value));
        let page = maria.send(&filled).await;
        assert!(page.status == 422 && page.says(told) && page.says("aria-invalid"), "{slug}: {told}: {}", page.text());
        for (_, value) in fields.iter().filter(|(name, _)| ["testo", "dal", "al"].contains(name)) {
            assert!(page.says(value.trim()), "{value} is typed once: {}", page.text());
        }
        assert_eq!(page.form(FORM).get("id"), filled.get("id"));
    }
    let long = form(&maria, "generica").await.with("testo", &"è".repeat(4_001));
    assert!(maria.send(&long).await.says("al massimo 4000 caratteri"));
    let loud = form(&maria, "generica").await.with("testo", "a\u{1b}[2J");
    assert!(maria.send(&loud).await.says("carattere che non si può inviare"));
    let huge = form(&maria, "generica").await.with("testo", &"x".repeat(70_000));
    assert_eq!(maria.send(&huge).await.status, 413);
    assert_eq!(count(house).await, 0);
    let most = form(&maria, "generica").await.with("testo", &"è".repeat(4_000));
    assert_eq!(maria.send(&most).await.status, 303);
}

async fn a_child_of_others_is_refused(house: &House) {
    let (maria, amina) = (house.visitor(TOWN, MARIA).await, house.visitor(TOWN, AMINA).await);
    let theirs = amina.get(&at("/messaggi/nuovo?tipo=generica")).await.text();
    let own = maria.get(&at("/messaggi/nuovo?tipo=generica")).await.text();
    let (_, rest) = theirs.split_once("</option><option value=\"").expect("a child");
    let child = rest.split('"').next().expect("an id").to_owned();
    assert!(!own.contains(&child));
    for id in [child.as_str(), "01a153d1-0000-7000-8000-000000000000", "x"] {
        let filled = form(&maria, "generica").await.with("testo", "Di chi?").with("figlio", id);
        let page = maria.send(&filled).await;
        assert!(page.status == 404, "{id}: {}", page.text());
    }
    assert_eq!(count(house).await, 0);
    let filled = form(&amina, "generica").await.with("testo", "Il mio.").with("figlio", &child);
    assert_eq!(amina.send(&filled).await.status, 303);
}

async fn ten_a_day(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    for n in 0..10 {
        let filled = form(&maria, "generica").await.with("testo", &format!("Messaggio {n}"));
        assert_eq!(maria.send(&filled).await.status, 303, "{n}");
    }
    let eleventh = form(&maria, "generica").await.with("testo", "Ancora uno");
    let page = maria.send(&eleventh).await;
    assert!(page.status == 429 && page.says("10 messaggi") && page.says("Ancora uno"), "{}", page.text());
    assert_eq!(count(house).await, 10);
    // Another parent's day is another.
    let paolo = house.visitor(TOWN, PAOLO).await;
    assert_eq!(paolo.send(&form(&paolo, "generica").await.with("testo", "Uno")).await.status, 303);
    // It is eleven in the morning: after thirteen hours it is tomorrow in Italy.
    house.advance(Duration::from_secs(13 * 3_600));
    let maria = house.visitor(TOWN, MARIA).await;
    assert_eq!(maria.send(&form(&maria, "generica").await.with("testo", "Domani")).await.status, 303);
    // Twenty on a page.
    for n in 0..9 {
        let filled = form(&maria, "generica").await.with("testo", &format!("Domani {n}"));
        assert_eq!(maria.send(&filled).await.status, 303, "{n}");
    }
    let first = maria.get(&at("/messaggi")).await;
    assert!(first.says("?prima="), "{}", first.text());
    let (_, older) =
        first.text().split_once("/messaggi?prima=").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("older");
    let older = maria.get(&at(&format!("/messaggi?prima={}", older.split('"').next().expect("an end")))).await;
    assert!(!older.says("<p>Domani") && !older.says("Messaggi precedenti"), "{}", older.text());
}

fn written(folder: &TempDir, text: &str) -> String {
    let file = folder.path().join("answer.txt");
    std::fs::write(&file, text).expect("a file");
    file.to_str().expect("a path").to_owned()
}

async fn an_answer_is_seen_and_counted(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let unread = async || maria.get(BASE).await.says("Risposte da leggere");
    let state = async |words: &str| maria.get(&at("/messaggi")).await.says(&format!("</svg> {words}</span>"));
    maria.sent(&form(&maria, "informazioni").await.with("testo", "Quando riapre?\u{9}Grazie")).await;
    let list: Value = serde_json::from_str(&ok(office(house, &["message", "list", "--open", "--json"]))).expect("JSON");
    let id = list["messages"][0]["id"].as_str().expect("an id").to_owned();
    assert!(state("inviato").await);
    assert!(!list.to_string().contains("Quando riapre"), "a list says what about, and not what");
    assert!(ok(office(house, &["message", "list"])).contains("information"));
    let shown = ok(office(house, &["message", "show", &id]));
    assert!(shown.contains("Quando riapre?") && shown.contains("Maria Bianchi"), "{shown}");
    assert!(state("letto dall&#39;ufficio").await);
    ok(signed(house, &["message", "answer", &id, "--state", "in_progress"]));
    assert!(state("in lavorazione").await && !unread().await);
    let folder = TempDir::new().expect("a folder");
    let no_text = signed(house, &["message", "answer", &id, "--state", "answered"]);
    assert!(refused(&no_text).contains("--text-file"), "{no_text:?}");
    for bad in ["", " \n", &"x".repeat(4_001), "a\u{7}"] {
        let path = written(&folder, bad);
        let output = signed(house, &["message", "answer", &id, "--state", "answered", "--text-file", &path]);
        assert!(refused(&output).contains("1 to 4000 characters"), "{output:?}");
    }
    let path = written(&folder, "Lunedì alle 9.\nVedi https://comune.example/orari <b>\n");
    let answer = ["message", "answer", &id, "--state", "answered", "--text-file", &path];
    house.advance(Duration::from_secs(60));
    let unsigned = [&answer[..], &["--reason", "x", "--operator", " "]].concat();
    assert!(refused(&office(house, &unsigned)).contains("needs a reason"));
    assert_eq!(ok(signed(house, &answer)), format!("{id}: answered\n"));
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE kind = 'answer'").await, 0, "Maria has no address");
    let home = maria.get(BASE).await;
    assert!(home.says("Risposte da leggere: 1"), "{}", home.text());
    assert!(!house.visitor(TOWN, PAOLO).await.get(BASE).await.says("Risposte da leggere"), "it is hers");
    let page = maria.get(&at("/messaggi")).await;
    assert!(
        page.says("nuova risposta") && page.says("<details class=\"portal-question mood-ok\" open>"),
        "{}",
        page.text()
    );
    assert!(page.says("Lunedì alle 9.<br>Vedi <a href=\"https://comune.example/orari\""), "{}", page.text());
    assert!(page.says("&#60;b&#62;"), "{}", page.text());
    assert!(!unread().await, "seen");
    assert!(state("risposto").await && !maria.get(&at("/messaggi")).await.says("nuova risposta"));
    // It no longer waits; a second answer stands under the first.
    assert_eq!(ok(office(house, &["message", "list", "--open"])), "nothing waits\n");
    let path = written(&folder, "Anche martedì.");
    ok(signed(house, &["message", "answer", &id, "--state", "closed", "--text-file", &path]));
    let page = maria.get(&at("/messaggi")).await.text();
    assert!(page.find("Lunedì alle 9") < page.find("Anche martedì") && page.contains("chiuso"), "{page}");
    let all = exported(house);
    assert_eq!((&all[0]["state"], all[0]["answers"].as_array().map(Vec::len)), (&"closed".into(), Some(2)), "{all:?}");
    let log: Value = serde_json::from_str(&ok(office(house, &["office", "log", "--json"]))).expect("JSON");
    let acts = log["acts"].as_array().expect("acts");
    assert!(
        acts.len() == 3 && acts.iter().all(|act| act["action"] == "message_answered" && act["subject"] == *id),
        "{log}"
    );
    assert!(!log.to_string().contains("Lunedì"), "what was answered stands in no log");
    let unknown = signed(house, &["message", "answer", &new_id(), "--state", "closed"]);
    assert!(refused(&unknown).contains("no such message"), "{unknown:?}");
    assert!(refused(&office(house, &["message", "show", &new_id()])).contains("no such message"));
}

async fn what_is_written_is_sealed(house: &House) {
    const WORDS: &str = "mia figlia non sta bene";
    let maria = house.visitor(TOWN, MARIA).await;
    maria.sent(&form(&maria, "generica").await.with("testo", WORDS)).await;
    maria.sent(&form(&maria, "generica").await.with("testo", "altro")).await;
    let id: Value = exported(house)[0]["id"].clone();
    let folder = TempDir::new().expect("a folder");
    let path = written(&folder, WORDS);
    ok(signed(house, &["message", "answer", id.as_str().expect("an id"), "--state", "closed", "--text-file", &path]));
    let creditor = CreditorCode::parse(TOWN).expect("a code");
    let id: uuid::Uuid = id.as_str().expect("an id").parse().expect("an id");
    let read = house.app.store.read(move |tx| {
        Box::pin(async move {
            let mut sealed: Vec<Vec<u8>> =
                tx.messages_after(&creditor, uuid::Uuid::nil(), 9).await?.into_iter().map(|row| row.sealed).collect();
            sealed.extend(tx.answers(&creditor, id).await?.into_iter().map(|row| row.sealed));
            Ok(sealed)
        })
    });
    let sealed = read.await.expect("rows");
    assert_eq!(sealed.len(), 3);
    for bytes in &sealed {
        assert!(!String::from_utf8_lossy(bytes).contains("figlia") && bytes.len() > 12);
        assert!(!String::from_utf8_lossy(bytes).contains("general"), "what it is about is sealed, too");
    }
    // What is moved to another row does not open there.
    let swap = format!(
        "UPDATE message SET sealed = (SELECT m.sealed FROM message m WHERE m.creditor = '{TOWN}' AND m.id = {own}) \
         WHERE creditor = '{TOWN}' AND id <> {own}",
        own = house.fresh.id(id)
    );
    house.execute(&swap).await;
    let page = maria.get(&at("/messaggi")).await;
    assert!(page.says("non si può più leggere"), "{}", page.text());
    // The office with another secret reads nothing, and is told so.
    let place = house.fresh.file().map(|file| format!("sqlite:{}", file.display()));
    let place = place.or_else(|| house.fresh.url().map(str::to_owned)).expect("a place");
    let mut other = crate::all::demo::command(&["message", "list", "--database", &place, "--creditor", TOWN]);
    let told = ok(crate::all::demo::run(other.env("BORSELLINO_SECRET", "08".repeat(32))));
    assert!(told.contains("sealed with another secret"), "{told}");
}
