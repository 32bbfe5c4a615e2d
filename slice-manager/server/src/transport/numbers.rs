//! SIDs, labels, VNIs and route targets: which are in use, what they stand for, and which nobody may have yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use api::v1;
use model::plan::{LinkNumbers, NodeNumbers, Plan, Quarantined, SlicePlan};
use model::program::{
    Adjacency, Flavours, Program, SegmentProgram, ServiceBehaviour, ServiceSid, TransitBehaviour, TransitLabel,
    TransitProgram, TransitSid,
};
use model::{Generation, LinkName, NodeName, SliceName};

use crate::decided::Decided;

/// Every SID, or those of a node.
pub(crate) fn sids(decided: &Decided, node: Option<&NodeName>) -> Vec<v1::Number> {
    let (plan, mut numbers) = (&decided.plan, Vec::new());
    for (name, program) in of(plan, node) {
        numbers.extend(program.content.transit.sids.iter().map(|sid| on_the_way(name, &sid.sid, transit_sid(sid))));
        let segments = segments(program);
        numbers.extend(segments.flat_map(|segment| {
            segment.sids.iter().map(|sid| of_segment(name, segment, &sid.sid, service_sid(sid).to_owned()))
        }));
    }
    untold(decided, node, |name, transit| {
        numbers.extend(transit.sids.iter().map(|sid| on_the_way(name, &sid.sid, transit_sid(sid))));
    });
    for (name, link, entry) in resting_links(decided, node) {
        // Behind the locator that the node has or had.
        let function = link.1.function;
        numbers
            .extend(function.map(|number| rests_there(entry, &format!("function {number:x}"), name, &of_link(link.0))));
    }
    for entry in resting(plan, node) {
        // Two functions in a row, behind the locator of each node that may still have them.
        let function = entry.allocation.function;
        numbers.extend(function.map(|first| rests(entry, &format!("functions {first:x} and {:x}", first + 1), "")));
    }
    numbers
}

/// Every label, or those of a node.
pub(crate) fn labels(decided: &Decided, node: Option<&NodeName>) -> Vec<v1::Number> {
    let (plan, mut numbers) = (&decided.plan, Vec::new());
    for (name, program) in of(plan, node) {
        let labels = &program.content.transit.labels;
        numbers.extend(labels.iter().map(|label| on_the_way(name, &label.label, transit_label(label))));
        numbers.extend(segments(program).flat_map(|segment| {
            let labels = segment.remotes.iter().flat_map(|remote| remote.labels().zip(std::iter::repeat(remote)));
            labels.map(move |(from, remote)| of_segment(name, segment, &from, format!("from {}", remote.edge)))
        }));
    }
    untold(decided, node, |name, transit| {
        numbers.extend(transit.labels.iter().map(|label| on_the_way(name, &label.label, transit_label(label))));
    });
    for (name, link, entry) in resting_links(decided, node) {
        numbers.extend(link.1.label.map(|label| rests_there(entry, &label, name, &of_link(link.0))));
    }
    for (name, entry) in resting_nodes(plan, node).filter(|(name, _)| !is_there(decided, name)) {
        // In the label block of every node.
        let index = entry.index.map(|index| rests_there(entry, &format!("index {index}"), name, "node that has left"));
        numbers.extend(index);
    }
    for entry in resting(plan, node) {
        let labels = entry.allocation.labels.iter();
        let labels = labels.filter(|((receiver, _), _)| node.is_none_or(|node| node == receiver));
        numbers.extend(labels.map(|((receiver, sender), label)| v1::Number {
            stands_for: format!("from {sender}"),
            ..rests(entry, label, receiver.as_str())
        }));
    }
    numbers
}

/// Every VNI, or those of a node's segments. All nodes know a segment by the same.
pub(crate) fn vnis(decided: &Decided, node: Option<&NodeName>) -> Vec<v1::Number> {
    let plan = &decided.plan;
    let is_there = |id| node.is_none_or(|node| of(plan, Some(node)).any(|(_, program)| has(program, id)));
    let in_use = plan.allocations.iter().filter(|(id, _)| is_there(*id)).map(|(id, allocation)| v1::Number {
        number: allocation.vni.to_string(),
        stands_for: "micro-segment".to_owned(),
        slice: id.slice.to_string(),
        segment: id.segment.to_string(),
        ..v1::Number::default()
    });
    let resting = resting(plan, node).map(|entry| rests(entry, &entry.allocation.vni, ""));
    in_use.chain(resting).collect()
}

/// Every route target, or those of slices on a node. They are free again as soon as their slice has gone: what travels
/// by them is told to nodes by nobody but the manager.
pub(crate) fn route_targets(decided: &Decided, node: Option<&NodeName>) -> Vec<v1::Number> {
    let asn = decided.intents.topology().map_or(0, |(_, topology)| topology.pools.route_targets.asn);
    let plan = &decided.plan;
    let runs = |slice: &SliceName| {
        node.is_none_or(|node| {
            of(plan, Some(node)).any(|(_, program)| program.content.slices.iter().any(|s| s.slice == *slice))
        })
    };
    let slices = plan.slices.iter().filter(|(slice, _)| runs(slice));
    let number = |(slice, numbers): (&SliceName, &SlicePlan)| v1::Number {
        number: format!("{asn}:{}", numbers.number),
        stands_for: "routes of a slice".to_owned(),
        slice: slice.to_string(),
        ..v1::Number::default()
    };
    slices.map(number).collect()
}

/// What is done with a packet to a SID on the way, as RFC 8986 names it.
pub(super) fn transit_sid(sid: &TransitSid) -> String {
    let Flavours { psp, usp, usd } = sid.flavours;
    let flavours: Vec<&str> =
        [(psp, "PSP"), (usp, "USP"), (usd, "USD")].into_iter().filter_map(|(has, name)| has.then_some(name)).collect();
    let flavours = if flavours.is_empty() { String::new() } else { format!(" with {}", flavours.join(", ")) };
    match &sid.behaviour {
        TransitBehaviour::End => format!("End{flavours}"),
        TransitBehaviour::EndX(to) => format!("End.X to {}{flavours}", neighbour(to)),
    }
}

/// What is done with a packet to a SID of a segment, as RFC 8986 names it.
pub(super) const fn service_sid(sid: &ServiceSid) -> &'static str {
    match sid.behaviour {
        ServiceBehaviour::Dx2 => "End.DX2",
        ServiceBehaviour::Dt2u => "End.DT2U",
        ServiceBehaviour::Dt2m => "End.DT2M",
        ServiceBehaviour::Dx4(_) => "End.DX4",
        ServiceBehaviour::Dx6(_) => "End.DX6",
        ServiceBehaviour::Dt4 => "End.DT4",
        ServiceBehaviour::Dt6 => "End.DT6",
        ServiceBehaviour::Dt46 => "End.DT46",
    }
}

/// What is done with a packet by a label on the way.
pub(super) fn transit_label(label: &TransitLabel) -> String {
    match label.swap {
        Some(swap) => format!("swap to {swap}, to {}", neighbour(&label.out)),
        None => format!("pop, to {}", neighbour(&label.out)),
    }
}

pub(super) fn neighbour(to: &Adjacency) -> String {
    format!("{} by {}", to.next_hop, to.port)
}

fn of<'a>(plan: &'a Plan, node: Option<&'a NodeName>) -> impl Iterator<Item = (&'a NodeName, &'a Program)> {
    plan.programs.iter().filter(move |(name, _)| node.is_none_or(|node| node == *name))
}

fn segments(program: &Program) -> impl Iterator<Item = &SegmentProgram> {
    program.content.slices.iter().flat_map(|slice| &slice.segments)
}

fn has(program: &Program, id: &model::resource::SegmentId) -> bool {
    segments(program).any(|segment| segment.id == *id)
}

fn on_the_way(node: &NodeName, number: &dyn Display, stands_for: String) -> v1::Number {
    v1::Number { number: number.to_string(), node: node.to_string(), stands_for, ..v1::Number::default() }
}

fn of_segment(node: &NodeName, segment: &SegmentProgram, number: &dyn Display, stands_for: String) -> v1::Number {
    let (slice, name) = (segment.id.slice.to_string(), segment.id.segment.to_string());
    v1::Number { slice, segment: name, ..on_the_way(node, number, stands_for) }
}

/// What nobody may have yet, because nodes, or one node, may still use it.
fn resting<'a>(plan: &'a Plan, node: Option<&'a NodeName>) -> impl Iterator<Item = &'a Quarantined> {
    plan.quarantine.iter().filter(move |entry| node.is_none_or(|node| entry.awaiting.contains_key(node)))
}

/// What core nodes without an agent do for the packets of others. No program tells them, and edges send by it all the same.
fn untold(decided: &Decided, node: Option<&NodeName>, mut give: impl FnMut(&NodeName, TransitProgram)) {
    let Some((_, topology)) = decided.intents.topology() else { return };
    let plan = &decided.plan;
    match node {
        Some(node) if plan.programs.contains_key(node) => {}
        Some(node) => give(node, plan::transit_of(plan, topology, node)),
        None => plan::transit(plan, topology, |name, transit| {
            if !plan.programs.contains_key(name) {
                give(name, transit);
            }
        }),
    }
}

/// Nodes of which something rests: all that somebody may still send by, or what one node may.
fn resting_nodes<'a>(
    plan: &'a Plan,
    node: Option<&'a NodeName>,
) -> impl Iterator<Item = (&'a NodeName, &'a NodeNumbers)> {
    let resting = plan.nodes.iter().filter(|(_, numbers)| !numbers.awaiting.is_empty());
    resting.filter(move |(name, numbers)| node.is_none_or(|node| node == *name || numbers.awaiting.contains_key(node)))
}

/// Their links that are gone.
fn resting_links<'a>(
    decided: &'a Decided,
    node: Option<&'a NodeName>,
) -> impl Iterator<Item = (&'a NodeName, (&'a LinkName, &'a LinkNumbers), &'a NodeNumbers)> {
    let links = decided.intents.topology().into_iter().flat_map(|(_, topology)| topology.links.iter());
    let here: BTreeSet<&LinkName> = links.map(|link| &link.name).collect();
    resting_nodes(&decided.plan, node).flat_map(move |(name, numbers)| {
        let gone = numbers.links.iter().filter(|(link, _)| !here.contains(link));
        gone.map(move |link| (name, link, numbers)).collect::<Vec<_>>()
    })
}

fn is_there(decided: &Decided, node: &NodeName) -> bool {
    decided.intents.topology().is_some_and(|(_, topology)| topology.nodes.get(node.as_str()).is_some())
}

fn of_link(link: &LinkName) -> String {
    format!("link {link} that has left")
}

fn rests_there(numbers: &NodeNumbers, number: &dyn Display, node: &NodeName, stands_for: &str) -> v1::Number {
    v1::Number {
        quarantined: true,
        awaiting: awaited(&numbers.awaiting),
        ..on_the_way(node, number, stands_for.to_owned())
    }
}

fn awaited(awaiting: &BTreeMap<NodeName, Generation>) -> Vec<v1::Awaiting> {
    let awaiting = awaiting.iter();
    awaiting.map(|(edge, since)| v1::Awaiting { edge: edge.to_string(), generation: since.get() }).collect()
}

fn rests(entry: &Quarantined, number: &dyn Display, node: &str) -> v1::Number {
    v1::Number {
        number: number.to_string(),
        node: node.to_owned(),
        stands_for: "micro-segment that has left".to_owned(),
        slice: entry.segment.slice.to_string(),
        segment: entry.segment.segment.to_string(),
        quarantined: true,
        awaiting: awaited(&entry.awaiting),
    }
}

#[cfg(test)]
mod tests;
