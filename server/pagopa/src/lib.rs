//! pagoPA, in and out.
//!
//! [`sandbox`] is the platform's side, for the demo and the tests: a Checkout page, PSPs and a Node that calls the
//! creditor's endpoint. It shares no parser, writer or type with the server's side in this crate, so that one cannot
//! hide the other's mistakes.

pub mod sandbox;
