//! The documents people hold: what each of them says ([`Notice`], [`Receipt`], [`Certificate`], [`Statement`]).

mod logo;
mod model;

pub use self::logo::{Logo, LogoError};
pub use self::model::{
    Certificate, CertifiedLine, CertifiedPayment, Evidence, Issuer, Movement, Notice, Part, Payer, Person, Postal,
    Receipt, Settled, Statement, StatementLine, Transfer, Wording,
};
