//! What somebody at a PSP typed for a top-up without a notice: the XML inside `paDemandPaymentNotice`. Its schema is the
//! creditor's own, registered with the service in pagoPA's catalogue (docs/operators.md shows ours):
//!
//! ```xml
//! <ricarica xmlns="..."><codiceFiscaleAlunno>...</codiceFiscaleAlunno><importo>45.00</importo></ricarica>
//! ```
//!
//! The name of the root and the namespace are the registration's, so any are taken.

use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};

use super::guard::{MAX_NODES, guard};
use super::wire::{parse_amount, trim};

/// Which child, and how much.
#[derive(Clone, PartialEq, Eq)]
pub struct SpontaneousTopUp {
    /// The child's codice fiscale as typed, trimmed, at most 35 characters; not checked.
    pub child_code: String,
    /// Cents, never zero.
    pub amount_cents: i64,
}

impl fmt::Debug for SpontaneousTopUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpontaneousTopUp").field("amount_cents", &self.amount_cents).finish_non_exhaustive()
    }
}

const CHILD: &str = "codiceFiscaleAlunno";
const AMOUNT: &str = "importo";

impl SpontaneousTopUp {
    /// Reads `data`; `None` where it breaks the schema (`PAA_SINTASSI_XSD`).
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let text = guard(data).ok()?;
        let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).ok()?;
        let root = document.root_element();
        let blank = |node: Node<'_, '_>| node.is_text() && trim(node.text().unwrap_or_default()).is_empty();
        let mut children = root.children().filter(|child| !child.is_comment() && !blank(*child));
        let (child, amount) = (children.next()?, children.next()?);
        if children.next().is_some() {
            return None;
        }
        let child_code = leaf(root, child, CHILD)?;
        let amount_cents = parse_amount(&leaf(root, amount, AMOUNT)?).filter(|cents| *cents > 0)?;
        let fits = (1..=35).contains(&child_code.chars().count());
        fits.then_some(Self { child_code, amount_cents })
    }
}

/// The trimmed text of `node`, which must be called `name`, in the root's namespace, and hold nothing but text.
fn leaf(root: Node<'_, '_>, node: Node<'_, '_>, name: &str) -> Option<String> {
    let tag = node.tag_name();
    if !node.is_element() || tag.name() != name || tag.namespace() != root.tag_name().namespace() {
        return None;
    }
    let mut text = String::new();
    for child in node.children() {
        if child.is_element() {
            return None;
        }
        text.push_str(child.text().filter(|_| child.is_text()).unwrap_or_default());
    }
    Some(trim(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Option<(String, i64)> {
        let data = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><r xmlns=\"urn:example:1\">{inside}</r>");
        SpontaneousTopUp::read(data.as_bytes()).map(|read| (read.child_code, read.amount_cents))
    }

    #[test]
    fn two_fields_in_their_order_and_nothing_else() {
        let (child, amount) =
            ("<codiceFiscaleAlunno> BNCLRA14P55H501E </codiceFiscaleAlunno>", "<importo>45.00</importo>");
        let whole = Some(("BNCLRA14P55H501E".to_owned(), 4_500));
        assert_eq!(read(&format!("{child}{amount}")), whole);
        assert_eq!(read(&format!("\n <!-- x --> {child}\n {amount}\n")), whole);
        for wrong in [
            String::new(),
            child.to_owned(),
            format!("{amount}{child}"),
            format!("{child}{child}{amount}"),
            format!("{child}{amount}<altro/>"),
            format!("{child}testo{amount}"),
            format!("{child}<importo>0.00</importo>"),
            format!("{child}<importo>45,00</importo>"),
            format!("{child}<importo><b>45.00</b></importo>"),
            format!("{child}<importo xmlns=\"urn:other\">45.00</importo>"),
            format!("<codiceFiscaleAlunno></codiceFiscaleAlunno>{amount}"),
            format!("<codiceFiscaleAlunno>{}</codiceFiscaleAlunno>{amount}", "A".repeat(36)),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        for data in [&b""[..], b"<r>", b"\xff\xfe", b"<!DOCTYPE r><r/>"] {
            assert_eq!(SpontaneousTopUp::read(data), None);
        }
    }

    #[test]
    fn debug_names_no_child() {
        let top_up = SpontaneousTopUp { child_code: "BNCLRA14P55H501E".to_owned(), amount_cents: 1 };
        assert!(!format!("{top_up:?}").contains("BNC"));
    }
}
