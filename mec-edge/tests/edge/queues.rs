//! What an edge tells of its queues: a slice with a slow way out, and more to send than that.

use api::v1::{self, ReadKind};
use model::profile::QueueClass;
use model::program::{PortShaping, Program, QueueProgram, SliceClass};
use model::{ClassNumber, Rate, RateLimits, Weight};

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

const CEILING: u64 = 10_000;
const FRAME_OCTETS: u32 = 14 + 28 + 958;
const FRAMES: u64 = 100;
