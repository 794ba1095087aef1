//! Two creditors with the same ids for everything: what is asked under one never answers, or changes, the other's.

use borsellino_domain::account::SecretQuestion;
use borsellino_domain::content::ContentKind;
use borsellino_domain::id::{BillId, CartId, ChildId, EnrolmentId, OutboxId, SessionId, TopUpId};
use borsellino_domain::language::Language;
use borsellino_domain::message::MessageState;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::office::OfficeAction;
use borsellino_domain::top_up::PayBy;
use borsellino_store::rows::{
    AccountHolderRow, FeeTableRow, KeptMessage, LetterheadRow, NewAnswer, NewBill, NewCart, NewCertificate, NewContent,
    NewContentText, NewDelivery, NewDemand, NewDocumentChoice, NewLetter, NewMailedNotice, NewMessage, NewNotice,
    NewPayLink, NewPushToken, NewRecovery, NewSession, NewTopUp, OfficeActionRow, PrivacyNoticeRow, ProofKind,
    SecretQuestionRow,
};

use super::*;

borsellino_tests::on_both_engines! {
    nobody_sees_or_changes_what_is_another_creditors;
}

const THEIRS: &str = "99900040017";
const STRANGER: &str = "99900070014";
const GUARDIAN: u128 = 10;
const SESSION: u128 = 40;
const BILL: u128 = 50;
const TOP_UP: u128 = 60;
const RECOVERY: u128 = 95;
const WHO: &[u8] = b"somebody";

fn code(digits: &str) -> CreditorCode {
    CreditorCode::from_digits(digits).expect("eleven digits")
}

fn number(n: u8) -> NoticeNumber {
    NoticeNumber::issue("02".parse().expect("a segregation code"), [n; 8])
}

fn notice(number: NoticeNumber, name: &str, amount: i64) -> NewNotice {
    NewNotice {
        number,
        wallet: None,
        bill: None,
        instalment: None,
        amount: cents(amount),
        reason: name.to_owned(),
        taxonomy: "9/0107101TS/".to_owned(),
        debtor_code: "RSSMRA80A01H501U".to_owned(),
        debtor_name: name.to_owned(),
        due_date: "2026-12-31".to_owned(),
        created_at: NOW,
        expires_at: Some(NOW.plus_days(30)),
    }
}

/// Everything a creditor can have, told from another's only by `name` and `amount`.
async fn fill(tx: &mut Tx, creditor: CreditorCode, name: &'static str, amount: i64) -> Result<(), StoreError> {
    let c = &creditor;
    add_family(tx, creditor, name).await?;
    let (guardian, service) = (GuardianId::from(uuid(GUARDIAN)), ServiceId::from(uuid(31)));
    let enrolment = (EnrolmentId::from(uuid(70)), uuid(20), service);
    tx.insert_enrolment(c, enrolment, (2026, name, amount)).await?;
    let session = NewSession {
        id: SessionId::from(uuid(SESSION)),
        guardian,
        device_name: name.to_owned(),
        created_at: NOW,
        refresh_digest: Hash::of(name.as_bytes()),
    };
    tx.insert_session(c, &session).await?;
    tx.count_sign_in(c, Hash::of(WHO), (NOW.plus(amount), NOW)).await?;

    let for_wallet = NewNotice { wallet: Some(wallet(1)), ..notice(number(1), name, amount) };
    assert!(tx.insert_notice(c, &for_wallet).await?, "the number is another creditor's");
    let order = NewTopUp {
        id: TopUpId::from(uuid(TOP_UP)),
        guardian,
        wallet: wallet(1),
        amount: cents(amount),
        pay_by: PayBy::Online,
        fingerprint: Hash::of(name.as_bytes()),
        notice: number(1),
        created_at: NOW,
        asked: None,
    };
    tx.insert_top_up(c, &order).await?;
    let cart =
        NewCart { id: CartId::from(uuid(80)), url: format!("https://{name}.example"), opened_at: NOW, notices: 1 };
    tx.insert_cart(c, &cart).await?;
    tx.set_cart(c, number(1).as_str(), cart.id.uuid()).await?;

    let bill = BillId::from(uuid(BILL));
    let issued = NewBill {
        id: bill,
        guardian,
        number: "1/2026".to_owned(),
        period: name.to_owned(),
        due_date: "2026-12-31".to_owned(),
        issued_at: NOW,
        total: cents(amount),
        order_digest: None,
    };
    tx.insert_bill(c, &issued).await?;
    tx.insert_bill_line(c, (bill, 0), (uuid(20), service.uuid(), amount)).await?;
    let account = Account::bill(bill);
    tx.open_account(c, account, &Head::genesis(c, account)).await?;
    let owed = (Account::REVENUE, account, Cents::new(amount));
    let owed = Entry::transfer(creditor, EntryId::from(uuid(91)), EntryKind::BillIssued, NOW, None, owed);
    tx.book(&owed.expect("a balanced entry")).await?;
    let for_bill = NewNotice { bill: Some(bill), ..notice(number(2), name, amount) };
    assert!(tx.insert_notice(c, &for_bill).await?, "the number is another creditor's");

    let received = NewReceipt { content_digest: Hash::of(name.as_bytes()), ..receipt("R", Some(uuid(90))) };
    assert!(tx.insert_receipt(c, &received).await?, "the receipt is another creditor's");
    tx.book(&top_up(creditor, 90, wallet(1), amount).with_memo(Memo { day: Some(name.to_owned()), tariff: None }))
        .await?;
    tx.number_wallet_change(c, uuid(1)).await?;
    tx.feed_wallet_change(c, uuid(1), NOW, name).await?;
    tx.number_bill_change(c, uuid(BILL)).await?;
    tx.feed_bill_change(c, uuid(BILL), NOW, name).await?;
    tx.insert_outbox(c, OutboxId::from(uuid(85)), ("payment_done", name), NOW).await?;
    let kept = KeptMessage {
        queue: "anomaly",
        message_digest: Hash::of(b"m"),
        why: name.to_owned(),
        received_at: NOW,
        key_id: "k".to_owned(),
        sealed: vec![1],
    };
    tx.keep_message(c, &kept).await?;
    tx.insert_spontaneous(c, CATALOGUE, service).await?;
    tx.put_demand(c, &NewDemand { digest: Hash::of(b"d"), notice: number(1), at: NOW }).await?;
    let act = OfficeActionRow {
        id: uuid(86),
        action: OfficeAction::NoticeCancelled,
        subject: name.to_owned(),
        reason: name.to_owned(),
        operator: name.to_owned(),
        at_ms: NOW,
        cents: None,
        entry: None,
    };
    assert!(tx.insert_action(c, &act).await?, "the act is another creditor's");
    let token = NewPushToken {
        session: SessionId::from(uuid(SESSION)),
        platform: "android",
        language: "it",
        digest: Hash::of(b"token"),
        key_id: name.to_owned(),
        sealed: vec![1],
        registered_at: NOW,
    };
    tx.put_push_token(c, &token).await?;
    for (n, due_at) in [(87, NOW.plus(amount)), (88, NOW.plus_days(1))] {
        let delivery = NewDelivery {
            id: uuid(n),
            session: token.session,
            message: "changed",
            feed_seq: amount,
            created_at: NOW,
            due_at,
        };
        tx.insert_delivery(c, &delivery).await?;
    }
    let (paid, at) = (number(3), NOW.plus(amount));
    let settled = NewNotice { wallet: Some(wallet(1)), ..notice(paid, name, amount) };
    assert!(tx.insert_notice(c, &settled).await?, "the number is another creditor's");
    assert!(tx.settle_notice(c, paid.as_str(), at).await?);
    let fees = FeeTableRow { version: name.to_owned(), imported_at_ms: NOW, bands: "card,0,1,2\n".to_owned() };
    tx.put_fee_table(c, &fees).await?;
    let digest = Hash::of(name.as_bytes());
    tx.put_office_code(c, (guardian, digest), (NOW, NOW.plus(amount + 1_000_000))).await?;
    let recovery = NewRecovery {
        id: uuid(RECOVERY),
        guardian: Some(guardian),
        digest,
        device_name: name.to_owned(),
        number: "07".to_owned(),
        language: "it",
        asked_at: NOW,
        expires_at: NOW.plus_days(1),
        letter: true,
    };
    tx.insert_recovery(c, &recovery).await?;
    assert!(tx.write_letter(c, (uuid(RECOVERY), 0), digest).await?);
    fill_documents(tx, c, (guardian, name, amount)).await?;
    fill_content(tx, c, (guardian, name, amount)).await?;
    fill_identities(tx, c, (guardian, name)).await?;
    fill_post(tx, c, (guardian, name, amount)).await
}

/// Letters and what goes with them.
async fn fill_post(
    tx: &mut Tx,
    c: &CreditorCode,
    (guardian, name, amount): (GuardianId, &'static str, i64),
) -> Result<(), StoreError> {
    tx.set_email(c, guardian, (Some(&format!("{name}@famiglia.example")), NOW)).await?;
    tx.set_language(c, guardian, "de").await?;
    for (n, elsewhere) in [(LETTER, None), (LETTER + 1, Some(("k".to_owned(), vec![1])))] {
        let letter = NewLetter {
            id: uuid(n),
            guardian,
            kind: "notice",
            about: name.to_owned(),
            language: None,
            at: NOW,
            elsewhere,
            created_at: NOW.plus(amount),
        };
        assert!(tx.insert_letter(c, &letter).await?, "the letter is another creditor's");
    }
    let (mailed, digest) = (number(1).as_str().to_owned(), Hash::of(name.as_bytes()));
    let kept = NewMailedNotice {
        id: uuid(LETTER),
        guardian,
        notice: mailed.clone(),
        at: NOW.plus(amount),
        address_digest: Some(digest),
    };
    tx.insert_mailed_notice(c, &kept).await?;
    let expires_at = Some(NOW.plus(amount));
    let (id, made_by) = (uuid(LETTER + u128::from(amount.unsigned_abs())), "page");
    let link =
        NewPayLink { digest: Hash::of(b"link"), notice: mailed, created_at: NOW, expires_at, id, guardian, made_by };
    tx.insert_pay_link(c, &link).await?;
    let (documents, at) = (if amount > 2_000 { "link" } else { "attachment" }, NOW);
    let choice = NewDocumentChoice { id: uuid(97), documents, reason: name.to_owned(), operator: name.to_owned(), at };
    tx.insert_document_choice(c, &choice).await
}

const LETTER: u128 = 98;

/// Two privacy notices, of which the older one was accepted.
async fn fill_identities(
    tx: &mut Tx,
    c: &CreditorCode,
    (guardian, name): (GuardianId, &'static str),
) -> Result<(), StoreError> {
    for (id, version) in [(PRIVACY, "2025"), (PRIVACY + 1, "2026")] {
        let body = Some(name.to_owned());
        let row = PrivacyNoticeRow { id: uuid(id), version: Some(version.to_owned()), link: None, body, at_ms: NOW };
        tx.insert_privacy_notice(c, &row).await?;
    }
    let registered = NewGuardian {
        id: GuardianId::from(uuid(110)),
        username: "registered".to_owned(),
        full_name: name.to_owned(),
        fiscal_code: "BNCMRA85D52F205Y".to_owned(),
        email: Some("Registered@famiglia.example".to_owned()),
        password_hash: name.to_owned(),
    };
    tx.insert_guardian(c, &registered).await?;
    tx.put_asks_question(c, name == "Alfa").await?;
    let question = if name == "Alfa" { SecretQuestion::Pet } else { SecretQuestion::Dish };
    tx.put_secret_question(c, guardian, Some(&SecretQuestionRow { question, answer_hash: name.to_owned() })).await?;
    let at = if name == "Alfa" { NOW } else { NOW.plus(1) };
    tx.insert_privacy_acceptance(c, (guardian, "2025"), at).await
}

const PRIVACY: u128 = 200;

/// A service of pagoPA's catalogue.
const CATALOGUE: (&str, &str) = ("00009", "00035");

/// The answer of every question that takes a creditor, as text.
async fn look(store: &Store, creditor: CreditorCode) -> Vec<(&'static str, String)> {
    store.read(move |tx| Box::pin(async move { ask(tx, &creditor).await })).await.expect("a readable database")
}

async fn ask(tx: &mut Tx, c: &CreditorCode) -> Result<Vec<(&'static str, String)>, StoreError> {
    let (guardian, session) = (GuardianId::from(uuid(GUARDIAN)), SessionId::from(uuid(SESSION)));
    let mut answers = Vec::new();
    let mut say = |name, answer: String| answers.push((name, answer));
    let found = tx.guardian_by_username(c, "guardian 10").await?;
    say("guardian", format!("{:?}", found.map(|row| (row.full_name, row.disabled_at_ms))));
    let holder = |row: AccountHolderRow| (row.id, row.full_name, row.email, row.password_hash, row.feed_seq);
    say("holder", format!("{:?}", tx.holder(c, guardian).await?.map(holder)));
    say("holder by code", format!("{:?}", tx.holder_by_code(c, "RSSMRA80A01H501U").await?.map(holder)));
    say("holder by name", format!("{:?}", tx.holder_by_username(c, "guardian 10").await?.map(holder)));
    let unregistered = tx.unregistered(c, (NOW.plus_days(60), 5)).await?.into_iter().map(holder);
    say("unregistered", format!("{:?}", unregistered.collect::<Vec<_>>()));
    say("office code", format!("{:?}", tx.office_code(c, guardian).await?));
    say("recovery", format!("{:?}", tx.recovery(c, uuid(RECOVERY)).await?));
    say("recoveries", format!("{:?}", tx.recoveries(c, guardian, (NOW, 9, 5)).await?));
    // One guardian has the same number of devices at both: whose they are is asked with it.
    let name = tx.holder(c, guardian).await?.map(|row| row.full_name);
    say("told", format!("{:?}", tx.told_devices(c, guardian, NOW.plus_days(-1)).await?.first().map(|_| name)));
    say("facts", format!("{:?}", tx.wallet_facts(c, guardian, wallet(1), NOW).await?));
    let home = tx.home(c, (guardian, session), NOW, 2026).await?;
    let line = |row: borsellino_store::rows::HomeRow| {
        (row.full_name, row.service_name, row.balance_cents, row.unit_price_cents, row.open_cents, row.closed_at_ms)
    };
    say("home", format!("{:?}", home.into_iter().map(line).collect::<Vec<_>>()));
    say("balance", format!("{:?}", tx.wallet_balance(c, uuid(1)).await?));
    say("sees", tx.guardian_sees_wallet(c, guardian, wallet(1)).await?.to_string());
    say("last", format!("{:?}", tx.last_movements(c, guardian.uuid(), 9).await?));
    let before = (i64::MAX, Uuid::max());
    say("family", format!("{:?}", tx.family_movements(c, guardian.uuid(), before, 9).await?));
    say("wallet", format!("{:?}", tx.wallet_movements(c, uuid(1), i64::MAX, 9).await?));
    let found = tx.notice(c, number(1).as_str()).await?;
    say("notice", format!("{:?}", found.map(|row| (row.debtor_name, row.amount_cents, row.state))));
    let found = tx.notice(c, number(2).as_str()).await?;
    say("bill notice", format!("{:?}", found.map(|row| (row.debtor_name, row.bill_balance_cents, row.state))));
    say("top-up", format!("{:?}", tx.top_up(c, TopUpId::from(uuid(TOP_UP))).await?));
    say("top-up of notice", format!("{:?}", tx.top_up_of_notice(c, number(1).as_str()).await?));
    say("dues", format!("{:?}", tx.dues(c, guardian, NOW).await?));
    say("bill", format!("{:?}", tx.bill_due(c, guardian, uuid(BILL)).await?));
    let payable = tx.payable(c, NOW, 9).await?;
    say("payable", format!("{:?}", payable.into_iter().map(|row| (row.number, row.amount_cents)).collect::<Vec<_>>()));
    say("receipt", format!("{:?}", tx.receipt(c, OURS, "R").await?));
    say("kept", tx.kept_messages(c, "anomaly").await?.to_string());
    let found = tx.session(c, session).await?;
    say(
        "session",
        format!("{:?}", found.map(|row| (row.full_name, row.refresh_digest, row.feed_seq, row.ended_at_ms))),
    );
    say("feed", format!("{:?}", tx.feed_after(c, guardian, 0, 9).await?));
    say("outbox", tx.outbox_waiting(c).await?.to_string());
    say("last entry", format!("{:?}", tx.last_entry(c).await?));
    say("entries", format!("{:?}", tx.entries(c, Uuid::nil(), 9).await?));
    say("accounts", format!("{:?}", tx.accounts(c, ("", Uuid::nil()), 9).await?));
    say("chain", format!("{:?}", tx.chain(c, Account::wallet(wallet(1)), 0, 9).await?));
    say("totals", format!("{:?}", tx.totals(c).await?));
    let found = tx.spontaneous_service(c, CATALOGUE).await?;
    say("catalogue", format!("{found:?}"));
    let found = tx.spontaneous_wallet(c, ("RSSDAA16A41H501X", uuid(31)), NOW).await?;
    say("spontaneous", format!("{found:?}"));
    say("demand", format!("{:?}", tx.demand(c, Hash::of(b"d")).await?));
    let found = tx.child_by_code(c, "RSSDAA16A41H501X").await?;
    say("child", format!("{:?}", found.map(|row| row.family_name)));
    say("services", format!("{:?}", tx.services(c).await?));
    let found = tx.debtor(c, "guardian 10").await?;
    say("debtor", format!("{:?}", found.map(|row| row.full_name)));
    say("a bill", format!("{:?}", tx.bill(c, BillId::from(uuid(BILL))).await?));
    say("bill by number", format!("{:?}", tx.bill_by_number(c, "1/2026").await?));
    say("notices of a bill", format!("{:?}", tx.notices_of_bill(c, BillId::from(uuid(BILL))).await?));
    say("page", format!("{:?}", tx.cart_of_notice(c, number(1).as_str()).await?));
    say("act", format!("{:?}", tx.action(c, uuid(86)).await?));
    say("acts", format!("{:?}", tx.actions(c).await?));
    say("surplus", format!("{:?}", tx.surplus(c).await?));
    say("guardian of", tx.is_guardian_of(c, (guardian.uuid(), uuid(20))).await?.to_string());
    say("standings", format!("{:?}", tx.standings(c, &[session]).await?));
    let found = tx.sealed_receipt(c, (OURS, "R")).await?;
    say("sealed receipt", format!("{:?}", found.map(|row| row.key_id)));
    let found = tx.sealed_message(c, ("anomaly", Hash::of(b"m"))).await?;
    say("sealed message", format!("{:?}", found.map(|row| row.key_id)));
    let unused = NOW.plus(-1);
    let found = tx.devices(c, guardian, (unused, 9)).await?;
    say("devices", format!("{:?}", found.into_iter().map(|row| (row.device_name, row.has_push)).collect::<Vec<_>>()));
    let found = tx.push_targets(c, &[session], unused).await?;
    say("targets", format!("{:?}", found.into_iter().map(|row| row.key_id).collect::<Vec<_>>()));
    for (what, notice) in [("told of a top-up", number(1)), ("told of a bill", number(2))] {
        let found = tx.audience(c, (notice.as_str(), NOW), unused).await?;
        say(what, format!("{:?}", found.into_iter().map(|row| (row.session, row.payer)).collect::<Vec<_>>()));
    }
    say("paid", format!("{:?}", tx.paid_items(c, guardian, (Millis::new(i64::MAX), "~"), 9).await?));
    let found = tx.consumers(c, guardian).await?;
    say("consumers", format!("{:?}", found.into_iter().map(|row| (row.diet, row.amount_cents)).collect::<Vec<_>>()));
    let found = tx.family_bills(c, guardian, ("2000-01-01", "2100-01-01")).await?;
    say("family's bills", format!("{:?}", found.into_iter().map(|row| (row.number, row.period)).collect::<Vec<_>>()));
    let found = tx.positions(c, guardian, 9).await?;
    say("positions", format!("{:?}", found.into_iter().map(|row| (row.number, row.amount_cents)).collect::<Vec<_>>()));
    let found = tx.paid_lines(c, guardian, uuid(BILL)).await?;
    say("paid lines", format!("{found:?}"));
    say("fees", format!("{:?}", tx.fee_table(c).await?));
    let found = tx.mail_target(c, guardian, "low_balance").await?;
    say("mail", format!("{:?}", found.map(|row| (row.email, row.email_bounced_at_ms, row.disabled_at_ms, row.off))));
    say("payer of a top-up", format!("{:?}", tx.payer_of_notice(c, number(1).as_str()).await?));
    say("payer of a bill", format!("{:?}", tx.payer_of_notice(c, number(2).as_str()).await?));
    say("letters", format!("{:?}", tx.letters(c, 9).await?));
    say("mailed", format!("{:?}", tx.mailed_notices(c, guardian, NOW).await?));
    let links = tx.pay_links(c, (number(1).as_str(), guardian), NOW).await?;
    say("pay links", format!("{:?}", links.into_iter().map(|row| row.id).collect::<Vec<_>>()));
    say("pay link", format!("{:?}", tx.pay_link(c, Hash::of(b"link")).await?));
    say("documents", format!("{:?}", tx.document_choice(c).await?));
    let found = tx.bounced_guardians(c).await?;
    say("bounced", format!("{:?}", found.into_iter().map(|row| row.full_name).collect::<Vec<_>>()));
    say("low", format!("{:?}", tx.low_wallets(c, 2026, (Uuid::nil(), 9)).await?));
    say("guardians of a wallet", format!("{:?}", tx.guardians_of_wallet(c, uuid(1)).await?));
    let found = tx.letter_wallet(c, (guardian, uuid(1)), 2026).await?;
    say("wallet of a letter", format!("{:?}", found.map(|row| (row.child, row.unit_price_cents))));
    let found = tx.receipt_of_letter(c, "302000000000000001", NOW).await?;
    say("receipt of a letter", format!("{:?}", found.map(|row| (row.receipt_id, row.ours_cents))));
    let found = tx.holders_by_email(c, "registered@famiglia.example").await?;
    say("by address", format!("{:?}", found.into_iter().map(holder).collect::<Vec<_>>()));
    say("asks a question", tx.asks_question(c).await?.to_string());
    let found = tx.secret_question(c, guardian).await?;
    say("secret question", format!("{:?}", found.map(|row| (row.question, row.answer_hash))));
    say("privacy", format!("{:?}", tx.privacy_notice(c).await?));
    say("privacy version", format!("{:?}", tx.privacy_version(c, "2025").await?));
    say("privacy due", format!("{:?}", tx.privacy_due(c, guardian).await?));
    say("privacy accepted", format!("{:?}", tx.privacy_acceptances(c).await?));
    ask_documents(tx, c, &mut answers).await?;
    ask_content(tx, c, &mut answers).await?;
    Ok(answers)
}

/// Every statement that changes what is there.
async fn change(tx: &mut Tx, c: &CreditorCode) -> Result<(), StoreError> {
    let (guardian, session) = (GuardianId::from(uuid(GUARDIAN)), SessionId::from(uuid(SESSION)));
    let (recovery, digest) = (uuid(RECOVERY), Hash::of(b"another"));
    change_post(tx, c, guardian).await?;
    let taken = tx.claim_letters(c, (NOW.plus(2), NOW.plus_days(1)), 9).await?;
    assert_eq!(taken.len(), 1);
    assert!(tx.write_letter(c, (recovery, 1), digest).await?);
    tx.settle_letter(c, (recovery, 1), (Some(NOW), "rcpt 450")).await?;
    assert_eq!(tx.try_recovery(c, recovery).await?.map(|row| row.tries), Some(1));
    assert!(tx.prove_recovery(c, (recovery, ProofKind::Email), NOW).await?);
    assert!(tx.finish_recovery(c, recovery, NOW).await?);
    tx.end_recovery(c, recovery, NOW).await?;
    tx.end_recoveries(c, (guardian, uuid(1)), NOW).await?;
    tx.untry_recovery(c, recovery).await?;
    assert_eq!(tx.sweep_recoveries(c, uuid(RECOVERY + 1)).await?, 1);
    tx.count_office_code(c, guardian).await?;
    assert!(!tx.use_office_code(c, (guardian, digest), (NOW, 5)).await?);
    tx.put_office_code(c, (guardian, digest), (NOW, NOW.plus(1))).await?;
    assert!(tx.use_office_code(c, (guardian, digest), (NOW, 5)).await?);
    tx.drop_office_code(c, guardian).await?;
    tx.set_email(c, guardian, (Some("somebody@example.org"), NOW)).await?;
    tx.reset_credentials(c, guardian, "(nobody)").await?;
    assert!(!tx.set_password(c, guardian, "another").await?);
    assert!(tx.set_credentials(c, guardian, ("somebody", "another")).await?);
    assert!(tx.hold_account(c, guardian, "another").await?);
    assert!(tx.set_password(c, guardian, "one more").await?);
    assert!(!tx.hold_account(c, guardian, "another").await?);
    tx.forget_push_but(c, (guardian, session)).await?;
    assert_eq!(tx.end_sessions_but(c, (guardian, session), NOW).await?, 0);
    tx.disable_guardian(c, guardian, NOW).await?;
    tx.enable_guardian(c, guardian).await?;
    tx.disable_guardian(c, guardian, NOW).await?;
    tx.close_wallet(c, wallet(1), NOW).await?;
    assert!(tx.cancel_notice(c, number(2).as_str()).await?);
    assert!(tx.settle_notice(c, number(1).as_str(), NOW).await?);
    tx.set_cart(c, number(2).as_str(), uuid(80)).await?;
    assert!(tx.hold_notice(c, number(2).as_str(), (NOW, 5, true)).await?);
    tx.release_notice(c, number(2).as_str(), 2).await?;
    tx.reopen_notice(c, number(2).as_str()).await?;
    tx.hold_bill(c, uuid(BILL)).await?;
    tx.withdraw_bill(c, BillId::from(uuid(BILL)), 7).await?;
    assert_eq!(tx.cancel_bill(c, BillId::from(uuid(BILL))).await?, 1);
    tx.put_demand(c, &NewDemand { digest: Hash::of(b"d"), notice: number(2), at: NOW }).await?;
    tx.paid_twice(c, number(1).as_str(), Some(NOW)).await?;
    let fees = FeeTableRow { version: "n".to_owned(), imported_at_ms: NOW, bands: "card,0,1,2\n".to_owned() };
    tx.put_fee_table(c, &fees).await?;
    assert_eq!(tx.wipe_sessions(c, guardian, NOW).await?, 1);
    tx.rotate_session(c, session, (Hash::of(b"previous"), Hash::of(b"next")), NOW).await?;
    tx.use_session(c, session, NOW).await?;
    tx.end_session(c, session, NOW).await?;
    assert_eq!(tx.sweep_sign_ins(c, NOW.plus_days(1)).await?, 1);
    tx.clear_sign_ins(c, Hash::of(WHO)).await?;
    tx.book(&top_up(*c, 92, wallet(1), 7)).await?;
    tx.number_wallet_change(c, uuid(1)).await?;
    tx.feed_wallet_change(c, uuid(1), NOW, "n").await?;
    tx.number_bill_change(c, uuid(BILL)).await?;
    tx.feed_bill_change(c, uuid(BILL), NOW, "n").await?;
    let later = NOW.plus_days(2);
    let held = tx.hold_outbox(c, later, 9).await?;
    tx.drop_outbox(c, &held.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
    let claimed = tx.claim_pushes(c, (later, later.plus(1)), 9).await?;
    assert_eq!(claimed.len(), 2);
    tx.finish_deliveries(c, ("sent", Some("200"), later), &[uuid(87)]).await?;
    tx.postpone_delivery(c, (uuid(88), 1), (later.plus(5), "503")).await?;
    assert_eq!(tx.prune_deliveries(c, uuid(88)).await?, 1);
    assert_eq!(tx.sweep_push_tokens(c, NOW).await?, 1, "the session has ended");
    tx.forget_push(c, session).await?;
    assert!(!tx.forget_push_token(c, session, Hash::of(b"token")).await?);
    tx.forget_push_before(c, SessionId::from(uuid(SESSION + 1)), Hash::of(b"token")).await?;
    tx.insert_privacy_acceptance(c, (guardian, "2026"), NOW).await?;
    assert_eq!(tx.privacy_due(c, guardian).await?, None);
    tx.put_asks_question(c, false).await?;
    tx.put_secret_question(c, guardian, None).await?;
    change_documents(tx, c, guardian).await?;
    change_content(tx, c, guardian).await?;
    tx.forget_push_over(c, guardian, 0).await
}

async fn change_post(tx: &mut Tx, c: &CreditorCode, guardian: GuardianId) -> Result<(), StoreError> {
    let later = NOW.plus_days(1);
    tx.set_language(c, guardian, "en").await?;
    tx.hold_guardian(c, guardian).await?;
    let taken = tx.claim_post(c, (later, later.plus(1)), 9).await?;
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|row| row.language == "de" && row.attempts == 1));
    tx.postpone_post(c, (uuid(LETTER), 1), (later, "rcpt 450")).await?;
    assert!(!tx.finish_post(c, (uuid(LETTER + 1), 2), ("sent", None, later)).await?, "somebody else's");
    assert!(tx.finish_post(c, (uuid(LETTER + 1), 1), ("sent", None, later)).await?);
    let bounced = tx.bounce_post(c, uuid(LETTER), later).await?.map(|row| row.elsewhere);
    assert_eq!(bounced, Some(0));
    assert!(!tx.bounce_email(c, guardian, (later, NOW.plus(-1))).await?, "the address is newer");
    assert!(tx.bounce_email(c, guardian, (later, NOW)).await?);
    assert_eq!(tx.expire_post(c, uuid(LETTER + 1), later).await?, 1);
    assert_eq!(tx.prune_post(c, uuid(LETTER + 1)).await?, 1);
    tx.revoke_pay_link(c, Hash::of(b"link"), later).await?;
    tx.put_mail_choice(c, (guardian, "low_balance"), (true, later)).await?;
    tx.put_mail_choice(c, (guardian, "low_balance"), (false, later)).await?;
    assert!(tx.insert_low_told(c, uuid(1), later).await?);
    assert!(!tx.insert_low_told(c, uuid(1), later).await?);
    assert_eq!(tx.forget_low_told(c).await?, 1, "it holds more than the mark");
    Ok(())
}

/// What documents say.
async fn fill_documents(
    tx: &mut Tx,
    c: &CreditorCode,
    (guardian, name, amount): (GuardianId, &str, i64),
) -> Result<(), StoreError> {
    let row = LetterheadRow { sector: name.to_owned(), wording: "it".to_owned(), ..LetterheadRow::default() };
    tx.put_letterhead(c, &row).await?;
    tx.set_address(c, guardian, Some(name)).await?;
    tx.set_diet(c, ChildId::from(uuid(20)), Some(name)).await?;
    let certificate = NewCertificate {
        digest: Hash::of(b"code"),
        subject: Hash::of(b"subject"),
        issued_at: NOW.plus(amount),
        key_id: "k".to_owned(),
        sealed: name.as_bytes().to_vec(),
    };
    assert!(tx.insert_certificate(c, &certificate).await?, "the certificate is another creditor's");
    let refunded = OfficeActionRow {
        id: uuid(96),
        action: OfficeAction::Refunded,
        subject: format!("r-{OURS}-R"),
        reason: name.to_owned(),
        operator: name.to_owned(),
        at_ms: NOW,
        cents: Some(amount),
        entry: Some(uuid(90)),
    };
    assert!(tx.insert_action(c, &refunded).await?, "the act is another creditor's");
    Ok(())
}

async fn ask_documents(
    tx: &mut Tx,
    c: &CreditorCode,
    answers: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let (guardian, child, bill) = (GuardianId::from(uuid(GUARDIAN)), ChildId::from(uuid(20)), BillId::from(uuid(BILL)));
    let item = format!("r-{OURS}-R");
    let mut say = |name, answer: String| answers.push((name, answer));
    say("letterhead", format!("{:?}", tx.letterhead(c).await?));
    let found = tx.notice_owner(c, number(1).as_str()).await?;
    say("whose a notice is", format!("{:?}", found.map(|row| (row.owner, row.address))));
    say("parts of a bill", format!("{:?}", tx.bill_parts(c, bill).await?));
    let found = [tx.bills_of_run(c, ("Alfa", ""), 9).await?, tx.bills_of_run(c, ("Beta", ""), 9).await?];
    say("a billing run", if found.iter().all(Vec::is_empty) { "[]".to_owned() } else { format!("{found:?}") });
    let found = tx.bill_lines(c, bill).await?;
    say("lines of a bill", format!("{:?}", found.into_iter().map(|row| (row.name, row.cents)).collect::<Vec<_>>()));
    say("bills of a child", format!("{:?}", tx.bills_of_child(c, child).await?));
    let found = tx.kept_receipt(c, (OURS, "R"), &item).await?;
    say("a kept receipt", format!("{:?}", found.map(|row| row.entry)));
    let found = tx.receipts_of_notice(c, "302000000000000001").await?;
    say("receipts of a notice", format!("{:?}", found.into_iter().map(|row| row.sealed).collect::<Vec<_>>()));
    let found = tx.payments_in(c, Account::wallet(wallet(1))).await?;
    say("paid in", format!("{:?}", found.into_iter().map(|row| row.cents).collect::<Vec<_>>()));
    say("refunds", format!("{:?}", tx.refunds(c, &item).await?));
    let found = tx.child_of_guardian(c, guardian, child).await?;
    say("a child of", format!("{:?}", found.map(|row| row.family_name)));
    let found = tx.certified_child(c, "RSSDAA16A41H501X").await?;
    say("a certified child", format!("{:?}", found.map(|row| row.family_name)));
    say("wallets of a child", format!("{:?}", tx.wallets_of_child(c, child).await?));
    let found = tx.wallet_title(c, wallet(1)).await?;
    say("whose a wallet is", format!("{:?}", found.map(|row| (row.family_name, row.service))));
    let found = tx.statement_range(c, wallet(1), (Millis::new(0), Millis::new(i64::MAX))).await?;
    say("range of a statement", format!("{found:?}"));
    say("a statement", format!("{:?}", tx.statement_rows(c, wallet(1), (1, 9)).await?));
    let found = tx.certificate(c, Hash::of(b"code")).await?;
    say("a certificate", format!("{:?}", found.map(|row| row.sealed)));
    let found = tx.later_certificate(c, Hash::of(b"subject"), NOW.plus(-1)).await?;
    say("a later certificate", format!("{found:?}"));
    Ok(())
}

async fn change_documents(tx: &mut Tx, c: &CreditorCode, guardian: GuardianId) -> Result<(), StoreError> {
    let row = LetterheadRow { sector: "another".to_owned(), wording: "de".to_owned(), ..LetterheadRow::default() };
    tx.put_letterhead(c, &row).await?;
    tx.set_diet(c, ChildId::from(uuid(20)), None).await?;
    tx.set_address(c, guardian, None).await
}

const MESSAGE: u128 = 110;

/// What the office tells, and what a guardian wrote to it.
async fn fill_content(
    tx: &mut Tx,
    c: &CreditorCode,
    (guardian, name, amount): (GuardianId, &str, i64),
) -> Result<(), StoreError> {
    for (id, kind) in [("novita", ContentKind::News), ("evento", ContentKind::Event), ("file", ContentKind::File)] {
        let row = NewContent {
            id: id.to_owned(),
            kind,
            day: Some("2026-11-20".to_owned()),
            until: None,
            hour: None,
            school_year: None,
            place: amount,
            digest: Hash::of(name.as_bytes()),
            changed_at: NOW,
        };
        tx.insert_content(c, &row).await?;
        for language in [Language::Italian, Language::German] {
            let (title, body, extra) = (name.to_owned(), String::new(), String::new());
            let text = NewContentText { content: id.to_owned(), language, title, body, extra };
            tx.insert_content_text(c, &text).await?;
        }
    }
    tx.insert_content_file(c, "file", (name, "application/pdf", name.as_bytes())).await?;
    let message = NewMessage {
        id: uuid(MESSAGE),
        guardian,
        child: Some(ChildId::from(uuid(20))),
        digest: Hash::of(name.as_bytes()),
        key_id: "k".to_owned(),
        sealed: name.as_bytes().to_vec(),
        sent_at: NOW.plus(amount),
    };
    tx.insert_message(c, &message).await?;
    if amount < 2_000 {
        // One creditor's waits for its reader.
        tx.move_message(c, uuid(MESSAGE), (MessageState::Read, Some(NOW.plus(amount)))).await?;
    }
    let answer = NewAnswer {
        message: uuid(MESSAGE),
        id: uuid(MESSAGE + 1),
        key_id: "k".to_owned(),
        sealed: name.as_bytes().to_vec(),
        at: NOW.plus(amount),
    };
    tx.insert_answer(c, &answer).await
}

async fn ask_content(
    tx: &mut Tx,
    c: &CreditorCode,
    answers: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let guardian = GuardianId::from(uuid(GUARDIAN));
    let mut say = |name, answer: String| answers.push((name, answer));
    let (german, today, last) = (Language::German, "2026-11-20", ("9999", ""));
    say("digest of content", format!("{:?}", tx.content_digest(c, "novita").await?));
    say("an entry", format!("{:?}", tx.content_entry(c, Language::English, "novita").await?));
    say("news", format!("{:?}", tx.news(c, (german, today), last, 9).await?));
    say("events", format!("{:?}", tx.events(c, german, (today, today)).await?));
    say("files", format!("{:?}", tx.content_of_kind(c, german, ContentKind::File).await?));
    say("a file", format!("{:?}", tx.content_file(c, "file").await?));
    say("all content", format!("{:?}", tx.all_content(c).await?));
    say("children", format!("{:?}", tx.children_of(c, guardian).await?));
    let sealed = |row: borsellino_store::rows::MessageRow| (row.full_name, row.family_name, row.state, row.sealed);
    say("message", format!("{:?}", tx.message(c, uuid(MESSAGE)).await?.map(sealed)));
    let before = (Millis::new(i64::MAX), Uuid::max());
    let found = tx.messages_of(c, guardian, before, 9).await?.into_iter().map(|row| row.sealed);
    say("messages", format!("{:?}", found.collect::<Vec<_>>()));
    let found = tx.messages_after(c, Uuid::nil(), 9).await?.into_iter().map(|row| row.sealed);
    say("everybody's messages", format!("{:?}", found.collect::<Vec<_>>()));
    say("messages since", tx.messages_since(c, guardian, NOW.plus(2_000)).await?.to_string());
    say("unread", tx.unread_answers(c, guardian).await?.to_string());
    let found = tx.answers(c, uuid(MESSAGE)).await?.into_iter().map(|row| row.sealed);
    say("answers", format!("{:?}", found.collect::<Vec<_>>()));
    Ok(())
}

async fn change_content(tx: &mut Tx, c: &CreditorCode, guardian: GuardianId) -> Result<(), StoreError> {
    tx.drop_content_text(c, "file").await?;
    tx.drop_content_file(c, "file").await?;
    assert!(tx.drop_content(c, "file").await?);
    assert!(!tx.drop_content(c, "file").await?);
    tx.see_answers(c, (guardian, uuid(MESSAGE)), NOW.plus_days(9)).await?;
    tx.open_message(c, uuid(MESSAGE)).await?;
    tx.move_message(c, uuid(MESSAGE), (MessageState::Closed, None)).await
}

async fn nobody_sees_or_changes_what_is_another_creditors(fresh: Fresh) {
    let store = &fresh.store;
    add_creditors(store, &[OURS, THEIRS, STRANGER]).await.expect("three creditors");
    write(store, |tx| Box::pin(fill(tx, code(OURS), "Alfa", 1_111))).await.expect("one town");
    let alone = look(store, code(OURS)).await;
    for (what, answer) in look(store, code(STRANGER)).await {
        assert!(["None", "[]", "0", "false"].contains(&answer.as_str()), "{what} of nobody: {answer}");
    }

    write(store, |tx| Box::pin(fill(tx, code(THEIRS), "Beta", 2_222))).await.expect("the same ids elsewhere");
    assert_eq!(look(store, code(OURS)).await, alone, "another creditor's rows are answered");
    let theirs = look(store, code(THEIRS)).await;
    for ((what, ours), (_, theirs)) in alone.iter().zip(&theirs) {
        // These say the same of both.
        let alike = ["sees", "kept", "outbox", "last entry", "catalogue", "demand", "notices of a bill", "surplus"];
        let also = [
            "guardian of", "standings", "parts of a bill", "bills of a child", "a kept receipt",
            "range of a statement", "sealed receipt", "sealed message", "told of a top-up", "told of a bill",
        ];
        let post = [
            "payer of a top-up", "payer of a bill", "bounced", "low", "guardians of a wallet", "receipt of a letter",
            "children",
        ];
        if !alike.contains(what) && !also.contains(what) && !post.contains(what) {
            assert_ne!(ours, theirs, "{what}: one creditor's answer to both");
        }
    }

    let waiting = "SELECT COUNT(*) FROM delivery WHERE outcome IS NULL AND attempts = 0";
    let both = fresh.raw_number(waiting).await.expect("a number");
    write(store, |tx| Box::pin(async move { change(tx, &code(OURS)).await })).await.expect("changes");
    assert_eq!(look(store, code(THEIRS)).await, theirs, "another creditor's rows were changed");
    assert_eq!(fresh.raw_number(waiting).await.expect("a number"), both - 2, "theirs are still to be sent");
    assert_ne!(look(store, code(OURS)).await, alone);
}
