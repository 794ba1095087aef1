//! The documents as others read them: poppler, zbar, libdmtx and qpdf, none of which had a part in writing them
//! (`tests/install` brings them).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod codes;
mod logos;
mod names;
mod pages;
mod readers;
mod structure;
mod templates;
mod volume;
