//! Our scheduler beside DPDK's rte_sched, where the models agree: one class, equal weights, no rate that limits. A quarter
//! of the pipes is offered less than its share and gets all of it; the others are offered more and get the same each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::path::Path;
use std::process::Command;

use testbed::bench::qos::bed::{Bed, Setting};
use transport_dataplane::QueueId;

#[test]
#[ignore = "needs DPDK's library and a C compiler"]
fn every_segment_gets_what_it_gets_of_rte_sched() {
    let (ours, theirs) = (ours(), theirs());
    assert_eq!((ours.len(), theirs.len()), (PIPES as usize, PIPES as usize));
    let all = |sent: &[u64]| sent.iter().sum::<u64>();
    assert_eq!(all(&theirs), u64::from(TICKS / 2) * 64, "the peer was polled for the same");
    assert_eq!(all(&ours), all(&theirs));
    for (pipe, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!(ours.abs_diff(*theirs) <= BOUND, "segment {pipe}: {ours} frames, rte_sched {theirs}");
    }
    // The bound tells those who have a share from those who have all that they offer.
    let (light, heavy) = (ours[..PIPES as usize / 4].iter().max(), ours[PIPES as usize / 4..].iter().min());
    assert!(light.zip(heavy).is_some_and(|(light, heavy)| light + 2 * BOUND < *heavy), "{light:?} {heavy:?}");
    if let Some(logs) = std::env::var_os("MICROSLICE_LOGS") {
        let worst = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.abs_diff(*theirs)).max().unwrap();
        let text = format!("shares beside rte_sched: {PIPES} pipes, farthest {worst} of {} frames", heavy.unwrap());
        std::fs::write(Path::new(&logs).join("shares.txt"), text).unwrap();
    }
}

/// Frames that each segment sends in the second half.
fn ours() -> Vec<u64> {
    let setting = Setting {
        slices: 1,
        segments: PIPES,
        port: 800_000_000_000,
        guaranteed: 0,
        ceiling: 800_000_000_000,
        low_latency: 0,
        burst_octets: 1_000_000,
        queue_octets: 64 * (200 + 24),
        // Beyond what can be queued, so that no queue is held to a part of it.
        frames: PIPES * 64 * 2,
        queues: PIPES * 2,
    };
    let mut bed = Bed::new(&setting);
    (0..PIPES).for_each(|segment| bed.segment(&setting, segment, (1, 1)));
    bed.owners = vec![(QueueId { segment: 0, class: 0 }, 0); setting.frames as usize];
    let mut sent = vec![0; PIPES as usize];
    for tick in 0..TICKS {
        for burst in [64, 32] {
            for _ in 0..burst {
                let drawn = bed.random();
                let (light, pick) = (PIPES / 4, u32::try_from(drawn >> 20 & 0xffff_ffff).unwrap());
                let segment = if drawn.is_multiple_of(16) { pick % light } else { light + pick % (PIPES - light) };
                bed.put(segment, 5, 200);
            }
            bed.enqueue();
            bed.clear();
        }
        bed.now += 8_000;
        bed.poll();
        bed.drain(|queue, _| sent[queue.segment as usize] += u64::from(tick >= TICKS / 2));
    }
    sent
}

/// The same of the peer.
fn theirs() -> Vec<u64> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sched_share.c");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sched_share");
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libdpdk"]).output().unwrap();
    assert!(flags.status.success(), "DPDK's library is not installed");
    let flags = String::from_utf8(flags.stdout).unwrap();
    let built = Command::new("gcc")
        .args(["-O2", "-march=native", "-Wno-deprecated-declarations"])
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .args(flags.split_whitespace())
        .status();
    assert!(built.unwrap().success());
    let library =
        ["--no-huge", "--no-pci", "-m", "512", "-l", "0", "--log-level=4", "--no-telemetry", "--no-shconf", "--"];
    let output = Command::new(program).args(library).args([PIPES.to_string(), TICKS.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let counts = text.lines().filter_map(|line| line.split_once(' ')?.1.parse().ok());
    counts.collect()
}

const PIPES: u32 = 256;
const TICKS: u32 = 32_000;
/// Two full queues: rte_sched empties a queue before it goes on, so that one may have been emptied once more or less at
/// either end.
const BOUND: u64 = 128;
