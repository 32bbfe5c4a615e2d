//! The lab in network namespaces: a process for each part, veth pairs, Linux bridges as access switches, kernel sockets as
//! devices.
//!
//! ```text
//!   device ── switch (bridge, isolated ports) ── access0 [edge] core0 ── [core-1] ── …
//!                                                         core1 ── [core-2] ── …
//!   mgmt (bridge 192.0.2.0/24): slice-manager, slicectl, authenticators, mgmt0 of each node
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::cast::{self, Actor};
use super::lab::{Delivery, Flow, Lab, LabError, Told};
use super::material::Material;
use crate::netns::{Namespace, Running};
use crate::parts::{AnswerText, Got, Sent};
use crate::world::nas::{Answer, Method};

/// The lab in namespaces.
#[derive(Debug)]
pub(super) struct Namespaces {
    material: Material,
    binary: String,
    mgmt: Namespace,
    nodes: BTreeMap<&'static str, Namespace>,
    devices: BTreeMap<&'static str, Namespace>,
    switches: Vec<Namespace>,
    manager: Option<Running>,
    running: BTreeMap<String, Running>,
    captures: Vec<(PathBuf, Running)>,
    exchanges: u64,
}

impl Namespaces {
    /// Makes namespaces, links, addresses and routes; starts nothing of the product.
    pub(super) fn new(material: Material) -> Result<Self, LabError> {
        let binary = std::env::current_exe()?.display().to_string();
        let mgmt = Namespace::new("mgmt")?;
        mgmt.script(&format!("ip link add br0 type bridge\nip link set br0 up\nip addr add {MANAGER}/24 dev br0"))?;
        let mut lab = Self {
            material,
            binary,
            mgmt,
            nodes: BTreeMap::new(),
            devices: BTreeMap::new(),
            switches: Vec::new(),
            manager: None,
            running: BTreeMap::new(),
            captures: Vec::new(),
            exchanges: 0,
        };
        for (edge, _, number) in cast::EDGES {
            lab.add_node(edge, number)?;
            lab.add_switch(edge)?;
        }
        for (core, number) in cast::CORES.into_iter().zip(21..) {
            lab.add_node(core, number)?;
        }
        for (near, far) in cast::cables() {
            lab.nodes[near.0].join(near.1, &lab.nodes[far.0], far.1, 1600)?;
            // These addresses are the product's: the kernel must not answer for them, nor speak of its own accord.
            for (node, port) in [near, far] {
                lab.nodes[node].script(&format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=1"))?;
            }
        }
        for actor in cast::MEMBERS.into_iter().chain([cast::INTRUDER]) {
            lab.add_device(&actor)?;
        }
        Ok(lab)
    }

    /// A node, which reaches the manager.
    fn add_node(&mut self, node: &'static str, number: u8) -> Result<(), LabError> {
        let namespace = Namespace::new(node)?;
        namespace.join("mgmt0", &self.mgmt, node, 1500)?;
        self.mgmt.script(&format!("ip link set {node} master br0\nip addr add 192.0.2.{number}/24 dev br0"))?;
        namespace.script(&format!("ip addr add {}/24 dev mgmt0", aaa_address(number)))?;
        self.nodes.insert(node, namespace);
        Ok(())
    }

    /// The access switch of an edge.
    fn add_switch(&mut self, edge: &str) -> Result<(), LabError> {
        let switch = Namespace::new(&format!("sw-{edge}"))?;
        switch.script("ip link add br0 type bridge\nip link set br0 up")?;
        self.nodes[edge].join(cast::ACCESS, &switch, "trunk", 1500)?;
        switch.script("ip link set trunk master br0")?;
        self.switches.push(switch);
        Ok(())
    }

    fn add_device(&mut self, actor: &Actor) -> Result<(), LabError> {
        let suffix = format!("sw-{}", actor.edge);
        let switch =
            self.switches.iter().find(|n| n.name().ends_with(&suffix)).ok_or_else(|| LabError::new("no switch"))?;
        let namespace = Namespace::new(actor.name)?;
        let port = format!("p{}", actor.number);
        namespace.join("eth0", switch, &port, 1500)?;
        namespace.script(&format!(
            "ip link set eth0 down\nip link set eth0 address {}\nip link set eth0 up\nip addr add {}/24 dev eth0",
            actor.mac_text(),
            actor.address()
        ))?;
        switch.script(&format!("ip link set {port} master br0\nbridge link set dev {port} isolated on"))?;
        self.devices.insert(actor.name, namespace);
        Ok(())
    }

    /// Captures what arrives at the core nodes, from now on.
    pub(super) fn start_capture(&mut self) -> Result<(), LabError> {
        for core in cast::CORES {
            let namespace = &self.nodes[core];
            let file = self.material.folder().join(format!("{core}.pcap"));
            let mut command = namespace.command(&self.binary);
            command.args(["part", "capture", "--file"]).arg(&file);
            for port in cast::ports(core) {
                command.args(["--interface", port]);
            }
            let log = self.material.folder().join(format!("{core}-capture.log"));
            self.captures.push((file, Running::start(command, &log)?));
        }
        Ok(())
    }

    fn part(&self, namespace: &Namespace, arguments: &[&str]) -> Result<Child, LabError> {
        let mut command = namespace.command(&self.binary);
        command.arg("part").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command.spawn()?)
    }

    async fn nas(&mut self, actor: &Actor, port: u16, more: &[&str]) -> Result<Answer, LabError> {
        self.exchanges += 1;
        let (_, _, number) = edge_row(actor)?;
        let mac = actor.mac_text();
        let server = format!("{}:{port}", aaa_address(number));
        let from = format!("192.0.2.{number}");
        let seed = (self.material.seed() ^ self.exchanges).to_string();
        let secret = self.material.secret(actor.edge);
        let mut arguments = vec![
            "nas", "--server", &server, "--from", &from, "--secret", &secret, "--user", actor.name, "--mac", &mac,
            "--seed", &seed,
        ];
        arguments.extend(more);
        let child = self.part(&self.mgmt, &arguments)?;
        collect::<AnswerText>(child).await.map(Into::into)
    }
}

impl Lab for Namespaces {
    fn describe(&self) -> String {
        "a process and a namespace for each part, kernel sockets, real traffic".to_owned()
    }

    fn files(&self) -> &Path {
        self.material.folder()
    }

    async fn start_manager(&mut self) -> Result<(), LabError> {
        let mut command = self.mgmt.command(&self.binary);
        command.args(["part", "slice-manager", "--listen", &format!("{MANAGER}:7443")]);
        command
            .arg("--tls-dir")
            .arg(self.material.tls("manager"))
            .arg("--store")
            .arg(self.material.folder().join("store"));
        self.manager = Some(Running::start(command, &self.material.folder().join("slice-manager.log"))?);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.slicectl(&["node", "list"]).await?.code != 0 {
            if Instant::now() > deadline {
                return Err(LabError::new("the manager does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn stop_manager(&mut self) -> Result<(), LabError> {
        if let Some(manager) = self.manager.take() {
            manager.kill();
        }
        Ok(())
    }

    async fn start_node(&mut self, node: &str) -> Result<(), LabError> {
        let (name, number) = cast::node(node).ok_or_else(|| LabError::new("no such node"))?;
        let mut command = self.nodes[name].command(&self.binary);
        command.args(["part", "mec-edge", "--name", name, "--manager", &format!("https://{MANAGER}:7443")]);
        command.arg("--tls-dir").arg(self.material.tls(name)).arg("--state").arg(self.material.state(name));
        command
            .arg("--secrets")
            .arg(self.material.secrets(name))
            .args(["--aaa-address", &aaa_address(number).to_string()]);
        command.args(["--workers", &cast::workers(name).to_string()]);
        for port in cast::ports(name) {
            command.args(["--port", &format!("{port}=af-packet:{port}")]);
        }
        let log = self.material.folder().join(format!("{name}.log"));
        self.running.insert(name.to_owned(), Running::start(command, &log)?);
        Ok(())
    }

    async fn stop_node(&mut self, node: &str) -> Result<(), LabError> {
        if let Some(node) = self.running.remove(node) {
            node.kill();
        }
        Ok(())
    }

    async fn slicectl(&mut self, arguments: &[&str]) -> Result<Told, LabError> {
        let manager = format!("https://{MANAGER}:7443");
        let tls = self.material.tls("operator").display().to_string();
        let global = ["slicectl", "--manager", &manager, "--tls-dir", &tls];
        let output = wait(self.part(&self.mgmt, &[&global, arguments].concat())?).await?;
        Ok(Told {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    async fn authenticate(&mut self, actor: &Actor, password: &str, port: u16) -> Result<Answer, LabError> {
        let method = if actor.method == Method::Chap { "chap" } else { "pap" };
        let address = super::material::hinted_address(actor).map(|address| address.to_string());
        let mut more = vec!["--password", password, "--method", method];
        more.extend(address.iter().flat_map(|address| ["--address", address]));
        self.nas(actor, port, &more).await
    }

    async fn account(&mut self, actor: &Actor, status: u32, class: Option<&[u8]>, port: u16) -> Result<(), LabError> {
        let status = status.to_string();
        let class = class.unwrap_or_default().iter().fold(String::new(), |mut text, octet| {
            // Writing to a text can't fail.
            let _ = write!(text, "{octet:02x}");
            text
        });
        self.nas(actor, port, &["--account", &status, "--class", &class]).await.map(drop)
    }

    async fn resolve(&mut self, pairs: &[(Actor, Actor)], patience: Duration) -> Result<usize, LabError> {
        let mut found = 0;
        for (from, to) in pairs {
            let namespace = &self.devices[from.name];
            let deadline = Instant::now() + patience;
            let to = to.address().to_string();
            // A datagram makes the kernel ask; the answer is in its neighbour table.
            while Instant::now() < deadline {
                let child = self.part(
                    namespace,
                    &["send", "--to", &to, "--frame-octets", "100", "--offered", "8000", "--milliseconds", "150"],
                )?;
                wait(child).await?;
                let table = namespace.run(&["ip", "neigh", "show", &to])?;
                if table.contains("REACHABLE") || table.contains("DELAY") || table.contains("STALE") {
                    found += 1;
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn traffic(&mut self, flows: &[Flow], duration: Duration) -> Result<Vec<Delivery>, LabError> {
        let milliseconds = duration.as_millis().to_string();
        let listening = (duration.as_millis() + 1200).to_string();
        let mut receivers = BTreeMap::new();
        for flow in flows {
            if flow.forged {
                let (to, mac) = (flow.to.address().to_string(), flow.to.mac_text());
                self.devices[flow.from.name].run(&[
                    "ip",
                    "neigh",
                    "replace",
                    &to,
                    "lladdr",
                    &mac,
                    "dev",
                    "eth0",
                    "nud",
                    "permanent",
                ])?;
            }
            if !receivers.contains_key(flow.to.name) {
                let child = self.part(&self.devices[flow.to.name], &["receive", "--milliseconds", &listening])?;
                receivers.insert(flow.to.name, child);
            }
        }
        tokio::time::sleep(SETTLE).await;
        let mut senders = Vec::new();
        for flow in flows {
            let (to, octets, offered) =
                (flow.to.address().to_string(), flow.frame_octets.to_string(), flow.offered.to_string());
            let arguments = [
                "send",
                "--to",
                &to,
                "--frame-octets",
                &octets,
                "--offered",
                &offered,
                "--milliseconds",
                &milliseconds,
            ];
            senders.push(self.part(&self.devices[flow.from.name], &arguments)?);
        }
        let mut sent = Vec::new();
        for child in senders {
            sent.push(collect::<Sent>(child).await?);
        }
        let mut got = BTreeMap::new();
        for (name, child) in receivers {
            got.insert(name, collect::<Got>(child).await?);
        }
        Ok(flows
            .iter()
            .zip(sent)
            .map(|(flow, sent)| {
                let from = got[flow.to.name].from.get(&flow.from.address()).copied();
                let (received, octets, micros) = from.unwrap_or_default();
                let duration = Duration::from_millis(sent.milliseconds);
                Delivery { sent: sent.datagrams, received, octets, duration, arriving: Duration::from_micros(micros) }
            })
            .collect())
    }

    async fn traffic_past_death(
        &mut self,
        flows: &[Flow],
        duration: Duration,
        node: &str,
    ) -> Result<Vec<Delivery>, LabError> {
        let running = self.running.remove(node).ok_or_else(|| LabError::new("no such node"))?;
        // Receivers and senders are started first.
        let killer = tokio::task::spawn(async move {
            tokio::time::sleep(SETTLE + duration / 2).await;
            running.kill();
        });
        let deliveries = self.traffic(flows, duration).await?;
        killer.await?;
        Ok(deliveries)
    }

    fn access_keeps_ports_apart(&self) -> bool {
        true
    }

    async fn capture(&mut self, file: &Path) -> Result<u64, LabError> {
        let files: Vec<PathBuf> = self
            .captures
            .drain(..)
            .map(|(file, running)| {
                running.kill();
                file
            })
            .collect();
        crate::world::capture::merge(&files, file).map_err(LabError::new)
    }

    fn seed(&self) -> u64 {
        self.material.seed()
    }

    async fn finish(&mut self) -> Result<(), LabError> {
        self.running.clear();
        self.manager = None;
        Ok(())
    }
}

fn edge_row(actor: &Actor) -> Result<(&'static str, &'static str, u8), LabError> {
    cast::EDGES.into_iter().find(|row| row.0 == actor.edge).ok_or_else(|| LabError::new("no such edge"))
}

/// Where the AAA of an edge listens.
fn aaa_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + number))
}

/// Waits for a process without holding up the others.
async fn wait(child: Child) -> Result<std::process::Output, LabError> {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    Ok(output??)
}

/// Waits for a process and reads what it answers.
async fn collect<T: DeserializeOwned>(child: Child) -> Result<T, LabError> {
    let output = wait(child).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).map_err(|_| LabError::new(String::from_utf8_lossy(&output.stderr).trim()))
}

/// How long receivers have to be ready.
const SETTLE: Duration = Duration::from_millis(300);
/// Where the manager listens.
const MANAGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
