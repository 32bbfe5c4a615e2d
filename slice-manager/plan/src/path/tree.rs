//! Shortest paths from everywhere to one node: what the core's own routes do, and a lower bound for every search.

use std::cell::{Cell, OnceCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::graph::{Arc, Graph, Line, Plane, narrow};

/// Trees towards every node that was asked for, each made once.
pub(crate) struct Trees<'g, 'a> {
    pub(crate) graph: &'g Graph<'a>,
    routes: Vec<OnceCell<Tree>>,
    fastest: Vec<OnceCell<Vec<u64>>>,
    /// How many constrained searches were made.
    pub(crate) searches: Cell<u64>,
}

/// How every node reaches the root.
pub(crate) struct Tree {
    reach: Vec<Reach>,
}

#[derive(Clone, Copy)]
struct Reach {
    cost: u64,
    next: Option<Arc>,
    /// No other way costs as little.
    is_only: bool,
}

impl<'g, 'a> Trees<'g, 'a> {
    pub(crate) fn new(graph: &'g Graph<'a>) -> Self {
        let count = graph.len() * Plane::ALL.len();
        let (routes, fastest) = (empty(count), empty(count));
        Self { graph, routes, fastest, searches: Cell::new(0) }
    }

    /// The routes of a plane towards a node; over drained links only where there is no other way.
    pub(crate) fn routes(&self, plane: Plane, root: usize) -> &Tree {
        self.routes[plane as usize * self.graph.len() + root].get_or_init(|| Tree::new(self.graph, plane, root))
    }

    /// The least delay from every node to one, in nanoseconds; `u64::MAX` from where there is no way.
    pub(crate) fn fastest(&self, plane: Plane, root: usize) -> &[u64] {
        self.fastest[plane as usize * self.graph.len() + root].get_or_init(|| fastest(self.graph, plane, root))
    }
}

fn empty<T>(count: usize) -> Vec<OnceCell<T>> {
    std::iter::repeat_with(OnceCell::new).take(count).collect()
}

impl Tree {
    /// Dijkstra's algorithm from the root outwards, by cost, delay and weight.
    fn new(graph: &Graph<'_>, plane: Plane, root: usize) -> Self {
        let mut reach = vec![Reach { cost: u64::MAX, next: None, is_only: false }; graph.len()];
        let mut best = vec![(u64::MAX, u64::MAX, u64::MAX); graph.len()];
        let mut order = Vec::new();
        let mut open = BinaryHeap::from([Reverse((0_u64, 0_u64, 0_u64, narrow(root), None::<u32>))]);
        best[root] = (0, 0, 0);
        while let Some(Reverse((cost, delay, weight, at, via))) = open.pop() {
            let at = at as usize;
            if reach[at].cost != u64::MAX {
                continue;
            }
            let next = via.and_then(|link| graph.arcs(at).iter().find(|arc| arc.link() == link as usize).copied());
            reach[at] = Reach { cost, next, is_only: false };
            order.push(at);
            if at != root && !graph.is_core(at) {
                continue;
            }
            for arc in graph.arcs(at).iter().filter(|arc| graph.carries(arc.link(), plane)) {
                let line = graph.link(arc.link());
                let rank = (
                    cost.saturating_add(cost_of(line)),
                    delay.saturating_add(line.link.delay.as_nanos()),
                    weight.saturating_add(line.weight),
                );
                if reach[arc.to()].cost == u64::MAX && rank < best[arc.to()] {
                    best[arc.to()] = rank;
                    open.push(Reverse((rank.0, rank.1, rank.2, narrow(arc.to()), Some(narrow(arc.link())))));
                }
            }
        }
        for at in order {
            let ways = graph.arcs(at).iter().filter(|arc| graph.carries(arc.link(), plane)).filter(|arc| {
                let (to, cost) = (arc.to(), cost_of(graph.link(arc.link())));
                (to == root || graph.is_core(to)) && reach[to].cost.saturating_add(cost) == reach[at].cost
            });
            let is_only = at == root || ways.count() == 1;
            reach[at].is_only = is_only && reach[at].next.is_none_or(|next| reach[next.to()].is_only);
        }
        Self { reach }
    }

    /// The least cost; `u64::MAX` if there is no way.
    pub(crate) fn cost(&self, from: usize) -> u64 {
        self.reach[from].cost
    }

    /// The first link of the best way.
    pub(crate) fn next(&self, from: usize) -> Option<Arc> {
        self.reach[from].next
    }

    /// Does every packet from here take the best way, however the nodes share out equal costs?
    pub(crate) fn is_only(&self, from: usize) -> bool {
        self.reach[from].is_only
    }
}

/// What is still sent towards a link that is drained must not be lost for want of another way.
fn cost_of(line: &Line<'_>) -> u64 {
    let surcharge = if line.link.drained { DRAINED_COST } else { 0 };
    u64::from(line.link.cost).saturating_add(surcharge)
}

/// Paths that are chosen lead over no drained link.
fn leads(graph: &Graph<'_>, plane: Plane, link: usize) -> bool {
    graph.carries(link, plane) && !graph.link(link).link.drained
}

fn fastest(graph: &Graph<'_>, plane: Plane, root: usize) -> Vec<u64> {
    let mut best = vec![u64::MAX; graph.len()];
    let mut open = BinaryHeap::from([Reverse((0_u64, narrow(root)))]);
    best[root] = 0;
    while let Some(Reverse((delay, at))) = open.pop() {
        let at = at as usize;
        if delay > best[at] || (at != root && !graph.is_core(at)) {
            continue;
        }
        for arc in graph.arcs(at).iter().filter(|arc| leads(graph, plane, arc.link())) {
            let delay = delay.saturating_add(graph.link(arc.link()).link.delay.as_nanos());
            if delay < best[arc.to()] {
                best[arc.to()] = delay;
                open.push(Reverse((delay, narrow(arc.to()))));
            }
        }
    }
    best
}

/// What a drained link costs on top: more than any way without one, and little enough for a way of such links to be added
/// up.
const DRAINED_COST: u64 = 1 << 48;
