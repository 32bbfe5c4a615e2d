//! How long packets may take from one SDP to another, and how long they took: over the path as its probes measured it,
//! and in the queues at both ends.
//!
//! Three 99th percentiles that add up to less than the bound meet it: at most three frames in a hundred took longer than
//! their sum. One that is above the bound alone does not. Otherwise nobody can tell.

use api::v1;
use api::v1::Verdict;
use model::profile::Catalog;
use model::{NodeName, PortName, SliceName};

use super::{Looks, Queued, more};
use crate::decided::Decided;
use crate::transport;

pub(super) fn of_slice(
    decided: &Decided,
    catalog: &Catalog,
    slice: &SliceName,
    looks: &Looks,
) -> Vec<v1::DelayObjective> {
    let paths = transport::paths(decided, catalog, Some(slice), None, looks.after.paths.clone());
    paths.iter().filter_map(|path| objective(decided, slice, looks, path)).collect()
}

fn objective(decided: &Decided, slice: &SliceName, looks: &Looks, path: &v1::PathStatus) -> Option<v1::DelayObjective> {
    let program = path.program.as_ref()?;
    let used = path.uses.iter().find(|used| used.slice == slice.as_str())?;
    let queueing = |edge: &str, ports: Vec<&PortName>| {
        let edge: NodeName = edge.parse().ok()?;
        Queued::of(looks, &edge, &ports, slice).p99()
    };
    let from = path.from.parse::<NodeName>().ok().and_then(|from| decided.plan.programs.get(&from))?;
    let port = from.content.core_ports.iter().map(|core| &core.port).find(|port| port.as_str() == program.port);
    let sending = queueing(&path.from, port.into_iter().collect());
    let to = program.to.parse::<NodeName>().ok().and_then(|to| decided.plan.programs.get(&to));
    let circuits = to.and_then(|to| to.content.slice(slice)).map(|slice| slice.circuits.as_slice()).unwrap_or_default();
    let receiving = queueing(&program.to, circuits.iter().map(|circuit| &circuit.port).collect());
    let measured = path.reading.as_ref().and_then(one_way);
    let (verdict, reason) = verdict(used.delay_nanoseconds_max, path.reading.as_ref(), measured, [sending, receiving]);
    let (answered, lost) = probes(looks, path);
    Some(v1::DelayObjective {
        from: path.from.clone(),
        to: program.to.clone(),
        path: program.id,
        backup: used.backup,
        promised_nanoseconds: used.delay_nanoseconds_max,
        path_nanoseconds: measured,
        sending_nanoseconds: sending.map(|(below, _)| below),
        receiving_nanoseconds: receiving.map(|(below, _)| below),
        probes_answered: answered,
        probes_lost: lost,
        verdict: verdict.into(),
        reason,
    })
}

/// Each queueing delay as what 99 % did not reach, and what the others did.
fn verdict(
    promised: Option<u64>,
    reading: Option<&v1::PathReading>,
    measured: Option<u64>,
    queueing: [Option<(u64, u64)>; 2],
) -> (Verdict, String) {
    let tell = |verdict, reason: &str| (verdict, reason.to_owned());
    let Some(promised) = promised else { return tell(Verdict::Unspecified, "no delay is promised") };
    let Some(reading) = reading else { return tell(Verdict::NotMeasurable, "the path was not read") };
    if reading.state() != v1::PathState::Up {
        return tell(Verdict::NotMeasurable, "the path is not up");
    }
    let Some(measured) = measured else { return tell(Verdict::NotMeasurable, "no probe was answered yet") };
    let queueing = queueing.into_iter().flatten();
    let sum = queueing.clone().map(|(below, _)| below).fold(measured, u64::saturating_add);
    let longest = queueing.map(|(_, least)| least).fold(measured, u64::max);
    if sum <= promised {
        return tell(Verdict::Met, "");
    }
    if longest > promised {
        return tell(Verdict::NotMet, "");
    }
    tell(Verdict::NotMeasurable, "path and queues are within it, each by itself; their sum is not")
}

/// The 99th percentile of the delay one way: as measured where both clocks can be compared, else half of there and back.
fn one_way(reading: &v1::PathReading) -> Option<u64> {
    let p99 = |delays: Option<&v1::Delays>| delays.filter(|delays| delays.count > 0).map(|delays| delays.p99);
    p99(reading.forward.as_ref()).or_else(|| p99(reading.round_trip.as_ref()).map(|there_and_back| there_and_back / 2))
}

/// Answered and lost between the two readings.
fn probes(looks: &Looks, path: &v1::PathStatus) -> (u64, u64) {
    let Some(after) = &path.reading else { return (0, 0) };
    let before = looks.before.paths.iter().find(|before| before.edge == after.edge && before.program == after.program);
    // Without an earlier one nothing is known of the time between.
    before.map_or((0, 0), |before| {
        let answered = more(before.probes_answered, after.probes_answered);
        (answered, more(before.probes_lost, after.probes_lost))
    })
}
