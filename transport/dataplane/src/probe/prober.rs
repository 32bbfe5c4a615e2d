//! One path: its probes on the way, whether it is up, and what was measured.

use model::program::ProbeProgram;
use transport_wire::stamp::{Reply, Timestamp};

use super::delay::{Delays, Jitter};
use super::reflect::StampClock;
use super::{ProbeError, between};
use crate::meter::Nanos;

/// Whether a path works.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// Neither is known yet. It is used: a path is thought to work until the opposite is shown, so traffic flows before
    /// the first answer, and a reflector that is started late does no harm to a path that works.
    #[default]
    Unknown,
    /// It has answered as often in a row as it must.
    Up,
    /// It has failed to answer as often in a row as it may.
    Down,
}

/// What was measured of a path since it was first probed.
#[derive(Debug, Default, Clone)]
pub struct Measures {
    /// Probes that were answered in time.
    pub answered: u64,
    /// Probes that were not, on the way there or back: of a reflector without memory nobody knows which.
    pub lost: u64,
    /// Answers that came too late; their probes are lost.
    pub late: u64,
    /// Answers that came again.
    pub duplicates: u64,
    /// Answers to what was never sent.
    pub strays: u64,
    /// Answers in time whose timestamps can't be: time ran backwards, a clock was set, or the host stood still.
    pub implausible: u64,
    /// There and back, less the time that the reflector took (RFC 8762, section 4.3.1).
    pub round_trip: Delays,
    /// There; only where both clocks follow UTC closely enough.
    pub forward: Delays,
    /// Back; only where both clocks follow UTC closely enough.
    pub backward: Delays,
    /// On the way there.
    pub forward_jitter: Jitter,
    /// On the way back.
    pub backward_jitter: Jitter,
}

/// When probes are sent and what their answers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) interval: Nanos,
    losses_max: u32,
    answers_min: u32,
}

/// The state of a path. What a probe or an answer reads and writes is in two cache lines, one of which is of the ring;
/// what is measured is elsewhere.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Prober {
    /// What the last probes said; an answer must repeat it. Whoever can't see the probe would have to guess.
    stamps: [Timestamp; OUTSTANDING_MAX],
    state: PathState,
    /// By which its turn is found; of two paths never the same.
    pub(super) number: u32,
    /// When it came to that state.
    since: Nanos,
    failures: u64,
    /// How many were sent; the lower half is the next one's number.
    sent: u64,
    /// The first one whose answer is still awaited.
    first: u64,
    /// Which were answered; bit 0 is the newest.
    answered: u64,
    measures: Box<Measures>,
}

impl Timing {
    pub(super) fn new(program: &ProbeProgram) -> Result<Self, ProbeError> {
        let row = OUTSTANDING_MAX as u64;
        between("nanoseconds from probe to probe", program.interval_nanos, INTERVAL_MIN.0, INTERVAL_MAX.0)?;
        between("losses in a row", program.losses_max.into(), 1, row)?;
        between("answers in a row", program.answers_min.into(), 1, row)?;
        Ok(Self {
            interval: Nanos(program.interval_nanos),
            losses_max: program.losses_max.into(),
            answers_min: program.answers_min.into(),
        })
    }

    /// No answer in time has been on its way for longer.
    const fn longest(&self) -> u64 {
        self.interval.0 * (self.losses_max as u64 + 1)
    }
}

impl Prober {
    /// Whether the path works.
    pub const fn state(&self) -> PathState {
        self.state
    }

    /// When it came to that state.
    pub const fn since(&self) -> Nanos {
        self.since
    }

    /// How often it went down.
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// What was measured.
    pub const fn measures(&self) -> &Measures {
        &self.measures
    }

    pub(super) fn new(number: u32, now: Nanos) -> Self {
        Self {
            stamps: [Timestamp(0); OUTSTANDING_MAX],
            state: PathState::Unknown,
            number,
            since: now,
            failures: 0,
            sent: 0,
            first: 0,
            answered: 0,
            measures: Box::default(),
        }
    }

    /// A probe is sent; answers its number (RFC 8762, section 4.2.1: the first is 0).
    ///
    /// It is now that the path is judged: of those before, each has had the time from one probe to the next. If as many
    /// are unanswered in a row as may be, it is down. The first of them was sent within an interval of the moment when
    /// the path broke, so that is known after `losses_max + 1` intervals, and never because the host stood still: then
    /// nothing was sent either.
    pub(super) fn send(&mut self, now: Nanos, stamp: Timestamp, timing: &Timing) -> u32 {
        let awaited = self.sent - self.first;
        let unanswered = u64::from(self.answered.trailing_zeros()).min(awaited);
        if unanswered >= u64::from(timing.losses_max) && self.state != PathState::Down {
            self.failures += 1;
            self.turn(PathState::Down, now);
        }
        // The oldest that may still be answered is too old from now on.
        let oldest = timing.losses_max - 1;
        if awaited > u64::from(oldest) && self.answered >> oldest & 1 == 0 {
            self.measures.lost += 1;
        }
        let number = low(self.sent);
        self.stamps[number as usize % OUTSTANDING_MAX] = stamp;
        self.answered <<= 1;
        self.sent += 1;
        number
    }

    /// An answer arrived.
    pub(super) fn heard(&mut self, now: Nanos, reply: &Reply, timing: &Timing, clock: &StampClock) {
        let number = reply.probe.sequence;
        // The newest is 1 behind; what was never sent is 0 behind, or more than were ever sent.
        let behind = low(self.sent).wrapping_sub(number);
        if behind == 0 || u64::from(behind) > self.sent.min(BEHIND_MAX) {
            self.measures.strays += 1;
        } else if behind > timing.losses_max || u64::from(behind) > self.sent - self.first {
            self.measures.late += 1;
        } else if self.stamps[number as usize % OUTSTANDING_MAX] != reply.probe.timestamp {
            self.measures.strays += 1;
        } else if self.answered >> (behind - 1) & 1 != 0 {
            self.measures.duplicates += 1;
        } else {
            self.answered |= 1 << (behind - 1);
            self.measures.answered += 1;
            self.measures.record(reply, now, timing.longest(), clock);
            // Those that are newer than the newest answer may still be answered; before it, whatever is missing breaks
            // the row. One that was lost when the path went down is missing for good.
            let row = (self.answered >> self.answered.trailing_zeros()).trailing_ones();
            if row >= timing.answers_min && self.state != PathState::Up {
                self.turn(PathState::Up, now);
            }
        }
    }

    /// Answers to what was sent so far are too late from now on, and count neither as losses nor as answers: they were
    /// sent when another timing was in force.
    pub(super) const fn restart(&mut self) {
        self.first = self.sent;
        self.answered = 0;
    }

    const fn turn(&mut self, state: PathState, now: Nanos) {
        self.state = state;
        self.since = now;
    }
}

impl Measures {
    /// The four timestamps of an answer (RFC 8762, section 4.3.1), the last of them taken when it arrived.
    fn record(&mut self, reply: &Reply, now: Nanos, longest: u64, clock: &StampClock) {
        let (here, there) = (clock.error().clock(), reply.error.clock());
        let departed = reply.probe.timestamp.unix_nanoseconds(here);
        let arrived = clock.stamp(now).unix_nanoseconds(here);
        let reflected = (reply.received.unix_nanoseconds(there), reply.timestamp.unix_nanoseconds(there));
        self.forward_jitter.record(departed, reflected.0, longest);
        self.backward_jitter.record(reflected.1, arrived, longest);
        let within = |from: u64, to: u64| to.checked_sub(from).filter(|time| *time <= longest);
        let taken = within(reflected.0, reflected.1);
        let round_trip = within(departed, arrived).zip(taken).and_then(|(total, taken)| total.checked_sub(taken));
        let Some(round_trip) = round_trip else {
            self.implausible += 1;
            return;
        };
        self.round_trip.record(Nanos(round_trip));
        if clock.tells_directions(reply.error, round_trip) {
            match within(departed, reflected.0).zip(within(reflected.1, arrived)) {
                Some((forward, backward)) => {
                    self.forward.record(Nanos(forward));
                    self.backward.record(Nanos(backward));
                }
                None => self.implausible += 1,
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the number on the wire is the lower half of the count")]
const fn low(count: u64) -> u32 {
    count as u32
}

/// How many probes of a path may be on their way at once: as long as an answer may take, in intervals, and so the most
/// losses in a row.
pub(super) const OUTSTANDING_MAX: usize = 16;
/// The shortest time from probe to probe.
pub(super) const INTERVAL_MIN: Nanos = Nanos(1_000_000);
/// The longest.
pub(super) const INTERVAL_MAX: Nanos = Nanos(60_000_000_000);
/// A number that is further behind is taken to be ahead.
const BEHIND_MAX: u64 = 1 << 31;

// As many as may be missing at the newest end, then as many as must be in a row, fit the bits.
const _: () = assert!(2 * OUTSTANDING_MAX <= u64::BITS as usize);
const _: () = assert!(size_of::<Prober>() == size_of::<[Timestamp; OUTSTANDING_MAX]>() + 64);

#[cfg(test)]
mod tests;
