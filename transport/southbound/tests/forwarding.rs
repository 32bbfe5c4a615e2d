//! What the driver installs forwards: SRv6 over a core node, and VXLAN segments between two boxes of somebody else's, all of
//! it the kernel's own doing.
//!
//! ```text
//!   ha ── [a] ── [core] ── [b] ── hb        locators fc00:a::/48, fc00:c::/48, fc00:b::/48
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

#[path = "common/netns.rs"]
mod netns;
#[path = "common/mod.rs"]
mod wishes;

use std::io::Read;

use model::program::{
    Adjacency, CorePort, ProgramContent, TransitBehaviour, TransitProgram, TransitSid, UnderlayRoute,
};
use model::{PortName, Rate, Vni};
use netns::{Namespace, reach};
use transport_southbound::{
    Action, Address, ClassId, Csid, Desired, Encap, EncapMode, Flavours, LocalSid, Object, Route, Segment, SliceShape,
    Table, VxlanSite, core_node, vxlan_site,
};
use wishes::{link, local_sid, route, sid};

#[test]
#[ignore = "needs root: network namespaces"]
fn ping_passes_by_every_behaviour_that_the_kernel_has() {
    let world = World::new("seg");
    let plain = Flavours::default();
    let csid = Flavours { next_csid: Some(Csid { block_bits: 32, node_bits: 16 }), ..plain };
    let neighbour = || "fd00:2::b".parse().unwrap();
    let core = [
        sid_at("fc00:c::1/128", "to-b", Action::End(plain)),
        sid_at("fc00:c::2/128", "to-b", Action::End(Flavours { psp: true, ..plain })),
        sid_at("fc00:c::3/128", "to-b", Action::EndX(neighbour(), plain)),
        sid_at("fc00:c::4/128", "to-b", Action::EndT(Table::new(100).unwrap())),
        sid_at("fc01:0:300::/48", "to-b", Action::End(csid)),
        sid_at("fc01:0:500::/48", "to-b", Action::EndX(neighbour(), csid)),
    ];
    let far = [
        sid_at("fc00:b::2/128", "host", Action::EndDx2(link("host"))),
        sid_at("fc00:b::4/128", "host", Action::EndDx4("10.2.0.2".parse().unwrap())),
        sid_at("fc00:b::6/128", "host", Action::EndDx6("fd02::2".parse().unwrap())),
        sid_at("fc00:b::d6/128", "host", Action::EndDt6(Table::MAIN)),
        sid_at("fc01:0:400::/64", "host", Action::EndDx4("10.2.0.2".parse().unwrap())),
    ];
    world.apply("core", core);
    // The way back is one segment.
    let return_way = [("10.1.0.0/24", "fc00:a::4"), ("fd01::/64", "fc00:a::6")];
    let return_way = return_way.map(|(prefix, sid)| steered(prefix, EncapMode::Encaps, sid));
    world.apply("b", far.into_iter().chain(return_way));
    let back = [
        sid_at("fc00:a::4/128", "host", Action::EndDx4("10.1.0.2".parse().unwrap())),
        sid_at("fc00:a::6/128", "host", Action::EndDx6("fd01::2".parse().unwrap())),
    ];
    let paths = [
        ("10.2.0.0/24", "10.2.0.2", "fc00:b::4"),
        ("10.2.0.0/24", "10.2.0.2", "fc00:c::1,fc00:b::4"),
        ("10.2.0.0/24", "10.2.0.2", "fc00:c::2,fc00:b::4"),
        ("10.2.0.0/24", "10.2.0.2", "fc00:c::3,fc00:b::4"),
        ("10.2.0.0/24", "10.2.0.2", "fc00:c::4,fc00:b::4"),
        ("10.2.0.0/24", "10.2.0.2", "fc01:0:300:400::"),
        ("10.2.0.0/24", "10.2.0.2", "fc01:0:500:400::"),
        ("fd02::/64", "fd02::2", "fc00:c::1,fc00:b::6"),
        ("fd02::/64", "fd02::2", "fc00:c::2,fc00:b::d6"),
        ("fd02::/64", "fd02::2", "fc00:c::1,fc00:c::3,fc00:b::d6"),
    ];
    for mode in [EncapMode::Encaps, EncapMode::EncapsRed] {
        for (prefix, receiver, segments) in paths {
            let near = back.iter().cloned().chain([steered(prefix, mode, segments)]);
            let near = World::wish("a", near);
            world.reconcile("a", &near);
            assert!(world.host("ha").reaches(receiver), "{mode:?} {segments} to {receiver}");
        }
    }
    // Into the packet itself, and off again before the receiver, which need not know what an SRH is.
    let inline = steered("fd02::/64", EncapMode::Inline, "fc00:c::2");
    world.reconcile("a", &World::wish("a", back.iter().cloned().chain([inline])));
    assert!(world.host("ha").reaches("fd02::2"), "inline");

    // Whole frames keep their addresses; the far host takes those that were meant for the near gateway.
    let gateway = world.host("a").run("cat /sys/class/net/host/address");
    world.host("hb").run(&format!("ip link set eth0 address {}", gateway.trim()));
    for mode in [EncapMode::EncapsL2, EncapMode::EncapsL2Red] {
        let frames = steered("10.2.0.0/24", mode, "fc00:c::1,fc00:b::2");
        world.reconcile("a", &World::wish("a", back.iter().cloned().chain([frames])));
        assert!(world.host("ha").reaches("10.2.0.2"), "{mode:?}");
    }

    // Taken away, nothing passes.
    world.reconcile("core", &World::wish("core", []));
    let last = steered("10.2.0.0/24", EncapMode::Encaps, "fc00:c::1,fc00:b::4");
    world.reconcile("a", &World::wish("a", back.iter().cloned().chain([last])));
    assert!(!world.host("ha").output("ping -c 2 -i 0.1 -W 1 10.2.0.2").status.success());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_path_that_is_replaced_loses_no_packet() {
    let world = World::new("mbb");
    let plain = Flavours::default();
    let core = [
        sid_at("fc00:c::1/128", "to-b", Action::End(plain)),
        sid_at("fc00:c::3/128", "to-b", Action::EndX("fd00:2::b".parse().unwrap(), plain)),
    ];
    world.apply("core", core);
    let far = [
        sid_at("fc00:b::4/128", "host", Action::EndDx4("10.2.0.2".parse().unwrap())),
        steered("10.1.0.0/24", EncapMode::Encaps, "fc00:a::4"),
    ];
    world.apply("b", far);
    let near = |segments| {
        let back = sid_at("fc00:a::4/128", "host", Action::EndDx4("10.1.0.2".parse().unwrap()));
        World::wish("a", [back, steered("10.2.0.0/24", EncapMode::EncapsRed, segments)])
    };
    let paths = ["fc00:c::1,fc00:b::4", "fc00:c::3,fc00:b::4", "fc00:b::4"].map(near);
    world.reconcile("a", &paths[0]);
    assert!(world.host("ha").reaches("10.2.0.2"));

    let mut ping = world.host("ha").spawn("ping -q -i 0.002 -c 1500 -W 2 10.2.0.2");
    let mut device = world.host("a").device();
    let mut replaced = 0;
    while ping.try_wait().unwrap().is_none() {
        replaced += 1;
        let report = reach(&mut device, &paths[replaced % paths.len()]);
        assert!(report.is_realised() && report.changed.len() == 1, "{report:#?}");
    }
    let mut said = String::new();
    ping.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(replaced > 10, "the path was replaced {replaced} times only");
    assert!(said.contains("1500 packets transmitted, 1500 received, 0% packet loss"), "{said}");
    println!("{replaced} replacements, 1500 of 1500 packets");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_core_node_runs_its_program_and_keeps_its_sids_when_a_port_fails() {
    let world = World::new("core");
    let adjacency = |port: &str, next_hop: &str| Adjacency {
        port: PortName::new(port).unwrap(),
        next_hop: next_hop.parse().unwrap(),
    };
    let transit_sid = |text: &str, behaviour| TransitSid {
        sid: sid(text),
        // As the planner wants it: the kernel has PSP for End only.
        flavours: model::program::Flavours { psp: behaviour == TransitBehaviour::End, ..Default::default() },
        behaviour,
    };
    let route = |prefix: &str, via| UnderlayRoute { prefix: prefix.parse().unwrap(), via };
    let mut program = ProgramContent::empty("core-1".parse().unwrap());
    program.loopback = vec!["fd00:0:c::1".parse().unwrap()];
    program.core_ports = [("to-a", "fd00:1::c/64"), ("to-b", "fd00:2::c/64")]
        .map(|(port, address)| CorePort {
            port: PortName::new(port).unwrap(),
            addresses: vec![address.parse().unwrap()],
            mtu: 1500,
        })
        .into();
    program.transit = TransitProgram {
        sids: vec![
            transit_sid("fc00:c::1", TransitBehaviour::End),
            transit_sid("fc00:c::2", TransitBehaviour::EndX(adjacency("to-b", "fd00:2::b"))),
        ],
        labels: Vec::new(),
        routes: vec![
            route("fc00:a::/48", adjacency("to-a", "fd00:1::a")),
            route("fc00:b::/48", adjacency("to-b", "fd00:2::b")),
        ],
        queues: Vec::new(),
    };
    let desired = core_node("core-1", &program).unwrap();
    world.reconcile("core", &desired);

    let far = sid_at("fc00:b::4/128", "host", Action::EndDx4("10.2.0.2".parse().unwrap()));
    world.apply("b", [far, steered("10.1.0.0/24", EncapMode::EncapsRed, "fc00:c::1,fc00:a::4")]);
    let near = sid_at("fc00:a::4/128", "host", Action::EndDx4("10.1.0.2".parse().unwrap()));
    for segments in ["fc00:c::1,fc00:b::4", "fc00:c::2,fc00:b::4", "fc00:c::1,fc00:c::2,fc00:b::4"] {
        world.apply("a", [near.clone(), steered("10.2.0.0/24", EncapMode::EncapsRed, segments)]);
        assert!(world.host("ha").reaches("10.2.0.2"), "{segments}");
    }

    world.host("core").run("ip link set to-a down");
    let routes = world.host("core").run("ip -6 route show proto 201");
    assert!(routes.contains("fc00:c::1 ") && routes.contains("fc00:c::2 ") && !routes.contains("fc00:a::/48"));
    world.host("core").run("ip link set to-a up");
    world.reconcile("core", &desired);
    assert!(world.host("ha").reaches("10.2.0.2"));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn two_boxes_share_a_segment_and_leaves_do_not_reach_one_another() {
    for (role, ends) in [("vx6", ["fd00:9::1", "fd00:9::2"]), ("vx4", ["192.0.2.1", "192.0.2.2"])] {
        let boxes = ["a", "b"].map(|name| Namespace::new(&format!("{role}{name}")));
        boxes[0].join("core0", &boxes[1], "core0");
        let mut hosts = Vec::new();
        for (number, place) in boxes.iter().enumerate() {
            let length = if role == "vx6" { 64 } else { 24 };
            place.run(&format!("ip addr add {}/{length} dev core0", ends[number]));
            for access in ["acc0", "acc1"] {
                let host = Namespace::new(&format!("{role}{number}{access}"));
                place.join(access, &host, "eth0");
                host.run(&format!("ip addr add 10.71.0.{}{}/24 dev eth0", number + 1, &access[3..]));
                hosts.push(host);
            }
            let segment = Segment {
                vni: Vni::try_from(71u32).unwrap(),
                local: ends[number].parse().unwrap(),
                remotes: vec![ends[1 - number].parse().unwrap()],
                mtu: 1430,
                group_policy: true,
                access: vec![link("acc0"), link("acc1")],
            };
            let mbits = |n: u64| Rate::from_bits_per_second(n * 1_000_000);
            let class = ClassId::new(0x10).unwrap();
            let slice = SliceShape { class, guaranteed: mbits(10), ceiling: mbits(100), segments: vec![segment] };
            let site = VxlanSite { core: (link("core0"), mbits(1_000)), slices: vec![slice] };
            let report = reach(&mut place.device(), &vxlan_site(&site).unwrap());
            assert!(report.is_realised() && report.passes == 1, "{report:#?}");
            // The box is no member of the segment by itself.
            for link in ["ms-v71", "ms-b71"] {
                assert_eq!(place.run(&format!("ip -o addr show dev {link}")), "");
            }
        }
        let [a0, _a1, ..] = hosts.as_slice() else { panic!("four hosts") };
        assert!(a0.reaches("10.71.0.20") && a0.reaches("10.71.0.21"), "{role}");
        assert!(!a0.output("ping -c 2 -i 0.2 -W 1 10.71.0.11").status.success(), "a leaf reached a leaf");
        let ping = a0.run("ping -q -c 100 -i 0.005 -s 1000 -W 2 10.71.0.20");
        assert!(ping.contains(" 0% packet loss"), "{ping}");
        // What went out was of the class of the slice: at least the hundred packets above.
        let classes = boxes[0].run("tc -s class show dev core0");
        let class = classes.split("class htb ").find(|class| class.starts_with("6d73:10 ")).unwrap();
        let sent = class.split("Sent ").nth(1).and_then(|sent| sent.split(' ').next()).unwrap();
        assert!(sent.parse::<u64>().unwrap() > 100 * 1000, "{classes}");
    }
}

/// Two edges and a core node, joined, with hosts behind; addresses and routes are the driver's, too.
struct World(Vec<(&'static str, Namespace)>);

impl World {
    fn new(role: &str) -> Self {
        let names = ["ha", "a", "core", "b", "hb"];
        let world = Self(names.map(|name| (name, Namespace::new(&format!("{role}{name}")))).into());
        world.host("a").join("to-core", world.host("core"), "to-a");
        world.host("b").join("to-core", world.host("core"), "to-b");
        for (edge, host, number) in [("a", "ha", 1), ("b", "hb", 2)] {
            world.host(host).join("eth0", world.host(edge), "host");
            world.host(host).script(&format!(
                "ip addr add 10.{number}.0.2/24 dev eth0
                 ip addr add fd0{number}::2/64 dev eth0
                 ip route add default via 10.{number}.0.1
                 ip -6 route add default via fd0{number}::1"
            ));
        }
        for name in ["a", "core", "b"] {
            world.reconcile(name, &World::wish(name, []));
        }
        world
    }

    fn host(&self, name: &str) -> &Namespace {
        &self.0.iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// What a node has for itself, and more.
    fn wish(name: &str, more: impl IntoIterator<Item = Object>) -> Desired {
        let address = |port: &str, address: &str| {
            Object::Address(Address { link: link(port), address: address.parse().unwrap() })
        };
        let via = |prefix: &str, port: &str, via: &str| {
            Object::Route(Route { link: link(port), via: Some(via.parse().unwrap()), ..route(prefix) })
        };
        let own = if name == "core" {
            vec![
                address("to-a", "fd00:1::c/64"),
                address("to-b", "fd00:2::c/64"),
                via("fc00:a::/48", "to-a", "fd00:1::a"),
                via("fc00:b::/48", "to-b", "fd00:2::b"),
                via("fc01:0:400::/48", "to-b", "fd00:2::b"),
                // For End.T alone.
                Object::Route(Route {
                    table: Table::new(100).unwrap(),
                    link: link("to-b"),
                    via: Some("fd00:2::b".parse().unwrap()),
                    ..route("fc00:b::/48")
                }),
                // Where an SRH is put into the packet itself, the core must know the receiver.
                via("fd02::/64", "to-b", "fd00:2::b"),
            ]
        } else {
            let (number, other) = if name == "a" { (1, "b") } else { (2, "a") };
            let core = format!("fd00:{number}::c");
            let mut own = vec![
                address("to-core", &format!("fd00:{number}::{name}/64")),
                address("host", &format!("10.{number}.0.1/24")),
                address("host", &format!("fd0{number}::1/64")),
            ];
            let beyond = ["fc00:c::/48", "fc01::/16", &format!("fc00:{other}::/48")];
            own.extend(beyond.map(|prefix| via(prefix, "to-core", &core)));
            own
        };
        Desired::new(own.into_iter().chain(more)).unwrap()
    }

    fn reconcile(&self, name: &str, desired: &Desired) {
        let report = reach(&mut self.host(name).device(), desired);
        assert!(report.is_realised(), "{name}: {report:#?}");
    }

    fn apply(&self, name: &str, more: impl IntoIterator<Item = Object>) {
        self.reconcile(name, &Self::wish(name, more));
    }
}

fn sid_at(sid: &str, port: &str, action: Action) -> Object {
    Object::LocalSid(LocalSid { link: link(port), ..local_sid(sid, action) })
}

fn steered(prefix: &str, mode: EncapMode, segments: &str) -> Object {
    let segments = segments.split(',').map(sid).collect();
    Object::Route(Route { link: link("to-core"), encap: Some(Encap { mode, segments }), ..route(prefix) })
}
