use super::*;

fn decode(kind: Type, value: &[u8]) -> Result<Value<'_>, Malformed> {
    Attribute { kind, value, offset: 20 }.decode()
}

fn length_error(kind: Type, value: &[u8]) -> bool {
    matches!(decode(kind, value), Err(Malformed { kind: MalformedKind::ValueLength { have, .. }, offset: 20, attribute })
        if have == value.len() && attribute == Some(kind))
}

#[test]
fn a_value_has_the_length_of_its_type_and_no_other() {
    for (kind, length) in [
        (Type::NAS_PORT, 4),
        (Type::EVENT_TIMESTAMP, 4),
        (Type::FRAMED_IP_ADDRESS, 4),
        (Type::FRAMED_IPV6_ADDRESS, 16),
        (Type::FRAMED_INTERFACE_ID, 8),
        (Type::MESSAGE_AUTHENTICATOR, 16),
        (Type::CHAP_PASSWORD, 17),
        (Type::TUNNEL_TYPE, 4),
        (Type::MIP6_FEATURE_VECTOR, 8),
    ] {
        for have in 0..=20 {
            assert_eq!(length_error(kind, &vec![0; have]), have != length, "{kind} of {have} octets");
        }
    }
}

#[test]
fn texts_are_utf_8() {
    assert_eq!(decode(Type::USER_NAME, "zähler".as_bytes()), Ok(Value::Text("zähler")));
    let bad = decode(Type::USER_NAME, b"\xff").unwrap_err();
    assert_eq!(bad.to_string(), "octet 20, User-Name: the text is not UTF-8");
    assert_eq!(decode(Type(250), b"\xff"), Ok(Value::Octets(b"\xff")), "an unknown type is octets");
}

/// Octets of tcpdump's capture RADIUS-RFC3162: NAS-IPv6-Address, Framed-IPv6-Prefix with all and with ten octets.
#[test]
fn ipv6_prefixes_come_with_as_many_octets_as_the_sender_likes() {
    let prefix = crate::vectors::octets("004020010db80a0b12f00000000000000000");
    let wanted = Value::Ipv6Prefix("2001:db8:a0b:12f0::".parse().unwrap(), 64);
    assert_eq!(decode(Type::FRAMED_IPV6_PREFIX, &prefix), Ok(wanted));
    assert_eq!(decode(Type::FRAMED_IPV6_PREFIX, &prefix[..10]), Ok(wanted));
    assert_eq!(decode(Type::FRAMED_IPV6_PREFIX, &[0, 0]), Ok(Value::Ipv6Prefix(Ipv6Addr::UNSPECIFIED, 0)));
    assert!(length_error(Type::FRAMED_IPV6_PREFIX, &[0]));
    assert!(length_error(Type::FRAMED_IPV6_PREFIX, &[0; 19]));
    for not in [&[0, 129][..], &[0, 8, 1, 1], &[0, 0, 0x80]] {
        assert_eq!(decode(Type::FRAMED_IPV6_PREFIX, not).unwrap_err().kind, MalformedKind::NotAPrefix, "{not:?}");
    }
    let longest: Vec<u8> = [0, 128].into_iter().chain([0xff; 16]).collect();
    assert!(matches!(decode(Type::FRAMED_IPV6_PREFIX, &longest), Ok(Value::Ipv6Prefix(_, 128))));
}

#[test]
fn ipv4_prefixes_have_six_octets() {
    let kind = Type::PMIP6_HOME_IPV4_HOA;
    assert_eq!(decode(kind, &[0, 24, 192, 0, 2, 0]), Ok(Value::Ipv4Prefix([192, 0, 2, 0].into(), 24)));
    assert_eq!(decode(kind, &[0, 24, 192, 0, 2, 1]).unwrap_err().kind, MalformedKind::NotAPrefix);
    assert_eq!(decode(kind, &[0, 33, 0, 0, 0, 0]).unwrap_err().kind, MalformedKind::NotAPrefix);
    assert!(matches!(decode(kind, &[0, 32, 192, 0, 2, 1]), Ok(Value::Ipv4Prefix(_, 32))));
}

#[test]
fn a_tag_is_split_off_where_it_can_be_one() {
    assert_eq!(decode(Type::TUNNEL_TYPE, &[1, 0, 0, 13]), Ok(Value::TaggedInteger(1, 13)));
    assert_eq!(decode(Type::TUNNEL_PRIVATE_GROUP_ID, b"\x01110"), Ok(Value::TaggedText(Some(1), "110")));
    assert_eq!(decode(Type::TUNNEL_PRIVATE_GROUP_ID, b"110"), Ok(Value::TaggedText(None, "110")));
}

/// The Cisco attribute in the Access-Request of scapy's RADIUS tests: vendor 9, attribute 1.
#[test]
fn a_vendor_s_attributes_are_split_where_they_have_the_recommended_form() {
    let value = crate::vectors::octets("000000090115736572766963652d747970653d4672616d6564");
    let Ok(Value::VendorSpecific(specific)) = decode(Type::VENDOR_SPECIFIC, &value) else { panic!("{value:?}") };
    assert_eq!(specific.vendor, Vendor(9));
    let inner = specific.split().unwrap();
    assert_eq!(inner.len(), 1);
    assert_eq!((inner[0].kind, inner[0].value), (Type(1), &b"service-type=Framed"[..]));
    let other = VendorSpecific { vendor: Vendor(9), data: b"\x01\x09ab" };
    assert_eq!(other.split(), None);
    assert!(length_error(Type::VENDOR_SPECIFIC, &[0, 0, 0, 9]));
}
