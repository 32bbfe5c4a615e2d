//! The auditor names what is wrong: a clean plan, or what is declared beside it, is broken in one way at a time.

use std::collections::BTreeMap;

use model::plan::{Allocation, Booking, LinkDirection, PathKey, Plan, Quarantined, SlicePlan};
use model::profile::QueueClass;
use model::program::{PathProgram, Program, RealmProgram, SegmentProgram, SliceProgram, Tunnel};
use model::{Generation, Latency, NodeName, PathId, Rate, RateLimits, Vni};
use plan::{Intents, Severity, audit};

use crate::world::{CATALOG, Manager, REFERENCE, assert_clean, read, reference, segment};

/// The reference world after a segment has come and gone, so that something is in quarantine.
fn world() -> Manager {
    let mut manager = Manager::new(reference());
    manager
        .apply(
            "apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: { name: old, slice: iot }\nspec: { profile: \
             smart-metering, at: [edge-b], share: 1 % }\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: { name: \
             old, slice: iot }\nspec: { clients: [] }\n",
        )
        .unwrap();
    manager.delete(&["microsegment/iot/old", "realm/iot/old"]).unwrap();
    assert_eq!(manager.plan.quarantine.len(), 1);
    manager
}

fn errors(plan: &Plan, intents: &Intents) -> Vec<String> {
    let notes = audit(plan, intents, &CATALOG).into_iter().filter(|note| note.severity == Severity::Error);
    notes.map(|note| note.finding.to_string()).collect()
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn program<'a>(plan: &'a mut Plan, edge: &str) -> &'a mut Program {
    plan.programs.get_mut(edge).unwrap()
}

fn slice<'a>(plan: &'a mut Plan, edge: &str, name: &str) -> &'a mut SliceProgram {
    program(plan, edge).content.slices.iter_mut().find(|s| s.slice.as_str() == name).unwrap()
}

fn at<'a>(plan: &'a mut Plan, edge: &str, name: &str) -> &'a mut SegmentProgram {
    slice(plan, edge, "iot").segments.iter_mut().find(|s| s.id == segment(name)).unwrap()
}

fn iot(plan: &mut Plan) -> &mut SlicePlan {
    plan.slices.get_mut("iot").unwrap()
}

fn path<'a>(plan: &'a mut Plan, edge: &str, to: &str) -> &'a mut PathProgram {
    program(plan, edge).content.paths.iter_mut().find(|path| path.to == node(to) && path.id == PathId::MIN).unwrap()
}

fn realm<'a>(plan: &'a mut Plan, edge: &str, name: &str) -> &'a mut RealmProgram {
    at(plan, edge, name).realm.as_mut().unwrap()
}

fn numbers<'a>(plan: &'a mut Plan, name: &str) -> &'a mut Allocation {
    plan.allocations.get_mut(&segment(name)).unwrap()
}

fn vni(number: u64) -> Vni {
    Vni::new(number).unwrap()
}

fn mbit(guaranteed: u64, ceiling: u64) -> RateLimits {
    let mbit = |rate| Rate::from_bits_per_second(rate * 1_000_000);
    RateLimits::new(mbit(guaranteed), mbit(ceiling)).unwrap()
}

fn key(from: &str, to: &str, id: u64) -> PathKey {
    PathKey { a: node(from), b: node(to), id: PathId::new(id).unwrap() }
}

const METERS: &str = "iot/smart-metering";
const HEALTH: &str = "iot/personal-health";

/// A way to break a plan, and what must be said of it.
type Break = (fn(&mut Plan), &'static str);

fn named(breaks: &[Break]) {
    let world = world();
    assert_clean(&world.plan, &world.intents);
    for (break_it, expected) in breaks {
        let mut plan = world.plan.clone();
        break_it(&mut plan);
        let errors = errors(&plan, &world.intents);
        assert!(errors.iter().any(|error| error == expected), "not named: {expected}\nnamed: {errors:#?}");
    }
}

#[test]
fn wrong_numbers_are_named() {
    named(&[
        (
            |plan| {
                plan.allocations.remove(&segment(METERS));
            },
            "segment iot/smart-metering has no numbers",
        ),
        (
            |plan| {
                let numbers =
                    Allocation { vni: vni(10_500), access_port: 20_100, function: None, labels: BTreeMap::new() };
                plan.allocations.insert(segment("iot/ghost"), numbers);
            },
            "iot/ghost has numbers and is not declared",
        ),
        (
            |plan| numbers(plan, METERS).vni = vni(10_000),
            "VNI 10000 is that of both iot/personal-health and iot/smart-metering",
        ),
        (
            |plan| numbers(plan, METERS).access_port = 20_000,
            "pair of RADIUS ports 20000 is that of both iot/personal-health and iot/smart-metering",
        ),
        (|plan| numbers(plan, METERS).vni = vni(11_000), "VNI 11000 of iot/smart-metering is not in the pool"),
        (
            |plan| numbers(plan, METERS).access_port = 20_005,
            "pair of RADIUS ports 20005 of iot/smart-metering is not in the pool",
        ),
        (
            |plan| numbers(plan, METERS).vni = vni(10_002),
            "VNI 10002 of iot/smart-metering is still in quarantine for iot/old",
        ),
        (
            |plan| numbers(plan, METERS).access_port = 20_004,
            "pair of RADIUS ports 20004 of iot/smart-metering is still in quarantine for iot/old",
        ),
        (
            |plan| at(plan, "edge-a", METERS).vni = vni(10_900),
            "edge-a runs iot/smart-metering with VNI 10900; 10001 is allocated",
        ),
        (
            |plan| realm(plan, "edge-c", METERS).access_port = 20_100,
            "edge-c runs iot/smart-metering with pair of RADIUS ports 20100; 20002 is allocated",
        ),
    ]);
}

#[test]
fn wrong_generations_are_named() {
    named(&[
        (
            |plan| program(plan, "edge-a").generation = plan_next(),
            "the program of edge-a is of generation 9, the plan of 3",
        ),
        (
            |plan| program(plan, "edge-a").generation = Generation::NONE,
            "the program of edge-a is of generation 0, the plan of 3",
        ),
        (
            |plan| plan.quarantine[0].awaiting = BTreeMap::from([(node("edge-b"), Generation::new(4))]),
            "VNI 10002 of iot/old waits for edge-b to confirm generation 4, which it is not told to run",
        ),
        (
            |plan| plan.quarantine[0].awaiting = BTreeMap::from([(node("edge-x"), Generation::new(3))]),
            "VNI 10002 of iot/old waits for edge-x to confirm generation 3, which it is not told to run",
        ),
        (|plan| plan.quarantine[0].awaiting.clear(), "VNI 10002 of iot/old is in quarantine and waits for nobody"),
    ]);
}

fn plan_next() -> Generation {
    Generation::new(9)
}

#[test]
fn programs_that_say_something_else_are_named() {
    named(&[
        (|plan| program(plan, "edge-a").content.edge = node("edge-b"), "the program of edge-a is written for edge-b"),
        (
            |plan| program(plan, "edge-a").content.loopback.truncate(1),
            "the program of edge-a has other underlay addresses or ports than the topology",
        ),
        (
            |plan| program(plan, "edge-b").content.core_ports[1].mtu = 9000,
            "the program of edge-b has other underlay addresses or ports than the topology",
        ),
        (
            |plan| {
                plan.programs.remove("edge-b");
            },
            "slice factory has an SDP on edge-b and is not in its program",
        ),
        (
            |plan| {
                let stray = slice(plan, "edge-a", "vehicles").clone();
                program(plan, "edge-b").content.slices.push(stray);
            },
            "slice vehicles is in the program of edge-b and has no SDP there",
        ),
        (
            |plan| {
                let twin = slice(plan, "edge-a", "vehicles").clone();
                program(plan, "edge-a").content.slices.push(twin);
            },
            "slice vehicles stands twice in the program of edge-a",
        ),
        (
            |plan| slice(plan, "edge-a", "iot").snssai.sd = None,
            "edge-a runs slice iot with another S-NSSAI than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "iot").limits = mbit(20, 101),
            "edge-a runs slice iot with another rate than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "handsets").limits = mbit(51, 500),
            "edge-a runs slice handsets with another rate than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "factory").packet_octets_max = 1500,
            "edge-a runs slice factory with another packet size than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "factory").dscp = model::Dscp::MIN,
            "edge-a runs slice factory with another DSCP than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "iot").markings.clear(),
            "edge-a runs slice iot with another set of markings than is declared",
        ),
        (
            // What the slice of meters has no class for.
            |plan| {
                let raised = slice(plan, "edge-a", "handsets").markings.clone();
                slice(plan, "edge-a", "iot").markings = raised;
            },
            "edge-a runs slice iot with another set of markings than is declared",
        ),
        (
            |plan| slice(plan, "edge-a", "iot").circuits.clear(),
            "the circuits of slice iot on edge-a are not its SDPs there",
        ),
        (
            |plan| slice(plan, "edge-a", "iot").circuits[0].vlan = None,
            "the circuits of slice iot on edge-a are not its SDPs there",
        ),
        (
            |plan| {
                let vlan = slice(plan, "edge-a", "handsets").circuits[0].vlan;
                slice(plan, "edge-a", "iot").circuits[0].vlan = vlan;
            },
            "one circuit of port access0 of edge-a feeds SDP city of handsets and SDP city of iot",
        ),
    ]);
}

#[test]
fn wrong_segments_are_named() {
    named(&[
        (
            |plan| slice(plan, "edge-a", "iot").segments.retain(|s| s.id != segment(METERS)),
            "segment iot/smart-metering is asked for on edge-a and is not in its program",
        ),
        (
            |plan| {
                let stray = at(plan, "edge-a", METERS).clone();
                slice(plan, "edge-b", "iot").segments.push(stray);
            },
            "segment iot/smart-metering is in the program of edge-b and is not asked for there",
        ),
        (
            |plan| at(plan, "edge-a", METERS).id = segment("iot/old"),
            "segment iot/old is in the program of edge-a and is not asked for there",
        ),
        (
            |plan| {
                let twin = at(plan, "edge-a", METERS).clone();
                slice(plan, "edge-a", "iot").segments.push(twin);
            },
            "segment iot/smart-metering stands twice in the program of edge-a",
        ),
        (
            |plan| {
                let moved = at(plan, "edge-a", METERS).clone();
                slice(plan, "edge-a", "vehicles").segments.push(moved);
            },
            "segment iot/smart-metering stands in slice vehicles in the program of edge-a",
        ),
        (
            |plan| at(plan, "edge-a", METERS).limits = mbit(12, 81),
            "edge-a runs segment iot/smart-metering with another ceiling than is declared",
        ),
        (
            |plan| at(plan, "edge-a", METERS).limits = mbit(11, 80),
            "edge-a runs segment iot/smart-metering with another guarantee than is declared",
        ),
        (
            |plan| at(plan, "edge-a", METERS).limits = mbit(13, 80),
            "the segments of iot on edge-a are guaranteed 21 Mbit/s, the slice 20 Mbit/s",
        ),
        (
            |plan| at(plan, "edge-a", HEALTH).sessions_max = 1999,
            "edge-a runs segment iot/personal-health with another limit of sessions than is declared",
        ),
        (
            |plan| at(plan, "edge-a", HEALTH).sessions_max = 2001,
            "edge-a runs segment iot/personal-health with another limit of sessions than is declared",
        ),
        (
            |plan| at(plan, "edge-a", HEALTH).realm = None,
            "edge-a runs segment iot/personal-health with another realm than is declared",
        ),
        (
            |plan| {
                let light = realm(plan, "edge-a", METERS).features.clone();
                realm(plan, "edge-a", HEALTH).features = light;
            },
            "edge-a runs segment iot/personal-health with another set of AAA features than is declared",
        ),
        (
            |plan| {
                realm(plan, "edge-a", HEALTH).clients.pop();
            },
            "edge-a runs segment iot/personal-health with another set of clients than is declared",
        ),
    ]);
}

#[test]
fn tunnels_that_lead_nowhere_are_named() {
    named(&[
        (
            |plan| at(plan, "edge-a", METERS).remotes.clear(),
            "the remotes of iot/smart-metering on edge-a are not its other edges",
        ),
        (
            |plan| {
                let extra = at(plan, "edge-a", HEALTH).remotes[0].clone();
                at(plan, "edge-a", METERS).remotes.push(extra);
            },
            "the remotes of iot/smart-metering on edge-a are not its other edges",
        ),
        (
            |plan| at(plan, "edge-a", METERS).remotes[0].tunnel = Tunnel::Vxlan(vni(10_900)),
            "edge-a sends iot/smart-metering for edge-c otherwise than edge-c takes it",
        ),
        (
            |plan| at(plan, "edge-a", METERS).remotes[0].working = PathId::MAX,
            "edge-a sends iot/smart-metering for edge-c on path 65535, which it has not",
        ),
        (
            |plan| path(plan, "edge-a", "edge-c").local = "fd00:0:b::1".parse().unwrap(),
            "path 1 from edge-a to edge-c does not lead from a loopback of one to one of the other",
        ),
        (
            |plan| path(plan, "edge-a", "edge-c").remote = "fd00:0:c::2".parse().unwrap(),
            "path 1 from edge-a to edge-c does not lead from a loopback of one to one of the other",
        ),
        (
            // The other family.
            |plan| path(plan, "edge-a", "edge-c").remote = "10.255.0.3".parse().unwrap(),
            "path 1 from edge-a to edge-c does not lead from a loopback of one to one of the other",
        ),
        (
            |plan| path(plan, "edge-a", "edge-c").next_hop = "fd00:2:a::1".parse().unwrap(),
            "edge-a sends for edge-c to fd00:2:a::1 on port core0, where there is no such neighbour on the path",
        ),
        (
            |plan| path(plan, "edge-a", "edge-c").port = "core1".parse().unwrap(),
            "edge-a sends for edge-c to fd00:1:a::1 on port core1, where there is no such neighbour on the path",
        ),
    ]);
}

#[test]
fn paths_that_break_are_named() {
    named(&[
        (
            |plan| {
                plan.paths.remove(&key("edge-a", "edge-b", 1));
            },
            "slice iot takes path 1 from edge-a to edge-b, which there is not",
        ),
        (
            |plan| {
                iot(plan).ways.remove(&(node("edge-a"), node("edge-b")));
            },
            "slice iot has no way from edge-a to edge-b, which share a segment",
        ),
        (
            |plan| {
                let way = iot(plan).ways[&(node("edge-a"), node("edge-b"))];
                iot(plan).ways.insert((node("edge-a"), node("core-1")), way);
            },
            "slice iot has a way from edge-a to core-1, which share no segment of it",
        ),
        (
            |plan| {
                let path = plan.paths[&key("edge-a", "edge-b", 1)].clone();
                plan.paths.insert(key("edge-a", "edge-b", 9), path);
            },
            "no slice takes path 9 from edge-a to edge-b",
        ),
        (
            |plan| plan.paths.get_mut(&key("edge-a", "edge-b", 1)).unwrap().links.reverse(),
            "the path from edge-a to edge-b does not connect them over core nodes",
        ),
        (
            |plan| {
                let links = ["core-1--edge-a", "core-1--edge-c", "core-2--edge-c", "core-2--edge-b"];
                let links = links.iter().map(|link| link.parse().unwrap()).collect();
                plan.paths.get_mut(&key("edge-a", "edge-b", 1)).unwrap().links = links;
            },
            "the path from edge-a to edge-b does not connect them over core nodes",
        ),
        (
            |plan| plan.paths.get_mut(&key("edge-a", "edge-b", 1)).unwrap().links.clear(),
            "the path from edge-a to edge-b does not connect them over core nodes",
        ),
        (
            |plan| plan.paths.get_mut(&key("edge-a", "edge-b", 1)).unwrap().delay = Latency::from_nanos(449_999),
            "the path from edge-a to edge-b takes 449999 ns by the plan and 450 us by its links",
        ),
    ]);
}

#[test]
fn wrong_bookings_are_named() {
    fn ten(class: QueueClass) -> Booking {
        Booking { class, working: Rate::from_bits_per_second(10_000_000), backup: Rate::ZERO }
    }
    fn up() -> LinkDirection {
        LinkDirection { link: "core-1--edge-a".parse().unwrap(), from: node("edge-a") }
    }
    named(&[
        (
            |plan| {
                plan.bookings.remove(&up());
            },
            "slice iot has 0 bit/s booked on core-1--edge-a from edge-a; it may need 20 Mbit/s",
        ),
        (
            |plan| {
                plan.bookings.get_mut(&up()).unwrap().insert("iot".parse().unwrap(), ten(QueueClass::BestEffort));
            },
            "slice iot has 10 Mbit/s booked on core-1--edge-a from edge-a; it may need 20 Mbit/s",
        ),
        (
            |plan| {
                plan.bookings.get_mut(&up()).unwrap().insert("vehicles".parse().unwrap(), ten(QueueClass::RealTime));
            },
            "slice vehicles has 10 Mbit/s booked on core-1--edge-a from edge-a; it may need 0 bit/s",
        ),
        (
            |plan| {
                let booking = plan.bookings.get_mut(&up()).unwrap().get_mut("iot").unwrap();
                (booking.working, booking.backup) = (booking.backup, booking.working);
            },
            "what slice iot has booked on core-1--edge-a from edge-a is not divided as its paths are",
        ),
        (
            |plan| {
                plan.bookings.get_mut(&up()).unwrap().get_mut("iot").unwrap().class = QueueClass::LowLatency;
            },
            "what slice iot has booked on core-1--edge-a from edge-a is not divided as its paths are",
        ),
    ]);
}

/// The world with one text of one file replaced, beside the plan of the world as it was.
fn declared(file: usize, from: &str, to: &str) -> (Manager, Intents) {
    let world = world();
    let mut intents = world.intents.clone();
    assert!(REFERENCE[file].1.contains(from), "{from}");
    for resource in read("changed.yaml", &REFERENCE[file].1.replace(from, to)) {
        intents.apply(resource);
    }
    (world, intents)
}

#[test]
fn a_plan_that_the_network_can_not_carry_is_named() {
    for (file, from, to, expected) in [
        (
            0,
            "capacity: 140 Mbit/s",
            "capacity: 19 Mbit/s",
            "20 Mbit/s is booked on core-1--edge-a from core-1, which carries 19 Mbit/s",
        ),
        (
            0,
            "{ name: to-edge-a, rate: 1 Gbit/s, mtu: 1600 }",
            "{ name: to-edge-a, rate: 1 Gbit/s, mtu: 1569 }",
            "packets of slice iot do not fit through port to-edge-a of core-1",
        ),
        (
            0,
            "{ name: access0, rate: 10 Gbit/s }",
            "{ name: access0, rate: 10 Gbit/s, mtu: 1499 }",
            "packets of slice handsets do not fit through port access0 of edge-c",
        ),
        (
            0,
            "{ name: access0, rate: 1 Gbit/s }",
            "{ name: access0, rate: 99 Mbit/s }",
            // 10 of the factory, 50 of handsets, 20 of iot, 20 of vehicles.
            "port access0 of edge-a carries 99 Mbit/s; its slices are guaranteed 100 Mbit/s",
        ),
        (1, "max: 10 ms", "max: 600 us", "the path from edge-b to edge-c takes 650 us; slice iot allows 600 us"),
        (2, "{ sst: 4 }", "{ sst: 2 }", "S-NSSAI 2 is that of both factory and vehicles"),
        (
            0,
            "delay: 250 us",
            "delay: 251 us",
            "the path from edge-a to edge-b takes 450 us by the plan and 451 us by its links",
        ),
    ] {
        let (world, intents) = declared(file, from, to);
        let errors = errors(&world.plan, &intents);
        assert!(errors.iter().any(|error| error == expected), "not named: {expected}\nnamed: {errors:#?}");
    }
}

#[test]
fn what_is_legal_and_rarely_meant_is_a_warning() {
    let warnings = |intents: Intents| -> Vec<String> {
        let manager = Manager::new(intents);
        audit(&manager.plan, &manager.intents, &CATALOG).iter().map(ToString::to_string).collect()
    };
    let with = |file: usize, from: &str, to: &str| -> Intents {
        let texts = REFERENCE.iter().enumerate().take(2);
        let text = |(i, (_, text)): (usize, &(&str, &str))| {
            if i == file { text.replacen(from, to, 1) } else { (*text).to_owned() }
        };
        texts.flat_map(|entry| read("w.yaml", &text(entry))).collect()
    };
    assert_eq!(warnings(with(1, "", "")), [""; 0], "the slice of the reference world is as it should be");
    let elsewhere = REFERENCE[1].1.replace("at: [edge-a, edge-b, edge-c]", "at: [edge-a, edge-c]");
    let elsewhere = elsewhere.replace("name: hospital-switch, edge: edge-b", "name: hospital-switch");
    assert_eq!(
        warnings([REFERENCE[0].1, &elsewhere].into_iter().flat_map(|text| read("w.yaml", text)).collect()),
        ["warning: slice iot has an SDP on edge-b and no micro-segment there: its frames are dropped"]
    );
    let clients = "clients:\n    - { name: city-switch, edge: edge-a, addresses: [192.0.2.11/32, \"2001:db8:a::11/128\"] }\n    \
                   - { name: dc-switch, edge: edge-c, addresses: [192.0.2.13/32, \"2001:db8:c::13/128\"] }";
    assert_eq!(
        warnings(with(1, clients, "clients: []")),
        ["warning: the realm of iot/smart-metering has no client: nobody can authenticate there"]
    );
    // 90 of 100 Mbit/s on the backup's link is 90 %, and 126 of 140 on the working one's.
    assert_eq!(
        warnings(with(1, "guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 90 Mbit/s, ceiling: 200")),
        ["warning: 90 Mbit/s of 100 Mbit/s is booked on core-2--edge-a"]
    );
    assert_eq!(
        warnings(with(1, "guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 89 Mbit/s, ceiling: 200")),
        [""; 0]
    );
    // More than the second way carries leaves no backup there.
    assert_eq!(
        warnings(with(1, "guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 126 Mbit/s, ceiling: 200")),
        [
            "warning: slice iot has no backup path from edge-a to edge-b: the network has none that shares no risk",
            "warning: slice iot has no backup path from edge-a to edge-c: the network has none that shares no risk",
            "warning: 126 Mbit/s of 140 Mbit/s is booked on core-1--edge-a"
        ]
    );
    assert_eq!(warnings(with(0, "last: 10999", "last: 10001")), ["warning: 2 of 2 are taken of the pool of VNI"]);
}

#[test]
fn a_segment_without_a_realm_is_a_warning_where_the_template_allows_it() {
    let mut intents: Intents =
        read("t.yaml", REFERENCE[0].1).into_iter().chain(read("v.yaml", REFERENCE[2].1)).collect();
    let text = "apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: { name: cars, slice: vehicles }\nspec: { profile: \
                personal-health, at: [edge-a, edge-c] }\n";
    for resource in read("s.yaml", text) {
        intents.apply(resource);
    }
    let manager = Manager::new(intents);
    let notes: Vec<String> = audit(&manager.plan, &manager.intents, &CATALOG).iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["warning: segment vehicles/cars has no realm: nobody can authenticate there"]);
}

#[test]
fn a_number_in_quarantine_for_the_segment_that_has_it_is_no_error() {
    // The segment has left an edge that has not confirmed; the others go on using its numbers.
    let mut world = world();
    let text = REFERENCE[1].1.replace("at: [edge-a, edge-b, edge-c]", "at: [edge-a, edge-c]");
    world.apply(&text.replace("name: hospital-switch, edge: edge-b", "name: hospital-switch")).unwrap();
    let own = |entry: &&Quarantined| entry.segment == segment(HEALTH);
    assert_eq!(world.plan.quarantine.iter().filter(own).count(), 1);
    assert_eq!(errors(&world.plan, &world.intents), [""; 0]);
}

#[test]
fn a_plan_for_nothing_is_clean_and_an_empty_one_for_something_is_not() {
    assert_eq!(audit(&Plan::default(), &Intents::default(), &CATALOG), []);
    let world = world();
    let errors = errors(&Plan::default(), &world.intents);
    // Two segments, four slices and five nodes without numbers; two, two, three and three SDPs; two and three edges with
    // a segment.
    assert_eq!(errors.len(), 2 + 4 + 5 + 10 + 5, "{errors:#?}");
}
