//! Letters by e-mail, through public doors, against a strict fake of an SMTP server; and all kinds against a real one.

mod accounts;
mod again;
mod answers;
mod notices;
mod payments;
mod real;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_server::auth::token::Identity;
use borsellino_server::jobs;
use borsellino_server::usecases::App;
use borsellino_server::usecases::guardians::change_email;
use borsellino_server::usecases::office::Act;
use borsellino_server::usecases::sessions::identify;
use borsellino_tests::house::{House, Phone, SOON, TOWN};
use borsellino_tests::smtp::{Smtp, Taken};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const HERS: &str = "maria.bianchi@famiglia.example";
const HIS: &str = "paolo.rossi@famiglia.example";

/// Where letters say that the server is.
const OUTSIDE: &str = "https://borsellino.valdorso.example";

/// The sender of a node.
struct Sender(JoinHandle<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The server as a node that sends e-mail, at once: nobody seals the ledger, and letters don't wait for it.
fn app(house: &House, smtp: &Smtp) -> App {
    let mut app = app_that_seals(house, smtp);
    app.seal_every = Duration::ZERO;
    app
}

/// The server as a node that sends e-mail.
fn app_that_seals(house: &House, smtp: &Smtp) -> App {
    let mut app = house.app.clone();
    app.mailer = Some(Arc::new(smtp.mailer(app.clock.clone())));
    app.mail_every = Duration::from_millis(5);
    app.public_url = OUTSIDE.into();
    app
}

fn sender(house: &House, smtp: &Smtp) -> Sender {
    Sender(tokio::spawn(jobs::mail::run(app(house, smtp))))
}

/// Gives somebody an address, as if they had always had it: no letter says so. Of balances that are low now nobody is told.
async fn lives_at(house: &House, who: &str, address: &str) {
    let told = "INSERT INTO low_told SELECT creditor, id, 0 FROM wallet WHERE true ON CONFLICT DO NOTHING";
    house.execute(told).await;
    house.execute(&format!("UPDATE guardian SET email = '{address}' WHERE username = '{who}'")).await;
}

fn act(house: &House) -> Act {
    let creditor = CreditorCode::parse(TOWN).expect("eleven digits");
    Act::new(creditor, house.app.now(), ("a document was shown".to_owned(), "a clerk".to_owned())).expect("an act")
}

async fn moves_to(house: &House, who: &str, address: Option<&str>) {
    let what = (who.to_owned(), address.map(str::to_owned));
    change_email(&house.app.store, &house.app.keys, act(house), what).await.expect("changed");
}

fn identity(house: &House, phone: &Phone) -> Identity {
    identify(&house.app, &phone.tokens.access_token).expect("a token")
}

/// Until nothing is to be told or sent any more.
async fn settled(house: &House) {
    let open = "SELECT (SELECT COUNT(*) FROM letter WHERE outcome IS NULL)
        + (SELECT COUNT(*) FROM outbox WHERE kind = 'payment_done')";
    let waits = async {
        while house.number(open).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waits).await.expect("settled in time");
}

async fn outcomes(house: &House, outcome: &str) -> i64 {
    house.number(&format!("SELECT COUNT(*) FROM letter WHERE outcome = '{outcome}'")).await
}

/// What Python's `email` makes of messages.
const READER: &str = r#"
import base64, email, email.policy, json, sys
read = []
for coded in json.load(sys.stdin):
    message = email.message_from_bytes(base64.b64decode(coded), policy=email.policy.default)
    defects, texts, enclosed = [], {}, []
    for part in message.walk():
        defects += [type(defect).__name__ for defect in part.defects]
        for name, value in part.items():
            defects += [type(defect).__name__ for defect in getattr(value, 'defects', [])]
        if part.is_multipart():
            continue
        if part.get_content_disposition() == 'attachment':
            body = base64.b64encode(part.get_payload(decode=True)).decode()
            enclosed.append([part.get_filename(), part.get_content_type(), body])
        else:
            texts[part.get_content_type()] = part.get_content().replace('\r\n', '\n')
    read.append({'headers': {name.lower(): str(value) for name, value in message.items()}, 'count': len(message.keys()),
        'text': texts.get('text/plain', ''), 'html': texts.get('text/html', ''), 'enclosed': enclosed,
        'type': message.get_content_type(), 'to': [a.addr_spec for a in message['To'].addresses], 'defects': defects})
json.dump(read, sys.stdout)
"#;

fn read_bytes(messages: &[Vec<u8>]) -> Vec<Value> {
    let coded: Vec<String> = messages.iter().map(|raw| BASE64.encode(raw)).collect();
    let python = Command::new("python3").arg("-c").arg(READER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.expect("python3, which tests/run installs");
    python.stdin.take().unwrap().write_all(json!(coded).to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python reads the messages");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn read(taken: &[Taken]) -> Vec<Value> {
    let raw: Vec<Vec<u8>> = taken.iter().map(|letter| letter.raw.clone()).collect();
    let messages = read_bytes(&raw);
    for message in &messages {
        assert_eq!(message["defects"], json!([]));
    }
    messages
}

fn said<'a>(message: &'a Value, part: &str) -> &'a str {
    message[part].as_str().unwrap()
}

fn subject(message: &Value) -> &str {
    message["headers"]["subject"].as_str().unwrap()
}

/// Both ways of reading say it.
#[track_caller]
fn says(message: &Value, what: &str) {
    let (text, html) = (said(message, "text"), said(message, "html"));
    assert!(text.contains(what), "{what:?} in {text}");
    let escaped = what.replace('&', "&#38;").replace('\'', "&#39;");
    assert!(html.contains(&escaped), "{what:?} in {html}");
}

/// Neither way of reading says it, nor does a header.
#[track_caller]
fn says_not(message: &Value, what: &str) {
    assert!(!message.to_string().contains(what), "{what:?} in {message}");
}

async fn until(smtp: &Smtp, count: usize) -> Vec<Value> {
    smtp.until(|smtp| smtp.taken().len() >= count).await;
    let taken = smtp.taken();
    assert_eq!(taken.len(), count);
    read(&taken)
}
