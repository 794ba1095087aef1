//! Generates the Kotlin, Swift and Python sides of the bindings: `borsellino-bindgen generate LIBRARY --language kotlin
//! --out-dir DIR`. A program of the house because it must be of the very version that the library was built with.

fn main() {
    uniffi::uniffi_bindgen_main();
}
