//! Programs, both ways.

use model::profile::{AaaFeature, AaaFeatures};
use model::program::{
    AccessPort, Circuit, CorePort, Marking, PathProgram, PortShaping, Program, ProgramContent, QueueProgram,
    RealmProgram, Remote, SegmentProgram, ServiceSid, SessionRates, SliceProgram, SliceRoute,
};
use model::resource::{Client, SegmentId};
use model::{Digest, Dscp, Generation, Rate, SliceName, TrafficClass, Vlan, Vni};

use super::queueing::queue;
use super::resource::{service, service_message, weight};
use super::{At, ConvertError, ConvertProblem, Within, list, narrow16, required, text, texts};
use crate::v1;

impl TryFrom<v1::Program> for Program {
    type Error = ConvertError;

    /// The digest must be that of the content, so that a program that was mangled on its way is never run.
    fn try_from(message: v1::Program) -> Result<Self, ConvertError> {
        let digest = digest(&message.digest).at("digest")?;
        let loopback = message.loopback.iter().enumerate();
        let loopback =
            loopback.map(|(i, a)| text(a, "an IP address").at_index("loopback", i)).collect::<Result<_, _>>()?;
        let content = ProgramContent {
            edge: message.edge.parse().at("edge")?,
            loopback,
            core_ports: list(message.core_ports, "corePorts", CorePort::try_from)?,
            access_ports: list(message.access_ports, "accessPorts", AccessPort::try_from)?,
            probes: message.probes.map(TryInto::try_into).transpose().within("probes")?,
            paths: list(message.paths, "paths", PathProgram::try_from)?,
            transit: message.transit.unwrap_or_default().try_into().within("transit")?,
            shaping: list(message.shaping, "shaping", PortShaping::try_from)?,
            queues: list(message.queues, "queues", QueueProgram::try_from)?,
            slices: list(message.slices, "slices", SliceProgram::try_from)?,
        };
        let program = Self { generation: Generation::new(message.generation), content };
        if program.digest() == digest { Ok(program) } else { Err(ConvertProblem::DigestMismatch).at("digest") }
    }
}

impl From<&Program> for v1::Program {
    fn from(program: &Program) -> Self {
        let content = &program.content;
        Self {
            generation: program.generation.get(),
            edge: content.edge.to_string(),
            loopback: content.loopback.iter().map(ToString::to_string).collect(),
            core_ports: content.core_ports.iter().map(Into::into).collect(),
            access_ports: content.access_ports.iter().map(Into::into).collect(),
            probes: content.probes.map(Into::into),
            paths: content.paths.iter().map(Into::into).collect(),
            transit: Some((&content.transit).into()),
            shaping: content.shaping.iter().map(Into::into).collect(),
            queues: content.queues.iter().copied().map(Into::into).collect(),
            slices: content.slices.iter().map(Into::into).collect(),
            digest: program.digest().as_bytes().to_vec(),
        }
    }
}

pub(super) fn digest(octets: &[u8]) -> Result<Digest, ConvertProblem> {
    <[u8; 32]>::try_from(octets).map(Digest::from_bytes).map_err(|_| ConvertProblem::Digest(octets.len()))
}

impl TryFrom<v1::CorePort> for CorePort {
    type Error = ConvertError;

    fn try_from(message: v1::CorePort) -> Result<Self, ConvertError> {
        Ok(Self {
            port: message.port.parse().at("port")?,
            addresses: texts(&message.addresses, "addresses")?,
            mtu: narrow16("an MTU", 1280, message.mtu_octets).at("mtuOctets")?,
        })
    }
}

impl From<&CorePort> for v1::CorePort {
    fn from(port: &CorePort) -> Self {
        Self {
            port: port.port.to_string(),
            addresses: port.addresses.iter().map(ToString::to_string).collect(),
            mtu_octets: port.mtu.into(),
        }
    }
}

impl TryFrom<v1::AccessPort> for AccessPort {
    type Error = ConvertError;

    fn try_from(message: v1::AccessPort) -> Result<Self, ConvertError> {
        Ok(Self {
            port: message.port.parse().at("port")?,
            rate: Rate::from_bits_per_second(message.rate_bits_per_second),
        })
    }
}

impl From<&AccessPort> for v1::AccessPort {
    fn from(port: &AccessPort) -> Self {
        Self { port: port.port.to_string(), rate_bits_per_second: port.rate.bits_per_second() }
    }
}

impl TryFrom<v1::SliceProgram> for SliceProgram {
    type Error = ConvertError;

    fn try_from(message: v1::SliceProgram) -> Result<Self, ConvertError> {
        let slice: SliceName = message.slice.parse().at("slice")?;
        let segments = list(message.segments, "segments", |m| segment(&slice, m))?;
        Ok(Self {
            snssai: required(message.snssai, "an S-NSSAI", "snssai")?.try_into().within("snssai")?,
            service: service(message.service).at("service")?,
            limits: required(message.limits, "the limits", "limits")?.try_into().within("limits")?,
            packet_octets_max: narrow16("a packet length", 1, message.packet_octets_max).at("packetOctetsMax")?,
            dscp: Dscp::try_from(message.dscp).at("dscp")?,
            traffic_class: TrafficClass::try_from(message.traffic_class).at("trafficClass")?,
            queue: queue(&message.queue).at("queue")?,
            markings: list(message.markings, "markings", Marking::try_from)?,
            weight: weight(message.weight).at("weight")?,
            session_rates: message.session_rates.map(Into::into).unwrap_or_default(),
            circuits: list(message.circuits, "circuits", Circuit::try_from)?,
            routes: list(message.routes, "routes", SliceRoute::try_from)?,
            segments,
            slice,
        })
    }
}

impl From<&SliceProgram> for v1::SliceProgram {
    fn from(slice: &SliceProgram) -> Self {
        Self {
            slice: slice.slice.to_string(),
            snssai: Some(slice.snssai.into()),
            service: service_message(slice.service).into(),
            limits: Some(slice.limits.into()),
            packet_octets_max: slice.packet_octets_max.into(),
            dscp: slice.dscp.get().into(),
            traffic_class: slice.traffic_class.get().into(),
            queue: slice.queue.to_string(),
            markings: slice.markings.iter().copied().map(Into::into).collect(),
            weight: Some(slice.weight.get().into()),
            session_rates: Some(slice.session_rates).filter(|rates| *rates != SessionRates::default()).map(Into::into),
            circuits: slice.circuits.iter().map(Into::into).collect(),
            routes: slice.routes.iter().map(Into::into).collect(),
            segments: slice.segments.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Circuit> for Circuit {
    type Error = ConvertError;

    fn try_from(message: v1::Circuit) -> Result<Self, ConvertError> {
        Ok(Self {
            sdp: message.sdp.parse().at("sdp")?,
            port: message.port.parse().at("port")?,
            vlan: message.vlan.map(Vlan::try_from).transpose().at("vlan")?,
            leaf: message.leaf,
            gateways: texts(&message.gateways, "gateways")?,
        })
    }
}

impl From<&Circuit> for v1::Circuit {
    fn from(circuit: &Circuit) -> Self {
        Self {
            sdp: circuit.sdp.to_string(),
            port: circuit.port.to_string(),
            vlan: circuit.vlan.map(|v| v.get().into()),
            leaf: circuit.leaf,
            gateways: circuit.gateways.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::SliceRoute> for SliceRoute {
    type Error = ConvertError;

    fn try_from(message: v1::SliceRoute) -> Result<Self, ConvertError> {
        Ok(Self { prefix: message.prefix.parse().at("prefix")?, edge: message.edge.parse().at("edge")? })
    }
}

impl From<&SliceRoute> for v1::SliceRoute {
    fn from(route: &SliceRoute) -> Self {
        Self { prefix: route.prefix.to_string(), edge: route.edge.to_string() }
    }
}

fn segment(slice: &SliceName, message: v1::SegmentProgram) -> Result<SegmentProgram, ConvertError> {
    let id = SegmentId { slice: slice.clone(), segment: message.segment.parse().at("segment")? };
    Ok(SegmentProgram {
        id,
        vni: Vni::try_from(message.vni).at("vni")?,
        limits: required(message.limits, "the limits", "limits")?.try_into().within("limits")?,
        weight: weight(message.weight).at("weight")?,
        sessions_max: message.sessions_max,
        sids: list(message.sids, "sids", ServiceSid::try_from)?,
        remotes: list(message.remotes, "remotes", Remote::try_from)?,
        realm: message.realm.map(RealmProgram::try_from).transpose().within("realm")?,
    })
}

impl From<&SegmentProgram> for v1::SegmentProgram {
    fn from(segment: &SegmentProgram) -> Self {
        Self {
            segment: segment.id.segment.to_string(),
            vni: segment.vni.get(),
            limits: Some(segment.limits.into()),
            weight: Some(segment.weight.get().into()),
            sessions_max: segment.sessions_max,
            sids: segment.sids.iter().map(Into::into).collect(),
            remotes: segment.remotes.iter().map(Into::into).collect(),
            realm: segment.realm.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::RealmProgram> for RealmProgram {
    type Error = ConvertError;

    fn try_from(message: v1::RealmProgram) -> Result<Self, ConvertError> {
        let include = message.features.iter().enumerate().map(|(i, f)| feature(f).at_index("features", i));
        Ok(Self {
            access_port: narrow16("a UDP port", 1, message.access_port).at("accessPort")?,
            features: AaaFeatures {
                include: include.collect::<Result<_, _>>()?,
                session_seconds: message.session_seconds,
                interim_seconds: message.interim_seconds,
                requests_per_second_max: message.requests_per_second_max,
            },
            clients: list(message.clients, "clients", Client::try_from)?,
        })
    }
}

impl From<&RealmProgram> for v1::RealmProgram {
    fn from(realm: &RealmProgram) -> Self {
        let features = &realm.features;
        Self {
            access_port: realm.access_port.into(),
            features: features.include.iter().map(ToString::to_string).collect(),
            session_seconds: features.session_seconds,
            interim_seconds: features.interim_seconds,
            requests_per_second_max: features.requests_per_second_max,
            clients: realm.clients.iter().map(Into::into).collect(),
        }
    }
}

fn feature(found: &str) -> Result<AaaFeature, ConvertProblem> {
    AaaFeature::ALL.into_iter().find(|f| f.as_str() == found).ok_or_else(|| ConvertProblem::Text {
        what: "an AAA feature of this build",
        found: found.chars().take(64).collect(),
    })
}
