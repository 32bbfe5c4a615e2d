//! Resources, both ways.

use model::resource::{
    Client, LabelBlock, LatencyObjective, Link, LinkEnd, Loopback, MicroSegment, Node, NodeRole, Pools, Port,
    RadiusPortPool, Realm, RealmSpec, Resource, Sdp, SegmentId, SegmentSpec, Service, Slice, SliceSpec, Topology,
    TopologySpec, Transport, VniPool,
};
use model::{Label, Latency, Rate, RateLimits, Sd, Share, Snssai, Sst, UniqueList, Vlan, Vni};

use super::{At, ConvertError, ConvertProblem, Within, enumeration, list, narrow16, required, text, texts};
use crate::v1;

impl TryFrom<v1::Resource> for Resource {
    type Error = ConvertError;

    fn try_from(message: v1::Resource) -> Result<Self, ConvertError> {
        use v1::resource::Kind;
        match required(message.kind, "a topology, slice, microSegment or realm", "kind")? {
            Kind::Topology(m) => m.try_into().map(Self::Topology).within("topology"),
            Kind::Slice(m) => m.try_into().map(Self::Slice).within("slice"),
            Kind::MicroSegment(m) => m.try_into().map(Self::MicroSegment).within("microSegment"),
            Kind::Realm(m) => m.try_into().map(Self::Realm).within("realm"),
        }
    }
}

impl From<&Resource> for v1::Resource {
    fn from(resource: &Resource) -> Self {
        use v1::resource::Kind;
        let kind = match resource {
            Resource::Topology(r) => Kind::Topology(r.into()),
            Resource::Slice(r) => Kind::Slice(r.into()),
            Resource::MicroSegment(r) => Kind::MicroSegment(r.into()),
            Resource::Realm(r) => Kind::Realm(r.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Topology> for Topology {
    type Error = ConvertError;

    fn try_from(message: v1::Topology) -> Result<Self, ConvertError> {
        let pools = required(message.pools, "the pools", "pools")?;
        let pools = Pools {
            vni: VniPool {
                first: Vni::try_from(pools.vni_first).at("pools.vniFirst")?,
                last: Vni::try_from(pools.vni_last).at("pools.vniLast")?,
            },
            radius_ports: RadiusPortPool {
                first: narrow16("a UDP port", 1, pools.radius_port_first).at("pools.radiusPortFirst")?,
                last: narrow16("a UDP port", 1, pools.radius_port_last).at("pools.radiusPortLast")?,
            },
        };
        let nodes = UniqueList::new(list(message.nodes, "nodes", Node::try_from)?).at("nodes")?;
        let links = UniqueList::new(list(message.links, "links", Link::try_from)?).at("links")?;
        Ok(Self { name: message.name.parse().at("name")?, spec: TopologySpec { pools, nodes, links } })
    }
}

impl From<&Topology> for v1::Topology {
    fn from(topology: &Topology) -> Self {
        let pools = &topology.spec.pools;
        Self {
            name: topology.name.to_string(),
            pools: Some(v1::Pools {
                vni_first: pools.vni.first.get(),
                vni_last: pools.vni.last.get(),
                radius_port_first: pools.radius_ports.first.into(),
                radius_port_last: pools.radius_ports.last.into(),
            }),
            nodes: topology.spec.nodes.iter().map(Into::into).collect(),
            links: topology.spec.links.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Node> for Node {
    type Error = ConvertError;

    fn try_from(message: v1::Node) -> Result<Self, ConvertError> {
        let role = enumeration(message.role, "NodeRole", |role| match role {
            v1::NodeRole::Unspecified => None,
            v1::NodeRole::Edge => Some(NodeRole::Edge),
            v1::NodeRole::Core => Some(NodeRole::Core),
        });
        let ipv6 = message.loopback_ipv6.map(|a| text(&a, "an IPv6 address")).transpose().at("loopbackIpv6")?;
        let ipv4 = message.loopback_ipv4.map(|a| text(&a, "an IPv4 address")).transpose().at("loopbackIpv4")?;
        Ok(Self {
            name: message.name.parse().at("name")?,
            role: role.at("role")?,
            site: (!message.site.is_empty()).then_some(message.site),
            loopback: Loopback { ipv6, ipv4 },
            ports: UniqueList::new(list(message.ports, "ports", Port::try_from)?).at("ports")?,
            locator: message.locator.map(|l| l.parse()).transpose().at("locator")?,
            labels: message.labels.map(LabelBlock::try_from).transpose().within("labels")?,
        })
    }
}

impl From<&Node> for v1::Node {
    fn from(node: &Node) -> Self {
        let role = match node.role {
            NodeRole::Edge => v1::NodeRole::Edge,
            NodeRole::Core => v1::NodeRole::Core,
        };
        Self {
            name: node.name.to_string(),
            role: role.into(),
            site: node.site.clone().unwrap_or_default(),
            loopback_ipv6: node.loopback.ipv6.map(|a| a.to_string()),
            loopback_ipv4: node.loopback.ipv4.map(|a| a.to_string()),
            ports: node.ports.iter().map(Into::into).collect(),
            locator: node.locator.map(|l| l.to_string()),
            labels: node.labels.map(|l| v1::LabelBlock { first: l.first.get(), last: l.last.get() }),
        }
    }
}

impl TryFrom<v1::LabelBlock> for LabelBlock {
    type Error = ConvertError;

    fn try_from(message: v1::LabelBlock) -> Result<Self, ConvertError> {
        Ok(Self { first: Label::try_from(message.first).at("first")?, last: Label::try_from(message.last).at("last")? })
    }
}

impl TryFrom<v1::Port> for Port {
    type Error = ConvertError;

    fn try_from(message: v1::Port) -> Result<Self, ConvertError> {
        Ok(Self {
            name: message.name.parse().at("name")?,
            rate: Rate::from_bits_per_second(message.rate_bits_per_second),
            mtu: narrow16("an MTU", 1280, message.mtu_octets).at("mtuOctets")?,
        })
    }
}

impl From<&Port> for v1::Port {
    fn from(port: &Port) -> Self {
        Self {
            name: port.name.to_string(),
            rate_bits_per_second: port.rate.bits_per_second(),
            mtu_octets: port.mtu.into(),
        }
    }
}

impl TryFrom<v1::Link> for Link {
    type Error = ConvertError;

    fn try_from(message: v1::Link) -> Result<Self, ConvertError> {
        Ok(Self {
            name: message.name.parse().at("name")?,
            a: required(message.a, "an end", "a")?.try_into().within("a")?,
            b: required(message.b, "an end", "b")?.try_into().within("b")?,
            capacity: Rate::from_bits_per_second(message.capacity_bits_per_second),
            delay: Latency::from_nanos(message.delay_nanoseconds),
            cost: message.cost,
        })
    }
}

impl From<&Link> for v1::Link {
    fn from(link: &Link) -> Self {
        Self {
            name: link.name.to_string(),
            a: Some((&link.a).into()),
            b: Some((&link.b).into()),
            capacity_bits_per_second: link.capacity.bits_per_second(),
            delay_nanoseconds: link.delay.as_nanos(),
            cost: link.cost,
        }
    }
}

impl TryFrom<v1::LinkEnd> for LinkEnd {
    type Error = ConvertError;

    fn try_from(message: v1::LinkEnd) -> Result<Self, ConvertError> {
        Ok(Self {
            node: message.node.parse().at("node")?,
            port: message.port.parse().at("port")?,
            addresses: texts(&message.addresses, "addresses")?,
        })
    }
}

impl From<&LinkEnd> for v1::LinkEnd {
    fn from(end: &LinkEnd) -> Self {
        Self {
            node: end.node.to_string(),
            port: end.port.to_string(),
            addresses: end.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

pub(super) fn service(found: i32) -> Result<Service, ConvertProblem> {
    enumeration(found, "Service", |service| match service {
        v1::Service::Unspecified => None,
        v1::Service::L2PointToPoint => Some(Service::L2PointToPoint),
        v1::Service::L2Multipoint => Some(Service::L2Multipoint),
        v1::Service::L3 => Some(Service::L3),
    })
}

pub(super) const fn service_message(service: Service) -> v1::Service {
    match service {
        Service::L2PointToPoint => v1::Service::L2PointToPoint,
        Service::L2Multipoint => v1::Service::L2Multipoint,
        Service::L3 => v1::Service::L3,
    }
}

impl TryFrom<v1::Slice> for Slice {
    type Error = ConvertError;

    fn try_from(message: v1::Slice) -> Result<Self, ConvertError> {
        let transport = enumeration(message.transport, "Transport", |transport| match transport {
            v1::Transport::Unspecified => None,
            v1::Transport::Srv6 => Some(Transport::Srv6),
            v1::Transport::Mpls => Some(Transport::Mpls),
            v1::Transport::Vxlan => Some(Transport::Vxlan),
        });
        let latency = message.latency_max_nanoseconds.map(|max| LatencyObjective { max: Latency::from_nanos(max) });
        let spec = SliceSpec {
            template: message.template.parse().at("template")?,
            snssai: required(message.snssai, "an S-NSSAI", "snssai")?.try_into().within("snssai")?,
            service: service(message.service).at("service")?,
            transport: transport.at("transport")?,
            rate: message.rate.map(RateLimits::try_from).transpose().within("rate")?,
            latency,
            sdps: UniqueList::new(list(message.sdps, "sdps", Sdp::try_from)?).at("sdps")?,
        };
        Ok(Self { name: message.name.parse().at("name")?, spec })
    }
}

impl From<&Slice> for v1::Slice {
    fn from(slice: &Slice) -> Self {
        let spec = &slice.spec;
        let transport = match spec.transport {
            Transport::Srv6 => v1::Transport::Srv6,
            Transport::Mpls => v1::Transport::Mpls,
            Transport::Vxlan => v1::Transport::Vxlan,
        };
        Self {
            name: slice.name.to_string(),
            template: spec.template.to_string(),
            snssai: Some(spec.snssai.into()),
            service: service_message(spec.service).into(),
            transport: transport.into(),
            rate: spec.rate.map(Into::into),
            latency_max_nanoseconds: spec.latency.map(|l| l.max.as_nanos()),
            sdps: spec.sdps.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Snssai> for Snssai {
    type Error = ConvertError;

    fn try_from(message: v1::Snssai) -> Result<Self, ConvertError> {
        let what = "an SD: six hexadecimal digits, `000000` to `FFFFFE`";
        let sd = message.sd.map(|sd| text::<Sd>(&sd, what)).transpose().at("sd")?;
        Ok(Self { sst: Sst::try_from(message.sst).at("sst")?, sd })
    }
}

impl From<Snssai> for v1::Snssai {
    fn from(snssai: Snssai) -> Self {
        Self { sst: snssai.sst.get().into(), sd: snssai.sd.map(|sd| sd.to_string()) }
    }
}

impl TryFrom<v1::RateLimits> for RateLimits {
    type Error = ConvertError;

    fn try_from(message: v1::RateLimits) -> Result<Self, ConvertError> {
        let guaranteed = Rate::from_bits_per_second(message.guaranteed_bits_per_second);
        let ceiling = Rate::from_bits_per_second(message.ceiling_bits_per_second);
        Self::new(guaranteed, ceiling).map_err(|problem| {
            let field = match problem {
                model::InvalidLimits::NoCeiling => "ceilingBitsPerSecond",
                model::InvalidLimits::GuaranteeAboveCeiling { .. } => "guaranteedBitsPerSecond",
            };
            ConvertError { path: field.to_owned(), problem: problem.into() }
        })
    }
}

impl From<RateLimits> for v1::RateLimits {
    fn from(limits: RateLimits) -> Self {
        Self {
            guaranteed_bits_per_second: limits.guaranteed().bits_per_second(),
            ceiling_bits_per_second: limits.ceiling().bits_per_second(),
        }
    }
}

impl TryFrom<v1::Sdp> for Sdp {
    type Error = ConvertError;

    fn try_from(message: v1::Sdp) -> Result<Self, ConvertError> {
        Ok(Self {
            name: message.name.parse().at("name")?,
            edge: message.edge.parse().at("edge")?,
            port: message.port.parse().at("port")?,
            vlan: message.vlan.map(Vlan::try_from).transpose().at("vlan")?,
        })
    }
}

impl From<&Sdp> for v1::Sdp {
    fn from(sdp: &Sdp) -> Self {
        Self {
            name: sdp.name.to_string(),
            edge: sdp.edge.to_string(),
            port: sdp.port.to_string(),
            vlan: sdp.vlan.map(|v| v.get().into()),
        }
    }
}

impl TryFrom<v1::MicroSegment> for MicroSegment {
    type Error = ConvertError;

    fn try_from(message: v1::MicroSegment) -> Result<Self, ConvertError> {
        let spec = SegmentSpec {
            profile: message.profile.parse().at("profile")?,
            at: UniqueList::new(texts(&message.at, "at")?).at("at")?,
            share: message.share_basis_points.map(share).transpose().at("shareBasisPoints")?,
            ceiling: message.ceiling_basis_points.map(share).transpose().at("ceilingBasisPoints")?,
        };
        Ok(Self { id: segment_id(&message.slice, &message.name, "name")?, spec })
    }
}

impl From<&MicroSegment> for v1::MicroSegment {
    fn from(segment: &MicroSegment) -> Self {
        Self {
            slice: segment.id.slice.to_string(),
            name: segment.id.segment.to_string(),
            profile: segment.spec.profile.to_string(),
            at: segment.spec.at.iter().map(ToString::to_string).collect(),
            share_basis_points: segment.spec.share.map(|s| s.basis_points().into()),
            ceiling_basis_points: segment.spec.ceiling.map(|s| s.basis_points().into()),
        }
    }
}

impl TryFrom<v1::Realm> for Realm {
    type Error = ConvertError;

    fn try_from(message: v1::Realm) -> Result<Self, ConvertError> {
        let clients = UniqueList::new(list(message.clients, "clients", Client::try_from)?).at("clients")?;
        Ok(Self { id: segment_id(&message.slice, &message.segment, "segment")?, spec: RealmSpec { clients } })
    }
}

impl From<&Realm> for v1::Realm {
    fn from(realm: &Realm) -> Self {
        Self {
            slice: realm.id.slice.to_string(),
            segment: realm.id.segment.to_string(),
            clients: realm.spec.clients.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::RadiusClient> for Client {
    type Error = ConvertError;

    fn try_from(message: v1::RadiusClient) -> Result<Self, ConvertError> {
        if message.addresses.is_empty() {
            return Err(ConvertProblem::Missing("at least one source prefix")).at("addresses");
        }
        Ok(Self {
            name: message.name.parse().at("name")?,
            addresses: texts(&message.addresses, "addresses")?,
            edge: message.edge.map(|edge| edge.parse()).transpose().at("edge")?,
        })
    }
}

impl From<&Client> for v1::RadiusClient {
    fn from(client: &Client) -> Self {
        Self {
            name: client.name.to_string(),
            addresses: client.addresses.iter().map(ToString::to_string).collect(),
            edge: client.edge.as_ref().map(ToString::to_string),
        }
    }
}

/// A segment's id from the fields `slice` and `field`.
pub(super) fn segment_id(slice: &str, segment: &str, field: &str) -> Result<SegmentId, ConvertError> {
    Ok(SegmentId { slice: slice.parse().at("slice")?, segment: segment.parse().at(field)? })
}

fn share(points: u32) -> Result<Share, ConvertProblem> {
    Share::from_basis_points(points).map_err(|_| {
        let range = model::OutOfRange { what: "a share in basis points", found: points.into(), min: 1, max: 10_000 };
        ConvertProblem::Number(range)
    })
}
