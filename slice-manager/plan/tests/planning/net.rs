//! Small networks in a few words, for tests that look at paths.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::resource::{
    LabelBlock, Link, LinkEnd, Loopback, Node, NodeRole, Pools, Port, Probes, RadiusPortPool, Resource,
    RouteTargetPool, SidFunctionPool, Srh, Topology, TopologySpec, UnderlayKind, VlanPool, VniPool,
};
use model::{InterfaceAddress, Label, Latency, Rate, UniqueList, Vni};

/// A link of a small network; nodes whose names start with `e` are edges.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) cost: u32,
    /// In microseconds.
    pub(crate) delay: u64,
    /// In Mbit/s.
    pub(crate) mbit: u64,
    pub(crate) risks: Vec<String>,
    pub(crate) affinities: Vec<String>,
    pub(crate) drained: bool,
    /// By which it is named; else by its place.
    pub(crate) number: Option<usize>,
}

/// `e1 c1 10` is a link of cost 10; ` red` behind it an affinity, ` !duct` a risk, ` 5us` a delay, ` 7M` a capacity, ` x`
/// is drained, ` =9` says its number.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let lines = text.split(',').map(|line| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap().to_owned();
        let (a, b, cost) = (word(), word(), word().parse().unwrap());
        let mut line = Line { a, b, cost, delay: 100, mbit: 1000, ..Line::default() };
        for word in words {
            if word == "x" {
                line.drained = true;
            } else if let Some(number) = word.strip_prefix('=') {
                line.number = Some(number.parse().unwrap());
            } else if let Some(delay) = word.strip_suffix("us") {
                line.delay = delay.parse().unwrap();
            } else if let Some(mbit) = word.strip_suffix('M') {
                line.mbit = mbit.parse().unwrap();
            } else if let Some(risk) = word.strip_prefix('!') {
                line.risks.push(risk.to_owned());
            } else {
                line.affinities.push(word.to_owned());
            }
        }
        line
    });
    lines.collect()
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn list<T: model::Named>(items: Vec<T>) -> UniqueList<T> {
    UniqueList::new(items).unwrap()
}

/// Links are `l01`, `l02` and so on, in order. Nodes have locators `fd02:N::/48`, loopbacks `fd00::N` and label blocks from
/// N * 1000, N being their place by name, from 1.
pub(crate) fn topology(lines: &[Line], change: impl Fn(&mut Node)) -> TopologySpec {
    let rate = |mbit| Rate::from_bits_per_second(mbit * 1_000_000);
    let mut ports: BTreeMap<&str, Vec<Port>> = BTreeMap::new();
    let mut links = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let number = line.number.unwrap_or(number + 1);
        let port = format!("p{number}");
        let end = |node: &str, host: u8| {
            let third = u8::try_from(number).unwrap();
            let addresses = vec![
                InterfaceAddress::new(name(&format!("fd01:0:0:{number:x}::{host}")), 64).unwrap(),
                InterfaceAddress::new(Ipv4Addr::new(10, 1, third, host).into(), 24).unwrap(),
            ];
            LinkEnd { node: name(node), port: name(&port), addresses }
        };
        for node in [&line.a, &line.b] {
            let port = Port { name: name(&port), rate: rate(10_000), mtu: 9000 };
            ports.entry(node).or_insert_with(|| vec![access()]).push(port);
        }
        links.push(Link {
            name: name(&format!("l{number:02}")),
            a: end(&line.a, 1),
            b: end(&line.b, 2),
            capacity: rate(line.mbit),
            delay: Latency::from_nanos(line.delay * 1000),
            cost: line.cost,
            srlgs: list(line.risks.iter().map(|risk| name(risk)).collect()),
            affinities: list(line.affinities.iter().map(|affinity| name(affinity)).collect()),
            drained: line.drained,
            classes: BTreeMap::new(),
        });
    }
    let nodes = ports.into_iter().zip(1_u16..).map(|((node, ports), number)| {
        let label = |number: u64| Label::new(number).unwrap();
        let first = u64::from(number) * 1000;
        let host = u8::try_from(number).unwrap();
        let mut node = Node {
            name: name(node),
            role: if node.starts_with('e') { NodeRole::Edge } else { NodeRole::Core },
            site: None,
            loopback: Loopback {
                ipv6: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number)),
                ipv4: Some(Ipv4Addr::new(10, 255, 0, host)),
            },
            ports: list(ports),
            locator: Some(name(&format!("fd02:{number:x}::/48"))),
            labels: Some(LabelBlock { first: label(first), last: label(first + 999) }),
            sid_depth_max: 8,
            label_depth_max: 10,
            srh: Srh::Reduced,
            control: None,
        };
        change(&mut node);
        node
    });
    let vni = |number| Vni::new(number).unwrap();
    let pools = Pools {
        vni: VniPool { first: vni(1), last: vni(100) },
        radius_ports: RadiusPortPool { first: 2000, last: 2199 },
        sid_functions: SidFunctionPool::default(),
        route_targets: RouteTargetPool::default(),
        vlans: VlanPool::default(),
    };
    let nodes = list(nodes.collect());
    TopologySpec { pools, underlay: UnderlayKind::Ip, probes: Probes::default(), nodes, links: list(links) }
}

fn access() -> Port {
    Port { name: name("access"), rate: Rate::from_bits_per_second(10_000_000_000), mtu: 1500 }
}

pub(crate) fn declared(spec: TopologySpec) -> Resource {
    Resource::Topology(Topology { name: name("t"), spec })
}

/// A slice `s` between edges with one segment on all of them, and more in its spec.
pub(crate) fn slice(edges: &[&str], more: &str) -> String {
    let sdps: Vec<String> = edges
        .iter()
        .enumerate()
        .map(|(place, edge)| {
            let address =
                if more.contains("service: l3") { format!(", addresses: [10.{place}.0.1/16]") } else { String::new() };
            format!("{{ name: p{place}, edge: {edge}, port: access, vlan: 7{address} }}")
        })
        .collect();
    format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: s }}\nspec: {{ template: miot, snssai: {{ sst: 3 }}, {more}, \
         sdps: [{}] }}\n---\napiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: m, slice: s }}\nspec: {{ profile: \
         personal-health, at: [{}] }}\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: {{ name: m, slice: s }}\nspec: {{ \
         clients: [] }}\n",
        sdps.join(", "),
        edges.join(", ")
    )
}
