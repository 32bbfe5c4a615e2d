//! Scenes on the simulated reference network: every service over every transport, the death of a core node, a planned
//! re-route.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use model::NodeName;
use model::resource::SegmentId;
use transport_dataplane::{GATEWAY_MAC, Nanos, PathState};

use super::net::{Counts, Net, NetError, Place};
use super::plans::{PlanError, Planned};

/// Every service over every transport, each a slice of its own with a device at edge-a and one at edge-c. All slices use
/// the same addresses.
#[derive(Debug)]
pub struct Scene {
    net: Net,
    planned: Planned,
    pairs: Vec<Pair>,
}

/// A slice and its two devices.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Such as `srv6 l3`.
    pub name: String,
    ends: [Place; 2],
    addresses: [Ipv4Addr; 2],
    is_routed: bool,
}

/// What became of the traffic of a pair in one direction.
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
    pub fn raise(seed: u64) -> Result<Self, SceneError> {
        let planned = Planned::new(&(topology() + "---\n" + &slices("")))?;
        let topology = planned.topology().ok_or_else(|| SceneError::Unsettled("there is no topology".to_owned()))?;
        let mut net = Net::new(topology, seed)?;
        for (node, program) in &planned.plan().programs {
            net.run(node, program)?;
        }
        let pairs = pairs()?;
        for pair in &pairs {
            let id = segment(&pair.name)?;
            for (place, address) in pair.ends.iter().zip(pair.addresses) {
                net.admit(place, &id, address)?;
            }
        }
        let mut scene = Self { net, planned, pairs };
        scene.settle()?;
        Ok(scene)
    }

    fn settle(&mut self) -> Result<(), SceneError> {
        self.net.pass(SETTLE)?;
        for node in ["edge-a", "edge-c"] {
            let reading = self.net.read(&node.parse()?)?;
            if let Some(path) = reading.paths.iter().find(|path| path.state != PathState::Up) {
                let (to, id, state) = (&path.program.to, path.program.id, path.state);
                return Err(SceneError::Unsettled(format!("path {id} from {node} to {to} is {state:?}")));
            }
        }
        for pair in self.pairs.clone() {
            for (from, to) in [(0, 1), (1, 0)] {
                if pair.is_routed {
                    self.net.tell(&pair.ends[from], pair.addresses[to], GATEWAY_MAC)?;
                } else {
                    self.net.ask(&pair.ends[from], pair.addresses[to])?;
                }
            }
        }
        self.net.pass(Nanos(20_000_000))?;
        for pair in self.pairs.clone() {
            for (from, to) in [(0, 1), (1, 0)] {
                if !self.net.knows(&pair.ends[from], pair.addresses[to])? {
                    return Err(SceneError::Unsettled(format!("{}: no answer from {}", pair.name, pair.addresses[to])));
                }
            }
        }
        Ok(())
    }

    /// Sends a datagram each millisecond both ways in every slice for so long; `meanwhile` happens at a moment of it
    /// that the seed decides. Answers what became of each slice's datagrams.
    pub fn traffic(
        &mut self,
        time: Nanos,
        meanwhile: impl FnOnce(&mut Self) -> Result<(), SceneError>,
    ) -> Result<Vec<Carried>, SceneError> {
        for pair in &self.pairs {
            let [a, c] = pair.ends.clone();
            self.net.flow(a.clone(), c.clone(), EVERY, time)?;
            self.net.flow(c, a, EVERY, time)?;
        }
        let before = Nanos(time.0 / 4 + self.net.chance().below(time.0 / 8));
        self.net.pass(before)?;
        meanwhile(self)?;
        self.net.pass(Nanos(time.0.saturating_sub(before.0) + DRAIN.0))?;
        let counts = self.net.counts()?;
        let ways = ["edge-a to edge-c", "edge-c to edge-a"];
        let flows = self.pairs.iter().flat_map(|pair| ways.map(|way| format!("{} from {way}", pair.name)));
        Ok(flows.zip(counts).map(|(flow, counts)| Carried { flow, counts }).collect())
    }

    /// The core node that working paths lead over dies: the nearer and cheaper one.
    pub fn kill_core(&mut self) -> Result<(), SceneError> {
        Ok(self.net.kill(&"core-1".parse()?)?)
    }

    /// Slices are told to keep clear of a core node. Answers how many programs changed.
    pub fn avoid(&mut self, core: &str) -> Result<usize, SceneError> {
        self.change(&slices(&format!("\n  paths: {{ excludeNodes: [{core}] }}")))
    }

    /// Plans again with other resources; each node whose program changes runs it at a moment of its own.
    fn change(&mut self, resources: &str) -> Result<usize, SceneError> {
        let next = self.planned.and(resources)?;
        let before = &self.planned.plan().programs;
        let changed = next.plan().programs.iter().filter(|(node, program)| before.get(*node) != Some(program));
        let mut waiting: Vec<(NodeName, model::program::Program)> =
            changed.map(|(node, program)| (node.clone(), program.clone())).collect();
        let count = waiting.len();
        while !waiting.is_empty() {
            let at = self.net.chance().below(waiting.len() as u64);
            let (node, program) = waiting.swap_remove(usize::try_from(at).unwrap_or(0));
            let pause = Nanos(self.net.chance().below(PAUSE.0));
            self.net.pass(pause)?;
            self.net.run(&node, &program)?;
        }
        self.planned = next;
        Ok(count)
    }
}

fn pairs() -> Result<Vec<Pair>, SceneError> {
    let mut pairs = Vec::new();
    for (vlan, (transport, service)) in (FIRST_VLAN..).zip(kinds()) {
        let is_routed = service == "l3";
        let end = |node: &str| -> Result<Place, SceneError> {
            Ok(Place { node: node.parse()?, vlan, device: format!("{transport}-{service}-{node}") })
        };
        // Routed, each end has a subnet of its own.
        let far = if is_routed { Ipv4Addr::new(10, 0, 2, 11) } else { Ipv4Addr::new(10, 0, 1, 12) };
        pairs.push(Pair {
            name: format!("{transport}-{service}"),
            ends: [end("edge-a")?, end("edge-c")?],
            addresses: [Ipv4Addr::new(10, 0, 1, 11), far],
            is_routed,
        });
    }
    Ok(pairs)
}

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    TRANSPORTS.into_iter().flat_map(|transport| SERVICES.map(|service| (transport, service)))
}

fn segment(slice: &str) -> Result<SegmentId, SceneError> {
    Ok(SegmentId { slice: slice.parse()?, segment: "all".parse()? })
}

/// The reference network, with core nodes that run our dataplane.
fn topology() -> String {
    let text = include_str!("../../../profiles/reference/topology.yaml");
    text.replace("role: core\n", "role: core\n      control: agent\n")
}

/// With what the specification of each says beside.
fn slices(more: &str) -> String {
    let mut text = String::new();
    for (vlan, (transport, service)) in (FIRST_VLAN..).zip(kinds()) {
        let addresses =
            |subnet| if service == "l3" { format!(", addresses: [10.0.{subnet}.1/24]") } else { String::new() };
        let (a, c) = (addresses(1), addresses(2));
        let _ = write!(
            text,
            "\
apiVersion: microslice/v1
kind: Slice
metadata: {{ name: {transport}-{service} }}
spec:
  template: miot
  snssai: {{ sst: 3, sd: \"{vlan:06X}\" }}
  service: {service}
  transport: {transport}
  rate: {{ guaranteed: 2 Mbit/s, ceiling: 50 Mbit/s }}
  latency: {{ max: 10 ms }}{more}
  sdps:
    - {{ name: a, edge: edge-a, port: access0, vlan: {vlan}{a} }}
    - {{ name: c, edge: edge-c, port: access0, vlan: {vlan}{c} }}
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: {{ name: all, slice: {transport}-{service} }}
spec: {{ profile: smart-metering, at: [edge-a, edge-c] }}
---
apiVersion: microslice/v1
kind: Realm
metadata: {{ name: all, slice: {transport}-{service} }}
spec:
  clients:
    - {{ name: switch, addresses: [192.0.2.11/32] }}
---
"
        );
    }
    text.trim_end_matches("---\n").to_owned()
}

const TRANSPORTS: [&str; 3] = ["vxlan", "srv6", "mpls"];
const SERVICES: [&str; 3] = ["l2-point-to-point", "l2-multipoint", "l3"];
const FIRST_VLAN: u16 = 201;
/// One datagram each millisecond, so that a lost one is a millisecond's worth.
const EVERY: Nanos = Nanos(1_000_000);
/// A path is up after sixteen answers, ten milliseconds apart; next hops are asked for within a second.
const SETTLE: Nanos = Nanos(600_000_000);
/// For what is still on the way.
const DRAIN: Nanos = Nanos(50_000_000);
/// How long one node may have its new program before the next.
const PAUSE: Nanos = Nanos(30_000_000);
