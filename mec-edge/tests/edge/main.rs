//! Edges in this process, or as the real program: their ports in the hands of the test, their manager a fake one that speaks
//! the real protocol over mutual TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod af_packet;
mod apply;
mod bytes;
mod forwarding;
mod kill;
mod manager;
mod metrics;
mod neighbours;
mod queues;
mod radius;
mod world;
