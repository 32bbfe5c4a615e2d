//! A timing wheel of three levels (Varghese and Lauck, SOSP 1987; Carousel, SIGCOMM 2017): who waits for a moment costs nothing
//! until then, and the next moment is found by bits, not by looking.
//!
//! ```text
//!   level 0: 2^12 to 2^20 slots of 256 ns      one turn: 1 ms to 268 ms
//!   level 1: 4,096 slots of one turn of level 0          4 s to 18 min
//!   level 2: 4,096 slots of one turn of level 1          5 h to 52 days; later ones wait here and are looked at again
//! ```

use std::hint::black_box;

use super::bits::Bits;
use super::pace::TICK_BITS;
use super::serve::AHEAD;

/// Who waits for what, each for one moment.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first of each slot's list, all levels one after the other.
    heads: Box<[u32]>,
    fine: Level,
    /// Who waits here moves on to a finer level when the slot begins.
    coarse: [Level; 2],
    /// By number of who waits; the last place is nobody's.
    waits: Box<[Wait]>,
    /// No one is due before this tick.
    next: u64,
    /// No slot of a coarse level begins before this tick.
    moves: u64,
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
            heads: vec![nobody(count); slots + 2 * UPPER_SLOTS].into(),
            fine: level(0, slots, 0),
            coarse: [
                level(turn_bits, UPPER_SLOTS, slots),
                level(turn_bits + UPPER_BITS, UPPER_SLOTS, slots + UPPER_SLOTS),
            ],
            waits: vec![Wait::IDLE; count + 1].into(),
            next: u64::MAX,
            moves: u64::MAX,
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

    /// Takes some whose moment has come, and answers how many. Somebody may be left: [`is_due`](Self::is_due) says so.
    #[inline]
    pub(super) fn pop(&mut self, now: u64, due: &mut [u32; AHEAD]) -> usize {
        let tick = now >> TICK_BITS;
        if self.moves <= tick {
            // Who moves finds the fine level at the present.
            self.fine.cursor = self.fine.first_from(self.fine.cursor).map_or(tick, |at| at.min(tick));
            self.advance(tick);
        }
        // First the slots, then who is in them, then what each waits for: so that the misses of all are one.
        let nobody = self.nobody();
        let (fine, mut count) = (&mut self.fine, 0);
        // Whose slots lie before that are looked at; who is due later.
        let (mut seen, mut next) = (fine.cursor, self.moves);
        for slot in due.iter_mut() {
            let round = |at: &u64| at - fine.cursor <= fine.mask;
            let first = fine.first_from(seen).filter(round);
            let Some(at) = first.filter(|at| *at <= tick) else {
                (seen, next) = (tick, next.min(first.unwrap_or(u64::MAX)));
                break;
            };
            *slot = fine.slot(at);
            (seen, count) = (at + 1, count + 1);
        }
        if count == due.len() {
            next = next.min(seen);
        }
        let mut heads = [0; AHEAD];
        for (head, slot) in heads.iter_mut().zip(&due[..count]) {
            *head = self.heads[*slot as usize];
        }
        black_box(heads[..count].iter().fold(0, |seen, who| seen ^ self.waits[*who as usize].next));
        let mut left = u64::MAX;
        for (slot, who) in due[..count].iter_mut().zip(heads) {
            let place = std::mem::replace(slot, who) as usize;
            let Wait { tick, next, .. } = std::mem::replace(&mut self.waits[who as usize], Wait::IDLE);
            self.heads[place] = next;
            if next == nobody {
                fine.bits.remove(place);
            } else {
                self.waits[next as usize].before = head(place);
                left = left.min(tick.max(fine.cursor));
            }
        }
        fine.cursor = seen.min(left).min(tick);
        self.next = next.min(left);
        count
    }

    /// No one is due before this moment; `None` if nobody waits.
    pub(super) const fn next(&self) -> Option<u64> {
        if self.next == u64::MAX { None } else { Some(self.next << TICK_BITS) }
    }

    /// What it takes in memory for each that may wait, and for itself, in octets.
    pub(super) fn octets(&self) -> (usize, usize) {
        let bits: usize = self.coarse.iter().chain([&self.fine]).map(|level| level.bits.octets()).sum();
        (self.waits.len() * size_of::<Wait>(), self.heads.len() * 4 + bits)
    }

    /// Some of those whose coarse slot has begun move to a finer level: not all at once, if they are many.
    #[cold]
    fn advance(&mut self, tick: u64) {
        for _ in 0..MOVES_MAX {
            let mut moves = u64::MAX;
            let begun = self.coarse.iter_mut().find_map(|level| {
                let now = tick >> level.shift;
                let first = level.first_from(level.cursor);
                level.cursor = first.map_or(now, |at| at.min(now));
                let at = first?;
                moves = moves.min(at << level.shift);
                (at <= now).then(|| level.base + level.slot(at) as usize)
            });
            self.moves = moves;
            let Some(place) = begun else { return };
            let who = self.heads[place];
            let tick = self.waits[who as usize].tick;
            self.unlink(who);
            self.link(who, tick);
        }
    }

    #[inline]
    fn link(&mut self, who: u32, tick: u64) {
        let fine = &mut self.fine;
        if tick.saturating_sub(fine.cursor) > fine.mask {
            return self.link_coarse(who, tick);
        }
        let at = tick.max(fine.cursor);
        let place = fine.slot(at) as usize;
        fine.bits.insert(place);
        let first = std::mem::replace(&mut self.heads[place], who);
        // No branch on who is there, which is seldom in the cache and never foreseen.
        self.waits[first as usize].before = who;
        self.waits[who as usize] = Wait { tick, next: first, before: head(place) };
        self.next = self.next.min(at);
    }

    /// In the finest of the coarse levels within whose turn the tick lies, or at the end of the last.
    #[cold]
    fn link_coarse(&mut self, who: u32, tick: u64) {
        let [middle, last] = &mut self.coarse;
        let level = if (tick >> middle.shift).saturating_sub(middle.cursor) <= middle.mask { middle } else { last };
        let at = (tick >> level.shift).clamp(level.cursor, level.cursor + level.mask);
        let slot = level.slot(at) as usize;
        let place = level.base + slot;
        level.bits.insert(slot);
        let first = std::mem::replace(&mut self.heads[place], who);
        self.waits[first as usize].before = who;
        self.waits[who as usize] = Wait { tick, next: first, before: head(place) };
        self.moves = self.moves.min(at << level.shift);
        self.next = self.next.min(self.moves);
    }

    /// The number of nobody, who ends each list.
    #[inline]
    fn nobody(&self) -> u32 {
        nobody(self.waits.len() - 1)
    }

    /// Takes one out from wherever it waits.
    fn unlink(&mut self, who: u32) {
        let Wait { next, before, .. } = std::mem::replace(&mut self.waits[who as usize], Wait::IDLE);
        self.waits[next as usize].before = before;
        if before & HEAD == 0 {
            self.waits[before as usize].next = next;
            return;
        }
        let place = (before & !HEAD) as usize;
        self.heads[place] = next;
        if next == self.nobody() {
            let level = self.coarse.iter_mut().rfind(|level| level.base <= place).unwrap_or(&mut self.fine);
            level.bits.remove(place - level.base);
        }
    }
}

impl Wait {
    const IDLE: Self = Self { tick: IDLE, next: 0, before: 0 };
}

impl Level {
    /// The first of its slots from a moment on that has somebody, counted since the beginning of time.
    #[inline]
    fn first_from(&self, at: u64) -> Option<u64> {
        let slot = self.bits.next_round(self.slot(at) as usize)? as u64;
        Some(at + (slot.wrapping_sub(at) & self.mask))
    }

    /// The place of such a slot.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked, at most 2^20")]
    const fn slot(&self, at: u64) -> u32 {
        (at & self.mask) as u32
    }
}

/// The head of a list, as the one before its first.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "at most 2^20 + 2^13 places")]
const fn head(place: usize) -> u32 {
    HEAD | place as u32
}

/// Behind so many.
#[allow(clippy::cast_possible_truncation, reason = "segments and slices, less than 2^31")]
const fn nobody(count: usize) -> u32 {
    count as u32
}

const HEAD: u32 = 1 << 31;
const IDLE: u64 = u64::MAX;
const TURN_SLOTS_LEAST: usize = 1 << 12;
const TURN_SLOTS_MOST: usize = 1 << 20;
/// So many move at a time, so that no call takes long.
const MOVES_MAX: usize = 64;
const UPPER_BITS: u32 = 12;
const UPPER_SLOTS: usize = 1 << UPPER_BITS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let (mut all, mut due) = (Vec::new(), [0; AHEAD]);
        while wheel.is_due(now) {
            let count = wheel.pop(now, &mut due);
            all.extend_from_slice(&due[..count]);
        }
        all.sort_unstable();
        all
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
