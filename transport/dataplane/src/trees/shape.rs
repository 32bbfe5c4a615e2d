//! What a program makes of the tree of a port.

use model::{Rate, RateLimits};

use crate::meter::Nanos;
use crate::shaper::{CLASSES, ClassShape, ClassTable, PortShape, SegmentShape, Shape};
use crate::tables::SliceSlot;

/// The number of a segment in the scheduler of every port; kept while the segment stays, and not soon given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueNumber(u32);

impl From<u32> for QueueNumber {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl QueueNumber {
    /// What passes through and belongs to no slice here.
    pub(crate) const REST: Self = Self(0);

    /// The slice of the rest, in a tree.
    pub(crate) const REST_SLICE: u16 = 0;

    /// Of a segment.
    pub(crate) const fn of(number: u16) -> Self {
        Self(number as u32 + 1)
    }

    /// The place among the numbers of segments; `None` for the rest.
    pub(crate) const fn slot(self) -> Option<usize> {
        match self.0.checked_sub(1) {
            Some(slot) => Some(slot as usize),
            None => None,
        }
    }

    #[inline]
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

/// What a tree is to be.
#[derive(Debug, Clone)]
pub(crate) struct TreeShape {
    pub(crate) port: PortShape,
    pub(crate) classes: ClassTable,
    /// The rest, then by slot.
    pub(crate) slices: Vec<Option<Shape>>,
    /// By number.
    pub(crate) segments: Vec<Option<SegmentShape>>,
}

impl TreeShape {
    /// Of a port that nobody sends by, and whose link carries so much.
    pub(crate) fn none(rate: Rate) -> Self {
        let lateness = Nanos(LATENESS_MILLISECONDS * 1_000_000);
        let port = PortShape { rate, overhead_octets: 0, credit: PORT_CREDIT, lateness };
        let classes = ClassTable { low_latency_burst_octets: 0, classes: [ClassShape::default(); CLASSES] };
        Self { port, classes, slices: Vec::new(), segments: Vec::new() }
    }

    pub(crate) fn slice(&self, at: usize) -> Option<&Shape> {
        self.slices.get(at).and_then(Option::as_ref)
    }

    pub(crate) fn segment(&self, at: usize) -> Option<&SegmentShape> {
        self.segments.get(at).and_then(Option::as_ref)
    }

    /// Puts a slice into its place.
    pub(crate) fn set_slice(&mut self, slot: SliceSlot, shape: Shape) {
        put(&mut self.slices, usize::from(slice_number(slot)), shape);
    }

    /// Puts a segment into its place.
    pub(crate) fn set_segment(&mut self, number: QueueNumber, shape: SegmentShape) {
        put(&mut self.segments, number.get() as usize, shape);
    }

    /// What belongs to no slice shares what they leave.
    pub(crate) fn set_rest(&mut self) {
        let limits = RateLimits::new(Rate::ZERO, self.port.rate);
        let Ok(limits) = limits else { return };
        let shape = Shape { limits, burst_octets: burst_octets(self.port.rate, crate::FRAME_OCTETS_MAX), weight: 1 };
        put(&mut self.slices, usize::from(QueueNumber::REST_SLICE), shape);
        let segment = SegmentShape { slice: QueueNumber::REST_SLICE, shape, low_latency: Rate::ZERO, classes: 0 };
        self.set_segment(QueueNumber::REST, segment);
    }
}

/// What may be sent at once after a silence: two of the longest frames, or what [`LATENESS_MILLISECONDS`] hold, so that a ceiling
/// is reached by a worker that comes late by less than that.
pub(crate) fn burst_octets(ceiling: Rate, frame_octets_max: usize) -> u32 {
    let time = ceiling.bits_per_second() / 8_000 * LATENESS_MILLISECONDS;
    let least = 2 * frame_octets_max as u64;
    u32::try_from(time.max(least)).unwrap_or(u32::MAX)
}

pub(super) fn put<T>(places: &mut Vec<Option<T>>, at: usize, value: T) {
    if places.len() <= at {
        places.resize_with(at + 1, || None);
    }
    places[at] = Some(value);
}

/// A round of the worker takes so long at most, as long as the machine does nothing else.
const PORT_CREDIT: Nanos = Nanos(500_000);
/// So late may a worker come on a machine that does other things, too.
const LATENESS_MILLISECONDS: u64 = 5;

/// The number of a slice in a tree.
pub(crate) const fn slice_number(slot: SliceSlot) -> u16 {
    slot.0 + 1
}

/// Slices of a tree have numbers below this.
pub(crate) const SLICE_NUMBERS: u16 = crate::compile::SLOTS + 1;
pub(super) const QUEUE_NUMBERS: u32 = crate::compile::QUEUE_SLOTS as u32 + 1;
