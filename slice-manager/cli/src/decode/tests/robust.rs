//! Octets that nobody should send: whatever they are, there is an answer.

use proptest::prelude::*;
use serde_json::Value;

use super::super::*;
use super::tunnel::{PSEUDOWIRE, SRH_HMAC, USER_PLANE};
use super::{ARP, ECHO, TUNNEL, hex};

const SAMPLES: [&str; 6] = [ARP, ECHO, TUNNEL, SRH_HMAC, PSEUDOWIRE, USER_PLANE];

/// The names of what was understood.
fn understood(line: &Value) -> Vec<String> {
    let layers = line["layers"].as_array().unwrap().iter().flat_map(|layer| layer.as_object().unwrap().keys());
    layers.filter(|name| !matches!(name.as_str(), "data" | "error")).cloned().collect()
}

/// An answer is whole: its frame is described, and what was not read is counted or was padding.
fn check(line: &Value, octets: &[u8]) {
    assert_eq!(line["frame.cap_len"], octets.len());
    assert!(line["frame.protocols"].is_string());
    for (name, layer) in line["layers"].as_array().unwrap().iter().flat_map(|layer| layer.as_object().unwrap()) {
        match name.as_str() {
            "data" => assert!(layer["data.len"].as_u64().is_some_and(|length| length <= octets.len() as u64), "{line}"),
            "error" => assert!(layer["problem"].is_string() && layer["offset"].is_u64(), "{line}"),
            _ => assert!(layer.is_object(), "{line}"),
        }
    }
}

#[test]
fn a_packet_cut_at_any_octet_shows_what_comes_before() {
    for sample in SAMPLES {
        let whole = hex(sample);
        let length = u32::try_from(whole.len()).unwrap();
        let expected = understood(&decode_packet(1, 1, &whole, length));
        for end in 0..whole.len() {
            let line = decode_packet(1, 1, &whole[..end], length);
            check(&line, &whole[..end]);
            let found = understood(&line);
            assert!(expected.starts_with(&found), "{end}: {found:?}");
            // The same as a packet that its sender has sent like that.
            check(&decode_packet(1, 1, &whole[..end], u32::try_from(end).unwrap()), &whole[..end]);
        }
    }
}

#[test]
fn every_length_field_may_lie() {
    for sample in SAMPLES {
        let whole = hex(sample);
        for at in 0..whole.len() {
            for value in [0, 1, 7, 0x7f, 0x80, 0xff] {
                let mut octets = whole.clone();
                octets[at] = value;
                check(&decode_packet(1, 1, &octets, u32::try_from(octets.len()).unwrap()), &octets);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_octets_have_an_answer(
        link_type in prop::sample::select(vec![0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 9]),
        octets in prop::collection::vec(any::<u8>(), 0..200),
        more in 0_u32..100,
    ) {
        let original = u32::try_from(octets.len()).unwrap() + more;
        check(&decode_packet(1, link_type, &octets, original), &octets);
    }

    #[test]
    fn any_change_of_a_packet_has_an_answer(
        sample in prop::sample::select(SAMPLES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut octets = hex(sample);
        for (at, value) in changes {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        let original = u32::try_from(octets.len()).unwrap();
        octets.truncate(end.index(octets.len() + 1));
        check(&decode_packet(1, 1, &octets, original), &octets);
    }
}
