//! What must not happen: a form of another site, a visit that outlives itself, an address that leads elsewhere, anything kept on a shared
//! computer, anything typed that is lost.

use std::time::Duration;

use borsellino_tests::house::{AMINA, ELENA, House, MARIA, PASSWORD, TOWN, UNION, wallet};

borsellino_tests::in_both_houses! {
    nobody_comes_in_without_a_password;
    a_form_of_another_site_does_nothing;
    nothing_typed_is_lost_when_a_session_ends;
    a_visit_ends_by_itself_unless_the_device_is_theirs;
    signing_out_leaves_nothing;
    the_office_ends_a_visit_at_once;
    ids_of_others_are_refused;
    every_page_keeps_the_rules;
    an_address_leads_to_the_portal_only;
    devices_and_password;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

async fn nobody_comes_in_without_a_password(house: &House) {
    let browser = house.browser();
    for path in ["", "/paga", "/ricarica", "/movimenti", "/archivio", "/dispositivi", "/password", "/esito/ricarica/x"]
    {
        let page = browser.get(&at(path)).await;
        assert!(page.status == 303 && page.location().starts_with(&at("/accesso?poi=")), "{path}: {}", page.location());
    }
    let wrong = browser.enter(TOWN, MARIA, "un'altra password").await;
    assert!(wrong.status == 422 && wrong.says("Nome utente o password non corretti."), "{}", wrong.text());
    assert_eq!(wrong.form(&at("/accesso")).get("utente"), Some(MARIA), "the name is not typed twice");
    let unknown = browser.enter(TOWN, "nessuno", "un'altra password").await;
    assert_eq!(unknown.text().replace("nessuno", MARIA), wrong.text(), "no hint whether there is such a user");
    for _ in 0..4 {
        browser.enter(TOWN, MARIA, "un'altra password").await;
    }
    let later = browser.enter(TOWN, MARIA, PASSWORD).await;
    assert!(later.status == 429 && later.says("Troppi tentativi"), "{}", later.text());
    // Elena is of another creditor.
    assert_eq!(browser.enter(TOWN, ELENA, PASSWORD).await.status, 422);
    for nowhere in ["/comune/00000000000", "/comune/x/accesso", "/comune/99900010010x"] {
        assert_eq!(browser.get(nowhere).await.status, 404, "{nowhere}");
    }
}

async fn a_form_of_another_site_does_nothing(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let id = wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    let form = maria.get(&at("/ricarica")).await.form(&at("/ricarica")).with(&format!("importo-{id}"), "2000");
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    let maria = maria.saying("sec-fetch-site", "cross-site");
    assert_eq!(maria.send(&form).await.status, 403);
    assert_eq!(maria.saying("sec-fetch-site", "same-site").send(&form).await.status, 403);
    // A page of ours, but a form that was not made for this visit: it is shown, and not done.
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.send(&form.clone().with("modulo", "AAAA")).await;
    assert!(page.status == 200 && page.says("Riprendi da dove eri"), "{}", page.text());
    let page = maria.send(&form.clone().without("modulo")).await;
    assert!(page.says("Riprendi da dove eri"));
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before);
    // Confirmed, it is.
    let confirmed = page.form(&at("/ricarica"));
    assert_eq!(maria.send(&confirmed).await.status, 303);
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before + 1);
    let other = house.browser().saying("sec-fetch-site", "cross-site");
    assert_eq!(other.enter(TOWN, MARIA, PASSWORD).await.status, 403, "nobody is signed in by another site either");
}

async fn nothing_typed_is_lost_when_a_session_ends(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let id = wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    let form = maria.get(&at("/ricarica")).await.form(&at("/ricarica"));
    let form =
        form.with(&format!("importo-{id}"), "altro").with(&format!("altro-{id}"), "33,20").with("come", "avviso");
    house.advance(Duration::from_secs(31 * 60));
    let page = maria.send(&form).await;
    assert!(page.status == 200 && page.says("quello che hai scritto non è perso"), "{}", page.text());
    assert!(!page.says("33,20"), "what was typed is sealed on a page that nobody is signed in to");
    let entry = page.form(&at("/accesso")).with("utente", MARIA).with("password", PASSWORD);
    let wrong = maria.send(&entry.clone().with("password", "sbagliata")).await;
    assert_eq!(wrong.form(&at("/accesso")).get("bozza"), entry.get("bozza"), "a mistyped password loses nothing");
    let waiting = maria.send(&entry).await;
    assert!(waiting.says("Riprendi da dove eri"), "{}", waiting.text());
    let notice = maria.sent(&waiting.form(&at("/ricarica"))).await;
    assert!(notice.says("33,20 €"), "{}", notice.text());
    // Nobody else is given it, who signs in on the page that was left open.
    house.advance(Duration::from_secs(31 * 60));
    let left = maria.send(&form).await.form(&at("/accesso"));
    let amina = maria.send(&left.with("utente", AMINA).with("password", PASSWORD)).await;
    assert_eq!((amina.status, amina.location()), (303, BASE));
    // A form that was not sealed by this server is none.
    let forged = house.browser();
    let page = forged.get(&at("/accesso")).await.form(&at("/accesso")).with("bozza", "QUFB");
    let entered = forged.send(&page.with("utente", MARIA).with("password", PASSWORD)).await;
    assert_eq!((entered.status, entered.location()), (303, BASE));
}

async fn a_visit_ends_by_itself_unless_the_device_is_theirs(house: &House) {
    let shared = house.visitor(TOWN, MARIA).await;
    let own = house.browser();
    let form = own.get(&at("/accesso")).await.form(&at("/accesso"));
    let entered = own.send(&form.with("utente", MARIA).with("password", PASSWORD).with("resta", "si")).await;
    assert!(entered.header("set-cookie").contains("Max-Age=5184000"), "{}", entered.header("set-cookie"));
    // Used every twenty minutes it goes on, twelve hours at most.
    for _ in 0..35 {
        house.advance(Duration::from_secs(20 * 60));
        assert_eq!(shared.get(BASE).await.status, 200);
    }
    house.advance(Duration::from_secs(20 * 60));
    assert_eq!(shared.get(BASE).await.status, 303);
    assert_eq!(own.get(BASE).await.status, 200);
    house.advance(Duration::from_secs(50 * 24 * 3_600));
    assert_eq!(own.get(BASE).await.status, 200);
    house.advance(Duration::from_secs(50 * 24 * 3_600));
    assert_eq!(own.get(BASE).await.status, 200, "used within sixty days it goes on");
    house.advance(Duration::from_secs(61 * 24 * 3_600));
    assert_eq!(own.get(BASE).await.status, 303);
}

async fn signing_out_leaves_nothing(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let pass = maria.cookie("borsellino").expect("a pass");
    let page = maria.get(BASE).await;
    let out = maria.send(&page.form(&at("/esci"))).await;
    assert_eq!((out.status, out.location()), (303, &*at("/accesso")));
    assert_eq!(out.header("clear-site-data"), "\"cache\", \"storage\"");
    assert_eq!(maria.cookie("borsellino"), None);
    for path in ["/esci", "/lingua"] {
        assert_eq!(maria.get(&at(path)).await.location(), BASE, "{path}: no blank page after the browser's back");
    }
    // Whoever copied the cookie has nothing of it.
    let thief = house.visitor(TOWN, AMINA).await;
    thief.put_cookie("borsellino", &pass);
    let page = thief.get(BASE).await;
    assert!(page.status == 303 && page.location().starts_with(&at("/accesso")), "{}", page.text());
    assert_eq!(thief.cookie("borsellino"), None);
}

async fn the_office_ends_a_visit_at_once(house: &House) {
    let paths = ["", "/paga", "/ricarica", "/movimenti", "/archivio", "/dispositivi"];
    let mut visitors = Vec::new();
    for path in paths {
        let maria = house.visitor(TOWN, MARIA).await;
        assert_eq!(maria.get(&at(path)).await.status, 200, "{path}");
        visitors.push(maria);
    }
    house.execute("UPDATE guardian SET disabled_at_ms = 1 WHERE username = 'maria.bianchi'").await;
    for (path, maria) in paths.iter().zip(visitors) {
        let pass = maria.cookie("borsellino").expect("a pass");
        assert_eq!(maria.get(&at(path)).await.status, 303, "{path}");
        assert_eq!((maria.cookie("borsellino"), pass.is_empty()), (None, false), "{path}");
    }
}

async fn ids_of_others_are_refused(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let amina = house.phone(AMINA).await.home().await.expect("home");
    let theirs = amina.children[0].wallets[0].id.clone();
    assert_eq!(maria.get(&at(&format!("/ricarica?saldo={theirs}"))).await.status, 404);
    let form = maria.get(&at("/ricarica")).await.form(&at("/ricarica"));
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    let tampered = form
        .clone()
        .with(&format!("importo-{theirs}"), "2000")
        .with(&format!("id-{theirs}"), &borsellino_tests::house::new_id());
    assert_eq!(maria.send(&tampered).await.status, 404);
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before);
    // A pass of another creditor is none here; one that was altered is none anywhere.
    let elena = house.visitor(UNION, ELENA).await;
    let pass = elena.cookie("borsellino").expect("a pass");
    maria.put_cookie("borsellino", &pass);
    assert_eq!(maria.get(BASE).await.status, 303);
    let altered: String = pass.chars().rev().collect();
    elena.put_cookie("borsellino", &altered);
    assert_eq!(elena.get(&format!("/comune/{UNION}")).await.status, 303);
    elena.put_cookie("borsellino", "");
    assert_eq!(elena.get(&format!("/comune/{UNION}")).await.status, 303);
}

async fn every_page_keeps_the_rules(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let mut pages = Vec::new();
    for path in ["", "/paga", "/ricarica", "/movimenti", "/archivio", "/dispositivi", "/password", "/nonsense"] {
        pages.push((path, maria.get(&at(path)).await));
    }
    pages.push(("accesso", house.browser().get(&at("/accesso")).await));
    for (path, page) in &pages {
        let rules = page.header("content-security-policy");
        assert!(rules.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {rules}");
        assert!(!rules.contains("unsafe"), "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        let text = page.text();
        assert!(!text.contains("style=\"") && !text.contains("onclick") && !text.contains("<script>"), "{path}");
        assert!(text.contains("<html lang=\"it\">") && text.contains("<h1"), "{path}");
    }
    // What pages load is kept for good under a name that changes with it.
    let text = pages[0].1.text();
    let styles =
        text.split("href=\"").find(|rest| rest.starts_with("/assets/portal.")).and_then(|rest| rest.split('"').next());
    let browser = house.browser().saying("accept-encoding", "gzip");
    let asset = browser.get(styles.expect("styles")).await;
    assert!(asset.status == 200 && asset.header("cache-control").contains("immutable"), "{:?}", asset.headers);
    assert_eq!(asset.header("content-encoding"), "gzip");
    assert!(asset.bytes.len() < 20_000, "{}", asset.bytes.len());
    assert_eq!(browser.get("/assets/../Cargo.toml").await.status, 404);
    assert_eq!(browser.get("/assets/portal.css").await.status, 404);
    // A form beyond any measure.
    let form = pages[2].1.form(&at("/ricarica")).with("troppo", &"x".repeat(100_000));
    assert_eq!(maria.send(&form).await.status, 413);
}

async fn an_address_leads_to_the_portal_only(house: &House) {
    let browser = house.browser();
    let evil = [
        "//evil.example",
        "https://evil.example",
        "/comune/99900010010//evil.example",
        "/comune/99900040017",
        "/\\evil",
    ];
    for poi in evil {
        let path = format!("{}?poi={}", at("/accesso"), poi.replace('/', "%2F").replace('\\', "%5C"));
        let form = browser.get(&path).await.form(&at("/accesso"));
        assert_eq!(form.get("poi"), Some(BASE), "{poi}");
        let entered = browser.send(&form.with("poi", poi).with("utente", MARIA).with("password", PASSWORD)).await;
        assert_eq!((entered.status, entered.location()), (303, BASE), "{poi}");
        let page = browser.get(BASE).await;
        browser.send(&page.form(&at("/esci"))).await;
    }
    // Where one wanted to go is where one comes to.
    let form = browser.get(&at("/movimenti")).await;
    let form = browser.get(form.location()).await.form(&at("/accesso"));
    let entered = browser.send(&form.with("utente", MARIA).with("password", PASSWORD)).await;
    assert_eq!(entered.location(), at("/movimenti"));
    // The language is kept.
    let form = browser.get(BASE).await.form(&at("/lingua"));
    let changed = browser.send(&form.with("lingua", "de")).await;
    assert_eq!((changed.status, changed.location()), (303, BASE));
    assert!(browser.get(BASE).await.says("<html lang=\"de\">"));
    let front = house.browser().get("/").await;
    assert!(front.status == 200 && front.says(BASE) && front.says(UNION), "{}", front.text());
}

async fn devices_and_password(house: &House) {
    let (one, other) = (house.visitor(TOWN, MARIA).await, house.visitor(TOWN, MARIA).await);
    let page = one.get(&at("/dispositivi")).await;
    assert!(page.says("(questo)"), "{}", page.text());
    let text = page.text();
    let current = text.find("(questo)").expect("this one");
    // The other one's form: whichever does not stand with this one.
    let ids: Vec<String> = text
        .match_indices("name=\"dispositivo\" value=\"")
        .map(|(at, mark)| text[at + mark.len()..].split('"').next().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "{text}");
    let first = text.find(&ids[0]).expect("the first");
    let mine_is_first = current < first;
    let theirs = if mine_is_first { &ids[1] } else { &ids[0] };
    let form = page.form(&at("/dispositivi")).with("dispositivo", theirs);
    assert_eq!(one.send(&form).await.status, 303);
    assert_eq!(other.get(BASE).await.status, 303, "ended from afar");
    assert_eq!(one.send(&form.with("dispositivo", &borsellino_tests::house::new_id())).await.status, 404);

    let form = one.get(&at("/password")).await.form(&at("/password"));
    let fill = |old: &str, new: &str, again: &str| {
        form.clone().with("password", old).with("password-nuova", new).with("password-ripetuta", again)
    };
    let differ = one.send(&fill(PASSWORD, "una frase lunga 12", "una frase lunga 13")).await;
    assert!(differ.status == 422 && differ.says("non sono uguali"), "{}", differ.text());
    let short = one.send(&fill(PASSWORD, "corta", "corta")).await;
    assert!(short.status == 422 && short.says("12"), "{}", short.text());
    let wrong = one.send(&fill("non questa", "una frase lunga 12", "una frase lunga 12")).await;
    assert!(wrong.status == 422 && wrong.says("La password di adesso non è giusta."), "{}", wrong.text());
    let done = one.send(&fill(PASSWORD, "una frase lunga 12", "una frase lunga 12")).await;
    assert!(done.status == 200 && done.says("Password cambiata"), "{}", done.text());
    assert_eq!(house.browser().enter(TOWN, MARIA, PASSWORD).await.status, 422);
    assert_eq!(house.browser().enter(TOWN, MARIA, "una frase lunga 12").await.status, 303);
}
