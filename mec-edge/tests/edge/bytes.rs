//! Frames, octet by octet; nothing of the dataplane's own codecs.

use std::net::Ipv4Addr;

use model::Mac;

/// A frame with an 802.1Q tag.
pub(crate) fn tagged(to: Mac, from: Mac, vlan: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to.0, from.0].concat();
    frame.extend([0x81, 0x00]);
    frame.extend(vlan.to_be_bytes());
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An ARP request (RFC 826).
pub(crate) fn arp_request(from: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0, 1, 0x08, 0x00, 6, 4, 0, 1];
    message.extend(from.0.0);
    message.extend(from.1.octets());
    message.extend([0; 6]);
    message.extend(target.octets());
    message
}

/// An IPv4 packet with a UDP datagram whose checksum is left out, as RFC 768 allows.
pub(crate) fn udp(from: Ipv4Addr, to: Ipv4Addr, text: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(u16::try_from(28 + text.len()).unwrap().to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend([0x30, 0x39, 0x30, 0x3a]);
    packet.extend(u16::try_from(8 + text.len()).unwrap().to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(text);
    packet
}
