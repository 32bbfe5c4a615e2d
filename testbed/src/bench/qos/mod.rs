//! Benchmarks of the scheduler and the meters: in memory, one core, the arrivals of the peer's harness.
//!
//! The peer is DPDK's rte_sched and rte_meter. Where the environment variable `MICROSLICE_PEERS` names a folder with its harness
//! (`a_dpdk/sched.c`, `a_dpdk/throttle.c`) and DPDK's library is installed, both run in turns, and ratios are given.

pub mod bed;
mod clocked;
mod peer;
mod plot;
pub mod runs;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::{Row, finish, median, say};
use peer::Peer;

/// Measures, prints a row for each figure, and writes the rows as JSON if asked to, with two pictures of them beside it.
pub fn run(json: Option<&Path>) -> ExitCode {
    let peer = Peer::find();
    let mut rows = Rows { rows: Vec::new() };
    unthrottled(&mut rows, peer.as_ref());
    throttled(&mut rows, peer.as_ref());
    idle(&mut rows);
    exact(&mut rows);
    meters(&mut rows, peer.as_ref());
    if let Some(json) = json
        && let Err(error) = plot::draw(&rows.rows, json)
    {
        let _ = writeln!(std::io::stderr(), "{}: no pictures beside it: {error}", json.display());
        return ExitCode::FAILURE;
    }
    finish(&rows.rows, json)
}

struct Rows {
    rows: Vec<Row>,
}

impl Rows {
    /// A figure beside a peer's, both as medians, and the ratio that is aimed at.
    fn beside(&mut self, figure: String, unit: &'static str, ours: Vec<f64>, theirs: Vec<f64>, aim: f64) -> f64 {
        let value = median(ours);
        let peer_value = (!theirs.is_empty()).then(|| median(theirs));
        let ratio = peer_value.map(|peer| value / peer);
        self.add(Row {
            figure,
            value,
            unit,
            peer: peer_value.map(|_| "DPDK 22.11"),
            peer_value,
            ratio,
            aim: ratio.map(|_| aim),
            met: ratio.map(|ratio| ratio <= aim),
        });
        value
    }

    /// A figure that is aimed at by itself.
    fn alone(&mut self, figure: String, unit: &'static str, value: f64, aim: f64) {
        let met = Some(value <= aim);
        self.add(Row { figure, value, unit, peer: None, peer_value: None, ratio: None, aim: Some(aim), met });
    }

    /// A figure that has no aim.
    fn told(&mut self, figure: String, unit: &'static str, value: f64) {
        self.add(Row { figure, value, unit, peer: None, peer_value: None, ratio: None, aim: None, met: None });
    }

    fn add(&mut self, row: Row) {
        say(&row);
        self.rows.push(row);
    }
}

/// Nobody is over a rate: what a frame costs, by the number of segments.
fn unthrottled(rows: &mut Rows, peer: Option<&Peer>) {
    let mut growth = Vec::new();
    for (slices, segments, backlog, aim) in [
        (1, 4_096, 8_192, 0.5),
        (1, 1_024, 131_072, 1.0),
        (1, 4_096, 131_072, 1.0),
        (1, 65_536, 131_072, 0.5),
        (16, 1 << 20, 131_072, 0.3),
    ] {
        let (mut guaranteed, mut borrowed, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds(segments) {
            guaranteed.push(runs::unthrottled(slices, segments, backlog, true));
            borrowed.push(runs::unthrottled(slices, segments, backlog, false));
            let queue = if backlog == 8_192 { "64" } else { "16" };
            let (slices, each) = (slices.to_string(), (segments / u32::from(slices)).to_string());
            let arguments = ["sched", &slices, &each, "64", &backlog.to_string(), "1", queue, "0"];
            theirs.extend(peer.and_then(|peer| peer.scheduler(&arguments, "sum_ns")));
        }
        let figure = format!("shape and schedule, {segments} segments, {backlog} queued");
        let values = [("guaranteed", guaranteed), ("borrowed", borrowed)]
            .map(|(way, ours)| rows.beside(format!("{figure}, {way}"), "ns/packet", ours, theirs.clone(), aim));
        if backlog != 8_192 {
            growth.push(values);
        }
    }
    if let (Some(first), Some(last)) = (growth.first(), growth.last()) {
        for (number, way) in ["guaranteed", "borrowed"].into_iter().enumerate() {
            let times = last[number] / first[number];
            rows.alone(format!("growth from 1,024 to 1,048,576 segments, {way}"), "times", times, 2.0);
        }
    }
}

/// Segments are over their rates: what a frame that is sent costs, the poller nearly saturated.
fn throttled(rows: &mut Rows, peer: Option<&Peer>) {
    let mut growth = Vec::new();
    for (segments, share, aim) in [
        (4_096, 1.0, 0.01),
        (4_096, 0.1, 0.01),
        (4_096, 0.5, 0.01),
        (4_096, 0.9, 0.01),
        (1_024, 1.0, 0.01),
        (65_536, 1.0, 0.01),
        (1 << 20, 1.0, 0.01),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds(segments) {
            let cost = runs::throttled(segments, share, 0.9);
            ours.push(cost.dequeue);
            if segments <= 4_096 {
                let (segments, share) = (format!("pipes={segments}"), format!("f={share}"));
                let arguments = ["mode=cost", &segments, &share, "len=64", "rhos=0.9", "secs=1"];
                theirs.extend(peer.and_then(|peer| peer.throttled(&arguments, "deq_ns_pkt")));
            }
        }
        let figure = format!("throttled: {:.0} % of {segments} segments, dequeue, rho 0.9", share * 100.0);
        let value = rows.beside(figure, "ns/packet", ours, theirs, aim);
        if segments == 1_024 || segments == 1 << 20 {
            growth.push(value);
        }
    }
    if let (Some(first), Some(last)) = (growth.first(), growth.last()) {
        rows.alone("growth from 1,024 to 1,048,576 segments, throttled".into(), "times", last / first, 2.0);
    }
    // The same arrivals and queues, with rates that hold nobody back.
    let (mut held, mut free) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cost = runs::throttled(4_096, 1.0, 0.9);
        held.push(cost.dequeue + cost.enqueue);
        free.push(runs::unthrottled(1, 4_096, 8_192, true));
    }
    rows.alone("throttled to unthrottled, 4,096 segments, both ways".into(), "times", median(held) / median(free), 1.5);
}

/// What nothing costs.
fn idle(rows: &mut Rows) {
    for segments in [1_024, 65_536, 1 << 20] {
        let nanos = runs::empty_poll(segments);
        rows.alone(format!("a poll that finds nothing, {segments} segments backlogged"), "ns", nanos, 100.0);
    }
    rows.alone("an idle segment with all classes".into(), "octets", runs::idle_octets(), 256.0);
}

/// How well rates, weights and low latency hold, on a virtual clock.
fn exact(rows: &mut Rows) {
    let sizes = [Some(64), Some(65), Some(128), Some(594), Some(1_500), Some(9_000), None];
    for (segments, sizes) in [(1_024, &sizes[..]), (4_096, &sizes), (65_536, &[Some(64), Some(1_500), None])] {
        for octets in sizes.iter().copied() {
            let size = octets.map_or("IMIX".into(), |octets: u16| format!("{octets} octets"));
            let error = clocked::rates(segments, octets);
            rows.alone(
                format!("rate error, {segments} segments, {size}: 99 of 100 in 1 s"),
                "of aim",
                error.worst_of_aim,
                1.0,
            );
            rows.told(
                format!("rate error, {segments} segments, {size}: 99 of 100 in 1 s, in percent"),
                "%",
                error.worst_percent,
            );
            rows.alone(format!("rate error, {segments} segments, {size}: mean"), "%", error.mean_percent, 0.01);
        }
    }
    rows.alone("classes 1:2:4:8, IMIX: farthest from the ideal".into(), "longest frames", clocked::weights(), 1.0);
    let [half, most] = runs::low_latency();
    rows.alone(
        "low latency beside 4,096 neighbours at 10 times their rate, virtual clock: 50 of 100".into(),
        "us",
        half,
        10.0,
    );
    rows.alone(
        "low latency beside 4,096 neighbours at 10 times their rate, virtual clock: 99 of 100".into(),
        "us",
        most,
        10.0,
    );
}

/// trTCM, colour-blind (RFC 2698).
fn meters(rows: &mut Rows, peer: Option<&Peer>) {
    for (count, aim) in [(1_000, 1.0), (65_536, 1.0), (1_000_000, 0.4)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(runs::meters(count));
            let arguments = ["meter", "1", &count.to_string(), "64", "0", "1", "64", "0"];
            theirs.extend(peer.and_then(|peer| peer.scheduler(&arguments, "ns_per_pkt")));
        }
        rows.beside(format!("trTCM, {count} meters"), "ns/packet", ours, theirs, aim);
    }
}

/// A million segments take long to be made, and are measured once.
const fn rounds(segments: u32) -> usize {
    if segments > 1 << 17 { 1 } else { ROUNDS }
}

/// How often each is measured, in turns with the peer; the middle one counts.
const ROUNDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beds_send_what_is_measured() {
        let cost = runs::throttled(256, 1.0, 0.9);
        assert!((0.95..=1.05).contains(&cost.rate_got), "{}", cost.rate_got);
        assert!((0.4..=0.6).contains(&cost.refused), "{}", cost.refused);
    }
}
