//! What the server does by itself from time to time. A job stops with the server; an error in it is logged and tried
//! again, and never ends the server.

pub mod mail;
pub mod push;
pub mod seal;
pub(crate) mod sweep;
