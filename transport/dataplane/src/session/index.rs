//! Where each session is: a hash table of 8-octet entries, eight of which share a cache line.

use crate::table::mix;

/// An index from keys to slots. Open addressing, linear probing, no tombstones, never more than half full.
#[derive(Debug)]
pub(super) struct Index {
    /// 0, or 32 bits of the key's hash and, below, the slot plus one.
    entries: Vec<u64>,
    mask: usize,
}

impl Index {
    /// Room for so many.
    pub(super) fn new(max: usize) -> Self {
        let size = (max.max(4) * 2).next_power_of_two();
        Self { entries: vec![0; size], mask: size - 1 }
    }

    /// Reads where a search begins.
    #[inline]
    pub(super) fn touch(&self, key: u64) -> u64 {
        self.entries[self.home(hash(key))]
    }

    /// The slot of a key; `is_it` says whether a slot is the one, asked only where 32 bits of the hash agree.
    #[inline]
    pub(super) fn find(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = hash(key);
        let mut at = self.home(hash);
        // Half of the entries are 0, so this ends.
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            let (tag, slot) = split(entry);
            if tag == hash && is_it(slot) {
                return Some(slot);
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a key that is not there, of which there are fewer than `max`.
    pub(super) fn insert(&mut self, key: u64, slot: u32) {
        let hash = hash(key);
        let mut at = self.home(hash);
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = u64::from(hash) << 32 | (u64::from(slot) + 1);
    }

    /// Takes out a key that is at a slot, and moves up what had probed past it.
    pub(super) fn remove(&mut self, key: u64, slot: u32) {
        let entry = u64::from(hash(key)) << 32 | (u64::from(slot) + 1);
        let mut hole = self.home(hash(key));
        while self.entries[hole] != entry {
            if self.entries[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // An entry may move to the hole if the hole is on its way from home.
            let home = self.home(split(entry).0);
            if at.wrapping_sub(home) & self.mask >= at.wrapping_sub(hole) & self.mask {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }

    /// Where the search for a hash begins. The table has at most 2^32 entries.
    #[inline]
    const fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask
    }
}

#[inline]
const fn hash(key: u64) -> u32 {
    (mix(key, 0) >> 32) as u32
}

/// Hash and slot of an entry that is not 0.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of the entry")]
const fn split(entry: u64) -> (u32, u32) {
    ((entry >> 32) as u32, (entry as u32).wrapping_sub(1))
}

const _: () = assert!((super::SESSIONS_MAX * 2).next_power_of_two() <= 1 << 32);
