//! SIDs, labels, VNIs and route targets: which are in use, what they stand for, and which nobody may have yet.

use std::fmt::Display;

use api::v1;
use model::plan::{Plan, Quarantined, SlicePlan};
use model::program::{
    Adjacency, Flavours, Program, SegmentProgram, ServiceBehaviour, ServiceSid, TransitBehaviour, TransitLabel,
    TransitSid, Tunnel,
};
use model::{NodeName, SliceName};

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
            segment.remotes.iter().filter_map(|remote| match remote.tunnel {
                Tunnel::Mpls { from, .. } => Some(of_segment(name, segment, &from, format!("from {}", remote.edge))),
                _ => None,
            })
        }));
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

fn neighbour(to: &Adjacency) -> String {
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

fn rests(entry: &Quarantined, number: &dyn Display, node: &str) -> v1::Number {
    let awaiting = entry.awaiting.iter();
    v1::Number {
        number: number.to_string(),
        node: node.to_owned(),
        stands_for: "micro-segment that has left".to_owned(),
        slice: entry.segment.slice.to_string(),
        segment: entry.segment.segment.to_string(),
        quarantined: true,
        awaiting: awaiting
            .map(|(edge, since)| v1::Awaiting { edge: edge.to_string(), generation: since.get() })
            .collect(),
    }
}
