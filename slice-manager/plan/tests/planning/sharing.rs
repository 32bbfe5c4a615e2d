//! How slices share the ports of edges: what the auditor says of it when it is wrong, and what is kept while a change is
//! under way.

use model::plan::Plan;
use model::profile::QueueClass;
use model::program::{InnerMark, ProgramContent, SessionRates, SliceProgram, TransitQueue};
use model::resource::{Control, NodeRole, Resource};
use model::{ClassNumber, NodeName, Rate, RateLimits, Weight};
use plan::{Finding, Severity, audit};

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{CATALOG, Manager, read, reference};

fn errors(plan: &Plan, manager: &Manager) -> Vec<Finding> {
    let notes = audit(plan, &manager.intents, &CATALOG).into_iter();
    notes.filter(|note| note.severity == Severity::Error).map(|note| note.finding).collect()
}

/// What is said when the program of a node is changed so.
fn said(manager: &Manager, node: &str, change: fn(&mut ProgramContent)) -> Vec<Finding> {
    let mut plan = manager.plan.clone();
    change(&mut plan.programs.get_mut(node).unwrap().content);
    errors(&plan, manager)
}

fn mbit(guaranteed: u64, ceiling: u64) -> RateLimits {
    let mbit = |rate| Rate::from_bits_per_second(rate * 1_000_000);
    RateLimits::new(mbit(guaranteed), mbit(ceiling)).unwrap()
}

#[test]
fn classes_of_an_edge_that_are_not_those_of_its_slices_are_named() {
    let manager = Manager::new(reference());
    let changes: [fn(&mut ProgramContent); 9] = [
        |program| drop(program.shaping[0].classes.pop()),
        |program| drop(program.shaping.remove(0)),
        |program| program.shaping[0].rate = Rate::from_bits_per_second(150_000_000),
        |program| program.shaping[0].classes[0].number = ClassNumber::MAX,
        |program| program.shaping[0].classes[0].slice = name("vehicles"),
        |program| program.shaping[0].classes[0].limits = mbit(19, 100),
        |program| program.shaping[0].classes[0].limits = mbit(20, 99),
        |program| program.shaping[0].classes[0].weight = Weight::MAX,
        // An edge tells its packets apart by itself.
        |program| program.shaping[0].classes[0].vnis = vec![program.slices[2].segments[0].vni],
    ];
    let (node, port): (NodeName, _) = (name("edge-a"), name("core0"));
    for (at, change) in changes.into_iter().enumerate() {
        let found = said(&manager, "edge-a", change);
        assert_eq!(found, [Finding::OtherClasses { node: node.clone(), port: name("core0") }], "{at}");
    }
    // The booking and the class agree, and the port carries less.
    let found = said(&manager, "edge-a", |program| program.shaping[0].classes[0].limits = mbit(141, 141));
    let (rate, guaranteed) = (mbit(0, 140).ceiling(), mbit(0, 141).ceiling());
    assert!(found.contains(&Finding::ClassesAbovePort { node, port, rate, guaranteed }), "{found:?}");
}

#[test]
fn queues_that_are_not_those_of_the_class_map_are_named() {
    let spec = topology(&lines("e1 c1 10, c1 e2 10, e1 c2 20, c2 e2 20"), |node| {
        node.control = match node.name.as_str() {
            "c1" => Some(Control::Agent),
            "c2" => Some(Control::Linux),
            _ => None,
        };
        if node.control == Some(Control::Linux) {
            node.labels = None;
        }
    });
    let resources = read("slice.yaml", &slice(&["e1", "e2"], "transport: vxlan")).into_iter();
    let manager = Manager::new(resources.chain([declared(spec)]).collect());
    let of_both: [fn(&mut ProgramContent); 7] = [
        |program| program.queues.truncate(4),
        |program| program.queues.swap(0, 1),
        |program| program.queues[1].queue = QueueClass::LowLatency,
        |program| program.queues[1].weight = Weight::MAX,
        |program| program.queues[1].octets_max += 1,
        |program| program.queues[1].time_max_nanos += 1,
        |program| program.queues[1].codel = program.queues[4].codel,
    ];
    let of_core: [fn(&mut ProgramContent); 3] = [
        |program| program.transit.queues.truncate(1),
        |program| program.transit.queues[0].queue = QueueClass::BestEffort,
        |program| program.transit.queues.push(program.transit.queues[0]),
    ];
    let of_others: [fn(&mut ProgramContent); 1] = [|program| {
        let outer = model::program::OuterMark::Dscp(model::Dscp::MIN);
        program.transit.queues.push(TransitQueue { outer, queue: QueueClass::RealTime });
    }];
    let changes = of_both.into_iter().flat_map(|change| [("e1", change), ("c1", change)]);
    let changes = changes.chain(of_core.map(|change| ("c1", change)));
    for (node, change) in changes.chain(["e1", "c2"].map(|node| (node, of_others[0]))) {
        assert_eq!(said(&manager, node, change), [Finding::OtherQueues(name(node))]);
    }
    let queues = manager.plan.programs["e1"].content.queues.clone();
    let mut plan = manager.plan.clone();
    plan.programs.get_mut("c2").unwrap().content.queues = queues;
    assert_eq!(errors(&plan, &manager), [Finding::OtherQueues(name("c2"))]);
}

#[test]
fn what_a_slice_is_told_of_queues_marks_weights_and_sessions_is_looked_at() {
    let manager = Manager::new(reference());
    let handsets = |change: fn(&mut SliceProgram)| {
        let mut plan = manager.plan.clone();
        change(&mut plan.programs.get_mut("edge-a").unwrap().content.slices[1]);
        let found = errors(&plan, &manager);
        let [Finding::SliceDiffers { what, .. }] = found.as_slice() else { panic!("{found:?}") };
        *what
    };
    assert_eq!(handsets(|slice| slice.queue = QueueClass::LowLatency), "queue");
    assert_eq!(handsets(|slice| slice.weight = Weight::MAX), "weight");
    assert_eq!(handsets(|slice| slice.session_rates.to_access = None), "set of session rates");
    assert_eq!(handsets(|slice| slice.session_rates.from_access = Some(Rate::ZERO)), "set of session rates");
    for what in [0, 4, 10] {
        // A QFI, a code point, the priority: that of another class, and none.
        let kinds = manager.plan.programs["edge-a"].content.slices[1].markings[what].inner;
        let is_kind = match what {
            0 => matches!(kinds, InnerMark::Qfi(_)),
            4 => matches!(kinds, InnerMark::Dscp(_)),
            _ => matches!(kinds, InnerMark::Priority(_)),
        };
        assert!(is_kind, "{kinds:?}");
        let mut plan = manager.plan.clone();
        let markings =
            |plan: &mut Plan| std::mem::take(&mut plan.programs.get_mut("edge-a").unwrap().content.slices[1].markings);
        let whole = markings(&mut plan);
        let mut urgent = whole.clone();
        urgent[what].queue = QueueClass::LowLatency;
        let mut fewer = whole.clone();
        fewer.remove(what);
        for wrong in [urgent, fewer] {
            plan.programs.get_mut("edge-a").unwrap().content.slices[1].markings = wrong;
            let found = errors(&plan, &manager);
            let is_named = |finding: &Finding| matches!(finding, Finding::SliceDiffers { what: "set of markings", .. });
            assert!(matches!(found.as_slice(), [finding] if is_named(finding)), "{found:?}");
        }
    }
    let found = said(&manager, "edge-a", |program| program.slices[2].segments[0].weight = Weight::MIN);
    assert!(matches!(found.as_slice(), [Finding::SegmentDiffers { what: "weight", .. }]), "{found:?}");
}

/// `s` leaves the link of 30 Mbit/s for another path and another transport, and `t` comes in its place.
fn change() -> (Manager, String) {
    let links = lines("e1 c1 10 30M, c1 e2 10, e1 c2 20, c2 e2 20");
    let net = topology(&links, |node| {
        if node.role == NodeRole::Core {
            node.control = Some(Control::Agent);
        }
    });
    let rate = "rate: { guaranteed: 20 Mbit/s, ceiling: 25 Mbit/s }";
    let before = slice(&["e1", "e2"], &format!("transport: vxlan, {rate}, paths: {{ backup: none }}"));
    let resources: Vec<Resource> = read("slice.yaml", &before);
    let mut manager = Manager::new(resources.into_iter().chain([declared(net)]).collect());
    settle(&mut manager);
    let away =
        slice(&["e1", "e2"], &format!("transport: srv6, {rate}, paths: {{ backup: none, excludeLinks: [l01] }}"));
    let other = before.replace("name: s }", "name: t }").replace("slice: s }", "slice: t }");
    let other = other.replace("sst: 3 }", "sst: 3, sd: \"000001\" }").replace("vlan: 7", "vlan: 8");
    (manager, format!("{away}---\n{other}"))
}

fn settle(manager: &mut Manager) {
    let mut before = None;
    while before.replace(manager.plan.generation) != Some(manager.plan.generation) {
        for node in ["e1", "e2", "c1", "c2"] {
            manager.confirm(node);
        }
        manager.replan().unwrap();
    }
}

/// Of a port: slices, guarantees and ceilings in Mbit/s.
fn classes(manager: &Manager, node: &str, port: &str) -> Vec<(String, u64, u64)> {
    let ports = manager.plan.programs[node].content.shaping.iter().filter(|shared| shared.port.as_str() == port);
    let mega = |rate: Rate| rate.bits_per_second() / 1_000_000;
    let classes = ports.flat_map(|shared| &shared.classes);
    classes
        .map(|class| (class.slice.to_string(), mega(class.limits.guaranteed()), mega(class.limits.ceiling())))
        .collect()
}

#[test]
fn an_edge_keeps_a_class_for_what_it_sends_as_before_and_promises_no_more_than_there_is() {
    let (mut manager, text) = change();
    let class = |slice: &str, sure, most| (slice.to_owned(), sure, most);
    assert_eq!(classes(&manager, "e1", "p1"), [class("s", 20, 25)]);
    assert_eq!(classes(&manager, "e1", "p3"), []);
    manager.apply(&text).unwrap();
    // The far end has yet to take what comes over SRv6, so `s` still leaves by the first port, where 10 of 30 are left.
    assert!(!manager.plan.awaiting.is_empty());
    assert_eq!(classes(&manager, "e1", "p1"), [class("s", 10, 25), class("t", 20, 25)]);
    assert_eq!(classes(&manager, "e1", "p3"), [class("s", 20, 25)]);
    settle(&mut manager);
    assert_eq!(classes(&manager, "e1", "p1"), [class("t", 20, 25)]);
    assert_eq!(classes(&manager, "e1", "p3"), [class("s", 20, 25)]);
    assert!(manager.plan.awaiting.is_empty());
}

#[test]
fn what_is_kept_that_is_not_sent_or_promises_too_much_is_named() {
    let (mut manager, text) = change();
    manager.apply(&text).unwrap();
    let (node, port): (NodeName, _) = (name("e1"), name("p1"));
    let other = Finding::OtherClasses { node: node.clone(), port: name("p1") };
    let found = said(&manager, "e1", |program| program.shaping[0].classes[0].limits = mbit(20, 25));
    let (rate, guaranteed) = (mbit(0, 30).ceiling(), mbit(0, 40).ceiling());
    assert_eq!(found, [Finding::ClassesAbovePort { node, port, rate, guaranteed }]);
    let changes: [fn(&mut ProgramContent); 2] = [
        |program| program.shaping[0].classes[0].number = ClassNumber::MAX,
        |program| program.shaping[0].classes[0].vnis = vec![model::Vni::MIN],
    ];
    for change in changes {
        assert_eq!(said(&manager, "e1", change), std::slice::from_ref(&other));
    }
    // `s` still leaves by the first port.
    assert_eq!(
        said(&manager, "e1", |program| drop(program.shaping[0].classes.remove(0))),
        std::slice::from_ref(&other)
    );
    // `t` does not leave by the other port.
    let found = said(&manager, "e1", |program| {
        let class = program.shaping[0].classes[1].clone();
        program.shaping[1].classes.push(class);
    });
    assert_eq!(found, [Finding::OtherClasses { node: name("e1"), port: name("p3") }]);
    // When all is over, nothing is kept.
    let kept = manager.plan.programs["e1"].content.shaping[0].classes[0].clone();
    settle(&mut manager);
    let mut plan = manager.plan.clone();
    plan.programs.get_mut("e1").unwrap().content.shaping[0].classes.insert(0, kept);
    assert_eq!(errors(&plan, &manager), [other]);
}

/// A plan as it was stored before edges shared their ports among slices.
fn older(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for content in plan.programs.values_mut().map(|program| &mut program.content) {
        content.shaping.clear();
        content.queues.clear();
        content.transit.queues.clear();
        for slice in &mut content.slices {
            (slice.queue, slice.weight, slice.session_rates) =
                (QueueClass::BestEffort, Weight::MIN, SessionRates::default());
            slice.markings.retain(|marking| matches!(marking.inner, InnerMark::Dscp(_)));
            slice.markings.iter_mut().for_each(|marking| marking.queue = QueueClass::BestEffort);
            slice.segments.iter_mut().for_each(|segment| segment.weight = Weight::MIN);
        }
    }
    plan
}

#[test]
fn a_plan_of_before_is_planned_on_from() {
    let mut manager = Manager::new(reference());
    let plan = manager.plan.clone();
    assert_ne!(older(&plan), plan);
    manager.plan = older(&plan);
    manager.replan().unwrap();
    let contents = |plan: &Plan| plan.programs.values().map(|program| program.content.clone()).collect::<Vec<_>>();
    assert_eq!(contents(&manager.plan), contents(&plan));
    assert!(manager.plan.programs.values().all(|program| program.generation.get() == 2));
    // A change is under way at once: what is sent as before has a class, be it of what is left.
    let (mut manager, text) = change();
    manager.plan = older(&manager.plan);
    manager.apply(&text).unwrap();
    let class = |slice: &str, sure, most| (slice.to_owned(), sure, most);
    assert_eq!(classes(&manager, "e1", "p1"), [class("s", 10, 25), class("t", 20, 25)]);
}
