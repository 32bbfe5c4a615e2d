//! How edges send to one another, and what they receive by.

use std::collections::BTreeSet;

use model::plan::PathKey;
use model::program::{Inbound, ProgramContent, Remote, SegmentProgram, SliceProgram, Tunnel};
use model::resource::{SegmentId, Service};
use model::{NodeName, PathId, Sid};

use super::{Asked, Turn};

impl<'t> Turn<'t, '_, '_> {
    /// Edges send as before where the far end or the way there is not ready.
    pub(super) fn sends(&mut self) {
        for (edge, content) in self.wanted {
            for (segment, before) in self.changed(edge, content) {
                for remote in &segment.remotes {
                    let Some(was) = before.remotes.iter().find(|was| was.edge == remote.edge) else { continue };
                    let unready = self.unready(edge, segment, was, remote);
                    if !unready.is_empty() && self.can_stay(edge, content, was) {
                        self.changes.awaited.extend(unready);
                        let was = Remote { inbound: Vec::new(), ..was.clone() };
                        self.held.insert((edge.clone(), segment.id.clone(), remote.edge.clone()), was);
                    }
                }
            }
        }
    }

    /// The segments of slices that change, each with what it was, where what is in a tunnel stays the same.
    fn changed(&self, edge: &NodeName, content: &'t ProgramContent) -> Vec<(&'t SegmentProgram, &'t SegmentProgram)> {
        let told = self.now.told(edge).filter(|told| told.slices != content.slices);
        let is_routed = |slice: &SliceProgram| slice.service == Service::L3;
        let slices = content.slices.iter().filter_map(|slice| Some((slice, told?.slice(&slice.slice)?)));
        let slices = slices.filter(|(slice, before)| slice != before && is_routed(slice) == is_routed(before));
        let segments = slices.flat_map(|(slice, before)| {
            let of = |segment: &'t SegmentProgram| before.segments.iter().find(|other| other.id == segment.id);
            slice.segments.iter().filter_map(move |segment| Some((segment, of(segment)?)))
        });
        segments.collect()
    }

    /// Who must confirm before an edge sends otherwise.
    fn unready(&self, edge: &NodeName, segment: &SegmentProgram, was: &Remote, remote: &Remote) -> Vec<NodeName> {
        let Remote { edge: far, working, backup, group, tunnel, .. } = remote;
        if (was.working, was.backup, was.group, was.tunnel) == (*working, *backup, *group, *tunnel) {
            return Vec::new();
        }
        // Nothing is lost with what leads nowhere, so nobody need confirm. But nothing is sent that nobody was told to take.
        let is_suspect = |path| self.is_suspect(&key(edge, far, path));
        let is_lost = self.now.knows(edge) && is_suspect(was.working) && was.backup.is_none_or(is_suspect);
        let asked = if is_lost { Asked::Told } else { Asked::Confirmed };
        let mut unready = Vec::new();
        let is_other = (was.group, was.tunnel) != (*group, *tunnel);
        let told = self.now.told(far).and_then(|told| told.segment(&segment.id));
        let receives = told.is_some_and(|told| receives(told, edge, remote));
        if is_other && !(self.now.is_asked(far, asked) && receives) {
            unready.push(far.clone());
        }
        if was.working != *working {
            unready.extend(self.unready_on(&key(edge, far, *working), edge, asked));
        }
        unready
    }

    /// Can an edge go on to send as before? Not from or to a loopback that it or the far edge has no longer, nor by a port
    /// that devices are on now.
    fn can_stay(&self, edge: &NodeName, content: &ProgramContent, was: &Remote) -> bool {
        let path = self.now.told(edge).and_then(|told| told.path(&was.edge, was.working));
        path.is_some_and(|path| {
            let far = self.wanted.get(&was.edge);
            content.loopback.contains(&path.local)
                && far.is_some_and(|far| far.loopback.contains(&path.remote))
                && !super::nodes::is_access(content, &path.port)
        })
    }

    /// Edges receive all that the others may send by: what they send by in the end, now, and before.
    pub(super) fn receives(&mut self) {
        for (edge, content) in self.wanted {
            for (segment, before) in self.changed(edge, content) {
                let mut sids = BTreeSet::new();
                for remote in &segment.remotes {
                    self.receive(edge, segment, before, remote, &mut sids);
                }
                let is_new = |sid: &Sid| segment.sids.iter().all(|own| own.sid != *sid);
                let more = before.sids.iter().filter(|own| sids.contains(&own.sid) && is_new(&own.sid)).cloned();
                let more: Vec<_> = more.collect();
                if !more.is_empty() {
                    // Whoever is told something now is not known to run it, and may send by them as far as the next step knows.
                    self.changes.awaited.extend(segment.remotes.iter().map(|remote| remote.edge.clone()));
                    self.changes.edit(edge).sids.push((segment.id.clone(), more));
                }
            }
        }
    }

    fn receive(
        &mut self,
        edge: &NodeName,
        segment: &SegmentProgram,
        before: &SegmentProgram,
        remote: &Remote,
        sids: &mut BTreeSet<Sid>,
    ) {
        let (id, far) = (&segment.id, &remote.edge);
        let back = |content: Option<&ProgramContent>| {
            content?.segment(id)?.remotes.iter().find(|back| back.edge == *edge).map(|back| back.tunnel)
        };
        let held = |from: &NodeName, to: &NodeName| self.held.get(&(from.clone(), id.clone(), to.clone()));
        let finally = back(self.wanted.get(far));
        let (now, then) = (held(far, edge).map(|held| held.tunnel), back(self.now.told(far)));
        let mut needed = Needed::default();
        needed.add(finally);
        let in_the_end = needed.clone();
        needed.add(now);
        needed.add(then);
        // What it runs may be older than what it was told last.
        if !self.now.knows(far)
            && let Some(was) = before.remotes.iter().find(|was| was.edge == *far)
        {
            needed.inbound.extend(was.inbound.iter().copied().chain(inbound(was.tunnel)));
            let is_kept = |sid: &Sid| segment.sids.iter().all(|own| own.sid != *sid);
            needed.sids.extend(before.sids.iter().map(|own| own.sid).filter(is_kept));
        }
        let mut told = held(edge, far).cloned().unwrap_or_else(|| remote.clone());
        let own = inbound(told.tunnel);
        if needed != in_the_end {
            self.changes.awaited.insert(far.clone());
        }
        sids.extend(needed.sids);
        told.inbound = needed.inbound.into_iter().filter(|by| Some(*by) != own).collect();
        if told != *remote {
            self.changes.edit(edge).remotes.push((id.clone(), told));
        }
    }
}

/// By what an edge must receive.
#[derive(Default, Clone, PartialEq, Eq)]
struct Needed {
    inbound: BTreeSet<Inbound>,
    sids: BTreeSet<Sid>,
}

impl Needed {
    /// What the far end sends by, if it sends.
    fn add(&mut self, tunnel: Option<Tunnel>) {
        match tunnel {
            None => {}
            Some(Tunnel::Vxlan(_)) => drop(self.inbound.insert(Inbound::Vxlan)),
            Some(Tunnel::Srv6 { unicast, flood }) => self.sids.extend([unicast, flood]),
            Some(Tunnel::Mpls { to: from, control_word, flow_label, .. }) => {
                self.inbound.insert(Inbound::Mpls { from, control_word, flow_label });
            }
        }
    }
}

/// By what packets come over a tunnel in the direction in which this end does not send.
fn inbound(tunnel: Tunnel) -> Option<Inbound> {
    match tunnel {
        Tunnel::Vxlan(_) => Some(Inbound::Vxlan),
        Tunnel::Srv6 { .. } => None,
        Tunnel::Mpls { from, control_word, flow_label, .. } => Some(Inbound::Mpls { from, control_word, flow_label }),
    }
}

/// Does the far end of a tunnel take what this edge sends?
fn receives(far: &SegmentProgram, edge: &NodeName, remote: &Remote) -> bool {
    let Some(back) = far.remotes.iter().find(|back| back.edge == *edge) else { return false };
    let mut needed = Needed::default();
    needed.add(Some(remote.tunnel));
    let has = |by: &Inbound| Some(*by) == inbound(back.tunnel) || back.inbound.contains(by);
    back.group == remote.group
        && needed.inbound.iter().all(has)
        && needed.sids.iter().all(|sid| far.sids.iter().any(|own| own.sid == *sid))
}

/// The path of two edges, whichever of both it is seen from.
pub(super) fn key(one: &NodeName, other: &NodeName, id: PathId) -> PathKey {
    PathKey { a: one.min(other).clone(), b: one.max(other).clone(), id }
}

/// The paths by which something is sent.
pub(super) fn paths_of(((edge, _, far), was): (&(NodeName, SegmentId, NodeName), &Remote)) -> Vec<PathKey> {
    std::iter::once(was.working).chain(was.backup).map(|id| key(edge, far, id)).collect()
}
