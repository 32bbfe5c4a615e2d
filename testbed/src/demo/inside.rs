//! The lab in one process: manager, edges and core nodes as they are, mutual TLS over loopback, RADIUS over loopback, and a simulated
//! world behind in-process ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mec_edge::ports::{EdgePort, RingPeer, ring_pair};
use mec_edge::{Edge, RunningEdge, SESSIONS_DEFAULT};
use slice_manager::{Manager, RunningManager, TlsPaths};

use super::cast::{self, Actor};
use super::lab::{Delivery, Flow, Lab, LabError, Told};
use super::material::Material;
use crate::world::bytes::local_mac;
use crate::world::engine::{Engine, Link, Links};
use crate::world::nas::{Answer, Nas};

/// The lab in one process.
#[derive(Debug)]
pub(super) struct Inside {
    material: Material,
    engine: Engine,
    capturing: Option<PathBuf>,
    manager: Option<RunningManager>,
    /// Kept when the manager stops, so that it comes back where it was.
    address: SocketAddr,
    nodes: BTreeMap<&'static str, RunningEdge>,
    switches: BTreeMap<&'static str, Nas>,
}

impl Inside {
    /// Starts the simulated world, and nothing of the product.
    pub(super) async fn new(material: Material, capture: Option<PathBuf>) -> Result<Self, LabError> {
        let mut switches = BTreeMap::new();
        for (edge, _, number) in cast::EDGES {
            let seed = material.seed() ^ u64::from(number);
            let nas = Nas::new(switch_address(number), &material.secret(edge), seed).await?;
            switches.insert(edge, nas);
        }
        Ok(Self {
            material,
            engine: Engine::start(capture.clone())?,
            capturing: capture,
            manager: None,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            nodes: BTreeMap::new(),
            switches,
        })
    }
}

impl Lab for Inside {
    fn describe(&self) -> String {
        "one process, no root; gRPC and RADIUS over loopback, packets through in-process ports".to_owned()
    }

    fn files(&self) -> &Path {
        self.material.folder()
    }

    async fn start_manager(&mut self) -> Result<(), LabError> {
        let config = slice_manager::Config {
            listen: self.address,
            tls: TlsPaths::in_dir(&self.material.tls("manager")),
            store: self.material.folder().join("store"),
            profiles: None,
        };
        let manager = Manager::start(config).await?;
        self.address = manager.address();
        self.manager = Some(manager);
        Ok(())
    }

    async fn stop_manager(&mut self) -> Result<(), LabError> {
        if let Some(manager) = self.manager.take() {
            manager.shutdown().await;
        }
        Ok(())
    }

    async fn start_node(&mut self, node: &str) -> Result<(), LabError> {
        let (name, number) = cast::node(node).ok_or_else(|| LabError::new("no such node"))?;
        let mut ports: Vec<(model::PortName, Box<dyn EdgePort>)> = Vec::new();
        let mut links = Links::new();
        for (at, port) in (0_u8..).zip(cast::ports(name)) {
            let (port_end, peer) = ring_pair(model::Mac(local_mac(0xe0 + number, at)));
            ports.push((port.parse()?, Box::new(port_end)));
            links.insert(port, Box::new(RingLink(peer)));
        }
        let config = mec_edge::Config {
            name: name.parse()?,
            manager: Some(format!("https://{}", self.address).parse()?),
            tls: Some(self.material.tls(name)),
            state: self.material.state(name),
            secrets: self.material.secrets(name),
            aaa_address: aaa_address(number),
            sessions_max: SESSIONS_DEFAULT,
            workers: cast::workers(name),
            cores: Vec::new(),
        };
        self.nodes.insert(name, Edge::start(config, ports).await?);
        self.engine.attach(name, links);
        Ok(())
    }

    async fn stop_node(&mut self, node: &str) -> Result<(), LabError> {
        let (name, _) = cast::node(node).ok_or_else(|| LabError::new("no such node"))?;
        self.engine.detach(name);
        if let Some(running) = self.nodes.remove(name) {
            running.shutdown().await;
        }
        Ok(())
    }

    async fn slicectl(&mut self, arguments: &[&str]) -> Result<Told, LabError> {
        let manager = format!("https://{}", self.address);
        let tls = self.material.tls("operator").display().to_string();
        let global = ["slicectl", "--manager", &manager, "--tls-dir", &tls];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let arguments = global.iter().chain(arguments).map(Into::into).collect::<Vec<std::ffi::OsString>>();
        let exit = slicectl::run_with(arguments, &mut out, &mut err).await;
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Ok(Told { code: exit.code().into(), out: text(out), err: text(err) })
    }

    async fn authenticate(&mut self, actor: &Actor, password: &str, port: u16) -> Result<Answer, LabError> {
        let (name, _, number) = edge_row(actor.edge)?;
        let nas = self.switches.get_mut(name).ok_or_else(|| LabError::new("no switch"))?;
        let server = SocketAddr::new(aaa_address(number), port);
        let address = super::material::hinted_address(actor);
        Ok(nas.authenticate(server, actor.method, actor.name, password, (actor.mac(), address)).await?)
    }

    async fn account(&mut self, actor: &Actor, status: u32, class: Option<&[u8]>, port: u16) -> Result<(), LabError> {
        let (name, _, number) = edge_row(actor.edge)?;
        let nas = self.switches.get_mut(name).ok_or_else(|| LabError::new("no switch"))?;
        let server = SocketAddr::new(aaa_address(number), port);
        let session = format!("{}-1", actor.name);
        nas.account(server, status, actor.name, &session, actor.mac(), class).await?;
        Ok(())
    }

    async fn resolve(&mut self, pairs: &[(Actor, Actor)], patience: Duration) -> Result<usize, LabError> {
        Ok(self.engine.resolve(pairs.to_vec(), patience).await)
    }

    async fn traffic(&mut self, flows: &[Flow], duration: Duration) -> Result<Vec<Delivery>, LabError> {
        Ok(self.engine.traffic(flows.to_vec(), duration).await)
    }

    async fn traffic_past_death(
        &mut self,
        flows: &[Flow],
        duration: Duration,
        node: &str,
    ) -> Result<Vec<Delivery>, LabError> {
        let (name, _) = cast::node(node).ok_or_else(|| LabError::new("no such node"))?;
        let unplug = async {
            tokio::time::sleep(duration / 2).await;
            self.engine.detach(name);
        };
        let (deliveries, ()) = tokio::join!(self.engine.traffic(flows.to_vec(), duration), unplug);
        self.stop_node(name).await?;
        Ok(deliveries)
    }

    fn access_keeps_ports_apart(&self) -> bool {
        false
    }

    async fn capture(&mut self, file: &Path) -> Result<u64, LabError> {
        match &self.capturing {
            Some(capturing) if capturing == file => Ok(self.engine.capture().await),
            _ => Err(LabError::new("nothing was captured into that file")),
        }
    }

    fn seed(&self) -> u64 {
        self.material.seed()
    }

    async fn finish(&mut self) -> Result<(), LabError> {
        while let Some((_, node)) = self.nodes.pop_first() {
            node.shutdown().await;
        }
        self.stop_manager().await
    }
}

/// The world's end of a port.
struct RingLink(RingPeer);

impl Link for RingLink {
    fn send(&mut self, frame: &[u8]) -> bool {
        self.0.send(frame)
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> bool {
        self.0.receive(frame)
    }
}

fn edge_row(edge: &str) -> Result<(&'static str, &'static str, u8), LabError> {
    cast::EDGES.into_iter().find(|row| row.0 == edge).ok_or_else(|| LabError::new("no such edge"))
}

/// Where the AAA of an edge listens.
fn aaa_address(number: u8) -> IpAddr {
    loopback(128 + number)
}

/// Where an access switch asks from.
pub(super) fn switch_address(number: u8) -> IpAddr {
    loopback(number)
}

/// Loopback has 16 million addresses: each process takes some of its own, so that two demos do not meet.
fn loopback(host: u8) -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 | high & 0x3f, low, host))
}
