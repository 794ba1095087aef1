//! The portal as an app on a home screen: its manifest, what a worker may keep on which device, and the creditor's own colour and logo.
//! What a browser without a network shows is played by a real one (`tests/portal/offline.mjs`).

use borsellino_domain::creditor::CreditorCode;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::appearance::HEAVIEST_LOGO;
use borsellino_server::usecases::documents::{Letterhead, LetterheadError, put_letterhead};
use borsellino_server::usecases::office::Act;
use borsellino_tests::house::{AMINA, Browser, ELENA, House, MARIA, PASSWORD, Page, TOWN, UNION};
use serde_json::Value;

borsellino_tests::in_both_houses! {
    a_portal_is_installed_under_its_own_name;
    only_a_device_of_their_own_keeps_anything;
    the_kept_page_has_balances_and_notices;
    the_creditors_colour_and_logo_are_on_its_pages;
    a_movement_that_looks_wrong_is_asked_about;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// What the worker is told by a page.
fn order(page: &Page) -> &str {
    page.header("portal-offline").split(' ').next().unwrap_or_default()
}

/// Whose visit it is told that this is.
fn mark(page: &Page) -> &str {
    page.header("portal-offline").split_once(' ').map_or("", |(_, mark)| mark)
}

/// Somebody on a device of their own.
async fn at_home(house: &House, username: &str) -> Browser {
    let browser = house.browser();
    let form = browser.get(&at("/accesso")).await.form(&at("/accesso"));
    let form = form.with("utente", username).with("password", PASSWORD).with("resta", "si");
    assert_eq!(browser.send(&form).await.status, 303);
    browser
}

async fn a_portal_is_installed_under_its_own_name(house: &House) {
    let stranger = house.browser().saying("accept-language", "de");
    let page = stranger.get(&at("/accesso")).await;
    assert!(page.says(&format!("<link rel=\"manifest\" href=\"{}\"", at("/app.webmanifest"))), "{}", page.text());
    assert!(page.says("<meta name=\"theme-color\" content=\"#0059b3\">"));
    let manifest = stranger.get(&at("/app.webmanifest")).await;
    assert_eq!((manifest.status, manifest.header("content-type")), (200, "application/manifest+json"));
    let manifest: Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
    assert_eq!(manifest["name"], "Elternportal, Comune di Valdorso");
    assert_eq!(
        (&manifest["lang"], &manifest["scope"], &manifest["start_url"]),
        (&"de".into(), &BASE.into(), &BASE.into())
    );
    assert_eq!(manifest["display"], "standalone");
    for icon in manifest["icons"].as_array().expect("icons") {
        let picture = stranger.get(icon["src"].as_str().expect("a path")).await;
        assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
        // Width and height stand in a PNG's first chunk.
        let side = |from: usize| u32::from_be_bytes(picture.bytes[from..from + 4].try_into().expect("four bytes"));
        assert_eq!(format!("{}x{}", side(16), side(20)), icon["sizes"].as_str().expect("a size"));
    }
    // The worker is this creditor's, reaches no further, and is asked for anew each time.
    let worker = stranger.get(&at("/lavoro.js")).await;
    assert_eq!(worker.header("service-worker-allowed"), BASE);
    assert_eq!(
        (worker.header("cache-control"), worker.header("content-type")),
        ("no-cache", "text/javascript; charset=utf-8")
    );
    let portal = worker.text();
    let portal: Value = serde_json::from_str(
        portal.strip_prefix("const portal = ").and_then(|rest| rest.split_once(";\n")).expect("the portal").0,
    )
    .expect("JSON");
    for file in portal["files"].as_array().expect("files").iter().chain([&portal["empty"]]) {
        let path = file.as_str().expect("a path");
        assert_eq!(stranger.get(path).await.status, 200, "{path}");
    }
    let empty = stranger.get(&at("/senza-rete/vuoto")).await;
    assert!(empty.says("Hier ist nichts gespeichert"), "{}", empty.text());
    assert_eq!(stranger.get("/comune/99900010029/app.webmanifest").await.status, 404);
}

async fn only_a_device_of_their_own_keeps_anything(house: &House) {
    // Nobody: whatever was kept goes.
    let stranger = house.browser();
    assert_eq!(order(&stranger.get(&at("/accesso")).await), "forget");
    assert_eq!(stranger.get(&at("/senza-rete")).await.status, 303);
    // On a shared computer.
    let shared = house.visitor(TOWN, MARIA).await;
    for path in ["", "/senza-rete", "/movimenti", "/archivio", "/paga"] {
        let page = shared.get(&at(path)).await;
        assert_eq!((page.status, order(&page)), (200, "forget"), "{path}");
        assert!(!page.says("data-lavoro"), "no worker is started");
    }
    // On their own.
    let own = at_home(house, MARIA).await;
    for path in ["", "/senza-rete"] {
        let page = own.get(&at(path)).await;
        assert_eq!((page.status, order(&page)), (200, "keep"), "{path}");
        assert!(page.says(&format!("data-lavoro=\"{}\"", at("/lavoro.js"))));
        assert_eq!(page.header("cache-control"), "no-store", "the browser itself keeps nothing");
    }
    // Whose it is stands on every page, so that another visit's shows: the same one's is the same, another one's is another.
    let other = at_home(house, MARIA).await;
    let (home, help) = (own.get(BASE).await, own.get(&at("/aiuto")).await);
    assert_eq!((order(&help), mark(&help)), ("mine", mark(&home)));
    let others = other.get(BASE).await;
    assert!(mark(&home).len() > 16 && mark(&home) != mark(&others));
    assert_eq!(
        (order(&shared.get(&at("/aiuto")).await), order(&stranger.get(&at("/aiuto")).await)),
        ("forget", "forget")
    );
    assert_eq!(order(&own.get(&at("/nessuna-pagina")).await), "mine");
    // What nobody signed in to is never in it.
    let empty = own.get(&at("/senza-rete/vuoto")).await;
    assert!(!empty.says("Giulia") && !empty.says("name=\"modulo\"") && !empty.says("/esci\""), "{}", empty.text());
    // With the sign-out, and where the office ends it.
    let form = own.get(BASE).await.form(&at("/esci"));
    let out = own.send(&form).await;
    assert_eq!((out.status, order(&out), out.header("clear-site-data")), (303, "forget", "\"cache\", \"storage\""));
    let other = at_home(house, AMINA).await;
    house.execute("UPDATE session SET ended_at_ms = 1").await;
    let ended = other.get(&at("/senza-rete")).await;
    assert_eq!((ended.status, order(&ended)), (303, "forget"));
}

async fn the_kept_page_has_balances_and_notices(house: &House) {
    let maria = at_home(house, MARIA).await;
    let page = maria.get(&at("/senza-rete")).await;
    for text in [
        "Giulia",
        "Luca",
        "12,15 €",
        "Saldo mensa di Giulia: 12 euro e 15 centesimi",
        "devi 1,00 €",
        // Read another day, `today` would be wrong.
        "aggiornato il 20 novembre 2026 alle 11:00",
        "237,33 €",
    ] {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    assert!(!page.says("BNCMRA") && !page.says("RSSGLI"), "no tax code of a person");
    let home = house.phone(MARIA).await.home().await.expect("home");
    let notices: Vec<_> = home.bills.iter().filter_map(|bill| bill.notice.as_ref()).collect();
    assert!(!notices.is_empty());
    let code = |page: &Page| {
        let text = page.text();
        let (_, rest) = text.split_once("<path d=\"").expect("a code");
        rest.split_once('"').expect("its end").0.to_owned()
    };
    for notice in notices {
        let own = maria.get(&at(&format!("/avviso/{}", notice.number))).await;
        assert!(page.says(&format!("id=\"avviso-{}\"", notice.number)), "{}", notice.number);
        assert!(page.says(&code(&own)), "the same code as on its own page");
    }
    // What is being paid is not to be paid in a bar meanwhile.
    let bill = home.bills.iter().find(|bill| bill.notice.is_some()).expect("a bill");
    let number = bill.notice.as_ref().expect("a notice").number.clone();
    let pay = maria.get(&at("/paga")).await.form(&at("/paga"));
    let pay = pay.without("avviso").with("avviso", &number).with("come", "online");
    assert_eq!(maria.send(&pay).await.status, 303);
    let page = maria.get(&at("/senza-rete")).await;
    assert!(!page.says(&format!("avviso-{number}")) && page.says("Giulia"), "{}", page.text());
    // Nobody else's.
    let amina = at_home(house, AMINA).await.get(&at("/senza-rete")).await;
    assert!(!amina.says("Giulia") && !amina.says("237,33"), "{}", amina.text());
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::from_digits(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("new coat of arms".to_owned(), "A. Verdi".to_owned())).expect("an act")
}

async fn the_creditors_colour_and_logo_are_on_its_pages(house: &House) {
    let listing = house.app.directory.listing();
    let creditor = listing.creditor(TOWN).expect("the town").clone();
    let put = async |change: Letterhead| {
        let put = put_letterhead(&house.app.store, &creditor, act(house), change).await;
        house.app.directory.reload(&house.app.store).await.expect("read");
        put
    };
    let stranger = house.browser();
    let plain = stranger.get(&at("/accesso")).await;
    assert!(!plain.says("/colori/") && !plain.says("/logo/"), "{}", plain.text());
    let drawing =
        b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 9\"><path d=\"M0 0h9v9z\"/></svg>".to_vec();
    let change =
        Letterhead { colour: Some("#7A1F2B".to_owned()), logo: Some(drawing.clone()), ..Letterhead::default() };
    put(change).await.expect("an appearance");
    let page = stranger.get(&at("/accesso")).await;
    assert!(page.says("<meta name=\"theme-color\" content=\"#7a1f2b\">"), "{}", page.text());
    let styles = stranger.get(&at("/colori/7a1f2b.css")).await;
    assert!(page.says(&format!("<link rel=\"stylesheet\" href=\"{}\">", at("/colori/7a1f2b.css"))));
    assert_eq!(styles.text(), ":root{--portal-blue:#7a1f2b;--portal-nav:#611822;--portal-here:#4f141b}");
    assert!(styles.header("cache-control").contains("immutable") && styles.header("content-type") == "text/css");
    let text = page.text();
    let (_, rest) = text.split_once("class=\"portal-logo\" src=\"").expect("a logo");
    let path = rest.split_once('"').expect("its end").0;
    let logo = stranger.get(path).await;
    assert_eq!((logo.status, logo.header("content-type"), logo.bytes == drawing), (200, "image/svg+xml", true));
    // Opened by itself it is a picture and runs nothing.
    assert!(logo.header("content-security-policy").contains("sandbox"));
    // Only as it is now, and only the town's.
    assert_eq!(stranger.get(&at("/logo/000000000000")).await.status, 404);
    assert_eq!(stranger.get(&at("/colori/000000.css")).await.status, 404);
    assert_eq!(stranger.get(&path.replace(TOWN, UNION)).await.status, 404);
    let elena = house.visitor(UNION, ELENA).await.get(&format!("/comune/{UNION}")).await;
    assert!(!elena.says("/colori/") && !elena.says("/logo/"));
    // The worker takes them along.
    assert!(stranger.get(&at("/lavoro.js")).await.says(path));
    // Another change leaves both alone.
    put(Letterhead { sector: Some("Ufficio scuola".to_owned()), ..Letterhead::default() }).await.expect("a sector");
    assert!(stranger.get(&at("/accesso")).await.says(path));
    // What cannot be read is refused, and changes nothing.
    for (colour, why) in [("#ffcc00", "too light"), ("blue", "hexadecimal"), ("#12345", "hexadecimal")] {
        let refused = put(Letterhead { colour: Some(colour.to_owned()), ..Letterhead::default() }).await;
        let Err(Stop::Refused(error @ LetterheadError::Colour(_))) = refused else { panic!("{colour}: {refused:?}") };
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(stranger.get(&at("/accesso")).await.says("/colori/7a1f2b.css"));
    // A logo heavier than a page may be stays on paper.
    let comment = format!("<!--{}-->", "x".repeat(HEAVIEST_LOGO));
    let heavy = [&drawing[..drawing.len() - 6], comment.as_bytes(), b"</svg>"].concat();
    put(Letterhead { logo: Some(heavy), ..Letterhead::default() }).await.expect("a logo");
    assert!(!stranger.get(&at("/accesso")).await.says("/logo/"));
    // Taken away.
    put(Letterhead { colour: Some(String::new()), logo: Some(Vec::new()), ..Letterhead::default() })
        .await
        .expect("none");
    assert!(!stranger.get(&at("/accesso")).await.says("/colori/"));
}

async fn a_movement_that_looks_wrong_is_asked_about(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/movimenti")).await.text().replace("&#38;", "&").replace("&amp;", "&");
    let (before, _) = page.split_once("<span class=\"visually-hidden\"> Pasto del").expect("a question");
    let (_, ask) = before.rsplit_once("<a href=\"").expect("an address");
    let (ask, words) = ask.split_once("\">").expect("its end");
    assert_eq!(words, "Qualcosa non torna?");
    // Nothing of the child or the movement stands in the address.
    let (path, query) = ask.split_once('?').expect("a query");
    let (kind, place) = query.split_once("&saldo=").expect("a place");
    let (wallet, seq) = place.split_once("&movimento=").expect("a number");
    assert_eq!((path, kind, wallet.len()), (&*at("/messaggi/nuovo"), "tipo=generica", 36));
    let form = maria.get(ask).await;
    assert_eq!(form.status, 200, "{}", form.text());
    for text in ["Non mi torna questo movimento:", "Pasto del", "saldo dopo"] {
        assert!(form.says(text), "{text}: {}", form.text());
    }
    assert!(form.text().contains(" selected>"), "the child is chosen already");
    // Another family's wallet, a movement that is none, no number.
    let amina = house.visitor(TOWN, AMINA).await;
    for (who, wallet, seq, status) in [
        (&amina, wallet, seq, 404),
        (&maria, wallet, "99999", 404),
        (&maria, wallet, "x", 404),
        (&maria, "x", seq, 404),
    ] {
        let path = at(&format!("/messaggi/nuovo?tipo=generica&saldo={wallet}&movimento={seq}"));
        let answer = who.get(&path).await;
        assert!(answer.status == status && !answer.says("Pasto del"), "{path}: {} {}", answer.status, answer.text());
    }
}
