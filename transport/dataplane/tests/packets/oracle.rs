//! The packet path against a model of it that is slow and plain: random programs, sessions and frames, and for each frame
//! the same verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::program::{Program, Remote};
use model::{Generation, Mac};
use proptest::prelude::*;
use transport_dataplane::{BindError, Binding, DropReason, PortIndex, REMOTE_MAC_AGE, SessionKey};

use crate::frames;
use crate::rig::*;

/// Where an untagged frame left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    Access { port: u8, vlan: u16, to: Mac },
    Tunnel { to: IpAddr, vni: u32 },
}

/// What became of a frame: where it and its copies left, and why they did not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Verdict {
    exits: Vec<Exit>,
    drops: BTreeMap<DropReason, u64>,
}

#[derive(Debug, Clone)]
struct Step {
    /// Microseconds since the step before.
    after: u64,
    action: Action,
}

#[derive(Debug, Clone)]
enum Action {
    Bind {
        slice: usize,
        segment: usize,
        device: u8,
        bound: bool,
    },
    Unbind {
        nth: usize,
    },
    FromDevice {
        port: u8,
        vlan: u16,
        from: u8,
        to: u8,
        honest: bool,
    },
    FromTunnel {
        remote: usize,
        vni: u32,
        from: u8,
        to: u8,
    },
    /// Runs the program without the segments whose bit is not set.
    Run {
        segments: u16,
    },
    LongSilence,
}

/// The shape of a program: for each slice its circuits, and for each of its segments the edges that it has.
type Shape = Vec<(u8, Vec<Vec<usize>>)>;

fn shape() -> impl Strategy<Value = Shape> {
    let edges = proptest::sample::subsequence((0..EDGES.len()).collect::<Vec<_>>(), 0..=EDGES.len());
    let slice = (1_u8..=3, proptest::collection::vec(edges, 1..=3));
    proptest::collection::vec(slice, 1..=3)
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES;
    let from_device = (0_u8..2, vlan(), device.clone(), 0..=DEVICES + 1, prop::bool::weighted(0.9));
    let action = prop_oneof![
        4 => (0_usize..3, 0_usize..3, device.clone(), any::<bool>())
            .prop_map(|(slice, segment, device, bound)| Action::Bind { slice, segment, device, bound }),
        1 => (0_usize..20).prop_map(|nth| Action::Unbind { nth }),
        12 => from_device
            .prop_map(|(port, vlan, from, to, honest)| Action::FromDevice { port, vlan, from, to, honest }),
        6 => (0..EDGES.len(), 5_000_u32..5_010, device, 0..=DEVICES + 1)
            .prop_map(|(remote, vni, from, to)| Action::FromTunnel { remote, vni, from, to }),
        1 => any::<u16>().prop_map(|segments| Action::Run { segments }),
        1 => Just(Action::LongSilence),
    ];
    (0_u64..10_000, action).prop_map(|(after, action)| Step { after, action })
}

fn vlan() -> impl Strategy<Value = u16> {
    prop_oneof![6 => 101_u16..=109, 1 => Just(0_u16), 1 => Just(4_000_u16)]
}

/// VLAN and port of a circuit of a slice.
fn place(slice: usize, circuit: u8) -> (u8, u16) {
    (circuit % 2, 101 + u16::try_from(slice).unwrap() * 3 + u16::from(circuit))
}

fn program(shape: &Shape, segments: u16, generation: u64) -> Program {
    let mut program = reference();
    program.generation = Generation::new(generation);
    program.content.slices.clear();
    for (number, (circuits, wanted)) in shape.iter().enumerate() {
        let name = format!("slice{number}");
        let circuits = (0..*circuits).map(|circuit_number| {
            let (port, vlan) = place(number, circuit_number);
            circuit(&format!("sdp{circuit_number}"), &format!("access{port}"), Some(vlan.into()))
        });
        let circuits = circuits.collect();
        let segments = wanted.iter().enumerate().filter(|(at, _)| segments >> (3 * number + at) & 1 == 1);
        let segments = segments.map(|(at, edges)| {
            let remotes: Vec<Remote> =
                edges.iter().map(|edge| remote(["edge-b", "edge-c"][*edge], vni(number, at).into())).collect();
            segment(&name, &format!("segment{at}"), vni(number, at).into(), remotes)
        });
        let segments = segments.collect();
        program.content.slices.push(slice(&name, circuits, segments));
    }
    program
}

fn vni(slice: usize, segment: usize) -> u32 {
    5_000 + u32::try_from(3 * slice + segment).unwrap()
}

/// The model.
#[derive(Debug)]
struct Model {
    shape: Shape,
    /// Whether a segment runs, and since which run.
    running: BTreeMap<(usize, usize), u64>,
    sessions: BTreeMap<(usize, u8), Session>,
    learned: BTreeMap<(usize, usize, u8), (usize, u64)>,
}

#[derive(Debug, Clone)]
struct Session {
    segment: usize,
    /// The run in which the segment began.
    since: u64,
    bound: bool,
    circuit: Option<u8>,
}

impl Model {
    fn new(shape: Shape) -> Self {
        let mut model = Self { shape, running: BTreeMap::new(), sessions: BTreeMap::new(), learned: BTreeMap::new() };
        model.run(u16::MAX, 1);
        model
    }

    fn run(&mut self, segments: u16, generation: u64) {
        for (slice, (_, wanted)) in self.shape.iter().enumerate() {
            for at in 0..wanted.len() {
                if segments >> (3 * slice + at) & 1 == 1 {
                    self.running.entry((slice, at)).or_insert(generation);
                } else {
                    self.running.remove(&(slice, at));
                    self.learned.retain(|(s, g, _), _| (*s, *g) != (slice, at));
                }
            }
        }
    }

    fn is_alive(&self, slice: usize, session: &Session) -> bool {
        self.running.get(&(slice, session.segment)) == Some(&session.since)
    }

    /// The circuit of a slice at a port and VLAN.
    fn circuit(&self, port: u8, vlan: u16) -> Option<(usize, u8)> {
        let slices = self.shape.iter().enumerate();
        slices
            .flat_map(|(slice, (circuits, _))| (0..*circuits).map(move |circuit| (slice, circuit)))
            .find(|(slice, circuit)| place(*slice, *circuit) == (port, vlan))
    }

    fn circuit_of(&self, slice: usize, session: &Session) -> Option<u8> {
        session.circuit.or((self.shape[slice].0 == 1).then_some(0))
    }

    fn deliver(&self, slice: usize, to: u8, from: Option<u8>, verdict: &mut Verdict) {
        let session = &self.sessions[&(slice, to)];
        match self.circuit_of(slice, session) {
            None => verdict.drop(DropReason::CircuitUnknown),
            Some(circuit) if Some(circuit) == from => verdict.drop(DropReason::Hairpin),
            Some(circuit) => {
                let (port, vlan) = place(slice, circuit);
                verdict.exits.push(Exit::Access { port, vlan, to: device(to).mac });
            }
        }
    }

    fn flood_here(&self, slice: usize, segment: usize, sender: u8, from: Option<u8>, verdict: &mut Verdict) -> usize {
        let mut copies = 0;
        for ((of, number), session) in &self.sessions {
            let here = *of == slice && session.segment == segment && self.is_alive(slice, session);
            let same_circuit = from.is_some() && self.circuit_of(slice, session) == from;
            if here && *number != sender && !same_circuit {
                copies += 1;
                self.deliver(slice, *number, from, verdict);
            }
        }
        copies
    }

    fn device_sends(&mut self, now: u64, action: (u8, u16, u8, u8, bool)) -> Verdict {
        let (port, vlan, from, to, honest) = action;
        let mut verdict = Verdict::default();
        let Some((slice, circuit)) = self.circuit(port, vlan) else {
            let used = (0..self.shape.len()).any(|slice| (0..self.shape[slice].0).any(|at| place(slice, at).0 == port));
            return verdict.dropped(if used { DropReason::NoCircuit } else { DropReason::PortUnused });
        };
        let alive = self.sessions.get(&(slice, from)).filter(|session| self.is_alive(slice, session)).cloned();
        let Some(session) = alive else {
            return verdict.dropped(DropReason::Unauthenticated);
        };
        if session.circuit.is_some_and(|before| before != circuit) {
            return verdict.dropped(DropReason::OtherCircuit);
        }
        if session.bound && !honest {
            return verdict.dropped(DropReason::SourceAddress);
        }
        self.sessions.get_mut(&(slice, from)).unwrap().circuit = Some(circuit);
        let edges = &self.shape[slice].1[session.segment];
        let tunnel = |edge: usize| Exit::Tunnel { to: EDGES[edge], vni: vni(slice, session.segment) };
        if is_group(to) {
            let copies = self.flood_here(slice, session.segment, from, Some(circuit), &mut verdict);
            verdict.exits.extend(edges.iter().map(|edge| tunnel(*edge)));
            if copies == 0 && edges.is_empty() {
                verdict.drop(DropReason::NoDestination);
            }
            return verdict;
        }
        if let Some(other) = self.sessions.get(&(slice, to)) {
            if other.segment != session.segment || !self.is_alive(slice, other) {
                return verdict.dropped(DropReason::CrossSegment);
            }
            self.deliver(slice, to, Some(circuit), &mut verdict);
            return verdict;
        }
        match self.learned.get(&(slice, session.segment, to)) {
            Some((edge, seen)) if now - seen < REMOTE_MAC_AGE.0 => verdict.exits.push(tunnel(*edge)),
            _ if edges.is_empty() => verdict.drop(DropReason::NoDestination),
            _ => verdict.exits.extend(edges.iter().map(|edge| tunnel(*edge))),
        }
        verdict
    }

    fn tunnel_brings(&mut self, now: u64, edge: usize, tunnel: u32, from: u8, to: u8) -> Verdict {
        let mut verdict = Verdict::default();
        let running = self.running.keys().find(|(slice, at)| vni(*slice, *at) == tunnel).copied();
        let Some((slice, segment)) = running else {
            return verdict.dropped(DropReason::UnknownVni);
        };
        if !self.shape[slice].1[segment].contains(&edge) {
            return verdict.dropped(DropReason::UnknownRemote);
        }
        if self.sessions.contains_key(&(slice, from)) {
            return verdict.dropped(DropReason::SourceIsLocal);
        }
        self.learned.insert((slice, segment, from), (edge, now));
        if is_group(to) {
            self.flood_here(slice, segment, from, None, &mut verdict);
            return verdict;
        }
        match self.sessions.get(&(slice, to)) {
            None => verdict.drop(DropReason::NoDestination),
            Some(session) if session.segment != segment || !self.is_alive(slice, session) => {
                verdict.drop(DropReason::CrossSegment);
            }
            Some(_) => self.deliver(slice, to, None, &mut verdict),
        }
        verdict
    }
}

impl Verdict {
    fn drop(&mut self, reason: DropReason) {
        *self.drops.entry(reason).or_default() += 1;
    }

    fn dropped(mut self, reason: DropReason) -> Self {
        self.drop(reason);
        self
    }

    fn sorted(mut self) -> Self {
        self.exits.sort();
        self
    }
}

const fn is_group(to: u8) -> bool {
    to > DEVICES
}

/// Number `DEVICES` has no session ever; those above are everybody.
fn destination(to: u8) -> Device {
    if is_group(to) { Device { mac: frames::BROADCAST, ..device(255) } } else { device(to) }
}

/// What the pipeline did with a frame.
fn observe(rig: &mut Rig, port: PortIndex, octets: Vec<u8>) -> Verdict {
    let before = rig.reading().ports[port.get()].drops;
    let left = rig.put(port, &[octets]);
    let after = rig.reading().ports[port.get()].drops;
    let drops = after.iter().map(|(reason, count)| (reason, count - before.of(reason))).filter(|(_, new)| *new > 0);
    Verdict { exits: left.iter().map(|(port, octets)| exit(*port, octets)).collect(), drops: drops.collect() }
}

fn exit(port: PortIndex, octets: &[u8]) -> Exit {
    if port == CORE0 {
        let to = IpAddr::from(<[u8; 16]>::try_from(&octets[38..54]).unwrap());
        return Exit::Tunnel { to, vni: u32::from_be_bytes([0, octets[66], octets[67], octets[68]]) };
    }
    assert_eq!(octets[12..14], [0x81, 0]);
    let vlan = u16::from_be_bytes([octets[14], octets[15]]);
    Exit::Access { port: port.0, vlan, to: Mac(octets[..6].try_into().unwrap()) }
}

const DEVICES: u8 = 12;
const EDGES: [IpAddr; 2] = [EDGE_B, EDGE_C];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_packet_path_does_what_its_model_does(shape in shape(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut rig = Rig::with(program(&shape, u16::MAX, 1));
        rig.introduce_router();
        let mut model = Model::new(shape);
        let mut keys: Vec<(usize, u8, SessionKey)> = Vec::new();
        let mut generation = 1;
        for Step { after, action } in steps {
            rig.now.0 += after * 1_000;
            // The rig puts frames a millisecond later.
            let now = rig.now.0 + 1_000_000;
            let (expected, done) = match action {
                Action::Bind { slice, segment, device: number, bound } => {
                    let Some(since) = model.running.get(&(slice, segment)).copied() else { continue };
                    let ends = device(number);
                    let base = rig.binding(&format!("slice{slice}"), &format!("segment{segment}"), ends.mac);
                    let key = rig.pipeline.bind(&Binding { ipv4: bound.then_some(ends.ipv4), ..base });
                    let before = model.sessions.get(&(slice, number));
                    if before.is_some_and(|before| before.segment != segment && model.is_alive(slice, before)) {
                        prop_assert_eq!(key, Err(BindError::InOtherSegment));
                        continue;
                    }
                    let key = key.unwrap();
                    model.sessions.insert((slice, number), Session { segment, since, bound, circuit: None });
                    keys.push((slice, number, key));
                    continue;
                }
                Action::Unbind { nth } => {
                    if keys.is_empty() {
                        continue;
                    }
                    let (slice, number, key) = keys.swap_remove(nth % keys.len());
                    let gone = rig.pipeline.unbind(&key).is_some();
                    // An older key of an endpoint that has been bound anew since may or may not be the same.
                    if gone {
                        prop_assert!(model.sessions.remove(&(slice, number)).is_some());
                    }
                    continue;
                }
                Action::Run { segments } => {
                    generation += 1;
                    let next = program(&model.shape, segments, generation);
                    rig.run(next);
                    model.run(segments, generation);
                    // A next hop that no segment needed for a while has been forgotten.
                    rig.introduce_router();
                    continue;
                }
                Action::LongSilence => {
                    rig.now.0 += REMOTE_MAC_AGE.0 / 2;
                    continue;
                }
                Action::FromDevice { port, vlan, from, to, honest } => {
                    let sender = if honest { device(from) } else { Device { ipv4: device(200).ipv4, ..device(from) } };
                    let tag = (vlan != 0).then_some(vlan);
                    let octets = frame(tag, sender, destination(to), b"payload");
                    let expected = model.device_sends(now, (port, vlan, from, to, honest));
                    (expected, observe(&mut rig, PortIndex(port), octets))
                }
                Action::FromTunnel { remote, vni, from, to } => {
                    let inner = frame(None, device(from), destination(to), b"payload");
                    let octets = in_tunnel(EDGES[remote], vni, &inner);
                    (model.tunnel_brings(now, remote, vni, from, to), observe(&mut rig, CORE0, octets))
                }
            };
            prop_assert_eq!(done.sorted(), expected.sorted());
        }
        let alive: BTreeSet<_> = model.sessions.keys().collect();
        prop_assert_eq!(rig.reading().sessions, alive.len());
    }
}
