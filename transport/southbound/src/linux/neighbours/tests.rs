use netlink_packet_core::NetlinkMessage;
use netlink_packet_core::NetlinkPayload;
use proptest::prelude::*;

use super::*;

/// What Linux 6.18 answers to RTM_GETNEIGH, on a link with index 3: 10.9.0.2 is stale, 10.9.0.3 has failed, fd09::2 is
/// permanent.
const STALE: &str = "4c0000001c0000000700000054080000020000000300000004000001080001000a0900020a00020002000000000200000800040000000000140003008c1900001c0200001c02000001000000";
const FAILED: &str = "400000001c0000000700000054080000020000000300000020000001080001000a0900030800040006000000140003008819000018020000e600000001000000";
const PERMANENT: &str = "580000001c00000007000000540800000a000000030000008000000114000100fd0900000000000000000000000000020a00020002000000000600000800040000000000140003001b0200001b0200001b02000001000000";

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What is made of an answer, if it can be decoded at all.
fn read(octets: &[u8], index: u32, next_hop: &str) -> Option<Entry> {
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(octets).ok()?.payload {
        NetlinkPayload::InnerMessage(message) => entry(&message, index, next_hop.parse().unwrap()),
        _ => None,
    }
}

const fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

#[test]
fn entries_of_the_kernel_are_read() {
    let stale = Entry { mac: Some(mac(2)), is_to_be_asked: true };
    assert_eq!(read(&octets(STALE), 3, "10.9.0.2"), Some(stale));
    let failed = Entry { mac: None, is_to_be_asked: true };
    assert_eq!(read(&octets(FAILED), 3, "10.9.0.3"), Some(failed));
    // To ask for one that somebody has written down would unwrite it.
    let permanent = Entry { mac: Some(mac(6)), is_to_be_asked: false };
    assert_eq!(read(&octets(PERMANENT), 3, "fd09::2"), Some(permanent));
    // Of another link, or another neighbour.
    assert_eq!(read(&octets(STALE), 4, "10.9.0.2"), None);
    assert_eq!(read(&octets(STALE), 3, "10.9.0.3"), None);
    assert_eq!(read(&octets(STALE), 3, "fd09::2"), None);
}

/// The states of linux/neighbour.h: which of them lead somewhere, and where the kernel waits for somebody to ask.
#[test]
fn every_state_is_honoured() {
    let (there, gone) = (Some(mac(2)), None);
    for (state, mac, is_to_be_asked) in [
        (0x00, gone, true),
        (0x01, gone, false),
        (0x02, there, false),
        (0x04, there, true),
        (0x08, there, false),
        (0x10, there, false),
        (0x20, gone, true),
        (0x40, there, false),
        (0x80, there, false),
        (0x8000, gone, true),
    ] {
        let mut octets = octets(STALE);
        octets[24..26].copy_from_slice(&u16::to_ne_bytes(state));
        assert_eq!(read(&octets, 3, "10.9.0.2"), Some(Entry { mac, is_to_be_asked }), "{state:#x}");
    }
}

#[test]
fn what_is_no_station_is_nowhere() {
    // A group, and an address of another length.
    let mut group = octets(STALE);
    group[40] = 3;
    assert_eq!(read(&group, 3, "10.9.0.2").unwrap().mac, None);
    let mut short = octets(STALE);
    short[36] = 8;
    // The rest of it is an attribute that means nothing.
    short[44..48].copy_from_slice(&[4, 0, 0x7f, 0]);
    assert_eq!(read(&short, 3, "10.9.0.2").map(|entry| entry.mac), Some(None));
}

#[test]
fn an_answer_that_is_cut_short_is_none() {
    for whole in [STALE, FAILED, PERMANENT] {
        let whole = octets(whole);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            let _ = read(&cut, 3, "10.9.0.2");
            if let Some(said) = cut.first_chunk_mut::<4>() {
                *said = u32::try_from(length).unwrap().to_ne_bytes();
                let _ = read(&cut, 3, "10.9.0.2");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_octets_are_an_entry_or_none(mut octets in proptest::collection::vec(any::<u8>(), 16..200)) {
        octets[..8].copy_from_slice(&[0, 0, 0, 0, 28, 0, 0, 0]);
        let length = u32::try_from(octets.len()).unwrap();
        octets[..4].copy_from_slice(&length.to_ne_bytes());
        let _ = read(&octets, 3, "10.9.0.2");
    }
}
