//! Whatever arrives: no panic, nothing lost, and nobody hears who has not proved to be of the segment.

use model::Mac;
use proptest::prelude::*;
use transport_dataplane::PortIndex;

use crate::frames;
use crate::rig::*;

/// Frames of every kind that the edge knows.
fn seeds() -> Vec<Vec<u8>> {
    let (one, stranger) = (device(1), device(77));
    let arp = frames::arp(1, (one.mac, one.ipv4), (Mac([0; 6]), device(2).ipv4));
    let solicitation = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(135, CORE_V6, Some(ROUTER)));
    vec![
        from_city(one, device(2), b"payload"),
        from_city(one, device(9), b"payload"),
        from_city(device(5), device(1), b"payload"),
        from_city(stranger, one, b"payload"),
        frame(None, device(3), one, b"payload"),
        frames::ethernet(frames::BROADCAST, one.mac, Some(110), 0x0806, &arp),
        in_tunnel(EDGE_B, 5_001, &frame(None, device(9), one, b"payload")),
        in_tunnel(EDGE_B, 5_002, &frame(None, device(9), device(5), b"payload")),
        in_tunnel(EDGE_D, 6_001, &frame(None, device(9), one, b"payload")),
        frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &solicitation),
        frames::ethernet(
            frames::BROADCAST,
            ROUTER,
            None,
            0x0806,
            &frames::arp(1, (ROUTER, ROUTER_V4), (ROUTER, CORE_V4)),
        ),
    ]
}

fn world() -> Rig {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.admit("iot", "metering", device(number));
    }
    rig.admit_open("iot", "metering", device(4));
    rig.admit_open("iot", "health", device(5));
    rig.put(ACCESS0, &[1, 2, 5].map(|number| from_city(device(number), device(9), b"x")));
    rig.put(ACCESS1, &[3, 4].map(|number| frame(None, device(number), device(9), b"x")));
    rig
}

/// A seed with some octets changed, then cut or drawn out.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let seed = proptest::sample::select(seeds());
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (seed, changes, prop::option::weighted(0.3, 0_usize..160)).prop_map(|(mut octets, changes, length)| {
        for (at, new) in changes {
            let at = at.index(octets.len());
            octets[at] = new;
        }
        if let Some(length) = length {
            octets.resize(length, 0);
        }
        octets
    })
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => mutated(), 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The rig checks after each burst that every frame is accounted for and every buffer back.
    #[test]
    fn nothing_that_arrives_stops_the_packet_path_or_loses_a_frame(
        bursts in proptest::collection::vec((0_u8..4, proptest::collection::vec(any_frame(), 1..16)), 1..12),
    ) {
        let mut rig = world();
        for (port, frames) in bursts {
            rig.put(PortIndex(port), &frames);
        }
        // And it still works.
        let again = rig.put(ACCESS0, &[from_city(device(1), device(77), b"and now?")]);
        prop_assert!(again.iter().all(|(port, _)| *port == CORE0));
    }

    /// Whatever a sender without session writes behind its own address, nothing of it leaves the edge.
    #[test]
    fn nothing_from_a_stranger_leaves(mut frames in proptest::collection::vec(any_frame(), 1..16), port in 0_u8..2) {
        let mut rig = world();
        for frame in &mut frames {
            frame.resize(frame.len().max(14), 0);
            frame[6..12].copy_from_slice(&device(77).mac.0);
        }
        prop_assert_eq!(rig.put(PortIndex(port), &frames), []);
    }

    /// Whatever a member of one segment sends, no session of another receives it, and no tunnel of another carries it.
    #[test]
    fn nothing_crosses_segments(mut frames in proptest::collection::vec(any_frame(), 1..16)) {
        let mut rig = world();
        for frame in &mut frames {
            frame.resize(frame.len().max(16), 0);
            frame[6..12].copy_from_slice(&device(1).mac.0);
            frame[12..16].copy_from_slice(&[0x81, 0, 0, 110]);
        }
        let before = rig.segment("health");
        for (port, octets) in rig.put(ACCESS0, &frames) {
            if port == CORE0 {
                prop_assert_eq!(&octets[66..69], &5_001_u32.to_be_bytes()[1..]);
            } else {
                prop_assert!((1..=4).any(|number| octets[..6] == device(number).mac.0));
            }
        }
        let after = rig.segment("health");
        prop_assert_eq!((after.to_access.passed, after.to_tunnels), (before.to_access.passed, before.to_tunnels));
    }
}
