//! Topologies, both ways.

use model::resource::{
    Control, LabelBlock, Link, LinkEnd, Loopback, Node, NodeRole, Pools, Port, ProbeSpec, Probes, RadiusPortPool,
    RouteTargetPool, SidFunctionPool, Srh, Topology, TopologySpec, UnderlayKind, VlanPool, VniPool,
};
use model::{Label, Latency, Rate, UniqueList, Vlan, Vni};

use super::resource::{names, queue_class, share};
use super::{At, ConvertError, ConvertProblem, Within, enumeration, list, narrow8, narrow16, required, text, texts};
use crate::v1;

impl TryFrom<v1::Topology> for Topology {
    type Error = ConvertError;

    fn try_from(message: v1::Topology) -> Result<Self, ConvertError> {
        let pools = required(message.pools, "the pools", "pools")?.try_into().within("pools")?;
        let underlay = enumeration(message.underlay, "UnderlayKind", |kind| {
            Some(match kind {
                v1::UnderlayKind::Unspecified | v1::UnderlayKind::Ip => UnderlayKind::Ip,
                v1::UnderlayKind::Mpls => UnderlayKind::Mpls,
            })
        })
        .at("underlay")?;
        let probes = message.probes.map(ProbeSpec::try_from).transpose().within("probes")?;
        let probes = match (probes, message.probes_off) {
            (Some(_), true) => return Err(ConvertProblem::Contradiction("probes")).at("probesOff"),
            (None, true) => Probes::Off,
            (probes, false) => Probes::Stamp(probes.unwrap_or_default()),
        };
        let nodes = UniqueList::new(list(message.nodes, "nodes", Node::try_from)?).at("nodes")?;
        let links = UniqueList::new(list(message.links, "links", Link::try_from)?).at("links")?;
        Ok(Self {
            name: message.name.parse().at("name")?,
            spec: TopologySpec { pools, underlay, probes, nodes, links },
        })
    }
}

impl From<&Topology> for v1::Topology {
    fn from(topology: &Topology) -> Self {
        let spec = &topology.spec;
        let underlay = match spec.underlay {
            UnderlayKind::Ip => v1::UnderlayKind::Ip,
            UnderlayKind::Mpls => v1::UnderlayKind::Mpls,
        };
        let probes = match spec.probes {
            Probes::Off => None,
            Probes::Stamp(spec) => Some(spec),
        };
        Self {
            name: topology.name.to_string(),
            pools: Some((&spec.pools).into()),
            underlay: underlay.into(),
            probes: probes.map(Into::into),
            probes_off: spec.probes == Probes::Off,
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
        let control = enumeration(message.control, "NodeControl", |control| {
            Some(match control {
                v1::NodeControl::Unspecified => None,
                v1::NodeControl::Agent => Some(Control::Agent),
                v1::NodeControl::Linux => Some(Control::Linux),
                v1::NodeControl::Static => Some(Control::Static),
            })
        });
        let depth = |depth: Option<u32>, default| depth.map_or(Ok(default), |depth| narrow8("a depth", depth));
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
            sid_depth_max: depth(message.sid_depth_max, Node::SID_DEPTH_DEFAULT).at("sidDepthMax")?,
            label_depth_max: depth(message.label_depth_max, Node::LABEL_DEPTH_DEFAULT).at("labelDepthMax")?,
            srh: srh(message.srh).at("srh")?,
            control: control.at("control")?,
        })
    }
}

impl From<&Node> for v1::Node {
    fn from(node: &Node) -> Self {
        let role = match node.role {
            NodeRole::Edge => v1::NodeRole::Edge,
            NodeRole::Core => v1::NodeRole::Core,
        };
        let control = match node.control {
            None => v1::NodeControl::Unspecified,
            Some(Control::Agent) => v1::NodeControl::Agent,
            Some(Control::Linux) => v1::NodeControl::Linux,
            Some(Control::Static) => v1::NodeControl::Static,
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
            sid_depth_max: Some(node.sid_depth_max.into()),
            label_depth_max: Some(node.label_depth_max.into()),
            srh: v1::Srh::from(node.srh).into(),
            control: control.into(),
        }
    }
}

/// How much of its segment list a packet carries.
pub(super) fn srh(found: i32) -> Result<Srh, ConvertProblem> {
    enumeration(found, "Srh", |srh| {
        Some(match srh {
            v1::Srh::Unspecified | v1::Srh::Reduced => Srh::Reduced,
            v1::Srh::Full => Srh::Full,
        })
    })
}

impl From<Srh> for v1::Srh {
    fn from(srh: Srh) -> Self {
        match srh {
            Srh::Reduced => Self::Reduced,
            Srh::Full => Self::Full,
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
        let class = |m: v1::ClassShare| {
            Ok((queue_class(&m.class).at("class")?, share(m.share_basis_points).at("shareBasisPoints")?))
        };
        Ok(Self {
            name: message.name.parse().at("name")?,
            a: required(message.a, "an end", "a")?.try_into().within("a")?,
            b: required(message.b, "an end", "b")?.try_into().within("b")?,
            capacity: Rate::from_bits_per_second(message.capacity_bits_per_second),
            delay: Latency::from_nanos(message.delay_nanoseconds),
            cost: message.cost,
            srlgs: names(&message.srlgs, "srlgs")?,
            affinities: names(&message.affinities, "affinities")?,
            drained: message.drained,
            classes: list(message.classes, "classes", class)?.into_iter().collect(),
        })
    }
}

impl From<&Link> for v1::Link {
    fn from(link: &Link) -> Self {
        let classes = link.classes.iter().map(|(class, share)| v1::ClassShare {
            class: class.to_string(),
            share_basis_points: share.basis_points().into(),
        });
        Self {
            name: link.name.to_string(),
            a: Some((&link.a).into()),
            b: Some((&link.b).into()),
            capacity_bits_per_second: link.capacity.bits_per_second(),
            delay_nanoseconds: link.delay.as_nanos(),
            cost: link.cost,
            srlgs: link.srlgs.iter().map(ToString::to_string).collect(),
            affinities: link.affinities.iter().map(ToString::to_string).collect(),
            drained: link.drained,
            classes: classes.collect(),
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

impl TryFrom<v1::Pools> for Pools {
    type Error = ConvertError;

    fn try_from(message: v1::Pools) -> Result<Self, ConvertError> {
        let sid_functions = message.sid_functions.map(|range| -> Result<_, ConvertError> {
            let number = |found| narrow16("a SID's function", SidFunctionPool::FIRST_MIN, found);
            Ok(SidFunctionPool { first: number(range.first).at("first")?, last: number(range.last).at("last")? })
        });
        let mut route_targets = RouteTargetPool::default();
        if let Some(asn) = message.route_target_asn {
            route_targets.asn = narrow16("an autonomous system", 0, asn).at("routeTargetAsn")?;
        }
        if let Some(range) = message.route_targets {
            let number = |found| narrow16("a number of a route target", 1, found);
            route_targets.first = number(range.first).at("routeTargets.first")?;
            route_targets.last = number(range.last).at("routeTargets.last")?;
        }
        let vlans = message.vlans.map(|range| -> Result<_, ConvertError> {
            let (first, last) = (Vlan::try_from(range.first).at("first")?, Vlan::try_from(range.last).at("last")?);
            Ok(VlanPool { first, last })
        });
        Ok(Self {
            vni: VniPool {
                first: Vni::try_from(message.vni_first).at("vniFirst")?,
                last: Vni::try_from(message.vni_last).at("vniLast")?,
            },
            radius_ports: RadiusPortPool {
                first: narrow16("a UDP port", 1, message.radius_port_first).at("radiusPortFirst")?,
                last: narrow16("a UDP port", 1, message.radius_port_last).at("radiusPortLast")?,
            },
            sid_functions: sid_functions.transpose().within("sidFunctions")?.unwrap_or_default(),
            route_targets,
            vlans: vlans.transpose().within("vlans")?.unwrap_or_default(),
        })
    }
}

impl From<&Pools> for v1::Pools {
    fn from(pools: &Pools) -> Self {
        let range = |first: u16, last: u16| Some(v1::NumberRange { first: first.into(), last: last.into() });
        Self {
            vni_first: pools.vni.first.get(),
            vni_last: pools.vni.last.get(),
            radius_port_first: pools.radius_ports.first.into(),
            radius_port_last: pools.radius_ports.last.into(),
            sid_functions: range(pools.sid_functions.first, pools.sid_functions.last),
            route_targets: range(pools.route_targets.first, pools.route_targets.last),
            route_target_asn: Some(pools.route_targets.asn.into()),
            vlans: range(pools.vlans.first.get(), pools.vlans.last.get()),
        }
    }
}

impl TryFrom<v1::ProbeSpec> for ProbeSpec {
    type Error = ConvertError;

    fn try_from(message: v1::ProbeSpec) -> Result<Self, ConvertError> {
        Ok(Self {
            interval: Latency::from_nanos(message.interval_nanoseconds),
            losses: narrow8("a number of probes", message.losses).at("losses")?,
            answers: narrow8("a number of probes", message.answers).at("answers")?,
        })
    }
}

impl From<ProbeSpec> for v1::ProbeSpec {
    fn from(probes: ProbeSpec) -> Self {
        Self {
            interval_nanoseconds: probes.interval.as_nanos(),
            losses: probes.losses.into(),
            answers: probes.answers.into(),
        }
    }
}
