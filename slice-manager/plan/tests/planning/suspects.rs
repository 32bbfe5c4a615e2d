//! What becomes of paths over links that lead nowhere when there is not room for everybody elsewhere.

use model::plan::PathKey;
use model::{NodeName, SliceName};

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{Manager, read};

/// A slice of 60 Mbit/s between two edges.
fn sixty(called: &str, number: u32, edges: [&str; 2], more: &str) -> Vec<model::resource::Resource> {
    let more = format!("transport: srv6, rate: {{ guaranteed: 60 Mbit/s, ceiling: 60 Mbit/s }}{more}");
    let text = slice(&edges, &more)
        .replace("name: s }", &format!("name: {called} }}"))
        .replace("slice: s }", &format!("slice: {called} }}"))
        .replace("sst: 3 }", &format!("sst: 3, sd: \"{number:06X}\" }}"))
        .replace("vlan: 7", &format!("vlan: {number}"));
    read("slice.yaml", &text)
}

fn manager(net: &str, slices: Vec<Vec<model::resource::Resource>>) -> Manager {
    let net = declared(topology(&lines(net), |_| {}));
    Manager::new(slices.into_iter().flatten().chain([net]).collect())
}

/// The first links of a slice's working path and of its backup, from `e1` to `e2`.
fn ways(manager: &Manager, slice: &str) -> [String; 2] {
    let (slice, a, b): (SliceName, NodeName, NodeName) = (name(slice), name("e1"), name("e2"));
    let way = manager.plan.slices[&slice].ways[&(a.clone(), b.clone())];
    [Some(way.working), way.backup].map(|id| {
        let key = id.map(|id| PathKey { a: a.clone(), b: b.clone(), id });
        key.map_or_else(String::new, |key| manager.plan.paths[&key].links[0].to_string())
    })
}

/// Ways over `x` (l01, l02), `z` (l03, l04) and `y` (l05, l06), dearer from one to the next.
const THREE_WAYS: &str = "e1 x 5 120M, x e2 5 120M, e1 z 10 60M, z e2 10 60M, e1 y 15 60M, y e2 15 60M";

#[test]
fn a_backup_takes_over_before_anybody_looks_for_another_way() {
    let two = vec![sixty("s1", 11, ["e1", "e2"], ""), sixty("s2", 12, ["e1", "e2"], "")];
    let mut manager = manager(THREE_WAYS, two);
    assert_eq!(
        (ways(&manager, "s1"), ways(&manager, "s2")),
        (["l01", "l03"].map(str::to_owned), ["l01", "l05"].map(str::to_owned))
    );
    manager.suspects.insert(name("l01"));
    manager.replan().unwrap();
    // The other way has no room for a second slice, so that what seems to be down is the backup.
    assert_eq!(
        (ways(&manager, "s1"), ways(&manager, "s2")),
        (["l03", "l01"].map(str::to_owned), ["l05", "l01"].map(str::to_owned))
    );
    let before = manager.plan.clone();
    manager.replan().unwrap();
    assert_eq!(manager.plan, before, "nothing is left to do");
}

#[test]
fn a_slice_whose_backup_took_over_gets_a_sound_backup_if_there_is_room() {
    let mut manager = manager(THREE_WAYS, vec![sixty("s1", 11, ["e1", "e2"], "")]);
    manager.suspects.insert(name("l02"));
    manager.replan().unwrap();
    assert_eq!(ways(&manager, "s1"), ["l03", "l05"]);
    let booked = |link: &str| manager.plan.bookings.keys().filter(|at| at.link.as_str() == link).count();
    assert_eq!(["l01", "l03", "l05"].map(booked), [0, 2, 2], "what was left is free");
}

#[test]
fn a_slice_without_a_backup_takes_no_room_from_one_whose_backup_takes_over() {
    // It comes first by its name, and would like the way over `z`.
    let alone = sixty("s0", 10, ["e1", "e2"], ", paths: { backup: none }");
    let mut manager = manager(THREE_WAYS, vec![alone, sixty("s1", 11, ["e1", "e2"], "")]);
    assert_eq!(
        (ways(&manager, "s0"), ways(&manager, "s1")),
        (["l01", ""].map(str::to_owned), ["l01", "l03"].map(str::to_owned))
    );
    manager.suspects.insert(name("l01"));
    manager.replan().unwrap();
    assert_eq!(
        (ways(&manager, "s0"), ways(&manager, "s1")),
        (["l05", ""].map(str::to_owned), ["l03", "l01"].map(str::to_owned))
    );
}
