//! Documents on a phone, from a real server's press: the app core has the very files, and has them again without the network.

use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{
    AccountKey, Amount, App, Clock, Config, Document, Error, InsecureFileStore, Language, Millis, NoticeOf, Pace,
    PayBy, PaymentOf, Reason, ReceiptFormat, SystemClock,
};
use borsellino_proto::v1;
use borsellino_tests::house::{Gate, House, MARIA, PAOLO, PASSWORD, TOWN};
use serde_json::Value;
use tempfile::TempDir;

use super::{Pocket, events, last};

borsellino_tests::in_both_houses! {
    every_document_is_the_servers_and_is_there_without_the_network;
    a_phone_saves_documents_to_files;
    a_line_that_died_unnoticed_costs_a_read_nothing;
}

/// The house's clock, which moves only when it is told to.
struct Told(borsellino_server::clock::Clock);

impl Clock for Told {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.0.now().get()).expect("after 1970")
    }

    fn boot(&self) -> String {
        "the only one".to_owned()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SystemClock.fill(bytes)
    }
}

struct Hand {
    app: App,
    gate: Gate,
    account: AccountKey,
    _data: TempDir,
}

impl Hand {
    async fn of(house: &House, username: &str) -> Self {
        let data = TempDir::with_prefix("borsellino-documents-").expect("a folder");
        let gate = Gate::before(&house.at.web).await;
        let mut config = Config::new(data.path().join("cache"), gate.url(), Language::Italian);
        config.pace = Pace { patience: Duration::from_secs(20), call: Duration::from_secs(20), ..Pace::default() };
        let store = Arc::new(InsecureFileStore::new(data.path().join("secrets")));
        let app = App::open(config, store, Arc::new(Told(house.app.clock.clone()))).await.expect("an open app");
        let account = app.sign_in(TOWN, username, PASSWORD).await.expect("a sign-in").key;
        app.refresh_home().await.expect("home");
        Self { app, gate, account, _data: data }
    }

    async fn ask(&self, document: &Document) -> Result<Vec<borsellino_core::DocumentFile>, Error> {
        self.app.documents(self.account.clone(), document.clone()).await
    }
}

fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> Reason {
    let Err(Error::Refused(no)) = answer else { panic!("no refusal: {answer:?}") };
    assert!(no.sentence.ends_with('.'), "{}", no.sentence);
    no.reason
}

/// A top-up of Giulia's canteen that was paid at a counter.
async fn paid(house: &House, hand: &Hand) -> borsellino_core::TopUpId {
    let wallet = hand.app.cached_home().expect("a cache").expect("home").children[0].wallets[0].id;
    let amount = Amount::from_cents(2_000).expect("an amount");
    let top_up = hand.app.start_top_up(wallet, amount, PayBy::Notice).await.expect("a top-up");
    let number = top_up.notice.expect("a notice").number;
    assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");
    top_up.id
}

async fn every_document_is_the_servers_and_is_there_without_the_network(house: &House) {
    let maria = Hand::of(house, MARIA).await;
    let top_up = paid(house, &maria).await;
    maria.app.sync().await.expect("news");
    let home = maria.app.cached_home().expect("a cache").expect("home");
    let (bill, child) = (home.bills[0].id, home.children[0].id);
    let wallet = home.children[0].wallets[0].id;
    let receipts = |format| Document::Receipts { payment: PaymentOf::TopUp(top_up), format };
    let day = Millis::new(house.now()).day_in_italy().expect("a day");
    let (year, today) = (u16::try_from(day.year()).expect("a year"), day.to_string());
    let all = [
        Document::Notice(NoticeOf::Bill(bill)),
        receipts(ReceiptFormat::Pdf),
        receipts(ReceiptFormat::Xml),
        Document::Certificate { child, year },
        Document::Statement { wallet, from: format!("{year}-09-01"), to: today.clone() },
    ];
    let mut fetched = Vec::new();
    for document in &all {
        let files = maria.ask(document).await.expect("a document");
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let starts: (&str, &[u8]) = match document {
            Document::Receipts { format: ReceiptFormat::Xml, .. } => ("application/xml", b"<"),
            _ => ("application/pdf", b"%PDF-"),
        };
        assert!(file.media_type == starts.0 && file.content.starts_with(starts.1) && !file.from_cache, "{file:?}");
        assert!(file.as_of.is_some() && file.content.len() <= 1_000_000, "{file:?}");
        fetched.push(files);
    }
    // The very bytes that any other client is given.
    let wire = house.phone(MARIA).await;
    let notice = home.bills[0].notice.as_ref().expect("a notice").number.clone();
    let mut request = tonic::Request::new(v1::GetNoticeRequest { notice_number: notice });
    let bearer = format!("Bearer {}", wire.tokens.access_token).parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    let mut client = v1::documents_client::DocumentsClient::new(house.channel());
    let same = client.get_notice(request).await.expect("a notice").into_inner();
    assert_eq!(same.document.expect("a document").content, fetched[0][0].content);

    // An hour without the network.
    house.advance(Duration::from_secs(3_600));
    maria.gate.close();
    for (document, files) in all.iter().zip(&fetched) {
        let kept = maria.ask(document).await.expect("a copy");
        assert!(kept[0].from_cache && kept[0].as_of == files[0].as_of && kept[0].content == files[0].content);
    }
    assert!(maria.app.document_link(maria.account.clone(), all[0].clone()).await.is_err());

    // Somebody else pays the bill: once the phone has heard of it, its notice is not given out any more.
    maria.gate.open();
    let number = home.bills[0].notice.as_ref().expect("a notice").number.clone();
    assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");
    assert_eq!(reason(maria.ask(&all[0]).await), Reason::NoticeNotPayable, "the server knows first");
    maria.app.sync().await.expect("news");
    maria.gate.close();
    assert_eq!(reason(maria.ask(&all[0]).await), Reason::NoticeNotPayable);
    maria.gate.open();

    // A link shows the same to a browser that nobody is signed in with.
    let link = maria.app.document_link(maria.account.clone(), all[3].clone()).await.expect("a link");
    let path = link.url.strip_prefix(house.app.public_url.as_ref()).expect("the house's own");
    let shown = house.http.get(format!("{}{path}", house.at.web)).send().await.expect("an answer");
    assert_eq!(
        (shown.status().as_u16(), shown.headers()["content-type"].to_str().ok()),
        (200, Some("application/pdf"))
    );
    assert!(shown.bytes().await.expect("bytes").starts_with(b"%PDF-"));

    // What is a payer's own is not the other parent's.
    let paolo = Hand::of(house, PAOLO).await;
    assert_eq!(reason(paolo.ask(&all[1]).await), Reason::UnknownTopUp);
    // This house has no mail server; nobody is told that a letter went out.
    let unpaid = paolo.app.cached_home().expect("a cache").expect("home").bills.first().map(|bill| bill.id);
    if let Some(unpaid) = unpaid {
        let sent = paolo.app.send_notice(paolo.account.clone(), NoticeOf::Bill(unpaid), None).await;
        assert!(matches!(sent, Err(Error::Refused(_))), "{sent:?}");
    }
    for hand in [maria, paolo] {
        hand.app.shutdown().await;
    }
}

async fn a_phone_saves_documents_to_files(house: &House) {
    let pocket = Pocket::new(house);
    let to = pocket.data.path().join("saved");
    let to = to.display();
    let script = format!(
        "topup 1 20 notice; document notice topup 1 {to}; document notice bill 1 {to}; document statement 1 2026-09-01 2026-11-20 {to}; \
         quit"
    );
    let played = pocket.play(&script, None).await;
    assert!(played.status.success(), "{played:?}");
    let told = events(&played);
    let saved: Vec<&Value> = told.iter().filter(|event| event["event"] == "document").collect();
    assert_eq!(saved.len(), 3, "{told:#?}");
    for event in saved {
        let file = std::fs::read(event["path"].as_str().expect("a path")).expect("a file");
        assert!(file.starts_with(b"%PDF-") && event["from_cache"] == false, "{event}");
    }
    // What was paid is in the archive under its number.
    let number = last(&told, "top_up")["notice"]["number"].as_str().expect("a notice").to_owned();
    assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");
    let year = &Millis::new(house.now()).day_in_italy().expect("a day").to_string()[..4];
    let script =
        format!("refresh; document receipt 1 {to}; document original 1 {to}; document certificate 1 {year} {to}; quit");
    let played = pocket.play(&script, None).await;
    assert!(played.status.success(), "{played:?}");
    let told = events(&played);
    let names: Vec<&str> = told.iter().filter_map(|event| event["path"].as_str()).collect();
    assert!(names.len() == 3 && names[0].ends_with(".pdf") && names[1].ends_with(".xml"), "{names:?}");
}

async fn a_line_that_died_unnoticed_costs_a_read_nothing(house: &House) {
    let maria = Hand::of(house, MARIA).await;
    let home = maria.app.cached_home().expect("a cache").expect("home");
    let notice = Document::Notice(NoticeOf::Bill(home.bills[0].id));
    // As after a tunnel: the phone believes in a connection that is none any more, and the parent taps once.
    maria.gate.snap();
    maria.app.document_link(maria.account.clone(), notice.clone()).await.expect("a link");
    maria.gate.snap();
    let files = maria.ask(&notice).await.expect("a document");
    assert!(!files[0].from_cache, "the server was there");
    maria.gate.snap();
    maria.app.sync().await.expect("news");
    // What sends a letter is not repeated unasked.
    maria.gate.snap();
    let sent = maria.app.send_notice(maria.account.clone(), NoticeOf::Bill(home.bills[0].id), None).await;
    assert_eq!(sent.expect("a word").sent, borsellino_core::NoticeSent::Unknown);
    maria.app.shutdown().await;
}
