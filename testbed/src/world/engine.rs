//! The simulated world at work: one thread that carries frames between the ports of nodes, and between edges and their
//! access networks, and sends flows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::access::AccessNetwork;
use super::capture::Capture;
use super::device::Device;
use crate::demo::cast::{self, Actor};
use crate::demo::lab::{Delivery, Flow};
use crate::parts::due;

/// The far end of a node's port.
pub trait Link: Send {
    /// Hands the node a frame; false if its ring is full.
    fn send(&mut self, frame: &[u8]) -> bool;
    /// Takes the next frame that the node sent, into an empty buffer; false if there is none.
    fn receive(&mut self, frame: &mut Vec<u8>) -> bool;
}

/// The far ends of the ports of one node, by the names of the ports.
pub type Links = BTreeMap<&'static str, Box<dyn Link>>;

/// The world's thread.
#[derive(Debug)]
pub struct Engine {
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Attach(&'static str, Links),
    Detach(&'static str),
    Resolve(Vec<(Actor, Actor)>, Duration, tokio::sync::oneshot::Sender<usize>),
    Traffic(Vec<Flow>, Duration, tokio::sync::oneshot::Sender<Vec<Delivery>>),
    Capture(tokio::sync::oneshot::Sender<u64>),
    Stop,
}

impl Engine {
    /// Starts the world with its devices, no node attached.
    pub fn start(capture: Option<PathBuf>) -> Result<Self, pcap_file::PcapError> {
        let capture = capture.map(|file| Capture::create(&file)).transpose()?;
        let (orders, receiver) = mpsc::channel();
        let thread =
            std::thread::Builder::new().name("world".to_owned()).spawn(move || World::new(capture).run(&receiver));
        let thread = thread.map_err(pcap_file::PcapError::IoError)?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Plugs a node in.
    pub fn attach(&self, node: &'static str, links: Links) {
        let _ = self.orders.send(Order::Attach(node, links));
    }

    /// Unplugs a node.
    pub fn detach(&self, node: &'static str) {
        let _ = self.orders.send(Order::Detach(node));
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
    nodes: BTreeMap<&'static str, Links>,
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
    /// What it had when that was last looked at, and when that was first and last more than before.
    seen: (u64, u64),
    arriving: Option<(Instant, Instant)>,
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
        Self { networks, nodes: BTreeMap::new(), capture, work: None, buffer: Vec::new() }
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
            Order::Attach(node, links) => drop(self.nodes.insert(node, links)),
            Order::Detach(node) => drop(self.nodes.remove(node)),
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
        Sender { flow, sent: 0, before, seen: before, arriving: None }
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

    /// Carries what nodes have sent, a bounded number of frames from each port; answers how many it were.
    fn carry(&mut self) -> usize {
        let access: usize = cast::EDGES.into_iter().map(|(edge, _, _)| self.carry_access(edge)).sum();
        let core = cast::cables().map(|(near, far)| self.carry_core(near, far) + self.carry_core(far, near));
        access + core.into_iter().sum::<usize>()
    }

    fn carry_access(&mut self, edge: &'static str) -> usize {
        let link = self.nodes.get_mut(edge).and_then(|links| links.get_mut(cast::ACCESS));
        let (Some(link), Some(network)) = (link, self.networks.get_mut(edge)) else { return 0 };
        let mut answers = Vec::new();
        let mut moved = 0;
        while moved < TURN_FRAMES_MAX {
            self.buffer.clear();
            if !link.receive(&mut self.buffer) {
                break;
            }
            moved += 1;
            network.from_edge(&self.buffer, &mut answers);
        }
        for answer in answers {
            link.send(&answer);
        }
        moved
    }

    /// What was sent to a core node is captured. What nobody is plugged in for is lost.
    fn carry_core(&mut self, from: cast::End, to: cast::End) -> usize {
        let mut moved = 0;
        while moved < TURN_FRAMES_MAX {
            self.buffer.clear();
            let link = self.nodes.get_mut(from.0).and_then(|links| links.get_mut(from.1));
            if !link.is_some_and(|link| link.receive(&mut self.buffer)) {
                break;
            }
            moved += 1;
            if let Some(capture) = self.capture.as_mut().filter(|_| cast::CORES.contains(&to.0)) {
                let _ = capture.add(&self.buffer);
            }
            if let Some(link) = self.nodes.get_mut(to.0).and_then(|links| links.get_mut(to.1)) {
                link.send(&self.buffer);
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
        for sender in &mut flows {
            let seen = self.received(&sender.flow);
            if seen != std::mem::replace(&mut sender.seen, seen) {
                let now = Instant::now();
                sender.arriving.get_or_insert((now, now)).1 = now;
            }
        }
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
                let (packets, octets) = sender.seen;
                Delivery {
                    sent: sender.sent,
                    received: packets - sender.before.0,
                    octets: octets - sender.before.1,
                    duration,
                    arriving: sender.arriving.map_or(Duration::ZERO, |(first, last)| last - first),
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
        let link = self.nodes.get_mut(edge).and_then(|links| links.get_mut(cast::ACCESS));
        match (tagged, link) {
            (Some(tagged), Some(link)) => link.send(&tagged),
            _ => false,
        }
    }
}

/// How many frames are carried from one port, or sent in one flow, before the next gets its turn.
const TURN_FRAMES_MAX: usize = 64;
/// How long the world waits for the last frames of a flow: longer than any queue holds them.
const DRAIN: Duration = Duration::from_millis(400);
