//! Files of resources: what is sound is read, and what is not is answered with file, line, column, field path and what
//! was expected. Nothing of a refused file is kept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use model::resource::{self, NodeRole, Resource, ResourceId, SdpVlan, Service, Transport};
use model::{Rate, Vlan};

const SLICE: &str = r#"apiVersion: microslice/v1
kind: Slice
metadata: { name: iot }
spec:
  template: miot
  snssai: { sst: 3, sd: "0A1B2C" }
  rate: { guaranteed: 20 Mbit/s, ceiling: 100 Mbit/s }
  latency: { max: 10 ms }
  sdps:
    - { name: city, edge: edge-a, port: access0, vlan: 110 }
    - { name: hospital, edge: edge-b, port: access0, vlan: 110 }
"#;

fn refusal(text: &str) -> String {
    resource::read("iot.yaml", text).map(|_| ()).unwrap_err().to_string()
}

/// The slice above with one thing changed.
fn with(from: &str, to: &str) -> String {
    assert_eq!(SLICE.matches(from).count(), 1, "{from}");
    refusal(&SLICE.replace(from, to))
}

#[test]
fn a_slice_is_read_with_its_defaults() {
    let declared = resource::read("iot.yaml", SLICE).unwrap();
    let [only] = declared.as_slice() else { panic!("one resource") };
    let Resource::Slice(slice) = &only.resource else { panic!("a slice") };
    assert_eq!(slice.name.as_str(), "iot");
    assert_eq!(slice.spec.snssai.to_string(), "3-0A1B2C");
    assert_eq!((slice.spec.service, slice.spec.transport), (Service::L2Multipoint, Transport::Vxlan));
    let limits = slice.spec.rate.unwrap();
    assert_eq!(limits.guaranteed(), Rate::from_bits_per_second(20_000_000));
    assert_eq!(limits.ceiling(), Rate::from_bits_per_second(100_000_000));
    assert_eq!(slice.spec.weight.get(), 1);
    assert_eq!(slice.spec.latency.unwrap().max.as_nanos(), 10_000_000);
    assert_eq!(slice.spec.sdps[1].vlan, Some(SdpVlan::Id(Vlan::new(110).unwrap())));
}

#[test]
fn bad_values_are_named_with_their_place() {
    for (from, to, expected) in [
        // An unknown field.
        (
            "template: miot",
            "tempalte: miot",
            "iot.yaml:5:13: spec.tempalte: unknown field `tempalte`, expected one of `template`, `snssai`, `service`, \
             `transport`, `rate`, `weight`, `sessionRates`, `latency`, `paths`, `sdps`",
        ),
        (
            "  latency: { max: 10 ms }",
            "  weight: 101",
            "iot.yaml:8:11: spec.weight: 101 is not a weight; expected 1 to 100",
        ),
        // A wrong unit, and none.
        (
            "20 Mbit/s",
            "20 Mbps",
            "iot.yaml:7:23: spec.rate.guaranteed: `20 Mbps` is not a rate; expected a number with one of bit/s, kbit/s, \
             Mbit/s, Gbit/s, such as `20 Mbit/s`",
        ),
        (
            "20 Mbit/s",
            "20",
            "iot.yaml:7:23: spec.rate.guaranteed: invalid type: integer `20`, expected a text such as `20 Mbit/s`",
        ),
        (
            "10 ms",
            "10 min",
            "iot.yaml:8:19: spec.latency.max: `10 min` is not a latency; expected a number with one of ns, us, ms, s, \
             such as `10 ms`",
        ),
        // Out of range: SST, SD, VLAN.
        ("sst: 3", "sst: 256", "iot.yaml:6:18: spec.snssai.sst: 256 is not an SST; expected 0 to 255"),
        (
            "0A1B2C",
            "FFFFFF",
            "iot.yaml:6:25: spec.snssai.sd: `FFFFFF` is not an SD; expected six hexadecimal digits in quotes, \"000000\" \
             to \"FFFFFE\"",
        ),
        (
            "edge-b, port: access0, vlan: 110",
            "edge-b, port: access0, vlan: 4095",
            "iot.yaml:11:60: spec.sdps[1].vlan: 4095 is not a VLAN identifier; expected 1 to 4094",
        ),
        // Contradictions within one resource.
        (
            "guaranteed: 20 Mbit/s",
            "guaranteed: 200 Mbit/s",
            "iot.yaml:7:3: spec.rate: guaranteed: 200 Mbit/s is more than the ceiling of 100 Mbit/s; expected at most \
             100 Mbit/s",
        ),
        ("name: hospital", "name: city", "iot.yaml:9:3: spec.sdps: two SDPs are named `city`; expected each name once"),
        // The head of the file.
        (
            "microslice/v1",
            "microslice/v2",
            "iot.yaml:1:13: apiVersion: `microslice/v2` is not an API version of this build; expected `microslice/v1`",
        ),
        (
            "kind: Slice",
            "kind: Slcie",
            "iot.yaml:2:7: kind: `Slcie` is not a kind that is read here; expected one of Topology, Slice, \
             MicroSegment, Realm",
        ),
        (
            "name: iot }",
            "name: Iot }",
            "iot.yaml:3:19: metadata.name: `Iot` is not the name of a slice; expected 1 to 63 of a-z, 0-9 and `-`, \
             starting and ending with a letter or digit",
        ),
    ] {
        assert_eq!(with(from, to), expected);
    }
}

#[test]
fn a_resource_that_stands_twice_is_refused() {
    assert_eq!(
        refusal(&format!("{SLICE}---\n{SLICE}")),
        "iot.yaml:15:19: metadata.name: slice/iot stands twice in this file; expected it once"
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_or_is_a_whole_file() {
    // Cut at every character: never a panic; and what is still read was never cut inside a document's last line.
    let whole = resource::read("iot.yaml", SLICE).unwrap();
    for end in 0..SLICE.len() {
        if let Ok(declared) = resource::read("iot.yaml", &SLICE[..end]) {
            // Only an empty file, or a list of SDPs that is whole as far as it goes, can be read.
            let is_prefix =
                declared.iter().all(|d| d.resource == whole[0].resource || end > SLICE.find("  sdps").unwrap());
            assert!(declared.is_empty() || is_prefix, "cut at {end}");
        }
    }
    let cut = &SLICE[..SLICE.find(", vlan").unwrap()];
    assert!(refusal(cut).starts_with("iot.yaml:1"), "{}", refusal(cut));
    assert!(refusal(cut).contains("not YAML"), "{}", refusal(cut));
}

const TOPOLOGY: &str = r"apiVersion: microslice/v1
kind: Topology
metadata: { name: small }
spec:
  pools:
    vni: { first: 100, last: 199 }
    radiusPorts: { first: 20000, last: 20099 }
  nodes:
    - { name: edge-a, role: edge, ports: [{ name: access0, rate: 1 Gbit/s, mtu: 1500 }] }
  links: []
";

#[test]
fn numbers_of_a_topology_have_their_range() {
    let declared = resource::read("t.yaml", TOPOLOGY).unwrap();
    let Resource::Topology(topology) = &declared[0].resource else { panic!("a topology") };
    assert_eq!(topology.spec.nodes[0].role, NodeRole::Edge);
    for (from, to, expected) in [
        ("first: 100,", "first: 0,", "spec.pools.vni.first: 0 is not a VNI; expected 1 to 16777215"),
        ("last: 199", "last: 16777216", "spec.pools.vni.last: 16777216 is not a VNI; expected 1 to 16777215"),
        (
            "first: 20000",
            "first: 80",
            "spec.pools.radiusPorts.first: 80 is not a number in range; expected 1024 to 65535",
        ),
        ("mtu: 1500", "mtu: 576", "spec.nodes[0].ports[0].mtu: 576 is not a number in range; expected 1280 to 65535"),
        (
            "mtu: 1500",
            "mtu: 65536",
            "spec.nodes[0].ports[0].mtu: 65536 is not a number in range; expected 1280 to 65535",
        ),
        ("role: edge", "role: leaf", "spec.nodes[0].role: unknown variant `leaf`, expected `edge` or `core`"),
    ] {
        let error = resource::read("t.yaml", &TOPOLOGY.replace(from, to)).map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with(&format!(": {expected}")), "{error}");
    }
}

#[test]
fn ids_are_read_as_they_are_printed() {
    for text in ["topology/reference", "slice/iot", "microsegment/iot/smart-metering", "realm/iot/smart-metering"] {
        assert_eq!(text.parse::<ResourceId>().unwrap().to_string(), text);
    }
    for bad in ["iot", "slice/", "slice/iot/x", "microsegment/iot", "policy/iot", "slice/Iot", ""] {
        assert!(bad.parse::<ResourceId>().is_err(), "{bad}");
    }
}

#[test]
fn probes_and_vlans_have_their_words() {
    use model::resource::{PathPolicy, ProbeSpec, Probes, Sdp, SdpVlan};
    let probes = |text: &str| model::file::read_one::<Probes>("p.yaml", text).map_err(|error| error.to_string());
    assert_eq!(probes("off\n"), Ok(Probes::Off));
    let spec = ProbeSpec { losses: 5, ..ProbeSpec::default() };
    assert_eq!(probes("{ losses: 5 }\n"), Ok(Probes::Stamp(spec)));
    assert!(probes("on\n").unwrap_err().contains("expected `off`, or interval, losses and answers"));
    assert!(probes("{ losses: 0 }\n").unwrap_err().contains("expected 1 to 16"));
    let vlan = |text: &str| {
        let sdp = format!("{{ name: a, edge: b, port: c, vlan: {text} }}\n");
        model::file::read_one::<Sdp>("s.yaml", &sdp).map(|sdp| sdp.vlan).map_err(|error| error.to_string())
    };
    assert_eq!(vlan("auto"), Ok(Some(SdpVlan::Auto)));
    assert_eq!(vlan("7"), Ok(Some(SdpVlan::Id(Vlan::new(7).unwrap()))));
    assert!(vlan("any").unwrap_err().contains("expected a VLAN identifier: a whole number from 1 to 4094, or `auto`"));
    assert!(vlan("4095").unwrap_err().contains("4095 is not a VLAN identifier; expected 1 to 4094"));
    // What is said comes back when it is written and read again.
    let policy: PathPolicy =
        model::file::read_one("p.yaml", "{ excludeNodes: [core-1], includeAffinities: [fibre], backup: node }\n")
            .unwrap();
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<PathPolicy>(&written).unwrap(), policy);
    assert!(
        model::file::read_one::<PathPolicy>("p.yaml", "{ backup: both }\n")
            .unwrap_err()
            .to_string()
            .contains("expected one of `none`, `link`, `srlg`, `node`")
    );
}
