//! Sharing by weight among any number of siblings in constant time: start-time fair queueing (Goyal, Vin and Cheng, 1996) with the
//! siblings in buckets of virtual time, the first of which is found by bits.
//!
//! Virtual time counts octets for each unit of weight. A sibling is served at its start tag and its next start tag lies
//! behind by what it sent, divided by its weight. A bucket is [`BUCKET_OCTETS`] of virtual time wide and first in, first
//! out inside, so that between two siblings that both wait, the service for each unit of weight differs by no more than a
//! turn of either (a frame, or several short ones) and two buckets.

use super::bits::Bits;
use super::spec::{CLASSES, WEIGHT_MAX};

/// Who waits for a share of what is left over.
#[derive(Debug)]
pub(super) struct Calendar {
    /// The last of each bucket's list, which is a circle.
    tails: Box<[u32]>,
    bits: Bits,
    /// Where the bucket begins from which was served last: inside a bucket the tags are in no order, so none of it is past.
    now: Tag,
}

/// A moment of virtual time, in 2^-32 of an octet at weight 1. Wraps; two that are compared lie less than half of the range
/// apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    /// The beginning.
    pub(super) const ZERO: Self = Self(0);

    /// So many octets on, at a weight.
    #[inline]
    pub(super) const fn after(self, octets: u32, weight: Inverse) -> Self {
        Self(self.0.wrapping_add((octets as u64).wrapping_mul(weight.0)))
    }

    /// Where one starts that finished here: not before now. A tag that is more than a frame ahead is from so long ago that
    /// it has wrapped.
    #[inline]
    pub(super) const fn resumed(self, now: Self) -> Self {
        if self.0.wrapping_sub(now.0) <= SPAN { self } else { now }
    }

    /// The later of two.
    #[inline]
    pub(super) const fn max(self, other: Self) -> Self {
        if other.since(self) > 0 { other } else { self }
    }

    /// How much later this one is than another; less than 0, if it is earlier.
    #[inline]
    pub(super) const fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

/// One divided by a weight, in 2^-32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Inverse(u64);

impl Inverse {
    /// Of a weight; 0 counts as 1.
    pub(super) const fn of(weight: u32) -> Self {
        let weight = if weight == 0 { 1 } else { weight as u64 };
        Self(((1 << 32) + weight / 2) / weight)
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self { tails: vec![NONE; BUCKETS].into(), bits: Bits::new(BUCKETS), now: Tag(0) }
    }
}

impl Calendar {
    /// Puts one in that is not in it; `links` has a place for each sibling. Answers its start tag.
    #[inline]
    pub(super) fn insert(&mut self, who: u32, finished: Tag, links: &mut [u32]) -> Tag {
        let start = finished.resumed(self.now);
        let bucket = start.bucket();
        let tail = std::mem::replace(&mut self.tails[bucket], who);
        if tail == NONE {
            links[who as usize] = who;
            self.bits.insert(bucket);
        } else {
            links[who as usize] = std::mem::replace(&mut links[tail as usize], who);
        }
        start
    }

    /// Takes the first one.
    #[inline]
    pub(super) fn pop(&mut self, links: &mut [u32]) -> Option<u32> {
        let (bucket, tail) = self.first()?;
        let first = links[tail as usize];
        if first == tail {
            self.tails[bucket] = NONE;
            self.bits.remove(bucket);
        } else {
            links[tail as usize] = links[first as usize];
        }
        Some(first)
    }

    /// The first ones of the first bucket, as many as fit.
    #[inline]
    pub(super) fn peek(&self, links: &[u32], first: &mut [u32]) -> usize {
        let Some((_, tail)) = self.first().filter(|_| !first.is_empty()) else { return 0 };
        let mut who = tail;
        for (count, place) in first.iter_mut().enumerate() {
            who = links[who as usize];
            *place = who;
            if who == tail {
                return count + 1;
            }
        }
        first.len()
    }

    /// The first bucket that has somebody, and its last one. Mostly it is the present one.
    #[inline]
    fn first(&self) -> Option<(usize, u32)> {
        let now = self.now.bucket();
        if self.tails[now] != NONE {
            return Some((now, self.tails[now]));
        }
        let bucket = self.bits.next_round(now)?;
        Some((bucket, self.tails[bucket]))
    }

    /// Virtual time has come to the start tag of one that is served.
    #[inline]
    pub(super) fn reached(&mut self, start: Tag) {
        self.now = self.now.max(Tag(start.0 & !BUCKET_MASK));
    }

    /// One is served at once that finished here before, while nobody waits. Answers its start tag.
    #[inline]
    pub(super) fn pass(&mut self, finished: Tag) -> Tag {
        let start = finished.resumed(self.now);
        self.reached(start);
        start
    }

    /// Is there nobody?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// What it takes in memory, in octets.
    pub(super) fn octets(&self) -> usize {
        self.tails.len() * 4 + self.bits.octets()
    }
}

impl Tag {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    const fn bucket(self) -> usize {
        (self.0 >> BUCKET_BITS) as usize & (BUCKETS - 1)
    }
}

/// One by each weight, and by each sum of the weights of a segment's classes.
pub(super) static INVERSES: [Inverse; CLASSES * WEIGHT_MAX as usize + 1] = {
    let mut inverses = [Inverse::of(1); CLASSES * WEIGHT_MAX as usize + 1];
    let mut weight = 1;
    while weight < inverses.len() {
        #[allow(clippy::cast_possible_truncation, reason = "at most 1,300")]
        let inverse = Inverse::of(weight as u32);
        inverses[weight] = inverse;
        weight += 1;
    }
    inverses
};

const NONE: u32 = u32::MAX;
const BUCKETS: usize = 1_024;
/// The width of a bucket: octets of a sibling of weight 1.
pub(super) const BUCKET_OCTETS: u32 = 16;

const BUCKET_BITS: u32 = 32 + BUCKET_OCTETS.trailing_zeros();
const BUCKET_MASK: u64 = (1 << BUCKET_BITS) - 1;
/// The farthest that a tag is ahead: the longest frame at weight 1.
const SPAN: u64 = (super::FRAME_OCTETS_MOST as u64) << 32;

// All tags lie within one frame of weight 1 from the present.
const _: () = assert!((super::FRAME_OCTETS_MOST as usize) < (BUCKETS - 1) * BUCKET_OCTETS as usize);
