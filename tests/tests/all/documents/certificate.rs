//! What a family may show to the tax office: each rule of `borsellino_domain::tax` with receipts as pagoPA sends them, and the page
//! on which the paper is confirmed.

use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_server::usecases::documents::{Requested, certificate_of};
use borsellino_server::usecases::refunds::{Order, refund};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, Phone, TOWN, new_id, pdf_text, reason, wallet};

use super::{act, billed, code_of, deliver, paid_by, payer, town, waiting};

borsellino_tests::in_both_houses! {
    only_who_paid_certifies_and_only_the_year_it_was_paid_in;
    a_bill_is_divided_among_its_children_and_services;
    what_was_given_back_lessens_its_own_year;
    what_was_paid_beyond_a_bill_lessens_nothing;
    the_paper_is_confirmed_by_its_code;
    what_makes_no_certificate;
}

/// The child's id, and its canteen wallet's.
async fn giulia(phone: &Phone) -> (String, String) {
    let home = phone.home().await.expect("home");
    let child = home.children.iter().find(|child| child.given_name == "Giulia").expect("Giulia");
    (child.id.clone(), wallet(&home, "Giulia", "Mensa scolastica").id.clone())
}

async fn text(phone: &Phone, child: &str, year: i32) -> String {
    pdf_text(&phone.certificate(child, year).await.expect("a certificate").content)
}

/// A new top-up's notice.
async fn notice(phone: &Phone, wallet: &str, cents: i64) -> String {
    let payment = phone.top_up(wallet, cents, v1::PayBy::Notice).await.expect("a top-up");
    payment.notice.expect("a notice").number
}

/// The cents that a line of the text about a service ends with: paid, refunded, what is left.
fn line<'a>(text: &'a str, service: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.trim_start().starts_with(service)).unwrap_or_default();
    line.split_whitespace().filter(|word| word.contains(',')).collect()
}

async fn only_who_paid_certifies_and_only_the_year_it_was_paid_in(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let (child, wallet) = giulia(&maria).await;
    let before = text(&maria, &child, 2026).await;
    let [his, hers] = [code_of(house, PAOLO).await, code_of(house, MARIA).await];
    // The payments that the demo begins with are Maria's; Paolo has none.
    assert_eq!(reason(paolo.certificate(&child, 2026).await), Reason::NothingPaid);

    // Two payers for one child: Paolo paid Maria's notice with his card.
    let number = notice(&maria, &wallet, 1_234).await;
    deliver(house, &number, 1_234, paid_by(&payer(&his, "Paolo Rossi"), "creditCard", "2026-11-20T09:00:00")).await;
    let of_paolo = text(&paolo, &child, 2026).await;
    assert_eq!(line(&of_paolo, "Mensa scolastica"), ["12,34", "0,00", "12,34"], "{of_paolo}");
    assert!(of_paolo.contains(&his) && !of_paolo.contains(&hers), "{of_paolo}");
    assert_eq!(text(&maria, &child, 2026).await, before, "it is not Maria's");

    // Paid in December of another year, whatever the day it was credited; midnight is Italy's.
    let number = notice(&maria, &wallet, 1_111).await;
    deliver(house, &number, 1_111, paid_by(&payer(&his, "Paolo Rossi"), "", "2025-12-31T23:59:59")).await;
    let number = notice(&maria, &wallet, 1_055).await;
    deliver(house, &number, 1_055, paid_by(&payer(&his, "Paolo Rossi"), "", "2025-12-31T23:30:00Z")).await;
    assert_eq!(line(&text(&paolo, &child, 2025).await, "Mensa scolastica"), ["11,11", "0,00", "11,11"]);
    assert_eq!(line(&text(&paolo, &child, 2026).await, "Mensa scolastica"), ["22,89", "0,00", "22,89"]);

    // Cash leaves no trace: it is told, and in no line.
    let number = notice(&maria, &wallet, 2_222).await;
    deliver(house, &number, 2_222, paid_by(&payer(&his, "Paolo Rossi"), "cash", "2026-11-20T09:10:00")).await;
    let of_paolo = text(&paolo, &child, 2026).await;
    assert_eq!(line(&of_paolo, "Mensa scolastica"), ["22,89", "0,00", "22,89"]);
    assert!(of_paolo.contains("22,22"), "{of_paolo}");

    // A receipt that names no payer is of who owed.
    let number = notice(&paolo, &wallet, 3_333).await;
    deliver(house, &number, 3_333, String::new()).await;
    assert_eq!(line(&text(&paolo, &child, 2026).await, "Mensa scolastica"), ["56,22", "0,00", "56,22"]);
    // And somebody who is no guardian gets it from the office.
    let number = notice(&maria, &wallet, 1_500).await;
    let grandmother = "BNCNNA50A41H501L";
    deliver(house, &number, 1_500, paid_by(&payer(grandmother, "Nonna Bianchi"), "", "2026-11-20T09:20:00")).await;
    let listing = house.app.directory.listing();
    let creditor = listing.creditor(TOWN).expect("the town");
    let read =
        house.app.store.read(|tx| Box::pin(async move { tx.child_by_code(&town(), &super::giulia_code()).await }));
    assert!(read.await.expect("a database").is_some());
    let requested = Requested { payer: grandmother.to_lowercase(), child: super::giulia_code(), year: 2026 };
    let italian = borsellino_domain::language::Language::Italian;
    let file = certificate_of(&house.app.printer(), creditor, requested, italian).await.expect("a certificate");
    let of_grandmother = pdf_text(&file.bytes);
    assert_eq!(line(&of_grandmother, "Mensa scolastica"), ["15,00", "0,00", "15,00"], "{of_grandmother}");
    assert!(of_grandmother.contains("Nonna Bianchi"), "{of_grandmother}");
}

async fn a_bill_is_divided_among_its_children_and_services(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    let bill = home.bills.iter().max_by_key(|bill| bill.lines.len()).cloned().expect("a bill of several lines");
    assert!(bill.lines.len() > 1, "{bill:?}");
    let number = bill.notice.clone().expect("a notice").number;
    let hers = code_of(house, MARIA).await;
    let sums = async |maria: &Phone| {
        let mut sums = 0;
        for child in &home.children {
            let text = match maria.certificate(&child.id, 2027).await {
                Ok(file) => pdf_text(&file.content),
                nothing => {
                    assert_eq!(reason(nothing), Reason::NothingPaid);
                    continue;
                }
            };
            let line = text.lines().find(|line| line.trim_start().starts_with("Totale")).unwrap_or_default();
            let net = line.split_whitespace().rfind(|word| word.contains(',')).unwrap_or("0,00");
            sums += net.replace(['.', ','], "").parse::<i64>().expect("cents");
        }
        sums
    };
    // The year after, paid late and in two parts: all of it is of the year it was paid in.
    house.advance(Duration::from_secs(60 * 86_400));
    let maria = house.phone(MARIA).await;
    let tail = |at: &str| paid_by(&payer(&hers, "Maria Bianchi"), "creditCard", at);
    deliver(house, &number, 1_001, tail("2027-01-18T08:00:00")).await;
    assert_eq!(sums(&maria).await, 1_001);
    deliver(house, &number, bill.residual_cents - 1_001, tail("2027-01-19T08:00:00")).await;
    assert_eq!(sums(&maria).await, bill.total_cents, "to the cent");
    // Paid off, each line is what it was made for.
    for child in &home.children {
        let own: i64 = bill.lines.iter().filter(|line| line.child_id == child.id).map(|line| line.cents).sum();
        if own > 0 {
            let text = text(&maria, &child.id, 2027).await;
            let euro = borsellino_domain::money::Cents::new(own).text(borsellino_domain::language::Language::Italian);
            assert!(text.contains(euro.trim_end_matches(" €")), "{euro} in {text}");
        }
    }
}

async fn what_was_given_back_lessens_its_own_year(house: &House) {
    let paolo = house.phone(PAOLO).await;
    let (child, wallet) = giulia(&paolo).await;
    let his = code_of(house, PAOLO).await;
    let tail = || paid_by(&payer(&his, "Paolo Rossi"), "creditCard", "2026-11-20T09:00:00");
    let number = notice(&paolo, &wallet, 4_000).await;
    let sent = deliver(house, &number, 4_000, tail()).await;
    let give = async |cents: i64| {
        let amount = borsellino_domain::money::Amount::from_cents(cents).ok();
        let order = Order { issuer: town(), receipt_id: sent.id.clone(), amount };
        refund(&house.app.store, act(house), order).await.expect("a refund")
    };
    give(1_000).await;
    let same_year = text(&paolo, &child, 2026).await;
    assert_eq!(line(&same_year, "Mensa scolastica"), ["40,00", "10,00", "30,00"], "{same_year}");
    house.advance(Duration::from_secs(60 * 86_400));
    let paolo = house.phone(PAOLO).await;
    give(500).await;
    let of_2026 = text(&paolo, &child, 2026).await;
    assert_eq!(line(&of_2026, "Mensa scolastica"), ["40,00", "10,00", "30,00"], "{of_2026}");
    assert!(of_2026.contains("Dopo la fine dell'anno") && of_2026.contains("5,00"), "{of_2026}");
    let of_2027 = text(&paolo, &child, 2027).await;
    assert!(line(&of_2027, "Mensa scolastica").is_empty() && of_2027.contains("5,00"), "{of_2027}");
}

async fn what_was_paid_beyond_a_bill_lessens_nothing(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    let bill = home.bills.iter().min_by_key(|bill| bill.lines.len()).cloned().expect("a bill of one line");
    let number = bill.notice.clone().expect("a notice").number;
    let child = bill.lines[0].child_id.clone();
    let before = text(&maria, &child, 2026).await;
    let tail = paid_by(&payer(&code_of(house, MARIA).await, "Maria Bianchi"), "creditCard", "2026-11-20T09:00:00");
    let sent = deliver(house, &number, bill.residual_cents + 2_000, tail).await;
    let paid = text(&maria, &child, 2026).await;
    assert_ne!(paid, before);
    let order = Order { issuer: town(), receipt_id: sent.id.clone(), amount: None };
    let given = refund(&house.app.store, act(house), order).await.expect("a refund");
    assert_eq!(given.cents(), 2_000, "what was too much");
    assert_eq!(text(&maria, &child, 2026).await, paid, "nobody certified it, so nothing is lessened");
}

async fn the_paper_is_confirmed_by_its_code(house: &House) {
    let paolo = house.phone(PAOLO).await;
    let (child, wallet) = giulia(&paolo).await;
    let his = code_of(house, PAOLO).await;
    let tail = || paid_by(&payer(&his, "Paolo Rossi"), "creditCard", "2026-11-20T09:00:00");
    deliver(house, &notice(&paolo, &wallet, 1_234).await, 1_234, tail()).await;
    let file = paolo.certificate(&child, 2026).await.expect("a certificate");
    house.advance(Duration::from_secs(86_400));
    let paolo = house.phone(PAOLO).await;
    let again = paolo.certificate(&child, 2026).await.expect("the same");
    assert_eq!(file.content, again.content, "the same facts are the same certificate, of the day it was made first");
    let german = paolo.speaking("de").certificate(&child, 2026).await.expect("in other words");
    assert_eq!(german.name, file.name, "the same facts have the same code in any language");
    assert!(pdf_text(&file.content).contains("al 20/11/2026"), "the year is not over");
    let code =
        file.name.strip_prefix("certificazione-2026-").and_then(|name| name.strip_suffix(".pdf")).expect("a code");
    let paper = pdf_text(&file.content);
    let page = format!("{}/verifica/{TOWN}", house.at.web);
    let blank = house.http.get(&page).send().await.expect("a page");
    assert_eq!(blank.status(), 200);
    let rules = blank.headers().get("content-security-policy").expect("rules").to_str().expect("text").to_owned();
    assert!(rules.contains("default-src 'none'") && rules.contains("form-action 'self'"), "{rules}");
    let ask = async |page: &str, code: &str| {
        let body = format!("code={}", code.replace(' ', "+"));
        let request = house.http.post(page).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    };
    let spaced: Vec<String> =
        code.as_bytes().chunks(4).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    for typed in [code.to_owned(), code.to_uppercase(), spaced.join(" "), spaced.join("-"), format!(" {code} ")] {
        let (status, said) = ask(&page, &typed).await;
        assert_eq!(status, 200, "{typed}");
        for wanted in ["autentica", "2026", "Paolo Rossi", &his, "Giulia", "Mensa scolastica", "12,34"] {
            assert!(said.contains(wanted), "{wanted} in {said}");
            assert!(wanted == "autentica" || paper.contains(wanted), "{wanted} is not on the paper");
        }
        assert!(!said.contains("IUV") && !said.contains("creditCard"), "{said}");
    }
    // Nobody's, another creditor's, and what is no code: the same answer.
    let other = format!("{}/verifica/99900040017", house.at.web);
    for (page, typed) in [(&page, "0000 0000 0000 0000"), (&other, code), (&page, ""), (&page, "x"), (&page, "%00%ff")]
    {
        let (status, said) = ask(page, typed).await;
        assert!(status == 404 && !said.contains("Paolo"), "{typed}: {status} {said}");
    }
    assert_eq!(
        house.http.get(format!("{}/verifica/99900099999", house.at.web)).send().await.expect("one").status(),
        404
    );

    // What changed since is said.
    deliver(house, &notice(&paolo, &wallet, 1_000).await, 1_000, tail()).await;
    let newer = paolo.certificate(&child, 2026).await.expect("another one");
    assert_ne!(newer.name, file.name);
    let (_, said) = ask(&page, code).await;
    assert!(said.contains("più recente") && said.contains("12,34"), "{said}");
    // What is kept shows nobody to whoever has only the database.
    let (_, plain) = billed(house).await;
    assert!(!plain.number.is_empty());
    assert_eq!(house.number("SELECT COUNT(*) FROM certificate").await, 2);
}

async fn what_makes_no_certificate(house: &House) {
    let maria = house.phone(MARIA).await;
    let (child, _) = giulia(&maria).await;
    for year in [2014, 2027, 0, -1, i32::MAX] {
        assert_eq!(reason(maria.certificate(&child, year).await), Reason::YearInvalid, "{year}");
    }
    assert_eq!(reason(maria.certificate(&child, 2019).await), Reason::NothingPaid);
    assert_eq!(reason(house.phone(AMINA).await.certificate(&child, 2026).await), Reason::UnknownChild);
    assert_eq!(reason(maria.certificate(&new_id(), 2026).await), Reason::UnknownChild);
    assert_eq!(reason(maria.certificate("Giulia", 2026).await), Reason::Malformed);
    let (payment, _) = waiting(house).await;
    assert!(!payment.id.is_empty());
}
