//! Getting in by the browser: registering, recovering a password, answering who asks for one, and what a parent sees of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_proto::reason::Reason;
use borsellino_server::clock::random;
use borsellino_server::jobs;
use borsellino_server::usecases::guardians::{NewAdult, add, give_code};
use borsellino_server::usecases::office::Act;
use borsellino_tests::house::{House, MARIA, PAOLO, PASSWORD, TOWN, reason};
use borsellino_tests::smtp::Smtp;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

borsellino_tests::in_both_houses! {
    an_adult_registers_in_a_browser;
    what_is_wrong_stands_at_its_field;
    a_code_that_will_not_do_says_one_thing;
    a_letter_and_a_code_recover_in_a_browser;
    a_recovery_is_confirmed_in_the_portal;
    a_recovery_is_denied_in_the_portal;
    nobody_learns_in_a_browser_who_has_an_account;
    going_back_and_other_tabs_do_no_harm;
    a_recovery_in_a_browser_has_its_end;
    other_sites_get_nobody_in;
    parents_see_what_is_known_of_them;
}

const GRANDMOTHER: &str = "RSSNNA55A41F205";
const SENTENCE: &str = "la nonna prende il treno";
const OTHER: &str = "il gatto dorme sul tetto";
const DAY: Duration = Duration::from_secs(86_400);
const ADDRESS: &str = "maria.bianchi@famiglia.example";

/// A browser: its cookies by name and path, and every address that it was sent to.
#[derive(Clone)]
struct Browser {
    http: reqwest::Client,
    at: String,
    jar: BTreeMap<(String, String), String>,
    language: &'static str,
    places: Vec<String>,
}

/// What a page answered.
#[derive(Clone, Debug)]
struct Page {
    status: u16,
    place: String,
    text: String,
    cookies: Vec<String>,
}

impl Page {
    /// The value of the first hidden field of this name.
    fn hidden(&self, name: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect("a hidden field");
        rest.split_once('"').expect("its end").0.to_owned()
    }

    /// Whether a field is marked as wrong, with a sentence beside it.
    fn is_wrong(&self, field: &str) -> bool {
        let marked = format!("aria-describedby=\"aiuto-{field} errore-{field}\" aria-invalid=\"true\"");
        self.text.contains(&marked) && self.text.contains(&format!("id=\"errore-{field}\""))
    }

    fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The two digits to be typed on the other device.
    fn number(&self) -> String {
        let (_, rest) = self.text.split_once("id=\"numero\">").expect("a number");
        rest.split_once('<').expect("its end").0.to_owned()
    }
}

fn path(below: &str) -> String {
    format!("/comune/{TOWN}{below}")
}

impl Browser {
    fn at(web: &str) -> Self {
        // A house has been opened: there is a source of cryptography.
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(reqwest::redirect::Policy::none());
        let (http, at) = (http.build().expect("a client"), web.to_owned());
        Self { http, at, jar: BTreeMap::new(), language: "it", places: Vec::new() }
    }

    fn of(house: &House) -> Self {
        Self::at(&house.at.web)
    }

    /// What goes to a path: a cookie goes where its own path begins.
    fn cookies(&self, to: &str) -> String {
        let to = to.split('?').next().unwrap_or_default();
        let fits =
            |own: &str| own == "/" || to.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let pairs = self.jar.iter().filter(|((_, own), _)| fits(own));
        pairs.map(|((name, _), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, request: reqwest::RequestBuilder, to: &str) -> Page {
        let request = request.header("accept-language", self.language).header("cookie", self.cookies(to));
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("a text").to_owned();
        let place = answer.headers().get("location").map(text).unwrap_or_default();
        let cookies: Vec<String> = answer.headers().get_all("set-cookie").iter().map(text).collect();
        for line in &cookies {
            let (pair, rest) = line.split_once("; ").expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            let own = rest.split("; ").find_map(|part| part.strip_prefix("Path=")).expect("a path");
            let key = (name.to_owned(), own.to_owned());
            if rest.contains("Max-Age=0") {
                self.jar.remove(&key)
            } else {
                self.jar.insert(key, value.to_owned())
            };
        }
        self.places.extend([to.to_owned(), place.clone()]);
        Page { status, place, text: answer.text().await.expect("a text"), cookies }
    }

    async fn get(&mut self, below: &str) -> Page {
        let to = path(below);
        self.send(self.http.get(format!("{}{to}", self.at)), &to).await
    }

    async fn post_as(&mut self, below: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let to = path(below);
        let body = Url::parse_with_params("http://127.0.0.1/", fields).expect("fields");
        let mut request = self.http.post(format!("{}{to}", self.at)).body(body.query().unwrap_or_default().to_owned());
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, &to).await
    }

    async fn post(&mut self, below: &str, fields: &[(&str, &str)]) -> Page {
        self.post_as(below, fields, &[("sec-fetch-site", "same-origin")]).await
    }

    async fn sign_in(&mut self, who: &str, password: &str) {
        let page = self.post("/accesso", &[("utente", who), ("password", password)]).await;
        assert_eq!((page.status, page.place.as_str()), (303, path("").as_str()), "{}", page.text);
    }

    /// Begins a recovery; answers the page that follows.
    async fn recover(&mut self, who: &str) -> Page {
        let page = self.post("/problemi-accesso", &[("passo", "inizio"), ("chi", who)]).await;
        assert_eq!((page.status, page.place.as_str()), (303, path("/problemi-accesso").as_str()), "{}", page.text);
        self.get("/problemi-accesso").await
    }

    /// One step of a recovery, by the form of `from`.
    async fn step(&mut self, from: &Page, step: &str, fields: &[(&str, &str)]) -> Page {
        let mark = from.hidden("recupero");
        let fields = [&[("passo", step), ("recupero", mark.as_str())], fields].concat();
        self.post("/problemi-accesso", &fields).await
    }
}

/// The last character of a codice fiscale follows from the others.
fn whole(fifteen: &str) -> PersonalCode {
    let codes = ('A'..='Z').map(|check| format!("{fifteen}{check}"));
    codes.filter_map(|code| PersonalCode::parse(&code).ok()).next().expect("a check character")
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

/// A grandmother of Maria's children, whom the office knows and who has no account.
async fn known(house: &House) -> String {
    let fiscal_code = whole(GRANDMOTHER);
    let adult = NewAdult {
        id: GuardianId::from(uuid_v7(house.app.now(), random().expect("randomness"))),
        full_name: "Anna Rossi".to_owned(),
        fiscal_code: fiscal_code.clone(),
        email: None,
        children: vec![whole("RSSGLI17C48F205")],
    };
    add(&house.app.store, act(house), adult).await.expect("added");
    fiscal_code.as_str().to_owned()
}

async fn code_for(house: &House, who: &str) -> String {
    give_code(&house.app.store, act(house), who.to_owned()).await.expect("a code").code.grouped()
}

/// A code that is well formed and not this one.
fn other_code(code: &str) -> String {
    let random = code.bytes().filter(|byte| *byte != b'-').take(13).map(|byte| byte ^ 1).collect::<Vec<_>>();
    let random: [u8; 13] = random.try_into().expect("thirteen");
    borsellino_domain::account::OfficeCode::issue(random).grouped()
}

/// What somebody who registers types.
fn form<'a>(cf: &'a str, code: &'a str, name: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("cf", cf), ("codice", code), ("utente", name), ("password", password), ("password-ripetuta", password)]
}

fn new_password(password: &str) -> [(&str, &str); 2] {
    [("password", password), ("password-ripetuta", password)]
}

async fn an_adult_registers_in_a_browser(house: &House) {
    let fiscal_code = known(house).await;
    let code = code_for(house, &fiscal_code).await;
    let mut browser = Browser::of(house);
    let door = browser.get("/accesso").await;
    assert!(door.has("Non hai un account? Registrati") && door.has("Problemi con accesso"));
    for (language, title, rule) in [
        ("en", "<h1>Register</h1>", "12 to 128 characters"),
        ("de", "<h1>Registrieren</h1>", "12 bis 128 Zeichen"),
        ("it", "<h1>Registrati</h1>", "Da 12 a 128 caratteri"),
    ] {
        browser.language = language;
        let page = browser.get("/registrati").await;
        assert!(page.status == 200 && page.has(title) && page.has(rule), "{}", page.text);
    }
    let wish = form(&fiscal_code, &code, " Nonna.Anna ", SENTENCE);
    let page = browser.post("/registrati", &wish).await;
    assert_eq!((page.status, page.place.as_str()), (303, path("").as_str()), "{}", page.text);
    assert!(page.cookies.iter().all(|line| line.contains("HttpOnly") && line.contains("SameSite=Lax")));
    let home = browser.get("").await;
    assert!(home.has("Giulia") && !home.has("Luca") && !home.has("/recuperi\""), "{}", home.text);
    assert!(house.try_sign_in(TOWN, "nonna.anna", SENTENCE).await.is_ok());
    assert_eq!(browser.get("/registrati").await.place, path(""), "whoever is in has no need of it");
    // Sent once more: signed in, and nothing else.
    let mut again = Browser::of(house);
    assert_eq!(again.post("/registrati", &wish).await.status, 303);
    assert!(again.get("").await.has("Giulia"));
    assert_eq!(house.number("SELECT COUNT(*) FROM guardian WHERE username = 'nonna.anna'").await, 1);
    for place in browser.places.iter().chain(&again.places) {
        assert!(!place.contains(&code) && !place.contains(&fiscal_code), "{place}");
    }
}

async fn what_is_wrong_stands_at_its_field(house: &House) {
    let fiscal_code = known(house).await;
    let code = code_for(house, &fiscal_code).await;
    let mut browser = Browser::of(house);
    let mistyped = code.replacen(code.get(..1).expect("one"), if code.starts_with('A') { "B" } else { "A" }, 1);
    let all = [
        ("residenza", "altrove"),
        ("cf", "RSSNNA55A41F205A"),
        ("codice", mistyped.as_str()),
        ("utente", "due \"parole\""),
        ("password", "frasecorta"),
        ("password-ripetuta", "frasediversa"),
        ("resta", "si"),
    ];
    let page = browser.post("/registrati", &all).await;
    assert_eq!(page.status, 422);
    for field in ["cf", "codice", "utente", "password"] {
        assert!(page.is_wrong(field), "{field}: {}", page.text);
    }
    assert!(page.has("id=\"problema\"") && page.has("role=\"alert\""));
    for kept in [
        "RSSNNA55A41F205A",
        &mistyped,
        "due &#34;parole&#34;",
        "value=\"altrove\" aria-describedby=\"aiuto-altrove\" checked",
    ] {
        assert!(page.has(kept), "{kept}: {}", page.text);
    }
    assert!(page.has("value=\"si\" checked"));
    assert!(!page.has("frasecorta") && !page.has("frasediversa"), "a password is typed again");
    assert!(!page.cookies.iter().any(|line| line.starts_with("borsellino=")));

    let good = form(&fiscal_code, &code, "nonna.anna", SENTENCE);
    for (password, words) in [
        ("corta", "almeno 12 caratteri"),
        (&"x1y2 ".repeat(30), "al massimo 128 caratteri"),
        ("123456789012", "in fila o ripetuti"),
        ("Password2026!", "tra le prime che si provano"),
        ("nonna.anna.1955", "del tuo nome o del tuo codice"),
        // Known to the office alone, until the code is right.
        ("AnnaRossi.1955", "del tuo nome o del tuo codice"),
    ] {
        let name = if password.starts_with("Anna") { "la.nonna" } else { "nonna.anna" };
        let page = browser.post("/registrati", &form(&fiscal_code, &code, name, password)).await;
        assert!(page.status == 422 && page.is_wrong("password") && page.has(words), "{password}: {}", page.text);
        assert!(!page.is_wrong("cf") && !page.is_wrong("codice") && !page.is_wrong("utente"));
    }
    let mut differs = good.clone();
    differs.retain(|(name, _)| *name != "password-ripetuta");
    differs.push(("password-ripetuta", OTHER));
    let page = browser.post("/registrati", &differs).await;
    assert!(page.status == 422 && page.is_wrong("password-ripetuta") && !page.is_wrong("password"));
    let page = browser.post("/registrati", &form(&fiscal_code, &code, MARIA, SENTENCE)).await;
    assert!(page.status == 422 && page.is_wrong("utente") && page.has("un&#39;altra persona"), "{}", page.text);
    assert_eq!(browser.post("/registrati", &good).await.status, 303, "the code is as good as before");
    // With a new code they are told what they have.
    let code = code_for(house, "nonna.anna").await;
    let page = Browser::of(house).post("/registrati", &form(&fiscal_code, &code, "another.name", OTHER)).await;
    assert!(page.status == 409 && page.has("Hai già un accesso") && page.has(&path("/problemi-accesso")));
}

async fn a_code_that_will_not_do_says_one_thing(house: &House) {
    let fiscal_code = known(house).await;
    let code = code_for(house, &fiscal_code).await;
    let mut browser = Browser::of(house);
    let stranger = whole("VRDLCU80A01F205").as_str().to_owned();
    let wrong = other_code(&code);
    let mut heard = Vec::new();
    for (whose, typed) in [(&fiscal_code, &wrong), (&stranger, &code), (&stranger, &wrong)] {
        let page = browser.post("/registrati", &form(whose, typed, "nonna.anna", SENTENCE)).await;
        assert!(page.status == 422 && page.is_wrong("cf") && page.is_wrong("codice"), "{}", page.text);
        heard.push(page.text.replace(whose.as_str(), "CF").replace(typed.as_str(), "CODE"));
    }
    house.advance(30 * DAY);
    let page = browser.post("/registrati", &form(&fiscal_code, &code, "nonna.anna", SENTENCE)).await;
    heard.push(page.text.replace(&fiscal_code, "CF").replace(&code, "CODE"));
    assert!(heard.iter().all(|text| *text == heard[0]), "expired, wrong and unknown read the same");
    let code = code_for(house, &fiscal_code).await;
    let wrong = other_code(&code);
    let mut last = 0;
    for _ in 0..6 {
        last = browser.post("/registrati", &form(&fiscal_code, &wrong, "nonna.anna", SENTENCE)).await.status;
    }
    assert_eq!(last, 429, "slowed down");
    for _ in 0..5 {
        house.advance(Duration::from_secs(3_600));
        let page = browser.post("/registrati", &form(&fiscal_code, &wrong, "nonna.anna", SENTENCE)).await;
        assert_eq!(page.status, 422);
    }
    house.advance(Duration::from_secs(3_600));
    let page = browser.post("/registrati", &form(&fiscal_code, &code, "nonna.anna", SENTENCE)).await;
    assert_eq!(page.status, 422, "five wrong tries are its end");
}

/// What runs beside the test.
struct Beside(JoinHandle<()>);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The portal of a server that sends letters.
async fn mailing(house: &House, smtp: &Smtp) -> (String, [Beside; 2]) {
    let mut app = house.app.clone();
    app.mailer = Some(Arc::new(smtp.mailer(app.clock.clone())));
    app.mail_every = Duration::from_millis(5);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let at = format!("http://{}", listener.local_addr().expect("an address"));
    let portal = borsellino_server::portal::router(app.clone());
    let served = async move { axum::serve(listener, portal).await.expect("an orderly end") };
    (at, [Beside(tokio::spawn(served)), Beside(tokio::spawn(jobs::mail::run(app)))])
}

/// The eight digits of a letter.
fn digits(raw: &[u8]) -> String {
    let text = String::from_utf8(raw.to_vec()).expect("ASCII").replace("=\r\n", "");
    let four = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let line = text.lines().find_map(|line| {
        let (first, last) = line.split_once(": ")?.1.split_once(' ')?;
        (four(first) && four(last)).then(|| format!("{first} {last}"))
    });
    line.expect("a code")
}

async fn a_letter_and_a_code_recover_in_a_browser(house: &House) {
    let smtp = Smtp::start().await;
    let (at, _beside) = mailing(house, &smtp).await;
    // The letters of this test are those of recoveries alone.
    house.execute("INSERT INTO low_told SELECT creditor, id, 0 FROM wallet WHERE true ON CONFLICT DO NOTHING").await;
    house.execute(&format!("UPDATE guardian SET email = '{ADDRESS}' WHERE username = '{MARIA}'")).await;
    let mut browser = Browser::at(&at);
    let begun = browser.post("/problemi-accesso", &[("passo", "inizio"), ("chi", MARIA), ("resta", "si")]).await;
    let [line] = begun.cookies.as_slice() else { panic!("one cookie: {:?}", begun.cookies) };
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Max-Age=86400"), "{line}");
    let own = path("/problemi-accesso");
    assert!(line.contains(&format!("Path={own};")), "{line}");
    assert!(browser.cookies(&path("/accesso")).is_empty(), "no other page is sent it");
    let secret = browser.jar.values().next().expect("a cookie").clone();
    smtp.until(|smtp| smtp.taken().len() == 1).await;
    let typed = digits(&smtp.taken()[0].raw);

    let asked = browser.get("/problemi-accesso").await;
    assert!(asked.has("autocomplete=\"one-time-code\"") && asked.has("otto cifre"), "{}", asked.text);
    let few = browser.step(&asked, "email", &[("cifre", "1234")]).await;
    assert!(few.status == 422 && few.is_wrong("cifre"));
    let other: String = typed
        .chars()
        .map(|c| {
            if c == '0' {
                '1'
            } else if c.is_ascii_digit() {
                '0'
            } else {
                c
            }
        })
        .collect();
    let wrong = browser.step(&asked, "email", &[("cifre", &other)]).await;
    assert!(wrong.status == 422 && wrong.is_wrong("cifre") && !wrong.is_wrong("codice"));
    assert_eq!(house.number("SELECT CAST(SUM(tries) AS BIGINT) FROM recovery").await, 1, "too few digits cost no try");
    let proved = browser.step(&wrong, "email", &[("cifre", &typed)]).await;
    assert_eq!((proved.status, &proved.place), (303, &own));
    let page = browser.get("/problemi-accesso").await;
    assert!(page.has("Fatto.") && !page.has("name=\"cifre\"") && !page.has("type=\"password\""), "{}", page.text);
    let early = browser.step(&page, "password", &new_password(SENTENCE)).await;
    assert!(early.status == 409 && early.has("una prova di tipo diverso"), "one proof is not enough: {}", early.text);
    let code = code_for(house, MARIA).await;
    let wrong = browser.step(&page, "ufficio", &[("codice", &other_code(&code))]).await;
    assert!(wrong.status == 422 && wrong.is_wrong("codice"));
    let mistyped = browser.step(&page, "ufficio", &[("codice", "00000-00000-00001")]).await;
    assert!(
        mistyped.status == 422 && mistyped.is_wrong("codice") && mistyped.has("errore di battitura"),
        "{} {}",
        mistyped.status,
        mistyped.text
    );
    assert_eq!(browser.step(&page, "ufficio", &[("codice", &code)]).await.status, 303);

    let page = browser.get("/problemi-accesso").await;
    assert!(page.has("autocomplete=\"new-password\"") && page.has("Da 12 a 128 caratteri"), "{}", page.text);
    let short = browser.step(&page, "password", &new_password("corta")).await;
    assert!(short.status == 422 && short.is_wrong("password") && !short.has("value=\"corta\""));
    let own_name = browser.step(&page, "password", &new_password("Bianchi.Maria.85")).await;
    assert!(own_name.status == 422 && own_name.is_wrong("password") && own_name.has("del tuo nome"));
    let differs = [("password", SENTENCE), ("password-ripetuta", OTHER)];
    let differs = browser.step(&page, "password", &differs).await;
    assert!(differs.status == 422 && differs.is_wrong("password-ripetuta"));
    let done = browser.step(&page, "password", &new_password(SENTENCE)).await;
    assert!(done.status == 200 && done.has(MARIA) && done.has("Esci"), "{}", done.text);
    assert!(done.cookies.iter().any(|line| line.starts_with("borsellino=") && line.contains("Max-Age=")), "it stays");
    assert!(browser.get("").await.has("Giulia"), "signed in");
    assert!(!browser.cookies(&own).contains("borsellino-recupero"), "and the recovery's cookie is gone");
    assert!(house.try_sign_in(TOWN, MARIA, SENTENCE).await.is_ok());
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, PASSWORD).await), Reason::WrongCredentials);
    for place in &browser.places {
        assert!(!place.contains('?') && !place.contains(&secret) && !place.contains(MARIA), "{place}");
    }
    assert!([&asked, &page, &done].iter().all(|page| !page.has(&secret)), "no page says what the cookie holds");
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

async fn a_recovery_is_confirmed_in_the_portal(house: &House) {
    let (mut inside, mut outside) = (Browser::of(house), Browser::of(house));
    inside.sign_in(MARIA, PASSWORD).await;
    assert!(!inside.get("").await.has("password nuova"));
    assert!(inside.get("/recuperi").await.has("Nessuno sta chiedendo"));
    let asked = outside.recover(whole("BNCMRA85D52F205").as_str()).await;
    let number = asked.number();
    let home = inside.get("").await;
    assert!(home.has("una password nuova") && home.has(&path("/recuperi")), "{}", home.text);
    let page = inside.get("/recuperi").await;
    assert!(!page.has(&format!("value=\"{number}\"")), "the number is for whoever sees the other device");
    let (token, id) = (page.hidden("modulo"), page.hidden("richiesta"));
    let answer =
        |number| [("modulo", token.as_str()), ("richiesta", &id), ("risposta", "conferma"), ("numero", number)];
    let different = if number == "07" { "08" } else { "07" };
    // Nothing typed is no answer, least of all a no.
    for typed in ["", "7", "123", "ab", different] {
        let page = inside.post("/recuperi", &answer(typed)).await;
        assert!(page.status == 422 && page.is_wrong(&id), "{typed}: {}", page.text);
        assert_eq!(page.hidden("richiesta"), id, "{typed}: it is still under way");
    }
    assert_eq!(
        house.number("SELECT CAST(SUM(tries) AS BIGINT) FROM recovery").await,
        1,
        "what is no number costs no try"
    );
    let right = format!(" {number} ");
    for _ in 0..2 {
        let page = inside.post("/recuperi", &answer(&right)).await;
        assert_eq!((page.status, page.place.as_str()), (303, path("/recuperi").as_str()), "{}", page.text);
    }
    assert!(inside.get("/recuperi").await.has("Confermata. Puoi ancora rifiutarla."));
    let page = outside.get("/problemi-accesso").await;
    assert!(page.has("Fatto.") && !page.has("id=\"numero\""), "{}", page.text);
    let code = code_for(house, MARIA).await;
    assert_eq!(outside.step(&page, "ufficio", &[("codice", &code)]).await.status, 303);
    let page = outside.get("/problemi-accesso").await;
    assert_eq!(outside.step(&page, "password", &new_password(SENTENCE)).await.status, 200);
    assert!(outside.get("").await.has("Giulia"));
    assert_eq!(inside.get("").await.status, 303, "whoever was signed in is so no more");
}

async fn a_recovery_is_denied_in_the_portal(house: &House) {
    let (mut inside, mut outside) = (Browser::of(house), Browser::of(house));
    inside.sign_in(MARIA, PASSWORD).await;
    let asked = outside.recover(MARIA).await;
    let page = inside.get("/recuperi").await;
    let (token, id) = (page.hidden("modulo"), page.hidden("richiesta"));
    // Without the token of the visit it is asked once more, and not done.
    let page = inside.post("/recuperi", &[("richiesta", &id), ("risposta", "rifiuta")]).await;
    assert!(page.status == 200 && page.has("Riprendi da dove eri"));
    let mut other = Browser::of(house);
    other.sign_in(PAOLO, PASSWORD).await;
    assert!(!other.get("").await.has("/recuperi\""), "not the other guardian's business");
    let theirs = other.get("/profilo").await.hidden("modulo");
    let page = other.post("/recuperi", &[("modulo", &theirs), ("richiesta", &id), ("risposta", "rifiuta")]).await;
    assert_eq!(page.status, 409);
    assert_eq!(inside.get("/recuperi").await.hidden("richiesta"), id);
    let page = inside.post("/recuperi", &[("modulo", &token), ("richiesta", &id), ("risposta", "rifiuta")]).await;
    assert_eq!(page.status, 303);
    assert!(inside.get("/recuperi").await.has("Nessuno sta chiedendo"));
    // Whoever asked hears nothing of it.
    let heard = outside.get("/problemi-accesso").await;
    assert_eq!((heard.status, heard.text), (200, asked.text.clone()));
    let code = code_for(house, MARIA).await;
    assert_eq!(outside.step(&asked, "ufficio", &[("codice", &code)]).await.status, 422);
}

async fn nobody_learns_in_a_browser_who_has_an_account(house: &House) {
    let nobody = known(house).await;
    let code = code_for(house, MARIA).await;
    let mut answers: Vec<(String, Vec<(u16, String)>)> = Vec::new();
    for who in [PAOLO, "nobody.at.all", nobody.as_str(), whole("VRDLCU80A01F205").as_str()] {
        let mut browser = Browser::of(house);
        let page = browser.recover(who).await;
        let (mark, number) = (page.hidden("recupero"), page.number());
        let mut heard = vec![page.clone(), browser.step(&page, "password", &new_password(SENTENCE)).await];
        for _ in 0..5 {
            heard.push(browser.step(&page, "email", &[("cifre", "12345678")]).await);
        }
        heard.push(browser.get("/problemi-accesso").await);
        heard.push(browser.step(&page, "ufficio", &[("codice", &code)]).await);
        let same = |page: Page| {
            let number = format!("id=\"numero\">{number}<");
            (page.status, page.text.replace(&mark, "MARK").replace(&number, "NUMBER"))
        };
        answers.push((who.to_owned(), heard.into_iter().map(same).collect()));
    }
    for (who, heard) in &answers {
        assert_eq!(*heard, answers[0].1, "{who}");
    }
    let statuses: Vec<u16> = answers[0].1.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 409, 422, 422, 422, 422, 422, 200, 303], "five errors are the end of it");
}

async fn going_back_and_other_tabs_do_no_harm(house: &House) {
    let mut browser = Browser::of(house);
    let old = browser.recover(PAOLO).await;
    let new = browser.recover(MARIA).await;
    let code = code_for(house, MARIA).await;
    // An old tab proves nothing to the newer recovery, and uses up no try.
    let page = browser.step(&old, "ufficio", &[("codice", &other_code(&code))]).await;
    assert!(page.status == 409 && page.has("un altro recupero"), "{}", page.text);
    assert_eq!(page.hidden("recupero"), new.hidden("recupero"));
    assert_eq!(house.number("SELECT CAST(SUM(tries) AS BIGINT) FROM recovery").await, 0);
    // The same proof twice, from two tabs, is one.
    for _ in 0..2 {
        assert_eq!(browser.step(&new, "ufficio", &[("codice", &code)]).await.status, 303);
    }
    let mut inside = Browser::of(house);
    inside.sign_in(MARIA, PASSWORD).await;
    let page = inside.get("/recuperi").await;
    let (token, id) = (page.hidden("modulo"), page.hidden("richiesta"));
    let fields = [("modulo", token.as_str()), ("richiesta", &id), ("risposta", "conferma"), ("numero", &new.number())];
    assert_eq!(inside.post("/recuperi", &fields).await.status, 303);
    let choose = browser.get("/problemi-accesso").await;
    // The answer is lost on the way, and the browser sends the form again.
    let mut lost = browser.clone();
    assert_eq!(lost.step(&choose, "password", &new_password(SENTENCE)).await.status, 200);
    let again = browser.step(&choose, "password", &new_password(SENTENCE)).await;
    assert!(again.status == 200 && browser.get("").await.has("Giulia"), "{}", again.text);
    // Reloaded after that: nothing to do any more, and home is where one goes on.
    let reloaded = browser.step(&choose, "password", &new_password(OTHER)).await;
    assert_eq!((reloaded.status, reloaded.place.as_str()), (303, path("").as_str()));
    assert!(browser.get("/problemi-accesso").await.has("name=\"chi\""), "the way back leads to the beginning");
    assert!(house.try_sign_in(TOWN, MARIA, SENTENCE).await.is_ok());
    assert_eq!(reason(house.try_sign_in(TOWN, MARIA, OTHER).await), Reason::WrongCredentials);
    // Given up: the cookie goes, and the page begins anew.
    let mut browser = Browser::of(house);
    house.advance(DAY);
    let page = browser.recover(PAOLO).await;
    assert_eq!(browser.step(&page, "daccapo", &[]).await.status, 303);
    assert!(browser.jar.is_empty() && browser.get("/problemi-accesso").await.has("name=\"chi\""));
    let page = browser.step(&page, "ufficio", &[("codice", &code)]).await;
    assert_eq!((page.status, page.place.as_str()), (303, path("/problemi-accesso").as_str()));
}

async fn a_recovery_in_a_browser_has_its_end(house: &House) {
    let mut browser = Browser::of(house);
    let empty = browser.post("/problemi-accesso", &[("passo", "inizio"), ("chi", " ")]).await;
    assert!(empty.status == 422 && empty.is_wrong("chi"));
    let page = browser.recover(MARIA).await;
    let code = code_for(house, MARIA).await;
    house.advance(DAY);
    let mut other_tab = browser.clone();
    let late = browser.step(&page, "ufficio", &[("codice", &code)]).await;
    assert!(late.status == 422 && late.has("scaduto") && late.has("name=\"chi\""), "{}", late.text);
    let reloaded = other_tab.get("/problemi-accesso").await;
    assert!(reloaded.status == 200 && reloaded.has("scaduto") && reloaded.has("name=\"chi\""));
    assert!(browser.jar.is_empty() && other_tab.jar.is_empty(), "the cookie is gone");
    // A cookie that no server of ours made is none.
    let own = path("/problemi-accesso");
    other_tab.jar.insert(("borsellino-recupero".to_owned(), own), "AAAA".to_owned());
    assert!(other_tab.get("/problemi-accesso").await.has("name=\"chi\""));
    let mut last = Page { status: 0, place: String::new(), text: String::new(), cookies: Vec::new() };
    for n in 0..8 {
        let who = if n % 2 == 0 { PAOLO.to_owned() } else { whole("RSSPLA82H14F205").as_str().to_owned() };
        last = browser.post("/problemi-accesso", &[("passo", "inizio"), ("chi", &who)]).await;
    }
    assert!(
        last.status == 429 && last.has("Troppi tentativi") && last.has("name=\"chi\" value=\"RSS"),
        "{}",
        last.text
    );
}

async fn other_sites_get_nobody_in(house: &House) {
    let fiscal_code = known(house).await;
    let code = code_for(house, &fiscal_code).await;
    let mut inside = Browser::of(house);
    inside.sign_in(MARIA, PASSWORD).await;
    let mut browser = Browser::of(house);
    let page = browser.recover(MARIA).await;
    let mark = page.hidden("recupero");
    let visit = inside.get("/recuperi").await;
    let (token, id) = (visit.hidden("modulo"), visit.hidden("richiesta"));
    let register = form(&fiscal_code, &code, "nonna.anna", SENTENCE);
    let start = [("passo", "inizio"), ("chi", PAOLO)];
    let prove = [("passo", "ufficio"), ("recupero", mark.as_str()), ("codice", &other_code(&code))];
    let deny = [("modulo", token.as_str()), ("richiesta", &id), ("risposta", "rifiuta")];
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ] {
        assert_eq!(browser.post_as("/registrati", &register, headers).await.status, 403, "{headers:?}");
        assert_eq!(browser.post_as("/problemi-accesso", &start, headers).await.status, 403, "{headers:?}");
        assert_eq!(browser.post_as("/problemi-accesso", &prove, headers).await.status, 403, "{headers:?}");
        assert_eq!(inside.post_as("/recuperi", &deny, headers).await.status, 403, "{headers:?}");
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM guardian WHERE username = 'nonna.anna'").await, 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery WHERE tries = 0 AND ended_at_ms IS NULL").await, 1);
    assert_eq!(house.number("SELECT COUNT(*) FROM recovery").await, 1);
    // Old browsers say where a form comes from by its origin.
    let origin = house.at.web.clone();
    assert_eq!(browser.post_as("/registrati", &register, &[("origin", &origin)]).await.status, 303);
}

async fn parents_see_what_is_known_of_them(house: &House) {
    let mut browser = Browser::of(house);
    let door = browser.get("/profilo").await;
    assert_eq!((door.status, door.place.starts_with(&path("/accesso"))), (303, true));
    browser.sign_in(MARIA, PASSWORD).await;
    house.execute(&format!("UPDATE guardian SET email = NULL WHERE username = '{MARIA}'")).await;
    assert!(browser.get("/profilo").await.has("nessuno noto all&#39;ufficio"));
    house.execute(&format!("UPDATE guardian SET email = '{ADDRESS}' WHERE username = '{MARIA}'")).await;
    assert!(browser.get("").await.has(&format!("href=\"{}\">Modifica il tuo profilo", path("/profilo"))));
    for (language, title) in [("it", "Modifica il tuo profilo"), ("en", "Your details"), ("de", "Ihre Angaben")] {
        browser.language = language;
        let page = browser.get("/profilo").await;
        assert!(page.has(&format!("<h1>{title}</h1>")), "{}", page.text);
        assert!(page.has("Maria Bianchi") && page.has(MARIA) && page.has("m…@famiglia.example"), "{}", page.text);
        assert!(!page.has(ADDRESS), "an address is not shown whole");
        for to in ["/dispositivi", "/password", "/recuperi"] {
            assert!(page.has(&format!("href=\"{}\"", path(to))), "{to}");
        }
    }
    let chosen = browser.post("/lingua", &[("poi", &path("/profilo")), ("lingua", "it")]).await;
    assert_eq!(chosen.place, path("/profilo"));
    assert!(browser.get("/profilo").await.has("<h1>Modifica il tuo profilo</h1>"));
}
