//! Changes while frames are queued: nothing is lost, and what was asked for holds from then on.

use proptest::prelude::*;

use super::super::*;
use super::bed::*;

#[test]
fn a_rate_that_changes_holds_at_once_and_loses_nothing() {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    bed.slice(0, 0, GBIT, 1);
    let queues = [(0, 3)];
    // From so slow that the next frame is due in hours, to fast, to slow, to fast.
    let (mut from, mut number) = (bed.now, 0);
    for bits in [8, 80 * MBIT, 800 * KBIT, 800 * MBIT] {
        bed.segment(0, 0, 0, bits, 1);
        bed.greedy(&queues, &[1_000], from + SECOND);
        let sent: u64 = bed.left[number..].iter().map(|left| left.octets).sum();
        let due = bits / 8;
        assert!(sent.abs_diff(due) <= 2_000 + BURST + due / 10_000, "{bits} bit/s: {sent}, due {due}");
        (from, number) = (bed.now, bed.left.len());
    }
    bed.check_order();
}

#[test]
fn the_rate_of_a_slice_and_of_the_port_change_under_load() {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    bed.slice(0, 0, GBIT, 1);
    bed.segment(0, 0, 0, GBIT, 1);
    let second = |bed: &mut Bed| {
        let (from, number) = (bed.now, bed.left.len());
        bed.greedy(&[(0, 3)], &[1_000], from + SECOND);
        bed.left[number..].iter().map(|left| left.octets).sum::<u64>()
    };
    bed.slice(0, 0, MBIT, 1);
    assert!(second(&mut bed).abs_diff(125_000) <= 2_000 + BURST);
    bed.slice(0, 0, GBIT, 1);
    let port = PortShape { rate: rate(10 * MBIT), overhead_octets: 250, credit: CREDIT, lateness: CREDIT };
    bed.tree.set_port(&port, Nanos(bed.now));
    // 1,000 octets now take 1,250 on the link.
    assert!(second(&mut bed).abs_diff(1_000_000) <= 2_000 + BURST);
}

#[test]
fn a_removed_segment_sends_what_it_has_and_its_number_can_be_used_again() {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    let at = Nanos(bed.now);
    bed.slice(0, MBIT, GBIT, 1);
    bed.slice(1, 0, GBIT, 1);
    bed.segment(0, 0, MBIT, 8 * MBIT, 1);
    for class in 0..13 {
        assert!((0..5).all(|_| bed.put(0, class, 1_000)));
    }
    bed.tree.remove_segment(0).unwrap();
    assert!(!bed.put(0, 3, 100));
    assert_eq!(bed.tree.set_segment(0, &plain(0, 0, MBIT, 1), at), Err(ShapeError::Leaving { segment: 0 }));
    assert!(bed.tree.remove_slice(0).is_err());
    bed.run(START + SECOND);
    assert_eq!(bed.left.len(), 65);
    bed.check_order();
    // Its counts are those of its slice, and it can be made anew, in another one.
    assert_eq!((0..13).map(|class| bed.tree.slice_counts(0, class).frames).sum::<u64>(), 65);
    bed.tree.remove_slice(0).unwrap();
    bed.segment(0, 1, 0, 8 * MBIT, 1);
    assert_eq!(bed.tree.counts(QueueId { segment: 0, class: 3 }), QueueCounts::default());
    assert!(bed.put(0, 3, 100));
    bed.run(START + 2 * SECOND);
    assert_eq!(bed.left.len(), 66);
    // What it was promised is free again.
    bed.slice(0, GBIT, GBIT, 1);
}

#[test]
fn the_number_of_a_segment_that_is_idle_is_free_at_once() {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    bed.slice(0, MBIT, GBIT, 1);
    for _ in 0..1_000 {
        bed.segment(1, 0, MBIT, GBIT, 1);
        bed.tree.remove_segment(1).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32, u8, u16),
    Wait(u64),
    Shape(u32, u64, u64, u8),
    Slice(u16, u64),
    Remove(u32),
    Classes(u8),
    Port(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u32..6, 0_u8..13, 64_u16..1_500).prop_map(|(segment, class, octets)| Step::Put(segment, class, octets)),
        3 => (0_u64..2_000_000).prop_map(Step::Wait),
        2 => (0_u32..6, 0_u64..3, 1_u64..200_000, 1_u8..100)
            .prop_map(|(segment, promised, ceiling, weight)| Step::Shape(segment, promised, ceiling, weight)),
        1 => (0_u16..2, 1_u64..200_000).prop_map(|(slice, ceiling)| Step::Slice(slice, ceiling)),
        1 => (0_u32..6).prop_map(Step::Remove),
        1 => (1_u8..=100).prop_map(Step::Classes),
        1 => (1_000_u64..1_000_000).prop_map(Step::Port),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is changed whenever: everything that was taken leaves, in order, and the tree is as good as new.
    #[test]
    fn any_change_at_any_time_loses_nothing(steps in steps()) {
        let mut bed = Bed::new(GBIT, 6, 1_000);
        for slice in 0..2 {
            bed.slice(slice, 10 * MBIT, GBIT, 1);
        }
        for step in steps {
            let at = Nanos(bed.now);
            match step {
                Step::Put(segment, class, octets) => {
                    bed.put(segment, class, octets);
                }
                Step::Wait(nanos) => {
                    let until = bed.now + nanos;
                    bed.run(until);
                }
                // What is refused changes nothing.
                Step::Shape(segment, promised, ceiling, weight) => {
                    let slice = u16::from(segment > 2);
                    let promised = promised * 500 * KBIT;
                    let mut shape = plain(slice, promised, (ceiling * KBIT).max(promised), weight);
                    shape.low_latency = rate(promised / 2);
                    let _ = bed.tree.set_segment(segment, &shape, at);
                }
                Step::Slice(slice, ceiling) => {
                    let _ = bed.tree.set_slice(slice, &shape(10 * MBIT, (ceiling * KBIT).max(10 * MBIT), 1), at);
                }
                Step::Remove(segment) => {
                    let _ = bed.tree.remove_segment(segment);
                }
                Step::Classes(weight) => bed.tree.set_classes(0, &classes(&[weight; CLASSES], 0)).unwrap(),
                Step::Port(kbit) => bed.tree.set_port(&PortShape { rate: rate(kbit * KBIT), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, at),
            }
        }
        // The slowest that was possible is 1 kbit/s.
        let end = bed.now + 1_500 * 1_000 * 8_000 * SECOND / 1_000;
        bed.run(end);
        bed.check_order();
        prop_assert_eq!(bed.tree.queued(), 0);
        // All numbers can be used again, and share by weight.
        for segment in 0..6 {
            let _ = bed.tree.remove_segment(segment);
        }
        bed.tree.set_port(&PortShape { rate: rate(100 * MBIT), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, Nanos(bed.now));
        bed.slice(0, 10 * MBIT, GBIT, 1);
        bed.slice(1, 10 * MBIT, GBIT, 1);
        for segment in 0..4 {
            bed.segment(segment, u16::from(segment > 1), 0, GBIT, 1);
        }
        let (from, number) = (bed.now, bed.left.len());
        bed.greedy(&[(0, 1), (1, 1), (2, 1), (3, 1)], &[1_000], from + SECOND / 10);
        for segment in 0..4 {
            let mine = bed.left[number..].iter().filter(|left| left.queue.segment == segment);
            let sent: u64 = mine.map(|left| left.octets).sum();
            prop_assert!(sent.abs_diff(1_250_000 / 4) <= 5_000, "{segment}: {sent}");
        }
    }
}

#[test]
fn what_was_set_reads_back_and_what_goes_is_told_as_going() {
    let mut bed = Bed::new(GBIT, 3, 1_000);
    assert_eq!((bed.tree.slice_runs(1), bed.tree.segment_runs(2)), (None, None));
    bed.slice(1, 5_000_003, 999_999_937, 9);
    let mut shape = plain(1, 1_000_003, 77_777_777, 4);
    shape.low_latency = rate(999_999);
    bed.set(2, &shape);
    let runs = |guaranteed, ceiling, weight| Runs { guaranteed: rate(guaranteed), ceiling: rate(ceiling), weight };
    let segment = |runs, low, is_leaving| Some(SegmentRuns { slice: 1, runs, low_latency: rate(low), is_leaving });
    assert_eq!(bed.tree.slice_runs(1), Some(runs(5_000_003, 999_999_937, 9)));
    assert_eq!(bed.tree.segment_runs(2), segment(runs(1_000_003, 77_777_777, 4), 999_999, false));
    // What is refused changes nothing.
    bed.tree.set_segment(2, &plain(1, 6_000_000, 77_777_777, 5), Nanos(bed.now)).unwrap_err();
    assert_eq!(bed.tree.segment_runs(2), segment(runs(1_000_003, 77_777_777, 4), 999_999, false));
    bed.segment(2, 1, 0, 1, 1);
    assert_eq!(bed.tree.segment_runs(2), segment(runs(0, 1, 1), 0, false));
    bed.segment(2, 1, 0, MBIT, 1);
    assert!((0..3).all(|_| bed.put(2, 3, 1_000)));
    bed.tree.remove_segment(2).unwrap();
    assert_eq!(bed.tree.segment_runs(2), segment(runs(0, MBIT, 1), 0, true));
    bed.run(START + SECOND);
    assert_eq!(bed.tree.segment_runs(2), None);
    bed.tree.remove_slice(1).unwrap();
    assert_eq!(bed.tree.slice_runs(1), None);
}
