//! Instructions and cache misses of the packet path, for a burst of 64 packets, counted by valgrind: figures that do not
//! depend on who else uses the machine.
//!
//! ```sh
//! cargo install gungraun-runner --version 0.20.0 --locked     # and valgrind, by the system's packages
//! cargo bench --package testbed --bench dataplane
//! ```

#![allow(missing_docs, reason = "the macros make items that nobody can document")]

use std::hint::black_box;

use gungraun::prelude::*;
use model::resource::Service;
use testbed::bench::chain::{Chain, Node, Over};
use testbed::bench::lab::{Lab, Underlay};
use testbed::bench::qos::bed::Bed;
use testbed::bench::qos::runs::{due, warmed};
use transport_dataplane::BURST_FRAMES_MAX;

/// A lab whose burst is full of frames from devices to the far end, after one such burst.
fn to_far_end(underlay: Underlay, sessions: u32, octets: usize) -> Lab {
    let frames = burst(sessions, |number| Lab::to_far_end(number, 1_024, octets));
    warm(Lab::new(sessions, underlay), &frames, Lab::from_access)
}

/// From devices to one of another segment.
fn to_stranger(sessions: u32, octets: usize) -> Lab {
    let frames = burst(sessions, |number| Lab::to_stranger(number, octets));
    warm(Lab::new(sessions, Underlay::Ipv6), &frames, Lab::from_access)
}

/// From the far end to devices.
fn to_device(underlay: Underlay, sessions: u32, octets: usize) -> Lab {
    let lab = Lab::new(sessions, underlay);
    let frames = burst(sessions, |number| lab.to_device(number, octets));
    warm(lab, &frames, Lab::from_core)
}

/// One frame for each of 64 devices, far from each other.
fn burst(sessions: u32, frame: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..64_u32).map(|at| frame(at.wrapping_mul(40_503) % sessions)).collect()
}

fn warm(mut lab: Lab, frames: &[Vec<u8>], process: fn(&mut Lab)) -> Lab {
    lab.load(frames.iter().map(Vec::as_slice));
    process(&mut lab);
    lab.drain();
    lab.load(frames.iter().map(Vec::as_slice));
    lab
}

#[library_benchmark]
#[bench::sessions_1(to_stranger(1, 68))]
#[bench::sessions_1000(to_stranger(1_000, 68))]
#[bench::sessions_100000(to_stranger(100_000, 68))]
fn parse_and_classify(mut lab: Lab) -> Lab {
    black_box(&mut lab).from_access();
    lab
}

#[library_benchmark]
#[bench::ipv4_sessions_1(to_far_end(Underlay::Ipv4, 1, 68))]
#[bench::ipv4_sessions_1000(to_far_end(Underlay::Ipv4, 1_000, 68))]
#[bench::ipv4_sessions_100000(to_far_end(Underlay::Ipv4, 100_000, 68))]
#[bench::ipv6_sessions_1000(to_far_end(Underlay::Ipv6, 1_000, 68))]
#[bench::ipv6_sessions_1000_octets_1500(to_far_end(Underlay::Ipv6, 1_000, 1_500))]
fn classify_meter_encapsulate(mut lab: Lab) -> Lab {
    black_box(&mut lab).from_access();
    lab
}

/// Each in a segment of its own, which is held to a rate, as its session is.
fn from_segments(segments: u32) -> Lab {
    let frames = burst(segments, |number| Lab::to_far_end(number, 1_024, 68));
    warm(Lab::of_segments(segments, Underlay::Ipv4), &frames, Lab::from_access)
}

#[library_benchmark]
#[bench::segments_64(from_segments(64))]
#[bench::segments_4096(from_segments(4_096))]
fn classify_police_shape_encapsulate(mut lab: Lab) -> Lab {
    black_box(&mut lab).from_access();
    lab
}

#[library_benchmark]
#[bench::ipv4_sessions_1(to_device(Underlay::Ipv4, 1, 64))]
#[bench::ipv4_sessions_1000(to_device(Underlay::Ipv4, 1_000, 64))]
#[bench::ipv4_sessions_100000(to_device(Underlay::Ipv4, 100_000, 64))]
#[bench::ipv6_sessions_1000(to_device(Underlay::Ipv6, 1_000, 64))]
#[bench::ipv6_sessions_1000_octets_1500(to_device(Underlay::Ipv6, 1_000, 1_500))]
fn decapsulate_meter_deliver(mut lab: Lab) -> Lab {
    black_box(&mut lab).from_core();
    lab
}

const FRAMES: Service = Service::L2Multipoint;
const PACKETS: Service = Service::L3;

/// A node whose burst is full, after one such burst.
fn full(pick: fn(Chain) -> (Node, Vec<Vec<u8>>), port: u8, over: Over, service: Service) -> Node {
    let (mut node, frames) = pick(Chain::new(over, service, 68));
    node.load(&frames);
    node.process(port);
    node.drain();
    node.load(&frames);
    node
}

fn staying(service: Service) -> Node {
    full(|chain| (chain.here, chain.staying), 0, Over::VxlanIpv6, service)
}

fn sending(over: Over, service: Service) -> Node {
    full(|chain| (chain.here, chain.sent), 0, over, service)
}

fn passing_on(over: Over) -> Node {
    full(|chain| (chain.core, chain.on_the_way), 0, over, FRAMES)
}

fn receiving(over: Over, service: Service) -> Node {
    full(|chain| (chain.there, chain.arrived), 1, over, service)
}

// From one circuit of an edge to another: what all else is compared with.
#[library_benchmark]
#[bench::frames(staying(FRAMES))]
#[bench::packets(staying(PACKETS))]
fn forward(mut node: Node) -> Node {
    black_box(&mut node).process(0);
    node
}

#[library_benchmark]
#[bench::vxlan_ipv4(sending(Over::VxlanIpv4, FRAMES))]
#[bench::vxlan_ipv6(sending(Over::VxlanIpv6, FRAMES))]
#[bench::srv6(sending(Over::Srv6, FRAMES))]
#[bench::srv6_way(sending(Over::Srv6Way, FRAMES))]
#[bench::mpls(sending(Over::Mpls, FRAMES))]
#[bench::mpls_udp(sending(Over::MplsUdp, FRAMES))]
#[bench::packets_vxlan_ipv6(sending(Over::VxlanIpv6, PACKETS))]
#[bench::packets_srv6_way(sending(Over::Srv6Way, PACKETS))]
#[bench::packets_mpls(sending(Over::Mpls, PACKETS))]
fn encapsulate(mut node: Node) -> Node {
    black_box(&mut node).process(0);
    node
}

#[library_benchmark]
#[bench::ipv4(passing_on(Over::VxlanIpv4))]
#[bench::ipv6(passing_on(Over::VxlanIpv6))]
#[bench::end_psp(passing_on(Over::Srv6Way))]
#[bench::pop(passing_on(Over::Mpls))]
fn pass_on(mut node: Node) -> Node {
    black_box(&mut node).process(0);
    node
}

#[library_benchmark]
#[bench::vxlan_ipv4(receiving(Over::VxlanIpv4, FRAMES))]
#[bench::vxlan_ipv6(receiving(Over::VxlanIpv6, FRAMES))]
#[bench::srv6(receiving(Over::Srv6, FRAMES))]
#[bench::mpls(receiving(Over::Mpls, FRAMES))]
#[bench::mpls_udp(receiving(Over::MplsUdp, FRAMES))]
#[bench::packets_vxlan_ipv6(receiving(Over::VxlanIpv6, PACKETS))]
#[bench::packets_srv6(receiving(Over::Srv6, PACKETS))]
#[bench::packets_mpls(receiving(Over::Mpls, PACKETS))]
fn decapsulate(mut node: Node) -> Node {
    black_box(&mut node).process(1);
    node
}

// One burst in and one out; 1 of the 13 classes has low latency, all rates are far away.
#[library_benchmark]
#[bench::segments_4096(warmed(1, 4_096, 8_192, true))]
#[bench::segments_4096_borrowed(warmed(1, 4_096, 8_192, false))]
#[bench::segments_65536(warmed(1, 65_536, 65_536, true))]
fn shape_and_schedule(mut bed: Bed) -> Bed {
    black_box(&mut bed).enqueue();
    black_box(&mut bed).poll();
    bed
}

// A burst out of which about 58 are due, from segments that are all over their rates; and one that finds nothing.
#[library_benchmark]
#[bench::segments_4096(due(4_096))]
#[bench::segments_65536(due(65_536))]
fn schedule_throttled(mut bed: Bed) -> Bed {
    black_box(&mut bed).poll();
    bed
}

/// The same when nothing is due any more.
fn nothing_due(segments: u32) -> Bed {
    let mut bed = due(segments);
    while bed.poll() != 0 {
        bed.drain(|_, _| ());
    }
    bed
}

#[library_benchmark]
#[bench::segments_4096(nothing_due(4_096))]
#[bench::segments_65536(nothing_due(65_536))]
fn poll_nothing(mut bed: Bed) -> Bed {
    black_box(&mut bed).poll();
    bed
}

library_benchmark_group!(name = queues, benchmarks = [shape_and_schedule, schedule_throttled, poll_nothing]);

library_benchmark_group!(
    name = packets,
    benchmarks =
        [parse_and_classify, classify_meter_encapsulate, classify_police_shape_encapsulate, decapsulate_meter_deliver]
);

library_benchmark_group!(name = transports, benchmarks = [forward, encapsulate, pass_on, decapsulate]);

main!(library_benchmark_groups = packets, transports, queues);

const _: () = assert!(BURST_FRAMES_MAX == 64);
