//! Rate limits: a token bucket in whole numbers that neither drifts nor minds a clock that stands still or steps back.

use model::Rate;

/// A moment, in nanoseconds of a clock of the host's choice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

/// A token bucket (RFC 2697's committed bucket alone): fills at a rate up to a depth, and lets a frame pass that it has
/// tokens for.
///
/// Tokens are kept in billionths of a bit, so that a nanosecond at one bit/s is one token: nothing is ever rounded, and
/// over any time the error is none but the depth of the bucket. A frame counts from its destination address to the end
/// of its payload, without tag, preamble, frame check sequence and gap.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Bit/s, which is tokens a nanosecond.
    rate: u64,
    /// Tokens when full.
    depth: u64,
    /// Tokens now, at most `depth`.
    tokens: u64,
    /// When they were counted.
    at: Nanos,
}

impl Meter {
    /// A full bucket of this rate. It holds [`METER_BURST_TIME`] of the rate, and at least [`METER_BURST_FRAMES`] of the
    /// longest frames that it is asked about: a bucket that is smaller than a frame would never let it pass.
    pub fn new(rate: Rate, frame_octets_max: usize, now: Nanos) -> Self {
        let rate = rate.bits_per_second().min(METER_RATE_MAX);
        let least = cost(METER_BURST_FRAMES * frame_octets_max.min(METER_FRAME_OCTETS_MAX));
        let depth = (rate * METER_BURST_TIME.0).max(least);
        Self { rate, depth, tokens: depth, at: now }
    }

    /// Is there enough for a frame? Fills the bucket first; takes nothing out.
    #[inline]
    pub fn has(&mut self, now: Nanos, octets: usize) -> bool {
        self.fill(now);
        self.tokens >= cost(octets)
    }

    /// Takes out what a frame costs, for which there is enough.
    #[inline]
    pub const fn take(&mut self, octets: usize) {
        self.tokens = self.tokens.saturating_sub(cost(octets));
    }

    /// The rate.
    pub const fn rate(&self) -> Rate {
        Rate::from_bits_per_second(self.rate)
    }

    /// What it holds when full, in octets.
    pub const fn depth_octets(&self) -> u64 {
        self.depth / cost(1)
    }

    /// Reads it, so that it is in the cache when a frame needs it.
    #[inline]
    pub(crate) const fn touch(&self) -> u64 {
        self.tokens
    }

    /// No meter yet: the first [`follow`](Self::follow) makes it one.
    pub(crate) const NONE: Self = Self { rate: 0, depth: 0, tokens: 0, at: Nanos(0) };

    /// Becomes like another, if it is not: full if it was none, else with what is in it.
    #[inline]
    pub(crate) fn follow(&mut self, other: &Self, now: Nanos) {
        if (self.rate, self.depth) != (other.rate, other.depth) {
            let other = Self { at: now, ..*other };
            *self = if self.depth == 0 { other } else { self.reshaped(&other) };
        }
    }

    /// Becomes a meter of another rate and depth, taking over what is in this one as far as it fits. With the same rate
    /// and depth it goes on as it was, to the token.
    #[must_use]
    pub(crate) fn reshaped(mut self, new: &Self) -> Self {
        if (self.rate, self.depth) == (new.rate, new.depth) {
            return self;
        }
        self.fill(new.at);
        Self { tokens: self.tokens.min(new.depth), ..*new }
    }

    #[inline]
    fn fill(&mut self, now: Nanos) {
        let Some(elapsed) = now.0.checked_sub(self.at.0) else {
            return self.step_back(now);
        };
        self.at = now;
        let missing = self.depth - self.tokens;
        self.tokens = match elapsed.checked_mul(self.rate) {
            Some(gained) if gained < missing => self.tokens + gained,
            _ => self.depth,
        };
    }

    /// A small step back is jitter between clocks: the tokens were granted already. A large one is a clock that was set;
    /// waiting for it to catch up would stop the traffic, so time goes on from there.
    #[cold]
    const fn step_back(&mut self, now: Nanos) {
        if self.at.0 - now.0 > STEP_BACK_MAX.0 {
            self.at = now;
        }
    }
}

/// Tokens that a frame costs.
#[inline]
pub(crate) const fn cost(octets: usize) -> u64 {
    octets as u64 * 8 * TOKENS_PER_BIT
}

const TOKENS_PER_BIT: u64 = 1_000_000_000;
/// How much time at its rate a bucket holds when full.
pub const METER_BURST_TIME: Nanos = Nanos(10_000_000);
/// How many frames of the greatest length a bucket holds at least.
pub const METER_BURST_FRAMES: usize = 4;
/// The fastest rate that is told from faster ones: 1 Tbit/s.
pub(crate) const METER_RATE_MAX: u64 = 1_000_000_000_000;
/// No frame is longer than an IP packet can be.
const METER_FRAME_OCTETS_MAX: usize = 65_535 + 14;
/// A larger step back is a clock that was set.
pub(crate) const STEP_BACK_MAX: Nanos = Nanos(1_000_000_000);

const _: () = assert!(METER_RATE_MAX as u128 * METER_BURST_TIME.0 as u128 <= u64::MAX as u128);
const _: () = assert!(METER_FRAME_OCTETS_MAX as u64 <= u64::MAX / 8 / TOKENS_PER_BIT / METER_BURST_FRAMES as u64);

#[cfg(test)]
mod tests;
