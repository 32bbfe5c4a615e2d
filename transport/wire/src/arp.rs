//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!  0        2        4   5   6        8          14       18         24       28
//! +--------+--------+---+---+--------+----------+--------+----------+--------+
//! |  htype |  ptype | 6 | 4 |   op   |  sender  | sender |  target  | target |
//! |    1   | 0x0800 |   |   |        |   MAC    |  IPv4  |   MAC    |  IPv4  |
//! +--------+--------+---+---+--------+----------+--------+----------+--------+
//! ```

use std::net::Ipv4Addr;

use model::Mac;

use crate::octets::{at, be16, put};
use crate::{EtherType, Layer, WireError};

/// What an ARP packet wants. Unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation(pub u16);

impl Operation {
    /// Who has this address?
    pub const REQUEST: Self = Self(1);
    /// I have it.
    pub const REPLY: Self = Self(2);
}

/// A view of an ARP packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a>(&'a [u8; PACKET_OCTETS]);

impl<'a> Packet<'a> {
    /// It must be for IPv4 over Ethernet; padding may follow.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let packet: &[u8; PACKET_OCTETS] =
            octets.first_chunk().ok_or(Layer::Arp.truncated(PACKET_OCTETS, octets.len()))?;
        for (place, expected) in [(HARDWARE_TYPE, 1), (PROTOCOL_TYPE, EtherType::IPV4.0), (LENGTHS, 0x0604)] {
            let found = be16(packet, place);
            if found != expected {
                return Err(Layer::Arp.value(place, u32::from(found), u32::from(expected)));
            }
        }
        Ok(Self(packet))
    }

    /// What it wants.
    #[inline]
    pub const fn operation(&self) -> Operation {
        Operation(be16(self.0, OPERATION))
    }

    /// Who sends it.
    #[inline]
    pub const fn sender_mac(&self) -> Mac {
        Mac(at(self.0, SENDER_MAC))
    }

    /// The address that the sender claims.
    #[inline]
    pub const fn sender_address(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(at(self.0, SENDER_ADDRESS))
    }

    /// Whom it is about; zero in a request.
    #[inline]
    pub const fn target_mac(&self) -> Mac {
        Mac(at(self.0, TARGET_MAC))
    }

    /// The address that it is about.
    #[inline]
    pub const fn target_address(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(at(self.0, TARGET_ADDRESS))
    }
}

/// An ARP packet as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// What it wants.
    pub operation: Operation,
    /// Who sends it.
    pub sender_mac: Mac,
    /// The address that the sender claims.
    pub sender_address: Ipv4Addr,
    /// Whom it is about; zero in a request.
    pub target_mac: Mac,
    /// The address that it is about.
    pub target_address: Ipv4Addr,
}

impl Message {
    /// Of a packet.
    pub const fn of(packet: &Packet<'_>) -> Self {
        Self {
            operation: packet.operation(),
            sender_mac: packet.sender_mac(),
            sender_address: packet.sender_address(),
            target_mac: packet.target_mac(),
            target_address: packet.target_address(),
        }
    }

    /// Its octets.
    pub fn emit(&self, out: &mut [u8; PACKET_OCTETS]) {
        put(out, HARDWARE_TYPE, [0, 1, 8, 0, 6, 4]);
        put(out, OPERATION, self.operation.0.to_be_bytes());
        put(out, SENDER_MAC, self.sender_mac.0);
        put(out, SENDER_ADDRESS, self.sender_address.octets());
        put(out, TARGET_MAC, self.target_mac.0);
        put(out, TARGET_ADDRESS, self.target_address.octets());
    }
}

/// The length of an ARP packet for IPv4 over Ethernet.
pub const PACKET_OCTETS: usize = 28;

const HARDWARE_TYPE: usize = 0;
const PROTOCOL_TYPE: usize = 2;
const LENGTHS: usize = 4;
const OPERATION: usize = 6;
const SENDER_MAC: usize = 8;
const SENDER_ADDRESS: usize = 14;
const TARGET_MAC: usize = 18;
const TARGET_ADDRESS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ether()/ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="192.0.2.1", pdst="192.0.2.2")` as scapy 2.6 writes it.
    const REQUEST: [u8; 28] = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2];

    #[test]
    fn a_request_reads_and_writes_both_ways() {
        let packet = Packet::new(&REQUEST).unwrap();
        let message = Message::of(&packet);
        assert_eq!(
            message,
            Message {
                operation: Operation::REQUEST,
                sender_mac: Mac([2, 0, 0, 0, 0, 1]),
                sender_address: Ipv4Addr::new(192, 0, 2, 1),
                target_mac: Mac([0; 6]),
                target_address: Ipv4Addr::new(192, 0, 2, 2),
            }
        );
        let mut out = [0xa5; PACKET_OCTETS];
        message.emit(&mut out);
        assert_eq!(out, REQUEST);
    }

    #[test]
    fn other_hardware_other_protocols_and_cut_packets_are_refused() {
        for length in 0..PACKET_OCTETS {
            assert!(Packet::new(&REQUEST[..length]).is_err());
        }
        for place in [1, 2, 3, 4, 5] {
            let mut other = REQUEST;
            other[place] ^= 0x10;
            assert!(Packet::new(&other).is_err(), "octet {place}");
        }
    }
}
