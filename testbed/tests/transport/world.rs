//! The reference world in namespaces: two edges, two core nodes between them, a device behind each edge.
//!
//! ```text
//!                        to-edge-a       to-edge-c
//!             core0 ──────────── [core-1] ──────────── core0
//!   dev-a ── [edge-a]               │               [edge-c] ── dev-c
//!             core1 ──────────── [core-2] ──────────── core1
//! ```
//!
//! Link k--x has `fd00:k:x::/64` and `10.k.n.0/24`: the core node is 1, the edge 2. The link between the core nodes has
//! `fd00:12::/64` and `10.12.0.0/24`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api::v1;
use model::program::Program;
use prost::Message as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sha2::{Digest as _, Sha256};
use testbed::netns::{Namespace, Running};
use testbed::world::nas::{Method, Nas};

use crate::program::{ACCESS_PORT, Service, Side};

/// The namespaces, and what runs in them.
pub(crate) struct World {
    spaces: BTreeMap<&'static str, Namespace>,
    running: BTreeMap<String, Running>,
    folder: PathBuf,
}

impl World {
    /// Makes it; no node does anything yet.
    pub(crate) fn new(tag: &str) -> Self {
        let logs = std::env::var_os("MICROSLICE_LOGS").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = logs.join(format!("transport-{tag}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let spaces = NODES.iter().map(|node| (*node, Namespace::new(&format!("{tag}{node}")).unwrap())).collect();
        let world = Self { spaces, running: BTreeMap::new(), folder };
        for space in world.spaces.values() {
            // Addresses work at once; whoever forwards here does it as it is told, and as loosely as a router.
            space
                .script(
                    "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
                     sysctl -qw net.ipv6.conf.default.router_solicitations=0
                     sysctl -qw net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
                )
                .unwrap();
        }
        for side in Side::BOTH {
            let (edge, device) = (world.space(side.edge()), world.space(side.device()));
            edge.join("access0", device, "eth0", 1500).unwrap();
            for core in 1..=2 {
                let there = format!("to-{}", side.edge());
                edge.join(&format!("core{}", core - 1), world.space(CORES[core - 1]), &there, CORE_MTU).unwrap();
            }
        }
        world.space("core-1").join("to-core-2", world.space("core-2"), "to-core-1", CORE_MTU).unwrap();
        world
    }

    pub(crate) fn space(&self, node: &str) -> &Namespace {
        &self.spaces[node]
    }

    /// Where a file of this world goes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Gives both devices their addresses for a service, and no others.
    pub(crate) fn address_devices(&self, service: Service) {
        for side in Side::BOTH {
            let device = self.space(side.device());
            let (v4, v6) = side.device_addresses(service);
            let mac = side.mac_text();
            device
                .script(&format!(
                    "ip link set eth0 down
                     ip addr flush dev eth0
                     ip link set eth0 address {mac}
                     ip link set eth0 up
                     ip addr add {v4}/24 dev eth0
                     ip -6 addr add {v6}/64 dev eth0 nodad"
                ))
                .unwrap();
            // A device sends frames as long as they are on a wire, with their checksums.
            device.run(&["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off"]).unwrap();
            if service == Service::L3 {
                let (v4, v6) = side.gateways();
                device
                    .script(&format!("ip route replace default via {v4}\nip -6 route replace default via {v6}"))
                    .unwrap();
            }
        }
    }

    /// Starts a node of ours with a program, without a manager; the program is what it finds on disk.
    pub(crate) fn start(&mut self, node: &'static str, program: &Program) {
        self.stop(node);
        let space = self.space(node);
        let state = self.folder.join(format!("{node}-state"));
        let _ = fs::remove_dir_all(&state);
        fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
        fs::write(state.join("program"), encode(program)).unwrap();
        let secrets = self.folder.join(format!("{node}-secrets"));
        let ports: &[&str] = match node {
            "core-1" => &["to-edge-a", "to-edge-c", "to-core-2"],
            "core-2" => &["to-edge-a", "to-edge-c", "to-core-1"],
            _ => &["access0", "core0", "core1"],
        };
        let mut command = space.command(TESTBED);
        command.args(["part", "mec-edge", "--name", node, "--state"]).arg(&state);
        command.arg("--secrets").arg(&secrets).args(["--sessions-max", "64"]);
        for port in ports {
            // The kernel must not answer beside us.
            space.run(&["sysctl", "-qw", &format!("net.ipv6.conf.{port}.disable_ipv6=1")]).unwrap();
            command.args(["--port", &format!("{port}=af-packet:{port}")]);
        }
        let log = self.folder.join(format!("{node}.log"));
        self.running.insert(node.to_owned(), Running::start(command, &log).unwrap());
    }

    /// Ends a node of ours as `kill -9` does.
    pub(crate) fn stop(&mut self, node: &str) {
        if let Some(running) = self.running.remove(node) {
            running.kill();
        }
    }

    /// Something else that runs in a namespace, until the world ends or it is stopped.
    pub(crate) fn keep(&mut self, name: String, running: Running) {
        self.running.insert(name, running);
    }

    /// Starts an edge, and authenticates its device with the segment's AAA.
    pub(crate) fn start_edge(&mut self, side: Side, service: Service, program: &Program) {
        let (v4, v6) = side.device_addresses(service);
        let users = format!(
            "clients:\n  - {{ name: here, secret: \"{SECRET}\" }}\nusers:\n  - {{ name: dev, password: \"let-me-in\", \
             address: {v4}, address6: \"{v6}\" }}\n"
        );
        let folder = self.folder.join(format!("{}-secrets/lab", side.edge()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("things.yaml");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file).unwrap();
        std::io::Write::write_all(&mut file, users.as_bytes()).unwrap();
        self.start(side.edge(), program);
        self.authenticate(side);
    }

    fn authenticate(&self, side: Side) {
        let server = SocketAddr::from(([127, 0, 0, 1], ACCESS_PORT));
        let accepted = inside(self.space(side.edge()), || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let deadline = Instant::now() + PATIENCE;
                let mut seed = 0;
                while Instant::now() < deadline {
                    seed += 1;
                    let mut nas = Nas::new([127, 0, 0, 1].into(), SECRET, seed).await.unwrap();
                    let ask = nas.authenticate(server, Method::Pap, "dev", "let-me-in", (side.mac().0, None));
                    if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_millis(250), ask).await {
                        return answer.code == 2;
                    }
                }
                false
            })
        });
        let log = || fs::read_to_string(self.file(&format!("{}.log", side.edge()))).unwrap_or_default();
        assert!(accepted, "{} did not authenticate its device:\n{}", side.edge(), log());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.clear();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Does something in a namespace, in a thread of its own.
pub(crate) fn inside<T: Send>(space: &Namespace, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = fs::File::open(Path::new("/run/netns").join(space.name())).unwrap();
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
    })
}

/// Asks until it is so, or patience ends.
pub(crate) fn until(patience: Duration, mut so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program as an edge keeps it.
fn encode(program: &Program) -> Vec<u8> {
    let message = v1::Program::from(program).encode_to_vec();
    let mut octets = b"MSEDGE1\n".to_vec();
    octets.extend((message.len() as u64).to_be_bytes());
    octets.extend(Sha256::digest(&message));
    octets.extend(message);
    octets
}

/// Every namespace.
const NODES: [&str; 6] = ["dev-a", "edge-a", "core-1", "core-2", "edge-c", "dev-c"];
pub(crate) const CORES: [&str; 2] = ["core-1", "core-2"];
/// Of every link of the core: a full frame, wrapped for three segments, fits.
/// A frame of 1,500 octets with the whole list of three segments needs 1,610.
pub(crate) const CORE_MTU: u16 = 1_650;
const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");
const SECRET: &str = "not-much-of-a-secret";
/// How long anything may take before it counts as failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
