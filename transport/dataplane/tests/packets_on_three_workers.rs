//! The tests of the packet path once more, on three workers that hand over most of what they get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

include!("packets/all.rs");
