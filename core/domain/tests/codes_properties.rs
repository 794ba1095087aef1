//! What must hold for every identifier, over generated ones. The check letters and digits are computed here anew, by
//! other means than the crate's own.
#![allow(clippy::unwrap_used)]

use borsellino_domain::activation::ActivationCode;
use borsellino_domain::creditor::{BrokerCode, Cbill, CreditorCode, StationId};
use borsellino_domain::fiscal_code::{Birth, PersonalCode, Sex};
use borsellino_domain::iban::Iban;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::{
    AnyNotice, Iuv, NoticeNumber, PostalAccount, PostalBill, QrText, SegregationCode, data_matrix,
};
use borsellino_domain::taxonomy::TaxonomyCode;
use proptest::prelude::*;

/// The check letter of the first 15 characters, from the law's table by character.
fn check_letter(first: &str) -> char {
    const LAW: &str = "0:1 1:0 2:5 3:7 4:9 5:13 6:15 7:17 8:19 9:21 A:1 B:0 C:5 D:7 E:9 F:13 G:15 H:17 I:19 J:21 K:2 L:4 M:18 N:20 \
         O:11 P:3 Q:6 R:8 S:12 T:14 U:16 V:10 W:22 X:25 Y:24 Z:23";
    let odd = |c: char| -> u32 {
        let entry = LAW.split(' ').find(|entry| entry.starts_with(c)).unwrap();
        entry[2..].parse().unwrap()
    };
    let even = |c: char| c.to_digit(10).unwrap_or_else(|| c as u32 - 'A' as u32);
    let sum: u32 = first.chars().zip(1..).map(|(c, place)| if place % 2 == 1 { odd(c) } else { even(c) }).sum();
    char::from_u32('A' as u32 + sum % 26).unwrap()
}

/// First 15 characters of a tax code, and what they say.
fn person() -> impl Strategy<Value = (String, Birth, String)> {
    let sex = prop_oneof![Just(Sex::Female), Just(Sex::Male)];
    ("[A-Z]{6}", 0u8..100, 1u8..=12, 1u8..=31, sex, "[A-MZ][0-9]{3}").prop_filter_map(
        "a day that exists",
        |(name, year, month, day, sex, place)| {
            // 2000 has a 29 February.
            jiff::civil::Date::new(2000, month as i8, day as i8).ok()?;
            let letter = "ABCDEHLMPRST".chars().nth(usize::from(month) - 1)?;
            let shown = if sex == Sex::Female { day + 40 } else { day };
            Some((format!("{name}{year:02}{letter}{shown:02}{place}"), Birth { year, month, day, sex }, place))
        },
    )
}

fn issued() -> impl Strategy<Value = NoticeNumber> {
    (0u8..=45, any::<[u8; 8]>()).prop_map(|(segregation, random)| {
        NoticeNumber::issue(SegregationCode::parse(&format!("{segregation:02}")).unwrap(), random)
    })
}

/// `text` with the character at `at` replaced by another of `alphabet`, chosen by `step`.
fn changed(text: &str, at: usize, alphabet: &str, step: usize) -> String {
    let old = alphabet.find(&text[at..=at]).unwrap();
    let new = (old + 1 + step % (alphabet.len() - 1)) % alphabet.len();
    format!("{}{}{}", &text[..at], &alphabet[new..=new], &text[at + 1..])
}

/// Any text, and texts of just the lengths in bytes that the rules look for, made of characters of 1 to 4 bytes.
fn any_text() -> impl Strategy<Value = String> {
    let chars =
        prop::collection::vec(prop::sample::select("09AZaz/|_ éß٣€李😀\u{a0}\0".chars().collect::<Vec<_>>()), 0..40);
    let cut = (chars, prop::sample::select(vec![2usize, 5, 10, 11, 12, 14, 15, 16, 17, 18, 27])).prop_map(
        |(chars, length)| {
            let mut text = String::new();
            for c in chars {
                if text.len() + c.len_utf8() <= length {
                    text.push(c);
                }
            }
            text
        },
    );
    let near = prop::sample::select(vec!["9/", "6/0107101TS/", "PAGOPA|002|", "IT60X", "RSSMRA80A01H50", "3010"]);
    prop_oneof![any::<String>(), cut.clone(), (near, cut).prop_map(|(start, rest)| format!("{start}{rest}")),]
}

proptest! {
    #[test]
    fn a_tax_code_survives_omocodia((digits, birth, place) in person(), mask in 0u8..128) {
        let mut first: Vec<char> = digits.chars().collect();
        for (bit, at) in [14, 13, 12, 10, 9, 7, 6].into_iter().enumerate() {
            if mask >> bit & 1 == 1 {
                let digit = first[at].to_digit(10).unwrap() as usize;
                first[at] = "LMNPQRSTUV".chars().nth(digit).unwrap();
            }
        }
        let first: String = first.into_iter().collect();
        let right = check_letter(&first);
        let code = PersonalCode::parse(&format!("{first}{right}"));
        prop_assert!(code.is_ok(), "{first}{right}: {code:?}");
        let code = code.unwrap();
        prop_assert_eq!(code.birth(), Some(birth));
        prop_assert_eq!(code.place(), Some(place));
        for letter in 'A'..='Z' {
            prop_assert_eq!(PersonalCode::parse(&format!("{first}{letter}")).is_ok(), letter == right);
        }
    }

    #[test]
    fn an_issued_notice_is_a_notice(notice in issued()) {
        let text = notice.as_str();
        prop_assert_eq!(NoticeNumber::parse(text), Ok(notice));
        prop_assert_eq!(NoticeNumber::parse(&notice.grouped()), Ok(notice));
        let (before, check) = text.split_at(16);
        prop_assert_eq!(before.parse::<u128>().unwrap() % 93, check.parse::<u128>().unwrap());
        let iuv = notice.iuv();
        prop_assert_eq!(format!("3{iuv}"), text);
    }

    #[test]
    fn one_wrong_digit_in_a_notice_shows(notice in issued(), at in 0usize..18, step in 0usize..9) {
        let wrong = changed(notice.as_str(), at, "0123456789", step);
        prop_assert!(NoticeNumber::parse(&wrong).is_err(), "{wrong}");
        // Read as any notice, only a number that turns into aux digit 1 (which has no check digits) goes unseen.
        prop_assert_eq!(AnyNotice::parse(&wrong).is_ok(), wrong.starts_with('1'), "{}", wrong);
    }

    #[test]
    fn one_wrong_digit_in_a_creditor_shows(base in 1u64..10_000_000_000, at in 0usize..11, step in 0usize..9) {
        // The right check digit is the one of ten that passes.
        let right: Vec<_> =
            (0..10).filter_map(|check| CreditorCode::parse(&format!("{base:010}{check}")).ok()).collect();
        prop_assert_eq!(right.len(), 1);
        let wrong = changed(right[0].as_str(), at, "0123456789", step);
        // Among codes that are nearly all zeros a change can make the filler, refused for that reason.
        prop_assert!(CreditorCode::parse(&wrong).is_err(), "{wrong}");
        prop_assert!(CreditorCode::from_digits(&wrong).is_ok());
        prop_assert!(PersonalCode::parse(&wrong).is_err());
    }

    #[test]
    fn one_wrong_digit_in_an_iban_shows(body in "[A-Z][0-9]{22}", at in 2usize..27, step in 0usize..9) {
        let right: Vec<_> =
            (0..=99).filter_map(|check| Iban::parse(&format!("IT{check:02}{body}")).ok()).collect();
        prop_assert_eq!(right.len(), 1);
        let text = right[0].as_str();
        prop_assume!(text.as_bytes()[at].is_ascii_digit());
        prop_assert!(Iban::parse(&changed(text, at, "0123456789", step)).is_err());
    }

    #[test]
    fn a_qr_code_reads_back(notice in issued(), creditor in "[0-9]{11}", cents in 1i64..=99_999_999_999, pad in 2usize..=11) {
        let qr = QrText::new(notice, CreditorCode::from_digits(&creditor).unwrap(), Amount::from_cents(cents).unwrap());
        let text = qr.to_string();
        prop_assert!(text.len() <= 53);
        prop_assert_eq!(QrText::parse(&text), Ok(qr));
        let (start, amount) = text.rsplit_once('|').unwrap();
        prop_assert!((2..=11).contains(&amount.len()));
        prop_assert_eq!(QrText::parse(&format!("{start}|{amount:0>pad$}")), Ok(qr));
    }

    #[test]
    fn a_data_matrix_has_256_plain_characters(
        notice in issued(),
        account in "[0-9]{1,12}",
        cents in 1i64..=9_999_999_999,
        name in any_text(),
        subject in any::<String>(),
    ) {
        let text = data_matrix(&PostalBill {
            notice: &notice,
            account: &PostalAccount::parse(&account).unwrap(),
            amount: Amount::from_cents(cents).unwrap(),
            creditor: &CreditorCode::parse("99900010010").unwrap(),
            debtor_code: None,
            debtor_name: &name,
            subject: &subject,
        }).unwrap();
        prop_assert_eq!(text.len(), 256);
        prop_assert!(text[13..].bytes().all(|c| (b' '..=b'Z').contains(&c)), "{text}");
        prop_assert_eq!(&text[15..33], notice.as_str());
        prop_assert_eq!(text[49..59].parse::<i64>(), Ok(cents));
        prop_assert!(text.ends_with("            A"));
    }

    #[test]
    fn no_text_is_too_strange_to_be_judged(text in any_text()) {
        // What is accepted must read back as itself; what is not must be an error, never a panic.
        macro_rules! stable {
            ($($type:ty),*) => {$(
                if let Ok(code) = <$type>::parse(&text) {
                    prop_assert_eq!(<$type>::parse(&code.to_string()), Ok(code));
                }
            )*};
        }
        stable!(PersonalCode, CreditorCode, BrokerCode, StationId, Cbill, SegregationCode, Iuv, NoticeNumber, AnyNotice);
        stable!(QrText, PostalAccount, Iban, TaxonomyCode, ActivationCode);
        if let Ok(code) = TaxonomyCode::parse(&text) {
            prop_assert!(code.service().len() == 9 && text.contains(code.text()));
        }
    }

    #[test]
    fn an_activation_code_reads_back(random in any::<[u8; 8]>()) {
        let code = ActivationCode::issue(random);
        prop_assert_eq!(ActivationCode::parse(&code.grouped()), Ok(code));
    }
}
