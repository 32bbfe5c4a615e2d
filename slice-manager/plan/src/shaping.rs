//! How slices share the ports of core nodes that are Linux kernels: a class for each slice over VXLAN whose working or
//! backup path crosses the link. Packets over SRv6 and MPLS are not told apart by a kernel; they share what is left.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{LinkDirection, PathKey};
use model::program::{PortShaping, SliceClass};
use model::resource::{Control, Transport};
use model::{ClassNumber, NodeName, Rate, RateLimits};

use crate::programs::Decided;
use crate::wish::SliceWish;

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
        let mut shaping: BTreeMap<NodeName, Vec<PortShaping>> = BTreeMap::new();
        for ((at, link), slices) in self.crossing() {
            let (near, capacity) = (graph.ends(at, link).0, graph.link(link).link.capacity);
            let direction = LinkDirection { link: graph.link(link).link.name.clone(), from: near.node.clone() };
            let classes = slices.iter().filter_map(|(slice, ends)| {
                let slice = self.slices.get(*slice)?;
                self.class(slice, ends, &direction, capacity)
            });
            let mut classes: Vec<SliceClass> = classes.collect();
            classes.sort_unstable_by_key(|class| class.number);
            let port = PortShaping { port: near.port.clone(), rate: capacity, classes };
            shaping.entry(near.node.clone()).or_default().push(port);
        }
        for ports in shaping.values_mut() {
            ports.sort_unstable_by(|one, other| one.port.cmp(&other.port));
        }
        shaping
    }

    fn crossing(&self) -> Crossing<'d> {
        let graph = self.trees.graph;
        let mut crossing = Crossing::new();
        let is_kernel = |place: usize| graph.node(place).control() == Control::Linux;
        if !(0..graph.len()).any(is_kernel) {
            return crossing;
        }
        let shaped = self.slices.iter().enumerate().filter(|(_, slice)| slice.spec.transport == Transport::Vxlan);
        for (place, slice) in shaped {
            for ((a, b), way) in self.ways.taken.get(slice.name).into_iter().flatten() {
                let laid = std::iter::once(way.working)
                    .chain(way.backup)
                    .filter_map(|id| self.ways.laid.get(&PathKey { a: a.clone(), b: b.clone(), id }));
                for (near, arc) in laid.flat_map(|laid| laid.route.hops()) {
                    for (at, source, sink) in [(near, a, b), (arc.to(), b, a)] {
                        if is_kernel(at) {
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
    ) -> Option<SliceClass> {
        let sdps = |edges: &BTreeSet<&NodeName>| -> u64 {
            edges.iter().filter_map(|edge| slice.sdps.get(*edge)).map(|sdps| sdps.len() as u64).sum()
        };
        let times = sdps(&ends.sources).min(sdps(&ends.sinks));
        let ceiling = slice.derived.limits.ceiling().saturating_mul(times).min(capacity);
        let booked = self.ways.bookings.get(direction).and_then(|slices| slices.get(slice.name));
        let guaranteed = booked.map_or(Rate::ZERO, |booking| booking.total()).min(ceiling);
        let vnis = slice.segments.iter().filter_map(|segment| self.allocations.get(segment.id));
        Some(SliceClass {
            number: class_number(self.plans.get(slice.name)?.number)?,
            slice: slice.name.clone(),
            limits: RateLimits::new(guaranteed, ceiling).ok()?,
            vnis: vnis.map(|allocation| allocation.vni).collect(),
        })
    }
}

/// A class for each number of a slice. The last three numbers of all have none.
fn class_number(slice: u16) -> Option<ClassNumber> {
    ClassNumber::new(u64::from(slice) + u64::from(ClassNumber::MIN.get())).ok()
}
