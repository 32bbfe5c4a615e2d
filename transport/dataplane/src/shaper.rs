//! The scheduler: a tree of rates that frames pass on their way out.
//!
//! ```text
//!   port ─┬─ slice ─┬─ segment ─┬─ low-latency class   strictly first, with a cap of its own
//!         ├─ slice  ├─ segment  ├─ class ─┐
//!         └─ ...    └─ ...      └─ ...   ─┴─ by weight, each within one frame of its share
//!        ceiling   guarantee, ceiling, weight
//! ```
//!
//! At every level guarantees are met first, what is left is borrowed by weight, ceilings hold, and nothing that may be
//! sent is held back. The frames stay with the caller, who gives a handle for each and gets the handles back in the order
//! in which the frames are to be sent. Time is an argument. Whoever is over its rate waits in a timing wheel and costs nothing
//! until its moment; who may send stands in a ring or in a calendar of virtual time. No operation looks at more than it
//! serves, whatever the number of segments. Why it is built so: decision 14.
//!
//! Rates of sessions are not shaped here but metered before ([`crate::Markers`]): a session has no queue of its own.

mod arrive;
mod bits;
mod calendar;
mod change;
mod classes;
mod codel;
mod counts;
mod mirror;
mod pace;
mod pass;
mod queue;
mod read;
mod ring;
mod serve;
mod share;
mod spec;
mod wheel;

pub use counts::{QueueCounts, QueueDrop, SOJOURN_BUCKETS, Sojourns};
pub use pace::RATE_MAX;
pub use read::{Backlog, Memory, Runs, SegmentRuns, WATCHED_SEGMENTS_MAX, WatchError};
pub use spec::{
    CLASS_TABLES_MAX, CLASSES, ClassShape, ClassTable, Codel, LOW_LATENCY_CLASS, Parent, PortShape, SegmentShape,
    Shape, ShapeError, ShaperLimits, WEIGHT_MAX,
};

use arrayvec::ArrayVec;

use crate::frame::{BURST_FRAMES_MAX, FRAME_OCTETS_MAX};
use crate::meter::Nanos;
use calendar::{Inverse, Tag};
use pace::{Due, Pace, Time, Tolerance};
use queue::{NONE, Queues};
use share::{Offers, Share};
use wheel::Wheel;

/// The tree of one port, owned by the worker that sends on it.
#[derive(Debug)]
pub struct Shaper {
    time: Time,
    limits: ShaperLimits,
    port: Port,
    slices: Vec<Slice>,
    segments: Vec<Segment>,
    /// The calendars' lists: a place for each segment.
    links: Vec<u32>,
    /// What is needed of a segment for its low-latency class and when it changes or is read.
    reserves: Vec<Reserve>,
    tables: Vec<Table>,
    queues: Queues,
    /// Segments wait by their number, slices by theirs behind those.
    wheel: Wheel,
    /// Frames that were not taken and belong to no queue.
    refused: [u64; QueueDrop::ALL.len()],
    watched: Vec<Watch>,
}

/// A queue of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    /// The segment's number.
    pub segment: u32,
    /// The class, below [`CLASSES`].
    pub class: u8,
}

/// A frame that wants to be queued.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Where.
    pub queue: QueueId,
    /// The caller's name for the frame, below [`ShaperLimits::frames`] and not queued already.
    pub handle: u32,
    /// Its length.
    pub octets: u16,
    /// Can congestion be marked in it (RFC 3168)?
    pub markable: bool,
}

/// A frame that leaves the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// The caller's name for it.
    pub handle: u32,
    /// What to do with it.
    pub fate: Fate,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Send,
    /// It is sent, marked for congestion.
    SendMarked,
    /// It is dropped.
    Drop(QueueDrop),
}

/// Frames that leave together.
pub type Departures = ArrayVec<Departure, BURST_FRAMES_MAX>;

#[derive(Debug)]
struct Port {
    rate: u64,
    pace: Pace,
    tolerance: Tolerance,
    /// The same while it is held up.
    lateness: Tolerance,
    due: Due,
    /// The last poll left something that waits for nothing but the port.
    is_behind: bool,
    offers: Offers,
    /// The calendar's lists: a place for each slice.
    links: Vec<u32>,
    /// Guarantees of all slices.
    guaranteed: u64,
    /// Caps and bursts of all low-latency classes.
    low_rate: u64,
    low_burst_octets: u64,
    low_queues: u32,
    overhead: u32,
    credit: Nanos,
}

#[derive(Debug)]
struct Slice {
    share: Share<[u16; 3]>,
    offers: Offers,
    /// By class; none where no slice is.
    totals: Box<[Totals]>,
    segments: u32,
    guaranteed: u64,
    ceiling: u64,
    /// Guarantees of its segments.
    promised: u64,
}

/// What a class of all segments of a slice has counted.
#[derive(Debug, Default, Clone)]
struct Totals {
    sojourns: Sojourns,
    /// By queues that gave up their state.
    counts: QueueCounts,
}

/// A segment whose classes each have a histogram of their own.
#[derive(Debug)]
struct Watch {
    segment: u32,
    sojourns: Box<[Sojourns]>,
}

/// Two cache lines, the first of which decides.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Segment {
    share: Share<Own>,
    /// Where the state of each class's queue was last.
    queues: [u32; CLASSES],
    /// Its class table.
    table: u16,
    /// Virtual time of its classes.
    virtual_time: Tag,
}

#[derive(Debug, Clone, Copy)]
struct Own {
    /// A bit for each class that has frames.
    classes: u16,
    slice: u16,
    /// A bit for each class that has no low latency.
    bulk: u16,
}

#[derive(Debug, Clone, Copy)]
struct Reserve {
    /// When the low-latency class may send next.
    low: Due,
    low_tolerance: Tolerance,
    low_pace: Pace,
    low_rate: u64,
    low_burst_octets: u32,
    guaranteed: u64,
    ceiling: u64,
}

/// A class table, ready for use.
#[derive(Debug)]
struct Table {
    /// Was it made?
    live: bool,
    low_burst_octets: u32,
    classes: [Class; CLASS_PLACES],
}

#[derive(Debug, Clone, Copy)]
struct Class {
    inverse: Inverse,
    octets_max: u32,
    weight: u8,
    time_max: u64,
    /// With a target that no frame reaches, if there is none.
    codel: Codel,
}

impl Port {
    /// How much credit it has at most.
    #[inline]
    const fn tolerance(&self) -> Tolerance {
        if self.is_behind { self.lateness } else { self.tolerance }
    }
}

impl Shaper {
    /// A tree without slices. All the memory that frames will ever need is taken now.
    pub fn new(port: &PortShape, limits: &ShaperLimits, now: Nanos) -> Self {
        let limits = ShaperLimits {
            segments: limits.segments.min(SEGMENTS_MAX),
            frames: limits.frames.min(NONE - 1),
            queues: limits.queues.min(NONE - 1),
            slices: limits.slices,
        };
        let time = Time::new(now);
        let pace = Pace::of(port.rate);
        let (segments, slices) = (limits.segments as usize, usize::from(limits.slices));
        let mut offers = Offers::default();
        offers.reserve(slices);
        Self {
            time,
            limits,
            port: Port {
                rate: port.rate.bits_per_second(),
                pace,
                tolerance: Tolerance::of(0, pace, port.credit),
                lateness: Tolerance::of(0, pace, port.lateness.max(port.credit)),
                due: Due::at(time.now()),
                is_behind: false,
                offers,
                links: vec![0; slices],
                guaranteed: 0,
                low_rate: 0,
                low_burst_octets: 0,
                low_queues: 0,
                overhead: u32::from(port.overhead_octets),
                credit: port.credit,
            },
            slices: (0..slices).map(|_| Slice::nobody(time.now())).collect(),
            segments: vec![Segment::nobody(time.now()); segments],
            links: vec![0; segments],
            reserves: vec![Reserve::NOTHING; segments],
            tables: Vec::new(),
            queues: Queues::new(limits.frames, limits.queues),
            wheel: Wheel::new(segments + slices, time.now()),
            refused: [0; QueueDrop::ALL.len()],
            watched: Vec::new(),
        }
    }

    /// When to poll next: now, if something may be sent; a later moment, if all that waits is over its rate; `None`, if
    /// nothing waits. Earlier than needed at times, never later.
    pub fn next_event(&mut self, now: Nanos) -> Option<Nanos> {
        let now = self.time.at(now);
        let (low, bulk) = self.port.offers.kinds();
        let ready = (low || bulk).then(|| self.port.due.nanos().max(now));
        let woken = self.wheel.next().map(|at| at.max(now));
        let next = ready.into_iter().chain(woken).min()?;
        Some(self.time.seen(next))
    }
}

/// The longest frame with overhead: any that the packet path carries, and its outer headers.
const FRAME_OCTETS_MOST: u32 = 16_000;
/// The most segments of a tree.
pub const SEGMENTS_MAX: u32 = if queue::SEGMENTS_MOST < MILLIONS { queue::SEGMENTS_MOST } else { MILLIONS };
const MILLIONS: u32 = 16 << 20;

/// Places for classes, by their lowest bits: so many that none has to be looked up with care.
const CLASS_PLACES: usize = CLASSES.next_power_of_two();

const _: () = assert!(FRAME_OCTETS_MOST as usize > FRAME_OCTETS_MAX + crate::frame::HEADROOM_OCTETS);
const _: () = assert!(size_of::<Share<Own>>() == 64 && size_of::<Segment>() == 128);

#[cfg(test)]
mod tests;
