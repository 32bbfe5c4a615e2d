//! Hands out numbers: lowest first, kept as long as their holder lives, and not given to another while somebody may still
//! use them.
//!
//! A VLAN and the number of a route target are used by nobody but the edge that a slice leaves with them, which swaps
//! its tables whole; they are free again at once. What others send by (VNIs, SIDs, labels) waits.

mod nodes;
mod segments;
mod sids;
mod slices;

use std::collections::BTreeSet;

use model::NodeName;

use crate::refusal::{Pool, RefusalReason};

pub(crate) use nodes::{Labels, gone, nodes};
pub(crate) use segments::{quarantine, segments, still_quarantined, unused};
pub(crate) use sids::{NodeSids, service_sid};
pub(crate) use slices::{kept_vlan, slices};

/// The free numbers of a pool, lowest first.
struct Numbers {
    pool: Pool,
    size: u64,
    next: u32,
    last: u32,
    step: u32,
    used: BTreeSet<u32>,
    quarantined: BTreeSet<u32>,
}

impl Numbers {
    fn new(pool: Pool, first: u32, last: u32, step: u32, taken: (BTreeSet<u32>, BTreeSet<u32>)) -> Self {
        let size = last.checked_sub(first).map_or(0, |span| u64::from(span / step) + 1);
        let within = |set: BTreeSet<u32>| set.into_iter().filter(|n| (first..=last).contains(n)).collect();
        Self { pool, size, next: first, last, step, used: within(taken.0), quarantined: within(taken.1) }
    }

    fn next(&mut self) -> Option<u32> {
        // What was passed over stays taken while this runs, so the search never has to look back.
        while self.next <= self.last {
            let candidate = self.next;
            self.next = self.next.saturating_add(self.step);
            if !self.quarantined.contains(&candidate) && self.used.insert(candidate) {
                return Some(candidate);
            }
        }
        None
    }

    fn exhausted(&self, of: Option<NodeName>) -> RefusalReason {
        // A number can be both: in use by a segment that has left one of its edges.
        let used = self.used.len() as u64;
        let quarantined = self.quarantined.difference(&self.used).count() as u64;
        RefusalReason::PoolExhausted { pool: self.pool, of, size: self.size, used, quarantined }
    }
}
