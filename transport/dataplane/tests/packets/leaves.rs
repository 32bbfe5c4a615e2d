//! Leaf circuits (RFC 7796): from one to another nothing leads, here or by way of other edges; from and to a root all does.

use std::collections::BTreeSet;

use model::program::Program;
use transport_dataplane::{DropReason, FLOOD_COPIES_MAX, PortIndex};

use crate::frames;
use crate::rig::*;

/// Slice iot has its roots on access port 0, and leaves on access port 1 and on VLAN 130 of access port 0. Groups travel to
/// edge B, and not to edge C.
fn program() -> Program {
    let mut program = reference();
    let iot = &mut program.content.slices[1];
    iot.circuits[1].leaf = true;
    let meter = model::program::Circuit { leaf: true, ..circuit("field", "access0", Some(130)) };
    iot.circuits.push(meter);
    iot.segments[0].remotes[0].group = true;
    program
}

/// Device 1 is a root; devices 2 and 3 are leaves, each on a circuit of its own.
fn world() -> Rig {
    let mut rig = Rig::with(program());
    rig.introduce_router();
    for number in 1..=3 {
        rig.admit("iot", "metering", device(number));
        let (port, vlan) = seat(number);
        assert_eq!(rig.put(port, &[frame(vlan, device(number), device(9), b"x")]).len(), 2);
    }
    rig
}

const fn seat(number: u8) -> (PortIndex, Option<u16>) {
    match number {
        1 => (ACCESS0, Some(110)),
        2 => (ACCESS1, None),
        _ => (ACCESS0, Some(130)),
    }
}

/// What a device of that world sends.
fn send(rig: &mut Rig, from: u8, to: Device) -> Vec<Left> {
    let (port, vlan) = seat(from);
    rig.put(port, &[frame(vlan, device(from), to, b"x")])
}

/// By number, the devices whom frames were delivered to.
fn heard(left: &[Left]) -> BTreeSet<u8> {
    left.iter().filter(|(port, _)| *port != CORE0).map(|(_, octets)| octets[5]).collect()
}

/// VXLAN with a group (draft-smith-vxlan-group-policy-05).
fn in_group(group: u16, inner: &[u8]) -> Vec<u8> {
    let [high, low] = group.to_be_bytes();
    let payload = [&[0x88, 0, high, low][..], &(5_001_u32 << 8).to_be_bytes(), inner].concat();
    let (ethertype, packet) = frames::datagram((EDGE_B, 50_000), (LOOPBACK_V6.into(), 4_789), 0, &payload);
    frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
}

const ALL: Device = Device { mac: frames::BROADCAST, ..device(0) };

#[test]
fn leaves_reach_roots_and_no_leaves() {
    let mut rig = world();
    for (from, to, reaches) in [(1, 2, true), (1, 3, true), (2, 1, true), (3, 1, true), (2, 3, false), (3, 2, false)] {
        let (port, vlan) = seat(to);
        let expected = (port, frame(vlan, device(from), device(to), b"x"));
        assert_eq!(send(&mut rig, from, device(to)), if reaches { vec![expected] } else { vec![] }, "{from} to {to}");
    }
    let refused = |port| rig.drops(port);
    assert_eq!(
        (refused(ACCESS0), refused(ACCESS1)),
        (vec![(DropReason::LeafToLeaf, 1)], vec![(DropReason::LeafToLeaf, 1)])
    );
    assert_eq!(rig.segment("metering").drops[1].of(DropReason::LeafToLeaf), 1);
}

#[test]
fn a_flood_of_a_root_reaches_all_and_one_of_a_leaf_reaches_roots() {
    let mut rig = world();
    for (from, expected) in [(1, vec![2, 3]), (2, vec![1]), (3, vec![1])] {
        assert_eq!(heard(&send(&mut rig, from, ALL)), expected.into_iter().collect(), "{from}");
    }
    assert_eq!(rig.drops(ACCESS0), []);
}

#[test]
fn a_leaf_that_asks_for_the_address_of_a_leaf_is_not_heard() {
    let mut rig = world();
    let ask = |from: u8, to: u8| {
        let question = frames::arp(1, (device(from).mac, device(from).ipv4), (model::Mac([0; 6]), device(to).ipv4));
        frames::ethernet(frames::BROADCAST, device(from).mac, seat(from).1, 0x0806, &question)
    };
    assert_eq!(heard(&rig.put(ACCESS1, &[ask(2, 3)])), BTreeSet::new());
    assert_eq!(rig.drops(ACCESS1), [(DropReason::LeafToLeaf, 1)]);
    assert_eq!(heard(&rig.put(ACCESS1, &[ask(2, 1)])), [1].into());
}

#[test]
fn leaves_do_not_use_up_the_copies_of_a_flood() {
    let mut rig = Rig::with(program());
    rig.introduce_router();
    let leaves = 100..100 + u8::try_from(FLOOD_COPIES_MAX).unwrap() + 4;
    // Those that are bound to nothing come first in a flood, and the last that was bound before the others.
    rig.admit_open("iot", "alone", device(1));
    for number in leaves {
        rig.admit_open("iot", "alone", device(number));
        rig.put(ACCESS1, &[frame(None, device(number), device(9), b"x")]);
    }
    rig.admit_open("iot", "alone", device(3));
    rig.put(ACCESS0, &[frame(Some(110), device(1), device(9), b"x")]);
    assert_eq!(heard(&rig.put(ACCESS0, &[frame(Some(130), device(3), ALL, b"x")])), [1].into());
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NoDestination, 1)], "from device 1, which knew of nobody");
}

#[test]
fn where_groups_travel_a_leaf_behind_another_edge_is_one() {
    let mut rig = world();
    let inner = |to: Device| frame(None, device(9), to, b"x");
    assert_eq!(heard(&rig.put(CORE0, &[in_group(1, &inner(device(2)))])), BTreeSet::new());
    assert_eq!(rig.drops(CORE0), [(DropReason::LeafToLeaf, 1)]);
    assert_eq!(heard(&rig.put(CORE0, &[in_group(1, &inner(device(1)))])), [1].into());
    assert_eq!(heard(&rig.put(CORE0, &[in_group(1, &inner(ALL))])), [1].into());
    assert_eq!(heard(&rig.put(CORE0, &[in_group(0, &inner(device(2)))])), [2].into());
    assert_eq!(heard(&rig.put(CORE0, &[in_group(0, &inner(ALL))])), [1, 2, 3].into());
    // Linux sets no flag for group 0.
    assert_eq!(heard(&rig.put(CORE0, &[in_tunnel(EDGE_B, 5_001, &inner(device(2)))])), [2].into());
    // A group that nobody has might stand for leaves of another kind.
    let before = rig.drops(CORE0);
    for packet in [in_group(2, &inner(device(2))), in_group(0xffff, &inner(ALL))] {
        assert_eq!(rig.put(CORE0, &[packet]), []);
    }
    assert_eq!((before.len(), rig.drops(CORE0).contains(&(DropReason::UnknownGroup, 2))), (1, true));
    // And what leaves says so, to edge B alone.
    let group =
        |left: &[Left]| left.iter().map(|(_, octets)| (octets[53], octets[62], octets[65])).collect::<BTreeSet<_>>();
    assert_eq!(group(&send(&mut rig, 1, device(77))), [(0xb, 0x88, 0), (0xc, 8, 0)].into());
    assert_eq!(group(&send(&mut rig, 2, device(77))), [(0xb, 0x88, 1), (0xc, 8, 0)].into());
}
