//! Both edges are ours; the core nodes are ours, or somebody else's.

use crate::capture::Capture;
use crate::matrix::{Cell, Matrix};
use crate::program::{Plan, Service, Side, Transport, Way, core};
use crate::traffic::Families;
use crate::world::World;

#[test]
#[ignore = "needs root and tshark"]
fn every_service_crosses_our_core_nodes_over_every_transport() {
    let mut world = World::new("own");
    let mut matrix = Matrix::default();
    for (node, number) in [("core-1", 1), ("core-2", 2)] {
        world.start(node, &core(number, Way::Both));
    }
    for service in Service::ALL {
        for transport in Transport::ALL {
            let cell = Cell { service, transport, peer: "core nodes: microslice" };
            between_ours(&mut world, &mut matrix, &Plan::ours(service, transport, Way::Both), cell);
        }
    }
    matrix.finish();
}

/// Runs a plan on both edges.
fn between_ours(world: &mut World, matrix: &mut Matrix, plan: &Plan, cell: Cell<'_>) -> std::path::PathBuf {
    Side::BOTH.into_iter().for_each(|side| world.stop(side.edge()));
    world.address_devices(plan.service);
    let capture = Capture::start(world, &format!("{}-{}.pcap", plan.service, plan.transport).replace(' ', "-"));
    for side in Side::BOTH {
        world.start_edge(side, plan.service, &plan.edge(side));
    }
    matrix.run(world, cell, capture, Families::Both)
}
