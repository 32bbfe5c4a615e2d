//! Between edges: what goes into tunnels, what is taken out of them, what is learned.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::program::Tunnel;
use model::{Generation, Label};
use transport_dataplane::{DropReason, Nanos, REMOTE_MAC_AGE, Traffic};

use crate::frames;
use crate::rig::*;

/// Where the outer headers of a frame that left end, and whether it is over IPv6.
fn outer(frame: &[u8]) -> (usize, bool) {
    match frame[12..14] {
        [0x86, 0xdd] => (70, true),
        [0x08, 0x00] => (50, false),
        _ => panic!("neither IPv4 nor IPv6"),
    }
}

#[test]
fn an_unknown_destination_is_looked_for_at_every_other_edge_of_the_segment() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    let left = rig.put(ACCESS0, &[from_city(device(1), device(9), b"where are you")]);
    let mut to = Vec::new();
    for (port, octets) in &left {
        assert_eq!((*port, &octets[..6], &octets[6..12]), (CORE0, &ROUTER.0[..], &CORE_MAC.0[..]));
        assert_eq!(outer(octets), (70, true));
        assert_eq!(octets[54 + 2..54 + 4], 4_789_u16.to_be_bytes());
        assert_eq!(octets[62..70], [8, 0, 0, 0, 0, 0x13, 0x89, 0]);
        assert_eq!(octets[70..], frame(None, device(1), device(9), b"where are you"));
        to.push(IpAddr::from(<[u8; 16]>::try_from(&octets[38..54]).unwrap()));
    }
    to.sort();
    assert_eq!(to, [EDGE_B, EDGE_C]);
    assert_eq!(rig.segment("metering").to_tunnels, Traffic { frames: 2, octets: 2 * (42 + 13) });
}

#[test]
fn a_device_behind_another_edge_is_learned_moves_and_is_forgotten() {
    let mut rig = Rig::new();
    let (one, far) = (device(1), device(9));
    rig.admit("iot", "metering", one);
    let to_far = || from_city(one, far, b"ping");
    let edges = |left: &[Left]| left.iter().map(|(_, octets)| octets[53]).collect::<BTreeSet<_>>();
    rig.put(ACCESS0, &[to_far()]);
    let pong = frame(None, far, one, b"pong");
    assert_eq!(rig.put(CORE0, &[in_tunnel(EDGE_C, 5_001, &pong)]), [(ACCESS0, from_city(far, one, b"pong"))]);
    assert_eq!(edges(&rig.put(ACCESS0, &[to_far()])), [0xc].into());
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &pong)]);
    assert_eq!(edges(&rig.put(ACCESS0, &[to_far()])), [0xb].into());
    rig.now = Nanos(rig.now.0 + REMOTE_MAC_AGE.0);
    assert_eq!(edges(&rig.put(ACCESS0, &[to_far()])), [0xb, 0xc].into());
    assert_eq!(rig.reading().unlearned, 0);
}

#[test]
fn what_was_learned_in_one_segment_is_not_known_in_another() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    rig.admit("iot", "health", device(2));
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_002, &frame(None, device(9), device(2), b"x"))]);
    // In metering it is unknown, so both edges are asked.
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]).len(), 2);
    assert_eq!(rig.put(ACCESS0, &[from_city(device(2), device(9), b"x")]).len(), 1);
}

#[test]
fn what_was_learned_is_not_believed_after_the_edges_of_the_segment_have_changed() {
    let mut rig = Rig::new();
    let (one, far) = (device(1), device(9));
    rig.admit("iot", "metering", one);
    rig.put(ACCESS0, &[from_city(one, far, b"x")]);
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &frame(None, far, one, b"x"))]);
    let mut program = reference();
    program.generation = Generation::new(2);
    program.content.slices[1].segments[0].remotes.remove(0);
    rig.run(program);
    // Place 0 is now edge C.
    let left = rig.put(ACCESS0, &[from_city(one, far, b"x")]);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1[53], 0xc);
    // A tunnel from the edge that has gone is refused.
    assert_eq!(rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &frame(None, far, one, b"x"))]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::UnknownRemote, 1)]);
}

#[test]
fn a_segment_may_have_one_edge_over_vxlan_and_another_over_labels() {
    let mut program = reference();
    let (to, from) = (Label::new(110_001).unwrap(), Label::new(120_001).unwrap());
    let labels = Tunnel::Mpls { to, from, control_word: false, flow_label: false };
    program.content.slices[1].segments[0].remotes[1].tunnel = labels;
    let mut rig = Rig::with(program);
    rig.introduce_router();
    rig.admit("iot", "metering", device(1));
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]).len(), 2);
    let hello = frame(None, device(9), device(1), b"hello");
    assert_eq!(rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &hello)]).len(), 1);
    let payload = [&frames::label(120_001, 0, true, 64), &hello[..]].concat();
    let (ethertype, packet) = frames::datagram((EDGE_C, 50_000), (LOOPBACK_V6.into(), 6_635), 0, &payload);
    assert_eq!(rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)]).len(), 1);
}

#[test]
fn over_ipv4_the_checksum_of_udp_is_zero_and_that_of_ip_holds() {
    let mut rig = Rig::new();
    let laptop = device(1);
    rig.admit("embb", "office", laptop);
    let left = rig.put(ACCESS0, &[frame(Some(120), laptop, device(9), b"over IPv4")]);
    let (port, octets) = &left[0];
    assert_eq!((left.len(), *port, outer(octets)), (1, CORE0, (50, false)));
    assert_eq!(frames::checksum(&octets[14..34]), 0);
    assert_eq!(octets[40..42], [0, 0]);
    assert_eq!(octets[20..22], [0x40, 0], "must not be fragmented");
    let back = frame(None, device(9), laptop, b"and back");
    let expected = frame(Some(120), device(9), laptop, b"and back");
    assert_eq!(rig.put(CORE0, &[in_tunnel(EDGE_D, 6_001, &back)]), [(ACCESS0, expected)]);
    let office = rig.segment("office");
    assert_eq!((office.to_tunnels.frames, office.from_tunnels.frames), (1, 1));
}

#[test]
fn padding_behind_the_outer_packet_is_not_part_of_the_frame() {
    let mut rig = Rig::new();
    let one = device(1);
    rig.admit("iot", "metering", one);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x")]);
    let mut padded = in_tunnel(EDGE_B, 5_001, &frame(None, device(9), one, b"short"));
    padded.extend([0xee; 20]);
    assert_eq!(rig.put(CORE0, &[padded]), [(ACCESS0, from_city(device(9), one, b"short"))]);
}

#[test]
fn a_broadcast_from_a_tunnel_reaches_the_sessions_of_its_segment_and_no_tunnel() {
    let mut rig = Rig::new();
    for number in 1..=2 {
        rig.admit_open("iot", "metering", device(number));
    }
    rig.admit_open("iot", "health", device(3));
    for number in 1..=3 {
        rig.put(ACCESS0, &[from_city(device(number), device(9), b"x")]);
    }
    let all = Device { mac: frames::BROADCAST, ..device(0) };
    let left = rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &frame(None, device(9), all, b"hear"))]);
    let to: Vec<_> = left.iter().map(|(port, octets)| (*port, octets[5])).collect();
    assert_eq!(to, [(ACCESS0, 2), (ACCESS0, 1)]);
    assert_eq!(rig.reading().consumed, 1);
}

#[test]
fn flows_are_spread_over_source_ports_and_one_flow_keeps_its_own() {
    let mut rig = Rig::new();
    rig.admit("embb", "office", device(1));
    let mut ports = BTreeSet::new();
    for flow in 0..100_u16 {
        let (ethertype, packet) =
            frames::datagram((device(1).ipv4.into(), 1_000 + flow), (device(9).ipv4.into(), 7), 0, b"");
        let frame = frames::ethernet(device(9).mac, device(1).mac, Some(120), ethertype, &packet);
        let left = rig.put(ACCESS0, &[frame.clone(), frame]);
        let port = |at: usize| u16::from_be_bytes([left[at].1[34], left[at].1[35]]);
        assert_eq!(port(0), port(1));
        assert!(port(0) >= 49_152);
        ports.insert(port(0));
    }
    assert!(ports.len() > 90, "{} source ports for 100 flows", ports.len());
}

/// RFC 2983, section 3.1: the outer code point is the slice's to give; what a device asks for counts where it says so.
#[test]
fn a_device_is_heeded_in_its_slice_and_not_in_another() {
    let mut program = reference();
    program.content.slices[1].markings = vec![marking(46, 46, 5)];
    let mut rig = Rig::with(program);
    rig.introduce_router();
    rig.admit("iot", "metering", device(1));
    let said = |rig: &mut Rig, class: u8| {
        let (ethertype, packet) =
            frames::datagram((device(1).ipv4.into(), 7), (device(9).ipv4.into(), 7), class, b"now");
        let frame = frames::ethernet(device(9).mac, device(1).mac, Some(110), ethertype, &packet);
        let outer = |(_, octets): &Left| octets[14] << 4 | octets[15] >> 4;
        let untouched = frames::ethernet(device(9).mac, device(1).mac, None, ethertype, &packet);
        let left = rig.put(ACCESS0, &[frame]);
        assert!(left.iter().all(|(_, octets)| octets.ends_with(&untouched)));
        left.iter().map(outer).collect::<Vec<_>>()
    };
    assert_eq!(said(&mut rig, 46 << 2 | 2), [46 << 2 | 2; 2]);
    // Not told of, and network control: what the slice is.
    assert_eq!(said(&mut rig, 34 << 2 | 1), [10 << 2 | 1; 2]);
    assert_eq!(said(&mut rig, 48 << 2), [10 << 2; 2]);
    let mut program = reference();
    program.generation = Generation::new(2);
    program.content.slices[0].markings = vec![marking(46, 46, 5)];
    rig.run(program);
    assert_eq!(said(&mut rig, 46 << 2), [10 << 2; 2]);
}
