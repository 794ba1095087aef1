//! Who somebody is: keys, tokens, passwords, identity providers.

pub mod keys;
pub mod oidc;
pub mod password;
pub mod signature;
pub mod token;
