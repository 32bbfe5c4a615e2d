//! What nodes do for the packets of others: it follows from the topology and the numbers of a plan, so it is not kept in
//! the plan. On a thousand nodes it is two million routes.

use std::collections::BTreeSet;

use model::plan::Plan;
use model::program::{Adjacency, Flavours, TransitBehaviour, TransitLabel, TransitProgram, TransitSid, UnderlayRoute};
use model::resource::{Control, TopologySpec};
use model::{NodeName, Prefix};

use crate::numbers::NodeSids;
use crate::path::{Arc, Graph, Plane, Trees};
use crate::refusal::Family;
use crate::underlay::{Underlay, address_of};

/// Gives what each core node does for the packets of others, by name.
pub fn transit(plan: &Plan, topology: &TopologySpec, mut give: impl FnMut(&NodeName, TransitProgram)) {
    let underlay = Underlay::new(topology);
    let graph = Graph::new(&underlay, &BTreeSet::new());
    let trees = Trees::new(&graph);
    let numbers = NodeSids { underlay: &underlay, nodes: &plan.nodes };
    for place in (0..graph.len()).filter(|place| graph.is_core(*place)) {
        give(&graph.node(place).name, program(&trees, &numbers, place));
    }
}

/// What one core node does for the packets of others; nothing if there is no such node.
pub fn transit_of(plan: &Plan, topology: &TopologySpec, node: &NodeName) -> TransitProgram {
    let underlay = Underlay::new(topology);
    let graph = Graph::new(&underlay, &BTreeSet::new());
    let trees = Trees::new(&graph);
    let numbers = NodeSids { underlay: &underlay, nodes: &plan.nodes };
    let place = graph.place(node).filter(|place| graph.is_core(*place));
    place.map_or_else(TransitProgram::default, |place| program(&trees, &numbers, place))
}

/// What a core node does for the packets of others.
pub(crate) fn program(trees: &Trees<'_, '_>, numbers: &NodeSids<'_>, place: usize) -> TransitProgram {
    let mut program = TransitProgram {
        sids: sids(trees.graph, numbers, place),
        labels: labels(trees, numbers, place),
        routes: routes(trees, place),
        // How what passes is queued follows from the class map, and only nodes with our dataplane are told.
        queues: Vec::new(),
    };
    program.sids.sort_unstable_by_key(|sid| sid.sid);
    program.labels.sort_unstable_by_key(|label| label.label);
    program.routes.sort_unstable_by_key(|route| route.prefix);
    program
}

/// The SRH is taken off by the last but one to whom it leads (RFC 8986, section 4.16.1), so that the far edge finds the
/// SID of the service alone. A Linux kernel does so for End only; behind its End.X the far edge finds an SRH with no
/// segments left, and passes over it (section 4.4 and on).
fn sids(graph: &Graph<'_>, numbers: &NodeSids<'_>, place: usize) -> Vec<TransitSid> {
    let node = &graph.node(place).name;
    let flavours = Flavours { psp: true, ..Flavours::default() };
    let end = numbers.node_sid(node).map(|sid| TransitSid { sid, behaviour: TransitBehaviour::End, flavours });
    let of_link = Flavours { psp: graph.node(place).control() != Control::Linux, ..flavours };
    let links = graph.arcs(place).iter().filter(|arc| graph.carries(arc.link(), Plane::Ipv6)).filter_map(|arc| {
        let sid = numbers.link_sid(node, &graph.link(arc.link()).link.name)?;
        let behaviour = TransitBehaviour::EndX(adjacency(graph, place, *arc, Family::Ipv6)?);
        Some(TransitSid { sid, behaviour, flavours: of_link })
    });
    end.into_iter().chain(links).collect()
}

/// A label for every other node and every link; it is popped by the last but one (RFC 3031, section 3.16).
fn labels(trees: &Trees<'_, '_>, numbers: &NodeSids<'_>, place: usize) -> Vec<TransitLabel> {
    let graph = trees.graph;
    let node = &graph.node(place).name;
    if graph.node(place).labels.is_none() {
        return Vec::new();
    }
    let mut labels = Vec::new();
    for to in (0..graph.len()).filter(|to| *to != place && graph.node(*to).labels.is_some()) {
        let far = &graph.node(to).name;
        let Some(next) = trees.routes(Plane::Mpls, to).next(place) else { continue };
        let swap = if next.to() == to { None } else { numbers.node_label(&graph.node(next.to()).name, far) };
        if let (Some(label), Some(out)) = (numbers.node_label(node, far), any_adjacency(graph, place, next)) {
            labels.push(TransitLabel { label, swap, out });
        }
    }
    for arc in graph.arcs(place).iter().filter(|arc| graph.carries(arc.link(), Plane::Mpls)) {
        let label = numbers.link_label(node, &graph.link(arc.link()).link.name);
        if let (Some(label), Some(out)) = (label, any_adjacency(graph, place, *arc)) {
            labels.push(TransitLabel { label, swap: None, out });
        }
    }
    labels
}

/// To every loopback and locator, by shortest paths.
fn routes(trees: &Trees<'_, '_>, place: usize) -> Vec<UnderlayRoute> {
    let graph = trees.graph;
    let mut routes = Vec::new();
    for to in (0..graph.len()).filter(|to| *to != place) {
        let node = graph.node(to);
        let loopbacks = node.loopback.addresses().filter_map(|address| {
            let prefix = Prefix::new(address, if address.is_ipv6() { 128 } else { 32 })?;
            Some((Family::of(address), prefix))
        });
        let locator = node.locator.map(|locator| (Family::Ipv6, locator.prefix()));
        for (family, prefix) in loopbacks.chain(locator) {
            let next = trees.routes(Plane::of(family), to).next(place);
            if let Some(via) = next.and_then(|next| adjacency(graph, place, next, family)) {
                routes.push(UnderlayRoute { prefix, via });
            }
        }
    }
    routes
}

fn adjacency(graph: &Graph<'_>, place: usize, arc: Arc, family: Family) -> Option<Adjacency> {
    let (near, far) = graph.ends(place, arc.link());
    Some(Adjacency { port: near.port.clone(), next_hop: address_of(far, family)? })
}

/// Labels are carried whatever the family of the neighbour's address.
pub(crate) fn any_adjacency(graph: &Graph<'_>, place: usize, arc: Arc) -> Option<Adjacency> {
    [Family::Ipv6, Family::Ipv4].into_iter().find_map(|family| adjacency(graph, place, arc, family))
}
