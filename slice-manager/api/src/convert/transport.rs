//! What crosses the underlay: paths, tunnels, and what a node does for the packets of others; both ways.

use model::program::{
    Adjacency, Flavours, Inbound, PathProgram, ProbeProgram, Remote, ServiceBehaviour, ServiceSid, Steering,
    TransitBehaviour, TransitLabel, TransitProgram, TransitQueue, TransitSid, Tunnel, UnderlayRoute,
};
use model::{Label, PathId, Vni};

use super::topology::srh;
use super::{At, ConvertError, ConvertProblem, Within, enumeration, list, narrow8, narrow16, required, text, texts};
use crate::v1;

impl TryFrom<v1::ProbeProgram> for ProbeProgram {
    type Error = ConvertError;

    fn try_from(message: v1::ProbeProgram) -> Result<Self, ConvertError> {
        Ok(Self {
            interval_nanos: message.interval_nanoseconds,
            losses_max: narrow8("a number of probes", message.losses_max).at("lossesMax")?,
            answers_min: narrow8("a number of probes", message.answers_min).at("answersMin")?,
        })
    }
}

impl From<ProbeProgram> for v1::ProbeProgram {
    fn from(probes: ProbeProgram) -> Self {
        Self {
            interval_nanoseconds: probes.interval_nanos,
            losses_max: probes.losses_max.into(),
            answers_min: probes.answers_min.into(),
        }
    }
}

impl TryFrom<v1::PathProgram> for PathProgram {
    type Error = ConvertError;

    fn try_from(message: v1::PathProgram) -> Result<Self, ConvertError> {
        let steering = required(message.steering, "ip, srv6 or mpls", "steering")?;
        Ok(Self {
            id: PathId::try_from(message.id).at("id")?,
            to: message.to.parse().at("to")?,
            local: text(&message.local, "an IP address").at("local")?,
            remote: text(&message.remote, "an IP address").at("remote")?,
            port: message.port.parse().at("port")?,
            next_hop: text(&message.next_hop, "an IP address").at("nextHop")?,
            mtu: narrow16("an MTU", 1280, message.mtu_octets).at("mtuOctets")?,
            steering: steering.try_into()?,
            srh: srh(message.srh).at("srh")?,
        })
    }
}

impl From<&PathProgram> for v1::PathProgram {
    fn from(path: &PathProgram) -> Self {
        Self {
            id: path.id.get().into(),
            to: path.to.to_string(),
            local: path.local.to_string(),
            remote: path.remote.to_string(),
            port: path.port.to_string(),
            next_hop: path.next_hop.to_string(),
            mtu_octets: path.mtu.into(),
            steering: Some((&path.steering).into()),
            srh: v1::Srh::from(path.srh).into(),
        }
    }
}

impl TryFrom<v1::path_program::Steering> for Steering {
    type Error = ConvertError;

    fn try_from(message: v1::path_program::Steering) -> Result<Self, ConvertError> {
        use v1::path_program::Steering as Message;
        Ok(match message {
            Message::Ip(v1::IpSteering {}) => Self::Ip,
            Message::Srv6(v1::Srv6Steering { sids }) => Self::Srv6(texts(&sids, "sids").within("srv6")?),
            Message::Mpls(v1::MplsSteering { labels }) => {
                let labels = labels.into_iter().enumerate();
                let label = |(i, label)| Label::try_from(label).at_index("labels", i).within("mpls");
                Self::Mpls(labels.map(label).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<&Steering> for v1::path_program::Steering {
    fn from(steering: &Steering) -> Self {
        match steering {
            Steering::Ip => Self::Ip(v1::IpSteering {}),
            Steering::Srv6(sids) => {
                Self::Srv6(v1::Srv6Steering { sids: sids.iter().map(ToString::to_string).collect() })
            }
            Steering::Mpls(labels) => Self::Mpls(v1::MplsSteering { labels: labels.iter().map(|l| l.get()).collect() }),
        }
    }
}

impl TryFrom<v1::TransitProgram> for TransitProgram {
    type Error = ConvertError;

    fn try_from(message: v1::TransitProgram) -> Result<Self, ConvertError> {
        Ok(Self {
            sids: list(message.sids, "sids", TransitSid::try_from)?,
            labels: list(message.labels, "labels", TransitLabel::try_from)?,
            routes: list(message.routes, "routes", UnderlayRoute::try_from)?,
            queues: list(message.queues, "queues", TransitQueue::try_from)?,
        })
    }
}

impl From<&TransitProgram> for v1::TransitProgram {
    fn from(transit: &TransitProgram) -> Self {
        Self {
            sids: transit.sids.iter().map(Into::into).collect(),
            labels: transit.labels.iter().map(Into::into).collect(),
            routes: transit.routes.iter().map(Into::into).collect(),
            queues: transit.queues.iter().copied().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::TransitSid> for TransitSid {
    type Error = ConvertError;

    fn try_from(message: v1::TransitSid) -> Result<Self, ConvertError> {
        let end_x = message.end_x.map(Adjacency::try_from).transpose().within("endX")?;
        Ok(Self {
            sid: message.sid.parse().at("sid")?,
            behaviour: end_x.map_or(TransitBehaviour::End, TransitBehaviour::EndX),
            flavours: Flavours { psp: message.psp, usp: message.usp, usd: message.usd },
        })
    }
}

impl From<&TransitSid> for v1::TransitSid {
    fn from(sid: &TransitSid) -> Self {
        let end_x = match &sid.behaviour {
            TransitBehaviour::End => None,
            TransitBehaviour::EndX(to) => Some(to.into()),
        };
        let Flavours { psp, usp, usd } = sid.flavours;
        Self { sid: sid.sid.to_string(), end_x, psp, usp, usd }
    }
}

impl TryFrom<v1::TransitLabel> for TransitLabel {
    type Error = ConvertError;

    fn try_from(message: v1::TransitLabel) -> Result<Self, ConvertError> {
        Ok(Self {
            label: Label::try_from(message.label).at("label")?,
            swap: message.swap.map(Label::try_from).transpose().at("swap")?,
            out: required(message.out, "a neighbour", "out")?.try_into().within("out")?,
        })
    }
}

impl From<&TransitLabel> for v1::TransitLabel {
    fn from(label: &TransitLabel) -> Self {
        Self { label: label.label.get(), swap: label.swap.map(Label::get), out: Some((&label.out).into()) }
    }
}

impl TryFrom<v1::Adjacency> for Adjacency {
    type Error = ConvertError;

    fn try_from(message: v1::Adjacency) -> Result<Self, ConvertError> {
        let next_hop = text(&message.next_hop, "an IP address").at("nextHop")?;
        Ok(Self { port: message.port.parse().at("port")?, next_hop })
    }
}

impl From<&Adjacency> for v1::Adjacency {
    fn from(adjacency: &Adjacency) -> Self {
        Self { port: adjacency.port.to_string(), next_hop: adjacency.next_hop.to_string() }
    }
}

impl TryFrom<v1::UnderlayRoute> for UnderlayRoute {
    type Error = ConvertError;

    fn try_from(message: v1::UnderlayRoute) -> Result<Self, ConvertError> {
        Ok(Self {
            prefix: message.prefix.parse().at("prefix")?,
            via: required(message.via, "a neighbour", "via")?.try_into().within("via")?,
        })
    }
}

impl From<&UnderlayRoute> for v1::UnderlayRoute {
    fn from(route: &UnderlayRoute) -> Self {
        Self { prefix: route.prefix.to_string(), via: Some((&route.via).into()) }
    }
}

impl TryFrom<v1::ServiceSid> for ServiceSid {
    type Error = ConvertError;

    fn try_from(message: v1::ServiceSid) -> Result<Self, ConvertError> {
        use v1::ServiceBehaviour as Message;
        let behaviour = enumeration(message.behaviour, "ServiceBehaviour", Some).at("behaviour")?;
        let address = message.address.as_deref();
        let endpoint = || required(address, "the endpoint's address", "address");
        let behaviour = match behaviour {
            Message::Unspecified => {
                let problem = ConvertProblem::Enumeration { what: "ServiceBehaviour", found: message.behaviour };
                return Err(problem).at("behaviour");
            }
            Message::EndDx2 => ServiceBehaviour::Dx2,
            Message::EndDt2u => ServiceBehaviour::Dt2u,
            Message::EndDt2m => ServiceBehaviour::Dt2m,
            Message::EndDx4 => ServiceBehaviour::Dx4(text(endpoint()?, "an IPv4 address").at("address")?),
            Message::EndDx6 => ServiceBehaviour::Dx6(text(endpoint()?, "an IPv6 address").at("address")?),
            Message::EndDt4 => ServiceBehaviour::Dt4,
            Message::EndDt6 => ServiceBehaviour::Dt6,
            Message::EndDt46 => ServiceBehaviour::Dt46,
        };
        Ok(Self { sid: message.sid.parse().at("sid")?, behaviour })
    }
}

impl From<&ServiceSid> for v1::ServiceSid {
    fn from(sid: &ServiceSid) -> Self {
        use v1::ServiceBehaviour as Message;
        let (behaviour, address) = match sid.behaviour {
            ServiceBehaviour::Dx2 => (Message::EndDx2, None),
            ServiceBehaviour::Dt2u => (Message::EndDt2u, None),
            ServiceBehaviour::Dt2m => (Message::EndDt2m, None),
            ServiceBehaviour::Dx4(address) => (Message::EndDx4, Some(address.to_string())),
            ServiceBehaviour::Dx6(address) => (Message::EndDx6, Some(address.to_string())),
            ServiceBehaviour::Dt4 => (Message::EndDt4, None),
            ServiceBehaviour::Dt6 => (Message::EndDt6, None),
            ServiceBehaviour::Dt46 => (Message::EndDt46, None),
        };
        Self { sid: sid.sid.to_string(), behaviour: behaviour.into(), address }
    }
}

impl TryFrom<v1::Remote> for Remote {
    type Error = ConvertError;

    fn try_from(message: v1::Remote) -> Result<Self, ConvertError> {
        Ok(Self {
            edge: message.edge.parse().at("edge")?,
            working: PathId::try_from(message.working).at("working")?,
            backup: message.backup.map(PathId::try_from).transpose().at("backup")?,
            group: message.group,
            tunnel: required(message.tunnel, "vxlan, srv6 or mpls", "tunnel")?.try_into()?,
            inbound: list(message.inbound, "inbound", Inbound::try_from)?,
        })
    }
}

impl From<&Remote> for v1::Remote {
    fn from(remote: &Remote) -> Self {
        Self {
            edge: remote.edge.to_string(),
            working: remote.working.get().into(),
            backup: remote.backup.map(|id| id.get().into()),
            group: remote.group,
            tunnel: Some(remote.tunnel.into()),
            inbound: remote.inbound.iter().copied().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Inbound> for Inbound {
    type Error = ConvertError;

    fn try_from(message: v1::Inbound) -> Result<Self, ConvertError> {
        use v1::inbound::Kind;
        match required(message.kind, "vxlan or mpls", "kind")? {
            Kind::Vxlan(_) => Ok(Self::Vxlan),
            Kind::Mpls(m) => {
                let from = Label::try_from(m.from).at("from").within("mpls")?;
                Ok(Self::Mpls { from, control_word: m.control_word, flow_label: m.flow_label })
            }
        }
    }
}

impl From<Inbound> for v1::Inbound {
    fn from(inbound: Inbound) -> Self {
        use v1::inbound::Kind;
        let kind = match inbound {
            Inbound::Vxlan => Kind::Vxlan(v1::InboundVxlan {}),
            Inbound::Mpls { from, control_word, flow_label } => {
                Kind::Mpls(v1::InboundMpls { from: from.get(), control_word, flow_label })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::remote::Tunnel> for Tunnel {
    type Error = ConvertError;

    fn try_from(message: v1::remote::Tunnel) -> Result<Self, ConvertError> {
        use v1::remote::Tunnel as Message;
        match message {
            Message::Vxlan(m) => Vni::try_from(m.vni).at("vni").within("vxlan").map(Self::Vxlan),
            Message::Srv6(m) => {
                let sid = |sid: &str, field| sid.parse().at(field).within("srv6");
                Ok(Self::Srv6 { unicast: sid(&m.unicast, "unicast")?, flood: sid(&m.flood, "flood")? })
            }
            Message::Mpls(m) => {
                let label = |label, field| Label::try_from(label).at(field).within("mpls");
                let (control_word, flow_label) = (m.control_word, m.flow_label);
                Ok(Self::Mpls { to: label(m.to, "to")?, from: label(m.from, "from")?, control_word, flow_label })
            }
        }
    }
}

impl From<Tunnel> for v1::remote::Tunnel {
    fn from(tunnel: Tunnel) -> Self {
        match tunnel {
            Tunnel::Vxlan(vni) => Self::Vxlan(v1::VxlanTunnel { vni: vni.get() }),
            Tunnel::Srv6 { unicast, flood } => {
                Self::Srv6(v1::Srv6Tunnel { unicast: unicast.to_string(), flood: flood.to_string() })
            }
            Tunnel::Mpls { to, from, control_word, flow_label } => {
                Self::Mpls(v1::MplsTunnel { to: to.get(), from: from.get(), control_word, flow_label })
            }
        }
    }
}
