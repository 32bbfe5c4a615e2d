//! Random trees and arrivals: what must hold in all of them.

use proptest::prelude::*;

use super::super::*;
use super::bed::*;
use super::fluid::Node;
use super::watch;

/// A port of 100 Mbit/s.
const PORT: u64 = 100 * MBIT;
const FRAME: u64 = 1_500;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    slices: Vec<(Asked, Vec<Leaf>)>,
}

/// A segment and the weights of its classes.
type Leaf = (Asked, Vec<u8>);

/// Guarantee and ceiling in kbit/s, weight.
#[derive(Debug, Clone, Copy)]
struct Asked {
    guaranteed: u64,
    ceiling: u64,
    weight: u8,
}

/// A frame: after so many ns, to that segment and class of those that there are, so long.
pub(super) type Coming = (u64, prop::sample::Index, prop::sample::Index, u16);

pub(super) fn trees() -> impl Strategy<Value = Tree> {
    let asked = (0_u64..5_000, 1_000_u64..100_000, 1_u8..=20);
    let segment = (asked.clone(), prop::collection::vec(1_u8..=10, 1..4));
    let slice = (asked, prop::collection::vec(segment, 1..5));
    prop::collection::vec(slice, 1..4).prop_map(|slices| Tree {
        slices: slices
            .into_iter()
            .map(|((_, ceiling, weight), segments)| {
                let segments: Vec<_> = segments
                    .into_iter()
                    .map(|((guaranteed, ceiling, weight), classes)| {
                        let ceiling = ceiling.max(guaranteed + 1) * KBIT;
                        (Asked { guaranteed: guaranteed * KBIT, ceiling, weight }, classes)
                    })
                    .collect();
                let guaranteed: u64 = segments.iter().map(|(asked, _)| asked.guaranteed).sum();
                (Asked { guaranteed, ceiling: (ceiling * KBIT).max(guaranteed), weight }, segments)
            })
            .collect(),
    })
}

pub(super) fn coming() -> impl Strategy<Value = Vec<Coming>> {
    let gap = prop_oneof![3 => Just(0_u64), 2 => 0_u64..200_000, 1 => 0_u64..5_000_000];
    let size = prop_oneof![Just(64_u16), Just(1_500), 64_u16..=1_500];
    prop::collection::vec((gap, any::<prop::sample::Index>(), any::<prop::sample::Index>(), size), 1..600)
}

impl Tree {
    fn bed(&self) -> Bed {
        self.fill(Bed::new(PORT, 64, 2_000))
    }

    /// The slice of each segment, its guarantee, its ceiling and its weight.
    pub(super) fn all(&self) -> Vec<(u16, (u64, u64, u8))> {
        let asked = |asked: &Asked| (asked.guaranteed, asked.ceiling, asked.weight);
        let all = self.segments().into_iter();
        all.map(|(slice, _, leaf)| (u16::try_from(slice).unwrap(), asked(&leaf.0))).collect()
    }

    /// Has these slices and segments made.
    pub(super) fn fill(&self, mut bed: Bed) -> Bed {
        let mut segment = 0;
        for (slice, (asked, segments)) in (0_u16..).zip(&self.slices) {
            bed.slice(slice, asked.guaranteed, asked.ceiling, asked.weight);
            for (asked, weights) in segments {
                let mut all = [1; CLASSES];
                all[1..=weights.len()].copy_from_slice(weights);
                #[allow(clippy::cast_possible_truncation, reason = "few")]
                let table = segment as u16;
                bed.tree.set_classes(table, &classes(&all, 0)).unwrap();
                let mut shape = plain(slice, asked.guaranteed, asked.ceiling, asked.weight);
                shape.classes = table;
                bed.set(segment, &shape);
                segment += 1;
            }
        }
        bed
    }

    fn fluid(&self) -> Node {
        let class = |weight: &u8| Node::new(0, PORT, u32::from(*weight), Vec::new());
        let segment = |(asked, classes): &Leaf| {
            let classes = classes.iter().map(class).collect();
            Node::new(asked.guaranteed, asked.ceiling, u32::from(asked.weight), classes)
        };
        let slices = self.slices.iter().map(|(asked, segments)| {
            let segments = segments.iter().map(segment).collect();
            Node::new(asked.guaranteed, asked.ceiling, u32::from(asked.weight), segments)
        });
        Node::new(0, PORT, 1, slices.collect())
    }

    /// The slice of each segment, its place in it, and itself.
    fn segments(&self) -> Vec<(usize, usize, &Leaf)> {
        let mut all = Vec::new();
        for (slice, (_, segments)) in self.slices.iter().enumerate() {
            all.extend(segments.iter().enumerate().map(|(place, segment)| (slice, place, segment)));
        }
        all
    }

    /// The least ceiling above a segment, and its own.
    fn ceiling(&self, segment: u32) -> u64 {
        let (slice, _, (asked, _)) = self.segments()[segment as usize];
        asked.ceiling.min(self.slices[slice].0.ceiling).min(PORT)
    }
}

/// What a share may send beyond rate times time: the frame that makes the debt, its credit, the unit of that, and a tick.
fn slack(rate: u64) -> u64 {
    FRAME + BURST.max(rate * 20_000 / 8_000_000_000) + rate * 1_280 / 8_000_000_000 + 2
}

/// Has frames come and go; `each` time before a frame comes.
fn play(
    (tree, passes): (&Tree, bool),
    coming: &[Coming],
    mut each: impl FnMut(&mut Bed, u64, usize, usize, usize, u16),
) -> Bed {
    let mut bed = tree.bed();
    bed.passes = passes;
    let segments = tree.segments();
    let mut at = START;
    for (gap, segment, class, size) in coming {
        at += gap;
        let number = segment.index(segments.len());
        let class = class.index(segments[number].2.1.len());
        bed.run(at);
        each(&mut bed, at, number, segments[number].0, class, *size);
        #[allow(clippy::cast_possible_truncation, reason = "few")]
        let (number, class) = (number as u32, class as u8 + 1);
        assert!(bed.put(number, class, *size));
    }
    bed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Nobody is lost or starved, queues keep their order, ceilings hold at every level, and nothing stands idle that may be sent.
    #[test]
    fn frames_are_conserved_and_ceilings_hold(tree in trees(), coming in coming(), passes: bool) {
        let mut bed = play((&tree, passes), &coming, |_, _, _, _, _, _| ());
        // Everything leaves in the time that the slowest ceiling takes for all of it.
        let slowest = (0..).zip(tree.segments()).map(|(segment, _)| tree.ceiling(segment)).min().unwrap();
        let octets: u64 = coming.iter().map(|frame| u64::from(frame.3)).sum();
        let until = bed.now + octets * 8 * SECOND / slowest * 2 + SECOND;
        bed.run(until);
        bed.check_order();
        prop_assert_eq!(bed.left.len(), coming.len());
        let segments = tree.segments();
        watch::ceiling(&bed.left, |left| Some(left.queue.segment), |segment| {
            let ceiling = segments[*segment as usize].2.0.ceiling;
            (ceiling, slack(ceiling))
        });
        watch::ceiling(&bed.left, |left| Some(segments[left.queue.segment as usize].0), |slice| {
            let ceiling = tree.slices[*slice].0.ceiling;
            (ceiling, slack(ceiling))
        });
        watch::ceiling(&bed.left, |_| Some(()), |()| (PORT, slack(PORT)));
    }

    /// Whenever it waits though something is queued, every queue that waits is held back by a ceiling above it, as computed here
    /// from who left when.
    #[test]
    fn nothing_that_may_be_sent_is_held_back(tree in trees(), coming in coming(), passes: bool) {
        let segments = tree.segments();
        let mut bed = play((&tree, passes), &coming, |_, _, _, _, _, _| ());
        let end = bed.now + SECOND;
        while let Some(next) = bed.tree.next_event(Nanos(bed.now)).filter(|next| next.0 <= end) {
            if next.0 > bed.now + 2_000 {
                for number in 0..segments.len() {
                    let (segment, slice) = (u32::try_from(number).unwrap(), segments[number].0);
                    let waits = (1..=3).any(|class| bed.tree.backlog(QueueId { segment, class }).frames != 0);
                    let in_slice = |left: &Left| segments[left.queue.segment as usize].0 == slice;
                    prop_assert!(
                        !waits
                            || due(&bed.left, |_| true, PORT) > bed.now
                            || due(&bed.left, in_slice, tree.slices[slice].0.ceiling) > bed.now
                            || due(&bed.left, |left| left.queue.segment == segment, segments[number].2.0.ceiling) > bed.now,
                        "segment {segment} waits at {} until {next:?}", bed.now
                    );
                }
            }
            bed.now = next.0;
            bed.poll();
        }
    }

    /// Beside the fluid, at every arrival: no segment is behind or ahead by more than a few frames.
    #[test]
    fn every_segment_follows_the_fluid(tree in trees(), coming in coming(), passes: bool) {
        let mut fluid = tree.fluid();
        let (mut last, mut worst) = (START, 0);
        let segments = tree.segments();
        let places: Vec<_> = segments.iter().map(|(slice, place, _)| (*slice, *place)).collect();
        let mut sent = vec![0_u64; places.len()];
        let mut seen = 0;
        play((&tree, passes), &coming, |bed, at, number, _, class, size| {
            fluid.run(at - last);
            last = at;
            for left in &bed.left[seen..] {
                sent[left.queue.segment as usize] += left.octets;
            }
            seen = bed.left.len();
            for (number, (slice, place)) in places.iter().enumerate() {
                let due = fluid.children[*slice].children[*place].sent_octets();
                worst = worst.max(sent[number].abs_diff(due));
            }
            let (slice, place) = places[number];
            fluid.children[slice].children[place].children[class].arrive(u64::from(size));
        });
        prop_assert!(worst <= FLUID_FRAMES * FRAME, "{worst} octets");
    }
}

/// When the next one of a kind may be sent at a rate, from all that left so far.
fn due(left: &[Left], kind: impl Fn(&Left) -> bool, rate: u64) -> u64 {
    let mut due = i128::from(START) * i128::from(rate);
    for one in left.iter().filter(|one| kind(one)) {
        let at = i128::from(one.at) * i128::from(rate);
        let credit = i128::from(BURST * 8 * SECOND).max(20_000 * i128::from(rate)) + 1_280 * i128::from(rate);
        due = due.max(at - if rate == PORT { 20_480 * i128::from(rate) } else { credit })
            + i128::from(one.octets) * 8_000_000_000;
    }
    u64::try_from(due / i128::from(rate)).unwrap()
}

/// How far a segment may be from the fluid: a frame that has begun at each of the three levels, one frame of each sibling
/// before it, on both sides.
const FLUID_FRAMES: u64 = 12;
