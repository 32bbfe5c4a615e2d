//! What a node runs, read back, beside what its program says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use api::v1;
use model::program::{PathProgram, Program, ProgramContent, Remote, ServiceSid, Steering, TransitLabel, TransitSid};
use model::{Digest, NodeName};

use super::numbers::{service_sid, transit_label, transit_sid};
use crate::edges::Gathered;

/// What there is, by what it is called, in words that are the same for what is wanted and for what is found.
type Things = BTreeMap<String, String>;

/// Compares what a node has answered with its program; without one it should run nothing.
pub(crate) fn verdict(node: &NodeName, target: Option<&Program>, found: &Gathered) -> v1::NodeVerdict {
    let running = found.program.clone().unwrap_or_default();
    let wanted = target.map(|target| wanted(&target.content)).unwrap_or_default();
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
    differences.extend(compare(&wanted, &self::found(found)));
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
    for segment in content.slices.iter().flat_map(|slice| &slice.segments) {
        let id = &segment.id;
        things.insert(format!("segment {id}"), format!("VNI {}", segment.vni));
        let sids = segment.sids.iter().map(|sid| (sid_name(sid.sid), service_text(sid, id)));
        things.extend(sids);
        for remote in &segment.remotes {
            let Some(far) = far_end(content, remote) else { continue };
            things.insert(format!("tunnel of {id} to {far}"), "there".to_owned());
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
        things.insert(format!("segment {id}"), format!("VNI {}", segment.vni));
        let tunnels = segment.tunnels.iter();
        things.extend(tunnels.map(|tunnel| (format!("tunnel of {id} to {}", tunnel.remote), "there".to_owned())));
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

fn path_name(to: &impl Display, id: impl Display) -> String {
    format!("path {id} to {to}")
}

fn path_text(path: &PathProgram) -> String {
    let PathProgram { local, remote, port, next_hop, mtu, .. } = path;
    let list = |items: &[String]| items.join(", ");
    let steering = match &path.steering {
        Steering::Ip => "by the underlay's routes".to_owned(),
        Steering::Srv6(sids) => format!("SIDs [{}]", list(&sids.iter().map(ToString::to_string).collect::<Vec<_>>())),
        Steering::Mpls(labels) => {
            format!("labels [{}]", list(&labels.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    };
    format!("{local} to {remote}, {port} to {next_hop}, MTU {mtu}, {steering}")
}

fn service_text(sid: &ServiceSid, id: &impl Display) -> String {
    format!("{} of {id}", service_sid(sid))
}

fn sid_name(sid: impl Display) -> String {
    format!("SID {sid}")
}

fn label_name(label: impl Display) -> String {
    format!("label {label}")
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
