//! The packet path, from the first octet to the last counter: a pipeline, frames in, frames out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod attack;
mod binding;
mod chain;
mod changes;
mod corpora;
mod drops;
mod exits;
mod forwarding;
mod frames;
mod leaves;
mod matrix;
mod mpls;
mod oracle;
mod probing;
mod programs;
mod queues;
mod random;
mod rig;
mod routed;
mod srv6;
mod transit;
mod trees;
mod tunnels;
mod underlay;
