//! Decides. From what is declared, what edges have confirmed and the plan before, [`plan()`] makes the next plan: every
//! number, path, booking and program of it. [`audit()`] then looks at a plan with other eyes.
//!
//! Everything here is a pure function: the same input gives the same plan, to the byte. There is no clock, no network
//! and no store, so the manager can ask "what if" as often as it likes. Nothing here observes: whether a plan is what
//! the network does is for the manager to compare.
//!
//! This build lays slices over VXLAN (RFC 7348) as multipoint layer-2 services; other transports and services are
//! refused by name.
#![forbid(unsafe_code)]

mod admission;
mod allocate;
mod audit;
mod derive;
mod intents;
mod path;
mod programs;
mod refusal;
mod underlay;
mod wish;

use std::collections::{BTreeMap, BTreeSet};

use model::plan::Plan;
use model::profile::Catalog;
use model::resource::{ResourceId, SegmentId, TopologySpec};
use model::{Generation, LinkName, NodeName, Rate};

pub use audit::{Finding, Note, Severity, audit};
pub use derive::{Derivation, SliceDerivation, derive, explain};
pub use intents::{Intents, NotDeclared};
pub use refusal::{AddressOwner, Family, PACKET_OCTETS_MAX, Pool, Refusal, RefusalReason};

use path::Routes;
use programs::Decided;
use underlay::Underlay;
use wish::SliceWish;

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Templates, profiles and class map.
    pub catalog: &'a Catalog,
    /// What is declared.
    pub intents: &'a Intents,
    /// The plan before; its numbers are kept.
    pub parent: &'a Plan,
    /// The generation of the program that each edge was last observed to run. It ends quarantines.
    pub confirmed: &'a BTreeMap<NodeName, Generation>,
}

/// Makes the next plan, or says all that is in the way. If nothing changes, the parent is returned as it is; else the
/// plan has the generation after the parent's.
pub fn plan(input: &Input<'_>) -> Result<Plan, Vec<Refusal>> {
    let Input { catalog, intents, parent, confirmed } = *input;
    let mut refusals = Vec::new();
    let underlay = topology(intents, parent, &mut refusals);
    let sound = refusals.is_empty();
    let is_old = |id: &SegmentId| parent.allocations.contains_key(id);
    let slices = wish::wishes(catalog, intents, underlay.as_ref(), is_old, &mut refusals);
    let still = allocate::still_quarantined(parent, confirmed);
    let allocations = intents.topology().filter(|_| sound).map(|(_, topology)| {
        let segments = slices.iter().flat_map(|slice| &slice.segments).map(|segment| segment.id);
        allocate::allocate(&topology.pools, segments, parent, &still, &mut refusals)
    });
    let underlay = underlay.unwrap_or_default();
    let families = families(&slices, &underlay, &mut refusals);
    let pairs: BTreeSet<_> = slices.iter().flat_map(|slice| slice.pairs().into_keys()).collect();
    let routes = path::routes(&underlay, &pairs);
    let mut bookings = admission::Bookings::new();
    if sound {
        for slice in &slices {
            admission::walk(slice, &underlay, &routes, &families, &mut refusals);
        }
        bookings = admission::book(&slices, &underlay, &routes, parent, &mut refusals);
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let allocations = allocations.unwrap_or_default();
    let generation = parent.generation.next();
    let decided = Decided {
        underlay: &underlay,
        slices: &slices,
        routes: &routes,
        families: &families,
        allocations: &allocations,
    };
    let programs = decided.programs(parent, generation, confirmed);
    let quarantine = allocate::quarantine(parent, still, &programs);
    let paths = paths(&routes);
    let next = Plan { generation: parent.generation, allocations, quarantine, paths, bookings, programs };
    Ok(if next == *parent { next } else { Plan { generation, ..next } })
}

/// The one topology, checked.
fn topology<'a>(intents: &'a Intents, parent: &Plan, refusals: &mut Vec<Refusal>) -> Option<Underlay<'a>> {
    let (name, topology) = intents.topology()?;
    for other in intents.topologies.keys().skip(1) {
        let (resource, reason) =
            (ResourceId::Topology(other.clone()), RefusalReason::SecondTopology { other: name.clone() });
        refusals.push(Refusal { resource, path: "metadata.name".to_owned(), reason });
    }
    let kept = parent.allocations.iter().filter(|(id, _)| intents.segments.contains_key(id));
    refusals.extend(underlay::check(name, topology, &kept.map(|(id, a)| (id.clone(), *a)).collect()));
    Some(Underlay::new(topology))
}

/// The address family of what two edges send each other: IPv6 if both have an IPv6 loopback, else IPv4 if both have one.
/// By pairs, the smaller name first.
fn families<'a>(
    slices: &[SliceWish<'a>],
    underlay: &Underlay<'_>,
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<(&'a NodeName, &'a NodeName), Family> {
    let mut families = BTreeMap::new();
    for ((from, to), segment) in slices.iter().flat_map(SliceWish::pairs) {
        let has = |family| {
            [from, to].iter().all(|edge| underlay.node(edge).is_some_and(|node| node.loopback(family).is_some()))
        };
        match [Family::Ipv6, Family::Ipv4].into_iter().find(|family| has(*family)) {
            Some(family) => {
                families.insert((from, to), family);
            }
            None => refusals.push(Refusal {
                resource: ResourceId::MicroSegment(segment.clone()),
                path: "spec.at".to_owned(),
                reason: RefusalReason::NoCommonFamily { edges: vec![from.clone(), to.clone()] },
            }),
        }
    }
    families
}

fn paths(routes: &Routes<'_>) -> BTreeMap<(NodeName, NodeName), model::plan::Path> {
    routes.iter().map(|((from, to), route)| (((*from).clone(), (*to).clone()), route.to_path())).collect()
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
        let sum = slices.values().fold(Rate::ZERO, |sum, rate| sum.saturating_add(*rate));
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
