//! Sessions come, move and go.

use std::net::Ipv4Addr;

use model::{Generation, Mac};
use transport_dataplane::{BindError, Binding, DropReason, SessionCounters, Traffic};

use crate::rig::*;

#[test]
fn what_can_not_be_bound_is_refused_by_name_and_changes_nothing() {
    let mut program = reference();
    program.content.slices[1].segments[0].sessions_max = 2;
    let mut rig = Rig::with_room(program, 3);
    let binding = rig.binding("iot", "metering", device(1).mac);
    let group = Mac([1, 0, 0, 0, 0, 1]);
    for mac in [group, Mac([0; 6])] {
        assert_eq!(rig.pipeline.bind(&Binding { mac, ..binding }), Err(BindError::NotUnicast(mac)));
    }
    for ipv4 in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let refused = rig.pipeline.bind(&Binding { ipv4: Some(ipv4), ..binding });
        assert_eq!(refused, Err(BindError::NotHostAddress(ipv4.into())));
    }
    for ipv6 in ["::", "ff02::1"] {
        let refused = rig.pipeline.bind(&Binding { ipv6: Some(ipv6.parse().unwrap()), ..binding });
        assert_eq!(refused, Err(BindError::NotHostAddress(ipv6.parse().unwrap())));
    }
    let unknown = Binding { segment: transport_dataplane::SegmentUid(99), ..binding };
    assert_eq!(rig.pipeline.bind(&unknown), Err(BindError::UnknownSegment));
    assert_eq!(rig.reading().sessions, 0);

    rig.admit("iot", "metering", device(1));
    let thief = Binding { ipv4: Some(device(1).ipv4), ..rig.binding("iot", "metering", device(2).mac) };
    assert_eq!(rig.pipeline.bind(&thief), Err(BindError::AddressInUse { address: device(1).ipv4.into() }));
    // In another segment the address is another one.
    let elsewhere = Binding { ipv4: Some(device(1).ipv4), ..rig.binding("iot", "health", device(3).mac) };
    rig.pipeline.bind(&elsewhere).unwrap();

    rig.admit("iot", "metering", device(2));
    let third = rig.binding("iot", "metering", device(4).mac);
    assert_eq!(rig.pipeline.bind(&third), Err(BindError::SegmentFull { max: 2 }));
    let third = rig.binding("iot", "alone", device(4).mac);
    assert_eq!(rig.pipeline.bind(&third), Err(BindError::EdgeFull { max: 3 }));
    // Those that are bound are bound anew even when all is full.
    rig.admit("iot", "metering", device(2));
    assert_eq!((rig.reading().sessions, rig.segment("metering").sessions, rig.segment("health").sessions), (3, 2, 1));
}

#[test]
fn an_endpoint_that_is_bound_anew_keeps_its_counters_and_takes_its_new_address() {
    let mut rig = Rig::new();
    let one = device(1);
    let moved = Device { ipv4: Ipv4Addr::new(10, 20, 0, 101), ..one };
    let key = rig.admit("iot", "metering", one);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x")]);
    assert_eq!(rig.admit("iot", "metering", moved), key);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x"), from_city(moved, device(9), b"x")]);
    assert_eq!(rig.pipeline.session(&key).unwrap().from, Traffic { frames: 2, octets: 2 * 43 });
    assert_eq!(rig.drops(ACCESS0), [(DropReason::SourceAddress, 1)]);
    // The old address is free.
    let heir = Binding { ipv4: Some(one.ipv4), ..rig.binding("iot", "metering", device(2).mac) };
    rig.pipeline.bind(&heir).unwrap();
}

#[test]
fn no_segment_takes_an_endpoint_from_another() {
    let mut rig = Rig::new();
    let one = device(1);
    let before = rig.admit("iot", "metering", one);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x")]);
    let elsewhere = rig.binding("iot", "health", one.mac);
    assert_eq!(rig.pipeline.bind(&elsewhere), Err(BindError::InOtherSegment));
    assert_eq!((rig.segment("metering").sessions, rig.segment("health").sessions), (1, 0));
    assert_eq!(rig.pipeline.session(&before).unwrap().from.frames, 1);
    rig.pipeline.unbind(&before).unwrap();
    let after = rig.pipeline.bind(&elsewhere).unwrap();
    assert_eq!(rig.pipeline.session(&after), Some(SessionCounters::default()));
    // The end of the first session, which comes late, does not end the second.
    assert_eq!(rig.pipeline.unbind(&before), None);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]).len(), 1);
}

#[test]
fn a_session_of_a_segment_that_has_gone_is_in_nobodys_way() {
    let mut rig = Rig::new();
    let one = device(1);
    let gone = rig.admit("iot", "metering", one);
    let mut without = reference();
    without.generation = Generation::new(2);
    without.content.slices[1].segments.remove(0);
    rig.run(without);
    rig.admit("iot", "health", one);
    assert_eq!(rig.pipeline.unbind(&gone), None);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]).len(), 1);
}

#[test]
fn a_session_stays_on_its_circuit_until_it_is_bound_anew() {
    let mut rig = Rig::new();
    let (victim, peer) = (device(1), device(2));
    rig.admit("iot", "metering", victim);
    rig.put(ACCESS0, &[from_city(victim, device(9), b"here I am")]);
    let to_victim = in_tunnel(EDGE_B, 5_001, &frame(None, peer, victim, b"secret"));
    // Somebody else, on the other circuit of the slice.
    let forged = frame(None, victim, device(9), b"here I am");
    assert_eq!(rig.put(ACCESS1, std::slice::from_ref(&forged)), []);
    assert_eq!(rig.drops(ACCESS1), [(DropReason::OtherCircuit, 1)]);
    assert_eq!(rig.put(CORE0, std::slice::from_ref(&to_victim))[0].0, ACCESS0);
    rig.admit("iot", "metering", victim);
    rig.put(ACCESS1, &[forged]);
    assert_eq!(rig.put(CORE0, &[to_victim])[0].0, ACCESS1);
}

#[test]
fn an_endpoint_that_is_unbound_is_a_stranger_at_once() {
    let mut rig = Rig::new();
    let (one, two) = (device(1), device(2));
    let key = rig.admit("iot", "metering", one);
    rig.admit("iot", "metering", two);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x")]);
    assert_eq!(rig.pipeline.unbind(&key).unwrap().from.frames, 1);
    assert_eq!(rig.pipeline.unbind(&key), None);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::Unauthenticated, 1)]);
    // To others it is one who may be anywhere else.
    assert!(rig.put(ACCESS1, &[frame(None, two, one, b"x")]).iter().all(|(port, _)| *port == CORE0));
    assert_eq!((rig.reading().sessions, rig.segment("metering").sessions), (1, 1));
}

#[test]
fn sessions_meters_and_counters_of_what_stays_are_kept_over_a_swap() {
    let mut rig = Rig::new();
    let one = device(1);
    let key = rig.admit("iot", "metering", one);
    rig.put(ACCESS0, &[from_city(one, device(9), b"x"), from_city(device(8), one, b"x")]);
    let before = rig.segment("metering");
    let mut program = reference();
    program.generation = Generation::new(2);
    // A slice before it has gone, and so have a segment before it and a circuit.
    program.content.slices.remove(0);
    program.content.slices[0].segments.insert(0, segment("iot", "another", 5_009, vec![]));
    program.content.slices[0].circuits.remove(1);
    rig.run(program);
    let after = rig.segment("metering");
    assert_eq!((after.uid, after.sessions, after.from_access.passed), (before.uid, 1, before.from_access.passed));
    assert_eq!(after.to_tunnels, before.to_tunnels);
    let iot = &rig.reading().slices[0];
    assert_eq!((iot.circuits.len(), iot.circuits[0].from_access.passed.frames), (1, 1));
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]).len(), 2);
    assert_eq!(rig.pipeline.session(&key).unwrap().from.frames, 2);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::Unauthenticated, 1)]);
    assert_eq!((rig.reading().generation, rig.reading().digest), (Generation::new(2), rig.program.digest()));
}

#[test]
fn a_segment_that_comes_back_is_a_new_one() {
    let mut rig = Rig::new();
    let one = device(1);
    let key = rig.admit("iot", "metering", one);
    let mut without = reference();
    without.generation = Generation::new(2);
    without.content.slices[1].segments.remove(0);
    rig.run(without);
    // Its sessions are still there for the owner to take away, and forward nothing.
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]), []);
    let mut back = reference();
    back.generation = Generation::new(3);
    rig.run(back);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::Unauthenticated, 2)]);
    assert_eq!(rig.segment("metering").sessions, 0);
    assert!(rig.pipeline.unbind(&key).is_some());
    assert_eq!(rig.reading().sessions, 0);
    rig.admit("iot", "metering", one);
    assert_eq!(rig.put(ACCESS0, &[from_city(one, device(9), b"x")]).len(), 2);
}
