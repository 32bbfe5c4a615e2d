//! Devices on two edges: who reaches whom, and what is counted.

use std::collections::BTreeMap;

use api::v1::{self, ReadKind};
use mec_edge::ports::RingPeer;

use crate::bytes::{arp_request, tagged, udp};
use crate::manager::{Attached, FakeManager};
use crate::world::{
    BACK_END, Cable, Device, HEAD_END, HEALTH, METER, METERING, MONITOR, Side, VLAN, World, frame_from, program, until,
};

const BROADCAST: model::Mac = model::Mac([0xff; 6]);
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;

/// Both edges with both segments, wired and resolved.
pub(crate) struct Network {
    pub(crate) world: World,
    _manager: FakeManager,
    pub(crate) edges: [mec_edge::RunningEdge; 2],
    pub(crate) access: [RingPeer; 2],
    pub(crate) streams: [Attached; 2],
    cable: Cable,
}

impl Network {
    pub(crate) async fn raise() -> Self {
        let world = World::new();
        let mut manager = FakeManager::start(&world.authority).await;
        let a = world.start(Side::A, Some(&manager)).await;
        let mut stream_a = manager.attached().await;
        let b = world.start(Side::B, Some(&manager)).await;
        let mut stream_b = manager.attached().await;
        assert_eq!((stream_a.hello.edge.as_str(), stream_b.hello.edge.as_str()), ("edge-a", "edge-b"));
        for (stream, side) in [(&mut stream_a, Side::A), (&mut stream_b, Side::B)] {
            // Nothing was ever applied.
            assert_eq!(stream.realised().await, v1::Realised::default());
            let realised = stream.run(&program(side, 1, &[METERING, HEALTH])).await;
            assert_eq!(realised.segments.len(), 2);
            for (segment, wanted) in realised.segments.iter().zip([METERING, HEALTH]) {
                assert_eq!((segment.segment.as_str(), segment.vni), (wanted.name, wanted.vni));
                assert_eq!((segment.aaa(), segment.aaa_reason.as_str()), (v1::AaaState::Ready, ""));
            }
        }
        let cable = Cable::between(a.core, b.core);
        // One has answered the other's neighbour solicitation, ICMPv6 136 (RFC 4861), and was told by it whom it answers.
        let answer = |frame: &[u8]| frame[12..14] == [0x86, 0xdd] && frame[54] == 136;
        until("neighbours", || cable.count(answer) > 0).await;
        let streams = [stream_a, stream_b];
        let access = [a.access, b.access];
        let mut network = Self { world, _manager: manager, edges: [a.running, b.running], access, streams, cable };
        network.settle().await;
        network
    }

    pub(crate) async fn admit_all(&mut self) -> Vec<Vec<u8>> {
        let mut classes = Vec::new();
        let all = [
            (Side::A, METERING, METER),
            (Side::B, METERING, HEAD_END),
            (Side::A, HEALTH, MONITOR),
            (Side::B, HEALTH, BACK_END),
        ];
        for (number, (side, segment, device)) in (1..).zip(all) {
            classes.push(self.world.admit(side, segment, device, number).await);
        }
        classes
    }

    /// Whatever was in a ring is done with: a worker takes the ports in turn, and answers in between. Two answers of each
    /// edge, and of the other, and again, for what went over the cable.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..3 {
            for stream in &mut self.streams {
                stream.read(ReadKind::Meters).await;
                stream.read(ReadKind::Meters).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Nothing more comes out of either access port.
    async fn silent(&mut self) -> bool {
        self.settle().await;
        let mut frame = Vec::new();
        !self.access[0].receive(&mut frame) && !self.access[1].receive(&mut frame)
    }

    async fn drops(&mut self, side: Side) -> BTreeMap<(String, String, String), u64> {
        self.settle().await;
        let reading = self.streams[side as usize].read(ReadKind::Drops).await;
        let rows = reading.drops.into_iter();
        rows.map(|row| ((row.port, row.segment, row.reason), row.packets)).collect()
    }
}

fn row(port: &str, segment: &str, reason: &str) -> (String, String, String) {
    (port.to_owned(), segment.to_owned(), reason.to_owned())
}

pub(crate) fn message(from: Device, to: Device, text: &[u8]) -> Vec<u8> {
    tagged(to.mac, from.mac, VLAN, IPV4, &udp(from.address, to.address, text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authenticated_devices_of_a_segment_reach_each_other_and_nobody_else() {
    let mut network = Network::raise().await;
    // Before anybody is authenticated.
    for _ in 0..3 {
        assert!(network.access[0].send(&message(METER, HEAD_END, b"early")));
    }
    assert!(network.silent().await);
    assert_eq!(network.drops(Side::A).await, [(row("access0", "", "unauthenticated"), 3)].into());

    network.admit_all().await;
    // ARP: the question reaches the one who has the address, as a frame of its own.
    let question = |to| tagged(to, METER.mac, VLAN, ARP, &arp_request((METER.mac, METER.address), HEAD_END.address));
    network.access[0].send(&question(BROADCAST));
    assert_eq!(frame_from(&mut network.access[1]).await, question(HEAD_END.mac));
    // Both ways, octet for octet.
    for _ in 0..10 {
        let there = message(METER, HEAD_END, b"a reading");
        network.access[0].send(&there);
        assert_eq!(frame_from(&mut network.access[1]).await, there);
        let back = message(HEAD_END, METER, b"thanks");
        network.access[1].send(&back);
        assert_eq!(frame_from(&mut network.access[0]).await, back);
    }
    // In the segment's own tunnel: VXLAN (RFC 7348) with its VNI, 14 + 40 + 8 octets into the frame.
    let in_tunnel = |vni: u32| {
        move |frame: &[u8]| {
            frame.len() > 70 && frame[56..58] == 4789_u16.to_be_bytes() && frame[66..69] == vni.to_be_bytes()[1..]
        }
    };
    assert_eq!(network.cable.count(in_tunnel(METERING.vni)), 21);
    assert_eq!(network.cable.count(in_tunnel(HEALTH.vni)), 0);

    // Across segments, on one edge and between two; and with an address that is not the session's.
    network.access[0].send(&message(METER, MONITOR, b"lateral"));
    network.access[0].send(&message(METER, BACK_END, b"lateral"));
    network.access[0].send(&message(Device { address: MONITOR.address, ..METER }, HEAD_END, b"forged"));
    assert!(network.silent().await);
    let at_a = [
        (row("access0", "", "unauthenticated"), 3),
        (row("access0", "metering", "cross-segment"), 1),
        (row("access0", "metering", "source-address"), 1),
    ];
    assert_eq!(network.drops(Side::A).await, at_a.into());
    let at_b = network.drops(Side::B).await;
    assert_eq!(at_b, [(row("core0", "metering", "cross-segment"), 1)].into());

    // What the meters let pass: 1 question, 10 readings of 51 octets untagged, and one attempt that died at edge-b.
    let meters = network.streams[0].read(ReadKind::Meters).await.meters;
    let meter = |segment: &str, direction: &str| {
        let found: Vec<_> = meters.iter().filter(|m| m.segment == segment && m.direction == direction).collect();
        assert_eq!(found.len(), 1, "{segment} {direction}");
        (found[0].ceiling_bits_per_second, found[0].passed_packets, found[0].passed_octets, found[0].dropped_packets)
    };
    let from = 42 + 10 * (14 + 28 + 9) + (14 + 28 + 7);
    assert_eq!(meter("metering", "from-access"), (50_000_000, 12, from, 0));
    assert_eq!(meter("", "from-access"), (100_000_000, 12, from, 0));
    assert_eq!(meter("metering", "to-access"), (50_000_000, 10, 10 * (14 + 28 + 6), 0));
    assert_eq!(meter("health", "from-access"), (50_000_000, 0, 0, 0));

    let sessions = network.streams[0].read(ReadKind::Sessions).await.sessions;
    let [monitor, meter] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((monitor.identity.as_str(), monitor.segment.as_str(), monitor.octets_from), ("monitor", "health", 0));
    assert_eq!((meter.identity.as_str(), meter.segment.as_str()), ("meter", "metering"));
    assert_eq!((meter.octets_from, meter.octets_to), (from, 10 * (14 + 28 + 6)));
    assert_eq!((meter.mac.as_str(), meter.client.as_str()), ("02:00:00:00:00:01", "switch"));
    assert_eq!(meter.addresses, ["10.20.0.1"]);
    for edge in network.edges {
        edge.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_is_cut_off_at_once_and_the_rest_goes_on() {
    let mut network = Network::raise().await;
    let classes = network.admit_all().await;
    let world = &network.world;
    world.account(Side::A, METERING, METER, 1, &classes[0]).await;
    world.account(Side::A, METERING, METER, 2, &classes[0]).await;
    network.access[0].send(&message(METER, HEAD_END, b"late"));
    assert!(network.silent().await);
    assert_eq!(network.streams[0].drops("unauthenticated").await, 1);
    network.access[0].send(&message(MONITOR, BACK_END, b"beat"));
    assert_eq!(frame_from(&mut network.access[1]).await, message(MONITOR, BACK_END, b"beat"));

    // The segment goes from edge-a, with its sessions and its AAA; the other one is not disturbed.
    let realised = network.streams[0].run(&program(Side::A, 2, &[HEALTH])).await;
    assert_eq!(realised.segments.iter().map(|s| s.segment.as_str()).collect::<Vec<_>>(), ["health"]);
    let sessions = network.streams[0].read(ReadKind::Sessions).await.sessions;
    assert_eq!(sessions.iter().map(|s| s.identity.as_str()).collect::<Vec<_>>(), ["monitor"]);
    let socket = (network.world.aaa(Side::A), METERING.access_port);
    std::net::UdpSocket::bind(socket).expect("the port of an AAA that has gone is free");
    network.access[0].send(&message(MONITOR, BACK_END, b"beat"));
    assert_eq!(frame_from(&mut network.access[1]).await, message(MONITOR, BACK_END, b"beat"));

    // And comes back: without its sessions.
    network.streams[0].run(&program(Side::A, 3, &[METERING, HEALTH])).await;
    network.access[0].send(&message(METER, HEAD_END, b"again"));
    assert!(network.silent().await);
    assert_eq!(network.streams[0].drops("unauthenticated").await, 2);
    network.world.admit(Side::A, METERING, METER, 9).await;
    network.access[0].send(&message(METER, HEAD_END, b"again"));
    assert_eq!(frame_from(&mut network.access[1]).await, message(METER, HEAD_END, b"again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_proved_is_not_bound() {
    let mut network = Network::raise().await;
    let world = &network.world;
    let wrong = world.access(Side::A, METERING, METER, "another password", 1).await;
    assert_eq!(wrong.code, aaa_wire::Code::ACCESS_REJECT);
    // The health segment's AAA does not know the meter.
    let foreign = world.access(Side::A, HEALTH, METER, "meter's password", 2).await;
    assert_eq!(foreign.code, aaa_wire::Code::ACCESS_REJECT);
    network.access[0].send(&message(METER, HEAD_END, b"hello"));
    assert!(network.silent().await);
    assert_eq!(network.streams[0].drops("unauthenticated").await, 1);
    assert_eq!(network.streams[0].read(ReadKind::Sessions).await.sessions, []);
}
