//! Writes down what each edge must be doing.

use std::collections::BTreeMap;

use model::plan::{Allocation, Plan};
use model::program::{
    Circuit, CorePort, PathProgram, Program, ProgramContent, RealmProgram, Remote, SegmentProgram, SliceProgram,
    Steering, TransitProgram, Tunnel,
};
use model::resource::SegmentId;
use model::{Generation, NodeName, PathId};

use crate::path::Routes;
use crate::refusal::Family;
use crate::underlay::{NodeView, Underlay, address_of};
use crate::wish::{SegmentWish, SliceWish};

/// What programs are made from.
pub(crate) struct Decided<'a> {
    pub(crate) underlay: &'a Underlay<'a>,
    pub(crate) slices: &'a [SliceWish<'a>],
    pub(crate) routes: &'a Routes<'a>,
    pub(crate) families: &'a BTreeMap<(&'a NodeName, &'a NodeName), Family>,
    pub(crate) allocations: &'a BTreeMap<SegmentId, Allocation>,
}

impl Decided<'_> {
    /// A program for each edge that has, or had, something. One whose content did not change keeps its generation.
    pub(crate) fn programs(
        &self,
        parent: &Plan,
        generation: Generation,
        confirmed: &BTreeMap<NodeName, Generation>,
    ) -> BTreeMap<NodeName, Program> {
        let mut contents: BTreeMap<&NodeName, ProgramContent> = BTreeMap::new();
        for slice in self.slices {
            for edge in slice.sdps.keys() {
                let content = contents.entry(edge).or_insert_with(|| self.bare(edge));
                content.slices.extend(self.slice(slice, edge));
            }
        }
        for (edge, before) in &parent.programs {
            // An edge that has left the topology is forgotten once it has confirmed that it runs nothing.
            let is_gone = self.underlay.node(edge).is_none_or(|node| !node.is_edge());
            let bare = self.bare(edge);
            let has_confirmed = confirmed.get(edge).is_some_and(|running| *running >= before.generation);
            if !(is_gone && has_confirmed && before.content == bare) {
                contents.entry(edge).or_insert(bare);
            }
        }
        let program = |(edge, content): (&NodeName, ProgramContent)| {
            let unchanged = parent.programs.get(edge).filter(|before| before.content == content);
            (edge.clone(), unchanged.cloned().unwrap_or(Program { generation, content }))
        };
        contents.into_iter().map(program).collect()
    }

    /// A program without slices.
    fn bare(&self, edge: &NodeName) -> ProgramContent {
        let node = self.underlay.node(edge).filter(|node| node.is_edge());
        ProgramContent {
            edge: edge.clone(),
            loopback: node.map_or_else(Vec::new, |node| node.node.loopback.addresses().collect()),
            core_ports: node.map_or_else(Vec::new, core_ports),
            probes: None,
            paths: node.map_or_else(Vec::new, |_| self.paths(edge)),
            transit: TransitProgram::default(),
            slices: Vec::new(),
        }
    }

    fn paths(&self, edge: &NodeName) -> Vec<PathProgram> {
        let ends = self.routes.keys().filter(|(from, _)| *from == edge);
        ends.filter_map(|(_, to)| self.path(edge, to)).collect()
    }

    fn path(&self, edge: &NodeName, to: &NodeName) -> Option<PathProgram> {
        let family = *self.families.get(&(edge.min(to), edge.max(to)))?;
        let route = self.routes.get(&(edge, to))?;
        let hop = route.hops.first()?;
        let ends = route.hops.iter().flat_map(|hop| [hop.near, hop.far]);
        let mtus = ends.filter_map(|end| Some(self.underlay.port(&end.node, &end.port)?.port.mtu));
        Some(PathProgram {
            id: PathId::MIN,
            to: to.clone(),
            local: self.underlay.node(edge)?.loopback(family)?,
            remote: self.underlay.node(to)?.loopback(family)?,
            port: hop.near.port.clone(),
            next_hop: address_of(hop.far, family)?,
            mtu: mtus.min()?,
            steering: Steering::Ip,
        })
    }

    fn slice(&self, slice: &SliceWish<'_>, edge: &NodeName) -> Option<SliceProgram> {
        let circuit = |sdp: &&model::resource::Sdp| Circuit {
            sdp: sdp.name.clone(),
            port: sdp.port.clone(),
            vlan: sdp.vlan,
            leaf: false,
            gateways: Vec::new(),
        };
        let segments = slice.segments.iter().filter(|segment| segment.edges.contains(edge));
        Some(SliceProgram {
            slice: slice.name.clone(),
            snssai: slice.spec.snssai,
            service: slice.spec.service,
            limits: slice.derived.limits,
            packet_octets_max: slice.derived.packet_octets_max,
            dscp: slice.derived.default_dscp,
            traffic_class: slice.derived.default_traffic_class,
            circuits: slice.sdps.get(edge)?.iter().map(circuit).collect(),
            routes: Vec::new(),
            segments: segments.filter_map(|segment| self.segment(segment, edge)).collect(),
        })
    }

    fn segment(&self, segment: &SegmentWish<'_>, edge: &NodeName) -> Option<SegmentProgram> {
        let allocation = self.allocations.get(segment.id)?;
        let others = segment.edges.iter().filter(|other| **other != edge);
        let realm = segment.realm.as_ref().map(|realm| RealmProgram {
            access_port: allocation.access_port,
            features: realm.features.clone(),
            clients: realm.clients.iter().filter(|client| client.asks(edge)).cloned().collect(),
        });
        Some(SegmentProgram {
            id: segment.id.clone(),
            vni: allocation.vni,
            limits: segment.limits,
            sessions_max: segment.sessions_max,
            sids: Vec::new(),
            remotes: others.map(|other| remote(other, *allocation)).collect(),
            realm,
        })
    }
}

fn remote(other: &NodeName, allocation: Allocation) -> Remote {
    let tunnel = Tunnel::Vxlan(allocation.vni);
    Remote { edge: other.clone(), working: PathId::MIN, backup: None, group: true, tunnel }
}

fn core_ports(node: &NodeView<'_>) -> Vec<CorePort> {
    let ports = node.ports.values().filter_map(|view| Some((view.port, view.link?)));
    ports
        .map(|(port, at)| CorePort { port: port.name.clone(), addresses: at.near.addresses.clone(), mtu: port.mtu })
        .collect()
}
