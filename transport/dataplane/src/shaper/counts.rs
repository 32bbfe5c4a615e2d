//! What is counted of a queue: sent, marked, dropped and why, and how long frames stayed.

use crate::Nanos;

/// Why the tree has dropped a frame, or not taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueDrop {
    /// There is no such segment or class, or the segment is being removed.
    UnknownQueue,
    /// The handle is beyond those that the tree was made for, or is queued already.
    Handle,
    /// The frame is longer than any that is scheduled.
    TooLong,
    /// No state was left for one more queue.
    NoQueueState,
    /// The queue holds as many octets as it may.
    QueueOctets,
    /// What is in the queue takes as long as it may.
    QueueTime,
    /// The queue holds as many frames as are still free in the whole tree.
    QueueFrames,
    /// The queue stood for too long (RFC 8289), and the frame can't be marked.
    Codel,
}

impl QueueDrop {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::UnknownQueue,
        Self::Handle,
        Self::TooLong,
        Self::NoQueueState,
        Self::QueueOctets,
        Self::QueueTime,
        Self::QueueFrames,
        Self::Codel,
    ];

    /// As it is written in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownQueue => "unknown-queue",
            Self::Handle => "queue-handle",
            Self::TooLong => "queue-too-long",
            Self::NoQueueState => "no-queue-state",
            Self::QueueOctets => "queue-octets",
            Self::QueueTime => "queue-time",
            Self::QueueFrames => "queue-frames",
            Self::Codel => "queue-codel",
        }
    }
}

/// Counters of a queue, or of the same class in all segments of a slice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QueueCounts {
    /// Frames sent.
    pub frames: u64,
    /// Octets sent, with the port's overhead.
    pub octets: u64,
    /// Of the frames sent, those that were marked for congestion.
    pub marked: u64,
    pub(super) dropped: [u64; 7],
}

/// How long frames stayed, in buckets: the first below 1 µs, each next one half an octave wide, the last one from half a
/// second on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sojourns([u64; SOJOURN_BUCKETS]);

impl QueueCounts {
    pub(super) const NONE: Self = Self { frames: 0, octets: 0, marked: 0, dropped: [0; 7] };

    /// Frames dropped for a reason that belongs to a queue.
    pub const fn dropped(&self, reason: QueueDrop) -> u64 {
        match place(reason) {
            Some(place) => self.dropped[place],
            None => 0,
        }
    }

    #[inline]
    pub(super) const fn count_drop(&mut self, reason: QueueDrop) {
        if let Some(place) = place(reason) {
            self.dropped[place] += 1;
        }
    }

    /// Adds what another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.octets += other.octets;
        self.marked += other.marked;
        for (mine, theirs) in self.dropped.iter_mut().zip(other.dropped) {
            *mine += theirs;
        }
    }
}

impl Default for Sojourns {
    fn default() -> Self {
        Self([0; SOJOURN_BUCKETS])
    }
}

impl Sojourns {
    /// Each bucket's least time, and how many frames stayed at least that long and shorter than the next one's.
    pub fn iter(&self) -> impl Iterator<Item = (Nanos, u64)> {
        self.0.iter().enumerate().map(|(bucket, frames)| (least(bucket), *frames))
    }

    /// How many frames.
    pub fn frames(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A time that so many thousandths of the frames did not exceed, as the end of its bucket; `None` if there was no frame.
    pub fn permille(&self, permille: u64) -> Option<Nanos> {
        let all: u64 = self.0.iter().sum();
        let wanted = (all * permille.min(1_000)).div_ceil(1_000).max(1);
        let mut seen = 0;
        let bucket = self.0.iter().position(|frames| {
            seen += frames;
            seen >= wanted
        })?;
        Some(least(bucket + 1))
    }

    #[inline]
    pub(super) fn count(&mut self, nanos: u64) {
        self.0[bucket(nanos)] += 1;
    }
}

/// Unknown queues and handles belong to no queue.
const fn place(reason: QueueDrop) -> Option<usize> {
    (reason as usize).checked_sub(QueueDrop::Handle as usize)
}

/// The exponent and the first bit behind the point, as a float has them at the top.
#[inline]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "beyond the last bucket")]
fn bucket(nanos: u64) -> usize {
    let units = (nanos >> FIRST_BITS) as i64 as f32;
    ((units.to_bits() >> 22) as usize).saturating_sub(FIRST_FLOAT).min(SOJOURN_BUCKETS - 1)
}

/// The least time of a bucket.
const fn least(bucket: usize) -> Nanos {
    if bucket == 0 {
        return Nanos(0);
    }
    let place = bucket as u64 + 1;
    Nanos((2 + place % 2) << (place / 2 - 1) << FIRST_BITS)
}

/// The first bucket ends at 2^10 ns, two units of half of it.
const FIRST_BITS: u32 = 9;
/// What falls into the first bucket: up to what 1.5 would have at the top.
const FIRST_FLOAT: usize = (1.0_f32.to_bits() >> 22) as usize + 1;
/// How finely sojourn times are told apart.
pub const SOJOURN_BUCKETS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_that_says_so() {
        for bucket_number in 1..SOJOURN_BUCKETS {
            let first = least(bucket_number).0;
            assert_eq!(bucket(first), bucket_number);
            assert_eq!(bucket(first - 1), bucket_number - 1);
        }
        assert_eq!((least(1).0, least(2).0, least(3).0), (1_024, 1_536, 2_048));
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, SOJOURN_BUCKETS - 1));
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket() {
        let mut sojourns = Sojourns::default();
        assert_eq!(sojourns.permille(500), None);
        for nanos in [100, 100, 100, 1_600] {
            sojourns.count(nanos);
        }
        assert_eq!(sojourns.permille(750), Some(Nanos(1_024)));
        assert_eq!(sojourns.permille(751), Some(Nanos(2_048)));
    }

    #[test]
    fn each_reason_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = QueueDrop::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), QueueDrop::ALL.len());
    }
}
