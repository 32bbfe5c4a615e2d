use proptest::prelude::*;

use super::*;
use crate::attribute::Value;
use crate::vectors::{self, octets};

#[test]
fn the_telnet_request_of_the_standard_reads_as_it_says() {
    let bytes = octets(vectors::TELNET_REQUEST);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.code(), packet.identifier(), packet.header().length), (Code::ACCESS_REQUEST, Identifier(0), 56));
    let read: Vec<_> = packet.iter().map(|a| (a.kind.to_string(), a.offset, a.decode().unwrap())).collect();
    assert_eq!(read.len(), 4);
    assert_eq!(read[0], ("User-Name".into(), 20, Value::Text("nemo")));
    assert!(matches!(read[1], (ref name, 26, Value::Octets(hidden)) if name == "User-Password" && hidden.len() == 16));
    assert_eq!(read[2], ("NAS-IP-Address".into(), 44, Value::Ipv4([192, 168, 1, 16].into())));
    assert_eq!(read[3], ("NAS-Port".into(), 50, Value::Integer(3)));
}

#[test]
fn the_challenge_of_the_standard_reads_as_it_says() {
    let bytes = octets(vectors::CARD_CHALLENGE);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.code(), Code::ACCESS_CHALLENGE);
    let message = packet.get(Type::REPLY_MESSAGE).unwrap();
    assert_eq!(message.text(), Ok("Challenge 32769430.  Enter response at prompt."));
    assert_eq!(packet.get(Type::STATE).unwrap().value, b"32769430");
    assert!(!packet.has(Type::CLASS));
}

#[test]
fn a_packet_cut_at_any_octet_is_refused() {
    for hex in vectors::ALL {
        let bytes = octets(hex);
        assert!(Packet::parse(&bytes).is_ok());
        for length in 0..bytes.len() {
            let cut = Packet::parse(&bytes[..length]).unwrap_err();
            if length < HEADER_OCTETS {
                assert_eq!(cut.kind, MalformedKind::HeaderCut { have: length });
            } else {
                let said = u16::try_from(bytes.len()).unwrap();
                assert_eq!(cut.kind, MalformedKind::Cut { length: said, have: length });
            }
        }
    }
}

/// The same with a Length that agrees, so that the attributes are what is cut: only a cut between two of them passes.
#[test]
fn attributes_cut_at_any_octet_are_refused_unless_the_cut_is_between_two() {
    for hex in vectors::ALL {
        let bytes = octets(hex);
        let whole = Packet::parse(&bytes).unwrap();
        let ends: Vec<usize> = whole.iter().map(|a| a.offset).collect();
        for length in HEADER_OCTETS..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            cut[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            assert_eq!(Packet::parse(&cut).is_ok(), ends.contains(&length), "{length} of {hex}");
        }
    }
}

#[test]
fn octets_behind_the_length_are_padding() {
    let mut bytes = octets(vectors::CARD_REJECT);
    bytes.extend([0xa5; 7]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.octets().len(), 20);
    assert_eq!(packet.iter().count(), 0);
}

#[test]
fn lengths_out_of_range_are_refused_with_their_place() {
    let at = |length: u16| {
        let mut bytes = vec![0; 5000];
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        Packet::parse(&bytes).map(|p| p.octets().len()).map_err(|e| (e.offset, e.kind))
    };
    assert_eq!(at(19), Err((2, MalformedKind::LengthOutOfRange { length: 19 })));
    assert_eq!(at(20), Ok(20));
    assert_eq!(at(4097), Err((2, MalformedKind::LengthOutOfRange { length: 4097 })));
    assert_eq!(at(0), Err((2, MalformedKind::LengthOutOfRange { length: 0 })));
}

#[test]
fn an_attribute_that_counts_less_than_its_header_or_reaches_past_the_end_is_named() {
    let with = |attributes: &[u8]| {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend([0; 16]);
        bytes.extend(attributes);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        Packet::parse(&bytes).unwrap_err().to_string()
    };
    assert_eq!(with(&[1]), "octet 20, User-Name: one octet is left; an attribute has at least two");
    assert_eq!(with(&[1, 3, b'a', 4, 0]), "octet 23, NAS-IP-Address: attribute length is 0; expected at least 2");
    assert_eq!(with(&[1, 1]), "octet 20, User-Name: attribute length is 1; expected at least 2");
    assert_eq!(with(&[200, 5, 0, 0]), "octet 20, attribute 200: attribute length is 5, but 4 octets are left");
}

#[test]
fn unknown_codes_keep_their_number() {
    assert_eq!(Code(250).to_string(), "code 250");
    assert_eq!(Code::COA_NAK.to_string(), "CoA-NAK");
    assert!((0..=255).map(Code).filter(|code| code.name().is_some()).count() == 14);
}

#[test]
fn a_printed_packet_shows_no_value() {
    let bytes = octets(vectors::TELNET_REQUEST);
    let shown = format!("{:?}", Packet::parse(&bytes).unwrap());
    assert_eq!(shown, "Access-Request 0 [User-Name, User-Password, NAS-IP-Address, NAS-Port]");
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            exercise(&packet);
        }
    }

    /// Junk behind a header that fits it, so that the walk over the attributes is reached.
    #[test]
    fn any_attributes_are_read_or_refused(
        code in any::<u8>(),
        attributes in proptest::collection::vec((any::<u8>(), 0_u8..=40, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let mut bytes = vec![code, 0, 0, 0];
        bytes.extend([0; 16]);
        for (kind, length, value) in &attributes {
            bytes.extend([*kind, *length]);
            bytes.extend(value);
        }
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        if let Ok(packet) = Packet::parse(&bytes) {
            exercise(&packet);
        }
    }
}

fn exercise(packet: &Packet<'_>) {
    let mut end = HEADER_OCTETS;
    for attribute in packet.iter() {
        assert_eq!(attribute.offset, end);
        end += 2 + attribute.value.len();
        let _ = attribute.decode();
        let _ = attribute.vendor_specific().map(|v| v.split());
    }
    assert_eq!(end, packet.octets().len());
    let secret = crate::SharedSecret::new(b"s").unwrap();
    let _ = crate::authenticator::verify_request(*packet, &secret);
    let _ = format!("{packet:?}");
}
