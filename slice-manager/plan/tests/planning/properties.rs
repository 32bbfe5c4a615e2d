//! What must hold for every world and every history.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use model::plan::{PathKey, Plan};
use model::program::SessionRates;
use model::program::{SegmentProgram, Tunnel};
use model::resource::{
    Client, LabelBlock, LatencyObjective, Link, LinkEnd, Loopback, MicroSegment, Node, NodeRole, PathPolicy, Pools,
    Port, Probes, RadiusPortPool, Realm, RealmSpec, Resource, ResourceId, RouteTargetPool, Sdp, SdpVlan, SegmentId,
    SegmentSpec, Service, SidFunctionPool, Slice, SliceSpec, Srh, Topology, TopologySpec, Transport, UnderlayKind,
    VlanPool, VniPool,
};
use model::{
    ClassNumber, Generation, InterfaceAddress, Label, Latency, NodeName, PathId, Rate, RateLimits, Share, SliceName,
    Snssai, Sst, UniqueList, Vlan, Vni, Weight,
};
use plan::{Input, Intents, plan};
use proptest::prelude::*;

use crate::world::{CATALOG, assert_change, assert_clean};

/// A world in numbers: small, so that things collide.
#[derive(Debug, Clone)]
struct Seed {
    edges: u8,
    cores: u8,
    /// For every edge and core node, and every pair of edges: is there a link, and which?
    links: Vec<Option<LinkSeed>>,
    /// Which address families each node has: bit 0 IPv6, bit 1 IPv4.
    families: Vec<u8>,
    vnis: u8,
    port_pairs: u8,
    mtu: u16,
}

#[derive(Debug, Clone, Copy)]
struct LinkSeed {
    mbit: u16,
    microseconds: u16,
    cost: u8,
    /// As of nodes.
    families: u8,
}

#[derive(Debug, Clone)]
enum Step {
    Slice { slice: u8, sdps: Vec<(u8, Option<u8>)>, mbit: u8, milliseconds: Option<u8>, template: u8, sd: u8 },
    Segment { slice: u8, segment: u8, at: BTreeSet<u8>, share: u8, with_realm: bool },
    Delete { what: u8, slice: u8, segment: u8 },
    Topology(Seed),
    Confirm(u8),
    Plan,
}

fn seeds() -> impl Strategy<Value = Seed> {
    let link = (20_u16..200, 1_u16..800, 1_u8..4, prop_oneof![20 => Just(3_u8), 1 => Just(1), 1 => Just(2)])
        .prop_map(|(mbit, microseconds, cost, families)| LinkSeed { mbit, microseconds, cost, families });
    let links = proptest::collection::vec(proptest::option::weighted(0.85, link), 32);
    let family = prop_oneof![20 => Just(3_u8), 2 => Just(1), 2 => Just(2), 1 => Just(0)];
    let families = proptest::collection::vec(family, 8);
    let mtu = prop_oneof![4 => Just(1600_u16), 1 => Just(1570), 1 => Just(1500)];
    (2_u8..5, 1_u8..4, links, families, 2_u8..12, 2_u8..12, mtu).prop_map(
        |(edges, cores, links, families, vnis, port_pairs, mtu)| Seed {
            edges,
            cores,
            links,
            families,
            vnis,
            port_pairs,
            mtu,
        },
    )
}

fn slices() -> impl Strategy<Value = Step> {
    let sdps = proptest::collection::vec((weighted_edge(), proptest::option::weighted(0.97, 0_u8..4)), 2..5);
    (0_u8..4, sdps, 0_u8..30, proptest::option::weighted(0.3, 1_u8..20), 0_u8..4, 0_u8..20).prop_map(
        |(slice, sdps, mbit, milliseconds, template, sd)| Step::Slice { slice, sdps, mbit, milliseconds, template, sd },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let at = proptest::collection::btree_set(weighted_edge(), 1..5);
    let segment = (0_u8..4, 0_u8..3, at, 1_u8..60, proptest::bool::weighted(0.8))
        .prop_map(|(slice, segment, at, share, with_realm)| Step::Segment { slice, segment, at, share, with_realm });
    let delete = (0_u8..4, 0_u8..4, 0_u8..3).prop_map(|(what, slice, segment)| Step::Delete { what, slice, segment });
    prop_oneof![
        3 => slices(),
        8 => segment,
        3 => delete,
        1 => seeds().prop_map(Step::Topology),
        4 => (0_u8..5).prop_map(Step::Confirm),
        1 => Just(Step::Plan),
    ]
}

fn weighted_edge() -> impl Strategy<Value = u8> {
    prop_oneof![20 => 0_u8..4, 1 => Just(4)]
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn edge(number: u8) -> NodeName {
    name(&format!("edge-{number}"))
}

fn mbit(rate: u16) -> Rate {
    Rate::from_bits_per_second(u64::from(rate) * 1_000_000)
}

fn list<T: model::Named>(items: Vec<T>) -> UniqueList<T> {
    UniqueList::new(items).unwrap()
}

fn topology(seed: &Seed) -> Resource {
    let names: Vec<NodeName> =
        (0..seed.edges).map(edge).chain((0..seed.cores).map(|core| name(&format!("core-{core}")))).collect();
    let port = |text: String, mtu| Port { name: name(&text), rate: mbit(1000), mtu };
    let mut ports: Vec<Vec<Port>> = names.iter().map(|_| vec![port("access".to_owned(), 1500)]).collect();
    let pairs = (0..names.len()).flat_map(|a| (a + 1..names.len()).map(move |b| (a, b)));
    let mut links = Vec::new();
    for ((a, b), link) in pairs.zip(&seed.links) {
        let Some(link) = link else { continue };
        ports[a].push(port(format!("to-{b}"), seed.mtu));
        ports[b].push(port(format!("to-{a}"), seed.mtu));
        let (high, low) = (u8::try_from(a).unwrap(), u8::try_from(b).unwrap());
        let end = |node: usize, far: usize, host: u8| {
            let v6 = InterfaceAddress::new(format!("fd00:1:{high}:{low}::{host}").parse().unwrap(), 64).unwrap();
            let v4 = InterfaceAddress::new(Ipv4Addr::new(10, high, low, host).into(), 24).unwrap();
            let has = |bit: u8| link.families & bit != 0;
            let addresses = has(1).then_some(v6).into_iter().chain(has(2).then_some(v4)).collect();
            LinkEnd { node: names[node].clone(), port: name(&format!("to-{far}")), addresses }
        };
        links.push(Link {
            name: name(&format!("l-{a}-{b}")),
            a: end(a, b, 1),
            b: end(b, a, 2),
            capacity: mbit(link.mbit),
            delay: Latency::from_nanos(u64::from(link.microseconds) * 1000),
            cost: link.cost.into(),
            srlgs: UniqueList::default(),
            affinities: UniqueList::default(),
            drained: false,
            classes: BTreeMap::new(),
        });
    }
    let label = |host: u8, number: u64| Label::new(u64::from(host) * 100 + number).unwrap();
    let nodes = names.iter().zip(ports).zip(&seed.families).enumerate().map(|(number, ((name, ports), families))| {
        let host = u8::try_from(number).unwrap() + 1;
        let ipv6 = (families & 1 != 0).then(|| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()));
        let ipv4 = (families & 2 != 0).then(|| Ipv4Addr::new(10, 255, 0, host));
        Node {
            name: name.clone(),
            role: if number < usize::from(seed.edges) { NodeRole::Edge } else { NodeRole::Core },
            site: None,
            loopback: Loopback { ipv6, ipv4 },
            ports: list(ports),
            // One node in so many has no locator, or no labels.
            locator: (families & 1 != 0 && host != 6).then(|| format!("fd02:{host:x}::/48").parse().unwrap()),
            labels: (families & 2 != 0).then(|| LabelBlock { first: label(host, 0), last: label(host, 40) }),
            sid_depth_max: Node::SID_DEPTH_DEFAULT,
            label_depth_max: Node::LABEL_DEPTH_DEFAULT,
            // Paths over one of them carry whole lists.
            srh: if host == 4 { Srh::Full } else { Srh::Reduced },
            control: None,
        }
    });
    let vni = |number: u8| Vni::new(100 + u64::from(number)).unwrap();
    let pools = Pools {
        vni: VniPool { first: vni(0), last: vni(seed.vnis - 1) },
        radius_ports: RadiusPortPool { first: 2000, last: 2000 + u16::from(seed.port_pairs) * 2 - 1 },
        sid_functions: SidFunctionPool::default(),
        route_targets: RouteTargetPool::default(),
        vlans: VlanPool::default(),
    };
    let (underlay, probes) = (UnderlayKind::Ip, Probes::default());
    let spec = TopologySpec { pools, underlay, probes, nodes: list(nodes.collect()), links: list(links) };
    Resource::Topology(Topology { name: name("t"), spec })
}

fn slice_name(number: u8) -> SliceName {
    name(&format!("s{number}"))
}

/// A slice that is declared, if any is.
fn a_slice(intents: &Intents, number: u8) -> SliceName {
    let place = usize::from(number) % intents.slices.len().max(1);
    intents.slices.keys().nth(place).cloned().unwrap_or_else(|| slice_name(number))
}

fn edges_of(intents: &Intents) -> Vec<NodeName> {
    let nodes = intents.topologies.values().flat_map(|topology| &topology.nodes);
    nodes.filter(|node| node.role == NodeRole::Edge).map(|node| node.name.clone()).collect()
}

fn segment_id(slice: SliceName, segment: u8) -> SegmentId {
    SegmentId { slice, segment: name(&format!("m{segment}")) }
}

/// What a step asks for.
fn wanted(step: &Step, intents: &mut Intents) {
    match step {
        Step::Slice { slice, sdps, mbit: rate, milliseconds, template, sd } => {
            let edges = edges_of(intents);
            let (template, sst) = [("embb", 1), ("urllc", 2), ("miot", 3), ("v2x", 4)][usize::from(*template)];
            let sdps = sdps.iter().enumerate().map(|(number, (at, vlan))| Sdp {
                name: name(&format!("p{number}")),
                // Now and then an edge that may not be there, or a VLAN that another slice may have.
                edge: if *at == 4 {
                    edge(4)
                } else {
                    edges.iter().cycle().nth((*at).into()).cloned().unwrap_or_else(|| edge(*at))
                },
                port: name("access"),
                vlan: vlan
                    .map(|vlan| Vlan::new(if vlan == 3 { 3 } else { u64::from(slice * 4 + vlan) + 10 }).unwrap())
                    .map(SdpVlan::Id),
                leaf: false,
                addresses: Vec::new(),
            });
            let rate = u16::from(*rate);
            let spec = SliceSpec {
                template: name(template),
                snssai: Snssai { sst: Sst::new(sst).unwrap(), sd: Some(name(&format!("{:06X}", sd * 10 + slice))) },
                service: Service::L2Multipoint,
                transport: [Transport::Vxlan, Transport::Srv6, Transport::Mpls][usize::from(*sd) % 3],
                rate: Some(RateLimits::new(mbit(rate), mbit(rate + 1)).unwrap()),
                weight: Weight::new(u64::from(*sd) + 1).unwrap(),
                session_rates: SessionRates::default(),
                latency: milliseconds
                    .map(|ms| LatencyObjective { max: Latency::from_nanos(u64::from(ms) * 1_000_000) }),
                paths: PathPolicy::default(),
                sdps: list(sdps.collect()),
            };
            intents.apply(Resource::Slice(Slice { name: slice_name(*slice), spec }));
        }
        Step::Segment { slice, segment, at, share, with_realm } => {
            let id = segment_id(a_slice(intents, *slice), *segment);
            // Mostly where the slice is; now and then elsewhere.
            let sdps = intents.slices.get(&id.slice).map(|slice| &slice.sdps[..]).unwrap_or_default();
            let place = |number: &u8| match sdps {
                [] => edge(*number),
                _ if *number == 4 => edge(*number),
                sdps => sdps[usize::from(*number) % sdps.len()].edge.clone(),
            };
            let at: BTreeSet<NodeName> = at.iter().map(place).collect();
            let spec = SegmentSpec {
                profile: name("personal-health"),
                at: list(at.into_iter().collect()),
                share: Some(Share::from_basis_points(u32::from(*share) * 100).unwrap()),
                ceiling: None,
            };
            intents.apply(Resource::MicroSegment(MicroSegment { id: id.clone(), spec }));
            if *with_realm {
                let client = Client { name: name("switch"), addresses: vec![name("192.0.2.1/32")], edge: None };
                intents.apply(Resource::Realm(Realm { id, spec: RealmSpec { clients: list(vec![client]) } }));
            }
        }
        Step::Delete { what, slice, segment } => {
            let slice = a_slice(intents, *slice);
            let segments = || intents.segments.keys().filter(|id| id.slice == slice);
            let nth = segments().nth(usize::from(*segment) % segments().count().max(1));
            let id = nth.cloned().unwrap_or_else(|| segment_id(slice.clone(), *segment));
            let _ = match what {
                0 => intents.delete(&ResourceId::Realm(id)),
                1 | 2 => {
                    let _ = intents.delete(&ResourceId::Realm(id.clone()));
                    intents.delete(&ResourceId::MicroSegment(id))
                }
                _ => {
                    intents.realms.retain(|id, _| id.slice != slice);
                    intents.segments.retain(|id, _| id.slice != slice);
                    intents.delete(&ResourceId::Slice(slice))
                }
            };
        }
        Step::Topology(seed) => {
            intents.apply(topology(seed));
        }
        Step::Confirm(_) | Step::Plan => {}
    }
}

/// One contradiction, somewhere.
fn break_topology(spec: &mut TopologySpec, what: u8, one: u8, other: u8) {
    let mut links = Vec::from(spec.links.clone());
    let mut nodes = Vec::from(spec.nodes.clone());
    let (places, count) = (links.len().max(1), nodes.len());
    let (at, from) = (usize::from(one) % places, usize::from(other) % places);
    let source = links.get(from).cloned();
    let (node, second) = (usize::from(one) % count, usize::from(other) % count);
    match (what, links.get_mut(at), source) {
        (0, Some(link), Some(source)) => link.a = source.b,
        (1, Some(link), Some(source)) => link.b.addresses = source.a.addresses,
        (2, Some(link), _) => link.b.node = link.a.node.clone(),
        (3, Some(link), _) => link.a.port = name("nowhere"),
        (4, Some(link), _) => link.a.addresses.truncate(1),
        (5, Some(link), _) => (link.cost, link.capacity) = (0, Rate::from_bits_per_second(u64::MAX)),
        (6, ..) => nodes[node].loopback = nodes[second].loopback,
        (7, ..) => nodes[node].role = NodeRole::Core,
        (8, ..) => nodes[node].ports = UniqueList::default(),
        _ => {
            spec.pools.radius_ports = RadiusPortPool { first: u16::from(one), last: u16::from(other) };
            (spec.pools.vni.first, spec.pools.vni.last) = (Vni::new(u64::from(one) + 1).unwrap(), Vni::MIN);
        }
    }
    (spec.links, spec.nodes) = (list(links), list(nodes));
}

/// A segment from when it was made to when it was removed; one that is made again is another.
type Life = (SegmentId, u64);

/// What a segment is known by: its VNI, the function of its SIDs, a label of an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Vni(Vni),
    Sid(Ipv6Addr),
    Label(NodeName, Label),
}

/// The numbers by which a program sends and receives for a segment.
fn numbers(edge: &NodeName, segment: &SegmentProgram) -> Vec<Number> {
    let mut numbers = vec![Number::Vni(segment.vni)];
    numbers.extend(segment.sids.iter().map(|sid| Number::Sid(sid.sid.get())));
    for remote in &segment.remotes {
        numbers.extend(remote.labels().map(|own| Number::Label(edge.clone(), own)));
        match remote.tunnel {
            Tunnel::Vxlan(_) => {}
            Tunnel::Srv6 { unicast, flood } => {
                numbers.extend([unicast, flood].map(|sid| Number::Sid(sid.get())));
            }
            Tunnel::Mpls { to, .. } => numbers.push(Number::Label(remote.edge.clone(), to)),
        }
    }
    numbers
}

/// Manager and edges together. An edge may run any program that it was given since the last one that it confirmed.
#[derive(Default)]
struct History {
    intents: Intents,
    plan: Plan,
    confirmed: BTreeMap<NodeName, Generation>,
    lives: BTreeMap<SegmentId, u64>,
    may_run: BTreeMap<NodeName, Vec<BTreeSet<(Number, Life)>>>,
}

impl History {
    fn step(&mut self, step: &Step) {
        if let Step::Confirm(number) = step {
            let edge = edge(*number);
            if let Some(program) = self.plan.programs.get(&edge) {
                self.confirmed.insert(edge.clone(), program.generation);
                let programs = self.may_run.entry(edge).or_default();
                programs.drain(..programs.len().saturating_sub(1));
            }
            return;
        }
        let mut intents = self.intents.clone();
        wanted(step, &mut intents);
        let input = Input {
            catalog: &CATALOG,
            intents: &intents,
            parent: &self.plan,
            confirmed: &self.confirmed,
            suspects: &BTreeSet::new(),
        };
        let answer = plan(&input);
        assert_eq!(answer, plan(&input), "the same input, the same answer");
        match answer {
            Ok(next) => {
                assert_clean(&next, &intents);
                assert_change(&self.plan, &next, &intents);
                self.check_generations(&next);
                check_paths(&next, &intents);
                let again = Input { parent: &next, ..input };
                assert_eq!(plan(&again).as_ref(), Ok(&next), "planning again changes nothing");
                self.take(intents, next);
            }
            Err(refusals) => {
                assert!(!refusals.is_empty());
                for refusal in refusals {
                    assert!(intents.get(&refusal.resource).is_some(), "{refusal}: blames what is not declared");
                    assert!(!refusal.path.is_empty(), "{refusal}");
                }
            }
        }
    }

    fn check_generations(&self, next: &Plan) {
        let (before, after) = (self.plan.generation, next.generation);
        assert!(after == before && *next == self.plan || after == before.next());
        for (edge, program) in &next.programs {
            match self.plan.programs.get(edge) {
                Some(old) if old.content == program.content => assert_eq!(program, old),
                _ => assert_eq!(program.generation, after),
            }
        }
        for (id, numbers) in &next.allocations {
            if let Some(kept) = self.plan.allocations.get(id).filter(|_| self.intents.segments.contains_key(id)) {
                let same = (numbers.vni, numbers.access_port) == (kept.vni, kept.access_port);
                assert!(same, "a number stays with its segment");
            }
        }
    }

    fn take(&mut self, intents: Intents, next: Plan) {
        let generation = next.generation.get();
        self.lives.retain(|id, _| next.allocations.contains_key(id));
        for id in next.allocations.keys() {
            self.lives.entry(id.clone()).or_insert(generation);
        }
        for (edge, program) in &next.programs {
            let segments = program.content.slices.iter().flat_map(|slice| &slice.segments);
            let known = segments.flat_map(|s| numbers(edge, s).into_iter().map(move |number| (number, &s.id)));
            let runs = known.map(|(number, id)| (number, (id.clone(), self.lives[id]))).collect();
            let programs = self.may_run.entry(edge.clone()).or_default();
            if programs.last() != Some(&runs) {
                programs.push(runs);
            }
        }
        (self.intents, self.plan) = (intents, next);
        let mut owners: BTreeMap<&Number, &Life> = BTreeMap::new();
        for (number, life) in self.may_run.values().flatten().flatten() {
            let owner = owners.entry(number).or_insert(life);
            assert_eq!(*owner, life, "{number:?} would be two segments'");
        }
    }
}

/// Every path is one of all that there are, by trying them all.
fn check_paths(plan: &Plan, intents: &Intents) {
    let Some((_, topology)) = intents.topology() else { return };
    for (key, path) in &plan.paths {
        let mut all = Vec::new();
        every_path(topology, &key.b, &mut vec![&key.a], &mut Vec::new(), &mut all);
        let same = |links: &&Vec<&Link>| links.iter().map(|link| &link.name).eq(&path.links);
        let links = all.iter().find(same).unwrap_or_else(|| panic!("{key:?} is no path"));
        assert_eq!(path.delay.as_nanos(), links.iter().map(|link| link.delay.as_nanos()).sum::<u64>());
    }
}

/// Every way from the last of the nodes to another that visits none twice and leads through core nodes only.
fn every_path<'a>(
    topology: &'a TopologySpec,
    to: &NodeName,
    nodes: &mut Vec<&'a NodeName>,
    links: &mut Vec<&'a Link>,
    all: &mut Vec<Vec<&'a Link>>,
) {
    let at = nodes[nodes.len() - 1];
    if at == to {
        all.push(links.clone());
        return;
    }
    let role = topology.nodes.get(at.as_str()).map(|node| node.role);
    if nodes.len() > 1 && role != Some(NodeRole::Core) {
        return;
    }
    for link in &topology.links {
        for (near, far) in [(&link.a, &link.b), (&link.b, &link.a)] {
            if near.node == *at && !nodes.contains(&&far.node) {
                nodes.push(&far.node);
                links.push(link);
                every_path(topology, to, nodes, links, all);
                links.pop();
                nodes.pop();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for in whatever order, by whatever edges are away: an accepted plan is clean, the same input
    /// gives the same answer, numbers stay with their segment, and no VNI is ever two segments' on edges that may still
    /// run it.
    #[test]
    fn every_history_is_sound(
        seed in seeds(),
        first in proptest::collection::vec(slices(), 2..4),
        steps in proptest::collection::vec(steps(), 1..40),
    ) {
        let mut history = History::default();
        history.step(&Step::Topology(seed));
        for step in first.iter().chain(&steps) {
            history.step(step);
        }
    }

    /// A topology whose parts contradict one another is refused, or harmless; never worse.
    #[test]
    fn a_broken_topology_is_refused_or_harmless(
        seed in seeds(),
        first in proptest::collection::vec(slices(), 2..4),
        steps in proptest::collection::vec(steps(), 1..10),
        breaks in proptest::collection::vec((0_u8..10, any::<u8>(), any::<u8>()), 1..4),
    ) {
        let mut history = History::default();
        let Resource::Topology(mut broken) = topology(&seed) else { unreachable!() };
        for (what, one, other) in breaks {
            break_topology(&mut broken.spec, what, one, other);
        }
        history.intents.apply(Resource::Topology(broken));
        for step in first.iter().chain(&steps).filter(|step| !matches!(step, Step::Topology(_))) {
            history.step(step);
        }
    }

    /// Slices that fit together are accepted in any order, and come to the same programs but for their numbers.
    #[test]
    fn order_does_not_matter(
        seed in seeds(),
        first in proptest::collection::vec(slices(), 2..5),
        steps in proptest::collection::vec(steps(), 1..30),
        rotate in 0_usize..20,
    ) {
        let mut all = Intents::default();
        let mut roomy = Seed { vnis: 100, port_pairs: 100, ..seed };
        roomy.links.iter_mut().flatten().for_each(|link| link.mbit = 1000);
        all.apply(topology(&roomy));
        for step in first.iter().chain(&steps) {
            if !matches!(step, Step::Topology(_)) {
                wanted(step, &mut all);
            }
        }
        let (parent, confirmed) = (Plan::default(), BTreeMap::new());
        // What does not fit is left out until the rest does.
        let together = loop {
            match plan(&Input { catalog: &CATALOG, intents: &all, parent: &parent, confirmed: &confirmed, suspects: &BTreeSet::new() }) {
                Ok(together) => break together,
                Err(refusals) => {
                    prop_assert!(!matches!(refusals[0].resource, ResourceId::Topology(_)), "{}", refusals[0]);
                    all = all.resources().filter(|resource| resource.id() != refusals[0].resource).collect();
                }
            }
        };
        let mut one_by_one = History::default();
        one_by_one.step(&Step::Topology(roomy));
        let mut names: Vec<SliceName> = all.slices.keys().cloned().collect();
        let places = names.len().max(1);
        names.rotate_left(rotate % places);
        for name in names {
            let mut intents = one_by_one.intents.clone();
            let own = |id: &ResourceId| match id {
                ResourceId::Slice(slice) => *slice == name,
                ResourceId::MicroSegment(id) | ResourceId::Realm(id) => id.slice == name,
                ResourceId::Topology(_) => false,
            };
            for resource in all.resources().filter(|resource| own(&resource.id())) {
                intents.apply(resource);
            }
            let (parent, confirmed) = (&one_by_one.plan, &one_by_one.confirmed);
            let next = plan(&Input { catalog: &CATALOG, intents: &intents, parent, confirmed, suspects: &BTreeSet::new() });
            prop_assert!(next.is_ok(), "{next:?}");
            one_by_one.take(intents, next.unwrap());
        }
        let numberless = |plan: &Plan| {
            let mut contents: Vec<_> = plan.programs.values().map(|program| program.content.clone()).collect();
            for paths in contents.iter_mut().map(|content| &mut content.paths) {
                for path in paths.iter_mut() {
                    path.id = PathId::MIN;
                }
                paths.sort_by_key(|path| format!("{path:?}"));
            }
            for port in contents.iter_mut().flat_map(|content| &mut content.shaping) {
                port.classes.iter_mut().for_each(|class| class.number = ClassNumber::MIN);
                port.classes.sort_by(|one, other| one.slice.cmp(&other.slice));
            }
            for segment in contents.iter_mut().flat_map(|c| &mut c.slices).flat_map(|slice| &mut slice.segments) {
                segment.vni = Vni::MIN;
                segment.sids.clear();
                for remote in &mut segment.remotes {
                    remote.tunnel = Tunnel::Vxlan(Vni::MIN);
                    (remote.working, remote.backup) = (PathId::MIN, remote.backup.map(|_| PathId::MIN));
                }
                if let Some(realm) = &mut segment.realm {
                    realm.access_port = 0;
                }
            }
            let links = |(a, b): &(NodeName, NodeName), id| {
                plan.paths[&PathKey { a: a.clone(), b: b.clone(), id }].links.clone()
            };
            let ways = plan.slices.values().flat_map(|slice| &slice.ways);
            let ways: Vec<_> =
                ways.map(|(ends, way)| (links(ends, way.working), way.backup.map(|id| links(ends, id)))).collect();
            (contents, ways, plan.bookings.clone())
        };
        prop_assert_eq!(numberless(&one_by_one.plan), numberless(&together));
    }
}
