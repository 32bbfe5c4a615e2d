//! RADIUS: the examples of RFC 2865, and what is not shown.

use serde_json::{Value, json};

use super::super::*;
use super::{TUNNEL, hex, layer};

/// RFC 2865, section 7.2: an Access-Request with CHAP.
const CHAP: &str = "
    01 01 0047 2aee86f08d0d55969ca5978e0d3367a2
    0108 666c6f707379 0313 16 e97557c316185895f293ff6344077275
    0406 c0a80110 0506 00000014 0606 00000002 0706 00000001";

/// A RADIUS packet in UDP over IPv4, without checksums that matter.
fn radius(packet: &[u8]) -> Value {
    let mut octets = hex("45 00 0000 0000 4000 40 11 0000 c0000201 c0000202 c000 0714 0000 0000");
    octets.extend(packet);
    octets[2..4].copy_from_slice(&length(packet.len() + 28));
    octets[24..26].copy_from_slice(&length(packet.len() + 8));
    decode_packet(1, super::RAW, &octets, u32::try_from(octets.len()).unwrap())
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap().to_be_bytes()
}

/// An Access-Request with these attributes: type and value each.
fn request(attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = hex("01 07 0000 00112233445566778899aabbccddeeff");
    for (kind, value) in attributes {
        packet.extend([*kind, u8::try_from(value.len() + 2).unwrap()]);
        packet.extend(*value);
    }
    let total = length(packet.len());
    packet[2..4].copy_from_slice(&total);
    packet
}

#[test]
fn the_first_example_of_rfc_2865_is_read_without_its_password() {
    let line = decode_packet(1, 1, &hex(TUNNEL), 176);
    assert_eq!(
        layer(&line, "radius"),
        json!({
            "radius.code": 1, "radius.id": 0, "radius.length": 56,
            "radius.authenticator": "0f403f9473978057bd83d5cb98f4227a",
            "radius.avp": [
                { "radius.avp.type": 1, "radius.avp.length": 6, "radius.User_Name": "nemo" },
                { "radius.avp.type": 2, "radius.avp.length": 18, "radius.User_Password.len": 16 },
                { "radius.avp.type": 4, "radius.avp.length": 6, "radius.NAS_IP_Address": "192.168.1.16" },
                { "radius.avp.type": 5, "radius.avp.length": 6, "radius.NAS_Port": 3 },
            ],
        })
    );
    assert!(!line.to_string().contains("0dbe708d"), "{line}");
}

#[test]
fn the_second_example_of_rfc_2865_is_read_without_its_response() {
    let line = radius(&hex(CHAP));
    let attributes = &layer(&line, "radius")["radius.avp"];
    assert_eq!(attributes[0]["radius.User_Name"], "flopsy");
    assert_eq!(attributes[1], json!({ "radius.avp.type": 3, "radius.avp.length": 19, "radius.CHAP_Password.len": 17 }));
    assert_eq!(attributes[4]["radius.Service_Type"], 2);
    assert_eq!(attributes[5]["radius.Framed_Protocol"], 1);
    assert!(!line.to_string().contains("e97557c3"), "{line}");
}

#[test]
fn of_secrets_only_the_length_is_shown() {
    // What would be recognised anywhere: as text, and in hexadecimal.
    let (secret, shown) = (b"Sesame-Open-Now!", "536573616d652d4f70656e2d4e6f7721");
    let tunnel = [&[1, 0x80, 0][..], secret].concat();
    let vendor = [&hex("00000137 10 12")[..], secret].concat();
    // EAP: a response (RFC 3748, section 4.1) of a Generic Token Card (section 5.6), which is a password in the clear.
    let eap = [&hex("02 01 0015 06")[..], secret].concat();
    let attributes: [(u8, &[u8], &str); 6] = [
        (2, secret, "RFC 2865, section 5.2: User-Password"),
        (3, &[&[7][..], secret].concat(), "RFC 2865, section 5.3: CHAP-Password"),
        (69, &tunnel, "RFC 2868, section 3.5: Tunnel-Password"),
        (70, secret, "RFC 2869, section 5.4: ARAP-Password"),
        (26, &vendor, "RFC 2548, section 2.4.2: MS-MPPE-Send-Key"),
        (79, &eap, "RFC 2869, section 5.13: EAP-Message"),
    ];
    for (kind, value, name) in attributes {
        let line = radius(&request(&[(1, b"nemo"), (kind, value)]));
        let attribute = &layer(&line, "radius")["radius.avp"][1];
        assert_eq!(attribute["radius.avp.type"], kind, "{name}");
        assert_eq!(attribute["radius.avp.length"], value.len() + 2, "{name}");
        let text = line.to_string();
        assert!(!text.contains("Sesame") && !text.contains(&shown[..16]), "{name}: {text}");
    }
    // RFC 2869, section 5.15: ARAP-Challenge-Response has eight octets.
    let line = radius(&request(&[(84, &secret[..8])]));
    assert!(!line.to_string().contains(&shown[..16]), "{line}");
}

#[test]
fn values_are_shown_by_their_form() {
    // RFC 8044, section 3, and for the tag RFC 2868, section 3.1.
    let attributes: [(u8, &str, &str, Value); 9] = [
        (27, "00000e10", "radius.Session_Timeout", json!(3_600)),
        (55, "6553f100", "radius.Event_Timestamp", json!(1_700_000_000)),
        (25, "00ff", "radius.Class", json!("00ff")),
        (95, "20010db8000000000000000000000001", "radius.NAS_IPv6_Address", json!("2001:db8::1")),
        (97, "00 40 20010db800000000", "radius.Framed_IPv6_Prefix", json!("2001:db8::/64")),
        (96, "0123456789abcdef", "radius.Framed_Interface_Id", json!("0123456789abcdef")),
        (64, "01 00000d", "radius.Tunnel_Type", json!(13)),
        (81, "01 313130", "radius.Tunnel_Private_Group_ID", json!("110")),
        (31, "1b5b324a", "radius.Calling_Station_Id", json!("\u{1b}[2J")),
    ];
    for (kind, value, name, expected) in attributes {
        let line = radius(&request(&[(kind, &hex(value))]));
        let attribute = &layer(&line, "radius")["radius.avp"][0];
        let found = attribute.as_object().unwrap().iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        assert_eq!(found.map(|(_, value)| value), Some(&expected), "{attribute}");
    }
}

#[test]
fn a_value_of_a_wrong_form_is_an_error_of_that_attribute_only() {
    // Session-Timeout with three octets (RFC 2865, section 5.27: length 6).
    let line = radius(&request(&[(27, &[0, 0, 1]), (1, b"nemo")]));
    let attributes = &layer(&line, "radius")["radius.avp"];
    assert!(attributes[0]["error"].is_string(), "{line}");
    assert_eq!(attributes[1]["radius.User_Name"], "nemo");
}

#[test]
fn an_attribute_that_is_unknown_shows_type_and_length() {
    let line = radius(&request(&[(192, &[1, 2, 3])]));
    assert_eq!(layer(&line, "radius")["radius.avp"], json!([{ "radius.avp.type": 192, "radius.avp.length": 5 }]));
}

#[test]
fn a_vendor_s_values_are_shown_by_type_and_length() {
    // RFC 2865, section 5.26: vendor 9, then type 1 and length 6.
    let line = radius(&request(&[(26, &hex("00000009 01 06 61626364"))]));
    let attribute = &layer(&line, "radius")["radius.avp"][0];
    assert_eq!(attribute["radius.avp.vendor_id"], 9);
    assert_eq!(attribute["radius.avp.vendor"], json!([{ "radius.avp.vendor_type": 1, "radius.avp.vendor_len": 6 }]));
}

#[test]
fn attributes_that_do_not_fill_the_packet_are_malformed() {
    // RFC 2865, section 5: a length of 1 is none, and one past the end is invalid.
    for (length, offset) in [(1, 26), (0, 26), (200, 26)] {
        let mut packet = request(&[(1, b"nemo"), (1, b"captain")]);
        packet[27] = length;
        let line = radius(&packet);
        let error = layer(&line, "error");
        assert_eq!(error["layer"], "radius", "{length}");
        assert!(error["offset"].as_u64().is_some_and(|at| at == offset || at == offset + 1), "{length}: {error}");
        // What was whole is shown.
        assert_eq!(layer(&line, "radius")["radius.avp"][0]["radius.User_Name"], "nemo");
        assert_eq!(layer(&line, "data"), json!({ "data.len": 9 }));
    }
}

#[test]
fn octets_behind_the_length_are_padding() {
    // RFC 2865, section 3: they are to be ignored.
    let line = radius(&[request(&[(1, b"nemo")]), vec![0; 7]].concat());
    assert_eq!(line["frame.protocols"], "raw:ip:udp:radius");
    // A length above what is there: silently discarded, says the same section.
    let mut packet = request(&[(1, b"nemo")]);
    packet[3] += 1;
    assert_eq!(layer(&radius(&packet), "error")["layer"], "radius");
}
