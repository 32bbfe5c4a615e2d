//! Every reason to drop a packet, provoked.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use model::profile::QueueClass;
use model::{Generation, Mac};
use transport_dataplane::{Binding, Burst, DropReason, FLOOD_COPIES_MAX, FramePool, OUTPUT_FRAMES_MAX, PortIndex};

use crate::frames;
use crate::queues::queue;
use crate::rig::*;

/// A world in which devices 1 (metering), 2 (health) and 3 (metering, on the other circuit) have sessions and have spoken;
/// devices 5, bound to no address, and 6, bound to an IPv6 address, have sessions in metering, too.
fn world() -> Rig {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    rig.admit("iot", "health", device(2));
    rig.admit("iot", "metering", device(3));
    rig.admit("iot", "alone", device(4));
    rig.admit_open("iot", "metering", device(5));
    let six = rig.binding("iot", "metering", device(6).mac);
    rig.pipeline.bind(&Binding { ipv6: Some(device(6).ipv6), ..six }).unwrap();
    rig.put(ACCESS0, &[1, 2, 4].map(|number| from_city(device(number), device(9), b"x")));
    rig.put(ACCESS1, &[frame(None, device(3), device(9), b"x")]);
    rig
}

/// What was dropped in the making of that world: device 4 is alone.
const WORLD: (DropReason, u64) = (DropReason::NoDestination, 1);

fn tagged(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    frames::ethernet(to, from, Some(110), ethertype, payload)
}

/// An ARP answer by which somebody says to be device `number`.
fn arp_of(number: u8, by: Mac) -> Vec<u8> {
    frames::arp(2, (by, device(number).ipv4), (device(9).mac, device(9).ipv4))
}

/// An ICMPv6 message of a device to everybody.
fn icmpv6_of(number: u8, message: &[u8]) -> Vec<u8> {
    let from = device(number);
    let packet = frames::icmpv6(from.ipv6, ALL_NODES, 255, message.to_vec());
    tagged(Mac([0x33, 0x33, 0, 0, 0, 1]), from.mac, 0x86dd, &packet)
}

/// An ICMPv6 message of a device to everybody, as the first of several fragments (RFC 8200, section 4.5).
fn fragment_of(number: u8, message: &[u8]) -> Vec<u8> {
    let from = device(number);
    let packet = frames::ipv6(from.ipv6, ALL_NODES, 0, 44, 255, &[&[58, 0, 0, 1, 0, 0, 0, 7][..], message].concat());
    tagged(Mac([0x33, 0x33, 0, 0, 0, 1]), from.mac, 0x86dd, &packet)
}

/// The packet to another IPv6 address, without UDP checksum.
fn to_address(mut octets: Vec<u8>, to: Ipv6Addr) -> Vec<u8> {
    octets[38..54].copy_from_slice(&to.octets());
    octets[60..62].fill(0);
    octets
}

/// A neighbour advertisement by which somebody says to be device `number`.
fn advertisement_of(number: u8, by: Device, to: Device) -> Vec<u8> {
    let message = frames::neighbour(136, device(number).ipv6, Some(by.mac));
    frames::ethernet(to.mac, by.mac, None, 0x86dd, &frames::icmpv6(by.ipv6, to.ipv6, 255, message))
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A frame that is dropped for a reason, in that world.
struct Case(DropReason, PortIndex, Vec<u8>);

fn cases() -> Vec<Case> {
    use DropReason::*;
    let one = device(1);
    let inner = || frame(None, device(9), one, b"x");
    let with = |mut octets: Vec<u8>, at: usize, new: u8| {
        octets[at] = new;
        octets
    };
    let ecn = |class: u8, inner: &[u8]| {
        let (_, packet) =
            frames::datagram((EDGE_B, 50_000), (LOOPBACK_V6.into(), 4_789), class, &frames::vxlan(5_001, inner));
        frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &packet)
    };
    let tagged_twice = {
        let inner =
            frames::ethernet(device(9).mac, one.mac, Some(7), 0x0800, &frames::ipv4(one.ipv4, one.ipv4, 0, 59, &[]));
        frames::ethernet(device(9).mac, one.mac, Some(110), 0x8100, &inner[14..])
    };
    let tcp_to_us = frames::ipv6(ROUTER_V6, LOOPBACK_V6, 0, 6, 64, &[0; 20]);
    let elsewhere = frames::ipv6(ROUTER_V6, device(7).ipv6, 0, 59, 64, &[]);
    let labelled = |label: u32| {
        let payload = [&frames::label(label, 0, true, 64), &inner()[..]].concat();
        frames::ethernet(CORE_MAC, ROUTER, None, 0x8847, &payload)
    };
    let on_the_way =
        frames::ipv6(ROUTER_V6, LOOPBACK_V6, 0, 43, 64, &frames::srh(59, 1, &[device(7).ipv6, LOOPBACK_V6], &[]));
    let advertisement = [&[134, 0, 0, 0, 64, 0, 7, 8][..], &[0; 8]].concat();
    let advertisement = frames::icmpv6(device(9).ipv6, ALL_NODES, 255, advertisement);
    let advertised = frames::ethernet(Mac([0x33, 0x33, 0, 0, 0, 1]), device(9).mac, None, 0x86dd, &advertisement);
    let mut mangled = in_tunnel(EDGE_B, 5_001, &inner());
    *mangled.last_mut().unwrap() ^= 1;
    vec![
        Case(Malformed, ACCESS0, vec![0; 13]),
        Case(Malformed, ACCESS0, frames::ethernet(device(9).mac, one.mac, Some(110), 0x0800, &[0x45; 19])),
        Case(Malformed, CORE0, vec![0; 13]),
        Case(Malformed, CORE0, in_tunnel(EDGE_B, 5_001, &[0; 13])),
        Case(PortUnused, SPARE0, from_city(one, device(9), b"x")),
        Case(NoCircuit, ACCESS0, frame(Some(111), one, device(9), b"x")),
        Case(NoCircuit, ACCESS0, frame(None, one, device(9), b"x")),
        Case(SourceNotUnicast, ACCESS0, from_city(Device { mac: Mac([3, 0, 0, 0, 0, 1]), ..one }, device(9), b"x")),
        Case(SourceNotUnicast, ACCESS0, from_city(Device { mac: Mac([0; 6]), ..one }, device(9), b"x")),
        Case(
            SourceNotUnicast,
            CORE0,
            in_tunnel(EDGE_B, 5_001, &frame(None, Device { mac: Mac([3, 0, 0, 0, 0, 1]), ..one }, one, b"x")),
        ),
        Case(Unauthenticated, ACCESS0, from_city(device(77), device(9), b"x")),
        // A session of slice iot is none in slice embb.
        Case(Unauthenticated, ACCESS0, frame(Some(120), one, device(9), b"x")),
        Case(SourceAddress, ACCESS0, from_city(Device { ipv4: device(3).ipv4, ..one }, device(9), b"x")),
        // A device that is bound to nothing, and says that it has what device 3 is bound to; by IP, by ARP.
        Case(SourceAddress, ACCESS0, from_city(Device { ipv4: device(3).ipv4, ..device(5) }, device(9), b"x")),
        Case(SourceAddress, ACCESS0, tagged(frames::BROADCAST, device(5).mac, 0x0806, &arp_of(3, device(5).mac))),
        Case(OtherCircuit, ACCESS1, frame(None, one, device(9), b"x")),
        Case(NotIp, ACCESS0, tagged(device(9).mac, one.mac, 0x88b5, &[0; 46])),
        // IPv4 in LLC and SNAP (RFC 1042).
        Case(NotIp, ACCESS0, tagged(device(9).mac, one.mac, 20, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45, 0, 0, 20])),
        Case(RouterMessage, ACCESS0, icmpv6_of(5, &[&[134, 0, 0, 0, 64, 0, 7, 8][..], &[0; 8]].concat())),
        Case(RouterMessage, ACCESS0, icmpv6_of(5, &[137; 40])),
        Case(SourceAddress, ACCESS0, icmpv6_of(5, &frames::neighbour(136, device(6).ipv6, Some(device(5).mac)))),
        // The same with an octet behind the packet, which receivers take off.
        Case(
            SourceAddress,
            ACCESS0,
            [icmpv6_of(5, &frames::neighbour(136, device(6).ipv6, Some(device(5).mac))), vec![0]].concat(),
        ),
        // And in a first fragment.
        Case(Malformed, ACCESS0, fragment_of(5, &frames::neighbour(136, device(6).ipv6, Some(device(5).mac)))),
        Case(Malformed, ACCESS0, icmpv6_of(5, &frames::neighbour(136, device(6).ipv6, None)[..20])),
        // EAPOL (IEEE 802.1X) from one who has a session already.
        Case(
            LinkLocalGroup,
            ACCESS0,
            frames::ethernet(Mac([1, 0x80, 0xc2, 0, 0, 3]), one.mac, Some(110), 0x888e, &[1, 1, 0, 0]),
        ),
        Case(InnerTag, ACCESS0, tagged_twice),
        Case(InnerTag, CORE0, in_tunnel(EDGE_B, 5_001, &frame(Some(5), device(9), one, b"x"))),
        Case(TooBig, ACCESS0, from_city(one, device(9), &[0; 1_473])),
        Case(TooBig, CORE0, in_tunnel(EDGE_B, 5_001, &frame(None, device(9), one, &[0; 1_473]))),
        Case(CrossSegment, ACCESS0, from_city(one, device(2), b"x")),
        Case(CrossSegment, CORE0, in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(2), b"x"))),
        Case(Hairpin, ACCESS0, from_city(one, one, b"x")),
        Case(NoDestination, ACCESS0, from_city(device(4), device(9), b"x")),
        Case(NoDestination, CORE0, in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(8), b"x"))),
        Case(
            NotForUs,
            CORE0,
            frames::ethernet(
                Mac([2, 9, 9, 9, 9, 9]),
                ROUTER,
                None,
                0x86dd,
                &frames::ipv6(ROUTER_V6, CORE_V6, 0, 59, 64, &[]),
            ),
        ),
        Case(NotForUs, CORE0, frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &elsewhere)),
        // A loopback of the other family than the segment's tunnels.
        Case(UnknownRemote, CORE0, in_tunnel(EDGE_D, 5_001, &inner())),
        // An address of its own, but no loopback.
        Case(NotServed, CORE0, to_address(in_tunnel(EDGE_B, 5_001, &inner()), CORE_V6)),
        Case(NotServed, CORE0, frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &tcp_to_us)),
        Case(NotServed, CORE0, frames::ethernet(CORE_MAC, ROUTER, None, 0x88cc, &[0; 30])),
        Case(Checksum, CORE0, mangled),
        Case(Checksum, CORE0, with(in_tunnel(EDGE_D, 6_001, &inner()), 14 + 8, 63)),
        Case(UnknownVni, CORE0, in_tunnel(EDGE_B, 5_004, &inner())),
        Case(UnknownLabel, CORE0, labelled(120_001)),
        Case(ReservedLabel, CORE0, labelled(0)),
        // A path that should go on over this edge, which is no node on the way.
        Case(SegmentsLeft, CORE0, frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &on_the_way)),
        // Edge C is one of metering, not of health.
        Case(UnknownRemote, CORE0, in_tunnel(EDGE_C, 5_002, &frame(None, device(9), device(2), b"x"))),
        Case(SourceIsLocal, CORE0, in_tunnel(EDGE_B, 5_001, &frame(None, device(3), one, b"x"))),
        // Addresses of devices here, from strangers elsewhere: by IP, by ARP, by neighbour discovery.
        Case(
            SourceIsLocal,
            CORE0,
            in_tunnel(EDGE_B, 5_001, &frame(None, Device { ipv4: one.ipv4, ..device(9) }, device(3), b"x")),
        ),
        Case(
            SourceIsLocal,
            CORE0,
            in_tunnel(
                EDGE_B,
                5_001,
                &frames::ethernet(device(3).mac, device(9).mac, None, 0x0806, &arp_of(1, device(9).mac)),
            ),
        ),
        Case(SourceIsLocal, CORE0, in_tunnel(EDGE_B, 5_001, &advertisement_of(6, device(9), device(3)))),
        // Nobody in a segment is a router, wherever it is.
        Case(RouterMessage, CORE0, in_tunnel(EDGE_B, 5_001, &advertised)),
        // CE outside, Not-ECT inside.
        Case(Congestion, CORE0, ecn(3, &inner())),
    ]
}

#[test]
fn each_reason_is_provoked_counted_once_and_nothing_leaves() {
    let mut provoked = BTreeSet::new();
    for Case(reason, port, octets) in cases() {
        let mut rig = world();
        let (before, other_slice) = (rig.reading(), rig.counted("embb"));
        assert_eq!(rig.put(port, &[octets]), [], "{reason}");
        assert_eq!(rig.counted("embb"), other_slice, "{reason}");
        let after = rig.reading();
        let counted = |reason| after.ports[port.get()].drops.of(reason) - before.ports[port.get()].drops.of(reason);
        for other in DropReason::ALL {
            assert_eq!(counted(other), u64::from(other == reason), "{other} instead of {reason}");
        }
        provoked.insert(reason);
    }
    // Those that need a world of their own have a test each: below, or in `leaves`, `srv6`, `mpls` and `transit`.
    provoked.extend(APART);
    assert_eq!(provoked, BTreeSet::from(DropReason::ALL));
}

const APART: [DropReason; 25] = [
    // By `probing::a_flood_of_probes_is_not_answered_at_its_own_rate`.
    DropReason::ProbeRate,
    // By `routed::nobody_but_the_gateway_is_reached_by_its_frame`.
    DropReason::NotGateway,
    DropReason::LeafToLeaf,
    DropReason::UnknownGroup,
    DropReason::InnerProtocol,
    DropReason::HopLimit,
    DropReason::NoRoute,
    DropReason::CircuitUnknown,
    DropReason::FloodLimit,
    DropReason::SegmentRateFromAccess,
    DropReason::SliceRateFromAccess,
    DropReason::SegmentRateToAccess,
    DropReason::SliceRateToAccess,
    DropReason::NeighbourUnresolved,
    DropReason::NoBuffer,
    DropReason::OutputFull,
    // By `queues`.
    DropReason::SessionRateFromAccess,
    DropReason::SessionRateToAccess,
    DropReason::QueueRoom,
    DropReason::QueueUnknown,
    DropReason::QueueOctets,
    DropReason::QueueTime,
    DropReason::QueueFrames,
    DropReason::QueueStands,
    // By `workers`.
    DropReason::WorkerFull,
];

#[test]
fn circuit_unknown() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    rig.admit("iot", "metering", device(2));
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(2), b"x")]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::CircuitUnknown, 1)]);
}

#[test]
fn flood_limit() {
    let mut rig = Rig::new();
    for number in 0..=u8::try_from(FLOOD_COPIES_MAX).unwrap() {
        rig.admit_open("iot", "alone", device(number));
        rig.put(ACCESS1, &[frame(None, device(number), device(200), b"x")]);
    }
    rig.admit_open("iot", "alone", device(100));
    let before = rig.drops(ACCESS0).len();
    let everybody = Device { mac: frames::BROADCAST, ..device(0) };
    assert_eq!(rig.put(ACCESS0, &[from_city(device(100), everybody, b"x")]).len(), FLOOD_COPIES_MAX);
    assert_eq!((before, rig.drops(ACCESS0)), (0, vec![(DropReason::FloodLimit, 1)]));
}

/// Limits of 100 kbit/s: the bucket is four of the longest frames.
fn limited(change: impl FnOnce(&mut model::program::SliceProgram)) -> Rig {
    let mut rig = world();
    let mut program = reference();
    program.generation = Generation::new(2);
    program.content.queues = QueueClass::ALL.map(queue).to_vec();
    change(&mut program.content.slices[1]);
    rig.run(program);
    // From now on device 9 is known to be behind edge B: to nobody here, and so charged to nobody.
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(8), b"x"))]);
    rig
}

/// What was dropped on the core port in the making of that.
const LEARNED: (DropReason, u64) = (DropReason::NoDestination, 1);

#[test]
fn segment_rates() {
    let mut rig = limited(|iot| iot.segments[0].limits = limits(100_000));
    let up: Vec<_> = (0..5).map(|_| from_city(device(1), device(9), &[0; 1_472])).collect();
    assert_eq!(rig.put_and_wait(ACCESS0, &up).len(), 4);
    assert_eq!(rig.drops(ACCESS0), [WORLD, (DropReason::SegmentRateFromAccess, 1)]);
    let down = in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(1), &[0; 1_472]));
    assert_eq!(rig.put_and_wait(CORE0, &vec![down; 5]).len(), 4);
    assert_eq!(rig.drops(CORE0), [LEARNED, (DropReason::SegmentRateToAccess, 1)]);
}

#[test]
fn slice_rates() {
    let mut rig = limited(|iot| iot.limits = limits(100_000));
    let up: Vec<_> = (0..5).map(|_| from_city(device(1), device(9), &[0; 1_472])).collect();
    assert_eq!(rig.put_and_wait(ACCESS0, &up).len(), 4);
    assert_eq!(rig.drops(ACCESS0), [WORLD, (DropReason::SliceRateFromAccess, 1)]);
    let down = in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(1), &[0; 1_472]));
    assert_eq!(rig.put_and_wait(CORE0, &vec![down; 5]).len(), 4);
    assert_eq!(rig.drops(CORE0), [LEARNED, (DropReason::SliceRateToAccess, 1)]);
    // The limit is that of an SDP: the other one has its own.
    let other = frame(None, device(3), device(9), &[0; 1_472]);
    assert_eq!(rig.put_and_wait(ACCESS1, &[other]).len(), 1);
}

#[test]
fn neighbour_unresolved() {
    let mut rig = Rig::with(reference());
    rig.admit("iot", "metering", device(1));
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]), []);
    // One copy and the frame itself.
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NeighbourUnresolved, 2)]);
    assert_eq!(rig.reading().generated, 1);
}

#[test]
fn no_buffer() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    let mut pool = FramePool::new(1);
    let mut burst = Burst::new();
    let mut arrived = pool.take().unwrap();
    arrived.copy_from(&from_city(device(1), device(9), b"x"));
    burst.push(arrived);
    rig.pipeline.process(rig.now, ACCESS0, &mut burst, &mut pool, &mut rig.outputs);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NoBuffer, 1)]);
    assert_eq!(rig.outputs.queue(CORE0).len(), 1);
    rig.assert_conserved();
}

#[test]
fn output_full() {
    let mut rig = Rig::new();
    // What slices send waits for its turn; what the edge itself says does not.
    let question = frames::arp(1, (ROUTER, ROUTER_V4), (Mac([0; 6]), CORE_V4));
    let question = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
    let mut burst = Burst::new();
    for _ in 0..=OUTPUT_FRAMES_MAX {
        let mut arrived = rig.pool.take().unwrap();
        arrived.copy_from(&question);
        burst.push(arrived);
        rig.pipeline.process(rig.now, CORE0, &mut burst, &mut rig.pool, &mut rig.outputs);
    }
    assert_eq!(rig.outputs.queue(CORE0).len(), OUTPUT_FRAMES_MAX);
    assert_eq!(rig.drops(CORE0), [(DropReason::OutputFull, 1)]);
    rig.assert_conserved();
}
