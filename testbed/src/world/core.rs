//! A core node: a router that forwards the underlay between its links by destination address.
//!
//! It answers ARP and neighbour solicitations for its own link addresses, learns its neighbours from what they send,
//! lowers the hop limit, and drops what it has no route for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{self, Mac};

/// A core node.
#[derive(Debug)]
pub struct CoreNode {
    /// Its name.
    pub name: String,
    links: Vec<CoreLink>,
    routes: HashMap<IpAddr, usize>,
    /// Packets without a route, or whose neighbour is unknown, or whose hop limit ran out.
    pub dropped: u64,
}

/// One link of a core node.
#[derive(Debug)]
pub struct CoreLink {
    /// The MAC address of the node on this link.
    pub mac: Mac,
    /// Its IP addresses on this link.
    pub addresses: Vec<IpAddr>,
    /// The neighbour, once it has spoken.
    neighbour: Option<Mac>,
}

impl CoreNode {
    /// A node without links.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), links: Vec::new(), routes: HashMap::new(), dropped: 0 }
    }

    /// Adds a link; what lies behind it is reached over it. Answers the number of the link.
    pub fn add_link(&mut self, mac: Mac, addresses: Vec<IpAddr>, behind: impl IntoIterator<Item = IpAddr>) -> usize {
        let link = self.links.len();
        self.links.push(CoreLink { mac, addresses, neighbour: None });
        self.routes.extend(behind.into_iter().map(|address| (address, link)));
        link
    }

    /// Takes a frame from a link; answers the link and the frame that it turns into, if any.
    pub fn receive(&mut self, link: usize, frame: &[u8]) -> Option<(usize, Vec<u8>)> {
        let (header, payload) = bytes::read_ethernet(frame)?;
        self.links.get_mut(link)?.neighbour = Some(header.source);
        let here = &self.links[link];
        let answer = match header.ethertype {
            0x0806 => here.answer_arp(payload).map(|answer| (link, answer)),
            0x86dd if is_neighbour_solicitation(payload) => here.answer_nd(payload).map(|answer| (link, answer)),
            0x0800 | 0x86dd if header.destination == here.mac => self.forward(header.ethertype, payload),
            _ => None,
        };
        if answer.is_none() {
            self.dropped += 1;
        }
        answer
    }

    fn forward(&self, ethertype: u16, packet: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut packet = packet.to_vec();
        let destination = if ethertype == 0x0800 {
            let ttl = packet.get(8).copied().filter(|ttl| *ttl > 1)?;
            packet[8] = ttl - 1;
            packet[10..12].fill(0);
            let length = usize::from(packet[0] & 15) * 4;
            let checksum = bytes::internet_checksum(packet.get(..length)?);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            IpAddr::V4(bytes::ipv4_at(&packet, 16)?)
        } else {
            let hops = packet.get(7).copied().filter(|hops| *hops > 1)?;
            packet[7] = hops - 1;
            IpAddr::V6(bytes::ipv6_at(&packet, 24)?)
        };
        let out = *self.routes.get(&destination)?;
        let link = &self.links[out];
        Some((out, bytes::ethernet(link.neighbour?, link.mac, None, ethertype, &packet)))
    }
}

impl CoreLink {
    fn answer_arp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let (operation, sender, sender_address, target) = bytes::read_arp(packet)?;
        let asked = operation == 1 && self.addresses.contains(&IpAddr::V4(target));
        asked.then(|| {
            let answer = bytes::arp(2, (self.mac, target), (sender, sender_address));
            bytes::ethernet(sender, self.mac, None, 0x0806, &answer)
        })
    }

    /// A neighbour advertisement (RFC 4861, section 4.4) with the target link-layer address option.
    fn answer_nd(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let source = bytes::ipv6_at(packet, 8)?;
        let target = bytes::ipv6_at(packet, 48)?;
        if !self.addresses.contains(&IpAddr::V6(target)) {
            return None;
        }
        let mut icmp = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
        icmp.extend(target.octets());
        icmp.extend([2, 1]);
        icmp.extend(self.mac);
        let checksum = icmpv6_checksum(target, source, &icmp);
        icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
        let mut answer = vec![0x60, 0, 0, 0];
        answer.extend(u16::try_from(icmp.len()).ok()?.to_be_bytes());
        answer.extend([58, 255]);
        answer.extend(target.octets());
        answer.extend(source.octets());
        answer.extend(icmp);
        Some(bytes::ethernet(self.neighbour?, self.mac, None, 0x86dd, &answer))
    }
}

fn is_neighbour_solicitation(packet: &[u8]) -> bool {
    packet.get(6) == Some(&58) && packet.get(40) == Some(&135)
}

fn icmpv6_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let mut pseudo = Vec::with_capacity(40 + message.len());
    pseudo.extend(source.octets());
    pseudo.extend(destination.octets());
    pseudo.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(message);
    bytes::internet_checksum(&pseudo)
}

/// A locally administered MAC address made from two numbers.
pub fn local_mac(group: u8, member: u8) -> Mac {
    [0x02, 0x4d, 0x53, 0, group, member]
}

/// An IPv4 address as the devices of the reference world have them: `10.VLAN.0.N`.
pub fn device_address(vlan: u16, member: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, u8::try_from(vlan).unwrap_or(u8::MAX), 0, member)
}
