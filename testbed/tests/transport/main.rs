//! Transport slices between real peers: each service over each transport, between edges of ours and with others, over core
//! nodes of ours and others. Ping, UDP and TCP pass between two devices; what was sent and what arrived is compared; tshark
//! and Scapy read what crossed the core. `testbed/interop/run transport` prints the matrix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod capture;
mod cores;
mod decoded;
mod encoders;
mod far_ends;
mod kernel;
mod matrix;
mod ovs;
mod program;
mod survival;
mod traffic;
mod world;
