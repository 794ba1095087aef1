//! What a parent does: look, top up, pay what is due, follow the receipt, keep what was paid.

use std::time::Duration;

use borsellino_proto::v1::{self, PayBy};
use borsellino_tests::house::{AMINA, Browser, House, MARIA, PAOLO, SOON, TOWN, wallet};
use reqwest::Method;

borsellino_tests::in_both_houses! {
    home_says_what_is_left_and_what_is_due;
    a_top_up_with_a_notice_is_made_once;
    a_top_up_online_leads_to_pagopa_and_back;
    several_balances_are_filled_in_one_payment;
    what_was_typed_wrong_is_said_at_its_place;
    bills_are_ticked_and_paid_together;
    an_outcome_follows_the_receipt;
    what_was_paid_is_in_the_archive;
    movements_explain_themselves;
    without_pagopas_pages_there_is_still_the_notice;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

async fn home_says_what_is_left_and_what_is_due(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(BASE).await;
    assert_eq!(page.status, 200);
    for text in [
        "Giulia",
        "Luca",
        "12,15 €",
        "Saldo mensa di Giulia: 12 euro e 15 centesimi",
        "basta per 2 pasti",
        "devi 1,00 €",
        "da pagare 237,33 €",
        "da pagare 36,00 €",
        "273,33 €",
        "aggiornato oggi alle 11:00",
        "Pasto del",
    ] {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    // No tax code on a page that does not need one.
    assert!(!page.says("BNCMRA") && !page.says("RSSGLI"));
    // The other parent sees the same children, and nothing of what is only Maria's.
    let paolo = house.visitor(TOWN, PAOLO).await.get(BASE).await;
    assert!(paolo.says("12,15 €") && !paolo.says("Ricarica Mensa scolastica Giulia"), "{}", paolo.text());
    // In the parent's language.
    let english = house.browser().saying("accept-language", "en-GB,en;q=0.9");
    english.enter(TOWN, MARIA, borsellino_tests::house::PASSWORD).await;
    let page = english.get(BASE).await;
    assert!(page.says("<html lang=\"en\">") && page.says("€12.15") && page.says("you owe €1.00"), "{}", page.text());
}

/// The form of a balance's top-up.
async fn top_up(
    house: &House,
    browser: &Browser,
    child: &str,
    service: &str,
) -> (borsellino_tests::house::Form, String) {
    let phone = house.phone(MARIA).await.home().await.expect("home");
    let id = wallet(&phone, child, service).id.clone();
    let page = browser.get(&at(&format!("/ricarica?saldo={id}"))).await;
    assert_eq!(page.status, 200, "{}", page.text());
    (page.form(&at("/ricarica")), id)
}

async fn a_top_up_with_a_notice_is_made_once(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let (form, id) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let form =
        form.with(&format!("importo-{id}"), "altro").with(&format!("altro-{id}"), "25,50").with("come", "avviso");
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    // Sent twice, as an impatient finger does, and once more with the browser's back button: one top-up, one notice.
    let (first, second) = tokio::join!(maria.send(&form), maria.send(&form));
    let third = maria.send(&form).await;
    assert_eq!(first.status, 303, "{}", first.text());
    assert!(first.location() == second.location() && second.location() == third.location());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before + 1);
    let notice = maria.get(first.location()).await;
    assert!(notice.says("25,50 €") && notice.says("99900010010") && notice.says("<svg"), "{}", notice.text());
    let pdf = maria.get(&format!("{}/pdf", first.location())).await;
    assert!(pdf.bytes.starts_with(b"%PDF-") && pdf.header("cache-control") == "no-store", "{:?}", pdf.headers);
    // With the other button it is still the same one: its page is opened.
    let online = maria.send(&form.clone().with("come", "online")).await;
    assert!(online.location().ends_with("?vai"), "{}", online.text());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before + 1);
    // The same form for another amount is another top-up; the page says so, and the next tap makes it.
    let again = maria.send(&form.clone().with(&format!("altro-{id}"), "26")).await;
    assert_eq!(again.status, 422, "{}", again.text());
    let other = maria.sent(&again.form(&at("/ricarica")).with("come", "avviso")).await;
    assert!(other.says("26,00 €"), "{}", other.text());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before + 2);
    // Any PSP takes it, and the balance follows.
    let number = first.location().rsplit('/').next().expect("a number");
    assert_eq!(house.counter(TOWN, number).await["outcome"], "paid");
    assert!(maria.get(BASE).await.says("37,65 €"));
}

async fn a_top_up_online_leads_to_pagopa_and_back(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let (form, id) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let answer = maria.send(&form.with(&format!("importo-{id}"), "2000").with("come", "online")).await;
    assert!(answer.status == 303 && answer.location().ends_with("?vai"), "{}", answer.text());
    let leaving = maria.get(answer.location()).await;
    let url = leaving.header("refresh").strip_prefix("0; url=").expect("pagoPA's page").to_owned();
    assert!(leaving.says("20,00 €") && !url.contains("/comune/"), "{url}");
    let outcome = answer.location().trim_end_matches("?vai");
    assert!(maria.get(outcome).await.says("In corso: in attesa di conferma"));
    assert_eq!(house.pay_page(&url).await["outcome"], "paid");
    // The browser comes back to what was being paid, whatever the platform says of it; the receipt has the last word.
    for said in ["ok", "annullato", "errore", "attesa"] {
        let back = maria.get(&format!("/pagamento/{said}")).await;
        assert_eq!((back.status, back.location()), (303, outcome));
    }
    let page = maria.get(outcome).await;
    assert!(page.says("Operazione conclusa: pagato il 20 novembre") && page.says("32,15 €"), "{}", page.text());
    // Somebody who paid elsewhere reads the page that was always there.
    assert_eq!(house.browser().get("/pagamento/ok").await.status, 200);
}

async fn several_balances_are_filled_in_one_payment(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let (form, canteen) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let nursery = wallet(&house.phone(MARIA).await.home().await.expect("home"), "Luca", "Nido").id.clone();
    let form = form.with(&format!("importo-{canteen}"), "1000").with(&format!("importo-{nursery}"), "5000");
    let answer = maria.send(&form.with("come", "online")).await;
    assert!(answer.location().contains('.') && answer.location().ends_with("?vai"), "{}", answer.text());
    let leaving = maria.get(answer.location()).await;
    assert!(leaving.says("60,00 €"), "{}", leaving.text());
    let url = leaving.header("refresh").strip_prefix("0; url=").expect("pagoPA's page").to_owned();
    assert_eq!(house.pay_page(&url).await["outcome"], "paid");
    let outcome = answer.location().trim_end_matches("?vai");
    assert_eq!(maria.get("/pagamento/ok").await.location(), outcome, "back to both of them");
    let page = maria.get(outcome).await;
    assert_eq!(page.text().matches("Operazione conclusa").count(), 2, "{}", page.text());
    let home = maria.get(BASE).await;
    assert!(home.says("22,15 €") && home.says("200,00 €"), "{}", home.text());
}

async fn what_was_typed_wrong_is_said_at_its_place(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    let (form, id) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let (amount, other) = (format!("importo-{id}"), format!("altro-{id}"));
    for (typed, said) in [
        ("", "L&#39;importo deve essere"),
        ("venti", "L&#39;importo deve essere"),
        ("0", "L&#39;importo deve essere"),
        ("-5", "L&#39;importo deve essere"),
        ("1,234", "L&#39;importo deve essere"),
        ("999999999999999999999", "L&#39;importo deve essere"),
        ("1", "5,00"),
        ("900", "200,00"),
        ("<script>alert(1)</script>", "L&#39;importo deve essere"),
    ] {
        let page = maria.send(&form.clone().with(&amount, "altro").with(&other, typed)).await;
        assert!(page.status == 422 && page.says(said) && page.says("role=\"alert\""), "{typed}: {}", page.text());
        assert!(!page.says("<script>alert"));
        // What was typed is still there.
        assert_eq!(page.form(&at("/ricarica")).get(&other), Some(typed), "{}", page.text());
    }
    let both = maria.send(&form.clone().with(&amount, "2000").with(&other, "15")).await;
    assert!(both.status == 422 && both.says("lascia solo uno dei due"), "{}", both.text());
    let none = maria.send(&form.clone().with(&amount, "niente")).await;
    assert!(none.status == 422 && none.says("Scegli un importo"), "{}", none.text());
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up").await, before, "nothing was started");
}

async fn bills_are_ticked_and_paid_together(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/paga")).await;
    for text in ["Pagamento cumulativo", "Luca, Giulia", "-273,33 €", "SALDO BOLLETTINI FINALE"] {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    let form = page.form(&at("/paga"));
    assert_eq!(form.fields.iter().filter(|(name, _)| name == "avviso").count(), 2, "what is due is ticked");
    let none = maria.send(&form.clone().without("avviso").with("come", "online")).await;
    assert!(none.status == 422 && none.says("seleziona almeno un bollettino"), "{}", none.text());
    let answer = maria.send(&form.with("come", "online")).await;
    let leaving = maria.get(answer.location()).await;
    assert!(leaving.says("273,33 €") && leaving.says("Su pagoPA si pagano insieme 2 avvisi."), "{}", leaving.text());
    // One of them alone asks for less than the page it is on, and does not lead there unsaid.
    let (_, ids) = answer.location().trim_end_matches("?vai").rsplit_once('/').expect("a path");
    let (one, _) = ids.split_once('.').expect("two bills");
    for query in ["", "?vai"] {
        let alone = maria.get(&at(&format!("/esito/bollettino/{one}{query}"))).await;
        let all = "Su pagoPA si pagano insieme 2 avvisi: in tutto 273,33 €.";
        assert!(alone.says(all) && alone.header("refresh").is_empty(), "{}", alone.text());
    }
    let both = maria.get(answer.location().trim_end_matches("?vai")).await;
    assert!(!both.says("si pagano insieme"), "both stand there: {}", both.text());
    let url = leaving.header("refresh").strip_prefix("0; url=").expect("pagoPA's page").to_owned();
    assert_eq!(house.pay_page(&url).await["outcome"], "paid");
    let outcome = maria.get(answer.location().trim_end_matches("?vai")).await;
    assert_eq!(outcome.text().matches("Operazione conclusa").count(), 2, "{}", outcome.text());
    assert!(outcome.says("237,33 €") && outcome.says("36,00 €") && !outcome.says("0,00 €</p>"), "{}", outcome.text());
    assert!(!maria.get(BASE).await.says("da pagare 237,33"));
    // Of the other family's notices nothing is paid from here.
    let amina = house.phone(AMINA).await;
    let theirs = amina.home().await.expect("home").children[0].wallets[0].id.clone();
    let theirs = amina.top_up(&theirs, 1_000, PayBy::Notice).await.expect("a top-up");
    let number = theirs.notice.expect("a notice").number;
    let (form, _) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let foreign = borsellino_tests::house::Form { action: at("/paga"), fields: form.fields };
    assert_eq!(maria.send(&foreign.with("avviso", &number).with("come", "online")).await.status, 404);
    assert_eq!(maria.get(&at(&format!("/avviso/{number}"))).await.status, 404);
    assert_eq!(maria.get(&at(&format!("/avviso/{number}/pdf"))).await.status, 404);
}

async fn an_outcome_follows_the_receipt(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let payment = phone.top_up(&canteen, 1_000, PayBy::Online).await.expect("a top-up");
    let outcome = at(&format!("/esito/ricarica/{}", payment.id));
    let page = maria.get(&outcome).await;
    assert!(page.says("hx-ext=\"sse\"") && page.says("Continua su pagoPA"), "{}", page.text());
    let text = page.text();
    let live = text.split("sse-connect=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a stream");
    let mut stream = maria.open(Method::GET, live, None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(house.pay_page(&payment.checkout_url).await["outcome"], "paid");
    let told = tokio::time::timeout(SOON, async {
        let mut all = String::new();
        while !all.contains("event: novita") {
            all.push_str(&String::from_utf8_lossy(&stream.chunk().await.expect("a stream").expect("an event")));
        }
        all
    });
    told.await.expect("news in time");
    let page = maria.get(&outcome).await;
    assert!(page.says("Operazione conclusa") && !page.says("sse-connect"), "{}", page.text());
    // A page that waits and is signed out meanwhile goes to the sign-in page whole, and does not turn blank.
    let waiting = house.visitor(TOWN, MARIA).await.saying("hx-request", "true");
    house.advance(std::time::Duration::from_secs(31 * 60));
    let answer = waiting.get(&outcome).await;
    assert!(answer.status == 200 && answer.header("hx-redirect").starts_with(&at("/accesso?poi=")), "{answer:?}");
    // Another guardian's top-up is not looked at, neither is nonsense.
    let paolo = house.visitor(TOWN, PAOLO).await;
    for path in [outcome.as_str(), &at("/esito/ricarica/nonsense"), &at("/esito/altro/1"), &at("/esito/insieme/x-1")] {
        assert_eq!(paolo.get(path).await.status, 404, "{path}");
    }
}

async fn what_was_paid_is_in_the_archive(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/archivio")).await;
    assert!(page.says("Ricarica Mensa scolastica") && page.says("60,00 €"), "{}", page.text());
    let text = page.text();
    let receipt =
        text.split("href=\"").find(|rest| rest.contains("/ricevuta/")).and_then(|rest| rest.split('"').next());
    let receipt = receipt.expect("a receipt").to_owned();
    let pdf = maria.get(&receipt).await;
    assert!(pdf.status == 200 && pdf.bytes.starts_with(b"%PDF-"), "{}", pdf.text());
    assert!(pdf.header("content-disposition").starts_with("attachment; filename="));
    let xml = maria.get(&receipt.replace("/pdf", "/xml")).await;
    assert!(xml.header("content-type") == "application/xml" && xml.says("paSendRTV2"));
    // It is the payer's: not the other parent's, not another family's.
    for other in [PAOLO, AMINA] {
        assert_eq!(house.visitor(TOWN, other).await.get(&receipt).await.status, 404, "{other}");
    }
    let form = page.form(&at("/certificazione"));
    assert!(form.fields.is_empty(), "a choice of child and year");
    let child = house.phone(MARIA).await.home().await.expect("home").children[0].id.clone();
    let certificate = maria.get(&at(&format!("/certificazione?figlio={child}&anno=2026"))).await;
    assert!(certificate.bytes.starts_with(b"%PDF-"), "{}", certificate.text());
    assert_eq!(maria.get(&at(&format!("/certificazione?figlio={child}&anno=1999"))).await.status, 409);
    assert_eq!(maria.get(&at("/certificazione?figlio=x&anno=2026")).await.status, 404);
}

async fn movements_explain_themselves(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/movimenti")).await;
    for text in
        ["novembre 2026", "Pasto del 19 novembre, tariffa fascia 2, 4,25 €", "Giulia, Mensa scolastica", "saldo dopo"]
    {
        assert!(page.says(text), "{text}: {}", page.text());
    }
    let next = page.text().split("href=\"").find(|rest| rest.contains("dopo=")).map(str::to_owned).expect("more");
    let next = next.split('"').next().expect("a path").replace("&#38;", "&").replace("&amp;", "&");
    let older = maria.get(&next).await;
    assert!(older.status == 200 && older.text() != page.text());
    let canteen =
        wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").id.clone();
    let statement = format!("/estratto/{canteen}?dal=2026-09-01&al=2026-11-20");
    assert!(maria.get(&at(&statement)).await.bytes.starts_with(b"%PDF-"));
    assert_eq!(maria.get(&at(&statement.replace("2026-09-01", "2027-09-01"))).await.status, 409);
    assert_eq!(maria.get(&at(&statement.replace("2026-09-01", "ieri"))).await.status, 409);
    let amina = house.visitor(TOWN, AMINA).await;
    assert_eq!(amina.get(&at(&statement)).await.status, 404);
    for query in
        [format!("saldo={canteen}"), "saldo=x".to_owned(), format!("saldo={}", borsellino_tests::house::new_id())]
    {
        assert_eq!(amina.get(&at(&format!("/movimenti?{query}"))).await.status, 404, "{query}");
    }
    assert_eq!(amina.get(&at("/movimenti?dopo=x.y.z")).await.status, 200, "from the beginning");
}

async fn without_pagopas_pages_there_is_still_the_notice(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    house.checkout.close();
    let (form, id) = top_up(house, &maria, "Giulia", "Mensa scolastica").await;
    let page = maria.sent(&form.with(&format!("importo-{id}"), "2000").with("come", "online")).await;
    assert!(page.status == 200 && page.header("refresh").is_empty(), "{}", page.text());
    assert!(page.says("Da pagare") && page.says("/avviso/"), "{}", page.text());
    house.checkout.open();
    house.advance(Duration::from_secs(60));
    // Tried again from there, it is the same top-up.
    let page = maria.sent(&page.form(&at("/paga")).with("come", "online")).await;
    assert!(page.header("refresh").starts_with("0; url="), "{}", page.text());
    let home = house.phone(MARIA).await.home().await.expect("home");
    let open = home.payments.iter().filter(|payment| payment.state == i32::from(v1::PaymentState::InProgress));
    assert_eq!(open.count(), 1);
}
