//! Both edges are ours; the core nodes are ours, or somebody else's.

use std::process::Command;

use model::resource::Srh;

use crate::capture::Capture;
use crate::matrix::{Cell, Matrix};
use crate::program::{Plan, Service, Side, Transport, Way, core};
use crate::traffic::Families;
use crate::world::{CORES, World};
use crate::{decoded, kernel, ovs};

#[test]
#[ignore = "needs root and tshark"]
fn every_service_crosses_our_core_nodes_over_every_transport() {
    let mut world = World::new("own");
    let mut matrix = Matrix::default();
    for (node, number) in CORES.into_iter().zip(1..) {
        world.start(node, &core(number, Way::Both));
    }
    for service in Service::ALL {
        for transport in [Transport::Srv6, Transport::Mpls, Transport::MplsUdp, Transport::Vxlan] {
            let (plan, cell) = (Plan::ours(service, transport, Way::Both), Cell { service, transport, peer: OURS });
            let file = between_ours(&mut world, &mut matrix, &plan, cell);
            if let Err(error) = decoded::check(&file, &plan) {
                matrix.fail(format!("{service} over {transport}: {error}"));
            }
        }
    }
    matrix.finish();
}

#[test]
#[ignore = "needs root and tshark"]
fn every_service_crosses_kernels_as_srv6_nodes_and_as_plain_routers() {
    let mut world = World::new("krn");
    let mut matrix = Matrix::default();
    for number in 1..=2 {
        kernel::core(&world, number, Way::Both);
    }
    let labels = world.space("core-1").output(&["ip", "-f", "mpls", "route", "add", "100", "dev", "lo"]).unwrap();
    let refusal = String::from_utf8_lossy(&labels.stderr).trim().to_owned();
    for service in Service::ALL {
        for (transport, way, srh, peer) in [
            (Transport::Srv6, Way::Both, Srh::Reduced, "core: Linux, End, End.X, PSP"),
            (Transport::Srv6, Way::Both, Srh::Full, "core: Linux, End, End.X, PSP, whole lists"),
            (Transport::Srv6, Way::Routes, Srh::Reduced, "core: Linux, IPv6 routes"),
            (Transport::Srv6, Way::Routes, Srh::Full, "core: Linux, IPv6 routes, whole lists"),
            (Transport::MplsUdp, Way::Routes, Srh::Reduced, "core: Linux, IPv6 routes"),
            (Transport::Vxlan, Way::Routes, Srh::Reduced, "core: Linux, IPv6 routes"),
        ] {
            let (plan, cell) = (Plan { srh, ..Plan::ours(service, transport, way) }, Cell { service, transport, peer });
            between_ours(&mut world, &mut matrix, &plan, cell);
        }
        let cell = Cell { service, transport: Transport::Mpls, peer: "core: Linux" };
        let why = if labels.status.success() {
            "the driver for Linux sets no labels"
        } else {
            &format!("this kernel has no labels ({refusal})")
        };
        Matrix::cannot(cell, why);
    }
    matrix.finish();
}

#[test]
#[ignore = "needs root, tshark and Open vSwitch"]
fn every_service_crosses_open_vswitch_as_a_label_switch() {
    let mut world = World::new("ovs");
    let mut matrix = Matrix::default();
    for number in 1..=2 {
        ovs::core(&mut world, number);
    }
    for service in Service::ALL {
        for (transport, way, peer) in [
            (Transport::Mpls, Way::Both, "core: Open vSwitch, swap and pop"),
            (Transport::Vxlan, Way::Routes, "core: Open vSwitch, flows of IPv6"),
        ] {
            let cell = Cell { service, transport, peer };
            // It reads three labels, and pops one only if it has seen the bottom of the stack before.
            let group = transport != Transport::Mpls;
            let plan = Plan { group, flow_label: false, ..Plan::ours(service, transport, way) };
            between_ours(&mut world, &mut matrix, &plan, cell);
        }
        let cell = Cell { service, transport: Transport::Srv6, peer: "core: Open vSwitch" };
        Matrix::cannot(cell, "it has no action that advances a segment list");
    }
    matrix.finish();
}

/// What FRR would be told, to be a core node or a far end. Should it take one of these some day, it has become a peer.
#[test]
#[ignore = "needs FRR"]
fn frr_can_t_be_told_to_take_part() {
    let folder = tempfile::tempdir().unwrap();
    for (transport, configuration, why) in [
        (
            Transport::Srv6,
            "segment-routing\n srv6\n  static-sids\n   sid fc00:1:0:1::/64 locator main behavior uN\n",
            "it has no static SIDs",
        ),
        (Transport::Vxlan, "interface vxlan0\n vxlan id 7701\n", "it makes no VXLAN devices; the kernel's are tried"),
    ] {
        let file = folder.path().join("frr.conf");
        std::fs::write(&file, configuration).unwrap();
        let output = Command::new("vtysh").arg("--dryrun").arg("--inputfile").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Unknown command"), "FRR takes what it did not: {configuration}{said}");
        for service in Service::ALL {
            Matrix::cannot(Cell { service, transport, peer: "core, far end: FRR" }, why);
        }
    }
    for service in Service::ALL {
        let cell = Cell { service, transport: Transport::Mpls, peer: "core, far end: FRR" };
        Matrix::cannot(cell, "its labels are the kernel's, see there");
    }
}

/// Runs a plan on both edges.
fn between_ours(world: &mut World, matrix: &mut Matrix, plan: &Plan, cell: Cell<'_>) -> std::path::PathBuf {
    for side in Side::BOTH {
        world.stop(side.edge());
    }
    world.address_devices(plan.service);
    let capture = Capture::start(world, &format!("{}-{}.pcap", plan.service, plan.transport).replace(' ', "-"));
    for side in Side::BOTH {
        world.start_edge(side, plan.service, &plan.edge(side));
    }
    matrix.run(world, plan, cell, capture, Families::Both)
}

const OURS: &str = "core: microslice";
