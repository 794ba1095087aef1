//! Whoever asks for what is none of theirs is refused, and heard: the log names them by ids, and what was asked for not at all.

use std::sync::{Mutex, Once};

use borsellino_tests::house::{AMINA, Browser, Form, House, MARIA, TOWN, new_id};
use data_encoding::BASE64URL_NOPAD;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use uuid::Uuid;

borsellino_tests::in_both_houses! {
    what_is_none_of_theirs_is_refused_and_heard;
}

const BASE: &str = "/comune/99900010010";

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// Lines of the log that are for the audit, of all tests of this process.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Hears those lines and no others.
struct Ears;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Ears {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "borsellino::audit"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        HEARD.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Ears).expect("nobody else listens"));
}

/// The session of a visit, which no other test has: the last sixteen bytes of whom its pass names.
fn session(browser: &Browser) -> String {
    let pass = browser.cookie("borsellino").expect("a pass");
    let pass = BASE64URL_NOPAD.decode(pass.as_bytes()).expect("base64");
    // A kind, the creditor's eleven digits, guardian and session.
    Uuid::from_slice(&pass[28..44]).expect("sixteen bytes").to_string()
}

/// What was heard of a session, and not yet looked at.
fn heard(session: &str) -> Vec<String> {
    let mut all = HEARD.lock().expect("no panic");
    let (own, others): (Vec<_>, Vec<_>) = all.drain(..).partition(|line| line.contains(session));
    *all = others;
    own
}

async fn what_is_none_of_theirs_is_refused_and_heard(house: &House) {
    listen();
    let amina = house.visitor(TOWN, AMINA).await;
    let session = session(&amina);
    assert_eq!(house.number(&format!("SELECT COUNT(*) FROM session WHERE {}", is(house, &session))).await, 1);
    let home = house.phone(MARIA).await.home().await.expect("home");
    let (child, wallet) = (&home.children[0].id, &home.children[0].wallets[0].id);
    let (bill, notice) = (&home.bills[0].id, &home.bills[0].notice.as_ref().expect("a notice").number);

    // Addresses.
    for (path, what) in [
        (format!("/avviso/{notice}"), "UnknownNotice"),
        (format!("/avviso/{notice}/pdf"), "UnknownNotice"),
        (format!("/esito/bollettino/{bill}"), "UnknownBill"),
        (format!("/esito/insieme/b-{bill}"), "UnknownBill"),
        (format!("/bollettini/{bill}"), "UnknownBill"),
        (format!("/movimenti?saldo={wallet}"), "UnknownWallet"),
        (format!("/ricarica?saldo={wallet}"), "UnknownWallet"),
        (format!("/estratto/{wallet}?dal=2026-09-01&al=2026-10-31"), "UnknownWallet"),
        (format!("/messaggi/nuovo?tipo=generica&saldo={wallet}&movimento=1"), "UnknownWallet"),
        (format!("/esito/ricarica/{}", new_id()), "UnknownTopUp"),
    ] {
        let page = amina.get(&at(&path)).await;
        assert_eq!(page.status, 404, "{path}: {}", page.text());
        refused(&session, &path, what, [notice, bill, wallet]);
    }
    // Forms.
    let own = amina.get(&at("/messaggi/nuovo?tipo=generica")).await.form(&at("/messaggi/nuovo"));
    let to = |path: &str| Form { action: at(path), fields: own.fields.clone() };
    for (form, what) in [
        (to("/paga").with("avviso", notice).with("come", "online"), "UnknownNotice"),
        (
            to("/ricarica").with(&format!("importo-{wallet}"), "2000").with(&format!("id-{wallet}"), &new_id()),
            "UnknownWallet",
        ),
        (to("/messaggi/nuovo").with("figlio", child).with("testo", "Buongiorno"), "UnknownChild"),
        (to(&format!("/avviso/{notice}/link")), "UnknownNotice"),
    ] {
        let page = amina.send(&form).await;
        assert_eq!(page.status, 404, "{}: {}", form.action, page.text());
        refused(&session, &form.action, what, [notice, bill, wallet]);
    }
    // Their own is no matter for the log.
    assert_eq!(amina.get(&at("/ricarica")).await.status, 200);
    assert_eq!(heard(&session), Vec::<String>::new());
}

/// One line says so, and names nothing of the other family.
fn refused(session: &str, asked: &str, what: &str, theirs: [&String; 3]) {
    let lines = heard(session);
    assert_eq!(lines.len(), 1, "{asked}: {lines:?}");
    assert!(lines[0].contains(&format!("reason={what} ")), "{asked}: {lines:?}");
    assert!(theirs.iter().all(|id| !lines[0].contains(id.as_str())), "{asked}: {lines:?}");
}

/// The condition that picks a session.
fn is(house: &House, session: &str) -> String {
    match house.fresh.is_sqlite() {
        true => format!("LOWER(HEX(id)) = '{}'", session.replace('-', "")),
        false => format!("id = '{session}'"),
    }
}
