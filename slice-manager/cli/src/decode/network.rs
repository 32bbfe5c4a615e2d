//! IPv4, IPv6 and its extension headers.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;
use transport_wire::ipv6::Extension;
use transport_wire::srh::{Srh, Tlv};
use transport_wire::{Problem, Protocol, WireError, ipv4, ipv6};

use super::dissect::{Dissection, Ends, Fault, Next, Span, Step};
use super::fields::{Checksum, Fields};

impl Dissection<'_> {
    /// IPv4 or IPv6, as the version says.
    pub(super) fn ip<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        match span.octets.first().map(|octet| octet >> 4) {
            Some(6) => self.ipv6(span),
            _ => self.ipv4(span),
        }
    }

    pub(super) fn ipv4<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = ipv4::Packet::new_cut(span.octets).map_err(|error| span.fault(error))?;
        let fields = Fields::new()
            .number("ip.version", 4_u8)
            .number("ip.hdr_len", packet.header_octets() as u64)
            .hex("ip.dsfield", packet.traffic_class(), 2)
            .number("ip.dsfield.dscp", packet.dscp())
            .number("ip.dsfield.ecn", packet.ecn())
            .number("ip.len", packet.total_octets())
            .hex("ip.id", packet.identification(), 4)
            .flag("ip.flags.df", packet.dont_fragment())
            .flag("ip.flags.mf", packet.more_fragments())
            .number("ip.frag_offset", packet.fragment_offset())
            .number("ip.ttl", packet.ttl())
            .number("ip.proto", packet.protocol().0)
            .hex("ip.checksum", packet.checksum(), 4)
            .checksum("ip.checksum.status", Checksum::from(packet.checksum_holds()))
            .text("ip.src", packet.source())
            .text("ip.dst", packet.destination());
        let fields = match packet.options() {
            [] => fields,
            options => fields.octets("ip.options", options),
        };
        self.layer("ip", fields);
        let declared = usize::from(packet.total_octets()) - packet.header_octets();
        let mut payload = span.payload(packet.payload(), declared, ipv4::Packet::new(span.octets).map(|_| ()))?;
        if packet.fragment_offset() != 0 {
            return Ok((Next::Data, payload));
        }
        if packet.more_fragments() {
            payload.missing = usize::MAX;
        }
        let ends = Ends { source: packet.source().into(), destination: packet.destination().into() };
        Ok((Next::Upper(packet.protocol(), ends), payload))
    }

    pub(super) fn ipv6<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = ipv6::Packet::new_cut(span.octets).map_err(|error| span.fault(error))?;
        let fields = Fields::new()
            .number("ipv6.version", 6_u8)
            .hex("ipv6.tclass", packet.traffic_class(), 8)
            .number("ipv6.tclass.dscp", packet.dscp())
            .number("ipv6.tclass.ecn", packet.ecn())
            .hex("ipv6.flow", packet.flow_label(), 6)
            .number("ipv6.plen", packet.payload_octets())
            .number("ipv6.nxt", packet.next_header().0)
            .number("ipv6.hlim", packet.hop_limit())
            .text("ipv6.src", packet.source())
            .text("ipv6.dst", packet.destination());
        self.layer("ipv6", fields);
        let declared = usize::from(packet.payload_octets());
        let mut rest = span.payload(packet.payload(), declared, ipv6::Packet::new(span.octets).map(|_| ()))?;
        let mut ends = Ends { source: packet.source().into(), destination: packet.destination().into() };
        let mut protocol = packet.next_header();
        for extension in packet.extensions() {
            let extension = match extension {
                Ok(extension) => extension,
                // The capture has cut it.
                Err(WireError { problem: Problem::Truncated { .. }, .. }) if !rest.is_whole() => {
                    self.cut_extension(protocol, rest.octets)?;
                    return Ok((Next::Data, rest.rest(&[])));
                }
                Err(error) => return Err(Fault::wire(error, rest.octets.len())),
            };
            self.extension(&extension)?;
            rest = rest.rest(rest.octets.get(extension.octets.len()..).unwrap_or_default());
            protocol = extension.next_header;
            if let Some(last) = final_destination(&extension) {
                ends.destination = IpAddr::V6(last);
            }
            match extension.fragment() {
                Some(fragment) if fragment.offset != 0 => return Ok((Next::Data, rest)),
                Some(fragment) if fragment.more => rest.missing = usize::MAX,
                _ => {}
            }
        }
        Ok((Next::Upper(protocol, ends), rest))
    }

    /// One extension header; those that have a length say it in units of eight octets, less one, but for the
    /// authentication header (four octets, less two).
    fn extension(&mut self, extension: &Extension<'_>) -> Result<(), Fault> {
        let length = extension.octets.get(1).copied().unwrap_or(0);
        let next = extension.next_header.0;
        let (name, fields) = match extension.kind {
            Protocol::HOP_BY_HOP => {
                ("ipv6.hopopts", Fields::new().number("ipv6.hopopts.nxt", next).number("ipv6.hopopts.len", length))
            }
            Protocol::ROUTING => {
                let [kind, left] = two(extension.octets, 2);
                let fields = Fields::new().number("ipv6.routing.nxt", next).number("ipv6.routing.len", length);
                let fields = fields.number("ipv6.routing.type", kind).number("ipv6.routing.segleft", left);
                if extension.is_srh() {
                    return self.segment_routing(fields, extension.octets);
                }
                ("ipv6.routing", fields)
            }
            Protocol::AUTHENTICATION => {
                ("ah", Fields::new().number("ah.next_header", next).number("ah.length", length))
            }
            Protocol::FRAGMENT => {
                let fields = Fields::new().number("ipv6.fraghdr.nxt", next);
                let fields = extension.fragment().into_iter().fold(fields, |fields, fragment| {
                    fields.number("ipv6.fraghdr.offset", fragment.offset).flag("ipv6.fraghdr.more", fragment.more).hex(
                        "ipv6.fraghdr.ident",
                        fragment.identification,
                        8,
                    )
                });
                ("ipv6.fraghdr", fields)
            }
            _ => ("ipv6.dstopts", Fields::new().number("ipv6.dstopts.nxt", next).number("ipv6.dstopts.len", length)),
        };
        self.layer(name, fields);
        Ok(())
    }

    /// As much of an extension header as there is, if that is enough for what all have.
    fn cut_extension(&mut self, kind: Protocol, octets: &[u8]) -> Result<(), Fault> {
        match octets {
            [next, _, _, _, _, _, _, _, ..] => {
                self.extension(&Extension { kind, next_header: Protocol(*next), octets })
            }
            _ => Ok(()),
        }
    }

    fn segment_routing(&mut self, fields: Fields, octets: &[u8]) -> Result<(), Fault> {
        let srh = match Srh::new_cut(octets) {
            Ok(srh) => srh,
            Err(error) => {
                self.layer("ipv6.routing", fields);
                return Err(Fault::wire(error, octets.len()));
            }
        };
        let segments: Vec<Value> = srh.segments().map(|segment| segment.to_string().into()).collect();
        let fields = fields
            .number("ipv6.routing.srh.last_entry", srh.last_entry())
            .hex("ipv6.routing.srh.flags", srh.flags(), 2)
            .octets("ipv6.routing.srh.tag", &srh.tag().to_be_bytes())
            .value("ipv6.routing.srh.addr", segments.into());
        // A TLV that runs past the header spoils nothing but itself: who is not told to read them ignores them.
        let tlvs: Vec<Value> = srh.tlvs().map(|tlv| tlv_fields(tlv).into_value()).collect();
        let fields = if tlvs.is_empty() { fields } else { fields.value("ipv6.routing.srh.tlv", tlvs.into()) };
        self.layer("ipv6.routing", fields);
        Ok(())
    }

    pub(super) fn upper<'a>(&mut self, protocol: Protocol, ends: Ends, span: Span<'a>) -> Step<'a> {
        match protocol {
            Protocol::UDP => self.udp(ends, span),
            Protocol::TCP => self.tcp(ends, span),
            Protocol::ICMP => self.icmp(span),
            Protocol::ICMPV6 => self.icmpv6(ends, span),
            Protocol::IPV4 => Ok((Next::Ipv4, span)),
            Protocol::IPV6 => Ok((Next::Ipv6, span)),
            Protocol::ETHERNET => Ok((Next::Ethernet, span)),
            _ => Ok((Next::Data, span)),
        }
    }
}

/// tshark 4.0 has no names for them.
fn tlv_fields(tlv: Result<Tlv<'_>, WireError>) -> Fields {
    let typed = |kind: u8| Fields::new().number("ipv6.routing.srh.tlv.type", kind);
    match tlv {
        Ok(Tlv::Pad1) => typed(Tlv::PAD_1),
        Ok(Tlv::PadN { octets }) => typed(Tlv::PAD_N).number("ipv6.routing.srh.tlv.len", octets),
        Ok(Tlv::Hmac(hmac)) => typed(Tlv::HMAC)
            .flag("ipv6.routing.srh.hmac.d", hmac.is_destination_exempt)
            .hex("ipv6.routing.srh.hmac.key_id", hmac.key_id, 8)
            .octets("ipv6.routing.srh.hmac", hmac.authenticator),
        Ok(Tlv::Other { kind, value }) => typed(kind).octets("ipv6.routing.srh.tlv.value", value),
        Err(error) => Fields::new().text("error", error),
    }
}

/// Where a routing header leads in the end, while it has not led there yet: an upper layer's checksum is over that
/// address (RFC 8200, section 8.1). Source route (type 0) has its last address there, mobile IPv6 (2) its only one, a
/// segment routing header (4, RFC 8754) its first.
fn final_destination(extension: &Extension<'_>) -> Option<Ipv6Addr> {
    let [kind, left] = two(extension.octets, 2);
    let addresses = extension.octets.get(8..)?;
    let address = match kind {
        0 => addresses.last_chunk::<16>(),
        2 | 4 => addresses.first_chunk::<16>(),
        _ => None,
    }?;
    (extension.kind == Protocol::ROUTING && left > 0).then_some(Ipv6Addr::from_octets(*address))
}

fn two(octets: &[u8], place: usize) -> [u8; 2] {
    octets.get(place..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}
