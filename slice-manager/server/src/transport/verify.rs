//! What a node runs, read back, beside what its program says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::v1;
use model::program::{Circuit, PathProgram, Program, ProgramContent, Remote, ServiceSid, TransitLabel, TransitSid};
use model::{Digest, NodeName};

use super::forwarding;
use super::numbers::{transit_label, transit_sid};
use super::words::{
    circuit_text, label_name, lanes_text, limits_found, limits_text, path_name, path_text, sdp_name, segment_text,
    service_text, sid_name, slice_name, tunnel_name, tunnel_text,
};
use crate::edges::Gathered;

/// What there is, by what it is called, in words that are the same for what is wanted and for what is found.
type Things = BTreeMap<String, String>;

/// Compares what a node has answered with its program; without one it should run nothing.
pub(crate) fn verdict(node: &NodeName, target: Option<&Program>, found: &Gathered) -> v1::NodeVerdict {
    let running = found.program.clone().unwrap_or_default();
    let content = target.map(|target| &target.content);
    let mut wanted = content.map(wanted).unwrap_or_default();
    wanted.extend(content.into_iter().flat_map(forwarding::wanted));
    let mut differences = Vec::new();
    let target_digest = target.map(|program| program.digest().as_bytes().to_vec()).unwrap_or_default();
    let target_generation = target.map_or(0, |program| program.generation.get());
    if target.is_some() || running.generation != 0 {
        let pairs = [
            ("generation", target_generation.to_string(), running.generation.to_string()),
            ("digest", short(&target_digest), short(&running.digest)),
        ];
        let differ = pairs.into_iter().filter(|(_, wanted, found)| wanted != found);
        differences.extend(differ.map(|(what, wanted, found)| v1::Difference { what: what.to_owned(), wanted, found }));
    }
    let there = self::found(found).into_iter().chain(forwarding::found(found, content)).collect();
    differences.extend(compare(&wanted, &there));
    v1::NodeVerdict {
        node: node.to_string(),
        unread: String::new(),
        target_generation,
        generation: running.generation,
        target_digest,
        digest: running.digest,
        paths: count(&found.paths),
        sids: count(&found.sids),
        labels: count(&found.labels),
        segments: count(&found.segments),
        differences,
        routes: count(&found.routes),
        classes: found.shaping.iter().flat_map(|port| &port.classes).filter(|class| class.number != 0).map(|_| 1).sum(),
        shares: found.shares.iter().filter(|share| share.number != 0).map(|_| 1).sum(),
    }
}

fn compare(wanted: &Things, found: &Things) -> Vec<v1::Difference> {
    let all: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let text = |things: &Things, what| things.get(what).cloned().unwrap_or_default();
    let pairs = all.into_iter().map(|what| (what.clone(), text(wanted, what), text(found, what)));
    let differ = pairs.filter(|(_, wanted, found)| wanted != found);
    differ.map(|(what, wanted, found)| v1::Difference { what, wanted, found }).collect()
}

fn wanted(content: &ProgramContent) -> Things {
    let paths = content.paths.iter().map(|path| (path_name(&path.to, path.id), path_text(path)));
    let sids = content.transit.sids.iter().map(|sid| (sid_name(sid.sid), transit_sid(sid)));
    let labels = content.transit.labels.iter().map(|label| (label_name(label.label), transit_label(label)));
    let mut things: Things = paths.chain(sids).chain(labels).collect();
    for slice in &content.slices {
        things.insert(slice_name(&slice.slice), limits_text(slice.limits));
        let circuits = slice.circuits.iter();
        things.extend(circuits.map(|circuit| (sdp_name(&slice.slice, &circuit.sdp), circuit_text(circuit))));
    }
    for segment in content.slices.iter().flat_map(|slice| &slice.segments) {
        let id = &segment.id;
        things.insert(
            format!("segment {id}"),
            segment_text((segment.vni, segment.takes_vxlan()), limits_text(segment.limits), segment.sessions_max),
        );
        let sids = segment.sids.iter().map(|sid| (sid_name(sid.sid), service_text(sid, id)));
        things.extend(sids);
        for remote in &segment.remotes {
            let Some(far) = far_end(content, remote) else { continue };
            things.insert(tunnel_name(id, far), tunnel_text(remote));
            for label in remote.labels() {
                things.insert(label_name(label), format!("{id} from {far}"));
            }
        }
    }
    things
}

fn found(found: &Gathered) -> Things {
    let mut things = Things::new();
    let paths = found.paths.iter().filter_map(|path| path.program.clone());
    for message in paths {
        let name = path_name(&message.to, message.id);
        let text =
            PathProgram::try_from(message).map_or_else(|error| format!("ill-formed: {error}"), |p| path_text(&p));
        things.insert(name, text);
    }
    for sid in &found.sids {
        let id = format!("{}/{}", sid.slice, sid.segment);
        let named = match sid.sid.clone() {
            None => None,
            Some(v1::running_sid::Sid::Service(sid)) => {
                Some((sid.sid.clone(), ServiceSid::try_from(sid).map(|sid| service_text(&sid, &id))))
            }
            Some(v1::running_sid::Sid::Transit(sid)) => {
                Some((sid.sid.clone(), TransitSid::try_from(sid).map(|sid| transit_sid(&sid))))
            }
        };
        things.extend(named.map(|(sid, text)| (sid_name(sid), said(text))));
    }
    for label in &found.labels {
        let text = match label.transit.clone() {
            Some(transit) => said(TransitLabel::try_from(transit).map(|label| transit_label(&label))),
            None => format!("{}/{} from {}", label.slice, label.segment, label.sender),
        };
        things.insert(label_name(label.label), text);
    }
    for segment in &found.segments {
        let id = format!("{}/{}", segment.slice, segment.segment);
        let limits = limits_found(segment.limits);
        things.insert(
            format!("segment {id}"),
            segment_text((segment.vni, segment.takes_vxlan), limits, segment.sessions_max),
        );
        let tunnels = segment.tunnels.iter();
        things.extend(tunnels.map(|tunnel| (tunnel_name(&id, &tunnel.remote), lanes_text(&tunnel.lanes))));
    }
    for slice in &found.slices {
        things.insert(slice_name(&slice.slice), limits_found(slice.limits));
        for circuit in &slice.circuits {
            let name = sdp_name(&slice.slice, &circuit.sdp);
            things.insert(name, said(Circuit::try_from(circuit.clone()).map(|circuit| circuit_text(&circuit))));
        }
    }
    things
}

fn said(text: Result<String, api::ConvertError>) -> String {
    text.unwrap_or_else(|error| format!("ill-formed: {error}"))
}

fn far_end(content: &ProgramContent, remote: &Remote) -> Option<IpAddr> {
    let mut paths = content.paths.iter();
    paths.find(|path| path.to == remote.edge && path.id == remote.working).map(|path| path.remote)
}

/// The first octets of a digest; enough to see that two differ.
fn short(digest: &[u8]) -> String {
    <[u8; 32]>::try_from(digest).map_or_else(
        |_| "none".to_owned(),
        |octets| Digest::from_bytes(octets).to_string().chars().take(DIGEST_CHARS).collect(),
    )
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

const DIGEST_CHARS: usize = 12;
