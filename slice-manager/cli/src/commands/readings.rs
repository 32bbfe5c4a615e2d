//! Readings: counters and sessions, from the edges at this moment.

use std::io::Write;

use api::v1;
use api::v1::aaa_service_client::AaaServiceClient;
use api::v1::dataplane_service_client::DataplaneServiceClient;
use model::{NodeName, SegmentName, SliceName};

use super::Context;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::table::visible;
use crate::{output, table};

pub(super) async fn drops(context: Context<'_>, edge: Option<&NodeName>) -> Result<(), Error> {
    let mut client =
        DataplaneServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_drops(request(edge)).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.drops.iter().map(|d| {
            [
                d.edge.clone(),
                d.port.clone(),
                d.slice.clone(),
                d.segment.clone(),
                d.reason.clone(),
                d.packets.to_string(),
            ]
        });
        table::table(&["edge", "port", "slice", "segment", "reason", "packets"], rows)
    })?;
    away(context.err, &answer.unreachable)
}

pub(super) async fn meters(context: Context<'_>, edge: Option<&NodeName>) -> Result<(), Error> {
    let mut client =
        DataplaneServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_meters(request(edge)).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.meters.iter().map(|m| {
            [
                m.edge.clone(),
                m.slice.clone(),
                if m.segment.is_empty() { format!("SDP {}", m.sdp) } else { format!("segment {}", m.segment) },
                m.direction.clone(),
                table::rate(m.ceiling_bits_per_second),
                m.passed_packets.to_string(),
                m.passed_octets.to_string(),
                excess(m),
            ]
        });
        let header =
            ["edge", "slice", "of", "direction", "ceiling", "passed packets", "passed octets", "what is above"];
        table::table(&header, rows)
    })?;
    away(context.err, &answer.unreachable)
}

pub(super) async fn sessions(
    context: Context<'_>,
    edge: Option<&NodeName>,
    slice: Option<&SliceName>,
    segment: Option<&SegmentName>,
) -> Result<(), Error> {
    let mut client =
        AaaServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::ListSessionsRequest { edge: narrow(edge), slice: narrow(slice), segment: narrow(segment) };
    let answer = client.list_sessions(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.sessions.iter().map(|s| {
            [
                s.edge.clone(),
                format!("{}/{}", s.slice, s.segment),
                s.identity.clone(),
                s.mac.clone(),
                s.addresses.join(", "),
                s.client.clone(),
                table::moment(s.since.as_ref()),
                table::moment(s.expires.as_ref()),
                s.octets_from.to_string(),
                s.octets_to.to_string(),
            ]
        });
        let header = [
            "edge",
            "segment",
            "identity",
            "mac",
            "addresses",
            "client",
            "since",
            "expires",
            "octets from",
            "octets to",
        ];
        table::table(&header, rows)
    })?;
    away(context.err, &answer.unreachable)
}

pub(super) async fn aaa_counters(
    context: Context<'_>,
    edge: Option<&NodeName>,
    slice: Option<&SliceName>,
    segment: Option<&SegmentName>,
) -> Result<(), Error> {
    let mut client =
        AaaServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::ListCountersRequest { edge: narrow(edge), slice: narrow(slice), segment: narrow(segment) };
    let answer = client.list_counters(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.counters.iter().map(|c| {
            let segment = format!("{}/{}", c.slice, c.segment);
            [c.edge.clone(), segment, c.kind.clone(), c.name.clone(), c.count.to_string()]
        });
        table::table(&["edge", "segment", "kind", "name", "count"], rows)
    })?;
    away(context.err, &answer.unreachable)
}

/// What became of packets above a limit. One that drops nothing says so, and not that it dropped none.
fn excess(meter: &v1::MeterCounter) -> String {
    match meter.excess() {
        v1::Excess::Waits => "waits in queues".to_owned(),
        v1::Excess::Dropped | v1::Excess::Unspecified => format!("dropped {} packets", meter.dropped_packets),
    }
}

fn request(edge: Option<&NodeName>) -> v1::DataplaneRequest {
    v1::DataplaneRequest { edge: narrow(edge) }
}

/// A name that narrows an answer; none is empty.
pub(super) fn narrow(name: Option<&impl ToString>) -> String {
    name.map(ToString::to_string).unwrap_or_default()
}

/// Edges that did not answer are named; a reading without them is not whole.
pub(super) fn away(err: &mut dyn Write, edges: &[v1::Unreachable]) -> Result<(), Error> {
    for edge in edges {
        writeln!(err, "{} is not in this answer: {}", visible(&edge.edge), visible(&edge.reason))?;
    }
    Ok(())
}
