//! Frames that need not wait: what passes is as if it had been queued, and nothing is overtaken that must not be.

use model::Rate;
use proptest::prelude::*;

use super::super::*;
use super::bed::*;
use super::properties::{Coming, Tree, coming, trees};

/// A tree in which everything can happen that a frame which passes must not change: overhead, queues that stand, low
/// latency in every second segment, one that is watched, and state for fewer queues than there are.
fn rich(tree: &Tree, queues: u32) -> Bed {
    let limits = ShaperLimits { segments: 64, slices: 64, frames: 300, queues };
    let port = PortShape { rate: rate(100 * MBIT), overhead_octets: 24, credit: CREDIT, lateness: CREDIT };
    let mut bed = tree.fill(Bed::with(&port, &limits));
    let codel = Some(Codel { target: Nanos(50_000), interval: Nanos(500_000) });
    for (number, (slice, asked)) in (0_u32..).zip(tree.all()) {
        let weights = [1; CLASSES];
        let table = u16::try_from(number).unwrap();
        let mut classes = classes(&weights, 2_000);
        classes.classes.iter_mut().skip(1).for_each(|class| class.codel = codel);
        bed.tree.set_classes(table, &classes).unwrap();
        let low_latency = if number % 2 == 1 { rate(asked.0) } else { Rate::ZERO };
        bed.set(number, &SegmentShape { low_latency, classes: table, ..plain(slice, asked.0, asked.1, asked.2) });
    }
    bed.tree.watch(0).unwrap();
    bed
}

/// Has a frame come, or every fiftieth time a segment go.
fn come(bed: &mut Bed, tree: &Tree, step: usize, (gap, segment, class, size): &Coming) -> (QueueId, u16) {
    bed.run(bed.now + gap);
    let segment = u32::try_from(segment.index(tree.all().len())).unwrap();
    if step % 50 == 49 && bed.tree.is_live(segment) {
        bed.tree.remove_segment(segment).unwrap();
    }
    // Some are longer than any that is scheduled.
    let size = if step % 37 == 36 { u16::MAX } else { *size };
    (QueueId { segment, class: u8::try_from(class.index(4)).unwrap() }, size)
}

/// All that is counted.
fn counted(bed: &Bed) -> String {
    let queues = (0..12).flat_map(|segment| (0..4).map(move |class| QueueId { segment, class }));
    let queues: Vec<_> =
        queues.map(|id| (bed.tree.counts(id), bed.tree.backlog(id), bed.tree.sojourns(id).cloned())).collect();
    let slices = (0..3).flat_map(|slice| (0..4).map(move |class| (slice, class)));
    let slices: Vec<_> = slices
        .map(|(slice, class)| (bed.tree.slice_counts(slice, class), bed.tree.slice_sojourns(slice, class).cloned()))
        .collect();
    format!("{queues:?} {slices:?} {:?}", bed.refused)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// What passes leaves when it would have left if it had been queued and polled at once, and so does all that comes later; it
    /// is counted the same, and what has no state is refused the same.
    #[test]
    fn what_passes_is_as_if_it_had_been_queued(tree in trees(), coming in coming(), queues in 3_u32..40) {
        let [queued, passed] = [0, 1].map(|budget| {
            let mut bed = rich(&tree, queues);
            for (step, frame) in coming.iter().enumerate() {
                let frame = come(&mut bed, &tree, step, frame);
                bed.burst(&[frame], budget);
                bed.poll();
            }
            bed.run(bed.now + SECOND);
            (counted(&bed), bed.left)
        });
        prop_assert_eq!(queued.0, passed.0);
        prop_assert_eq!(queued.1, passed.1);
    }

    /// In bursts, with any budget: queues keep their order, nobody is lost, no more leave than may, and whoever waited for the port
    /// alone, or has low latency, is not overtaken.
    #[test]
    fn bursts_that_pass_overtake_nobody(
        tree in trees(),
        coming in coming(),
        queues in 3_u32..40,
        bursts in prop::collection::vec((1_usize..=64, 0_usize..=64, 0_usize..=64), 1..40),
    ) {
        let mut bed = rich(&tree, queues);
        let (mut coming, mut bursts) = (coming.iter().enumerate().peekable(), bursts.iter().cycle());
        while coming.peek().is_some() {
            let (count, budget, polled) = bursts.next().unwrap();
            let frames: Vec<_> =
                coming.by_ref().take(*count).map(|(step, frame)| come(&mut bed, &tree, step, frame)).collect();
            // Those that are due take their places; then something may be sent at once, or nothing waits for the port.
            bed.tree.poll(Nanos(bed.now), 0, &mut Departures::new());
            let waits = bed.tree.next_event(Nanos(bed.now)).is_some_and(|next| next.0 <= bed.now);
            let low = |(queue, _): &(QueueId, u16)| queue.class == 0 && queue.segment % 2 == 1;
            let passed = bed.burst(&frames, *budget);
            prop_assert!(passed <= *budget);
            prop_assert!(passed == 0 || !waits && !frames.iter().any(low), "{passed} passed");
            let mut departures = Departures::new();
            bed.tree.poll(Nanos(bed.now), *polled, &mut departures);
            bed.note(&departures);
        }
        bed.check_order();
        bed.run(bed.now + 1_000 * SECOND);
        bed.check_order();
        prop_assert_eq!(bed.tree.queued(), 0);
    }
}

/// Two slices with a segment each, without limits of their own, on a port with all the credit that this takes.
fn two() -> Bed {
    let mut bed = Bed::new(GBIT, 2, 100);
    for number in [0, 1] {
        bed.slice(number, 0, GBIT, 1);
        bed.segment(number.into(), number, 0, GBIT, 1);
    }
    bed.now += 1_000_000;
    bed
}

fn of(segment: u32, class: u8) -> (QueueId, u16) {
    (QueueId { segment, class }, 100)
}

#[test]
fn what_needs_not_wait_leaves_at_once_in_its_order_and_no_more_than_may() {
    let mut bed = two();
    assert_eq!(bed.burst(&[of(0, 3), of(1, 4), of(0, 3), of(0, 5), of(1, 4)], 3), 3);
    let left: Vec<_> = bed.left.iter().map(|left| (left.queue.segment, left.queue.class)).collect();
    assert_eq!(left, [(0, 3), (1, 4), (0, 3)]);
    assert_eq!(bed.poll(), 2);
    bed.check_order();
}

#[test]
fn a_backlog_is_not_overtaken() {
    let mut bed = two();
    assert_eq!(bed.burst(&[of(0, 3); 10], 4), 4);
    // Six wait for nothing but the port.
    assert_eq!(bed.burst(&[of(1, 3)], 64), 0);
    assert_eq!(bed.poll(), 7);
    // And then nobody does.
    assert_eq!(bed.burst(&[of(1, 3)], 64), 1);
}

#[test]
fn low_latency_comes_first_in_its_burst_and_a_class_without_a_cap_is_like_any_other() {
    let mut bed = two();
    assert_eq!(bed.burst(&[of(0, 3), of(0, 0)], 64), 2, "no cap, no low latency");
    bed.tree.set_classes(1, &classes(&[1; CLASSES], 2_000)).unwrap();
    let mut shape = plain(1, 10 * MBIT, GBIT, 1);
    (shape.low_latency, shape.classes) = (rate(10 * MBIT), 1);
    bed.slice(1, 10 * MBIT, GBIT, 1);
    bed.set(1, &shape);
    bed.now += 1_000_000;
    assert_eq!(bed.burst(&[of(0, 3), of(0, 3), of(1, 0)], 64), 0);
    bed.poll();
    let left: Vec<_> = bed.left[2..].iter().map(|left| (left.queue.segment, left.queue.class)).collect();
    assert_eq!(left, [(1, 0), (0, 3), (0, 3)]);
}

/// Ten queues take all the state that there is. Each of them passes on; one more does not, lest another give up its state for a
/// frame that leaves at once.
#[test]
fn a_queue_without_state_is_queued_and_its_frames_keep_their_order() {
    let limits = ShaperLimits { segments: 16, slices: 1, frames: 100, queues: 10 };
    let mut bed =
        Bed::with(&PortShape { rate: rate(GBIT), overhead_octets: 0, credit: CREDIT, lateness: CREDIT }, &limits);
    bed.slice(0, 0, GBIT, 1);
    (0..16).for_each(|segment| bed.segment(segment, 0, 0, GBIT, 1));
    bed.now += 1_000_000;
    let ten: Vec<_> = (0..10).map(|segment| of(segment, 3)).collect();
    assert_eq!((bed.burst(&ten, 64), bed.burst(&ten, 64)), (10, 10));
    bed.now += 1_000_000;
    assert_eq!(bed.burst(&[of(10, 3), of(10, 3), of(0, 3), of(10, 3)], 64), 1);
    assert_eq!(bed.poll(), 3);
    bed.check_order();
    assert!(bed.refused.is_empty());
    assert_eq!(bed.tree.counts(QueueId { segment: 10, class: 3 }).frames, 3);
}

#[test]
fn who_is_watched_has_its_frames_that_pass_in_its_histograms() {
    let mut bed = two();
    bed.tree.watch(1).unwrap();
    assert_eq!(bed.burst(&[of(1, 3), of(0, 3), of(1, 3)], 64), 3);
    let frames = |segment| bed.tree.sojourns(QueueId { segment, class: 3 }).map(Sojourns::frames);
    assert_eq!((frames(0), frames(1)), (None, Some(2)));
}
