//! The tree of each port, from what a program says of slices, segments, links and queues.

use std::collections::{BTreeMap, BTreeSet};

use model::profile::QueueClass;
use model::program::{ProgramContent, QueueProgram, SegmentShare, SliceProgram, SliceShare};
use model::{PortName, Rate, RateLimits, Weight};
use transport_wire::ethernet;

use super::{Build, CompileError};
use crate::port::PortSet;
use crate::shaper::{CLASSES, ClassShape, ClassTable, Codel, LOW_LATENCY_CLASS, RATE_MAX, SegmentShape, Shape};
use crate::tables::{SliceSlot, Tables};
use crate::trees::shape::{QueueNumber, TreeShape, burst_octets, slice_number};
use crate::{FRAME_OCTETS_MAX, Nanos};

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
    let mut access = BTreeSet::new();
    if let Some(twice) = content.access_ports.iter().find(|access_port| !access.insert(&access_port.port)) {
        return Err(CompileError::PortTwice(twice.port.clone()));
    }
    let mut promised: BTreeMap<&PortName, u128> = BTreeMap::new();
    for slice in &content.slices {
        for circuit in &slice.circuits {
            *promised.entry(&circuit.port).or_default() += u128::from(slice.limits.guaranteed().bits_per_second());
        }
    }
    for (port, guaranteed) in promised {
        let rate = content.access_rate(port).unwrap_or(RATE_MAX).min(RATE_MAX);
        if guaranteed > u128::from(rate.bits_per_second()) {
            let guaranteed = Rate::from_bits_per_second(u64::try_from(guaranteed).unwrap_or(u64::MAX));
            return Err(CompileError::Oversubscribed { port: port.clone(), guaranteed, rate });
        }
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

    /// The tree of each port that the program speaks of.
    pub(super) fn trees(&self, tables: &mut Tables) -> Result<(), CompileError> {
        for said in self.content.trees() {
            let mut tree = TreeShape::none(said.rate);
            tree.classes = self.classes();
            tree.set_rest();
            for slice in &said.slices {
                self.slice_in_tree(&mut tree, slice);
            }
            tables.ports[self.port(said.port)?.get()].tree = tree;
        }
        Ok(())
    }

    fn slice_in_tree(&self, tree: &mut TreeShape, share: &SliceShare<'_>) {
        let SliceShare { slice, limits, weight, .. } = share;
        let slot = SliceSlot(self.numbers.slots.get(&slice.slice));
        let frame_octets = usize::from(slice.packet_octets_max) + ethernet::HEADER_OCTETS;
        let shape = |limits: RateLimits, weight: Weight| Shape {
            limits,
            burst_octets: burst_octets(limits.ceiling(), frame_octets),
            weight: weight.get(),
        };
        tree.set_slice(slot, shape(*limits, *weight));
        for share in &share.segments {
            let number = QueueNumber::of(self.numbers.queues.get(&share.segment.id));
            let shape = shape(share.limits, share.segment.weight);
            let SegmentShare { low_latency, .. } = *share;
            tree.set_segment(number, SegmentShape { slice: slice_number(slot), shape, low_latency, classes: 0 });
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

/// The number of a class in a tree.
pub(crate) const fn number(queue: QueueClass) -> u8 {
    queue as u8
}

const _: () = assert!(number(QueueClass::LowLatency) == LOW_LATENCY_CLASS && QueueClass::ALL.len() <= CLASSES);
