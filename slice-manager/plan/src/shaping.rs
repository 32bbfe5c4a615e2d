//! How slices share the ports of nodes.
//!
//! An edge has a class for each slice whose working or backup path leaves by a port. A core node with our dataplane has
//! classes of no slice: it queues what passes by how urgent it is, and its ports need a rate. A core node that is a Linux
//! kernel has a class for each slice over VXLAN whose path crosses the link; packets over SRv6 and MPLS are not told apart by
//! a kernel, and share what is left.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{LinkDirection, PathKey};
use model::program::{PortShaping, SliceClass};
use model::resource::{Control, Node, NodeRole, Transport};
use model::{ClassNumber, NodeName, Rate, RateLimits};

use crate::programs::Decided;
use crate::wish::SliceWish;

/// Whom a node tells apart at its ports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// An edge: every slice whose packets it sends.
    Slices,
    /// A core node of ours: nobody.
    Nobody,
    /// A Linux kernel: the slices that it knows by their VNIs.
    Vnis,
}

impl Sharing {
    /// None where we tell the node nothing.
    fn of(node: &Node) -> Option<Self> {
        match (node.role, node.control()) {
            (NodeRole::Edge, _) => Some(Self::Slices),
            (NodeRole::Core, Control::Agent) => Some(Self::Nobody),
            (NodeRole::Core, Control::Linux) => Some(Self::Vnis),
            (NodeRole::Core, Control::Static) => None,
        }
    }

    /// Does such a node have a class for a slice over this transport?
    fn knows(self, transport: Transport) -> bool {
        match self {
            Self::Slices => true,
            Self::Nobody => false,
            Self::Vnis => transport == Transport::Vxlan,
        }
    }
}

/// The edges that send over a link in one direction, and those that receive.
#[derive(Default)]
struct Ends<'d> {
    sources: BTreeSet<&'d NodeName>,
    sinks: BTreeSet<&'d NodeName>,
}

/// The slices that cross a link, by their places; by the node that they leave, and the link.
type Crossing<'d> = BTreeMap<(usize, usize), BTreeMap<usize, Ends<'d>>>;

impl<'d> Decided<'d, '_> {
    /// The shared ports of every node that has some, by name.
    pub(crate) fn shaping(&self) -> BTreeMap<NodeName, Vec<PortShaping>> {
        let graph = self.trees.graph;
        let sharing: Vec<Option<Sharing>> = (0..graph.len()).map(|at| Sharing::of(graph.node(at))).collect();
        let crossing = self.crossing(&sharing);
        let mut shaping = BTreeMap::new();
        for (at, sharing) in sharing.iter().enumerate() {
            let Some(sharing) = *sharing else { continue };
            let ports = graph.arcs(at).iter().filter_map(|arc| {
                let slices = crossing.get(&(at, arc.link()));
                // A kernel without classes sends as it would without us.
                let port = self.port(at, arc.link(), sharing, slices);
                (slices.is_some() || sharing != Sharing::Vnis).then_some(port)
            });
            let mut ports: Vec<PortShaping> = ports.collect();
            ports.sort_unstable_by(|one, other| one.port.cmp(&other.port));
            shaping.insert(graph.node(at).name.clone(), ports);
        }
        shaping
    }

    fn port(
        &self,
        at: usize,
        link: usize,
        sharing: Sharing,
        slices: Option<&BTreeMap<usize, Ends<'_>>>,
    ) -> PortShaping {
        let graph = self.trees.graph;
        let (near, link) = (graph.ends(at, link).0, graph.link(link).link);
        let direction = LinkDirection { link: link.name.clone(), from: near.node.clone() };
        let classes = slices.into_iter().flatten().filter_map(|(slice, ends)| {
            let slice = self.slices.get(*slice)?;
            self.class(slice, ends, &direction, link.capacity, sharing)
        });
        let mut classes: Vec<SliceClass> = classes.collect();
        classes.sort_unstable_by_key(|class| class.number);
        PortShaping { port: near.port.clone(), rate: link.capacity, classes }
    }

    fn crossing(&self, sharing: &[Option<Sharing>]) -> Crossing<'d> {
        let mut crossing = Crossing::new();
        for (place, slice) in self.slices.iter().enumerate() {
            let transport = slice.spec.transport;
            for ((a, b), way) in self.ways.taken.get(slice.name).into_iter().flatten() {
                let laid = std::iter::once(way.working)
                    .chain(way.backup)
                    .filter_map(|id| self.ways.laid.get(&PathKey { a: a.clone(), b: b.clone(), id }));
                for (near, arc) in laid.flat_map(|laid| laid.route.hops()) {
                    for (at, source, sink) in [(near, a, b), (arc.to(), b, a)] {
                        if sharing.get(at).copied().flatten().is_some_and(|sharing| sharing.knows(transport)) {
                            let ends = crossing.entry((at, arc.link())).or_default().entry(place).or_default();
                            ends.sources.insert(source);
                            ends.sinks.insert(sink);
                        }
                    }
                }
            }
        }
        crossing
    }

    /// Sure of what is booked here; at most what the SDPs that send over the link may send, or those that receive may
    /// receive, together.
    fn class(
        &self,
        slice: &SliceWish<'_>,
        ends: &Ends<'_>,
        direction: &LinkDirection,
        capacity: Rate,
        sharing: Sharing,
    ) -> Option<SliceClass> {
        let sdps = |edges: &BTreeSet<&NodeName>| -> u64 {
            edges.iter().filter_map(|edge| slice.sdps.get(*edge)).map(|sdps| sdps.len() as u64).sum()
        };
        let times = sdps(&ends.sources).min(sdps(&ends.sinks));
        let ceiling = slice.derived.limits.ceiling().saturating_mul(times).min(capacity);
        let booked = self.ways.bookings.get(direction).and_then(|slices| slices.get(slice.name));
        let guaranteed = booked.map_or(Rate::ZERO, |booking| booking.total()).min(ceiling);
        let segments = slice.segments.iter().filter(|_| sharing == Sharing::Vnis);
        let vnis = segments.filter_map(|segment| self.allocations.get(segment.id)).map(|allocation| allocation.vni);
        Some(SliceClass {
            number: class_number(self.plans.get(slice.name)?.number)?,
            slice: slice.name.clone(),
            limits: RateLimits::new(guaranteed, ceiling).ok()?,
            weight: slice.spec.weight,
            vnis: vnis.collect(),
        })
    }
}

/// A class for each number of a slice. The last three numbers of all have none.
fn class_number(slice: u16) -> Option<ClassNumber> {
    ClassNumber::new(u64::from(slice) + u64::from(ClassNumber::MIN.get())).ok()
}
