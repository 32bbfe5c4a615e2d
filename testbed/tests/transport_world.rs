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
        let lost = carried.iter().map(|carried| carried.counts.lost());
        println!("seed {seed}: {} to {} ms lost", lost.clone().min().unwrap(), lost.max().unwrap());
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
        for core in ["core-1", "core-2", "core-1"] {
            let mut programs = 0;
            let meanwhile = |scene: &mut Scene| {
                programs = scene.avoid(core)?;
                Ok(())
            };
            let carried = scene.traffic(SECOND, meanwhile).unwrap();
            assert_eq!(programs, 2, "seed {seed}: the programs of both edges change");
            for Carried { flow, counts } in carried {
                assert_eq!(counts.lost(), 0, "seed {seed}, without {core}, {flow}");
            }
        }
    }
}
