use std::sync::Arc;

use model::UniqueList;
use model::profile::Catalog;
use model::resource::Resource;

use super::*;
use crate::decided::next_plan;

fn reference(file: &str) -> Vec<Resource> {
    let path = format!("{}/../../profiles/reference/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    let declared = model::resource::read(file, &std::fs::read_to_string(path).unwrap()).unwrap();
    declared.into_iter().map(|declared| declared.resource).collect()
}

/// The next plan for the reference topology and slice `iot`, as the topology is changed.
fn planned(parent: &Plan, change: impl Fn(&mut model::resource::TopologySpec)) -> Decided {
    let mut intents = plan::Intents::default();
    for mut resource in ["topology", "iot"].into_iter().flat_map(reference) {
        if let Resource::Topology(topology) = &mut resource {
            change(&mut topology.spec);
        }
        intents.apply(resource);
    }
    let catalog = Catalog::builtin().unwrap();
    let plan = next_plan(&intents, parent, &catalog, &BTreeMap::new(), &BTreeSet::new()).unwrap();
    Decided { intents: Arc::new(intents), plan: Arc::new(plan), ..Decided::default() }
}

#[test]
fn core_nodes_without_an_agent_are_listed_with_what_edges_push() {
    let decided = planned(&Plan::default(), |_| {});
    let core: NodeName = "core-1".parse().unwrap();
    let (_, topology) = decided.intents.topology().unwrap();
    let transit = plan::transit_of(&decided.plan, topology, &core);
    assert!(!transit.sids.is_empty() && !transit.labels.is_empty());
    let of_core = |numbers: Vec<v1::Number>| {
        let of_core = numbers.into_iter().filter(|number| number.node == "core-1");
        of_core.map(|number| number.number).collect::<Vec<_>>()
    };
    for node in [None, Some(&core)] {
        let wanted: Vec<_> = transit.sids.iter().map(|sid| sid.sid.to_string()).collect();
        assert_eq!(of_core(sids(&decided, node)), wanted);
        let wanted: Vec<_> = transit.labels.iter().map(|label| label.label.to_string()).collect();
        assert_eq!(of_core(labels(&decided, node)), wanted);
    }
}

#[test]
fn numbers_of_links_and_nodes_that_have_left_are_listed_with_whom_they_await() {
    let before = planned(&Plan::default(), |_| {});
    // core-2 leaves, and its links with it.
    let after = planned(&before.plan, |topology| {
        let without = |name: &NodeName| name.as_str() != "core-2";
        let nodes = topology.nodes.iter().filter(|node| without(&node.name)).cloned().collect();
        let links = topology.links.iter().filter(|link| without(&link.a.node) && without(&link.b.node));
        topology.links = UniqueList::new(links.cloned().collect()).unwrap();
        topology.nodes = UniqueList::new(nodes).unwrap();
    });
    let resting = |numbers: Vec<v1::Number>| numbers.into_iter().filter(|n| n.quarantined).collect::<Vec<_>>();
    let edges = ["edge-a", "edge-b", "edge-c"];
    for (list, what) in [(resting(sids(&after, None)), "function 10"), (resting(labels(&after, None)), "index 1")] {
        assert!(list.iter().any(|number| number.node == "core-2" && number.number == what), "{list:?}");
        assert!(list.iter().any(|number| number.stands_for.starts_with("link core-2--edge-")), "{list:?}");
        for number in &list {
            assert_eq!(number.awaiting.iter().map(|a| a.edge.as_str()).collect::<Vec<_>>(), edges, "{number:?}");
        }
    }
    // They await edges that were told nothing new, too: none has confirmed the first plan.
    let one: NodeName = "edge-a".parse().unwrap();
    assert!(!resting(labels(&after, Some(&one))).is_empty());
}
