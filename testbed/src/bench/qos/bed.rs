//! A tree with arrivals in a random pattern: the same that a peer's scheduler is given.

use model::{Rate, RateLimits};
use transport_dataplane::{
    Arrival, CLASSES, ClassShape, ClassTable, Departures, Fate, Nanos, PortShape, QueueId, SegmentShape, Shape, Shaper,
    ShaperLimits,
};

/// What the tree is like.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Slices.
    pub slices: u16,
    /// Segments, in all slices together.
    pub segments: u32,
    /// Of the port, bit/s.
    pub port: u64,
    /// Of each segment, bit/s.
    pub guaranteed: u64,
    /// Of each segment, bit/s.
    pub ceiling: u64,
    /// Of each segment's low-latency class, bit/s.
    pub low_latency: u64,
    /// What a segment may send at once.
    pub burst_octets: u32,
    /// What a queue holds.
    pub queue_octets: u32,
    /// What the whole tree holds.
    pub frames: u32,
    /// Queues that keep their state.
    pub queues: u32,
}

/// A tree, its frames, its clock and its chance.
#[derive(Debug)]
pub struct Bed {
    /// The tree.
    pub shaper: Shaper,
    /// The tree's clock.
    pub now: u64,
    /// Handles that are not queued.
    free: Vec<u32>,
    chance: u64,
    arrivals: Vec<Arrival>,
    departures: Departures,
    /// Octets that each segment has sent; empty unless asked for.
    pub sent: Vec<u64>,
    /// The queue and octets of each handle; empty unless asked for.
    pub owners: Vec<(QueueId, u16)>,
}

impl Bed {
    /// # Panics
    /// If the tree refuses the setting.
    pub fn new(setting: &Setting) -> Self {
        let limits = ShaperLimits {
            segments: setting.segments,
            slices: setting.slices,
            frames: setting.frames,
            queues: setting.queues,
        };
        let port = PortShape {
            rate: Rate::from_bits_per_second(setting.port),
            overhead_octets: OVERHEAD_OCTETS,
            credit: CREDIT,
            lateness: CREDIT,
        };
        let mut shaper = Shaper::new(&port, &limits, Nanos(0));
        let class = ClassShape { octets_max: setting.queue_octets, codel: None, ..ClassShape::default() };
        let table = ClassTable { low_latency_burst_octets: setting.burst_octets, classes: [class; CLASSES] };
        must(shaper.set_classes(0, &table));
        let share = setting.port / u64::from(setting.slices);
        let slice = shape(share, setting.port, 1 << 20);
        for number in 0..setting.slices {
            must(shaper.set_slice(number, &slice, Nanos(0)));
        }
        Self {
            shaper,
            now: 1_000_000,
            free: (0..setting.frames).rev().collect(),
            chance: 88_172_645_463_325_252,
            arrivals: Vec::with_capacity(64),
            departures: Departures::new(),
            sent: Vec::new(),
            owners: Vec::new(),
        }
    }

    /// Makes a segment, now.
    ///
    /// # Panics
    /// If the tree refuses it.
    pub fn segment(&mut self, setting: &Setting, segment: u32, share: (u64, u64)) {
        #[allow(clippy::cast_possible_truncation, reason = "below the number of slices")]
        let slice = (segment % u32::from(setting.slices)) as u16;
        let shape = SegmentShape {
            slice,
            shape: shape(
                setting.guaranteed * share.0 / share.1,
                setting.ceiling * share.0 / share.1,
                setting.burst_octets,
            ),
            low_latency: Rate::from_bits_per_second(setting.low_latency * share.0 / share.1),
            classes: 0,
        };
        must(self.shaper.set_segment(segment, &shape, Nanos(self.now)));
    }

    /// A random number (xorshift64, as in the peer's harness).
    #[inline]
    pub fn random(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }

    /// Begins another sequence of random numbers.
    pub fn seed(&mut self, seed: u64) {
        self.chance = self.chance.wrapping_add(seed.wrapping_mul(7_919)) | 1;
        for _ in 0..20 {
            self.random();
        }
    }

    /// Has a frame arrive with the next burst.
    #[inline]
    pub fn put(&mut self, segment: u32, class: u8, octets: u16) {
        let Some(handle) = self.free.pop() else { return };
        let queue = QueueId { segment, class };
        if let Some(owner) = self.owners.get_mut(handle as usize) {
            *owner = (queue, octets);
        }
        self.arrivals.push(Arrival { queue, handle, octets, markable: false });
    }

    /// Frames that will arrive with the next burst.
    pub fn waiting(&self) -> usize {
        self.arrivals.len()
    }

    /// What is measured: a burst is queued. Answers how many were not taken.
    #[inline(never)]
    pub fn enqueue(&mut self) -> usize {
        let mut refused = 0;
        let free = &mut self.free;
        self.shaper.enqueue(Nanos(self.now), &self.arrivals, |handle, _| {
            free.push(handle);
            refused += 1;
        });
        refused
    }

    /// Forgets the burst that was queued.
    pub fn clear(&mut self) {
        self.arrivals.clear();
    }

    /// What is measured: up to 64 frames are taken out.
    #[inline(never)]
    pub fn poll(&mut self) -> usize {
        self.shaper.poll(Nanos(self.now), 64, &mut self.departures);
        self.departures.len()
    }

    /// Gives the handles back; tells who was sent.
    #[inline]
    pub fn drain(&mut self, mut each: impl FnMut(QueueId, u16)) {
        for departure in self.departures.drain(..) {
            self.free.push(departure.handle);
            if let (Some((queue, octets)), Fate::Send) = (self.owners.get(departure.handle as usize), departure.fate) {
                each(*queue, *octets);
            }
        }
    }
}

fn shape(guaranteed: u64, ceiling: u64, burst_octets: u32) -> Shape {
    let limits = RateLimits::new(Rate::from_bits_per_second(guaranteed), Rate::from_bits_per_second(ceiling));
    Shape { limits: must(limits), burst_octets, weight: 1 }
}

/// What is measured is a tree that takes what it is asked for.
#[allow(clippy::panic, reason = "a setting of this benchmark would be wrong")]
fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Preamble, frame check sequence and gap, as the peer counts them.
pub const OVERHEAD_OCTETS: u16 = 24;
/// Polls come every few microseconds here.
const CREDIT: Nanos = Nanos(20_000);
