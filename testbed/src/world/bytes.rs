//! The few packet formats that the simulated world speaks, by their offsets in the standards.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A MAC address.
pub type Mac = [u8; 6];

/// All stations.
pub const BROADCAST: Mac = [0xff; 6];

/// IEEE 802.3 and 802.1Q header, then the payload.
pub fn ethernet(destination: Mac, source: Mac, vlan: Option<u16>, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(18 + payload.len());
    frame.extend(destination);
    frame.extend(source);
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What an Ethernet frame says before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetHeader {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// The VLAN of its tag, if it has one.
    pub vlan: Option<u16>,
    /// What the payload is.
    pub ethertype: u16,
}

/// Header and payload of a frame; `None` if it is cut short.
pub fn read_ethernet(frame: &[u8]) -> Option<(EthernetHeader, &[u8])> {
    let destination = frame.get(0..6)?.try_into().ok()?;
    let source = frame.get(6..12)?.try_into().ok()?;
    let outer = be16(frame, 12)?;
    if outer == 0x8100 {
        let header =
            EthernetHeader { destination, source, vlan: Some(be16(frame, 14)? & 0x0fff), ethertype: be16(frame, 16)? };
        Some((header, frame.get(18..)?))
    } else {
        Some((EthernetHeader { destination, source, vlan: None, ethertype: outer }, frame.get(14..)?))
    }
}

/// ARP for IPv4 over Ethernet (RFC 826): operation 1 asks, 2 answers.
pub fn arp(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend(operation.to_be_bytes());
    packet.extend(sender.0);
    packet.extend(sender.1.octets());
    packet.extend(target.0);
    packet.extend(target.1.octets());
    packet
}

/// Operation, sender and target address of an ARP packet.
pub fn read_arp(packet: &[u8]) -> Option<(u16, Mac, Ipv4Addr, Ipv4Addr)> {
    let sender = packet.get(8..14)?.try_into().ok()?;
    Some((be16(packet, 6)?, sender, ipv4_at(packet, 14)?, ipv4_at(packet, 24)?))
}

/// UDP over IPv4 (RFC 768, RFC 791), with both checksums.
pub fn udp4(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend(from.1.to_be_bytes());
    udp.extend(to.1.to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut pseudo = Vec::with_capacity(12 + udp.len());
    pseudo.extend(from.0.octets());
    pseudo.extend(to.0.octets());
    pseudo.extend([0, 17]);
    pseudo.extend(udp_length.to_be_bytes());
    pseudo.extend(&udp);
    let checksum = match internet_checksum(&pseudo) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());

    let total = u16::try_from(20 + udp.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    let checksum = internet_checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(udp);
    packet
}

/// Source, destination port and payload of a UDP datagram over IPv4 without options; `None` for anything else or if a
/// checksum is wrong.
pub fn read_udp4(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u16, &[u8])> {
    let header = packet.get(..20)?;
    if header[0] != 0x45 || header[9] != 17 || internet_checksum(header) != 0 {
        return None;
    }
    let total = usize::from(be16(packet, 2)?);
    let udp = packet.get(20..total)?;
    let length = usize::from(be16(udp, 4)?);
    let udp = udp.get(..length)?;
    let mut pseudo = Vec::with_capacity(12 + udp.len());
    pseudo.extend(&header[12..20]);
    pseudo.extend([0, 17]);
    pseudo.extend(u16::try_from(udp.len()).ok()?.to_be_bytes());
    pseudo.extend(udp);
    if be16(udp, 6)? != 0 && internet_checksum(&pseudo) != 0 {
        return None;
    }
    Some((ipv4_at(packet, 12)?, ipv4_at(packet, 16)?, be16(udp, 2)?, udp.get(8..)?))
}

/// The one's complement sum of RFC 1071.
pub fn internet_checksum(data: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in data.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Two octets, most significant first.
pub fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// An IPv4 address.
pub fn ipv4_at(data: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

/// An IPv6 address.
pub fn ipv6_at(data: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = data.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// A locally administered MAC address made from two numbers.
pub fn local_mac(group: u8, member: u8) -> Mac {
    [0x02, 0x4d, 0x53, 0, group, member]
}

/// An IPv4 address as the devices of the reference world have them: `10.VLAN.0.N`.
pub fn device_address(vlan: u16, member: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, u8::try_from(vlan).unwrap_or(u8::MAX), 0, member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // RFC 1071, section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2; the checksum is its complement.
        assert_eq!(internet_checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_datagram_reads_back_and_a_flipped_bit_is_noticed() {
        let from = (Ipv4Addr::new(192, 0, 2, 1), 7);
        let to = (Ipv4Addr::new(192, 0, 2, 2), 9);
        let packet = udp4(from, to, b"hello");
        assert_eq!(read_udp4(&packet), Some((from.0, to.0, 9, b"hello".as_slice())));
        for at in 0..packet.len() {
            let mut broken = packet.clone();
            broken[at] ^= 1;
            assert_eq!(read_udp4(&broken), None, "octet {at}");
        }
    }
}
