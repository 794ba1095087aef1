//! The gate in front of the XML parser: one linear pass over the bytes that bounds everything a parser could be made
//! to sweat over, before a tree is built.
//!
//! The pass follows the grammar closely enough to agree with the parser on where a tag ends (comments, CDATA,
//! processing instructions, `>` inside quoted values). Where text is so broken that they could disagree, the parser
//! refuses it at that very place.

use thiserror::Error;

/// Largest message accepted, in bytes. A receipt with five transfers is under 10 KiB.
pub const MAX_BYTES: usize = 512 * 1024;
/// Deepest nesting of elements; a receipt uses eight levels.
pub const MAX_DEPTH: usize = 64;
/// Most attributes (namespace declarations included) on one tag.
pub const MAX_ATTRIBUTES: usize = 64;
/// Most nodes (elements, texts, comments) in one message, and most `<`; the largest receipt has about a thousand.
pub const MAX_NODES: u32 = 10_000;
/// Most `=` in one message, wherever they stand. The parser reserves memory for a node by each `<` and for an attribute
/// by each `=`, before it has looked what they are.
pub const MAX_EQUALS: usize = 4_096;
/// Most `&` in one message, so most references.
pub const MAX_REFERENCES: usize = 10_000;
/// Most prefixes in scope at once: the parser's work on a tag that declares some grows with the square of all in scope.
const MAX_PREFIXES: usize = 64;
/// Most of these squares together.
const MAX_SCOPES: usize = 400_000;

/// Why bytes are not a message at all. The reasons never quote the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// More than [`MAX_BYTES`].
    #[error("the message is too large")]
    TooLarge,
    /// Not UTF-8, or declared to be something else.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not well-formed XML.
    #[error("the message is not well-formed XML")]
    NotXml,
    /// A document type declaration, which SOAP forbids.
    #[error("a DOCTYPE is not allowed")]
    Doctype,
    /// Elements nested deeper than [`MAX_DEPTH`].
    #[error("elements are nested too deeply")]
    TooDeep,
    /// More than [`MAX_ATTRIBUTES`] attributes on a tag, or [`MAX_EQUALS`] equal signs in all.
    #[error("there are too many attributes")]
    TooManyAttributes,
    /// More than [`MAX_REFERENCES`] references to characters and entities.
    #[error("there are too many references")]
    TooManyReferences,
    /// Too many namespace prefixes in scope at once.
    #[error("too many namespace prefixes are in scope")]
    TooManyPrefixes,
    /// More than [`MAX_NODES`] nodes.
    #[error("the message has too many nodes")]
    TooManyNodes,
    /// Well-formed, but not a SOAP 1.1 envelope with one body.
    #[error("the message is not a SOAP 1.1 envelope")]
    NotSoap,
    /// A header entry demands to be understood, and none is.
    #[error("a header entry must be understood and is not")]
    MustUnderstand,
    /// The body does not hold exactly one element.
    #[error("the SOAP body must hold exactly one element")]
    NotOneOperation,
}

/// Checks size, encoding, DOCTYPE, depth, attributes and references to characters in linear time.
///
/// Answers the text without its byte order mark; it may still be ill-formed, but parsing it is cheap.
///
/// # Errors
/// The first bound that the bytes break.
pub fn guard(bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.len() > MAX_BYTES {
        return Err(Malformed::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser would forgive a second one.
    if text.starts_with('\u{feff}') {
        return Err(Malformed::NotXml);
    }
    declared_utf8(text)?;
    let count = |wanted: u8| text.bytes().filter(|byte| *byte == wanted).count();
    if count(b'<') > usize::try_from(MAX_NODES).unwrap_or(usize::MAX) {
        return Err(Malformed::TooManyNodes);
    }
    if count(b'=') > MAX_EQUALS {
        return Err(Malformed::TooManyAttributes);
    }
    if count(b'&') > MAX_REFERENCES {
        return Err(Malformed::TooManyReferences);
    }
    let mut scopes = 0_usize;
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, markup) = rest.split_at_checked(at).ok_or(Malformed::NotXml)?;
        sound_references(before)?;
        rest = markup;
        if let Some(inner) = rest.strip_prefix("<!--") {
            rest = after(inner, "-->")?;
        } else if let Some(inner) = rest.strip_prefix("<![CDATA[") {
            rest = after(inner, "]]>")?;
        } else if let Some(inner) = rest.strip_prefix("<?") {
            rest = after(inner, "?>")?;
        } else if let Some(inner) = rest.strip_prefix("<!") {
            let doctype = inner.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("doctype"));
            return Err(if doctype { Malformed::Doctype } else { Malformed::NotXml });
        } else if let Some(inner) = rest.strip_prefix("</") {
            open.pop().ok_or(Malformed::NotXml)?;
            rest = after(inner, ">")?;
        } else {
            let tag = scan_tag(rest)?;
            sound_references(tag.text)?;
            if open.len() >= MAX_DEPTH {
                return Err(Malformed::TooDeep);
            }
            let prefixes = open.last().copied().unwrap_or(0).saturating_add(tag.prefixes);
            if tag.declares {
                let scope = prefixes.saturating_add(1);
                scopes = scopes.saturating_add(scope.saturating_mul(scope));
            }
            if prefixes > MAX_PREFIXES || scopes > MAX_SCOPES {
                return Err(Malformed::TooManyPrefixes);
            }
            if !tag.closed {
                open.push(prefixes);
            }
            rest = tag.rest;
        }
    }
    Ok(text)
}

/// Refuses references to what is no character of XML, for which the parser would put another (`&#xD800;`). What is no
/// reference at all the parser refuses.
fn sound_references(text: &str) -> Result<(), Malformed> {
    // Most texts have none, and a search for one character is quicker.
    if !text.contains('&') {
        return Ok(());
    }
    for reference in text.split("&#").skip(1) {
        let Some((digits, _)) = reference.split_once(';') else { return Err(Malformed::NotXml) };
        let code = match digits.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        let named = code.ok().and_then(char::from_u32).ok_or(Malformed::NotXml)?;
        if matches!(named, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}') {
            return Err(Malformed::NotXml);
        }
    }
    Ok(())
}

/// What a start tag told: its own text, whether it declares namespaces, how many prefixes it binds, whether it closes
/// itself, and the text after it.
struct Tag<'a> {
    text: &'a str,
    declares: bool,
    prefixes: usize,
    closed: bool,
    rest: &'a str,
}

fn scan_tag(text: &str) -> Result<Tag<'_>, Malformed> {
    let (mut attributes, mut prefixes, mut declares) = (0_usize, 0_usize, false);
    let mut quote = None;
    let mut name_from = 0;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (Some(q), b) if q == b => {
                quote = None;
                name_from = at.saturating_add(1);
            }
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'=') => {
                attributes = attributes.saturating_add(1);
                if attributes > MAX_ATTRIBUTES {
                    return Err(Malformed::TooManyAttributes);
                }
                // Up to the previous value (or the tag's name) there is only this attribute's name.
                let name = text.get(name_from..at).unwrap_or_default();
                let declared = name.split_ascii_whitespace().next_back().and_then(|name| name.strip_prefix("xmlns"));
                if let Some(rest) = declared {
                    declares = true;
                    prefixes = prefixes.saturating_add(usize::from(rest.starts_with(':')));
                }
            }
            (None, b'<') => return Err(Malformed::NotXml),
            (None, b'>') => {
                let (tag, rest) = text.split_at(at);
                let rest = rest.get(1..).unwrap_or_default();
                return Ok(Tag { text: tag, declares, prefixes, closed: tag.ends_with('/'), rest });
            }
            (None, _) => {}
        }
    }
    Err(Malformed::NotXml)
}

fn after<'a>(text: &'a str, end: &str) -> Result<&'a str, Malformed> {
    text.split_once(end).map(|(_, rest)| rest).ok_or(Malformed::NotXml)
}

/// Refuses an XML declaration that names an encoding other than UTF-8 (US-ASCII, its subset, included: be simple).
fn declared_utf8(text: &str) -> Result<(), Malformed> {
    let Some(inner) = text.strip_prefix("<?xml").filter(|t| t.starts_with([' ', '\t', '\r', '\n'])) else {
        return Ok(());
    };
    let (declaration, _) = inner.split_once("?>").ok_or(Malformed::NotXml)?;
    let Some((_, value)) = declaration.split_once("encoding") else {
        return Ok(());
    };
    let value = value.trim_start().strip_prefix('=').ok_or(Malformed::NotXml)?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Malformed::NotXml)?;
    let name = value.get(1..).and_then(|v| v.split_once(quote)).ok_or(Malformed::NotXml)?.0;
    if name.eq_ignore_ascii_case("utf-8") { Ok(()) } else { Err(Malformed::NotUtf8) }
}
