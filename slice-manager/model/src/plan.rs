//! A plan: an immutable value in which every allocation for a generation is decided. Executing it leaves no choice open.

use std::collections::{BTreeMap, BTreeSet};

use crate::program::Program;
use crate::resource::SegmentId;
use crate::{Generation, LinkName, NodeName, Rate, SliceName, Vni};

/// What was decided for a generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Which plan this is.
    pub generation: Generation,
    /// Numbers in use, by segment.
    pub allocations: BTreeMap<SegmentId, Allocation>,
    /// Numbers that no other segment may have yet.
    pub quarantine: Vec<Quarantined>,
    /// The path from one edge to another, for every pair that shares a segment.
    pub paths: BTreeMap<(NodeName, NodeName), Path>,
    /// The guaranteed rate booked on each link, in each direction.
    pub bookings: BTreeMap<LinkDirection, BTreeMap<SliceName, Rate>>,
    /// What each edge must be doing: every edge that has something to do, or had. An edge that has left the topology is
    /// among them, with nothing to do, until it has confirmed that.
    pub programs: BTreeMap<NodeName, Program>,
}

/// The numbers of one micro-segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allocation {
    /// Its VXLAN network identifier.
    pub vni: Vni,
    /// The UDP port of its AAA for access requests; accounting is the one after it.
    pub access_port: u16,
}

/// Numbers of a segment that has left some of its edges, or all. Each of those may still be using them; no other
/// segment gets them until every one has confirmed that it runs a generation without them. While the segment lives on
/// elsewhere it keeps them itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose they were.
    pub segment: SegmentId,
    /// The numbers.
    pub allocation: Allocation,
    /// Who has not confirmed yet, and from which generation on its confirmation counts.
    pub awaiting: BTreeMap<NodeName, Generation>,
}

/// A way through the underlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The links, first to last.
    pub links: Vec<LinkName>,
    /// The sum of their delays.
    pub delay: crate::Latency,
}

/// A link, in one of its two directions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkDirection {
    /// The link.
    pub link: LinkName,
    /// The node that the traffic comes from.
    pub from: NodeName,
}

impl Plan {
    /// The edges on which a slice has something to run.
    pub fn edges_of(&self, slice: &SliceName) -> BTreeSet<&NodeName> {
        self.programs
            .iter()
            .filter(|(_, program)| program.content.slices.iter().any(|s| s.slice == *slice))
            .map(|(edge, _)| edge)
            .collect()
    }
}
