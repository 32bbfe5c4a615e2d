//! SIDs, labels, VNIs and route targets: which are in use, what they stand for, and which nobody may have yet.

use api::v1;
use model::NodeName;
use model::plan::{Plan, Quarantined};
use model::program::{
    Adjacency, Flavours, Program, SegmentProgram, ServiceBehaviour, ServiceSid, TransitBehaviour, TransitLabel,
    TransitSid, Tunnel,
};

/// Every SID, or those of a node.
pub(crate) fn sids(plan: &Plan, node: Option<&NodeName>) -> Vec<v1::Number> {
    let mut numbers = Vec::new();
    for (name, program) in of(plan, node) {
        numbers.extend(program.content.transit.sids.iter().map(|sid| on_the_way(name, sid.sid, transit_sid(sid))));
        let segments = segments(program);
        numbers.extend(segments.flat_map(|segment| {
            segment.sids.iter().map(|sid| of_segment(name, segment, sid.sid, service_sid(sid).to_owned()))
        }));
    }
    numbers
}

/// Every label, or those of a node.
pub(crate) fn labels(plan: &Plan, node: Option<&NodeName>) -> Vec<v1::Number> {
    let mut numbers = Vec::new();
    for (name, program) in of(plan, node) {
        let labels = &program.content.transit.labels;
        numbers.extend(labels.iter().map(|label| on_the_way(name, label.label, transit_label(label))));
        numbers.extend(segments(program).flat_map(|segment| {
            segment.remotes.iter().filter_map(|remote| match remote.tunnel {
                Tunnel::Mpls { from, .. } => Some(of_segment(name, segment, from, format!("from {}", remote.edge))),
                _ => None,
            })
        }));
    }
    numbers
}

/// Every VNI, or those of a node's segments. All nodes know a segment by the same.
pub(crate) fn vnis(plan: &Plan, node: Option<&NodeName>) -> Vec<v1::Number> {
    let is_there = |id| node.is_none_or(|node| of(plan, Some(node)).any(|(_, program)| has(program, id)));
    let in_use = plan.allocations.iter().filter(|(id, _)| is_there(*id)).map(|(id, allocation)| v1::Number {
        number: allocation.vni.to_string(),
        stands_for: "micro-segment".to_owned(),
        slice: id.slice.to_string(),
        segment: id.segment.to_string(),
        ..v1::Number::default()
    });
    let awaits = |entry: &&Quarantined| node.is_none_or(|node| entry.awaiting.contains_key(node));
    let resting = plan.quarantine.iter().filter(awaits).map(|entry| v1::Number {
        number: entry.allocation.vni.to_string(),
        stands_for: "micro-segment that has gone".to_owned(),
        slice: entry.segment.slice.to_string(),
        segment: entry.segment.segment.to_string(),
        quarantined: true,
        awaiting: awaiting(entry),
        ..v1::Number::default()
    });
    in_use.chain(resting).collect()
}

/// Every route target. There is none before slices are given numbers for them.
pub(crate) const fn route_targets(_plan: &Plan, _node: Option<&NodeName>) -> Vec<v1::Number> {
    Vec::new()
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

fn on_the_way(node: &NodeName, number: impl ToString, stands_for: String) -> v1::Number {
    v1::Number { number: number.to_string(), node: node.to_string(), stands_for, ..v1::Number::default() }
}

fn of_segment(node: &NodeName, segment: &SegmentProgram, number: impl ToString, stands_for: String) -> v1::Number {
    let (slice, name) = (segment.id.slice.to_string(), segment.id.segment.to_string());
    v1::Number { slice, segment: name, ..on_the_way(node, number, stands_for) }
}

fn awaiting(entry: &Quarantined) -> Vec<v1::Awaiting> {
    let awaiting = entry.awaiting.iter();
    awaiting.map(|(edge, since)| v1::Awaiting { edge: edge.to_string(), generation: since.get() }).collect()
}
