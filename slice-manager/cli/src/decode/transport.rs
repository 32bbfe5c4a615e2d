//! UDP, TCP, ICMP for both versions of IP, neighbour discovery.

use std::net::IpAddr;

use transport_wire::Layer;
use transport_wire::icmp::error::{Cause, IcmpError};
use transport_wire::icmp::{self, Message};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::tcp::Segment;
use transport_wire::udp::Datagram;

use super::UdpProtocol;
use super::dissect::{Dissection, Ends, Fault, Next, Span, Step};
use super::fields::{Checksum, Fields};

impl Dissection<'_> {
    pub(super) fn udp<'a>(&mut self, ends: Ends, span: Span<'a>) -> Step<'a> {
        let datagram = Datagram::new_cut(span.octets).map_err(|error| span.fault(error))?;
        let declared = usize::from(datagram.length()) - transport_wire::udp::HEADER_OCTETS;
        let status = match datagram.checksum() {
            0 => Checksum::Absent,
            _ if declared > datagram.payload().len() || !span.is_whole() => Checksum::Unverified,
            _ => datagram.checksum_holds(ends.source, ends.destination).into(),
        };
        let fields = Fields::new()
            .number("udp.srcport", datagram.source_port())
            .number("udp.dstport", datagram.destination_port())
            .number("udp.length", datagram.length())
            .hex("udp.checksum", datagram.checksum(), 4)
            .checksum("udp.checksum.status", status);
        self.layer("udp", fields);
        let payload = span.payload(datagram.payload(), declared, Datagram::new(span.octets).map(|_| ()))?;
        let next = match self.decoder.udp(datagram.source_port(), datagram.destination_port()) {
            Some(UdpProtocol::Radius) if !payload.octets.is_empty() => Next::Radius,
            Some(UdpProtocol::Vxlan) if !payload.octets.is_empty() => Next::Vxlan,
            Some(UdpProtocol::Mpls) if !payload.octets.is_empty() => Next::Mpls,
            Some(UdpProtocol::Gtpu) if !payload.octets.is_empty() => Next::Gtpu,
            _ => Next::Data,
        };
        Ok((next, payload))
    }

    pub(super) fn tcp<'a>(&mut self, ends: Ends, span: Span<'a>) -> Step<'a> {
        let segment = Segment::new_cut(span.octets).map_err(|error| span.fault(error))?;
        let flags = u16::from(segment.reserved()) << 8 | u16::from(segment.flags());
        let status = if span.is_whole() {
            segment.checksum_holds(ends.source, ends.destination).into()
        } else {
            Checksum::Unverified
        };
        let fields = Fields::new()
            .number("tcp.srcport", segment.source_port())
            .number("tcp.dstport", segment.destination_port())
            .number("tcp.seq_raw", segment.sequence())
            .number("tcp.ack_raw", segment.acknowledgment())
            .number("tcp.hdr_len", segment.header_octets() as u64)
            .hex("tcp.flags", flags, 4)
            .number("tcp.window_size_value", segment.window())
            .hex("tcp.checksum", segment.checksum(), 4)
            .checksum("tcp.checksum.status", status)
            .number("tcp.urgent_pointer", segment.urgent_pointer());
        let flags =
            ["tcp.flags.fin", "tcp.flags.syn", "tcp.flags.reset", "tcp.flags.push", "tcp.flags.ack", "tcp.flags.urg"];
        let fields = flags
            .iter()
            .enumerate()
            .fold(fields, |fields, (bit, name)| fields.flag(name, segment.flags() >> bit & 1 != 0));
        let fields = match segment.options() {
            [] => fields,
            options => fields.octets("tcp.options", options),
        };
        self.layer("tcp", fields);
        match Segment::new(span.octets) {
            Err(error) if span.is_whole() => Err(Fault::wire(error, segment.options().len())),
            _ => Ok((Next::Data, span.rest(segment.payload()))),
        }
    }

    pub(super) fn icmp<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let message = Message::new(span.octets, Layer::Icmp).map_err(|error| span.fault(error))?;
        let status = if span.is_whole() { message.checksum_holds().into() } else { Checksum::Unverified };
        let fields = Fields::new()
            .number("icmp.type", message.kind())
            .number("icmp.code", message.code())
            .hex("icmp.checksum", message.checksum(), 4)
            .checksum("icmp.checksum.status", status);
        let is_echo = message.kind() == icmp::ECHO.0 || message.kind() == icmp::ECHO.1;
        let fields = match message.echo() {
            Some((identifier, sequence)) if is_echo => {
                fields.number("icmp.ident", identifier).number("icmp.seq", sequence)
            }
            _ => fields,
        };
        let error = IcmpError::read_ipv4(&message);
        let fields = error.into_iter().fold(fields, |fields, error| match error.cause {
            Cause::TooBig { mtu } => fields.number("icmp.mtu", mtu),
            Cause::ParameterProblem { pointer, .. } => fields.number("icmp.pointer", pointer),
            Cause::Unreachable { .. } | Cause::TimeExceeded { .. } => fields,
        });
        self.layer("icmp", fields);
        // Destination unreachable, source quench, redirect, time exceeded, parameter problem quote a packet.
        let quotes = matches!(message.kind(), 3 | 4 | 5 | 11 | 12);
        Ok(behind(message, is_echo, quotes.then_some(Next::Ipv4), span))
    }

    pub(super) fn icmpv6<'a>(&mut self, ends: Ends, span: Span<'a>) -> Step<'a> {
        let message = Message::new(span.octets, Layer::Icmpv6).map_err(|error| span.fault(error))?;
        let status = match (ends.source, ends.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) if span.is_whole() => {
                message.checksum_holds_ipv6(source, destination).into()
            }
            _ => Checksum::Unverified,
        };
        let fields = Fields::new()
            .number("icmpv6.type", message.kind())
            .number("icmpv6.code", message.code())
            .hex("icmpv6.checksum", message.checksum(), 4)
            .checksum("icmpv6.checksum.status", status);
        let is_echo = message.kind() == icmp::ECHO_IPV6.0 || message.kind() == icmp::ECHO_IPV6.1;
        let neighbour = match Neighbour::read(&message) {
            None => None,
            Some(Ok(neighbour)) => Some(neighbour),
            Some(Err(error)) => {
                self.layer("icmpv6", fields);
                return Err(Fault::wire(error, message.body().len()));
            }
        };
        let fields = match (message.echo(), neighbour) {
            (Some((identifier, sequence)), _) if is_echo => {
                fields.hex("icmpv6.echo.identifier", identifier, 4).number("icmpv6.echo.sequence_number", sequence)
            }
            (_, Some(neighbour)) => neighbour_fields(fields, &neighbour),
            _ => fields,
        };
        let error = IcmpError::read_ipv6(&message);
        let fields = error.into_iter().fold(fields, |fields, error| match error.cause {
            Cause::TooBig { mtu } => fields.number("icmpv6.mtu", mtu),
            Cause::ParameterProblem { pointer, .. } => fields.number("icmpv6.pointer", pointer),
            Cause::Unreachable { .. } | Cause::TimeExceeded { .. } => fields,
        });
        self.layer("icmpv6", fields);
        if neighbour.is_some() {
            return Ok((Next::Data, span.rest(&[])));
        }
        // Destination unreachable, packet too big, time exceeded, parameter problem quote a packet.
        let quotes = matches!(message.kind(), 1..=4);
        Ok(behind(message, is_echo, quotes.then_some(Next::Ipv6), span))
    }
}

/// What follows the header: the data of an echo, or the packet that an error quotes, of which the end may be missing.
fn behind<'a>(message: Message<'a>, is_echo: bool, quoted: Option<Next>, span: Span<'a>) -> (Next, Span<'a>) {
    let body = message.body();
    match (body.get(4..), quoted) {
        (Some(packet), Some(next)) if !packet.is_empty() => (next, Span { octets: packet, missing: usize::MAX }),
        (Some(data), _) if is_echo => (Next::Data, span.rest(data)),
        _ => (Next::Data, span.rest(body)),
    }
}

fn neighbour_fields(fields: Fields, neighbour: &Neighbour) -> Fields {
    let (fields, address) = match neighbour.kind {
        Kind::Solicitation => (fields.text("icmpv6.nd.ns.target_address", neighbour.target), "icmpv6.opt.src_linkaddr"),
        Kind::Advertisement { router, solicited, overrides } => (
            fields
                .flag("icmpv6.nd.na.flag.r", router)
                .flag("icmpv6.nd.na.flag.s", solicited)
                .flag("icmpv6.nd.na.flag.o", overrides)
                .text("icmpv6.nd.na.target_address", neighbour.target),
            "icmpv6.opt.target_linkaddr",
        ),
    };
    neighbour.link_layer.into_iter().fold(fields, |fields, mac| fields.text(address, mac))
}
