//! Programs that change while frames wait.

use model::program::Program;
use model::{Generation, Rate};
use transport_dataplane::{DropReason, Nanos};

use crate::queues::{MBIT, leave, numbered, numbers, rates, rig, shaped};
use crate::rig::*;

/// A change of rate in the middle of a queue: nothing is lost, the order stays, and from then on it is the new rate.
#[test]
fn a_rate_changes_while_frames_wait() {
    let mut rig = rig(|_| {});
    let frames: Vec<_> = (0..60).map(|number| numbered(number, 0)).collect();
    let mut left: Vec<_> = rig.put(ACCESS0, &frames).into_iter().map(|left| (rig.now, left)).collect();
    left.extend(rig.wait(Nanos(rig.now.0 + 100_000_000)));
    let before = left.len();
    assert!((13..=16).contains(&before), "{before}");
    rig.now.0 += 100_000_000;
    let mut program = shaped(|p| {
        p.content.shaping[0].classes[0].limits = rates(500_000, 2 * MBIT);
        p.content.slices[0].segments[0].limits = rates(500_000, 2 * MBIT);
    });
    program.generation = Generation::new(2);
    rig.run(program);
    left.extend(rig.wait(Nanos(u64::MAX)));
    assert_eq!(numbers(&left), (0..60).collect::<Vec<_>>());
    let took = left.last().unwrap().0.0 - rig.now.0;
    let exact = (60 - before as u64) * 4_000_000;
    assert!(took.abs_diff(exact) <= 8_000_000, "{took} instead of {exact}");
}

/// A slice that goes while its frames wait: they are nobody's any more. When it comes back meanwhile it is another one, and
/// works.
#[test]
fn a_slice_goes_and_comes_back_while_frames_wait() {
    let mut rig = rig(|_| {});
    let frames: Vec<_> = (0..40).map(|number| numbered(number, 0)).collect();
    let left = rig.put(ACCESS0, &frames).len();
    let mut without = shaped(|p| {
        p.content.slices.remove(0);
        p.content.shaping[0].classes.remove(0);
    });
    without.generation = Generation::new(2);
    rig.run(without);
    let mut again = shaped(|_| {});
    again.generation = Generation::new(3);
    rig.run(again);
    rig.admit_open("embb", "office", device(1));
    let mut later: Vec<_> = rig.put(ACCESS0, &[numbered(100, 0)]).into_iter().map(|left| (rig.now, left)).collect();
    later.extend(rig.wait(Nanos(u64::MAX)));
    assert!(numbers(&later).contains(&100));
    let dropped = rig.drops(ACCESS0);
    assert_eq!(dropped, [(DropReason::QueueUnknown, 41 - (left + later.len()) as u64)]);
    // When all has gone, what was held up by it is done.
    rig.now.0 += 1_000_000_000;
    rig.tick();
    assert!(rig.pipeline.reshape(rig.now));
}

/// All guarantees move from one slice to the other at once; in between they never add up to more than the link.
#[test]
fn guarantees_change_places() {
    let mut rig = rig(|p| {
        p.content.shaping[0].classes[0].limits = rates(2 * MBIT, 2 * MBIT);
        p.content.shaping[0].classes[1].limits = rates(0, 2 * MBIT);
        p.content.slices[0].segments[0].limits = rates(2 * MBIT, 2 * MBIT);
    });
    for generation in 2..6 {
        let (embb, iot) = if generation % 2 == 0 { (0, 2 * MBIT) } else { (2 * MBIT, 0) };
        let mut program = shaped(|p| {
            p.content.shaping[0].classes[0].limits = rates(embb, 2 * MBIT);
            p.content.shaping[0].classes[1].limits = rates(iot, 2 * MBIT);
            p.content.slices[0].segments[0].limits = rates(embb, 2 * MBIT);
        });
        program.generation = Generation::new(generation);
        rig.run(program);
        assert_eq!(rig.reading().ports[2].guaranteed, Rate::from_bits_per_second(2 * MBIT), "{generation}");
    }
}

/// A segment that is not in the tree yet: its frames are dropped by name until it is.
#[test]
fn a_queue_that_is_not_there_yet() {
    let mut rig = Rig::with(shaped(|p| p.content.slices[0].segments.clear()));
    rig.introduce_router();
    let mut program = shaped(|_| {});
    program.generation = Generation::new(2);
    let tables = rig.compiler.compile(&program, rig.now).unwrap();
    rig.pipeline.swap(tables);
    rig.admit_open("embb", "office", device(1));
    assert_eq!(rig.put(ACCESS0, &[numbered(0, 0)]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::QueueUnknown, 1)]);
    while !rig.pipeline.reshape(rig.now) {}
    assert_eq!(rig.put(ACCESS0, &[numbered(0, 0)]).len(), 1);
}

/// A VLAN goes to another slice while frames of the first wait for it.
#[test]
fn what_waits_does_not_leave_into_the_vlan_of_another_slice() {
    let mut rig = rig(|_| {});
    rig.put(ACCESS0, &[numbered(0, 0)]);
    let down = in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), &[77; 958]));
    rig.put(CORE0, &vec![down; 30]);
    let mut without = shaped(|p| {
        p.content.slices.remove(0);
        p.content.shaping[0].classes.remove(0);
        // iot gets VLAN 120
        p.content.slices[0].circuits[0] = circuit("city", "access0", Some(120));
    });
    without.generation = Generation::new(2);
    rig.run(without);
    let leaked = rig.wait(Nanos(u64::MAX)).iter().filter(|(_, (p, o))| *p == ACCESS0 && o[14..16] == [0, 120]).count();
    assert_eq!(leaked, 0);
}

/// Slice embb goes, and the other one has all of the port.
pub(crate) fn without_embb() -> Program {
    let mut without = shaped(|p| {
        p.content.slices.remove(0);
        p.content.shaping[0].classes.remove(0);
        p.content.shaping[0].classes[0].limits = rates(10 * MBIT, 10 * MBIT);
    });
    without.generation = Generation::new(2);
    without
}

/// Long after its last frame nothing holds a slice up that goes, and another may have all of the port.
#[test]
fn a_slice_that_is_idle_goes_at_once() {
    let mut rig = rig(|_| {});
    let frames: Vec<_> = (0..60).map(|number| numbered(number, 0)).collect();
    leave(&mut rig, &frames);
    rig.now.0 += 20_000_000_000;
    rig.run(without_embb());
    for _ in 0..20 {
        rig.now.0 += 100_000_000;
        rig.tick();
        while !rig.pipeline.reshape(rig.now) {}
    }
    assert_eq!(rig.reading().ports[2].guaranteed, Rate::from_bits_per_second(10 * MBIT));
}
