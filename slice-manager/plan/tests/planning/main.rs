//! Tests of planning and auditing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod auditor;
mod derivation;
mod growth;
mod handover;
mod kernels;
mod lifecycle;
mod net;
mod offers;
mod oracle;
mod properties;
mod reference;
mod refusals;
mod script;
mod services;
mod sharing;
mod suspects;
mod transports;
mod walks;
mod world;
