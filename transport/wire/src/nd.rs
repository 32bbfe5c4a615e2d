//! Neighbour discovery for IPv6 (RFC 4861): solicitations, advertisements, and their link-layer address option.
//!
//! ```text
//!  0               4               8                      24
//! +---------------+---------------+----------------------+------ …
//! | ICMPv6 header | R S O 0 …     |    target address    | options
//! +---------------+---------------+----------------------+------ …
//!                   (solicitation: reserved)
//! ```

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

use model::Mac;

use crate::checksum::Sum;
use crate::icmp::{CHECKSUM, Message};
use crate::octets::{at, put};
use crate::{Layer, Protocol, WireError};

/// A neighbour message, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// A question or an answer.
    pub kind: Kind,
    /// The address that it is about.
    pub target: Ipv6Addr,
    /// The sender's MAC address in a solicitation, the target's in an advertisement.
    pub link_layer: Option<Mac>,
}

/// Which neighbour message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who has this address?
    Solicitation,
    /// I have it.
    Advertisement {
        /// It answers a solicitation.
        solicited: bool,
        /// It is to replace what is known.
        overrides: bool,
        /// The sender is a router.
        router: bool,
    },
}

impl Neighbour {
    /// Of an ICMPv6 message of type 135 or 136; `None` for others. Options are bounded by the message, and one of
    /// length 0 ends with an error (RFC 4861, section 4.6).
    pub fn read(message: &Message<'_>) -> Option<Result<Self, WireError>> {
        matches!(message.kind(), SOLICITATION | ADVERTISEMENT).then(|| Self::read_body(message.kind(), message.body()))
    }

    fn read_body(kind: u8, body: &[u8]) -> Result<Self, WireError> {
        let (fixed, mut options) = body.split_first_chunk::<20>().ok_or(Layer::Icmpv6.truncated(24, body.len() + 4))?;
        let wanted = if kind == SOLICITATION { SOURCE_LINK_LAYER } else { TARGET_LINK_LAYER };
        let mut link_layer = None;
        while !options.is_empty() {
            let place = body.len() + 4 - options.len();
            let octets = options.get(1).map_or(0, |units| usize::from(*units) * 8);
            let (option, rest) = match options.split_at_checked(octets) {
                Some(split) if octets != 0 => split,
                _ => return Err(Layer::Icmpv6.length(place, octets, 8, options.len())),
            };
            if option[0] == wanted {
                link_layer = Some(Mac(at(option, 2)));
            }
            options = rest;
        }
        let flags = fixed[0];
        let kind = if kind == SOLICITATION {
            Kind::Solicitation
        } else {
            Kind::Advertisement {
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                overrides: flags & 0x20 != 0,
            }
        };
        Ok(Self { kind, target: Ipv6Addr::from_octets(at(fixed, 4)), link_layer })
    }

    /// The ICMPv6 message, with its checksum between these addresses. Without a link-layer address, the option is left
    /// out and the message is shorter: 24 octets.
    pub fn emit<'a>(&self, source: Ipv6Addr, destination: Ipv6Addr, out: &'a mut [u8; MESSAGE_OCTETS]) -> &'a [u8] {
        let (kind, flags, option) = match self.kind {
            Kind::Solicitation => (SOLICITATION, 0, SOURCE_LINK_LAYER),
            Kind::Advertisement { router, solicited, overrides } => {
                let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(overrides) << 5;
                (ADVERTISEMENT, flags, TARGET_LINK_LAYER)
            }
        };
        put(out, 0, [kind, 0, 0, 0, flags, 0, 0, 0]);
        put(out, 8, self.target.octets());
        put(out, 24, [option, 1]);
        put(out, 26, self.link_layer.unwrap_or(Mac([0; 6])).0);
        let message = &mut out[..if self.link_layer.is_some() { MESSAGE_OCTETS } else { 24 }];
        #[allow(clippy::cast_possible_truncation, reason = "at most 32")]
        let length = message.len() as u32;
        let sum = Sum::new().pseudo_ipv6(source, destination, Protocol::ICMPV6.0, length);
        let checksum = sum.add(message).checksum();
        put(message, CHECKSUM, checksum.to_be_bytes());
        message
    }
}

/// The solicited-node multicast address of an address (RFC 4291, section 2.7.1).
pub const fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let o = target.octets();
    Ipv6Addr::from_octets([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, o[13], o[14], o[15]])
}

/// The MAC address of an IPv6 multicast address (RFC 2464, section 7).
pub const fn multicast_mac(group: Ipv6Addr) -> Mac {
    let o = group.octets();
    Mac([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

/// A message with its option.
pub const MESSAGE_OCTETS: usize = 32;

/// The types of neighbour discovery, router solicitation to redirect (RFC 4861, section 4).
pub const KINDS: RangeInclusive<u8> = 133..=REDIRECT;
/// A router says that it is one.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// A router names a better one.
pub const REDIRECT: u8 = 137;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCE: &str = "fe80::1";
    const TARGET: &str = "2001:db8::abcd:1234";

    #[test]
    fn a_solicitation_has_its_fields_where_rfc_4861_has_them() {
        let source = SOURCE.parse().unwrap();
        let target: Ipv6Addr = TARGET.parse().unwrap();
        let group = solicited_node(target);
        assert_eq!(group.to_string(), "ff02::1:ffcd:1234");
        assert_eq!(multicast_mac(group).to_string(), "33:33:ff:cd:12:34");
        let solicitation = Neighbour { kind: Kind::Solicitation, target, link_layer: Some(Mac([2, 0, 0, 0, 0, 1])) };
        let mut out = [0xa5; MESSAGE_OCTETS];
        let octets = solicitation.emit(source, group, &mut out);
        assert_eq!(octets[..2], [135, 0]);
        assert_eq!(octets[4..8], [0; 4]);
        assert_eq!(octets[8..24], target.octets());
        assert_eq!(octets[24..], [1, 1, 2, 0, 0, 0, 0, 1]);
        let message = Message::new(octets, Layer::Icmpv6).unwrap();
        assert!(message.checksum_holds_ipv6(source, group));
        assert_eq!(Neighbour::read(&message), Some(Ok(solicitation)));
    }

    #[test]
    fn options_that_lie_and_cut_messages_are_refused() {
        let target: Ipv6Addr = TARGET.parse().unwrap();
        let kind = Kind::Advertisement { router: false, solicited: true, overrides: true };
        let advertisement = Neighbour { kind, target, link_layer: Some(Mac([2, 0, 0, 0, 0, 1])) };
        let mut out = [0xa5; MESSAGE_OCTETS];
        advertisement.emit(target, target, &mut out);
        assert_eq!(out[4], 0x60);
        for length in 4..MESSAGE_OCTETS {
            let read = Neighbour::read(&Message::new(&out[..length], Layer::Icmpv6).unwrap()).unwrap();
            assert_eq!(read.is_ok(), length == 24, "{length}");
        }
        for units in [0, 2, 255] {
            let mut lie = out;
            lie[25] = units;
            assert!(Neighbour::read(&Message::new(&lie, Layer::Icmpv6).unwrap()).unwrap().is_err());
        }
    }

    proptest! {
        #[test]
        fn every_message_survives(source: [u8; 16], target: [u8; 16], mac: Option<[u8; 6]>, answer: Option<(bool, bool, bool)>) {
            let kind = answer.map_or(Kind::Solicitation, |(router, solicited, overrides)| Kind::Advertisement { router, solicited, overrides });
            let neighbour = Neighbour { kind, target: target.into(), link_layer: mac.map(Mac) };
            let mut out = [0xa5; MESSAGE_OCTETS];
            let octets = neighbour.emit(source.into(), target.into(), &mut out);
            let message = Message::new(octets, Layer::Icmpv6).unwrap();
            prop_assert!(message.checksum_holds_ipv6(source.into(), target.into()));
            prop_assert_eq!(Neighbour::read(&message), Some(Ok(neighbour)));
        }
    }
}
