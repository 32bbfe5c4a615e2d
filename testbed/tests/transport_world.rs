//! Every service over every transport on the simulated reference network: carried, kept through the death of a core node,
//! and moved without loss.

use testbed::simulate::scenes::{Carried, Scene};
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
    for seed in 0..20 {
        let mut scene = Scene::raise(seed).unwrap();
        let changes: [fn(&mut Scene) -> _; 2] = [Scene::drain, Scene::restore];
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
                assert_eq!(counts.lost(), 0, "seed {seed}, {flow}");
            }
        }
    }
}
