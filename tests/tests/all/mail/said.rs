//! What is sent, and over what.

use std::collections::BTreeSet;
use std::time::Duration;

use borsellino_domain::language::Language;
use borsellino_server::config::Config;
use borsellino_server::mail::{Address, Letter, Mailer, Security, Sender, Settings};
use borsellino_tests::smtp::{At, FROM, Fault, Kind, Smtp, USER};
use futures_util::future::join_all;
use serde_json::json;

use super::{TO, clock, content, header, id, letter, read, short};

#[tokio::test]
async fn a_letter_says_what_it_is() {
    let smtp = Smtp::start().await;
    let settings = Settings { reply_to: Some(Address::parse("scuola@valdorso.example").unwrap()), ..smtp.settings() };
    let mailer = Mailer::new(settings, clock()).unwrap();
    let german = Letter { language: Language::German, ..short() };
    assert_eq!(mailer.send(&german).await.unwrap(), "250 2.0.0 Ok: queued as 4ZxQ1k");
    let taken = smtp.taken();
    assert_eq!((taken[0].from.as_str(), taken[0].to.as_slice()), (FROM, [TO.to_owned()].as_slice()));
    assert_eq!((taken[0].hello.as_str(), taken[0].tls, &taken[0].user), ("valdorso.example", false, &None));
    let message = &read(&taken)[0];
    let names: BTreeSet<&str> =
        message["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap()).collect();
    let expected = [
        "Auto-Submitted",
        "Content-Language",
        "Content-Transfer-Encoding",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Reply-To",
        "Subject",
        "To",
    ];
    assert_eq!(names, BTreeSet::from(expected), "no header more");
    assert_eq!(message["from"], json!([["Comune di Valdorso", FROM]]));
    assert_eq!(message["to"], json!([["", TO]]));
    assert_eq!(header(message, "Reply-To"), "scuola@valdorso.example");
    assert_eq!(header(message, "Date"), "Sat, 21 Nov 2026 17:03:43 +0000");
    assert_eq!(header(message, "Message-ID"), format!("<{}@valdorso.example>", id(1)));
    assert_eq!(header(message, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(message, "Content-Language"), "de");
    assert_eq!((&message["type"], &message["charset"]), (&json!("text/plain"), &json!("utf-8")));
    assert_eq!(message["text"].as_str().unwrap().trim_end(), "Il codice è 1234.");
    assert_eq!(message["defects"], json!([]));
    content(&smtp);
}

#[tokio::test]
async fn every_script_arrives() {
    let long = "Die Höhe der Gebühr für die Schulausspeisung im Kindergarten Sankt Nikolaus und was dafür zu tun ist. "
        .repeat(12);
    let written = [
        ("Attività: perché il saldo è così basso?", "Perché è già così: 12,15 €.\n\nCordiali saluti\n"),
        ("Größe, Übermittlung, Straße", "Grüße aus Brixen, ß und ẞ.\n"),
        ("学校缴费通知", "您好！余额不足，请充值。\n".repeat(40).leak()),
        ("Fatto 🎉 e 👨‍👩‍👧", "Tutto bene 🎒\n"),
        (long.trim(), "kurz\n"),
        ("=?utf-8?q?Bcc:_x?=", "=?utf-8?q?not_a_word?= =41=0D=0A\n"),
        ("x".repeat(3_000).leak(), "unbroken\n"),
        ("Due   spazi, \"virgolette\"; <parentesi>", "ciao\n"),
        ("", "ohne Betreff\n"),
        ("nur ASCII", "plain\n"),
    ];
    let smtp = Smtp::start().await;
    let mailer = smtp.mailer(clock());
    for (number, (subject, text)) in written.iter().enumerate() {
        mailer.send(&letter(number as u128, subject, text)).await.unwrap();
    }
    let messages = read(&smtp.taken());
    assert_eq!(messages.len(), written.len());
    for (message, (subject, text)) in messages.iter().zip(written) {
        assert_eq!(header(message, "Subject"), subject);
        assert_eq!(message["text"].as_str().unwrap().trim_end(), text.trim_end());
        assert_eq!((&message["defects"], &message["parts"]), (&json!([]), &json!(1)), "{subject}");
    }
    content(&smtp);
}

/// The fake notes each line that is too long, not ASCII, or does not end with CRLF.
#[tokio::test]
async fn what_is_written_stays_what_it_is() {
    let long = "x".repeat(5_000);
    let texts = [
        (".", "."),
        ("a\n.\nb", "a\n.\nb"),
        ("a\r\n.\r\nMAIL FROM:<x@y.example>\r\nb", "a\n.\nMAIL FROM:<x@y.example>\nb"),
        ("a\r.\rb", "a\n.\nb"),
        ("a\n.\r\nb", "a\n.\nb"),
        ("..\n...", "..\n..."),
        ("a\0b\u{7}\u{1b}[31m", "ab[31m"),
        ("From me\n>From you", "From me\n>From you"),
        ("Bcc: x@y.example\n\nX", "Bcc: x@y.example\n\nX"),
        ("tab\tand  spaces", "tab\tand  spaces"),
        (&long, &long),
    ];
    let subjects = [
        ("Saldo\r\nBcc: x@y.example\r\n\r\nCiao", "Saldo Bcc: x@y.example Ciao"),
        ("Saldo\nBcc: x@y.example", "Saldo Bcc: x@y.example"),
        ("Saldo\rBcc: x@y.example", "Saldo Bcc: x@y.example"),
        ("Saldo\0\u{85}\u{2028}è", "Saldo è"),
        ("\r\n.\r\nQUIT\r\n", ". QUIT"),
    ];
    let smtp = Smtp::start().await;
    let mailer = smtp.mailer(clock());
    for (text, _) in texts {
        mailer.send(&letter(1, "Saldo", text)).await.unwrap();
    }
    for (subject, _) in subjects {
        mailer.send(&letter(1, subject, "ciao")).await.unwrap();
    }
    let taken = smtp.taken();
    assert_eq!(taken.len(), texts.len() + subjects.len());
    assert!(taken.iter().all(|letter| letter.from == FROM && letter.to == [TO]), "nobody else gets one");
    let messages = read(&taken);
    for (message, (_, text)) in messages.iter().zip(texts) {
        assert_eq!(message["text"].as_str().unwrap().strip_suffix('\n'), Some(text));
        assert_eq!((header(message, "Subject"), &message["defects"]), ("Saldo".to_owned(), &json!([])));
    }
    for (message, (_, subject)) in messages[texts.len()..].iter().zip(subjects) {
        assert_eq!(header(message, "Subject"), subject);
        assert_eq!(message["headers"].as_array().unwrap().len(), messages[0]["headers"].as_array().unwrap().len());
        assert_eq!(message["text"].as_str().unwrap().trim_end(), "ciao");
    }
    content(&smtp);
}

#[tokio::test]
async fn a_senders_name_is_a_name() {
    let smtp = Smtp::start().await;
    let names = [
        "Gemeinde Sterzing / Comune di Vipiteno",
        "Città di \"Bolzano\", <ufficio> scuola; x@y.example",
        "Back\\slash \"\\\" 1",
        "Stadt Brixen – Öffentlichkeitsarbeit und Schulausspeisung, Südtirol",
        "Stadt Brixen – Öffentlichkeitsarbeit",
        "O'Neil (mensa)",
        "St. Ulrich, Schulamt",
        "=?utf-8?q?Banca?=",
        "",
    ];
    for name in names {
        let address = Address::parse(FROM).unwrap();
        let settings = Settings { from: Sender { name: name.to_owned(), address }, ..smtp.settings() };
        Mailer::new(settings, clock()).unwrap().send(&short()).await.unwrap();
    }
    for (message, name) in read(&smtp.taken()).iter().zip(names) {
        assert_eq!((&message["from"], &message["defects"]), (&json!([[name, FROM]]), &json!([])));
    }
    content(&smtp);
}

#[tokio::test]
async fn the_same_letter_has_the_same_message_id() {
    let smtp = Smtp::start().await;
    let mailer = smtp.mailer(clock());
    smtp.order([(At::Letter, Fault::Cut)]);
    assert_eq!(mailer.send(&short()).await.unwrap_err().code(), "letter cut", "taken, and the answer is lost");
    mailer.send(&short()).await.unwrap();
    smtp.mailer(borsellino_server::clock::Clock::system()).send(&short()).await.unwrap();
    mailer.send(&letter(2, "Codice di recupero", "Il codice è 1234.\n")).await.unwrap();
    let taken = smtp.taken();
    assert_eq!(taken[0].raw, taken[1].raw, "at the same time they are the same bytes");
    let ids: Vec<String> = read(&taken).iter().map(|message| header(message, "Message-ID")).collect();
    assert_eq!((&ids[0], &ids[0]), (&ids[1], &ids[2]));
    assert_ne!(ids[0], ids[3]);
    content(&smtp);
}

#[tokio::test]
async fn over_tls_and_signed_in() {
    for security in [Security::Tls, Security::Starttls] {
        for auth in ["AUTH PLAIN LOGIN", "AUTH LOGIN", "auth=login", "AUTH GSSAPI PLAIN"] {
            let smtp = Smtp::start_as(Kind { auth: Some(auth), ..Kind::closed(security) }).await;
            smtp.mailer(clock())
                .send(&short())
                .await
                .unwrap_or_else(|trouble| panic!("{security:?} {auth}: {trouble}"));
            let taken = smtp.taken();
            assert_eq!((taken[0].tls, taken[0].user.as_deref()), (true, Some(USER.0)));
            content(&smtp);
        }
        let smtp = Smtp::start_as(Kind { auth: None, ..Kind::closed(security) }).await;
        smtp.mailer(clock()).send(&short()).await.unwrap();
        assert_eq!((smtp.taken()[0].tls, &smtp.taken()[0].user), (true, &None));
        content(&smtp);
    }
}

#[tokio::test]
async fn as_an_operator_sets_it() {
    let smtp = Smtp::start_as(Kind::closed(Security::Starttls)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("password"), format!("{}\n", USER.1)).unwrap();
    std::fs::write(path("ca.pem"), smtp.settings().authorities.unwrap()).unwrap();
    let text = format!(
        "[database]\nurl = 'sqlite:/tmp/x'\n[public]\nlisten = '127.0.0.1:0'\n[node]\nlisten = '127.0.0.1:0'\n\
        [mail]\nhost = '127.0.0.1'\nport = {}\nsecurity = 'starttls'\nusername = '{}'\npassword_file = '{}'\nca = '{}'\n\
        from = {{ name = 'Comune di Valdorso', address = '{FROM}' }}",
        smtp.settings().port,
        USER.0,
        path("password"),
        path("ca.pem"),
    );
    let config: Config = toml::from_str(&text).unwrap();
    config.check().unwrap();
    let mailer = config.mailer(clock()).unwrap().unwrap();
    assert_eq!(mailer.timeout(), Duration::from_secs(60));
    mailer.send(&short()).await.unwrap();
    assert_eq!(smtp.taken()[0].user.as_deref(), Some(USER.0));
    content(&smtp);
}

#[tokio::test]
async fn letters_share_a_connection() {
    let smtp = Smtp::start_as(Kind::closed(Security::Tls)).await;
    let mailer = smtp.mailer(clock());
    for number in 0..3 {
        mailer.send(&letter(number, "Saldo", "ciao")).await.unwrap();
    }
    smtp.order([(At::Rcpt, Fault::says("550 5.1.1 no such user")), (At::Letter, Fault::says("451 4.3.0 later"))]);
    assert_eq!(mailer.send(&short()).await.unwrap_err().code(), "rcpt 550 5.1.1");
    assert_eq!(mailer.send(&short()).await.unwrap_err().code(), "letter 451 4.3.0");
    mailer.send(&short()).await.unwrap();
    assert_eq!((smtp.connections(), smtp.taken().len()), (1, 4), "a refusal is no reason to hang up");
    content(&smtp);
}

#[tokio::test]
async fn a_connection_that_died_meanwhile_costs_no_letter() {
    let smtp = Smtp::start().await;
    let mailer = Mailer::new(Settings { timeout: Duration::from_secs(4), ..smtp.settings() }, clock()).unwrap();
    mailer.send(&short()).await.unwrap();
    for fault in
        [Fault::Cut, Fault::says("421 4.4.2 idle for too long"), Fault::says("250 Ok\r\n421 bye"), Fault::Silent]
    {
        let before = smtp.connections();
        smtp.order([(At::Reset, fault.clone())]);
        let sent = mailer.send(&short()).await;
        if let Fault::Says(answer) = &fault
            && answer.starts_with(b"250")
        {
            assert_eq!(sent.unwrap_err().code(), "mail out of step");
            mailer.send(&short()).await.unwrap();
        } else {
            sent.unwrap_or_else(|trouble| panic!("{fault:?}: {trouble}"));
        }
        assert_eq!(smtp.connections(), before + 1, "{fault:?}");
    }
    assert_eq!(smtp.taken().len(), 5);
    content(&smtp);
}

#[tokio::test]
async fn many_at_a_time_and_none_stays_for_long() {
    let smtp = Smtp::start().await;
    let mailer = Mailer::new(Settings { idle_for: Duration::from_millis(1), ..smtp.settings() }, clock()).unwrap();
    let letters: Vec<Letter> = (0..12).map(|number| letter(number, "Saldo", "ciao")).collect();
    for sent in join_all(letters.iter().map(|letter| mailer.send(letter))).await {
        sent.unwrap();
    }
    let raw: BTreeSet<Vec<u8>> = smtp.taken().into_iter().map(|letter| letter.raw).collect();
    assert_eq!(raw.len(), letters.len(), "each once");
    smtp.until(|smtp| smtp.quits() == smtp.connections()).await;
    mailer.send(&short()).await.unwrap();
    smtp.until(|smtp| smtp.quits() == smtp.connections()).await;
    content(&smtp);
}
