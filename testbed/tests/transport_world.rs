//! Every service over every transport on the simulated reference network: carried, kept through the death of a core node,
//! and changed in every way without loss.
//!
//! Each planned change is made under traffic, for many seeds; a seed says in which order and when nodes run what they are
//! told, and after how many of them the manager plans on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use testbed::simulate::scenes::{Carried, Declared, Scene, SceneError};
use transport_dataplane::Nanos;

const SECOND: Nanos = Nanos(1_000_000_000);
const SEEDS: u64 = 20;

#[test]
fn every_service_over_every_transport_carries_all_that_is_sent() {
    let mut scene = Scene::raise(1, Declared::default()).unwrap();
    let carried = scene.traffic(SECOND, |_| Ok(())).unwrap();
    assert_eq!(carried.len(), 18);
    for Carried { flow, counts } in carried {
        assert!(counts.sent >= 999, "{flow}: {counts:?}");
        assert_eq!((counts.lost(), counts.disordered, counts.doubled), (0, 0, 0), "{flow}");
    }
}

#[test]
fn the_death_of_a_core_node_costs_less_than_fifty_milliseconds_of_traffic() {
    for seed in 0..20 {
        let mut scene = Scene::raise(seed, Declared::default()).unwrap();
        let carried = scene.traffic(SECOND, Scene::kill_core).unwrap();
        let lost = carried.iter().map(|carried| carried.counts.lost());
        println!("seed {seed}: {} to {} ms lost", lost.clone().min().unwrap(), lost.max().unwrap());
        for Carried { flow, counts } in carried {
            // A datagram each millisecond.
            assert!(counts.lost() > 0, "seed {seed}, {flow}: nothing was lost, so nothing died");
            assert!(counts.lost() < 50, "seed {seed}, {flow}: {} ms lost", counts.lost());
        }
    }
}

/// Who may find datagrams in another order than they were sent in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nobody: the way stays the same.
    Kept,
    /// Where traffic moves to a way that is shorter, what was sent later overtakes.
    Overtaking,
}

/// Makes changes one after the other under traffic; nothing is lost or doubled.
fn changes(first: &Declared, order: Order, changes: &[&dyn Fn(&mut Declared)]) {
    for seed in 0..SEEDS {
        let mut scene = Scene::raise(seed, first.clone()).unwrap();
        let mut programs = 0;
        for (number, change) in changes.iter().enumerate() {
            let meanwhile = |scene: &mut Scene| {
                let mut declared = scene.declared().clone();
                change(&mut declared);
                let told = scene.declare(declared)?;
                programs += told;
                Ok(())
            };
            let carried = scene.traffic(SECOND, meanwhile).unwrap();
            nothing_is_lost(&carried, order, &format!("seed {seed}, change {number}"));
            assert!(scene.is_finished(), "seed {seed}, change {number}");
        }
        assert!(programs >= changes.len(), "seed {seed}: {programs} programs for {} changes", changes.len());
    }
}

fn nothing_is_lost(carried: &[Carried], order: Order, when: &str) {
    for Carried { flow, counts } in carried {
        assert!(counts.sent >= 999, "{when}, {flow}: {counts:?}");
        assert_eq!((counts.lost(), counts.doubled), (0, 0), "{when}, {flow}: {counts:?}");
        assert!(order == Order::Overtaking || counts.disordered == 0, "{when}, {flow}: {counts:?}");
    }
}

fn wide() -> Declared {
    Declared { is_wide: true, ..Declared::default() }
}

#[test]
fn a_planned_re_route_there_and_back_loses_nothing() {
    let avoid = |core: &'static str| move |declared: &mut Declared| declared.paths = core;
    let (one, other) = (avoid("{ excludeNodes: [core-1] }"), avoid("{ excludeNodes: [core-2] }"));
    changes(&Declared::default(), Order::Overtaking, &[&one, &other, &one]);
}

#[test]
fn a_change_of_transport_loses_nothing() {
    // From each to each, and back to where it began.
    let turn = |declared: &mut Declared| declared.turns += 1;
    let back = |declared: &mut Declared| declared.turns += 2;
    changes(&Declared::default(), Order::Kept, &[&turn, &turn, &back, &back, &turn]);
}

#[test]
fn a_change_of_transport_between_three_edges_loses_nothing() {
    let turn = |declared: &mut Declared| declared.turns += 1;
    let back = |declared: &mut Declared| declared.turns += 2;
    changes(&wide(), Order::Kept, &[&turn, &back]);
}

#[test]
fn a_change_from_point_to_point_to_multipoint_and_back_loses_nothing() {
    let swap = |declared: &mut Declared| declared.is_swapped = !declared.is_swapped;
    // With the transport at once, too.
    let both = |declared: &mut Declared| {
        declared.is_swapped = !declared.is_swapped;
        declared.turns += 1;
    };
    changes(&Declared::default(), Order::Kept, &[&swap, &swap, &both]);
}

#[test]
fn links_that_are_drained_cost_more_or_leave_lose_nothing() {
    let drain = |declared: &mut Declared| declared.drained = vec!["core-1--edge-c"];
    let resume = |declared: &mut Declared| declared.drained = Vec::new();
    let cost = |declared: &mut Declared| declared.costs = vec![("core-1--edge-a", 90)];
    let remove = |declared: &mut Declared| declared.without_links = vec!["core-2--edge-c"];
    let restore = |declared: &mut Declared| declared.without_links = Vec::new();
    changes(&wide(), Order::Overtaking, &[&drain, &resume, &cost, &remove, &restore]);
}

#[test]
fn a_core_node_that_leaves_the_topology_and_comes_back_loses_nothing() {
    let remove = |declared: &mut Declared| declared.without_nodes = vec!["core-1"];
    let restore = |declared: &mut Declared| declared.without_nodes = Vec::new();
    changes(&wide(), Order::Overtaking, &[&remove, &restore]);
}

#[test]
fn rates_and_backups_change_and_nothing_is_lost() {
    let rate = |declared: &mut Declared| declared.ceiling += 5;
    let alone = |declared: &mut Declared| declared.paths = "{ backup: none }";
    let again = |declared: &mut Declared| declared.paths = "{ backup: node }";
    changes(&wide(), Order::Kept, &[&rate, &alone, &rate, &again]);
}

#[test]
fn an_edge_that_joins_or_leaves_a_segment_disturbs_no_other() {
    for seed in 0..SEEDS {
        let mut scene = Scene::raise(seed, wide()).unwrap();
        for has_b in [false, true] {
            let meanwhile = |scene: &mut Scene| {
                let declared = Declared { has_b, ..scene.declared().clone() };
                scene.declare(declared).map(drop)
            };
            let mut carried = scene.traffic(SECOND, meanwhile).unwrap();
            carried.retain(|carried| !carried.flow.contains("edge-b"));
            assert_eq!(carried.len(), 18);
            nothing_is_lost(&carried, Order::Kept, &format!("seed {seed}, with edge-b: {has_b}"));
        }
    }
}

#[test]
fn an_edge_that_is_away_is_sent_to_as_before_until_it_is_back() {
    type Change = fn(&mut Declared);
    let changes: [Change; 3] = [
        |declared| declared.turns += 1,
        |declared| declared.without_links = vec!["core-1--edge-c"],
        |declared| declared.turns += 2,
    ];
    for seed in 0..SEEDS {
        let mut scene = Scene::raise(seed, wide()).unwrap();
        for (number, change) in changes.into_iter().enumerate() {
            let without = |scene: &mut Scene| -> Result<(), SceneError> {
                scene.leave("edge-b")?;
                let mut declared = scene.declared().clone();
                change(&mut declared);
                scene.declare(declared).map(drop)
            };
            let carried = scene.traffic(SECOND, without).unwrap();
            let when = format!("seed {seed}, change {number}");
            nothing_is_lost(&carried, Order::Overtaking, &when);
            assert!(!scene.is_finished(), "{when}: nobody waits for edge-b");
            let carried = scene.traffic(SECOND, |scene| scene.come_back("edge-b")).unwrap();
            nothing_is_lost(&carried, Order::Overtaking, &format!("{when}, edge-b is back"));
            assert!(scene.is_finished(), "{when}");
        }
    }
}
