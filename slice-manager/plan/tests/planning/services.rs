//! Services and what they ask of SDPs; numbers that SDPs and nodes get and keep; how much of a plan is made anew.

use std::collections::BTreeMap;

use model::plan::Plan;
use model::program::{Steering, TransitProgram};
use model::resource::{Control, ResourceId};
use plan::{Input, plan_with_effort};

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{CATALOG, Manager, REFERENCE, assert_clean, read, reference, small};

fn refused(more: &str, change: impl Fn(String) -> String) -> Vec<String> {
    let net = declared(topology(&lines("e1 c1 10, c1 e2 10, c1 e3 10"), |_| {}));
    let resources = read("slice.yaml", &change(slice(&["e1", "e2"], more))).into_iter();
    Manager { intents: resources.chain([net]).collect(), ..Manager::default() }.replan().unwrap_err()
}

#[test]
fn each_service_asks_its_own() {
    let line = "service: l2-point-to-point";
    assert_eq!(
        refused(line, |text| text.replace("edge: e2, port: access, vlan: 7", "edge: e1, port: access, vlan: 8"))[0],
        "slice/s: spec.sdps[1].edge: both SDPs of a point-to-point slice are on `e1`; expected two edges"
    );
    assert_eq!(
        refused(line, |text| text.replace("sdps: [", "sdps: [{ name: x, edge: e3, port: access }, "))[0],
        "slice/s: spec.sdps: a point-to-point slice has 3 SDPs; expected two, on two edges"
    );
    assert_eq!(
        refused(line, |text| text.replacen("vlan: 7", "vlan: 7, leaf: true", 1))[0],
        "slice/s: spec.sdps[0].leaf: a leaf of a point-to-point slice could reach nobody; expected `leaf` on multipoint \
         and l3 slices only"
    );
    assert_eq!(
        refused("service: l3", |text| text.replace(", addresses: [10.1.0.1/16]", ""))[0],
        "slice/s: spec.sdps[1].addresses: an SDP of an l3 slice has no address; expected at least one"
    );
    assert_eq!(
        refused("service: l3", |text| text.replace("10.1.0.1/16", "10.0.9.1/24"))[0],
        "slice/s: spec.sdps[1].addresses[0]: 10.0.9.1/24 overlaps 10.0.0.1/16 of SDP `p0`; expected each subnet of a \
         slice at one SDP"
    );
    assert_eq!(
        refused("transport: vxlan", |text| text.replacen("vlan: 7", "vlan: 7, addresses: [10.0.0.1/16]", 1))[0],
        "slice/s: spec.sdps[0].addresses[0]: 10.0.0.1/16 can't be the edge's address in a layer-2 slice; expected \
         addresses on l3 slices only"
    );
}

/// RFC 8200, section 5: 1,280 octets are what IPv6 needs. 5QI 82's slices carry 256 at most.
#[test]
fn a_routed_slice_of_short_packets_has_no_ipv6_subnet() {
    let urllc =
        |text: String| text.replace("template: miot, snssai: { sst: 3 }", "template: urllc, snssai: { sst: 2 }");
    let ipv6 = |text: String| text.replace("10.1.0.1/16", "fd00:7::1/64");
    let found = refused("service: l3", |text| ipv6(urllc(text)));
    assert!(
        found.contains(
            &"slice/s: spec.sdps[1].addresses[0]: fd00:7::1/64 is IPv6, which needs packets of 1280 octets (RFC 8200, section \
              5); the slice carries 256 at most"
                .to_owned()
        ),
        "{found:#?}"
    );
    let world = |text: String| {
        let net = declared(topology(&lines("e1 c1 10, c1 e2 10, c1 e3 10"), |_| {}));
        let resources = read("slice.yaml", &text).into_iter();
        let found = Manager { intents: resources.chain([net]).collect(), ..Manager::default() }.replan();
        found.err().unwrap_or_default().join(", ")
    };
    // With longer packets it has one, and with short ones an IPv4 subnet.
    let l3 = || slice(&["e1", "e2"], "service: l3");
    assert!(!world(ipv6(l3())).contains("IPv6"));
    assert!(!world(urllc(l3())).contains("IPv6"));
}

#[test]
fn a_vlan_that_is_left_to_the_manager_is_free_and_stays() {
    let auto = |name: &str, sd: &str| {
        format!(
            "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: {name} }}\nspec: {{ template: miot, snssai: {{ sst: 3, sd: \
             \"{sd}\" }}, rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}, sdps: [{{ name: p, edge: edge-a, port: access0, vlan: \
             auto }}] }}\n"
        )
    };
    let few = REFERENCE[0].1.replace("vlans: { first: 1000, last: 1999 }", "vlans: { first: 109, last: 111 }");
    let mut manager = Manager::new(small());
    manager.apply(&few).unwrap();
    manager.apply(&auto("x", "00000A")).unwrap();
    let vlan = |manager: &Manager, slice: &str| {
        let slices = &manager.plan.programs["edge-a"].content.slices;
        slices.iter().find(|s| s.slice.as_str() == slice).unwrap().circuits[0].vlan.unwrap().get()
    };
    assert_eq!(vlan(&manager, "x"), 109);
    // 110 is named by `iot` on that port; a slice before `x` by name changes nothing for it.
    manager.apply(&auto("a", "00000B")).unwrap();
    assert_eq!((vlan(&manager, "a"), vlan(&manager, "x")), (111, 109));
    assert_eq!(
        manager.apply(&auto("b", "00000C")).unwrap_err(),
        [
            "slice/b: spec.sdps[0].vlan: no VLAN of edge-a is left: all 3 of the pool are taken, 3 in use and 0 in quarantine"
        ]
    );
    // Who names it later comes too late.
    assert_eq!(
        manager.apply(&auto("a-named", "00000D").replace("auto", "109")).unwrap_err(),
        ["slice/a-named: spec.sdps[0].vlan: VLAN 109 of port `access0` of `edge-a` feeds SDP `p` of slice `x` already"]
    );
}

/// Documents that stand twice, each by itself.
fn read_all(text: &str) -> Vec<model::resource::Resource> {
    text.split("---\n").flat_map(|document| read("s.yaml", document)).collect()
}

#[test]
fn sids_and_labels_stay_and_run_out_by_name() {
    let net = |functions: &str, labels: u64| {
        let mut spec = topology(&lines("e1 c1 10, c1 e2 10"), |node| {
            if let Some(block) = &mut node.labels {
                block.last = model::Label::new(u64::from(block.first.get()) + labels).unwrap();
            }
        });
        let (first, last) = functions.split_once('-').unwrap();
        (spec.pools.sid_functions.first, spec.pools.sid_functions.last) =
            (first.parse().unwrap(), last.parse().unwrap());
        declared(spec)
    };
    let try_with = |transport: &str, functions: &str, labels: u64| {
        let two =
            |text: &str| format!("{text}---\n{}", text.split_once("---\n").unwrap().1.replace("name: m,", "name: m2,"));
        let text = two(&slice(&["e1", "e2"], &format!("transport: {transport}")))
            .replace("personal-health,", "personal-health, share: 50 %,");
        let resources = read_all(&text).into_iter();
        Manager { intents: resources.chain([net(functions, labels)]).collect(), ..Manager::default() }.replan()
    };
    assert_eq!(try_with("srv6", "4096-4099", 999), Ok(()));
    assert_eq!(
        try_with("srv6", "4096-4097", 999).unwrap_err(),
        [
            "microsegment/s/m2: metadata.name: no pair of SID functions is left: all 1 of the pool are taken, 1 in use and 0 \
          in quarantine"
        ]
    );
    // Three nodes, one link, two senders: labels 0 to 5 of the block.
    assert_eq!(try_with("mpls", "4096-4099", 5), Ok(()));
    assert_eq!(
        try_with("mpls", "4096-4099", 4).unwrap_err(),
        [
            "microsegment/s/m2: metadata.name: no label of e1 is left: all 5 of the pool are taken, 5 in use and 0 in quarantine",
            "microsegment/s/m2: metadata.name: no label of e2 is left: all 5 of the pool are taken, 5 in use and 0 in quarantine"
        ]
    );
}

#[test]
fn numbers_of_a_link_that_leaves_await_edges_that_were_told_otherwise_before() {
    let net = |text: &str| declared(topology(&lines(text), |_| {}));
    let mut manager = Manager::new(
        read("slice.yaml", &slice(&["e1", "e2"], "transport: srv6"))
            .into_iter()
            .chain([net("e1 c1 10, c1 c3 30, c3 e2 10, c1 v2 10, v2 c3 10")])
            .collect(),
    );
    let mut step = |text: &str, confirmed: &[&str]| {
        for edge in confirmed {
            manager.confirm(edge);
        }
        manager.intents.apply(net(text));
        manager.replan().unwrap();
        let numbers = manager.plan.nodes.get("v2").cloned().unwrap_or_default();
        let awaiting = numbers.awaiting.iter().map(|(edge, since)| format!("{edge} {}", since.get()));
        (numbers.links.len(), awaiting.collect::<Vec<_>>())
    };
    // The way over it is left first; the programs that say so are of generation 2.
    assert_eq!(step("e1 c1 10, c1 c3 30, c3 e2 10, c1 v2 90 x, v2 c3 90 x", &["e1", "e2"]), (2, vec![]));
    // Then it leaves, which tells edges nothing more; one of them has not confirmed yet.
    let (links, awaiting) = step("e1 c1 10, c1 c3 30, c3 e2 10", &["e1"]);
    assert_eq!((links, awaiting), (2, vec!["e2 2".to_owned()]));
    assert_eq!(step("e1 c1 10, c1 c3 30, c3 e2 10", &["e2"]), (0, vec![]));
}

#[test]
fn a_change_to_one_slice_looks_for_paths_of_that_slice_only() {
    let mut manager = Manager::new(reference());
    let more = REFERENCE[2].1.to_owned()
        + "---\napiVersion: microslice/v1\nkind: MicroSegment\nmetadata: { name: cars, slice: vehicles }\nspec: { profile: \
           personal-health, at: [edge-a, edge-c] }\n";
    let mut intents = manager.intents.clone();
    for resource in read("more.yaml", &more) {
        intents.apply(resource);
    }
    let effort = |intents: &plan::Intents, parent: &Plan| {
        let input = Input {
            catalog: &CATALOG,
            intents,
            parent,
            confirmed: &BTreeMap::new(),
            suspects: &std::collections::BTreeSet::new(),
        };
        let (planned, effort) = plan_with_effort(&input);
        assert_clean(&planned.unwrap(), intents);
        (effort.searches, effort.kept)
    };
    // A working path and a backup for one pair of edges; the three slices that were there keep theirs.
    assert_eq!(effort(&intents, &manager.plan), (2, 3));
    assert_eq!(effort(&manager.intents, &manager.plan), (0, 4), "and nothing for nothing");
    // The whole world anew: three pairs of `iot`.
    assert_eq!(effort(&manager.intents, &Plan::default()), (6, 0));
    // A link that grows moves nobody.
    manager.apply(&REFERENCE[0].1.replace("140 Mbit/s", "150 Mbit/s")).unwrap();
    assert_eq!(manager.plan.generation.get(), 2, "the topology is another");
    // But what edge-a shares out there is more.
    assert_eq!(["edge-a", "edge-b", "edge-c"].map(|edge| manager.generation(edge)), [2, 1, 1]);
}

#[test]
fn a_core_node_with_an_agent_has_a_program() {
    let spec = topology(&lines("e1 c1 10, c1 e2 10"), |node| {
        if node.name.as_str() == "c1" {
            node.control = Some(Control::Agent);
        }
    });
    let resources = read("slice.yaml", &slice(&["e1", "e2"], "transport: srv6")).into_iter();
    let manager = Manager::new(resources.chain([declared(spec.clone())]).collect());
    let program = &manager.plan.programs["c1"].content;
    let queues = CATALOG.classes().transit_queues();
    assert!(!queues.is_empty());
    assert_eq!(program.transit, TransitProgram { queues, ..plan::transit_of(&manager.plan, &spec, &name("c1")) });
    assert_eq!(program.queues, CATALOG.classes().queue_programs());
    // Its ports have a rate, and classes of nobody: it tells packets apart by how urgent they are.
    let ports = program.shaping.iter().map(|port| (port.port.as_str(), port.rate.to_string(), port.classes.len()));
    assert_eq!(ports.collect::<Vec<_>>(), [("p1", "1 Gbit/s".to_owned(), 0), ("p2", "1 Gbit/s".to_owned(), 0)]);
    assert!(program.slices.is_empty() && program.paths.is_empty() && program.probes.is_none());
    assert_eq!(program.transit.sids.len(), 3);
    // An edge forwards for nobody, and its paths need no SID here.
    let edge = &manager.plan.programs["e1"].content;
    assert_eq!(edge.transit, TransitProgram::default());
    assert!(edge.paths.iter().all(|path| path.steering == Steering::Srv6(Vec::new())));
}

#[test]
fn a_refusal_finds_its_line() {
    // As the design shows it.
    let text = REFERENCE[1].1.replace("guaranteed: 20 Mbit/s, ceiling: 100", "guaranteed: 200 Mbit/s, ceiling: 200");
    let declared = model::resource::read("iot.yaml", &text).unwrap();
    let mut intents: plan::Intents = read("topology.yaml", REFERENCE[0].1).into_iter().collect();
    for one in &declared {
        intents.apply(one.resource.clone());
    }
    let (parent, confirmed) = (Plan::default(), BTreeMap::new());
    let refusals = plan::plan(&Input {
        catalog: &CATALOG,
        intents: &intents,
        parent: &parent,
        confirmed: &confirmed,
        suspects: &std::collections::BTreeSet::new(),
    });
    let refusal = &refusals.unwrap_err()[0];
    assert!(matches!(refusal.resource, ResourceId::Slice(_)));
    let document = &declared.iter().find(|one| one.resource.id() == refusal.resource).unwrap().document;
    let error = document.error(&refusal.path, model::file::Problem::Value(refusal.reason.to_string()));
    let line = text.lines().position(|line| line.contains("guaranteed")).unwrap() + 1;
    assert_eq!(
        error.to_string(),
        format!(
            "iot.yaml:{line}:23: spec.rate.guaranteed: 200 Mbit/s is more than link core-1--edge-a has left (140 Mbit/s); largest \
             that fits: 140 Mbit/s"
        )
    );
}
