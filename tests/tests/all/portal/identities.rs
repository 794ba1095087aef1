//! `Entra con SPID`, against a provider that others have written (`tests/oidc`): who gets in, who does not, and by whose answer nobody does.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::reason::Reason;
use borsellino_server::auth::oidc::{Provider, Settings};
use borsellino_server::usecases::guardians::{Change, change, give_code};
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::privacy::{Reading, set};
use borsellino_tests::house::{Browser, House, MARIA, PAOLO, PASSWORD, Page, TOWN, UNION, reason};
use borsellino_tests::oidc::{Facts, Oidc};
use borsellino_tests::stores::Fresh;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::browser::ONE;

borsellino_tests::in_both_houses! {
    spid_opens_a_visit_like_any_other;
    facts_are_asked_for_where_the_identity_has_none;
    nobody_comes_in_by_an_answer_to_somebody_else;
    what_was_used_is_used_up;
    an_identity_that_was_bent_lets_nobody_in;
    who_is_not_known_is_told_what_to_do;
    an_adult_who_never_registered_comes_in;
    a_provider_that_is_down_takes_nothing_else_down;
    new_keys_are_fetched;
    what_was_typed_waits_for_it;
    a_provider_is_for_its_creditors_alone;
}

const MARIAS: &str = "BNCMRA85D52F205Y";
const PAOLOS: &str = "RSSPLA82H14F205Y";
const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

struct Beside(JoinHandle<()>);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A portal with a provider beside it.
struct Door<'a> {
    house: &'a House,
    oidc: Oidc,
    at: String,
    _served: Beside,
}

async fn door(house: &House) -> Door<'_> {
    door_with(house, Facts::Token, |settings| settings).await
}

async fn door_with(house: &House, facts: Facts, adjust: impl Fn(Settings) -> Settings) -> Door<'_> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let redirects = ["spid", "cie"].map(|id| format!("{address}{}/accesso/{id}/ritorno", BASE));
    let accounts = [
        ("maria", json!({ "fiscal_number": format!("TINIT-{MARIAS}") })),
        ("nobody", json!({ "fiscal_number": "TINIT-RSSMRA80A01H501U" })),
        ("malformed", json!({ "fiscal_number": "TINIT-BNCMRA85D52F205X" })),
        ("odd", json!({ "fiscal_number": 7 })),
        ("silent", json!({ "email": "maria@famiglia.example" })),
        ("paolo", json!({ "fiscal_number": format!("TINIT-{PAOLOS}") })),
    ];
    let oidc = Oidc::start(house.now(), &redirects, &accounts, facts).await;
    let mut app = house.app.clone();
    app.public_url = address.clone().into();
    let provider = |id, label| Provider::new(adjust(oidc.settings(id, label))).expect("a provider");
    app.identities = Arc::new([provider("spid", "SPID"), provider("cie", "CIE")]);
    let portal = borsellino_server::portal::router(app);
    let served = tokio::spawn(async move { axum::serve(listener, portal).await.expect("an orderly end") });
    Door { house, oidc, at: address, _served: Beside(served) }
}

impl Door<'_> {
    fn browser(&self) -> Browser {
        self.house.browser_at(&self.at)
    }

    /// Begins with SPID; answers the provider's page.
    async fn depart(&self, browser: &Browser) -> String {
        let page = browser.get(&at("/accesso")).await;
        let leaving = browser.send(&page.form(&at("/accesso/spid"))).await;
        led(&leaving)
    }

    /// Where the provider leads a browser that departed, below our own address.
    async fn visit(&self, page: &str, who: Option<&str>) -> String {
        let back = self.oidc.visit(page, who).await;
        back.strip_prefix(&self.at).expect("our own address").to_owned()
    }

    /// There and back.
    async fn enter(&self, browser: &Browser, who: &str) -> Page {
        let page = self.depart(browser).await;
        browser.get(&self.visit(&page, Some(who)).await).await
    }

    async fn sessions(&self) -> i64 {
        self.house.number("SELECT COUNT(*) FROM session").await
    }
}

/// Where the page in between leads.
fn led(leaving: &Page) -> String {
    assert_eq!(leaving.status, 200, "{}", leaving.text());
    let page = leaving.header("refresh").strip_prefix("0; url=").expect("a page to go to").to_owned();
    assert!(leaving.says("Ti portiamo su SPID"), "{}", leaving.text());
    page
}

fn with(address: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = address.split_once('?').expect("a query");
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(its, _)| its != name);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    if let Some(value) = value {
        query.append_pair(name, value);
    }
    format!("{path}?{}", query.finish())
}

async fn spid_opens_a_visit_like_any_other(house: &House) {
    let door = door(house).await;
    house.execute(&format!("UPDATE guardian SET email = 'm@famiglia.example' WHERE username = '{MARIA}'")).await;
    let (sessions, letters) = (door.sessions().await, house.number("SELECT COUNT(*) FROM letter").await);
    let browser = door.browser();
    let asked = browser.get(&at("/paga")).await;
    assert_eq!(asked.status, 303);
    let page = browser.get(asked.location()).await;
    assert!(page.says("Entra con SPID") && page.says("Entra con CIE"), "{}", page.text());
    let leaving = browser.send(&page.form(&at("/accesso/spid"))).await;
    let kept = leaving.header("set-cookie").to_owned();
    assert!(kept.contains("Max-Age=600") && kept.contains(&format!("Path={}", at("/accesso/spid"))), "{kept}");
    let page = led(&leaving);
    for part in ["code_challenge_method=S256", "response_type=code", "nonce=", "state=", "scope=openid+fiscal"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(door.sessions().await, sessions, "nothing is kept before somebody has signed in");
    let back = door.visit(&page, Some("maria")).await;
    assert!(back.contains("iss=") && !back.contains(MARIAS), "{back}");
    let entered = browser.get(&back).await;
    assert_eq!((entered.status, entered.location()), (303, &*at("/paga")), "{}", entered.text());
    assert_eq!(browser.cookie("borsellino-identita"), None, "used up");
    assert!(browser.get(&at("/paga")).await.status == 200 && browser.get(BASE).await.says("Giulia"));
    assert_eq!(door.sessions().await, sessions + 1);
    let named = "SELECT COUNT(*) FROM session WHERE device_name = 'Browser (SPID)'";
    assert_eq!(house.number(named).await, 1);
    assert_eq!(house.number("SELECT COUNT(*) FROM letter").await, letters + 1, "a letter says so");
    assert!(browser.get(&at("/dispositivi")).await.says("Browser (SPID)"));
    // The password is what it was, and the pass goes with the visit unless the device is theirs.
    assert!(house.try_sign_in(TOWN, MARIA, PASSWORD).await.is_ok());
    assert!(!entered.header("set-cookie").contains("Max-Age"), "{}", entered.header("set-cookie"));
    let own = door.browser();
    let form = own.get(&at("/accesso")).await.form(&at("/accesso/spid")).with("resta", "si");
    let back = door.visit(&led(&own.send(&form).await), Some("maria")).await;
    let lines: Vec<_> = own.get(&back).await.headers.get_all("set-cookie").iter().cloned().collect();
    assert!(lines.iter().any(|line| line.to_str().is_ok_and(|line| line.contains("Max-Age=5184000"))), "{lines:?}");
    // The office ends it like any other.
    let act = act(house);
    change(&house.app.store, act, (MARIA.to_owned(), Change::End)).await.expect("ended");
    assert_eq!(browser.get(BASE).await.status, 303);
    let refused = door.enter(&door.browser(), "maria").await;
    assert!(refused.status == 403 && refused.says("Il tuo accesso è chiuso"), "{}", refused.text());
    assert!(!refused.headers.contains_key("location"));
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

async fn facts_are_asked_for_where_the_identity_has_none(house: &House) {
    let door = door_with(house, Facts::Userinfo, |settings| settings).await;
    let browser = door.browser();
    let entered = door.enter(&browser, "maria").await;
    assert_eq!((entered.status, entered.location()), (303, BASE), "{}", entered.text());
    door.oidc.tell(json!({ "misbehave": "facts" })).await;
    let refused = door.enter(&door.browser(), "maria").await;
    assert!(refused.status == 409 && refused.says("non si è potuta verificare"), "{}", refused.text());
}

const STALE: &str = "è scaduto, è già stato usato, o è cominciato in un altro browser";
const UNVERIFIED: &str = "La risposta di SPID non si è potuta verificare, quindi nessuno è entrato";

async fn nobody_comes_in_by_an_answer_to_somebody_else(house: &House) {
    let door = door(house).await;
    let sessions = door.sessions().await;
    let browser = door.browser();
    let page = door.depart(&browser).await;
    let back = door.visit(&page, Some("maria")).await;
    let refused = async |what: &str, browser: &Browser, address: &str, words: &str| {
        let page = browser.get(address).await;
        assert!(page.status == 409 && page.says(words), "{what}: {} {}", page.status, page.text());
        assert_eq!(browser.cookie("borsellino"), None, "{what}");
        assert!(page.says(&format!("href=\"{}\"", at("/accesso"))), "{what}: where to go on");
    };
    // An answer that was sent to somebody: their browser did not ask for it, or asked for another one.
    refused("no cookie", &door.browser(), &back, STALE).await;
    let other = door.browser();
    door.depart(&other).await;
    refused("another browser", &other, &back, STALE).await;
    for state in [Some("another"), Some(""), None] {
        refused("another state", &browser, &with(&back, "state", state), STALE).await;
    }
    refused("nothing at all", &browser, &at("/accesso/spid/ritorno"), STALE).await;
    refused("twice the same", &browser, &format!("{back}&state=x&state=y"), STALE).await;
    refused("another provider's place", &browser, &back.replace("/spid/", "/cie/"), STALE).await;
    // A cookie that is not ours, or another one's.
    let forger = door.browser();
    door.depart(&forger).await;
    forger.put_cookie("borsellino-identita", "QUFB");
    refused("a forged cookie", &forger, &back, STALE).await;
    // None of that took anything away from whoever did ask.
    let entered = browser.get(&back).await;
    assert_eq!((entered.status, entered.location()), (303, BASE), "{}", entered.text());
    assert_eq!(door.sessions().await, sessions + 1);

    // What says that it is from another issuer, or from nobody, ends it.
    for issuer in [Some("https://altrove.example"), Some(""), None] {
        let browser = door.browser();
        let back = door.visit(&door.depart(&browser).await, Some("maria")).await;
        refused("another issuer", &browser, &with(&back, "iss", issuer), UNVERIFIED).await;
        refused("afterwards", &browser, &back, STALE).await;
    }
    // A code that nobody gave out; and one of another browser's sign-in, put behind one's own state.
    for code in ["bogus", &"x".repeat(5_000), ""] {
        let browser = door.browser();
        let back = door.visit(&door.depart(&browser).await, Some("maria")).await;
        refused("a bogus code", &browser, &with(&back, "code", Some(code)), UNVERIFIED).await;
    }
    let (mine, theirs) = (door.browser(), door.browser());
    let own = door.visit(&door.depart(&mine).await, Some("maria")).await;
    let stolen = door.visit(&door.depart(&theirs).await, Some("maria")).await;
    let code = form_urlencoded::parse(stolen.split_once('?').expect("a query").1.as_bytes())
        .find_map(|(name, value)| (name == "code").then(|| value.into_owned()))
        .expect("a code");
    refused("a stolen code", &mine, &with(&own, "code", Some(&code)), UNVERIFIED).await;
    // Ten minutes are enough.
    let late = door.browser();
    let back = door.visit(&door.depart(&late).await, Some("maria")).await;
    house.advance(Duration::from_secs(600));
    refused("too late", &late, &back, STALE).await;
    // Who turns back is told in words, and nothing is wrong.
    let browser = door.browser();
    let back = door.visit(&door.depart(&browser).await, None).await;
    assert!(back.contains("error=access_denied"), "{back}");
    let page = browser.get(&back).await;
    assert!(page.status == 200 && page.says("Non hai completato l&#39;accesso con SPID"), "{}", page.text());
    let browser = door.browser();
    let back = door.visit(&door.depart(&browser).await, None).await;
    let page = browser.get(&with(&back, "error", Some("server_error"))).await;
    assert!(page.status == 503 && page.says("SPID in questo momento non risponde"), "{}", page.text());
    assert_eq!(door.sessions().await, sessions + 1);
    // A form of another site begins nothing.
    let foreign = door.browser().saying("sec-fetch-site", "cross-site");
    let form = door.browser().get(&at("/accesso")).await.form(&at("/accesso/spid"));
    assert_eq!(foreign.send(&form).await.status, 403);
}

async fn what_was_used_is_used_up(house: &House) {
    let door = door(house).await;
    let browser = door.browser();
    let page = door.depart(&browser).await;
    let kept = browser.cookie("borsellino-identita").expect("a cookie");
    let back = door.visit(&page, Some("maria")).await;
    assert_eq!(browser.get(&back).await.status, 303);
    let sessions = door.sessions().await;
    // A reload, or the browser's back: they are in, and stay in.
    let again = browser.get(&back).await;
    assert_eq!((again.status, again.location()), (303, BASE));
    // Whoever copied the address and the cookie has a code that was used.
    let thief = door.browser();
    door.depart(&thief).await;
    thief.put_cookie("borsellino-identita", &kept);
    let refused = thief.get(&back).await;
    assert!(refused.status == 409 && refused.says(UNVERIFIED), "{}", refused.text());
    browser.send(&browser.get(BASE).await.form(&at("/esci"))).await;
    let refused = browser.get(&back).await;
    assert!(refused.status == 409 && refused.says(STALE), "{}", refused.text());
    assert_eq!(door.sessions().await, sessions);
}

async fn an_identity_that_was_bent_lets_nobody_in(house: &House) {
    let door = door(house).await;
    let sessions = door.sessions().await;
    for how in [
        "nonce", "nameless", "issuer", "audience", "audiences", "party", "expired", "future", "level", "signature",
        "unsigned", "ours",
    ] {
        door.oidc.tell(json!({ "misbehave": how })).await;
        let browser = door.browser();
        let refused = door.enter(&browser, "maria").await;
        assert!(refused.status == 409 && refused.says(UNVERIFIED), "{how}: {} {}", refused.status, refused.text());
        assert_eq!(browser.cookie("borsellino"), None, "{how}");
    }
    assert_eq!(door.sessions().await, sessions);
    door.oidc.tell(json!({ "misbehave": "" })).await;
    assert_eq!(door.enter(&door.browser(), "maria").await.status, 303, "it was the bending");
}

async fn who_is_not_known_is_told_what_to_do(house: &House) {
    let door = door(house).await;
    let sessions = door.sessions().await;
    let page = door.enter(&door.browser(), "nobody").await;
    assert!(page.status == 403 && page.says("Non ti conosciamo ancora"), "{}", page.text());
    assert!(page.says("Chiedi all&#39;ufficio scuola"), "whom to ask: {}", page.text());
    for who in ["malformed", "odd", "silent"] {
        let page = door.enter(&door.browser(), who).await;
        assert!(
            page.status == 409 && page.says("non ci ha comunicato il tuo codice fiscale"),
            "{who}: {}",
            page.text()
        );
    }
    assert_eq!(door.sessions().await, sessions);
    let german = door.browser().saying("accept-language", "de");
    let page = german.get(&at("/accesso")).await;
    assert!(page.says("Anmelden mit SPID"));
    let back = door
        .visit(
            german.send(&page.form(&at("/accesso/spid"))).await.header("refresh").trim_start_matches("0; url="),
            Some("nobody"),
        )
        .await;
    assert!(german.get(&back).await.says("Wir kennen Sie noch nicht"));
}

async fn an_adult_who_never_registered_comes_in(house: &House) {
    let door = door(house).await;
    change(&house.app.store, act(house), (PAOLO.to_owned(), Change::Reset)).await.expect("reset");
    assert_eq!(reason(house.try_sign_in(TOWN, PAOLO, PASSWORD).await), Reason::WrongCredentials);
    let browser = door.browser();
    let entered = door.enter(&browser, "paolo").await;
    assert_eq!((entered.status, entered.location()), (303, BASE), "{}", entered.text());
    assert!(browser.get(BASE).await.says("Giulia"));
    let profile = browser.get(&at("/profilo")).await;
    assert!(profile.says("nessuno: entri con la tua identità digitale"), "{}", profile.text());
    let password = browser.get(&at("/password")).await;
    assert!(password.says("Non hai una password") && !password.says("type=\"password\""), "{}", password.text());
    // No password opens what has none, and a recovery finds no account.
    for password in ["", "x", PASSWORD] {
        assert_eq!(reason(house.try_sign_in(TOWN, PAOLO, password).await), Reason::WrongCredentials);
    }
    // With a code of the office they register as ever, and SPID opens the same account.
    let code = give_code(&house.app.store, act(house), PAOLOS.to_owned()).await.expect("a code").code.grouped();
    let other = door.browser();
    let form = other.get(&at("/registrati")).await.form(&at("/registrati"));
    let form = form.with("cf", PAOLOS).with("codice", &code).with("utente", "paolo.nuovo");
    let form = form.with("password", "il treno delle otto").with("password-ripetuta", "il treno delle otto");
    assert_eq!(other.send(&form).await.status, 303);
    assert!(browser.get(&at("/profilo")).await.says("paolo.nuovo"));
    assert_eq!(door.enter(&door.browser(), "paolo").await.status, 303);
}

async fn a_provider_that_is_down_takes_nothing_else_down(house: &House) {
    let door = door(house).await;
    door.oidc.tell(json!({ "down": true })).await;
    let browser = door.browser();
    let page = browser.get(&at("/accesso")).await;
    assert!(page.status == 200 && page.says("Entra con SPID"), "the page asks nobody");
    let refused = browser.send(&page.form(&at("/accesso/spid"))).await;
    assert!(refused.status == 503 && refused.says("SPID in questo momento non risponde"), "{}", refused.text());
    assert_eq!(browser.enter(TOWN, MARIA, PASSWORD).await.status, 303, "the password serves");
    door.oidc.tell(json!({ "down": false })).await;
    let browser = door.browser();
    let back = door.visit(&door.depart(&browser).await, Some("maria")).await;
    door.oidc.tell(json!({ "down": true })).await;
    let refused = browser.get(&back).await;
    assert!(refused.status == 503 && refused.says("Riprova tra poco"), "{}", refused.text());
    door.oidc.tell(json!({ "down": false })).await;
    assert_eq!(door.enter(&door.browser(), "maria").await.status, 303);
}

async fn new_keys_are_fetched(house: &House) {
    let door = door(house).await;
    assert_eq!(door.enter(&door.browser(), "maria").await.status, 303);
    door.oidc.tell(json!({ "rotate": true })).await;
    let refused = door.enter(&door.browser(), "maria").await;
    assert!(refused.status == 409 && refused.says(UNVERIFIED), "keys this new are not asked for again");
    house.advance(Duration::from_secs(11));
    assert_eq!(door.enter(&door.browser(), "maria").await.status, 303, "its new keys");
}

async fn what_was_typed_waits_for_it(house: &House) {
    let door = door(house).await;
    let browser = door.browser();
    assert_eq!(door.enter(&browser, "maria").await.status, 303);
    let form = browser.get(&at("/ricarica")).await.form(&at("/ricarica"));
    let field =
        form.fields.iter().map(|(name, _)| name.clone()).find(|name| name.starts_with("altro-")).expect("a field");
    let form = form.with(&field.replace("altro-", "importo-"), "altro").with(&field, "33,20").with("come", "avviso");
    house.advance(Duration::from_secs(31 * 60));
    door.oidc.tell(json!({ "now": house.now() })).await;
    let page = browser.send(&form).await;
    assert!(page.says("quello che hai scritto non è perso"), "{}", page.text());
    let leaving = browser.send(&page.form(&at("/accesso/spid"))).await;
    let back = door.visit(&led(&leaving), Some("maria")).await;
    let waiting = browser.get(&back).await;
    assert!(waiting.status == 200 && waiting.says("Riprendi da dove eri"), "{}", waiting.text());
    assert_eq!(browser.cookie("borsellino-bozza"), None);
    let notice = browser.sent(&waiting.form(&at("/ricarica"))).await;
    assert!(notice.says("33,20 €"), "{}", notice.text());
}

async fn a_provider_is_for_its_creditors_alone(house: &House) {
    let union = CreditorCode::parse(UNION).expect("eleven digits");
    let door = door_with(house, Facts::Token, |settings| Settings { creditors: vec![union], ..settings }).await;
    let page = door.browser().get(&at("/accesso")).await;
    assert!(page.status == 200 && !page.says("SPID"), "{}", page.text());
    let there = door.browser().get(&format!("/comune/{UNION}/accesso")).await;
    assert!(there.says("Entra con SPID"));
    let form = there.form(&format!("/comune/{UNION}/accesso/spid"));
    for id in ["spid", "nessuno"] {
        let here = borsellino_tests::house::Form { action: at(&format!("/accesso/{id}")), fields: form.fields.clone() };
        assert_eq!(door.browser().send(&here).await.status, 404);
        assert_eq!(door.browser().get(&at(&format!("/accesso/{id}/ritorno?code=x&state=y"))).await.status, 404);
    }
    // Nor does the portal of a house without any offer one.
    assert!(!house.browser().get(&at("/accesso")).await.says("identità digitale"));
}

/// In Chromium (`tests/portal/identity.mjs`); pictures of every page lie in `target/portal` afterwards.
async fn play(fresh: Fresh, device: &str, scripts: &str) {
    let house = House::open(fresh).await;
    let door = door(&house).await;
    let words = "Titolare del trattamento: il Comune.\n\nI dati servono a gestire mensa, trasporto e pagamenti.";
    let wanted = Some(("2026-09".to_owned(), Reading::Text(words.to_owned())));
    set(&house.app.store, act(&house), wanted).await.expect("a notice");
    let _alone = ONE.lock().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let about = json!({ "web": door.at, "creditor": TOWN, "issuer": door.oidc.issuer });
    let mut node = Command::new("node");
    node.arg(root.join("portal/identity.mjs")).env("PORTAL", about.to_string());
    node.env("SHOTS", root.join(format!("../target/portal/identity-{device}-scripts-{scripts}")));
    node.env("DEVICE", device).env("SCRIPTS", scripts);
    let output = tokio::task::spawn_blocking(move || node.output()).await.expect("a thread").expect("Node.js");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{device}, scripts {scripts}:\n{said}");
    drop(door);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_chromium_on_a_phone() {
    play(Fresh::sqlite().await.expect("a store"), "phone", "yes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_chromium_at_a_desk_without_scripts() {
    play(Fresh::postgres("identity").await.expect("a store"), "desktop", "no").await;
}
