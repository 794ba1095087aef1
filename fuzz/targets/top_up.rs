//! Fuzz target: `borsellino_fuzz::checks::top_up`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| borsellino_fuzz::checks::top_up(bytes));
