//! Capture files, octet by octet: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng, in both byte orders.

use proptest::prelude::*;

use super::super::capture::{Capture, CaptureError, Problem, Record, Time};
use super::hex;

/// The records of a file, and the error at which it ends.
fn read(file: &[u8]) -> (Vec<Record>, Option<CaptureError>) {
    let capture = match Capture::new(file) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut records = Vec::new();
    for record in capture {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

#[track_caller]
fn whole(file: &[u8]) -> Vec<Record> {
    let (records, error) = read(file);
    assert!(error.is_none(), "{error:?}");
    records
}

/// Octet and words.
#[track_caller]
fn broken(file: &[u8]) -> (u64, String) {
    let error = read(file).1.unwrap();
    (error.offset, error.problem.to_string())
}

fn record(seconds: u64, nanoseconds: u32, original_octets: u32, octets: &[u8]) -> Record {
    Record { link_type: 1, time: Some(Time { seconds, nanoseconds }), original_octets, octets: octets.to_vec() }
}

/// A classic file of two packets, the second one cut from nine octets to two; little-endian and big-endian.
fn classic() -> [Vec<u8>; 2] {
    let little = "
        d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
        00f15365 07000000 03000000 03000000 aabbcc
        01f15365 3f420f00 02000000 09000000 ddee";
    let big = "
        a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
        6553f100 00000007 00000003 00000003 aabbcc
        6553f101 000f423f 00000002 00000009 ddee";
    [hex(little), hex(big)]
}

/// 0x6553f100 is 1,700,000,000.
fn expected() -> Vec<Record> {
    vec![record(1_700_000_000, 7_000, 3, &[0xaa, 0xbb, 0xcc]), record(1_700_000_001, 999_999_000, 9, &[0xdd, 0xee])]
}

#[test]
fn a_classic_file_is_read_in_both_byte_orders() {
    for file in classic() {
        assert_eq!(whole(&file), expected());
    }
}

#[test]
fn a_classic_file_may_count_nanoseconds() {
    for (mut file, magic) in classic().into_iter().zip(["4d3cb2a1", "a1b23c4d"]) {
        file.splice(..4, hex(magic));
        let times: Vec<u32> = whole(&file).iter().map(|record| record.time.unwrap().nanoseconds).collect();
        assert_eq!(times, [7, 999_999]);
    }
}

#[test]
fn kuznetzov_s_records_have_eight_octets_more() {
    for (mut file, magic) in classic().into_iter().zip(["34cdb2a1", "a1b2cd34"]) {
        file.splice(..4, hex(magic));
        // Before each packet: interface, protocol, packet type, padding.
        for at in [59, 40] {
            file.splice(at..at, [1, 0, 0, 0, 8, 0, 0, 0]);
        }
        assert_eq!(whole(&file), expected());
    }
}

#[test]
fn the_upper_bits_of_the_link_type_are_something_else() {
    // draft-ietf-opsawg-pcap, section 4: they hold the length of the frame check sequence.
    let [mut little, _] = classic();
    little[23] = 0x24;
    assert_eq!(whole(&little), expected());
}

/// Writes numbers in one of the two orders.
struct Order {
    big: bool,
}

impl Order {
    fn long(&self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn short(&self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// Section 3.1: type, length, body to a multiple of four, length.
    fn block(&self, kind: u32, body: &[&[u8]]) -> Vec<u8> {
        let mut body = body.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.long(u32::try_from(body.len() + 12).unwrap());
        [&self.long(kind)[..], &length, &body, &length].concat()
    }

    /// Section 4.1: byte order, version 1.0, a section of unknown length.
    fn section(&self) -> Vec<u8> {
        self.block(0x0a0d_0d0a, &[&self.long(0x1a2b_3c4d), &self.short(1), &self.short(0), &[0xff; 8]])
    }

    /// Section 4.2: link type, reserved, snap length, options.
    fn interface(&self, link_type: u16, snap: u32, options: &[&[u8]]) -> Vec<u8> {
        self.block(1, &[&self.short(link_type), &[0, 0], &self.long(snap), &options.concat()])
    }

    /// An option of one octet, padded (section 3.5).
    fn option(&self, code: u16, value: u8) -> Vec<u8> {
        [&self.short(code)[..], &self.short(1), &[value, 0, 0, 0]].concat()
    }

    /// Section 4.3: interface, upper and lower half of the time, octets here, octets before, packet.
    fn enhanced(&self, interface: u32, time: u64, original: u32, packet: &[u8]) -> Vec<u8> {
        let [upper, lower] = [time >> 32, time & 0xffff_ffff].map(|half| self.long(u32::try_from(half).unwrap()));
        let length = self.long(u32::try_from(packet.len()).unwrap());
        let padded = [packet, &vec![0; packet.len().next_multiple_of(4) - packet.len()]].concat();
        // With a comment behind the packet.
        let comment = [&self.short(1)[..], &self.short(2), b"hi\0\0", &[0; 4]].concat();
        self.block(6, &[&self.long(interface), &upper, &lower, &length, &self.long(original), &padded, &comment])
    }
}

const ORDERS: [Order; 2] = [Order { big: false }, Order { big: true }];

/// 1,700,000,000.000007 in microseconds.
const MICROSECONDS: u64 = 1_700_000_000_000_007;

/// A file with what [`expected`] says.
fn next_generation(order: &Order) -> Vec<u8> {
    let parts = [
        order.section(),
        // An unknown block is skipped (section 3.1).
        order.block(0x0bad, &[&[1, 2, 3, 4]]),
        order.interface(1, 65_535, &[]),
        order.enhanced(0, MICROSECONDS, 3, &[0xaa, 0xbb, 0xcc]),
        order.enhanced(0, 1_700_000_001_999_999, 9, &[0xdd, 0xee]),
    ];
    parts.concat()
}

#[test]
fn a_pcapng_file_is_read_in_both_byte_orders() {
    for order in ORDERS {
        assert_eq!(whole(&next_generation(&order)), expected());
    }
}

#[test]
fn a_section_begins_anew_with_its_own_order_and_interfaces() {
    let [little, big] = &ORDERS;
    let both = [next_generation(little), next_generation(big)].concat();
    assert_eq!(whole(&both), [expected(), expected()].concat());
    // The interfaces of the section before are gone.
    let (records, error) = read(&[next_generation(little), big.section(), big.enhanced(0, 0, 1, &[1])].concat());
    assert_eq!(records, expected());
    assert!(matches!(error.unwrap().problem, Problem::UnknownInterface { id: 0 }));
}

#[test]
fn an_interface_says_how_its_clock_counts() {
    // Option if_tsresol, code 9 (section 4.2): a power of ten, or with the upper bit a power of two.
    let cases = [
        (9, 1_700_000_000_000_000_007, 1_700_000_000, 7),
        (3, 1_500, 1, 500_000_000),
        (0, 7, 7, 0),
        (0x80 | 1, 3, 1, 500_000_000),
        (0x80 | 32, (5 << 32) + (1 << 30), 5, 250_000_000),
    ];
    for order in ORDERS {
        for (resolution, units, seconds, nanoseconds) in cases {
            // Behind another option (if_name) and before the end of options.
            let name = [&order.short(2)[..], &order.short(3), b"lo0\0"].concat();
            let options = [&name[..], &order.option(9, resolution), &[0; 4]];
            let file = [order.section(), order.interface(1, 0, &options), order.enhanced(0, units, 1, &[7])].concat();
            assert_eq!(whole(&file), [record(seconds, nanoseconds, 1, &[7])], "{resolution}");
        }
        // A clock that counts 10^127ths says nothing that fits.
        let file =
            [order.section(), order.interface(1, 0, &[&order.option(9, 127)]), order.enhanced(0, 1, 1, &[7])].concat();
        assert_eq!(whole(&file)[0].time, None);
    }
}

#[test]
fn a_packet_belongs_to_the_interface_that_it_names() {
    for order in ORDERS {
        let interfaces = [order.interface(1, 0, &[]), order.interface(101, 0, &[&order.option(9, 0)])].concat();
        let file = [order.section(), interfaces, order.enhanced(1, 7, 1, &[7]), order.enhanced(0, 7, 1, &[7])].concat();
        let records = whole(&file);
        let found: Vec<_> = records.iter().map(|record| (record.link_type, record.time.unwrap().seconds)).collect();
        assert_eq!(found, [(101, 7), (1, 0)]);
    }
}

#[test]
fn a_simple_packet_has_no_time_and_is_cut_by_the_snap_length() {
    // Section 4.4: the length before the cut, then the packet.
    for order in ORDERS {
        let simple = order.block(3, &[&order.long(6), &[1, 2, 3, 4, 5, 6]]);
        let cut = order.block(3, &[&order.long(9), &[1, 2, 3]]);
        let expected = |original_octets, octets: &[u8]| Record {
            link_type: 1,
            time: None,
            original_octets,
            octets: octets.to_vec(),
        };
        let file = [order.section(), order.interface(1, 0, &[]), simple].concat();
        assert_eq!(whole(&file), [expected(6, &[1, 2, 3, 4, 5, 6])]);
        let file = [order.section(), order.interface(1, 3, &[]), cut].concat();
        assert_eq!(whole(&file), [expected(9, &[1, 2, 3])]);
        let file = [order.section(), order.block(3, &[&order.long(0)])].concat();
        assert!(broken(&file).1.contains("interface 0 was not described"));
    }
}

#[test]
fn the_obsolete_packet_block_is_read() {
    // Appendix A: interface and drops of two octets each, and then as the enhanced one.
    for order in ORDERS {
        let packet = order.block(
            2,
            &[
                &order.short(0),
                &order.short(0xffff),
                &order.long(0),
                &order.long(1_000_007),
                &order.long(1),
                &order.long(1),
                &[7],
            ],
        );
        let file = [order.section(), order.interface(1, 0, &[]), packet].concat();
        assert_eq!(whole(&file), [record(1, 7_000, 1, &[7])]);
    }
}

#[test]
fn what_another_implementation_writes_is_read() {
    use std::borrow::Cow;
    use std::time::Duration;

    use pcap_file::pcap::{PcapPacket, PcapWriter};
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for record in expected() {
        let at = record.time.unwrap();
        writer
            .write_packet(&PcapPacket {
                timestamp: Duration::new(at.seconds, at.nanoseconds),
                orig_len: record.original_octets,
                data: Cow::Owned(record.octets),
            })
            .unwrap();
    }
    assert_eq!(whole(&writer.into_writer()), expected());
}

/// Where each of these files may end: behind its header and behind each of its packets.
fn files_and_their_ends() -> Vec<(Vec<u8>, Vec<usize>)> {
    let classic = classic().map(|file| (file, vec![24, 24 + 16 + 3, 24 + 16 + 3 + 16 + 2]));
    let blocks = ORDERS.map(|order| {
        // 28 for the section, 16 for the unknown block, 20 for the interface; 32 and the packet in fours and its
        // comment of 12 for each packet.
        let packet = 32 + 4 + 12;
        (next_generation(&order), vec![28, 44, 64, 64 + packet, 64 + 2 * packet])
    });
    [classic, blocks].concat()
}

#[test]
fn a_file_that_is_cut_at_any_octet_gives_what_was_whole_and_an_error() {
    for (file, ends) in files_and_their_ends() {
        assert_eq!(ends.last(), Some(&file.len()));
        let packets_end = &ends[ends.len() - 2..];
        for end in 0..file.len() {
            let (records, error) = read(&file[..end]);
            let complete = packets_end.iter().filter(|packet| **packet <= end).count();
            // A packet is there with its last octet; what follows it in its block may be missing.
            assert!(records.len() == complete || records.len() == complete + 1, "{end}");
            assert_eq!(records, expected()[..records.len()], "{end}");
            match error {
                None => assert!(ends.contains(&end), "{end}: a cut is not seen"),
                Some(error) => {
                    assert!(!ends.contains(&end), "{end}: {error}");
                    assert!(matches!(error.problem, Problem::Cut { .. }), "{end}: {error}");
                    assert!(error.offset <= end as u64, "{end}: {error}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_capture_says_what_it_begins_with() {
    assert_eq!(broken(b""), (0, "the file is cut: 4 octets needed, 0 are there".to_owned()));
    assert_eq!(broken(b"GIF89a"), (0, "begins with 47 49 46 38; expected pcap or pcapng".to_owned()));
    let gzip = "begins with 1f 8b 08 00; expected pcap or pcapng; this is gzip, unpack it first";
    assert_eq!(broken(&hex("1f8b0800")), (0, gzip.to_owned()));
}

#[test]
fn a_length_that_no_tool_writes_allocates_nothing() {
    let [mut little, mut big] = classic();
    little[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    big[32..36].copy_from_slice(&262_145_u32.to_be_bytes());
    assert_eq!(broken(&little), (40, "a packet of 4294967295 octets; at most 262144 are read".to_owned()));
    assert_eq!(broken(&big), (40, "a packet of 262145 octets; at most 262144 are read".to_owned()));
}

#[test]
fn a_block_whose_lengths_lie_is_named_with_its_octet() {
    for order in ORDERS {
        let section = order.section();
        let interface = order.interface(1, 0, &[]);
        // At its end another length than at its begin.
        let mut file = [&section[..], &interface].concat();
        file[44..48].copy_from_slice(&order.long(24));
        assert_eq!(broken(&file), (44, "a block length of 24".to_owned()));
        // No multiple of four; shorter than itself.
        for length in [0, 8, 21] {
            let mut file = [&section[..], &interface].concat();
            file[32..36].copy_from_slice(&order.long(length));
            assert_eq!(broken(&file), (32, format!("a block length of {length}")));
        }
        // A packet that is longer than its block.
        let mut packet = order.enhanced(0, 0, 1, &[7]);
        packet[20..24].copy_from_slice(&order.long(1_000));
        let file = [&section[..], &interface, &packet].concat();
        // 28 and 20 octets before it, and 28 of its own; it has 16 left with its comment.
        assert_eq!(broken(&file), (76, "1000 octets needed, 16 are left in the block".to_owned()));
        // An option that is longer than its block.
        let option = [order.short(2), order.short(100)].concat();
        let file = [&section[..], &order.interface(1, 0, &[&option])].concat();
        assert_eq!(broken(&file), (48, "100 octets needed, 0 are left in the block".to_owned()));
        // A section that does not tell its order, and one that is too short.
        let mut file = section.clone();
        file[8] = 0;
        assert_eq!(broken(&file).0, 8);
        let mut file = section;
        file[4..8].copy_from_slice(&order.long(24));
        assert_eq!(broken(&file), (4, "a block length of 24".to_owned()));
    }
}

#[test]
fn interfaces_are_not_kept_without_end() {
    let [little, _] = &ORDERS;
    let mut file = little.section();
    (0..4_097).for_each(|_| file.extend(little.interface(1, 0, &[])));
    // The one that is too many begins behind the section and 4096 others.
    assert_eq!(broken(&file), (28 + 4_096 * 20, "more than 4096 interfaces".to_owned()));
}

proptest! {
    #[test]
    fn any_change_of_a_file_ends(
        file in prop::sample::select(files_and_their_ends()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = file.0;
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        let (records, error) = read(&file);
        // Nothing is read that is not there.
        prop_assert!(records.iter().map(|record| record.octets.len()).sum::<usize>() <= file.len());
        prop_assert!(error.is_none_or(|error| error.offset <= file.len() as u64));
    }

    #[test]
    fn any_octets_behind_a_header_end(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        for header in [&classic()[0][..24], &classic()[1][..24], &ORDERS[0].section(), &ORDERS[1].section()] {
            let _ = read(&[header, &octets].concat());
        }
    }
}
