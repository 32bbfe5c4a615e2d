//! What keeps packets on a path: the fewest SIDs or labels that lead along it and nowhere else.
//!
//! A node's SID or label leads there by the underlay's shortest path. It pins a part of a path only if that part is the
//! shortest path and no other costs as little: nodes may share traffic out over equal costs. Where no such part
//! begins, the link itself is named.

use std::collections::BTreeMap;

use model::program::Steering;
use model::{Label, NodeName, Sid};

use super::Route;
use super::graph::{Graph, Plane};
use super::tree::Trees;
use crate::numbers::NodeSids;

/// Makes pins.
pub(crate) struct Pin<'p, 'g, 'a> {
    pub(crate) trees: &'p Trees<'g, 'a>,
    pub(crate) numbers: &'p NodeSids<'p>,
}

/// A path that is pinned, both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) there: Steering,
    pub(crate) back: Steering,
}

impl Pinned {
    /// How many SIDs or labels it needs, in the direction that needs more.
    pub(crate) fn depth(&self) -> usize {
        depth(&self.there).max(depth(&self.back))
    }
}

/// How many SIDs or labels it is.
pub(crate) fn depth(steering: &Steering) -> usize {
    match steering {
        Steering::Ip => 0,
        Steering::Srv6(sids) => sids.len(),
        Steering::Mpls(labels) => labels.len(),
    }
}

/// Nothing that a node knows leads along the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unpinnable {
    /// The node.
    pub(crate) node: NodeName,
}

/// One step along a path.
#[derive(Clone, Copy)]
enum Step {
    /// To the node at this place of the path, by the shortest way.
    Node(usize),
    /// To the node at this place, by the shortest way, and over the link that follows.
    Link(usize),
}

impl Pin<'_, '_, '_> {
    /// Pins a path by SIDs.
    pub(crate) fn srv6(&self, route: &Route) -> Result<Pinned, Unpinnable> {
        let sids = |route: &Route| Ok(Steering::Srv6(self.sids(route)?));
        Ok(Pinned { there: sids(route)?, back: sids(&route.reversed())? })
    }

    /// Pins a path by labels.
    pub(crate) fn mpls(&self, route: &Route) -> Result<Pinned, Unpinnable> {
        let labels = |route: &Route| Ok(Steering::Mpls(self.labels(route)?));
        Ok(Pinned { there: labels(route)?, back: labels(&route.reversed())? })
    }

    /// The SIDs between the first hop and the last: the SID of the service leads on from there by itself.
    fn sids(&self, route: &Route) -> Result<Vec<Sid>, Unpinnable> {
        let last = route.links.len();
        // From each place: the fewest SIDs, and the step that begins them; no step where the rest leads by itself.
        let mut best: BTreeMap<usize, (usize, Option<Step>)> = BTreeMap::from([(last, (0, None))]);
        for from in (1..last).rev() {
            let reach = self.reach(Plane::Ipv6, route, from);
            if reach == last {
                best.insert(from, (0, None));
                continue;
            }
            let nodes = (from + 1..=reach).filter(|to| self.has_locator(route, *to)).map(|to| (Step::Node(to), to));
            let links = (from..=reach).filter(|at| *at < last && self.link_sid(route, *at).is_some());
            let links = links.map(|at| (Step::Link(at), at + 1));
            let steps = nodes.chain(links).filter_map(|(step, to)| Some((best.get(&to)?.0 + 1, last - to, step)));
            // Of as many, that of a node: it goes on to lead there when the link is gone.
            let rank = |step: &Step| matches!(step, Step::Link(_));
            if let Some((count, _, step)) = steps.min_by_key(|(count, rest, step)| (*count, rank(step), *rest)) {
                best.insert(from, (count, Some(step)));
            }
        }
        let (mut at, mut sids) = (1.min(last), Vec::new());
        loop {
            let (_, step) = best.get(&at).ok_or_else(|| self.unpinnable(route, at))?;
            let (sid, to) = match step {
                None => return Ok(sids),
                Some(Step::Node(to)) => (self.numbers.node_sid(self.node(route, *to)), *to),
                Some(Step::Link(link)) => (self.link_sid(route, *link), link + 1),
            };
            sids.push(sid.ok_or_else(|| self.unpinnable(route, at))?);
            at = to;
        }
    }

    /// The labels between the first hop and the last, each as the node knows it that finds it on top.
    fn labels(&self, route: &Route) -> Result<Vec<Label>, Unpinnable> {
        let last = route.links.len();
        let (mut at, mut labels) = (1.min(last), Vec::new());
        // A part of a unique shortest path is one, too: to go as far as one label leads is to use the fewest.
        while at < last {
            let reach = self.reach(Plane::Mpls, route, at);
            let here = self.node(route, at);
            let label = if reach > at {
                self.numbers.node_label(here, self.node(route, reach))
            } else {
                self.numbers.link_label(here, &self.trees.graph.link(route.links[at] as usize).link.name)
            };
            labels.push(label.ok_or_else(|| self.unpinnable(route, at))?);
            at = reach.max(at + 1);
        }
        Ok(labels)
    }

    /// How far along the path the shortest way from a place leads, and no other way.
    fn reach(&self, plane: Plane, route: &Route, from: usize) -> usize {
        let leads = |to: usize| {
            let tree = self.trees.routes(plane, route.nodes[to] as usize);
            tree.is_only(route.nodes[from] as usize)
                && (from..to).all(|place| {
                    tree.next(route.nodes[place] as usize).is_some_and(|arc| arc.link() == route.links[place] as usize)
                })
        };
        (from + 1..route.nodes.len()).take_while(|to| leads(*to)).last().unwrap_or(from)
    }

    fn node(&self, route: &Route, place: usize) -> &NodeName {
        &self.trees.graph.node(route.nodes[place] as usize).name
    }

    fn has_locator(&self, route: &Route, place: usize) -> bool {
        let graph: &Graph<'_> = self.trees.graph;
        let node = route.nodes[place] as usize;
        graph.is_core(node) && self.numbers.node_sid(&graph.node(node).name).is_some()
    }

    fn link_sid(&self, route: &Route, place: usize) -> Option<Sid> {
        self.numbers.link_sid(self.node(route, place), &self.trees.graph.link(route.links[place] as usize).link.name)
    }

    fn unpinnable(&self, route: &Route, place: usize) -> Unpinnable {
        Unpinnable { node: self.node(route, place).clone() }
    }
}
