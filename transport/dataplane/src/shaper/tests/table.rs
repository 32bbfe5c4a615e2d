//! A world of its own seed: what each segment got, beside what the fluid gives it. Kept as a table, so that a change of the
//! scheduler shows as a change of numbers.

use std::fmt::Write;

use super::super::*;
use super::bed::*;
use super::fluid::Node;

/// Slices with guarantee, ceiling (Mbit/s) and weight, and their segments with guarantee, ceiling, weight, and what they offer.
type World = [(u64, u64, u8, &'static [(u64, u64, u8, u64)])];

const WORLD: &World = &[
    (20, 100, 1, &[(20, 100, 1, 5), (0, 100, 1, 80)]),
    (30, 60, 3, &[(10, 60, 1, 80), (10, 20, 4, 80), (0, 60, 2, 80)]),
    (0, 100, 2, &[(0, 8, 1, 80), (0, 100, 1, 12), (0, 100, 5, 1)]),
];

#[test]
fn the_table_of_a_seeded_world() {
    let mut text = String::from("segment  guarantee  ceiling  weight  offered    fluid  IMIX got   64 got  1500 got\n");
    let sizes = [&IMIX[..], &[64], &[1_500]];
    let got = sizes.map(|sizes| run(sizes, false));
    assert_eq!(got, sizes.map(|sizes| run(sizes, true)), "what passes changes nothing");
    let fluid = flow();
    let mut number = 0;
    for (_, _, _, segments) in WORLD {
        for (guaranteed, ceiling, weight, offered) in *segments {
            let [imix, small, large] = [0, 1, 2].map(|run: usize| mbit(got[run][number]));
            let fluid = mbit(fluid[number]);
            writeln!(
                text,
                "{number:7}  {guaranteed:9}  {ceiling:7}  {weight:6}  {offered:7}  {fluid:7.2}  {imix:8.2} {small:8.2}  {large:8.2}"
            )
            .unwrap();
            number += 1;
        }
    }
    assert_eq!(text, include_str!("table.txt"), "\n{text}");
}

/// Mbit/s of octets in a second.
fn mbit(octets: u64) -> f64 {
    f64::from(u32::try_from(octets).unwrap()) * 8e-6
}

/// Octets of each segment in a second, after a tenth of one.
fn run(sizes: &[u16], passes: bool) -> Vec<u64> {
    let mut bed = Bed::new(100 * MBIT, 64, 60_000);
    bed.passes = passes;
    let mut offers = Vec::new();
    for (slice, (guaranteed, ceiling, weight, segments)) in (0_u16..).zip(WORLD) {
        bed.slice(slice, guaranteed * MBIT, ceiling * MBIT, *weight);
        for (guaranteed, ceiling, weight, offered) in *segments {
            let segment = u32::try_from(offers.len()).unwrap();
            bed.segment(segment, slice, guaranteed * MBIT, ceiling * MBIT, *weight);
            offers.push((*offered, START));
        }
    }
    let (mut chance, end) = (88_172_645_463_325_252_u64, START + 11 * SECOND / 10);
    while bed.now < end {
        // Whoever is next sends a frame to a class by chance, unless it has plenty queued.
        let (segment, (offered, at)) = offers.iter().enumerate().min_by_key(|(_, (_, at))| *at).unwrap();
        let (offered, at) = (*offered, *at);
        bed.run(at.min(end));
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let size = sizes[usize::try_from(chance >> 40).unwrap() % sizes.len()];
        let class = u8::try_from(chance % 13).unwrap();
        let number = u32::try_from(segment).unwrap();
        if bed.tree.backlog(QueueId { segment: number, class }).octets < 20_000 {
            bed.put(number, class, size);
        }
        offers[segment].1 += u64::from(size) * 8_000 / offered;
    }
    let sent = bed.by_segment(START + SECOND / 10, end);
    (0..offers.len()).map(|segment| sent[&u32::try_from(segment).unwrap()]).collect()
}

/// The same of the fluid; who offers less than it may have has no more than it offers.
fn flow() -> Vec<u64> {
    let slices = WORLD.iter().map(|(guaranteed, ceiling, weight, segments)| {
        let segments = segments.iter().map(|(guaranteed, ceiling, weight, offered)| {
            let ceiling = *ceiling.min(offered);
            Node::new(guaranteed.min(&ceiling) * MBIT, ceiling * MBIT, u32::from(*weight), Vec::new())
        });
        Node::new(guaranteed * MBIT, ceiling * MBIT, u32::from(*weight), segments.collect())
    });
    let mut port = Node::new(0, 100 * MBIT, 1, slices.collect());
    port.children.iter_mut().flat_map(|slice| &mut slice.children).for_each(|segment| segment.arrive(1 << 40));
    port.run(SECOND);
    port.children.iter().flat_map(|slice| &slice.children).map(Node::sent_octets).collect()
}
