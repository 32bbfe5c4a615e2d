//! A plan: an immutable value in which every allocation for a generation is decided. Executing it leaves no choice open.

use std::collections::{BTreeMap, BTreeSet};

use crate::profile::QueueClass;
use crate::program::Program;
use crate::resource::SegmentId;
use crate::{Digest, Generation, Label, Latency, LinkName, NodeName, PathId, Rate, SdpName, SliceName, Vlan, Vni};

/// What was decided for a generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Which plan this is.
    pub generation: Generation,
    /// The topology that it was made on. While that is the same, paths that are kept still lead where they did.
    pub topology: Option<Digest>,
    /// Numbers of nodes and of the links that they have.
    pub nodes: BTreeMap<NodeName, NodeNumbers>,
    /// Numbers of slices, and which paths they take.
    pub slices: BTreeMap<SliceName, SlicePlan>,
    /// Numbers in use, by segment.
    pub allocations: BTreeMap<SegmentId, Allocation>,
    /// Numbers that no other segment may have yet.
    pub quarantine: Vec<Quarantined>,
    /// The paths between edges that share a segment. One path serves all slices that take it.
    pub paths: BTreeMap<PathKey, Path>,
    /// Paths that nobody is to take any more, and that edges take until what takes their place is ready.
    pub leaving: BTreeMap<PathKey, Path>,
    /// Nodes that a change in several steps waits for, and from which generation on the confirmation of each counts.
    /// Without any, every program says what it is to say.
    pub awaiting: BTreeMap<NodeName, Generation>,
    /// The guaranteed rate booked on each link, in each direction.
    pub bookings: BTreeMap<LinkDirection, BTreeMap<SliceName, Booking>>,
    /// What each edge must be doing: every edge that has something to do, or had. An edge that has left the topology is
    /// among them, with nothing to do, until it has confirmed that. A core node with an agent is among them, too.
    pub programs: BTreeMap<NodeName, Program>,
}

/// The numbers of a node, from which its SIDs and labels follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeNumbers {
    /// Its place in every label block: the label by which a node forwards to it is that node's first plus this.
    pub index: Option<u32>,
    /// The numbers of its links, from which their SIDs and labels follow.
    pub links: BTreeMap<LinkName, LinkNumbers>,
    /// Edges that may still send by the numbers of a node that has left the topology, and from which generation on the
    /// confirmation of each counts. Until then nobody gets them.
    pub awaiting: BTreeMap<NodeName, Generation>,
}

/// The numbers of a link, as one of its nodes gives them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkNumbers {
    /// The function of its SID, if the node has a locator.
    pub function: Option<u16>,
    /// Its label, if the node has a label block.
    pub label: Option<Label>,
}

/// What was decided for a slice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlicePlan {
    /// The number of its route target and its route distinguishers.
    pub number: u16,
    /// The VLANs of SDPs that left the choice to the manager.
    pub vlans: BTreeMap<SdpName, Vlan>,
    /// Which paths it takes, by the two edges, the smaller name first.
    pub ways: BTreeMap<(NodeName, NodeName), Way>,
    /// From which edge to which packets still go as they did before, for the far edge or the nodes on the way are not
    /// known to be ready.
    pub moving: BTreeSet<(NodeName, NodeName)>,
}

/// Which paths a slice takes between two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// While all is well.
    pub working: PathId,
    /// When the working one is down.
    pub backup: Option<PathId>,
}

/// The numbers of one micro-segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allocation {
    /// Its VXLAN network identifier.
    pub vni: Vni,
    /// The UDP port of its AAA for access requests; accounting is the one after it.
    pub access_port: u16,
    /// Over SRv6: the first of its two functions, the same on every edge.
    pub function: Option<u16>,
    /// Over MPLS: by the edge that gave it out and the edge that sends with it.
    pub labels: BTreeMap<(NodeName, NodeName), Label>,
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

/// Names a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathKey {
    /// The end with the smaller name.
    pub a: NodeName,
    /// The other.
    pub b: NodeName,
    /// Which of the paths between the two.
    pub id: PathId,
}

/// A way through the underlay. The way back is the same links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The links, from `a` to `b`.
    pub links: Vec<LinkName>,
    /// The sum of their delays.
    pub delay: Latency,
    /// What pins it.
    pub form: PathForm,
}

/// What pins a path beyond its first hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathForm {
    /// The underlay's own routes.
    Ip,
    /// SIDs.
    Srv6,
    /// Labels.
    Mpls,
}

/// A link, in one of its two directions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkDirection {
    /// The link.
    pub link: LinkName,
    /// The node that the traffic comes from.
    pub from: NodeName,
}

/// What a slice has booked on a link in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Booking {
    /// The class of its guarantee.
    pub class: QueueClass,
    /// What its working paths may need.
    pub working: Rate,
    /// What they may need beyond that when any of them is down.
    pub backup: Rate,
}

impl Booking {
    /// All of it.
    pub const fn total(self) -> Rate {
        self.working.saturating_add(self.backup)
    }
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
