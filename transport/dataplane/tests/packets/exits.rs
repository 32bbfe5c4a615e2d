//! Slices that leave by several ports, and workers that come late.

use std::net::{IpAddr, Ipv4Addr};

use model::profile::QueueClass;
use model::program::{CorePort, PathProgram, Program};
use model::{InterfaceAddress, Mac, Rate};
use transport_dataplane::Nanos;

use crate::frames;
use crate::queues::{MBIT, class, leave, numbered, rates, rig};
use crate::rig::*;

/// Slice embb leaves by `core0` to edge D, where device 9 is, and by `spare0` to edge B, where device 8 is.
fn two_ways(change: impl FnOnce(&mut Program)) -> Rig {
    let (own, next_hop) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 254));
    let mut rig = rig(|p| {
        let addresses = vec![InterfaceAddress::new(own.into(), 24).unwrap()];
        p.content.core_ports.push(CorePort { port: "spare0".parse().unwrap(), addresses, mtu: 1_600 });
        p.content.paths.retain(|path| path.to.as_str() != "edge-b");
        for slice in &mut p.content.slices {
            slice.segments.retain(|segment| segment.id.segment.as_str() == "office");
        }
        let next_hop = next_hop.into();
        let path = PathProgram { port: "spare0".parse().unwrap(), next_hop, ..path("edge-b", EDGE_D_TOO) };
        p.content.paths.insert(0, path);
        p.content.slices[0].segments[0].remotes.insert(0, remote("edge-b", 6_001));
        change(p);
    });
    let question = frames::arp(1, (ROUTER, next_hop), (Mac([0; 6]), own));
    let asks = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
    assert_eq!(rig.put(SPARE0, &[asks]).len(), 1);
    rig.put(CORE0, &[in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), b"x"))]);
    let mut from_b = in_tunnel(EDGE_D_TOO, 6_001, &frame(None, device(8), device(1), b"x"));
    from_b[..6].copy_from_slice(&SPARE_MAC.0);
    rig.put(SPARE0, &[from_b]);
    rig
}

/// The rates of both links, and of the slice on each; its segment has 100 Mbit/s.
fn links(program: &mut Program, rates_of: [u64; 2]) {
    program.content.slices[0].segments[0].limits = rates(0, 100 * MBIT);
    let mut spare = program.content.shaping[0].clone();
    spare.port = "spare0".parse().unwrap();
    program.content.shaping.push(spare);
    for (shaping, rate) in program.content.shaping.iter_mut().zip(rates_of) {
        shaping.rate = Rate::from_bits_per_second(rate);
        shaping.classes = vec![class("embb", 3, rates(0, rate))];
    }
}

/// A slice that leaves by two ports has its ceiling once: whatever each of them sends, together they send no more.
#[test]
fn a_ceiling_holds_over_all_ways_out() {
    let mut rig = two_ways(|_| {});
    let other = frame(Some(120), device(1), device(8), &[0; 958]);
    let frames: Vec<_> = (0..25).flat_map(|number| [numbered(number, 0), other.clone()]).collect();
    let left = leave(&mut rig, &frames);
    for port in [CORE0, SPARE0] {
        assert_eq!(left.iter().filter(|(_, (by, _))| *by == port).count(), 25);
    }
    // 50 frames at 1 Mbit/s, of which each port may send two at once after a silence.
    let (took, exact) = (left.last().unwrap().0.0, 50 * 8_000_000);
    assert!((exact - 5 * 8_000_000..=exact + 1_000).contains(&took), "{took} instead of {exact}");
}

/// Where the ports are of workers that hear of one another late, as much more may leave as the ceiling gives in that time; it is
/// owed, so that it does not add up.
#[test]
fn a_ceiling_over_workers_is_missed_by_no_more_than_what_is_under_way() {
    let mut rig = two_ways(|_| {});
    let other = frame(Some(120), device(1), device(8), &[0; 958]);
    let frames: Vec<_> = (0..25).flat_map(|number| [numbered(number, 0), other.clone()]).collect();
    let began = rig.now;
    rig.put(ACCESS0, &frames);
    rig.pipeline.lateness = Nanos(20_000_000);
    let left = rig.wait(Nanos(u64::MAX));
    let octets = |until: u64| left.iter().filter(|(at, _)| at.0 <= began.0 + until).count() as u64 * 1_000;
    // 125 octets a millisecond; two frames of each port after a silence and one that makes its debt; 20 ms of both.
    let most = |millis: u64| 125 * (millis + 20) + 6 * 1_000;
    for millis in (0..400).step_by(10) {
        assert!(octets(millis * 1_000_000) <= most(millis), "{} after {millis} ms", octets(millis * 1_000_000));
    }
    assert!(octets(500_000_000) >= 45_000, "it is made use of, too: {}", octets(500_000_000));
}

/// A ceiling is one for each direction.
#[test]
fn what_comes_down_costs_nothing_of_what_goes_up() {
    let up = |down: usize| {
        let mut rig = rig(|_| {});
        let frames: Vec<_> = (0..20).map(|number| numbered(number, 0)).collect();
        let down_frame = in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), &[0; 958]));
        rig.put(ACCESS0, &[numbered(0, 0)]);
        rig.now.0 += 1_000_000_000;
        rig.put(CORE0, &vec![down_frame; down]);
        let start = rig.now.0;
        let mut left: Vec<_> = rig.put(ACCESS0, &frames).into_iter().map(|l| (rig.now, l)).collect();
        left.extend(rig.wait(Nanos(u64::MAX)));
        let last = left.iter().rfind(|(_, (port, _))| *port == CORE0).unwrap().0.0;
        last - start
    };
    let alone = up(0);
    let with = up(40);
    assert!(with < alone + 10_000_000, "{with} instead of {alone}");
}

/// 100 Mbit/s by one port; the other has 1 Mbit/s, and is free at once when it is needed.
#[test]
fn a_slower_way_out_owes_nothing_for_a_faster_one() {
    let mut rig = two_ways(|p| links(p, [100 * MBIT, MBIT]));
    for _ in 0..2_000 {
        rig.put(ACCESS0, &vec![numbered(0, 0); 10]);
    }
    rig.wait(Nanos(u64::MAX));
    rig.now.0 += 1_000_000_000;
    let left = leave(&mut rig, &[frame(Some(120), device(1), device(8), &[0; 958])]);
    assert!(matches!(left[..], [(Nanos(0..10_000_000), (SPARE0, _))]), "{left:?}");
}

/// Each link has 1 Mbit/s and the slice 100.
#[test]
fn two_links_are_both_full_under_a_ceiling_above_both() {
    let mut rig = two_ways(|p| links(p, [MBIT; 2]));
    let other = frame(Some(120), device(1), device(8), &[0; 958]);
    let frames: Vec<_> = (0..25).flat_map(|number| [numbered(number, 0), other.clone()]).collect();
    let left = leave(&mut rig, &frames);
    // 25 frames of 1,074 octets by each, at once.
    let (took, exact) = (left.last().unwrap().0.0, 25 * 1_074 * 8_000);
    assert!((exact - 3 * 1_074 * 8_000..=exact + 1_000).contains(&took), "{took} instead of {exact}");
}

/// 1 Gbit/s, and a worker whose rounds take up to 200 µs.
#[test]
#[allow(clippy::cast_precision_loss, reason = "thousands")]
fn a_link_is_full_though_the_worker_comes_late() {
    for cycle in [20_000_u64, 50_000, 100_000, 200_000] {
        let mut rig = rig(|p| {
            p.content.shaping[0].rate = Rate::from_bits_per_second(1_000 * MBIT);
            p.content.shaping[0].classes[0].limits = rates(0, 10_000 * MBIT);
            p.content.slices[0].segments[0].limits = rates(0, 10_000 * MBIT);
        });
        let mut left = 0;
        let rounds = 50_000_000 / cycle;
        for _ in 0..rounds {
            left += rig.put(ACCESS0, &vec![numbered(0, 0); 40]).len();
            rig.now.0 -= 1_000_000 - cycle;
        }
        let share = left as f64 * 1_074.0 * 8.0 / (rounds * cycle) as f64;
        assert!(share >= 0.98, "{share} with rounds of {cycle} ns");
    }
}

/// The same for a low-latency cap of 1 Gbit/s.
#[test]
#[allow(clippy::cast_precision_loss, reason = "thousands")]
fn a_low_latency_cap_is_used_though_the_worker_comes_late() {
    for cycle in [20_000_u64, 50_000, 100_000, 200_000] {
        let mut rig = rig(|p| {
            p.content.shaping[0].rate = Rate::from_bits_per_second(100_000 * MBIT);
            p.content.shaping[0].classes[0].limits = rates(1_000 * MBIT, 10_000 * MBIT);
            p.content.slices[0].segments[0].limits = rates(1_000 * MBIT, 10_000 * MBIT);
            p.content.slices[0].queue = QueueClass::LowLatency;
        });
        let mut left = 0;
        let rounds = 50_000_000 / cycle;
        for _ in 0..rounds {
            left += rig.put(ACCESS0, &vec![numbered(0, 0); 40]).len();
            rig.now.0 -= 1_000_000 - cycle;
        }
        let share = left as f64 * 8_000.0 / (rounds * cycle) as f64;
        assert!(share >= 0.98, "{share} with rounds of {cycle} ns");
    }
}

/// Of port `spare0`.
const SPARE_MAC: Mac = Mac([2, 0xed, 0, 0, 0, 3]);
const EDGE_D_TOO: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5));
