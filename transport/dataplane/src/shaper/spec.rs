//! What a tree is asked to be: rates, weights, classes, and how large it may grow.

use model::{Rate, RateLimits};

use crate::Nanos;

/// How large a tree may grow. All memory is taken by these numbers when it is made.
#[derive(Debug, Clone, Copy)]
pub struct ShaperLimits {
    /// Segments have numbers below this.
    pub segments: u32,
    /// Slices have numbers below this.
    pub slices: u16,
    /// Frames have handles below this; so many can be queued in all, and in each queue as many as are still free.
    pub frames: u32,
    /// Queues whose state and counters are kept. More than `frames` are always enough to queue; as many as there are classes
    /// in all segments keep every queue's counters for ever. Of those between, the one that ran empty last makes room for the next.
    pub queues: u32,
}

/// A port: the root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortShape {
    /// What the link carries.
    pub rate: Rate,
    /// Octets that a frame takes on the link beyond those that it is said to have.
    pub overhead_octets: u16,
    /// The credit that a port keeps which had nothing to send, and the least of a low-latency cap. Frames for so long may leave
    /// at once, and who has low latency waits for them on the link.
    pub credit: Nanos,
    /// So late may a poll come without a loss of the port's rate, while frames wait for the port and for nothing else. What it
    /// makes up for then leaves at once, too. At least the credit.
    pub lateness: Nanos,
}

/// A slice, or what slice and segment have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Met first, and never exceeded.
    pub limits: RateLimits,
    /// What may be sent at once after a silence, in octets (a session's MDBV, TS 23.501 section 5.7.3.7, is such a burst).
    pub burst_octets: u32,
    /// The share of what the siblings' guarantees leave over, 1 to [`WEIGHT_MAX`].
    pub weight: u8,
}

/// A segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentShape {
    /// The number of its slice.
    pub slice: u16,
    /// Its rates.
    pub shape: Shape,
    /// The cap of its low-latency class, [`LOW_LATENCY_CLASS`], at most its guarantee; with a cap of nothing that class is like the
    /// others.
    pub low_latency: Rate,
    /// The number of its [`ClassTable`].
    pub classes: u16,
}

/// How the classes of segments are queued. Many segments share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassTable {
    /// What a low-latency class may send at once, in octets.
    pub low_latency_burst_octets: u32,
    /// Each class.
    pub classes: [ClassShape; CLASSES],
}

/// How a class is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassShape {
    /// Its share beside the other classes of the segment, 1 to [`WEIGHT_MAX`].
    pub weight: u8,
    /// The most octets that wait in it.
    pub octets_max: u32,
    /// The most that wait in it as the time that they take at the segment's ceiling.
    pub time_max: Nanos,
    /// What is done about queues that stand; nothing for a low-latency class.
    pub codel: Option<Codel>,
}

impl Default for ClassShape {
    fn default() -> Self {
        Self { weight: 1, octets_max: 1 << 20, time_max: Nanos(1_000_000_000), codel: Some(Codel::default()) }
    }
}

/// The parameters of CoDel (RFC 8289, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codel {
    /// The sojourn time that is aimed at.
    pub target: Nanos,
    /// How long it may be exceeded.
    pub interval: Nanos,
}

impl Default for Codel {
    /// 5 ms and 100 ms (RFC 8289, section 4.3).
    fn default() -> Self {
        Self { target: Nanos(5_000_000), interval: Nanos(100_000_000) }
    }
}

/// Why a tree does not become what it is asked to be. It stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The tree was made for fewer segments.
    #[error("segment {segment}: the tree was made for {max} segments")]
    NoRoomForSegment {
        /// Asked for.
        segment: u32,
        /// Its numbers are below.
        max: u32,
    },
    /// The tree was made for fewer slices.
    #[error("slice {slice}: the tree was made for {max} slices")]
    NoRoomForSlice {
        /// Asked for.
        slice: u16,
        /// Its numbers are below.
        max: u16,
    },
    /// More class tables than there may be.
    #[error("class table {table}: there may be {CLASS_TABLES_MAX}")]
    NoRoomForClasses {
        /// Asked for.
        table: u16,
    },
    /// There is no such slice.
    #[error("slice {slice}: there is none")]
    UnknownSlice {
        /// Asked for.
        slice: u16,
    },
    /// There is no such segment.
    #[error("segment {segment}: there is none")]
    UnknownSegment {
        /// Asked for.
        segment: u32,
    },
    /// There is no such class table.
    #[error("class table {table}: there is none")]
    UnknownClasses {
        /// Asked for.
        table: u16,
    },
    /// A weight that is none.
    #[error("weight {found}: expected 1 to {WEIGHT_MAX}")]
    Weight {
        /// What was found.
        found: u8,
    },
    /// More is guaranteed than there is.
    #[error("guaranteed {asked}, of which {left} are left below {below}")]
    Oversubscribed {
        /// The parent.
        below: Parent,
        /// Asked for.
        asked: Rate,
        /// Not yet promised to others.
        left: Rate,
    },
    /// A low-latency class is strictly first, so it can be no more than what is promised anyway.
    #[error("low latency {cap}: at most the guarantee, {guaranteed}")]
    LowLatencyAboveGuarantee {
        /// Asked for.
        cap: Rate,
        /// The segment's guarantee.
        guaranteed: Rate,
    },
    /// A segment stays in its slice; another number can be taken.
    #[error("segment {segment}: it belongs to slice {slice} and can't move")]
    Moves {
        /// The segment.
        segment: u32,
        /// Its slice.
        slice: u16,
    },
    /// It was removed and frames of it still wait.
    #[error("segment {segment}: what was queued before it was removed is still being sent")]
    Leaving {
        /// The segment.
        segment: u32,
    },
    /// It still has segments.
    #[error("slice {slice}: it still has {segments} segments")]
    SliceInUse {
        /// The slice.
        slice: u16,
        /// How many.
        segments: u32,
    },
}

/// Whose rate is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// The port.
    Port,
    /// A slice.
    Slice(u16),
}

impl std::fmt::Display for Parent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port => f.write_str("the port"),
            Self::Slice(slice) => write!(f, "slice {slice}"),
        }
    }
}

impl Shape {
    /// Refuses a weight that is none.
    pub(super) const fn check(&self) -> Result<(), ShapeError> {
        check_weight(self.weight)
    }
}

impl ClassTable {
    pub(super) fn check(&self) -> Result<(), ShapeError> {
        self.classes.iter().try_for_each(|class| check_weight(class.weight))
    }
}

const fn check_weight(found: u8) -> Result<(), ShapeError> {
    if found == 0 || found > WEIGHT_MAX { Err(ShapeError::Weight { found }) } else { Ok(()) }
}

/// Classes of a segment.
pub const CLASSES: usize = 13;
/// The class that can be strictly first.
pub const LOW_LATENCY_CLASS: u8 = 0;
/// The largest weight.
pub const WEIGHT_MAX: u8 = 100;
/// The most class tables.
pub const CLASS_TABLES_MAX: u16 = 4_096;
