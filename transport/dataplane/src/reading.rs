//! Readings: what runs, and what it has counted. Taken from the tables that the pipeline runs, so that an edge reports
//! what is, not what it was told.

mod merge;
mod numbers;
mod queues;
mod trees;
mod tunnels;

use std::sync::Arc;

use model::program::{self, PathProgram};
use model::resource::SegmentId;
use model::{Digest, Generation, Rate, RateLimits, SliceName, Vlan};

use crate::counters::Traffic;
use crate::drops::Drops;
use crate::meter::Nanos;
use crate::path::Path;
use crate::pipeline::{Pipeline, PortCounters};
use crate::probe::{Measures, PathState, Prober};
use crate::tables::{Circuit, MeteredTraffic, SegmentUid};
use crate::trees::Tree;

pub use numbers::{LabelReading, Numbers, SidReading};
pub use queues::{QueueReading, QueuesReading, SliceClassReading};
pub use trees::{TreePlace, TreeReading, TreeSegment, TreeSlice};
pub use tunnels::{LaneReading, Sends, TunnelReading};

/// What a pipeline runs and has counted.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The generation of the tables that run.
    pub generation: Generation,
    /// The digest of the program that they were compiled from.
    pub digest: Digest,
    /// How many sessions are bound.
    pub sessions: usize,
    /// Frames that did not arrive at a port: copies, questions.
    pub generated: u64,
    /// Frames that were for the edge itself and neither left nor were dropped.
    pub consumed: u64,
    /// Addresses of devices behind other edges that were not remembered for want of room.
    pub unlearned: u64,
    /// By port index.
    pub ports: Vec<PortReading>,
    /// The slices that run.
    pub slices: Vec<SliceReading>,
    /// The segments that run.
    pub segments: Vec<SegmentReading>,
    /// The paths to other edges.
    pub paths: Vec<PathReading>,
}

/// A path as it is, and what was measured of it since it was first probed.
#[derive(Debug, Clone)]
pub struct PathReading {
    /// What it is.
    pub program: Arc<PathProgram>,
    /// Whether it works.
    pub state: PathState,
    /// Since when.
    pub since: Nanos,
    /// How often it went down.
    pub failures: u64,
    /// What was measured.
    pub measures: Measures,
}

/// What a port has seen.
#[derive(Debug, Clone)]
pub struct PortReading {
    /// Frames that arrived.
    pub received: Traffic,
    /// Frames that left.
    pub sent: Traffic,
    /// Frames that wait for their turn to leave.
    pub waiting: u32,
    /// What it carries, as its tree has it; [`RATE_MAX`](crate::RATE_MAX) where nothing is known of the link behind it.
    pub rate: Rate,
    /// What its tree guarantees to all slices together.
    pub guaranteed: Rate,
    /// Frames that arrived here and went no further, and copies of them.
    pub drops: Drops,
}

/// A rate limit and what it let pass.
#[derive(Debug, Clone, Copy)]
pub struct MeterReading {
    /// Is what is above the limit dropped here? Else it waits in the trees of the ports by which it leaves.
    pub is_policed: bool,
    /// What passed.
    pub passed: Traffic,
    /// How many frames did not.
    pub dropped: u64,
}

/// A slice as it runs.
#[derive(Debug, Clone)]
pub struct SliceReading {
    /// Its name.
    pub slice: Arc<SliceName>,
    /// The limits of each of its SDPs.
    pub limits: RateLimits,
    /// Its SDPs here, in the order of the program.
    pub circuits: Vec<CircuitReading>,
}

/// An SDP of a slice as it runs.
#[derive(Debug, Clone)]
pub struct CircuitReading {
    /// What it is.
    pub circuit: program::Circuit,
    /// From devices.
    pub from_access: MeterReading,
    /// To devices.
    pub to_access: MeterReading,
}

/// A segment as it runs.
#[derive(Debug, Clone)]
pub struct SegmentReading {
    /// Its number here.
    pub uid: SegmentUid,
    /// Its slice and its name.
    pub id: Arc<SegmentId>,
    /// Its VXLAN network identifier.
    pub vni: u32,
    /// Are packets with it taken in?
    pub takes_vxlan: bool,
    /// Its limits.
    pub limits: RateLimits,
    /// Its tunnels, in the order of their far ends' addresses.
    pub tunnels: Vec<TunnelReading>,
    /// How many sessions it has.
    pub sessions: u32,
    /// How many it may have.
    pub sessions_max: u32,
    /// From devices.
    pub from_access: MeterReading,
    /// To devices.
    pub to_access: MeterReading,
    /// Into tunnels.
    pub to_tunnels: Traffic,
    /// Out of tunnels.
    pub from_tunnels: Traffic,
    /// By the port on which the packet arrived.
    pub drops: Vec<Drops>,
}

fn read_port(port: &PortCounters, tree: &Tree) -> PortReading {
    PortReading {
        received: port.received,
        sent: port.sent,
        waiting: tree.shaper.queued(),
        rate: tree.shaper.rate(),
        guaranteed: tree.shaper.guaranteed(),
        drops: port.drops,
    }
}

impl From<&MeteredTraffic> for MeterReading {
    fn from(metered: &MeteredTraffic) -> Self {
        Self { is_policed: metered.is_policed(), passed: metered.passed, dropped: metered.dropped }
    }
}

/// By what it is seen whether something else runs than before; a thousandth of a [`Reading`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// The generation that runs.
    pub generation: Generation,
    /// How many sessions each segment has.
    pub sessions: Vec<u32>,
    /// How each path is, in the order of the program.
    pub paths: Vec<PathState>,
}

impl Pipeline {
    /// Takes the pulse: what an owner may ask for every second, whatever it runs.
    pub fn pulse(&self) -> Pulse {
        let sessions = self.tables.segments.iter().map(|segment| segment.members.count).collect();
        let paths = self.tables.probes.iter().map(|(_, prober)| prober.state()).collect();
        Pulse { generation: self.tables.generation, sessions, paths }
    }

    fn read_circuit(&self, circuit: &Circuit) -> CircuitReading {
        let runs = program::Circuit {
            sdp: circuit.sdp.as_ref().clone(),
            port: self.ports[circuit.port.get()].name.clone(),
            vlan: Vlan::try_from(u32::from(circuit.vlan)).ok(),
            leaf: circuit.leaf,
            gateways: circuit.gateways.to_vec(),
        };
        let (from_access, to_access) = ((&circuit.from_access).into(), (&circuit.to_access).into());
        CircuitReading { circuit: runs, from_access, to_access }
    }

    fn read_paths(&self) -> Vec<PathReading> {
        let probers = self.tables.probes.iter().map(|(_, prober)| prober);
        let path = |(path, prober): (&Path, &Prober)| PathReading {
            program: path.program.clone(),
            state: prober.state(),
            since: prober.since(),
            failures: prober.failures(),
            measures: prober.measures().clone(),
        };
        self.tables.paths.iter().zip(probers).map(path).collect()
    }

    /// Reads everything. Allocates, so it is for between bursts.
    pub fn read(&self) -> Reading {
        let ports = self.ports.len();
        Reading {
            generation: self.tables.generation,
            digest: self.tables.digest,
            sessions: self.sessions.len(),
            generated: self.generated,
            consumed: self.consumed,
            unlearned: self.unlearned,
            ports: self.counters.iter().zip(&self.trees).map(|(port, tree)| read_port(port, tree)).collect(),
            slices: self
                .tables
                .slices
                .iter()
                .flatten()
                .map(|slice| SliceReading {
                    slice: slice.name.clone(),
                    limits: slice.limits,
                    circuits: self.tables.circuits[usize::from(slice.circuits.start)..usize::from(slice.circuits.end)]
                        .iter()
                        .map(|circuit| self.read_circuit(circuit))
                        .collect(),
                })
                .collect(),
            segments: self
                .tables
                .segments
                .iter()
                .enumerate()
                .map(|(at, segment)| SegmentReading {
                    uid: segment.uid,
                    id: segment.id.clone(),
                    vni: segment.vni,
                    takes_vxlan: self.tables.segment_of_vni(segment.vni) == Some(at),
                    limits: segment.limits,
                    tunnels: segment.remotes.iter().map(|remote| self.read_tunnel(remote)).collect(),
                    sessions: segment.members.count,
                    sessions_max: segment.sessions_max,
                    from_access: (&segment.from_access).into(),
                    to_access: (&segment.to_access).into(),
                    to_tunnels: segment.to_tunnels,
                    from_tunnels: segment.from_tunnels,
                    drops: segment.drops[..ports].to_vec(),
                })
                .collect(),
            paths: self.read_paths(),
        }
    }
}
