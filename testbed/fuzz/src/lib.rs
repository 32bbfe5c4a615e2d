//! What must hold of any octets, a function for each part of the wire: none panics, none reads beyond its end, and what
//! was read and written again reads the same.
//!
//! libFuzzer calls them with octets that reach new code (`fuzz_targets/`). `cargo test` calls them with random octets,
//! with changed seeds, and with what is made to break a codec or once did (`crashes/TARGET/NAME`: the name says how).

use std::net::Ipv6Addr;

use transport_wire::ethernet::{HEADER_OCTETS, TAG_OCTETS};
use transport_wire::flow::{Flow, Network};
use transport_wire::icmp::Message;
use transport_wire::icmp::error::{
    Cause, IcmpError, MESSAGE_OCTETS_MAX_IPV4, MESSAGE_OCTETS_MAX_IPV6, may_answer_ipv4, may_answer_ipv6,
};
use transport_wire::nd::{self, Neighbour};
use transport_wire::srh::{self, Srh, Tlv};
use transport_wire::stamp::{PACKET_OCTETS, Probe, Reply};
use transport_wire::tcp::Segment;
use transport_wire::udp::Datagram;
use transport_wire::{Layer, Protocol, arp, gtpu, ipv4, ipv6, mpls, pseudowire, vxlan};

/// Checks one input.
pub type Target = fn(&[u8]);

/// All of them by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("flow", flow),
    ("network", network),
    ("srh", srh),
    ("mpls", mpls),
    ("pseudowire", pseudowire),
    ("vxlan", vxlan),
    ("gtpu", gtpu),
    ("icmp", icmp),
    ("stamp", stamp),
];

/// A frame, as the packet path reads it.
pub fn flow(octets: &[u8]) {
    let Ok(mut flow) = Flow::parse(octets) else { return };
    assert_eq!(flow.hash(), flow.hash());
    assert!(usize::from(flow.network_at) <= octets.len());
    match flow.network {
        Network::Ipv4 { upper, .. } => assert!(usize::from(upper.at) <= octets.len()),
        Network::Ipv6 { upper, srh_at, .. } => {
            assert!(usize::from(upper.at) <= octets.len());
            if let Some(srh_at) = srh_at {
                let at = usize::from(flow.network_at) + usize::from(srh_at.get());
                assert!(at < usize::from(upper.at));
                assert_eq!(octets[at + 2], srh::ROUTING_TYPE_SRH);
            }
        }
        Network::Arp { .. } | Network::Other => {}
    }
    // Without its only tag, a frame says the same.
    if flow.tag.is_some() && usize::from(flow.network_at) == HEADER_OCTETS + TAG_OCTETS {
        let untagged = [&octets[..12], &octets[12 + TAG_OCTETS..]].concat();
        flow.take_tag();
        let read = Flow::parse(&untagged).map(|flow| format!("{flow:?}"));
        assert_eq!(read, Ok(format!("{flow:?}")));
    }
}

/// IP, what it carries, and ARP.
pub fn network(octets: &[u8]) {
    let _ = (arp::Packet::new(octets).is_ok(), Datagram::new(octets).is_ok(), Segment::new(octets).is_ok());
    if let Ok(packet) = ipv4::Packet::new(octets) {
        assert!(packet.header_octets() + packet.payload().len() <= octets.len());
        let _ = may_answer_ipv4(&packet, false);
    }
    if let Ok(packet) = ipv6::Packet::new(octets) {
        assert!(packet.extensions().count() <= ipv6::EXTENSIONS_MAX + 1);
        if let Ok(upper) = packet.upper_layer() {
            assert!(upper.payload.len() <= packet.payload().len());
        }
        let _ = may_answer_ipv6(&packet, false, Cause::TooBig { mtu: 1280 });
    }
    if let Ok(message) = Message::new(octets, Layer::Icmpv6)
        && let Some(Ok(neighbour)) = Neighbour::read(&message)
    {
        let mut out = [0xa5; nd::MESSAGE_OCTETS];
        let written = neighbour.emit(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, &mut out);
        let read = Message::new(written, Layer::Icmpv6).map(|message| Neighbour::read(&message));
        assert_eq!(read, Ok(Some(Ok(neighbour))));
    }
}

/// A segment routing header and its TLVs.
pub fn srh(octets: &[u8]) {
    let cut = Srh::new_cut(octets);
    let Ok(srh) = Srh::new(octets) else { return };
    assert!(cut.is_ok_and(|cut| cut.segments().eq(srh.segments()) && cut.tlv_octets() == srh.tlv_octets()));
    let mut travelling = octets.to_vec();
    for left in (0..srh.segments_left()).rev() {
        assert_eq!(srh::advance(&mut travelling), srh.segment(left));
    }
    assert_eq!(srh::advance(&mut travelling), None);
    assert_eq!(travelling[srh::SEGMENTS_LEFT], 0);

    let Ok(tlvs) = srh.tlvs().collect::<Result<Vec<Tlv<'_>>, _>>() else { return };
    let path: Vec<Ipv6Addr> = srh.segments().rev().collect();
    let (flags, tag) = (srh.flags(), srh.tag());
    let header =
        srh::Header { next_header: srh.next_header(), flags, tag, path: &path, is_reduced: false, tlvs: &tlvs };
    let mut out = [0xa5; srh::HEADER_OCTETS_MAX];
    let written = header.emit(&mut out).expect("what was read fits");
    let read = Srh::new(written).expect("what we write");
    assert!(read.segments().eq(srh.segments()) && read.header_octets() <= srh.header_octets());
    // Padding is added where a list of TLVs is no multiple of eight octets long.
    let read: Vec<Tlv<'_>> = read.tlvs().map(|tlv| tlv.expect("what we write")).collect();
    assert_eq!(&read[..tlvs.len()], tlvs);
}

/// A label stack.
pub fn mpls(octets: &[u8]) {
    let Ok(packet) = mpls::Packet::new(octets) else { return };
    let entries: Vec<mpls::Entry> = packet.entries().collect();
    assert!(entries.len() <= mpls::LABELS_MAX);
    let mut out = [0xa5; mpls::LABELS_MAX * mpls::ENTRY_OCTETS];
    let written = mpls::emit(&entries, &mut out).expect("what was read fits");
    assert_eq!(written, &octets[..packet.stack_octets()]);
    assert_eq!(packet.payload(), &octets[packet.stack_octets()..]);
    for entry in entries {
        assert!(!mpls::is_reserved(mpls::flow_label(entry.0)));
    }
}

/// What a pseudowire carries.
pub fn pseudowire(octets: &[u8]) {
    let Ok(packet) = pseudowire::Packet::new(octets) else { return };
    let word = packet.control_word().expect("one was read");
    assert_eq!(word.octets()[2..], octets[2..4]);
    assert_eq!(packet.frame(), &octets[pseudowire::CONTROL_WORD_OCTETS..]);
    assert_ne!(word.next().sequence, 0);
}

/// A VXLAN header.
pub fn vxlan(octets: &[u8]) {
    let Ok(packet) = vxlan::Packet::new(octets) else { return };
    let mut out = [0xa5; vxlan::HEADER_OCTETS];
    vxlan::emit(packet.vni(), packet.group(), &mut out);
    let read = vxlan::Packet::new(&out).expect("what we write");
    assert_eq!((read.vni(), read.group()), (packet.vni(), packet.group()));
}

/// A GTP-U message.
pub fn gtpu(octets: &[u8]) {
    let Ok(packet) = gtpu::Packet::new_cut(octets) else { return };
    assert!(packet.header_octets() + packet.payload().len() <= octets.len());
    let extensions: usize = packet.extensions().map(|extension| extension.content.len() + 2).sum();
    assert!(packet.extensions().count() <= gtpu::EXTENSIONS_MAX && extensions <= packet.header_octets());
    let session = packet.session().and_then(|session| session.session());
    let header = gtpu::Header {
        message_type: packet.message_type(),
        teid: packet.teid(),
        sequence: packet.sequence(),
        session,
        payload_octets: 0,
    };
    let mut out = [0xa5; gtpu::HEADER_OCTETS_MAX];
    let read = gtpu::Packet::new(header.emit(&mut out)).expect("what we write");
    assert_eq!(
        (read.message_type(), read.teid(), read.sequence()),
        (header.message_type, header.teid, header.sequence)
    );
    assert_eq!(read.session().and_then(|view| view.session()), session);
}

/// ICMP errors. None is answered with another.
pub fn icmp(octets: &[u8]) {
    if let Ok(message) = Message::new(octets, Layer::Icmp)
        && let Some(error) = IcmpError::read_ipv4(&message)
    {
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV4];
        let written = error.emit_ipv4(&mut out);
        let message = Message::new(written, Layer::Icmp).expect("what we write");
        assert!(message.checksum_holds());
        assert_eq!(IcmpError::read_ipv4(&message).map(|read| read.cause), Some(error.cause));
        let packet = carried_ipv4(written);
        assert!(!may_answer_ipv4(&ipv4::Packet::new(&packet).expect("what we write"), false));
    }
    if let Ok(message) = Message::new(octets, Layer::Icmpv6)
        && let Some(error) = IcmpError::read_ipv6(&message)
    {
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV6];
        let written = error.emit_ipv6(ENDS.0, ENDS.1, &mut out);
        let message = Message::new(written, Layer::Icmpv6).expect("what we write");
        assert!(message.checksum_holds_ipv6(ENDS.0, ENDS.1));
        assert_eq!(IcmpError::read_ipv6(&message).map(|read| read.cause), Some(error.cause));
        let packet = carried_ipv6(written);
        assert!(!may_answer_ipv6(&ipv6::Packet::new(&packet).expect("what we write"), false, error.cause));
    }
}

/// A STAMP packet, of either end.
pub fn stamp(octets: &[u8]) {
    let mut out = [0xa5; PACKET_OCTETS];
    if let Ok(probe) = Probe::read(octets) {
        probe.emit(&mut out);
        assert_eq!(Probe::read(&out), Ok(probe));
        let _ = (probe.timestamp.unix_nanoseconds(probe.error.clock()), probe.error.nanoseconds());
    }
    if let Ok(reply) = Reply::read(octets) {
        reply.emit(&mut out);
        assert_eq!(Reply::read(&out), Ok(reply));
        let _ = (reply.received.unix_nanoseconds(reply.error.clock()), reply.error.nanoseconds());
    }
}

fn carried_ipv4(message: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; ipv4::HEADER_OCTETS];
    ipv4::Header {
        traffic_class: 0,
        total_octets: u16::try_from(ipv4::HEADER_OCTETS + message.len()).expect("a message is short"),
        identification: 0,
        dont_fragment: false,
        ttl: 64,
        protocol: Protocol::ICMP,
        source: [192, 0, 2, 1].into(),
        destination: [192, 0, 2, 2].into(),
    }
    .emit(&mut header);
    [&header[..], message].concat()
}

fn carried_ipv6(message: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; ipv6::HEADER_OCTETS];
    ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_octets: u16::try_from(message.len()).expect("a message is short"),
        next_header: Protocol::ICMPV6,
        hop_limit: 64,
        source: ENDS.0,
        destination: ENDS.1,
    }
    .emit(&mut header);
    [&header[..], message].concat()
}

const ENDS: (Ipv6Addr, Ipv6Addr) =
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
