//! The sandbox's own XML: a tiny document tree over quick-xml's namespace-aware reader, and its writer.
//!
//! It is the independent other side: the server reads and writes the same messages with other code, so a mistake made
//! there cannot be hidden by the same mistake made here. Both directions work on one [`Element`], because a receipt
//! repeats whole parts of the activation's answer.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;

/// Elements nested deeper than this are refused: the schema needs eight levels.
const MAX_DEPTH: usize = 32;

/// One element: its namespace, local name, attributes, children and text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Namespace of the element, `None` where it is unqualified.
    pub(super) ns: Option<String>,
    /// Local name, without prefix.
    pub(super) name: String,
    /// Attributes other than namespace declarations: namespace and local name only, no schema here gives them values.
    pub(super) attributes: Vec<(Option<String>, String)>,
    /// Child elements in document order.
    pub(super) children: Vec<Element>,
    /// All the character data directly inside the element, entities resolved.
    pub(super) text: String,
}

impl Element {
    /// An unqualified element holding only text.
    pub(super) fn leaf(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: text.into(), ..Self::default() }
    }

    /// An unqualified element holding only elements.
    pub(super) fn node(name: &str, children: Vec<Element>) -> Self {
        Self { name: name.to_owned(), children, ..Self::default() }
    }

    /// The first unqualified child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.ns.is_none() && c.name == name)
    }

    /// All unqualified children of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.ns.is_none() && c.name == name)
    }

    /// The text at the end of a path of unqualified children.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(self, |at, name| at.child(name)).map(|e| e.text.as_str())
    }

    /// Reads a whole document.
    ///
    /// # Errors
    /// In words, without repeating the document: not UTF-8, not well formed, a DOCTYPE, an unbound prefix, nested too
    /// deep, or anything but one root element.
    pub(super) fn parse(bytes: &[u8]) -> Result<Element, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "non è UTF-8".to_owned())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = NsReader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        let mut root: Option<Element> = None;
        loop {
            let (ns, event) = reader.read_resolved_event().map_err(|e| format!("XML mal formato ({e})"))?;
            let ns = namespace(ns)?;
            match event {
                Event::Start(start) => {
                    if open.len() >= MAX_DEPTH {
                        return Err("troppi livelli annidati".to_owned());
                    }
                    if open.is_empty() && root.is_some() {
                        return Err("più di un elemento radice".to_owned());
                    }
                    open.push(element(ns, &start, &reader)?);
                }
                Event::Empty(start) => {
                    let done = element(ns, &start, &reader)?;
                    close(done, &mut open, &mut root)?;
                }
                Event::End(_) => {
                    let done = open.pop().ok_or("XML mal formato (chiusura senza apertura)")?;
                    close(done, &mut open, &mut root)?;
                }
                Event::Text(t) => characters(&mut open, &t.xml10_content())?,
                Event::CData(t) => characters(&mut open, &t.xml10_content())?,
                Event::GeneralRef(r) => {
                    let c = entity(&r)?;
                    characters(&mut open, c.encode_utf8(&mut [0; 4]))?;
                }
                Event::DocType(_) => return Err("contiene un DOCTYPE".to_owned()),
                Event::Decl(d) => {
                    if let Some(Ok(encoding)) = d.encoding()
                        && !encoding.eq_ignore_ascii_case("utf-8")
                    {
                        return Err("dichiara una codifica diversa da UTF-8".to_owned());
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        if !open.is_empty() {
            return Err("XML troncato".to_owned());
        }
        root.ok_or_else(|| "vuoto".to_owned())
    }

    /// Writes the element and what is inside it. The element's own namespace, if any, becomes the prefix `pafn`;
    /// everything else is unqualified, as the schema of paForNode has no `elementFormDefault`.
    fn write(&self, out: &mut String) {
        let prefix = if self.ns.is_some() { "pafn:" } else { "" };
        out.push('<');
        out.push_str(prefix);
        out.push_str(&self.name);
        if let Some(ns) = &self.ns {
            out.push_str(" xmlns:pafn=\"");
            escape(ns, out);
            out.push('"');
        }
        out.push('>');
        if self.children.is_empty() {
            escape(&self.text, out);
        }
        for child in &self.children {
            child.write(out);
        }
        out.push_str("</");
        out.push_str(prefix);
        out.push_str(&self.name);
        out.push('>');
    }

    /// A SOAP 1.1 envelope around this element, ready to be sent.
    pub(super) fn envelope(&self) -> String {
        let mut out = String::with_capacity(2048);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"");
        out.push_str(super::schema::SOAP);
        out.push_str("\"><soapenv:Header/><soapenv:Body>");
        self.write(&mut out);
        out.push_str("</soapenv:Body></soapenv:Envelope>");
        out
    }
}

fn namespace(resolved: ResolveResult<'_>) -> Result<Option<String>, String> {
    match resolved {
        ResolveResult::Bound(ns) => Ok(Some(ns.0.to_owned())),
        ResolveResult::Unbound => Ok(None),
        ResolveResult::Unknown(_) => Err("prefisso di namespace non dichiarato".to_owned()),
    }
}

fn element(ns: Option<String>, start: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| "attributo mal formato".to_owned())?;
        if matches!(
            attribute.key.as_namespace_binding(),
            Some(PrefixDeclaration::Default | PrefixDeclaration::Named(_))
        ) {
            continue;
        }
        let (ns, local) = reader.resolver().resolve_attribute(attribute.key);
        attributes.push((namespace(ns)?, local.as_ref().to_owned()));
    }
    Ok(Element { ns, name: start.local_name().as_ref().to_owned(), attributes, ..Element::default() })
}

fn close(done: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return Err("più di un elemento radice".to_owned()),
    }
    Ok(())
}

fn characters(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("testo fuori dall'elemento radice".to_owned()),
    }
    Ok(())
}

/// Only the five entities of XML itself and character references: no DOCTYPE means no others exist.
fn entity(reference: &BytesRef<'_>) -> Result<char, String> {
    let resolved = reference.resolve_char_ref().map_err(|_| "riferimento a carattere non valido".to_owned())?;
    let c = match (resolved, &*reference.xml10_content()) {
        (Some(c), _) => c,
        (None, "amp") => '&',
        (None, "lt") => '<',
        (None, "gt") => '>',
        (None, "quot") => '"',
        (None, "apos") => '\'',
        (None, _) => return Err("entità sconosciuta".to_owned()),
    };
    if is_xml_char(c) { Ok(c) } else { Err("carattere non ammesso in XML".to_owned()) }
}

/// Whether XML 1.0 allows the character at all.
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A literal carriage return would be read back as a line feed.
            '\r' => out.push_str("&#13;"),
            c if is_xml_char(c) => out.push(c),
            // Nothing that could be put here would be XML.
            _ => {}
        }
    }
}
