//! Resources, both ways.

use model::profile::QueueClass;
use model::program::SessionRates;
use model::resource::{
    BackupMode, Client, LatencyObjective, MicroSegment, PathPolicy, Realm, RealmSpec, Resource, Sdp, SdpVlan,
    SegmentId, SegmentSpec, Service, Slice, SliceSpec, Transport,
};
use model::{Latency, Named, Rate, RateLimits, Sd, Share, Snssai, Sst, UniqueList, Vlan, Weight};

use super::{At, ConvertError, ConvertProblem, Within, enumeration, list, required, text, texts};
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
            weight: weight(message.weight).at("weight")?,
            session_rates: message.session_rates.map(Into::into).unwrap_or_default(),
            latency,
            paths: message.paths.map(PathPolicy::try_from).transpose().within("paths")?.unwrap_or_default(),
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
            weight: Some(spec.weight).filter(|weight| *weight != Weight::default()).map(|weight| weight.get().into()),
            session_rates: Some(spec.session_rates).filter(|rates| *rates != SessionRates::default()).map(Into::into),
            latency_max_nanoseconds: spec.latency.map(|l| l.max.as_nanos()),
            paths: Some(&spec.paths).filter(|paths| **paths != PathPolicy::default()).map(Into::into),
            sdps: spec.sdps.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::PathPolicy> for PathPolicy {
    type Error = ConvertError;

    fn try_from(message: v1::PathPolicy) -> Result<Self, ConvertError> {
        let backup = enumeration(message.backup, "BackupMode", |mode| {
            Some(match mode {
                v1::BackupMode::Unspecified => None,
                v1::BackupMode::None => Some(BackupMode::None),
                v1::BackupMode::Link => Some(BackupMode::Link),
                v1::BackupMode::Srlg => Some(BackupMode::Srlg),
                v1::BackupMode::Node => Some(BackupMode::Node),
            })
        });
        Ok(Self {
            exclude_nodes: names(&message.exclude_nodes, "excludeNodes")?,
            exclude_links: names(&message.exclude_links, "excludeLinks")?,
            include_affinities: names(&message.include_affinities, "includeAffinities")?,
            exclude_affinities: names(&message.exclude_affinities, "excludeAffinities")?,
            backup: backup.at("backup")?,
        })
    }
}

impl From<&PathPolicy> for v1::PathPolicy {
    fn from(policy: &PathPolicy) -> Self {
        let backup = match policy.backup {
            None => v1::BackupMode::Unspecified,
            Some(BackupMode::None) => v1::BackupMode::None,
            Some(BackupMode::Link) => v1::BackupMode::Link,
            Some(BackupMode::Srlg) => v1::BackupMode::Srlg,
            Some(BackupMode::Node) => v1::BackupMode::Node,
        };
        Self {
            exclude_nodes: policy.exclude_nodes.iter().map(ToString::to_string).collect(),
            exclude_links: policy.exclude_links.iter().map(ToString::to_string).collect(),
            include_affinities: policy.include_affinities.iter().map(ToString::to_string).collect(),
            exclude_affinities: policy.exclude_affinities.iter().map(ToString::to_string).collect(),
            backup: backup.into(),
        }
    }
}

/// A list of names, each once.
pub(super) fn names<T>(found: &[String], field: &str) -> Result<UniqueList<T>, ConvertError>
where
    T: std::str::FromStr<Err = model::InvalidName> + Named,
{
    UniqueList::new(texts(found, field)?).at(field)
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
        let vlan = message.vlan.map(Vlan::try_from).transpose().at("vlan")?;
        if vlan.is_some() && message.vlan_auto {
            return Err(ConvertProblem::Contradiction("vlan")).at("vlanAuto");
        }
        Ok(Self {
            name: message.name.parse().at("name")?,
            edge: message.edge.parse().at("edge")?,
            port: message.port.parse().at("port")?,
            vlan: if message.vlan_auto { Some(SdpVlan::Auto) } else { vlan.map(SdpVlan::Id) },
            leaf: message.leaf,
            addresses: texts(&message.addresses, "addresses")?,
        })
    }
}

impl From<&Sdp> for v1::Sdp {
    fn from(sdp: &Sdp) -> Self {
        Self {
            name: sdp.name.to_string(),
            edge: sdp.edge.to_string(),
            port: sdp.port.to_string(),
            vlan: sdp.vlan.and_then(|vlan| match vlan {
                SdpVlan::Auto => None,
                SdpVlan::Id(vlan) => Some(vlan.get().into()),
            }),
            vlan_auto: sdp.vlan == Some(SdpVlan::Auto),
            leaf: sdp.leaf,
            addresses: sdp.addresses.iter().map(ToString::to_string).collect(),
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

/// A queue class, as class maps write it.
pub(super) fn queue_class(found: &str) -> Result<QueueClass, ConvertProblem> {
    QueueClass::ALL.into_iter().find(|class| class.as_str() == found).ok_or_else(|| ConvertProblem::Text {
        what: "a queue class such as `low-latency`",
        found: found.chars().take(64).collect(),
    })
}

/// A weight, as it is meant where none is said.
pub(super) fn weight(found: Option<u32>) -> Result<Weight, ConvertProblem> {
    Ok(found.map(Weight::try_from).transpose()?.unwrap_or_default())
}

pub(super) fn share(points: u32) -> Result<Share, ConvertProblem> {
    Share::from_basis_points(points).map_err(|_| {
        let range = model::OutOfRange { what: "a share in basis points", found: points.into(), min: 1, max: 10_000 };
        ConvertProblem::Number(range)
    })
}
