//! Scenes on the simulated reference network: every service over every transport, the death of a core node, and changes
//! that were planned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::resource::SegmentId;
use model::{Generation, NodeName};
use transport_dataplane::{GATEWAY_MAC, Nanos, PathState};

pub use super::declared::Declared;
use super::declared::subnet;
use super::net::{Counts, Net, NetError, Place};
use super::plans::{Confirmed, PlanError, Planned};

/// Every service over every transport, each a slice of its own with a device at each of its edges. All slices use the same
/// addresses.
#[derive(Debug)]
pub struct Scene {
    net: Net,
    planned: Planned,
    declared: Declared,
    groups: Vec<Group>,
    /// What each node runs, as far as the manager has heard.
    confirmed: Confirmed,
    /// Edges that the manager does not hear of.
    away: BTreeSet<NodeName>,
}

/// A slice and its devices.
#[derive(Debug, Clone)]
pub struct Group {
    /// Such as `srv6-l3`.
    pub name: String,
    ends: Vec<End>,
    is_routed: bool,
}

/// A device, and its address.
type End = (Place, Ipv4Addr);

/// What became of the traffic of a slice from one device to another.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The slice, and from where to where.
    pub flow: String,
    /// Its datagrams, one each millisecond.
    pub counts: Counts,
}

/// Why a scene can't be played.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// It can't be declared.
    #[error(transparent)]
    File(#[from] model::file::FileError),
    /// It can't be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It can't be simulated.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It does not come to rest.
    #[error("{0}")]
    Unsettled(String),
    /// A name.
    #[error(transparent)]
    Name(#[from] model::InvalidName),
}

impl Scene {
    /// Raises the network, runs the plan, admits the devices, and waits until paths are up and peers are found.
    pub fn raise(seed: u64, declared: Declared) -> Result<Self, SceneError> {
        // Cables are laid for the whole network, whatever of it is in the topology.
        let whole = Planned::new(Declared::default().resources()?)?;
        let topology = whole.topology().ok_or_else(|| SceneError::Unsettled("there is no topology".to_owned()))?;
        let mut net = Net::new(topology, seed)?;
        let planned = Planned::new(declared.resources()?)?;
        for (node, program) in &planned.plan().programs {
            net.run(node, program)?;
        }
        let groups = groups(&declared)?;
        for group in &groups {
            let id = segment(&group.name)?;
            for (place, address) in &group.ends {
                net.admit(place, &id, *address)?;
            }
        }
        let confirmed =
            planned.plan().programs.iter().map(|(node, program)| (node.clone(), program.generation)).collect();
        let mut scene = Self { net, planned, declared, groups, confirmed, away: BTreeSet::new() };
        scene.settle()?;
        Ok(scene)
    }

    fn settle(&mut self) -> Result<(), SceneError> {
        self.net.pass(SETTLE)?;
        let edges: BTreeSet<_> =
            self.groups.iter().flat_map(|group| &group.ends).map(|(place, _)| place.node.clone()).collect();
        for node in edges {
            let reading = self.net.read(&node)?;
            if let Some(path) = reading.paths.iter().find(|path| path.state != PathState::Up) {
                let (to, id, state) = (&path.program.to, path.program.id, path.state);
                return Err(SceneError::Unsettled(format!("path {id} from {node} to {to} is {state:?}")));
            }
        }
        for (group, from, to) in flows(&self.groups) {
            if group.is_routed {
                self.net.tell(&from.0, to.1, GATEWAY_MAC)?;
            } else {
                self.net.ask(&from.0, to.1)?;
            }
        }
        self.net.pass(Nanos(20_000_000))?;
        for (group, from, to) in flows(&self.groups) {
            if !self.net.knows(&from.0, to.1)? {
                return Err(SceneError::Unsettled(format!("{}: no answer from {}", group.name, to.1)));
            }
        }
        Ok(())
    }

    /// Sends a datagram each millisecond in every slice from each device to each other for so long; `meanwhile` happens at
    /// a moment of it that the seed decides. If that takes longer, traffic goes on as long. Answers what became of it.
    pub fn traffic(
        &mut self,
        time: Nanos,
        meanwhile: impl FnOnce(&mut Self) -> Result<(), SceneError>,
    ) -> Result<Vec<Carried>, SceneError> {
        let flows: Vec<_> =
            flows(&self.groups).into_iter().map(|(group, from, to)| (group.name, from.0, to.0)).collect();
        for (_, from, to) in &flows {
            self.net.flow(from.clone(), to.clone(), EVERY)?;
        }
        let (start, before) = (self.net.now(), Nanos(time.0 / 4 + self.net.chance().below(time.0 / 8)));
        self.net.pass(before)?;
        meanwhile(self)?;
        let left = time.0.saturating_sub(self.net.now().0 - start.0).max(time.0 / 4);
        self.net.pass(Nanos(left))?;
        self.net.end_flows();
        self.net.pass(DRAIN)?;
        let counts = self.net.counts()?;
        let flows = flows.into_iter().map(|(name, from, to)| format!("{name} from {} to {}", from.node, to.node));
        Ok(flows.zip(counts).map(|(flow, counts)| Carried { flow, counts }).collect())
    }

    /// The core node that working paths lead over dies: the nearer and cheaper one.
    pub fn kill_core(&mut self) -> Result<(), SceneError> {
        Ok(self.net.kill(&"core-1".parse()?)?)
    }

    /// The manager hears no more of an edge, and it no more of the manager; packets are forwarded all the same.
    pub fn leave(&mut self, edge: &str) -> Result<(), SceneError> {
        self.away.insert(edge.parse()?);
        Ok(())
    }

    /// It is back, and what was begun without it is finished.
    pub fn come_back(&mut self, edge: &str) -> Result<(), SceneError> {
        self.away.remove(&edge.parse::<NodeName>()?);
        self.follow().map(drop)
    }

    /// Does the manager wait for nobody?
    pub fn is_finished(&self) -> bool {
        self.planned.plan().awaiting.is_empty()
    }

    /// What is declared now.
    pub const fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Something else is declared. Each node runs what it is told at a moment of its own, and the manager plans on as it
    /// hears of that, until there is nothing to tell. Answers how many programs were told.
    pub fn declare(&mut self, declared: Declared) -> Result<usize, SceneError> {
        self.planned = self.planned.and(declared.resources()?, &self.confirmed)?;
        self.declared = declared;
        self.follow()
    }

    fn follow(&mut self) -> Result<usize, SceneError> {
        let mut told: BTreeMap<NodeName, Generation> = self.confirmed.clone();
        let mut count = 0;
        for _ in 0..ROUNDS_MAX {
            let programs = self.planned.plan().programs.clone();
            let is_new = |node: &NodeName, generation| told.get(node).is_none_or(|told| *told < generation);
            let mut waiting: Vec<_> = programs
                .into_iter()
                .filter(|(node, p)| is_new(node, p.generation) && !self.away.contains(node))
                .collect();
            // Some run it, in any order, before the manager plans on.
            let some = self.net.chance().below(waiting.len() as u64 + 1);
            let some = usize::try_from(some).unwrap_or(0).max(1).min(waiting.len());
            for _ in 0..some {
                let at = usize::try_from(self.net.chance().below(waiting.len() as u64)).unwrap_or(0);
                let (node, program) = waiting.swap_remove(at);
                let pause = Nanos(self.net.chance().below(PAUSE.0));
                self.net.pass(pause)?;
                self.net.run(&node, &program)?;
                told.insert(node, program.generation);
                count += 1;
            }
            // What is on its way when a node confirms has arrived before anybody acts on it.
            self.net.pass(LINGER)?;
            for node in told.keys() {
                self.confirmed.insert(node.clone(), self.net.read(node)?.generation);
            }
            let next = self.planned.and(Vec::new(), &self.confirmed)?;
            let is_run = told.iter().all(|(node, told)| self.confirmed.get(node) == Some(told));
            let is_over = next.plan() == self.planned.plan() && waiting.is_empty() && some == 0 && is_run;
            self.planned = next;
            if is_over {
                return Ok(count);
            }
        }
        Err(SceneError::Unsettled("there is always something to tell".to_owned()))
    }
}

/// The devices of every slice, each with each other.
fn flows(groups: &[Group]) -> Vec<(Group, End, End)> {
    let mut flows = Vec::new();
    for group in groups {
        for from in &group.ends {
            let others = group.ends.iter().filter(|to| to.0 != from.0);
            flows.extend(others.map(|to| (group.clone(), from.clone(), to.clone())));
        }
    }
    flows
}

fn groups(declared: &Declared) -> Result<Vec<Group>, SceneError> {
    let groups = declared.named().into_iter().map(|slice| {
        let is_routed = slice.service == "l3";
        let ends = slice.edges.iter().map(|edge| -> Result<_, SceneError> {
            let device = format!("{}-{edge}", slice.name);
            // Routed, each end has a subnet of its own.
            let address = if is_routed {
                Ipv4Addr::new(10, 0, subnet(edge), 11)
            } else {
                Ipv4Addr::new(10, 0, 9, 10 + subnet(edge))
            };
            Ok((Place { node: edge.parse()?, vlan: slice.vlan, device }, address))
        });
        Ok(Group { ends: ends.collect::<Result<_, SceneError>>()?, name: slice.name, is_routed })
    });
    groups.collect()
}

fn segment(slice: &str) -> Result<SegmentId, SceneError> {
    Ok(SegmentId { slice: slice.parse()?, segment: "all".parse()? })
}

/// One datagram each millisecond, so that a lost one is a millisecond's worth.
const EVERY: Nanos = Nanos(1_000_000);
/// A path is up after sixteen answers, ten milliseconds apart; next hops are asked for within a second.
const SETTLE: Nanos = Nanos(600_000_000);
/// For what is still on the way.
const DRAIN: Nanos = Nanos(50_000_000);
/// How long one node may have its new program before the next.
const PAUSE: Nanos = Nanos(20_000_000);
/// How long a confirmation takes to have an effect elsewhere, at least.
const LINGER: Nanos = Nanos(5_000_000);
/// How many rounds of telling a change may take.
const ROUNDS_MAX: usize = 200;
