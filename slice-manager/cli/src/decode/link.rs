//! The layers below IP: what the capture file says, Ethernet, VLAN tags, PPP, ARP.

use transport_wire::ethernet::{Frame, Tag};
use transport_wire::{EtherType, arp};

use super::dissect::{Dissection, Fault, Next, Span, Step};
use super::fields::Fields;

impl Dissection<'_> {
    /// The link layer by its number in the file (LINKTYPE_ values of tcpdump.org).
    pub(super) fn link<'a>(&mut self, link_type: u16, span: Span<'a>) -> Step<'a> {
        match link_type {
            LINK_NULL | LINK_LOOP => self.loopback(link_type, span),
            LINK_ETHERNET => Ok((Next::Ethernet, span)),
            LINK_PPP => self.ppp(span),
            LINK_RAW | LINK_RAW_BSD | LINK_RAW_OPENBSD => {
                self.protocol("raw");
                Ok((Next::Ip, span))
            }
            LINK_IPV4 => Ok((Next::Ipv4, span)),
            LINK_IPV6 => Ok((Next::Ipv6, span)),
            LINK_LINUX_SLL => self.linux_cooked(span),
            LINK_LINUX_SLL2 => self.linux_cooked_2(span),
            _ => {
                let problem = format_args!(
                    "link type {link_type}; expected Ethernet (1), PPP (9), raw IP (12, 14, 101, 228, 229), null (0), loop (108) or Linux cooked (113, 276)"
                );
                Err(Fault::new("frame", 0, problem, span.octets.len()))
            }
        }
    }

    /// Four octets with the address family: of BSD in the byte order of the machine that wrote (null), of OpenBSD in
    /// network order (loop). No family is above 65,535, which tells the orders apart.
    fn loopback<'a>(&mut self, link_type: u16, span: Span<'a>) -> Step<'a> {
        let (header, rest) = split::<4>("null", span)?;
        let (little, big) = (u32::from_le_bytes(*header), u32::from_be_bytes(*header));
        let family = if link_type == LINK_LOOP || little > 0xffff { big } else { little };
        self.layer("null", Fields::new().number("null.family", family));
        let next = match family {
            FAMILY_INET => Next::Ipv4,
            // Of NetBSD and OpenBSD, FreeBSD, Darwin, Linux.
            24 | 28 | 30 | 10 => Next::Ipv6,
            _ => Next::Data,
        };
        Ok((next, rest))
    }

    /// ```text
    /// | packet type 2 | hardware type 2 | address length 2 | address 8 | protocol 2 |
    /// ```
    fn linux_cooked<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let ([k1, k0, h1, h0, l1, l0, address @ .., p1, p0], rest) = split::<16>("sll", span)?;
        let hardware = u16::from_be_bytes([*h1, *h0]);
        let length = u16::from_be_bytes([*l1, *l0]);
        let fields = Fields::new()
            .number("sll.pkttype", u16::from_be_bytes([*k1, *k0]))
            .number("sll.hatype", hardware)
            .number("sll.halen", length);
        Ok((self.cooked(fields, hardware, length, *address, u16::from_be_bytes([*p1, *p0])), rest))
    }

    /// ```text
    /// | protocol 2 | reserved 2 | interface 4 | hardware type 2 | packet type 1 | address length 1 | address 8 |
    /// ```
    fn linux_cooked_2<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let ([p1, p0, _, _, i3, i2, i1, i0, h1, h0, kind, length, address @ ..], rest) = split::<20>("sll", span)?;
        let hardware = u16::from_be_bytes([*h1, *h0]);
        let fields = Fields::new()
            .number("sll.ifindex", u32::from_be_bytes([*i3, *i2, *i1, *i0]))
            .number("sll.pkttype", *kind)
            .number("sll.hatype", hardware)
            .number("sll.halen", *length);
        Ok((self.cooked(fields, hardware, u16::from(*length), *address, u16::from_be_bytes([*p1, *p0])), rest))
    }

    fn cooked(&mut self, fields: Fields, hardware: u16, length: u16, address: [u8; 8], protocol: u16) -> Next {
        let fields = match address.first_chunk() {
            Some(mac) if length == 6 => fields.text("sll.src.eth", model::Mac(*mac)),
            _ => fields,
        };
        let ethertype = EtherType(protocol);
        if ethertype.is_length() || HARDWARE_WITHOUT_ETHERTYPE.contains(&hardware) {
            self.layer("sll", fields.hex("sll.ltype", protocol, 4));
            return Next::Data;
        }
        self.layer("sll", fields.hex("sll.etype", protocol, 4));
        Next::EtherType(ethertype)
    }

    /// Framing as in HDLC (RFC 1662, section 3.1), which may be left out, then the protocol (RFC 1661, section 2), which
    /// may be cut to its odd octet.
    ///
    /// ```text
    /// | 255, 3 | protocol 2 |
    /// ```
    fn ppp<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let (fields, octets) = match span.octets {
            [0xff, control, rest @ ..] => {
                (Fields::new().hex("ppp.address", 0xff_u8, 2).hex("ppp.control", *control, 2), rest)
            }
            octets => (Fields::new(), octets),
        };
        let (protocol, rest) = match octets {
            [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
            [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
            _ => {
                let have = span.octets.len();
                return Err(Fault::new("ppp", have, "cut short before the protocol", have));
            }
        };
        self.layer("ppp", fields.hex("ppp.protocol", protocol, 4));
        let next = match protocol {
            PPP_IPV4 => Next::Ipv4,
            PPP_IPV6 => Next::Ipv6,
            PPP_MPLS | PPP_MPLS_MULTICAST => Next::Mpls,
            _ => Next::Data,
        };
        Ok((next, span.rest(rest)))
    }

    pub(super) fn ethernet<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let frame = Frame::new(span.octets).map_err(|error| span.fault(error))?;
        let fields = Fields::new().text("eth.dst", frame.destination()).text("eth.src", frame.source());
        let ethertype = frame.ethertype();
        let (fields, next) = if ethertype.is_length() {
            (fields.number("eth.len", ethertype.0), Next::Data)
        } else {
            (fields.hex("eth.type", ethertype.0, 4), Next::EtherType(ethertype))
        };
        self.layer("eth", fields);
        Ok((next, span.rest(frame.payload())))
    }

    pub(super) fn ethertype<'a>(&mut self, ethertype: EtherType, span: Span<'a>) -> Step<'a> {
        self.protocol("ethertype");
        match ethertype {
            EtherType::VLAN => self.tag("vlan", &["vlan.priority", "vlan.dei", "vlan.id", "vlan.etype"], span),
            EtherType::SERVICE_VLAN => {
                let names = ["ieee8021ad.priority", "ieee8021ad.dei", "ieee8021ad.id", "ieee8021ah.etype"];
                self.tag("ieee8021ad", &names, span)
            }
            EtherType::ARP => self.arp(span),
            EtherType::IPV4 => Ok((Next::Ipv4, span)),
            EtherType::IPV6 => Ok((Next::Ipv6, span)),
            EtherType::MPLS | EtherType::MPLS_MULTICAST => Ok((Next::Mpls, span)),
            _ => Ok((Next::Data, span)),
        }
    }

    fn tag<'a>(&mut self, layer: &'static str, names: &[&str; 4], span: Span<'a>) -> Step<'a> {
        let tag = Tag::new(span.octets).map_err(|error| span.fault(error))?;
        let [priority, drop_eligible, vlan, ethertype] = names;
        let fields = Fields::new()
            .number(priority, tag.tci().priority())
            .flag(drop_eligible, tag.tci().drop_eligible())
            .number(vlan, tag.tci().vlan());
        let inner = tag.ethertype();
        let (fields, next) = if inner.is_length() {
            (fields.number("vlan.len", inner.0), Next::Data)
        } else {
            (fields.hex(ethertype, inner.0, 4), Next::EtherType(inner))
        };
        self.layer(layer, fields);
        Ok((next, span.rest(tag.payload())))
    }

    fn arp<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = arp::Packet::new(span.octets).map_err(|error| span.fault(error))?;
        let fields = Fields::new()
            .number("arp.hw.type", 1_u8)
            .hex("arp.proto.type", EtherType::IPV4.0, 4)
            .number("arp.hw.size", 6_u8)
            .number("arp.proto.size", 4_u8)
            .number("arp.opcode", packet.operation().0)
            .text("arp.src.hw_mac", packet.sender_mac())
            .text("arp.src.proto_ipv4", packet.sender_address())
            .text("arp.dst.hw_mac", packet.target_mac())
            .text("arp.dst.proto_ipv4", packet.target_address());
        self.layer("arp", fields);
        // What follows is padding.
        Ok((Next::Data, span.rest(&[])))
    }
}

fn split<'a, const N: usize>(layer: &str, span: Span<'a>) -> Result<(&'a [u8; N], Span<'a>), Fault> {
    let have = span.octets.len();
    match span.octets.split_first_chunk() {
        Some((header, rest)) => Ok((header, span.rest(rest))),
        None => Err(Fault::new(layer, have, format_args!("cut short: {have} octets, {N} needed"), have)),
    }
}

const LINK_NULL: u16 = 0;
const LINK_ETHERNET: u16 = 1;
const LINK_PPP: u16 = 9;
/// Raw IP as the BSDs number it in their kernels; it gets into files, too.
const LINK_RAW_BSD: u16 = 12;
const LINK_RAW_OPENBSD: u16 = 14;
const LINK_RAW: u16 = 101;
const LINK_LOOP: u16 = 108;
const LINK_LINUX_SLL: u16 = 113;
const LINK_IPV4: u16 = 228;
const LINK_IPV6: u16 = 229;
const LINK_LINUX_SLL2: u16 = 276;

const FAMILY_INET: u32 = 2;

/// RFC 1332, RFC 5072, RFC 3032 section 4.3.
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: u16 = 0x0281;
const PPP_MPLS_MULTICAST: u16 = 0x0283;

/// Hardware whose protocol field is no EtherType: netlink, FRAD, the three 802.11 forms, GRE (LINKTYPE_LINUX_SLL).
const HARDWARE_WITHOUT_ETHERTYPE: [u16; 6] = [824, 770, 801, 802, 803, 778];
