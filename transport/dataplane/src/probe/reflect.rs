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

/// How many probes of a path are answered: so many a second and not many more at once, whoever sends them. A forger gets no
/// more out of a node than that.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gate {
    /// When the answers that were given would have been due at the rate, one after the other.
    paid: Nanos,
}

impl Gate {
    pub(crate) fn admits(&mut self, now: Nanos) -> bool {
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
