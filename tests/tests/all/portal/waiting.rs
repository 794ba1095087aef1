//! A form whose visit was ended meanwhile: it waits for whoever sent it to sign in again, and says what it is before it is sent.

use std::time::Duration;

use borsellino_tests::house::{AMINA, Browser, Form, House, MARIA, PASSWORD, Page, TOWN, new_id, wallet};

borsellino_tests::in_both_houses! {
    a_form_is_kept_when_the_visit_is_ended_from_elsewhere;
    a_form_that_waited_says_what_it_is;
    passwords_do_not_wait;
    a_form_says_whose_it_is;
    whoever_wants_out_gets_out;
}

const BASE: &str = "/comune/99900010010";
const TOP_UPS: &str = "SELECT COUNT(*) FROM top_up";
const SENTENCE: &str = "una frase lunga 12";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// A form by hand, without the token of a visit.
fn form(path: &str, fields: &[(&str, &str)]) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Form { action: at(path), fields: fields.collect() }
}

/// The value that stands beside a name.
fn fact(page: &Page, name: &str) -> Option<String> {
    let text = page.text();
    let (_, rest) = text.split_once(&format!("<dt>{name}</dt><dd>"))?;
    Some(rest.split("</dd>").next().expect("a value").to_owned())
}

async fn a_form_is_kept_when_the_visit_is_ended_from_elsewhere(house: &House) {
    let id = wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    let mut password = PASSWORD;
    for by_password in [false, true] {
        let maria = house.browser();
        assert_eq!(maria.enter(TOWN, MARIA, password).await.status, 303);
        let filled = maria.get(&at("/ricarica")).await.form(&at("/ricarica")).with(&format!("importo-{id}"), "altro");
        let filled = filled.with(&format!("altro-{id}"), "33,20").with("come", "avviso");
        if by_password {
            let other = house.browser();
            assert_eq!(other.enter(TOWN, MARIA, password).await.status, 303);
            let change = other.get(&at("/password")).await.form(&at("/password")).with("password", password);
            let change = change.with("password-nuova", SENTENCE).with("password-ripetuta", SENTENCE);
            assert_eq!(other.send(&change).await.status, 200);
            password = SENTENCE;
        } else {
            house.execute("UPDATE session SET ended_at_ms = 1, wipe = 1").await;
        }
        let before = house.number(TOP_UPS).await;
        let page = maria.send(&filled).await;
        assert!(page.status == 200 && page.says("quello che hai scritto non è perso"), "{}", page.text());
        assert!(!page.says("33,20") && !page.says(&at("/esci")), "nobody is signed in: {}", page.text());
        assert_eq!(maria.cookie("borsellino"), None);
        assert_eq!(page.header("clear-site-data"), "\"cache\", \"storage\"");
        let entry = page.form(&at("/accesso"));
        // Somebody else who signs in on this page is given nothing of it.
        let amina = maria.send(&entry.clone().with("utente", AMINA).with("password", PASSWORD)).await;
        assert_eq!((amina.status, amina.location()), (303, BASE));
        let waiting = maria.send(&entry.with("utente", MARIA).with("password", password)).await;
        assert!(waiting.says("Riprendi da dove eri") && waiting.says("<h2>Ricarica</h2>"), "{}", waiting.text());
        assert_eq!(fact(&waiting, "Giulia, Mensa scolastica").as_deref(), Some("33,20 €"), "{}", waiting.text());
        assert_eq!(fact(&waiting, "Come").as_deref(), Some("con l&#39;avviso"));
        assert_eq!(house.number(TOP_UPS).await, before, "not before she says so");
        let notice = maria.sent(&waiting.form(&at("/ricarica"))).await;
        assert!(notice.says("33,20"), "{}", notice.text());
        assert_eq!(house.number(TOP_UPS).await, before + 1);
    }
}

async fn a_form_that_waited_says_what_it_is(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let home = house.phone(MARIA).await.home().await.expect("home");
    let amina = house.phone(AMINA).await.home().await.expect("home");
    let notice = home.bills.iter().find_map(|bill| bill.notice.clone()).expect("a bill");
    let foreign = amina.bills.iter().find_map(|bill| bill.notice.clone());
    let theirs = &amina.children[0].wallets[0];
    let child = &home.children[0];
    let number = notice.number.as_str();

    // A preset, an amount that is none, and a balance of another family.
    let (first, second) = (&child.wallets[0], &child.wallets[1]);
    let typed = [
        (format!("importo-{}", first.id), "2000"),
        (format!("importo-{}", second.id), "altro"),
        (format!("altro-{}", second.id), "<tanto>"),
        (format!("importo-{}", theirs.id), "4000"),
    ];
    let typed: Vec<_> = typed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let page = maria.send(&form("/ricarica", &typed)).await;
    let of = |service: &str| fact(&page, &format!("{}, {service}", child.given_name));
    assert_eq!(of(&first.service_name).as_deref(), Some("20,00 €"), "{}", page.text());
    assert_eq!(of(&second.service_name).as_deref(), Some("&#60;tanto&#62;"));
    assert!(!page.says("40,00") && !page.says(&amina.children[0].given_name), "{}", page.text());

    let other = foreign.as_ref().map_or("", |notice| notice.number.as_str());
    let page = maria.send(&form("/paga", &[("avviso", number), ("avviso", other), ("come", "online")])).await;
    assert!(fact(&page, &notice.reason).is_some_and(|amount| amount.ends_with('€')), "{}", page.text());
    assert_eq!(page.text().matches("<dt>").count(), 2, "what is due, and how: {}", page.text());
    assert_eq!(fact(&page, "Come").as_deref(), Some("online, su pagoPA"));

    let email = format!("/avviso/{number}/email");
    let page = maria.send(&form(&email, &[("indirizzo", "nonna@example.org")])).await;
    assert!(page.says("<h2>Avviso per e-mail</h2>") && fact(&page, &notice.reason).is_some(), "{}", page.text());
    assert_eq!(fact(&page, "A").as_deref(), Some("nonna@example.org"));
    let own = maria.send(&form(&email, &[])).await;
    assert!(fact(&own, "A").is_some_and(|to| to.contains("che il Comune ha di te")), "{}", own.text());
    let link = format!("/avviso/{number}/link");
    assert!(maria.send(&form(&link, &[])).await.says("<h2>Nuovo link per pagare</h2>"));
    assert!(maria.send(&form(&link, &[("revoca", &new_id())])).await.says("<h2>Revoca di un link per pagare</h2>"));

    let message = [
        ("tipo", "recapito"),
        ("figlio", child.id.as_str()),
        ("email", "nuova@example.org"),
        ("dal", "2026-11-30"),
        ("testo", "Buongiorno,\n<b>grazie</b>"),
    ];
    let page = maria.send(&form("/messaggi/nuovo", &message)).await;
    assert_eq!(fact(&page, "Tipo").as_deref(), Some("Variazione recapito"), "{}", page.text());
    assert_eq!(fact(&page, "Figlio").as_ref(), Some(&child.given_name));
    assert_eq!(fact(&page, "E-mail").as_deref(), Some("nuova@example.org"));
    assert_eq!(fact(&page, "Dal").as_deref(), Some("30 novembre"));
    assert_eq!(fact(&page, "Telefono"), None, "what was left empty");
    assert!(page.says("<p>Buongiorno,<br>&#60;b&#62;grazie&#60;/b&#62;</p>"), "{}", page.text());

    assert_eq!(fact(&maria.send(&form("/cerca", &[("cerca", "mensa")])).await, "Parole").as_deref(), Some("mensa"));
    let session = maria.get(&at("/dispositivi")).await.form(&at("/dispositivi"));
    let device = session.get("dispositivo").expect("a device");
    let page = maria.send(&form("/dispositivi", &[("dispositivo", device)])).await;
    assert!(fact(&page, "Dispositivo").is_some_and(|name| !name.is_empty() && name != device), "{}", page.text());
    let page = maria.send(&form("/recuperi", &[("richiesta", &new_id()), ("risposta", "rifiuta")])).await;
    assert_eq!(fact(&page, "Risposta").as_deref(), Some("rifiuta"));
    // In her language.
    let language = maria.get(BASE).await.form(&at("/lingua")).with("lingua", "de");
    maria.sent(&language).await;
    let page = maria.send(&form("/paga", &[("avviso", number), ("come", "avviso")])).await;
    assert_eq!(fact(&page, "Wie").as_deref(), Some("mit der Mitteilung"), "{}", page.text());
}

async fn passwords_do_not_wait(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let change = maria.get(&at("/password")).await.form(&at("/password")).with("password", PASSWORD);
    let change = change.with("password-nuova", SENTENCE).with("password-ripetuta", SENTENCE);
    let out = maria.get(BASE).await.form(&at("/esci"));
    let page = maria.send(&change.clone().without("modulo")).await;
    assert_eq!((page.status, page.location()), (303, &*at("/password")), "{}", page.text());
    house.advance(Duration::from_secs(31 * 60));
    let page = maria.send(&change).await;
    assert!(page.status == 303 && page.location().starts_with(&at("/accesso?poi=")), "{}", page.text());
    assert!(page.location().ends_with("password") && !page.location().contains("frase"), "{}", page.location());
    assert_eq!(maria.send(&out).await.location(), at("/accesso"));
    let again = maria.get(&at("/accesso?poi=%2Fcomune%2F99900010010%2Fpassword")).await.form(&at("/accesso"));
    let entered = maria.send(&again.with("utente", MARIA).with("password", PASSWORD)).await;
    assert_eq!((entered.status, entered.location()), (303, &*at("/password")));
    // Ended from elsewhere it is the same.
    let change = maria.get(&at("/password")).await.form(&at("/password")).with("password", PASSWORD);
    house.execute("UPDATE session SET ended_at_ms = 1").await;
    let page = maria.send(&change.with("password-nuova", SENTENCE).with("password-ripetuta", SENTENCE)).await;
    assert!(page.status == 303 && page.location().ends_with("password"), "{}: {}", page.location(), page.text());
    assert_eq!(maria.cookie("borsellino"), None);
}

async fn a_form_says_whose_it_is(house: &House) {
    let message = [("testo", "Buongiorno, una domanda"), ("tipo", "generica")];
    let fill = async |browser: &Browser| {
        let form = browser.get(&at("/messaggi/nuovo?tipo=generica")).await.form(&at("/messaggi/nuovo"));
        message.iter().fold(form, |form, (name, value)| form.with(name, value))
    };
    // Two tabs: the first one hears that the session has ended, and takes the cookie along. The second one's form is still Maria's.
    let maria = house.visitor(TOWN, MARIA).await;
    let (first, second) = (fill(&maria).await, fill(&maria).await);
    house.execute("UPDATE session SET ended_at_ms = 1").await;
    assert!(maria.send(&first).await.says("non è perso"));
    assert_eq!(maria.cookie("borsellino"), None);
    let page = maria.send(&second).await;
    assert!(page.says("non è perso"), "{}", page.text());
    let entry = page.form(&at("/accesso")).with("utente", MARIA).with("password", PASSWORD);
    let waiting = maria.send(&entry).await;
    assert!(waiting.says("Riprendi da dove eri") && waiting.says("Buongiorno, una domanda"), "{}", waiting.text());
    // Somebody else is there now: what she typed is not shown to them, and not sent as theirs.
    let sent = "SELECT COUNT(*) FROM message";
    let form = fill(&maria).await;
    maria.send(&maria.get(BASE).await.form(&at("/esci"))).await;
    assert_eq!(maria.enter(TOWN, AMINA, PASSWORD).await.status, 303);
    let page = maria.send(&form).await;
    assert!(page.status == 409 && page.says("di un&#39;altra persona") && !page.says("Buongiorno"), "{}", page.text());
    assert_eq!(house.number(sent).await, 0);
    // What says of nobody whose it is, and comes from nobody, is not promised to anybody.
    let stranger = house.browser();
    let page = stranger.send(&form.without("modulo")).await;
    assert!(page.status == 303 && page.location().starts_with(&at("/accesso?poi=")), "{}", page.text());
}

async fn whoever_wants_out_gets_out(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let old = maria.get(BASE).await.form(&at("/esci"));
    // Signed in anew in another tab: the button on the old page ends what is there now.
    maria.send(&old).await;
    assert_eq!(maria.enter(TOWN, MARIA, PASSWORD).await.status, 303);
    let pass = maria.cookie("borsellino").expect("a pass");
    let out = maria.send(&old).await;
    assert_eq!((out.status, out.location(), maria.cookie("borsellino")), (303, &*at("/accesso"), None));
    let thief = house.visitor(TOWN, AMINA).await;
    thief.put_cookie("borsellino", &pass);
    assert_eq!(thief.get(BASE).await.status, 303, "the session has ended");
    // Not by a page of another site.
    let other = house.visitor(TOWN, AMINA).await.saying("sec-fetch-site", "cross-site");
    assert_eq!(other.send(&old).await.status, 403);
    assert_eq!(other.get(BASE).await.status, 200);
}
