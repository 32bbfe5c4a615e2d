//! The queues of a segment, and how each is kept.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::program::{CodelProgram, QueueProgram};
use crate::{Latency, Weight};

/// The queues of a segment, most urgent first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    #[default]
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

/// How a queue is kept in each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRow {
    /// The queue.
    pub queue: QueueClass,
    /// Its share beside the other queues of its segment.
    pub weight: Weight,
    /// The most octets that wait in it.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 0xFFFF_FFFF>")]
    #[schemars(range(min = 1))]
    pub octets: u32,
    /// The most that wait in it, as the time that they take at the segment's ceiling.
    pub time: Latency,
    /// What is done about queues that stand; nothing if left out.
    #[serde(default)]
    pub codel: Option<CodelRow>,
}

impl QueueRow {
    /// What nodes are told of it.
    pub fn becomes(self) -> QueueProgram {
        let Self { queue, weight, octets, time, codel } = self;
        let nanos = |CodelRow { target, interval }| CodelProgram {
            target_nanos: target.as_nanos(),
            interval_nanos: interval.as_nanos(),
        };
        QueueProgram { queue, weight, octets_max: octets, time_max_nanos: time.as_nanos(), codel: codel.map(nanos) }
    }
}

/// The parameters of CoDel (RFC 8289, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodelRow {
    /// The sojourn time that is aimed at.
    pub target: Latency,
    /// How long it may be exceeded.
    pub interval: Latency,
}
