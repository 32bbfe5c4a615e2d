//! Expected octets are Scapy 2.8's, which computes each length and checksum by itself; the parts are what RFC 9293, RFC 768 and
//! RFC 3168 make of the whole.

use proptest::prelude::*;
use transport_dataplane::FramePool;

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn parts(whole: &[u8], offload: Offload, tag: Option<Tag>) -> Option<Vec<Vec<u8>>> {
    let mut merged = Merged::new();
    merged.room().fill(0xee);
    merged.room()[..whole.len()].copy_from_slice(whole);
    assert_eq!(merged.octets(whole.len()), whole);
    merged.take_apart(whole.len(), offload, tag).then_some(())?;
    let mut pool = FramePool::new(1);
    let mut frame = pool.take().unwrap();
    let mut parts = Vec::new();
    while merged.next(&mut frame) {
        parts.push(frame.octets().to_vec());
    }
    assert!(!merged.next(&mut frame), "that was all");
    Some(parts)
}

const fn merged(gso_type: u8, gso_size: u16, csum_start: u16, csum_offset: u16) -> Offload {
    Offload { flags: NEEDS_CSUM, gso_type, hdr_len: 0, gso_size, csum_start, csum_offset }
}

fn all(hex: &[&str]) -> Vec<Vec<u8>> {
    hex.iter().map(|hex| octets(hex)).collect()
}

const TCP_IPV4_MERGED: Offload = merged(GSO_TCPV4 | GSO_ECN, 20, 34, 16);
const UDP_IPV6_MERGED: Offload = merged(GSO_UDP_L4, 20, 54, 6);
const VXLAN_MERGED: Offload = merged(GSO_TCPV6, 30, 104, 16);

#[test]
fn a_merged_frame_leaves_as_the_packets_that_it_is_made_of() {
    // Sequence numbers and identification wrap; CWR goes with the first, PSH and FIN with the last.
    assert_eq!(parts(&octets(TCP_IPV4), TCP_IPV4_MERGED, None).unwrap(), all(&TCP_IPV4_PARTS));
    assert_eq!(parts(&octets(UDP_IPV6), UDP_IPV6_MERGED, None).unwrap(), all(&UDP_IPV6_PARTS));
    // Two IP headers and a UDP header around it, all with lengths, and with checksums where there were some.
    assert_eq!(parts(&octets(VXLAN), VXLAN_MERGED, None).unwrap(), all(&VXLAN_PARTS));
    let tagged = parts(&octets(TCP_IPV4), TCP_IPV4_MERGED, Some((0x8100, 110))).unwrap();
    for (tagged, plain) in tagged.iter().zip(all(&TCP_IPV4_PARTS)) {
        assert_eq!(*tagged, [&plain[..12], &[0x81, 0, 0, 110], &plain[12..]].concat());
    }
}

#[test]
fn what_is_not_what_it_is_said_to_be_is_not_taken_apart() {
    let whole = octets(TCP_IPV4);
    for wrong in [
        // Another protocol; a kind that is not known; no size; a header that is somewhere else, or nowhere.
        merged(GSO_UDP_L4, 20, 34, 16),
        merged(3, 20, 34, 16),
        merged(GSO_TCPV4, 0, 34, 16),
        merged(GSO_TCPV4, 20, 38, 16),
        merged(GSO_TCPV4, 20, 60_000, 16),
        // Its parts are no frames.
        merged(GSO_TCPV4, 9_200, 34, 16),
    ] {
        assert_eq!(parts(&whole, wrong, None), None, "{wrong:?}");
    }
    let headers = 14 + 20 + 32;
    for length in 0..whole.len() {
        assert_eq!(parts(&whole[..length], TCP_IPV4_MERGED, None).is_some(), length > headers, "{length}");
    }
    for length in 0..octets(VXLAN).len() {
        parts(&octets(VXLAN)[..length], VXLAN_MERGED, None);
    }
}

#[test]
fn a_checksum_that_was_left_undone_is_completed() {
    // UDP 7 to 9, "hi!", between 192.0.2.1 and 192.0.2.2: the pseudo header sums to 840f before it is complemented;
    // the whole checksum is f25a.
    let pseudo: u32 = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 17 + 11;
    let pseudo = u16::try_from((pseudo & 0xffff) + (pseudo >> 16)).unwrap();
    let mut octets = vec![0xee; 34];
    octets.extend([0, 7, 0, 9, 0, 11]);
    octets.extend(pseudo.to_be_bytes());
    octets.extend(b"hi!");
    assert!(complete_checksum(&mut octets, Offload { csum_start: 34, csum_offset: 6, ..Offload::default() }));
    assert_eq!(octets[40..42], [0xf2, 0x5a]);
    // Places outside of the frame are left alone.
    assert!(!complete_checksum(&mut octets, Offload { csum_start: 60_000, csum_offset: 6, ..Offload::default() }));
    assert!(!complete_checksum(&mut octets, Offload { csum_start: 34, csum_offset: 8, ..Offload::default() }));
}

#[test]
fn the_checksum_of_sctp_is_no_sum() {
    // The check value of CRC-32C: RFC 3720, appendix B.4, has 32 zeros as aa 36 91 8a.
    assert_eq!(crc32c(&[0; 32]).to_le_bytes(), [0xaa, 0x36, 0x91, 0x8a]);
    let whole = octets(SCTP);
    let mut undone = whole.clone();
    undone[42..46].fill(0);
    let offload = Offload { flags: NEEDS_CSUM, csum_start: 34, csum_offset: 8, ..Offload::default() };
    assert!(complete_checksum(&mut undone, offload));
    assert_eq!(undone, whole);
}

/// The frame as a kernel hands it over that leaves the checksum at `field` to the hardware: RFC 1071's sum of the pseudo
/// header, which the test computes by 16-bit words.
fn left_undone(frame: &[u8], field: usize, pseudo: &[u8]) -> Vec<u8> {
    let words = pseudo.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let mut frame = frame.to_vec();
    frame[field..field + 2].copy_from_slice(&u16::try_from(sum).unwrap().to_be_bytes());
    frame
}

#[test]
fn where_nothing_is_said_a_checksum_is_completed_if_it_is_just_the_pseudo_headers() {
    let length = |frame: &[u8], at: usize| u16::try_from(frame.len() - at).unwrap().to_be_bytes();
    let tcp = octets(TCP_IPV4_PARTS[0]);
    let udp = octets(UDP_IPV6_PARTS[0]);
    let vxlan = octets(VXLAN_PARTS[0]);
    let undone = [
        left_undone(&tcp, 50, &[&tcp[26..34], &[0, 6], &length(&tcp, 34)].concat()),
        left_undone(&udp, 60, &[&udp[22..54], &[0, 17], &length(&udp, 54)].concat()),
        left_undone(&vxlan, 120, &[&vxlan[72..104], &[0, 6], &length(&vxlan, 104)].concat()),
    ];
    for (mut undone, whole) in undone.into_iter().zip([&tcp, &udp, &vxlan]) {
        assert_ne!(undone, **whole);
        complete_unsaid_checksum(&mut undone);
        assert_eq!(undone, **whole);
    }
    let mut sctp = octets(SCTP);
    sctp[42..46].fill(0);
    complete_unsaid_checksum(&mut sctp);
    assert_eq!(sctp, octets(SCTP));
    // One that is right stays, and so does one that is wrong: who broke it is not for us to hide.
    for hex in [TCP_IPV4, UDP_IPV6, VXLAN, SCTP] {
        let mut whole = octets(hex);
        complete_unsaid_checksum(&mut whole);
        assert_eq!(whole, octets(hex));
        *whole.last_mut().unwrap() ^= 1;
        let broken = whole.clone();
        complete_unsaid_checksum(&mut whole);
        assert_eq!(whole, broken);
    }
}

proptest! {
    #[test]
    fn no_octets_and_no_word_of_the_kernel_do_harm(
        base in 0..4_usize, changes in prop::collection::vec((0..200_usize, any::<u8>()), 0..8), cut in 0..200_usize,
        words in any::<(u8, u8, u16, u16, u16)>(),
    ) {
        let bases = [
            (octets(TCP_IPV4), TCP_IPV4_MERGED),
            (octets(UDP_IPV6), UDP_IPV6_MERGED),
            (octets(VXLAN), VXLAN_MERGED),
            (octets(SCTP), TCP_IPV4_MERGED),
        ];
        let (mut whole, said) = bases[base].clone();
        for (at, octet) in changes {
            if let Some(place) = whole.get_mut(at) {
                *place = octet;
            }
        }
        whole.truncate(cut);
        let (flags, gso_type, gso_size, csum_start, csum_offset) = words;
        let lie = Offload { flags, gso_type, hdr_len: 0, gso_size, csum_start: csum_start % 256, csum_offset: csum_offset % 64 };
        for offload in [said, lie] {
            if let Some(parts) = parts(&whole, offload, None) {
                prop_assert!(parts.len() <= whole.len());
            }
            let mut pool = FramePool::new(1);
            let mut frame = pool.take().unwrap();
            frame.copy_from(&whole);
            mend(&mut frame, offload, Some((0x8100, 1)));
        }
        complete_unsaid_checksum(&mut whole);
    }

    #[test]
    fn all_of_the_payload_leaves_in_order(payload in prop::collection::vec(any::<u8>(), 1..3_000), size in 1..1_500_u16) {
        let headers = 14 + 20 + 32;
        let whole = [&octets(TCP_IPV4)[..headers], &payload].concat();
        let parts = parts(&whole, merged(GSO_TCPV4, size, 34, 16), None).unwrap();
        prop_assert!(parts.iter().all(|part| part.len() <= headers + usize::from(size)));
        prop_assert_eq!(parts.iter().flat_map(|part| part[headers..].to_vec()).collect::<Vec<_>>(), payload);
    }
}

const TCP_IPV4: &str = "02000000000a02000000000b080045020066ffff40004006b68cc0000201c00002029c400050fffffff00000000780990200\
     f8ff00000101080a0000000100000002000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021\
     22232425262728292a2b2c2d2e2f3031";
const TCP_IPV4_PARTS: [&str; 3] = [
    "02000000000a02000000000b080045020048ffff40004006b6aac0000201c00002029c400050fffffff00000000780900200\
     f93500000101080a0000000100000002000102030405060708090a0b0c0d0e0f10111213",
    "02000000000a02000000000b080045020048000040004006b6aac0000201c00002029c400050000000040000000780100200\
     30da00000101080a00000001000000021415161718191a1b1c1d1e1f2021222324252627",
    "02000000000a02000000000b08004502003e000140004006b6b3c0000201c00002029c400050000000180000000780190200\
     771200000101080a000000010000000228292a2b2c2d2e2f3031",
];
const UDP_IPV6: &str = "02000000000a02000000000b86dd60012345003a114020010db800000000000000000000000120010db80000000000000000\
     0000000213881770003a1e9a000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425\
     262728292a2b2c2d2e2f3031";
const UDP_IPV6_PARTS: [&str; 3] = [
    "02000000000a02000000000b86dd60012345001c114020010db800000000000000000000000120010db80000000000000000\
     0000000213881770001c1ee5000102030405060708090a0b0c0d0e0f10111213",
    "02000000000a02000000000b86dd60012345001c114020010db800000000000000000000000120010db80000000000000000\
     0000000213881770001c561c1415161718191a1b1c1d1e1f2021222324252627",
    "02000000000a02000000000b86dd600123450012114020010db800000000000000000000000120010db80000000000000000\
     000000021388177000129c7b28292a2b2c2d2e2f3031",
];
const VXLAN: &str = "02000000000a02000000000b0800450000a0000940004011e5d9c6336401c6336402c35012b5008c50250800000000138900\
     02000000010a02000000010b86dd6000000000460640fd000000000000000000000000000001fd0000000000000000000000\
     00000002000100020000006400000000501020003ac40000000102030405060708090a0b0c0d0e0f10111213141516171819\
     1a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031";
const VXLAN_PARTS: [&str; 2] = [
    "02000000000a02000000000b08004500008c000940004011e5edc6336401c6336402c35012b50078504d0800000000138900\
     02000000010a02000000010b86dd6000000000320640fd000000000000000000000000000001fd0000000000000000000000\
     0000000200010002000000640000000050102000c2690000000102030405060708090a0b0c0d0e0f10111213141516171819\
     1a1b1c1d",
    "02000000000a02000000000b080045000082000a40004011e5f6c6336401c6336402c35012b5006e50610800000000138900\
     02000000010a02000000010b86dd6000000000280640fd000000000000000000000000000001fd0000000000000000000000\
     00000002000100020000008200000000501020000da600001e1f202122232425262728292a2b2c2d2e2f3031",
];
const SCTP: &str = "02000000000a02000000000b080045000034000100004084f641c0000201c0000202960c960c01020304cc1e983c00000014\
     0000000000000000000000004e474150";
