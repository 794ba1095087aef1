//! A receipt that names nobody, as XML of our own: what whoever holds a notice gets without signing in. It is no message of pagoPA's.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortReceipt {
    /// Who issued the notice: 11 digits, and name.
    pub creditor: (String, String),
    /// The notice's reference.
    pub iuv: String,
    /// Each payment, oldest first: cents without the fee, the day (ISO) where it is known, and who took the money.
    pub payments: Vec<(i64, Option<String>, String)>,
}

impl ShortReceipt {
    /// The document, in UTF-8.
    #[must_use]
    pub fn xml(&self) -> Vec<u8> {
        let mut writer = Writer::new_with_indent(Vec::with_capacity(512), b' ', 2);
        // Writing to memory does not fail.
        let mut put = |event: Event<'_>| drop(writer.write_event(event));
        put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        put(Event::Start(BytesStart::new("ricevuta")));
        let (code, name) = &self.creditor;
        for (element, text) in [("codiceFiscaleEnte", code), ("ente", name), ("iuv", &self.iuv)] {
            line(&mut put, element, text);
        }
        for (cents, day, psp) in &self.payments {
            put(Event::Start(BytesStart::new("pagamento")));
            let sign = if *cents < 0 { "-" } else { "" };
            let euros = cents.unsigned_abs();
            line(&mut put, "importo", &format!("{sign}{}.{:02}", euros.div_euclid(100), euros.rem_euclid(100)));
            if let Some(day) = day {
                line(&mut put, "data", day);
            }
            line(&mut put, "psp", psp);
            put(Event::End(BytesEnd::new("pagamento")));
        }
        put(Event::End(BytesEnd::new("ricevuta")));
        writer.into_inner()
    }
}

fn line(put: &mut impl FnMut(Event<'_>), element: &str, text: &str) {
    // What XML cannot carry is left out.
    let text: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
    put(Event::Start(BytesStart::new(element)));
    put(Event::Text(BytesText::new(&text)));
    put(Event::End(BytesEnd::new(element)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_is_given_and_stays_xml() {
        let receipt = ShortReceipt {
            creditor: ("99900010010".to_owned(), "Comune di <Prova> & \"C\"\u{1}".to_owned()),
            iuv: "01000000000000042".to_owned(),
            payments: vec![
                (1_205, Some("2026-11-20".to_owned()), "Banca & Figli".to_owned()),
                (7, None, "X".to_owned()),
            ],
        };
        let text = String::from_utf8(receipt.xml()).unwrap();
        let tree = roxmltree::Document::parse(&text).unwrap();
        let texts: Vec<_> =
            tree.descendants().filter_map(|node| Some((node.tag_name().name(), node.text()?.trim()))).collect();
        let texts: Vec<_> = texts.into_iter().filter(|(name, text)| !name.is_empty() && !text.is_empty()).collect();
        let expected = [
            ("codiceFiscaleEnte", "99900010010"),
            ("ente", "Comune di <Prova> & \"C\""),
            ("iuv", "01000000000000042"),
            ("importo", "12.05"),
            ("data", "2026-11-20"),
            ("psp", "Banca & Figli"),
            ("importo", "0.07"),
            ("psp", "X"),
        ];
        assert_eq!(texts, expected);
    }
}
