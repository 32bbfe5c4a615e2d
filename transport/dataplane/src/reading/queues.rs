//! Readings of what waits at a port: queue by queue, and class by class of each slice in all.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::SliceName;
use model::profile::QueueClass;
use model::resource::SegmentId;

use super::{PortReading, read_port};
use crate::pipeline::Pipeline;
use crate::port::PortIndex;
use crate::shaper::{Backlog, QueueCounts, QueueId, Shaper, Sojourns, WatchError};
use crate::tables::{Slice, SliceSlot};
use crate::trees::Tree;
use crate::trees::shape::{QueueNumber, slice_number};

/// What waits at a port, and what has waited there.
#[derive(Debug, Clone)]
pub struct QueuesReading {
    /// The port.
    pub port: PortReading,
    /// Queues that carry frames or lately did, in no order.
    pub queues: Vec<QueueReading>,
    /// Classes of slices that anything was ever sent in, dropped from or waits in.
    pub slices: Vec<SliceClassReading>,
}

/// A queue.
#[derive(Debug, Clone)]
pub struct QueueReading {
    /// The segment; none for what passes through and belongs to no slice here.
    pub segment: Option<Arc<SegmentId>>,
    /// The class.
    pub class: QueueClass,
    /// What waits.
    pub backlog: Backlog,
    /// What was sent, marked and dropped since the queue last got its state.
    pub counts: QueueCounts,
    /// How many frames stayed how long, if that is told apart for this queue.
    pub sojourns: Option<Sojourns>,
}

/// A class in all segments of a slice.
#[derive(Debug, Clone)]
pub struct SliceClassReading {
    /// The slice; none for what belongs to no slice here.
    pub slice: Option<Arc<SliceName>>,
    /// The class.
    pub class: QueueClass,
    /// What waits.
    pub backlog: Backlog,
    /// What was sent, marked and dropped since the slice was there.
    pub counts: QueueCounts,
    /// How many frames stayed how long, since then.
    pub sojourns: Sojourns,
}

/// What queues of a class hold and have counted, by slice and class.
type Classes = BTreeMap<(u16, u8), (Backlog, QueueCounts)>;

impl Pipeline {
    /// Reads what waits at a port; `None` if there is no such port. Looks at all queues that have state, and allocates, so
    /// it is for between bursts.
    pub fn read_queues(&self, port: PortIndex) -> Option<QueuesReading> {
        let (counters, tree) = (self.counters.get(port.get())?, self.trees.get(port.get())?);
        let shaper = &tree.shaper;
        let queues = shaper.queues().filter_map(|id| self.read_queue(shaper, id)).collect();
        let classes = classes(shaper);
        let named = self.tables.slices.iter().zip(0..).filter_map(|(slice, slot): (&Option<Slice>, u16)| {
            let slice = slice.as_ref()?;
            Some((Some(&slice.name), slice_number(SliceSlot(slot))))
        });
        let rest = std::iter::once((None, QueueNumber::REST_SLICE));
        let slices = rest.chain(named).flat_map(|(slice, number)| {
            let class = |(class, of)| read_class(shaper, &classes, (number, of), (slice.cloned(), class));
            QueueClass::ALL.into_iter().zip(0..).filter_map(class).collect::<Vec<_>>()
        });
        Some(QueuesReading { port: read_port(counters, tree), queues, slices: slices.collect() })
    }

    /// Tells from now on how long frames stay in each queue of a segment, at every port where it has some. If too many are
    /// told apart at a port already, the one that was asked for longest ago is no more. Answers whether it is anywhere.
    pub fn watch(&mut self, segment: &SegmentId) -> bool {
        let Some(segment) = self.tables.segments.iter().find(|own| *own.id == *segment) else { return false };
        let number = segment.queue.get();
        let mut is_watched = false;
        for Tree { shaper, .. } in &mut self.trees {
            let mut watched = shaper.watch(number);
            let oldest = shaper.watched().next();
            if let (Err(WatchError::TooMany { .. }), Some(oldest)) = (watched, oldest) {
                shaper.unwatch(oldest);
                watched = shaper.watch(number);
            }
            is_watched |= watched.is_ok();
        }
        is_watched
    }

    fn read_queue(&self, shaper: &Shaper, id: QueueId) -> Option<QueueReading> {
        let segment = match QueueNumber::from(id.segment) {
            QueueNumber::REST => None,
            number => Some(self.tables.segments[self.tables.segment_of_queue(number)?].id.clone()),
        };
        let class = *QueueClass::ALL.get(usize::from(id.class))?;
        let (backlog, counts) = (shaper.backlog(id), shaper.counts(id));
        Some(QueueReading { segment, class, backlog, counts, sojourns: shaper.sojourns(id).cloned() })
    }
}

/// Looks at every queue once.
fn classes(shaper: &Shaper) -> Classes {
    let mut classes = Classes::new();
    for id in shaper.queues() {
        let Some(slice) = shaper.slice_of(id.segment) else { continue };
        let (backlog, counts) = classes.entry((slice, id.class)).or_default();
        let own = shaper.backlog(id);
        backlog.frames += own.frames;
        backlog.octets = backlog.octets.saturating_add(own.octets);
        counts.add(&shaper.counts(id));
    }
    classes
}

/// A class of a slice; `None` if nothing is known of it.
fn read_class(
    shaper: &Shaper,
    classes: &Classes,
    (number, of): (u16, u8),
    (slice, class): (Option<Arc<SliceName>>, QueueClass),
) -> Option<SliceClassReading> {
    let (backlog, mut counts) = classes.get(&(number, of)).copied().unwrap_or_default();
    counts.add(&shaper.given_up_counts(number, of));
    let sojourns = shaper.slice_sojourns(number, of)?;
    let is_unused = backlog == Backlog::default() && counts == QueueCounts::default();
    (!is_unused).then(|| SliceClassReading { slice, class, backlog, counts, sojourns: sojourns.clone() })
}
