//! Core nodes that are Linux kernels: what they are told, and what they are not asked for.

use model::Rate;
use model::program::{PortShaping, ProgramContent, SliceClass, TransitBehaviour};
use model::resource::Control;

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{CATALOG, Manager, read};

fn label(number: u64) -> model::Label {
    model::Label::new(number).unwrap()
}

/// `c1` is a Linux kernel.
fn with_kernel(text: &str) -> model::resource::TopologySpec {
    topology(&lines(text), |node| {
        if node.name.as_str() == "c1" {
            (node.control, node.labels) = (Some(Control::Linux), None);
        }
    })
}

#[test]
fn a_kernel_has_no_psp_on_end_x_and_a_class_for_each_vxlan_slice_that_crosses_it() {
    // c1 on the working path, c2 on the backup; e3 hangs on c1 alone.
    let spec = with_kernel("e1 c1 10 50M, c1 e2 10, e1 c2 20, c2 e2 20");
    let rate = "rate: { guaranteed: 20 Mbit/s, ceiling: 90 Mbit/s }";
    let resources = read("slice.yaml", &slice(&["e1", "e2"], &format!("transport: vxlan, {rate}"))).into_iter();
    let mut manager = Manager::new(resources.chain([declared(spec)]).collect());
    let program = manager.plan.programs["c1"].content.clone();
    let flavours: Vec<bool> = program.transit.sids.iter().map(|sid| sid.flavours.psp).collect();
    let ends: Vec<bool> = program.transit.sids.iter().map(|sid| sid.behaviour == TransitBehaviour::End).collect();
    assert_eq!(flavours, ends);
    assert!(program.transit.labels.is_empty() && program.slices.is_empty());
    assert!(program.queues.is_empty() && program.transit.queues.is_empty(), "its queues are its own");
    let mbit = |rate: Rate| rate.bits_per_second() / 1_000_000;
    let shown = |program: &ProgramContent| -> Vec<_> {
        let ports = program.shaping.iter();
        let class = |port: &PortShaping, class: &SliceClass| {
            let (sure, most) = (mbit(class.limits.guaranteed()), mbit(class.limits.ceiling()));
            (port.port.to_string(), mbit(port.rate), class.number.get(), sure, most, class.vnis.len())
        };
        ports.flat_map(|port| port.classes.iter().map(move |one| class(port, one))).collect()
    };
    // Towards e1 the link carries less than the ceiling.
    assert_eq!(shown(&program), [("p1".into(), 50, 4, 20, 50, 1), ("p2".into(), 1000, 4, 20, 90, 1)]);
    assert!(!manager.plan.programs.contains_key("c2"), "nobody tells it");
    // SIDs and labels are not seen by the classifiers of a kernel: such slices share what is left.
    settle(&mut manager);
    manager.apply(&slice(&["e1", "e2"], &format!("transport: srv6, {rate}"))).unwrap();
    settle(&mut manager);
    assert_eq!(manager.plan.programs["c1"].content.shaping, []);
    manager.apply(&slice(&["e1", "e2"], &format!("transport: vxlan, {rate}"))).unwrap();
    settle(&mut manager);
    assert_eq!(manager.plan.programs["c1"].content, program);
    manager.delete(&["realm/s/m", "microsegment/s/m", "slice/s"]).unwrap();
    assert_eq!(manager.plan.programs["c1"].content.shaping, []);
}

/// All nodes run what they are told, until that is all.
fn settle(manager: &mut Manager) {
    let mut before = None;
    while before.replace(manager.plan.generation) != Some(manager.plan.generation) {
        for node in ["e1", "e2", "c1"] {
            manager.confirm(node);
        }
        manager.replan().unwrap();
    }
}

#[test]
fn a_slice_keeps_its_classes_until_its_packets_come_no_more() {
    let rate = "rate: { guaranteed: 20 Mbit/s, ceiling: 90 Mbit/s }";
    let declare = |transport: &str| slice(&["e1", "e2"], &format!("transport: {transport}, {rate}"));
    let net =
        |drained: &str| declared(with_kernel(&format!("e1 c1 10{drained}, c1 e2 10, e1 c2 20, c2 e2 20, c1 c2 10")));
    // Over another transport, or by another path.
    for (transport, drained) in [("srv6", ""), ("vxlan", " x")] {
        let mut manager = Manager::new(read("slice.yaml", &declare("vxlan")).into_iter().chain([net("")]).collect());
        settle(&mut manager);
        let classes = |manager: &Manager, port: &str| -> usize {
            let ports = manager.plan.programs["c1"].content.shaping.iter().filter(|at| at.port.as_str() == port);
            ports.map(|port| port.classes.len()).sum()
        };
        assert_eq!(classes(&manager, "p1"), 1);
        manager.intents.apply(net(drained));
        for resource in read("slice.yaml", &declare(transport)) {
            manager.intents.apply(resource);
        }
        manager.replan().unwrap();
        manager.confirm("c1");
        manager.confirm("e2");
        manager.replan().unwrap();
        assert_eq!(classes(&manager, "p1"), 1, "{transport}: e1 has not confirmed that it sends otherwise");
        settle(&mut manager);
        assert_eq!(classes(&manager, "p1"), 0, "{transport}");
        assert!(manager.plan.awaiting.is_empty());
    }
}

#[test]
fn a_node_that_nobody_tells_any_more_is_told_to_do_nothing_until_it_has_confirmed_that() {
    let lines = lines("e1 c1 10, c1 e2 10");
    for control in [Control::Linux, Control::Agent] {
        let spec = topology(&lines, |node| {
            if node.name.as_str() == "c1" {
                (node.control, node.labels) = (Some(control), None);
            }
        });
        let mut manager = Manager::new([declared(spec.clone())].into_iter().collect());
        assert!(!manager.plan.programs["c1"].content.transit.sids.is_empty());
        manager.confirm("c1");
        let mut nodes = Vec::from(spec.nodes.clone());
        for node in &mut nodes {
            node.control = None;
        }
        let spec = model::resource::TopologySpec { nodes: model::UniqueList::new(nodes).unwrap(), ..spec };
        manager.intents.apply(declared(spec));
        manager.replan().unwrap();
        assert_eq!(manager.plan.programs["c1"].content, ProgramContent::empty(name("c1")));
        manager.confirm("c1");
        manager.replan().unwrap();
        assert!(!manager.plan.programs.contains_key("c1"));
    }
}

#[test]
fn a_kernel_that_is_asked_for_what_it_has_not_is_refused() {
    let mut spec = with_kernel("e1 c1 10, c1 e2 10");
    let mut nodes = Vec::from(spec.nodes.clone());
    let node = nodes.iter_mut().find(|node| node.name.as_str() == "c1").unwrap();
    node.labels = Some(model::resource::LabelBlock { first: label(1000), last: label(1999) });
    let mut ports = Vec::from(node.ports.clone());
    ports.push(model::resource::Port { name: name("a-port-beyond-fifteen"), ..ports[0].clone() });
    node.ports = model::UniqueList::new(ports).unwrap();
    spec.nodes = model::UniqueList::new(nodes).unwrap();
    let refusals = Manager::default().preview(&[declared(spec)].into_iter().collect()).unwrap_err();
    assert_eq!(
        refusals,
        [
            "topology/t: spec.nodes[0].labels: the driver for Linux kernels makes no MPLS entries; expected no label block, \
             or another control",
            "topology/t: spec.nodes[0].ports[3].name: `a-port-beyond-fifteen` can't be the name of a network device of \
             Linux; expected at most 15 characters",
        ]
    );
}

#[test]
fn the_auditor_names_classes_that_are_not_those_of_the_slices() {
    let spec = with_kernel("e1 c1 10, c1 e2 10");
    let resources = read("slice.yaml", &slice(&["e1", "e2"], "transport: vxlan")).into_iter();
    let manager = Manager::new(resources.chain([declared(spec)]).collect());
    let changes: [fn(&mut ProgramContent); 8] = [
        |program| program.shaping[0].classes[0].weight = model::Weight::MAX,
        |program| drop(program.shaping[0].classes.pop()),
        |program| drop(program.shaping.remove(0)),
        |program| program.shaping[0].rate = Rate::ZERO,
        |program| program.shaping[0].classes[0].number = model::ClassNumber::MAX,
        |program| program.shaping[0].classes[0].vnis = vec![model::Vni::MAX],
        |program| {
            program.shaping[0].classes[0].limits =
                model::RateLimits::new(Rate::ZERO, Rate::from_bits_per_second(1)).unwrap();
        },
        |program| {
            let twice = program.shaping[0].classes[0].clone();
            program.shaping[0].classes.push(twice);
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut plan = manager.plan.clone();
        change(&mut plan.programs.get_mut("c1").unwrap().content);
        let found: Vec<_> = plan::audit(&plan, &manager.intents, &CATALOG).into_iter().map(|n| n.finding).collect();
        let port = name("p1");
        assert!(found.contains(&plan::Finding::OtherClasses { node: name("c1"), port }), "{at}: {found:?}");
    }
    let mut plan = manager.plan.clone();
    let sids = &mut plan.programs.get_mut("c1").unwrap().content.transit.sids;
    for sid in sids {
        sid.flavours.psp = true;
    }
    let found = plan::audit(&plan, &manager.intents, &CATALOG);
    assert!(found.iter().any(|note| note.finding == plan::Finding::OtherTransit(name("c1"))), "{found:?}");
}
