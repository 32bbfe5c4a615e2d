//! An edge's packet path with a clock of its own, and the world around it.
//!
//! ```text
//!   access0 VLAN 110 ─ slice iot, SDP city ──┐            ┌── core0: 2001:db8:1::a/64, 198.51.100.1/24
//!   access1 untagged ─ slice iot, SDP depot ─┤ this edge  │      router 2001:db8:1::1 / 198.51.100.254
//!   access0 VLAN 120 ─ slice embb, SDP city ─┘            │
//!                                                         └── spare0: nothing
//!   iot/metering  VNI 5001, to edges B and C over IPv6      embb/office  VNI 6001, to edge D over IPv4
//!   iot/health    VNI 5002, to edge B over IPv6             iot/alone    VNI 5003, here only
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::profile::QueueClass;
use model::program::{
    Circuit, CorePort, InnerMark, Marking, PathProgram, Program, ProgramContent, Remote, SegmentProgram, SessionRates,
    SliceProgram, Steering, Tunnel,
};
use model::resource::{SegmentId, Service, Srh};
use model::{
    Dscp, Generation, InterfaceAddress, Mac, PathId, Rate, RateLimits, Snssai, Sst, TrafficClass, Vlan, Vni, Weight,
};
use transport_dataplane::{
    Binding, Burst, Compiler, Config, DropReason, FramePool, Nanos, Outputs, PortIndex, PortSpec, Reading,
    SegmentReading, SessionKey, StampClock, WorkerPlace,
};

use crate::frames;
use crate::team::Team;

pub(crate) struct Rig {
    pub(crate) pipeline: Team,
    pub(crate) compiler: Compiler,
    pub(crate) pool: FramePool,
    pub(crate) outputs: Outputs,
    pub(crate) now: Nanos,
    pub(crate) program: Program,
}

/// A frame that left, and by which port.
pub(crate) type Left = (PortIndex, Vec<u8>);

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) mac: Mac,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Ipv6Addr,
}

pub(crate) const fn device(number: u8) -> Device {
    Device {
        mac: Mac([2, 0, 0, 0, 0, number]),
        ipv4: Ipv4Addr::new(10, 20, 0, number),
        ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0x20, 0, 0, 0, 0, number as u16),
    }
}

impl Rig {
    /// With the reference program, and the router known.
    pub(crate) fn new() -> Self {
        let mut rig = Self::with(reference());
        rig.introduce_router();
        rig
    }

    pub(crate) fn with(program: Program) -> Self {
        Self::with_room(program, 1_000)
    }

    pub(crate) fn with_room(program: Program, sessions_max: usize) -> Self {
        Self::on(&PORTS, program, sessions_max)
    }

    /// A node with other ports.
    pub(crate) fn on(ports: &[(&str, Mac)], program: Program, sessions_max: usize) -> Self {
        Self::made(ports, program, sessions_max, QUEUED_FRAMES_MAX)
    }

    /// With room for so few frames in each tree.
    pub(crate) fn with_queue_room(program: Program, queued_frames_max: u32) -> Self {
        Self::made(&PORTS, program, 1_000, queued_frames_max)
    }

    fn made(ports: &[(&str, Mac)], program: Program, sessions_max: usize, queued_frames_max: u32) -> Self {
        let ports: Vec<_> =
            ports.iter().map(|(name, mac)| PortSpec { name: name.parse().unwrap(), mac: *mac }).collect();
        let mut compiler = Compiler::new(ports.clone()).unwrap();
        let count = ports.len();
        let now = Nanos(5_000_000_000);
        let tables = compiler.compile(&program, now).unwrap();
        let (worker, clock) = (WorkerPlace::ALONE, StampClock::FREE);
        let mut pipeline = Team::new(&Config { ports, sessions_max, queued_frames_max, worker, clock });
        pipeline.swap(tables);
        while !pipeline.reshape(now) {}
        let (pool, outputs) = (FramePool::new(BUFFERS), Outputs::new(count));
        Self { pipeline, compiler, pool, outputs, now, program }
    }

    /// Runs another program.
    pub(crate) fn run(&mut self, program: Program) {
        let tables = self.compiler.compile(&program, self.now).unwrap();
        self.pipeline.swap(tables);
        while !self.pipeline.reshape(self.now) {}
        self.program = program;
    }

    pub(crate) fn binding(&self, slice: &str, segment: &str, mac: Mac) -> Binding {
        let segment = self.compiler.uid(&id(slice, segment)).unwrap();
        Binding { segment, mac, ipv4: None, ipv6: None }
    }

    /// Binds a device to its IPv4 address.
    pub(crate) fn admit(&mut self, slice: &str, segment: &str, device: Device) -> SessionKey {
        let binding = Binding { ipv4: Some(device.ipv4), ..self.binding(slice, segment, device.mac) };
        self.pipeline.bind(&binding).unwrap()
    }

    /// Binds a device to no address.
    pub(crate) fn admit_open(&mut self, slice: &str, segment: &str, device: Device) -> SessionKey {
        self.pipeline.bind(&self.binding(slice, segment, device.mac)).unwrap()
    }

    /// Puts frames into a port and takes what leaves, a millisecond later. No frame may be lost.
    pub(crate) fn put(&mut self, port: PortIndex, frames: &[Vec<u8>]) -> Vec<Left> {
        self.now.0 += 1_000_000;
        let mut burst = Burst::new();
        for octets in frames {
            let mut frame = self.pool.take().unwrap();
            assert!(frame.copy_from(octets));
            burst.push(frame);
        }
        self.pipeline.process(self.now, port, &mut burst, &mut self.pool, &mut self.outputs);
        assert!(burst.is_empty());
        self.drain()
    }

    /// Puts frames into a port and takes what leaves in the end, if nothing else comes: what waits in trees, too. The clock of
    /// everything else stands still meanwhile.
    pub(crate) fn put_and_wait(&mut self, port: PortIndex, frames: &[Vec<u8>]) -> Vec<Left> {
        let mut left = self.put(port, frames);
        left.extend(self.wait(Nanos(u64::MAX)).into_iter().map(|(_, left)| left));
        left
    }

    /// Takes what leaves until then, and when.
    pub(crate) fn wait(&mut self, until: Nanos) -> Vec<(Nanos, Left)> {
        let (mut left, mut now) = (Vec::new(), self.now);
        while let Some(next) = self.pipeline.next_departure(now).filter(|next| *next <= until) {
            now = next;
            self.pipeline.depart(now, &mut self.pool, &mut self.outputs);
            left.extend(self.drain().into_iter().map(|frame| (now, frame)));
        }
        left
    }

    pub(crate) fn tick(&mut self) -> Vec<Left> {
        self.pipeline.tick(self.now, &mut self.pool, &mut self.outputs);
        self.drain()
    }

    /// What waits to leave.
    pub(crate) fn drain(&mut self) -> Vec<Left> {
        let mut left = Vec::new();
        for port in (0..self.reading().ports.len()).map(|at| PortIndex(u8::try_from(at).unwrap())) {
            for frame in self.outputs.queue(port).drain(..) {
                left.push((port, frame.octets().to_vec()));
                self.pool.give(frame);
            }
        }
        assert_eq!(self.pool.left() + self.pipeline.queued(), BUFFERS, "a buffer was lost");
        self.assert_conserved();
        left
    }

    /// Every frame that arrived or was made left, was dropped by name, or was for the edge itself.
    pub(crate) fn assert_conserved(&self) {
        let reading = self.pipeline.read();
        let sum = |of: fn(&transport_dataplane::PortReading) -> u64| reading.ports.iter().map(of).sum::<u64>();
        let came = sum(|port| port.received.frames) + reading.generated;
        let waits = self.pipeline.queued() as u64;
        let went = sum(|port| port.sent.frames) + sum(|port| port.drops.total()) + reading.consumed + waits;
        assert_eq!(came, went, "{reading:#?}");
    }

    pub(crate) fn reading(&self) -> Reading {
        self.pipeline.read()
    }

    /// All that is counted for a slice and its segments.
    pub(crate) fn counted(&self, slice: &str) -> String {
        let Reading { slices, segments, .. } = self.pipeline.read();
        let segments = segments.iter().filter(|segment| segment.id.slice.as_str() == slice).collect::<Vec<_>>();
        let slice = slices.iter().find(|of| of.slice.as_str() == slice).unwrap();
        format!("{slice:#?} {segments:#?}")
    }

    pub(crate) fn segment(&self, name: &str) -> SegmentReading {
        self.pipeline.read().segments.into_iter().find(|segment| segment.id.segment.as_str() == name).unwrap()
    }

    /// What was dropped that arrived at a port.
    pub(crate) fn drops(&self, port: PortIndex) -> Vec<(DropReason, u64)> {
        self.pipeline.read().ports[port.get()].drops.iter().collect()
    }

    /// The router says where it is, by asking for us.
    pub(crate) fn introduce_router(&mut self) {
        let question = frames::arp(1, (ROUTER, ROUTER_V4), (Mac([0; 6]), CORE_V4));
        let frame = frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question);
        assert_eq!(self.put(CORE0, &[frame]).len(), 1);
        let question = frames::neighbour(135, CORE_V6, Some(ROUTER));
        let packet = frames::icmpv6(ROUTER_V6, CORE_V6, 255, question);
        let frame = frames::ethernet(PORTS[2].1, ROUTER, None, 0x86dd, &packet);
        assert_eq!(self.put(CORE0, &[frame]).len(), 1);
    }
}

/// A datagram of a device of slice iot, from its VLAN.
pub(crate) fn from_city(from: Device, to: Device, text: &[u8]) -> Vec<u8> {
    frame(Some(110), from, to, text)
}

pub(crate) fn frame(vlan: Option<u16>, from: Device, to: Device, text: &[u8]) -> Vec<u8> {
    let (ethertype, packet) = frames::datagram((from.ipv4.into(), 7), (to.ipv4.into(), 7), 0, text);
    frames::ethernet(to.mac, from.mac, vlan, ethertype, &packet)
}

/// A frame in a tunnel from an edge to this one.
pub(crate) fn in_tunnel(from: IpAddr, vni: u32, inner: &[u8]) -> Vec<u8> {
    let to: IpAddr = if from.is_ipv4() { LOOPBACK_V4.into() } else { LOOPBACK_V6.into() };
    let (ethertype, packet) = frames::datagram((from, 50_000), (to, 4_789), 0, &frames::vxlan(vni, inner));
    frames::ethernet(PORTS[2].1, ROUTER, None, ethertype, &packet)
}

pub(crate) fn id(slice: &str, segment: &str) -> SegmentId {
    SegmentId { slice: slice.parse().unwrap(), segment: segment.parse().unwrap() }
}

pub(crate) fn limits(ceiling: u64) -> RateLimits {
    RateLimits::new(Rate::ZERO, Rate::from_bits_per_second(ceiling)).unwrap()
}

pub(crate) fn reference() -> Program {
    let iot = slice(
        "iot",
        vec![circuit("city", "access0", Some(110)), circuit("depot", "access1", None)],
        vec![
            segment("iot", "metering", 5_001, vec![remote("edge-b", 5_001), remote("edge-c", 5_001)]),
            segment("iot", "health", 5_002, vec![remote("edge-b", 5_002)]),
            segment("iot", "alone", 5_003, vec![]),
        ],
    );
    let embb = slice(
        "embb",
        vec![circuit("city", "access0", Some(120))],
        vec![segment("embb", "office", 6_001, vec![remote("edge-d", 6_001)])],
    );
    let address = |address: IpAddr, length| InterfaceAddress::new(address, length).unwrap();
    let content = ProgramContent {
        loopback: vec![LOOPBACK_V6.into(), LOOPBACK_V4.into()],
        core_ports: vec![CorePort {
            port: "core0".parse().unwrap(),
            addresses: vec![address(CORE_V6.into(), 64), address(CORE_V4.into(), 24)],
            mtu: 1_600,
        }],
        paths: vec![path("edge-b", EDGE_B), path("edge-c", EDGE_C), path("edge-d", EDGE_D)],
        slices: vec![embb, iot],
        ..ProgramContent::empty("edge-a".parse().unwrap())
    };
    Program { generation: Generation::new(1), content }
}

pub(crate) fn slice(name: &str, circuits: Vec<Circuit>, segments: Vec<SegmentProgram>) -> SliceProgram {
    SliceProgram {
        slice: name.parse().unwrap(),
        snssai: Snssai { sst: Sst::new(3).unwrap(), sd: None },
        service: Service::L2Multipoint,
        limits: limits(1_000_000_000),
        packet_octets_max: 1_500,
        dscp: Dscp::new(10).unwrap(),
        markings: Vec::new(),
        traffic_class: TrafficClass::new(3).unwrap(),
        queue: QueueClass::BestEffort,
        weight: Weight::MIN,
        session_rates: SessionRates::default(),
        circuits,
        routes: vec![],
        segments,
    }
}

pub(crate) fn marking(inner: u64, dscp: u64, class: u64) -> Marking {
    let [inner, dscp] = [inner, dscp].map(|dscp| Dscp::new(dscp).unwrap());
    let (inner, queue) = (InnerMark::Dscp(inner), QueueClass::BestEffort);
    Marking { inner, dscp, traffic_class: TrafficClass::new(class).unwrap(), queue }
}

pub(crate) fn circuit(sdp: &str, port: &str, vlan: Option<u64>) -> Circuit {
    Circuit {
        sdp: sdp.parse().unwrap(),
        port: port.parse().unwrap(),
        vlan: vlan.map(|vlan| Vlan::new(vlan).unwrap()),
        leaf: false,
        gateways: vec![],
    }
}

pub(crate) fn segment(slice: &str, name: &str, vni: u64, remotes: Vec<Remote>) -> SegmentProgram {
    SegmentProgram {
        id: id(slice, name),
        vni: Vni::new(vni).unwrap(),
        limits: limits(1_000_000_000),
        weight: Weight::MIN,
        sessions_max: 100,
        sids: vec![],
        remotes,
        realm: None,
    }
}

/// Another edge, in VXLAN over its path 1.
pub(crate) fn remote(edge: &str, vni: u64) -> Remote {
    let tunnel = Tunnel::Vxlan(Vni::new(vni).unwrap());
    let inbound = Vec::new();
    Remote { edge: edge.parse().unwrap(), working: PathId::MIN, backup: None, group: false, tunnel, inbound }
}

/// Path 1 to an edge, by the router and its routes.
pub(crate) fn path(to: &str, remote: IpAddr) -> PathProgram {
    let (local, next_hop) =
        if remote.is_ipv6() { (LOOPBACK_V6.into(), ROUTER_V6.into()) } else { (LOOPBACK_V4.into(), ROUTER_V4.into()) };
    PathProgram {
        id: PathId::MIN,
        to: to.parse().unwrap(),
        local,
        remote,
        port: "core0".parse().unwrap(),
        next_hop,
        mtu: 9_500,
        steering: Steering::Ip,
        srh: Srh::Reduced,
    }
}

pub(crate) const PORTS: [(&str, Mac); 4] = [
    ("access0", Mac([2, 0xed, 0, 0, 0, 0])),
    ("access1", Mac([2, 0xed, 0, 0, 0, 1])),
    ("core0", CORE_MAC),
    ("spare0", Mac([2, 0xed, 0, 0, 0, 3])),
];
pub(crate) const CORE_MAC: Mac = Mac([2, 0xed, 0, 0, 0, 2]);
pub(crate) const ACCESS0: PortIndex = PortIndex(0);
pub(crate) const ACCESS1: PortIndex = PortIndex(1);
pub(crate) const CORE0: PortIndex = PortIndex(2);
pub(crate) const SPARE0: PortIndex = PortIndex(3);
pub(crate) const BUFFERS: usize = 1_024;
const QUEUED_FRAMES_MAX: u32 = 256;
pub(crate) const ROUTER: Mac = Mac([2, 0xcc, 0, 0, 0, 1]);
pub(crate) const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
pub(crate) const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
pub(crate) const CORE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xa);
pub(crate) const CORE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const LOOPBACK_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xa);
pub(crate) const LOOPBACK_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const EDGE_B: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xb));
pub(crate) const EDGE_C: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc));
pub(crate) const EDGE_D: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 4));
