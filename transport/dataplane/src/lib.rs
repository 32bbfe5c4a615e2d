//! The packet path of an edge, pure: frames in, frames out, `now` as an argument.
//!
//! ```text
//!   access port ─ parse ─ circuit ─ session ─ source ─ segment ─ destination ─ meters ─┬─ tag ─── access port
//!                                                                                      └─ encap ─ core port
//!   core port ─── parse ─ VXLAN ─ segment ─ remote ─ decap ─ destination ─ meters ───── tag ─── access port
//! ```
//!
//! The [`Pipeline`] owns everything that it touches. Frames come in bursts of up to 64; between two bursts its owner may
//! [swap](Pipeline::swap) the tables, [bind](Pipeline::bind) and unbind sessions, send [probes](Pipeline::probe), and take
//! [readings](Pipeline::read).
//! For a packet it allocates nothing, takes no lock and makes no system call. Every packet ends in a port or in exactly
//! one [`DropReason`].
//!
//! It has no threads, no sockets and no clock; whoever hosts it has those.
#![forbid(unsafe_code)]

mod access;
mod compile;
mod counters;
mod drops;
mod encap;
mod forward;
mod frame;
mod l3;
mod labels;
mod marker;
mod meter;
mod neighbour;
mod path;
mod pipeline;
mod port;
mod probe;
mod probing;
mod reading;
mod route;
mod session;
mod shaper;
mod sids;
mod table;
mod tables;
mod transit;
mod trees;
mod tunnel;
mod underlay;
mod workers;

pub use compile::{CompileError, Compiler, PORTS_MAX, SEGMENTS_MAX};
pub use counters::Traffic;
pub use drops::{DropReason, Drops};
pub use frame::{BURST_FRAMES_MAX, Burst, FRAME_OCTETS_MAX, Frame, FramePool, HEADROOM_OCTETS};
pub use l3::GATEWAY_MAC;
pub use marker::{Colour, MarkerError, MarkerShape, Markers, Marks, PROFILES_MAX, Scheme};
pub use meter::{METER_BURST_FRAMES, METER_BURST_TIME, Meter, Nanos};
pub use neighbour::{KernelPort, NextHop};
pub use pipeline::{Config, Pipeline};
pub use port::{OUTPUT_FRAMES_MAX, Outputs, Port, PortIndex, PortSpec};
pub use probe::{Delays, Jitter, Measures, PATHS_MAX, PathState, ProbeError, Prober, StampClock};
pub use reading::{
    CircuitReading, LabelReading, LaneReading, MeterReading, Numbers, PathReading, PortReading, Pulse, QueueReading,
    QueuesReading, Reading, SegmentReading, Sends, SidReading, SliceClassReading, SliceReading, TreePlace, TreeReading,
    TreeSegment, TreeSlice, TunnelReading,
};
pub use route::{ROUTES_MAX, Routes, RoutesError};
pub use session::{BindError, Binding, FLOOD_COPIES_MAX, SESSIONS_MAX, SessionCounters, SessionKey};
pub use shaper::{
    Arrival, Backlog, CLASS_TABLES_MAX, CLASSES, ClassShape, ClassTable, Codel, Departure, Departures, Fate,
    LOW_LATENCY_CLASS, Memory, Parent, PortShape, QueueCounts, QueueDrop, QueueId, RATE_MAX, Runs,
    SEGMENTS_MAX as SHAPED_SEGMENTS_MAX, SOJOURN_BUCKETS, SegmentRuns, SegmentShape, Shape, ShapeError, Shaper,
    ShaperLimits, Sojourns, WATCHED_SEGMENTS_MAX, WEIGHT_MAX, WatchError,
};
pub use tables::{SegmentUid, Tables};
pub use underlay::{REMOTE_MAC_AGE, REMOTE_MACS_MAX, REMOTE_MACS_PER_SEGMENT_MAX};
pub use workers::{Handover, LENT_MAX, WORKERS_MAX, WorkerPlace};
