//! Benchmarks of the packet path: nanoseconds for a packet, in memory, one core.
//!
//! Only [`Pipeline::process`](transport_dataplane::Pipeline::process) is inside the clock; filling the burst and taking
//! what left is not, because that is the work of a port. On a machine that others use, too, the median of many samples
//! is given; instruction counts, which do not depend on the neighbours, are in `benches/dataplane.rs`.

pub mod chain;
pub mod lab;
mod ports;
pub mod qos;
mod transports;
mod workers;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use transport_dataplane::BURST_FRAMES_MAX;

use lab::{Lab, Underlay};

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// Who did the same, if anybody was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<&'static str>,
    /// How much it took there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_value: Option<f64>,
    /// Ours to theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The ratio that is aimed at, or the value, if there is no peer for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aim: Option<f64>,
    /// Is it reached?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

/// Measures the packet path, prints a row for each figure, and writes the rows as JSON if asked to. It fails if packets
/// did not go the way that is measured, not if they were slow.
pub fn run(json: Option<&Path>) -> ExitCode {
    let mut rows = Vec::new();
    for case in cases() {
        let Some(row) = measure(&case) else {
            let _ = writeln!(std::io::stderr(), "{}: the packets did not go the way that is measured", case.figure);
            return ExitCode::FAILURE;
        };
        say(&row);
        rows.push(row);
    }
    finish(&rows, json)
}

/// Measures every service over every transport, and says so in the same way.
pub fn run_transports(json: Option<&Path>) -> ExitCode {
    let rows = transports::rows(say);
    finish(&rows, json)
}

/// Measures what a second worker brings, and says so in the same way.
pub fn run_workers(json: Option<&Path>) -> ExitCode {
    let rows = workers::rows(say);
    finish(&rows, json)
}

/// Measures drivers of ports on veth pairs, as root, and says so in the same way.
pub fn run_ports(json: Option<&Path>) -> ExitCode {
    match ports::rows(say) {
        Ok(rows) => finish(&rows, json),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn finish(rows: &[Row], json: Option<&Path>) -> ExitCode {
    if let Some(file) = json
        && let Err(error) = write(file, rows)
    {
        let _ = writeln!(std::io::stderr(), "{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The way that the packets of a case take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Parse, circuit, session, source, destination; dropped by the verdict.
    Classify,
    /// The same, meters, and into the tunnel.
    Encapsulate,
    /// The same with a segment, a meter and a queue for each sender.
    Whole,
    /// Out of the tunnel, and to a device.
    Decapsulate,
}

struct Case {
    figure: String,
    kind: Kind,
    underlay: Underlay,
    sessions: u32,
    flows: u16,
    octets: usize,
    peer: Option<Peer>,
}

/// Who does the same on a core of this kind.
#[derive(Debug, Clone, Copy)]
struct Peer {
    name: &'static str,
    nanos: f64,
    /// At most so much of what the peer needs.
    aim: f64,
}

impl Case {
    fn lab(&self) -> Lab {
        match self.kind {
            Kind::Whole => Lab::of_segments(self.sessions, self.underlay),
            _ => Lab::new(self.sessions, self.underlay),
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |kind, underlay, sessions, flows, octets, peer| {
        let way = match kind {
            Kind::Classify => "parse and classify".to_owned(),
            Kind::Encapsulate => format!("classify, meter, encapsulate ({})", name(underlay)),
            Kind::Whole => format!("classify, police, shape, encapsulate ({}), 4,096 segments", name(underlay)),
            Kind::Decapsulate => format!("decapsulate, meter, deliver ({})", name(underlay)),
        };
        let figure = format!("{way}, {octets} octets, {sessions} sessions, {flows} flows each");
        cases.push(Case { figure, kind, underlay, sessions, flows, octets, peer });
    };
    for sessions in [1, 1_000, 100_000] {
        add(Kind::Classify, Underlay::Ipv4, sessions, 1, 68, None);
    }
    for underlay in [Underlay::Ipv4, Underlay::Ipv6] {
        for sessions in [1, 1_000, 100_000] {
            add(Kind::Encapsulate, underlay, sessions, 1, 68, None);
        }
        add(Kind::Encapsulate, underlay, 4_096, 1, 68, (underlay == Underlay::Ipv4).then_some(OVS_ENCAP));
        add(Kind::Whole, underlay, 4_096, 1, 68, (underlay == Underlay::Ipv4).then_some(WHOLE));
        add(Kind::Encapsulate, underlay, 1_000, 1, 1_500, None);
        for sessions in [1, 1_000, 100_000] {
            add(Kind::Decapsulate, underlay, sessions, 1, 64, None);
        }
        add(Kind::Decapsulate, underlay, 1_000, 1, 1_500, None);
    }
    cases
}

const fn name(underlay: Underlay) -> &'static str {
    match underlay {
        Underlay::Ipv4 => "IPv4",
        Underlay::Ipv6 => "IPv6",
    }
}

/// Nanoseconds for a packet; `None` if a packet went another way than the case says.
fn measure(case: &Case) -> Option<Row> {
    let mut lab = case.lab();
    let frames: Vec<Vec<u8>> = shuffled(case.sessions)
        .into_iter()
        .flat_map(|number| (0..case.flows).map(move |flow| (number, flow)))
        .map(|(number, flow)| match case.kind {
            Kind::Classify => Lab::to_stranger(number, case.octets),
            Kind::Encapsulate | Kind::Whole => Lab::to_far_end(number, 1_024 + flow, case.octets),
            Kind::Decapsulate => lab.to_device(number, case.octets),
        })
        .collect();
    let expected = match case.kind {
        Kind::Classify => (0, 0),
        Kind::Encapsulate | Kind::Whole => (0, BURST_FRAMES_MAX),
        Kind::Decapsulate => (BURST_FRAMES_MAX, 0),
    };
    let mut frames = frames.iter().map(Vec::as_slice).cycle();
    let mut samples = Vec::with_capacity(SAMPLES);
    for sample in 0..=SAMPLES {
        let mut spent = Duration::ZERO;
        for _ in 0..BURSTS {
            lab.load(frames.by_ref().take(BURST_FRAMES_MAX));
            let start = Instant::now();
            match case.kind {
                Kind::Classify | Kind::Encapsulate | Kind::Whole => lab.from_access(),
                Kind::Decapsulate => lab.from_core(),
            }
            spent += start.elapsed();
            if lab.drain() != expected {
                return None;
            }
        }
        // The first one warms up.
        if sample > 0 {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            samples.push(spent.as_nanos() as f64 / (BURSTS * BURST_FRAMES_MAX) as f64);
        }
    }
    let value = median(samples);
    let ratio = case.peer.map(|peer| value / peer.nanos);
    Some(Row {
        figure: case.figure.clone(),
        value,
        unit: "ns/packet",
        peer: case.peer.map(|peer| peer.name),
        peer_value: case.peer.map(|peer| peer.nanos),
        ratio,
        aim: case.peer.map(|peer| peer.aim),
        met: ratio.zip(case.peer).map(|(ratio, peer)| ratio <= peer.aim),
    })
}

/// The middle one.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// The numbers below `count` in an order that no prefetcher guesses: a walk by a step that has no factor in common with
/// the next power of two, leaving out what is too large.
fn shuffled(count: u32) -> Vec<u32> {
    let size = count.next_power_of_two();
    let mut numbers = Vec::with_capacity(count as usize);
    let mut at = 0_u32;
    for _ in 0..size {
        // A full-period linear congruential generator (Hull and Dobell): odd increment, multiplier 1 modulo 4.
        at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & (size - 1);
        if at < count {
            numbers.push(at);
        }
    }
    numbers
}

fn say(row: &Row) {
    let peer = match (row.peer, row.ratio, row.met) {
        (Some(peer), Some(ratio), None) => format!("  {ratio:.2} x {peer}"),
        (Some(peer), Some(ratio), Some(met)) => {
            format!("  {ratio:.2} x {peer}, {}", if met { "aim met" } else { "aim not met" })
        }
        (None, _, Some(met)) => format!("  {}", if met { "aim met" } else { "aim not met" }),
        _ => String::new(),
    };
    let _ = writeln!(std::io::stdout(), "{:72} {:8.1} {}{peer}", row.figure, row.value, row.unit);
}

fn write(file: &Path, rows: &[Row]) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(rows).map_err(std::io::Error::other)?;
    std::fs::write(file, text + "\n")
}

/// As published, 301 cycles at 2.6 GHz.
const OVS_ENCAP: Peer = Peer { name: "OVS 3.1 DPDK, VXLAN encap, 4,096 flows", nanos: 116.0, aim: 0.6 };
/// The same, and rte_meter and rte_sched of DPDK 22.11 with 4,096 entries as measured on a quiet machine of this kind: 240 to 255
/// in all, of which this is the less favourable end.
const WHOLE: Peer = Peer { name: "OVS-DPDK encap + rte_meter + rte_sched", nanos: 240.0, aim: 0.55 };
const SAMPLES: usize = 21;
const BURSTS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_go_the_way_that_is_measured() {
        for case in cases().into_iter().filter(|case| case.sessions <= 4_096) {
            let mut lab = case.lab();
            let frame = match case.kind {
                Kind::Classify => Lab::to_stranger(0, case.octets),
                Kind::Encapsulate | Kind::Whole => Lab::to_far_end(0, 1_024, case.octets),
                Kind::Decapsulate => lab.to_device(0, case.octets),
            };
            lab.load([frame.as_slice()]);
            let expected = match case.kind {
                Kind::Classify => (0, 0),
                Kind::Encapsulate | Kind::Whole => (0, 1),
                Kind::Decapsulate => (1, 0),
            };
            if case.kind == Kind::Decapsulate {
                lab.from_core();
            } else {
                lab.from_access();
            }
            assert_eq!(lab.drain(), expected, "{}", case.figure);
        }
    }

    #[test]
    fn every_number_comes_once() {
        for count in [1, 2, 1_000, 4_096, 100_000] {
            let mut numbers = shuffled(count);
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(0..count));
        }
    }
}
