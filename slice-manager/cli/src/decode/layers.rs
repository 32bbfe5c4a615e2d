//! The walk through the layers of a packet.

use std::net::IpAddr;

use pcap_file::DataLink;
use serde_json::{Map, Value, json};
use transport_wire::ethernet::{Frame, Tag};
use transport_wire::icmp::{self, Message};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::{EtherType, Layer, Protocol, WireError, arp, ipv4, ipv6, tcp, udp, vxlan};

use super::{DecodeAs, UdpProtocol, radius};

/// Layers as they are found.
pub(super) struct Walk<'a> {
    rules: &'a [DecodeAs],
    protocols: Vec<&'static str>,
    layers: Vec<Value>,
    depth: usize,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(rules: &'a [DecodeAs]) -> Self {
        Self { rules, protocols: Vec::new(), layers: Vec::new(), depth: 0 }
    }

    /// The names of the layers, and the layers.
    pub(super) fn finish(self) -> (String, Vec<Value>) {
        (self.protocols.join(":"), self.layers)
    }

    /// Begins at the link layer.
    pub(super) fn link(&mut self, link: DataLink, octets: &[u8]) {
        match link {
            DataLink::ETHERNET => self.ethernet(octets),
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => self.raw(octets),
            DataLink::LINUX_SLL => self.linux_sll(octets),
            DataLink::NULL | DataLink::LOOP => match octets.get(4..) {
                Some(packet) => {
                    self.layer("null", json!({}));
                    self.raw(packet);
                }
                None => self.error("null", 0, "cut short: expected a header of 4 octets", octets),
            },
            other => self.error("link", 0, &format!("link type {} is not read", u32::from(other)), octets),
        }
    }

    /// Linux cooked capture: the protocol stands in the last two of sixteen octets.
    fn linux_sll(&mut self, octets: &[u8]) {
        match octets.split_first_chunk::<16>() {
            Some((header, payload)) => {
                let ethertype = EtherType(u16::from_be_bytes([header[14], header[15]]));
                self.layer("sll", json!({ "sll.etype": hex16(ethertype.0) }));
                self.network(ethertype, payload);
            }
            None => self.error("sll", 0, "cut short: expected a header of 16 octets", octets),
        }
    }

    fn raw(&mut self, octets: &[u8]) {
        match octets.first().map(|first| first >> 4) {
            Some(4) => self.ipv4(octets),
            Some(6) => self.ipv6(octets),
            _ => self.data(octets),
        }
    }

    fn ethernet(&mut self, octets: &[u8]) {
        let frame = match Frame::new(octets) {
            Ok(frame) => frame,
            Err(error) => return self.malformed(error, octets),
        };
        let mut fields = json!({ "eth.dst": frame.destination().to_string(), "eth.src": frame.source().to_string() });
        if frame.ethertype().is_length() {
            fields["eth.len"] = json!(frame.ethertype().0);
            self.layer("eth", fields);
            return self.data(frame.payload());
        }
        fields["eth.type"] = json!(hex16(frame.ethertype().0));
        self.layer("eth", fields);
        self.network(frame.ethertype(), frame.payload());
    }

    /// What an EtherType says; tags are followed as deep as they go, which is as long as the frame.
    fn network(&mut self, ethertype: EtherType, octets: &[u8]) {
        let (mut ethertype, mut octets) = (ethertype, octets);
        self.protocols.push("ethertype");
        while ethertype.is_tag() {
            let tag = match Tag::new(octets) {
                Ok(tag) => tag,
                Err(error) => return self.malformed(error, octets),
            };
            let name = if ethertype == EtherType::SERVICE_VLAN { "ieee8021ad" } else { "vlan" };
            let tci = tag.tci();
            self.layer_named(
                name,
                "vlan",
                json!({
                    "vlan.priority": tci.priority(), "vlan.dei": u8::from(tci.drop_eligible()), "vlan.id": tci.vlan(),
                    "vlan.etype": hex16(tag.ethertype().0),
                }),
            );
            (ethertype, octets) = (tag.ethertype(), tag.payload());
            if ethertype.is_length() {
                return self.data(octets);
            }
            self.protocols.push("ethertype");
        }
        match ethertype {
            EtherType::ARP => self.arp(octets),
            EtherType::IPV4 => self.ipv4(octets),
            EtherType::IPV6 => self.ipv6(octets),
            _ => self.data(octets),
        }
    }

    fn arp(&mut self, octets: &[u8]) {
        match arp::Packet::new(octets) {
            Ok(packet) => self.layer(
                "arp",
                json!({
                    "arp.opcode": packet.operation().0,
                    "arp.src.hw_mac": packet.sender_mac().to_string(), "arp.src.proto_ipv4": packet.sender_address(),
                    "arp.dst.hw_mac": packet.target_mac().to_string(), "arp.dst.proto_ipv4": packet.target_address(),
                }),
            ),
            Err(error) => self.malformed(error, octets),
        }
    }

    fn ipv4(&mut self, octets: &[u8]) {
        let packet = match ipv4::Packet::new(octets) {
            Ok(packet) => packet,
            Err(error) => return self.malformed(error, octets),
        };
        self.layer(
            "ip",
            json!({
                "ip.version": 4, "ip.hdr_len": packet.header_octets(),
                "ip.dsfield.dscp": packet.dscp(), "ip.dsfield.ecn": packet.ecn(),
                "ip.len": packet.total_octets(), "ip.id": hex16(packet.identification()),
                "ip.flags.df": u8::from(packet.dont_fragment()), "ip.flags.mf": u8::from(packet.more_fragments()),
                "ip.frag_offset": u32::from(packet.fragment_offset()) * 8, "ip.ttl": packet.ttl(),
                "ip.proto": packet.protocol().0, "ip.checksum": hex16(packet.checksum()),
                "ip.checksum.status": status(packet.checksum_holds()),
                "ip.src": packet.source(), "ip.dst": packet.destination(),
            }),
        );
        let ends = (packet.source().into(), packet.destination().into());
        self.upper(packet.protocol(), packet.payload(), packet.is_fragment(), packet.fragment_offset(), ends);
    }

    fn ipv6(&mut self, octets: &[u8]) {
        let packet = match ipv6::Packet::new(octets) {
            Ok(packet) => packet,
            Err(error) => return self.malformed(error, octets),
        };
        self.layer(
            "ipv6",
            json!({
                "ipv6.version": 6, "ipv6.tclass.dscp": packet.dscp(), "ipv6.tclass.ecn": packet.ecn(),
                "ipv6.flow": format!("0x{:06x}", packet.flow_label()), "ipv6.plen": packet.payload_octets(),
                "ipv6.nxt": packet.next_header().0, "ipv6.hlim": packet.hop_limit(),
                "ipv6.src": packet.source(), "ipv6.dst": packet.destination(),
            }),
        );
        for extension in packet.extensions() {
            match extension {
                Ok(extension) => self.extension(&extension),
                Err(error) => return self.malformed(error, packet.payload()),
            }
        }
        match packet.upper_layer() {
            Ok(upper) => {
                let ends = (packet.source().into(), packet.destination().into());
                self.upper(upper.protocol, upper.payload, upper.is_fragment, upper.fragment_offset, ends);
            }
            Err(error) => self.malformed(error, packet.payload()),
        }
    }

    fn extension(&mut self, extension: &ipv6::Extension<'_>) {
        let octets = extension.octets;
        let next = extension.next_header.0;
        match extension.kind {
            Protocol::HOP_BY_HOP => self.layer("ipv6.hopopts", json!({ "ipv6.hopopts.nxt": next })),
            Protocol::DESTINATION_OPTIONS => self.layer("ipv6.dstopts", json!({ "ipv6.dstopts.nxt": next })),
            Protocol::ROUTING => self.layer(
                "ipv6.routing",
                json!({
                    "ipv6.routing.nxt": next, "ipv6.routing.type": octets[2], "ipv6.routing.segleft": octets[3],
                }),
            ),
            Protocol::FRAGMENT => {
                let field = u16::from_be_bytes([octets[2], octets[3]]);
                let identification = u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]);
                self.layer(
                    "ipv6.fraghdr",
                    json!({
                        "ipv6.fraghdr.nxt": next, "ipv6.fraghdr.offset": u32::from(field >> 3) * 8,
                        "ipv6.fraghdr.more": field & 1, "ipv6.fraghdr.ident": format!("0x{identification:08x}"),
                    }),
                );
            }
            _ => self.layer("ah", json!({ "ah.next_header": next })),
        }
    }

    fn upper(&mut self, protocol: Protocol, octets: &[u8], is_fragment: bool, offset: u16, ends: (IpAddr, IpAddr)) {
        // Of a fragment but the first, there is no header to read; of the first, what it carries is not whole.
        if offset != 0 || is_fragment && protocol != Protocol::UDP && protocol != Protocol::TCP {
            return self.data(octets);
        }
        match protocol {
            Protocol::UDP if is_fragment => self.data(octets),
            Protocol::UDP => self.udp(octets, ends),
            Protocol::TCP => self.tcp(octets),
            Protocol::ICMP => self.icmp(octets, ends),
            Protocol::ICMPV6 => self.icmpv6(octets, ends),
            Protocol(4) => self.nested(|walk| walk.ipv4(octets)),
            Protocol(41) => self.nested(|walk| walk.ipv6(octets)),
            Protocol::NONE => {}
            _ => self.data(octets),
        }
    }

    fn udp(&mut self, octets: &[u8], ends: (IpAddr, IpAddr)) {
        let datagram = match udp::Datagram::new(octets) {
            Ok(datagram) => datagram,
            Err(error) => return self.malformed(error, octets),
        };
        let checksum = match datagram.checksum() {
            0 => "none",
            _ => status(datagram.checksum_holds(ends.0, ends.1)),
        };
        let ports = (datagram.source_port(), datagram.destination_port());
        self.layer(
            "udp",
            json!({
                "udp.srcport": ports.0, "udp.dstport": ports.1, "udp.length": datagram.length(),
                "udp.checksum": hex16(datagram.checksum()), "udp.checksum.status": checksum,
            }),
        );
        match self.over_udp(ports) {
            Some(UdpProtocol::Vxlan) => self.vxlan(datagram.payload()),
            Some(UdpProtocol::Radius) => self.radius(datagram.payload()),
            None => self.data(datagram.payload()),
        }
    }

    /// What a pair of ports is read as; rules come first.
    fn over_udp(&self, ports: (u16, u16)) -> Option<UdpProtocol> {
        let rule = |port: u16| self.rules.iter().find(|rule| rule.port == port).map(|rule| rule.protocol);
        let known = |port: u16| RADIUS_PORTS.contains(&port).then_some(UdpProtocol::Radius);
        let vxlan = (ports.1 == vxlan::PORT).then_some(UdpProtocol::Vxlan);
        rule(ports.1).or_else(|| rule(ports.0)).or(vxlan).or_else(|| known(ports.1)).or_else(|| known(ports.0))
    }

    fn vxlan(&mut self, octets: &[u8]) {
        match vxlan::Packet::new(octets) {
            Ok(packet) => {
                self.layer("vxlan", json!({ "vxlan.flags": hex16(packet.flags()), "vxlan.vni": packet.vni() }));
                self.nested(|walk| walk.ethernet(packet.payload()));
            }
            Err(error) => self.malformed(error, octets),
        }
    }

    fn radius(&mut self, octets: &[u8]) {
        match radius::layer(octets) {
            Ok((fields, length)) => {
                self.layer("radius", fields);
                // Octets past the length are padding (RFC 2865, section 3).
                if let Some(rest) = octets.get(length..).filter(|rest| !rest.is_empty()) {
                    self.data(rest);
                }
            }
            Err((offset, problem)) => self.error("radius", offset, &problem, octets),
        }
    }

    fn tcp(&mut self, octets: &[u8]) {
        match tcp::Segment::new(octets) {
            Ok(segment) => {
                self.layer(
                    "tcp",
                    json!({
                        "tcp.srcport": segment.source_port(), "tcp.dstport": segment.destination_port(),
                        "tcp.seq_raw": segment.sequence(), "tcp.ack_raw": segment.acknowledgment(),
                        "tcp.hdr_len": segment.header_octets(), "tcp.flags": format!("0x{:04x}", segment.flags()),
                        "tcp.window_size_value": segment.window(), "tcp.checksum": hex16(segment.checksum()),
                    }),
                );
                self.data(segment.payload());
            }
            Err(error) => self.malformed(error, octets),
        }
    }

    fn icmp(&mut self, octets: &[u8], ends: (IpAddr, IpAddr)) {
        let message = match Message::new(octets, Layer::Icmp) {
            Ok(message) if ends.0.is_ipv4() => message,
            Ok(_) => return self.data(octets),
            Err(error) => return self.malformed(error, octets),
        };
        let mut fields = json!({
            "icmp.type": message.kind(), "icmp.code": message.code(), "icmp.checksum": hex16(message.checksum()),
        });
        let is_echo = message.kind() == icmp::ECHO.0 || message.kind() == icmp::ECHO.1;
        if let Some((identifier, sequence)) = message.echo().filter(|_| is_echo) {
            fields["icmp.ident"] = json!(identifier);
            fields["icmp.seq"] = json!(sequence);
        }
        self.layer("icmp", fields);
        let body = message.body();
        self.data(body.get(4..).unwrap_or(body));
    }

    fn icmpv6(&mut self, octets: &[u8], ends: (IpAddr, IpAddr)) {
        let (message, source, destination) = match (Message::new(octets, Layer::Icmpv6), ends) {
            (Ok(message), (IpAddr::V6(source), IpAddr::V6(destination))) => (message, source, destination),
            (Ok(_), _) => return self.data(octets),
            (Err(error), _) => return self.malformed(error, octets),
        };
        let mut fields = json!({
            "icmpv6.type": message.kind(), "icmpv6.code": message.code(), "icmpv6.checksum": hex16(message.checksum()),
            "icmpv6.checksum.status": status(message.checksum_holds_ipv6(source, destination)),
        });
        let is_echo = message.kind() == icmp::ECHO_IPV6.0 || message.kind() == icmp::ECHO_IPV6.1;
        if let Some((identifier, sequence)) = message.echo().filter(|_| is_echo) {
            fields["icmpv6.echo.identifier"] = json!(hex16(identifier));
            fields["icmpv6.echo.sequence_number"] = json!(sequence);
        }
        match Neighbour::read(&message) {
            Some(Ok(neighbour)) => {
                let target = match neighbour.kind {
                    Kind::Solicitation => "icmpv6.nd.ns.target_address",
                    Kind::Advertisement { .. } => "icmpv6.nd.na.target_address",
                };
                fields[target] = json!(neighbour.target);
                if let Some(mac) = neighbour.link_layer {
                    fields["icmpv6.opt.linkaddr"] = json!(mac.to_string());
                }
                self.layer("icmpv6", fields);
            }
            Some(Err(error)) => {
                self.layer("icmpv6", fields);
                self.malformed(error, octets);
            }
            None => {
                self.layer("icmpv6", fields);
                let body = message.body();
                self.data(if is_echo { body.get(4..).unwrap_or(body) } else { body });
            }
        }
    }

    /// A packet in a packet, as deep as [`DEPTH_MAX`].
    fn nested(&mut self, inner: impl FnOnce(&mut Self)) {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.error("nested", 0, &format!("more than {DEPTH_MAX} packets inside one another"), &[]);
        } else {
            inner(self);
        }
    }

    fn layer(&mut self, name: &'static str, fields: Value) {
        self.layer_named(name, name, fields);
    }

    /// A layer that stands among the protocols under another name than among the layers.
    fn layer_named(&mut self, protocol: &'static str, name: &'static str, fields: Value) {
        self.protocols.push(protocol);
        self.layers.push(named(name, fields));
    }

    fn data(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.layer("data", json!({ "data.len": octets.len() }));
        }
    }

    fn malformed(&mut self, error: WireError, octets: &[u8]) {
        self.error(error.layer.as_str(), error.offset, &error.problem.to_string(), octets);
    }

    fn error(&mut self, layer: &str, offset: usize, problem: &str, octets: &[u8]) {
        self.layers.push(named("error", json!({ "layer": layer, "offset": offset, "problem": problem })));
        self.data(octets);
    }
}

fn named(name: &str, fields: Value) -> Value {
    let mut layer = Map::new();
    layer.insert(name.to_owned(), fields);
    Value::Object(layer)
}

pub(super) fn hex16(value: u16) -> String {
    format!("0x{value:04x}")
}

const fn status(holds: bool) -> &'static str {
    if holds { "good" } else { "bad" }
}

/// RFC 2865, RFC 2866, RFC 5176, and the ports before RFC 2138.
const RADIUS_PORTS: [u16; 5] = [1812, 1813, 3799, 1645, 1646];
/// How many packets inside one another are read.
const DEPTH_MAX: usize = 8;
