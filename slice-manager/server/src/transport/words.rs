//! What programs say and what nodes report, in the same words, so that two texts differ just where the things do.

use std::fmt::Display;

use api::v1;
use model::program::{Circuit, PathProgram, Remote, ServiceSid, Steering, Tunnel};
use model::resource::Srh;
use model::{PathId, RateLimits};

use super::numbers::service_sid;

pub(super) fn path_name(to: &impl Display, id: impl Display) -> String {
    format!("path {id} to {to}")
}

pub(super) fn path_text(path: &PathProgram) -> String {
    let PathProgram { local, remote, port, next_hop, mtu, srh, .. } = path;
    let list = |items: &[String]| items.join(", ");
    let steering = match &path.steering {
        Steering::Ip => "by the underlay's routes".to_owned(),
        Steering::Srv6(sids) => {
            let sids = list(&sids.iter().map(ToString::to_string).collect::<Vec<_>>());
            format!("SIDs [{sids}]{}", if *srh == Srh::Full { " and the whole list" } else { "" })
        }
        Steering::Mpls(labels) => {
            format!("labels [{}]", list(&labels.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    };
    format!("{local} to {remote}, {port} to {next_hop}, MTU {mtu}, {steering}")
}

pub(super) fn service_text(sid: &ServiceSid, id: &impl Display) -> String {
    format!("{} of {id}", service_sid(sid))
}

pub(super) fn sid_name(sid: impl Display) -> String {
    format!("SID {sid}")
}

pub(super) fn label_name(label: impl Display) -> String {
    format!("label {label}")
}

pub(super) fn slice_name(slice: impl Display) -> String {
    format!("slice {slice}")
}

pub(super) fn limits_text(limits: RateLimits) -> String {
    format!("guaranteed {}, ceiling {}", limits.guaranteed(), limits.ceiling())
}

pub(super) fn limits_found(limits: Option<v1::RateLimits>) -> String {
    let limits = limits.ok_or_else(|| "no limits".to_owned());
    let text = limits.and_then(|limits| RateLimits::try_from(limits).map_err(|error| format!("ill-formed: {error}")));
    text.map_or_else(|why| why, limits_text)
}

pub(super) fn sdp_name(slice: impl Display, sdp: impl Display) -> String {
    format!("SDP {sdp} of {slice}")
}

pub(super) fn circuit_text(circuit: &Circuit) -> String {
    let Circuit { port, vlan, leaf, gateways, .. } = circuit;
    let vlan = vlan.map_or_else(|| "untagged".to_owned(), |vlan| format!("VLAN {vlan}"));
    let leaf = if *leaf { ", leaf" } else { "" };
    let gateways: Vec<String> = gateways.iter().map(ToString::to_string).collect();
    format!("{port}, {vlan}{leaf}, gateways [{}]", gateways.join(", "))
}

pub(super) fn segment_text(
    (vni, takes_vxlan): (impl Display, bool),
    limits: impl Display,
    sessions_max: u32,
) -> String {
    let taken = if takes_vxlan { " taken in" } else { "" };
    format!("VNI {vni}{taken}, {limits}, at most {sessions_max} sessions")
}

pub(super) fn tunnel_name(id: impl Display, far: impl Display) -> String {
    format!("tunnel of {id} to {far}")
}

pub(super) fn tunnel_text(remote: &Remote) -> String {
    let number = match remote.tunnel {
        Tunnel::Vxlan(vni) => vni_text(vni),
        Tunnel::Srv6 { unicast, flood } => sids_text(unicast, flood),
        Tunnel::Mpls { to, control_word, flow_label, .. } => labels_text(to, control_word, flow_label),
    };
    let lane = |path: PathId| lane_text(path, &number, remote.group);
    [Some(remote.working), remote.backup].into_iter().flatten().map(lane).collect::<Vec<_>>().join("; ")
}

pub(super) fn lanes_text(lanes: &[v1::TunnelLane]) -> String {
    use v1::tunnel_lane::Sends;
    let lane = |lane: &v1::TunnelLane| {
        let number = match &lane.sends {
            None => "no number".to_owned(),
            Some(Sends::Vxlan(vxlan)) => vni_text(vxlan.vni),
            Some(Sends::Srv6(sids)) => sids_text(&sids.unicast, &sids.flood),
            Some(Sends::Mpls(labels)) => labels_text(labels.label, labels.control_word, labels.flow_label),
        };
        lane_text(lane.path, &number, lane.group)
    };
    lanes.iter().map(lane).collect::<Vec<_>>().join("; ")
}

fn lane_text(path: impl Display, number: &str, group: bool) -> String {
    format!("path {path} with {number}{}", if group { " and group" } else { "" })
}

fn vni_text(vni: impl Display) -> String {
    format!("VNI {vni}")
}

fn sids_text(unicast: impl Display, flood: impl Display) -> String {
    format!("SIDs {unicast} and {flood}")
}

fn labels_text(label: impl Display, control_word: bool, flow_label: bool) -> String {
    let control_word = if control_word { ", control word" } else { "" };
    let flow_label = if flow_label { ", flow label" } else { "" };
    format!("label {label}{control_word}{flow_label}")
}
