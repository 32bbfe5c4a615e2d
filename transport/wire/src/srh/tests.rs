//! Headers of the tcpdump project's captures, and of scapy 2.8 (`IPv6ExtHdrSegmentRouting`).

use proptest::prelude::*;

use super::*;
use crate::Problem;

/// tcpdump, tests/ipv6-srh-ext-header.pcap: in full, one of two segments is left.
const TWO: [u8; 40] = [
    0x29, 0x04, 0x04, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x0b, 0x00, 0x0c, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xd6, 0x00, 0x0a, 0x00, 0x0b, 0x00, 0x0c, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf1,
    0x00, 0x00,
];

/// tcpdump, tests/ipv6-srh-tlv-pad1-padn-5.pcap.
const PADDED: [u8; 32] = [
    0x3b, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xca, 0xfe, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x04, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// tcpdump, tests/ipv6-srh-tlv-hmac.pcap.
const WITH_HMAC: [u8; 48] = [
    0x3b, 0x05, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xca, 0xfe, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x02, 0x05, 0x10, 0x80, 0x00, 0x54, 0x12, 0xab, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
];

/// scapy: `IPv6ExtHdrSegmentRouting(addresses=["2001:db8::3","2001:db8::2"], segleft=2, lastentry=1, nh=41)`.
const REDUCED: [u8; 40] = [
    0x29, 0x04, 0x04, 0x02, 0x01, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x03, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x02,
];

fn addresses(texts: &[&str]) -> Vec<Ipv6Addr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a header says about a fresh path, where none of its segments has been passed.
fn written(header: &Header<'_>) -> Vec<u8> {
    let mut out = [0xa5; HEADER_OCTETS_MAX];
    header.emit(&mut out).unwrap().to_vec()
}

#[test]
fn a_header_in_full_reads_and_writes_both_ways() {
    let srh = Srh::new(&TWO).unwrap();
    assert_eq!((srh.next_header(), srh.header_octets()), (Protocol::IPV6, 40));
    assert_eq!((srh.segments_left(), srh.last_entry(), srh.flags(), srh.tag()), (1, 1, 0, 0));
    let path = addresses(&["a:b:c:2::f1:0", "a:b:c:3::d6"]);
    assert_eq!(srh.segments().rev().collect::<Vec<_>>(), path);
    assert_eq!((srh.segment(0), srh.segment(1), srh.segment(2)), (Some(path[1]), Some(path[0]), None));
    assert_eq!((srh.next_segment(), srh.last_segment()), (Some(path[1]), path[1]));
    assert!(srh.tlvs().next().is_none());
    let header = Header { next_header: Protocol::IPV6, flags: 0, tag: 0, path: &path, is_reduced: false, tlvs: &[] };
    assert_eq!((header.octets(), written(&header)), (Some(40), TWO.to_vec()));
}

#[test]
fn a_reduced_header_reads_and_writes_both_ways() {
    let srh = Srh::new(&REDUCED).unwrap();
    let path = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
    assert_eq!((srh.segments_left(), srh.last_entry(), srh.segments().len()), (2, 1, 2));
    assert_eq!((srh.segment(srh.segments_left()), srh.next_segment()), (None, Some(path[1])));
    let header = Header { next_header: Protocol::IPV6, flags: 0, tag: 0, path: &path, is_reduced: true, tlvs: &[] };
    assert_eq!(written(&header), REDUCED);
    // A path of one has nothing to leave out, and an empty one is none.
    let one = Header { path: &path[..1], ..header };
    let octets = written(&one);
    assert_eq!((octets.len(), octets[SEGMENTS_LEFT], octets[LAST_ENTRY]), (24, 0, 0));
    assert_eq!((Header { path: &[], ..header }).octets(), None);
}

#[test]
fn a_path_is_followed_to_its_end() {
    let path = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
    let mut octets = REDUCED;
    for (left, segment) in [(1, path[1]), (0, path[2])] {
        assert_eq!(advance(&mut octets), Some(segment));
        assert_eq!(Srh::new(&octets).unwrap().segments_left(), left);
    }
    let end = octets;
    assert_eq!(advance(&mut octets), None);
    assert_eq!((octets, Srh::new(&octets).unwrap().next_segment()), (end, None));
}

#[test]
fn tlvs_read_and_write_both_ways() {
    let padded = Srh::new(&PADDED).unwrap();
    let tlvs: Vec<Tlv<'_>> = padded.tlvs().map(Result::unwrap).collect();
    assert_eq!(tlvs, [Tlv::Pad1, Tlv::PadN { octets: 5 }]);
    let path = addresses(&["cafe:1::2"]);
    let header = Header { next_header: Protocol::NONE, flags: 0, tag: 0, path: &path, is_reduced: false, tlvs: &tlvs };
    assert_eq!(written(&header), PADDED);
    // Padding up to eight octets is added.
    assert_eq!(written(&Header { tlvs: &tlvs[..1], ..header }), PADDED);

    let authenticator = [0, 0, 0, 0, 0, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa];
    let hmac = Tlv::Hmac(Hmac { is_destination_exempt: true, key_id: 0x5412_ab30, authenticator: &authenticator });
    let read: Vec<_> = Srh::new(&WITH_HMAC).unwrap().tlvs().collect();
    assert_eq!(read, [Ok(hmac)]);
    // We write the length as Linux does: of all that follows it.
    let mut expected = WITH_HMAC;
    expected[25] = 22;
    let octets = written(&Header { tlvs: &[hmac], ..header });
    assert_eq!(octets, expected);
    assert_eq!(Srh::new(&octets).unwrap().tlvs().collect::<Vec<_>>(), [Ok(hmac)]);
}

#[test]
fn a_tlv_that_runs_past_the_header_is_refused_by_its_place() {
    for length in [6, 100, 255] {
        let mut octets = PADDED;
        octets[26] = length;
        let mut tlvs = Srh::new(&octets).unwrap().tlvs();
        assert_eq!(tlvs.next(), Some(Ok(Tlv::Pad1)));
        assert_eq!(tlvs.next(), Some(Err(Layer::Srh.length(26, length.into(), 0, 5))));
        assert_eq!(tlvs.next(), None);
    }
    // A type in the last octet has no length.
    let mut octets = PADDED;
    octets[26..].copy_from_slice(&[4, 0, 0, 0, 0, 9]);
    let error = Srh::new(&octets).unwrap().tlvs().find_map(Result::err);
    assert_eq!(error, Some(Layer::Srh.truncated(33, 32)));
    for length in [0, 6, 13, 17, 24, 38, 40, 255] {
        let mut octets = WITH_HMAC;
        octets[25] = length;
        let error = Srh::new(&octets).unwrap().tlvs().find_map(Result::err).unwrap();
        assert_eq!((error.offset, error.layer.as_str()), (25, "ipv6.routing"), "{length}");
    }
}

#[test]
fn a_header_cut_anywhere_is_refused() {
    for header in [&TWO[..], &REDUCED, &PADDED, &WITH_HMAC] {
        for length in 0..header.len() {
            let error = Srh::new(&header[..length]).unwrap_err();
            let need = if length < FIXED_OCTETS { FIXED_OCTETS } else { header.len() };
            assert_eq!(error, Layer::Srh.truncated(need, length));
        }
        assert!(advance(&mut header[..9].to_vec()).is_none());
    }
    // Of a capture that ends inside the TLVs, those before the end are there.
    for length in 24..PADDED.len() {
        let srh = Srh::new_cut(&PADDED[..length]).unwrap();
        assert_eq!((srh.header_octets(), srh.last_segment().to_string()), (32, "cafe:1::2".to_owned()));
        assert_eq!(srh.tlvs().filter_map(Result::ok).count(), usize::from(length > 24));
    }
    assert!(Srh::new_cut(&PADDED[..23]).is_err());
}

#[test]
fn counts_that_lie_are_refused() {
    let refused = |place: usize, value: u8| {
        let mut octets = TWO;
        octets[place] = value;
        Srh::new(&octets).unwrap_err()
    };
    assert_eq!(refused(ROUTING_TYPE, 0).problem, Problem::Value { found: 0, expected: 4 });
    // More segments left than the list has and one.
    for left in [3, 4, 255] {
        assert_eq!(refused(SEGMENTS_LEFT, left), Layer::Srh.length(SEGMENTS_LEFT, left.into(), 0, 2));
    }
    // More entries than the header has room for, also where its length is odd.
    for (length, last, most) in [(4, 2, 1), (4, 255, 1), (3, 1, 0), (2, 1, 0), (0, 0, 0)] {
        let mut octets = TWO;
        (octets[LENGTH], octets[LAST_ENTRY]) = (length, last);
        assert_eq!(Srh::new(&octets).unwrap_err(), Layer::Srh.length(LAST_ENTRY, last.into(), 0, most));
    }
}

#[test]
fn more_than_a_header_holds_is_not_written() {
    let path = vec![Ipv6Addr::LOCALHOST; 128];
    let header = Header { next_header: Protocol::IPV6, flags: 0, tag: 0, path: &path, is_reduced: false, tlvs: &[] };
    assert_eq!(header.octets(), None);
    let reduced = Header { is_reduced: true, ..header };
    assert_eq!(reduced.octets(), Some(FIXED_OCTETS + 127 * SEGMENT_OCTETS));
    assert_eq!((Header { tlvs: &[Tlv::Pad1], ..reduced }).octets(), Some(HEADER_OCTETS_MAX));
    assert_eq!((Header { tlvs: &[Tlv::PadN { octets: 7 }], ..reduced }).octets(), None);
    let mut out = [0xa5; FIXED_OCTETS + 127 * SEGMENT_OCTETS];
    assert!(reduced.emit(&mut out).is_some());
    assert!(reduced.emit(&mut out[1..]).is_none());
}

fn any_tlv() -> impl Strategy<Value = (u8, Vec<u8>, u32)> {
    (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40), any::<u32>())
}

fn tlv((kind, value, number): &(u8, Vec<u8>, u32)) -> Tlv<'_> {
    match kind % 4 {
        0 => Tlv::Pad1,
        1 => Tlv::PadN { octets: u8::try_from(value.len()).unwrap() },
        2 if value.len() >= 8 => Tlv::Hmac(Hmac {
            is_destination_exempt: number & 1 != 0,
            key_id: *number,
            authenticator: &value[..value.len().min(32) / 8 * 8],
        }),
        _ => Tlv::Other { kind: kind | 0x80, value },
    }
}

proptest! {
    #[test]
    fn every_header_survives(
        next: u8, flags: u8, tag: u16, is_reduced: bool,
        path in prop::collection::vec(any::<u128>(), 1..20),
        tlvs in prop::collection::vec(any_tlv(), 0..4),
    ) {
        let path: Vec<Ipv6Addr> = path.into_iter().map(Ipv6Addr::from_bits).collect();
        let tlvs: Vec<Tlv<'_>> = tlvs.iter().map(tlv).collect();
        let header = Header { next_header: Protocol(next), flags, tag, path: &path, is_reduced, tlvs: &tlvs };
        let mut octets = written(&header);
        let srh = Srh::new(&octets).unwrap();
        prop_assert_eq!((srh.next_header(), srh.flags(), srh.tag()), (Protocol(next), flags, tag));
        prop_assert_eq!(srh.header_octets(), octets.len());
        prop_assert_eq!(usize::from(srh.segments_left()), path.len() - 1);
        let read: Vec<_> = srh.tlvs().map(Result::unwrap).collect();
        prop_assert_eq!(&read[..tlvs.len()], &tlvs[..]);
        let is_padding = |tlv: &Tlv<'_>| matches!(tlv, Tlv::Pad1 | Tlv::PadN { .. });
        prop_assert!(read[tlvs.len()..].iter().all(is_padding));
        let steps: Vec<Ipv6Addr> = std::iter::from_fn(|| advance(&mut octets)).collect();
        prop_assert_eq!(&steps[..], &path[1..]);
    }

    #[test]
    fn random_octets_never_panic(mut octets in prop::collection::vec(any::<u8>(), 0..200), length in 0_u8..24, last in 0_u8..12) {
        if octets.len() > 8 {
            (octets[LENGTH], octets[ROUTING_TYPE], octets[LAST_ENTRY]) = (length, 4, last);
        }
        if let Ok(srh) = Srh::new(&octets) {
            prop_assert!(srh.tlvs().count() <= srh.tlv_octets().len());
            prop_assert_eq!(srh.segments().len(), usize::from(last) + 1);
        }
        let _ = advance(&mut octets);
    }
}
