//! The commands about documents, refunds and letters, as the office runs them beside a demo.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use borsellino_server::clock::Clock;
use borsellino_tests::house::{TOWN, pdf_text};
use serde_json::Value;
use tempfile::TempDir;

use crate::all::demo::{Running, command, notice, pay, run, text};

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn said(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Office<'a>(&'a Path);

impl Office<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        run(command(arguments).arg("--data").arg(self.0).args(["--creditor", TOWN]))
    }

    fn signed(&self, arguments: &[&str]) -> Output {
        let mut command = command(arguments);
        command.arg("--data").arg(self.0).args(["--creditor", TOWN]);
        run(command.args(["--reason", "asked for at the counter", "--operator", "A. Verdi"]))
    }

    fn pdf(&self, arguments: &[&str]) -> String {
        let file = self.0.join("one.pdf");
        let path = file.to_str().expect("text");
        ok(self.run(&[arguments, &["--output", path]].concat()));
        let text = pdf_text(&std::fs::read(&file).expect("a file"));
        std::fs::remove_file(&file).expect("a file");
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_refunds_and_letters_at_the_command_line() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    let office = Office(data.path());
    let top_up = notice(&line, "top_up");
    let number = text(top_up, "/number");

    // What stands on every notice.
    let shown: Value = serde_json::from_str(&ok(office.run(&["document", "letterhead", "--json"]))).expect("JSON");
    assert_eq!(text(&shown, "/wording"), "it");
    ok(office.signed(&["document", "letterhead", "--sector", "Ufficio scuola", "--wording", "it-de"]));
    let shown = ok(office.run(&["document", "letterhead"]));
    assert!(shown.contains("Ufficio scuola") && shown.contains("it-de"), "{shown}");
    let unsigned = office.run(&["document", "letterhead", "--sector", "x"]);
    assert!(said(&unsigned).contains("reason"), "{unsigned:?}");
    let no_logo = data.path().join("logo.png");
    std::fs::write(&no_logo, b"no picture").expect("a file");
    let refused = office.signed(&["document", "letterhead", "--logo", no_logo.to_str().expect("text")]);
    assert!(said(&refused).contains("logo"), "{refused:?}");
    let mut address = command(&["guardian", "address", "maria.bianchi", "--address", "-", "--data"]);
    address.arg(data.path()).args(["--creditor", TOWN, "--reason", "moved", "--operator", "A. Verdi"]);
    let mut child = address.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a start");
    child.stdin.take().expect("a pipe").write_all("Via  dei Tigli 7\n39100 Bolzano".as_bytes()).expect("a line");
    assert!(child.wait_with_output().expect("an end").status.success());

    let printed = office.pdf(&["document", "notice", number]);
    for wanted in ["Maria Bianchi", "Via dei Tigli 7 39100 Bolzano", "Ufficio scuola", "Avviso di pagamento"] {
        assert!(printed.contains(wanted), "{wanted} in {printed}");
    }
    assert!(said(&office.run(&["document", "notice", "12"])).contains("the notice's number"));
    let unknown = office.run(&["document", "notice", "301000000000000750"]);
    assert!(said(&unknown).contains("there is no such notice"), "{unknown:?}");

    // Paid: a receipt, its original, a certificate; and back again.
    let not_yet = office.run(&["document", "receipt", "--notice", number]);
    assert!(said(&not_yet).contains("no receipt of this creditor"), "{not_yet:?}");
    pay(&line, top_up).await;
    assert!(said(&office.run(&["document", "notice", number])).contains("can no longer be paid"));
    let receipt = office.pdf(&["document", "receipt", "--notice", number]);
    assert!(receipt.contains("20,00") && receipt.contains(&number[1..]), "{receipt}");
    let xml = ok(office.run(&["document", "receipt", "--notice", number, "--xml"]));
    assert!(xml.contains("paSendRTV2Request") && xml.contains(number), "{xml}");
    let wallet = text(&line, "/wallets/0/id").to_owned();
    let statement = office.pdf(&["document", "statement", &wallet, "--from", "2026-01-01", "--to-day", "2099-12-31"]);
    assert!(
        said(&office.run(&["document", "statement", &wallet, "--from", "2026-05-01", "--to-day", "2026-04-01"]))
            .contains("period")
    );
    assert!(statement.contains("Mensa scolastica"), "{statement}");
    let given = ok(office.signed(&["refund", "--notice", number, "--cents", "500"]));
    assert_eq!(given, "5,00 € given back\n");
    let too_much = office.signed(&["refund", "--notice", number, "--cents", "1501"]);
    assert!(said(&too_much).contains("at most 15.00 can be given back"), "{too_much:?}");
    let year = this_year();
    let codes = ["--payer", text(top_up, "/debtor_fiscal_code"), "--child", "RSSGLI17C48F205K", "--year", &year];
    let more = ["--url", "https://scuola.comune.example/"];
    let certificate = office.pdf(&[&["document", "certificate"], &codes[..], &more[..]].concat());
    let unbroken: String = certificate.split_whitespace().collect();
    assert!(unbroken.contains(&format!("https://scuola.comune.example/verifica/{TOWN}")), "{certificate}");
    let nobody = ["--payer", "RSSMRA80A01H501U", "--child", "RSSGLI17C48F205K", "--year", &year];
    assert!(said(&office.run(&[&["document", "certificate"], &nobody[..]].concat())).contains("nothing was paid"));

    // A billing run.
    let folder = data.path().join("run");
    let into = folder.to_str().expect("text");
    let period = ["--period", "ottobre 2026", "--folder", into];
    let ran: Value =
        serde_json::from_str(&ok(office.run(&[&["document", "batch", "--json"], &period[..]].concat()))).expect("JSON");
    assert!(ran["printed"].as_u64() > Some(0), "{ran}");
    assert!(folder.join("avvisi.zip").exists() && folder.join("volume-001.pdf").exists());
    let nothing = office.run(&["document", "batch", "--period", "marzo 1999", "--folder", into]);
    assert!(said(&nothing).contains("holds another run"), "{nothing:?}");

    // Letters.
    assert!(!ok(office.run(&["mail", "list", "--json"])).trim().is_empty());
    ok(office.signed(&["mail", "choose", "--documents", "link"]));
    ok(office.run(&["guardian", "bounced"]));
    let mut bounce = command(&["mail", "bounce", "--data"]);
    let mut child = bounce.arg(data.path()).stdin(Stdio::piped()).spawn().expect("a start");
    child.stdin.take().expect("a pipe").write_all(b"From: x@y.example\r\n\r\nno notification\r\n").expect("a letter");
    assert_eq!(child.wait().expect("an end").code(), Some(3), "none of ours");
    let acts = ok(office.run(&["office", "log"]));
    for act in ["letterhead_changed", "address_changed", "refunded"] {
        assert!(acts.contains(act), "{act} in {acts}");
    }
    demo.stop();
}

/// The year that the demo, whose clock is this machine's, is in.
fn this_year() -> String {
    Clock::system().now().day_in_italy().expect("a day").year().to_string()
}
