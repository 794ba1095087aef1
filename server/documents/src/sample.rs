//! Documents of nobody, to try templates on and to look at.

use borsellino_domain::creditor::{Cbill, CreditorCode};
use borsellino_domain::language::Language;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, PostalAccount, SegregationCode};
use borsellino_domain::service::ServiceKind;
use borsellino_domain::time::Millis;
use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::logo::Logo;
use crate::model::{
    Certificate, CertifiedLine, CertifiedPayment, Evidence, Issuer, Movement, Notice, Part, Payer, Person, Postal,
    Receipt, Settled, ShortPayment, ShortReceipt, Statement, StatementLine, Transfer, Wording,
};

/// A coat of arms that is nobody's.
const ARMS: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 60"><path d="M8 4h44v26c0 14-10 22-22 27C18 52 8 44 8 30z" fill="#06c"/><path d="M8 4h22v53C18 52 8 44 8 30z" fill="#fff" stroke="#06c" stroke-width="2"/><path d="M30 14l4 9h9l-7 6 3 9-9-6-9 6 3-9-7-6h9z" fill="#c8102e"/></svg>"##;

/// A municipality; with a postal account if asked.
pub fn issuer(postal: bool) -> Issuer {
    Issuer {
        code: sure(CreditorCode::parse("99900010010").ok()),
        name: "Comune di Borgo Fantasia".into(),
        name_german: Some("Gemeinde Fantasiedorf".into()),
        sector: "Ufficio Servizi Scolastici".into(),
        contacts: "Piazza Libertà 1 · scuola@comune.example · tel. 0123 456789".into(),
        cbill: Cbill::parse("A0EDT").ok(),
        own_counter: Some("Sportello unico, lun-ven 8-12".into()),
        postal: postal.then(|| Postal {
            account: sure(PostalAccount::parse("12345678").ok()),
            holder: "Comune di Borgo Fantasia - Servizio Tesoreria".into(),
            authorisation: Some("AUT. DB/SSIC/E 12345 DEL 01/02/2026".into()),
        }),
        logo: Logo::parse(ARMS.into()).ok(),
    }
}

/// A mother of two.
pub fn person() -> Person {
    Person {
        name: "Maria D'Angelo Rossi".into(),
        code: Some("RSSMRA80A01H501U".into()),
        address: Some("Via Giuseppe Garibaldi 12, 00100 Borgo Fantasia (RM)".into()),
    }
}

/// One of the numbers of nobody's notices.
pub fn number(n: u8) -> NoticeNumber {
    NoticeNumber::issue(sure(SegregationCode::parse("01").ok()), [n.wrapping_mul(37), n, 3, 4, 5, 6, 7, n])
}

/// Euro cents that somebody owes.
pub fn amount(cents: i64) -> Amount {
    sure(Amount::from_cents(cents).ok())
}

/// A notice of one part, or with that many instalments beside it.
pub fn notice(instalments: u8, postal: bool) -> Notice {
    let part = |n: u8, cents| Part {
        number: number(n),
        amount: amount(cents),
        due: date(2027, 2, 20).checked_add(i32::from(n).months()).ok(),
        instalment: (n > 0).then(|| u32::from(n)),
    };
    Notice {
        issuer: issuer(postal),
        wording: Wording::Only(Language::Italian),
        debtor: Some(person()),
        subject: "Refezione scolastica, da settembre a dicembre 2026".into(),
        whole: Some(part(0, 102_099)),
        parts: (1..=instalments).map(|n| part(n, 102_099 / i64::from(instalments))).collect(),
    }
}

/// One of each kind: with and without instalments, postal section, name, due date, in each language.
pub fn notices() -> Vec<Notice> {
    let mut unnamed = notice(0, false);
    unnamed.debtor = None;
    unnamed.issuer.logo = None;
    unnamed.issuer.cbill = None;
    unnamed.issuer.own_counter = None;
    unnamed.whole = unnamed.whole.map(|whole| Part { due: None, ..whole });
    unnamed.wording = Wording::Only(Language::English);
    let mut only_parts = notice(9, true);
    only_parts.whole = None;
    only_parts.wording = Wording::Only(Language::German);
    let mut bilingual = notice(2, true);
    bilingual.wording = Wording::ItalianGerman;
    vec![notice(0, true), notice(3, false), unnamed, only_parts, bilingual]
}

/// A receipt with so many transfers, one of them a digital stamp where there are more than two.
pub fn receipt(transfers: u8) -> Receipt {
    let each = 5733 / i64::from(transfers.max(1));
    Receipt {
        issuer: issuer(false),
        language: Language::Italian,
        receipt_id: "c110729d258c4ab1b765fe902aae41d6".into(),
        notice_number: number(0).as_str().into(),
        iuv: number(0).iuv().as_str().into(),
        notice_issuer: ("99900010010".into(), "Comune di Borgo Fantasia".into()),
        description: "Ricarica mensa scolastica".into(),
        paid_at: Some("2026-11-20T08:12:03".into()),
        applied_on: Some("2026-11-20".into()),
        transferred_on: Some("2026-11-21".into()),
        received_at: Millis::new(1_795_158_729_000),
        total: Cents::new(each * i64::from(transfers)),
        fee: Some(Cents::new(150)),
        method: Some("creditCard".into()),
        psp: ("Banca di Prova S.p.A.".into(), "BPPRITXX".into(), Some("00743110157".into())),
        channel: "00743110157_01 (Web)".into(),
        debtor: Some(Person { name: "Giulia Rossi".into(), code: Some("RSSGLI15M52H501J".into()), address: None }),
        payer: Payer::Named(person()),
        transfers: (1..=transfers)
            .map(|n| Transfer {
                payee: ("99900010010".into(), (n != 2).then(|| "Comune di Borgo Fantasia".into())),
                amount: Cents::new(each),
                iban: (n != 3).then(|| "IT60X0542811101000000123456".into()),
                reason: format!("/RFB/{}/TXT/Ricarica", number(0).iuv().as_str()),
                taxonomy: "9/0107101TS/".into(),
            })
            .collect(),
        settled: vec![
            Settled {
                child: Some("Giulia Rossi".into()),
                service: Some("Mensa primaria".into()),
                bill: None,
                amount: Cents::new(each),
            },
            Settled {
                child: Some("Giulia Rossi".into()),
                service: Some("Nido comunale".into()),
                bill: Some(("2026/00042".into(), "settembre - ottobre 2026".into())),
                amount: Cents::new(each),
            },
        ],
        proof: Some(Evidence {
            entry: "01994d3c-7a10-7cc2-8f53-1b2f0c3d4e5f".into(),
            seal: 4711,
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            file: br#"{"format":"borsellino-proof","version":1}"#.to_vec(),
        }),
    }
}

/// With one transfer and with five; with a payer who is somebody else, and with nothing known.
pub fn receipts() -> Vec<Receipt> {
    let bare = Receipt {
        language: Language::English,
        paid_at: None,
        applied_on: None,
        transferred_on: None,
        fee: None,
        method: None,
        payer: Payer::Unknown,
        settled: Vec::new(),
        proof: None,
        ..receipt(1)
    };
    let others = Receipt { language: Language::German, payer: Payer::Withheld, ..receipt(5) };
    vec![receipt(1), others, bare]
}

/// A receipt that names nobody, of a notice that was paid twice.
pub fn short_receipt() -> ShortReceipt {
    let payment = |month, psp: &str| ShortPayment {
        amount: Cents::new(5_000),
        paid_on: Some(date(2026, month, 20)),
        psp: psp.into(),
    };
    ShortReceipt {
        issuer: issuer(false),
        language: Language::Italian,
        iuv: number(1).iuv().as_str().into(),
        payments: vec![payment(11, "Banca di Prova S.p.A."), payment(12, "Poste di Prova")],
        received_at: receipt(1).received_at,
        at_counter: None,
    }
}

/// A receipt of what was paid at the counter.
pub fn counter_receipt() -> ShortReceipt {
    let payments = vec![ShortPayment { psp: "Ufficio scuola".into(), ..short_receipt().payments.remove(0) }];
    ShortReceipt { payments, at_counter: Some("Ricarica Mensa scolastica".into()), ..short_receipt() }
}

/// A certificate with so many payments.
pub fn certificate_of(payments: u8) -> Certificate {
    let kinds = [
        (ServiceKind::Canteen, "Mensa primaria", 41_500, 1_250),
        (ServiceKind::BeforeSchool, "Pre-scuola", 12_000, 0),
        (ServiceKind::Nursery, "Nido comunale", 80_000, 0),
        (ServiceKind::Transport, "Scuolabus", 18_000, 0),
    ];
    Certificate {
        issuer: issuer(false),
        language: Language::Italian,
        year: 2026,
        payer: person(),
        child: Person { name: "Giulia Rossi".into(), code: Some("RSSGLI15M52H501J".into()), address: None },
        school: Some("Scuola primaria Gianni Rodari".into()),
        lines: kinds
            .into_iter()
            .map(|(kind, service, paid, refunded)| CertifiedLine {
                kind,
                service: service.into(),
                paid: Cents::new(paid),
                refunded: Cents::new(refunded),
                net: Cents::new(paid - refunded),
            })
            .collect(),
        payments: (0..payments)
            .map(|n| CertifiedPayment {
                day: day_of_year(i32::from(n) * 4),
                service: if n % 3 == 0 { "Nido comunale" } else { "Mensa primaria" }.into(),
                iuv: number(n).iuv().as_str().into(),
                method: (n % 4 != 0).then(|| "Bonifico".into()),
                amount: Cents::new(if n % 7 == 6 { -1_250 } else { 5_000 }),
            })
            .collect(),
        untraceable: Cents::new(2_000),
        refunded_of_earlier_years: Cents::new(4_250),
        refunded_since: Cents::new(700),
        issued: date(2027, 1, 20),
        code: "7KQM2XHT9RPAWD4E".into(),
        verify_at: "https://pagamenti.comune.example/verifica".into(),
    }
}

/// A certificate.
pub fn certificate() -> Certificate {
    certificate_of(12)
}

/// A statement with so many movements, whose balance goes below zero if asked.
pub fn statement_of(movements: u16, below_zero: bool) -> Statement {
    let mut balance = if below_zero { 500 } else { 2_500 };
    let opening = Cents::new(balance);
    let every = i32::from(movements.max(1));
    let lines = (0..movements).map(|n| {
        let top_up = balance < if below_zero { -2_000 } else { 500 };
        let cents = if top_up { 5_000 } else { -425 };
        balance += cents;
        let booked = day_of_year(i32::from(n) * 300 / every);
        StatementLine {
            booked,
            what: if top_up { Movement::TopUp } else { Movement::Charge },
            day: (!top_up).then_some(booked),
            tariff: (!top_up).then(|| "Fascia 2".into()),
            cents: Cents::new(cents),
            balance: Cents::new(balance),
        }
    });
    let movements: Vec<StatementLine> = lines.collect();
    Statement {
        issuer: issuer(false),
        language: Language::Italian,
        child: "Giulia Rossi".into(),
        service: "Mensa primaria".into(),
        from: date(2026, 1, 1),
        to: date(2026, 12, 31),
        opening,
        closing: movements.last().map_or(opening, |line| line.balance),
        movements,
        as_of: Millis::new(1_798_700_000_000),
    }
}

/// One with nothing in it, one with something, one below zero.
pub fn statements() -> Vec<Statement> {
    let german = Statement { language: Language::German, ..statement_of(30, true) };
    vec![statement_of(0, false), statement_of(30, false), german]
}

fn day_of_year(days: i32) -> Date {
    date(2026, 1, 8).checked_add(days.days()).unwrap_or(date(2026, 12, 31))
}

/// What is written above is well formed.
#[allow(clippy::expect_used, reason = "constants of this file; a test makes every sample")]
fn sure<T>(constant: Option<T>) -> T {
    constant.expect("a sample is well formed")
}
