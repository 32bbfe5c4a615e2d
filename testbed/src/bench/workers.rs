//! What a second worker brings: an edge with 4,096 segments in memory, on one worker and on two, a core for each.
//!
//! ```text
//!   frames ─ access port, slice: first worker ─ ring ─ tree, core port: second worker ─ counted
//! ```
//!
//! Ports copy a frame in and count it out; rings are as an edge has them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};
use rustix::thread::{CpuSet, sched_setaffinity};
use transport_dataplane::{Burst, FramePool, Handover, Nanos, Outputs, Pipeline, PortIndex};

use super::lab::{Lab, Underlay};
use super::{Row, median, shuffled};

/// Packets a second on one worker and on two, in turns.
pub(super) fn rows(mut tell: impl FnMut(&Row)) -> Vec<Row> {
    let frames: Vec<Vec<u8>> =
        shuffled(SEGMENTS).into_iter().map(|number| Lab::to_far_end(number, 1_024, 68)).collect();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        one.push(on_one(&frames));
        two.push(on_two(&frames));
    }
    let (alone, both) = (median(one), median(two));
    let row = |figure: &str, value: f64, peer: Option<f64>| Row {
        figure: format!("whole path, 4,096 segments, 64 octets, {figure}"),
        value,
        unit: "packets/s",
        peer: peer.map(|_| "one worker"),
        peer_value: peer,
        ratio: peer.map(|peer| value / peer),
        aim: None,
        met: None,
    };
    let rows = vec![row("one worker", alone, None), row("two workers", both, Some(alone))];
    rows.iter().for_each(&mut tell);
    rows
}

/// A worker as a thread has it.
struct Worker {
    pipeline: Pipeline,
    pool: FramePool,
    outputs: Outputs,
    burst: Burst,
}

impl Worker {
    fn new(lab: Lab) -> Self {
        let (pipeline, pool, outputs) = lab.into_parts();
        Self { pipeline, pool, outputs, burst: Burst::new() }
    }

    /// A burst arrives, as far as there are buffers for it.
    fn receive<'f>(&mut self, now: Nanos, frames: &mut impl Iterator<Item = &'f Vec<u8>>) {
        while !self.burst.is_full() {
            let Some(mut frame) = self.pool.take() else { break };
            let Some(octets) = frames.next() else { break };
            frame.copy_from(octets);
            self.burst.push(frame);
        }
        let Self { pipeline, pool, outputs, burst } = self;
        pipeline.process(now, ACCESS, burst, pool, outputs);
    }

    /// What leaves is counted.
    fn transmit(&mut self) -> u64 {
        let queue = self.outputs.queue(CORE);
        let count = queue.len() as u64;
        for frame in queue.drain(..) {
            self.pool.give(frame);
        }
        count
    }

    fn hand(&mut self, to: usize, ring: &mut Producer<Handover>) {
        let Some(outbox) = self.pipeline.handovers(to) else { return };
        let count = outbox.len().min(ring.slots());
        if let Ok(room) = ring.write_chunk_uninit(count) {
            room.fill_from_iter(outbox.drain(..count));
        }
    }

    fn take(&mut self, now: Nanos, from: usize, ring: &mut Consumer<Handover>) {
        let count = ring.slots().min(TAKEN_MAX);
        if let Ok(handed) = ring.read_chunk(count) {
            let Self { pipeline, pool, outputs, .. } = self;
            pipeline.take_over(now, from, handed.into_iter(), pool, outputs);
        }
    }
}

fn on_one(frames: &[Vec<u8>]) -> f64 {
    stay_on(0);
    let mut worker = Worker::new(Lab::of_segments(SEGMENTS, Underlay::Ipv4));
    let (start, mut frames, mut count) = (Instant::now(), frames.iter().cycle(), 0);
    while start.elapsed() < WINDOW {
        worker.receive(since(start), &mut frames);
        count += worker.transmit();
    }
    per_second(count, start.elapsed())
}

fn on_two(frames: &[Vec<u8>]) -> f64 {
    let [first, second] = Lab::of_two_workers(SEGMENTS, Underlay::Ipv4).map(Worker::new);
    let (mut there, mut taken) = RingBuffer::new(RING_HANDOVERS);
    let (mut back, mut given_back) = RingBuffer::new(RING_HANDOVERS);
    let (start, ends) = (Instant::now(), AtomicBool::new(false));
    let count = std::thread::scope(|scope| {
        let ends = &ends;
        scope.spawn(move || {
            stay_on(0);
            let (mut worker, mut frames) = (first, frames.iter().cycle());
            while !ends.load(Ordering::Relaxed) {
                let now = since(start);
                worker.take(now, 1, &mut given_back);
                worker.receive(now, &mut frames);
                worker.hand(1, &mut there);
            }
        });
        stay_on(1);
        let (mut worker, mut count) = (second, 0);
        while start.elapsed() < WINDOW {
            worker.take(since(start), 0, &mut taken);
            count += worker.transmit();
            worker.hand(0, &mut back);
        }
        ends.store(true, Ordering::Relaxed);
        count
    });
    per_second(count, start.elapsed())
}

/// Has this thread run on one core; where there is but one, all share it.
fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

fn since(start: Instant) -> Nanos {
    // A lab's clock has begun by then.
    Nanos(LAB_NANOS + u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2))
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

const SEGMENTS: u32 = 4_096;
const SAMPLES: usize = 7;
const WINDOW: Duration = Duration::from_secs(1);
const ACCESS: PortIndex = PortIndex(0);
const CORE: PortIndex = PortIndex(1);
const RING_HANDOVERS: usize = 4_096;
const TAKEN_MAX: usize = 256;
const LAB_NANOS: u64 = 2_000_000_000;
