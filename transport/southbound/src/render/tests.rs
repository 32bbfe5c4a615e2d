//! What a program becomes, said in words, and what is refused by name.

use model::program::{CorePort, Flavours as Said, ProbeProgram, SliceClass, UnderlayRoute};
use model::{ClassNumber, Label, PortName, RateLimits};

use super::*;

fn adjacency(port: &str, next_hop: &str) -> Adjacency {
    Adjacency { port: PortName::new(port).unwrap(), next_hop: next_hop.parse().unwrap() }
}

fn sid(sid: &str, behaviour: TransitBehaviour) -> TransitSid {
    TransitSid { sid: sid.parse().unwrap(), behaviour, flavours: Said { psp: true, ..Said::default() } }
}

fn content(transit: TransitProgram) -> ProgramContent {
    ProgramContent { transit, ..ProgramContent::empty("core-1".parse().unwrap()) }
}

fn port(address: &str) -> CorePort {
    CorePort { port: PortName::new("to-b").unwrap(), addresses: vec![address.parse().unwrap()], mtu: 1600 }
}

fn words(desired: &Desired) -> Vec<String> {
    desired.objects().values().map(ToString::to_string).collect()
}

#[test]
fn a_node_on_the_way_has_its_sids_on_a_link_of_their_own_and_its_routes() {
    let program = TransitProgram {
        sids: vec![
            sid("fc00:c::1", TransitBehaviour::End),
            sid("fc00:c::2", TransitBehaviour::EndX(adjacency("to-b", "fd00:2::b"))),
        ],
        labels: Vec::new(),
        routes: vec![
            UnderlayRoute { prefix: "fc00:b::/48".parse().unwrap(), via: adjacency("to-b", "fd00:2::b") },
            UnderlayRoute { prefix: "10.255.0.2/32".parse().unwrap(), via: adjacency("to-b", "10.0.2.2") },
        ],
        queues: Vec::new(),
    };
    assert_eq!(
        words(&core_node("core-1", &content(program)).unwrap()),
        [
            "bridge ms-sid",
            "route 10.255.0.2/32 in table 254, metric 201 via 10.0.2.2 by to-b",
            "route fc00:b::/48 in table 254, metric 201 via fd00:2::b by to-b",
            "SID fc00:c::1/128 End PSP in table 254, metric 201, on ms-sid",
            "SID fc00:c::2/128 End.X PSP via fd00:2::b in table 254, metric 201, on ms-sid",
            // What the owner of the box sees to.
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
        ]
    );
    assert_eq!(core_node("core-1", &content(TransitProgram::default())).unwrap(), Desired::EMPTY);
}

#[test]
fn every_label_is_refused_by_name_and_nothing_is_rendered() {
    let label = |swap| TransitLabel { label: Label::MIN, swap, out: adjacency("to-b", "fd00:2::b") };
    let labels = vec![label(Some(Label::MAX)), label(None)];
    let error = core_node("core-1", &content(TransitProgram { labels, ..TransitProgram::default() })).unwrap_err();
    let RenderError::Unsupported(refused) = error else { panic!("{error}") };
    let why = "can't be had: the driver makes no MPLS entries; give the node no label block";
    assert_eq!(
        refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            format!("core-1: `label 16 swapped for 1048575 via fd00:2::b by to-b` {why}"),
            format!("core-1: `label 16 popped via fd00:2::b by to-b` {why}"),
        ]
    );
}

#[test]
fn a_neighbour_without_ipv6_and_a_port_without_a_kernel_name_are_refused() {
    let via4 = sid("fc00:c::2", TransitBehaviour::EndX(adjacency("to-b", "10.0.2.2")));
    let error =
        core_node("core-1", &content(TransitProgram { sids: vec![via4], ..TransitProgram::default() })).unwrap_err();
    assert!(matches!(&error, RenderError::Unsupported(refused) if refused.len() == 1), "{error}");
    let via = adjacency("a-port-of-more-than-15", "fd00:2::b");
    let routes = vec![UnderlayRoute { prefix: "fc00:b::/48".parse().unwrap(), via }];
    let error = core_node("core-1", &content(TransitProgram { routes, ..TransitProgram::default() })).unwrap_err();
    assert!(error.to_string().starts_with("`a-port-of-more-than-15` is not the name of a network device"), "{error}");
}

#[test]
fn a_node_has_the_addresses_of_its_loopback_and_its_ports_which_are_up() {
    let mut program = ProgramContent::empty("core-1".parse().unwrap());
    program.loopback = vec!["fd00:0:c::1".parse().unwrap(), "10.255.0.3".parse().unwrap()];
    program.core_ports = vec![port("fd00:2::c/64")];
    assert_eq!(
        words(&core_node("core-1", &program).unwrap()),
        [
            "address 10.255.0.3/32 of lo",
            "address fd00:0:c::1/128 of lo",
            "address fd00:2::c/64 of to-b",
            "link to-b up mtu 1600"
        ]
    );
}

#[test]
fn a_port_has_a_class_for_each_slice_and_one_for_the_rest_which_has_what_they_leave() {
    let mbits = |n: u64| Rate::from_bits_per_second(n * 1_000_000);
    let class = |number: u64, guaranteed, ceiling, vnis: &[u32]| SliceClass {
        number: ClassNumber::new(number).unwrap(),
        slice: format!("slice-{number}").parse().unwrap(),
        limits: RateLimits::new(guaranteed, ceiling).unwrap(),
        weight: model::Weight::MIN,
        vnis: vnis.iter().map(|vni| Vni::try_from(*vni).unwrap()).collect(),
    };
    let classes = vec![class(3, mbits(60), mbits(90), &[7, 8]), class(4, Rate::ZERO, mbits(10), &[9])];
    let mut program = ProgramContent::empty("core-1".parse().unwrap());
    program.core_ports = vec![port("fd00:2::c/64")];
    program.shaping = vec![PortShaping { port: PortName::new("to-b").unwrap(), rate: mbits(100), classes }];
    let shaped = |program: &ProgramContent| {
        let all = words(&core_node("core-1", program).unwrap());
        all.into_iter()
            .filter(|object| !object.starts_with("address") && !object.starts_with("link"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shaped(&program),
        [
            "shaping of to-b at 100 Mbit/s",
            "class 2 of to-b rate 40 Mbit/s ceiling 100 Mbit/s",
            "class 3 of to-b rate 60 Mbit/s ceiling 90 Mbit/s",
            "class 4 of to-b rate 8 bit/s ceiling 10 Mbit/s",
            "classifier of VNI 7 over IPv6 on to-b into class 3",
            "classifier of VNI 8 over IPv6 on to-b into class 3",
            "classifier of VNI 9 over IPv6 on to-b into class 4",
        ]
    );
    // In each family in which the port has an address.
    program.core_ports[0].addresses.push("10.0.2.1/24".parse().unwrap());
    assert_eq!(shaped(&program).len(), 10);
}

#[test]
fn what_belongs_to_an_edge_is_refused_by_name() {
    let mut program = ProgramContent::empty("core-1".parse().unwrap());
    program.probes = Some(ProbeProgram { interval_nanos: 1, losses_max: 1, answers_min: 1 });
    let error = core_node("core-1", &program).unwrap_err().to_string();
    let expected = "core-1: `probes` can't be had: a kernel is a core node; slices begin and end at edges of ours";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_box_has_a_tunnel_and_a_bridge_for_each_segment_and_a_class_for_each_slice() {
    let mbits = |n: u64| Rate::from_bits_per_second(n * 1_000_000);
    let segment = |vni: u32, local: &str, remote: &str| Segment {
        vni: Vni::try_from(vni).unwrap(),
        local: local.parse().unwrap(),
        remotes: vec![remote.parse().unwrap()],
        mtu: 1430,
        group_policy: true,
        access: vec![LinkName::new("acc0").unwrap()],
    };
    let mut slice = SliceShape {
        class: ClassId::new(16).unwrap(),
        guaranteed: mbits(10),
        ceiling: mbits(100),
        segments: vec![segment(7, "fd00::1", "fd00::2")],
    };
    let site = |slice: &SliceShape| VxlanSite {
        core: (LinkName::new("core0").unwrap(), mbits(1_000)),
        slices: vec![slice.clone()],
    };
    assert_eq!(
        words(&vxlan_site(&site(&slice)).unwrap()),
        [
            "bridge ms-b7",
            "vxlan ms-v7 vni 7 local fd00::1 port 4789 mtu 1430 group-policy learning",
            "acc0 in bridge ms-b7 isolated",
            "ms-v7 in bridge ms-b7",
            "peer fd00::2 of ms-v7",
            "shaping of core0 at 1 Gbit/s",
            "class 10 of core0 rate 10 Mbit/s ceiling 100 Mbit/s",
            "classifier of VNI 7 over IPv6 on core0 into class 10",
        ]
    );
    // One link can't be in two segments.
    slice.segments.push(segment(8, "fd00::1", "fd00::2"));
    let error = vxlan_site(&site(&slice)).unwrap_err();
    let expected =
        "bridge port acc0: it can't be both `acc0 in bridge ms-b7 isolated` and `acc0 in bridge ms-b8 isolated`";
    assert_eq!(error.to_string(), expected);
}
