//! What an edge tells of its paths, SIDs, labels, routes and shares: from the tables and trees that run, never from the program.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use api::v1;
use model::program::{Adjacency, Flavours, ServiceSid, TransitBehaviour, TransitLabel, TransitSid, UnderlayRoute};
use model::{Label, PortName, Prefix, Sid};
use transport_dataplane::{
    Delays, LabelReading, LaneReading, Nanos, Numbers, PathReading, PathState, Reading, Sends, SidReading,
    SliceReading, TunnelReading,
};

use super::trees::trees;
use super::{moment, realised_segment};
use crate::control::{Control, Site};
use crate::worker::WorkerGone;

/// Tells the worker's time as that of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: Nanos,
    wall: SystemTime,
}

impl Clock {
    pub(super) fn of(site: &Site) -> Self {
        Self { now: site.workers.now(), wall: SystemTime::now() }
    }

    fn tell(&self, at: Nanos) -> prost_types::Timestamp {
        let ago = Duration::from_nanos(self.now.0.saturating_sub(at.0));
        moment(self.wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// Paths and whether they work.
pub(super) fn realised_paths(clock: Clock, reading: &Reading) -> Vec<v1::RealisedPath> {
    let path = |path: &PathReading| v1::RealisedPath {
        to: path.program.to.to_string(),
        id: path.program.id.get().into(),
        state: state(path.state).into(),
        since: Some(clock.tell(path.since)),
        proven: path.measures.answered > 0,
    };
    reading.paths.iter().map(path).collect()
}

/// Where a tunnel leads, and which path it takes.
pub(super) fn tunnel_ends(tunnel: &TunnelReading) -> v1::RealisedTunnel {
    v1::RealisedTunnel { remote: tunnel.remote.to_string(), path: tunnel.taken.get().into(), lanes: Vec::new() }
}

/// A tunnel, and what is put in front of its packets.
fn tunnel_whole(tunnel: &TunnelReading) -> v1::RealisedTunnel {
    use v1::tunnel_lane::Sends as Number;
    let lane = |lane: &LaneReading| {
        let sends = lane.sends.map(|(sends, _)| match sends {
            Sends::Vni(vni) => Number::Vxlan(v1::VxlanTunnel { vni }),
            Sends::Sids { unicast, flood } => {
                Number::Srv6(v1::Srv6Tunnel { unicast: unicast.to_string(), flood: flood.to_string() })
            }
            Sends::Label { label, control_word, flow_label } => {
                Number::Mpls(v1::SentLabels { label, control_word, flow_label })
            }
        });
        v1::TunnelLane { path: lane.path.get().into(), sends, group: lane.sends.is_some_and(|(_, group)| group) }
    };
    v1::RealisedTunnel { lanes: tunnel.lanes.iter().map(lane).collect(), ..tunnel_ends(tunnel) }
}

fn slice(slice: &SliceReading) -> v1::RunningSlice {
    v1::RunningSlice {
        slice: slice.slice.to_string(),
        limits: Some(slice.limits.into()),
        circuits: slice.circuits.iter().map(|circuit| (&circuit.circuit).into()).collect(),
    }
}

/// Paths and what was measured of them.
pub(super) async fn paths(site: &Site) -> Result<Vec<v1::PathReading>, WorkerGone> {
    Ok(path_readings(site, &site.workers.read().await?.pipeline))
}

/// Everything that a program says of paths and numbers, as it runs.
pub(super) async fn running(control: &Control) -> Result<v1::Reading, WorkerGone> {
    let reading = control.read_workers().await?.pipeline;
    let numbers = control.site().workers.numbers().await?;
    let (shaping, shares) = trees(control.site()).await?;
    let digest = if reading.generation.get() == 0 { Vec::new() } else { reading.digest.as_bytes().to_vec() };
    Ok(v1::Reading {
        program: Some(v1::RunningProgram { generation: reading.generation.get(), digest }),
        paths: path_readings(control.site(), &reading),
        sids: numbers.sids.iter().filter_map(|(sid, leads)| Some(running_sid(Sid::new(*sid).ok()?, leads))).collect(),
        labels: labels(&numbers),
        routes: numbers.routes.iter().map(route).collect(),
        segments: reading.segments.iter().map(|segment| realised_segment(control, segment, tunnel_whole)).collect(),
        slices: reading.slices.iter().map(slice).collect(),
        shaping,
        shares,
        ..v1::Reading::default()
    })
}

pub(crate) fn path_readings(site: &Site, reading: &Reading) -> Vec<v1::PathReading> {
    let clock = Clock::of(site);
    let path = |path: &PathReading| v1::PathReading {
        edge: site.name.to_string(),
        program: Some(path.program.as_ref().into()),
        state: state(path.state).into(),
        since: Some(clock.tell(path.since)),
        failures: path.failures,
        probes_answered: path.measures.answered,
        probes_lost: path.measures.lost,
        round_trip: Some(delays(&path.measures.round_trip)),
        forward: Some(delays(&path.measures.forward)),
        backward: Some(delays(&path.measures.backward)),
        forward_jitter_nanoseconds: path.measures.forward_jitter.get().0,
        backward_jitter_nanoseconds: path.measures.backward_jitter.get().0,
    };
    reading.paths.iter().map(path).collect()
}

const fn state(state: PathState) -> v1::PathState {
    match state {
        PathState::Unknown => v1::PathState::Unknown,
        PathState::Up => v1::PathState::Up,
        PathState::Down => v1::PathState::Down,
    }
}

fn delays(delays: &Delays) -> v1::Delays {
    let nanos = |delay: Option<Nanos>| delay.unwrap_or_default().0;
    v1::Delays {
        count: delays.count(),
        min: nanos(delays.min()),
        mean: nanos(delays.mean()),
        p99: nanos(delays.percentile(P99)),
        max: nanos(delays.max()),
    }
}

fn running_sid(sid: Sid, leads: &SidReading) -> v1::RunningSid {
    use v1::running_sid::Sid as Number;
    let transit = |flavours: &Flavours, behaviour| {
        let number = Number::Transit((&TransitSid { sid, behaviour, flavours: *flavours }).into());
        v1::RunningSid { sid: Some(number), ..v1::RunningSid::default() }
    };
    match leads {
        SidReading::Segment(id, behaviour) => v1::RunningSid {
            slice: id.slice.to_string(),
            segment: id.segment.to_string(),
            sid: Some(Number::Service((&ServiceSid { sid, behaviour: *behaviour }).into())),
        },
        SidReading::End(flavours) => transit(flavours, TransitBehaviour::End),
        SidReading::EndX(flavours, port, next_hop) => {
            let to = Adjacency { port: port.clone(), next_hop: *next_hop };
            transit(flavours, TransitBehaviour::EndX(to))
        }
    }
}

fn route((prefix, port, next_hop): &(Prefix, PortName, IpAddr)) -> v1::UnderlayRoute {
    let via = Adjacency { port: port.clone(), next_hop: *next_hop };
    (&UnderlayRoute { prefix: *prefix, via }).into()
}

fn labels(numbers: &Numbers) -> Vec<v1::RunningLabel> {
    let label = |(label, leads): &(u32, LabelReading)| {
        Some(match leads {
            LabelReading::Segment(id, sender) => v1::RunningLabel {
                label: *label,
                slice: id.slice.to_string(),
                segment: id.segment.to_string(),
                sender: sender.to_string(),
                transit: None,
            },
            LabelReading::Switch { swap, port, next_hop } => {
                let transit = TransitLabel {
                    label: Label::try_from(*label).ok()?,
                    swap: swap.map(Label::try_from).transpose().ok()?,
                    out: Adjacency { port: port.clone(), next_hop: *next_hop },
                };
                v1::RunningLabel { label: *label, transit: Some((&transit).into()), ..v1::RunningLabel::default() }
            }
        })
    };
    numbers.labels.iter().filter_map(label).collect()
}

/// The 99th percentile, in millionths.
const P99: u32 = 990_000;
