//! Two edges and a core node between them, for the cost of each transport: into the tunnel, on the way, out of it; and for
//! what all of it is compared with, a frame that stays on its edge.
//!
//! ```text
//!   devices ─ access0 [here] core0 ─── to-here [core] to-there ─── core0 [there] access0 ─ devices
//!             access1 (who stays)
//! ```
//!
//! What one node is given is what the one before it has sent. Whether that is right is for the tests of the packet path; here
//! it is only counted that all of it arrived.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::profile::QueueClass;
use model::program::{
    Adjacency, Circuit, CorePort, Flavours, PathProgram, Program, ProgramContent, Remote, SegmentProgram,
    ServiceBehaviour, ServiceSid, SessionRates, SliceProgram, SliceRoute, Steering, TransitBehaviour, TransitLabel,
    TransitProgram, TransitSid, Tunnel, UnderlayRoute,
};
use model::resource::{SegmentId, Service, Srh};
use model::{Generation, Mac, PathId, Rate, RateLimits, Snssai, Sst, Weight};
use transport_dataplane::{
    BURST_FRAMES_MAX, Binding, Burst, Compiler, Config, FramePool, GATEWAY_MAC, Nanos, Outputs, Pipeline, PortIndex,
    PortSpec, StampClock, WorkerPlace,
};

use crate::world::bytes;

/// What the packets are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// RFC 7348 over IPv4.
    VxlanIpv4,
    /// RFC 7348 over IPv6.
    VxlanIpv6,
    /// The segment's SID alone.
    Srv6,
    /// A SID of the core node, then the segment's.
    Srv6Way,
    /// A label of the core node, then the segment's and what belongs to it.
    Mpls,
    /// Labels in UDP over IPv6 (RFC 7510).
    MplsUdp,
}

/// A node with its buffers.
#[derive(Debug)]
pub struct Node {
    pipeline: Pipeline,
    pool: FramePool,
    outputs: Outputs,
    burst: Burst,
    now: Nanos,
    ports: usize,
}

/// The three nodes, and a burst for each.
#[derive(Debug)]
pub struct Chain {
    /// Sends.
    pub here: Node,
    /// Passes on.
    pub core: Node,
    /// Receives.
    pub there: Node,
    /// From devices to devices of the other edge.
    pub sent: Vec<Vec<u8>>,
    /// The same, where they arrive at the core node.
    pub on_the_way: Vec<Vec<u8>>,
    /// The same, where they arrive at the other edge.
    pub arrived: Vec<Vec<u8>>,
    /// From devices to one on the same edge.
    pub staying: Vec<Vec<u8>>,
}

impl Chain {
    /// For frames of so many octets between 64 devices on each side.
    ///
    /// # Panics
    /// If packets do not arrive.
    pub fn new(over: Over, service: Service, octets: usize) -> Self {
        let mut here = edge(over, service, Side::Here);
        let mut there = edge(over, service, Side::There);
        let mut core = core();
        meet(&mut here, &mut core, 0);
        meet(&mut there, &mut core, 1);
        // Everybody speaks once, so that the circuits are known; then the other side, so that this one knows where it is.
        here.put(0, &burst(service, Side::Here, Side::There, octets), 1);
        let mut back = there.put(0, &burst(service, Side::There, Side::Here, octets), 1);
        readdress(&mut back, MAC_CORE[1]);
        let mut back = core.put(1, &back, 0);
        readdress(&mut back, MAC_EDGE);
        assert_eq!(here.put(1, &back, 0).len(), BURST_FRAMES_MAX, "{over:?}, {service:?}: the way back");
        let sent = burst(service, Side::Here, Side::There, octets);
        let mut on_the_way = here.put(0, &sent, 1);
        readdress(&mut on_the_way, MAC_CORE[0]);
        let mut arrived = core.put(0, &on_the_way, 1);
        readdress(&mut arrived, MAC_EDGE);
        assert_eq!(there.put(1, &arrived, 0).len(), BURST_FRAMES_MAX, "{over:?}, {service:?}: the way there");
        let staying: Vec<_> =
            (0..COUNT).map(|number| frame(service, device(Side::Here, number), STAYS, octets)).collect();
        here.put(2, &[untagged(service, STAYS, device(Side::Here, 0), octets)], 0);
        assert_eq!(here.put(0, &staying, 2).len(), BURST_FRAMES_MAX, "{over:?}, {service:?}: staying");
        Self { here, core, there, sent, on_the_way, arrived, staying }
    }
}

impl Node {
    fn new(names: &[&str], macs: &[bytes::Mac], program: &Program, sessions: &[Device]) -> Self {
        let specs = names.iter().zip(macs);
        let ports: Vec<_> = specs.map(|(port, mac)| PortSpec { name: name(port), mac: Mac(*mac) }).collect();
        let mut compiler = must(Compiler::new(ports.clone()));
        let now = Nanos(1_000_000_000);
        let tables = must(compiler.compile(program, now));
        let count = ports.len();
        let mut pipeline = Pipeline::new(Config {
            ports,
            sessions_max: 1_000,
            queued_frames_max: QUEUED_FRAMES_MAX,
            worker: WorkerPlace::ALONE,
            clock: StampClock::FREE,
        });
        pipeline.swap(tables);
        while !pipeline.reshape(now) {}
        if let Some(segment) = compiler.uid(&segment_id()) {
            for device in sessions {
                let binding = Binding { segment, mac: Mac(device.mac), ipv4: Some(device.address), ipv6: None };
                must(pipeline.bind(&binding));
            }
        }
        let (pool, outputs) = (FramePool::new(4 * BURST_FRAMES_MAX), Outputs::new(count));
        Self { pipeline, pool, outputs, burst: Burst::new(), now, ports: count }
    }

    /// Fills the burst.
    pub fn load(&mut self, frames: &[Vec<u8>]) {
        for octets in frames {
            let Some(mut frame) = self.pool.take() else { return };
            frame.copy_from(octets);
            self.burst.push(frame);
        }
    }

    /// What is measured: a burst that arrived at a port.
    #[inline(never)]
    pub fn process(&mut self, port: u8) {
        self.pipeline.process(self.now, PortIndex(port), &mut self.burst, &mut self.pool, &mut self.outputs);
    }

    /// Takes what left; answers how many frames left by each port.
    pub fn drain(&mut self) -> Vec<usize> {
        self.now.0 += 1_000;
        (0..self.ports).map(|port| self.leave(port, |_| ())).collect()
    }

    fn put(&mut self, port: u8, frames: &[Vec<u8>], out: usize) -> Vec<Vec<u8>> {
        let mut left = Vec::new();
        self.load(frames);
        self.process(port);
        self.leave(out, |octets| left.push(octets.to_vec()));
        self.drain();
        left
    }

    fn leave(&mut self, port: usize, mut each: impl FnMut(&[u8])) -> usize {
        let queue = self.outputs.queue(PortIndex(u8::try_from(port).unwrap_or_default()));
        let count = queue.len();
        for frame in queue.drain(..) {
            each(frame.octets());
            self.pool.give(frame);
        }
        count
    }
}

impl Over {
    /// All of them, by name.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::VxlanIpv4, "VXLAN over IPv4"),
        (Self::VxlanIpv6, "VXLAN over IPv6"),
        (Self::Srv6, "SRv6, one segment"),
        (Self::Srv6Way, "SRv6, two segments"),
        (Self::Mpls, "MPLS"),
        (Self::MplsUdp, "MPLS in UDP"),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    There,
}

#[derive(Debug, Clone, Copy)]
struct Device {
    mac: bytes::Mac,
    address: Ipv4Addr,
}

const fn device(side: Side, number: u8) -> Device {
    let net = if matches!(side, Side::Here) { 1 } else { 2 };
    Device { mac: [0x02, 0x4d, 0, net, 0, number], address: Ipv4Addr::new(10, net, 0, number) }
}

/// A datagram, tagged as the access circuit is; to the gateway where there is one.
fn frame(service: Service, from: Device, to: Device, octets: usize) -> Vec<u8> {
    let packet = bytes::udp4((from.address, 7), (to.address, 9), &vec![0x5a; octets.saturating_sub(46)]);
    let next = if service == Service::L3 { GATEWAY_MAC.0 } else { to.mac };
    bytes::ethernet(next, from.mac, Some(VLAN), 0x0800, &packet)
}

fn untagged(service: Service, from: Device, to: Device, octets: usize) -> Vec<u8> {
    let tagged = frame(service, from, to, octets);
    [&tagged[..12], &tagged[16..]].concat()
}

fn burst(service: Service, from: Side, to: Side, octets: usize) -> Vec<Vec<u8>> {
    (0..COUNT).map(|number| frame(service, device(from, number), device(to, number), octets)).collect()
}

/// What leaves one node arrives at the next one.
fn readdress(frames: &mut [Vec<u8>], to: bytes::Mac) {
    for frame in frames {
        frame[..6].copy_from_slice(&to);
    }
}

/// Edge and core node learn each other's MAC address, by asking.
fn meet(edge: &mut Node, core: &mut Node, link: u8) {
    for (node, port, own, other) in
        [(&mut *edge, 1_u8, MAC_EDGE, MAC_CORE[usize::from(link)]), (core, link, MAC_CORE[usize::from(link)], MAC_EDGE)]
    {
        // One that was asked not long ago is not asked again.
        node.now.0 += 2_000_000_000;
        node.pipeline.tick(node.now, &mut node.pool, &mut node.outputs);
        let mut asked = Vec::new();
        node.leave(port.into(), |octets| asked.push(octets.to_vec()));
        let mut answers: Vec<Vec<u8>> = asked.iter().filter_map(|question| answer(question, own, other)).collect();
        answers.truncate(BURST_FRAMES_MAX);
        node.put(port, &answers, port.into());
    }
}

/// The answer of the neighbour to an ARP question or a neighbour solicitation.
fn answer(question: &[u8], to: bytes::Mac, from: bytes::Mac) -> Option<Vec<u8>> {
    if question[12..14] == [8, 6] {
        let (_, _, sender, target) = bytes::read_arp(&question[14..])?;
        return Some(bytes::ethernet(to, from, None, 0x0806, &bytes::arp(2, (from, target), (to, sender))));
    }
    let (source, target) = (bytes::ipv6_at(question, 14 + 8)?, bytes::ipv6_at(question, 14 + 48)?);
    let mut icmp = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    icmp.extend(target.octets());
    icmp.extend([2, 1]);
    icmp.extend(from);
    let mut pseudo = [target.octets(), source.octets()].concat();
    pseudo.extend([0, 0, 0, 32, 0, 0, 0, 58]);
    pseudo.extend(&icmp);
    let sum = bytes::internet_checksum(&pseudo);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
    packet.extend(target.octets());
    packet.extend(source.octets());
    packet.extend(icmp);
    Some(bytes::ethernet(to, from, None, 0x86dd, &packet))
}

fn edge(over: Over, service: Service, side: Side) -> Node {
    let (own, other) = if side == Side::Here { (0, 1) } else { (1, 0) };
    let local = |side: usize| -> IpAddr {
        if over == Over::VxlanIpv4 { LOOPBACK_V4[side].into() } else { LOOPBACK_V6[side].into() }
    };
    let steering = match over {
        Over::VxlanIpv4 | Over::VxlanIpv6 | Over::MplsUdp => Steering::Ip,
        Over::Srv6 => Steering::Srv6(vec![]),
        Over::Srv6Way => Steering::Srv6(vec![name(SID_CORE)]),
        Over::Mpls => Steering::Mpls(vec![must(LABEL_TO[other].try_into())]),
    };
    let path = PathProgram {
        id: PathId::MIN,
        to: name(EDGES[other]),
        local: local(own),
        remote: local(other),
        port: name("core0"),
        next_hop: if over == Over::VxlanIpv4 { LINK_V4[own].into() } else { LINK_V6[own].into() },
        mtu: 9_000,
        steering,
        srh: Srh::Reduced,
    };
    let sid = |side: usize, function: u16| name(&format!("fd00:{}:0:{function:x}::", side + 1));
    let tunnel = match over {
        Over::VxlanIpv4 | Over::VxlanIpv6 => Tunnel::Vxlan(must(5_000_u32.try_into())),
        Over::Srv6 | Over::Srv6Way => Tunnel::Srv6 { unicast: sid(other, 1), flood: sid(other, 2) },
        Over::Mpls | Over::MplsUdp => Tunnel::Mpls {
            to: must(LABEL_OF[other].try_into()),
            from: must(LABEL_OF[own].try_into()),
            control_word: service != Service::L3,
            flow_label: service != Service::L3,
        },
    };
    let behaviours = match service {
        Service::L3 => vec![ServiceBehaviour::Dt46],
        _ => vec![ServiceBehaviour::Dt2u, ServiceBehaviour::Dt2m],
    };
    let sids = (1..).zip(behaviours).map(|(function, behaviour)| ServiceSid { sid: sid(own, function), behaviour });
    let limits = must(RateLimits::new(Rate::ZERO, Rate::from_bits_per_second(1_000_000_000_000)));
    let segment = SegmentProgram {
        id: segment_id(),
        vni: must(5_000_u32.try_into()),
        limits,
        weight: Weight::MIN,
        sessions_max: 1_000,
        sids: if matches!(over, Over::Srv6 | Over::Srv6Way) { sids.collect() } else { vec![] },
        remotes: vec![Remote {
            edge: name(EDGES[other]),
            working: PathId::MIN,
            backup: None,
            group: true,
            tunnel,
            inbound: Vec::new(),
        }],
        realm: None,
    };
    let circuit = |sdp: &str, port: &str, vlan: Option<u16>, gateways: &[String]| Circuit {
        sdp: name(sdp),
        port: name(port),
        vlan: vlan.map(|vlan| must(u64::from(vlan).try_into())),
        leaf: false,
        gateways: if service == Service::L3 { gateways.iter().map(|gateway| name(gateway)).collect() } else { vec![] },
    };
    let slice = SliceProgram {
        slice: name("iot"),
        snssai: Snssai { sst: must(Sst::new(3)), sd: None },
        service,
        limits,
        packet_octets_max: 1_500,
        dscp: must(10_u64.try_into()),
        markings: Vec::new(),
        queue: QueueClass::BestEffort,
        weight: Weight::MIN,
        session_rates: SessionRates::default(),
        traffic_class: must(1_u64.try_into()),
        circuits: vec![
            circuit("city", "access0", Some(VLAN), &[format!("10.{}.0.254/24", own + 1)]),
            circuit("depot", "access1", None, &["10.3.0.254/24".to_owned()][..usize::from(own == 0)]),
        ],
        routes: if service == Service::L3 {
            vec![SliceRoute { prefix: name(&format!("10.{}.0.0/24", other + 1)), edge: name(EDGES[other]) }]
        } else {
            vec![]
        },
        segments: vec![segment],
    };
    let addresses = vec![name(&format!("fd00:f:{own}::2/64")), name(&format!("192.0.2.{}/30", 4 * own + 2))];
    let content = ProgramContent {
        loopback: vec![LOOPBACK_V6[own].into(), LOOPBACK_V4[own].into()],
        core_ports: vec![CorePort { port: name("core0"), addresses, mtu: 9_000 }],
        paths: vec![path],
        slices: vec![slice],
        ..ProgramContent::empty(name(EDGES[own]))
    };
    let mut sessions: Vec<_> = (0..COUNT).map(|number| device(side, number)).collect();
    sessions.extend((side == Side::Here).then_some(STAYS));
    let program = Program { generation: Generation::new(1), content };
    Node::new(
        &["access0", "core0", "access1"],
        &[[2, 0xaa, 0, 0, 0, 1], MAC_EDGE, [2, 0xaa, 0, 0, 0, 3]],
        &program,
        &sessions,
    )
}

fn core() -> Node {
    let ports = ["to-here", "to-there"];
    let via = |side: usize, ipv6: bool| Adjacency {
        port: name(ports[side]),
        next_hop: if ipv6 { name(&format!("fd00:f:{side}::2")) } else { name(&format!("192.0.2.{}", 4 * side + 2)) },
    };
    let route = |prefix: String, via: Adjacency| UnderlayRoute { prefix: name(&prefix), via };
    let routes = (0..2).flat_map(|side| {
        [
            route(format!("{}/128", LOOPBACK_V6[side]), via(side, true)),
            route(format!("fd00:{}::/48", side + 1), via(side, true)),
            route(format!("{}/32", LOOPBACK_V4[side]), via(side, false)),
        ]
    });
    let transit = TransitProgram {
        sids: vec![TransitSid {
            sid: name(SID_CORE),
            behaviour: TransitBehaviour::End,
            flavours: Flavours { psp: true, ..Flavours::default() },
        }],
        labels: (0..2)
            .map(|side| TransitLabel { label: must(LABEL_TO[side].try_into()), swap: None, out: via(side, true) })
            .collect(),
        routes: routes.collect(),
        queues: Vec::new(),
    };
    let port = |side: usize| CorePort {
        port: name(ports[side]),
        addresses: vec![name(&format!("{}/64", LINK_V6[side])), name(&format!("{}/30", LINK_V4[side]))],
        mtu: 9_000,
    };
    let content =
        ProgramContent { core_ports: vec![port(0), port(1)], transit, ..ProgramContent::empty(name("core-1")) };
    Node::new(&ports, &MAC_CORE, &Program { generation: Generation::new(1), content }, &[])
}

fn segment_id() -> SegmentId {
    SegmentId { slice: name("iot"), segment: name("smart-metering") }
}

/// What is written in this file is in range.
#[allow(clippy::panic, reason = "a constant of this file would be wrong")]
fn must<T, E: std::fmt::Display>(value: Result<T, E>) -> T {
    value.unwrap_or_else(|error| panic!("{error}"))
}

fn name<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> T {
    must(text.parse())
}

#[allow(clippy::cast_possible_truncation, reason = "64")]
const COUNT: u8 = BURST_FRAMES_MAX as u8;
const VLAN: u16 = 110;
const EDGES: [&str; 2] = ["edge-a", "edge-c"];
const STAYS: Device = Device { mac: [0x02, 0x4d, 0, 3, 0, 1], address: Ipv4Addr::new(10, 3, 0, 1) };
const MAC_EDGE: bytes::Mac = [0x02, 0xaa, 0, 0, 0, 2];
const MAC_CORE: [bytes::Mac; 2] = [[0x02, 0xcc, 0, 0, 0, 1], [0x02, 0xcc, 0, 0, 0, 2]];
const LOOPBACK_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0, 0xa, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0, 0xc, 0, 0, 0, 0, 1)];
const LOOPBACK_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 255, 0, 1), Ipv4Addr::new(10, 255, 0, 3)];
/// The core node's.
const LINK_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xf, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0xf, 1, 0, 0, 0, 0, 1)];
const LINK_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 5)];
const SID_CORE: &str = "fd00:9:0:1::";
/// By which the core node sends to each edge.
const LABEL_TO: [u32; 2] = [200_001, 200_002];
/// What each edge has given out to the other.
const LABEL_OF: [u32; 2] = [100_001, 100_002];

/// Two bursts may wait.
const QUEUED_FRAMES_MAX: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_go_all_the_way_over_every_transport() {
        for over in [Over::VxlanIpv4, Over::VxlanIpv6, Over::Srv6, Over::Srv6Way, Over::Mpls, Over::MplsUdp] {
            for service in [Service::L2Multipoint, Service::L3] {
                let chain = Chain::new(over, service, 68);
                let counts = [&chain.sent, &chain.on_the_way, &chain.arrived, &chain.staying].map(Vec::len);
                assert_eq!(counts, [BURST_FRAMES_MAX; 4]);
            }
        }
    }
}
