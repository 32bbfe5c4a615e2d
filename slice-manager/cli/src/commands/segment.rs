//! Micro-segments.

use api::v1;
use api::v1::segment_service_client::SegmentServiceClient;
use model::{SegmentName, SliceName};

use super::Context;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(context: Context<'_>, slice: Option<&SliceName>) -> Result<(), Error> {
    let mut client =
        SegmentServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::ListSegmentsRequest { slice: slice.map(ToString::to_string).unwrap_or_default() };
    let answer = client.list_segments(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| rows(&answer.segments))
}

/// Segments, one a line.
pub(super) fn rows(segments: &[v1::SegmentStatus]) -> String {
    let rows = segments.iter().map(|status| {
        let (guaranteed, ceiling) = table::limits(status.limits.as_ref());
        let sessions: u128 = status.realised.iter().map(|r| u128::from(r.sessions)).sum();
        let edges: Vec<&str> = status.realised.iter().map(|r| r.edge.as_str()).collect();
        [
            status.slice.clone(),
            status.name.clone(),
            status.vni.to_string(),
            status.access_port.to_string(),
            guaranteed,
            ceiling,
            edges.join(", "),
            sessions.to_string(),
        ]
    });
    table::table(&["slice", "segment", "vni", "aaa port", "guaranteed", "ceiling", "realised on", "sessions"], rows)
}

pub(super) async fn show(context: Context<'_>, slice: &SliceName, name: &SegmentName) -> Result<(), Error> {
    let mut client =
        SegmentServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::GetSegmentRequest { slice: slice.to_string(), name: name.to_string() };
    let answer = client.get_segment(request).await;
    let status = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &status, text)
}

fn text(status: &v1::SegmentStatus) -> String {
    let segment = status.segment.clone().unwrap_or_default();
    let (guaranteed, ceiling) = table::limits(status.limits.as_ref());
    let head = table::pairs(&[
        ("segment", format!("{}/{}", status.slice, status.name)),
        ("profile", segment.profile),
        ("spawned at", segment.at.join(", ")),
        ("vni", status.vni.to_string()),
        ("aaa ports", format!("{} access, {} accounting", status.access_port, u64::from(status.access_port) + 1)),
        ("guaranteed", guaranteed),
        ("ceiling", ceiling),
    ]);
    head + &table::part("realised", &realised(&status.realised))
}

/// What edges report of segments.
pub(super) fn realised(segments: &[v1::RealisedSegment]) -> String {
    let rows = segments.iter().map(|segment| {
        [
            segment.edge.clone(),
            format!("{}/{}", segment.slice, segment.segment),
            segment.vni.to_string(),
            segment.sessions.to_string(),
            table::short(segment.aaa().as_str_name(), "AAA_STATE_").to_lowercase().replace('_', " "),
            segment.tunnels.iter().map(|t| format!("{} (path {})", t.remote, t.path)).collect::<Vec<_>>().join(", "),
            segment.aaa_reason.clone(),
        ]
    });
    table::table(&["edge", "segment", "vni", "sessions", "aaa", "tunnels to", "reason"], rows)
}
