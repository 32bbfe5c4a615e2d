//! What edges report, as they last reported it, and what that means beside the target. Kept in memory only: after a
//! restart nothing is known until an edge says it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use api::v1;
use model::operation::Timestamp;
use model::{Digest, Generation, NodeName};

use crate::decided::Decided;

/// Tells the streams of one edge apart; a later one is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// What is known of one edge.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeObserved {
    /// The stream on which it speaks; none if it is away.
    pub(crate) session: Option<SessionId>,
    /// Since when it is there or away.
    pub(crate) since: Timestamp,
    pub(crate) version: String,
    pub(crate) ports: Vec<v1::PortStatus>,
    /// Its last report; kept when it goes away.
    pub(crate) report: Option<Report>,
}

/// What an edge runs, as it says itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) at: Timestamp,
    /// 0 if it has never applied anything.
    pub(crate) generation: Generation,
    pub(crate) digest: Option<Digest>,
    /// Checked: names and numbers are well-formed, and the edge is the one that reports.
    pub(crate) segments: Vec<v1::RealisedSegment>,
    /// Checked, too.
    pub(crate) paths: Vec<v1::RealisedPath>,
    /// The last program that it could not run.
    pub(crate) refusal: Option<Refused>,
    /// What of the program it found to be otherwise; checked. Then it has no digest.
    pub(crate) drift: Vec<v1::Drift>,
}

/// A program that an edge could not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) generation: Generation,
    pub(crate) reason: String,
}

/// Everything that is known of edges, at one moment.
pub(crate) type Observations = BTreeMap<NodeName, Arc<EdgeObserved>>;

/// Where edge sessions write and everybody else reads.
#[derive(Debug, Default)]
pub(crate) struct Observed(Mutex<Observations>);

impl Observed {
    /// As it is now. Cheap: nothing is copied but names and pointers.
    pub(crate) fn snapshot(&self) -> Observations {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of one edge.
    pub(crate) fn of(&self, edge: &NodeName) -> Option<Arc<EdgeObserved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(edge).cloned()
    }

    /// An edge is there.
    pub(crate) fn attached(&self, edge: &NodeName, session: SessionId, version: String, ports: Vec<v1::PortStatus>) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = edges.get(edge).and_then(|known| known.report.clone());
        let now = EdgeObserved { session: Some(session), since: now(), version, ports, report };
        edges.insert(edge.clone(), Arc::new(now));
    }

    /// An edge says what it runs. `false` if a later stream has taken the place of this one.
    pub(crate) fn reported(&self, edge: &NodeName, session: SessionId, report: Report) -> bool {
        self.change(edge, session, |known| known.report = Some(report))
    }

    /// The stream of an edge has ended.
    pub(crate) fn detached(&self, edge: &NodeName, session: SessionId) -> bool {
        self.change(edge, session, |known| {
            known.session = None;
            known.since = now();
        })
    }

    fn change(&self, edge: &NodeName, session: SessionId, change: impl FnOnce(&mut EdgeObserved)) -> bool {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match edges.get_mut(edge).filter(|known| known.session == Some(session)) {
            Some(known) => {
                change(Arc::make_mut(known));
                true
            }
            None => false,
        }
    }
}

/// Where an edge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not reported since the manager started.
    Unknown,
    /// It runs what it should.
    InStep,
    /// It runs an older program, or none yet.
    Behind,
    /// It has its program, and has found that not all of it is as it should be.
    Drifted,
    /// It says that it runs something that this manager never decided, of a generation that the target can't replace: the
    /// store has lost what it had decided, or the edge has another manager.
    Foreign,
}

/// Compares a report with what was decided.
pub(crate) fn standing(decided: &Decided, edge: &NodeName, report: Option<&Report>) -> Standing {
    let Some(report) = report else { return Standing::Unknown };
    let target = decided.plan.programs.get(edge);
    let newest = target.map_or(decided.plan.generation, |program| program.generation);
    match (target, report.digest) {
        (target, None) if !report.drift.is_empty() => match target {
            _ if report.generation > newest => Standing::Foreign,
            Some(target) if report.generation < target.generation => Standing::Behind,
            _ => Standing::Drifted,
        },
        (None, None) => Standing::InStep,
        (Some(_), None) => Standing::Behind,
        _ if report.generation > newest => Standing::Foreign,
        // An edge that has been forgotten, after it had confirmed that it runs nothing.
        (None, Some(_)) => Standing::InStep,
        (Some(target), Some(digest)) if report.generation == target.generation => {
            if Some(digest) == decided.issued.digest(edge, target.generation) {
                Standing::InStep
            } else {
                Standing::Foreign
            }
        }
        // Whatever it is, the target is newer and takes its place.
        (Some(_), Some(_)) => Standing::Behind,
    }
}

/// The first of some differences, and how many more there are, for people.
pub(crate) fn differs(drift: &[v1::Drift]) -> String {
    let Some(difference) = drift.first().and_then(|drift| drift.difference.as_ref()) else { return String::new() };
    let or_nothing = |text: &str| if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") };
    let (wanted, found) = (or_nothing(&difference.wanted), or_nothing(&difference.found));
    let more = match drift.len() {
        1 => String::new(),
        count => format!("; and {} more", count - 1),
    };
    format!("{}: wanted {wanted}, found {found}{more}", difference.what)
}

/// The generation that each edge is known to run: one that was decided, with the digest that was decided.
pub(crate) fn confirmed(decided: &Decided, observations: &Observations) -> BTreeMap<NodeName, Generation> {
    let known = observations.iter().filter_map(|(edge, observed)| {
        let report = observed.report.as_ref()?;
        let digest = decided.issued.digest(edge, report.generation)?;
        (report.digest == Some(digest)).then(|| (edge.clone(), report.generation))
    });
    known.collect()
}

/// The clock, read where sessions and the writer need it and nowhere else.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use model::plan::Plan;
    use model::program::{Program, ProgramContent};

    use super::*;
    use crate::decided::Issued;

    fn edge() -> NodeName {
        "edge-a".parse().unwrap()
    }

    /// A program whose digest depends on `mark`.
    fn program(generation: u64, mark: u8) -> Program {
        let loopback = vec![std::net::IpAddr::from([192, 0, 2, mark])];
        let content = ProgramContent { loopback, ..ProgramContent::empty(edge()) };
        Program { generation: Generation::new(generation), content }
    }

    fn plan(generation: u64, program: Option<&Program>) -> Plan {
        let programs = program.into_iter().map(|program| (edge(), program.clone())).collect();
        Plan { generation: Generation::new(generation), programs, ..Plan::default() }
    }

    fn decided(plans: &[Plan]) -> Decided {
        let issued = plans.iter().fold(Issued::default(), |issued, plan| issued.with(plan));
        Decided { plan: Arc::new(plans.last().unwrap().clone()), issued: Arc::new(issued), ..Decided::default() }
    }

    fn report(program: Option<&Program>) -> Report {
        Report {
            at: Timestamp(1),
            generation: program.map_or(Generation::new(0), |program| program.generation),
            digest: program.map(Program::digest),
            segments: Vec::new(),
            paths: Vec::new(),
            refusal: None,
            drift: Vec::new(),
        }
    }

    fn stands(decided: &Decided, program: Option<&Program>) -> (Standing, Option<u64>) {
        let observed = EdgeObserved { report: Some(report(program)), ..EdgeObserved::default() };
        let confirmed = confirmed(decided, &[(edge(), Arc::new(observed))].into());
        let standing = standing(decided, &edge(), Some(&report(program)));
        (standing, confirmed.get(&edge()).map(|generation| generation.get()))
    }

    #[test]
    fn a_report_counts_only_if_it_is_of_a_program_that_was_decided() {
        let (first, second) = (program(3, 1), program(5, 2));
        let decided = decided(&[plan(3, Some(&first)), plan(7, Some(&second))]);
        assert_eq!(stands(&decided, Some(&second)), (Standing::InStep, Some(5)));
        assert_eq!(stands(&decided, Some(&first)), (Standing::Behind, Some(3)));
        assert_eq!(stands(&decided, None), (Standing::Behind, None));
        // Older than this manager remembers: behind, but nothing is concluded from it.
        assert_eq!(stands(&decided, Some(&program(2, 9))), (Standing::Behind, None));
        // The right number with other content: now, and before, when the target is newer in any case.
        assert_eq!(stands(&decided, Some(&program(5, 9))), (Standing::Foreign, None));
        assert_eq!(stands(&decided, Some(&program(3, 9))), (Standing::Behind, None));
        // Between the edge's target and the plan's generation nothing was decided for it.
        assert_eq!(stands(&decided, Some(&program(6, 2))), (Standing::Foreign, None));
        assert_eq!(stands(&decided, Some(&program(8, 2))), (Standing::Foreign, None));
        assert_eq!(standing(&decided, &edge(), None), Standing::Unknown);
        // It has its program, and has found that something of it is not so: that confirms nothing.
        let drift = vec![v1::Drift::default()];
        for (generation, expected) in
            [(3, Standing::Behind), (5, Standing::Drifted), (7, Standing::Foreign), (6, Standing::Foreign)]
        {
            let generation = Generation::new(generation);
            let drifted = Report { generation, digest: None, drift: drift.clone(), ..report(Some(&second)) };
            assert_eq!(standing(&decided, &edge(), Some(&drifted)), expected, "{generation}");
            let observed = EdgeObserved { report: Some(drifted), ..EdgeObserved::default() };
            assert_eq!(super::confirmed(&decided, &[(edge(), Arc::new(observed))].into()), BTreeMap::new());
        }
    }

    #[test]
    fn an_edge_without_a_target_may_run_nothing_or_what_it_was_last_told() {
        let decided = decided(&[plan(3, Some(&program(3, 1))), plan(4, None)]);
        assert_eq!(stands(&decided, None).0, Standing::InStep);
        assert_eq!(stands(&decided, Some(&program(3, 1))).0, Standing::InStep);
        assert_eq!(stands(&decided, Some(&program(5, 1))).0, Standing::Foreign);
    }

    #[test]
    fn what_an_earlier_stream_says_is_not_heard_after_a_later_one_has_begun() {
        let observed = Observed::default();
        observed.attached(&edge(), SessionId(1), String::new(), Vec::new());
        observed.attached(&edge(), SessionId(2), String::new(), Vec::new());
        assert!(!observed.reported(&edge(), SessionId(1), report(None)));
        assert!(!observed.detached(&edge(), SessionId(1)));
        assert_eq!(observed.snapshot()[&edge()].session, Some(SessionId(2)));
        assert!(observed.reported(&edge(), SessionId(2), report(None)));
        assert!(observed.detached(&edge(), SessionId(2)));
        let known = &observed.snapshot()[&edge()];
        assert!(known.session.is_none() && known.report.is_some(), "what it last said is kept");
    }
}
