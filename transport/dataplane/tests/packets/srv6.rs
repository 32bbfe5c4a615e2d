//! Slices over SRv6 (RFC 8986): what leaves, octet by octet, and what is taken in.
//!
//! ```text
//!   iot/metering  multipoint, DT2U and DT2M; to edge B over two nodes on the way, to edge C over none
//!   embb/office   point-to-point, DX2; to edge B over the same two nodes
//! ```
//!
//! Access port 0 is a root of slice iot and access port 1 a leaf.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use model::Sid;
use model::program::{Program, Remote, ServiceBehaviour, ServiceSid, Steering, Tunnel};
use model::resource::Service;
use transport_dataplane::{DropReason, Sends, Traffic};

use crate::frames;
use crate::rig::*;

const fn address(node: u16, function: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, node, 0, function, 0, 0, 0, 0)
}

/// SIDs of nodes on the way.
const WAY: [Ipv6Addr; 2] = [address(1, 0xe), address(2, 0xe)];
/// SIDs of edge B: for one endpoint, for all, and of the point-to-point slice.
const B_ONE: Ipv6Addr = address(0xb, 1);
const B_ALL: Ipv6Addr = address(0xb, 2);
const B_PAIR: Ipv6Addr = address(0xb, 3);
const C_ONE: Ipv6Addr = address(0xc, 1);
const C_ALL: Ipv6Addr = address(0xc, 2);
/// Ours.
const ONE: Ipv6Addr = address(0xa, 1);
const ALL: Ipv6Addr = address(0xa, 2);
const PAIR: Ipv6Addr = address(0xa, 3);

/// An inner frame in SRv6 (RFC 8986, section 10.1), IPv4 and IPv6 in it.
const ETHERNET: u8 = 143;
const IPV4: u8 = 4;
const ROUTING: u8 = 43;
/// DSCP 10, which is the slice's.
const CLASS: u8 = 10 << 2;

fn sid(address: Ipv6Addr) -> Sid {
    Sid::new(address).unwrap()
}

fn service(address: Ipv6Addr, behaviour: ServiceBehaviour) -> ServiceSid {
    ServiceSid { sid: sid(address), behaviour }
}

fn tunnel(edge: &str, unicast: Ipv6Addr, flood: Ipv6Addr, group: bool) -> Remote {
    Remote { group, tunnel: Tunnel::Srv6 { unicast: sid(unicast), flood: sid(flood) }, ..remote(edge, 1) }
}

fn program() -> Program {
    let mut program = reference();
    let content = &mut program.content;
    content.paths[0].steering = Steering::Srv6(WAY.map(sid).to_vec());
    content.paths[1].steering = Steering::Srv6(vec![]);
    let [embb, iot] = &mut content.slices[..] else { panic!() };
    iot.circuits[1].leaf = true;
    iot.segments.truncate(1);
    iot.segments[0].sids = vec![service(ONE, ServiceBehaviour::Dt2u), service(ALL, ServiceBehaviour::Dt2m)];
    iot.segments[0].remotes = vec![tunnel("edge-b", B_ONE, B_ALL, true), tunnel("edge-c", C_ONE, C_ALL, true)];
    embb.service = Service::L2PointToPoint;
    embb.segments[0].sids = vec![service(PAIR, ServiceBehaviour::Dx2)];
    embb.segments[0].remotes = vec![tunnel("edge-b", B_PAIR, B_PAIR, false)];
    program
}

/// Device 1 is on the root circuit and device 2 on the leaf; device 3 is in the other slice. All have spoken.
fn world() -> Rig {
    let mut rig = Rig::with(program());
    rig.introduce_router();
    for (slice, segment, number) in [("iot", "metering", 1), ("iot", "metering", 2), ("embb", "office", 3)] {
        rig.admit(slice, segment, device(number));
    }
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]).len(), 2);
    assert_eq!(rig.put(ACCESS1, &[frame(None, device(2), device(9), b"x")]).len(), 2);
    assert_eq!(rig.put(ACCESS0, &[frame(Some(120), device(3), device(9), b"x")]).len(), 1);
    rig
}

fn with_argument(sid: Ipv6Addr, argument: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(sid.to_bits() | u128::from(argument))
}

/// What leaves for an edge that is reached over [`WAY`], which is not in the list with its first node (H.Encaps.L2.Red).
fn over_the_way(to: Ipv6Addr, class: u8, inner: &[u8]) -> Vec<u8> {
    let payload = [&frames::srh(ETHERNET, 2, &[to, WAY[1]], &[]), inner].concat();
    let packet = frames::ipv6(LOOPBACK_V6, WAY[0], class, ROUTING, 64, &payload);
    frames::ethernet(ROUTER, CORE_MAC, None, 0x86dd, &packet)
}

/// What leaves for an edge that is the only segment: no header for one (RFC 8986, section 5.2).
fn straight(to: Ipv6Addr, class: u8, inner: &[u8]) -> Vec<u8> {
    let packet = frames::ipv6(LOOPBACK_V6, to, class, ETHERNET, 64, inner);
    frames::ethernet(ROUTER, CORE_MAC, None, 0x86dd, &packet)
}

/// Takes out the flow label, which is ours to choose; answers it.
fn take_flow_label(octets: &mut [u8]) -> u32 {
    let label = u32::from_be_bytes([0, octets[15] & 0xf, octets[16], octets[17]]);
    octets[15] &= 0xf0;
    octets[16..18].fill(0);
    label
}

fn without_flow_labels(left: Vec<Left>) -> Vec<Vec<u8>> {
    let octets = |(port, mut octets): Left| {
        assert_eq!(port, CORE0);
        take_flow_label(&mut octets);
        octets
    };
    let mut all: Vec<_> = left.into_iter().map(octets).collect();
    all.sort();
    all
}

/// An SRv6 packet of an edge to one of our SIDs, without a segment routing header.
fn packet(from: IpAddr, to: Ipv6Addr, class: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let IpAddr::V6(from) = from else { panic!() };
    frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &frames::ipv6(from, to, class, next, 61, payload))
}

/// One with a segment routing header, of which so many segments are left.
fn routed(to: Ipv6Addr, left: u8, tlvs: &[u8], inner: &[u8]) -> Vec<u8> {
    let payload = [&frames::srh(ETHERNET, left, &[to, WAY[0]], tlvs), inner].concat();
    packet(EDGE_B, to, 0, ROUTING, &payload)
}

#[test]
fn a_frame_for_one_leaves_to_the_sid_for_one_with_the_group_of_its_sender() {
    let mut rig = world();
    let far = device(9);
    for (edge, number) in [(EDGE_B, 9), (EDGE_C, 8)] {
        let hello = frame(None, device(number), device(1), b"hello");
        let to = packet(edge, ONE, 0, ETHERNET, &hello);
        assert_eq!(rig.put(CORE0, &[to]), [(ACCESS0, from_city(device(number), device(1), b"hello"))]);
    }
    let left = rig.put(ACCESS0, &[from_city(device(1), far, b"to B")]);
    let expected = over_the_way(B_ONE, CLASS, &frame(None, device(1), far, b"to B"));
    assert_eq!(without_flow_labels(left), [expected]);
    let left = rig.put(ACCESS0, &[from_city(device(1), device(8), b"to C")]);
    assert_eq!(without_flow_labels(left), [straight(C_ONE, CLASS, &frame(None, device(1), device(8), b"to C"))]);
    // The same from a leaf: group 1.
    let left = rig.put(ACCESS1, &[frame(None, device(2), far, b"to B")]);
    let inner = frame(None, device(2), far, b"to B");
    assert_eq!(without_flow_labels(left), [over_the_way(with_argument(B_ONE, 1), CLASS, &inner)]);
    let left = rig.put(ACCESS1, &[frame(None, device(2), device(8), b"to C")]);
    let inner = frame(None, device(2), device(8), b"to C");
    assert_eq!(without_flow_labels(left), [straight(with_argument(C_ONE, 1), CLASS, &inner)]);
}

#[test]
fn a_frame_for_all_and_one_for_somebody_unknown_leave_to_the_sids_for_all() {
    let mut rig = world();
    let all = Device { mac: frames::BROADCAST, ..device(0) };
    for to in [all, device(77)] {
        let inner = frame(None, device(1), to, b"anybody?");
        let mut expected = [over_the_way(B_ALL, CLASS, &inner), straight(C_ALL, CLASS, &inner)];
        expected.sort();
        let left = rig.put(ACCESS0, &[from_city(device(1), to, b"anybody?")]);
        let left = left.into_iter().filter(|(port, _)| *port == CORE0).collect();
        assert_eq!(without_flow_labels(left), expected);
    }
    let inner = frame(None, device(2), all, b"hear");
    let mut expected =
        [over_the_way(with_argument(B_ALL, 1), CLASS, &inner), straight(with_argument(C_ALL, 1), CLASS, &inner)];
    expected.sort();
    let left = rig.put(ACCESS1, &[inner]).into_iter().filter(|(port, _)| *port == CORE0).collect();
    assert_eq!(without_flow_labels(left), expected);
}

#[test]
fn a_point_to_point_slice_learns_nothing_and_has_one_sid() {
    let mut rig = world();
    let all = Device { mac: frames::BROADCAST, ..device(0) };
    for to in [device(9), device(77), all] {
        let left = rig.put(ACCESS0, &[frame(Some(120), device(3), to, b"over")]);
        // Groups are not agreed on: the argument stays 0.
        let expected = over_the_way(B_PAIR, CLASS, &frame(None, device(3), to, b"over"));
        assert_eq!(without_flow_labels(left), [expected]);
        let back = packet(EDGE_B, PAIR, 0, ETHERNET, &frame(None, device(9), device(3), b"back"));
        assert_eq!(rig.put(CORE0, &[back]), [(ACCESS0, frame(Some(120), device(9), device(3), b"back"))]);
    }
    assert_eq!(rig.reading().unlearned, 0);
}

#[test]
fn congestion_marks_are_copied_out_and_flows_keep_their_label() {
    let mut rig = world();
    let mut labels = BTreeSet::new();
    for (flow, ecn) in (0..100_u16).zip([0, 1, 2, 3].into_iter().cycle()) {
        let class = 46 << 2 | ecn;
        let (ethertype, ip) =
            frames::datagram((device(3).ipv4.into(), 1_000 + flow), (device(9).ipv4.into(), 7), class, b"x");
        let inner = frames::ethernet(device(9).mac, device(3).mac, None, ethertype, &ip);
        let frame = frames::ethernet(device(9).mac, device(3).mac, Some(120), ethertype, &ip);
        let mut left = rig.put(ACCESS0, &[frame.clone(), frame]);
        let [first, second] = &mut left[..] else { panic!() };
        let label = take_flow_label(&mut first.1);
        assert_eq!(label, take_flow_label(&mut second.1));
        assert_eq!(first.1, over_the_way(B_PAIR, CLASS | ecn, &inner));
        labels.insert(label);
    }
    assert!(labels.len() > 95, "{} labels for 100 flows", labels.len());
}

#[test]
fn what_comes_to_our_sids_is_delivered_with_and_without_a_header() {
    let to_one = frame(None, device(9), device(1), b"in");
    let to_pair = frame(None, device(9), device(3), b"in");
    // Pad1 is one octet; PadN says how many follow; HMAC is type 5 (RFC 8754, section 2.1): nobody asks for it here.
    let padded = [4, 6, 0, 0, 0, 0, 0, 0];
    let hmac = [&[5, 38, 0, 0, 0, 0, 0, 1][..], &[7; 32]].concat();
    let mut rig = world();
    for (sid, inner) in [(ONE, &to_one), (ALL, &to_one), (PAIR, &to_pair)] {
        let vlan = if sid == PAIR { 120 } else { 110 };
        let to = if sid == PAIR { device(3) } else { device(1) };
        let mut behind = packet(EDGE_B, sid, 0, ETHERNET, inner);
        // Octets behind the packet are the link's, and no part of what is inside.
        behind.extend([0xee; 30]);
        let ways = [
            packet(EDGE_B, sid, 0, ETHERNET, inner),
            // From a leaf.
            packet(EDGE_B, with_argument(sid, 1), 0, ETHERNET, inner),
            routed(sid, 0, &[], inner),
            routed(sid, 0, &padded, inner),
            routed(sid, 0, &hmac, inner),
            behind,
        ];
        for octets in ways {
            assert_eq!(rig.put(CORE0, &[octets]), [(ACCESS0, frame(Some(vlan), device(9), to, b"in"))]);
        }
    }
    assert_eq!(rig.drops(CORE0), []);
    let metering = rig.segment("metering");
    assert_eq!(metering.from_tunnels, Traffic { frames: 12, octets: 12 * 44 });
    assert_eq!(rig.segment("office").from_tunnels.frames, 6);
}

#[test]
fn a_frame_for_all_reaches_all_but_leaves_that_hear_of_a_leaf() {
    let mut rig = world();
    let all = Device { mac: frames::BROADCAST, ..device(0) };
    let inner = frame(None, device(9), all, b"hear");
    let heard = |left: &[Left]| left.iter().map(|(port, octets)| (port.0, octets[5])).collect::<BTreeSet<_>>();
    let left = rig.put(CORE0, &[packet(EDGE_B, ALL, 0, ETHERNET, &inner)]);
    assert_eq!(heard(&left), [(0, 1), (1, 2)].into());
    let left = rig.put(CORE0, &[packet(EDGE_B, with_argument(ALL, 1), 0, ETHERNET, &inner)]);
    assert_eq!(heard(&left), [(0, 1)].into());
    assert_eq!(rig.drops(CORE0), []);
    let to_leaf = frame(None, device(9), device(2), b"psst");
    assert_eq!(rig.put(CORE0, &[packet(EDGE_B, with_argument(ONE, 1), 0, ETHERNET, &to_leaf)]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::LeafToLeaf, 1)]);
    assert_eq!(rig.put(CORE0, &[packet(EDGE_B, ONE, 0, ETHERNET, &to_leaf)]), [(ACCESS1, to_leaf)]);
}

#[test]
fn congestion_on_the_way_is_marked_inside() {
    let mut rig = world();
    let inner = |class: u8| {
        let (ethertype, ip) = frames::datagram((device(9).ipv4.into(), 7), (device(1).ipv4.into(), 7), class, b"x");
        (
            frames::ethernet(device(1).mac, device(9).mac, None, ethertype, &ip),
            frames::ethernet(device(1).mac, device(9).mac, Some(110), ethertype, &ip),
        )
    };
    let marked = packet(EDGE_B, ONE, CLASS | 3, ETHERNET, &inner(46 << 2 | 2).0);
    assert_eq!(rig.put(CORE0, &[marked]), [(ACCESS0, inner(46 << 2 | 3).1)]);
    let lost = packet(EDGE_B, ONE, CLASS | 3, ETHERNET, &inner(0).0);
    assert_eq!(rig.put(CORE0, &[lost]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::Congestion, 1)]);
}

/// What is refused, and why.
fn refused() -> Vec<(DropReason, Vec<u8>)> {
    use DropReason::*;
    let inner = frame(None, device(9), device(1), b"x");
    let pair = frame(None, device(9), device(3), b"x");
    let ip = frames::datagram((device(9).ipv4.into(), 7), (device(1).ipv4.into(), 7), 0, b"x").1;
    let fragment = |offset: u16, more: u16| {
        let field = (offset << 3 | more).to_be_bytes();
        packet(EDGE_B, ONE, 0, 44, &[&[ETHERNET, 0, field[0], field[1], 0, 0, 0, 7], &inner[..]].concat())
    };
    let with = |mut octets: Vec<u8>, at: usize, new: u8| {
        octets[at] = new;
        octets
    };
    let echo = {
        let IpAddr::V6(from) = EDGE_B else { panic!() };
        let packet = frames::icmpv6(from, ONE, 64, vec![128, 0, 0, 0, 0, 1, 0, 1]);
        frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &packet)
    };
    let spoof = |claimed: u8| frame(None, Device { ipv4: device(claimed).ipv4, ..device(9) }, device(1), b"x");
    let arp = frames::arp(2, (device(9).mac, device(2).ipv4), (device(1).mac, device(1).ipv4));
    let arp = frames::ethernet(device(1).mac, device(9).mac, None, 0x0806, &arp);
    vec![
        (SegmentsLeft, routed(ONE, 1, &[], &inner)),
        (SegmentsLeft, routed(ALL, 2, &[], &inner)),
        // Beyond the list.
        (SegmentsLeft, routed(PAIR, 3, &[], &pair)),
        (SegmentsLeft, routed(ONE, 255, &[], &inner)),
        // The header is longer than the packet.
        (Malformed, with(routed(ONE, 0, &[], &inner), 55, 200)),
        (InnerProtocol, packet(EDGE_B, ONE, 0, IPV4, &ip)),
        (InnerProtocol, packet(EDGE_B, ALL, 0, 17, &[0; 8])),
        (InnerProtocol, packet(EDGE_B, PAIR, 0, 41, &[0x60; 40])),
        (InnerProtocol, packet(EDGE_B, PAIR, 0, 59, &[])),
        (InnerProtocol, echo),
        (InnerProtocol, fragment(0, 1)),
        (InnerProtocol, fragment(3, 0)),
        // Edge D is none of the segment's; edge C is none of the other segment's.
        (UnknownRemote, packet(device(66).ipv6.into(), ONE, 0, ETHERNET, &inner)),
        (UnknownRemote, packet(EDGE_C, PAIR, 0, ETHERNET, &pair)),
        (UnknownGroup, packet(EDGE_B, with_argument(ONE, 2), 0, ETHERNET, &inner)),
        // A SID that nobody has, and an edge passes nothing on.
        (NotForUs, packet(EDGE_B, address(0xa, 9), 0, ETHERNET, &inner)),
        (NotForUs, packet(EDGE_B, WAY[1], 0, ETHERNET, &inner)),
        (Malformed, packet(EDGE_B, ONE, 0, ETHERNET, &inner[..13])),
        (Malformed, packet(EDGE_B, ONE, 0, ETHERNET, &[])),
        (InnerTag, packet(EDGE_B, ONE, 0, ETHERNET, &frame(Some(7), device(9), device(1), b"x"))),
        (SourceIsLocal, packet(EDGE_B, ONE, 0, ETHERNET, &frame(None, device(2), device(1), b"x"))),
        (SourceIsLocal, packet(EDGE_B, ONE, 0, ETHERNET, &spoof(1))),
        (SourceIsLocal, packet(EDGE_B, ALL, 0, ETHERNET, &spoof(2))),
        (SourceIsLocal, packet(EDGE_C, ALL, 0, ETHERNET, &arp)),
        (SourceIsLocal, packet(EDGE_B, PAIR, 0, ETHERNET, &frame(None, device(3), device(9), b"x"))),
        (NoDestination, packet(EDGE_B, ONE, 0, ETHERNET, &frame(None, device(9), device(8), b"x"))),
    ]
}

#[test]
fn what_contradicts_itself_or_is_not_for_its_sid_is_refused_by_name() {
    for (reason, octets) in refused() {
        let mut rig = world();
        assert_eq!(rig.put(CORE0, std::slice::from_ref(&octets)), [], "{reason}: {octets:02x?}");
        assert_eq!(rig.drops(CORE0), [(reason, 1)], "{octets:02x?}");
    }
}

#[test]
fn what_is_refused_costs_another_slice_nothing() {
    let is_of = |octets: &[u8], sid: Ipv6Addr| octets.get(38..46) == Some(&sid.octets()[..8]);
    let mut rig = world();
    for (reason, octets) in refused() {
        let other = if is_of(&octets, PAIR) { "iot" } else { "embb" };
        let before = rig.counted(other);
        assert_eq!(rig.put(CORE0, &[octets]), []);
        assert_eq!(rig.counted(other), before, "{reason}");
    }
}

#[test]
fn the_sids_that_a_tunnel_sends_to_are_read_from_its_headers() {
    let rig = world();
    let sends = |segment: &str| rig.segment(segment).tunnels.iter().map(|t| t.lanes[0].sends).collect::<Vec<_>>();
    let sids = |unicast, flood| Sends::Sids { unicast, flood };
    assert_eq!(sends("metering"), [Some((sids(B_ONE, B_ALL), true)), Some((sids(C_ONE, C_ALL), true))]);
    assert_eq!(sends("office"), [Some((sids(B_PAIR, B_PAIR), false))]);
}
