//! Next hops: whom the underlay's frames are handed to, found by ARP (RFC 826) and neighbour discovery (RFC 4861).
//!
//! The next hops of a program are known when it is compiled, so they are asked for before the first packet needs one, and
//! again from time to time. Where a kernel has the address from which they would be asked, it resolves them, and what it
//! says counts: nothing is asked, answered or believed here then, so that nobody on the link hears two voices.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;
use transport_wire::ethernet::{self, EtherType};
use transport_wire::nd::{self, Kind};
use transport_wire::{Protocol, arp, ipv6};

use crate::frame::Frame;
use crate::meter::Nanos;
use crate::port::PortIndex;

/// A next hop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    pub(crate) port: PortIndex,
    pub(crate) address: IpAddr,
    /// Our address on that port from which it is asked.
    from: IpAddr,
    pub(crate) mac: Option<Mac>,
    heard: Nanos,
    asked: Option<Nanos>,
    /// Resolved by the port's kernel.
    is_of_kernel: bool,
}

/// What the kernel of a port says: which of the port's addresses it has, and where the next hops are that it resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPort {
    /// The port.
    pub port: PortIndex,
    /// Those of its addresses that the kernel has, too.
    pub addresses: Vec<IpAddr>,
    /// Next hops that can be reached, each once.
    pub next_hops: Vec<(IpAddr, Mac)>,
}

/// A next hop that tables need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHop {
    /// On which port.
    pub port: PortIndex,
    /// Its address.
    pub address: IpAddr,
    /// The port's own address from which it is asked.
    pub from: IpAddr,
}

impl Neighbour {
    pub(crate) const fn new(port: PortIndex, address: IpAddr, from: IpAddr) -> Self {
        Self { port, address, from, mac: None, heard: Nanos(0), asked: None, is_of_kernel: false }
    }

    /// Is it the same neighbour, asked in the same way?
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        (self.port, self.address, self.from) == (other.port, other.address, other.from)
    }

    /// Who it is, for whoever resolves it.
    pub(crate) const fn next_hop(&self) -> NextHop {
        NextHop { port: self.port, address: self.address, from: self.from }
    }

    /// It has said where it is.
    pub(crate) const fn heard(&mut self, mac: Mac, now: Nanos) {
        if !self.is_of_kernel {
            self.mac = Some(mac);
            self.heard = now;
        }
    }

    /// Another worker has said where it is, as far as it knows.
    pub(crate) const fn believe(&mut self, mac: Option<Mac>) {
        if !self.is_of_kernel {
            self.mac = mac;
        }
    }

    /// The port's kernel has said where it is, if the kernel has the address from which it is asked.
    pub(crate) fn follow(&mut self, kernel: Option<&KernelPort>) {
        let kernel = kernel.filter(|kernel| kernel.addresses.contains(&self.from));
        if let Some(kernel) = kernel {
            self.mac = kernel.next_hops.iter().find(|(address, _)| *address == self.address).map(|(_, mac)| *mac);
        } else if self.is_of_kernel {
            // Ours again: asked at once, and meanwhile where it was.
            (self.heard, self.asked) = (Nanos(0), None);
        }
        self.is_of_kernel = kernel.is_some();
    }

    /// Is it time to ask? If so, the question counts as asked.
    pub(crate) fn is_due(&mut self, now: Nanos) -> bool {
        if self.is_of_kernel {
            return false;
        }
        // A clock that stepped back asks at once.
        let since = |then: Nanos| now.0.checked_sub(then.0);
        let wanted = self.mac.is_none() || since(self.heard).is_none_or(|since| since > REFRESH.0);
        let rested = self.asked.and_then(since).is_none_or(|since| since >= RETRY.0);
        let due = wanted && rested;
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// Writes the question into a frame.
    pub(crate) fn ask(&self, frame: &mut Frame, mac: Mac) {
        match (self.from, self.address) {
            (IpAddr::V4(from), IpAddr::V4(target)) => ask_arp(frame, mac, from, target),
            (IpAddr::V6(from), IpAddr::V6(target)) => ask_nd(frame, mac, from, target),
            // The compiler chooses an address of the same family.
            _ => {}
        }
    }
}

fn ask_arp(frame: &mut Frame, mac: Mac, from: Ipv4Addr, target: Ipv4Addr) {
    let message = arp::Message {
        operation: arp::Operation::REQUEST,
        sender_mac: mac,
        sender_address: from,
        target_mac: Mac([0; 6]),
        target_address: target,
    };
    write_arp(frame, BROADCAST, mac, &message);
}

/// Writes an ARP reply into a frame.
pub(crate) fn answer_arp(frame: &mut Frame, mac: Mac, address: Ipv4Addr, to: (Mac, Ipv4Addr)) {
    let message = arp::Message {
        operation: arp::Operation::REPLY,
        sender_mac: mac,
        sender_address: address,
        target_mac: to.0,
        target_address: to.1,
    };
    write_arp(frame, to.0, mac, &message);
}

fn write_arp(frame: &mut Frame, destination: Mac, source: Mac, message: &arp::Message) {
    frame.set_len(ethernet::HEADER_OCTETS + arp::PACKET_OCTETS);
    let octets = frame.octets_mut();
    if let Some((header, rest)) = octets.split_first_chunk_mut()
        && let Some(packet) = rest.first_chunk_mut()
    {
        ethernet::Header { destination, source, ethertype: EtherType::ARP }.emit(header);
        message.emit(packet);
    }
}

fn ask_nd(frame: &mut Frame, mac: Mac, from: Ipv6Addr, target: Ipv6Addr) {
    let group = nd::solicited_node(target);
    let message = nd::Neighbour { kind: Kind::Solicitation, target, link_layer: Some(mac) };
    write_nd(frame, (nd::multicast_mac(group), mac), (from, group), &message);
}

/// Writes a neighbour advertisement into a frame. A question from no address is answered to all nodes (RFC 4861,
/// section 7.2.4).
pub(crate) fn answer_nd(frame: &mut Frame, mac: Mac, target: Ipv6Addr, to: (Mac, Ipv6Addr)) {
    let solicited = !to.1.is_unspecified();
    let (to_mac, to_address) = if solicited { to } else { (nd::multicast_mac(ALL_NODES), ALL_NODES) };
    let kind = Kind::Advertisement { router: false, solicited, overrides: true };
    let message = nd::Neighbour { kind, target, link_layer: Some(mac) };
    write_nd(frame, (to_mac, mac), (target, to_address), &message);
}

fn write_nd(frame: &mut Frame, macs: (Mac, Mac), addresses: (Ipv6Addr, Ipv6Addr), message: &nd::Neighbour) {
    frame.set_len(ethernet::HEADER_OCTETS + ipv6::HEADER_OCTETS + nd::MESSAGE_OCTETS);
    let octets = frame.octets_mut();
    let Some((ethernet_header, rest)) = octets.split_first_chunk_mut() else { return };
    let Some((ip_header, rest)) = rest.split_first_chunk_mut() else { return };
    let Some(body) = rest.first_chunk_mut() else { return };
    ethernet::Header { destination: macs.0, source: macs.1, ethertype: EtherType::IPV6 }.emit(ethernet_header);
    #[allow(clippy::cast_possible_truncation, reason = "32")]
    ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_octets: nd::MESSAGE_OCTETS as u16,
        next_header: Protocol::ICMPV6,
        // Less would be dropped by the receiver (RFC 4861, section 7.1).
        hop_limit: 255,
        source: addresses.0,
        destination: addresses.1,
    }
    .emit(ip_header);
    message.emit(addresses.0, addresses.1, body);
}

/// Everybody on the link.
pub(crate) const BROADCAST: Mac = Mac([0xff; 6]);
/// All nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// An unanswered question is asked again after this.
const RETRY: Nanos = Nanos(1_000_000_000);
/// An answer is good for this long before it is asked for again; meanwhile it is used.
const REFRESH: Nanos = Nanos(30_000_000_000);
