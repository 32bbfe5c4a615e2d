//! Writes down what each node must be doing.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Allocation, PathKey, Plan, SlicePlan};
use model::program::{
    AccessPort, Circuit, CorePort, PathProgram, ProbeProgram, Program, ProgramContent, QueueProgram, RealmProgram,
    Remote, SegmentProgram, ServiceBehaviour, ServiceSid, SliceProgram, SliceRoute, Steering, TransitProgram,
    TransitQueue, Tunnel,
};
use model::resource::{Control, NodeRole, Probes, Sdp, SdpVlan, SegmentId, Service, Srh, Transport};
use model::{Generation, NodeName, Prefix, Sid, SliceName};

use crate::numbers::{NodeSids, service_sid};
use crate::path::{Graph, Route, Trees};
use crate::transit;
use crate::underlay::{NodeView, Underlay, address_of};
use crate::ways::{Laid, Ways};
use crate::wish::{SegmentWish, SliceWish};

/// What programs are made from.
pub(crate) struct Decided<'d, 'a> {
    pub(crate) underlay: &'d Underlay<'a>,
    pub(crate) trees: &'d Trees<'d, 'a>,
    pub(crate) numbers: NodeSids<'d>,
    pub(crate) probes: Probes,
    pub(crate) slices: &'d [SliceWish<'a>],
    pub(crate) plans: &'d BTreeMap<SliceName, SlicePlan>,
    pub(crate) ways: &'d Ways,
    pub(crate) allocations: &'d BTreeMap<SegmentId, Allocation>,
    /// How nodes with the userspace dataplane keep their queues.
    pub(crate) queues: &'d [QueueProgram],
    /// In which of them packets of others wait.
    pub(crate) transit_queues: &'d [TransitQueue],
    /// Core nodes' programs of the parent plan still say what follows from the topology.
    pub(crate) is_same_transit: bool,
}

impl Decided<'_, '_> {
    /// What each node that has, or had, something is to do.
    pub(crate) fn contents(
        &self,
        parent: &Plan,
        confirmed: &BTreeMap<NodeName, Generation>,
    ) -> BTreeMap<NodeName, ProgramContent> {
        let (mut paths, mut shaping) = (self.paths(), self.shaping());
        let mut bare = |node: &NodeName| ProgramContent {
            shaping: shaping.remove(node).unwrap_or_default(),
            ..self.bare(node, parent, paths.remove(node).unwrap_or_default())
        };
        let mut contents: BTreeMap<&NodeName, ProgramContent> = BTreeMap::new();
        for slice in self.slices {
            for edge in slice.sdps.keys() {
                let content = contents.entry(edge).or_insert_with(|| bare(edge));
                content.slices.extend(self.slice(slice, edge));
            }
        }
        for view in self.underlay.nodes().filter(|view| !view.is_edge() && is_told(view)) {
            contents.entry(&view.node.name).or_insert_with(|| bare(&view.node.name));
        }
        for (node, before) in &parent.programs {
            // A node that has left the topology, or that nobody of ours tells any more, is forgotten once it has confirmed
            // that it runs nothing.
            let is_gone = self.underlay.node(node).is_none_or(|view| !is_told(view));
            let has_confirmed = confirmed.get(node).is_some_and(|running| *running >= before.generation);
            if contents.contains_key(node) {
                continue;
            }
            let bare = bare(node);
            if !(is_gone && has_confirmed && before.content == bare) {
                contents.insert(node, bare);
            }
        }
        contents.into_iter().map(|(node, content)| (node.clone(), content)).collect()
    }

    /// A program without slices.
    fn bare(&self, name: &NodeName, parent: &Plan, paths: Vec<PathProgram>) -> ProgramContent {
        let Some(view) = self.underlay.node(name).filter(|view| is_told(view)) else {
            return ProgramContent::empty(name.clone());
        };
        let probes = match self.probes {
            Probes::Stamp(spec) if view.is_edge() => Some(ProbeProgram {
                interval_nanos: spec.interval.as_nanos(),
                losses_max: spec.losses,
                answers_min: spec.answers,
            }),
            _ => None,
        };
        let place = self.trees.graph.place(name).filter(|_| !view.is_edge());
        let before = parent.programs.get(name).filter(|_| self.is_same_transit);
        let mut transit = match (before, place) {
            (Some(before), _) => TransitProgram { queues: Vec::new(), ..before.content.transit.clone() },
            (None, Some(place)) => transit::program(self.trees, &self.numbers, place),
            (None, None) => TransitProgram::default(),
        };
        // A kernel has queues of its own; an edge forwards for nobody.
        let is_kernel = view.node.control() == Control::Linux;
        if !view.is_edge() && !is_kernel {
            transit.queues = self.transit_queues.to_vec();
        }
        ProgramContent {
            edge: name.clone(),
            loopback: view.node.loopback.addresses().collect(),
            core_ports: core_ports(view),
            access_ports: if view.is_edge() { access_ports(view) } else { Vec::new() },
            probes,
            paths,
            transit,
            shaping: Vec::new(),
            queues: if is_kernel { Vec::new() } else { self.queues.to_vec() },
            slices: Vec::new(),
        }
    }

    /// Every path, as each of its ends knows it.
    fn paths(&self) -> BTreeMap<NodeName, Vec<PathProgram>> {
        let mut paths: BTreeMap<NodeName, Vec<PathProgram>> = BTreeMap::new();
        for (key, laid) in &self.ways.laid {
            let back = laid.route.reversed();
            let ends = [(&key.a, &key.b, &laid.route, &laid.pinned.there), (&key.b, &key.a, &back, &laid.pinned.back)];
            for (near, far, route, steering) in ends {
                paths.entry(near.clone()).or_default().extend(self.path(key, far, laid, route, steering));
            }
        }
        for paths in paths.values_mut() {
            paths.sort_unstable_by(|one, other| (&one.to, one.id).cmp(&(&other.to, other.id)));
        }
        paths
    }

    fn path(
        &self,
        key: &PathKey,
        to: &NodeName,
        laid: &Laid,
        route: &Route,
        steering: &Steering,
    ) -> Option<PathProgram> {
        let graph: &Graph<'_> = self.trees.graph;
        let (at, arc) = route.hops().next()?;
        let (near, far) = graph.ends(at, arc.link());
        let next_hop = address_of(far, laid.family).or_else(|| Some(transit::any_adjacency(graph, at, arc)?.next_hop));
        Some(PathProgram {
            id: key.id,
            to: to.clone(),
            local: self.underlay.node(&near.node)?.loopback(laid.family)?,
            remote: self.underlay.node(to)?.loopback(laid.family)?,
            port: near.port.clone(),
            next_hop: next_hop?,
            mtu: laid.mtu,
            steering: steering.clone(),
            srh: if matches!(steering, Steering::Srv6(_)) { laid.route.srh(graph) } else { Srh::Reduced },
        })
    }

    fn slice(&self, slice: &SliceWish<'_>, edge: &NodeName) -> Option<SliceProgram> {
        let plan = self.plans.get(slice.name)?;
        let circuit = |sdp: &&Sdp| Circuit {
            sdp: sdp.name.clone(),
            port: sdp.port.clone(),
            vlan: match sdp.vlan {
                Some(SdpVlan::Id(vlan)) => Some(vlan),
                Some(SdpVlan::Auto) => plan.vlans.get(&sdp.name).copied(),
                None => None,
            },
            leaf: sdp.leaf,
            gateways: sdp.addresses.clone(),
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
            queue: slice.derived.default_class,
            markings: slice.derived.markings.clone(),
            weight: slice.spec.weight,
            session_rates: slice.derived.session_rates,
            circuits: slice.sdps.get(edge)?.iter().map(circuit).collect(),
            routes: routes(slice, edge),
            segments: segments.filter_map(|segment| self.segment(slice, segment, edge)).collect(),
        })
    }

    fn segment(&self, slice: &SliceWish<'_>, segment: &SegmentWish<'_>, edge: &NodeName) -> Option<SegmentProgram> {
        let allocation = self.allocations.get(segment.id)?;
        let others = segment.edges.iter().filter(|other| **other != edge);
        let realm = segment.realm.as_ref().map(|realm| RealmProgram {
            access_port: allocation.access_port,
            features: realm.features.clone(),
            clients: realm.clients.iter().filter(|client| client.asks(edge)).cloned().collect(),
        });
        let (unicast, flood) = behaviours(slice.spec.service);
        let sids = [Some((unicast, 0)), flood.map(|flood| (flood, 1))];
        // Nobody sends to a segment that is on one edge.
        let is_srv6 = slice.spec.transport == Transport::Srv6;
        let sids = sids.into_iter().flatten().filter(|_| is_srv6 && segment.edges.len() > 1);
        let sids = sids
            .filter_map(|(behaviour, offset)| Some(ServiceSid { sid: self.sid(edge, allocation, offset)?, behaviour }));
        Some(SegmentProgram {
            id: segment.id.clone(),
            vni: allocation.vni,
            limits: segment.limits,
            weight: segment.weight,
            sessions_max: segment.sessions_max,
            sids: sids.collect(),
            remotes: others.filter_map(|other| self.remote(slice, edge, other, allocation)).collect(),
            realm,
        })
    }

    fn remote(
        &self,
        slice: &SliceWish<'_>,
        edge: &NodeName,
        other: &NodeName,
        allocation: &Allocation,
    ) -> Option<Remote> {
        let ends = (edge.min(other).clone(), edge.max(other).clone());
        let way = self.ways.taken.get(slice.name)?.get(&ends)?;
        let label = |receiver: &NodeName, sender: &NodeName| {
            allocation.labels.get(&(receiver.clone(), sender.clone())).copied()
        };
        let tunnel = match slice.spec.transport {
            Transport::Vxlan => Tunnel::Vxlan(allocation.vni),
            Transport::Srv6 => {
                let flood = u16::from(behaviours(slice.spec.service).1.is_some());
                let (unicast, flood) = (self.sid(other, allocation, 0)?, self.sid(other, allocation, flood)?);
                Tunnel::Srv6 { unicast, flood }
            }
            Transport::Mpls => {
                // An IP packet is told from a frame by its label, and its flow by what is in it.
                let is_framed = slice.spec.service != Service::L3;
                let (to, from) = (label(other, edge)?, label(edge, other)?);
                Tunnel::Mpls { to, from, control_word: is_framed, flow_label: is_framed }
            }
        };
        let (edge, working, backup) = (other.clone(), way.working, way.backup);
        Some(Remote { edge, working, backup, group: true, tunnel, inbound: Vec::new() })
    }

    fn sid(&self, edge: &NodeName, allocation: &Allocation, offset: u16) -> Option<Sid> {
        let locator = self.underlay.node(edge)?.node.locator?;
        service_sid(locator, allocation.function?.checked_add(offset)?)
    }
}

/// Programs of contents. One whose content did not change keeps its generation.
pub(crate) fn numbered(
    contents: BTreeMap<NodeName, ProgramContent>,
    parent: &Plan,
    generation: Generation,
) -> BTreeMap<NodeName, Program> {
    let program = |(node, content): (NodeName, ProgramContent)| {
        let unchanged = parent.programs.get(&node).filter(|before| before.content == content).cloned();
        (node, unchanged.unwrap_or(Program { generation, content }))
    };
    contents.into_iter().map(program).collect()
}

/// What is done with a packet for one endpoint and with one for all, where that is something else (RFC 8986, sections
/// 4.8 to 4.12).
const fn behaviours(service: Service) -> (ServiceBehaviour, Option<ServiceBehaviour>) {
    match service {
        Service::L2PointToPoint => (ServiceBehaviour::Dx2, None),
        Service::L2Multipoint => (ServiceBehaviour::Dt2u, Some(ServiceBehaviour::Dt2m)),
        Service::L3 => (ServiceBehaviour::Dt46, None),
    }
}

/// The subnets that are at other edges, as far as a segment leads there.
fn routes(slice: &SliceWish<'_>, edge: &NodeName) -> Vec<SliceRoute> {
    let joined = slice.segments.iter().filter(|segment| segment.edges.contains(edge));
    let others: BTreeSet<&NodeName> = joined.flat_map(|segment| segment.edges.iter().copied()).collect();
    let sdps = others.into_iter().filter(|other| *other != edge).filter_map(|other| slice.sdps.get(other)).flatten();
    let prefixes = sdps.flat_map(|sdp| sdp.addresses.iter().map(|address| (address, &sdp.edge)));
    let route = |(address, edge): (&model::InterfaceAddress, &NodeName)| {
        Some(SliceRoute { prefix: Prefix::new(address.address(), address.length())?, edge: edge.clone() })
    };
    let mut routes: Vec<SliceRoute> = prefixes.filter_map(route).collect();
    routes.sort_unstable_by_key(|route| route.prefix);
    routes
}

/// Does an agent of ours tell it what to do? An edge always has one.
fn is_told(view: &NodeView<'_>) -> bool {
    view.node.role == NodeRole::Edge || view.node.control() != Control::Static
}

/// What no link is at faces devices.
fn access_ports(node: &NodeView<'_>) -> Vec<AccessPort> {
    let ports = node.ports.values().filter(|view| view.link.is_none()).map(|view| view.port);
    ports.map(|port| AccessPort { port: port.name.clone(), rate: port.rate }).collect()
}

fn core_ports(node: &NodeView<'_>) -> Vec<CorePort> {
    let ports = node.ports.values().filter_map(|view| Some((view.port, view.link?)));
    ports
        .map(|(port, at)| CorePort { port: port.name.clone(), addresses: at.near.addresses.clone(), mtu: port.mtu })
        .collect()
}
