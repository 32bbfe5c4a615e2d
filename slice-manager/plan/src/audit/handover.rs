//! From one plan to the next: whatever each node runs of the two, what is sent arrives.
//!
//! A plan by itself is looked at elsewhere. Here every packet meets every mixture: each node on its way may run what it
//! was told before or what it is told now, and may change while the packet is on its way. Programs alone count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use model::plan::Plan;
use model::program::{
    Adjacency, PathProgram, ProgramContent, Remote, SegmentProgram, SliceProgram, Steering, TransitBehaviour,
    TransitProgram,
};
use model::resource::{NodeRole, Service, TopologySpec};
use model::{Label, NodeName, Prefix, Sid, SliceName};

use super::steering::sid_of;
use super::tunnels::is_taken;
use super::{Finding, Note, Severity};
use crate::intents::Intents;

/// Every way in which a change from one plan to the next loses packets that both plans mean to carry. A plan with an error
/// must not follow the other.
pub fn audit_change(parent: &Plan, plan: &Plan, intents: &Intents) -> Vec<Note> {
    let change = Change { parent, plan };
    let mut found = change.tunnels();
    if let Some(topology) = intents.topologies.values().next() {
        found.extend(change.ways(topology));
    }
    found.into_iter().map(|finding| Note { severity: Severity::Error, finding }).collect()
}

struct Change<'a> {
    parent: &'a Plan,
    plan: &'a Plan,
}

impl<'a> Change<'a> {
    /// What a node may run: what it was told, and what it is told; both the same if that is so.
    fn versions(&self, node: &NodeName) -> Option<[&'a ProgramContent; 2]> {
        let content = |plan: &'a Plan| plan.programs.get(node).map(|program| &program.content);
        Some([content(self.parent)?, content(self.plan)?])
    }

    /// A segment on a node, in both versions, where what is in a tunnel is the same in both.
    fn segments(&self, node: &NodeName, of: &SegmentProgram) -> Option<[&'a SegmentProgram; 2]> {
        let versions = self.versions(node)?;
        let slices = versions.map(|content| content.slice(&of.id.slice));
        let is_routed = |slice: Option<&SliceProgram>| slice.map(|slice| slice.service == Service::L3);
        if is_routed(slices[0]) != is_routed(slices[1]) || versions[0].loopback != versions[1].loopback {
            return None;
        }
        let [before, now] = slices.map(|slice| slice?.segments.iter().find(|segment| segment.id == of.id));
        Some([before?, now?])
    }

    /// The slices that any node is told otherwise of than before.
    fn changed(&self) -> BTreeSet<&'a SliceName> {
        let mut changed = BTreeSet::new();
        for node in self.plan.programs.keys() {
            let Some([before, now]) = self.versions(node).filter(|[before, now]| before.slices != now.slices) else {
                continue;
            };
            let is_other = |slice: &&SliceProgram| before.slice(&slice.slice) != Some(slice);
            changed.extend(now.slices.iter().filter(is_other).map(|slice| &slice.slice));
        }
        changed
    }

    fn tunnels(&self) -> Vec<Finding> {
        let changed = self.changed();
        let mut found = Vec::new();
        if changed.is_empty() {
            return found;
        }
        for (edge, program) in &self.plan.programs {
            let slices = program.content.slices.iter().filter(|slice| changed.contains(&slice.slice));
            for segment in slices.flat_map(|slice| &slice.segments) {
                for remote in &segment.remotes {
                    if !self.is_carried(edge, segment, &remote.edge) {
                        let (segment, edge, remote) = (segment.id.clone(), edge.clone(), remote.edge.clone());
                        found.push(Finding::LostInChange { segment, edge, remote });
                    }
                }
            }
        }
        found
    }

    /// Does either version of the far edge take what either version of the edge sends? What is there in one version only
    /// comes or goes, and nothing is promised of it.
    fn is_carried(&self, edge: &NodeName, segment: &SegmentProgram, far: &NodeName) -> bool {
        let Some((near, there)) = self.segments(edge, segment).zip(self.segments(far, segment)) else { return true };
        let remotes = |segments: [&'a SegmentProgram; 2], to: &NodeName| -> Option<[&'a Remote; 2]> {
            let [before, now] = segments.map(|segment| segment.remotes.iter().find(|remote| remote.edge == *to));
            Some([before?, now?])
        };
        let Some((sends, backs)) = remotes(near, far).zip(remotes(there, edge)) else { return true };
        let taken = |sent: usize, run: usize| is_taken(near[sent], sends[sent], there[run], backs[run]);
        [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().all(|(sent, run)| taken(sent, run))
    }

    /// Does what working paths carry arrive, whatever core nodes run?
    fn ways(&self, topology: &TopologySpec) -> Vec<Finding> {
        let is_core = |node: &NodeName| topology.nodes.iter().any(|n| n.name == *node && n.role == NodeRole::Core);
        let transit = |node: &NodeName| self.versions(node).map(|versions| versions.map(|content| &content.transit));
        let none = TransitProgram::default();
        let is_told = |node: &NodeName| transit(node).is_some_and(|[before, now]| *before != none || *now != none);
        let is_other = |node: &NodeName| {
            self.versions(node).is_some_and(|[before, now]| {
                before.transit != now.transit || before.core_ports != now.core_ports || before.paths != now.paths
            })
        };
        if !self.plan.programs.keys().any(is_told) || !self.plan.programs.keys().any(is_other) {
            return Vec::new();
        }
        let (mut before, mut mixture) = (Mixture::default(), Mixture::default());
        for node in self.plan.programs.keys() {
            for (content, is_before) in self.versions(node).into_iter().flatten().zip([true, false]) {
                mixture.add(node, content);
                if is_before {
                    before.add(node, content);
                }
            }
        }
        crate::transit::transit(self.plan, topology, |node, program| {
            if !self.plan.programs.contains_key(node) {
                before.add_untold(node, &program, topology);
                mixture.add_untold(node, &program, topology);
            }
        });
        let (mut found, mut never) = (Vec::new(), HashSet::new());
        for (edge, to, path, is_before) in self.sent() {
            let Some(far) = topology.nodes.iter().find(|node| node.name == *to && !is_core(to)) else { continue };
            let service = sid_of(far, 4096).and_then(|sid| Sid::new(sid).ok());
            // What did not arrive before is not lost: its nodes are still to come.
            if is_before && !before.delivers(path, service) {
                never.insert((edge, to));
            }
            if !never.contains(&(edge, to)) && !mixture.delivers(path, service) {
                found.push(Finding::AstrayInChange { edge: edge.clone(), to: to.clone(), path: path.id });
            }
        }
        found
    }

    /// The working paths of what is sent before and after, as the edge knows each in each version, those before first.
    fn sent(&self) -> Vec<(&'a NodeName, &'a NodeName, &'a PathProgram, bool)> {
        let mut seen = HashSet::new();
        let mut sent = Vec::new();
        for edge in self.plan.programs.keys() {
            let Some(versions) = self.versions(edge) else { continue };
            for (place, segment) in versions.iter().enumerate().flat_map(|(place, content)| {
                content.slices.iter().flat_map(|slice| &slice.segments).map(move |segment| (place, segment))
            }) {
                let other = versions[1 - place].segment(&segment.id);
                for remote in &segment.remotes {
                    let is_lasting = other.is_some_and(|other| other.remotes.iter().any(|r| r.edge == remote.edge));
                    let path = versions[place].path(&remote.edge, remote.working);
                    // A loopback that is another is a far end that is another.
                    let path =
                        path.filter(|path| versions.iter().all(|content| content.loopback.contains(&path.local)));
                    if let Some(path) = path.filter(|path| is_lasting && seen.insert((edge, &path.to, path.id, place)))
                    {
                        sent.push((edge, &path.to, path, place == 0));
                    }
                }
            }
        }
        sent.sort_by_key(|(.., is_before)| !is_before);
        sent
    }
}

/// All that nodes may do.
#[derive(Default)]
struct Mixture {
    /// Whose address it is, towards the underlay.
    neighbours: HashMap<IpAddr, NodeName>,
    tables: HashMap<NodeName, Vec<Table>>,
}

/// What a node does in one version.
#[derive(Default)]
struct Table {
    /// The addresses by which it takes packets.
    entrances: HashSet<IpAddr>,
    sids: HashMap<Sid, Option<IpAddr>>,
    labels: HashMap<Label, (Option<Label>, IpAddr)>,
    routes: HashMap<Prefix, IpAddr>,
}

/// A packet at a node: where it leads, what SIDs and labels are to come, the next last.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Packet {
    at: NodeName,
    to: IpAddr,
    sids: Vec<Sid>,
    labels: Vec<Label>,
}

impl Mixture {
    fn add(&mut self, node: &NodeName, content: &ProgramContent) {
        let addresses = content.core_ports.iter().flat_map(|port| &port.addresses);
        let entrances: HashSet<IpAddr> = addresses.map(model::InterfaceAddress::address).collect();
        self.neighbours.extend(entrances.iter().map(|address| (*address, node.clone())));
        let table = Table { entrances, ..Table::of(&content.transit) };
        self.tables.entry(node.clone()).or_default().push(table);
    }

    fn add_untold(&mut self, node: &NodeName, program: &TransitProgram, topology: &TopologySpec) {
        let ends = topology.links.iter().flat_map(|link| [&link.a, &link.b]).filter(|end| end.node == *node);
        let entrances: HashSet<IpAddr> =
            ends.flat_map(|end| &end.addresses).map(model::InterfaceAddress::address).collect();
        self.neighbours.extend(entrances.iter().map(|address| (*address, node.clone())));
        self.tables.entry(node.clone()).or_default().push(Table { entrances, ..Table::of(program) });
    }

    /// Does a packet arrive by every choice of versions?
    fn delivers(&self, path: &PathProgram, service: Option<Sid>) -> bool {
        let mut packet = Packet { at: path.to.clone(), to: path.remote, sids: Vec::new(), labels: Vec::new() };
        match &path.steering {
            Steering::Ip => {}
            Steering::Mpls(labels) => packet.labels.extend(labels.iter().rev()),
            Steering::Srv6(sids) => {
                let Some(service) = service else { return false };
                packet.sids.extend(std::iter::once(service).chain(sids.iter().rev().copied()));
                let Some(first) = packet.sids.pop() else { return false };
                packet.to = IpAddr::V6(first.get());
            }
        }
        let is_labelled = matches!(path.steering, Steering::Mpls(_));
        self.passes(path.next_hop, packet, &path.to, is_labelled, &mut HashMap::new())
    }

    /// Does it arrive, handed to this neighbour? What has been looked at is in `seen`: whether it arrives, or that it is on
    /// its way still, so that it would go round.
    fn passes(
        &self,
        next_hop: IpAddr,
        packet: Packet,
        far: &NodeName,
        is_labelled: bool,
        seen: &mut HashMap<(IpAddr, Packet), bool>,
    ) -> bool {
        let Some(at) = self.neighbours.get(&next_hop).cloned() else { return false };
        let packet = Packet { at, ..packet };
        let key = (next_hop, packet);
        if let Some(arrives) = seen.get(&key) {
            return *arrives;
        }
        seen.insert(key.clone(), false);
        let packet = &key.1;
        let arrives = self.tables.get(&packet.at).into_iter().flatten().all(|table| {
            if !table.entrances.contains(&next_hop) {
                return false;
            }
            if packet.at == *far {
                return packet.labels.is_empty() && packet.sids.is_empty();
            }
            let next = if is_labelled { table.by_label(packet) } else { table.by_address(packet) };
            next.is_some_and(|(next_hop, packet)| self.passes(next_hop, packet, far, is_labelled, seen))
        });
        seen.insert(key, arrives);
        arrives
    }
}

impl Table {
    fn of(program: &TransitProgram) -> Self {
        let hop = |adjacency: &Adjacency| adjacency.next_hop;
        let sids = program.sids.iter().map(|sid| match &sid.behaviour {
            TransitBehaviour::End => (sid.sid, None),
            TransitBehaviour::EndX(out) => (sid.sid, Some(hop(out))),
        });
        Self {
            sids: sids.collect(),
            labels: program.labels.iter().map(|label| (label.label, (label.swap, hop(&label.out)))).collect(),
            routes: program.routes.iter().map(|route| (route.prefix, hop(&route.via))).collect(),
            ..Self::default()
        }
    }

    fn by_label(&self, packet: &Packet) -> Option<(IpAddr, Packet)> {
        let mut packet = packet.clone();
        let (swap, next_hop) = self.labels.get(&packet.labels.pop()?)?;
        packet.labels.extend(swap);
        Some((*next_hop, packet))
    }

    fn by_address(&self, packet: &Packet) -> Option<(IpAddr, Packet)> {
        let mut packet = packet.clone();
        let own = if let IpAddr::V6(address) = packet.to { Sid::new(address).ok() } else { None };
        if let Some(behaviour) = own.and_then(|sid| self.sids.get(&sid)) {
            packet.to = IpAddr::V6(packet.sids.pop()?.get());
            if let Some(next_hop) = behaviour {
                return Some((*next_hop, packet));
            }
        }
        let bits = if packet.to.is_ipv6() { 128 } else { 32 };
        let prefixes = (0..=bits).rev().filter_map(|length| Prefix::new(packet.to, length));
        let next_hop = prefixes.into_iter().find_map(|prefix| self.routes.get(&prefix).copied())?;
        Some((next_hop, packet))
    }
}
