//! The documents people hold, through every door: who gets which, what stands on them as an independent reader (poppler) sees it,
//! links, refunds, and a billing run printed at once.

mod batch;
mod certificate;
mod program;

use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::money::Amount;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_proto::v1::ReceiptFormat::{Pdf, Xml};
use borsellino_proto::v1::get_receipts_request::Payment;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::documents::{Letterhead, LetterheadError, put_letterhead};
use borsellino_server::usecases::guardians::change_address;
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::proof_file::check;
use borsellino_server::usecases::queues::{Decision, resolve};
use borsellino_server::usecases::refunds::{Order, RefundRefusal, refund};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, Phone, TOWN, pdf_text, reason, refused, wallet};
use futures_util::future::join_all;

borsellino_tests::in_both_houses! {
    a_notice_names_who_owes_to_nobody_else;
    a_letterhead_stands_on_every_notice;
    a_receipt_is_for_who_owed_and_who_paid;
    of_a_bill_that_two_paid_each_has_their_own;
    a_statement_says_what_moved;
    a_link_leads_to_one_document_for_a_while;
    money_is_given_back_once;
}

fn town() -> CreditorCode {
    CreditorCode::from_digits(TOWN).expect("eleven digits")
}

fn act(house: &House) -> Act {
    Act::new(town(), house.app.now(), ("checked with the family".to_owned(), "A. Verdi".to_owned())).expect("an act")
}

/// Maria's waiting top-up and its notice.
async fn waiting(house: &House) -> (v1::Payment, v1::Notice) {
    let payment = house.phone(MARIA).await.home().await.expect("home").payments.first().cloned().expect("one");
    let notice = payment.notice.clone().expect("its notice");
    (payment, notice)
}

/// Maria's first bill and its notice.
async fn billed(house: &House) -> (v1::Bill, v1::Notice) {
    let bill = house.phone(MARIA).await.home().await.expect("home").bills.first().cloned().expect("a bill");
    let notice = bill.notice.clone().expect("its notice");
    (bill, notice)
}

/// Giulia's codice fiscale.
fn giulia_code() -> String {
    let codes = ('A'..='Z').map(|last| format!("RSSGLI17C48F205{last}"));
    codes.into_iter().find(|code| PersonalCode::parse(code).is_ok()).expect("one of them fits")
}

/// `3010 2605 5257 6798 18`.
fn grouped(number: &str) -> String {
    let groups: Vec<&str> = [0..4, 4..8, 8..12, 12..16, 16..18].into_iter().filter_map(|at| number.get(at)).collect();
    groups.join(" ")
}

fn payer(code: &str, name: &str) -> String {
    format!(
        "<payer><uniqueIdentifier><entityUniqueIdentifierType>F</entityUniqueIdentifierType>\
        <entityUniqueIdentifierValue>{code}</entityUniqueIdentifierValue></uniqueIdentifier>\
        <fullName>{name}</fullName></payer>"
    )
}

/// What a receipt says after the channel: who paid how and when.
fn paid_by(payer: &str, method: &str, at: &str) -> String {
    let method = if method.is_empty() { String::new() } else { format!("<paymentMethod>{method}</paymentMethod>") };
    format!("{payer}{method}<fee>0.50</fee><paymentDateTime>{at}</paymentDateTime>")
}

/// The codice fiscale of somebody in the demo.
async fn code_of(house: &House, username: &str) -> String {
    let name = username.to_owned();
    let read = house.app.store.read(move |tx| Box::pin(async move { tx.debtor(&town(), &name).await })).await;
    read.expect("a readable database").expect("somebody").fiscal_code
}

async fn movements(phone: &Phone, wallet: &str) -> Vec<v1::Movement> {
    phone.movements(wallet, 100, "").await.expect("movements").movements
}

async fn deliver(house: &House, notice: &str, cents: i64, tail: String) -> Receipt {
    let receipt = Receipt { tail, ..Receipt::new(notice, cents) };
    let answer = house.deliver(&receipt).await;
    assert!(answer.is_ok(), "{answer:?}");
    receipt
}

async fn a_notice_names_who_owes_to_nobody_else(house: &House) {
    let (maria, paolo, amina) = (house.phone(MARIA).await, house.phone(PAOLO).await, house.phone(AMINA).await);
    let (_, notice) = waiting(house).await;
    let address = Some("Via dei Tigli 7, 39100 Bolzano (BZ)".to_owned());
    change_address(&house.app.store, act(house), (MARIA.to_owned(), address)).await.expect("an address");
    let file = maria.notice_pdf(&notice.number).await.expect("a notice");
    assert_eq!((file.media_type.as_str(), file.name), ("application/pdf", format!("avviso-{}.pdf", notice.number)));
    let text = pdf_text(&file.content);
    for wanted in
        [&grouped(&notice.number), "Maria Bianchi", "Via dei Tigli 7", "20,00", TOWN, "BVDRS", "Comune di Valdorso"]
    {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(!text.contains("Giulia"), "no child on a notice");
    assert_eq!(maria.notice_pdf(&notice.number).await.expect("again").content, file.content, "the same bytes");
    for other in [&paolo, &amina] {
        assert_eq!(reason(other.notice_pdf(&notice.number).await), Reason::UnknownNotice);
    }

    // A bill: another guardian of the child may pay it, and is not told to whom it is addressed.
    let (bill, notice) = billed(house).await;
    let own = pdf_text(&maria.notice_pdf(&notice.number).await.expect("a notice").content);
    let theirs = pdf_text(&paolo.notice_pdf(&notice.number).await.expect("a notice").content);
    assert!(own.contains("Maria Bianchi") && own.contains(&grouped(&notice.number)), "{own}");
    assert!(theirs.contains(&grouped(&notice.number)), "{theirs}");
    for hidden in ["Maria", "Bianchi", "Tigli", &code_of(house, MARIA).await] {
        assert!(!theirs.contains(hidden), "{hidden} in {theirs}");
    }
    assert_eq!(reason(amina.notice_pdf(&notice.number).await), Reason::UnknownNotice);
    deliver(house, &notice.number, bill.residual_cents, String::new()).await;
    assert_eq!(reason(maria.notice_pdf(&notice.number).await), Reason::NoticeNotPayable);

    assert_eq!(reason(maria.notice_pdf("301000000000000000").await), Reason::Malformed);
    assert_eq!(reason(maria.notice_pdf("").await), Reason::Malformed);
    assert_eq!(reason(maria.with_token("x").notice_pdf(&notice.number).await), Reason::TokenInvalid);
    maria.sign_out().await.expect("an end");
    assert_eq!(reason(maria.notice_pdf(&notice.number).await), Reason::SessionEnded);
}

async fn a_letterhead_stands_on_every_notice(house: &House) {
    let maria = house.phone(MARIA).await;
    let (_, notice) = waiting(house).await;
    let listing = house.app.directory.listing();
    let creditor = listing.creditor(TOWN).expect("the town").clone();
    let put = async |change: Letterhead| put_letterhead(&house.app.store, &creditor, act(house), change).await;
    let text = |text: &str| Some(text.to_owned());
    let change = Letterhead {
        name_german: text("Gemeinde Goldtal"),
        sector: text("Ufficio scuola"),
        contacts: text("Tel. 000 1234567 · scuola@comune.example"),
        wording: text("it-de"),
        ..Letterhead::default()
    };
    put(change).await.expect("a letterhead");
    let pdf = maria.notice_pdf(&notice.number).await.expect("a notice").content;
    let words = pdf_text(&pdf);
    for wanted in ["Gemeinde Goldtal", "Comune di Valdorso", "Ufficio scuola", "scuola@comune.example", "Zahlung"] {
        assert!(words.contains(wanted), "{wanted} in {words}");
    }
    // What is wrong is named, and changes nothing.
    let refusals = [
        (Letterhead { sector: Some("x".repeat(51)), ..Letterhead::default() }, "--sector is longer than the 50"),
        (Letterhead { wording: text("fr"), ..Letterhead::default() }, "--wording is it, it-de, de or en"),
        (Letterhead { logo: Some(b"GIF89a no picture".to_vec()), ..Letterhead::default() }, "logo"),
        (Letterhead { logo: Some(vec![0; 5 << 20]), ..Letterhead::default() }, "logo"),
    ];
    for (change, why) in refusals {
        match put(change).await {
            Err(Stop::Refused(refusal)) => assert!(refusal.to_string().contains(why), "{refusal}"),
            other => panic!("not refused: {other:?}"),
        }
    }
    let unsigned = Act::new(town(), house.app.now(), (String::new(), String::new())).expect("an act");
    let unsigned = put_letterhead(&house.app.store, &creditor, unsigned, Letterhead::default()).await;
    assert!(matches!(unsigned, Err(Stop::Refused(LetterheadError::Office(_)))), "{unsigned:?}");
    assert_eq!(maria.notice_pdf(&notice.number).await.expect("a notice").content, pdf);
    // An empty text takes it away.
    put(Letterhead { name_german: text(""), wording: text("it"), ..Letterhead::default() }).await.expect("a change");
    let words = pdf_text(&maria.notice_pdf(&notice.number).await.expect("a notice").content);
    assert!(!words.contains("Goldtal") && words.contains("Ufficio scuola"), "{words}");
}

async fn a_receipt_is_for_who_owed_and_who_paid(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let (payment, notice) = waiting(house).await;
    let of = || Payment::TopUpId(payment.id.clone());
    assert_eq!(reason(maria.receipts_of(of(), Pdf).await), Reason::NotPaid);
    let tail = paid_by(&payer("BNCNNA50A41H501L", "Nonna d&apos;Oro"), "creditCard", "2026-11-20T10:30:00");
    let sent = deliver(house, &notice.number, notice.amount_cents, tail).await;
    house.seal().await;
    let [file] = maria.receipts_of(of(), Pdf).await.expect("a receipt").try_into().expect("one");
    let text = pdf_text(&file.content);
    for wanted in
        [sent.id.as_str(), &notice.number[1..], "20,00", "0,50", "20/11/2026", "Giulia", "Mensa scolastica", TOWN]
    {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    // The grandmother's data are hers.
    for hidden in ["Nonna", "BNCNNA50A41H501L"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    let withheld = refused(maria.receipts_of(of(), Xml).await);
    assert_eq!(withheld.reason, Reason::ReceiptWithheld);
    assert!(withheld.sentence.contains("PDF"), "{withheld:?}");
    // It carries the proof that a ledger knows.
    let proof = borsellino_documents::proof_in(&file.content).expect("a proof in it");
    let checked = check(&proof).expect("a proof that holds");
    assert_eq!(checked.proof.entry.receipt().map(|its| its.receipt_id.clone()), Some(sent.id));
    assert_eq!(reason(paolo.receipts_of(of(), Pdf).await), Reason::UnknownTopUp, "another guardian's");

    // Paolo pays Maria's bill: both have a receipt, each of them knows who paid as far as it is theirs.
    let (bill, notice) = billed(house).await;
    let of = || Payment::BillId(bill.id.clone());
    let his = code_of(house, PAOLO).await;
    let tail = paid_by(&payer(&his, "Paolo Rossi"), "bancomat", "2026-11-20T10:31:00");
    let sent = deliver(house, &notice.number, bill.residual_cents, tail).await;
    let [own] = paolo.receipts_of(of(), Pdf).await.expect("a receipt").try_into().expect("one");
    let [hers] = maria.receipts_of(of(), Pdf).await.expect("a receipt").try_into().expect("one");
    assert!(pdf_text(&own.content).contains(&his) && pdf_text(&own.content).contains(&sent.id));
    assert!(!pdf_text(&hers.content).contains(&his));
    for hidden in ["Persona di prova", "BNCMRA85D52F205Y", &code_of(house, MARIA).await] {
        assert!(!pdf_text(&own.content).contains(hidden), "who owed is not his to know: {hidden}");
    }
    for parent in [&paolo, &maria] {
        assert_eq!(reason(parent.receipts_of(of(), Xml).await), Reason::ReceiptWithheld, "it names both");
    }
    assert_eq!(reason(house.phone(AMINA).await.receipts_of(of(), Pdf).await), Reason::UnknownBill);
    let german = maria.speaking("de").receipts_of(of(), Pdf).await.expect("a receipt");
    assert!(pdf_text(&german[0].content).contains("Quittung"), "in the reader's language");
}

async fn of_a_bill_that_two_paid_each_has_their_own(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let (bill, notice) = billed(house).await;
    let of = || Payment::BillId(bill.id.clone());
    let [hers, his] = [code_of(house, MARIA).await, code_of(house, PAOLO).await];
    let tail = |code: &str, at: &str| paid_by(&payer(code, "Un genitore"), "creditCard", at);
    let first = deliver(house, &notice.number, 1_000, tail(&hers, "2026-11-20T10:30:00")).await;
    assert_eq!(reason(paolo.receipts_of(of(), Pdf).await), Reason::UnknownBill, "nothing of it is his");
    let second = deliver(house, &notice.number, bill.residual_cents - 1_000, tail(&his, "2026-11-20T10:31:00")).await;
    let texts = async |phone: &Phone| {
        let files = phone.receipts_of(of(), Pdf).await.expect("receipts");
        files.iter().map(|file| pdf_text(&file.content)).collect::<Vec<_>>()
    };
    let [own] = texts(&paolo).await.try_into().expect("his alone");
    assert!(own.contains(&second.id) && !own.contains(&first.id), "{own}");
    let both = texts(&maria).await;
    assert_eq!(both.len(), 2, "whose bill it is has all of them");
    let [xml] = maria.receipts_of(of(), Xml).await.expect("her original").try_into().expect("one");
    assert_eq!((xml.content, xml.media_type.as_str()), (first.xml().into_bytes(), "application/xml"), "as it came");
    use v1::create_link_request::Document;
    let asked = v1::GetReceiptsRequest {
        payment: Some(v1::get_receipts_request::Payment::BillId(bill.id.clone())),
        format: Pdf.into(),
    };
    let (url, _) = paolo.document_link(Document::Receipt(asked)).await.expect("a link");
    assert_eq!(house.http.get(&url).send().await.expect("an answer").status(), 200, "to his own");
}

async fn a_statement_says_what_moved(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let text = pdf_text(&maria.statement(&canteen.id, "2026-01-01", "2026-12-31").await.expect("a statement").content);
    assert!(text.contains("12,15"), "the balance of today in {text}");
    let moves = movements(&maria, &canteen.id).await;
    for movement in &moves {
        let balance = borsellino_domain::money::Cents::new(movement.balance_after_cents);
        let balance = balance.text(borsellino_domain::language::Language::Italian);
        assert!(text.contains(&balance), "{balance} of movement {} in {text}", movement.seq);
    }
    // A day on which nothing moved says what there was; none says what will be.
    let quiet = pdf_text(&maria.statement(&canteen.id, "2026-11-20", "2026-12-31").await.expect("a statement").content);
    assert!(quiet.contains("12,15"), "{quiet}");
    let before = pdf_text(&maria.statement(&canteen.id, "2020-01-01", "2020-01-31").await.expect("one").content);
    assert!(before.contains("0,00"), "{before}");
    for (from, to) in [
        ("2026-11-21", "2026-11-22"),
        ("2026-02-01", "2026-01-01"),
        ("2020-01-01", "2026-01-01"),
        ("-009999-01-01", "-009999-01-02"),
    ] {
        assert_eq!(reason(maria.statement(&canteen.id, from, to).await), Reason::PeriodInvalid, "{from} to {to}");
    }
    assert_eq!(reason(maria.statement(&canteen.id, "2026-02-30", "2026-03-01").await), Reason::Malformed);
    let amina = house.phone(AMINA).await;
    assert_eq!(reason(amina.statement(&canteen.id, "2026-01-01", "2026-12-31").await), Reason::UnknownWallet);
}

async fn a_link_leads_to_one_document_for_a_while(house: &House) {
    use v1::create_link_request::Document;
    let maria = house.phone(MARIA).await;
    let (_, notice) = waiting(house).await;
    let asked = || Document::Notice(v1::GetNoticeRequest { notice_number: notice.number.clone() });
    let (url, until) = maria.document_link(asked()).await.expect("a link");
    assert_eq!(until, house.now() + 10 * 60_000);
    let (_, token) = url.rsplit_once('/').expect("a token");
    for private in [notice.number.as_str(), TOWN, "maria", &maria.guardian.id] {
        assert!(!url.contains(private) && !decoded(token).contains(private), "{private} in {url}");
    }
    let got = house.http.get(&url).send().await.expect("an answer");
    assert_eq!(got.status(), 200);
    let header =
        |name: &str| got.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!((header("content-type").as_str(), header("cache-control").as_str()), ("application/pdf", "no-store"));
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"avviso-{}.pdf\"", notice.number));
    assert_eq!(
        (header("referrer-policy").as_str(), header("x-content-type-options").as_str()),
        ("no-referrer", "nosniff")
    );
    let bytes = got.bytes().await.expect("bytes");
    assert_eq!(bytes.as_ref(), maria.notice_pdf(&notice.number).await.expect("a notice").content);

    // Nothing else is behind it, and nothing of anybody's in the answer.
    let altered = format!("{}{}", &url[..url.len() - 1], if url.ends_with('A') { 'B' } else { 'A' });
    let root = url.strip_suffix(token).expect("a path");
    for bad in [altered, format!("{root}x"), format!("{root}{}", "A".repeat(5_000)), format!("{root}{token}{token}")] {
        let answer = house.http.get(&bad).send().await.expect("an answer");
        assert!(matches!(answer.status().as_u16(), 404 | 410 | 414), "{}", answer.status());
        let text = answer.text().await.expect("a page");
        assert!(!text.contains("Bianchi") && !text.contains(&notice.number), "{text}");
    }
    house.advance(Duration::from_secs(600));
    let late = house.http.get(&url).send().await.expect("an answer");
    assert_eq!(late.status(), 410);
    assert!(late.text().await.expect("a page").contains("Chiedi il documento di nuovo"));

    // Who may not see it gets no link that shows it; whose access ended has none any more.
    let amina = house.phone(AMINA).await;
    let (foreign, _) = amina.document_link(asked()).await.expect("a link to nothing");
    assert_eq!(house.http.get(&foreign).send().await.expect("an answer").status(), 410);
    let (url, _) = house.phone(MARIA).await.document_link(asked()).await.expect("a link");
    let guardian = maria.guardian.id.parse().expect("an id");
    let now = house.app.now();
    let ended = house.app.store.write::<(), (), _>("end an access", move |tx| {
        Box::pin(async move { tx.disable_guardian(&town(), guardian, now).await.map(Ok) })
    });
    ended.await.expect("a write").expect("an end");
    assert_eq!(house.http.get(&url).send().await.expect("an answer").status(), 410);
}

/// What a token would show to whoever decodes it.
fn decoded(token: &str) -> String {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("a token");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn money_is_given_back_once(house: &House) {
    let maria = house.phone(MARIA).await;
    let (payment, notice) = waiting(house).await;
    let sent = deliver(house, &notice.number, 2_000, String::new()).await;
    let order = |cents: Option<i64>| Order {
        issuer: town(),
        receipt_id: sent.id.clone(),
        amount: cents.map(|cents| Amount::from_cents(cents).expect("an amount")),
    };
    let give = async |by: Act, order: Order| refund(&house.app.store, by, order).await;
    let balance = async || {
        let home = maria.home().await.expect("home");
        home.children
            .iter()
            .flat_map(|child| &child.wallets)
            .find(|its| its.id == payment.wallet_id)
            .map(|its| its.balance_cents)
    };
    let before = balance().await.expect("the wallet");
    let by = act(house);
    assert_eq!(give(by.clone(), order(Some(500))).await.expect("a refund").cents(), 500);
    assert_eq!(give(by, order(Some(500))).await.expect("the same again").cents(), 500);
    assert_eq!(balance().await, Some(before - 500), "once");
    let last = movements(&maria, &payment.wallet_id).await.into_iter().next().expect("a movement");
    assert_eq!((last.kind(), last.cents), (v1::MovementKind::Refund, -500));
    match give(act(house), order(Some(1_501))).await {
        Err(Stop::Refused(RefundRefusal::Most(most))) => assert_eq!(most.get(), 1_500),
        other => panic!("too much: {other:?}"),
    }
    // Ten clerks at once give no more back than was paid.
    let all = join_all((0..10).map(|_| give(act(house), order(Some(400))))).await;
    let given = all.iter().filter(|one| one.is_ok()).count();
    assert_eq!(given, 3, "{all:?}");
    assert_eq!(balance().await, Some(before - 500 - 1_200));
    assert_eq!(give(act(house), order(None)).await.expect("the rest").cents(), 300);
    let unknown = Order { receipt_id: "nobody's".to_owned(), ..order(None) };
    assert!(matches!(give(act(house), unknown).await, Err(Stop::Refused(RefundRefusal::NoReceipt))));
    let unsigned = Act::new(town(), house.app.now(), (String::new(), "A. Verdi".to_owned())).expect("an act");
    assert!(matches!(give(unsigned, order(None)).await, Err(Stop::Refused(RefundRefusal::Office(_)))));

    // A second payment waits in suspense: the office decides first.
    let again = deliver(house, &notice.number, 2_000, String::new()).await;
    let twice = || Order { issuer: town(), receipt_id: again.id.clone(), amount: None };
    assert!(matches!(give(act(house), twice()).await, Err(Stop::Refused(RefundRefusal::Undecided))));
    let decision = borsellino_server::usecases::queues::Order {
        creditor: town(),
        item: format!("r-{TOWN}-{}", again.id),
        decision: Decision::Refund,
        reason: "paid twice".to_owned(),
        operator: "A. Verdi".to_owned(),
        at: house.app.now(),
        entry: house.app.new_id().expect("an id"),
    };
    resolve(&house.app.store, decision).await.expect("a decision");
    assert_eq!(give(act(house), twice()).await.expect("a refund").cents(), 2_000);
    assert_eq!(house.suspense(TOWN).await, 0);
}
