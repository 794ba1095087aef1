//! What goes wrong, what it means for the letter, and what is said about it.

use std::time::Duration;

use borsellino_server::mail::{Letter, Mailer, Security, Settings, Trouble};
use borsellino_tests::certificates::{Authority, Subject};
use borsellino_tests::smtp::{At, Fault, Kind, Smtp, USER};
use futures_util::future::join_all;
use tokio::net::TcpListener;

use super::{clock, content, letter, short};

fn later(code: &str) -> Result<String, Trouble> {
    Err(Trouble::Later(code.to_owned()))
}

fn refused(code: &str) -> Result<String, Trouble> {
    Err(Trouble::Refused(code.to_owned()))
}

/// Long enough for a busy machine, short enough to be waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn what_each_answer_means() {
    let smtp = Smtp::start_as(Kind::closed(Security::Starttls)).await;
    let mailer = Mailer::new(smtp.settings(), clock()).unwrap();
    for (at, answer, expected) in [
        (At::Greeting, "554 5.3.2 not now", later("greeting 554 5.3.2")),
        (At::Greeting, "421 4.3.2 not now", later("greeting 421 4.3.2")),
        (At::Greeting, "HTTP/1.1 400 Bad Request", later("greeting no answer")),
        (At::Hello, "550 5.7.1 who are you", later("ehlo 550 5.7.1")),
        (At::Hello, "421 too many", later("ehlo 421")),
        (At::Starttls, "454 4.7.0 TLS not available", later("starttls 454 4.7.0")),
        (At::Starttls, "502 5.5.1 no", later("starttls 502 5.5.1")),
        (At::Auth, "454 4.7.0 try later", later("auth 454 4.7.0")),
        (At::Auth, "235", Ok("250 2.0.0 Ok: queued as 4ZxQ1k".to_owned())),
        (At::Mail, "451 4.3.0 busy", later("mail 451 4.3.0")),
        (At::Mail, "550 5.7.1 not your sender", later("mail 550 5.7.1")),
        (At::Rcpt, "450 4.2.0 greylisted", later("rcpt 450 4.2.0")),
        (At::Rcpt, "421 4.7.0 bye", later("rcpt 421 4.7.0")),
        (At::Rcpt, "530 5.7.0 sign in", later("rcpt 530 5.7.0")),
        (At::Rcpt, "550 5.1.1 unknown", refused("rcpt 550 5.1.1")),
        (At::Rcpt, "553 bad address", refused("rcpt 553")),
        (At::Rcpt, "251 will forward", Ok("250 2.0.0 Ok: queued as 4ZxQ1k".to_owned())),
        (At::Data, "451 4.3.0 busy", later("data 451 4.3.0")),
        (At::Data, "554 5.5.1 no", refused("data 554 5.5.1")),
        (At::Data, "250 what", later("data 250")),
        (At::Letter, "452 4.3.1 disk full", later("letter 452 4.3.1")),
        (At::Letter, "552 5.3.4 too big", refused("letter 552 5.3.4")),
        (At::Letter, "554-5.7.1 spam\r\n554 5.7.1 really", refused("letter 554 5.7.1")),
        (At::Letter, "354 go on", later("letter 354")),
        (At::Letter, "250 2.0.0 preso, cos\u{ec}", Ok("250 2.0.0 preso, cos??".to_owned())),
    ] {
        // A connection of its own for each, so that all stages are passed.
        let mailer = if matches!(at, At::Greeting | At::Hello | At::Starttls | At::Auth) {
            &Mailer::new(smtp.settings(), clock()).unwrap()
        } else {
            &mailer
        };
        smtp.order([(at, Fault::says(answer))]);
        assert_eq!(mailer.send(&short()).await, expected, "{at:?} {answer}");
    }
    let before = smtp.taken().len();
    mailer.send(&short()).await.unwrap();
    assert_eq!(smtp.taken().len(), before + 1, "and afterwards all is well");
    content(&smtp);
}

#[tokio::test]
async fn a_cut_is_for_later_wherever_it_happens() {
    for security in [Security::Starttls, Security::None] {
        let kind = if security == Security::None { Kind::open() } else { Kind::closed(security) };
        let smtp = Smtp::start_as(kind).await;
        let all = [
            (At::Greeting, "greeting cut"),
            (At::Hello, "ehlo cut"),
            (At::Starttls, "starttls cut"),
            (At::Auth, "auth cut"),
            (At::Mail, "mail cut"),
            (At::Rcpt, "rcpt cut"),
            (At::Data, "data cut"),
            (At::Letter, "letter cut"),
        ];
        for (at, code) in all {
            if security == Security::None && matches!(at, At::Starttls | At::Auth) {
                continue;
            }
            smtp.order([(at, Fault::Cut)]);
            assert_eq!(smtp.mailer(clock()).send(&short()).await, later(code), "{security:?}");
        }
        assert_eq!(smtp.taken().len(), 1, "only the last one was taken, and nobody heard of it");
        content(&smtp);
    }
}

#[tokio::test]
async fn silence_ends_with_the_time_given() {
    let all = [
        (At::Greeting, "greeting timeout"),
        (At::Hello, "ehlo timeout"),
        (At::Starttls, "starttls timeout"),
        (At::Auth, "auth timeout"),
        (At::Mail, "mail timeout"),
        (At::Rcpt, "rcpt timeout"),
        (At::Data, "data timeout"),
        (At::Letter, "letter timeout"),
    ];
    let sent = all.map(|(at, code)| async move {
        let smtp = Smtp::start_as(Kind::closed(Security::Starttls)).await;
        smtp.order([(at, Fault::Silent)]);
        let mailer = Mailer::new(Settings { timeout: PATIENCE, ..smtp.settings() }, clock()).unwrap();
        assert_eq!(mailer.send(&short()).await, later(code));
        content(&smtp);
    });
    join_all(sent).await;
}

#[tokio::test]
async fn who_never_answers_at_all() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let smtp = Smtp::start().await;
    for (security, code) in
        [(Security::Tls, "tls timeout"), (Security::Starttls, "greeting timeout"), (Security::None, "greeting timeout")]
    {
        let settings = Settings { port, security, timeout: Duration::from_millis(50), ..smtp.settings() };
        assert_eq!(Mailer::new(settings, clock()).unwrap().send(&short()).await, later(code));
    }
    drop(listener);
    let mailer = Mailer::new(Settings { port, ..smtp.settings() }, clock()).unwrap();
    assert_eq!(mailer.send(&short()).await, later("connect no connection"));
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let smtp = Smtp::start_as(Kind { offers_starttls: false, ..Kind::closed(Security::Starttls) }).await;
    assert_eq!(smtp.mailer(clock()).send(&short()).await, later("starttls not offered"));
    content(&smtp);

    let smtp = Smtp::start_as(Kind::closed(Security::Starttls)).await;
    smtp.order([(At::Starttls, Fault::says("220 go ahead\r\n250 mx.valdorso.example"))]);
    let sent = smtp.mailer(clock()).send(&short()).await;
    assert_eq!(sent, later("starttls out of step"), "what came in clear is no answer under TLS");
    assert!(smtp.taken().is_empty());

    let smtp = Smtp::start().await;
    let settings = Settings { security: Security::Tls, ..smtp.settings() };
    let sent = Mailer::new(settings, clock()).unwrap().send(&short()).await;
    assert_eq!(sent, later("tls handshake"), "a port in clear");
    assert!(smtp.taken().is_empty());
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted() {
    let another = Authority::root("Un'altra").certificate;
    for security in [Security::Tls, Security::Starttls] {
        let smtp = Smtp::start_as(Kind::closed(security)).await;
        for authorities in [Some(another.clone()), None] {
            match Mailer::new(Settings { authorities, ..smtp.settings() }, clock()) {
                Ok(mailer) => assert_eq!(mailer.send(&short()).await, later("tls certificate")),
                Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
            }
        }
        // For another host, out of date, for clients.
        for certificate in [
            Subject::client_of(&["other.valdorso.example"]),
            Subject::server().between(2020, 2021),
            Subject::client_of(&["127.0.0.1"]),
        ] {
            let smtp = Smtp::start_as(Kind { certificate, ..Kind::closed(security) }).await;
            assert_eq!(smtp.mailer(clock()).send(&short()).await, later("tls certificate"));
            assert!(smtp.taken().is_empty());
        }
        let named = Settings { host: "localhost".to_owned(), ..smtp.settings() };
        assert_eq!(Mailer::new(named, clock()).unwrap().send(&short()).await, later("tls certificate"));
        assert!(smtp.taken().is_empty() && smtp.violations().is_empty());
    }
}

#[tokio::test]
async fn signing_in_is_the_operators_matter() {
    let smtp = Smtp::start_as(Kind::closed(Security::Tls)).await;
    let mut wrong = smtp.settings();
    wrong.credentials.as_mut().unwrap().password = "password1".to_owned().into();
    assert_eq!(Mailer::new(wrong, clock()).unwrap().send(&short()).await, later("auth 535 5.7.8"));
    let nobody = Settings { credentials: None, ..smtp.settings() };
    assert_eq!(Mailer::new(nobody, clock()).unwrap().send(&short()).await, later("mail 530 5.7.0"));
    content(&smtp);
    for auth in [Some("AUTH CRAM-MD5"), None] {
        let other = Smtp::start_as(Kind { auth, ..Kind::closed(Security::Tls) }).await;
        let settings = Settings { credentials: smtp.settings().credentials, ..other.settings() };
        assert_eq!(Mailer::new(settings, clock()).unwrap().send(&short()).await, later("auth not offered"));
        content(&other);
    }
}

#[tokio::test]
async fn nobody_is_named_in_what_is_said_of_it() {
    let smtp = Smtp::start_as(Kind::closed(Security::Starttls)).await;
    let secret = letter(7, "Oggetto riservato", "Testo riservato");
    let mut said = Vec::new();
    let mut note = |sent: Result<String, Trouble>| match sent {
        Ok(answer) => said.push(answer),
        Err(trouble) => {
            assert!(trouble.code().len() <= 40 && trouble.code().is_ascii(), "{trouble}");
            said.push(format!("{trouble} {trouble:?} {}", trouble.code()));
        }
    };
    for at in [At::Greeting, At::Hello, At::Starttls, At::Auth, At::Mail, At::Rcpt, At::Data, At::Letter] {
        for code in ["250", "354", "450", "550", "553 5.1.3", "999", ""] {
            let words = "<maria.bianchi@famiglia.example>: MARIA.BIANCHI Oggetto riservato Testo riservato";
            smtp.order([(at, Fault::says(&format!("{code} {words}")))]);
            let sent = smtp.mailer(clock()).send(&secret).await;
            // The words of a letter do not come back in the answer that takes it; its address does.
            if sent.is_err() {
                note(sent);
            }
        }
    }
    let words = "250 2.1.5 <maria.bianchi@famiglia.example> user=Maria.Bianchi queued as 4ZxQ1k";
    smtp.order([(At::Letter, Fault::says(words))]);
    note(smtp.mailer(clock()).send(&secret).await);
    let letter: &Letter = &secret;
    let mailer = smtp.mailer(clock());
    said.push(format!("{letter:?} {:?} {mailer:?} {:?}", letter.to, smtp.settings()));
    for text in &said {
        for word in ["maria", "bianchi", "famiglia", "riservato", USER.0, "Segreto", "@"] {
            assert!(!text.to_lowercase().contains(&word.to_lowercase()), "{word} in {text}");
        }
    }
    assert!(said.iter().any(|text| text == "250 2.1.5 ... ... queued as 4ZxQ1k"), "{said:?}");
}
