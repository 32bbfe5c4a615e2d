//! The gRPC API `microslice.v1`, and its conversions to and from the model.
//!
//! Messages come from outside and may say anything; [`model`] values can't be wrong. Conversions towards the model are
//! `TryFrom` only, and their errors name the field path as the JSON form of the message has it. Conversions from the
//! model are total. Messages stop at the services, the edge's agent and the CLI: nothing further in sees one.
#![forbid(unsafe_code)]

mod convert;
mod json;

/// The messages and services of `microslice.v1`, generated from `proto/`.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("microslice.v1");
}

pub use convert::{ConvertError, ConvertProblem, timestamp};
pub use json::{JsonError, to_json};

/// The descriptors of the API, for reflection and for the JSON form of messages.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
