//! Compiles `borsellino/v1/*.proto` with protox (pure Rust: no protoc on any machine).

use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=borsellino");
    let files = protox::compile(["borsellino/v1/borsellino.proto"], ["."])?;
    fs::write(out.join("descriptor.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(env::var("CARGO_FEATURE_CLIENT").is_ok())
        .build_server(env::var("CARGO_FEATURE_SERVER").is_ok())
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
