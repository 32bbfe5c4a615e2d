//! Edges that are attached: one stream each, its own bounded buffers, and no way for one edge to hold up another.

mod reading;
mod report;
mod session;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::NodeName;
use tokio::sync::{mpsc, oneshot};

use crate::observed::SessionId;

pub(crate) use reading::{Gathered, Question, ReadError, ReadRequest, Unreached, gather, read_each};
pub(crate) use session::serve;

/// Who is attached.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Attached>);

#[derive(Debug, Default)]
struct Attached {
    last: u64,
    edges: BTreeMap<NodeName, Handle>,
}

/// How to reach the session of an edge.
#[derive(Debug)]
struct Handle {
    id: SessionId,
    requests: mpsc::Sender<EdgeRequest>,
    /// Dropped with the handle: that is how a session learns that another has taken its place.
    _replaced: oneshot::Sender<()>,
}

/// What is asked of the session of an edge. It is done in the order in which it was asked.
#[derive(Debug)]
pub(crate) enum EdgeRequest {
    /// To read.
    Read(ReadRequest),
    /// To have the edge run its program anew.
    Repair,
}

/// What a session gets when it enters.
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) requests: mpsc::Receiver<EdgeRequest>,
    pub(crate) replaced: oneshot::Receiver<()>,
}

/// Why a node is not sent its program anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRepaired {
    /// It can't be asked.
    #[error(transparent)]
    Unasked(#[from] ReadError),
    /// What it runs is not known.
    #[error("it has not said yet what it runs; it is sent its program when it has")]
    Unknown,
    /// It would refuse the program.
    #[error("it runs what was never decided here; it is sent nothing until it runs an older program or is told anew")]
    Foreign,
    /// It is told nothing.
    #[error("there is no program for it")]
    NoProgram,
}

/// No more edges may attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{EDGES_ATTACHED_MAX} edges are attached, the most that may be")]
pub(crate) struct TooManyEdges;

impl Registry {
    /// Enters an edge; its earlier session, if any, ends.
    pub(crate) fn enter(&self, edge: &NodeName) -> Result<Entry, TooManyEdges> {
        let mut attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attached.edges.len() >= EDGES_ATTACHED_MAX && !attached.edges.contains_key(edge) {
            return Err(TooManyEdges);
        }
        attached.last += 1;
        let id = SessionId(attached.last);
        let (requests_in, requests) = mpsc::channel(READS_WAITING_MAX);
        let (replaced_in, replaced) = oneshot::channel();
        attached.edges.insert(edge.clone(), Handle { id, requests: requests_in, _replaced: replaced_in });
        Ok(Entry { id, requests, replaced })
    }

    /// A session has ended.
    pub(crate) fn leave(&self, edge: &NodeName, id: SessionId) {
        let mut attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attached.edges.get(edge).is_some_and(|handle| handle.id == id) {
            attached.edges.remove(edge);
        }
    }

    /// Asks for an edge to run its program anew. What is asked of it after that is done after that.
    pub(crate) fn repair(&self, edge: &NodeName) -> Result<(), ReadError> {
        let requests = self.requests(edge).ok_or(ReadError::Away)?;
        requests.try_send(EdgeRequest::Repair).map_err(|error| ReadError::not_sent(&error))
    }

    fn requests(&self, edge: &NodeName) -> Option<mpsc::Sender<EdgeRequest>> {
        let attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attached.edges.get(edge).map(|handle| handle.requests.clone())
    }
}

/// How many edges may be attached at once.
pub(crate) const EDGES_ATTACHED_MAX: usize = 4_096;
/// How much that is asked of one edge may wait to be sent or answered.
pub(crate) const READS_WAITING_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_session_takes_the_place_of_the_first() {
        let registry = Registry::default();
        let edge: NodeName = "edge-a".parse().unwrap();
        let mut first = registry.enter(&edge).unwrap();
        assert!(first.replaced.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        let second = registry.enter(&edge).unwrap();
        assert!(first.replaced.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Closed));
        registry.leave(&edge, first.id);
        assert!(registry.requests(&edge).is_some(), "the first leaves, the second stays");
        registry.leave(&edge, second.id);
        assert!(registry.requests(&edge).is_none());
    }

    #[test]
    fn one_edge_too_many_is_refused_by_name_and_a_known_one_is_let_in_again() {
        let registry = Registry::default();
        let name = |n: usize| format!("edge-{n}").parse::<NodeName>().unwrap();
        let held: Vec<Entry> = (0..EDGES_ATTACHED_MAX).map(|n| registry.enter(&name(n)).unwrap()).collect();
        assert_eq!(registry.enter(&name(EDGES_ATTACHED_MAX)).err(), Some(TooManyEdges));
        assert!(registry.enter(&name(7)).is_ok());
        registry.leave(&name(8), held[8].id);
        assert!(registry.enter(&name(EDGES_ATTACHED_MAX)).is_ok());
    }
}
