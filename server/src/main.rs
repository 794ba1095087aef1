//! `borsellino`: the command line of the server.

use std::process::ExitCode;

fn main() -> ExitCode {
    borsellino_server::cli::main()
}
