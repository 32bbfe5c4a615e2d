use std::fmt::Write;

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

fn encapsulated(local: &str, remote: &str, vni: u64) -> String {
    let dscp = Dscp::new(10).unwrap();
    let header =
        Header::new(PORT, local.parse().unwrap(), remote.parse().unwrap(), Vni::new(vni).unwrap(), dscp).unwrap();
    let mut frame = frame(&octets(INNER));
    let flow = Flow::parse(frame.octets()).unwrap();
    header.push(&mut frame, ROUTER, &flow);
    hex(frame.octets())
}

/// The expected octets were made by Scapy 2.8.0:
/// `Ether(dst="02:cc:00:00:00:01", src="02:ed:00:00:00:02") / IPv6(src="2001:db8::a", dst="2001:db8::b", tc=10 << 2 | 1,
/// fl=0x6e3a5, hlim=64) / UDP(sport=0xcb09, dport=4789) / VXLAN(vni=5001, flags=8) / Ether(INNER)`; label and source port
/// are ours to choose.
#[test]
fn over_ipv6_the_octets_are_those_of_scapy() {
    let expected = format!(
        "02cc0000000102ed0000000286dd6296e3a50040114020010db800000000000000000000000a20010db800000000000000000000000bcb0912b500403d5c0800000000138900{INNER}"
    );
    assert_eq!(encapsulated("2001:db8::a", "2001:db8::b", 5_001), expected);
}

/// `Ether(…) / IP(src="192.0.2.1", dst="192.0.2.4", tos=10 << 2 | 1, id=0, flags="DF", ttl=64) / UDP(sport=0xcb09,
/// dport=4789, chksum=0) / VXLAN(vni=6001, flags=8) / Ether(INNER)`.
#[test]
fn over_ipv4_the_octets_are_those_of_scapy() {
    let expected = format!(
        "02cc0000000102ed00000002080045290054000040004011b66ac0000201c0000204cb0912b5004000000800000000177100{INNER}"
    );
    assert_eq!(encapsulated("192.0.2.1", "192.0.2.4", 6_001), expected);
}

#[test]
fn a_tunnel_has_two_ends_of_one_family() {
    let (vni, dscp) = (Vni::new(1).unwrap(), Dscp::new(0).unwrap());
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::a".parse().unwrap());
    assert!(Header::new(PORT, v4, v6, vni, dscp).is_none());
    assert!(Header::new(PORT, v6, v4, vni, dscp).is_none());
}

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// RFC 6040, section 4.1, figure 3, normal mode: what arrives is copied out.
#[test]
fn congestion_marks_are_copied_out() {
    for (local, remote, class_at) in [("192.0.2.1", "192.0.2.4", 15), ("2001:db8::a", "2001:db8::b", 14)] {
        for ecn in [NOT_ECT, ECT_1, ECT_0, CE] {
            let header = Header::new(
                PORT,
                local.parse().unwrap(),
                remote.parse().unwrap(),
                Vni::new(1).unwrap(),
                Dscp::new(46).unwrap(),
            )
            .unwrap();
            let mut inner = octets(INNER);
            inner[15] = 0x60 | ecn;
            let mut frame = frame(&inner);
            let flow = Flow::parse(frame.octets()).unwrap();
            header.push(&mut frame, ROUTER, &flow);
            let at = frame.octets();
            let class = if class_at == 15 { at[15] } else { at[14] << 4 | at[15] >> 4 };
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
