//! The family in tables, the bills of a school year, the search; and what they owe to the counter, to fees and to a category.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fees::FeeTable;
use borsellino_server::usecases::fees;
use borsellino_server::usecases::guardians::change_diet;
use borsellino_server::usecases::office::{Act, settle_notice};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, Browser, House, MARIA, PAOLO, Page, TOWN, pdf_text};

borsellino_tests::in_both_houses! {
    children_stand_in_a_table_with_both_balances;
    bills_of_a_school_year_say_what_is_left;
    everything_is_found_however_it_is_asked_for;
    what_was_paid_at_the_counter_has_its_receipt;
    a_category_shows_its_own;
    the_fee_is_known_before_leaving;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

fn town() -> CreditorCode {
    CreditorCode::parse(TOWN).expect("eleven digits")
}

fn act(house: &House) -> Act {
    Act::new(town(), house.app.now(), ("came to the office".to_owned(), "A. Verdi".to_owned())).expect("an act")
}

/// A table's rows, each as the text of its cells.
fn rows(page: &Page, caption: &str) -> Vec<Vec<String>> {
    let text = page.text();
    let table =
        text.split("<table").find(|table| table.contains(caption)).unwrap_or_else(|| panic!("{caption}: {text}"));
    let body = table.split("<tbody>").nth(1).and_then(|rest| rest.split("</tbody>").next()).expect("a body");
    let cells = |row: &str| row.split("<td").flat_map(|cell| cell.split("<th")).skip(1).map(plain).collect();
    body.split("<tr>").skip(1).map(cells).collect()
}

/// A cell's words, without what is in tags.
fn plain(cell: &str) -> String {
    let inside = cell.split_once('>').map_or("", |(_, rest)| rest);
    let words: Vec<&str> = inside.split('<').map(|part| part.split_once('>').map_or(part, |(_, rest)| rest)).collect();
    words.join(" ").replace('\u{a0}', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn children_stand_in_a_table_with_both_balances(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/consumatori")).await;
    for column in
        ["Consumatori", "Saldo", "Ultima Ricarica", "Saldo bollettini", "Ultimo bollettino", "Servizi", "Dieta"]
    {
        assert!(page.says(&format!("<th scope=\"col\">{column}</th>")), "{column}: {}", page.text());
    }
    let children = rows(&page, "I figli con il saldo");
    let giulia = children.iter().find(|row| row[0].starts_with("Giulia")).expect("Giulia");
    let luca = children.iter().find(|row| row[0].starts_with("Luca")).expect("Luca");
    assert!(giulia[5].contains("Mensa scolastica") && giulia[6] == "non indicata", "{giulia:?}");
    assert!(giulia[2].contains('€') && luca[1].contains("€"), "{children:?}");
    // What is owed of the bill for both is divided to the cent: together it is what the portal asks for.
    let cents = |row: &[String]| row[3].replace([' ', '€', ',', '.'], "").parse::<i64>().expect("an amount");
    assert_eq!(cents(giulia) + cents(luca), -27_333, "{children:?}");
    assert!(cents(giulia) < 0 && cents(luca) < 0, "{children:?}");
    // The balance of all services of a child is the sum of its balances by service.
    let services = rows(&page, "Quanto resta per ogni servizio");
    assert!(services.iter().any(|row| row[0].starts_with("Mensa scolastica") && row[1] == "Giulia"), "{services:?}");
    assert!(services.is_sorted_by_key(|row| row[0].clone()), "{services:?}");

    let giulias = code_of(house, "Giulia").await;
    let diet = Some("senza glutine <b>".to_owned());
    assert_eq!(change_diet(&house.fresh.store, act(house), (giulias, diet)).await.expect("known"), "Giulia");
    let page = maria.get(&at("/consumatori")).await;
    assert!(page.says("senza glutine &#60;b&#62;"), "{}", page.text());
    let unknown = change_diet(&house.fresh.store, act(house), ("RSSMRA80A01H501U".to_owned(), None)).await;
    assert!(unknown.is_err(), "no child has it");
    // A payment moves both balances.
    let bill = house.phone(MARIA).await.home().await.expect("home").bills;
    for bill in bill {
        let notice = bill.notice.expect("a notice");
        assert!(house.deliver(&Receipt::new(&notice.number, notice.amount_cents)).await.is_ok());
    }
    let page = maria.get(&at("/consumatori")).await;
    let owed: i64 = rows(&page, "I figli con il saldo").iter().map(|row| cents(row)).sum();
    assert!(owed > -27_333, "{}", page.text());
    // Another family sees its own.
    let amina = house.visitor(TOWN, AMINA).await.get(&at("/consumatori")).await;
    assert!(!amina.says("Giulia") && !amina.says("glutine"), "{}", amina.text());
}

/// A child's codice fiscale, as the database has it.
async fn code_of(house: &House, given_name: &str) -> String {
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    for code in codes {
        let wanted = code.clone();
        let read = house.app.store.read(move |tx| Box::pin(async move { tx.child_by_code(&town(), &wanted).await }));
        if read.await.expect("a readable database").is_some_and(|child| child.given_name == given_name) {
            return code;
        }
    }
    panic!("{given_name} is not there");
}

async fn bills_of_a_school_year_say_what_is_left(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let page = maria.get(&at("/bollettini")).await;
    for column in ["Tipo", "Anno", "Numero", "Scadenza", "Importo totale", "Pagato", "Residuo"] {
        assert!(page.says(&format!("<th scope=\"col\">{column}</th>")), "{column}: {}", page.text());
    }
    let bill = house.phone(MARIA).await.home().await.expect("home").bills;
    let bill = bill.into_iter().find(|bill| bill.number == "2026/204").expect("a bill");
    let of = |page: &Page| {
        let found = rows(page, "Bollettini dell").into_iter().find(|row| row[2].starts_with("2026/204"));
        found.unwrap_or_else(|| panic!("{}", page.text()))
    };
    assert_eq!(of(&page)[1], "2026/2027");
    assert_eq!((&*of(&page)[4], &*of(&page)[5], &*of(&page)[6]), ("36,00 €", "0,00 €", "36,00 €"));
    let notice = bill.notice.expect("a notice").number;
    assert!(house.deliver(&Receipt::new(&notice, 1_600)).await.is_ok());
    let page = maria.get(&at("/bollettini?anno=2026")).await;
    assert_eq!((&*of(&page)[5], &*of(&page)[6]), ("16,00 €", "20,00 €"), "part of it is paid");
    assert!(of(&page)[7].contains("Pagato in parte"), "{:?}", of(&page));
    let detail = maria.get(&at(&format!("/bollettini/{}", bill.id))).await;
    for text in ["Dettaglio documento", "Trasporto", "Giulia", "16,00 €", "20,00 €", "Avviso di pagamento", "Ricevuta"]
    {
        assert!(detail.says(text), "{text}: {}", detail.text());
    }
    let paolo = house.visitor(TOWN, PAOLO).await.get(&at(&format!("/bollettini/{}", bill.id))).await;
    assert!(paolo.says("16,00 €") && !paolo.says("/ricevuta/"), "the receipt is Maria's: {}", paolo.text());
    assert!(paolo.says("La ricevuta è dell"), "{}", paolo.text());
    // Another year, and no year.
    let none = maria.get(&at("/bollettini?anno=2024")).await;
    assert!(none.says("Nessun bollettino") && !none.says("2026/204"), "{}", none.text());
    for year in ["1999", "2050", "x", "-1"] {
        assert_eq!(maria.get(&at(&format!("/bollettini?anno={year}"))).await.status, 409, "{year}");
    }
    // Another family's bill.
    let amina = house.visitor(TOWN, AMINA).await;
    assert!(!amina.get(&at("/bollettini")).await.says("2026/204"));
    for id in [bill.id.clone(), "nonsense".to_owned(), borsellino_tests::house::new_id()] {
        assert_eq!(amina.get(&at(&format!("/bollettini/{id}"))).await.status, 404, "{id}");
    }
}

async fn search(browser: &Browser, words: &str) -> Page {
    let form = browser.get(&at("/cerca")).await.form(&at("/cerca"));
    browser.send(&form.with("cerca", words)).await
}

async fn everything_is_found_however_it_is_asked_for(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let home = house.phone(MARIA).await.home().await.expect("home");
    let bill = home.bills.iter().find(|bill| bill.number == "2026/204").expect("a bill");
    let number = bill.notice.as_ref().expect("a notice").number.clone();
    let grouped = format!("{} {} {}", &number[..4], &number[4..8], &number[8..12]);
    for sought in ["2026/204", "36,00", "36.00 €", "trasporto giulia", &number, &number[1..], &grouped, "TRASPORTO"] {
        let page = search(&maria, sought).await;
        assert!(page.status == 200 && page.says(&format!("/bollettini/{}", bill.id)), "{sought}: {}", page.text());
    }
    // What was paid too, by the day and by the amount.
    let paid = search(&maria, "mensa 60,00").await;
    assert!(paid.says("Operazione conclusa") && paid.says("/esito/ricarica/"), "{}", paid.text());
    let nothing = search(&maria, "pianoforte").await;
    assert!(nothing.says("Non si è trovato nulla") && nothing.says("value=\"pianoforte\""), "{}", nothing.text());
    for (bad, said) in [("", "Scrivi che cosa cerchi"), (&*"x".repeat(81), "Al massimo 80 caratteri")] {
        let page = search(&maria, bad).await;
        assert!(page.status == 422 && page.says(said), "{}", page.text());
    }
    let script = search(&maria, "<script>alert(1)</script>").await;
    assert!(script.status == 200 && !script.says("<script>alert"), "{}", script.text());
    // Nobody finds what is another family's, nor a top-up that the other parent has not paid.
    let canteen = borsellino_tests::house::wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let open = house.phone(MARIA).await.top_up(&canteen, 1_700, borsellino_proto::v1::PayBy::Notice).await;
    let open = open.expect("a top-up").notice.expect("a notice").number;
    assert!(search(&maria, &open).await.says("17,00 €"));
    let paolo = house.visitor(TOWN, PAOLO).await;
    assert!(search(&paolo, &open).await.says("Non si è trovato nulla"));
    assert!(search(&paolo, "2026/204").await.says(&bill.id), "the family's bills are both parents'");
    let amina = house.visitor(TOWN, AMINA).await;
    assert!(search(&amina, &number).await.says("Non si è trovato nulla"));
}

async fn what_was_paid_at_the_counter_has_its_receipt(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let home = house.phone(MARIA).await.home().await.expect("home");
    let payment = &home.payments[0];
    let notice = payment.notice.as_ref().expect("a notice").number.clone();
    let receipt = at(&format!("/ricevuta/ricarica/{}/pdf", payment.id));
    assert_eq!(maria.get(&receipt).await.status, 409, "not paid yet");
    settle_notice(&house.fresh.store, act(house), notice.clone()).await.expect("it was open");
    let archive = maria.get(&at("/archivio")).await;
    assert!(archive.says("pagato allo sportello") && archive.says(&receipt), "{}", archive.text());
    assert!(!archive.says(&receipt.replace("/pdf", "/xml")), "pagoPA knows nothing of it");
    let pdf = maria.get(&receipt).await;
    assert_eq!(pdf.status, 200, "{}", pdf.text());
    let text = pdf_text(&pdf.bytes);
    for what in ["Ricevuta di pagamento allo sportello", "20,00", &notice[1..], "20/11/2026"] {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert_eq!(maria.get(&receipt.replace("/pdf", "/xml")).await.status, 409);
    // The other parent sees that it was paid, and has no receipt of it; another family sees nothing.
    for other in [PAOLO, AMINA] {
        assert_eq!(house.visitor(TOWN, other).await.get(&receipt).await.status, 404, "{other}");
    }
    // A bill in parts: one at the counter, one through pagoPA, both receipts are there to choose from.
    let bill = home.bills.iter().find(|bill| bill.number == "2026/204").expect("a bill");
    let its = bill.notice.as_ref().expect("a notice").number.clone();
    assert!(house.deliver(&Receipt::new(&its, 1_600)).await.is_ok());
    settle_notice(&house.fresh.store, act(house), its).await.expect("half of it is open");
    let both = at(&format!("/ricevuta/bollettino/{}/pdf", bill.id));
    let choice = maria.get(&both).await;
    assert!(choice.says("16,00 €") && choice.says("20,00 €"), "{}", choice.text());
    assert!(maria.get(&format!("{both}?numero=1")).await.bytes.starts_with(b"%PDF-"));
}

async fn a_category_shows_its_own(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    let all = maria.get(&at("/paga")).await;
    assert!(all.says("Categoria di pagamento") && all.says("Pagamento cumulativo"), "{}", all.text());
    let shown = maria.get(&at("/paga?categoria=Trasporto+scolastico")).await;
    assert!(shown.says("selected") && shown.says("36,00 €"), "{}", shown.text());
    assert!(rows(&shown, "Bollettini e ricariche").len() < rows(&all, "Bollettini e ricariche").len());
    // One that there is not hides nothing.
    let none = maria.get(&at("/paga?categoria=Pianoforte")).await;
    assert_eq!(rows(&none, "Bollettini e ricariche").len(), rows(&all, "Bollettini e ricariche").len());
}

async fn the_fee_is_known_before_leaving(house: &House) {
    let maria = house.visitor(TOWN, MARIA).await;
    assert!(!maria.get(&at("/paga")).await.says("Commissione"), "nobody knows it");
    let table = FeeTable::parse_csv("channel;from;to;fee\ncard;0;9999;0,70\napp;0;9999;0\n").expect("a table");
    fees::import(&house.app.store, town(), &table, house.app.now()).await.expect("imported");
    for path in ["/paga", "/ricarica"] {
        let page = maria.get(&at(path)).await;
        assert!(page.says("0,70 €") && page.says("Commissione prevista"), "{path}: {}", page.text());
    }
}
