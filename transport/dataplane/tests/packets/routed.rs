//! Layer-3 slices: gateways, routes, hop limits and errors, over each transport.
//!
//! ```text
//!   access0 VLAN 110 ─ SDP city:  10.20.0.254/24, 2001:db8:20::fe/64 ──┐ slice fwa   10.40.0.0/16, 2001:db8:40::/48
//!   access1 untagged ─ SDP depot: 10.30.0.254/24 ─────────────────────┤             are behind edge B
//!   access0 VLAN 120 ─ SDP city:  10.20.0.254/24 ── slice office ──────┘             (of office: 10.30.0.0/16)
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::program::{Program, ServiceBehaviour, ServiceSid, SliceProgram, SliceRoute, Steering, Tunnel};
use model::resource::Service;
use model::{Label, Mac};
use transport_dataplane::{Binding, DropReason, GATEWAY_MAC};

use crate::frames;
use crate::rig::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Vxlan,
    Srv6,
    Mpls,
}

fn world(over: Over) -> Rig {
    let mut rig = Rig::with(program(over));
    rig.introduce_router();
    bind(&mut rig, "fwa", "metering", METER);
    bind(&mut rig, "fwa", "metering", DEPOT);
    bind(&mut rig, "fwa", "health", MONITOR);
    rig
}

fn bind(rig: &mut Rig, slice: &str, segment: &str, device: Device) {
    let binding =
        Binding { ipv4: Some(device.ipv4), ipv6: Some(device.ipv6), ..rig.binding(slice, segment, device.mac) };
    rig.pipeline.bind(&binding).unwrap();
}

fn program(over: Over) -> Program {
    let mut program = reference();
    program.content.loopback.push(OTHER_LOOPBACK.into());
    program.content.paths.truncate(1);
    program.content.paths[0].steering = match over {
        Over::Vxlan => Steering::Ip,
        Over::Srv6 => Steering::Srv6(vec![CORE_SID.parse().unwrap()]),
        Over::Mpls => Steering::Mpls(vec![Label::new(200_001).unwrap()]),
    };
    let segment = |slice: &str, name: &str, vni: u64| {
        let mut segment = segment(slice, name, vni, vec![remote("edge-b", vni)]);
        match over {
            Over::Vxlan => {}
            Over::Srv6 => {
                let far = format!("fd00:b:0:{vni}::").parse().unwrap();
                segment.remotes[0].tunnel = Tunnel::Srv6 { unicast: far, flood: far };
                let sid = format!("fd00:a:0:{vni}::").parse().unwrap();
                segment.sids = vec![ServiceSid { sid, behaviour: ServiceBehaviour::Dt46 }];
            }
            Over::Mpls => {
                let (to, from) = (Label::new(110_000 + vni).unwrap(), Label::new(100_000 + vni).unwrap());
                segment.remotes[0].tunnel = Tunnel::Mpls { to, from, control_word: false, flow_label: false };
            }
        }
        segment
    };
    let mut city = circuit("city", "access0", Some(110));
    city.gateways = vec!["10.20.0.254/24".parse().unwrap(), "2001:db8:20::fe/64".parse().unwrap()];
    let mut depot = circuit("depot", "access1", None);
    depot.gateways = vec!["10.30.0.254/24".parse().unwrap()];
    let segments = vec![segment("fwa", "metering", 5_001), segment("fwa", "health", 5_002)];
    let fwa = routed("fwa", vec![city, depot], segments, &["10.40.0.0/16", "2001:db8:40::/48"]);
    let mut city = circuit("city", "access0", Some(120));
    city.gateways = vec!["10.20.0.254/24".parse().unwrap()];
    let office = routed("office", vec![city], vec![segment("office", "desks", 6_001)], &["10.30.0.0/16"]);
    program.content.slices = vec![fwa, office];
    program
}

fn routed(
    name: &str,
    circuits: Vec<model::program::Circuit>,
    segments: Vec<model::program::SegmentProgram>,
    behind_b: &[&str],
) -> SliceProgram {
    let route = |prefix: &&str| SliceRoute { prefix: prefix.parse().unwrap(), edge: "edge-b".parse().unwrap() };
    let routes = behind_b.iter().map(route).collect();
    SliceProgram { service: Service::L3, routes, ..slice(name, circuits, segments) }
}

/// A datagram of a device to an address, by the gateway.
fn to_gateway(vlan: Option<u16>, from: Device, to: IpAddr, text: &[u8]) -> Vec<u8> {
    let source: IpAddr = if to.is_ipv4() { from.ipv4.into() } else { from.ipv6.into() };
    let (ethertype, packet) = frames::datagram((source, 7), (to, 7), 0, text);
    frames::ethernet(GATEWAY_MAC, from.mac, vlan, ethertype, &packet)
}

/// The same packet so many hops later.
fn aged(packet: &[u8], hops: u8) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 {
        packet[8] -= hops;
        packet[10..12].fill(0);
        let sum = frames::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[7] -= hops;
    }
    packet
}

/// What stands between the underlay's Ethernet header and the device's packet.
fn overhead(over: Over) -> usize {
    match over {
        // IPv6, UDP, VXLAN, Ethernet.
        Over::Vxlan => 40 + 8 + 8 + 14,
        // IPv6, a header with one segment.
        Over::Srv6 => 40 + 8 + 16,
        Over::Mpls => 2 * 4,
    }
}

/// A packet of edge B in the segment's tunnel.
fn from_edge_b(over: Over, vni: u32, packet: &[u8]) -> Vec<u8> {
    let ipv6 = packet[0] >> 4 == 6;
    match over {
        Over::Vxlan => {
            let inner = frames::ethernet(GATEWAY_MAC, GATEWAY_MAC, None, if ipv6 { 0x86dd } else { 0x0800 }, packet);
            in_tunnel(EDGE_B, vni, &inner)
        }
        Over::Srv6 => {
            let IpAddr::V6(from) = EDGE_B else { panic!() };
            let sid: Ipv6Addr = format!("fd00:a:0:{vni}::").parse().unwrap();
            let packet = frames::ipv6(from, sid, 0, if ipv6 { 41 } else { 4 }, 60, packet);
            frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &packet)
        }
        Over::Mpls => {
            let entry = (100_000 + vni) << 12 | 0x13c;
            frames::ethernet(CORE_MAC, ROUTER, None, 0x8847, &[&entry.to_be_bytes()[..], packet].concat())
        }
    }
}

#[test]
fn a_packet_is_routed_into_the_tunnel_of_its_segment_and_out_of_it() {
    for over in [Over::Vxlan, Over::Srv6, Over::Mpls] {
        let mut rig = world(over);
        let far: [IpAddr; 2] = ["10.40.1.1".parse().unwrap(), "2001:db8:40::1".parse().unwrap()];
        for to in far {
            let sent = to_gateway(Some(110), METER, to, b"there");
            let left = rig.put(ACCESS0, std::slice::from_ref(&sent));
            let (port, octets) = &left[0];
            assert_eq!((left.len(), *port), (1, CORE0), "{over:?} {:?}", rig.drops(ACCESS0));
            assert_eq!(octets[14 + overhead(over)..], aged(&sent[18..], 1), "{over:?}");
            let source: IpAddr = if to.is_ipv4() { METER.ipv4.into() } else { METER.ipv6.into() };
            let (ethertype, packet) = frames::datagram((to, 7), (source, 7), 0, b"and back");
            let expected = frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), ethertype, &aged(&packet, 1));
            assert_eq!(rig.put(CORE0, &[from_edge_b(over, 5_001, &packet)]), [(ACCESS0, expected)], "{over:?}");
        }
    }
}

#[test]
fn subnets_of_one_edge_are_routed_to_one_another_within_a_segment() {
    let mut rig = world(Over::Srv6);
    let sent = to_gateway(Some(110), METER, DEPOT.ipv4.into(), b"x");
    let expected = frames::ethernet(DEPOT.mac, GATEWAY_MAC, None, 0x0800, &aged(&sent[18..], 1));
    assert_eq!(rig.put(ACCESS0, &[sent]), [(ACCESS1, expected)]);
    // A monitor is in another segment: for it, the depot's address is nobody's.
    assert_eq!(rig.put(ACCESS0, &[to_gateway(Some(110), MONITOR, DEPOT.ipv4.into(), b"x")]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NoDestination, 1)]);
}

#[test]
fn slices_may_use_the_same_addresses() {
    let mut rig = world(Over::Vxlan);
    // The same MAC and IP address as the meter's, in the other slice.
    bind(&mut rig, "office", "desks", METER);
    let in_office = rig.put(ACCESS0, &[to_gateway(Some(120), METER, DEPOT.ipv4.into(), b"x")]);
    // There, 10.30.0.0/16 is behind edge B; in fwa it is here.
    assert_eq!((in_office.len(), in_office[0].0), (1, CORE0));
    let in_fwa = rig.put(ACCESS0, &[to_gateway(Some(110), METER, DEPOT.ipv4.into(), b"x")]);
    assert_eq!((in_fwa.len(), in_fwa[0].0), (1, ACCESS1));
    // And back: the tunnel says which of the two.
    let (_, packet) = frames::datagram((DEPOT.ipv4.into(), 7), (METER.ipv4.into(), 7), 0, b"x");
    let left = rig.put(CORE0, &[from_edge_b(Over::Vxlan, 6_001, &packet)]);
    assert_eq!(left[0].1[12..16], [0x81, 0, 0, 120]);
}

#[test]
fn the_gateway_answers_arp_neighbour_discovery_and_echo() {
    let mut rig = world(Over::Srv6);
    let gateway_v4 = Ipv4Addr::new(10, 20, 0, 254);
    let question = frames::arp(1, (METER.mac, METER.ipv4), (Mac([0; 6]), gateway_v4));
    let answer = frames::arp(2, (GATEWAY_MAC, gateway_v4), (METER.mac, METER.ipv4));
    let asked = frames::ethernet(frames::BROADCAST, METER.mac, Some(110), 0x0806, &question);
    let expected = frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), 0x0806, &answer);
    assert_eq!(rig.put(ACCESS0, &[asked]), [(ACCESS0, expected)]);

    let gateway_v6: Ipv6Addr = "2001:db8:20::fe".parse().unwrap();
    let question = frames::neighbour(135, gateway_v6, Some(METER.mac));
    let group: Ipv6Addr = "ff02::1:ff00:fe".parse().unwrap();
    let packet = frames::icmpv6(METER.ipv6, group, 255, question);
    let asked = frames::ethernet(Mac([0x33, 0x33, 0xff, 0, 0, 0xfe]), METER.mac, Some(110), 0x86dd, &packet);
    let answer = frames::icmpv6(gateway_v6, METER.ipv6, 255, frames::neighbour(136, gateway_v6, Some(GATEWAY_MAC)));
    let expected = frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), 0x86dd, &answer);
    assert_eq!(rig.put(ACCESS0, &[asked]), [(ACCESS0, expected)]);

    let echo = |kind: u8| {
        let mut message = vec![kind, 0, 0, 0, 0, 1, 0, 2, 0xab];
        let sum = frames::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    };
    let asked = frames::ipv4(METER.ipv4, gateway_v4, 0, 1, &echo(8));
    let answer = frames::ipv4(gateway_v4, METER.ipv4, 0, 1, &echo(0));
    let asked = frames::ethernet(GATEWAY_MAC, METER.mac, Some(110), 0x0800, &asked);
    let expected = frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), 0x0800, &answer);
    assert_eq!(rig.put(ACCESS0, &[asked]), [(ACCESS0, expected)]);
}

#[test]
fn nobody_but_the_gateway_is_reached_by_its_frame() {
    let mut rig = world(Over::Vxlan);
    let neighbour = device(9);
    // A frame to a neighbour, a question for one, a group.
    assert_eq!(rig.put(ACCESS0, &[frame(Some(110), METER, neighbour, b"x")]), []);
    let question = frames::arp(1, (METER.mac, METER.ipv4), (Mac([0; 6]), neighbour.ipv4));
    let asked = frames::ethernet(frames::BROADCAST, METER.mac, Some(110), 0x0806, &question);
    assert_eq!(rig.put(ACCESS0, &[asked]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NotGateway, 2)]);
    // An endpoint that is bound to no address has none that it could be reached at.
    rig.admit_open("fwa", "metering", device(8));
    assert_eq!(rig.put(ACCESS0, &[to_gateway(Some(110), device(8), "10.40.0.1".parse().unwrap(), b"x")]), []);
    // Nowhere, a group, and a neighbour on the link only.
    for to in ["192.0.2.9", "224.0.0.5", "169.254.1.1"] {
        assert_eq!(rig.put(ACCESS0, &[to_gateway(Some(110), METER, to.parse().unwrap(), b"x")]), []);
    }
    let drops = [(DropReason::SourceAddress, 1), (DropReason::NotGateway, 2), (DropReason::NoRoute, 3)];
    assert_eq!(rig.drops(ACCESS0), drops);
}

#[test]
fn a_packet_whose_hops_run_out_is_answered_inside_the_slice() {
    let mut rig = world(Over::Mpls);
    let mut sent = to_gateway(Some(110), METER, "10.40.0.1".parse().unwrap(), b"far");
    let packet = aged(&sent[18..], 63);
    sent.truncate(18);
    sent.extend(&packet);
    let left = rig.put(ACCESS0, &[sent]);
    let (port, octets) = &left[0];
    assert_eq!((left.len(), *port), (1, ACCESS0));
    // RFC 792: type 11, code 0, four zero octets, the packet; from the gateway of the sender's subnet.
    assert_eq!(octets[..18], frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), 0x0800, &[])[..]);
    assert_eq!((&octets[30..34], &octets[34..38]), (&[10, 20, 0, 254][..], &METER.ipv4.octets()[..]));
    assert_eq!((octets[27], &octets[38..40], &octets[42..46]), (1, &[11, 0][..], &[0; 4][..]));
    assert_eq!(octets[46..], packet);
    assert_eq!((frames::checksum(&octets[18..38]), frames::checksum(&octets[38..])), (0, 0));
    assert_eq!(rig.drops(ACCESS0), [(DropReason::HopLimit, 1)]);
}

#[test]
fn a_packet_that_does_not_fit_the_tunnel_is_answered_with_what_fits() {
    for over in [Over::Vxlan, Over::Srv6, Over::Mpls] {
        let mut program = program(over);
        program.content.paths[0].mtu = 1_400;
        let mut rig = Rig::with(program);
        rig.introduce_router();
        bind(&mut rig, "fwa", "metering", METER);
        let fits = 1_400 - overhead(over);
        // Packets of so many octets, with 28 or 48 octets of headers.
        for (to, headers) in [("10.40.0.1", 28), ("2001:db8:40::1", 48)] {
            let datagram =
                |octets: usize| to_gateway(Some(110), METER, to.parse().unwrap(), &vec![7; octets - headers]);
            assert_eq!(rig.put(ACCESS0, &[datagram(fits)])[0].0, CORE0, "{over:?}");
            let left = rig.put(ACCESS0, &[datagram(fits + 1)]);
            assert_eq!((left.len(), left[0].0), (1, ACCESS0), "{over:?}");
            let octets = &left[0].1;
            if headers == 28 {
                // RFC 1191, section 4: destination unreachable, fragmentation needed, the next hop's MTU.
                assert_eq!((&octets[38..40], &octets[42..44]), (&[3, 4][..], &[0, 0][..]));
                assert_eq!(usize::from(u16::from_be_bytes([octets[44], octets[45]])), fits);
                assert_eq!(octets.len(), 18 + 576, "as much as RFC 1812, section 4.3.2.3 allows");
            } else {
                // RFC 4443, section 3.2: packet too big, the MTU.
                assert_eq!(octets[58..60], [2, 0]);
                assert_eq!(u32::from_be_bytes(octets[62..66].try_into().unwrap()) as usize, fits);
                assert_eq!(octets.len(), 18 + 1_280);
            }
        }
        assert_eq!(rig.drops(ACCESS0), [(DropReason::TooBig, 2)]);
    }
}

#[test]
fn a_packet_that_is_too_long_for_the_slice_is_answered_with_what_is_not() {
    let mut program = program(Over::Srv6);
    program.content.slices[0].packet_octets_max = 1_300;
    let mut rig = Rig::with(program);
    rig.introduce_router();
    bind(&mut rig, "fwa", "metering", METER);
    let longest = to_gateway(Some(110), METER, "10.40.0.1".parse().unwrap(), &[7; 1_300 - 28]);
    assert_eq!(rig.put(ACCESS0, &[longest])[0].0, CORE0);
    // However much longer, and whether it may be cut into pieces or not (RFC 792: type 3, code 4; RFC 1191, section 4).
    for octets in [1_301, 9_000] {
        for flags in [0x00, 0x40] {
            let mut sent = to_gateway(Some(110), METER, "10.40.0.1".parse().unwrap(), &vec![7; octets - 28]);
            sent[18 + 6] = flags;
            sent[18 + 10..18 + 12].fill(0);
            let sum = frames::checksum(&sent[18..38]);
            sent[18 + 10..18 + 12].copy_from_slice(&sum.to_be_bytes());
            rig.now.0 += 1_000_000_000;
            let left = rig.put(ACCESS0, &[sent]);
            assert_eq!((left.len(), left[0].0), (1, ACCESS0), "{octets}");
            let answer = &left[0].1;
            assert_eq!((&answer[38..40], &answer[44..46]), (&[3, 4][..], &1_300_u16.to_be_bytes()[..]), "{octets}");
        }
    }
    let sent = to_gateway(Some(110), METER, "2001:db8:40::1".parse().unwrap(), &[7; 1_301 - 48]);
    let left = rig.put(ACCESS0, &[sent]);
    assert_eq!((&left[0].1[58..60], &left[0].1[62..66]), (&[2, 0][..], &1_300_u32.to_be_bytes()[..]));
    assert_eq!(rig.drops(ACCESS0), [(DropReason::TooBig, 5)]);
}

#[test]
fn what_a_sid_or_a_label_does_not_say_is_refused() {
    let mut rig = world(Over::Srv6);
    let IpAddr::V6(edge_b) = EDGE_B else { panic!() };
    let sid: Ipv6Addr = "fd00:a:0:5001::".parse().unwrap();
    // A frame in a SID for packets; another edge; a subnet that is not here.
    let in_sid = |from, next, payload: &[u8]| {
        frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &frames::ipv6(from, sid, 0, next, 60, payload))
    };
    let frame = frames::ethernet(METER.mac, device(9).mac, None, 0x0800, &[0x45; 30]);
    assert_eq!(rig.put(CORE0, &[in_sid(edge_b, 143, &frame)]), []);
    let (_, packet) = frames::datagram(("10.40.0.1".parse().unwrap(), 7), (METER.ipv4.into(), 7), 0, b"x");
    assert_eq!(rig.put(CORE0, &[in_sid(OTHER_LOOPBACK, 4, &packet)]), []);
    let (_, elsewhere) = frames::datagram(("10.40.0.1".parse().unwrap(), 7), ("10.40.0.2".parse().unwrap(), 7), 0, b"");
    assert_eq!(rig.put(CORE0, &[in_sid(edge_b, 4, &elsewhere)]), []);
    // Somebody behind edge B says to be the depot.
    let (_, forged) = frames::datagram((DEPOT.ipv4.into(), 7), (METER.ipv4.into(), 7), 0, b"x");
    assert_eq!(rig.put(CORE0, &[in_sid(edge_b, 4, &forged)]), []);
    let drops = [
        (DropReason::NoRoute, 1),
        (DropReason::InnerProtocol, 1),
        (DropReason::UnknownRemote, 1),
        (DropReason::SourceIsLocal, 1),
    ];
    let mut found = rig.drops(CORE0);
    found.sort();
    let mut expected = drops.to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_sid_may_stand_for_one_endpoint() {
    let mut program = program(Over::Srv6);
    let dx4: Ipv6Addr = "fd00:a:0:4444::".parse().unwrap();
    let dx6: Ipv6Addr = "fd00:a:0:6666::".parse().unwrap();
    let sids = &mut program.content.slices[0].segments[0].sids;
    sids.push(ServiceSid { sid: dx4.to_string().parse().unwrap(), behaviour: ServiceBehaviour::Dx4(METER.ipv4) });
    sids.push(ServiceSid { sid: dx6.to_string().parse().unwrap(), behaviour: ServiceBehaviour::Dx6(METER.ipv6) });
    let mut rig = Rig::with(program);
    rig.introduce_router();
    bind(&mut rig, "fwa", "metering", METER);
    let IpAddr::V6(edge_b) = EDGE_B else { panic!() };
    // To another address of the meter's subnets, to one behind another edge, and to one that no route leads to: End.DX4 and
    // End.DX6 do not look (RFC 8986, sections 4.4 and 4.5).
    let cases = [
        (dx4, 4, "10.40.0.1", "10.20.0.77"),
        (dx4, 4, "10.40.0.1", "10.40.0.2"),
        (dx4, 4, "10.40.0.1", "8.8.8.8"),
        (dx6, 41, "2001:db8:40::1", "2001:db8:20::77"),
        (dx6, 41, "2001:db8:40::1", "2001:db8:ffff::1"),
    ];
    for (sid, next, from, to) in cases {
        let (ethertype, packet) = frames::datagram((from.parse().unwrap(), 7), (to.parse().unwrap(), 7), 0, b"x");
        let outer = frames::ipv6(edge_b, sid, 0, next, 60, &packet);
        let expected = frames::ethernet(METER.mac, GATEWAY_MAC, Some(110), ethertype, &aged(&packet, 1));
        let sent = frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &outer);
        assert_eq!(rig.put(CORE0, &[sent]), [(ACCESS0, expected)]);
    }
}

const METER: Device = device(1);
const MONITOR: Device = device(2);
const DEPOT: Device = Device {
    mac: Mac([2, 0, 0, 0, 0, 30]),
    ipv4: Ipv4Addr::new(10, 30, 0, 3),
    ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0x30, 0, 0, 0, 0, 3),
};
const CORE_SID: &str = "fd00:1:0:1::";
const OTHER_LOOPBACK: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xaa);
