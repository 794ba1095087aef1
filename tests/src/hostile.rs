//! Messages to the Node's port that are made to hurt or to deceive, each under a name: none of them may pass for a call
//! of the Node. A test holds that each is refused, a bench that it is refused quickly and in little memory.
//!
//! Whoever adds a document adds a line to one of the lists; [`documents`] gathers them.

mod bytes;
mod content;
mod markup;

use borsellino_pagopa::node::{MAX_BYTES, Request, SpontaneousTopUp, decode};

/// A document made to hurt.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What kind of attack, and which: `attributes: 100,000 on one tag`.
    pub name: String,
    /// The `SOAPAction` that comes with it.
    pub action: &'static str,
    /// The HTTP body.
    pub body: Vec<u8>,
}

impl Hostile {
    /// What kind of attack: the name up to its colon.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.name.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// Does with the document what the Node's port does before it asks anybody else: decodes it, and reads the data of a
    /// demand. Answers why it was refused.
    ///
    /// # Errors
    /// What it was taken for.
    pub fn refusal(&self) -> Result<String, Box<Request>> {
        match decode(&self.body, Some(self.action)) {
            Err(refusal) => Ok(refusal.to_string()),
            Ok(Request::Demand(demand)) if SpontaneousTopUp::read(&demand.service_data).is_none() => {
                Ok("the data of the demand".to_owned())
            }
            Ok(request) => Err(Box::new(request)),
        }
    }
}

/// All of them: every name is another, every body too.
#[must_use]
pub fn documents() -> Vec<Hostile> {
    let mut list = List::default();
    markup::attributes(&mut list);
    markup::prefixes(&mut list);
    markup::entities(&mut list);
    markup::nesting(&mut list);
    markup::structure(&mut list);
    bytes::texts(&mut list);
    bytes::encodings(&mut list);
    content::soap(&mut list);
    content::base64(&mut list);
    content::values(&mut list);
    content::repeats(&mut list);
    list.0
}

const VERIFY: &str = include_str!("../fixtures/pagopa/paVerifyPaymentNotice-req.xml");
const ACTIVATE: &str = include_str!("../fixtures/pagopa/paGetPaymentV2-req.xml");
const RECEIPT: &str = include_str!("../fixtures/pagopa/paSendRTV2-req.xml");
const RECEIPT_V1: &str = include_str!("../fixtures/pagopa/paSendRT-req.xml");
const DEMAND: &str = include_str!("../fixtures/pagopa/paDemandPaymentNotice-req.xml");

/// The text of the leaf that most attacks on a value go to.
const STATION: &str = "99900020019_01";

/// As many bytes of markup as fit into a message, beside the rest of it.
const ROOM: usize = MAX_BYTES - 4_096;

/// The list that grows.
#[derive(Default)]
struct List(Vec<Hostile>);

impl List {
    /// A body that is no call at all.
    fn raw(&mut self, name: &str, body: impl Into<Vec<u8>>) {
        self.0.push(Hostile { name: name.to_owned(), action: "paVerifyPaymentNotice", body: body.into() });
    }

    /// A recorded call with a part of it replaced wherever it stands.
    fn call(&mut self, name: &str, call: &'static str, from: &str, to: &str) {
        let body = call.replace(from, to).into_bytes();
        self.0.push(Hostile { name: name.to_owned(), action: action(call), body });
    }

    /// A verify whose station is this.
    fn station(&mut self, name: &str, to: &str) {
        self.call(name, VERIFY, STATION, to);
    }
}

/// The `SOAPAction` of a recorded call.
fn action(call: &str) -> &'static str {
    [(VERIFY, "paVerifyPaymentNotice"), (ACTIVATE, "paGetPaymentV2"), (RECEIPT, "paSendRTV2"), (RECEIPT_V1, "paSendRT")]
        .into_iter()
        .find_map(|(its, action)| (its == call).then_some(action))
        .unwrap_or("paDemandPaymentNotice")
}

/// A piece of text over and over, as often as it fits into a message.
fn full(unit: &str) -> String {
    unit.repeat(ROOM / unit.len())
}

/// `n` attributes or other pieces, made from their numbers.
fn many(n: usize, piece: impl Fn(usize) -> String) -> String {
    (0..n).map(piece).collect()
}
