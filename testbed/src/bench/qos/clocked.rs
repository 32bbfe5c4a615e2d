//! How well rates and weights hold, on a virtual clock.

use transport_dataplane::{CLASSES, ClassShape, ClassTable, Nanos, QueueId};

use super::bed::{Bed, OVERHEAD_OCTETS, Setting};

/// By how much segments miss their rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateError {
    /// The 99th of 100 errors over a second, in parts of what is aimed at: 0.1 % or one frame, whichever is more.
    pub(super) worst_of_aim: f64,
    /// The same in percent of the rate.
    pub(super) worst_percent: f64,
    /// The mean of all segments, over ten seconds.
    pub(super) mean_percent: f64,
}

/// Four rates, so that rounding shows; every segment is offered more than its rate; 80 % of the port are asked for.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2^52"
)]
pub(super) fn rates(segments: u32, octets: Option<u16>) -> RateError {
    let longest = u64::from(octets.unwrap_or(1_518) + OVERHEAD_OCTETS);
    // A million frames a second.
    let mean_octets = octets.map_or(361, u64::from) + u64::from(OVERHEAD_OCTETS);
    let port = 1_000_000 * mean_octets * 8 * 10 / 8;
    let share: u64 = SHARES.iter().sum();
    let rate = port * 8 / 10 / u64::from(segments) * 4;
    let setting = Setting {
        slices: 1,
        segments,
        port,
        guaranteed: rate,
        ceiling: rate,
        low_latency: 0,
        burst_octets: 2 * longest as u32,
        queue_octets: 16 * longest as u32,
        frames: segments * 16 + 4_096,
        queues: segments * 16,
    };
    let mut bed = Bed::new(&setting);
    bed.owners = vec![(QueueId { segment: 0, class: 0 }, 0); setting.frames as usize];
    for segment in 0..segments {
        bed.now += 1_000;
        bed.segment(&setting, segment, (SHARES[segment as usize % 4], share));
    }
    let due = |segment: usize| (rate * SHARES[segment % 4] / share) as f64 / 8.0;
    let (mut sent, mut all) = (vec![0_u64; segments as usize], vec![0_u64; segments as usize]);
    let (mut worst, mut percent) = (Vec::new(), Vec::new());
    // No segment runs empty: each has eight frames, and one more for each that it sends.
    let mut coming: Vec<_> = (0..segments * 8).map(|number| number % segments).collect();
    // The first second settles, the next one is looked at by itself, ten of them together.
    for second in 0..=SECONDS {
        sent.fill(0);
        let from = bed.now;
        while bed.now < from + 1_000_000_000 {
            arrive(&mut bed, &mut coming, octets);
            // The port keeps credit for 20 µs, so it is polled more often than that.
            for _ in 0..64 {
                bed.now += 15_625;
                while bed.poll() != 0 {
                    bed.drain(|queue, octets| {
                        sent[queue.segment as usize] += u64::from(octets + OVERHEAD_OCTETS);
                        coming.push(queue.segment);
                    });
                }
            }
        }
        if second == 1 {
            for (segment, sent) in sent.iter().enumerate() {
                let error = (*sent as f64 - due(segment)).abs();
                worst.push(error / f64::max(due(segment) * 1e-3, longest as f64));
                percent.push(error / due(segment) * 100.0);
            }
        }
        if second > 0 {
            all.iter_mut().zip(&sent).for_each(|(all, sent)| *all += sent);
        }
    }
    let error = |(segment, all): (usize, &u64)| *all as f64 / (due(segment) * SECONDS as f64) - 1.0;
    let mean = all.iter().enumerate().map(error).sum::<f64>() / f64::from(segments);
    RateError {
        worst_of_aim: ninety_ninth(worst),
        worst_percent: ninety_ninth(percent),
        mean_percent: mean.abs() * 100.0,
    }
}

/// The 99th of 100.
fn ninety_ninth(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() * 99 / 100]
}

/// A frame arrives for each of these segments.
fn arrive(bed: &mut Bed, coming: &mut Vec<u32>, octets: Option<u16>) {
    for burst in coming.chunks(64) {
        for segment in burst {
            let size = octets.unwrap_or_else(|| IMIX[usize::try_from(bed.random() % 12).unwrap_or_default()]);
            bed.put(*segment, 5, size);
        }
        bed.enqueue();
        bed.clear();
    }
    coming.clear();
}

/// How far any of four classes of weight 1, 2, 4 and 8 is from its share at any departure in a second, in longest frames.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn weights() -> f64 {
    let rate = 100_000_000;
    let setting = Setting {
        slices: 1,
        segments: 1,
        port: 10_000_000_000,
        guaranteed: rate,
        ceiling: rate,
        low_latency: 0,
        burst_octets: 3_084,
        queue_octets: 1 << 20,
        frames: 4_096,
        queues: 64,
    };
    let mut bed = Bed::new(&setting);
    let class = |weight| ClassShape { weight, codel: None, ..ClassShape::default() };
    let mut classes = [class(1); CLASSES];
    classes[9..].copy_from_slice(&[1, 2, 4, 8].map(class));
    let table = ClassTable { low_latency_burst_octets: 0, classes };
    assert_eq!(bed.shaper.set_classes(0, &table), Ok(()));
    bed.segment(&setting, 0, (1, 1));
    bed.owners = vec![(QueueId { segment: 0, class: 0 }, 0); 4_096];
    let (mut sent, mut farthest) = ([0_u64; 4], 0.0_f64);
    while bed.now < 1_000_000_000 {
        for class in 9..13 {
            while bed.shaper.backlog(QueueId { segment: 0, class }).frames < 8 {
                let size = IMIX[usize::try_from(bed.random() % 12).unwrap_or_default()];
                bed.put(0, class, size);
                bed.enqueue();
                bed.clear();
            }
        }
        bed.now = bed.shaper.next_event(Nanos(bed.now)).map_or(bed.now + 1_000, |next| next.0);
        bed.poll();
        bed.drain(|queue, octets| {
            sent[usize::from(queue.class) - 9] += u64::from(octets + OVERHEAD_OCTETS);
            let all: u64 = sent.iter().sum();
            for (class, sent) in sent.iter().enumerate() {
                let ideal = all as f64 * f64::from(1 << class) / 15.0;
                farthest = farthest.max((*sent as f64 - ideal).abs());
            }
        });
    }
    farthest / f64::from(1_518 + OVERHEAD_OCTETS)
}

const SECONDS: u64 = 10;
/// Parts of the largest, as in the peer's harness: 1, 0.73, 0.37, 0.11.
const SHARES: [u64; 4] = [100, 73, 37, 11];
const IMIX: [u16; 12] = [64, 594, 64, 64, 594, 64, 1_518, 64, 594, 64, 594, 64];
