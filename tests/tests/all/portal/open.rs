//! A notice without signing in: who holds it reads, prints and pays it, and has a receipt that names nobody; who does not learns
//! nothing, not even whether there is one.

use std::net::IpAddr;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::notice::NoticeNumber;
use borsellino_proto::v1;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::guardians::change_address;
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::open_notices::{OpenRefusal, Ticket, Typed, find};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, TOWN, UNION, pdf_text};

borsellino_tests::in_both_houses! {
    who_holds_a_notice_reads_prints_and_pays_it;
    a_wrong_code_and_an_unknown_notice_are_answered_alike;
    wrong_tries_wait_and_keep_nobody_else_waiting;
    a_ticket_is_for_one_notice_for_a_while;
    how_it_stands_is_said_honestly;
    a_receipt_says_no_name;
    what_has_no_form_costs_nothing;
    another_site_asks_nothing;
    the_first_page_has_two_panels;
}

/// What a browser got.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Page {
    async fn of(answer: reqwest::Response) -> Self {
        let status = answer.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
        let mut headers: Vec<_> =
            answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        Self { status, headers, body: answer.bytes().await.expect("a body").to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn cookies(&self) -> Vec<&str> {
        let set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        set.map(|(_, value)| value.split(';').next().unwrap_or_default()).collect()
    }

    #[track_caller]
    fn ticket(&self) -> String {
        let text = self.text();
        let (_, rest) = text.split_once("name=\"biglietto\" value=\"").expect("a ticket");
        rest.split('"').next().expect("its end").to_owned()
    }

    #[track_caller]
    fn says(&self, status: u16, words: &[&str]) {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    #[track_caller]
    fn says_not(&self, words: &[&str]) {
        says_not(&self.text(), words);
    }
}

#[track_caller]
fn says_not(text: &str, words: &[&str]) {
    for word in words {
        assert!(!text.to_uppercase().contains(&word.to_uppercase()), "{word} in {text}");
    }
}

/// As a form is sent.
fn encoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let escape = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(escape).collect::<String>()
    };
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn address(house: &House, creditor: &str, path: &str) -> String {
    format!("{}/comune/{creditor}{path}", house.at.web)
}

async fn get(house: &House, path: &str, cookies: &[&str]) -> Page {
    let call = house.http.get(address(house, TOWN, path)).header("cookie", cookies.join("; "));
    Page::of(call.send().await.expect("an answer")).await
}

async fn post_to(house: &House, (creditor, path): (&str, &str), fields: &[(&str, &str)]) -> Page {
    let call = house.http.post(address(house, creditor, path)).header("sec-fetch-site", "same-origin");
    let call = call.header("content-type", "application/x-www-form-urlencoded").body(encoded(fields));
    Page::of(call.send().await.expect("an answer")).await
}

async fn post(house: &House, path: &str, fields: &[(&str, &str)]) -> Page {
    post_to(house, (TOWN, path), fields).await
}

async fn ask(house: &House, number: &str, code: &str) -> Page {
    post(house, "/avvisi", &[("codice", number), ("fiscale", code)]).await
}

async fn ask_receipt(house: &House, number: &str, code: &str, format: &str) -> Page {
    post(house, "/ricevuta-telematica", &[("codice", number), ("fiscale", code), ("formato", format)]).await
}

fn town() -> CreditorCode {
    CreditorCode::from_digits(TOWN).expect("eleven digits")
}

async fn code_of(house: &House, username: &str) -> String {
    let (creditor, name) = (town(), username.to_owned());
    let read = house.app.store.read(move |tx| Box::pin(async move { tx.debtor(&creditor, &name).await })).await;
    read.expect("a readable database").expect("somebody").fiscal_code
}

/// Maria's waiting top-up, its notice's number, and her codice fiscale.
async fn waiting(house: &House) -> (v1::Payment, String, String) {
    let payment = house.phone(MARIA).await.home().await.expect("home").payments.first().cloned().expect("one");
    let number = payment.notice.clone().expect("its notice").number;
    (payment, number, code_of(house, MARIA).await)
}

/// A number of the town that nobody issued.
fn unknown() -> String {
    NoticeNumber::issue("02".parse().expect("a code"), [3; 8]).to_string()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn who_holds_a_notice_reads_prints_and_pays_it(house: &House) {
    let (_, number, code) = waiting(house).await;
    let act = Act::new(town(), house.app.now(), ("checked".to_owned(), "A. Verdi".to_owned())).expect("an act");
    let home = Some("Via dei Tigli 7, 39100 Bolzano (BZ)".to_owned());
    change_address(&house.app.store, act, (MARIA.to_owned(), home)).await.expect("an address");
    let hidden = ["Maria", "Bianchi", "Giulia", "Tigli", code.as_str()];

    get(house, "/avvisi", &[]).await.says(200, &["Codice Avviso", "Codice Fiscale"]);
    // Typed as it is printed, and in lower case.
    let grouped = NoticeNumber::parse(&number).expect("a number").grouped();
    let summary = ask(house, &format!(" {grouped} "), &code.to_lowercase()).await;
    summary
        .says(200, &["M*** B***", "20,00", &number[1..], "Comune di Valdorso", "PAGA", "STAMPA AVVISO", "Da pagare"]);
    summary.says_not(&hidden);
    assert_eq!(summary.header("cache-control"), "no-store");
    let ticket = summary.ticket();
    says_not(&ticket, &[&number, &code]);

    let read = post(house, "/avvisi", &[("biglietto", &ticket)]).await;
    assert_eq!(read.text().replace(&read.ticket(), &ticket), summary.text(), "the same without typing again");

    let paper = post(house, "/avvisi/stampa", &[("biglietto", &ticket)]).await;
    assert_eq!((paper.status, paper.header("content-type")), (200, "application/pdf"));
    let words = pdf_text(&paper.body);
    assert!(words.contains(&grouped) && words.contains("20,00"), "{words}");
    says_not(&words, &hidden);

    let leaving = post(house, "/avvisi/paga", &[("biglietto", &ticket)]).await;
    leaving.says(200, &["20,00"]);
    let page = leaving.header("refresh").strip_prefix("0; url=").expect("a page").to_owned();
    assert_eq!(
        post(house, "/avvisi/paga", &[("biglietto", &ticket)]).await.header("refresh"),
        leaving.header("refresh")
    );
    // The browser comes back with what it was given.
    let cookies = leaving.cookies();
    let held: Vec<_> = cookies.iter().filter(|cookie| cookie.starts_with("borsellino-avviso=")).collect();
    assert!(held.iter().all(|cookie| !cookie.contains(&number)) && held.len() == 1, "{cookies:?}");
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let back = client.tls_certs_only([]).build().expect("a client").get(format!("{}/pagamento/ok", house.at.web));
    let back = Page::of(back.header("cookie", cookies.join("; ")).send().await.expect("an answer")).await;
    let outcome = format!("/comune/{TOWN}/avvisi/esito");
    assert_eq!((back.status, back.header("location")), (303, outcome.as_str()));
    let seen = get(house, "/avvisi/esito", &cookies).await;
    seen.says(200, &["In corso", &page, "20,00"]);
    house.pay_page(&page).await;
    let seen = get(house, "/avvisi/esito", &cookies).await;
    seen.says(200, &["Operazione conclusa: pagato"]);
    seen.says_not(&hidden);
    seen.says_not(&["M***", &page]);
    get(house, "/avvisi/esito", &[]).await.says(410, &["scaduta"]);
}

/// What two answers have to have in common: everything, but the number that was typed.
fn alike(page: &Page, number: &str) -> Page {
    let grouped = NoticeNumber::parse(number).expect("a number").grouped();
    let text = page.text();
    assert_eq!(text.matches(&grouped).count(), 1, "the number stands there again");
    Page { body: text.replace(&grouped, "?").into_bytes(), ..page.clone() }
}

async fn a_wrong_code_and_an_unknown_notice_are_answered_alike(house: &House) {
    let (_, number, code) = waiting(house).await;
    let other = code_of(house, AMINA).await;
    let unknown = unknown();
    let tries = "SELECT CAST(COALESCE(SUM(failures), 0) AS BIGINT) FROM sign_in_failure";
    let rows = house.rows().await;
    let mut counted = vec![house.number(tries).await];
    let wrong = ask(house, &number, &other).await;
    counted.push(house.number(tries).await);
    let nobody = ask(house, &unknown, &code).await;
    counted.push(house.number(tries).await);
    wrong.says(422, &["non corrispondono a nessun avviso"]);
    wrong.says_not(&[&code, &other, "M***"]);
    assert_eq!(alike(&wrong, &number), alike(&nobody, &unknown));
    assert_eq!(counted, [0, 3, 6], "both count alike");

    // So does asking for a receipt, of a notice that is paid.
    assert!(house.deliver(&Receipt::new(&number, 2_000)).await.is_ok());
    for format in ["pdf", "xml"] {
        let wrong = ask_receipt(house, &number, &other, format).await;
        let nobody = ask_receipt(house, &unknown, &code, format).await;
        wrong.says(422, &["non corrispondono a nessun avviso"]);
        assert_eq!(alike(&wrong, &number), alike(&nobody, &unknown));
    }
    // And that it is paid is said only where both fit.
    house.advance(seconds(60));
    let [wrong, nobody] = [ask(house, &number, &other).await, ask(house, &unknown, &code).await];
    wrong.says(422, &[]);
    wrong.says_not(&["pagato"]);
    assert_eq!(alike(&wrong, &number), alike(&nobody, &unknown));

    // A notice is its creditor's: elsewhere it is none.
    house.advance(seconds(300));
    let elsewhere = post_to(house, (UNION, "/avvisi"), &[("codice", &number), ("fiscale", &code)]).await;
    let nobody = post_to(house, (UNION, "/avvisi"), &[("codice", &unknown), ("fiscale", &code)]).await;
    elsewhere.says(422, &[]);
    assert_eq!(alike(&elsewhere, &number), alike(&nobody, &unknown));
    let fields = [("codice", number.as_str()), ("fiscale", code.as_str()), ("formato", "xml")];
    post_to(house, (UNION, "/ricevuta-telematica"), &fields).await.says(422, &[]);
    post_to(house, ("99900099999", "/avvisi"), &fields).await.says(404, &[]);
    ask(house, &number, &code).await.says(200, &["pagato"]);
    let changed = house.rows().await;
    assert_ne!(changed, rows, "the receipt that was delivered");
}

async fn wrong_tries_wait_and_keep_nobody_else_waiting(house: &House) {
    let (_, number, code) = waiting(house).await;
    let (other, unknown) = (code_of(house, AMINA).await, unknown());
    for number in [&number, &unknown] {
        for _ in 0..3 {
            ask(house, number, &other).await.says(422, &[]);
        }
    }
    let [known, nobody] = [ask(house, &number, &other).await, ask(house, &unknown, &other).await];
    known.says(429, &[]);
    assert_eq!(known.header("retry-after"), "1");
    assert_eq!(alike(&known, &number), alike(&nobody, &unknown));
    // The right code waits too, and asking for a receipt is the same door.
    ask(house, &number, &code).await.says(429, &[]);
    ask_receipt(house, &number, &code, "pdf").await.says(429, &[]);
    house.advance(seconds(1));
    for wait in [2, 4, 8, 16, 32, 64, 120, 120] {
        ask(house, &number, &other).await.says(422, &[]);
        let later = ask(house, &number, &other).await;
        later.says(429, &[]);
        assert_eq!(later.header("retry-after"), wait.to_string());
        house.advance(seconds(wait));
    }
    ask(house, &number, &other).await.says(422, &[]);

    // The holder is elsewhere: what somebody else did from one network keeps them waiting half a minute at the most.
    let listing = house.app.directory.listing();
    let town = listing.creditor(TOWN).expect("the town");
    let typed = |code: &str| Typed::parse(&number, code).expect("its form");
    let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
    let wait = match find(&house.app, town, &typed(&code), from(1)).await {
        Ok(_) => 0,
        Err(Stop::Refused(OpenRefusal::TryLater(millis))) => millis,
        Err(other) => panic!("{other:?}"),
    };
    assert!((0..=30_000).contains(&wait), "{wait}");
    house.advance(seconds(30));
    // Meanwhile the one who guesses is kept out, and counts for nobody else.
    for _ in 0..20 {
        ask(house, &number, &other).await.says(429, &[]);
    }
    let (notice, _) = find(&house.app, town, &typed(&code), from(1)).await.expect("the holder");
    assert_eq!(notice.debtor, "M*** B***");
    // Guesses from many networks at once wait for each other.
    let mut late = 0;
    for last in 10..40 {
        match find(&house.app, town, &typed(&other), from(last)).await {
            Err(Stop::Refused(OpenRefusal::TryLater(_))) => late += 1,
            Err(Stop::Refused(OpenRefusal::NotTogether)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(late >= 28, "{late}");
    house.advance(seconds(30));
    find(&house.app, town, &typed(&code), from(1)).await.expect("the holder again");
    // An hour later it is all forgotten.
    house.advance(seconds(3_601));
    ask(house, &number, &code).await.says(200, &[]);
}

async fn a_ticket_is_for_one_notice_for_a_while(house: &House) {
    let (_, number, code) = waiting(house).await;
    let ticket = ask(house, &number, &code).await.ticket();
    let listing = house.app.directory.listing();
    let sealed = |kind: Ticket, creditor: &str| {
        let creditor = listing.creditor(creditor).expect("a creditor");
        kind.seal(&house.app, creditor, NoticeNumber::parse(&number).expect("a number")).expect("a ticket")
    };
    let flipped = |at: usize| {
        let mut text = ticket.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).expect("text")
    };
    let rows = house.rows().await;
    let over = post(house, "/avvisi", &[("biglietto", "x")]).await;
    over.says(410, &["scaduta"]);
    let of_outcome = sealed(Ticket::Outcome, TOWN);
    let bad = [
        flipped(0),
        flipped(20),
        flipped(ticket.len() / 2),
        ticket[..ticket.len() - 4].to_owned(),
        format!("{ticket}AAAA"),
        sealed(Ticket::Holder, UNION),
        of_outcome.clone(),
        "A".repeat(10_000),
        "../../x".to_owned(),
        number.clone(),
    ];
    for bad in &bad {
        let fields = [("biglietto", bad.as_str())];
        for path in ["/avvisi", "/avvisi/stampa", "/avvisi/paga"] {
            let answer = post(house, path, &fields).await;
            answer.says(410, &["scaduta"]);
            let [answer, over] = [&answer, &over].map(|page| page.text().replace(path, "").replace("/avvisi", ""));
            assert_eq!(answer, over, "{path}");
        }
    }
    for bad in bad.iter().filter(|bad| **bad != of_outcome) {
        get(house, "/avvisi/esito", &[&format!("borsellino-avviso={bad}")]).await.says(410, &["scaduta"]);
    }
    assert_eq!(house.rows().await, rows, "nothing was opened");
    // A holder's ticket in the cookie opens nothing, one to see the outcome does.
    get(house, "/avvisi/esito", &[&format!("borsellino-avviso={ticket}")]).await.says(410, &[]);
    let outcome = format!("borsellino-avviso={of_outcome}");
    get(house, "/avvisi/esito", &[&outcome]).await.says(200, &["Da pagare"]);

    house.advance(seconds(20 * 60 - 1));
    post(house, "/avvisi", &[("biglietto", &ticket)]).await.says(200, &["M*** B***"]);
    house.advance(seconds(1));
    for path in ["/avvisi", "/avvisi/stampa", "/avvisi/paga"] {
        post(house, path, &[("biglietto", &ticket)]).await.says(410, &["scaduta"]);
    }
    get(house, "/avvisi/esito", &[&outcome]).await.says(200, &["Da pagare"]);
    house.advance(seconds(40 * 60));
    get(house, "/avvisi/esito", &[&outcome]).await.says(410, &["scaduta"]);
}

async fn how_it_stands_is_said_honestly(house: &House) {
    let (_, number, code) = waiting(house).await;
    let ticket = ask(house, &number, &code).await.ticket();
    let fields = [("biglietto", ticket.as_str())];
    // In progress.
    let leaving = post(house, "/avvisi/paga", &fields).await;
    leaving.says(200, &[]);
    ask(house, &number, &code).await.says(200, &["In corso", "Se hai già pagato non pagare di nuovo", "PAGA"]);
    // Withdrawn meanwhile.
    let by_number = |change: &str| format!("UPDATE notice SET {change} WHERE number = '{number}'");
    house.execute(&by_number("state = 'cancelled'")).await;
    let gone = ask(house, &number, &code).await;
    gone.says(200, &["Annullato dal Comune", "M*** B***"]);
    gone.says_not(&["STAMPA AVVISO", "/avvisi/paga"]);
    let refused = post(house, "/avvisi/paga", &fields).await;
    refused.says(409, &["non c&#39;è nulla da pagare"]);
    assert_eq!(refused.header("refresh"), "");
    post(house, "/avvisi/stampa", &fields).await.says(409, &[]);
    // Expired.
    let now = house.now();
    house.execute(&by_number(&format!("state = 'open', expires_at_ms = {now}"))).await;
    let gone = ask(house, &number, &code).await;
    gone.says(200, &["Scaduto"]);
    gone.says_not(&["STAMPA AVVISO"]);
    post(house, "/avvisi/paga", &fields).await.says(409, &[]);
    // Open again, and paid.
    house.execute(&by_number("expires_at_ms = NULL")).await;
    assert!(house.deliver(&Receipt::new(&number, 2_000)).await.is_ok());
    let paid = ask(house, &number, &code).await;
    paid.says(200, &["Operazione conclusa: pagato", "Recupera Ricevuta Telematica"]);
    paid.says_not(&["STAMPA AVVISO"]);
    post(house, "/avvisi/paga", &fields).await.says(409, &[]);

    // A bill of Maria's, in a page together with another: neither is opened a second time.
    let phone = house.phone(MARIA).await;
    let bills: Vec<_> = phone.home().await.expect("home").bills;
    let numbers: Vec<_> = bills.iter().filter_map(|bill| Some(bill.notice.as_ref()?.number.as_str())).collect();
    let ticket = ask(house, numbers[0], &code).await.ticket();
    phone.open_cart(&numbers[..2]).await.expect("a page");
    post(house, "/avvisi/paga", &[("biglietto", &ticket)]).await.says(409, &["insieme ad altro"]);
    // With Checkout down one can still print it.
    house.advance(seconds(31 * 60));
    house.checkout.close();
    let ticket = ask(house, numbers[0], &code).await.ticket();
    let down = post(house, "/avvisi/paga", &[("biglietto", &ticket)]).await;
    down.says(503, &["non risponde", "STAMPA AVVISO"]);
    house.checkout.open();
    let text = pdf_text(&post(house, "/avvisi/stampa", &[("biglietto", &ticket)]).await.body);
    assert!(text.contains(&NoticeNumber::parse(numbers[0]).expect("a number").grouped()), "{text}");
    says_not(&text, &["Maria", "Bianchi", &code]);
}

async fn a_receipt_says_no_name(house: &House) {
    let (_, number, code) = waiting(house).await;
    let none = ask_receipt(house, &number, &code, "pdf").await;
    none.says(409, &["nessuna ricevuta"]);
    // Another body's notice under the same digits, part of which was for the town: not this notice.
    let foreign = Receipt { issuer: "99900050019".to_owned(), ..Receipt::new(&number, 4_321) };
    assert!(house.deliver(&foreign).await.is_ok());
    ask_receipt(house, &number, &code, "xml").await.says(409, &["nessuna ricevuta"]);

    let payer = "<payer><uniqueIdentifier><entityUniqueIdentifierType>F</entityUniqueIdentifierType>\
        <entityUniqueIdentifierValue>NREPLA80A01F205X</entityUniqueIdentifierValue></uniqueIdentifier>\
        <fullName>Paola Neri</fullName><streetName>Via dei Tigli</streetName></payer>";
    let tail = |at: &str| {
        format!("{payer}<paymentMethod>cash</paymentMethod><fee>0.50</fee><paymentDateTime>{at}</paymentDateTime>")
    };
    let receipt = Receipt { tail: tail("2026-11-20T10:12:00"), ..Receipt::new(&number, 2_000) };
    assert!(house.deliver(&receipt).await.is_ok());
    let hidden = [
        "Maria", "Bianchi", "Giulia", "Verdi", "Paola", "Neri", "Tigli", "VRDGLI85M52F205X", "NREPLA80A01F205X",
        "Ricarica", &code, &receipt.id,
    ];
    let xml = ask_receipt(house, &number, &code, "xml").await;
    assert_eq!((xml.status, xml.header("content-type")), (200, "application/xml"));
    assert_eq!(xml.header("content-disposition"), format!("attachment; filename=\"ricevuta-{}.xml\"", &number[1..]));
    let lines: Vec<String> = xml.text().lines().map(|line| line.trim().to_owned()).collect();
    let expected = [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(),
        "<ricevuta>".to_owned(),
        format!("<codiceFiscaleEnte>{TOWN}</codiceFiscaleEnte>"),
        "<ente>Comune di Valdorso</ente>".to_owned(),
        format!("<iuv>{}</iuv>", &number[1..]),
        "<pagamento>".to_owned(),
        "<importo>20.00</importo>".to_owned(),
        "<data>2026-11-20</data>".to_owned(),
        "<psp>Banca di Prova</psp>".to_owned(),
        "</pagamento>".to_owned(),
        "</ricevuta>".to_owned(),
    ];
    assert_eq!(lines, expected);
    let pdf = ask_receipt(house, &number, &code, "pdf").await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"));
    let text = pdf_text(&pdf.body);
    for wanted in ["20,00", "20/11/2026", &number[1..], "Banca di Prova", "Comune di Valdorso", TOWN] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    says_not(&text, &hidden);
    let raw = String::from_utf8_lossy(&pdf.body);
    says_not(&raw, &hidden);
    // Paid twice: both payments are there.
    let second = Receipt { tail: tail("2026-11-21T09:00:00"), ..Receipt::new(&number, 2_000) };
    assert!(house.deliver(&second).await.is_ok());
    let xml = ask_receipt(house, &number, &code, "xml").await.text();
    assert_eq!((xml.matches("<pagamento>").count(), xml.matches("2026-11-21").count()), (2, 1), "{xml}");
    says_not(&xml, &hidden);
    // This house sends no e-mail.
    ask_receipt(house, &number, &code, "email").await.says(409, &[]);
    ask_receipt(house, &number, &code, "docx").await.says(422, &["Scegli il formato"]);
}

async fn what_has_no_form_costs_nothing(house: &House) {
    let (_, number, code) = waiting(house).await;
    let mut mistyped = number.clone();
    let last = if mistyped.ends_with('0') { "1" } else { "0" };
    mistyped.replace_range(17.., last);
    let long = "9".repeat(5_000);
    for (number, code, words) in [
        ("", "", "18 cifre"),
        (mistyped.as_str(), code.as_str(), "18 cifre"),
        ("301000000000004286", &code, "18 cifre"),
        ("<script>alert(1)</script>", &code, "18 cifre"),
        (&long, &long, "18 cifre"),
        ("\0\u{202e}\u{feff}", "x", "18 cifre"),
        (&number, "", "16 lettere"),
        (&number, "ANONIMO", "16 lettere"),
        (&number, "RSSMRA80A01H50\u{c8}", "16 lettere"),
        (&number, &long, "16 lettere"),
        (&number, "' OR '1'='1' -- x", "16 lettere"),
    ] {
        for path in ["/avvisi", "/ricevuta-telematica"] {
            let answer = post(house, path, &[("codice", number), ("fiscale", code), ("formato", "pdf")]).await;
            answer.says(422, &[words]);
            answer.says_not(&["<script>alert"]);
            assert!(answer.body.len() < 20_000, "{}", answer.body.len());
            if code.len() > 3 {
                answer.says_not(&[&format!("value=\"{code}")]);
            }
        }
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM sign_in_failure WHERE failures > 0").await, 0);
    let huge = "9".repeat(80 << 10);
    ask(house, &huge, &code).await.says(413, &[]);
    for path in ["/avvisi", "/ricevuta-telematica", "/avvisi/stampa", "/avvisi/paga"] {
        let call = house.http.post(address(house, TOWN, path)).header("sec-fetch-site", "same-origin");
        let answer = call.header("content-type", "application/json").body(vec![0xff, 0xfe, b'&', b'=']);
        let answer = Page::of(answer.send().await.expect("an answer")).await;
        assert!(matches!(answer.status, 410 | 422), "{path}: {answer:?}");
    }
    // By address one comes to the beginning.
    for path in ["/avvisi/stampa", "/avvisi/paga"] {
        get(house, path, &[]).await.says(200, &["Codice Avviso"]);
    }
}

async fn another_site_asks_nothing(house: &House) {
    let (_, number, code) = waiting(house).await;
    let ticket = ask(house, &number, &code).await.ticket();
    let rows = house.rows().await;
    let body = encoded(&[("codice", &number), ("fiscale", &code), ("biglietto", &ticket), ("formato", "xml")]);
    for path in ["/avvisi", "/avvisi/stampa", "/avvisi/paga", "/ricevuta-telematica"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "https://altrove.example"),
            ("origin", "null"),
            ("referer", "https://altrove.example/"),
        ] {
            let call = house.http.post(address(house, TOWN, path)).header(name, value);
            let call = call.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
            let answer = Page::of(call.send().await.expect("an answer")).await;
            answer.says(403, &["non arriva da una pagina del portale"]);
            answer.says_not(&["M***", &number]);
        }
    }
    assert_eq!(house.rows().await, rows);
    // By the name of this server it is ours, where a browser says no more.
    let call = house.http.post(address(house, TOWN, "/avvisi")).header("origin", house.at.web.as_str());
    let call = call.header("content-type", "application/x-www-form-urlencoded").body(body);
    Page::of(call.send().await.expect("an answer")).await.says(200, &["M***"]);
}

async fn the_first_page_has_two_panels(house: &House) {
    let first = get(house, "/accesso", &[]).await;
    first.says(200, &["Pagamento con Avviso", "Recupera Ricevuta Telematica", "href=\"/comune/99900010010/avvisi\""]);
    let text = first.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
    assert!(at("AREA RISERVATA") < at("name=\"password\""), "the form is in its panel");
    assert!(at("name=\"password\"") < at("SERVIZI SENZA AUTENTICAZIONE"), "and comes first");
    for (language, words) in [("lingua=en", "Notice code"), ("lingua=de", "Code der Mitteilung")] {
        get(house, "/avvisi", &[language]).await.says(200, &[words]);
    }
}
