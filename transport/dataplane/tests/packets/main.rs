//! The packet path, from the first octet to the last counter: a pipeline, frames in, frames out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

include!("all.rs");
