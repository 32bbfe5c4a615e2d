//! The auditor sends packets: what steers them is broken in one way at a time, and the path that they leave is named.

use model::plan::Plan;
use model::program::{PathProgram, Steering, Tunnel};
use model::resource::{Srh, TopologySpec};
use model::{Label, NodeName};
use plan::{Intents, Severity, audit};

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{CATALOG, Manager, assert_clean, read};

/// Nodes by name: c1 is 1, c2 is 2, c3 is 3, e1 is 4, e2 is 5. The slice goes over c3.
const LADDER: &str = "e1 c1 10, c1 c2 10 red, c2 e2 10, c1 c3 10 !duct, c3 c2 15";

fn network() -> TopologySpec {
    topology(&lines(LADDER), |_| {})
}

fn world(transport: &str) -> Manager {
    let more = format!("transport: {transport}, paths: {{ excludeLinks: [l02], backup: none }}");
    let resources = read("slice.yaml", &slice(&["e1", "e2"], &more)).into_iter();
    let manager = Manager::new(resources.chain([declared(network())]).collect());
    assert_clean(&manager.plan, &manager.intents);
    manager
}

fn errors(plan: &Plan, intents: &Intents) -> Vec<String> {
    let notes = audit(plan, intents, &CATALOG).into_iter().filter(|note| note.severity == Severity::Error);
    notes.map(|note| note.finding.to_string()).collect()
}

fn path<'a>(plan: &'a mut Plan, edge: &str) -> &'a mut PathProgram {
    &mut plan.programs.get_mut(&name::<NodeName>(edge)).unwrap().content.paths[0]
}

/// A way to break a plan, and what must be said of it.
type Break = (fn(&mut Plan), &'static str);

fn named(transport: &str, breaks: &[Break]) {
    let world = world(transport);
    for (break_it, expected) in breaks {
        let mut plan = world.plan.clone();
        break_it(&mut plan);
        let errors = errors(&plan, &world.intents);
        assert!(errors.iter().any(|error| error == expected), "not named: {expected}\nnamed: {errors:#?}");
    }
}

fn srv6(sids: &[&str]) -> Steering {
    Steering::Srv6(sids.iter().map(|sid| name(sid)).collect())
}

fn mpls(labels: &[u64]) -> Steering {
    Steering::Mpls(labels.iter().map(|label| Label::new(*label).unwrap()).collect())
}

const ASTRAY: &str = "what e1 sends on path 1 to e2 does not stay on it";

#[test]
fn sids_that_lead_elsewhere_are_named() {
    named(
        "srv6",
        &[
            // Nothing pins it: the shortest way is over l02.
            (|plan| path(plan, "e1").steering = srv6(&[]), ASTRAY),
            // No node's.
            (|plan| path(plan, "e1").steering = srv6(&["fd02:9:0:1::"]), ASTRAY),
            // No function of c3.
            (|plan| path(plan, "e1").steering = srv6(&["fd02:3:0:99::"]), ASTRAY),
            // Of c2, to which the shortest way is not this one.
            (|plan| path(plan, "e1").steering = srv6(&["fd02:2:0:1::"]), ASTRAY),
            // There and back again.
            (|plan| path(plan, "e1").steering = srv6(&["fd02:3:0:1::", "fd02:1:0:1::"]), ASTRAY),
            // It arrives before its segments are through.
            (|plan| path(plan, "e1").steering = srv6(&["fd02:3:0:1::", "fd02:5:0:1000::"]), ASTRAY),
            (|plan| path(plan, "e1").steering = Steering::Ip, ASTRAY),
            (
                |plan| path(plan, "e1").srh = Srh::Full,
                "e1 is told another form of the segment list of path 1 to e2 than its nodes ask for",
            ),
            (|plan| path(plan, "e2").steering = srv6(&[]), "what e2 sends on path 1 to e1 does not stay on it"),
        ],
    );
}

#[test]
fn labels_that_lead_elsewhere_are_named() {
    named(
        "mpls",
        &[
            (|plan| path(plan, "e1").steering = mpls(&[]), ASTRAY),
            // Unknown to c1.
            (|plan| path(plan, "e1").steering = mpls(&[1500]), ASTRAY),
            // Straight to e2, over l02.
            (|plan| path(plan, "e1").steering = mpls(&[1004]), ASTRAY),
            // To c3 and no further.
            (|plan| path(plan, "e1").steering = mpls(&[1002]), ASTRAY),
            // A label too many.
            (|plan| path(plan, "e1").steering = mpls(&[1002, 3004, 5998]), ASTRAY),
            (
                |plan| {
                    let slices = &mut plan.programs.get_mut(&name::<NodeName>("e1")).unwrap().content.slices;
                    let remote = &mut slices[0].segments[0].remotes[0];
                    if let Tunnel::Mpls { to, .. } = &mut remote.tunnel {
                        *to = Label::new(5000).unwrap();
                    }
                },
                "e1 sends s/m for e2 otherwise than e2 takes it",
            ),
        ],
    );
}

#[test]
fn equal_costs_on_a_pinned_path_are_named() {
    // The plan was made when l05 cost 15; now the way from c3 to c2 over c1 costs as much as l05.
    let world = world("srv6");
    let mut intents = world.intents.clone();
    intents.apply(declared(topology(&lines(&LADDER.replace("c3 c2 15", "c3 c2 20")), |_| {})));
    assert!(errors(&world.plan, &intents).contains(&ASTRAY.to_owned()));
}

#[test]
fn numbers_of_nodes_and_links_are_looked_at() {
    named(
        "mpls",
        &[
            (
                |plan| plan.nodes.get_mut(&name::<NodeName>("c2")).unwrap().index = Some(0),
                "label index 0 is that of both c1 and c2",
            ),
            (
                |plan| plan.nodes.get_mut(&name::<NodeName>("c2")).unwrap().index = None,
                "c2 has a label block and no label index",
            ),
            (
                |plan| {
                    let links = &mut plan.nodes.get_mut(&name::<NodeName>("c1")).unwrap().links;
                    for numbers in links.values_mut() {
                        numbers.function = Some(16);
                    }
                },
                "SID function 16 of c1 is that of both l01 and l02",
            ),
            (
                |plan| {
                    let links = &mut plan.nodes.get_mut(&name::<NodeName>("c1")).unwrap().links;
                    for numbers in links.values_mut() {
                        numbers.function = Some(4096);
                    }
                },
                "SID function 4096 of c1 for l01 is not one for links",
            ),
            (
                |plan| {
                    let links = &mut plan.nodes.get_mut(&name::<NodeName>("c1")).unwrap().links;
                    for numbers in links.values_mut() {
                        numbers.label = Label::new(1999).ok();
                    }
                },
                "label 1999 of c1 is that of both link l01 and link l02",
            ),
            (
                |plan| {
                    let labels = &mut plan.allocations.values_mut().next().unwrap().labels;
                    for label in labels.values_mut() {
                        *label = Label::new(4003).unwrap();
                    }
                },
                "label 4003 of s/m is not in the free part of the block of e1",
            ),
            (
                |plan| plan.slices.values_mut().next().unwrap().number = 0,
                "route target number 0 of s is not in the pool",
            ),
        ],
    );
}

#[test]
fn promises_of_paths_are_looked_at() {
    let world = world("srv6");
    let declared_with = |paths: &str| -> Intents {
        let more = format!("transport: srv6, paths: {{ {paths} }}");
        let resources = read("slice.yaml", &slice(&["e1", "e2"], &more)).into_iter();
        resources.chain([declared(network())]).collect()
    };
    let broken = |what: &str| format!("the paths of slice s from e1 to e2 do not keep to its {what}");
    for (paths, expected) in [
        ("excludeLinks: [l04], backup: none", broken("excluded links")),
        ("excludeNodes: [c3], backup: none", broken("excluded nodes")),
        ("includeAffinities: [red], backup: none", broken("included affinities")),
        ("backup: srlg", broken("backup")),
    ] {
        let errors = errors(&world.plan, &declared_with(paths));
        assert!(errors.contains(&expected), "{paths}: {errors:#?}");
    }
    // A backup that shares a link, a risk, a node.
    let twice = |net: &str, mode: &str| {
        let more = format!("transport: srv6, paths: {{ backup: {mode} }}");
        let resources = read("slice.yaml", &slice(&["e1", "e2"], &more)).into_iter();
        Manager::new(resources.chain([declared(topology(&lines(net), |_| {}))]).collect())
    };
    let apart = twice("e1 c1 10, c1 e2 10, e1 c1 20, c1 e2 20", "link");
    let mut intents = apart.intents.clone();
    let shared = |net: &str| declared(topology(&lines(net), |_| {}));
    intents.apply(shared("e1 c1 10 !duct, c1 e2 10, e1 c1 20 !duct, c1 e2 20"));
    assert_eq!(errors(&apart.plan, &intents), [""; 0], "`link` promises nothing of risks");
    let apart = twice("e1 c1 10, c1 e2 10, e1 c1 20, c1 e2 20", "srlg");
    let shares = "working and backup path of slice s from e1 to e2 share a risk".to_owned();
    assert!(errors(&apart.plan, &intents_like(&apart.intents, &intents)).contains(&shares));
    let mut same = apart.plan.clone();
    let way = same.slices.values_mut().next().unwrap().ways.values_mut().next().unwrap();
    way.backup = Some(way.working);
    assert!(
        errors(&same, &apart.intents)
            .contains(&"working and backup path of slice s from e1 to e2 share a link".to_owned())
    );
}

/// The slices of one, on the topology of the other.
fn intents_like(slices: &Intents, topology: &Intents) -> Intents {
    Intents { topologies: topology.topologies.clone(), ..slices.clone() }
}

#[test]
fn depth_and_headers_are_counted_again() {
    let world = world("srv6");
    let with = |change: fn(&mut model::resource::Node)| {
        let mut intents = world.intents.clone();
        intents.apply(declared(topology(&lines(LADDER), change)));
        errors(&world.plan, &intents)
    };
    // One SID for the path, one for the service.
    assert_eq!(with(|node| node.sid_depth_max = 2), [""; 0]);
    assert!(
        with(|node| node.sid_depth_max = 1)
            .contains(&"slice s needs more SIDs or labels on e1 for e2 than it can push".to_owned())
    );
}
