//! The class map: how the transport treats each 5QI, which marks of devices are heeded, and how classes are queued.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FiveQi, QueueClass, QueueRow};
use crate::program::{InnerMark, Marking, OuterMark, QueueProgram, TransitQueue};
use crate::{Dscp, Pcp, Qfi, TrafficClass};

/// How the transport treats each 5QI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassMap {
    /// Where the mapping comes from.
    pub source: String,
    /// One row for each 5QI of the table.
    pub rows: Vec<ClassRow>,
    /// Which code points of devices are heeded, and what becomes of them; each once.
    #[serde(default)]
    pub markings: Vec<MarkingRow>,
    /// Which 802.1p priorities of devices are heeded, and what becomes of them; each once.
    #[serde(default)]
    pub priorities: Vec<PriorityRow>,
    /// How each queue is kept; each once.
    pub queues: Vec<QueueRow>,
}

impl ClassMap {
    /// The treatment of a 5QI.
    pub fn get(&self, five_qi: FiveQi) -> Option<&ClassRow> {
        self.rows.iter().find(|row| row.five_qi == five_qi)
    }

    /// What becomes of the marks of devices in a slice that has these classes, in their order. Those of classes that it does
    /// not have are not heeded there, so that no device raises itself above its slice.
    pub fn markings<'a>(&self, classes: impl IntoIterator<Item = &'a ClassRow>) -> Vec<Marking> {
        let (mut had, mut markings) = (Queues::new(), Vec::new());
        for class in classes {
            had.add(class.dscp, class.queue);
            let ClassRow { dscp, traffic_class, queue, .. } = *class;
            markings.extend(class.qfi.map(|qfi| Marking { inner: InnerMark::Qfi(qfi), dscp, traffic_class, queue }));
        }
        markings.extend(self.told().filter_map(|(class, inner, dscp, traffic_class)| {
            had.get(class).map(|queue| Marking { inner, dscp, traffic_class, queue })
        }));
        markings.sort_unstable();
        markings
    }

    /// How nodes keep their queues, most urgent first.
    pub fn queue_programs(&self) -> Vec<QueueProgram> {
        let mut queues: Vec<QueueProgram> = self.queues.iter().map(|row| row.becomes()).collect();
        queues.sort_unstable_by_key(|queue| queue.queue);
        queues
    }

    /// In which queue the packets of all slices wait on their way, by what edges write into outer headers; without those of
    /// best effort. Where two classes have one mark, the more urgent queue is meant.
    pub fn transit_queues(&self) -> Vec<TransitQueue> {
        let mut had = Queues::new();
        for row in &self.rows {
            had.add(row.dscp, row.queue);
        }
        let rows = self.rows.iter().map(|row| (row.dscp, row.traffic_class, row.queue));
        let told = self.told().filter_map(|(class, _, dscp, traffic)| Some((dscp, traffic, had.get(class)?)));
        let mut queues: BTreeMap<OuterMark, QueueClass> = BTreeMap::new();
        for (dscp, traffic_class, queue) in rows.chain(told) {
            for outer in [OuterMark::Dscp(dscp), OuterMark::TrafficClass(traffic_class)] {
                let meant = queues.entry(outer).or_default();
                *meant = queue.min(*meant);
            }
        }
        let queues = queues.into_iter().filter(|(_, queue)| *queue != QueueClass::BestEffort);
        queues.map(|(outer, queue)| TransitQueue { outer, queue }).collect()
    }

    /// Of which class a mark is, by its code point; the mark; and what becomes of it.
    fn told(&self) -> impl Iterator<Item = (Dscp, InnerMark, Dscp, TrafficClass)> {
        let code_points =
            self.markings.iter().map(|row| (row.class, InnerMark::Dscp(row.inner), row.dscp, row.traffic_class));
        let priorities = self
            .priorities
            .iter()
            .map(|row| (row.class, InnerMark::Priority(row.priority), row.dscp, row.traffic_class));
        code_points.chain(priorities)
    }
}

/// The treatment of one 5QI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassRow {
    /// The 5QI.
    #[serde(rename = "fiveQI")]
    pub five_qi: FiveQi,
    /// The code point in the outer IP header.
    pub dscp: Dscp,
    /// The traffic class in an MPLS label.
    pub traffic_class: TrafficClass,
    /// The queue.
    pub queue: QueueClass,
    /// The QFI of its flows in GTP-U, where they have the same in every session. If left out: the 5QI itself if it is below
    /// 64 and without a guaranteed bit rate (TS 23.501, section 5.7.1.3), and none for the others.
    #[serde(default)]
    pub qfi: Option<Qfi>,
}

/// What becomes of a code point that a device writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarkingRow {
    /// The device's code point.
    pub inner: Dscp,
    /// It is heeded where the slice has a 5QI of this class, named by the code point of its row.
    pub class: Dscp,
    /// The code point in the outer IP header.
    pub dscp: Dscp,
    /// The traffic class in an MPLS label.
    pub traffic_class: TrafficClass,
}

/// What becomes of a priority that a device writes into the tag of a frame without an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriorityRow {
    /// The device's priority.
    pub priority: Pcp,
    /// It is heeded where the slice has a 5QI of this class, named by the code point of its row.
    pub class: Dscp,
    /// The code point in the outer IP header.
    pub dscp: Dscp,
    /// The traffic class in an MPLS label.
    pub traffic_class: TrafficClass,
}

/// The queue of each class, by its code point. Of several classes with one code point, the most urgent queue is meant.
struct Queues(BTreeMap<Dscp, QueueClass>);

impl Queues {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, class: Dscp, queue: QueueClass) {
        let meant = self.0.entry(class).or_default();
        *meant = queue.min(*meant);
    }

    fn get(&self, class: Dscp) -> Option<QueueClass> {
        self.0.get(&class).copied()
    }
}
