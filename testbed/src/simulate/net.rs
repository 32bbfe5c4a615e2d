//! Nodes, cables and devices, moved by one clock in small steps.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::program::Program;
use model::resource::{SegmentId, TopologySpec};
use model::{Mac, NodeName};
use transport_dataplane::{BindError, CompileError, Nanos, Reading};

use super::Chance;
use super::cable::Cable;
use super::node::Node;
use crate::world::access::AccessNetwork;
use crate::world::device::{Device, Received};

/// A network.
#[derive(Debug)]
pub struct Net {
    now: Nanos,
    chance: Chance,
    nodes: Vec<Node>,
    /// By the place of a node and of its port: the cable that begins there.
    cables: BTreeMap<(usize, usize), Cable>,
    /// By the place of a node and VLAN.
    sites: BTreeMap<(usize, u16), AccessNetwork>,
    flows: Vec<Flow>,
}

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its edge.
    pub node: NodeName,
    /// The VLAN of its access network.
    pub vlan: u16,
    /// Its name.
    pub device: String,
}

/// Numbered datagrams from one device to another, one at each interval.
#[derive(Debug)]
struct Flow {
    from: Place,
    to: Place,
    every: Nanos,
    next: Nanos,
    is_over: bool,
    sent: u64,
    /// What the receiver had from the sender before.
    before: Received,
}

/// What became of a flow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received, each counted once.
    pub received: u64,
    /// Datagrams that came again.
    pub doubled: u64,
    /// How many came after one that was sent later.
    pub disordered: u64,
}

impl Counts {
    /// Datagrams that did not arrive.
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// What can't be simulated.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A node can't run a program.
    #[error("{node} can't run it: {source}")]
    Compile {
        /// Which.
        node: NodeName,
        /// Why.
        source: CompileError,
    },
    /// A device can't be bound.
    #[error("{device} can't be bound: {source}")]
    Bind {
        /// Which.
        device: String,
        /// Why.
        source: BindError,
    },
    /// There is no such node or device.
    #[error("there is no {0}")]
    Unknown(String),
}

impl Net {
    /// The nodes and links of a topology, and nothing that runs on them.
    pub fn new(topology: &TopologySpec, seed: u64) -> Result<Self, NetError> {
        let mut chance = Chance::new(seed);
        let mut nodes = Vec::new();
        for (number, node) in (1_u8..).zip(topology.nodes.iter()) {
            let (ahead, phase) = (chance.below(CLOCKS_APART), chance.below(STAGGER.0));
            let built = Node::new(node.name.clone(), node.ports.iter().cloned(), number, ahead, phase);
            nodes.push(built.map_err(|source| NetError::Compile { node: node.name.clone(), source })?);
        }
        let mut net =
            Self { now: Nanos(0), chance, nodes, cables: BTreeMap::new(), sites: BTreeMap::new(), flows: Vec::new() };
        for link in &topology.links {
            let end = |end: &model::resource::LinkEnd| {
                let node = net.place(&end.node)?;
                let port = net.nodes[node].ports.iter().position(|port| *port == end.port);
                port.map(|port| (node, port)).ok_or_else(|| NetError::Unknown(format!("port {}", end.port)))
            };
            let (a, b, delay) = (end(&link.a)?, end(&link.b)?, Nanos(link.delay.as_nanos()));
            net.cables.insert(a, Cable::new(b, delay));
            net.cables.insert(b, Cable::new(a, delay));
        }
        Ok(net)
    }

    /// Has a node run a program.
    pub fn run(&mut self, node: &NodeName, program: &Program) -> Result<(), NetError> {
        let (at, now) = (self.place(node)?, self.now);
        self.nodes[at].run(now, program).map_err(|source| NetError::Compile { node: node.clone(), source })
    }

    /// Attaches a device and binds it to a segment.
    pub fn admit(&mut self, place: &Place, segment: &SegmentId, address: Ipv4Addr) -> Result<(), NetError> {
        let at = self.place(&place.node)?;
        let site = self.sites.entry((at, place.vlan)).or_insert_with(|| AccessNetwork::new(place.vlan));
        let number = u16::try_from(site.devices.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
        let [high, low] = place.vlan.to_be_bytes();
        #[allow(clippy::cast_possible_truncation, reason = "there are few nodes")]
        let mac = [0x02, 0xde, at as u8, high, low, number[1]];
        site.devices.push(Device::new(&place.device, mac, address));
        let bound = self.nodes[at].bind(segment, Mac(mac), address);
        bound.map_err(|source| NetError::Bind { device: place.device.clone(), source })
    }

    /// Has a device ask who has an address.
    pub fn ask(&mut self, from: &Place, address: Ipv4Addr) -> Result<(), NetError> {
        let question = self.device(from)?.ask(address);
        self.offer(from, &question)
    }

    /// Does a device know who has an address?
    pub fn knows(&mut self, from: &Place, address: Ipv4Addr) -> Result<bool, NetError> {
        Ok(self.device(from)?.knows(address))
    }

    /// Tells a device who has an address.
    pub fn tell(&mut self, from: &Place, address: Ipv4Addr, mac: Mac) -> Result<(), NetError> {
        self.device(from)?.learn(address, mac.0);
        Ok(())
    }

    /// What time it is.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// No flow sends any more.
    pub fn end_flows(&mut self) {
        self.flows.iter_mut().for_each(|flow| flow.is_over = true);
    }

    /// Lets a flow begin.
    pub fn flow(&mut self, from: Place, to: Place, every: Nanos) -> Result<(), NetError> {
        let before = self.received(&from, &to)?;
        let next = Nanos(self.now.0 + self.chance.below(every.0));
        self.flows.push(Flow { from, to, every, next, is_over: false, sent: 0, before });
        Ok(())
    }

    fn received(&mut self, from: &Place, to: &Place) -> Result<Received, NetError> {
        let sender = self.device(from)?.address;
        Ok(self.device(to)?.received_from(sender))
    }

    /// What became of every flow, in the order in which they began; they are forgotten.
    pub fn counts(&mut self) -> Result<Vec<Counts>, NetError> {
        let flows = std::mem::take(&mut self.flows);
        flows
            .into_iter()
            .map(|flow| {
                let received = self.received(&flow.from, &flow.to)?;
                Ok(Counts {
                    sent: flow.sent,
                    received: received.packets - flow.before.packets - (received.doubled - flow.before.doubled),
                    doubled: received.doubled - flow.before.doubled,
                    disordered: received.disordered - flow.before.disordered,
                })
            })
            .collect()
    }

    /// A node dies: what it has and what is on the way to it is lost, and it does nothing any more.
    pub fn kill(&mut self, node: &NodeName) -> Result<(), NetError> {
        let at = self.place(node)?;
        self.nodes[at].is_alive = false;
        self.cables.iter_mut().filter(|((from, _), cable)| *from == at || cable.to.0 == at).for_each(|(_, c)| c.cut());
        Ok(())
    }

    /// What a node runs and has counted.
    pub fn read(&self, node: &NodeName) -> Result<Reading, NetError> {
        Ok(self.nodes[self.place(node)?].read())
    }

    /// What the seed decides next; for whoever plays a scene on this network.
    pub const fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Nanos) -> Result<(), NetError> {
        let end = Nanos(self.now.0 + time.0);
        while self.now < end {
            self.now.0 += STEP.0;
            self.send_flows()?;
            self.carry();
            for at in 0..self.nodes.len() {
                self.turn(at);
            }
        }
        Ok(())
    }

    /// Has senders send what is due.
    fn send_flows(&mut self) -> Result<(), NetError> {
        let mut flows = std::mem::take(&mut self.flows);
        for flow in &mut flows {
            while flow.next <= self.now && !flow.is_over {
                flow.next.0 += flow.every.0;
                let to = self.device(&flow.to)?.address;
                if let Some(frame) = self.device(&flow.from)?.send(to, FRAME_OCTETS) {
                    flow.sent += 1;
                    self.offer(&flow.from, &frame)?;
                }
            }
        }
        self.flows = flows;
        Ok(())
    }

    /// Takes frames off the cables where they have arrived.
    fn carry(&mut self) {
        for cable in self.cables.values_mut() {
            let (node, port) = cable.to;
            while let Some(frame) = cable.receive(self.now) {
                if self.nodes[node].is_alive {
                    self.nodes[node].arrived[port].push(frame);
                }
            }
        }
    }

    fn turn(&mut self, at: usize) {
        if !self.nodes[at].is_alive {
            return;
        }
        let mut left = Vec::new();
        self.nodes[at].turn(self.now, |port, frame| left.push((port, frame)));
        for (port, frame) in left {
            if let Some(cable) = self.cables.get_mut(&(at, port)) {
                cable.send(self.now, frame, &mut self.chance);
            } else {
                self.deliver(at, port, &frame);
            }
        }
    }

    /// A frame for devices; what they answer waits at the same port.
    fn deliver(&mut self, at: usize, port: usize, frame: &[u8]) {
        let vlan = crate::world::bytes::read_ethernet(frame).and_then(|(header, _)| header.vlan);
        let Some(site) = vlan.and_then(|vlan| self.sites.get_mut(&(at, vlan))) else { return };
        site.from_edge(frame, &mut self.nodes[at].arrived[port]);
    }

    /// A device's frame waits at the access port of its edge: the first that has no cable.
    fn offer(&mut self, from: &Place, frame: &[u8]) -> Result<(), NetError> {
        let at = self.place(&from.node)?;
        let port = (0..self.nodes[at].ports.len()).find(|port| !self.cables.contains_key(&(at, *port)));
        let port = port.ok_or_else(|| NetError::Unknown(format!("access port on {}", from.node)))?;
        let site = self.sites.get(&(at, from.vlan)).ok_or_else(|| NetError::Unknown(format!("VLAN {}", from.vlan)))?;
        let tagged = site.tagged(frame);
        self.nodes[at].arrived[port].push(tagged);
        Ok(())
    }

    fn device(&mut self, place: &Place) -> Result<&mut Device, NetError> {
        let at = self.place(&place.node)?;
        let device = self.sites.get_mut(&(at, place.vlan)).and_then(|site| site.device(&place.device));
        device.ok_or_else(|| NetError::Unknown(format!("device {}", place.device)))
    }

    fn place(&self, node: &NodeName) -> Result<usize, NetError> {
        let place = self.nodes.iter().position(|known| known.name == *node);
        place.ok_or_else(|| NetError::Unknown(format!("node {node}")))
    }
}

/// How far the clock moves at once.
const STEP: Nanos = Nanos(100_000);
/// Nodes do what is due ten times a second, not all at once.
const STAGGER: Nanos = Nanos(100_000_000);
/// How far the clocks of two nodes may be apart.
const CLOCKS_APART: u64 = 1 << 50;
/// Of a flow.
const FRAME_OCTETS: usize = 400;
