//! What an edge tells of its queues: a slice with a slow way out, and more to send than that.

use api::v1::{self, ReadKind};
use model::profile::QueueClass;
use model::program::{AccessPort, PortShaping, Program, QueueProgram, SliceClass};
use model::{ClassNumber, Generation, Rate, RateLimits, Weight};

use crate::forwarding::{Network, message};
use crate::world::{HEAD_END, HEALTH, METER, METERING, Side, program};

/// A link of 1 Mbit/s, of which the slice has 5 kbit/s for sure and 10 kbit/s at most: a frame takes 0.8 s.
pub(crate) fn shaped() -> Program {
    let mut program = program(Side::A, 2, &[METERING, HEALTH]);
    let (slice, number) = ("iot".parse().unwrap(), ClassNumber::new(3).unwrap());
    let class = SliceClass { number, slice, limits: rates(5_000, CEILING), weight: Weight::MIN, vnis: Vec::new() };
    let rate = Rate::from_bits_per_second(1_000_000);
    program.content.shaping = vec![PortShaping { port: "core0".parse().unwrap(), rate, classes: vec![class] }];
    let queue = |queue| QueueProgram {
        queue,
        weight: Weight::MIN,
        octets_max: 50 * FRAME_OCTETS,
        time_max_nanos: 1_000_000_000_000,
        codel: None,
    };
    program.content.queues = QueueClass::ALL.map(queue).to_vec();
    for segment in &mut program.content.slices[0].segments {
        segment.limits = rates(1_000, CEILING);
    }
    program
}

fn rates(guaranteed: u64, ceiling: u64) -> RateLimits {
    RateLimits::new(Rate::from_bits_per_second(guaranteed), Rate::from_bits_per_second(ceiling)).unwrap()
}

/// Of all queues at the port towards the underlay, that of the segment and that of its slice.
fn at_core(reading: &v1::Reading) -> [&v1::QueueCounter; 2] {
    let queues: Vec<_> = reading.queues.iter().filter(|queue| queue.port == "core0" && queue.slice == "iot").collect();
    let [slice, segment] = queues[..] else { panic!("{queues:?}") };
    assert_eq!([slice.segment.as_str(), segment.segment.as_str()], ["", "metering"]);
    assert!(queues.iter().all(|queue| queue.class == "best-effort" && queue.edge == "edge-a"));
    [slice, segment]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_told_queue_by_queue_and_the_ceiling_holds_between_two_readings() {
    let mut network = Network::raise().await;
    network.streams[0].run(&shaped()).await;
    network.admit_all().await;
    for _ in 0..FRAMES {
        assert!(network.access[0].send(&message(METER, HEAD_END, &[0; 958])));
    }
    network.settle().await;
    let first = network.streams[0].read(ReadKind::Queues).await;
    let [slice, segment] = at_core(&first);
    // The segment is the only one that sends, so its slice says the same; but how long frames stayed is told of slices.
    assert!(segment.sojourns.is_none());
    assert_eq!(
        v1::QueueCounter { segment: String::new(), sojourns: slice.sojourns.clone(), ..segment.clone() },
        *slice
    );
    let octets = u64::from(FRAME_OCTETS);
    let dropped: u64 = segment.dropped.iter().map(|drop| drop.frames).sum();
    assert_eq!(segment.sent_frames + segment.waiting_frames + dropped, FRAMES);
    assert_eq!(
        [segment.waiting_octets, segment.sent_octets],
        [segment.waiting_frames, segment.sent_frames].map(|n| n * octets)
    );
    // The queue holds 50 frames at most, and what was sent meanwhile made room.
    assert_eq!(segment.dropped.iter().map(|drop| drop.reason.as_str()).collect::<Vec<_>>(), ["queue-octets"]);
    assert!((1..=50).contains(&segment.waiting_frames), "{segment:?}");
    let stayed: u64 = slice.sojourns.iter().flat_map(|sojourns| &sojourns.buckets).map(|bucket| bucket.frames).sum();
    assert_eq!(stayed, slice.sent_frames);
    assert_eq!(network.streams[0].drops("queue-octets").await, dropped);

    let second = network.streams[0].read(ReadKind::Queues).await;
    let port = |reading: &v1::Reading| {
        let ports: Vec<_> = reading.ports.iter().map(|port| port.port.as_str()).collect();
        assert_eq!(ports, ["access0", "core0"]);
        reading.ports[1].clone()
    };
    let (before, after) = (port(&first), port(&second));
    assert_eq!((after.rate_bits_per_second, after.guaranteed_bits_per_second), (Some(1_000_000), 5_000));
    assert_eq!(first.ports[0].rate_bits_per_second, None, "nothing is said of the link to devices");
    assert_eq!(before.waiting_frames, segment.waiting_frames);
    let sent = at_core(&second)[1].sent_octets - segment.sent_octets;
    let nanoseconds = after.read_at_nanoseconds - before.read_at_nanoseconds;
    // Two frames at once after a silence, and one that has begun.
    let most = CEILING * nanoseconds / 8_000_000_000 + 3 * (1_400 + 14);
    assert!(sent <= most, "{sent} octets in {nanoseconds} ns");

    // One circuit and one way out: the tree holds the ceilings, and the meters say that they drop nothing.
    let meters = network.streams[0].read(ReadKind::Meters).await.meters;
    assert!(meters.iter().all(|meter| meter.excess() == v1::Excess::Waits && meter.dropped_packets == 0));
    for edge in network.edges {
        edge.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_asked_for_tells_how_long_its_frames_stay_from_then_on() {
    let mut network = Network::raise().await;
    network.streams[0].run(&shaped()).await;
    network.admit_all().await;
    let read = |segment: &str| v1::Read {
        kind: ReadKind::Queues.into(),
        watch_slice: "iot".to_owned(),
        watch_segment: segment.to_owned(),
        ..v1::Read::default()
    };
    let send = async |network: &mut Network| {
        assert!(network.access[0].send(&message(METER, HEAD_END, &[0; 958])));
        network.settle().await;
    };
    send(&mut network).await;
    let first = network.streams[0].ask(read("metering")).await;
    let [slice, segment] = at_core(&first);
    // Nothing is told of what had left before.
    assert_eq!((segment.sent_frames, segment.sojourns.as_ref().map(|stays| stays.buckets.len())), (1, Some(0)));
    assert_eq!(stays(slice), 1);
    send(&mut network).await;
    // A frame takes 0.8 s.
    let mut second = network.streams[0].read(ReadKind::Queues).await;
    for _ in 0..LOOKS {
        if at_core(&second)[1].waiting_frames == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        second = network.streams[0].read(ReadKind::Queues).await;
    }
    let [slice, segment] = at_core(&second);
    assert_eq!((stays(slice), stays(segment)), (2, 1));
    // Of one that is not here, and of what is no name.
    assert_eq!(network.streams[0].ask(read("nobody")).await.problem, "");
    let problem = network.streams[0].ask(read("No Name")).await.problem;
    assert!(problem.starts_with("watchSegment: "), "{problem}");
    for edge in network.edges {
        edge.shutdown().await;
    }
}

fn stays(queue: &v1::QueueCounter) -> u64 {
    queue.sojourns.iter().flat_map(|sojourns| &sojourns.buckets).map(|bucket| bucket.frames).sum()
}

/// What a class or a segment is held to, in a line.
fn held(name: &str, limits: Option<v1::RateLimits>, weight: u32) -> String {
    let limits = limits.unwrap();
    format!("{name} {} {} {weight}", limits.guaranteed_bits_per_second, limits.ceiling_bits_per_second)
}

/// The rate of a port, its slices, and its segments, as they run.
async fn shares(network: &mut Network, port: &str) -> Vec<String> {
    let running = network.streams[0].read(ReadKind::Running).await;
    let shaping: Vec<_> = running.shaping.into_iter().filter(|shaping| shaping.port == port).collect();
    let [shaping] = &shaping[..] else { panic!("{shaping:?}") };
    let whole = format!("{port} {}", shaping.rate_bits_per_second);
    let classes = shaping.classes.iter().map(|class| {
        let name = if class.slice.is_empty() { format!("slice {}", class.number) } else { class.slice.clone() };
        held(&name, class.limits, class.weight.unwrap())
    });
    let segments = running.shares.iter().filter(|share| share.port == port).map(|share| {
        let named = format!("{}/{}", share.slice, share.segment);
        let name = if share.segment.is_empty() { format!("segment {}", share.number) } else { named };
        held(&name, share.limits, share.weight) + if share.leaving { " leaves" } else { "" }
    });
    std::iter::once(whole).chain(classes).chain(segments).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_tell_what_they_run_before_and_after_a_change_and_while_it_is_held_up() {
    let mut network = Network::raise().await;
    let mut program = shaped();
    let access = |bits| AccessPort { port: "access0".parse().unwrap(), rate: Rate::from_bits_per_second(bits) };
    program.content.access_ports = vec![access(50_000_001)];
    network.streams[0].run(&program).await;
    let [rest, segment] = ["slice 0 0 1000000 1", "segment 0 0 1000000 1"];
    let [health, metering] = ["iot/health 1000 10000 1", "iot/metering 1000 10000 1"];
    assert_eq!(
        shares(&mut network, "core0").await,
        ["core0 1000000", rest, "iot 5000 10000 1", segment, health, metering]
    );
    // One SDP, whose limits are 10 and 100 Mbit/s; the port carries half of that.
    let access0 = shares(&mut network, "access0").await;
    assert_eq!(access0[..3], ["access0 50000001", "slice 0 0 50000001 1", "iot 10000000 50000001 1"]);
    let ports = network.streams[0].read(ReadKind::Queues).await.ports;
    assert_eq!(ports[0].rate_bits_per_second, Some(50_000_001));

    network.admit_all().await;
    for _ in 0..FRAMES {
        assert!(network.access[0].send(&message(METER, HEAD_END, &[0; 958])));
    }
    network.settle().await;
    // The segment whose frames wait goes, and its slice has other limits.
    let mut other = shaped();
    other.generation = Generation::new(3);
    other.content.slices[0].segments.retain(|segment| segment.id.segment.as_str() == "health");
    other.content.shaping[0].classes[0].limits = rates(6_001, CEILING + 1);
    other.content.shaping[0].classes[0].weight = Weight::new(7).unwrap();
    network.streams[0].run(&other).await;
    let gone = "segment 2 1000 10000 1 leaves";
    assert_eq!(shares(&mut network, "core0").await, ["core0 1000000", rest, "iot 6001 10001 7", segment, health, gone]);
    assert_eq!(network.streams[0].read(ReadKind::Queues).await.ports[0].rate_bits_per_second, None);
    for edge in network.edges {
        edge.shutdown().await;
    }
}

const CEILING: u64 = 10_000;
const FRAME_OCTETS: u32 = 14 + 28 + 958;
const FRAMES: u64 = 100;
/// 10 s.
const LOOKS: u32 = 500;
