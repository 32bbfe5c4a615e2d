//! Paths through the underlay: the least cost, then the least delay, then the first by name.
//!
//! An edge is where a path starts or ends; only core nodes forward for others. A path and its way back are the same
//! links, so that a delay measured one way speaks for both.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use model::plan::Path;
use model::{Latency, NodeName};

use crate::underlay::{LinkAt, Underlay};

/// A path, as the places of its links with the end from which each is entered.
#[derive(Clone)]
pub(crate) struct Route<'a> {
    pub(crate) hops: Vec<LinkAt<'a>>,
    pub(crate) delay: Latency,
}

impl<'a> Route<'a> {
    pub(crate) fn to_path(&self) -> Path {
        Path { links: self.hops.iter().map(|hop| hop.link.name.clone()).collect(), delay: self.delay }
    }

    fn reversed(&self) -> Self {
        let turn = |hop: &LinkAt<'a>| LinkAt { near: hop.far, far: hop.near, ..*hop };
        Self { hops: self.hops.iter().rev().map(turn).collect(), delay: self.delay }
    }
}

/// Paths by their ends, in both directions.
pub(crate) type Routes<'a> = BTreeMap<(&'a NodeName, &'a NodeName), Route<'a>>;

/// The paths of pairs, each pair given once with its smaller name first. A pair that is not connected has none.
pub(crate) fn routes<'a>(underlay: &Underlay<'a>, pairs: &BTreeSet<(&'a NodeName, &'a NodeName)>) -> Routes<'a> {
    let mut routes = Routes::new();
    let sources: BTreeSet<&NodeName> = pairs.iter().map(|(from, _)| *from).collect();
    for source in sources {
        let found = from(underlay, source);
        for (from, to) in pairs.range((source, source)..).take_while(|(from, _)| *from == source) {
            if let Some(route) = found.get(to) {
                routes.insert((to, from), route.reversed());
                routes.insert((from, to), route.clone());
            }
        }
    }
    routes
}

/// Dijkstra's algorithm from one node. Costs are positive, so among paths of equal cost and delay the first by the
/// names of its links is made of such paths, too.
fn from<'a>(underlay: &Underlay<'a>, source: &'a NodeName) -> BTreeMap<&'a NodeName, Route<'a>> {
    let mut settled = BTreeMap::new();
    let mut open = BinaryHeap::from([Reverse((Rank::default(), source))]);
    while let Some(Reverse((rank, name))) = open.pop() {
        if settled.contains_key(name) {
            continue;
        }
        let Some(node) = underlay.node(name) else { continue };
        if name == source || !node.is_edge() {
            for hop in node.links().filter(|hop| !settled.contains_key(&hop.far.node)) {
                open.push(Reverse((rank.after(&hop), &hop.far.node)));
            }
        }
        settled.insert(name, rank);
    }
    settled.into_iter().map(|(name, rank)| (name, rank.route(underlay, source))).collect()
}

/// What makes one path better than another, in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Rank {
    cost: u64,
    delay: Latency,
    /// Places of links, which are in the order of their names.
    links: Vec<usize>,
}

impl Rank {
    fn after(&self, hop: &LinkAt<'_>) -> Self {
        let mut links = Vec::with_capacity(self.links.len() + 1);
        links.extend_from_slice(&self.links);
        links.push(hop.index);
        Self {
            cost: self.cost.saturating_add(hop.link.cost.into()),
            delay: self.delay.saturating_add(hop.link.delay),
            links,
        }
    }

    fn route<'a>(&self, underlay: &Underlay<'a>, source: &NodeName) -> Route<'a> {
        let mut at = source;
        let mut hops = Vec::with_capacity(self.links.len());
        for link in self.links.iter().filter_map(|index| underlay.link(*index).map(|link| (*index, link))) {
            let (index, link) = link;
            let (near, far) = if link.a.node == *at { (&link.a, &link.b) } else { (&link.b, &link.a) };
            hops.push(LinkAt { index, link, near, far });
            at = &far.node;
        }
        Route { hops, delay: self.delay }
    }
}
