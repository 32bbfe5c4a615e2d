//! Nodes on the way: what is new is there from its far end on, and what is old until every edge has left it.

use std::collections::{BTreeMap, BTreeSet};

use model::program::{CorePort, Program, ProgramContent, TransitLabel, TransitProgram, TransitSid, UnderlayRoute};
use model::{Label, NodeName, PortName, Prefix, Sid};

use super::{Asked, Turn};
use crate::path::Plane;
use crate::refusal::Family;

impl Turn<'_, '_, '_> {
    /// What nodes on the way do, and the ports that they and edges do it by.
    pub(super) fn nodes(&mut self) {
        let changed: Vec<(&NodeName, &ProgramContent, &ProgramContent)> = self
            .wanted
            .iter()
            .filter_map(|(node, wanted)| Some((node, self.now.told(node)?, wanted)))
            .filter(|(_, told, wanted)| told.transit != wanted.transit || told.core_ports != wanted.core_ports)
            .collect();
        if changed.is_empty() {
            return;
        }
        let is_left = self.changes.leaving.is_empty() && !self.is_any_behind();
        let mut is_kept = false;
        let places = Places::of(self);
        for (node, told, wanted) in changed {
            // An edge that has left has nothing to do for anybody.
            if is_empty(wanted) {
                if !is_left && told.transit != TransitProgram::default() {
                    self.changes.edit(node).whole = Some(told.clone());
                    is_kept = true;
                }
                continue;
            }
            let (transit, holders) = self.transit(&places, told, wanted, !is_left);
            self.changes.awaited.extend(holders);
            let ports = self.ports(node, told, wanted, &transit, !is_left);
            is_kept |= !is_left && (!ports.is_empty() || has_more(&transit, &wanted.transit));
            let edit = self.changes.edit(node);
            edit.ports = ports;
            edit.transit = Some(transit);
        }
        if is_kept {
            // Those that are told something now are not known to run it, either.
            self.changes.awaited.extend(self.wanted.keys().cloned());
        }
    }

    /// May an edge still take a path which is not to be taken in the end, or a core node lead otherwise?
    fn is_any_behind(&self) -> bool {
        let graph = self.now.trees.graph;
        let is_edge = |node: &NodeName| graph.place(node).is_some_and(|place| !graph.is_core(place));
        let mut told = self.now.parent.programs.iter().filter(|(node, _)| is_edge(node));
        let is_behind = |(node, told): (&NodeName, &Program)| {
            let wanted = self.wanted.get(node).map_or(&[][..], |wanted| &wanted.paths);
            let is_final = |path: &model::program::PathProgram| {
                let at = wanted.binary_search_by(|other| (&other.to, other.id).cmp(&(&path.to, path.id)));
                at.is_ok_and(|at| wanted[at] == *path)
            };
            !self.now.knows(node) || !(told.content.paths == wanted || told.content.paths.iter().all(is_final))
        };
        told.any(is_behind) || self.wanted.keys().any(|node| !self.is_settled(node))
    }

    /// What a core node does now, and who must confirm before it does all that is wanted.
    fn transit(
        &self,
        places: &Places,
        told: &ProgramContent,
        wanted: &ProgramContent,
        keeps: bool,
    ) -> (TransitProgram, BTreeSet<NodeName>) {
        let (before, after) = (&told.transit, &wanted.transit);
        let mut holders = BTreeSet::new();
        let mut now = after.clone();
        for label in &mut now.labels {
            let at = before.labels.binary_search_by_key(&label.label, |told| told.label).ok();
            let Some(was) = at.map(|at| &before.labels[at]).filter(|was| *was != label) else { continue };
            let root = places.of_label(self, &wanted.edge, label.label);
            if let Some(holder) = root.and_then(|root| self.held_by(Plane::Mpls, root, &wanted.edge, &Entry::Label)) {
                *label = was.clone();
                holders.insert(holder);
            }
        }
        for route in &mut now.routes {
            let at = before.routes.binary_search_by_key(&route.prefix, |told| told.prefix).ok();
            let Some(was) = at.map(|at| &before.routes[at]).filter(|was| *was != route) else { continue };
            let plane = Plane::of(Family::of(route.prefix.address()));
            let (root, entry) = (places.by_prefix.get(&route.prefix), Entry::Route(route.prefix));
            if let Some(holder) = root.and_then(|root| self.held_by(plane, *root, &wanted.edge, &entry)) {
                *route = was.clone();
                holders.insert(holder);
            }
        }
        if keeps {
            now.sids.extend(before.sids.iter().filter(|was| after.sids.iter().all(|sid| sid.sid != was.sid)).cloned());
            let is_gone = |was: &&TransitLabel| after.labels.binary_search_by_key(&was.label, |l| l.label).is_err();
            now.labels.extend(before.labels.iter().filter(is_gone).cloned());
            let is_gone = |was: &&UnderlayRoute| after.routes.binary_search_by_key(&was.prefix, |r| r.prefix).is_err();
            now.routes.extend(before.routes.iter().filter(is_gone).cloned());
            now.sids.sort_unstable_by_key(|sid| sid.sid);
            now.labels.sort_unstable_by_key(|label| label.label);
            now.routes.sort_unstable_by_key(|route| route.prefix);
        }
        (now, holders)
    }

    /// The first node from here on to the root that does not lead there by the wanted way yet. When there is none, whoever
    /// comes to this node arrives, however the rest leads: no order of the others makes a loop.
    fn held_by(&self, plane: Plane, root: usize, from: &NodeName, entry: &Entry) -> Option<NodeName> {
        let (graph, tree) = (self.now.trees.graph, self.now.trees.routes(plane, root));
        let mut at = graph.place(from)?;
        loop {
            let next = tree.next(at)?;
            let (_, far) = graph.ends(at, next.link());
            at = next.to();
            let node = &graph.node(at).name;
            if !self.has_port(node, &far.port, Asked::Confirmed) {
                return Some(node.clone());
            }
            if at == root {
                return None;
            }
            let Some(wanted) = self.wanted.get(node).filter(|wanted| self.is_core(wanted)) else { continue };
            let is_there = self.now.told(node).is_some_and(|told| match entry {
                Entry::Label => {
                    let label = self.now.numbers.node_label(node, &graph.node(root).name);
                    label.is_some_and(|label| {
                        label_of(&told.transit, label).is_some_and(|t| Some(t) == label_of(&wanted.transit, label))
                    })
                }
                Entry::Route(prefix) => {
                    let told = route_of(&told.transit, *prefix);
                    told.is_some() && told == route_of(&wanted.transit, *prefix)
                }
            });
            if !is_there || !self.now.knows(node) {
                return Some(node.clone());
            }
        }
    }

    /// Does a node that is told what to do take packets at this port already?
    pub(super) fn has_port(&self, node: &NodeName, port: &PortName, asked: Asked) -> bool {
        let has = |content: &ProgramContent| content.core_ports.iter().any(|own| own.port == *port);
        let is_told = self.wanted.get(node).is_some_and(has);
        !is_told || (self.now.is_asked(node, asked) && self.now.told(node).is_some_and(has))
    }

    /// Ports towards the underlay that a node has no more, and is still sent to by, or sends by.
    fn ports(
        &self,
        node: &NodeName,
        told: &ProgramContent,
        wanted: &ProgramContent,
        transit: &TransitProgram,
        keeps: bool,
    ) -> Vec<CorePort> {
        let labels = transit.labels.iter().map(|label| &label.out.port);
        let routes = transit.routes.iter().map(|route| &route.via.port);
        let paths =
            self.changes.edits.get(node).into_iter().flat_map(|edit| edit.paths.values()).map(|path| &path.port);
        let used: BTreeSet<&PortName> = labels.chain(routes).chain(paths).collect();
        let is_gone = |port: &&CorePort| wanted.core_ports.iter().all(|other| other.port != port.port);
        let gone = told.core_ports.iter().filter(is_gone).filter(|port| keeps || used.contains(&port.port));
        gone.filter(|port| !is_access(wanted, &port.port)).cloned().collect()
    }
}

/// What leads to a node.
enum Entry {
    Label,
    Route(Prefix),
}

/// Where prefixes and labels lead.
struct Places {
    by_prefix: BTreeMap<Prefix, usize>,
    by_index: BTreeMap<u32, usize>,
}

impl Places {
    fn of(turn: &Turn<'_, '_, '_>) -> Self {
        let (graph, nodes) = (turn.now.trees.graph, turn.now.numbers.nodes);
        let (mut by_prefix, mut by_index) = (BTreeMap::new(), BTreeMap::new());
        for place in 0..graph.len() {
            let node = graph.node(place);
            let loopbacks = node.loopback.addresses();
            let loopbacks = loopbacks.filter_map(|own| Prefix::new(own, if own.is_ipv6() { 128 } else { 32 }));
            by_prefix.extend(loopbacks.chain(node.locator.map(|own| own.prefix())).map(|prefix| (prefix, place)));
            by_index.extend(nodes.get(&node.name).and_then(|numbers| numbers.index).map(|index| (index, place)));
        }
        Self { by_prefix, by_index }
    }

    /// The node to which a label of another leads; none if it is a link's.
    fn of_label(&self, turn: &Turn<'_, '_, '_>, at: &NodeName, label: Label) -> Option<usize> {
        let graph = turn.now.trees.graph;
        let block = graph.node(graph.place(at)?).labels?;
        self.by_index.get(&label.get().checked_sub(block.first.get())?).copied()
    }
}

/// Does a node do something for others that it is not to do any more?
fn has_more(before: &TransitProgram, after: &TransitProgram) -> bool {
    before.sids.iter().any(|was| after.sids.iter().all(|sid| sid.sid != was.sid))
        || before.labels.iter().any(|was| label_of(after, was.label).is_none())
        || before.routes.iter().any(|was| route_of(after, was.prefix).is_none())
}

pub(super) fn sid_of(transit: &TransitProgram, sid: Sid) -> Option<&TransitSid> {
    transit.sids.binary_search_by_key(&sid, |entry| entry.sid).ok().map(|at| &transit.sids[at])
}

pub(super) fn label_of(transit: &TransitProgram, label: Label) -> Option<&TransitLabel> {
    transit.labels.binary_search_by_key(&label, |entry| entry.label).ok().map(|at| &transit.labels[at])
}

pub(super) fn route_of(transit: &TransitProgram, prefix: Prefix) -> Option<&UnderlayRoute> {
    transit.routes.binary_search_by_key(&prefix, |entry| entry.prefix).ok().map(|at| &transit.routes[at])
}

/// Is it the program of a node that has left, or has no agent any more?
pub(super) fn is_empty(content: &ProgramContent) -> bool {
    content.loopback.is_empty() && content.core_ports.is_empty() && content.slices.is_empty()
}

/// Are devices on this port?
pub(super) fn is_access(content: &ProgramContent, port: &PortName) -> bool {
    content.slices.iter().flat_map(|slice| &slice.circuits).any(|circuit| circuit.port == *port)
}
