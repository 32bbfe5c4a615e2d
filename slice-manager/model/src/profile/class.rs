//! The class map: how the transport treats each 5QI.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FiveQi;
use crate::program::{InnerMark, Marking};
use crate::{Dscp, TrafficClass};

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
}

impl ClassMap {
    /// The treatment of a 5QI.
    pub fn get(&self, five_qi: FiveQi) -> Option<&ClassRow> {
        self.rows.iter().find(|row| row.five_qi == five_qi)
    }

    /// What becomes of the code points of devices in a slice that has these classes, in their order. Those of classes that
    /// it does not have are not heeded there, so that no device raises itself above its slice.
    pub fn markings<'a>(&self, classes: impl IntoIterator<Item = &'a ClassRow>) -> Vec<Marking> {
        // Of several classes with one code point, the most urgent queue is meant.
        let mut had: BTreeMap<Dscp, QueueClass> = BTreeMap::new();
        for class in classes {
            let queue = had.entry(class.dscp).or_insert(class.queue);
            *queue = class.queue.min(*queue);
        }
        let heeded = self.markings.iter().filter_map(|marking| Some(marking.becomes(*had.get(&marking.class)?)));
        let mut markings: Vec<Marking> = heeded.collect();
        markings.sort_unstable();
        markings
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

impl MarkingRow {
    const fn becomes(self, queue: QueueClass) -> Marking {
        let Self { inner, dscp, traffic_class, .. } = self;
        Marking { inner: InnerMark::Dscp(inner), dscp, traffic_class, queue }
    }
}

/// The queues of a segment, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueClass {
    /// Delay-critical: a few milliseconds end to end.
    LowLatency,
    /// Voice and real-time video.
    RealTime,
    /// Signalling, small and important.
    Signalling,
    /// Buffered video, throughput with a bound on loss.
    Streaming,
    /// The rest.
    BestEffort,
}

impl QueueClass {
    /// All of them, most urgent first.
    pub const ALL: [Self; 5] = [Self::LowLatency, Self::RealTime, Self::Signalling, Self::Streaming, Self::BestEffort];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowLatency => "low-latency",
            Self::RealTime => "real-time",
            Self::Signalling => "signalling",
            Self::Streaming => "streaming",
            Self::BestEffort => "best-effort",
        }
    }
}

impl fmt::Display for QueueClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
