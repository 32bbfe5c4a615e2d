//! Core nodes that are Linux kernels, told by a manager what to do, with the real programs in namespaces: slices are
//! planned, observed, carried by the kernels; what is spoilt by hand is named and repaired; agents die in the middle.
//!
//! ```text
//!                     to-edge-a        to-edge-c
//!          core0 ──────────── [core-1] ──────────── core0
//!  dev-a ─ [edge-a]               │               [edge-c] ─ dev-c
//!          core1 ──────────── [core-2] ──────────── core1
//!
//!  mgmt (bridge 192.0.2.0/24): slice-manager, slicectl, mgmt0 of each node
//! ```
//!
//! The way over core-2 is the shorter one. The slice over SRv6 must not take it: at core-1 it is pinned by an End.X.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Files, TESTBED, admit, until};
use testbed::netns::{Namespace, Running};

#[test]
#[ignore = "needs root"]
fn a_slice_over_srv6_crosses_a_kernel_whose_sids_are_watched_and_repaired() {
    let mut world = World::new("kc6");
    let core = "core-1";
    world.space(core).script("ip -6 route add fd99::/64 dev to-core-2 proto static").unwrap();
    world.apply("slice", &slice("srv6", "excludeNodes: [core-2], "));
    world.authenticate();
    assert_eq!(world.pings(20), 20);
    world.verified();

    // Somebody takes away the SID that pins the path.
    let pinned =
        world.sids(core).into_iter().find(|(_, action)| action.contains("End.X") && action.contains("fd00:1:c::2"));
    let sid = pinned.expect("core-1 has a SID for its link to edge-c").0;
    world.space(core).run(&["ip", "-6", "route", "del", &sid]).unwrap();
    let spoilt = Instant::now();
    until("the drift is named", Duration::from_secs(10), || world.drift().contains(&sid));
    println!("the loss of a SID is named after {:?}", spoilt.elapsed());
    let drift = world.drift();
    assert!(drift.contains(core) && drift.contains("End.X") && drift.contains("nothing"), "{drift}");
    assert!(world.slicectl(&["transport", "verify"]).1.contains(&format!("SID {sid}")));
    assert_eq!(world.pings(3), 0, "and nothing passes any more");
    let (code, node) = world.slicectl(&["node", "show", core]);
    assert!(code == 0 && node.contains(&sid), "{node}");
    let (code, said) = world.slicectl(&["transport", "repair", "--node", core]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.pings(20), 20);
    world.verified();

    // The kernel goes on without its agent; another one goes on from the disk, with the manager away.
    world.stop(core);
    assert_eq!(world.pings(20), 20);
    world.stop("manager");
    world.space(core).run(&["ip", "-6", "route", "flush", "proto", "201"]).unwrap();
    assert_eq!(world.sids(core), []);
    world.start_core(core);
    until("the kernel has its program again", Duration::from_secs(10), || {
        world.sids(core).iter().any(|(s, _)| *s == sid)
    });
    assert_eq!(world.pings(20), 20);
    world.start_manager();
    until("the nodes are back", Duration::from_secs(20), || world.slicectl(&["transport", "verify"]).0 == 0);

    // Killed at any point, it leaves what the next one completes.
    for round in 0..20 {
        world.stop(core);
        world.space(core).run(&["ip", "-6", "route", "flush", "proto", "201"]).unwrap();
        world.start_core(core);
        std::thread::sleep(Duration::from_millis(20 + round * 5));
    }
    until("it is whole", Duration::from_secs(20), || world.slicectl(&["transport", "verify"]).0 == 0);
    assert_eq!(world.pings(20), 20);

    // What is not ours was there all the time, and is what is left.
    world.slicectl(&["delete", "-f", &world.files.path("slice.yaml"), "--wait"]);
    let bare = topology().replace("control: linux", "control: static");
    world.apply("topology", &bare);
    let ours =
        |world: &World| world.space(core).run(&["ip", "-6", "route", "show", "table", "all", "proto", "201"]).unwrap();
    until("ours is gone", Duration::from_secs(10), || ours(&world).is_empty());
    let all = world.space(core).run(&["ip", "-6", "route", "show"]).unwrap();
    assert!(all.contains("fd99::/64 dev to-core-2 proto static"), "{all}");
    assert!(!world.space(core).run(&["ip", "link"]).unwrap().contains("ms-sid"));
    assert!(!world.space(core).run(&["ip", "addr", "show", "dev", "to-edge-a"]).unwrap().contains("fd00:1:a::1"));
}

#[test]
#[ignore = "needs root"]
fn a_slice_over_vxlan_has_its_class_where_it_crosses_a_kernel() {
    let world = World::new("kcv");
    world.apply("slice", &slice("vxlan", ""));
    world.authenticate();
    assert_eq!(world.pings(20), 20);
    world.verified();

    // It takes the shorter way; towards edge-c its packets are in its class.
    let core = "core-2";
    let classes = |world: &World| world.space(core).run(&["tc", "-s", "class", "show", "dev", "to-edge-c"]).unwrap();
    let told = classes(&world);
    let class = told.split("class htb ").find(|class| class.starts_with("6d73:4 ")).expect(&told);
    assert!(class.contains("rate 10Mbit ceil 100Mbit"), "{class}");
    let sent: u64 = class.split("Sent ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(sent > 20 * 98, "{told}");
    let rest = told.split("class htb ").find(|class| class.starts_with("6d73:2 ")).expect(&told);
    assert!(rest.contains("rate 990Mbit ceil 1Gbit"), "{rest}");

    let change = "class change dev to-edge-c parent 6d73:1 classid 6d73:4 htb rate 1mbit ceil 2mbit";
    let change: Vec<&str> = ["tc"].into_iter().chain(change.split(' ')).collect();
    world.space(core).run(&change).unwrap();
    until("the drift is named", Duration::from_secs(10), || world.drift().contains("class 4 of to-edge-c"));
    let (code, said) = world.slicectl(&["transport", "verify", "--node", core]);
    assert!(code != 0 && said.contains("class of lab on to-edge-c") && said.contains("guaranteed 10 Mbit/s"), "{said}");
    assert_eq!(world.slicectl(&["transport", "repair"]).0, 0);
    world.verified();

    // A port takes its routes along when it goes, and they come back with it.
    world.space(core).script("ip link set to-edge-c down").unwrap();
    until("the port is missed", Duration::from_secs(10), || world.drift().contains("link to-edge-c up"));
    world.space(core).script("ip link set to-edge-c up").unwrap();
    until("all is well", Duration::from_secs(20), || world.slicectl(&["transport", "verify", "--node", core]).0 == 0);
    until("packets pass", Duration::from_secs(10), || world.pings(1) == 1);

    // Nothing is claimed of a box that does not forward.
    world.space(core).script("sysctl -qw net.ipv6.conf.all.forwarding=0").unwrap();
    until("it is named", Duration::from_secs(10), || world.drift().contains("net.ipv6.conf.all.forwarding=1"));
    let (code, said) = world.slicectl(&["transport", "repair", "--node", core]);
    assert!(code != 0, "{said}");
    assert!(world.drift().contains("it is for the owner of the box to do"), "{}", world.drift());
    world.space(core).script("sysctl -qw net.ipv6.conf.all.forwarding=1").unwrap();
    until("all is well", Duration::from_secs(10), || world.drift().trim().lines().count() <= 1);
    // Addresses of ports that had stopped forwarding are as they were.
    until("it is verified", Duration::from_secs(10), || {
        world.slicectl(&["transport", "verify", "--node", core]).0 == 0
    });
    assert_eq!(world.pings(20), 20);
}

/// The namespaces, and what runs in them.
struct World {
    files: Files,
    spaces: BTreeMap<&'static str, Namespace>,
    running: BTreeMap<String, Running>,
}

impl World {
    /// With a manager, edges and core nodes that run, and the topology applied and observed.
    fn new(tag: &str) -> Self {
        let spaces = ["mgmt", "edge-a", "edge-c", "core-1", "core-2", "dev-a", "dev-c"];
        let spaces = spaces.map(|node| (node, Namespace::new(&format!("{tag}{node}")).unwrap())).into();
        let files = Files::of(tag, MANAGER, &NODES.map(|(node, _)| node));
        let mut world = Self { files, spaces, running: BTreeMap::new() };
        world.wire();
        let secret = "clients:\n  - { name: here, secret: \"not-much-of-a-secret\" }\nusers:\n  - { name: dev, password: \"let-me-in\" }\n";
        world.files.secrets("things", secret);
        world.start_manager();
        for edge in ["edge-a", "edge-c"] {
            world.start_edge(edge);
        }
        for core in ["core-1", "core-2"] {
            world.start_core(core);
        }
        world.apply("topology", &topology());
        world
    }

    /// Links, and the addresses of devices and management. Core nodes get theirs from the manager.
    fn wire(&self) {
        self.space("mgmt")
            .script(&format!("ip link add br0 type bridge\nip link set br0 up\nip addr add {MANAGER}/24 dev br0"))
            .unwrap();
        for (node, number) in NODES {
            let space = self.space(node);
            space.join("mgmt0", self.space("mgmt"), node, 1500).unwrap();
            space.script(&format!("ip addr add 192.0.2.{number}/24 dev mgmt0")).unwrap();
            self.space("mgmt").script(&format!("ip link set {node} master br0")).unwrap();
        }
        for (letter, host) in [("a", 11), ("c", 13)] {
            let (edge, device) = (self.space(&format!("edge-{letter}")), self.space(&format!("dev-{letter}")));
            edge.join("access0", device, "eth0", 1500).unwrap();
            device
                .script(&format!(
                    "ip link set eth0 address 02:00:00:00:77:{host}\nip addr add 10.77.0.{host}/24 dev eth0"
                ))
                .unwrap();
            for core in 1..=2 {
                let port = format!("core{}", core - 1);
                edge.join(&port, self.space(&format!("core-{core}")), &format!("to-edge-{letter}"), 1600).unwrap();
                edge.script(&format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=1")).unwrap();
            }
        }
        self.space("core-1").join("to-core-2", self.space("core-2"), "to-core-1", 1600).unwrap();
        for core in ["core-1", "core-2"] {
            // What the owner of a box sees to.
            self.space(core).script("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1").unwrap();
        }
    }

    fn space(&self, node: &str) -> &Namespace {
        &self.spaces[node]
    }

    fn start(&mut self, name: &str, command: std::process::Command) {
        let running = Running::start(command, Path::new(&self.files.path(&format!("{name}.log")))).unwrap();
        self.running.insert(name.to_owned(), running);
    }

    /// Ends it as `kill -9` does.
    fn stop(&mut self, name: &str) {
        self.running.remove(name).unwrap().kill();
    }

    fn start_manager(&mut self) {
        let mut command = self.space("mgmt").command(TESTBED);
        command.args(["part", "slice-manager", "--listen", &format!("{MANAGER}:7443")]);
        command.args(["--tls-dir", &self.files.path("tls/manager"), "--store", &self.files.path("store")]);
        self.start("manager", command);
        until("the manager answers", Duration::from_secs(10), || self.slicectl(&["node", "list"]).0 == 0);
    }

    fn node(&self, node: &str) -> std::process::Command {
        let mut command = self.space(node).command(TESTBED);
        command.args(["part", "mec-edge", "--name", node, "--manager", &format!("https://{MANAGER}:7443")]);
        command.args(["--tls-dir", &self.files.path(&format!("tls/{node}"))]);
        command.args(["--state", &self.files.path(&format!("state/{node}"))]);
        command
    }

    fn start_edge(&mut self, edge: &str) {
        let mut command = self.node(edge);
        command.args(["--secrets", &self.files.path("secrets")]);
        for port in ["access0", "core0", "core1"] {
            command.args(["--port", &format!("{port}=af-packet:{port}")]);
        }
        self.start(edge, command);
    }

    fn start_core(&mut self, core: &str) {
        let mut command = self.node(core);
        command.args(["--device", "linux"]);
        self.running.remove(core);
        self.start(core, command);
    }

    /// Runs slicectl; answers its exit code and all that it wrote.
    fn slicectl(&self, arguments: &[&str]) -> (i32, String) {
        let (manager, tls) = (format!("https://{MANAGER}:7443"), self.files.path("tls/operator"));
        let global = [TESTBED, "part", "slicectl", "--manager", &manager, "--tls-dir", &tls];
        let output = self.space("mgmt").output(&[&global[..], arguments].concat()).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), said)
    }

    /// Applies a file, and waits until it is observed.
    fn apply(&self, name: &str, text: &str) {
        let file = self.files.write(&format!("{name}.yaml"), text);
        let (code, said) = self.slicectl(&["apply", "-f", &file, "--wait", "--timeout", "30s"]);
        let log = |core: &str| std::fs::read_to_string(self.files.path(&format!("{core}.log"))).unwrap_or_default();
        assert_eq!(code, 0, "{said}\n{}\n{}", log("core-1"), log("core-2"));
    }

    fn verified(&self) {
        let (code, said) = self.slicectl(&["transport", "verify"]);
        assert_eq!(code, 0, "{said}");
    }

    fn drift(&self) -> String {
        self.slicectl(&["transport", "drift"]).1
    }

    /// SIDs of ours in a kernel, with what is done.
    fn sids(&self, core: &str) -> Vec<(String, String)> {
        let routes = self.space(core).run(&["ip", "-6", "route", "show", "proto", "201"]).unwrap();
        let sids = routes.lines().filter(|line| line.contains("seg6local"));
        sids.filter_map(|line| line.split_once(' ')).map(|(sid, action)| (sid.to_owned(), action.to_owned())).collect()
    }

    /// Both devices, with the AAA of their edge.
    fn authenticate(&self) {
        let (_, said) = self.slicectl(&["segment", "show", "lab", "things", "-o", "json"]);
        let segment: serde_json::Value = serde_json::from_str(&said).unwrap();
        let access_port = segment["accessPort"].as_u64().unwrap();
        for (edge, host) in [("edge-a", 11), ("edge-c", 13)] {
            let (mac, address) = (format!("02:00:00:00:77:{host}"), format!("10.77.0.{host}"));
            admit(self.space(edge), access_port, &mac, &address);
        }
        until("the first ping passes", Duration::from_secs(10), || self.pings(1) == 1);
    }

    /// How many of so many pings from one device to the other are answered.
    fn pings(&self, count: u32) -> u32 {
        let count = count.to_string();
        let output =
            self.space("dev-a").output(&["ping", "-c", &count, "-i", "0.02", "-W", "1", "10.77.0.13"]).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let received = said.split(", ").find_map(|part| part.strip_suffix(" received"));
        received.and_then(|count| count.parse().ok()).unwrap_or_default()
    }
}

fn topology() -> String {
    let core = |number: u8| {
        let port = |to: &str| format!("{{ name: to-{to}, rate: 1 Gbit/s, mtu: 1600 }}");
        let ports = [port("edge-a"), port("edge-c"), port(&format!("core-{}", 3 - number))].join(", ");
        format!(
            "    - {{ name: core-{number}, role: core, control: linux, loopback: {{ ipv6: \"fd00:0:{number}::1\" }}, locator: \
             \"fc00:{number}::/48\", ports: [{ports}] }}\n"
        )
    };
    let edge = |letter: &str| {
        format!(
            "    - {{ name: edge-{letter}, role: edge, loopback: {{ ipv6: \"fd00:0:{letter}::1\" }}, locator: \
             \"fc00:{letter}::/48\", ports: [{{ name: access0, rate: 1 Gbit/s }}, {{ name: core0, rate: 1 Gbit/s, mtu: 1600 \
             }}, {{ name: core1, rate: 1 Gbit/s, mtu: 1600 }}] }}\n"
        )
    };
    let link = |core: u8, letter: &str, cost: u32| {
        let port = core - 1;
        format!(
            "    - {{ name: core-{core}--edge-{letter}, capacity: 1 Gbit/s, delay: 100 us, cost: {cost}, a: {{ node: core-{core}, \
             port: to-edge-{letter}, addresses: [\"fd00:{core}:{letter}::1/64\"] }}, b: {{ node: edge-{letter}, port: core{port}, \
             addresses: [\"fd00:{core}:{letter}::2/64\"] }} }}\n"
        )
    };
    let between = "    - { name: core-1--core-2, capacity: 1 Gbit/s, delay: 100 us, cost: 10, a: { node: core-1, port: \
                   to-core-2, addresses: [\"fd00:12::1/64\"] }, b: { node: core-2, port: to-core-1, addresses: \
                   [\"fd00:12::2/64\"] } }\n";
    let nodes = [edge("a"), edge("c"), core(1), core(2)].concat();
    let links = [link(1, "a", 10), link(1, "c", 100), link(2, "a", 10), link(2, "c", 10), between.to_owned()].concat();
    format!(
        "apiVersion: microslice/v1\nkind: Topology\nmetadata: {{ name: lab }}\nspec:\n  pools: {{ vni: {{ first: 7700, last: 7799 \
         }}, radiusPorts: {{ first: 20000, last: 20099 }} }}\n  nodes:\n{nodes}  links:\n{links}"
    )
}

fn slice(transport: &str, paths: &str) -> String {
    format!(
        "apiVersion: microslice/v1
kind: Slice
metadata: {{ name: lab }}
spec:
  template: miot
  sessionRates: {{ fromAccess: 100 Mbit/s }}
  snssai: {{ sst: 3, sd: \"00BEEF\" }}
  service: l2-point-to-point
  transport: {transport}
  rate: {{ guaranteed: 10 Mbit/s, ceiling: 100 Mbit/s }}
  latency: {{ max: 10 ms }}
  paths: {{ {paths}backup: none }}
  sdps:
    - {{ name: here, edge: edge-a, port: access0 }}
    - {{ name: there, edge: edge-c, port: access0 }}
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: {{ name: things, slice: lab }}
spec: {{ profile: smart-metering, at: [edge-a, edge-c] }}
---
apiVersion: microslice/v1
kind: Realm
metadata: {{ name: things, slice: lab }}
spec:
  clients:
    - {{ name: here, addresses: [127.0.0.1/32] }}
"
    )
}

/// Who is in the management network, and its last octet there.
const NODES: [(&str, u8); 4] = [("edge-a", 11), ("edge-c", 13), ("core-1", 21), ("core-2", 22)];
const MANAGER: &str = "192.0.2.1";
