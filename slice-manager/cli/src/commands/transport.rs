//! What crosses the underlay: paths, numbers, and whether nodes run them.

use api::v1;
use api::v1::slice_service_client::SliceServiceClient;
use api::v1::transport_service_client::TransportServiceClient;
use model::{NodeName, SliceName};
use tonic::transport::Channel;

use super::readings::{away, narrow};
use super::{Context, slice};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

/// A kind of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Sid,
    Label,
    Vni,
    RouteTarget,
}

pub(super) async fn paths(
    context: Context<'_>,
    slice: Option<&SliceName>,
    node: Option<&NodeName>,
) -> Result<(), Error> {
    let request = v1::ListPathsRequest { slice: narrow(slice), node: narrow(node) };
    let answer = client(context.manager.connect().await?).list_paths(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.paths.iter().map(|path| {
            let program = path.program.clone().unwrap_or_default();
            let [state, since, probes, round_trip, jitter] = measured(path.reading.as_ref());
            [
                path.from.clone(),
                program.to.clone(),
                program.id.to_string(),
                path.links.join(", "),
                steering(&program),
                table::latency(path.delay_nanoseconds),
                path.uses.iter().map(taken).collect::<Vec<_>>().join(", "),
                state,
                since,
                probes,
                round_trip,
                jitter,
            ]
        });
        let header = [
            "from",
            "to",
            "id",
            "links",
            "steering",
            "planned",
            "taken by",
            "state",
            "since",
            "lost/probes",
            "round trip min/mean/p99/max",
            "jitter",
        ];
        table::table(&header, rows)
    })?;
    away(context.err, &answer.unreachable)
}

pub(super) async fn numbers(context: Context<'_>, kind: Kind, node: Option<&NodeName>) -> Result<(), Error> {
    let mut client = client(context.manager.connect().await?);
    let request = v1::ListNumbersRequest { node: narrow(node) };
    let answer = match kind {
        Kind::Sid => client.list_sids(request).await,
        Kind::Label => client.list_labels(request).await,
        Kind::Vni => client.list_vnis(request).await,
        Kind::RouteTarget => client.list_route_targets(request).await,
    };
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.numbers.iter().map(|number| {
            let owner = [number.slice.as_str(), number.segment.as_str()];
            let waits = number.awaiting.iter().map(|a| format!("{} to confirm {}", a.edge, a.generation));
            [
                number.node.clone(),
                number.number.clone(),
                number.stands_for.clone(),
                owner.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/"),
                if number.quarantined { "quarantined" } else { "in use" }.to_owned(),
                waits.collect::<Vec<_>>().join(", "),
            ]
        });
        let name = match kind {
            Kind::Sid => "sid",
            Kind::Label => "label",
            Kind::Vni => "vni",
            Kind::RouteTarget => "route target",
        };
        table::table(&["node", name, "stands for", "of", "state", "awaits"], rows)
    })
}

pub(super) async fn verify(mut context: Context<'_>, node: Option<&NodeName>) -> Result<(), Error> {
    let request = v1::VerifyRequest { node: narrow(node) };
    let answer = client(context.manager.connect().await?).verify(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    verdicts(&mut context, &answer)
}

pub(super) async fn repair(mut context: Context<'_>, node: Option<&NodeName>) -> Result<(), Error> {
    let request = v1::RepairRequest { node: narrow(node) };
    let answer = client(context.manager.connect().await?).repair(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    verdicts(&mut context, &answer)
}

/// Shows what was read back; it is well only if every node was read and none differs.
fn verdicts(context: &mut Context<'_>, answer: &v1::VerifyResponse) -> Result<(), Error> {
    output::write(context.out, context.form, answer, |answer| {
        let rows = answer.nodes.iter().map(|node| {
            let read = |count: u32| if node.unread.is_empty() { count.to_string() } else { String::new() };
            [
                node.node.clone(),
                verdict(node),
                format!("{}/{}", node.generation, node.target_generation),
                table::digest(&node.digest),
                read(node.paths),
                read(node.sids),
                read(node.labels),
                read(node.segments),
                read(node.routes),
                read(node.classes),
                read(node.shares),
            ]
        });
        let header = [
            "node",
            "verdict",
            "runs/target",
            "digest",
            "paths",
            "sids",
            "labels",
            "segments",
            "routes",
            "classes",
            "shares",
        ];
        let text = table::table(&header, rows);
        let rows = answer.nodes.iter().flat_map(|node| {
            let row = |d: &v1::Difference| [node.node.clone(), d.what.clone(), or_none(&d.wanted), or_none(&d.found)];
            node.differences.iter().map(row)
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return text;
        }
        text + &table::part("differences", &table::table(&["node", "what", "wanted", "found"], rows))
    })?;
    let differ = answer.nodes.iter().filter(|node| !node.differences.is_empty()).count();
    let unread = answer.nodes.iter().filter(|node| !node.unread.is_empty()).count();
    match (differ, unread) {
        (0, 0) => Ok(()),
        (differ, 0) => Err(Error::NotSo(format!("{differ} of {} nodes differ", answer.nodes.len()))),
        (0, unread) => Err(Error::NotSo(format!("{unread} of {} nodes were not read", answer.nodes.len()))),
        (differ, unread) => {
            let all = answer.nodes.len();
            Err(Error::NotSo(format!("of {all} nodes {differ} differ, and {unread} were not read")))
        }
    }
}

fn verdict(node: &v1::NodeVerdict) -> String {
    match (node.unread.as_str(), node.differences.len()) {
        ("", 0) => "as it should".to_owned(),
        ("", 1) => "1 difference".to_owned(),
        ("", count) => format!("{count} differences"),
        (why, _) => format!("not read: {why}"),
    }
}

pub(super) async fn drift(context: Context<'_>) -> Result<(), Error> {
    let answer = client(context.manager.connect().await?).list_drift(v1::ListDriftRequest {}).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.drift.iter().map(|drift| {
            let difference = drift.difference.clone().unwrap_or_default();
            [
                drift.node.clone(),
                difference.what.clone(),
                or_none(&difference.wanted),
                or_none(&difference.found),
                table::moment(drift.since.as_ref()),
            ]
        });
        table::table(&["node", "what", "wanted", "found", "since"], rows)
    })?;
    match answer.drift.len() {
        0 => Ok(()),
        1 => Err(Error::NotSo("there is a difference".to_owned())),
        count => Err(Error::NotSo(format!("there are {count} differences"))),
    }
}

/// What a slice is promised, and what its paths are measured to keep of it.
pub(super) async fn explain(context: Context<'_>, name: &SliceName) -> Result<(), Error> {
    let channel = context.manager.connect().await?;
    let mut slices = SliceServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let status = slices.get_slice(v1::GetSliceRequest { name: name.to_string() }).await;
    let status = status.map_err(|status| context.manager.failed(&status))?.into_inner();
    let request = v1::ListPathsRequest { slice: name.to_string(), node: String::new() };
    let answer = client(channel).list_paths(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    let explanation =
        v1::SliceExplanation { status: Some(status), paths: answer.paths, unreachable: answer.unreachable };
    output::write(context.out, context.form, &explanation, |explanation| explained(name, explanation))?;
    away(context.err, &explanation.unreachable)
}

fn explained(name: &SliceName, explanation: &v1::SliceExplanation) -> String {
    let status = explanation.status.clone().unwrap_or_default();
    let uses = || explanation.paths.iter().flat_map(|path| &path.uses).filter(|used| used.slice == name.as_str());
    let bound = uses().find_map(|used| used.delay_nanoseconds_max);
    let text = table::pairs(&[
        ("slice", name.to_string()),
        ("state", slice::state(status.state())),
        ("reason", status.reason),
        ("delay, at most", bound.map_or_else(|| "not bounded".to_owned(), table::latency)),
    ]);
    let rows = explanation.paths.iter().map(|path| {
        let program = path.program.clone().unwrap_or_default();
        let is_backup = path.uses.iter().any(|used| used.slice == name.as_str() && used.backup);
        let [state, _, _, _, jitter] = measured(path.reading.as_ref());
        let delay = path.reading.as_ref().and_then(one_way);
        [
            format!("{} to {}, path {}", path.from, program.to, program.id),
            if is_backup { "backup" } else { "working" }.to_owned(),
            state.clone(),
            table::latency(path.delay_nanoseconds),
            delay.map(table::measured).unwrap_or_default(),
            jitter,
            path.reading.as_ref().map(loss).unwrap_or_default(),
            match (path.reading.as_ref(), delay, bound) {
                (_, _, None) => "",
                // What was measured before it went down keeps no promise.
                (Some(reading), ..) if reading.state() != v1::PathState::Up => &state,
                (_, Some(delay), Some(bound)) if delay <= bound => "met",
                (_, Some(_), Some(_)) => "missed",
                (_, None, Some(_)) => "not measured",
            }
            .to_owned(),
        ]
    });
    let header = ["path", "is its", "state", "planned", "99th delay", "jitter", "loss", "bound"];
    text + &table::part("paths", &table::table(&header, rows))
}

/// The 99th percentile of the delay one way: as measured where both clocks can be compared, else half of there and back.
fn one_way(reading: &v1::PathReading) -> Option<u64> {
    let p99 = |delays: Option<&v1::Delays>| delays.filter(|delays| delays.count > 0).map(|delays| delays.p99);
    p99(reading.forward.as_ref()).or_else(|| p99(reading.round_trip.as_ref()).map(|there_and_back| there_and_back / 2))
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn loss(reading: &v1::PathReading) -> String {
    let all = reading.probes_answered + reading.probes_lost;
    if all == 0 { String::new() } else { format!("{:.3} %", reading.probes_lost as f64 * 100.0 / all as f64) }
}

/// State, since when, probes lost of all, round trip, jitter.
fn measured(reading: Option<&v1::PathReading>) -> [String; 5] {
    let Some(reading) = reading else {
        return ["not read".to_owned(), String::new(), String::new(), String::new(), String::new()];
    };
    let round_trip = reading.round_trip.filter(|delays| delays.count > 0);
    [
        table::short(reading.state().as_str_name(), "PATH_STATE_").to_lowercase(),
        table::moment(reading.since.as_ref()),
        format!("{}/{}", reading.probes_lost, reading.probes_answered + reading.probes_lost),
        round_trip
            .map(|delays| [delays.min, delays.mean, delays.p99, delays.max].map(table::measured).join(" / "))
            .unwrap_or_default(),
        table::measured(reading.forward_jitter_nanoseconds),
    ]
}

fn steering(program: &v1::PathProgram) -> String {
    use v1::path_program::Steering;
    match &program.steering {
        None => String::new(),
        Some(Steering::Ip(_)) => "ip".to_owned(),
        Some(Steering::Srv6(steering)) => {
            let whole = if program.srh() == v1::Srh::Full { " (whole list)" } else { "" };
            format!("{}{whole}", format!("srv6 {}", steering.sids.join(", ")).trim_end())
        }
        Some(Steering::Mpls(steering)) => {
            let labels = steering.labels.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("mpls {}", labels.join(", ")).trim_end().to_owned()
        }
    }
}

fn taken(used: &v1::PathUse) -> String {
    if used.backup { format!("{} (backup)", used.slice) } else { used.slice.clone() }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { text.to_owned() }
}

fn client(channel: Channel) -> TransportServiceClient<Channel> {
    TransportServiceClient::new(channel).max_decoding_message_size(ANSWER_OCTETS_MAX)
}
