//! Operations, both ways.

use model::Generation;
use model::operation::{ChangeKind, Operation, OperationKind, OperationProblem, OperationState, ResourceChange};

use super::plan::{awaiting, awaiting_message};
use super::{At, ConvertError, Within, enumeration, list, moment, required, timestamp};
use crate::v1;

impl TryFrom<v1::Operation> for Operation {
    type Error = ConvertError;

    fn try_from(message: v1::Operation) -> Result<Self, ConvertError> {
        let kind = enumeration(message.kind, "OperationKind", |kind| match kind {
            v1::OperationKind::Unspecified => None,
            v1::OperationKind::Apply => Some(OperationKind::Apply),
            v1::OperationKind::Delete => Some(OperationKind::Delete),
        });
        let state = enumeration(message.state, "OperationState", |state| match state {
            v1::OperationState::Unspecified => None,
            v1::OperationState::Processing => Some(OperationState::Processing),
            v1::OperationState::Completed => Some(OperationState::Completed),
            v1::OperationState::FailedTemp => Some(OperationState::FailedTemp),
            v1::OperationState::Failed => Some(OperationState::Failed),
            v1::OperationState::RollingBack => Some(OperationState::RollingBack),
            v1::OperationState::RolledBack => Some(OperationState::RolledBack),
        });
        Ok(Self {
            id: message.id.parse().at("id")?,
            kind: kind.at("kind")?,
            state: state.at("state")?,
            started: moment(required(message.start_time, "a time", "startTime")?),
            state_entered: moment(required(message.state_entered_time, "a time", "stateEnteredTime")?),
            requested_by: message.requested_by,
            generation: Generation::new(message.generation),
            changes: list(message.resource_changes, "resourceChanges", ResourceChange::try_from)?,
            awaiting: list(message.awaiting, "awaiting", |m| awaiting(&m))?,
            problem: message.problem.map(OperationProblem::try_from).transpose().within("problem")?,
        })
    }
}

impl From<&Operation> for v1::Operation {
    fn from(operation: &Operation) -> Self {
        let kind = match operation.kind {
            OperationKind::Apply => v1::OperationKind::Apply,
            OperationKind::Delete => v1::OperationKind::Delete,
        };
        let state = match operation.state {
            OperationState::Processing => v1::OperationState::Processing,
            OperationState::Completed => v1::OperationState::Completed,
            OperationState::FailedTemp => v1::OperationState::FailedTemp,
            OperationState::Failed => v1::OperationState::Failed,
            OperationState::RollingBack => v1::OperationState::RollingBack,
            OperationState::RolledBack => v1::OperationState::RolledBack,
        };
        Self {
            id: operation.id.to_string(),
            kind: kind.into(),
            state: state.into(),
            start_time: Some(timestamp(operation.started)),
            state_entered_time: Some(timestamp(operation.state_entered)),
            requested_by: operation.requested_by.clone(),
            generation: operation.generation.get(),
            resource_changes: operation.changes.iter().map(Into::into).collect(),
            awaiting: operation.awaiting.iter().map(|(edge, g)| awaiting_message(edge, *g)).collect(),
            problem: operation.problem.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::ResourceChange> for ResourceChange {
    type Error = ConvertError;

    fn try_from(message: v1::ResourceChange) -> Result<Self, ConvertError> {
        let kind = enumeration(message.kind, "ChangeKind", |kind| match kind {
            v1::ChangeKind::Unspecified => None,
            v1::ChangeKind::Add => Some(ChangeKind::Add),
            v1::ChangeKind::Modify => Some(ChangeKind::Modify),
            v1::ChangeKind::Remove => Some(ChangeKind::Remove),
        });
        Ok(Self { resource: message.resource.parse().at("resource")?, kind: kind.at("kind")? })
    }
}

impl From<&ResourceChange> for v1::ResourceChange {
    fn from(change: &ResourceChange) -> Self {
        let kind = match change.kind {
            ChangeKind::Add => v1::ChangeKind::Add,
            ChangeKind::Modify => v1::ChangeKind::Modify,
            ChangeKind::Remove => v1::ChangeKind::Remove,
        };
        Self { resource: change.resource.to_string(), kind: kind.into() }
    }
}

impl TryFrom<v1::OperationProblem> for OperationProblem {
    type Error = ConvertError;

    fn try_from(message: v1::OperationProblem) -> Result<Self, ConvertError> {
        let generation = Generation::new(message.generation);
        Ok(Self { edge: message.edge.parse().at("edge")?, generation, reason: message.reason })
    }
}

impl From<&OperationProblem> for v1::OperationProblem {
    fn from(problem: &OperationProblem) -> Self {
        Self { edge: problem.edge.to_string(), generation: problem.generation.get(), reason: problem.reason.clone() }
    }
}
