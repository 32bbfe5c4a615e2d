//! Messages as scapy 2.8 writes them.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::Layer;

/// `IP(src="192.0.2.1", dst="192.0.2.2", len=1500, id=7, flags="DF")/UDP(sport=7, dport=9, len=1480, chksum=0x1234)`
const IPV4: [u8; 28] = [
    0x45, 0x00, 0x05, 0xdc, 0x00, 0x07, 0x40, 0x00, 0x40, 0x11, 0xb1, 0x06, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02,
    0x02, 0x00, 0x07, 0x00, 0x09, 0x05, 0xc8, 0x12, 0x34,
];

/// `IPv6(src="2001:db8::1", dst="2001:db8::2", plen=1460, hlim=1)/UDP(sport=7, dport=9, len=1460, chksum=0x1234)`
const IPV6: [u8; 48] = [
    0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x02, 0x00, 0x07, 0x00, 0x09, 0x05, 0xb4, 0x12, 0x34,
];

/// The first eight octets of `ICMP(…)/Raw(IPV4)`.
const GOLDEN_IPV4: [(Cause, [u8; 8]); 4] = [
    // type=3, code=4, nexthopmtu=1400
    (Cause::TooBig { mtu: 1400 }, [0x03, 0x04, 0xdf, 0x77, 0x00, 0x00, 0x05, 0x78]),
    // type=11, code=0
    (Cause::TimeExceeded { code: 0 }, [0x0b, 0x00, 0xdc, 0xf3, 0x00, 0x00, 0x00, 0x00]),
    // type=12, code=0, ptr=20
    (Cause::ParameterProblem { code: 0, pointer: 20 }, [0x0c, 0x00, 0xc7, 0xf3, 0x14, 0x00, 0x00, 0x00]),
    // type=3, code=13
    (Cause::Unreachable { code: PROHIBITED_IPV4 }, [0x03, 0x0d, 0xe4, 0xe6, 0x00, 0x00, 0x00, 0x00]),
];

/// The first eight octets of `IPv6(src="2001:db8::ff", dst="2001:db8::1")/…/Raw(IPV6)` behind its header.
const GOLDEN_IPV6: [(Cause, [u8; 8]); 4] = [
    // ICMPv6PacketTooBig(mtu=1400)
    (Cause::TooBig { mtu: 1400 }, [0x02, 0x00, 0xb1, 0x80, 0x00, 0x00, 0x05, 0x78]),
    // ICMPv6TimeExceeded(code=0)
    (Cause::TimeExceeded { code: 0 }, [0x03, 0x00, 0xb5, 0xf8, 0x00, 0x00, 0x00, 0x00]),
    // ICMPv6ParamProblem(code=0, ptr=43)
    (Cause::ParameterProblem { code: 0, pointer: 43 }, [0x04, 0x00, 0xb4, 0xcd, 0x00, 0x00, 0x00, 0x2b]),
    // ICMPv6DestUnreach(code=1)
    (Cause::Unreachable { code: PROHIBITED_IPV6 }, [0x01, 0x01, 0xb7, 0xf7, 0x00, 0x00, 0x00, 0x00]),
];

const ROUTER: &str = "2001:db8::ff";
const HOST: &str = "2001:db8::1";

#[test]
fn errors_of_ipv4_read_and_write_both_ways() {
    for (cause, head) in GOLDEN_IPV4 {
        let golden = [&head[..], &IPV4].concat();
        let error = IcmpError { cause, packet: &IPV4 };
        let message = Message::new(&golden, Layer::Icmp).unwrap();
        assert!(message.checksum_holds());
        assert_eq!(IcmpError::read_ipv4(&message), Some(error));
        assert_eq!(error.emit_ipv4(&mut [0xa5; MESSAGE_OCTETS_MAX_IPV4]), golden);
        for length in HEADER_OCTETS..golden.len() {
            let read = IcmpError::read_ipv4(&Message::new(&golden[..length], Layer::Icmp).unwrap());
            assert_eq!(read.map(|error| error.packet.len()), length.checked_sub(QUOTE));
        }
    }
}

#[test]
fn errors_of_ipv6_read_and_write_both_ways() {
    let (source, destination) = (ROUTER.parse().unwrap(), HOST.parse().unwrap());
    for (cause, head) in GOLDEN_IPV6 {
        let golden = [&head[..], &IPV6].concat();
        let error = IcmpError { cause, packet: &IPV6 };
        let message = Message::new(&golden, Layer::Icmpv6).unwrap();
        assert!(message.checksum_holds_ipv6(source, destination));
        assert_eq!(IcmpError::read_ipv6(&message), Some(error));
        assert_eq!(error.emit_ipv6(source, destination, &mut [0xa5; MESSAGE_OCTETS_MAX_IPV6]), golden);
        for length in HEADER_OCTETS..golden.len() {
            let read = IcmpError::read_ipv6(&Message::new(&golden[..length], Layer::Icmpv6).unwrap());
            assert_eq!(read.map(|error| error.packet.len()), length.checked_sub(QUOTE));
        }
    }
}

#[test]
fn a_message_is_no_longer_than_it_may_be() {
    let packet = [0x5a; 4_000];
    let error = IcmpError { cause: Cause::TooBig { mtu: 70_000 }, packet: &packet };
    let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV4];
    let message = error.emit_ipv4(&mut out);
    // RFC 1812, section 4.3.2.3: 576 octets with the IPv4 header.
    assert_eq!((message.len() + 20, message[QUOTE..].iter().all(|octet| *octet == 0x5a)), (576, true));
    assert_eq!(message[6..8], [0xff, 0xff]);
    let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV6];
    let message = error.emit_ipv6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, &mut out);
    // RFC 4443, section 2.4 c: 1,280 octets with the IPv6 header.
    assert_eq!((message.len() + 40, be32(message, 4)), (1280, 70_000));
}

/// An IPv4 packet with one change.
fn ipv4_may(is_group_frame: bool, change: impl FnOnce(&mut [u8; 28])) -> bool {
    let mut octets = IPV4;
    change(&mut octets);
    may_answer_ipv4(&ipv4::Packet::new_cut(&octets).unwrap(), is_group_frame)
}

#[test]
fn an_ipv4_packet_is_answered_as_rfc_1122_has_it() {
    assert!(ipv4_may(false, |_| ()));
    assert!(!ipv4_may(true, |_| ()), "a frame for many");
    for destination in [Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1), Ipv4Addr::new(239, 255, 255, 255)] {
        assert!(!ipv4_may(false, |p| p[16..20].copy_from_slice(&destination.octets())), "{destination}");
    }
    for source in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        let source: Ipv4Addr = source.parse().unwrap();
        assert!(!ipv4_may(false, |p| p[12..16].copy_from_slice(&source.octets())), "{source}");
    }
    let icmp = |kind: u8| ipv4_may(false, |p| (p[9], p[20]) = (1, kind));
    let errors: Vec<u8> = (0..=255).filter(|kind| !icmp(*kind)).collect();
    assert_eq!(errors, [3, 4, 5, 11, 12]);
    assert!(!ipv4_may(false, |p| p[7] = 1), "a later fragment");
    assert!(ipv4_may(false, |p| p[6] = 0x20), "the first fragment");
}

fn ipv6_may(is_group_frame: bool, cause: Cause, change: impl FnOnce(&mut [u8; 48])) -> bool {
    let mut octets = IPV6;
    change(&mut octets);
    may_answer_ipv6(&ipv6::Packet::new_cut(&octets).unwrap(), is_group_frame, cause)
}

#[test]
fn an_ipv6_packet_is_answered_as_rfc_4443_has_it() {
    let (expired, too_big) = (Cause::TimeExceeded { code: 0 }, Cause::TooBig { mtu: 1400 });
    let option = |code| Cause::ParameterProblem { code, pointer: 40 };
    assert!(ipv6_may(false, expired, |_| ()));
    for cause in [too_big, option(2)] {
        assert!(ipv6_may(true, cause, |p| p[24] = 0xff), "{cause:?} for many");
    }
    for cause in [expired, option(0), option(1), Cause::Unreachable { code: 0 }] {
        assert!(!ipv6_may(true, cause, |_| ()) && !ipv6_may(false, cause, |p| p[24] = 0xff), "{cause:?} for many");
    }
    for source in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, "ff02::1".parse().unwrap()] {
        assert!(!ipv6_may(false, too_big, |p| p[8..24].copy_from_slice(&source.octets())), "{source}");
    }
    let icmp = |kind: u8| ipv6_may(false, too_big, |p| (p[6], p[40]) = (58, kind));
    let errors: Vec<u8> = (0..=255).filter(|kind| !icmp(*kind)).collect();
    assert_eq!(errors, (0..128).chain([137]).collect::<Vec<u8>>());
    // Behind a fragment header: the first fragment's type is there to be seen, a later one's isn't.
    for (offset, expected) in [(0, true), (8, false)] {
        let may = ipv6_may(false, too_big, |p| {
            p[6] = 44;
            p[40..48].copy_from_slice(&[17, 0, 0, offset | 1, 0, 0, 0, 1]);
        });
        assert_eq!(may, expected);
    }
    // A chain that does not end inside the packet.
    assert!(!ipv6_may(false, too_big, |p| (p[6], p[41]) = (60, 9)));
}

fn any_cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        // Code 4 of ICMP for IPv4 is "too big".
        (0_u8..4).prop_map(|code| Cause::Unreachable { code }),
        (0_u32..0x1_0000).prop_map(|mtu| Cause::TooBig { mtu }),
        any::<u8>().prop_map(|code| Cause::TimeExceeded { code }),
        (any::<u8>(), 0_u32..0x100).prop_map(|(code, pointer)| Cause::ParameterProblem { code, pointer }),
    ]
}

proptest! {
    #[test]
    fn every_error_survives(cause in any_cause(), packet in prop::collection::vec(any::<u8>(), 0..600), source: [u8; 16], destination: [u8; 16]) {
        let error = IcmpError { cause, packet: &packet };
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV4];
        let message = Message::new(error.emit_ipv4(&mut out), Layer::Icmp).unwrap();
        prop_assert!(message.checksum_holds());
        let quoted = &packet[..packet.len().min(MESSAGE_OCTETS_MAX_IPV4 - QUOTE)];
        prop_assert_eq!(IcmpError::read_ipv4(&message), Some(IcmpError { cause, packet: quoted }));
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV6];
        let message = error.emit_ipv6(source.into(), destination.into(), &mut out);
        let message = Message::new(message, Layer::Icmpv6).unwrap();
        prop_assert!(message.checksum_holds_ipv6(source.into(), destination.into()));
        prop_assert_eq!(IcmpError::read_ipv6(&message), Some(error));
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(message) = Message::new(&octets, Layer::Icmp) {
            let _ = (IcmpError::read_ipv4(&message), IcmpError::read_ipv6(&message));
        }
        if let Ok(packet) = ipv4::Packet::new(&octets) {
            let _ = may_answer_ipv4(&packet, false);
        }
        if let Ok(packet) = ipv6::Packet::new(&octets) {
            let _ = may_answer_ipv6(&packet, false, Cause::TooBig { mtu: 1280 });
        }
    }
}
