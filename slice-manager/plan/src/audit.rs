//! Looks at a plan with other eyes. Nothing here is shared with the planner: what must hold is worked out again from
//! the plan and from what is declared, so that a mistake there does not hide itself here.
//!
//! It reads a plan as an edge would: what counts is what the programs say. It finds contradictions and broken promises;
//! it does not judge whether a better plan exists.

mod bookings;
mod edges;
mod finding;
mod handover;
mod numbers;
mod paths;
mod queueing;
mod shaping;
mod steering;
mod tunnels;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::plan::Plan;
use model::profile::{Catalog, FiveQi, GstValue, SegmentProfileSpec, Template};
use model::program::{PathProgram, SegmentProgram, SliceProgram};
use model::resource::{Link, Node, SegmentId, SegmentSpec, SliceSpec, TopologySpec};
use model::{Generation, Latency, LinkName, NodeName, PathId, Rate, SliceName};

use crate::intents::Intents;

pub use finding::{Finding, Note, NumberFinding, Severity};
pub use handover::audit_change;

/// Every way in which a plan contradicts itself or what is declared, and what is legal but worth a look. A plan with an
/// error must not be carried out.
pub fn audit(plan: &Plan, intents: &Intents, catalog: &Catalog) -> Vec<Note> {
    let mut audit = Audit::new(plan, intents, catalog);
    audit.numbers();
    audit.generations();
    audit.slices();
    audit.segments();
    audit.circuits();
    audit.tunnels();
    audit.unfinished();
    audit.paths();
    audit.policies();
    audit.steering();
    audit.bookings();
    audit.shaping();
    audit.queues();
    audit.packets();
    audit.worth_a_look();
    audit.notes
}

/// What is being looked at, indexed once.
struct Audit<'a> {
    plan: &'a Plan,
    intents: &'a Intents,
    catalog: &'a Catalog,
    topology: Option<&'a TopologySpec>,
    nodes: HashMap<&'a NodeName, &'a Node>,
    links: HashMap<&'a LinkName, &'a Link>,
    /// The links of every node, with the nodes to which they lead.
    ports: HashMap<&'a NodeName, Vec<(&'a Link, &'a NodeName)>>,
    /// Those that are declared, by slice.
    declared: HashMap<&'a SliceName, Vec<&'a SegmentSpec>>,
    /// As programs have them.
    slices: BTreeMap<(&'a SliceName, &'a NodeName), &'a SliceProgram>,
    /// As programs have them.
    segments: BTreeMap<&'a SegmentId, BTreeMap<&'a NodeName, &'a SegmentProgram>>,
    /// As programs have them: by the edge, the other, and which.
    paths: HashMap<(&'a NodeName, &'a NodeName, PathId), &'a PathProgram>,
    notes: Vec<Note>,
}

impl<'a> Audit<'a> {
    fn new(plan: &'a Plan, intents: &'a Intents, catalog: &'a Catalog) -> Self {
        let topology = intents.topologies.values().next();
        let nodes = topology.into_iter().flat_map(|t| &t.nodes).map(|node| (&node.name, node)).collect();
        let links = topology.into_iter().flat_map(|t| &t.links).map(|link| (&link.name, link)).collect();
        let (slices, segments) = (BTreeMap::new(), BTreeMap::new());
        let mut ports: HashMap<_, Vec<_>> = HashMap::new();
        for link in topology.into_iter().flat_map(|t| &t.links) {
            ports.entry(&link.a.node).or_default().push((link, &link.b.node));
            ports.entry(&link.b.node).or_default().push((link, &link.a.node));
        }
        let paths = plan.programs.iter().flat_map(|(edge, program)| {
            program.content.paths.iter().map(move |path| ((edge, &path.to, path.id), path))
        });
        let paths = paths.collect();
        let mut declared: HashMap<_, Vec<_>> = HashMap::new();
        for (id, segment) in &intents.segments {
            declared.entry(&id.slice).or_default().push(segment);
        }
        let notes = Vec::new();
        let mut audit =
            Self { plan, intents, catalog, topology, nodes, links, ports, declared, slices, segments, paths, notes };
        for (edge, program) in &plan.programs {
            for slice in &program.content.slices {
                if audit.slices.insert((&slice.slice, edge), slice).is_some() {
                    audit.error(Finding::SliceTwice { slice: slice.slice.clone(), edge: edge.clone() });
                }
                for segment in &slice.segments {
                    if segment.id.slice != slice.slice {
                        let (segment, slice) = (segment.id.clone(), slice.slice.clone());
                        audit.error(Finding::SegmentInOtherSlice { segment, slice, edge: edge.clone() });
                    }
                    if audit.segments.entry(&segment.id).or_default().insert(edge, segment).is_some() {
                        audit.error(Finding::SegmentTwice { segment: segment.id.clone(), edge: edge.clone() });
                    }
                }
            }
        }
        audit
    }

    fn error(&mut self, finding: impl Into<Finding>) {
        self.notes.push(Note { severity: Severity::Error, finding: finding.into() });
    }

    fn errors(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.notes.extend(findings.into_iter().map(|finding| Note { severity: Severity::Error, finding }));
    }

    fn warning(&mut self, finding: Finding) {
        self.notes.push(Note { severity: Severity::Warning, finding });
    }

    /// Is a change under way, so that programs say more than what follows from what is declared?
    fn is_under_way(&self) -> bool {
        !self.plan.awaiting.is_empty()
    }

    /// When nobody is awaited, nothing is left of how it was before; and who is awaited can confirm.
    fn unfinished(&mut self) {
        let plan = self.plan;
        for (node, generation) in &plan.awaiting {
            let told = plan.programs.get(node).map_or(Generation::NONE, |program| program.generation);
            if *generation > told {
                self.error(NumberFinding::NeverConfirmed { node: node.clone(), generation: *generation });
            }
        }
        if self.is_under_way() {
            return;
        }
        let moving = plan.slices.values().flat_map(|slice| &slice.moving).map(|(from, _)| from);
        let leaving = plan.leaving.keys().map(|key| &key.a);
        let has_more = |segment: &SegmentProgram| segment.remotes.iter().any(|remote| !remote.inbound.is_empty());
        let inbound = self.segments.values().flatten().filter(|(_, segment)| has_more(segment)).map(|(edge, _)| *edge);
        let left: BTreeSet<&NodeName> = moving.chain(leaving).chain(inbound).collect();
        self.errors(left.into_iter().map(|edge| Finding::Unfinished(edge.clone())));
    }

    fn template(&self, slice: &SliceSpec) -> Option<&'a Template> {
        self.catalog.template(&slice.template)
    }

    fn profile(&self, segment: &SegmentSpec) -> Option<&'a SegmentProfileSpec> {
        self.catalog.segment(&segment.profile).map(|profile| &profile.spec)
    }

    /// Guarantee and ceiling of a slice: its own, else the larger of downlink and uplink of its template.
    fn rates(&self, slice: &SliceSpec) -> Option<(Rate, Rate)> {
        if let Some(limits) = slice.rate {
            return Some((limits.guaranteed(), limits.ceiling()));
        }
        let attributes = &self.template(slice)?.spec.attributes;
        let larger = |what: &str| {
            let of = |way: &str, lower: &str| {
                attributes.whole(&format!("{way} throughput per network slice: {what} {lower}"))
            };
            let down =
                of("Downlink", if what == "Guaranteed" { "downlink throughput quota" } else { "downlink throughput" });
            let up = of("Uplink", if what == "Guaranteed" { "uplink throughput quota" } else { "uplink throughput" });
            down.max(up).map(|kbps| Rate::from_bits_per_second(kbps.saturating_mul(1000)))
        };
        let guaranteed = larger("Guaranteed");
        let ceiling = larger("Maximum").or(guaranteed)?;
        Some((guaranteed.unwrap_or_default(), ceiling))
    }

    /// The bound on delay of a slice: its own, else the shortest that its template gives.
    fn latency(&self, slice: &SliceSpec) -> Option<Latency> {
        if let Some(latency) = slice.latency {
            return Some(latency.max);
        }
        let attributes = &self.template(slice)?.spec.attributes;
        let listed = match attributes.get("Slice quality of service: 3GPP 5QI") {
            Some(GstValue::Choices(listed)) => listed.clone(),
            _ => Vec::new(),
        };
        let row = |value: &u64| self.catalog.five_qi().get(FiveQi::new(*value).ok()?);
        let budgets = listed.iter().filter_map(row).map(|row| u64::from(row.core_delay_budget_ms));
        let to_server = attributes.whole("Latency from (last) UPF to Application Server");
        budgets.chain(to_server).min().map(|ms| Latency::from_nanos(ms.saturating_mul(1_000_000)))
    }

    /// The edges on which a slice has SDPs, and how many.
    fn sdps(slice: &SliceSpec) -> BTreeMap<&NodeName, u64> {
        let mut sdps = BTreeMap::new();
        for sdp in &slice.sdps {
            *sdps.entry(&sdp.edge).or_default() += 1;
        }
        sdps
    }

    /// The ordered pairs of edges that share a segment of a slice, by what programs say.
    fn pairs(&self) -> BTreeMap<&'a SliceName, BTreeSet<(&'a NodeName, &'a NodeName)>> {
        let mut pairs: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (id, edges) in &self.segments {
            let of_slice = pairs.entry(&id.slice).or_default();
            let ordered = edges.keys().flat_map(|from| edges.keys().map(move |to| (*from, *to)));
            of_slice.extend(ordered.filter(|(from, to)| from != to));
        }
        pairs
    }
}
