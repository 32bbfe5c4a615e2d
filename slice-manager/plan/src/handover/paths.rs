//! Paths: which are ready, and which are kept until others are.

use model::NodeName;
use model::plan::PathKey;
use model::program::{PathProgram, ProgramContent, TransitProgram};

use super::sends::paths_of;
use super::{Asked, Turn};

impl Turn<'_, '_, '_> {
    /// Edges keep paths that they send by as before, and what pinned others before that are not ready yet.
    pub(super) fn paths(&mut self) {
        let kept: Vec<PathKey> = self.held.iter().flat_map(paths_of).collect();
        for key in kept.into_iter().filter(|key| !self.now.paths.contains_key(key)) {
            let parent = self.now.parent;
            let path = parent.paths.get(&key).or_else(|| parent.leaving.get(&key)).cloned();
            for (near, far) in [(&key.a, &key.b), (&key.b, &key.a)] {
                if let Some(told) = self.now.told(near).and_then(|told| told.path(far, key.id)) {
                    self.changes.edit(near).paths.insert((far.clone(), key.id), told.clone());
                }
            }
            self.changes.leaving.extend(path.map(|path| (key, path)));
        }
        for (edge, content) in self.wanted {
            let Some(told) = self.now.told(edge).filter(|told| told.paths != content.paths) else { continue };
            for path in &content.paths {
                let Some(was) = told.path(&path.to, path.id).filter(|was| is_pinned_otherwise(path, was)) else {
                    continue;
                };
                let unready = self.unready_on(&super::sends::key(edge, &path.to, path.id), edge, Asked::Confirmed);
                if !unready.is_empty() {
                    self.changes.awaited.extend(unready);
                    let path = PathProgram { steering: was.steering.clone(), ..path.clone() };
                    self.changes.edit(edge).paths.insert((path.to.clone(), path.id), path);
                }
            }
        }
    }

    /// Who must confirm before an edge takes a path: core nodes on it, and the far edge where its port is new.
    pub(super) fn unready_on(&self, key: &PathKey, edge: &NodeName, asked: Asked) -> Vec<NodeName> {
        let far = if key.a == *edge { &key.b } else { &key.a };
        let path = |near: &NodeName, far: &NodeName| self.wanted.get(near).and_then(|near| near.path(far, key.id));
        let mut unready = path(edge, far).map_or_else(Vec::new, |path| self.unready_cores(key, edge, path, asked));
        if path(far, edge).is_some_and(|back| !self.has_port(far, &back.port, asked)) {
            unready.push(far.clone());
        }
        unready
    }

    /// Does a path lead over a link that seems to be down?
    pub(super) fn is_suspect(&self, key: &PathKey) -> bool {
        let (parent, graph) = (self.now.parent, self.now.trees.graph);
        let path = parent.paths.get(key).or_else(|| parent.leaving.get(key));
        let links = path.into_iter().flat_map(|path| &path.links).filter_map(|link| graph.link_place(link));
        links.into_iter().any(|place| graph.link(place).is_suspect)
    }

    /// Is a core node known to run all that is wanted of it, be it with more? Of others nothing is known.
    pub(super) fn is_settled(&self, node: &NodeName) -> bool {
        let Some(wanted) = self.wanted.get(node).filter(|wanted| self.is_core(wanted)) else { return true };
        let has_ports = |told: &ProgramContent| wanted.core_ports.iter().all(|port| told.core_ports.contains(port));
        let does = |told: &ProgramContent| has_ports(told) && includes(&told.transit, &wanted.transit);
        self.now.knows(node) && self.now.told(node).is_some_and(does)
    }

    /// Is it a core node that is told what to do?
    pub(super) fn is_core(&self, wanted: &ProgramContent) -> bool {
        let graph = self.now.trees.graph;
        graph.place(&wanted.edge).is_some_and(|place| graph.is_core(place)) && !super::nodes::is_empty(wanted)
    }
}

/// Does it leave as it did, between the same ends, and is only pinned otherwise?
fn is_pinned_otherwise(path: &PathProgram, was: &PathProgram) -> bool {
    let ends = |path: &PathProgram| (path.local, path.remote, path.next_hop);
    ends(path) == ends(was) && path.port == was.port && path.steering != was.steering
}

fn includes(all: &TransitProgram, some: &TransitProgram) -> bool {
    if all == some {
        return true;
    }
    let sid = |wanted: &model::program::TransitSid| {
        all.sids.binary_search_by_key(&wanted.sid, |told| told.sid).is_ok_and(|at| all.sids[at] == *wanted)
    };
    let label = |wanted: &model::program::TransitLabel| {
        all.labels.binary_search_by_key(&wanted.label, |told| told.label).is_ok_and(|at| all.labels[at] == *wanted)
    };
    let route = |wanted: &model::program::UnderlayRoute| {
        all.routes.binary_search_by_key(&wanted.prefix, |told| told.prefix).is_ok_and(|at| all.routes[at] == *wanted)
    };
    some.sids.iter().all(sid) && some.labels.iter().all(label) && some.routes.iter().all(route)
}
