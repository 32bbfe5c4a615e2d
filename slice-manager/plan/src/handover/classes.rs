//! Classes of slices at the ports of nodes: they stay where packets still come as before.
//!
//! A class that stays is sure of what the others leave of the port, which may be nothing: what is booked there is theirs.

use std::collections::BTreeSet;

use model::program::{PortShaping, ProgramContent, SegmentProgram, SliceClass, Tunnel};
use model::{NodeName, PathId, PortName, Rate, RateLimits, SliceName, Vni};

use super::Turn;

impl Turn<'_, '_, '_> {
    /// On Linux kernels, a slice keeps the classes that it has no more, until every edge of it is known to send as wanted.
    pub(super) fn classes(&mut self) {
        let mut gone: Vec<(&NodeName, PortShaping)> = Vec::new();
        // None but a kernel has no queues of ours.
        for (node, wanted) in self.wanted.iter().filter(|(_, wanted)| wanted.queues.is_empty()) {
            let Some(told) = self.now.told(node).filter(|told| told.shaping != wanted.shaping) else { continue };
            let more = self.changes.edits.get(node).map_or(&[][..], |edit| &edit.ports);
            for port in &told.shaping {
                let is_there = wanted.core_ports.iter().chain(more).any(|own| own.port == port.port);
                let classes: Vec<SliceClass> = lost(port, wanted).filter(|_| is_there).cloned().collect();
                if !classes.is_empty() {
                    gone.push((node, PortShaping { port: port.port.clone(), rate: port.rate, classes }));
                }
            }
        }
        let slices: BTreeSet<SliceName> =
            gone.iter().flat_map(|(_, port)| &port.classes).map(|class| class.slice.clone()).collect();
        for slice in slices {
            let senders = self.senders_as_before(&slice);
            let vnis = self.vnis(&slice);
            if senders.is_empty() || vnis.is_empty() {
                continue;
            }
            self.changes.awaited.extend(senders);
            for (node, port) in &gone {
                let kept = port.classes.iter().filter(|class| class.slice == slice).cloned();
                let kept = kept.map(|mut class| {
                    class.vnis.retain(|vni| vnis.contains(vni));
                    class
                });
                let classes: Vec<SliceClass> = kept.filter(|class| !class.vnis.is_empty()).collect();
                self.changes.edit(node).classes.push(PortShaping { classes, ..port.clone() });
            }
        }
    }

    /// The edges of a slice that may not send as they are to in the end.
    fn senders_as_before(&self, slice: &SliceName) -> Vec<NodeName> {
        let programs = self.now.parent.programs.iter();
        let edges = programs.filter_map(|(edge, told)| Some((edge, told.content.slice(slice)?)));
        let edges = edges.filter(|(edge, told)| {
            let wanted = self.wanted.get(*edge).and_then(|content| content.slice(slice));
            let wanted = wanted.map_or(&[][..], |wanted| &wanted.segments);
            !self.now.knows(edge) || sends(&told.segments).ne(sends(wanted))
        });
        edges.map(|(edge, _)| edge.clone()).collect()
    }

    /// By what the packets of a slice are known, as long as there is the slice.
    fn vnis(&self, slice: &SliceName) -> BTreeSet<Vni> {
        let slices = self.wanted.values().filter_map(|content| content.slice(slice));
        slices.flat_map(|slice| &slice.segments).map(|segment| segment.vni).collect()
    }
}

/// Adds classes to those that a port has.
pub(super) fn add(shaping: &mut Vec<PortShaping>, kept: PortShaping) {
    let at = shaping.binary_search_by(|port| port.port.cmp(&kept.port)).unwrap_or_else(|at| {
        shaping.insert(at, PortShaping { classes: Vec::new(), ..kept.clone() });
        at
    });
    let port = &mut shaping[at];
    for class in kept.classes {
        let sure = port.classes.iter().fold(Rate::ZERO, |sum, class| sum.saturating_add(class.limits.guaranteed()));
        let ceiling = class.limits.ceiling().min(port.rate);
        let guaranteed = class.limits.guaranteed().min(ceiling).min(port.rate.saturating_sub(sure));
        if let Ok(limits) = RateLimits::new(guaranteed, ceiling) {
            port.classes.push(SliceClass { limits, ..class });
        }
    }
    port.classes.sort_unstable_by_key(|class| class.number);
}

/// An edge knows by itself what it still sends as before: a slice keeps a class at every port by which it is sent, and a
/// port its rate.
pub(super) fn keep_sent(content: &mut ProgramContent, told: &ProgramContent) {
    if content.queues.is_empty() {
        return;
    }
    let is_there = |port: &&PortShaping| content.core_ports.iter().any(|own| own.port == port.port);
    let ports = told.shaping.iter().filter(is_there).filter(|port| shared(content, &port.port).is_none());
    let mut kept: Vec<PortShaping> = ports.map(|port| PortShaping { classes: Vec::new(), ..port.clone() }).collect();
    for (port, slice) in sent(content) {
        let class = |of: &ProgramContent| shared(of, port)?.classes.iter().find(|class| class.slice == *slice).cloned();
        let Some(rate) = shared(content, port).or(shared(told, port)).map(|port| port.rate) else { continue };
        // As the slice has it elsewhere, if the port was told of no slices before.
        let mut elsewhere = content.shaping.iter().flat_map(|port| &port.classes);
        if class(content).is_none()
            && let Some(wanted) = elsewhere.find(|class| class.slice == *slice)
        {
            let limits = class(told).map_or(wanted.limits, |class| class.limits);
            let classes = vec![SliceClass { limits, ..wanted.clone() }];
            kept.push(PortShaping { port: port.clone(), rate, classes });
        }
    }
    for port in kept {
        add(&mut content.shaping, port);
    }
}

/// By which ports an edge sends which slices.
fn sent(content: &ProgramContent) -> BTreeSet<(&PortName, &SliceName)> {
    let mut sent = BTreeSet::new();
    for slice in &content.slices {
        for remote in slice.segments.iter().flat_map(|segment| &segment.remotes) {
            let ids = std::iter::once(remote.working).chain(remote.backup);
            let paths = ids.filter_map(|id| content.path(&remote.edge, id));
            sent.extend(paths.map(|path| (&path.port, &slice.slice)));
        }
    }
    sent
}

fn shared<'c>(content: &'c ProgramContent, port: &PortName) -> Option<&'c PortShaping> {
    content.shaping.iter().find(|shared| shared.port == *port)
}

/// The classes that a port had, and is to have no more.
fn lost<'p>(port: &'p PortShaping, wanted: &'p ProgramContent) -> impl Iterator<Item = &'p SliceClass> {
    let now = wanted.shaping.iter().find(|now| now.port == port.port).map_or(&[][..], |now| &now.classes);
    port.classes.iter().filter(|class| now.iter().all(|now| now.number != class.number && now.slice != class.slice))
}

/// How packets of each segment are sent to each edge.
fn sends(segments: &[SegmentProgram]) -> impl Iterator<Item = (Vni, &NodeName, PathId, Option<PathId>, Tunnel)> {
    let remotes = segments.iter().flat_map(|segment| segment.remotes.iter().map(|remote| (segment.vni, remote)));
    remotes.map(|(vni, remote)| (vni, &remote.edge, remote.working, remote.backup, remote.tunnel))
}
