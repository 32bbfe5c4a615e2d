//! `slicectl` as a process, against a manager that answers what a test tells it to, over mutual TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod files;
mod intent;
mod manager;
mod objective;
mod process;
mod queues;
mod reach;
mod reading;
mod services;
mod slices;
mod tools;
mod transport;
mod wait;
