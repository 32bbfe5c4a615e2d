//! The testbed: a small reference network on which the whole product runs, is measured and is attacked.
//!
//! `demo` raises it and checks what it claims; `bench` measures the packet path; `world` is the part that is not the
//! product: devices, authenticators and core nodes, with packet code of their own. Nothing depends on this crate.

pub mod bench;
mod command;
pub mod demo;
pub mod netns;
pub mod parts;
pub mod simulate;
pub mod world;

pub use command::{command, run};
