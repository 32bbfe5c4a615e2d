//! What a manager's plans do over time: numbers stay, rest and come back; generations grow where something changed.

use crate::script::run;
use crate::world::{Manager, reference, segment, small};
use model::plan::PathKey;
use model::{Generation, NodeName, SliceName};

#[test]
fn numbers_come_back_when_every_edge_has_let_go() {
    let manager = run("quarantine");
    // Three and four were made while VNI 10000 was in quarantine; five was made when it was free again.
    assert_eq!(manager.vni("iot/two"), 10_001);
    assert_eq!((manager.vni("iot/three"), manager.vni("iot/four")), (10_002, 10_003));
    assert_eq!((manager.vni("iot/five"), manager.access_port("iot/five")), (10_000, 20_000));
    assert!(manager.plan.quarantine.is_empty());
}

#[test]
fn an_edge_that_a_segment_left_is_waited_for() {
    let manager = run("leaving");
    assert_eq!(manager.vni("iot/two"), 10_001, "made while edge-a might still have sent with VNI 10000");
    assert_eq!(manager.vni("iot/three"), 10_000, "made when edge-a was back");
    assert!(manager.plan.quarantine.is_empty());
}

#[test]
fn an_exhausted_pool_says_what_uses_it() {
    let manager = run("exhaustion");
    assert_eq!((manager.vni("iot/two"), manager.vni("iot/three")), (10_001, 10_000));
}

#[test]
fn nothing_is_renumbered_silently() {
    let manager = run("pools");
    assert_eq!((manager.vni("iot/one"), manager.vni("iot/two"), manager.vni("iot/three")), (10_000, 10_001, 9_000));
}

#[test]
fn only_what_changed_is_new() {
    let manager = run("edges");
    assert!(manager.plan.programs.is_empty() && manager.plan.quarantine.is_empty());
}

#[test]
fn planning_again_is_planning_nothing() {
    let manager = Manager::new(reference());
    let again = manager.preview(&manager.intents).unwrap();
    assert_eq!(again, manager.plan);
    assert_eq!(again.generation, Generation::new(1));
    let nothing = Manager::new(plan::Intents::default());
    assert_eq!(nothing.plan, model::plan::Plan::default(), "no wish, no plan");
}

#[test]
fn a_program_has_a_new_generation_only_if_it_says_something_else() {
    let mut manager = Manager::new(reference());
    // A client of the meters moves; it asks in the data centre only.
    let iot = crate::world::REFERENCE[1].1;
    manager
        .apply(&iot.replacen(
            "name: dc-switch, edge: edge-c, addresses: [192.0.2.13/32",
            "name: dc-switch, edge: edge-c, addresses: [192.0.2.14/32",
            1,
        ))
        .unwrap();
    assert_eq!(manager.plan.generation, Generation::new(2));
    assert_eq!(["edge-a", "edge-b", "edge-c"].map(|edge| manager.generation(edge)), [1, 1, 2]);
    // And back again: a new generation that says what the first one said.
    let first = Manager::new(reference());
    manager.apply(iot).unwrap();
    assert_eq!(["edge-a", "edge-b", "edge-c"].map(|edge| manager.generation(edge)), [1, 1, 3]);
    let edge: NodeName = "edge-a".parse().unwrap();
    assert_eq!(manager.plan.programs[&edge].digest(), first.plan.programs[&edge].digest());
}

#[test]
fn a_segment_that_is_made_again_gets_other_numbers_while_the_old_ones_rest() {
    let mut manager = Manager::new(small());
    let (vni, port) = (manager.vni("iot/smart-metering"), manager.access_port("iot/smart-metering"));
    manager.delete(&["microsegment/iot/smart-metering", "realm/iot/smart-metering"]).unwrap();
    manager.apply(crate::world::REFERENCE[1].1).unwrap();
    assert_ne!(manager.vni("iot/smart-metering"), vni);
    assert_ne!(manager.access_port("iot/smart-metering"), port);
    assert_eq!(manager.plan.quarantine.len(), 1);
    assert_eq!(manager.plan.quarantine[0].segment, segment("iot/smart-metering"));
}

#[test]
fn a_confirmation_of_an_older_program_ends_no_quarantine() {
    let mut manager = Manager::new(small());
    for edge in ["edge-a", "edge-b", "edge-c"] {
        manager.confirm(edge);
    }
    manager.delete(&["microsegment/iot/smart-metering", "realm/iot/smart-metering"]).unwrap();
    manager.replan().unwrap();
    assert_eq!(manager.plan.quarantine.len(), 1, "they confirmed the program that still had it");
}

/// The links of the working path and of the backup between two edges of slice iot.
fn ways(manager: &Manager, a: &str, b: &str) -> [Vec<String>; 2] {
    let (a, b): (NodeName, NodeName) = (a.parse().unwrap(), b.parse().unwrap());
    let iot: SliceName = "iot".parse().unwrap();
    let way = manager.plan.slices[&iot].ways[&(a.clone(), b.clone())];
    [Some(way.working), way.backup].map(|id| {
        let key = id.map(|id| PathKey { a: a.clone(), b: b.clone(), id });
        key.map_or_else(Vec::new, |key| manager.plan.paths[&key].links.iter().map(ToString::to_string).collect())
    })
}

#[test]
fn slices_leave_a_link_that_seems_to_be_down_and_keep_it_in_reserve() {
    let by = |core: &str, a: &str, b: &str| vec![format!("{core}--{a}"), format!("{core}--{b}")];
    let (first, second) = (by("core-1", "edge-a", "edge-c"), by("core-2", "edge-a", "edge-c"));
    let mut manager = Manager::new(small());
    assert_eq!(ways(&manager, "edge-a", "edge-c"), [first.clone(), second.clone()]);
    let elsewhere = ways(&manager, "edge-b", "edge-c");

    manager.suspects.insert("core-1--edge-a".parse().unwrap());
    manager.replan().unwrap();
    assert_eq!(ways(&manager, "edge-a", "edge-c"), [second.clone(), first.clone()]);
    assert_eq!(ways(&manager, "edge-b", "edge-c"), elsewhere, "it has nothing to do with that link");
    // Found to be back: what works is not moved again.
    manager.suspects.clear();
    let before = manager.plan.clone();
    manager.replan().unwrap();
    assert_eq!(manager.plan, before);
    // With no sound way left, the best of the others is kept: a fault makes nothing impossible.
    manager.suspects.extend(["core-1--edge-a", "core-2--edge-a"].map(|link| link.parse().unwrap()));
    manager.replan().unwrap();
    assert_eq!(ways(&manager, "edge-a", "edge-c").iter().flatten().count(), 4);
}
