//! The clock that STAMP's timestamps are taken from, and what the far end of a path answers.

use transport_wire::stamp::{Clock, ErrorEstimate, Probe, Reply, Timestamp};

use crate::meter::Nanos;

/// How the host's clock is to that of the world.
///
/// Round trips and jitter need nothing of it. Delays in one direction are the difference of two clocks, so they are only
/// measured where both ends say that theirs follow UTC, and that they are off by less than half the round trip in sum:
/// half the round trip says as much about either direction, whatever the clocks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampClock {
    unix_at_zero: u64,
    error: ErrorEstimate,
}

impl StampClock {
    /// A clock that nobody sets right.
    pub const FREE: Self = Self { unix_at_zero: 0, error: ErrorEstimate::new(false, Clock::Ptp, u64::MAX) };

    /// A clock that follows UTC: what time it was, in nanoseconds since 1970, when the host's clock was 0, and how far
    /// off that may be.
    pub const fn synchronized(unix_at_zero: u64, error: Nanos) -> Self {
        Self { unix_at_zero, error: ErrorEstimate::new(true, Clock::Ptp, error.0) }
    }

    /// How far off it is.
    pub(super) const fn error(&self) -> ErrorEstimate {
        self.error
    }

    /// Can the two directions of a round trip be told apart by this clock and that of the far end?
    pub(super) const fn tells_directions(&self, there: ErrorEstimate, round_trip: u64) -> bool {
        let off = self.error.nanoseconds().saturating_add(there.nanoseconds());
        self.error.is_synchronized() && there.is_synchronized() && off < round_trip / 2
    }

    /// As it was read anew. If nobody has set it, it goes on as it was: a probe on its way is measured by one clock. That
    /// one is off by what the reading is off by, and by what it differs from the reading.
    #[must_use]
    pub(crate) fn refreshed(self, read: Self) -> Self {
        let apart = self.unix_at_zero.abs_diff(read.unix_at_zero);
        if apart == 0 || apart > NEAR.0 {
            return read;
        }
        let off = read.error.nanoseconds().saturating_add(apart);
        let error = ErrorEstimate::new(read.error.is_synchronized(), Clock::Ptp, off);
        Self { unix_at_zero: self.unix_at_zero, error }
    }

    pub(super) const fn stamp(&self, now: Nanos) -> Timestamp {
        Timestamp::new(self.unix_at_zero.wrapping_add(now.0), Clock::Ptp)
    }
}

/// The answer to a probe that arrived with a time to live at one moment, and is answered at another.
///
/// The reflector is a stateless one (RFC 8762, section 4.3): it remembers nothing, so nobody can exhaust it, it may be
/// exchanged while it is asked, and it counts with the probe's number. The price is that of a lost pair nobody knows
/// which of both was lost.
pub(crate) const fn reflect(probe: &Probe, ttl: u8, received: Nanos, sent: Nanos, clock: &StampClock) -> Reply {
    Reply {
        sequence: probe.sequence,
        timestamp: clock.stamp(sent),
        error: clock.error,
        received: clock.stamp(received),
        probe: *probe,
        ttl,
    }
}

/// Which probes of a path are answered: so many a second and not many more at once, whoever sends them.
///
/// Nothing in a probe says who sent it, and a forger may send far more than are answered; were they all alike, the far
/// end's own would go unanswered, and it would leave a path that works. But those count: a probe whose number is near
/// that of the last one of them has answers of its own, which a forger gets nothing of who doesn't know the number. Which
/// numbers count is found by watching whether another follows, one candidate after the other, so it is found in the
/// midst of a flood, too. Who sees the probes of a path, or guesses where they are, can still have all that is answered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gate {
    /// For those that go on where the last one was.
    expected: Bucket,
    /// For all others.
    others: Bucket,
    /// The number of the last one.
    last: u32,
    /// When it came.
    heard: Nanos,
    /// Has another one followed it?
    is_followed: bool,
}

impl Gate {
    /// `interval` is how far from each other they should be.
    pub(crate) fn admits(&mut self, sequence: u32, now: Nanos, interval: Nanos) -> bool {
        let ahead = sequence.wrapping_sub(self.last);
        // The same number again is no other.
        let is_near = (1..=NUMBERS_NEAR).contains(&ahead.min(ahead.wrapping_neg()));
        if is_near && self.expected.admits(now) {
            (self.last, self.heard, self.is_followed) = (sequence, now, true);
            return true;
        }
        let patience = if self.is_followed { NUMBERS_NEAR } else { CANDIDATE_INTERVALS };
        if now.0.abs_diff(self.heard.0) > interval.0.saturating_mul(patience.into()) {
            (self.last, self.heard, self.is_followed) = (sequence, now, false);
        }
        self.others.admits(now)
    }
}

/// So many a second, and not many more at once.
#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    /// When the answers that were given would have been due at the rate, one after the other.
    paid: Nanos,
}

impl Bucket {
    fn admits(&mut self, now: Nanos) -> bool {
        let ahead = self.paid.0.saturating_sub(now.0);
        // Further ahead than it can come by itself: the clock was set back.
        let ahead = if ahead > (ANSWERS_AT_ONCE_MAX + 1) * ANSWER_NANOS { 0 } else { ahead };
        let admits = ahead < ANSWERS_AT_ONCE_MAX * ANSWER_NANOS;
        if admits {
            self.paid = Nanos(now.0.saturating_add(ahead + ANSWER_NANOS));
        }
        admits
    }
}

/// What two readings of one clock differ by, if nobody has set it.
const NEAR: Nanos = Nanos(20_000);
/// From one answer to the next of a path, in the long run: twice as many as the shortest interval of probes asks for.
const ANSWER_NANOS: u64 = 500_000;
/// So many are answered at once: what a far end has had to wait with.
const ANSWERS_AT_ONCE_MAX: u64 = 32;
/// So far from the last number, one is taken for the next: those between may have been lost.
const NUMBERS_NEAR: u32 = 64;
/// So many intervals another one is waited for.
const CANDIDATE_INTERVALS: u32 = 2;

#[cfg(test)]
mod tests;
