//! A simulated device: one MAC address, one IPv4 address, ARP and UDP. It sends numbered datagrams and counts what it
//! receives.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::bytes::{self, BROADCAST, Mac};

/// A device on an access network.
#[derive(Debug)]
pub struct Device {
    /// Its name, for people.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    neighbours: HashMap<Ipv4Addr, Mac>,
    received: HashMap<Ipv4Addr, Received>,
    sequence: u64,
}

/// What a device received from one sender.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Datagrams.
    pub packets: u64,
    /// Octets of their layer-2 frames, without the VLAN tag of the access network.
    pub octets: u64,
    /// The highest number seen.
    pub highest: u64,
    /// Datagrams whose number was not above all before.
    pub disordered: u64,
    /// Of those, datagrams that were there before, as far as the last 128 numbers tell.
    pub doubled: u64,
    /// Which of the 128 numbers up to the highest were there, that one in bit 0.
    seen: u128,
}

impl Received {
    /// One more, with its number.
    fn count(&mut self, number: u64, octets: u64) {
        self.packets += 1;
        self.octets += octets;
        self.disordered += u64::from(self.packets > 1 && number <= self.highest);
        if number > self.highest || self.packets == 1 {
            let ahead = u32::try_from(number - self.highest.min(number)).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
        } else {
            let behind = u32::try_from(self.highest - number).unwrap_or(u32::MAX);
            let bit = 1_u128.checked_shl(behind).unwrap_or(0);
            self.doubled += u64::from(self.seen & bit != 0);
            self.seen |= bit;
        }
    }
}

impl Device {
    /// A device that has neither sent nor received.
    pub fn new(name: &str, mac: Mac, address: Ipv4Addr) -> Self {
        Self { name: name.to_owned(), mac, address, neighbours: HashMap::new(), received: HashMap::new(), sequence: 0 }
    }

    /// Takes an untagged frame from the network; answers ARP.
    pub fn receive(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (header, payload) = bytes::read_ethernet(frame)?;
        if header.destination != self.mac && header.destination[0] & 1 == 0 {
            return None;
        }
        match header.ethertype {
            0x0806 => self.receive_arp(payload),
            0x0800 => {
                let (source, destination, port, payload) = bytes::read_udp4(payload)?;
                if destination == self.address && port == PORT {
                    let number = u64::from_be_bytes(payload.get(..8)?.try_into().ok()?);
                    self.received.entry(source).or_default().count(number, frame.len() as u64);
                }
                None
            }
            _ => None,
        }
    }

    fn receive_arp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (operation, sender, sender_address, target_address) = bytes::read_arp(packet)?;
        if target_address != self.address {
            return None;
        }
        self.neighbours.insert(sender_address, sender);
        (operation == 1).then(|| {
            let answer = bytes::arp(2, (self.mac, self.address), (sender, sender_address));
            bytes::ethernet(sender, self.mac, None, 0x0806, &answer)
        })
    }

    /// Asks who has an address.
    pub fn ask(&self, address: Ipv4Addr) -> Vec<u8> {
        let question = bytes::arp(1, (self.mac, self.address), ([0; 6], address));
        bytes::ethernet(BROADCAST, self.mac, None, 0x0806, &question)
    }

    /// Has it learned who has an address?
    pub fn knows(&self, address: Ipv4Addr) -> bool {
        self.neighbours.contains_key(&address)
    }

    /// Tells it who has an address, as an attacker would know it.
    pub fn learn(&mut self, address: Ipv4Addr, mac: Mac) {
        self.neighbours.insert(address, mac);
    }

    /// The next numbered datagram to an address whose owner it knows, as a frame of that many octets.
    pub fn send(&mut self, to: Ipv4Addr, frame_octets: usize) -> Option<Vec<u8>> {
        let destination = *self.neighbours.get(&to)?;
        self.sequence += 1;
        let mut payload = vec![0_u8; frame_octets.saturating_sub(14 + 20 + 8).max(8)];
        payload[..8].copy_from_slice(&self.sequence.to_be_bytes());
        let packet = bytes::udp4((self.address, PORT), (to, PORT), &payload);
        Some(bytes::ethernet(destination, self.mac, None, 0x0800, &packet))
    }

    /// What it received from a sender.
    pub fn received_from(&self, sender: Ipv4Addr) -> Received {
        self.received.get(&sender).copied().unwrap_or_default()
    }
}

/// The UDP port that devices talk on; no protocol of its own is registered for it.
pub const PORT: u16 = 40_110;
