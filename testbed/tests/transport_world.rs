//! Every service over every transport on the simulated reference network: carried, kept through the death of a core node,
//! and moved without loss.

use testbed::simulate::scenes::{Carried, Scene, SceneError};
use transport_dataplane::Nanos;

const SECOND: Nanos = Nanos(1_000_000_000);

#[test]
fn every_service_over_every_transport_carries_all_that_is_sent() {
    let mut scene = Scene::raise(1).unwrap();
    let carried = scene.traffic(SECOND, |_| Ok(())).unwrap();
    assert_eq!(carried.len(), 18);
    for Carried { flow, counts } in carried {
        assert_eq!((counts.sent, counts.lost(), counts.disordered), (1_000, 0, 0), "{flow}");
    }
}

#[test]
fn the_death_of_a_core_node_costs_less_than_fifty_milliseconds_of_traffic() {
    for seed in 0..20 {
        let mut scene = Scene::raise(seed).unwrap();
        let carried = scene.traffic(SECOND, Scene::kill_core).unwrap();
        for Carried { flow, counts } in carried {
            // A datagram each millisecond.
            assert!(counts.lost() > 0, "seed {seed}, {flow}: nothing was lost, so nothing died");
            assert!(counts.lost() < 50, "seed {seed}, {flow}: {} ms lost", counts.lost());
        }
    }
}

#[test]
fn a_planned_re_route_there_and_back_loses_nothing() {
    re_route([Scene::avoid_core, Scene::readmit_core], |_| true);
}

#[test]
fn a_link_that_is_drained_and_restored_costs_nothing_that_is_pinned() {
    // VXLAN rides on the underlay's own routes, which leave a drained link node by node.
    re_route([Scene::drain, Scene::restore], |flow| !flow.starts_with("vxlan"));
}

fn re_route(changes: [fn(&mut Scene) -> Result<usize, SceneError>; 2], is_kept: impl Fn(&str) -> bool) {
    for seed in 0..20 {
        let mut scene = Scene::raise(seed).unwrap();
        for change in changes {
            let mut programs = 0;
            let carried = scene
                .traffic(SECOND, |scene| {
                    programs = change(scene)?;
                    Ok(())
                })
                .unwrap();
            assert!(programs >= 2, "seed {seed}: {programs} programs changed");
            for Carried { flow, counts } in carried {
                assert!(!is_kept(&flow) || counts.lost() == 0, "seed {seed}, {flow}: {} lost", counts.lost());
            }
        }
    }
}
