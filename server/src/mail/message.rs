//! A letter as bytes: headers and an encoded text (RFC 5322, MIME). What was written never becomes a header, a command or an
//! end of the message.

use std::time::{Duration, UNIX_EPOCH};

use borsellino_domain::time::Millis;
use data_encoding::BASE64;
use lettre::Message;
use lettre::message::SinglePart;
use lettre::message::header::{HeaderName, HeaderValue};

use super::{Letter, Settings};

/// The longest line of a message, in bytes, without its end (RFC 5322, 2.1.1).
const MAX_LINE: usize = 998;

/// The longest subject or name that is not encoded, in bytes.
const MAX_PLAIN: usize = 60;

/// How many bytes an encoded word holds: with the name of its header a line stays below 76 characters.
const MAX_WORD: usize = 39;

/// The last instant that a date of four digits can say, in milliseconds.
const LAST: i64 = 253_402_300_799_000;

/// The message, with CRLF at the end of each line; `None` where it would not be one.
pub(super) fn write(settings: &Settings, letter: &Letter, now: Millis) -> Option<Vec<u8>> {
    let plain = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    // What is encoded by us, and in clear only what lettre has to understand of it.
    let coded = |name, value: &str, coded| {
        HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.to_owned(), coded)
    };
    let since = Duration::from_millis(now.get().clamp(0, LAST).unsigned_abs());
    let sender = settings.from.address.as_str();
    let from = match one_line(&settings.from.name) {
        name if name.is_empty() => sender.to_owned(),
        name => format!("{}\r\n <{sender}>", phrase(&name)),
    };
    let mut builder = Message::builder()
        .date(UNIX_EPOCH.checked_add(since)?)
        .raw_header(coded("From", sender, from))
        .to(letter.to.mailbox())
        .raw_header(coded("Subject", "", subject(&one_line(&letter.subject))))
        .message_id(Some(format!("<{}@{}>", letter.id, settings.from.address.domain())))
        .raw_header(plain("Auto-Submitted", "auto-generated"))
        .raw_header(plain("Content-Language", letter.language.tag()));
    if let Some(address) = &settings.reply_to {
        builder = builder.reply_to(address.mailbox());
    }
    let message = builder.singlepart(SinglePart::plain(lines(&letter.text))).ok()?;
    let bytes = message.formatted();
    is_sound(&bytes).then_some(bytes)
}

/// Whether a text can stand in a header as it is. One that looks like an encoded word would be decoded by its reader.
fn is_plain(text: &str) -> bool {
    text.len() <= MAX_PLAIN && !text.contains("=?") && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A subject: as it is, or in encoded words.
fn subject(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { encoded_words(text) }
}

/// A name before an address: quoted, or in encoded words.
fn phrase(text: &str) -> String {
    if is_plain(text) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encoded_words(text)
    }
}

/// RFC 2047, each word on a line of its own.
fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len().saturating_add(c.len_utf8()) <= MAX_WORD => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let coded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word.as_bytes())));
    coded.collect::<Vec<_>>().join("\r\n ")
}

/// Without line breaks and other control characters: a space stands for any number of them.
fn one_line(text: &str) -> String {
    text.split(is_break).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Control characters, and what Unicode takes for the end of a line.
fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// With line breaks of one kind, and of the other control characters only tabs.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Lines of ASCII that no server has to mend, and none that two servers would end at different places.
fn is_sound(message: &[u8]) -> bool {
    let Some(whole) = message.strip_suffix(b"\r\n") else { return false };
    let mut rest = whole;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let (line, next) =
            end.and_then(|at| Some((rest.get(..at)?, rest.get(at.saturating_add(2)..)))).unwrap_or((rest, None));
        if line.len() > MAX_LINE || line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0) || !byte.is_ascii()) {
            return false;
        }
        match next {
            Some(next) => rest = next,
            None => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_can_be_taken_for_two() {
        for good in ["a: b\r\n\r\nc\r\n", "\r\n", &format!("{}\r\n", "x".repeat(998))] {
            assert!(is_sound(good.as_bytes()), "{good:?}");
        }
        let long = format!("a\r\n{}\r\n", "x".repeat(999));
        for bad in ["", "a", "a\n", "a\r\r\n", "a\nb\r\n", "a\n.\r\nb\r\n", "a\0\r\n", "\u{e0}\r\n", &long] {
            assert!(!is_sound(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn what_was_written_stays_in_its_place() {
        assert_eq!(one_line("Ricarica\r\nBcc: x@y.example\0\u{2028}fine"), "Ricarica Bcc: x@y.example fine");
        assert_eq!(one_line("\r\n"), "");
        assert_eq!(lines("a\r\nb\rc\nd\0\u{7}\te"), "a\nb\nc\nd\te");
    }
}
