//! Tunnels: does what one edge sends arrive at the other, in one piece?

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::program::{Inbound, PathProgram, Remote, SegmentProgram, Steering, Tunnel};
use model::resource::{SegmentId, Service, SliceSpec, Srh, Transport};
use model::{Label, NodeName, PathId, PortName, SliceName};

use super::steering::sid_of;
use super::{Audit, Finding};

impl<'a> Audit<'a> {
    pub(super) fn tunnels(&mut self) {
        let mut found = Vec::new();
        for (id, edges) in &self.segments {
            for (edge, program) in edges {
                let others: Vec<&NodeName> = edges.keys().filter(|other| *other != edge).copied().collect();
                let mut remotes: Vec<&NodeName> = program.remotes.iter().map(|remote| &remote.edge).collect();
                remotes.sort_unstable();
                if remotes != others {
                    found.push(Finding::RemotesDiffer { segment: (*id).clone(), edge: (*edge).clone() });
                }
                for remote in &program.remotes {
                    let far = edges.get(&remote.edge).copied();
                    found.extend(self.tunnel(id, edge, program, remote, far));
                }
            }
        }
        for (edge, program) in &self.plan.programs {
            for path in &program.content.paths {
                found.extend(self.path_program(edge, &program.content.loopback, path));
            }
        }
        self.errors(found);
    }

    /// Both ends must know the segment by the same, and take the paths that were decided.
    fn tunnel(
        &self,
        id: &SegmentId,
        edge: &NodeName,
        program: &SegmentProgram,
        remote: &Remote,
        far: Option<&SegmentProgram>,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let back = far.and_then(|far| far.remotes.iter().find(|back| back.edge == *edge));
        let spec = self.intents.slices.get(&id.slice);
        let is_met = far.zip(back).is_some_and(|(far, back)| is_taken(program, remote, far, back));
        let decided = self.plan.slices.get(&id.slice);
        let ends = (edge.min(&remote.edge).clone(), edge.max(&remote.edge).clone());
        let way = decided.and_then(|slice| slice.ways.get(&ends));
        let is_decided = way.is_some_and(|way| way.working == remote.working && way.backup == remote.backup);
        let is_declared = spec.is_some_and(|spec| self.is_declared(id, edge, remote, spec));
        let is_moving = decided.is_some_and(|slice| slice.moving.contains(&(edge.clone(), remote.edge.clone())));
        let has_numbers = self.has_numbers(id, edge, remote);
        if !is_met || !has_numbers || !(is_moving || (is_decided && is_declared)) {
            let (segment, edge, remote) = (id.clone(), edge.clone(), remote.edge.clone());
            found.push(Finding::TunnelAsymmetric { segment, edge, remote });
        }
        for path in std::iter::once(remote.working).chain(remote.backup) {
            if !self.paths.contains_key(&(edge, &remote.edge, path)) {
                let (segment, edge, remote) = (id.clone(), edge.clone(), remote.edge.clone());
                found.push(Finding::NoSuchPath { segment, edge, remote, path });
            }
        }
        found
    }

    /// Is it the tunnel of the transport and service that are declared?
    fn is_declared(&self, id: &SegmentId, edge: &NodeName, remote: &Remote, spec: &SliceSpec) -> bool {
        let is_framed = spec.service != Service::L3;
        match (spec.transport, remote.tunnel) {
            (Transport::Vxlan, Tunnel::Vxlan(_)) => true,
            (Transport::Srv6, Tunnel::Srv6 { unicast, flood }) => {
                let sid = |offset: u16| {
                    let node = self.nodes.get(&remote.edge)?;
                    sid_of(node, self.function(id)?.checked_add(offset)?)
                };
                let flood_offset = u16::from(spec.service == Service::L2Multipoint);
                sid(0) == Some(unicast.get()) && sid(flood_offset) == Some(flood.get())
            }
            (Transport::Mpls, Tunnel::Mpls { to, control_word, flow_label, .. }) => {
                (control_word, flow_label) == (is_framed, is_framed) && self.label(id, &remote.edge, edge) == Some(to)
            }
            _ => false,
        }
    }

    /// Are the labels by which an edge receives its own?
    fn has_numbers(&self, id: &SegmentId, edge: &NodeName, remote: &Remote) -> bool {
        remote.labels().all(|label| self.label(id, edge, &remote.edge) == Some(label))
    }

    fn label(&self, id: &SegmentId, receiver: &NodeName, sender: &NodeName) -> Option<Label> {
        self.plan.allocations.get(id)?.labels.get(&(receiver.clone(), sender.clone())).copied()
    }

    /// From one loopback to another, over a neighbour on the path.
    fn path_program(&self, edge: &NodeName, own: &[IpAddr], program: &PathProgram) -> Vec<Finding> {
        let mut found = Vec::new();
        let PathProgram { id, to, local, remote, port, next_hop, mtu, steering, srh } = program;
        let is_loopback = |node: &NodeName, address: &IpAddr| {
            self.nodes.get(node).is_some_and(|node| node.loopback.addresses().any(|own| own == *address))
        };
        let is_labelled = matches!(steering, Steering::Mpls(_));
        let is_family = local.is_ipv6() == remote.is_ipv6() && (is_labelled || local.is_ipv6() == next_hop.is_ipv6());
        if !own.contains(local) || !is_loopback(edge, local) || !is_loopback(to, remote) || !is_family {
            found.push(Finding::PathEnds { edge: edge.clone(), to: to.clone(), path: *id });
        }
        let (a, b) = (edge.min(to).clone(), edge.max(to).clone());
        let path = self.plan.paths.get(&model::plan::PathKey { a, b, id: *id });
        let first = path.and_then(|path| if edge < to { path.links.first() } else { path.links.last() });
        let is_on_path = self.over(edge, port, *next_hop).is_some_and(|(link, _)| Some(&link.name) == first);
        if !is_on_path && !self.is_left(edge, to, *id) {
            let (edge, to, port, next_hop) = (edge.clone(), to.clone(), port.clone(), *next_hop);
            found.push(Finding::NotANeighbour { edge, to, port, next_hop });
        }
        let ends = path.into_iter().flat_map(|path| &path.links).filter_map(|link| self.links.get(link));
        let expected = ends.flat_map(|link| [&link.a, &link.b]).map(|end| self.mtu(&end.node, &end.port)).min();
        if path.is_some_and(|path| *srh != self.srh(path, steering)) {
            found.push(Finding::PathSrh { edge: edge.clone(), to: to.clone(), path: *id });
        }
        if path.is_some() && expected != Some(u32::from(*mtu)) {
            found.push(Finding::PathMtu { edge: edge.clone(), to: to.clone(), path: *id });
        }
        found
    }

    /// A path pinned by SIDs has them all in its packets if a node on it says so.
    fn srh(&self, path: &model::plan::Path, steering: &Steering) -> Srh {
        let links = path.links.iter().filter_map(|link| self.links.get(link));
        let mut nodes = links.flat_map(|link| [&link.a.node, &link.b.node]).filter_map(|node| self.nodes.get(node));
        let is_whole = matches!(steering, Steering::Srv6(_)) && nodes.any(|node| node.srh == Srh::Full);
        if is_whole { Srh::Full } else { Srh::Reduced }
    }

    /// What tunnels add must fit beside the packet on every port, and what pins a path must not be more than its end can
    /// push.
    pub(super) fn packets(&mut self) {
        let mut tight: BTreeSet<(&SliceName, &NodeName, &PortName)> = BTreeSet::new();
        let mut deep: BTreeSet<(&SliceName, &NodeName, &NodeName)> = BTreeSet::new();
        for (id, edges) in &self.segments {
            let Some(spec) = self.intents.slices.get(&id.slice) else { continue };
            for (edge, program) in edges {
                let octets = self.slices.get(&(&id.slice, *edge)).map_or(0, |s| u32::from(s.packet_octets_max));
                for remote in &program.remotes {
                    for id_of_path in std::iter::once(remote.working).chain(remote.backup) {
                        let Some(path) = self.paths.get(&(edge, &remote.edge, id_of_path)) else { continue };
                        let needed = octets + overhead(spec, path);
                        for end in self.ends(edge, path).filter(|end| self.mtu(end.0, end.1) < needed) {
                            tight.insert((&id.slice, end.0, end.1));
                        }
                        if self.nodes.get(*edge).is_some_and(|node| pushes(spec, path) > max_of(node, path)) {
                            deep.insert((&id.slice, edge, &path.to));
                        }
                    }
                }
            }
        }
        for ((name, edge), slice) in &self.slices {
            let ports = slice.circuits.iter().map(|circuit| &circuit.port);
            let short = ports.filter(|port| self.mtu(edge, port) < u32::from(slice.packet_octets_max));
            tight.extend(short.map(|port| (*name, *edge, port)));
        }
        for (slice, node, port) in tight {
            let (slice, node, port) = (slice.clone(), node.clone(), port.clone());
            self.error(Finding::PacketTooLong { slice, node, port });
        }
        for (slice, edge, to) in deep {
            let (slice, edge, to) = (slice.clone(), edge.clone(), to.clone());
            self.error(Finding::TooDeep { slice, edge, to });
        }
    }

    /// Is it a path that is taken only until another is ready? What it leads over may have left the topology.
    pub(super) fn is_left(&self, edge: &NodeName, to: &NodeName, id: PathId) -> bool {
        let (a, b) = (edge.min(to).clone(), edge.max(to).clone());
        self.is_under_way() && self.plan.leaving.contains_key(&model::plan::PathKey { a, b, id })
    }

    /// The ports of a path.
    fn ends(&self, edge: &NodeName, told: &PathProgram) -> impl Iterator<Item = (&'a NodeName, &'a PortName)> {
        let (a, b) = (edge.min(&told.to).clone(), edge.max(&told.to).clone());
        let path = self.plan.paths.get(&model::plan::PathKey { a, b, id: told.id });
        let links = path.into_iter().flat_map(|path| &path.links).filter_map(|link| self.links.get(link).copied());
        links
            .flat_map(|link| [(&link.a.node, &link.a.port), (&link.b.node, &link.b.port)])
            .collect::<Vec<_>>()
            .into_iter()
    }

    pub(super) fn mtu(&self, node: &NodeName, port: &PortName) -> u32 {
        let port = self.nodes.get(node).and_then(|node| node.ports.get(port.as_str()));
        port.map_or(0, |port| u32::from(port.mtu))
    }
}

/// Does the far end of a tunnel know what is sent by it?
pub(super) fn is_taken(near: &SegmentProgram, remote: &Remote, far: &SegmentProgram, back: &Remote) -> bool {
    let takes = |wanted: Inbound| {
        let own = match back.tunnel {
            Tunnel::Vxlan(_) => Some(Inbound::Vxlan),
            Tunnel::Mpls { from, control_word, flow_label, .. } => {
                Some(Inbound::Mpls { from, control_word, flow_label })
            }
            Tunnel::Srv6 { .. } => None,
        };
        own == Some(wanted) || back.inbound.contains(&wanted)
    };
    match remote.tunnel {
        Tunnel::Vxlan(vni) => vni == near.vni && vni == far.vni && takes(Inbound::Vxlan),
        Tunnel::Srv6 { unicast, flood } => {
            [unicast, flood].iter().all(|sid| far.sids.iter().any(|own| own.sid == *sid))
        }
        Tunnel::Mpls { to: from, control_word, flow_label, .. } => {
            remote.group == back.group && takes(Inbound::Mpls { from, control_word, flow_label })
        }
    }
}

/// How many SIDs or labels the end pushes for a slice, those of the service and of the group among them.
fn pushes(spec: &SliceSpec, path: &PathProgram) -> usize {
    match (&path.steering, spec.transport) {
        (Steering::Ip, _) => 0,
        (Steering::Srv6(sids), _) => sids.len() + 1,
        (Steering::Mpls(labels), Transport::Mpls) => labels.len() + 2,
        (Steering::Mpls(labels), _) => labels.len(),
    }
}

fn max_of(node: &model::resource::Node, path: &PathProgram) -> usize {
    match path.steering {
        Steering::Srv6(_) => node.sid_depth_max.into(),
        _ => node.label_depth_max.into(),
    }
}

/// The headers, one after the other, as an edge writes them at most.
fn overhead(spec: &SliceSpec, path: &PathProgram) -> u32 {
    let ip = if path.remote.is_ipv6() { 40 } else { 20 };
    let is_routed = spec.service == Service::L3;
    let ethernet = if is_routed { 0 } else { 14 };
    let service = if is_routed { 2 } else { 4 };
    let words = |count: usize| 4 * u32::try_from(count).unwrap_or(u32::MAX / 64);
    match (spec.transport, &path.steering) {
        // RFC 7348, section 5: outer IP, UDP, VXLAN, inner Ethernet.
        (Transport::Vxlan, Steering::Mpls(labels)) => words(labels.len()) + ip + 8 + 8 + 14,
        (Transport::Vxlan, _) => ip + 8 + 8 + 14,
        // RFC 8986, section 5.1: every SID, that of the service among them.
        (Transport::Srv6, Steering::Srv6(sids)) if path.srh == Srh::Full => {
            40 + 8 + 4 * words(sids.len() + 1) + ethernet
        }
        // Section 5.2: an SRH only where there is more than the SID of the service; the first SID is not in it.
        (Transport::Srv6, Steering::Srv6(sids)) if !sids.is_empty() => 40 + 8 + 4 * words(sids.len()) + ethernet,
        (Transport::Srv6, _) => 40 + ethernet,
        // Service, group; for frames the flow label (RFC 6391) and the control word (RFC 4448, section 4.6), too.
        (Transport::Mpls, Steering::Mpls(labels)) => words(labels.len() + service) + ethernet,
        // RFC 7510: outer IP, UDP, the same.
        (Transport::Mpls, _) => ip + 8 + words(service) + ethernet,
    }
}
