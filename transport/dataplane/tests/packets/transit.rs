//! A node on the way: SIDs, labels and plain routes for the packets of others.
//!
//! ```text
//!   west ── core0  core node  core1 ── east
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::profile::QueueClass;
use model::program::{
    Adjacency, CodelProgram, CorePort, Flavours, OuterMark, PortShaping, Program, ProgramContent, TransitBehaviour,
    TransitLabel, TransitQueue, TransitSid, UnderlayRoute,
};
use model::{Dscp, Generation, InterfaceAddress, Label, Mac, Rate, Sid, TrafficClass, Weight};
use transport_dataplane::{DropReason, Nanos, PortIndex};

use crate::frames;
use crate::queues::queue;
use crate::rig::*;

const WEST: PortIndex = PortIndex(0);
const EAST: PortIndex = PortIndex(1);
const WEST_MAC: Mac = Mac([2, 0xcc, 0, 0, 1, 1]);
const EAST_MAC: Mac = Mac([2, 0xcc, 0, 0, 2, 1]);
const OURS: [(&str, Mac); 2] = [("core0", Mac([2, 0xc0, 0, 0, 0, 0])), ("core1", Mac([2, 0xc0, 0, 0, 0, 1]))];
const LOOPBACK: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc1);

const fn link(at: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1, at, 0, 0, 0, host)
}

/// This node's SIDs, by what they do.
const fn own(function: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xc1, 0, function, 0, 0, 0, 0)
}

const END: Ipv6Addr = own(1);
const END_PSP: Ipv6Addr = own(2);
const END_USP: Ipv6Addr = own(3);
const END_USD: Ipv6Addr = own(4);
const X_EAST: Ipv6Addr = own(5);
const X_EAST_PSP: Ipv6Addr = own(6);
const X_WEST_USD: Ipv6Addr = own(7);
/// Of nodes east and west.
const EASTERN: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xea, 0, 1, 0, 0, 0, 0);
const WESTERN: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xae, 0, 1, 0, 0, 0, 0);
const NOWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xff, 0, 1, 0, 0, 0, 0);
/// The sender of all packets, and what they carry.
const FROM: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xa);
const INSIDE: &[u8] = b"whatever is inside";
/// No next header (RFC 8200, section 4.7).
const NONE: u8 = 59;
const ROUTING: u8 = 43;

fn adjacency(port: &str, next_hop: IpAddr) -> Adjacency {
    Adjacency { port: port.parse().unwrap(), next_hop }
}

fn west() -> Adjacency {
    adjacency("core0", link(1, 1).into())
}

fn east() -> Adjacency {
    adjacency("core1", link(2, 1).into())
}

fn program() -> Program {
    let flavours = |psp, usp, usd| Flavours { psp, usp, usd };
    let sid = |sid, behaviour, flavours| TransitSid { sid: Sid::new(sid).unwrap(), behaviour, flavours };
    let label = |label: u64, swap: Option<u64>, out| TransitLabel {
        label: Label::new(label).unwrap(),
        swap: swap.map(|label| Label::new(label).unwrap()),
        out,
    };
    let route = |prefix: &str, via| UnderlayRoute { prefix: prefix.parse().unwrap(), via };
    let port = |name: &str, at, mtu| CorePort {
        port: name.parse().unwrap(),
        addresses: vec![InterfaceAddress::new(link(at, 0xc1).into(), 64).unwrap()],
        mtu,
    };
    let mut content = ProgramContent {
        loopback: vec![LOOPBACK.into()],
        core_ports: vec![port("core0", 1, 1_600), port("core1", 2, 1_500)],
        ..ProgramContent::empty("core-1".parse().unwrap())
    };
    content.transit.sids = vec![
        sid(END, TransitBehaviour::End, flavours(false, false, false)),
        sid(END_PSP, TransitBehaviour::End, flavours(true, false, false)),
        sid(END_USP, TransitBehaviour::End, flavours(false, true, false)),
        sid(END_USD, TransitBehaviour::End, flavours(true, true, true)),
        sid(X_EAST, TransitBehaviour::EndX(east()), flavours(false, false, false)),
        sid(X_EAST_PSP, TransitBehaviour::EndX(east()), flavours(true, false, false)),
        sid(X_WEST_USD, TransitBehaviour::EndX(west()), flavours(false, false, true)),
    ];
    content.transit.labels =
        vec![label(300_001, Some(310_001), east()), label(300_002, None, east()), label(300_003, Some(16), west())];
    content.transit.routes = vec![
        route("fd00:ea::/32", east()),
        route("fd00:ae::/32", west()),
        route("2001:db8::/64", west()),
        route("2001:db8::e0/124", east()),
        route("192.0.2.0/24", west()),
        route("192.0.2.224/28", east()),
    ];
    Program { generation: Generation::new(1), content }
}

/// The node, with both neighbours known.
fn world() -> Rig {
    let mut rig = Rig::on(&OURS, program(), 0);
    introduce(&mut rig);
    rig
}

/// The same on slow links, with classes for what passes through; best effort with or without CoDel.
fn slow(codel: Option<CodelProgram>) -> Rig {
    let mut program = program();
    let rate = Rate::from_bits_per_second(1_000_000);
    let shaping = |port: &str| PortShaping { port: port.parse().unwrap(), rate, classes: vec![] };
    program.content.shaping = vec![shaping("core0"), shaping("core1")];
    program.content.queues = QueueClass::ALL.map(queue).to_vec();
    program.content.queues[1].weight = Weight::new(100).unwrap();
    program.content.queues[4].codel = codel;
    let real_time = |outer| TransitQueue { outer, queue: QueueClass::RealTime };
    program.content.transit.queues = vec![
        real_time(OuterMark::Dscp(Dscp::new(46).unwrap())),
        real_time(OuterMark::TrafficClass(TrafficClass::new(5).unwrap())),
    ];
    let mut rig = Rig::on(&OURS, program, 0);
    introduce(&mut rig);
    rig
}

fn introduce(rig: &mut Rig) {
    for (port, at, mac) in [(WEST, 1, WEST_MAC), (EAST, 2, EAST_MAC)] {
        let said = frames::icmpv6(link(at, 1), link(at, 0xc1), 255, frames::neighbour(136, link(at, 1), Some(mac)));
        assert_eq!(rig.put(port, &[frames::ethernet(OURS[port.get()].1, mac, None, 0x86dd, &said)]), []);
    }
}

/// What passes through waits by its outermost mark; network control does not wait.
#[test]
fn a_full_link_keeps_the_order_of_classes() {
    let mut rig = slow(None);
    let ip = |class: u8| from_west(0x86dd, &frames::ipv6(FROM, EASTERN, class, NONE, 9, &[class; 900]));
    let labelled = |class: u8| from_west(0x8847, &[&frames::label(300_001, class, true, 9)[..], &[0x45; 900]].concat());
    let mut burst: Vec<_> = (0..20).map(|_| ip(0)).collect();
    burst.extend([ip(46 << 2), labelled(5), labelled(0), ip(48 << 2)]);
    let at_once = rig.put(WEST, &burst);
    let later = rig.wait(Nanos(u64::MAX)).into_iter().map(|(_, left)| left);
    let left: Vec<_> = at_once.into_iter().chain(later).map(|(_, octets)| octets).collect();
    assert_eq!(left.len(), 24);
    let place = |is: &dyn Fn(&[u8]) -> bool| left.iter().position(|octets| is(octets)).unwrap();
    let class = |octets: &[u8]| (octets[12..14] == [0x86, 0xdd]).then(|| octets[14] << 4 | octets[15] >> 4);
    let label = |octets: &[u8]| (octets[12..14] == [0x88, 0x47]).then(|| octets[16] >> 1 & 7);
    assert!(place(&|octets| class(octets) == Some(48 << 2)) <= 1, "network control goes past");
    assert!(place(&|octets| class(octets) == Some(46 << 2)) <= 4);
    assert!(place(&|octets| label(octets) == Some(5)) <= 5);
    assert_eq!(place(&|octets| label(octets) == Some(0)), 23, "first come, first served in its class");
}

/// The outer header carries the mark of a queue that stands, so that the edge at the end merges it in (RFC 6040).
#[test]
fn a_full_link_marks_outer_headers() {
    let codel = Some(CodelProgram { target_nanos: 5_000_000, interval_nanos: 100_000_000 });
    let mut rig = slow(codel);
    let marked = |rig: &mut Rig, frame: Vec<u8>| {
        rig.put(WEST, &vec![frame.clone(); 30]);
        rig.put(WEST, &vec![frame; 30]);
        let left = rig.wait(Nanos(u64::MAX));
        left.into_iter()
            .filter(|(_, (_, octets))| octets[15] >> 4 & 3 == 3 || octets[12] == 8 && octets[15] & 3 == 3)
            .count()
    };
    let ipv6 = from_west(0x86dd, &frames::ipv6(FROM, EASTERN, 2, NONE, 9, &[0; 900]));
    assert!(marked(&mut rig, ipv6) >= 2);
    assert_eq!(rig.drops(WEST), []);
    let mut rig = slow(codel);
    let labelled = from_west(0x8847, &[&frames::label(300_001, 0, true, 9)[..], &[0x45; 900]].concat());
    assert_eq!(marked(&mut rig, labelled), 0);
    assert!(matches!(rig.drops(WEST)[..], [(DropReason::QueueStands, 2..)]), "labels carry no mark");
}

fn from_west(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    frames::ethernet(OURS[0].1, WEST_MAC, None, ethertype, packet)
}

fn to_east(ethertype: u16, packet: &[u8]) -> Left {
    (EAST, frames::ethernet(EAST_MAC, OURS[1].1, None, ethertype, packet))
}

fn to_west(ethertype: u16, packet: &[u8]) -> Left {
    (WEST, frames::ethernet(WEST_MAC, OURS[0].1, None, ethertype, packet))
}

/// A packet with a segment routing header: to whom, hop limit, segments left, list.
fn routed(to: Ipv6Addr, hops: u8, left: u8, list: &[Ipv6Addr]) -> Vec<u8> {
    let payload = [&frames::srh(NONE, left, list, &[4, 6, 0, 0, 0, 0, 0, 0]), INSIDE].concat();
    frames::ipv6(FROM, to, 0, ROUTING, hops, &payload)
}

fn plain(to: Ipv6Addr, hops: u8) -> Vec<u8> {
    frames::ipv6(FROM, to, 0, NONE, hops, INSIDE)
}

fn ipv4(to: Ipv4Addr, ttl: u8) -> Vec<u8> {
    let mut packet = frames::ipv4(Ipv4Addr::new(192, 0, 2, 1), to, 0, 17, INSIDE);
    packet[8] = ttl;
    packet[10..12].fill(0);
    let sum = frames::checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// A packet in a packet to one of our SIDs, with and without a segment routing header that is used up.
fn wrapped(to: Ipv6Addr, next: u8, inner: &[u8]) -> [Vec<u8>; 2] {
    let with = [&frames::srh(next, 0, &[to, WESTERN], &[]), inner].concat();
    [frames::ipv6(FROM, to, 0, ROUTING, 9, &with), frames::ipv6(FROM, to, 0, next, 9, inner)]
}

/// What comes of IPv6 packets from the west.
fn check(cases: &[(Vec<u8>, Left)]) {
    let mut rig = world();
    for (packet, expected) in cases {
        let left = rig.put(WEST, &[from_west(0x86dd, packet)]);
        assert_eq!(left, std::slice::from_ref(expected), "{packet:02x?}");
    }
    assert_eq!((rig.drops(WEST), rig.drops(EAST)), (vec![], vec![]));
}

/// RFC 8986, sections 4.1 and 4.2.
#[test]
fn end_goes_on_by_routes_and_end_x_over_its_link() {
    let list = [EASTERN, END, WESTERN];
    check(&[
        (routed(END, 64, 1, &[EASTERN, END]), to_east(0x86dd, &routed(EASTERN, 63, 0, &[EASTERN, END]))),
        // Reduced: the active segment is not in the list.
        (routed(END, 64, 1, &[WESTERN]), to_west(0x86dd, &routed(WESTERN, 63, 0, &[WESTERN]))),
        (routed(END, 64, 3, &list), to_west(0x86dd, &routed(WESTERN, 63, 2, &list))),
        // Wherever it goes: to the link's neighbour.
        (routed(X_EAST, 64, 1, &[WESTERN]), to_east(0x86dd, &routed(WESTERN, 63, 0, &[WESTERN]))),
        (routed(X_EAST, 64, 1, &[NOWHERE]), to_east(0x86dd, &routed(NOWHERE, 63, 0, &[NOWHERE]))),
        // Whatever argument it comes with.
        (
            routed(Ipv6Addr::from_bits(END.to_bits() | 0x1234), 64, 1, &[EASTERN]),
            to_east(0x86dd, &routed(EASTERN, 63, 0, &[EASTERN])),
        ),
    ]);
}

/// RFC 8986, section 4.16.1: only when segments left becomes 0.
#[test]
fn psp_takes_the_header_out_at_the_last_but_one() {
    let list = [EASTERN, WESTERN];
    check(&[
        (routed(END_PSP, 64, 1, &[EASTERN]), to_east(0x86dd, &plain(EASTERN, 63))),
        (routed(END_PSP, 64, 2, &list), to_west(0x86dd, &routed(WESTERN, 63, 1, &list))),
        (routed(X_EAST_PSP, 64, 1, &[WESTERN]), to_east(0x86dd, &plain(WESTERN, 63))),
    ]);
}

/// One hop each, as if there were links between them.
#[test]
fn sids_of_this_node_that_follow_one_another_are_steps_of_one_packet() {
    let list = [EASTERN, END, END_PSP, END];
    // With a flow label where segments left of the header stood that is out by then.
    let labelled = |hops| {
        let mut inner = plain(EASTERN, hops);
        inner[3] = 9;
        inner
    };
    let usd = {
        let payload = [&frames::srh(41, 1, &[END_USD], &[]), &labelled(7)[..]].concat();
        frames::ipv6(FROM, END_PSP, 0, ROUTING, 9, &payload)
    };
    check(&[
        (routed(END, 64, 3, &list[..3]), to_east(0x86dd, &routed(EASTERN, 61, 0, &list[..3]))),
        (routed(END, 64, 2, &[EASTERN, X_EAST]), to_east(0x86dd, &routed(EASTERN, 62, 0, &[EASTERN, X_EAST]))),
        // The header has been taken out before the last of them decapsulates.
        (usd, to_east(0x86dd, &labelled(6))),
    ]);
}

/// RFC 8986, section 4.16.3.
#[test]
fn usd_takes_the_outer_headers_off() {
    let east_v4 = Ipv4Addr::new(192, 0, 2, 225);
    let mut cases = vec![];
    for outer in wrapped(END_USD, 41, &plain(EASTERN, 7)) {
        cases.push((outer, to_east(0x86dd, &plain(EASTERN, 6))));
    }
    for outer in wrapped(END_USD, 4, &ipv4(east_v4, 7)) {
        cases.push(([outer, vec![0xee; 5]].concat(), to_east(0x0800, &ipv4(east_v4, 6))));
    }
    // End.X: over its link, whatever is inside.
    for outer in wrapped(X_WEST_USD, 41, &plain(EASTERN, 7)) {
        cases.push((outer, to_west(0x86dd, &plain(EASTERN, 6))));
    }
    check(&cases);
}

#[test]
fn plain_packets_take_the_longest_prefix() {
    let loopback = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    let longest = |hops| frames::ipv6(FROM, EASTERN, 0, NONE, hops, &[0; 1_460]);
    let ping = |hops| frames::icmpv6(FROM, loopback(0xe1), hops, vec![128, 0, 0, 0, 0, 1, 0, 1]);
    check(&[
        (longest(64), to_east(0x86dd, &longest(63))),
        (plain(EASTERN, 2), to_east(0x86dd, &plain(EASTERN, 1))),
        (plain(loopback(0xe1), 64), to_east(0x86dd, &plain(loopback(0xe1), 63))),
        (plain(loopback(0xf1), 64), to_west(0x86dd, &plain(loopback(0xf1), 63))),
        // Somebody else's segment routing header is no business of ours.
        (routed(EASTERN, 64, 1, &[WESTERN]), to_east(0x86dd, &routed(EASTERN, 63, 1, &[WESTERN]))),
        // Nor is an ICMPv6 message between others.
        (ping(64), to_east(0x86dd, &ping(63))),
    ]);
    let mut rig = world();
    for (last, out) in [(225, to_east as fn(u16, &[u8]) -> Left), (7, to_west)] {
        let to = Ipv4Addr::new(192, 0, 2, last);
        assert_eq!(rig.put(WEST, &[from_west(0x0800, &ipv4(to, 64))]), [out(0x0800, &ipv4(to, 63))]);
    }
}

#[test]
fn labels_are_swapped_and_popped() {
    let mut rig = world();
    let stack = |entries: &[[u8; 4]], below: &[u8]| [&entries.concat(), below].concat();
    let below = frames::label(77_777, 5, true, 9);
    let (v4, v6) = (ipv4(Ipv4Addr::new(10, 0, 0, 1), 3), plain(NOWHERE, 3));
    let cases = [
        // The traffic class and the bottom stay, the time to live goes down (RFC 3032, section 2.4.2).
        (
            stack(&[frames::label(300_001, 6, false, 64), below], INSIDE),
            to_east(0x8847, &stack(&[frames::label(310_001, 6, false, 63), below], INSIDE)),
        ),
        (
            stack(&[frames::label(300_003, 0, true, 2)], INSIDE),
            to_west(0x8847, &stack(&[frames::label(16, 0, true, 1)], INSIDE)),
        ),
        (stack(&[frames::label(300_002, 6, false, 64), below], INSIDE), to_east(0x8847, &stack(&[below], INSIDE))),
        (stack(&[frames::label(300_002, 6, true, 64)], &v4), to_east(0x0800, &v4)),
        (stack(&[frames::label(300_002, 6, true, 64)], &v6), to_east(0x86dd, &v6)),
    ];
    for (packet, expected) in cases {
        assert_eq!(rig.put(WEST, &[from_west(0x8847, &packet)]), [expected], "{packet:02x?}");
    }
}

#[test]
fn what_can_not_go_on_is_dropped_by_name() {
    use DropReason::*;
    let v6 = |packet: Vec<u8>| from_west(0x86dd, &packet);
    let v4 = |packet: Vec<u8>| from_west(0x0800, &packet);
    let label = |number, is_bottom, ttl, below: &[u8]| {
        from_west(0x8847, &[&frames::label(number, 0, is_bottom, ttl), below].concat())
    };
    let one = |[octets, _]: [Vec<u8>; 2]| v6(octets);
    let east_v4 = Ipv4Addr::new(192, 0, 2, 225);
    let mut wrong = ipv4(east_v4, 64);
    wrong[10] ^= 1;
    let fragment = |field: u8| {
        let payload = [&[41, 0, 0, field, 0, 0, 0, 7][..], &plain(EASTERN, 7)].concat();
        v6(frames::ipv6(FROM, END_USD, 0, 44, 9, &payload))
    };
    let all = |packet: &[u8]| frames::ethernet(frames::BROADCAST, WEST_MAC, None, 0x86dd, packet);
    let of_link = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let mut beyond = routed(END, 64, 1, &[EASTERN]);
    beyond[44] = 2;
    let cases = [
        (HopLimit, v6(plain(EASTERN, 1))),
        (HopLimit, v6(plain(EASTERN, 0))),
        (HopLimit, v4(ipv4(east_v4, 1))),
        (HopLimit, v6(routed(END, 1, 1, &[EASTERN]))),
        (HopLimit, v6(routed(X_EAST, 1, 1, &[EASTERN]))),
        // Two steps at this node, one hop left.
        (HopLimit, v6(routed(END, 2, 2, &[EASTERN, END]))),
        (HopLimit, one(wrapped(END_USD, 41, &plain(EASTERN, 1)))),
        (HopLimit, one(wrapped(END_USD, 4, &ipv4(east_v4, 1)))),
        (HopLimit, label(300_001, true, 1, INSIDE)),
        (HopLimit, label(300_002, false, 0, &frames::label(77_777, 0, true, 9))),
        (NoRoute, v6(plain(NOWHERE, 64))),
        (NoRoute, v4(ipv4(Ipv4Addr::new(203, 0, 113, 1), 64))),
        (NoRoute, v6(routed(END, 64, 1, &[NOWHERE]))),
        (NoRoute, one(wrapped(END_USD, 41, &plain(NOWHERE, 7)))),
        (SegmentsLeft, v6(routed(END, 64, 0, &[EASTERN]))),
        (SegmentsLeft, v6(plain(END, 64))),
        (SegmentsLeft, v6(routed(END, 64, 2, &[EASTERN]))),
        (SegmentsLeft, v6(routed(X_EAST_PSP, 64, 255, &[EASTERN]))),
        (SegmentsLeft, v6(routed(LOOPBACK, 64, 1, &[EASTERN]))),
        // The list is longer than the header.
        (Malformed, v6(beyond)),
        (NotServed, v6(routed(END_USP, 64, 0, &[END_USP]))),
        (InnerProtocol, one(wrapped(END_USD, 143, &[0; 14]))),
        (InnerProtocol, fragment(1)),
        (InnerProtocol, fragment(8)),
        (Malformed, one(wrapped(END_USD, 41, &plain(EASTERN, 7)[..39]))),
        (Malformed, one(wrapped(END_USD, 4, &[0x45; 19]))),
        (Checksum, v4(wrong.clone())),
        (Checksum, one(wrapped(END_USD, 4, &wrong))),
        (InnerProtocol, label(300_002, true, 64, &[2; 60])),
        (InnerProtocol, label(300_002, true, 64, &[])),
        (UnknownLabel, label(300_009, true, 64, INSIDE)),
        (ReservedLabel, label(0, true, 64, &ipv4(east_v4, 64))),
        (Malformed, label(300_001, false, 64, &[])),
        (TooBig, v6(frames::ipv6(FROM, EASTERN, 0, NONE, 64, &[0; 1_461]))),
        (TooBig, label(300_001, true, 64, &[0; 1_497])),
        // What is of a link stays there (RFC 4291, sections 2.5.2 and 2.5.6).
        (NotForUs, v6(frames::ipv6(Ipv6Addr::UNSPECIFIED, EASTERN, 0, NONE, 64, INSIDE))),
        (NotForUs, v6(frames::ipv6(of_link, EASTERN, 0, NONE, 64, INSIDE))),
        (NotForUs, v6(frames::ipv6(of_link, END, 0, NONE, 64, INSIDE))),
        (NotForUs, v6(plain(of_link, 64))),
        // A broadcast frame is for nobody to pass on (RFC 1812, section 5.3.4).
        (NotForUs, all(&plain(EASTERN, 64))),
        (NotForUs, all(&routed(END, 64, 1, &[EASTERN]))),
    ];
    for (reason, octets) in cases {
        let mut rig = world();
        assert_eq!(rig.put(WEST, std::slice::from_ref(&octets)), [], "{reason}: {octets:02x?}");
        assert_eq!(rig.drops(WEST), [(reason, 1)], "{octets:02x?}");
    }
}

#[test]
fn without_its_neighbour_nothing_goes_on() {
    let mut rig = Rig::on(&OURS, program(), 0);
    let label = [&frames::label(300_001, 0, true, 64), INSIDE].concat();
    let put = [from_west(0x86dd, &plain(EASTERN, 64)), from_west(0x8847, &label)];
    assert_eq!(rig.put(WEST, &put), []);
    assert_eq!(rig.drops(WEST), [(DropReason::NeighbourUnresolved, 2)]);
    assert_eq!(rig.tick().len(), 2, "both neighbours are asked for");
}

#[test]
fn without_routes_nothing_is_passed_on() {
    let mut program = program();
    program.generation = Generation::new(2);
    program.content.transit.routes.clear();
    let mut rig = world();
    rig.run(program);
    let packets = [plain(EASTERN, 64), routed(END, 64, 1, &[EASTERN]), routed(X_EAST, 64, 1, &[EASTERN])];
    for packet in packets {
        assert_eq!(rig.put(WEST, &[from_west(0x86dd, &packet)]), []);
    }
    assert_eq!(rig.put(WEST, &[from_west(0x0800, &ipv4(Ipv4Addr::new(192, 0, 2, 225), 64))]), []);
    assert_eq!(rig.drops(WEST), [(DropReason::NotForUs, 4)]);
}

/// Two nodes that each believe the other to be on the way.
#[test]
fn a_loop_ends() {
    let mut one = world();
    let list = [WESTERN];
    for (ethertype, packet) in [
        (0x86dd, plain(WESTERN, 255)),
        (0x86dd, routed(END, 255, 1, &list)),
        (0x0800, ipv4(Ipv4Addr::new(192, 0, 2, 9), 255)),
    ] {
        let mut octets = from_west(ethertype, &packet);
        let mut hops = 0;
        while let Some((_, left)) = one.put(WEST, &[octets.clone()]).pop() {
            // The other sends it back as it came.
            octets = frames::ethernet(OURS[0].1, WEST_MAC, None, ethertype, &left[14..]);
            hops += 1;
            assert!(hops < 256);
        }
        assert_eq!(hops, 254);
    }
    assert_eq!(one.drops(WEST), [(DropReason::HopLimit, 3)]);
}
