//! Nodes.

use api::v1;
use api::v1::node_service_client::NodeServiceClient;
use model::NodeName;

use super::{Context, segment, slice};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(context: Context<'_>) -> Result<(), Error> {
    let mut client =
        NodeServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.list_nodes(v1::ListNodesRequest {}).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.nodes.iter().map(|status| {
            let node = status.node.clone().unwrap_or_default();
            [
                node.name.clone(),
                table::short(node.role().as_str_name(), "NODE_ROLE_").to_lowercase(),
                node.site.clone(),
                state(status.realisation.as_ref()),
                generations(status.realisation.as_ref()),
                status.segments.len().to_string(),
                status.version.clone(),
            ]
        });
        table::table(&["node", "role", "site", "state", "realised/target", "segments", "version"], rows)
    })
}

fn state(realisation: Option<&v1::EdgeRealisation>) -> String {
    match realisation {
        None => "not managed",
        Some(edge) if !edge.connected => "away",
        Some(edge) if !edge.problem.is_empty() => "problem",
        Some(edge) if slice::is_realised(edge) || edge.target_generation == 0 => "in sync",
        Some(_) => "behind",
    }
    .to_owned()
}

fn generations(realisation: Option<&v1::EdgeRealisation>) -> String {
    let shown = |edge: &v1::EdgeRealisation| {
        format!(
            "{}/{}",
            edge.realised_generation.map_or_else(|| "-".to_owned(), |g| g.to_string()),
            edge.target_generation
        )
    };
    realisation.map(shown).unwrap_or_default()
}

pub(super) async fn show(context: Context<'_>, name: &NodeName) -> Result<(), Error> {
    let mut client =
        NodeServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_node(v1::GetNodeRequest { name: name.to_string() }).await;
    let status = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &status, text)
}

fn text(status: &v1::NodeStatus) -> String {
    let node = status.node.clone().unwrap_or_default();
    let realisation = status.realisation.clone().unwrap_or_default();
    let loopback: Vec<String> =
        [node.loopback_ipv6.clone(), node.loopback_ipv4.clone()].into_iter().flatten().collect();
    let mut text = table::pairs(&[
        ("node", node.name.clone()),
        ("role", table::short(node.role().as_str_name(), "NODE_ROLE_").to_lowercase()),
        ("site", node.site.clone()),
        ("state", state(status.realisation.as_ref())),
        ("problem", realisation.problem.clone()),
        ("realised/target", generations(status.realisation.as_ref())),
        ("last report", table::moment(realisation.last_report.as_ref())),
        ("version", status.version.clone()),
        ("loopback", loopback.join(", ")),
        ("locator", node.locator.clone().unwrap_or_default()),
        ("labels", node.labels.map(|l| format!("{} to {}", l.first, l.last)).unwrap_or_default()),
    ]);
    let rows = node.ports.iter().map(|port| {
        let driver = status.ports.iter().find(|p| p.port == port.name).map(|p| p.driver.clone());
        [
            port.name.clone(),
            table::rate(port.rate_bits_per_second),
            port.mtu_octets.to_string(),
            driver.unwrap_or_default(),
        ]
    });
    text += &table::part("ports", &table::table(&["port", "rate", "mtu", "driver"], rows));
    if status.realisation.is_some() {
        text += &table::part("segments", &segment::realised(&status.segments));
    }
    text
}
