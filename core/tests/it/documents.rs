//! Documents: fetched, kept sealed, given again without the network while they are good, and gone with the account.

use borsellino_core::{
    AccountKey, App, ChildId, Document, DocumentFile, Error, Invalid, NoticeOf, NoticeSent, PayBy, PaymentOf, Reason,
    ReceiptFormat, TopUpState,
};
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;

use crate::fake::{AS_OF, BILL, CHILD, CREDITOR, Fake, Oddity};
use crate::support::{Phone, canteen, euros, phone};

fn key(app: &App) -> AccountKey {
    app.accounts()[0].key.clone()
}

fn bill() -> Document {
    Document::Notice(NoticeOf::Bill(BILL.parse().unwrap()))
}

fn child() -> ChildId {
    CHILD.parse().unwrap()
}

fn certificate(year: u16) -> Document {
    Document::Certificate { child: child(), year }
}

fn receipts(format: ReceiptFormat) -> Document {
    Document::Receipts { payment: PaymentOf::Bill(BILL.parse().unwrap()), format }
}

fn statement(from: &str, to: &str) -> Document {
    Document::Statement { wallet: canteen(), from: from.into(), to: to.into() }
}

async fn one(app: &App, document: Document) -> Result<DocumentFile, Error> {
    let mut files = app.documents(key(app), document).await?;
    assert_eq!(files.len(), 1, "{files:?}");
    Ok(files.remove(0))
}

fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> Reason {
    let Err(Error::Refused(no)) = answer else { panic!("no refusal: {answer:?}") };
    assert!(!no.sentence.is_empty());
    no.reason
}

/// How many documents lie in the cache, and how many bytes they take.
fn kept(phone: &Phone) -> (i64, i64) {
    let cache = rusqlite::Connection::open(phone.folder.path().join("cache.sqlite")).unwrap();
    let text = "SELECT COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0) FROM document";
    cache.query_row(text, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

async fn with_top_up() -> (Fake, Phone, App, Document) {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let top_up = app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    assert!(matches!(top_up.state, TopUpState::Payable { .. }));
    (fake, phone, app, Document::Notice(NoticeOf::TopUp(top_up.id)))
}

#[tokio::test]
async fn every_kind_is_fetched_and_given_again_without_the_network() {
    let (fake, phone, app, top_up) = with_top_up().await;
    let all = [
        (top_up, vec!["avviso-301000000000004285.pdf"]),
        (bill(), vec!["avviso-302000000000001177.pdf"]),
        (receipts(ReceiptFormat::Pdf), vec!["ricevuta-1.pdf", "ricevuta-2.pdf"]),
        (receipts(ReceiptFormat::Xml), vec!["ricevuta-1.xml", "ricevuta-2.xml"]),
        (certificate(2025), vec!["attestazione-2025.pdf"]),
        (certificate(2026), vec!["attestazione-2026.pdf"]),
        // The server's folder is not ours.
        (statement("2026-09-01", "2026-11-20"), vec!["estratto 2026-09-01 2026-11-20.pdf"]),
        (statement("2026-09-01", "2026-11-19"), vec!["estratto 2026-09-01 2026-11-19.pdf"]),
    ];
    let mut fetched = Vec::new();
    for (document, names) in &all {
        let files = app.documents(key(&app), document.clone()).await.unwrap();
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), *names);
        for file in &files {
            assert!(
                !file.from_cache && file.content.starts_with(b"%PDF ") && file.media_type.starts_with("application/")
            );
            assert_eq!((file.as_of.unwrap().get(), file.as_of_text.as_str()), (AS_OF, "aggiornato oggi alle 8:12"));
        }
        fetched.push(files);
    }
    // Asked for again, they are fresh.
    let again = one(&app, bill()).await.unwrap();
    assert!(!again.from_cache && again.content != fetched[1][0].content);
    fetched[1][0] = again;

    // Another process later, an hour later, without the network.
    app.shutdown().await;
    fake.reachable(false);
    phone.clock.go_by(3_600_000);
    let app = phone.open().await;
    for ((document, _), files) in all.iter().zip(&fetched) {
        let given = app.documents(key(&app), document.clone()).await.unwrap();
        let stood: Vec<DocumentFile> =
            files.iter().cloned().map(|file| DocumentFile { from_cache: true, ..file }).collect();
        assert_eq!(given, stood);
    }
    // The phone was started again: how old it is is still known, what "today" is is not.
    phone.clock.restart();
    let old = one(&app, certificate(2025)).await.unwrap();
    assert_eq!(
        (old.as_of.unwrap().get(), old.as_of_text.as_str()),
        (AS_OF, "aggiornato il 20 novembre 2026 alle 8:12")
    );
    // What was never fetched is not there, and nobody's documents are another's.
    assert_eq!(one(&app, certificate(2024)).await, Err(Error::Offline));
    let stranger = AccountKey::from("nobody".to_owned());
    assert_eq!(app.documents(stranger, bill()).await, Err(Error::Invalid(Invalid::Account)));
}

#[tokio::test]
async fn a_server_that_can_not_print_is_no_reason_to_have_nothing() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let busy =
        || Oddity::Refuse(Refused { retry_after_ms: Some(5_000), ..Refused::new(v1::Reason::PrinterBusy, "Busy.") });
    fake.odd("get_certificate", busy());
    let Err(Error::Refused(no)) = one(&app, certificate(2025)).await else { panic!("nothing was kept") };
    assert_eq!((no.reason, no.retry_after_ms, no.is_final), (Reason::PrinterBusy, Some(5_000), false));
    let fetched = one(&app, certificate(2025)).await.unwrap();
    let oddities = [busy(), Oddity::Refuse(Refused::new(v1::Reason::Unavailable, "Later.")), Oddity::Unimplemented];
    for odd in oddities {
        fake.odd("get_certificate", odd);
        let given = one(&app, certificate(2025)).await.unwrap();
        assert!(given.from_cache && given.content == fetched.content);
    }
    // An answer that was lost on the way is asked for again; one that is lost time and again is no answer.
    fake.odd("get_certificate", Oddity::LoseAnswer);
    let fetched = one(&app, certificate(2025)).await.unwrap();
    assert!(!fetched.from_cache);
    for _ in 0..3 {
        fake.odd("get_certificate", Oddity::LoseAnswer);
    }
    let given = one(&app, certificate(2025)).await.unwrap();
    assert!(given.from_cache && given.content == fetched.content);
    // A no is a no, and what was kept is kept no longer.
    fake.odd("get_certificate", Oddity::Refuse(Refused::new(v1::Reason::NothingPaid, "Nothing.")));
    assert_eq!(reason(one(&app, certificate(2025)).await), Reason::NothingPaid);
    fake.reachable(false);
    assert_eq!(one(&app, certificate(2025)).await, Err(Error::Offline));
    assert_eq!(kept(&phone).0, 0);
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for_longer_than_a_parent_waits() {
    let (fake, mut phone) = phone().await;
    phone.patience = std::time::Duration::from_millis(300);
    let app = phone.signed_in().await;
    one(&app, certificate(2025)).await.unwrap();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    fake.odd("get_certificate", Oddity::Hold(gate));
    assert!(one(&app, certificate(2025)).await.unwrap().from_cache);
}

#[tokio::test]
async fn a_notice_that_is_settled_is_not_given_out_again() {
    let (fake, _phone, app, top_up) = with_top_up().await;
    let Document::Notice(NoticeOf::TopUp(id)) = top_up else { unreachable!() };
    one(&app, top_up.clone()).await.unwrap();
    fake.reachable(false);
    assert!(one(&app, top_up.clone()).await.unwrap().from_cache);
    // Paid, and the phone has heard of it.
    fake.reachable(true);
    fake.receipt(&id.to_string());
    app.sync().await.unwrap();
    fake.reachable(false);
    let calls = fake.calls("get_notice");
    assert_eq!(reason(one(&app, top_up.clone()).await), Reason::NoticeNotPayable);
    fake.reachable(true);
    app.refresh_home().await.unwrap();
    assert_eq!(reason(one(&app, top_up).await), Reason::NoticeNotPayable);
    assert_eq!(fake.calls("get_notice"), calls, "there is no use in asking");

    // A bill that asks for something else than its document: part of it was paid.
    one(&app, bill()).await.unwrap();
    {
        let mut state = fake.state();
        let bill = &mut state.home.bills[0];
        (bill.paid_cents, bill.residual_cents) = (2_000, 3_733);
        bill.notice.as_mut().unwrap().amount_cents = 3_733;
        bill.set_state(v1::BillState::PartPaid);
    }
    app.refresh_home().await.unwrap();
    fake.reachable(false);
    assert_eq!(one(&app, bill()).await, Err(Error::Offline));
    fake.reachable(true);
    one(&app, bill()).await.unwrap();

    // The server says so before the phone hears of it.
    fake.state().print.settled.push("302000000000001177".into());
    assert_eq!(reason(one(&app, bill()).await), Reason::NoticeNotPayable);
    fake.reachable(false);
    assert_eq!(one(&app, bill()).await, Err(Error::Offline));

    // Gone from the home screen.
    fake.reachable(true);
    fake.state().home.bills.clear();
    app.refresh_home().await.unwrap();
    assert_eq!(reason(one(&app, bill()).await), Reason::NoticeNotPayable);
}

#[tokio::test]
async fn a_notice_expires_without_anybody_telling() {
    let (fake, phone, app, top_up) = with_top_up().await;
    one(&app, top_up.clone()).await.unwrap();
    fake.reachable(false);
    // Not by the phone's date.
    phone.clock.set_wrong(400 * 86_400_000);
    assert!(one(&app, top_up.clone()).await.unwrap().from_cache);
    phone.clock.go_by(31 * 86_400_000);
    assert_eq!(reason(one(&app, top_up).await), Reason::NoticeNotPayable);
}

#[tokio::test]
async fn an_instalments_document_is_its_bills() {
    let (fake, phone) = phone().await;
    {
        let mut state = fake.state();
        let bill = &mut state.home.bills[0];
        let first = bill.notice.clone().unwrap();
        let second = v1::Notice { number: "302000000000001278".into(), amount_cents: 2_867, ..first.clone() };
        let part = |number, notice| v1::Instalment {
            number,
            due_date: "2026-12-20".into(),
            amount_cents: 2_867,
            state: v1::PaymentState::Payable.into(),
            in_progress_until_ms: 0,
            notice,
        };
        bill.instalments = vec![part(1, None), part(2, Some(first)), part(3, Some(second))];
    }
    let app = phone.signed_in().await;
    let part = |number| Document::Notice(NoticeOf::Instalment { bill: BILL.parse().unwrap(), number });
    assert_eq!(one(&app, part(3)).await.unwrap().name, "avviso-302000000000001278.pdf");
    for paid in [1, 4] {
        assert_eq!(reason(one(&app, part(paid)).await), Reason::NoticeNotPayable);
    }
    fake.reachable(false);
    assert_eq!(one(&app, bill()).await.unwrap().name, "avviso-302000000000001278.pdf");
}

#[tokio::test]
async fn what_is_kept_is_sealed_and_goes_with_the_account() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let account = key(&app);
    let fetch = async |app: &App| {
        one(app, bill()).await.unwrap();
        one(app, certificate(2025)).await.unwrap();
        assert_eq!(kept(&phone).0, 2);
        let bytes = phone.bytes();
        for plain in ["%PDF", "in print", "Giulia", "attestazione", "302000000000001177"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain}");
        }
    };
    fetch(&app).await;
    // Signed out, without the network.
    fake.reachable(false);
    app.sign_out().await.unwrap();
    assert_eq!(kept(&phone).0, 0);
    assert_eq!(app.documents(account.clone(), bill()).await, Err(Error::Invalid(Invalid::Account)));
    // Ended by the office.
    fake.reachable(true);
    let enter = async |app: &App| {
        app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
        app.refresh_home().await.unwrap();
    };
    enter(&app).await;
    fetch(&app).await;
    fake.state().ended = true;
    assert_eq!(one(&app, bill()).await, Err(Error::SignedOut));
    assert_eq!(kept(&phone).0, 0);
    // Wiped: said to be lost.
    enter(&app).await;
    fetch(&app).await;
    fake.odd("get_notice", Oddity::Refuse(Refused::new(v1::Reason::SessionWiped, "Lost.")));
    assert_eq!(one(&app, bill()).await, Err(Error::Wiped));
    assert!(app.accounts().is_empty());
    assert_eq!(kept(&phone).0, 0);
    // A sign-out that was killed half-way is finished with the next start.
    enter(&app).await;
    fetch(&app).await;
    app.shutdown().await;
    phone.store.remove("borsellino-accounts").unwrap();
    phone.open().await;
    assert_eq!(kept(&phone).0, 0);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_sign_out_is_not_kept() {
    let (fake, phone) = phone().await;
    let app = std::sync::Arc::new(phone.signed_in().await);
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    fake.odd("get_certificate", Oddity::Hold(gate.clone()));
    let (asking, account) = (app.clone(), key(&app));
    let answer = tokio::spawn(async move { asking.documents(account, certificate(2025)).await });
    while fake.calls("get_certificate") == 0 {
        tokio::task::yield_now().await;
    }
    app.sign_out().await.unwrap();
    gate.notify_one();
    // Whoever asked may still see it.
    assert_eq!(answer.await.unwrap().unwrap().len(), 1);
    assert_eq!(kept(&phone).0, 0);
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let (fake, phone) = phone().await;
    fake.state().print.length = 3 * 1_024 * 1_024;
    let app = phone.signed_in().await;
    for year in 2015..=2019 {
        one(&app, certificate(year)).await.unwrap();
    }
    // Five are 15 MiB; looked at again, the oldest is the newest.
    fake.reachable(false);
    assert!(one(&app, certificate(2015)).await.unwrap().from_cache);
    fake.reachable(true);
    for year in 2020..=2021 {
        one(&app, certificate(year)).await.unwrap();
    }
    let (count, bytes) = kept(&phone);
    assert!(count == 5 && bytes <= 16 * 1_024 * 1_024, "{count} of {bytes} bytes");
    fake.reachable(false);
    for gone in [2016, 2017] {
        assert_eq!(one(&app, certificate(gone)).await, Err(Error::Offline), "{gone}");
    }
    for there in [2015, 2018, 2019, 2020, 2021] {
        assert!(one(&app, certificate(there)).await.unwrap().from_cache, "{there}");
    }
    // What they took is the phone's again.
    app.sign_out().await.unwrap();
    let left = phone.bytes().len();
    assert!(left < 1_000_000, "{left} bytes");
}

#[tokio::test]
async fn in_a_small_cache_documents_leave_room_for_orders() {
    let (fake, mut phone) = phone().await;
    // Two megabytes, of which documents take one.
    phone.pages = Some(512);
    fake.state().print.length = 300_000;
    let app = phone.signed_in().await;
    for year in 2016..=2025 {
        assert!(!one(&app, certificate(year)).await.unwrap().from_cache);
    }
    assert_eq!(kept(&phone).0, 3);
    // One that is larger than all may be: given, not kept, and the others stay.
    fake.state().print.length = 1_100_000;
    assert_eq!(one(&app, certificate(2015)).await.unwrap().content.len(), 1_100_000);
    assert_eq!(kept(&phone).0, 3);
    for number in 0..20 {
        app.start_top_up(canteen(), euros(&format!("{}", 5 + number)), PayBy::Notice).await.unwrap();
    }
}

#[tokio::test]
async fn on_a_full_phone_a_document_is_given_and_not_kept() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    one(&app, certificate(2025)).await.unwrap();
    app.shutdown().await;
    // Not a page more than there is.
    let cache = rusqlite::Connection::open(phone.folder.path().join("cache.sqlite")).unwrap();
    let pages: u32 = cache.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    drop(cache);
    let full = Phone { pages: Some(pages), ..phone };
    let app = full.open().await;
    fake.state().print.length = usize::try_from(pages).unwrap() * 1_500;
    let fresh = one(&app, certificate(2025)).await.unwrap();
    assert!(!fresh.from_cache);
    // The smaller one of before is what there is.
    fake.reachable(false);
    let kept = one(&app, certificate(2025)).await.unwrap();
    assert!(kept.from_cache && kept.content != fresh.content);
}

#[tokio::test]
async fn what_is_no_period_or_address_is_not_sent() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    for (from, to) in [("", ""), ("2026-02-30", "2026-11-20"), ("2026-09-01", "tomorrow"), ("1.9.2026", "20.11.2026")] {
        assert_eq!(reason(one(&app, statement(from, to)).await), Reason::PeriodInvalid, "{from} {to}");
    }
    let notice = NoticeOf::Bill(BILL.parse().unwrap());
    let no = app.send_notice(key(&app), notice, Some("  ".into())).await;
    assert_eq!(reason(no), Reason::AddressInvalid);
    assert_eq!(fake.calls("get_statement") + fake.calls("send_notice"), 0);
}

#[tokio::test]
async fn a_notice_goes_out_by_mail_once() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let notice = NoticeOf::Bill(BILL.parse().unwrap());
    let send = async |address: Option<&str>| app.send_notice(key(&app), notice, address.map(str::to_owned)).await;
    let sent = send(None).await.unwrap();
    assert_eq!(sent.sent, NoticeSent::OnFile);
    assert_eq!(sent.sentence, "L'avviso parte ora verso l'indirizzo e-mail che il Comune ha di te.");
    assert_eq!(send(Some(" nonna@example.it ")).await.unwrap().sent, NoticeSent::AsLink);
    // It went out, and nobody said so.
    fake.odd("send_notice", Oddity::LoseAnswer);
    let unknown = send(None).await.unwrap();
    assert_eq!(unknown.sent, NoticeSent::Unknown);
    assert!(unknown.sentence.contains("prima di riprovare"), "{unknown:?}");
    let number = "302000000000001177".to_owned();
    let out = [(number.clone(), String::new()), (number.clone(), "nonna@example.it".into()), (number, String::new())];
    assert_eq!(fake.state().print.sent, out);
    fake.odd("send_notice", Oddity::Refuse(Refused::new(v1::Reason::NoMail, "No.")));
    assert_eq!(reason(send(None).await), Reason::NoMail);
    fake.reachable(false);
    assert!(matches!(
        send(None).await,
        Err(Error::Offline) | Ok(borsellino_core::SentNotice { sent: NoticeSent::Unknown, .. })
    ));
}

#[tokio::test]
async fn a_link_is_for_a_browser() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let link = app.document_link(key(&app), bill()).await.unwrap();
    assert_eq!(link.url, "https://mensa.example/d/302000000000001177");
    assert_eq!(link.expires_at.get(), AS_OF + 600_000);
    for document in [receipts(ReceiptFormat::Pdf), statement("2026-09-01", "2026-11-20")] {
        assert!(app.document_link(key(&app), document).await.unwrap().url.starts_with("https://"));
    }
    assert_eq!(app.document_link(key(&app), certificate(2025)).await, Err(Error::NotOurServer));
    fake.odd("create_link", Oddity::Unimplemented);
    assert_eq!(app.document_link(key(&app), bill()).await, Err(Error::OlderServer));
    fake.reachable(false);
    assert_eq!(app.document_link(key(&app), bill()).await, Err(Error::Offline));
}
