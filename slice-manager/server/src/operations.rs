//! How an operation gets on: from what edges have confirmed and refused to its next state. Pure.

use std::collections::BTreeMap;

use model::operation::{Operation, OperationProblem, OperationState, Timestamp};
use model::plan::Plan;
use model::{Generation, NodeName};

use crate::decided::{changed, is_under_way, movers};
use crate::observed::{Observations, Refused, differs};

/// The operation as it stands now, if that is other than before. While there are steps to come it is not completed.
pub(crate) fn advance(
    operation: &Operation,
    plan: &Plan,
    confirmed: &BTreeMap<NodeName, Generation>,
    observations: &Observations,
    now: Timestamp,
) -> Option<Operation> {
    if operation.state.is_final() {
        return None;
    }
    let mut next = operation.clone();
    next.awaiting.retain(|(edge, since)| confirmed.get(edge).is_none_or(|running| running < since));
    next.problem = next.awaiting.iter().find_map(|(edge, since)| {
        let report = observations.get(edge)?.report.as_ref()?;
        // One that it runs only in part is no better than one that it refuses.
        let drifted = || Refused { generation: report.generation, reason: differs(&report.drift) };
        let refusal = report.refusal.clone().or_else(|| (!report.drift.is_empty()).then(drifted));
        let Refused { generation, reason } = refusal?;
        // A later program holds what this one asked for, so its refusal is this operation's problem, too.
        (generation >= *since).then(|| OperationProblem { edge: edge.clone(), generation, reason })
    });
    let is_done = next.awaiting.is_empty() && !is_under_way(plan, next.generation, &next.changes);
    next.state = match (&next.problem, is_done) {
        (_, true) => OperationState::Completed,
        (Some(_), false) => OperationState::FailedTemp,
        (None, false) => OperationState::Processing,
    };
    if next.state != operation.state {
        next.state_entered = now;
    }
    (next != *operation).then_some(next)
}

/// The operation with what it awaits beyond what it did, if the next plan takes a step of its change. Whom other changes
/// concern is theirs to wait for.
pub(crate) fn step(operation: &Operation, before: &Plan, plan: &Plan) -> Option<Operation> {
    if operation.state.is_final() || !is_under_way(before, operation.generation, &operation.changes) {
        return None;
    }
    let movers = movers(before, &operation.changes);
    let mut next = operation.clone();
    for (node, generation) in changed(before, plan).into_iter().filter(|(node, _)| movers.contains(node)) {
        match next.awaiting.iter_mut().find(|(awaited, _)| *awaited == node) {
            Some((_, since)) => *since = generation,
            None => next.awaiting.push((node, generation)),
        }
    }
    (next != *operation).then_some(next)
}

/// The operation, given up: later ones ask for more of the same edges, and it is not known whether it was ever observed.
pub(crate) fn given_up(operation: &Operation, plan: &Plan, now: Timestamp) -> Operation {
    let awaited = operation.awaiting.first().map(|(edge, generation)| (edge, generation));
    let problem = awaited.or_else(|| plan.awaiting.first_key_value()).map(|(edge, generation)| OperationProblem {
        edge: edge.clone(),
        generation: *generation,
        reason: "given up: it has not confirmed, and too many later changes wait for edges".to_owned(),
    });
    Operation { state: OperationState::Failed, state_entered: now, problem, ..operation.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::v1;
    use model::operation::{ChangeKind, OperationId, OperationKind, ResourceChange};
    use model::plan::SlicePlan;
    use model::program::{Program, ProgramContent};
    use model::resource::ResourceId;

    use super::*;
    use crate::observed::{EdgeObserved, Report};

    fn edge(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn operation() -> Operation {
        Operation {
            id: OperationId(1),
            kind: OperationKind::Apply,
            state: OperationState::Processing,
            started: Timestamp(1),
            state_entered: Timestamp(1),
            requested_by: "urn:microslice:operator:olga".to_owned(),
            generation: Generation::new(5),
            changes: Vec::new(),
            awaiting: vec![(edge("edge-a"), Generation::new(5)), (edge("edge-b"), Generation::new(5))],
            problem: None,
        }
    }

    fn confirmed(edges: &[(&str, u64)]) -> BTreeMap<NodeName, Generation> {
        edges.iter().map(|(name, generation)| (edge(name), Generation::new(*generation))).collect()
    }

    fn refusal(name: &str, generation: u64) -> Observations {
        let refusal = Refused { generation: Generation::new(generation), reason: "no port access0".to_owned() };
        let report = Report {
            at: Timestamp(2),
            generation: Generation::new(4),
            digest: None,
            segments: Vec::new(),
            paths: Vec::new(),
            drift: Vec::new(),
            refusal: Some(refusal),
        };
        let observed = EdgeObserved { report: Some(report), ..EdgeObserved::default() };
        [(edge(name), Arc::new(observed))].into()
    }

    #[test]
    fn it_is_completed_when_every_edge_has_confirmed_and_not_before() {
        let nothing = Observations::new();
        assert_eq!(advance(&operation(), &Plan::default(), &confirmed(&[]), &nothing, Timestamp(9)), None);
        assert_eq!(
            advance(
                &operation(),
                &Plan::default(),
                &confirmed(&[("edge-a", 4), ("edge-b", 4)]),
                &nothing,
                Timestamp(9)
            ),
            None
        );
        let one =
            advance(&operation(), &Plan::default(), &confirmed(&[("edge-a", 5)]), &nothing, Timestamp(9)).unwrap();
        assert_eq!(one.state, OperationState::Processing);
        assert_eq!(one.state_entered, Timestamp(1), "the state is the same");
        assert_eq!(one.awaiting, [(edge("edge-b"), Generation::new(5))]);
        // What was confirmed once stays confirmed, even if the edge is not heard of again; a later generation counts.
        let both = advance(&one, &Plan::default(), &confirmed(&[("edge-b", 8)]), &nothing, Timestamp(9)).unwrap();
        assert_eq!((both.state, both.state_entered), (OperationState::Completed, Timestamp(9)));
        assert_eq!(advance(&both, &Plan::default(), &confirmed(&[]), &nothing, Timestamp(10)), None, "it is final");
    }

    #[test]
    fn a_program_that_is_run_in_part_only_fails_it_until_it_is_whole() {
        let mut observations = refusal("edge-b", 5);
        let observed = Arc::make_mut(observations.get_mut("edge-b").unwrap());
        let difference = v1::Difference { what: "SID x".into(), wanted: "End".into(), found: String::new() };
        let drift = vec![v1::Drift { difference: Some(difference), ..v1::Drift::default() }];
        let report = observed.report.take().unwrap();
        observed.report = Some(Report { refusal: None, generation: Generation::new(5), drift, ..report });
        let failed = advance(&operation(), &Plan::default(), &confirmed(&[]), &observations, Timestamp(9)).unwrap();
        assert_eq!(failed.state, OperationState::FailedTemp);
        let reason = "edge-b can't run generation 5: SID x: wanted `End`, found nothing";
        assert_eq!(failed.problem.unwrap().to_string(), reason);
    }

    /// A plan in which slice `iot` is on its way from edge-a to edge-b, and everybody was told something at a generation.
    fn moving(generation: u64) -> Plan {
        let told = |name| {
            let content = ProgramContent::empty(edge(name));
            (edge(name), Program { generation: Generation::new(generation), content })
        };
        let moving = [(edge("edge-a"), edge("edge-b"))].into();
        Plan {
            programs: ["edge-a", "edge-b", "edge-z"].map(told).into(),
            slices: [("iot".parse().unwrap(), SlicePlan { moving, ..SlicePlan::default() })].into(),
            awaiting: [(edge("edge-z"), Generation::new(4))].into(),
            ..Plan::default()
        }
    }

    fn of(resource: ResourceId) -> Operation {
        let changes = vec![ResourceChange { resource, kind: ChangeKind::Modify }];
        Operation { changes, awaiting: Vec::new(), ..operation() }
    }

    #[test]
    fn it_waits_for_the_steps_of_its_own_change_and_for_nobody_whom_others_concern() {
        let (before, plan) = (moving(6), moving(7));
        let iot = of(ResourceId::Slice("iot".parse().unwrap()));
        let next = step(&iot, &before, &plan).unwrap();
        assert_eq!(next.awaiting, [(edge("edge-a"), Generation::new(7))]);
        let other = of(ResourceId::Slice("vehicles".parse().unwrap()));
        assert_eq!(step(&other, &before, &plan), None);
        // A node that was behind before the topology was changed holds up nobody's operation on the topology.
        let topology = of(ResourceId::Topology("reference".parse().unwrap()));
        let done = advance(&topology, &plan, &confirmed(&[]), &Observations::new(), Timestamp(9)).unwrap();
        assert_eq!(done.state, OperationState::Completed);
        let behind = Plan { awaiting: [(edge("edge-z"), Generation::new(5))].into(), ..plan };
        assert_eq!(advance(&topology, &behind, &confirmed(&[]), &Observations::new(), Timestamp(9)), None);
    }

    #[test]
    fn one_that_is_given_up_between_two_steps_says_who_was_waited_for() {
        let failed = given_up(&of(ResourceId::Slice("iot".parse().unwrap())), &moving(6), Timestamp(9));
        let problem = failed.problem.unwrap();
        assert_eq!((problem.edge, problem.generation), (edge("edge-z"), Generation::new(4)));
    }

    #[test]
    fn a_refusal_fails_it_for_the_time_being_and_names_edge_and_reason() {
        let before = refusal("edge-b", 4);
        assert_eq!(
            advance(&operation(), &Plan::default(), &confirmed(&[]), &before, Timestamp(9)),
            None,
            "that was another program"
        );
        let failed =
            advance(&operation(), &Plan::default(), &confirmed(&[]), &refusal("edge-b", 5), Timestamp(9)).unwrap();
        assert_eq!(failed.state, OperationState::FailedTemp);
        let problem = failed.problem.as_ref().unwrap();
        assert_eq!(problem.to_string(), "edge-b can't run generation 5: no port access0");
        let other =
            advance(&failed, &Plan::default(), &confirmed(&[("edge-a", 5)]), &refusal("edge-b", 5), Timestamp(10))
                .unwrap();
        assert_eq!((other.state, other.state_entered), (OperationState::FailedTemp, Timestamp(9)));
        let again = advance(&failed, &Plan::default(), &confirmed(&[]), &Observations::new(), Timestamp(10)).unwrap();
        assert_eq!((again.state, again.problem), (OperationState::Processing, None));
        let done =
            advance(&failed, &Plan::default(), &confirmed(&[("edge-a", 5), ("edge-b", 6)]), &before, Timestamp(11))
                .unwrap();
        assert_eq!((done.state, done.problem), (OperationState::Completed, None));
    }
}
