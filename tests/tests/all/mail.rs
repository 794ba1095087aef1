//! Letters, against a strict fake of an SMTP server, and read by Python's `email`.

mod said;
mod trouble;

use std::io::Write as _;
use std::process::{Command, Stdio};

use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_server::clock::Clock;
use borsellino_server::mail::{Address, Letter};
use borsellino_tests::smtp::{Smtp, Taken};
use data_encoding::BASE64;
use serde_json::{Value, json};
use uuid::Uuid;

/// 21 November 2026, 17:03:43 in UTC.
const NOW: i64 = 1_795_280_623_000;

/// To whom the tests write.
const TO: &str = "maria.bianchi@famiglia.example";

fn clock() -> Clock {
    Clock::of(|| Millis::new(NOW))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x01a1_fed9_642e_7c24_868b_28a0_ea1b_0000 | number)
}

fn letter(number: u128, subject: &str, text: &str) -> Letter {
    let (subject, text) = (subject.to_owned(), text.to_owned());
    Letter::plain(id(number), Address::parse(TO).unwrap(), Language::Italian, (subject, text))
}

fn short() -> Letter {
    letter(1, "Codice di recupero", "Il codice \u{e8} 1234.\n")
}

/// What Python's `email` makes of messages: headers in their order, the text, how many parts, and what it objects to.
const READER: &str = r#"
import base64, email, email.policy, json, sys
from email.header import decode_header, make_header
from email.utils import getaddresses
read = []
for coded in json.load(sys.stdin):
    message = email.message_from_bytes(base64.b64decode(coded), policy=email.policy.default)
    # Long names: the newer policy of Python 3.11 puts a space between encoded words.
    old = email.message_from_bytes(base64.b64decode(coded))
    defects = [type(defect).__name__ for defect in message.defects]
    headers = []
    for name, value in message.items():
        headers.append([name, str(value)])
        defects += [type(defect).__name__ for defect in getattr(value, 'defects', [])]
    read.append({'headers': headers, 'text': message.get_content().replace('\r\n', '\n'), 'parts': len(list(message.walk())),
        'type': message.get_content_type(), 'charset': message.get_content_charset(), 'defects': defects,
        'from': [[str(make_header(decode_header(name))), address] for name, address in getaddresses([old['From']])],
        'to': [[a.display_name, a.addr_spec] for a in message['To'].addresses]})
json.dump(read, sys.stdout)
"#;

fn read(taken: &[Taken]) -> Vec<Value> {
    let coded: Vec<String> = taken.iter().map(|letter| BASE64.encode(&letter.raw)).collect();
    let mut python = Command::new("python3");
    let python = python.arg("-c").arg(READER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.expect("python3, which tests/run installs");
    python.stdin.take().unwrap().write_all(json!(coded).to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python reads the messages");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn header(message: &Value, name: &str) -> String {
    let pairs = message["headers"].as_array().unwrap();
    let found: Vec<&str> = pairs.iter().filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect();
    assert_eq!(found.len(), 1, "{name} once in {pairs:?}");
    found[0].to_owned()
}

fn content(smtp: &Smtp) {
    assert_eq!(smtp.violations(), Vec::<String>::new());
    assert_eq!(smtp.left(), 0, "everything ordered has happened");
}
