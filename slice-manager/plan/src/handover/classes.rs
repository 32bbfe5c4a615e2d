//! Classes of slices at the ports of core nodes: they stay where packets still come as before.

use std::collections::BTreeSet;

use model::program::{PortShaping, ProgramContent, SegmentProgram, SliceClass, Tunnel};
use model::{NodeName, PathId, SliceName, Vni};

use super::Turn;

impl Turn<'_, '_, '_> {
    /// A slice keeps the classes that it has no more, until every edge of it is known to send as wanted.
    pub(super) fn classes(&mut self) {
        let mut gone: Vec<(&NodeName, PortShaping)> = Vec::new();
        for (node, wanted) in self.wanted {
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
