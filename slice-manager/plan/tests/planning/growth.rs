//! How the time to plan grows with the number of slices. It asserts no time; it prints what it measured:
//! `cargo test --release -p plan growth -- --ignored --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use model::plan::Plan;
use plan::{Input, Intents, audit, plan};

use crate::world::{CATALOG, assert_clean, read};

/// Ten edges around two core nodes, with room for everything.
fn topology() -> String {
    let mut nodes = String::new();
    let mut links = String::new();
    for core in 0..2 {
        let ports: Vec<String> =
            (0..10).map(|edge| format!("{{ name: p{edge}, rate: 1000 Gbit/s, mtu: 1600 }}")).collect();
        let ports = ports.join(", ");
        writeln!(nodes, "    - {{ name: core-{core}, role: core, ports: [{ports}] }}").unwrap();
    }
    for edge in 0..10 {
        writeln!(
            nodes,
            "    - {{ name: edge-{edge}, role: edge, loopback: {{ ipv6: \"fd00::{edge}1\" }}, ports: [{{ name: access0, rate: \
             1000 Gbit/s }}, {{ name: c0, rate: 1000 Gbit/s, mtu: 1600 }}, {{ name: c1, rate: 1000 Gbit/s, mtu: 1600 }}] }}"
        )
        .unwrap();
        for core in 0..2 {
            let cost = core + 1;
            writeln!(
                links,
                "    - {{ name: l{core}-{edge}, a: {{ node: core-{core}, port: p{edge}, addresses: \
                 [\"fd01:{core}:{edge}::1/64\"] }}, b: {{ node: edge-{edge}, port: c{core}, addresses: \
                 [\"fd01:{core}:{edge}::2/64\"] }}, capacity: 1000 Gbit/s, delay: 100 us, cost: {cost} }}"
            )
            .unwrap();
        }
    }
    format!(
        "apiVersion: microslice/v1\nkind: Topology\nmetadata: {{ name: large }}\nspec:\n  pools: {{ vni: {{ first: 1, last: \
         100000 }}, radiusPorts: {{ first: 1024, last: 65535 }} }}\n  nodes:\n{nodes}  links:\n{links}"
    )
}

/// A slice with three SDPs and a segment on all of them.
fn slice(number: u32) -> String {
    let sdp = |place: u32| {
        // Ten slices use an edge three times; the next ten use the next three VLANs.
        let (edge, vlan) = ((number + place * 3) % 10, number / 10 * 3 + place + 1);
        format!("{{ name: p{place}, edge: edge-{edge}, port: access0, vlan: {vlan} }}")
    };
    let at: Vec<String> = (0..3).map(|place| format!("edge-{}", (number + place * 3) % 10)).collect();
    format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: s{number} }}\nspec: {{ template: miot, snssai: {{ sst: 3, \
         sd: \"{number:06X}\" }}, rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}, sdps: [{}, {}, {}] }}\n---\n\
         apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: m, slice: s{number} }}\nspec: {{ profile: \
         personal-health, at: [{}] }}\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: {{ name: m, slice: s{number} \
         }}\nspec: {{ clients: [{{ name: switch, addresses: [192.0.2.1/32] }}] }}\n",
        sdp(0),
        sdp(1),
        sdp(2),
        at.join(", ")
    )
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

#[test]
#[ignore = "prints a measurement"]
fn growth() {
    println!("{:>7} {:>12} {:>12} {:>12}", "slices", "first plan", "one more", "audit");
    for count in [100_u32, 1_000, 10_000] {
        let mut intents: Intents = read("t.yaml", &topology()).into_iter().collect();
        for number in 0..count {
            for resource in read("s.yaml", &slice(number)) {
                intents.apply(resource);
            }
        }
        let (parent, confirmed) = (Plan::default(), BTreeMap::new());
        let input = Input {
            catalog: &CATALOG,
            intents: &intents,
            parent: &parent,
            confirmed: &confirmed,
            suspects: &BTreeSet::new(),
        };
        let (first, to_plan) = timed(|| plan(&input).unwrap());
        assert_eq!(first.allocations.len(), count as usize);
        assert_clean(&first, &intents);
        let mut more = intents.clone();
        for resource in read("s.yaml", &slice(count)) {
            more.apply(resource);
        }
        let (second, to_add) = timed(|| plan(&Input { intents: &more, parent: &first, ..input }).unwrap());
        assert_eq!(second.generation, first.generation.next());
        let (_, to_audit) = timed(|| audit(&second, &more, &CATALOG));
        println!("{count:>7} {to_plan:>12.1?} {to_add:>12.1?} {to_audit:>12.1?}");
    }
}
