//! The paths of one slice: for every two edges the best working path that keeps to what is asked, and a backup that shares
//! nothing with it that it may not share.

use std::cell::RefCell;
use std::collections::HashMap;

use model::plan::{PathForm, PathKey, Plan, Way};
use model::resource::{BackupMode, Srh, UnderlayKind};

use super::hose::{Hose, Ledger};
use super::request::{Pair, Request, service_depth, tunnel_octets};
use crate::path::{Arc, Candidates, Graph, Pin, Pinned, Plane, Query, Route, Trees, Unpinnable, ip_route};

/// Chooses paths.
pub(crate) struct Chooser<'c, 'g, 'a> {
    pub(crate) pin: Pin<'c, 'g, 'a>,
    pub(crate) kind: UnderlayKind,
    /// The parent's paths lead where they did.
    pub(crate) is_same_topology: bool,
    pins: RefCell<HashMap<(PathForm, Route), Result<Pinned, Unpinnable>>>,
}

/// A path, and what pins it.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) route: Route,
    pub(crate) form: PathForm,
    pub(crate) pinned: Pinned,
}

/// The paths of one pair.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(crate) working: Found,
    pub(crate) backup: Option<Found>,
}

/// What one pair's search knows.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 'a> {
    pub(crate) request: &'s Request<'a>,
    pub(crate) pair: &'s Pair<'a>,
    pub(crate) hose: &'s Hose,
    pub(crate) ledger: &'s Ledger,
}

/// The pairs for which there is nothing, with what the others need.
pub(crate) struct Failed<'s, 'a> {
    pub(crate) pairs: Vec<&'s Pair<'a>>,
    /// All pairs.
    pub(crate) all: &'s [Pair<'a>],
    pub(crate) hose: Hose,
}

/// What the pairs of a slice go on to have of the parent's paths.
struct Stay {
    all: Vec<Option<Chosen>>,
    /// The places of those whose paths are swapped.
    swapped: Vec<usize>,
    hose: Hose,
}

impl<'c, 'g, 'a> Chooser<'c, 'g, 'a> {
    pub(crate) fn new(pin: Pin<'c, 'g, 'a>, kind: UnderlayKind, is_same_topology: bool) -> Self {
        Self { pin, kind, is_same_topology, pins: RefCell::default() }
    }

    pub(crate) const fn trees(&self) -> &'c Trees<'g, 'a> {
        self.pin.trees
    }

    pub(crate) const fn graph(&self) -> &'g Graph<'a> {
        self.pin.trees.graph
    }

    /// The parent's paths, if all of them still do.
    pub(crate) fn keep(
        &self,
        request: &Request<'_>,
        pairs: &[Pair<'_>],
        parent: &Plan,
        ledger: &Ledger,
        retry: bool,
    ) -> Option<(Vec<Chosen>, Hose)> {
        let mut hose = Hose::new(request.sdps.clone());
        let mut all = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let scope = Scope { request, pair, hose: &hose, ledger };
            let chosen = self.kept(&scope, parent, retry)?;
            self.lay(&mut hose, &chosen);
            all.push(chosen);
        }
        Some((all, hose))
    }

    /// What the slice goes on to have of the parent's paths when those that seem to be down are swapped with their
    /// backups, and whether that is all that it needs; none if nothing is swapped.
    pub(crate) fn hold(
        &self,
        request: &Request<'_>,
        pairs: &[Pair<'_>],
        parent: &Plan,
        ledger: &Ledger,
        retry: bool,
    ) -> Option<(Hose, bool)> {
        let stay = self.stay(request, pairs, parent, ledger, retry);
        let is_whole = stay.all.iter().all(Option::is_some);
        (!stay.swapped.is_empty()).then_some((stay.hose, is_whole))
    }

    fn stay(&self, request: &Request<'_>, pairs: &[Pair<'_>], parent: &Plan, ledger: &Ledger, retry: bool) -> Stay {
        let hose = Hose::new(request.sdps.clone());
        let mut stay = Stay { all: Vec::with_capacity(pairs.len()), swapped: Vec::new(), hose };
        for (place, pair) in pairs.iter().enumerate() {
            let scope = Scope { request, pair, hose: &stay.hose, ledger };
            let mut chosen = self.kept(&scope, parent, retry);
            if chosen.is_none() {
                chosen = self.swapped(&scope, parent);
                stay.swapped.extend(chosen.as_ref().map(|_| place));
            }
            if let Some(chosen) = &chosen {
                self.lay(&mut stay.hose, chosen);
            }
            stay.all.push(chosen);
        }
        stay
    }

    /// Paths for every pair: those that the parent has and that still do, then the best for the rest, then sound backups
    /// instead of those that seem to be down.
    pub(crate) fn choose<'s, 'w>(
        &self,
        request: &Request<'w>,
        pairs: &'s [Pair<'w>],
        parent: &Plan,
        ledger: &Ledger,
        retry: bool,
    ) -> Result<(Vec<Chosen>, Hose), Failed<'s, 'w>> {
        let Stay { mut all, swapped, mut hose } = self.stay(request, pairs, parent, ledger, retry);
        let mut failed = Vec::new();
        for (pair, chosen) in pairs.iter().zip(&mut all).filter(|(_, chosen)| chosen.is_none()) {
            match self.search(&Scope { request, pair, hose: &hose, ledger }, parent) {
                Some(found) => {
                    self.lay(&mut hose, &found);
                    *chosen = Some(found);
                }
                None => failed.push(pair),
            }
        }
        if !failed.is_empty() {
            return Err(Failed { pairs: failed, all: pairs, hose });
        }
        let mut all: Vec<Chosen> = all.into_iter().flatten().collect();
        if swapped.is_empty() {
            return Ok((all, hose));
        }
        for place in swapped {
            let (scope, chosen) = (Scope { request, pair: &pairs[place], hose: &hose, ledger }, &mut all[place]);
            let backup = self.backup(&scope, &chosen.working).flatten();
            if let Some(backup) = backup.filter(|backup| self.is_sound(&backup.route)) {
                hose.lay(self.graph(), &backup.route, false);
                chosen.backup = Some(backup);
            }
        }
        // Without the backups that were left.
        let mut hose = Hose::new(request.sdps.clone());
        for chosen in &all {
            self.lay(&mut hose, chosen);
        }
        Ok((all, hose))
    }

    fn lay(&self, hose: &mut Hose, chosen: &Chosen) {
        hose.lay(self.graph(), &chosen.working.route, true);
        if let Some(backup) = &chosen.backup {
            hose.lay(self.graph(), &backup.route, false);
        }
    }

    /// The pair's paths in the parent plan, if both still do. A backup that is not asked for any more is left out; one
    /// that could not be had is looked for again only if there is reason to.
    fn kept(&self, scope: &Scope<'_, '_>, parent: &Plan, retry: bool) -> Option<Chosen> {
        let (working, way) = self.kept_working(scope, parent)?;
        let mode = scope.request.backup;
        match (way.backup, mode) {
            (_, Some(BackupMode::None)) => Some(Chosen { working, backup: None }),
            (None, None) if !retry => Some(Chosen { working, backup: None }),
            (None, _) => None,
            (Some(id), _) => {
                let backup = self.known(scope, parent, id)?;
                self.is_apart(scope, &working, &backup).then_some(Chosen { working, backup: Some(backup) })
            }
        }
    }

    /// The pair's paths in the parent plan the other way round, if the working one seems to be down and the backup does
    /// not. They need no more than is booked for them.
    fn swapped(&self, scope: &Scope<'_, '_>, parent: &Plan) -> Option<Chosen> {
        let way = way(scope, parent)?;
        let (down, sound) = (self.known(scope, parent, way.working)?, self.known(scope, parent, way.backup?)?);
        if self.is_sound(&down.route) || !self.is_sound(&sound.route) {
            return None;
        }
        if scope.request.backup == Some(BackupMode::None) {
            return Some(Chosen { working: sound, backup: None });
        }
        self.is_apart(scope, &sound, &down).then_some(Chosen { working: sound, backup: Some(down) })
    }

    /// Does the backup share nothing with the working path that it may not share?
    fn is_apart(&self, scope: &Scope<'_, '_>, working: &Found, backup: &Found) -> bool {
        let mode = scope.request.backup.unwrap_or(BackupMode::Srlg);
        let shares = Shares::of(self.graph(), &working.route, mode);
        backup.route.hops().all(|(_, arc)| !shares.includes(self.graph(), arc, scope.pair.b))
    }

    /// Does it seem to lead where it should?
    fn is_sound(&self, route: &Route) -> bool {
        route.links.iter().all(|link| !self.graph().link(*link as usize).is_suspect)
    }

    fn kept_working(&self, scope: &Scope<'_, '_>, parent: &Plan) -> Option<(Found, Way)> {
        let way = way(scope, parent)?;
        let found = self.known(scope, parent, way.working)?;
        // One that seems to be down is left, if there is another.
        self.is_sound(&found.route).then_some((found, way))
    }

    /// A path of the parent, if it still does.
    fn known(&self, scope: &Scope<'_, '_>, parent: &Plan, id: model::PathId) -> Option<Found> {
        let (graph, pair) = (self.graph(), scope.pair);
        let path = parent.paths.get(&PathKey { a: pair.from.clone(), b: pair.to.clone(), id })?;
        let (form, plane) = *pair.forms.iter().find(|(form, _)| *form == path.form)?;
        let links: Option<Vec<usize>> = path.links.iter().map(|link| graph.link_place(link)).collect();
        let route = Route::along(graph, pair.a, links?).filter(|route| route.end() == pair.b)?;
        let leads = route.hops().enumerate().all(|(place, (at, arc))| {
            (place == 0 || graph.is_core(at))
                && graph.carries(arc.link(), plane)
                && !graph.link(arc.link()).link.drained
                && self.usable(scope, at, arc)
        });
        let is_within = leads && route.delay <= scope.request.delay_max;
        let is_routed = form != PathForm::Ip || self.is_same_topology || ip_route(self.trees(), plane, &route);
        if !is_within || !is_routed {
            return None;
        }
        match self.told(scope, parent, id) {
            Some(pinned) => self.fit_pinned(scope, form, route, pinned).ok(),
            None => self.fit(scope, form, route).ok(),
        }
    }

    /// What the ends were told, while that still leads where it did.
    fn told(&self, scope: &Scope<'_, '_>, parent: &Plan, id: model::PathId) -> Option<Pinned> {
        let steering = |at: &model::NodeName, to: &model::NodeName| {
            let paths = &parent.programs.get(at).filter(|_| self.is_same_topology)?.content.paths;
            let place = paths.binary_search_by(|path| (&path.to, path.id).cmp(&(to, id))).ok()?;
            Some(paths.get(place)?.steering.clone())
        };
        let (a, b) = (scope.pair.from, scope.pair.to);
        Some(Pinned { there: steering(a, b)?, back: steering(b, a)? })
    }

    /// The best pair of paths. The parent's working path is preferred if it does, so that the loss of a backup moves no
    /// traffic.
    pub(crate) fn search(&self, scope: &Scope<'_, '_>, parent: &Plan) -> Option<Chosen> {
        if let Some((working, _)) = self.kept_working(scope, parent)
            && let Some(backup) = self.backup(scope, &working)
        {
            return Some(Chosen { working, backup });
        }
        scope.pair.forms.iter().find_map(|(form, plane)| self.search_form(scope, *form, *plane))
    }

    fn search_form(&self, scope: &Scope<'_, '_>, form: PathForm, plane: Plane) -> Option<Chosen> {
        let usable = |at: usize, arc: Arc| self.usable(scope, at, arc);
        let (from, to, delay_max) = (scope.pair.a, scope.pair.b, scope.request.delay_max);
        let query = Query { plane, from, to, delay_max, usable: &usable };
        let mut alone = None;
        for route in self.candidates(form, query).take(CANDIDATES_MAX) {
            let Ok(working) = self.fit(scope, form, route) else { continue };
            if let Some(backup) = self.backup(scope, &working) {
                return Some(Chosen { working, backup });
            }
            alone.get_or_insert(working);
            // Without a second way for anything, no other working path has one either.
            if !self.has_two_ways(&query) {
                break;
            }
        }
        alone.filter(|_| scope.request.backup.is_none()).map(|working| Chosen { working, backup: None })
    }

    /// The best backup of a working path; `None` if there is none and one is wanted.
    #[allow(clippy::option_option, reason = "no backup is wanted, and no backup is found, are two things")]
    fn backup(&self, scope: &Scope<'_, '_>, working: &Found) -> Option<Option<Found>> {
        let mode = scope.request.backup.unwrap_or(BackupMode::Srlg);
        if mode == BackupMode::None {
            return Some(None);
        }
        let shares = Shares::of(self.graph(), &working.route, mode);
        let (from, to, delay_max) = (scope.pair.a, scope.pair.b, scope.request.delay_max);
        let usable =
            |at: usize, arc: Arc| !shares.includes(self.graph(), arc, scope.pair.b) && self.usable(scope, at, arc);
        scope.pair.forms.iter().filter(|(form, _)| *form == working.form).find_map(|(form, plane)| {
            let query = Query { plane: *plane, from, to, delay_max, usable: &usable };
            let mut routes = self.candidates(*form, query).take(CANDIDATES_MAX);
            routes.find_map(|route| self.fit(scope, *form, route).ok()).map(Some)
        })
    }

    pub(crate) fn candidates<'q>(&self, form: PathForm, query: Query<'q>) -> Candidates<'q, 'g, 'a>
    where
        'c: 'q,
    {
        if form == PathForm::Ip {
            Candidates::routed(self.trees(), &query)
        } else {
            Candidates::pinned(self.trees(), query)
        }
    }

    /// May a path of the slice leave this node over this link? In both directions: a path leads back, too.
    pub(crate) fn usable(&self, scope: &Scope<'_, '_>, at: usize, arc: Arc) -> bool {
        let (graph, request, pair) = (self.graph(), scope.request, scope.pair);
        let line = graph.link(arc.link());
        let affinities = &line.link.affinities;
        let has = |wanted: &[model::AffinityName]| affinities.iter().any(|affinity| wanted.contains(affinity));
        // With the headers that every path of the kind needs; those of what pins it are counted when it is known, and a
        // whole segment list when it is known that a node asks for it.
        let form = pair.forms.first().map_or(PathForm::Ip, |(form, _)| *form);
        let headers = tunnel_octets(request.transport, request.service, form, pair.family, 0, Srh::Reduced);
        let is_long_enough = request.packet_octets == 0
            || pair.forms.len() > 1
            || usize::from(request.packet_octets) + headers <= usize::from(line.mtu);
        let is_allowed = is_long_enough
            && !request.excluded_links.contains(&arc.link())
            && !request.excluded_nodes.contains(&arc.to())
            && (request.included.is_empty() || has(request.included))
            && (request.excluded.is_empty() || !has(request.excluded));
        is_allowed
            && [(at, pair.a, pair.b), (arc.to(), pair.b, pair.a)].into_iter().all(|(near, from, to)| {
                let direction = graph.direction(near, arc.link());
                let needed = request.guaranteed.saturating_mul(scope.hose.times_with(direction, from, to));
                needed <= scope.ledger.room(direction, request.class).left
            })
    }

    /// Pins a path, if the ends can push what pins it and every port on it carries the longest packet with its headers.
    pub(crate) fn fit(&self, scope: &Scope<'_, '_>, form: PathForm, route: Route) -> Result<Found, Unfit> {
        let pinned = self.pinned(form, &route).map_err(Unfit::Unpinnable)?;
        self.fit_pinned(scope, form, route, pinned)
    }

    fn fit_pinned(&self, scope: &Scope<'_, '_>, form: PathForm, route: Route, pinned: Pinned) -> Result<Found, Unfit> {
        let (graph, request) = (self.graph(), scope.request);
        let depths = [(&pinned.there, scope.pair.a), (&pinned.back, scope.pair.b)];
        for (steering, end) in depths {
            let needed = crate::path::depth(steering) + service_depth(request.transport, form);
            let node = graph.node(end);
            let max = if form == PathForm::Srv6 { node.sid_depth_max } else { node.label_depth_max };
            if needed > usize::from(max) && form != PathForm::Ip && !request.any_depth {
                return Err(Unfit::TooDeep { route, end, needed, max: max.into() });
            }
        }
        let (family, depth, srh) = (scope.pair.family, pinned.depth(), route.srh(graph));
        let headers = tunnel_octets(request.transport, request.service, form, family, depth, srh);
        let mtu = route.links.iter().map(|link| usize::from(graph.link(*link as usize).mtu)).min().unwrap_or(0);
        if usize::from(request.packet_octets) + headers > mtu && request.packet_octets > 0 {
            return Err(Unfit::TooLong);
        }
        Ok(Found { route, form, pinned })
    }

    fn pinned(&self, form: PathForm, route: &Route) -> Result<Pinned, Unpinnable> {
        let key = (form, route.clone());
        if let Some(known) = self.pins.borrow().get(&key) {
            return known.clone();
        }
        let pinned = match form {
            PathForm::Ip => {
                use model::program::Steering;
                Ok(Pinned { there: Steering::Ip, back: Steering::Ip })
            }
            PathForm::Srv6 => self.pin.srv6(route),
            PathForm::Mpls => self.pin.mpls(route),
        };
        self.pins.borrow_mut().insert(key, pinned.clone());
        pinned
    }

    /// Are there two paths without a common link, whatever they cost and however long they are?
    fn has_two_ways(&self, query: &Query<'_>) -> bool {
        let graph = self.graph();
        // One path, and then another that may undo parts of it (L. R. Ford, D. R. Fulkerson, 1956).
        let mut flow: HashMap<usize, usize> = HashMap::new();
        for _ in 0..2 {
            let mut came: HashMap<usize, (usize, usize)> = HashMap::new();
            let mut open = std::collections::VecDeque::from([query.from]);
            while let Some(at) = open.pop_front() {
                if at == query.to {
                    break;
                }
                if at != query.from && !graph.is_core(at) {
                    continue;
                }
                for arc in graph.arcs(at) {
                    let line = graph.link(arc.link());
                    let leads = graph.carries(arc.link(), query.plane) && !line.link.drained;
                    // A link that the first path takes may be taken back and not again.
                    let is_free = flow.get(&arc.link()).is_none_or(|from| *from == arc.to());
                    let is_new = arc.to() != query.from && !came.contains_key(&arc.to());
                    if leads && is_free && is_new && (query.usable)(at, *arc) {
                        came.insert(arc.to(), (at, arc.link()));
                        open.push_back(arc.to());
                    }
                }
            }
            let mut at = query.to;
            while at != query.from {
                let Some((from, link)) = came.get(&at).copied() else { return false };
                if flow.remove(&link).is_none() {
                    flow.insert(link, from);
                }
                at = from;
            }
        }
        true
    }
}

/// Which paths the parent has for the pair.
fn way(scope: &Scope<'_, '_>, parent: &Plan) -> Option<Way> {
    let ways = &parent.slices.get(&scope.pair.segment.slice)?.ways;
    ways.get(&(scope.pair.from.clone(), scope.pair.to.clone())).copied()
}

/// Why a path does not do although every link of it would.
pub(crate) enum Unfit {
    Unpinnable(Unpinnable),
    TooDeep { route: Route, end: usize, needed: usize, max: usize },
    TooLong,
}

/// What a backup may not lead over.
pub(crate) struct Shares<'r> {
    route: &'r Route,
    risks: Vec<u32>,
    nodes: &'r [u32],
}

impl<'r> Shares<'r> {
    pub(crate) fn of(graph: &Graph<'_>, route: &'r Route, mode: BackupMode) -> Self {
        let risks = route.links.iter().flat_map(|link| graph.link(*link as usize).risks.iter().copied());
        let between = route.nodes.get(1..route.nodes.len().saturating_sub(1)).unwrap_or_default();
        Self {
            route,
            risks: if mode >= BackupMode::Srlg { risks.collect() } else { Vec::new() },
            nodes: if mode >= BackupMode::Node { between } else { &[] },
        }
    }

    pub(crate) fn includes(&self, graph: &Graph<'_>, arc: Arc, end: usize) -> bool {
        let has = |places: &[u32], place: usize| places.iter().any(|other| *other as usize == place);
        has(&self.route.links, arc.link())
            || graph.link(arc.link()).risks.iter().any(|risk| self.risks.contains(risk))
            || (arc.to() != end && has(self.nodes, arc.to()))
    }
}

/// How many paths are tried for one purpose before it is given up.
pub(crate) const CANDIDATES_MAX: usize = 32;
