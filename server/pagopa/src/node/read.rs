//! Reading an `xsd:sequence` off a parsed tree: elements in their order, typed one by one.
//!
//! Two manners. *Strict* refuses whatever the schema does not name. *Tolerant* skips elements that the schema does not
//! name yet, because receipts grow new optional elements and a reader that stumbled over one has lost receipts
//! (govpay issue 860). Both refuse a known element that is repeated, out of place, or named in another letter case or
//! namespace: that is a mistake, not news.

use std::fmt;

use roxmltree::Node;

use super::wire::{parse_amount, trim};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What is wrong with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is mandatory and not there.
    Missing,
    /// It is repeated, or not where the sequence has it.
    Misplaced,
    /// Its name differs from the schema's in letter case or namespace.
    Misnamed,
    /// It holds an element, attribute or text that the schema does not know.
    Unexpected,
    /// Its value is not of its type.
    BadValue,
    /// There are more of them than the schema allows.
    TooMany,
}

/// One breach of the schema: which element, and how. Names come from the schema, never from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The schema's name of the element.
    pub element: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Missing => "missing",
            Problem::Misplaced => "repeated or out of order",
            Problem::Misnamed => "wrong letter case or namespace",
            Problem::Unexpected => "unexpected content",
            Problem::BadValue => "value not valid",
            Problem::TooMany => "too many",
        };
        write!(f, "{}: {problem}", self.element)
    }
}

pub(super) fn flaw(element: &'static str, problem: Problem) -> Flaw {
    Flaw { element, problem }
}

/// How to treat what the schema does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Strict,
    Tolerant,
}

/// The children of one element, taken front to back.
pub(super) struct Sequence<'a, 'input> {
    pub(super) manner: Manner,
    children: std::iter::Peekable<std::vec::IntoIter<(&'static str, Node<'a, 'input>)>>,
}

impl<'a, 'input> Sequence<'a, 'input> {
    /// Opens `node`, called `element` in the schema, whose children may be those in `known`.
    pub(super) fn open(
        node: Node<'a, 'input>,
        element: &'static str,
        known: &[&'static str],
        manner: Manner,
    ) -> Result<Self, Flaw> {
        check_attributes(node, element, manner)?;
        let mut children = Vec::new();
        for child in node.children() {
            if child.is_text() && !trim(child.text().unwrap_or_default()).is_empty() {
                return Err(flaw(element, Problem::Unexpected));
            }
            if !child.is_element() {
                continue;
            }
            let name = child.tag_name().name();
            match known.iter().find(|k| k.eq_ignore_ascii_case(name)) {
                Some(k) if *k == name && unqualified(child) => children.push((*k, child)),
                Some(k) => return Err(flaw(k, Problem::Misnamed)),
                None if manner == Manner::Tolerant => {}
                None => return Err(flaw(element, Problem::Unexpected)),
            }
        }
        Ok(Self { manner, children: children.into_iter().peekable() })
    }

    /// The next child, if it is `name`.
    pub(super) fn next(&mut self, name: &'static str) -> Option<Node<'a, 'input>> {
        self.children.next_if(|(next, _)| *next == name).map(|(_, node)| node)
    }

    /// The next child, which must be `name`.
    pub(super) fn need(&mut self, name: &'static str) -> Result<Node<'a, 'input>, Flaw> {
        self.next(name).ok_or_else(|| {
            let later = self.children.any(|(next, _)| next == name);
            flaw(name, if later { Problem::Misplaced } else { Problem::Missing })
        })
    }

    /// The value of the next child, which must be `name`.
    pub(super) fn value<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Flaw> {
        let node = self.need(name)?;
        leaf(node, name, self.manner, parse)
    }

    /// The value of the next child, if it is `name`.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Flaw> {
        let manner = self.manner;
        self.next(name).map(|node| leaf(node, name, manner, parse)).transpose()
    }

    /// Ends the sequence: what is left over is repeated or out of order.
    pub(super) fn close(mut self) -> Result<(), Flaw> {
        match self.children.next() {
            None => Ok(()),
            Some((name, _)) => Err(flaw(name, Problem::Misplaced)),
        }
    }
}

fn unqualified(node: Node<'_, '_>) -> bool {
    // `xmlns=""` arrives as an empty namespace.
    node.tag_name().namespace().is_none_or(str::is_empty)
}

fn check_attributes(node: Node<'_, '_>, element: &'static str, manner: Manner) -> Result<(), Flaw> {
    for attribute in node.attributes() {
        match attribute.namespace() {
            Some(XSI) if attribute.name() == "nil" && matches!(trim(attribute.value()), "true" | "1") => {
                return Err(flaw(element, Problem::BadValue));
            }
            // xsi:type and its kin add nothing here, and the schema language allows them everywhere.
            Some(XSI) => {}
            _ if manner == Manner::Tolerant => {}
            _ => return Err(flaw(element, Problem::Unexpected)),
        }
    }
    Ok(())
}

/// The typed text of an element that has no element children; comments and CDATA borders do not matter.
fn leaf<T>(
    node: Node<'_, '_>,
    element: &'static str,
    manner: Manner,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Flaw> {
    check_attributes(node, element, manner)?;
    let mut text = String::new();
    for child in node.children() {
        if child.is_element() {
            return Err(flaw(element, Problem::Unexpected));
        }
        if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        }
    }
    parse(&text).ok_or(flaw(element, Problem::BadValue))
}

/// `stText`*n*: 1 ..= `max` characters, white space kept.
pub(super) fn text(max: usize) -> impl FnOnce(&str) -> Option<String> {
    move |text| (!text.is_empty() && text.chars().count() <= max).then(|| text.to_owned())
}

/// An identifier: like [`text()`], but surrounding white space is dropped (the platform's own load test pads them).
pub(super) fn identifier(max: usize) -> impl FnOnce(&str) -> Option<String> {
    move |value| text(max)(trim(value))
}

/// `stAmountNotZero`, in cents.
pub(super) fn amount_not_zero(text: &str) -> Option<i64> {
    parse_amount(text).filter(|cents| *cents > 0)
}

/// `xs:boolean`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match trim(text) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
