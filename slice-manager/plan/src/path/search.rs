//! The best path that keeps to bounds: a search from one end that is drawn to the other by what an unbounded path
//! costs at least.
//!
//! With a bound on delay the cheapest way to a node need not be the one to go on from. A node is therefore visited
//! again by each way that costs more and takes less time than those before it: no path that there is is missed.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::Route;
use super::graph::{Arc, Plane};
use super::tree::Trees;

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Query<'q> {
    pub(crate) plane: Plane,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The longest delay, in nanoseconds.
    pub(crate) delay_max: u64,
    /// May a path leave this node over this link?
    pub(crate) usable: &'q dyn Fn(usize, Arc) -> bool,
}

/// A way to a node, in the order in which ways are looked at.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// With what is still to come, at least.
    cost: u64,
    /// With what is still to come, at least.
    delay: u64,
    route: Route,
}

/// The first of all paths that keep to the bounds, going on from a path that is begun.
fn first(trees: &Trees<'_, '_>, query: &Query<'_>, begun: Route) -> Option<Route> {
    trees.searches.set(trees.searches.get() + 1);
    let graph = trees.graph;
    let (costs, delays) = (trees.routes(query.plane, query.to), trees.fastest(query.plane, query.to));
    // What a way to a node comes to at least, if it can keep to the bound on delay.
    let rank = |cost: u64, delay: u64, at: usize| {
        let delay = delay.checked_add(delays[at]).filter(|delay| *delay <= query.delay_max)?;
        Some((cost.checked_add(costs.cost(at))?, delay))
    };
    let open = |route: Route| {
        let (cost, delay) = rank(route.cost, route.delay, route.end())?;
        Some(Reverse(Open { cost, delay, route }))
    };
    let start = begun.end();
    let mut heap: BinaryHeap<_> = open(begun).into_iter().collect();
    // The least delay with which each node was left; ways come in order of cost.
    let mut left: HashMap<usize, u64> = HashMap::new();
    while let Some(Reverse(Open { route, .. })) = heap.pop() {
        let at = route.end();
        if at == query.to {
            return Some(route);
        }
        let is_bounded = query.delay_max < u64::MAX;
        let is_worse = left.get(&at).is_some_and(|delay| !is_bounded || *delay <= route.delay);
        if is_worse || (at != start && !graph.is_core(at)) {
            continue;
        }
        left.insert(at, route.delay);
        for arc in graph.arcs(at).iter().copied() {
            let is_new = !route.nodes.iter().any(|node| *node as usize == arc.to());
            let link = graph.link(arc.link()).link;
            let leads = graph.carries(arc.link(), query.plane) && !link.drained;
            let (cost, delay) =
                (route.cost.saturating_add(link.cost.into()), route.delay.saturating_add(link.delay.as_nanos()));
            let leads = is_new && leads && rank(cost, delay, arc.to()).is_some();
            if leads && (query.usable)(at, arc) {
                let mut further = route.clone();
                further.push(graph, arc);
                heap.extend(open(further));
            }
        }
    }
    None
}

/// All paths that keep to the bounds, the best first (J. Y. Yen, "Finding the K Shortest Loopless Paths in a Network",
/// 1971).
pub(crate) struct Ranked<'q, 'g, 'a> {
    trees: &'q Trees<'g, 'a>,
    query: Query<'q>,
    found: Vec<Route>,
    candidates: BTreeSet<Route>,
}

impl<'q, 'g, 'a> Ranked<'q, 'g, 'a> {
    pub(crate) fn new(trees: &'q Trees<'g, 'a>, query: Query<'q>) -> Self {
        Self { trees, query, found: Vec::new(), candidates: BTreeSet::new() }
    }

    /// The paths that leave the last one somewhere, and all those before it, too.
    fn branch(&mut self, last: &Route) {
        let graph = self.trees.graph;
        let mut root = Route::at(self.query.from);
        for (at, arc) in last.hops() {
            let taken: Vec<usize> = self
                .found
                .iter()
                .filter(|route| route.links.starts_with(&root.links))
                .filter_map(|route| route.links.get(root.links.len()).map(|link| *link as usize))
                .collect();
            let usable =
                |from: usize, arc: Arc| (from != at || !taken.contains(&arc.link())) && (self.query.usable)(from, arc);
            let query = Query { usable: &usable, ..self.query };
            self.candidates.extend(first(self.trees, &query, root.clone()));
            root.push(graph, arc);
        }
    }
}

impl Iterator for Ranked<'_, '_, '_> {
    type Item = Route;

    fn next(&mut self) -> Option<Route> {
        let next = match self.found.last().cloned() {
            None => first(self.trees, &self.query, Route::at(self.query.from)),
            Some(last) => {
                self.branch(&last);
                self.candidates.pop_first()
            }
        };
        self.found.extend(next.clone());
        next
    }
}
