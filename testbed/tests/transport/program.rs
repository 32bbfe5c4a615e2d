//! The programs of the nodes: what a manager would have sent for each service, transport and way.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::profile::{AaaFeature, AaaFeatures, QueueClass};
use model::program::{
    Adjacency, Circuit, CorePort, Flavours, PathProgram, ProbeProgram, Program, ProgramContent, RealmProgram, Remote,
    SegmentProgram, ServiceBehaviour, ServiceSid, SessionRates, SliceProgram, SliceRoute, Steering, TransitBehaviour,
    TransitLabel, TransitProgram, TransitSid, Tunnel, UnderlayRoute,
};
use model::resource::{Client, SegmentId, Service as ModelService, Srh};
use model::{
    Dscp, Generation, InterfaceAddress, Label, Mac, PathId, Rate, RateLimits, Sid, Snssai, Sst, TrafficClass, Vni,
    Weight,
};

use crate::world::CORE_MTU;

/// What the SDPs of a slice are to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    PointToPoint,
    Multipoint,
    L3,
}

/// How a slice's packets cross the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Srv6,
    Mpls,
    /// Labels in UDP, where the core knows no labels (RFC 7510).
    MplsUdp,
    Vxlan,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over both core nodes, one after the other.
    Both,
    /// The same, led by the routes of the core alone.
    Routes,
    /// Over core-1, and over core-2 when that fails.
    Either,
}

/// What is below the labels of a service, which is not to be seen from the packet (RFC 4928, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// IP packets; or nothing is labelled.
    Packets,
    /// Frames.
    Frames,
    /// Frames behind a control word.
    WordAndFrames,
}

/// One of the two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    A,
    C,
}

/// A slice over the core, as one edge or both run it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) service: Service,
    pub(crate) transport: Transport,
    pub(crate) way: Way,
    /// How much of their segment list packets of an edge of ours carry.
    pub(crate) srh: Srh,
    /// Is the sender's group sent along?
    pub(crate) group: bool,
    /// Does a control word stand between labels and frame?
    pub(crate) control_word: bool,
    /// Has a frame a flow label?
    pub(crate) flow_label: bool,
    pub(crate) probes: Option<ProbeProgram>,
    pub(crate) mtu: u16,
    /// Where edge-c is reached, if not at its loopback.
    pub(crate) far: Option<Ipv6Addr>,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::PointToPoint, Self::Multipoint, Self::L3];
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PointToPoint => "l2-point-to-point",
            Self::Multipoint => "l2-multipoint",
            Self::L3 => "l3",
        })
    }
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Srv6, Self::Mpls, Self::Vxlan];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Srv6 => "srv6",
            Self::Mpls => "mpls",
            Self::MplsUdp => "mpls in udp",
            Self::Vxlan => "vxlan",
        })
    }
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::C];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::C,
            Self::C => Self::A,
        }
    }

    pub(crate) const fn edge(self) -> &'static str {
        match self {
            Self::A => "edge-a",
            Self::C => "edge-c",
        }
    }

    pub(crate) const fn device(self) -> &'static str {
        match self {
            Self::A => "dev-a",
            Self::C => "dev-c",
        }
    }

    /// In addresses.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::C => 'c',
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::C => 3,
        }
    }

    pub(crate) const fn mac(self) -> Mac {
        Mac([2, 0, 0, 0, 0x77, self.number()])
    }

    pub(crate) fn mac_text(self) -> String {
        format!("02:00:00:00:77:0{}", self.number())
    }

    pub(crate) fn loopback(self) -> Ipv6Addr {
        format!("fd00:0:{}::1", self.letter()).parse().unwrap()
    }

    /// A SID in the edge's locator.
    pub(crate) fn sid(self, function: &str) -> Sid {
        format!("fc00:{}:0:{function}::", self.letter()).parse().unwrap()
    }

    /// The label that the edge has given out to the other.
    pub(crate) fn label(self) -> Label {
        label(300_000 + u64::from(self.number()))
    }

    /// Of the device behind the edge.
    pub(crate) fn device_addresses(self, service: Service) -> (Ipv4Addr, Ipv6Addr) {
        let n = self.number();
        if service == Service::L3 {
            (Ipv4Addr::new(10, 70 + n, 0, 11), format!("fd0{n}::11").parse().unwrap())
        } else {
            (Ipv4Addr::new(10, 77, 0, 10 + n), format!("fd77::1{n}").parse().unwrap())
        }
    }

    /// Of the edge towards the device, in a layer-3 slice.
    pub(crate) fn gateways(self) -> (Ipv4Addr, Ipv6Addr) {
        let n = self.number();
        (Ipv4Addr::new(10, 70 + n, 0, 1), format!("fd0{n}::1").parse().unwrap())
    }

    /// The edge's address on its link to a core node, and the core node's.
    pub(crate) fn link(self, core: u8) -> (Ipv6Addr, Ipv6Addr) {
        let letter = self.letter();
        (format!("fd00:{core}:{letter}::2").parse().unwrap(), format!("fd00:{core}:{letter}::1").parse().unwrap())
    }
}

/// The label at a core node that leads to an edge: swapped where the other core node comes next, else popped.
pub(crate) fn core_label(core: u8, to: Side) -> Label {
    label(100_000 * u64::from(core) + u64::from(to.number()))
}

/// A SID of a core node.
pub(crate) fn core_sid(core: u8, function: &str) -> Sid {
    format!("fc00:{core}:0:{function}::").parse().unwrap()
}

impl Plan {
    /// Between two edges of ours.
    pub(crate) const fn ours(service: Service, transport: Transport, way: Way) -> Self {
        let probes = Some(ProbeProgram { interval_nanos: 100_000_000, losses_max: 3, answers_min: 10 });
        Self {
            service,
            transport,
            way,
            srh: Srh::Reduced,
            group: true,
            control_word: true,
            flow_label: true,
            probes,
            mtu: CORE_MTU,
            far: None,
        }
    }

    /// Between an edge of ours and something else, which answers no probes.
    pub(crate) const fn foreign(service: Service, transport: Transport, way: Way) -> Self {
        let ours = Self::ours(service, transport, way);
        Self { group: false, control_word: false, flow_label: false, probes: None, ..ours }
    }

    /// What its labels lead to.
    pub(crate) fn below_label(&self) -> Below {
        let is_labelled = matches!(self.transport, Transport::Mpls | Transport::MplsUdp);
        match self.service {
            Service::PointToPoint | Service::Multipoint if is_labelled && self.control_word => Below::WordAndFrames,
            Service::PointToPoint | Service::Multipoint if is_labelled => Below::Frames,
            _ => Below::Packets,
        }
    }

    /// The program of an edge.
    pub(crate) fn edge(&self, side: Side) -> Program {
        let ports = [1, 2].map(|core| CorePort {
            port: format!("core{}", core - 1).parse().unwrap(),
            addresses: vec![InterfaceAddress::new(side.link(core).0.into(), 64).unwrap()],
            mtu: self.mtu,
        });
        let content = ProgramContent {
            loopback: vec![side.loopback().into()],
            core_ports: ports.into(),
            probes: self.probes,
            paths: self.paths(side),
            slices: vec![self.slice(side)],
            ..ProgramContent::empty(side.edge().parse().unwrap())
        };
        Program { generation: Generation::new(1), content }
    }

    fn paths(&self, side: Side) -> Vec<PathProgram> {
        let path = |id: u64, core: u8, steering: Steering| PathProgram {
            id: PathId::new(id).unwrap(),
            to: side.other().edge().parse().unwrap(),
            local: side.loopback().into(),
            remote: self.far.unwrap_or(side.other().loopback()).into(),
            port: format!("core{}", core - 1).parse().unwrap(),
            next_hop: side.link(core).1.into(),
            mtu: self.mtu,
            steering,
            srh: self.srh,
        };
        // From edge-a core-1 comes first, from edge-c core-2.
        let first: u8 = if side == Side::A { 1 } else { 2 };
        match self.way {
            Way::Both => vec![path(1, first, self.steering(side, &[first, 3 - first]))],
            Way::Routes => vec![path(1, first, self.steering(side, &[]))],
            Way::Either => (1..=2).map(|core| path(core.into(), core, self.steering(side, &[core]))).collect(),
        }
    }

    fn steering(&self, side: Side, cores: &[u8]) -> Steering {
        let to = side.other();
        match (self.transport, cores) {
            (Transport::Vxlan | Transport::MplsUdp, _) => Steering::Ip,
            (Transport::Srv6, [first, last]) if side == Side::A => {
                Steering::Srv6(vec![core_sid(*first, "c"), core_sid(*last, "2")])
            }
            (Transport::Srv6, [first, last]) => Steering::Srv6(vec![core_sid(*first, "1"), core_sid(*last, "a")]),
            (Transport::Srv6, cores) => Steering::Srv6(cores.iter().map(|core| core_sid(*core, "1")).collect()),
            // One label leads over both: the first swaps it.
            (Transport::Mpls, cores) => {
                Steering::Mpls(cores.iter().take(1).map(|core| core_label(*core, to)).collect())
            }
        }
    }

    fn slice(&self, side: Side) -> SliceProgram {
        let rate = Rate::from_bits_per_second;
        let limits = RateLimits::new(rate(1_000_000_000), rate(10_000_000_000)).unwrap();
        let is_l3 = self.service == Service::L3;
        let (v4, v6) = side.gateways();
        let gateways = [InterfaceAddress::new(v4.into(), 24).unwrap(), InterfaceAddress::new(v6.into(), 64).unwrap()];
        let (far_v4, far_v6) = side.other().gateways();
        let subnets = [InterfaceAddress::new(far_v4.into(), 24), InterfaceAddress::new(far_v6.into(), 64)];
        let routes = subnets.map(|address| SliceRoute {
            prefix: address.unwrap().subnet(),
            edge: side.other().edge().parse().unwrap(),
        });
        SliceProgram {
            slice: "lab".parse().unwrap(),
            snssai: Snssai { sst: Sst::new(3).unwrap(), sd: None },
            service: match self.service {
                Service::PointToPoint => ModelService::L2PointToPoint,
                Service::Multipoint => ModelService::L2Multipoint,
                Service::L3 => ModelService::L3,
            },
            limits,
            packet_octets_max: 1_500,
            dscp: Dscp::new(DSCP).unwrap(),
            markings: Vec::new(),
            queue: QueueClass::BestEffort,
            weight: Weight::MIN,
            session_rates: SessionRates::default(),
            traffic_class: TrafficClass::new(TRAFFIC_CLASS).unwrap(),
            circuits: vec![Circuit {
                sdp: "here".parse().unwrap(),
                port: "access0".parse().unwrap(),
                vlan: None,
                // One end is a leaf, so that both groups are seen on the wire.
                leaf: side == Side::A,
                gateways: if is_l3 { gateways.into() } else { Vec::new() },
            }],
            routes: if is_l3 { routes.into() } else { Vec::new() },
            segments: vec![self.segment(side, limits)],
        }
    }

    fn segment(&self, side: Side, limits: RateLimits) -> SegmentProgram {
        let behaviours: &[(&str, ServiceBehaviour)] = match self.service {
            Service::PointToPoint => &[("d1", ServiceBehaviour::Dx2)],
            Service::Multipoint => &[("d2", ServiceBehaviour::Dt2u), ("d3", ServiceBehaviour::Dt2m)],
            Service::L3 => &[("46", ServiceBehaviour::Dt46)],
        };
        let is_srv6 = self.transport == Transport::Srv6;
        let sid = |(function, behaviour): &(&str, ServiceBehaviour)| ServiceSid {
            sid: side.sid(function),
            behaviour: *behaviour,
        };
        let remote = Remote {
            edge: side.other().edge().parse().unwrap(),
            working: PathId::MIN,
            backup: (self.way == Way::Either).then(|| PathId::new(2).unwrap()),
            group: self.group,
            tunnel: self.tunnel(side),
            inbound: Vec::new(),
        };
        SegmentProgram {
            id: SegmentId { slice: "lab".parse().unwrap(), segment: "things".parse().unwrap() },
            vni: Vni::new(VNI.into()).unwrap(),
            limits,
            weight: Weight::MIN,
            sessions_max: 10,
            sids: if is_srv6 { behaviours.iter().map(sid).collect() } else { Vec::new() },
            remotes: vec![remote],
            realm: Some(RealmProgram {
                access_port: ACCESS_PORT,
                features: AaaFeatures {
                    include: [AaaFeature::Pap, AaaFeature::Accounting].into(),
                    session_seconds: 3_600,
                    interim_seconds: 600,
                    requests_per_second_max: 1_000,
                },
                clients: vec![Client {
                    name: "here".parse().unwrap(),
                    addresses: vec!["127.0.0.0/8".parse().unwrap()],
                    edge: None,
                }],
            }),
        }
    }

    fn tunnel(&self, side: Side) -> Tunnel {
        let to = side.other();
        match self.transport {
            Transport::Vxlan => Tunnel::Vxlan(Vni::new(VNI.into()).unwrap()),
            Transport::Srv6 => {
                let (unicast, flood) = match self.service {
                    Service::PointToPoint => ("d1", "d1"),
                    Service::Multipoint => ("d2", "d3"),
                    Service::L3 => ("46", "46"),
                };
                Tunnel::Srv6 { unicast: to.sid(unicast), flood: to.sid(flood) }
            }
            Transport::Mpls | Transport::MplsUdp => {
                let is_framed = self.service != Service::L3;
                let (control_word, flow_label) = (self.control_word && is_framed, self.flow_label && is_framed);
                Tunnel::Mpls { to: to.label(), from: side.label(), control_word, flow_label }
            }
        }
    }
}

/// The program of a core node that runs our dataplane.
pub(crate) fn core(number: u8, way: Way) -> Program {
    let port = |name: &str, address: Ipv6Addr| CorePort {
        port: name.parse().unwrap(),
        addresses: vec![InterfaceAddress::new(address.into(), 64).unwrap()],
        mtu: CORE_MTU,
    };
    let core_port = format!("to-core-{}", 3 - number);
    let core_ports = vec![
        port("to-edge-a", Side::A.link(number).1),
        port("to-edge-c", Side::C.link(number).1),
        port(&core_port, core_link(number)),
    ];
    let edges = Side::BOTH.map(|side| (side, towards(number, side, way)));
    let mut sids = vec![
        sid(core_sid(number, "1"), TransitBehaviour::End, Flavours::default()),
        sid(core_sid(number, "2"), TransitBehaviour::End, Flavours { psp: true, ..Flavours::default() }),
    ];
    let mut labels = Vec::new();
    let mut routes = vec![route(&format!("fc00:{}::/48", 3 - number), adjacency(&core_port, core_link(3 - number)))];
    for (side, out) in edges {
        let letter = side.letter().to_string();
        sids.push(sid(core_sid(number, &letter), TransitBehaviour::EndX(out.clone()), Flavours::default()));
        let passes_on = out.port.as_str() == core_port;
        let swap = passes_on.then(|| core_label(3 - number, side));
        labels.push(TransitLabel { label: core_label(number, side), swap, out: out.clone() });
        routes.push(route(&format!("{}/128", side.loopback()), out.clone()));
        routes.push(route(&format!("{}/128", side.link(3 - number).0), out.clone()));
        let beside = adjacency(&format!("to-{}", side.edge()), side.link(number).0);
        routes.push(route(&format!("{}/128", side.link(number).0), beside));
        routes.push(route(&format!("fc00:{letter}::/48"), out));
    }
    let content = ProgramContent {
        loopback: vec![format!("fd00:0:{number}::1").parse().unwrap()],
        core_ports,
        transit: TransitProgram { sids, labels, routes, queues: Vec::new() },
        ..ProgramContent::empty(format!("core-{number}").parse().unwrap())
    };
    Program { generation: Generation::new(1), content }
}

/// Where a core node sends what is for an edge.
pub(crate) fn towards(core: u8, to: Side, way: Way) -> Adjacency {
    let near = if to == Side::A { 1 } else { 2 };
    if way == Way::Either || core == near {
        adjacency(&format!("to-{}", to.edge()), to.link(core).0)
    } else {
        adjacency(&format!("to-core-{}", 3 - core), core_link(3 - core))
    }
}

/// A core node's address on the link between the two.
pub(crate) fn core_link(core: u8) -> Ipv6Addr {
    format!("fd00:12::{core}").parse().unwrap()
}

fn adjacency(port: &str, next_hop: Ipv6Addr) -> Adjacency {
    Adjacency { port: port.parse().unwrap(), next_hop: IpAddr::V6(next_hop) }
}

fn route(prefix: &str, via: Adjacency) -> UnderlayRoute {
    UnderlayRoute { prefix: prefix.parse().unwrap(), via }
}

fn sid(sid: Sid, behaviour: TransitBehaviour, flavours: Flavours) -> TransitSid {
    TransitSid { sid, behaviour, flavours }
}

fn label(number: u64) -> Label {
    Label::new(number).unwrap()
}

/// Where the segment's AAA listens.
pub(crate) const ACCESS_PORT: u16 = 20_000;
pub(crate) const VNI: u32 = 7_701;
/// In outer IP headers.
pub(crate) const DSCP: u64 = 10;
/// In labels.
pub(crate) const TRAFFIC_CLASS: u64 = 3;
