//! Everything that is wrong with input: none of it stops the tree, and none leaves anything behind.

use model::{InvalidLimits, RateLimits};

use super::super::*;
use super::bed::*;

#[test]
fn rates_that_contradict_each_other_are_refused_and_change_nothing() {
    assert_eq!(RateLimits::new(rate(0), rate(0)), Err(InvalidLimits::NoCeiling));
    assert!(RateLimits::new(rate(2), rate(1)).is_err());
    let mut bed = Bed::new(100 * MBIT, 2, 100);
    let at = Nanos(bed.now);
    bed.slice(0, 60 * MBIT, 100 * MBIT, 1);
    let asked = bed.tree.set_slice(1, &shape(41 * MBIT, 100 * MBIT, 1), at).unwrap_err();
    assert_eq!(
        asked,
        ShapeError::Oversubscribed { below: Parent::Port, asked: rate(41 * MBIT), left: rate(40 * MBIT) }
    );
    assert_eq!(asked.to_string(), "guaranteed 41 Mbit/s, of which 40 Mbit/s are left below the port");
    bed.segment(0, 0, 50 * MBIT, 60 * MBIT, 1);
    let asked = bed.tree.set_segment(1, &plain(0, 11 * MBIT, 60 * MBIT, 1), at).unwrap_err();
    assert_eq!(asked.to_string(), "guaranteed 11 Mbit/s, of which 10 Mbit/s are left below slice 0");
    // Nor can the slice promise less than its segments were promised.
    assert!(bed.tree.set_slice(0, &shape(49 * MBIT, 100 * MBIT, 1), at).is_err());
    let mut low = plain(0, 50 * MBIT, 60 * MBIT, 1);
    low.low_latency = rate(50 * MBIT + 1);
    assert!(matches!(bed.tree.set_segment(0, &low, at), Err(ShapeError::LowLatencyAboveGuarantee { .. })));
    for weight in [0, WEIGHT_MAX + 1, u8::MAX] {
        assert_eq!(bed.tree.set_segment(0, &plain(0, 0, 1, weight), at), Err(ShapeError::Weight { found: weight }));
    }
    bed.greedy(&[(0, 1)], &[1_000], START + SECOND / 10);
    let sent = bed.by_segment(START, START + SECOND / 10)[&0];
    assert!(sent.abs_diff(60_000_000 / 80) <= 2_000, "{sent}");
}

#[test]
fn places_that_do_not_exist_are_refused() {
    let mut bed = Bed::new(GBIT, 2, 4);
    let at = Nanos(bed.now);
    bed.slice(0, 0, GBIT, 1);
    bed.slice(1, 0, GBIT, 1);
    bed.segment(0, 0, 0, GBIT, 1);
    assert_eq!(
        bed.tree.set_segment(2, &plain(0, 0, 1, 1), at),
        Err(ShapeError::NoRoomForSegment { segment: 2, max: 2 })
    );
    assert_eq!(bed.tree.set_slice(64, &shape(0, 1, 1), at), Err(ShapeError::NoRoomForSlice { slice: 64, max: 64 }));
    assert_eq!(bed.tree.set_segment(1, &plain(7, 0, 1, 1), at), Err(ShapeError::UnknownSlice { slice: 7 }));
    assert_eq!(bed.tree.set_segment(0, &plain(1, 0, 1, 1), at), Err(ShapeError::Moves { segment: 0, slice: 0 }));
    let mut other = plain(0, 0, 1, 1);
    other.classes = 3;
    assert_eq!(bed.tree.set_segment(1, &other, at), Err(ShapeError::UnknownClasses { table: 3 }));
    let table = classes(&[1; CLASSES], 0);
    assert_eq!(
        bed.tree.set_classes(CLASS_TABLES_MAX, &table),
        Err(ShapeError::NoRoomForClasses { table: CLASS_TABLES_MAX })
    );
    assert_eq!(bed.tree.remove_segment(1), Err(ShapeError::UnknownSegment { segment: 1 }));
    assert_eq!(bed.tree.remove_slice(0), Err(ShapeError::SliceInUse { slice: 0, segments: 1 }));
    for (segment, class) in [(1, 0), (2, 0), (u32::MAX, 0), (0, 13), (0, u8::MAX)] {
        assert!(!bed.put(segment, class, 64));
        assert_eq!(bed.refused.pop(), Some(QueueDrop::UnknownQueue));
    }
    assert_eq!(bed.tree.refused(QueueDrop::UnknownQueue), 5);
}

#[test]
fn a_handle_that_is_queued_or_unknown_is_refused() {
    let mut bed = Bed::new(GBIT, 2, 4);
    bed.slice(0, 0, GBIT, 1);
    bed.segment(0, 0, 0, GBIT, 1);
    let arrival = |handle| Arrival { queue: QueueId { segment: 0, class: 1 }, handle, octets: 64, markable: false };
    let mut refused = Vec::new();
    let arrivals = [arrival(0), arrival(0), arrival(4), arrival(u32::MAX), arrival(3)];
    bed.tree.enqueue(Nanos(bed.now), &arrivals, |handle, reason| refused.push((handle, reason)));
    assert_eq!(refused, [0, 4, u32::MAX].map(|handle| (handle, QueueDrop::Handle)));
    let mut departures = Departures::new();
    bed.tree.poll(Nanos(bed.now + SECOND), 64, &mut departures);
    assert_eq!(departures.iter().map(|departure| departure.handle).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn a_million_segments_and_then_one_more() {
    const MILLION: u32 = 1_000_000;
    let limits = ShaperLimits { segments: MILLION, slices: 1, frames: 64, queues: 128 };
    let mut bed =
        Bed::with(&PortShape { rate: rate(100 * GBIT), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, &limits);
    bed.slice(0, 0, 100 * GBIT, 1);
    for segment in 0..MILLION {
        bed.segment(segment, 0, 0, MBIT, 1);
    }
    let one_more = bed.tree.set_segment(MILLION, &plain(0, 0, MBIT, 1), Nanos(bed.now));
    assert_eq!(one_more, Err(ShapeError::NoRoomForSegment { segment: MILLION, max: MILLION }));
    for segment in [0, 77_777, MILLION - 1] {
        assert!(bed.put(segment, 12, 1_500));
    }
    bed.run(START + SECOND);
    assert_eq!(bed.left.len(), 3);
    assert!(bed.tree.memory().per_segment <= 256, "{:?}", bed.tree.memory());
}

#[test]
fn jumbo_and_runt_frames() {
    let mut bed = Bed::with(
        &PortShape { rate: rate(GBIT), overhead_octets: 24, credit: CREDIT, lateness: CREDIT },
        &ShaperLimits { segments: 1, slices: 1, frames: 8, queues: 16 },
    );
    bed.slice(0, 0, GBIT, 1);
    bed.segment(0, 0, 0, GBIT, 1);
    assert!(!bed.put(0, 1, u16::MAX));
    assert_eq!(bed.refused, [QueueDrop::TooLong]);
    assert!(bed.put(0, 1, 0) && bed.put(0, 1, 1) && bed.put(0, 1, 15_976));
    bed.run(START + SECOND);
    assert_eq!(bed.left.len(), 3);
    // A frame of nothing on a port that adds nothing still counts as one octet, so that a rate ends somewhere.
    let mut bed = Bed::new(8_000, 1, 128);
    bed.slice(0, 0, 8_000, 1);
    bed.segment(0, 0, 0, 8_000, 1);
    (0..64).for_each(|_| assert!(bed.put(0, 1, 0)));
    bed.run(START + 10_500_000);
    assert!(bed.left.len() <= 12, "{}", bed.left.len());
}

#[test]
fn a_burst_of_a_million_frames_to_one_queue_is_bounded_and_harms_nobody() {
    let mut bed = Bed::new(100 * MBIT, 2, 10_000);
    bed.slice(0, 0, 100 * MBIT, 1);
    bed.segment(0, 0, 0, 100 * MBIT, 1);
    bed.segment(1, 0, 0, 100 * MBIT, 1);
    let mut table = classes(&[1; CLASSES], 0);
    table.classes[3].octets_max = 100_000;
    bed.tree.set_classes(0, &table).unwrap();
    let taken = (0..1_000_000).filter(|_| bed.put(0, 3, 100)).count();
    assert_eq!((taken, bed.refused.len()), (1_000, 999_000));
    // A neighbour that comes now gets its half at once.
    bed.greedy(&[(1, 3)], &[100], START + SECOND / 100);
    let sent = bed.by_segment(START, START + SECOND / 100);
    assert!(sent[&0].abs_diff(sent[&1]) <= 400, "{sent:?}");
}

/// A queue holds at most as many frames as are free in the whole tree: of F places, n queues that are flooded hold F·n/(n + 1)
/// in equal parts, whoever came first (Choudhury and Hahne, 1998, alpha = 1).
#[test]
fn flooded_queues_leave_room_for_newcomers() {
    const FRAMES: u32 = 1_200;
    for flooding in [1_u32, 2, 3, 5, 11] {
        let mut bed = Bed::new(GBIT, 16, FRAMES);
        bed.slice(0, 0, GBIT, 1);
        (0..16).for_each(|segment| bed.segment(segment, 0, 0, 1, 1));
        for _ in 0..FRAMES {
            (0..flooding).for_each(|segment| assert!(bed.put(segment, 3, 64) || bed.refused.pop().is_some()));
        }
        let each = FRAMES / (flooding + 1);
        for segment in 0..flooding {
            let queue = QueueId { segment, class: 3 };
            assert_eq!(bed.tree.backlog(queue).frames, each, "{segment} of {flooding}");
            let dropped = u64::from(FRAMES - each);
            assert_eq!(bed.tree.counts(queue).dropped(QueueDrop::QueueFrames), dropped, "{segment} of {flooding}");
        }
        // Who comes next has half of what is free.
        let newcomer = (0..FRAMES).filter(|_| bed.put(15, 3, 64)).count();
        assert_eq!(newcomer, each as usize / 2, "beside {flooding}");
        assert_eq!(
            bed.tree.refused(QueueDrop::QueueFrames),
            bed.refused.len() as u64 + u64::from(flooding * (FRAMES - each))
        );
    }
}

#[test]
fn more_frames_than_there_are_handles_have_nowhere_to_go() {
    let mut bed = Bed::new(GBIT, 64, 64);
    bed.slice(0, 0, GBIT, 1);
    for segment in 0..64 {
        bed.segment(segment, 0, 0, GBIT, 1);
    }
    assert_eq!((0..100).filter(|number| bed.put(number % 64, 1, 64)).count(), 64);
    // Fewer queue states than queues that carry frames: a named drop, and all goes on.
    let limits = ShaperLimits { segments: 4, slices: 1, frames: 64, queues: 2 };
    let mut bed =
        Bed::with(&PortShape { rate: rate(GBIT), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, &limits);
    bed.slice(0, 0, GBIT, 1);
    (0..4).for_each(|segment| bed.segment(segment, 0, 0, GBIT, 1));
    assert_eq!((0..4).filter(|segment| bed.put(*segment, 1, 64)).count(), 2);
    assert_eq!(bed.refused, [QueueDrop::NoQueueState; 2]);
    bed.run(START + SECOND);
    assert!(bed.put(3, 1, 64));
}

/// Two segments of 8 Mbit/s; what each sends in the second after the clock did something.
fn after_clock(disturb: impl Fn(&mut Bed)) -> [u64; 2] {
    let mut bed = Bed::new(GBIT, 2, 1_000);
    bed.slice(0, 4 * MBIT, GBIT, 1);
    bed.segment(0, 0, 0, 8 * MBIT, 1);
    bed.segment(1, 0, 4 * MBIT, 8 * MBIT, 1);
    let queues = [(0, 3), (1, 3)];
    bed.greedy(&queues, &[1_000], START + SECOND);
    disturb(&mut bed);
    bed.check_order();
    // The clock may have been set back: only what leaves from here on counts.
    bed.left.clear();
    let from = bed.now;
    bed.greedy(&queues, &[1_000], from + SECOND);
    [0, 1].map(|segment| bed.by_segment(0, u64::MAX)[&segment])
}

#[test]
fn time_that_stands_still_jumps_or_steps_back_leaves_nothing_behind() {
    let steady = after_clock(|_| ());
    for sent in [
        after_clock(|bed| {
            let sent = bed.left.len();
            (0..1_000).for_each(|_| assert!(bed.poll() <= 64));
            assert!(bed.left.len() - sent <= 2, "time stood still");
        }),
        after_clock(|bed| bed.now += 3_600 * SECOND),
        after_clock(|bed| {
            bed.now += 3_600 * SECOND;
            bed.poll();
        }),
        after_clock(|bed| {
            bed.now += 7_200 * SECOND;
            bed.poll();
            bed.now -= 3_600 * SECOND;
            bed.poll();
        }),
        after_clock(|bed| {
            bed.now = 0;
            bed.poll();
        }),
    ] {
        for (sent, steady) in sent.into_iter().zip(steady) {
            assert!(sent.abs_diff(steady) <= 5_000, "{sent}, otherwise {steady}");
        }
    }
}

#[test]
fn the_end_of_time_is_survived() {
    let mut bed = Bed::new(GBIT, 2, 100);
    bed.slice(0, MBIT, GBIT, 1);
    bed.segment(0, 0, MBIT, 8 * MBIT, 1);
    for now in [u64::MAX - 1, u64::MAX, u64::MAX, 0, u64::MAX] {
        bed.now = now;
        for _ in 0..4 {
            bed.put(0, 3, 1_000);
            bed.poll();
            bed.tree.next_event(Nanos(now));
        }
    }
}
