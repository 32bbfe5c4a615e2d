//! Messages of captures, and of scapy 2.8 (`GTPHeader`, `GTPPDUSessionContainer`).

use proptest::prelude::*;

use super::*;

/// A device's packet, uplink in QoS flow 5: telekom/5g-trace-visualizer, n3_example.pcap, the first packet, cut behind
/// two octets of the device's.
const UPLINK: [u8; 18] =
    [0x34, 0xff, 0x03, 0x76, 0x40, 0x02, 0x01, 0x25, 0x00, 0x00, 0x00, 0x85, 0x01, 0x10, 0x05, 0x00, 0x45, 0x00];

/// scapy: TEID 0x01020304, sequence number 0x1122, QFI 63, paging policy 5.
const DOWNLINK: [u8; 22] = [
    0x36, 0xff, 0x00, 0x0e, 0x01, 0x02, 0x03, 0x04, 0x11, 0x22, 0x00, 0x85, 0x02, 0x00, 0xbf, 0xa0, 0x00, 0x00, 0x00,
    0x00, 0x45, 0x00,
];

/// scapy: as above without sequence number and paging policy, QFI 9, with reflective QoS.
const REFLECTIVE: [u8; 18] =
    [0x34, 0xff, 0x00, 0x0a, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x85, 0x01, 0x00, 0x49, 0x00, 0x45, 0x00];

/// scapy: QFI 5, with a time (QMP) and a number (SNP).
const MEASURED: [u8; 30] = [
    0x34, 0xff, 0x00, 0x16, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x85, 0x04, 0x0c, 0x05, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x07, 0x00, 0x00, 0x45, 0x00,
];

/// zeek, gtp10_not_0xff.pcap: an echo request with sequence number 0xfe69.
const ECHO: [u8; 12] = [0x32, 0x01, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x69, 0x00, 0x00];

/// zeek, gtp_ext_header.pcap: a PDCP PDU number (0xc0), cut behind two octets of the device's packet.
const PDCP: [u8; 18] =
    [0x36, 0xff, 0x05, 0xe4, 0x00, 0x10, 0x06, 0x57, 0x00, 0x05, 0x00, 0xc0, 0x01, 0x09, 0x04, 0x00, 0x45, 0x00];

fn header(teid: u32, sequence: Option<u16>, session: Session, payload_octets: u16) -> Header {
    Header { message_type: MessageType::G_PDU, teid, sequence, session: Some(session), payload_octets }
}

#[test]
fn messages_read_and_write_both_ways() {
    let downlink = |qfi, is_reflective, paging_policy| Session::Downlink { qfi, is_reflective, paging_policy };
    let messages: [(&[u8], Header); 3] = [
        (&UPLINK, header(0x4002_0125, None, Session::Uplink { qfi: 5 }, 878)),
        (&DOWNLINK, header(0x0102_0304, Some(0x1122), downlink(63, false, Some(5)), 2)),
        (&REFLECTIVE, header(0x0102_0304, None, downlink(9, true, None), 2)),
    ];
    for (golden, header) in messages {
        let packet = Packet::new_cut(golden).unwrap();
        assert_eq!((packet.message_type(), packet.teid()), (header.message_type, header.teid));
        assert_eq!((packet.sequence(), packet.n_pdu()), (header.sequence, None));
        assert_eq!(packet.session().and_then(|session| session.session()), header.session);
        assert_eq!((packet.payload(), packet.header_octets()), (&[0x45, 0x00][..], golden.len() - 2));
        let mut out = [0xa5; HEADER_OCTETS_MAX];
        assert_eq!(header.emit(&mut out), &golden[..golden.len() - 2]);
    }
    // Cut by the capture, this one is not whole.
    assert_eq!(Packet::new(&UPLINK).unwrap_err(), Layer::Gtpu.length(LENGTH, 886, 0, 10));
}

#[test]
fn messages_without_a_packet_read_and_write_both_ways() {
    let echo = Header {
        message_type: MessageType::ECHO_REQUEST,
        teid: 0,
        sequence: Some(0xfe69),
        session: None,
        payload_octets: 0,
    };
    let packet = Packet::new(&ECHO).unwrap();
    assert_eq!((packet.message_type(), packet.sequence()), (echo.message_type, echo.sequence));
    assert_eq!((packet.payload().len(), packet.extensions().count(), packet.session()), (0, 0, None));
    assert_eq!(echo.emit(&mut [0xa5; HEADER_OCTETS_MAX]), ECHO);
    // `GTPHeader(gtp_type=254, teid=5)` of scapy.
    let golden = [0x30, 0xfe, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05];
    let end = Header { message_type: MessageType::END_MARKER, teid: 5, sequence: None, ..echo };
    assert_eq!(Packet::new(&golden).unwrap().message_type(), MessageType::END_MARKER);
    assert_eq!(end.emit(&mut [0xa5; HEADER_OCTETS_MAX]), golden);
}

#[test]
fn other_extension_headers_are_kept_by_type() {
    let packet = Packet::new_cut(&PDCP).unwrap();
    let extensions: Vec<_> = packet.extensions().collect();
    assert_eq!(extensions, [Extension { kind: 0xc0, content: &[0x09, 0x04] }]);
    assert!(extensions[0].is_required() && packet.session().is_none());
    assert_eq!((packet.sequence(), packet.payload()), (Some(5), &[0x45, 0x00][..]));
    // Before a PDU session container they don't hide it.
    let both = [&PDCP[..15], &[0x85], &UPLINK[12..]].concat();
    let packet = Packet::new_cut(&both).unwrap();
    assert_eq!(packet.session().map(|session| session.qfi()), Some(5));
    assert_eq!(packet.extensions().map(|e| e.kind).collect::<Vec<_>>(), [0xc0, 0x85]);
    // Without the E flag the next type is nothing.
    let mut octets = PDCP;
    octets[0] = 0x32;
    let packet = Packet::new_cut(&octets).unwrap();
    assert_eq!((packet.extensions().count(), packet.payload()), (0, &PDCP[12..]));
}

#[test]
fn what_a_container_promises_must_be_there() {
    let session = Packet::new(&MEASURED).unwrap().session().unwrap();
    assert_eq!((session.pdu_type(), session.qfi(), session.octets().len()), (0, 5, 14));
    // With M four octets more are promised than the 11 of Q and S, and there are 12.
    let mut octets = MEASURED;
    octets[13] |= 0x02;
    assert_eq!(Packet::new(&octets).unwrap_err(), Layer::Gtpu.length(13, 14, 17, 255));
    let mut octets = REFLECTIVE;
    octets[14] |= 0x80;
    assert_eq!(Packet::new(&octets).unwrap_err(), Layer::Gtpu.length(13, 2, 3, 255));
    // An uplink container with everything that its flags can promise.
    let mut octets = UPLINK;
    (octets[13], octets[14]) = (0x1f, 0xc5);
    assert_eq!(Packet::new_cut(&octets).unwrap_err(), Layer::Gtpu.length(13, 2, 42, 255));
    // A type that is not known promises nothing that we know of.
    (octets[13], octets[14]) = (0xff, 0xff);
    let session = Packet::new_cut(&octets).unwrap().session().unwrap();
    assert_eq!((session.pdu_type(), session.session(), session.qfi()), (15, None, 63));
}

#[test]
fn chains_that_lie_are_refused_by_name() {
    let chain = |units: u8, headers: usize| {
        let extension = [&[units, 0, 0, 0x40][..], &vec![0; usize::from(units.max(1) - 1) * 4]].concat();
        let extensions = extension.repeat(headers);
        let length = u16::try_from(OPTIONAL_OCTETS + extensions.len()).unwrap().to_be_bytes();
        [&[0x34, 0xff, length[0], length[1], 0, 0, 0, 1, 0, 0, 0, 0x40][..], &extensions].concat()
    };
    // One that goes nowhere.
    assert_eq!(Packet::new(&chain(0, 1)).unwrap_err(), Layer::Gtpu.length(12, 0, 1, 255));
    // One that never ends.
    let error = Packet::new(&chain(1, 300)).unwrap_err();
    assert_eq!(error.to_string(), "gtp: octet 44: more than 8 headers in a chain");
    // One that runs out of the message.
    assert_eq!(Packet::new(&chain(1, 3)).unwrap_err(), Layer::Gtpu.truncated(28, 24));
    let mut octets = chain(1, 1);
    octets[12] = 2;
    assert_eq!(Packet::new(&octets).unwrap_err(), Layer::Gtpu.truncated(20, 16));
}

#[test]
fn a_message_cut_anywhere_in_its_headers_is_refused() {
    for message in [&UPLINK[..], &DOWNLINK, &MEASURED, &ECHO] {
        let headers = Packet::new_cut(message).unwrap().header_octets();
        for length in 0..headers {
            assert!(Packet::new_cut(&message[..length]).is_err(), "{length}");
            assert!(Packet::new(&message[..length]).is_err(), "{length}");
        }
    }
    // A length field that cuts it.
    for length in 0..8 {
        let mut octets = REFLECTIVE;
        octets[3] = length;
        assert!(Packet::new(&octets).is_err(), "{length}");
    }
    // Version 2 and GTP'.
    for first in [0x54, 0x14, 0x24] {
        let mut octets = REFLECTIVE;
        octets[0] = first;
        assert_eq!(Packet::new(&octets).unwrap_err(), Layer::Gtpu.value(0, u32::from(first >> 4), 3));
    }
}

fn any_session() -> impl Strategy<Value = Session> {
    prop_oneof![
        (0_u8..64).prop_map(|qfi| Session::Uplink { qfi }),
        (0_u8..64, any::<bool>(), proptest::option::of(0_u8..8))
            .prop_map(|(qfi, is_reflective, paging_policy)| Session::Downlink { qfi, is_reflective, paging_policy }),
    ]
}

proptest! {
    #[test]
    fn every_header_survives(message: u8, teid: u32, sequence: Option<u16>, session in proptest::option::of(any_session()), payload in prop::collection::vec(any::<u8>(), 0..20)) {
        let payload_octets = u16::try_from(payload.len()).unwrap();
        let header = Header { message_type: MessageType(message), teid, sequence, session, payload_octets };
        let mut out = [0xa5; HEADER_OCTETS_MAX];
        let octets = [header.emit(&mut out), &payload].concat();
        let packet = Packet::new(&octets).unwrap();
        prop_assert_eq!((packet.message_type(), packet.teid(), packet.sequence()), (MessageType(message), teid, sequence));
        prop_assert_eq!(packet.session().and_then(|session| session.session()), session);
        prop_assert_eq!(packet.payload(), payload);
    }

    #[test]
    fn random_octets_never_panic(mut octets in prop::collection::vec(any::<u8>(), 0..120), flags in 0x30_u8..0x38, units in 0_u8..4) {
        if octets.len() > 13 {
            (octets[0], octets[2], octets[11], octets[12]) = (flags, 0, 0x85, units);
        }
        if let Ok(packet) = Packet::new(&octets) {
            prop_assert!(packet.header_octets() + packet.payload().len() <= octets.len());
            prop_assert!(packet.extensions().count() <= EXTENSIONS_MAX);
            let _ = packet.session().map(|session| session.session());
        }
    }
}
