//! The model: what the packet path does, slow and plain.

use std::collections::BTreeMap;

use model::Mac;
use transport_dataplane::{DropReason, REMOTE_MAC_AGE};

use crate::rig::device;

/// Where an untagged frame left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    Access {
        port: u8,
        vlan: u16,
        to: Mac,
    },
    /// To which edge, in which segment, from which group. Only SRv6 says whether it is for all.
    Tunnel {
        edge: usize,
        vni: u32,
        group: u16,
        is_for_all: bool,
    },
}

/// What became of a frame: where it and its copies left, and why they did not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) exits: Vec<Exit>,
    pub(super) drops: BTreeMap<DropReason, u64>,
}

/// The shape of a slice.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Is a circuit a leaf?
    pub(super) circuits: Vec<bool>,
    /// For each segment the edges that it has.
    pub(super) segments: Vec<Vec<usize>>,
    pub(super) over: Over,
}

/// What carries a slice's segments to other edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Vxlan,
    Srv6,
    Labels,
}

/// A frame from a device, in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) port: u8,
    pub(super) vlan: u16,
    pub(super) from: u8,
    pub(super) to: u8,
    /// From its own address.
    pub(super) honest: bool,
}

/// A frame from another edge, in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    pub(super) edge: usize,
    pub(super) vni: u32,
    pub(super) group: u16,
    pub(super) from: u8,
    pub(super) to: u8,
}

/// The model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) shape: Vec<Shape>,
    /// Whether a segment runs, and since which run.
    pub(super) running: BTreeMap<(usize, usize), u64>,
    pub(super) sessions: BTreeMap<(usize, u8), Session>,
    learned: BTreeMap<(usize, usize, u8), (usize, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) segment: usize,
    /// The run in which the segment began.
    pub(super) since: u64,
    pub(super) bound: bool,
    pub(super) circuit: Option<u8>,
}

/// Who sends: by which circuit, if it is a device here, and in which group.
#[derive(Debug, Clone, Copy)]
struct Sender {
    number: u8,
    circuit: Option<u8>,
    group: u16,
}

impl Model {
    pub(super) fn new(shape: Vec<Shape>) -> Self {
        let mut model = Self { shape, running: BTreeMap::new(), sessions: BTreeMap::new(), learned: BTreeMap::new() };
        model.run(u16::MAX, 1);
        model
    }

    pub(super) fn run(&mut self, segments: u16, generation: u64) {
        for (slice, shape) in self.shape.iter().enumerate() {
            for at in 0..shape.segments.len() {
                if segments >> (3 * slice + at) & 1 == 1 {
                    self.running.entry((slice, at)).or_insert(generation);
                } else {
                    self.running.remove(&(slice, at));
                    self.learned.retain(|(s, g, _), _| (*s, *g) != (slice, at));
                }
            }
        }
    }

    pub(super) fn is_alive(&self, slice: usize, session: &Session) -> bool {
        self.running.get(&(slice, session.segment)) == Some(&session.since)
    }

    /// What carries a segment, if the program has it; whether it runs or not.
    pub(super) fn over(&self, number: u32) -> Over {
        let slices = self.shape.iter().enumerate();
        let has = |(slice, shape): &(usize, &Shape)| (0..shape.segments.len()).any(|at| vni(*slice, at) == number);
        slices.filter(has).map(|(_, shape)| shape.over).next().unwrap_or(Over::Vxlan)
    }

    /// The circuit of a slice at a port and VLAN.
    fn circuit(&self, port: u8, vlan: u16) -> Option<(usize, u8)> {
        self.circuits().find(|(slice, circuit)| place(*slice, *circuit) == (port, vlan))
    }

    fn circuits(&self) -> impl Iterator<Item = (usize, u8)> {
        let slices = self.shape.iter().enumerate();
        slices.flat_map(|(slice, shape)| (0_u8..).zip(&shape.circuits).map(move |(circuit, _)| (slice, circuit)))
    }

    fn circuit_of(&self, slice: usize, session: &Session) -> Option<u8> {
        session.circuit.or((self.shape[slice].circuits.len() == 1).then_some(0))
    }

    fn are_leaves(&self, slice: usize, from: Sender, circuit: u8) -> bool {
        from.group == LEAF && self.shape[slice].circuits[usize::from(circuit)]
    }

    fn deliver(&self, slice: usize, to: u8, from: Sender, verdict: &mut Verdict) {
        let session = &self.sessions[&(slice, to)];
        match self.circuit_of(slice, session) {
            None => verdict.drop(DropReason::CircuitUnknown),
            Some(circuit) if Some(circuit) == from.circuit => verdict.drop(DropReason::Hairpin),
            Some(circuit) if self.are_leaves(slice, from, circuit) => verdict.drop(DropReason::LeafToLeaf),
            Some(circuit) => {
                let (port, vlan) = place(slice, circuit);
                verdict.exits.push(Exit::Access { port, vlan, to: device(to).mac });
            }
        }
    }

    fn flood_here(&self, slice: usize, segment: usize, from: Sender, verdict: &mut Verdict) -> usize {
        let mut copies = 0;
        for ((of, number), session) in &self.sessions {
            let here = *of == slice && session.segment == segment && self.is_alive(slice, session);
            let circuit = self.circuit_of(slice, session);
            let same_circuit = from.circuit.is_some() && circuit == from.circuit;
            let are_leaves = here && circuit.is_some_and(|circuit| self.are_leaves(slice, from, circuit));
            if here && *number != from.number && !same_circuit && !are_leaves {
                copies += 1;
                self.deliver(slice, *number, from, verdict);
            }
        }
        copies
    }

    pub(super) fn device_sends(&mut self, now: u64, sent: Sent) -> Verdict {
        let Sent { port, vlan, from, to, honest } = sent;
        let mut verdict = Verdict::default();
        let Some((slice, circuit)) = self.circuit(port, vlan) else {
            let used = self.circuits().any(|(slice, circuit)| place(slice, circuit).0 == port);
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
        let Shape { circuits, segments, over } = &self.shape[slice];
        let (segment, edges) = (session.segment, &segments[session.segment]);
        let group = if circuits[usize::from(circuit)] { LEAF } else { 0 };
        let sender = Sender { number: from, circuit: Some(circuit), group };
        let tunnel = |edge: usize, is_flood: bool| Exit::Tunnel {
            edge,
            vni: vni(slice, segment),
            group,
            is_for_all: is_flood && *over == Over::Srv6,
        };
        if is_group(to) {
            let copies = self.flood_here(slice, segment, sender, &mut verdict);
            verdict.exits.extend(edges.iter().map(|edge| tunnel(*edge, true)));
            if copies == 0 && edges.is_empty() {
                verdict.drop(DropReason::NoDestination);
            }
            return verdict;
        }
        if let Some(other) = self.sessions.get(&(slice, to)) {
            if other.segment != segment || !self.is_alive(slice, other) {
                return verdict.dropped(DropReason::CrossSegment);
            }
            self.deliver(slice, to, sender, &mut verdict);
            return verdict;
        }
        match self.learned.get(&(slice, segment, to)) {
            Some((edge, seen)) if now - seen < REMOTE_MAC_AGE.0 => verdict.exits.push(tunnel(*edge, false)),
            _ if edges.is_empty() => verdict.drop(DropReason::NoDestination),
            _ => verdict.exits.extend(edges.iter().map(|edge| tunnel(*edge, true))),
        }
        verdict
    }

    pub(super) fn tunnel_brings(&mut self, now: u64, brought: Brought) -> Verdict {
        let Brought { edge, vni: tunnel, group, from, to } = brought;
        let mut verdict = Verdict::default();
        let over = self.over(tunnel);
        let running = self.running.keys().find(|(slice, at)| vni(*slice, *at) == tunnel).copied();
        let Some((slice, segment)) = running else {
            return verdict.dropped(match over {
                Over::Vxlan => DropReason::UnknownVni,
                Over::Srv6 => DropReason::NotForUs,
                Over::Labels => DropReason::UnknownLabel,
            });
        };
        if !self.shape[slice].segments[segment].contains(&edge) {
            // A label is given out to one edge.
            let none = if over == Over::Labels { DropReason::UnknownLabel } else { DropReason::UnknownRemote };
            return verdict.dropped(none);
        }
        // Roots and leaves are all the groups that there are.
        if group > 1 {
            return verdict.dropped(DropReason::UnknownGroup);
        }
        if self.sessions.contains_key(&(slice, from)) {
            return verdict.dropped(DropReason::SourceIsLocal);
        }
        self.learned.insert((slice, segment, from), (edge, now));
        let sender = Sender { number: from, circuit: None, group };
        if is_group(to) {
            self.flood_here(slice, segment, sender, &mut verdict);
            return verdict;
        }
        match self.sessions.get(&(slice, to)) {
            None => verdict.drop(DropReason::NoDestination),
            Some(session) if session.segment != segment || !self.is_alive(slice, session) => {
                verdict.drop(DropReason::CrossSegment);
            }
            Some(_) => self.deliver(slice, to, sender, &mut verdict),
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

    pub(super) fn sorted(mut self) -> Self {
        self.exits.sort();
        self
    }
}

/// Port and VLAN of a circuit of a slice.
pub(super) fn place(slice: usize, circuit: u8) -> (u8, u16) {
    (circuit % 2, 101 + u16::try_from(slice).unwrap() * 3 + u16::from(circuit))
}

pub(super) fn vni(slice: usize, segment: usize) -> u32 {
    5_000 + u32::try_from(3 * slice + segment).unwrap()
}

/// Number [`DEVICES`] has no session ever; those above are everybody.
pub(super) const fn is_group(to: u8) -> bool {
    to > DEVICES
}

pub(super) const DEVICES: u8 = 12;
/// The group of leaves.
pub(super) const LEAF: u16 = 1;
