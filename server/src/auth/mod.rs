//! Who somebody is: keys, tokens, passwords.

pub mod keys;
pub mod password;
pub mod signature;
pub mod token;
