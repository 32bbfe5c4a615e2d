//! The reference world: every file of `profiles/reference` plans and audits clean, and the plan is the one that can be
//! worked out by hand from the files.

use crate::world::{CATALOG, Manager, assert_clean, reference, segment, small};
use model::plan::{Booking, LinkDirection, PathKey};
use model::profile::QueueClass;
use model::program::{PortShaping, ProgramContent, SegmentProgram, SliceClass, SliceProgram, Steering, Tunnel};
use model::{Latency, NodeName, Rate};
use plan::{Finding, Severity, audit, headroom};

const MBIT: u64 = 1_000_000;

fn mbit(rate: u64) -> Rate {
    Rate::from_bits_per_second(rate * MBIT)
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn slice<'a>(manager: &'a Manager, edge: &str, slice: &str) -> &'a SliceProgram {
    let content = &manager.plan.programs[&node(edge)].content;
    content.slices.iter().find(|s| s.slice.as_str() == slice).unwrap()
}

fn segment_at<'a>(manager: &'a Manager, edge: &str, name: &str) -> &'a SegmentProgram {
    slice(manager, edge, "iot").segments.iter().find(|s| s.id == segment(name)).unwrap()
}

#[test]
fn it_plans_and_audits_clean() {
    let manager = Manager::new(reference());
    assert_clean(&manager.plan, &manager.intents);
    assert_eq!(manager.plan.generation.get(), 1);
    let edges: Vec<&str> = manager.plan.programs.keys().map(NodeName::as_str).collect();
    assert_eq!(edges, ["edge-a", "edge-b", "edge-c"]);
    let slices = |edge: &str| -> Vec<String> {
        manager.plan.programs[&node(edge)].content.slices.iter().map(|s| s.slice.to_string()).collect()
    };
    assert_eq!(slices("edge-a"), ["factory", "handsets", "iot", "vehicles"]);
    assert_eq!(slices("edge-b"), ["factory", "handsets", "iot"]);
    assert_eq!(slices("edge-c"), ["handsets", "iot", "vehicles"]);
    // Three slices of it carry nothing yet; that is worth a look and no error.
    let warnings: Vec<Finding> = audit(&manager.plan, &manager.intents, &CATALOG)
        .into_iter()
        .filter(|note| note.severity == Severity::Warning)
        .map(|note| note.finding)
        .collect();
    let without = ["factory", "handsets", "vehicles"].map(|s| Finding::SliceWithoutSegment(s.parse().unwrap()));
    assert_eq!(warnings, without);
}

#[test]
fn an_edge_is_told_how_fast_its_access_ports_are() {
    let manager = Manager::new(reference());
    let access = |edge: &str| -> Vec<(String, u64)> {
        let ports = manager.plan.programs[&node(edge)].content.access_ports.iter();
        ports.map(|access| (access.port.to_string(), access.rate.bits_per_second() / MBIT)).collect()
    };
    assert_eq!(access("edge-a"), [("access0".to_owned(), 1_000)]);
    assert_eq!(access("edge-c"), [("access0".to_owned(), 10_000)]);
    let changes: [fn(&mut ProgramContent); 2] =
        [|content| content.access_ports.clear(), |content| content.access_ports[0].rate = mbit(7)];
    for change in changes {
        let mut plan = manager.plan.clone();
        change(&mut plan.programs.get_mut(&node("edge-b")).unwrap().content);
        let notes = audit(&plan, &manager.intents, &CATALOG);
        assert!(notes.iter().any(|note| note.finding == Finding::OtherUnderlay(node("edge-b"))), "{notes:?}");
    }
}

#[test]
fn the_lowest_numbers_of_the_pools_are_handed_out_in_order_of_names() {
    let manager = Manager::new(reference());
    assert_eq!((manager.vni("iot/personal-health"), manager.access_port("iot/personal-health")), (10_000, 20_000));
    assert_eq!((manager.vni("iot/smart-metering"), manager.access_port("iot/smart-metering")), (10_001, 20_002));
}

#[test]
fn a_segment_is_where_it_is_asked_for_with_its_share() {
    let manager = Manager::new(reference());
    let (a, b) = (slice(&manager, "edge-a", "iot"), slice(&manager, "edge-b", "iot"));
    assert_eq!((a.limits.guaranteed(), a.limits.ceiling()), (mbit(20), mbit(100)));
    assert_eq!(a.segments.len(), 2);
    // Meters are not in the hospital.
    assert_eq!(b.segments.iter().map(|s| s.id.segment.as_str()).collect::<Vec<_>>(), ["personal-health"]);
    // 60 % and 40 % of 20 Mbit/s; 80 % and 100 % of 100 Mbit/s.
    let meters = segment_at(&manager, "edge-a", "iot/smart-metering");
    assert_eq!((meters.limits.guaranteed(), meters.limits.ceiling()), (mbit(12), mbit(80)));
    let health = segment_at(&manager, "edge-a", "iot/personal-health");
    assert_eq!((health.limits.guaranteed(), health.limits.ceiling()), (mbit(8), mbit(100)));
    // The profiles' counts are smaller than the template's 50,000.
    assert_eq!((meters.sessions_max, health.sessions_max), (20_000, 2_000));
    assert_eq!((a.dscp.get(), a.packet_octets_max), (0, 1500));
}

#[test]
fn tunnels_go_over_core_1_and_ipv6() {
    let manager = Manager::new(reference());
    let meters = segment_at(&manager, "edge-a", "iot/smart-metering");
    let [remote] = meters.remotes.as_slice() else { panic!("one other edge") };
    assert_eq!(remote.edge, node("edge-c"));
    assert_eq!(remote.tunnel, Tunnel::Vxlan(meters.vni));
    let paths = &manager.plan.programs[&node("edge-a")].content.paths;
    let path = paths.iter().find(|path| path.to == node("edge-c") && path.id == remote.working).unwrap();
    let address = |text: &str| -> std::net::IpAddr { text.parse().unwrap() };
    assert_eq!((path.local, path.remote), (address("fd00:0:a::1"), address("fd00:0:c::1")));
    // core0 leads to core-1, whose address on that link this is.
    assert_eq!((path.port.as_str(), path.next_hop), ("core0", address("fd00:1:a::1")));
    assert_eq!((path.mtu, &path.steering), (1600, &Steering::Ip));
    let key = PathKey { a: node("edge-a"), b: node("edge-c"), id: remote.working };
    let path = &manager.plan.paths[&key];
    assert_eq!(
        path.links.iter().map(model::LinkName::as_str).collect::<Vec<_>>(),
        ["core-1--edge-a", "core-1--edge-c"]
    );
    // 200 us and 400 us.
    assert_eq!(path.delay, Latency::from_nanos(600_000));
    // Every pair of edges shares personal-health, and has a second path over core-2.
    assert_eq!(manager.plan.paths.len(), 6);
    let backup = &manager.plan.paths[&PathKey { id: remote.backup.unwrap(), ..key }];
    assert_eq!(
        backup.links.iter().map(model::LinkName::as_str).collect::<Vec<_>>(),
        ["core-2--edge-a", "core-2--edge-c"]
    );
}

#[test]
fn aaa_is_that_of_the_segment() {
    let manager = Manager::new(reference());
    let realm = |edge, name| segment_at(&manager, edge, name).realm.as_ref().unwrap();
    let (meters, health) = (realm("edge-a", "iot/smart-metering"), realm("edge-a", "iot/personal-health"));
    let profile = |name: &str| &CATALOG.aaa(&name.parse().unwrap()).unwrap().features;
    assert_eq!(&meters.features, profile("metering-light"));
    assert_eq!(&health.features, profile("health-strong"));
    assert_eq!((meters.access_port, meters.accounting_port()), (20_002, 20_003));
    let clients: Vec<&str> = health.clients.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(clients, ["city-switch"], "the switches of other edges ask there");
}

#[test]
fn the_guarantee_is_booked_once_on_each_link_of_the_star() {
    // All three edges hang on core-1 by one link each, so at most one of them sends, or is sent to, over it: the
    // guarantee counts once each way, whatever the other two do.
    let manager = Manager::new(reference());
    let booked: Vec<_> = manager.plan.bookings.iter().map(|(at, slices)| (at.clone(), slices.clone())).collect();
    // Over core-2 the same is kept for when core-1 fails.
    let links =
        ["core-1", "core-2"].into_iter().flat_map(|core| ["a", "b", "c"].map(|edge| (core, format!("edge-{edge}"))));
    let expected = links.flat_map(|(core, edge)| {
        [core, &edge].map(|from| {
            let at = LinkDirection { link: format!("{core}--{edge}").parse().unwrap(), from: node(from) };
            let (working, backup) = if core == "core-1" { (mbit(20), Rate::ZERO) } else { (Rate::ZERO, mbit(20)) };
            let booking = Booking { class: QueueClass::BestEffort, working, backup };
            (at, [("iot".parse().unwrap(), booking)].into())
        })
    });
    let mut expected: Vec<_> = expected.collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(booked, expected);
    let topology = manager.intents.topology().unwrap().1;
    let left = headroom(&manager.plan, topology);
    let at = |link: &str, from: &str| {
        left.iter().find(|h| h.link.as_str() == link && h.from.as_str() == from).map(|h| (h.capacity, h.booked))
    };
    assert_eq!(left.len(), 12);
    assert_eq!(at("core-1--edge-a", "edge-a"), Some((mbit(140), mbit(20))));
    assert_eq!(at("core-2--edge-a", "edge-a"), Some((mbit(100), mbit(20))));
}

#[test]
fn edges_share_their_ports_among_the_slices_that_leave_by_them() {
    let manager = Manager::new(reference());
    let shared = |edge: &str| -> Vec<_> {
        let mega = |rate: Rate| rate.bits_per_second() / MBIT;
        let ports = &manager.plan.programs[&node(edge)].content.shaping;
        let class = |class: &SliceClass| {
            let limits = class.limits;
            (class.slice.to_string(), mega(limits.guaranteed()), mega(limits.ceiling()), class.weight.get())
        };
        let port =
            |port: &PortShaping| (port.port.to_string(), mega(port.rate), port.classes.iter().map(class).collect());
        ports.iter().map(port).collect()
    };
    // One SDP here: the guarantee that is booked, by the working path on core0 and by the backup on core1, and the ceiling
    // of one. The other slices have no segment, so that nothing of theirs leaves.
    let iot = || vec![("iot".to_owned(), 20, 100, 1)];
    assert_eq!(shared("edge-a"), [("core0".to_owned(), 140, iot()), ("core1".to_owned(), 100, iot())]);
    assert_eq!(shared("edge-b"), [("core0".to_owned(), 500, iot()), ("core1".to_owned(), 500, iot())]);
    assert_eq!(shared("edge-c"), [("core0".to_owned(), 10_000, iot()), ("core1".to_owned(), 10_000, iot())]);
    for program in manager.plan.programs.values().map(|program| &program.content) {
        assert!(program.shaping.iter().flat_map(|port| &port.classes).all(|class| class.vnis.is_empty()));
        assert_eq!(program.queues.iter().map(|queue| queue.queue).collect::<Vec<_>>(), QueueClass::ALL);
        assert!(program.transit.queues.is_empty(), "an edge forwards for nobody");
    }
}

#[test]
fn weights_queues_and_session_rates_are_those_of_slice_and_template() {
    let mut manager = Manager::new(reference());
    let weights = |manager: &Manager| {
        let segment = |name| segment_at(manager, "edge-a", name).weight.get();
        let core = &manager.plan.programs[&node("edge-a")].content.shaping[0].classes[0];
        let iot = slice(manager, "edge-a", "iot");
        (iot.weight.get(), core.weight.get(), segment("iot/smart-metering"), segment("iot/personal-health"))
    };
    // 60 % and 40 % of the slice.
    assert_eq!(weights(&manager), (1, 1, 60, 40));
    let heavier = crate::world::REFERENCE[1].1.replace("  transport: vxlan", "  transport: vxlan\n  weight: 8");
    let lighter = heavier.replace("share: 40 %", "share: 0.5 %");
    manager.apply(&lighter).unwrap();
    assert_eq!(weights(&manager), (8, 8, 60, 1));
    // The default 5QIs are 82, 9, 9 and 79.
    let queue = |name| slice(&manager, "edge-a", name).queue;
    let queues = ["factory", "handsets", "iot", "vehicles"].map(queue);
    let best = QueueClass::BestEffort;
    assert_eq!(queues, [QueueClass::LowLatency, best, best, QueueClass::RealTime]);
    // Its file says 200 Mbit/s; without that, the template's 64 kbit/s count.
    let rates = |manager: &Manager| {
        let rates = slice(manager, "edge-a", "iot").session_rates;
        (rates.from_access.map(Rate::bits_per_second), rates.to_access)
    };
    assert_eq!(rates(&manager), (Some(200_000_000), None));
    manager.apply(&heavier.replace("  sessionRates: { fromAccess: 200 Mbit/s }\n", "")).unwrap();
    assert_eq!(rates(&manager), (Some(64_000), None));
}

#[test]
fn more_than_the_microwave_link_has_left_is_refused_with_what_fits() {
    let mut manager = Manager::new(small());
    let iot = crate::world::REFERENCE[1].1;
    let before = manager.plan.clone();
    let greedy = iot.replace("guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 200 Mbit/s, ceiling: 200");
    assert_eq!(
        manager.apply(&greedy).unwrap_err(),
        ["slice/iot: spec.rate.guaranteed: 200 Mbit/s is more than link core-1--edge-a has left (140 Mbit/s); \
          largest that fits: 140 Mbit/s"]
    );
    assert_eq!(manager.plan, before, "nothing is applied");
    // What was said to fit does fit, and a bit more does not.
    let fits = iot.replace("guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 140 Mbit/s, ceiling: 200");
    manager.apply(&fits).unwrap();
    let too_much = iot.replace("guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 140000001 bit/s, ceiling: 200");
    assert_eq!(manager.apply(&too_much).unwrap_err().len(), 1);
}
