//! A hash table of fixed size for the packet path: open addressing, linear probing, no tombstones, never more than half
//! full, all memory taken at the start. No key is further from home than [`PROBES_MAX`], so whoever chooses keys that
//! have one home gets refused, and slows nobody down.

/// A table from 64-bit keys to small values.
#[derive(Debug, Clone)]
pub(crate) struct Table<V> {
    slots: Vec<Slot<V>>,
    mask: usize,
    len: usize,
    max: usize,
}

/// A key and its value side by side, so that a look-up that hits at once touches one place.
#[derive(Debug, Clone, Copy)]
struct Slot<V> {
    key: u64,
    value: V,
}

/// The table holds as many as it may, or as many as it may near that key's home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<V: Copy + Default> Table<V> {
    /// Room for so many.
    pub(crate) fn new(max: usize) -> Self {
        let size = (max.max(4) * 2).next_power_of_two();
        Self { slots: vec![Slot { key: EMPTY, value: V::default() }; size], mask: size - 1, len: 0, max }
    }

    /// How many there are.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Reads the slot where a key's probing begins and the key behind it, for a slot may lie in two cache lines, so that a
    /// later look-up finds it in the cache. The answer is good for nothing but keeping the read.
    #[inline]
    pub(crate) fn touch(&self, key: u64) -> u64 {
        let home = self.home(key);
        self.slots[home].key ^ self.slots[(home + 1) & self.mask].key
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        self.find(key).map(|at| &self.slots[at].value)
    }

    /// Adds or replaces; answers what was there.
    #[inline]
    pub(crate) fn insert(&mut self, key: u64, value: V) -> Result<Option<V>, Full> {
        debug_assert_ne!(key, EMPTY);
        let mut at = self.home(key);
        let mut probes = 1;
        loop {
            let slot = &mut self.slots[at];
            if slot.key == key {
                return Ok(Some(std::mem::replace(&mut slot.value, value)));
            }
            if slot.key == EMPTY {
                break;
            }
            if probes == PROBES_MAX {
                return Err(Full);
            }
            probes += 1;
            at = (at + 1) & self.mask;
        }
        if self.len == self.max {
            return Err(Full);
        }
        self.slots[at] = Slot { key, value };
        self.len += 1;
        Ok(None)
    }

    /// Every key with its value, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.slots.iter().filter(|slot| slot.key != EMPTY).map(|slot| (slot.key, &slot.value))
    }

    /// Replaces the value of a key that is there; answers what was there.
    #[inline]
    pub(crate) fn replace(&mut self, key: u64, value: V) -> Result<Option<V>, Full> {
        match self.find(key) {
            Some(at) => Ok(Some(std::mem::replace(&mut self.slots[at].value, value))),
            None => Err(Full),
        }
    }

    /// Looks at slots from `from` on, wrapping at the end, and takes out those whose value is not to be kept, in `count`
    /// steps. Answers where to go on the next time.
    pub(crate) fn sweep(&mut self, from: usize, count: usize, mut keep: impl FnMut(&V) -> bool) -> usize {
        let mut at = from & self.mask;
        for _ in 0..count {
            let slot = &self.slots[at];
            if slot.key != EMPTY && !keep(&slot.value) {
                // Another may have moved here, so the place is looked at again.
                self.close(at);
            } else {
                at = (at + 1) & self.mask;
            }
        }
        at
    }

    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        let mut at = self.home(key);
        for _ in 0..PROBES_MAX {
            let found = self.slots[at].key;
            if found == key {
                return Some(at);
            }
            if found == EMPTY {
                return None;
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// Empties a slot, and moves up what had probed past it.
    fn close(&mut self, mut hole: usize) {
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let slot = self.slots[at];
            if slot.key == EMPTY {
                break;
            }
            // A slot may move to the hole if the hole is on its way from home.
            let home = self.home(slot.key);
            if at.wrapping_sub(home) & self.mask >= at.wrapping_sub(hole) & self.mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole].key = EMPTY;
    }

    /// Where a key's probing begins.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked to the size of the table")]
    const fn home(&self, key: u64) -> usize {
        mix(key, 0) as usize & self.mask
    }
}

/// A folded multiplication: every bit of the inputs reaches every bit of the result.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of the product are folded")]
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ 0x9e37_79b9_7f4a_7c15) as u128 * (b ^ 0xd1b5_4a32_d192_ed03) as u128;
    (product >> 64) as u64 ^ product as u64
}

/// How many slots a key is looked for in. A half-full table of 131,072 slots is expected to have no key further than about
/// 60 from home.
const PROBES_MAX: usize = 256;
/// No key is this.
const EMPTY: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u32),
        Sweep(usize, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u64..40, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            1 => (any::<usize>(), any::<u32>()).prop_map(|(from, least)| Step::Sweep(from, least)),
        ]
    }

    #[test]
    fn keys_of_one_home_take_no_more_than_their_neighbourhood() {
        let mut table = Table::<u32>::new(1_024);
        let (empty, home) = (Table::<u32>::new(1_024), table.home(1));
        let mut colliding = (0..).filter(|key| empty.home(*key) == home);
        let (kept, one_more): (Vec<u64>, _) = (colliding.by_ref().take(PROBES_MAX).collect(), colliding.next());
        for key in &kept {
            assert_eq!(table.insert(*key, 7), Ok(None));
        }
        let one_more = one_more.unwrap();
        assert_eq!((table.insert(one_more, 7), table.get(one_more)), (Err(Full), None));
        assert!(kept.iter().all(|key| table.get(*key) == Some(&7)));
        // When one goes, there is room for another.
        table.sweep(home, 1, |_| false);
        assert_eq!((table.insert(one_more, 8), table.get(one_more)), (Ok(None), Some(&8)));
    }

    proptest! {
        /// Against the standard library's map, with few keys so that they collide and are removed often.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec(step(), 0..300)) {
            let mut table = Table::<u32>::new(16);
            let mut map = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        let full = map.len() == 16 && !map.contains_key(&key);
                        let expected = if full { Err(Full) } else { Ok(map.insert(key, value)) };
                        prop_assert_eq!(table.insert(key, value), expected);
                    }
                    // 32 slots, and 16 that are taken out.
                    Step::Sweep(from, least) => {
                        table.sweep(from, 32 + 16, |value| *value >= least);
                        map.retain(|_, value| *value >= least);
                    }
                }
                prop_assert_eq!(table.len, map.len());
                for key in 0..40 {
                    prop_assert_eq!(table.get(key), map.get(&key));
                }
            }
        }
    }
}
