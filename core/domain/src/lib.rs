//! The rules of school payments: money, identifiers, the ledger, top-ups, bills and what a receipt does.
//!
//! Pure: no I/O, no async, no clock and no randomness of its own (both are arguments), no floats, no unchecked
//! arithmetic. Everything that the server and the phone must agree on lives here; everything that can be wrong is
//! refused at construction, so that inside an [`money::Amount`] is positive cents and a [`notice::NoticeNumber`] has
//! its check digits.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod account;
pub mod activation;
pub mod asked;
pub mod bill;
pub mod content;
pub mod creditor;
pub mod draft;
pub mod fees;
pub mod fiscal_code;
pub mod iban;
pub mod id;
pub mod language;
pub mod ledger;
pub mod message;
pub mod money;
pub mod notice;
pub mod office;
pub mod queue;
pub mod receipt;
pub mod seal;
pub mod service;
pub mod tax;
pub mod taxonomy;
pub mod time;
pub mod top_up;
pub mod words;
