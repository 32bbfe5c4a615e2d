//! What is declared of the simulated reference network: every service over every transport, and what may become of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::resource::{self, Resource, TopologySpec};
use model::{LinkName, NodeName};

/// A slice for each service over each transport, and the network under them.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Have slices of more than two ends one at edge-b, too?
    pub is_wide: bool,
    /// By how many places transports are turned round: 1 is SRv6 instead of VXLAN, MPLS instead of SRv6, VXLAN instead of
    /// MPLS.
    pub turns: usize,
    /// Are point-to-point and multipoint slices each the other?
    pub is_swapped: bool,
    /// Is edge-b in the micro-segments of slices that have an end there?
    pub has_b: bool,
    /// In Mbit/s.
    pub ceiling: u32,
    /// What the `paths` of each slice say.
    pub paths: &'static str,
    /// Links that are drained.
    pub drained: Vec<&'static str>,
    /// Links that cost another sum.
    pub costs: Vec<(&'static str, u32)>,
    /// Links that are not in the topology.
    pub without_links: Vec<&'static str>,
    /// Nodes that are not, with their links.
    pub without_nodes: Vec<&'static str>,
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            is_wide: false,
            turns: 0,
            is_swapped: false,
            has_b: true,
            ceiling: 50,
            paths: "{}",
            drained: Vec::new(),
            costs: Vec::new(),
            without_links: Vec::new(),
            without_nodes: Vec::new(),
        }
    }
}

/// A slice as it was at first; its name tells.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) service: &'static str,
    pub(super) vlan: u16,
    /// The edges of its ends.
    pub(super) edges: Vec<&'static str>,
}

impl Declared {
    /// All resources.
    pub(super) fn resources(&self) -> Result<Vec<Resource>, model::file::FileError> {
        let read = resource::read("simulated.yaml", &(reference() + "---\n" + &self.slices()))?;
        let resources = read.into_iter().map(|declared| match declared.resource {
            Resource::Topology(mut topology) => {
                self.edit(&mut topology.spec);
                Resource::Topology(topology)
            }
            other => other,
        });
        Ok(resources.collect())
    }

    fn edit(&self, topology: &mut TopologySpec) {
        let is_node = |node: &NodeName| self.without_nodes.contains(&node.as_str());
        let is_link = |link: &LinkName| self.without_links.contains(&link.as_str());
        let costs: BTreeMap<&str, u32> = self.costs.iter().copied().collect();
        let mut nodes = Vec::from(topology.nodes.clone());
        nodes.retain(|node| !is_node(&node.name));
        let mut links = Vec::from(topology.links.clone());
        links.retain(|link| !is_link(&link.name) && !is_node(&link.a.node) && !is_node(&link.b.node));
        for link in &mut links {
            link.drained = self.drained.contains(&link.name.as_str());
            link.cost = costs.get(link.name.as_str()).copied().unwrap_or(link.cost);
        }
        // Fewer of what had different names still have different names.
        if let (Ok(nodes), Ok(links)) = (model::UniqueList::new(nodes), model::UniqueList::new(links)) {
            (topology.nodes, topology.links) = (nodes, links);
        }
    }

    pub(super) fn named(&self) -> Vec<Named> {
        let kinds = TRANSPORTS.into_iter().flat_map(|transport| SERVICES.map(|service| (transport, service)));
        let named = (FIRST_VLAN..).zip(kinds).map(|(vlan, (transport, service))| {
            let has_three = self.is_wide && service != SERVICES[0];
            let edges = if has_three { vec!["edge-a", "edge-b", "edge-c"] } else { vec!["edge-a", "edge-c"] };
            Named { name: format!("{transport}-{service}"), service, vlan, edges }
        });
        named.collect()
    }

    fn slices(&self) -> String {
        let mut text = String::new();
        for (place, Named { name, service, vlan, edges }) in self.named().into_iter().enumerate() {
            let transport = TRANSPORTS[(place / SERVICES.len() + self.turns) % TRANSPORTS.len()];
            let service = match SERVICES.iter().position(|one| *one == service) {
                Some(at @ (0 | 1)) if self.is_swapped => SERVICES[1 - at],
                _ => service,
            };
            let Self { ceiling, paths, .. } = self;
            let _ = write!(
                text,
                "\
apiVersion: microslice/v1
kind: Slice
metadata: {{ name: {name} }}
spec:
  template: miot
  sessionRates: {{ fromAccess: 100 Mbit/s }}
  snssai: {{ sst: 3, sd: \"{vlan:06X}\" }}
  service: {service}
  transport: {transport}
  rate: {{ guaranteed: 2 Mbit/s, ceiling: {ceiling} Mbit/s }}
  latency: {{ max: 10 ms }}
  paths: {paths}
  sdps:
"
            );
            for edge in &edges {
                let subnet = subnet(edge);
                let address =
                    if service == "l3" { format!(", addresses: [10.0.{subnet}.1/24]") } else { String::new() };
                let _ =
                    writeln!(text, "    - {{ name: at-{edge}, edge: {edge}, port: access0, vlan: {vlan}{address} }}");
            }
            let at: Vec<&str> = edges.iter().copied().filter(|edge| self.has_b || *edge != "edge-b").collect();
            let at = at.join(", ");
            let _ = write!(
                text,
                "\
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: {{ name: all, slice: {name} }}
spec: {{ profile: smart-metering, at: [{at}] }}
---
apiVersion: microslice/v1
kind: Realm
metadata: {{ name: all, slice: {name} }}
spec:
  clients:
    - {{ name: switch, addresses: [192.0.2.11/32] }}
---
"
            );
        }
        text.trim_end_matches("---\n").to_owned()
    }
}

/// Of an edge, in layer-3 slices.
pub(super) fn subnet(edge: &str) -> u8 {
    match edge {
        "edge-a" => 1,
        "edge-b" => 2,
        _ => 3,
    }
}

/// The reference network, with core nodes that run our dataplane.
fn reference() -> String {
    let text = include_str!("../../../profiles/reference/topology.yaml");
    text.replace("role: core\n", "role: core\n      control: agent\n")
}

const TRANSPORTS: [&str; 3] = ["vxlan", "srv6", "mpls"];
const SERVICES: [&str; 3] = ["l2-point-to-point", "l2-multipoint", "l3"];
const FIRST_VLAN: u16 = 201;
