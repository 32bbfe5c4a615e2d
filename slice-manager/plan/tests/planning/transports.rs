//! What SRv6, MPLS and VXLAN make of a path: SIDs, labels, routes, worked out by hand from the rules of RFC 8986, RFC 8660
//! and RFC 3031.

use model::NodeName;
use model::program::{PathProgram, SegmentProgram, ServiceBehaviour, Steering, Tunnel};
use model::resource::{Srh, TopologySpec};
use plan::transit_of;

use crate::net::{declared, lines, name, slice, topology};
use crate::world::{Manager, read};

/// A network and a slice on it.
fn world(spec: TopologySpec, slice: &str) -> Manager {
    let resources = read("slice.yaml", slice).into_iter().chain([declared(spec)]);
    Manager::new(resources.collect())
}

fn refused(spec: TopologySpec, slice: &str) -> Vec<String> {
    let resources = read("slice.yaml", slice).into_iter().chain([declared(spec)]);
    Manager { intents: resources.collect(), ..Manager::default() }.replan().unwrap_err()
}

fn paths(manager: &Manager, edge: &str) -> Vec<PathProgram> {
    manager.plan.programs[&name::<NodeName>(edge)].content.paths.clone()
}

fn segment(manager: &Manager, edge: &str) -> SegmentProgram {
    manager.plan.programs[&name::<NodeName>(edge)].content.slices[0].segments[0].clone()
}

fn working(manager: &Manager, edge: &str) -> (Vec<String>, Steering) {
    let remote = &segment(manager, edge).remotes[0];
    let path =
        paths(manager, edge).into_iter().find(|path| path.id == remote.working && path.to == remote.edge).unwrap();
    let key = manager.plan.paths.iter().find(|(key, _)| key.id == remote.working).unwrap();
    (key.1.links.iter().map(ToString::to_string).collect(), path.steering)
}

fn srv6(sids: &[&str]) -> Steering {
    Steering::Srv6(sids.iter().map(|sid| name(sid)).collect())
}

fn mpls(labels: &[u64]) -> Steering {
    Steering::Mpls(labels.iter().map(|label| model::Label::new(*label).unwrap()).collect())
}

/// Nodes by name: c1 is 1, c2 is 2, c3 is 3, e1 is 4, e2 is 5.
const LADDER: &str = "e1 c1 10, c1 c2 10, c2 e2 10, c1 c3 10, c3 c2 15";

#[test]
fn the_shortest_path_needs_no_sid_of_its_own() {
    let manager = world(topology(&lines(LADDER), |_| {}), &slice(&["e1", "e2"], "transport: srv6"));
    let (links, steering) = working(&manager, "e1");
    assert_eq!((links, steering), (vec!["l01".into(), "l02".into(), "l03".into()], srv6(&[])));
    // Both ends know the segment by locator and function 4096, and its flood by the function after it.
    let near = segment(&manager, "e1");
    let own: Vec<_> = near.sids.iter().map(|sid| (sid.sid.to_string(), sid.behaviour)).collect();
    assert_eq!(
        own,
        [("fd02:4:0:1000::".into(), ServiceBehaviour::Dt2u), ("fd02:4:0:1001::".into(), ServiceBehaviour::Dt2m)]
    );
    let tunnel = Tunnel::Srv6 { unicast: name("fd02:5:0:1000::"), flood: name("fd02:5:0:1001::") };
    assert_eq!(near.remotes[0].tunnel, tunnel);
}

#[test]
fn services_have_their_behaviours() {
    for (service, behaviour) in [("l2-point-to-point", ServiceBehaviour::Dx2), ("l3", ServiceBehaviour::Dt46)] {
        let spec = topology(&lines(LADDER), |_| {});
        let manager = world(spec, &slice(&["e1", "e2"], &format!("transport: srv6, service: {service}")));
        let near = segment(&manager, "e1");
        assert_eq!(near.sids.iter().map(|sid| sid.behaviour).collect::<Vec<_>>(), [behaviour]);
        let far = name("fd02:5:0:1000::");
        assert_eq!(near.remotes[0].tunnel, Tunnel::Srv6 { unicast: far, flood: far });
    }
    let manager = world(topology(&lines(LADDER), |_| {}), &slice(&["e1", "e2"], "service: l3"));
    let program = &manager.plan.programs[&name::<NodeName>("e1")].content.slices[0];
    assert_eq!(program.circuits[0].gateways, [name("10.0.0.1/16")]);
    let routes: Vec<_> =
        program.routes.iter().map(|route| (route.prefix.to_string(), route.edge.to_string())).collect();
    assert_eq!(routes, [("10.1.0.0/16".into(), "e2".into())]);
}

#[test]
fn a_detour_is_pinned_by_the_node_on_it() {
    // Over c3, because the direct link is excluded; from c1 the way to c3 is its link, from there to e2 over c2.
    let more = "transport: srv6, paths: { excludeLinks: [l02], backup: none }";
    let manager = world(topology(&lines(LADDER), |_| {}), &slice(&["e1", "e2"], more));
    let (links, there) = working(&manager, "e1");
    assert_eq!(links, ["l01", "l04", "l05", "l03"]);
    // End of c3. From c3 to c2 costs 15 directly and 20 over c1, so its own SID is enough.
    assert_eq!(there, srv6(&["fd02:3:0:1::"]));
    // Back: from c2 to c3 the same, and from c3 to e1 over c1.
    assert_eq!(working(&manager, "e2").1, srv6(&["fd02:3:0:1::"]));
}

#[test]
fn equal_costs_pin_nothing() {
    // From c1 to c2 over c3 costs as much as directly: End of c2 would not tell which, and neither would e2's own SID.
    let tie = "e1 c1 10, c1 c2 20, c2 e2 10, c1 c3 10, c3 c2 10";
    let more = "transport: srv6, paths: { excludeNodes: [c3], backup: none }";
    let manager = world(topology(&lines(tie), |_| {}), &slice(&["e1", "e2"], more));
    // End.X of c1 for l02: its links are l01, l02 and l04, from function 16 on.
    assert_eq!(working(&manager, "e1"), (vec!["l01".into(), "l02".into(), "l03".into()], srv6(&["fd02:1:0:11::"])));
    // Over c3 the node is enough: both parts have one best way.
    let more = "transport: srv6, paths: { excludeLinks: [l02], backup: none }";
    let manager = world(topology(&lines(tie), |_| {}), &slice(&["e1", "e2"], more));
    assert_eq!(working(&manager, "e1").1, srv6(&["fd02:3:0:1::"]));
}

#[test]
fn labels_are_those_of_the_node_that_finds_them() {
    // Places in blocks: c1 0, c2 1, c3 2, e1 3, e2 4.
    let manager = world(topology(&lines(LADDER), |_| {}), &slice(&["e1", "e2"], "transport: mpls"));
    // c1 knows e2 by 1000 + 4.
    assert_eq!(working(&manager, "e1").1, mpls(&[1004]));
    // e2 gave out the highest label of its block but that of its link; e1 likewise.
    let near = segment(&manager, "e1");
    let label = |number| model::Label::new(number).unwrap();
    assert_eq!(
        near.remotes[0].tunnel,
        Tunnel::Mpls { to: label(5998), from: label(4998), control_word: true, flow_label: true }
    );
    let more = "transport: mpls, paths: { excludeLinks: [l02], backup: none }";
    let manager = world(topology(&lines(LADDER), |_| {}), &slice(&["e1", "e2"], more));
    // c1 knows c3 by 1002; c3 pops it and finds its own label for e2, 3004.
    assert_eq!(working(&manager, "e1").1, mpls(&[1002, 3004]));
}

#[test]
fn without_labels_on_the_way_mpls_goes_over_udp() {
    let bare = |node: &mut model::resource::Node| {
        if node.name.as_str() == "c2" {
            node.labels = None;
        }
    };
    let manager =
        world(topology(&lines(LADDER), bare), &slice(&["e1", "e2"], "transport: mpls, paths: { backup: none }"));
    assert_eq!(working(&manager, "e1").1, Steering::Ip);
    assert!(matches!(segment(&manager, "e1").remotes[0].tunnel, Tunnel::Mpls { .. }));
}

#[test]
fn a_core_node_pops_for_its_neighbours_and_swaps_for_the_rest() {
    let spec = topology(&lines(LADDER), |_| {});
    let manager = world(spec.clone(), &slice(&["e1", "e2"], "transport: mpls"));
    let c1 = transit_of(&manager.plan, &spec, &name("c1"));
    let labels: Vec<_> = c1
        .labels
        .iter()
        .map(|label| (label.label.get(), label.swap.map(model::Label::get), label.out.port.to_string()))
        .collect();
    let expected = [
        // c2 and c3 are neighbours; e1, too. e2 is behind c2, which knows it by 2004.
        (1001, None, "p2"),
        (1002, None, "p4"),
        (1003, None, "p1"),
        (1004, Some(2004), "p2"),
        // Its links l04, l02, l01: from the end of the block, in order of ports.
        (1997, None, "p4"),
        (1998, None, "p2"),
        (1999, None, "p1"),
    ];
    assert_eq!(labels, expected.map(|(label, swap, port)| (label, swap, port.to_owned())));
    let sids: Vec<_> = c1.sids.iter().map(|sid| (sid.sid.to_string(), sid.flavours.psp)).collect();
    let expected = ["fd02:1:0:1::", "fd02:1:0:10::", "fd02:1:0:11::", "fd02:1:0:12::"];
    assert_eq!(sids, expected.map(|sid| (sid.to_owned(), true)));
    // Loopbacks of both families and locators of the four others.
    assert_eq!(c1.routes.len(), 12);
    let route = c1.routes.iter().find(|route| route.prefix.to_string() == "fd02:5::/48").unwrap();
    assert_eq!((route.via.port.as_str(), route.via.next_hop.to_string().as_str()), ("p2", "fd01:0:0:2::2"));
    assert_eq!(transit_of(&manager.plan, &spec, &name("e1")), model::program::TransitProgram::default());
}

#[test]
fn what_a_transport_needs_is_named() {
    let without = |what: fn(&mut model::resource::Node)| {
        topology(&lines(LADDER), move |node| {
            if node.name.as_str() == "e2" {
                what(node);
            }
        })
    };
    let asks = |transport: &str| slice(&["e1", "e2"], &format!("transport: {transport}"));
    assert_eq!(
        refused(without(|node| node.locator = None), &asks("srv6")),
        ["slice/s: spec.transport: srv6 needs a locator of `e2`, which has none"]
    );
    assert_eq!(
        refused(without(|node| node.loopback.ipv6 = None), &asks("srv6")),
        ["slice/s: spec.transport: srv6 needs an IPv6 loopback of `e2`, which has none"]
    );
    assert!(
        refused(without(|node| node.labels = None), &asks("mpls"))
            .contains(&"slice/s: spec.transport: mpls needs a label block of `e2`, which has none".to_owned())
    );
}

#[test]
fn depth_is_kept_or_named() {
    let deep = |max: u8| {
        topology(&lines("e1 c1 10, c1 c2 99, c2 e2 10, c1 c3 10, c3 c2 10"), move |node| node.sid_depth_max = max)
    };
    // One SID for the long link and one for the service.
    let more = "transport: srv6, paths: { excludeNodes: [c3], backup: none }";
    let manager = world(deep(2), &slice(&["e1", "e2"], more));
    assert_eq!(working(&manager, "e1").1, srv6(&["fd02:1:0:11::"]));
    assert_eq!(
        refused(deep(1), &slice(&["e1", "e2"], more)),
        [
            "slice/s: spec.paths.excludeNodes: no path e1 to e2 is left; with c3 not excluded there is one over l01, l04, l05, \
          l03",
            "slice/s: spec.transport: a path e1 to e2 over l01, l02, l03 needs 2 SIDs of `e1`, which pushes at most 1"
        ]
    );
    // Where another path fits, it is taken.
    let manager = world(deep(1), &slice(&["e1", "e2"], "transport: srv6, paths: { backup: none }"));
    assert_eq!(working(&manager, "e1"), (["l01", "l04", "l05", "l03"].map(String::from).to_vec(), srv6(&[])));
}

/// RFC 8986, sections 5.1 and 5.3: with the whole list, every SID is in it, that of the service among them.
#[test]
fn a_node_that_wants_whole_lists_gets_them_on_its_paths() {
    let spec = |mtu: u16, wants: &'static str| {
        topology(&lines(LADDER), move |node| {
            node.srh = if node.name.as_str() == wants { Srh::Full } else { Srh::Reduced };
            let mut ports = Vec::from(node.ports.clone());
            ports.iter_mut().filter(|port| port.name.as_str() != "access").for_each(|port| port.mtu = mtu);
            node.ports = model::UniqueList::new(ports).unwrap();
        })
    };
    let told =
        |manager: &Manager, edge: &str| paths(manager, edge).into_iter().map(|path| path.srh).collect::<Vec<_>>();
    let (direct, detour) = ("transport: srv6", "transport: srv6, paths: { excludeLinks: [l02], backup: none }");
    // A far end, and nodes on the way, whichever direction.
    for (wants, more, srh) in [
        ("e2", direct, Srh::Full),
        ("c1", direct, Srh::Full),
        ("c3", "transport: srv6, paths: { backup: none }", Srh::Reduced),
        ("c3", detour, Srh::Full),
        ("c1", "transport: vxlan", Srh::Reduced),
    ] {
        let manager = world(spec(9000, wants), &slice(&["e1", "e2"], more));
        for edge in ["e1", "e2"] {
            assert!(told(&manager, edge).iter().all(|told| *told == srh), "{wants}: {more}: {edge}");
        }
    }
    // What a frame of 1500 octets needs: its header, IPv6, and 8 + 16 octets for each SID in the list. A SID less is in it
    // where it is reduced; none, no list.
    for (wants, more, octets) in [
        ("none", direct, 1500 + 14 + 40),
        ("e2", direct, 1500 + 14 + 40 + 8 + 16),
        ("none", detour, 1500 + 14 + 40 + 8 + 16),
        ("c2", detour, 1500 + 14 + 40 + 8 + 2 * 16),
    ] {
        world(spec(octets, wants), &slice(&["e1", "e2"], more));
        let refused = refused(spec(octets - 1, wants), &slice(&["e1", "e2"], more)).join(", ");
        let expected = format!("a packet of 1500 octets needs {octets} on port");
        assert!(refused.contains(&expected), "{wants}: {more}: {refused}");
    }
}
