//! Which paths slices take, and what that books.

mod choose;
mod hose;
mod ids;
mod nearest;
mod ports;
mod request;

use std::collections::BTreeMap;

use model::plan::{Booking, LinkDirection, Path, PathKey, Plan, Way};
use model::{NodeName, Rate, SliceName};

use crate::path::{Graph, Pinned};
use crate::refusal::Refusal;
use crate::underlay::Underlay;
use crate::wish::SliceWish;

pub(crate) use choose::Chooser;

use choose::Chosen;
use hose::{Hose, Ledger};
use ids::Ids;
use ports::Ports;
use request::{Pair, Request};

/// What was decided.
#[derive(Default)]
pub(crate) struct Ways {
    pub(crate) paths: BTreeMap<PathKey, Path>,
    /// The same paths, ready to be told to edges.
    pub(crate) laid: BTreeMap<PathKey, Laid>,
    pub(crate) taken: BTreeMap<SliceName, BTreeMap<(NodeName, NodeName), Way>>,
    pub(crate) bookings: BTreeMap<LinkDirection, BTreeMap<SliceName, Booking>>,
}

/// A path as the two ends must know it.
pub(crate) struct Laid {
    pub(crate) route: crate::path::Route,
    pub(crate) family: crate::refusal::Family,
    pub(crate) pinned: Pinned,
    pub(crate) mtu: u16,
}

/// How much work a plan was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// How many times a path was looked for.
    pub searches: u64,
    /// How many slices kept all the paths that they had.
    pub kept: u64,
}

/// Finds paths for every slice, and books them. Slices that keep what they have come first, then those that need no
/// more than they had (what of it takes over from paths that seem to be down is kept for them), then the rest: a newcomer is refused and not one that was there before. What is refused books
/// nothing.
pub(crate) fn ways(
    chooser: &Chooser<'_, '_, '_>,
    slices: &[SliceWish<'_>],
    underlay: &Underlay<'_>,
    parent: &Plan,
    retry: bool,
    refusals: &mut Vec<Refusal>,
) -> (Ways, Effort) {
    let graph = chooser.graph();
    let mut requests = Vec::new();
    for slice in slices {
        let found = request::request(slice, graph, underlay, chooser.kind, refusals);
        requests.extend(found.map(|(request, pairs)| Wanted { slice, request, pairs }));
    }
    let before = Before::of(parent);
    let (old, new): (Vec<_>, Vec<_>) = requests.iter().partition(|wanted| before.covers(wanted, parent));
    let mut books = Books {
        ledger: Ledger::new(graph),
        ports: Ports::new(underlay),
        ids: Ids::of(parent),
        ways: Ways::default(),
        booked: vec![Vec::new(); graph.links().len() * 2],
        kept: 0,
    };
    let mut moved = Vec::new();
    for wanted in old {
        let keeps = chooser.keep(&wanted.request, &wanted.pairs, parent, &books.ledger, retry);
        match keeps.filter(|_| books.ports.check(wanted.slice).is_empty()) {
            Some((chosen, hose)) => {
                books.kept += 1;
                books.book(graph, wanted, chosen, &hose);
            }
            None => moved.push(wanted),
        }
    }
    // Before any is looked for anew: a backup that takes over is there already, and nobody else may have it.
    let has_suspects = graph.links().iter().any(|line| line.is_suspect);
    let (mut searched, mut swapped) = (Vec::new(), Vec::new());
    for wanted in moved {
        let hold = || chooser.hold(&wanted.request, &wanted.pairs, parent, &books.ledger, retry);
        match has_suspects.then(hold).flatten() {
            Some((hose, is_whole)) => {
                books.hold(wanted, &hose);
                if is_whole { &mut swapped } else { &mut searched }.push((wanted, Some(hose)));
            }
            None => searched.push((wanted, None)),
        }
    }
    let new = new.into_iter().map(|wanted| (wanted, None));
    for (wanted, held) in searched.into_iter().chain(swapped).chain(new) {
        if let Some(hose) = held {
            books.release(wanted, &hose);
        }
        let mut found = books.ports.check(wanted.slice);
        match chooser.choose(&wanted.request, &wanted.pairs, parent, &books.ledger, retry) {
            Ok((chosen, hose)) if found.is_empty() => books.book(graph, wanted, chosen, &hose),
            Ok(_) => {}
            Err(failed) => {
                found.extend(nearest::explain(chooser, wanted.slice, &wanted.request, &failed, parent, &books.ledger));
            }
        }
        refusals.extend(found);
    }
    let effort = Effort { searches: chooser.trees().searches.get(), kept: books.kept };
    books.ways.bookings = bookings(graph, books.booked);
    (books.ways, effort)
}

fn bookings(
    graph: &Graph<'_>,
    booked: Vec<Vec<(&SliceName, Booking)>>,
) -> BTreeMap<LinkDirection, BTreeMap<SliceName, Booking>> {
    let named = booked.into_iter().enumerate().filter(|(_, slices)| !slices.is_empty()).map(|(direction, slices)| {
        let line = graph.link(direction / 2);
        let from = if direction % 2 == 0 { &line.link.a } else { &line.link.b };
        let direction = LinkDirection { link: line.link.name.clone(), from: from.node.clone() };
        (direction, slices.into_iter().map(|(slice, booking)| (slice.clone(), booking)).collect())
    });
    named.collect()
}

/// A slice that wants paths.
struct Wanted<'w, 'a> {
    slice: &'w SliceWish<'a>,
    request: Request<'a>,
    pairs: Vec<Pair<'a>>,
}

/// What is booked so far.
struct Books<'b, 'a> {
    ledger: Ledger,
    ports: Ports<'b, 'a>,
    ids: Ids<'b>,
    ways: Ways,
    /// By direction.
    booked: Vec<Vec<(&'b SliceName, Booking)>>,
    kept: u64,
}

impl<'b, 'a: 'b> Books<'b, 'a> {
    /// Keeps room for a slice until it is booked.
    fn hold(&mut self, wanted: &Wanted<'b, 'a>, hose: &Hose) {
        for (direction, _, total) in hose.needs(wanted.request.guaranteed) {
            self.ledger.book(direction, wanted.request.class, total);
        }
    }

    fn release(&mut self, wanted: &Wanted<'b, 'a>, hose: &Hose) {
        for (direction, _, total) in hose.needs(wanted.request.guaranteed) {
            self.ledger.release(direction, wanted.request.class, total);
        }
    }

    fn book(&mut self, graph: &Graph<'_>, wanted: &Wanted<'b, 'a>, chosen: Vec<Chosen>, hose: &Hose) {
        let (name, request) = (wanted.slice.name, &wanted.request);
        self.ports.book(wanted.slice);
        for (direction, working, total) in hose.needs(request.guaranteed) {
            self.ledger.book(direction, request.class, total);
            let rate = Rate::from_bits_per_second;
            let booking = Booking { class: request.class, working: rate(working), backup: rate(total - working) };
            if total > 0 {
                self.booked[direction].push((name, booking));
            }
        }
        for (pair, chosen) in wanted.pairs.iter().zip(chosen) {
            let ends = (pair.from.clone(), pair.to.clone());
            let mut lay = |laid: choose::Found| {
                let links: Vec<_> =
                    laid.route.links.iter().map(|link| graph.link(*link as usize).link.name.clone()).collect();
                let delay = model::Latency::from_nanos(laid.route.delay);
                let path = Path { links, delay, form: laid.form };
                let id = self.ids.id(&ends, &path)?;
                let key = PathKey { a: ends.0.clone(), b: ends.1.clone(), id };
                let mtu = laid.route.links.iter().map(|link| graph.link(*link as usize).mtu).min().unwrap_or(0);
                self.ways.paths.insert(key.clone(), path);
                let (route, pinned) = (laid.route, laid.pinned);
                self.ways.laid.entry(key).or_insert(Laid { route, family: pair.family, pinned, mtu });
                Some(id)
            };
            let (working, backup) = (lay(chosen.working), chosen.backup.and_then(&mut lay));
            if let Some(working) = working {
                self.ways.taken.entry(name.clone()).or_default().insert(ends, Way { working, backup });
            }
        }
    }
}

/// What slices had in the plan before.
struct Before<'p> {
    rates: BTreeMap<&'p SliceName, Rate>,
    ports: BTreeMap<(&'p NodeName, &'p model::PortName, &'p SliceName), u64>,
}

impl<'p> Before<'p> {
    fn of(parent: &'p Plan) -> Self {
        let (mut rates, mut ports) = (BTreeMap::new(), BTreeMap::new());
        for (edge, slice) in parent.programs.iter().flat_map(|(e, p)| p.content.slices.iter().map(move |s| (e, s))) {
            rates.insert(&slice.slice, slice.limits.guaranteed());
            for circuit in &slice.circuits {
                *ports.entry((edge, &circuit.port, &slice.slice)).or_default() += 1;
            }
        }
        Self { rates, ports }
    }

    /// Did the slice have at least as much everywhere?
    fn covers(&self, wanted: &Wanted<'_, '_>, parent: &Plan) -> bool {
        let (name, slice) = (wanted.slice.name, wanted.slice);
        let rate = slice.derived.limits.guaranteed();
        let had = self.rates.get(name).is_some_and(|had| rate <= *had);
        let ways = parent.slices.get(name).map(|slice| &slice.ways);
        let has_way =
            |pair: &Pair<'_>| ways.is_some_and(|ways| ways.contains_key(&(pair.from.clone(), pair.to.clone())));
        let mut ports: BTreeMap<_, u64> = BTreeMap::new();
        for sdp in &slice.spec.sdps {
            *ports.entry((&sdp.edge, &sdp.port, name)).or_default() += 1;
        }
        let covered = ports.iter().all(|(port, count)| self.ports.get(port).is_some_and(|had| count <= had));
        had && covered && wanted.pairs.iter().all(has_way)
    }
}
