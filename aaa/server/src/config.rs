//! What a realm is told: its part of the edge's program, and the time.

use std::time::{Duration, SystemTime};

use model::program::{RealmProgram, SegmentProgram};
use model::resource::SegmentId;

/// The AAA of one segment, as the edge's program has it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmConfig {
    /// The segment.
    pub id: SegmentId,
    /// Features, clients and ports.
    pub program: RealmProgram,
    /// How many endpoints may be authenticated at once.
    pub sessions_max: u32,
}

impl RealmConfig {
    /// From the program of a segment, if it has an AAA.
    pub fn of(segment: &SegmentProgram) -> Option<Self> {
        let program = segment.realm.clone()?;
        Some(Self { id: segment.id.clone(), program, sessions_max: segment.sessions_max })
    }
}

/// A moment, by two clocks: one that never jumps, for limits and deadlines, and one that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since some start; never goes back.
    pub monotonic: Duration,
    /// The time of day.
    pub wall: SystemTime,
}
