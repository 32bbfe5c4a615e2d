//! The world around the product, in one process: access networks with devices, authenticators, the cables between nodes.
//!
//! It reads and writes packets with code of its own, octet by octet, and shares none with the product: a mistake in a
//! codec can't hide by being made on both sides.

pub mod access;
pub mod bytes;
pub mod capture;
pub mod device;
pub mod engine;
pub mod nas;
