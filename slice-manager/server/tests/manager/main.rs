//! The manager as a whole, over mutual TLS on loopback: operators and edges are clients in the test, the world is the
//! reference world of `profiles/reference`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod certificates;
mod changes;
mod edges;
mod handover;
mod happy;
mod kernels;
mod kill;
mod limits;
mod measures;
mod process;
mod readings;
mod restart;
mod roles;
mod transport;
mod world;
