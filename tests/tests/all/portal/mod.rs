//! The portal in a browser, as HTTP.

mod open;
