//! Packets with and without extension headers, good and bad.

use proptest::prelude::*;

use super::*;

fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        traffic_class: 0xb9,
        flow_label: 0x12345,
        payload_octets: u16::try_from(payload.len()).unwrap(),
        next_header: Protocol(next),
        hop_limit: 64,
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
    };
    let mut out = [0xa5; HEADER_OCTETS];
    header.emit(&mut out);
    [&out[..], payload].concat()
}

#[test]
fn a_header_has_its_fields_where_rfc_8200_has_them() {
    let octets = packet(17, &[0; 8]);
    assert_eq!(octets[..8], [0x6b, 0x91, 0x23, 0x45, 0, 8, 17, 64]);
    let read = Packet::new(&octets).unwrap();
    assert_eq!((read.dscp(), read.ecn(), read.flow_label()), (46, 1, 0x12345));
    assert_eq!(read.source().to_string(), "2001:db8::1");
    for length in 0..octets.len() {
        assert!(Packet::new(&octets[..length]).is_err(), "{length}");
    }
}

#[test]
fn the_walk_finds_the_upper_layer_behind_extension_headers() {
    // Hop-by-hop (8 octets), routing (8), fragment with offset 0 and more fragments, then UDP.
    let payload = [43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 4, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7, 0xde, 0xad];
    let octets = packet(0, &payload);
    let upper = Packet::new(&octets).unwrap().upper_layer().unwrap();
    assert_eq!((upper.protocol, upper.payload), (Protocol::UDP, &[0xde, 0xad][..]));
    assert!(upper.is_fragment && upper.fragment_offset == 0);
}

#[test]
fn the_walk_finds_the_segment_routing_header_that_the_path_reads() {
    let walk = |next: u8, payload: &[u8]| {
        let octets = packet(next, payload);
        let upper = Packet::new(&octets).unwrap().upper_layer().unwrap();
        (upper.srh_at.map(NonZeroU16::get), upper.protocol, octets.len() - upper.payload.len())
    };
    let srh = |next: u8| [&[next, 2, 4, 0, 0, 0, 0, 0][..], &[0; 16]].concat();
    let options = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    // A packet in it ends the walk, also one that begins with octets that could be an extension header.
    for inner in [Protocol::IPV4, Protocol::IPV6, Protocol::ETHERNET, Protocol::UDP, Protocol::NONE] {
        assert_eq!(walk(43, &[srh(inner.0), srh(43)].concat()), (Some(40), inner, 64));
    }
    let behind_options = [options(43), srh(60), options(41), vec![0x60; 9]].concat();
    assert_eq!(walk(0, &behind_options), (Some(48), Protocol::IPV6, 80));
    // The first of two; and none of another type.
    assert_eq!(walk(43, &[srh(43), srh(4)].concat()), (Some(40), Protocol::IPV4, 88));
    let mut other = srh(4);
    other[2] = 3;
    assert_eq!(walk(43, &other), (None, Protocol::IPV4, 64));
}

#[test]
fn behind_a_fragment_header_no_node_on_the_path_reads_a_segment_routing_header() {
    let srh = [&[17, 2, 4, 0, 0, 0, 0, 0][..], &[0; 16]].concat();
    let octets = packet(44, &[&[43, 0, 0, 1, 0, 0, 0, 7][..], &srh].concat());
    let upper = Packet::new(&octets).unwrap().upper_layer().unwrap();
    assert_eq!((upper.srh_at, upper.protocol, upper.is_fragment), (None, Protocol::UDP, true));
    // Before it, each does.
    let octets = packet(43, &[&[44, 2, 4, 0, 0, 0, 0, 0][..], &[0; 16], &[17, 0, 0, 1, 0, 0, 0, 7]].concat());
    assert_eq!(Packet::new(&octets).unwrap().upper_layer().unwrap().srh_at, NonZeroU16::new(40));
}

#[test]
fn behind_the_header_of_a_later_fragment_nothing_is_read_as_a_header() {
    // Fragment offset 185 (1480 octets), the original's next header being destination options.
    let octets = packet(44, &[60, 0, 0x05, 0xc8, 0, 0, 0, 7, 0xff, 0xff, 0xff]);
    let packet = Packet::new(&octets).unwrap();
    let upper = packet.upper_layer().unwrap();
    assert_eq!((upper.protocol, upper.payload), (Protocol::DESTINATION_OPTIONS, &[0xff; 3][..]));
    assert!(upper.is_fragment && upper.fragment_offset == 185);
    let read: Vec<_> = packet.extensions().map(|e| e.unwrap().fragment()).collect();
    assert_eq!(read, [Some(Fragment { offset: 185, more: false, identification: 7 })]);
}

#[test]
fn a_chain_without_end_is_refused() {
    let octets = packet(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(20));
    let error = Packet::new(&octets).unwrap().upper_layer().unwrap_err();
    assert_eq!(error.problem, Problem::TooMany { max: EXTENSIONS_MAX });
}

#[test]
fn an_extension_header_that_is_longer_than_the_packet_is_refused() {
    let octets = packet(60, &[17, 9, 1, 4, 0, 0, 0, 0]);
    let error = Packet::new(&octets).unwrap().upper_layer().unwrap_err();
    assert_eq!(error.problem, Problem::Truncated { need: 120, have: 48 });
}

#[test]
fn a_jumbogram_is_refused_by_name() {
    let octets = packet(0, &[]);
    assert_eq!(Packet::new(&octets).unwrap_err().problem, Problem::Jumbo);
}

proptest! {
    #[test]
    fn random_octets_never_panic(mut octets in proptest::collection::vec(any::<u8>(), 0..200), next in prop::sample::select(vec![0_u8, 43, 44, 51, 60, 17])) {
        if octets.len() > 6 {
            octets[0] = 0x60;
            octets[6] = next;
        }
        if let Ok(packet) = Packet::new(&octets)
            && let Ok(upper) = packet.upper_layer()
        {
            prop_assert!(upper.payload.len() <= packet.payload().len());
        }
    }
}
