//! Readings: a question to every attached edge that is concerned, and what came back within the time that it has.

use std::collections::BTreeMap;
use std::time::Duration;

use api::v1;
use model::NodeName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{READS_WAITING_MAX, Registry};

/// A reading that is asked of one edge.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub(crate) kind: v1::ReadKind,
    pub(crate) reply: oneshot::Sender<Result<Gathered, ReadError>>,
}

/// What a reading has brought.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) drops: Vec<v1::DropCounter>,
    pub(crate) meters: Vec<v1::MeterCounter>,
    pub(crate) sessions: Vec<v1::Session>,
    pub(crate) aaa_counters: Vec<v1::AaaCounter>,
}

impl Gathered {
    fn len(&self) -> usize {
        self.drops.len() + self.meters.len() + self.sessions.len() + self.aaa_counters.len()
    }

    /// Adds a part of an answer. Whatever the edge calls itself in it, the counters are its own.
    pub(crate) fn add(&mut self, edge: &NodeName, part: v1::Reading) -> Result<(), ReadError> {
        let more = part.drops.len() + part.meters.len() + part.sessions.len() + part.aaa_counters.len();
        if self.len() + more > ENTRIES_OF_EDGE_MAX {
            return Err(ReadError::TooMany);
        }
        let name = edge.to_string();
        self.drops.extend(part.drops.into_iter().map(|drop| v1::DropCounter { edge: name.clone(), ..drop }));
        self.meters.extend(part.meters.into_iter().map(|meter| v1::MeterCounter { edge: name.clone(), ..meter }));
        self.sessions.extend(part.sessions.into_iter().map(|session| v1::Session { edge: name.clone(), ..session }));
        let counters = part.aaa_counters.into_iter();
        self.aaa_counters.extend(counters.map(|counter| v1::AaaCounter { edge: name.clone(), ..counter }));
        Ok(())
    }

    fn append(&mut self, mut other: Self) {
        self.drops.append(&mut other.drops);
        self.meters.append(&mut other.meters);
        self.sessions.append(&mut other.sessions);
        self.aaa_counters.append(&mut other.aaa_counters);
    }
}

/// Why an edge has no part in an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not attached.
    #[error("it is away")]
    Away,
    /// It did not answer in time.
    #[error("it did not answer within {ANSWER_SECONDS} s")]
    Late,
    /// Too many others wait for it.
    #[error("{READS_WAITING_MAX} readings wait for it already")]
    Busy,
    /// It answered with more than is fit to pass on.
    #[error("it answers with more than {ENTRIES_OF_EDGE_MAX} entries")]
    TooMany,
    /// It answered that it can't.
    #[error("it says: {0}")]
    Problem(String),
}

/// The edges that have no part in an answer.
pub(crate) type Unreached = BTreeMap<NodeName, ReadError>;

/// Asks every one of the edges at once; in the order of their names, whoever answers first.
pub(crate) async fn gather(registry: &Registry, kind: v1::ReadKind, edges: Vec<NodeName>) -> (Gathered, Unreached) {
    let mut asked = JoinSet::new();
    for edge in edges {
        let reads = registry.reads(&edge);
        asked.spawn(async move {
            let answer = ask(reads, kind).await;
            (edge, answer)
        });
    }
    let answers: BTreeMap<NodeName, _> = asked.join_all().await.into_iter().collect();
    let (mut gathered, mut unreached) = (Gathered::default(), Unreached::new());
    for (edge, answer) in answers {
        match answer {
            Ok(part) => gathered.append(part),
            Err(error) => drop(unreached.insert(edge, error)),
        }
    }
    (gathered, unreached)
}

async fn ask(reads: Option<mpsc::Sender<ReadRequest>>, kind: v1::ReadKind) -> Result<Gathered, ReadError> {
    let (reply, answer) = oneshot::channel();
    let request = ReadRequest { kind, reply };
    reads.ok_or(ReadError::Away)?.try_send(request).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => ReadError::Busy,
        mpsc::error::TrySendError::Closed(_) => ReadError::Away,
    })?;
    match timeout(Duration::from_secs(ANSWER_SECONDS), answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ReadError::Away),
        Err(_) => Err(ReadError::Late),
    }
}

/// How long an edge has for its whole answer.
const ANSWER_SECONDS: u64 = 3;
/// How many entries of one edge are passed on.
const ENTRIES_OF_EDGE_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_those_of_the_edge_that_answers_and_not_too_many() {
        let edge: NodeName = "edge-a".parse().unwrap();
        let mut gathered = Gathered::default();
        let drop = v1::DropCounter { edge: "edge-z".into(), packets: 3, ..v1::DropCounter::default() };
        gathered.add(&edge, v1::Reading { drops: vec![drop.clone()], ..v1::Reading::default() }).unwrap();
        assert_eq!(gathered.drops[0].edge, "edge-a");
        let rest = vec![drop; ENTRIES_OF_EDGE_MAX];
        let error = gathered.add(&edge, v1::Reading { drops: rest, ..v1::Reading::default() }).unwrap_err();
        assert_eq!((error, gathered.len()), (ReadError::TooMany, 1));
    }
}
