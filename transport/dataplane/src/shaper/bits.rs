//! A set of small numbers that is asked for its next member: a bit each, and a summary bit for each word, up to four levels
//! of 64 (find first set, as in Eiffel, NSDI 2019).

/// A set of the numbers below a size that is fixed when it is made.
#[derive(Debug)]
pub(super) struct Bits {
    /// The words of each level, one level after the other, the largest first.
    words: Box<[u64]>,
    /// Where each level begins.
    starts: [u32; LEVELS_MAX],
    levels: usize,
}

impl Bits {
    /// None of the numbers below `size`, which is at most 64^4.
    pub(super) fn new(size: usize) -> Self {
        let (mut starts, mut levels, mut words, mut left) = ([0; LEVELS_MAX], 0, 0, size);
        while levels < LEVELS_MAX {
            left = left.div_ceil(64);
            #[allow(clippy::cast_possible_truncation, reason = "at most 64^3 + 64^2 + 65")]
            let start = words as u32;
            starts[levels] = start;
            words += left;
            levels += 1;
            if left <= 1 {
                break;
            }
        }
        Self { words: vec![0; words].into(), starts, levels }
    }

    /// Puts a number in.
    #[inline]
    pub(super) fn insert(&mut self, number: usize) {
        let mut at = number;
        for start in &self.starts[..self.levels] {
            let word = &mut self.words[*start as usize + at / 64];
            let was = *word;
            *word = was | 1 << (at % 64);
            if was != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// Takes a number out.
    #[inline]
    pub(super) fn remove(&mut self, number: usize) {
        let mut at = number;
        for start in &self.starts[..self.levels] {
            let word = &mut self.words[*start as usize + at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The first member that is not below a number.
    #[inline]
    pub(super) fn first_from(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for level in 0..self.levels {
            let start = self.starts[level] as usize;
            let end = if level + 1 < self.levels { self.starts[level + 1] as usize } else { self.words.len() };
            let word = start + at / 64;
            if word >= end {
                return None;
            }
            let found = self.words[word] >> (at % 64);
            if found != 0 {
                let mut first = at + found.trailing_zeros() as usize;
                for below in (0..level).rev() {
                    let word = self.words[self.starts[below] as usize + first];
                    first = first * 64 + word.trailing_zeros() as usize;
                }
                return Some(first);
            }
            at = at / 64 + 1;
        }
        None
    }

    /// The first member from a number on, going round at the end.
    #[inline]
    pub(super) fn next_round(&self, number: usize) -> Option<usize> {
        self.first_from(number).or_else(|| self.first_from(0))
    }

    /// Has it no member?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // The last level is one word.
        self.words.last().is_none_or(|word| *word == 0)
    }

    /// What it takes in memory, in octets.
    pub(super) fn octets(&self) -> usize {
        self.words.len() * 8
    }
}

const LEVELS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside an ordered set of the standard library.
        #[test]
        fn it_is_a_set(
            size in prop::sample::select(vec![1_usize, 64, 65, 1_024, 4_096, 300_000]),
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..300),
        ) {
            let (mut bits, mut set) = (Bits::new(size), BTreeSet::new());
            for (put, index) in steps {
                let number = index.index(size);
                if put {
                    bits.insert(number);
                    set.insert(number);
                } else {
                    bits.remove(number);
                    set.remove(&number);
                }
                for from in [0, number, size - 1] {
                    prop_assert_eq!(bits.first_from(from), set.range(from..).next().copied());
                    prop_assert_eq!(
                        bits.next_round(from),
                        set.range(from..).next().or_else(|| set.first()).copied()
                    );
                }
            }
        }
    }
}
