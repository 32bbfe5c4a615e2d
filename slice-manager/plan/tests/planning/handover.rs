//! Changes under way: nodes run what they were told at moments of their own, and no packet that was carried before gets
//! lost. Packets are walked here by what each node runs, without a look at plans.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use model::plan::PathKey;
use model::program::{Inbound, ProgramContent, Remote, SegmentProgram, Steering, TransitBehaviour, Tunnel};
use model::resource::{Control, NodeRole, SegmentId, Service};
use model::{Generation, NodeName, Prefix};
use proptest::prelude::*;

use crate::net::{declared, lines, name, topology};
use crate::world::{Manager, read};

/// Nodes that run programs, beside the manager that tells them.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) manager: Manager,
    /// What each node was told and may run yet, the oldest first; the first is what it runs.
    queues: BTreeMap<NodeName, Vec<(Generation, ProgramContent)>>,
    /// The generation from which on each pair is to be connected. It may have been before, and left.
    since: BTreeMap<Pair, Generation>,
    /// What was carried once, and must be from then on.
    promised: BTreeSet<Pair>,
    /// What was sent where links seemed to be down. Nothing is promised of it until all is settled.
    lost: BTreeSet<Pair>,
}

/// From which edge, in which segment, to which edge.
type Pair = (NodeName, SegmentId, NodeName);

impl Field {
    /// Declares, in the place of what was. What can't be planned changes nothing.
    pub(crate) fn declare(&mut self, text: &str, links: &str) -> bool {
        let spec = topology(&lines(links), |node| {
            if node.role == NodeRole::Core {
                node.control = Some(Control::Agent);
            }
            // A kernel, which has classes and no labels.
            if node.name.as_str() == "c4" {
                (node.control, node.labels) = (Some(Control::Linux), None);
            }
        });
        let before = self.manager.intents.clone();
        self.manager.intents = std::iter::once(declared(spec)).chain(read("field.yaml", text)).collect();
        if self.manager.replan().is_err() {
            self.manager.intents = before;
            return false;
        }
        self.told();
        true
    }

    /// What is new is told to every node.
    fn told(&mut self) {
        for (node, program) in &self.manager.plan.programs {
            let queue = self.queues.entry(node.clone()).or_default();
            if queue.last().is_none_or(|(generation, _)| *generation < program.generation) {
                queue.push((program.generation, program.content.clone()));
            }
        }
        self.look();
    }

    /// A node runs the next program, or one that is later still; it reports that.
    pub(crate) fn run(&mut self, node: &NodeName, skip: usize) {
        let Some(queue) = self.queues.get_mut(node) else { return };
        let count = queue.len();
        // The first that it is told ever it runs at once.
        let is_new = !self.manager.confirmed.contains_key(node);
        let at = if is_new { 0 } else { (1 + skip).min(count.saturating_sub(1)) };
        queue.drain(..at);
        let Some((generation, _)) = queue.first() else { return };
        self.manager.confirmed.insert(node.clone(), *generation);
        self.look();
    }

    pub(crate) fn replan(&mut self) {
        self.manager.replan().unwrap_or_else(|refusals| panic!("{}", refusals.join("\n")));
        self.told();
    }

    /// Every node runs all that it is told and says so, until there is nothing more to tell. Answers how many plans it took.
    pub(crate) fn settle(&mut self, but: Option<&NodeName>) -> usize {
        for plans in 0..40 {
            for node in self.queues.keys().cloned().collect::<Vec<_>>() {
                if Some(&node) != but {
                    self.run(&node, usize::MAX - 1);
                    self.run(&node, usize::MAX - 1);
                }
            }
            let before = self.manager.plan.generation;
            self.replan();
            if self.manager.plan.generation == before {
                if but.is_none() {
                    self.lost.clear();
                }
                return plans;
            }
        }
        panic!("there is no end to it");
    }

    fn running(&self, node: &NodeName) -> Option<&ProgramContent> {
        self.manager.confirmed.get(node)?;
        self.queues.get(node)?.first().map(|(_, content)| content)
    }

    /// What is carried goes on to be carried, as long as it is wanted.
    fn look(&mut self) {
        let wanted = self.wanted();
        self.promised.retain(|promise| wanted.contains(promise));
        self.since.retain(|pair, _| wanted.contains(pair));
        for (from, segment, to) in wanted {
            let pair = (from.clone(), segment.clone(), to.clone());
            let since = *self.since.entry(pair).or_insert(self.manager.plan.generation);
            let is_new = |node| self.manager.confirmed.get(node).is_none_or(|running| *running < since);
            // One that has not heard of it since may have left it.
            if !self.promised.contains(&(from.clone(), segment.clone(), to.clone())) && (is_new(&from) || is_new(&to)) {
                continue;
            }
            let outcome = self.send(&from, &segment, &to);
            let is_lost = self.is_lost(&from, &segment, &to);
            let promise = (from, segment, to);
            if is_lost || self.lost.contains(&promise) {
                self.promised.remove(&promise);
                self.lost.insert(promise);
                continue;
            }
            match outcome {
                Ok(()) => drop(self.promised.insert(promise)),
                Err(why) => {
                    let (from, segment, to) = &promise;
                    assert!(
                        !self.promised.contains(&promise),
                        "{segment} from {from} to {to}: {why}\n{}",
                        self.describe(from, to)
                    );
                }
            }
        }
    }

    /// Do all paths by which an edge sends to another lead nowhere?
    fn is_lost(&self, from: &NodeName, segment: &SegmentId, to: &NodeName) -> bool {
        let (plan, suspects) = (&self.manager.plan, &self.manager.suspects);
        let Some(segment) = self.running(from).and_then(|content| content.segment(segment)) else { return false };
        let remotes = segment.remotes.iter().filter(|remote| remote.edge == *to);
        let mut ids = remotes.flat_map(|remote| std::iter::once(remote.working).chain(remote.backup));
        !suspects.is_empty()
            && ids.all(|id| {
                let key = PathKey { a: from.min(to).clone(), b: from.max(to).clone(), id };
                let path = plan.paths.get(&key).or_else(|| plan.leaving.get(&key));
                path.is_some_and(|path| path.links.iter().any(|link| suspects.contains(link)))
            })
    }

    fn describe(&self, from: &NodeName, to: &NodeName) -> String {
        let mut text = format!("awaiting {:?}\n", self.manager.plan.awaiting);
        for node in self.queues.keys().filter(|node| *node == from || *node == to || node.as_str().starts_with('c')) {
            let queue = &self.queues[node];
            let told: Vec<u64> = queue.iter().map(|(generation, _)| generation.get()).collect();
            let _ = writeln!(text, "{node} runs the first of {told:?}");
        }
        let _ = writeln!(text, "{:#?}", self.running(from));
        text
    }

    /// What is declared of pairs of edges.
    fn wanted(&self) -> BTreeSet<Pair> {
        let segments = self.manager.intents.segments.iter();
        let pairs = segments.flat_map(|(id, spec)| {
            let pairs = spec.at.iter().flat_map(|from| spec.at.iter().map(move |to| (from, to)));
            pairs.filter(|(from, to)| from != to).map(move |(from, to)| (from.clone(), id.clone(), to.clone()))
        });
        pairs.collect()
    }

    /// Sends a packet for one and one for all, as nodes run now.
    fn send(&self, from: &NodeName, id: &SegmentId, to: &NodeName) -> Result<(), String> {
        let content = self.running(from).ok_or("the sender runs nothing")?;
        let segment = content.segment(id).ok_or("the sender has no such segment")?;
        let remote = segment.remotes.iter().find(|remote| remote.edge == *to).ok_or("the sender knows no such edge")?;
        let far = self.running(to).ok_or("the receiver runs nothing")?;
        let there = far.segment(id).ok_or("the receiver has no such segment")?;
        let is_routed = |content: &ProgramContent| content.slice(&id.slice).map(|slice| slice.service == Service::L3);
        if is_routed(content) != is_routed(far) {
            return Err("frames and packets".to_owned());
        }
        takes(segment, remote, there, from)?;
        let path = content.path(to, remote.working).ok_or("no such path")?;
        let mut packet = Packet { to: path.remote, sids: Vec::new(), labels: Vec::new() };
        match (&path.steering, remote.tunnel) {
            (Steering::Ip, _) => {}
            (Steering::Mpls(labels), _) => packet.labels = labels.iter().rev().map(|label| label.get()).collect(),
            (Steering::Srv6(sids), Tunnel::Srv6 { unicast, .. }) => {
                packet.sids = std::iter::once(&unicast).chain(sids.iter().rev()).map(|sid| sid.get().into()).collect();
                packet.to = packet.sids.pop().unwrap();
            }
            (Steering::Srv6(_), _) => return Err("a path of SIDs for another tunnel".to_owned()),
        }
        self.carry(path.next_hop, packet, to)
    }

    fn carry(&self, mut next_hop: IpAddr, mut packet: Packet, to: &NodeName) -> Result<(), String> {
        let mut way = String::new();
        for _ in 0..32 {
            let has = |content: &ProgramContent| {
                content.core_ports.iter().flat_map(|port| &port.addresses).any(|own| own.address() == next_hop)
            };
            let here = self.queues.keys().filter_map(|node| Some((node, self.running(node)?)));
            let (node, content) = here
                .into_iter()
                .find(|(_, content)| has(content))
                .ok_or_else(|| format!("after{way} nobody takes what comes to {next_hop}"))?;
            let _ = write!(way, " {node}");
            if node == to {
                let is_whole = packet.labels.is_empty() && packet.sids.is_empty();
                return if is_whole { Ok(()) } else { Err(format!("after{way} there is more to come")) };
            }
            next_hop = packet.forward(content).ok_or_else(|| format!("after{way} there is no way on"))?;
        }
        Err(format!("it goes round:{way}"))
    }
}

struct Packet {
    to: IpAddr,
    /// The next is last.
    sids: Vec<IpAddr>,
    /// The top is last.
    labels: Vec<u32>,
}

impl Packet {
    fn forward(&mut self, content: &ProgramContent) -> Option<IpAddr> {
        let transit = &content.transit;
        if let Some(top) = self.labels.pop() {
            let entry = transit.labels.iter().find(|entry| entry.label.get() == top)?;
            self.labels.extend(entry.swap.map(model::Label::get));
            return Some(entry.out.next_hop);
        }
        if let Some(own) = transit.sids.iter().find(|own| IpAddr::V6(own.sid.get()) == self.to) {
            self.to = self.sids.pop()?;
            if let TransitBehaviour::EndX(out) = &own.behaviour {
                return Some(out.next_hop);
            }
        }
        let leads = |prefix: &Prefix| Prefix::new(self.to, prefix.length()) == Some(*prefix);
        let routes = transit.routes.iter().filter(|route| leads(&route.prefix));
        routes.max_by_key(|route| route.prefix.length()).map(|route| route.via.next_hop)
    }
}

/// Does the far end know what it is sent?
fn takes(segment: &SegmentProgram, remote: &Remote, far: &SegmentProgram, from: &NodeName) -> Result<(), String> {
    let back = far.remotes.iter().find(|back| back.edge == *from).ok_or("the receiver knows no such edge")?;
    let is_known = match remote.tunnel {
        Tunnel::Vxlan(vni) => {
            let is_vxlan = matches!(back.tunnel, Tunnel::Vxlan(_)) || back.inbound.contains(&Inbound::Vxlan);
            vni == segment.vni && vni == far.vni && is_vxlan
        }
        Tunnel::Srv6 { unicast, flood } => {
            let has = |sid| far.sids.iter().any(|own| own.sid == sid);
            has(unicast) && has(flood)
        }
        Tunnel::Mpls { to, control_word, flow_label, .. } => {
            let wanted = Inbound::Mpls { from: to, control_word, flow_label };
            let is_own = matches!(back.tunnel, Tunnel::Mpls { from, control_word: c, flow_label: f, .. }
                if Inbound::Mpls { from, control_word: c, flow_label: f } == wanted);
            is_own || back.inbound.contains(&wanted)
        }
    };
    if is_known { Ok(()) } else { Err(format!("{:?} is not known to {back:?}", remote.tunnel)) }
}

/// A slice of this number, with one segment on all its edges.
fn slice(number: usize, transport: &str, service: &str, edges: &[&str]) -> String {
    let sdp = |(place, edge): (usize, &&str)| {
        let address = if service == "l3" { format!(", addresses: [10.{place}.0.1/16]") } else { String::new() };
        format!("{{ name: p{place}, edge: {edge}, port: access, vlan: {}{address} }}", number + 10)
    };
    let sdps: Vec<String> = edges.iter().enumerate().map(sdp).collect();
    format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: s{number} }}\nspec: {{ template: miot, snssai: {{ sst: 3, \
         sd: \"00000{number}\" }}, rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}, latency: {{ max: 100 ms }}, transport: \
         {transport}, service: {service}, sdps: [{}] }}\n---\napiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: \
         m, slice: s{number} }}\nspec: {{ profile: personal-health, at: [{}] }}\n---\napiVersion: microslice/v1\nkind: \
         Realm\nmetadata: {{ name: m, slice: s{number} }}\nspec: {{ clients: [] }}\n---\n",
        sdps.join(", "),
        edges.join(", ")
    )
}

/// What a world is declared to be.
#[derive(Debug, Clone)]
struct World {
    /// By pairs of nodes: the cost of the link, if there is one, and whether it is drained.
    links: Vec<Option<(u8, bool)>>,
    slices: [SliceSeed; 3],
}

#[derive(Debug, Clone, Copy)]
struct SliceSeed {
    transport: u8,
    service: u8,
    edges: u8,
}

#[derive(Debug, Clone)]
enum Step {
    Link(usize, Option<(u8, bool)>),
    Slice(usize, SliceSeed),
    /// A link seems to be down, or up again.
    Suspect(usize),
    Run(usize, usize),
    Plan,
}

const NODES: [&str; 7] = ["e1", "e2", "e3", "c1", "c2", "c3", "c4"];

impl World {
    fn links(&self) -> String {
        let pairs = (0..NODES.len()).flat_map(|a| (a + 1..NODES.len()).map(move |b| (a, b)));
        let lines =
            pairs.zip(&self.links).enumerate().filter(|(_, ((_, b), _))| *b > 2).filter_map(|(at, ((a, b), link))| {
                let (cost, drained) = (*link)?;
                Some(format!("{} {} {cost} ={}{}", NODES[a], NODES[b], at + 11, if drained { " x" } else { "" }))
            });
        // An edge that forwards for nobody keeps nodes there that have no link else.
        let anchors = NODES.iter().enumerate().map(|(at, node)| format!("{node} ez 1 ={}", at + 1));
        anchors.chain(lines).collect::<Vec<_>>().join(", ")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (number, seed) in self.slices.iter().enumerate() {
            let transport = ["vxlan", "srv6", "mpls"][usize::from(seed.transport % 3)];
            // Frames stay frames: what is in a tunnel is changed by no step.
            let service =
                if number == 2 { "l3" } else { ["l2-point-to-point", "l2-multipoint"][usize::from(seed.service % 2)] };
            let mut edges = vec!["e1", "e2", "e3"];
            if service == "l2-point-to-point" || seed.edges % 4 != 3 {
                edges.remove(usize::from(seed.edges % 4).min(2));
            }
            text += &slice(number, transport, service, &edges);
        }
        text.trim_end_matches("---\n").to_owned()
    }
}

fn link() -> impl Strategy<Value = Option<(u8, bool)>> {
    proptest::option::weighted(0.7, (1_u8..20, proptest::bool::weighted(0.15)))
}

fn slice_seed() -> impl Strategy<Value = SliceSeed> {
    (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(transport, service, edges)| SliceSeed {
        transport,
        service,
        edges,
    })
}

fn worlds() -> impl Strategy<Value = World> {
    let slices = [slice_seed(), slice_seed(), slice_seed()];
    (proptest::collection::vec(link(), 21), slices).prop_map(|(links, slices)| World { links, slices })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_usize..21, link()).prop_map(|(at, link)| Step::Link(at, link)),
        2 => (0_usize..3, slice_seed()).prop_map(|(at, seed)| Step::Slice(at, seed)),
        2 => (0_usize..21).prop_map(Step::Suspect),
        12 => (0..NODES.len(), 0_usize..2).prop_map(|(node, skip)| Step::Run(node, skip)),
        5 => Just(Step::Plan),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Links come, go, are drained, cost more and seem to be down; slices change transport, service and edges; every node follows in its
    /// own time or is dead, and the manager plans on when it likes. What was carried is carried all along; a dead edge holds
    /// up no slice of others, and when it is back, everything is as it was declared in the end.
    #[test]
    fn no_change_loses_what_is_carried(
        world in worlds(),
        steps in proptest::collection::vec(steps(), 1..60),
        dead in proptest::option::of(0..NODES.len()),
    ) {
        let mut world = world;
        let mut field = Field::default();
        prop_assume!(field.declare(&world.text(), &world.links()));
        field.settle(None);
        for step in steps {
            let before = world.clone();
            match step {
                Step::Link(at, link) => world.links[at] = link,
                Step::Slice(at, seed) => world.slices[at] = seed,
                Step::Run(node, _) if dead == Some(node) => {}
                Step::Run(node, skip) => field.run(&name(NODES[node]), skip),
                Step::Suspect(at) => {
                    let link = name(&format!("l{}", at + 11));
                    if !field.manager.suspects.remove(&link) {
                        field.manager.suspects.insert(link);
                    }
                }
                Step::Plan => field.replan(),
            }
            if matches!(step, Step::Link(..) | Step::Slice(..)) && !field.declare(&world.text(), &world.links()) {
                world = before;
            }
        }
        if let Some(dead) = dead {
            let dead: NodeName = name(NODES[dead]);
            field.settle(Some(&dead));
            for (slice, plan) in field.manager.plan.slices.iter().filter(|_| dead.as_str().starts_with('e')) {
                let has_part = field.manager.intents.slices[slice].sdps.iter().any(|sdp| sdp.edge == dead);
                prop_assert!(has_part || plan.moving.is_empty(), "{slice} without {dead}: {:?}", plan.moving);
            }
        }
        field.settle(None);
        let plan = &field.manager.plan;
        prop_assert!(plan.awaiting.is_empty(), "{:?}", plan.awaiting);
        prop_assert!(plan.quarantine.is_empty() && plan.nodes.values().all(|numbers| numbers.awaiting.is_empty()));
        for (from, segment, to) in field.wanted() {
            prop_assert_eq!(field.send(&from, &segment, &to), Ok(()), "{} from {} to {}", segment, from, to);
        }
    }
}

/// What the auditor says of a step that is spoilt.
#[test]
fn a_step_that_would_lose_packets_is_named() {
    let mut field = Field::default();
    let links = "e1 c1 10, c1 e2 10";
    assert!(field.declare(slice(0, "vxlan", "l2-multipoint", &["e1", "e2"]).trim_end_matches("---\n"), links));
    field.settle(None);
    assert!(field.declare(slice(0, "mpls", "l2-multipoint", &["e1", "e2"]).trim_end_matches("---\n"), links));
    for edge in ["e1", "e2"] {
        field.run(&name(edge), 0);
    }
    let (parent, intents) = (field.manager.plan.clone(), field.manager.intents.clone());
    field.replan();
    let step = field.manager.plan.clone();
    let said = |spoil: &dyn Fn(&mut model::plan::Plan)| {
        let mut spoilt = step.clone();
        spoil(&mut spoilt);
        let mut notes = plan::audit(&spoilt, &intents, &crate::world::CATALOG);
        notes.retain(|note| note.severity == plan::Severity::Error);
        notes.extend(plan::audit_change(&parent, &spoilt, &intents));
        notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let content = |plan: &mut model::plan::Plan, node: &str, change: &dyn Fn(&mut ProgramContent)| {
        change(&mut plan.programs.get_mut(node).unwrap().content);
    };
    assert_eq!(said(&|_| {}), Vec::<String>::new());
    let forgets = |content: &mut ProgramContent| content.slices[0].segments[0].remotes[0].inbound.clear();
    assert_eq!(
        said(&|plan| content(plan, "e2", &forgets)),
        ["error: on the way from the plan before, e1 may send s0/m in a way that e2 does not take"]
    );
    let notes = said(&|plan| content(plan, "c1", &|content| content.transit.routes.clear()));
    assert!(
        notes.contains(
            &"error: on the way from the plan before, what e1 sends on path 1 may not arrive at e2".to_owned()
        ),
        "{notes:?}"
    );
    let notes = said(&|plan| plan.awaiting.clear());
    let left = |edge| format!("error: {edge} still sends or receives as before a change, and nobody is awaited");
    assert!(notes.contains(&left("e1")) && notes.contains(&left("e2")), "{notes:?}");
    let notes = said(&|plan| {
        plan.awaiting.insert(name("e1"), Generation::new(99));
    });
    assert_eq!(notes, ["error: a change waits for e1 to confirm generation 99, which it is not told to run"]);
}

/// Three edges on two core nodes, and a slice from the first to each of the others.
fn two_slices([one, other]: [&str; 2]) -> String {
    let text = slice(0, one, "l2-point-to-point", &["e1", "e2"]) + &slice(1, other, "l2-point-to-point", &["e1", "e3"]);
    text.trim_end_matches("---\n").to_owned()
}

/// Plans until nothing changes while an edge is dead, and says from where to where packets of each slice go as before.
fn moving_without(field: &mut Field, dead: &str) -> Vec<(String, Vec<String>)> {
    field.settle(Some(&name(dead)));
    let slices = field.manager.plan.slices.iter();
    let pairs = slices.map(|(slice, plan)| {
        (slice.to_string(), plan.moving.iter().map(|(from, to)| format!("{from}-{to}")).collect())
    });
    pairs.filter(|(_, moving): &(String, Vec<String>)| !moving.is_empty()).collect()
}

/// The links that a slice's working path takes.
fn links_of(field: &Field, slice: &str, from: &str, to: &str) -> Vec<String> {
    let (from, to): (NodeName, NodeName) = (name(from), name(to));
    let content = &field.manager.plan.programs[&from].content;
    let remotes = &content.slice(&name(slice)).unwrap().segments[0].remotes;
    let id = remotes.iter().find(|remote| remote.edge == to).unwrap().working;
    let (a, b) = (from.clone().min(to.clone()), from.max(to));
    let key = PathKey { a, b, id };
    let path = field.manager.plan.paths.get(&key).or_else(|| field.manager.plan.leaving.get(&key)).unwrap();
    path.links.iter().map(ToString::to_string).collect()
}

#[test]
fn a_dead_edge_holds_up_no_path_of_others() {
    let around = "e1 c2 100 =4, e2 c2 30 =5, e3 c2 30 =6, c1 c2 10 =7";
    let all = format!("e1 c1 10 =1, e2 c1 10 =2, e3 c1 10 =3, {around}");
    for fewer in [format!("e1 c1 10 =1, e2 c1 10 =2 x, e3 c1 10 =3 x, {around}"), format!("e1 c1 10 =1, {around}")] {
        let mut field = Field::default();
        assert!(field.declare(&two_slices(["srv6"; 2]), &all));
        field.settle(None);
        assert_eq!(links_of(&field, "s0", "e1", "e2"), ["l01", "l02"]);
        assert!(field.declare(&two_slices(["srv6"; 2]), &fewer));
        let moving = moving_without(&mut field, "e3");
        assert!(moving.iter().all(|(slice, _)| slice != "s0"), "{moving:?}");
        assert!(!links_of(&field, "s0", "e1", "e2").contains(&"l02".to_owned()));
        assert!(!links_of(&field, "s0", "e2", "e1").contains(&"l02".to_owned()));
        // It comes back: all the rest follows.
        field.settle(None);
        assert_eq!(moving_without(&mut field, "nobody"), []);
        assert!(field.manager.plan.awaiting.is_empty());
    }
}

#[test]
fn an_edge_that_died_before_a_change_holds_up_no_path_of_others() {
    let net = |drained: &str, cost: u32| {
        format!(
            "e1 c1 10 =1, e2 c1 10 =2{drained}, e3 c1 {cost} =3, e1 c2 100 =4, e2 c2 30 =5, e3 c2 30 =6, c1 c2 10 =7"
        )
    };
    let mut field = Field::default();
    assert!(field.declare(&two_slices(["srv6"; 2]), &net("", 10)));
    field.settle(None);
    // It has not heard of this.
    let changed = two_slices(["srv6", "vxlan"]);
    assert!(field.declare(&changed, &net("", 10)));
    moving_without(&mut field, "e3");
    assert!(field.declare(&changed, &net(" x", 100)));
    let moving = moving_without(&mut field, "e3");
    assert!(moving.iter().all(|(slice, _)| slice != "s0"), "{moving:?}");
    assert!(!links_of(&field, "s0", "e1", "e2").contains(&"l02".to_owned()));
    field.settle(None);
    assert!(field.manager.plan.awaiting.is_empty());
}

/// A world with a slice from `e1` to `e3`, on two paths, and what may then be said of links.
fn with_backup() -> (Field, &'static str) {
    let net = "e1 c1 10 =1, e3 c1 10 =2, e1 c2 20 =3, e3 c2 20 =4";
    let mut field = Field::default();
    assert!(field.declare(slice(0, "vxlan", "l2-point-to-point", &["e1", "e3"]).trim_end_matches("---\n"), net));
    field.settle(None);
    (field, net)
}

/// The transport by which an edge sends.
fn sends_by(field: &Field, edge: &str) -> &'static str {
    match field.manager.plan.programs[&name::<NodeName>(edge)].content.slices[0].segments[0].remotes[0].tunnel {
        Tunnel::Vxlan(_) => "vxlan",
        Tunnel::Srv6 { .. } => "srv6",
        Tunnel::Mpls { .. } => "mpls",
    }
}

#[test]
fn what_leads_nowhere_is_not_sent_before_the_far_edge_is_told_to_receive_it() {
    let (mut field, net) = with_backup();
    field.manager.suspects.extend(["l02", "l04"].map(name::<model::LinkName>));
    moving_without(&mut field, "e3");
    // The auditor looks at every one of these plans.
    assert!(field.declare(slice(0, "srv6", "l2-point-to-point", &["e1", "e3"]).trim_end_matches("---\n"), net));
    assert_eq!(sends_by(&field, "e1"), "vxlan");
    moving_without(&mut field, "e3");
    assert_eq!(sends_by(&field, "e1"), "srv6", "nothing is lost, so nobody is waited for");
    field.manager.suspects.clear();
    field.settle(None);
    assert!(field.manager.plan.awaiting.is_empty());
}

#[test]
fn what_goes_by_the_backup_is_not_sent_otherwise_before_the_far_edge_has_confirmed() {
    let (mut field, net) = with_backup();
    // The working path is down, and the backup carries.
    field.manager.suspects.insert(name("l02"));
    assert!(field.declare(slice(0, "srv6", "l2-point-to-point", &["e1", "e3"]).trim_end_matches("---\n"), net));
    moving_without(&mut field, "e3");
    assert_eq!(sends_by(&field, "e1"), "vxlan");
    field.settle(None);
    assert_eq!(sends_by(&field, "e1"), "srv6");
}
