//! Four nodes in a row, cabled: frames that leave one arrive at the next.
//!
//! ```text
//!   access0 (root) ─┐                                                                  ┌─ access0 (root)
//!                   edge-a core2 ── core0 core-1 core1 ── core0 core-2 core1 ── core2 edge-b
//!   access1 (leaf) ─┘                                                                  └─ access1 (leaf)
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::program::{
    Adjacency, CorePort, Flavours, PathProgram, Program, ProgramContent, Remote, ServiceBehaviour, ServiceSid,
    Steering, TransitBehaviour, TransitLabel, TransitProgram, TransitSid, Tunnel, UnderlayRoute,
};
use model::resource::{Service, Srh};
use model::{Generation, InterfaceAddress, Label, Mac, PathId, Prefix, Sid};
use transport_dataplane::{BURST_FRAMES_MAX, PortIndex};

use crate::rig::*;

/// How the two edges reach one another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport {
    path: Way,
    carrier: Carrier,
    /// Do groups travel?
    pub(crate) group: bool,
}

/// What pins a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Ipv6,
    Ipv4,
    /// SRv6 without SIDs of nodes on the way, and with one of each.
    Routed,
    Pinned,
    /// The same, with the whole list in each packet.
    RoutedWhole,
    PinnedWhole,
    /// A label for each node, popped there; or one that is swapped.
    Stacked,
    Switched,
}

#[derive(Debug, Clone, Copy)]
enum Carrier {
    Vxlan,
    Srv6,
    /// With control word and flow label, or without both.
    Labels(bool),
}

/// The nodes by their place in the row.
pub(crate) struct Chain {
    pub(crate) nodes: [Rig; 4],
    /// All that was put into a port since the start, for others to change and put in again.
    pub(crate) seen: Vec<(usize, PortIndex, Vec<u8>)>,
}

/// What left by an access port: of which node, by which port.
pub(crate) type Delivered = (usize, PortIndex, Vec<u8>);

impl Chain {
    /// All nodes know their neighbours; devices 1 (root) and 2 (leaf) are at edge A, 3 (root) and 4 (leaf) at edge B, and
    /// have spoken.
    pub(crate) fn new(service: Service, transport: Transport) -> Self {
        let node = |at| Rig::on(&ports(at), program(at, service, transport), 16);
        let mut chain = Self { nodes: [node(0), node(1), node(2), node(3)], seen: Vec::new() };
        for at in 0..chain.nodes.len() {
            let asked = chain.nodes[at].tick();
            let asked = asked.into_iter().map(|(port, octets)| (at, port, octets)).collect();
            assert_eq!(chain.carry(asked), []);
        }
        chain.seen.clear();
        for number in 1..=4 {
            chain.nodes[edge_of(number)].admit("iot", "metering", device(number));
            assert_eq!(chain.send(number, device(99)), []);
        }
        chain
    }

    /// A device sends; answers what is delivered.
    pub(crate) fn send(&mut self, from: u8, to: Device) -> Vec<Delivered> {
        let (port, vlan) = seat(from);
        self.put(edge_of(from), port, &[frame(vlan, device(from), to, b"payload")])
    }

    /// Puts frames into a port of a node, and what leaves towards other nodes into theirs.
    pub(crate) fn put(&mut self, node: usize, port: PortIndex, frames: &[Vec<u8>]) -> Vec<Delivered> {
        self.seen.extend(frames.iter().map(|octets| (node, port, octets.clone())));
        let left = self.nodes[node].put(port, frames);
        self.carry(left.into_iter().map(|(port, octets)| (node, port, octets)).collect())
    }

    /// Takes what left to the other ends of cables until nothing leaves there any more. Each hop takes one from a hop
    /// limit, so this ends.
    fn carry(&mut self, mut left: VecDeque<Delivered>) -> Vec<Delivered> {
        let (mut delivered, mut hops) = (Vec::new(), 0);
        while let Some((node, port, octets)) = left.pop_front() {
            let Some((node, port)) = cable(node, port) else {
                delivered.push((node, port, octets));
                continue;
            };
            hops += 1;
            assert!(hops < 256 * BURST_FRAMES_MAX * self.nodes.len(), "a loop");
            self.seen.push((node, port, octets.clone()));
            left.extend(self.nodes[node].put(port, &[octets]).into_iter().map(|(port, octets)| (node, port, octets)));
        }
        delivered
    }
}

/// Every way to carry a layer-2 service over this row.
pub(crate) const TRANSPORTS: [Transport; 15] = [
    transport(Way::Ipv6, Carrier::Vxlan, true),
    transport(Way::Ipv4, Carrier::Vxlan, false),
    transport(Way::Stacked, Carrier::Vxlan, true),
    transport(Way::Switched, Carrier::Vxlan, false),
    transport(Way::Routed, Carrier::Srv6, true),
    transport(Way::Pinned, Carrier::Srv6, true),
    transport(Way::Pinned, Carrier::Srv6, false),
    transport(Way::RoutedWhole, Carrier::Srv6, true),
    transport(Way::PinnedWhole, Carrier::Srv6, true),
    transport(Way::PinnedWhole, Carrier::Srv6, false),
    transport(Way::Stacked, Carrier::Labels(false), false),
    transport(Way::Stacked, Carrier::Labels(true), true),
    transport(Way::Switched, Carrier::Labels(true), true),
    transport(Way::Ipv6, Carrier::Labels(true), true),
    transport(Way::Ipv4, Carrier::Labels(false), true),
];

const fn transport(path: Way, carrier: Carrier, group: bool) -> Transport {
    Transport { path, carrier, group }
}

pub(crate) const fn edge_of(number: u8) -> usize {
    if number <= 2 { 0 } else { 3 }
}

/// Port and VLAN of a device: odd ones are roots.
pub(crate) const fn seat(number: u8) -> (PortIndex, Option<u16>) {
    if number % 2 == 1 { (ACCESS0, Some(110)) } else { (ACCESS1, None) }
}

const fn is_edge(node: usize) -> bool {
    node == 0 || node == 3
}

/// The other end of a cable.
fn cable(node: usize, port: PortIndex) -> Option<(usize, PortIndex)> {
    let (west, east) = (PortIndex(0), PortIndex(1));
    match (node, port) {
        (0, CORE0) => Some((1, west)),
        (1, PortIndex(0)) => Some((0, CORE0)),
        (1, PortIndex(1)) => Some((2, west)),
        (2, PortIndex(0)) => Some((1, east)),
        (2, PortIndex(1)) => Some((3, CORE0)),
        (3, CORE0) => Some((2, east)),
        _ => None,
    }
}

fn ports(node: usize) -> Vec<(&'static str, Mac)> {
    let names = if is_edge(node) { &["access0", "access1", "core2"][..] } else { &["core0", "core1"] };
    let mac = |port| Mac([2, 0xed, 0, u8::try_from(node).unwrap(), 0, port]);
    (0..).zip(names).map(|(port, name)| (*name, mac(port))).collect()
}

fn number(node: usize) -> u16 {
    u16::try_from(node + 1).unwrap()
}

fn loopback_v6(node: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number(node))
}

fn loopback_v4(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number(node).to_be_bytes()[1])
}

/// An address on the link between a node and the one east of it.
fn on_link(link: usize, node: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1, number(link), 0, 0, 0, number(node))
}

fn sid(node: usize, function: u16) -> Sid {
    Sid::new(Ipv6Addr::new(0xfd00, number(node), 0, function, 0, 0, 0, 0)).unwrap()
}

/// A label of a node.
fn label(node: usize, function: u64) -> Label {
    Label::new(20_000 + 100 * u64::from(number(node)) + function).unwrap()
}

/// The neighbour east or west of a node.
fn towards(node: usize, east: bool) -> Adjacency {
    let port = match (is_edge(node), east) {
        (true, _) => "core2",
        (false, true) => "core1",
        (false, false) => "core0",
    };
    let (link, to) = if east { (node, node + 1) } else { (node - 1, node - 1) };
    Adjacency { port: port.parse().unwrap(), next_hop: on_link(link, to).into() }
}

const END: u16 = 1;
const X_EAST: u16 = 2;
const X_WEST: u16 = 3;
const ONE: u16 = 4;
const ALL: u16 = 5;
const POP_EAST: u64 = 1;
const POP_WEST: u64 = 2;
const SWITCH_EAST: u64 = 3;
const SWITCH_WEST: u64 = 4;
const SERVICE: u64 = 5;

fn program(node: usize, service: Service, transport: Transport) -> Program {
    let links = (0..3).filter(|link| node == *link || node == link + 1);
    let core_ports = links.map(|link| CorePort {
        port: towards(node, link == node).port,
        addresses: vec![InterfaceAddress::new(on_link(link, node).into(), 64).unwrap()],
        mtu: 1_700,
    });
    let mut content = ProgramContent {
        loopback: vec![loopback_v6(node).into(), loopback_v4(node).into()],
        core_ports: core_ports.collect(),
        ..ProgramContent::empty(format!("node-{node}").parse().unwrap())
    };
    if is_edge(node) {
        let far = 3 - node;
        content.paths = vec![path(node, far, transport.path)];
        let mut iot = slice(
            "iot",
            vec![circuit("root", "access0", Some(110)), circuit("leaf", "access1", None)],
            vec![segment("iot", "metering", 5_001, vec![remote_edge(node, far, transport)])],
        );
        iot.service = service;
        iot.circuits[1].leaf = true;
        if matches!(transport.carrier, Carrier::Srv6) {
            let is_pair = service == Service::L2PointToPoint;
            let one = if is_pair { ServiceBehaviour::Dx2 } else { ServiceBehaviour::Dt2u };
            let all = ServiceSid { sid: sid(node, ALL), behaviour: ServiceBehaviour::Dt2m };
            iot.segments[0].sids = vec![ServiceSid { sid: sid(node, ONE), behaviour: one }, all];
        }
        content.slices = vec![iot];
    } else {
        content.transit = on_the_way(node);
    }
    Program { generation: Generation::new(1), content }
}

fn path(node: usize, far: usize, way: Way) -> PathProgram {
    let east = node < far;
    // The nodes on the way, the nearest first.
    let nodes = if east { [1, 2] } else { [2, 1] };
    let pop = if east { POP_EAST } else { POP_WEST };
    let steering = match way {
        Way::Ipv6 | Way::Ipv4 => Steering::Ip,
        Way::Routed | Way::RoutedWhole => Steering::Srv6(vec![]),
        Way::Pinned | Way::PinnedWhole => {
            Steering::Srv6(vec![sid(nodes[0], if east { X_EAST } else { X_WEST }), sid(nodes[1], END)])
        }
        Way::Stacked => Steering::Mpls(nodes.map(|on_the_way| label(on_the_way, pop)).to_vec()),
        Way::Switched => Steering::Mpls(vec![label(nodes[0], if east { SWITCH_EAST } else { SWITCH_WEST })]),
    };
    let ends: [IpAddr; 2] = match way {
        Way::Ipv4 => [node, far].map(|node| loopback_v4(node).into()),
        _ => [node, far].map(|node| loopback_v6(node).into()),
    };
    let Adjacency { port, next_hop } = towards(node, east);
    let to = format!("node-{far}").parse().unwrap();
    let srh = if matches!(way, Way::RoutedWhole | Way::PinnedWhole) { Srh::Full } else { Srh::Reduced };
    PathProgram { id: PathId::MIN, to, local: ends[0], remote: ends[1], port, next_hop, mtu: 1_700, steering, srh }
}

fn remote_edge(node: usize, far: usize, transport: Transport) -> Remote {
    let same = remote(&format!("node-{far}"), 5_001);
    let tunnel = match transport.carrier {
        Carrier::Vxlan => same.tunnel,
        Carrier::Srv6 => Tunnel::Srv6 { unicast: sid(far, ONE), flood: sid(far, ALL) },
        Carrier::Labels(all) => {
            Tunnel::Mpls { to: label(far, SERVICE), from: label(node, SERVICE), control_word: all, flow_label: all }
        }
    };
    Remote { group: transport.group, tunnel, ..same }
}

/// What the two nodes in the middle do.
fn on_the_way(node: usize) -> TransitProgram {
    let psp = Flavours { psp: true, usp: false, usd: false };
    let sids = [
        (END, TransitBehaviour::End),
        (X_EAST, TransitBehaviour::EndX(towards(node, true))),
        (X_WEST, TransitBehaviour::EndX(towards(node, false))),
    ];
    let sids = sids.map(|(function, behaviour)| TransitSid { sid: sid(node, function), behaviour, flavours: psp });
    let (east, west) = (towards(node, true), towards(node, false));
    // A label is swapped at the first of the two, and popped at the second.
    let is_first = |first| (node == first).then_some(3 - node);
    let labels = [
        (POP_EAST, None, &east),
        (POP_WEST, None, &west),
        (SWITCH_EAST, is_first(1).map(|next| label(next, SWITCH_EAST)), &east),
        (SWITCH_WEST, is_first(2).map(|next| label(next, SWITCH_WEST)), &west),
    ];
    let labels =
        labels.map(|(function, swap, out)| TransitLabel { label: label(node, function), swap, out: out.clone() });
    let routes = (0..4).filter(|to| *to != node).flat_map(|to| {
        let locator = Ipv6Addr::new(0xfd00, number(to), 0, 0, 0, 0, 0, 0);
        let prefixes: [(IpAddr, u8); 3] =
            [(loopback_v6(to).into(), 128), (loopback_v4(to).into(), 32), (locator.into(), 32)];
        prefixes.map(|(address, length)| UnderlayRoute {
            prefix: Prefix::new(address, length).unwrap(),
            via: towards(node, to > node),
        })
    });
    TransitProgram { sids: sids.to_vec(), labels: labels.to_vec(), routes: routes.collect(), queues: vec![] }
}
