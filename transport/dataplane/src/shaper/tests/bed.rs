//! A tree, a virtual clock, and a list of who left when.

use std::collections::BTreeMap;

use model::{Rate, RateLimits};

use super::super::*;

pub(super) const KBIT: u64 = 1_000;
pub(super) const MBIT: u64 = 1_000_000;
pub(super) const GBIT: u64 = 1_000_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

/// One that left, or was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) at: u64,
    pub(super) came: u64,
    pub(super) queue: QueueId,
    pub(super) octets: u64,
    /// Its number among those of its queue.
    pub(super) number: u64,
    pub(super) fate: Fate,
}

pub(super) struct Bed {
    pub(super) tree: Shaper,
    pub(super) now: u64,
    free: Vec<u32>,
    /// By handle.
    queued: BTreeMap<u32, (u64, QueueId, u64, u64)>,
    numbers: BTreeMap<QueueId, u64>,
    pub(super) left: Vec<Left>,
    pub(super) refused: Vec<QueueDrop>,
    pub(super) markable: bool,
    pub(super) accepted: u64,
    /// Is what arrives sent at once if it need not wait?
    pub(super) passes: bool,
}

impl Bed {
    pub(super) fn new(port: u64, segments: u32, frames: u32) -> Self {
        let limits = ShaperLimits { segments, slices: 64, frames, queues: frames + 64 };
        Self::with(&PortShape { rate: rate(port), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, &limits)
    }

    pub(super) fn with(port: &PortShape, limits: &ShaperLimits) -> Self {
        let mut tree = Shaper::new(port, limits, Nanos(START));
        tree.set_classes(0, &classes(&[1; CLASSES], 0)).unwrap();
        Self {
            tree,
            now: START,
            free: (0..limits.frames).rev().collect(),
            queued: BTreeMap::new(),
            numbers: BTreeMap::new(),
            left: Vec::new(),
            refused: Vec::new(),
            markable: false,
            accepted: 0,
            passes: false,
        }
    }

    pub(super) fn slice(&mut self, slice: u16, guaranteed: u64, ceiling: u64, weight: u8) {
        self.tree.set_slice(slice, &shape(guaranteed, ceiling, weight), Nanos(self.now)).unwrap();
    }

    pub(super) fn segment(&mut self, segment: u32, slice: u16, guaranteed: u64, ceiling: u64, weight: u8) {
        self.set(segment, &plain(slice, guaranteed, ceiling, weight));
    }

    pub(super) fn set(&mut self, segment: u32, shape: &SegmentShape) {
        self.tree.set_segment(segment, shape, Nanos(self.now)).unwrap();
    }

    /// A frame arrives now; false if it is not taken.
    pub(super) fn put(&mut self, segment: u32, class: u8, octets: u16) -> bool {
        let refused = self.refused.len();
        let budget = if self.passes { BURST_FRAMES_MAX } else { 0 };
        self.burst(&[(QueueId { segment, class }, octets)], budget);
        self.refused.len() == refused
    }

    /// Frames arrive together, as many as there are handles for. Of those that need not wait so many may leave at once; answers
    /// how many did.
    pub(super) fn burst(&mut self, frames: &[(QueueId, u16)], budget: usize) -> usize {
        let mut arrivals = ArrayVec::new();
        for (queue, octets) in frames {
            let Some(handle) = self.free.pop() else {
                self.refused.push(QueueDrop::Handle);
                continue;
            };
            let number = self.numbers.get(queue).copied().unwrap_or_default();
            *self.numbers.entry(*queue).or_default() += 1;
            self.queued.insert(handle, (self.now, *queue, u64::from(*octets), number));
            arrivals.push(Arrival { queue: *queue, handle, octets: *octets, markable: self.markable });
        }
        let (taken, mut departures) = (arrivals.len(), Departures::new());
        if budget != 0 {
            self.tree.pass(Nanos(self.now), &mut arrivals, budget, &mut departures);
            assert_eq!(departures.len() + arrivals.len(), taken);
        }
        self.note(&departures);
        let mut refused = Vec::new();
        self.tree.enqueue(Nanos(self.now), &arrivals, |handle, reason| refused.push((handle, reason)));
        for (handle, reason) in &refused {
            assert!(self.queued.remove(handle).is_some(), "{handle} was not there");
            self.free.push(*handle);
            self.refused.push(*reason);
        }
        self.accepted += (taken - refused.len()) as u64;
        departures.len()
    }

    /// Polls once; answers how many left.
    pub(super) fn poll(&mut self) -> usize {
        let mut departures = Departures::new();
        self.tree.poll(Nanos(self.now), BURST_FRAMES_MAX, &mut departures);
        self.note(&departures);
        departures.len()
    }

    /// Writes down who leaves.
    pub(super) fn note(&mut self, departures: &Departures) {
        for Departure { handle, fate } in departures {
            let (came, queue, octets, number) = self.queued.remove(handle).expect("nobody leaves twice");
            self.free.push(*handle);
            self.left.push(Left { at: self.now, came, queue, octets, number, fate: *fate });
        }
    }

    /// Polls when the tree says so, until a moment.
    pub(super) fn run(&mut self, until: u64) {
        self.run_with(until, |_| ());
    }

    /// The same; `after` each poll.
    pub(super) fn run_with(&mut self, until: u64, mut after: impl FnMut(&mut Self)) {
        while let Some(next) = self.tree.next_event(Nanos(self.now)).filter(|next| next.0 <= until) {
            assert!(next.0 >= self.now);
            self.now = next.0;
            self.poll();
            after(self);
        }
        self.now = self.now.max(until);
    }

    /// Keeps queues full of frames of these sizes, in turn, until a moment.
    pub(super) fn greedy(&mut self, queues: &[(u32, u8)], sizes: &[u16], until: u64) {
        let mut turn = 0;
        let mut fill = |bed: &mut Self| {
            for (segment, class) in queues {
                while bed.tree.backlog(QueueId { segment: *segment, class: *class }).frames < 8 {
                    turn += 1;
                    assert!(bed.put(*segment, *class, sizes[turn % sizes.len()]), "{:?}", bed.refused.last());
                }
            }
        };
        fill(self);
        self.run_with(until, fill);
    }

    /// Octets sent in a time, by anything of the queue.
    pub(super) fn sent<K: Ord>(&self, from: u64, to: u64, key: impl Fn(QueueId) -> K) -> BTreeMap<K, u64> {
        let mut sent = BTreeMap::new();
        for left in self.left.iter().filter(|left| left.at > from && left.at <= to && left.is_sent()) {
            *sent.entry(key(left.queue)).or_default() += left.octets;
        }
        sent
    }

    pub(super) fn by_segment(&self, from: u64, to: u64) -> BTreeMap<u32, u64> {
        self.sent(from, to, |queue| queue.segment)
    }

    /// Nobody was lost, nobody came twice, and every queue kept its order.
    pub(super) fn check_order(&self) {
        let mut next: BTreeMap<QueueId, u64> = BTreeMap::new();
        for left in &self.left {
            let expected = next.entry(left.queue).or_default();
            let is_next = if self.refused.is_empty() { left.number == *expected } else { left.number >= *expected };
            assert!(is_next, "{:?}: {} instead of {expected}", left.queue, left.number);
            *expected = left.number + 1;
        }
        assert_eq!(self.accepted, self.left.len() as u64 + self.queued.len() as u64);
        assert_eq!(self.tree.queued() as usize, self.queued.len());
    }
}

impl Left {
    pub(super) fn is_sent(&self) -> bool {
        !matches!(self.fate, Fate::Drop(_))
    }
}

pub(super) fn rate(bits: u64) -> Rate {
    Rate::from_bits_per_second(bits)
}

pub(super) fn shape(guaranteed: u64, ceiling: u64, weight: u8) -> Shape {
    Shape {
        limits: RateLimits::new(rate(guaranteed), rate(ceiling)).unwrap(),
        burst_octets: u32::try_from(BURST).unwrap(),
        weight,
    }
}

pub(super) fn plain(slice: u16, guaranteed: u64, ceiling: u64, weight: u8) -> SegmentShape {
    SegmentShape { slice, shape: shape(guaranteed, ceiling, weight), low_latency: Rate::ZERO, classes: 0 }
}

pub(super) fn classes(weights: &[u8; CLASSES], low_latency_burst_octets: u32) -> ClassTable {
    let class =
        |weight: &u8| ClassShape { weight: *weight, octets_max: u32::MAX, time_max: Nanos(u64::MAX), codel: None };
    ClassTable { low_latency_burst_octets, classes: weights.each_ref().map(class) }
}

/// 64, 594 and 1,518 octets, 7 to 4 to 1.
pub(super) const IMIX: [u16; 12] = [64, 594, 64, 64, 594, 64, 1_518, 64, 594, 64, 594, 64];
/// Two frames: what waits behind siblings need not lose its rate.
pub(super) const BURST: u64 = 3_036;
/// Not 0, so that the owner's clock and the tree's are not the same.
pub(super) const START: u64 = 777_777;

/// What ports keep where nothing else is said.
pub(super) const CREDIT: Nanos = Nanos(20_000);
