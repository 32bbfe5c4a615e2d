//! The paths that there are, the best first.

use super::Route;
use super::graph::{Graph, Plane};
use super::search::{Query, Ranked};
use super::tree::Trees;

/// The paths that keep to a query's bounds, the best first.
pub(crate) enum Candidates<'q, 'g, 'a> {
    /// Every path: it will be pinned by SIDs or labels.
    Pinned(Box<Ranked<'q, 'g, 'a>>),
    /// Those that the underlay's own routes make of each first hop.
    Routed(std::vec::IntoIter<Route>),
}

impl<'q, 'g, 'a> Candidates<'q, 'g, 'a> {
    pub(crate) fn pinned(trees: &'q Trees<'g, 'a>, query: Query<'q>) -> Self {
        Self::Pinned(Box::new(Ranked::new(trees, query)))
    }

    pub(crate) fn routed(trees: &Trees<'_, '_>, query: &Query<'_>) -> Self {
        trees.searches.set(trees.searches.get() + 1);
        let graph = trees.graph;
        let arcs = graph.arcs(query.from).iter().filter(|arc| !graph.link(arc.link()).link.drained);
        let routes = arcs.filter_map(|arc| {
            let mut route = Route::at(query.from);
            graph.carries(arc.link(), query.plane).then(|| route.push(graph, *arc))?;
            follow(trees, query.plane, query.to, &mut route)?;
            let is_within = route.delay <= query.delay_max && route.hops().all(|(at, arc)| (query.usable)(at, arc));
            (is_within && leads_back(trees, query.plane, &route)).then_some(route)
        });
        let mut routes: Vec<Route> = routes.collect();
        routes.sort_unstable();
        Self::Routed(routes.into_iter())
    }
}

impl Iterator for Candidates<'_, '_, '_> {
    type Item = Route;

    fn next(&mut self) -> Option<Route> {
        match self {
            Self::Pinned(ranked) => ranked.next(),
            Self::Routed(routes) => routes.next(),
        }
    }
}

/// Is this what the underlay's routes make of its first hop, both ways?
pub(crate) fn ip_route(trees: &Trees<'_, '_>, plane: Plane, route: &Route) -> bool {
    let Some((_, first)) = route.hops().next() else { return false };
    let graph: &Graph<'_> = trees.graph;
    if !graph.carries(first.link(), plane) || graph.link(first.link()).link.drained {
        return false;
    }
    let mut routed = Route::at(route.nodes.first().map_or(0, |node| *node as usize));
    routed.push(graph, first);
    follow(trees, plane, route.end(), &mut routed).is_some() && routed == *route && leads_back(trees, plane, route)
}

/// Follows the underlay's routes to a node.
fn follow(trees: &Trees<'_, '_>, plane: Plane, to: usize, route: &mut Route) -> Option<()> {
    let tree = trees.routes(plane, to);
    while route.end() != to {
        let at = route.end();
        // An edge forwards for nobody, and what is drained is only gone on with.
        let leads = |arc: &super::Arc| trees.graph.is_core(at) && !trees.graph.link(arc.link()).link.drained;
        route.push(trees.graph, tree.next(at).filter(leads)?);
    }
    Some(())
}

/// Do packets from the other end that enter the last link come the same way?
fn leads_back(trees: &Trees<'_, '_>, plane: Plane, route: &Route) -> bool {
    let back = route.reversed();
    let Some((_, first)) = back.hops().next() else { return false };
    let mut routed = Route::at(route.end());
    routed.push(trees.graph, first);
    follow(trees, plane, back.end(), &mut routed).is_some() && routed.links == back.links
}
