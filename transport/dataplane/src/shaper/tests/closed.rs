//! Cases whose answer can be worked out by hand.

use super::super::*;
use super::bed::*;

/// Octets that a rate carries in a second.
fn octets(bits: u64) -> u64 {
    bits / 8
}

fn near(found: u64, expected: u64, within: u64) {
    assert!(found.abs_diff(expected) <= within, "{found}, expected {expected} within {within}");
}

#[test]
fn a_rate_holds_within_one_frame_at_every_size() {
    for (bits, size, seconds) in [
        (1_u64, 64_u16, 10_000_u64),
        (1, 9_000, 1_000_000),
        (1_000, 64, 100),
        (999_983, 1_500, 10),
        (20_000_003, 9_000, 10),
        (100_000_000, 64, 1),
        (400_000_000_000, 1_500, 1),
    ] {
        let until = START + seconds * SECOND / if bits > GBIT { 1_000 } else { 1 };
        let mut bed = Bed::new(400 * GBIT, 4, 1_000);
        bed.slice(0, 0, 400 * GBIT, 1);
        bed.segment(0, 0, 0, bits, 1);
        bed.greedy(&[(0, 3)], &[size], until);
        let sent = bed.by_segment(START, until).get(&0).copied().unwrap_or_default();
        let due = u128::from(until - START) * u128::from(bits) / 8_000_000_000;
        // One frame is sent at the beginning, and the port's credit of 20 µs may be used once.
        let slack = u64::from(size) * 2 + if bits > GBIT { octets(bits) / 50_000 } else { 0 };
        near(sent, u64::try_from(due).unwrap(), slack);
    }
}

#[test]
fn guarantees_come_first_and_the_rest_goes_by_weight() {
    let mut bed = Bed::new(100 * MBIT, 4, 1_000);
    bed.slice(0, 20 * MBIT, 100 * MBIT, 1);
    bed.slice(1, 30 * MBIT, 100 * MBIT, 3);
    bed.segment(0, 0, 0, 100 * MBIT, 1);
    bed.segment(1, 1, 0, 100 * MBIT, 1);
    bed.greedy(&[(0, 5), (1, 5)], &[1_500], START + SECOND);
    let sent = bed.by_segment(START, START + SECOND);
    near(sent[&0], octets(32_500_000), 3_000);
    near(sent[&1], octets(67_500_000), 3_000);
}

#[test]
fn what_one_can_not_use_the_others_get() {
    let mut bed = Bed::new(100 * MBIT, 4, 1_000);
    bed.slice(0, 20 * MBIT, 100 * MBIT, 1);
    bed.slice(1, 30 * MBIT, 60 * MBIT, 3);
    bed.segment(0, 0, 0, 100 * MBIT, 1);
    bed.segment(1, 1, 0, 100 * MBIT, 1);
    bed.greedy(&[(0, 5), (1, 5)], &[1_500], START + SECOND);
    let sent = bed.by_segment(START, START + SECOND);
    near(sent[&0], octets(40_000_000), 3_000);
    near(sent[&1], octets(60_000_000), 3_000);
    // Alone, a slice has all that its ceiling admits.
    let from = bed.now;
    bed.run(from + SECOND);
    let from = bed.now;
    bed.greedy(&[(0, 5)], &[1_500], from + SECOND);
    near(bed.by_segment(from, from + SECOND)[&0], octets(100_000_000), 6_000);
}

#[test]
fn a_guarantee_within_a_slice_holds_against_its_siblings() {
    let mut bed = Bed::new(100 * MBIT, 8, 1_000);
    bed.slice(0, 50 * MBIT, 50 * MBIT, 1);
    bed.slice(1, 50 * MBIT, 100 * MBIT, 1);
    bed.segment(0, 0, 30 * MBIT, 50 * MBIT, 1);
    bed.segment(1, 0, 0, 50 * MBIT, 100);
    bed.segment(2, 1, 0, 100 * MBIT, 1);
    bed.greedy(&[(0, 1), (1, 1), (2, 1)], &IMIX, START + SECOND);
    let sent = bed.by_segment(START, START + SECOND);
    // 30 of 50 are promised; of the other 20 one gets 1 part, the other 100.
    near(sent[&0], octets(30_000_000 + 20_000_000 / 101), 6_000);
    near(sent[&1], octets(20_000_000 / 101 * 100), 6_000);
    near(sent[&2], octets(50_000_000), 6_000);
}

#[test]
fn classes_share_by_weight_within_one_frame_each() {
    for sizes in [&[1_518_u16][..], &[64], &IMIX] {
        let mut bed = Bed::new(GBIT, 2, 1_000);
        let mut weights = [1; CLASSES];
        weights[9..].copy_from_slice(&[1, 2, 4, 8]);
        bed.tree.set_classes(0, &classes(&weights, 0)).unwrap();
        bed.slice(0, 0, GBIT, 1);
        bed.segment(0, 0, 0, 20 * MBIT, 1);
        bed.greedy(&[(0, 9), (0, 10), (0, 11), (0, 12)], sizes, START + SECOND);
        let mut sent = [0_u64; 4];
        for left in &bed.left {
            sent[usize::from(left.queue.class) - 9] += left.octets;
            let all: u64 = sent.iter().sum();
            for (class, sent) in sent.iter().enumerate() {
                // At every moment, not only at the end.
                let due = all * (1 << class) / 15;
                near(*sent, due, 1_518);
            }
        }
    }
}

#[test]
fn siblings_share_by_weight_within_a_turn_of_each_other() {
    // A turn is a frame, or short ones of together at most 512 octets.
    for (sizes, turn) in [(&[1_518_u16][..], 1_518), (&[64], 512), (&IMIX, 1_518)] {
        let weights = [1_u8, 2, 4, 8, 100];
        let mut bed = Bed::new(100 * MBIT, 8, 1_000);
        bed.slice(0, 0, 100 * MBIT, 1);
        let mut queues = Vec::new();
        for (segment, weight) in (0_u32..).zip(weights) {
            bed.segment(segment, 0, 0, 100 * MBIT, weight);
            queues.push((segment, 2));
        }
        bed.greedy(&queues, sizes, START + SECOND / 4);
        let mut sent = [0_u64; 5];
        for left in &bed.left {
            sent[left.queue.segment as usize] += left.octets;
            for (one, mine) in weights.iter().zip(sent) {
                for (other, theirs) in weights.iter().zip(sent) {
                    let (one, other) = (u64::from(*one), u64::from(*other));
                    // One turn of each, and two buckets of virtual time.
                    let bound = turn * other + turn * one + 2 * 16 * one * other;
                    assert!((mine * other).abs_diff(theirs * one) <= bound, "{one} {mine}, {other} {theirs}");
                }
            }
        }
    }
}

/// One segment of many, each with a low-latency class; neighbours offer ten times their rate in every class.
#[test]
fn low_latency_keeps_its_bound_whatever_the_neighbours_do() {
    const NEIGHBOURS: u32 = 200;
    let mut bed = Bed::new(GBIT, NEIGHBOURS + 1, 40_000);
    bed.tree.set_classes(0, &classes(&[1; CLASSES], 300)).unwrap();
    bed.slice(0, 500 * MBIT, GBIT, 1);
    bed.slice(1, 300 * MBIT, GBIT, 1);
    for segment in 0..=NEIGHBOURS {
        let mut shape = plain(u16::from(segment != 0), 1_000 * KBIT, GBIT, 1);
        shape.low_latency = rate(1_000 * KBIT);
        bed.set(segment, &shape);
    }
    let bound = bed.tree.low_latency_bound(0, 1_500).unwrap().0;
    // 201 queues with a burst of 300 octets and a frame each, at 1 Gbit/s less what the others' caps take.
    assert!((2_800_000..3_800_000).contains(&bound), "{bound}");
    let mut worst = 0;
    for step in 0..2_000_u64 {
        let now = START + step * 1_000_000;
        bed.run(now);
        for neighbour in 1..=NEIGHBOURS {
            for class in [0, 7] {
                if bed.tree.backlog(QueueId { segment: neighbour, class }).frames < 4 {
                    bed.put(neighbour, class, 1_250);
                }
            }
        }
        // 100 octets each ms are 800 kbit/s.
        bed.put(0, 0, 100);
    }
    for left in bed.left.iter().filter(|left| left.queue.segment == 0) {
        worst = worst.max(left.at - left.came);
    }
    assert!(worst <= bound, "{worst} ns, computed {bound} ns");
    // The port was full meanwhile, and the neighbours' low latency had no more than its caps.
    let all: u64 = bed.left.iter().map(|left| left.octets).sum();
    assert!(all > octets(19 * GBIT / 10), "{all}");
    let low: u64 =
        bed.left.iter().filter(|left| left.queue.class == 0 && left.queue.segment == 9).map(|left| left.octets).sum();
    near(low, octets(2 * MBIT), 2_000);
}

#[test]
fn a_cap_of_low_latency_holds_while_the_segment_is_idle_otherwise() {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    bed.slice(0, 100 * MBIT, GBIT, 1);
    let mut shape = plain(0, 50 * MBIT, GBIT, 1);
    shape.low_latency = rate(3 * MBIT);
    bed.set(0, &shape);
    bed.greedy(&[(0, 0)], &[500], START + SECOND);
    near(bed.by_segment(START, START + SECOND)[&0], octets(3 * MBIT), 1_000);
}

#[test]
fn a_burst_is_what_was_said_and_one_frame() {
    let mut bed = Bed::new(100 * GBIT, 2, 1_000);
    bed.slice(0, 0, 100 * GBIT, 1);
    let mut segment = plain(0, 0, 8 * MBIT, 1);
    segment.shape.burst_octets = 10_000;
    bed.set(0, &segment);
    bed.now += SECOND;
    for _ in 0..100 {
        bed.put(0, 4, 1_000);
    }
    bed.run(START + SECOND + 100_000);
    // 10 frames of credit and the one that makes the debt; a unit of tolerance is 1 µs, 1 octet.
    assert_eq!(bed.left.len(), 11);
}

/// A poll that comes late makes up for the port's rate as far as the lateness goes, if frames have waited for the port; a port
/// that had nothing to send, or whose frames waited for their own ceilings, keeps its credit and no more.
#[test]
fn a_late_poll_costs_the_port_nothing_and_a_silence_gives_it_nothing() {
    let port = PortShape { rate: rate(80 * MBIT), overhead_octets: 0, credit: CREDIT, lateness: Nanos(5_000_000) };
    let limits = ShaperLimits { segments: 2, slices: 1, frames: 4_000, queues: 64 };
    let mut bed = Bed::with(&port, &limits);
    let mut wide = shape(0, 80 * MBIT, 1);
    wide.burst_octets = 1_000_000;
    bed.tree.set_slice(0, &wide, Nanos(bed.now)).unwrap();
    bed.set(0, &SegmentShape { shape: wide, ..plain(0, 0, MBIT, 1) });
    // A frame each millisecond.
    bed.segment(1, 0, 0, 8 * MBIT, 1);
    let polled = |bed: &mut Bed, late: u64, range: std::ops::RangeInclusive<usize>| {
        bed.now += late;
        let before = bed.left.len();
        while bed.poll() > 0 {}
        let left = bed.left.len() - before;
        assert!(range.contains(&left), "{left} after {late} ns");
    };
    // 10 octets each microsecond: a frame takes 100 µs, and the credit, 20.48 µs, is some of one. Whose own ceiling holds it
    // keeps nothing for its port: after three frames in a row, one waits.
    (0..5).for_each(|_| assert!(bed.put(1, 4, 1_000)));
    bed.run(START + 2_500_000);
    assert!(bed.tree.backlog(QueueId { segment: 1, class: 4 }).frames > 0);
    (0..1_000).for_each(|_| assert!(bed.put(0, 4, 1_000)));
    polled(&mut bed, 0, 1..=2);
    // Held up for 3 ms: 30 frames; for a second: what 5 ms hold.
    polled(&mut bed, 3_000_000, 30..=31);
    polled(&mut bed, SECOND, 50..=51);
    // Nothing waits, for long: the credit.
    bed.run(bed.now + SECOND);
    assert_eq!(bed.tree.queued(), 0);
    bed.now += SECOND;
    (0..10).for_each(|_| assert!(bed.put(0, 4, 1_000)));
    polled(&mut bed, 0, 1..=2);
}

/// What the node says itself takes its time from the port: of 100 Mbit/s, 40 leave past the tree.
#[test]
fn what_leaves_past_the_tree_is_taken_from_the_port() {
    let overhead = PortShape { rate: rate(100 * MBIT), overhead_octets: 20, credit: CREDIT, lateness: CREDIT };
    let limits = ShaperLimits { segments: 2, slices: 1, frames: 1_000, queues: 64 };
    let mut bed = Bed::with(&overhead, &limits);
    bed.slice(0, 0, 100 * MBIT, 1);
    bed.segment(0, 0, 0, 100 * MBIT, 1);
    for step in 0..10_000_u64 {
        // 480 octets and the port's 20, each 100 µs.
        bed.tree.charge(Nanos(bed.now), 480);
        bed.greedy(&[(0, 3)], &[980], START + (step + 1) * 100_000);
    }
    let frames = bed.left.len() as u64;
    near(frames * 1_000, octets(60_000_000), 2_000);
    // When the port is free again is an event; more than a second of such frames is not believed.
    let mut bed = Bed::new(8_000, 1, 8);
    bed.slice(0, 0, 8_000, 1);
    bed.segment(0, 0, 0, 8_000, 1);
    bed.tree.charge(Nanos(START), 500);
    assert!(bed.put(0, 3, 100));
    near(bed.tree.next_event(Nanos(START)).unwrap().0, START + SECOND / 2, 256);
    (0..1_000_000).for_each(|_| bed.tree.charge(Nanos(START), u32::MAX));
    assert!(bed.tree.next_event(Nanos(START)).unwrap().0 <= START + 18 * SECOND);
    bed.run(START + 20 * SECOND);
    assert_eq!(bed.left.len(), 1);
}
