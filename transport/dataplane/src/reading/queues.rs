//! Readings of what waits at a port: queue by queue, and what slices have waited in all.

use std::sync::Arc;

use model::SliceName;
use model::profile::QueueClass;
use model::resource::SegmentId;

use crate::pipeline::Pipeline;
use crate::port::PortIndex;
use crate::shaper::{Backlog, QueueCounts, Sojourns};
use crate::tables::{Slice, SliceSlot};
use crate::trees::shape::{QueueNumber, slice_number};

/// What waits at a port, and what has waited there.
#[derive(Debug, Clone)]
pub struct QueuesReading {
    /// Queues that carry frames or lately did, in no order.
    pub queues: Vec<QueueReading>,
    /// How long frames of slices stayed, class by class, where any did.
    pub slices: Vec<SliceSojourns>,
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
    /// What was sent, marked and dropped.
    pub counts: QueueCounts,
}

/// How long frames of a class stayed, in all segments of a slice, since the slice was there.
#[derive(Debug, Clone)]
pub struct SliceSojourns {
    /// The slice; none for what belongs to no slice here.
    pub slice: Option<Arc<SliceName>>,
    /// The class.
    pub class: QueueClass,
    /// How many frames stayed how long.
    pub sojourns: Sojourns,
}

impl Pipeline {
    /// Reads what waits at a port. Looks at all queues that have state, and allocates, so it is for between bursts.
    pub fn read_queues(&self, port: PortIndex) -> QueuesReading {
        let Some(tree) = self.trees.get(port.get()) else {
            return QueuesReading { queues: Vec::new(), slices: Vec::new() };
        };
        let shaper = &tree.shaper;
        let queues = shaper.queues().filter_map(|id| {
            let segment = match QueueNumber::from(id.segment) {
                QueueNumber::REST => None,
                number => Some(self.tables.segments[self.tables.segment_of_queue(number)?].id.clone()),
            };
            let class = *QueueClass::ALL.get(usize::from(id.class))?;
            Some(QueueReading { segment, class, backlog: shaper.backlog(id), counts: shaper.counts(id) })
        });
        let named = self.tables.slices.iter().zip(0..).filter_map(|(slice, slot): (&Option<Slice>, u16)| {
            let slice = slice.as_ref()?;
            Some((Some(slice.name.clone()), slice_number(SliceSlot(slot))))
        });
        let rest = std::iter::once((None, QueueNumber::REST_SLICE));
        let slices = rest.chain(named).flat_map(|(slice, number)| {
            QueueClass::ALL.into_iter().zip(0..).filter_map(move |(class, of)| {
                let sojourns = shaper.slice_sojourns(number, of).filter(|sojourns| sojourns.frames() != 0)?;
                Some(SliceSojourns { slice: slice.clone(), class, sojourns: sojourns.clone() })
            })
        });
        QueuesReading { queues: queues.collect(), slices: slices.collect() }
    }
}
