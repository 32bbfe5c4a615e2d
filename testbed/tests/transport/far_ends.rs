//! One edge is ours; the other end is somebody else's.

use model::resource::Srh;
use transport_southbound::EncapMode;

use crate::capture::Capture;
use crate::kernel::FarEnd;
use crate::matrix::{Cell, Matrix};
use crate::ovs::Ovs;
use crate::program::{Plan, Service, Side, Transport, Way, core};
use crate::traffic::{Families, ping};
use crate::world::{CORES, PATIENCE, World, until};
use crate::{kernel, ovs};

#[test]
#[ignore = "needs root and tshark"]
fn a_kernel_is_the_far_end_of_srv6() {
    let mut world = World::new("fks");
    let mut matrix = Matrix::default();
    (1..=2).for_each(|number| kernel::core(&world, number, Way::Both));
    let cells = [
        ("End.DX4", EncapMode::Encaps, Way::Both, Families::Ipv4, "far end: Linux, End.DX4, H.Encaps"),
        ("End.DX4", EncapMode::EncapsRed, Way::Routes, Families::Ipv4, "far end: Linux, End.DX4, H.Encaps.Red"),
        ("End.DX4", EncapMode::Encaps, Way::Routes, Families::Ipv4, "far end: Linux, End.DX4, lists of one"),
        ("End.DX6", EncapMode::EncapsRed, Way::Both, Families::Ipv6, "far end: Linux, End.DX6, H.Encaps.Red"),
        ("End.DT6", EncapMode::Encaps, Way::Both, Families::Ipv6, "far end: Linux, End.DT6, H.Encaps"),
    ];
    let (service, transport) = (Service::L3, Transport::Srv6);
    for (behaviour, head, way, families, peer) in cells {
        // What it does itself it asks of ours.
        let srh = if head == EncapMode::Encaps { Srh::Full } else { Srh::Reduced };
        kernel::clear(&world, "edge-c");
        kernel::far_end_srv6(&world, FarEnd { behaviour, head, way });
        let cell = Cell { service, transport, peer };
        world.address_devices(service);
        let plan = Plan { srh, ..Plan::foreign(service, transport, way) };
        with_ours(&mut world, &mut matrix, &plan, cell, families);
    }
    for service in Service::ALL {
        let cell = Cell { service, transport: Transport::Mpls, peer: "far end: Linux" };
        Matrix::cannot(cell, "as a core node: this kernel has no labels");
    }
    for service in [Service::PointToPoint, Service::Multipoint] {
        let cell = Cell { service, transport, peer: "far end: Linux" };
        Matrix::cannot(cell, "the kernel encapsulates what it routes, and frames between two hosts it does not");
    }
    matrix.finish();
}

#[test]
#[ignore = "needs root and tshark"]
fn a_kernel_is_the_far_end_of_vxlan() {
    let mut world = World::new("fkv");
    let mut matrix = Matrix::default();
    (1..=2).for_each(|number| kernel::core(&world, number, Way::Both));
    let transport = Transport::Vxlan;
    for group in [false, true] {
        kernel::clear(&world, "edge-c");
        kernel::far_end_vxlan(&world, group);
        let peer = if group { "far end: Linux, bridge, gbp" } else { "far end: Linux, bridge" };
        for service in [Service::PointToPoint, Service::Multipoint] {
            let plan = Plan { group, ..Plan::foreign(service, transport, Way::Routes) };
            let cell = Cell { service, transport, peer };
            world.address_devices(service);
            with_ours(&mut world, &mut matrix, &plan, cell, Families::Both);
        }
    }
    let cell = Cell { service: Service::L3, transport, peer: "far end: Linux" };
    Matrix::cannot(cell, "all edges share one MAC address, and the kernel drops frames from its own");
    matrix.finish();
}

#[test]
#[ignore = "needs root, tshark and Open vSwitch"]
fn open_vswitch_is_the_far_end_of_vxlan_and_of_labels() {
    let mut world = World::new("fov");
    let mut matrix = Matrix::default();
    for (node, number) in CORES.into_iter().zip(1..) {
        world.start(node, &core(number, Way::Both));
    }
    world.space("edge-c").run(&["sysctl", "-qw", "net.ipv6.conf.core0.disable_ipv6=1"]).unwrap();
    let vxlan = |service, group| {
        let far = Some(Side::C.link(2).0);
        Plan { group, far, ..Plan::foreign(service, Transport::Vxlan, Way::Routes) }
    };
    let switch = Ovs::start(&mut world, "edge-c");
    ovs::far_end_vxlan(&world, &switch, false);
    for service in [Service::PointToPoint, Service::Multipoint] {
        let cell = Cell { service, transport: Transport::Vxlan, peer: "far end: Open vSwitch" };
        world.address_devices(service);
        with_ours(&mut world, &mut matrix, &vxlan(service, false), cell, Families::Both);
    }
    // It keeps one kind of VXLAN for a UDP port as long as it lives.
    let switch = Ovs::start(&mut world, "edge-c");
    ovs::far_end_vxlan(&world, &switch, true);
    world.start_edge(Side::A, Service::Multipoint, &vxlan(Service::Multipoint, true).edge(Side::A));
    let address = Side::C.device_addresses(Service::Multipoint).0.into();
    let refused = until(PATIENCE, || {
        let _ = ping(world.space("dev-a"), address, 1, 56);
        switch.said("invalid vxlan flags=0x88000001")
    });
    if !refused {
        matrix.fail("Open vSwitch takes a group, which it did not".to_owned());
    }
    for service in [Service::PointToPoint, Service::Multipoint] {
        let cell = Cell { service, transport: Transport::Vxlan, peer: "far end: Open vSwitch, gbp" };
        Matrix::cannot(cell, "its userspace datapath drops the extension (invalid vxlan flags=0x88000001)");
    }
    let cell = Cell { service: Service::L3, transport: Transport::Vxlan, peer: "far end: Open vSwitch" };
    Matrix::cannot(cell, "it routes for no MAC address of ours; between two of them it is a far end of layer 2");
    for service in Service::ALL {
        let cell = Cell { service, transport: Transport::Srv6, peer: "far end: Open vSwitch" };
        Matrix::cannot(cell, "it knows no segment routing header");
    }
    for (service, families, peer) in [
        (Service::L3, Families::Ipv4, "far end: Open vSwitch, pop and push, IPv4"),
        (Service::L3, Families::Ipv6, "far end: Open vSwitch, pop and push, IPv6"),
        (Service::PointToPoint, Families::Both, "far end: Open vSwitch, decap and encap"),
        (Service::Multipoint, Families::Both, "far end: Open vSwitch, decap and encap"),
    ] {
        let plan = Plan::foreign(service, Transport::Mpls, Way::Both);
        let cell = Cell { service, transport: Transport::Mpls, peer };
        world.address_devices(service);
        let switch = Ovs::start(&mut world, "edge-c");
        ovs::far_end_mpls(&world, &switch, service, families);
        with_ours(&mut world, &mut matrix, &plan, cell, families);
    }
    matrix.finish();
}

/// Runs a plan on edge-a; what it is to reach stands already.
fn with_ours(world: &mut World, matrix: &mut Matrix, plan: &Plan, cell: Cell<'_>, families: Families) {
    world.stop(Side::A.edge());
    let capture = Capture::start(world, &format!("{}-{}.pcap", plan.service, plan.transport).replace(' ', "-"));
    world.start_edge(Side::A, plan.service, &plan.edge(Side::A));
    matrix.run(world, plan, cell, capture, families);
}
