//! Decides. From what is declared, what edges have confirmed and the plan before, [`plan()`] makes the next plan: every
//! number, path, booking and program of it. [`audit()`] then looks at a plan with other eyes.
//!
//! Everything here is a pure function: the same input gives the same plan, to the byte. There is no clock, no network
//! and no store, so the manager can ask "what if" as often as it likes. Nothing here observes: whether a plan is what
//! the network does is for the manager to compare.
//!
//! What core nodes do for the packets of others follows from the topology and a plan's numbers; [`transit()`] gives it.
#![forbid(unsafe_code)]

mod audit;
mod derive;
mod handover;
mod intents;
mod numbers;
mod path;
mod programs;
mod refusal;
mod shaping;
mod transit;
mod underlay;
mod ways;
mod wish;

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Allocation, NodeNumbers, Plan, SlicePlan};
use model::profile::Catalog;
use model::resource::{ResourceId, SegmentId, TopologySpec};
use model::{Digest, Generation, LinkName, NodeName, Rate, SliceName};

pub use audit::{Finding, Note, NumberFinding, Severity, audit, audit_change};
pub use derive::{Derivation, SliceDerivation, derive, explain};
pub use intents::{Intents, NotDeclared};
pub use refusal::{AddressOwner, Family, Obstacle, PACKET_OCTETS_MAX, Pool, Refusal, RefusalReason, SharedPart};
pub use transit::{transit, transit_of};
pub use ways::Effort;

use numbers::NodeSids;
use path::{Graph, Pin, Trees};
use programs::Decided;
use underlay::Underlay;
use ways::{Chooser, Ways};

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Templates, profiles and class map.
    pub catalog: &'a Catalog,
    /// What is declared.
    pub intents: &'a Intents,
    /// The plan before; its numbers are kept.
    pub parent: &'a Plan,
    /// The generation of the program that each node was last observed to run. It ends quarantines, and lets a change that
    /// takes several steps go on.
    pub confirmed: &'a BTreeMap<NodeName, Generation>,
    /// Links that edges have found to lead nowhere. Slices leave them if there is another way, and keep them in reserve: a
    /// link that fails makes nothing impossible, and a backup over it is probed, by which it is seen when it is back.
    pub suspects: &'a BTreeSet<LinkName>,
}

/// Makes the next plan, or says all that is in the way. If nothing changes, the parent is returned as it is; else the
/// plan has the generation after the parent's.
pub fn plan(input: &Input<'_>) -> Result<Plan, Vec<Refusal>> {
    plan_with_effort(input).0
}

/// The same, and how much work it was.
pub fn plan_with_effort(input: &Input<'_>) -> (Result<Plan, Vec<Refusal>>, Effort) {
    let Input { catalog, intents, parent, confirmed, suspects } = *input;
    let mut refusals = Vec::new();
    let declared = intents.topology();
    let underlay = topology(intents, parent, &mut refusals);
    let sound = refusals.is_empty();
    let slices = wish::wishes(catalog, intents, underlay.as_ref(), parent, &mut refusals);
    let still = numbers::still_quarantined(parent, confirmed);
    // Of what paths and SIDs depend on; pools may grow without any of it being looked at again.
    let digest = declared.map(|(_, t)| Digest::of(&(t.underlay, &t.nodes, &t.links)));
    let is_same_topology = digest == parent.topology;
    let underlay = underlay.unwrap_or_default();
    let mut decided = Numbered::default();
    if let Some((name, topology)) = declared.filter(|_| sound) {
        let (nodes, mut labels) = numbers::nodes(name, &underlay, parent, confirmed, &still, &mut refusals);
        let pools = &topology.pools;
        decided = Numbered {
            allocations: numbers::segments(pools, &slices, parent, &still, &mut labels, &mut refusals),
            slices: numbers::slices(pools, &slices, parent, &mut refusals),
            nodes,
        };
    }
    let nowhere = Underlay::default();
    let graph = Graph::new(if sound { &underlay } else { &nowhere }, suspects);
    let trees = Trees::new(&graph);
    let numbers = NodeSids { underlay: &underlay, nodes: &decided.nodes };
    let (mut ways, mut effort) = (Ways::default(), Effort::default());
    if sound {
        let kind = declared.map_or_else(Default::default, |(_, topology)| topology.underlay);
        // While a change is under way, edges may be told to go on with what pinned a path before.
        let is_told = is_same_topology && parent.awaiting.is_empty();
        let chooser = Chooser::new(Pin { trees: &trees, numbers: &numbers }, kind, is_told);
        // There may be room now where there was none.
        let retry = !is_same_topology || parent.slices.keys().any(|slice| !intents.slices.contains_key(slice));
        (ways, effort) = ways::ways(&chooser, &slices, &underlay, parent, retry, &mut refusals);
    }
    if !refusals.is_empty() {
        return (Err(refusals), effort);
    }
    let generation = parent.generation.next();
    let contents = Decided {
        underlay: &underlay,
        trees: &trees,
        numbers,
        probes: declared.map_or_else(Default::default, |(_, topology)| topology.probes),
        slices: &slices,
        plans: &decided.slices,
        ways: &ways,
        allocations: &decided.allocations,
        queues: &catalog.classes().queue_programs(),
        transit_queues: &catalog.classes().transit_queues(),
        is_same_transit: is_same_topology && decided.nodes == parent.nodes && parent.awaiting.is_empty(),
    }
    .contents(parent, confirmed);
    let now = handover::Now { parent, confirmed, trees: &trees, numbers, paths: &ways.paths };
    let handover::Step { contents, leaving, mut moving, awaited } = now.step(contents);
    let programs = programs::numbered(contents, parent, generation);
    let awaiting = handover::awaiting(awaited, &programs, confirmed);
    let mut nodes = decided.nodes;
    numbers::unused(&slices, &programs, &mut decided.allocations);
    if !is_same_topology || !parent.awaiting.is_empty() || !awaiting.is_empty() {
        numbers::gone(&underlay, &programs, confirmed, !awaiting.is_empty(), &mut nodes);
    }
    let mut slices = decided.slices;
    for (name, found) in ways.taken {
        if let Some(slice) = slices.get_mut(&name) {
            slice.ways = found;
            slice.moving = moving.remove(&name).unwrap_or_default();
        }
    }
    let next = Plan {
        generation: parent.generation,
        topology: digest,
        nodes,
        slices,
        allocations: decided.allocations,
        quarantine: numbers::quarantine(parent, still, &programs),
        paths: ways.paths,
        leaving,
        awaiting,
        bookings: ways.bookings,
        programs,
    };
    let next = if next == *parent { next } else { Plan { generation, ..next } };
    (Ok(next), effort)
}

/// The numbers of everything.
#[derive(Default)]
struct Numbered {
    nodes: BTreeMap<NodeName, NodeNumbers>,
    slices: BTreeMap<SliceName, SlicePlan>,
    allocations: BTreeMap<SegmentId, Allocation>,
}

/// The one topology, checked.
fn topology<'a>(intents: &'a Intents, parent: &Plan, refusals: &mut Vec<Refusal>) -> Option<Underlay<'a>> {
    let (name, topology) = intents.topology()?;
    for other in intents.topologies.keys().skip(1) {
        let (resource, reason) =
            (ResourceId::Topology(other.clone()), RefusalReason::SecondTopology { other: name.clone() });
        refusals.push(Refusal { resource, path: "metadata.name".to_owned(), reason });
    }
    let segments = parent.allocations.iter().filter(|(id, _)| intents.segments.contains_key(id));
    let segments = segments.map(|(id, allocation)| (id.clone(), allocation.clone())).collect();
    let slices = parent.slices.iter().filter(|(name, _)| intents.slices.contains_key(*name));
    let slices = slices.map(|(name, slice)| (name.clone(), slice.clone())).collect();
    refusals.extend(underlay::check(name, topology, &segments, &slices));
    Some(Underlay::new(topology))
}

/// What a link has left in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headroom {
    /// The link.
    pub link: LinkName,
    /// The node that the traffic comes from.
    pub from: NodeName,
    /// What it carries.
    pub capacity: Rate,
    /// What is booked.
    pub booked: Rate,
}

/// What every link of a topology has left under a plan, by name, each from its end `a` and then from its end `b`.
pub fn headroom(plan: &Plan, topology: &TopologySpec) -> Vec<Headroom> {
    let mut booked: BTreeMap<(&LinkName, &NodeName), Rate> = BTreeMap::new();
    for (direction, slices) in &plan.bookings {
        let sum = slices.values().fold(Rate::ZERO, |sum, booking| sum.saturating_add(booking.total()));
        booked.insert((&direction.link, &direction.from), sum);
    }
    let mut links: Vec<_> = topology.links.iter().collect();
    links.sort_by_key(|link| &link.name);
    let ends = links.into_iter().flat_map(|link| [(link, &link.a), (link, &link.b)]);
    ends.map(|(link, end)| Headroom {
        link: link.name.clone(),
        from: end.node.clone(),
        capacity: link.capacity,
        booked: booked.get(&(&link.name, &end.node)).copied().unwrap_or_default(),
    })
    .collect()
}
