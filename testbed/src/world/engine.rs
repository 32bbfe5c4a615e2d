//! The simulated world at work: one thread that carries frames between the edges' ports, the access networks and the
//! core nodes, and sends flows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::access::AccessNetwork;
use super::bytes::Mac;
use super::capture::Capture;
use super::core::{CoreNode, local_mac};
use super::device::Device;
use crate::demo::cast::{self, Actor};
use crate::demo::lab::{Delivery, Flow};
use crate::parts::due;

/// The far end of an edge's port.
pub trait Link: Send {
    /// Hands the edge a frame; false if its ring is full.
    fn send(&mut self, frame: &[u8]) -> bool;
    /// Takes the next frame that the edge sent, into an empty buffer; false if there is none.
    fn receive(&mut self, frame: &mut Vec<u8>) -> bool;
}

/// The far ends of the ports of one edge.
pub struct EdgeLinks {
    /// Towards the devices.
    pub access: Box<dyn Link>,
    /// Towards `core-1` and `core-2`.
    pub cores: [Box<dyn Link>; 2],
}

/// The world's thread.
#[derive(Debug)]
pub struct Engine {
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Attach(&'static str, EdgeLinks),
    Detach(&'static str),
    Resolve(Vec<(Actor, Actor)>, Duration, tokio::sync::oneshot::Sender<usize>),
    Traffic(Vec<Flow>, Duration, tokio::sync::oneshot::Sender<Vec<Delivery>>),
    Capture(tokio::sync::oneshot::Sender<u64>),
    Stop,
}

impl Engine {
    /// Starts the world with its devices and core nodes, no edge attached.
    pub fn start(capture: Option<PathBuf>) -> Result<Self, pcap_file::PcapError> {
        let capture = capture.map(|file| Capture::create(&file)).transpose()?;
        let (orders, receiver) = mpsc::channel();
        let thread =
            std::thread::Builder::new().name("world".to_owned()).spawn(move || World::new(capture).run(&receiver));
        let thread = thread.map_err(pcap_file::PcapError::IoError)?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Plugs an edge in.
    pub fn attach(&self, edge: &'static str, links: EdgeLinks) {
        let _ = self.orders.send(Order::Attach(edge, links));
    }

    /// Unplugs an edge.
    pub fn detach(&self, edge: &'static str) {
        let _ = self.orders.send(Order::Detach(edge));
    }

    /// Has devices ask for their peers until all know them or the time is over; answers how many do.
    pub async fn resolve(&self, pairs: Vec<(Actor, Actor)>, patience: Duration) -> usize {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let _ = self.orders.send(Order::Resolve(pairs, patience, reply));
        answer.await.unwrap_or_default()
    }

    /// Sends flows.
    pub async fn traffic(&self, flows: Vec<Flow>, duration: Duration) -> Vec<Delivery> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let _ = self.orders.send(Order::Traffic(flows, duration, reply));
        answer.await.unwrap_or_default()
    }

    /// Ends the capture; answers how many frames it has.
    pub async fn capture(&self) -> u64 {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let _ = self.orders.send(Order::Capture(reply));
        answer.await.unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct World {
    networks: BTreeMap<&'static str, AccessNetwork>,
    links: BTreeMap<&'static str, EdgeLinks>,
    cores: [CoreNode; 2],
    capture: Option<Capture>,
    work: Option<Work>,
    buffer: Vec<u8>,
}

/// What the devices are doing.
enum Work {
    Resolving {
        pairs: Vec<(Actor, Actor)>,
        deadline: Instant,
        asked: Option<Instant>,
        reply: tokio::sync::oneshot::Sender<usize>,
    },
    Sending {
        flows: Vec<Sender>,
        started: Instant,
        duration: Duration,
        reply: tokio::sync::oneshot::Sender<Vec<Delivery>>,
    },
}

struct Sender {
    flow: Flow,
    sent: u64,
    /// What the receiver had from this sender before: datagrams, octets.
    before: (u64, u64),
}

impl World {
    fn new(capture: Option<Capture>) -> Self {
        let mut networks: BTreeMap<_, _> =
            cast::EDGES.map(|(edge, _, _)| (edge, AccessNetwork::new(cast::VLAN))).into();
        for actor in cast::MEMBERS.into_iter().chain([cast::INTRUDER]) {
            if let Some(network) = networks.get_mut(actor.edge) {
                network.devices.push(Device::new(actor.name, actor.mac(), actor.address()));
            }
        }
        Self {
            networks,
            links: BTreeMap::new(),
            cores: [core_node(1), core_node(2)],
            capture,
            work: None,
            buffer: Vec::new(),
        }
    }

    fn run(mut self, orders: &mpsc::Receiver<Order>) {
        loop {
            match orders.try_recv() {
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return,
                Ok(order) => self.obey(order),
                Err(mpsc::TryRecvError::Empty) => {}
            }
            let moved = self.carry();
            self.work();
            if moved == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Attach(edge, links) => drop(self.links.insert(edge, links)),
            Order::Detach(edge) => drop(self.links.remove(edge)),
            Order::Resolve(pairs, patience, reply) => {
                self.work = Some(Work::Resolving { pairs, deadline: Instant::now() + patience, asked: None, reply });
            }
            Order::Traffic(flows, duration, reply) => {
                let flows = flows.into_iter().map(|flow| self.sender(flow)).collect();
                self.work = Some(Work::Sending { flows, started: Instant::now(), duration, reply });
            }
            Order::Capture(reply) => {
                let _ = reply.send(self.capture.take().and_then(|c| c.finish().ok()).unwrap_or_default());
            }
            Order::Stop => {}
        }
    }

    fn sender(&mut self, flow: Flow) -> Sender {
        if flow.forged
            && let Some(device) = self.device(&flow.from)
        {
            device.learn(flow.to.address(), flow.to.mac());
        }
        let before = self.received(&flow);
        Sender { flow, sent: 0, before }
    }

    fn device(&mut self, actor: &Actor) -> Option<&mut Device> {
        self.networks.get_mut(actor.edge)?.device(actor.name)
    }

    fn received(&self, flow: &Flow) -> (u64, u64) {
        let device = self.networks.get(flow.to.edge).and_then(|network| network.at(flow.to.address()));
        device.map_or((0, 0), |device| {
            let received = device.received_from(flow.from.address());
            (received.packets, received.octets)
        })
    }

    /// Carries what the edges have sent, a bounded number of frames from each port; answers how many it were.
    fn carry(&mut self) -> usize {
        let mut moved = 0;
        for (edge, _, _) in cast::EDGES {
            moved += self.carry_access(edge);
            moved += self.carry_core(edge, 0);
            moved += self.carry_core(edge, 1);
        }
        moved
    }

    fn carry_access(&mut self, edge: &'static str) -> usize {
        let (Some(links), Some(network)) = (self.links.get_mut(edge), self.networks.get_mut(edge)) else {
            return 0;
        };
        let mut answers = Vec::new();
        let mut moved = 0;
        while moved < TURN_FRAMES_MAX {
            self.buffer.clear();
            if !links.access.receive(&mut self.buffer) {
                break;
            }
            moved += 1;
            network.from_edge(&self.buffer, &mut answers);
        }
        for answer in answers {
            links.access.send(&answer);
        }
        moved
    }

    fn carry_core(&mut self, edge: &'static str, core: usize) -> usize {
        let from = edge_index(edge);
        let mut moved = 0;
        while moved < TURN_FRAMES_MAX {
            self.buffer.clear();
            let received = self.links.get_mut(edge).is_some_and(|links| links.cores[core].receive(&mut self.buffer));
            if !received {
                break;
            }
            moved += 1;
            if let Some(capture) = &mut self.capture {
                let _ = capture.add(&self.buffer);
            }
            if let Some((to, frame)) = self.cores[core].receive(from, &self.buffer)
                && let Some(links) = self.links.get_mut(cast::EDGES[to].0)
            {
                links.cores[core].send(&frame);
            }
        }
        moved
    }

    fn work(&mut self) {
        self.work = match self.work.take() {
            Some(Work::Resolving { pairs, deadline, asked, reply }) => self.resolve(pairs, deadline, asked, reply),
            Some(Work::Sending { flows, started, duration, reply }) => self.send(flows, started, duration, reply),
            None => None,
        };
    }

    fn resolve(
        &mut self,
        pairs: Vec<(Actor, Actor)>,
        deadline: Instant,
        mut asked: Option<Instant>,
        reply: tokio::sync::oneshot::Sender<usize>,
    ) -> Option<Work> {
        let mut known = 0;
        let ask = asked.is_none_or(|at| at.elapsed() > Duration::from_millis(200));
        for (from, to) in &pairs {
            let Some(device) = self.device(from) else { continue };
            if device.knows(to.address()) {
                known += 1;
            } else if ask {
                let question = device.ask(to.address());
                self.transmit(from.edge, &question);
            }
        }
        if known == pairs.len() || Instant::now() > deadline {
            let _ = reply.send(known);
            return None;
        }
        if ask {
            asked = Some(Instant::now());
        }
        Some(Work::Resolving { pairs, deadline, asked, reply })
    }

    fn send(
        &mut self,
        mut flows: Vec<Sender>,
        started: Instant,
        duration: Duration,
        reply: tokio::sync::oneshot::Sender<Vec<Delivery>>,
    ) -> Option<Work> {
        let elapsed = started.elapsed();
        if elapsed < duration {
            for sender in &mut flows {
                let due = due(elapsed, sender.flow.offered, sender.flow.frame_octets);
                // A turn sends at most so many; a machine that can't keep up offers less and says so.
                for _ in 0..due.saturating_sub(sender.sent).min(TURN_FRAMES_MAX as u64) {
                    let flow = sender.flow;
                    let frame = self.device(&flow.from).and_then(|d| d.send(flow.to.address(), flow.frame_octets));
                    if frame.is_none_or(|frame| !self.transmit(flow.from.edge, &frame)) {
                        break;
                    }
                    sender.sent += 1;
                }
            }
        } else if elapsed > duration + DRAIN {
            let deliveries = flows.iter().map(|sender| {
                let (packets, octets) = self.received(&sender.flow);
                Delivery {
                    sent: sender.sent,
                    received: packets - sender.before.0,
                    octets: octets - sender.before.1,
                    duration,
                }
            });
            let _ = reply.send(deliveries.collect());
            return None;
        }
        Some(Work::Sending { flows, started, duration, reply })
    }

    /// A device's frame, through its access switch, to its edge; false if the edge took it not.
    fn transmit(&mut self, edge: &'static str, frame: &[u8]) -> bool {
        let tagged = self.networks.get(edge).map(|network| network.tagged(frame));
        match (tagged, self.links.get_mut(edge)) {
            (Some(tagged), Some(links)) => links.access.send(&tagged),
            _ => false,
        }
    }
}

/// A core node of the reference topology; its link to an edge has the edge's number.
fn core_node(number: u8) -> CoreNode {
    let mut node = CoreNode::new(&format!("core-{number}"));
    for (index, (edge, _, _)) in cast::EDGES.into_iter().enumerate() {
        let letter = 0xa + u16::try_from(index).unwrap_or_default();
        let n = u8::try_from(index + 1).unwrap_or_default();
        let here: [IpAddr; 2] = [
            std::net::Ipv6Addr::new(0xfd00, number.into(), letter, 0, 0, 0, 0, 1).into(),
            std::net::Ipv4Addr::new(10, number, n, 1).into(),
        ];
        let behind: [IpAddr; 2] = [
            std::net::Ipv6Addr::new(0xfd00, 0, letter, 0, 0, 0, 0, 1).into(),
            std::net::Ipv4Addr::new(10, 255, 0, n).into(),
        ];
        debug_assert_eq!(edge_index(edge), index);
        let mac: Mac = local_mac(0xc0 + number, n);
        node.add_link(mac, here.to_vec(), behind);
    }
    node
}

fn edge_index(edge: &str) -> usize {
    cast::EDGES.iter().position(|row| row.0 == edge).unwrap_or_default()
}

/// How many frames are carried from one port, or sent in one flow, before the next gets its turn.
const TURN_FRAMES_MAX: usize = 64;
/// How long the world waits for the last frames of a flow.
const DRAIN: Duration = Duration::from_millis(200);
