//! A timing wheel of three levels (Varghese and Lauck, SOSP 1987; Carousel, SIGCOMM 2017): who waits for a moment costs nothing
//! until then, and the next moment is found by bits, not by looking.
//!
//! ```text
//!   level 0: 2^12 to 2^20 slots of 256 ns      one turn: 1 ms to 268 ms
//!   level 1: 4,096 slots of one turn of level 0          4 s to 18 min
//!   level 2: 4,096 slots of one turn of level 1          5 h to 52 days; later ones wait here and are looked at again
//! ```

use super::bits::Bits;
use super::pace::TICK_BITS;

/// Who waits for what, each for one moment.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first of each slot's list, all levels one after the other.
    heads: Box<[u32]>,
    levels: [Level; 3],
    /// By number of who waits.
    waits: Box<[Wait]>,
    /// No one is due before this tick.
    next: u64,
}

#[derive(Debug)]
struct Level {
    /// Which slots have somebody.
    bits: Bits,
    /// The first slot that may have somebody, counted since the beginning of time.
    cursor: u64,
    /// A slot is so many ticks long, as a power of two.
    shift: u32,
    /// Slots less one.
    mask: u64,
    /// Where its slots begin.
    base: usize,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    /// The tick, or [`IDLE`].
    tick: u64,
    next: u32,
    /// The one before, or [`HEAD`] and the slot.
    before: u32,
}

impl Wheel {
    /// For so many.
    pub(super) fn new(count: usize, now: u64) -> Self {
        let slots = count.next_power_of_two().clamp(TURN_SLOTS_LEAST, TURN_SLOTS_MOST);
        let (turn_bits, tick) = (slots.trailing_zeros(), now >> TICK_BITS);
        let level = |shift: u32, slots: usize, base: usize| Level {
            bits: Bits::new(slots),
            cursor: tick >> shift,
            shift,
            mask: slots as u64 - 1,
            base,
        };
        Self {
            heads: vec![NONE; slots + 2 * UPPER_SLOTS].into(),
            levels: [
                level(0, slots, 0),
                level(turn_bits, UPPER_SLOTS, slots),
                level(turn_bits + UPPER_BITS, UPPER_SLOTS, slots + UPPER_SLOTS),
            ],
            waits: vec![Wait::IDLE; count].into(),
            next: u64::MAX,
        }
    }

    /// Has one wait for a moment, unless it waits for an earlier one already.
    #[inline]
    pub(super) fn arm(&mut self, who: u32, at: u64) {
        let tick = at >> TICK_BITS;
        let armed = self.waits[who as usize].tick;
        if armed <= tick {
            return;
        }
        if armed != IDLE {
            self.unlink(who);
        }
        self.link(who, tick);
    }

    /// Waits for nothing any more.
    pub(super) fn disarm(&mut self, who: u32) {
        if self.waits[who as usize].tick != IDLE {
            self.unlink(who);
        }
    }

    /// May there be somebody whose moment has come?
    #[inline]
    pub(super) const fn is_due(&self, now: u64) -> bool {
        now >> TICK_BITS >= self.next
    }

    /// Takes one whose moment has come.
    #[inline]
    pub(super) fn pop(&mut self, now: u64) -> Option<u32> {
        if self.is_due(now) { self.pop_due(now >> TICK_BITS) } else { None }
    }

    /// No one is due before this moment; `None` if nobody waits.
    pub(super) const fn next(&self) -> Option<u64> {
        if self.next == u64::MAX { None } else { Some(self.next << TICK_BITS) }
    }

    /// What it takes in memory for each that may wait, and for itself, in octets.
    pub(super) fn octets(&self) -> (usize, usize) {
        let bits: usize = self.levels.iter().map(|level| level.bits.octets()).sum();
        (self.waits.len() * size_of::<Wait>(), self.heads.len() * 4 + bits)
    }

    fn pop_due(&mut self, tick: u64) -> Option<u32> {
        while let Some((level, slot)) = self.first_due(tick) {
            let level = &mut self.levels[level];
            let place = level.base + slot;
            let who = self.heads[place];
            let Wait { tick: at, next, .. } = std::mem::replace(&mut self.waits[who as usize], Wait::IDLE);
            self.heads[place] = next;
            match self.waits.get_mut(next as usize) {
                Some(next) => next.before = head(place),
                None => level.bits.remove(slot),
            }
            if at <= tick {
                return Some(who);
            }
            // Of a coarse slot that has begun: it moves to a finer one, or, from beyond the horizon, further on.
            self.link(who, at);
        }
        None
    }

    /// The level and slot of somebody who is due or has to move to a finer level; else moves the cursors to now and answers
    /// `None`. A level is looked at when all finer ones are at the present.
    #[inline]
    fn first_due(&mut self, tick: u64) -> Option<(usize, usize)> {
        let mut next = u64::MAX;
        for (number, level) in self.levels.iter_mut().enumerate() {
            let (now, from) = (tick >> level.shift, level.cursor);
            #[allow(clippy::cast_possible_truncation, reason = "masked")]
            let found = level.bits.next_round((from & level.mask) as usize);
            level.cursor = now;
            let Some(slot) = found else { continue };
            let at = from + ((slot as u64).wrapping_sub(from) & level.mask);
            if at <= now {
                level.cursor = at;
                return Some((number, slot));
            }
            next = next.min(at << level.shift);
        }
        self.next = next;
        None
    }

    #[inline]
    fn link(&mut self, who: u32, tick: u64) {
        let level = level(&mut self.levels, tick);
        let at = (tick >> level.shift).clamp(level.cursor, level.cursor + level.mask);
        #[allow(clippy::cast_possible_truncation, reason = "masked")]
        let slot = (at & level.mask) as usize;
        let (place, at) = (level.base + slot, at << level.shift);
        let first = std::mem::replace(&mut self.heads[place], who);
        match self.waits.get_mut(first as usize) {
            Some(first) => first.before = who,
            None => level.bits.insert(slot),
        }
        self.next = self.next.min(at);
        self.waits[who as usize] = Wait { tick, next: first, before: head(place) };
    }

    /// Takes one out from wherever it waits.
    fn unlink(&mut self, who: u32) {
        let Wait { next, before, .. } = std::mem::replace(&mut self.waits[who as usize], Wait::IDLE);
        if let Some(next) = self.waits.get_mut(next as usize) {
            next.before = before;
        }
        if before & HEAD == 0 {
            self.waits[before as usize].next = next;
            return;
        }
        let place = (before & !HEAD) as usize;
        self.heads[place] = next;
        if let (NONE, Some(level)) = (next, self.levels.iter_mut().rfind(|level| level.base <= place)) {
            level.bits.remove(place - level.base);
        }
    }
}

impl Wait {
    const IDLE: Self = Self { tick: IDLE, next: NONE, before: NONE };
}

/// The finest level within whose turn a tick lies.
#[inline]
fn level(levels: &mut [Level; 3], tick: u64) -> &mut Level {
    let [fine, middle, coarse] = levels;
    if tick.saturating_sub(fine.cursor) <= fine.mask {
        fine
    } else if (tick >> middle.shift).saturating_sub(middle.cursor) <= middle.mask {
        middle
    } else {
        coarse
    }
}

/// The head of a list, as the one before its first.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "at most 2^20 + 2^13 places")]
const fn head(place: usize) -> u32 {
    HEAD | place as u32
}

const NONE: u32 = u32::MAX;
const HEAD: u32 = 1 << 31;
const IDLE: u64 = u64::MAX;
const TURN_SLOTS_LEAST: usize = 1 << 12;
const TURN_SLOTS_MOST: usize = 1 << 20;
const UPPER_BITS: u32 = 12;
const UPPER_SLOTS: usize = 1 << UPPER_BITS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut due: Vec<_> = std::iter::from_fn(|| wheel.pop(now)).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn nobody_is_woken_early_and_nobody_is_forgotten() {
        let mut wheel = Wheel::new(8, 0);
        // Now, a turn, a turn of turns, 20 hours, and beyond the last horizon.
        let moments = [256, 768, 2_000_128, 10_000_000_000, 72_000_000_000_000, 1 << 58];
        for (who, at) in (0_u32..).zip(moments) {
            wheel.arm(who, at);
        }
        for (who, at) in (0_u32..).zip(moments) {
            assert!(due(&mut wheel, (at & !255) - 1).is_empty(), "{who}");
            assert_eq!(due(&mut wheel, at | 255), [who], "{who}");
        }
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn an_earlier_moment_replaces_a_later_one_only() {
        let mut wheel = Wheel::new(2, 0);
        wheel.arm(0, 1 << 40);
        wheel.arm(0, 1_000);
        wheel.arm(0, 1 << 30);
        assert_eq!(due(&mut wheel, 2_000), [0]);
        wheel.arm(1, 5_000);
        wheel.disarm(1);
        assert!(due(&mut wheel, 1 << 50).is_empty());
    }

    proptest! {
        /// Beside an ordered map, whatever the jumps of time.
        #[test]
        fn it_is_an_ordered_map(
            steps in prop::collection::vec((0_u32..64, 0_u64..50, 0_u64..1 << 24, 0_u64..44), 1..400),
        ) {
            let (mut wheel, mut map, mut now) = (Wheel::new(64, 0), BTreeMap::new(), 0_u64);
            for (who, shift, advance, reach) in steps {
                let at = now + ((1_u64 << shift) | (advance & ((1 << shift) - 1)));
                wheel.arm(who, at);
                let armed = map.entry(who).or_insert(at);
                *armed = (*armed).min(at);
                now += advance & ((1_u64 << reach.min(30)) - 1);
                let woken = due(&mut wheel, now);
                for who in &woken {
                    let at = map.remove(who);
                    prop_assert!(at.is_some_and(|at| at <= now | 255), "{who} early: {at:?} at {now}");
                }
                for (who, at) in &map {
                    prop_assert!(*at > now, "{who} forgotten: {at} at {now}");
                }
                if let Some(first) = map.values().min() {
                    prop_assert!(wheel.next().is_some_and(|next| next <= *first));
                }
            }
        }
    }
}
