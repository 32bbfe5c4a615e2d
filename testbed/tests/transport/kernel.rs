//! The Linux kernel as a core node and as the far end, told what to do by the product's own driver.

use std::net::{IpAddr, Ipv6Addr};

use model::Rate;
use model::program::Adjacency;
use transport_southbound::{
    Action, Address, ClassId, Desired, Encap, EncapMode, Flavours, LinkName, Linux, LocalSid, Metric, Object, Route,
    Segment, SliceShape, Table, VxlanSite, reconcile, vxlan_site,
};

use crate::program::{Service, Side, VNI, Way, core_link, core_sid, towards};
use crate::world::World;

/// Makes a kernel the core node: addresses, routes, and its SIDs.
pub(crate) fn core(world: &World, number: u8, way: Way) {
    let node = format!("core-{number}");
    forward(world, &node);
    let other = format!("to-core-{}", 3 - number);
    let mut objects: Vec<Object> = Side::BOTH
        .into_iter()
        .map(|side| address(&format!("to-{}", side.edge()), &format!("{}/64", side.link(number).1)))
        .collect();
    objects.push(address(&other, &format!("{}/64", core_link(number))));
    objects.push(route(&format!("fc00:{}::/48", 3 - number), &other, core_link(3 - number).into()));
    let end = |flavours| Action::End(flavours);
    objects.push(sid(core_sid(number, "1"), &other, end(Flavours::default())));
    objects.push(sid(core_sid(number, "2"), &other, end(Flavours { psp: true, ..Flavours::default() })));
    for side in Side::BOTH {
        let Adjacency { port, next_hop } = towards(number, side, way);
        for prefix in [format!("{}/128", side.loopback()), format!("fc00:{}::/48", side.letter())] {
            objects.push(route(&prefix, port.as_str(), next_hop));
        }
        let IpAddr::V6(neighbour) = next_hop else { panic!("the core is IPv6") };
        let letter = side.letter().to_string();
        objects.push(sid(core_sid(number, &letter), port.as_str(), Action::EndX(neighbour, Flavours::default())));
    }
    apply(world, &node, &Desired::new(objects).unwrap());
}

/// What a kernel does as the far end of a layer-3 slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FarEnd {
    /// Of its SID for the slice.
    pub(crate) behaviour: &'static str,
    pub(crate) head: EncapMode,
    /// Over the SIDs of the core nodes, or by their routes.
    pub(crate) way: Way,
}

/// Makes the kernel edge-c: it has the slice's SID, and sends along a path to ours.
pub(crate) fn far_end_srv6(world: &World, far: FarEnd) {
    let (side, service) = (Side::C, Service::L3);
    let mut objects = underlay(world);
    let (v4, v6) = side.gateways();
    objects.push(address("access0", &format!("{v4}/24")));
    objects.push(address("access0", &format!("{v6}/64")));
    let (device_v4, device_v6) = side.device_addresses(service);
    let action = match far.behaviour {
        "End.DX4" => Action::EndDx4(device_v4),
        "End.DX6" => Action::EndDx6(device_v6),
        _ => Action::EndDt6(Table::MAIN),
    };
    objects.push(sid(side.sid("46"), "access0", action));
    let mut segments = vec![side.other().sid("46")];
    if far.way == Way::Both {
        segments.splice(0..0, [core_sid(2, "1"), core_sid(1, "a")]);
    }
    for subnet in ["10.71.0.0/24", "fd01::/64"] {
        let encap = Some(Encap { mode: far.head, segments: segments.clone() });
        objects.push(Object::Route(Route { via: None, encap, ..plain_route(subnet, "core1") }));
    }
    apply(world, side.edge(), &Desired::new(objects).unwrap());
    // The driver leaves the source of what is encapsulated to the owner of the box; ours takes it from the edge only.
    let source = side.loopback().to_string();
    world.space(side.edge()).run(&["ip", "sr", "tunsrc", "set", &source]).unwrap();
}

/// Makes the kernel edge-c: a bridge with a VXLAN device, the device behind it as a port.
pub(crate) fn far_end_vxlan(world: &World, group: bool) {
    let side = Side::C;
    let rate = |mbits: u64| Rate::from_bits_per_second(mbits * 1_000_000);
    let segment = Segment {
        vni: VNI.try_into().unwrap(),
        local: side.loopback().into(),
        remotes: vec![side.other().loopback().into()],
        mtu: 1_500,
        group_policy: group,
        access: vec![link("access0")],
    };
    let class = ClassId::new(0x10).unwrap();
    let slice = SliceShape { class, guaranteed: rate(500), ceiling: rate(1_000), segments: vec![segment] };
    let site = vxlan_site(&VxlanSite { core: (link("core1"), rate(1_000)), slices: vec![slice] }).unwrap();
    let objects = site.objects().values().cloned().chain(underlay(world));
    apply(world, side.edge(), &Desired::new(objects).unwrap());
}

/// Takes everything off edge-c again.
pub(crate) fn clear(world: &World, node: &str) {
    apply(world, node, &Desired::EMPTY);
}

/// The addresses of edge-c, and its routes to the rest.
fn underlay(world: &World) -> Vec<Object> {
    let side = Side::C;
    forward(world, side.edge());
    let (own, core) = side.link(2);
    let mut objects = vec![address("core1", &format!("{own}/64")), address("lo", &format!("{}/128", side.loopback()))];
    let near = format!("{}/128", side.other().loopback());
    for prefix in [near.as_str(), "fc00:a::/48", "fc00:1::/48", "fc00:2::/48"] {
        objects.push(route(prefix, "core1", core.into()));
    }
    objects
}

/// What the driver leaves to the owner of a box.
fn forward(world: &World, node: &str) {
    let space = world.space(node);
    space.script("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1").unwrap();
    for port in space.run(&["ls", "/proc/sys/net/ipv6/conf"]).unwrap().split_whitespace() {
        space.run(&["sysctl", "-qw", &format!("net.ipv6.conf.{port}.disable_ipv6=0")]).unwrap();
    }
}

fn apply(world: &World, node: &str, desired: &Desired) {
    let space = world.space(node);
    let mut device = Linux::open_in(node, &std::path::Path::new("/run/netns").join(space.name())).unwrap();
    let report = reconcile(&mut device, desired).unwrap();
    assert!(report.is_realised(), "{node}: {report:#?}");
}

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn address(port: &str, address: &str) -> Object {
    Object::Address(Address { link: link(port), address: address.parse().unwrap() })
}

fn plain_route(prefix: &str, port: &str) -> Route {
    let (table, metric) = (Table::MAIN, Metric::DEFAULT);
    Route { prefix: prefix.parse().unwrap(), table, metric, link: link(port), via: None, encap: None }
}

fn route(prefix: &str, port: &str, via: IpAddr) -> Object {
    Object::Route(Route { via: Some(via), ..plain_route(prefix, port) })
}

fn sid(sid: model::Sid, port: &str, action: Action) -> Object {
    let prefix: Ipv6Addr = sid.get();
    let sid = format!("{prefix}/128").parse().unwrap();
    Object::LocalSid(LocalSid { sid, table: Table::MAIN, metric: Metric::DEFAULT, link: link(port), action })
}
