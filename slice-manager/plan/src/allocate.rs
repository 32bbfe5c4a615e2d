//! Hands out VNIs and RADIUS ports.
//!
//! A number stays with its segment for as long as the segment lives. When a segment leaves an edge, the edge goes on
//! using its numbers until it has confirmed a program without them; until then they are in quarantine and no other
//! segment gets them, else packets of the old one would be read as packets of the new one.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Allocation, Plan, Quarantined};
use model::program::Program;
use model::resource::{Pools, ResourceId, SegmentId};
use model::{Generation, NodeName, Vni};

use crate::refusal::{Pool, Refusal, RefusalReason};

/// Who waits for whom, by whose numbers they were.
type Quarantine = BTreeMap<(SegmentId, Allocation), BTreeMap<NodeName, Generation>>;

/// What of the quarantine still stands, given what each edge has confirmed that it runs.
pub(crate) fn still_quarantined(parent: &Plan, confirmed: &BTreeMap<NodeName, Generation>) -> Vec<Quarantined> {
    let mut quarantine = parent.quarantine.clone();
    for entry in &mut quarantine {
        entry.awaiting.retain(|edge, since| confirmed.get(edge).is_none_or(|running| running < since));
    }
    quarantine.retain(|entry| !entry.awaiting.is_empty());
    quarantine
}

/// The lowest free numbers for every segment that has none.
pub(crate) fn allocate<'a>(
    pools: &Pools,
    segments: impl Iterator<Item = &'a SegmentId>,
    parent: &Plan,
    quarantine: &[Quarantined],
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<SegmentId, Allocation> {
    let (kept, new): (Vec<_>, Vec<_>) = segments.partition(|id| parent.allocations.contains_key(*id));
    let mut allocations: BTreeMap<SegmentId, Allocation> =
        kept.into_iter().filter_map(|id| Some((id.clone(), *parent.allocations.get(id)?))).collect();
    let numbers = |number: fn(&Allocation) -> u32| {
        let used: BTreeSet<u32> = allocations.values().map(number).collect();
        let quarantined: BTreeSet<u32> = quarantine.iter().map(|entry| number(&entry.allocation)).collect();
        (used, quarantined)
    };
    let (vni, ports) = (pools.vni, pools.radius_ports);
    let mut vnis = Numbers::new(Pool::Vni, vni.first.get(), vni.last.get(), 1, numbers(|a| a.vni.get()));
    let last_pair = u32::from(ports.last).saturating_sub(1);
    let mut access_ports =
        Numbers::new(Pool::RadiusPort, ports.first.into(), last_pair, 2, numbers(|a| a.access_port.into()));
    for id in new {
        let vni = vnis.next().and_then(|n| Vni::new(n.into()).ok());
        let access_port = access_ports.next().and_then(|n| u16::try_from(n).ok());
        if let (Some(vni), Some(access_port)) = (vni, access_port) {
            allocations.insert(id.clone(), Allocation { vni, access_port });
            continue;
        }
        let exhausted = [(vni.is_none(), &vnis), (access_port.is_none(), &access_ports)];
        for (_, numbers) in exhausted.into_iter().filter(|(is_exhausted, _)| *is_exhausted) {
            let (resource, path) = (ResourceId::MicroSegment(id.clone()), "metadata.name".to_owned());
            refusals.push(Refusal { resource, path, reason: numbers.exhausted() });
        }
    }
    allocations
}

/// The quarantine after a change of programs: a segment that leaves an edge is awaited there.
pub(crate) fn quarantine(
    parent: &Plan,
    still: Vec<Quarantined>,
    programs: &BTreeMap<NodeName, Program>,
) -> Vec<Quarantined> {
    let entries = still.into_iter().map(|entry| ((entry.segment, entry.allocation), entry.awaiting));
    let mut quarantine: Quarantine = entries.collect();
    for (edge, before) in &parent.programs {
        let Some(after) = programs.get(edge) else { continue };
        let stays: BTreeSet<_> = numbers_of(after).collect();
        for (segment, vni) in numbers_of(before).filter(|numbers| !stays.contains(numbers)) {
            if let Some(allocation) = parent.allocations.get(segment).filter(|allocation| allocation.vni == vni) {
                let awaiting = quarantine.entry((segment.clone(), *allocation)).or_default();
                awaiting.insert(edge.clone(), after.generation);
            }
        }
    }
    let entries = quarantine.into_iter();
    entries.map(|((segment, allocation), awaiting)| Quarantined { segment, allocation, awaiting }).collect()
}

fn numbers_of(program: &Program) -> impl Iterator<Item = (&SegmentId, Vni)> {
    program.content.slices.iter().flat_map(|slice| &slice.segments).map(|segment| (&segment.id, segment.vni))
}

/// The free numbers of a pool, lowest first.
struct Numbers {
    pool: Pool,
    size: u64,
    next: u32,
    last: u32,
    step: u32,
    used: BTreeSet<u32>,
    quarantined: BTreeSet<u32>,
}

impl Numbers {
    fn new(pool: Pool, first: u32, last: u32, step: u32, taken: (BTreeSet<u32>, BTreeSet<u32>)) -> Self {
        let size = last.checked_sub(first).map_or(0, |span| u64::from(span / step) + 1);
        let within = |set: BTreeSet<u32>| set.into_iter().filter(|n| (first..=last).contains(n)).collect();
        Self { pool, size, next: first, last, step, used: within(taken.0), quarantined: within(taken.1) }
    }

    fn next(&mut self) -> Option<u32> {
        // What was passed over stays taken while this runs, so the search never has to look back.
        while self.next <= self.last {
            let candidate = self.next;
            self.next = self.next.saturating_add(self.step);
            if !self.quarantined.contains(&candidate) && self.used.insert(candidate) {
                return Some(candidate);
            }
        }
        None
    }

    fn exhausted(&self) -> RefusalReason {
        // A number can be both: in use by a segment that has left one of its edges.
        let used = self.used.len() as u64;
        let quarantined = self.quarantined.difference(&self.used).count() as u64;
        RefusalReason::PoolExhausted { pool: self.pool, size: self.size, used, quarantined }
    }
}
