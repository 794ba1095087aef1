//! The privacy notice: accepted once per version, before anything else, and nothing is lost by it.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::guardians::{Change, change, give_code};
use borsellino_server::usecases::office::{Act, OfficeRefusal};
use borsellino_server::usecases::privacy::{PrivacyRefusal, Reading, current, set};
use borsellino_tests::house::{ELENA, House, MARIA, PAOLO, PASSWORD, TOWN, UNION};
use serde_json::Value;

use super::super::demo::{command, run};

borsellino_tests::in_both_houses! {
    a_version_is_accepted_once;
    a_form_waits_for_it;
    what_is_theirs_stays_open;
    who_registers_accepts_it_first;
    a_version_says_one_thing;
    the_office_sets_it_on_the_command_line;
}

const BASE: &str = "/comune/99900010010";
const PAOLOS: &str = "RSSPLA82H14F205Y";
const LINK: &str = "https://comune.example/privacy";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

fn act(house: &House, why: &str) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), (why.to_owned(), "a clerk".to_owned())).expect("an act")
}

async fn put(house: &House, wanted: Option<(&str, Reading)>) -> Result<(), PrivacyRefusal> {
    // Acts have their order by the millisecond.
    house.advance(Duration::from_millis(1));
    let wanted = wanted.map(|(version, reading)| (version.to_owned(), reading));
    match set(&house.app.store, act(house, "the council decided"), wanted).await {
        Ok(()) => Ok(()),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Fault(fault)) => panic!("{fault}"),
    }
}

fn text(words: &str) -> Reading {
    Reading::Text(words.to_owned())
}

const ACCEPTED: &str = "SELECT COUNT(*) FROM privacy_acceptance";

async fn a_version_is_accepted_once(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    assert_eq!(maria.get(BASE).await.status, 200, "none is set, nothing is asked");
    assert_eq!(maria.get(&at("/privacy")).await.location(), BASE);
    put(house, Some(("2026-09", text("Titolare: il Comune.\r\n\r\nI dati <b>non</b> escono.")))).await.expect("set");

    let asked = maria.get(&at("/movimenti?pagina=2")).await;
    assert_eq!(
        (asked.status, asked.location()),
        (303, &*at("/privacy?poi=%2Fcomune%2F99900010010%2Fmovimenti%3Fpagina%3D2"))
    );
    let page = maria.get(asked.location()).await;
    assert!(page.says("<p>Titolare: il Comune.</p>") && page.says("2026-09"), "{}", page.text());
    assert!(page.says("I dati &#60;b&#62;non&#60;/b&#62; escono."), "{}", page.text());
    let form = page.form(&at("/privacy"));
    for without in
        [form.clone(), form.clone().with("accetto", "no"), form.clone().with("accetto", "si").without("modulo")]
    {
        let page = maria.send(&without).await;
        assert!(page.status == 422 && page.says("serve la spunta"), "{}", page.text());
    }
    let foreign = maria.send(&form.clone().with("accetto", "si").with("versione", "2025")).await;
    assert_eq!(foreign.status, 422, "another version was read");
    assert_eq!(house.number(ACCEPTED).await, 0);
    let accepted = maria.send(&form.clone().with("accetto", "si")).await;
    assert_eq!((accepted.status, accepted.location()), (303, &*at("/movimenti?pagina=2")));
    assert_eq!(maria.send(&form.with("accetto", "si")).await.status, 303, "a double tap is one");
    assert_eq!(house.number(ACCEPTED).await, 1);
    assert_eq!(maria.get(BASE).await.status, 200);
    assert_eq!(house.visitor(TOWN, MARIA).await.get(BASE).await.status, 200, "nor in another browser");
    assert_eq!(house.visitor(TOWN, PAOLO).await.get(BASE).await.status, 303, "each for themselves");
    assert_eq!(
        house.visitor(UNION, ELENA).await.get(&format!("/comune/{UNION}")).await.status,
        200,
        "each creditor its own"
    );

    // A new version is asked for again, and what was accepted stays.
    put(house, Some(("2027-01", Reading::At(LINK.to_owned())))).await.expect("set");
    let page = maria.get(maria.get(BASE).await.location()).await;
    assert!(page.says(&format!("href=\"{LINK}\"")) && page.says("2027-01"), "{}", page.text());
    maria.sent(&page.form(&at("/privacy")).with("accetto", "si")).await;
    assert_eq!((maria.get(BASE).await.status, house.number(ACCEPTED).await), (200, 2));
    // Back to the old one: it was accepted. And with none nobody is asked.
    put(house, Some(("2026-09", text("Titolare: il Comune.\n\nI dati <b>non</b> escono.")))).await.expect("set");
    assert_eq!(maria.get(BASE).await.status, 200);
    put(house, None).await.expect("set");
    assert_eq!(house.visitor(TOWN, PAOLO).await.get(BASE).await.status, 200);
    assert_eq!(house.number(ACCEPTED).await, 2);
    assert_eq!(house.number("SELECT COUNT(*) FROM office_action WHERE action = 'privacy_changed'").await, 4);
}

async fn a_form_waits_for_it(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let form = maria.get(&at("/ricarica")).await.form(&at("/ricarica"));
    let field =
        form.fields.iter().map(|(name, _)| name.clone()).find(|name| name.starts_with("altro-")).expect("a field");
    let form = form.with(&field.replace("altro-", "importo-"), "altro").with(&field, "33,20").with("come", "avviso");
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    put(house, Some(("1", text("Parole.")))).await.expect("set");
    let page = maria.send(&form).await;
    assert!(page.status == 200 && page.says("Parole.") && !page.says("33,20"), "{}", page.text());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before, "not before it is accepted");
    let asked = page.form(&at("/privacy"));
    let kept = maria.send(&asked).await.form(&at("/privacy"));
    assert_eq!(kept.get("bozza"), asked.get("bozza"), "a forgotten tick loses nothing");
    let waiting = maria.send(&kept.with("accetto", "si")).await;
    assert!(waiting.status == 200 && waiting.says("33,20"), "{}", waiting.text());
    let notice = maria.sent(&waiting.form(&at("/ricarica"))).await;
    assert!(notice.says("33,20 €"), "{}", notice.text());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before + 1);

    // A form that waited for a sign-in waits for a new version too, before anything of it is shown.
    put(house, Some(("2", text("Altre parole.")))).await.expect("set");
    house.advance(Duration::from_secs(31 * 60));
    let entry = maria.send(&form).await.form(&at("/accesso")).with("utente", MARIA).with("password", PASSWORD);
    let page = maria.send(&entry).await;
    assert!(page.says("Altre parole.") && !page.says("33,20") && !page.says("Giulia"), "{}", page.text());
    let waiting = maria.send(&page.form(&at("/privacy")).with("accetto", "si")).await;
    assert!(waiting.says("Riprendi da dove eri") && waiting.says("33,20 €"), "{}", waiting.text());
    // And where the visit is ended while the notice is read, it waits on.
    put(house, Some(("3", text("Parole nuove.")))).await.expect("set");
    let page = maria.send(&waiting.form(&at("/ricarica"))).await;
    house.execute("UPDATE session SET ended_at_ms = 1").await;
    let entry = maria.send(&page.form(&at("/privacy")).with("accetto", "si")).await.form(&at("/accesso"));
    let page = maria.send(&entry.with("utente", MARIA).with("password", PASSWORD)).await;
    let waiting = maria.send(&page.form(&at("/privacy")).with("accetto", "si")).await;
    assert!(waiting.says("33,20 €"), "{}", waiting.text());
}

async fn what_is_theirs_stays_open(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let notice = home.bills.iter().find_map(|bill| bill.notice.clone()).expect("a notice").number;
    let wallet = home.children[0].wallets[0].id.clone();
    put(house, Some(("1", text("Parole.")))).await.expect("set");
    for path in [format!("/avviso/{notice}/pdf"), format!("/estratto/{wallet}")] {
        let paper = maria.get(&at(&path)).await;
        assert!(!paper.location().contains("/privacy"), "{path}: {} {}", paper.status, paper.location());
    }
    assert_eq!(maria.get(&at(&format!("/avviso/{notice}/pdf"))).await.header("content-type"), "application/pdf");
    for path in ["", "/paga", "/profilo", "/archivio", &format!("/avviso/{notice}")] {
        assert!(maria.get(&at(path)).await.location().starts_with(&at("/privacy")), "{path}");
    }
    // A script is told to load the whole page.
    let scripted = house.browser().saying("hx-request", "true");
    scripted.enter(TOWN, MARIA, PASSWORD).await;
    assert!(scripted.get(BASE).await.header("hx-redirect").starts_with(&at("/privacy")));
    // The app goes on; leaving and the language need nothing.
    assert!(phone.home().await.is_ok());
    let page = maria.get(&at("/privacy")).await;
    let english = maria.send(&page.form(&at("/lingua")).with("lingua", "en")).await;
    assert!(maria.get(english.location()).await.says("Privacy notice"));
    assert_eq!(maria.send(&page.form(&at("/esci"))).await.location(), at("/accesso"));
    assert_eq!(maria.get(BASE).await.location(), at("/accesso?poi=%2Fcomune%2F99900010010"));
    // Without a visit there is nothing to accept; an ended one is told so.
    assert!(house.browser().get(&at("/privacy")).await.location().starts_with(&at("/accesso")));
    let paolo = house.visitor(TOWN, PAOLO).await;
    house.execute(&format!("UPDATE guardian SET disabled_at_ms = 1 WHERE username = '{PAOLO}'")).await;
    assert!(paolo.get(BASE).await.location().starts_with(&at("/accesso")));
    assert!(paolo.get(&at("/privacy")).await.location().starts_with(&at("/accesso")));
}

async fn who_registers_accepts_it_first(house: &House) {
    put(house, Some(("1", text("Parole.")))).await.expect("set");
    change(&house.app.store, act(house, "asked to"), (PAOLO.to_owned(), Change::Reset)).await.expect("reset");
    let code = give_code(&house.app.store, act(house, "was here"), PAOLOS.to_owned()).await.expect("a code").code;
    let browser = house.browser();
    let form = browser.get(&at("/registrati")).await.form(&at("/registrati"));
    let form = form.with("cf", PAOLOS).with("codice", code.as_str()).with("utente", "paolo.nuovo");
    let form = form.with("password", "il treno delle otto").with("password-ripetuta", "il treno delle otto");
    let registered = browser.sent(&form).await;
    let page = browser.get(registered.location()).await;
    assert!(page.says("Parole."), "{}", page.text());
    let inside = browser.sent(&page.form(&at("/privacy")).with("accetto", "si")).await;
    assert!(inside.says("Giulia"), "{}", inside.text());
}

async fn a_version_says_one_thing(house: &House) {
    put(house, Some((" 1 ", text("Parole.")))).await.expect("set");
    put(house, Some(("1", text("Parole.\n")))).await.expect("the same again");
    for (version, reading) in [("1", text("Altre parole.")), ("1", Reading::At(LINK.to_owned()))] {
        assert_eq!(put(house, Some((version, reading))).await, Err(PrivacyRefusal::OtherWords("1".to_owned())));
    }
    for version in ["", " ", &"x".repeat(41), "1\n2"] {
        assert_eq!(put(house, Some((version, text("x")))).await, Err(PrivacyRefusal::Version), "{version:?}");
    }
    for words in ["", " \n ", &"x".repeat((64 << 10) + 1), "a\0b"] {
        assert_eq!(put(house, Some(("2", text(words)))).await, Err(PrivacyRefusal::Text));
    }
    for link in ["http://comune.example", "comune.example", "https://", "https:///x", "https://a b", "javascript:x"] {
        assert_eq!(put(house, Some(("2", Reading::At(link.to_owned())))).await, Err(PrivacyRefusal::Link), "{link}");
    }
    let unsigned = set(&house.app.store, act(house, " "), None).await;
    assert!(matches!(unsigned, Err(Stop::Refused(PrivacyRefusal::Office(OfficeRefusal::Unsigned)))));
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    let now = current(&house.app.store, creditor).await.expect("readable").expect("one");
    assert_eq!((now.version.as_str(), now.reading), ("1", text("Parole.")));
}

async fn the_office_sets_it_on_the_command_line(house: &House) {
    let file = house.fresh.file().map(|file| format!("sqlite:{}", file.display()));
    let database = file.unwrap_or_else(|| house.fresh.url().expect("an address").to_owned());
    let privacy = |arguments: &[&str]| {
        let common = ["--database", &database, "--creditor", TOWN];
        let output = run(&mut command(&[&["creditor", "privacy"], arguments, &common].concat()));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    let signed = ["--reason", "the council decided", "--operator", "a clerk"];
    let (code, said) = privacy(&[&["set", "--version", "2026-09", "--link", LINK], signed.as_slice()].concat());
    assert!(code == Some(0) && said.contains("the privacy notice is set"), "{said}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notice.txt");
    std::fs::write(&file, "Parole.\n").expect("a file");
    let text = ["set", "--version", "2026-09", "--text", file.to_str().expect("UTF-8")];
    let (code, said) = privacy(&[&text, signed.as_slice()].concat());
    assert!(code == Some(1) && said.contains("give it a new version"), "{said}");
    let (code, said) = privacy(&[&["set", "--version", "3"], signed.as_slice()].concat());
    assert!(code == Some(2) && said.contains("--link"), "{said}");
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(maria.get(BASE).await.location()).await;
    maria.sent(&page.form(&at("/privacy")).with("accetto", "si")).await;
    let (code, said) = privacy(&["show", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&shown["notice"]["version"], &shown["notice"]["link"]), (&"2026-09".into(), &LINK.into()));
    assert_eq!(shown["accepted"][0]["name"], "Maria Bianchi");
    let (code, said) = privacy(&[["clear"].as_slice(), &signed].concat());
    assert!(code == Some(0) && said.contains("no privacy notice is asked for"), "{said}");
    let (_, said) = privacy(&["show"]);
    assert!(said.contains("no privacy notice is asked for") && said.contains("accepted 2026-09"), "{said}");
}
