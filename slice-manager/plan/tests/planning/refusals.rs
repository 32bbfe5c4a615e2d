//! Every reason to refuse, each provoked by one change to a world that is accepted, with the words in which it is told.

use crate::world::{CATALOG, Manager, REFERENCE, read, small};
use plan::{Input, Intents, plan};

/// The small world with one text replaced in one of its files.
fn changed(file: usize, from: &str, to: &str) -> Vec<String> {
    let mut texts: Vec<(&str, String)> =
        REFERENCE[..2].iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    assert!(texts[file].1.contains(from), "{from}");
    texts[file].1 = texts[file].1.replacen(from, to, 1);
    refused(texts.iter().flat_map(|(name, text)| read(name, text)).collect())
}

fn topology(from: &str, to: &str) -> Vec<String> {
    changed(0, from, to)
}

fn iot(from: &str, to: &str) -> Vec<String> {
    changed(1, from, to)
}

/// The small world with more resources.
fn with(text: &str) -> Vec<String> {
    let mut intents = small();
    for resource in read("more.yaml", text) {
        intents.apply(resource);
    }
    refused(intents)
}

fn refused(intents: Intents) -> Vec<String> {
    Manager { intents, ..Manager::default() }.replan().unwrap_err()
}

const OTHER: &str = r#"
apiVersion: microslice/v1
kind: Slice
metadata: { name: other }
spec:
  template: miot
  snssai: { sst: 3, sd: "000001" }
  rate: { guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }
  sdps:
    - { name: city, edge: edge-a, port: access0, vlan: 111 }
    - { name: head-end, edge: edge-c, port: access0, vlan: 111 }
"#;

#[test]
fn what_is_named_must_be_there() {
    assert_eq!(
        iot("template: miot", "template: mitt"),
        ["slice/iot: spec.template: there is no template `mitt`; expected one of embb, miot, urllc, v2x"]
    );
    assert_eq!(
        iot("edge: edge-b, port: access0", "edge: edge-d, port: access0")[0],
        "slice/iot: spec.sdps[1].edge: there is no node `edge-d` in the topology"
    );
    assert_eq!(
        iot("edge: edge-b, port: access0", "edge: core-1, port: access0")[0],
        "slice/iot: spec.sdps[1].edge: `core-1` is a core node; expected an edge"
    );
    assert_eq!(
        iot("edge: edge-b, port: access0", "edge: edge-b, port: access1")[0],
        "slice/iot: spec.sdps[1].port: node `edge-b` has no port `access1`"
    );
    assert_eq!(
        iot("edge: edge-b, port: access0", "edge: edge-b, port: core0")[0],
        "slice/iot: spec.sdps[1].port: port `core0` of `edge-b` is an end of link `core-1--edge-b`; expected a port \
         that no link uses"
    );
    assert_eq!(
        iot("profile: smart-metering", "profile: metering"),
        ["microsegment/iot/smart-metering: spec.profile: there is no segment profile `metering`; expected one of \
          personal-health, smart-metering"]
    );
    let slices_and_all = read("iot.yaml", REFERENCE[1].1).into_iter().collect();
    assert_eq!(refused(slices_and_all), ["slice/iot: spec.sdps: no topology is declared"]);
}

#[test]
fn segments_and_realms_need_their_slice_and_segment() {
    let mut manager = Manager::new(small());
    assert_eq!(
        manager.delete(&["slice/iot"]).unwrap_err(),
        [
            "microsegment/iot/personal-health: metadata.slice: there is no slice `iot`",
            "microsegment/iot/smart-metering: metadata.slice: there is no slice `iot`",
            "realm/iot/personal-health: metadata.slice: there is no slice `iot`",
            "realm/iot/smart-metering: metadata.slice: there is no slice `iot`",
        ]
    );
    assert_eq!(
        manager.delete(&["microsegment/iot/smart-metering"]).unwrap_err(),
        ["realm/iot/smart-metering: metadata.name: there is no micro-segment `iot/smart-metering`"]
    );
    assert_eq!(
        manager.delete(&["realm/iot/smart-metering"]).unwrap_err(),
        ["microsegment/iot/smart-metering: metadata.name: template `miot` requires authentication (NSSAA), and the \
          segment has no realm; expected one"]
    );
    manager.delete(&["realm/iot/smart-metering", "microsegment/iot/smart-metering"]).unwrap();
}

#[test]
fn a_segment_is_spawned_only_where_its_slice_is() {
    assert_eq!(
        iot("    - { name: hospital, edge: edge-b, port: access0, vlan: 110 }\n", ""),
        ["microsegment/iot/personal-health: spec.at[1]: slice `iot` has no SDP on `edge-b`"]
    );
    assert_eq!(
        iot("at: [edge-a, edge-c]", "at: []"),
        ["microsegment/iot/smart-metering: spec.at: no edge is named; expected at least one"]
    );
}

#[test]
fn a_circuit_feeds_one_sdp() {
    assert_eq!(
        with(&OTHER.replace("edge-c, port: access0, vlan: 111", "edge-c, port: access0, vlan: 110")),
        ["slice/other: spec.sdps[1].vlan: VLAN 110 of port `access0` of `edge-c` feeds SDP `head-end` of slice `iot` \
          already"]
    );
    // Within one slice, untagged, twice.
    let untagged =
        OTHER.replace("edge-c, port: access0, vlan: 111", "edge-a, port: access0").replacen(", vlan: 111", "", 1);
    assert_eq!(
        with(&untagged),
        ["slice/other: spec.sdps[1].port: untagged traffic of port `access0` of `edge-a` feeds SDP `city` of slice \
          `other` already"]
    );
    // Untagged and tagged frames of one port are two circuits.
    let both = OTHER.replace("edge-c, port: access0, vlan: 111", "edge-a, port: access0");
    let mut manager = Manager::new(small());
    manager.apply(&both).unwrap();
}

#[test]
fn an_snssai_is_one_slices() {
    assert_eq!(
        with(&OTHER.replace("000001", "0A1B2C")),
        ["slice/other: spec.snssai: S-NSSAI 3-0A1B2C is that of slice `iot` already"]
    );
    assert_eq!(
        with(&OTHER.replace("sst: 3", "sst: 1")),
        ["slice/other: spec.snssai.sst: SST 1 is not that of template `miot`; expected 3"]
    );
}

#[test]
fn shares_are_parts_of_one_whole() {
    assert_eq!(
        iot("share: 60 %", "share: 60.01 %"),
        // Neither is older: the last by name is to blame.
        [
            "microsegment/iot/smart-metering: spec.share: the segments of the slice on `edge-a` share 100.01 % of its \
          guarantee; expected at most 100 %",
            "microsegment/iot/smart-metering: spec.share: the segments of the slice on `edge-c` share 100.01 % of its \
          guarantee; expected at most 100 %"
        ]
    );
    // A newcomer is to blame before one that was there, whatever its name.
    let mut manager = Manager::new(small());
    let newcomer = "
apiVersion: microslice/v1
kind: MicroSegment
metadata: { name: alarms, slice: iot }
spec: { profile: smart-metering, at: [edge-b], share: 61 % }
---
apiVersion: microslice/v1
kind: Realm
metadata: { name: alarms, slice: iot }
spec: { clients: [] }
";
    assert_eq!(
        manager.apply(newcomer).unwrap_err(),
        ["microsegment/iot/alarms: spec.share: the segments of the slice on `edge-b` share 101 % of its guarantee; \
          expected at most 100 %"]
    );
    manager.apply(&newcomer.replace("61 %", "60 %")).unwrap();
    // A segment's own guarantee and ceiling must not contradict each other: 12 Mbit/s of 10 Mbit/s.
    assert_eq!(
        iot("share: 60 %", "share: 60 %, ceiling: 10 %"),
        [
            "microsegment/iot/smart-metering: spec.ceiling: guaranteed: 12 Mbit/s is more than the ceiling of 10 Mbit/s; \
          expected at most 10 Mbit/s"
        ]
    );
}

#[test]
fn guarantees_fit_on_links_and_ports() {
    // 60 of the microwave link's 140 Mbit/s are left by two slices of 40 that were there.
    let mut manager = Manager::new(small());
    manager.apply(&REFERENCE[1].1.replace("20 Mbit/s, ceiling", "40 Mbit/s, ceiling")).unwrap();
    let other = format!(
        "{OTHER}
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: {{ name: all, slice: other }}
spec: {{ profile: personal-health, at: [edge-a, edge-c], share: 100 % }}
---
apiVersion: microslice/v1
kind: Realm
metadata: {{ name: all, slice: other }}
spec: {{ clients: [] }}
"
    );
    manager.apply(&other.replace("1 Mbit/s, ceiling: 2 ", "40 Mbit/s, ceiling: 200 ")).unwrap();
    assert_eq!(
        manager.apply(&other.replace("1 Mbit/s, ceiling: 2 ", "101 Mbit/s, ceiling: 200 ")).unwrap_err(),
        [
            "slice/other: spec.rate.guaranteed: 101 Mbit/s is more than link core-1--edge-a has left (100 Mbit/s); largest \
          that fits: 100 Mbit/s"
        ],
        "its own booking is not counted against it"
    );
    // `iot` was there and keeps what it has, though `a-third` is before it by name.
    let third = other.replace("name: other", "name: a-third").replace("slice: other", "slice: a-third");
    let third = third.replace("000001", "000002").replace("vlan: 111", "vlan: 112");
    assert_eq!(
        manager.apply(&third.replace("1 Mbit/s, ceiling: 2 ", "61 Mbit/s, ceiling: 200 ")).unwrap_err(),
        [
            "slice/a-third: spec.rate.guaranteed: 61 Mbit/s is more than link core-1--edge-a has left (60 Mbit/s); largest \
          that fits: 60 Mbit/s"
        ]
    );
    manager.apply(&third.replace("1 Mbit/s, ceiling: 2 ", "60 Mbit/s, ceiling: 200 ")).unwrap();
}

#[test]
fn two_sdps_on_an_edge_need_twice_the_guarantee() {
    // By hand: edge-a has two SDPs of 71 Mbit/s, and edge-c two that can take them: 142 of 140 Mbit/s.
    let twice = REFERENCE[1].1.replace(
        "    - { name: hospital, edge",
        "    - { name: city-2, edge: edge-a, port: access0, vlan: 210 }\n    - { name: head-end-2, edge: edge-c, port: \
         access0, vlan: 210 }\n    - { name: hospital, edge",
    );
    let mut manager = Manager::new(small());
    assert_eq!(
        manager.apply(&twice.replace("20 Mbit/s, ceiling", "71 Mbit/s, ceiling")).unwrap_err(),
        ["slice/iot: spec.rate.guaranteed: 71 Mbit/s from 2 SDPs at once is more than link core-1--edge-a has left \
          (140 Mbit/s); largest that fits: 70 Mbit/s"]
    );
    manager.apply(&twice.replace("20 Mbit/s, ceiling", "70 Mbit/s, ceiling")).unwrap();
}

#[test]
fn access_ports_carry_what_is_guaranteed_and_can_reach_the_ceiling() {
    // Two slices of 600 Mbit/s on one port of 1 Gbit/s; without segments, no link has a part in it.
    let big = OTHER.replace("1 Mbit/s, ceiling: 2 ", "600 Mbit/s, ceiling: 1000 ");
    let bigger = big.replace("name: other", "name: bigger").replace("000001", "000002").replace("111", "112");
    assert_eq!(
        with(&format!("{big}---{bigger}")),
        // `iot` has 20 of it. The smaller name goes first where nothing was there before.
        ["slice/other: spec.rate.guaranteed: 600 Mbit/s is more than port access0 of edge-a has left (400 Mbit/s); \
          largest that fits: 400 Mbit/s"]
        .map(|text| text.replace("400", "380"))
    );
    assert_eq!(
        with(&OTHER.replace("ceiling: 2 Mbit/s", "ceiling: 1001 Mbit/s")),
        [
            "slice/other: spec.rate.ceiling: 1001 Mbit/s is more than the rate of port access0 of edge-a; expected at most \
          1 Gbit/s"
        ]
    );
}

#[test]
fn paths_are_as_fast_as_the_slice_needs() {
    // By hand: 200 + 250, 200 + 400 and 250 + 400 us.
    assert_eq!(
        iot("max: 10 ms", "max: 500 us"),
        [
            "slice/iot: spec.latency.max: the fastest way edge-a to edge-c, over core-1--edge-a, core-1--edge-c, takes 600 us; \
          expected at most 500 us",
            "slice/iot: spec.latency.max: the fastest way edge-b to edge-c, over core-1--edge-b, core-1--edge-c, takes 650 us; \
          expected at most 500 us"
        ]
    );
    // Without a bound of its own the template's counts: 10 ms for 5QI 70 (TS 23.501, table 5.7.4-1, note 7).
    let mut manager = Manager::new(small());
    manager.apply(&REFERENCE[1].1.replace("  latency: { max: 10 ms }\n", "")).unwrap();
    let slow = REFERENCE[0].1.replace("delay: 200 us", "delay: 9750 us").replace("cost: 20", "cost: 200");
    manager.apply(&slow).unwrap();
    // 9750 + 250 us is just in time, 9750 + 400 us is not: that pair goes over core-2.
    let ways = &manager.plan.slices["iot"].ways;
    let over = |from: &str, to: &str| {
        let (a, b): (model::NodeName, model::NodeName) = (from.parse().unwrap(), to.parse().unwrap());
        let id = ways[&(a.clone(), b.clone())].working;
        manager.plan.paths[&model::plan::PathKey { a, b, id }].links[0].to_string()
    };
    assert_eq!(
        (over("edge-a", "edge-b"), over("edge-a", "edge-c")),
        ("core-1--edge-a".into(), "core-2--edge-a".into())
    );
    assert_eq!(
        manager.apply(&slow.replace("delay: 400 us", "delay: 9201 us")).unwrap_err(),
        // 9201 + 800 us over core-2, 9750 + 9201 us over core-1; and 9201 + 250 us for the third pair, in time.
        [
            "slice/iot: spec.template: the fastest way edge-a to edge-c, over core-2--edge-a, core-2--edge-c, takes 10001 us; \
          expected at most 10 ms"
        ]
    );
}

#[test]
fn edges_that_share_a_segment_are_connected() {
    let cut = REFERENCE[0].1;
    let at = |name: &str| cut.find(&format!("    - name: {name}\n")).unwrap();
    // Both links of edge-b are the only way there.
    let mut text = cut.to_owned();
    text.replace_range(at("core-2--edge-b")..at("core-2--edge-c"), "");
    text.replace_range(at("core-1--edge-b")..at("core-1--edge-c"), "");
    let intents = [("topology.yaml", text.as_str()), REFERENCE[1]].into_iter().flat_map(|(f, t)| read(f, t)).collect();
    assert_eq!(
        refused(intents),
        [
            "microsegment/iot/personal-health: spec.at: the topology has no path from edge-a to edge-b",
            "microsegment/iot/personal-health: spec.at: the topology has no path from edge-b to edge-c"
        ]
    );
}

#[test]
fn tunnels_have_one_address_family_all_the_way() {
    // One edge without IPv6: what goes there goes over IPv4; the rest keeps IPv6.
    let text = REFERENCE[0].1.replace("{ ipv6: \"fd00:0:b::1\", ipv4: 10.255.0.2 }", "{ ipv4: 10.255.0.2 }");
    let intents: Intents =
        [("topology.yaml", text.as_str()), REFERENCE[1]].into_iter().flat_map(|(f, t)| read(f, t)).collect();
    let manager = Manager::new(intents);
    let paths = &manager.plan.programs.values().next().unwrap().content.paths;
    let locals: Vec<String> = paths.iter().map(|path| format!("{} {}", path.to, path.local)).collect();
    let twice = |local: &str| [local.to_owned(), local.to_owned()];
    assert_eq!(locals, [twice("edge-b 10.255.0.1"), twice("edge-c fd00:0:a::1")].concat(), "working and backup");
    // Without any, there is no tunnel.
    assert_eq!(
        topology("{ ipv6: \"fd00:0:b::1\", ipv4: 10.255.0.2 }", "{}"),
        [
            "microsegment/iot/personal-health: spec.at: edges edge-a, edge-b have neither an IPv6 nor an IPv4 loopback \
          address each",
            "microsegment/iot/personal-health: spec.at: edges edge-b, edge-c have neither an IPv6 nor an IPv4 loopback \
          address each"
        ]
    );
    // Loopbacks without addresses on the links between them do not help.
    let bare = "a: { node: core-1, port: to-edge-b, addresses: [\"fd00:1:b::1/64\", 10.1.2.1/24] }\n      \
                b: { node: edge-b, port: core0, addresses: [\"fd00:1:b::2/64\", 10.1.2.2/24] }";
    let v4 = bare.replace("\"fd00:1:b::1/64\", ", "").replace("\"fd00:1:b::2/64\", ", "");
    let without = REFERENCE[0].1.replace(bare, &v4);
    let other = without.replace("\"fd00:2:b::1/64\", ", "").replace("\"fd00:2:b::2/64\", ", "");
    Manager::new([without.as_str(), REFERENCE[1].1].into_iter().flat_map(|text| read("w.yaml", text)).collect());
    assert_eq!(
        refused([other.as_str(), REFERENCE[1].1].into_iter().flat_map(|text| read("w.yaml", text)).collect()),
        [
            "microsegment/iot/personal-health: spec.at: link core-1--edge-b has no IPv6 address at core-1, which the tunnel \
          of iot/personal-health needs"
        ],
        "once, though both tunnels from there need it"
    );
}

#[test]
fn packets_fit_with_their_tunnel_headers() {
    // RFC 7348 over IPv6: 14 + 8 + 8 + 40 = 70 octets more than the packet.
    let ports = "{ name: core0, rate: 1 Gbit/s, mtu: 1600 }\n        - { name: core1, rate: 1 Gbit/s, mtu: 1600 }";
    assert_eq!(
        topology(ports, &ports.replace("1600", "1569")),
        ["slice/iot: spec.template: a packet of 1500 octets needs 1570 on port core0 of edge-a, which carries 1569; \
          largest that fits: 1499"]
    );
    let exact = REFERENCE[0].1.replace("mtu: 1600", "mtu: 1570");
    let mut manager = Manager::new(small());
    manager.apply(&exact).unwrap();
    // Over IPv4: 20 octets less.
    let v4 = exact.replace("mtu: 1570", "mtu: 1550");
    let v4 = ["a", "b", "c"].iter().fold(v4, |text, edge| text.replace(&format!("ipv6: \"fd00:0:{edge}::1\", "), ""));
    manager.apply(&v4).unwrap();
    assert_eq!(
        manager.apply(&v4.replace("mtu: 1550", "mtu: 1549")).unwrap_err(),
        [
            "slice/iot: spec.template: a packet of 1500 octets needs 1550 on port to-edge-a of core-1, which carries 1549; \
          largest that fits: 1499"
        ]
    );
    // Towards devices there is no tunnel.
    assert_eq!(
        topology("{ name: access0, rate: 1 Gbit/s }", "{ name: access0, rate: 1 Gbit/s, mtu: 1499 }"),
        [
            "slice/iot: spec.template: a packet of 1500 octets needs 1500 on port access0 of edge-a, which carries 1499; \
          largest that fits: 1499"
        ]
    );
}

#[test]
fn a_client_asks_an_edge_of_its_segment() {
    assert_eq!(
        iot("name: dc-switch, edge: edge-c", "name: dc-switch, edge: edge-b"),
        ["realm/iot/smart-metering: spec.clients[1].edge: client `dc-switch` asks edge-b, where the segment is not \
          spawned; expected one of its edges"]
    );
}

#[test]
fn a_realm_can_tell_its_clients_apart() {
    assert_eq!(
        iot("addresses: [192.0.2.13/32, \"2001:db8:c::13/128\"]", "addresses: [192.0.2.0/24, \"2001:db8:c::13/128\"]"),
        ["realm/iot/smart-metering: spec.clients[0].addresses[0]: 192.0.2.11/32 overlaps 192.0.2.0/24 of client \
          `dc-switch`; expected each source to be one client's"]
    );
    assert_eq!(
        iot("addresses: [192.0.2.13/32, \"2001:db8:c::13/128\"]", "addresses: []"),
        [
            "realm/iot/smart-metering: spec.clients[1].addresses: client `dc-switch` has no address; expected at least one"
        ]
    );
}

#[test]
fn a_manager_has_one_topology() {
    let other = REFERENCE[0].1.replace("name: reference", "name: second");
    assert_eq!(
        with(&other),
        ["topology/second: metadata.name: topology `reference` is declared already; expected one topology"]
    );
}

#[test]
fn a_topology_keeps_its_own_rules() {
    for (from, to, expected) in [
        (
            "vni: { first: 10000, last: 10999 }",
            "vni: { first: 10000, last: 9999 }",
            "spec.pools.vni: the last VNI, 9999, is before the first, 10000",
        ),
        (
            "first: 20000, last: 20199",
            "first: 20001, last: 20199",
            "spec.pools.radiusPorts.first: 20001 is odd; expected an even port, because access takes an even port and \
             accounting the next",
        ),
        (
            "first: 20000, last: 20199",
            "first: 20000, last: 20198",
            "spec.pools.radiusPorts.last: 20198 is even; expected an odd port, because access takes an even port and \
             accounting the next",
        ),
        (
            "a: { node: core-1, port: to-edge-a",
            "a: { node: core-3, port: to-edge-a",
            "spec.links[0].a.node: there is no node `core-3` in the topology",
        ),
        (
            "a: { node: core-1, port: to-edge-a",
            "a: { node: core-1, port: to-edge-z",
            "spec.links[0].a.port: node `core-1` has no port `to-edge-z`",
        ),
        (
            "a: { node: core-1, port: to-edge-b",
            "a: { node: core-1, port: to-edge-a",
            "spec.links[1].a.port: port `to-edge-a` of `core-1` is an end of link `core-1--edge-a` already",
        ),
        (
            "b: { node: edge-a, port: core0",
            "b: { node: core-1, port: to-edge-b",
            "spec.links[0].b.node: both ends are on `core-1`; expected two nodes",
        ),
        (
            "capacity: 140 Mbit/s",
            "capacity: 1001 Mbit/s",
            "spec.links[0].capacity: 1001 Mbit/s is more than port `to-edge-a` of `core-1` carries; expected at most 1 \
             Gbit/s",
        ),
        (
            "[\"fd00:1:a::1/64\", 10.1.1.1/24]",
            "[\"fd00:1:a::1/64\", 10.1.1.1/24, 10.1.1.3/24]",
            "spec.links[0].a.addresses[2]: a second IPv4 address; expected at most one of each family",
        ),
        (
            "[\"fd00:1:a::1/64\", 10.1.1.1/24]",
            "[\"fd00:1:a::1/64\", 10.1.9.1/24]",
            "spec.links[0].a.addresses[1]: 10.1.9.1/24 is on no subnet with an address of `edge-a`, the other end",
        ),
        (
            "[\"fd00:1:a::1/64\", 10.1.1.1/24]",
            "[\"fd00:1:a::1/64\", 10.1.1.2/24]",
            "spec.links[0].a.addresses[1]: 10.1.1.2/24 is on no subnet with an address of `edge-a`, the other end",
        ),
        (
            "ipv4: 10.255.0.2",
            "ipv4: 10.255.0.1",
            "spec.nodes[1].loopback.ipv4: 10.255.0.1/32 overlaps 10.255.0.1/32 of the loopback of `edge-a`",
        ),
        (
            "ipv4: 10.255.0.2",
            "ipv4: 10.1.1.9",
            "spec.nodes[1].loopback.ipv4: 10.1.1.9/32 overlaps 10.1.1.0/24 of link `core-1--edge-a`",
        ),
        ("ipv4: 10.255.0.2", "ipv4: 224.0.0.1", "spec.nodes[1].loopback.ipv4: 224.0.0.1 is no unicast address"),
        (
            "locator: \"fd00:b::/48\"",
            "locator: \"fd00:a:0:8000::/49\"",
            "spec.nodes[1].locator: fd00:a:0:8000::/49 overlaps fd00:a::/48 of `edge-a`",
        ),
        (
            "locator: \"fd00:b::/48\"",
            "locator: \"fd00:b::/97\"",
            "spec.nodes[1].locator: fd00:b::/97 is too long; expected at most 96 bits, so that a function and an argument of \
             16 bits each fit behind it",
        ),
        (
            // Function 1 of its own locator, which is its own SID.
            "ipv6: \"fd00:0:b::1\"",
            "ipv6: \"fd00:b:0:1::\"",
            "spec.nodes[1].loopback.ipv6: fd00:b:0:1:: could be a SID of `edge-b`, whose locator is fd00:b::/48; expected an \
             address outside, or one with function 0",
        ),
        (
            "ipv6: \"fd00:0:b::1\"",
            "ipv6: \"fd00:c::1\"",
            "spec.nodes[1].loopback.ipv6: fd00:c::1 could be a SID of `edge-c`, whose locator is fd00:c::/48; expected an \
             address outside, or one with function 0",
        ),
        (
            "locator: \"fd00:b::/48\"",
            "locator: \"fd00:a::/48\"",
            "spec.nodes[1].locator: fd00:a::/48 overlaps fd00:a::/48 of `edge-a`",
        ),
        (
            "interval: 10 ms",
            "interval: 999 us",
            "spec.probes.interval: a probe every 999 us is too often; expected 1 ms or more",
        ),
        (
            "      site: hospital MEC\n",
            "      control: static\n",
            "spec.nodes[1].control: an edge is controlled by its agent; expected `agent`, or nothing",
        ),
        (
            "sidFunctions: { first: 4096, last: 8191 }",
            "sidFunctions: { first: 5000, last: 4999 }",
            "spec.pools.sidFunctions: the last pair of SID functions, 4999, is before the first, 5000",
        ),
        (
            "labels: { first: 110000, last: 119999 }",
            "labels: { first: 109999, last: 119999 }",
            "spec.nodes[1].labels: labels 109999 to 119999 overlap those of `edge-a`",
        ),
        (
            "labels: { first: 110000, last: 119999 }",
            "labels: { first: 119999, last: 110000 }",
            "spec.nodes[1].labels: the last label, 110000, is before the first, 119999",
        ),
    ] {
        let refusals = topology(from, to);
        let expected = format!("topology/reference: {expected}");
        assert!(refusals.contains(&expected), "{expected}\n{}", refusals.join("\n"));
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text =
        REFERENCE[1].1.replace("template: miot", "template: mitt").replace("transport: vxlan", "transport: srv6");
    let text = text.replace("edge: edge-b, port", "edge: edge-x, port").replace("at: [edge-a, edge-c]", "at: []");
    let intents: Intents =
        [REFERENCE[0], ("iot.yaml", text.as_str())].into_iter().flat_map(|(f, t)| read(f, t)).collect();
    let refusals = refused(intents.clone());
    assert_eq!(
        refusals,
        [
            "slice/iot: spec.sdps[1].edge: there is no node `edge-x` in the topology",
            "slice/iot: spec.template: there is no template `mitt`; expected one of embb, miot, urllc, v2x",
        ],
        "and segments are judged when their slice is sound"
    );
    let (parent, confirmed) = (model::plan::Plan::default(), std::collections::BTreeMap::new());
    let again = plan(&Input {
        catalog: &CATALOG,
        intents: &intents,
        parent: &parent,
        confirmed: &confirmed,
        suspects: &std::collections::BTreeSet::new(),
    });
    let again: Vec<String> = again.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(again, refusals, "in the same order");
}
