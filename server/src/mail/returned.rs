//! Letters that come back: a delivery status notification (RFC 3464), as mail servers write them. It comes from anywhere, so it
//! is read line by line within bounds, and believed in two things only: which letter it returns, and whether for good.

use uuid::Uuid;

/// How much of a message is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The longest line that is looked at, in bytes.
const MAX_LINE: usize = 2_000;

/// What a message says of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It is no delivery status notification, or returns no letter under an id of ours.
    None,
    /// The letter was, or will be, delivered, or is still tried.
    Passing(Uuid),
    /// The letter will never be delivered.
    Failed(Uuid, bool),
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// In headers, of the message or of a part; what follows them is of this kind.
    Headers(Part),
    /// In a part of this kind.
    Inside(Part),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    /// `message/delivery-status`.
    Status,
    /// The letter that is returned, or its headers.
    Letter,
}

impl Part {
    fn of(content_type: &str) -> Self {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "message/delivery-status" | "message/global-delivery-status" => Self::Status,
            "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers" => Self::Letter,
            _ => Self::Other,
        }
    }
}

/// Reads a message; nothing beyond [`MAX_BYTES`].
pub fn read(message: &[u8]) -> Notification {
    let text = String::from_utf8_lossy(message.get(..MAX_BYTES).unwrap_or(message));
    let mut at = At::Headers(Part::Other);
    let (mut status_seen, mut failed, mut letter, mut letter_read) = (false, false, None, false);
    let mut gone = false;
    // One recipient's: whether it failed, and with a code for good.
    let (mut action, mut code) = (None, None);
    let mut last = String::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.starts_with("--") && line.len() > 2 {
            // A border between parts, as far as a reader without the border's name can tell; in a returned letter its text follows.
            failed |= is_failure(&mut action, &mut code);
            at = At::Headers(Part::Other);
            last.clear();
            continue;
        }
        if line.len() > MAX_LINE {
            continue;
        }
        let folded = line.starts_with([' ', '\t']);
        let (name, value) = match line.split_once(':') {
            _ if folded => (std::mem::take(&mut last), line.trim()),
            Some((name, value)) => (name.trim().to_ascii_lowercase(), value.trim()),
            None => (String::new(), ""),
        };
        match at {
            At::Headers(part) if line.is_empty() => at = At::Inside(part),
            At::Headers(part) => {
                let part = if name == "content-type" && part == Part::Other { Part::of(value) } else { part };
                at = At::Headers(part);
            }
            At::Inside(Part::Status) if line.is_empty() => failed |= is_failure(&mut action, &mut code),
            At::Inside(Part::Status) => {
                status_seen = true;
                match name.as_str() {
                    "action" => action = Some(value.eq_ignore_ascii_case("failed")),
                    "status" => {
                        code = Some(value.starts_with("5."));
                        gone |= about_the_mailbox(value.split_whitespace().next().unwrap_or_default());
                    }
                    _ => {}
                }
            }
            // Its headers end here; what its text says is not what it is.
            At::Inside(Part::Letter) if line.is_empty() => letter_read = true,
            At::Inside(Part::Letter) if name == "message-id" && letter.is_none() && !letter_read => {
                letter = id(value);
            }
            At::Inside(_) => {}
        }
        last = if value.is_empty() || folded { name } else { String::new() };
    }
    failed |= is_failure(&mut action, &mut code);
    match letter {
        Some(letter) if status_seen && failed => Notification::Failed(letter, gone),
        Some(letter) if status_seen => Notification::Passing(letter),
        _ => Notification::None,
    }
}

/// Whether a code (RFC 3463) says that there is no such mailbox: 5.1.x, but for those about the sender, or a mailbox that is closed
/// (5.2.1). Every other is of us, of the letter, or of a day on which a mailbox is full.
pub fn about_the_mailbox(code: &str) -> bool {
    (code.starts_with("5.1.") && !matches!(code, "5.1.7" | "5.1.8")) || code == "5.2.1"
}

/// Ends what was said of one recipient. Both have to be said: a server that tries on says `delayed`.
fn is_failure(action: &mut Option<bool>, code: &mut Option<bool>) -> bool {
    action.take() == Some(true) && code.take() == Some(true)
}

/// The id in a `Message-ID` of ours.
fn id(value: &str) -> Option<Uuid> {
    let (id, _) = value.strip_prefix('<')?.strip_suffix('>')?.split_once('@')?;
    Uuid::try_parse(id).ok().filter(|known| known.to_string() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a1fed9-642e-7c24-868b-28a0ea1b0001";

    fn report(action: &str, status: &str, headers: &str) -> String {
        format!(
            "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"B.1\"\r\n\r\n\
            This is a MIME-encapsulated message.\r\n\r\n--B.1\r\nContent-Type: text/plain\r\n\r\n\
            I'm sorry. Message-ID: <nobody>\r\n\r\n--B.1\r\nContent-Description: Delivery report\r\n\
            Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
            Final-Recipient: rfc822; maria@famiglia.example\r\nAction: {action}\r\nStatus: {status}\r\n\
            Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--B.1\r\n\
            Content-Type: text/rfc822-headers\r\n\r\n{headers}\r\n--B.1--\r\n"
        )
    }

    fn headers() -> String {
        format!("From: x@y.example\r\nMessage-ID: <{ID}@valdorso.example>\r\nSubject: x\r\n\r\n")
    }

    #[test]
    fn what_failed_and_what_did_not() {
        let id = ID.parse().unwrap();
        let said = |action, status| read(report(action, status, &headers()).as_bytes());
        assert_eq!(said("failed", "5.1.1"), Notification::Failed(id, true));
        assert_eq!(said("Failed", "5.2.2 (mailbox full)"), Notification::Failed(id, false));
        assert_eq!(said("failed", "5.7.1"), Notification::Failed(id, false), "about us, not about the mailbox");
        for (action, status) in
            [("delayed", "4.4.1"), ("failed", "4.4.7"), ("delivered", "2.1.5"), ("relayed", "5.0.0")]
        {
            assert_eq!(said(action, status), Notification::Passing(id), "{action} {status}");
        }
    }

    #[test]
    fn servers_write_it_in_their_own_ways() {
        let whole = report("failed", "5.1.1", &headers());
        let failed = Notification::Failed(ID.parse().unwrap(), true);
        assert_eq!(read(whole.replace("\r\n", "\n").as_bytes()), failed);
        let folded = whole.replace("Message-ID: <", "Message-Id:\r\n <");
        assert_eq!(read(folded.as_bytes()), failed);
        assert_eq!(read(whole.replace("text/rfc822-headers", "message/rfc822").as_bytes()), failed);
        assert_eq!(read(whole.replace("Action: failed", "ACTION:failed").as_bytes()), failed);
        assert_eq!(read(whole.replace("sorry", "\u{e8}\u{0}").as_bytes()), failed);
    }

    #[test]
    fn what_is_none_of_ours() {
        let none = Notification::None;
        for text in [
            String::new(),
            "hello".to_owned(),
            headers(),
            report("failed", "5.1.1", "From: x@y.example\r\n\r\n"),
            report("failed", "5.1.1", "Message-ID: <abc@y.example>\r\n\r\n"),
            report("failed", "5.1.1", "Message-ID: 01a1fed9-642e-7c24-868b-28a0ea1b0001\r\n\r\n"),
            report("failed", "5.1.1", &headers()).replace("message/delivery-status", "text/plain"),
            report("failed", "5.1.1", &headers().replace(ID, &ID.to_uppercase())),
        ] {
            assert_eq!(read(text.as_bytes()), none, "{text}");
        }
        // What a letter says in its text is not what its headers say.
        let quoted = format!("Subject: x\r\n\r\nMessage-ID: <{ID}@valdorso.example>\r\n");
        let text = report("failed", "5.1.1", &format!("Message-ID: <other@y.example>\r\n{quoted}"));
        assert_eq!(read(text.replace("Message-ID: <other@y.example>\r\n", "").as_bytes()), none);
    }

    #[test]
    fn it_ends_whatever_comes() {
        for piece in ["--B\n", "Content-Type: message/delivery-status\n\n", ":", "\n", " ", "Message-ID:\n ", "\u{0}"] {
            let much = piece.repeat(3 * MAX_BYTES / piece.len());
            assert_eq!(read(much.as_bytes()), Notification::None);
        }
    }
}
