//! A pipeline with sessions, and frames for it: what is measured, without what feeds it.
//!
//! Frames are written here by their offsets, as [`crate::world::bytes`] does it, not by the codecs that are measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::profile::QueueClass;
use model::program::{
    Circuit, CorePort, PathProgram, Program, ProgramContent, Remote, SegmentProgram, SessionRates, SliceProgram,
    Steering, Tunnel,
};
use model::resource::{SegmentId, Service, Srh};
use model::{
    Dscp, Generation, InterfaceAddress, Mac, PathId, Rate, RateLimits, Snssai, Sst, TrafficClass, Vlan, Vni, Weight,
};
use transport_dataplane::{
    BURST_FRAMES_MAX, Binding, Burst, Compiler, Config, FramePool, Nanos, Outputs, Pipeline, PortIndex, PortSpec,
    StampClock, WorkerPlace,
};

use crate::world::bytes;

/// Which address family the tunnels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underlay {
    /// UDP checksum 0.
    Ipv4,
    /// UDP checksum computed over the packet.
    Ipv6,
}

/// A pipeline of an edge with one slice, its segments and a tunnel of each, its buffers, and a clock that only this moves.
#[derive(Debug)]
pub struct Lab {
    pipeline: Pipeline,
    compiler: Compiler,
    pool: FramePool,
    outputs: Outputs,
    burst: Burst,
    now: Nanos,
    underlay: Underlay,
}

/// What a lab's program is like.
struct Setting {
    segments: u32,
    /// Of each segment.
    sessions_max: u32,
    sessions_in_all: usize,
    session_rate: Option<Rate>,
    buffers: usize,
    worker: WorkerPlace,
}

impl Setting {
    fn new(segments: u32, sessions_max: u32, sessions_in_all: usize) -> Self {
        let buffers = 4 * BURST_FRAMES_MAX;
        Self { segments, sessions_max, sessions_in_all, session_rate: None, buffers, worker: WorkerPlace::ALONE }
    }

    /// An endpoint in each, which is held to a rate.
    fn of_segments(segments: u32) -> Self {
        let session_rate = Some(Rate::from_bits_per_second(100_000_000_000));
        Self { session_rate, buffers: 32 * BURST_FRAMES_MAX, ..Self::new(segments, 1, segments as usize) }
    }
}

impl Lab {
    /// So many endpoints with a session each, in the segment that is measured; one more in another.
    ///
    /// # Panics
    /// If the program that is written here is not one.
    #[allow(clippy::expect_used, reason = "the constants of this file are names and numbers in range")]
    pub fn new(sessions: u32, underlay: Underlay) -> Self {
        let mut lab = Self::with(&Setting::new(2, sessions, sessions as usize + 1), underlay);
        for number in 0..sessions {
            lab.bind(MEASURED, Mac(device(number)), Some(device_address(number)));
        }
        lab.bind(OTHER, Mac(STRANGER), None);
        lab.introduce_router();
        lab.introduce_far_end(MEASURED);
        lab
    }

    /// So many segments with an endpoint each, each of which is held to a rate that it does not reach.
    ///
    /// # Panics
    /// If there are more than an edge has.
    pub fn of_segments(segments: u32, underlay: Underlay) -> Self {
        let mut lab = Self::with(&Setting::of_segments(segments), underlay);
        lab.bind_each(segments);
        lab.introduce_router();
        (0..segments).for_each(|segment| lab.introduce_far_end(segment));
        lab
    }

    /// The same on two workers, of which the first has the slice and the access port, and the second the core port.
    ///
    /// # Panics
    /// If there are more than an edge has.
    #[allow(clippy::expect_used, reason = "there are two places")]
    pub fn of_two_workers(segments: u32, underlay: Underlay) -> [Self; 2] {
        let place = |index| WorkerPlace::new(index, 2).expect("one of two");
        let lab = |index| Self::with(&Setting { worker: place(index), ..Setting::of_segments(segments) }, underlay);
        let mut labs = [lab(0), lab(1)];
        labs[0].bind_each(segments);
        for segment in 0..segments {
            if segment == 0 {
                labs[1].introduce_router();
            }
            labs[1].introduce_far_end(segment);
            for (from, to) in [(1, 0), (0, 1)] {
                let handed: Vec<_> =
                    labs[from].pipeline.handovers(to).into_iter().flat_map(|all| all.drain(..)).collect();
                let Self { pipeline, pool, outputs, now, .. } = &mut labs[to];
                pipeline.take_over(*now, from, handed.into_iter(), pool, outputs);
                labs[to].drain();
            }
        }
        labs
    }

    /// What a worker's thread needs of it.
    pub fn into_parts(self) -> (Pipeline, FramePool, Outputs) {
        (self.pipeline, self.pool, self.outputs)
    }

    fn bind_each(&mut self, segments: u32) {
        for number in 0..segments {
            self.bind(number, Mac(device(number)), Some(device_address(number)));
        }
    }

    #[allow(clippy::expect_used, reason = "the constants of this file are names and numbers in range")]
    fn with(setting: &Setting, underlay: Underlay) -> Self {
        let ports = vec![port("access0", 1), port("core0", 2)];
        let mut compiler = Compiler::new(ports.clone()).expect("two ports");
        let program = program(underlay, setting);
        let now = Nanos(1_000_000_000);
        let tables = compiler.compile(&program, now).expect("a program for these ports");
        let mut pipeline = Pipeline::new(Config {
            ports,
            sessions_max: setting.sessions_in_all,
            queued_frames_max: QUEUED_FRAMES_MAX,
            worker: setting.worker,
            clock: StampClock::FREE,
        });
        pipeline.swap(tables);
        while !pipeline.reshape(now) {}
        let (pool, outputs) = (FramePool::with_room(setting.buffers, 2 * setting.buffers), Outputs::new(2));
        Self { pipeline, compiler, pool, outputs, burst: Burst::new(), now, underlay }
    }

    #[allow(clippy::expect_used, reason = "there is room for all that the callers bind")]
    fn bind(&mut self, segment: u32, mac: Mac, ipv4: Option<Ipv4Addr>) {
        let segment = self.compiler.uid(&segment_id(segment)).expect("in the program");
        self.pipeline.bind(&Binding { segment, mac, ipv4, ipv6: None }).expect("room");
    }

    /// Puts frames into the burst; at most 64.
    ///
    /// # Panics
    /// If the pool is empty, which it is not when [`Lab::drain`] is called between bursts.
    #[allow(clippy::expect_used, reason = "the pool has four times the frames of a burst")]
    pub fn load<'a>(&mut self, frames: impl IntoIterator<Item = &'a [u8]>) {
        for octets in frames {
            let mut frame = self.pool.take().expect("drained before");
            frame.copy_from(octets);
            self.burst.push(frame);
        }
    }

    /// What is measured: a burst that arrived at the access port.
    #[inline(never)]
    pub fn from_access(&mut self) {
        self.pipeline.process(self.now, ACCESS, &mut self.burst, &mut self.pool, &mut self.outputs);
    }

    /// What is measured: a burst that arrived at the core port.
    #[inline(never)]
    pub fn from_core(&mut self) {
        self.pipeline.process(self.now, CORE, &mut self.burst, &mut self.pool, &mut self.outputs);
    }

    /// Takes what left, and answers how many frames left by the access and by the core port.
    pub fn drain(&mut self) -> (usize, usize) {
        let counts = [ACCESS, CORE].map(|port| {
            let queue = self.outputs.queue(port);
            let frames = queue.len();
            queue.drain(..).for_each(|frame| self.pool.give(frame));
            frames
        });
        // A burst a microsecond later: the meters fill as they do in a run.
        self.now.0 += 1_000;
        (counts[0], counts[1])
    }

    /// What left by the core port, octet by octet.
    pub fn left_by_core(&mut self) -> Vec<Vec<u8>> {
        self.outputs.queue(CORE).iter().map(|frame| frame.octets().to_vec()).collect()
    }

    /// A datagram from a device to the far end, of so many octets in all, tagged as the access circuit is.
    pub fn to_far_end(number: u32, flow: u16, octets: usize) -> Vec<u8> {
        device_frame(FAR_END, number, flow, octets)
    }

    /// A datagram from a device to one of the other segment.
    pub fn to_stranger(number: u32, octets: usize) -> Vec<u8> {
        device_frame(STRANGER, number, 1, octets)
    }

    /// A datagram from the far end to a device, in its tunnel.
    pub fn to_device(&self, number: u32, octets: usize) -> Vec<u8> {
        let packet = bytes::udp4((FAR_ADDRESS, 7), (device_address(number), 7), &vec![0x5a; octets.saturating_sub(42)]);
        self.in_tunnel(MEASURED, &bytes::ethernet(device(number), FAR_END, None, 0x0800, &packet))
    }

    fn in_tunnel(&self, segment: u32, inner: &[u8]) -> Vec<u8> {
        let vxlan = [&[8, 0, 0, 0][..], &((FIRST_VNI + segment) << 8).to_be_bytes(), inner].concat();
        match self.underlay {
            Underlay::Ipv4 => {
                let mut packet = bytes::udp4((REMOTE_V4, 50_000), (LOCAL_V4, 4_789), &vxlan);
                // RFC 7348: a VXLAN checksum over IPv4 should be 0.
                packet[26..28].fill(0);
                bytes::ethernet(port_mac(2), ROUTER, None, 0x0800, &packet)
            }
            Underlay::Ipv6 => {
                let packet = udp6((REMOTE_V6, 50_000), (LOCAL_V6, 4_789), &vxlan);
                bytes::ethernet(port_mac(2), ROUTER, None, 0x86dd, &packet)
            }
        }
    }

    /// The next hop says where it is, by asking for us.
    fn introduce_router(&mut self) {
        let frame = match self.underlay {
            Underlay::Ipv4 => {
                let question = bytes::arp(1, (ROUTER, ROUTER_V4), ([0; 6], CORE_V4));
                bytes::ethernet(bytes::BROADCAST, ROUTER, None, 0x0806, &question)
            }
            Underlay::Ipv6 => {
                let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
                icmp.extend(CORE_V6.octets());
                icmp.extend([1, 1]);
                icmp.extend(ROUTER);
                let packet = upper6((ROUTER_V6, CORE_V6), 58, 255, icmp, 2);
                bytes::ethernet(port_mac(2), ROUTER, None, 0x86dd, &packet)
            }
        };
        self.load([frame.as_slice()]);
        self.from_core();
        self.drain();
    }

    /// The far end sends something, so that the edge knows behind which edge it is.
    fn introduce_far_end(&mut self, segment: u32) {
        let to = if segment == MEASURED { 0 } else { segment };
        let packet = bytes::udp4((FAR_ADDRESS, 7), (device_address(to), 7), &[0x5a; 22]);
        let frame = self.in_tunnel(segment, &bytes::ethernet(device(to), FAR_END, None, 0x0800, &packet));
        self.load([frame.as_slice()]);
        self.from_core();
        self.drain();
    }
}

fn device_frame(destination: bytes::Mac, number: u32, flow: u16, octets: usize) -> Vec<u8> {
    // Ethernet 14, tag 4, IPv4 20, UDP 8.
    let payload = vec![0x5a; octets.saturating_sub(46)];
    let packet = bytes::udp4((device_address(number), flow), (FAR_ADDRESS, 9), &payload);
    bytes::ethernet(destination, device(number), Some(VLAN), 0x0800, &packet)
}

fn udp6(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(8 + payload.len());
    for field in [from.1, to.1, length, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend(payload);
    upper6((from.0, to.0), 17, 64, udp, 6)
}

/// An IPv6 packet (RFC 8200) around an upper layer whose checksum stands at `checksum`.
fn upper6(ends: (Ipv6Addr, Ipv6Addr), protocol: u8, hop_limit: u8, mut upper: Vec<u8>, checksum: usize) -> Vec<u8> {
    let length = u16::try_from(upper.len()).unwrap_or(u16::MAX);
    let mut pseudo = [ends.0.octets(), ends.1.octets()].concat();
    pseudo.extend(u32::from(length).to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    pseudo.extend(&upper);
    let sum = bytes::internet_checksum(&pseudo);
    upper[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([protocol, hop_limit]);
    packet.extend(ends.0.octets());
    packet.extend(ends.1.octets());
    packet.extend(upper);
    packet
}

#[allow(clippy::expect_used, reason = "the constants of this file are names and numbers in range")]
fn program(underlay: Underlay, setting: &Setting) -> Program {
    let unlimited = Rate::from_bits_per_second(1_000_000_000_000);
    let limits = RateLimits::new(Rate::ZERO, unlimited).expect("a ceiling");
    let (local, remote, next_hop): (IpAddr, IpAddr, IpAddr) = match underlay {
        Underlay::Ipv4 => (LOCAL_V4.into(), REMOTE_V4.into(), ROUTER_V4.into()),
        Underlay::Ipv6 => (LOCAL_V6.into(), REMOTE_V6.into(), ROUTER_V6.into()),
    };
    let core = || "core0".parse().expect("a name");
    let far_edge = || "edge-c".parse().expect("a name");
    let path = PathProgram {
        id: PathId::MIN,
        to: far_edge(),
        local,
        remote,
        port: core(),
        next_hop,
        mtu: 9_000,
        steering: Steering::Ip,
        srh: Srh::Reduced,
    };
    let segment = |number: u32| {
        let vni = Vni::new(u64::from(FIRST_VNI + number)).expect("24 bits");
        let tunnel = Tunnel::Vxlan(vni);
        SegmentProgram {
            id: segment_id(number),
            vni,
            limits,
            weight: Weight::MIN,
            sessions_max: setting.sessions_max.max(1),
            sids: Vec::new(),
            remotes: vec![Remote {
                edge: far_edge(),
                working: path.id,
                backup: None,
                group: false,
                tunnel,
                inbound: Vec::new(),
            }],
            realm: None,
        }
    };
    let slice = SliceProgram {
        slice: "iot".parse().expect("a name"),
        snssai: Snssai { sst: Sst::new(3).expect("8 bits"), sd: None },
        service: Service::L2Multipoint,
        limits,
        packet_octets_max: 1_500,
        dscp: Dscp::new(10).expect("6 bits"),
        markings: Vec::new(),
        queue: QueueClass::BestEffort,
        weight: Weight::MIN,
        session_rates: SessionRates { from_access: setting.session_rate, to_access: setting.session_rate },
        traffic_class: TrafficClass::new(1).expect("3 bits"),
        circuits: vec![Circuit {
            sdp: "city".parse().expect("a name"),
            port: "access0".parse().expect("a name"),
            vlan: Some(Vlan::new(VLAN.into()).expect("12 bits")),
            leaf: false,
            gateways: Vec::new(),
        }],
        routes: Vec::new(),
        segments: (0..setting.segments).map(segment).collect(),
    };
    let addresses = [(CORE_V4.into(), 31), (CORE_V6.into(), 64)]
        .into_iter()
        .filter_map(|(address, length)| InterfaceAddress::new(address, length))
        .collect();
    let content = ProgramContent {
        loopback: vec![LOCAL_V4.into(), LOCAL_V6.into()],
        core_ports: vec![CorePort { port: core(), addresses, mtu: 9_000 }],
        paths: vec![path],
        slices: vec![slice],
        ..ProgramContent::empty("edge-a".parse().expect("a name"))
    };
    Program { generation: Generation::new(1), content }
}

#[allow(clippy::expect_used, reason = "the constants of this file are names and numbers in range")]
fn segment_id(number: u32) -> SegmentId {
    let segment = format!("segment-{number}");
    SegmentId { slice: "iot".parse().expect("a name"), segment: segment.parse().expect("a name") }
}

#[allow(clippy::expect_used, reason = "the constants of this file are names and numbers in range")]
fn port(name: &str, number: u8) -> PortSpec {
    PortSpec { name: name.parse().expect("a name"), mac: Mac(port_mac(number)) }
}

const fn port_mac(number: u8) -> bytes::Mac {
    [0x02, 0xaa, 0, 0, 0, number]
}

/// Vendors hand out addresses in order, so neighbouring numbers are what a table must cope with.
const fn device(number: u32) -> bytes::Mac {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x4d, a, b, c, d]
}

const fn device_address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 | (number & 0x00ff_ffff))
}

const ACCESS: PortIndex = PortIndex(0);
const CORE: PortIndex = PortIndex(1);
const VLAN: u16 = 110;
/// The segment that is measured, where there are two, and the other.
const MEASURED: u32 = 0;
const OTHER: u32 = 1;
const FIRST_VNI: u32 = 5_000;
const ROUTER: bytes::Mac = [0x02, 0xcc, 0, 0, 0, 1];
const FAR_END: bytes::Mac = [0x02, 0xfe, 0, 0, 0, 1];
const STRANGER: bytes::Mac = [0x02, 0xbb, 0, 0, 0, 1];
const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const LOCAL_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const CORE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 0);
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3);
const CORE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 2);

/// As many may wait as at a port of an edge.
const QUEUED_FRAMES_MAX: u32 = 4_096;
