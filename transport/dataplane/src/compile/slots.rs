//! Small numbers for names: kept while the name stays, and then at rest for as long as possible.

use std::collections::{BTreeMap, BTreeSet};

/// Which slot belongs to which name.
#[derive(Debug, Clone)]
pub(super) struct Slots<K> {
    taken: BTreeMap<K, u16>,
    /// By slot.
    is_taken: Vec<bool>,
    next: u16,
}

impl<K: Ord + Clone> Slots<K> {
    /// So many slots; there must be more than there are ever names.
    pub(super) fn new(slots: u16) -> Self {
        Self { taken: BTreeMap::new(), is_taken: vec![false; usize::from(slots)], next: 0 }
    }

    /// Gives slots to names that are new, and takes back those of names that are gone. The one that rested longest comes
    /// first.
    pub(super) fn assign(&mut self, names: &BTreeSet<&K>) {
        let Self { taken, is_taken, next } = self;
        taken.retain(|name, slot| {
            let stays = names.contains(name);
            is_taken[usize::from(*slot)] = stays;
            stays
        });
        for name in names {
            if !taken.contains_key(*name) {
                // There are more slots than names.
                while is_taken[usize::from(*next)] {
                    *next = after(*next, is_taken.len());
                }
                is_taken[usize::from(*next)] = true;
                taken.insert((*name).clone(), *next);
                *next = after(*next, is_taken.len());
            }
        }
    }

    /// The slot of a name that was assigned one.
    pub(super) fn get(&self, name: &K) -> u16 {
        self.taken.get(name).copied().unwrap_or_default()
    }

    /// Behind the last slot that is taken.
    pub(super) fn end(&self) -> usize {
        self.is_taken.iter().rposition(|taken| *taken).map_or(0, |last| last + 1)
    }
}

const fn after(slot: u16, slots: usize) -> u16 {
    if slot as usize + 1 < slots { slot + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stays_with_its_name_and_then_rests_longest() {
        let mut slots = Slots::new(4);
        slots.assign(&BTreeSet::from([&"a", &"b"]));
        assert_eq!((slots.get(&"a"), slots.get(&"b"), slots.end()), (0, 1, 2));
        slots.assign(&BTreeSet::from([&"b"]));
        slots.assign(&BTreeSet::from([&"b", &"c"]));
        // Not the one that has just become free.
        assert_eq!((slots.get(&"b"), slots.get(&"c"), slots.end()), (1, 2, 3));
        slots.assign(&BTreeSet::from([&"b", &"c", &"d"]));
        slots.assign(&BTreeSet::from([&"c", &"d"]));
        slots.assign(&BTreeSet::from([&"c", &"d", &"e"]));
        assert_eq!((slots.get(&"d"), slots.get(&"e"), slots.end()), (3, 0, 4));
    }
}
