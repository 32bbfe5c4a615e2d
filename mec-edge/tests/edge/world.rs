//! Two edges back to back: what they are told to run, their folders, their ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mec_edge::ports::{EdgePort, RingPeer, ring_pair};
use mec_edge::{Config, Edge, RunningEdge};
use model::profile::{AaaFeature, AaaFeatures, QueueClass};
use model::program::{
    Circuit, CorePort, PathProgram, Program, ProgramContent, RealmProgram, Remote, SegmentProgram, SessionRates,
    SliceProgram, Steering, Tunnel,
};
use model::resource::{Client, SegmentId, Service, Srh};
use model::{
    Dscp, Generation, InterfaceAddress, Mac, PathId, Prefix, Rate, RateLimits, Snssai, Sst, TrafficClass, Vlan, Vni,
    Weight,
};

use crate::manager::{Authority, FakeManager, PATIENCE};
use crate::radius;

/// One of the two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    A,
    B,
}

/// A device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    pub(crate) name: &'static str,
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
}

const fn device(name: &'static str, number: u8) -> Device {
    Device { name, mac: Mac([2, 0, 0, 0, 0, number]), address: Ipv4Addr::new(10, 20, 0, number) }
}

pub(crate) const METER: Device = device("meter", 1);
pub(crate) const HEAD_END: Device = device("head-end", 2);
pub(crate) const MONITOR: Device = device("monitor", 3);
pub(crate) const BACK_END: Device = device("back-end", 4);
pub(crate) const VLAN: u16 = 110;
pub(crate) const METERING: Segment = Segment { name: "metering", vni: 5001, access_port: 20_000 };
pub(crate) const HEALTH: Segment = Segment { name: "health", vni: 5002, access_port: 20_002 };

/// A micro-segment of the slice `iot`, on both edges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) name: &'static str,
    pub(crate) vni: u32,
    pub(crate) access_port: u16,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "edge-a",
            Self::B => "edge-b",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn letter(self) -> u16 {
        match self {
            Self::A => 0xa,
            Self::B => 0xb,
        }
    }

    pub(crate) fn loopback(self) -> IpAddr {
        Ipv6Addr::new(0xfd00, 0, self.letter(), 0, 0, 0, 0, 1).into()
    }

    fn link(self) -> IpAddr {
        Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, self.letter()).into()
    }
}

/// The program of an edge at a generation, with these segments.
pub(crate) fn program(side: Side, generation: u64, segments: &[Segment]) -> Program {
    let slice = SliceProgram {
        slice: "iot".parse().unwrap(),
        snssai: Snssai { sst: Sst::new(3).unwrap(), sd: None },
        service: Service::L2Multipoint,
        limits: limits(100),
        packet_octets_max: 1_400,
        dscp: Dscp::new(0).unwrap(),
        markings: Vec::new(),
        queue: QueueClass::BestEffort,
        weight: Weight::MIN,
        session_rates: SessionRates::default(),
        traffic_class: TrafficClass::new(0).unwrap(),
        circuits: vec![Circuit {
            sdp: "here".parse().unwrap(),
            port: "access0".parse().unwrap(),
            vlan: Some(Vlan::new(VLAN.into()).unwrap()),
            leaf: false,
            gateways: Vec::new(),
        }],
        routes: Vec::new(),
        segments: segments.iter().map(|segment| segment_program(side, *segment)).collect(),
    };
    let content = ProgramContent {
        loopback: vec![side.loopback()],
        core_ports: vec![CorePort {
            port: "core0".parse().unwrap(),
            addresses: vec![InterfaceAddress::new(side.link(), 64).unwrap()],
            mtu: 1_600,
        }],
        paths: vec![PathProgram {
            id: PathId::MIN,
            to: side.other().name().parse().unwrap(),
            local: side.loopback(),
            remote: side.other().loopback(),
            port: "core0".parse().unwrap(),
            next_hop: side.other().link(),
            mtu: 1_600,
            steering: Steering::Ip,
            srh: Srh::Reduced,
        }],
        slices: vec![slice],
        ..ProgramContent::empty(side.name().parse().unwrap())
    };
    Program { generation: Generation::new(generation), content }
}

fn segment_program(side: Side, segment: Segment) -> SegmentProgram {
    let vni = Vni::new(segment.vni.into()).unwrap();
    SegmentProgram {
        id: SegmentId { slice: "iot".parse().unwrap(), segment: segment.name.parse().unwrap() },
        vni,
        limits: limits(50),
        weight: Weight::MIN,
        sessions_max: 100,
        sids: Vec::new(),
        remotes: vec![Remote {
            edge: side.other().name().parse().unwrap(),
            working: PathId::MIN,
            backup: None,
            group: true,
            tunnel: Tunnel::Vxlan(vni),
            inbound: Vec::new(),
        }],
        realm: Some(RealmProgram {
            access_port: segment.access_port,
            features: AaaFeatures {
                include: [AaaFeature::Pap, AaaFeature::Accounting].into(),
                session_seconds: 3_600,
                interim_seconds: 600,
                requests_per_second_max: 1_000,
            },
            clients: vec![Client {
                name: "switch".parse().unwrap(),
                addresses: vec![Prefix::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8).unwrap()],
                edge: None,
            }],
        }),
    }
}

pub(crate) fn limits(megabits: u64) -> RateLimits {
    let rate = |megabits: u64| Rate::from_bits_per_second(megabits * 1_000_000);
    RateLimits::new(rate(megabits / 10), rate(megabits)).unwrap()
}

/// Folders and certificates.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    /// The third octet of this world's loopback addresses, so that worlds share no socket.
    number: u8,
}

/// An edge in this process.
pub(crate) struct TestEdge {
    pub(crate) running: RunningEdge,
    pub(crate) access: RingPeer,
    pub(crate) core: RingPeer,
}

static WORLDS: AtomicU8 = AtomicU8::new(1);

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
            number: WORLDS.fetch_add(1, Ordering::Relaxed),
        };
        for side in [Side::A, Side::B] {
            world.authority.write_edge(&world.path(side, "tls"), side.name());
            world.write_secrets(side, "metering", &[METER, HEAD_END]);
            world.write_secrets(side, "health", &[MONITOR, BACK_END]);
        }
        world
    }

    pub(crate) fn path(&self, side: Side, name: &str) -> PathBuf {
        self.folder.path().join(side.name()).join(name)
    }

    /// The address of an edge's AAA.
    pub(crate) fn aaa(&self, side: Side) -> IpAddr {
        let host = if side == Side::A { 1 } else { 2 };
        Ipv4Addr::new(127, 71, self.number, host).into()
    }

    pub(crate) fn write_secrets(&self, side: Side, segment: &str, devices: &[Device]) {
        let folder = self.path(side, "secrets").join("iot");
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = format!("clients:\n  - {{ name: switch, secret: \"{}\" }}\n", radius::SECRET);
        text.push_str(if devices.is_empty() { "users: []\n" } else { "users:\n" });
        for Device { name, mac, address } in devices {
            let row =
                format!("{{ name: {name}, password: \"{name}'s password\", mac: \"{mac}\", address: {address} }}");
            text = text + "  - " + &row + "\n";
        }
        write_private(&folder.join(format!("{segment}.yaml")), &text);
    }

    pub(crate) fn config(&self, side: Side, manager: Option<&FakeManager>) -> Config {
        Config {
            name: side.name().parse().unwrap(),
            manager: manager.map(FakeManager::uri),
            tls: Some(self.path(side, "tls")),
            state: self.path(side, "state"),
            secrets: self.path(side, "secrets"),
            aaa_address: self.aaa(side),
            sessions_max: 1_000,
            // One alone, and several that hand over most of what they get.
            workers: if side == Side::A { 1 } else { 3 },
            cores: Vec::new(),
        }
    }

    /// The arguments of the program, but for its ports.
    pub(crate) fn arguments<'a>(
        &self,
        command: &'a mut Command,
        side: Side,
        manager: &tonic::transport::Uri,
        aaa: IpAddr,
    ) -> &'a mut Command {
        command
            .args(["--name", side.name(), "--manager", &manager.to_string(), "--aaa-address", &aaa.to_string()])
            .arg("--tls-dir")
            .arg(self.path(side, "tls"))
            .arg("--state")
            .arg(self.path(side, "state"))
            .arg("--secrets")
            .arg(self.path(side, "secrets"))
    }

    pub(crate) async fn start(&self, side: Side, manager: Option<&FakeManager>) -> TestEdge {
        let number = if side == Side::A { 0xa } else { 0xb };
        let (access_port, access) = ring_pair(Mac([2, 0xed, 0, 0, number, 0]));
        let (core_port, core) = ring_pair(Mac([2, 0xed, 0, 0, number, 1]));
        let ports: Vec<(_, Box<dyn EdgePort>)> =
            vec![("access0".parse().unwrap(), Box::new(access_port)), ("core0".parse().unwrap(), Box::new(core_port))];
        TestEdge { running: Edge::start(self.config(side, manager), ports).await.unwrap(), access, core }
    }

    /// Asks a segment's AAA for a device.
    pub(crate) async fn access(
        &self,
        side: Side,
        segment: Segment,
        device: Device,
        password: &str,
        number: u8,
    ) -> radius::Answer {
        let server = (self.aaa(side), segment.access_port);
        let password = password.to_owned();
        let ask = move || radius::access(server, number, device.name, &password, device.mac);
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    /// Authenticates a device, which must succeed; answers its session's name.
    pub(crate) async fn admit(&self, side: Side, segment: Segment, device: Device, number: u8) -> Vec<u8> {
        let answer = self.access(side, segment, device, &format!("{}'s password", device.name), number).await;
        assert_eq!(answer.code, aaa_wire::Code::ACCESS_ACCEPT, "{}", device.name);
        answer.class.unwrap()
    }

    pub(crate) async fn account(&self, side: Side, segment: Segment, device: Device, status: u32, class: &[u8]) {
        let server = (self.aaa(side), segment.access_port);
        let class = class.to_owned();
        let number = u8::try_from(status).unwrap();
        let ask = move || radius::account(server, number, status, device.name, &class);
        let answer = tokio::task::spawn_blocking(ask).await.unwrap();
        assert_eq!(answer.code, aaa_wire::Code::ACCOUNTING_RESPONSE);
    }
}

pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A wire between two ports; what crosses it can be looked at.
pub(crate) struct Cable {
    crossed: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cable {
    pub(crate) fn between(mut one: RingPeer, mut other: RingPeer) -> Self {
        let crossed = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (crossed.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let moved = carry(&mut one, &mut other, &seen) | carry(&mut other, &mut one, &seen);
                if !moved {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        Self { crossed, stop, thread: Some(thread) }
    }

    /// How many of the frames that crossed are as wanted.
    pub(crate) fn count(&self, wanted: impl Fn(&[u8]) -> bool) -> usize {
        self.crossed.lock().unwrap().iter().filter(|frame| wanted(frame)).count()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

fn carry(from: &mut RingPeer, to: &mut RingPeer, seen: &Mutex<Vec<Vec<u8>>>) -> bool {
    let mut frame = Vec::new();
    let received = from.receive(&mut frame);
    if received {
        assert!(to.send(&frame), "a frame was lost on the cable");
        seen.lock().unwrap().push(frame);
    }
    received
}

/// Waits for a frame from an edge.
pub(crate) async fn frame_from(peer: &mut RingPeer) -> Vec<u8> {
    let mut frame = Vec::new();
    until("a frame", || peer.receive(&mut frame)).await;
    frame
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
