//! What a slice and a segment have in common: a place among siblings, with a guarantee, a ceiling and a weight.
//!
//! ```text
//!                 ceiling not yet due ── waits in the wheel
//!   has frames ──┤
//!                 ceiling due ──┬── low latency ──────────────────────── ring, served first
//!                               ├── guarantee due ────────────────────── ring, served next
//!                               └── guarantee not yet due, may borrow ── calendar, served by weight; waits in the wheel, too
//! ```

use model::Rate;

use super::calendar::{Calendar, INVERSES, Tag};
use super::pace::{CEILING_CREDIT_LEAST, Due, GUARANTEE_CREDIT_LEAST, Pace, Tolerance};
use super::read::Runs;
use super::ring::Ring;
use super::spec::Shape;

/// One cache line: all that decides whether and when a slice or a segment is served. `T` is what only one of them has.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Share<T> {
    pub(super) ceiling: Due,
    guarantee: Due,
    pub(super) ceiling_pace: Pace,
    guarantee_pace: Pace,
    pub(super) tag: Tag,
    ceiling_tolerance: Tolerance,
    guarantee_tolerance: Tolerance,
    pub(super) state: u8,
    weight: u8,
    pub(super) own: T,
}

/// Those children of a parent that may be served, by the order in which they are.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) low: Ring,
    pub(super) guaranteed: Ring,
    pub(super) excess: Calendar,
}

impl<T> Share<T> {
    pub(super) fn new(shape: &Shape, now: u64, own: T) -> Self {
        let mut share = Self {
            ceiling: Due::at(now),
            guarantee: Due::at(now),
            ceiling_pace: Pace::of(shape.limits.ceiling()),
            guarantee_pace: Pace::of(shape.limits.ceiling()),
            tag: Tag::ZERO,
            ceiling_tolerance: Tolerance::default(),
            guarantee_tolerance: Tolerance::default(),
            state: LIVE,
            weight: 1,
            own,
        };
        share.reshape(shape, now);
        share
    }

    /// Takes other rates and another weight. What was sent too early stays owed, in octets.
    pub(super) fn reshape(&mut self, shape: &Shape, now: u64) {
        let (guaranteed, ceiling) = (shape.limits.guaranteed(), shape.limits.ceiling());
        let paces = (Pace::of(ceiling), Pace::of(guaranteed));
        self.ceiling = self.ceiling.repaced(now, self.ceiling_pace, paces.0);
        self.guarantee = if guaranteed.is_zero() {
            Due::NEVER
        } else if guaranteed == ceiling {
            // Due whenever the ceiling is.
            Due::ALWAYS
        } else if self.state & SPLIT == 0 {
            Due::at(now)
        } else {
            self.guarantee.repaced(now, self.guarantee_pace, paces.1)
        };
        (self.ceiling_pace, self.guarantee_pace) = paces;
        self.ceiling_tolerance = Tolerance::of(shape.burst_octets, paces.0, CEILING_CREDIT_LEAST);
        self.guarantee_tolerance = Tolerance::of(shape.burst_octets, paces.1, GUARANTEE_CREDIT_LEAST);
        self.weight = shape.weight;
        self.state &= !(SPLIT | BORROWS);
        if guaranteed != ceiling {
            self.state |= BORROWS | if guaranteed.is_zero() { 0 } else { SPLIT };
        }
    }

    /// What it is held to, as it was told in bit/s.
    pub(super) const fn runs(&self, guaranteed: u64, ceiling: u64) -> Runs {
        Runs {
            guaranteed: self.guarantee_pace.rate(Rate::from_bits_per_second(guaranteed)),
            ceiling: self.ceiling_pace.rate(Rate::from_bits_per_second(ceiling)),
            weight: self.weight,
        }
    }

    #[inline]
    pub(super) const fn is(&self, state: u8) -> bool {
        self.state & state != 0
    }

    /// May it be served now, in that order?
    #[inline]
    pub(super) const fn may(&self, tier: u8, now: u64) -> bool {
        self.ceiling.nanos() <= now
            && match tier {
                LOW => true,
                GUARANTEED => self.guarantee.nanos() <= now,
                _ => self.is(BORROWS),
            }
    }

    /// Takes its places among its siblings: what it has to send may be low latency, bulk, or both. Answers when to look at it
    /// again, or [`u64::MAX`].
    #[inline]
    pub(super) fn offer(
        &mut self,
        who: u32,
        now: u64,
        (low, bulk): (bool, bool),
        offers: &mut Offers,
        links: &mut [u32],
    ) -> u64 {
        if !(low || bulk) {
            return u64::MAX;
        }
        if self.ceiling.nanos() > now {
            return self.ceiling.nanos();
        }
        if low {
            if !self.is(LOW) {
                self.state |= LOW;
                offers.low.push(who);
            }
            // It comes first, and may leave nothing for bulk, which is looked at after that.
            return u64::MAX;
        }
        if self.guarantee.nanos() <= now {
            if !self.is(GUARANTEED) {
                self.state |= GUARANTEED;
                offers.guaranteed.push(who);
            }
            return u64::MAX;
        }
        if self.state & (BORROWS | EXCESS) == BORROWS {
            self.state |= EXCESS;
            self.tag = offers.excess.insert(who, self.tag, links);
        }
        self.guarantee.nanos()
    }

    /// Pays for a frame from the ceiling alone.
    #[inline]
    pub(super) fn charge_ceiling(&mut self, now: u64, octets: u32) {
        self.ceiling.charge(now, octets, self.ceiling_pace, self.ceiling_tolerance);
    }

    /// The same for a frame that another tree has sent, if the ceiling limits anything here.
    #[inline]
    pub(super) fn charge_ceiling_of_others(&mut self, now: u64, octets: u32, port: Pace) {
        if self.ceiling_pace > port && self.ceiling.nanos() <= now + AHEAD_NANOS_MAX {
            self.charge_ceiling(now, octets);
        }
    }

    /// How many octets it may send in that order, before one of its clocks is past now.
    #[inline]
    pub(super) fn allows(&self, tier: u8, now: u64, port: Pace) -> u32 {
        let mut allowed = u32::MAX;
        if self.ceiling_pace > port {
            allowed = self.ceiling.allows(now, self.ceiling_pace, self.ceiling_tolerance);
        }
        if tier == GUARANTEED && self.is(SPLIT) {
            allowed = allowed.min(self.guarantee.allows(now, self.guarantee_pace, self.guarantee_tolerance));
        }
        allowed
    }

    /// Pays for a frame. What is borrowed is not paid from the guarantee, and what is guaranteed does not count as borrowed. A
    /// ceiling that is not below the port's rate limits nothing, and costs nothing.
    #[inline]
    pub(super) fn charge(&mut self, tier: u8, now: u64, octets: u32, port: Pace) {
        if self.ceiling_pace > port {
            self.charge_ceiling(now, octets);
        }
        if tier == EXCESS {
            self.tag = self.tag.after(octets, INVERSES[self.weight as usize]);
        } else if self.is(SPLIT) {
            self.guarantee.charge(now, octets, self.guarantee_pace, self.guarantee_tolerance);
        }
    }
}

impl Offers {
    /// Takes the child that is served next.
    #[inline]
    pub(super) fn pop(&mut self, links: &mut [u32]) -> Option<(u32, u8)> {
        if let Some(who) = self.low.pop() {
            return Some((who, LOW));
        }
        self.pop_bulk(links)
    }

    /// The same without low latency.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "for each frame")]
    pub(super) fn pop_bulk(&mut self, links: &mut [u32]) -> Option<(u32, u8)> {
        if let Some(who) = self.guaranteed.pop() {
            return Some((who, GUARANTEED));
        }
        self.excess.pop(links).map(|who| (who, EXCESS))
    }

    /// The next children, as many as fit, without taking them.
    #[inline]
    pub(super) fn peek(&self, links: &[u32], first: &mut [u32]) -> usize {
        let low = self.low.peek(first);
        let guaranteed = self.guaranteed.peek(&mut first[low..]);
        if low + guaranteed != 0 {
            return low + guaranteed;
        }
        self.excess.peek(links, first)
    }

    /// Is there nobody?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.low.is_empty() && self.guaranteed.is_empty() && self.excess.is_empty()
    }

    /// Is there low latency, and bulk?
    #[inline]
    pub(super) fn kinds(&self) -> (bool, bool) {
        (!self.low.is_empty(), !self.guaranteed.is_empty() || !self.excess.is_empty())
    }

    /// Makes room for so many children.
    pub(super) fn reserve(&mut self, children: usize) {
        self.low.reserve(children);
        self.guaranteed.reserve(children);
    }

    /// What it takes in memory for its children, and for itself, in octets.
    pub(super) fn octets(&self) -> (usize, usize) {
        (self.low.octets() + self.guaranteed.octets(), self.excess.octets())
    }
}

/// It stands in the ring of low latency, which is served first.
pub(super) const LOW: u8 = 1;
/// It stands in the ring of those whose guarantee is due, which is served next.
pub(super) const GUARANTEED: u8 = 2;
/// It stands in the calendar of those that may borrow.
pub(super) const EXCESS: u8 = 4;
/// What other trees have sent is not charged farther ahead.
const AHEAD_NANOS_MAX: u64 = 1_000_000_000;
/// It has a guarantee and a higher ceiling.
const SPLIT: u8 = 8;
/// Its ceiling is above its guarantee.
const BORROWS: u8 = 16;
/// It exists.
pub(super) const LIVE: u8 = 32;
/// It was removed, and what it has queued is still being sent.
pub(super) const LEAVING: u8 = 64;
/// In a ring or in the calendar.
pub(super) const OFFERED: u8 = LOW | GUARANTEED | EXCESS;
