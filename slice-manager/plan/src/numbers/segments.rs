//! Numbers of segments: VNIs, RADIUS ports, functions of SIDs, labels.
//!
//! A number stays with its segment for as long as the segment lives. When a segment leaves an edge, the edge goes on
//! using its numbers until it has confirmed a program without them; until then they are in quarantine and no other
//! segment gets them, else packets of the old one would be read as packets of the new one.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Allocation, Plan, Quarantined};
use model::program::{Program, Remote, SegmentProgram, Tunnel};
use model::resource::{Pools, ResourceId, SegmentId, Transport};
use model::{Generation, Label, NodeName, Vni};

use super::{Labels, Numbers};
use crate::refusal::{Pool, Refusal, RefusalReason};
use crate::wish::{SegmentWish, SliceWish};

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
pub(crate) fn segments(
    pools: &Pools,
    slices: &[SliceWish<'_>],
    parent: &Plan,
    quarantine: &[Quarantined],
    labels: &mut Labels<'_>,
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<SegmentId, Allocation> {
    let wanted = || slices.iter().flat_map(|slice| slice.segments.iter().map(move |segment| (slice, segment)));
    let kept: Vec<&Allocation> = wanted().filter_map(|(_, segment)| parent.allocations.get(segment.id)).collect();
    let numbers = |number: fn(&Allocation) -> Option<u32>| {
        let used: BTreeSet<u32> = kept.iter().filter_map(|allocation| number(allocation)).collect();
        let resting: BTreeSet<u32> = quarantine.iter().filter_map(|entry| number(&entry.allocation)).collect();
        (used, resting)
    };
    let last_pair = |last: u16| u32::from(last).saturating_sub(1);
    let (vni, ports, functions) = (pools.vni, pools.radius_ports, pools.sid_functions);
    let mut free = Free {
        vnis: Numbers::new(Pool::Vni, vni.first.get(), vni.last.get(), 1, numbers(|a| Some(a.vni.get()))),
        ports: Numbers::new(
            Pool::RadiusPort,
            ports.first.into(),
            last_pair(ports.last),
            2,
            numbers(|a| Some(a.access_port.into())),
        ),
        functions: Numbers::new(
            Pool::SidFunction,
            functions.first.into(),
            last_pair(functions.last),
            2,
            numbers(|a| a.function.map(Into::into)),
        ),
        labels,
    };
    let mut allocations = BTreeMap::new();
    for (slice, segment) in wanted() {
        let before = parent.allocations.get(segment.id);
        match free.allocation(slice.spec.transport, segment, before, &parent.programs) {
            Ok(allocation) => {
                allocations.insert(segment.id.clone(), allocation);
            }
            Err(reasons) => refusals.extend(reasons.into_iter().map(|reason| {
                let (resource, path) = (ResourceId::MicroSegment(segment.id.clone()), "metadata.name".to_owned());
                Refusal { resource, path, reason }
            })),
        }
    }
    allocations
}

/// What is free.
struct Free<'l, 'a> {
    vnis: Numbers,
    ports: Numbers,
    functions: Numbers,
    labels: &'l mut Labels<'a>,
}

impl Free<'_, '_> {
    /// The numbers of a segment: those that it has, and new ones for what it lacks. Those of another transport stay as
    /// long as any edge is told to receive by them.
    fn allocation(
        &mut self,
        transport: Transport,
        segment: &SegmentWish<'_>,
        before: Option<&Allocation>,
        told: &BTreeMap<NodeName, Program>,
    ) -> Result<Allocation, Vec<RefusalReason>> {
        let mut reasons = Vec::new();
        let vni = before.map(|a| a.vni).or_else(|| self.vnis.next().and_then(|n| Vni::new(n.into()).ok()));
        let ports = &mut self.ports;
        let access_port = before.map(|a| a.access_port).or_else(|| ports.next().and_then(|n| u16::try_from(n).ok()));
        reasons.extend(vni.is_none().then(|| self.vnis.exhausted(None)));
        reasons.extend(access_port.is_none().then(|| self.ports.exhausted(None)));
        let receives = |receiver: &NodeName, by: &dyn Fn(&SegmentProgram) -> bool| {
            told.get(receiver).and_then(|program| program.content.segment(segment.id)).is_some_and(by)
        };
        let has_sids = || segment.edges.iter().any(|edge| receives(edge, &|told| !told.sids.is_empty()));
        let mut function = before.and_then(|a| a.function);
        if transport == Transport::Srv6 {
            function = function.or_else(|| self.functions.next().and_then(|n| u16::try_from(n).ok()));
            reasons.extend(function.is_none().then(|| self.functions.exhausted(None)));
        } else {
            function = function.filter(|_| has_sids());
        }
        let mut labels: BTreeMap<(NodeName, NodeName), Label> = BTreeMap::new();
        for (ends, label) in before.into_iter().flat_map(|a| &a.labels).filter(|_| transport != Transport::Mpls) {
            let is_told = |told: &SegmentProgram| told.remotes.iter().any(|r| r.labels().any(|own| own == *label));
            if segment.edges.contains(&ends.1) && segment.edges.contains(&ends.0) && receives(&ends.0, &is_told) {
                labels.insert(ends.clone(), *label);
            }
        }
        for ends in ordered_pairs(segment).filter(|_| transport == Transport::Mpls) {
            let ends = (ends.0.clone(), ends.1.clone());
            let kept = before.and_then(|a| a.labels.get(&ends).copied());
            match kept.map_or_else(|| self.labels.next(&ends.0), Ok) {
                Ok(label) => {
                    labels.insert(ends, label);
                }
                Err(reason) if reasons.contains(&reason) => {}
                Err(reason) => reasons.push(reason),
            }
        }
        match (vni, access_port) {
            (Some(vni), Some(access_port)) if reasons.is_empty() => {
                Ok(Allocation { vni, access_port, function, labels })
            }
            _ => Err(reasons),
        }
    }
}

fn ordered_pairs<'s>(segment: &'s SegmentWish<'_>) -> impl Iterator<Item = (&'s NodeName, &'s NodeName)> {
    let edges = || segment.edges.iter().copied();
    edges().flat_map(move |receiver| edges().map(move |sender| (receiver, sender))).filter(|(one, other)| one != other)
}

/// Lets go of numbers of another transport that no edge is told any more.
pub(crate) fn unused(
    slices: &[SliceWish<'_>],
    programs: &BTreeMap<NodeName, Program>,
    allocations: &mut BTreeMap<SegmentId, Allocation>,
) {
    for (slice, segment) in slices.iter().flat_map(|slice| slice.segments.iter().map(move |segment| (slice, segment))) {
        let Some(numbers) = allocations.get_mut(segment.id) else { continue };
        let (is_srv6, is_mpls) = (slice.spec.transport == Transport::Srv6, slice.spec.transport == Transport::Mpls);
        if (is_srv6 || numbers.function.is_none()) && (is_mpls || numbers.labels.is_empty()) {
            continue;
        }
        let told = segment.edges.iter().filter_map(|edge| programs.get(*edge)?.content.segment(segment.id));
        let used: Vec<Used<'_>> = told.map(Used::of).collect();
        numbers.function = numbers.function.filter(|_| is_srv6 || used.iter().any(|used| used.has_function));
        numbers.labels.retain(|_, label| is_mpls || used.iter().any(|used| used.has(*label)));
    }
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
        if before.content.slices == after.content.slices {
            continue;
        }
        let stays: BTreeMap<&SegmentId, Used<'_>> = used(after).collect();
        for (segment, was) in used(before) {
            let stays = stays.get(segment);
            let is_less = stays.is_none_or(|stays| !was.is_part_of(stays));
            // Numbers that the parent's allocation has no more are in quarantine since it was made.
            if let Some(allocation) = parent.allocations.get(segment).filter(|_| is_less) {
                let awaiting = quarantine.entry((segment.clone(), allocation.clone())).or_default();
                awaiting.insert(edge.clone(), after.generation);
            }
        }
    }
    let entries = quarantine.into_iter();
    entries.map(|((segment, allocation), awaiting)| Quarantined { segment, allocation, awaiting }).collect()
}

/// The numbers by which an edge sends and receives for a segment.
struct Used<'a> {
    vni: Vni,
    has_function: bool,
    labels: BTreeSet<(&'a NodeName, Way, Label)>,
}

/// Whose label it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The far end's.
    To,
    /// This end's.
    From,
}

impl<'a> Used<'a> {
    fn of(segment: &'a SegmentProgram) -> Self {
        let remotes = || segment.remotes.iter();
        let sent = remotes().filter_map(|remote| match remote.tunnel {
            Tunnel::Mpls { to, .. } => Some((&remote.edge, Way::To, to)),
            Tunnel::Vxlan(_) | Tunnel::Srv6 { .. } => None,
        });
        let received = remotes().flat_map(|remote| remote.labels().map(|from| (&remote.edge, Way::From, from)));
        let is_sent_by_sid = |remote: &Remote| matches!(remote.tunnel, Tunnel::Srv6 { .. });
        let has_function = !segment.sids.is_empty() || remotes().any(is_sent_by_sid);
        Self { vni: segment.vni, has_function, labels: sent.chain(received).collect() }
    }

    fn has(&self, label: Label) -> bool {
        self.labels.iter().any(|(.., used)| *used == label)
    }

    fn is_part_of(&self, other: &Self) -> bool {
        let function = !self.has_function || other.has_function;
        self.vni == other.vni && function && self.labels.is_subset(&other.labels)
    }
}

fn used(program: &Program) -> impl Iterator<Item = (&SegmentId, Used<'_>)> {
    program.content.slices.iter().flat_map(|slice| &slice.segments).map(|segment| (&segment.id, Used::of(segment)))
}
