//! Fuzz target: `borsellino_fuzz::checks::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| borsellino_fuzz::checks::proof(bytes));
