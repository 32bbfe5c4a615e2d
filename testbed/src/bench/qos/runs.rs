//! What is timed.

use std::time::{Duration, Instant};

use model::Rate;
use transport_dataplane::{Colour, MarkerShape, Markers, Marks, Nanos, Scheme};

use super::bed::{Bed, Setting};

/// What throttled traffic costs.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// ns for a frame that arrives.
    pub enqueue: f64,
    /// ns for a frame that is sent.
    pub dequeue: f64,
    /// Of what arrived.
    pub refused: f64,
    /// Sent, as part of what the rates admit.
    pub rate_got: f64,
}

/// Adds up the time of what is measured, without what a neighbour interrupted.
#[derive(Debug, Default)]
struct Clock {
    spent: Duration,
    frames: usize,
}

impl Clock {
    fn time(&mut self, work: impl FnOnce() -> usize) -> usize {
        let start = Instant::now();
        let frames = work();
        let spent = start.elapsed();
        if spent < INTERRUPTED {
            self.spent += spent;
            self.frames += frames;
        }
        frames
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn each(&self) -> f64 {
        self.spent.as_nanos() as f64 / self.frames.max(1) as f64
    }
}

/// ns for a frame, in and out: random segments and queues, bursts of 64, a constant backlog.
pub fn unthrottled(slices: u16, segments: u32, backlog: usize, promised: bool) -> f64 {
    let mut bed = steady(slices, segments, backlog, promised);
    let (mut enqueue, mut dequeue) = (Clock::default(), Clock::default());
    // Until the backlog is there and every segment was met, then as long again.
    let fill = backlog / 64;
    let warm = fill + (segments as usize / 32).clamp(5_000, 25_000);
    let mut live = 0;
    for burst in 0..2 * warm {
        if burst == warm {
            (enqueue, dequeue) = (Clock::default(), Clock::default());
        }
        arrive(&mut bed, segments);
        let refused = std::cell::Cell::new(0);
        enqueue.time(|| {
            refused.set(bed.enqueue());
            64
        });
        live += 64 - refused.get();
        bed.clear();
        if live + 64 > backlog {
            bed.now += 8_000;
            live -= dequeue.time(|| bed.poll());
            bed.drain(|_, _| ());
        }
    }
    enqueue.each() + dequeue.each()
}

/// A tree in which nobody is over a rate.
pub fn steady(slices: u16, segments: u32, backlog: usize, promised: bool) -> Bed {
    let port = 800_000_000_000;
    let guaranteed = if promised { port / u64::from(segments) / 2 } else { 0 };
    let frames = u32::try_from(backlog).unwrap_or(u32::MAX) + 4_096;
    let setting = Setting {
        slices,
        segments,
        port,
        guaranteed,
        ceiling: port,
        low_latency: guaranteed,
        burst_octets: 1_000_000,
        queue_octets: 64 * WIRE_OCTETS,
        frames,
        queues: segments.saturating_mul(13).min((frames * 2).max(1 << 16)),
    };
    let mut bed = Bed::new(&setting);
    for segment in 0..segments {
        bed.segment(&setting, segment, (1, 1));
    }
    bed
}

/// A tree that has its backlog and has met each queue, with the next burst arriving: to count one burst in and out.
pub fn warmed(slices: u16, segments: u32, backlog: usize, promised: bool) -> Bed {
    let mut bed = steady(slices, segments, backlog, promised);
    let mut live = 0;
    for _ in 0..3_000 {
        arrive(&mut bed, segments);
        live += 64 - bed.enqueue();
        bed.clear();
        if live + 64 > backlog {
            bed.now += 8_000;
            live -= bed.poll();
            bed.drain(|_, _| ());
        }
    }
    arrive(&mut bed, segments);
    bed.now += 8_000;
    bed
}

/// A tree of which every segment is over its rate, at a moment at which about 58 frames have become due.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2^52"
)]
pub fn due(segments: u32) -> Bed {
    let (mut bed, _) = held_back(segments, 1.0);
    let gap = (64.0 * 0.9 * f64::from(WIRE_OCTETS) * 8.0 / 4.0) as u64;
    for _ in 0..100 {
        bed.now += gap;
        bed.poll();
        bed.drain(|_, _| ());
    }
    bed.now += gap;
    bed
}

/// A burst to random queues: 16 of them, as the peer has, the last four being one class here.
pub fn arrive(bed: &mut Bed, segments: u32) {
    for _ in 0..64 {
        let chance = bed.random();
        let segment = u32::try_from(chance & 0xffff_ffff).unwrap_or_default() % segments;
        let class = u8::try_from((chance >> 56 & 15).min(12)).unwrap_or_default();
        bed.put(segment, class, 64);
    }
}

/// A share of segments is offered twice its rate, the others half of it; polls come so that `rho` of a burst may be sent.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2^52"
)]
pub fn throttled(segments: u32, share: f64, rho: f64) -> Cost {
    let (mut bed, rate) = held_back(segments, share);
    let is_throttled = |segment: u32| is_throttled(segment, share);
    let all = rate * f64::from(segments) / 8.0 / f64::from(WIRE_OCTETS);
    let (over, under) = (share * all, 0.5 * (1.0 - share) * all);
    let gap = 64.0 * rho / (over + under);
    let polls = (segments as usize / 8).clamp(6_000, 40_000);
    let (mut due_over, mut due_under, mut clock) = (0.0, 0.0, bed.now as f64);
    let (mut enqueue, mut dequeue, mut refused, mut arrived, mut sent) = (Clock::default(), Clock::default(), 0, 0, 0);
    for poll in 0..2 * polls {
        if poll == polls {
            (enqueue, dequeue, refused, arrived, sent) = (Clock::default(), Clock::default(), 0, 0, 0);
        }
        due_over += 2.0 * over * gap;
        due_under += under * gap;
        while due_over >= 1.0 || due_under >= 1.0 {
            let wanted = due_over >= 1.0;
            *(if wanted { &mut due_over } else { &mut due_under }) -= 1.0;
            let segment = loop {
                let segment = ((bed.random() >> 11) % u64::from(segments)) as u32;
                if is_throttled(segment) == wanted {
                    break segment;
                }
            };
            let class = CLASSES[(bed.random() >> 40) as usize % 4];
            bed.put(segment, class, 64);
            if bed.waiting() == 64 {
                enqueue.time(|| {
                    refused += bed.enqueue();
                    64
                });
                arrived += 64;
                bed.clear();
            }
        }
        clock += gap * 1e9;
        bed.now = clock as u64;
        sent += dequeue.time(|| bed.poll());
        bed.drain(|_, _| ());
    }
    Cost {
        enqueue: enqueue.each(),
        dequeue: dequeue.each(),
        refused: f64::from(refused as u32) / f64::from(arrived.max(1)),
        rate_got: sent as f64 / (polls as f64 * gap * (over + under)),
    }
}

/// A tree whose throttled segments are backlogged and have no credit, each at another moment; and the rate of a segment.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2^52"
)]
fn held_back(segments: u32, share: f64) -> (Bed, f64) {
    let rate = 4e9 / f64::from(segments);
    let setting = Setting {
        slices: 1,
        segments,
        port: 10_000_000_000,
        guaranteed: rate as u64,
        ceiling: rate as u64,
        low_latency: rate as u64,
        burst_octets: 4 * WIRE_OCTETS,
        queue_octets: 4 * WIRE_OCTETS,
        frames: segments * 16 + 8_192,
        queues: segments * 4,
    };
    let mut bed = Bed::new(&setting);
    let span = 2.0 * f64::from(WIRE_OCTETS) * 8.0 / rate * 1e9;
    for number in 0..segments {
        // All of them, in no order: an odd factor is a permutation of a power of two.
        let segment = number.wrapping_mul(2_654_435_761) % segments;
        bed.now = 1_000_000 + (span * f64::from(number) / f64::from(segments)) as u64;
        bed.segment(&setting, segment, (1, 1));
        if is_throttled(segment, share) {
            (0..16).for_each(|frame| bed.put(segment, CLASSES[frame % 4], 64));
            bed.enqueue();
            bed.clear();
        }
        while bed.poll() != 0 {
            bed.drain(|_, _| ());
        }
    }
    (bed, rate)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of 2^32")]
fn is_throttled(segment: u32, share: f64) -> bool {
    segment.wrapping_mul(2_654_435_761) < (share * f64::from(u32::MAX)) as u32
}

/// ns of a poll while every segment is backlogged and none may send.
///
/// # Panics
/// If something is sent.
pub fn empty_poll(segments: u32) -> f64 {
    let (mut bed, _) = held_back(segments, 1.0);
    let mut clock = Clock::default();
    while bed.poll() != 0 {
        bed.drain(|_, _| ());
    }
    for _ in 0..1_000 {
        clock.time(|| {
            (0..100).for_each(|_| assert_eq!(bed.poll(), 0, "nothing may be sent"));
            100
        });
    }
    clock.each()
}

/// Octets of a segment in a tree of a million.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn idle_octets() -> f64 {
    let bed = steady(1, 1_000_000, 1_024, true);
    bed.shaper.memory().per_segment as f64
}

/// µs that half and 99 of 100 frames of low latency wait in an otherwise idle segment, while 4,096 others are offered ten times
/// their rate, 100,000 frames a second in all. On a virtual clock, polled each µs: on a real one, a neighbour that interrupts
/// would be measured.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "far below 2^52")]
pub fn low_latency() -> [f64; 2] {
    let segments = 4_097;
    let rate = 100_000 * u64::from(WIRE_OCTETS) * 8 / 4_096;
    let setting = Setting {
        slices: 1,
        segments,
        port: rate * 4_096 * 10,
        guaranteed: rate,
        ceiling: rate,
        low_latency: rate,
        burst_octets: 4 * WIRE_OCTETS,
        queue_octets: 4 * WIRE_OCTETS,
        frames: 100_000,
        queues: 200_000,
    };
    let mut bed = Bed::new(&setting);
    (1..segments).for_each(|segment| bed.segment(&setting, segment, (1, 1)));
    // The probe's segment may send as much as it wants.
    bed.segment(&setting, 0, (1_000, 1));
    bed.owners = vec![(transport_dataplane::QueueId { segment: 0, class: 0 }, 0); 100_000];
    let (mut waits, mut sent_at, mut next) = (Vec::new(), None, 200_000_000_u64);
    while bed.now < 2_000_000_000 {
        // A million frames a second.
        let segment = 1 + ((bed.random() >> 11) % 4_096) as u32;
        let class = CLASSES[(bed.random() >> 40) as usize % 4];
        bed.put(segment, class, 64);
        if sent_at.is_none() && bed.now > next {
            bed.put(0, 0, 64);
            sent_at = Some(bed.now);
        }
        bed.enqueue();
        bed.clear();
        bed.now += 1_000;
        bed.poll();
        let mut came = false;
        bed.drain(|queue, _| came |= queue.segment == 0);
        if let Some(at) = sent_at.filter(|_| came) {
            waits.push((bed.now - at) as f64 * 1e-3);
            (sent_at, next) = (None, bed.now + 20_000 + bed.random() % 80_000);
        }
    }
    waits.sort_by(f64::total_cmp);
    [50, 99].map(|percent| waits.get(waits.len() * percent / 100).copied().unwrap_or(f64::NAN))
}

/// ns for a packet that is coloured, its meter one of many.
///
/// # Panics
/// If the meters are refused.
pub fn meters(count: u32) -> f64 {
    let mut markers = Markers::new(count);
    let scheme = Scheme::TwoRate {
        committed: Rate::from_bits_per_second(1_000_000_000),
        committed_burst: 65_536,
        peak: Rate::from_bits_per_second(2_000_000_000),
        peak_burst: 131_072,
    };
    let mut now = 0;
    let set = markers.set_profile(0, &MarkerShape { scheme, colour_aware: false });
    let set = set.and_then(|()| (0..count).try_for_each(|meter| markers.set(meter, 0, Nanos(0))));
    assert!(set.is_ok(), "{set:?}");
    let (mut chance, mut clock) = (88_172_645_463_325_252_u64, Clock::default());
    let mut packets = [Marks { meter: 0, octets: 64, colour: Colour::Green }; 1_024];
    for round in 0..4_000 {
        if round == 1_000 {
            clock = Clock::default();
        }
        for packet in &mut packets {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            packet.meter = u32::try_from(chance % u64::from(count)).unwrap_or_default();
        }
        now += 20_000;
        clock.time(|| {
            for burst in packets.chunks_mut(64) {
                now += 400;
                markers.mark(Nanos(now), burst);
            }
            1_024
        });
    }
    clock.each()
}

/// A poll or a burst that took longer was interrupted by a neighbour.
const INTERRUPTED: Duration = Duration::from_micros(100);
/// The peer's queues 0, 5, 12 and 15.
const CLASSES: [u8; 4] = [0, 5, 12, 12];
/// 64 octets on the wire.
const WIRE_OCTETS: u32 = 88;
