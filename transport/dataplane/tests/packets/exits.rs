//! Slices that leave by several ports, and workers that come late.

use std::net::{IpAddr, Ipv4Addr};

use model::profile::QueueClass;
use model::program::{CorePort, PathProgram, Program};
use model::{InterfaceAddress, Mac, Rate};
use transport_dataplane::Nanos;

use crate::frames;
use crate::queues::{MBIT, class, leave, numbered, rates, rig};
use crate::rig::*;

/// A slice that leaves by two ports has its ceiling once: whatever each of them sends, together they send no more.
#[test]
fn a_ceiling_holds_over_all_ways_out() {
    let mut rig = rig(|p| {
        let second = CorePort {
            port: "spare0".parse().unwrap(),
            addresses: vec![InterfaceAddress::new(Ipv4Addr::new(203, 0, 113, 1).into(), 24).unwrap()],
            mtu: 1_600,
        };
        p.content.core_ports.push(second);
        p.content.paths.retain(|path| path.to.as_str() != "edge-b");
        for slice in &mut p.content.slices {
            slice.segments.retain(|segment| segment.id.segment.as_str() == "office");
        }
        let other = Ipv4Addr::new(203, 0, 113, 254).into();
        let path = PathProgram { port: "spare0".parse().unwrap(), next_hop: other, ..path("edge-b", EDGE_D_TOO) };
        p.content.paths.insert(0, path);
        p.content.slices[0].segments[0].remotes.insert(0, remote("edge-b", 6_001));
    });
    let question =
        frames::arp(1, (ROUTER, Ipv4Addr::new(203, 0, 113, 254)), (Mac([0; 6]), Ipv4Addr::new(203, 0, 113, 1)));
    let asks = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
    assert_eq!(rig.put(SPARE0, &[asks]).len(), 1);
    // Device 9 is behind edge D, and device 8 behind edge B.
    rig.put(CORE0, &[in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), b"x"))]);
    let mut from_b = in_tunnel(EDGE_D_TOO, 6_001, &frame(None, device(8), device(1), b"x"));
    from_b[..6].copy_from_slice(&SPARE_MAC.0);
    rig.put(SPARE0, &[from_b]);
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
    let two = |p: &mut Program| {
        let second = CorePort {
            port: "spare0".parse().unwrap(),
            addresses: vec![InterfaceAddress::new(Ipv4Addr::new(203, 0, 113, 1).into(), 24).unwrap()],
            mtu: 1_600,
        };
        p.content.core_ports.push(second);
        for slice in &mut p.content.slices {
            slice.segments.retain(|segment| segment.id.segment.as_str() == "office");
        }
        p.content.paths.retain(|path| path.to.as_str() != "edge-b");
        let other = Ipv4Addr::new(203, 0, 113, 254).into();
        let path = PathProgram { port: "spare0".parse().unwrap(), next_hop: other, ..path("edge-b", EDGE_D_TOO) };
        p.content.paths.insert(0, path);
        p.content.slices[0].segments[0].remotes.insert(0, remote("edge-b", 6_001));
        p.content.slices[0].segments[0].limits = rates(0, 100 * MBIT);
        p.content.shaping[0].rate = Rate::from_bits_per_second(100 * MBIT);
        p.content.shaping[0].classes[0].limits = rates(0, 100 * MBIT);
        let mut spare = p.content.shaping[0].clone();
        spare.port = "spare0".parse().unwrap();
        spare.rate = Rate::from_bits_per_second(MBIT);
        spare.classes = vec![class("embb", 3, rates(0, MBIT))];
        p.content.shaping.push(spare);
    };
    let mut rig = rig(two);
    let question =
        frames::arp(1, (ROUTER, Ipv4Addr::new(203, 0, 113, 254)), (Mac([0; 6]), Ipv4Addr::new(203, 0, 113, 1)));
    let arp = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
    assert_eq!(rig.put(SPARE0, &[arp]).len(), 1);
    // Device 9 is behind edge D (core0): all goes by core0.
    rig.put(CORE0, &[in_tunnel(EDGE_D, 6_001, &frame(None, device(9), device(1), b"x"))]);
    rig.put(ACCESS0, &[numbered(0, 0)]);
    for _ in 0..2_000 {
        rig.put(ACCESS0, &vec![numbered(0, 0); 10]);
    }
    rig.wait(Nanos(u64::MAX));
    rig.now.0 += 1_000_000_000;
    // Now device 8 is behind edge B, by spare0.
    let mut from_b = in_tunnel(EDGE_D_TOO, 6_001, &frame(None, device(8), device(1), b"x"));
    from_b[..6].copy_from_slice(&SPARE_MAC.0);
    rig.put(SPARE0, &[from_b]);
    let to8 = frame(Some(120), device(1), device(8), &[0; 958]);
    let start = rig.now.0;
    let mut left: Vec<_> = rig.put(ACCESS0, &[to8]).into_iter().map(|l| (rig.now, l)).collect();
    left.extend(rig.wait(Nanos(u64::MAX)));
    let at = left.iter().rfind(|(_, (port, _))| *port == SPARE0).map(|l| l.0.0 - start);
    assert!(at.unwrap() < 100_000_000);
}

/// Each link has 1 Mbit/s and the slice 100.
#[test]
fn two_links_are_both_full_under_a_ceiling_above_both() {
    let mut rig = rig(|p| {
        let second = CorePort {
            port: "spare0".parse().unwrap(),
            addresses: vec![InterfaceAddress::new(Ipv4Addr::new(203, 0, 113, 1).into(), 24).unwrap()],
            mtu: 1_600,
        };
        p.content.core_ports.push(second);
        for slice in &mut p.content.slices {
            slice.segments.retain(|segment| segment.id.segment.as_str() == "office");
        }
        p.content.paths.retain(|path| path.to.as_str() != "edge-b");
        let other = Ipv4Addr::new(203, 0, 113, 254).into();
        let path = PathProgram { port: "spare0".parse().unwrap(), next_hop: other, ..path("edge-b", EDGE_D_TOO) };
        p.content.paths.insert(0, path);
        p.content.slices[0].segments[0].remotes.insert(0, remote("edge-b", 6_001));
        p.content.slices[0].segments[0].limits = rates(0, 100 * MBIT);
        p.content.shaping[0].rate = Rate::from_bits_per_second(MBIT);
        p.content.shaping[0].classes = vec![class("embb", 3, rates(0, MBIT))];
        let mut spare = p.content.shaping[0].clone();
        spare.port = "spare0".parse().unwrap();
        p.content.shaping.push(spare);
    });
    let question =
        frames::arp(1, (ROUTER, Ipv4Addr::new(203, 0, 113, 254)), (Mac([0; 6]), Ipv4Addr::new(203, 0, 113, 1)));
    let arp = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
    assert_eq!(rig.put(SPARE0, &[arp]).len(), 1);
    // Each frame goes both ways: 50 at 1 Mbit/s by each link take 430 ms.
    let frames: Vec<_> = (0..50).map(|number| numbered(number, 0)).collect();
    let left = leave(&mut rig, &frames);
    assert!(left.last().unwrap().0.0 < 500_000_000);
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
