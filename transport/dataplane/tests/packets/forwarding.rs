//! From device to device: sessions, segments, circuits, limits.

use std::net::Ipv4Addr;

use model::{Generation, Mac};
use transport_dataplane::{Binding, DropReason, Traffic};

use crate::frames;
use crate::rig::*;

#[test]
fn a_device_reaches_one_of_its_segment_on_another_circuit_and_both_are_counted() {
    let mut rig = Rig::new();
    let (one, two) = (device(1), device(2));
    let (key_one, key_two) = (rig.admit("iot", "metering", one), rig.admit("iot", "metering", two));
    // Until it has spoken, it could be on either circuit.
    assert_eq!(rig.put(ACCESS0, &[from_city(one, two, b"who")]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::CircuitUnknown, 1)]);
    // Where it spoke from last is where it is; the tag of one circuit is off, and the other has none.
    let there = frame(None, two, one, b"here I am");
    assert_eq!(rig.put(ACCESS1, &[there]), [(ACCESS0, from_city(two, one, b"here I am"))]);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, two, b"so there")]), [(ACCESS1, frame(None, one, two, b"so there"))]);
    let (who, here, so) = (42 + 3, 42 + 9, 42 + 8);
    let counters = rig.pipeline.session(&key_one).unwrap();
    assert_eq!(counters.from, Traffic { frames: 2, octets: who + so });
    assert_eq!(counters.to, Traffic { frames: 1, octets: here });
    assert_eq!(rig.pipeline.session(&key_two).unwrap().to, Traffic { frames: 1, octets: so });
    let segment = rig.segment("metering");
    assert_eq!(segment.from_access.passed, Traffic { frames: 3, octets: who + here + so });
    assert_eq!(segment.to_access.passed, Traffic { frames: 2, octets: here + so });
    assert_eq!((segment.to_tunnels, segment.from_tunnels), (Traffic::default(), Traffic::default()));
    let iot = rig.reading().slices.into_iter().find(|slice| slice.slice.as_str() == "iot").unwrap();
    let circuits: Vec<_> = iot
        .circuits
        .iter()
        .map(|circuit| {
            (circuit.circuit.sdp.as_str(), circuit.from_access.passed.frames, circuit.to_access.passed.frames)
        })
        .collect();
    assert_eq!(circuits, [("city", 2, 1), ("depot", 1, 1)]);
}

#[test]
fn a_session_of_another_segment_is_not_reached_whatever_its_slice() {
    let mut rig = Rig::new();
    let (meter, monitor, laptop) = (device(1), device(2), device(3));
    rig.admit("iot", "metering", meter);
    rig.admit("iot", "health", monitor);
    rig.admit("embb", "office", laptop);
    // All of them have been heard.
    for (vlan, from) in [(110, meter), (110, monitor), (120, laptop)] {
        rig.put(ACCESS0, &[frame(Some(vlan), from, device(99), b"hello")]);
    }
    for (vlan, from, to) in [(110, meter, monitor), (110, monitor, meter)] {
        assert_eq!(rig.put(ACCESS0, &[frame(Some(vlan), from, to, b"let me in")]), []);
    }
    assert_eq!(rig.drops(ACCESS0), [(DropReason::CrossSegment, 2)]);
    assert_eq!(rig.segment("metering").drops[0].of(DropReason::CrossSegment), 1);
    // In another slice the address is that of a stranger, who is looked for behind other edges and nowhere else.
    let left = rig.put(ACCESS0, &[from_city(meter, laptop, b"and you?"), from_city(monitor, laptop, b"and you?")]);
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|(port, _)| *port == CORE0));
}

#[test]
fn the_same_address_may_have_a_session_in_each_slice() {
    let mut rig = Rig::new();
    let both = device(1);
    let in_iot = rig.admit("iot", "alone", both);
    let in_embb = rig.admit("embb", "office", both);
    rig.put(ACCESS0, &[frame(Some(120), both, device(9), b"x")]);
    assert_eq!(rig.pipeline.session(&in_iot).unwrap().from.frames, 0);
    assert_eq!(rig.pipeline.session(&in_embb).unwrap().from.frames, 1);
}

#[test]
fn untagged_and_priority_tagged_frames_are_those_of_the_untagged_circuit() {
    let mut rig = Rig::new();
    let key = rig.admit("iot", "metering", device(1));
    rig.put(ACCESS1, &[frame(None, device(1), device(9), b"a"), frame(Some(0x6000), device(1), device(9), b"a")]);
    assert_eq!(rig.pipeline.session(&key).unwrap().from, Traffic { frames: 2, octets: 2 * 43 });
    assert_eq!(rig.drops(ACCESS1), []);
}

#[test]
fn a_device_bound_to_an_address_speaks_from_no_other() {
    let mut rig = Rig::new();
    let (one, liar) = (device(1), Device { ipv4: Ipv4Addr::new(10, 20, 0, 66), ..device(1) });
    rig.admit("iot", "metering", one);
    let arp = |operation, mac, address| {
        let packet = frames::arp(operation, (mac, address), (Mac([0; 6]), Ipv4Addr::new(10, 20, 0, 77)));
        frames::ethernet(frames::BROADCAST, one.mac, Some(110), 0x0806, &packet)
    };
    let ipv6 = |from| {
        let packet = frames::ipv6(from, device(9).ipv6, 0, 59, 64, &[]);
        frames::ethernet(device(9).mac, one.mac, Some(110), 0x86dd, &packet)
    };
    let lies = [
        from_city(liar, device(9), b"x"),
        arp(1, one.mac, liar.ipv4),
        arp(2, one.mac, liar.ipv4),
        arp(2, device(2).mac, one.ipv4),
        // Bound to IPv4 alone, it has no IPv6.
        ipv6(one.ipv6),
        ipv6("fe80::1".parse().unwrap()),
    ];
    for lie in &lies {
        assert_eq!(rig.put(ACCESS0, std::slice::from_ref(lie)), []);
    }
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SourceAddress, lies.len() as u64)]);
    // An ARP probe (RFC 5227) claims nothing.
    for truth in [arp(1, one.mac, one.ipv4), arp(1, one.mac, Ipv4Addr::UNSPECIFIED), from_city(one, device(9), b"x")] {
        assert_eq!(rig.put(ACCESS0, &[truth]).len(), 2, "to edges B and C");
    }
}

#[test]
fn a_device_bound_to_an_ipv6_address_answers_for_no_other() {
    let mut rig = Rig::new();
    let one = device(1);
    let binding = Binding { ipv6: Some(one.ipv6), ..rig.binding("iot", "metering", one.mac) };
    rig.pipeline.bind(&binding).unwrap();
    let link_local = "fe80::1:1".parse().unwrap();
    let said = |kind, from, about| {
        let packet = frames::icmpv6(from, device(9).ipv6, 255, frames::neighbour(kind, about, Some(one.mac)));
        frames::ethernet(device(9).mac, one.mac, Some(110), 0x86dd, &packet)
    };
    for lie in [
        said(136, one.ipv6, device(2).ipv6),
        said(136, link_local, device(2).ipv6),
        said(135, device(2).ipv6, one.ipv6),
    ] {
        assert_eq!(rig.put(ACCESS0, &[lie]), []);
    }
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SourceAddress, 3)]);
    let unspecified = "::".parse().unwrap();
    let truths = [
        said(136, one.ipv6, one.ipv6),
        said(136, link_local, link_local),
        said(135, one.ipv6, device(2).ipv6),
        // Duplicate address detection (RFC 4862, section 5.4).
        said(135, unspecified, one.ipv6),
    ];
    for truth in truths {
        assert_eq!(rig.put(ACCESS0, &[truth]).len(), 2);
    }
}

#[test]
fn a_lie_does_not_move_a_device() {
    let mut rig = Rig::new();
    let (one, two) = (device(1), device(2));
    rig.admit("iot", "metering", one);
    rig.admit("iot", "metering", two);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x")]);
    rig.put(ACCESS1, &[frame(None, Device { ipv4: two.ipv4, ..one }, device(9), b"x")]);
    assert_eq!(rig.put(ACCESS1, &[frame(None, two, one, b"still there?")])[0].0, ACCESS0);
}

#[test]
fn an_arp_request_goes_to_the_owner_of_the_address_and_to_nobody_else() {
    let mut rig = Rig::new();
    let (one, two, three) = (device(1), device(2), device(3));
    for device in [one, two, three] {
        rig.admit("iot", "metering", device);
    }
    for here in [two, three] {
        rig.put(ACCESS1, &[frame(None, here, device(9), b"x")]);
    }
    let packet = frames::arp(1, (one.mac, one.ipv4), (Mac([0; 6]), two.ipv4));
    let question = frames::ethernet(frames::BROADCAST, one.mac, Some(110), 0x0806, &packet);
    let as_unicast = frames::ethernet(two.mac, one.mac, None, 0x0806, &packet);
    assert_eq!(rig.put(ACCESS0, &[question]), [(ACCESS1, as_unicast)]);
    // One whom nobody here has bound is asked for at the other edges, and not of sessions that are bound to another.
    let packet = frames::arp(1, (one.mac, one.ipv4), (Mac([0; 6]), device(50).ipv4));
    let question = frames::ethernet(frames::BROADCAST, one.mac, Some(110), 0x0806, &packet);
    let ports: Vec<_> = rig.put(ACCESS0, &[question]).iter().map(|(port, _)| *port).collect();
    assert_eq!(ports, [CORE0, CORE0]);
}

#[test]
fn a_neighbour_solicitation_goes_to_the_owner_of_the_address() {
    let mut rig = Rig::new();
    let (one, two, three) = (device(1), device(2), device(3));
    for device in [one, two, three] {
        let binding = Binding { ipv6: Some(device.ipv6), ..rig.binding("iot", "alone", device.mac) };
        rig.pipeline.bind(&binding).unwrap();
    }
    let hello = |from: Device| {
        let packet = frames::ipv6(from.ipv6, device(9).ipv6, 0, 59, 64, &[]);
        frames::ethernet(device(9).mac, from.mac, None, 0x86dd, &packet)
    };
    rig.put(ACCESS1, &[hello(two), hello(three)]);
    let group = "ff02::1:ff00:2".parse().unwrap();
    let packet = frames::icmpv6(one.ipv6, group, 255, frames::neighbour(135, two.ipv6, Some(one.mac)));
    let question = frames::ethernet(Mac([0x33, 0x33, 0xff, 0, 0, 2]), one.mac, Some(110), 0x86dd, &packet);
    let as_unicast = frames::ethernet(two.mac, one.mac, None, 0x86dd, &packet);
    assert_eq!(rig.put(ACCESS0, &[question]), [(ACCESS1, as_unicast)]);
}

#[test]
fn a_broadcast_becomes_a_copy_for_each_session_on_other_circuits_and_each_other_edge() {
    let mut rig = Rig::new();
    for number in 1..=4 {
        rig.admit_open("iot", "metering", device(number));
    }
    rig.admit_open("iot", "health", device(5));
    for number in [3, 4, 5] {
        rig.put(ACCESS1, &[frame(None, device(number), device(9), b"x")]);
    }
    rig.put(ACCESS0, &[from_city(device(2), device(9), b"x")]);
    let everybody = Device { mac: frames::BROADCAST, ipv4: Ipv4Addr::BROADCAST, ..device(0) };
    let left = rig.put(ACCESS0, &[from_city(device(1), everybody, b"hear")]);
    let to = |number: u8| {
        let (ethertype, packet) = frames::datagram((device(1).ipv4.into(), 7), (everybody.ipv4.into(), 7), 0, b"hear");
        frames::ethernet(device(number).mac, device(1).mac, None, ethertype, &packet)
    };
    // The newest session without address is the first of its segment.
    assert_eq!(left[..2], [(ACCESS1, to(4)), (ACCESS1, to(3))]);
    assert_eq!(left.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [ACCESS1, ACCESS1, CORE0, CORE0]);
}

#[test]
fn a_segment_that_sends_too_much_is_stopped_before_it_costs_its_slice() {
    let mut rig = Rig::new();
    let mut program = reference();
    program.generation = Generation::new(2);
    // 1 Mbit/s, so the bucket is four of the longest frames: 4 x 1,514 octets.
    program.content.slices[1].segments[0].limits = limits(1_000_000);
    rig.run(program);
    let (one, other) = (device(1), device(2));
    rig.admit("iot", "metering", one);
    rig.admit("iot", "health", other);
    // Device 9 is known to be behind edge B.
    rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &frame(None, device(9), device(8), b"x"))]);
    let frames: Vec<_> = (0..6).map(|_| from_city(one, device(9), &[0; 1_472])).collect();
    assert_eq!(rig.put_and_wait(ACCESS0, &frames).len(), 4);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SegmentRateFromAccess, 2)]);
    let metering = rig.segment("metering");
    assert_eq!((metering.from_access.passed.frames, metering.from_access.dropped), (4, 2));
    let iot = rig.reading().slices.into_iter().find(|slice| slice.slice.as_str() == "iot").unwrap();
    assert_eq!((iot.circuits[0].from_access.passed.frames, iot.circuits[0].from_access.dropped), (4, 0));
    assert_eq!(rig.put_and_wait(ACCESS0, &[from_city(other, device(9), &[0; 1_472])]).len(), 1);
    // 12.112 ms later there is room for one more, and not for two.
    rig.now.0 += 11_112_000 - 1_000_000;
    assert_eq!(rig.put_and_wait(ACCESS0, &frames[..2]).len(), 1);
}

#[test]
fn a_flood_takes_no_more_of_the_underlay_than_the_limit_says() {
    let mut rig = Rig::new();
    let mut program = reference();
    program.generation = Generation::new(2);
    program.content.slices[1].segments[0].limits = limits(1_000_000);
    rig.run(program);
    rig.admit("iot", "metering", device(1));
    // To two edges each: the bucket is four of the longest frames, and a copy counts as one.
    let frames: Vec<_> = (0..3).map(|_| from_city(device(1), device(77), &[0; 1_472])).collect();
    assert_eq!(rig.put_and_wait(ACCESS0, &frames).len(), 4);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SegmentRateFromAccess, 1)]);
    let metering = rig.segment("metering");
    assert_eq!((metering.from_access.passed.frames, metering.to_tunnels.frames), (2, 4));
    rig.assert_conserved();
}
