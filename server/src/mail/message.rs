//! A letter as bytes: headers, an encoded text, the same as a page, and what is enclosed (RFC 5322, MIME). What was written
//! never becomes a header, a command, a border between parts or an end of the message.

use std::time::{Duration, UNIX_EPOCH};

use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use data_encoding::BASE64;
use lettre::Message;
use lettre::message::header::{ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, MultiPart, SinglePart};

use super::{Attachment, Letter, Settings};

/// The longest line of a message, in bytes, without its end (RFC 5322, 2.1.1).
const MAX_LINE: usize = 998;

/// The longest subject or name that is not encoded, in bytes.
const MAX_PLAIN: usize = 60;

/// How many bytes an encoded word holds: with the name of its header a line stays below 76 characters.
const MAX_WORD: usize = 39;

/// The longest name of something enclosed, in characters.
const MAX_NAME: usize = 120;

/// The longest address in a header, in bytes.
const MAX_URL: usize = 900;

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
    if let Some(address) = letter.unsubscribe.as_deref().filter(|address| is_https(address)) {
        builder = builder
            .raw_header(coded("List-Unsubscribe", "", format!("<{address}>")))
            .raw_header(plain("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
    }
    let message = match parts(letter)? {
        Parts::One(part) => builder.singlepart(part),
        Parts::Several(parts) => builder.multipart(parts),
    };
    let bytes = message.ok()?.formatted();
    is_sound(&bytes).then_some(bytes)
}

enum Parts {
    One(SinglePart),
    Several(MultiPart),
}

/// The plain text; with a page the two to choose from; with enclosures these after it.
fn parts(letter: &Letter) -> Option<Parts> {
    // Taken again, a letter has the same borders between its parts; made of what they part, they can't stand in it.
    let whole = [letter.id.as_bytes(), letter.text.as_bytes(), letter.html.as_deref().unwrap_or_default().as_bytes()];
    let digest = Hash::of(&whole.concat()).to_string();
    let border = |which: &str| format!("{which}-{}", digest.get(..32).unwrap_or_default());
    let text = SinglePart::plain(lines(&letter.text));
    let text = match &letter.html {
        None => Parts::One(text),
        Some(page) => {
            let both = MultiPart::alternative().boundary(border("alternative"));
            Parts::Several(both.singlepart(text).singlepart(SinglePart::html(lines(page))))
        }
    };
    if letter.attachments.is_empty() {
        return Some(text);
    }
    let mixed = MultiPart::mixed().boundary(border("mixed"));
    let mut mixed = match text {
        Parts::One(part) => mixed.singlepart(part),
        Parts::Several(parts) => mixed.multipart(parts),
    };
    for attachment in &letter.attachments {
        mixed = mixed.singlepart(enclosed(attachment)?);
    }
    Some(Parts::Several(mixed))
}

fn enclosed(attachment: &Attachment) -> Option<SinglePart> {
    let kind = ContentType::parse(attachment.media_type).ok()?;
    // Base64 whatever it holds: no server on the way mends it.
    let body = Body::new_with_encoding(attachment.bytes.clone(), ContentTransferEncoding::Base64).ok()?;
    let disposition = ContentDisposition::attachment(&file_name(&attachment.name));
    Some(SinglePart::builder().header(disposition).content_type(kind).body(body))
}

/// What a file may be called wherever it is opened: no path, no line break, nothing that turns the reading direction (and so
/// shows another ending than it has), and not too long. Its ending stays.
fn file_name(name: &str) -> String {
    let odd = |c: char| {
        is_break(c)
            || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let kept: Vec<char> = name.trim().trim_start_matches('.').chars().map(|c| if odd(c) { '-' } else { c }).collect();
    if kept.is_empty() {
        return "allegato".to_owned();
    }
    if kept.len() <= MAX_NAME {
        return kept.into_iter().collect();
    }
    let ending = kept.iter().rposition(|c| *c == '.').filter(|at| kept.len().saturating_sub(*at) <= 6);
    let ending = ending.and_then(|at| kept.get(at..)).unwrap_or_default();
    let room = MAX_NAME.saturating_sub(ending.len());
    kept.iter().take(room).chain(ending).collect()
}

/// Whether an address may stand between the brackets of a header.
fn is_https(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b',' | b'\\');
    address.starts_with("https://") && address.len() <= MAX_URL && address.bytes().all(plain)
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
    fn a_file_is_called_what_it_may_be_called() {
        for (name, called) in [
            ("avviso 5\u{aa}A.pdf", "avviso 5\u{aa}A.pdf"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("a\r\nBcc: x.pdf", "a--Bcc- x.pdf"),
            ("gpj.\u{202e}fdp", "gpj.-fdp"),
            ("  ", "allegato"),
            ("\u{5b66}\u{6821}.pdf", "\u{5b66}\u{6821}.pdf"),
        ] {
            assert_eq!(file_name(name), called);
        }
        let long = file_name(&format!("{}.pdf", "\u{e8}".repeat(1_000)));
        assert_eq!((long.chars().count(), long.ends_with("\u{e8}.pdf")), (MAX_NAME, true));
    }

    #[test]
    fn only_an_address_over_tls_stands_in_a_header() {
        assert!(is_https("https://borsellino.comune.example/lettere?t=ab-_"));
        let long = format!("https://x.example/{}", "a".repeat(MAX_URL));
        for bad in [
            "http://x.example/", "mailto:x@y.example", "https://x.example/ a", "https://x/>\r\nBcc: y",
            "https://x/\u{e8}", &long,
        ] {
            assert!(!is_https(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_was_written_stays_in_its_place() {
        assert_eq!(one_line("Ricarica\r\nBcc: x@y.example\0\u{2028}fine"), "Ricarica Bcc: x@y.example fine");
        assert_eq!(one_line("\r\n"), "");
        assert_eq!(lines("a\r\nb\rc\nd\0\u{7}\te"), "a\nb\nc\nd\te");
    }
}
