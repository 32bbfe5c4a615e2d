//! What schedulers run, read back: as it was set, as it changes, and while something holds the change up.

use model::profile::QueueClass;
use model::program::AccessPort;
use model::{Generation, Rate, Weight};
use transport_dataplane::{Nanos, PortIndex, TreePlace, TreeReading, TreeSegment};

use crate::changes::without_embb;
use crate::queues::{MBIT, class, numbered, queue, rates, rig, shaped};
use crate::rig::*;

/// The parts of a tree, one after the other.
fn parts(rig: &Rig, port: PortIndex) -> Vec<TreeReading> {
    let mut parts = vec![rig.pipeline.read_tree(port, TreePlace::default()).unwrap()];
    while let Some(next) = parts.last().unwrap().next {
        parts.push(rig.pipeline.read_tree(port, next).unwrap());
    }
    parts
}

/// A line for each slice and segment, with its guarantee, ceiling and weight, and what else there is to say.
fn told(rig: &Rig, port: PortIndex) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts(rig, port) {
        for slice in part.slices {
            let name = slice.name.map_or_else(|| format!("slice {}", slice.number), |name| name.to_string());
            let (sure, most) = (slice.runs.guaranteed.bits_per_second(), slice.runs.ceiling.bits_per_second());
            lines.push(format!("{name} {sure} {most} {}", slice.runs.weight));
        }
        for segment in part.segments {
            let name = segment.id.map_or_else(|| format!("segment {}", segment.number), |id| id.to_string());
            let runs = segment.runs.runs;
            let (sure, most) = (runs.guaranteed.bits_per_second(), runs.ceiling.bits_per_second());
            let low = segment.runs.low_latency.bits_per_second();
            let leaves = if segment.runs.is_leaving { " leaves" } else { "" };
            lines.push(format!("{name} {sure} {most} {}, low latency {low}{leaves}", runs.weight));
        }
    }
    lines
}

#[test]
fn what_is_set_reads_back_to_the_bit() {
    let mut rig = Rig::with(shaped(|p| {
        // What no whole number of nanoseconds or octets comes to.
        p.content.shaping[0].classes[1].limits = rates(499_999, 2_000_003);
        p.content.shaping[0].classes[1].weight = Weight::new(7).unwrap();
        let iot = &mut p.content.slices[1];
        iot.queue = QueueClass::LowLatency;
        iot.segments[0].limits = rates(600_001, 3_000_001);
        iot.segments[1].limits = rates(400_000, 20 * MBIT);
        iot.segments[1].weight = Weight::new(9).unwrap();
    }));
    assert_eq!(parts(&rig, CORE0)[0].rate, Rate::from_bits_per_second(10 * MBIT));
    // Of 499,999 that are booked, segments that are promised 1,000,001 together have their parts, rounded down.
    let expected = [
        "slice 0 0 10000000 1",
        "embb 500000 1000000 1",
        "iot 499999 2000003 7",
        "segment 0 0 10000000 1, low latency 0",
        "embb/office 500000 1000000 1, low latency 0",
        "iot/alone 0 10000000 1, low latency 0",
        "iot/health 199999 10000000 9, low latency 199999",
        "iot/metering 299999 3000001 1, low latency 299999",
    ];
    assert_eq!(told(&rig, CORE0), expected);
    // At access ports a slice has as much as its SDPs there; one is told of no link and may be as fast as any.
    assert_eq!(parts(&rig, ACCESS0)[0].rate, Rate::from_bits_per_second(1_000_000_000_000));
    assert_eq!(told(&rig, ACCESS0)[1..3], ["embb 0 1000000000 1", "iot 0 1000000000 1"]);

    let mut program = shaped(|p| p.content.shaping[0].classes[0].limits = rates(333_333, 777_777));
    program.generation = Generation::new(2);
    rig.run(program);
    let now = told(&rig, CORE0);
    assert_eq!(now[1..3], ["embb 333333 777777 1", "iot 500000 2000000 1"]);
    assert_eq!(now[4], "embb/office 333333 1000000 1, low latency 0");
    assert_eq!(now[7], "iot/metering 0 10000000 1, low latency 0");
    assert!(rig.pipeline.read_tree(PortIndex(7), TreePlace::default()).is_none());
}

/// Frames of a segment that goes wait: it is still there, without a name, and so is its slice, until they have left.
#[test]
fn a_change_that_is_held_up_reads_as_what_runs() {
    let mut rig = rig(|_| {});
    let frames: Vec<_> = (0..40).map(|number| numbered(number, 0)).collect();
    rig.put(ACCESS0, &frames);
    rig.run(without_embb());
    let held = told(&rig, CORE0);
    let office = "segment 1 500000 1000000 1, low latency 0 leaves";
    // The slice that grows has its ceiling, and not yet the guarantee that the other one still has.
    assert_eq!(
        held[..5],
        ["slice 0 0 10000000 1", "slice 1 500000 1000000 1", "iot 500000 10000000 1", held[3].as_str(), office]
    );
    rig.wait(Nanos(u64::MAX));
    for _ in 0..20 {
        rig.now.0 += 100_000_000;
        rig.tick();
        while !rig.pipeline.reshape(rig.now) {}
    }
    assert_eq!(told(&rig, CORE0)[..3], ["slice 0 0 10000000 1", "iot 10000000 10000000 1", held[3].as_str()]);
}

/// More segments than are looked at between two bursts: read in parts, and in the middle of a change each as before or as asked.
#[test]
fn a_change_that_is_under_way_reads_as_what_runs() {
    let with = |generation, ceiling| {
        let mut program = shaped(|p| {
            let segment = |number: u64| {
                let mut segment = segment("embb", &format!("s{number}"), 10_000 + number, vec![]);
                segment.limits = rates(0, ceiling);
                segment
            };
            p.content.slices[0].segments = (0..2_500).map(segment).collect();
        });
        program.generation = Generation::new(generation);
        program
    };
    let mut rig = Rig::with(with(1, MBIT));
    assert_eq!(parts(&rig, CORE0).iter().map(|part| part.segments.len()).collect::<Vec<_>>(), [997, 1_000, 507]);
    let ceilings = |rig: &Rig| {
        let segments = parts(rig, CORE0).into_iter().flat_map(|part| part.segments);
        let named =
            segments.filter(|segment: &TreeSegment| segment.id.as_ref().is_some_and(|id| id.slice.as_str() == "embb"));
        let ceilings: Vec<_> = named.map(|segment| segment.runs.runs.ceiling.bits_per_second()).collect();
        assert_eq!(ceilings.len(), 2_500);
        ceilings.into_iter().filter(|ceiling| *ceiling == 2 * MBIT).count()
    };
    let tables = rig.compiler.compile(&with(2, 2 * MBIT), rig.now).unwrap();
    rig.pipeline.swap(tables);
    let (mut grown, mut seen) = (ceilings(&rig), Vec::new());
    assert_eq!(grown, 0, "nothing is done yet");
    while !rig.pipeline.reshape(rig.now) {
        assert!(ceilings(&rig) >= grown);
        grown = ceilings(&rig);
        seen.push(grown);
    }
    assert!(seen.iter().any(|grown| (1..2_500).contains(grown)), "{seen:?}");
    assert_eq!(ceilings(&rig), 2_500);
}

/// From when it is asked for, how long frames stay is told of a segment's own queues, and not of its neighbours'. One too many, and
/// the one that was asked for longest ago is given up.
#[test]
fn a_segment_is_watched_when_it_is_asked_for() {
    let mut rig = rig(|p| {
        let more = (0..64).map(|number| segment("embb", &format!("s{number}"), 10_000 + number, vec![]));
        p.content.slices[0].segments.extend(more);
    });
    let office = |rig: &mut Rig| {
        rig.put(ACCESS0, &[numbered(0, 0)]);
        rig.wait(Nanos(u64::MAX));
        let queues = rig.pipeline.read_queues(CORE0).unwrap().queues;
        let office = queues.into_iter().find(|queue| queue.segment.as_deref() == Some(&id("embb", "office"))).unwrap();
        office.sojourns.map(|sojourns| sojourns.iter().map(|(_, frames)| frames).sum::<u64>())
    };
    assert_eq!(office(&mut rig), None);
    assert!(rig.pipeline.watch(&id("embb", "office")));
    assert!(!rig.pipeline.watch(&id("embb", "nobody")));
    assert_eq!((office(&mut rig), office(&mut rig)), (Some(1), Some(2)));
    assert!((0..63).all(|number| rig.pipeline.watch(&id("embb", &format!("s{number}")))));
    assert_eq!(office(&mut rig), Some(3));
    assert!(rig.pipeline.watch(&id("embb", "s63")));
    assert_eq!(office(&mut rig), None);
}

/// The link of an access port is 1 Mbit/s: what comes for its devices leaves no faster, with what a frame takes beside its octets
/// (24). Two slices that may each have more share it.
#[test]
fn an_access_port_is_no_faster_than_its_link() {
    let mut rig = Rig::with(shaped(|p| {
        p.content.access_ports =
            vec![AccessPort { port: "access0".parse().unwrap(), rate: Rate::from_bits_per_second(MBIT) }];
        p.content.slices[0].segments[0].limits = limits(100 * MBIT);
        p.content.queues = QueueClass::ALL.map(queue).to_vec();
    }));
    rig.introduce_router();
    rig.admit_open("embb", "office", device(1));
    assert_eq!(rig.reading().ports[0].rate, Rate::from_bits_per_second(MBIT));
    assert_eq!(told(&rig, ACCESS0)[1], "embb 0 1000000 1");
    let down = in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), &[77; 958]));
    rig.put(CORE0, &vec![down; 40]);
    let left = rig.wait(Nanos(u64::MAX));
    assert!(left.iter().all(|(_, (port, _))| *port == ACCESS0));
    let octets = left[0].1.1.len() as u64 + 24;
    let (took, exact) = (left[left.len() - 1].0.0 - left[left.len() - 21].0.0, 20 * octets * 8_000);
    assert!(took.abs_diff(exact) <= octets * 8_000, "{took} instead of {exact}");

    // What is guaranteed there must fit.
    let mut program = shaped(|p| {
        p.content.access_ports =
            vec![AccessPort { port: "access0".parse().unwrap(), rate: Rate::from_bits_per_second(999) }];
        p.content.shaping[0].classes = vec![class("embb", 3, rates(0, MBIT))];
        p.content.slices[0].limits = rates(600, MBIT);
        p.content.slices[1].limits = rates(400, MBIT);
    });
    program.generation = Generation::new(2);
    let refused = rig.compiler.compile(&program, rig.now).unwrap_err().to_string();
    assert_eq!(refused, "slices are guaranteed 1 kbit/s on port access0, which carries 999 bit/s");
    program.content.slices[0].limits = rates(599, MBIT);
    rig.run(program);
    assert_eq!(rig.reading().ports[0].rate, Rate::from_bits_per_second(999));
}
