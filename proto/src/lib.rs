//! The wire: package `borsellino.v1`, its generated stubs, and every conversion between wire and domain.
//!
//! Generated types stop here: the server's edges and the app core's client convert at once, nothing else names them.
//! Features `client` and `server` choose the stubs; the phone never compiles the server's.

pub mod convert;
pub mod reason;

/// Generated from `borsellino/v1/borsellino.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, clippy::panic)]
pub mod v1 {
    tonic::include_proto!("borsellino.v1");
}

/// The compiled descriptor, for server reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
