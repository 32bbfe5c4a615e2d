//! What a path needs of the nodes on it. What else they do, or are not known to do yet, does not hold it up: an edge that
//! never answers is in the way of what leads to it, and of nothing else.

use std::net::IpAddr;

use model::plan::PathKey;
use model::program::{PathProgram, ProgramContent, Steering};
use model::{Label, NodeName, Prefix, Sid};

use super::nodes::{label_of, route_of, sid_of};
use super::{Asked, Turn};

/// By what a node leads a packet on.
#[derive(Clone, Copy)]
enum Need {
    Sid(Sid),
    Label(Label),
    Route(Prefix),
}

/// A path from one end to the other: the places of its nodes, and of the links between them.
struct Way {
    nodes: Vec<usize>,
    links: Vec<usize>,
}

impl Turn<'_, '_, '_> {
    /// The core nodes on an edge's path that are not known, or were not told, to do all that it needs of them.
    pub(super) fn unready_cores(
        &self,
        key: &PathKey,
        edge: &NodeName,
        path: &PathProgram,
        asked: Asked,
    ) -> Vec<NodeName> {
        let graph = self.now.trees.graph;
        let Some(way) = self.way(key, edge) else { return Vec::new() };
        let needs = match &path.steering {
            Steering::Ip => vec![host(path.remote).into_iter().collect(); way.links.len()],
            Steering::Srv6(sids) => self.needs_of_sids(&way, sids),
            Steering::Mpls(labels) => self.needs_of_labels(&way, labels),
        };
        let mut unready = Vec::new();
        for ((place, links), needs) in way.nodes[1..].iter().zip(way.links.windows(2)).zip(needs) {
            let name = &graph.node(*place).name;
            // Of nodes that nobody tells anything, nothing is known.
            let Some(wanted) = self.wanted.get(name).filter(|wanted| self.is_core(wanted)) else { continue };
            let does = |told: &ProgramContent| {
                let has_ports = links.iter().all(|link| {
                    let port = &graph.ends(*place, *link).0.port;
                    let own = wanted.core_ports.iter().find(|own| own.port == *port);
                    own.is_none_or(|own| told.core_ports.contains(own))
                });
                has_ports && needs.iter().all(|need| need.is_met(told, wanted))
            };
            if !(self.now.is_asked(name, asked) && self.now.told(name).is_some_and(does)) {
                unready.push(name.clone());
            }
        }
        unready
    }

    fn way(&self, key: &PathKey, edge: &NodeName) -> Option<Way> {
        let graph = self.now.trees.graph;
        let links = self.now.paths.get(key)?.links.iter().map(|link| graph.link_place(link));
        let mut links: Vec<usize> = links.collect::<Option<_>>()?;
        if key.b == *edge {
            links.reverse();
        }
        let mut nodes = vec![graph.place(edge)?];
        for link in &links {
            let (_, far) = graph.ends(*nodes.last()?, *link);
            nodes.push(graph.place(&far.node)?);
        }
        Some(Way { nodes, links })
    }

    /// Each SID is that of a node on the path, or of a link that leaves it; the service's, of the far end, comes last.
    fn needs_of_sids(&self, way: &Way, sids: &[Sid]) -> Vec<Vec<Need>> {
        let (graph, numbers) = (self.now.trees.graph, self.now.numbers);
        let locator = |place: usize| graph.node(place).locator.map(|locator| locator.prefix());
        let has = |own: Prefix, sid: Sid| Prefix::new(sid.get().into(), own.length()) == Some(own);
        let mut left = sids.iter().copied().peekable();
        let mut needs_at = |place: usize| {
            let mut needs = Vec::new();
            loop {
                let next = left.peek().copied();
                let owner = match next {
                    Some(sid) => way.nodes.iter().copied().find(|node| locator(*node).is_some_and(|own| has(own, sid))),
                    None => way.nodes.last().copied(),
                };
                if owner != Some(place) {
                    needs.extend(owner.and_then(locator).map(Need::Route));
                    return needs;
                }
                let Some(sid) = left.next() else { return needs };
                needs.push(Need::Sid(sid));
                // Over its link it leaves without a look at any route.
                if numbers.node_sid(&graph.node(place).name) != Some(sid) {
                    return needs;
                }
            }
        };
        way.nodes[1..].iter().map(|place| needs_at(*place)).collect()
    }

    /// Each label is given as the node knows it that finds it on top. On the way to where it leads, nodes swap it for
    /// theirs, and the last but one takes it off.
    fn needs_of_labels(&self, way: &Way, labels: &[Label]) -> Vec<Vec<Need>> {
        let graph = self.now.trees.graph;
        let mut left = labels.iter().copied();
        let mut root: Option<usize> = None;
        let root_of = |at: &NodeName, label: Label| {
            let is_to = |node: &&usize| self.now.numbers.node_label(at, &graph.node(**node).name) == Some(label);
            way.nodes.iter().find(is_to).copied()
        };
        let mut needs_at = |place: usize| {
            let name = &graph.node(place).name;
            let label = match root.filter(|root| *root != place) {
                Some(root) => self.now.numbers.node_label(name, &graph.node(root).name),
                None => left.next().inspect(|label| root = root_of(name, *label)),
            };
            label.map(Need::Label).into_iter().collect()
        };
        way.nodes[1..].iter().map(|place| needs_at(*place)).collect()
    }
}

impl Need {
    /// Does a program do of it what is wanted?
    fn is_met(self, told: &ProgramContent, wanted: &ProgramContent) -> bool {
        let (told, wanted) = (&told.transit, &wanted.transit);
        match self {
            Self::Sid(sid) => sid_of(told, sid) == sid_of(wanted, sid),
            Self::Label(label) => label_of(told, label) == label_of(wanted, label),
            Self::Route(prefix) => route_of(told, prefix) == route_of(wanted, prefix),
        }
    }
}

/// The route to a loopback.
fn host(address: IpAddr) -> Option<Need> {
    Prefix::new(address, if address.is_ipv6() { 128 } else { 32 }).map(Need::Route)
}
