//! Packets captured by others, where `MICROSLICE_CORPORA` names the folder that has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::PathBuf;

use aaa_wire::authenticator::{verify_request, verify_response};
use aaa_wire::{Authenticator, Code, Identifier, MalformedKind, Packet, SharedSecret};
use pcap_file::pcap::PcapReader;

/// Every RADIUS packet of the captures decodes, each attribute by its data type, and its parts make the same octets again.
#[test]
#[ignore = "needs MICROSLICE_CORPORA"]
fn every_captured_packet_decodes_and_encodes_to_the_same_octets() {
    let text = std::fs::read_to_string(corpora().join("vectors/from-pcap/radius.jsonl")).unwrap();
    let (mut decoded, mut wrong) = (0, 0);
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = octets(record["hex"].as_str().unwrap());
        let file = record["file"].as_str().unwrap();
        let packet = match Packet::parse(&bytes) {
            Ok(packet) => packet,
            // tshark calls it malformed too: the datagram ends one octet before Length says.
            Err(error) if file == "tcpdump/radius_rfc5447_invalid_length.pcap" => {
                assert_eq!(error.kind, MalformedKind::Cut { length: 57, have: 56 });
                continue;
            }
            Err(error) => panic!("{file} frame {}: {error}", record["frame"]),
        };
        assert_eq!(packet.code().0.to_string(), record["code"]);
        assert_eq!(packet.identifier().0.to_string(), record["id"]);
        for error in packet.iter().filter_map(|attribute| attribute.decode().err()) {
            assert!(WRONG_VALUES.contains(&(file, error.offset)), "{file} frame {}: {error}", record["frame"]);
            wrong += 1;
        }
        assert_eq!(encode(&packet), bytes, "{file} frame {}", record["frame"]);
        decoded += 1;
    }
    assert_eq!((decoded, wrong), (44, WRONG_VALUES.len()));
}

/// hostapd and eapol_test, both of version 2.10: every seal holds under the secret of the keys file, and none with one
/// bit changed.
#[test]
#[ignore = "needs MICROSLICE_CORPORA"]
fn every_seal_of_the_live_captures_holds_and_one_flipped_bit_fails() {
    let folder = corpora().join("pcap/live-hostapd");
    let keys: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("keys.json")).unwrap()).unwrap();
    let secret = SharedSecret::new(keys["_common"]["radius_secret"].as_str().unwrap().as_bytes()).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.extension().is_some_and(|e| e == "pcap") {
            checked += check_capture(&entry, &secret);
        }
    }
    assert!(checked >= 26, "{checked}");
}

/// Values that their makers got wrong on purpose, to test decoders: Framed-IPv6-Prefix of 1 and of 19 octets, and one
/// with a length of 129.
const WRONG_VALUES: [(&str, usize); 3] =
    [("tcpdump/RADIUS-RFC3162.pcap", 97), ("tcpdump/RADIUS-RFC3162.pcap", 100), ("tcpdump/RADIUS-RFC3162.pcap", 121)];

fn check_capture(file: &std::path::Path, secret: &SharedSecret) -> usize {
    let mut reader = PcapReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut requests: HashMap<Identifier, Authenticator> = HashMap::new();
    let mut checked = 0;
    while let Some(frame) = reader.next_packet() {
        let frame = frame.unwrap();
        // Ethernet, IPv4 without options, UDP; one octet after the other, as loopback has them.
        let datagram = &frame.data[14 + 20 + 8..];
        let packet = Packet::parse(datagram).unwrap();
        if packet.code() == Code::ACCESS_REQUEST {
            requests.insert(packet.identifier(), packet.authenticator());
        }
        let asked = (packet.identifier(), requests[&packet.identifier()]);
        let holds = |bytes: &[u8]| {
            Packet::parse(bytes).is_ok_and(|packet| match packet.code() {
                Code::ACCESS_REQUEST => verify_request(packet, secret).is_ok(),
                _ => verify_response(&packet, asked, secret).is_ok(),
            })
        };
        assert!(holds(datagram), "{}", file.display());
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&flipped), "{}: bit {bit}", file.display());
        }
        checked += 1;
    }
    checked
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    let header = packet.header();
    let mut octets = vec![header.code.0, header.identifier.0];
    octets.extend(header.length.to_be_bytes());
    octets.extend(header.authenticator.0);
    for attribute in packet.iter() {
        octets.extend([attribute.kind.0, u8::try_from(attribute.value.len() + 2).unwrap()]);
        octets.extend(attribute.value);
    }
    octets
}

fn octets(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn corpora() -> PathBuf {
    std::env::var_os("MICROSLICE_CORPORA").expect("MICROSLICE_CORPORA names the folder of captures").into()
}
