//! Fuzz target: `borsellino_fuzz::checks::notice`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| borsellino_fuzz::checks::notice(text));
