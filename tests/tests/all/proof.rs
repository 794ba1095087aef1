//! The proof of a payment: who gets one and when, what it takes to spoil it, what a ledger says about it, and the commands
//! that make and check it.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use borsellino_domain::creditor::CreditorCode;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_proto::v1::get_proof_request::Payment;
use borsellino_server::auth::keys::Keys;
use borsellino_server::usecases::Stop;
use borsellino_server::usecases::proof::{NotInLedger, Sought, Unproven, look_up, of_receipt};
use borsellino_server::usecases::proof_file::{Checked, FileError, LARGEST, check};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, SOON, TOWN, node, reason, refused};
use borsellino_tests::stores::Fresh;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::demo::{Running, command, notice, pay, run, text};

borsellino_tests::on_both_engines! {
    a_parent_gets_the_proof_of_a_payment_of_theirs;
    a_bill_paid_in_parts_has_a_proof_for_each;
    a_ledger_knows_its_proofs_and_no_others;
}

/// A house where nothing is sealed any more unless a test says so.
async fn quiet(fresh: Fresh) -> House {
    let house = House::open_sealing(fresh, Duration::from_secs(3_600)).await;
    house.all_sealed().await;
    house
}

fn town() -> CreditorCode {
    CreditorCode::from_digits(TOWN).expect("eleven digits")
}

fn top_up(id: &str) -> Option<Payment> {
    Some(Payment::TopUpId(id.to_owned()))
}

fn bill(id: &str) -> Option<Payment> {
    Some(Payment::BillId(id.to_owned()))
}

/// Maria's waiting top-up, paid with this receipt.
async fn paid(house: &House) -> (v1::Payment, node::Receipt) {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let payment = home.payments.first().cloned().expect("a waiting top-up");
    let notice = payment.notice.clone().expect("its notice");
    let receipt = node::Receipt::new(&notice.number, notice.amount_cents);
    let delivered = house.deliver(&receipt).await;
    assert!(delivered.is_ok(), "{delivered:?}");
    (payment, receipt)
}

/// The proof of that top-up.
async fn proven(house: &House) -> (Vec<u8>, Checked) {
    let (payment, _) = paid(house).await;
    house.seal().await;
    let [proof] = house.phone(MARIA).await.proofs(top_up(&payment.id)).await.expect("a proof").try_into().expect("one");
    let checked = check(&proof.file).expect("a proof that holds");
    (proof.file, checked)
}

async fn a_parent_gets_the_proof_of_a_payment_of_theirs(fresh: Fresh) {
    let house = quiet(fresh).await;
    let maria = house.phone(MARIA).await;
    let waiting = maria.home().await.expect("home").payments.first().cloned().expect("a waiting top-up");
    assert_eq!(reason(maria.proofs(top_up(&waiting.id)).await), Reason::NotPaid);

    let (payment, receipt) = paid(&house).await;
    let not_yet = refused(maria.proofs(top_up(&payment.id)).await);
    assert_eq!((not_yet.reason, not_yet.retry_after_ms), (Reason::NotSealedYet, Some(3_600_000)));
    assert!(not_yet.sentence.contains("entro un minuto"), "{not_yet:?}");
    let sought = Sought::Notice(waiting.notice.clone().expect("a notice").number);
    let early = of_receipt(&house.app.store, town(), sought.clone()).await;
    assert!(matches!(early, Err(Stop::Refused(Unproven::NotSealed))), "{early:?}");

    house.seal().await;
    let [proof] = maria.proofs(top_up(&payment.id)).await.expect("a proof").try_into().expect("one receipt");
    assert_eq!((proof.amount_cents, proof.at_ms), (payment.amount_cents, house.now()));
    let checked = check(&proof.file).expect("a proof that holds");
    let ours = house.app.keys.proof_key().expect("a key");
    assert!(checked.signed_by(ours).is_ok());
    let other = Keys::derive(&[9; 32]).expect("keys").proof_key().expect("a key");
    assert!(
        matches!(checked.signed_by(other), Err(FileError::OtherKey { named, given }) if (named, given) == (ours, other))
    );
    let entry = &checked.proof.entry;
    assert_eq!(entry.receipt().map(|its| its.receipt_id.as_str()), Some(receipt.id.as_str()));
    assert_eq!(entry.sides()[0].account.id.to_string(), payment.wallet_id);

    // The office gets the same bytes, by either name.
    let store = &house.app.store;
    assert_eq!(of_receipt(store, town(), sought).await.expect("a proof"), proof.file);
    let by_receipt = Sought::Receipt { issuer: town(), receipt_id: receipt.id.clone() };
    assert_eq!(of_receipt(store, town(), by_receipt).await.expect("a proof"), proof.file);
    let nobody = of_receipt(store, town(), Sought::Notice("301000000000000000".to_owned())).await;
    assert!(matches!(nobody, Err(Stop::Refused(Unproven::Unknown))), "{nobody:?}");

    // Nothing in it says who anybody is, not even to which notice it belongs.
    let file = String::from_utf8(proof.file).expect("text");
    for private in ["Maria", "Bianchi", "Giulia", "Rossi", "BNC", &payment.notice.expect("a notice").number] {
        assert!(!file.contains(private), "{private} in {file}");
    }
    // A top-up is its payer's: neither the other parent nor another family sees that it exists.
    for other in [PAOLO, AMINA] {
        let phone = house.phone(other).await;
        assert_eq!(reason(phone.proofs(top_up(&payment.id)).await), Reason::UnknownTopUp, "{other}");
    }
    assert_eq!(reason(maria.with_token("x").proofs(top_up(&payment.id)).await), Reason::TokenInvalid);
    for payment in [None, top_up(""), bill("12")] {
        assert_eq!(reason(maria.proofs(payment).await), Reason::Malformed);
    }
    maria.sign_out().await.expect("an end");
    assert_eq!(reason(maria.proofs(top_up(&payment.id)).await), Reason::SessionEnded);
    house.close().await;
}

async fn a_bill_paid_in_parts_has_a_proof_for_each(fresh: Fresh) {
    let house = quiet(fresh).await;
    let maria = house.phone(MARIA).await;
    let open = maria.home().await.expect("home").bills.first().cloned().expect("a bill");
    let number = open.notice.clone().expect("a notice").number;
    assert_eq!(reason(maria.proofs(bill(&open.id)).await), Reason::NotPaid);
    for cents in [1_000, open.residual_cents - 1_000] {
        let delivered = house.deliver(&node::Receipt::new(&number, cents)).await;
        assert!(delivered.is_ok(), "{delivered:?}");
    }
    house.seal().await;
    let proofs =
        house.phone(PAOLO).await.proofs(bill(&open.id)).await.expect("every guardian of the child sees the bill");
    let amounts: Vec<i64> = proofs.iter().map(|proof| proof.amount_cents).collect();
    assert_eq!(amounts, [1_000, open.residual_cents - 1_000]);
    for proof in &proofs {
        let checked = check(&proof.file).expect("a proof that holds");
        assert!(look_up(&house.app.store, &checked).await.is_ok());
    }
    assert_eq!(reason(house.phone(AMINA).await.proofs(bill(&open.id)).await), Reason::UnknownBill);
    let several = of_receipt(&house.app.store, town(), Sought::Notice(number)).await;
    assert!(matches!(&several, Err(Stop::Refused(Unproven::Several(ids))) if ids.len() == 2), "{several:?}");
    house.close().await;
}

async fn a_ledger_knows_its_proofs_and_no_others(fresh: Fresh) {
    let house = quiet(fresh).await;
    let (_, checked) = proven(&house).await;
    let store = &house.app.store;
    assert!(look_up(store, &checked).await.is_ok());
    let (number, entry) = (checked.proof.seal.number, checked.proof.entry.id());
    let says = async |altered: &Checked| match look_up(store, altered).await {
        Err(Stop::Refused(no)) => no,
        other => panic!("{other:?}"),
    };
    let stranger = CreditorCode::from_digits("12345678901").expect("eleven digits");
    let mut altered = checked.clone();
    altered.proof.seal.creditor = stranger;
    assert_eq!(says(&altered).await, NotInLedger::Creditor(stranger));
    for beyond in [number + 1, u64::MAX] {
        let mut altered = checked.clone();
        altered.proof.seal.number = beyond;
        assert_eq!(says(&altered).await, NotInLedger::SealGone(beyond));
    }
    let mut altered = checked.clone();
    altered.hash.0[0] ^= 1;
    assert_eq!(says(&altered).await, NotInLedger::OtherSeal(number));
    // The ledger is altered, and the proof shows it.
    let id = house.fresh.id(entry.uuid());
    house.execute(&format!("UPDATE journal_entry SET at_ms = at_ms + 1 WHERE id = {id}")).await;
    assert_eq!(says(&checked).await, NotInLedger::Entry(entry));
    house.execute(&format!("UPDATE journal_entry SET at_ms = at_ms - 1 WHERE id = {id}")).await;
    assert!(look_up(store, &checked).await.is_ok());
    house.close().await;
}

/// What a proof says once something in it is other.
fn altered(file: &[u8], change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_slice(file).expect("JSON");
    change(&mut value);
    says(&serde_json::to_vec(&value).expect("JSON"))
}

fn says(file: &[u8]) -> String {
    check(file).expect_err("it proves nothing").to_string()
}

/// Another digit in place of the first.
fn turned(value: &mut Value) {
    let text = value.as_str().expect("a text");
    let first = if text.starts_with('0') { "1" } else { "0" };
    *value = json!(format!("{first}{}", &text[1..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_altered_is_told_in_a_sentence() {
    let house = quiet(Fresh::sqlite().await.expect("a store")).await;
    let (file, whole) = proven(&house).await;
    house.close().await;
    let expect = |said: String, part: &str| assert!(said.contains(part), "{said:?} does not say {part:?}");

    expect(says(b""), "is not JSON");
    expect(says(b"\xff\xfe"), "is not JSON");
    expect(says(&file[..file.len() - 3]), "is not JSON");
    expect(says(&[b'['; 100_000]), "is not JSON");
    expect(says(&vec![b' '; LARGEST + 1]), "larger than one can be");
    expect(says(b"[1, 2]"), "\"format\": \"borsellino-proof\"");
    expect(says(b"{\"format\": \"something else\", \"version\": 1}"), "\"format\": \"borsellino-proof\"");
    expect(altered(&file, |it| it["version"] = json!(2)), "of version 2, and this program reads version 1");
    expect(altered(&file, |it| it["version"] = json!("1")), "of version \"1\"");
    expect(altered(&file, |it| drop(it.as_object_mut().expect("an object").remove("version"))), "of version null");
    expect(altered(&file, |it| drop(it.as_object_mut().expect("an object").remove("seal"))), "missing field `seal`");
    expect(altered(&file, |it| it["name"] = json!("Maria")), "unknown field `name`");
    let twice = String::from_utf8(file.clone()).expect("text").replacen("\"path\":", "\"path\": 1, \"path\":", 1);
    expect(says(twice.as_bytes()), "the proof is damaged");
    for (pointer, part) in [
        ("/entry/creditor", "the entry's creditor can't be read"),
        ("/entry/id", "the entry's id can't be read"),
        ("/entry/kind", "the entry's kind can't be read"),
        ("/entry/digest", "the entry's digest can't be read"),
        ("/entry/receipt/issuer", "the receipt's issuer can't be read"),
        ("/entry/receipt/digest", "the receipt's digest can't be read"),
        ("/entry/sides/0/account", "an account of the entry can't be read"),
        ("/entry/sides/1/id", "an account of the entry can't be read"),
        ("/seal/root", "the seal's root can't be read"),
        ("/seal/heads", "the seal's heads can't be read"),
        ("/seal/previous", "the seal's previous can't be read"),
        ("/seal/hash", "the seal's hash can't be read"),
        ("/seal/public_key", "the seal's public_key can't be read"),
        ("/seal/signature", "the seal's signature can't be read"),
    ] {
        expect(altered(&file, |it| *it.pointer_mut(pointer).expect(pointer) = json!("x")), part);
    }

    let amount = |it: &mut Value, cents: i64| it["entry"]["sides"][0]["cents"] = json!(cents);
    expect(altered(&file, |it| amount(it, 999_999)), "the sides of the entry do not sum to zero");
    let richer = |it: &mut Value| {
        amount(it, 999_999);
        it["entry"]["sides"][1]["cents"] = json!(-999_999);
    };
    expect(altered(&file, richer), "(creditor, amount, accounts, time, receipt) is not what its digest was made of");
    let said = altered(&file, |it| {
        richer(it);
        turned(&mut it["entry"]["digest"]);
    });
    expect(said, "is not what its digest was made of");
    for altered_part in ["/entry/at_ms", "/seal/at_ms", "/seal/number", "/seal/entries"] {
        let said = altered(&file, |it| {
            let part = it.pointer_mut(altered_part).expect(altered_part);
            *part = json!(part.as_i64().expect("a number") + 1);
        });
        expect(said, "the proof was altered: what it says about the");
    }
    for altered_part in ["/seal/heads", "/seal/previous", "/seal/hash"] {
        let said = altered(&file, |it| turned(it.pointer_mut(altered_part).expect(altered_part)));
        expect(said, "what it says about the seal is not what the seal's hash was made of");
    }
    expect(altered(&file, |it| turned(&mut it["seal"]["root"])), "its path does not lead to the seal's root");
    expect(altered(&file, |it| it["path"]["position"] = json!(whole.proof.seal.count)), "its path does not lead");
    expect(altered(&file, |it| it["path"]["count"] = json!(0)), "its path does not lead");
    expect(altered(&file, |it| turned(&mut it["seal"]["key_id"])), "its key_id is not that of its public_key");
    expect(altered(&file, |it| turned(&mut it["seal"]["signature"])), "its signature is not that of the key it names");

    // Any one byte: either nothing is proven, or the very same.
    let mut harmless = 0;
    for at in 0..file.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bytes = file.clone();
            bytes[at] ^= flip;
            if let Ok(checked) = check(&bytes) {
                assert_eq!(checked, whole, "byte {at} with {flip:#x}");
                harmless += 1;
            }
        }
    }
    assert!(harmless < file.len() / 10, "most bytes count: {harmless}");
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}") {
        prop_assert!(check(&bytes).is_err());
        prop_assert!(check(text.as_bytes()).is_err());
    }
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The office makes a proof beside the running server; anybody checks it without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_made_and_checked_at_the_command_line() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    let top_up = notice(&line, "top_up");
    let kept = data.path().join("proof.json");
    let make = |output: &Path| {
        let mut command = command(&["proof", "make", "--creditor", TOWN, "--notice", text(top_up, "/number")]);
        run(command.arg("--data").arg(data.path()).arg("--output").arg(output))
    };
    assert!(said(&make(&kept)).contains("no receipt of this creditor is booked under that name"));
    pay(&line, top_up).await;
    // A server seals at its start, and then every minute.
    demo.stop();
    let (mut demo, _) = Running::demo(Some(data.path()));
    let begun = Instant::now();
    loop {
        let made = make(&kept);
        if made.status.success() {
            break;
        }
        assert!(said(&made).contains("not sealed yet"), "{made:?}");
        assert!(!kept.exists(), "nothing half written");
        assert!(begun.elapsed() < SOON, "it is not sealed");
    }
    let unwritable = said(&make(Path::new("/nonexistent/proof.json")));
    assert!(unwritable.contains("/nonexistent/proof.json can't be written"), "{unwritable}");

    let key = ok(run(command(&["proof", "key", "--json", "--data"]).arg(data.path())));
    let key: Value = serde_json::from_str(&key).expect("JSON");
    let plain = ok(run(command(&["proof", "key", "--data"]).arg(data.path())));
    assert_eq!(plain, format!("{}\nkey id {}\n", text(&key, "/public_key"), text(&key, "/key_id")));
    let mut from_environment = command(&["proof", "key"]);
    from_environment.env("BORSELLINO_SECRET", std::fs::read_to_string(data.path().join("secret")).expect("a secret"));
    assert_eq!(ok(run(&mut from_environment)), plain);
    assert!(said(&run(&mut command(&["proof", "key"]))).contains("give --config, or put the secret into"));

    // Whoever stops listening has had enough.
    let (listener, speaker) = std::io::pipe().expect("a pipe");
    drop(listener);
    let unheard = command(&["proof", "key", "--data"]).arg(data.path()).stdout(speaker).status().expect("a run");
    assert!(unheard.success(), "{unheard:?}");

    // Without database, configuration or network; then with the key; then with the ledger.
    let check = |more: &[&str]| run(command(&["proof", "check"]).arg(&kept).args(more));
    let plain = ok(check(&[]));
    assert!(plain.contains("holds, if the key is right") && plain.contains("Compare this key"), "{plain}");
    assert!(plain.contains(text(&key, "/public_key")) && plain.contains(" € to wallet "), "{plain}");
    let compared = ok(check(&["--key", text(&key, "/public_key")]));
    assert!(compared.contains("signed with the key that was given"), "{compared}");
    let folder = data.path().to_str().expect("text");
    let found: Value = serde_json::from_str(&ok(check(&["--json", "--data", folder]))).expect("JSON");
    assert_eq!(
        (&found["holds"], &found["in_ledger"], &found["key_compared"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!(found["sides"][0]["cents"], top_up["amount_cents"]);
    assert_eq!(text(&found, "/key_id"), text(&key, "/key_id"));
    demo.stop();

    let other = "11".repeat(32);
    assert!(said(&check(&["--key", &other])).contains("signed by another key"));
    let malformed = check(&["--key", "11"]);
    assert_eq!(malformed.status.code(), Some(2), "{malformed:?}");
    assert!(String::from_utf8_lossy(&malformed.stderr).contains("a public key is 64 hexadecimal digits"));
    let forged = std::fs::read_to_string(&kept).expect("the proof").replace("\"cents\": -", "\"cents\": -9");
    std::fs::write(&kept, forged).expect("a forgery");
    assert!(said(&check(&[])).contains("the proof was altered"));
    let forged = check(&["--json"]);
    assert_eq!(forged.status.code(), Some(1));
    let forged: Value = serde_json::from_slice(&forged.stdout).expect("JSON");
    assert_eq!(forged["holds"], json!(false));
    assert!(text(&forged, "/error").contains("the proof was altered"));
    std::fs::remove_file(&kept).expect("no file");
    assert!(said(&check(&[])).contains("proof.json can't be read"));
    assert!(said(&run(&mut command(&["proof", "check", "/dev/zero"]))).contains("larger than one can be"));
    assert!(said(&run(&mut command(&["proof", "check", "/"]))).contains("/ can't be read"));
}
