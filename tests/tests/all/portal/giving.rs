//! What others pay: by a link that a parent makes and takes back, and without any notice, for a child.

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_server::usecases::guardians::{Change, change};
use borsellino_server::usecases::office::Act;
use borsellino_tests::house::{AMINA, Browser, Form, House, MARIA, PAOLO, Page, TOWN, wallet};
use serde_json::{Value, json};

borsellino_tests::in_both_houses! {
    a_link_is_made_shown_and_taken_back;
    a_link_ends_with_whoever_made_it;
    anybody_pays_in_for_a_child;
    what_is_no_payment_for_a_child;
    guesses_of_children_wait;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// What the page of a pay link is told.
async fn follow(house: &House, link: &str) -> (u16, Value) {
    let token = link.split_once('#').expect("a link with its token behind the #").1;
    let call = house.http.post(format!("{}/paga/avviso", house.at.web)).header("content-type", "application/json");
    let answer = call.body(json!({ "token": token }).to_string()).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// The links on a notice's page.
fn links(page: &Page) -> Vec<String> {
    let text = page.text();
    let links = text.split("value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|value| value.contains("/paga#")).map(str::to_owned).collect()
}

async fn notice_of(house: &House) -> String {
    house.phone(MARIA).await.home().await.expect("home").payments.remove(0).notice.expect("a notice").number
}

async fn a_link_is_made_shown_and_taken_back(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let number = notice_of(house).await;
    let (notice, place) = (at(&format!("/avviso/{number}")), at(&format!("/avviso/{number}/link")));
    let page = maria.get(&notice).await;
    assert!(page.says("Crea un link per pagare") && links(&page).is_empty(), "{}", page.text());
    let form = page.form(&place);
    for _ in 0..2 {
        let page = maria.sent(&form).await;
        assert_eq!(links(&page).len(), 1, "twice is one link: {}", page.text());
    }
    let page = maria.get(&notice).await;
    let link = links(&page).remove(0);
    let (status, told) = follow(house, &link).await;
    assert_eq!((status, told["state"].as_str(), told["amount"].as_str()), (200, Some("open"), Some("20,00 €")));
    assert!(!told.to_string().contains("Giulia") && !told.to_string().contains("Bianchi"), "{told}");
    // Nobody else has it, sees it or takes it back.
    let paolo = house.visitor(TOWN, PAOLO).await;
    let amina = house.visitor(TOWN, AMINA).await;
    let id =
        page.text().split("name=\"revoca\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    let id = id.expect("a button");
    for other in [&paolo, &amina] {
        assert_eq!(other.get(&notice).await.status, 404);
        let own = other.get(&at("/cerca")).await.form(&at("/cerca"));
        let foreign = Form { action: place.clone(), fields: own.fields };
        assert_eq!(other.send(&foreign.clone()).await.status, 404, "no link to another's notice");
        other.send(&foreign.with("revoca", &id)).await;
        assert_eq!(follow(house, &link).await.0, 200, "it still leads there");
    }
    let back = maria.send(&form.clone().with("revoca", "nonsense")).await;
    assert_eq!(back.status, 404);
    for _ in 0..2 {
        let page = maria.sent(&form.clone().with("revoca", &id)).await;
        assert!(links(&page).is_empty(), "{}", page.text());
    }
    assert_eq!(follow(house, &link).await, (404, json!({ "state": "unknown" })));
    // Another one is another one.
    let page = maria.sent(&form).await;
    let next = links(&page).remove(0);
    assert_ne!(next, link);
    assert_eq!((follow(house, &next).await.0, follow(house, &link).await.0), (200, 404));
}

async fn a_link_ends_with_whoever_made_it(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let number = notice_of(house).await;
    let form = maria.get(&at(&format!("/avviso/{number}"))).await.form(&at(&format!("/avviso/{number}/link")));
    let link = links(&maria.sent(&form).await).remove(0);
    assert_eq!(follow(house, &link).await.0, 200);
    let town = CreditorCode::parse(TOWN).expect("eleven digits");
    let act = Act::new(town, house.app.now(), ("moved away".to_owned(), "A. Verdi".to_owned())).expect("an act");
    change(&house.fresh.store, act, (MARIA.to_owned(), Change::End)).await.expect("ended");
    assert_eq!(follow(house, &link).await.0, 404);
}

async fn giulia(house: &House) -> String {
    let town = CreditorCode::parse(TOWN).expect("eleven digits");
    for last in 'A'..='Z' {
        let code = format!("RSSGLI17C48F205{last}");
        let wanted = code.clone();
        let read = house.app.store.read(move |tx| Box::pin(async move { tx.child_by_code(&town, &wanted).await }));
        if read.await.expect("a readable database").is_some() {
            return code;
        }
    }
    panic!("Giulia is not there");
}

async fn give(browser: &Browser, (service, code, amount): (&str, &str, &str)) -> Page {
    let action = at("/spontaneo");
    let fields = [("servizio", service), ("fiscale", code), ("importo", amount)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    browser.send(&Form { action, fields }).await
}

/// The one service that the town offers.
async fn offered(browser: &Browser) -> String {
    let page = browser.get(&at("/spontaneo")).await;
    assert!(page.status == 200 && page.says("Mensa scolastica"), "{}", page.text());
    let text = page.text();
    let values = text.split("<option value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    values.filter(|value| !value.is_empty()).map(str::to_owned).next().expect("a service")
}

async fn anybody_pays_in_for_a_child(house: &House) {
    let (code, anybody) = (giulia(house).await, house.browser());
    let service = offered(&anybody).await;
    assert!(anybody.get(&at("/accesso")).await.says("Pagamento Spontaneo"));
    let before =
        wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").balance_cents;
    // Blanks and small letters are forgiven.
    let typed = format!("{} {}", code[..6].to_lowercase(), &code[6..]);
    let summary = give(&anybody, (&service, &typed, "15,00")).await;
    assert!(
        summary.status == 200 && summary.says("15,00 €") && summary.says("Ricarica Mensa scolastica"),
        "{}",
        summary.text()
    );
    for hidden in ["Giulia", "Rossi", "Bianchi", &code] {
        assert!(!summary.says(hidden), "{hidden}: {}", summary.text());
    }
    let pdf = anybody.send(&summary.form(&at("/avvisi/stampa"))).await;
    assert!(pdf.bytes.starts_with(b"%PDF-"), "{}", pdf.text());
    // The same again, shortly after, is the same notice.
    let notices = "SELECT COUNT(*) FROM demand";
    let made = house.number(notices).await;
    give(&house.browser(), (&service, &code, "15,00")).await.says("15,00 €");
    assert_eq!(house.number(notices).await, made);
    let leaving = anybody.send(&summary.form(&at("/avvisi/paga"))).await;
    let url = leaving.header("refresh").strip_prefix("0; url=").expect("pagoPA's page").to_owned();
    assert_eq!(house.pay_page(&url).await["outcome"], "paid");
    let after =
        wallet(&house.phone(MARIA).await.home().await.expect("home"), "Giulia", "Mensa scolastica").balance_cents;
    assert_eq!(after, before + 1_500);
}

async fn what_is_no_payment_for_a_child(house: &House) {
    let (code, anybody) = (giulia(house).await, house.browser());
    let service = offered(&anybody).await;
    for (wish, said) in [
        (("", &*code, "15"), "Scegli il servizio"),
        (("x.y", &*code, "15"), "Scegli il servizio"),
        ((&*service, "", "15"), "16 lettere e cifre"),
        ((&*service, "GIULIA", "15"), "16 lettere e cifre"),
        ((&*service, "<script>alert(1)</script>", "15"), "16 lettere e cifre"),
        ((&*service, &*code, ""), "si scrive così"),
        ((&*service, &*code, "tanto"), "si scrive così"),
        ((&*service, &*code, "0,01"), "deve essere tra"),
        ((&*service, &*code, "99999"), "deve essere tra"),
    ] {
        let page = give(&anybody, wish).await;
        assert!(page.status == 422 && page.says(said) && page.says("role=\"alert\""), "{wish:?}: {}", page.text());
        assert!(!page.says("<script>alert") && !page.says(&code), "the code is not shown again");
    }
    // A child there is not, and one without the service, are one answer.
    let nobody = give(&anybody, (&service, "RSSMRA80A01H501U", "15")).await;
    assert!(nobody.status == 422 && nobody.says("ricontrolla tutti e due"), "{}", nobody.text());
    // From another site it is no form of ours.
    let foreign = house.browser().saying("sec-fetch-site", "cross-site");
    assert_eq!(give(&foreign, (&service, &code, "15")).await.status, 403);
    assert_eq!(house.number("SELECT COUNT(*) FROM demand").await, 0, "no notice was made");
    // A creditor that offers nothing says so.
    house.execute("DELETE FROM spontaneous").await;
    let none = house.browser().get(&at("/spontaneo")).await;
    assert!(none.status == 200 && none.says("non ha servizi"), "{}", none.text());
}

async fn guesses_of_children_wait(house: &House) {
    let anybody = house.browser();
    let service = offered(&anybody).await;
    let mut slowed = None;
    for _ in 0..40 {
        let page = give(&anybody, (&service, "RSSMRA80A01H501U", "15")).await;
        if page.status == 429 {
            slowed = Some(page);
            break;
        }
        assert_eq!(page.status, 422, "{}", page.text());
    }
    let slowed = slowed.expect("guesses wait");
    assert!(!slowed.header("retry-after").is_empty() && slowed.says("role=\"alert\""), "{}", slowed.text());
    // What waits names no child in the database.
    assert_eq!(house.number("SELECT COUNT(*) FROM demand").await, 0);
    // Nor is a balance found out by amounts that don't fit it: right tries wait, too, for the child.
    let code = giulia(house).await;
    house.advance(Duration::from_secs(3_600));
    let mut waits = false;
    for cents in 0..40 {
        let page = give(&anybody, (&service, &code, &format!("19,{:02}", 99 - cents))).await;
        waits |= page.status == 429;
    }
    assert!(waits, "somebody steps through the amounts");
    // Another child is another matter, once the network's own tries are forgotten.
    house.advance(Duration::from_secs(3_600));
    assert_eq!(give(&anybody, (&service, &giulia(house).await, "15")).await.status, 200);
}
