//! What the edge tells the manager, as messages: read from what runs.

pub(crate) mod queues;
mod transport;
mod trees;

use api::v1;
use model::PortName;
use model::operation::Timestamp;
use model::resource::SegmentId;
use transport_dataplane::{Drops, MeterReading, SegmentReading, TunnelReading};

use crate::control::{Control, Site};
use crate::node::UNKNOWN_READING;
use crate::ports::Losses;
use crate::worker::{WorkerGone, WorkersReading};

use transport::{Clock, paths, realised_paths, running, tunnel_ends};

pub(crate) use transport::path_readings;

/// The whole of a reading.
pub(crate) async fn reading(control: &Control, kind: v1::ReadKind) -> Result<v1::Reading, String> {
    let mut gathered = v1::Reading::default();
    match kind {
        v1::ReadKind::Drops => gathered.drops = drops(control.site(), &control.read_workers().await.map_err(text)?),
        v1::ReadKind::Meters => gathered.meters = meters(control.site(), &control.read_workers().await.map_err(text)?),
        v1::ReadKind::Sessions => gathered.sessions = sessions(control).await.map_err(text)?,
        v1::ReadKind::AaaCounters => gathered.aaa_counters = aaa_counters(control),
        v1::ReadKind::Paths => gathered.paths = paths(control.site()).await.map_err(text)?,
        v1::ReadKind::Queues => gathered = queues::queues(control.site()).await.map_err(text)?,
        v1::ReadKind::Running => gathered = running(control).await.map_err(text)?,
        v1::ReadKind::Unspecified => return Err(UNKNOWN_READING.to_owned()),
    }
    Ok(gathered)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: WorkerGone) -> String {
    error.to_string()
}

/// What the edge runs. If the dataplane has stopped, that is what it says, and nothing of what it should run.
pub(crate) async fn realised(control: &Control) -> v1::Realised {
    let reading = match control.read_workers().await {
        Ok(reading) => reading.pipeline,
        Err(WorkerGone) => return stopped(control),
    };
    let refusal = control
        .refused()
        .map(|(generation, reason)| v1::Refusal { generation: generation.get(), reason: reason.clone() });
    let digest = if reading.generation.get() == 0 { Vec::new() } else { reading.digest.as_bytes().to_vec() };
    v1::Realised {
        generation: reading.generation.get(),
        digest,
        segments: reading.segments.iter().map(|segment| realised_segment(control, segment, tunnel_ends)).collect(),
        refusal,
        paths: realised_paths(Clock::of(control.site()), &reading),
        // Tables are exchanged whole, and nobody else can change them.
        drift: Vec::new(),
    }
}

fn stopped(control: &Control) -> v1::Realised {
    let generation = control.refused().map_or(0, |(generation, _)| generation.get());
    let refusal = Some(v1::Refusal { generation, reason: WorkerGone.to_string() });
    v1::Realised { refusal, ..v1::Realised::default() }
}

fn realised_segment(
    control: &Control,
    segment: &SegmentReading,
    tunnel: fn(&TunnelReading) -> v1::RealisedTunnel,
) -> v1::RealisedSegment {
    let (aaa, aaa_reason) = control.realms().state(&segment.id);
    v1::RealisedSegment {
        edge: control.site().name.to_string(),
        slice: segment.id.slice.to_string(),
        segment: segment.id.segment.to_string(),
        vni: segment.vni,
        limits: Some(segment.limits.into()),
        sessions: segment.sessions.into(),
        aaa: aaa.into(),
        aaa_reason,
        tunnels: segment.tunnels.iter().map(tunnel).collect(),
        sessions_max: segment.sessions_max,
        takes_vxlan: segment.takes_vxlan,
    }
}

/// Packets dropped. Those of a segment are listed under it; the rest of a port, and what its driver lost, under the port
/// alone.
pub(crate) fn drops(site: &Site, reading: &WorkersReading) -> Vec<v1::DropCounter> {
    let WorkersReading { pipeline: reading, losses, .. } = reading;
    let edge = site.name.to_string();
    let mut rows = Vec::new();
    for (at, (port, _)) in site.ports.iter().enumerate() {
        let Some(here) = reading.ports.get(at) else { continue };
        for (reason, packets) in here.drops.iter() {
            let of_segments: u64 = reading.segments.iter().filter_map(|s| s.drops.get(at)).map(|d| d.of(reason)).sum();
            // Segments that have gone took their own counts with them; the port's stay.
            let rest = packets.saturating_sub(of_segments);
            if rest > 0 {
                rows.push(drop_row(&edge, port, None, reason.as_str(), rest));
            }
        }
        for (reason, frames) in losses.get(at).into_iter().flat_map(Losses::iter) {
            rows.push(drop_row(&edge, port, None, reason.as_str(), frames));
        }
        for segment in &reading.segments {
            for (reason, packets) in segment.drops.get(at).into_iter().flat_map(Drops::iter) {
                rows.push(drop_row(&edge, port, Some(segment), reason.as_str(), packets));
            }
        }
    }
    rows
}

fn drop_row(
    edge: &str,
    port: &PortName,
    segment: Option<&SegmentReading>,
    reason: &str,
    packets: u64,
) -> v1::DropCounter {
    v1::DropCounter {
        edge: edge.to_owned(),
        port: port.to_string(),
        slice: segment.map(|s| s.id.slice.to_string()).unwrap_or_default(),
        segment: segment.map(|s| s.id.segment.to_string()).unwrap_or_default(),
        reason: reason.to_owned(),
        packets,
    }
}

/// What a rate limit is of.
#[derive(Clone, Copy)]
enum Part<'a> {
    Sdp(&'a str),
    Segment(&'a str),
}

/// Rate limits and what they let pass.
pub(crate) fn meters(site: &Site, reading: &WorkersReading) -> Vec<v1::MeterCounter> {
    let WorkersReading { at, pipeline: reading, .. } = reading;
    let edge = site.name.to_string();
    let row = |slice: &str, part: Part<'_>, direction: &str, ceiling: u64, meter: &MeterReading| v1::MeterCounter {
        edge: edge.clone(),
        slice: slice.to_owned(),
        sdp: if let Part::Sdp(name) = part { name.to_owned() } else { String::new() },
        segment: if let Part::Segment(name) = part { name.to_owned() } else { String::new() },
        direction: direction.to_owned(),
        ceiling_bits_per_second: ceiling,
        passed_packets: meter.passed.frames,
        passed_octets: meter.passed.octets,
        dropped_packets: meter.dropped,
        excess: if meter.is_policed { v1::Excess::Dropped } else { v1::Excess::Waits }.into(),
        read_at_nanoseconds: at.0,
    };
    let mut rows = Vec::new();
    for slice in &reading.slices {
        let ceiling = slice.limits.ceiling().bits_per_second();
        for circuit in &slice.circuits {
            let sdp = Part::Sdp(circuit.circuit.sdp.as_str());
            rows.push(row(slice.slice.as_str(), sdp, FROM_ACCESS, ceiling, &circuit.from_access));
            rows.push(row(slice.slice.as_str(), sdp, TO_ACCESS, ceiling, &circuit.to_access));
        }
        for segment in reading.segments.iter().filter(|s| s.id.slice == *slice.slice) {
            let ceiling = segment.limits.ceiling().bits_per_second();
            let (slice, name) = (segment.id.slice.as_str(), Part::Segment(segment.id.segment.as_str()));
            rows.push(row(slice, name, FROM_ACCESS, ceiling, &segment.from_access));
            rows.push(row(slice, name, TO_ACCESS, ceiling, &segment.to_access));
        }
    }
    rows
}

/// What the AAA of each segment answered, refused and dropped.
fn aaa_counters(control: &Control) -> Vec<v1::AaaCounter> {
    let row = |id: &SegmentId, (kind, name, count): (&str, &str, u64)| v1::AaaCounter {
        edge: control.site().name.to_string(),
        slice: id.slice.to_string(),
        segment: id.segment.to_string(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        count,
    };
    let realms = control.realms().counters();
    realms.iter().flat_map(|(id, counters)| counters.iter().map(|counter| row(id, counter))).collect()
}

/// Sessions, with what the dataplane has counted for them.
async fn sessions(control: &Control) -> Result<Vec<v1::Session>, WorkerGone> {
    let bound = control.realms().sessions().await;
    let keys: Vec<_> = bound.iter().map(|(_, key)| *key).collect();
    let counters = control.site().workers.sessions(&keys).await?;
    let mut rows = Vec::with_capacity(bound.len());
    for ((session, _), counters) in bound.iter().zip(counters) {
        // One whose device has moved on to another segment of the slice is bound there, and not here.
        let Some(counters) = counters else { continue };
        let grant = &session.grant;
        rows.push(v1::Session {
            edge: control.site().name.to_string(),
            slice: grant.segment.slice.to_string(),
            segment: grant.segment.segment.to_string(),
            id: grant.session.to_string(),
            identity: grant.identity.clone(),
            mac: grant.mac.to_string(),
            addresses: grant.addresses().map(|address| address.to_string()).collect(),
            client: grant.client.to_string(),
            since: Some(moment(grant.since)),
            expires: Some(moment(session.expires)),
            octets_from: counters.from.octets,
            octets_to: counters.to.octets,
        });
    }
    Ok(rows)
}

pub(crate) fn moment(at: std::time::SystemTime) -> prost_types::Timestamp {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    api::timestamp(Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

const FROM_ACCESS: &str = "from-access";
const TO_ACCESS: &str = "to-access";
