//! The documents people hold: what each of them says ([`Notice`], [`Receipt`], [`ShortReceipt`], [`Certificate`], [`Statement`]) and the
//! [`Renderer`] that writes them as PDF/A-2a and PDF/UA-1. `docs/documents.md` says what is on each and how a
//! municipality changes it.

mod certificate;
mod codes;
mod facts;
mod ink;
mod logo;
mod model;
mod notice;
mod receipt;
mod render;
pub mod sample;
mod short_receipt;
mod statement;
mod volume;
mod world;

pub use self::logo::{Logo, LogoError};
pub use self::model::{
    Certificate, CertifiedLine, CertifiedPayment, Evidence, Issuer, Movement, Notice, Part, Payer, Person, Postal,
    Receipt, Settled, ShortPayment, ShortReceipt, Statement, StatementLine, Transfer, Wording,
};
pub use self::render::{RenderError, Renderer, TemplateError, Templates, proof_in};
pub use self::volume::{BindError, Volume};
