//! What slices need on links, and what is left there.
//!
//! Links are booked by the hose model: each SDP may send its guarantee to any other, so over one direction of a link a
//! slice needs its guarantee times the number of SDPs that can send over it, or of those that can be reached over it,
//! whichever is smaller. No traffic that keeps to its guarantees needs more. Whichever paths are down, what crosses a
//! link is on a working or a backup path over it: the hose of all of them together is enough for every failure.
//! Capacities count what rates count: the frames of devices, without tunnel headers.

use std::collections::{BTreeMap, BTreeSet};

use model::Share;
use model::profile::QueueClass;

use crate::path::{Graph, Route};

/// What is booked in each direction of each link.
pub(crate) struct Ledger {
    directions: Vec<Direction>,
}

#[derive(Clone)]
struct Direction {
    capacity: u64,
    booked: u64,
    /// What each class may take.
    classes: [u64; QueueClass::ALL.len()],
    classes_booked: [u64; QueueClass::ALL.len()],
}

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Room {
    pub(crate) left: u64,
    /// The class has less left than the link.
    pub(crate) is_class: bool,
}

impl Ledger {
    pub(crate) fn new(graph: &Graph<'_>) -> Self {
        let directions = graph.links().iter().flat_map(|line| {
            let share = |class| line.link.classes.get(&class).copied().unwrap_or(Share::WHOLE);
            let direction = Direction {
                capacity: line.link.capacity.bits_per_second(),
                booked: 0,
                classes: QueueClass::ALL.map(|class| line.link.capacity.share(share(class)).bits_per_second()),
                classes_booked: [0; QueueClass::ALL.len()],
            };
            [direction.clone(), direction]
        });
        Self { directions: directions.collect() }
    }

    pub(crate) fn room(&self, direction: usize, class: QueueClass) -> Room {
        let Some(at) = self.directions.get(direction) else { return Room { left: 0, is_class: false } };
        let of_link = at.capacity.saturating_sub(at.booked);
        let of_class = at.classes[class as usize].saturating_sub(at.classes_booked[class as usize]);
        Room { left: of_link.min(of_class), is_class: of_class < of_link }
    }

    pub(crate) fn book(&mut self, direction: usize, class: QueueClass, rate: u64) {
        if let Some(at) = self.directions.get_mut(direction) {
            at.booked = at.booked.saturating_add(rate);
            let booked = &mut at.classes_booked[class as usize];
            *booked = booked.saturating_add(rate);
        }
    }

    /// Takes back what was booked.
    pub(crate) fn release(&mut self, direction: usize, class: QueueClass, rate: u64) {
        if let Some(at) = self.directions.get_mut(direction) {
            at.booked = at.booked.saturating_sub(rate);
            let booked = &mut at.classes_booked[class as usize];
            *booked = booked.saturating_sub(rate);
        }
    }
}

/// Who sends over which links, in one slice.
#[derive(Clone)]
pub(crate) struct Hose {
    /// How many SDPs are on each edge.
    sdps: BTreeMap<usize, u64>,
    directions: BTreeMap<usize, Crossing>,
}

/// What crosses a link in one direction.
#[derive(Clone, Default)]
struct Crossing {
    working: Ends,
    all: Ends,
}

#[derive(Clone, Default)]
struct Ends {
    sources: BTreeSet<usize>,
    sinks: BTreeSet<usize>,
}

impl Hose {
    pub(crate) fn new(sdps: BTreeMap<usize, u64>) -> Self {
        Self { sdps, directions: BTreeMap::new() }
    }

    /// How many times its guarantee the slice would need here if one edge sent to another over it, too.
    pub(crate) fn times_with(&self, direction: usize, from: usize, to: usize) -> u64 {
        let sum = |ends: Option<&BTreeSet<usize>>, one: usize| {
            let others = ends.into_iter().flatten().filter(|end| **end != one);
            others.chain([&one]).map(|end| self.sdps_on(*end)).sum::<u64>()
        };
        let all = self.directions.get(&direction).map(|crossing| &crossing.all);
        sum(all.map(|all| &all.sources), from).min(sum(all.map(|all| &all.sinks), to))
    }

    fn sdps_on(&self, edge: usize) -> u64 {
        self.sdps.get(&edge).copied().unwrap_or_default()
    }

    /// Lays a path, there and back.
    pub(crate) fn lay(&mut self, graph: &Graph<'_>, route: &Route, is_working: bool) {
        let (from, to) = (route.nodes.first().map_or(0, |node| *node as usize), route.end());
        for (near, arc) in route.hops() {
            for (at, source, sink) in [(near, from, to), (arc.to(), to, from)] {
                let crossing = self.directions.entry(graph.direction(at, arc.link())).or_default();
                let parts = [Some(&mut crossing.all), is_working.then_some(&mut crossing.working)];
                for ends in parts.into_iter().flatten() {
                    ends.sources.insert(source);
                    ends.sinks.insert(sink);
                }
            }
        }
    }

    /// What is needed in each direction: by working paths, and by all.
    pub(crate) fn needs(&self, guaranteed: u64) -> impl Iterator<Item = (usize, u64, u64)> {
        self.directions.iter().map(move |(direction, crossing)| {
            let need = |ends: &Ends| {
                let sum = |edges: &BTreeSet<usize>| edges.iter().map(|edge| self.sdps_on(*edge)).sum::<u64>();
                guaranteed.saturating_mul(sum(&ends.sources).min(sum(&ends.sinks)))
            };
            (*direction, need(&crossing.working), need(&crossing.all))
        })
    }
}
