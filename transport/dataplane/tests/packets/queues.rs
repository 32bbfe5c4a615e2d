//! Trees in the packet path: what a program says of rates, weights and classes is what leaves, and when.
//!
//! Slice `embb` has one circuit and one way out, so its limits are held by the tree of `core0`. Its frames here have 1,000
//! octets: one takes 8 ms at 1 Mbit/s.

use model::profile::QueueClass;
use model::program::{CodelProgram, InnerMark, Marking, PortShaping, Program, QueueProgram, SessionRates, SliceClass};
use model::{ClassNumber, Dscp, Pcp, Qfi, Rate, RateLimits, TrafficClass, Weight};
use transport_dataplane::{DropReason, Nanos};

use crate::frames;
use crate::rig::*;

pub(crate) fn class(slice: &str, number: u64, limits: RateLimits) -> SliceClass {
    let number = ClassNumber::new(number).unwrap();
    SliceClass { number, slice: slice.parse().unwrap(), limits, weight: Weight::MIN, vnis: vec![] }
}

/// Without any limit that is reached here.
pub(crate) fn queue(queue: QueueClass) -> QueueProgram {
    QueueProgram { queue, weight: Weight::MIN, octets_max: 1_000_000, time_max_nanos: 10_000_000_000, codel: None }
}

pub(crate) fn rates(guaranteed: u64, ceiling: u64) -> RateLimits {
    RateLimits::new(Rate::from_bits_per_second(guaranteed), Rate::from_bits_per_second(ceiling)).unwrap()
}

/// The reference program with a link of 10 Mbit/s at `core0`, where embb has 1 Mbit/s at most.
pub(crate) fn shaped(change: impl FnOnce(&mut Program)) -> Program {
    let mut program = reference();
    let classes = vec![class("embb", 3, rates(500_000, MBIT)), class("iot", 4, rates(500_000, 2 * MBIT))];
    let rate = Rate::from_bits_per_second(10 * MBIT);
    program.content.shaping = vec![PortShaping { port: "core0".parse().unwrap(), rate, classes }];
    program.content.queues = QueueClass::ALL.map(queue).to_vec();
    let embb = &mut program.content.slices[0];
    embb.segments[0].limits = rates(500_000, MBIT);
    change(&mut program);
    program
}

/// An edge with that program, and device 1 in it.
pub(crate) fn rig(change: impl FnOnce(&mut Program)) -> Rig {
    let mut rig = Rig::with(shaped(change));
    rig.introduce_router();
    rig.admit_open("embb", "office", device(1));
    rig
}

/// A frame of device 1 to edge D: 1,000 octets, and a number to know it by.
pub(crate) fn numbered(number: u8, class: u8) -> Vec<u8> {
    let (from, to) = (device(1), device(9));
    let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), 7), class, &[number; 958]);
    frames::ethernet(to.mac, from.mac, Some(120), ethertype, &packet)
}

/// The numbers of frames that left.
pub(crate) fn numbers(left: &[(Nanos, Left)]) -> Vec<u8> {
    left.iter().map(|(_, (_, octets))| *octets.last().unwrap()).collect()
}

/// Everything that leaves `core0` after these have come at once, and how long after.
pub(crate) fn leave(rig: &mut Rig, frames: &[Vec<u8>]) -> Vec<(Nanos, Left)> {
    let at_once = rig.put(ACCESS0, frames).into_iter().map(|left| (rig.now, left)).collect::<Vec<_>>();
    let later = rig.wait(Nanos(u64::MAX));
    let from = rig.now.0;
    at_once.into_iter().chain(later).map(|(at, left)| (Nanos(at.0 - from), left)).collect()
}

/// A ceiling holds to the frame, whatever its size, and nothing is lost that comes in a burst: the last of 50 frames leaves
/// when the 49 before it have taken their time at 1 Mbit/s, less what may be sent at once.
#[test]
fn a_ceiling_lets_frames_wait_and_counts_what_devices_send() {
    for octets in [64_u64, 594, 1_500] {
        let mut rig = rig(|_| {});
        let (from, to) = (device(1), device(9));
        let text = vec![0; usize::try_from(octets).unwrap() - 42];
        let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), 7), 0, &text);
        let frame = frames::ethernet(to.mac, from.mac, Some(120), ethertype, &packet);
        let left = leave(&mut rig, &vec![frame; 50]);
        assert_eq!(left.len(), 50);
        let burst = 2 * 1_514;
        let last = left.last().unwrap().0.0;
        let nanos = |octets: u64| octets * 8 * 1_000;
        // One more frame than the burst begins; a wake-up is late by a tick of 256 ns.
        let (least, most) = (nanos((49 * octets).saturating_sub(burst + octets)), nanos(49 * octets) + 256);
        assert!((least..=most).contains(&last), "{octets}: {last} is not within {least} to {most}");
        // When what may be sent at once is gone, each takes its time.
        let (took, exact) = (last - left[24].0.0, nanos(octets) * 25);
        assert!(took.abs_diff(exact) <= 256, "{octets}: {took} instead of {exact}");
        assert_eq!(rig.drops(ACCESS0), []);
    }
}

/// What limits here is the link, at 10 Mbit/s: a frame of 64 octets takes 138 of it, with Ethernet, IPv4, UDP and VXLAN in front
/// (50 octets), preamble, check sequence and gap (24).
#[test]
fn a_link_counts_all_that_a_frame_takes() {
    let mut rig = rig(|p| {
        p.content.shaping[0].classes[0].limits = rates(0, 10 * MBIT);
        p.content.slices[0].segments[0].limits = rates(0, 100 * MBIT);
    });
    let (from, to) = (device(1), device(9));
    let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), 7), 0, &[0; 22]);
    let frame = frames::ethernet(to.mac, from.mac, Some(120), ethertype, &packet);
    let left = leave(&mut rig, &vec![frame; 60]);
    assert_eq!(left.len(), 60);
    let (took, exact) = (left[59].0.0 - left[34].0.0, 25 * 138 * 800);
    assert!(took.abs_diff(exact) <= 2 * 138 * 800, "{took} instead of {exact}");
}

#[test]
fn an_urgent_class_goes_before_what_waits() {
    let mut rig = rig(|p| {
        p.content.slices[0].markings = vec![treat(InnerMark::Dscp(dscp(46)), 46, QueueClass::LowLatency)];
    });
    let mut frames: Vec<_> = (0..20).map(|number| numbered(number, 0)).collect();
    frames.extend((100..103).map(|number| numbered(number, 46 << 2)));
    let left = numbers(&leave(&mut rig, &frames));
    assert_eq!(left.len(), 23);
    let last_urgent = left.iter().rposition(|number| *number >= 100).unwrap();
    // The cap of the low-latency class is half of the ceiling: at most as many others went between them, and the burst
    // before.
    assert!(last_urgent <= 8, "{left:?}");
    // Nobody overtakes within its class.
    assert!(left.iter().filter(|number| **number < 100).is_sorted() && left.iter().filter(|n| **n >= 100).is_sorted());
}

/// Both slices send more than there is: each has its guarantee, and what is left is shared by weight, 3 to 1.
#[test]
fn slices_share_a_link_by_guarantee_and_weight() {
    let mut rig = rig(|p| {
        p.content.shaping[0].rate = Rate::from_bits_per_second(2 * MBIT);
        for (class, limits, weight) in [(0, rates(500_000, 2 * MBIT), 3), (1, rates(500_000, 2 * MBIT), 1)] {
            let class = &mut p.content.shaping[0].classes[class];
            (class.limits, class.weight) = (limits, Weight::new(weight).unwrap());
        }
        p.content.slices[0].segments[0].limits = rates(500_000, 2 * MBIT);
        // One circuit and one way out, so that no meter stands before the tree.
        p.content.slices[1].circuits.pop();
        for segment in &mut p.content.slices[1].segments {
            segment.limits = rates(166_000, 2 * MBIT);
        }
    });
    rig.admit_open("iot", "health", device(3));
    // Device 4 is known to be behind edge B.
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_002, &frame(None, device(4), device(200), b"x"))]);
    let other = frame(Some(110), device(3), device(4), &[200; 958]);
    let mut frames = Vec::new();
    for number in 0..60 {
        frames.extend([numbered(number, 0), other.clone()]);
    }
    let (first, second) = frames.split_at(60);
    let mut left = rig.put(ACCESS0, first);
    left.extend(rig.put(ACCESS0, second));
    let left: Vec<_> = left.into_iter().chain(rig.wait(Nanos(u64::MAX)).into_iter().map(|(_, left)| left)).collect();
    assert_eq!(left.len(), 120);
    let of_embb = left[..64].iter().filter(|(_, octets)| *octets.last().unwrap() != 200).count();
    // Of 2 Mbit/s 1.84 are left: a frame of 1,000 octets takes 1,074 in VXLAN over IPv4 and 1,094 over IPv6. 500 kbit/s and
    // three quarters of what exceeds 1 Mbit/s: 61.5 %, or 39.4 of 64 frames.
    assert!((38..=41).contains(&of_embb), "{of_embb} of 64");
}

/// What a device asks for, in every way that it can, is heeded as far as the slice has it.
#[test]
fn marks_choose_queue_and_outer_header() {
    let markings = vec![
        treat(InnerMark::Qfi(Qfi::new(5).unwrap()), 40, QueueClass::Signalling),
        treat(InnerMark::Dscp(dscp(46)), 46, QueueClass::LowLatency),
        treat(InnerMark::Priority(Pcp::new(5).unwrap()), 34, QueueClass::RealTime),
    ];
    let mut rig = rig(|p| p.content.slices[0].markings = markings);
    let (from, to) = (device(1), device(9));
    let plain = |class: u8, port: u16, text: &[u8]| {
        let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), port), class, text);
        frames::ethernet(to.mac, from.mac, Some(120), ethertype, &packet)
    };
    // A G-PDU with a session container (TS 29.281, section 5.1; TS 38.415, section 5.5.2.2): uplink, QFI.
    let gtpu = |qfi: u8| [0x34, 0xff, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, qfi, 0, 0x45];
    // 0x88b8 (GOOSE, IEC 61850-8-1) with priority 5.
    let goose = |tci: u16| frames::ethernet(to.mac, from.mac, Some(tci), 0x88b8, &[0; 46]);
    let mut outer = |frame: Vec<u8>| {
        let left = rig.put_and_wait(ACCESS0, &[frame]);
        assert_eq!(left.len(), 1);
        left[0].1[15] >> 2
    };
    assert_eq!(outer(plain(46 << 2, 7, b"x")), 46);
    assert_eq!(outer(plain(34 << 2, 7, b"x")), 10, "not heeded here");
    assert_eq!(outer(plain(0, 2_152, &gtpu(5))), 40);
    assert_eq!(outer(plain(0, 2_152, &gtpu(6))), 10, "a flow that is not heeded");
    assert_eq!(outer(plain(46 << 2, 2_152, &gtpu(6))), 46, "but the code point is");
    assert_eq!(outer(plain(0, 2_152, &gtpu(5)[..11])), 10, "cut short");
    assert_eq!(outer(goose((5 << 13) + 120)), 34);
    assert_eq!(outer(goose(120)), 10);
    // Of an IP packet the tag says nothing.
    let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), 7), 0, b"x");
    assert_eq!(outer(frames::ethernet(to.mac, from.mac, Some((5 << 13) + 120), ethertype, &packet)), 10);
}

/// CoDel with a target of 5 ms and an interval of 100 ms, in a queue that stands for 400 ms: those that can be marked are,
/// in the outermost header and with a right checksum; of the others some are dropped (RFC 8289, section 3).
#[test]
fn a_queue_that_stands_is_marked_or_dropped_from() {
    let codel = CodelProgram { target_nanos: 5_000_000, interval_nanos: 100_000_000 };
    let best_effort = QueueProgram { codel: Some(codel), ..queue(QueueClass::BestEffort) };
    for ecn in [0, 2] {
        let mut rig = rig(|p| p.content.queues = vec![best_effort]);
        let frames: Vec<_> = (0..50).map(|number| numbered(number, ecn)).collect();
        let left = leave(&mut rig, &frames);
        let outer = |octets: &[u8]| octets[14..34].to_vec();
        let marked = left.iter().filter(|(_, (_, octets))| outer(octets)[1] & 3 == 3).count();
        assert!(left.iter().all(|(_, (_, octets))| frames::checksum(&outer(octets)) == 0));
        let dropped = rig.drops(ACCESS0);
        if ecn == 0 {
            assert_eq!(marked, 0);
            assert!((2..=6).contains(&(50 - left.len())), "{}", left.len());
            assert_eq!(dropped, [(DropReason::QueueStands, 50 - left.len() as u64)]);
            assert_eq!(rig.segment("office").drops[0].of(DropReason::QueueStands), dropped[0].1);
        } else {
            assert_eq!((left.len(), dropped), (50, vec![]));
            assert!((2..=6).contains(&marked), "{marked}");
        }
    }
}

#[test]
fn limits_of_a_queue_drop_by_name() {
    let limited = |octets_max, time_max_nanos| {
        let best_effort = QueueProgram { octets_max, time_max_nanos, ..queue(QueueClass::BestEffort) };
        let mut rig = rig(|p| p.content.queues = vec![best_effort]);
        let frames: Vec<_> = (0..30).map(|number| numbered(number, 0)).collect();
        let left = leave(&mut rig, &frames).len();
        (left, rig.drops(ACCESS0))
    };
    // Ten wait, and those that may be sent at once come before.
    let (left, drops) = limited(10_000, u64::MAX);
    assert!((10..=13).contains(&left), "{left}");
    assert_eq!(drops, [(DropReason::QueueOctets, 30 - left as u64)]);
    // 40 ms at 1 Mbit/s are five frames.
    let (left, drops) = limited(1_000_000, 40_000_000);
    assert!((5..=8).contains(&left), "{left}");
    assert_eq!(drops, [(DropReason::QueueTime, 30 - left as u64)]);
}

/// The tree holds 256 frames here. One queue never takes more than half of it, so others find room, and what waits still
/// leaves.
#[test]
fn a_flooded_queue_leaves_room_for_others() {
    let mut rig = rig(|p| {
        p.content.slices[0].markings = vec![treat(InnerMark::Dscp(dscp(34)), 34, QueueClass::Streaming)];
    });
    let mut left = 0;
    for _ in 0..10 {
        left += rig.put(ACCESS0, &vec![numbered(0, 0); 50]).len();
    }
    let waits = rig.pipeline.queued();
    assert!((127..=128).contains(&waits), "{waits}");
    assert_eq!(rig.put(ACCESS0, &vec![numbered(1, 34 << 2); 40]).len() + rig.pipeline.queued(), waits + 40);
    left += rig.wait(Nanos(u64::MAX)).len();
    let dropped = rig.reading().ports[0].drops;
    assert_eq!(dropped.of(DropReason::QueueFrames), 540 - left as u64);
}

/// With room for two frames, each in a queue of its own, there is none for a third.
#[test]
fn a_full_tree_drops_by_name_and_goes_on() {
    let mut rig = Rig::with_queue_room(
        shaped(|p| {
            p.content.slices[0].segments[0].limits = rates(0, 1_000);
            p.content.slices[0].markings = [(34, QueueClass::Streaming), (40, QueueClass::Signalling)]
                .map(|(mark, queue)| treat(InnerMark::Dscp(dscp(mark)), mark, queue))
                .to_vec();
        }),
        2,
    );
    rig.introduce_router();
    rig.admit_open("embb", "office", device(1));
    let mut left = 0;
    for class in [0, 0, 0, 34 << 2, 40 << 2] {
        left += rig.put(ACCESS0, &[numbered(0, class)]).len();
    }
    let room = rig.reading().ports[0].drops.of(DropReason::QueueRoom);
    assert!(room > 0);
    left += rig.wait(Nanos(u64::MAX)).len();
    assert_eq!(left as u64 + rig.reading().ports[0].drops.total(), 5);
}

/// 100 kbit/s from a session: its bucket is four of the longest frames, and other sessions have their own.
#[test]
fn sessions_have_their_own_rates() {
    let rate = Some(Rate::from_bits_per_second(100_000));
    let mut rig = rig(|p| p.content.slices[0].session_rates = SessionRates { from_access: rate, to_access: rate });
    rig.admit_open("embb", "office", device(2));
    let from = |number: u8| {
        let octets = frames::datagram((device(number).ipv4.into(), 7), (device(9).ipv4.into(), 7), 0, &[0; 958]);
        vec![frames::ethernet(device(9).mac, device(number).mac, Some(120), octets.0, &octets.1); 10]
    };
    // 6,056 octets.
    assert_eq!(rig.put_and_wait(ACCESS0, &from(1)).len(), 6);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SessionRateFromAccess, 4)]);
    assert_eq!(rig.put_and_wait(ACCESS0, &from(2)).len(), 6);
    // A second later there are 12,500 octets more, of which the bucket holds no more than before.
    rig.now.0 += 1_000_000_000;
    assert_eq!(rig.put_and_wait(ACCESS0, &from(1)).len(), 6);
    let down = in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), &[0; 958]));
    assert_eq!(rig.put_and_wait(CORE0, &vec![down; 10]).len(), 6);
    assert_eq!(rig.drops(CORE0), [(DropReason::SessionRateToAccess, 4)]);
}

/// A device sends to all, far above what it may: copies end with the bucket of its session, and those of its slice's limit
/// are not made in vain.
#[test]
fn a_flood_makes_no_more_copies_than_limits_allow() {
    let remotes = || ["edge-d", "edge-b", "edge-c"].map(|edge| remote(edge, 6_001)).to_vec();
    let (ethertype, packet) = frames::datagram((device(1).ipv4.into(), 7), (device(9).ipv4.into(), 7), 0, &[0; 958]);
    let one = frames::ethernet(frames::BROADCAST, device(1).mac, Some(120), ethertype, &packet);
    let mut limited = rig(|p| {
        p.content.slices[0].segments[0].remotes = remotes();
        let rate = Some(Rate::from_bits_per_second(100_000));
        p.content.slices[0].session_rates = SessionRates { from_access: rate, to_access: None };
    });
    // A bucket of 6,056 octets, and each copy counts.
    assert_eq!(limited.put_and_wait(ACCESS0, &vec![one.clone(); 20]).len(), 6);
    let mut rig = rig(|p| p.content.slices[0].segments[0].remotes = remotes());
    for _ in 0..100 {
        rig.put(ACCESS0, &vec![one.clone(); 60]);
    }
    // 100 ms at 1 Mbit/s are 12.5 frames, and the bucket is six; what is refused counts as made, too, once a frame.
    let made = rig.reading().generated
        - rig
            .drops(ACCESS0)
            .iter()
            .filter(|(reason, _)| *reason == DropReason::SegmentRateFromAccess)
            .map(|(_, count)| count)
            .sum::<u64>();
    assert!(made <= 20, "{made}");
}

/// VXLAN over IPv6 has a checksum over all that is inside (RFC 6935 permits none, but not everybody takes that).
#[test]
fn a_mark_outside_leaves_checksums_right() {
    let codel = CodelProgram { target_nanos: 5_000_000, interval_nanos: 100_000_000 };
    let best_effort = QueueProgram { codel: Some(codel), ..queue(QueueClass::BestEffort) };
    let mut rig = Rig::with(shaped(|p| {
        p.content.queues = vec![best_effort];
        p.content.slices[1].circuits.pop();
        for segment in &mut p.content.slices[1].segments {
            segment.limits = rates(0, MBIT);
        }
    }));
    rig.introduce_router();
    rig.admit_open("iot", "health", device(3));
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_002, &frame(None, device(4), device(200), b"x"))]);
    let (ethertype, packet) = frames::datagram((device(3).ipv6.into(), 7), (device(4).ipv6.into(), 7), 2, &[9; 900]);
    let one = frames::ethernet(device(4).mac, device(3).mac, Some(110), ethertype, &packet);
    let left = leave(&mut rig, &vec![one; 50]);
    let (mut marked, mut broken) = (0, 0);
    for (_, (_, octets)) in &left {
        marked += usize::from(octets[15] >> 4 & 3 == 3);
        let mut pseudo = octets[22..54].to_vec();
        let udp = &octets[54..];
        pseudo.extend(u32::try_from(udp.len()).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, 17]);
        pseudo.extend(udp);
        broken += usize::from(frames::checksum(&pseudo) != 0);
    }
    assert_eq!(broken, 0);
    assert!(marked >= 2, "{marked} of {}", left.len());
}

fn treat(inner: InnerMark, outer: u64, queue: QueueClass) -> Marking {
    Marking { inner, dscp: dscp(outer), traffic_class: TrafficClass::MIN, queue }
}

fn dscp(number: u64) -> Dscp {
    Dscp::new(number).unwrap()
}

pub(crate) const MBIT: u64 = 1_000_000;
