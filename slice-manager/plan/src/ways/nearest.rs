//! Why there is no path, and the nearest that would fit.
//!
//! Each thing that a slice asks is given up by itself: where that alone makes room, it is named, with the most of it that
//! could be kept. What is offered was tried: asking for all of it together succeeds while nothing else changes.

mod structure;

use std::collections::BTreeSet;

use model::plan::Plan;
use model::resource::BackupMode;
use model::{Latency, LinkName, Rate};

use super::choose::{CANDIDATES_MAX, Chooser, Chosen, Failed, Found, Scope, Shares, Unfit};
use super::hose::Ledger;
use super::request::Request;
use crate::path::{Arc, Query, Route};
use crate::refusal::{Obstacle, Refusal, RefusalReason, SharedPart};
use crate::wish::SliceWish;

/// Why a slice has not the paths that it asks for.
pub(super) fn explain(
    chooser: &Chooser<'_, '_, '_>,
    slice: &SliceWish<'_>,
    request: &Request<'_>,
    failed: &Failed<'_, '_>,
    parent: &Plan,
    ledger: &Ledger,
) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for pair in &failed.pairs {
        let scope = Scope { request, pair, hose: &failed.hose, ledger };
        let explainer = Explainer { chooser, slice, scope, failed, parent };
        for refusal in explainer.refusals() {
            // What is offered fits the whole slice, so that one answer is enough.
            let is_said = refusals.iter().any(|said| {
                let is_same = std::mem::discriminant(&said.reason) == std::mem::discriminant(&refusal.reason);
                let (rate, size) = (slice.rate_path("guaranteed"), "spec.template");
                said == &refusal
                    || (is_same && said.path == refusal.path && [rate.as_str(), size].contains(&said.path.as_str()))
            });
            if !is_said {
                refusals.push(refusal);
            }
        }
    }
    refusals
}

struct Explainer<'e, 'c, 'g, 'a> {
    chooser: &'e Chooser<'c, 'g, 'a>,
    slice: &'e SliceWish<'e>,
    scope: Scope<'e, 'e>,
    failed: &'e Failed<'e, 'e>,
    parent: &'e Plan,
}

/// What a slice asks of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Nodes,
    Links,
    Excluded,
    Included,
    Backup,
    Depth,
    Packet,
    Delay,
    Rate,
}

impl Bound {
    const ALL: [Self; 9] = [
        Self::Nodes,
        Self::Links,
        Self::Excluded,
        Self::Included,
        Self::Backup,
        Self::Depth,
        Self::Packet,
        Self::Delay,
        Self::Rate,
    ];

    /// The request without it.
    fn given_up<'a>(self, request: &Request<'a>) -> Request<'a> {
        let mut request = request.clone();
        match self {
            Self::Nodes => request.excluded_nodes.clear(),
            Self::Links => request.excluded_links.clear(),
            Self::Excluded => request.excluded = &[],
            Self::Included => request.included = &[],
            Self::Delay => request.delay_max = u64::MAX,
            Self::Packet => request.packet_octets = 0,
            Self::Depth => request.any_depth = true,
            Self::Rate => request.guaranteed = 0,
            Self::Backup => request.backup = Some(BackupMode::None),
        }
        request
    }
}

impl<'e> Explainer<'e, '_, '_, '_> {
    fn refusals(&self) -> Vec<Refusal> {
        let request = self.scope.request;
        let none = Bound::ALL.iter().fold(request.clone(), |request, bound| bound.given_up(&request));
        if self.search(&none).is_none() {
            return vec![self.structure(&none)];
        }
        let mut found: Vec<Refusal> = Bound::ALL.into_iter().filter_map(|bound| self.refusal(bound, request)).collect();
        if found.is_empty() {
            // No single thing makes room. What is asked is asked again, one thing after the other, and each that can't be had
            // with those before it is cut to what can: with all that is offered together there is a path.
            let mut asked = none;
            for bound in Bound::ALL {
                let before = asked.clone();
                asked = Self::restored(bound, asked, request);
                if self.search(&asked).is_none() {
                    let refusal = self.refusal(bound, &asked);
                    asked =
                        refusal.as_ref().map_or(before.clone(), |refusal| Self::cut(&refusal.reason, asked, before));
                    found.extend(refusal);
                }
            }
        }
        found
    }

    /// The request with what a refusal offers.
    fn cut<'a>(reason: &RefusalReason, asked: Request<'a>, before: Request<'a>) -> Request<'a> {
        match reason {
            RefusalReason::LinkFull { fits, .. } | RefusalReason::ClassFull { fits, .. } => {
                Request { guaranteed: fits.bits_per_second(), ..asked }
            }
            RefusalReason::PathTooSlow { delay, .. } => Request { delay_max: delay.as_nanos(), ..asked },
            RefusalReason::PacketTooLong { fits_octets, .. } => Request { packet_octets: *fits_octets, ..asked },
            _ => before,
        }
    }

    fn restored<'a>(bound: Bound, mut into: Request<'a>, from: &Request<'a>) -> Request<'a> {
        match bound {
            Bound::Nodes => into.excluded_nodes.clone_from(&from.excluded_nodes),
            Bound::Links => into.excluded_links.clone_from(&from.excluded_links),
            Bound::Excluded => into.excluded = from.excluded,
            Bound::Included => into.included = from.included,
            Bound::Delay => into.delay_max = from.delay_max,
            Bound::Packet => into.packet_octets = from.packet_octets,
            Bound::Depth => into.any_depth = from.any_depth,
            Bound::Rate => into.guaranteed = from.guaranteed,
            Bound::Backup => into.backup = from.backup,
        }
        into
    }

    fn search(&self, request: &Request<'_>) -> Option<Chosen> {
        self.chooser.search(&Scope { request, ..self.scope_of() }, self.parent)
    }

    const fn scope_of(&self) -> Scope<'e, 'e> {
        self.scope
    }

    /// What is said of a bound if giving it up makes room.
    fn refusal(&self, bound: Bound, request: &Request<'_>) -> Option<Refusal> {
        let without = bound.given_up(request);
        let open = self.search(&without)?;
        let (from, to) = (self.scope.pair.from.clone(), self.scope.pair.to.clone());
        let excluded = |field: &str, what| {
            let reason =
                RefusalReason::ExcludedAway { from: from.clone(), to: to.clone(), what, links: self.links(&open) };
            self.slice.refusal(format!("spec.paths.{field}"), reason)
        };
        Some(match bound {
            Bound::Nodes => {
                let graph = self.chooser.graph();
                let nodes = Self::nodes(&open).filter(|node| request.excluded_nodes.contains(node));
                excluded("excludeNodes", Obstacle::Nodes(nodes.map(|node| graph.node(node).name.clone()).collect()))
            }
            Bound::Links => {
                let links = Self::places(&open).filter(|link| request.excluded_links.contains(link));
                excluded("excludeLinks", Obstacle::Links(links.map(|link| self.name(link)).collect()))
            }
            Bound::Excluded => {
                let all = Self::places(&open).flat_map(|link| self.chooser.graph().link(link).link.affinities.iter());
                let named: BTreeSet<_> = all.filter(|affinity| request.excluded.contains(affinity)).cloned().collect();
                excluded("excludeAffinities", Obstacle::Affinities(named.into_iter().collect()))
            }
            Bound::Included => {
                let lacks = |link: &usize| {
                    let affinities = &self.chooser.graph().link(*link).link.affinities;
                    !affinities.iter().any(|affinity| request.included.contains(affinity))
                };
                let links = Self::places(&open).filter(lacks).map(|link| self.name(link));
                excluded("includeAffinities", Obstacle::Without(links.collect()))
            }
            Bound::Delay => self.delay(request, &open)?,
            Bound::Packet => self.packet(request)?,
            Bound::Depth => self.depth(&open)?,
            Bound::Rate => self.rate(request)?,
            Bound::Backup => {
                let wanted = request.backup?;
                let shared = self.shared(request, &open.working.route, wanted);
                self.slice.refusal("spec.paths.backup", RefusalReason::NoBackup { from, to, wanted, shared })
            }
        })
    }

    /// The least bound on delay that could be kept.
    fn delay(&self, request: &Request<'_>, open: &Chosen) -> Option<Refusal> {
        let slowest = |chosen: &Chosen| {
            let routes = chosen.backup.iter().chain([&chosen.working]).map(|found| found.route.clone());
            routes.max_by_key(|route| route.delay)
        };
        let try_bound = |delay_max: u64| self.search(&Request { delay_max, ..request.clone() });
        let least = least(request.delay_max, slowest(open)?.delay, |delay| try_bound(delay).is_some());
        let route = slowest(&try_bound(least)?)?;
        let reason = RefusalReason::PathTooSlow {
            from: self.scope.pair.from.clone(),
            to: self.scope.pair.to.clone(),
            links: route.links.iter().map(|link| self.name(*link as usize)).collect(),
            delay: Latency::from_nanos(least),
            bound: Latency::from_nanos(request.delay_max),
        };
        Some(self.slice.refusal(self.slice.latency_path(), reason))
    }

    /// The longest packet that could be carried.
    fn packet(&self, request: &Request<'_>) -> Option<Refusal> {
        let graph = self.chooser.graph();
        let asked = request.packet_octets;
        let octets = |packet: u64| u16::try_from(packet).unwrap_or(u16::MAX);
        let try_packet = |packet: u64| self.search(&Request { packet_octets: octets(packet), ..request.clone() });
        let fits = largest(asked.into(), |packet| try_packet(packet).is_some());
        let chosen = try_packet(fits)?;
        let tightest = |found: &Found| {
            let links = found.route.links.iter().map(|link| *link as usize);
            links.min_by_key(|link| graph.link(*link).mtu)
        };
        let links = std::iter::once(&chosen.working).chain(&chosen.backup).filter_map(tightest);
        let link = graph.link(links.min_by_key(|link| graph.link(*link).mtu)?);
        let ends = [&link.link.a, &link.link.b];
        let mtu = |end: &&model::resource::LinkEnd| {
            let node = graph.place(&end.node).map(|place| graph.node(place));
            node.and_then(|node| node.ports.get(end.port.as_str())).map_or(0, |port| port.mtu)
        };
        let end = ends.into_iter().min_by_key(mtu)?;
        let headers = u64::from(link.mtu).saturating_sub(fits);
        let reason = RefusalReason::PacketTooLong {
            packet_octets: asked,
            needed_octets: u32::try_from(u64::from(asked) + headers).unwrap_or(u32::MAX),
            node: end.node.clone(),
            port: end.port.clone(),
            mtu: link.mtu,
            fits_octets: octets(fits),
        };
        Some(self.slice.refusal("spec.template", reason))
    }

    /// How many SIDs or labels the best path would need.
    fn depth(&self, open: &Chosen) -> Option<Refusal> {
        let graph = self.chooser.graph();
        let request = self.scope.request;
        let all = std::iter::once(&open.working).chain(&open.backup);
        let mut unfit = all.filter_map(|found| {
            match self.chooser.fit(&Scope { request, ..self.scope }, found.form, found.route.clone()) {
                Err(Unfit::TooDeep { route, end, needed, max }) => Some((found.form, route, end, needed, max)),
                _ => None,
            }
        });
        let (form, route, end, needed, max) = unfit.next()?;
        let reason = RefusalReason::TooDeep {
            from: self.scope.pair.from.clone(),
            to: self.scope.pair.to.clone(),
            links: route.links.iter().map(|link| self.name(*link as usize)).collect(),
            node: graph.node(end).name.clone(),
            what: if form == model::plan::PathForm::Srv6 { "SIDs" } else { "labels" },
            needed,
            max,
        };
        Some(self.slice.refusal("spec.transport", reason))
    }

    /// The largest guarantee that would fit, on all of the slice's paths if the rest is in order.
    fn rate(&self, request: &Request<'_>) -> Option<Refusal> {
        let asked = request.guaranteed;
        let with = |guaranteed: u64| Request { guaranteed, ..request.clone() };
        let whole = |guaranteed: u64| {
            let all = self.failed.all;
            self.chooser.choose(&with(guaranteed), all, self.parent, self.scope.ledger, true).is_ok()
        };
        let pair = |guaranteed: u64| self.search(&with(guaranteed)).is_some();
        let fits = if whole(0) { largest(asked, whole) } else { largest(asked, pair) };
        let chosen = self.search(&with(fits)).or_else(|| self.search(&with(0)))?;
        let (graph, pair) = (self.chooser.graph(), self.scope.pair);
        let routes = chosen.backup.iter().chain([&chosen.working]).map(|found| &found.route);
        let crossed = routes
            .flat_map(Route::hops)
            .flat_map(|(at, arc)| [(at, arc, pair.a, pair.b), (arc.to(), arc, pair.b, pair.a)]);
        let tightest = crossed.map(|(near, arc, from, to)| {
            let direction = graph.direction(near, arc.link());
            let (times, room) =
                (self.scope.hose.times_with(direction, from, to), self.scope.ledger.room(direction, request.class));
            (room.left / times.max(1), arc.link(), room, times)
        });
        let (_, link, room, times) = tightest.min()?;
        let rate = Rate::from_bits_per_second;
        let (asked, left, fits, link) = (rate(asked), rate(room.left), rate(fits), self.name(link));
        let reason = if room.is_class {
            RefusalReason::ClassFull { asked, times, class: request.class, link, left, fits }
        } else {
            RefusalReason::LinkFull { asked, times, link, left, fits }
        };
        Some(self.slice.refusal(self.slice.rate_path("guaranteed"), reason))
    }

    /// What the second path that shares least with the first shares with it.
    fn shared(&self, request: &Request<'_>, working: &Route, wanted: BackupMode) -> Vec<SharedPart> {
        let (chooser, graph, pair) = (self.chooser, self.chooser.graph(), self.scope.pair);
        let scope = Scope { request, ..self.scope };
        let shares = Shares::of(graph, working, wanted);
        let usable = |at: usize, arc: Arc| chooser.usable(&scope, at, arc);
        let (from, to, delay_max) = (pair.a, pair.b, request.delay_max);
        let parts = |route: &Route| {
            let mut parts = BTreeSet::new();
            for (_, arc) in route.hops().filter(|(_, arc)| shares.includes(graph, *arc, pair.b)) {
                let line = graph.link(arc.link());
                let same = |link: &u32| *link as usize == arc.link();
                let risk = |risk: &&model::RiskName| {
                    working
                        .links
                        .iter()
                        .any(|link| graph.link(*link as usize).link.srlgs.iter().any(|other| other == *risk))
                };
                if working.links.iter().any(same) {
                    parts.insert(SharedPart::Link(line.link.name.clone()));
                } else if let Some(risk) = line.link.srlgs.iter().find(risk).filter(|_| wanted >= BackupMode::Srlg) {
                    parts.insert(SharedPart::Risk(risk.clone()));
                } else {
                    parts.insert(SharedPart::Node(graph.node(arc.to()).name.clone()));
                }
            }
            parts
        };
        let routes = pair.forms.iter().flat_map(|(form, plane)| {
            let query = Query { plane: *plane, from, to, delay_max, usable: &usable };
            chooser.candidates(*form, query).take(CANDIDATES_MAX).collect::<Vec<_>>()
        });
        let others = routes.filter(|route| route.links != working.links);
        let count = |parts: &BTreeSet<SharedPart>| {
            let links = parts.iter().filter(|part| matches!(part, SharedPart::Link(_))).count();
            let risks = parts.iter().filter(|part| matches!(part, SharedPart::Risk(_))).count();
            (links, risks, parts.len())
        };
        others.map(|route| parts(&route)).min_by_key(count).unwrap_or_default().into_iter().collect()
    }

    fn places(chosen: &Chosen) -> impl Iterator<Item = usize> {
        let all = std::iter::once(&chosen.working).chain(&chosen.backup);
        all.flat_map(|found| found.route.links.iter().map(|link| *link as usize))
    }

    fn nodes(chosen: &Chosen) -> impl Iterator<Item = usize> {
        let all = std::iter::once(&chosen.working).chain(&chosen.backup);
        let nodes: BTreeSet<usize> =
            all.flat_map(|found| found.route.nodes.iter().map(|node| *node as usize)).collect();
        nodes.into_iter()
    }

    fn links(&self, chosen: &Chosen) -> Vec<LinkName> {
        chosen.working.route.links.iter().map(|link| self.name(*link as usize)).collect()
    }

    fn name(&self, link: usize) -> LinkName {
        self.chooser.graph().link(link).link.name.clone()
    }
}

/// The largest number below one that does not fit; 0 fits.
fn largest(above: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, above);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The smallest number above one that does not fit; the last one fits.
fn least(above: u64, last: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (above, last);
    while high > low && high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
