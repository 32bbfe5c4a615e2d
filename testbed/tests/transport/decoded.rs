//! What crossed the core, as tshark and Scapy read it: the same by both, and what the programs asked for.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use model::Label;

use crate::capture::by_label;
use crate::program::{Below, DSCP, Plan, Service, Side, TRAFFIC_CLASS, Transport, VNI, core_label, core_sid};

/// Compares what the two read, and with what the plan asks for on its way over both core nodes.
pub(crate) fn check(file: &Path, plan: &Plan) -> Result<(), String> {
    let read = lines(file, plan.below_label())?;
    let mut found: BTreeSet<String> = read.iter().map(|line| without_flow(line)).collect();
    let kinds: BTreeSet<String> = found.iter().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect();
    found.retain(|line| !matches!(line.split('\t').next(), Some("probe" | "reply")));
    let expected = expected(plan);
    if found != expected {
        let more: Vec<_> = found.difference(&expected).collect();
        let less: Vec<_> = expected.difference(&found).collect();
        return Err(format!("not asked for: {more:#?}\nnot found: {less:#?}"));
    }
    if plan.probes.is_some() && !(kinds.contains("probe") && kinds.contains("reply")) {
        return Err("no probe was answered".to_owned());
    }
    Ok(())
}

/// The frames that carry something of a slice: number, kind and fields. An error says how the two differ.
pub(crate) fn lines(file: &Path, below: Below) -> Result<BTreeSet<String>, String> {
    let [by_tshark, by_scapy] = [by_tshark(file, below), by_scapy(file)];
    if by_tshark == by_scapy {
        return Ok(by_tshark);
    }
    let first = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).take(4).cloned().collect();
    let (one, other): (Vec<String>, Vec<String>) = (first(&by_tshark, &by_scapy), first(&by_scapy, &by_tshark));
    Err(format!("tshark reads {one:#?}\nand Scapy {other:#?}"))
}

fn by_scapy(file: &Path) -> BTreeSet<String> {
    let output = scapy("dissect.py").arg(file).arg(FRAMES).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// A script of the testbed, to be run by a Python that has Scapy.
pub(crate) fn scapy(script: &str) -> Command {
    let python = std::env::var_os("MICROSLICE_SCAPY").expect("MICROSLICE_SCAPY names a Python that has Scapy");
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script));
    command
}

fn by_tshark(file: &Path, below: Below) -> BTreeSet<String> {
    let mut arguments = vec!["-c", FRAMES, "-d", "udp.port==862,twamp.test", "-T", "fields", "-E", "occurrence=a"];
    arguments.extend(FIELDS.iter().flat_map(|field| ["-e", field]));
    let said = by_label(file, below, "frame", &arguments);
    let line = |line: &str| {
        let values: Vec<&str> = line.split('\t').collect();
        let frame = Frame(&values);
        let fields = frame.fields()?;
        Some(format!("{}\t{}", frame.all("frame.number"), fields.join("\t")).trim_end().to_owned())
    };
    said.lines().filter_map(line).collect()
}

/// The fields of a frame, as tshark prints them.
struct Frame<'a>(&'a [&'a str]);

impl Frame<'_> {
    /// All values of a field, joined.
    fn all(&self, field: &str) -> String {
        let at = FIELDS.iter().position(|name| *name == field).unwrap();
        self.0.get(at).copied().unwrap_or_default().to_owned()
    }

    /// The outermost.
    fn first(&self, field: &str) -> String {
        let all = self.all(field);
        let first = all.split(',').next().unwrap_or_default();
        match first.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap().to_string(),
            None => first.to_owned(),
        }
    }

    /// What it carries, in the order of the script that reads by Scapy.
    fn fields(&self) -> Option<Vec<String>> {
        let has = |field: &str| !self.all(field).is_empty();
        let first = |field: &str| self.first(field);
        let outer = || ["ipv6.src", "ipv6.dst", "ipv6.tclass", "ipv6.flow", "ipv6.hlim"].map(first);
        let kind = |kind: &str, fields: Vec<String>| Some([vec![kind.to_owned()], fields].concat());
        if has("gtp.teid") {
            let session = ["pdu_type", "qos_flow_id"].map(|name| first(&format!("gtp.ext_hdr.pdu_ses_con.{name}")));
            let header = ["gtp.teid", "gtp.message", "gtp.length"].map(first);
            return kind("gtpu", [header.to_vec(), session.to_vec()].concat());
        }
        if has("twamp.test.seq_number") {
            let sequence = first("twamp.test.seq_number");
            if first("udp.srcport") != "862" {
                return kind("probe", vec![sequence]);
            }
            return kind(
                "reply",
                vec![sequence, first("twamp.test.sender_seq_number"), first("twamp.test.sender_ttl")],
            );
        }
        if has("ipv6.routing.segleft") {
            let header = ["ipv6.routing.nxt", "ipv6.routing.segleft", "ipv6.routing.srh.last_entry"].map(first);
            let list = self.all("ipv6.routing.srh.addr");
            return kind("srv6", [outer().to_vec(), header.to_vec(), vec![list]].concat());
        }
        if has("mpls.label") {
            let in_udp = first("udp.dstport") == "6635";
            let mut stack = ["mpls.label", "mpls.exp", "mpls.bottom", "mpls.ttl"].map(|field| self.all(field)).to_vec();
            stack.push(first("pweth.cw.sequence_number"));
            return kind(if in_udp { "mpls-udp" } else { "mpls" }, stack);
        }
        if has("vxlan.vni") {
            let flags: u32 = first("vxlan.flags").parse().unwrap();
            let group = if flags & 0x8000 == 0 { String::new() } else { first("vxlan.gbp") };
            let rest = vec![first("udp.srcport"), group, first("vxlan.vni")];
            return kind("vxlan", [outer().to_vec(), rest].concat());
        }
        match (first("icmp.type").as_str(), first("icmp.code").as_str(), first("icmpv6.type").as_str()) {
            (_, _, "2") => kind("too-big", vec![first("icmpv6.mtu")]),
            (_, _, "3") => kind("time-exceeded", vec![first("icmpv6.code")]),
            ("3", "4", _) => kind("too-big", vec![first("icmp.mtu")]),
            ("11", code, _) => kind("time-exceeded", vec![code.to_owned()]),
            _ if first("ipv6.nxt") == "143" => kind("srv6-one", outer().to_vec()),
            _ => None,
        }
    }
}

/// A line without its number and without what follows from the flow.
fn without_flow(line: &str) -> String {
    let mut fields: Vec<String> = line.split('\t').skip(1).map(str::to_owned).collect();
    let flow = |field: &mut String| "flow".clone_into(field);
    match fields[0].as_str() {
        "srv6" | "srv6-one" => flow(&mut fields[4]),
        "vxlan" => [4, 6].into_iter().for_each(|at| flow(&mut fields[at])),
        "mpls" | "mpls-udp" => {
            let labels = fields[1].split(',').map(|label| if is_flow_label(label) { "flow" } else { label });
            fields[1] = labels.collect::<Vec<_>>().join(",");
        }
        _ => {}
    }
    fields.join("\t")
}

/// None of the labels that the programs name.
fn is_flow_label(label: &str) -> bool {
    let known = Side::BOTH.into_iter().flat_map(|side| [side.label(), core_label(1, side), core_label(2, side)]);
    let mut known = known.map(Label::get).chain([GROUPS, GROUPS + 1]);
    !known.any(|known| label == known.to_string())
}

/// The lines of every frame that a plan causes on the way over both core nodes.
fn expected(plan: &Plan) -> BTreeSet<String> {
    let sides = Side::BOTH.into_iter();
    match plan.transport {
        Transport::Srv6 => sides.flat_map(|from| srv6(plan, from)).collect(),
        Transport::Mpls => sides.flat_map(|from| mpls(plan, from)).collect(),
        Transport::MplsUdp => sides.map(|from| stack("mpls-udp", plan, from, None)).collect(),
        Transport::Vxlan => sides.flat_map(vxlan).collect(),
    }
}

/// The leaf is behind edge-a.
fn group(from: Side) -> u32 {
    u32::from(from == Side::A)
}

fn srv6(plan: &Plan, from: Side) -> Vec<String> {
    let (functions, headers): (&[&str], &[u8]) = match plan.service {
        Service::PointToPoint => (&["d1"], &[143]),
        Service::Multipoint => (&["d2", "d3"], &[143]),
        Service::L3 => (&["46"], &[4, 41]),
    };
    let mut lines = Vec::new();
    for function in functions {
        let sid = from.other().sid(function).get();
        let service = std::net::Ipv6Addr::from_bits(sid.to_bits() | u128::from(group(from)));
        let outer =
            |to: &dyn std::fmt::Display, hops: u8| format!("{}\t{to}\t{}\tflow\t{hops}", from.loopback(), DSCP << 2);
        let way = match from {
            Side::A => [core_sid(1, "c"), core_sid(2, "2")],
            Side::C => [core_sid(2, "1"), core_sid(1, "a")],
        };
        for header in headers {
            let list = format!("{service},{}", way[1]);
            lines.push(format!("srv6\t{}\t{header}\t2\t1\t{list}", outer(&way[0], 64)));
            lines.push(format!("srv6\t{}\t{header}\t1\t1\t{list}", outer(&way[1], 63)));
            match from {
                // core-2 has taken the header out: its SID says PSP.
                Side::A if plan.service == Service::L3 => {}
                Side::A => lines.push(format!("srv6-one\t{}", outer(&service, 62))),
                Side::C => lines.push(format!("srv6\t{}\t{header}\t0\t1\t{list}", outer(&service, 62))),
            }
        }
    }
    lines
}

fn mpls(plan: &Plan, from: Side) -> Vec<String> {
    let to = from.other();
    let cores = if from == Side::A { [1, 2] } else { [2, 1] };
    let way = [Some((core_label(cores[0], to).get(), 64)), Some((core_label(cores[1], to).get(), 63)), None];
    way.into_iter().map(|top| stack("mpls", plan, from, top)).collect()
}

/// A stack of labels: the one of the way, if it is there, with its time to live; the service's, the group's, the flow's.
fn stack(kind: &str, plan: &Plan, from: Side, top: Option<(u32, u8)>) -> String {
    let framed = plan.service != Service::L3;
    let mut entries: Vec<(String, u8)> = top.map(|(label, ttl)| (label.to_string(), ttl)).into_iter().collect();
    entries.push((from.other().label().get().to_string(), 64));
    entries.push(((GROUPS + group(from)).to_string(), 1));
    if framed {
        entries.push(("flow".to_owned(), 1));
    }
    let last = entries.len() - 1;
    let joined = |value: &dyn Fn(usize) -> String| (0..=last).map(value).collect::<Vec<_>>().join(",");
    let fields = [
        joined(&|at| entries[at].0.clone()),
        joined(&|_| TRAFFIC_CLASS.to_string()),
        joined(&|at| u8::from(at == last).to_string()),
        joined(&|at| entries[at].1.to_string()),
    ];
    let word = if framed { "\t0" } else { "" };
    format!("{kind}\t{}{word}", fields.join("\t"))
}

fn vxlan(from: Side) -> Vec<String> {
    let ends = format!("{}\t{}\t{}", from.loopback(), from.other().loopback(), DSCP << 2);
    (62..=64).map(|hops| format!("vxlan\t{ends}\tflow\t{hops}\tflow\t{}\t{VNI}", group(from))).collect()
}

/// What is asked of tshark.
const FIELDS: [&str; 35] = [
    "frame.number",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.tclass",
    "ipv6.flow",
    "ipv6.hlim",
    "ipv6.nxt",
    "ipv6.routing.nxt",
    "ipv6.routing.segleft",
    "ipv6.routing.srh.last_entry",
    "ipv6.routing.srh.addr",
    "mpls.label",
    "mpls.exp",
    "mpls.bottom",
    "mpls.ttl",
    "pweth.cw.sequence_number",
    "udp.srcport",
    "udp.dstport",
    "vxlan.flags",
    "vxlan.gbp",
    "vxlan.vni",
    "twamp.test.seq_number",
    "twamp.test.sender_seq_number",
    "twamp.test.sender_ttl",
    "gtp.teid",
    "gtp.message",
    "gtp.length",
    "gtp.ext_hdr.pdu_ses_con.pdu_type",
    "gtp.ext_hdr.pdu_ses_con.qos_flow_id",
    "icmp.type",
    "icmp.code",
    "icmp.mtu",
    "icmpv6.type",
    "icmpv6.code",
    "icmpv6.mtu",
];
/// How many frames of a capture are read: the first ones hold every kind.
const FRAMES: &str = "1500";
/// Labels that stand for groups begin here.
const GROUPS: u32 = 65_536;
