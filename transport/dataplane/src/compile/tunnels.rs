//! Paths, the tunnels over them, and what a node does for the packets of others.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use model::program::{
    Inbound, PathProgram, Remote as RemoteProgram, SegmentProgram, SliceProgram, Steering, TransitBehaviour,
    TransitProgram, Tunnel,
};
use model::resource::Service;
use model::{Label, NodeName, PathId, Sid};
use transport_wire::{mpls, vxlan};

use super::{Build, CompileError, REMOTES_MAX, at_most, neighbour, place};
use crate::encap::{Encap, Labelled, Link, Outer, PATH_LABELS_MAX, SIDS_MAX, Shim};
use crate::l3::Via;
use crate::labels::{LabelEntry, Wire};
use crate::path::{Carries, Lane, Path, Remote};
use crate::probe::PathIndex;
use crate::probing::PROBE_HOPS;
use crate::route::Routes;
use crate::sids::SidAction;
use crate::tables::{CircuitIndex, PortRole, Tables};

impl Build<'_> {
    pub(super) fn path(&self, tables: &mut Tables, path: &PathProgram) -> Result<(), CompileError> {
        let (to, id) = (path.to.clone(), path.id);
        let PathProgram { local, remote, .. } = *path;
        if self.paths.get(&(&path.to, id)) != Some(&place(tables.paths.len())) {
            return Err(CompileError::PathTwice { to, id });
        }
        let needs_ipv6 = matches!(path.steering, Steering::Srv6(_));
        let is_family = local.is_ipv4() == remote.is_ipv4() && (local.is_ipv6() || !needs_ipv6);
        if !is_family || !tables.loopbacks.contains(&local) {
            return Err(CompileError::PathEnds { to, id, local, remote });
        }
        let (count, max) = match &path.steering {
            Steering::Ip => (0, 0),
            // One more stands for the segment.
            Steering::Srv6(sids) => (sids.len(), SIDS_MAX - 1),
            Steering::Mpls(labels) => (labels.len(), PATH_LABELS_MAX),
        };
        let too_long = || CompileError::PathTooLong { to: to.clone(), id, count, max };
        if count > max {
            return Err(too_long());
        }
        let port = self.port(&path.port)?;
        if tables.ports[port.get()].role != PortRole::Core {
            return Err(CompileError::NotCore { port: path.port.clone() });
        }
        let labels: &[Label] = if let Steering::Mpls(labels) = &path.steering { labels } else { &[] };
        let link = Link::new(self.ports[port.get()].mac, labels).ok_or_else(too_long)?;
        let neighbour = neighbour(tables, port, &path.port, path.next_hop)?;
        let program = Arc::new(path.clone());
        let along = |sids: &[Sid]| match (local, remote) {
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                let way: Vec<_> = sids.iter().map(|sid| sid.get()).chain([remote]).collect();
                Outer::along(local, &way, path.srh, false, PROBE_HOPS)
            }
            _ => None,
        };
        let probe = along(if let Steering::Srv6(sids) = &path.steering { sids } else { &[] });
        tables.paths.push(Path { port, neighbour, link, probe, program });
        Ok(())
    }

    pub(super) fn transit(&self, tables: &mut Tables, transit: &TransitProgram) -> Result<(), CompileError> {
        for sid in &transit.sids {
            let action = match &sid.behaviour {
                TransitBehaviour::End => SidAction::End(sid.flavours),
                TransitBehaviour::EndX(to) => SidAction::EndX(sid.flavours, self.hop(tables, to)?),
            };
            add_sid(tables, sid.sid, action)?;
        }
        for entry in &transit.labels {
            let (swap, out) = (entry.swap.map(Label::get), self.hop(tables, &entry.out)?);
            add_label(tables, entry.label, LabelEntry::Switch { swap, out })?;
        }
        let routes = transit.routes.iter().map(|route| Ok((route.prefix, self.hop(tables, &route.via)?)));
        let routes = routes.collect::<Result<Vec<_>, CompileError>>()?;
        let mut prefixes: Vec<_> = transit.routes.iter().map(|route| route.prefix).collect();
        prefixes.sort_unstable_by_key(|prefix| (prefix.address(), prefix.length()));
        tables.route_prefixes = prefixes.into();
        tables.routes = if routes.is_empty() { None } else { Some(Routes::new(routes)?) };
        Ok(())
    }

    /// The other edges of a segment, and what leads from them into it.
    pub(super) fn remotes(
        &self,
        tables: &mut Tables,
        slice: &SliceProgram,
        segment: &SegmentProgram,
        at: u16,
    ) -> Result<Remotes, CompileError> {
        let count = segment.remotes.len();
        at_most("other edges of a segment", count, REMOTES_MAX)?;
        if slice.service == Service::L2PointToPoint && count > 1 {
            return Err(CompileError::NotPointToPoint { segment: segment.id.clone(), count });
        }
        for sid in &segment.sids {
            add_sid(tables, sid.sid, SidAction::Segment(at, sid.behaviour))?;
        }
        let mut found: Vec<(&RemoteProgram, Remote)> = Vec::with_capacity(count);
        for remote in &segment.remotes {
            let (working, address) = self.lane(tables, segment, remote, remote.working)?;
            let backup = remote.backup.map(|id| self.lane(tables, segment, remote, id)).transpose()?;
            // The far end knows us by one address, and we know it by one.
            if let Some((_, other)) = backup.as_ref().filter(|(_, other)| *other != address) {
                let (segment, to, id, other) = (segment.id.clone(), remote.edge.clone(), remote.working, *other);
                return Err(CompileError::BackupElsewhere { segment, to, id, address, other });
            }
            let backup = backup.map(|(lane, _)| (lane.path, Box::new(lane)));
            let is_framed = slice.service != Service::L3 || matches!(remote.tunnel, Tunnel::Vxlan(_));
            let carries = if is_framed { Carries::Frames } else { Carries::Packets };
            found.push((remote, Remote { address, carries, has_groups: remote.group, working, backup }));
        }
        found.sort_by_key(|(_, remote)| remote.address);
        let mut addresses = BTreeSet::new();
        if let Some((_, twice)) = found.iter().find(|(_, remote)| !addresses.insert(remote.address)) {
            return Err(CompileError::RemoteTwice { segment: segment.id.clone(), remote: twice.address });
        }
        for (index, (remote, _)) in found.iter().enumerate() {
            let (remote_at, group) = (place(index), remote.group);
            let mut receive = |from: Label, control_word: bool, flow: bool| {
                let wire = Wire { segment: at, remote: remote_at, group, flow, control_word };
                add_label(tables, from, LabelEntry::Segment(wire))
            };
            if let Tunnel::Mpls { from, control_word, flow_label, .. } = remote.tunnel {
                receive(from, control_word, flow_label)?;
            }
            for inbound in &remote.inbound {
                if let Inbound::Mpls { from, control_word, flow_label } = *inbound {
                    receive(from, control_word, flow_label)?;
                }
            }
        }
        let numbers = edges_of(slice).into_iter();
        let edges = numbers.map(|edge| found.iter().position(|(remote, _)| remote.edge == *edge).map(place)).collect();
        Ok((found.into_iter().map(|(_, remote)| remote).collect(), edges))
    }

    /// A tunnel to another edge of a segment over one of the paths there, and where that ends.
    fn lane(
        &self,
        tables: &Tables,
        segment: &SegmentProgram,
        remote: &RemoteProgram,
        id: PathId,
    ) -> Result<(Lane, IpAddr), CompileError> {
        let (to, in_segment) = (&remote.edge, || segment.id.clone());
        let at = self.paths.get(&(to, id)).copied();
        let at = at.ok_or_else(|| CompileError::UnknownPath { segment: in_segment(), to: to.clone(), id })?;
        let path = &tables.paths[usize::from(at)];
        let (local, far) = (path.program.local, path.program.remote);
        let udp = |shim: Shim, port| Outer::udp(local, far, port).map(|outer| (Encap { shim, outer }, None));
        let found = match (remote.tunnel, &path.program.steering) {
            (Tunnel::Vxlan(vni), Steering::Ip | Steering::Mpls(_)) => udp(Shim::vxlan(vni, remote.group), vxlan::PORT),
            (Tunnel::Srv6 { unicast, flood }, Steering::Srv6(sids)) => match local {
                IpAddr::V6(local) => {
                    let to_sid = |sid: Sid| {
                        let outer = Outer::srv6(local, sids, sid, path.program.srh, remote.group)?;
                        Some(Encap { shim: Shim::None, outer })
                    };
                    let to_all = (flood != unicast).then(|| to_sid(flood).map(Box::new));
                    to_sid(unicast).map(|encap| (encap, to_all.flatten()))
                }
                IpAddr::V4(_) => None,
            },
            (Tunnel::Mpls { to, control_word, flow_label, .. }, steering) => {
                let labelled = Labelled { service: to, group: remote.group, flow: flow_label, control_word };
                match steering {
                    Steering::Mpls(_) => Some((Encap { shim: Shim::labels(labelled), outer: Outer::None }, None)),
                    Steering::Ip => udp(Shim::labels(labelled), mpls::UDP_PORT),
                    Steering::Srv6(_) => None,
                }
            }
            _ => None,
        };
        let (encap, flood) = found.ok_or_else(|| {
            let tunnel = match remote.tunnel {
                Tunnel::Vxlan(_) => "VXLAN",
                Tunnel::Srv6 { .. } => "SRv6",
                Tunnel::Mpls { .. } => "MPLS",
            };
            CompileError::TunnelOverPath { segment: in_segment(), tunnel, to: to.clone(), id }
        })?;
        let mtu = tables.ports[path.port.get()].mtu.min(path.program.mtu);
        let octets_max = mtu.saturating_sub(place(encap.len() + path.link.label_octets()));
        Ok((Lane { path: PathIndex::new(at), octets_max, encap, flood }, far))
    }

    /// The subnets of a layer-3 slice: those of its circuits here, and those behind other edges.
    pub(super) fn subnets(slice: &SliceProgram, first: u16) -> Result<Option<Routes<Via>>, CompileError> {
        let edges = edges_of(slice);
        let circuits = slice.circuits.iter().zip(first..);
        let here = circuits.flat_map(|(circuit, at)| {
            circuit.gateways.iter().map(move |gateway| (gateway.subnet(), Via::Circuit(CircuitIndex(at))))
        });
        let there = slice.routes.iter().filter_map(|route| {
            let number = edges.iter().position(|edge| **edge == route.edge)?;
            Some((route.prefix, Via::Edge(place(number))))
        });
        let routes: Vec<_> = here.chain(there).collect();
        Ok(if routes.is_empty() { None } else { Some(Routes::new(routes)?) })
    }
}

/// The other edges of a segment, and the places of those of a layer-3 slice by their number in the slice.
type Remotes = (Box<[Remote]>, Vec<Option<u16>>);

/// The other edges that have subnets of a slice; the place of each is its number.
fn edges_of(slice: &SliceProgram) -> Vec<&NodeName> {
    let edges: BTreeSet<_> = slice.routes.iter().map(|route| &route.edge).collect();
    edges.into_iter().collect()
}

fn add_sid(tables: &mut Tables, sid: Sid, action: SidAction) -> Result<(), CompileError> {
    if tables.sids.add(sid.get(), action) { Ok(()) } else { Err(CompileError::SidTwice(sid)) }
}

fn add_label(tables: &mut Tables, label: Label, entry: LabelEntry) -> Result<(), CompileError> {
    match tables.by_label.insert(label.get().into(), entry) {
        Ok(None) => Ok(()),
        _ => Err(CompileError::LabelTwice(label)),
    }
}
