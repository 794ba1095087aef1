//! A notice by e-mail, on request; and the link under which somebody else pays it.

use std::time::Duration;

use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_proto::v1::PayBy;
use borsellino_server::auth::token::Identity;
use borsellino_server::mail::AddressError;
use borsellino_server::usecases::post::notice::{MOST, WINDOW_MILLIS};
use borsellino_server::usecases::post::{PostRefusal, SentNotice, send_notice};
use borsellino_server::usecases::{App, Stop};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, Phone, wallet};
use borsellino_tests::smtp::{At, Fault, Smtp};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    HERS, HIS, OUTSIDE, app, identity, lives_at, outcomes, said, says, says_not, sender, settled, subject, until,
};

borsellino_tests::in_both_houses! {
    to_oneself_goes_the_notice;
    to_somebody_else_goes_a_link_and_no_name;
    why_none_is_sent;
    five_a_day_however_they_are_asked_for;
    a_link_pays_without_signing_in;
    a_link_that_is_none_tells_nothing;
    a_link_in_each_state;
    a_letter_that_reaches_nobody_opens_nothing;
}

const AUNT: &str = "zia.pina@posta.example";

struct Asking {
    app: App,
    phone: Phone,
    who: Identity,
    notice: NoticeNumber,
}

impl Asking {
    async fn new(house: &House, smtp: &Smtp) -> Self {
        let phone = house.phone(MARIA).await;
        lives_at(house, MARIA, HERS).await;
        let notice = phone.home().await.expect("home").payments.remove(0).notice.expect("a notice").number;
        let (who, notice) = (identity(house, &phone), NoticeNumber::parse(&notice).expect("a notice"));
        Self { app: app(house, smtp), phone, who, notice }
    }

    async fn send(&self, to: Option<&str>) -> Result<SentNotice, Stop<PostRefusal>> {
        send_notice(&self.app, self.who, self.notice, to.map(str::to_owned), Language::Italian).await
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Stop<PostRefusal>>) -> PostRefusal {
    match answer {
        Err(Stop::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn to_oneself_goes_the_notice(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    let _sender = sender(house, &smtp);
    let sent = asking.send(None).await.expect("sent");
    assert_eq!(sent, SentNotice { own: true, left: MOST - 1 });
    // Another tap at once is the same letter.
    assert_eq!(asking.send(Some(&HERS.to_uppercase())).await.expect("sent"), sent);
    let letters = until(&smtp, 1).await;
    settled(house).await;
    let letter = &letters[0];
    assert_eq!((letter["to"].clone(), subject(letter)), (json!([HERS]), "Avviso di pagamento: 20,00 €"));
    for what in ["20,00 €", &asking.notice.grouped(), "99900010010", "Comune di Valdorso"] {
        says(letter, what);
    }
    assert!(!said(letter, "text").contains("/paga#"), "whoever has an account pays there");
    let kept = "SELECT COUNT(*) FROM mailed_notice WHERE address_digest IS NULL";
    assert_eq!((house.number(kept).await, house.number("SELECT COUNT(*) FROM pay_link").await), (1, 0));
    assert_eq!(smtp.taken().len(), 1);
}

async fn to_somebody_else_goes_a_link_and_no_name(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    assert_eq!(asking.send(Some(AUNT)).await.expect("sent"), SentNotice { own: false, left: MOST - 1 });
    let sealed = "SELECT COUNT(*) FROM letter WHERE sealed IS NOT NULL";
    assert_eq!(house.number(sealed).await, 1, "until it is delivered");
    let _sender = sender(house, &smtp);
    let letters = until(&smtp, 1).await;
    settled(house).await;
    let letter = &letters[0];
    assert_eq!(letter["to"], json!([AUNT]));
    says(letter, "20,00 €");
    for name in ["Maria", "Bianchi", "Giulia", "Luca", "Rossi", HERS] {
        says_not(letter, name);
    }
    let html = said(letter, "html");
    assert_eq!((html.matches("<a ").count(), letter["enclosed"].clone()), (1, json!([])));
    assert!(html.contains(&format!("href=\"{OUTSIDE}/paga#99900010010.")));
    assert_eq!(house.number(sealed).await, 0, "deleted after delivery");
    let kept = "SELECT COUNT(*) FROM mailed_notice WHERE address_digest IS NOT NULL";
    assert_eq!(house.number(kept).await, 1, "that it was sent stays");
    // The address stands nowhere, neither in the database nor in the log.
    let text =
        if house.fresh.is_sqlite() { "quote(about) || quote(last_code) || quote(key_id)" } else { "letter::text" };
    let stands = format!("SELECT COUNT(*) FROM letter WHERE {text} LIKE '%zia.pina%'");
    assert_eq!(house.number(&stands).await, 0);
}

async fn why_none_is_sent(house: &House) {
    let smtp = Smtp::start().await;
    let mut asking = Asking::new(house, &smtp).await;
    let good = asking.notice;
    for (text, why) in [
        ("nobody", AddressError::Form),
        ("a@b.example, c@d.example", AddressError::Form),
        ("a@b.example\r\nRCPT TO:<x@y.example>", AddressError::Form),
        ("zià@posta.example", AddressError::Foreign),
    ] {
        assert_eq!(refused(asking.send(Some(text)).await), PostRefusal::AddressInvalid(why), "{text:?}");
    }
    let none = App { mailer: None, ..asking.app.clone() };
    let answer = send_notice(&none, asking.who, good, None, Language::Italian).await;
    assert_eq!(refused(answer), PostRefusal::NotConfigured);
    asking.notice = NoticeNumber::issue("02".parse().expect("a code"), [3; 8]);
    assert_eq!(refused(asking.send(None).await), PostRefusal::UnknownNotice);
    // A co-guardian does not see the other's top-up, and a stranger nothing.
    asking.notice = good;
    for who in [PAOLO, AMINA] {
        let phone = house.phone(who).await;
        let theirs = Asking { who: identity(house, &phone), phone, app: asking.app.clone(), notice: good };
        assert_eq!(refused(theirs.send(Some(AUNT)).await), PostRefusal::UnknownNotice, "{who}");
    }
    house.execute(&format!("UPDATE guardian SET email_bounced_at_ms = 1 WHERE username = '{MARIA}'")).await;
    assert_eq!(refused(asking.send(None).await), PostRefusal::AddressBounced);
    assert_eq!(refused(asking.send(Some(HERS)).await), PostRefusal::AddressBounced);
    house.execute(&format!("UPDATE guardian SET email = NULL WHERE username = '{MARIA}'")).await;
    assert_eq!(refused(asking.send(None).await), PostRefusal::NoAddress);
    assert_eq!(refused(asking.send(Some("  ")).await), PostRefusal::NoAddress);
    assert!(house.deliver(&Receipt::new(good.as_str(), 2_000)).await.is_ok());
    assert_eq!(refused(asking.send(Some(AUNT)).await), PostRefusal::NotPayable);
    asking.phone.sign_out().await.expect("signed out");
    assert!(matches!(refused(asking.send(Some(AUNT)).await), PostRefusal::Session(_)));
    for table in ["mailed_notice", "pay_link", "letter"] {
        let kind = if table == "letter" { " WHERE kind = 'notice'" } else { "" };
        assert_eq!(house.number(&format!("SELECT COUNT(*) FROM {table}{kind}")).await, 0, "{table}");
    }
}

async fn five_a_day_however_they_are_asked_for(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    let first = house.now();
    asking.send(None).await.expect("the first");
    house.advance(Duration::from_secs(3_600));
    let addresses: Vec<String> = (0..8).map(|n| format!("zia{n}@posta.example")).collect();
    let answers = join_all(addresses.iter().map(|to| asking.send(Some(to)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), MOST - 1, "together with the first five");
    let until = PostRefusal::Limit { until: borsellino_domain::time::Millis::new(first + WINDOW_MILLIS) };
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(refused(answer), until);
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM mailed_notice").await, 5);
    house.advance(Duration::from_millis(u64::try_from(WINDOW_MILLIS).expect("positive") - 3_600_000 - 1));
    assert_eq!(refused(asking.send(None).await), until);
    house.advance(Duration::from_millis(1));
    assert_eq!(asking.send(None).await.expect("free again").left, 0);
}

/// What stands behind the `#` of the letter's link.
fn token(letter: &Value) -> String {
    let text = said(letter, "text");
    let (_, rest) = text.split_once("/paga#").expect("a link");
    rest.split_whitespace().next().expect("a token").to_owned()
}

/// The status and the answer of the page's own call.
async fn ask(house: &House, path: &str, token: &str) -> (u16, Value) {
    let call = house.http.post(format!("{}/paga/{path}", house.at.web)).json(&json!({ "token": token }));
    let answer = call.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn link(smtp: &Smtp, asking: &Asking) -> String {
    let before = smtp.taken().len();
    asking.send(Some(AUNT)).await.expect("sent");
    token(&until(smtp, before + 1).await[before])
}

async fn a_link_pays_without_signing_in(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    let _sender = sender(house, &smtp);
    let token = link(&smtp, &asking).await;
    let page = house.http.get(format!("{}/paga", house.at.web)).send().await.expect("the page");
    let rules = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(rules.contains("script-src 'self'") && rules.contains("default-src 'none'"), "{rules}");
    let html = page.text().await.expect("text");
    assert!(html.contains("<noscript>") && html.contains("/paga.js"));
    let (status, seen) = ask(house, "avviso", &token).await;
    assert_eq!((status, &seen["state"], &seen["amount"]), (200, &json!("open"), &json!("20,00 €")));
    assert_eq!((&seen["code"], &seen["creditor"]), (&json!(asking.notice.grouped()), &json!("99900010010")));
    for name in ["Maria", "Bianchi", "Giulia", "Rossi"] {
        assert!(!seen.to_string().contains(name), "{seen}");
    }
    let (status, opened) = ask(house, "pagina", &token).await;
    assert_eq!((status, &opened["state"]), (200, &json!("page")));
    let url = opened["url"].as_str().expect("a page").to_owned();
    assert_eq!(ask(house, "pagina", &token).await.1["url"], json!(url), "one page for one notice");
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("busy"));
    house.pay_page(&url).await;
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("paid"));
    assert_eq!(ask(house, "pagina", &token).await, (409, json!({ "state": "notpayable" })));
    assert_eq!(house.number("SELECT COUNT(*) FROM cart WHERE notices = 1").await, 1);
}

async fn a_link_that_is_none_tells_nothing(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    let _sender = sender(house, &smtp);
    let token = link(&smtp, &asking).await;
    house.execute("UPDATE pay_link SET revoked_at_ms = 1").await;
    let unknown = (404, json!({ "state": "unknown" }));
    let other = format!("99900010010.{}", "A".repeat(22));
    let (_, secret) = token.split_once('.').expect("two parts");
    let elsewhere = format!("99900040017.{secret}");
    for text in [token.as_str(), &other, &elsewhere, "", "x", "99900010010.", &"9".repeat(500)] {
        for path in ["avviso", "pagina"] {
            assert_eq!(ask(house, path, text).await, unknown, "{text}");
        }
    }
    // A page elsewhere can't have a browser ask.
    let call = house.http.post(format!("{}/paga/avviso", house.at.web)).header("content-type", "text/plain");
    let answer = call.body(json!({ "token": token }).to_string()).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 400);
    let mut tries = 0;
    while ask(house, "avviso", &other).await.0 == 404 {
        tries += 1;
        assert!(tries < 100, "guesses are slowed");
    }
    assert_eq!(ask(house, "avviso", &other).await, (429, json!({ "state": "later" })));
    house.advance(Duration::from_secs(30));
    assert_eq!(ask(house, "avviso", &other).await, unknown);
}

async fn a_link_in_each_state(house: &House) {
    let smtp = Smtp::start().await;
    let mut asking = Asking::new(house, &smtp).await;
    let _sender = sender(house, &smtp);
    let home = asking.phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let token = link(&smtp, &asking).await;
    // Paid together with another: no second page for it.
    let more = asking.phone.top_up(&canteen, 1_000, PayBy::Notice).await.expect("a top-up").notice.expect("a notice");
    let both = asking.phone.open_cart(&[asking.notice.as_str(), &more.number]).await.expect("a page");
    assert!(!both.checkout_url.is_empty());
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("busy"));
    let (status, answer) = ask(house, "pagina", &token).await;
    assert_eq!((status, &answer["state"]), (409, &json!("inprogress")));
    house.execute(&format!("UPDATE notice SET state = 'cancelled' WHERE number = '{}'", asking.notice.as_str())).await;
    let (status, answer) = ask(house, "avviso", &token).await;
    assert_eq!((status, &answer["state"], &answer["amount"]), (200, &json!("cancelled"), &Value::Null));
    // Without Checkout the notice is there all the same.
    asking.notice = NoticeNumber::parse(&more.number).expect("a notice");
    house.advance(Duration::from_secs(3_600));
    let token = link(&smtp, &asking).await;
    house.checkout.close();
    assert_eq!(ask(house, "pagina", &token).await, (503, json!({ "state": "nopage" })));
    house.checkout.open();
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("open"));
    house.advance(Duration::from_secs(45 * 86_400));
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("expired"));
    // A month after its end there is nothing behind it any more.
    house.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(ask(house, "avviso", &token).await.1["state"], json!("unknown"));
}

async fn a_letter_that_reaches_nobody_opens_nothing(house: &House) {
    let smtp = Smtp::start().await;
    let asking = Asking::new(house, &smtp).await;
    smtp.order([(At::Rcpt, Fault::says("550 5.1.1 nobody"))]);
    asking.send(Some(AUNT)).await.expect("laid");
    let _sender = sender(house, &smtp);
    settled(house).await;
    assert_eq!(outcomes(house, "refused").await, 1);
    for (what, number) in [
        ("SELECT COUNT(*) FROM letter WHERE sealed IS NULL AND bounced_at_ms IS NOT NULL", 1),
        ("SELECT COUNT(*) FROM pay_link WHERE revoked_at_ms IS NOT NULL", 1),
        ("SELECT COUNT(*) FROM mailed_notice WHERE address_digest IS NOT NULL", 1),
        ("SELECT COUNT(*) FROM guardian WHERE email_bounced_at_ms IS NOT NULL", 0),
    ] {
        assert_eq!(house.number(what).await, number, "{what}");
    }
    // An address that is not on file and is written to after the notice was paid is not written to.
    lives_at(house, MARIA, HERS).await;
    let other = smtp.taken().len();
    smtp.order([(At::Rcpt, Fault::says("450 4.2.1 later"))]);
    house.advance(Duration::from_secs(120));
    asking.send(Some(HIS)).await.expect("laid");
    let waiting = "SELECT COUNT(*) FROM letter WHERE last_code = 'rcpt 450 4.2.1' AND outcome IS NULL";
    while house.number(waiting).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.execute(&format!("UPDATE notice SET state = 'cancelled' WHERE number = '{}'", asking.notice.as_str())).await;
    house.advance(Duration::from_secs(60));
    settled(house).await;
    assert_eq!((outcomes(house, "moot").await, smtp.taken().len()), (1, other));
}
