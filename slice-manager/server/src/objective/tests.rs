//! Slice `iot` of the reference world: 20 Mbit/s for sure and 100 Mbit/s at most at each SDP, 10 ms from one to another.
//! Readings are made up; what is expected of them is reckoned by hand: in a second, 20 Mbit/s are 2,500,000 octets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::plan::Plan;

use super::*;
use crate::decided::next_plan;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

fn world() -> (Decided, Catalog) {
    let mut intents = plan::Intents::default();
    for file in ["topology", "iot"] {
        let path = format!("{}/../../profiles/reference/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let declared = model::resource::read(file, &std::fs::read_to_string(path).unwrap()).unwrap();
        for declared in declared {
            intents.apply(declared.resource);
        }
    }
    let catalog = Catalog::builtin().unwrap();
    let plan = next_plan(&intents, &Plan::default(), &catalog, &BTreeMap::new(), &BTreeSet::new()).unwrap();
    (Decided { intents: Arc::new(intents), plan: Arc::new(plan), ..Decided::default() }, catalog)
}

/// What edge-a has counted when it is read.
#[derive(Clone, Default)]
struct EdgeA {
    at: u64,
    offered: u64,
    metered_drops: u64,
    sent: u64,
    waiting: u64,
    dropped: u64,
    /// By least time, with the end of the bucket.
    stays: Vec<(u64, u64, u64)>,
    excess: v1::Excess,
    /// The delay of paths, as probes have it; none: no probe was answered.
    path: Option<u64>,
}

/// All of it as it would be gathered: from devices, by the first core port; the other direction has been silent.
fn gathered(decided: &Decided, edge: &EdgeA) -> Gathered {
    let content = &decided.plan.programs["edge-a"].content;
    let meter = |direction: &str, octets, dropped_packets| v1::MeterCounter {
        edge: "edge-a".into(),
        slice: "iot".into(),
        sdp: "city".into(),
        direction: direction.into(),
        passed_octets: octets,
        dropped_packets,
        excess: edge.excess.into(),
        read_at_nanoseconds: edge.at,
        ..v1::MeterCounter::default()
    };
    let ports = content.core_ports.iter().map(|core| core.port.as_str()).chain(["access0"]);
    let port = |port: &str| v1::PortCounter {
        edge: "edge-a".into(),
        port: port.into(),
        read_at_nanoseconds: edge.at,
        ..v1::PortCounter::default()
    };
    let bucket = |(from, below, frames): &(u64, u64, u64)| v1::SojournBucket {
        from_nanoseconds: *from,
        below_nanoseconds: Some(*below),
        frames: *frames,
    };
    let queue = |segment: &str| v1::QueueCounter {
        edge: "edge-a".into(),
        port: content.core_ports[0].port.to_string(),
        slice: "iot".into(),
        segment: segment.into(),
        class: "best-effort".into(),
        waiting_frames: edge.waiting,
        sent_octets: edge.sent,
        dropped: vec![v1::QueueDrop { reason: "queue-time".into(), frames: edge.dropped }],
        sojourns: Some(v1::Sojourns { buckets: edge.stays.iter().map(bucket).collect() }),
        ..v1::QueueCounter::default()
    };
    let paths = content.paths.iter().map(|path| v1::PathReading {
        edge: "edge-a".into(),
        program: Some(path.into()),
        state: v1::PathState::Up.into(),
        probes_answered: edge.at / SECOND * 10,
        probes_lost: edge.at / SECOND,
        round_trip: edge.path.map(|p99| v1::Delays { count: 9, p99: 2 * p99, ..v1::Delays::default() }),
        ..v1::PathReading::default()
    });
    Gathered {
        meters: vec![meter("from-access", edge.offered, edge.metered_drops), meter("to-access", 0, 0)],
        ports: ports.map(port).collect(),
        queues: vec![queue(""), queue("smart-metering")],
        paths: paths.collect(),
        ..Gathered::default()
    }
}

/// The slice, a second apart: from nothing to that.
fn measured(before: &EdgeA, after: &EdgeA) -> v1::SliceObjectives {
    let (decided, catalog) = world();
    let looks = Looks { before: gathered(&decided, before), after: gathered(&decided, after) };
    let only = "iot".parse().unwrap();
    let mut slices = objectives(&decided, &catalog, Some(&only), &looks);
    assert_eq!(slices.len(), 1);
    slices.remove(0)
}

/// What is found of edge-a's SDP, from devices.
fn city(before: &EdgeA, after: &EdgeA) -> v1::RateObjective {
    let slice = measured(before, after);
    let mut rates = slice.rates.into_iter();
    rates.find(|rate| rate.edge == "edge-a" && rate.direction == "from-access").unwrap()
}

fn start() -> EdgeA {
    EdgeA { at: SECOND, ..EdgeA::default() }
}

fn later(sent: u64) -> EdgeA {
    EdgeA { at: 2 * SECOND, offered: sent, sent, excess: v1::Excess::Waits, ..EdgeA::default() }
}

#[test]
fn who_asks_for_less_than_the_guarantee_and_gets_it_has_it() {
    let found = city(&start(), &later(1_250_000));
    assert_eq!((found.guarantee(), found.ceiling(), found.reason.as_str()), (Verdict::Met, Verdict::Met, ""));
    assert_eq!((found.offered_bits_per_second, found.sent_bits_per_second), (Some(10_000_000), Some(10_000_000)));
    let promised = found.promised.unwrap();
    assert_eq!((promised.guaranteed_bits_per_second, promised.ceiling_bits_per_second), (20_000_000, 100_000_000));
}

#[test]
fn a_guarantee_is_missed_only_if_frames_wait_at_both_readings_while_less_is_sent() {
    let waits = |edge: EdgeA| EdgeA { waiting: 40, ..edge };
    let missed = city(&waits(start()), &waits(later(1_250_000)));
    assert_eq!(missed.guarantee(), Verdict::NotMet);
    assert_eq!(missed.reason, "less than the guarantee was sent, while 40 frames wait");
    assert_eq!(city(&waits(start()), &waits(later(2_500_000))).guarantee(), Verdict::Met);
    // A burst that came just before the second reading says nothing of the time before.
    let burst = city(&start(), &waits(later(1_250_000)));
    assert_eq!(burst.guarantee(), Verdict::NotMeasurable);
    assert_eq!(burst.reason, "40 frames wait and 0 were dropped, but not all the time");
    let dropped = city(&start(), &EdgeA { metered_drops: 7, ..later(1_250_000) });
    assert_eq!(dropped.guarantee(), Verdict::NotMeasurable);
    assert_eq!(dropped.reason, "7 frames came faster than the ceiling and were dropped");
    assert_eq!(dropped.dropped_frames, 7);
}

#[test]
fn a_segment_at_its_own_ceiling_is_no_breach_of_what_its_slice_is_promised() {
    let (decided, catalog) = world();
    // As if smart-metering were bound to 8 Mbit/s, below what its slice is guaranteed.
    let mut plan = Plan::clone(&decided.plan);
    let program = plan.programs.get_mut("edge-a").unwrap();
    let limits = |guaranteed, ceiling| {
        let rate = model::Rate::from_bits_per_second;
        model::RateLimits::new(rate(guaranteed), rate(ceiling)).unwrap()
    };
    for segment in &mut program.content.slices[0].segments {
        segment.limits = limits(0, 8_000_000);
    }
    let decided = Decided { plan: Arc::new(plan), ..decided };
    let (before, after) = (EdgeA { waiting: 40, ..start() }, EdgeA { waiting: 40, ..later(1_000_000) });
    let looks = Looks { before: gathered(&decided, &before), after: gathered(&decided, &after) };
    let found = objectives(&decided, &catalog, None, &looks);
    let found = found[0].rates.iter().find(|rate| rate.edge == "edge-a" && rate.direction == "from-access").unwrap();
    assert_eq!(found.guarantee(), Verdict::Met);
    assert_eq!(found.reason, "smart-metering sends all that its own ceiling allows");
}

/// 100 Mbit/s are 12,500,000 octets in a second; at once after a silence 125,000 for each way out, of which there are some.
#[test]
fn a_ceiling_holds_if_no_more_passed_than_it_allows() {
    assert_eq!(city(&start(), &later(12_500_000)).ceiling(), Verdict::Met);
    assert_eq!(city(&start(), &later(13_500_000)).ceiling(), Verdict::NotMet);
    let policed = |offered| EdgeA { offered, excess: v1::Excess::Dropped, ..later(0) };
    assert_eq!(city(&start(), &policed(12_625_000)).ceiling(), Verdict::Met);
    assert_eq!(city(&start(), &policed(12_625_001)).ceiling(), Verdict::NotMet);
}

#[test]
fn an_edge_that_was_not_read_twice_tells_nothing() {
    let slice = measured(&start(), &later(0));
    assert_eq!(slice.verdict(), Verdict::NotMeasurable, "edge-b and edge-c were not read");
    let of_b = slice.rates.iter().find(|rate| rate.edge == "edge-b").unwrap();
    assert_eq!((of_b.guarantee(), of_b.ceiling()), (Verdict::NotMeasurable, Verdict::NotMeasurable));
    assert_eq!((of_b.sent_bits_per_second, of_b.reason.as_str()), (None, "its edge was not read twice"));
    // Its clock began anew: it has been started again.
    let again = city(&EdgeA { at: 9 * SECOND, ..start() }, &later(0));
    assert_eq!(again.guarantee(), Verdict::NotMeasurable);
}

fn delay(after: &EdgeA) -> v1::DelayObjective {
    let slice = measured(&start(), after);
    let first = world().0.plan.programs["edge-a"].content.core_ports[0].port.to_string();
    let (decided, _) = world();
    let path = decided.plan.programs["edge-a"].content.paths.iter().find(|path| path.port.as_str() == first).unwrap();
    let mut delays = slice.delays.into_iter();
    let is_it = |delay: &v1::DelayObjective| {
        delay.from == "edge-a" && delay.to == path.to.as_str() && delay.path == u32::from(path.id.get())
    };
    delays.find(is_it).unwrap()
}

#[test]
fn a_delay_is_that_of_the_path_and_of_the_queues_at_both_ends() {
    let on_path = |milliseconds| EdgeA { path: Some(milliseconds * MILLISECOND), ..later(0) };
    let plain = delay(&on_path(9));
    assert_eq!((plain.verdict(), plain.promised_nanoseconds), (Verdict::Met, Some(10 * MILLISECOND)));
    assert_eq!((plain.path_nanoseconds, plain.sending_nanoseconds), (Some(9 * MILLISECOND), None));
    assert_eq!((plain.probes_answered, plain.probes_lost), (10, 1));
    // One frame in 200 stays 3 ms, which is no matter for the 99th percentile.
    let queued = EdgeA { stays: vec![(0, 1_024, 199), (3 * MILLISECOND, 4 * MILLISECOND, 1)], ..on_path(9) };
    let queued = delay(&queued);
    assert_eq!((queued.verdict(), queued.sending_nanoseconds), (Verdict::Met, Some(1_024)));
    // One in 50 is: 9 ms on the path and less than 4 ms in the queue may be more than 10 ms, and need not be.
    let queued = EdgeA { stays: vec![(0, 1_024, 49), (3 * MILLISECOND, 4 * MILLISECOND, 1)], ..on_path(9) };
    assert_eq!(delay(&queued).verdict(), Verdict::NotMeasurable);
    let queued = EdgeA { stays: vec![(0, 1_024, 49), (11 * MILLISECOND, 12 * MILLISECOND, 1)], ..on_path(1) };
    assert_eq!(delay(&queued).verdict(), Verdict::NotMet);
    assert_eq!(delay(&on_path(11)).verdict(), Verdict::NotMet);
    let unanswered = delay(&later(0));
    assert_eq!(unanswered.verdict(), Verdict::NotMeasurable);
    assert_eq!(unanswered.reason, "no probe was answered yet");
}

#[test]
fn a_slice_has_met_its_objectives_only_if_each_is_and_what_is_not_promised_has_no_part() {
    let of = |verdicts: &[Verdict]| worst(verdicts.iter().copied());
    assert_eq!(of(&[Verdict::Met, Verdict::Unspecified]), Verdict::Met);
    assert_eq!(of(&[Verdict::Met, Verdict::NotMeasurable]), Verdict::NotMeasurable);
    assert_eq!(of(&[Verdict::NotMet, Verdict::NotMeasurable, Verdict::Met]), Verdict::NotMet);
    assert_eq!(of(&[]), Verdict::Unspecified);
}
