//! A core node dies while traffic flows: the edges notice by themselves, and traffic goes on over the other one.

use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use model::program::ProbeProgram;
use testbed::netns::Namespace;

use crate::kernel;
use crate::matrix::note;
use crate::program::{Plan, Service, Side, Transport, Way, core};
use crate::traffic::{PORT, ping, socket};
use crate::world::{CORES, PATIENCE, World, inside, until};

#[test]
#[ignore = "needs root"]
fn every_service_survives_the_death_of_a_core_node_over_every_transport() {
    let mut world = World::new("die");
    for service in Service::ALL {
        for transport in Transport::ALL {
            for (node, number) in CORES.into_iter().zip(1..) {
                world.start(node, &core(number, Way::Either));
            }
            start(&mut world, service, transport);
            let flows = begin(&world, service);
            world.stop("core-1");
            flows.end(service, transport, "core-1: microslice, kill -9");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn every_service_survives_a_kernel_that_loses_its_links() {
    let mut world = World::new("lnk");
    for (service, transport) in [(Service::L3, Transport::Srv6), (Service::Multipoint, Transport::Vxlan)] {
        (1..=2).for_each(|number| kernel::core(&world, number, Way::Either));
        start(&mut world, service, transport);
        let links = |to: &str| {
            for port in ["to-edge-a", "to-edge-c", "to-core-2"] {
                world.space("core-1").script(&format!("ip link set {port} {to}")).unwrap();
            }
        };
        let flows = begin(&world, service);
        links("down");
        flows.end(service, transport, "core-1: Linux, links down");
        links("up");
    }
}

/// Starts both edges anew, and waits until their devices reach one another.
fn start(world: &mut World, service: Service, transport: Transport) {
    let probes = Some(ProbeProgram { interval_nanos: 10_000_000, losses_max: 3, answers_min: 10 });
    let plan = Plan { probes, ..Plan::ours(service, transport, Way::Either) };
    for side in Side::BOTH {
        world.stop(side.edge());
    }
    world.address_devices(service);
    for side in Side::BOTH {
        world.start_edge(side, service, &plan.edge(side));
    }
    for side in Side::BOTH {
        let (from, to) = (world.space(side.device()), address(side.other(), service));
        let reached = || ping(from, to, 1, 56).is_ok_and(|(_, received)| received == 1);
        assert!(until(PATIENCE, reached), "{service} over {transport}: no ping");
    }
}

/// A flow each way.
struct Flows {
    flows: [std::thread::JoinHandle<BTreeSet<u64>>; 2],
    began: Instant,
}

/// Starts them; returns when it is time for something to happen.
fn begin(world: &World, service: Service) -> Flows {
    let flows = Side::BOTH.map(|side| {
        let end = |side: Side| (world.space(side.device()), address(side, service));
        flow(end(side), end(side.other()))
    });
    let began = Instant::now();
    std::thread::sleep(DEATH);
    Flows { flows, began }
}

impl Flows {
    /// Waits for them, and says what was lost.
    fn end(self, service: Service, transport: Transport, death: &str) {
        let died = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let all = u64::try_from(LENGTH.as_millis()).unwrap();
        let mut lost = Vec::new();
        for flow in self.flows {
            let received = flow.join().unwrap();
            let missing: Vec<u64> = (0..all).filter(|number| !received.contains(number)).collect();
            lost.push(missing.len() as u64);
            // It goes on: two seconds later nothing is missing that the death could have cost.
            let late = received.range(died + 2_000..).count() as u64;
            assert!(
                late * 10 > (all - died - 2_000) * 9,
                "{service} over {transport}: {late} after the death of {death}"
            );
            assert!(missing.len() < 1_000, "{service} over {transport}: {missing:?} lost by the death of {death}");
        }
        let line = format!("{service:<18}{transport:<12}{death:<32}{:>9}{:>9}", lost[0], lost[1]);
        note("survival.txt", HEADER, &line);
    }
}

/// Numbered datagrams, one a millisecond; answers those that arrived, however late.
fn flow(from: (&Namespace, IpAddr), to: (&Namespace, IpAddr)) -> std::thread::JoinHandle<BTreeSet<u64>> {
    let receiver = inside(to.0, || socket(to.1));
    let sender = inside(from.0, || UdpSocket::bind((from.1, 0)).unwrap());
    sender.connect((to.1, PORT)).unwrap();
    std::thread::spawn(move || {
        let receiving = std::thread::spawn(move || {
            let (mut seen, mut buffer) = (BTreeSet::new(), [0; 256]);
            let began = Instant::now();
            while began.elapsed() < LENGTH + Duration::from_millis(500) {
                let Ok((octets, _)) = receiver.recv_from(&mut buffer) else { continue };
                seen.extend(buffer[..octets].first_chunk().map(|octets| u64::from_be_bytes(*octets)));
            }
            seen
        });
        let began = Instant::now();
        for number in 0..u64::try_from(LENGTH.as_millis()).unwrap() {
            std::thread::sleep(Duration::from_millis(number).saturating_sub(began.elapsed()));
            let mut datagram = [0; 200];
            datagram[..8].copy_from_slice(&number.to_be_bytes());
            // A device whose link is down loses it.
            let _ = sender.send(&datagram);
        }
        receiving.join().unwrap()
    })
}

fn address(side: Side, service: Service) -> IpAddr {
    IpAddr::V4(side.device_addresses(service).0)
}

/// When the core node dies, and how long the flows are: a datagram each millisecond.
const DEATH: Duration = Duration::from_millis(500);
const LENGTH: Duration = Duration::from_secs(3);
const HEADER: &str = "\
service           transport   death                           a to c ms c to a ms  (lost, at a datagram each millisecond)";
