//! The tree of each port, from what a program says of slices, segments, links and queues.

use std::collections::{BTreeMap, BTreeSet};

use model::profile::QueueClass;
use model::program::{PortShaping, ProgramContent, QueueProgram, SliceProgram};
use model::{PortName, Rate, RateLimits};
use transport_wire::ethernet;

use super::{Build, CompileError, PORTS_MAX};
use crate::port::{PortIndex, PortSet};
use crate::shaper::{CLASSES, ClassShape, ClassTable, Codel, LOW_LATENCY_CLASS, RATE_MAX, SegmentShape, Shape};
use crate::tables::{PortRole, SliceSlot, Tables};
use crate::trees::shape::{QueueNumber, TreeShape, burst_octets, slice_number};
use crate::{FRAME_OCTETS_MAX, Nanos};

/// A slice's part of a port.
struct Part {
    slot: SliceSlot,
    limits: RateLimits,
    weight: u8,
}

/// What can be said of trees before they are built.
pub(super) fn check(content: &ProgramContent) -> Result<(), CompileError> {
    let mut ports = BTreeSet::new();
    for shaping in &content.shaping {
        let port = &shaping.port;
        if !content.core_ports.iter().any(|core| core.port == *port) {
            return Err(CompileError::NotCore { port: port.clone() });
        }
        if !ports.insert(port) {
            return Err(CompileError::PortTwice(port.clone()));
        }
        let guaranteed: u128 =
            shaping.classes.iter().map(|class| u128::from(class.limits.guaranteed().bits_per_second())).sum();
        if guaranteed > u128::from(shaping.rate.min(RATE_MAX).bits_per_second()) {
            let guaranteed = Rate::from_bits_per_second(u64::try_from(guaranteed).unwrap_or(u64::MAX));
            return Err(CompileError::Oversubscribed { port: port.clone(), guaranteed, rate: shaping.rate });
        }
    }
    let mut promised: BTreeMap<&PortName, u128> = BTreeMap::new();
    for slice in &content.slices {
        for circuit in &slice.circuits {
            *promised.entry(&circuit.port).or_default() += u128::from(slice.limits.guaranteed().bits_per_second());
        }
    }
    let most = u128::from(RATE_MAX.bits_per_second());
    if let Some((port, guaranteed)) = promised.into_iter().find(|(_, guaranteed)| *guaranteed > most) {
        let guaranteed = Rate::from_bits_per_second(u64::try_from(guaranteed).unwrap_or(u64::MAX));
        return Err(CompileError::Oversubscribed { port: port.clone(), guaranteed, rate: RATE_MAX });
    }
    let mut queues = BTreeSet::new();
    match content.queues.iter().find(|queue| !queues.insert(queue.queue)) {
        Some(twice) => Err(CompileError::QueueTwice(twice.queue)),
        None => Ok(()),
    }
}

/// Are the limits of a slice and its segments held by dropping what is above them? All SDPs of a slice share its place in a
/// tree, so each has meters of its own where there are several. Else trees hold the limits, by letting frames wait: those
/// of all exits together.
pub(super) const fn is_policed(slice: &SliceProgram) -> bool {
    slice.circuits.len() > 1
}

impl Build<'_> {
    /// The ports by which a slice leaves towards other edges.
    pub(super) fn exits(&self, slice: &SliceProgram) -> Result<PortSet, CompileError> {
        let remotes = slice.segments.iter().flat_map(|segment| &segment.remotes);
        let ways = remotes.flat_map(|remote| {
            let backup = remote.backup.map(|id| (&remote.edge, id));
            std::iter::once((&remote.edge, remote.working)).chain(backup)
        });
        let mut exits = PortSet::default();
        for path in ways.filter_map(|(edge, id)| self.content.path(edge, id)) {
            exits.insert(self.port(&path.port)?);
        }
        Ok(exits)
    }

    pub(super) fn trees(&self, tables: &mut Tables) {
        for at in 0..self.ports.len().min(PORTS_MAX) {
            #[allow(clippy::cast_possible_truncation, reason = "at most PORTS_MAX")]
            let port = PortIndex(at as u8);
            let tree = match tables.role(port) {
                PortRole::Unused => continue,
                PortRole::Access => self.access_tree(&self.ports[at].name),
                PortRole::Core => self.core_tree(&self.ports[at].name),
            };
            tables.ports[at].tree = tree;
        }
    }

    /// Of a port towards devices: each slice has what its SDPs there have, and no link is known that they share.
    fn access_tree(&self, port: &PortName) -> TreeShape {
        let parts = self.content.slices.iter().filter_map(|slice| {
            let circuits = slice.circuits.iter().filter(|circuit| circuit.port == *port).count() as u64;
            (circuits > 0).then(|| (slice, times(slice.limits, circuits), slice.weight.get()))
        });
        self.tree(RATE_MAX, parts)
    }

    /// Of a port towards the underlay: each slice has what is booked for it on the link behind.
    fn core_tree(&self, port: &PortName) -> TreeShape {
        let shaping = self.content.shaping.iter().find(|shaping| shaping.port == *port);
        let rate = shaping.map_or(RATE_MAX, |shaping| shaping.rate.min(RATE_MAX));
        let parts = self.content.slices.iter().map(|slice| {
            let (limits, weight) = part(shaping, slice);
            (slice, limits, weight)
        });
        self.tree(rate, parts)
    }

    fn tree<'p>(&self, rate: Rate, parts: impl Iterator<Item = (&'p SliceProgram, RateLimits, u8)>) -> TreeShape {
        let mut tree = TreeShape::none(rate);
        tree.classes = self.classes();
        tree.set_rest();
        for (slice, limits, weight) in parts {
            let slot = SliceSlot(self.numbers.slots.get(&slice.slice));
            self.slice_in_tree(&mut tree, slice, &Part { slot, limits, weight });
        }
        tree
    }

    fn slice_in_tree(&self, tree: &mut TreeShape, slice: &SliceProgram, part: &Part) {
        let frame_octets = usize::from(slice.packet_octets_max) + ethernet::HEADER_OCTETS;
        let limits = capped(part.limits, tree.port.rate);
        let burst = burst_octets(limits.ceiling(), frame_octets);
        tree.set_slice(part.slot, Shape { limits, burst_octets: burst, weight: part.weight });
        let guaranteed = |limits: RateLimits| u128::from(limits.guaranteed().bits_per_second());
        // What is booked here is the slice's; its segments have it in proportion.
        let (of_slice, of_segments) =
            (guaranteed(limits), slice.segments.iter().map(|s| guaranteed(s.limits)).sum::<u128>());
        let has_low_latency = slice.queue == QueueClass::LowLatency
            || slice.markings.iter().any(|marking| marking.queue == QueueClass::LowLatency);
        for segment in &slice.segments {
            let ceiling = segment.limits.ceiling().min(tree.port.rate);
            let own = guaranteed(segment.limits);
            let share = if of_segments > of_slice { own * of_slice / of_segments } else { own };
            let sure = Rate::from_bits_per_second(u64::try_from(share).unwrap_or(u64::MAX)).min(ceiling);
            let Ok(limits) = RateLimits::new(sure, ceiling) else { continue };
            let burst_octets = burst_octets(ceiling, frame_octets);
            let shape = Shape { limits, burst_octets, weight: segment.weight.get() };
            let low_latency = if has_low_latency { sure } else { Rate::ZERO };
            let number = QueueNumber::of(self.numbers.queues.get(&segment.id));
            let shape = SegmentShape { slice: slice_number(part.slot), shape, low_latency, classes: 0 };
            tree.set_segment(number, shape);
        }
    }

    fn classes(&self) -> ClassTable {
        let longest = self.content.slices.iter().map(|slice| slice.packet_octets_max).max();
        let frame_octets = longest.map_or(FRAME_OCTETS_MAX, |octets| usize::from(octets) + ethernet::HEADER_OCTETS);
        let mut classes = [ClassShape::default(); CLASSES];
        for queue in &self.content.queues {
            classes[usize::from(number(queue.queue))] = class(queue);
        }
        ClassTable { low_latency_burst_octets: burst_octets(Rate::ZERO, frame_octets), classes }
    }
}

/// What is booked for a slice on the link behind a port; without a word of it, nothing is.
fn part(shaping: Option<&PortShaping>, slice: &SliceProgram) -> (RateLimits, u8) {
    let class = shaping.and_then(|shaping| shaping.classes.iter().find(|class| class.slice == slice.slice));
    class.map_or_else(
        || {
            let ceiling = times(slice.limits, slice.circuits.len().max(1) as u64).ceiling();
            (RateLimits::new(Rate::ZERO, ceiling).unwrap_or(slice.limits), slice.weight.get())
        },
        |class| (class.limits, class.weight.get()),
    )
}

fn class(queue: &QueueProgram) -> ClassShape {
    let codel =
        queue.codel.map(|codel| Codel { target: Nanos(codel.target_nanos), interval: Nanos(codel.interval_nanos) });
    ClassShape {
        weight: queue.weight.get(),
        octets_max: queue.octets_max,
        time_max: Nanos(queue.time_max_nanos),
        codel,
    }
}

/// The limits of so many SDPs together.
fn times(limits: RateLimits, sdps: u64) -> RateLimits {
    let (guaranteed, ceiling) = (limits.guaranteed().saturating_mul(sdps), limits.ceiling().saturating_mul(sdps));
    RateLimits::new(guaranteed, ceiling).unwrap_or(limits)
}

/// No more than the port.
fn capped(limits: RateLimits, rate: Rate) -> RateLimits {
    RateLimits::new(limits.guaranteed().min(rate), limits.ceiling().min(rate)).unwrap_or(limits)
}

/// The number of a class in a tree.
pub(crate) const fn number(queue: QueueClass) -> u8 {
    queue as u8
}

const _: () = assert!(number(QueueClass::LowLatency) == LOW_LATENCY_CLASS && QueueClass::ALL.len() <= CLASSES);
