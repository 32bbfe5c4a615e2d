//! What slices were promised, beside what was measured of it between two readings of their edges.
//!
//! Nothing is estimated: where what was read does not tell, the verdict says so. Nothing here waits or asks.

mod delays;
mod rates;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use api::v1;
use api::v1::Verdict;
use model::profile::Catalog;
use model::{NodeName, PortName, SliceName};

use crate::decided::Decided;
use crate::edges::Gathered;

/// What edges said twice: their meters, queues and paths.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    pub(crate) before: Gathered,
    pub(crate) after: Gathered,
}

/// What one slice, or every one, was promised and got.
pub(crate) fn objectives(
    decided: &Decided,
    catalog: &Catalog,
    only: Option<&SliceName>,
    looks: &Looks,
) -> Vec<v1::SliceObjectives> {
    let names = decided.intents.slices.keys().filter(|name| only.is_none_or(|only| only == *name));
    let of_slice = |name: &SliceName| {
        let rates = rates::of_slice(decided, name, looks);
        let delays = delays::of_slice(decided, catalog, name, looks);
        let verdicts = rates.iter().flat_map(|rate| [rate.guarantee(), rate.ceiling()]);
        // A backup carries nothing while all is well.
        let of_delays = delays.iter().filter(|delay| !delay.backup).map(v1::DelayObjective::verdict);
        let verdict = worst(verdicts.chain(of_delays));
        v1::SliceObjectives { slice: name.to_string(), verdict: verdict.into(), rates, delays }
    };
    names.map(of_slice).collect()
}

/// The edges that have an SDP of the slice, or of any.
pub(crate) fn edges(decided: &Decided, only: Option<&SliceName>) -> Vec<NodeName> {
    let programs = decided.plan.programs.iter();
    let concerned = programs.filter(|(_, program)| match only {
        Some(slice) => program.content.slice(slice).is_some(),
        None => !program.content.slices.is_empty(),
    });
    concerned.map(|(name, _)| name.clone()).collect()
}

/// What nothing was promised of has no part in it.
fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::Unspecified => 0,
        Verdict::Met => 1,
        Verdict::NotMeasurable => 2,
        Verdict::NotMet => 3,
    };
    verdicts.max_by_key(weight).unwrap_or(Verdict::Unspecified)
}

/// The queues of a slice at some ports of an edge, between two readings.
#[derive(Debug, Default)]
struct Queued<'a> {
    /// Between the readings; 0 if a port was not read twice.
    nanoseconds: u64,
    sent_octets: u64,
    dropped_frames: u64,
    waited_frames: u64,
    waiting_frames: u64,
    /// How many frames that were sent in between stayed how long, by the least time, with the bucket's end.
    stays: BTreeMap<u64, (Option<u64>, u64)>,
    /// Micro-segments in which frames wait, or were dropped.
    pressed: Vec<&'a str>,
}

impl<'a> Queued<'a> {
    fn of(looks: &'a Looks, edge: &NodeName, ports: &[&PortName], slice: &SliceName) -> Self {
        let mut queued = Self::default();
        let is_here = |queue: &&v1::QueueCounter| {
            let at = queue.edge == edge.as_str() && ports.iter().any(|port| port.as_str() == queue.port);
            at && queue.slice == slice.as_str()
        };
        let key = |queue: &'a v1::QueueCounter| (&queue.port, &queue.segment, &queue.class);
        let before: BTreeMap<_, _> = looks.before.queues.iter().filter(is_here).map(|q| (key(q), q)).collect();
        let none = v1::QueueCounter::default();
        for queue in looks.after.queues.iter().filter(is_here) {
            let earlier = before.get(&key(queue)).copied().unwrap_or(&none);
            let dropped = more(drops(earlier), drops(queue));
            if queue.segment.is_empty() {
                queued.add(earlier, queue, dropped);
            } else if dropped > 0 || queue.waiting_frames > 0 {
                queued.pressed.push(&queue.segment);
            }
        }
        queued.nanoseconds = interval(looks, edge, ports).unwrap_or(0);
        queued
    }

    fn add(&mut self, before: &v1::QueueCounter, after: &v1::QueueCounter, dropped: u64) {
        self.sent_octets = self.sent_octets.saturating_add(more(before.sent_octets, after.sent_octets));
        self.dropped_frames = self.dropped_frames.saturating_add(dropped);
        self.waited_frames = self.waited_frames.saturating_add(before.waiting_frames);
        self.waiting_frames = self.waiting_frames.saturating_add(after.waiting_frames);
        let buckets = |queue: &v1::QueueCounter| queue.sojourns.clone().unwrap_or_default().buckets;
        let earlier: BTreeMap<u64, u64> = buckets(before).iter().map(|b| (b.from_nanoseconds, b.frames)).collect();
        for bucket in buckets(after) {
            let frames = more(earlier.get(&bucket.from_nanoseconds).copied().unwrap_or(0), bucket.frames);
            let (_, stayed) = self.stays.entry(bucket.from_nanoseconds).or_insert((bucket.below_nanoseconds, 0));
            *stayed = stayed.saturating_add(frames);
        }
    }

    /// What 99 % of the frames that were sent in between did not reach, and what 1 % of them reached at least.
    fn p99(&self) -> Option<(u64, u64)> {
        let all: u128 = self.stays.values().map(|(_, frames)| u128::from(*frames)).sum();
        let wanted = (all * 99).div_ceil(100).max(1);
        let mut seen = 0;
        let (least, (end, _)) = self.stays.iter().find(|(_, (_, frames))| {
            seen += u128::from(*frames);
            seen >= wanted
        })?;
        Some((end.unwrap_or(u64::MAX), *least))
    }
}

/// The shortest time between the two readings of any of the ports, by the edge's own clock.
fn interval(looks: &Looks, edge: &NodeName, ports: &[&PortName]) -> Option<u64> {
    let read = |look: &Gathered, port: &PortName| {
        let mut rows = look.ports.iter();
        let row = rows.find(|row| row.edge == edge.as_str() && row.port == port.as_str());
        row.map(|row| row.read_at_nanoseconds)
    };
    let intervals = ports.iter().map(|port| read(&looks.after, port)?.checked_sub(read(&looks.before, port)?));
    intervals.collect::<Option<Vec<u64>>>()?.into_iter().min()
}

fn drops(queue: &v1::QueueCounter) -> u64 {
    queue.dropped.iter().map(|drop| drop.frames).fold(0, u64::saturating_add)
}

/// How much more; what has begun anew has counted that since.
const fn more(before: u64, after: u64) -> u64 {
    if after >= before { after - before } else { after }
}

/// What a rate comes to in a time, in octets.
fn octets(bits_per_second: u64, nanoseconds: u64) -> u64 {
    let octets = u128::from(bits_per_second) * u128::from(nanoseconds) / 8_000_000_000;
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// Octets in a time, as a rate; `None` without a time.
fn rate(octets: u64, nanoseconds: u64) -> Option<u64> {
    let bits = (u128::from(octets) * 8_000_000_000).checked_div(u128::from(nanoseconds))?;
    Some(u64::try_from(bits).unwrap_or(u64::MAX))
}
