//! Why there would be no path even for a slice that asks nothing.

use std::collections::{BinaryHeap, HashMap};

use model::plan::PathForm;
use model::resource::ResourceId;

use super::{Explainer, Request};
use crate::path::{Plane, Query, Route};
use crate::refusal::{Family, Refusal, RefusalReason};
use crate::ways::choose::{CANDIDATES_MAX, Scope, Unfit};

impl Explainer<'_, '_, '_, '_> {
    /// What the network itself lacks.
    pub(super) fn structure(&self, none: &Request<'_>) -> Refusal {
        let (graph, pair) = (self.chooser.graph(), self.scope.pair);
        let (from, to) = (pair.from.clone(), pair.to.clone());
        let of_segment = |reason| {
            let resource = ResourceId::MicroSegment(pair.segment.clone());
            Refusal { resource, path: "spec.at".to_owned(), reason }
        };
        let (form, plane) = pair.forms.first().copied().unwrap_or((PathForm::Ip, Plane::of(pair.family)));
        let drained = |link: usize| graph.link(link).link.drained;
        let foreign = |link: usize| !graph.carries(link, plane);
        // The way with the fewest links that do not do; drained ones count most.
        let weight = |link: usize| u64::from(drained(link)) * 1_000_000 + u64::from(foreign(link)) * 1_000 + 1;
        let Some(route) = self.lightest(weight) else { return of_segment(RefusalReason::NoPath { from, to }) };
        let places = || route.links.iter().map(|link| *link as usize);
        if places().any(drained) {
            let links = places().filter(|link| drained(*link)).map(|link| self.name(link)).collect();
            return of_segment(RefusalReason::OnlyDrained { from, to, links });
        }
        let lacks = |what, node: model::NodeName| {
            let transport = self.scope.request.transport.as_str();
            self.slice.refusal("spec.transport", RefusalReason::Lacks { transport, what, node })
        };
        if let Some((near, arc)) = route.hops().find(|(_, arc)| foreign(arc.link())) {
            if plane == Plane::Mpls {
                let nodes = [near, arc.to()].map(|place| graph.node(place));
                let bare = nodes.into_iter().find(|node| node.labels.is_none()).unwrap_or(nodes[1]);
                return lacks("a label block", bare.name.clone());
            }
            let family = if plane == Plane::Ipv4 { Family::Ipv4 } else { Family::Ipv6 };
            let line = graph.link(arc.link()).link;
            let lacks = |end: &&model::resource::LinkEnd| crate::underlay::address_of(end, family).is_none();
            let bare = [&line.a, &line.b].into_iter().find(lacks).unwrap_or(&line.a);
            let (link, node) = (line.name.clone(), bare.node.clone());
            let segment = pair.segment.clone();
            return of_segment(RefusalReason::NoNextHop { link, node, family, segment });
        }
        let scope = Scope { request: none, ..self.scope };
        let usable = |_: usize, _: crate::path::Arc| true;
        let query = Query { plane, from: pair.a, to: pair.b, delay_max: u64::MAX, usable: &usable };
        let mut unfit = self.chooser.candidates(form, query).take(CANDIDATES_MAX);
        let unfit = unfit.find_map(|route| self.chooser.fit(&scope, form, route).err());
        match unfit {
            Some(Unfit::Unpinnable(bare)) => {
                lacks(if form == PathForm::Srv6 { "a locator" } else { "a label block" }, bare.node)
            }
            _ => of_segment(RefusalReason::RoutesDiffer { from, to }),
        }
    }

    /// The way whose links weigh least, whatever they carry.
    fn lightest(&self, weight: impl Fn(usize) -> u64) -> Option<Route> {
        let (graph, pair) = (self.chooser.graph(), self.scope.pair);
        let mut settled: HashMap<usize, Option<usize>> = HashMap::new();
        let mut open = BinaryHeap::from([std::cmp::Reverse((0_u64, pair.a, None))]);
        while let Some(std::cmp::Reverse((sum, at, via))) = open.pop() {
            if settled.contains_key(&at) {
                continue;
            }
            settled.insert(at, via);
            if at != pair.a && !graph.is_core(at) {
                continue;
            }
            for arc in graph.arcs(at) {
                let is_new = !settled.contains_key(&arc.to());
                open.extend(is_new.then(|| std::cmp::Reverse((sum + weight(arc.link()), arc.to(), Some(arc.link())))));
            }
        }
        let mut at = pair.b;
        let mut links = Vec::new();
        while at != pair.a {
            let link = settled.get(&at).copied().flatten()?;
            links.push(link);
            let line = graph.link(link);
            let ends = [&line.link.a, &line.link.b].map(|end| graph.place(&end.node));
            let far = ends.into_iter().flatten().find(|place| *place != at)?;
            at = far;
        }
        links.reverse();
        Route::along(graph, pair.a, links)
    }
}
