//! How slices, micro-segments and edges stand: computed from the target and from what edges report, each time anew.
//! Never stored, never assumed.
//!
//! A slice is active only if every edge that is concerned is there, runs the target program with the target's digest,
//! reports each of its segments with its own VNI, and has their AAA ready. Whatever is missing is named, with edge and
//! generation.

mod drift;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use api::{timestamp, v1};
use model::plan::Quarantined;
use model::program::{Program, SegmentProgram, SliceProgram};
use model::resource::{MicroSegment, SegmentId, Slice};
use model::{Digest, NodeName, SliceName};

use crate::decided::Decided;
use crate::observed::{EdgeObserved, Observations, Standing, differs, standing};

pub(crate) use drift::Drift;

/// Target and observation beside each other, indexed once for any number of questions.
pub(crate) struct View<'a> {
    decided: &'a Decided,
    edges: BTreeMap<&'a NodeName, EdgeView<'a>>,
    /// The declared segments of each slice.
    segments: BTreeMap<&'a SliceName, Vec<&'a SegmentId>>,
}

/// One edge.
struct EdgeView<'a> {
    name: &'a NodeName,
    target: Option<&'a Program>,
    target_digest: Option<Digest>,
    observed: Option<&'a EdgeObserved>,
    standing: Standing,
    /// What it should run, by slice.
    slices: BTreeMap<&'a SliceName, &'a SliceProgram>,
    /// What it says that it runs, by slice and segment.
    segments: BTreeMap<(&'a str, &'a str), &'a v1::RealisedSegment>,
    /// How its paths are, by far end and id.
    paths: BTreeMap<(&'a str, u32), &'a v1::RealisedPath>,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It is under way.
    Pending,
    /// Somebody should look.
    Bad,
}

impl<'a> View<'a> {
    pub(crate) fn new(decided: &'a Decided, observations: &'a Observations) -> Self {
        let topology = decided.intents.topology().map(|(_, topology)| topology);
        let nodes = topology.into_iter().flat_map(|topology| topology.nodes.iter());
        let names: BTreeSet<&NodeName> = nodes
            .filter(|node| node.control().is_told())
            .map(|node| &node.name)
            .chain(decided.plan.programs.keys())
            .chain(observations.keys())
            .collect();
        let observed = |name| observations.get(name).map(AsRef::as_ref);
        let edges = names.into_iter().map(|name| (name, EdgeView::new(decided, observed(name), name))).collect();
        let mut segments: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in decided.intents.segments.keys() {
            segments.entry(&id.slice).or_default().push(id);
        }
        Self { decided, edges, segments }
    }

    /// Every edge that the topology, the target or an observation knows.
    pub(crate) fn edge_names(&self) -> impl Iterator<Item = &'a NodeName> {
        self.edges.keys().copied()
    }

    /// Every slice: those that are declared, then those that are still being let go of.
    pub(crate) fn slices(&self) -> Vec<v1::SliceStatus> {
        let declared = self.decided.intents.slices.keys().filter_map(|name| self.slice(name));
        let gone = self.terminating().into_keys().filter_map(|name| self.slice(name));
        declared.chain(gone).collect()
    }

    /// One slice; `None` if it is neither declared nor still being let go of.
    pub(crate) fn slice(&self, name: &SliceName) -> Option<v1::SliceStatus> {
        let Some(spec) = self.decided.intents.slices.get(name) else {
            return self.terminating().remove(name).map(|numbers| self.terminating_slice(name, &numbers));
        };
        let concerned: Vec<&EdgeView<'_>> = self.edges.values().filter(|edge| edge.is_concerned_by(name)).collect();
        let mut findings: Vec<(Weight, String)> = concerned.iter().flat_map(|edge| edge.findings(name)).collect();
        findings.extend(self.moving(name).map(|text| (Weight::Pending, text)));
        if concerned.is_empty() {
            findings.push((Weight::Pending, "it is on no edge: it has no SDP".to_owned()));
        }
        let state = match findings.iter().map(|(weight, _)| *weight).max() {
            None => v1::SliceState::Active,
            Some(Weight::Pending) => v1::SliceState::Provisioning,
            Some(Weight::Bad) => v1::SliceState::Degraded,
        };
        let reason = match findings.as_slice() {
            [] => active(&concerned, name),
            findings => findings.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; "),
        };
        let segments = self.segments(Some(name));
        Some(v1::SliceStatus {
            slice: Some((&Slice { name: name.clone(), spec: spec.clone() }).into()),
            name: name.to_string(),
            state: state.into(),
            reason,
            edges: concerned.iter().map(|edge| edge.realisation()).collect(),
            segments,
        })
    }

    /// A slice whose change takes steps, and whose packets do not go by the new way everywhere.
    fn moving(&self, name: &SliceName) -> Option<String> {
        let moving = &self.decided.plan.slices.get(name)?.moving;
        let pairs: Vec<String> = moving.iter().map(|(from, to)| format!("{from} to {to}")).collect();
        let awaiting = self.decided.plan.awaiting.iter();
        let awaiting: Vec<String> = awaiting.map(|(node, since)| format!("{node} runs generation {since}")).collect();
        let (pairs, awaiting) = (pairs.join(", "), awaiting.join(", "));
        let text =
            format!("a change is under way: packets go as before from {pairs}, until it is seen that {awaiting}");
        (!moving.is_empty()).then_some(text)
    }

    /// The numbers of removed slices that edges have not confirmed to be without.
    fn terminating(&self) -> BTreeMap<&'a SliceName, Vec<&'a Quarantined>> {
        let mut slices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in &self.decided.plan.quarantine {
            if !self.decided.intents.slices.contains_key(&entry.segment.slice) {
                slices.entry(&entry.segment.slice).or_default().push(entry);
            }
        }
        slices
    }

    fn terminating_slice(&self, name: &SliceName, numbers: &[&Quarantined]) -> v1::SliceStatus {
        let awaited: BTreeMap<_, _> = numbers.iter().flat_map(|entry| &entry.awaiting).collect();
        let waits = awaited.iter().filter_map(|(edge, generation)| match self.edges.get(*edge) {
            // It has confirmed; the next plan lets go.
            Some(view) if view.standing == Standing::InStep => None,
            Some(view) => Some(format!("{}; it must confirm {generation}", view.says())),
            None => Some(format!("{edge} has not confirmed generation {generation}")),
        });
        let waits: Vec<String> = waits.collect();
        let reason = if waits.is_empty() { "every edge has confirmed".to_owned() } else { waits.join("; ") };
        let edges = awaited.keys().filter_map(|edge| self.edges.get(*edge)).map(EdgeView::realisation).collect();
        let segments = numbers.iter().map(|entry| v1::SegmentStatus {
            segment: None,
            slice: name.to_string(),
            name: entry.segment.segment.to_string(),
            vni: entry.allocation.vni.get(),
            access_port: entry.allocation.access_port.into(),
            limits: None,
            realised: self.realised(&entry.segment),
        });
        v1::SliceStatus {
            slice: None,
            name: name.to_string(),
            state: v1::SliceState::Terminating.into(),
            reason,
            edges,
            segments: segments.collect(),
        }
    }

    /// Every declared segment, or those of one slice.
    pub(crate) fn segments(&self, slice: Option<&SliceName>) -> Vec<v1::SegmentStatus> {
        let status = |id: &&SegmentId| self.segment_status(id);
        match slice {
            Some(slice) => self.segments.get(slice).into_iter().flatten().map(status).collect(),
            None => self.segments.values().flatten().map(status).collect(),
        }
    }

    /// One segment; `None` if it is not declared.
    pub(crate) fn segment(&self, id: &SegmentId) -> Option<v1::SegmentStatus> {
        self.decided.intents.segments.contains_key(id).then(|| self.segment_status(id))
    }

    fn segment_status(&self, id: &SegmentId) -> v1::SegmentStatus {
        let spec = self.decided.intents.segments.get(id);
        let allocation = self.decided.plan.allocations.get(id);
        let limits = self.edges.values().find_map(|edge| edge.segment(id)).map(|segment| segment.limits.into());
        v1::SegmentStatus {
            segment: spec.map(|spec| (&MicroSegment { id: id.clone(), spec: spec.clone() }).into()),
            slice: id.slice.to_string(),
            name: id.segment.to_string(),
            vni: allocation.map_or(0, |a| a.vni.get()),
            access_port: allocation.map_or(0, |a| a.access_port.into()),
            limits,
            realised: self.realised(id),
        }
    }

    fn realised(&self, id: &SegmentId) -> Vec<v1::RealisedSegment> {
        let key = (id.slice.as_str(), id.segment.as_str());
        self.edges.values().filter_map(|edge| edge.segments.get(&key).map(|s| (*s).clone())).collect()
    }

    /// One node; `None` if neither the topology nor an observation knows it.
    pub(crate) fn node(&self, name: &NodeName) -> Option<v1::NodeStatus> {
        self.nodes().into_iter().find(|status| status.node.as_ref().is_some_and(|node| node.name == name.as_str()))
    }

    /// Every node of the topology, and every edge beside it that is known.
    pub(crate) fn nodes(&self) -> Vec<v1::NodeStatus> {
        let topology = self.decided.intents.topology().map(|(_, topology)| topology);
        let nodes: Vec<_> = topology.into_iter().flat_map(|topology| topology.nodes.iter()).collect();
        let named: BTreeSet<&NodeName> = nodes.iter().map(|node| &node.name).collect();
        let of_topology = nodes.iter().map(|node| {
            let edge = self.edges.get(&node.name).filter(|_| node.control().is_told());
            node_status((*node).into(), edge)
        });
        let others = self.edges.values().filter(|edge| !named.contains(edge.name)).map(|edge| {
            let role = v1::NodeRole::Edge.into();
            node_status(v1::Node { name: edge.name.to_string(), role, ..v1::Node::default() }, Some(edge))
        });
        of_topology.chain(others).collect()
    }
}

fn node_status(node: v1::Node, edge: Option<&EdgeView<'_>>) -> v1::NodeStatus {
    let observed = edge.and_then(|edge| edge.observed);
    v1::NodeStatus {
        node: Some(node),
        realisation: edge.map(EdgeView::realisation),
        segments: edge.map_or_else(Vec::new, |edge| edge.segments.values().map(|s| (*s).clone()).collect()),
        version: observed.map_or_else(String::new, |observed| observed.version.clone()),
        ports: observed.map_or_else(Vec::new, |observed| observed.ports.clone()),
    }
}

fn active(edges: &[&EdgeView<'_>], slice: &SliceName) -> String {
    let generation = edges.iter().filter_map(|edge| edge.target).map(|program| program.generation).max();
    let at = generation.map_or_else(String::new, |generation| format!(", generation {generation}"));
    let detours: Vec<String> = edges.iter().flat_map(|edge| edge.detours(slice)).collect();
    let detours = detours.iter().fold(String::new(), |text, detour| text + "; " + detour);
    format!("realised on {count} of {count} edges{at}{detours}", count = edges.len())
}

impl<'a> EdgeView<'a> {
    fn new(decided: &'a Decided, observed: Option<&'a EdgeObserved>, name: &'a NodeName) -> Self {
        let target = decided.plan.programs.get(name);
        let report = observed.and_then(|observed| observed.report.as_ref());
        let segments = report.into_iter().flat_map(|report| &report.segments);
        Self {
            name,
            target,
            target_digest: target.and_then(|program| decided.issued.digest(name, program.generation)),
            observed,
            standing: standing(decided, name, report),
            slices: target.into_iter().flat_map(|t| &t.content.slices).map(|slice| (&slice.slice, slice)).collect(),
            segments: segments.map(|s| ((s.slice.as_str(), s.segment.as_str()), s)).collect(),
            paths: report.into_iter().flat_map(|r| &r.paths).map(|path| ((path.to.as_str(), path.id), path)).collect(),
        }
    }

    fn is_connected(&self) -> bool {
        self.observed.is_some_and(|observed| observed.session.is_some())
    }

    /// Should it run the slice, or does it say that it does?
    fn is_concerned_by(&self, slice: &SliceName) -> bool {
        let reported = self.segments.range((slice.as_str(), "")..).next();
        self.slices.contains_key(slice) || reported.is_some_and(|((of, _), _)| *of == slice.as_str())
    }

    fn segment(&self, id: &SegmentId) -> Option<&'a SegmentProgram> {
        self.slices.get(&id.slice)?.segments.iter().find(|segment| segment.id == *id)
    }

    /// What keeps the slice from being active here.
    fn findings(&self, slice: &SliceName) -> Vec<(Weight, String)> {
        let refused = self.observed.and_then(|o| o.report.as_ref()).is_some_and(|report| report.refusal.is_some());
        match self.standing {
            _ if !self.is_connected() => vec![(Weight::Bad, self.says())],
            Standing::InStep => self.differences(slice),
            Standing::Behind if refused => vec![(Weight::Bad, self.says())],
            Standing::Behind | Standing::Unknown => vec![(Weight::Pending, self.says())],
            Standing::Foreign | Standing::Drifted => vec![(Weight::Bad, self.says())],
        }
    }

    /// The edge runs the target's program; do its segments say so, too?
    fn differences(&self, slice: &SliceName) -> Vec<(Weight, String)> {
        let edge = self.name;
        let segments = self.slices.get(slice).into_iter().flat_map(|slice| &slice.segments);
        let difference = |segment: &SegmentProgram| {
            let (id, vni) = (&segment.id, segment.vni.get());
            let Some(reported) = self.segments.get(&(id.slice.as_str(), id.segment.as_str())) else {
                return Some(format!("{edge} does not report {id}"));
            };
            if reported.vni != vni {
                return Some(format!("{edge} reports VNI {} for {id}; the target is {vni}", reported.vni));
            }
            match (reported.aaa(), segment.realm.is_some()) {
                (v1::AaaState::Ready, true) | (v1::AaaState::Absent, false) => None,
                (_, true) if reported.aaa_reason.is_empty() => Some(format!("the AAA of {id} on {edge} is not ready")),
                (_, true) => Some(format!("the AAA of {id} on {edge} is not ready: {}", reported.aaa_reason)),
                (_, false) => Some(format!("{edge} reports an AAA for {id}, which has no realm")),
            }
        };
        let differences = segments.filter_map(difference).map(|text| (Weight::Bad, text));
        differences.chain(self.cut_off(slice)).collect()
    }

    /// One clause for people: where the edge is, what it last reported and what the target is.
    fn says(&self) -> String {
        let edge = self.name;
        let target =
            self.target.map_or_else(|| "there is no target".to_owned(), |p| format!("the target is {}", p.generation));
        let Some(observed) = self.observed else {
            return format!("{edge} has not been heard of since the manager started; {target}");
        };
        let reported = match &observed.report {
            None => "it has reported nothing yet".to_owned(),
            Some(report) if report.digest.is_none() && report.drift.is_empty() => {
                "it last reported that it runs nothing".to_owned()
            }
            Some(report) => format!("it last reported generation {}", report.generation),
        };
        let problem = self.problem();
        let problem = if problem.is_empty() { problem } else { format!(": {problem}") };
        if observed.session.is_none() {
            let since = timestamp(observed.since);
            return format!("{edge} is away since {since}; {reported}, {target}{problem}");
        }
        match (&observed.report, self.standing) {
            (Some(report), Standing::InStep) => format!("{edge} runs generation {}", report.generation),
            (Some(_), Standing::Foreign) => format!("{edge}{problem}"),
            (Some(report), _) => format!("{edge} runs generation {}; {target}{problem}", report.generation),
            (None, _) => format!("{edge} has reported nothing yet; {target}"),
        }
    }

    fn problem(&self) -> String {
        let Some(report) = self.observed.and_then(|observed| observed.report.as_ref()) else { return String::new() };
        match (self.standing, &report.refusal) {
            (Standing::InStep, _) => String::new(),
            (Standing::Drifted, _) => differs(&report.drift),
            (Standing::Foreign, _) => {
                let target = self.target.map_or(0, |program| program.generation.get());
                format!(
                    "reports a generation {} that this manager never decided (the target is {target})",
                    report.generation
                )
            }
            (_, Some(refused)) => format!("it refuses generation {}: {}", refused.generation, refused.reason),
            (_, None) => String::new(),
        }
    }

    fn realisation(&self) -> v1::EdgeRealisation {
        let report = self.observed.and_then(|observed| observed.report.as_ref());
        v1::EdgeRealisation {
            edge: self.name.to_string(),
            connected: self.is_connected(),
            target_generation: self.target.map_or(0, |program| program.generation.get()),
            realised_generation: report.map(|report| report.generation.get()),
            target_digest: self.target_digest.map_or_else(Vec::new, |digest| digest.as_bytes().to_vec()),
            realised_digest: report.and_then(|r| r.digest).map_or_else(Vec::new, |digest| digest.as_bytes().to_vec()),
            problem: self.problem(),
            last_report: report.map(|report| timestamp(report.at)),
        }
    }
}
