//! How the time to plan grows with the number of slices. It asserts no time; it prints what it measured:
//! `cargo test --release -p plan growth -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use model::plan::Plan;
use plan::{Finding, Input, Intents, Severity, audit, plan_with_effort};

use crate::world::{CATALOG, read};

/// A number that looks like any other, the same for the same seed.
struct Dice(u64);

impl Dice {
    /// xorshift64* (G. Marsaglia, S. Vigna).
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap() % sides
    }
}

const EDGES: usize = 100;
const CORES: usize = 900;
/// So many of the core nodes know labels: more than 400 blocks for 400 nodes each do not fit into 20 bits.
const LABELLED: usize = 300;
const LINKS: usize = 4_000;

/// A ring of core nodes with chords, and edges that hang on three of them each: a thousand nodes, four thousand links.
fn topology(dice: &mut Dice) -> String {
    let mut ports: Vec<String> = vec![String::new(); EDGES + CORES];
    let mut links = String::new();
    let name = |node: usize| if node < EDGES { format!("edge-{node}") } else { format!("core-{node}") };
    let mut ends: Vec<(usize, usize)> = (0..CORES).map(|core| (EDGES + core, EDGES + (core + 1) % CORES)).collect();
    ends.extend((0..EDGES * 3).map(|place| (place / 3, EDGES + (place % 3 * 100 + place / 3 * 7) % LABELLED)));
    while ends.len() < LINKS {
        // Every third chord is between two that know labels.
        let among = if ends.len().is_multiple_of(3) { LABELLED } else { CORES };
        let (a, b) = (EDGES + dice.roll(among), EDGES + dice.roll(among));
        if a != b {
            ends.push((a, b));
        }
    }
    for (number, (a, b)) in ends.into_iter().enumerate() {
        for node in [a, b] {
            write!(ports[node], "{{ name: p{number}, rate: 400 Gbit/s, mtu: 9000 }}, ").unwrap();
        }
        let (subnet, cost, delay) = (format!("fd01:{number:x}::"), 10 + dice.roll(90), 50 + dice.roll(450));
        writeln!(
            links,
            "    - {{ name: l{number}, a: {{ node: {}, port: p{number}, addresses: [\"{subnet}1/64\"] }}, b: {{ node: {}, port: \
             p{number}, addresses: [\"{subnet}2/64\"] }}, capacity: 400 Gbit/s, delay: {delay} us, cost: {cost}, srlgs: [duct-{}] }}",
            name(a),
            name(b),
            number / 2
        )
        .unwrap();
    }
    let mut nodes = String::new();
    for (node, ports) in ports.iter().enumerate() {
        let access = if node < EDGES { "{ name: access0, rate: 400 Gbit/s, mtu: 9000 }, " } else { "" };
        let first = 1_000 + node * 2_000;
        let labels = format!("labels: {{ first: {first}, last: {} }}, ", first + 1_999);
        let labels = if node < EDGES + LABELLED { labels } else { String::new() };
        writeln!(
            nodes,
            "    - {{ name: {}, role: {}, loopback: {{ ipv6: \"fd00::{node:x}:1\" }}, locator: \"fd02:{node:x}::/48\", {labels}\
             sidDepthMax: 10, labelDepthMax: 12, ports: [{access}{ports}] }}",
            name(node),
            if node < EDGES { "edge" } else { "core" }
        )
        .unwrap();
    }
    format!(
        "apiVersion: microslice/v1\nkind: Topology\nmetadata: {{ name: large }}\nspec:\n  pools: {{ vni: {{ first: 1, last: \
         100000 }}, radiusPorts: {{ first: 1024, last: 65535 }} }}\n  underlay: mpls\n  nodes:\n{nodes}  links:\n{links}"
    )
}

/// A slice with two or three SDPs and a segment on all of them; each transport with each service in turn.
fn slice(number: usize, dice: &mut Dice) -> String {
    let transport = ["srv6", "mpls", "vxlan"][number % 3];
    let service = ["l2-point-to-point", "l2-multipoint", "l3"][number / 3 % 3];
    let count = if (number / 3).is_multiple_of(3) { 2 } else { 2 + number / 9 % 2 };
    let mut edges = Vec::new();
    while edges.len() < count {
        let edge = dice.roll(EDGES);
        if !edges.contains(&edge) {
            edges.push(edge);
        }
    }
    let sdp = |(place, edge): (usize, &usize)| {
        let address = if service == "l3" { format!(", addresses: [10.{place}.0.1/16]") } else { String::new() };
        format!("{{ name: p{place}, edge: edge-{edge}, port: access0, vlan: auto{address} }}")
    };
    let sdps: Vec<String> = edges.iter().enumerate().map(sdp).collect();
    let at: Vec<String> = edges.iter().map(|edge| format!("edge-{edge}")).collect();
    let (sdps, at) = (sdps.join(", "), at.join(", "));
    format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: s{number} }}\nspec: {{ template: miot, snssai: {{ sst: 3, \
         sd: \"{number:06X}\" }}, service: {service}, transport: {transport}, rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}, \
         latency: {{ max: 10 ms }}, paths: {{ backup: srlg }}, sdps: [{sdps}] }}\n---\n\
         apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: m, slice: s{number} }}\nspec: {{ profile: \
         personal-health, at: [{at}] }}\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: {{ name: m, slice: s{number} \
         }}\nspec: {{ clients: [{{ name: switch, addresses: [192.0.2.1/32] }}] }}\n"
    )
}

/// Time on the processor where the system tells it, so that others on the machine do not count.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let on_processor = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    };
    let (start, before) = (Instant::now(), on_processor());
    let result = work();
    let taken = before.and_then(|before| on_processor()?.checked_sub(before));
    (result, taken.unwrap_or_else(|| start.elapsed()))
}

#[test]
#[ignore = "prints a measurement"]
fn growth() {
    println!(
        "{:>7} {:>10} {:>10} {:>14} {:>9} {:>12} {:>12}",
        "slices", "plan", "audit", "both, a slice", "searches", "one more", "its searches"
    );
    for count in [100_usize, 1_000, 10_000] {
        let mut dice = Dice(0x5EED);
        let mut intents: Intents = read("t.yaml", &topology(&mut dice)).into_iter().collect();
        for number in 0..count {
            for resource in read("s.yaml", &slice(number, &mut dice)) {
                intents.apply(resource);
            }
        }
        let (parent, confirmed) = (Plan::default(), BTreeMap::new());
        let input = Input {
            catalog: &CATALOG,
            intents: &intents,
            parent: &parent,
            confirmed: &confirmed,
            suspects: &std::collections::BTreeSet::new(),
        };
        let ((first, effort), to_plan) = timed(|| plan_with_effort(&input));
        let first = first.unwrap_or_else(|refusals| panic!("{} refusals, first {}", refusals.len(), refusals[0]));
        let (notes, to_audit) = timed(|| audit(&first, &intents, &CATALOG));
        let errors: Vec<_> = notes.iter().filter(|note| note.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{} errors, first {}", errors.len(), errors[0]);
        assert!(!notes.iter().any(|note| matches!(note.finding, Finding::NoBackup { .. })));
        let mut more = intents.clone();
        for resource in read("s.yaml", &slice(count, &mut dice)) {
            more.apply(resource);
        }
        let ((second, one_more), to_add) =
            timed(|| plan_with_effort(&Input { intents: &more, parent: &first, ..input }));
        assert_eq!(second.unwrap().generation, first.generation.next());
        assert_eq!(one_more.kept, u64::try_from(count).unwrap(), "every other slice keeps its paths");
        let each = (to_plan + to_audit) / u32::try_from(count).unwrap();
        println!(
            "{count:>7} {to_plan:>10.1?} {to_audit:>10.1?} {each:>14.1?} {:>9} {to_add:>12.1?} {:>12}",
            effort.searches, one_more.searches
        );
    }
}
