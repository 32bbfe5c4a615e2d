//! Bookings: is there room for what slices are promised, whichever of their paths is down?

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::plan::{LinkDirection, PathKey};
use model::profile::QueueClass;
use model::{LinkName, NodeName, PathId, Rate, Share, SliceName};

use super::numbers::NEARLY_PERCENT;
use super::{Audit, Finding};

/// What a slice needs on a link in one direction, in bit/s: by working paths, and by all.
type Need = (u128, u128);

impl<'a> Audit<'a> {
    /// For every link and direction: who may send over it at once, who may receive, and the smaller of the two; of
    /// working paths, and of all.
    pub(super) fn bookings(&mut self) {
        let mut expected: BTreeMap<LinkDirection, BTreeMap<&'a SliceName, Need>> = BTreeMap::new();
        for slice in self.plan.slices.keys() {
            let [working, all] = [false, true].map(|with_backups| self.crossing(slice, with_backups));
            for ((link, from), pairs) in &all {
                let direction = LinkDirection { link: (*link).clone(), from: (*from).clone() };
                let working = working.get(&(*link, *from)).map_or(0, |pairs| self.hose(slice, pairs));
                expected.entry(direction).or_default().insert(slice, (working, self.hose(slice, pairs)));
            }
        }
        let none = BTreeMap::new();
        let directions: BTreeSet<&LinkDirection> = self.plan.bookings.keys().chain(expected.keys()).collect();
        let mut found = Vec::new();
        for direction in directions {
            let booked = self.plan.bookings.get(direction).unwrap_or(&none);
            let needs = expected.get(direction);
            let slices: BTreeSet<&SliceName> =
                booked.keys().chain(needs.into_iter().flat_map(|needs| needs.keys().copied())).collect();
            let mut classes: BTreeMap<QueueClass, u128> = BTreeMap::new();
            for slice in slices {
                let (working, all) = needs.and_then(|needs| needs.get(slice)).copied().unwrap_or_default();
                let class = self.class(slice);
                let held = booked.get(slice);
                let (held_working, held_all) =
                    held.map_or((Rate::ZERO, Rate::ZERO), |held| (held.working, held.total()));
                let (slice, direction) = (slice.clone(), direction.clone());
                if held_all != rate(all) {
                    found.push(Finding::BookingDiffers { slice, direction, found: held_all, expected: rate(all) });
                } else if held_working != rate(working) || held.is_some_and(|held| Some(held.class) != class) {
                    found.push(Finding::BookingSplit { slice, direction });
                }
                if let Some(class) = class {
                    *classes.entry(class).or_default() += all;
                }
            }
            let sum = rate(needs.into_iter().flat_map(BTreeMap::values).map(|(_, all)| all).sum());
            let link = self.links.get(&direction.link);
            let capacity = link.map_or(Rate::ZERO, |link| link.capacity);
            if sum > capacity {
                found.push(Finding::LinkOverbooked { direction: direction.clone(), booked: sum, capacity });
            }
            for (class, booked) in classes {
                let share = link.and_then(|link| link.classes.get(&class)).copied().unwrap_or(Share::WHOLE);
                if booked * 10_000 > u128::from(capacity.bits_per_second()) * u128::from(share.basis_points()) {
                    let (direction, booked) = (direction.clone(), rate(booked));
                    found.push(Finding::ClassOverbooked { direction, class, booked, share });
                }
            }
        }
        self.errors(found);
        self.nearly_full(&expected);
    }

    /// The class of a slice's guarantee: that of its template's default 5QI.
    fn class(&self, slice: &SliceName) -> Option<QueueClass> {
        let template = self.template(self.intents.slices.get(slice)?)?;
        self.catalog.classes().get(template.spec.default_five_qi).map(|row| row.queue)
    }

    /// The ordered pairs of edges of a slice whose paths cross each link, by the node from which it is entered.
    pub(super) fn crossing(
        &self,
        slice: &SliceName,
        with_backups: bool,
    ) -> HashMap<(&'a LinkName, &'a NodeName), BTreeSet<(&'a NodeName, &'a NodeName)>> {
        let mut crossing: HashMap<_, BTreeSet<_>> = HashMap::new();
        let ways = self.plan.slices.get(slice).into_iter().flat_map(|plan| &plan.ways);
        for ((a, b), way) in ways {
            let ids: Vec<PathId> = std::iter::once(way.working).chain(way.backup.filter(|_| with_backups)).collect();
            for id in ids {
                let mut at = a;
                let key = PathKey { a: a.clone(), b: b.clone(), id };
                for name in self.plan.paths.get(&key).into_iter().flat_map(|path| &path.links) {
                    let Some(link) = self.links.get(name).copied() else { continue };
                    let far = if link.a.node == *at { &link.b.node } else { &link.a.node };
                    crossing.entry((name, at)).or_default().insert((a, b));
                    crossing.entry((name, far)).or_default().insert((b, a));
                    at = far;
                }
            }
        }
        crossing
    }

    /// What the senders of these pairs may send, or their receivers receive, together.
    fn hose(&self, slice: &SliceName, pairs: &BTreeSet<(&NodeName, &NodeName)>) -> u128 {
        let of = |edge: &NodeName| {
            self.slices.get(&(slice, edge)).map_or(0, |program| {
                u128::from(program.limits.guaranteed().bits_per_second()) * program.circuits.len() as u128
            })
        };
        let sum = |edges: BTreeSet<&NodeName>| -> u128 { edges.into_iter().map(of).sum() };
        let senders = sum(pairs.iter().map(|(from, _)| *from).collect());
        senders.min(sum(pairs.iter().map(|(_, to)| *to).collect()))
    }

    fn nearly_full(&mut self, expected: &BTreeMap<LinkDirection, BTreeMap<&SliceName, Need>>) {
        let mut fuller: BTreeMap<&LinkName, u128> = BTreeMap::new();
        for (direction, slices) in expected {
            let booked = fuller.entry(&direction.link).or_default();
            *booked = (*booked).max(slices.values().map(|(_, all)| all).sum());
        }
        for (link, booked) in fuller {
            let capacity = self.links.get(link).map_or(Rate::ZERO, |link| link.capacity);
            if booked * 100 >= u128::from(capacity.bits_per_second()) * u128::from(NEARLY_PERCENT) {
                self.warning(Finding::LinkNearlyFull { link: link.clone(), booked: rate(booked), capacity });
            }
        }
    }
}

fn rate(bits: u128) -> Rate {
    Rate::from_bits_per_second(u64::try_from(bits).unwrap_or(u64::MAX))
}
