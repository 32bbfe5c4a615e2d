//! What carries slices. Octets are of captures, with the values that tcpdump's project, or tshark 4, reads in them.

use serde_json::json;

use super::super::*;
use super::{ETHERNET, RAW, frame, hex, layer};

/// tcpdump, tests/ipv6-srh-tlv-hmac.pcap.
pub(super) const SRH_HMAC: &str = "
    000000001111 00000000aaaa 86dd
    6789abcd 0030 2b 40 20010db8000100000000000000000001 cafe0001000000000000000000000002
    3b 05 04 00 00 00 0000 cafe0001000000000000000000000002
    05 10 8000 5412ab30 0000000000000000aaaaaaaaaaaaaaaa";

/// tcpdump, tests/ipv6-srh-tlv-pad1-padn-5.pcap.
const SRH_PADDED: &str = "
    000000001111 00000000aaaa 86dd
    6789abcd 0020 2b 40 20010db8000100000000000000000001 cafe0001000000000000000000000002
    3b 03 04 00 00 00 0000 cafe0001000000000000000000000002
    00 04 05 0000000000";

/// A pseudowire with control word and flow label (RFC 4448, RFC 6391) over a tunnel, as the test against tshark has it;
/// in it a request of ARP.
pub(super) const PSEUDOWIRE: &str = "
    020000000002 020000000001 8847
    03e81a40 0012ca40 1234b101
    0000 1234
    ffffffffffff 020000000003 0806
    0001 0800 06 04 0001 020000000003 c0000201 000000000000 c0000209";

/// telekom/5g-trace-visualizer, n3_example.pcap, the first packet, with less payload and lengths to suit.
pub(super) const USER_PLANE: &str = "
    40deadd9edd9 525400e23687 0800
    45 00 004a 03f7 0000 40 11 a88c ac100c02 0ac80b46
    0868 0868 0036 0000
    34 ff 0026 40020125 0000 00 85 01 10 05 00
    45 00 001e 03e8 0000 40 11 b6d2 0a00ff02 ac100b02
    07d2 07d3 000a 0000 6869";

#[test]
fn a_segment_routing_header_shows_its_list_and_its_tlvs() {
    // tests/ipv6-srh-tlv-hmac-v.out: len=5, type=4, segleft=0, last-entry=0, flags=0x0, tag=0, [0]cafe:1::2,
    // TLV-type=HMAC(5), D=1, HMAC-key-ID=0x5412ab30, HMAC=0x0000000000000000aaaaaaaaaaaaaaaa.
    let line = frame(&hex(SRH_HMAC));
    assert_eq!(line["frame.protocols"], "eth:ethertype:ipv6:ipv6.routing");
    assert_eq!(
        layer(&line, "ipv6.routing"),
        json!({
            "ipv6.routing.nxt": 59, "ipv6.routing.len": 5, "ipv6.routing.type": 4, "ipv6.routing.segleft": 0,
            "ipv6.routing.srh.last_entry": 0, "ipv6.routing.srh.flags": "0x00", "ipv6.routing.srh.tag": "0000",
            "ipv6.routing.srh.addr": ["cafe:1::2"],
            "ipv6.routing.srh.tlv": [{
                "ipv6.routing.srh.tlv.type": 5, "ipv6.routing.srh.hmac.d": 1,
                "ipv6.routing.srh.hmac.key_id": "0x5412ab30",
                "ipv6.routing.srh.hmac": "0000000000000000aaaaaaaaaaaaaaaa",
            }],
        })
    );
    // tests/ipv6-srh-tlv-pad1-padn-5-v.out: TLV-type=Pad1(0), TLV-type=PadN(4), TLV-len=5.
    let line = frame(&hex(SRH_PADDED));
    let tlvs = json!([
        { "ipv6.routing.srh.tlv.type": 0 },
        { "ipv6.routing.srh.tlv.type": 4, "ipv6.routing.srh.tlv.len": 5 },
    ]);
    assert_eq!(layer(&line, "ipv6.routing")["ipv6.routing.srh.tlv"], tlvs);
}

#[test]
fn a_segment_routing_header_that_the_capture_has_cut_shows_its_list() {
    // As tests/ipv6-srh-tlv-pad1-padn-5-trunc.pcap: the last octet is missing.
    let octets = hex(SRH_PADDED);
    let line = decode_packet(1, ETHERNET, &octets[..octets.len() - 1], u32::try_from(octets.len()).unwrap());
    assert_eq!(line["frame.protocols"], "eth:ethertype:ipv6:ipv6.routing");
    let routing = layer(&line, "ipv6.routing");
    assert_eq!(routing["ipv6.routing.srh.addr"], json!(["cafe:1::2"]));
    assert_eq!(routing["ipv6.routing.srh.tlv"][0], json!({ "ipv6.routing.srh.tlv.type": 0 }));
    assert!(!line["layers"].to_string().contains("{\"error\":{"), "{line}");
}

#[test]
fn a_segment_routing_header_that_lies_is_named_and_a_tlv_that_does_spoils_itself_only() {
    // Segments left is one more than a reduced list allows (RFC 8754, section 4.3.1.1).
    let mut octets = hex(SRH_PADDED);
    octets[57] = 2;
    let line = frame(&octets);
    let error = layer(&line, "error");
    assert_eq!((&error["layer"], &error["offset"]), (&json!("ipv6.routing"), &json!(3)));
    assert_eq!(layer(&line, "ipv6.routing")["ipv6.routing.segleft"], 2);
    // The PadN says that it is longer than what is left; behind the header there is no next header all the same.
    let mut octets = hex(SRH_PADDED);
    octets[80] = 6;
    let line = frame(&octets);
    let tlvs = &layer(&line, "ipv6.routing")["ipv6.routing.srh.tlv"];
    assert_eq!(tlvs[1], json!({ "error": "ipv6.routing: octet 26: a length of 6; expected 0 to 5" }));
    assert_eq!(line["layers"].as_array().unwrap().len(), 3);
}

#[test]
fn a_label_stack_leads_to_ip_and_to_pseudowires() {
    let line = frame(&hex(PSEUDOWIRE));
    assert_eq!(line["frame.protocols"], "eth:ethertype:mpls:pwethcw:eth:ethertype:arp");
    let entries: Vec<Value> =
        line["layers"].as_array().unwrap().iter().filter_map(|layer| layer.get("mpls").cloned()).collect();
    let entry = |label: u32, bottom: u8, ttl: u8, tc: u8| json!({ "mpls.label": label, "mpls.exp": tc, "mpls.bottom": bottom, "mpls.ttl": ttl });
    assert_eq!(entries, [entry(16_001, 0, 64, 5), entry(300, 0, 64, 5), entry(74_571, 1, 1, 0)]);
    assert_eq!(layer(&line, "pwethcw"), json!({ "pweth.cw.sequence_number": 0x1234 }));

    // What is behind the stack, told by its first octets: without a control word, the OAM channel, IPv6.
    let behind = |octets: &str| {
        let octets = [&hex(PSEUDOWIRE)[..26], &hex(octets)].concat();
        frame(&octets)["frame.protocols"].as_str().unwrap().trim_start_matches("eth:ethertype:mpls").to_owned()
    };
    assert_eq!(behind("020000000004 020000000003 88b5 0000"), ":pwethnocw:eth:ethertype:data");
    assert_eq!(behind("10000007 0000"), ":pwach:data");
    assert_eq!(behind(&format!("10000057 60000000 0000 3b 40 {:064}", 0)), ":pwach:ipv6");
    assert_eq!(behind(&format!("60000000 0000 3b 40 {:064}", 0)), ":ipv6");
    assert_eq!(behind(""), "");
}

#[test]
fn labels_run_over_udp() {
    // tcpdump, tests/mpls-over-udp.pcap, the first packet's UDP payload up to the inner IPv4 header; tests/
    // mpls-over-udp-v.out: label 21, tc 0, [S], ttl 63.
    let packet = hex("45 00 0034 676f 0000 40 11 e43b 0a640caa 0a640d9d e54b 19eb 0020 0000
         0001513f 45 00 0014 676f 4000 3f 3b 0000 0a03000a 0a01000a");
    let line = decode_packet(1, RAW, &packet, 52);
    assert_eq!(line["frame.protocols"], "raw:ip:udp:mpls:ip");
    assert_eq!(layer(&line, "mpls")["mpls.label"], 21);
}

#[test]
fn a_stack_without_bottom_shows_what_is_read_of_it() {
    let mut octets = hex(PSEUDOWIRE)[..14].to_vec();
    octets.extend(hex("00010040").repeat(20));
    let line = frame(&octets);
    let count = |name| line["layers"].as_array().unwrap().iter().filter(|layer| layer.get(name).is_some()).count();
    assert_eq!((count("mpls"), count("error")), (16, 1));
    let error = layer(&line, "error");
    assert_eq!(error["problem"], "no bottom of the label stack in 16 entries");
    assert_eq!(layer(&line, "data")["data.len"], 16);
}

#[test]
fn a_group_travels_with_vxlan() {
    // `VXLAN(flags=0x88, gpflags=0x48, gpid=0x1234, vni=0x010203)` of scapy 2.8, in which tshark finds these.
    let octets = hex("45 00 0024 0000 0000 40 11 0000 c0000201 c0000202 c350 12b5 0010 0000 8848123401020300");
    let line = decode_packet(1, RAW, &octets, 36);
    assert_eq!(
        layer(&line, "vxlan"),
        json!({
            "vxlan.flags": "0x8848", "vxlan.vni": 66_051, "vxlan.gbp": 4_660, "vxlan.flag_a": 1, "vxlan.flag_d": 1,
        })
    );
}

#[test]
fn a_devices_packet_shows_its_tunnel_and_its_qos_flow() {
    let line = frame(&hex(USER_PLANE));
    assert_eq!(line["frame.protocols"], "eth:ethertype:ip:udp:gtp:ip:udp:data");
    assert_eq!(
        layer(&line, "gtp"),
        json!({
            "gtp.flags": "0x34", "gtp.message": "0xff", "gtp.length": 38, "gtp.teid": "0x40020125",
            "gtp.ext_hdr": [{
                "gtp.ext_hdr.next": "0x85", "gtp.ext_hdr.length": 1,
                "gtp.ext_hdr.pdu_ses_con.pdu_type": 1, "gtp.ext_hdr.pdu_ses_con.qos_flow_id": 5,
            }],
        })
    );
    // Another version is no GTP-U; a chain that goes nowhere is a bad one.
    let mut octets = hex(USER_PLANE);
    octets[42] = 0x54;
    assert_eq!(frame(&octets)["frame.protocols"], "eth:ethertype:ip:udp:data");
    let mut octets = hex(USER_PLANE);
    octets[54] = 0;
    assert_eq!(layer(&frame(&octets), "error")["problem"], "a length of 0; expected 1 to 255");
}

#[test]
fn an_icmp_error_shows_the_mtu_and_what_it_quotes() {
    // `ICMP(type=3, code=4, nexthopmtu=1400)/Raw(…)` of scapy 2.8.
    let message = "0304 df77 0000 0578
         45 00 05dc 0007 4000 40 11 b106 c0000201 c0000202 0007 0009 05c8 1234";
    let packet = hex(&format!("45 00 0038 0000 0000 40 01 0000 c0000203 c0000201 {message}"));
    let line = decode_packet(1, RAW, &packet, 56);
    assert_eq!(line["frame.protocols"], "raw:ip:icmp:ip:udp");
    let icmp = layer(&line, "icmp");
    assert_eq!((&icmp["icmp.mtu"], &icmp["icmp.checksum.status"]), (&json!(1400), &json!(1)));
    // `ICMPv6ParamProblem(code=0, ptr=43)/Raw(…)` of scapy 2.8 from 2001:db8::ff to 2001:db8::1.
    let packet = hex("60000000 0038 3a 40 20010db80000000000000000000000ff 20010db8000000000000000000000001
         0400 b4cd 0000002b
         60000000 05b4 11 01 20010db8000000000000000000000001 20010db8000000000000000000000002 0007 0009 05b4 1234");
    let line = decode_packet(1, RAW, &packet, 96);
    assert_eq!(line["frame.protocols"], "raw:ipv6:icmpv6:ipv6:udp");
    let icmp = layer(&line, "icmpv6");
    assert_eq!((&icmp["icmpv6.pointer"], &icmp["icmpv6.checksum.status"]), (&json!(43), &json!(1)));
}

#[test]
fn ppp_leads_to_labels_with_and_without_its_framing() {
    // tcpdump, tests/mpls-traceroute.pcap begins with ff 03 02 81, label 100704 with a time to live of 1, IPv4.
    let rest = "18960101 45 00 0014 a54c 0000 01 3b 0000 0c040404 0c010101";
    for (header, protocols) in [("ff03 0281", "ppp:mpls:ip"), ("0281", "ppp:mpls:ip"), ("ff03 81", "ppp:data")] {
        let packet = hex(&format!("{header} {rest}"));
        let line = decode_packet(1, 9, &packet, u32::try_from(packet.len()).unwrap());
        assert_eq!(line["frame.protocols"], protocols);
    }
    // Cut to one octet (RFC 1661, section 6.5).
    let line = decode_packet(1, 9, &hex(&format!("21 {}", &rest[9..])), 21);
    assert_eq!(line["frame.protocols"], "ppp:ip");
    assert_eq!(layer(&line, "ppp"), json!({ "ppp.protocol": "0x0021" }));
    assert_eq!(layer(&decode_packet(1, 9, &hex("ff03 02"), 3), "error")["layer"], "ppp");
}
