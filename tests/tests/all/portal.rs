//! Portale Genitori, as a browser without a screen meets it: every form and every way it can be bent. What it looks like, and what it does
//! with a script, a real browser tries (`tests/portal`).

mod audit;
mod browser;
mod content;
mod entry;
mod family;
mod giving;
mod identities;
mod messages;
mod names;
mod offline;
mod open;
mod overview;
mod privacy;
mod question;
mod safety;
mod waiting;
