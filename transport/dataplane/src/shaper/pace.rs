//! Time as rates see it: what an octet costs, when the next frame is due, and a clock that never runs backwards.

use model::Rate;

use crate::Nanos;

/// The time that an octet takes at a rate, in 2^-31 ns: a whole number whose error is relative, 10^-8 of the rate at
/// 400 Gbit/s and less at every slower one, so that a rate of 1 bit/s is as exact as that of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pace(u64);

impl Pace {
    /// Of a rate; a rate of 0 and rates beyond [`RATE_MAX`] count as the nearest that there is.
    pub(super) const fn of(rate: Rate) -> Self {
        let bits = rate.bits_per_second();
        let bits = if bits == 0 { 1 } else { bits } as u128;
        // Rounded to the nearest.
        #[allow(clippy::cast_possible_truncation, reason = "8 * 10^9 * 2^31 is less than 2^64")]
        let pace = ((OCTET_NANOS_AT_1_BIT << FRACTION_BITS) + bits / 2).div_euclid(bits) as u64;
        Self(if pace == 0 { 1 } else { pace })
    }

    /// The rate that it was made of, if it was made of this one; else what it comes to, so that nobody is told of a rate that
    /// does not run.
    pub(super) const fn rate(self, made_of: Rate) -> Rate {
        if Self::of(made_of).0 == self.0 {
            return made_of;
        }
        let pace = self.0 as u128;
        #[allow(clippy::cast_possible_truncation, reason = "8 * 10^9 * 2^31 is less than 2^64")]
        let bits = ((OCTET_NANOS_AT_1_BIT << FRACTION_BITS) + pace / 2).div_euclid(pace) as u64;
        Rate::from_bits_per_second(bits)
    }

    /// Nanoseconds for so many octets, rounded down.
    #[inline]
    pub(super) const fn nanos(self, octets: u32) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "2^64 * 2^32 / 2^31 may exceed 64 bits only beyond frames")]
        let nanos = ((self.0 as u128 * octets as u128) >> FRACTION_BITS) as u64;
        nanos
    }

    /// Octets that fit into so many nanoseconds.
    pub(super) const fn octets(self, nanos: u64) -> u64 {
        let octets = ((nanos as u128) << FRACTION_BITS) / self.0 as u128;
        #[allow(clippy::cast_possible_truncation, reason = "compared first")]
        let octets = if octets > u64::MAX as u128 { u64::MAX } else { octets as u64 };
        octets
    }
}

/// When a frame is due next (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371, annex A): each frame
/// moves it by what the frame costs; until it has come, nothing more may be sent. One that lies in the past is credit, as
/// much as the [`Tolerance`] admits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, packed(4))]
pub(super) struct Due {
    nanos: u64,
    /// In 2^-32 ns; the last bit is never set.
    fraction: u32,
}

impl Due {
    /// Long ago.
    pub(super) const ALWAYS: Self = Self { nanos: 0, fraction: 0 };
    /// Not in this world's time.
    pub(super) const NEVER: Self = Self { nanos: u64::MAX, fraction: 0 };

    /// At a moment.
    pub(super) const fn at(nanos: u64) -> Self {
        Self { nanos, fraction: 0 }
    }

    /// The moment.
    #[inline]
    pub(super) const fn nanos(self) -> u64 {
        self.nanos
    }

    /// Moves on by a frame.
    #[inline]
    pub(super) fn charge(&mut self, now: u64, octets: u32, pace: Pace, tolerance: Tolerance) {
        let cost = u128::from(pace.0) * u128::from(octets);
        #[allow(clippy::cast_possible_truncation, reason = "the halves of the number; a frame costs less than 2^47 ns")]
        let (whole, part) = ((cost >> FRACTION_BITS) as u64, (cost as u32) << 1);
        // `now` starts far above every tolerance.
        let start = self.nanos.max(now - tolerance.nanos());
        let (fraction, carry) = self.fraction.overflowing_add(part);
        self.nanos = start + whole + u64::from(carry);
        self.fraction = fraction;
    }

    /// How many octets move it beyond now, whether they are charged one by one or together.
    #[inline]
    pub(super) fn allows(self, now: u64, pace: Pace, tolerance: Tolerance) -> u32 {
        let start = self.nanos.max(now - tolerance.nanos());
        let Some(left) = (now + 1).checked_sub(start) else { return 0 };
        let octets = if left >> FRACTION_BITS == 0 {
            ((left << FRACTION_BITS) - u64::from(self.fraction >> 1)).div_ceil(pace.0)
        } else {
            let exact =
                ((u128::from(left) << FRACTION_BITS) - u128::from(self.fraction >> 1)).div_ceil(u128::from(pace.0));
            u64::try_from(exact).unwrap_or(u64::MAX)
        };
        u32::try_from(octets).unwrap_or(u32::MAX)
    }

    /// The same debt in octets at another rate.
    pub(super) fn repaced(self, now: u64, old: Pace, new: Pace) -> Self {
        if self.nanos == u64::MAX || self.nanos <= now || old == new {
            return self;
        }
        let debt = old.octets(self.nanos - now).min(DEBT_OCTETS_MAX);
        #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
        Self::at(now + new.nanos(debt as u32))
    }
}

/// How much credit is kept, as time in units of 1,024 ns: at most about 73 minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tolerance(u32);

impl Tolerance {
    /// No credit.
    pub(super) const NONE: Self = Self(0);

    /// As long as a burst takes at a pace, and at least so long.
    pub(super) fn of(burst_octets: u32, pace: Pace, least: Nanos) -> Self {
        let units = pace.nanos(burst_octets).max(least.0).div_ceil(1 << TOLERANCE_BITS);
        Self(u32::try_from(units).unwrap_or(u32::MAX))
    }

    #[inline]
    const fn nanos(self) -> u64 {
        (self.0 as u64) << TOLERANCE_BITS
    }
}

/// The clock of a tree. It only goes forward: when its owner's clock steps back, it stands still, and goes on with it. It is read
/// in ticks, and all of a tick that has begun counts as now: who is due later in it need not wait for an event of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    seen: Nanos,
    now: u64,
}

impl Time {
    pub(super) const fn new(now: Nanos) -> Self {
        Self { seen: now, now: EPOCH }
    }

    /// The tree's time at a moment of its owner's clock.
    #[inline]
    pub(super) fn at(&mut self, now: Nanos) -> u64 {
        let elapsed = now.0.saturating_sub(self.seen.0);
        self.seen = now;
        // Half of the range is left to what is due later.
        self.now = self.now.saturating_add(elapsed).min(LATEST);
        self.now()
    }

    /// Now, as it was last told.
    #[inline]
    pub(super) const fn now(&self) -> u64 {
        self.now | TICK_MASK
    }

    /// When the tick of a moment of the tree begins, or now, by its owner's clock.
    pub(super) const fn seen(&self, at: u64) -> Nanos {
        Nanos(self.seen.0.saturating_add((at & !TICK_MASK).saturating_sub(self.now)))
    }
}

const FRACTION_BITS: u32 = 31;
const OCTET_NANOS_AT_1_BIT: u128 = 8_000_000_000;
const TOLERANCE_BITS: u32 = 10;
/// Where a tree's time starts: above the largest tolerance.
const EPOCH: u64 = 1 << 43;
const LATEST: u64 = (1 << 62) | TICK_MASK;
/// A debt is at most a frame and a burst; this is far above.
const DEBT_OCTETS_MAX: u64 = u32::MAX as u64;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;
/// A tick is 2^8 ns.
pub(super) const TICK_BITS: u32 = 8;
/// A ceiling keeps credit for so long at least: that late may a poll be without a loss of rate.
pub(super) const CEILING_CREDIT_LEAST: Nanos = Nanos(20_000);
/// The same for a guarantee, which may have to wait until its siblings have got theirs.
pub(super) const GUARANTEE_CREDIT_LEAST: Nanos = Nanos(10_000_000);
/// The fastest rate that is told from faster ones.
pub const RATE_MAX: Rate = model::program::PORT_RATE_MAX;

const _: () = assert!((u32::MAX as u64) << TOLERANCE_BITS < EPOCH);
const _: () = assert!(OCTET_NANOS_AT_1_BIT << FRACTION_BITS < 1 << 64);

#[cfg(test)]
mod tests {
    use super::*;

    /// What n frames take, as a fraction of whole numbers, beside what the due moves by.
    #[test]
    fn no_rate_drifts() {
        for (rate, octets, frames) in [
            (1_u64, 9_000_u32, 1_000_u64),
            (7, 64, 100_000),
            (999_999_937, 1_514, 1_000_000),
            (100_000_000_003, 64, 10_000_000),
            (400_000_000_000, 64, 10_000_000),
        ] {
            let pace = Pace::of(Rate::from_bits_per_second(rate));
            let mut due = Due::at(EPOCH);
            for _ in 0..frames {
                due.charge(EPOCH, octets, pace, Tolerance(0));
            }
            let exact = u128::from(frames) * u128::from(octets) * 8_000_000_000 / u128::from(rate);
            let error = u128::from(due.nanos() - EPOCH).abs_diff(exact);
            assert!(error * 10_000_000 <= exact * 2 + 10_000_000, "{rate} bit/s: {error} ns of {exact}");
        }
    }

    #[test]
    fn a_pace_tells_the_rate_that_it_was_made_of_and_of_no_other() {
        let rate = Rate::from_bits_per_second;
        for bits in [0, 1, 7, 999_999_937, 400_000_000_001, 999_999_999_999, u64::MAX] {
            assert_eq!(Pace::of(rate(bits)).rate(rate(bits)), rate(bits));
        }
        assert_eq!(Pace::of(rate(10_000_000)).rate(rate(20_000_000)), rate(10_000_000));
    }

    #[test]
    fn a_step_back_stands_still_and_a_jump_is_followed() {
        let mut time = Time::new(Nanos(5_000));
        let start = time.now();
        assert_eq!(time.at(Nanos(6_024)), start + 1_024);
        assert_eq!(time.at(Nanos(6_024)), start + 1_024);
        assert_eq!(time.at(Nanos(0)), start + 1_024);
        assert_eq!(time.at(Nanos(255)), start + 1_024);
        assert_eq!(time.at(Nanos(256)), start + 1_280);
        assert_eq!(time.seen(start + 1_280), Nanos(256));
        assert_eq!(time.seen(start + 1_281), Nanos(512));
        assert_eq!(time.at(Nanos(3_600_000_000_256)), start + 1_280 + 3_600_000_000_000);
        assert!(time.at(Nanos(u64::MAX)) <= LATEST);
    }

    /// What is allowed is what single frames come to that are charged until the clock is past now.
    #[test]
    fn what_is_allowed_is_what_single_octets_come_to() {
        for (rate, ahead, burst) in [
            (1_u64, 0, 5_u32),
            (3, 0, 1),
            (8_000, 3_000_000_u64, 20),
            (999_983, 0, 1_500),
            (1_000_000_007, 5_000, 1_000),
            (99_999_999_977, 19_000, 64),
        ] {
            let pace = Pace::of(Rate::from_bits_per_second(rate));
            let tolerance = Tolerance::of(burst, pace, Nanos(20_000));
            let now = EPOCH + ahead;
            let mut due = Due::at(EPOCH);
            for round in 0..50_u64 {
                let now = now + round * 7_919;
                let (allowed, mut sent, mut single) = (due.allows(now, pace, tolerance), 0, due);
                while single.nanos() <= now {
                    single.charge(now, 1, pace, tolerance);
                    sent += 1;
                }
                assert_eq!(allowed, sent, "{rate} bit/s, round {round}");
                due.charge(now, 3, pace, tolerance);
            }
        }
    }

    #[test]
    fn a_debt_in_octets_outlives_a_change_of_rate() {
        let (slow, fast) = (Rate::from_bits_per_second(8_000), Rate::from_bits_per_second(8_000_000));
        let mut due = Due::at(EPOCH);
        due.charge(EPOCH, 1_000, Pace::of(slow), Tolerance(0));
        assert_eq!(due.nanos(), EPOCH + 1_000_000_000);
        let due = due.repaced(EPOCH + 500_000_000, Pace::of(slow), Pace::of(fast));
        assert_eq!(due.nanos(), EPOCH + 500_500_000);
    }
}
