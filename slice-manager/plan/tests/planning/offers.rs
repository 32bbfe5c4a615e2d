//! What stands in the way of a path, and what would fit.

use crate::net::{declared, lines, slice, topology};
use crate::world::{Manager, read};

fn plan(net: &str, more: &str) -> Result<Manager, Vec<String>> {
    let resources = read("slice.yaml", &slice(&["e1", "e2"], more)).into_iter();
    let intents = resources.chain([declared(topology(&lines(net), |_| {}))]).collect();
    let mut manager = Manager { intents, ..Manager::default() };
    manager.replan().map(|()| manager)
}

fn refused(net: &str, more: &str) -> Vec<String> {
    plan(net, more).map(|_| ()).unwrap_err()
}

/// Two ways: over c1 fast and narrow, over c2 slow and wide.
const TWO: &str = "e1 c1 10 100us 40M red !duct, c1 e2 10 100us 40M, e1 c2 20 300us 90M blue !duct, c2 e2 20 300us 90M";

#[test]
fn the_largest_rate_and_the_least_delay_are_offered() {
    let ask = |rate: u32, delay: u32| {
        format!(
            "transport: srv6, rate: {{ guaranteed: {rate} Mbit/s, ceiling: 500 Mbit/s }}, latency: {{ max: {delay} us }}, paths: {{ backup: none }}"
        )
    };
    assert!(plan(TWO, &ask(90, 600)).is_ok() && plan(TWO, &ask(40, 200)).is_ok());
    // Each could be given up: the rate, to 40 Mbit/s in 300 us; the delay, to 600 us at 50 Mbit/s.
    assert_eq!(
        refused(TWO, &ask(50, 300)),
        [
            "slice/s: spec.latency.max: the fastest way e1 to e2, over l03, l04, takes 600 us; expected at most 300 us",
            "slice/s: spec.rate.guaranteed: 50 Mbit/s is more than link l01 has left (40 Mbit/s); largest that fits: 40 Mbit/s"
        ]
    );
    // Neither rate nor delay can be had at all: what is offered can be had together.
    assert_eq!(
        refused(TWO, &ask(91, 199)),
        [
            "slice/s: spec.latency.max: the fastest way e1 to e2, over l01, l02, takes 200 us; expected at most 199 us",
            "slice/s: spec.rate.guaranteed: 91 Mbit/s is more than link l01 has left (40 Mbit/s); largest that fits: 40 Mbit/s"
        ]
    );
}

#[test]
fn what_a_slice_excludes_itself_is_named() {
    let ask = |paths: &str| format!("transport: srv6, paths: {{ {paths}, backup: none }}");
    assert_eq!(
        refused(TWO, &ask("excludeNodes: [c1, c2]")),
        ["slice/s: spec.paths.excludeNodes: no path e1 to e2 is left; with c1 not excluded there is one over l01, l02"]
    );
    assert_eq!(
        refused(TWO, &ask("excludeLinks: [l02, l03]")),
        [
            "slice/s: spec.paths.excludeLinks: no path e1 to e2 is left; with l02 not excluded there is one over l01, l02"
        ]
    );
    assert_eq!(
        refused(TWO, &ask("excludeAffinities: [red, blue]")),
        [
            "slice/s: spec.paths.excludeAffinities: no path e1 to e2 is left; with affinity red not excluded there is one \
          over l01, l02"
        ]
    );
    assert_eq!(
        refused(TWO, &ask("includeAffinities: [red]")),
        [
            "slice/s: spec.paths.includeAffinities: no path e1 to e2 is left; with links without the affinities asked for \
          (l02) there is one over l01, l02"
        ]
    );
    assert_eq!(
        refused(TWO, &ask("excludeNodes: [c9, e1], excludeLinks: [l9], excludeAffinities: [green]")),
        [
            "slice/s: spec.paths.excludeNodes[0]: there is no node `c9` in the topology",
            "slice/s: spec.paths.excludeNodes[1]: there is no core node `e1` in the topology",
            "slice/s: spec.paths.excludeLinks[0]: there is no link `l9` in the topology",
            "slice/s: spec.paths.excludeAffinities[0]: there is no affinity `green` in the topology"
        ]
    );
}

#[test]
fn a_backup_that_is_asked_for_by_name_must_be_there() {
    let ask = |backup: &str| format!("transport: srv6, paths: {{ backup: {backup} }}");
    // l01 and l03 are in one duct.
    assert!(plan(TWO, &ask("link")).is_ok());
    assert_eq!(
        refused(TWO, &ask("srlg")),
        ["slice/s: spec.paths.backup: no backup path e1 to e2 is srlg-disjoint: the best pair shares risk duct"]
    );
    // Two links to the same node are apart as links and not as nodes.
    let waist = "e1 c1 10, c1 e2 10, e1 c1 10, c1 e2 10";
    assert!(plan(waist, &ask("srlg")).is_ok());
    assert_eq!(
        refused(waist, &ask("node")),
        ["slice/s: spec.paths.backup: no backup path e1 to e2 is node-disjoint: the best pair shares node c1"]
    );
    assert_eq!(
        refused("e1 c1 10, c1 e2 10", &ask("link")),
        [
            "slice/s: spec.paths.backup: no backup path e1 to e2 is link-disjoint: there is no second path that keeps the \
          slice's bounds"
        ]
    );
}

#[test]
fn the_best_path_is_left_where_it_leaves_no_backup() {
    // The cheapest path takes a link of each of the two that are apart.
    let trap = "e1 c1 1, c1 c2 1, c2 e2 1, e1 c2 5, c1 e2 5";
    let manager = plan(trap, "transport: srv6, paths: { backup: node }").unwrap();
    let mut links: Vec<Vec<String>> =
        manager.plan.paths.values().map(|path| path.links.iter().map(ToString::to_string).collect()).collect();
    links.sort();
    assert_eq!(links, [["l01", "l05"], ["l04", "l03"]]);
}

#[test]
fn drained_links_and_islands_are_named() {
    assert_eq!(
        refused("e1 c1 10 x, c1 e2 10", "transport: srv6"),
        ["microsegment/s/m: spec.at: every path from e1 to e2 leads over a drained link; the first is over l01"]
    );
    for transport in ["srv6", "mpls", "vxlan"] {
        assert_eq!(
            refused("e1 c1 10, c2 e2 10", &format!("transport: {transport}")),
            ["microsegment/s/m: spec.at: the topology has no path from e1 to e2"]
        );
    }
    // A link that is drained later is left.
    let net = "e1 c1 10, c1 e2 10, e1 c2 20, c2 e2 20";
    let mut manager = plan(net, "transport: srv6, paths: { backup: none }").unwrap();
    let before = manager.plan.paths.clone();
    let drained = topology(&lines(&net.replacen("e1 c1 10", "e1 c1 10 x", 1)), |_| {});
    manager.intents.apply(declared(drained));
    manager.replan().unwrap();
    let after = manager.plan.paths.clone();
    assert_eq!((before.len(), after.len()), (1, 1));
    // The number of the old path rests, so that its probes are not taken for those of the new one.
    assert_eq!(after.keys().map(|key| key.id.get()).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_class_takes_no_more_than_its_share_of_a_link() {
    let mut spec = topology(&lines("e1 c1 10 50us 100M, c1 e2 10 50us 100M"), |_| {});
    let mut links = Vec::from(spec.links.clone());
    // The guarantee of a slice of this template is booked as best effort.
    links[0].classes.insert(model::profile::QueueClass::BestEffort, "40 %".parse().unwrap());
    spec.links = model::UniqueList::new(links).unwrap();
    let ask = |rate: u32| {
        let more = format!("rate: {{ guaranteed: {rate} Mbit/s, ceiling: 500 Mbit/s }}");
        let resources = read("slice.yaml", &slice(&["e1", "e2"], &more)).into_iter();
        let intents = resources.chain([declared(spec.clone())]).collect();
        Manager { intents, ..Manager::default() }.replan()
    };
    assert!(ask(40).is_ok());
    assert_eq!(
        ask(41).unwrap_err(),
        ["slice/s: spec.rate.guaranteed: 41 Mbit/s is more than class best-effort has left on link l01 (40 Mbit/s); \
          largest that fits: 40 Mbit/s"]
    );
}
