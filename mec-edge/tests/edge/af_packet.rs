//! The real program on kernel interfaces, by each driver for them. Everything is in network namespaces of the test's own:
//!
//! ```text
//!   device-a ─ access0 ┐ edge-a ├ core0 ═══ core0 ┤ edge-b ┌ access0 ─ device-b
//!                      └─ mgmt ───── manager ───── mgmt ───┘
//! ```
//!
//! The test starts itself again inside `manager`, to be the manager and the authenticator there, and inside the devices,
//! to send and to receive.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::Prefix;
use model::program::Program;

use crate::manager::{Attached, FakeManager, PATIENCE};
use crate::world::{Device, HEAD_END, METER, METERING, Side, World, program};
use crate::{neighbours, radius};

#[test]
#[ignore = "needs root"]
fn edges_on_kernel_interfaces_carry_real_traffic() {
    let network = Namespaces::make();
    for driver in ["af-packet", "af-xdp", "kernel"] {
        let status = part(&network.prefix, "manager", "manager").env(DRIVER, driver).status().unwrap();
        assert!(status.success(), "{driver}");
        // The edges were killed; their programs went with them.
        let edge = format!("{}edge-b", network.prefix);
        let output = Command::new("ip").args(["-n", &edge, "link", "show", "core0"]).output().unwrap();
        let links = String::from_utf8(output.stdout).unwrap();
        assert!(links.contains("core0") && !links.contains("xdp"), "{links}");
    }
}

/// What this test binary does when the test above starts it inside a namespace.
#[test]
#[ignore = "a part of the test above"]
fn part_in_a_namespace() {
    let Ok(part) = std::env::var(PART) else { return };
    let to = (HEAD_END.address, 7_007);
    match part.as_str() {
        "manager" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(manager(&std::env::var(PREFIX).unwrap(), &std::env::var(DRIVER).unwrap()));
        }
        "send-datagrams" => {
            let socket = UdpSocket::bind((METER.address, 0)).unwrap();
            for _ in 0..20 {
                socket.send_to(&[0x5a; 1_001], to).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        "receive-datagrams" => {
            let socket = UdpSocket::bind(to).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut buffer = [0; 2_000];
            let (octets, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..octets], from.ip()), (&[0x5a; 1_001][..], METER.address.into()));
        }
        "send-stream" => {
            let mut stream = TcpStream::connect(to).unwrap();
            stream.write_all(&vec![0xa5; STREAM_OCTETS]).unwrap();
        }
        "receive-stream" => {
            let (mut stream, _) = TcpListener::bind(to).unwrap().accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).unwrap();
            assert_eq!(octets, vec![0xa5; STREAM_OCTETS]);
        }
        "neighbours" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let driver = std::env::var(DRIVER).unwrap();
            runtime.block_on(neighbours::manager(&std::env::var(PREFIX).unwrap(), &driver));
        }
        "receive-tunnels" => neighbours::receive(),
        other => panic!("there is no part {other}"),
    }
}

async fn manager(prefix: &str, driver: &str) {
    let world = World::new();
    let sides = [Side::A, Side::B];
    let addresses = sides.map(|side| IpAddr::from(management(side, 2)));
    let mut manager = FakeManager::start_at(&world.authority, "0.0.0.0:0".parse().unwrap(), &addresses).await;
    let mut edges = Vec::new();
    let mut streams = Vec::new();
    for (side, address) in sides.into_iter().zip(addresses) {
        let uri = format!("https://{address}:{}", manager.address.port()).parse().unwrap();
        let mut command = inside(prefix, side.name(), env!("CARGO_BIN_EXE_mec-edge"));
        world
            .arguments(&mut command, side, &uri, management(side, 1).into())
            .args([format!("--port=access0={driver}:access0"), format!("--port=core0={driver}:core0")]);
        if driver == "kernel" && side == Side::B {
            command.args(["--poll", "busy"]);
        }
        edges.push(Process(command.spawn().unwrap()));
        let mut stream = manager.attached().await;
        let expected = match driver {
            "af-packet" => "af-packet, ring",
            "af-xdp" => "af-xdp, native, copy",
            _ => "af-packet, ring (not af-xdp: on a veth such as",
        };
        assert!(stream.hello.ports.iter().all(|port| port.driver.starts_with(expected)), "{:?}", stream.hello.ports);
        stream.realised().await;
        stream.run(&kernel_program(prefix, side)).await;
        streams.push(stream);
    }
    admit(Side::A, METER, 1).await;
    admit(Side::B, HEAD_END, 2).await;

    // The device's kernel takes the VLAN tag off into the packet's metadata, and leaves UDP checksums to the hardware.
    assert!(pings(prefix), "the first ping");
    transfer(prefix, "datagrams");
    // It merges TCP segments; they are taken apart, and nothing is lost.
    transfer(prefix, "stream");
    for reason in ["port-merged", "port-mangled", "port-overrun", "malformed"] {
        assert_eq!(streams[0].drops(reason).await, 0, "{reason}");
    }

    let edge = format!("{prefix}edge-a");
    ip(&["-n", &edge, "link", "set", "access0", "down"]);
    assert!(!pings(prefix), "the interface is down");
    ip(&["-n", &edge, "link", "set", "access0", "up"]);
    assert!(pings(prefix), "the interface is up again");
    ip(&["-n", &edge, "link", "delete", "access0"]);
    assert!(!pings(prefix), "the interface is gone");
    attach_device(prefix, Side::A, METER);
    assert!(pings(prefix), "the interface was made anew");

    stop_session(prefix, &mut streams[0]).await;
    assert!(!pings(prefix), "the session is over");
    assert!(streams[0].drops("unauthenticated").await > 0);
}

/// The credential goes, and the session with it.
async fn stop_session(prefix: &str, stream: &mut Attached) {
    let mut without = kernel_program(prefix, Side::A);
    without.generation = without.generation.next();
    without.content.slices[0].segments.clear();
    stream.run(&without).await;
    let mut again = kernel_program(prefix, Side::A);
    again.generation = without.generation.next();
    stream.run(&again).await;
}

/// The authenticator asks from the management network.
pub(crate) fn kernel_program(prefix: &str, side: Side) -> Program {
    let mut program = program(side, 1, &[METERING]);
    if !knows_vlans(prefix) {
        program.content.slices[0].circuits[0].vlan = None;
    }
    let realm = program.content.slices[0].segments[0].realm.as_mut().unwrap();
    realm.clients[0].addresses = vec![Prefix::new(management(side, 0).into(), 24).unwrap()];
    program
}

pub(crate) async fn admit(side: Side, device: Device, number: u8) {
    let server = (management(side, 1).into(), METERING.access_port);
    let password = format!("{}'s password", device.name);
    let ask = move || radius::access(server, number, device.name, &password, device.mac);
    assert_eq!(tokio::task::spawn_blocking(ask).await.unwrap().code, aaa_wire::Code::ACCESS_ACCEPT);
}

fn pings(prefix: &str) -> bool {
    let mut ping = inside(prefix, "device-a", "ping");
    ping.args(["-q", "-c", "8", "-i", "0.3", "-W", "1", "-s", "1372", &HEAD_END.address.to_string()]);
    let output = ping.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("duplicates"), "{text}");
    output.status.success()
}

fn transfer(prefix: &str, what: &str) {
    let mut receiver = Process(part(prefix, "device-b", &format!("receive-{what}")).spawn().unwrap());
    // Until it listens; a sender that comes too early would be refused.
    std::thread::sleep(Duration::from_millis(500));
    assert!(part(prefix, "device-a", &format!("send-{what}")).status().unwrap().success());
    assert!(receiver.0.wait().unwrap().success());
}

/// A command in a namespace.
pub(crate) fn inside(prefix: &str, namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("{prefix}{namespace}"), program]).stdin(Stdio::null());
    command
}

/// This binary in a namespace.
pub(crate) fn part(prefix: &str, namespace: &str, part: &str) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut command = inside(prefix, namespace, me.to_str().unwrap());
    command.args(["--exact", "af_packet::part_in_a_namespace", "--ignored", "--nocapture"]);
    command.env(PART, part).env(PREFIX, prefix);
    command
}

/// The management network of an edge: 1 is the edge, 2 the manager.
pub(crate) const fn management(side: Side, host: u8) -> Ipv4Addr {
    match side {
        Side::A => Ipv4Addr::new(10, 199, 1, host),
        Side::B => Ipv4Addr::new(10, 199, 2, host),
    }
}

/// A process that does not outlive the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The namespaces; they go when this is dropped.
pub(crate) struct Namespaces {
    pub(crate) prefix: String,
}

impl Namespaces {
    pub(crate) fn make() -> Self {
        let network = Self { prefix: format!("ms{}-", std::process::id()) };
        let prefix = network.prefix.as_str();
        let name = |name: &str| format!("{prefix}{name}");
        for namespace in NAMESPACES {
            ip(&["netns", "add", &name(namespace)]);
            ip(&["-n", &name(namespace), "link", "set", "lo", "up"]);
        }
        attach_device(prefix, Side::A, METER);
        attach_device(prefix, Side::B, HEAD_END);
        let [a, b, manager] = ["edge-a", "edge-b", "manager"].map(name);
        ip(&[
            "-n", &a, "link", "add", "core0", "mtu", "1700", "type", "veth", "peer", "core0", "mtu", "1700", "netns",
            &b,
        ]);
        for edge in [&a, &b] {
            ip(&["-n", edge, "link", "set", "core0", "up"]);
        }
        for (side, edge, far) in [(Side::A, &a, "to-a"), (Side::B, &b, "to-b")] {
            ip(&["-n", edge, "link", "add", "mgmt", "type", "veth", "peer", far, "netns", &manager]);
            for (namespace, interface, host) in [(edge, "mgmt", 1), (&manager, far, 2)] {
                let address = format!("{}/24", management(side, host));
                ip(&["-n", namespace, "address", "add", &address, "dev", interface]);
                ip(&["-n", namespace, "link", "set", interface, "up"]);
            }
        }
        network
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in NAMESPACES {
            let _ = Command::new("ip").args(["netns", "delete", &format!("{}{namespace}", self.prefix)]).status();
        }
    }
}

/// A device, and the wire to its edge's access port.
fn attach_device(prefix: &str, side: Side, device: Device) {
    let edge = format!("{prefix}{}", side.name());
    let host = format!("{prefix}{}", if side == Side::A { "device-a" } else { "device-b" });
    let (mac, address) = (device.mac.to_string(), format!("{}/24", device.address));
    ip(&["-n", &edge, "link", "add", "access0", "type", "veth", "peer", "eth0", "address", &mac, "netns", &host]);
    ip(&["-n", &edge, "link", "set", "access0", "up"]);
    ip(&["-n", &host, "link", "set", "eth0", "up"]);
    let interface = if knows_vlans(prefix) {
        ip(&["-n", &host, "link", "add", "link", "eth0", "name", "v110", "mtu", "1400", "type", "vlan", "id", "110"]);
        ip(&["-n", &host, "link", "set", "v110", "up"]);
        "v110"
    } else {
        ip(&["-n", &host, "link", "set", "eth0", "mtu", "1400"]);
        "eth0"
    };
    ip(&["-n", &host, "address", "add", &address, "dev", interface]);
}

/// Does this kernel have 802.1Q interfaces? Where it has none, the circuits are untagged.
fn knows_vlans(prefix: &str) -> bool {
    let probe = ["link", "add", "link", "lo", "name", "probe", "type", "vlan", "id", "1"];
    let probe = Command::new("ip").args(["-n", &format!("{prefix}manager")]).args(probe).output().unwrap();
    let known = probe.status.success() || String::from_utf8_lossy(&probe.stderr).contains("File exists");
    if !known {
        eprintln!("this kernel has no 802.1Q interfaces: circuits are untagged");
    }
    known
}

pub(crate) fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

const NAMESPACES: [&str; 5] = ["edge-a", "edge-b", "device-a", "device-b", "manager"];
const PART: &str = "MEC_EDGE_TEST_PART";
const PREFIX: &str = "MEC_EDGE_TEST_PREFIX";
const STREAM_OCTETS: usize = 2_000_000;
pub(crate) const DRIVER: &str = "MEC_EDGE_TEST_DRIVER";
