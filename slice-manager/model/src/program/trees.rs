//! Who may send how much by each port of an edge, as its program says it: the tree of the port.
//!
//! An edge builds its schedulers from this, and what they run is compared with this, so it is worked out in one place.

use std::collections::BTreeSet;

use super::{PortShaping, ProgramContent, SegmentProgram, SliceProgram};
use crate::profile::QueueClass;
use crate::{PortName, Rate, RateLimits, Weight};

/// How what leaves by a port is shared. What belongs to no slice shares what the slices leave, with a weight of 1.
#[derive(Debug, Clone)]
pub struct PortTree<'p> {
    /// The port.
    pub port: &'p PortName,
    /// What it carries; [`PORT_RATE_MAX`] where nothing is known of it.
    pub rate: Rate,
    /// The slices that may send by it, by name.
    pub slices: Vec<SliceShare<'p>>,
}

/// A slice on a port.
#[derive(Debug, Clone)]
pub struct SliceShare<'p> {
    /// What it is.
    pub slice: &'p SliceProgram,
    /// What it is sure of here, and what it may not exceed.
    pub limits: RateLimits,
    /// Its share of what the guarantees leave.
    pub weight: Weight,
    /// Its segments.
    pub segments: Vec<SegmentShare<'p>>,
}

/// A segment on a port; its weight is that of its program.
#[derive(Debug, Clone, Copy)]
pub struct SegmentShare<'p> {
    /// What it is.
    pub segment: &'p SegmentProgram,
    /// What it is sure of here, and what it may not exceed.
    pub limits: RateLimits,
    /// What its low-latency class may send strictly first; nothing, where nothing of the slice has low latency.
    pub low_latency: Rate,
}

impl ProgramContent {
    /// The trees of its ports, each once: of those towards the underlay, then of those towards devices.
    pub fn trees(&self) -> Vec<PortTree<'_>> {
        let core = self.core_ports.iter().map(|core| self.core_tree(&core.port));
        let circuits = self.slices.iter().flat_map(|slice| &slice.circuits);
        let access: BTreeSet<&PortName> = circuits.map(|circuit| &circuit.port).collect();
        core.chain(access.into_iter().map(|port| self.access_tree(port))).collect()
    }

    /// What the link of a port towards devices carries, if that is known.
    pub fn access_rate(&self, port: &PortName) -> Option<Rate> {
        self.access_ports.iter().find(|access| access.port == *port).map(|access| access.rate)
    }

    /// Of a port towards devices: each slice has what its SDPs there have.
    fn access_tree<'p>(&'p self, port: &'p PortName) -> PortTree<'p> {
        let rate = self.access_rate(port).unwrap_or(PORT_RATE_MAX).min(PORT_RATE_MAX);
        let slices = self.slices.iter().filter_map(|slice| {
            let circuits = slice.circuits.iter().filter(|circuit| circuit.port == *port).count() as u64;
            (circuits > 0).then(|| share(slice, rate, times(slice.limits, circuits), slice.weight))
        });
        PortTree { port, rate, slices: slices.collect() }
    }

    /// Of a port towards the underlay: each slice has what is booked for it on the link behind.
    fn core_tree<'p>(&'p self, port: &'p PortName) -> PortTree<'p> {
        let shaping = self.shaping.iter().find(|shaping| shaping.port == *port);
        let rate = shaping.map_or(PORT_RATE_MAX, |shaping| shaping.rate.min(PORT_RATE_MAX));
        let slices = self.slices.iter().map(|slice| {
            let (limits, weight) = booked(shaping, slice);
            share(slice, rate, limits, weight)
        });
        PortTree { port, rate, slices: slices.collect() }
    }
}

/// What is booked for a slice on the link behind a port; without a word of it, nothing is.
fn booked(shaping: Option<&PortShaping>, slice: &SliceProgram) -> (RateLimits, Weight) {
    let class = shaping.and_then(|shaping| shaping.classes.iter().find(|class| class.slice == slice.slice));
    class.map_or_else(
        || {
            let ceiling = times(slice.limits, slice.circuits.len().max(1) as u64).ceiling();
            (RateLimits::new(Rate::ZERO, ceiling).unwrap_or(slice.limits), slice.weight)
        },
        |class| (class.limits, class.weight),
    )
}

/// A slice with its segments, nobody above the port. What is booked here is the slice's; its segments have it in proportion.
fn share(slice: &SliceProgram, port: Rate, limits: RateLimits, weight: Weight) -> SliceShare<'_> {
    let limits = capped(limits, port);
    let bits = |limits: RateLimits| u128::from(limits.guaranteed().bits_per_second());
    let (of_slice, of_segments) = (bits(limits), slice.segments.iter().map(|s| bits(s.limits)).sum::<u128>());
    let has_low_latency = slice.queue == QueueClass::LowLatency
        || slice.markings.iter().any(|marking| marking.queue == QueueClass::LowLatency);
    let segments = slice.segments.iter().map(|segment| {
        let own = bits(segment.limits);
        let part = if of_segments > of_slice { own * of_slice / of_segments } else { own };
        let sure = Rate::from_bits_per_second(u64::try_from(part).unwrap_or(u64::MAX));
        let ceiling = segment.limits.ceiling().min(port);
        let limits = RateLimits::new(sure.min(ceiling), ceiling).unwrap_or(segment.limits);
        let low_latency = if has_low_latency { limits.guaranteed() } else { Rate::ZERO };
        SegmentShare { segment, limits, low_latency }
    });
    SliceShare { slice, limits, weight, segments: segments.collect() }
}

/// The limits of so many SDPs together.
fn times(limits: RateLimits, sdps: u64) -> RateLimits {
    let (guaranteed, ceiling) = (limits.guaranteed().saturating_mul(sdps), limits.ceiling().saturating_mul(sdps));
    RateLimits::new(guaranteed, ceiling).unwrap_or(limits)
}

/// No more than the port.
fn capped(limits: RateLimits, rate: Rate) -> RateLimits {
    RateLimits::new(limits.guaranteed().min(rate), limits.ceiling().min(rate)).unwrap_or(limits)
}

/// The fastest rate of a port that is told from faster ones; that of a port of which nothing is known.
pub const PORT_RATE_MAX: Rate = Rate::from_bits_per_second(1_000_000_000_000);
