//! The record of one change, with the states of ETSI GS NFV-SOL 005, section 5.6.2 (operation occurrences).

use std::fmt;

use crate::resource::ResourceId;
use crate::{Generation, NodeName};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Given from outside: this crate has no clock.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// Names an operation: a number that grows, in the order in which operations were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op-{}", self.0)
    }
}

impl std::str::FromStr for OperationId {
    type Err = InvalidOperationId;

    fn from_str(text: &str) -> Result<Self, InvalidOperationId> {
        text.strip_prefix("op-")
            .and_then(|n| n.parse().ok())
            .map(Self)
            .ok_or_else(|| InvalidOperationId { found: text.chars().take(32).collect() })
    }
}

/// A text that names no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not the id of an operation; expected one such as `op-7`")]
pub struct InvalidOperationId {
    /// The text.
    pub found: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What was asked.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// When it was accepted.
    pub started: Timestamp,
    /// When it came to this state.
    pub state_entered: Timestamp,
    /// Who asked: the subject of the client's certificate.
    pub requested_by: String,
    /// The plan that it led to.
    pub generation: Generation,
    /// What changes.
    pub changes: Vec<ResourceChange>,
    /// The edges that must confirm, each with the generation that counts.
    pub awaiting: Vec<(NodeName, Generation)>,
    /// Why it failed, if it did.
    pub problem: Option<OperationProblem>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Resources were applied.
    Apply,
    /// Resources were deleted.
    Delete,
}

/// Where an operation stands (SOL 005, table 5.6.2.3-1; the two states of a rollback come with rollback).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationState {
    /// Under way: decided and stored, not yet observed on every edge.
    Processing,
    /// Observed on every edge.
    Completed,
    /// An edge can't do it; it tries again.
    FailedTemp,
    /// Ended without effect.
    Failed,
    /// Being undone.
    RollingBack,
    /// Undone.
    RolledBack,
}

impl OperationState {
    /// As SOL 005 writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
            Self::FailedTemp => "FAILED_TEMP",
            Self::Failed => "FAILED",
            Self::RollingBack => "ROLLING_BACK",
            Self::RolledBack => "ROLLED_BACK",
        }
    }

    /// Will it change no more?
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::RolledBack)
    }
}

/// One resource that an operation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// The resource.
    pub resource: ResourceId,
    /// How.
    pub kind: ChangeKind,
}

/// How a resource changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Add,
    /// It is another.
    Modify,
    /// It is gone.
    Remove,
}

/// Why an operation does not get on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{edge} can't run generation {generation}: {reason}")]
pub struct OperationProblem {
    /// The edge that said so.
    pub edge: NodeName,
    /// The generation that it spoke of.
    pub generation: Generation,
    /// What it said.
    pub reason: String,
}
