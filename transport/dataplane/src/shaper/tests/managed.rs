//! Limits of queues, and what is done about those that stand.

use super::super::*;
use super::bed::*;

fn bed(class: ClassShape) -> Bed {
    let mut bed = Bed::new(GBIT, 2, 10_000);
    bed.tree.set_classes(0, &ClassTable { low_latency_burst_octets: 0, classes: [class; CLASSES] }).unwrap();
    bed.slice(0, 0, GBIT, 1);
    bed.segment(0, 0, 0, 8 * MBIT, 1);
    bed
}

const QUEUE: QueueId = QueueId { segment: 0, class: 3 };

#[test]
fn a_queue_holds_the_octets_that_it_may() {
    let mut bed = bed(ClassShape { octets_max: 10_000, codel: None, ..ClassShape::default() });
    let taken = (0..100).filter(|_| bed.put(0, 3, 1_000)).count();
    assert_eq!((taken, bed.refused.len()), (10, 90));
    assert!(bed.refused.iter().all(|reason| *reason == QueueDrop::QueueOctets));
    assert_eq!(bed.tree.counts(QUEUE).dropped(QueueDrop::QueueOctets), 90);
    assert_eq!(bed.tree.backlog(QUEUE), Backlog { frames: 10, octets: 10_000 });
    // Each class has its own.
    assert!(bed.put(0, 4, 1_000));
}

#[test]
fn a_queue_holds_the_time_that_it_may() {
    // 5 ms at 8 Mbit/s are 5,000 octets.
    let mut bed = bed(ClassShape { time_max: Nanos(5_000_000), codel: None, ..ClassShape::default() });
    let taken = (0..100).filter(|_| bed.put(0, 3, 1_000)).count();
    assert_eq!(taken, 5);
    assert_eq!(bed.tree.counts(QUEUE).dropped(QueueDrop::QueueTime), 95);
}

#[test]
fn an_empty_queue_takes_a_frame_whatever_its_limit() {
    let mut bed = bed(ClassShape { octets_max: 0, time_max: Nanos(0), codel: None, ..ClassShape::default() });
    assert!(bed.put(0, 3, 9_000));
    assert!(!bed.put(0, 3, 64));
}

/// Twice the rate, for 3 s: without marks the queue would hold 3 MB at the end.
fn overloaded(markable: bool) -> Bed {
    let mut bed = bed(ClassShape::default());
    bed.markable = markable;
    for step in 0..3_000_u64 {
        bed.run(START + step * 1_000_000);
        bed.put(0, 3, 1_000);
        bed.put(0, 3, 1_000);
    }
    bed
}

#[test]
fn a_queue_that_stands_is_marked_or_dropped_at_its_head_and_counted() {
    let dropping = overloaded(false);
    let dropped: Vec<_> = dropping.left.iter().filter(|left| !left.is_sent()).collect();
    let counts = dropping.tree.counts(QUEUE);
    assert_eq!(counts.dropped(QueueDrop::Codel), dropped.len() as u64);
    assert_eq!(counts.frames + counts.dropped(QueueDrop::Codel), dropping.left.len() as u64);
    // 5 ms after the first frame the queue stands, 100 ms later the first one is dropped, and then ever sooner.
    let first = dropped[0].at - START;
    assert!((100_000_000..120_000_000).contains(&first), "{first}");
    assert!(dropped.len() > 50, "{}", dropped.len());
    let marking = overloaded(true);
    assert_eq!(marking.tree.counts(QUEUE).dropped(QueueDrop::Codel), 0);
    let marked = marking.left.iter().filter(|left| left.fate == Fate::SendMarked).count();
    assert_eq!(marking.tree.counts(QUEUE).marked, marked as u64);
    assert!(marked > 50, "{marked}");
    dropping.check_order();
    marking.check_order();
}

#[test]
fn what_is_counted_is_what_left() {
    let mut bed = bed(ClassShape { codel: None, ..ClassShape::default() });
    bed.tree.watch(0).unwrap();
    for _ in 0..10 {
        bed.put(0, 3, 1_000);
    }
    bed.run(START + SECOND);
    let counts = bed.tree.counts(QUEUE);
    assert_eq!((counts.frames, counts.octets), (10, 10_000));
    // They left 0, 1, ... 9 ms after they came.
    let sojourns = bed.tree.sojourns(QUEUE).unwrap();
    assert_eq!(sojourns, bed.tree.slice_sojourns(0, 3).unwrap());
    assert_eq!(sojourns.iter().map(|(_, frames)| frames).sum::<u64>(), 10);
    let median = sojourns.permille(500).unwrap().0;
    assert!((4_000_000..=6_300_000).contains(&median), "{median}");
    assert_eq!(bed.tree.slice_counts(0, 3), counts);
    bed.tree.unwatch(0);
    assert_eq!(bed.tree.sojourns(QUEUE), None);
}

/// As many as there may be, and no more; each has its own, whoever comes and goes, and they are told in the order in which they were
/// asked for.
#[test]
fn who_is_watched_has_histograms_of_its_own() {
    let segments = u32::try_from(WATCHED_SEGMENTS_MAX).unwrap() + 1;
    let mut bed = Bed::new(GBIT, segments, 1_000);
    bed.slice(0, 0, GBIT, 1);
    for segment in 0..segments {
        bed.segment(segment, 0, 0, GBIT, 1);
    }
    assert_eq!(bed.tree.watch(segments), Err(WatchError::UnknownSegment { segment: segments }));
    let last = segments - 1;
    assert!((0..last).all(|segment| bed.tree.watch(segment).is_ok()));
    assert_eq!(bed.tree.watch(last), Err(WatchError::TooMany { segment: last }));
    // Asked for again, it counts as the last one.
    bed.tree.watch(0).unwrap();
    assert_eq!(bed.tree.watched().next(), Some(1));
    bed.tree.unwatch(1);
    bed.tree.watch(last).unwrap();
    assert_eq!(bed.tree.watched().collect::<Vec<_>>(), (2..last).chain([0, last]).collect::<Vec<_>>());
    let sent = |bed: &mut Bed| {
        for segment in 0..segments {
            assert!((0..=segment % 5).all(|_| bed.put(segment, 3, 100)));
        }
        bed.run(bed.now + SECOND);
    };
    sent(&mut bed);
    bed.tree.watch(2).unwrap();
    bed.tree.unwatch(7);
    sent(&mut bed);
    for segment in 0..segments {
        let told = bed.tree.sojourns(QueueId { segment, class: 3 }).map(|s| s.iter().map(|(_, n)| n).sum::<u64>());
        let expected = (segment != 1 && segment != 7).then_some(2 * u64::from(segment % 5 + 1));
        assert_eq!(told, expected, "{segment}");
    }
}

/// More queues than have state: the counts of those that gave theirs up are in the totals, and none is missing.
#[test]
fn a_queue_that_gives_up_its_state_leaves_its_counts() {
    let limits = ShaperLimits { segments: 100, slices: 1, frames: 8, queues: 10 };
    let mut bed =
        Bed::with(&PortShape { rate: rate(GBIT), overhead_octets: 24, credit: CREDIT, lateness: CREDIT }, &limits);
    bed.slice(0, 0, GBIT, 1);
    for segment in 0..100 {
        bed.segment(segment, 0, 0, GBIT, 1);
    }
    for round in 0..3 {
        for segment in 0..100 {
            assert!(bed.put(segment, 2, 100), "{round} {:?}", bed.refused);
            let now = bed.now;
            bed.run(now + 10_000);
        }
    }
    let counts = bed.tree.slice_counts(0, 2);
    assert_eq!((counts.frames, counts.octets), (300, 300 * 124));
    assert_eq!(bed.tree.queues().count(), 10);
    bed.check_order();
}
