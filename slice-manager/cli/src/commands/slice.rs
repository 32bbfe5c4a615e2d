//! Slices.

use api::v1;
use api::v1::slice_service_client::SliceServiceClient;
use model::SliceName;

use super::{Context, segment};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(context: Context<'_>) -> Result<(), Error> {
    let mut client =
        SliceServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.list_slices(v1::ListSlicesRequest {}).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.slices.iter().map(|status| {
            let slice = status.slice.clone().unwrap_or_default();
            let realised = status.edges.iter().filter(|e| is_realised(e)).count();
            [
                status.name.clone(),
                snssai(slice.snssai.as_ref()),
                slice.template.clone(),
                status.segments.len().to_string(),
                format!("{realised}/{}", status.edges.len()),
                state(status.state()),
                status.reason.clone(),
            ]
        });
        table::table(&["slice", "s-nssai", "template", "segments", "edges", "state", "reason"], rows)
    })
}

pub(super) async fn show(context: Context<'_>, name: &SliceName) -> Result<(), Error> {
    let mut client =
        SliceServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_slice(v1::GetSliceRequest { name: name.to_string() }).await;
    let status = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &status, text)
}

fn text(status: &v1::SliceStatus) -> String {
    let slice = status.slice.clone().unwrap_or_default();
    let (guaranteed, ceiling) = table::limits(slice.rate.as_ref());
    let mut text = table::pairs(&[
        ("slice", status.name.clone()),
        ("state", state(status.state())),
        ("reason", status.reason.clone()),
        ("s-nssai", snssai(slice.snssai.as_ref())),
        ("template", slice.template.clone()),
        ("service", table::short(slice.service().as_str_name(), "SERVICE_").to_lowercase().replace('_', "-")),
        ("transport", table::short(slice.transport().as_str_name(), "TRANSPORT_").to_lowercase()),
        ("guaranteed", guaranteed),
        ("ceiling", ceiling),
        ("latency", slice.latency_max_nanoseconds.map(table::latency).unwrap_or_default()),
    ]);
    let rows = slice.sdps.iter().map(|sdp| {
        [
            sdp.name.clone(),
            sdp.edge.clone(),
            sdp.port.clone(),
            match sdp.vlan {
                Some(vlan) => vlan.to_string(),
                None if sdp.vlan_auto => "auto".to_owned(),
                None => "untagged".to_owned(),
            },
        ]
    });
    text += &table::part("sdps", &table::table(&["sdp", "edge", "port", "vlan"], rows));
    let rows = status.edges.iter().map(|edge| {
        [
            edge.edge.clone(),
            if edge.connected { "attached" } else { "away" }.to_owned(),
            edge.target_generation.to_string(),
            edge.realised_generation.map_or_else(|| "never reported".to_owned(), |g| g.to_string()),
            table::digest(&edge.realised_digest),
            table::moment(edge.last_report.as_ref()),
            edge.problem.clone(),
        ]
    });
    let header = ["edge", "manager", "target", "realised", "digest", "last report", "problem"];
    text += &table::part("edges", &table::table(&header, rows));
    text + &table::part("segments", &segment::rows(&status.segments))
}

/// Does the edge run what it should?
pub(super) fn is_realised(edge: &v1::EdgeRealisation) -> bool {
    edge.realised_generation == Some(edge.target_generation) && edge.realised_digest == edge.target_digest
}

pub(super) fn state(state: v1::SliceState) -> String {
    table::short(state.as_str_name(), "SLICE_STATE_")
}

fn snssai(snssai: Option<&v1::Snssai>) -> String {
    match snssai {
        None => String::new(),
        Some(v1::Snssai { sst, sd: None }) => sst.to_string(),
        Some(v1::Snssai { sst, sd: Some(sd) }) => format!("{sst}-{sd}"),
    }
}
