//! pagoPA, in and out.
//!
//! [`node`] is the server's side of the Node's SOAP calls, [`checkout`] the client that opens a cart to pay online.
//! [`sandbox`] is the platform's side, for the demo and the tests: a Checkout page, PSPs and a Node that calls the
//! creditor's endpoint. [`short_receipt`] is a small document of our own. The sandbox shares no parser, writer or type with the server's side in this crate, so that one cannot
//! hide the other's mistakes.

pub mod checkout;
pub mod node;
pub mod sandbox;
pub mod short_receipt;
