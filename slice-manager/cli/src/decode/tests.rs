//! Packets octet by octet. The three that have names were also read by tshark 4, which finds the same fields and good
//! checksums.

mod capture;
mod radius;
mod robust;
mod tunnel;

use serde_json::json;

use super::*;

/// Octets from hexadecimal; blanks are for people.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// A whole Ethernet frame, as a line.
fn frame(octets: &[u8]) -> Value {
    decode_packet(1, ETHERNET, octets, u32::try_from(octets.len()).unwrap())
}

/// The layer of that name; the outermost, where there are several.
#[track_caller]
fn layer(line: &Value, name: &str) -> Value {
    let layers = line["layers"].as_array().unwrap();
    layers.iter().find_map(|layer| layer.get(name)).unwrap_or_else(|| panic!("no {name} in {line}")).clone()
}

/// LINKTYPE_ETHERNET (tcpdump.org/linktypes.html).
const ETHERNET: u16 = 1;

/// Who has 192.0.2.9? (RFC 826), padded to the 60 octets of IEEE 802.3, 3.2.8.
const ARP: &str = "
    ffffffffffff 020000000001 0806
    0001 0800 06 04 0001 020000000001 c0000201 000000000000 c0000209
    000000000000000000000000000000000000";

/// Service tag 100 with priority 3, customer tag 4094 with the drop eligible bit (IEEE 802.1Q, 9.6); IPv4 with DSCP 46
/// (RFC 791, RFC 2474); UDP without a checksum (RFC 768) to VXLAN 10000 (RFC 7348, section 5); inside of it IPv6
/// (RFC 8200) with flow label 0x12345, UDP, and the first example of RFC 2865, section 7.1.
const TUNNEL: &str = "
    020000000002 020000000001 88a8 6064 8100 1ffe 0800
    45 b8 009a abcd 4000 40 11 a196 c0000201 c6336402
    c350 12b5 0086 0000
    08 000000 002710 00
    020000000004 020000000003 86dd
    6b812345 0040 11 3f 20010db8000000000000000000000001 20010db8000000000000000000000002
    c000 0714 0040 e199
    01 00 0038 0f403f9473978057bd83d5cb98f4227a
    0106 6e656d6f 0212 0dbe708d93d413ce3196e43f782a0aee 0406 c0a80110 0506 00000003";

/// An echo request (RFC 792, page 14) with four octets of data.
const ECHO: &str = "
    020000000002 020000000001 0800
    45 00 0020 0001 4000 40 01 b6d8 c0000201 c0000202
    08 00 20fe 1234 0007 61626364";

#[test]
fn arp_is_read_and_its_padding_is_nothing() {
    assert_eq!(
        frame(&hex(ARP)),
        json!({
            "frame.number": 1, "frame.len": 60, "frame.cap_len": 60, "frame.protocols": "eth:ethertype:arp",
            "layers": [
                { "eth": { "eth.dst": "ff:ff:ff:ff:ff:ff", "eth.src": "02:00:00:00:00:01", "eth.type": "0x0806" } },
                { "arp": {
                    "arp.hw.type": 1, "arp.proto.type": "0x0800", "arp.hw.size": 6, "arp.proto.size": 4,
                    "arp.opcode": 1, "arp.src.hw_mac": "02:00:00:00:00:01", "arp.src.proto_ipv4": "192.0.2.1",
                    "arp.dst.hw_mac": "00:00:00:00:00:00", "arp.dst.proto_ipv4": "192.0.2.9",
                } },
            ],
        })
    );
}

#[test]
fn every_layer_of_a_tunnel_is_read() {
    let line = frame(&hex(TUNNEL));
    assert_eq!(
        line["frame.protocols"],
        "eth:ethertype:ieee8021ad:ethertype:vlan:ethertype:ip:udp:vxlan:eth:ethertype:ipv6:udp:radius"
    );
    let mut layers = line["layers"].as_array().unwrap().clone();
    // RADIUS has tests of its own.
    assert!(layers.pop().unwrap().get("radius").is_some());
    assert_eq!(
        Value::Array(layers),
        json!([
            { "eth": { "eth.dst": "02:00:00:00:00:02", "eth.src": "02:00:00:00:00:01", "eth.type": "0x88a8" } },
            { "ieee8021ad": {
                "ieee8021ad.priority": 3, "ieee8021ad.dei": 0, "ieee8021ad.id": 100, "ieee8021ah.etype": "0x8100",
            } },
            { "vlan": { "vlan.priority": 0, "vlan.dei": 1, "vlan.id": 4094, "vlan.etype": "0x0800" } },
            { "ip": {
                "ip.version": 4, "ip.hdr_len": 20, "ip.dsfield": "0xb8", "ip.dsfield.dscp": 46, "ip.dsfield.ecn": 0,
                "ip.len": 154, "ip.id": "0xabcd", "ip.flags.df": 1, "ip.flags.mf": 0, "ip.frag_offset": 0,
                "ip.ttl": 64, "ip.proto": 17, "ip.checksum": "0xa196", "ip.checksum.status": 1,
                "ip.src": "192.0.2.1", "ip.dst": "198.51.100.2",
            } },
            { "udp": {
                "udp.srcport": 50_000, "udp.dstport": 4_789, "udp.length": 134, "udp.checksum": "0x0000",
                "udp.checksum.status": 3,
            } },
            { "vxlan": { "vxlan.flags": "0x0800", "vxlan.vni": 10_000 } },
            { "eth": { "eth.dst": "02:00:00:00:00:04", "eth.src": "02:00:00:00:00:03", "eth.type": "0x86dd" } },
            { "ipv6": {
                "ipv6.version": 6, "ipv6.tclass": "0x000000b8", "ipv6.tclass.dscp": 46, "ipv6.tclass.ecn": 0,
                "ipv6.flow": "0x012345", "ipv6.plen": 64, "ipv6.nxt": 17, "ipv6.hlim": 63,
                "ipv6.src": "2001:db8::1", "ipv6.dst": "2001:db8::2",
            } },
            { "udp": {
                "udp.srcport": 49_152, "udp.dstport": 1_812, "udp.length": 64, "udp.checksum": "0xe199",
                "udp.checksum.status": 1,
            } },
        ])
    );
}

#[test]
fn an_echo_shows_its_numbers_and_how_much_it_carries() {
    let line = frame(&hex(ECHO));
    assert_eq!(line["frame.protocols"], "eth:ethertype:ip:icmp:data");
    assert_eq!(
        layer(&line, "icmp"),
        json!({
            "icmp.type": 8, "icmp.code": 0, "icmp.checksum": "0x20fe", "icmp.checksum.status": 1,
            "icmp.ident": 0x1234, "icmp.seq": 7,
        })
    );
    assert_eq!(layer(&line, "data"), json!({ "data.len": 4 }));
}

#[test]
fn a_checksum_that_does_not_hold_is_shown_as_bad() {
    // The last octet of each is under the checksum of ICMP or UDP, and under none of IP's.
    let mut echo = hex(ECHO);
    *echo.last_mut().unwrap() ^= 1;
    let line = frame(&echo);
    assert_eq!(layer(&line, "icmp")["icmp.checksum.status"], 0);
    assert_eq!(layer(&line, "ip")["ip.checksum.status"], 1);
    // The time to live is under IP's only.
    let mut echo = hex(ECHO);
    echo[22] ^= 1;
    let line = frame(&echo);
    assert_eq!(layer(&line, "icmp")["icmp.checksum.status"], 1);
    assert_eq!(layer(&line, "ip")["ip.checksum.status"], 0);
    let mut tunnel = hex(TUNNEL);
    *tunnel.last_mut().unwrap() ^= 1;
    let line = frame(&tunnel);
    let inner = line["layers"].as_array().unwrap().iter().rev().find_map(|layer| layer.get("udp")).unwrap();
    assert_eq!(inner["udp.checksum.status"], 0);
}

#[test]
fn a_packet_that_the_capture_has_cut_is_no_malformed_one() {
    let echo = hex(ECHO);
    let line = decode_packet(1, ETHERNET, &echo[..44], 46);
    assert_eq!(line["frame.protocols"], "eth:ethertype:ip:icmp:data");
    assert_eq!((&line["frame.len"], &line["frame.cap_len"]), (&json!(46), &json!(44)));
    // What the checksum covers is not all there.
    assert_eq!(layer(&line, "icmp")["icmp.checksum.status"], 2);
    assert!(!line.to_string().contains("error"), "{line}");
    // As the sender's own end it is: the header promises two octets more than there are (RFC 791, total length).
    let line = frame(&echo[..44]);
    assert_eq!(layer(&line, "error")["layer"], "ip");
}

#[test]
fn a_frame_with_a_length_is_no_ethertype() {
    // Spanning tree (IEEE 802.3, 3.2.6: up to 1500 it is a length).
    let line = frame(&hex("0180c2000000 020000000001 0007 424203 00000000"));
    assert_eq!(line["frame.protocols"], "eth:data");
    assert_eq!(layer(&line, "eth")["eth.len"], 7);
}

#[test]
fn later_fragments_have_no_ports() {
    // RFC 791: more fragments, offset 0; then the last one, at 8 octets. A UDP datagram of 16 octets with payload of 8.
    let first = hex("45 00 001c 0007 2000 40 11 0000 c0000201 c0000202 0035 0035 0010 0000");
    let second = hex("45 00 001c 0007 0001 40 11 0000 c0000201 c0000202 0035 0035 0010 0000");
    let line = decode_packet(1, RAW, &first, 28);
    assert_eq!(line["frame.protocols"], "raw:ip:udp");
    assert_eq!(
        (layer(&line, "ip")["ip.flags.mf"].clone(), layer(&line, "udp")["udp.length"].clone()),
        (1.into(), 16.into())
    );
    let line = decode_packet(1, RAW, &second, 28);
    assert_eq!(line["frame.protocols"], "raw:ip:data");
    assert_eq!(layer(&line, "data"), json!({ "data.len": 8 }));
}

/// LINKTYPE_RAW.
const RAW: u16 = 101;

#[test]
fn extension_headers_are_walked() {
    // RFC 8200, section 4: hop-by-hop with a PadN of four octets, then an atomic fragment (RFC 6946), then UDP.
    let packet = hex("60000000 0018 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002
         2c 00 01 04 00000000
         11 00 0000 deadbeef
         0001 0002 0008 0000");
    let line = decode_packet(1, RAW, &packet, 64);
    assert_eq!(line["frame.protocols"], "raw:ipv6:ipv6.hopopts:ipv6.fraghdr:udp");
    assert_eq!(layer(&line, "ipv6.hopopts"), json!({ "ipv6.hopopts.nxt": 44, "ipv6.hopopts.len": 0 }));
    assert_eq!(
        layer(&line, "ipv6.fraghdr"),
        json!({
            "ipv6.fraghdr.nxt": 17, "ipv6.fraghdr.offset": 0, "ipv6.fraghdr.more": 0,
            "ipv6.fraghdr.ident": "0xdeadbeef",
        })
    );
}

#[test]
fn tcp_shows_its_flags() {
    // RFC 9293, section 3.1: SYN, with the option of a maximum segment size of 1460.
    let packet = hex("45 00 002c 0000 4000 40 06 0000 c0000201 c0000202
         c000 0050 00000001 00000000 60 02 ffff 0000 0000 020405b4");
    let tcp = layer(&decode_packet(1, RAW, &packet, 44), "tcp");
    let expected = json!({
        "tcp.srcport": 49_152, "tcp.dstport": 80, "tcp.seq_raw": 1, "tcp.ack_raw": 0, "tcp.hdr_len": 24,
        "tcp.flags": "0x0002", "tcp.flags.syn": 1, "tcp.flags.ack": 0, "tcp.flags.fin": 0, "tcp.flags.reset": 0,
        "tcp.flags.push": 0, "tcp.flags.urg": 0, "tcp.window_size_value": 65_535, "tcp.checksum": "0x0000",
        "tcp.checksum.status": 0, "tcp.urgent_pointer": 0, "tcp.options": "020405b4",
    });
    assert_eq!(tcp, expected);
}

#[test]
fn a_neighbour_solicitation_shows_whom_it_is_for() {
    // RFC 4861, section 4.3, with the source link-layer address (section 4.6.1).
    let packet = hex("60000000 0020 3a ff 20010db8000000000000000000000001 ff0200000000000000000001ff000002
         87 00 0000 00000000 20010db8000000000000000000000002 01 01 020000000001");
    let message = layer(&decode_packet(1, RAW, &packet, 72), "icmpv6");
    assert_eq!((&message["icmpv6.type"], &message["icmpv6.code"]), (&json!(135), &json!(0)));
    assert_eq!(message["icmpv6.nd.ns.target_address"], "2001:db8::2");
    assert_eq!(message["icmpv6.opt.src_linkaddr"], "02:00:00:00:00:01");
}

#[test]
fn link_layers_lead_to_the_same_packet() {
    let ip = &hex(ECHO)[14..];
    let cooked = hex("0000 0001 0006 0200000000010000 0800");
    let cooked_2 = hex("0800 0000 00000002 0001 00 06 0200000000010000");
    let headers: [(u16, &[u8], &str); 10] = [
        (101, &[], "raw"),
        (12, &[], "raw"),
        (14, &[], "raw"),
        (228, &[], ""),
        (0, &[2, 0, 0, 0], "null"),
        (0, &[0, 0, 0, 2], "null"),
        (108, &[0, 0, 0, 2], "null"),
        (113, &cooked, "sll:ethertype"),
        (276, &cooked_2, "sll:ethertype"),
        (1, &hex(ECHO)[..14], "eth:ethertype"),
    ];
    for (link_type, header, protocols) in headers {
        let octets = [header, ip].concat();
        let line = decode_packet(1, link_type, &octets, u32::try_from(octets.len()).unwrap());
        let expected = format!("{protocols}:ip:icmp:data");
        assert_eq!(line["frame.protocols"], expected.trim_start_matches(':'), "{link_type}");
        assert_eq!(layer(&line, "icmp")["icmp.checksum.status"], 1, "{link_type}");
    }
    let line = decode_packet(1, 127, ip, 32);
    let error = layer(&line, "error");
    assert_eq!((&error["layer"], &error["offset"]), (&json!("frame"), &json!(0)));
    assert!(
        error["problem"].as_str().unwrap().starts_with("link type 127; expected Ethernet (1), PPP (9), "),
        "{error}"
    );
}

#[test]
fn a_malformed_layer_is_named_with_its_octet_and_the_rest_is_counted() {
    // A header length of 16 octets; RFC 791 has 20 at least.
    let mut echo = hex(ECHO);
    echo[14] = 0x44;
    let line = frame(&echo);
    assert_eq!(line["frame.protocols"], "eth:ethertype:data");
    assert_eq!(layer(&line, "error")["layer"], "ip");
    assert_eq!(layer(&line, "data"), json!({ "data.len": 32 }));
    // VXLAN whose I flag is not set (RFC 7348, section 5: it MUST be).
    let mut tunnel = hex(TUNNEL);
    tunnel[50] = 0;
    let error = layer(&frame(&tunnel), "error");
    assert_eq!((&error["layer"], &error["offset"]), (&json!("vxlan"), &json!(0)));
}

#[test]
fn packets_inside_one_another_are_read_up_to_a_depth() {
    // IPv6 in IPv6 (RFC 2473) a hundred times.
    let mut packet = Vec::new();
    for length in (0..100_u16).rev() {
        packet.extend(hex("60000000"));
        packet.extend((length * 40).to_be_bytes());
        packet.extend([41, 64]);
        packet.extend([0; 32]);
    }
    let line = decode_packet(1, RAW, &packet, 4_000);
    assert_eq!(layer(&line, "error")["problem"], "more than 64 layers");
    assert_eq!(layer(&line, "data"), json!({ "data.len": 36 * 40 }));
}

#[test]
fn a_rule_says_what_a_port_speaks() {
    let mut echo = hex(TUNNEL);
    // The outer destination port becomes 4790 (the header of UDP begins at 42).
    echo[45] = 0xb6;
    let length = u32::try_from(echo.len()).unwrap();
    assert!(!frame(&echo)["frame.protocols"].as_str().unwrap().contains("vxlan"));
    let rule: DecodeAs = "udp.port==4790,vxlan".parse().unwrap();
    assert_eq!(rule, DecodeAs { port: 4_790, protocol: UdpProtocol::Vxlan });
    let line = Decoder::new(&[rule]).decode(1, ETHERNET, &echo, length);
    assert!(line["frame.protocols"].as_str().unwrap().ends_with("udp:vxlan:eth:ethertype:ipv6:udp:radius"), "{line}");
    // A rule goes before what a port speaks by itself.
    let rule: DecodeAs = "udp.port==1812,vxlan".parse().unwrap();
    let line = Decoder::new(&[rule]).decode(1, ETHERNET, &hex(TUNNEL), length);
    assert_eq!(layer(&line, "error")["layer"], "vxlan");
    for wrong in
        ["", "udp.port==1812", "udp.port==1812,", "udp.port==65536,radius", "tcp.port==1,radius", "udp.port==-1,vxlan"]
    {
        let error = wrong.parse::<DecodeAs>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "`{wrong}` is not a rule; expected udp.port==PORT,PROTOCOL with one of radius, "
            )),
            "{error}"
        );
    }
}
