//! The headers of a frame, as far as they have lengths and checksums that depend on what follows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use transport_wire::checksum::Sum;
use transport_wire::ethernet::EtherType;

/// A header, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Ipv4 {
        at: usize,
        header: usize,
    },
    Ipv6 {
        at: usize,
    },
    /// With the IP header before it.
    Udp {
        at: usize,
        ip: Ip,
    },
    Tcp {
        at: usize,
        ip: Ip,
    },
    Sctp {
        at: usize,
    },
}

/// The IP header of a transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    V4(usize),
    V6(usize),
}

/// Goes through the headers of a frame from the outside to the inside; ends at what it does not know.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    octets: &'a [u8],
    next: Next,
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Ethernet(usize),
    Network(u16, usize),
    Transport(u8, usize, Ip),
    Nothing,
}

impl<'a> Layers<'a> {
    pub(super) const fn of(octets: &'a [u8]) -> Self {
        Self { octets, next: Next::Ethernet(0), left: LAYERS_MAX }
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.octets.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.octets.get(at..)?.first_chunk()?))
    }

    /// Past Ethernet and its tags.
    fn ethernet(&self, at: usize) -> Option<Next> {
        let (mut kind, mut at) = (self.u16(at + 12)?, at + 14);
        for _ in 0..TAGS_MAX {
            if !EtherType(kind).is_tag() {
                break;
            }
            (kind, at) = (self.u16(at + 2)?, at + 4);
        }
        Some(Next::Network(kind, at))
    }

    fn network(&self, kind: u16, at: usize) -> Option<(Layer, Next)> {
        match EtherType(kind) {
            EtherType::IPV4 => {
                let header = usize::from(self.u8(at)? & 0x0f) * 4;
                let fragment = self.u16(at + 6)? & 0x3fff != 0;
                let next = Next::Transport(self.u8(at + 9)?, at + header, Ip::V4(at));
                let whole = header >= 20 && self.octets.len() >= at + header;
                whole.then_some((Layer::Ipv4 { at, header }, if fragment { Next::Nothing } else { next }))
            }
            EtherType::IPV6 => {
                let next = Next::Transport(self.u8(at + 6)?, at + 40, Ip::V6(at));
                (self.octets.len() >= at + 40).then_some((Layer::Ipv6 { at }, next))
            }
            _ => None,
        }
    }

    fn transport(&self, protocol: u8, at: usize, ip: Ip) -> Option<(Option<Layer>, Next)> {
        Some(match protocol {
            6 => (Some(Layer::Tcp { at, ip }), Next::Nothing),
            17 => {
                let vxlan = self.u16(at + 2)? == VXLAN_PORT;
                let next = if vxlan { Next::Ethernet(at + 8 + 8) } else { Next::Nothing };
                (Some(Layer::Udp { at, ip }), next)
            }
            132 => (Some(Layer::Sctp { at }), Next::Nothing),
            4 => (None, Next::Network(EtherType::IPV4.0, at)),
            41 => (None, Next::Network(EtherType::IPV6.0, at)),
            143 => (None, Next::Ethernet(at)),
            // Hop-by-hop options, routing, destination options: a length in units of eight octets beyond the first.
            0 | 43 | 60 => (None, Next::Transport(self.u8(at)?, at + 8 + 8 * usize::from(self.u8(at + 1)?), ip)),
            _ => return None,
        })
    }

    /// The next header, unless it has nothing to be looked at, and what comes after it.
    fn step(&self) -> Option<(Option<Layer>, Next)> {
        match self.next {
            Next::Ethernet(at) => Some((None, self.ethernet(at)?)),
            Next::Network(kind, at) => self.network(kind, at).map(|(layer, next)| (Some(layer), next)),
            Next::Transport(protocol, at, ip) => self.transport(protocol, at, ip),
            Next::Nothing => None,
        }
    }
}

impl Iterator for Layers<'_> {
    type Item = Layer;

    fn next(&mut self) -> Option<Layer> {
        while self.left > 0 {
            self.left -= 1;
            let (layer, next) = self.step()?;
            self.next = next;
            if layer.is_some() {
                return layer;
            }
        }
        None
    }
}

/// The sum of the pseudo header of a transport header that goes to the end of the frame; `None` for other headers, and for UDP
/// without a checksum.
pub(super) fn pseudo_sum(octets: &[u8], layer: Layer) -> Option<Sum> {
    let (at, ip, protocol) = match layer {
        Layer::Tcp { at, ip } => (at, ip, 6),
        Layer::Udp { at, ip } => (at, ip, 17),
        _ => return None,
    };
    if protocol == 17 && octets.get(at + 6..at + 8)? == [0, 0] {
        return None;
    }
    let length = u16::try_from(octets.len().checked_sub(at)?).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match ip {
        Ip::V4(ip) => (
            Ipv4Addr::from(*octets.get(ip + 12..)?.first_chunk::<4>()?).into(),
            Ipv4Addr::from(*octets.get(ip + 16..)?.first_chunk::<4>()?).into(),
        ),
        Ip::V6(ip) => (
            Ipv6Addr::from(*octets.get(ip + 8..)?.first_chunk::<16>()?).into(),
            Ipv6Addr::from(*octets.get(ip + 24..)?.first_chunk::<16>()?).into(),
        ),
    };
    Some(Sum::new().pseudo(source, destination, protocol, length))
}

/// Makes a header fit one packet of a merged frame: its number, the octets of payload before it, and whether it is the last.
/// What is inside of the header fits already.
pub(super) fn fit(octets: &mut [u8], layer: Layer, number: u16, before: usize, is_last: bool) {
    let length = |at: usize| u16::try_from(octets.len() - at).unwrap_or(u16::MAX);
    match layer {
        Layer::Ipv4 { at, header } => {
            let total = length(at);
            put(octets, at + 2, total);
            let identification = u16::from_be_bytes([octets[at + 4], octets[at + 5]]).wrapping_add(number);
            put(octets, at + 4, identification);
            put(octets, at + 10, 0);
            let checksum = Sum::new().add(&octets[at..at + header]).checksum();
            put(octets, at + 10, checksum);
        }
        Layer::Ipv6 { at } => {
            let payload = length(at + 40);
            put(octets, at + 4, payload);
        }
        Layer::Udp { at, .. } => {
            let datagram = length(at);
            put(octets, at + 4, datagram);
            if let Some(pseudo) = pseudo_sum(octets, layer) {
                put(octets, at + 6, 0);
                let checksum = pseudo.add(&octets[at..]).udp_checksum();
                put(octets, at + 6, checksum);
            }
        }
        Layer::Sctp { .. } => {}
        Layer::Tcp { at, .. } => {
            let sequence = u32::from_be_bytes([octets[at + 4], octets[at + 5], octets[at + 6], octets[at + 7]]);
            let sequence = sequence.wrapping_add(u32::try_from(before).unwrap_or(0));
            octets[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
            // FIN and PSH are the last one's, CWR the first one's.
            let kept_by_all = !(FIN | PSH | CWR);
            octets[at + 13] &= kept_by_all | if is_last { FIN | PSH } else { 0 } | if number == 0 { CWR } else { 0 };
            put(octets, at + 16, 0);
            if let Some(pseudo) = pseudo_sum(octets, layer) {
                let checksum = pseudo.add(&octets[at..]).checksum();
                put(octets, at + 16, checksum);
            }
        }
    }
}

fn put(octets: &mut [u8], at: usize, value: u16) {
    octets[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Headers that are looked at, tags left out.
pub(super) const LAYERS_MAX: usize = 16;
const TAGS_MAX: usize = 2;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;
const VXLAN_PORT: u16 = 4789;
