//! What can be read of a tree: what slices and segments are held to, backlog and counters of queues, and what it takes in
//! memory.

use super::counts::{QueueCounts, QueueDrop, Sojourns};
use super::share::{LEAVING, LIVE};
use super::{CLASS_PLACES, CLASSES, QueueId, Segment, Shaper, Totals, Watch, queue};
use crate::meter::Nanos;
use model::Rate;

/// What a slice or a segment is held to now, read from the clocks that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// Met first.
    pub guaranteed: Rate,
    /// Never exceeded.
    pub ceiling: Rate,
    /// Its share of what its siblings' guarantees leave.
    pub weight: u8,
}

/// A segment as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRuns {
    /// The number of its slice.
    pub slice: u16,
    /// Its rates.
    pub runs: Runs,
    /// The cap of its low-latency class; nothing, if that class is like the others.
    pub low_latency: Rate,
    /// It was removed: it takes nothing more, and is there until nothing of it is queued.
    pub is_leaving: bool,
}

/// What waits in a queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Frames.
    pub frames: u32,
    /// Octets, with the port's overhead.
    pub octets: u32,
}

/// What a tree takes in memory, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// For each segment, with all its classes, as long as nothing is queued in it.
    pub per_segment: usize,
    /// For frames that wait.
    pub frames: usize,
    /// For queues that carry frames or lately did, with their counters.
    pub queues: usize,
    /// For slices and the wheel.
    pub other: usize,
}

/// Why a segment is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// There is no such segment.
    #[error("segment {segment}: there is none")]
    UnknownSegment {
        /// Asked for.
        segment: u32,
    },
    /// So many are watched already.
    #[error("segment {segment}: {WATCHED_SEGMENTS_MAX} segments are watched already")]
    TooMany {
        /// Asked for.
        segment: u32,
    },
}

impl Shaper {
    /// What waits in a queue.
    pub fn backlog(&self, id: QueueId) -> Backlog {
        match self.state(id) {
            Some(number) => {
                let queue = self.queues.get(number);
                Backlog { frames: queue.frames, octets: queue.octets }
            }
            None => Backlog::default(),
        }
    }

    /// What a queue has counted since it last got its state.
    pub fn counts(&self, id: QueueId) -> QueueCounts {
        self.state(id).map(|number| self.queues.counts(number)).unwrap_or_default()
    }

    /// What a slice is held to; `None` if there is none.
    pub fn slice_runs(&self, slice: u16) -> Option<Runs> {
        let slice = self.slices.get(usize::from(slice)).filter(|slice| slice.share.is(LIVE))?;
        Some(slice.share.runs(slice.guaranteed, slice.ceiling))
    }

    /// What a segment is held to; `None` if there is none.
    pub fn segment_runs(&self, segment: u32) -> Option<SegmentRuns> {
        let (at, share) = (segment as usize, &self.segments.get(segment as usize)?.share);
        let reserve = self.reserves.get(at).filter(|_| share.is(LIVE))?;
        Some(SegmentRuns {
            slice: share.own.slice,
            runs: share.runs(reserve.guaranteed, reserve.ceiling),
            low_latency: reserve.low_pace.rate(Rate::from_bits_per_second(reserve.low_rate)),
            is_leaving: share.is(LEAVING),
        })
    }

    /// The number of a segment's slice.
    pub fn slice_of(&self, segment: u32) -> Option<u16> {
        self.segments.get(segment as usize).map(|segment| segment.share.own.slice)
    }

    /// What a class of a slice has counted in queues that have given up their state since.
    pub(crate) fn given_up_counts(&self, slice: u16, class: u8) -> QueueCounts {
        self.totals(slice, class).map(|totals| totals.counts).unwrap_or_default()
    }

    /// What a class has counted in all segments of a slice since the slice was made. Looks at all queues.
    pub fn slice_counts(&self, slice: u16, class: u8) -> QueueCounts {
        let mut sum = self.given_up_counts(slice, class);
        for (owner, number) in self.queues.owners() {
            let (segment, of) = queue::owned(owner);
            if of == usize::from(class) && self.segments[segment as usize].share.own.slice == slice {
                sum.add(&self.queues.counts(number));
            }
        }
        sum
    }

    /// How long frames of a class stayed, in all segments of a slice.
    pub fn slice_sojourns(&self, slice: u16, class: u8) -> Option<&Sojourns> {
        self.totals(slice, class).map(|totals| &totals.sojourns)
    }

    /// How long frames of a queue stayed since its segment is [watched](Self::watch).
    pub fn sojourns(&self, id: QueueId) -> Option<&Sojourns> {
        let watch = self.watched.iter().find(|watch| watch.segment == id.segment)?;
        watch.sojourns.get(usize::from(id.class))
    }

    /// Gives each class of a segment a histogram of its own, from now on. One that has them keeps them, and counts as asked for last.
    pub fn watch(&mut self, segment: u32) -> Result<(), WatchError> {
        if !self.is_live(segment) {
            return Err(WatchError::UnknownSegment { segment });
        }
        if let Some(place) = self.watched.iter().position(|watch| watch.segment == segment) {
            self.watched[place..].rotate_left(1);
            self.renumber_watched();
            return Ok(());
        }
        if self.watched.len() == WATCHED_SEGMENTS_MAX {
            return Err(WatchError::TooMany { segment });
        }
        self.watched.push(Watch { segment, sojourns: vec![Sojourns::default(); CLASSES].into() });
        self.renumber_watched();
        Ok(())
    }

    /// Takes the histograms of a segment away again.
    pub fn unwatch(&mut self, segment: u32) {
        let Some(place) = self.watched.iter().position(|watch| watch.segment == segment) else { return };
        self.watched.remove(place);
        self.mark_watched(segment, 0);
        self.renumber_watched();
    }

    /// The segments that are watched, the one asked for longest ago first.
    pub fn watched(&self) -> impl Iterator<Item = u32> {
        self.watched.iter().map(|watch| watch.segment)
    }

    fn renumber_watched(&mut self) {
        for place in 0..self.watched.len() {
            #[allow(clippy::cast_possible_truncation, reason = "at most WATCHED_SEGMENTS_MAX")]
            self.mark_watched(self.watched[place].segment, place as u8 + 1);
        }
    }

    /// Tells the queues of a segment where their histograms are.
    pub(super) fn mark_watched(&mut self, segment: u32, watched: u8) {
        for (class, number) in self.segments[segment as usize].queues.iter().enumerate() {
            if self.queues.is(*number, queue::owner(segment, class)) {
                self.queues.get_mut(*number).watched = watched;
            }
        }
    }

    fn totals(&self, slice: u16, class: u8) -> Option<&Totals> {
        self.slices.get(usize::from(slice))?.totals.get(usize::from(class)).filter(|_| usize::from(class) < CLASSES)
    }

    /// The queues that carry frames or lately did.
    pub fn queues(&self) -> impl Iterator<Item = QueueId> {
        self.queues.owners().map(|(owner, _)| {
            let (segment, class) = queue::owned(owner);
            #[allow(clippy::cast_possible_truncation, reason = "below CLASSES")]
            let class = class as u8;
            QueueId { segment, class }
        })
    }

    /// Frames that were not taken, by reason.
    pub const fn refused(&self, reason: QueueDrop) -> u64 {
        self.refused[reason as usize]
    }

    /// What the port carries.
    pub const fn rate(&self) -> Rate {
        self.port.pace.rate(Rate::from_bits_per_second(self.port.rate))
    }

    /// What is guaranteed to all slices together.
    pub const fn guaranteed(&self) -> Rate {
        Rate::from_bits_per_second(self.port.guaranteed)
    }

    /// Frames that wait in the whole tree.
    pub const fn queued(&self) -> u32 {
        self.queues.queued()
    }

    /// Is there such a segment, and is it not being removed?
    pub fn is_live(&self, segment: u32) -> bool {
        self.segments.get(segment as usize).is_some_and(Segment::is_live)
    }

    /// The longest that a frame waits in the low-latency queue of a segment, if the queue is offered no more than its cap
    /// and burst admit; `None` if the segment has no such queue.
    ///
    /// All low-latency queues together send at most Σb + Σr·t in any time t, with b a queue's burst and one frame, r its
    /// cap. The port serves them first, at its rate R, after at most one frame of others that has begun. Until no low-latency
    /// frame is left it serves nothing else, so a frame of queue q waits no longer than until
    ///
    /// ```text
    ///   D = (Σb + F) / (R - Σr + r_q)  +  F / C_slice  +  F / C_segment  +  2 ticks
    /// ```
    ///
    /// with F the longest frame: each ceiling C may be taken by one frame that was sent before, and a wake-up rounds up to
    /// a tick of 256 ns. Not in it: how late the worker polls, and what leaves [past the tree](Self::charge).
    pub fn low_latency_bound(&self, segment: u32, frame_octets_max: u16) -> Option<Nanos> {
        let reserve = self.reserves.get(segment as usize).filter(|reserve| reserve.low_rate != 0)?;
        let share = &self.segments.get(segment as usize)?.share;
        let slice = &self.slices.get(usize::from(share.own.slice))?.share;
        let frame = u32::from(frame_octets_max).saturating_add(self.port.overhead);
        let left = self.port.rate.saturating_sub(self.port.low_rate).saturating_add(reserve.low_rate).max(1);
        let lows = u128::from(self.port.low_queues) * u128::from(frame) + u128::from(self.port.low_burst_octets);
        let queueing = (lows + u128::from(frame)) * 8_000_000_000 / u128::from(left);
        let shaping = slice.ceiling_pace.nanos(frame).saturating_add(share.ceiling_pace.nanos(frame));
        let ticks = 2 << super::pace::TICK_BITS;
        Some(Nanos(u64::try_from(queueing).unwrap_or(u64::MAX).saturating_add(shaping).saturating_add(ticks)))
    }

    /// What it takes in memory.
    pub fn memory(&self) -> Memory {
        let (frames, queues) = self.queues.octets();
        let (waits, wheel) = self.wheel.octets();
        let offers: Vec<_> = self.slices.iter().map(|slice| slice.offers.octets()).collect();
        let rings: usize = offers.iter().map(|(rings, _)| rings).sum();
        let segments = self.segments.len();
        let per_segment = size_of::<Segment>() + 4 + size_of::<super::Reserve>();
        let slices = self.slices.len() * (size_of::<super::Slice>() + CLASS_PLACES * size_of::<Totals>());
        let calendars: usize = offers.iter().map(|(_, calendars)| calendars).sum();
        Memory {
            per_segment: per_segment + (rings + waits).div_ceil(segments.max(1)),
            frames,
            queues,
            other: wheel + slices + calendars,
        }
    }

    /// The place of a queue's state.
    fn state(&self, id: QueueId) -> Option<u32> {
        let segment = self.segments.get(id.segment as usize)?;
        let number = *segment.queues.get(usize::from(id.class))?;
        self.queues.is(number, queue::owner(id.segment, usize::from(id.class))).then_some(number)
    }
}

impl Segment {
    pub(super) const fn is_live(&self) -> bool {
        self.share.state & (LIVE | LEAVING) == LIVE
    }
}

/// The most segments that are watched at a time.
pub const WATCHED_SEGMENTS_MAX: usize = 64;
