//! Paths and numbers as they were decided, and what nodes run of them: listed, compared, and named where they differ.
//!
//! What is listed is read from the programs of the plan, so it is what nodes are told, whatever the planner keeps beside
//! it. Nothing here waits, stores or sends.

mod forwarding;
mod numbers;
mod paths;
mod shares;
mod suspects;
mod verify;
mod words;

pub(crate) use numbers::{labels, route_targets, sids, vnis};
pub(crate) use paths::paths;
pub(crate) use suspects::{Lookout, Suspects};
pub(crate) use verify::verdict;
