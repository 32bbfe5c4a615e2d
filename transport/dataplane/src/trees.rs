//! The schedulers of an edge's ports, and the frames that wait in them.
//!
//! ```text
//!   to a port:  what need not wait ─ pass ──────────────────────────▶ ┐
//!               what slices send ─ park ─▶ tree of the port ─ poll ─▶ │
//!               what passes through ─ park ─▶ its rest ─────────────▶ ├─▶ output queue
//!               what the edge itself says: probes, answers ─────────▶ ┘
//! ```
//!
//! A frame that a slice sends is finished, then parked: it waits by its handle, and leaves when the tree says so. Every
//! port has a tree from the start; what a program says of it is brought about in steps between bursts, guarantees that
//! shrink before those that grow, so that nothing is lost and no burst is held up ([`reshape`]).

pub(crate) mod reshape;
pub(crate) mod shape;

use arrayvec::ArrayVec;
use transport_wire::ethernet;

use crate::drops::DropReason;
use crate::encap;
use crate::forward::Way;
use crate::frame::{BURST_FRAMES_MAX, Frame, FramePool};
use crate::meter::Nanos;
use crate::pipeline::Pipeline;
use crate::port::{OUTPUT_FRAMES_MAX, Outputs, PortIndex, PortSet};
use crate::shaper::{Arrival, Departures, Fate, QueueDrop, QueueId, RATE_MAX, Shaper, ShaperLimits};
use crate::tables::Tables;
use reshape::Reshaping;
use shape::{QueueNumber, TreeShape};

/// The tree of a port and the frames in it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) shaper: Shaper,
    /// By handle.
    parked: Box<[Parked]>,
    /// Handles that are not in use.
    free: Vec<u32>,
    /// Parked, and not told to the scheduler yet.
    arrivals: ArrayVec<Arrival, BURST_FRAMES_MAX>,
    /// What the scheduler was told to be.
    runs: TreeShape,
    /// Was it told how classes are queued?
    has_classes: bool,
    reshaping: Option<Reshaping>,
    /// Something waits for frames of a segment that goes.
    is_held: bool,
}

/// A frame that waits.
#[derive(Debug)]
struct Parked {
    frame: Option<Frame>,
    queue: QueueNumber,
    /// How many octets the edge has put in front of the device's frame.
    front: u8,
    /// As its segment's `wire` when it was parked.
    wire: u16,
    /// Where it arrived.
    from: PortIndex,
}

/// Where a frame waits, and as what it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) queue: QueueNumber,
    /// The number of its class.
    pub(crate) class: u8,
    /// How many octets the edge has put in front of the device's frame, which alone counts for the rates of its slice.
    pub(crate) front: usize,
    /// Can congestion be marked in the IP packet of the frame?
    pub(crate) is_markable: bool,
}

impl Tree {
    /// With room for so many frames, on a port that is faster than any.
    pub(crate) fn new(frames: u32) -> Self {
        let limits = ShaperLimits {
            segments: shape::QUEUE_NUMBERS,
            slices: shape::SLICE_NUMBERS,
            frames,
            queues: frames.saturating_add(QUEUES_KEPT),
        };
        Self::with(&limits)
    }

    /// Of a port that another worker owns.
    pub(crate) fn none() -> Self {
        Self::with(&ShaperLimits { segments: 0, slices: 0, frames: 0, queues: 0 })
    }

    fn with(limits: &ShaperLimits) -> Self {
        let runs = TreeShape::none(RATE_MAX);
        let empty = || Parked { frame: None, queue: QueueNumber::REST, front: 0, wire: 0, from: PortIndex(0) };
        Self {
            shaper: Shaper::new(&runs.port, limits, Nanos(0)),
            parked: (0..limits.frames).map(|_| empty()).collect(),
            free: (0..limits.frames).rev().collect(),
            arrivals: ArrayVec::new(),
            runs,
            has_classes: false,
            reshaping: None,
            is_held: false,
        }
    }

    /// Frames that wait.
    pub(crate) fn frames(&self) -> usize {
        self.parked.len() - self.free.len()
    }

    /// Its slices and its segments have numbers below these.
    pub(crate) fn ends(&self) -> (u32, u32) {
        let end = |numbers: usize| u32::try_from(numbers).unwrap_or(u32::MAX);
        (end(self.runs.slices.len()), end(self.runs.segments.len()))
    }

    /// Parks a frame; gives it back if there is no room.
    #[inline]
    fn park(&mut self, from: PortIndex, waits: Waits, wire: u16, frame: Frame) -> Result<(), Frame> {
        let Some(handle) = self.free.pop() else { return Err(frame) };
        let Some(place) = self.parked.get_mut(handle as usize) else { return Err(frame) };
        #[allow(clippy::cast_possible_truncation, reason = "the length of a frame")]
        let octets = frame.len().saturating_sub(waits.front) as u16;
        let front = u8::try_from(waits.front).unwrap_or(u8::MAX);
        *place = Parked { frame: Some(frame), queue: waits.queue, front, wire, from };
        let queue = QueueId { segment: waits.queue.get(), class: waits.class };
        self.arrivals.push(Arrival { queue, handle, octets, markable: waits.is_markable });
        Ok(())
    }

    /// Takes a frame back.
    #[inline]
    fn take(&mut self, handle: u32) -> Option<(Frame, &Parked)> {
        let place = self.parked.get_mut(handle as usize)?;
        let frame = place.frame.take()?;
        // As many places as handles.
        self.free.push(handle);
        Some((frame, place))
    }
}

impl Pipeline {
    /// A frame of a segment, or of nobody here, leaves by a port when its turn comes.
    #[inline]
    pub(crate) fn queue(
        &mut self,
        way: &mut Way<'_>,
        to: PortIndex,
        segment: Option<usize>,
        waits: Waits,
        frame: Frame,
    ) {
        let wire = segment.map_or(0, |segment| self.tables.segments[segment].wire);
        if self.others.has_port(to) {
            self.park(way, to, waits, wire, frame);
        } else {
            self.hand_leaving(way, to, segment, (waits, wire), frame);
        }
    }

    /// A frame waits at a port of ours.
    #[inline]
    pub(crate) fn park(&mut self, way: &mut Way<'_>, to: PortIndex, waits: Waits, wire: u16, frame: Frame) {
        if self.trees.get(to.get()).is_some_and(|tree| tree.arrivals.is_full()) {
            self.enqueue(way.now, to, way.pool);
        }
        let (reason, frame) = match self.trees.get_mut(to.get()) {
            Some(tree) => match tree.park(way.port, waits, wire, frame) {
                Ok(()) => return,
                Err(frame) => (DropReason::QueueRoom, frame),
            },
            None => (DropReason::PortUnused, frame),
        };
        let segment = self.tables.segment_of_queue(waits.queue);
        self.drop(way, segment, reason, frame);
    }

    /// Sends what is due. To be called after frames have come, and at [`Pipeline::next_departure`].
    pub fn depart(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        for at in 0..self.trees.len() {
            #[allow(clippy::cast_possible_truncation, reason = "at most PORTS_MAX")]
            let port = PortIndex(at as u8);
            if self.trees[at].frames() != 0 {
                self.pass(now, port, pool, out);
                self.enqueue(now, port, pool);
                self.depart_by(now, port, pool, out);
            }
        }
        self.repay(pool);
    }

    /// When the next frame is due that waits; `None` if none waits.
    pub fn next_departure(&mut self, now: Nanos) -> Option<Nanos> {
        self.trees.iter_mut().filter(|tree| tree.frames() != 0).filter_map(|tree| tree.shaper.next_event(now)).min()
    }

    /// Frames that wait for their turn.
    pub fn queued(&self) -> usize {
        self.trees.iter().map(Tree::frames).sum()
    }

    /// Sends what has been parked and need not wait. What was parked before it, and what is low latency, comes first.
    #[inline]
    fn pass(&mut self, now: Nanos, port: PortIndex, pool: &mut FramePool, out: &mut Outputs) {
        let Tree { shaper, arrivals, .. } = &mut self.trees[port.get()];
        if arrivals.is_empty() {
            return;
        }
        let mut departures = Departures::new();
        shaper.pass(now, arrivals, out.room(port), &mut departures);
        self.send_departures(now, port, &mut departures, pool, out);
    }

    /// Tells the scheduler of a port what has been parked.
    #[inline]
    fn enqueue(&mut self, now: Nanos, to: PortIndex, pool: &mut FramePool) {
        let Self { trees, tables, counters, .. } = self;
        let Tree { shaper, parked, free, arrivals, .. } = &mut trees[to.get()];
        if arrivals.is_empty() {
            return;
        }
        shaper.enqueue(now, arrivals, |handle, reason| {
            let Some(place) = parked.get_mut(handle as usize) else { return };
            let Some(frame) = place.frame.take() else { return };
            count_drop(tables, counters, place, reason);
            free.push(handle);
            pool.give(frame);
        });
        arrivals.clear();
    }

    #[inline]
    fn depart_by(&mut self, now: Nanos, port: PortIndex, pool: &mut FramePool, out: &mut Outputs) {
        let mut departures = Departures::new();
        while self.trees[port.get()].frames() != 0 {
            let room = out.room(port).min(BURST_FRAMES_MAX);
            self.trees[port.get()].shaper.poll(now, room, &mut departures);
            let count = departures.len();
            self.send_departures(now, port, &mut departures, pool, out);
            // The scheduler answers with less than it may when nothing more is due.
            if count < BURST_FRAMES_MAX {
                break;
            }
        }
    }

    /// Frames that the scheduler of a port has let go leave by it, or are dropped as it says.
    #[inline]
    fn send_departures(
        &mut self,
        now: Nanos,
        port: PortIndex,
        departures: &mut Departures,
        pool: &mut FramePool,
        out: &mut Outputs,
    ) {
        let mut around = 0;
        for departure in departures.drain(..) {
            let Self { trees, tables, counters, .. } = self;
            let Some((mut frame, place)) = trees[port.get()].take(departure.handle) else { continue };
            let Some(exits) = tables.exits(place.queue, place.wire) else {
                count_drop(tables, counters, place, QueueDrop::UnknownQueue);
                pool.give(frame);
                continue;
            };
            match departure.fate {
                Fate::Drop(reason) => {
                    count_drop(tables, counters, place, reason);
                    pool.give(frame);
                    continue;
                }
                Fate::SendMarked => {
                    encap::mark_congestion(frame.octets_mut(), usize::from(place.front) + ethernet::HEADER_OCTETS);
                }
                Fate::Send => {}
            }
            counters[port.get()].sent.count(frame.len());
            let (queue, octets) = (place.queue, frame.len().saturating_sub(place.front.into()));
            around += u32::from(place.front) + LINK_OCTETS;
            if around > AROUND_OCTETS_MAX {
                trees[port.get()].shaper.charge(now, std::mem::take(&mut around));
            }
            if let Err(frame) = out.push(port, frame) {
                // There was room.
                pool.give(frame);
            }
            self.charge_others(now, exits.beside(port), queue, octets);
        }
        // What is around devices' frames takes its time from the port, and from nobody's rate.
        if around != 0 {
            self.trees[port.get()].shaper.charge(now, around);
        }
    }
}

impl Pipeline {
    /// A slice that leaves by several ports has its ceilings once: what one of them has sent, the others have less.
    #[inline]
    fn charge_others(&mut self, now: Nanos, others: PortSet, queue: QueueNumber, octets: usize) {
        for other in others.ports() {
            let octets = u32::try_from(octets).unwrap_or(u32::MAX);
            if self.others.has_port(other) {
                self.charge_ceilings(now, other, queue, octets);
            } else {
                self.others.spent(other, queue, octets);
            }
        }
    }

    /// So much counts for the ceilings at a port of ours.
    #[inline]
    pub(crate) fn charge_ceilings(&mut self, now: Nanos, port: PortIndex, queue: QueueNumber, octets: u32) {
        if let Some(tree) = self.trees.get_mut(port.get()) {
            tree.shaper.charge_ceilings(now, queue.get(), octets);
        }
    }
}

/// Counts a frame that its queue has not taken, or has dropped.
fn count_drop(tables: &mut Tables, counters: &mut [crate::pipeline::PortCounters], parked: &Parked, reason: QueueDrop) {
    let reason = reason.into();
    if let Some(port) = counters.get_mut(parked.from.get()) {
        port.drops.count(reason);
    }
    if let Some(segment) = tables.segment_of_queue(parked.queue) {
        tables.segments[segment].drop(parked.from, reason);
    }
}

impl From<QueueDrop> for DropReason {
    fn from(reason: QueueDrop) -> Self {
        match reason {
            QueueDrop::UnknownQueue | QueueDrop::NoQueueState => Self::QueueUnknown,
            QueueDrop::Handle => Self::QueueRoom,
            QueueDrop::TooLong => Self::TooBig,
            QueueDrop::QueueOctets => Self::QueueOctets,
            QueueDrop::QueueTime => Self::QueueTime,
            QueueDrop::QueueFrames => Self::QueueFrames,
            QueueDrop::Codel => Self::QueueStands,
        }
    }
}

/// What a frame takes on a link beyond its octets: preamble, start, check sequence and gap (IEEE 802.3, sections 3.1.1 and
/// 4.4.2).
pub(crate) const LINK_OCTETS: u32 = 8 + 4 + 12;
/// So much is charged at once: less than the longest frame that is scheduled.
const AROUND_OCTETS_MAX: u32 = 8_192;
/// So many queues keep their counters beyond those that can carry a frame.
const QUEUES_KEPT: u32 = 1_024;

const _: () = assert!(OUTPUT_FRAMES_MAX >= BURST_FRAMES_MAX);
const _: () = assert!(size_of::<Parked>() == 32);
