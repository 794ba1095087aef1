//! Fuzz target: `borsellino_fuzz::checks::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|token: &str| borsellino_fuzz::checks::token(token));
