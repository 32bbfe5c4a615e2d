//! The tree beside a fluid reference, closed forms, and all that is wrong with input.
//!
//! `bed` drives a tree on a virtual clock and writes down who left when; `fluid` is the slow and obvious reference; `watch` checks
//! each departure against ceilings that it computes for itself, in whole numbers and not in the way of the tree.

mod bad;
mod bed;
mod changes;
mod closed;
mod fluid;
mod managed;
mod passing;
mod properties;
mod table;
mod watch;
