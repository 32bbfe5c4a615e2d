//! Paths through the underlay: which there are, which is the best that keeps a slice's bounds, and what pins it.
//!
//! An edge is where a path starts or ends; only core nodes forward for others. A path and its way back are the same
//! links, so that a delay measured one way speaks for both. Among paths the least cost comes first, then the least
//! delay, then the first by the names of its links, seen from the end with the smaller name.

mod candidates;
mod graph;
mod pin;
mod search;
mod tree;

pub(crate) use candidates::{Candidates, ip_route};
pub(crate) use graph::{Arc, Graph, Plane};
pub(crate) use pin::{Pin, Pinned, Unpinnable, depth};
pub(crate) use search::Query;
pub(crate) use tree::Trees;

use model::resource::Srh;

/// A path from one edge to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Route {
    pub(crate) cost: u64,
    /// In nanoseconds.
    pub(crate) delay: u64,
    /// Its links, by their places; the order of places is that of names.
    pub(crate) links: Vec<u32>,
    /// Its nodes, both ends among them.
    pub(crate) nodes: Vec<u32>,
}

impl Route {
    /// A path of no length.
    pub(crate) fn at(node: usize) -> Self {
        Self { cost: 0, delay: 0, links: Vec::new(), nodes: vec![graph::narrow(node)] }
    }

    /// From the links, one after the other. `None` if they do not join up, or lead anywhere twice.
    pub(crate) fn along(graph: &Graph<'_>, from: usize, links: impl IntoIterator<Item = usize>) -> Option<Self> {
        let mut route = Self::at(from);
        for link in links {
            let at = route.end();
            let arc = graph.arcs(at).iter().find(|arc| arc.link() == link)?;
            route.push(graph, *arc);
            if route.nodes[..route.nodes.len() - 1].contains(&graph::narrow(arc.to())) {
                return None;
            }
        }
        Some(route)
    }

    /// One link further.
    pub(crate) fn push(&mut self, graph: &Graph<'_>, arc: Arc) {
        let link = graph.link(arc.link());
        let surcharge = if link.is_suspect { SUSPECT_COST } else { 0 };
        self.cost = self.cost.saturating_add(link.link.cost.into()).saturating_add(surcharge);
        self.delay = self.delay.saturating_add(link.link.delay.as_nanos());
        self.links.push(graph::narrow(arc.link()));
        self.nodes.push(graph::narrow(arc.to()));
    }

    /// The last node.
    pub(crate) fn end(&self) -> usize {
        self.nodes.last().map_or(0, |node| *node as usize)
    }

    /// The way back.
    pub(crate) fn reversed(&self) -> Self {
        let mut back = self.clone();
        back.links.reverse();
        back.nodes.reverse();
        back
    }

    /// How much of their segment list its packets carry: all of it if one of its nodes asks for that.
    pub(crate) fn srh(&self, graph: &Graph<'_>) -> Srh {
        self.nodes.iter().map(|node| graph.node(*node as usize).srh).max().unwrap_or_default()
    }

    /// Its hops: the node from which each link is entered, and the link with the node to which it leads.
    pub(crate) fn hops(&self) -> impl Iterator<Item = (usize, Arc)> {
        let ends = self.nodes.windows(2).filter_map(|pair| match pair {
            [near, far] => Some((*near as usize, *far as usize)),
            _ => None,
        });
        ends.zip(&self.links).map(|((near, far), link)| (near, Arc::new(*link as usize, far)))
    }
}

/// What a link costs on top that seems to be down: more than any path without one, so that it is only taken where there is
/// no other way, and little enough for a path of such links to be added up.
const SUSPECT_COST: u64 = 1 << 48;
