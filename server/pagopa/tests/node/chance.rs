//! Whatever the bytes, decoding answers; and whatever the amount, its text reads back. A small seeded generator makes
//! the cases, so that a failure names the seed that repeats it.

use std::panic::catch_unwind;

use borsellino_pagopa::node::{MAX_CENTS, PositiveCents, amount_text, decode, parse_amount};

use super::{fixture, fixture_names};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn survives(seed: u64, body: &[u8]) {
    let action = ["", "paSendRTV2", "\""].get(usize::try_from(seed % 3).unwrap()).copied();
    let survived = catch_unwind(|| {
        // The refusal's text and the log form are part of what must not panic.
        match decode(body, action) {
            Ok(request) => format!("{request:?}"),
            Err(refusal) => format!("{refusal} {refusal:?}"),
        }
    });
    assert!(survived.is_ok(), "seed {seed}: {:?}", String::from_utf8_lossy(body));
}

#[test]
fn arbitrary_bytes_never_panic() {
    let pieces: [&[u8]; 14] = [
        b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml ", b"?>", b"='", b"' ", b"&#0;",
        b"encoding=\"",
    ];
    for seed in 0..20_000 {
        let mut chance = Chance(seed);
        let mut body = Vec::new();
        for _ in 0..chance.below(60) {
            match chance.below(3) {
                0 => body.extend_from_slice(pieces[chance.below(pieces.len())]),
                1 => body.push(b'a' + u8::try_from(chance.below(26)).unwrap()),
                _ => body.push(chance.next().to_le_bytes()[0]),
            }
        }
        survives(seed, &body);
    }
}

#[test]
fn mutated_messages_never_panic() {
    let originals: Vec<Vec<u8>> = fixture_names().iter().map(|name| fixture(name)).collect();
    for seed in 0..6_000 {
        let mut chance = Chance(seed);
        let mut body = originals[chance.below(originals.len())].clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(body.len());
            let to = (at + chance.below(40)).min(body.len());
            let donor = &originals[chance.below(originals.len())];
            let from = chance.below(donor.len());
            let piece = donor[from..(from + chance.below(40)).min(donor.len())].to_vec();
            match chance.below(5) {
                0 => body[at] = chance.next().to_le_bytes()[0],
                1 => drop(body.drain(at..to)),
                2 => drop(body.splice(at..to, piece)),
                3 => body.truncate(at.max(1)),
                // Values between tags are where the typed readers are.
                _ => {
                    let text: Vec<u8> =
                        (0..chance.below(30)).map(|_| b"0123456789.-:TZ+ =/\xc3"[chance.below(20)]).collect();
                    let start = body[at..].iter().position(|b| *b == b'>').map_or(at, |p| at + p + 1);
                    let end = body[start..].iter().position(|b| *b == b'<').map_or(start, |p| start + p);
                    body.splice(start..end, text);
                }
            }
            if body.is_empty() {
                break;
            }
        }
        survives(seed, &body);
    }
}

#[test]
fn amounts_read_back() {
    let mut chance = Chance(7);
    let random = (0..20_000).map(|_| 1 + i64::try_from(chance.below(99_999_999_999)).unwrap());
    for cents in random.chain([1, 9, 10, 99, 100, 101, MAX_CENTS]) {
        let text = amount_text(PositiveCents::new(cents).unwrap());
        assert_eq!(parse_amount(&text), Some(cents), "{text}");
        assert_eq!(text.replace('.', "").parse(), Ok(cents), "{text}");
    }
    assert_eq!(amount_text(PositiveCents::new(5).unwrap()), "0.05");
    for cents in [0, -1, i64::MIN, MAX_CENTS + 1, i64::MAX] {
        assert_eq!(PositiveCents::new(cents), None, "{cents}");
    }
    assert_eq!(parse_amount("0.00"), Some(0));
    assert_eq!(parse_amount(" \n0000000000000000000000180.00\t"), Some(18_000));
    for text in [
        "",
        ".",
        "1",
        "1.",
        "1.0",
        ".50",
        "1.000",
        "1,00",
        "-1.00",
        "+1.00",
        "1.00.00",
        "1e2.00",
        "1 .00",
        "\u{a0}1.00",
        "１.00",
        "1000000000.00",
        "99999999999999999999999999.00",
    ] {
        assert_eq!(parse_amount(text), None, "{text}");
    }
}
