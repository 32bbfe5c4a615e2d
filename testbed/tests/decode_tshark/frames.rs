//! Frames that we write, read by tshark: with the fields that we read in them ourselves, and none malformed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use model::Mac;
use testbed::world::capture::Capture;
use transport_wire::checksum::Sum;
use transport_wire::gtpu::{self, MessageType, Session};
use transport_wire::icmp::error::{Cause, IcmpError, MESSAGE_OCTETS_MAX_IPV4, MESSAGE_OCTETS_MAX_IPV6};
use transport_wire::pseudowire::ControlWord;
use transport_wire::srh::{self, Hmac, Tlv};
use transport_wire::{EtherType, Protocol, ethernet, ipv4, ipv6, mpls, udp, vxlan};

use super::{Tally, compare};

#[test]
#[ignore = "needs tshark"]
fn tshark_reads_the_frames_that_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let mut capture = Capture::create(&file).unwrap();
    let frames = frames();
    for frame in &frames {
        capture.add(frame).unwrap();
    }
    capture.finish().unwrap();
    let mut tally = Tally::default();
    // Nothing in the packet says whether a pseudowire has control words.
    let rules = [
        format!("mpls.label=={WITH_CONTROL_WORD},pwethcw"),
        format!("mpls.label=={},pwethcw", mpls::flow_label(FLOW_HASH)),
        format!("mpls.label=={BARE},pwethnocw"),
    ];
    compare("frames", &file, &rules, &mut tally);
    println!("{} packets, {} fields compared; of tunnels {:?}", tally.packets, tally.fields, tally.tunnels);
    assert!(tally.mismatches.is_empty(), "{}", tally.mismatches.join("\n"));
    assert!(tally.refused.is_empty(), "{:?}", tally.refused);
    assert_eq!(tally.packets, frames.len() as u64);
    assert!(tally.tunnels.values().all(|(found, equal)| found == equal), "{:?}", tally.tunnels);
    assert_eq!(tally.tunnels.len(), super::TUNNELS.len());

    let bad = "_ws.malformed || udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0";
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "udp.check_checksum:TRUE", "-Y", bad, "-r"]).arg(&file);
    for rule in &rules {
        command.args(["-d", rule]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}

fn frames() -> Vec<Vec<u8>> {
    [segment_routing(), labels(), pseudowires(), groups(), user_planes(), errors()].concat()
}

fn segment_routing() -> Vec<Vec<u8>> {
    let path: Vec<Ipv6Addr> =
        ["fd00:1::d4", "fd00:2::d4", "fd00:3::d4"].map(|segment| segment.parse().unwrap()).to_vec();
    let hmac = Tlv::Hmac(Hmac { is_destination_exempt: true, key_id: 7, authenticator: &[0x5a; 32] });
    let header =
        srh::Header { next_header: Protocol::IPV4, flags: 0, tag: 0, path: &path, is_reduced: false, tlvs: &[] };
    let headers = [
        (header, device_ipv4()),
        (srh::Header { next_header: Protocol::IPV6, is_reduced: true, ..header }, device_ipv6()),
        (srh::Header { next_header: Protocol::ETHERNET, tag: 0x1234, path: &path[..1], ..header }, device_frame()),
        (srh::Header { next_header: Protocol::ETHERNET, tlvs: &[hmac, Tlv::Pad1], ..header }, device_frame()),
    ];
    let packets = headers.into_iter().map(|(header, inner)| {
        let mut out = [0xa5; srh::HEADER_OCTETS_MAX];
        let srh = header.emit(&mut out).unwrap();
        ipv6(Protocol::ROUTING, header.path[0], &[srh, &inner].concat())
    });
    packets.map(|packet| ethernet(EtherType::IPV6, &packet)).collect()
}

fn labels() -> Vec<Vec<u8>> {
    let tunnel = mpls::Entry::new(16_001, 5, false, 64);
    let [indicator, entropy] = mpls::entropy_entries(FLOW_HASH, tunnel, false);
    let service = mpls::Entry::new(400, 5, true, 64);
    let over_udp = udp(50_000, mpls::UDP_PORT, &[stack(&[tunnel, service]), device_ipv6()].concat());
    vec![
        labelled(&[tunnel, service], &device_ipv4()),
        labelled(&[tunnel, indicator, entropy, service], &device_ipv6()),
        labelled(&[mpls::Entry::new(mpls::IPV6_EXPLICIT_NULL, 0, true, 1)], &device_ipv6()),
        ethernet(EtherType::IPV4, &ipv4(Protocol::UDP, &over_udp)),
    ]
}

fn pseudowires() -> Vec<Vec<u8>> {
    let word = ControlWord { sequence: 0x1234 }.octets();
    let tunnel = mpls::Entry::new(16_001, 5, false, 64);
    let service = |label| mpls::Entry::new(label, 5, true, 64);
    let worded = [&word[..], &device_frame()].concat();
    vec![
        labelled(&[tunnel, service(WITH_CONTROL_WORD)], &worded),
        labelled(&[tunnel, service(WITH_CONTROL_WORD), mpls::flow_entry(FLOW_HASH)], &worded),
        labelled(&[tunnel, service(BARE)], &device_frame()),
        // The associated channel, with an IPv4 packet.
        labelled(&[tunnel, service(500)], &[&[0x10, 0, 0, 0x21][..], &device_ipv4()].concat()),
    ]
}

fn groups() -> Vec<Vec<u8>> {
    let group = |is_applied, is_not_learned| Some(vxlan::Group { id: 4660, is_applied, is_not_learned });
    let groups = [None, group(false, false), group(true, false), group(false, true)].into_iter();
    let tunnels = groups.map(|group| {
        let mut header = [0xa5; vxlan::HEADER_OCTETS];
        vxlan::emit(10_001, group, &mut header);
        udp(vxlan::SOURCE_PORT_MIN, vxlan::PORT, &[&header[..], &device_frame()].concat())
    });
    tunnels.map(|datagram| ethernet(EtherType::IPV4, &ipv4(Protocol::UDP, &datagram))).collect()
}

fn user_planes() -> Vec<Vec<u8>> {
    let device = device_ipv4();
    let header = gtpu::Header {
        message_type: MessageType::G_PDU,
        teid: 0x4002_0125,
        sequence: None,
        session: None,
        payload_octets: u16::try_from(device.len()).unwrap(),
    };
    let downlink = |is_reflective, paging_policy| Some(Session::Downlink { qfi: 9, is_reflective, paging_policy });
    let messages = [
        (header, &device[..]),
        (gtpu::Header { session: Some(Session::Uplink { qfi: 5 }), ..header }, &device),
        (gtpu::Header { session: downlink(true, None), sequence: Some(7), ..header }, &device),
        (gtpu::Header { session: downlink(false, Some(5)), ..header }, &device),
        (
            gtpu::Header {
                message_type: MessageType::ECHO_REQUEST,
                teid: 0,
                sequence: Some(1),
                payload_octets: 0,
                ..header
            },
            &[],
        ),
        (gtpu::Header { message_type: MessageType::END_MARKER, payload_octets: 0, ..header }, &[]),
    ];
    let datagrams = messages.into_iter().map(|(header, payload)| {
        let mut out = [0xa5; gtpu::HEADER_OCTETS_MAX];
        udp(gtpu::PORT, gtpu::PORT, &[header.emit(&mut out), payload].concat())
    });
    datagrams.map(|datagram| ethernet(EtherType::IPV4, &ipv4(Protocol::UDP, &datagram))).collect()
}

fn errors() -> Vec<Vec<u8>> {
    let causes = [
        Cause::TooBig { mtu: 1400 },
        Cause::TimeExceeded { code: 0 },
        Cause::ParameterProblem { code: 0, pointer: 43 },
        Cause::Unreachable { code: 1 },
    ];
    let (source, destination) = (ROUTER, PEER);
    let of_ipv4 = causes.map(|cause| {
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV4];
        let message = IcmpError { cause, packet: &device_ipv4() }.emit_ipv4(&mut out).to_vec();
        ethernet(EtherType::IPV4, &ipv4(Protocol::ICMP, &message))
    });
    let of_ipv6 = causes.map(|cause| {
        let mut out = [0xa5; MESSAGE_OCTETS_MAX_IPV6];
        let error = IcmpError { cause, packet: &device_ipv6() };
        let message = error.emit_ipv6(source, destination, &mut out).to_vec();
        ethernet(EtherType::IPV6, &ipv6(Protocol::ICMPV6, destination, &message))
    });
    [of_ipv4, of_ipv6].concat()
}

fn stack(entries: &[mpls::Entry]) -> Vec<u8> {
    mpls::emit(entries, &mut [0xa5; mpls::LABELS_MAX * mpls::ENTRY_OCTETS]).unwrap().to_vec()
}

fn labelled(entries: &[mpls::Entry], payload: &[u8]) -> Vec<u8> {
    ethernet(EtherType::MPLS, &[&stack(entries), payload].concat())
}

fn device_ipv4() -> Vec<u8> {
    ipv4(Protocol::UDP, &udp(1000, 2000, b"reading 42"))
}

fn device_ipv6() -> Vec<u8> {
    let mut datagram = udp(1000, 2000, b"reading 42");
    let length = u32::try_from(datagram.len()).unwrap();
    let sum = Sum::new().pseudo_ipv6(ROUTER, PEER, Protocol::UDP.0, length).add(&datagram).udp_checksum();
    datagram[udp::CHECKSUM..udp::HEADER_OCTETS].copy_from_slice(&sum.to_be_bytes());
    ipv6(Protocol::UDP, PEER, &datagram)
}

fn device_frame() -> Vec<u8> {
    ethernet(EtherType::IPV4, &device_ipv4())
}

fn ethernet(ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; ethernet::HEADER_OCTETS];
    let (destination, source) = (Mac([2, 0, 0, 0, 0, 2]), Mac([2, 0, 0, 0, 0, 1]));
    ethernet::Header { destination, source, ethertype }.emit(&mut header);
    [&header[..], payload].concat()
}

fn ipv4(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; ipv4::HEADER_OCTETS];
    let total_octets = u16::try_from(header.len() + payload.len()).unwrap();
    let (source, destination) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    ipv4::Header {
        traffic_class: 0xb8,
        total_octets,
        identification: 0,
        dont_fragment: true,
        ttl: 64,
        protocol,
        source,
        destination,
    }
    .emit(&mut header);
    [&header[..], payload].concat()
}

fn ipv6(next_header: Protocol, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; ipv6::HEADER_OCTETS];
    let payload_octets = u16::try_from(payload.len()).unwrap();
    ipv6::Header {
        traffic_class: 0xb8,
        flow_label: 0x12345,
        payload_octets,
        next_header,
        hop_limit: 64,
        source: ROUTER,
        destination,
    }
    .emit(&mut header);
    [&header[..], payload].concat()
}

/// Without a checksum.
fn udp(source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [0xa5; udp::HEADER_OCTETS];
    let length = u16::try_from(header.len() + payload.len()).unwrap();
    udp::Header { source_port, destination_port, length, checksum: 0 }.emit(&mut header);
    [&header[..], payload].concat()
}

const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PEER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

const FLOW_HASH: u32 = 0x1234_5678;
/// Labels of pseudowires with and without control words.
const WITH_CONTROL_WORD: u32 = 300;
const BARE: u32 = 301;
