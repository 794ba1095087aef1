//! The Borsellino server: use cases, and every edge that decodes a call, runs one and encodes its answer.

pub mod auth;
pub mod clock;
pub mod live;
pub mod soap;
pub mod usecases;
