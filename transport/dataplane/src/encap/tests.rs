use std::fmt::Write;
use std::net::IpAddr;

use model::profile::QueueClass;
use model::program::{InnerMark, Marking};
use model::resource::Srh;
use model::{Dscp, Label, Mac, Sid, TrafficClass, Vni};
use proptest::prelude::*;
use transport_wire::checksum::Sum;

use super::*;
use crate::frame::FramePool;

const ROUTER: Mac = Mac([2, 0xcc, 0, 0, 0, 1]);
const PORT: Mac = Mac([2, 0xed, 0, 0, 0, 2]);

/// Ethernet, IPv4 with ECT(1), UDP 1000 to 2000, "golden".
const INNER: &str = "020000000009020000000001080045010022000700003d1169920a1400010a14000903e807d0000ea6a6676f6c64656e";

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

fn frame(octets: &[u8]) -> Frame {
    let mut frame = FramePool::new(1).take().unwrap();
    assert!(frame.copy_from(octets));
    frame
}

/// What comes of the inner frame, or of the packet in it, on a path with these labels, from endpoints of a group.
fn wrapped(payload: Payload, group: Group, labels: &[u64], encap: &Encap) -> String {
    let mut frame = frame(&octets(INNER));
    let mark = marks().of(&Flow::parse(frame.octets()).unwrap(), frame.octets());
    let flow = Flow::parse(frame.octets()).unwrap();
    if payload == Payload::Ipv4 {
        frame.pull_front(14);
    }
    let (before, room) = (frame.len(), encap.len() + 14 + 4 * labels.len());
    let inner = Inner::new(&flow, payload, group, mark);
    encap.push(&mut frame, inner);
    let labels: Vec<_> = labels.iter().map(|label| Label::new(*label).unwrap()).collect();
    let link = Link::new(PORT, &labels).unwrap();
    assert_eq!(link.label_octets(), 4 * labels.len());
    link.push(&mut frame, ROUTER, encap.outer.ethertype(), inner.mark);
    assert_eq!(frame.len(), before + room);
    hex(frame.octets())
}

fn vxlan(local: &str, remote: &str, vni: u64, group: bool) -> Encap {
    let outer = Outer::udp(local.parse().unwrap(), remote.parse().unwrap(), 4789).unwrap();
    Encap { shim: Shim::vxlan(Vni::new(vni).unwrap(), group), outer }
}

fn srv6(path: &[&str], service: &str, srh: Srh, group: bool) -> Encap {
    let path: Vec<Sid> = path.iter().map(|sid| sid.parse().unwrap()).collect();
    let (local, service) = ("2001:db8::a".parse().unwrap(), service.parse().unwrap());
    Encap { shim: Shim::None, outer: Outer::srv6(local, &path, service, srh, group).unwrap() }
}

fn labels(group: bool, flow: bool, control_word: bool) -> Shim {
    let service = Label::new(110_003).unwrap();
    Shim::labels(Labelled { service, group, flow, control_word })
}

/// Of a slice whose devices may ask for expedited forwarding; all else is DSCP 10, and 3 on labels.
fn marks() -> Marks {
    Marks::new(mark(10, 3), &[marking(46, 46, 5)])
}

fn mark(dscp: u64, class: u64) -> Mark {
    Mark::new(Dscp::new(dscp).unwrap(), TrafficClass::new(class).unwrap(), QueueClass::BestEffort)
}

fn marking(inner: u64, dscp: u64, class: u64) -> Marking {
    let [inner, dscp] = [inner, dscp].map(|dscp| Dscp::new(dscp).unwrap());
    let (inner, queue) = (InnerMark::Dscp(inner), QueueClass::RealTime);
    Marking { inner, dscp, traffic_class: TrafficClass::new(class).unwrap(), queue }
}

/// The expected octets of all of these were made by Scapy 2.8.0; flow label, source port and the pseudowire's flow label are
/// ours to choose. Here: `Ether(dst="02:cc:00:00:00:01", src="02:ed:00:00:00:02") / IPv6(src="2001:db8::a",
/// dst="2001:db8::b", tc=10 << 2 | 1, fl=0x6e3a5, hlim=64) / UDP(sport=0xcb09, dport=4789) / VXLAN(vni=5001, flags=8) /
/// Ether(INNER)`.
#[test]
fn vxlan_over_ipv6_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a50040114020010db800000000000000000000000a20010db800000000000000000000000bcb0912b500403d5c0800000000138900{INNER}"
    );
    assert_eq!(
        wrapped(Payload::Ethernet, Group::LEAF, &[], &vxlan("2001:db8::a", "2001:db8::b", 5_001, false)),
        expected
    );
}

/// `Ether(…) / IP(src="192.0.2.1", dst="192.0.2.4", tos=10 << 2 | 1, id=0, flags="DF", ttl=64) / UDP(sport=0xcb09,
/// dport=4789, chksum=0) / VXLAN(vni=6001, flags=8) / Ether(INNER)`.
#[test]
fn vxlan_over_ipv4_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed00000002080045290054000040004011b66ac0000201c0000204cb0912b5004000000800000000177100{INNER}"
    );
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[], &vxlan("192.0.2.1", "192.0.2.4", 6_001, false)), expected);
}

/// `… / UDP(sport=0xcb09, dport=4789) / VXLAN(vni=5001, flags=0x88, gpid=1) / Ether(INNER)`.
#[test]
fn vxlan_carries_the_group_of_the_sender() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a50040114020010db800000000000000000000000a20010db800000000000000000000000bcb0912b50040bd5a8800000100138900{INNER}"
    );
    assert_eq!(
        wrapped(Payload::Ethernet, Group::LEAF, &[], &vxlan("2001:db8::a", "2001:db8::b", 5_001, true)),
        expected
    );
}

/// `Ether(…, type=0x8847) / MPLS(label=200001, cos=3, s=0, ttl=64) / MPLS(label=210002, cos=3, s=1, ttl=64) / IPv6(…) /
/// UDP(…) / VXLAN(vni=5001, flags=8) / Ether(INNER)`.
#[test]
fn vxlan_over_a_labelled_path_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed00000002884730d41640334527406296e3a50040114020010db800000000000000000000000a20010db800000000000000000000000bcb0912b500403d5c0800000000138900{INNER}"
    );
    let encap = vxlan("2001:db8::a", "2001:db8::b", 5_001, false);
    assert_eq!(wrapped(Payload::Ethernet, Group::ROOT, &[200_001, 210_002], &encap), expected);
}

/// One segment needs no header of its own: `Ether(…) / IPv6(src="2001:db8::a", dst="fd00:b::1:0:0:1", …, nh=143) / INNER`,
/// with group 1 as the argument.
#[test]
fn srv6_with_one_segment_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a500308f4020010db800000000000000000000000afd00000b000000000001000000000001{INNER}"
    );
    assert_eq!(
        wrapped(Payload::Ethernet, Group::LEAF, &[], &srv6(&[], "fd00:b::1:0:0:0", Srh::Reduced, true)),
        expected
    );
}

/// `Ether(…) / IPv6(src="2001:db8::a", dst="fd00:1:0:1::", …, nh=43) / IPv6ExtHdrSegmentRouting(nh=143,
/// addresses=["fd00:b::1:0:0:1", "fd00:2:0:1::"], segleft=2, lastentry=1) / INNER`.
#[test]
fn srv6_with_three_segments_leaves_the_first_out_of_the_list() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a500582b4020010db800000000000000000000000afd0000010000000100000000000000008f04040201000000fd00000b000000000001000000000001fd000002000000010000000000000000{INNER}"
    );
    let encap = srv6(&["fd00:1:0:1::", "fd00:2:0:1::"], "fd00:b::1:0:0:0", Srh::Reduced, true);
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[], &encap), expected);
}

/// `… / IPv6ExtHdrSegmentRouting(nh=4, addresses=["fd00:b::1:0:0:0"], segleft=1, lastentry=0) / IP(…)`, without a group.
#[test]
fn srv6_carries_an_ip_packet_without_its_frame() {
    let packet = &INNER[28..];
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a5003a2b4020010db800000000000000000000000afd0000010000000100000000000000000402040100000000fd00000b000000000001000000000000{packet}"
    );
    let encap = srv6(&["fd00:1:0:1::"], "fd00:b::1:0:0:0", Srh::Reduced, false);
    assert_eq!(wrapped(Payload::Ipv4, Group::LEAF, &[], &encap), expected);
}

/// RFC 8986, section 5.3: `… / IPv6(dst="fd00:1:0:1::", nh=43) / IPv6ExtHdrSegmentRouting(nh=143,
/// addresses=["fd00:b::1:0:0:1", "fd00:2:0:1::", "fd00:1:0:1::"], segleft=2, lastentry=2) / INNER`.
#[test]
fn srv6_with_the_whole_list_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a500682b4020010db800000000000000000000000afd0000010000000100000000000000008f06040202000000fd00000b000000000001000000000001fd000002000000010000000000000000fd000001000000010000000000000000{INNER}"
    );
    let encap = srv6(&["fd00:1:0:1::", "fd00:2:0:1::"], "fd00:b::1:0:0:0", Srh::Full, true);
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[], &encap), expected);
}

/// One segment is a list of one, and its argument stands twice: `… / IPv6(dst="fd00:b::1:0:0:1", nh=43) /
/// IPv6ExtHdrSegmentRouting(nh=143, addresses=["fd00:b::1:0:0:1"], segleft=0, lastentry=0) / INNER`.
#[test]
fn srv6_with_a_list_of_one_has_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a500482b4020010db800000000000000000000000afd00000b0000000000010000000000018f02040000000000fd00000b000000000001000000000001{INNER}"
    );
    let encap = srv6(&[], "fd00:b::1:0:0:0", Srh::Full, true);
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[], &encap), expected);
}

/// RFC 8986, section 5.1: `… / IPv6ExtHdrSegmentRouting(nh=4, addresses=["fd00:b::1:0:0:0", "fd00:1:0:1::"], segleft=1,
/// lastentry=1) / IP(…)`, without a group.
#[test]
fn srv6_carries_an_ip_packet_behind_the_whole_list() {
    let packet = &INNER[28..];
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a5004a2b4020010db800000000000000000000000afd0000010000000100000000000000000404040101000000fd00000b000000000001000000000000fd000001000000010000000000000000{packet}"
    );
    let encap = srv6(&["fd00:1:0:1::"], "fd00:b::1:0:0:0", Srh::Full, false);
    assert_eq!(wrapped(Payload::Ipv4, Group::LEAF, &[], &encap), expected);
}

/// `Ether(…, type=0x8847) / MPLS(label=200001, cos=3, s=0, ttl=64) / MPLS(label=110003, cos=3, s=0, ttl=64) /
/// MPLS(label=0x10001, cos=3, s=0, ttl=1) / MPLS(label=181115, cos=3, s=1, ttl=1) / 4 zero octets / INNER`.
#[test]
fn a_pseudowire_has_the_octets_of_scapy() {
    let expected = format!("02cc0000000102ed00000002884730d416401adb3640100016012c27b70100000000{INNER}");
    let encap = Encap { shim: labels(true, true, true), outer: Outer::None };
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[200_001], &encap), expected);
}

/// `Ether(…, type=0x8847) / MPLS(label=110003, cos=3, s=1, ttl=64) / INNER`: to the next hop, with nothing that RFC 4448
/// does not ask for.
#[test]
fn a_plain_pseudowire_has_the_octets_of_scapy() {
    let expected = format!("02cc0000000102ed0000000288471adb3740{INNER}");
    let encap = Encap { shim: labels(false, false, false), outer: Outer::None };
    assert_eq!(wrapped(Payload::Ethernet, Group::LEAF, &[], &encap), expected);
}

/// `… IPv6(src="2001:db8::a", dst="2001:db8::b", …) / UDP(sport=0xcb09, dport=6635) / MPLS(label=110003, cos=3, s=1,
/// ttl=64) / INNER` (RFC 7510).
#[test]
fn labels_in_udp_have_the_octets_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a5003c114020010db800000000000000000000000a20010db800000000000000000000000bcb0919eb003c75261adb3740{INNER}"
    );
    let outer = Outer::udp("2001:db8::a".parse().unwrap(), "2001:db8::b".parse().unwrap(), 6635).unwrap();
    let encap = Encap { shim: labels(false, false, false), outer };
    assert_eq!(wrapped(Payload::Ethernet, Group::ROOT, &[], &encap), expected);
}

#[test]
fn a_tunnel_has_two_ends_of_one_family() {
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::a".parse().unwrap());
    assert!(Outer::udp(v4, v6, 4789).is_none());
    assert!(Outer::udp(v6, v4, 4789).is_none());
}

#[test]
fn there_are_so_many_segments_and_labels_at_most() {
    let sid: Sid = "fd00:b::1:0:0:0".parse().unwrap();
    let path = [sid; SIDS_MAX];
    let local = "2001:db8::a".parse().unwrap();
    for srh in [Srh::Reduced, Srh::Full] {
        assert!(Outer::srv6(local, &path[1..], sid, srh, true).is_some());
        assert!(Outer::srv6(local, &path, sid, srh, true).is_none());
    }
    assert!(Link::new(PORT, &[Label::MIN; PATH_LABELS_MAX]).is_some());
    assert!(Link::new(PORT, &[Label::MIN; PATH_LABELS_MAX + 1]).is_none());
}

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// RFC 6040, section 4.1, figure 3, normal mode: what arrives is copied out.
#[test]
fn congestion_marks_are_copied_out() {
    for (local, remote, class_at) in [("192.0.2.1", "192.0.2.4", 1), ("2001:db8::a", "2001:db8::b", 0)] {
        for ecn in [NOT_ECT, ECT_1, ECT_0, CE] {
            let outer = Outer::udp(local.parse().unwrap(), remote.parse().unwrap(), 4789);
            let encap = Encap { shim: Shim::vxlan(Vni::MIN, false), outer: outer.unwrap() };
            let mut inner = octets(INNER);
            inner[15] = 46 << 2 | ecn;
            let mut frame = frame(&inner);
            let flow = Flow::parse(frame.octets()).unwrap();
            let mark = marks().of(&flow, frame.octets());
            encap.push(&mut frame, Inner::new(&flow, Payload::Ethernet, Group::ROOT, mark));
            let at = frame.octets();
            let class = if class_at == 1 { at[1] } else { at[0] << 4 | at[1] >> 4 };
            assert_eq!(class, 46 << 2 | ecn);
        }
    }
}

/// RFC 6040, section 4.2, figure 4: rows are what arrived inside, columns what arrived outside.
#[test]
fn congestion_marks_are_merged_in_as_rfc_6040_has_it() {
    let table: [(u8, [Option<u8>; 4]); 4] = [
        // Outside:   Not-ECT        ECT(0)         ECT(1)         CE
        (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
        (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
        (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
        (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
    ];
    for (inside, row) in table {
        for (outside, expected) in [NOT_ECT, ECT_0, ECT_1, CE].into_iter().zip(row) {
            assert_eq!(merged_ipv4(inside, outside), expected, "IPv4: {inside} in {outside}");
            assert_eq!(merged_ipv6(inside, outside), expected, "IPv6: {inside} in {outside}");
        }
    }
}

fn merged_ipv4(inside: u8, outside: u8) -> Option<u8> {
    let mut inner = octets(INNER);
    inner[15] = 0xb8 | inside;
    inner[24..26].fill(0);
    let sum = Sum::new().add(&inner[14..34]).checksum();
    inner[24..26].copy_from_slice(&sum.to_be_bytes());
    let mut frame = frame(&inner);
    let flow = Flow::parse(frame.octets()).unwrap();
    if !propagate_congestion(&mut frame, &flow, outside) {
        return None;
    }
    let after = frame.octets();
    // RFC 1071: the sum over a header with its checksum is 0.
    assert_eq!(Sum::new().add(&after[14..34]).checksum(), 0);
    assert_eq!(after[15] & !3, 0xb8);
    Some(after[15] & 3)
}

fn merged_ipv6(inside: u8, outside: u8) -> Option<u8> {
    let mut inner = [&octets(INNER)[..12], &[0x86, 0xdd, 0x6b, 0x8a, 0xbc, 0xde, 0, 0, 59, 64], &[1; 32]].concat();
    inner[15] |= inside << 4;
    let before = inner.clone();
    let mut frame = frame(&inner);
    let flow = Flow::parse(frame.octets()).unwrap();
    if !propagate_congestion(&mut frame, &flow, outside) {
        return None;
    }
    let after = frame.octets();
    assert_eq!((after[14], after[15] & 0xcf, &after[16..]), (before[14], before[15] & 0xcf, &before[16..]));
    Some(after[15] >> 4 & 3)
}

/// What is not IP can carry no mark, so a mark is a loss (RFC 6040, section 4.2, by way of Not-ECT).
#[test]
fn a_mark_on_what_can_not_carry_it_is_a_loss() {
    let other = [&octets(INNER)[..12], &[0x88, 0xcc, 1, 2, 3, 4]].concat();
    for (outside, kept) in [(NOT_ECT, true), (ECT_0, true), (ECT_1, true), (CE, false)] {
        let mut frame = frame(&other);
        let flow = Flow::parse(frame.octets()).unwrap();
        assert_eq!(propagate_congestion(&mut frame, &flow, outside), kept);
        assert_eq!(frame.octets(), other);
    }
}

/// What a frame is wrapped in over every kind of outer header: the code points that show, and the classes of its labels.
fn shown(inner: &[u8], marks: &Marks) -> (Vec<u8>, Vec<u8>) {
    let flow = Flow::parse(inner).unwrap();
    let inside = Inner::new(&flow, Payload::Ethernet, Group::LEAF, marks.of(&flow, inner));
    let (local, remote): (IpAddr, IpAddr) = ("2001:db8::a".parse().unwrap(), "2001:db8::b".parse().unwrap());
    let (local_v4, remote_v4) = ("192.0.2.1".parse().unwrap(), "192.0.2.4".parse().unwrap());
    let encaps = [
        (vxlan("2001:db8::a", "2001:db8::b", 5_001, true), 0),
        (vxlan("192.0.2.1", "192.0.2.4", 5_001, true), 0),
        (srv6(&[], "fd00:b::1:0:0:0", Srh::Reduced, true), 0),
        (srv6(&["fd00:1:0:1::"], "fd00:b::1:0:0:0", Srh::Full, true), 0),
        (Encap { shim: labels(true, true, true), outer: Outer::udp(local, remote, 6635).unwrap() }, 3),
        (Encap { shim: labels(false, true, false), outer: Outer::udp(local_v4, remote_v4, 6635).unwrap() }, 2),
        (Encap { shim: labels(true, true, true), outer: Outer::None }, 3),
    ];
    let (mut points, mut classes) = (Vec::new(), Vec::new());
    for (encap, entries) in encaps {
        let mut frame = frame(inner);
        encap.push(&mut frame, inside);
        let link = Link::new(PORT, &[Label::new(200_001).unwrap()]).unwrap();
        link.push(&mut frame, ROUTER, encap.outer.ethertype(), inside.mark);
        let octets = &frame.octets()[14 + 4..];
        let stack = match encap.outer {
            Outer::None => octets,
            Outer::Ipv4 { .. } => {
                points.push(octets[1] >> 2);
                // RFC 1071: the sum over a header with its checksum is 0.
                assert_eq!(Sum::new().add(&octets[..20]).checksum(), 0);
                &octets[28..]
            }
            Outer::Ipv6 { .. } | Outer::Srv6 { .. } => {
                points.push((octets[0] << 4 | octets[1] >> 4) >> 2);
                &octets[48..]
            }
        };
        classes.push(frame.octets()[16] >> 1 & 7);
        classes.extend(stack.chunks(4).take(entries).map(|entry| entry[2] >> 1 & 7));
        // The device's packet is as it was (RFC 2983, section 3.1; RFC 3270, section 2.6.2.1).
        assert!(frame.octets().ends_with(inner));
    }
    points.dedup();
    classes.dedup();
    (points, classes)
}

/// With this traffic class; 4 and 6 are versions of IP, all else is none.
fn of_class(version: u8, class: u8) -> Vec<u8> {
    let mut frame = octets(INNER);
    match version {
        4 => frame[15] = class,
        6 => {
            frame.truncate(12);
            frame.extend([0x86, 0xdd, 0x60 | class >> 4, class << 4, 0, 0, 0, 0, 59, 64]);
            frame.extend([1; 32]);
        }
        _ => frame[12..14].copy_from_slice(&[0x88, 0xcc]),
    }
    frame
}

proptest! {
    /// Whatever a device writes, what shows outside is what the slice has for it, and else the slice's default.
    #[test]
    fn a_device_is_heeded_as_far_as_its_slice_says(
        told in proptest::collection::btree_map(0..64_u64, (0..64_u64, 0..8_u64), 0..64),
        default in (0..64_u64, 0..8_u64),
        class: u8,
        version in prop::sample::select(vec![4, 6, 0]),
    ) {
        let markings: Vec<_> = told.iter().map(|(inner, (dscp, class))| marking(*inner, *dscp, *class)).collect();
        let marks = Marks::new(mark(default.0, default.1), &markings);
        let asked = told.get(&u64::from(class >> 2)).filter(|_| version != 0);
        let (dscp, label) = *asked.unwrap_or(&default);
        let expected = (vec![u8::try_from(dscp).unwrap()], vec![u8::try_from(label).unwrap()]);
        prop_assert_eq!(shown(&of_class(version, class), &marks), expected);
    }
}

#[test]
fn no_device_asks_for_what_its_slice_does_not_have() {
    // AF41 in a slice that knows none, and network control (RFC 4594, section 3).
    for class in [34 << 2, 48 << 2, 56 << 2 | 3] {
        assert_eq!(shown(&of_class(4, class), &marks()), (vec![10], vec![3]));
    }
    assert_eq!(shown(&of_class(6, 46 << 2), &marks()), (vec![46], vec![5]));
}
