//! Two slices of three segments each share a link that is too small: what leaves an edge is what was promised, at 64 and at
//! 1,500 octets, with real sockets at one end and the kernel's VXLAN devices at the other.
//!
//! ```text
//!   factory: 3 devices (macvlan) ── veth ── access0 ┐
//!                                                   ├ [edge-a] core0 ── veth ── peer (kernel: a VXLAN device a segment)
//!   handsets: 3 devices (macvlan) ─ veth ── access1 ┘   20 Mbit/s
//! ```
//!
//! What the peer's devices count is compared with the slices' files: rates of device frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod common;

use std::fmt::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Files, TESTBED, admit, slicectl, start, until};
use testbed::netns::Namespace;

/// A slice of the test.
struct Slice {
    name: &'static str,
    /// Of its second octet of addresses, and the port of its devices.
    number: u8,
    template: &'static str,
    sst: u8,
    shares: [u8; 3],
}

const FACTORY: Slice = Slice { name: "factory", number: 1, template: "urllc", sst: 2, shares: [50, 30, 20] };
const HANDSETS: Slice = Slice { name: "handsets", number: 2, template: "embb", sst: 1, shares: [60, 30, 10] };
const SLICES: [&Slice; 2] = [&FACTORY, &HANDSETS];

struct World {
    edge: Namespace,
    devices: [Namespace; 2],
    peer: Namespace,
    files: Files,
    _running: (testbed::netns::Running, testbed::netns::Running),
    /// What was measured, for the log.
    told: String,
}

#[test]
#[ignore = "needs root"]
fn slices_get_what_they_were_promised_on_a_full_link() {
    let mut world = World::new();
    for octets in [64, 1_500] {
        world.guarantees_hold(octets);
        world.ceilings_hold(octets);
    }
    world.a_rate_changes_without_loss();
    world.tcp_fills_a_ceiling();
    world.latency_under_load();
    let logs = std::env::var_os("MICROSLICE_LOGS").map_or_else(std::env::temp_dir, Into::into);
    std::fs::write(logs.join("qos.txt"), &world.told).unwrap();
}

impl World {
    fn new() -> Self {
        let [edge, factory, handsets, peer] =
            ["qedge", "qfac", "qhand", "qpeer"].map(|role| Namespace::new(role).unwrap());
        edge.join("access0", &factory, "eth0", 1500).unwrap();
        edge.join("access1", &handsets, "eth0", 1500).unwrap();
        edge.join("core0", &peer, "eth0", 1600).unwrap();
        edge.script("sysctl -qw net.ipv6.conf.core0.disable_ipv6=1").unwrap();
        for (namespace, slice) in [(&factory, &FACTORY), (&handsets, &HANDSETS)] {
            for segment in 1..=3 {
                let (mac, address) = (mac(slice, segment), address(slice, segment, 11));
                namespace
                    .script(&format!(
                        "ip link add dev{segment} link eth0 address {mac} type macvlan mode private
                         ip link set dev{segment} up
                         ip addr add {address}/24 dev dev{segment}"
                    ))
                    .unwrap();
            }
        }
        let files = Files::new("qos");
        for slice in SLICES {
            for segment in 1..=3 {
                secrets(&files, slice, segment);
            }
        }
        longer_packets(&files);
        let ports = ["access0=af-packet:access0", "access1=af-packet:access1", "core0=af-packet:core0"];
        let running = start(&edge, &files, &ports);
        let world = Self { edge, devices: [factory, handsets], peer, files, _running: running, told: String::new() };
        until("the manager answers", Duration::from_secs(20), || world.slicectl(&["node", "list"]).0 == 0);
        world.apply("topology.yaml", TOPOLOGY);
        for slice in SLICES {
            world.apply(slice.name, &slice.yaml((4, 4), 20));
        }
        for slice in SLICES {
            world.connect(slice);
        }
        world
    }

    fn slicectl(&self, arguments: &[&str]) -> (i32, String) {
        slicectl(&self.edge, &self.files, arguments)
    }

    fn apply(&self, name: &str, text: &str) {
        let file = self.files.write(&format!("{name}.yaml"), text);
        let (code, said) = self.slicectl(&["apply", "-f", &file]);
        assert_eq!(code, 0, "{said}");
    }

    /// The peer's devices of a slice, and its devices' sessions.
    fn connect(&self, slice: &Slice) {
        for segment in 1..=3_u8 {
            let name = format!("s{segment}");
            let mut shown = serde_json::Value::Null;
            until("edge-a runs the segment, its AAA ready", Duration::from_secs(20), || {
                let (_, said) = self.slicectl(&["segment", "show", slice.name, &name, "-o", "json"]);
                shown = serde_json::from_str(&said).unwrap_or_default();
                said.contains("\"AAA_STATE_READY\"")
            });
            let (vni, own) = (&shown["vni"], address(slice, segment, 20));
            let device = vxlan(slice, segment);
            self.peer
                .script(&format!(
                    "ip -6 addr replace fd00:1::2/64 dev eth0 nodad
                     ip -6 addr replace fd00:0:b::1/128 dev lo nodad
                     ip -6 route replace fd00:0:a::1/128 via fd00:1::1
                     ip link add {device} type vxlan id {vni} local fd00:0:b::1 remote fd00:0:a::1 dstport 4789 gbp
                     ip link set {device} mtu 1500 up
                     ip addr add {own}/24 dev {device}"
                ))
                .unwrap();
            admit(
                &self.edge,
                shown["accessPort"].as_u64().unwrap(),
                &mac(slice, segment),
                &address(slice, segment, 11),
            );
            let devices = &self.devices[usize::from(slice.number) - 1];
            until("the first ping passes", Duration::from_secs(10), || {
                devices.output(&["ping", "-c", "1", "-W", "1", &own]).is_ok_and(|output| output.status.success())
            });
        }
    }

    /// Has a device send for a while.
    fn send(&self, slice: &Slice, segment: u8, octets: u32, megabits: f64, time: Duration) -> Child {
        let (to, frame) = (address(slice, segment, 20), octets.to_string());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let offered = ((megabits * 1e6) as u64).to_string();
        let mut command = self.devices[usize::from(slice.number) - 1].command(TESTBED);
        command.args(["part", "send", "--to", &to, "--frame-octets", &frame, "--offered", &offered]);
        command.args(["--milliseconds", &time.as_millis().to_string()]).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Packets that the peer's device of a segment has received.
    fn received(&self, slice: &Slice, segment: u8) -> u64 {
        let path = format!("/sys/class/net/{}/statistics/rx_packets", vxlan(slice, segment));
        self.peer.run(&["cat", &path]).unwrap().trim().parse().unwrap()
    }

    /// What arrives of each segment of both slices, in Mbit/s of device frames, over a while.
    fn rates(&self, octets: u32, time: Duration) -> [[f64; 3]; 2] {
        let count = || SLICES.map(|slice| [1, 2, 3].map(|segment| (Instant::now(), self.received(slice, segment))));
        let before = count();
        std::thread::sleep(time);
        let after = count();
        std::array::from_fn(|slice| {
            std::array::from_fn(|segment| {
                let ((from, sent), (to, got)) = (before[slice][segment], after[slice][segment]);
                #[allow(clippy::cast_precision_loss, reason = "thousands")]
                let bits = (got - sent) as f64 * f64::from(octets) * 8.0;
                bits / to.duration_since(from).as_secs_f64() / 1e6
            })
        })
    }

    /// Measures until a window is as expected, three at most: other work on the machine may disturb one.
    fn measure(&mut self, what: &str, octets: u32, holds: impl Fn(&[[f64; 3]; 2]) -> bool) {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let rates = self.rates(octets, WINDOW);
            writeln!(self.told, "{what}, {octets} octets: {rates:.3?} Mbit/s").unwrap();
            if holds(&rates) {
                return;
            }
            seen.push(rates);
        }
        panic!("{what}, {octets} octets: {seen:.3?}; drops: {}", self.slicectl(&["dataplane", "drops"]).1);
    }

    /// All six segments send more than there is. Factory has 4 Mbit/s, guarantee and ceiling, shared 50 : 30 : 20; handsets
    /// has what is left of the link.
    fn guarantees_hold(&mut self, octets: u32) {
        let time = 4 * WINDOW;
        let children: Vec<_> = SLICES
            .into_iter()
            .flat_map(|slice| (1..=3).map(move |segment| (slice, segment)))
            .map(|(slice, segment)| self.send(slice, segment, octets, if slice.number == 1 { 3.0 } else { 8.0 }, time))
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        self.measure("guarantees", octets, |[factory, _]| {
            within(factory.iter().sum(), 4.0)
                && within(factory[0], 2.0)
                && within(factory[1], 1.2)
                && within(factory[2], 0.8)
        });
        end(children);
    }

    /// One segment of handsets alone sends more than its ceiling, 30 % of 20 Mbit/s.
    fn ceilings_hold(&mut self, octets: u32) {
        let children = vec![self.send(&HANDSETS, 2, octets, 9.0, 4 * WINDOW)];
        std::thread::sleep(Duration::from_millis(500));
        self.measure("a ceiling", octets, |[_, handsets]| within(handsets[1], 6.0));
        end(children);
    }

    /// A device sends 1 Mbit/s all the time, while the ceiling of its slice changes from 20 to 10 Mbit/s and back, ten times.
    /// What its interface has sent arrives, but for what is refused by name: neighbour discovery from addresses that are not
    /// bound.
    fn a_rate_changes_without_loss(&mut self) {
        let sent = |world: &Self| -> u64 {
            let text = world.devices[1].run(&["cat", "/sys/class/net/dev1/statistics/tx_packets"]).unwrap();
            text.trim().parse().unwrap()
        };
        let refused = |world: &Self| common::drops(&world.edge, &world.files, "source-address");
        let before = (sent(self), self.received(&HANDSETS, 1), refused(self));
        let child = self.send(&HANDSETS, 1, 200, 1.0, Duration::from_secs(8));
        for change in 0..10 {
            self.apply("handsets", &HANDSETS.yaml((4, 4), if change % 2 == 0 { 10 } else { 20 }));
            std::thread::sleep(Duration::from_millis(500));
        }
        end(vec![child]);
        let (sent, got) = (sent(self) - before.0, self.received(&HANDSETS, 1) - before.1);
        writeln!(self.told, "ten changes of a rate: {sent} frames sent, {got} received").unwrap();
        assert!(sent > 4_000, "{sent}");
        let refused = refused(self) - before.2;
        let most = got + refused;
        assert!((got..=most).contains(&sent), "{sent} of {got}: {}", self.slicectl(&["dataplane", "drops"]).1);
    }

    /// TCP through the ceiling of a segment: iperf3 gets what is left of it by headers of Ethernet, IP and TCP with
    /// timestamps (1,448 of 1,514 octets), less what TCP loses by finding it.
    fn tcp_fills_a_ceiling(&mut self) {
        let mut server = self.peer.command("iperf3");
        let mut server = server.args(["-s", "-1"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let to = address(&HANDSETS, 2, 20);
        let said = self.devices[1].run(&["iperf3", "-c", &to, "-t", "6", "-O", "2", "-J"]).unwrap();
        let _ = server.wait();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let got = said["end"]["sum_received"]["bits_per_second"].as_f64().unwrap() / 1e6;
        let most = 6.0 * 1_448.0 / 1_514.0;
        writeln!(self.told, "TCP through 6 Mbit/s: {got:.3} Mbit/s of payload, {most:.3} at most").unwrap();
        assert!(got < most * 1.01 && got > most * 0.9, "{got} of {most}");
    }

    /// What a low-latency device sees while the other slice floods the link; told, not judged: this machine does other things.
    fn latency_under_load(&mut self) {
        let to = address(&FACTORY, 1, 20);
        let ping = ["ping", "-q", "-c", "400", "-i", "0.005", "-s", "64", &to];
        let quiet = self.devices[0].run(&ping).unwrap();
        let children: Vec<_> = (1..=3).map(|segment| self.send(&HANDSETS, segment, 1_500, 20.0, 2 * WINDOW)).collect();
        std::thread::sleep(Duration::from_millis(500));
        let loaded = self.devices[0].run(&ping).unwrap();
        end(children);
        for (when, said) in [("quiet", &quiet), ("flooded by the other slice", &loaded)] {
            writeln!(self.told, "ping of a factory device, {when}: {}", said.lines().last().unwrap_or_default())
                .unwrap();
        }
        assert!(loaded.contains(" 0% packet loss"), "{loaded}");
    }
}

impl Slice {
    /// Its documents: rates of the slice if it is the factory's, and the ceiling of the other.
    fn yaml(&self, (guaranteed, ceiling): (u32, u32), rest: u32) -> String {
        let (guaranteed, ceiling) = if self.number == 1 { (guaranteed, ceiling) } else { (2, rest) };
        let Self { name, number, template, sst, shares } = self;
        let port = number - 1;
        let mut text = format!(
            "apiVersion: microslice/v1
kind: Slice
metadata: {{ name: {name} }}
spec:
  template: {template}
  snssai: {{ sst: {sst} }}
  rate: {{ guaranteed: {guaranteed} Mbit/s, ceiling: {ceiling} Mbit/s }}
  latency: {{ max: 10 ms }}
  sdps:
    - {{ name: here, edge: edge-a, port: access{port} }}
    - {{ name: there, edge: kernel, port: access{port} }}
"
        );
        for (segment, share) in (1..).zip(shares) {
            write!(
                text,
                "---
apiVersion: microslice/v1
kind: MicroSegment
metadata: {{ name: s{segment}, slice: {name} }}
spec: {{ profile: smart-metering, at: [edge-a, kernel], share: {share} %, ceiling: {share} % }}
---
apiVersion: microslice/v1
kind: Realm
metadata: {{ name: s{segment}, slice: {name} }}
spec:
  clients:
    - {{ name: here, addresses: [127.0.0.1/32] }}
"
            )
            .unwrap();
        }
        text
    }
}

/// Within 1 %.
fn within(measured: f64, expected: f64) -> bool {
    (measured / expected - 1.0).abs() <= 0.01
}

fn end(children: Vec<Child>) {
    for mut child in children {
        let _ = child.wait();
    }
    // What waits has left.
    std::thread::sleep(Duration::from_millis(500));
}

fn mac(slice: &Slice, segment: u8) -> String {
    format!("02:00:00:00:{:02x}:{segment:02x}", slice.number)
}

fn address(slice: &Slice, segment: u8, host: u8) -> String {
    format!("10.{}.{segment}.{host}", 80 + slice.number)
}

fn vxlan(slice: &Slice, segment: u8) -> String {
    format!("vx{}s{segment}", slice.number)
}

/// The profiles of the project, but that the packets of a URLLC slice may be as long as the others'.
fn longer_packets(files: &Files) {
    let (from, to) = (concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles"), files.path("profiles"));
    assert!(std::process::Command::new("cp").args(["-r", from, &to]).status().unwrap().success());
    let template = files.folder.join("profiles/templates/urllc.yaml");
    let text = std::fs::read_to_string(&template).unwrap();
    assert!(text.contains(": 256 bytes"));
    std::fs::write(template, text.replace(": 256 bytes", ": 1500 bytes")).unwrap();
}

/// A secrets file, readable by its owner only.
fn secrets(files: &Files, slice: &Slice, segment: u8) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = files.folder.join("secrets").join(slice.name).join(format!("s{segment}.yaml"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = "clients:\n  - { name: here, secret: \"not-much-of-a-secret\" }\nusers:\n  - { name: dev, password: \"let-me-in\" }\n";
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

const WINDOW: Duration = Duration::from_secs(3);
const TOPOLOGY: &str = "\
apiVersion: microslice/v1
kind: Topology
metadata: { name: qos }
spec:
  pools: { vni: { first: 7700, last: 7799 }, radiusPorts: { first: 20000, last: 20099 } }
  nodes:
    - name: edge-a
      role: edge
      loopback: { ipv6: \"fd00:0:a::1\" }
      ports:
        - { name: access0, rate: 1 Gbit/s }
        - { name: access1, rate: 1 Gbit/s }
        - { name: core0, rate: 1 Gbit/s, mtu: 1600 }
    - name: kernel
      role: edge
      loopback: { ipv6: \"fd00:0:b::1\" }
      ports:
        - { name: access0, rate: 1 Gbit/s }
        - { name: access1, rate: 1 Gbit/s }
        - { name: core0, rate: 1 Gbit/s, mtu: 1600 }
  links:
    - name: edge-a--kernel
      a: { node: edge-a, port: core0, addresses: [\"fd00:1::1/64\"] }
      b: { node: kernel, port: core0, addresses: [\"fd00:1::2/64\"] }
      capacity: 20 Mbit/s
      delay: 100 us
";
