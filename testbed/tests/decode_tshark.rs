//! `slicectl decode` against tshark: over every capture of the corpora, each field that both know must be the same, in
//! every layer of every packet.
//!
//! Fields are compared by name, all occurrences in order. Where tshark reads deeper than we do, ours must be the
//! beginning of its list; and it may only be shorter where tshark goes on with a protocol that we do not have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use slicectl::decode;

#[test]
#[ignore = "needs tshark and MICROSLICE_CORPORA"]
fn decode_says_what_tshark_says() {
    let root = PathBuf::from(std::env::var_os("MICROSLICE_CORPORA").unwrap()).join("pcap");
    let mut tally = Tally::default();
    for file in captures(&root) {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let plain = unpacked(&file);
        compare(&name, plain.as_ref().map_or(file.as_path(), |f| f.path()), &mut tally);
    }
    println!("{} packets, {} fields compared", tally.packets, tally.fields);
    assert!(tally.mismatches.is_empty(), "{} mismatches:\n{}", tally.mismatches.len(), tally.mismatches.join("\n"));
    let expected: BTreeMap<(String, String), u64> =
        REFUSALS.iter().map(|(file, why, packets)| (((*file).to_owned(), (*why).to_owned()), *packets)).collect();
    assert_eq!(tally.refused, expected, "what we call malformed, by file and reason");
    // The corpora hold 6,178 packets; far fewer would mean that nothing was compared.
    assert!(tally.packets >= 6_178 && tally.fields > 140_000, "{} packets, {} fields", tally.packets, tally.fields);
}

#[derive(Default)]
struct Tally {
    packets: u64,
    fields: u64,
    mismatches: Vec<String>,
    /// How many packets we call malformed, by file and reason.
    refused: BTreeMap<(String, String), u64>,
}

fn compare(name: &str, file: &Path, tally: &mut Tally) {
    let ours = our_packets(name, file);
    let theirs = their_packets(file);
    if ours.len() != theirs.len() {
        tally.mismatches.push(format!("{name}: {} packets; tshark reads {}", ours.len(), theirs.len()));
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        tally.packets += 1;
        let packet = format!("{name}:{}", theirs["frame.number"]);
        let error = ours.layers.iter().find_map(|layer| layer.get("error"));
        if let Some(error) = error {
            let problem = error["problem"].as_str().unwrap().split(';').next().unwrap();
            let why = format!("{} {}: {problem}", error["layer"].as_str().unwrap(), error["offset"]);
            *tally.refused.entry((name.to_owned(), why)).or_default() += 1;
        }
        compare_protocols(&packet, ours, theirs, error.is_some(), tally);
        for (field, found) in &ours.fields {
            if OUR_OWN_FIELDS.contains(&field.as_str()) {
                continue;
            }
            let Some(expected) = theirs.get(field.as_str()) else { panic!("{packet}: {field} is not in FIELDS") };
            let mut expected: Vec<&str> = expected.split(SEPARATOR).filter(|v| !v.is_empty()).collect();
            if field == "ip.version" {
                // tshark hides one in each IPv6 header, too.
                expected.retain(|version| *version == "4");
            }
            tally.fields += found.len() as u64;
            let same = expected.len() >= found.len() && found.iter().zip(&expected).all(|(a, b)| a == b);
            if !same {
                tally.mismatches.push(format!("{packet}: {field}: {found:?}; tshark: {expected:?}"));
            }
        }
    }
}

/// Ours must be how tshark's begin, and end only where tshark goes on with what we do not have.
fn compare_protocols(packet: &str, ours: &Packet, theirs: &BTreeMap<&str, String>, refused: bool, tally: &mut Tally) {
    let expected: Vec<&str> = theirs["frame.protocols"].split(':').collect();
    let found: Vec<&str> = ours.protocols.split(':').filter(|p| !p.is_empty() && *p != "data").collect();
    let begins = expected.len() >= found.len() && found.iter().zip(&expected).all(|(a, b)| a == b);
    let goes_on = expected.get(found.len()).filter(|next| OUR_PROTOCOLS.contains(next));
    let complete = refused || goes_on.is_none();
    if !(begins && complete) {
        tally.mismatches.push(format!("{packet}: {}; tshark: {}", ours.protocols, theirs["frame.protocols"]));
    }
}

struct Packet {
    protocols: String,
    layers: Vec<Value>,
    fields: BTreeMap<String, Vec<String>>,
}

fn our_packets(name: &str, file: &Path) -> Vec<Packet> {
    let rules: Vec<decode::DecodeAs> = RULES.iter().map(|rule| rule.parse().unwrap()).collect();
    let mut out = Vec::new();
    if let Err(error) = decode::run(file, &rules, &mut out) {
        panic!("{name}: {error}");
    }
    let lines = out.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).map(|line| Packet::new(&line)).collect()
}

impl Packet {
    fn new(line: &Value) -> Self {
        let mut fields = BTreeMap::new();
        let layers = line["layers"].as_array().unwrap().clone();
        for (name, layer) in layers.iter().flat_map(|layer| layer.as_object().unwrap()) {
            if name != "data" && name != "error" {
                collect(layer, &mut fields);
            }
        }
        for frame in ["frame.number", "frame.len", "frame.cap_len", "frame.time_epoch"] {
            if let Some(value) = line.get(frame) {
                fields.insert(frame.to_owned(), vec![text(value)]);
            }
        }
        // What RADIUS attributes carry is compared by type and length; of the rest, tshark has all the names.
        fields.remove("error");
        fields.retain(|name, _| !name.starts_with("radius.") || RADIUS_FIELDS.contains(&name.as_str()));
        Self { protocols: line["frame.protocols"].as_str().unwrap().to_owned(), layers, fields }
    }
}

fn collect(value: &Value, into: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Object(_) | Value::Array(_) => collect(member, into),
                    _ => into.entry(name.clone()).or_default().push(text(member)),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| collect(member, into)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn their_packets(file: &Path) -> Vec<BTreeMap<&'static str, String>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file);
    for preference in [
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
        "tcp.desegment_tcp_streams:FALSE",
        "ip.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
    ] {
        command.args(["-o", preference]);
    }
    for rule in RULES {
        command.args(["-d", rule]);
    }
    command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    command.arg("-E").arg(format!("aggregator={SEPARATOR}"));
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| FIELDS.iter().copied().zip(line.split('\t').map(str::to_owned)).collect()).collect()
}

fn captures(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            found.extend(captures(&entry));
        } else if [".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz"].iter().any(|end| name.ends_with(end)) {
            found.insert(entry);
        }
    }
    found
}

fn unpacked(file: &Path) -> Option<tempfile::NamedTempFile> {
    file.extension().is_some_and(|end| end == "gz").then(|| {
        let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
        assert!(output.status.success(), "{}", file.display());
        let mut plain = tempfile::NamedTempFile::new().unwrap();
        plain.write_all(&output.stdout).unwrap();
        plain
    })
}

/// What we refuse to read, each packet for a reason: link types that are not ours (9 PPP, 127 radiotap, 252 exported
/// by Wireshark itself), jumbo payloads and the lengths of 0 of segmentation offload, and files that are malformed on
/// purpose.
const REFUSALS: &[(&str, &str, u64)] = &[
    ("5g-trace-visualizer/one_packet.pcapng", "frame 0: link type 252", 1),
    ("tcpdump/bgp_vpn_attrset.pcap", "frame 0: link type 9", 1),
    ("tcpdump/bigtcp-ipv4-vxlan-ipv4.pcap", "ip 2: a length of 0", 1),
    ("tcpdump/bigtcp-ipv4-vxlan-ipv6.pcap", "ip 2: a length of 0", 1),
    ("tcpdump/bigtcp-ipv6-vxlan-ipv4.pcap", "udp 0: cut short: 0 octets, 8 needed", 1),
    ("tcpdump/bigtcp-ipv6-vxlan-ipv6.pcap", "udp 0: cut short: 0 octets, 8 needed", 1),
    ("tcpdump/ipv6-srh-tlv-pad1-padn-5-trunc.pcap", "ipv6 71: cut short: 71 octets, 72 needed", 1),
    ("tcpdump/ipv6_39_byte_header.pcap", "ipv6 25: cut short: 25 octets, 40 needed", 1),
    ("tcpdump/ipv6_frag6_negative_len.pcap", "ipv6 40: cut short: 40 octets, 48 needed", 1),
    ("tcpdump/ipv6_invalid_length.pcap", "ipv6 39: cut short: 39 octets, 40 needed", 1),
    ("tcpdump/ipv6_invalid_length_2.pcap", "ipv6 4: a length of 65", 1),
    ("tcpdump/ipv6_jumbogram_1.pcap", "ipv6 4: a jumbo payload, which is not carried", 1),
    ("tcpdump/ipv6_jumbogram_invalid_length.pcap", "ipv6 4: a jumbo payload, which is not carried", 1),
    ("tcpdump/ipv6_missing_jumbo_payload_option.pcap", "ipv6 4: a jumbo payload, which is not carried", 1),
    ("tcpdump/lspping-fec-ldp.pcap", "frame 0: link type 9", 13),
    ("tcpdump/lspping-fec-rsvp.pcap", "frame 0: link type 9", 10),
    ("tcpdump/mpls-ldp-hello.pcap", "frame 0: link type 9", 1),
    ("tcpdump/mpls-traceroute.pcap", "frame 0: link type 9", 18),
    ("tcpdump/radius_rfc5447_invalid_length.pcap", "radius 2: 56 octets", 1),
    ("wireshark/wpa-eap-tls.pcap.gz", "frame 0: link type 127", 86),
    ("wireshark/wpa2-ft-eap.pcapng.gz", "frame 0: link type 127", 36),
    ("zeek/mpls-6in6-broken.pcap.gz", "ip 0: a value of 0", 22),
];

const SEPARATOR: &str = "|";

const RULES: [&str; 2] = ["udp.port==18120,radius", "udp.port==8472,vxlan"];

const OUR_PROTOCOLS: [&str; 18] = [
    "eth",
    "ethertype",
    "vlan",
    "ieee8021ad",
    "arp",
    "ip",
    "ipv6",
    "ipv6.hopopts",
    "ipv6.routing",
    "ipv6.fraghdr",
    "ipv6.dstopts",
    "udp",
    "tcp",
    "icmp",
    "icmpv6",
    "vxlan",
    "radius",
    "sll",
];

const RADIUS_FIELDS: [&str; 8] = [
    "radius.code",
    "radius.id",
    "radius.length",
    "radius.authenticator",
    "radius.avp.type",
    "radius.avp.length",
    "radius.avp.vendor_id",
    "radius.avp.vendor_type",
];

/// Fields that tshark shows otherwise: it takes options of IPv4 apart.
const OUR_OWN_FIELDS: [&str; 1] = ["ip.options"];

/// Every field that we print and tshark has.
const FIELDS: &[&str] = &[
    "frame.number",
    "frame.len",
    "frame.cap_len",
    "frame.time_epoch",
    "frame.protocols",
    "null.family",
    "sll.pkttype",
    "sll.hatype",
    "sll.halen",
    "sll.src.eth",
    "sll.etype",
    "sll.ltype",
    "sll.ifindex",
    "eth.dst",
    "eth.src",
    "eth.type",
    "eth.len",
    "vlan.priority",
    "vlan.dei",
    "vlan.id",
    "vlan.etype",
    "vlan.len",
    "ieee8021ad.priority",
    "ieee8021ad.dei",
    "ieee8021ad.id",
    "ieee8021ah.etype",
    "arp.hw.type",
    "arp.proto.type",
    "arp.hw.size",
    "arp.proto.size",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.src.proto_ipv4",
    "arp.dst.hw_mac",
    "arp.dst.proto_ipv4",
    "ip.version",
    "ip.hdr_len",
    "ip.dsfield",
    "ip.dsfield.dscp",
    "ip.dsfield.ecn",
    "ip.len",
    "ip.id",
    "ip.flags.df",
    "ip.flags.mf",
    "ip.frag_offset",
    "ip.ttl",
    "ip.proto",
    "ip.checksum",
    "ip.checksum.status",
    "ip.src",
    "ip.dst",
    "ipv6.version",
    "ipv6.tclass",
    "ipv6.tclass.dscp",
    "ipv6.tclass.ecn",
    "ipv6.flow",
    "ipv6.plen",
    "ipv6.nxt",
    "ipv6.hlim",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.hopopts.nxt",
    "ipv6.hopopts.len",
    "ipv6.dstopts.nxt",
    "ipv6.dstopts.len",
    "ipv6.routing.nxt",
    "ipv6.routing.len",
    "ipv6.routing.type",
    "ipv6.routing.segleft",
    "ipv6.fraghdr.nxt",
    "ipv6.fraghdr.offset",
    "ipv6.fraghdr.more",
    "ipv6.fraghdr.ident",
    "ah.next_header",
    "ah.length",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "udp.checksum",
    "udp.checksum.status",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.hdr_len",
    "tcp.flags",
    "tcp.flags.fin",
    "tcp.flags.syn",
    "tcp.flags.reset",
    "tcp.flags.push",
    "tcp.flags.ack",
    "tcp.flags.urg",
    "tcp.window_size_value",
    "tcp.checksum",
    "tcp.checksum.status",
    "tcp.urgent_pointer",
    "tcp.options",
    "icmp.type",
    "icmp.code",
    "icmp.checksum",
    "icmp.checksum.status",
    "icmp.ident",
    "icmp.seq",
    "icmpv6.type",
    "icmpv6.code",
    "icmpv6.checksum",
    "icmpv6.checksum.status",
    "icmpv6.echo.identifier",
    "icmpv6.echo.sequence_number",
    "icmpv6.nd.ns.target_address",
    "icmpv6.nd.na.target_address",
    "icmpv6.nd.na.flag.r",
    "icmpv6.nd.na.flag.s",
    "icmpv6.nd.na.flag.o",
    "icmpv6.opt.src_linkaddr",
    "icmpv6.opt.target_linkaddr",
    "vxlan.flags",
    "vxlan.vni",
    "radius.code",
    "radius.id",
    "radius.length",
    "radius.authenticator",
    "radius.avp.type",
    "radius.avp.length",
    "radius.avp.vendor_id",
    "radius.avp.vendor_type",
];
