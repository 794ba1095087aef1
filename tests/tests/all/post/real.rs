//! Every kind of letter to a mail server that is not ours: aiosmtpd, with STARTTLS and a password.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_server::clock::Clock;
use borsellino_server::jobs;
use borsellino_server::mail::{Address, Attachment, Credentials, Letter, Mailer, Security, Sender, Settings};
use borsellino_server::usecases::post::send_notice;
use borsellino_tests::certificates::{Authority, Subject};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{House, MARIA, SOON, wallet};
use borsellino_tests::smtp::{FROM, USER};
use data_encoding::BASE64;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{HERS, OUTSIDE, Sender as Sending, identity, lives_at, read_bytes, settled};

borsellino_tests::in_both_houses! {
    every_kind_arrives_at_a_real_server;
}

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/smtp/server.py");

struct Real {
    child: Child,
    port: u16,
    folder: TempDir,
    authority: String,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has aiosmtpd: the one in the path, or the system's, for which Debian packages it.
fn python() -> &'static str {
    let has = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has).expect("apt-get install python3-aiosmtpd (tests/run does)")
}

impl Real {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Authority::root("Posta vera");
        let pair = root.certify(&Subject::server());
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let (certificate, key) = (put("certificate.pem", &pair.certificate), put("key.pem", &pair.key));
        let program = Command::new(python())
            .arg(PROGRAM)
            .args([&certificate, &key, &folder.path().join("mail")])
            .args([USER.0, USER.1])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = program.expect("a mail server");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { child, port, folder, authority: root.certificate }
    }

    fn mailer(&self, clock: Clock) -> Mailer {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: Security::Starttls,
            credentials: Some(Credentials { username: USER.0.to_owned(), password: Zeroizing::new(USER.1.to_owned()) }),
            from: Sender { name: "Comune di Valdorso".to_owned(), address: Address::parse(FROM).expect("an address") },
            reply_to: None,
            timeout: SOON,
            idle_for: SOON,
            authorities: Some(self.authority.clone()),
        };
        Mailer::new(settings, clock).expect("a mailer")
    }

    /// What lies in the Maildir.
    fn kept(&self) -> Vec<Vec<u8>> {
        let new: PathBuf = self.folder.path().join("mail").join("new");
        let files = std::fs::read_dir(Path::new(&new)).map(|files| files.flatten().collect::<Vec<_>>());
        files.unwrap_or_default().iter().map(|file| std::fs::read(file.path()).expect("a message")).collect()
    }
}

fn enclosing(names: &[&str], bytes: &[u8]) -> Letter {
    let to = Address::parse(HERS).expect("an address");
    let words = ("Ricevuta n. 1: perché è così".to_owned(), "In allegato.\n".to_owned());
    let media_type = "application/pdf";
    let attachments =
        names.iter().map(|name| Attachment { name: (*name).to_owned(), media_type, bytes: bytes.to_vec() });
    Letter {
        html: Some("<!DOCTYPE html><html lang=\"it\"><body><p>In allegato: è così.</p></body></html>".to_owned()),
        attachments: attachments.collect(),
        unsubscribe: Some(format!("{OUTSIDE}/lettere?t=abc")),
        ..Letter::plain(Uuid::from_u128(77), to, Language::Italian, words)
    }
}

async fn every_kind_arrives_at_a_real_server(house: &House) {
    let real = Real::start();
    let mut app = house.app.clone();
    // Nobody seals the ledger here.
    app.seal_every = Duration::ZERO;
    app.mailer = Some(Arc::new(real.mailer(app.clock.clone())));
    app.mail_every = Duration::from_millis(5);
    app.public_url = OUTSIDE.into();
    lives_at(house, MARIA, HERS).await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let notice = home.payments[0].notice.as_ref().expect("a notice").number.clone();
    let number = NoticeNumber::parse(&notice).expect("a notice");
    for to in [None, Some("zia.pina@posta.example".to_owned())] {
        send_notice(&app, identity(house, &phone), number, to, Language::Italian).await.expect("laid");
    }
    let canteen = wallet(&home, "Giulia", "Mensa scolastica");
    let whose = format!("id = {}", house.fresh.id(canteen.id.parse().expect("an id")));
    house.execute(&format!("UPDATE account SET balance_cents = 250 WHERE kind = 'wallet' AND {whose}")).await;
    house.execute("DELETE FROM low_told").await;
    let _sender = Sending(tokio::spawn(jobs::mail::run(app.clone())));
    let waits = async {
        while house.number("SELECT COUNT(*) FROM letter WHERE kind = 'low_balance' AND outcome = 'sent'").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waits).await.expect("told in time");
    let cents = canteen.balance_cents;
    house.execute(&format!("UPDATE account SET balance_cents = {cents} WHERE kind = 'wallet' AND {whose}")).await;
    assert!(house.deliver(&Receipt::new(&notice, 2_000)).await.is_ok());
    settled(house).await;
    // Every byte there is, in every place of a line; and names that need encoding.
    let bytes: Vec<u8> = (0..=255u8).cycle().take(300_007).collect();
    let names = ["avviso 5ªA.pdf", "学校缴费通知.pdf", "=?utf-8?q?x?= \"a\"; b=c.pdf"];
    let mailer = real.mailer(house.app.clock.clone());
    mailer.send(&enclosing(&names, &bytes)).await.expect("taken");
    assert_eq!(house.number("SELECT COUNT(*) FROM letter WHERE outcome IS NULL OR outcome <> 'sent'").await, 0);

    let messages = read_bytes(&real.kept());
    let about = |what: &str| {
        let found: Vec<_> = messages
            .iter()
            .filter(|message| message["headers"]["subject"].as_str().unwrap().starts_with(what))
            .collect();
        assert_eq!(found.len(), 1, "{what}");
        assert_eq!(
            (&found[0]["defects"], found[0]["html"].as_str().unwrap().is_empty()),
            (&json!([]), false),
            "{what}"
        );
        found[0]
    };
    for (subject, to) in [
        ("Accesso da un dispositivo", HERS),
        ("Avviso di pagamento: 20,00 €", HERS),
        ("Un avviso da pagare: 20,00 €", "zia.pina@posta.example"),
        ("Operazione conclusa: 20,00 €", HERS),
    ] {
        assert_eq!(about(subject)["headers"]["x-to"], to);
    }
    assert!(messages.iter().any(|message| message["headers"]["subject"] == "Saldo basso: Mensa scolastica"));
    let enclosed = about("Ricevuta n. 1")["enclosed"].as_array().expect("a list");
    assert_eq!(enclosed.len(), names.len());
    for (found, name) in enclosed.iter().zip(["avviso 5ªA.pdf", "学校缴费通知.pdf", "=-utf-8-q-x-= -a-; b=c.pdf"])
    {
        assert_eq!((&found[0], &found[1]), (&json!(name), &json!("application/pdf")));
        assert_eq!(BASE64.decode(found[2].as_str().unwrap().as_bytes()).unwrap(), bytes, "every byte of {name}");
    }
    let whole = about("Ricevuta n. 1");
    assert_eq!(whole["type"], "multipart/mixed");
    assert_eq!(whole["headers"]["list-unsubscribe"], format!("<{OUTSIDE}/lettere?t=abc>"));
    assert_eq!(whole["text"].as_str().unwrap().trim_end(), "In allegato.");
}
