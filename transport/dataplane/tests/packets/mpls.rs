//! Slices over labels (RFC 3032, RFC 4448): what leaves, octet by octet, and what is taken in, over labels and over UDP.
//!
//! ```text
//!   iot/metering  VPLS to edge B over two nodes, with control word, group and flow label; to edge C, the next hop, plain
//!   iot/health    VPLS to edge B in UDP over IPv6, with control word and group
//!   embb/office   VPWS to edge D in UDP over IPv4, with flow label
//! ```
//!
//! Access port 0 is a root of slice iot and access port 1 a leaf.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::program::{Program, Remote, Steering, Tunnel};
use model::resource::Service;
use model::{Label, PathId};
use transport_dataplane::{DropReason, Sends};

use crate::frames;
use crate::rig::*;

/// Labels of nodes on the way, and of the other edges.
const WAY: [u32; 2] = [200_001, 210_002];
const TO_B: u32 = 110_001;
const TO_C: u32 = 110_002;
const TO_B_HEALTH: u32 = 110_003;
const TO_D: u32 = 110_004;
/// Ours, one for each edge.
const FROM_B: u32 = 120_001;
const FROM_C: u32 = 120_002;
const FROM_B_HEALTH: u32 = 120_003;
const FROM_D: u32 = 120_004;

/// The traffic class of slices, and a control word without sequence (RFC 4448, section 4.6).
const CLASS: u8 = 3;
const CONTROL_WORD: [u8; 4] = [0; 4];
/// The labels of groups 0 and 1.
const ROOT: u32 = 0x1_0000;
const LEAF: u32 = 0x1_0001;
/// A flow label that some sender chose.
const FLOW: u32 = 181_115;
const UDP_PORT: u16 = 6_635;

fn tunnel(edge: &str, labels: (u32, u32), group: bool, control_word: bool, flow_label: bool) -> Remote {
    let (to, from) = (Label::new(labels.0.into()).unwrap(), Label::new(labels.1.into()).unwrap());
    Remote { group, tunnel: Tunnel::Mpls { to, from, control_word, flow_label }, ..remote(edge, 1) }
}

fn program() -> Program {
    let mut program = reference();
    let content = &mut program.content;
    let in_udp = PathId::new(2).unwrap();
    content.paths.push(model::program::PathProgram { id: in_udp, ..content.paths[0].clone() });
    content.paths[0].steering = Steering::Mpls(WAY.map(|label| Label::new(label.into()).unwrap()).to_vec());
    content.paths[1].steering = Steering::Mpls(vec![]);
    let [embb, iot] = &mut content.slices[..] else { panic!() };
    iot.circuits[1].leaf = true;
    iot.segments.truncate(2);
    iot.segments[0].remotes =
        vec![tunnel("edge-b", (TO_B, FROM_B), true, true, true), tunnel("edge-c", (TO_C, FROM_C), false, false, false)];
    let health = tunnel("edge-b", (TO_B_HEALTH, FROM_B_HEALTH), true, true, false);
    iot.segments[1].remotes = vec![Remote { working: in_udp, ..health }];
    embb.service = Service::L2PointToPoint;
    embb.segments[0].remotes = vec![tunnel("edge-d", (TO_D, FROM_D), false, false, true)];
    program
}

/// Devices 1 (root) and 2 (leaf) are in metering, 4 in health, 3 in the other slice. All have spoken.
fn world() -> Rig {
    let mut rig = Rig::with(program());
    rig.introduce_router();
    for (slice, segment, number) in
        [("iot", "metering", 1), ("iot", "metering", 2), ("iot", "health", 4), ("embb", "office", 3)]
    {
        rig.admit(slice, segment, device(number));
    }
    assert_eq!(rig.put(ACCESS0, &[1, 4].map(|number| from_city(device(number), device(9), b"x"))).len(), 3);
    assert_eq!(rig.put(ACCESS1, &[frame(None, device(2), device(9), b"x")]).len(), 2);
    assert_eq!(rig.put(ACCESS0, &[frame(Some(120), device(3), device(9), b"x")]).len(), 1);
    rig
}

/// A stack whose last entry is the bottom, with a time to live of 61, and what follows it.
fn stack(labels: &[u32], payload: &[u8]) -> Vec<u8> {
    let last = labels.len() - 1;
    let entries = labels.iter().enumerate().flat_map(|(at, label)| frames::label(*label, 0, at == last, 61));
    entries.chain(payload.iter().copied()).collect()
}

fn labelled(labels: &[u32], payload: &[u8]) -> Vec<u8> {
    frames::ethernet(CORE_MAC, ROUTER, None, 0x8847, &stack(labels, payload))
}

fn with_word(inner: &[u8]) -> Vec<u8> {
    [&CONTROL_WORD, inner].concat()
}

/// Labels in UDP (RFC 7510) from an edge.
fn in_udp(from: IpAddr, labels: &[u32], payload: &[u8]) -> Vec<u8> {
    let to: IpAddr = if from.is_ipv4() { LOOPBACK_V4.into() } else { LOOPBACK_V6.into() };
    let (ethertype, packet) = frames::datagram((from, 50_000), (to, UDP_PORT), 0, &stack(labels, payload));
    frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
}

/// As edge B sends into metering.
fn from_b(group: u32, inner: &[u8]) -> Vec<u8> {
    labelled(&[FROM_B, group, FLOW], &with_word(inner))
}

/// The label of an entry.
fn label_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().unwrap()) >> 12
}

/// What leaves for edge B, with the flow label that it has.
fn expected_to_b(left: &[u8], group: u32, inner: &[u8]) -> Vec<u8> {
    let flow = label_at(left, 14 + 16);
    assert!(flow > 15, "{flow}");
    let stack = [
        // Two nodes on the way, and the service; group and flow are not for forwarding (RFC 6391, section 4).
        frames::label(WAY[0], CLASS, false, 64),
        frames::label(WAY[1], CLASS, false, 64),
        frames::label(TO_B, CLASS, false, 64),
        frames::label(group, CLASS, false, 1),
        frames::label(flow, CLASS, true, 1),
        CONTROL_WORD,
    ];
    frames::ethernet(ROUTER, CORE_MAC, None, 0x8847, &[&stack.concat(), inner].concat())
}

fn expected_to_c(inner: &[u8]) -> Vec<u8> {
    let stack = frames::label(TO_C, CLASS, true, 64);
    frames::ethernet(ROUTER, CORE_MAC, None, 0x8847, &[&stack, inner].concat())
}

/// What leaves in UDP, with the source port that it has.
fn expected_in_udp(left: &[u8], to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let (from, at): (IpAddr, _) = if to.is_ipv4() { (LOOPBACK_V4.into(), 34) } else { (LOOPBACK_V6.into(), 54) };
    let port = u16::from_be_bytes([left[at], left[at + 1]]);
    assert!(port >= 49_152, "{port}");
    let (ethertype, mut packet) = frames::datagram((from, port), (to, UDP_PORT), 10 << 2, payload);
    if to.is_ipv6() {
        // The flow label is ours to choose.
        packet[1..4].copy_from_slice(&left[15..18]);
        assert_eq!(packet[1] >> 4, (10 << 2) & 0xf);
    }
    frames::ethernet(ROUTER, CORE_MAC, None, ethertype, &packet)
}

#[test]
fn a_frame_leaves_with_the_labels_of_the_way_the_edge_and_the_group_of_its_sender() {
    let mut rig = world();
    for (port, from, group) in [(ACCESS0, device(1), ROOT), (ACCESS1, device(2), LEAF)] {
        let vlan = (port == ACCESS0).then_some(110);
        let all = Device { mac: frames::BROADCAST, ..device(0) };
        for to in [device(77), all] {
            let inner = frame(None, from, to, b"who");
            let left = rig.put(port, &[frame(vlan, from, to, b"who")]);
            let left: Vec<_> = left.into_iter().filter(|(port, _)| *port == CORE0).map(|(_, octets)| octets).collect();
            let [to_c, to_b] = &left[..] else { panic!("{left:02x?}") };
            assert_eq!((to_c, to_b), (&expected_to_c(&inner), &expected_to_b(to_b, group, &inner)));
        }
    }
    // Behind B, behind C.
    rig.put(CORE0, &[from_b(ROOT, &frame(None, device(9), device(1), b"x"))]);
    rig.put(CORE0, &[labelled(&[FROM_C], &frame(None, device(8), device(1), b"x"))]);
    let left = rig.put(ACCESS0, &[from_city(device(1), device(9), b"b"), from_city(device(1), device(8), b"c")]);
    let to_b = expected_to_b(&left[0].1, ROOT, &frame(None, device(1), device(9), b"b"));
    assert_eq!(left, [(CORE0, to_b), (CORE0, expected_to_c(&frame(None, device(1), device(8), b"c")))]);
}

#[test]
fn over_udp_the_same_stands_behind_a_port_that_spreads_flows() {
    let mut rig = world();
    let inner = frame(None, device(4), device(9), b"over IPv6");
    let left = rig.put(ACCESS0, &[from_city(device(4), device(9), b"over IPv6")]);
    let stack = [frames::label(TO_B_HEALTH, CLASS, false, 64), frames::label(ROOT, CLASS, true, 1), CONTROL_WORD];
    let payload = [&stack.concat(), &inner[..]].concat();
    assert_eq!(left, [(CORE0, expected_in_udp(&left[0].1, EDGE_B, &payload))]);

    let inner = frame(None, device(3), device(9), b"over IPv4");
    let left = rig.put(ACCESS0, &[frame(Some(120), device(3), device(9), b"over IPv4")]);
    let flow = label_at(&left[0].1, 14 + 28 + 4);
    let stack = [frames::label(TO_D, CLASS, false, 64), frames::label(flow, CLASS, true, 1)];
    let payload = [&stack.concat(), &inner[..]].concat();
    let mut expected = expected_in_udp(&left[0].1, EDGE_D, &payload);
    // Its UDP checksum is none (RFC 7510, section 3), and the router's packet must not be cut.
    assert_eq!(left[0].1[40..42], [0, 0]);
    expected[40..42].fill(0);
    assert_eq!(left, [(CORE0, expected)]);
}

#[test]
fn flows_have_labels_of_their_own() {
    let mut rig = world();
    let mut labels = BTreeSet::new();
    for flow in 0..100_u16 {
        let (ethertype, ip) =
            frames::datagram((device(3).ipv4.into(), 1_000 + flow), (device(9).ipv4.into(), 7), 0, b"x");
        let frame = frames::ethernet(device(9).mac, device(3).mac, Some(120), ethertype, &ip);
        let left = rig.put(ACCESS0, &[frame.clone(), frame]);
        assert_eq!(left[0], left[1]);
        labels.insert(label_at(&left[0].1, 14 + 28 + 4));
    }
    assert!(labels.len() > 95 && labels.iter().all(|label| *label > 15), "{labels:?}");
}

#[test]
fn what_comes_with_our_labels_is_delivered() {
    let mut rig = world();
    let inner = |to: u8| frame(None, device(9), device(to), b"in");
    let padded = |mut octets: Vec<u8>| {
        octets.extend([0xee; 30]);
        octets
    };
    // A sequence number is not looked at (RFC 4448, section 4.6.1: a receiver need not).
    let counted = [&[0, 0, 0x12, 0x34][..], &inner(1)].concat();
    let cases = [
        (110, 1, from_b(ROOT, &inner(1))),
        (110, 1, from_b(LEAF, &inner(1))),
        (110, 1, labelled(&[FROM_B, ROOT, FLOW], &counted)),
        (110, 1, labelled(&[FROM_C], &inner(1))),
        (110, 4, in_udp(EDGE_B, &[FROM_B_HEALTH, ROOT], &with_word(&inner(4)))),
        (120, 3, in_udp(EDGE_D, &[FROM_D, FLOW], &inner(3))),
        // Behind a UDP packet, what the link has added is no part of the frame.
        (110, 4, padded(in_udp(EDGE_B, &[FROM_B_HEALTH, ROOT], &with_word(&inner(4))))),
        (120, 3, padded(in_udp(EDGE_D, &[FROM_D, FLOW], &inner(3)))),
    ];
    for (vlan, to, octets) in cases {
        let left = rig.put(CORE0, std::slice::from_ref(&octets));
        assert_eq!(left, [(ACCESS0, frame(Some(vlan), device(9), device(to), b"in"))], "{octets:02x?}");
    }
    assert_eq!(rig.drops(CORE0), []);
}

#[test]
fn leaves_do_not_hear_of_leaves_where_groups_travel() {
    let mut rig = world();
    let to_leaf = frame(None, device(9), device(2), b"psst");
    assert_eq!(rig.put(CORE0, &[from_b(LEAF, &to_leaf)]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::LeafToLeaf, 1)]);
    assert_eq!(rig.put(CORE0, &[from_b(ROOT, &to_leaf)]), [(ACCESS1, to_leaf.clone())]);
    let all = frame(None, device(9), Device { mac: frames::BROADCAST, ..device(0) }, b"hear");
    assert_eq!(rig.put(CORE0, &[from_b(LEAF, &all)]).len(), 1);
    assert_eq!(rig.put(CORE0, &[from_b(ROOT, &all)]).len(), 2);
    // Edge C sends no groups.
    assert_eq!(rig.put(CORE0, &[labelled(&[FROM_C], &to_leaf)]), [(ACCESS1, to_leaf)]);
}

/// What is refused, and why.
fn refused() -> Vec<(DropReason, Vec<u8>)> {
    use DropReason::*;
    let inner = frame(None, device(9), device(1), b"x");
    let word = with_word(&inner);
    let no_bottom = |entries: usize| frames::label(FROM_B, 0, false, 64).repeat(entries);
    let raw = |octets: &[u8]| frames::ethernet(CORE_MAC, ROUTER, None, 0x8847, octets);
    let channel = |nibble: u8| labelled(&[FROM_B, ROOT, FLOW], &[&[nibble << 4, 0, 0, 0][..], &inner].concat());
    let spoof = |claimed: u8| frame(None, Device { ipv4: device(claimed).ipv4, ..device(9) }, device(1), b"x");
    let mut mangled = in_udp(EDGE_B, &[FROM_B_HEALTH, ROOT], &word);
    *mangled.last_mut().unwrap() ^= 1;
    let mut unsummed = in_udp(EDGE_B, &[FROM_B_HEALTH, ROOT], &word);
    unsummed[60..62].fill(0);
    let deep: Vec<_> = [&[FROM_B][..], &[FLOW; 16]].concat();
    let reserved = (0..16).flat_map(|label| {
        let udp = in_udp(EDGE_B, &[label, FROM_B], &inner);
        [labelled(&[label], &inner), labelled(&[label, FROM_B], &inner), udp]
    });
    let mut cases: Vec<_> = reserved.map(|octets| (ReservedLabel, octets)).collect();
    cases.extend([
        (UnknownLabel, labelled(&[16], &inner)),
        (UnknownLabel, labelled(&[TO_B, FROM_B], &inner)),
        (UnknownLabel, labelled(&[0xf_ffff], &inner)),
        (UnknownLabel, in_udp(EDGE_B, &[TO_B_HEALTH], &inner)),
        (Malformed, raw(&[])),
        (Malformed, raw(&frames::label(FROM_C, 0, true, 64)[..3])),
        (Malformed, raw(&no_bottom(1))),
        (Malformed, raw(&no_bottom(16))),
        (Malformed, raw(&[no_bottom(3), vec![0; 3]].concat())),
        (Malformed, labelled(&deep, &word)),
        // Group or flow label missing, one too many, a group that is none.
        (Malformed, labelled(&[FROM_B, FLOW], &word)),
        (Malformed, labelled(&[FROM_B, ROOT], &word)),
        (Malformed, labelled(&[FROM_B], &word)),
        (Malformed, labelled(&[FROM_B, ROOT, FLOW, FLOW], &word)),
        (Malformed, labelled(&[FROM_B, ROOT - 1, FLOW], &word)),
        (Malformed, labelled(&[FROM_B, ROOT + 0x1_0000, FLOW], &word)),
        (UnknownGroup, labelled(&[FROM_B, ROOT + 2, FLOW], &word)),
        (UnknownGroup, labelled(&[FROM_B, ROOT + 0xffff, FLOW], &word)),
        (Malformed, labelled(&[FROM_C, FLOW], &inner)),
        (Malformed, labelled(&[FROM_C], &inner[..13])),
        (Malformed, labelled(&[FROM_C], &[])),
        // The associated channel carries no frames (RFC 4385, section 5), and the others nothing at all.
        (InnerProtocol, channel(1)),
        (InnerProtocol, channel(4)),
        (InnerProtocol, channel(15)),
        (InnerProtocol, labelled(&[FROM_B, ROOT, FLOW], &CONTROL_WORD[..3])),
        // Over IP each label has its sender.
        (UnknownRemote, in_udp(EDGE_C, &[FROM_B_HEALTH, ROOT], &word)),
        (UnknownRemote, in_udp(device(66).ipv6.into(), &[FROM_B_HEALTH, ROOT], &word)),
        (UnknownRemote, in_udp(EDGE_D, &[FROM_B_HEALTH, ROOT], &word)),
        (Checksum, mangled),
        // Over IPv6 labels are never without one (RFC 7510, section 3.1).
        (Checksum, unsummed),
        (InnerTag, labelled(&[FROM_C], &frame(Some(7), device(9), device(1), b"x"))),
        (SourceIsLocal, labelled(&[FROM_C], &frame(None, device(2), device(1), b"x"))),
        (SourceIsLocal, labelled(&[FROM_C], &spoof(1))),
        (SourceIsLocal, from_b(LEAF, &spoof(2))),
        (SourceIsLocal, in_udp(EDGE_B, &[FROM_B_HEALTH, ROOT], &with_word(&spoof(4)))),
        (NoDestination, from_b(ROOT, &frame(None, device(9), device(8), b"x"))),
        (NotForUs, frames::ethernet(frames::BROADCAST, ROUTER, None, 0x8847, &stack(&[FROM_C], &inner))),
        (NotForUs, frames::ethernet(CORE_MAC, ROUTER, Some(5), 0x8847, &stack(&[FROM_C], &inner))),
        // Upstream-assigned labels (RFC 5332).
        (NotServed, frames::ethernet(CORE_MAC, ROUTER, None, 0x8848, &stack(&[FROM_C], &inner))),
    ]);
    cases
}

#[test]
fn what_contradicts_itself_or_has_no_label_of_ours_is_refused_by_name() {
    for (reason, octets) in refused() {
        let mut rig = world();
        let other = rig.counted("embb");
        assert_eq!(rig.put(CORE0, std::slice::from_ref(&octets)), [], "{reason}: {octets:02x?}");
        assert_eq!(rig.drops(CORE0), [(reason, 1)], "{octets:02x?}");
        assert_eq!(rig.counted("embb"), other, "{reason}");
    }
}

#[test]
fn the_labels_that_a_tunnel_sends_with_are_read_from_its_headers() {
    let rig = world();
    let sends = |segment: &str| rig.segment(segment).tunnels.iter().map(|t| t.lanes[0].sends).collect::<Vec<_>>();
    let label = |label, control_word, flow_label| Sends::Label { label, control_word, flow_label };
    assert_eq!(sends("metering"), [Some((label(TO_B, true, true), true)), Some((label(TO_C, false, false), false))]);
    assert_eq!(sends("health"), [Some((label(TO_B_HEALTH, true, false), true))]);
    assert_eq!(sends("office"), [Some((label(TO_D, false, true), false))]);
}
