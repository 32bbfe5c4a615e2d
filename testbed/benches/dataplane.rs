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
use testbed::bench::lab::{Lab, Underlay};
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

library_benchmark_group!(
    name = packets,
    benchmarks = [parse_and_classify, classify_meter_encapsulate, decapsulate_meter_deliver]
);

main!(library_benchmark_groups = packets);

const _: () = assert!(BURST_FRAMES_MAX == 64);
