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

mod frames;
mod tables;

use serde_json::Value;
use slicectl::decode;

use tables::{
    FIELDS, OUR_OWN_FIELDS, OUR_PROTOCOLS, RADIUS_FIELDS, REFUSALS, RULES, SEPARATOR, TUNNELS, TUNNELS_FOUND,
};

#[test]
#[ignore = "needs tshark and MICROSLICE_CORPORA"]
fn decode_says_what_tshark_says() {
    let root = PathBuf::from(std::env::var_os("MICROSLICE_CORPORA").unwrap()).join("pcap");
    let mut tally = Tally::default();
    for file in captures(&root) {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let plain = unpacked(&file);
        compare(&name, plain.as_ref().map_or(file.as_path(), |f| f.path()), &[], &mut tally);
    }
    println!("{} packets, {} fields compared; of tunnels {:?}", tally.packets, tally.fields, tally.tunnels);
    assert!(tally.mismatches.is_empty(), "{} mismatches:\n{}", tally.mismatches.len(), tally.mismatches.join("\n"));
    let expected: BTreeMap<(String, String), u64> =
        REFUSALS.iter().map(|(file, why, packets)| (((*file).to_owned(), (*why).to_owned()), *packets)).collect();
    assert_eq!(tally.refused, expected, "what we call malformed, by file and reason");
    let expected: BTreeMap<&str, (u64, u64)> =
        TUNNELS_FOUND.into_iter().map(|(name, found, equal)| (name, (found, equal))).collect();
    assert_eq!(tally.tunnels, expected, "packets with tunnels that tshark finds, and those in which we say the same");
    // The corpora hold 6,178 packets; far fewer would mean that nothing was compared.
    assert!(tally.packets >= 6_178 && tally.fields > 140_000, "{} packets, {} fields", tally.packets, tally.fields);
}

#[derive(Default)]
struct Tally {
    packets: u64,
    fields: u64,
    /// How many packets tshark finds with each of [`TUNNELS`], and in how many of them we say the same.
    tunnels: BTreeMap<&'static str, (u64, u64)>,
    mismatches: Vec<String>,
    /// How many packets we call malformed, by file and reason.
    refused: BTreeMap<(String, String), u64>,
}

fn compare(name: &str, file: &Path, more_rules: &[String], tally: &mut Tally) {
    let ours = our_packets(name, file);
    let theirs = their_packets(file, more_rules);
    if ours.len() != theirs.len() {
        tally.mismatches.push(format!("{name}: {} packets; tshark reads {}", ours.len(), theirs.len()));
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        tally.packets += 1;
        let before = tally.mismatches.len();
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
            // tshark sums up what a first fragment holds of a tunnelled packet, and calls it bad; we don't call it anything.
            let is_first_fragment = ours.fields.get("ip.flags.mf").is_some_and(|mf| mf[0] == "1");
            let is_spared = |ours: &str, theirs: &str| {
                is_first_fragment && field == "tcp.checksum.status" && (ours, theirs) == ("2", "0")
            };
            let same = expected.len() >= found.len()
                && found.iter().zip(&expected).all(|(ours, theirs)| ours == theirs || is_spared(ours, theirs));
            if !same {
                tally.mismatches.push(format!("{packet}: {field}: {found:?}; tshark: {expected:?}"));
            }
        }
        for (tunnel, protocol, field) in TUNNELS {
            let there = theirs["frame.protocols"].split(':').any(|name| name == protocol) && !theirs[field].is_empty();
            if there && (protocol != "gtp" || is_gtpu(theirs)) {
                let (found, equal) = tally.tunnels.entry(tunnel).or_default();
                // Of these, all that tshark finds has to be found, not only the beginning.
                let complete = ours.fields.get(field).is_some_and(|ours| ours.len() == count(&theirs[field]));
                *found += 1;
                *equal += u64::from(complete && tally.mismatches.len() == before);
            }
        }
    }
}

fn count(values: &str) -> usize {
    values.split(SEPARATOR).filter(|value| !value.is_empty()).count()
}

/// Ours must be how tshark's begin, and end only where tshark goes on with what we do not have.
fn compare_protocols(packet: &str, ours: &Packet, theirs: &BTreeMap<&str, String>, refused: bool, tally: &mut Tally) {
    // How it came to know a pseudowire is a layer of its own in tshark, or none if it was told.
    let is_layer = |name: &&str| !name.is_empty() && *name != "data" && !name.starts_with("pweth");
    let expected: Vec<&str> = theirs["frame.protocols"].split(':').filter(|p| !p.starts_with("pweth")).collect();
    let found: Vec<&str> = ours.protocols.split(':').filter(is_layer).collect();
    let begins = expected.len() >= found.len() && found.iter().zip(&expected).all(|(a, b)| a == b);
    // GTP is ours as GTP-U only; tshark calls the control plane by the same name.
    let is_gtpu =
        ["udp.srcport", "udp.dstport"].iter().any(|ports| theirs[ports].split(SEPARATOR).any(|p| p == "2152"));
    let is_ours = |next: &str| OUR_PROTOCOLS.contains(&next) && (next != "gtp" || is_gtpu);
    let goes_on = expected.get(found.len()).filter(|next| is_ours(next));
    let complete = refused || goes_on.is_none();
    if !(begins && complete) {
        tally.mismatches.push(format!("{packet}: {}; tshark: {}", ours.protocols, theirs["frame.protocols"]));
    }
}

/// tshark calls the control plane by the same name.
fn is_gtpu(theirs: &BTreeMap<&str, String>) -> bool {
    ["udp.srcport", "udp.dstport"].iter().any(|ports| theirs[ports].split(SEPARATOR).any(|port| port == "2152"))
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
    for (name, member) in value.as_object().into_iter().flatten() {
        match member {
            Value::Array(members) => members.iter().for_each(|member| collect_one(name, member, into)),
            _ => collect_one(name, member, into),
        }
    }
}

fn collect_one(name: &str, value: &Value, into: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(_) => collect(value, into),
        _ => into.entry(name.to_owned()).or_default().push(text(value)),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn their_packets(file: &Path, more_rules: &[String]) -> Vec<BTreeMap<&'static str, String>> {
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
    for rule in RULES.iter().copied().chain(more_rules.iter().map(String::as_str)) {
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
