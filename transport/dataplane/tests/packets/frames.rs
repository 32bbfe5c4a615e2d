//! Frames written octet by octet from the standards, without the codecs that are tested.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;

pub(crate) const BROADCAST: Mac = Mac([0xff; 6]);

/// IEEE 802.3, and 802.1Q if there is a VLAN.
pub(crate) fn ethernet(to: Mac, from: Mac, vlan: Option<u16>, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to.0, from.0].concat();
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// RFC 791, without options.
pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, class: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap();
    let mut packet = vec![0x45, class];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// RFC 8200, without extension headers.
pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, class: u8, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60 | class >> 4, class << 4, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([next, hops]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

/// RFC 768, with a checksum.
pub(crate) fn udp(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = Vec::new();
    for field in [from.1, to.1, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(payload);
    let sum = match upper_checksum(from.0, to.0, 17, &datagram) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// A UDP packet over the family of its addresses.
pub(crate) fn datagram(from: (IpAddr, u16), to: (IpAddr, u16), class: u8, payload: &[u8]) -> (u16, Vec<u8>) {
    let udp = udp(from, to, payload);
    match (from.0, to.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (0x0800, ipv4(from, to, class, 17, &udp)),
        (IpAddr::V6(from), IpAddr::V6(to)) => (0x86dd, ipv6(from, to, class, 17, 64, &udp)),
        _ => panic!("two families"),
    }
}

/// RFC 826.
pub(crate) fn arp(operation: u8, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
    for (mac, address) in [sender, target] {
        packet.extend(mac.0);
        packet.extend(address.octets());
    }
    packet
}

/// ICMPv6 (RFC 4443) in IPv6.
pub(crate) fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, hops: u8, mut message: Vec<u8>) -> Vec<u8> {
    message[2..4].fill(0);
    let sum = upper_checksum(from.into(), to.into(), 58, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(from, to, 0, 58, hops, &message)
}

/// A neighbour solicitation (135) or advertisement (136; solicited, override), with a link-layer option (RFC 4861).
pub(crate) fn neighbour(kind: u8, target: Ipv6Addr, mac: Option<Mac>) -> Vec<u8> {
    let flags = if kind == 136 { 0x60 } else { 0 };
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    if let Some(mac) = mac {
        message.extend([if kind == 136 { 2 } else { 1 }, 1]);
        message.extend(mac.0);
    }
    message
}

/// RFC 8754, section 2: the list as it stands, the last segment of the path first.
pub(crate) fn srh(next: u8, left: u8, list: &[Ipv6Addr], tlvs: &[u8]) -> Vec<u8> {
    let units = u8::try_from((16 * list.len() + tlvs.len()) / 8).unwrap();
    let mut header = vec![next, units, 4, left, u8::try_from(list.len() - 1).unwrap(), 0, 0, 0];
    header.extend(list.iter().flat_map(Ipv6Addr::octets));
    header.extend(tlvs);
    header
}

/// RFC 3032, section 2.1.
pub(crate) fn label(label: u32, class: u8, is_bottom: bool, ttl: u8) -> [u8; 4] {
    (label << 12 | u32::from(class) << 9 | u32::from(is_bottom) << 8 | u32::from(ttl)).to_be_bytes()
}

/// RFC 7348.
pub(crate) fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    [&[0x08, 0, 0, 0][..], &(vni << 8).to_be_bytes(), frame].concat()
}

/// RFC 1071.
pub(crate) fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

fn upper_checksum(from: IpAddr, to: IpAddr, protocol: u8, upper: &[u8]) -> u16 {
    let length = u32::try_from(upper.len()).unwrap().to_be_bytes();
    let mut octets = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => panic!("two families"),
    };
    octets.extend(length);
    octets.extend([0, 0, 0, protocol]);
    octets.extend(upper);
    checksum(&octets)
}
