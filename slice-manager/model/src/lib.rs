//! The nouns that every part of Microslice shares: checked numbers, names, rates, the resources that an operator
//! writes, the profiles that they refer to, and what the manager decides (plan) and an edge runs (program).
//!
//! A value of these types can't be out of range: every narrow number has a checked constructor, every list whose
//! members have names refuses a name that occurs twice, and every error names the field path and what was expected.
//! Rules that need more than one resource (does that edge exist, is that circuit taken) belong to the planner.
//!
//! This crate is pure: no clock, no socket, no environment, no randomness. It reads text that it is given.
#![forbid(unsafe_code)]

mod address;
mod digest;
mod duration;
pub mod file;
mod list;
mod name;
mod number;
pub mod operation;
pub mod plan;
mod principal;
pub mod profile;
pub mod program;
mod rate;
pub mod resource;
mod snssai;

pub use address::{InterfaceAddress, InvalidAddress, Locator, Mac, Prefix, Sid};
pub use digest::Digest;
pub use duration::{InvalidLatency, Latency};
pub use list::{DuplicateName, Named, UniqueList};
pub use name::{
    AffinityName, ClientName, InvalidName, LinkName, NodeName, PortName, ProfileName, RiskName, SdpName, SegmentName,
    SliceName, TopologyName,
};
pub use number::{ClassNumber, Dscp, Generation, Label, OutOfRange, PathId, Pcp, Qfi, TrafficClass, Vlan, Vni, Weight};
pub use principal::{InvalidPrincipal, Principal, Role};
pub use rate::{InvalidLimits, InvalidRate, InvalidShare, Rate, RateLimits, Share};
pub use snssai::{Sd, Snssai, Sst};
